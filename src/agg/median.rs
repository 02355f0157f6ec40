//! Exact medians and quantiles: all values of a group, kept compactly.
//!
//! # How it works
//! Integers are kept as they are while all values are integers of 64 bits. From the first other value on, every value
//! that is an f64 is kept as one (most integers are), and the integers and decimals that are not, apart: exact
//! either way, at 8 bytes a value, or 24. A quantile lies between two neighbours in the order of the values, which are selected
//! without sorting; interpolating between them is exact up to one rounding.
//!
//! # To change it safely
//! No f64 kept is -0.0 (it is kept as 0.0), so that `total_cmp` is the order of the numbers. What is kept, up to its
//! order, depends only on what was added, never on the order of adds: the bytes of equal groups are equal.

use num_bigint::BigInt;
use num_traits::float::FloatCore;

use super::exact::{Rational, ten_to};
use super::superacc::{ProductAccumulator, damaged, take};
use crate::error::Result;
use crate::memory::allocated;
use crate::value::order::compare;
use crate::value::{Decimal, Value, Wide};

/// All numbers of a group, for exact quantiles: the same for any order of adds and any tree of merges.
///
/// ```
/// use foldl::agg::Quantiles;
///
/// let mut values = Quantiles::default();
/// for x in [7, 1, 4, 9_007_199_254_740_993] {
///     values.add_int(x);
/// }
/// assert_eq!(values.median(), Some(5.5));
/// assert_eq!(values.quantile_cont(0.0), Some(1.0));
/// ```
#[derive(Clone, Debug)]
pub struct Quantiles(Values);

#[derive(Clone, Debug)]
enum Values {
    /// Only integers of 64 bits were added.
    Ints(Vec<i64>),
    /// Some other value was added.
    Mixed {
        /// The values that are f64, -0.0 as 0.0.
        floats: Vec<f64>,
        /// The integers and decimals that are not.
        others: Vec<Other>,
    },
}

/// A number that is no f64.
#[derive(Clone, Copy, Debug)]
enum Other {
    Int(Wide),
    /// Not an integer, without zeros at the end.
    Decimal(Decimal),
}

impl Other {
    fn value(&self) -> Value<'static> {
        match self {
            Other::Int(value) => Value::Wide(*value),
            Other::Decimal(value) => Value::Decimal(*value),
        }
    }
}

impl Default for Quantiles {
    fn default() -> Quantiles {
        Quantiles(Values::Ints(Vec::new()))
    }
}

impl Quantiles {
    /// Adds an integer.
    #[inline]
    pub fn add_int(&mut self, x: i64) {
        match &mut self.0 {
            Values::Ints(ints) => ints.push(x),
            Values::Mixed { .. } => self.add_wide(i128::from(x)),
        }
    }

    /// Adds an integer of 128 bits.
    pub fn add_wide(&mut self, x: i128) {
        if let (Values::Ints(ints), Ok(x)) = (&mut self.0, i64::try_from(x)) {
            ints.push(x);
            return;
        }
        let (floats, others) = self.mixed();
        match exact_float(x) {
            Some(x) => floats.push(x),
            None => others.push(Other::Int(Wide::new(x))),
        }
    }

    /// Adds a float, which must be finite.
    #[inline]
    pub fn add_float(&mut self, x: f64) {
        debug_assert!(x.is_finite());
        // Adding 0.0 makes 0.0 of -0.0 and changes nothing else.
        self.mixed().0.push(x + 0.0);
    }

    /// Adds a decimal.
    pub fn add_decimal(&mut self, x: Decimal) {
        let x = x.normalized();
        if x.scale() == 0 {
            return self.add_wide(x.digits());
        }
        let (floats, others) = self.mixed();
        let float = x.to_float();
        if x.compare_float(float).is_eq() { floats.push(float) } else { others.push(Other::Decimal(x)) }
    }

    /// Adds everything that was added to another.
    pub fn merge(&mut self, other: &Quantiles) {
        match &other.0 {
            Values::Ints(ints) => match &mut self.0 {
                Values::Ints(own) => own.extend_from_slice(ints),
                Values::Mixed { .. } => ints.iter().for_each(|&x| self.add_int(x)),
            },
            Values::Mixed { floats, others } => {
                let own = self.mixed();
                own.0.extend_from_slice(floats);
                own.1.extend_from_slice(others);
            }
        }
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        match &self.0 {
            Values::Ints(ints) => ints.len(),
            Values::Mixed { floats, others } => floats.len() + others.len(),
        }
    }

    /// The median: the middle value, or the mean of the two middle ones, rounded once to the nearest f64, ties to even.
    /// None if there are no values.
    ///
    /// Like all quantiles, it reorders the values that are kept.
    pub fn median(&mut self) -> Option<f64> {
        self.quantile_cont(0.5)
    }

    /// The value below which the fraction `q` of the values lies, interpolated linearly between two neighbours as SQL's
    /// `percentile_cont` does. None if there are no values, or if `q` is outside of 0 to 1.
    ///
    /// Its place among the sorted values, from 0, is the f64 product of `q` and the count less one, rounded as in
    /// databases so that 0.9 of 11 values is the tenth one. Between `low` and `high`, the neighbours of that place,
    /// `low + (place − floor(place)) × (high − low)` is computed exactly and rounded once to the nearest f64, ties to
    /// even. Zero is +0.0.
    pub fn quantile_cont(&mut self, q: f64) -> Option<f64> {
        let (low, high, fraction) = self.around(q)?;
        if let (Number::Decimal(_), _) | (_, Some(Number::Decimal(_))) = (low, high) {
            return Some(between(low, high.unwrap_or(low), fraction));
        }
        let mut sum = ProductAccumulator::new();
        low.add_times(1.0, &mut sum);
        if fraction > 0.0
            && let Some(high) = high
        {
            low.add_times(-fraction, &mut sum);
            high.add_times(fraction, &mut sum);
        }
        Some(sum.into_digits().nearest_quotient(1))
    }

    /// The place of a quantile among so many sorted values: the number of its lower neighbour, from 0, and how far it is
    /// from there to the upper one.
    pub(super) fn place(count: usize, q: f64) -> (usize, f64) {
        let last = count.saturating_sub(1);
        let place = q * last as f64;
        // The product can round up beyond the last place only if there are more than 2^53.
        ((place as usize).min(last), place - place.floor())
    }

    /// Gives the different values in their order, each with its count.
    pub(super) fn for_each_sorted(&mut self, mut take: impl FnMut(Value, u64) -> Result<()>) -> Result<()> {
        let (floats, others) = match &mut self.0 {
            Values::Ints(ints) => {
                ints.sort_unstable();
                return ints.chunk_by(|a, b| a == b).try_for_each(|same| take(Value::Int(same[0]), same.len() as u64));
            }
            Values::Mixed { floats, others } => (floats, others),
        };
        sort(floats, others);
        let (mut floats, mut others) = (floats.chunk_by(|a, b| a == b).peekable(), others.iter().peekable());
        loop {
            match (floats.peek(), others.peek()) {
                (Some(same), Some(other)) if compare(other.value(), Value::Float(same[0])).is_gt() => {
                    take(Value::Float(same[0]), same.len() as u64)?;
                    floats.next();
                }
                (Some(same), None) => {
                    take(Value::Float(same[0]), same.len() as u64)?;
                    floats.next();
                }
                (_, Some(other)) => {
                    take(other.value(), 1)?;
                    others.next();
                }
                (None, None) => return Ok(()),
            }
        }
    }

    /// The same of integers of 64 bits, rounded to the nearest integer, halves up. None if other values were added, too.
    pub fn quantile_int(&mut self, q: f64) -> Option<i64> {
        let Values::Ints(_) = self.0 else { return None };
        let (low, high, fraction) = self.around(q)?;
        let Number::Int(low) = low else { return None };
        let Some(Number::Int(high)) = high.filter(|_| fraction > 0.0) else { return i64::try_from(low).ok() };
        // Exactly: the fraction is mantissa × 2^exponent, and below 1.
        let (mantissa, exponent, _) = FloatCore::integer_decode(fraction);
        let rise = (high - low).unsigned_abs() * u128::from(mantissa);
        let shift = u32::from(exponent.unsigned_abs());
        let half = 1_u128.checked_shl(shift.saturating_sub(1)).unwrap_or(0);
        let rounded = rise.checked_add(half)?.checked_shr(shift).unwrap_or(0);
        i64::try_from(low + rounded as i128).ok()
    }

    /// The two values that a quantile is between, and the part of the way from the first to the second. None as for
    /// [`quantile_cont`](Quantiles::quantile_cont).
    fn around(&mut self, q: f64) -> Option<(Number, Option<Number>, f64)> {
        if self.count() == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let (index, fraction) = Quantiles::place(self.count(), q);
        let (low, high) = self.neighbours(index);
        Some((low, high, fraction))
    }

    /// The value at a place of the sorted order, from 0, and the one after it. The place must be below the count.
    fn neighbours(&mut self, index: usize) -> (Number, Option<Number>) {
        match &mut self.0 {
            Values::Ints(ints) => {
                let (_, &mut low, after) = ints.select_nth_unstable(index);
                let high = after.iter().min().copied();
                (Number::Int(i128::from(low)), high.map(|high| Number::Int(i128::from(high))))
            }
            Values::Mixed { floats, others } if others.is_empty() => {
                let (_, &mut low, after) = floats.select_nth_unstable_by(index, f64::total_cmp);
                let high = after.iter().copied().min_by(f64::total_cmp);
                (Number::Float(low), high.map(Number::Float))
            }
            Values::Mixed { floats, others } => {
                sort(floats, others);
                let (mut floats, mut others) = (floats.iter().peekable(), others.iter().peekable());
                let mut next = || match (floats.peek(), others.peek()) {
                    (Some(&&float), Some(other)) if compare(other.value(), Value::Float(float)).is_lt() => {
                        others.next().map(Number::other)
                    }
                    (Some(_), _) => floats.next().copied().map(Number::Float),
                    (None, _) => others.next().map(Number::other),
                };
                for _ in 0..index {
                    next();
                }
                (next().unwrap_or(Number::Int(0)), next())
            }
        }
    }

    /// The bytes on the heap.
    pub fn heap_size(&self) -> usize {
        match &self.0 {
            Values::Ints(ints) => allocated(ints.capacity() * size_of::<i64>()),
            Values::Mixed { floats, others } => {
                allocated(floats.capacity() * size_of::<f64>()) + allocated(others.capacity() * size_of::<Other>())
            }
        }
    }

    /// Sorts the values and appends their bytes. Groups of equal values have equal bytes.
    ///
    /// | bytes | what |
    /// | --- | --- |
    /// | 1 | 0: integers of 64 bits; 1: mixed; 2: mixed, with decimals |
    /// | 8 | the number of integers, or of f64 if mixed |
    /// | 8 × n | these, sorted |
    /// | 8 | if mixed: the number of 128-bit integers that are not f64 |
    /// | 16 × n | these, sorted |
    /// | 8 | if mixed with decimals: the number of decimals that are neither |
    /// | 17 × n | these, sorted: 16 bytes of digits and the scale |
    ///
    /// All little-endian.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        let put_count = |out: &mut Vec<u8>, count: usize| out.extend_from_slice(&(count as u64).to_le_bytes());
        match &mut self.0 {
            Values::Ints(ints) => {
                ints.sort_unstable();
                out.push(0);
                put_count(out, ints.len());
                ints.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
            }
            Values::Mixed { floats, others } => {
                sort(floats, others);
                let (wides, decimals) = apart(others);
                out.push(if decimals.is_empty() { 1 } else { 2 });
                put_count(out, floats.len());
                floats.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                put_count(out, wides.len());
                wides.iter().for_each(|x| out.extend_from_slice(&x.get().to_le_bytes()));
                if !decimals.is_empty() {
                    put_count(out, decimals.len());
                }
                for decimal in decimals {
                    out.extend_from_slice(&decimal.digits().to_le_bytes());
                    out.push(decimal.scale());
                }
            }
        }
    }

    /// Reads what [`encode`](Quantiles::encode) wrote, and moves `input` behind it.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `encode` writes.
    pub fn decode(input: &mut &[u8]) -> Result<Quantiles> {
        let values = match take(input)? {
            [0] => Values::Ints(decode_all(input, i64::from_le_bytes)?),
            [form @ (1 | 2)] => {
                let floats = decode_all(input, f64::from_le_bytes)?;
                let wides = decode_all(input, |bytes| Other::Int(Wide::new(i128::from_le_bytes(bytes))))?;
                let decimals = if form == 2 { decode_all(input, decode_decimal)? } else { Vec::new() };
                // A decimal of form 2 that is none.
                let decimals: Option<Vec<Other>> =
                    decimals.into_iter().map(|decimal| decimal.map(Other::Decimal)).collect();
                let decimals = decimals.filter(|decimals| (form == 2) != decimals.is_empty()).ok_or_else(damaged)?;
                if !is_sorted(&wides) || !is_sorted(&decimals) {
                    return Err(damaged());
                }
                Values::Mixed { floats, others: [wides, decimals].concat() }
            }
            _ => return Err(damaged()),
        };
        let canonical = match &values {
            Values::Ints(ints) => ints.is_sorted(),
            Values::Mixed { floats, others } => {
                floats.is_sorted_by(|a, b| a.total_cmp(b).is_le())
                    && floats.iter().all(|x| x.is_finite() && x.to_bits() != (-0.0f64).to_bits())
                    && others.iter().all(|other| match other {
                        Other::Int(x) => exact_float(x.get()).is_none(),
                        Other::Decimal(x) => {
                            x.normalized() == *x && x.scale() > 0 && x.compare_float(x.to_float()).is_ne()
                        }
                    })
            }
        };
        if canonical { Ok(Quantiles(values)) } else { Err(damaged()) }
    }

    /// The values as [`Values::Mixed`], which they become if they are not.
    fn mixed(&mut self) -> (&mut Vec<f64>, &mut Vec<Other>) {
        if let Values::Ints(ints) = &mut self.0 {
            let mut others = Vec::new();
            let floats = std::mem::take(ints).into_iter().filter_map(|x| {
                let float = exact_float(i128::from(x));
                if float.is_none() {
                    others.push(Other::Int(Wide::new(i128::from(x))));
                }
                float
            });
            // Collected into the memory of the integers.
            let floats: Vec<f64> = floats.collect();
            self.0 = Values::Mixed { floats, others };
        }
        match &mut self.0 {
            Values::Mixed { floats, others } => (floats, others),
            Values::Ints(_) => unreachable!("the values were made mixed above"),
        }
    }
}

/// One of the values.
#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i128),
    Float(f64),
    Decimal(Decimal),
}

impl Number {
    fn other(x: &Other) -> Number {
        match x {
            Other::Int(x) => Number::Int(x.get()),
            Other::Decimal(x) => Number::Decimal(*x),
        }
    }

    fn rational(self) -> Rational {
        match self {
            Number::Int(x) => Rational { numerator: x.into(), exponent: 0, scale: 0 },
            Number::Float(x) => {
                let (mantissa, exponent, sign) = FloatCore::integer_decode(x);
                Rational { numerator: BigInt::from(mantissa) * sign, exponent: exponent.into(), scale: 0 }
            }
            Number::Decimal(x) => Rational { numerator: x.digits().into(), exponent: 0, scale: x.scale() },
        }
    }

    /// Adds the exact product of the number and an f64 of [-1, 1].
    fn add_times(self, factor: f64, sum: &mut ProductAccumulator) {
        match self {
            Number::Float(x) => sum.add_product(x, factor),
            // Never here: decimals are no sums of powers of two.
            Number::Decimal(x) => sum.add_product(x.to_float(), factor),
            Number::Int(x) => {
                // Pieces of 43 bits, each an exact f64.
                for piece in 0..3 {
                    let part = x.unsigned_abs() >> (43 * piece) & ((1 << 43) - 1);
                    let signed = if x < 0 { -(part as f64) } else { part as f64 };
                    sum.add_product(signed * (1u128 << (43 * piece)) as f64, factor);
                }
            }
        }
    }
}

/// The integer as an f64, if it is one.
fn exact_float(x: i128) -> Option<f64> {
    let magnitude = x.unsigned_abs();
    let significant = magnitude >> magnitude.trailing_zeros().min(127);
    (significant >> 53 == 0).then_some(x as f64)
}

/// The f64 nearest to `low + fraction × (high − low)`.
fn between(low: Number, high: Number, fraction: f64) -> f64 {
    let (low, high, part) = (low.rational(), high.rational(), Number::Float(fraction).rational());
    let (exponent, scale) = (low.exponent.min(high.exponent), low.scale.max(high.scale));
    let numerator = |x: &Rational| (&x.numerator * ten_to(scale - x.scale)) << (x.exponent - exponent);
    let (from, to) = (numerator(&low), numerator(&high));
    let rise = (to - &from) * part.numerator;
    // The fraction is below 1, so its exponent is below 0.
    Rational { numerator: (from << -part.exponent) + rise, exponent: exponent + part.exponent, scale }.nearest(1)
}

fn sort(floats: &mut [f64], others: &mut [Other]) {
    floats.sort_unstable_by(f64::total_cmp);
    others.sort_unstable_by(|a, b| compare(a.value(), b.value()));
}

fn is_sorted(others: &[Other]) -> bool {
    others.is_sorted_by(|a, b| compare(a.value(), b.value()).is_le())
}

/// The integers and the decimals among some numbers.
fn apart(others: &[Other]) -> (Vec<Wide>, Vec<Decimal>) {
    let (mut wides, mut decimals) = (Vec::new(), Vec::new());
    for other in others {
        match other {
            Other::Int(x) => wides.push(*x),
            Other::Decimal(x) => decimals.push(*x),
        }
    }
    (wides, decimals)
}

/// The decimal of 16 bytes of digits and one of the scale, if it is one.
fn decode_decimal(bytes: [u8; 17]) -> Option<Decimal> {
    let (digits, scale) = bytes.split_first_chunk()?;
    Decimal::new(i128::from_le_bytes(*digits), *scale.first()?)
}

/// Reads a count of 8 bytes and so many values of `N` bytes.
fn decode_all<const N: usize, T>(input: &mut &[u8], decode: fn([u8; N]) -> T) -> Result<Vec<T>> {
    let count = usize::try_from(u64::from_le_bytes(take(input)?)).map_err(|_| damaged())?;
    let bytes = count.checked_mul(N).filter(|&bytes| bytes <= input.len()).ok_or_else(damaged)?;
    let (values, rest) = input.split_at(bytes);
    *input = rest;
    Ok(values.as_chunks().0.iter().map(|&value| decode(value)).collect())
}

#[cfg(test)]
mod tests;
