#![allow(clippy::unwrap_used)]

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

use super::*;
use crate::agg::oracle::{Number, fold_in_parts, is_nearest_sqrt, nearest, numbers};

fn add(moments: &mut Moments, number: Number) {
    match number {
        Number::Int(x) => moments.add_int(x),
        Number::Wide(x) => moments.add_wide(x),
        Number::Float(x) => moments.add_float(x),
        Number::Decimal(x) => moments.add_decimal(x),
    }
}

fn moments_of(numbers: &[Number]) -> Moments {
    let mut moments = Moments::default();
    numbers.iter().for_each(|&number| add(&mut moments, number));
    moments
}

/// By the definition: the mean squared distance from the mean, with `n − lost` for `n`.
fn variance(numbers: &[Number], lost: usize) -> Option<BigRational> {
    let values: Vec<BigRational> = numbers.iter().map(|number| number.rational()).collect();
    let freedom = values.len().checked_sub(lost).filter(|&freedom| freedom > 0)?;
    let mean = values.iter().sum::<BigRational>() / BigInt::from(values.len());
    let squares: BigRational = values.iter().map(|x| (x - &mean) * (x - &mean)).sum();
    Some(squares / BigInt::from(freedom))
}

fn encoded(moments: &Moments) -> Vec<u8> {
    let mut bytes = Vec::new();
    moments.encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Moments {
    let mut rest = bytes;
    let moments = Moments::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    moments
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn variances_and_deviations_are_the_exact_ones_rounded_once(numbers in numbers()) {
        let moments = moments_of(&numbers);
        for (lost, rounded, root) in [
            (1, moments.variance_samp(), moments.stddev_samp()),
            (0, moments.variance_pop(), moments.stddev_pop()),
        ] {
            let Some(exact) = variance(&numbers, lost) else {
                prop_assert_eq!((rounded, root), (None, None));
                continue;
            };
            prop_assert_eq!(rounded, Some(nearest(&exact)).filter(|rounded| rounded.is_finite()));
            prop_assert!(is_nearest_sqrt(root.unwrap_or(f64::INFINITY), &exact), "{root:?}");
        }
    }

    #[test]
    fn any_tree_of_merges_has_the_same_bytes(numbers in numbers(), choices in prop::collection::vec(any::<u8>(), 1..60)) {
        let whole = encoded(&moments_of(&numbers));
        let merged: Moments = fold_in_parts(&numbers, &choices, add, |into, from| into.merge(from));
        prop_assert_eq!(&whole, &encoded(&merged));
        let through_bytes: Moments =
            fold_in_parts(&numbers, &choices, add, |into, from| into.merge(&decoded(&encoded(from))));
        prop_assert_eq!(&whole, &encoded(&through_bytes));
        prop_assert_eq!(&whole, &encoded(&decoded(&whole)));
        prop_assert!((0..whole.len()).all(|cut| Moments::decode(&mut &whole[..cut]).is_err()));
    }
}

#[test]
fn too_few_values() {
    let mut moments = Moments::default();
    assert_eq!((moments.variance_pop(), moments.stddev_samp()), (None, None));
    moments.add_float(0.1);
    assert_eq!((moments.variance_samp(), moments.stddev_samp()), (None, None));
    assert_eq!((moments.variance_pop(), moments.stddev_pop()), (Some(0.0), Some(0.0)));
}

#[test]
fn the_deviation_is_finite_where_the_variance_is_not() {
    let mut moments = Moments::default();
    moments.add_float(f64::MAX);
    moments.add_float(f64::MIN);
    assert_eq!((moments.variance_pop(), moments.stddev_pop()), (None, Some(f64::MAX)));
    // The root of 2 × MAX² is beyond f64 only because of the lost degree of freedom.
    assert_eq!(moments.stddev_samp(), None);
}

#[test]
fn values_and_squares_from_the_ends_of_the_range() {
    let mut moments = Moments::default();
    moments.add_float(5e-324);
    moments.add_float(-5e-324);
    assert_eq!((moments.variance_pop(), moments.stddev_pop()), (Some(0.0), Some(5e-324)));
    let mut moments = Moments::default();
    moments.add_wide(i128::MIN);
    moments.add_wide(i128::MAX);
    assert_eq!(moments.stddev_pop(), Some(2f64.powi(127)));
}

#[test]
fn money_in_small_groups_stays_off_the_heap() {
    let mut moments = Moments::default();
    for cents in 0..1000 {
        moments.add_float(f64::from(cents) / 100.0);
    }
    assert_eq!(moments.heap_size(), 0);
    assert_eq!(size_of::<Moments>(), 104);
}
