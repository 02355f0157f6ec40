//! `min`, `max`, `any_value`, `min_by`, `max_by`.

use std::cmp::Ordering;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::chunks::{Chunks, TOGETHER};
use super::encoded::take_value;
use super::partial::Partial;
use super::position::Position;
use crate::expr::{Fault, Vector};
use crate::memory::allocated;
use crate::scan::prefetch;
use crate::value::{OwnedValue, Value, order, own, stands_for, stored};

/// `min(x)` and `max(x)`: the least or greatest value that is not NULL.
#[derive(Default)]
pub(super) struct Extreme<const MAX: bool> {
    value: OwnedValue,
}

/// Begins to load the text of a value, if it is one.
fn prefetch_text(value: &OwnedValue) {
    value.heap().and_then(<[u8]>::first).into_iter().for_each(prefetch);
}

const fn wanted(max: bool) -> Ordering {
    if max { Ordering::Greater } else { Ordering::Less }
}

impl<const MAX: bool> Extreme<MAX> {
    fn offer(&mut self, value: Value) {
        let held = self.value.borrow();
        let better = match (value, held) {
            (Value::Null, _) => false,
            (_, Value::Null) => true,
            _ => {
                let ordering = order::compare(value, held);
                ordering == wanted(MAX) || ordering.is_eq() && stands_for(value, held)
            }
        };
        if better {
            self.value = value.into();
        }
    }
}

impl<const MAX: bool> Accumulator for Extreme<MAX> {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| stored::encode(state.value.borrow(), out),
        decode: |input| Ok(Extreme { value: take_value(input)? }),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.offer(arguments[0]);
        Ok(())
    }

    fn add_columns(states: &mut Chunks<Self>, groups: &[u32], arguments: &[Vector]) -> Option<usize> {
        let [Vector::Ints(ints)] = arguments else { return None };
        let mut grown = 0usize;
        for (groups, ints) in groups.chunks(TOGETHER).zip(ints.chunks(TOGETHER)) {
            states.prefetch_if_many(groups);
            for (&group, &value) in groups.iter().zip(ints) {
                let state = states.get_mut(group);
                match state.value {
                    OwnedValue::Int(held) if value.cmp(&held) != wanted(MAX) => {}
                    OwnedValue::Int(_) | OwnedValue::Null => state.value = OwnedValue::Int(value),
                    _ => {
                        let before = state.heap_size();
                        state.offer(Value::Int(value));
                        grown = grown.wrapping_add(state.heap_size()).wrapping_sub(before);
                    }
                }
            }
        }
        Some(grown)
    }

    fn merge(&mut self, other: &Self) {
        self.offer(other.value.borrow());
    }

    fn finish<'a>(&mut self, _: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(own(self.value.borrow(), arena))
    }

    fn heap_size(&self) -> usize {
        allocated(self.value.heap_size())
    }

    fn prefetch_heap(&self) {
        prefetch_text(&self.value);
    }
}

/// `min_by(x, y)` and `max_by(x, y)`: the x of the row with the least or greatest y that is not NULL; of several
/// such rows the smallest x. Rows whose x is NULL do not count.
#[derive(Default)]
pub(super) struct ExtremeBy<const MAX: bool> {
    by: OwnedValue,
    value: OwnedValue,
}

impl<const MAX: bool> ExtremeBy<MAX> {
    fn offer(&mut self, value: Value, by: Value) {
        let (held, held_by) = (self.value.borrow(), self.by.borrow());
        let better = match (value, by, held_by) {
            (Value::Null, _, _) | (_, Value::Null, _) => false,
            (_, _, Value::Null) => true,
            _ => match order::compare(by, held_by) {
                Ordering::Equal => match order::compare(value, held) {
                    Ordering::Equal => stands_for(value, held),
                    ordering => ordering.is_lt(),
                },
                ordering => ordering == wanted(MAX),
            },
        };
        if better {
            *self = ExtremeBy { by: by.into(), value: value.into() };
        }
    }
}

impl<const MAX: bool> Accumulator for ExtremeBy<MAX> {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| {
            [&state.by, &state.value].into_iter().for_each(|value| stored::encode(value.borrow(), out))
        },
        decode: |input| Ok(ExtremeBy { by: take_value(input)?, value: take_value(input)? }),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.offer(arguments[0], arguments[1]);
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.offer(other.value.borrow(), other.by.borrow());
    }

    fn finish<'a>(&mut self, _: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(own(self.value.borrow(), arena))
    }

    fn heap_size(&self) -> usize {
        allocated(self.value.heap_size()) + allocated(self.by.heap_size())
    }

    fn prefetch_heap(&self) {
        prefetch_text(&self.by);
    }
}
