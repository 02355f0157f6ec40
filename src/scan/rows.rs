//! The cells of the rows that were read last, row by row, on their way into the columns of a batch.
//!
//! The walk finds a row's cells in the order of its keys, and must be able to forget them. So it writes them into a row
//! of slots; when a few hundred rows are full, they go into the columns together.

use super::Cell;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// Rows of `stride` cells. From `row` on, all are missing, except for what was set in the rows that are being read.
    cells: Vec<Cell>,
    stride: usize,
    /// The index of the current row's first cell.
    row: usize,
    /// The slot of each column.
    slots: Vec<u32>,
}

/// The cells that are kept; small enough to stay in the first cache.
const CELLS: usize = 1024;
/// The rows that there is always room for.
const MIN_ROWS: usize = 8;

impl Rows {
    /// Rows of `stride` slots; column `i` of the batch has the cells of `slots[i]`.
    pub fn new(stride: usize, slots: Vec<u32>) -> Rows {
        let rows = (CELLS / stride).max(MIN_ROWS);
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

    /// The number of a row's cells, and the cells of the current row and of those behind it.
    #[inline(always)]
    pub fn room(&mut self) -> (usize, &mut [Cell]) {
        (self.stride, &mut self.cells[self.row..])
    }

    /// Makes room for `rows` rows, at most [`MIN_ROWS`].
    #[inline(always)]
    pub fn make_room(&mut self, rows: usize, columns: &mut [Vec<Cell>]) {
        if self.row + rows * self.stride > self.cells.len() {
            self.flush(columns);
        }
    }

    /// Drops the current row: what was set in those behind it is then one row further ahead.
    pub fn discard(&mut self) {
        let end = (self.row + MIN_ROWS * self.stride).min(self.cells.len());
        self.cells.copy_within(self.row + self.stride..end, self.row);
        self.cells[end - self.stride..end].fill(Cell::MISSING);
    }

    /// Keeps as many rows, from the current one on, and begins the next.
    #[inline(always)]
    pub fn keep(&mut self, rows: usize) {
        self.row += rows * self.stride;
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
