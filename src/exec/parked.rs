//! Rows that wait for their turn on disk.

use crate::error::{Error, ErrorKind, Result};
use crate::output::Rows;
use crate::spill::{Run, RunReader, RunWriter, Space};
use crate::value::leb128;

/// Rows in pieces, on disk.
#[derive(Default)]
pub(super) struct Parked {
    run: Option<Stage>,
    rows: usize,
}

/// How far the rows have come to be on disk.
enum Stage {
    /// Some may still be in memory.
    Writing(RunWriter),
    /// All are there.
    Written(Run),
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
        let writer = match &mut self.run {
            Some(Stage::Writing(writer)) => writer,
            Some(Stage::Written(_)) => return Err(Error::new(ErrorKind::Internal, "rows come after the last ones")),
            run => match run.insert(Stage::Writing(RunWriter::new(space)?)) {
                Stage::Writing(writer) => writer,
                Stage::Written(_) => return Ok(()),
            },
        };
        self.rows += rows.len();
        let (mut lens, mut first, mut start) = (Vec::new(), 0, 0);
        for (row, &end) in rows.ends.iter().enumerate() {
            leb128::put((end - std::mem::replace(&mut start, end)) as u64, &mut lens);
            let next = rows.ends.get(row + 1);
            if next.is_none_or(|&next| next - first > PIECE) {
                // The entries of a run are in the order of their keys, of which all are the same.
                writer.push(b"", &lens)?;
                writer.push(b"", &rows.bytes[first..end])?;
                lens.clear();
                first = end;
            }
        }
        rows.clear();
        rows.bytes.shrink_to(KEPT);
        Ok(())
    }

    /// Says that no more rows come: nothing of them is in memory then.
    ///
    /// # Errors
    /// Any error of writing.
    pub(super) fn end(&mut self) -> Result<()> {
        self.run = match self.run.take() {
            Some(Stage::Writing(writer)) => Some(Stage::Written(writer.finish()?)),
            run => run,
        };
        Ok(())
    }

    /// The rows, to be read; `None` if there are none.
    ///
    /// # Errors
    /// Any error of writing.
    pub(super) fn finish(mut self) -> Result<Option<Unparked>> {
        self.end()?;
        Ok(match self.run {
            Some(Stage::Written(run)) => Some(Unparked(RunReader::new(run))),
            _ => None,
        })
    }
}

/// The bytes of rows that are written together, unless it is one row.
const PIECE: usize = 24 << 10;
/// The bytes of a buffer that stays when the rows in it are on disk.
const KEPT: usize = 512 << 10;

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
