//! Vectors: the values of one expression for some rows.

use bumpalo::Bump;

use crate::memory::RawKey;
use crate::value::number::MAX_EXACT;
use crate::value::{Date, Decimal, Value};

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
    /// Decimals.
    Decimals(&'a [Decimal]),
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
    pub const MAX_INT: i64 = MAX_EXACT as i64;

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

/// The kind that dates have as raw keys.
const DATE: u8 = 68;

/// A value as a raw key.
#[inline(always)]
fn raw<const WORDS: usize>(value: Value<'_>) -> RawKey<WORDS> {
    match value {
        Value::Null => RawKey::word(0, 64),
        Value::Bool(value) => RawKey::word(value.into(), 65),
        Value::Int(value) => RawKey::word(value as u64, 66),
        Value::Float(value) => RawKey::word(value.to_bits(), 67),
        Value::Date(date) => RawKey::word(date.0 as u64, DATE),
        Value::Timestamp(moment) => RawKey::word(moment.0 as u64, 69),
        Value::Decimal(value) => RawKey::pair(value.words(), 70),
        Value::Text(text) => RawKey::text(text, 71),
        Value::Wide(_) | Value::Huge(_) | Value::Json(_) | Value::Interval(_) => RawKey::UNFIT,
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
            Vector::Decimals(decimals) => Value::Decimal(decimals[row]),
            Vector::Bools(bools) => bools[row].map_or(Value::Null, Value::Bool),
            Vector::Values(values) => values[row],
        }
    }

    /// The value in a row as a raw key: of equal ones the values are equal keys.
    #[inline]
    pub fn raw<const WORDS: usize>(&self, row: usize) -> RawKey<WORDS> {
        raw(self.get(row))
    }

    /// Puts the [raw keys](Vector::raw) of some rows to `keys`.
    #[inline(always)]
    pub fn read_raw<const WORDS: usize>(&self, rows: impl Iterator<Item = usize>, keys: &mut [RawKey<WORDS>]) {
        let keys = keys.iter_mut().zip(rows);
        match self {
            Vector::Dates(dates) => keys.for_each(|(key, row)| *key = RawKey::word(dates[row].0 as u64, DATE)),
            Vector::Values(values) => keys.for_each(|(key, row)| *key = raw(values[row])),
            vector => keys.for_each(|(key, row)| *key = vector.raw(row)),
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
