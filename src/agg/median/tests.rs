#![allow(clippy::unwrap_used)]

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

use super::*;
use crate::agg::oracle::{self, fold_in_parts, nearest, numbers};

fn add(values: &mut Quantiles, number: oracle::Number) {
    match number {
        oracle::Number::Int(x) => values.add_int(x),
        oracle::Number::Wide(x) => values.add_wide(x),
        oracle::Number::Float(x) => values.add_float(x),
        oracle::Number::Decimal(x) => values.add_decimal(x),
    }
}

fn values_of(numbers: &[oracle::Number]) -> Quantiles {
    let mut values = Quantiles::default();
    numbers.iter().for_each(|&number| add(&mut values, number));
    values
}

fn encoded(values: &Quantiles) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.clone().encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Quantiles {
    let mut rest = bytes;
    let values = Quantiles::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn quantiles_are_the_exact_ones_rounded_once(
        numbers in numbers(),
        q in prop_oneof![Just(0.0), Just(0.25), Just(0.5), Just(0.9), Just(1.0), 0.0f64..=1.0],
    ) {
        let mut sorted: Vec<BigRational> = numbers.iter().map(|number| number.rational()).collect();
        sorted.sort();
        let mut values = values_of(&numbers);
        prop_assert_eq!(values.count(), sorted.len());
        let expected = (!sorted.is_empty()).then(|| {
            let place = q * (sorted.len() - 1) as f64;
            let (low, fraction) = (&sorted[place as usize], BigRational::from_float(place.fract()).unwrap());
            let high = sorted.get(place as usize + 1).unwrap_or(low);
            nearest(&(low + fraction * (high - low)))
        });
        prop_assert_eq!(values.quantile_cont(q).map(f64::to_bits), expected.map(f64::to_bits));
        let expected = (!sorted.is_empty()).then(|| {
            let middle = &sorted[(sorted.len() - 1) / 2] + &sorted[sorted.len() / 2];
            nearest(&(middle / BigInt::from(2)))
        });
        prop_assert_eq!(values.median().map(f64::to_bits), expected.map(f64::to_bits));
    }

    #[test]
    fn integers_are_rounded_half_up(
        numbers in prop::collection::vec(prop_oneof![any::<i64>(), -9i64..9], 1..20),
        q in prop_oneof![Just(0.0), Just(0.25), Just(0.5), Just(0.9), Just(1.0), 0.0f64..=1.0],
    ) {
        let mut values = Quantiles::default();
        numbers.iter().for_each(|&x| values.add_int(x));
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let place = q * (sorted.len() - 1) as f64;
        let rational = |x: i64| BigRational::from(BigInt::from(x));
        let low = rational(sorted[place as usize]);
        let high = sorted.get(place as usize + 1).map_or_else(|| low.clone(), |&x| rational(x));
        let fraction = BigRational::from_float(place.fract()).unwrap();
        let half = BigRational::new(1.into(), 2.into());
        let expected = (&low + fraction * (high - &low) + half).floor().to_integer();
        prop_assert_eq!(values.quantile_int(q).map(BigInt::from), Some(expected));
    }

    #[test]
    fn any_tree_of_merges_has_the_same_bytes(numbers in numbers(), choices in prop::collection::vec(any::<u8>(), 1..60)) {
        let whole = encoded(&values_of(&numbers));
        let merged: Quantiles = fold_in_parts(&numbers, &choices, add, |into, from| into.merge(from));
        prop_assert_eq!(&whole, &encoded(&merged));
        let through_bytes: Quantiles =
            fold_in_parts(&numbers, &choices, add, |into, from| into.merge(&decoded(&encoded(from))));
        prop_assert_eq!(&whole, &encoded(&through_bytes));
        prop_assert_eq!(&whole, &encoded(&decoded(&whole)));
        prop_assert!((0..whole.len()).all(|cut| Quantiles::decode(&mut &whole[..cut]).is_err()));
    }
}

#[test]
fn nothing_and_zeros() {
    let mut values = Quantiles::default();
    assert_eq!((values.median(), values.quantile_cont(0.0)), (None, None));
    values.add_float(-0.0);
    assert_eq!(values.median().map(f64::to_bits), Some(0));
    assert_eq!(
        (values.quantile_cont(-0.1), values.quantile_cont(1.1), values.quantile_cont(f64::NAN)),
        (None, None, None)
    );
}

#[test]
fn large_integers_are_not_rounded_before_the_end() {
    let mut values = Quantiles::default();
    values.add_int((1 << 53) + 1);
    values.add_int((1 << 53) + 3);
    assert_eq!(values.median(), Some((1u64 << 53) as f64 + 2.0));
    let mut extremes = Quantiles::default();
    extremes.add_wide(i128::MAX);
    extremes.add_float(1.8e38);
    extremes.add_wide(i128::MIN);
    assert_eq!(extremes.quantile_cont(0.0), Some(-(2f64.powi(127))));
    assert_eq!(extremes.median(), Some(2f64.powi(127)));
    assert_eq!(extremes.quantile_cont(1.0), Some(1.8e38));
}

#[test]
fn a_fraction_of_ten_places_meets_a_value() {
    let mut values = Quantiles::default();
    (0..11).for_each(|x| values.add_float(f64::from(x) * 1e15));
    assert_eq!(values.quantile_cont(0.9), Some(9e15));
}

#[test]
fn integers_become_mixed_in_place() {
    let mut values = Quantiles::default();
    (0..1000).for_each(|x| values.add_int(x));
    let size = values.heap_size();
    values.add_int(i64::MAX);
    values.add_float(0.5);
    assert!(values.heap_size() <= size + 24 * 4 + 64);
    assert_eq!(values.quantile_cont(1.0), Some(i64::MAX as f64));
    assert_eq!(values.count(), 1002);
}
