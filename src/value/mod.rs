//! Values: what records hold and what expressions make of them.
//!
//! [`number`] and [`text`] read and write scalars, [`json`] walks JSON text that was validated before, [`order`] is the
//! total order of all values, [`key`] the same order as bytes, and [`time`] the calendar. Nothing here does I/O; text that
//! has to be decoded goes into an arena of the caller.

pub mod hash;
pub mod json;
pub mod key;
pub mod leb128;
pub mod number;
pub mod order;
pub mod stored;
pub mod text;
pub mod time;
pub mod zone;

mod decimal;
mod few;
mod interval;
mod owned;
#[cfg(test)]
mod samples;
mod scientific;
mod spelling;

pub(crate) use decimal::power;
pub use decimal::{Decimal, NotDecimal};
pub(crate) use few::{copy_few, first_bytes, push_few, push_quoted};
pub use interval::Interval;
pub use owned::{OwnedValue, own, stands_for};
pub use spelling::Spelling;

/// One value. It borrows text from a block or an arena, and is small and cheap to copy.
///
/// Numbers keep what they were: an integer that fits 64 bits is [`Int`](Value::Int), one that fits 128 bits is
/// [`Wide`](Value::Wide), a number with a fraction or an exponent is [`Float`](Value::Float), and a number that is
/// beyond these is [`Huge`](Value::Huge).
// The tag takes a whole word, so that copies are of whole words: with a narrow tag the compiler copies payloads at odd
// offsets, which stalls behind the stores that made them.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Value<'a> {
    /// SQL NULL; a JSON null and a missing path both read as this.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer that needs more than 64 and at most 128 bits.
    Wide(Wide),
    /// A finite number that had a fraction or an exponent, or is the result of float arithmetic.
    Float(f64),
    /// A number with a fixed number of digits after the point, as a cast made it.
    Decimal(Decimal),
    /// The JSON text of a number that is beyond 128-bit integers or beyond finite floats. It passes through,
    /// compares and groups; it is a type error in arithmetic.
    Huge(&'a [u8]),
    /// A day.
    Date(Date),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time.
    Interval(Interval),
    /// Decoded text in UTF-8, save that a lone surrogate escape is kept as its three generalised bytes (WTF-8),
    /// so that it can be written as it was read.
    Text(&'a [u8]),
    /// The JSON text of an array or an object.
    Json(&'a [u8]),
}

/// A 128-bit integer with the alignment of a 64-bit one, so that it does not make every [`Value`] larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide([u64; 2]);

impl Wide {
    /// Wraps an integer.
    pub fn new(value: i128) -> Wide {
        Wide([value as u64, (value >> 64) as u64])
    }

    /// The integer.
    pub fn get(self) -> i128 {
        (i128::from(self.0[1] as i64) << 64) | i128::from(self.0[0])
    }
}

/// A calendar day of the proleptic Gregorian calendar, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// A moment, as microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);
