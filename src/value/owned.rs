//! Values that own their text.

use super::{Date, Decimal, Interval, Timestamp, Value, Wide, order};

/// A [`Value`] that owns its text, for state that outlives a batch.
#[derive(Clone, Debug, Default)]
pub enum OwnedValue {
    /// SQL NULL.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer of 128 bits.
    Wide(Wide),
    /// A float.
    Float(f64),
    /// A decimal.
    Decimal(Decimal),
    /// The JSON text of a number beyond the others.
    Huge(Box<[u8]>),
    /// A day.
    Date(Date),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time.
    Interval(Interval),
    /// Decoded text.
    Text(Box<[u8]>),
    /// The JSON text of an array or an object.
    Json(Box<[u8]>),
}

impl OwnedValue {
    /// The value, borrowed.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            OwnedValue::Null => Value::Null,
            OwnedValue::Bool(value) => Value::Bool(*value),
            OwnedValue::Int(value) => Value::Int(*value),
            OwnedValue::Wide(value) => Value::Wide(*value),
            OwnedValue::Float(value) => Value::Float(*value),
            OwnedValue::Decimal(value) => Value::Decimal(*value),
            OwnedValue::Huge(text) => Value::Huge(text),
            OwnedValue::Date(value) => Value::Date(*value),
            OwnedValue::Timestamp(value) => Value::Timestamp(*value),
            OwnedValue::Interval(value) => Value::Interval(*value),
            OwnedValue::Text(text) => Value::Text(text),
            OwnedValue::Json(text) => Value::Json(text),
        }
    }

    /// The bytes that it holds on the heap.
    pub fn heap_size(&self) -> usize {
        self.heap().map_or(0, <[u8]>::len)
    }

    /// What it holds on the heap.
    pub(crate) fn heap(&self) -> Option<&[u8]> {
        match self {
            OwnedValue::Huge(text) | OwnedValue::Text(text) | OwnedValue::Json(text) => Some(text),
            _ => None,
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> OwnedValue {
        match value {
            Value::Null => OwnedValue::Null,
            Value::Bool(value) => OwnedValue::Bool(value),
            Value::Int(value) => OwnedValue::Int(value),
            Value::Wide(value) => OwnedValue::Wide(value),
            Value::Float(value) => OwnedValue::Float(value),
            Value::Decimal(value) => OwnedValue::Decimal(value),
            Value::Huge(text) => OwnedValue::Huge(text.into()),
            Value::Date(value) => OwnedValue::Date(value),
            Value::Timestamp(value) => OwnedValue::Timestamp(value),
            Value::Interval(value) => OwnedValue::Interval(value),
            Value::Text(text) => OwnedValue::Text(text.into()),
            Value::Json(text) => OwnedValue::Json(text.into()),
        }
    }
}

/// Of two equal values, whether `other` stands for both: the one of the lesser [`Spelling`](super::Spelling), the positive
/// zero, the smaller text of an array, an object or a huge number. So the choice does not depend on which came first.
pub fn stands_for(other: Value, value: Value) -> bool {
    debug_assert!(order::compare(other, value).is_eq());
    match (other, value) {
        (Value::Huge(a), Value::Huge(b)) if other.spelling() == value.spelling() => a < b,
        (Value::Json(a), Value::Json(b)) => a < b,
        (Value::Interval(a), Value::Interval(b)) => (a.months, a.days, a.micros) < (b.months, b.days, b.micros),
        (Value::Float(a), Value::Float(b)) => b.is_sign_negative() && !a.is_sign_negative(),
        _ => other.spelling() < value.spelling(),
    }
}

/// The value with its text copied into an arena.
pub fn own<'a>(value: Value, arena: &'a bumpalo::Bump) -> Value<'a> {
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(value),
        Value::Int(value) => Value::Int(value),
        Value::Wide(value) => Value::Wide(value),
        Value::Float(value) => Value::Float(value),
        Value::Decimal(value) => Value::Decimal(value),
        Value::Huge(text) => Value::Huge(arena.alloc_slice_copy(text)),
        Value::Date(value) => Value::Date(value),
        Value::Timestamp(value) => Value::Timestamp(value),
        Value::Interval(value) => Value::Interval(value),
        Value::Text(text) => Value::Text(arena.alloc_slice_copy(text)),
        Value::Json(text) => Value::Json(arena.alloc_slice_copy(text)),
    }
}
