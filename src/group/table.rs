//! The table of groups of one worker.
//!
//! A key is encoded to bytes whose order is the order of the values, so that finding, sorting and merging groups are
//! all comparisons of bytes. Groups are numbered densely as they are met; accumulators are lists indexed by that number.

use std::collections::HashMap;

use bumpalo::Bump;

use super::known::{Keys, Known};
use super::repeats::{Repeats, Way};
use super::spill::SORTING;
use super::{AggregateCall, Grouping};
use crate::agg::{GroupAccumulators, Numbers, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, Frame, Site, Vector};
use crate::memory::{Budget, HashedKey, Interner, LookedUp, NEW, NewRow, Records, Reservation};
use crate::spill::{Run, Space, are_too_many, make_fewer};
use crate::value::{Spelling, Value, hash};

/// The rows that are taken in at a time: before each time memory is reserved for as many new groups.
const PIECE: usize = 4 << 10;
/// The fewest rows for which memory is asked for.
const LEAST_PIECE: usize = 64;
/// The keys from which on their length is known.
const MANY_KEYS: usize = 64;
/// What only saves time grows while this many times as much memory is left.
const SPARE: usize = 4;

/// The groups that one worker has met.
///
/// When the budget does not allow for more, all groups that are in memory are written to disk as a run, and the table
/// begins anew. So one group may be in several runs, and in memory.
pub struct GroupTable {
    /// The encoded keys; a group's number is its key's. While nearly all rows make a new group, some keys have several.
    keys: Interner,
    repeats: Repeats,
    /// For each group a bit for each key column: a number that was spelt as an integer was met. Groups beyond the end
    /// have none.
    integers: Vec<u64>,
    /// The spelling that stands for keys whose encoding does not give one back: arrays, objects and huge numbers,
    /// by group and key column. Of several spellings the smallest.
    spellings: HashMap<(u32, u32), Box<[u8]>>,
    spellings_size: usize,
    /// The spelling that stands for keys that are decimals, by group and key column: the least of those met.
    decimals: HashMap<(u32, u32), Spelling>,
    /// Those of all aggregates, of which some share theirs: see [`Grouping::shares`].
    accumulators: Vec<Box<dyn GroupAccumulators>>,
    reservation: Reservation,
    /// The bytes that stay reserved until no more rows come.
    room: usize,
    scratch: Scratch,
    known: Known,
    space: Space,
    runs: Vec<Run>,
    /// The bytes that a key took on average, at most.
    key_len: usize,
    /// See [`freed`](GroupTable::freed).
    freed: usize,
    key_columns: u32,
}

#[derive(Default)]
struct Scratch {
    /// The rows whose group is not known.
    news: Vec<NewRow>,
    /// Their encoded keys.
    encoded: Vec<u8>,
    keys: Vec<HashedKey>,
    /// Their groups.
    groups: Vec<u32>,
    /// For each row its group.
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
    /// An empty table for the groups of a grouping, in memory of a budget as far as that goes, then in the space.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if an aggregate of it does not take `distinct`; binding has checked that.
    pub fn new(grouping: &Grouping, budget: &Budget, space: &Space) -> Result<GroupTable> {
        let accumulators = accumulators(grouping)?;
        Ok(GroupTable {
            keys: Interner::default(),
            repeats: Repeats::default(),
            integers: Vec::new(),
            spellings: HashMap::new(),
            spellings_size: 0,
            decimals: HashMap::new(),
            accumulators,
            reservation: budget.reservation("groups"),
            room: 0,
            scratch: Scratch::default(),
            known: Known::new(grouping.keys.len()),
            space: space.clone(),
            runs: Vec::new(),
            key_len: 0,
            freed: 0,
            key_columns: grouping.keys.len() as u32,
        })
    }

    /// Has so many bytes reserved from now on, if there are so many: others cannot take the last that it will need.
    pub fn with_room(mut self, bytes: usize) -> GroupTable {
        if self.reservation.try_resize(bytes) {
            self.room = bytes;
        }
        self
    }

    /// The number of groups in memory.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no groups in memory.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether groups were written to disk.
    pub fn has_spilled(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Takes in rows of a frame of records.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not even allow for the groups of a few rows; any error of writing
    /// a run.
    pub fn update<'a>(&mut self, grouping: &'a Grouping, frame: &Frame<'a>, rows: &[u32]) -> Result<()> {
        let (mut rest, mut piece) = (rows, PIECE);
        while !rest.is_empty() {
            let (rows, others) = rest.split_at(piece.min(rest.len()));
            match self.make_room(grouping, rows.len()) {
                // Where there is next to no memory, fewer may do.
                Err(error) if error.kind() == ErrorKind::Resource && rows.len() > LEAST_PIECE => {
                    piece = (rows.len() / 4).max(LEAST_PIECE);
                }
                room => {
                    room?;
                    self.take_in(grouping, frame, rows);
                    rest = others;
                }
            }
        }
        Ok(())
    }

    /// Reserves what a number of rows may take if each makes a new group; where that is refused, the groups that are in
    /// memory go to disk.
    fn make_room(&mut self, grouping: &Grouping, rows: usize) -> Result<()> {
        let wanted = |table: &GroupTable| {
            let states: usize = table.accumulators.iter().map(|states| states.growth(rows)).sum();
            let keys = table.keys.growth(rows) + rows * table.key_len;
            (table.size() + keys + states + (table.len() + rows) * SORTING).max(table.room)
        };
        self.key_len = self.key_len.max(self.keys.size() / self.keys.len().max(MANY_KEYS));
        let luxury = self.known.growth();
        if luxury > 0 && self.reservation.left() / SPARE > luxury && self.reservation.try_resize(wanted(self) + luxury)
        {
            self.known.grow();
            return Ok(());
        }
        if !self.reservation.try_resize(wanted(self)) {
            self.spill(grouping)?;
            let wanted = wanted(self);
            self.reservation.resize(wanted)?;
        }
        Ok(())
    }

    /// Writes the groups that are in memory to disk.
    ///
    /// # Errors
    /// Any error of writing a run.
    pub fn spill(&mut self, grouping: &Grouping) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let run = self.write_run(&self.space.clone())?;
        self.runs.push(run);
        self.freed = self.freed.max(self.size() - self.keys.size() - self.known.size());
        self.known = Known::new(grouping.keys.len());
        self.integers = Vec::new();
        (self.spellings, self.spellings_size) = Default::default();
        self.decimals = HashMap::new();
        self.accumulators = accumulators(grouping)?;
        if are_too_many(&self.runs) {
            make_fewer(&mut self.runs, self.reservation.bytes(), &self.space)?;
        }
        self.reserve()
    }

    /// Does what can be done before the other tables are there: gives back what was reserved for rows that did not come, or,
    /// if other groups are on disk, or these took more than was reserved for them, writes these there, too.
    ///
    /// # Errors
    /// Any error of writing a run.
    pub fn close(&mut self, grouping: &Grouping) -> Result<()> {
        self.room = 0;
        let size = self.size();
        if self.has_spilled() || !self.reservation.try_resize(size) {
            return self.spill(grouping);
        }
        Ok(())
    }

    /// Holds its memory in a budget from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] if that has not got so much left.
    pub(super) fn move_to(&mut self, budget: &Budget) -> Result<()> {
        self.room = 0;
        self.reservation = budget.reservation("groups");
        self.reserve()
    }

    /// The bytes that the allocator got back when groups went to disk, at most. Those in pages of their own are not among
    /// them.
    pub fn freed(&self) -> usize {
        self.freed
    }

    /// The runs on disk.
    pub fn into_runs(self) -> Vec<Run> {
        self.runs
    }

    /// Takes the runs that are on disk away.
    pub fn take_runs(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.runs)
    }

    /// Takes in groups that are on disk.
    pub fn add_runs(&mut self, runs: Vec<Run>) {
        self.runs.extend(runs);
    }

    fn take_in<'a>(&mut self, grouping: &'a Grouping, frame: &Frame<'a>, rows: &[u32]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let keys: Vec<Keys<'a>> = grouping.keys.iter().map(|key| keys_of(key, frame, rows)).collect();
        self.assign(&keys, frame.arena, rows, &mut scratch);
        let mut evaluated = Evaluated(Vec::new());
        let shares = grouping.shares();
        for (number, accumulators) in self.accumulators.iter_mut().enumerate() {
            let calls = grouping.aggregates.iter().zip(&shares);
            let calls: Vec<&AggregateCall> =
                calls.filter(|(_, share)| **share == number).map(|(call, _)| call).collect();
            let Some(call) = calls.first() else { continue };
            let sites: Vec<&Site> = calls.iter().map(|call| &call.site).collect();
            accumulators.resize(self.keys.len());
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
            accumulators.update(&Update { frame, rows, groups, arguments: &arguments, sites: &sites });
        }
        self.scratch = scratch;
    }

    /// Makes the one group of a query without keys, which is there even if no record is.
    pub fn ensure_single_group(&mut self) {
        if self.keys.is_empty() {
            self.keys.intern(hash::hash(b""), b"");
            self.resize_accumulators();
        }
    }

    #[cfg(test)]
    pub(super) fn insert_key(&mut self, key: &[u8]) {
        self.keys.intern(hash::hash(key), key);
    }

    fn resize_accumulators(&mut self) {
        let groups = self.keys.len();
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
        let Scratch { ids, news, encoded, keys: hashed, .. } = scratch;
        news.clear();
        self.known.assign(keys, rows, ids, news);
        if news.is_empty() {
            return;
        }
        encoded.clear();
        hashed.clear();
        let mut spelt = Vec::new();
        for (place, new) in news.iter().enumerate() {
            let start = encoded.len();
            for (column, keys) in keys.iter().enumerate() {
                let Some(value) = keys.encode(new.row, rows[new.row], arena, encoded) else { continue };
                if matches!(value, Value::Huge(_) | Value::Json(_) | Value::Decimal(_)) || value.is_integer_spelling() {
                    spelt.push((place, column as u32, value));
                }
            }
            hashed.push(HashedKey { hash: hash::hash(&encoded[start..]), end: encoded.len() });
        }
        self.intern(rows.len() - news.len(), scratch);
        self.known.learn(&scratch.news, &scratch.groups);
        for id in scratch.ids.iter_mut().filter(|id| **id & NEW != 0) {
            *id = scratch.groups[(*id & !NEW) as usize];
        }
        for (place, column, value) in spelt {
            let id = scratch.groups[place];
            if value.is_integer_spelling() {
                self.note_integers(id, 1 << column);
            }
            if let Value::Huge(text) | Value::Json(text) = value {
                self.spell(id, column, text);
            }
            if let Value::Decimal(_) = value {
                self.spell_decimal(id, column, value.spelling());
            }
        }
    }

    /// Finds or makes the groups of encoded keys. `known` rows had their groups found already.
    fn intern(&mut self, known: usize, scratch: &mut Scratch) {
        let Scratch { encoded, keys, groups, .. } = scratch;
        groups.clear();
        let LookedUp { strings, found } = match self.repeats.way() {
            Way::Append => self.keys.append_all(encoded, keys, groups),
            Way::LookUp | Way::LookUpForGood => {
                let before = self.keys.len();
                self.keys.intern_all(encoded, keys, groups);
                LookedUp { strings: keys.len(), found: keys.len() - (self.keys.len() - before) }
            }
        };
        if self.repeats.note(known + strings, known + found, self.keys.len()) {
            self.keys.find_appended(hash::hash);
        }
    }

    /// Whether each group has a key of its own.
    pub(super) fn is_unique(&self) -> bool {
        !self.keys.has_appended()
    }

    /// Notes the key columns in which a group was met with a number that was spelt as an integer, as bits.
    fn note_integers(&mut self, id: u32, columns: u64) {
        if columns != 0 {
            if self.integers.len() <= id as usize {
                self.integers.resize(self.keys.len(), 0);
            }
            self.integers[id as usize] |= columns;
        }
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

    fn spell_decimal(&mut self, id: u32, column: u32, spelling: Spelling) {
        let known = self.decimals.entry((id, column)).or_default();
        *known = spelling.min(*known);
    }

    /// Takes in the groups of another table. Groups of one key become one, unless there are several here.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for it.
    pub(super) fn merge(&mut self, other: &GroupTable) -> Result<()> {
        let mut pairs = Vec::with_capacity(other.len());
        for (there, key) in other.keys.records().iter() {
            let here = self.keys.intern(hash::hash(key), key);
            self.note_integers(here, other.integers(there));
            pairs.push((there, here));
        }
        for (&(there, column), text) in &other.spellings {
            self.spell(pairs[there as usize].1, column, text);
        }
        for (&(there, column), &spelling) in &other.decimals {
            self.spell_decimal(pairs[there as usize].1, column, spelling);
        }
        self.resize_accumulators();
        for (mine, theirs) in self.accumulators.iter_mut().zip(&other.accumulators) {
            mine.merge(theirs.as_ref(), &pairs);
        }
        self.reserve()
    }

    /// The keys with the groups' numbers, for good: the table keeps what else there is of groups.
    ///
    /// # Errors
    /// None: less memory is held than before.
    pub(super) fn take_keys(&mut self) -> Result<Records> {
        self.known = Known::new(0);
        let keys = std::mem::take(&mut self.keys).into_records();
        self.reserve()?;
        Ok(keys)
    }

    /// Gives the groups other numbers.
    pub(super) fn renumber(&mut self, numbers: &Numbers) {
        if !self.integers.is_empty() {
            let mut old = std::mem::take(&mut self.integers).into_iter();
            self.integers.resize(numbers.end() as usize, 0);
            numbers.for_each(|numbers| {
                numbers.iter().zip(&mut old).for_each(|(&number, bits)| self.integers[number as usize] = bits)
            });
        }
        if !self.spellings.is_empty() || !self.decimals.is_empty() {
            let mut all = Vec::new();
            numbers.for_each(|numbers| all.extend_from_slice(numbers));
            let spellings = std::mem::take(&mut self.spellings).into_iter();
            self.spellings = spellings.map(|((id, column), text)| ((all[id as usize], column), text)).collect();
            let decimals = std::mem::take(&mut self.decimals).into_iter();
            self.decimals = decimals.map(|((id, column), spelling)| ((all[id as usize], column), spelling)).collect();
        }
        self.accumulators.iter_mut().for_each(|accumulators| accumulators.renumber(numbers));
    }

    /// The keys with the groups' numbers, before all else of the groups is dropped.
    pub(super) fn take_interner(&mut self) -> Records {
        std::mem::take(&mut self.keys).into_records()
    }

    /// The bytes that the states take in addition when some of them grow.
    pub(super) fn states_growth(&self) -> usize {
        self.accumulators.iter().map(|states| states.growth(0)).sum()
    }

    /// The bytes of the states.
    pub(super) fn states_size(&self) -> usize {
        self.accumulators.iter().map(|accumulators| accumulators.size()).sum()
    }

    /// The bytes held.
    pub(super) fn size(&self) -> usize {
        let integers = self.integers.capacity() * size_of::<u64>();
        // An entry and a byte of control for each slot, of which an eighth is free at least.
        let decimals = self.decimals.capacity() * (size_of::<((u32, u32), Spelling)>() + 1) * 8 / 7;
        self.keys.size() + integers + self.spellings_size + decimals + self.known.size() + self.states_size()
    }

    /// Whether all keys are written as their encodings give them back.
    pub(super) fn is_without_spellings(&self) -> bool {
        self.integers.is_empty() && self.spellings.is_empty() && self.decimals.is_empty()
    }

    /// The key columns in which a group was met with a number that was spelt as an integer, as bits.
    #[inline]
    pub(super) fn integers(&self, id: u32) -> u64 {
        self.integers.get(id as usize).copied().unwrap_or(0)
    }

    /// The least spelling of the decimals that a group's key in a column was met as; the usual one if it was none.
    #[inline]
    pub(super) fn decimal(&self, id: u32, column: u32) -> Spelling {
        if self.decimals.is_empty() {
            return Spelling::USUAL;
        }
        self.decimals.get(&(id, column)).copied().unwrap_or_default()
    }

    /// The spelling that stands for a group's key in a column, if its encoding does not give one back.
    #[inline]
    pub(super) fn spelling(&self, id: u32, column: u32) -> Option<&[u8]> {
        if self.spellings.is_empty() { None } else { self.spellings.get(&(id, column)).map(|text| &**text) }
    }

    /// The key columns that have the spelling of a decimal in a group.
    pub(super) fn decimals_of(&self, id: u32) -> Vec<(u32, Spelling)> {
        self.columns(id, &self.decimals).map(|(column, spelling)| (column, *spelling)).collect()
    }

    /// The key columns whose spelling is kept beside the key of a group.
    pub(super) fn spellings_of(&self, id: u32) -> Vec<(u32, &[u8])> {
        self.columns(id, &self.spellings).map(|(column, text)| (column, &**text)).collect()
    }

    /// What a map has for the key columns of a group.
    fn columns<'t, T>(&self, id: u32, map: &'t HashMap<(u32, u32), T>) -> impl Iterator<Item = (u32, &'t T)> {
        let columns = if map.is_empty() { 0 } else { self.key_columns };
        (0..columns).filter_map(move |column| map.get(&(id, column)).map(|found| (column, found)))
    }

    /// The states of each aggregate, by group.
    pub(super) fn accumulators_mut(&mut self) -> &mut [Box<dyn GroupAccumulators>] {
        &mut self.accumulators
    }

    /// The states of each aggregate, by group.
    pub(super) fn accumulators(&self) -> &[Box<dyn GroupAccumulators>] {
        &self.accumulators
    }

    /// The states, for good: the table keeps its keys only.
    pub(super) fn take_accumulators(&mut self) -> Vec<Box<dyn GroupAccumulators>> {
        std::mem::take(&mut self.accumulators)
    }

    fn reserve(&mut self) -> Result<()> {
        let size = self.size().max(self.room);
        self.reservation.resize(size)
    }
}

/// Empty states of the aggregates of a grouping, of which some share theirs: see [`Grouping::shares`].
///
/// # Errors
/// [`ErrorKind::Internal`] if an aggregate of it does not take `distinct`; binding has checked that.
pub(super) fn accumulators(grouping: &Grouping) -> Result<Vec<Box<dyn GroupAccumulators>>> {
    let shares = grouping.shares();
    let mut all = Vec::new();
    for (call, share) in grouping.aggregates.iter().zip(shares) {
        if share == all.len() {
            let made = call.function.accumulators(call.distinct, call.ordered);
            all.push(made.ok_or_else(|| Error::new(ErrorKind::Internal, "an aggregate that does not take distinct"))?);
        }
    }
    Ok(all)
}
