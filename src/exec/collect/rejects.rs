//! Where rejected lines go.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::sync::{Mutex, MutexGuard};

use crate::error::Result;

/// Where the rejected lines of a run go, and of those within it.
pub(in crate::exec) enum Rejects {
    /// To one place.
    All(RejectsWriter),
    /// To one place for each of the sources of these names.
    Named(BTreeMap<String, RejectsWriter>),
}

/// A place for rejected lines.
pub(in crate::exec) struct RejectsWriter(Mutex<BufWriter<Box<dyn Write + Send>>>);

impl RejectsWriter {
    pub(in crate::exec) fn new(writer: Box<dyn Write + Send>) -> RejectsWriter {
        RejectsWriter(Mutex::new(BufWriter::new(writer)))
    }

    /// Hands on what is buffered.
    pub(super) fn flush(&self) -> Result<()> {
        self.lock().flush().map_err(crate::output::write_error)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BufWriter<Box<dyn Write + Send>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Rejects {
    /// Where those of a source go, which may have a name.
    pub(super) fn of(&self, name: Option<&str>) -> Option<&RejectsWriter> {
        match self {
            Rejects::All(writer) => Some(writer),
            Rejects::Named(writers) => writers.get(name?),
        }
    }

    pub(in crate::exec) fn flush(&self) -> Result<()> {
        match self {
            Rejects::All(writer) => writer.flush(),
            Rejects::Named(writers) => writers.values().try_for_each(RejectsWriter::flush),
        }
    }
}
