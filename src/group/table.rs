//! The table of groups of one worker.
//!
//! A key is encoded to bytes whose order is the order of the values, so that finding, sorting and merging groups are
//! all comparisons of bytes. Groups are numbered densely as they are met; accumulators are lists indexed by that number.

use std::collections::HashMap;

use bumpalo::Bump;
use hashbrown::HashTable;

use super::known::{Keys, Known};
use super::{AggregateCall, Grouping};
use crate::agg::{GroupAccumulators, Outcome, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Fault, Frame, Site, Vector};
use crate::memory::{Budget, ByteArena, Handle, Reservation};
use crate::value::{Value, hash, key};

/// The groups that one worker has met.
pub struct GroupTable {
    table: HashTable<u32>,
    groups: Vec<Group>,
    keys: ByteArena,
    /// The spelling that stands for keys whose encoding does not give one back: arrays, objects and huge numbers,
    /// by group and key column. Of several spellings the smallest.
    spellings: HashMap<(u32, u32), Box<[u8]>>,
    spellings_size: usize,
    /// Those of all aggregates, where several can share some.
    accumulators: Vec<Box<dyn GroupAccumulators>>,
    /// For each aggregate what it takes of which accumulators.
    outcomes: Vec<Share>,
    reservation: Reservation,
    scratch: Scratch,
    known: Known,
}

#[derive(Clone, Copy)]
struct Share {
    accumulators: usize,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
struct Group {
    hash: u64,
    key: Handle,
    key_len: u32,
    /// A bit for each key column: a number that was spelt as an integer was met.
    integers: u64,
}

#[derive(Default)]
struct Scratch {
    key: Vec<u8>,
    ids: Vec<u32>,
    selected: Vec<u32>,
    selected_ids: Vec<u32>,
}

/// The arguments that aggregates have in common (`sum(x), avg(x)`), evaluated once for all rows of a frame.
struct Evaluated<'a>(Vec<(&'a Expr, Vector<'a>)>);

impl<'a> Evaluated<'a> {
    fn eval(&mut self, expr: &'a Expr, filtered: bool, frame: &Frame<'a>, rows: &[u32]) -> Vector<'a> {
        if filtered {
            return expr.eval(frame, rows);
        }
        if let Some((_, vector)) = self.0.iter().find(|(known, _)| *known == expr) {
            return *vector;
        }
        let vector = expr.eval(frame, rows);
        self.0.push((expr, vector));
        vector
    }
}

/// The keys of some rows: a field as it stands, anything else evaluated.
fn keys_of<'a>(key: &'a Expr, frame: &Frame<'a>, rows: &[u32]) -> Keys<'a> {
    if let Expr::Field { column, .. } = key
        && let Some((block, cells)) = frame.cells(*column)
    {
        return Keys::Cells { block, cells };
    }
    Keys::Values(key.eval(frame, rows))
}

impl GroupTable {
    /// An empty table for the groups of a grouping.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if an aggregate of it does not take `distinct`; binding has checked that.
    pub fn new(grouping: &Grouping, budget: &Budget) -> Result<GroupTable> {
        let mut accumulators = Vec::new();
        let mut outcomes: Vec<Share> = Vec::new();
        for (number, call) in grouping.aggregates.iter().enumerate() {
            let shared = grouping.aggregates[..number].iter().position(|other| other.shares_state(call));
            let at =
                match shared {
                    Some(other) => outcomes[other].accumulators,
                    None => {
                        let made = call.function.accumulators(call.distinct);
                        accumulators.push(made.ok_or_else(|| {
                            Error::new(ErrorKind::Internal, "an aggregate that does not take distinct")
                        })?);
                        accumulators.len() - 1
                    }
                };
            outcomes.push(Share { accumulators: at, outcome: call.function.outcome });
        }
        Ok(GroupTable {
            table: HashTable::new(),
            groups: Vec::new(),
            keys: ByteArena::default(),
            spellings: HashMap::new(),
            spellings_size: 0,
            accumulators,
            outcomes,
            reservation: budget.reservation("groups"),
            scratch: Scratch::default(),
            known: Known::default(),
        })
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes in rows of a frame of records.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for the groups.
    pub fn update<'a>(&mut self, grouping: &'a Grouping, frame: &Frame<'a>, file: u32, rows: &[u32]) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let keys: Vec<Keys<'a>> = grouping.keys.iter().map(|key| keys_of(key, frame, rows)).collect();
        self.assign(&keys, frame.arena, rows, &mut scratch);
        let mut evaluated = Evaluated(Vec::new());
        for (number, accumulators) in self.accumulators.iter_mut().enumerate() {
            let mut calls = self.outcomes.iter().zip(&grouping.aggregates);
            let calls = calls.by_ref().filter(|(share, _)| share.accumulators == number).map(|(_, call)| call);
            let calls: Vec<&AggregateCall> = calls.collect();
            let Some(call) = calls.first() else { continue };
            let sites: Vec<&Site> = calls.iter().map(|call| &call.site).collect();
            accumulators.resize(self.groups.len());
            let (mut rows, mut groups) = (rows, scratch.ids.as_slice());
            if let Some(filter) = &call.filter {
                filter.select(frame, rows, &mut scratch.selected);
                scratch.selected_ids.clear();
                let mut ids = rows.iter().zip(groups);
                scratch.selected_ids.extend(
                    scratch.selected.iter().filter_map(|row| ids.find(|(other, _)| *other == row).map(|(_, id)| *id)),
                );
                (rows, groups) = (&scratch.selected, &scratch.selected_ids);
            }
            let filtered = call.filter.is_some();
            let arguments: Vec<Vector<'a>> =
                call.arguments.iter().map(|arg| evaluated.eval(arg, filtered, frame, rows)).collect();
            accumulators.update(&Update { frame, file, rows, groups, arguments: &arguments, sites: &sites });
        }
        self.scratch = scratch;
        self.reserve()
    }

    /// Makes the one group of a query without keys, which is there even if no record is.
    pub fn ensure_single_group(&mut self) {
        if self.groups.is_empty() {
            self.insert(hash::hash(b""), b"", 0);
            self.resize_accumulators();
        }
    }

    fn resize_accumulators(&mut self) {
        let groups = self.groups.len();
        self.accumulators.iter_mut().for_each(|accumulators| accumulators.resize(groups));
    }

    /// Finds or makes the group of each row.
    fn assign<'a>(&mut self, keys: &[Keys<'a>], arena: &'a Bump, rows: &[u32], scratch: &mut Scratch) {
        scratch.ids.clear();
        if keys.is_empty() {
            self.ensure_single_group();
            scratch.ids.resize(rows.len(), 0);
            return;
        }
        let mut known = std::mem::take(&mut self.known);
        known.assign(keys, rows, &mut scratch.ids, |place, row| {
            let key = &mut scratch.key;
            key.clear();
            let mut integers = 0;
            let mut spelt = false;
            for (column, values) in keys.iter().enumerate() {
                let value = values.value(place, row, arena);
                integers |= u64::from(value.is_integer_spelling()) << column;
                spelt |= matches!(value, Value::Huge(_) | Value::Json(_));
                key::encode(value, key);
            }
            let id = self.find_or_insert(hash::hash(key), key);
            self.groups[id as usize].integers |= integers;
            if spelt {
                for (column, values) in keys.iter().enumerate() {
                    if let Value::Huge(text) | Value::Json(text) = values.value(place, row, arena) {
                        self.spell(id, column as u32, text);
                    }
                }
            }
            id
        });
        self.known = known;
    }

    fn find_or_insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        let (groups, keys) = (&self.groups, &self.keys);
        let found = self.table.find(hash, |&id| {
            let group = &groups[id as usize];
            group.hash == hash && keys.get(group.key, group.key_len as usize) == key
        });
        match found {
            Some(&id) => id,
            None => self.insert(hash, key, 0),
        }
    }

    fn insert(&mut self, hash: u64, key: &[u8], integers: u64) -> u32 {
        let id = self.groups.len() as u32;
        let handle = self.keys.push(&[key]);
        self.groups.push(Group { hash, key: handle, key_len: key.len() as u32, integers });
        let groups = &self.groups;
        self.table.insert_unique(hash, id, |&id| groups[id as usize].hash);
        id
    }

    fn spell(&mut self, id: u32, column: u32, text: &[u8]) {
        match self.spellings.get_mut(&(id, column)) {
            Some(known) if **known <= *text => {}
            Some(known) => {
                self.spellings_size = self.spellings_size - known.len() + text.len();
                *known = text.into();
            }
            None => {
                // An entry of the map, and the text beside it.
                self.spellings_size += 32 + text.len();
                self.spellings.insert((id, column), text.into());
            }
        }
    }

    /// Takes in the groups `ids` of another table.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for it.
    pub(super) fn merge(&mut self, other: &GroupTable, ids: impl Iterator<Item = u32>) -> Result<()> {
        let mut pairs = Vec::new();
        for there in ids {
            let group = other.groups[there as usize];
            let here = self.find_or_insert(group.hash, other.key(there));
            self.groups[here as usize].integers |= group.integers;
            pairs.push((there, here));
        }
        if !other.spellings.is_empty() {
            let here: HashMap<u32, u32> = pairs.iter().copied().collect();
            for (&(there, column), text) in &other.spellings {
                if let Some(&here) = here.get(&there) {
                    self.spell(here, column, text);
                }
            }
        }
        self.resize_accumulators();
        for (mine, theirs) in self.accumulators.iter_mut().zip(&other.accumulators) {
            mine.merge(theirs.as_ref(), &pairs);
        }
        self.reserve()
    }

    /// The hash of a group's key.
    pub(super) fn hash(&self, id: u32) -> u64 {
        self.groups[id as usize].hash
    }

    /// The encoded key of a group.
    #[inline]
    pub(super) fn key(&self, id: u32) -> &[u8] {
        let group = &self.groups[id as usize];
        self.keys.get(group.key, group.key_len as usize)
    }

    /// The values of a group's key columns, appended to `out`.
    pub(super) fn key_values<'a>(&self, id: u32, arena: &'a Bump, out: &mut Vec<Value<'a>>) {
        let mut key: &'a [u8] = arena.alloc_slice_copy(self.key(id));
        let integers = self.groups[id as usize].integers;
        let mut column = 0_u32;
        while let Some(value) = key::decode(&mut key, integers >> column & 1 == 1, arena) {
            let value = match value {
                spelt @ (Value::Huge(_) | Value::Json(_)) => match self.spellings.get(&(id, column)) {
                    Some(text) if matches!(spelt, Value::Json(_)) => Value::Json(arena.alloc_slice_copy(text)),
                    Some(text) => Value::Huge(arena.alloc_slice_copy(text)),
                    None => spelt,
                },
                value => value,
            };
            out.push(value);
            column += 1;
        }
    }

    /// The result of an aggregate for a group.
    ///
    /// # Errors
    /// The fault for which it is NULL.
    pub(super) fn result<'a>(&mut self, aggregate: usize, id: u32, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let Share { accumulators, outcome } = self.outcomes[aggregate];
        self.accumulators[accumulators].finish(id, outcome, arena)
    }

    fn reserve(&mut self) -> Result<()> {
        let accumulators: usize = self.accumulators.iter().map(|accumulators| accumulators.size()).sum();
        let size = self.table.allocation_size()
            + self.groups.capacity() * size_of::<Group>()
            + self.keys.size()
            + self.spellings_size
            + self.known.size()
            + accumulators;
        self.reservation.resize(size)
    }
}
