//! The side of a join that is held in memory.
//!
//! Its records are the rows of a query of its own, which run first and are written here. Of each record only the values
//! at the paths that the plan asks for are kept, and only if its key can be met. Keys are interned; those of one number
//! have their records one after another in `members`.

use std::collections::HashMap;
use std::io::{self, Write};

use bumpalo::Bump;

use crate::error::{Error, ErrorKind, Result};
use crate::expr::{CellColumn, Columns, Expr, FaultLog, Frame, Origin, Vector};
use crate::memory::{Budget, HashedKey, Interner, Reservation};
use crate::plan::Join;
use crate::scan::{Batch, Cell, Kind, Limits, Scanner};
use crate::value::{Value, hash, key};

/// The number of no record: a row beside it has no mate.
pub(super) const NONE: u32 = u32::MAX;
/// The bytes of records that are scanned together.
const CHUNK: usize = 256 << 10;
/// The most texts of a path that share their places.
const MOST_TEXTS: usize = 1024;
/// The most bytes and records that are held: cells tell a place in 32 bits.
const MOST: usize = u32::MAX as usize - 1;

/// The records of one side, to be found by their keys.
pub(super) struct Held {
    /// The bytes that the cells cover.
    pub(super) bytes: Vec<u8>,
    /// For each path of the side a cell for each record.
    pub(super) columns: Vec<Vec<Cell>>,
    /// Whether there are no keys: then each row matches all records.
    is_cross: bool,
    keys: Interner,
    /// For each key where its records start in `members`; those of the last one end at the end.
    starts: Vec<u32>,
    /// The records of each key, in their order.
    members: Vec<u32>,
    /// The records of the side, those that no row can meet included.
    pub(super) records: u64,
    /// For each path whether any record had it.
    pub(super) found: Vec<bool>,
    /// The faults in keys.
    pub(super) faults: FaultLog,
    _reservation: Reservation,
}

impl Held {
    /// The rows of a frame that have mates, each as often as it has them, and these: those of one row in their order.
    /// `None` if these are more than `most`.
    pub(super) fn find<'a>(
        &self,
        keys: &'a [Expr],
        frame: &Frame<'a>,
        rows: &[u32],
        most: usize,
    ) -> Option<(Vec<u32>, Vec<u32>)> {
        let (mut of, mut mates) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let mut add = |row: u32, members: &[u32]| {
            of.resize(of.len() + members.len(), row);
            mates.extend_from_slice(members);
            (mates.len() <= most).then_some(())
        };
        if self.is_cross {
            rows.iter().try_for_each(|&row| add(row, &self.members))?;
            return Some((of, mates));
        }
        let encoded = EncodedKeys::new(keys, frame, rows);
        let mut numbers = Vec::with_capacity(rows.len());
        self.keys.find_all(&encoded.bytes, &encoded.keys, &mut numbers);
        for (&place, number) in encoded.places.iter().zip(numbers) {
            if let Some(number) = number {
                let number = number as usize;
                let end = self.starts.get(number + 1).map_or(self.members.len(), |&end| end as usize);
                add(rows[place as usize], &self.members[self.starts[number] as usize..end])?;
            }
        }
        Some((of, mates))
    }
}

/// The keys of rows, without those that have a NULL.
struct EncodedKeys {
    bytes: Vec<u8>,
    keys: Vec<HashedKey>,
    /// The place of the row of each key.
    places: Vec<u32>,
}

impl EncodedKeys {
    fn new<'a>(keys: &'a [Expr], frame: &Frame<'a>, rows: &[u32]) -> EncodedKeys {
        let vectors: Vec<Vector> = keys.iter().map(|key| key.eval(frame, rows)).collect();
        let mut all = EncodedKeys {
            bytes: Vec::with_capacity(rows.len() * 16),
            keys: Vec::with_capacity(rows.len()),
            places: Vec::with_capacity(rows.len()),
        };
        for place in 0..rows.len() {
            let start = all.bytes.len();
            let is_whole = vectors.iter().all(|vector| {
                let value = vector.get(place);
                key::encode(value, &mut all.bytes);
                !matches!(value, Value::Null)
            });
            if is_whole {
                let hash = hash::hash(&all.bytes[start..]);
                all.keys.push(HashedKey { hash, end: all.bytes.len() });
                all.places.push(place as u32);
            } else {
                all.bytes.truncate(start);
            }
        }
        all
    }
}

/// Takes the rows of a side's query, as JSON Lines.
pub(super) struct Holder<'p> {
    join: &'p Join,
    /// The columns of the plan before those of the side.
    before: usize,
    scanner: Scanner,
    batch: Batch,
    arena: Bump,
    /// Bytes that were not scanned yet.
    pending: Vec<u8>,
    /// For each path the texts that were met so far, as long as they are few: those of equal text share one place, which
    /// then stays in the cache.
    texts: Vec<HashMap<Box<[u8]>, Cell>>,
    held: Held,
    /// For each record the number of its key.
    key_of: Vec<u32>,
    numbers: Vec<u32>,
    error: Option<Error>,
}

impl<'p> Holder<'p> {
    pub(super) fn new(join: &'p Join, before: usize, budget: &Budget) -> Holder<'p> {
        // The rows of a query may nest more deeply than its input does.
        let limits = Limits { max_depth: u32::MAX, max_line: Cell::MAX_LEN };
        Holder {
            join,
            before,
            scanner: Scanner::new(&join.paths, limits),
            batch: Batch::default(),
            arena: Bump::new(),
            pending: Vec::new(),
            texts: vec![HashMap::new(); join.paths.len()],
            held: Held {
                bytes: Vec::new(),
                columns: vec![Vec::new(); join.paths.len()],
                is_cross: join.right.is_empty(),
                keys: Interner::default(),
                starts: Vec::new(),
                members: Vec::new(),
                records: 0,
                found: vec![false; join.paths.len()],
                faults: FaultLog::default(),
                _reservation: budget.reservation("records of a join"),
            },
            key_of: Vec::new(),
            numbers: Vec::new(),
            error: None,
        }
    }

    /// What made writing fail, if it did.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Everything, when the last row has been written.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for it.
    pub(super) fn finish(mut self) -> Result<Held> {
        let rest = std::mem::take(&mut self.pending);
        self.take(&rest)?;
        let Holder { mut held, key_of, .. } = self;
        // Records are dealt into the order of their keys; each key's keep theirs.
        let mut starts = vec![0_u32; held.keys.len().max(1)];
        for &key in &key_of {
            if let Some(next) = starts.get_mut(key as usize + 1) {
                *next += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        held.members = vec![0; key_of.len()];
        for (record, &key) in key_of.iter().enumerate() {
            let next = &mut next[key as usize];
            held.members[*next as usize] = record as u32;
            *next += 1;
        }
        held.starts = starts;
        held.reserve(key_of.capacity() + next.capacity())?;
        held.bytes.shrink_to_fit();
        held.columns.iter_mut().for_each(Vec::shrink_to_fit);
        held.reserve(0)?;
        Ok(held)
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
        let encoded = EncodedKeys::new(&self.join.right, &frame, &rows);
        self.numbers.clear();
        self.held.keys.intern_all(&encoded.bytes, &encoded.keys, &mut self.numbers);
        frame.take_faults().into_iter().for_each(|tally| self.held.faults.add_tally(tally));
        for (found, cells) in self.held.found.iter_mut().zip(&self.batch.columns) {
            *found |= cells.iter().any(|cell| *cell != Cell::MISSING);
        }
        let needs_records = self.join.kind.adds_records() || self.join.condition.is_some();
        if needs_records {
            self.key_of.extend_from_slice(&self.numbers);
            self.hold(chunk, &encoded.places)?;
        } else {
            // It is enough to know that a key is there.
            let known = self.key_of.len() as u32;
            let new = self.numbers.iter().copied().filter(|number| *number >= known);
            self.key_of.extend(new.collect::<std::collections::BTreeSet<u32>>());
        }
        self.held.records += rows.len() as u64;
        self.held.reserve(self.key_of.capacity())
    }

    /// Keeps the cells of some records of a chunk.
    fn hold(&mut self, chunk: &[u8], places: &[u32]) -> Result<()> {
        let held = &mut self.held;
        if held.bytes.len() + chunk.len() * self.join.paths.len().max(1) > MOST || self.key_of.len() > MOST {
            let message = format!("the records of {} are more than a join can hold in memory", self.join.name);
            return Err(Error::new(ErrorKind::Resource, message)
                .hint("join the smaller side to the larger one: from larger join smaller"));
        }
        // Values that lie within others, as in a whole record, need not be copied twice.
        let whole = self.join.paths.iter().position(|path| path.steps.is_empty());
        for &place in places {
            let place = place as usize;
            let base = held.bytes.len() as u32;
            let row = self.batch.rows[place];
            if whole.is_some() {
                held.bytes.extend_from_slice(row.of(chunk));
            }
            for ((cells, found), texts) in held.columns.iter_mut().zip(&self.batch.columns).zip(&mut self.texts) {
                let cell = found[place];
                cells.push(match whole {
                    Some(_) if cell != Cell::MISSING => {
                        Cell::new(cell.kind(), cell.span().start - row.start + base, cell.len() as u32)
                    }
                    Some(_) => cell,
                    None if texts.len() < MOST_TEXTS && cell.kind() == Kind::Text => {
                        let text = cell.bytes(chunk);
                        match texts.get(text) {
                            Some(known) => *known,
                            None => {
                                let copy = cell.copied(chunk, &mut held.bytes);
                                texts.insert(text.into(), copy);
                                copy
                            }
                        }
                    }
                    None => cell.copied(chunk, &mut held.bytes),
                });
            }
        }
        Ok(())
    }
}

impl Held {
    /// Reserves what is held, and `more` numbers of four bytes.
    fn reserve(&mut self, more: usize) -> Result<()> {
        let cells: usize = self.columns.iter().map(Vec::capacity).sum();
        let numbers = self.starts.capacity() + self.members.capacity() + more;
        let bytes = self.bytes.capacity() + cells * size_of::<Cell>() + self.keys.size() + numbers * size_of::<u32>();
        self._reservation.resize(bytes)
    }
}

impl Write for Holder<'_> {
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
