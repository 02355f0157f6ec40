//! `bool_and`, `bool_or`.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::partial::Partial;
use super::position::Position;
use super::superacc::{damaged, take};
use crate::expr::Fault;
use crate::value::Value;

/// `bool_and(x)` (`OR` = false) and `bool_or(x)`: of the values that are not NULL.
#[derive(Default)]
pub(super) struct Bools<const OR: bool>(Option<bool>);

impl<const OR: bool> Bools<OR> {
    fn offer(&mut self, value: bool) {
        self.0 = Some(match self.0 {
            None => value,
            Some(held) if OR => held | value,
            Some(held) => held & value,
        });
    }
}

impl<const OR: bool> Accumulator for Bools<OR> {
    const HEAP: bool = false;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| out.push(state.0.map_or(2, u8::from)),
        decode: |input| match take(input)? {
            [held @ 0..2] => Ok(Bools(Some(held == 1))),
            [2] => Ok(Bools(None)),
            _ => Err(damaged()),
        },
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        match arguments[0] {
            Value::Bool(value) => self.offer(value),
            Value::Null => {}
            _ => return Err(Fault::Type),
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        other.0.into_iter().for_each(|value| self.offer(value));
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(self.0.map_or(Value::Null, Value::Bool))
    }
}
