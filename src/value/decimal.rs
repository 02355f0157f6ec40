//! Decimals: numbers of up to 36 digits with a fixed number of them after the point, exact.

mod read;

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, BigUint};
use num_traits::ToPrimitive;

use super::number::POWERS as FLOAT_POWERS;
use super::order::is_beyond_integers;

pub use read::NotDecimal;

/// A decimal number: digits with a sign, of which a fixed number, the scale, stand after the point.
///
/// It has at most [`MAX_DIGITS`](Decimal::MAX_DIGITS) digits, and as many after the point. There is no negative zero.
/// Two decimals of one value and different scales (`1.1`, `1.10`) are different things that [compare](Decimal::compare)
/// equal.
///
/// ```
/// use foldl::value::Decimal;
/// let price = Decimal::read(b"19.90", None)?;
/// let total = price.checked_mul(Decimal::new(3, 0).unwrap()).unwrap();
/// assert_eq!(total.to_string(), "59.70");
/// # Ok::<(), foldl::value::NotDecimal>(())
/// ```
// The digits are the upper 122 bits, the scale the lower 6. Two words, so that it has the alignment of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal([u64; 2]);

impl From<i64> for Decimal {
    /// The integer, with nothing after the point.
    #[inline]
    fn from(value: i64) -> Decimal {
        let packed = i128::from(value) << 6;
        Decimal([packed as u64, (packed >> 64) as u64])
    }
}

impl Decimal {
    /// The most digits that a decimal has, before and after the point together.
    pub const MAX_DIGITS: u8 = 36;

    /// 0, with nothing after the point.
    pub const ZERO: Decimal = Decimal([0, 0]);

    /// The number `digits × 10^-scale`. [`None`] if that has more than 36 digits, or more than 36 after the point.
    #[inline]
    pub fn new(digits: i128, scale: u8) -> Option<Decimal> {
        if digits.unsigned_abs() >= power(Decimal::MAX_DIGITS) || scale > Decimal::MAX_DIGITS {
            return None;
        }
        let packed = digits << 6 | i128::from(scale);
        Some(Decimal([packed as u64, (packed >> 64) as u64]))
    }

    fn packed(self) -> i128 {
        (i128::from(self.0[1] as i64) << 64) | i128::from(self.0[0])
    }

    /// All digits, as if there were no point.
    #[inline]
    pub fn digits(self) -> i128 {
        self.packed() >> 6
    }

    /// How many of the digits stand after the point.
    #[inline]
    pub fn scale(self) -> u8 {
        (self.0[0] & 63) as u8
    }

    /// The bits, which differ where the digits or the scale do.
    pub(crate) fn words(self) -> [u64; 2] {
        self.0
    }

    /// The number with another scale, rounded half away from zero. [`None`] if it does not fit.
    #[inline]
    pub fn rescale(self, scale: u8) -> Option<Decimal> {
        match scale.checked_sub(self.scale()) {
            Some(0) => Some(self),
            Some(more) => Decimal::new(times_power(self.digits(), more)?, scale),
            None => {
                let unit = power(self.scale() - scale);
                let (quotient, rest) = self.split(unit);
                let up = if rest.unsigned_abs() * 2 >= unit { self.signum() } else { 0 };
                Decimal::new(quotient + i128::from(up), scale)
            }
        }
    }

    /// The number with as small a scale as it has without loss.
    pub fn normalized(self) -> Decimal {
        let (mut digits, mut scale) = (self.digits(), self.scale());
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        Decimal::new(digits, scale).unwrap_or(self)
    }

    /// The digits divided by a unit, towards zero, and what is left.
    fn split(self, unit: u128) -> (i128, i128) {
        let (digits, unit) = (self.digits(), unit as i128);
        (digits / unit, digits % unit)
    }

    /// The part before the point and the digits after it, both with the sign.
    pub(crate) fn parts(self) -> (i128, i128) {
        match self.scale() {
            0 => (self.digits(), 0),
            scale => self.split(power(scale)),
        }
    }

    /// -1, 0 or 1, as the number is below, equal to or above 0.
    pub fn signum(self) -> i8 {
        self.digits().signum() as i8
    }

    /// The number without its sign.
    pub fn abs(self) -> Decimal {
        if self.signum() < 0 { self.negated() } else { self }
    }

    /// The number with the other sign.
    pub fn negated(self) -> Decimal {
        Decimal::new(-self.digits(), self.scale()).unwrap_or(self)
    }

    /// The sum, with the larger of the scales. [`None`] if it does not fit.
    #[inline]
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = self.aligned(other)?;
        Decimal::new(a.checked_add(b)?, scale)
    }

    /// The difference, with the larger of the scales. [`None`] if it does not fit.
    #[inline]
    pub fn checked_sub(self, other: Decimal) -> Option<Decimal> {
        self.checked_add(other.negated())
    }

    /// The product, with the sum of the scales. [`None`] if it does not fit.
    #[inline]
    pub fn checked_mul(self, other: Decimal) -> Option<Decimal> {
        Decimal::new(self.digits().checked_mul(other.digits())?, self.scale() + other.scale())
    }

    /// The quotient without its fraction, as a decimal of scale 0. [`None`] if it does not fit, or the divisor is 0.
    pub fn checked_div(self, other: Decimal) -> Option<Decimal> {
        match self.aligned(other) {
            Some((a, b, _)) => Decimal::new(a.checked_div(b)?, 0),
            None if other.digits() == 0 => None,
            None => {
                let (a, b) = self.aligned_exactly(other);
                Decimal::new((a / b).to_i128()?, 0)
            }
        }
    }

    /// What [`checked_div`](Decimal::checked_div) leaves, with the sign of the number and the larger of the scales.
    /// [`None`] if it does not fit, or the divisor is 0.
    pub fn checked_rem(self, other: Decimal) -> Option<Decimal> {
        match self.aligned(other) {
            Some((a, b, scale)) => Decimal::new(a.checked_rem(b)?, scale),
            None if other.digits() == 0 => None,
            None => {
                let (a, b) = self.aligned_exactly(other);
                Decimal::new((a % b).to_i128()?, self.scale().max(other.scale()))
            }
        }
    }

    /// The digits of both with the larger of the scales, if they fit 128 bits.
    #[inline]
    fn aligned(self, other: Decimal) -> Option<(i128, i128, u8)> {
        let (a, b) = (self.scale(), other.scale());
        Some(match a.cmp(&b) {
            Ordering::Equal => (self.digits(), other.digits(), a),
            Ordering::Less => (times_power(self.digits(), b - a)?, other.digits(), b),
            Ordering::Greater => (self.digits(), times_power(other.digits(), a - b)?, a),
        })
    }

    fn aligned_exactly(self, other: Decimal) -> (BigInt, BigInt) {
        let scale = self.scale().max(other.scale());
        let digits = |x: Decimal| BigInt::from(x.digits()) * power(scale - x.scale());
        (digits(self), digits(other))
    }

    /// The nearest decimal with that many digits after the point, of which there are fewer before it if that is below 0;
    /// halves away from zero. It keeps its scale where that is less. [`None`] if it does not fit.
    ///
    /// ```
    /// use foldl::value::Decimal;
    /// let number = Decimal::read(b"1245.345", None)?;
    /// assert_eq!(number.round(2).unwrap().to_string(), "1245.35");
    /// assert_eq!(number.round(-1).unwrap().to_string(), "1250");
    /// # Ok::<(), foldl::value::NotDecimal>(())
    /// ```
    pub fn round(self, digits: i64) -> Option<Decimal> {
        if digits >= 0 {
            return self.rescale(digits.min(self.scale().into()) as u8);
        }
        let dropped = digits.unsigned_abs().saturating_add(self.scale().into());
        if dropped > u64::from(Decimal::MAX_DIGITS) {
            return Some(Decimal::ZERO);
        }
        let unit = power(dropped as u8);
        let (quotient, rest) = self.split(unit);
        let up = if rest.unsigned_abs() * 2 >= unit { self.signum() } else { 0 };
        Decimal::new(times_power(quotient + i128::from(up), digits.unsigned_abs() as u8)?, 0)
    }

    /// The number without the digits that [`round`](Decimal::round) would round away.
    pub fn truncate(self, digits: i64) -> Decimal {
        let scale = digits.clamp(0, self.scale().into()) as u8;
        let dropped = i64::from(self.scale()).saturating_sub(digits);
        if dropped > i64::from(Decimal::MAX_DIGITS) {
            return Decimal::ZERO;
        }
        if dropped <= 0 {
            return self;
        }
        let unit = power(dropped as u8);
        let kept = self.split(unit).0;
        let zeros = digits.min(0).unsigned_abs() as u8;
        times_power(kept, zeros).and_then(|digits| Decimal::new(digits, scale)).unwrap_or(Decimal::ZERO)
    }

    /// The greatest whole number that is not above the number, with scale 0.
    pub fn floor(self) -> Decimal {
        let (whole, fraction) = self.parts();
        Decimal::new(whole - i128::from(fraction < 0), 0).unwrap_or(self)
    }

    /// The least whole number that is not below the number, with scale 0.
    pub fn ceil(self) -> Decimal {
        let (whole, fraction) = self.parts();
        Decimal::new(whole + i128::from(fraction > 0), 0).unwrap_or(self)
    }

    /// The nearest integer, halves away from zero.
    pub fn to_integer(self) -> i128 {
        let (whole, fraction) = self.parts();
        let half = fraction.unsigned_abs() * 2 >= power(self.scale());
        whole + i128::from(if half && fraction != 0 { self.signum() } else { 0 })
    }

    /// The nearest float, ties to even.
    pub fn to_float(self) -> f64 {
        const EXACT: u128 = 1 << 53;
        let (digits, scale) = (self.digits(), usize::from(self.scale()));
        if digits.unsigned_abs() <= EXACT
            && let Some(power) = FLOAT_POWERS.get(scale)
        {
            // Both are exact, so that the quotient is rounded once.
            return digits as f64 / power;
        }
        fast_float2::parse(format!("{digits}e-{scale}")).unwrap_or(0.0)
    }

    /// The greatest float that is not above the number.
    pub(super) fn float_below(self) -> f64 {
        let nearest = self.to_float();
        if self.compare_float(nearest).is_lt() { nearest.next_down() } else { nearest }
    }

    /// Compares by value.
    #[inline]
    pub fn compare(self, other: Decimal) -> Ordering {
        if self.scale() == other.scale() {
            return self.digits().cmp(&other.digits());
        }
        let ((a, rest_a), (b, rest_b)) = (self.parts(), other.parts());
        a.cmp(&b).then_with(|| {
            let scale = self.scale().max(other.scale());
            // Both are below 10^36.
            let digits = |rest: i128, x: Decimal| rest * power(scale - x.scale()) as i128;
            digits(rest_a, self).cmp(&digits(rest_b, other))
        })
    }

    /// Compares with an integer by value.
    pub fn compare_integer(self, other: i128) -> Ordering {
        let (whole, fraction) = self.parts();
        whole.cmp(&other).then(fraction.cmp(&0))
    }

    /// Compares with a finite float by the exact values.
    pub fn compare_float(self, other: f64) -> Ordering {
        if is_beyond_integers(other) {
            return if other > 0.0 { Ordering::Less } else { Ordering::Greater };
        }
        let (whole, fraction) = self.parts();
        // The cast drops the fraction, which is exact.
        whole.cmp(&(other as i128)).then_with(|| {
            let rest = other.fract();
            let signs = fraction.signum().cmp(&if rest == 0.0 { 0 } else { rest.signum() as i128 });
            let magnitudes = || compare_fractions(fraction.unsigned_abs(), self.scale(), rest.abs());
            match (signs, fraction.signum()) {
                (Ordering::Equal, 1) => magnitudes(),
                (Ordering::Equal, -1) => magnitudes().reverse(),
                (unequal, _) => unequal,
            }
        })
    }

    /// Appends the digits with their point: as JSON has numbers.
    pub fn write(self, out: &mut Vec<u8>) {
        let (digits, scale) = (self.digits(), usize::from(self.scale()));
        if digits < 0 {
            out.push(b'-');
        }
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(digits.unsigned_abs()).as_bytes();
        let Some(fraction) = scale.checked_sub(text.len()) else {
            let (whole, fraction) = text.split_at(text.len() - scale);
            out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
            if scale > 0 {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
            return;
        };
        out.extend_from_slice(b"0.");
        out.resize(out.len() + fraction, b'0');
        out.extend_from_slice(text);
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.pad(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 10 to the power of a scale. The largest are beyond 36 digits by two: scales are checked where they come from.
#[inline]
pub(crate) fn power(scale: u8) -> u128 {
    const POWERS: [u128; 39] = {
        let mut powers = [1; 39];
        let mut scale = 1;
        while scale < powers.len() {
            powers[scale] = powers[scale - 1] * 10;
            scale += 1;
        }
        powers
    };
    POWERS[usize::from(scale)]
}

/// The digits times a power of ten, if that fits 128 bits.
#[inline]
fn times_power(digits: i128, zeros: u8) -> Option<i128> {
    digits.checked_mul(power(zeros) as i128)
}

/// Compares `digits × 10^-scale` with a float; both are above 0 and below 1.
fn compare_fractions(digits: u128, scale: u8, float: f64) -> Ordering {
    let (mantissa, exponent, _) = num_traits::float::FloatCore::integer_decode(float);
    // The float is `mantissa × 2^-shift`.
    let zeros = mantissa.trailing_zeros();
    let (mantissa, shift) = (mantissa >> zeros, (-exponent) as u32 - zeros);
    if let Some(right) = u128::from(mantissa).checked_mul(power(scale)) {
        // What has more than 128 bits is greater than what has not.
        return if digits.leading_zeros() < shift { Ordering::Greater } else { (digits << shift).cmp(&right) };
    }
    (BigUint::from(digits) << shift).cmp(&(BigUint::from(mantissa) * power(scale)))
}

#[cfg(test)]
mod tests;
