//! `approx_count_distinct`, `approx_quantile`: estimates of a stated error, from states of a bounded size that merge in any
//! order with the same result.

use std::collections::BTreeMap;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::encoded::with_key;
use super::moment_sketch::MomentSketch;
use super::partial::Partial;
use super::position::Position;
use super::superacc::{damaged, take};
use crate::error::Result;
use crate::expr::Fault;
use crate::memory::allocated;
use crate::value::{Value, leb128};

/// The bits of a hash that choose a register. The standard error is 1.04 / 2^(bits / 2), about 1.6 %.
const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// Up to so many different hashes are kept as they are, and counted exactly but for hashes that are equal.
const MOST_HASHES: usize = 512;

/// The number of distinct values: HyperLogLog (P. Flajolet and others, 2007), with the estimator of O. Ertl, "New
/// cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs no corrections.
///
/// The hash is XXH3 of the encoded key; it is part of what a state means, and does not change.
#[derive(Default)]
pub(super) struct DistinctSketch(Hashes);

enum Hashes {
    /// Sorted, each once.
    Few(Vec<u64>),
    /// For each register the greatest rank of a hash: the number of leading zeros of what does not choose the register,
    /// and one.
    Registers(Box<[u8]>),
}

impl Default for Hashes {
    fn default() -> Hashes {
        Hashes::Few(Vec::new())
    }
}

impl DistinctSketch {
    fn insert(&mut self, hash: u64) {
        match &mut self.0 {
            Hashes::Few(hashes) => {
                if let Err(place) = hashes.binary_search(&hash) {
                    hashes.insert(place, hash);
                    if hashes.len() > MOST_HASHES {
                        self.registers();
                    }
                }
            }
            Hashes::Registers(registers) => note(registers, hash),
        }
    }

    fn registers(&mut self) -> &mut [u8] {
        if let Hashes::Few(hashes) = &self.0 {
            let mut registers = vec![0; REGISTERS].into_boxed_slice();
            hashes.iter().for_each(|&hash| note(&mut registers, hash));
            self.0 = Hashes::Registers(registers);
        }
        match &mut self.0 {
            Hashes::Registers(registers) => registers,
            Hashes::Few(_) => &mut [],
        }
    }

    fn estimate(&self) -> u64 {
        match &self.0 {
            Hashes::Few(hashes) => hashes.len() as u64,
            Hashes::Registers(registers) => estimate(registers).round() as u64,
        }
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let rank = (hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1)).leading_zeros() as u8 + 1;
    let register = &mut registers[(hash >> (64 - REGISTER_BITS)) as usize];
    *register = (*register).max(rank);
}

fn estimate(registers: &[u8]) -> f64 {
    const MOST_RANK: usize = (64 - REGISTER_BITS) as usize;
    let mut counts = [0u32; MOST_RANK + 2];
    registers.iter().for_each(|&rank| counts[usize::from(rank)] += 1);
    let count = registers.len() as f64;
    let mut sum = count * tau(1.0 - f64::from(counts[MOST_RANK + 1]) / count);
    for &of_rank in counts[1..=MOST_RANK].iter().rev() {
        sum = 0.5 * (sum + f64::from(of_rank));
    }
    sum += count * sigma(f64::from(counts[0]) / count);
    count * count / (2.0 * std::f64::consts::LN_2 * sum)
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

impl Accumulator for DistinctSketch {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| match &state.0 {
            Hashes::Few(hashes) => {
                leb128::put(hashes.len() as u64, out);
                hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
            }
            Hashes::Registers(registers) => {
                leb128::put(MOST_HASHES as u64 + 1, out);
                out.extend_from_slice(registers);
            }
        },
        decode: |input| {
            let len = leb128::take(input).ok_or_else(damaged)?;
            if len > MOST_HASHES as u64 {
                let registers: [u8; REGISTERS] = take(input)?;
                return Ok(DistinctSketch(Hashes::Registers(registers.into())));
            }
            let hashes = (0..len).map(|_| take(input).map(u64::from_le_bytes)).collect::<Result<Vec<u64>>>()?;
            if hashes.is_sorted_by(|a, b| a < b) { Ok(DistinctSketch(Hashes::Few(hashes))) } else { Err(damaged()) }
        },
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        if !matches!(arguments[0], Value::Null) {
            with_key(arguments[0], |key| self.insert(twox_hash::XxHash3_64::oneshot(key)));
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        match &other.0 {
            Hashes::Few(hashes) => hashes.iter().for_each(|&hash| self.insert(hash)),
            Hashes::Registers(theirs) => {
                self.registers().iter_mut().zip(theirs).for_each(|(own, &rank)| *own = (*own).max(rank));
            }
        }
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.estimate().into()))
    }

    fn heap_size(&self) -> usize {
        match &self.0 {
            Hashes::Few(hashes) => allocated(hashes.capacity() * size_of::<u64>()),
            Hashes::Registers(registers) => allocated(registers.len()),
        }
    }
}

/// The bits of a float's fraction that are kept: so the relative error of a quantile is below 2^-8, 0.4 %.
const FRACTION_BITS: u32 = 8;

/// A quantile: how many numbers begin with the same bits. What is in a bucket stands for its least number in magnitude, so
/// that whole numbers up to 512 are exact.
#[derive(Default)]
pub(super) struct QuantileSketch {
    /// By the bucket's place among all.
    buckets: BTreeMap<i32, u64>,
    count: u64,
    /// Dates and timestamps, whose bits tell nothing of how near they are to each other.
    moments: Option<Box<MomentSketch>>,
}

/// The bucket of a number: negative ones are below -1, zero is 0.
fn bucket(value: f64) -> i32 {
    let magnitude = (value.abs().to_bits() >> (52 - FRACTION_BITS)) as i32;
    if value < 0.0 { -1 - magnitude } else { magnitude }
}

/// The number that stands for a bucket.
fn number(bucket: i32) -> f64 {
    let magnitude = |bits: i32| f64::from_bits(u64::from(bits.unsigned_abs()) << (52 - FRACTION_BITS));
    if bucket < 0 { -magnitude(-1 - bucket) } else { magnitude(bucket) }
}

impl Accumulator for QuantileSketch {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| {
            leb128::put(state.buckets.len() as u64, out);
            for (bucket, count) in &state.buckets {
                out.extend_from_slice(&bucket.to_le_bytes());
                leb128::put(*count, out);
            }
            out.push(u8::from(state.moments.is_some()));
            if let Some(moments) = &state.moments {
                moments.encode(out);
            }
        },
        decode: |input| {
            let mut state = QuantileSketch::default();
            for _ in 0..leb128::take(input).ok_or_else(damaged)? {
                let (bucket, count) = (i32::from_le_bytes(take(input)?), leb128::take(input).ok_or_else(damaged)?);
                state.buckets.insert(bucket, count);
                state.count = state.count.saturating_add(count);
            }
            if take(input)? != [0] {
                state.moments = Some(Box::new(MomentSketch::decode(input)?));
            }
            Ok(state)
        },
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        let value = match arguments[0] {
            Value::Null => return Ok(()),
            Value::Timestamp(moment) => {
                self.moments.get_or_insert_default().add(moment.0, false);
                return Ok(());
            }
            Value::Date(day) => {
                let midnight = day.midnight().ok_or(Fault::Overflow)?;
                self.moments.get_or_insert_default().add(midnight.0, true);
                return Ok(());
            }
            value => value.to_float().ok_or(Fault::Type)?,
        };
        *self.buckets.entry(bucket(value)).or_default() += 1;
        self.count += 1;
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        for (&bucket, count) in &other.buckets {
            *self.buckets.entry(bucket).or_default() += count;
        }
        self.count += other.count;
        if let Some(other) = &other.moments {
            self.moments.get_or_insert_default().merge(other);
        }
    }

    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        if self.count > 0 && self.moments.is_some() {
            // As for exact quantiles.
            return Err(Fault::Type);
        }
        outcome.quantiles(arena, |fraction| {
            if let Some(moments) = &self.moments {
                return Ok(moments.quantile(fraction));
            }
            let place = (fraction * self.count as f64).ceil().max(1.0) as u64;
            let mut below = 0;
            let found = self.buckets.iter().find(|(_, count)| {
                below += **count;
                below >= place
            });
            Ok(found.map_or(Value::Null, |(&bucket, _)| Value::Float(number(bucket))))
        })
    }

    fn heap_size(&self) -> usize {
        // Entries of 12 bytes in nodes of up to eleven, which are half full at least.
        let buckets = self.buckets.len().div_ceil(5) * allocated(160);
        buckets + self.moments.as_ref().map_or(0, |moments| allocated(size_of::<MomentSketch>()) + moments.heap_size())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn added<A: Accumulator>(values: &[Value]) -> A {
        let mut state = A::default();
        values.iter().for_each(|&value| state.add(&[value], Position::default()).unwrap());
        state
    }

    #[test]
    fn distinct_values_are_estimated_within_the_error() {
        for count in [0, 1, 100, 512, 513, 2000, 10_000, 100_000, 1_000_000] {
            let mut sketch = DistinctSketch::default();
            let values = (0..count).chain(0..count / 2).map(|value: i64| Value::Int(value * 7));
            values.for_each(|value| sketch.add(&[value], Position::default()).unwrap());
            let error = (sketch.estimate() as f64 - count as f64).abs();
            // Four standard errors.
            assert!(error <= 0.065 * count as f64, "{count}: {}", sketch.estimate());
        }
    }

    proptest! {
        #[test]
        fn merging_is_adding(values in prop::collection::vec(-700_i64..700, 0..2000), cut: prop::sample::Index) {
            let values: Vec<Value> = values.into_iter().map(Value::Int).collect();
            let (a, b) = values.split_at(cut.index(values.len() + 1));
            let (mut whole, mut ab, mut ba): (DistinctSketch, DistinctSketch, DistinctSketch) = (added(&values), added(a), added(b));
            let copy: DistinctSketch = added(a);
            ab.merge(&ba);
            ba.merge(&copy);
            let arena = Bump::new();
            let text = |state: &mut DistinctSketch| format!("{:?}", state.finish(&Outcome::Whole, &arena));
            let expected = text(&mut whole);
            prop_assert_eq!([text(&mut ab), text(&mut ba)], [expected.clone(), expected]);
        }

        #[test]
        fn quantiles_are_within_the_error(
            values in prop::collection::vec(prop_oneof![-1e9..1e9_f64, -5.0..5.0, Just(0.0)], 1..200),
            fraction in 0.0..=1.0_f64,
        ) {
            let mut sketch: QuantileSketch = added(&values.iter().map(|&value| Value::Float(value)).collect::<Vec<_>>());
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let place = ((fraction * values.len() as f64).ceil().max(1.0) as usize).min(values.len()) - 1;
            let arena = Bump::new();
            let Ok(Value::Float(found)) = sketch.finish(&Outcome::Quantile(fraction), &arena) else { panic!() };
            prop_assert!((found - sorted[place]).abs() <= sorted[place].abs() / 256.0, "{} {}", found, sorted[place]);
        }
    }
}
