//! `count(*)`, `count(x)`, `count_if(x)`.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::chunks::{Chunks, TOGETHER};
use super::partial::Partial;
use super::position::Position;
use super::superacc::damaged;
use crate::expr::{Fault, Vector};
use crate::value::{Value, leb128};

/// `count(*)` without an argument, `count(x)` of the values that are not NULL with one.
#[derive(Default)]
pub(super) struct Count(u64);

impl Accumulator for Count {
    const HEAP: bool = false;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| leb128::put(state.0, out),
        decode: |input| leb128::take(input).map(Count).ok_or_else(damaged),
    };

    #[inline]
    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.0 += u64::from(!matches!(arguments, [Value::Null]));
        Ok(())
    }

    fn add_columns(states: &mut Chunks<Self>, groups: &[u32], arguments: &[Vector]) -> Option<usize> {
        match arguments {
            [] | [Vector::Ints(_) | Vector::Floats(_) | Vector::Dates(_)] => {}
            _ => return None,
        }
        if states.len() == 1 {
            states.get_mut(0).0 += groups.len() as u64;
        } else {
            for groups in groups.chunks(TOGETHER) {
                states.prefetch_if_many(groups);
                groups.iter().for_each(|&group| states.get_mut(group).0 += 1);
            }
        }
        Some(0)
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.0.into()))
    }
}

/// `count_if(x)`: the rows for which a condition is true.
#[derive(Default)]
pub(super) struct CountIf(u64);

impl Accumulator for CountIf {
    const HEAP: bool = false;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| leb128::put(state.0, out),
        decode: |input| leb128::take(input).map(CountIf).ok_or_else(damaged),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        match arguments[0] {
            Value::Bool(value) => self.0 += u64::from(value),
            Value::Null => {}
            _ => return Err(Fault::Type),
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.0.into()))
    }
}
