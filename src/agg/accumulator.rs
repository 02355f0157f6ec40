//! The accumulators of one aggregate for all groups.

use std::any::Any;

use bumpalo::Bump;

use super::chunks::Chunks;
use super::position::Position;
use crate::expr::{Fault, Frame, Site, Vector};
use crate::value::Value;

/// The running state of one aggregate for one group.
///
/// Adding values and merging states in any order and any grouping gives the same result.
pub trait Accumulator: Default + Send + Sync + 'static {
    /// Whether a state holds memory beside its own size.
    const HEAP: bool;

    /// Takes in the arguments of one row. NULLs are given too.
    ///
    /// # Errors
    /// The fault for which the row does not count.
    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault>;

    /// Takes in one column as a whole for one group, if it has a quicker way than row by row. Says whether it did.
    fn add_all(&mut self, _column: &Vector) -> bool {
        false
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
    fn finish<'a>(&mut self, arena: &'a Bump) -> Result<Value<'a>, Fault>;

    /// The bytes held beside the state's own size. Takes constant time.
    fn heap_size(&self) -> usize {
        0
    }
}

/// One batch of rows for the accumulators of one aggregate.
pub struct Update<'u, 'a> {
    /// The frame that the rows are in.
    pub frame: &'u Frame<'a>,
    /// The file's number, for positions.
    pub file: u32,
    /// The rows.
    pub rows: &'u [u32],
    /// The group of each row.
    pub groups: &'u [u32],
    /// For each argument its values in the rows.
    pub arguments: &'u [Vector<'a>],
    /// Where faults are counted.
    pub site: &'u Site,
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

    /// Gives the groups other numbers: to the first that of `numbers[0]`, and so on, as
    /// [`Chunks::renumber`] can.
    fn renumber(&mut self, numbers: &[u32]);

    /// Replaces all groups by those that have the given members, in their order.
    fn gather(&mut self, tables: &[&dyn GroupAccumulators], members: &[Member]);

    /// The result of a group.
    ///
    /// # Errors
    /// The fault for which it is NULL.
    fn finish<'a>(&mut self, group: u32, arena: &'a Bump) -> Result<Value<'a>, Fault>;

    /// The bytes held.
    fn size(&self) -> usize;

    /// For merging.
    fn as_any(&self) -> &dyn Any;
}

/// [`GroupAccumulators`] as a list of [`Accumulator`]s.
pub(super) struct PerGroup<A> {
    states: Chunks<A>,
    heap: usize,
}

impl<A: Accumulator> PerGroup<A> {
    pub(super) fn boxed() -> Box<dyn GroupAccumulators> {
        Box::new(PerGroup::<A> { states: Chunks::default(), heap: 0 })
    }

    fn of(states: &dyn GroupAccumulators) -> Option<&PerGroup<A>> {
        let states = states.as_any().downcast_ref();
        debug_assert!(states.is_some(), "tables of one query have the same aggregates");
        states
    }

    fn change(&mut self, group: u32, change: impl FnOnce(&mut A)) {
        let state = self.states.get_mut(group);
        if A::HEAP {
            let before = state.heap_size();
            change(state);
            self.heap = self.heap - before + state.heap_size();
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
        if self.states.len() == 1
            && let [column] = update.arguments
        {
            let mut done = false;
            self.change(0, |state| done = state.add_all(column));
            if done {
                return;
            }
        }
        let mut values = [Value::Null; 2];
        let values = &mut values[..update.arguments.len()];
        for (i, (&row, &group)) in update.rows.iter().zip(update.groups).enumerate() {
            for (value, vector) in values.iter_mut().zip(update.arguments) {
                *value = vector.get(i);
            }
            let position = Position::of(update, row);
            self.change(group, |state| {
                if let Err(fault) = state.add(values, position) {
                    update.frame.fault(update.site, fault, row);
                }
            });
        }
    }

    fn merge(&mut self, other: &dyn GroupAccumulators, groups: &[(u32, u32)]) {
        let Some(other) = PerGroup::<A>::of(other) else { return };
        for &(there, here) in groups {
            self.change(here, |state| state.merge(other.states.get(there)));
        }
    }

    fn renumber(&mut self, numbers: &[u32]) {
        self.states.renumber(numbers);
    }

    fn gather(&mut self, tables: &[&dyn GroupAccumulators], members: &[Member]) {
        let tables: Vec<_> = tables.iter().filter_map(|states| PerGroup::<A>::of(*states)).collect();
        let state = |member: &Member| tables[member.table as usize].states.get(member.group);
        self.states.clear();
        // The states lie anywhere in memory, and this does next to nothing but copy them: so the cache misses overlap.
        for member in members.iter().filter(|member| !member.repeats) {
            self.states.push(state(member).copy());
        }
        let mut groups = 0;
        for member in members {
            groups += u32::from(!member.repeats);
            if member.repeats {
                self.states.get_mut(groups - 1).merge(state(member));
            }
        }
        self.heap = if A::HEAP { self.states.iter().map(A::heap_size).sum() } else { 0 };
    }

    fn finish<'a>(&mut self, group: u32, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        self.states.get_mut(group).finish(arena)
    }

    fn size(&self) -> usize {
        self.states.size() + self.heap
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
