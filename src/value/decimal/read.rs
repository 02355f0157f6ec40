//! Reading decimals from the text of a number, digit by digit.

use super::{Decimal, power};
use crate::value::number::short_decimal;

/// Why a text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDecimal {
    /// It is no number.
    NoNumber,
    /// It has more digits than there is room for.
    TooLong,
}

impl std::fmt::Display for NotDecimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NotDecimal::NoNumber => "not a number",
            NotDecimal::TooLong => "more than 36 digits",
        })
    }
}

impl std::error::Error for NotDecimal {}

/// The text of a number, taken apart.
struct Parts<'t> {
    negative: bool,
    /// Digits from the first that is not 0 on, with a point among them or not.
    mantissa: &'t [u8],
    /// The number of digits in it.
    digits: i64,
    /// How many of them stand before the point when the exponent has moved it; below 0 where zeros follow the point.
    before: i64,
    /// How many digits at the end are 0.
    zeros: i64,
    /// The digits after the point when the exponent has moved it, zeros at the start included; below 0 where zeros precede
    /// the point.
    after: i64,
}

impl Decimal {
    /// Reads the text of a number, as JSON has it; leading zeros, a plus sign and a bare point are allowed too.
    ///
    /// With a scale it is rounded to that, half away from zero. Without one it keeps every digit: `1.10` has the scale 2,
    /// `1e3` is `1000`. Only zeros at the end are left out where there is no room for them.
    ///
    /// # Errors
    /// What is wrong with the text.
    ///
    /// ```
    /// use foldl::value::Decimal;
    /// assert_eq!(Decimal::read(b"1.10", None)?.to_string(), "1.10");
    /// assert_eq!(Decimal::read(b"-1.125", Some(2))?.to_string(), "-1.13");
    /// # Ok::<(), foldl::value::NotDecimal>(())
    /// ```
    pub fn read(text: &[u8], scale: Option<u8>) -> Result<Decimal, NotDecimal> {
        let parts = Parts::of(text).ok_or(NotDecimal::NoNumber)?;
        let most = i64::from(Decimal::MAX_DIGITS);
        let scale = match scale {
            Some(scale) => i64::from(scale),
            None if parts.digits == 0 => parts.after.clamp(0, most),
            None => {
                let scale = parts.after.max(0);
                let dropped = (parts.before + scale - most).max(scale - most).max(0);
                if dropped > parts.zeros.min(scale) {
                    return Err(NotDecimal::TooLong);
                }
                scale - dropped
            }
        };
        if scale > most {
            return Err(NotDecimal::TooLong);
        }
        let digits = parts.digits_to(scale).ok_or(NotDecimal::TooLong)?;
        let digits = if parts.negative { -digits } else { digits };
        Decimal::new(digits, scale as u8).ok_or(NotDecimal::TooLong)
    }

    /// [`read`](Decimal::read) for the text of a JSON number, which most often is short.
    ///
    /// # Errors
    /// [`NotDecimal::TooLong`], and whatever for texts that are no JSON numbers.
    #[inline]
    pub(crate) fn read_json(text: &[u8], scale: Option<u8>) -> Result<Decimal, NotDecimal> {
        let Some((negative, digits, places)) = short_decimal(text) else { return Decimal::read(text, scale) };
        let digits = if negative { -i128::from(digits) } else { i128::from(digits) };
        let number = Decimal::new(digits, places as u8).ok_or(NotDecimal::TooLong)?;
        match scale {
            Some(scale) => number.rescale(scale).ok_or(NotDecimal::TooLong),
            None => Ok(number),
        }
    }
}

impl Parts<'_> {
    fn of(text: &[u8]) -> Option<Parts<'_>> {
        let (negative, text) = match text {
            [b'-', text @ ..] => (true, text),
            [b'+', text @ ..] => (false, text),
            text => (false, text),
        };
        let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', text) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let point = memchr::memchr(b'.', mantissa);
        let is_digit = |(place, byte): (usize, &u8)| byte.is_ascii_digit() || Some(place) == point;
        if mantissa.len() == usize::from(point.is_some()) || !mantissa.iter().enumerate().all(is_digit) {
            return None;
        }
        let whole = point.unwrap_or(mantissa.len());
        let fraction = mantissa.len() - whole - usize::from(point.is_some());
        let is_significant = |byte: &u8| !matches!(byte, b'0' | b'.');
        let start = mantissa.iter().position(is_significant).unwrap_or(mantissa.len());
        let end = mantissa.iter().rposition(is_significant).map_or(start, |last| last + 1);
        let digits_in = |range: std::ops::Range<usize>| {
            (range.len() - usize::from(point.is_some_and(|point| range.contains(&point)))) as i64
        };
        Some(Parts {
            negative,
            mantissa: &mantissa[start..],
            digits: digits_in(start..mantissa.len()),
            before: (whole as i64 - digits_in(0..start)).saturating_add(exponent),
            zeros: digits_in(end..mantissa.len()),
            after: (fraction as i64).saturating_sub(exponent),
        })
    }

    /// The number times 10^scale, rounded half away from zero; [`None`] if it has more than 36 digits.
    fn digits_to(&self, scale: i64) -> Option<i128> {
        let kept = self.before.saturating_add(scale);
        if self.digits == 0 || kept < 0 {
            return Some(0);
        }
        if kept > i64::from(Decimal::MAX_DIGITS) {
            return None;
        }
        let mut digits = self.mantissa.iter().filter(|byte| **byte != b'.').map(|byte| i128::from(byte - b'0'));
        let value = digits.by_ref().take(kept as usize).fold(0, |value, digit| value * 10 + digit);
        let missing = (kept - self.digits).max(0);
        let up = digits.next().is_some_and(|digit| digit >= 5);
        Some(value * power(missing as u8) as i128 + i128::from(up))
    }
}

/// The exponent after `e`, clamped so that it can be added to the length of a text.
fn exponent(text: &[u8]) -> Option<i64> {
    const LIMIT: i64 = 1 << 60;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(LIMIT));
    Some(if negative { -magnitude } else { magnitude })
}
