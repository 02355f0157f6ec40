//! The cells of the rows that were read last, row by row, on their way into the columns of a batch.
//!
//! The walk finds a row's cells in the order of its keys, and must be able to forget them. So it writes them into a row
//! of slots; when a few hundred rows are full, they go into the columns together.

use std::ops::Range;

use super::Cell;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// Rows of `stride` cells. From `row` on, all are missing, except for what was set in the row itself.
    cells: Vec<Cell>,
    stride: usize,
    /// The index of the current row's first cell.
    row: usize,
    /// The slot of each column.
    slots: Vec<u32>,
}

/// The cells that are kept; small enough to stay in the first cache.
const CELLS: usize = 1024;

impl Rows {
    /// Rows of `stride` slots; column `i` of the batch has the cells of `slots[i]`.
    pub fn new(stride: usize, slots: Vec<u32>) -> Rows {
        let rows = (CELLS / stride).max(1);
        Rows { cells: vec![Cell::MISSING; rows * stride], stride, row: 0, slots }
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.slots.len()
    }

    /// The current row.
    #[inline(always)]
    pub fn row(&mut self) -> &mut [Cell] {
        &mut self.cells[self.row..self.row + self.stride]
    }

    /// Sets a cell of the current row.
    #[inline(always)]
    pub fn set(&mut self, slot: u32, cell: Cell) {
        self.cells[self.row + slot as usize] = cell;
    }

    /// Makes cells of the current row missing.
    #[inline(always)]
    pub fn clear(&mut self, slots: Range<usize>) {
        self.cells[self.row + slots.start..self.row + slots.end].fill(Cell::MISSING);
    }

    /// Makes all cells of the current row missing.
    pub fn discard(&mut self) {
        self.clear(0..self.stride);
    }

    /// Keeps the current row and begins the next.
    #[inline(always)]
    pub fn keep(&mut self, columns: &mut [Vec<Cell>]) {
        self.row += self.stride;
        if self.row == self.cells.len() {
            self.flush(columns);
        }
    }

    /// Moves the rows that were kept into the columns.
    #[inline(never)]
    pub fn flush(&mut self, columns: &mut [Vec<Cell>]) {
        for (column, &slot) in columns.iter_mut().zip(&self.slots) {
            column.extend(self.cells[..self.row].chunks_exact(self.stride).map(|row| row[slot as usize]));
        }
        self.cells[..self.row].fill(Cell::MISSING);
        self.row = 0;
    }
}
