//! Where rejected lines go.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard};

use crate::error::Result;
use crate::output::rejects_error;

/// Where the rejected lines of a run go, and of those within it.
pub(in crate::exec) enum Rejects {
    /// To one place.
    All(RejectsWriter),
    /// To one place for each of the sources of these names.
    Named(BTreeMap<String, RejectsWriter>),
}

/// A place for rejected lines.
pub(in crate::exec) struct RejectsWriter(Mutex<Buffered>);

struct Buffered {
    buffer: Vec<u8>,
    writer: Box<dyn Write + Send>,
}

impl RejectsWriter {
    pub(in crate::exec) fn new(writer: Box<dyn Write + Send>) -> RejectsWriter {
        RejectsWriter(Mutex::new(Buffered { buffer: Vec::new(), writer }))
    }

    /// Takes what is appended to the buffer.
    pub(super) fn append(&self, append: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        /// The most bytes that wait to be written, about.
        const MOST: usize = 64 << 10;
        let mut buffered = self.lock();
        append(&mut buffered.buffer)?;
        if buffered.buffer.len() > MOST { buffered.hand_on() } else { Ok(()) }
    }

    /// Hands on what is buffered, as it may take long before there is more.
    pub(super) fn hand_on(&self) -> Result<()> {
        self.lock().hand_on()
    }

    /// Hands on what is buffered, here and behind this.
    pub(super) fn flush(&self) -> Result<()> {
        let mut buffered = self.lock();
        buffered.hand_on()?;
        buffered.writer.flush().map_err(rejects_error)
    }

    fn lock(&self) -> MutexGuard<'_, Buffered> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Buffered {
    fn hand_on(&mut self) -> Result<()> {
        let written = self.writer.write_all(&self.buffer).map_err(rejects_error);
        self.buffer.clear();
        written
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
