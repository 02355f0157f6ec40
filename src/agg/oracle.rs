//! What the tests of exact arithmetic compare with: rationals, and a rounding that only compares them.

#![allow(clippy::unwrap_used)]

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, Zero};
use proptest::prelude::*;

use crate::value::Decimal;

/// A number that aggregates accept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Wide(i128),
    Float(f64),
    Decimal(Decimal),
}

impl Number {
    /// The number as a rational.
    pub(super) fn rational(self) -> BigRational {
        match self {
            Number::Int(x) => BigInt::from(x).into(),
            Number::Wide(x) => BigInt::from(x).into(),
            Number::Float(x) => BigRational::from_float(x).unwrap(),
            Number::Decimal(x) => BigRational::new(x.digits().into(), BigInt::from(10).pow(u32::from(x.scale()))),
        }
    }
}

/// A float that is not NaN as a rational: infinity as if the exponents went on, as rounding sees it.
fn value(x: f64) -> BigRational {
    match x {
        f64::INFINITY => BigRational::from(BigInt::from(1) << 1024),
        finite => BigRational::from_float(finite).unwrap(),
    }
}

/// The nearest f64, ties to even, found by bisection of the bit patterns; infinity from 2^1024 − 2^970 on.
pub(super) fn nearest(x: &BigRational) -> f64 {
    let magnitude = x.abs();
    let (mut low, mut high) = (0, f64::INFINITY.to_bits());
    if magnitude >= value(f64::INFINITY) {
        low = high;
    }
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if value(f64::from_bits(middle)) <= magnitude {
            low = middle;
        } else {
            high = middle;
        }
    }
    if low < high {
        let (down, up) = (&magnitude - value(f64::from_bits(low)), value(f64::from_bits(high)) - &magnitude);
        if down > up || (down == up && low % 2 == 1) {
            low = high;
        }
    }
    let rounded = f64::from_bits(low);
    if x.is_negative() && low != 0 { -rounded } else { rounded }
}

/// Whether `root` is the f64 nearest to the square root of `x`, or infinity if that is beyond f64.
pub(super) fn is_nearest_sqrt(root: f64, x: &BigRational) -> bool {
    if x.is_zero() {
        return root == 0.0;
    }
    // The squares of the points half way to the neighbours.
    let edge = |neighbour: f64| ((value(neighbour) + value(root)) / BigInt::from(2)).pow(2);
    let (low, high) = (edge(root.next_down()), edge(root.next_up()));
    match root.to_bits() & 1 {
        _ if root == f64::INFINITY => low <= *x,
        0 => low <= *x && *x <= high,
        _ => low < *x && *x < high,
    }
}

/// Floats of every exponent, of money and of small integers, and the special ones.
pub(super) fn float() -> impl Strategy<Value = f64> {
    let every = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite());
    let huge = (0u64..1 << 54, any::<bool>()).prop_map(|(below, negative)| {
        let x = f64::from_bits(f64::MAX.to_bits() - below);
        if negative { -x } else { x }
    });
    let tiny = (0u64..1 << 54, any::<bool>())
        .prop_map(|(bits, negative)| f64::from_bits(bits) * if negative { -1.0 } else { 1.0 });
    prop_oneof![
        4 => every,
        4 => (-10_000_000i64..10_000_000).prop_map(|cents| cents as f64 / 100.0),
        2 => (-60i32..60, -3i8..4).prop_map(|(power, x)| f64::from(x) * 2f64.powi(power)),
        1 => huge,
        1 => tiny,
        1 => prop::sample::select(vec![0.0, -0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN, 1e300, -1e300]),
    ]
}

/// Integers of 64 bits, often extreme.
pub(super) fn int() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -1000i64..1000, prop::sample::select(vec![i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1])]
}

/// Integers of 128 bits, often extreme.
pub(super) fn wide() -> impl Strategy<Value = i128> {
    prop_oneof![
        any::<i128>(),
        int().prop_map(i128::from),
        prop::sample::select(vec![i128::MIN, i128::MAX, i128::MAX - 1])
    ]
}

/// Decimals: of money, and with as many digits as can be.
pub(super) fn decimal() -> impl Strategy<Value = Decimal> {
    let digits = prop_oneof![
        -100_000i128..100_000,
        any::<i128>().prop_map(|digits| digits % 10i128.pow(36)),
        prop::sample::select(vec![0, 1, 10i128.pow(36) - 1, 1 - 10i128.pow(36)]),
    ];
    (digits, prop_oneof![Just(2u8), 0u8..=36]).prop_map(|(digits, scale)| Decimal::new(digits, scale).unwrap())
}

/// All of these.
pub(super) fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        2 => int().prop_map(Number::Int),
        1 => wide().prop_map(Number::Wide),
        3 => float().prop_map(Number::Float),
        1 => decimal().prop_map(Number::Decimal),
    ]
}

/// Numbers, of one kind or of all, and now and then every one with its negation: sums that nearly vanish.
pub(super) fn numbers() -> impl Strategy<Value = Vec<Number>> {
    let kinds = prop_oneof![
        prop::collection::vec(number(), 0..40),
        prop::collection::vec(float().prop_map(Number::Float), 0..40),
        prop::collection::vec(wide().prop_map(Number::Wide), 0..12),
        prop::collection::vec(int().prop_map(Number::Int), 0..40),
        prop::collection::vec(decimal().prop_map(Number::Decimal), 0..40),
        prop::collection::vec(
            prop_oneof![3 => decimal().prop_map(Number::Decimal), 1 => int().prop_map(Number::Int)],
            0..40,
        ),
        prop::collection::vec((0i64..1000).prop_map(|x| Number::Float(x as f64 / 8.0)), 0..40),
    ];
    (kinds, any::<bool>(), number()).prop_flat_map(|(mut numbers, cancel, more)| {
        if cancel {
            let negations: Vec<Number> = numbers
                .iter()
                .filter_map(|&x| match x {
                    Number::Int(x) => Some(Number::Wide(-i128::from(x))),
                    Number::Wide(x) => x.checked_neg().map(Number::Wide),
                    Number::Float(x) => Some(Number::Float(-x)),
                    Number::Decimal(x) => Some(Number::Decimal(x.negated())),
                })
                .collect();
            numbers.extend(negations);
            numbers.push(more);
        }
        Just(numbers).prop_shuffle()
    })
}

/// Folds numbers in parts, and merges the parts in some tree. `choices` say how.
pub(super) fn fold_in_parts<A: Clone + Default>(
    numbers: &[Number],
    choices: &[u8],
    add: impl Fn(&mut A, Number),
    merge: impl Fn(&mut A, &A),
) -> A {
    let mut choice = choices.iter().copied().cycle();
    let mut next = |below: usize| usize::from(choice.next().unwrap_or(0)) % below;
    let mut parts = vec![A::default(); 1 + next(6)];
    for &number in numbers {
        let part = next(parts.len());
        add(&mut parts[part], number);
    }
    while parts.len() > 1 {
        let other = parts.swap_remove(next(parts.len()));
        let into = next(parts.len());
        merge(&mut parts[into], &other);
    }
    parts.remove(0)
}
