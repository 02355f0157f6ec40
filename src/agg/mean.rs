//! `avg` of dates, timestamps and intervals.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::partial::Partial;
use super::position::Position;
use super::superacc::take;
use crate::expr::Fault;
use crate::value::{Interval, Timestamp, Value};

/// `avg(x)` of moments, which is a timestamp, or of intervals: the exact sum of microseconds divided by the count, rounded
/// once, halves towards zero.
#[derive(Clone, Default)]
pub(super) struct MeanOfMoments {
    sum: i128,
    moments: u64,
    intervals: u64,
}

impl Accumulator for MeanOfMoments {
    const HEAP: bool = false;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| {
            out.extend_from_slice(&state.sum.to_le_bytes());
            out.extend_from_slice(&state.moments.to_le_bytes());
            out.extend_from_slice(&state.intervals.to_le_bytes());
        },
        decode: |input| {
            let sum = i128::from_le_bytes(take(input)?);
            let (moments, intervals) = (u64::from_le_bytes(take(input)?), u64::from_le_bytes(take(input)?));
            Ok(MeanOfMoments { sum, moments, intervals })
        },
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        let (micros, count) = match arguments[0] {
            Value::Null => return Ok(()),
            Value::Timestamp(moment) => (i128::from(moment.0), &mut self.moments),
            Value::Date(day) => (i128::from(day.midnight().ok_or(Fault::Overflow)?.0), &mut self.moments),
            Value::Interval(interval) => (interval.total_micros(), &mut self.intervals),
            _ => return Err(Fault::Type),
        };
        // Each is below 2^73, and there are fewer than 2^54.
        self.sum += micros;
        *count += 1;
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.moments += other.moments;
        self.intervals += other.intervals;
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        if self.moments > 0 && self.intervals > 0 {
            // A moment and an interval have no mean.
            return Err(Fault::Type);
        }
        let count = i128::from(self.moments.max(self.intervals));
        if count == 0 {
            return Ok(Value::Null);
        }
        let (whole, rest) = (self.sum / count, self.sum % count);
        let mean = if rest.abs() * 2 > count { whole + rest.signum() } else { whole };
        match self.intervals {
            0 => i64::try_from(mean).ok().map(|micros| Value::Timestamp(Timestamp(micros))),
            _ => Interval::from_total_micros(mean).map(Value::Interval),
        }
        .ok_or(Fault::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn means_do_not_depend_on_the_order(micros in proptest::collection::vec(any::<i64>(), 1..20), cut: usize) {
            let mean = |parts: &[&[i64]]| {
                let mut all = MeanOfMoments::default();
                for part in parts {
                    let mut state = MeanOfMoments::default();
                    for &micros in *part {
                        state.add(&[Value::Timestamp(Timestamp(micros))], Position::default()).unwrap();
                    }
                    let mut bytes = Vec::new();
                    let Partial::State { encode, decode } = MeanOfMoments::PARTIAL else { unreachable!() };
                    encode(&state, &mut bytes);
                    all.merge(&decode(&mut bytes.as_slice()).unwrap());
                }
                all.finish(&Outcome::Mean, &Bump::new()).map(|value| format!("{value:?}"))
            };
            let cut = cut % micros.len();
            let expected = mean(&[&micros]);
            prop_assert_eq!(&mean(&[&micros[cut..], &micros[..cut]]), &expected);
            let turned: Vec<i64> = micros.iter().rev().copied().collect();
            prop_assert_eq!(&mean(&[&turned]), &expected);
        }
    }

    #[test]
    fn halves_go_towards_zero() {
        let mean = |micros: &[i64]| {
            let mut state = MeanOfMoments::default();
            for &micros in micros {
                let interval = Interval { micros, ..Interval::default() };
                state.add(&[Value::Interval(interval)], Position::default()).unwrap();
            }
            match state.finish(&Outcome::Mean, &Bump::new()) {
                Ok(Value::Interval(mean)) => mean.total_micros(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([mean(&[0, 1]), mean(&[-2, -1]), mean(&[0, 0, 2]), mean(&[0, 0, -2])], [0, -1, 1, -1]);
    }
}
