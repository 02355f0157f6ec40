//! Byte strings numbered densely, each once: the keys of groups, the values of a distinct count.
//!
//! # How it works
//! A string is looked up in a table of eight-byte *slots* with linear probing. A slot has 32 bits of the string's hash
//! (the *tag*) and the address of its *record*, where its number, length and bytes lie together. So a lookup of a new
//! string costs one cache miss, and that of a known one two, however many there are. The first slot to look at is given
//! by the upper bits of the tag: slots are in order of tags, save for collisions, and the table grows in one pass over
//! it that reads and writes in order and needs no record.
//!
//! Records never move. They lie in chunks of which each is twice as large as the one before, so the place of a
//! record follows from the position of its address's highest bit; a chunk takes memory only as it is filled.
//!
//! Where many strings are looked up at a time, the slots of all of them are loaded first, then their records: the
//! misses overlap, instead of being waited for one by one.

use super::Pages;

/// The strings that are looked up together: few enough that what was loaded for them stays in the first caches.
const TOGETHER: usize = 256;
/// Addresses count units of this many bytes.
const UNIT: usize = 8;
/// What stands before the bytes of a record: the number and the length.
const HEADER: usize = 8;
/// The first chunk has `2^FIRST` units, and so the first address is that.
const FIRST: u32 = 3;
/// The fewest slots.
const MIN_SLOTS: usize = 4;

/// Byte strings that are numbered in the order in which they came, each once.
#[derive(Debug, Default)]
pub struct Interner {
    /// Slots of eight bytes, 0 if empty, else the tag above the address. Their number is a power of two or 0.
    slots: Pages,
    /// Shifts a tag to its first slot.
    shift: u32,
    records: Records,
    /// The address of each string's record.
    addresses: Vec<u32>,
}

/// One of the strings that [`Interner::intern_all`] is given.
#[derive(Clone, Copy, Debug)]
pub struct HashedKey {
    /// Its hash; equal strings have equal hashes.
    pub hash: u64,
    /// Where it ends; it starts where the one before it ends.
    pub end: usize,
}

impl Interner {
    /// The number of strings.
    #[inline]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The string of a number.
    #[inline]
    pub fn get(&self, number: u32) -> &[u8] {
        self.records.get(self.addresses[number as usize]).1
    }

    /// The address of a string's record, which leads to it with one memory access less than its number does.
    #[inline]
    pub fn address(&self, number: u32) -> u32 {
        self.addresses[number as usize]
    }

    /// The number of the string whose record is at an address.
    #[inline]
    pub fn number_at(&self, address: u32) -> u32 {
        self.records.header(address) as u32
    }

    /// The string whose record is at an address.
    #[inline]
    pub fn at(&self, address: u32) -> &[u8] {
        self.records.get(address).1
    }

    /// The number of a string, new if it was not there before. Equal strings must come with equal hashes, of which the
    /// upper 32 bits count.
    #[inline]
    pub fn intern(&mut self, hash: u64, key: &[u8]) -> u32 {
        self.intern_tagged((hash >> 32) as u32, key)
    }

    fn intern_tagged(&mut self, tag: u32, key: &[u8]) -> u32 {
        self.make_room(1);
        let slots = self.slots.as_chunks::<8>().0;
        let mask = slots.len() - 1;
        let mut at = (tag >> self.shift) as usize;
        loop {
            let slot = u64::from_ne_bytes(slots[at & mask]);
            if slot == 0 {
                break;
            }
            if (slot >> 32) as u32 == tag {
                let (number, known) = self.records.get(slot as u32);
                if known == key {
                    return number;
                }
            }
            at += 1;
        }
        let number = self.addresses.len() as u32;
        let address = self.records.push(number, key);
        self.addresses.push(address);
        let slot = u64::from(tag) << 32 | u64::from(address);
        self.slots.as_chunks_mut::<8>().0[at & mask] = slot.to_ne_bytes();
        number
    }

    /// The numbers of strings that lie one after another in `bytes`, appended to `numbers`: as
    /// [`intern`](Interner::intern) gives them one by one, but faster where there are many.
    pub fn intern_all(&mut self, bytes: &[u8], keys: &[HashedKey], numbers: &mut Vec<u32>) {
        let mut start = 0;
        let (mut found, mut headers) = ([0_u64; TOGETHER], [0_u64; TOGETHER]);
        for keys in keys.chunks(TOGETHER) {
            self.make_room(keys.len());
            let shift = self.shift;
            let slots = self.slots.as_chunks::<8>().0;
            let mask = slots.len() - 1;
            for (slot, key) in found.iter_mut().zip(keys) {
                *slot = u64::from_ne_bytes(slots[(key.hash >> 32 >> shift) as usize & mask]);
            }
            for (slot, key) in found.iter_mut().zip(keys) {
                let tag = key.hash >> 32;
                let mut at = (tag >> shift) as usize;
                while *slot >> 32 != tag && *slot != 0 {
                    at += 1;
                    *slot = u64::from_ne_bytes(slots[at & mask]);
                }
            }
            for (header, slot) in headers.iter_mut().zip(&found[..keys.len()]) {
                *header = if *slot == 0 { 0 } else { self.records.header(*slot as u32) };
            }
            for ((key, slot), header) in keys.iter().zip(found).zip(headers) {
                let string = &bytes[start..key.end];
                start = key.end;
                let known =
                    slot != 0 && header >> 32 == string.len() as u64 && self.records.get(slot as u32).1 == string;
                numbers.push(if known { header as u32 } else { self.intern(key.hash, string) });
            }
        }
    }

    /// Gives the strings other numbers: to the first that of `numbers[0]`, and so on. They may have gaps: from then on
    /// strings are found by address only.
    pub fn renumber(&mut self, numbers: &[u32]) {
        for (address, &number) in std::mem::take(&mut self.addresses).into_iter().zip(numbers) {
            self.records.set_number(address, number);
        }
    }

    /// Takes in all strings of another.
    pub fn merge(&mut self, other: &Interner) {
        // Strings that come in order of tags would fill up the start of a table that is too small for all of them.
        self.make_room(other.len());
        for slot in other.slots.as_chunks::<8>().0 {
            let slot = u64::from_ne_bytes(*slot);
            if slot != 0 {
                self.intern_tagged((slot >> 32) as u32, other.records.get(slot as u32).1);
            }
        }
    }

    /// The bytes held. Takes constant time.
    pub fn size(&self) -> usize {
        self.slots.len() + self.records.size() + self.addresses.capacity() * size_of::<u32>()
    }

    /// Sees to it that after `more` further strings five eighths of the slots are taken at most.
    #[inline]
    fn make_room(&mut self, more: usize) {
        if (self.addresses.len() + more) * 8 > self.slots.len() / 8 * 5 {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let wanted = ((self.addresses.len() + more) * 8 / 5 + 1).next_power_of_two().max(MIN_SLOTS);
        let old = std::mem::replace(&mut self.slots, Pages::new(wanted * 8));
        // The slots can be more than the tags: then the first slots are some way apart.
        self.shift = 32_u32.saturating_sub(wanted.trailing_zeros());
        let slots = self.slots.as_chunks_mut::<8>().0;
        for slot in old.as_chunks::<8>().0 {
            let value = u64::from_ne_bytes(*slot);
            if value != 0 {
                let mut at = (value >> 32 >> self.shift) as usize;
                while slots[at & (wanted - 1)] != [0; 8] {
                    at += 1;
                }
                slots[at & (wanted - 1)] = *slot;
            }
        }
    }
}

/// The records, each a number, a length and that many bytes.
#[derive(Debug, Default)]
struct Records {
    /// Chunk `i` has the addresses from `2^(FIRST + i)` to below twice that.
    chunks: Vec<Pages>,
    /// The first free address; 0 before the first chunk.
    next: u32,
    /// The bytes of memory that all chunks but the last take.
    full: usize,
}

impl Records {
    /// The first address of a chunk.
    fn first(chunk: usize) -> usize {
        1 << (FIRST as usize + chunk)
    }

    #[inline]
    fn place(address: u32) -> (usize, usize) {
        let log = address.ilog2();
        ((log - FIRST) as usize, (address - (1 << log)) as usize * UNIT)
    }

    #[inline]
    fn header(&self, address: u32) -> u64 {
        let (chunk, start) = Records::place(address);
        let bytes = &self.chunks[chunk][start..start + HEADER];
        bytes.as_chunks::<8>().0.first().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    #[inline]
    fn get(&self, address: u32) -> (u32, &[u8]) {
        let (chunk, start) = Records::place(address);
        let record = &self.chunks[chunk][start..];
        let (header, bytes) = record.split_at(HEADER);
        let header = header.as_chunks::<8>().0.first().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (header as u32, &bytes[..(header >> 32) as usize])
    }

    fn set_number(&mut self, address: u32, number: u32) {
        let (chunk, start) = Records::place(address);
        self.chunks[chunk][start..start + 4].copy_from_slice(&number.to_le_bytes());
    }

    fn push(&mut self, number: u32, bytes: &[u8]) -> u32 {
        let len = HEADER + bytes.len();
        let fits = |chunk: &Pages, next: u32| Records::place(next).1 + len <= chunk.len();
        // An address one past the last chunk is the first of the chunk after it.
        let at_end = self.next as usize == Records::first(self.chunks.len());
        if at_end || !self.chunks.last().is_some_and(|chunk| fits(chunk, self.next)) {
            self.add_chunk(len);
        }
        let address = self.next;
        let (chunk, start) = Records::place(address);
        let record = &mut self.chunks[chunk][start..start + len];
        let header = u64::from(number) | (bytes.len() as u64) << 32;
        record[..HEADER].copy_from_slice(&header.to_le_bytes());
        record[HEADER..].copy_from_slice(bytes);
        self.next =
            address.checked_add(len.div_ceil(UNIT) as u32).expect("the keys of one table take less than 32 GiB");
        address
    }

    /// Adds chunks up to one that has room for `len` bytes.
    #[cold]
    fn add_chunk(&mut self, len: usize) {
        self.full = self.size();
        loop {
            let first = Records::first(self.chunks.len());
            let fits = len <= first * UNIT;
            // A chunk that is too small for what it was made for stays empty.
            self.chunks.reserve_exact(1);
            self.chunks.push(if fits { Pages::new(first * UNIT) } else { Pages::default() });
            if fits {
                self.next = u32::try_from(first).expect("the keys of one table take less than 32 GiB");
                return;
            }
        }
    }

    fn size(&self) -> usize {
        let last = self.chunks.last().map_or(0, |chunk| {
            let first = Records::first(self.chunks.len() - 1);
            chunk.resident((self.next as usize - first) * UNIT)
        });
        self.full + last
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Few tags, so that different strings share one; with no tag at all every string has the same first slot.
    fn hash(key: &[u8], tags: u64) -> u64 {
        let sum = key.iter().fold(7_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if tags == 0 { 0 } else { (sum >> 32) % tags * (u64::MAX / tags) }
    }

    fn numbers_of(strings: &[Vec<u8>]) -> Vec<u32> {
        let mut known = HashMap::new();
        let number = |string| {
            let next = known.len() as u32;
            *known.entry(string).or_insert(next)
        };
        strings.iter().map(number).collect()
    }

    proptest! {
        #[test]
        fn numbers_strings_as_a_map_does(
            strings in prop::collection::vec(prop::collection::vec(0_u8..4, 0..6), 0..2000),
            batch in 1_usize..700,
            tags in prop::sample::select(vec![0, 1, 3, 64, 1 << 20]),
        ) {
            let expected = numbers_of(&strings);
            let (mut single, mut batched, mut numbers) = (Interner::default(), Interner::default(), Vec::new());
            for strings in strings.chunks(batch) {
                let keys: Vec<HashedKey> = strings
                    .iter()
                    .scan(0, |end, string| {
                        *end += string.len();
                        Some(HashedKey { hash: hash(string, tags), end: *end })
                    })
                    .collect();
                batched.intern_all(&strings.concat(), &keys, &mut numbers);
            }
            prop_assert_eq!(&numbers, &expected);
            for (string, &number) in strings.iter().zip(&expected) {
                prop_assert_eq!(single.intern(hash(string, tags), string), number);
                prop_assert_eq!(batched.get(number), string.as_slice());
            }
        }

        #[test]
        fn merging_keeps_each_string_once(
            a in prop::collection::hash_set(prop::collection::vec(0_u8..4, 0..6), 0..1000),
            b in prop::collection::hash_set(prop::collection::vec(0_u8..4, 0..6), 0..1000),
            tags in prop::sample::select(vec![0, 3, 1 << 20]),
        ) {
            let interned = |strings: &std::collections::HashSet<Vec<u8>>| {
                let mut interner = Interner::default();
                strings.iter().for_each(|string| { interner.intern(hash(string, tags), string); });
                interner
            };
            let mut merged = interned(&a);
            merged.merge(&interned(&b));
            let mut strings: Vec<_> = (0..merged.len() as u32).map(|number| merged.get(number).to_vec()).collect();
            strings.sort();
            let mut expected: Vec<_> = a.union(&b).cloned().collect();
            expected.sort();
            prop_assert_eq!(strings, expected);
        }
    }

    #[test]
    fn renumbered_strings_are_found_by_address() {
        let mut interner = Interner::default();
        let strings: Vec<Vec<u8>> = (0..1000_u32).map(|i| i.to_le_bytes().to_vec()).collect();
        strings.iter().for_each(|string| _ = interner.intern(hash(string, 1 << 20), string));
        let addresses: Vec<u32> = (0..1000).map(|number| interner.address(number)).collect();
        let numbers: Vec<u32> = (0..1000).map(|i| i * 7 % 1000 * 2).collect();
        interner.renumber(&numbers);
        for ((string, number), address) in strings.iter().zip(numbers).zip(addresses) {
            assert_eq!(interner.at(address), string);
            assert_eq!(interner.number_at(address), number);
        }
    }

    #[test]
    fn long_strings_and_many_of_them_are_kept() {
        let mut interner = Interner::default();
        let mut bytes = 0;
        for i in 0..3000_usize {
            let string = [&i.to_le_bytes()[..], &vec![i as u8; i % 100 * 97]].concat();
            bytes += string.len();
            assert_eq!(interner.intern(hash(&string, 1 << 30), &string), i as u32);
        }
        let long = vec![1; 5 << 20];
        let number = interner.intern(hash(&long, 1 << 30), &long);
        assert_eq!(interner.intern(0, b""), number + 1);
        assert_eq!(interner.get(number), long);
        assert_eq!(interner.get(2999)[..8], 2999_usize.to_le_bytes());
        assert!(interner.size() > bytes + long.len());
    }
}
