use num_rational::BigRational;
use num_traits::{Pow, Signed, Zero};
use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::read(text.as_bytes(), None).unwrap()
}

fn rational(x: Decimal) -> BigRational {
    BigRational::new(x.digits().into(), BigInt::from(10).pow(u32::from(x.scale())))
}

/// The nearest decimal of a scale, halves away from zero, the naive way.
fn rounded(x: &BigRational, scale: u8) -> Option<Decimal> {
    let scaled = x.abs() * BigRational::from_integer(BigInt::from(10).pow(u32::from(scale)));
    let digits = (scaled + BigRational::new(1.into(), 2.into())).floor().to_integer();
    let digits = digits.to_i128()?;
    Decimal::new(if x.is_negative() { -digits } else { digits }, scale)
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let digits = prop_oneof![
        -1000i128..1000,
        any::<i64>().prop_map(i128::from),
        any::<i128>().prop_map(|digits| digits % 10i128.pow(36)),
        (0u32..36, -2i128..3).prop_map(|(zeros, more)| 10i128.pow(zeros) + more),
    ];
    (digits, prop_oneof![0u8..4, 0u8..=36])
        .prop_map(|(digits, scale)| Decimal::new(digits, scale).unwrap_or(Decimal::ZERO))
}

/// A text of a number, and its exact value and scale.
fn any_text() -> impl Strategy<Value = (String, BigRational, i64)> {
    let digits = prop_oneof!["[0-9]{1,4}", "0{0,3}[0-9]{1,40}0{0,6}"];
    (digits.clone(), proptest::option::of(digits), proptest::option::of(-45i64..46), any::<bool>()).prop_map(
        |(whole, fraction, exponent, negative)| {
            let sign = if negative { "-" } else { "" };
            let mut text = format!("{sign}{whole}");
            let fraction = fraction.unwrap_or_default();
            if !fraction.is_empty() {
                text = format!("{text}.{fraction}");
            }
            if let Some(exponent) = exponent {
                text = format!("{text}e{exponent}");
            }
            let digits: BigInt = format!("{sign}{whole}{fraction}").parse().unwrap();
            let scale = fraction.len() as i64 - exponent.unwrap_or(0);
            let power = BigRational::from_integer(10.into()).pow(-scale as i32);
            (text, BigRational::from_integer(digits) * power, scale)
        },
    )
}

#[test]
fn texts_keep_their_digits() {
    for (text, expected) in [
        ("1.10", "1.10"),
        ("-0.0", "0.0"),
        ("1e3", "1000"),
        ("1.50e1", "15.0"),
        ("1.5e-3", "0.0015"),
        ("+007.5", "7.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("123456789012345678901234567890.123456", "123456789012345678901234567890.123456"),
        ("-999999999999999999999999999999999999", "-999999999999999999999999999999999999"),
        ("0.000000000000000000000000000000000001", "0.000000000000000000000000000000000001"),
        ("1.0000000000000000000000000000000000000000", "1.00000000000000000000000000000000000"),
        ("0e-99999999999999999999", "0.000000000000000000000000000000000000"),
        ("0e99999999999999999999", "0"),
    ] {
        assert_eq!(decimal(text).to_string(), expected, "{text}");
        let json = Decimal::read_json(text.trim_start_matches('+').as_bytes(), None).map(|read| read.to_string());
        assert_eq!(json.as_deref(), Ok(expected), "{text}");
    }
    for text in ["1e36", "1e-37", "1e99999999999999999999", "1.0000000000000000000000000000000000001"] {
        assert_eq!(Decimal::read(text.as_bytes(), None), Err(NotDecimal::TooLong), "{text}");
    }
    for text in
        ["", "-", ".", "+", "e5", "1e", "1e+", "1.2.3", "1_0", "abc", "nan", "--1", "1 ", " 1", "1e1.5", "\u{661}"]
    {
        assert_eq!(Decimal::read(text.as_bytes(), None), Err(NotDecimal::NoNumber), "{text}");
        assert_eq!(Decimal::read(text.as_bytes(), Some(2)), Err(NotDecimal::NoNumber), "{text}");
    }
    assert_eq!(Decimal::new(1, 37), None);
    assert_eq!(Decimal::new(10i128.pow(36), 0), None);
    assert_eq!(size_of::<Decimal>(), 16);
    assert_eq!(align_of::<Decimal>(), 8);
    assert_eq!(size_of::<crate::value::Value>(), 24);
}

#[test]
fn whole_numbers_are_found() {
    for (text, floor, ceil, truncated, integer) in [
        ("2.5", "2", "3", "2", 3),
        ("-2.5", "-3", "-2", "-2", -3),
        ("-2.49", "-3", "-2", "-2", -2),
        ("0.5", "0", "1", "0", 1),
        ("-0.5", "-1", "0", "0", -1),
        ("7.00", "7", "7", "7", 7),
        ("7", "7", "7", "7", 7),
    ] {
        let number = decimal(text);
        assert_eq!(number.floor().to_string(), floor);
        assert_eq!(number.ceil().to_string(), ceil);
        assert_eq!(number.truncate(0).to_string(), truncated);
        assert_eq!(number.to_integer(), integer);
    }
    assert_eq!(decimal("1299.99").truncate(-2).to_string(), "1200");
    assert_eq!(decimal("1299.99").truncate(1).to_string(), "1299.9");
    assert_eq!(decimal("1299.99").truncate(i64::MIN).to_string(), "0");
    assert_eq!(decimal("1299.99").truncate(i64::MAX).to_string(), "1299.99");
    assert_eq!(decimal("1299.99").round(i64::MIN).unwrap().to_string(), "0");
    assert_eq!(decimal("1299.99").round(i64::MAX).unwrap().to_string(), "1299.99");
    assert_eq!(decimal("999999999999999999999999999999999999").round(-1), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn reading_agrees_with_rationals((text, exact, scale) in any_text(), wanted in 0u8..=36) {
        let read = Decimal::read(text.as_bytes(), Some(wanted));
        prop_assert_eq!(read.ok(), rounded(&exact, wanted), "{}", text);
        prop_assert_eq!(Decimal::read_json(text.as_bytes(), Some(wanted)).ok(), rounded(&exact, wanted), "{}", text);
        let own = Decimal::read(text.as_bytes(), None).ok();
        match own {
            Some(read) => {
                prop_assert_eq!(rational(read), exact.clone());
                prop_assert!(i64::from(read.scale()) <= scale.max(0));
            }
            // No decimal is the number.
            None => prop_assert!((0..=36).all(|scale| rounded(&exact, scale).is_none_or(|near| rational(near) != exact))),
        }
        if let (Some(read), Some(expected)) = (own, u8::try_from(scale.max(0)).ok().and_then(|scale| rounded(&exact, scale))) {
            prop_assert_eq!(read, expected, "{}", text);
        }
    }

    #[test]
    fn what_is_written_is_read(x in any_decimal()) {
        let text = x.to_string();
        prop_assert_eq!(Decimal::read(text.as_bytes(), None), Ok(x), "{}", text);
        prop_assert_eq!(Decimal::read_json(text.as_bytes(), None), Ok(x), "{}", text);
        prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok(), "{}", text);
        prop_assert_eq!(rational(x.normalized()), rational(x));
        prop_assert_eq!(x.to_float().to_bits(), text.parse::<f64>().unwrap().to_bits());
        let floor = x.float_below();
        let float = |value: f64| BigRational::from_float(value).unwrap();
        prop_assert!(float(floor) <= rational(x) && float(floor.next_up()) > rational(x), "{} {}", text, floor);
    }

    #[test]
    fn arithmetic_agrees_with_rationals(x in any_decimal(), y in any_decimal(), digits in -40i64..40) {
        let (a, b) = (rational(x), rational(y));
        let scale = x.scale().max(y.scale());
        let exactly = |value: BigRational, scale: u8| rounded(&value, scale).filter(|near| rational(*near) == value);
        prop_assert_eq!(x.checked_add(y), exactly(&a + &b, scale));
        prop_assert_eq!(x.checked_sub(y), exactly(&a - &b, scale));
        let product = if x.scale() + y.scale() > 36 { None } else { exactly(&a * &b, x.scale() + y.scale()) };
        prop_assert_eq!(x.checked_mul(y), product);
        if b.is_zero() {
            prop_assert_eq!((x.checked_div(y), x.checked_rem(y)), (None, None));
        } else {
            let quotient = (&a / &b).trunc();
            prop_assert_eq!(x.checked_rem(y), exactly(&a - &quotient * &b, scale));
            prop_assert_eq!(x.checked_div(y), exactly(quotient, 0));
        }
        prop_assert_eq!(x.compare(y), a.cmp(&b));
        prop_assert_eq!(x.rescale(y.scale()), rounded(&a, y.scale()));
        prop_assert_eq!(rational(x.floor()), a.floor());
        prop_assert_eq!(rational(x.ceil()), a.ceil());
        prop_assert_eq!(x.to_integer(), a.round().to_integer().to_i128().unwrap());
        let unit = BigRational::from_integer(10.into()).pow(-digits as i32);
        if digits < i64::from(x.scale()) {
            let near = (&a / &unit).round() * &unit;
            prop_assert_eq!(x.round(digits), exactly(near, digits.max(0) as u8));
            prop_assert_eq!(rational(x.truncate(digits)), (&a / &unit).trunc() * &unit);
        } else {
            prop_assert_eq!((x.round(digits), x.truncate(digits)), (Some(x), x));
        }
    }

    #[test]
    fn other_numbers_compare_by_their_exact_values(
        x in any_decimal(),
        integer in prop_oneof![any::<i128>(), -3i128..4],
        float in any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite()),
        steps in -2i32..3,
    ) {
        prop_assert_eq!(x.compare_integer(integer), rational(x).cmp(&BigRational::from_integer(integer.into())));
        let near = x.floor().digits();
        prop_assert_eq!(x.compare_integer(near), rational(x).cmp(&BigRational::from_integer(near.into())));
        let nearby = (0..steps.abs()).fold(x.to_float(), |value, _| if steps < 0 { value.next_down() } else { value.next_up() });
        for float in [float, nearby, -nearby] {
            let expected = rational(x).cmp(&BigRational::from_float(float).unwrap());
            prop_assert_eq!(x.compare_float(float), expected, "{} {}", x, float);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'.'), Just(b'e'), b'0'..=b'9'], 0..50)) {
        let _ = (Decimal::read(&text, None), Decimal::read(&text, Some(36)), Decimal::read_json(&text, Some(2)));
    }
}
