//! Vectors: the values of one expression for some rows.

use bumpalo::Bump;

use crate::value::{Date, Value};

/// The values of one expression for a number of rows, in the arena of a batch.
///
/// The typed forms hold only values of that type; one value of another type makes it [`Values`](Vector::Values).
#[derive(Clone, Copy, Debug)]
pub enum Vector<'a> {
    /// The same value in every row.
    Constant(Value<'a>),
    /// Integers.
    Ints(&'a [i64]),
    /// Floats.
    Floats(&'a [f64]),
    /// Integers, floats and NULLs.
    Numbers(Numbers<'a>),
    /// Days.
    Dates(&'a [Date]),
    /// Truth values; `None` is NULL.
    Bools(&'a [Option<bool>]),
    /// Anything.
    Values(&'a [Value<'a>]),
}

/// Numbers of both kinds, and NULLs, as floats. No integer is beyond [`Numbers::MAX_INT`], so all of it is exact.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// The numbers; 0 for NULL.
    pub values: &'a [f64],
    /// What each of them is.
    pub kinds: &'a [NumberKind],
}

/// What a number in [`Numbers`] is. The order is that of [`NumberKind::join`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum NumberKind {
    /// An integer.
    Int,
    /// A float.
    Float,
    /// NULL.
    Null,
}

impl NumberKind {
    /// What arithmetic makes of two: NULL if either is, else a float if either is.
    #[inline]
    pub fn join(self, other: NumberKind) -> NumberKind {
        if self as u8 >= other as u8 { self } else { other }
    }
}

impl<'a> Numbers<'a> {
    /// The magnitude up to which every integer is a float.
    pub const MAX_INT: i64 = 1 << 53;

    /// The value in a row.
    #[inline]
    pub fn get(&self, row: usize) -> Value<'a> {
        match self.kinds[row] {
            NumberKind::Int => Value::Int(self.values[row] as i64),
            NumberKind::Float => Value::Float(self.values[row]),
            NumberKind::Null => Value::Null,
        }
    }
}

impl<'a> Vector<'a> {
    /// The value in a row.
    #[inline]
    pub fn get(&self, row: usize) -> Value<'a> {
        match self {
            Vector::Constant(value) => *value,
            Vector::Ints(ints) => Value::Int(ints[row]),
            Vector::Floats(floats) => Value::Float(floats[row]),
            Vector::Numbers(numbers) => numbers.get(row),
            Vector::Dates(dates) => Value::Date(dates[row]),
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
