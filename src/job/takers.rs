//! What takes the rows of a pass: outputs, checks, and the files beside them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::checking::{CheckRows, SharedWriter};
use super::store::{FileMode, FilePosition, LooseFile, Output, Transaction};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::Keep;
use crate::output::next_in_partition;

/// The files beside the outputs.
pub(super) struct Loose {
    files: Vec<(PathBuf, Arc<Mutex<LooseFile>>)>,
    /// Where they stood at a checkpoint.
    from: Vec<(PathBuf, FilePosition)>,
}

impl Loose {
    /// No files yet. Some stood somewhere at a checkpoint.
    pub(super) fn new(from: Vec<(PathBuf, FilePosition)>) -> Loose {
        Loose { files: Vec::new(), from }
    }

    /// A file, which several may write to.
    pub(super) fn open(
        &mut self,
        transaction: &mut Transaction<'_>,
        path: &Path,
        mode: FileMode,
    ) -> Result<SharedWriter> {
        if let Some((_, file)) = self.files.iter().find(|(known, _)| known == path) {
            return Ok(Arc::clone(file) as SharedWriter);
        }
        let from = self.from.iter().find(|(known, _)| known == path).map(|(_, from)| from);
        let file = Arc::new(Mutex::new(transaction.file(path, mode, from)?));
        self.files.push((path.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    /// Where all files stand, when what was written to them is on disk.
    pub(super) fn positions(&self) -> Result<Vec<(PathBuf, FilePosition)>> {
        let position = |(path, file): &(PathBuf, Arc<Mutex<LooseFile>>)| {
            let position = file.lock().unwrap_or_else(PoisonError::into_inner).position()?;
            Ok((path.clone(), position))
        };
        self.files.iter().map(position).collect()
    }

    /// The files, when nobody writes to them any more.
    pub(super) fn close(self) -> Result<Vec<LooseFile>> {
        let own = |(_, file): (PathBuf, Arc<Mutex<LooseFile>>)| {
            let file = Arc::into_inner(file)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "somebody still writes to a file of the run"))?;
            Ok(file.into_inner().unwrap_or_else(PoisonError::into_inner))
        };
        self.files.into_iter().map(own).collect()
    }
}

/// What takes the rows of one query of the pass.
pub(super) enum Taker {
    /// An output, and whether its rows come with their partitions.
    Output(Box<Output>, bool),
    Check(CheckRows),
}

impl Keep for Taker {
    fn keep(&mut self) -> Result<Json> {
        match self {
            Taker::Output(output, _) => json_of(&output.position()?),
            Taker::Check(rows) => rows.keep(),
        }
    }
}

/// What was written down.
pub(super) fn of_json<T: DeserializeOwned>(json: &Json) -> Result<T> {
    T::deserialize(json)
        .map_err(|error| Error::new(ErrorKind::Input, "the checkpoint does not hold what it should").caused_by(error))
}

/// What is written down, as JSON.
fn json_of(value: &impl Serialize) -> Result<Json> {
    serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::Internal, "a checkpoint cannot be written down").caused_by(error))
}

impl Write for Taker {
    /// Takes whole rows.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Taker::Output(output, false) => output.write_rows(bytes).map_err(io::Error::other)?,
            Taker::Output(output, true) => {
                let mut rest = bytes;
                while let Some((partition, rows)) = next_in_partition(&mut rest) {
                    output.write_to(partition, rows).map_err(io::Error::other)?;
                }
                if !rest.is_empty() {
                    return Err(io::Error::other("rows of partitions were cut"));
                }
            }
            Taker::Check(rows) => return rows.write(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
