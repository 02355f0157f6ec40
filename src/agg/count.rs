//! `count(*)`, `count(x)`, `count_if(x)`.

use bumpalo::Bump;

use super::accumulator::Accumulator;
use super::position::Position;
use crate::expr::{Fault, Vector};
use crate::value::Value;

/// `count(*)` without an argument, `count(x)` of the values that are not NULL with one.
#[derive(Default)]
pub(super) struct Count(u64);

impl Accumulator for Count {
    const HEAP: bool = false;

    #[inline]
    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.0 += u64::from(!matches!(arguments, [Value::Null]));
        Ok(())
    }

    fn add_all(&mut self, column: &Vector) -> bool {
        match column {
            Vector::Ints(ints) => self.0 += ints.len() as u64,
            Vector::Floats(floats) => self.0 += floats.len() as u64,
            _ => return false,
        }
        true
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.0.into()))
    }
}

/// `count_if(x)`: the rows for which a condition is true.
#[derive(Default)]
pub(super) struct CountIf(u64);

impl Accumulator for CountIf {
    const HEAP: bool = false;

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

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.0.into()))
    }
}
