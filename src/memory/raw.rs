//! A map by raw keys: values as they stand in the records, looked up without encoding them.
//!
//! # How it works
//! Keys are encoded so that equal values are the same bytes (`1` and `1.0`, say). Most rows bring a key that came before,
//! spelt as before. So this map knows keys by what is quickly had of them, a few words: the bytes of a text that is short
//! enough, the bits of a number. Raw keys that are equal are keys that are equal; that some equal keys are spelt differently
//! only costs another entry. What is not found, is too long or finds no room is for the caller to look up elsewhere, so the
//! map can stay as small as the memory wants it, and can be dropped at any time.
//!
//! Entries lie in one list with linear probing of a few places. Rows are looked up some at a time: first their places begin
//! to be loaded, so that the misses of the cache overlap.
//!
//! While hardly any key is longer than 16 bytes the map has short entries. Else it starts again with long ones, of which it
//! has fewer: where there are many long keys, the memory that they take in the caches costs more than is saved.

use std::ops::Range;

use super::Pages;
use crate::scan::prefetch;

/// The longest text, in bytes, that is a raw key.
const MAX_LEN: usize = 48;
/// The words of a raw key of up to 16 bytes, and of one of up to 48.
const NARROW: usize = 2;
const WIDE: usize = 6;

/// What an empty place has instead of a kind; no key has it.
const EMPTY: u32 = 0;
/// What a key has that is no raw key.
const UNFIT: u32 = u32::MAX;

/// The places at first, and at most.
const FIRST_SLOTS: usize = 1 << 10;
const MOST_SHORT: usize = 1 << 18;
const MOST_LONG: usize = 1 << 14;
/// The places that are looked at for a key.
const PROBES: usize = 12;
/// The rows that are looked up together.
const TOGETHER: usize = 64;

/// So many rows are counted before it is decided whether the map is worth its while.
const WINDOW: usize = 1 << 12;
/// Of the rows one of so many must be found.
const WORTHWHILE: usize = 4;
/// The windows for which the map is left alone if they are not; twice as many the next time, up to the second number.
const WINDOWS_ALONE: usize = 8;
const MOST_ALONE: usize = 1 << 10;
/// With fewer places than this it is always used.
const FEW_SLOTS: usize = 1 << 12;
/// Of the rows of a window this part must have long keys for the map to have long entries.
const MANY_LONG: usize = 8;

/// The number of a row that is new stands above this bit: it is its place among those that are.
pub const NEW: u32 = 1 << 31;

/// A value as words.
#[derive(Clone, Copy, Debug)]
pub struct RawKey<const WORDS: usize> {
    words: [u64; WORDS],
    /// The kind and the length; or [`EMPTY`], or [`UNFIT`].
    what: u32,
}

impl<const WORDS: usize> Default for RawKey<WORDS> {
    /// What is equal to no raw key.
    fn default() -> Self {
        RawKey { words: [0; WORDS], what: EMPTY }
    }
}

impl RawKey<WIDE> {
    /// The same as words alone, which are equal if the keys are. All zeros are equal to no raw key.
    #[inline(always)]
    pub fn to_words(&self) -> [u64; WIDE + 1] {
        let [a, b, c, d, e, f] = self.words;
        [a, b, c, d, e, f, self.what.into()]
    }
}

impl<const WORDS: usize> RawKey<WORDS> {
    /// What is no raw key.
    pub const UNFIT: RawKey<WORDS> = RawKey { words: [0; WORDS], what: UNFIT };

    /// A value of up to eight bytes. Values of one kind are equal if their words are.
    #[inline(always)]
    pub fn word(word: u64, kind: u8) -> RawKey<WORDS> {
        RawKey::pair([word, 0], kind)
    }

    /// A value of up to 16 bytes.
    #[inline(always)]
    pub fn pair(pair: [u64; 2], kind: u8) -> RawKey<WORDS> {
        let mut words = [0; WORDS];
        words[..2].copy_from_slice(&pair);
        RawKey { words, what: RawKey::<WORDS>::what(kind, 0) }
    }

    /// A text. One that has too many bytes is no raw key.
    #[inline(always)]
    pub fn text(text: &[u8], kind: u8) -> RawKey<WORDS> {
        let mut words = [0; WORDS];
        let what = RawKey::<WORDS>::what(kind, text.len());
        // Of a text of a given length two parts that overlap say what it is.
        match text.len() {
            0 => {}
            1..4 => {
                let (first, middle, last) = (text[0], text[text.len() / 2], text[text.len() - 1]);
                words[0] = u64::from(u32::from_le_bytes([first, middle, last, 0]));
            }
            4..8 => {
                let (first, last) = (text.first_chunk().unwrap_or(&[0; 4]), text.last_chunk().unwrap_or(&[0; 4]));
                words[0] = u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
            }
            8..=16 => words[..2].copy_from_slice(&ends(text)),
            17..=32 if WORDS == WIDE => words[..4].copy_from_slice(&wide_ends(text)),
            33..=MAX_LEN if WORDS == WIDE => {
                words[..4].copy_from_slice(&wide_ends(text));
                words[4..].copy_from_slice(&ends(&text[16..32]));
            }
            _ => return RawKey::UNFIT,
        }
        RawKey { words, what }
    }

    /// Never [`EMPTY`] nor [`UNFIT`].
    #[inline(always)]
    fn what(kind: u8, len: usize) -> u32 {
        (u32::from(kind) + 1) << 8 | len as u32 & 0xff
    }

    /// A hash. Records can choose keys that share one: their places are soon full, and they are as slow as unknown ones.
    #[inline(always)]
    pub fn hash(&self) -> u64 {
        const KEYS: [u64; 6] = [
            0x9e37_79b9_7f4a_7c15,
            0xbf58_476d_1ce4_e5b9,
            0x94d0_49bb_1331_11eb,
            0xd6e8_feb8_6659_fd93,
            0xa076_1d64_78bd_642f,
            0xe703_7ed1_a0b4_28db,
        ];
        let mut hash = u64::from(self.what).wrapping_mul(KEYS[2]);
        for (pair, keys) in self.words.as_chunks::<2>().0.iter().zip(KEYS.as_chunks::<2>().0) {
            let product = u128::from(pair[0] ^ keys[0] ^ hash.rotate_left(32)) * u128::from(pair[1] ^ keys[1]);
            hash ^= product as u64 ^ (product >> 64) as u64;
        }
        hash
    }

    /// Whether it is a raw key.
    #[inline(always)]
    pub fn is_fit(&self) -> bool {
        self.what != UNFIT
    }

    /// Whether two are equal, without a branch for each word.
    #[inline(always)]
    pub fn equals(&self, other: &RawKey<WORDS>) -> bool {
        let differences = self.words.iter().zip(other.words).fold(0, |found, (a, b)| found | (a ^ b));
        differences | u64::from(self.what ^ other.what) == 0
    }
}

/// The first and the last eight bytes of a text that has as many.
#[inline(always)]
fn ends(text: &[u8]) -> [u64; 2] {
    let (first, last) = (text.first_chunk().unwrap_or(&[0; 8]), text.last_chunk().unwrap_or(&[0; 8]));
    [u64::from_le_bytes(*first), u64::from_le_bytes(*last)]
}

/// The first and the last 16 bytes of a text that has as many.
#[inline(always)]
fn wide_ends(text: &[u8]) -> [u64; 4] {
    let len = text.len();
    let ([a, b], [c, d]) = (ends(&text[..16]), ends(&text[len - 16..]));
    [a, b, c, d]
}

/// A column whose values can be had as raw keys.
pub trait RawColumn {
    /// The number of rows.
    fn rows(&self) -> usize;

    /// Puts the keys of some rows to `out`.
    fn read<const WORDS: usize>(&self, rows: Range<usize>, out: &mut [RawKey<WORDS>]);
}

/// A row whose key was not known.
#[derive(Clone, Copy, Debug)]
pub struct NewRow {
    /// Its place in the column.
    pub row: usize,
    /// Where its number is to be remembered; [`NewRow::NO_SLOT`] if it is not.
    pub slot: u32,
}

impl NewRow {
    /// No place.
    pub const NO_SLOT: u32 = u32::MAX;
}

/// Numbers below [`NEW`] by raw key: see the module.
#[derive(Debug, Default)]
pub struct RawMap {
    slots: Slots,
    rows: usize,
    found: usize,
    long: usize,
    /// The rows for which it is left alone.
    alone: usize,
    /// The windows for which it was left alone the last time.
    windows_alone: usize,
    short_only: bool,
}

#[derive(Debug)]
enum Slots {
    Narrow(Table<NARROW>),
    Wide(Table<WIDE>),
}

impl Default for Slots {
    fn default() -> Slots {
        Slots::Narrow(Table::default())
    }
}

impl RawMap {
    /// A map that stays with short entries.
    pub fn of_short() -> RawMap {
        RawMap { short_only: true, ..RawMap::default() }
    }

    /// Appends the number of each row of a column to `numbers`. For a row that is new that is [`NEW`] and its place in
    /// `news`, where it is appended; rows that follow with the same key may have the same.
    pub fn look_up(&mut self, column: &impl RawColumn, numbers: &mut Vec<u32>, news: &mut Vec<NewRow>) {
        let rows = column.rows();
        if self.alone > 0 {
            self.alone = self.alone.saturating_sub(rows);
            numbers.extend((0..rows as u32).map(|row| NEW | (news.len() as u32 + row)));
            news.extend((0..rows).map(|row| NewRow { row, slot: NewRow::NO_SLOT }));
            return;
        }
        let before = news.len();
        self.long += match &mut self.slots {
            Slots::Narrow(table) => table.look_up(column, numbers, news),
            Slots::Wide(table) => table.look_up(column, numbers, news),
        };
        self.rows += rows;
        self.found += rows - (news.len() - before);
        if self.rows >= WINDOW {
            self.decide();
        }
    }

    /// Whether the map goes on as it is.
    fn decide(&mut self) {
        let [rows, found, long] = [&mut self.rows, &mut self.found, &mut self.long].map(std::mem::take);
        if found * WORTHWHILE >= rows {
            self.windows_alone = 0;
        } else if self.slots() >= FEW_SLOTS || self.short_only && long * WORTHWHILE >= rows {
            self.windows_alone = (self.windows_alone * 2).clamp(WINDOWS_ALONE, MOST_ALONE);
            self.alone = self.windows_alone * WINDOW;
        }
        if !self.short_only && matches!(self.slots, Slots::Narrow(_)) && long * MANY_LONG >= rows {
            // What is still to be remembered of rows has no place then.
            self.slots = Slots::Wide(Table::default());
        }
    }

    /// Remembers the number of a row that was new.
    #[inline]
    pub fn learn(&mut self, new: &NewRow, number: u32) {
        match &mut self.slots {
            Slots::Narrow(table) => table.learn(new, number),
            Slots::Wide(table) => table.learn(new, number),
        }
    }

    /// The bytes that are taken in addition by [`grow`](RawMap::grow), which is worth it if they are more than 0.
    pub fn growth(&self) -> usize {
        match &self.slots {
            _ if self.alone > 0 => 0,
            Slots::Narrow(table) => table.growth(),
            Slots::Wide(table) => table.growth(),
        }
    }

    /// Makes room for more keys.
    pub fn grow(&mut self) {
        match &mut self.slots {
            Slots::Narrow(table) => table.grow(),
            Slots::Wide(table) => table.grow(),
        }
    }

    fn slots(&self) -> usize {
        match &self.slots {
            Slots::Narrow(table) => table.slots,
            Slots::Wide(table) => table.slots,
        }
    }

    /// The bytes held.
    pub fn size(&self) -> usize {
        match &self.slots {
            Slots::Narrow(table) => table.size(),
            Slots::Wide(table) => table.size(),
        }
    }
}

/// The places of keys of so many words.
#[derive(Debug, Default)]
struct Table<const WORDS: usize> {
    /// For each place a key's words, and then its kind and length below its number. Empty places are zero.
    places: Pages,
    /// The number of places: a power of two, or 0.
    slots: usize,
    len: usize,
}

impl<const WORDS: usize> Table<WORDS> {
    /// The words of a place.
    const SIZE: usize = WORDS + 1;

    /// [`RawMap::look_up`]. Gives the number of rows that have no raw key.
    fn look_up(&mut self, column: &impl RawColumn, numbers: &mut Vec<u32>, news: &mut Vec<NewRow>) -> usize {
        let (mut keys, mut firsts) = ([RawKey::<WORDS>::UNFIT; TOGETHER], [0; TOGETHER]);
        let mut unfit = 0;
        let places = self.places.as_chunks_mut::<8>().0;
        let mask = self.slots.wrapping_sub(1);
        for start in (0..column.rows()).step_by(TOGETHER) {
            let rows = start..column.rows().min(start + TOGETHER);
            let keys = &mut keys[..rows.len()];
            column.read(rows, keys);
            if self.slots == 0 {
                unfit += keys.iter().filter(|key| !key.is_fit()).count();
                numbers.extend((0..keys.len() as u32).map(|row| NEW | (news.len() as u32 + row)));
                news.extend((0..keys.len()).map(|row| NewRow { row: start + row, slot: NewRow::NO_SLOT }));
                continue;
            }
            for (first, key) in firsts.iter_mut().zip(&*keys) {
                *first = key.hash() as usize & mask;
                prefetch(&places[*first * Self::SIZE]);
            }
            // Nearly all are where they are looked for first, and the rest is out of line, which leaves all registers to this.
            let mut others =
                Others { places, mask, len: &mut self.len, most: self.slots * 3 / 4, unfit: &mut unfit, news };
            numbers.extend(keys.iter().zip(firsts).enumerate().map(|(row, (key, first))| {
                let (known, number) = key_of(&others.places[first * Self::SIZE..][..Self::SIZE]);
                if known.equals(key) { number } else { others.number(start + row, key, first) }
            }));
        }
        unfit
    }

    #[inline]
    fn learn(&mut self, new: &NewRow, number: u32) {
        let last = (new.slot as usize).saturating_mul(Self::SIZE).saturating_add(WORDS);
        if let Some(word) = self.places.as_chunks_mut::<8>().0.get_mut(last) {
            word[4..].copy_from_slice(&number.to_le_bytes());
        }
    }

    /// The places that there should be.
    fn wanted(&self) -> usize {
        let most = if WORDS == NARROW { MOST_SHORT } else { MOST_LONG };
        if self.len * 2 >= self.slots { (self.slots * 4).clamp(FIRST_SLOTS, most) } else { self.slots }
    }

    fn growth(&self) -> usize {
        let wanted = self.wanted();
        if wanted > self.slots { wanted * Self::SIZE * 8 } else { 0 }
    }

    fn grow(&mut self) {
        self.slots = self.wanted();
        self.len = 0;
        let old = std::mem::replace(&mut self.places, Pages::new(self.slots * Self::SIZE * 8));
        let places = self.places.as_chunks_mut::<8>().0;
        for slot in old.as_chunks::<8>().0.chunks_exact(Self::SIZE) {
            let (key, number) = key_of::<WORDS>(slot);
            // Which of them find no place any more does not matter.
            let mask = self.slots - 1;
            if key.what != EMPTY
                && let Found::Free(slot) = find(places, mask, &key, key.hash() as usize & mask)
            {
                put(places, slot, &key, number);
                self.len += 1;
            }
        }
    }

    fn size(&self) -> usize {
        self.places.resident(self.places.len())
    }
}

/// What happens to keys that are not where they are looked for first.
struct Others<'t> {
    places: &'t mut [[u8; 8]],
    mask: usize,
    len: &'t mut usize,
    /// The keys that there may be.
    most: usize,
    unfit: &'t mut usize,
    news: &'t mut Vec<NewRow>,
}

impl Others<'_> {
    /// The number of a key, which is new in a row if it is not known.
    #[inline(never)]
    fn number<const WORDS: usize>(&mut self, row: usize, key: &RawKey<WORDS>, first: usize) -> u32 {
        let number = NEW | self.news.len() as u32;
        let slot = match find(self.places, self.mask, key, first) {
            Found::Known(number) => return number,
            Found::Free(slot) if *self.len < self.most && key.is_fit() => {
                put(self.places, slot, key, number);
                *self.len += 1;
                slot as u32
            }
            Found::Free(_) | Found::NoPlace => NewRow::NO_SLOT,
        };
        *self.unfit += usize::from(!key.is_fit());
        self.news.push(NewRow { row, slot });
        number
    }
}

/// What comes of looking for a key.
enum Found {
    Known(u32),
    /// It is not there, and would have this place.
    Free(usize),
    /// It is not there, and there is no place for it.
    NoPlace,
}

/// Looks for a key from a place on. `mask` is the last place.
#[inline(always)]
fn find<const WORDS: usize>(places: &[[u8; 8]], mask: usize, key: &RawKey<WORDS>, first: usize) -> Found {
    for place in first..first + PROBES {
        let place = place & mask;
        let (found, number) = key_of(&places[place * (WORDS + 1)..][..WORDS + 1]);
        if found.equals(key) {
            return Found::Known(number);
        }
        if found.what == EMPTY {
            return Found::Free(place);
        }
    }
    Found::NoPlace
}

/// What is at a place.
#[inline(always)]
fn key_of<const WORDS: usize>(slot: &[[u8; 8]]) -> (RawKey<WORDS>, u32) {
    let mut key = RawKey::default();
    for (word, bytes) in key.words.iter_mut().zip(slot) {
        *word = u64::from_ne_bytes(*bytes);
    }
    let last = u64::from_le_bytes(slot[WORDS]);
    key.what = last as u32;
    (key, (last >> 32) as u32)
}

#[inline(always)]
fn put<const WORDS: usize>(places: &mut [[u8; 8]], place: usize, key: &RawKey<WORDS>, number: u32) {
    let slot = &mut places[place * (WORDS + 1)..][..WORDS + 1];
    for (bytes, word) in slot.iter_mut().zip(key.words) {
        *bytes = word.to_ne_bytes();
    }
    slot[WORDS] = (u64::from(key.what) | u64::from(number) << 32).to_le_bytes();
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl RawColumn for Vec<Vec<u8>> {
        fn rows(&self) -> usize {
            self.len()
        }

        fn read<const WORDS: usize>(&self, rows: Range<usize>, out: &mut [RawKey<WORDS>]) {
            out.iter_mut().zip(&self[rows]).for_each(|(key, text)| *key = RawKey::text(text, 7));
        }
    }

    proptest! {
        #[test]
        fn raw_keys_are_equal_exactly_if_the_texts_are(
            a in prop::collection::vec(0_u8..2, 0..60),
            change in prop::option::of(0_usize..60),
        ) {
            let mut b = a.clone();
            if let Some(byte) = change.and_then(|place| b.get_mut(place)) {
                *byte = 9;
            }
            let longer = [&a[..], &[0]].concat();
            for other in [&b, &longer] {
                let (x, y) = (RawKey::<WIDE>::text(&a, 0), RawKey::<WIDE>::text(other, 0));
                prop_assert_eq!(x.equals(&y), x.what == UNFIT && y.what == UNFIT || a == *other);
                let (x, y) = (RawKey::<NARROW>::text(&a, 0), RawKey::<NARROW>::text(other, 0));
                prop_assert_eq!(x.equals(&y), x.what == UNFIT && y.what == UNFIT || a == *other);
            }
            prop_assert_eq!(RawKey::<WIDE>::text(&a, 0).what == UNFIT, a.len() > MAX_LEN);
            prop_assert!(!RawKey::<WIDE>::word(0, 1).equals(&RawKey::word(0, 2)));
        }

        #[test]
        fn numbers_are_those_that_were_learned(
            batches in prop::collection::vec((1_usize..6000, 1_u32..20_000, 0_usize..50, any::<bool>()), 1..12),
        ) {
            let (mut map, mut known) = (RawMap::default(), HashMap::new());
            let mut next = 0_u32;
            for (rows, keys, padding, grows) in batches {
                if grows && map.growth() > 0 {
                    let growth = map.growth();
                    map.grow();
                    prop_assert!(map.size() <= growth + 64);
                }
                let column: Vec<Vec<u8>> = (0..rows)
                    .map(|_| {
                        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        [&vec![b'x'; padding][..], (next % keys).to_string().as_bytes()].concat()
                    })
                    .collect();
                let (mut numbers, mut news) = (Vec::new(), Vec::new());
                map.look_up(&column, &mut numbers, &mut news);
                prop_assert_eq!(numbers.len(), column.len());
                let own: Vec<u32> = news
                    .iter()
                    .map(|new| {
                        let number = known.len() as u32;
                        *known.entry(column[new.row].clone()).or_insert(number)
                    })
                    .collect();
                news.iter().zip(&own).for_each(|(new, number)| map.learn(new, *number));
                for (key, number) in column.iter().zip(numbers) {
                    let number = if number & NEW != 0 { own[(number & !NEW) as usize] } else { number };
                    prop_assert_eq!(known.get(key), Some(&number));
                }
            }
        }
    }

    #[test]
    fn most_rows_are_found() {
        let mut map = RawMap::default();
        for padding in [4, 30] {
            let column: Vec<Vec<u8>> =
                (0..3000).map(|i| format!("{}{}", "y".repeat(padding), i % 500).into_bytes()).collect();
            let mut last = 0;
            for _ in 0..8 {
                map.grow();
                let (mut numbers, mut news) = (Vec::new(), Vec::new());
                map.look_up(&column, &mut numbers, &mut news);
                news.iter().enumerate().for_each(|(number, new)| map.learn(new, number as u32));
                last = news.len();
            }
            assert!(last < column.len() / 10, "{padding}: {last} rows");
        }
    }
}
