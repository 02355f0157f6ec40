//! Rows for the elements of arrays.
//!
//! An element is a part of its record, and so of the block: its fields are cells of the block like those of the record,
//! whose cells are repeated beside each of its elements. What comes after does not know the difference.

use crate::expr::Expr;
use crate::plan::{Plan, Unnest};
use crate::scan::{Batch, Cell, Kind, Path, Span, Step};
use crate::value::{json, text};

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
        let Expr::Field { column, .. } = unnest.array else { return };
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
        let first = self.columns.len();
        self.columns.resize_with(first + unnest.paths.len(), || Vec::with_capacity(elements.len()));
        let columns = &mut self.columns[first..];
        for element in elements {
            push_cells(element, &unnest.paths, block, columns);
        }
    }

    /// The number of records that some rows are of.
    pub(super) fn count_records(&self, rows: &[u32]) -> u64 {
        let record = |row: &u32| self.records[*row as usize];
        rows.chunk_by(|a, b| record(a) == record(b)).count() as u64
    }
}

/// Appends the cells of paths into an element, a column each. An object is gone through once for all of them.
fn push_cells(element: Cell, paths: &[Path], block: &[u8], columns: &mut [Vec<Cell>]) {
    if element.kind() != Kind::Object {
        for (path, column) in paths.iter().zip(columns) {
            column.push(follow(element, &path.steps, block));
        }
        return;
    }
    for (path, column) in paths.iter().zip(&mut *columns) {
        column.push(if path.steps.is_empty() { element } else { Cell::MISSING });
    }
    for (body, has_escape, value) in json::entries(element.bytes(block)) {
        for (path, column) in paths.iter().zip(&mut *columns) {
            if let [Step::Key(key), rest @ ..] = path.steps.as_slice()
                && (if has_escape { text::unescapes_to(body, key.as_bytes()) } else { body == key.as_bytes() })
                && let Some(last) = column.last_mut()
            {
                // Of a key that stands twice the last value counts.
                *last = follow(Cell::of_text(block, value), rest, block);
            }
        }
    }
}

/// The cell that steps lead to.
fn follow(start: Cell, steps: &[Step], block: &[u8]) -> Cell {
    let mut cell = start;
    for step in steps {
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
