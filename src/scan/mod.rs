//! The scanner: one pass over a block that validates every byte and extracts the paths that a query needs.

mod batch;
mod count;
mod elements;
mod kinds;
mod lines;
mod links;
#[cfg(test)]
mod naive;
mod number;
mod numbers;
mod original;
mod path;
mod places;
mod rows;
mod short;
mod simd;
mod skip;
mod string;
#[cfg(test)]
mod tests;
mod together;
mod walk;

pub use batch::{Batch, Cell, Kind, Reason, Reject, Span};
pub(crate) use count::{count_elements, escape_surplus};
pub(crate) use elements::Elements;
pub(crate) use kinds::{CLASSES, KindCounts, class_of, count_kinds};
pub(crate) use numbers::{read_floats, read_ints};
pub use original::{Mark, Original};
pub use path::{Path, Step};
pub(crate) use path::{StepRef, steps_of};
pub use short::{Short, Tiny};
pub(crate) use simd::prefetch;

use lines::{Lines, Luck};
use links::Links;
use places::Places;
use rows::Rows;
use simd::Simd;
use walk::{Fault, Scratch, peek};

/// What a line may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The nesting of arrays and objects: the depth of `[]` is 1.
    pub max_depth: u32,
    /// The length in bytes, without the newline. More than [`Cell::MAX_LEN`] counts as that.
    pub max_line: usize,
}

/// 128 levels and 16 MiB.
impl Default for Limits {
    fn default() -> Limits {
        Limits { max_depth: 128, max_line: 16 << 20 }
    }
}

/// Reads blocks of JSON Lines into batches.
///
/// A line is a record if it is valid UTF-8 and one JSON value as RFC 8259 defines it, within the [`Limits`]. A newline
/// always ends a line. What a scanner learns about the shape of the records makes later blocks faster, and never
/// changes what it finds. A worker has a scanner of its own; it allocates while it learns, not for each record.
///
/// ```
/// use foldl::scan::{Batch, Kind, Limits, Path, Scanner, Step};
///
/// let path = Path { steps: vec![Step::Key("price".into())] };
/// let mut scanner = Scanner::new(&[path], Limits::default());
/// let mut batch = Batch::default();
/// let block = b"{\"id\": 1, \"price\": 11.59}\n{\"id\": 2}\n{\"id\": 3,}\n";
/// scanner.scan(block, &mut batch);
/// assert_eq!(batch.rows.len(), 2);
/// assert_eq!(batch.columns[0][0].bytes(block), b"11.59");
/// assert_eq!(batch.columns[0][1].kind(), Kind::Missing);
/// assert_eq!((batch.rejects[0].line, batch.rejects[0].at), (2, 9));
/// ```
#[derive(Clone, Debug)]
pub struct Scanner {
    simd: Simd,
    /// The places of the paths, with nothing learned.
    wanted: Places,
    places: Places,
    links: Links,
    limits: Limits,
    rows: Rows,
    luck: Luck,
    scratch: Scratch,
    ends: Vec<u32>,
}

impl Scanner {
    /// A scanner that extracts these paths, which may repeat and be prefixes of each other. Lines beyond the limits
    /// are rejected.
    pub fn new(paths: &[Path], limits: Limits) -> Scanner {
        Scanner::with_simd(Simd::detect(), paths, limits)
    }

    fn with_simd(simd: Simd, paths: &[Path], limits: Limits) -> Scanner {
        let (wanted, slots) = Places::new(paths);
        Scanner {
            simd,
            places: wanted.clone(),
            links: Links::new(wanted.unwanted()),
            limits: Limits { max_line: limits.max_line.min(Cell::MAX_LEN), ..limits },
            rows: Rows::new(wanted.unwanted() as usize + 1, slots),
            wanted,
            luck: Luck::default(),
            scratch: Scratch::default(),
            ends: Vec::new(),
        }
    }

    /// Clears the batch and fills it from the block, which holds whole lines; the last one may lack its newline.
    ///
    /// # Panics
    /// If the block is longer than 4 GiB, as [`Span`]s could not cover it.
    pub fn scan(&mut self, block: &[u8], batch: &mut Batch) {
        assert!(u32::try_from(block.len()).is_ok(), "a block of {} bytes is longer than 4 GiB", block.len());
        batch.rows.clear();
        batch.rejects.clear();
        batch.columns.resize_with(self.rows.columns(), Vec::new);
        batch.columns.iter_mut().for_each(Vec::clear);
        batch.lines = 0;
        if self.links.is_outdated() {
            self.places.clone_from(&self.wanted);
            self.links = self.links.anew(self.wanted.unwanted());
        }
        self.simd.run(Lines {
            block,
            places: &mut self.places,
            links: &mut self.links,
            rows: &mut self.rows,
            scratch: &mut self.scratch,
            ends: &mut self.ends,
            luck: &mut self.luck,
            batch,
            max_line: self.limits.max_line,
            max_depth: self.limits.max_depth,
        });
    }
}
