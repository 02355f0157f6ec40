//! Rows that wait for their turn on disk.

use crate::error::{Error, ErrorKind, Result};
use crate::output::Rows;
use crate::spill::{RunReader, RunWriter, Space};
use crate::value::leb128;

/// Rows in pieces, on disk.
#[derive(Default)]
pub(super) struct Parked {
    writer: Option<RunWriter>,
    rows: usize,
}

impl Parked {
    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends rows, which are then dropped.
    ///
    /// # Errors
    /// Any error of writing.
    pub(super) fn push(&mut self, rows: &mut Rows, space: &Space) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            writer => writer.insert(RunWriter::new(space)?),
        };
        self.rows += rows.len();
        let mut lens = Vec::new();
        let mut start = 0;
        rows.ends.iter().for_each(|&end| leb128::put((end - std::mem::replace(&mut start, end)) as u64, &mut lens));
        // The entries of a run are in the order of their keys, of which all are the same.
        writer.push(b"", &lens)?;
        writer.push(b"", &rows.bytes)?;
        rows.clear();
        rows.bytes.shrink_to(MOST);
        Ok(())
    }

    /// The rows, to be read; `None` if there are none.
    ///
    /// # Errors
    /// Any error of writing.
    pub(super) fn finish(self) -> Result<Option<Unparked>> {
        let run = self.writer.map(RunWriter::finish).transpose()?;
        Ok(run.map(|run| Unparked(RunReader::new(run))))
    }
}

/// The bytes of rows that a worker makes before it parks them, however many a block has.
pub(super) const MOST: usize = 2 << 20;

/// Rows that are read from disk, piece by piece.
pub(super) struct Unparked(RunReader);

impl Unparked {
    /// Reads the next piece; `false` if there is none.
    ///
    /// # Errors
    /// Any error of reading.
    pub(super) fn next(&mut self, rows: &mut Rows) -> Result<bool> {
        rows.clear();
        if !self.0.advance()? {
            return Ok(false);
        }
        let mut lens = self.0.payload();
        while let Some(len) = leb128::take(&mut lens) {
            rows.ends.push(rows.ends.last().copied().unwrap_or(0) + len as usize);
        }
        let found = self.0.advance()?;
        rows.bytes.extend_from_slice(self.0.payload());
        if !found || rows.ends.last().copied().unwrap_or(0) != rows.bytes.len() {
            return Err(Error::new(ErrorKind::Internal, "rows that were written to disk cannot be read"));
        }
        Ok(true)
    }
}
