#![allow(clippy::unwrap_used)]

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};
use proptest::prelude::*;

use super::*;
use crate::agg::oracle::{self, Number, fold_in_parts, nearest, numbers};

fn add(sum: &mut ExactSum, number: Number) {
    match number {
        Number::Int(x) => sum.add_int(x),
        Number::Wide(x) => sum.add_wide(x),
        Number::Float(x) => sum.add_float(x),
        Number::Decimal(x) => sum.add_decimal(x),
    }
}

fn sum_of(numbers: &[Number]) -> ExactSum {
    let mut sum = ExactSum::default();
    numbers.iter().for_each(|&number| add(&mut sum, number));
    sum
}

fn floats(values: &[f64]) -> Total {
    let mut sum = ExactSum::default();
    values.iter().for_each(|&x| sum.add_float(x));
    sum.total()
}

fn exact(numbers: &[Number]) -> BigRational {
    numbers.iter().map(|number| number.rational()).sum()
}

fn any_float(numbers: &[Number]) -> bool {
    numbers.iter().any(|number| matches!(number, Number::Float(_)))
}

fn expected_total(exact: &BigRational, numbers: &[Number]) -> Total {
    let scales =
        numbers.iter().filter_map(|number| if let Number::Decimal(x) = number { Some(x.scale()) } else { None });
    if !any_float(numbers)
        && let Some(scale) = scales.max()
    {
        let digits = (exact * BigInt::from(10).pow(u32::from(scale))).to_integer();
        let decimal = digits.to_i128().and_then(|digits| Decimal::new(digits, scale));
        return decimal.map_or(Total::Overflow, Total::Decimal);
    }
    if any_float(numbers) {
        let rounded = nearest(exact);
        return if rounded.is_finite() { Total::Float(rounded) } else { Total::Overflow };
    }
    exact.to_integer().to_i128().map_or(Total::Overflow, Total::Int)
}

/// Equal to the last bit: also the signs of zeros.
fn same(a: Total, b: Total) -> bool {
    match (a, b) {
        (Total::Float(a), Total::Float(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn encoded(sum: &ExactSum) -> Vec<u8> {
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> ExactSum {
    let mut rest = bytes;
    let sum = ExactSum::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn totals_and_means_are_the_exact_ones_rounded_once(numbers in numbers(), count in prop_oneof![1u64..50, any::<u64>()]) {
        let (sum, exact) = (sum_of(&numbers), exact(&numbers));
        let total = sum.total();
        prop_assert!(same(total, expected_total(&exact, &numbers)), "{total:?} {sum:?}");
        let expected = match count {
            0 => None,
            count => Some(nearest(&(exact / BigInt::from(count)))).filter(|mean| mean.is_finite()),
        };
        prop_assert_eq!(sum.mean(count).map(f64::to_bits), expected.map(f64::to_bits));
    }

    #[test]
    fn any_tree_of_merges_has_the_same_bytes(numbers in numbers(), choices in prop::collection::vec(any::<u8>(), 1..60)) {
        let whole = sum_of(&numbers);
        let merged: ExactSum = fold_in_parts(&numbers, &choices, add, |into, from| into.merge(from));
        prop_assert!(same(whole.total(), merged.total()));
        prop_assert_eq!(encoded(&whole), encoded(&merged));
        let through_bytes: ExactSum =
            fold_in_parts(&numbers, &choices, add, |into, from| into.merge(&decoded(&encoded(from))));
        prop_assert!(same(whole.total(), through_bytes.total()));
        prop_assert_eq!(encoded(&whole), encoded(&through_bytes));
        prop_assert_eq!(encoded(&decoded(&encoded(&whole))), encoded(&whole));
    }

    #[test]
    fn bulk_adds_equal_single_ones(
        floats in prop_oneof![
            prop::collection::vec(oracle::float(), 0..300),
            prop::collection::vec((0i32..1_000_000).prop_map(|cents| f64::from(cents) / 100.0), 0..300),
        ],
        ints in prop::collection::vec(oracle::int(), 0..50),
    ) {
        let (mut single, mut bulk) = (ExactSum::default(), ExactSum::default());
        ints.iter().for_each(|&x| single.add_int(x));
        bulk.add_ints(&ints);
        prop_assert_eq!(encoded(&single), encoded(&bulk));
        floats.iter().for_each(|&x| single.add_float(x));
        bulk.add_floats(&floats);
        prop_assert_eq!(encoded(&single), encoded(&bulk));
    }

    /// Every form rounds alike: the cascade's rounding has a twin in the superaccumulator's.
    #[test]
    fn the_small_form_rounds_like_the_large_one(numbers in numbers()) {
        let sum = sum_of(&numbers);
        if let Some(small) = sum.0.small_nearest() {
            prop_assert_eq!(small.to_bits(), sum.0.digits().nearest_quotient(1).to_bits());
            prop_assert_eq!(small.to_bits(), sum.0.rational().nearest(1).to_bits());
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_canonical(mut bytes in numbers().prop_map(|numbers| encoded(&sum_of(&numbers))), place: usize, byte: u8) {
        let place = place % bytes.len();
        bytes[place] = byte;
        let mut rest = &bytes[..];
        if let Ok(sum) = ExactSum::decode(&mut rest) {
            prop_assert_eq!(encoded(&sum), &bytes[..bytes.len() - rest.len()]);
            sum.total();
        }
        prop_assert!(ExactSum::decode(&mut &bytes[..bytes.len().min(place)]).is_err() || place >= 3);
    }
}

#[test]
fn nothing_and_zeros() {
    assert_eq!(ExactSum::default().total(), Total::Int(0));
    assert_eq!(ExactSum::default().mean(0), None);
    for zeros in [&[-0.0][..], &[-0.0, -0.0], &[0.0, -0.0], &[1e300, -1e300], &[5e-324, -5e-324]] {
        assert!(same(floats(zeros), Total::Float(0.0)), "{zeros:?}");
    }
}

#[test]
fn integers_overflow_only_at_the_end() {
    let mut sum = ExactSum::default();
    sum.add_wide(i128::MAX);
    sum.add_int(1);
    assert_eq!(sum.total(), Total::Overflow);
    assert_eq!(sum.mean(2), Some(2f64.powi(126)));
    assert!(sum.heap_size() > 0);
    sum.add_int(-1);
    assert_eq!(sum.total(), Total::Int(i128::MAX));
    let mut plain = ExactSum::default();
    plain.add_wide(i128::MAX);
    assert_eq!(encoded(&sum), encoded(&plain));
    assert_eq!(decoded(&encoded(&sum)).heap_size(), 0);
    let mut lowest = ExactSum::default();
    (0..2).for_each(|_| lowest.add_wide(i128::MIN / 2));
    assert_eq!(lowest.total(), Total::Int(i128::MIN));
    lowest.add_int(-1);
    assert_eq!(decoded(&encoded(&lowest)).total(), Total::Overflow);
}

#[test]
fn decimals_keep_the_largest_scale_and_overflow_only_at_the_end() {
    let decimal = |text: &str| Decimal::read(text.as_bytes(), None).unwrap();
    let mut sum = ExactSum::default();
    sum.add_decimal(decimal("1.10"));
    sum.add_int(2);
    sum.add_decimal(decimal("-0.1000"));
    assert_eq!(sum.total(), Total::Decimal(decimal("3.0000")));
    assert_eq!(sum.mean(3), Some(1.0));
    assert_eq!(sum.heap_size(), 0);
    let large = decimal("999999999999999999999999999999999999");
    (0..1000).for_each(|_| sum.add_decimal(large));
    assert_eq!(sum.total(), Total::Overflow);
    (0..1000).for_each(|_| sum.add_decimal(large.negated()));
    assert_eq!(sum.total(), Total::Decimal(decimal("3.0000")));
    assert_eq!(decoded(&encoded(&sum)).heap_size(), 0);
    // With a float among them it is rounded, once: no float is 0.1.
    let mut mixed = ExactSum::default();
    (0..10).for_each(|_| mixed.add_decimal(decimal("0.1")));
    mixed.add_float(2f64.powi(-60));
    mixed.add_float(-1.0);
    assert_eq!(mixed.total(), Total::Float(2f64.powi(-60)));
}

#[test]
fn floats_overflow_only_at_the_end() {
    assert_eq!(floats(&[f64::MAX, f64::MAX, f64::MIN]), Total::Float(f64::MAX));
    assert_eq!(floats(&[f64::MAX, f64::MAX]), Total::Overflow);
    // Half a last place more than the largest f64 is a tie with 2^1024, which has the even mantissa.
    let half_place = 2f64.powi(970);
    assert_eq!(floats(&[f64::MAX, half_place]), Total::Overflow);
    assert_eq!(floats(&[f64::MAX, half_place, -5e-324]), Total::Float(f64::MAX));
    let mut sum = ExactSum::default();
    (0..4).for_each(|_| sum.add_float(f64::MAX));
    assert_eq!(sum.mean(4), Some(f64::MAX));
    assert_eq!(sum.mean(3), None);
}

#[test]
fn ties_go_to_even_unless_something_follows() {
    let half = 2f64.powi(-53);
    assert_eq!(floats(&[1.0, half]), Total::Float(1.0));
    assert_eq!(floats(&[1.0, half, 5e-324]), Total::Float(1.0f64.next_up()));
    assert_eq!(floats(&[1.0, half, -5e-324]), Total::Float(1.0));
    assert_eq!(floats(&[1.0, 3.0 * half]), Total::Float(1.0 + 4.0 * half));
    assert_eq!(floats(&[1.0, 3.0 * half, -5e-324]), Total::Float(1.0f64.next_up()));
    assert_eq!(floats(&[1.0, -half / 2.0]), Total::Float(1.0));
    assert_eq!(floats(&[1.0, -half / 2.0, -5e-324]), Total::Float(1.0f64.next_down()));
}

#[test]
fn money_and_uniform_values_stay_off_the_heap() {
    let (mut money, mut uniform) = (ExactSum::default(), ExactSum::default());
    for index in 0..1_000_000u64 {
        let random = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        money.add_float((random % 10_000_000) as f64 / 100.0);
        uniform.add_float((random >> 11) as f64 * 2f64.powi(-53));
    }
    assert_eq!((money.heap_size(), uniform.heap_size()), (0, 0));
    assert_eq!(size_of::<ExactSum>(), 48);
}

#[test]
fn many_adds_to_one_superaccumulator() {
    let mut sum = ExactSum::default();
    for _ in 0..100_000 {
        [f64::MAX, 5e-324, -1.0].into_iter().for_each(|x| sum.add_float(x));
    }
    for _ in 0..99_999 {
        sum.add_float(f64::MIN);
    }
    assert_eq!(sum.total(), Total::Float(f64::MAX));
    sum.add_float(f64::MIN);
    sum.add_int(100_000);
    assert_eq!(sum.total(), Total::Float(100_000.0 * 5e-324));
}

/// Many random sums, against fixed-point integers. `FOLDL_LONG_TEST` sets how many.
#[test]
fn random_sums() {
    let rounds: u64 = std::env::var("FOLDL_LONG_TEST").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20_000);
    let mut state = 1u64;
    let mut random = move || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    for round in 0..rounds {
        // From all exponents down to nearly equal ones, so that cancellation, ties and all forms come up.
        let (spread, base) = (random() % [1, 4, 60, 120, 2047][(round % 5) as usize] + 1, random() % 2047);
        let mask = u64::MAX << (random() % 53);
        let (mut sums, mut exact) = ([ExactSum::default(), ExactSum::default()], BigInt::zero());
        let mut any_float = false;
        let mut last = 0.0;
        for _ in 0..random() % 12 + 1 {
            let sum = &mut sums[(random() % 2) as usize];
            if random() % 8 == 0 {
                let x = random() as i64 >> (random() % 64);
                sum.add_int(x);
                exact += BigInt::from(x) << 1074;
            } else {
                let field = (base + random() % spread) % 2047;
                let fresh =
                    f64::from_bits((random() & (1 << 63)) | (field << 52) | (random() & mask & ((1 << 52) - 1)));
                let x = if random() % 4 == 0 { -last } else { fresh };
                last = x;
                any_float = true;
                sum.add_float(x);
                exact += fixed_point(x);
            }
        }
        let [mut sum, other] = sums;
        sum.merge(&other);
        let expected = match (any_float, nearest_fixed_point(&exact)) {
            (false, _) => Total::Int((&exact >> 1074u32).to_i128().unwrap()),
            (true, Some(sum)) => Total::Float(sum),
            (true, None) => Total::Overflow,
        };
        assert!(same(sum.total(), expected), "round {round}: {sum:?} is not {expected:?}");
    }
}

/// A float times 2^1074.
fn fixed_point(x: f64) -> BigInt {
    let (field, fraction) = (x.to_bits() >> 52 & 0x7ff, x.to_bits() & ((1 << 52) - 1));
    let magnitude = if field == 0 { BigInt::from(fraction) } else { BigInt::from(fraction | 1 << 52) << (field - 1) };
    if x < 0.0 { -magnitude } else { magnitude }
}

/// The f64 nearest to `x × 2^-1074`, none if that is infinite.
fn nearest_fixed_point(x: &BigInt) -> Option<f64> {
    let magnitude = x.abs();
    let cut = magnitude.bits().saturating_sub(53);
    // The floor's bit pattern; twice the rest against one place.
    let floor = &magnitude >> cut;
    let twice_rest: BigInt = (&magnitude - (&floor << cut)) << 1;
    let mut bits = floor.to_u64()? + (cut << 52);
    match twice_rest.cmp(&(BigInt::from(1) << cut)) {
        std::cmp::Ordering::Less => {}
        std::cmp::Ordering::Equal => bits += bits & 1,
        std::cmp::Ordering::Greater => bits += 1,
    }
    let rounded = f64::from_bits(bits.min(f64::INFINITY.to_bits()));
    rounded.is_finite().then_some(if x.is_negative() && rounded != 0.0 { -rounded } else { rounded })
}
