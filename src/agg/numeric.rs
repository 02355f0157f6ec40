//! `sum`, `avg`, the deviations and `median`, over the exact accumulators.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::chunks::Chunks;
use super::median::Quantiles;
use super::moments::Moments;
use super::partial::{ItemFold, Partial};
use super::position::Position;
use super::sum::{ExactSum, Total};
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::{Fault, NumberKind, Numbers, Vector};
use crate::scan::prefetch;
use crate::value::{Decimal, Interval, Spelling, Timestamp, Value, key, leb128};

/// State that takes in numbers.
trait TakesNumbers {
    fn add_int(&mut self, value: i64);
    fn add_wide(&mut self, value: i128);
    fn add_float(&mut self, value: f64);
    fn add_decimal(&mut self, value: Decimal);

    /// Takes in a value that is a number. Says whether it counts: NULL does not.
    ///
    /// # Errors
    /// [`Fault::Type`] for anything else, numbers beyond 128-bit integers and beyond floats among it.
    #[inline]
    fn add(&mut self, value: Value) -> Result<bool, Fault> {
        match value {
            Value::Null => return Ok(false),
            Value::Int(value) => self.add_int(value),
            Value::Float(value) => self.add_float(value),
            Value::Wide(value) => self.add_wide(value.get()),
            Value::Decimal(value) => self.add_decimal(value),
            _ => return Err(Fault::Type),
        }
        Ok(true)
    }
}

macro_rules! numbers {
    ($($state:ident),*) => {$(
        impl TakesNumbers for $state {
            #[inline]
            fn add_int(&mut self, value: i64) {
                $state::add_int(self, value);
            }

            #[inline]
            fn add_wide(&mut self, value: i128) {
                $state::add_wide(self, value);
            }

            #[inline]
            fn add_float(&mut self, value: f64) {
                $state::add_float(self, value);
            }

            fn add_decimal(&mut self, value: Decimal) {
                $state::add_decimal(self, value);
            }
        }
    )*};
}
numbers!(ExactSum, Moments, Quantiles);

/// `sum(x)`: exact, an integer if all values are, a decimal if some are and no floats. And `avg(x)`: that divided by the count, rounded once.
#[derive(Clone, Default)]
pub(super) struct Sum {
    sum: ExactSum,
    count: u64,
}

impl Sum {
    #[inline]
    fn take(&mut self, value: Value) -> Result<(), Fault> {
        self.count += u64::from(self.sum.add(value)?);
        Ok(())
    }

    /// Begins to load what may be in two cache lines.
    #[inline]
    fn prefetch(&self) {
        prefetch(&self.sum);
        prefetch(&self.count);
    }
}

/// From this many states on they do not stay in the nearest caches.
pub(super) const MANY_STATES: usize = 1 << 12;
/// The rows whose states are then prefetched together.
pub(super) const TOGETHER: usize = 64;

/// Rows of one group that follow each other are added together from this number on.
const LONG_RUN: usize = 64;

/// Calls `add` with each run of rows that are of one group.
fn runs(groups: &[u32], mut add: impl FnMut(u32, std::ops::Range<usize>)) {
    let mut start = 0;
    while let Some(&group) = groups.get(start) {
        let len = groups[start..].iter().take_while(|&&other| other == group).count();
        add(group, start..start + len);
        start += len;
    }
}

impl Accumulator for Sum {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| {
            leb128::put(state.count, out);
            if state.count > 0 {
                state.sum.store(out);
            }
        },
        decode: |input| match leb128::take(input).ok_or_else(damaged)? {
            0 => Ok(Sum::default()),
            count => Ok(Sum { count, sum: ExactSum::load(input)? }),
        },
    };

    #[inline]
    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.take(arguments[0])
    }

    fn add_columns(states: &mut Chunks<Self>, groups: &[u32], arguments: &[Vector]) -> Option<usize> {
        if !matches!(arguments, [Vector::Ints(_) | Vector::Floats(_) | Vector::Numbers(_)]) {
            return None;
        }
        let mut grown = 0;
        // Many states lie beyond the nearest caches: some are prefetched at a time, so that the misses overlap.
        let together = if states.len() > MANY_STATES { TOGETHER } else { groups.len().max(1) };
        for (start, groups) in (0..).step_by(together).zip(groups.chunks(together)) {
            if together == TOGETHER {
                groups.iter().for_each(|&group| states.get(group).prefetch());
            }
            runs(groups, |group, run| {
                let run = start + run.start..start + run.end;
                let state = states.get_mut(group);
                let before = state.sum.heap_size();
                let count = match arguments {
                    [Vector::Ints(ints)] => add_ints(&mut state.sum, &ints[run]),
                    [Vector::Floats(floats)] => add_floats(&mut state.sum, &floats[run]),
                    [Vector::Numbers(Numbers { values, kinds })] => {
                        add_numbers(&mut state.sum, &values[run.clone()], &kinds[run])
                    }
                    _ => 0,
                };
                state.count += count as u64;
                grown += state.sum.heap_size() - before;
            });
        }
        Some(grown)
    }

    fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.count += other.count;
    }

    #[inline]
    fn copy(&self) -> Self {
        self.clone()
    }

    fn finish<'a>(&mut self, outcome: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        if *outcome == Outcome::Mean {
            return self.sum.mean(self.count).map(Value::Float).ok_or(Fault::Overflow);
        }
        match self.sum.total() {
            Total::Int(value) => Ok(Value::integer(value)),
            Total::Float(value) => Ok(Value::Float(value)),
            Total::Decimal(value) => Ok(Value::Decimal(value)),
            Total::Overflow => Err(Fault::Overflow),
        }
    }

    fn heap_size(&self) -> usize {
        self.sum.heap_size()
    }
}

/// Adds integers, and gives their number.
#[inline]
fn add_ints(sum: &mut ExactSum, ints: &[i64]) -> usize {
    match ints {
        [value] => sum.add_int(*value),
        ints => sum.add_ints(ints),
    }
    ints.len()
}

/// Adds floats, and gives their number.
#[inline]
fn add_floats(sum: &mut ExactSum, floats: &[f64]) -> usize {
    if floats.len() >= LONG_RUN {
        sum.add_floats(floats);
    } else {
        floats.iter().for_each(|&value| sum.add_float(value));
    }
    floats.len()
}

/// Adds numbers, and gives how many are not NULL.
#[inline]
fn add_numbers(sum: &mut ExactSum, values: &[f64], kinds: &[NumberKind]) -> usize {
    // Once a float is among them, it makes no difference which numbers are added as integers.
    if values.len() >= LONG_RUN && kinds.contains(&NumberKind::Float) && !kinds.contains(&NumberKind::Null) {
        return add_floats(sum, values);
    }
    let mut count = 0;
    for (&value, kind) in values.iter().zip(kinds) {
        count += usize::from(*kind != NumberKind::Null);
        match kind {
            NumberKind::Int => sum.add_int(value as i64),
            NumberKind::Float => sum.add_float(value),
            NumberKind::Null => {}
        }
    }
    count
}

/// Which deviation [`Deviation`] gives.
pub(super) const VAR_SAMP: u8 = 0;
pub(super) const VAR_POP: u8 = 1;
pub(super) const STDDEV_SAMP: u8 = 2;
pub(super) const STDDEV_POP: u8 = 3;

/// `variance(x)`, `stddev(x)` and the like, from the exact sums of the values and of their squares.
#[derive(Default)]
pub(super) struct Deviation<const WHICH: u8>(Moments);

impl<const WHICH: u8> Accumulator for Deviation<WHICH> {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> =
        Partial::State { encode: |state, out| state.0.store(out), decode: |input| Moments::load(input).map(Deviation) };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.0.add(arguments[0]).map(drop)
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        let fewest = if matches!(WHICH, VAR_POP | STDDEV_POP) { 1 } else { 2 };
        if self.0.count() < fewest {
            return Ok(Value::Null);
        }
        let result = match WHICH {
            VAR_SAMP => self.0.variance_samp(),
            VAR_POP => self.0.variance_pop(),
            STDDEV_SAMP => self.0.stddev_samp(),
            _ => self.0.stddev_pop(),
        };
        result.map(Value::Float).ok_or(Fault::Overflow)
    }

    fn heap_size(&self) -> usize {
        self.0.heap_size()
    }
}

/// `median(x)` and `quantile_cont(x, fraction)`: exact, between the two neighbours of the place. Of dates and timestamps it
/// is a timestamp, of which the microseconds are kept; so they are of intervals.
#[derive(Default)]
pub(super) struct Middle {
    values: Quantiles,
    seen: Seen,
}

/// The kinds of values that a quantile is of. Between two of different kinds there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Number,
    Moment,
    Interval,
}

/// Which kinds of values there were.
#[derive(Clone, Copy, Default)]
struct Seen([bool; 3]);

impl Seen {
    const KINDS: [Kind; 3] = [Kind::Number, Kind::Moment, Kind::Interval];

    fn add(&mut self, kind: Kind) {
        self.0[kind as usize] = true;
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        Seen::KINDS.into_iter().filter(|&kind| self.0[kind as usize])
    }

    /// The kind of all values, numbers if there are none.
    fn only(&self) -> Result<Kind, Fault> {
        let mut kinds = self.kinds();
        match (kinds.next(), kinds.next()) {
            (_, Some(_)) => Err(Fault::Type),
            (kind, None) => Ok(kind.unwrap_or(Kind::Number)),
        }
    }
}

impl Accumulator for Middle {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::Items {
        rows: |state| state.values.count() as u64,
        items: |state, take| {
            let Ok(kind) = state.seen.only() else {
                // There is no result; the kinds are all that counts.
                return state.seen.kinds().try_for_each(|kind| take(&[kind as u8], &[]));
            };
            let (mut key, mut rows) = (Vec::new(), Vec::new());
            state.values.for_each_sorted(|value, count| {
                key.clear();
                rows.clear();
                key.push(kind as u8);
                key::encode(value, &mut key);
                leb128::put(count, &mut rows);
                take(&key, &rows)
            })
        },
        fold: |rows, outcome| Box::new(MiddleFold::new(rows, outcome)),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        let (kind, micros) = match arguments[0] {
            Value::Timestamp(moment) => (Kind::Moment, moment.0),
            Value::Date(day) => (Kind::Moment, day.midnight().ok_or(Fault::Overflow)?.0),
            Value::Interval(interval) => {
                (Kind::Interval, i64::try_from(interval.total_micros()).map_err(|_| Fault::Overflow)?)
            }
            value => {
                if self.values.add(value)? {
                    self.seen.add(Kind::Number);
                }
                return Ok(());
            }
        };
        self.seen.add(kind);
        self.values.add_int(micros);
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.values.merge(&other.values);
        other.seen.kinds().for_each(|kind| self.seen.add(kind));
    }

    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let kind = self.seen.only()?;
        outcome.quantiles(arena, |fraction| Ok(middle(&mut self.values, fraction, kind)))
    }

    fn heap_size(&self) -> usize {
        self.values.heap_size()
    }
}

/// Quantiles of values that come in order. The key of an item begins with their kind.
struct MiddleFold {
    outcome: Outcome,
    taken: u64,
    seen: Seen,
    wanted: Vec<Place>,
}

/// The place of a quantile among the values.
struct Place {
    fraction: f64,
    /// How many values come before its lower neighbour.
    before: u64,
    /// How far from the lower to the upper neighbour it is.
    between: f64,
    neighbours: Quantiles,
}

impl MiddleFold {
    fn new(rows: u64, outcome: &Outcome) -> MiddleFold {
        let place = |&fraction: &f64| {
            let (before, between) = Quantiles::place(rows as usize, fraction);
            Place { fraction, before: before as u64, between, neighbours: Quantiles::default() }
        };
        let wanted = outcome.fractions().iter().map(place).collect();
        MiddleFold { outcome: outcome.clone(), taken: 0, seen: Seen::default(), wanted }
    }
}

impl ItemFold for MiddleFold {
    fn take(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        let (kind, mut key) = key.split_first().ok_or_else(damaged)?;
        let kind = Seen::KINDS.into_iter().find(|known| *known as u8 == *kind).ok_or_else(damaged)?;
        self.seen.add(kind);
        if key.is_empty() {
            return Ok(());
        }
        let after = self.taken + leb128::take(&mut &*payload).ok_or_else(damaged)?;
        let arena = Bump::new();
        let value = key::decode(&mut key, Spelling::USUAL, &arena).ok_or_else(damaged)?;
        for Place { before, neighbours, .. } in &mut self.wanted {
            // Of the two neighbours, those that are among these values.
            let count = after.min(*before + 2).saturating_sub(self.taken.max(*before));
            for _ in 0..count {
                match value {
                    // Moments and intervals are microseconds, which are integers.
                    Value::Float(micros) if kind != Kind::Number => neighbours.add_int(micros as i64),
                    value => _ = neighbours.add(value).map_err(|_| damaged())?,
                }
            }
        }
        self.taken = after;
        Ok(())
    }

    fn finish<'a>(&mut self, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let (wanted, kind) = (&mut self.wanted, self.seen.only()?);
        self.outcome.quantiles(arena, |fraction| {
            let place = wanted.iter_mut().find(|place| place.fraction == fraction);
            let Some(Place { between, neighbours, .. }) = place else { return Ok(Value::Null) };
            // Of two values the place of a fraction is just as far from the lower one.
            let fraction = if neighbours.count() > 1 { *between } else { 0.0 };
            Ok(middle(neighbours, fraction, kind))
        })
    }

    fn size(&self) -> usize {
        self.wanted.iter().map(|place| size_of::<Place>() + place.neighbours.heap_size()).sum()
    }
}

/// A quantile of numbers, or of the microseconds of moments or intervals.
fn middle(values: &mut Quantiles, fraction: f64, kind: Kind) -> Value<'static> {
    let value = match kind {
        Kind::Number => values.quantile_cont(fraction).map(Value::Float),
        Kind::Moment => values.quantile_int(fraction).map(|micros| Value::Timestamp(Timestamp(micros))),
        Kind::Interval => {
            let micros = values.quantile_int(fraction).map(i128::from);
            micros.and_then(Interval::from_total_micros).map(Value::Interval)
        }
    };
    value.unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agg::Position;

    proptest! {
        #[test]
        fn columns_agree_with_rows(
            many: bool,
            rows in proptest::collection::vec((0u32..3, 1usize..100, prop_oneof![
                (-50i64..50).prop_map(|value| (value as f64, NumberKind::Int)),
                any::<i32>().prop_map(|value| (f64::from(value) / 64.0, NumberKind::Float)),
                any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|value| (value, NumberKind::Float)),
                Just((0.0, NumberKind::Null)),
            ]), 0..20),
            only: u8,
        ) {
            let kept = rows.into_iter().filter(|(.., (_, kind))| match only % 3 {
                0 => *kind == NumberKind::Int,
                1 => *kind == NumberKind::Float,
                _ => true,
            });
            // Runs of a group, some of them long.
            let (mut groups, mut values, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
            for (group, len, (value, kind)) in kept {
                groups.extend(std::iter::repeat_n(group, len));
                values.extend(std::iter::repeat_n(value, len));
                kinds.extend(std::iter::repeat_n(kind, len));
            }
            let ints: Vec<i64> = values.iter().map(|&value| value as i64).collect();
            let column = match only % 3 {
                0 => Vector::Ints(&ints),
                1 => Vector::Floats(&values),
                _ => Vector::Numbers(Numbers { values: &values, kinds: &kinds }),
            };
            let (mut quick, mut slow) = (Chunks::<Sum>::default(), Chunks::<Sum>::default());
            let states = if many { MANY_STATES + 1 } else { 3 };
            quick.grow(states);
            slow.grow(states);
            let grown = Sum::add_columns(&mut quick, &groups, &[column]);
            for (row, &group) in groups.iter().enumerate() {
                slow.get_mut(group).add(&[column.get(row)], Position::default()).unwrap();
            }
            prop_assert_eq!(grown, Some(quick.iter().map(Sum::heap_size).sum()));
            let arena = Bump::new();
            for group in 0..3 {
                for outcome in [Outcome::Whole, Outcome::Mean] {
                    let text = |result: Result<Value, Fault>| format!("{result:?}");
                    prop_assert_eq!(
                        text(quick.get_mut(group).finish(&outcome, &arena)),
                        text(slow.get_mut(group).finish(&outcome, &arena)),
                    );
                }
            }
        }
    }
}
