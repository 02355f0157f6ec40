//! Records of the side of a join that are held in memory, to be found by their keys.
//!
//! Of each record only the values at the paths that the plan asks for are kept. Keys are interned; those of one number have
//! their records one after another in `members`.

use std::collections::HashMap;

use crate::expr::{CellColumn, Expr, Frame, Vector};
use crate::memory::{Budget, HashedKey, Interner, Reservation};
use crate::plan::Join;
use crate::scan::{Cell, Kind, Span};
use crate::value::{Value, hash, key};

/// The most texts of a path that share their places.
const MOST_TEXTS: usize = 1024;
/// The longest text that shares its place.
const LONGEST_TEXT: usize = 64;
/// The most bytes and records that are held: cells tell a place in 32 bits.
const MOST: usize = u32::MAX as usize - 1;
/// Memory is reserved in steps of so many bytes where records come one by one.
const STEP: usize = 32 << 10;
/// An allocation of more bytes than this grows without being copied.
const NEVER_COPIED: usize = 32 << 20;

/// Some records of one side, to be found by their keys.
#[derive(Debug)]
pub(super) struct Held {
    /// The bytes that the cells cover.
    pub(super) bytes: Vec<u8>,
    /// For each path of the side a cell for each record; none if it is enough to know which keys there are.
    pub(super) columns: Vec<Vec<Cell>>,
    /// Which of the paths is the whole record, if one is: the cells of all others lie in its.
    whole: Option<usize>,
    keys: Interner,
    /// For each key where its records start in `members`; those of the last one end at the end.
    starts: Vec<u32>,
    /// The records of each key, in their order.
    members: Vec<u32>,
    reservation: Reservation,
}

impl Held {
    /// For each of some keys the records that have it, in their order.
    pub(super) fn find<'h>(&'h self, keys: &EncodedKeys) -> impl Iterator<Item = &'h [u32]> {
        let mut numbers = Vec::with_capacity(keys.keys.len());
        self.keys.find_all(&keys.bytes, &keys.keys, &mut numbers);
        numbers.into_iter().map(|number| number.map_or(&[][..], |number| self.members_of(number)))
    }

    /// The bytes that are reserved.
    pub(super) fn size(&self) -> usize {
        self.reservation.bytes()
    }

    fn members_of(&self, number: u32) -> &[u32] {
        let end = self.starts.get(number as usize + 1).map_or(self.members.len(), |&end| end as usize);
        &self.members[self.starts[number as usize] as usize..end]
    }

    /// The records in the order of their keys, and those of one key in their own: for each its key and its number.
    pub(super) fn records(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let keys = self.keys.records().iter();
        keys.flat_map(|(number, key)| self.members_of(number).iter().map(move |&record| (key, record)))
    }

    /// The cells of a record, if they are held, and what they cover.
    pub(super) fn cells(&self, record: u32) -> impl Iterator<Item = (Cell, &[u8])> {
        let cell = move |cells: &Vec<Cell>| Some((*cells.get(record as usize)?, self.bytes.as_slice()));
        self.columns.iter().filter_map(cell)
    }

    /// The whole record, if one of the paths is that.
    pub(super) fn row(&self, record: u32) -> Span {
        let cell = self.whole.and_then(|whole| self.columns[whole].get(record as usize));
        cell.map_or_else(Span::default, |cell| cell.span())
    }
}

/// The keys of rows, without those that have a NULL.
#[derive(Debug, Default)]
pub(super) struct EncodedKeys {
    pub(super) bytes: Vec<u8>,
    pub(super) keys: Vec<HashedKey>,
    /// The place of the row of each key.
    pub(super) places: Vec<u32>,
}

impl EncodedKeys {
    pub(super) fn new<'a>(keys: &'a [Expr], frame: &Frame<'a>, rows: &[u32]) -> EncodedKeys {
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
                all.end_key(start, place as u32);
            } else {
                all.bytes.truncate(start);
            }
        }
        all
    }

    /// Appends the key of a row.
    pub(super) fn push(&mut self, key: &[u8], place: u32) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.end_key(start, place);
    }

    fn end_key(&mut self, start: usize, place: u32) {
        let hash = hash::hash(&self.bytes[start..]);
        self.keys.push(HashedKey { hash, end: self.bytes.len() });
        self.places.push(place);
    }

    /// Each key with the place of its row, and the number by which keys are put in order on disk.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u32, u64)> {
        let mut start = 0;
        self.keys.iter().zip(&self.places).map(move |(key, &place)| {
            let bytes = &self.bytes[start..key.end];
            start = key.end;
            (bytes, place, order_of(key.hash))
        })
    }
}

/// The number by which keys of a hash are put in order on disk. In memory keys are found by the upper bits of their hash, of
/// which those that are near to each other in this order must not have the same.
pub(super) fn order_of(hash: u64) -> u64 {
    hash.rotate_left(32)
}

/// Takes records in, as long as there is memory for them.
pub(super) struct HeldBuilder {
    held: Held,
    /// For each record the number of its key.
    key_of: Vec<u32>,
    /// For each path the texts that were met so far, as long as they are few: those of equal text share one place, which
    /// then stays in the cache.
    texts: Vec<HashMap<Box<[u8]>, Cell>>,
    /// Whether it is enough to know that a key is there.
    keys_only: bool,
    numbers: Vec<u32>,
}

impl HeldBuilder {
    /// For records of the side of a join, in memory of a budget.
    pub(super) fn new(join: &Join, budget: &Budget) -> HeldBuilder {
        HeldBuilder {
            held: Held {
                bytes: Vec::new(),
                columns: vec![Vec::new(); join.paths.len()],
                whole: join.paths.iter().position(|path| path.steps.is_empty()),
                keys: Interner::default(),
                starts: Vec::new(),
                members: Vec::new(),
                reservation: budget.reservation("records of a join"),
            },
            key_of: Vec::new(),
            texts: vec![HashMap::new(); join.paths.len()],
            keys_only: join.needs_keys_only(),
            numbers: Vec::new(),
        }
    }

    /// For other records in the place of some, in memory of a budget. The vectors are used again: what the allocator gets
    /// back and is asked for again and again, each time in other pieces, it cannot always use.
    pub(super) fn again(held: Held, join: &Join, budget: &Budget) -> HeldBuilder {
        let mut builder = HeldBuilder::new(join, budget);
        let Held { mut bytes, mut columns, mut starts, mut members, keys, reservation, .. } = held;
        // So that the budget has it.
        drop((keys, reservation));
        bytes.clear();
        columns.iter_mut().for_each(Vec::clear);
        starts.clear();
        members.clear();
        (builder.held.bytes, builder.held.columns, builder.held.starts) = (bytes, columns, starts);
        builder.key_of = members;
        let size = builder.size();
        if builder.held.reservation.try_resize(size) { builder } else { HeldBuilder::new(join, budget) }
    }

    /// Reserves what a number of records take whose values have so many bytes, and their keys so many. Says whether that
    /// was done: else nothing more must be added.
    #[must_use = "without memory nothing must be added"]
    pub(super) fn make_room(&mut self, records: usize, bytes: usize, keys: usize) -> bool {
        self.try_room(records, bytes, keys) || self.give_back_unused() && self.try_room(records, bytes, keys)
    }

    /// Shrinks the vectors, if records before took most of them that are otherwise than those now.
    fn give_back_unused(&mut self) -> bool {
        let Held { bytes, columns, .. } = &self.held;
        let unused = |capacity: usize, len: usize, size: usize| (capacity - len) * size;
        let mut all = unused(bytes.capacity(), bytes.len(), 1);
        all += unused(self.key_of.capacity(), self.key_of.len(), size_of::<u32>());
        all += columns.iter().map(|cells| unused(cells.capacity(), cells.len(), size_of::<Cell>())).sum::<usize>();
        if all < self.size() / 2 {
            return false;
        }
        self.held.bytes.shrink_to_fit();
        self.held.columns.iter_mut().for_each(Vec::shrink_to_fit);
        self.key_of.shrink_to_fit();
        let size = self.size();
        self.held.reservation.try_resize(size)
    }

    fn try_room(&mut self, records: usize, bytes: usize, keys: usize) -> bool {
        if self.held.bytes.len() + bytes > MOST || self.key_of.len() + records > MOST {
            return false;
        }
        // What grows may be copied, and then is there twice for a moment.
        let mut copied = 0;
        let mut growth = |len: usize, capacity: usize, more: usize, size: usize| {
            let more = grown(len, capacity, more) - capacity;
            if more > 0 && capacity * size <= NEVER_COPIED {
                copied = copied.max(capacity * size);
            }
            more * size
        };
        let Held { bytes: held, columns, keys: interner, .. } = &self.held;
        let mut more = growth(held.len(), held.capacity(), bytes, 1);
        if !self.keys_only {
            for cells in columns {
                more += growth(cells.len(), cells.capacity(), records, size_of::<Cell>());
            }
        }
        more += growth(self.key_of.len(), self.key_of.capacity(), records, size_of::<u32>());
        let wanted = self.size() + more + copied + interner.growth(records) + keys + records * NUMBERS;
        let reservation = &mut self.held.reservation;
        if wanted > reservation.bytes() && !reservation.try_resize(wanted + STEP) && !reservation.try_resize(wanted) {
            return false;
        }
        reserve(&mut self.held.bytes, bytes);
        if !self.keys_only {
            self.held.columns.iter_mut().for_each(|cells| reserve(cells, records));
        }
        reserve(&mut self.key_of, records);
        true
    }

    /// Adds records with their keys, each a row of some columns, for which there is room.
    pub(super) fn add_all(&mut self, keys: &EncodedKeys, columns: &[CellColumn], rows: &[Span]) {
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        self.held.keys.intern_all(&keys.bytes, &keys.keys, &mut numbers);
        for (&place, &number) in keys.places.iter().zip(&numbers) {
            let place = place as usize;
            let cells = columns.iter().map(|column| (column.cells[place], column.bytes));
            self.add_numbered(number, cells, rows[place]);
        }
        self.numbers = numbers;
    }

    /// Adds a record with its key, for which there is room. `row` is where it lies in the bytes of its cells.
    pub(super) fn add<'r>(&mut self, key: &[u8], hash: u64, cells: impl Iterator<Item = (Cell, &'r [u8])>, row: Span) {
        let number = self.held.keys.intern(hash, key);
        self.add_numbered(number, cells, row);
    }

    fn add_numbered<'r>(&mut self, number: u32, cells: impl Iterator<Item = (Cell, &'r [u8])>, row: Span) {
        if self.keys_only {
            // New keys have the next number.
            if number as usize == self.key_of.len() {
                self.key_of.push(number);
            }
            return;
        }
        self.key_of.push(number);
        let held = &mut self.held;
        let base = held.bytes.len() as u32;
        // Values that lie within others, as in a whole record, need not be copied twice.
        let lies_within = held.whole.is_some();
        let mut whole = lies_within;
        for ((own, texts), (cell, from)) in held.columns.iter_mut().zip(&mut self.texts).zip(cells) {
            if std::mem::take(&mut whole) {
                held.bytes.extend_from_slice(row.of(from));
            }
            own.push(match cell.kind() {
                Kind::Missing => cell,
                _ if lies_within => cell.moved_to(cell.span().start - row.start + base),
                Kind::Text if texts.len() < MOST_TEXTS && cell.len() <= LONGEST_TEXT => {
                    let text = cell.bytes(from);
                    match texts.get(text) {
                        Some(known) => *known,
                        None => {
                            let copy = cell.copied(from, &mut held.bytes);
                            texts.insert(text.into(), copy);
                            copy
                        }
                    }
                }
                _ => cell.copied(from, &mut held.bytes),
            });
        }
    }

    /// The records, to be found by their keys, for good.
    pub(super) fn finish(mut self) -> Held {
        self.held.bytes.shrink_to_fit();
        self.held.columns.iter_mut().for_each(Vec::shrink_to_fit);
        self.finish_range()
    }

    /// The records, to be found by their keys, until [others](HeldBuilder::again) come in their place.
    pub(super) fn finish_range(self) -> Held {
        let HeldBuilder { mut held, key_of, .. } = self;
        // Records are dealt into the order of their keys; each key's keep theirs.
        let starts = &mut held.starts;
        starts.reserve_exact(held.keys.len().max(1));
        starts.resize(held.keys.len().max(1), 0);
        for &key in &key_of {
            if let Some(next) = starts.get_mut(key as usize + 1) {
                *next += 1;
            }
        }
        let mut sum = 0;
        for start in starts.iter_mut() {
            sum += *start;
            *start = sum;
        }
        held.members = vec![0; key_of.len()];
        for (record, &key) in key_of.iter().enumerate() {
            let next = &mut starts[key as usize];
            held.members[*next as usize] = record as u32;
            *next += 1;
        }
        // Each has moved on to where the next key starts.
        starts.rotate_right(1);
        starts[0] = 0;
        held.keep_what_is_held();
        held
    }

    /// The bytes held, and what `finish` takes in addition.
    fn size(&self) -> usize {
        let cells: usize = self.held.columns.iter().map(Vec::capacity).sum();
        self.held.bytes.capacity()
            + cells * size_of::<Cell>()
            + self.held.keys.size()
            + self.key_of.capacity() * size_of::<u32>()
            + (self.key_of.len() + 1) * NUMBERS
            + self.held.starts.capacity().saturating_sub(self.key_of.len()) * size_of::<u32>()
    }
}

/// The numbers that are made of a record in the end: in `members`, and if it has a key of its own in `starts`.
const NUMBERS: usize = 2 * size_of::<u32>();

impl Held {
    /// Gives back what was reserved for records that did not come.
    fn keep_what_is_held(&mut self) {
        let cells: usize = self.columns.iter().map(Vec::capacity).sum();
        let numbers = self.starts.capacity() + self.members.capacity();
        let bytes = self.bytes.capacity() + cells * size_of::<Cell>() + self.keys.size() + numbers * size_of::<u32>();
        let shrunk = bytes.min(self.reservation.bytes());
        let done = self.reservation.try_resize(shrunk);
        debug_assert!(done, "less is never refused");
    }
}

/// The capacity of a vector that is to take more.
fn grown(len: usize, capacity: usize, more: usize) -> usize {
    if capacity - len >= more { capacity } else { (len + more).max(capacity + capacity / 4).max(64) }
}

fn reserve<T>(vector: &mut Vec<T>, more: usize) {
    let wanted = grown(vector.len(), vector.capacity(), more);
    vector.reserve_exact(wanted - vector.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Step;

    /// Takes records in of the keys 0, 1, … and of texts of so many bytes, each key twice, while there is room.
    fn fill(mut builder: HeldBuilder, len: usize) -> Held {
        let mut count = 0_u32;
        while builder.make_room(1, len + 2, 4) {
            let (key, text) = ((count / 2).to_be_bytes(), format!("\"{count:0len$}\""));
            let cell = Cell::new(Kind::Escaped, 1, len as u32);
            let row = Span { start: 0, end: text.len() as u32 };
            builder.add(&key, hash::hash(&key), [(cell, text.as_bytes())].into_iter(), row);
            count += 1;
        }
        let held = builder.finish_range();
        let mut keys = EncodedKeys::default();
        (0..count.div_ceil(2)).for_each(|key| keys.push(&key.to_be_bytes(), key));
        let mut found = 0;
        for (key, records) in held.find(&keys).enumerate() {
            for (nth, &record) in records.iter().enumerate() {
                let number = 2 * key as u32 + nth as u32;
                let texts: Vec<&[u8]> = held.cells(record).map(|(cell, bytes)| cell.bytes(bytes)).collect();
                assert_eq!(texts, [format!("{number:0len$}").as_bytes()]);
                found += 1;
            }
        }
        assert_eq!(found, count);
        held
    }

    fn join() -> Join {
        let plan = crate::sql::plan("select b.t from input a join input b on a.k = b.k").unwrap();
        let Some(Step::Join(join)) = plan.steps.into_iter().next() else { panic!("a join is a step") };
        assert_eq!(join.paths.len(), 2);
        Join { paths: join.paths[..1].to_vec(), ..*join }
    }

    #[test]
    fn memory_is_used_again_for_records_of_other_lengths() {
        let (join, budget) = (join(), Budget::new(1 << 20));
        let fresh = |len| {
            let held = fill(HeldBuilder::new(&join, &budget), len);
            held.members.len()
        };
        let (short, long) = (fresh(10), fresh(5000));
        let mut held = fill(HeldBuilder::new(&join, &budget), 5000);
        for len in [10, 10, 5000, 10, 5000, 5000] {
            held = fill(HeldBuilder::again(held, &join, &budget), len);
            let (found, expected) = (held.members.len(), if len == 10 { short } else { long });
            assert!(found >= expected / 3, "{found} records of {len} bytes, where {expected} would fit");
            assert!(budget.left() + held.size() == 1 << 20);
        }
    }
}
