//! An exact number that integers, floats, decimals and squares are added to, small while it can be: what sums and moments share.
//!
//! # How it works
//! Integers are added up in 128 bits. Floats are added up beside them, in the first of these that can hold them exactly:
//!
//! 1. A *cascade* of three f64 whose exact sum is the number. [`two_sum`] gives the rounded sum of two f64 and its
//!    error, which is an f64 too: the value is added to the first component, the error of that to the second, the error
//!    of that to the third. A third error of 0 means that nothing was lost. For money and the like the errors are
//!    multiples of a small power of two, so the second is nearly always 0 and the work ends there. If an error is left,
//!    the components are made *nonoverlapping* (J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast
//!    robust geometric predicates", 1997), which often needs fewer than three of them.
//! 2. A boxed [`Superaccumulator`], from then on.
//!
//! Decimals are added up by their digits, in 128 bits while no float comes with them, else in a [`BigInt`] beside the
//! superaccumulator: they are not sums of powers of two. Both parts depend only on what was added, and meet in the
//! [`Rational`] that is rounded.
//!
//! The components depend on the order of the adds; the number that they stand for does not, and only that is ever
//! rounded or encoded.
//!
//! # To change it safely
//! - `two_sum` is exact for all finite arguments, subnormals included, unless an operation overflows. So the first
//!   component stays below [`CASCADE_LIMIT`]; 2^63 errors, each below 2^-52 of that, stay far from overflow as well.
//! - It needs IEEE arithmetic as written: no fused or reassociated operations, no x87.
//! - An error of -0.0 counts as 0. A cascade of -0.0 is zero; zero is always rounded to +0.0.

mod stored;

use num_bigint::{BigInt, Sign};
use num_traits::ToPrimitive;

use super::round::nearest_ratio;
use super::superacc::{Digits, PRODUCT_DIGITS, SUM_DIGITS, Superaccumulator, damaged, take};
use crate::error::Result;
use crate::memory::allocated;
use crate::value::{Decimal, Wide};

/// The magnitude from which values go to the superaccumulator, far enough from overflow for every sum of errors.
pub(super) const CASCADE_LIMIT: f64 = f64::from_bits((1000 + 1023) << 52);

/// The values that [`Exact::add_floats`] adds before it looks whether that was exact.
const BLOCK: usize = 64;

/// The cascades that [`Exact::add_floats`] runs beside each other.
const LANES: usize = 4;

/// An exact sum of integers and floats.
pub(super) type Sum = Exact<{ SUM_DIGITS.0 }, { SUM_DIGITS.1 }>;

/// An exact sum of squares of integers and floats.
pub(super) type SumOfSquares = Exact<{ PRODUCT_DIGITS.0 }, { PRODUCT_DIGITS.1 }>;

/// An exact number. `BELOW` and `CHUNKS` are the width of its superaccumulator.
#[derive(Clone, Debug)]
pub(super) struct Exact<const BELOW: usize, const CHUNKS: usize> {
    ints: Wide,
    rest: Rest<BELOW, CHUNKS>,
}

/// The part of an [`Exact`] that is not in its integer.
#[derive(Clone, Debug)]
enum Rest<const BELOW: usize, const CHUNKS: usize> {
    None,
    /// The exact sum of three f64; the first is below [`CASCADE_LIMIT`] in magnitude.
    Cascade([f64; 3]),
    /// Only decimals were added: the sum of their digits with the largest of their scales.
    Decimals {
        digits: Wide,
        scale: u8,
    },
    Large(Box<Large<BELOW, CHUNKS>>),
}

/// The part of an [`Exact`] that is not in its integer, where that is small.
#[derive(Clone, Copy, Debug)]
pub(super) enum Small {
    Nothing,
    /// Two f64, of whose exact sum it is, the first below [`CASCADE_LIMIT`] in magnitude.
    Floats([f64; 2]),
    /// The digits and the scale of decimals.
    Decimals(i64, u8),
}

/// What does not fit the small forms: floats of many magnitudes, integers beyond 128 bits, floats and decimals together.
#[derive(Clone, Debug)]
struct Large<const BELOW: usize, const CHUNKS: usize> {
    sum: Superaccumulator<BELOW, CHUNKS>,
    /// Whether any float was added.
    any_float: bool,
    /// The sum of the decimals, if any was added.
    decimals: Option<Decimals>,
}

/// A sum of decimals: its digits, with the largest of their scales.
#[derive(Clone, Debug)]
pub(super) struct Decimals {
    pub(super) digits: BigInt,
    pub(super) scale: u8,
}

impl Decimals {
    fn add(&mut self, digits: &BigInt, scale: u8) {
        if scale > self.scale {
            self.digits *= ten_to(scale - self.scale);
            self.scale = scale;
        }
        if scale == self.scale {
            self.digits += digits;
        } else {
            self.digits += digits * ten_to(self.scale - scale);
        }
    }
}

/// An exact number: `numerator × 2^exponent / 10^scale`.
pub(super) struct Rational {
    pub(super) numerator: BigInt,
    pub(super) exponent: i64,
    pub(super) scale: u8,
}

impl Rational {
    /// The f64 nearest to the number divided by `divisor`, which is not 0; infinite if that is beyond f64. Zero is positive.
    pub(super) fn nearest(&self, divisor: u64) -> f64 {
        let denominator = ten_to(self.scale) * BigInt::from(divisor);
        let magnitude = nearest_ratio(self.numerator.magnitude(), denominator.magnitude(), self.exponent);
        if self.numerator.sign() == Sign::Minus && magnitude != 0.0 { -magnitude } else { magnitude }
    }
}

/// 10 to the power of a scale.
pub(super) fn ten_to(scale: u8) -> BigInt {
    BigInt::from(10u8).pow(u32::from(scale))
}

impl<const BELOW: usize, const CHUNKS: usize> Default for Exact<BELOW, CHUNKS> {
    fn default() -> Self {
        Exact { ints: Wide::new(0), rest: Rest::None }
    }
}

impl<const BELOW: usize, const CHUNKS: usize> Exact<BELOW, CHUNKS> {
    /// Adds an integer.
    #[inline]
    pub(super) fn add_int(&mut self, x: i128) {
        match self.ints.get().checked_add(x) {
            Some(sum) => self.ints = Wide::new(sum),
            None => self.large().sum.add_int(x),
        }
    }

    /// Adds the square of an integer. Only in a [`SumOfSquares`].
    #[inline]
    pub(super) fn add_int_square(&mut self, x: i128) {
        match x.checked_mul(x) {
            Some(square) => self.add_int(square),
            None => self.large().sum.add_int_square(x),
        }
    }

    /// Adds the decimal `digits × 10^-scale`.
    pub(super) fn add_decimal(&mut self, digits: i128, scale: u8) {
        match &mut self.rest {
            Rest::None => self.rest = Rest::Decimals { digits: Wide::new(digits), scale },
            Rest::Decimals { digits: sum, scale: of_sum } => {
                if scale == *of_sum
                    && let Some(both) = sum.get().checked_add(digits)
                {
                    *sum = Wide::new(both);
                    return;
                }
                let larger = scale.max(*of_sum);
                let sums = (raised(sum.get(), larger - *of_sum), raised(digits, larger - scale));
                match sums {
                    (Some(a), Some(b)) if let Some(both) = a.checked_add(b) => {
                        (*sum, *of_sum) = (Wide::new(both), larger);
                    }
                    _ => self.add_decimal_large(&BigInt::from(digits), scale),
                }
            }
            Rest::Cascade(_) | Rest::Large(_) => self.add_decimal_large(&BigInt::from(digits), scale),
        }
    }

    /// Adds the square of a decimal. Only in a [`SumOfSquares`].
    pub(super) fn add_decimal_square(&mut self, digits: i128, scale: u8) {
        match digits.checked_mul(digits) {
            Some(square) => self.add_decimal(square, 2 * scale),
            None => self.add_decimal_large(&(BigInt::from(digits) * digits), 2 * scale),
        }
    }

    #[cold]
    fn add_decimal_large(&mut self, digits: &BigInt, scale: u8) {
        let decimals = &mut self.large().decimals;
        decimals.get_or_insert_with(|| Decimals { digits: BigInt::ZERO, scale: 0 }).add(digits, scale);
    }

    /// Adds a finite float.
    #[inline]
    pub(super) fn add_float(&mut self, x: f64) {
        debug_assert!(x.is_finite());
        match &mut self.rest {
            Rest::Cascade([a, b, c]) => {
                let (first, error) = two_sum(*a, x);
                let (second, error) = two_sum(*b, error);
                if first.abs() < CASCADE_LIMIT {
                    if error == 0.0 {
                        (*a, *b) = (first, second);
                        return;
                    }
                    let (third, error) = two_sum(*c, error);
                    if error == 0.0 {
                        (*a, *b, *c) = (first, second, third);
                        return;
                    }
                }
            }
            Rest::Large(large) => {
                large.sum.add_float(x);
                large.any_float = true;
                return;
            }
            Rest::None | Rest::Decimals { .. } => {}
        }
        self.add_float_slowly(x);
    }

    /// Adds a finite float in the way that always works.
    #[cold]
    fn add_float_slowly(&mut self, x: f64) {
        match &mut self.rest {
            Rest::None if x.abs() < CASCADE_LIMIT => self.rest = Rest::Cascade([x, 0.0, 0.0]),
            Rest::Cascade([a, b, c]) if x.abs() < CASCADE_LIMIT => {
                let mut expansion = Expansion::default();
                [*c, *b, *a, x].into_iter().for_each(|part| expansion.add(part));
                let parts = expansion.parts();
                if parts.len() <= 3 && parts.iter().all(|part| part.abs() < CASCADE_LIMIT) {
                    let mut falling = parts.iter().rev().copied();
                    [a, b, c].into_iter().for_each(|part| *part = falling.next().unwrap_or(0.0));
                } else {
                    self.add_float_large(x);
                }
            }
            _ => self.add_float_large(x),
        }
    }

    fn add_float_large(&mut self, x: f64) {
        let large = self.large();
        large.sum.add_float(x);
        large.any_float = true;
    }

    /// Adds the square of a finite float. Only in a [`SumOfSquares`].
    #[inline]
    pub(super) fn add_float_square(&mut self, x: f64) {
        let Some((rounded, error)) = square(x) else {
            let large = self.large();
            large.sum.add_product(x, x);
            large.any_float = true;
            return;
        };
        if let Rest::Cascade([a, b, c]) = &mut self.rest {
            // Squares need the third component so often that asking whether costs more than using it. The error is too
            // small to matter to the first.
            let (first, rest) = two_sum(*a, rounded);
            let (second, rest) = two_sum(*b, rest);
            let (third, lost) = two_sum(*c, rest);
            let (second, rest) = two_sum(second, error);
            let (third, lost_too) = two_sum(third, rest);
            if lost == 0.0 && lost_too == 0.0 && first.abs() < CASCADE_LIMIT {
                (*a, *b, *c) = (first, second, third);
                return;
            }
        }
        self.add_float(rounded);
        self.add_float(error);
    }

    /// Adds finite floats: the same number as one [`add_float`](Exact::add_float) after another, faster.
    ///
    /// Cascades of two components run side by side; a block of values that they cannot hold exactly is added one by one.
    pub(super) fn add_floats(&mut self, values: &[f64]) {
        let (mut first, mut second) = ([0.0f64; LANES], [0.0f64; LANES]);
        let mut blocks = values.chunks_exact(BLOCK);
        for block in &mut blocks {
            if matches!(self.rest, Rest::Large(_)) {
                block.iter().for_each(|&x| self.add_float(x));
                continue;
            }
            let (mut a, mut b) = (first, second);
            let mut lost = [0; LANES];
            for group in block.as_chunks::<LANES>().0 {
                for lane in 0..LANES {
                    let error;
                    (a[lane], error) = two_sum(a[lane], group[lane]);
                    let error_of_error;
                    (b[lane], error_of_error) = two_sum(b[lane], error);
                    // All bits but the sign. An overflow on the way leaves a NaN here.
                    lost[lane] |= error_of_error.to_bits() << 1;
                }
            }
            if lost == [0; LANES] && a.iter().all(|a| a.abs() < CASCADE_LIMIT) {
                (first, second) = (a, b);
            } else {
                block.iter().for_each(|&x| self.add_float(x));
            }
        }
        if values.len() >= BLOCK {
            first.iter().chain(&second).for_each(|&x| self.add_float(x));
        }
        blocks.remainder().iter().for_each(|&x| self.add_float(x));
    }

    /// Adds another exact number.
    pub(super) fn merge(&mut self, other: &Self) {
        self.add_int(other.ints.get());
        match &other.rest {
            Rest::None => {}
            Rest::Cascade(parts) => parts.iter().for_each(|&part| self.add_float(part)),
            Rest::Decimals { digits, scale } => self.add_decimal(digits.get(), *scale),
            Rest::Large(theirs) => {
                let ours = self.large();
                ours.sum.merge(&theirs.sum);
                ours.any_float |= theirs.any_float;
                if let Some(Decimals { digits, scale }) = &theirs.decimals {
                    self.add_decimal_large(digits, *scale);
                }
            }
        }
    }

    /// Whether any float was added.
    pub(super) fn any_float(&self) -> bool {
        match &self.rest {
            Rest::None | Rest::Decimals { .. } => false,
            Rest::Cascade(_) => true,
            Rest::Large(large) => large.any_float,
        }
    }

    /// The integer and the rest that the number is the exact sum of, if they are small.
    pub(super) fn light(&self) -> Option<(i64, Small)> {
        let rest = match &self.rest {
            Rest::None => Small::Nothing,
            Rest::Cascade([a, b, 0.0]) => Small::Floats([*a, *b]),
            Rest::Decimals { digits, scale } => Small::Decimals(i64::try_from(digits.get()).ok()?, *scale),
            _ => return None,
        };
        Some((i64::try_from(self.ints.get()).ok()?, rest))
    }

    /// The number, if no float was added and it is an integer of 128 bits in the small form.
    pub(super) fn small_int(&self) -> Option<i128> {
        matches!(self.rest, Rest::None).then(|| self.ints.get())
    }

    /// The sum of the decimals, without the integers and floats that were added; [`None`] if there were none.
    pub(super) fn decimals(&self) -> Option<Decimals> {
        match &self.rest {
            Rest::None | Rest::Cascade(_) => None,
            Rest::Decimals { digits, scale } => Some(Decimals { digits: digits.get().into(), scale: *scale }),
            Rest::Large(large) => large.decimals.clone(),
        }
    }

    /// The number as digits and a scale, if decimals were added, no floats, and it has the small form.
    pub(super) fn small_decimal(&self) -> Option<(i128, u8)> {
        let Rest::Decimals { digits, scale } = self.rest else { return None };
        Some((raised(self.ints.get(), scale)?.checked_add(digits.get())?, scale))
    }

    /// The number, whatever was added.
    pub(super) fn rational(&self) -> Rational {
        let binary = self.digits();
        let (magnitude, exponent) = binary.magnitude();
        let sign = if binary.is_negative() { Sign::Minus } else { Sign::Plus };
        let numerator = BigInt::from_biguint(sign, magnitude);
        let Some(Decimals { digits, scale }) = self.decimals() else {
            return Rational { numerator, exponent, scale: 0 };
        };
        let lowest = exponent.min(0);
        let numerator = ((numerator * ten_to(scale)) << (exponent - lowest)) + (digits << -lowest);
        Rational { numerator, exponent: lowest, scale }
    }

    /// The nearest f64, ties to even, if the number has the small form.
    pub(super) fn small_nearest(&self) -> Option<f64> {
        let Rest::Cascade(parts) = self.rest else { return None };
        let mut expansion = Expansion::default();
        // Each piece is an exact f64.
        let ints = self.ints.get();
        if ints != 0 {
            const WEIGHT: i128 = 1 << 43;
            expansion.add((ints & (WEIGHT - 1)) as f64);
            expansion.add(((ints >> 43) & (WEIGHT - 1)) as f64 * WEIGHT as f64);
            expansion.add((ints >> 86) as f64 * (WEIGHT * WEIGHT) as f64);
        }
        parts.into_iter().rev().for_each(|part| expansion.add(part));
        Some(expansion.nearest())
    }

    /// The number without the decimals that were added, as sign and magnitude.
    pub(super) fn digits(&self) -> Digits<BELOW, CHUNKS> {
        let mut sum = match &self.rest {
            Rest::Large(large) => large.sum.clone(),
            Rest::None | Rest::Cascade(_) | Rest::Decimals { .. } => Superaccumulator::new(),
        };
        if let Rest::Cascade(parts) = &self.rest {
            parts.iter().for_each(|&part| sum.add_float(part));
        }
        sum.add_int(self.ints.get());
        sum.into_digits()
    }

    /// The bytes on the heap.
    pub(super) fn heap_size(&self) -> usize {
        match &self.rest {
            Rest::None | Rest::Cascade(_) | Rest::Decimals { .. } => 0,
            Rest::Large(large) => {
                let decimals = large.decimals.as_ref().map_or(0, |decimals| decimals.digits.bits() as usize / 8 + 8);
                allocated(size_of::<Large<BELOW, CHUNKS>>()) + allocated(decimals)
            }
        }
    }

    /// Appends the number as [`Digits::encode`] does: flagged with 1 if any float was added, and with 2 if any decimal. In
    /// that case the sum of the decimals follows: its scale (1 byte), the number of bytes of its digits (2,
    /// little-endian), and these, as two's complement, little-endian and as short as can be.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let decimals = self.decimals();
        self.digits().encode(u8::from(self.any_float()) | u8::from(decimals.is_some()) << 1, out);
        if let Some(Decimals { digits, scale }) = decimals {
            let bytes = digits.to_signed_bytes_le();
            out.push(scale);
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(&bytes);
        }
    }

    /// Reads what [`encode`](Exact::encode) wrote, into the smallest form.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `encode` writes.
    pub(super) fn decode(input: &mut &[u8]) -> Result<Self> {
        let (binary, flags) = Digits::<BELOW, CHUNKS>::decode(input)?;
        let (any_float, any_decimal) = (flags & 1 != 0, flags & 2 != 0);
        if flags > 3 {
            return Err(damaged());
        }
        let decimals = if any_decimal { Some(decode_decimals(input)?) } else { None };
        if !any_float && let Some(ints) = binary.to_i128() {
            let rest = match &decimals {
                None => Some(Rest::None),
                Some(Decimals { digits, scale }) => {
                    digits.to_i128().map(|digits| Rest::Decimals { digits: Wide::new(digits), scale: *scale })
                }
            };
            if let Some(rest) = rest {
                return Ok(Exact { ints: Wide::new(ints), rest });
            }
        }
        let rest = match binary.to_expansion(CASCADE_LIMIT) {
            Some(parts) if any_float && !any_decimal => Rest::Cascade(parts),
            _ => Rest::Large(Box::new(Large { sum: binary.to_accumulator(), any_float, decimals })),
        };
        Ok(Exact { ints: Wide::new(0), rest })
    }

    /// The superaccumulator, which takes over from the cascade if it is new.
    #[cold]
    fn large(&mut self) -> &mut Large<BELOW, CHUNKS> {
        if !matches!(self.rest, Rest::Large(_)) {
            let (any_float, decimals) = (self.any_float(), self.decimals());
            let mut large = Large { sum: Superaccumulator::new(), any_float, decimals };
            if let Rest::Cascade(parts) = &self.rest {
                parts.iter().for_each(|&part| large.sum.add_float(part));
            }
            self.rest = Rest::Large(Box::new(large));
        }
        match &mut self.rest {
            Rest::Large(large) => large,
            Rest::None | Rest::Cascade(_) | Rest::Decimals { .. } => unreachable!("the large form was set above"),
        }
    }
}

/// The digits with so many zeros behind them, if that fits 128 bits.
fn raised(digits: i128, zeros: u8) -> Option<i128> {
    digits.checked_mul(10i128.checked_pow(u32::from(zeros))?)
}

/// Reads the sum of decimals that [`Exact::encode`] wrote.
fn decode_decimals(input: &mut &[u8]) -> Result<Decimals> {
    // Squares of decimals have twice their scale.
    const MOST_PLACES: u8 = 2 * Decimal::MAX_DIGITS;
    let [scale, low, high] = take(input)?;
    let len = usize::from(u16::from_le_bytes([low, high]));
    let (bytes, rest) = input.split_at_checked(len).ok_or_else(damaged)?;
    *input = rest;
    let digits = BigInt::from_signed_bytes_le(bytes);
    if scale > MOST_PLACES || digits.to_signed_bytes_le() != bytes {
        return Err(damaged());
    }
    Ok(Decimals { digits, scale })
}

/// A sum of at most six f64 as nonoverlapping components without zeros, in rising magnitude (Shewchuk 1997).
#[derive(Default)]
struct Expansion {
    parts: [f64; 6],
    len: usize,
}

impl Expansion {
    /// The components.
    fn parts(&self) -> &[f64] {
        &self.parts[..self.len]
    }

    /// Adds a value: GROW-EXPANSION with zero elimination. Six times at most.
    fn add(&mut self, x: f64) {
        let mut sum = x;
        let mut kept = 0;
        for index in 0..self.len {
            let error;
            (sum, error) = two_sum(sum, self.parts[index]);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
        }
        if sum != 0.0 {
            self.parts[kept] = sum;
            kept += 1;
        }
        self.len = kept;
    }

    /// The f64 nearest to the sum, ties to even.
    fn nearest(&self) -> f64 {
        let mut parts = self.parts().iter().rev().copied();
        let Some(mut sum) = parts.next() else { return 0.0 };
        while let Some(part) = parts.next() {
            let error;
            (sum, error) = two_sum(sum, part);
            if error != 0.0 {
                // What follows is less than the last bit of `error`: it can only matter if that is half a last place of
                // `sum`, when it breaks the tie. Then twice the error is a whole place.
                let tie_broken = parts.next().is_some_and(|rest| (rest < 0.0) == (error < 0.0));
                let next = sum + 2.0 * error;
                return if tie_broken && next - sum == 2.0 * error { next } else { sum };
            }
        }
        sum
    }
}

/// The rounded sum of two f64, and its error (Knuth; Shewchuk 1997, theorem 7).
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}

/// The rounded square of an f64, and its error, unless it is so small or large that the error is not an f64
/// (Dekker; Shewchuk 1997, theorem 18: it needs no fused instruction, which not every CPU has).
#[inline(always)]
fn square(x: f64) -> Option<(f64, f64)> {
    const SMALLEST: f64 = f64::from_bits((1023 - 480) << 52);
    const LARGEST: f64 = f64::from_bits((1023 + 480) << 52);
    if !(SMALLEST..LARGEST).contains(&x.abs()) && x != 0.0 {
        return None;
    }
    let rounded = x * x;
    // Two halves of 26 bits, whose products are exact.
    let scaled = 134_217_729.0 * x;
    let high = scaled - (scaled - x);
    let low = x - high;
    let error = ((high * high - rounded) + 2.0 * high * low) + low * low;
    Some((rounded, error))
}
