//! Runs that outlive the process, in files of their own.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::run::{KeptRun, Run};
use crate::error::{Error, ErrorKind, Place, Result};

/// A file to which runs are copied, one after another.
#[derive(Debug)]
pub struct KeptFile {
    file: Arc<File>,
    path: PathBuf,
    /// Where the next run begins.
    at: u64,
}

impl KeptFile {
    /// A file without runs, in the place of one that may be there.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it cannot be made.
    pub fn create(path: PathBuf) -> Result<KeptFile> {
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&path) {
            Ok(file) => Ok(KeptFile { file: Arc::new(file), path, at: 0 }),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Copies a run to the end: the run there, and where it lies.
    ///
    /// # Errors
    /// As [`Run::keep`].
    pub fn keep(&mut self, run: Run) -> Result<(Run, KeptRun)> {
        let (run, place) = run.keep(&self.file, &self.path, self.at)?;
        self.at = place.end();
        Ok((run, place))
    }

    /// Sees to it that all of it is on disk.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it cannot be written.
    pub fn close(self) -> Result<()> {
        let folder = self.path.parent().map(File::open);
        let synced = self.file.sync_all().and_then(|()| folder.map_or(Ok(()), |folder| folder?.sync_all()));
        synced.map_err(|error| failed(self.path, error))
    }
}

fn failed(path: PathBuf, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Output, "cannot write").at(Place::File(path)).caused_by(error)
}
