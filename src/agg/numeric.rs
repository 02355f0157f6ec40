//! The deviations and `median`, over the exact accumulators, and how these take in numbers.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::median::Quantiles;
use super::moments::Moments;
use super::partial::{ItemFold, Partial};
use super::position::Position;
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::Fault;
use crate::value::{Decimal, Interval, Spelling, Timestamp, Value, key, leb128};

/// State that takes in numbers.
pub(super) trait TakesNumbers {
    fn add_int(&mut self, value: i64);
    fn add_wide(&mut self, value: i128);
    fn add_float(&mut self, value: f64);
    fn add_decimal(&mut self, value: Decimal);

    /// Takes in a value that is a number. Says whether it counts: NULL does not.
    ///
    /// # Errors
    /// [`Fault::Type`] for anything else, numbers beyond 128-bit integers and beyond floats among it.
    #[inline]
    fn add_value(&mut self, value: Value) -> Result<bool, Fault> {
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
numbers!(Moments, Quantiles);

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
        self.0.add_value(arguments[0]).map(drop)
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
        join: |own, mut other| {
            // Of values of several kinds the kinds are all that is there.
            if own.is_empty() && other.is_empty() {
                return true;
            }
            let counts = leb128::take(&mut own.as_slice()).zip(leb128::take(&mut other));
            let Some((a, b)) = counts else { return false };
            own.clear();
            leb128::put(a + b, own);
            true
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
                if self.values.add_value(value)? {
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
                    value => _ = neighbours.add_value(value).map_err(|_| damaged())?,
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
