//! Files beside the outputs: rejects, quarantined rows, reports.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use super::files::Written;
use super::record::LooseRecord;
use crate::error::{Error, ErrorKind, Place, Result};

const BUFFER: usize = 64 << 10;

/// What becomes of the file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileMode {
    /// It is replaced.
    Replace,
    /// It stays the beginning of the new one.
    Append,
}

/// A file that appears under its name, with everything else, when the run is committed. Until then it is
/// `.foldl-<run>-<number>` beside it.
///
/// Bytes are taken through [`Write`]. What fails there is an [`io::Error`] that holds an [`Error`].
#[derive(Debug)]
pub struct LooseFile {
    path: PathBuf,
    staged: PathBuf,
    mode: FileMode,
    file: File,
    buffer: Vec<u8>,
    written: Written,
    has_failed: bool,
}

/// Where a [`LooseFile`] stands, for [`Transaction::file`](super::Transaction::file) to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilePosition {
    path: PathBuf,
    mode: FileMode,
    written: Written,
}

impl FilePosition {
    /// Whether what a run staged up to there is still what it was.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it is not.
    pub fn check(&self, run: &str) -> Result<()> {
        if self.written.is_sound() { self.written.check(&staged_path(&self.path, run)) } else { Ok(()) }
    }
}

impl LooseFile {
    /// A file that is staged under another name: a new one, or one that goes on where it was.
    pub(super) fn open(path: PathBuf, staged: PathBuf, mode: FileMode, at: Option<&FilePosition>) -> Result<LooseFile> {
        let start_over = |what: &str| {
            let error = Error::new(ErrorKind::Output, format!("the file {what}")).at(Place::File(path.clone()));
            Err(error.hint("start the run over"))
        };
        let (file, written) = match at {
            None => {
                let file = disk::create(&staged).map_err(|error| disk::failed("make", &staged, error))?;
                (file, Written::nothing())
            }
            Some(at) => {
                if (&at.path, at.mode) != (&path, mode) || !at.written.is_sound() {
                    return start_over("is not the one that the checkpoint tells of");
                }
                match disk::metadata(&staged)? {
                    Some(there) if there.is_file() && there.len() >= at.written.bytes => {}
                    _ => return start_over("that was staged for this is gone, or has less than its checkpoint says"),
                }
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&staged)
                    .map_err(|error| disk::failed("open", &staged, error))?;
                disk::truncate(&file, &staged, at.written.bytes)?;
                (file, at.written.clone())
            }
        };
        Ok(LooseFile { path, staged, mode, file, buffer: Vec::new(), written, has_failed: false })
    }

    /// The path that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes that were written, without those that were there before.
    pub fn len(&self) -> u64 {
        self.written.bytes + self.buffer.len() as u64
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes everything to disk, and tells where the file stands.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be written.
    pub fn position(&mut self) -> Result<FilePosition> {
        self.sync()?;
        disk::sync_dir(disk::folder(&self.staged))?;
        Ok(FilePosition { path: self.path.clone(), mode: self.mode, written: self.written.clone() })
    }

    /// Everything on disk under the staged name, with what is to be its beginning. `None` if the file that is there
    /// stays as it is.
    pub(super) fn finish(mut self) -> Result<Option<LooseRecord>> {
        self.sync()?;
        if self.mode == FileMode::Append
            && let Some(there) = disk::metadata(&self.path)?
        {
            if !there.is_file() {
                return Err(Error::new(ErrorKind::Output, "this is no file to append to").at(Place::File(self.path)));
            }
            if self.written.bytes == 0 {
                return Ok(None);
            }
            self.prepend()?;
        }
        disk::sync_dir(disk::folder(&self.staged))?;
        Ok(Some(LooseRecord {
            path: self.path,
            staged: self.staged,
            bytes: self.written.bytes,
            xxh64: self.written.checksum(),
        }))
    }

    /// Everything on disk under the staged name, which is given. What is to be its beginning is not in it.
    pub(super) fn finish_alone(mut self) -> Result<(PathBuf, PathBuf)> {
        self.sync()?;
        Ok((self.path, self.staged))
    }

    /// Copies the file that is there and the new one after it into a third, which becomes the staged one.
    fn prepend(&mut self) -> Result<()> {
        let whole = whole(&self.staged);
        let file = disk::create(&whole).map_err(|error| disk::failed("make", &whole, error))?;
        let mut written = Written::nothing();
        let mut buffer = vec![0; BUFFER];
        for path in [&self.path, &self.staged] {
            let fail =
                |error| Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.clone())).caused_by(error);
            let mut from = File::open(path).map_err(fail)?;
            loop {
                let len = match from.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    result => result.map_err(fail)?,
                };
                if len == 0 {
                    break;
                }
                disk::write_at(&file, &whole, &buffer[..len], written.bytes)?;
                written.add(&buffer[..len]);
            }
        }
        disk::sync(&file, &whole)?;
        (self.staged, self.file, self.written) = (whole, file, written);
        Ok(())
    }

    fn flush_buffer(&mut self) -> Result<()> {
        if self.has_failed {
            let error = Error::new(ErrorKind::Output, "the file cannot go on after an error");
            return Err(error.at(Place::File(self.path.clone())));
        }
        self.has_failed = true;
        disk::write_at(&self.file, &self.staged, &self.buffer, self.written.bytes)?;
        self.has_failed = false;
        self.written.add(&self.buffer);
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.flush_buffer()?;
        self.has_failed = true;
        disk::sync(&self.file, &self.staged)?;
        self.has_failed = false;
        Ok(())
    }
}

impl Write for LooseFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush_buffer().map_err(io::Error::other)?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_buffer().map_err(io::Error::other)
    }
}

/// The name under which a file of a run is staged for a path.
pub(super) fn staged_path(path: &Path, run: &str) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let number = twox_hash::XxHash3_64::oneshot(path.as_os_str().as_bytes());
    disk::folder(path).join(format!(".foldl-{run}-{number:016x}"))
}

/// The name under which a file is staged together with what was there.
pub(super) fn whole(staged: &Path) -> PathBuf {
    staged.with_added_extension("whole")
}
