//! The accumulators of one aggregate for all groups.

use std::any::Any;

use bumpalo::Bump;

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

/// The states of one aggregate for all groups of a table.
pub trait GroupAccumulators: Send + Sync {
    /// Makes room for groups up to `groups`, which start empty.
    fn resize(&mut self, groups: usize);

    /// Takes in a batch of rows.
    fn update(&mut self, update: &Update);

    /// Takes in groups of another table: for each pair, its group number there and here.
    fn merge(&mut self, other: &dyn GroupAccumulators, groups: &[(u32, u32)]);

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
    states: Vec<A>,
    heap: usize,
}

impl<A: Accumulator> PerGroup<A> {
    pub(super) fn boxed() -> Box<dyn GroupAccumulators> {
        Box::new(PerGroup::<A> { states: Vec::new(), heap: 0 })
    }

    fn change(&mut self, group: u32, change: impl FnOnce(&mut A)) {
        let state = &mut self.states[group as usize];
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
        self.states.resize_with(groups, A::default);
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
        let Some(other) = other.as_any().downcast_ref::<PerGroup<A>>() else {
            debug_assert!(false, "tables of one query have the same aggregates");
            return;
        };
        for &(there, here) in groups {
            self.change(here, |state| state.merge(&other.states[there as usize]));
        }
    }

    fn finish<'a>(&mut self, group: u32, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        self.states[group as usize].finish(arena)
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<A>() + self.heap
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
