//! The groups of several tables in the order of their keys.
//!
//! # How it works
//! Keys that were sampled cut the range of all keys into many *ranges* of some thousand groups, so that what one
//! thread sorts at a time stays in its cache. First the groups of each table, a piece of it at a time, are dealt out to
//! the ranges; then range after range is sorted. Both are done by several threads, and what comes out does not depend on
//! which did what.
//!
//! What is then read of a range (the states of its groups) lies all over the tables, and each access would be a cache
//! miss. So before the ranges are sorted the groups of each table are renumbered, those of a range together: the states
//! are read and written in order once, and all further accesses are to a few hundred kilobytes at a time.
//!
//! A sort compares eight bytes of each key as a number. They are taken from where the keys begin to differ (all
//! order numbers may start with `ord-`); where they are equal for many keys, those are sorted by what comes next.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::table::GroupTable;
use crate::agg::STATES_CHUNK;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Reservation};
use crate::sort::prefix;

/// About this many groups are in a range.
const RANGE: usize = 8 << 10;
/// The most ranges, whose numbers fit 16 bits: with more, dealing out misses the cache.
const MOST_RANGES: usize = 1 << 10;
/// The keys that are sampled for each range.
const SAMPLES: usize = 8;
/// This many groups of a table are dealt out at a time.
const PIECE: usize = 64 << 10;
/// Up to this many keys with the same eight bytes are sorted by comparing them as a whole.
const FEW: usize = 16;

/// How often a sort looks at further bytes of keys, before it compares keys as a whole.
const MOST_PREFIXES: usize = 32;

/// A group of one of the tables.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The table's number, with [`Place::REPEATS`].
    table: u32,
    /// The address of its key, by which it is found faster than by the group's number.
    address: u32,
}

impl Place {
    /// A bit that says that the group has the same key as the one before it.
    const REPEATS: u32 = 1 << 31;

    pub(super) fn table(self) -> usize {
        (self.table & !Place::REPEATS) as usize
    }

    /// The group's number in its table.
    #[inline]
    pub(super) fn group(self, tables: &[GroupTable]) -> u32 {
        tables[self.table()].keys().number_at(self.address)
    }

    /// The group's key.
    #[inline]
    pub(super) fn key(self, tables: &[GroupTable]) -> &[u8] {
        tables[self.table()].keys().at(self.address)
    }

    /// Whether the group has the same key as the one before it.
    pub(super) fn repeats(self) -> bool {
        self.table & Place::REPEATS != 0
    }
}

/// The groups of some tables by key. Those of equal keys stand together, in the order of their tables.
pub(super) struct Order {
    /// Range after range.
    pub(super) ranges: Vec<Vec<Place>>,
    _reservation: Reservation,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Eight bytes of the key.
    prefix: u64,
    place: Place,
}

impl Entry {
    fn key<'t>(&self, tables: &'t [GroupTable]) -> &'t [u8] {
        self.place.key(tables)
    }
}

impl Order {
    /// Sorts the groups of tables, none of which is empty.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for the order.
    pub(super) fn new(tables: &mut [GroupTable], budget: &Budget, threads: usize) -> Result<Order> {
        let len: usize = tables.iter().map(GroupTable::len).sum();
        let mut reservation = budget.reservation("groups in order");
        reservation.resize(len * (size_of::<Entry>() + size_of::<Place>() + size_of::<u16>()))?;
        let pieces: Vec<(u32, Range<u32>)> = tables
            .iter()
            .enumerate()
            .flat_map(|(number, table)| {
                let len = table.len();
                (0..len).step_by(PIECE).map(move |start| (number as u32, start as u32..len.min(start + PIECE) as u32))
            })
            .collect();
        let (dealt, count) = deal_all(tables, &pieces, len, threads)?;
        // This costs some memory for a while, and saves only time: without enough of it the groups stay as they are.
        let states: usize = tables.iter().map(GroupTable::states_size).sum();
        let more = len * 16 + states / len.max(1) * tables.len() * count * STATES_CHUNK;
        if count > 1 && reservation.resize(reservation.bytes() + more).is_ok() {
            renumber(tables, &pieces, &dealt, count, threads)?;
        }
        let tables = &*tables;
        let ranges = in_parallel(threads, count, |range| {
            let mut entries: Vec<Entry> = dealt.iter().flat_map(|dealt| dealt.range(range)).copied().collect();
            sort(tables, &mut entries, dealt.first().map_or(0, |dealt| dealt.common), MOST_PREFIXES);
            places(tables, &entries)
        })?;
        drop(dealt);
        reservation.resize(len * size_of::<Place>())?;
        Ok(Order { ranges, _reservation: reservation })
    }
}

/// Deals out the groups of all pieces. Gives the number of ranges, too.
fn deal_all(
    tables: &[GroupTable],
    pieces: &[(u32, Range<u32>)],
    len: usize,
    threads: usize,
) -> Result<(Vec<Dealt>, usize)> {
    let common = in_parallel(threads, pieces.len(), |piece| {
        let (table, ids) = &pieces[piece];
        let table = &tables[*table as usize];
        common_prefix(tables[0].key(0), ids.clone().map(|id| table.key(id)))
    })?;
    let common = common.into_iter().min().unwrap_or(0);
    let splitters = splitters(tables, len, common);
    let dealt = in_parallel(threads, pieces.len(), |piece| {
        let (table, ids) = pieces[piece].clone();
        deal(&tables[table as usize], table, ids, common, &splitters)
    })?;
    Ok((dealt, splitters.len() + 1))
}

/// Renumbers the groups of each table: range after range, in a range as they were.
fn renumber(
    tables: &mut [GroupTable],
    pieces: &[(u32, Range<u32>)],
    dealt: &[Dealt],
    ranges: usize,
    threads: usize,
) -> Result<()> {
    let tables: Vec<Mutex<&mut GroupTable>> = tables.iter_mut().map(Mutex::new).collect();
    in_parallel(threads, tables.len(), |number| {
        let own = || pieces.iter().zip(dealt).filter(|((table, _), _)| *table as usize == number);
        let mut next = vec![0; ranges];
        for (_, dealt) in own() {
            dealt.ranges.iter().for_each(|&range| next[range as usize] += 1);
        }
        // The states of a range start a chunk, as they are moved chunk by chunk.
        next.iter_mut().for_each(|count: &mut u32| *count = count.next_multiple_of(STATES_CHUNK as u32));
        counts_to_starts(&mut next);
        let mut number_of = |range: u16| {
            next[range as usize] += 1;
            next[range as usize] - 1
        };
        let numbers: Vec<u32> = own().flat_map(|(_, dealt)| &dealt.ranges).map(|&range| number_of(range)).collect();
        tables[number].lock().unwrap_or_else(|poisoned| poisoned.into_inner()).renumber(&numbers);
    })?;
    Ok(())
}

/// Replaces each count by the sum of those before it.
fn counts_to_starts(counts: &mut [u32]) {
    let mut start = 0;
    for count in counts {
        start += std::mem::replace(count, start);
    }
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
        if !other.starts_with(&first[..common]) {
            common = first[..common].iter().zip(other).take_while(|(a, b)| a == b).count();
        }
    }
    common
}

/// The keys that cut the range of all keys, in order, with their eight bytes after the `common` first.
struct Splitters<'t> {
    prefixes: Vec<u64>,
    keys: Vec<&'t [u8]>,
}

impl Splitters<'_> {
    fn len(&self) -> usize {
        self.keys.len()
    }

    /// The range of a key: the number of splitters that are not above it.
    #[inline]
    fn range(&self, prefix: u64, key: &[u8]) -> usize {
        let below = self.prefixes.partition_point(|&splitter| splitter < prefix);
        if self.prefixes.get(below) != Some(&prefix) {
            return below;
        }
        let same = self.prefixes[below..].partition_point(|&splitter| splitter == prefix);
        below + self.keys[below..below + same].partition_point(|splitter| *splitter <= key)
    }
}

fn splitters(tables: &[GroupTable], len: usize, common: usize) -> Splitters<'_> {
    let ranges = (len / RANGE).clamp(1, MOST_RANGES);
    let mut keys = Vec::new();
    if ranges > 1 {
        let step = len / (ranges * SAMPLES);
        let mut sample: Vec<&[u8]> =
            tables.iter().flat_map(|table| (0..table.len()).step_by(step).map(|id| table.key(id as u32))).collect();
        sample.sort_unstable();
        keys.extend((1..ranges).map(|range| sample[range * sample.len() / ranges]));
        keys.dedup();
    }
    Splitters { prefixes: keys.iter().map(|key| prefix(&key[common..])).collect(), keys }
}

/// Groups of a table by range.
struct Dealt {
    entries: Vec<Entry>,
    /// For each range where its entries end.
    ends: Vec<u32>,
    /// For each group its range.
    ranges: Vec<u16>,
    /// The length of what all keys start with; the entries have the bytes after it.
    common: usize,
}

impl Dealt {
    fn range(&self, range: usize) -> &[Entry] {
        let start = if range == 0 { 0 } else { self.ends[range - 1] };
        &self.entries[start as usize..self.ends[range] as usize]
    }
}

fn deal(table: &GroupTable, number: u32, ids: Range<u32>, common: usize, splitters: &Splitters) -> Dealt {
    let mut entries = Vec::with_capacity(ids.len());
    let mut ends = vec![0_u32; splitters.len() + 1];
    let mut ranges = Vec::with_capacity(ids.len());
    for id in ids {
        let key = table.key(id);
        let prefix = prefix(&key[common..]);
        let range = splitters.range(prefix, key);
        ends[range] += 1;
        ranges.push(range as u16);
        entries.push(Entry { prefix, place: Place { table: number, address: table.keys().address(id) } });
    }
    // The start of each range moves to its end as its entries are put there.
    counts_to_starts(&mut ends);
    let mut sorted = entries.clone();
    for (entry, &range) in entries.into_iter().zip(&ranges) {
        let at = &mut ends[usize::from(range)];
        sorted[*at as usize] = entry;
        *at += 1;
    }
    Dealt { entries: sorted, ends, ranges, common }
}

/// Sorts entries by key, then by table. All keys are the same up to `common`, from where the prefixes are.
///
/// It goes on to bytes further back up to `more` times: how often it could depends on the keys, and the stack is finite.
fn sort(tables: &[GroupTable], entries: &mut [Entry], common: usize, more: usize) {
    let key = |entry: &Entry| entry.key(tables);
    entries.sort_unstable_by_key(|entry| entry.prefix);
    for same in entries.chunk_by_mut(|a, b| a.prefix == b.prefix) {
        if same.len() == 1 {
            continue;
        }
        if same.len() > FEW && more > 0 {
            let first = key(&same[0]);
            let longer = common_prefix(first, same.iter().map(key));
            if longer > common && longer < first.len() {
                same.iter_mut().for_each(|entry| entry.prefix = prefix(&key(entry)[longer..]));
                sort(tables, same, longer, more - 1);
                continue;
            }
        }
        same.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(a.place.table.cmp(&b.place.table)));
    }
}

/// The places of sorted entries.
fn places(tables: &[GroupTable], entries: &[Entry]) -> Vec<Place> {
    let mut places: Vec<Place> = entries.iter().map(|entry| entry.place).collect();
    if tables.len() > 1 {
        for (place, pair) in places.iter_mut().skip(1).zip(entries.windows(2)) {
            if pair[0].prefix == pair[1].prefix && pair[0].key(tables) == pair[1].key(tables) {
                place.table |= Place::REPEATS;
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tables without aggregates, of some keys each.
    fn tables(keys: &[Vec<Vec<u8>>], budget: &Budget) -> Vec<GroupTable> {
        let table = |keys: &Vec<Vec<u8>>| {
            let mut table = GroupTable::new(&crate::group::Grouping::default(), budget).unwrap();
            keys.iter().for_each(|key| table.insert_key(key));
            table
        };
        keys.iter().map(table).collect()
    }

    fn order_of(keys: &[Vec<Vec<u8>>], threads: usize) -> Vec<(Vec<u8>, usize, bool)> {
        let budget = Budget::new(1 << 30);
        let mut tables = tables(keys, &budget);
        let order = Order::new(&mut tables, &budget, threads).unwrap();
        let place = |place: &Place| (place.key(&tables).to_vec(), place.table(), place.repeats());
        order.ranges.iter().flatten().map(place).collect()
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

    /// Keys of which each is nearly the start of the next: a sort that went on byte by byte would go very deep.
    #[test]
    fn keys_that_branch_off_one_by_one_are_sorted() {
        let keys: Vec<Vec<u8>> = (0..1000_usize).map(|i| [vec![6], vec![b'a'; i * 9], vec![0]].concat()).collect();
        let keys = vec![keys];
        assert!(order_of(&keys, 1) == expected(&keys));
    }
}
