//! Rows for the elements of arrays.
//!
//! An element is a part of its record, and so of the block: its fields are cells of the block like those of the record,
//! whose cells are repeated beside each of its elements. What comes after does not know the difference.

use crate::plan::{Plan, Unnest};
use crate::scan::{Batch, Cell, Kind, Path, Span, Step};
use crate::value::json;

/// The rows of one block, one for each element.
#[derive(Debug, Default)]
pub(super) struct Unnested {
    /// The line of each row.
    pub(super) rows: Vec<Span>,
    /// The place of each row's record in the batch.
    pub(super) records: Vec<u32>,
    /// The columns of the record, then those of the elements of each array.
    pub(super) columns: Vec<Vec<Cell>>,
    /// For each array the number of values that are no arrays, and the place of the first one's record.
    pub(super) faults: Vec<Option<(u64, u32)>>,
}

impl Unnested {
    /// The rows of a batch.
    pub(super) fn new(plan: &Plan, batch: &Batch, block: &[u8]) -> Unnested {
        let mut all = Unnested {
            rows: batch.rows.clone(),
            records: (0..batch.rows.len() as u32).collect(),
            columns: batch.columns[..plan.paths.len()].to_vec(),
            faults: Vec::new(),
        };
        for unnest in &plan.unnests {
            all.expand(unnest, block);
        }
        all
    }

    fn expand(&mut self, unnest: &Unnest, block: &[u8]) {
        let crate::expr::Expr::Field { column, .. } = unnest.array else { return };
        let (mut parents, mut elements) = (Vec::new(), Vec::new());
        let mut fault = None;
        for (row, cell) in self.columns[column].iter().enumerate() {
            let before = elements.len();
            match cell.kind() {
                Kind::Array => {
                    elements.extend(json::elements(cell.bytes(block)).map(|text| Cell::of_text(block, text)))
                }
                Kind::Missing | Kind::Null => {}
                _ => fault.get_or_insert((0, self.records[row])).0 += 1,
            }
            if unnest.outer && elements.len() == before {
                elements.push(Cell::MISSING);
            }
            parents.resize(elements.len(), row as u32);
        }
        self.faults.push(fault);
        self.rows = parents.iter().map(|&row| self.rows[row as usize]).collect();
        self.records = parents.iter().map(|&row| self.records[row as usize]).collect();
        for column in &mut self.columns {
            *column = parents.iter().map(|&row| column[row as usize]).collect();
        }
        for path in &unnest.paths {
            self.columns.push(elements.iter().map(|element| follow(*element, path, block)).collect());
        }
    }

    /// The number of records that some rows are of.
    pub(super) fn count_records(&self, rows: &[u32]) -> u64 {
        let record = |row: &u32| self.records[*row as usize];
        rows.chunk_by(|a, b| record(a) == record(b)).count() as u64
    }
}

/// The cell of a path into an element.
fn follow(element: Cell, path: &Path, block: &[u8]) -> Cell {
    let mut cell = element;
    for step in &path.steps {
        let text = cell.bytes(block);
        let found = match (step, cell.kind()) {
            (Step::Key(key), Kind::Object) => json::get(text, key),
            (Step::Index(index), Kind::Array) => json::index(text, i64::from(*index)),
            _ => None,
        };
        cell = found.map_or(Cell::MISSING, |text| Cell::of_text(block, text));
    }
    cell
}
