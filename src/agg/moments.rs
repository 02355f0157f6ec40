//! Exact variances and standard deviations, from the exact Σx and Σx².
//!
//! The usual running update (Welford) depends on the order of the values. Here nothing is rounded before the end:
//! `n Σx² − (Σx)²` is computed in big integers, and the quotient, or its square root, is rounded once. The cancellation
//! that makes this formula useless in floating point does no harm to exact numbers.

use num_bigint::{BigInt, BigUint};

use super::exact::{Sum, SumOfSquares, ten_to};
use super::round::{nearest_ratio, nearest_sqrt_ratio};
use super::superacc::take;
use crate::error::Result;
use crate::value::Decimal;

/// The exact count, sum and sum of squares of integers, floats and decimals: their variance and standard deviation.
///
/// The same to the last bit for any order of adds and any tree of merges. 104 bytes, and up to about 1700 on the heap
/// once the values or their squares need more than three f64 to hold their sum. The range is that of 2^63 adds.
///
/// Squares are split exactly as in J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust
/// geometric predicates" (1997), and added up as in [`ExactSum`](super::sum::ExactSum).
///
/// ```
/// use foldl::agg::Moments;
///
/// let mut moments = Moments::default();
/// for x in [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0] {
///     moments.add_float(x);
/// }
/// assert_eq!(moments.variance_samp(), Some(30.0));
/// assert_eq!(moments.variance_pop(), Some(22.5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Moments {
    count: u64,
    sum: Sum,
    squares: SumOfSquares,
}

impl Moments {
    /// Adds an integer.
    #[inline]
    pub fn add_int(&mut self, x: i64) {
        self.add_wide(i128::from(x));
    }

    /// Adds an integer of 128 bits.
    #[inline]
    pub fn add_wide(&mut self, x: i128) {
        self.count += 1;
        self.sum.add_int(x);
        self.squares.add_int_square(x);
    }

    /// Adds a float, which must be finite: the moments are meaningless after an infinity or a NaN.
    #[inline]
    pub fn add_float(&mut self, x: f64) {
        self.count += 1;
        self.sum.add_float(x);
        self.squares.add_float_square(x);
    }

    /// Adds a decimal.
    pub fn add_decimal(&mut self, x: Decimal) {
        self.count += 1;
        self.sum.add_decimal(x.digits(), x.scale());
        self.squares.add_decimal_square(x.digits(), x.scale());
    }

    /// Adds everything that was added to other moments.
    pub fn merge(&mut self, other: &Moments) {
        // Only damaged bytes have counts that overflow.
        self.count = self.count.saturating_add(other.count);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// The number of values added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The variance of a sample, `(n Σx² − (Σx)²) / (n (n − 1))`, rounded once to the nearest f64, ties to even.
    /// None for fewer than two values; for two or more, none means that it is beyond finite f64.
    pub fn variance_samp(&self) -> Option<f64> {
        self.ratio(1, nearest_ratio)
    }

    /// The variance of a population, `(n Σx² − (Σx)²) / n²`, rounded once to the nearest f64, ties to even.
    /// None for no values; for one or more, none means that it is beyond finite f64.
    pub fn variance_pop(&self) -> Option<f64> {
        self.ratio(0, nearest_ratio)
    }

    /// The square root of the exact sample variance, rounded once to the nearest f64.
    /// None for fewer than two values.
    pub fn stddev_samp(&self) -> Option<f64> {
        self.ratio(1, nearest_sqrt_ratio)
    }

    /// The square root of the exact population variance, rounded once to the nearest f64.
    /// None for no values.
    pub fn stddev_pop(&self) -> Option<f64> {
        self.ratio(0, nearest_sqrt_ratio)
    }

    /// The exact `(n Σx² − (Σx)²) / (n (n − lost))` as `round` makes it of a numerator, a denominator and the power of
    /// two to multiply with.
    fn ratio(&self, lost: u64, round: fn(&BigUint, &BigUint, i64) -> f64) -> Option<f64> {
        let freedom = self.count.checked_sub(lost).filter(|&freedom| freedom > 0)?;
        let (sum, squares) = (self.sum.rational(), self.squares.rational());
        // Both times 10^(2 places) and 2^-exponent are integers.
        let places = sum.scale.max(squares.scale.div_ceil(2));
        let exponent = (2 * sum.exponent).min(squares.exponent);
        let raised = |digits: BigInt, zeros| if zeros == 0 { digits } else { digits * ten_to(zeros) };
        let sum_digits = raised(sum.numerator, places - sum.scale);
        let square_digits = raised(squares.numerator, 2 * places - squares.scale);
        // Not negative, by the Cauchy–Schwarz inequality, save for damaged bytes that were decoded.
        let spread = ((square_digits * self.count) << (squares.exponent - exponent))
            - ((&sum_digits * &sum_digits) << (2 * sum.exponent - exponent));
        let unit = ten_to(2 * places);
        let denominator = unit.magnitude() * self.count * freedom;
        let rounded = round(spread.magnitude(), &denominator, exponent);
        rounded.is_finite().then_some(rounded)
    }

    /// The bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.sum.heap_size() + self.squares.heap_size()
    }

    /// Appends the moments as they are held.
    pub(super) fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        self.sum.store(out);
        self.squares.store(out);
    }

    /// Takes what [`store`](Moments::store) wrote from the start of some bytes.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `store` writes.
    pub(super) fn load(input: &mut &[u8]) -> Result<Moments> {
        let count = u64::from_le_bytes(take(input)?);
        Ok(Moments { count, sum: Sum::load(input)?, squares: SumOfSquares::load(input)? })
    }

    /// Appends the moments' bytes: the count as 8 bytes, little-endian, the sum, the sum of squares. Equal moments have
    /// equal bytes, where floats were added to both or to neither, and so were decimals, whose moments are equal, too.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        self.sum.encode(out);
        self.squares.encode(out);
    }

    /// Reads what [`encode`](Moments::encode) wrote, and moves `input` behind it.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `encode` writes.
    pub fn decode(input: &mut &[u8]) -> Result<Moments> {
        let count = u64::from_le_bytes(take(input)?);
        Ok(Moments { count, sum: Sum::decode(input)?, squares: SumOfSquares::decode(input)? })
    }
}

#[cfg(test)]
mod tests;
