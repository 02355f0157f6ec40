//! Staged files: appended to piece by piece, synced together, and cut back to where a checkpoint saw them.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::disk;
use crate::error::{Error, ErrorKind, Place, Result};

/// The most files that are open at a time.
const MAX_OPEN: usize = 16;

/// How far a staged file is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// The XXH64 of these bytes so far: of the checksums in the tree the one whose state can be stored.
    pub(super) hash: XxHash64,
    /// Whether some of it may not be on the disk.
    #[serde(skip)]
    pub(super) is_dirty: bool,
}

impl Written {
    pub(super) fn nothing() -> Written {
        Written { bytes: 0, rows: 0, hash: XxHash64::with_seed(0), is_dirty: false }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.write(bytes);
        self.is_dirty = true;
    }

    /// The checksum of all of it, in 16 hexadecimal digits.
    pub(super) fn checksum(&self) -> String {
        format!("{:016x}", self.hash.finish())
    }

    /// The same, of which nothing is sure to be on the disk.
    pub(super) fn unsynced(&self) -> Written {
        Written { is_dirty: true, ..self.clone() }
    }

    /// Whether a file begins with what was written; what is wrong if it does not.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        is_there(path, self.bytes)?;
        match read_checksum(path, self.bytes)? == (self.bytes, self.checksum()) {
            true => Ok(()),
            false => Err(lost(path, "is not what was written")),
        }
    }

    /// Whether the state of the checksum can be one after so many bytes. Others make the hasher panic.
    pub(super) fn is_sound(&self) -> bool {
        let Ok(state) = serde_json::to_value(&self.hash) else { return false };
        state["total_len"] == self.bytes && state["buffer_usage"] == self.bytes % 32
    }
}

/// The length and the checksum of a file, or of so many bytes that it begins with.
pub(super) fn read_checksum(path: &Path, most: u64) -> Result<(u64, String)> {
    let fail = |error| Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.to_owned())).caused_by(error);
    let mut file = File::open(path).map_err(fail)?.take(most);
    let mut written = Written::nothing();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(error)),
            Ok(0) => return Ok((written.bytes, written.checksum())),
            Ok(len) => written.add(&buffer[..len]),
        }
    }
}

/// Whether a staged file has as many bytes at least as it once had; what is wrong if it does not.
fn is_there(path: &Path, len: u64) -> Result<()> {
    match disk::metadata(path)? {
        Some(metadata) if metadata.is_file() && metadata.len() >= len => Ok(()),
        Some(_) => Err(lost(path, "has less than its checkpoint says")),
        None => Err(lost(path, "is gone")),
    }
}

fn lost(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Output, format!("what was staged {what}"))
        .at(Place::File(path.to_owned()))
        .hint("start the run over")
}

/// The files below a directory, of which a few are kept open.
///
/// A file that stays open until it is synced is sure to hear of every byte that the kernel could not write. Where there
/// are more files than are kept open, [`sync`](Files::sync) syncs the file system through the directory, open all the
/// time, which hears of it too.
pub(super) struct Files {
    root: PathBuf,
    handle: File,
    /// The one used last at the end.
    open: Vec<(PathBuf, File)>,
    /// Directories with new names in them that may not be on the disk.
    dirs: BTreeSet<PathBuf>,
    /// Whether a file was closed before it was synced.
    closed_unsynced: bool,
}

impl Files {
    /// The files below a directory, which exists.
    pub(super) fn new(root: &Path) -> Result<Files> {
        let handle = File::open(root).map_err(|error| disk::failed("open", root, error))?;
        Ok(Files {
            root: root.to_owned(),
            handle,
            open: Vec::new(),
            dirs: BTreeSet::from([root.to_owned()]),
            closed_unsynced: false,
        })
    }

    /// Writes bytes at an offset, which is that of the end. At 0 the file is made, or emptied.
    pub(super) fn append(&mut self, name: &Path, at: u64, bytes: &[u8]) -> Result<()> {
        self.open(name, at == 0)?;
        let Some((path, file)) = self.open.last() else { return Ok(()) };
        disk::write_at(file, path, bytes, at)
    }

    /// Appends the first `len` bytes of a file to `into`.
    pub(super) fn read(&mut self, name: &Path, len: u64, into: &mut Vec<u8>) -> Result<()> {
        self.open(name, false)?;
        let Some((path, file)) = self.open.last() else { return Ok(()) };
        let start = into.len();
        // A chunk, which was in memory before.
        into.resize(start + len as usize, 0);
        file.read_exact_at(&mut into[start..], 0)
            .map_err(|error| Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.clone())).caused_by(error))
    }

    /// Cuts a file back to a length that it once had.
    pub(super) fn cut(&mut self, name: &Path, len: u64) -> Result<()> {
        let path = self.root.join(name);
        is_there(&path, len)?;
        self.open(name, false)?;
        match self.open.last() {
            Some((path, file)) => disk::truncate(file, path, len),
            None => Ok(()),
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&mut self, name: &Path) -> Result<()> {
        let path = self.root.join(name);
        self.open.retain(|(open, _)| *open != path);
        disk::remove(&path)
    }

    /// Brings these files, and all new names, to the disk.
    pub(super) fn sync(&mut self, dirty: &[PathBuf]) -> Result<()> {
        let many = disk::are_many(dirty.len() + self.dirs.len());
        if (many || self.closed_unsynced) && disk::sync_file_system(&self.handle, &self.root)? {
            self.dirs.clear();
            self.closed_unsynced = false;
            return Ok(());
        }
        for name in dirty {
            self.open(name, false)?;
            if let Some((path, file)) = self.open.last() {
                disk::sync(file, path)?;
            }
        }
        disk::sync_dirs(&self.root, &self.dirs)?;
        self.dirs.clear();
        self.closed_unsynced = false;
        Ok(())
    }

    /// Makes a file the last of the open ones.
    fn open(&mut self, name: &Path, is_new: bool) -> Result<()> {
        let path = self.root.join(name);
        if let Some(place) = self.open.iter().position(|(open, _)| *open == path) {
            if !is_new {
                self.open[place..].rotate_left(1);
                return Ok(());
            }
            self.open.remove(place);
        }
        let file = match is_new {
            true => self.create(&path),
            false => OpenOptions::new().read(true).write(true).open(&path),
        };
        let file = file.map_err(|error| disk::failed("open", &path, error))?;
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
            self.closed_unsynced = true;
        }
        self.open.push((path, file));
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<File> {
        let folder = disk::folder(path).to_owned();
        let file = match disk::create(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&folder)?;
                disk::create(path)?
            }
            result => result?,
        };
        // The directories above it may be new as well.
        for dir in folder.ancestors().take_while(|dir| dir.starts_with(&self.root)) {
            if !self.dirs.insert(dir.to_owned()) {
                break;
            }
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_with_few_open() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path()).unwrap();
        let names: Vec<PathBuf> =
            (0..300).map(|number| PathBuf::from(format!("a={}/b={number}/f", number % 7))).collect();
        for round in 0..3 {
            for name in &names {
                files.append(name, round * 2, b"x\n").unwrap();
                assert!(files.open.len() <= MAX_OPEN);
            }
        }
        files.sync(&names).unwrap();
        for name in &names {
            assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), b"x\nx\nx\n");
        }
        files.cut(&names[7], 2).unwrap();
        let mut read = b"-".to_vec();
        files.read(&names[7], 2, &mut read).unwrap();
        assert_eq!(read, b"-x\n");
        assert!(files.cut(&names[7], 3).is_err());
        files.remove(&names[7]).unwrap();
        assert!(files.cut(&names[7], 0).is_err());
        files.append(&names[8], 0, b"new").unwrap();
        assert_eq!(std::fs::read(folder.path().join(&names[8])).unwrap(), b"new");
    }

    #[test]
    fn the_state_of_a_checksum_survives() {
        let mut all = Written::nothing();
        let mut parts = Written::nothing();
        for len in [0, 1, 31, 32, 33, 100, 7] {
            let bytes = vec![b'a' + len as u8 % 26; len];
            all.add(&bytes);
            parts.add(&bytes);
            assert!(parts.is_sound());
            parts = serde_json::from_str(&serde_json::to_string(&parts).unwrap()).unwrap();
            assert_eq!(parts.checksum(), all.checksum());
        }
        parts.bytes += 1;
        assert!(!parts.is_sound());
    }
}
