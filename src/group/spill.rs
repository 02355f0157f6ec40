//! Groups on disk: partials of tables as sorted runs, and the groups that are merged from them.
//!
//! # The entries
//! An entry's key begins with the encoded key of a group, which no other encoded key is the start of. Then comes a number
//! of two bytes, big-endian. 0: the payload is the group's state, without items. Otherwise it is the number of the
//! accumulators, from 1, that an item belongs to, whose key follows and whose payload this is; see [`crate::agg::Partial`].
//!
//! | bytes | of a group's state |
//! | --- | --- |
//! | n | the length of its encoded key |
//! | n | the key columns in which a number was met that was spelt as an integer, as bits |
//! | n | the number of key columns that were met as decimals; for each its number and the byte of the least spelling |
//! | n | the number of key columns whose text stands for them; for each its number, and the text with its length before it |
//! | n | the states of the accumulators, in their order |
//!
//! Numbers are LEB128.

use std::cell::RefCell;

use bumpalo::Bump;

use super::Grouping;
use super::order::for_each_sorted;
use super::sorted::{KeySpellings, key_columns};
use super::table::{GroupTable, accumulators};
use crate::agg::{GroupAccumulators, ItemFold};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Fault, Vector};
use crate::memory::{Budget, Reservation};
use crate::spill::{Entries, Merge, Run, RunWriter, Space};
use crate::value::{Spelling, Value, leb128};

/// The groups that are evaluated together, at most.
const TOGETHER: usize = 512;
/// States get room for so many groups at a time.
const ROOM: usize = 64;
/// What states take is looked at when so many bytes of them were read; where they are lists of items, after each group.
const MEASURED: usize = 16 << 10;
/// The bytes of results and states from which on no more groups are evaluated together.
const ENOUGH: usize = 1 << 20;
/// The bytes of memory that one group more takes while groups are sorted.
pub(super) const SORTING: usize = 32;

impl GroupTable {
    /// Writes all groups as a run.
    pub(super) fn write_run(&mut self, space: &Space) -> Result<Run> {
        let mut writer = RunWriter::new(space)?;
        let keys = self.take_interner();
        let items: Vec<usize> =
            (0..self.accumulators().len()).filter(|&number| self.accumulators()[number].has_items()).collect();
        let (mut key, mut payload) = (Vec::new(), Vec::new());
        let table = RefCell::new(&mut *self);
        let ahead = |group: u32| table.borrow().accumulators().iter().for_each(|states| states.prefetch(group));
        for_each_sorted(&keys, ahead, |group_key, same| {
            let mut table = table.borrow_mut();
            key.clear();
            key.extend_from_slice(group_key);
            key.extend_from_slice(&[0, 0]);
            for &group in same {
                payload.clear();
                table.encode_state(group, group_key.len(), &mut payload);
                writer.push(&key, &payload)?;
            }
            for &number in &items {
                key.truncate(group_key.len());
                key.extend_from_slice(&(number as u16 + 1).to_be_bytes());
                let len = key.len();
                let mut write = |item: &[u8], payload: &[u8]| {
                    key.truncate(len);
                    key.extend_from_slice(item);
                    writer.push(&key, payload)
                };
                let states = &mut table.accumulators_mut()[number];
                if let [group] = same {
                    states.items(*group, &mut write)?;
                    continue;
                }
                // Those of several groups of one key have to be brought in order.
                let mut all = Vec::new();
                for &group in same {
                    states.items(group, &mut |item, payload| {
                        all.push((item.to_vec(), payload.to_vec()));
                        Ok(())
                    })?;
                }
                all.sort_by(|(a, _), (b, _)| a.cmp(b));
                all.iter().try_for_each(|(item, payload)| write(item, payload))?;
            }
            Ok::<(), Error>(())
        })?;
        writer.finish()
    }

    /// Appends the state of a group.
    fn encode_state(&self, group: u32, key_len: usize, out: &mut Vec<u8>) {
        let texts = self.spellings_of(group);
        put_head(key_len, self.integers(group), self.decimals_of(group), texts, out);
        self.accumulators().iter().for_each(|accumulators| accumulators.encode(group, out));
    }
}

/// Appends what stands before the states of the accumulators.
fn put_head(
    key_len: usize,
    integers: u64,
    decimals: Vec<(u32, Spelling)>,
    texts: Vec<(u32, impl AsRef<[u8]>)>,
    out: &mut Vec<u8>,
) {
    leb128::put(key_len as u64, out);
    leb128::put(integers, out);
    for_each_count(decimals, out, |(column, spelling), out| {
        leb128::put(column.into(), out);
        out.push(spelling.byte());
    });
    for_each_count(texts, out, |(column, text), out| {
        leb128::put(column.into(), out);
        leb128::put_bytes(text.as_ref(), out);
    });
}

/// Appends the number of some things, and these.
fn for_each_count<T>(all: Vec<T>, out: &mut Vec<u8>, put: impl Fn(T, &mut Vec<u8>)) {
    leb128::put(all.len() as u64, out);
    all.into_iter().for_each(|one| put(one, out));
}

/// Groups that are merged from runs, in the order of their keys.
pub struct SpilledGroups<'g> {
    grouping: &'g Grouping,
    shares: Vec<usize>,
    entries: Entries,
    /// Whether there is an entry that is not taken in yet.
    entry: bool,
    /// Whether any states are written as items.
    have_items: bool,
    /// The states of the groups that are evaluated next.
    accumulators: Vec<Box<dyn GroupAccumulators>>,
    reservation: Reservation,
}

/// Merges the runs of tables to one, in which each group has one state, and of items with the same key those are one that can
/// be.
///
/// # Errors
/// Any error of reading and writing runs.
pub fn merge_runs(grouping: &Grouping, runs: Vec<Run>, budget: &Budget, space: &Space) -> Result<Run> {
    let mut merge = Merge::of(runs, budget, space)?;
    let mut writer = RunWriter::new(space)?;
    let (mut key, mut payload, mut item) = (Vec::new(), Vec::new(), None::<(Vec<u8>, Vec<u8>)>);
    let of_items = accumulators(grouping)?;
    let mut is_there = merge.advance()?;
    while is_there {
        let len = leb128::take(&mut merge.payload()).and_then(|len| usize::try_from(len).ok());
        let group_key = len.and_then(|len| merge.key().get(..len)).ok_or_else(damaged)?.to_vec();
        key.clone_from(&group_key);
        key.extend_from_slice(&[0, 0]);
        payload.clear();
        payload.extend_from_slice(merge.payload());
        is_there = merge.advance()?;
        if is_there && merge.key() == key.as_slice() {
            let mut merged = MergedState::of(grouping, &payload)?;
            while is_there && merge.key() == key.as_slice() {
                merged.take(merge.payload())?;
                is_there = merge.advance()?;
            }
            payload.clear();
            merged.encode(group_key.len(), &mut payload);
        }
        writer.push(&key, &payload)?;
        while is_there {
            let tag = merge.key().strip_prefix(group_key.as_slice()).and_then(<[u8]>::first_chunk);
            let Some(number) = tag.map(|tag| u16::from_be_bytes(*tag)).filter(|number| *number > 0) else { break };
            let states = of_items.get(usize::from(number) - 1).ok_or_else(damaged)?;
            let is_one = match &mut item {
                Some((key, payload)) if key == merge.key() => states.join_items(payload, merge.payload()),
                _ => false,
            };
            if !is_one && let Some((key, payload)) = item.replace((merge.key().to_vec(), merge.payload().to_vec())) {
                writer.push(&key, &payload)?;
            }
            is_there = merge.advance()?;
        }
        if let Some((key, payload)) = item.take() {
            writer.push(&key, &payload)?;
        }
    }
    writer.finish()
}

/// The state of a group that is merged of several.
struct MergedState {
    spellings: KeySpellings,
    accumulators: Vec<Box<dyn GroupAccumulators>>,
}

impl MergedState {
    fn of(grouping: &Grouping, state: &[u8]) -> Result<MergedState> {
        let mut merged = MergedState { spellings: KeySpellings::default(), accumulators: accumulators(grouping)? };
        merged.accumulators.iter_mut().for_each(|states| states.resize(1));
        merged.take(state)?;
        Ok(merged)
    }

    fn take(&mut self, mut state: &[u8]) -> Result<()> {
        leb128::take(&mut state).ok_or_else(damaged)?;
        self.spellings.merge(&mut state).ok_or_else(damaged)?;
        self.accumulators.iter_mut().try_for_each(|states| states.decode(0, &mut state))
    }

    fn encode(&self, key_len: usize, out: &mut Vec<u8>) {
        let KeySpellings { integers, decimals, texts } = &self.spellings;
        put_head(key_len, *integers, decimals.clone(), texts.clone(), out);
        self.accumulators.iter().for_each(|states| states.encode(0, out));
    }
}

/// What is read of a group beside its key and the states that are written whole.
#[derive(Default)]
struct Group {
    spellings: KeySpellings,
    /// For each call whose accumulators have items what makes its result.
    folds: Vec<Option<Box<dyn ItemFold>>>,
    /// The bytes that were read of it.
    bytes: usize,
}

impl<'g> SpilledGroups<'g> {
    /// Merges the runs of all tables, which another thread reads ahead if there may be several.
    ///
    /// # Errors
    /// Any error of reading and writing runs.
    pub fn new(
        grouping: &'g Grouping,
        runs: Vec<Run>,
        budget: &Budget,
        space: &Space,
        threads: usize,
    ) -> Result<SpilledGroups<'g>> {
        let mut entries = Entries::of(Merge::of(runs, budget, space)?);
        if threads > 1 {
            entries = entries.read_ahead(budget);
        }
        let accumulators = accumulators(grouping)?;
        Ok(SpilledGroups {
            grouping,
            shares: grouping.shares(),
            entry: entries.advance()?,
            entries,
            have_items: accumulators.iter().any(|states| states.has_items()),
            accumulators,
            reservation: budget.reservation("values of one group"),
        })
    }

    /// The columns of the next groups, a vector for each key and then one for each aggregate, and the number of groups;
    /// [`None`] if there are no more. Faults of aggregates are given to `fault` with the number of the aggregate.
    ///
    /// # Errors
    /// Any error of reading runs; [`ErrorKind::Resource`] when the memory limit does not allow for the result of a group.
    pub fn next<'a>(
        &mut self,
        arena: &'a Bump,
        fault: &mut dyn FnMut(usize, Fault),
    ) -> Result<Option<(Vec<Vector<'a>>, usize)>> {
        if !self.entry {
            return Ok(None);
        }
        self.accumulators = accumulators(self.grouping)?;
        let columns = self.grouping.keys.len();
        let mut keys: Vec<Vec<Value<'a>>> = vec![Vec::new(); columns];
        // Of aggregates with items the results.
        let mut results: Vec<Vec<Value<'a>>> = vec![Vec::new(); self.grouping.aggregates.len()];
        let (mut groups, mut unmeasured) = (0, 0);
        // What the arena has from before is used first.
        let before = arena.allocated_bytes();
        while self.entry && groups < TOGETHER {
            if groups % ROOM == 0 {
                self.accumulators.iter_mut().for_each(|states| states.resize(groups + ROOM));
            }
            let key = arena.alloc_slice_copy(self.group_key()?);
            let mut group = self.read_group(key, groups as u32)?;
            for (number, fold) in group.folds.iter_mut().enumerate() {
                let Some(fold) = fold else { continue };
                results[number].push(fold.finish(arena).unwrap_or_else(|found| {
                    fault(number, found);
                    Value::Null
                }));
            }
            key_columns(key, &group.spellings, arena, &mut keys)?;
            groups += 1;
            unmeasured += group.bytes;
            if unmeasured >= MEASURED || self.have_items {
                let size = self.size() + arena.allocated_bytes() + group.size();
                self.reservation.resize(size).map_err(|error| self.with_needed_limit(error, size))?;
                if self.size() + (arena.allocated_bytes() - before) >= ENOUGH {
                    break;
                }
                unmeasured = 0;
            }
        }
        let mut all: Vec<Vector<'a>> =
            keys.into_iter().map(|key| Vector::Values(arena.alloc_slice_copy(&key))).collect();
        let numbers: Vec<u32> = (0..groups as u32).collect();
        for (number, (call, &share)) in self.grouping.aggregates.iter().zip(&self.shares).enumerate() {
            let states = &mut self.accumulators[share];
            all.push(match states.has_items() {
                true => Vector::Values(arena.alloc_slice_copy(&results[number])),
                false => states.finish(&numbers, &call.outcome, arena, &mut |found| fault(number, found)),
            });
        }
        Ok(Some((all, groups)))
    }

    fn size(&self) -> usize {
        self.accumulators.iter().map(|states| states.size()).sum()
    }

    /// The key of the group whose state the entry is.
    fn group_key(&self) -> Result<&[u8]> {
        let len = leb128::take(&mut self.entries.payload()).and_then(|len| usize::try_from(len).ok());
        len.and_then(|len| self.entries.key().get(..len)).ok_or_else(damaged)
    }

    /// Takes in all entries of the next group.
    fn read_group(&mut self, key: &[u8], number: u32) -> Result<Group> {
        let mut group = Group::default();
        let mut taken = 0_usize;
        loop {
            let tag = self.entries.key().strip_prefix(key).and_then(<[u8]>::split_first_chunk);
            let Some((tag, item)) = tag else { break };
            let mut payload = self.entries.payload();
            group.bytes += item.len() + payload.len();
            match u16::from_be_bytes(*tag) {
                0 => {
                    leb128::take(&mut payload).ok_or_else(damaged)?;
                    group.spellings.merge(&mut payload).ok_or_else(damaged)?;
                    self.accumulators.iter_mut().try_for_each(|states| states.decode(number, &mut payload))?;
                }
                of => {
                    self.start_folds(&mut group, number);
                    let share = usize::from(of) - 1;
                    let own = self.shares.iter().zip(&mut group.folds).filter(|(other, _)| **other == share);
                    for fold in own.filter_map(|(_, fold)| fold.as_mut()) {
                        fold.take(item, payload)?;
                    }
                    taken += 1;
                    if taken.is_multiple_of(1 << 10) {
                        let size = self.size() + group.size();
                        if let Err(error) = self.reservation.resize(size) {
                            // The rest of the values tells what would do.
                            let all = group.bytes + self.skip_values(key)?;
                            let size = size as f64 * all as f64 / group.bytes as f64;
                            return Err(self.with_needed_limit(error, size as usize));
                        }
                    }
                }
            }
            self.entry = self.entries.advance()?;
            if !self.entry {
                break;
            }
        }
        if self.have_items {
            self.start_folds(&mut group, number);
        }
        Ok(group)
    }

    /// Reads the rest of a group's values, of which the current one was taken in. Gives their bytes.
    fn skip_values(&mut self, key: &[u8]) -> Result<usize> {
        let mut bytes = 0;
        while self.entries.advance()? {
            let Some(item) = self.entries.key().strip_prefix(key) else { break };
            bytes += item.len().saturating_sub(size_of::<u16>()) + self.entries.payload().len();
        }
        Ok(bytes)
    }

    /// An error of the memory limit, with a limit that would do for a group of so many bytes.
    fn with_needed_limit(&self, error: Error, bytes: usize) -> Error {
        /// The values, and the result that is made of them.
        const COPIES: usize = 2;
        /// The part of a higher limit that is there for groups that come from the disk, at least.
        const SHARE: f64 = 0.4;
        let has = self.reservation.bytes() + self.reservation.left();
        let more = (bytes * COPIES).saturating_sub(has) as f64 / SHARE;
        let needed = self.reservation.whole_limit() as f64 * 1.25 + more;
        let mib = (needed / f64::from(1 << 20)).ceil();
        error.hint(format!("about {mib} MiB would do: raise --memory-limit, or ask for less at a time"))
    }

    /// Begins to take in items, when all states of a group are there.
    fn start_folds(&self, group: &mut Group, number: u32) {
        if group.folds.is_empty() {
            let calls = self.grouping.aggregates.iter().zip(&self.shares);
            group.folds.extend(calls.map(|(call, &share)| self.accumulators[share].fold(number, &call.outcome)));
        }
    }
}

impl Group {
    fn size(&self) -> usize {
        self.folds.iter().flatten().map(|fold| fold.size()).sum()
    }
}

impl KeySpellings {
    /// Takes in the spellings from the start of a state.
    fn merge(&mut self, state: &mut &[u8]) -> Option<()> {
        self.integers |= leb128::take(state)?;
        for _ in 0..leb128::take(state)? {
            let column = u32::try_from(leb128::take(state)?).ok()?;
            let (&spelling, rest) = state.split_first()?;
            *state = rest;
            self.decimal(column, Spelling::of_byte(spelling));
        }
        for _ in 0..leb128::take(state)? {
            let column = u32::try_from(leb128::take(state)?).ok()?;
            self.text(column, leb128::take_bytes(state)?);
        }
        Some(())
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Internal, "a group that was written to disk cannot be read")
}
