//! The quantiles of dates and timestamps, estimated: how many are in each stretch of time.
//!
//! # How it works
//! A stretch is 2^k microseconds long, and as long as must be for at most [`MOST`] of them to have moments in them. Whether
//! that is so for a k depends on the moments alone, and more moments never make k smaller; so the state is the same for any
//! order of adds and merges. Up to [`MOST`] different moments are told exactly, and an error is a few parts in ten thousand
//! of the time from the first moment to the last, if there are moments in most of it.

use std::collections::BTreeMap;

use super::superacc::{damaged, take};
use crate::error::Result;
use crate::memory::allocated;
use crate::value::{Timestamp, Value, leb128};

/// The most stretches of time that are kept apart.
const MOST: usize = 4096;

/// See the [module](self).
#[derive(Default)]
pub(super) struct MomentSketch {
    /// By the number of the stretch, counted from 1970: the moments in it.
    stretches: BTreeMap<i64, u64>,
    /// The length of a stretch, as the power of two of microseconds.
    log: u32,
    count: u64,
    /// Whether one of them is no day.
    has_times: bool,
}

impl MomentSketch {
    /// Adds a date or a timestamp, of which the microseconds are given.
    pub(super) fn add(&mut self, micros: i64, is_day: bool) {
        self.has_times |= !is_day;
        self.count += 1;
        *self.stretches.entry(micros >> self.log).or_default() += 1;
        self.shorten();
    }

    /// Adds everything that was added to another.
    pub(super) fn merge(&mut self, other: &MomentSketch) {
        self.has_times |= other.has_times;
        self.count += other.count;
        if self.log < other.log {
            self.lengthen(other.log - self.log);
        }
        for (&stretch, count) in &other.stretches {
            *self.stretches.entry(stretch >> (self.log - other.log)).or_default() += count;
        }
        self.shorten();
    }

    /// Makes stretches longer until they are few enough.
    fn shorten(&mut self) {
        while self.stretches.len() > MOST {
            self.lengthen(1);
        }
    }

    fn lengthen(&mut self, more: u32) {
        self.log += more;
        let mut longer = BTreeMap::new();
        for (stretch, count) in std::mem::take(&mut self.stretches) {
            *longer.entry(stretch >> more).or_default() += count;
        }
        self.stretches = longer;
    }

    /// The start of the first stretch that so large a part of the moments is not behind: a date, if all were. NULL if there
    /// are none.
    pub(super) fn quantile(&self, fraction: f64) -> Value<'static> {
        let place = (fraction * self.count as f64).ceil().max(1.0) as u64;
        let mut before = 0;
        let found = self.stretches.iter().find(|(_, count)| {
            before += **count;
            before >= place
        });
        let Some((&stretch, _)) = found else { return Value::Null };
        let moment = Timestamp(stretch << self.log);
        if self.has_times { Value::Timestamp(moment) } else { Value::Date(moment.date()) }
    }

    /// Appends the state's bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.log as u8, u8::from(self.has_times)]);
        leb128::put(self.stretches.len() as u64, out);
        for (stretch, count) in &self.stretches {
            out.extend_from_slice(&stretch.to_le_bytes());
            leb128::put(*count, out);
        }
    }

    /// Takes a state from the start of some bytes.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) if they are damaged.
    pub(super) fn decode(input: &mut &[u8]) -> Result<MomentSketch> {
        let [log @ 0..64, has_times] = take(input)? else { return Err(damaged()) };
        let mut sketch = MomentSketch { log: log.into(), has_times: has_times != 0, ..MomentSketch::default() };
        for _ in 0..leb128::take(input).ok_or_else(damaged)? {
            let (stretch, count) = (i64::from_le_bytes(take(input)?), leb128::take(input).ok_or_else(damaged)?);
            sketch.stretches.insert(stretch, count);
            sketch.count = sketch.count.saturating_add(count);
        }
        Ok(sketch)
    }

    /// The bytes on the heap.
    pub(super) fn heap_size(&self) -> usize {
        // Entries of 16 bytes in nodes of up to eleven, which are half full at least.
        self.stretches.len().div_ceil(5) * allocated(208)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(moments: &[i64]) -> MomentSketch {
        let mut sketch = MomentSketch::default();
        moments.iter().for_each(|&micros| sketch.add(micros, false));
        sketch
    }

    fn state(sketch: &MomentSketch) -> (u32, Vec<(i64, u64)>) {
        (sketch.log, sketch.stretches.iter().map(|(stretch, count)| (*stretch, *count)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_order_gives_the_same_state(
            mut moments in prop::collection::vec(-(1_i64 << 50)..1 << 50, 0..12_000),
            cut: prop::sample::Index,
        ) {
            let whole = of(&moments);
            let (a, b) = moments.split_at(cut.index(moments.len() + 1));
            let mut merged = of(b);
            merged.merge(&of(a));
            prop_assert_eq!(state(&merged), state(&whole));
            moments.sort_unstable();
            prop_assert_eq!(state(&of(&moments)), state(&whole));
            prop_assert!(whole.stretches.len() <= MOST);
            for fraction in [0.0, 0.1, 0.5, 0.99, 1.0] {
                let place = ((fraction * moments.len() as f64).ceil().max(1.0) as usize).min(moments.len());
                match (whole.quantile(fraction), place.checked_sub(1).map(|place| moments[place])) {
                    (Value::Timestamp(found), Some(exact)) => prop_assert!((0..1 << whole.log).contains(&(exact - found.0))),
                    (found, exact) => prop_assert!(matches!(found, Value::Null) && exact.is_none()),
                }
            }
        }
    }
}
