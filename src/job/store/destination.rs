//! Destinations: directories of outputs, and what foldl keeps in them beside the data.
//!
//! `<destination>/_foldl/` has `lock`, `run-<id>/` for each run that stages something (`data/` what comes, `old/` what
//! went away, `owner` the state directory it belongs to), and `sequence`, a sealed file with the number of the last
//! commit.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use super::lock::{Lock, Wait};
use super::record::Records;
use super::sealed::Seal;
use super::staging::Staging;
use crate::error::{Error, ErrorKind, Place, Result};

const OWN: &str = "_foldl";
/// The file that tells readers that the data is whole.
pub(super) const SUCCESS: &str = "_SUCCESS";
const OWNER: &str = "owner";
const SEAL: Seal = Seal { kind: "sequence", version: 1 };

/// What a destination knows of the commits that it saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sequence {
    /// The number of the last commit that is known to be done.
    last: u64,
    /// A later one that was about to be decided, or is.
    claim: Option<Claim>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Claim {
    sequence: u64,
    state: PathBuf,
}

impl Sequence {
    pub(super) fn read(destination: &Path) -> Result<Sequence> {
        let path = Sequence::path(destination);
        match disk::read(&path)? {
            Some(bytes) => SEAL.open(&bytes, &path),
            None => Ok(Sequence::default()),
        }
    }

    /// The state directory with a commit that is decided but not done here.
    pub(super) fn unfinished(&self) -> Result<Option<&Path>> {
        let Some(claim) = &self.claim else { return Ok(None) };
        let pending = Records::of(&claim.state).pending_path(claim.sequence);
        Ok(disk::metadata(&pending)?.map(|_| claim.state.as_path()))
    }

    /// The highest number that was used here.
    pub(super) fn used(&self) -> Result<u64> {
        let Some(claim) = &self.claim else { return Ok(self.last) };
        let records = Records::of(&claim.state);
        let was_decided = disk::metadata(&records.applied_path(claim.sequence))?.is_some()
            || disk::metadata(&records.pending_path(claim.sequence))?.is_some()
            // With the state directory gone nobody knows.
            || disk::metadata(records.dir())?.is_none();
        Ok(if was_decided { claim.sequence } else { self.last })
    }

    /// Notes, before a commit is decided, that it may be.
    pub(super) fn claim(destination: &Path, sequence: u64, state: &Path) -> Result<()> {
        let last = Sequence::read(destination)?.used()?;
        let claim = Some(Claim { sequence, state: state.to_owned() });
        Sequence { last, claim }.write(destination)
    }

    /// Notes that a commit is done.
    pub(super) fn settle(destination: &Path, sequence: u64) -> Result<()> {
        Sequence { last: sequence, claim: None }.write(destination)
    }

    fn write(&self, destination: &Path) -> Result<()> {
        disk::write_atomically(&Sequence::path(destination), &SEAL.seal(self)?)
    }

    fn path(destination: &Path) -> PathBuf {
        destination.join(OWN).join("sequence")
    }
}

/// Makes the directory of an output, and gives its real path.
pub(super) fn prepare(path: &Path) -> Result<PathBuf> {
    disk::make_dirs(&path.join(OWN))?;
    let path = disk::canonical(path)?;
    disk::keep(&path)?;
    Ok(path)
}

/// Locks destinations for a run. Every run takes them in the order of their paths, so that no two wait for each other.
pub(super) fn lock<'d>(destinations: impl IntoIterator<Item = &'d Path>, run: &str, wait: Wait) -> Result<Vec<Lock>> {
    let mut destinations: Vec<&Path> = destinations.into_iter().collect();
    destinations.sort_unstable();
    destinations.iter().map(|path| Lock::take(&path.join(OWN).join("lock"), Some(run), wait)).collect()
}

/// The directory that a run has within a destination.
pub(super) fn run_dir(destination: &Path, run: &str) -> PathBuf {
    destination.join(OWN).join(format!("run-{run}"))
}

/// Where the files that come are staged.
pub(super) fn staged_dir(destination: &Path, run: &str) -> PathBuf {
    run_dir(destination, run).join("data")
}

/// Where that goes which is replaced.
pub(super) fn old_dir(destination: &Path, run: &str) -> PathBuf {
    run_dir(destination, run).join("old")
}

/// Makes the directory of a run, which belongs to a state directory.
pub(super) fn make_run_dir(destination: &Path, run: &str, state: &Path) -> Result<()> {
    let dir = run_dir(destination, run);
    disk::make_dirs(&dir)?;
    disk::make_private(&dir)?;
    disk::write_atomically(&dir.join(OWNER), state.as_os_str().as_bytes())
}

/// Removes what runs have staged of which no state directory knows any more, and files that were never finished. The
/// destination is locked, so none of them is at work.
pub(super) fn remove_orphans(destination: &Path) -> Result<()> {
    let own = destination.join(OWN);
    for name in disk::names(&own)? {
        if name.as_bytes().starts_with(b".") {
            disk::remove(&own.join(&name))?;
        }
        let Some(run) = name.to_str().and_then(|name| name.strip_prefix("run-")) else { continue };
        let dir = own.join(&name);
        let owner = disk::read(&dir.join(OWNER))?;
        let is_known = match owner {
            Some(state) => Staging::exists(Path::new(OsStr::from_bytes(&state)), run)?,
            None => false,
        };
        if !is_known {
            disk::remove_tree(&dir)?;
        }
    }
    Ok(())
}

/// The names in a destination that are data, sorted.
///
/// # Errors
/// [`ErrorKind::Output`] also if a name is not UTF-8, as a commit record could not tell of it.
pub(super) fn data(destination: &Path) -> Result<Vec<String>> {
    let mut data = Vec::new();
    for name in disk::names(destination)? {
        match name.into_string() {
            Ok(name) if is_data(&name) => data.push(name),
            Ok(_) => {}
            Err(name) if name.as_bytes().starts_with(b".") => {}
            Err(name) => {
                return Err(Error::new(ErrorKind::Output, "the name is not UTF-8")
                    .at(Place::File(destination.join(name)))
                    .hint("give it another name, or move it away"));
            }
        }
    }
    Ok(data)
}

/// Whether readers take a name for data: Spark passes over what begins with a dot, or with an underscore unless it is a
/// partition.
fn is_data(name: &str) -> bool {
    !name.starts_with('.') && (!name.starts_with('_') || name.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_data() {
        for (name, expected) in [
            ("part-1.jsonl", true),
            ("country=DE", true),
            ("_type=x", true),
            ("_SUCCESS", false),
            ("_foldl", false),
            (".x", false),
            (".a=b", false),
        ] {
            assert_eq!(is_data(name), expected, "{name}");
        }
    }

    #[test]
    fn numbers_are_used_once_they_are_decided() {
        let folder = tempfile::tempdir().unwrap();
        let (state, destination) = (folder.path().join("state"), folder.path().join("out"));
        let destination = prepare(&destination).unwrap();
        let records = Records::of(&state);
        let used = || Sequence::read(&destination).unwrap().used().unwrap();
        assert_eq!(used(), 0);
        Sequence::settle(&destination, 4).unwrap();
        Sequence::claim(&destination, 5, &state).unwrap();
        // The state directory is gone: nobody knows.
        assert_eq!(used(), 5);
        std::fs::create_dir_all(records.dir()).unwrap();
        assert_eq!(used(), 4);
        std::fs::write(records.pending_path(5), b"").unwrap();
        assert_eq!(used(), 5);
        assert_eq!(Sequence::read(&destination).unwrap().unfinished().unwrap(), Some(state.as_path()));
        std::fs::rename(records.pending_path(5), records.applied_path(5)).unwrap();
        assert_eq!(used(), 5);
        assert_eq!(Sequence::read(&destination).unwrap().unfinished().unwrap(), None);
        Sequence::claim(&destination, 6, &state).unwrap();
        assert_eq!(used(), 5);
    }

    #[test]
    fn orphans_are_those_without_a_state() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir_all(state.join("staging")).unwrap();
        let destination = prepare(&folder.path().join("out")).unwrap();
        for run in ["known", "unknown"] {
            make_run_dir(&destination, run, &state).unwrap();
        }
        std::fs::create_dir_all(run_dir(&destination, "half").join("data")).unwrap();
        Staging::default().write(&state, "known").unwrap();
        remove_orphans(&destination).unwrap();
        let left = disk::names(&destination.join(OWN)).unwrap();
        assert_eq!(left, ["run-known"]);
    }
}
