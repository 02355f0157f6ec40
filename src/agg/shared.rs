//! `count(distinct x)` by group, with values that groups have in common kept once.
//!
//! # How it works
//! Where there are few groups, most values are met in several of them. So the groups with the first numbers share a table
//! of values, in which each value has a bit for each of these groups: the value of a row is looked up once, whatever its
//! group is, and then it is a bit that says whether it counts. Rows are looked up many at a time, which they could not be
//! if each group had its values for itself. While there is one group only, there are no bits.
//!
//! Groups with other numbers have a [state](CountDistinct) each. So have all if there are many groups from the start, as
//! there are few rows of each then.

use std::any::Any;
use std::ops::Range;

use bumpalo::Bump;

use super::accumulator::{GroupAccumulators, Member, Outcome, PerGroup, Update};
use super::chunks::{CHUNK, Chunks, TOGETHER};
use super::distinct::CountDistinct;
use super::numbers::Numbers;
use super::partial::{ItemFold, ItemSink};
use crate::error::Result;
use crate::expr::{Fault, Vector};
use crate::memory::{HashedKey, Interner, NEW, NewRow, RawColumn, RawKey, RawMap};
use crate::scan::prefetch;
use crate::value::{Value, hash, key};

/// The groups that share values, one for each bit.
const SHARING: usize = Bits::BITS as usize;
type Bits = u128;
/// The rows that are looked up together.
const ROWS: usize = 1024;
/// What stands for the number of a value that is NULL.
const NO_VALUE: u32 = NEW - 1;

/// See the module.
pub(super) struct SharedDistinct {
    /// The values of the groups that share them, as encoded keys.
    values: Interner,
    /// The numbers of values by raw key.
    known: RawMap,
    /// For each value the groups that have it, once there are two.
    bits: Chunks<Bits>,
    /// The groups that share values, by bit: how many values each has, and its number. None if all groups have states of
    /// their own.
    counts: Vec<u64>,
    numbers: Vec<u32>,
    /// Whether it is still to be decided if groups share values.
    is_new: bool,
    own: PerGroup<CountDistinct>,
}

/// Values that are looked up together, and what comes of it.
#[derive(Default)]
struct Scratch {
    numbers: Vec<u32>,
    news: Vec<NewRow>,
    encoded: Vec<u8>,
    hashed: Vec<HashedKey>,
    found: Vec<u32>,
}

/// Some rows of a column.
struct Rows<'c, 'a> {
    column: &'c Vector<'a>,
    rows: &'c [u32],
}

impl RawColumn for Rows<'_, '_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn read<const WORDS: usize>(&self, places: Range<usize>, out: &mut [RawKey<WORDS>]) {
        self.column.read_raw(self.rows[places].iter().map(|&row| row as usize), out);
    }
}

impl SharedDistinct {
    pub(super) fn boxed() -> Box<dyn GroupAccumulators> {
        Box::new(SharedDistinct {
            values: Interner::default(),
            known: RawMap::of_short(),
            bits: Chunks::default(),
            counts: Vec::new(),
            numbers: Vec::new(),
            is_new: true,
            own: PerGroup::default(),
        })
    }

    fn of(states: &dyn GroupAccumulators) -> Option<&SharedDistinct> {
        let states = states.as_any().downcast_ref();
        debug_assert!(states.is_some(), "tables of one query have the same aggregates");
        states
    }

    /// The bit of a group, if it shares values.
    fn bit(&self, group: u32) -> Option<usize> {
        self.numbers.iter().position(|&number| number == group)
    }

    /// Lets groups share values from now on, if there are few.
    fn begin(&mut self) {
        if std::mem::take(&mut self.is_new) && self.own.len() <= SHARING {
            self.share();
        }
    }

    /// Lets all groups share values, as far as there are bits.
    fn share(&mut self) {
        let sharing = self.own.len().min(SHARING);
        if self.counts.len() == 1 && sharing > 1 {
            self.bits.grow(self.values.len());
            (0..self.values.len() as u32).for_each(|value| *self.bits.get_mut(value) = 1);
        }
        self.counts.resize(sharing, 0);
        self.numbers.extend(self.numbers.len() as u32..sharing as u32);
    }

    /// The groups that have a value.
    #[inline]
    fn bits_of(&self, value: u32) -> Bits {
        if self.counts.len() == 1 { 1 } else { *self.bits.get(value) }
    }

    /// The values that the group of a bit has, as encoded keys.
    fn values_of(&self, bit: usize) -> impl Iterator<Item = &[u8]> {
        self.values.records().iter().filter(move |(value, _)| self.bits_of(*value) >> bit & 1 == 1).map(|(_, key)| key)
    }

    /// Makes room for what is noted of values that are new.
    fn make_room(&mut self) {
        if self.counts.len() > 1 {
            self.bits.grow(self.values.len());
        }
    }

    /// Notes that the group of a bit has a value.
    #[inline]
    fn note(&mut self, value: u32, bit: usize) {
        if self.counts.len() == 1 {
            self.counts[0] = self.values.len() as u64;
            return;
        }
        let bits = self.bits.get_mut(value);
        self.counts[bit] += u64::from(*bits >> bit & 1 == 0);
        *bits |= 1 << bit;
    }

    /// Adds a value to what the group of a bit has.
    fn insert(&mut self, key: &[u8], bit: usize) {
        let value = self.values.intern(hash::hash(key), key);
        self.make_room();
        self.note(value, bit);
    }

    /// Takes in some rows of a column, of groups that share values.
    fn add_rows(&mut self, column: &Vector, rows: &[u32], groups: &[u32]) {
        let mut scratch = Scratch::default();
        for rows in rows.chunks(ROWS) {
            self.find(column, rows, &mut scratch);
            if self.counts.len() == 1 {
                self.counts[0] = self.values.len() as u64;
                continue;
            }
            for (values, rows) in scratch.numbers.chunks(TOGETHER).zip(rows.chunks(TOGETHER)) {
                let values = || values.iter().zip(rows).filter(|(value, _)| **value != NO_VALUE);
                values().for_each(|(&value, _)| prefetch(self.bits.get(value)));
                values().for_each(|(&value, &row)| self.note(value, groups[row as usize] as usize));
            }
        }
    }

    /// Finds or makes the numbers of the values of some rows; [`NO_VALUE`] for NULL.
    fn find(&mut self, column: &Vector, rows: &[u32], scratch: &mut Scratch) {
        let Scratch { numbers, news, encoded, hashed, found } = scratch;
        numbers.clear();
        news.clear();
        encoded.clear();
        hashed.clear();
        found.clear();
        self.known.look_up(&Rows { column, rows }, numbers, news);
        let value_of = |new: &NewRow| column.get(rows[new.row] as usize);
        for value in news.iter().map(value_of).filter(|value| !matches!(value, Value::Null)) {
            let start = encoded.len();
            key::encode(value, encoded);
            hashed.push(HashedKey { hash: hash::hash(&encoded[start..]), end: encoded.len() });
        }
        self.values.intern_all(encoded, hashed, found);
        self.make_room();
        if found.len() < news.len() {
            let mut others = std::mem::take(found).into_iter();
            let number = |value| if matches!(value, Value::Null) { Some(NO_VALUE) } else { others.next() };
            found.extend(news.iter().map(value_of).filter_map(number));
        }
        news.iter().zip(&*found).for_each(|(new, &number)| self.known.learn(new, number));
        for number in numbers.iter_mut().filter(|number| **number & NEW != 0) {
            *number = found[(*number & !NEW) as usize];
        }
    }

    /// The bytes by which the map of raw keys is to grow. What only saves time takes no more than the rest.
    fn luxury(&self) -> usize {
        Some(self.known.growth()).filter(|growth| *growth <= self.values.size()).unwrap_or(0)
    }
}

impl GroupAccumulators for SharedDistinct {
    fn resize(&mut self, groups: usize) {
        self.own.resize(groups);
        if !self.numbers.is_empty() {
            self.share();
        }
    }

    fn update(&mut self, update: &Update) {
        let ([column], groups) = (update.arguments, update.groups) else { return };
        self.begin();
        if self.numbers.is_empty() {
            return self.own.update(update);
        }
        if self.luxury() > 0 {
            self.known.grow();
        }
        let all = 0..groups.len() as u32;
        let (shared, rest): (Vec<u32>, Vec<u32>) = match self.own.len() {
            ..=SHARING => (all.collect(), Vec::new()),
            _ => all.partition(|&row| (groups[row as usize] as usize) < SHARING),
        };
        self.add_rows(column, &shared, groups);
        if rest.is_empty() {
            return;
        }
        let values = update.frame.arena.alloc_slice_fill_iter(rest.iter().map(|&row| column.get(row as usize)));
        self.own.update(&Update {
            frame: update.frame,
            rows: &rest.iter().map(|&row| update.rows[row as usize]).collect::<Vec<_>>(),
            groups: &rest.iter().map(|&row| groups[row as usize]).collect::<Vec<_>>(),
            arguments: &[Vector::Values(values)],
            sites: update.sites,
        });
    }

    fn merge(&mut self, other: &dyn GroupAccumulators, groups: &[(u32, u32)]) {
        let Some(other) = SharedDistinct::of(other) else { return };
        self.begin();
        // For each bit there the bit here.
        let mut bits = vec![None; other.numbers.len()];
        let mut own = Vec::new();
        for &(there, here) in groups {
            match (other.bit(there), self.bit(here)) {
                (Some(there), Some(here)) => bits[there] = Some(here),
                (Some(there), None) => {
                    self.own.change(here, |state| other.values_of(there).for_each(|key| state.insert(key)));
                }
                (None, Some(here)) => other.own.get(there).values().for_each(|key| self.insert(key, here)),
                (None, None) => own.push((there, here)),
            }
        }
        self.own.merge(&other.own, &own);
        if bits.iter().all(Option::is_none) {
            return;
        }
        let mut pairs = Vec::with_capacity(other.values.len());
        self.values.merge(&other.values, |there, here| pairs.push((there, here)));
        self.make_room();
        for (there, here) in pairs {
            let mut left = other.bits_of(there);
            while left != 0 {
                if let Some(bit) = bits[left.trailing_zeros() as usize] {
                    self.note(here, bit);
                }
                left &= left - 1;
            }
        }
    }

    fn renumber(&mut self, numbers: &Numbers) {
        let sharing = self.numbers.len();
        self.numbers.clear();
        numbers.for_each(|numbers| {
            let left = sharing - self.numbers.len();
            self.numbers.extend(numbers.iter().take(left));
        });
        self.own.renumber(numbers);
    }

    fn gather(&mut self, tables: &[&dyn GroupAccumulators], members: &[Member]) {
        let tables: Vec<_> = tables.iter().filter_map(|states| SharedDistinct::of(*states)).collect();
        let own: Vec<&dyn GroupAccumulators> = tables.iter().map(|table| &table.own as _).collect();
        self.own.gather(&own, members);
        let mut groups = 0;
        for member in members {
            groups += u32::from(!member.repeats);
            let table = tables[member.table as usize];
            if let Some(bit) = table.bit(member.group) {
                self.own.change(groups - 1, |state| table.values_of(bit).for_each(|key| state.insert(key)));
            }
        }
    }

    fn finish<'a>(
        &mut self,
        groups: &[u32],
        outcome: &Outcome,
        arena: &'a Bump,
        fault: &mut dyn FnMut(Fault),
    ) -> Vector<'a> {
        let own = self.own.finish(groups, outcome, arena, fault);
        Vector::build(arena, groups.len(), |row| match self.bit(groups[row]) {
            Some(bit) => Value::integer(self.counts[bit].into()),
            None => own.get(row),
        })
    }

    fn size(&self) -> usize {
        self.values.size() + self.known.size() + self.bits.size() + self.own.size()
    }

    fn growth(&self, rows: usize) -> usize {
        // All values may get their bits at once, and the keys of one group be sorted.
        let values = self.values.len() - self.bits.len().min(self.values.len()) + rows + CHUNK;
        let sorted = self.counts.iter().max().map_or(0, |&count| count as usize * size_of::<&[u8]>());
        self.values.growth(rows) + values * size_of::<Bits>() + self.luxury() + sorted + self.own.growth(rows)
    }

    fn has_items(&self) -> bool {
        self.own.has_items()
    }

    fn join_items(&self, own: &mut Vec<u8>, other: &[u8]) -> bool {
        self.own.join_items(own, other)
    }

    fn prefetch(&self, group: u32) {
        self.own.prefetch(group);
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        self.own.encode(group, out);
    }

    fn decode(&mut self, group: u32, input: &mut &[u8]) -> Result<()> {
        self.own.decode(group, input)
    }

    fn items(&mut self, group: u32, take: &mut ItemSink) -> Result<()> {
        let Some(bit) = self.bit(group) else { return self.own.items(group, take) };
        let mut keys: Vec<&[u8]> = self.values_of(bit).collect();
        keys.sort_unstable();
        keys.into_iter().try_for_each(|key| take(key, &[]))
    }

    fn fold(&self, group: u32, outcome: &Outcome) -> Option<Box<dyn ItemFold>> {
        self.own.fold(group, outcome)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::expr::{Columns, Frame, Origin};

    /// Rows by group and value, of which some are NULL and some long.
    fn batches() -> impl Strategy<Value = Vec<Vec<(u32, u32)>>> {
        let most = prop::sample::select(vec![1_u32, 2, SHARING as u32, SHARING as u32 + 40]);
        most.prop_flat_map(|most| prop::collection::vec(prop::collection::vec((0..most, 0_u32..300), 1..3000), 1..4))
    }

    fn value(number: u32, arena: &Bump) -> Value<'_> {
        match number % 5 {
            0 => Value::Null,
            1 => Value::Int(number.into()),
            2 => Value::Text(arena.alloc_slice_copy(&[&[b'x'; 30], &number.to_be_bytes()[..]].concat())),
            _ => Value::Text(arena.alloc_slice_copy(&number.to_be_bytes())),
        }
    }

    /// The states after some batches, in which group numbers come in order, and the values of each group.
    fn states(batches: &[Vec<(u32, u32)>]) -> (Box<dyn GroupAccumulators>, Vec<BTreeSet<Vec<u8>>>) {
        let (mut states, mut expected) = (SharedDistinct::boxed(), Vec::new());
        let (arena, mut dense) = (Bump::new(), BTreeMap::new());
        for batch in batches {
            let next = |dense: &mut BTreeMap<u32, u32>, group| {
                let next = dense.len() as u32;
                *dense.entry(group).or_insert(next)
            };
            let groups: Vec<u32> = batch.iter().map(|(group, _)| next(&mut dense, *group)).collect();
            expected.resize(dense.len(), BTreeSet::new());
            let values = arena.alloc_slice_fill_iter(batch.iter().map(|(_, number)| value(*number, &arena)));
            for (group, value) in groups.iter().zip(&*values) {
                if !matches!(value, Value::Null) {
                    let mut encoded = Vec::new();
                    key::encode(*value, &mut encoded);
                    expected[*group as usize].insert(encoded);
                }
            }
            let frame = Frame::new(&arena, Columns::Groups(&[]), Origin::default());
            let rows: Vec<u32> = (0..batch.len() as u32).collect();
            let (before, growth) = (states.size(), states.growth(rows.len()));
            states.resize(dense.len());
            let arguments = [Vector::Values(values)];
            states.update(&Update { frame: &frame, rows: &rows, groups: &groups, arguments: &arguments, sites: &[] });
            assert!(states.size() <= before + growth, "{} bytes, {before} before, and {growth}", states.size());
        }
        (states, expected)
    }

    fn check(states: &mut dyn GroupAccumulators, group: u32, expected: &BTreeSet<Vec<u8>>) {
        let arena = Bump::new();
        let count = states.finish(&[group], &Outcome::Whole, &arena, &mut |_| panic!("no fault is known")).get(0);
        assert!(matches!(count, Value::Int(count) if count as usize == expected.len()), "{count:?}");
        let mut items = Vec::new();
        states
            .items(group, &mut |key, _| {
                items.push(key.to_vec());
                Ok(())
            })
            .unwrap();
        assert!(items.iter().eq(expected), "the values of group {group}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn values_are_counted_by_group(batches in batches()) {
            let (mut states, expected) = states(&batches);
            for (group, expected) in expected.iter().enumerate() {
                check(&mut *states, group as u32, expected);
            }
        }

        #[test]
        fn merged_groups_have_the_values_of_both(first in batches(), second in batches(), turn in 0_u32..300) {
            let ((mut into, mut expected), (other, more)) = (states(&first), states(&second));
            let all = expected.len().max(more.len());
            let pairs: Vec<(u32, u32)> =
                (0..more.len() as u32).map(|there| (there, (there + turn) % all as u32)).collect();
            let members: Vec<Member> = (0..all as u32)
                .flat_map(|here| {
                    let there = pairs.iter().find(|pair| pair.1 == here).map(|pair| pair.0);
                    let own = ((here as usize) < expected.len()).then_some((0, here));
                    let both = own.into_iter().chain(there.map(|there| (1, there))).enumerate();
                    both.map(|(i, (table, group))| Member { table, group, repeats: i > 0 }).collect::<Vec<_>>()
                })
                .collect();
            expected.resize(all, BTreeSet::new());
            for (there, here) in &pairs {
                expected[*here as usize].extend(more[*there as usize].iter().cloned());
            }
            let mut gathered = SharedDistinct::boxed();
            gathered.gather(&[into.as_ref(), other.as_ref()], &members);
            let of_members = expected.iter().enumerate().filter(|(here, _)| {
                *here < all && (members.iter().any(|member| member.table == 0 && member.group as usize == *here)
                    || pairs.iter().any(|pair| pair.1 as usize == *here))
            });
            for (group, (_, expected)) in of_members.enumerate() {
                check(&mut *gathered, group as u32, expected);
            }
            into.resize(all);
            into.merge(other.as_ref(), &pairs);
            for (group, expected) in expected.iter().enumerate() {
                check(&mut *into, group as u32, expected);
            }
        }

        #[test]
        fn renumbered_groups_keep_their_values(batches in batches(), seed in any::<u32>()) {
            let (mut states, expected) = states(&batches);
            let parts: Vec<u16> = (0..expected.len() as u32).map(|i| (i.wrapping_mul(seed) >> 7) as u16 % 3).collect();
            let count = |part| parts.iter().filter(|&&other| other == part).count().next_multiple_of(CHUNK) as u32;
            let firsts = [0, count(0), count(0) + count(1)];
            let numbers = Numbers::new(vec![(&parts, &firsts)], firsts[2] + count(2));
            states.renumber(&numbers);
            let mut next = firsts;
            for (part, expected) in parts.iter().zip(&expected) {
                let number = &mut next[usize::from(*part)];
                check(&mut *states, *number, expected);
                *number += 1;
            }
        }
    }
}
