//! The groups of several tables in the order of their keys.
//!
//! # How it works
//! Keys that were sampled cut the range of all keys into many *ranges* of some thousand groups, so that what is worked on
//! at a time stays in the cache. First the keys of each table, a *piece* of it at a time, are dealt out to the
//! ranges: in each piece those of a range are then neighbours. So one thread can sort a range and read all of its keys
//! with few cache misses, and other threads other ranges; what comes out does not depend on which did what.
//!
//! The states of the groups lie all over the tables, too. So they are dealt out likewise: the groups of each table are
//! renumbered, those of a range together, and states are lists by number.
//!
//! A sort compares eight bytes of each key as a number. They are taken from where the keys begin to differ (all
//! order numbers may start with `ord-`); where they are equal for many keys, those are sorted by what comes next.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::table::GroupTable;
use crate::agg::{Member, Numbers, STATES_CHUNK};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Records, Reservation, Stretch};
use crate::sort::prefix;

/// About this many groups are in a range.
const RANGE: usize = 4 << 10;
/// The most ranges, whose numbers fit 16 bits: with more, dealing out misses the cache.
const MOST_RANGES: usize = 2 << 10;
/// The keys that are sampled for each range.
const SAMPLES: usize = 8;
/// Up to this many keys with the same eight bytes are sorted by comparing them as a whole.
const FEW: usize = 16;
/// From this many entries on they are dealt out by bytes, and by how many bytes of each.
const MANY: usize = 512;
const DIGITS: usize = 4;
/// The steps that narrow the search for a key's range.
const STEPS: u64 = 1 << 12;
/// How often a sort looks at further bytes of keys, before it compares keys as a whole.
const MOST_PREFIXES: usize = 32;

/// The groups of some tables by ranges of keys.
pub(super) struct Order {
    /// Those of the first table, then those of the next one.
    pieces: Vec<Piece>,
    /// For each range the number of its keys.
    counts: Vec<usize>,
    _reservation: Reservation,
}

/// Some of the groups of a table by range.
struct Piece {
    table: u32,
    /// The keys with the numbers of their groups.
    keys: Stretch,
    /// For each range where its keys end.
    ends: Vec<usize>,
}

/// The groups of a range in the order of their keys.
pub(super) struct SortedRange<'o> {
    /// Those of equal keys stand together, in the order of their tables; a table may have several.
    pub(super) members: Vec<Member>,
    /// The keys, each once.
    pub(super) keys: Vec<&'o [u8]>,
}

impl Order {
    /// Takes the keys of tables, and renumbers their groups.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for it.
    pub(super) fn new(tables: &mut [GroupTable], budget: &Budget, threads: usize) -> Result<Order> {
        let keys: Vec<Records> = tables.iter_mut().map(GroupTable::take_keys).collect::<Result<_>>()?;
        let len: usize = keys.iter().map(Records::len).sum();
        let size: usize = keys.iter().map(Records::size).sum();
        let mut reservation = budget.reservation("groups in order");
        reservation.resize(size)?;
        let splitters = Splitters::new(&keys, len);
        let ranges = splitters.keys.len() + 1;
        let stretches: Vec<(u32, Stretch)> = keys
            .into_iter()
            .enumerate()
            .flat_map(|(table, keys)| keys.into_stretches().into_iter().map(move |keys| (table as u32, keys)))
            .collect();
        if ranges == 1 {
            let whole = |(table, keys): (u32, Stretch)| Piece { table, ends: vec![keys.end()], keys };
            let pieces = stretches.into_iter().map(whole).collect();
            return Ok(Order { pieces, counts: vec![len], _reservation: reservation });
        }
        // Each thread needs room for a piece. The second part is what stands for each group and range.
        let largest = stretches.iter().map(|(_, keys)| keys.size()).max().unwrap_or(0);
        let working = largest * threads + len * size_of::<u16>() + stretches.len() * ranges * 4 * size_of::<usize>();
        reservation.resize(size + working)?;
        let cuts = in_parallel(threads, stretches.len(), |piece| Cut::new(&stretches[piece].1, &splitters))?;
        // This costs some memory for a while, and saves only time: without enough of it the groups stay as they are.
        let states: usize = tables.iter().map(GroupTable::states_size).sum();
        let more = len * size_of::<u32>() + states / len.max(1) * tables.len() * ranges * STATES_CHUNK;
        let renumbers = reservation.resize(size + working + more).is_ok();
        let (firsts, ends) = if renumbers { first_numbers(&stretches, &cuts, ranges) } else { Default::default() };
        let stretches: Vec<_> = stretches.into_iter().map(|stretch| Mutex::new(Some(stretch))).collect();
        let spare = Mutex::new(Vec::new());
        let pieces = in_parallel(threads, stretches.len(), |piece| {
            let stretch = stretches[piece].lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            let (table, keys) = stretch?;
            let last = spare.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
            let dealt = deal(table, &keys, &cuts[piece], firsts.get(piece), last);
            spare.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(keys);
            Some(dealt)
        })?;
        drop(spare);
        let pieces: Vec<Piece> = pieces.into_iter().flatten().collect();
        if renumbers {
            let tables: Vec<Mutex<&mut GroupTable>> = tables.iter_mut().map(Mutex::new).collect();
            in_parallel(threads, tables.len(), |table| {
                let all = pieces.iter().zip(&cuts).zip(&firsts);
                let own = all.filter(|((piece, _), _)| piece.table as usize == table);
                let own = own.map(|((_, cut), firsts)| (cut.ranges.as_slice(), firsts.as_slice())).collect();
                let numbers = Numbers::new(own, ends[table]);
                tables[table].lock().unwrap_or_else(|poisoned| poisoned.into_inner()).renumber(&numbers);
            })?;
        }
        let size: usize = pieces.iter().map(|piece| piece.keys.size() + piece.ends.len() * size_of::<usize>()).sum();
        // A thread that sorts a range has all this twice.
        let sorting = 2 * (size_of::<Entry>() + size_of::<Member>() + size_of::<&[u8]>());
        reservation.resize(size + len / ranges * sorting * threads)?;
        let count = |range: usize| cuts.iter().map(|cut| cut.counts[range] as usize).sum();
        Ok(Order { pieces, counts: (0..ranges).map(count).collect(), _reservation: reservation })
    }

    /// The number of ranges.
    pub(super) fn ranges(&self) -> usize {
        self.counts.len()
    }

    /// Sorts the groups of a range.
    pub(super) fn sort(&self, range: usize) -> SortedRange<'_> {
        let count = self.counts[range];
        let (mut members, mut keys) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut entries = Vec::with_capacity(count);
        for piece in &self.pieces {
            let start = if range == 0 { 0 } else { piece.ends[range - 1] };
            for (group, key) in piece.keys.records(start..piece.ends[range]) {
                entries.push(Entry { prefix: 0, place: keys.len() as u32 });
                keys.push(key);
                members.push(Member { table: piece.table, group, repeats: false });
            }
        }
        sort(&|place| keys[place as usize], &mut entries, MOST_PREFIXES);
        let mut sorted = SortedRange { members: Vec::with_capacity(keys.len()), keys: Vec::with_capacity(keys.len()) };
        let mut last = None;
        for Entry { prefix, place } in entries {
            let key = keys[place as usize];
            let repeats = last == Some((prefix, key));
            last = Some((prefix, key));
            sorted.members.push(Member { repeats, ..members[place as usize] });
            if !repeats {
                sorted.keys.push(key);
            }
        }
        sorted
    }
}

/// Where the keys of a piece belong.
struct Cut {
    /// For each key its range.
    ranges: Vec<u16>,
    /// For each range its number of keys.
    counts: Vec<u32>,
    /// For each range the bytes of its keys.
    sizes: Vec<usize>,
}

impl Cut {
    fn new(keys: &Stretch, splitters: &Splitters) -> Cut {
        let count = splitters.keys.len() + 1;
        let mut cut = Cut { ranges: Vec::new(), counts: vec![0; count], sizes: vec![0; count] };
        for (_, key) in keys.records(0..keys.end()) {
            let range = splitters.range(key);
            cut.ranges.push(range as u16);
            cut.counts[range] += 1;
            cut.sizes[range] += Stretch::size_of_record(key.len());
        }
        cut
    }
}

/// For each piece the number of the first group of each range: the groups of a table are numbered range after range, in
/// a range as they were. And for each table what all numbers are below.
fn first_numbers(stretches: &[(u32, Stretch)], cuts: &[Cut], ranges: usize) -> (Vec<Vec<u32>>, Vec<u32>) {
    let (mut firsts, mut ends) = (Vec::with_capacity(cuts.len()), Vec::new());
    let pieces: Vec<_> = stretches.iter().map(|(table, _)| *table).zip(cuts).collect();
    for pieces in pieces.chunk_by(|(table, _), (other, _)| table == other) {
        let mut next = vec![0; ranges];
        let add =
            |next: &mut Vec<u32>, cut: &Cut| next.iter_mut().zip(&cut.counts).for_each(|(sum, count)| *sum += count);
        pieces.iter().for_each(|(_, cut)| add(&mut next, cut));
        // The states of a range start a chunk, as they are moved chunk by chunk.
        let mut start = 0;
        for count in &mut next {
            start += std::mem::replace(count, start).next_multiple_of(STATES_CHUNK as u32);
        }
        ends.push(start);
        for (_, cut) in pieces {
            firsts.push(next.clone());
            add(&mut next, cut);
        }
    }
    (firsts, ends)
}

/// Deals out the keys of a piece. Its groups get new numbers, those from the `first` of each range on, if there are such.
/// The memory of `spare` may be used.
fn deal(table: u32, keys: &Stretch, cut: &Cut, first: Option<&Vec<u32>>, spare: Option<Stretch>) -> Piece {
    // Where each range starts, which moves on to its end as its keys are put there.
    let starts = cut.sizes.iter().scan(0, |end, size| {
        *end += size;
        Some(*end - size)
    });
    let mut ends: Vec<usize> = starts.collect();
    let keys = match first {
        None => keys.dealt(&cut.ranges, &mut ends, spare, |_, number| number),
        Some(first) => {
            let mut next = first.clone();
            keys.dealt(&cut.ranges, &mut ends, spare, |range, _| {
                next[usize::from(range)] += 1;
                next[usize::from(range)] - 1
            })
        }
    };
    Piece { table, keys, ends }
}

/// The results of `work` for 0 to below `count`, done by several threads.
fn in_parallel<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    let run = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let result = work(number);
            results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((number, result));
        }
    };
    std::thread::scope(|scope| {
        // Where the system gives fewer threads, fewer work.
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, run).ok();
        let others: Vec<_> = (1..threads.min(count)).map_while(spawn).collect();
        run();
        others.into_iter().try_for_each(|other| other.join())
    })
    .map_err(|_| Error::new(ErrorKind::Internal, "a sorting thread panicked"))?;
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_unstable_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The length of the longest start of `first` that all the others start with, too.
fn common_prefix<'k>(first: &[u8], others: impl Iterator<Item = &'k [u8]>) -> usize {
    let mut common = first.len();
    for other in others {
        if !start_alike(other, first, common) {
            common = first[..common].iter().zip(other).take_while(|(a, b)| a == b).count();
        }
    }
    common
}

/// Whether both start with the same `len` bytes; false if one has fewer.
#[inline]
fn start_alike(a: &[u8], b: &[u8], len: usize) -> bool {
    if let (Some(a), Some(b), 0..=16) = (a.first_chunk(), b.first_chunk(), len) {
        let differences = u128::from_le_bytes(*a) ^ u128::from_le_bytes(*b);
        return differences.checked_shl(128 - 8 * len as u32).unwrap_or(0) == 0;
    }
    a.len() >= len && b.get(..len) == a.get(..len)
}

/// The keys that cut the range of all keys, in order.
struct Splitters {
    keys: Vec<Vec<u8>>,
    /// How many bytes all of them start with in common.
    common: usize,
    /// The eight bytes after that.
    prefixes: Vec<u64>,
    /// Cuts what the prefixes are in into equal steps of `2^shift`: for each step where the search for a prefix in it
    /// starts. A last one is the end.
    steps: Vec<u16>,
    shift: u32,
}

impl Splitters {
    fn new(tables: &[Records], len: usize) -> Splitters {
        let ranges = (len / RANGE).clamp(1, MOST_RANGES);
        let mut keys = Vec::new();
        if ranges > 1 {
            let samples = || tables.iter().flat_map(Records::samples);
            let step = (samples().count() / (ranges * SAMPLES)).max(1);
            let mut samples: Vec<&[u8]> = samples().step_by(step).collect();
            samples.sort_unstable();
            keys.extend((1..ranges).map(|range| samples[range * samples.len() / ranges].to_vec()));
            keys.dedup();
        }
        let common = match keys.as_slice() {
            [first, .., last] => common_prefix(first, std::iter::once(last.as_slice())),
            _ => 0,
        };
        let prefixes: Vec<u64> = keys.iter().map(|key| prefix(&key[common..])).collect();
        let span = prefixes.last().unwrap_or(&0) - prefixes.first().unwrap_or(&0);
        let shift = (STEPS.leading_zeros() + 1).saturating_sub(span.leading_zeros());
        let mut splitters = Splitters { keys, common, prefixes, steps: vec![0; STEPS as usize + 1], shift };
        for &prefix in &splitters.prefixes {
            let step = splitters.step(prefix);
            splitters.steps[step + 1..].iter_mut().for_each(|start| *start += 1);
        }
        splitters
    }

    /// The step that a prefix is in; the first or the last one if it is in none.
    #[inline]
    fn step(&self, prefix: u64) -> usize {
        let first = self.prefixes.first().unwrap_or(&0);
        (prefix.saturating_sub(*first) >> self.shift).min(STEPS - 1) as usize
    }

    /// The range of a key: the number of splitters that are not above it.
    #[inline]
    fn range(&self, key: &[u8]) -> usize {
        let Some(first) = self.keys.first() else { return 0 };
        if !start_alike(key, first, self.common) {
            return if key < &first[..self.common] { 0 } else { self.keys.len() };
        }
        let prefix = prefix(&key[self.common..]);
        let step = self.step(prefix);
        let (start, end) = (self.steps[step] as usize, self.steps[step + 1] as usize);
        let below = start + self.prefixes[start..end].partition_point(|&splitter| splitter < prefix);
        if self.prefixes.get(below) != Some(&prefix) {
            return below;
        }
        let same = self.prefixes[below..].partition_point(|&splitter| splitter == prefix);
        below + self.keys[below..below + same].partition_point(|splitter| splitter.as_slice() <= key)
    }
}

/// A key of a range that is sorted.
#[derive(Clone, Copy)]
struct Entry {
    /// Eight bytes of the key.
    prefix: u64,
    /// Where it is found: later than keys that came before it.
    place: u32,
}

/// Gives `take` keys in their order, each once, with the numbers of its groups in the order in which they came. `ahead` is told
/// of each number some time before, so that what belongs to it can be loaded.
pub(super) fn for_each_sorted<E>(
    keys: &Records,
    ahead: impl Fn(u32),
    mut take: impl FnMut(&[u8], &[u32]) -> Result<(), E>,
) -> Result<(), E> {
    /// How far ahead: as long as memory takes to come. The keys are loaded as long before that.
    const AHEAD: usize = 16;
    let mut entries: Vec<Entry> = Vec::with_capacity(keys.len());
    entries.extend(keys.addresses().map(|(address, _)| Entry { prefix: 0, place: address }));
    let key = |address: u32| keys.get(address).1;
    sort(&key, &mut entries, MOST_PREFIXES);
    let load_key = |entry: &Entry| keys.prefetch(entry.place);
    let load = |entry: &Entry| ahead(keys.get(entry.place).0);
    let from = |place: usize| entries.get(place..).unwrap_or_default().iter();
    from(0).take(2 * AHEAD).for_each(load_key);
    from(0).take(AHEAD).for_each(load);
    let (mut numbers, mut before) = (Vec::new(), 0);
    for same in entries.chunk_by(|a, b| a.prefix == b.prefix && key(a.place) == key(b.place)) {
        from(before + 2 * AHEAD).take(same.len()).for_each(load_key);
        from(before + AHEAD).take(same.len()).for_each(load);
        before += same.len();
        numbers.clear();
        numbers.extend(same.iter().map(|entry| keys.get(entry.place).0));
        take(key(same[0].place), &numbers)?;
    }
    Ok(())
}

/// Sorts entries by the key at their place, and those of equal keys by place.
///
/// It goes on to bytes further back up to `more` times: how often it could depends on the keys, and the stack is finite.
fn sort<'k>(key: &impl Fn(u32) -> &'k [u8], entries: &mut [Entry], more: usize) {
    let key_of = |entry: &Entry| key(entry.place);
    if entries.len() > FEW && more > 0 {
        let first = key_of(&entries[0]);
        let common = common_prefix(first, entries.iter().map(key_of));
        if common < first.len() {
            entries.iter_mut().for_each(|entry| entry.prefix = prefix(&key(entry.place)[common..]));
            sort_by_prefix(entries);
            let same = entries.chunk_by_mut(|a, b| a.prefix == b.prefix);
            return same.filter(|same| same.len() > 1).for_each(|same| sort(key, same, more - 1));
        }
    }
    entries.sort_unstable_by(|a, b| key_of(a).cmp(key_of(b)).then(a.place.cmp(&b.place)));
}

/// Sorts entries by prefix.
///
/// Many are dealt out by the first few bytes that are not the same in all prefixes: by the last of these first, each time in
/// the order that there is. That has no branches that depend on the keys. Hardly any are left to be compared then.
fn sort_by_prefix(entries: &mut [Entry]) {
    let Some(&Entry { prefix: first, .. }) = entries.first() else { return };
    let differences = entries.iter().fold(0, |all, entry| all | (entry.prefix ^ first));
    // The prefixes are the same but for what these bytes have, and others behind the last of these.
    let mut shifts = (0..u64::BITS).step_by(8).rev().filter(|shift| differences >> shift & 0xff != 0);
    let (mut digits, mut used) = ([0; DIGITS], 0);
    for (digit, shift) in digits.iter_mut().zip(&mut shifts) {
        (*digit, used) = (shift, used + 1);
    }
    let mut looked_at = 0;
    if entries.len() >= MANY && used > 0 {
        let mut counts = [[0_u32; 256]; DIGITS];
        for entry in &*entries {
            for (counts, shift) in counts.iter_mut().zip(digits) {
                counts[usize::from((entry.prefix >> shift) as u8)] += 1;
            }
        }
        let mut spare = entries.to_vec();
        let (mut from, mut to) = (&mut *entries, spare.as_mut_slice());
        for (counts, shift) in counts.iter_mut().zip(digits).take(used).rev() {
            let mut start = 0;
            counts.iter_mut().for_each(|count| start += std::mem::replace(count, start));
            for entry in &*from {
                let place = &mut counts[usize::from((entry.prefix >> shift) as u8)];
                to[*place as usize] = *entry;
                *place += 1;
            }
            std::mem::swap(&mut from, &mut to);
        }
        if used % 2 == 1 {
            to.copy_from_slice(from);
        }
        looked_at = u64::MAX << digits[used - 1];
    }
    let alike = |a: &Entry, b: &Entry| (a.prefix ^ b.prefix) & looked_at == 0;
    for same in entries.chunk_by_mut(alike).filter(|same| same.len() > 1) {
        same.sort_unstable_by_key(|entry| entry.prefix);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spill::Space;

    /// Tables without aggregates, of some keys each.
    fn tables(keys: &[Vec<Vec<u8>>], budget: &Budget) -> Vec<GroupTable> {
        let table = |keys: &Vec<Vec<u8>>| {
            let mut table =
                GroupTable::new(&crate::group::Grouping::default(), budget, &Space::new(std::env::temp_dir(), None))
                    .unwrap();
            keys.iter().for_each(|key| table.insert_key(key));
            table
        };
        keys.iter().map(table).collect()
    }

    fn order_of(keys: &[Vec<Vec<u8>>], threads: usize) -> Vec<(Vec<u8>, usize, bool)> {
        let budget = Budget::new(1 << 30);
        let mut tables = tables(keys, &budget);
        let order = Order::new(&mut tables, &budget, threads).unwrap();
        let mut all = Vec::new();
        for range in 0..order.ranges() {
            let sorted = order.sort(range);
            let mut keys = sorted.keys.iter();
            for member in sorted.members {
                let key = if member.repeats { all.last().map(|(key, ..): &(Vec<u8>, _, _)| key.clone()) } else { None };
                let key = key.unwrap_or_else(|| keys.next().unwrap().to_vec());
                all.push((key, member.table as usize, member.repeats));
            }
            assert!(keys.next().is_none());
        }
        all
    }

    fn expected(keys: &[Vec<Vec<u8>>]) -> Vec<(Vec<u8>, usize, bool)> {
        let mut all: Vec<_> = keys
            .iter()
            .enumerate()
            .flat_map(|(table, keys)| keys.iter().map(move |key| (key.clone(), table, false)))
            .collect();
        all.sort();
        for i in 1..all.len() {
            all[i].2 = all[i].0 == all[i - 1].0;
        }
        all
    }

    /// As encoded keys are: none is the start of another.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec!["", "a", "b", "aaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaab"]);
        prop::collection::vec(word, 0..4).prop_map(|words| [b"\x06", words.concat().as_bytes(), b"\0"].concat())
    }

    proptest! {
        #[test]
        fn groups_are_in_order(
            keys in prop::collection::vec(prop::collection::hash_set(key(), 1..100), 1..5),
            threads in 1_usize..4,
        ) {
            let keys: Vec<Vec<_>> = keys.into_iter().map(|keys| keys.into_iter().collect()).collect();
            prop_assert_eq!(order_of(&keys, threads), expected(&keys));
        }
    }

    #[test]
    fn many_groups_are_in_order() {
        // Most keys have long starts in common, which differ; some keys are in several tables.
        let key = |i: u64| {
            let start = ["a start that is shared ", "a start that is shared by others ", "b"][i as usize % 3];
            let number = (i * 0x9e37_79b9) % 60_000;
            [b"\x06", start.as_bytes(), format!("{number:020}").as_bytes(), b"\0"].concat()
        };
        let keys: Vec<Vec<Vec<u8>>> = (0..3)
            .map(|table| {
                let keys: std::collections::HashSet<_> = (table * 20_000..(table + 2) * 20_000).map(key).collect();
                keys.into_iter().collect()
            })
            .collect();
        let expected = expected(&keys);
        for threads in [1, 3] {
            assert!(order_of(&keys, threads) == expected, "{threads} threads");
        }
    }

    #[test]
    fn many_entries_are_sorted_by_prefix() {
        for (len, mask) in
            [(0, !0), (1, !0), (MANY - 1, !0), (MANY, !0), (5000, !0), (5000, 0xff00_0000_0f00_00ff), (600, 0)]
        {
            let mut entries: Vec<Entry> = (0..len as u32)
                .map(|place| Entry { prefix: u64::from(place).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask, place })
                .collect();
            let mut expected = entries.clone();
            expected.sort_by_key(|entry| entry.prefix);
            sort_by_prefix(&mut entries);
            assert!(entries.iter().map(|entry| entry.prefix).eq(expected.iter().map(|entry| entry.prefix)));
            entries.sort_unstable_by_key(|entry| entry.place);
            assert!(entries.iter().map(|entry| entry.place).eq(0..len as u32));
        }
    }

    /// Keys of which each is nearly the start of the next: a sort that went on byte by byte would go very deep.
    #[test]
    fn keys_that_branch_off_one_by_one_are_sorted() {
        let keys: Vec<Vec<u8>> = (0..1000_usize).map(|i| [vec![6], vec![b'a'; i * 9], vec![0]].concat()).collect();
        let keys = vec![keys];
        assert!(order_of(&keys, 1) == expected(&keys));
    }
}
