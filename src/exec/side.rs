//! The side of a join: the records of a query of its own, which runs first.
//!
//! They are held in memory if they fit. If not, all of them go to disk in the order of the hashes of their keys, and come
//! back a *range* of hashes at a time, as many as there is memory for. The first range is in memory while the rows are read
//! that the records are joined to; rows of the ranges after it wait, in the same order (`late`).
//!
//! Where the records of one hash are more than the memory takes, the range ends among them: then it has a *part* of them,
//! and the rows of that hash wait for the next part, too.

use std::io::{self, Write};

use bumpalo::Bump;

use super::allotment;
use super::held::{EncodedKeys, Held, HeldBuilder, order_of};
use super::image::{self, Image, damaged};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{CellColumn, Columns, FaultLog, Frame, Origin};
use crate::memory::{Budget, Reservation};
use crate::plan::Join;
use crate::scan::{Batch, Cell, Limits, Scanner, Span};
use crate::sort::{SortedRows, Sorter};
use crate::spill::Space;
use crate::value::{hash, leb128};

/// The bytes of records that are scanned together.
const CHUNK: usize = 256 << 10;

/// The records of one side.
pub(super) struct Side {
    /// Those in memory.
    pub(super) held: Held,
    /// Those on disk.
    stored: Option<Stored>,
    /// The number of all records, those that no row can meet included.
    pub(super) records: u64,
    /// For each path whether any record had it.
    pub(super) found: Vec<bool>,
    /// The faults in keys.
    pub(super) faults: FaultLog,
}

/// Where the records of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// All of them are in memory, those that were in memory before included.
    Here,
    /// Some are in memory, others come later.
    HereInPart,
    /// They come later.
    Later,
}

/// Records on disk.
struct Stored {
    rows: SortedRows,
    /// The last hash of the range in memory.
    until: u64,
    /// Whether other records of this hash come later.
    is_part: bool,
    /// The number of the range in memory.
    range: u32,
    /// The memory for a range.
    budget: Budget,
    /// The bytes that reading takes.
    reading: usize,
}

impl Stored {
    /// Records of which none is in memory.
    fn new(rows: SortedRows, budget: Budget, reading: usize) -> Stored {
        Stored { rows, until: 0, is_part: false, range: 0, budget, reading }
    }
}

impl Side {
    /// Whether not all records are in memory.
    pub(super) fn is_on_disk(&self) -> bool {
        self.stored.is_some()
    }

    /// The bytes of memory that it takes, or is about to.
    pub(super) fn size(&self) -> usize {
        match &self.stored {
            None => self.held.size(),
            Some(stored) => stored.budget.limit() + stored.reading,
        }
    }

    /// Where the records of a key are that has this [order](order_of).
    #[inline]
    pub(super) fn whereabouts(&self, order: u64) -> Whereabouts {
        match &self.stored {
            Some(stored) if order > stored.until => Whereabouts::Later,
            Some(stored) if order == stored.until && stored.is_part => Whereabouts::HereInPart,
            _ => Whereabouts::Here,
        }
    }

    /// The last order of keys of which records are in memory.
    pub(super) fn until(&self) -> u64 {
        self.stored.as_ref().map_or(u64::MAX, |stored| stored.until)
    }

    /// A number for a record in memory, which grows from record to record of a key, wherever these were.
    #[inline]
    pub(super) fn number_of(&self, record: u32) -> u64 {
        u64::from(self.stored.as_ref().map_or(0, |stored| stored.range)) << 32 | u64::from(record)
    }

    /// Gives the memory and the disk back that the records on disk take, when they have all been met.
    pub(super) fn release(&mut self, join: &Join) {
        if let Some(stored) = self.stored.take() {
            self.held = HeldBuilder::new(join, &stored.budget).finish();
        }
    }

    /// Sets the memory for each range of the records on disk, and loads the first one.
    ///
    /// # Errors
    /// As [`load_next`](Side::load_next).
    pub(super) fn begin(&mut self, join: &Join, budget: Budget) -> Result<()> {
        if let Some(stored) = &mut self.stored {
            stored.budget = budget;
            self.load_next(join)?;
        }
        Ok(())
    }

    /// Loads the next range of the records on disk in the place of those in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] if the memory does not do for a single record; any error of reading.
    pub(super) fn load_next(&mut self, join: &Join) -> Result<()> {
        let Some(stored) = &mut self.stored else { return Ok(()) };
        let none = HeldBuilder::new(join, &stored.budget).finish();
        let before = std::mem::replace(&mut self.held, none);
        let mut builder = HeldBuilder::again(before, join, &stored.budget);
        let mut cells = vec![Cell::MISSING; cells_of(join)];
        let mut last = None;
        stored.range += 1;
        (stored.until, stored.is_part) = (u64::MAX, false);
        while stored.rows.advance()? {
            let order = stored.rows.key().first_chunk().map_or(0, |order| u64::from_be_bytes(*order));
            let mut payload = stored.rows.row();
            let key = leb128::take_bytes(&mut payload).ok_or_else(damaged)?;
            let text = image::take(&mut payload, &mut cells).ok_or_else(damaged)?;
            if !builder.make_room(1, text.len(), key.len()) {
                let Some(last) = last else {
                    let message = format!("the memory does not do for a record of {}", join.name);
                    return Err(Error::new(ErrorKind::Resource, message).hint("raise --memory-limit"));
                };
                (stored.until, stored.is_part) = (last, last == order);
                stored.rows.put_back();
                break;
            }
            let row = Span { start: 0, end: text.len() as u32 };
            // Its order, turned round again.
            builder.add(key, order_of(order), cells.iter().map(|&cell| (cell, text)), row);
            last = Some(order);
        }
        self.held = builder.finish_range();
        Ok(())
    }
}

/// Takes the rows of a side's query, as JSON Lines.
pub(super) struct SideWriter<'p> {
    join: &'p Join,
    /// The columns of the plan before those of the side.
    before: usize,
    scanner: Scanner,
    batch: Batch,
    arena: Bump,
    /// Bytes that were not scanned yet.
    pending: Vec<u8>,
    target: Target,
    /// Takes the records when they go to disk.
    sorter: Option<Sorter>,
    /// The memory for records that are sorted.
    sorting: Budget,
    /// How much of that reading them may take when they have been sorted.
    reading: usize,
    records: u64,
    found: Vec<bool>,
    faults: FaultLog,
    error: Option<Error>,
    /// What scanning takes.
    _scanning: Reservation,
}

/// Where the records go.
enum Target {
    Memory(HeldBuilder),
    Disk(Records),
}

/// Records on their way to disk.
struct Records {
    sorter: Sorter,
    /// The number of the next one.
    next: u64,
    /// The number of cells of each.
    cells: usize,
    /// Whether they all lie in the record as a whole.
    has_whole: bool,
    image: Image,
    payload: Vec<u8>,
}

impl<'p> SideWriter<'p> {
    /// The side of a join whose columns come after so many, in memory of a budget: the first of so many that are to have what
    /// is left of that.
    pub(super) fn new(join: &'p Join, before: usize, budget: &Budget, sharers: usize, space: &Space) -> SideWriter<'p> {
        // The rows of a query may nest more deeply than its input does.
        let limits = Limits { max_depth: u32::MAX, max_line: Cell::MAX_LEN };
        let mut scanning = budget.reservation("records that are scanned");
        let _is_reserved = scanning.try_resize(6 * CHUNK);
        // Some is left for what is sorted when the records go to disk, the first of it for sure.
        let own = budget.left();
        let sorting = budget.part(own);
        let sorter = Sorter::new(None, &sorting, space).with_room(allotment::room(own));
        SideWriter {
            join,
            before,
            scanner: Scanner::new(&join.paths, limits),
            batch: Batch::default(),
            arena: Bump::new(),
            pending: Vec::new(),
            target: Target::Memory(HeldBuilder::new(join, &budget.part(own / 4 * 3))),
            sorter: Some(sorter),
            sorting,
            reading: allotment::reading(own, sharers),
            records: 0,
            found: vec![false; join.paths.len()],
            faults: FaultLog::default(),
            error: None,
            _scanning: scanning,
        }
    }

    /// What made writing fail, if it did.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Everything, when the last row has been written. If it is on disk, none is in memory yet.
    ///
    /// # Errors
    /// Any error of writing to disk.
    pub(super) fn finish(mut self) -> Result<Side> {
        let rest = std::mem::take(&mut self.pending);
        self.take(&rest)?;
        let SideWriter { join, target, sorting, reading, records, found, faults, .. } = self;
        let (held, stored) = match target {
            Target::Memory(builder) => (builder.finish(), None),
            Target::Disk(records) => {
                let reading = sorting.part(reading);
                let rows = Sorter::finish(vec![records.sorter], &reading)?;
                let none = HeldBuilder::new(join, &sorting).finish();
                (none, Some(Stored::new(rows, sorting, reading.peak())))
            }
        };
        Ok(Side { held, stored, records, found, faults })
    }

    fn take(&mut self, chunk: &[u8]) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.scanner.scan(chunk, &mut self.batch);
        if self.batch.rows.iter().any(|row| (row.end - row.start) as usize > Cell::MAX_LEN) {
            return Err(Error::new(ErrorKind::Resource, "a row of a joined query has more than 256 MiB"));
        }
        if let Some(reject) = self.batch.rejects.first() {
            let message = format!("a row of a query within the query is no record: {}", reject.reason);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        self.arena.reset();
        let rows: Vec<u32> = (0..self.batch.rows.len() as u32).collect();
        // The columns of the side have the numbers that they have in the plan.
        let mut columns = vec![CellColumn::default(); self.before];
        columns.extend(self.batch.columns.iter().map(|cells| CellColumn { bytes: chunk, cells }));
        let spans = Columns::Records { block: chunk, rows: &self.batch.rows, columns: &columns };
        let frame = Frame::new(&self.arena, spans, Origin::default());
        let keys = EncodedKeys::new(&self.join.right, &frame, &rows);
        frame.take_faults().into_iter().for_each(|tally| self.faults.add_tally(tally));
        for (found, cells) in self.found.iter_mut().zip(&self.batch.columns) {
            *found |= cells.iter().any(|cell| *cell != Cell::MISSING);
        }
        self.records += rows.len() as u64;
        let columns = &columns[self.before..];
        if let Target::Memory(builder) = &mut self.target
            && builder.make_room(keys.keys.len(), chunk.len(), keys.bytes.len())
        {
            builder.add_all(&keys, columns, &self.batch.rows);
            return Ok(());
        }
        if let (Target::Memory(builder), Some(sorter)) = (&mut self.target, self.sorter.take()) {
            let mut records = Records::new(self.join, sorter);
            let none = HeldBuilder::new(self.join, &self.sorting);
            records.take_held(&std::mem::replace(builder, none).finish())?;
            self.target = Target::Disk(records);
        }
        if let Target::Disk(records) = &mut self.target {
            for (key, place, order) in keys.iter() {
                let place = place as usize;
                let cells = columns.iter().map(|column| (column.cells[place], column.bytes));
                records.push(key, order, self.batch.rows[place], cells)?;
            }
        }
        Ok(())
    }
}

impl Records {
    fn new(join: &Join, sorter: Sorter) -> Records {
        let has_whole = join.paths.iter().any(|path| path.steps.is_empty());
        Records { sorter, next: 0, cells: cells_of(join), has_whole, image: Image::default(), payload: Vec::new() }
    }

    fn push<'r>(
        &mut self,
        key: &[u8],
        order: u64,
        row: Span,
        cells: impl Iterator<Item = (Cell, &'r [u8])>,
    ) -> Result<()> {
        let cells = cells.take(self.cells);
        if self.has_whole {
            self.image.set(row, cells);
        } else {
            self.image.clear();
            cells.for_each(|(cell, from)| self.image.push(cell, from));
        }
        self.payload.clear();
        leb128::put_bytes(key, &mut self.payload);
        self.image.put(&mut self.payload);
        let mut place = [0; 16];
        place[..8].copy_from_slice(&order.to_be_bytes());
        place[8..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        self.sorter.push(&place, &self.payload)
    }

    /// Takes the records that were held in memory so far.
    fn take_held(&mut self, held: &Held) -> Result<()> {
        let mut count = 0;
        for (key, record) in held.records() {
            let row = held.row(record);
            self.next = record.into();
            self.push(key, order_of(hash::hash(key)), row, held.cells(record))?;
            count += 1;
        }
        self.next = count;
        Ok(())
    }
}

/// The number of cells that are kept of a record.
fn cells_of(join: &Join) -> usize {
    if join.needs_keys_only() { 0 } else { join.paths.len() }
}

impl Write for SideWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK
            && let Some(end) = memchr::memrchr(b'\n', &self.pending)
        {
            let rest = self.pending.split_off(end + 1);
            let chunk = std::mem::replace(&mut self.pending, rest);
            if let Err(error) = self.take(&chunk) {
                self.error = Some(error);
                return Err(io::Error::other("the records of a join cannot be held"));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
