//! Byte strings numbered densely, each once: the keys of groups, the values of a distinct count.
//!
//! # How it works
//! A string is looked up in a table of eight-byte *slots* with linear probing. A slot has 32 bits of the string's hash
//! (the *tag*) and the address of its *record*, where its number, length and bytes lie together. So a lookup of a new
//! string costs one cache miss, and that of a known one two, however many there are. The first slot to look at is given
//! by the upper bits of the tag: slots are in order of tags, save for collisions, and the table grows in one pass over
//! it that reads and writes in order and needs no record.
//!
//! [`Records`] never move, and lie in the order of their numbers.
//!
//! Where many strings are looked up at a time, the slots of all of them are prefetched first, then their records: the
//! misses overlap, instead of being waited for one by one.

use super::{Pages, Records};
use crate::scan::prefetch;

/// The strings that are looked up together: few enough that what was loaded for them stays in the first caches.
const TOGETHER: usize = 256;
/// Of strings that are appended one of so many is looked up all the same.
const SAMPLED: u64 = 16;
/// The bytes that a short string takes as a record.
const SHORT: usize = 64;
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
    /// The records that have no slot.
    appended: usize,
}

/// What came of looking strings up.
#[derive(Clone, Copy, Debug, Default)]
pub struct LookedUp {
    /// The strings that were looked up.
    pub strings: usize,
    /// Those of them that were there already.
    pub found: usize,
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
        self.records.len()
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The strings with their numbers.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The strings with their numbers, when none is to be found any more.
    pub fn into_records(self) -> Records {
        self.records
    }

    /// The number of a string, new if it was not there before. Equal strings must come with equal hashes, of which the
    /// upper 32 bits count.
    #[inline]
    pub fn intern(&mut self, hash: u64, key: &[u8]) -> u32 {
        self.intern_tagged((hash >> 32) as u32, key)
    }

    fn intern_tagged(&mut self, tag: u32, key: &[u8]) -> u32 {
        self.make_room(1);
        match probe(&self.slots, self.shift, &self.records, tag, key) {
            Ok(number) => number,
            Err(free) => {
                let number = self.len() as u32;
                let address = self.records.push(number, key);
                fill(&mut self.slots, free, tag, address);
                number
            }
        }
    }

    /// The numbers of strings that lie one after another in `bytes`, appended to `numbers`: as
    /// [`intern`](Interner::intern) gives them one by one, but faster where there are many.
    pub fn intern_all(&mut self, bytes: &[u8], keys: &[HashedKey], numbers: &mut Vec<u32>) {
        let mut start = 0;
        let mut found = [0_u64; TOGETHER];
        for keys in keys.chunks(TOGETHER) {
            self.make_room(keys.len());
            self.locate(keys, &mut found);
            for (key, slot) in keys.iter().zip(found) {
                let string = &bytes[start..key.end];
                start = key.end;
                let known = if slot == 0 { None } else { Some(self.records.get(slot as u32)) };
                let number = known.filter(|(_, other)| *other == string).map(|(number, _)| number);
                numbers.push(number.unwrap_or_else(|| self.intern(key.hash, string)));
            }
        }
    }

    /// The numbers of strings that lie one after another in `bytes`, appended to `numbers`; `None` for one that is not there.
    pub fn find_all(&self, bytes: &[u8], keys: &[HashedKey], numbers: &mut Vec<Option<u32>>) {
        if self.slots.is_empty() {
            numbers.resize(numbers.len() + keys.len(), None);
            return;
        }
        let mut start = 0;
        let mut found = [0_u64; TOGETHER];
        for keys in keys.chunks(TOGETHER) {
            self.locate(keys, &mut found);
            for (key, slot) in keys.iter().zip(found) {
                let string = &bytes[start..key.end];
                start = key.end;
                let number = match slot {
                    0 => None,
                    _ => match self.records.get(slot as u32) {
                        (number, other) if other == string => Some(number),
                        _ => probe(&self.slots, self.shift, &self.records, (key.hash >> 32) as u32, string).ok(),
                    },
                };
                numbers.push(number);
            }
        }
    }

    /// For each key the first slot with its tag, 0 if there is none. The records that they lead to begin to be loaded.
    fn locate(&self, keys: &[HashedKey], found: &mut [u64; TOGETHER]) {
        let shift = self.shift;
        let slots = self.slots.as_chunks::<8>().0;
        let mask = slots.len() - 1;
        let first = |key: &HashedKey| (key.hash >> 32 >> shift) as usize & mask;
        keys.iter().for_each(|key| prefetch(&slots[first(key)]));
        for (slot, key) in found.iter_mut().zip(keys) {
            let mut at = first(key);
            *slot = u64::from_ne_bytes(slots[at]);
            while *slot >> 32 != key.hash >> 32 && *slot != 0 {
                at = (at + 1) & mask;
                *slot = u64::from_ne_bytes(slots[at]);
            }
            if *slot != 0 {
                self.records.prefetch(*slot as u32);
            }
        }
    }

    /// Gives strings that lie one after another in `bytes` new numbers, appended to `numbers`, without looking whether they
    /// are there: then one string has several numbers. Only one in some is interned, always the same ones by hash, to tell
    /// how many are there.
    pub fn append_all(&mut self, bytes: &[u8], keys: &[HashedKey], numbers: &mut Vec<u32>) -> LookedUp {
        let mut looked_up = LookedUp::default();
        let mut start = 0;
        for key in keys {
            let string = &bytes[start..key.end];
            start = key.end;
            let next = self.len() as u32;
            // Slots are told apart by the upper half of a hash.
            if key.hash.is_multiple_of(SAMPLED) {
                let number = self.intern(key.hash, string);
                looked_up.strings += 1;
                looked_up.found += usize::from(number < next);
                numbers.push(number);
            } else {
                self.records.push(next, string);
                self.appended += 1;
                numbers.push(next);
            }
        }
        looked_up
    }

    /// Whether there are strings that were appended: only these may have several numbers.
    pub fn has_appended(&self) -> bool {
        self.appended > 0
    }

    /// Lets strings that were appended be found from now on, those of several numbers by one of these.
    pub fn find_appended(&mut self, hash: impl Fn(&[u8]) -> u64) {
        self.make_room(self.appended);
        for (address, string) in self.records.addresses() {
            let tag = (hash(string) >> 32) as u32;
            if let Err(free) = probe(&self.slots, self.shift, &self.records, tag, string) {
                fill(&mut self.slots, free, tag, address);
                self.appended -= 1;
            }
        }
    }

    /// Takes in all strings of another. `met` is given the number of each there and here.
    pub fn merge(&mut self, other: &Interner, mut met: impl FnMut(u32, u32)) {
        // Strings that come in order of tags would fill up the start of a table that is too small for all of them.
        self.make_room(other.len());
        for slot in other.slots.as_chunks::<8>().0 {
            let slot = u64::from_ne_bytes(*slot);
            if slot != 0 {
                let (there, string) = other.records.get(slot as u32);
                met(there, self.intern_tagged((slot >> 32) as u32, string));
            }
        }
    }

    /// The bytes that are held in addition while a number of short strings is taken in.
    pub fn growth(&self, strings: usize) -> usize {
        // Those that were appended may have to be found again, too.
        let found = self.len() + strings;
        let slots = if found * 8 > self.slots.len() / 8 * 5 { slots_for(found) * 8 } else { 0 };
        slots + strings * SHORT
    }

    /// The bytes held. Takes constant time.
    pub fn size(&self) -> usize {
        self.slots.resident(self.slots.len()) + self.records.size()
    }

    /// Sees to it that after `more` further strings five eighths of the slots are taken at most.
    #[inline]
    fn make_room(&mut self, more: usize) {
        if (self.len() - self.appended + more) * 8 > self.slots.len() / 8 * 5 {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let wanted = slots_for(self.len() - self.appended + more);
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

/// The slots for so many strings.
fn slots_for(strings: usize) -> usize {
    (strings * 8 / 5 + 1).next_power_of_two().max(MIN_SLOTS)
}

/// The number of a string that has a slot, else the slot that it would get.
#[inline]
fn probe(slots: &[u8], shift: u32, records: &Records, tag: u32, key: &[u8]) -> Result<u32, usize> {
    let slots = slots.as_chunks::<8>().0;
    let mask = slots.len() - 1;
    let mut at = (tag >> shift) as usize & mask;
    loop {
        let slot = u64::from_ne_bytes(slots[at]);
        if slot == 0 {
            return Err(at);
        }
        if (slot >> 32) as u32 == tag {
            let (number, known) = records.get(slot as u32);
            if known == key {
                return Ok(number);
            }
        }
        at = (at + 1) & mask;
    }
}

#[inline]
fn fill(slots: &mut [u8], at: usize, tag: u32, address: u32) {
    slots.as_chunks_mut::<8>().0[at] = (u64::from(tag) << 32 | u64::from(address)).to_ne_bytes();
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
            let asked: Vec<Vec<u8>> = strings.iter().flat_map(|own| [own.clone(), [&own[..], &[9]].concat()]).collect();
            let mut end = 0;
            let keys: Vec<HashedKey> = asked.iter().map(|string| {
                end += string.len();
                HashedKey { hash: hash(string, tags), end }
            }).collect();
            let mut found = Vec::new();
            batched.find_all(&asked.concat(), &keys, &mut found);
            let expected_found: Vec<_> = expected.iter().flat_map(|&number| [Some(number), None]).collect();
            prop_assert_eq!(found, expected_found);
            for (string, &number) in strings.iter().zip(&expected) {
                prop_assert_eq!(single.intern(hash(string, tags), string), number);
            }
            let mut firsts = strings.clone();
            let mut seen = std::collections::HashSet::new();
            firsts.retain(|string| seen.insert(string.clone()));
            prop_assert!(batched.records().iter().map(|(_, string)| string).eq(&firsts));
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
            let b_interned = interned(&b);
            let mut pairs = Vec::new();
            merged.merge(&b_interned, |there, here| pairs.push((there, here)));
            prop_assert_eq!(pairs.len(), b.len());
            for (there, here) in pairs {
                let string = |interner: &Interner, number| interner.records().iter().nth(number as usize).unwrap().1.to_vec();
                prop_assert_eq!(string(&b_interned, there), string(&merged, here));
            }
            let mut strings: Vec<_> = merged.records().iter().map(|(_, string)| string.to_vec()).collect();
            strings.sort();
            let mut expected: Vec<_> = a.union(&b).cloned().collect();
            expected.sort();
            prop_assert_eq!(strings, expected);
        }
    }

    #[test]
    fn appended_strings_are_found_once_they_are_to_be() {
        let string = |i: u32| i.to_le_bytes();
        let hash = |string: &[u8]| hash(string, 1 << 20) & !0xff | u64::from(string[0]);
        let mut interner = Interner::default();
        let mut numbers = Vec::new();
        let mut append = |interner: &mut Interner, strings: std::ops::Range<u32>| {
            let keys =
                strings.clone().enumerate().map(|(i, key)| HashedKey { hash: hash(&string(key)), end: i * 4 + 4 });
            let bytes: Vec<u8> = strings.clone().flat_map(string).collect();
            interner.append_all(&bytes, &keys.collect::<Vec<_>>(), &mut numbers)
        };
        (0..1000).for_each(|i| _ = interner.intern(hash(&string(i)), &string(i)));
        assert!(!interner.has_appended());
        let LookedUp { strings, found } = append(&mut interner, 1000..5000);
        assert_eq!((strings, found), (250, 0));
        let again = append(&mut interner, 3000..5000);
        assert_eq!((again.strings, again.found), (125, 125));
        // What is looked up is there once.
        assert_eq!(interner.len(), 7000 - again.found);
        assert!(interner.has_appended());
        assert!(interner.records().iter().map(|(number, _)| number).eq(0..interner.len() as u32));
        for (place, &number) in numbers.iter().enumerate() {
            let place = place as u32;
            let expected = if place < 4000 { 1000 + place } else { place - 1000 };
            assert_eq!(interner.records().iter().nth(number as usize), Some((number, &string(expected)[..])));
        }
        interner.find_appended(hash);
        let len = interner.len();
        for i in 0..5000 {
            let number = interner.intern(hash(&string(i)), &string(i));
            assert_eq!(interner.records().iter().nth(number as usize), Some((number, &string(i)[..])));
        }
        assert_eq!(interner.len(), len);
        // Some still have two numbers.
        assert!(interner.has_appended());
        interner.intern(hash(&string(5000)), &string(5000));
        assert_eq!(interner.len(), len + 1);
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
        let strings: Vec<_> = interner.records().iter().collect();
        assert_eq!(strings[3000], (number, long.as_slice()));
        assert_eq!(strings[2999].1[..8], 2999_usize.to_le_bytes());
        assert!(interner.size() > bytes + long.len());
    }
}
