//! The accumulators of one aggregate for all groups.

use std::any::Any;

use bumpalo::Bump;

use super::chunks::{CHUNK, Chunks, TOGETHER};
use super::numbers::Numbers;
use super::partial::{ItemFold, ItemSink, Partial};
use super::position::Position;
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::{Fault, Frame, Met, Site, Vector};
use crate::scan::prefetch;
use crate::value::{Value, json, leb128};

/// The running state of one aggregate for one group.
///
/// Adding values and merging states in any order and any grouping gives the same result.
pub trait Accumulator: Default + Send + Sync + Sized + 'static {
    /// Whether a state holds memory beside its own size.
    const HEAP: bool;
    /// Whether it matters where in the input a row is.
    const POSITION: bool = false;
    /// How a state is written.
    const PARTIAL: Partial<Self>;

    /// Takes in the arguments of one row. NULLs are given too.
    ///
    /// # Errors
    /// The fault for which the row does not count.
    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault>;

    /// Takes in whole columns, of which row `i` belongs to `groups[i]`, if there is a quicker way than row by row. Gives
    /// the bytes that all states hold more than before beside their own size, which wrap around where it is less; [`None`]
    /// if it did nothing.
    fn add_columns(_states: &mut Chunks<Self>, _groups: &[u32], _arguments: &[Vector]) -> Option<usize> {
        None
    }

    /// Takes in another state.
    fn merge(&mut self, other: &Self);

    /// A copy of the state.
    fn copy(&self) -> Self {
        let mut copy = Self::default();
        copy.merge(self);
        copy
    }

    /// The result.
    ///
    /// # Errors
    /// The fault for which it is NULL.
    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault>;

    /// The bytes held beside the state's own size. Takes constant time.
    fn heap_size(&self) -> usize {
        0
    }

    /// Begins to load what is held beside the state itself, as far as every row needs it.
    fn prefetch_heap(&self) {}
}

/// What is wanted of a state, which several aggregates may have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Outcome {
    /// What the state is named after.
    #[default]
    Whole,
    /// The mean.
    Mean,
    /// The quantile of a fraction from 0 to 1.
    Quantile(f64),
    /// An array of the quantiles of some fractions.
    Quantiles(Vec<f64>),
    /// All values as one text, with this between them.
    Joined(String),
    /// The most frequent value.
    Mode,
    /// This of distinct values that are taken in falling order.
    Falling(Box<Outcome>),
}

impl Outcome {
    /// The fractions of the quantiles that are wanted; that of the median where none is given.
    pub(super) fn fractions(&self) -> &[f64] {
        match self {
            Outcome::Quantiles(fractions) => fractions,
            Outcome::Quantile(fraction) => std::slice::from_ref(fraction),
            _ => &[0.5],
        }
    }

    /// The quantile, or the array of them, of which `quantile` gives the one of a fraction; the median where no fraction
    /// is given. NULL if the first of them is, as there are no values then.
    ///
    /// # Errors
    /// Those of `quantile`.
    pub(super) fn quantiles<'a>(
        &self,
        arena: &'a Bump,
        mut quantile: impl FnMut(f64) -> Result<Value<'a>, Fault>,
    ) -> Result<Value<'a>, Fault> {
        match self {
            Outcome::Quantiles(fractions) => {
                let found = fractions.iter().map(|&fraction| quantile(fraction)).collect::<Result<Vec<_>, Fault>>()?;
                match found.first() {
                    None | Some(Value::Null) => Ok(Value::Null),
                    Some(_) => Ok(json::array(found.into_iter(), arena)),
                }
            }
            _ => quantile(self.fractions()[0]),
        }
    }
}

/// One batch of rows for the accumulators of one aggregate.
pub struct Update<'u, 'a> {
    /// The frame that the rows are in.
    pub frame: &'u Frame<'a>,
    /// The rows.
    pub rows: &'u [u32],
    /// The group of each row.
    pub groups: &'u [u32],
    /// For each argument its values in the rows.
    pub arguments: &'u [Vector<'a>],
    /// Where faults are counted: once for each aggregate that has the state in common.
    pub sites: &'u [&'u Site],
}

/// A group of one of several tables.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The table's number.
    pub table: u32,
    /// The group's number in it.
    pub group: u32,
    /// Whether it is the same group as the member before it.
    pub repeats: bool,
}

/// The states of one aggregate for all groups of a table.
pub trait GroupAccumulators: Send + Sync {
    /// Makes room for groups up to `groups`, which start empty.
    fn resize(&mut self, groups: usize);

    /// Takes in a batch of rows.
    fn update(&mut self, update: &Update);

    /// Takes in groups of another table: for each pair, its group number there and here.
    fn merge(&mut self, other: &dyn GroupAccumulators, groups: &[(u32, u32)]);

    /// Gives the groups other numbers. There can be no more groups after it.
    fn renumber(&mut self, numbers: &Numbers);

    /// Replaces all groups by those that have the given members, in their order.
    fn gather(&mut self, tables: &[&dyn GroupAccumulators], members: &[Member]);

    /// The results of some groups. Those that are NULL for a fault have it given to `fault`.
    fn finish<'a>(
        &mut self,
        groups: &[u32],
        outcome: &Outcome,
        arena: &'a Bump,
        fault: &mut dyn FnMut(Fault),
    ) -> Vector<'a>;

    /// The bytes held.
    fn size(&self) -> usize;

    /// The most bytes that are held in addition while a number of rows is taken in, as long as their values are short.
    fn growth(&self, rows: usize) -> usize;

    /// Whether states are written as items, beside what [`encode`](GroupAccumulators::encode) gives.
    fn has_items(&self) -> bool;

    /// Makes one item of two of different states with the same key, if that can be: changes what comes with the first.
    fn join_items(&self, own: &mut Vec<u8>, other: &[u8]) -> bool;

    /// Begins to load the state of a group.
    fn prefetch(&self, group: u32);

    /// Appends the bytes of a group's state; of one with items, what has to be known before the first of them.
    fn encode(&self, group: u32, out: &mut Vec<u8>);

    /// Merges what [`encode`](GroupAccumulators::encode) gave into the state of a group, and moves `input` behind it.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) if the bytes are damaged.
    fn decode(&mut self, group: u32, input: &mut &[u8]) -> Result<()>;

    /// Gives the items of a group in their order.
    ///
    /// # Errors
    /// The first one of `take`'s.
    fn items(&mut self, group: u32, take: &mut ItemSink) -> Result<()>;

    /// What makes the result of a group's items, after all that was encoded of the group has been decoded; `None` if there
    /// are no items.
    fn fold(&self, group: u32, outcome: &Outcome) -> Option<Box<dyn ItemFold>>;

    /// For merging.
    fn as_any(&self) -> &dyn Any;
}

/// [`GroupAccumulators`] as a list of [`Accumulator`]s.
pub(super) struct PerGroup<A> {
    states: Chunks<A>,
    heap: usize,
    /// The most bytes that one state has held beside its own size.
    largest: usize,
    /// For each group the rows of states with items, as they were decoded.
    rows: Vec<u64>,
}

impl<A> Default for PerGroup<A> {
    fn default() -> Self {
        PerGroup { states: Chunks::default(), heap: 0, largest: 0, rows: Vec::new() }
    }
}

impl<A: Accumulator> PerGroup<A> {
    pub(super) fn boxed() -> Box<dyn GroupAccumulators> {
        Box::new(PerGroup::<A>::default())
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// The state of a group.
    pub(super) fn get(&self, group: u32) -> &A {
        self.states.get(group)
    }

    fn of(states: &dyn GroupAccumulators) -> Option<&PerGroup<A>> {
        let states = states.as_any().downcast_ref();
        debug_assert!(states.is_some(), "tables of one query have the same aggregates");
        states
    }

    pub(super) fn change(&mut self, group: u32, change: impl FnOnce(&mut A)) {
        let state = self.states.get_mut(group);
        if A::HEAP {
            let before = state.heap_size();
            change(state);
            let after = state.heap_size();
            self.heap = self.heap - before + after;
            self.largest = self.largest.max(after);
        } else {
            change(state);
        }
    }
}

impl<A: Accumulator> GroupAccumulators for PerGroup<A> {
    fn resize(&mut self, groups: usize) {
        self.states.grow(groups);
    }

    fn update(&mut self, update: &Update) {
        if let Some(grown) = A::add_columns(&mut self.states, update.groups, update.arguments) {
            self.heap = self.heap.wrapping_add(grown);
            if matches!(A::PARTIAL, Partial::Items { .. }) {
                // Columns are taken in where there are few groups, of which one may have nearly all.
                self.largest = self.heap;
            }
            return;
        }
        let mut values = [Value::Null; 3];
        let values = &mut values[..update.arguments.len()];
        for (start, groups) in (0..).step_by(TOGETHER).zip(update.groups.chunks(TOGETHER)) {
            if self.states.prefetch_if_many(groups) {
                groups.iter().for_each(|&group| self.states.get(group).prefetch_heap());
            }
            for (i, &group) in (start..).zip(groups) {
                for (value, vector) in values.iter_mut().zip(update.arguments) {
                    *value = vector.get(i);
                }
                let row = update.rows[i];
                let position = if A::POSITION { Position::of(update, row) } else { Position::default() };
                self.change(group, |state| {
                    if let Err(fault) = state.add(values, position) {
                        let met = if let [value] = *values { Met::value(value) } else { None };
                        update.sites.iter().for_each(|site| update.frame.fault(site, fault, met, row));
                    }
                });
            }
        }
    }

    fn merge(&mut self, other: &dyn GroupAccumulators, groups: &[(u32, u32)]) {
        let Some(other) = PerGroup::<A>::of(other) else { return };
        for &(there, here) in groups {
            self.change(here, |state| state.merge(other.states.get(there)));
        }
    }

    fn renumber(&mut self, numbers: &Numbers) {
        self.states.renumber(numbers);
    }

    fn gather(&mut self, tables: &[&dyn GroupAccumulators], members: &[Member]) {
        let tables: Vec<_> = tables.iter().filter_map(|states| PerGroup::<A>::of(*states)).collect();
        let state = |member: &Member| tables[member.table as usize].states.get(member.group);
        self.states.clear();
        members.iter().for_each(|member| prefetch(state(member)));
        for member in members {
            if member.repeats {
                self.states.get_mut(self.states.len() as u32 - 1).merge(state(member));
            } else {
                self.states.push(state(member).copy());
            }
        }
        self.heap = if A::HEAP { self.states.iter().map(A::heap_size).sum() } else { 0 };
    }

    fn finish<'a>(
        &mut self,
        groups: &[u32],
        outcome: &Outcome,
        arena: &'a Bump,
        fault: &mut dyn FnMut(Fault),
    ) -> Vector<'a> {
        Vector::build(arena, groups.len(), |row| {
            self.states.get_mut(groups[row]).finish(outcome, arena).unwrap_or_else(|found| {
                fault(found);
                Value::Null
            })
        })
    }

    fn size(&self) -> usize {
        self.states.size() + self.heap + self.rows.capacity() * size_of::<u64>()
    }

    fn growth(&self, rows: usize) -> usize {
        // Lists and tables grow by moving to what is twice as large. Where groups are alike, all may do so at once.
        let heap = match A::PARTIAL {
            Partial::Items { .. } => 2 * self.largest + (2 * self.largest).saturating_mul(rows).min(self.heap),
            Partial::State { .. } => 0,
        };
        // What a state takes for a first short value.
        let first = match A::PARTIAL {
            Partial::Items { .. } => 512,
            Partial::State { .. } if A::HEAP => 80,
            Partial::State { .. } => 0,
        };
        (rows + CHUNK) * size_of::<A>() + heap + rows * first
    }

    fn join_items(&self, own: &mut Vec<u8>, other: &[u8]) -> bool {
        match A::PARTIAL {
            Partial::State { .. } => false,
            Partial::Items { join, .. } => join(own, other),
        }
    }

    fn has_items(&self) -> bool {
        matches!(A::PARTIAL, Partial::Items { .. })
    }

    fn prefetch(&self, group: u32) {
        prefetch(self.states.get(group));
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        let state = self.states.get(group);
        match A::PARTIAL {
            Partial::State { encode, .. } => encode(state, out),
            Partial::Items { rows, .. } => {
                leb128::put(rows(state) + self.rows.get(group as usize).copied().unwrap_or(0), out);
            }
        }
    }

    fn decode(&mut self, group: u32, input: &mut &[u8]) -> Result<()> {
        match A::PARTIAL {
            Partial::State { decode, .. } => {
                let state = decode(input)?;
                self.change(group, |own| own.merge(&state));
            }
            Partial::Items { .. } => {
                let more = leb128::take(input).ok_or_else(damaged)?;
                if self.rows.len() <= group as usize {
                    self.rows.resize(group as usize + 1, 0);
                }
                self.rows[group as usize] += more;
            }
        }
        Ok(())
    }

    fn items(&mut self, group: u32, take: &mut ItemSink) -> Result<()> {
        match A::PARTIAL {
            Partial::State { .. } => Ok(()),
            Partial::Items { items, .. } => items(self.states.get_mut(group), take),
        }
    }

    fn fold(&self, group: u32, outcome: &Outcome) -> Option<Box<dyn ItemFold>> {
        match A::PARTIAL {
            Partial::State { .. } => None,
            Partial::Items { fold, .. } => Some(fold(self.rows.get(group as usize).copied().unwrap_or(0), outcome)),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
