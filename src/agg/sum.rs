//! Exact sums and means: the same to the last bit for any order of adds and any tree of merges.
//!
//! The sum itself is in the `exact` module (a cascade of f64, then a superaccumulator). This module rounds it, once.

use num_traits::ToPrimitive;

use super::exact::{Small, Sum};
use crate::error::Result;
use crate::value::Decimal;

/// The exact sum of integers, floats and decimals, rounded once when it is read.
///
/// 48 bytes, and on the heap nothing for integers, for decimals, and for floats of similar magnitude, such as money; about
/// 600 bytes once the floats added need more than three f64 to hold their sum, integers or the digits of decimals overflow
/// 128 bits, or floats meet decimals. The range is that of 2^63 adds.
///
/// Floats are added as in J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric
/// predicates" (1997), and R. M. Neal, "Fast exact summation using small and large superaccumulators" (2015).
///
/// ```
/// use foldl::{ExactSum, Total};
///
/// let mut sum = ExactSum::default();
/// for x in [1e100, 0.1, -1e100, 0.2] {
///     sum.add_float(x);
/// }
/// assert_eq!(sum.total(), Total::Float(0.1 + 0.2));
/// sum.add_int(7);
/// assert_eq!(sum.mean(5), Some(1.46));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ExactSum(Sum);

/// A sum, rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Total {
    /// The exact sum of integers only; 0 if nothing was added.
    Int(i128),
    /// The exact sum of decimals, with the largest of their scales, and of integers, if no float was added.
    Decimal(Decimal),
    /// The f64 nearest to the exact sum, ties to even, if any float was added. A sum of exactly zero is +0.0, even of
    /// -0.0 only.
    Float(f64),
    /// The sum is beyond 128 bits if only integers were added, beyond decimals if no floats were, else beyond finite f64. The sum on the way to it may have
    /// been.
    Overflow,
}

impl ExactSum {
    /// Adds an integer.
    #[inline]
    pub fn add_int(&mut self, x: i64) {
        self.0.add_int(i128::from(x));
    }

    /// Adds an integer of 128 bits.
    #[inline]
    pub fn add_wide(&mut self, x: i128) {
        self.0.add_int(x);
    }

    /// Adds a float, which must be finite: the sum is meaningless after an infinity or a NaN.
    #[inline]
    pub fn add_float(&mut self, x: f64) {
        self.0.add_float(x);
    }

    /// Adds a decimal.
    #[inline]
    pub fn add_decimal(&mut self, x: Decimal) {
        self.add_digits(x.digits(), x.scale());
    }

    /// Adds integers, faster than one by one.
    pub fn add_ints(&mut self, values: &[i64]) {
        // No slice is long enough to overflow this.
        self.0.add_int(values.iter().map(|&x| i128::from(x)).sum());
    }

    /// Adds finite floats, faster than one by one.
    pub fn add_floats(&mut self, values: &[f64]) {
        self.0.add_floats(values);
    }

    /// Adds everything that was added to another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        self.0.merge(&other.0);
    }

    /// The integer and the rest that the sum is the exact sum of, if they are small.
    pub(super) fn light(&self) -> Option<(i64, Small)> {
        self.0.light()
    }

    /// Adds the decimal of these digits and this scale.
    pub(super) fn add_digits(&mut self, digits: i128, scale: u8) {
        self.0.add_decimal(digits, scale);
    }

    /// The sum, rounded once.
    pub fn total(&self) -> Total {
        if let Some(sum) = self.0.small_int() {
            return Total::Int(sum);
        }
        if let Some((digits, scale)) = self.0.small_decimal() {
            return Decimal::new(digits, scale).map_or(Total::Overflow, Total::Decimal);
        }
        if self.0.decimals().is_some() {
            return self.total_with_decimals();
        }
        if !self.0.any_float() {
            return self.0.digits().to_i128().map_or(Total::Overflow, Total::Int);
        }
        let sum = self.0.small_nearest().unwrap_or_else(|| self.0.digits().nearest_quotient(1));
        if sum.is_finite() { Total::Float(sum) } else { Total::Overflow }
    }

    #[cold]
    fn total_with_decimals(&self) -> Total {
        let sum = self.0.rational();
        if self.0.any_float() {
            let sum = sum.nearest(1);
            return if sum.is_finite() { Total::Float(sum) } else { Total::Overflow };
        }
        // What is no float is a whole number of its last place.
        let digits = if sum.exponent < 0 { sum.numerator >> -sum.exponent } else { sum.numerator << sum.exponent };
        digits.to_i128().and_then(|digits| Decimal::new(digits, sum.scale)).map_or(Total::Overflow, Total::Decimal)
    }

    /// The exact sum divided by `count`, rounded once to the nearest f64, ties to even.
    /// None if `count` is 0 or the quotient is beyond finite f64. Zero is +0.0.
    pub fn mean(&self, count: u64) -> Option<f64> {
        const EXACT: u64 = 1 << 53;
        if count == 0 {
            return None;
        }
        let mean = match self.0.small_int() {
            // Both are exact f64, so the division rounds once.
            Some(sum) if sum.unsigned_abs() <= u128::from(EXACT) && count <= EXACT => sum as f64 / count as f64,
            _ if self.0.decimals().is_some() => self.0.rational().nearest(count),
            _ => self.0.digits().nearest_quotient(count),
        };
        mean.is_finite().then_some(mean)
    }

    /// The bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.0.heap_size()
    }

    /// Appends the sum as it is held.
    pub(super) fn store(&self, out: &mut Vec<u8>) {
        self.0.store(out);
    }

    /// Takes what [`store`](ExactSum::store) wrote from the start of some bytes.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `store` writes.
    pub(super) fn load(input: &mut &[u8]) -> Result<ExactSum> {
        Ok(ExactSum(Sum::load(input)?))
    }

    /// Appends the sum's bytes. Equal exact sums have equal bytes, where floats were added to both or to neither, and so
    /// were decimals, of which the sums are equal, too.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    /// Reads what [`encode`](ExactSum::encode) wrote, and moves `input` behind it.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `encode` writes.
    pub fn decode(input: &mut &[u8]) -> Result<ExactSum> {
        Ok(ExactSum(Sum::decode(input)?))
    }
}

#[cfg(test)]
mod tests;
