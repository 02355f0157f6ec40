//! `sum(x)` and `avg(x)`.
//!
//! There may be a state for each of millions of groups, and what is slow then is to load them. So a state is half a cache
//! line while its numbers allow for that, and an [`ExactSum`] in a box once they do not. The form that it has depends on
//! the order of the adds; the number that it stands for does not.

use std::num::NonZeroU64;
use std::ops::Range;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::chunks::{Chunks, TOGETHER};
use super::exact::{CASCADE_LIMIT, Small, two_sum};
use super::numeric::TakesNumbers;
use super::partial::Partial;
use super::position::Position;
use super::sum::{ExactSum, Total};
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::{Fault, NumberKind, Numbers, Vector};
use crate::memory::allocated;
use crate::value::{Decimal, Value, leb128};

/// From this many rows of one group on they are added together.
const LONG_RUN: usize = TOGETHER;

/// `sum(x)`: exact, an integer if all values are, a decimal if some are and no floats. And `avg(x)`: that divided by the count, rounded once.
#[derive(Clone)]
pub(super) enum Sum {
    Light(Light),
    Heavy(Box<Heavy>),
}

/// A sum of integers that 64 bits hold; and of floats whose exact sum two f64 hold, or of decimals whose digits 64 bits hold:
/// see [`ExactSum`].
#[derive(Clone, Copy)]
pub(super) struct Light {
    /// How many numbers there are, times 8; more by 4 if any is a decimal, by 2 if any is a float; and by 1, so that it is
    /// never 0, which stands for the other form.
    tally: NonZeroU64,
    ints: i64,
    /// The bits of two f64, of which the first is below [`CASCADE_LIMIT`] in magnitude; where there are decimals, their
    /// digits, and the largest of their scales.
    rest: [u64; 2],
}

/// A sum of any numbers, and how many they are.
#[derive(Clone, Default)]
pub(super) struct Heavy {
    sum: ExactSum,
    count: u64,
}

const _: () = assert!(size_of::<Sum>() == 32, "two states share a cache line");

impl Light {
    const EMPTY: Light = Light { tally: NonZeroU64::MIN, ints: 0, rest: [0; 2] };
    const ONE: u64 = 8;
    const ANY_DECIMAL: u64 = 4;
    const ANY_FLOAT: u64 = 2;

    fn count(&self) -> u64 {
        self.tally.get() / Light::ONE
    }

    fn any_float(&self) -> bool {
        self.tally.get() & Light::ANY_FLOAT != 0
    }

    fn any_decimal(&self) -> bool {
        self.tally.get() & Light::ANY_DECIMAL != 0
    }

    /// The floats; zeros if there are none, and if there are no decimals.
    fn floats(&self) -> [f64; 2] {
        self.rest.map(f64::from_bits)
    }

    /// The digits and the scale of the decimals; zeros if there are none, and if there are no floats.
    fn decimals(&self) -> (i64, u8) {
        (self.rest[0] as i64, self.rest[1] as u8)
    }

    /// Adds an integer; does nothing and says so if the form does not allow for it.
    #[inline(always)]
    fn add_int(&mut self, x: i64) -> bool {
        let (sum, overflows) = self.ints.overflowing_add(x);
        if !overflows {
            self.ints = sum;
            self.tally = self.tally.saturating_add(Light::ONE);
        }
        !overflows
    }

    /// Adds a finite float; does nothing and says so if the form does not allow for it.
    #[inline(always)]
    fn add_float(&mut self, x: f64) -> bool {
        let fits = self.add_part(x);
        if fits {
            self.tally = self.tally.saturating_add(Light::ONE) | Light::ANY_FLOAT;
        }
        fits
    }

    /// Adds to the floats without counting.
    #[inline(always)]
    fn add_part(&mut self, x: f64) -> bool {
        let [a, b] = self.floats();
        let (first, error) = two_sum(a, x);
        let (second, lost) = two_sum(b, error);
        // Not so if there was an overflow on the way, which leaves a NaN.
        let fits = lost == 0.0 && first.abs() < CASCADE_LIMIT && !self.any_decimal();
        if fits {
            self.rest = [first, second].map(f64::to_bits);
        }
        fits
    }

    /// Moves what the first float can take of the second there, which may make room for more.
    fn renormalise(&mut self) {
        let [a, b] = self.floats();
        let (first, second) = two_sum(a, b);
        if first.abs() < CASCADE_LIMIT && !self.any_decimal() {
            self.rest = [first, second].map(f64::to_bits);
        }
    }

    /// Adds a decimal; does nothing and says so if the form does not allow for it.
    #[inline(always)]
    fn add_decimal(&mut self, x: Decimal) -> bool {
        let fits = i64::try_from(x.digits()).is_ok_and(|digits| self.add_digits(digits, x.scale()));
        if fits {
            self.tally = self.tally.saturating_add(Light::ONE) | Light::ANY_DECIMAL;
        }
        fits
    }

    /// Adds to the decimals without counting.
    #[inline(always)]
    fn add_digits(&mut self, digits: i64, scale: u8) -> bool {
        let (own, own_scale) = self.decimals();
        if scale == own_scale
            && !self.any_float()
            && let Some(sum) = own.checked_add(digits)
        {
            self.rest[0] = sum as u64;
            return true;
        }
        self.add_digits_slowly(digits, scale)
    }

    #[cold]
    fn add_digits_slowly(&mut self, digits: i64, scale: u8) -> bool {
        if self.any_float() {
            return false;
        }
        let (own, own_scale) = self.decimals();
        let larger = scale.max(own_scale);
        let raised = |digits: i64, scale: u8| digits.checked_mul(10i64.checked_pow(u32::from(larger - scale))?);
        let sum = raised(own, own_scale).zip(raised(digits, scale)).and_then(|(a, b)| a.checked_add(b));
        if let Some(sum) = sum {
            self.rest = [sum as u64, larger.into()];
        }
        sum.is_some()
    }

    /// The sum of two, if it has the form.
    fn merged(mut self, other: &Light) -> Option<Light> {
        self.ints = self.ints.checked_add(other.ints)?;
        let fits = if other.any_decimal() {
            let (digits, scale) = other.decimals();
            self.add_digits(digits, scale)
        } else {
            let [a, b] = other.floats();
            !other.any_float() || self.add_part(a) && self.add_part(b)
        };
        let counts = self.tally.get() / Light::ONE + other.tally.get() / Light::ONE;
        let flags = (self.tally | other.tally.get()).get() % Light::ONE;
        self.tally = NonZeroU64::new(counts * Light::ONE + flags)?;
        fits.then_some(self)
    }

    fn to_exact(self) -> ExactSum {
        let mut sum = ExactSum::default();
        sum.add_int(self.ints);
        if self.any_float() {
            self.floats().into_iter().for_each(|part| sum.add_float(part));
        }
        if self.any_decimal() {
            let (digits, scale) = self.decimals();
            sum.add_digits(digits.into(), scale);
        }
        sum
    }
}

impl Default for Sum {
    fn default() -> Sum {
        Sum::Light(Light::EMPTY)
    }
}

impl Sum {
    /// The state of `count` numbers.
    fn of(sum: ExactSum, count: u64) -> Sum {
        match sum.light() {
            Some((ints, rest)) => {
                let (flags, rest) = match rest {
                    Small::Nothing => (0, [0; 2]),
                    Small::Floats(floats) => (Light::ANY_FLOAT, floats.map(f64::to_bits)),
                    Small::Decimals(digits, scale) => (Light::ANY_DECIMAL, [digits as u64, scale.into()]),
                };
                let tally = NonZeroU64::MIN | (count * Light::ONE + flags);
                Sum::Light(Light { tally, ints, rest })
            }
            None => Sum::Heavy(Box::new(Heavy { sum, count })),
        }
    }

    #[inline(always)]
    fn light(&mut self) -> Option<&mut Light> {
        match self {
            Sum::Light(light) => Some(light),
            Sum::Heavy(_) => None,
        }
    }

    fn count(&self) -> u64 {
        match self {
            Sum::Light(light) => light.count(),
            Sum::Heavy(heavy) => heavy.count,
        }
    }

    fn to_exact(&self) -> ExactSum {
        match self {
            Sum::Light(light) => light.to_exact(),
            Sum::Heavy(heavy) => heavy.sum.clone(),
        }
    }

    /// The form that takes everything.
    #[cold]
    fn heavy(&mut self) -> &mut Heavy {
        if let Sum::Light(light) = self {
            *self = Sum::Heavy(Box::new(Heavy { sum: light.to_exact(), count: light.count() }));
        }
        match self {
            Sum::Heavy(heavy) => heavy,
            Sum::Light(_) => unreachable!("it has been made heavy"),
        }
    }

    /// Adds in the way that always works.
    #[cold]
    fn add_slowly(&mut self, add: impl Fn(&mut Light) -> bool, add_heavy: impl FnOnce(&mut ExactSum)) {
        if let Sum::Light(light) = self {
            light.renormalise();
            if add(light) {
                return;
            }
        }
        let heavy = self.heavy();
        add_heavy(&mut heavy.sum);
        heavy.count += 1;
    }

    /// Adds numbers, faster than one by one if they are many.
    fn add_all(&mut self, count: usize, add: impl FnOnce(&mut ExactSum)) {
        match self {
            Sum::Light(light) => {
                let mut sum = light.to_exact();
                add(&mut sum);
                *self = Sum::of(sum, light.count() + count as u64);
            }
            Sum::Heavy(heavy) => {
                add(&mut heavy.sum);
                heavy.count += count as u64;
            }
        }
    }

    fn add_ints(&mut self, ints: &[i64]) {
        match ints {
            [value] => self.add_int(*value),
            ints => self.add_all(ints.len(), |sum| sum.add_ints(ints)),
        }
    }

    fn add_floats(&mut self, floats: &[f64]) {
        if floats.len() >= LONG_RUN {
            self.add_all(floats.len(), |sum| sum.add_floats(floats));
        } else {
            floats.iter().for_each(|&value| self.add_float(value));
        }
    }

    fn add_decimals(&mut self, decimals: &[Decimal]) {
        match decimals {
            [value] => self.add_decimal(*value),
            decimals => self.add_all(decimals.len(), |sum| decimals.iter().for_each(|&value| sum.add_decimal(value))),
        }
    }

    fn add_numbers(&mut self, values: &[f64], kinds: &[NumberKind]) {
        // Once a float is among them, it makes no difference which numbers are added as integers.
        if values.len() >= LONG_RUN && kinds.contains(&NumberKind::Float) && !kinds.contains(&NumberKind::Null) {
            return self.add_floats(values);
        }
        for (&value, kind) in values.iter().zip(kinds) {
            match kind {
                NumberKind::Int => self.add_int(value as i64),
                NumberKind::Float => self.add_float(value),
                NumberKind::Null => {}
            }
        }
    }

    /// The bytes on the heap that a change takes.
    #[cold]
    fn growth_of(&mut self, change: impl FnOnce(&mut Sum)) -> usize {
        let before = self.heap_size();
        change(self);
        self.heap_size() - before
    }
}

impl TakesNumbers for Sum {
    #[inline]
    fn add_int(&mut self, x: i64) {
        if !self.light().is_some_and(|light| light.add_int(x)) {
            self.add_slowly(|light| light.add_int(x), |sum| sum.add_int(x));
        }
    }

    fn add_wide(&mut self, x: i128) {
        self.add_slowly(|_| false, |sum| sum.add_wide(x));
    }

    #[inline]
    fn add_float(&mut self, x: f64) {
        if !self.light().is_some_and(|light| light.add_float(x)) {
            self.add_slowly(|light| light.add_float(x), |sum| sum.add_float(x));
        }
    }

    #[inline]
    fn add_decimal(&mut self, x: Decimal) {
        if !self.light().is_some_and(|light| light.add_decimal(x)) {
            self.add_slowly(|_| false, |sum| sum.add_decimal(x));
        }
    }
}

/// Adds rows to the states of their groups: each with `add`, or, where that says that it could not, or where many rows
/// that follow each other are of one group, with `add_run`. Gives the bytes that the states take more on the heap.
#[inline(always)]
fn add_rows(
    states: &mut Chunks<Sum>,
    groups: &[u32],
    add: impl Fn(&mut Light, usize) -> bool,
    add_run: impl Fn(&mut Sum, Range<usize>),
) -> usize {
    let mut grown = 0;
    let together = if states.len() == 1 { groups.len().max(1) } else { TOGETHER };
    for (start, groups) in (0..).step_by(together).zip(groups.chunks(together)) {
        let rows = start..start + groups.len();
        if groups.len() >= LONG_RUN && groups.iter().all(|&group| group == groups[0]) {
            grown += states.get_mut(groups[0]).growth_of(|state| add_run(state, rows));
            continue;
        }
        states.prefetch_if_many(groups);
        for (row, &group) in rows.zip(groups) {
            let state = states.get_mut(group);
            if !state.light().is_some_and(|light| add(light, row)) {
                grown += state.growth_of(|state| add_run(state, row..row + 1));
            }
        }
    }
    grown
}

impl Accumulator for Sum {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| {
            leb128::put(state.count(), out);
            if state.count() > 0 {
                state.to_exact().store(out);
            }
        },
        decode: |input| match leb128::take(input).ok_or_else(damaged)? {
            0 => Ok(Sum::default()),
            count => Ok(Sum::of(ExactSum::load(input)?, count)),
        },
    };

    #[inline]
    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        self.add_value(arguments[0]).map(drop)
    }

    fn add_columns(states: &mut Chunks<Self>, groups: &[u32], arguments: &[Vector]) -> Option<usize> {
        let grown = match *arguments {
            [Vector::Ints(ints)] => add_rows(
                states,
                groups,
                |light, row| light.add_int(ints[row]),
                |state, rows| state.add_ints(&ints[rows]),
            ),
            [Vector::Floats(floats)] => add_rows(
                states,
                groups,
                |light, row| light.add_float(floats[row]),
                |state, rows| state.add_floats(&floats[rows]),
            ),
            [Vector::Numbers(Numbers { values, kinds })] => add_rows(
                states,
                groups,
                |light, row| match kinds[row] {
                    NumberKind::Int => light.add_int(values[row] as i64),
                    NumberKind::Float => light.add_float(values[row]),
                    NumberKind::Null => true,
                },
                |state, rows| state.add_numbers(&values[rows.clone()], &kinds[rows]),
            ),
            [Vector::Decimals(decimals)] => add_rows(
                states,
                groups,
                |light, row| light.add_decimal(decimals[row]),
                |state, rows| state.add_decimals(&decimals[rows]),
            ),
            _ => return None,
        };
        Some(grown)
    }

    fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Sum::Light(own), Sum::Light(other)) if let Some(both) = own.merged(other) => *own = both,
            _ => {
                let heavy = self.heavy();
                heavy.count += other.count();
                match other {
                    Sum::Light(light) => heavy.sum.merge(&light.to_exact()),
                    Sum::Heavy(other) => heavy.sum.merge(&other.sum),
                }
            }
        }
    }

    #[inline]
    fn copy(&self) -> Self {
        self.clone()
    }

    fn finish<'a>(&mut self, outcome: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        let (sum, count) = (self.to_exact(), self.count());
        if count == 0 {
            return Ok(Value::Null);
        }
        if *outcome == Outcome::Mean {
            return sum.mean(count).map(Value::Float).ok_or(Fault::Overflow);
        }
        match sum.total() {
            Total::Int(value) => Ok(Value::integer(value)),
            Total::Float(value) => Ok(Value::Float(value)),
            Total::Decimal(value) => Ok(Value::Decimal(value)),
            Total::Overflow => Err(Fault::Overflow),
        }
    }

    fn heap_size(&self) -> usize {
        match self {
            Sum::Light(_) => 0,
            Sum::Heavy(heavy) => allocated(size_of::<Heavy>()) + heavy.sum.heap_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agg::chunks::MANY_STATES;

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
            let kept = rows.into_iter().filter(|(.., (_, kind))| match only % 4 {
                0 | 3 => *kind == NumberKind::Int,
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
            let decimal = |(at, &value): (usize, &i64)| Decimal::new(i128::from(value) << (at % 3 * 20), (at % 5) as u8).unwrap();
            let decimals: Vec<Decimal> = ints.iter().enumerate().map(decimal).collect();
            let column = match only % 4 {
                0 => Vector::Ints(&ints),
                1 => Vector::Floats(&values),
                3 => Vector::Decimals(&decimals),
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

        #[test]
        fn states_agree_with_exact_sums(
            values in proptest::collection::vec(prop_oneof![
                (-50i64..50).prop_map(Value::Int),
                any::<i64>().prop_map(Value::Int),
                any::<i32>().prop_map(|value| Value::Float(f64::from(value) / 64.0)),
                (0i32..9).prop_map(|_| Value::Float(-0.0)),
                any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::Float),
                (any::<i64>(), 0u8..5).prop_map(|(digits, scale)| Value::Decimal(Decimal::new(digits.into(), scale).unwrap())),
                (-9999i128..9999, 0u8..37).prop_map(|(digits, scale)| Value::Decimal(Decimal::new(digits, scale).unwrap())),
                (any::<i64>(), any::<i32>()).prop_map(|(a, b)| Value::Decimal(Decimal::new(i128::from(a) * i128::from(b), 3).unwrap())),
            ], 0..20),
            kinds: u8,
            cut: usize,
        ) {
            let is_kept = |value: &&Value| match value {
                Value::Int(_) => kinds & 1 == 0,
                Value::Float(_) => kinds & 2 == 0,
                _ => kinds & 12 == 0,
            };
            let values: Vec<Value> = values.iter().filter(is_kept).copied().collect();
            let mut exact = ExactSum::default();
            for value in &values {
                match value {
                    Value::Int(value) => exact.add_int(*value),
                    Value::Float(value) => exact.add_float(*value),
                    Value::Decimal(value) => exact.add_decimal(*value),
                    _ => unreachable!("there are no others"),
                }
            }
            let state = |values: &[Value]| {
                let mut state = Sum::default();
                for value in values {
                    state.add(&[*value], Position::default()).unwrap();
                }
                state
            };
            let (first, second) = values.split_at(cut % (values.len() + 1));
            let Partial::State { encode, decode } = Sum::PARTIAL else { unreachable!("it has a size") };
            let mut bytes = Vec::new();
            encode(&state(second), &mut bytes);
            let mut merged = state(first);
            merged.merge(&decode(&mut bytes.as_slice()).unwrap());
            for state in [state(&values), merged] {
                prop_assert_eq!(state.count(), values.len() as u64);
                let (mut own, mut expected) = (Vec::new(), Vec::new());
                state.to_exact().encode(&mut own);
                exact.encode(&mut expected);
                prop_assert_eq!(own, expected);
            }
        }
    }
}
