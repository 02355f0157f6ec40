//! How one of several equal values is written.

use super::{Decimal, Value};

/// How a value is written, of those that are equal to it: `1`, `1.0` and the decimal `1.00`, a date and its midnight.
///
/// Values that are equal have the same key ([`key::encode`](super::key::encode)). Whoever holds a key keeps the least of
/// the spellings that it met, and hands that to [`key::decode`](super::key::decode). So it does not depend on which came
/// first: an integer stands for a decimal, the decimal with fewer digits after the point for the one with more, and any of
/// them for a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spelling(u8);

impl Spelling {
    /// As a whole: a number without fraction and exponent, or a date without time of day.
    pub const WHOLE: Spelling = Spelling(0);
    /// In the usual way: a float with a point or an exponent, a timestamp, anything that has only one spelling.
    pub const USUAL: Spelling = Spelling(u8::MAX);

    /// As a decimal with that many digits after the point.
    pub fn decimal(scale: u8) -> Spelling {
        Spelling(1 + scale.min(Decimal::MAX_DIGITS))
    }

    /// The digits after the point, if it is that of a decimal.
    pub fn scale(self) -> Option<u8> {
        self.0.checked_sub(1).filter(|&scale| scale <= Decimal::MAX_DIGITS)
    }

    /// The spelling as a byte, in the order of spellings.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// The spelling of a byte.
    pub fn of_byte(byte: u8) -> Spelling {
        Spelling(byte)
    }
}

impl Default for Spelling {
    fn default() -> Spelling {
        Spelling::USUAL
    }
}

impl Value<'_> {
    /// How the value is written.
    #[inline]
    pub fn spelling(self) -> Spelling {
        match self {
            Value::Decimal(decimal) => Spelling::decimal(decimal.scale()),
            value if value.is_integer_spelling() => Spelling::WHOLE,
            _ => Spelling::USUAL,
        }
    }
}
