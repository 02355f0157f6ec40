//! The keys that were met last, as they stand in the records: a way to a row's group without encoding its key.
//!
//! The table of groups knows keys by their encoding, in which equal values are the same bytes. Most rows bring one of few
//! keys, spelt as before. So a cache remembers for raw keys (the text of a cell, the bits of a number) which group the
//! table gave. Raw keys that are equal are keys that are equal; that some equal keys are spelt differently only costs
//! another entry.

use bumpalo::Bump;
use bytemuck::{Pod, Zeroable};

use crate::expr::{Vector, cell_value};
use crate::memory::PageVec;
use crate::scan::{Cell, Short};
use crate::value::Value;

/// The slots at first, and at most; that many raw keys stay in the second cache.
const MIN_SLOTS: usize = 256;
const MAX_SLOTS: usize = 1 << 14;
/// Of the rows of a batch this part must hit, or the cache is left alone for some batches.
const WORTHWHILE: usize = 4;
const BATCHES_ALONE: u32 = 15;
/// No group, or none yet.
const NO_GROUP: u32 = u32::MAX;
/// The slot of what is not remembered.
const NO_SLOT: u32 = u32::MAX;

/// A row whose group is not known.
#[derive(Clone, Copy)]
pub(super) struct Miss {
    /// Its place among those that are grouped.
    pub(super) place: usize,
    /// Its place in the batch.
    pub(super) row: u32,
    /// Where its group is to be remembered.
    slot: u32,
}

/// See the module.
#[derive(Default)]
pub(super) struct Known {
    /// For each slot a raw key for each column.
    raws: PageVec<Raw>,
    /// For each slot the group, or [`NO_GROUP`].
    groups: Vec<u32>,
    misses: usize,
    /// The batches for which it is left alone.
    alone: u32,
    row: Vec<Raw>,
}

impl Known {
    /// Finds the group of each row that is known, and appends it to `groups`; the others are misses, whose place there is
    /// to be filled.
    pub(super) fn assign(&mut self, keys: &[Keys], rows: &[u32], groups: &mut Vec<u32>, misses: &mut Vec<Miss>) {
        if self.alone > 0 {
            self.alone -= 1;
            misses.extend(rows.iter().enumerate().map(|(place, &row)| Miss { place, row, slot: NO_SLOT }));
            groups.resize(rows.len(), NO_GROUP);
            return;
        }
        self.grow(keys.len());
        if let [column] = keys {
            self.assign_column(column, rows, groups, misses);
        } else {
            self.assign_columns(keys, rows, groups, misses);
        }
        self.misses += misses.len();
        if self.groups.len() == MAX_SLOTS && (rows.len() - misses.len()) * WORTHWHILE < rows.len() {
            self.alone = BATCHES_ALONE;
        }
    }

    /// Finds the group of each row by one column.
    fn assign_column(&mut self, column: &Keys, rows: &[u32], groups: &mut Vec<u32>, misses: &mut Vec<Miss>) {
        // Days tend to come in runs.
        let same_day = |place: usize| match column {
            Keys::Values(Vector::Dates(days)) => place > 0 && days[place] == days[place - 1],
            _ => false,
        };
        let mut last = NO_GROUP;
        let slots = self.groups.len();
        let (known_raws, known_groups) = (&mut self.raws[..slots], &mut self.groups[..slots]);
        groups.extend(rows.iter().enumerate().map(|(place, &row)| {
            if last != NO_GROUP && same_day(place) {
                return last;
            }
            last = NO_GROUP;
            let Some(raw) = column.raw(place, row) else {
                misses.push(Miss { place, row, slot: NO_SLOT });
                return NO_GROUP;
            };
            let slot = slot(&[raw], slots);
            if known_raws[slot].equals(&raw) && known_groups[slot] != NO_GROUP {
                last = known_groups[slot];
                return last;
            }
            (known_raws[slot], known_groups[slot]) = (raw, NO_GROUP);
            misses.push(Miss { place, row, slot: slot as u32 });
            NO_GROUP
        }));
    }

    /// Finds the group of each row by several columns.
    fn assign_columns(&mut self, keys: &[Keys], rows: &[u32], groups: &mut Vec<u32>, misses: &mut Vec<Miss>) {
        let raws = &mut self.raws[..];
        for (place, &row) in rows.iter().enumerate() {
            self.row.clear();
            self.row.extend(keys.iter().map_while(|column| column.raw(place, row)));
            if self.row.len() < keys.len() {
                misses.push(Miss { place, row, slot: NO_SLOT });
                groups.push(NO_GROUP);
                continue;
            }
            let slot = slot(&self.row, self.groups.len());
            let start = slot * keys.len();
            let known = &mut raws[start..start + keys.len()];
            if self.groups[slot] == NO_GROUP || known.iter().zip(&self.row).any(|(known, raw)| !known.equals(raw)) {
                known.copy_from_slice(&self.row);
                self.groups[slot] = NO_GROUP;
                misses.push(Miss { place, row, slot: slot as u32 });
            }
            groups.push(self.groups[slot]);
        }
    }

    /// Remembers the group of a row that was missed. Of several that share a slot the last one stays, whose raw key is
    /// there.
    pub(super) fn learn(&mut self, miss: &Miss, group: u32) {
        if miss.slot != NO_SLOT {
            self.groups[miss.slot as usize] = group;
        }
    }

    /// The bytes held.
    pub(super) fn size(&self) -> usize {
        self.raws.size() + self.groups.capacity() * size_of::<u32>()
    }

    /// Makes more slots, all empty, if there were many misses for those that there are.
    fn grow(&mut self, columns: usize) {
        let slots = self.groups.len();
        if slots > 0 && (self.misses <= slots * 2 || slots * columns >= MAX_SLOTS) {
            return;
        }
        let slots = (slots * 4).clamp(MIN_SLOTS, MAX_SLOTS);
        self.misses = 0;
        self.groups = vec![NO_GROUP; slots];
        self.raws = PageVec::zeroed(slots * columns);
    }
}

/// The slot of a row's raw keys, of a number of slots that is a power of two. Records can choose keys that share a slot;
/// they are then as slow as unknown ones.
#[inline(always)]
fn slot(row: &[Raw], slots: usize) -> usize {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = row.iter().fold(0u64, |hash, Raw { words: [a, b, c, d, e, f], what }| {
        let first = (a ^ what.rotate_left(8) ^ c.rotate_left(23) ^ e.rotate_left(51)).wrapping_mul(PRIME);
        let second = (b ^ d.rotate_left(41) ^ f.rotate_left(13)).wrapping_mul(PRIME);
        (hash ^ first ^ second.rotate_left(29)).wrapping_mul(PRIME)
    });
    (hash >> 40) as usize & (slots - 1)
}

/// A column of keys.
#[derive(Clone, Copy)]
pub(super) enum Keys<'a> {
    /// A field as it stands in the records.
    Cells {
        /// The bytes that the cells cover.
        block: &'a [u8],
        /// A cell for each row of the batch.
        cells: &'a [Cell],
    },
    /// Values, one for each row that is grouped.
    Values(Vector<'a>),
}

/// A key that is small enough, as words; and what it is.
#[derive(Clone, Copy, Default, Zeroable, Pod)]
#[repr(C)]
struct Raw {
    words: [u64; 6],
    what: u64,
}

impl Raw {
    /// Whether two are equal, without a branch for each word.
    #[inline(always)]
    fn equals(&self, other: &Raw) -> bool {
        let differences = self.words.iter().zip(other.words).fold(0, |found, (a, b)| found | (a ^ b));
        differences | (self.what ^ other.what) == 0
    }
}

impl<'a> Keys<'a> {
    /// The raw key of a row: its place among those that are grouped, and in the batch.
    #[inline(always)]
    fn raw(&self, place: usize, row: u32) -> Option<Raw> {
        let short = |short: Short, what: u64| {
            let (words, len) = short.parts();
            Raw { words, what: what << 32 | u64::from(len) }
        };
        let word = |word: u64, what: u64| Raw { words: [word, 0, 0, 0, 0, 0], what: what << 32 };
        const VALUES: u64 = 64;
        match self {
            Keys::Cells { block, cells } => {
                let cell = cells[row as usize];
                let text = Short::within(block, cell.range())?;
                Some(short(text, cell.kind() as u64))
            }
            Keys::Values(vector) => Some(match vector.get(place) {
                Value::Null => word(0, VALUES),
                Value::Bool(value) => word(value.into(), VALUES + 1),
                Value::Int(value) => word(value as u64, VALUES + 2),
                Value::Float(value) => word(value.to_bits(), VALUES + 3),
                Value::Date(date) => word(date.0 as u64, VALUES + 4),
                Value::Timestamp(moment) => word(moment.0 as u64, VALUES + 5),
                Value::Text(text) => short(Short::of(text)?, VALUES + 6),
                Value::Decimal(value) => {
                    let [low, high] = value.words();
                    Raw { words: [low, high, 0, 0, 0, 0], what: (VALUES + 7) << 32 }
                }
                Value::Wide(_) | Value::Huge(_) | Value::Json(_) | Value::Interval(_) => return None,
            }),
        }
    }

    /// The value of a row.
    #[inline]
    pub(super) fn value(&self, place: usize, row: u32, arena: &'a Bump) -> Value<'a> {
        match *self {
            Keys::Cells { block, cells } => cell_value(cells[row as usize], block, arena),
            Keys::Values(vector) => vector.get(place),
        }
    }
}
