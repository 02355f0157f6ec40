//! Roll forward: does what a commit record says.
//!
//! Every step can be done again after a crash at any place, and the steps are on the disk in this order, for all
//! outputs together:
//!
//! 1. `_SUCCESS` goes, so that readers know of the change.
//! 2. What is replaced goes to `old/`, top-level name by name or partition by partition. What is in `old/` already has
//!    gone; this cannot be told from the data, where new files may be under the same name, so `old/` stays until the
//!    record is marked.
//! 3. Staged files come, each by a rename. Those that are not staged any more have come.
//! 4. So do the files beside the outputs.
//! 5. `_SUCCESS` comes.
//! 6. The record is marked as applied.
//!
//! After that the staging directories, with all that was replaced, are removed, which the note of them (`staging.rs`)
//! sees to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::destination::{self, SUCCESS, Sequence};
use super::disk::{self, step};
use super::files::read_checksum;
use super::record::{OutputRecord, Record, Records};
use crate::error::{Error, ErrorKind, Place, Result};

/// What `_SUCCESS` says.
#[derive(Serialize)]
struct Success<'r> {
    rows: u64,
    files: usize,
    sequence: u64,
    run: &'r str,
}

/// Does what a pending record of a state directory says. The destinations are locked.
pub(super) fn apply(state: &Path, record: &Record) -> Result<()> {
    let run = &record.run;
    step("apply.started")?;
    for output in &record.outputs {
        disk::remove(&output.destination.join(SUCCESS))?;
        disk::sync_dir(&output.destination)?;
    }
    step("apply.unmarked")?;
    for output in &record.outputs {
        move_away(output, run)?;
    }
    step("apply.away")?;
    for output in &record.outputs {
        place(output, run)?;
    }
    step("apply.placed")?;
    for file in &record.files {
        match disk::metadata(&file.staged)? {
            Some(_) => disk::rename(&file.staged, &file.path)?,
            None => check_there(&file.path, file.bytes)?,
        }
        disk::sync_dir(disk::folder(&file.path))?;
    }
    step("apply.loose")?;
    for output in &record.outputs {
        let success = Success { rows: output.rows, files: output.files.len(), sequence: record.sequence, run };
        let mut text = serde_json::to_vec(&success)
            .map_err(|error| Error::new(ErrorKind::Internal, "_SUCCESS is not JSON").caused_by(error))?;
        text.push(b'\n');
        disk::write_atomically(&output.destination.join(SUCCESS), &text)?;
    }
    step("apply.marked")?;
    let records = Records::of(state);
    disk::rename(&records.pending_path(record.sequence), &records.applied_path(record.sequence))?;
    disk::sync_dir(records.dir())?;
    step("apply.applied")?;
    // Not before the record is marked: another job would take the destination for its own.
    for output in &record.outputs {
        Sequence::settle(&output.destination, record.sequence)?;
    }
    step("apply.settled")
}

/// Moves what an output replaces to the directory for it.
fn move_away(output: &OutputRecord, run: &str) -> Result<()> {
    let old = destination::old_dir(&output.destination, run);
    let mut dirs = BTreeSet::new();
    for name in &output.replaced {
        let (from, to) = (output.destination.join(name), old.join(name));
        disk::make_dirs(disk::folder(&to))?;
        if disk::metadata(&to)?.is_none() && disk::metadata(&from)?.is_some() {
            disk::rename(&from, &to)?;
            step("apply.moved_away")?;
        }
        dirs.insert(disk::folder(&from).to_owned());
        dirs.insert(disk::folder(&to).to_owned());
    }
    disk::sync_dirs(&output.destination, &dirs)
}

/// Brings the staged files of an output.
fn place(output: &OutputRecord, run: &str) -> Result<()> {
    let staged = destination::staged_dir(&output.destination, run);
    let mut dirs = BTreeSet::new();
    for file in &output.files {
        let (from, to) = (staged.join(&file.staged), output.destination.join(&file.path));
        if disk::metadata(&from)?.is_some() {
            let folder = disk::folder(&to);
            if !dirs.contains(folder) {
                make_dirs_below(&output.destination, folder, &mut dirs)?;
            }
            disk::rename(&from, &to)?;
            step("apply.placed_one")?;
        } else {
            check_there(&to, file.bytes)?;
            dirs.extend(dirs_below(&output.destination, disk::folder(&to)));
        }
    }
    disk::sync_dirs(&output.destination, &dirs)
}

/// The directories from the destination down to one below it.
fn dirs_below(destination: &Path, dir: &Path) -> Vec<PathBuf> {
    dir.ancestors().take_while(|dir| dir.starts_with(destination)).map(Path::to_owned).collect()
}

/// Makes a directory below a destination, unless a link leads out of it. All from the destination down to it are added
/// to `dirs`, to be synced.
fn make_dirs_below(destination: &Path, dir: &Path, dirs: &mut BTreeSet<PathBuf>) -> Result<()> {
    for dir in dirs_below(destination, dir).into_iter().rev() {
        if dir != destination {
            match disk::metadata(&dir)? {
                Some(there) if there.is_dir() => {}
                Some(_) => return Err(no_directory(&dir)),
                None => disk::make_dir(&dir)?,
            }
        }
        dirs.insert(dir);
    }
    Ok(())
}

/// The error of a partition whose place is taken by something else than a directory.
pub(super) fn no_directory(path: &Path) -> Error {
    Error::new(ErrorKind::Output, "this is where a partition belongs, but it is no directory")
        .at(Place::File(path.to_owned()))
        .hint("move it away, and run again")
}

/// Checks that a file that is not staged any more is at its place.
fn check_there(path: &Path, bytes: u64) -> Result<()> {
    match disk::metadata(path)? {
        Some(there) if there.is_file() && there.len() == bytes => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Input,
            "the file is neither staged nor at its place, or has another length than the commit record says",
        )
        .at(Place::File(path.to_owned()))),
    }
}

/// Checks before anything is moved that what a record of an earlier process says is still there, as it was written.
pub(super) fn verify(record: &Record) -> Result<()> {
    for output in &record.outputs {
        let staged = destination::staged_dir(&output.destination, &record.run);
        for file in &output.files {
            let to = output.destination.join(&file.path);
            verify_file(&staged.join(&file.staged), &to, file.bytes, &file.xxh64)?;
        }
    }
    for file in &record.files {
        verify_file(&file.staged, &file.path, file.bytes, &file.xxh64)?;
    }
    step("recover.verified")
}

fn verify_file(staged: &Path, path: &Path, bytes: u64, checksum: &str) -> Result<()> {
    if disk::metadata(staged)?.is_none() {
        return check_there(path, bytes);
    }
    match read_checksum(staged, u64::MAX)? {
        (len, sum) if len == bytes && sum == checksum => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Input,
            "the staged file is not what was written: its length or checksum is another",
        )
        .at(Place::File(staged.to_owned()))),
    }
}
