//! The order of values.
//!
//! There are two. [`compare`] is a total order of everything, for sorting, grouping, min and max. [`sql_compare`] is what
//! the operators of SQL see, where NULL compares with nothing and `1 < 'a'` makes no sense.

use std::cmp::Ordering;

use bumpalo::Bump;

use super::json::{elements, is_array, sorted_entries};
use super::scientific::Scientific;
use super::{Date, Decimal, Timestamp, Value};
use crate::value::time::MICROS_PER_DAY;

/// The deepest level at which arrays and objects are taken apart. Deeper ones compare by their texts, so that recursion
/// is bounded whatever depth the scanner was told to accept.
pub(super) const MAX_DEPTH: usize = 128;

/// Compares any two values: bool < number < date or timestamp < text < array < object < interval < NULL.
///
/// Numbers compare by their exact values, whatever their types (`3` = `3.0`, 2^53 + 1 > 2^53 as a float, `-0.0` = `0`).
/// A date compares as its midnight in UTC, text by its bytes, an array by its first different element, an object, without
/// regard to the order of its keys, by its first different entry in order of keys.
///
/// ```
/// use foldl::value::{Value, order::compare};
/// assert!(compare(Value::Int(3), Value::Float(3.0)).is_eq());
/// assert!(compare(Value::Text(b"b"), Value::Null).is_lt());
/// ```
#[inline]
pub fn compare(a: Value<'_>, b: Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(&b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => compare_any(a, b, 0),
    }
}

/// Compares two values as the operators of SQL do: [`None`] where either is NULL or they are of different types. Integers,
/// floats and decimals are of one type, and so are dates and timestamps.
#[inline]
pub fn sql_compare(a: Value<'_>, b: Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => (class(a) == class(b) && class(a) != Class::Null).then(|| compare_any(a, b, 0)),
    }
}

/// The types that the order knows, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Bool,
    Number,
    Temporal,
    Text,
    Array,
    Object,
    Interval,
    Null,
}

fn class(value: Value<'_>) -> Class {
    match value {
        Value::Null => Class::Null,
        Value::Bool(_) => Class::Bool,
        Value::Int(_) | Value::Wide(_) | Value::Float(_) | Value::Decimal(_) | Value::Huge(_) => Class::Number,
        Value::Date(_) | Value::Timestamp(_) => Class::Temporal,
        Value::Interval(_) => Class::Interval,
        Value::Text(_) => Class::Text,
        Value::Json(text) if is_array(text) => Class::Array,
        Value::Json(_) => Class::Object,
    }
}

fn compare_any(a: Value<'_>, b: Value<'_>, depth: usize) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
        (Value::Date(Date(a)), Value::Date(Date(b))) => a.cmp(&b),
        (Value::Timestamp(Timestamp(a)), Value::Timestamp(Timestamp(b))) => a.cmp(&b),
        (Value::Date(date), Value::Timestamp(Timestamp(moment))) => midnight(date).cmp(&i128::from(moment)),
        (Value::Timestamp(Timestamp(moment)), Value::Date(date)) => i128::from(moment).cmp(&midnight(date)),
        (Value::Interval(a), Value::Interval(b)) => a.cmp(&b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Json(a), Value::Json(b)) => compare_json(a, b, depth),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => compare_numbers(a, b),
            _ => class(a).cmp(&class(b)),
        },
    }
}

/// A number by what it takes to compare it.
#[derive(Clone, Copy)]
enum Number<'a> {
    Integer(i128),
    Float(f64),
    Decimal(Decimal),
    Huge(&'a [u8]),
}

fn number(value: Value<'_>) -> Option<Number<'_>> {
    match value {
        Value::Int(value) => Some(Number::Integer(value.into())),
        Value::Wide(value) => Some(Number::Integer(value.get())),
        Value::Float(value) => Some(Number::Float(value)),
        Value::Decimal(value) => Some(Number::Decimal(value)),
        Value::Huge(text) => Some(Number::Huge(text)),
        _ => None,
    }
}

fn compare_numbers(a: Number<'_>, b: Number<'_>) -> Ordering {
    match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => a.cmp(&b),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b)),
        (Number::Integer(a), Number::Float(b)) => compare_integer(a, b),
        (Number::Float(a), Number::Integer(b)) => compare_integer(b, a).reverse(),
        (Number::Decimal(a), Number::Decimal(b)) => a.compare(b),
        (Number::Decimal(a), Number::Integer(b)) => a.compare_integer(b),
        (Number::Integer(a), Number::Decimal(b)) => b.compare_integer(a).reverse(),
        (Number::Decimal(a), Number::Float(b)) => a.compare_float(b),
        (Number::Float(a), Number::Decimal(b)) => b.compare_float(a).reverse(),
        (Number::Huge(a), Number::Huge(b)) => Scientific::of_text(a).cmp(&Scientific::of_text(b)),
        (Number::Huge(a), b) => compare_huge(a, b),
        (a, Number::Huge(b)) => compare_huge(b, a).reverse(),
    }
}

fn compare_integer(a: i128, b: f64) -> Ordering {
    if is_beyond_integers(b) {
        return if b > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    // The cast drops the fraction, and is exact otherwise.
    a.cmp(&(b as i128)).then_with(|| 0.0.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal))
}

/// A huge number is beyond all 128-bit integers, so unless the other is, too, the sign decides.
fn compare_huge(a: &[u8], b: Number<'_>) -> Ordering {
    match b {
        Number::Float(b) if is_beyond_integers(b) => Scientific::of_text(a).cmp(&Scientific::of_float(b)),
        _ if a.starts_with(b"-") => Ordering::Less,
        _ => Ordering::Greater,
    }
}

/// Whether a float is beyond all 128-bit integers.
pub(super) fn is_beyond_integers(value: f64) -> bool {
    const LIMIT: f64 = (1u128 << 127) as f64;
    !(-LIMIT..LIMIT).contains(&value)
}

/// The midnight that a day starts with, in microseconds. It may be beyond timestamps.
fn midnight(Date(days): Date) -> i128 {
    i128::from(days) * i128::from(MICROS_PER_DAY)
}

fn compare_json(a: &[u8], b: &[u8], depth: usize) -> Ordering {
    let kinds = (is_array(a), is_array(b));
    if kinds.0 != kinds.1 {
        return kinds.1.cmp(&kinds.0);
    }
    if a == b || depth >= MAX_DEPTH {
        return a.cmp(b);
    }
    let arena = Bump::new();
    let compare_texts = |a, b| compare_any(Value::from_json(a, &arena), Value::from_json(b, &arena), depth + 1);
    if kinds.0 {
        return compare_items(elements(a), elements(b), compare_texts);
    }
    compare_items(
        sorted_entries(a, &arena).into_iter(),
        sorted_entries(b, &arena).into_iter(),
        |(key_a, a), (key_b, b)| key_a.cmp(key_b).then_with(|| compare_texts(a, b)),
    )
}

/// Compares two sequences by their first different items; a sequence comes before its continuations.
fn compare_items<T>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    mut compare: impl FnMut(T, T) -> Ordering,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match compare(a, b) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

#[cfg(test)]
mod tests;
