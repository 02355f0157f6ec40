//! How many rows are evaluated together: as many as their values do not take too much memory for, as a short call can make
//! a long value of each row.

use bumpalo::Bump;

/// The most rows that are evaluated together.
const MOST_ROWS: usize = 16 << 10;
/// How many times as many rows follow, at most. What the first ones make tells what those that follow will.
const GROWTH: usize = 16;

/// The number of rows that are evaluated next.
#[derive(Debug)]
pub(super) struct Portion {
    /// The bytes that the values of the rows are to take, about.
    bytes: usize,
    rows: usize,
}

impl Portion {
    /// One row, as nothing is known yet.
    pub(super) fn new(bytes: usize) -> Portion {
        Portion { bytes, rows: 1 }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Empties the arena of the values of the rows before.
    pub(super) fn clear(&self, values: &mut Bump) {
        values.reset();
        if values.allocated_bytes() > 2 * self.bytes {
            // A reset keeps the largest piece, which one long value may have made very large.
            *values = Bump::new();
        }
    }

    /// Takes in that the values of some rows, and what was written of them, took so many bytes.
    pub(super) fn learn(&mut self, rows: usize, bytes: usize) {
        let fitting = self.bytes / (bytes / rows.max(1) + 1);
        self.rows = fitting.clamp(1, MOST_ROWS.min(self.rows * GROWTH));
    }
}

/// The bytes of an arena that values lie in.
pub(super) fn used(arena: &Bump) -> usize {
    arena.allocated_bytes() - arena.chunk_capacity()
}
