//! The keys that were met, as they stand in the records: a way to a row's group without encoding its key.
//!
//! The table of groups knows keys by their encoding, in which equal values are the same bytes. Most rows bring a key that
//! came before, spelt as before. So it is remembered for raw keys (the text of a cell, the bits of a number) which group the
//! table gave: keys of one column in a [`RawMap`], which grows with the groups while there is memory to spare, those of
//! several columns in a cache of what was met last.

use std::ops::Range;

use bumpalo::Bump;

use crate::expr::{Vector, cell_value};
use crate::memory::{NEW, NewRow, PageVec, RawColumn, RawKey, RawMap};
use crate::scan::{Cell, Kind, prefetch};
use crate::value::{Value, key};

/// Finds groups by raw keys.
pub(super) enum Known {
    One(RawMap),
    Several(Cache),
}

impl Known {
    /// What knows nothing of keys of a number of columns.
    pub(super) fn new(columns: usize) -> Known {
        if columns == 1 { Known::One(RawMap::default()) } else { Known::Several(Cache::default()) }
    }

    /// Appends the group of each row to `groups`. For a row whose key is not known that is [`NEW`] and the place in `news`
    /// of a row with the same key.
    pub(super) fn assign(&mut self, keys: &[Keys], rows: &[u32], groups: &mut Vec<u32>, news: &mut Vec<NewRow>) {
        match (self, keys) {
            (Known::One(map), [keys]) => map.look_up(&Column { keys, rows }, groups, news),
            (Known::One(_), _) => debug_assert!(false, "there is one column"),
            (Known::Several(cache), keys) => cache.assign(keys, rows, groups, news),
        }
    }

    /// Remembers the groups of the rows that were new.
    pub(super) fn learn(&mut self, news: &[NewRow], groups: &[u32]) {
        match self {
            Known::One(map) => news.iter().zip(groups).for_each(|(new, &group)| map.learn(new, group)),
            Known::Several(cache) => cache.learn(news, groups),
        }
    }

    /// The bytes that are taken in addition by [`grow`](Known::grow), which is worth it if they are more than 0.
    pub(super) fn growth(&self) -> usize {
        match self {
            Known::One(map) => map.growth(),
            Known::Several(_) => 0,
        }
    }

    /// Makes room for more keys.
    pub(super) fn grow(&mut self) {
        if let Known::One(map) = self {
            map.grow();
        }
    }

    /// The bytes held.
    pub(super) fn size(&self) -> usize {
        match self {
            Known::One(map) => map.size(),
            Known::Several(cache) => cache.size(),
        }
    }
}

/// The slots of a cache at first, and at most; that many raw keys stay in the second cache of the machine.
const MIN_SLOTS: usize = 256;
const MAX_SLOTS: usize = 1 << 14;
/// Of the rows of a batch this part must hit, or the cache is left alone for some batches.
const WORTHWHILE: usize = 4;
const BATCHES_ALONE: u32 = 15;
/// The rows whose slots are looked at together, so that the misses of the nearest caches overlap.
const TOGETHER: usize = 32;
/// No group.
const NO_GROUP: u32 = u32::MAX;

/// The keys of several columns that were met last.
#[derive(Default)]
pub(super) struct Cache {
    /// For each slot a raw key for each column, as words.
    raws: PageVec<RawWords>,
    /// For each slot the group, or [`NO_GROUP`].
    groups: Vec<u32>,
    misses: usize,
    /// The batches for which it is left alone.
    alone: u32,
    /// The raw keys of the rows that are looked up together.
    met: Vec<Raw>,
}

/// The raw key of one of several columns.
type Raw = RawKey<WIDE>;
type RawWords = [u64; WIDE + 1];
const WIDE: usize = 6;

impl Cache {
    /// [`Known::assign`].
    fn assign(&mut self, keys: &[Keys], rows: &[u32], groups: &mut Vec<u32>, news: &mut Vec<NewRow>) {
        if self.alone > 0 {
            self.alone -= 1;
            groups.extend((0..rows.len() as u32).map(|row| NEW | row));
            news.extend((0..rows.len()).map(|row| NewRow { row, slot: NewRow::NO_SLOT }));
            return;
        }
        self.make_room(keys.len());
        let Cache { raws, groups: known_groups, met, .. } = self;
        let raws = &mut raws[..];
        for (first, rows) in (0..).step_by(TOGETHER).zip(rows.chunks(TOGETHER)) {
            met.clear();
            for (place, &row) in (first..).zip(rows) {
                met.extend(keys.iter().map(|column| column.raw(place, row)));
            }
            let mut slots = [NewRow::NO_SLOT; TOGETHER];
            for (slot, row) in slots.iter_mut().zip(met.chunks_exact(keys.len())) {
                if row.iter().all(Raw::is_fit) {
                    *slot = slot_of(row, known_groups.len()) as u32;
                    raws[*slot as usize * keys.len()..][..keys.len()].iter().for_each(prefetch);
                }
            }
            for ((place, &slot), row) in (first..).zip(&slots).zip(met.chunks_exact(keys.len())) {
                let new = NEW | news.len() as u32;
                if slot == NewRow::NO_SLOT {
                    news.push(NewRow { row: place, slot });
                    groups.push(new);
                    continue;
                }
                let known = &mut raws[slot as usize * keys.len()..][..keys.len()];
                if known.iter().zip(row).any(|(known, raw)| differ(known, &raw.to_words())) {
                    known.iter_mut().zip(row).for_each(|(known, raw)| *known = raw.to_words());
                    known_groups[slot as usize] = new;
                    news.push(NewRow { row: place, slot });
                }
                groups.push(known_groups[slot as usize]);
            }
        }
        self.misses += news.len();
        if self.groups.len() == MAX_SLOTS && (rows.len() - news.len()) * WORTHWHILE < rows.len() {
            self.alone = BATCHES_ALONE;
        }
    }

    /// [`Known::learn`].
    fn learn(&mut self, news: &[NewRow], groups: &[u32]) {
        for ((place, new), &group) in (0..).zip(news).zip(groups) {
            // Another key may have taken the slot.
            if let Some(known) = self.groups.get_mut(new.slot as usize).filter(|known| **known == NEW | place) {
                *known = group;
            }
        }
    }

    fn size(&self) -> usize {
        self.raws.size() + self.groups.capacity() * size_of::<u32>()
    }

    /// Makes more slots, all empty, if there were many misses for those that there are.
    fn make_room(&mut self, columns: usize) {
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

/// Whether two raw keys differ. Not by a comparison that ends with the first difference: nearly all are equal.
#[inline(always)]
fn differ(known: &RawWords, met: &RawWords) -> bool {
    known.iter().zip(met).fold(0, |difference, (known, met)| difference | (known ^ met)) != 0
}

/// The slot of a row's raw keys, of a number of slots that is a power of two.
#[inline(always)]
fn slot_of(row: &[Raw], slots: usize) -> usize {
    let hash = row.iter().fold(0_u64, |hash, raw| hash.rotate_left(23) ^ raw.hash());
    hash as usize & (slots - 1)
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

impl<'a> Keys<'a> {
    /// The raw key of a row: its place among those that are grouped, and in the batch.
    #[inline(always)]
    fn raw<const WORDS: usize>(&self, place: usize, row: u32) -> RawKey<WORDS> {
        match self {
            Keys::Cells { block, cells } => raw_of_cell(cells[row as usize], block),
            Keys::Values(vector) => vector.raw(place),
        }
    }

    /// Appends the encoded key of a row, and gives its value unless that is a text as it stands in a record.
    #[inline]
    pub(super) fn encode(&self, place: usize, row: u32, arena: &'a Bump, out: &mut Vec<u8>) -> Option<Value<'a>> {
        let value = match *self {
            Keys::Cells { block, cells } => {
                let cell = cells[row as usize];
                if cell.kind() == Kind::Text {
                    key::encode_clean_text(cell.bytes(block), out);
                    return None;
                }
                cell_value(cell, block, arena)
            }
            Keys::Values(vector) => vector.get(place),
        };
        key::encode(value, out);
        Some(value)
    }
}

#[inline(always)]
fn raw_of_cell<const WORDS: usize>(cell: Cell, block: &[u8]) -> RawKey<WORDS> {
    RawKey::text(cell.bytes(block), cell.kind() as u8)
}

/// The keys of the rows that are grouped.
struct Column<'c, 'a> {
    keys: &'c Keys<'a>,
    rows: &'c [u32],
}

impl RawColumn for Column<'_, '_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn read<const WORDS: usize>(&self, places: Range<usize>, out: &mut [RawKey<WORDS>]) {
        match self.keys {
            Keys::Cells { block, cells } => {
                for (key, &row) in out.iter_mut().zip(&self.rows[places]) {
                    *key = raw_of_cell(cells[row as usize], block);
                }
            }
            Keys::Values(vector) => vector.read_raw(places, out),
        }
    }
}
