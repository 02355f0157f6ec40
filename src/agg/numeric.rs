//! `sum`, `avg`, the deviations and `median`, over the exact accumulators.

use bumpalo::Bump;

use super::accumulator::Accumulator;
use super::median::Quantiles;
use super::moments::Moments;
use super::position::Position;
use super::sum::{ExactSum, Total};
use crate::expr::{Fault, Vector};
use crate::value::Value;

/// State that takes in numbers.
trait Numbers {
    fn add_int(&mut self, value: i64);
    fn add_wide(&mut self, value: i128);
    fn add_float(&mut self, value: f64);

    /// Takes in a value that is a number. Says whether it counts: NULL does not.
    ///
    /// # Errors
    /// [`Fault::Type`] for anything else, numbers beyond 128-bit integers and beyond floats among it.
    #[inline]
    fn add(&mut self, value: Value) -> Result<bool, Fault> {
        match value {
            Value::Null => return Ok(false),
            Value::Int(value) => self.add_int(value),
            Value::Float(value) => self.add_float(value),
            Value::Wide(value) => self.add_wide(value.get()),
            _ => return Err(Fault::Type),
        }
        Ok(true)
    }
}

macro_rules! numbers {
    ($($state:ident),*) => {$(
        impl Numbers for $state {
            #[inline]
            fn add_int(&mut self, value: i64) {
                $state::add_int(self, value);
            }

            #[inline]
            fn add_wide(&mut self, value: i128) {
                $state::add_wide(self, value);
            }

            #[inline]
            fn add_float(&mut self, value: f64) {
                $state::add_float(self, value);
            }
        }
    )*};
}
numbers!(ExactSum, Moments, Quantiles);

/// `sum(x)`: exact, an integer if all values are.
#[derive(Clone, Default)]
pub(super) struct Sum {
    sum: ExactSum,
    count: u64,
}

impl Sum {
    #[inline]
    fn take(&mut self, value: Value) -> Result<(), Fault> {
        self.count += u64::from(self.sum.add(value)?);
        Ok(())
    }

    fn take_all(&mut self, column: &Vector) -> bool {
        match column {
            Vector::Ints(ints) => {
                self.sum.add_ints(ints);
                self.count += ints.len() as u64;
            }
            Vector::Floats(floats) => {
                self.sum.add_floats(floats);
                self.count += floats.len() as u64;
            }
            _ => return false,
        }
        true
    }

    fn join(&mut self, other: &Sum) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }
}

impl Accumulator for Sum {
    const HEAP: bool = true;

    #[inline]
    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.take(arguments[0])
    }

    fn add_all(&mut self, column: &Vector) -> bool {
        self.take_all(column)
    }

    fn merge(&mut self, other: &Self) {
        self.join(other);
    }

    #[inline]
    fn copy(&self) -> Self {
        self.clone()
    }

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        match self.sum.total() {
            Total::Int(value) => Ok(Value::integer(value)),
            Total::Float(value) => Ok(Value::Float(value)),
            Total::Overflow => Err(Fault::Overflow),
        }
    }

    fn heap_size(&self) -> usize {
        self.sum.heap_size()
    }
}

/// `avg(x)`: the exact sum divided by the count, rounded once.
#[derive(Default)]
pub(super) struct Average(Sum);

impl Accumulator for Average {
    const HEAP: bool = true;

    #[inline]
    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.0.take(arguments[0])
    }

    fn add_all(&mut self, column: &Vector) -> bool {
        self.0.take_all(column)
    }

    fn merge(&mut self, other: &Self) {
        self.0.join(&other.0);
    }

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        match self.0.count {
            0 => Ok(Value::Null),
            count => self.0.sum.mean(count).map(Value::Float).ok_or(Fault::Overflow),
        }
    }

    fn heap_size(&self) -> usize {
        self.0.sum.heap_size()
    }
}

/// Which deviation [`Deviation`] gives.
pub(super) const VAR_SAMP: u8 = 0;
pub(super) const VAR_POP: u8 = 1;
pub(super) const STDDEV_SAMP: u8 = 2;
pub(super) const STDDEV_POP: u8 = 3;

/// `variance(x)`, `stddev(x)` and the like, from the exact sums of the values and of their squares.
#[derive(Default)]
pub(super) struct Deviation<const WHICH: u8>(Moments);

impl<const WHICH: u8> Accumulator for Deviation<WHICH> {
    const HEAP: bool = true;

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.0.add(arguments[0]).map(drop)
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        let fewest = if matches!(WHICH, VAR_POP | STDDEV_POP) { 1 } else { 2 };
        if self.0.count() < fewest {
            return Ok(Value::Null);
        }
        let result = match WHICH {
            VAR_SAMP => self.0.variance_samp(),
            VAR_POP => self.0.variance_pop(),
            STDDEV_SAMP => self.0.stddev_samp(),
            _ => self.0.stddev_pop(),
        };
        result.map(Value::Float).ok_or(Fault::Overflow)
    }

    fn heap_size(&self) -> usize {
        self.0.heap_size()
    }
}

/// `median(x)`: exact; the mean of the two middle values for an even count.
#[derive(Default)]
pub(super) struct Middle(Quantiles);

impl Accumulator for Middle {
    const HEAP: bool = true;

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.0.add(arguments[0]).map(drop)
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(self.0.median().map_or(Value::Null, Value::Float))
    }

    fn heap_size(&self) -> usize {
        self.0.heap_size()
    }
}
