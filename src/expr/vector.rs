//! Vectors: the values of one expression for some rows.

use bumpalo::Bump;

use crate::value::Value;

/// The values of one expression for a number of rows, in the arena of a batch.
///
/// The typed forms hold only values of that type; one NULL or one other type makes it [`Values`](Vector::Values).
#[derive(Clone, Copy, Debug)]
pub enum Vector<'a> {
    /// The same value in every row.
    Constant(Value<'a>),
    /// Integers.
    Ints(&'a [i64]),
    /// Floats.
    Floats(&'a [f64]),
    /// Truth values; `None` is NULL.
    Bools(&'a [Option<bool>]),
    /// Anything.
    Values(&'a [Value<'a>]),
}

impl<'a> Vector<'a> {
    /// The value in a row.
    #[inline]
    pub fn get(&self, row: usize) -> Value<'a> {
        match self {
            Vector::Constant(value) => *value,
            Vector::Ints(ints) => Value::Int(ints[row]),
            Vector::Floats(floats) => Value::Float(floats[row]),
            Vector::Bools(bools) => bools[row].map_or(Value::Null, Value::Bool),
            Vector::Values(values) => values[row],
        }
    }

    /// A vector of `len` values.
    #[inline]
    pub fn build(arena: &'a Bump, len: usize, value: impl FnMut(usize) -> Value<'a>) -> Vector<'a> {
        Vector::Values(arena.alloc_slice_fill_with(len, value))
    }

    /// A vector of `len` truth values.
    #[inline]
    pub fn build_bools(arena: &'a Bump, len: usize, value: impl FnMut(usize) -> Option<bool>) -> Vector<'a> {
        Vector::Bools(arena.alloc_slice_fill_with(len, value))
    }
}
