//! What is put beside records: the elements of their arrays, and records with the same key.
//!
//! An element is a part of its record, and so of the block; a joined record lies in memory. In both cases what is put
//! beside a row is a column of cells for each path, and the cells of the row are repeated beside each of its mates. What
//! comes after does not know the difference.
//!
//! Rows go through all steps in pieces, depth first: so they come out in their order, and however many are made of one
//! record, only few are in memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bumpalo::Bump;

use super::arrays::Arrays;
use super::held::EncodedKeys;
use super::late::{Chunk, Late, Waited};
use super::shared_scan::Scanned;
use super::side::{Side, Whereabouts};
use crate::error::Result;
use crate::expr::{CellColumn, Columns, Condition, Expr, Fault, FaultLog, FaultTally, Frame, Met, Origin, cell_value};
use crate::input::Input;
use crate::plan::{FirstOf, Join, JoinKind, Plan, Step, Unnest};
use crate::scan::{self, Cell, Elements, Kind, Path, Span};
use crate::value::json;

/// The most rows that a step hands on together.
const MOST_ROWS: usize = 16 << 10;
/// The number of no record: a row beside it has no mate.
const NONE: u32 = u32::MAX;

/// Rows on their way through the steps of a plan.
pub(super) struct Expanded<'b> {
    arena: &'b Bump,
    pub(super) block: &'b [u8],
    pub(super) origin: Origin<'b>,
    /// The line of each row.
    pub(super) rows: Cow<'b, [Span]>,
    /// The place of each row's record in the batch or chunk.
    pub(super) records: Cow<'b, [u32]>,
    /// The columns of the plan. Those that no step has made yet have no cells.
    columns: Vec<Column<'b>>,
    /// For each step so far that makes several rows of one a number for each row, which grows among these; only if the
    /// order is to be known.
    pub(super) ordinals: Vec<Cow<'b, [u64]>>,
    /// The keys for the next join, if the rows waited for it.
    waited: Option<&'b Waited>,
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
    /// The records of a block.
    pub(super) fn of_records(plan: &Plan, scanned: &Scanned<'b>, arena: &'b Bump) -> Expanded<'b> {
        let own = scanned.columns[..plan.paths.len()].iter();
        let mut columns: Vec<Column> =
            own.map(|cells| Column { bytes: scanned.bytes, cells: Cow::Borrowed(*cells) }).collect();
        columns.resize(plan.columns(), Column::default());
        Expanded {
            arena,
            block: scanned.bytes,
            origin: scanned.origin,
            rows: Cow::Borrowed(scanned.rows),
            records: (0..scanned.rows.len() as u32).collect(),
            columns,
            ordinals: Vec::new(),
            waited: None,
        }
    }

    /// Rows that waited.
    pub(super) fn of_chunk(chunk: &'b Chunk, input: &'b Input, arena: &'b Bump) -> Expanded<'b> {
        let column = |cells: &'b Vec<Cell>| Column { bytes: &chunk.bytes, cells: Cow::Borrowed(cells.as_slice()) };
        Expanded {
            arena,
            block: &chunk.bytes,
            origin: Origin { parked: Some(chunk.parked(input.names())), ranks: input.ranks(), ..Origin::default() },
            rows: Cow::Borrowed(&chunk.rows),
            records: (0..chunk.rows.len() as u32).collect(),
            columns: chunk.columns.iter().map(column).collect(),
            ordinals: chunk.ordinals.iter().map(|numbers| Cow::Borrowed(numbers.as_slice())).collect(),
            waited: Some(&chunk.waited),
        }
    }

    /// The columns, for a frame.
    pub(super) fn columns(&self) -> Vec<CellColumn<'_>> {
        self.columns.iter().map(|column| CellColumn { bytes: column.bytes, cells: &column.cells }).collect()
    }

    /// The cells of a row, and what they cover. Those that no step has made yet are missing.
    pub(super) fn cells(&self, row: u32) -> impl Iterator<Item = (Cell, &[u8])> {
        self.columns.iter().map(move |column| {
            let cell = column.cells.get(row as usize).copied().unwrap_or(Cell::MISSING);
            (cell, column.bytes)
        })
    }

    /// The number of rows.
    fn len(&self) -> usize {
        self.rows.len()
    }

    /// A frame over the rows, whose columns are given.
    pub(super) fn frame<'v>(&'v self, arena: &'v Bump, columns: &'v [CellColumn<'v>]) -> Frame<'v> {
        Frame::new(arena, Columns::Records { block: self.block, rows: &self.rows, columns }, self.origin)
    }

    /// Some rows, some of them several times.
    fn view<'v>(&'v self, arena: &'v Bump, rows: &[u32]) -> Expanded<'v> {
        // Where each has one mate, which is common, nothing changes.
        let is_all = rows.len() == self.len() && rows.iter().zip(0..).all(|(row, place)| *row == place);
        let column = |column: &'v Column<'b>| Column { bytes: column.bytes, cells: pick(&column.cells, rows, is_all) };
        Expanded {
            arena,
            block: self.block,
            origin: self.origin,
            rows: pick(&self.rows, rows, is_all),
            records: pick(&self.records, rows, is_all),
            columns: self.columns.iter().map(column).collect(),
            ordinals: self.ordinals.iter().map(|numbers| pick(numbers, rows, is_all)).collect(),
            waited: None,
        }
    }

    /// Rows beside records of a side: their columns are those from `next`.
    fn beside<'v>(&'v self, arena: &'v Bump, pairs: &Pairs, side: &'v Side, next: usize) -> Expanded<'v> {
        let mut rows = self.view(arena, &pairs.rows);
        for (own, cells) in rows.columns[next..].iter_mut().zip(&side.held.columns) {
            let mate = |&mate: &u32| if mate == NONE { Cell::MISSING } else { cells[mate as usize] };
            *own = Column { bytes: &side.held.bytes, cells: pairs.mates.iter().map(mate).collect() };
        }
        rows
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

/// Some of a number of things; all of them as they are, if that is known. None are where there are none.
fn pick<'v, T: Copy>(from: &'v [T], rows: &[u32], is_all: bool) -> Cow<'v, [T]> {
    match is_all || from.is_empty() {
        true => Cow::Borrowed(from),
        false => rows.iter().map(|&row| from[row as usize]).collect(),
    }
}

/// Takes rows through the steps of a plan.
pub(super) struct Expander<'x> {
    plan: &'x Plan,
    /// For each step that is a join the records of its side.
    sides: &'x [Option<Side>],
    /// Where rows go that have to wait, if some may.
    late: Option<&'x mut Late>,
    arenas: Vec<Bump>,
    /// What was met in the steps; the row of each is the place of the record in the batch or chunk.
    pub(super) faults: Vec<FaultTally>,
}

/// What takes the rows of all steps.
pub(super) type Taker<'t> = dyn FnMut(&Expanded<'_>) -> Result<()> + 't;

impl<'x> Expander<'x> {
    pub(super) fn new(plan: &'x Plan, sides: &'x [Option<Side>], late: Option<&'x mut Late>) -> Expander<'x> {
        Expander { plan, sides, late, arenas: Vec::new(), faults: Vec::new() }
    }

    /// Takes records through all steps.
    ///
    /// # Errors
    /// Those of `take`, and of putting rows on disk.
    pub(super) fn start(&mut self, rows: &Expanded<'_>, take: &mut Taker<'_>) -> Result<()> {
        match self.early_rows(rows) {
            None => self.advance(rows, 0, take),
            Some(left) => {
                let arena = self.arenas.pop().unwrap_or_default();
                let result = self.advance(&rows.view(&arena, &left), 0, take);
                self.put_back(arena);
                result
            }
        }
    }

    /// Takes rows through the steps from a number on.
    ///
    /// # Errors
    /// As [`start`](Expander::start).
    pub(super) fn advance(&mut self, rows: &Expanded<'_>, step: usize, take: &mut Taker<'_>) -> Result<()> {
        let (plan, sides) = (self.plan, self.sides);
        match (plan.steps.get(step), sides.get(step)) {
            (None, _) => take(rows),
            (Some(Step::Unnest(unnest)), _) => self.unnest(rows, unnest, step, take),
            (Some(Step::Join(join)), Some(Some(side))) => self.join(rows, join, side, step, take),
            (Some(Step::Join(_)), _) => {
                debug_assert!(false, "a join has its side");
                Ok(())
            }
        }
    }

    fn put_back(&mut self, mut arena: Bump) {
        arena.reset();
        self.arenas.push(arena);
    }

    /// Hands rows on to the step after one.
    fn hand_on(&mut self, mut rows: Expanded<'_>, step: usize, take: &mut Taker<'_>) -> Result<()> {
        let firsts = self.plan.firsts.iter().zip(self.plan.first_of_firsts()..);
        for (first, column) in firsts.filter(|(first, _)| first.before == step + 2) {
            rows.columns[column] = rows.first_of(first);
        }
        self.advance(&rows, step + 1, take)
    }

    /// The rows that the early part of WHERE leaves, if it can be asked: all fields that it is over are of the record, and
    /// there is no wrong type.
    fn early_rows(&self, rows: &Expanded<'_>) -> Option<Vec<u32>> {
        let early = self.plan.early.as_ref()?;
        let mut columns = rows.columns();
        for (first, column) in self.plan.firsts.iter().zip(self.plan.first_of_firsts()..) {
            let &(key, value) = first.candidates.first()?;
            let is_own = key < self.plan.paths.len();
            if is_own && rows.columns[key].cells.iter().all(|cell| cell.kind() != Kind::Missing) {
                columns[column] = columns[value];
            } else if early.expr.any(&|expr| matches!(expr, Expr::Field { column: own, .. } if *own == column)) {
                return None;
            }
        }
        let frame = rows.frame(rows.arena, &columns);
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let left = early.not_false(&frame, &all);
        frame.take_faults().is_empty().then_some(left)
    }

    /// Puts the elements of arrays beside the rows.
    fn unnest(&mut self, rows: &Expanded<'_>, unnest: &Unnest, step: usize, take: &mut Taker<'_>) -> Result<()> {
        let arena = self.arenas.pop().unwrap_or_default();
        let made = match unnest.array {
            Expr::Field { column, .. } => Some(rows.columns[column].clone()),
            ref array => self.arrays_of(rows, array, unnest.site.id, &arena),
        };
        let Some(Column { bytes, cells }) = made else {
            // They are too long to be there all at once.
            let all: Vec<u32> = (0..rows.len() as u32).collect();
            for part in all.chunks(rows.len().div_ceil(2)) {
                self.unnest(&rows.view(&arena, part), unnest, step, take)?;
            }
            self.put_back(arena);
            return Ok(());
        };
        let (keys, key_of) = first_keys(&unnest.paths);
        let mut found = Elements::new(keys.into_iter());
        // For each element the row that has it.
        let mut parents: Vec<u32> = Vec::new();
        let mut faults = FaultLog::default();
        let next = self.plan.columns_before(step);
        let mut number = 0;
        // The row that is next, and of an array that was begun what is left.
        let (mut row, mut rest) = (0, None);
        while row < rows.len() {
            found.clear();
            parents.clear();
            while row < rows.len() && parents.len() < MOST_ROWS {
                let cell = rest.unwrap_or(cells[row]);
                rest = match cell.kind() {
                    Kind::Array => found.add(bytes, cell, MOST_ROWS),
                    Kind::Missing | Kind::Null => None,
                    _ => {
                        let met = Met::value(cell_value(cell, bytes, &arena));
                        faults.add(unnest.site.id, Fault::Type, met, row as u32);
                        None
                    }
                };
                if unnest.outer && found.elements.len() == parents.len() {
                    found.add_missing();
                }
                parents.resize(found.elements.len(), row as u32);
                row += usize::from(rest.is_none());
            }
            if parents.is_empty() {
                break;
            }
            let own = self.arenas.pop().unwrap_or_default();
            let mut beside = rows.view(&own, &parents);
            for ((own, path), key) in beside.columns[next..].iter_mut().zip(&unnest.paths).zip(&key_of) {
                let (cells, rest) = match key {
                    Some(key) => (&found.columns[*key], &path.steps[1..]),
                    None => (&found.elements, &path.steps[..]),
                };
                let cells = match rest {
                    [] => Cow::Borrowed(cells.as_slice()),
                    rest => cells.iter().map(|&cell| follow(cell, rest, bytes)).collect(),
                };
                *own = Column { bytes, cells };
            }
            if self.keeps_order() {
                let first = number;
                number += parents.len() as u64;
                beside.ordinals.push((first..number).collect());
            }
            let result = self.hand_on(beside, step, take);
            self.put_back(own);
            result?;
        }
        self.take_faults(faults.take(), rows);
        drop(cells);
        self.put_back(arena);
        Ok(())
    }

    /// The arrays that an expression makes of rows; `None` if they are too long, and it is not one row.
    fn arrays_of<'a>(&mut self, rows: &Expanded<'_>, array: &Expr, site: usize, arena: &'a Bump) -> Option<Column<'a>> {
        let columns = rows.columns();
        let columns = Columns::Records { block: rows.block, rows: &rows.rows, columns: &columns };
        let Arrays { bytes, cells, mut faults } = Arrays::evaluate(array, site, columns, rows.origin, rows.len() > 1)?;
        self.take_faults(faults.take(), rows);
        Some(Column { bytes: arena.alloc_slice_copy(&bytes), cells: Cow::Owned(cells) })
    }

    fn keeps_order(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.keeps_order())
    }

    /// Puts the records of the side that have the same key beside the rows.
    fn join(&mut self, rows: &Expanded<'_>, join: &Join, side: &Side, step: usize, take: &mut Taker<'_>) -> Result<()> {
        let arena = self.arenas.pop().unwrap_or_default();
        let evaluated;
        let (keys, mut has_match) = match rows.waited {
            Some(waited) => (&waited.keys, waited.has_match.clone()),
            None => {
                evaluated = self.keys_of(rows, join, &arena);
                (&evaluated, vec![false; rows.len()])
            }
        };
        let mut mates = vec![&[][..]; rows.len()];
        for (&place, found) in keys.places.iter().zip(side.held.find(keys)) {
            mates[place as usize] = if join.needs_keys_only() { &found[..found.len().min(1)] } else { found };
        }
        // The rows that have met all of their mates when they have met those in memory.
        let mut is_done = vec![true; if side.is_on_disk() { rows.len() } else { 0 }];
        if side.is_on_disk() {
            for (_, place, order) in keys.iter() {
                is_done[place as usize] = side.whereabouts(order) == Whereabouts::Here;
            }
        }
        let is_done = |row: u32| is_done.get(row as usize).copied().unwrap_or(true);
        let next = self.plan.columns_before(step);
        let (mut row, mut met) = (0, 0);
        while row < rows.len() {
            // As many pairs as are handed on together; of the last row perhaps not all.
            let (first, mut pairs) = (row, Pairs::default());
            while let Some(mates) = mates.get(row) {
                let left = &mates[met..];
                let room = MOST_ROWS - pairs.rows.len();
                pairs.add(row as u32, &left[..left.len().min(room)]);
                if left.len() > room {
                    met += room;
                    break;
                }
                (row, met) = (row + 1, 0);
            }
            if let Some(condition) = &join.condition {
                pairs = self.fulfilling(condition, rows, pairs, side, next);
            }
            // Of a row with one pair at most, the pair tells it.
            let tells = join.kind == JoinKind::Inner || join.kind == JoinKind::Semi && join.needs_keys_only();
            if !tells || side.is_on_disk() {
                pairs.rows.iter().for_each(|&row| has_match[row as usize] = true);
            }
            let whole = first as u32..row as u32;
            match join.kind {
                JoinKind::Inner => {}
                JoinKind::Semi if tells && !side.is_on_disk() => {}
                JoinKind::Left => pairs.add_lonely(whole, |row| is_done(row) && !has_match[row as usize]),
                JoinKind::Semi => pairs.rows = whole.filter(|&row| is_done(row) && has_match[row as usize]).collect(),
                JoinKind::Anti => pairs.rows = whole.filter(|&row| is_done(row) && !has_match[row as usize]).collect(),
            }
            if pairs.rows.is_empty() {
                continue;
            }
            let own = self.arenas.pop().unwrap_or_default();
            let beside = match join.kind.adds_records() {
                false => rows.view(&own, &pairs.rows),
                true => {
                    let mut beside = rows.beside(&own, &pairs, side, next);
                    if self.keeps_order() {
                        let number = |&mate: &u32| if mate == NONE { 0 } else { side.number_of(mate) };
                        beside.ordinals.push(pairs.mates.iter().map(number).collect());
                    }
                    beside
                }
            };
            let result = self.hand_on(beside, step, take);
            self.put_back(own);
            result?;
        }
        if let (true, Some(late)) = (side.is_on_disk(), &mut self.late) {
            for (key, place, order) in keys.iter().filter(|(_, place, _)| !is_done(*place)) {
                late.park(step, order, key, has_match[place as usize], rows, place)?;
            }
        }
        self.put_back(arena);
        Ok(())
    }

    /// The keys of rows.
    fn keys_of(&mut self, rows: &Expanded<'_>, join: &Join, arena: &Bump) -> EncodedKeys {
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        let columns = rows.columns();
        let frame = rows.frame(arena, &columns);
        let keys = EncodedKeys::new(&join.left, &frame, &all);
        self.take_faults(frame.take_faults(), rows);
        keys
    }

    /// Takes the faults of some rows.
    fn take_faults(&mut self, faults: Vec<FaultTally>, rows: &Expanded<'_>) {
        let of_record = |tally: FaultTally| FaultTally { row: rows.records[tally.row as usize], ..tally };
        self.faults.extend(faults.into_iter().map(of_record));
    }

    /// The pairs that fulfil a condition.
    fn fulfilling(
        &mut self,
        condition: &Condition,
        rows: &Expanded<'_>,
        pairs: Pairs,
        side: &Side,
        next: usize,
    ) -> Pairs {
        let arena = self.arenas.pop().unwrap_or_default();
        let candidates = rows.beside(&arena, &pairs, side, next);
        let all: Vec<u32> = (0..pairs.rows.len() as u32).collect();
        let mut selected = Vec::new();
        let columns = candidates.columns();
        let frame = candidates.frame(&arena, &columns);
        condition.select(&frame, &all, &mut selected);
        self.take_faults(frame.take_faults(), &candidates);
        drop(frame);
        drop(columns);
        drop(candidates);
        self.put_back(arena);
        Pairs {
            rows: selected.iter().map(|&pair| pairs.rows[pair as usize]).collect(),
            mates: selected.iter().map(|&pair| pairs.mates[pair as usize]).collect(),
        }
    }
}

impl Pairs {
    fn add(&mut self, row: u32, mates: &[u32]) {
        match mates {
            [] => {}
            &[mate] => {
                self.rows.push(row);
                self.mates.push(mate);
            }
            mates => {
                self.rows.resize(self.rows.len() + mates.len(), row);
                self.mates.extend_from_slice(mates);
            }
        }
    }

    /// Adds those of some rows that are to stand alone, each in its place.
    fn add_lonely(&mut self, mut rows: Range<u32>, is_lonely: impl Fn(u32) -> bool) {
        let Some(first) = rows.find(|&row| is_lonely(row)) else { return };
        let start = self.rows.partition_point(|&row| row < first);
        let rest = Pairs { rows: self.rows.split_off(start), mates: self.mates.split_off(start) };
        let mut pairs = rest.rows.iter().zip(&rest.mates).peekable();
        for lonely in std::iter::once(first).chain(rows.filter(|&row| is_lonely(row))) {
            while let Some((&row, &mate)) = pairs.next_if(|(row, _)| **row < lonely) {
                self.add(row, &[mate]);
            }
            self.add(lonely, &[NONE]);
        }
        pairs.for_each(|(&row, &mate)| self.add(row, &[mate]));
    }
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
