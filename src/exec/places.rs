//! Where the records stand that the rows of a run are made of, for whoever takes the rows and has to tell.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::expr::Origin;
use crate::output::Rows;
use crate::scan::Span;

/// The place of the record that a row was made of.
///
/// It also tells of the rows after it, up to the next one that is noted: each of these was made of the line after that of
/// the row before, and has exactly its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// The number of the row among all rows of the run, from 0.
    pub row: u64,
    /// The number of the input.
    pub file: u32,
    /// The line in the input, from 0.
    pub line: u64,
    /// The offset of the record in the decompressed input.
    pub offset: u64,
}

/// The places of rows, in the order of the rows. A run notes them before it writes the rows; who has got rows takes them.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<VecDeque<RowPlace>>>);

impl Places {
    /// Takes the places of the rows before `row` that were not taken yet.
    pub fn take_before(&self, row: u64, out: &mut Vec<RowPlace>) {
        let mut places = self.lock();
        let count = places.partition_point(|place| place.row < row);
        out.extend(places.drain(..count));
    }

    pub(crate) fn note(&self, places: impl IntoIterator<Item = RowPlace>) {
        self.lock().extend(places);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RowPlace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The places of the rows of one block, as they are made.
#[derive(Default)]
pub(super) struct BlockPlaces {
    /// The row in the block, the line in the block, the place among the block's bytes as they were read.
    noted: Vec<(usize, u64, u32)>,
    /// The last row: its line, and where its record lies.
    last: Option<(u64, Span)>,
    /// Where the row after the last one would have to begin that it need not be noted.
    expected: u64,
}

impl BlockPlaces {
    /// Notes rows, the first of which has the number `first` in the block; they are the last ones of `made`. `raw` are the
    /// bytes of the block as they were read, `of` gives the line of each row.
    pub(super) fn add(
        &mut self,
        rows: &[u32],
        first: usize,
        origin: &Origin<'_>,
        raw: &[u8],
        lines: &[Span],
        made: &Rows,
    ) {
        let ends = &made.ends[made.ends.len() - rows.len()..];
        let before = made.ends.len() - rows.len();
        let mut start = before.checked_sub(1).map_or(0, |last| made.ends[last]);
        for (number, (&row, &end)) in rows.iter().zip(ends).enumerate() {
            let span = origin.span(lines[row as usize]);
            let line = match self.last {
                None => newlines(&raw[..span.start as usize]),
                // Mostly the next line. Records of other formats may have several.
                Some((line, last)) if origin.original.is_none() && span.start == last.end + 1 => line + 1,
                Some((line, last)) => line + newlines(&raw[last.start as usize..span.start as usize]),
            };
            let follows = self.last.is_some_and(|(last, _)| last + 1 == line) && u64::from(span.start) == self.expected;
            if !follows {
                self.noted.push((first + number, line, span.start));
            }
            self.last = Some((line, span));
            self.expected = u64::from(span.start) + (end - start) as u64;
            start = end;
        }
    }

    /// The places in the run, where the rows of the block begin with `row`, and its lines with `line`.
    pub(super) fn in_run(&self, file: u32, row: u64, line: u64, offset: u64) -> impl Iterator<Item = RowPlace> + '_ {
        self.noted.iter().map(move |&(at, own, start)| RowPlace {
            row: row + at as u64,
            file,
            line: line + own,
            offset: offset + u64::from(start),
        })
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
