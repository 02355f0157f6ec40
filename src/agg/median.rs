//! Exact medians and quantiles: all values of a group, kept compactly.
//!
//! # How it works
//! Integers are kept as they are while all values are integers of 64 bits. From the first other value on, every value
//! that is an f64 is kept as one (most integers are), and the integers that are not, apart, with 128 bits: exact
//! either way, at 8 bytes a value. A quantile lies between two neighbours in the order of the values, which are selected
//! without sorting; interpolating between them is exact up to one rounding.
//!
//! # To change it safely
//! No f64 kept is -0.0 (it is kept as 0.0), so that `total_cmp` is the order of the numbers. What is kept, up to its
//! order, depends only on what was added, never on the order of adds: the bytes of equal groups are equal.

use super::superacc::{ProductAccumulator, damaged, take};
use crate::error::Result;
use crate::value::Wide;

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
        /// The integers that are not.
        wides: Vec<Wide>,
    },
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
        let (floats, wides) = self.mixed();
        match exact_float(x) {
            Some(x) => floats.push(x),
            None => wides.push(Wide::new(x)),
        }
    }

    /// Adds a float, which must be finite.
    #[inline]
    pub fn add_float(&mut self, x: f64) {
        debug_assert!(x.is_finite());
        // Adding 0.0 makes 0.0 of -0.0 and changes nothing else.
        self.mixed().0.push(x + 0.0);
    }

    /// Adds everything that was added to another.
    pub fn merge(&mut self, other: &Quantiles) {
        match &other.0 {
            Values::Ints(ints) => match &mut self.0 {
                Values::Ints(own) => own.extend_from_slice(ints),
                Values::Mixed { .. } => ints.iter().for_each(|&x| self.add_int(x)),
            },
            Values::Mixed { floats, wides } => {
                let own = self.mixed();
                own.0.extend_from_slice(floats);
                own.1.extend_from_slice(wides);
            }
        }
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        match &self.0 {
            Values::Ints(ints) => ints.len(),
            Values::Mixed { floats, wides } => floats.len() + wides.len(),
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
        let last = self.count().checked_sub(1)?;
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        let place = q * last as f64;
        // The product can round up beyond the last place only if there are more than 2^53.
        let index = (place as usize).min(last);
        let fraction = place - place.floor();
        let (low, high) = self.neighbours(index);
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

    /// The value at a place of the sorted order, from 0, and the one after it. The place must be below the count.
    fn neighbours(&mut self, index: usize) -> (Number, Option<Number>) {
        match &mut self.0 {
            Values::Ints(ints) => {
                let (_, &mut low, after) = ints.select_nth_unstable(index);
                let high = after.iter().min().copied();
                (Number::Int(i128::from(low)), high.map(|high| Number::Int(i128::from(high))))
            }
            Values::Mixed { floats, wides } if wides.is_empty() => {
                let (_, &mut low, after) = floats.select_nth_unstable_by(index, f64::total_cmp);
                let high = after.iter().copied().min_by(f64::total_cmp);
                (Number::Float(low), high.map(Number::Float))
            }
            Values::Mixed { floats, wides } => {
                sort(floats, wides);
                let (mut floats, mut wides) = (floats.iter().peekable(), wides.iter().peekable());
                let mut next = || match (floats.peek(), wides.peek()) {
                    // The cast truncates, which changes no order as a wide is beyond 2^53, where f64 are whole. They are
                    // equal only where it saturates at the largest i128, so then the float is larger.
                    (Some(&&float), Some(wide)) if float as i128 >= wide.get() => wides.next().map(Number::wide),
                    (Some(_), _) => floats.next().copied().map(Number::Float),
                    (None, _) => wides.next().map(Number::wide),
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
            Values::Ints(ints) => ints.capacity() * size_of::<i64>(),
            Values::Mixed { floats, wides } => {
                floats.capacity() * size_of::<f64>() + wides.capacity() * size_of::<Wide>()
            }
        }
    }

    /// Sorts the values and appends their bytes. Groups of equal values have equal bytes.
    ///
    /// | bytes | what |
    /// | --- | --- |
    /// | 1 | 0: integers of 64 bits; 1: mixed |
    /// | 8 | the number of integers, or of f64 if mixed |
    /// | 8 × n | these, sorted |
    /// | 8 | if mixed: the number of 128-bit integers that are not f64 |
    /// | 16 × n | these, sorted |
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
            Values::Mixed { floats, wides } => {
                sort(floats, wides);
                out.push(1);
                put_count(out, floats.len());
                floats.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
                put_count(out, wides.len());
                wides.iter().for_each(|x| out.extend_from_slice(&x.get().to_le_bytes()));
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
            [1] => Values::Mixed {
                floats: decode_all(input, f64::from_le_bytes)?,
                wides: decode_all(input, |bytes| Wide::new(i128::from_le_bytes(bytes)))?,
            },
            _ => return Err(damaged()),
        };
        let canonical = match &values {
            Values::Ints(ints) => ints.is_sorted(),
            Values::Mixed { floats, wides } => {
                floats.is_sorted_by(|a, b| a.total_cmp(b).is_le())
                    && floats.iter().all(|x| x.is_finite() && x.to_bits() != (-0.0f64).to_bits())
                    && wides.is_sorted_by_key(|x| x.get())
                    && wides.iter().all(|x| exact_float(x.get()).is_none())
            }
        };
        if canonical { Ok(Quantiles(values)) } else { Err(damaged()) }
    }

    /// The values as [`Values::Mixed`], which they become if they are not.
    fn mixed(&mut self) -> (&mut Vec<f64>, &mut Vec<Wide>) {
        if let Values::Ints(ints) = &mut self.0 {
            let mut wides = Vec::new();
            let floats = std::mem::take(ints).into_iter().filter_map(|x| {
                let float = exact_float(i128::from(x));
                if float.is_none() {
                    wides.push(Wide::new(i128::from(x)));
                }
                float
            });
            // Collected into the memory of the integers.
            let floats: Vec<f64> = floats.collect();
            self.0 = Values::Mixed { floats, wides };
        }
        match &mut self.0 {
            Values::Mixed { floats, wides } => (floats, wides),
            Values::Ints(_) => unreachable!("the values were made mixed above"),
        }
    }
}

/// One of the values.
#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn wide(x: &Wide) -> Number {
        Number::Int(x.get())
    }

    /// Adds the exact product of the number and an f64 of [-1, 1].
    fn add_times(self, factor: f64, sum: &mut ProductAccumulator) {
        match self {
            Number::Float(x) => sum.add_product(x, factor),
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

fn sort(floats: &mut [f64], wides: &mut [Wide]) {
    floats.sort_unstable_by(f64::total_cmp);
    wides.sort_unstable_by_key(|x| x.get());
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
