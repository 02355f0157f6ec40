//! Arrays that an expression makes of each row, as cells, so that `unnest` takes them apart as it does those of records.

use bumpalo::Bump;

use super::portion::Portion;
use crate::expr::{Columns, Expr, Fault, FaultLog, Frame, Met, Origin, Vector};
use crate::scan::Cell;
use crate::value::{Value, json};

/// The bytes that arrays of several rows may come to, where that may be refused.
const MOST_BYTES: usize = 1 << 20;
/// The bytes that arrays of rows that are evaluated together come to, about.
const TOGETHER: usize = 64 << 10;

/// What an expression makes of some rows.
#[derive(Default)]
pub(super) struct Arrays {
    /// The bytes that the cells cover.
    pub(super) bytes: Vec<u8>,
    /// A cell for each row: an array, or what else there is.
    pub(super) cells: Vec<Cell>,
    /// The faults of evaluation, with the numbers of the rows.
    pub(super) faults: FaultLog,
}

impl Arrays {
    /// Evaluates an expression for all rows of some columns; `site` is where an array that is too long is counted. `None` if
    /// the arrays come to too many bytes and `may_refuse`.
    ///
    /// Rows are evaluated a few at a time: a short call can make a long array of each.
    pub(super) fn evaluate(
        expr: &Expr,
        site: usize,
        columns: Columns,
        origin: Origin,
        may_refuse: bool,
    ) -> Option<Arrays> {
        let Columns::Records { rows, .. } = columns else { return None };
        let count = rows.len();
        let mut all = Arrays { cells: Vec::with_capacity(count), ..Arrays::default() };
        let mut arena = Bump::new();
        let mut portion = Portion::new(TOGETHER);
        while all.cells.len() < count {
            arena.reset();
            let (start, bytes) = (all.cells.len(), all.bytes.len());
            let rows: Vec<u32> = (start..count.min(start + portion.rows())).map(|row| row as u32).collect();
            let frame = Frame::new(&arena, columns, origin);
            let values = expr.eval(&frame, &rows);
            match values {
                Vector::Constant(value) => {
                    let cell = all.add(value, site, rows[0]);
                    all.cells.resize(count, cell);
                }
                values => {
                    for (place, &row) in rows.iter().enumerate() {
                        let cell = all.add(values.get(place), site, row);
                        all.cells.push(cell);
                    }
                }
            }
            frame.take_faults().into_iter().for_each(|tally| all.faults.add_tally(tally));
            if may_refuse && all.bytes.len() > MOST_BYTES {
                return None;
            }
            portion.learn(rows.len(), all.bytes.len() - bytes);
        }
        Some(all)
    }

    /// The cell of a value, whose text is added to the bytes.
    fn add(&mut self, value: Value, site: usize, row: u32) -> Cell {
        if matches!(value, Value::Null) {
            return Cell::MISSING;
        }
        let start = self.bytes.len();
        json::write_json(value, &mut self.bytes);
        // Cells tell places in 32 bits, and lengths in fewer.
        if self.bytes.len() - start > Cell::MAX_LEN || self.bytes.len() > u32::MAX as usize {
            self.bytes.truncate(start);
            self.faults.add(site, Fault::Overflow, Met::value(value), row);
            return Cell::MISSING;
        }
        Cell::of_text(&self.bytes, &self.bytes[start..])
    }
}
