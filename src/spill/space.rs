//! The temporary disk space of a run of foldl.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Place, Result};

/// The disk space is taken in extents of this size: each belongs to one run.
pub(super) const EXTENT: u64 = 1 << 20;

/// The disk space for what does not fit into memory, shared by everything in a run of foldl.
///
/// It is one file in a directory for temporary files. It is made when it is first needed, and has no name: only this
/// process can read it, and the system takes the space back when the process ends, however it ends.
#[derive(Clone, Debug)]
pub struct Space(Arc<State>);

#[derive(Debug)]
struct State {
    directory: PathBuf,
    limit: Option<u64>,
    file: Mutex<Option<Arc<File>>>,
    places: Mutex<Places>,
    spilled: Counts,
}

/// Which parts of the file are in use.
#[derive(Debug, Default)]
struct Places {
    /// Where the last extent ends.
    end: u64,
    /// Extents before it that are not used any more.
    free: Vec<u64>,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    runs: AtomicU64,
    merges: AtomicU64,
}

/// How much was spilled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spilled {
    /// The bytes that were written to disk.
    pub bytes: u64,
    /// The sorted runs that they made.
    pub runs: u64,
    /// How many runs were made of several others, as there were too many to be read together.
    pub merges: u64,
}

impl Space {
    /// Space in a directory, of which at most `limit` bytes are taken at a time.
    pub fn new(directory: PathBuf, limit: Option<u64>) -> Space {
        Space(Arc::new(State {
            directory,
            limit,
            file: Mutex::default(),
            places: Mutex::default(),
            spilled: Counts::default(),
        }))
    }

    /// How much was spilled so far.
    pub fn spilled(&self) -> Spilled {
        let Counts { bytes, runs, merges } = &self.0.spilled;
        Spilled {
            bytes: bytes.load(Ordering::Relaxed),
            runs: runs.load(Ordering::Relaxed),
            merges: merges.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_run(&self) {
        self.0.spilled.runs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_merge(&self) {
        self.0.spilled.merges.fetch_add(1, Ordering::Relaxed);
    }

    /// The file, which is made if it is not there yet.
    pub(super) fn file(&self) -> Result<Arc<File>> {
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let made = tempfile::tempfile_in(&self.0.directory).map_err(|error| {
            Error::new(ErrorKind::Output, "cannot make a temporary file")
                .at(Place::File(self.0.directory.clone()))
                .caused_by(error)
                .hint("--temp-dir names another directory; with a higher --memory-limit none is needed")
        })?;
        Ok(Arc::clone(file.insert(Arc::new(made))))
    }

    /// Takes extents that lie one after another: where they begin.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] if the limit is reached.
    pub(super) fn take(&self, extents: u64) -> Result<u64> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        if extents == 1
            && let Some(place) = places.free.pop()
        {
            return Ok(place);
        }
        let end = places.end + extents * EXTENT;
        if let Some(limit) = self.0.limit
            && end > limit
        {
            let message = format!("the limit of {} MiB of temporary space does not do", limit >> 20);
            return Err(Error::new(ErrorKind::Resource, message)
                .at(Place::File(self.0.directory.clone()))
                .hint("raise --temp-limit, or --memory-limit so that less is spilled"));
        }
        Ok(std::mem::replace(&mut places.end, end))
    }

    /// Gives extents back. They are used again before the file grows.
    pub(super) fn give_back(&self, extents: impl IntoIterator<Item = u64>) {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner).free.extend(extents);
    }

    /// Writes bytes to a place in the file.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] if the disk is full, [`ErrorKind::Output`] if it cannot be written for another reason.
    pub(super) fn write(&self, file: &File, bytes: &[u8], at: u64) -> Result<()> {
        file.write_all_at(bytes, at).map_err(|error| self.write_error(error))?;
        self.0.spilled.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn write_error(&self, error: io::Error) -> Error {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let taken = self.0.places.lock().unwrap_or_else(PoisonError::into_inner).end >> 20;
        let (kind, message) = match full {
            true => {
                (ErrorKind::Resource, format!("the disk for temporary files is full: more than {taken} MiB are needed"))
            }
            false => (ErrorKind::Output, "cannot write a temporary file".to_owned()),
        };
        Error::new(kind, message)
            .at(Place::File(self.0.directory.clone()))
            .caused_by(error)
            .hint("--temp-dir names another directory; with a higher --memory-limit less is spilled")
    }

    /// Reads bytes from a place in the file.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if that fails.
    pub(super) fn read(&self, file: &File, bytes: &mut [u8], at: u64) -> Result<()> {
        file.read_exact_at(bytes, at).map_err(|error| {
            Error::new(ErrorKind::Input, "cannot read a temporary file")
                .at(Place::File(self.0.directory.clone()))
                .caused_by(error)
        })
    }

    /// The error of bytes that are not those that were written.
    pub(super) fn damaged(&self) -> Error {
        Error::new(ErrorKind::Input, "a temporary file was damaged")
            .at(Place::File(self.0.directory.clone()))
            .hint("the disk or the memory of this machine may be failing")
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }
}
