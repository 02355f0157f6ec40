//! Frames: the rows that expressions are evaluated over.

use std::cell::RefCell;

use bumpalo::Bump;

use super::common::CommonValues;
use super::fault::{Fault, FaultLog, FaultTally, Met, Site};
use super::vector::{NumberKind, Numbers, Vector};
use crate::scan::{self, Cell, Kind, Original, Span};
use crate::value::Value;
use crate::value::{number, text};

/// The rows that expressions are evaluated over: a batch of records, or a batch of groups.
pub struct Frame<'a> {
    /// Where values made by expressions live.
    pub arena: &'a Bump,
    /// The columns.
    pub columns: Columns<'a>,
    /// Where the records come from.
    pub origin: Origin<'a>,
    /// What is known of its rows.
    pub(super) common: Option<CommonValues<'a>>,
    faults: RefCell<FaultLog>,
}

/// The columns of a [`Frame`].
#[derive(Clone, Copy)]
pub enum Columns<'a> {
    /// Records as the scanner found them.
    Records {
        /// The bytes of the lines.
        block: &'a [u8],
        /// The lines.
        rows: &'a [Span],
        /// A column for each path of the plan.
        columns: &'a [CellColumn<'a>],
    },
    /// Groups: a vector for each key, then one for each aggregate.
    Groups(&'a [Vector<'a>]),
}

/// A column of cells.
#[derive(Clone, Copy, Debug, Default)]
pub struct CellColumn<'a> {
    /// The bytes that the cells cover.
    pub bytes: &'a [u8],
    /// A cell for each row.
    pub cells: &'a [Cell],
}

/// Where the records of a frame come from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The input's name.
    pub name: &'a str,
    /// The input's number.
    pub file: u32,
    /// The number of the block in the input.
    pub block: u64,
    /// The offset of the block's first byte in the decompressed input.
    pub offset: u64,
    /// The number of the block's first line in the input, from 0, where it is known.
    pub first_line: Option<u64>,
    /// What the block's lines were made of, if they are not the bytes of the input.
    pub original: Option<Original<'a>>,
    /// What the order of records goes by, for each input; empty if that is the number of the input.
    pub ranks: &'a [u32],
    /// Where each record was, if they are not those of one block any more. Nothing else of this but the ranks says then where
    /// they are.
    pub parked: Option<Parked<'a>>,
}

/// Where records were that come from several blocks.
#[derive(Clone, Copy, Debug)]
pub struct Parked<'a> {
    /// The names of the inputs.
    pub names: &'a [String],
    /// For each record where it begins in the bytes of the frame, and where it was, in the order of the former.
    pub places: &'a [(u32, RecordPlace)],
}

/// Where a record is in the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordPlace {
    /// The number of the input.
    pub file: u32,
    /// The offset in the decompressed input.
    pub offset: u64,
    /// The number of its block.
    pub block: u64,
    /// The line in its block, from 0, or in the input, where it is known which line is the first one of the block.
    pub line: u64,
}

impl Parked<'_> {
    /// Where the record was that begins at a place of the frame's bytes.
    pub fn place(&self, start: u32) -> RecordPlace {
        let found = self.places.binary_search_by_key(&start, |(start, _)| *start);
        found.ok().and_then(|found| self.places.get(found)).map_or_else(RecordPlace::default, |(_, place)| *place)
    }
}

impl Origin<'_> {
    /// Where the record that begins at a place of the block begins among the bytes of the input.
    #[inline]
    pub fn place(&self, start: u32) -> u32 {
        self.original.map_or(start, |original| original.span(start).start)
    }

    /// What a line of the block stands for among the bytes of the input.
    pub fn span(&self, line: Span) -> Span {
        self.original.map_or(line, |original| original.span(line.start))
    }

    /// What the order of records goes by: the rank of the input, and the offset there, once decompressed, of the record that
    /// begins at a place of the block.
    #[inline]
    pub fn position_of(&self, start: u32) -> (u32, u64) {
        let (file, offset) = match self.parked {
            None => (self.file, self.offset + u64::from(self.place(start))),
            Some(parked) => {
                let RecordPlace { file, offset, .. } = parked.place(start);
                (file, offset)
            }
        };
        (self.ranks.get(file as usize).copied().unwrap_or(file), offset)
    }
}

impl<'a> Frame<'a> {
    /// A frame over some columns.
    pub fn new(arena: &'a Bump, columns: Columns<'a>, origin: Origin<'a>) -> Frame<'a> {
        Frame { arena, columns, origin, common: None, faults: RefCell::default() }
    }

    /// The frame of whose rows something is known.
    pub fn with_common(self, common: Option<CommonValues<'a>>) -> Frame<'a> {
        Frame { common, ..self }
    }

    /// Counts a fault of a row at a site, with what was met, where that is known.
    #[cold]
    pub fn fault(&self, site: &Site, fault: Fault, met: Option<Met>, row: u32) {
        // What was met tells nothing of a division by zero.
        let met = met.filter(|_| fault == Fault::Type);
        self.faults.borrow_mut().add(site.id, fault, met, row);
    }

    /// The faults counted so far; counting starts again.
    pub fn take_faults(&self) -> Vec<FaultTally> {
        self.faults.borrow_mut().take()
    }

    /// The bytes that a column of records covers, and its cells; `None` for a frame of groups.
    pub fn cells(&self, column: usize) -> Option<(&'a [u8], &'a [Cell])> {
        match self.columns {
            Columns::Records { columns, .. } => columns.get(column).map(|column| (column.bytes, column.cells)),
            Columns::Groups(_) => None,
        }
    }

    /// Reads a column of records for some rows.
    ///
    /// A column of only small integers, of only floats, or of only numbers and NULLs becomes a typed vector; the first
    /// value of another kind starts the next more general way from the beginning, which costs little, as it tends to
    /// come early.
    pub(super) fn read(&self, column: usize, rows: &[u32]) -> Vector<'a> {
        let Some((block, cells)) = self.cells(column) else { return Vector::Constant(Value::Null) };
        let first = rows.first().map_or(Kind::Missing, |&row| cells[row as usize].kind());
        if first == Kind::Text {
            // What each value is made of is written to its place, and not to the stack first.
            let values = self.arena.alloc_slice_fill_copy(rows.len(), Value::Null);
            for (value, &row) in values.iter_mut().zip(rows) {
                let cell = cells[row as usize];
                if cell.kind() == Kind::Text {
                    *value = Value::Text(cell.bytes(block));
                } else {
                    *value = cell_value(cell, block, self.arena);
                }
            }
            return Vector::Values(values);
        }
        let numbers = match first {
            Kind::Int => {
                let ints = read_ints(self.arena, block, cells, rows);
                ints.or_else(|| read_numbers(self.arena, block, cells, rows))
            }
            Kind::Float | Kind::Null | Kind::Missing => read_numbers(self.arena, block, cells, rows),
            _ => None,
        };
        numbers.unwrap_or_else(|| {
            Vector::build(self.arena, rows.len(), |i| cell_value(cells[rows[i] as usize], block, self.arena))
        })
    }
}

/// A column of only integers of 64 bits.
fn read_ints<'a>(arena: &'a Bump, block: &[u8], cells: &[Cell], rows: &[u32]) -> Option<Vector<'a>> {
    let values = arena.alloc_slice_fill_copy(rows.len(), 0);
    scan::read_ints(block, cells, rows, values).then_some(Vector::Ints(values))
}

/// A column of only numbers and NULLs, of which no integer is beyond [`Numbers::MAX_INT`].
fn read_numbers<'a>(arena: &'a Bump, block: &[u8], cells: &[Cell], rows: &[u32]) -> Option<Vector<'a>> {
    let values = arena.alloc_slice_fill_copy(rows.len(), 0.0);
    if !scan::read_floats(block, cells, rows, values) {
        return None;
    }
    let kind = |row: u32| match cells[row as usize].kind() {
        Kind::Float => NumberKind::Float,
        Kind::Int => NumberKind::Int,
        _ => NumberKind::Null,
    };
    if rows.iter().all(|&row| kind(row) == NumberKind::Float) {
        return Some(Vector::Floats(values));
    }
    let kinds = arena.alloc_slice_fill_iter(rows.iter().map(|&row| kind(row)));
    Some(Vector::Numbers(Numbers { values, kinds }))
}

/// The value that a cell covers.
#[inline]
pub(crate) fn cell_value<'a>(cell: Cell, block: &'a [u8], arena: &'a Bump) -> Value<'a> {
    let bytes = cell.bytes(block);
    match cell.kind() {
        Kind::Missing | Kind::Null => Value::Null,
        Kind::False => Value::Bool(false),
        Kind::True => Value::Bool(true),
        Kind::Int => number::parse_int(bytes).map_or_else(|| Value::number(bytes), Value::Int),
        Kind::Float => number::parse_float(bytes).map_or_else(|| Value::number(bytes), Value::Float),
        Kind::Text => Value::Text(bytes),
        Kind::Escaped => Value::Text(text::unescape(bytes, arena)),
        Kind::Array | Kind::Object => Value::Json(bytes),
    }
}
