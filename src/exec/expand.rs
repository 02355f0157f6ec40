//! What is put beside records: the elements of their arrays, and records with the same key.
//!
//! An element is a part of its record, and so of the block; a joined record lies in memory. In both cases what is put
//! beside a row is a column of cells for each path, and the cells of the row are repeated beside each of its mates. What
//! comes after does not know the difference.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bumpalo::Bump;

use super::arrays::Arrays;
use super::held::{Held, NONE};
use crate::expr::{CellColumn, Columns, Expr, Fault, FaultLog, FaultTally, Frame, Met, Origin, cell_value};
use crate::plan::{FirstOf, Join, JoinKind, Plan, Step, Unnest};
use crate::scan::{self, Batch, Cell, Elements, Kind, Path, Span};
use crate::value::json;

/// The most rows that joins make of a piece of a block, unless it is one record.
const MOST_ROWS: usize = 1 << 17;

/// The rows of a piece of a block.
pub(super) struct Expanded<'b> {
    arena: &'b Bump,
    block: &'b [u8],
    origin: Origin<'b>,
    /// The line of each row.
    pub(super) rows: Cow<'b, [Span]>,
    /// The place of each row's record in the batch.
    pub(super) records: Vec<u32>,
    /// The columns of the plan. Those that no step has made yet, or that are not wanted any more, have no cells.
    columns: Vec<Column<'b>>,
    /// What was met in the steps; the row of each is the place of the record in the batch.
    pub(super) faults: Vec<FaultTally>,
}

#[derive(Clone, Default)]
struct Column<'b> {
    bytes: &'b [u8],
    cells: Cow<'b, [Cell]>,
}

/// Rows beside their mates: the places of both. [`NONE`] is a mate of which all is missing.
#[derive(Default)]
struct Pairs {
    rows: Vec<u32>,
    mates: Vec<u32>,
}

impl<'b> Expanded<'b> {
    /// The rows of a piece of a batch; `None` if joins make too many of its records to have them all at once, and it can be
    /// cut. `held` has the records of each step that is a join.
    pub(super) fn new(
        plan: &'b Plan,
        batch: &'b Batch,
        piece: Range<usize>,
        block: &'b [u8],
        origin: Origin<'b>,
        held: &'b [Option<Held>],
        arena: &'b Bump,
    ) -> Option<Expanded<'b>> {
        let own = batch.columns[..plan.paths.len()].iter();
        let own = own.map(|cells| Column { bytes: block, cells: Cow::Borrowed(&cells[piece.clone()]) });
        let mut columns: Vec<Column> = own.collect();
        let more: usize = plan.steps.iter().map(|step| step.paths().len()).sum();
        let first = columns.len();
        columns.resize(first + more + plan.firsts.len(), Column::default());
        let mut all = Expanded {
            arena,
            block,
            origin,
            rows: Cow::Borrowed(&batch.rows[piece.clone()]),
            records: (piece.start as u32..piece.end as u32).collect(),
            columns,
            faults: Vec::new(),
        };
        if let Some(rows) = all.early_rows(plan, first + more) {
            all.keep(&rows);
        }
        let mut next = first;
        for (number, (step, held)) in plan.steps.iter().zip(held).enumerate() {
            match (step, held) {
                (Step::Unnest(unnest), _) => all.unnest(unnest, next, piece.len() > 1)?,
                (Step::Join(join), Some(held)) => all.join(join, held, next, piece.len() > 1)?,
                (Step::Join(_), None) => debug_assert!(false, "a join has its side"),
            }
            next += step.paths().len();
            let firsts = plan.firsts.iter().zip(first + more..);
            for (first, column) in firsts.filter(|(first, _)| first.before == number + 2) {
                all.columns[column] = all.first_of(first);
            }
        }
        Some(all)
    }

    /// The columns, for a frame.
    pub(super) fn columns(&self) -> Vec<CellColumn<'_>> {
        self.columns.iter().map(|column| CellColumn { bytes: column.bytes, cells: &column.cells }).collect()
    }

    /// The number of records that some rows are of.
    pub(super) fn count_records(&self, rows: &[u32]) -> u64 {
        let record = |row: &u32| self.records[*row as usize];
        rows.chunk_by(|a, b| record(a) == record(b)).count() as u64
    }

    /// The rows that the early part of WHERE leaves, if it can be asked: all fields that it is over are of the record, and
    /// there is no wrong type.
    fn early_rows(&self, plan: &'b Plan, firsts: usize) -> Option<Vec<u32>> {
        let early = plan.early.as_ref()?;
        let mut columns = self.columns();
        for (first, column) in plan.firsts.iter().zip(firsts..) {
            let &(key, value) = first.candidates.first()?;
            let is_own = key < plan.paths.len();
            if is_own && self.columns[key].cells.iter().all(|cell| cell.kind() != Kind::Missing) {
                columns[column] = columns[value];
            } else if early.expr.any(&|expr| matches!(expr, Expr::Field { column: own, .. } if *own == column)) {
                return None;
            }
        }
        let columns = Columns::Records { block: self.block, rows: &self.rows, columns: &columns };
        let frame = Frame::new(self.arena, columns, self.origin);
        let all: Vec<u32> = (0..self.rows.len() as u32).collect();
        let rows = early.not_false(&frame, &all);
        frame.take_faults().is_empty().then_some(rows)
    }

    /// Puts the elements of arrays beside the rows; their columns are those from `next`. `None` if the rows are too many, or
    /// the arrays, where an expression makes them, too long, and `may_refuse`.
    fn unnest(&mut self, unnest: &Unnest, next: usize, may_refuse: bool) -> Option<()> {
        let is_made = !matches!(unnest.array, Expr::Field { .. });
        let Column { bytes, cells } = match unnest.array {
            Expr::Field { column, .. } => self.columns[column].clone(),
            ref array => self.made(array, unnest.site.id, may_refuse)?,
        };
        let (keys, key_of) = first_keys(&unnest.paths);
        let mut found = Elements::new(keys.into_iter());
        let mut rows = Vec::new();
        let mut faults = FaultLog::default();
        for (row, cell) in cells.iter().enumerate() {
            let before = found.elements.len();
            match cell.kind() {
                Kind::Array => found.add(bytes, *cell),
                Kind::Missing | Kind::Null => {}
                _ => {
                    let met = Met::value(cell_value(*cell, bytes, self.arena));
                    faults.add(unnest.site.id, Fault::Type, met, self.records[row]);
                }
            }
            if unnest.outer && found.elements.len() == before {
                found.add_missing();
            }
            rows.resize(found.elements.len(), row as u32);
            if is_made && may_refuse && rows.len() > MOST_ROWS {
                return None;
            }
        }
        self.faults.extend(faults.take());
        self.keep(&rows);
        for ((own, path), key) in self.columns[next..].iter_mut().zip(&unnest.paths).zip(key_of) {
            let (start, rest) = match key {
                Some(key) => (&found.columns[key], &path.steps[1..]),
                None => (&found.elements, &path.steps[..]),
            };
            let cells = if rest.is_empty() {
                start.clone()
            } else {
                start.iter().map(|&cell| follow(cell, rest, bytes)).collect()
            };
            *own = Column { bytes, cells: Cow::Owned(cells) };
        }
        Some(())
    }

    /// The arrays that an expression makes of the rows.
    fn made(&mut self, array: &Expr, site: usize, may_refuse: bool) -> Option<Column<'b>> {
        let columns = self.columns();
        let columns = Columns::Records { block: self.block, rows: &self.rows, columns: &columns };
        let Arrays { bytes, cells, mut faults } = Arrays::evaluate(array, site, columns, self.origin, may_refuse)?;
        let record = |row: u32| self.records[row as usize];
        self.faults.extend(faults.take().into_iter().map(|tally| FaultTally { row: record(tally.row), ..tally }));
        Some(Column { bytes: self.arena.alloc_slice_copy(&bytes), cells: Cow::Owned(cells) })
    }

    /// Puts the records of the side that have the same key beside the rows; their columns are those from `next`.
    /// `None` if the rows are too many and `may_refuse`.
    fn join(&mut self, join: &'b Join, held: &'b Held, next: usize, may_refuse: bool) -> Option<()> {
        let mut pairs = self.matches(join, held, may_refuse)?;
        if let Some(condition) = &join.condition {
            let candidates = beside(self.picked(&pairs.rows), &pairs.mates, held, next);
            let columns: Vec<CellColumn> =
                candidates.iter().map(|column| CellColumn { bytes: column.bytes, cells: &column.cells }).collect();
            let spans: Vec<Span> = pairs.rows.iter().map(|&row| self.rows[row as usize]).collect();
            let columns = Columns::Records { block: self.block, rows: &spans, columns: &columns };
            let frame = Frame::new(self.arena, columns, self.origin);
            let all: Vec<u32> = (0..spans.len() as u32).collect();
            let mut selected = Vec::new();
            condition.select(&frame, &all, &mut selected);
            let faults = frame.take_faults();
            let record = |row: u32| self.records[pairs.rows[row as usize] as usize];
            self.faults.extend(faults.into_iter().map(|tally| FaultTally { row: record(tally.row), ..tally }));
            pairs = Pairs {
                rows: selected.iter().map(|&pair| pairs.rows[pair as usize]).collect(),
                mates: selected.iter().map(|&pair| pairs.mates[pair as usize]).collect(),
            };
        }
        match join.kind {
            JoinKind::Inner => {}
            JoinKind::Left => pairs.add_lonely(self.rows.len()),
            JoinKind::Semi => pairs.rows.dedup(),
            JoinKind::Anti => {
                let mut matched = pairs.rows.iter().copied().peekable();
                pairs.rows = (0..self.rows.len() as u32)
                    .filter(|row| {
                        let found = matched.peek() == Some(row);
                        while matched.next_if_eq(row).is_some() {}
                        !found
                    })
                    .collect();
            }
        }
        self.keep(&pairs.rows);
        if join.kind.adds_records() {
            self.columns = beside(std::mem::take(&mut self.columns), &pairs.mates, held, next);
        }
        Some(())
    }

    /// The rows with the records that have the same key.
    fn matches(&mut self, join: &'b Join, held: &Held, may_refuse: bool) -> Option<Pairs> {
        let count = self.rows.len() as u32;
        let all: Vec<u32> = (0..count).collect();
        let columns = self.columns();
        let frame = Frame::new(
            self.arena,
            Columns::Records { block: self.block, rows: &self.rows, columns: &columns },
            self.origin,
        );
        let most = if may_refuse { MOST_ROWS } else { usize::MAX };
        let found = held.find(&join.left, &frame, &all, most);
        let faults = frame.take_faults();
        drop(frame);
        let record = |row: u32| self.records[row as usize];
        self.faults.extend(faults.into_iter().map(|tally| FaultTally { row: record(tally.row), ..tally }));
        found.map(|(rows, mates)| Pairs { rows, mates })
    }

    /// The columns of some rows.
    fn picked(&self, rows: &[u32]) -> Vec<Column<'b>> {
        let pick = |column: &Column<'b>| match column.cells.is_empty() {
            true => Column::default(),
            false => {
                let cells = rows.iter().map(|&row| column.cells[row as usize]).collect();
                Column { bytes: column.bytes, cells }
            }
        };
        self.columns.iter().map(pick).collect()
    }

    /// Keeps some rows, some of them several times. Where each has one mate, which is common, nothing changes.
    fn keep(&mut self, rows: &[u32]) {
        let is_all = rows.len() == self.rows.len() && rows.iter().zip(0..).all(|(row, place)| *row == place);
        if !is_all {
            self.columns = self.picked(rows);
            self.rows = rows.iter().map(|&row| self.rows[row as usize]).collect();
            self.records = rows.iter().map(|&row| self.records[row as usize]).collect();
        }
    }

    /// The column of a field that is of the first record with its key.
    fn first_of(&self, first: &FirstOf) -> Column<'b> {
        let mut candidates = first.candidates.iter().copied();
        let Some((key, value)) = candidates.next() else { return Column::default() };
        self.or_else(key, value, candidates)
    }

    /// The column `value` for the rows that have the column `key`, the other candidates for those that have not.
    fn or_else(
        &self,
        key: usize,
        value: usize,
        mut others: impl Iterator<Item = (usize, usize)> + Clone,
    ) -> Column<'b> {
        let own = &self.columns[value];
        let has_key = |cell: &Cell| cell.kind() != Kind::Missing;
        let keys = &self.columns[key].cells;
        let present = keys.iter().filter(|cell| has_key(cell)).count();
        if present == keys.len() {
            return own.clone();
        }
        let Some((next_key, next_value)) = others.next() else { return own.clone() };
        let other = self.or_else(next_key, next_value, others);
        if present == 0 {
            return other;
        }
        // Some are here and some are there: they are put together.
        let mut bytes = Vec::new();
        // What stands beside many rows is copied once.
        let mut copies = HashMap::new();
        let copy = |(row, key): (usize, &Cell)| {
            let is_own = has_key(key);
            let from = if is_own { own } else { &other };
            let cell = from.cells[row];
            *copies.entry((is_own, cell)).or_insert_with(|| cell.copied(from.bytes, &mut bytes))
        };
        let cells: Vec<Cell> = keys.iter().enumerate().map(copy).collect();
        Column { bytes: self.arena.alloc_slice_copy(&bytes), cells: Cow::Owned(cells) }
    }
}

impl Pairs {
    /// Adds the rows that have no mate, each in its place.
    fn add_lonely(&mut self, rows: usize) {
        if self.rows.len() >= rows && self.rows.chunk_by(|a, b| a == b).count() == rows {
            return;
        }
        let mut all = Pairs::default();
        let mut pairs = self.rows.iter().zip(&self.mates).peekable();
        for row in 0..rows as u32 {
            let before = all.rows.len();
            while let Some((_, &mate)) = pairs.next_if(|(of, _)| **of == row) {
                all.rows.push(row);
                all.mates.push(mate);
            }
            if all.rows.len() == before {
                all.rows.push(row);
                all.mates.push(NONE);
            }
        }
        *self = all;
    }
}

/// Puts the records of a side beside rows: their columns are those from `next`.
fn beside<'b>(mut columns: Vec<Column<'b>>, mates: &[u32], held: &'b Held, next: usize) -> Vec<Column<'b>> {
    for (own, cells) in columns[next..].iter_mut().zip(&held.columns) {
        let mate = |&mate: &u32| if mate == NONE { Cell::MISSING } else { cells[mate as usize] };
        *own = Column { bytes: &held.bytes, cells: mates.iter().map(mate).collect() };
    }
    columns
}

/// The keys that paths begin with, each once, and for each path which of them that is.
fn first_keys(paths: &[Path]) -> (Vec<&str>, Vec<Option<usize>>) {
    let mut keys: Vec<&str> = Vec::new();
    let mut key_of = Vec::new();
    for path in paths {
        let key = match path.steps.first() {
            Some(scan::Step::Key(key)) => Some(keys.iter().position(|known| known == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            })),
            _ => None,
        };
        key_of.push(key);
    }
    (keys, key_of)
}

/// The cell that steps lead to.
fn follow(start: Cell, steps: &[scan::Step], block: &[u8]) -> Cell {
    let mut cell = start;
    for step in steps {
        let text = cell.bytes(block);
        let found = match (step, cell.kind()) {
            (scan::Step::Key(key), Kind::Object) => json::get(text, key),
            (scan::Step::Index(index), Kind::Array) => json::index(text, i64::from(*index)),
            _ => None,
        };
        cell = found.map_or(Cell::MISSING, |text| Cell::of_text(block, text));
    }
    cell
}
