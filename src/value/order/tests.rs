use bumpalo::Bump;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Pow;
use proptest::prelude::*;

use super::*;
use crate::value::samples::{any_value, decimal, number};

fn ordering(a: &str, b: &str) -> Ordering {
    let arena = Bump::new();
    compare(Value::from_json(a.as_bytes(), &arena), Value::from_json(b.as_bytes(), &arena))
}

#[test]
fn values_in_order() {
    let sorted = [
        "false",
        "true",
        "-1e400",
        "-170141183460469231731687303715884105729",
        "-1.5",
        "-0.0",
        "5e-324",
        "9007199254740992.0",
        "9007199254740993",
        "170141183460469231731687303715884105727",
        "170141183460469231731687303715884105728",
        "1e39",
        "99999999999999999999999999999999999999999999999999",
        "1e400",
        "1.5e400",
        "1e1000000000000000000000",
        r#""""#,
        r#""\u0000""#,
        r#""a""#,
        r#""a\u0000""#,
        r#""ab""#,
        r#""é""#,
        "[]",
        "[1]",
        "[1,false]",
        "[1,2]",
        "[1,null]",
        "[[]]",
        "[null]",
        "{}",
        r#"{"a":1}"#,
        r#"{"b":0,"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":0}"#,
        "null",
    ];
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!(ordering(a, b), i.cmp(&j), "{a} {b}");
        }
    }
}

#[test]
fn values_that_are_equal() {
    for (a, b) in [
        ("3", "3.0"),
        ("-0.0", "0"),
        ("1e400", "10e399"),
        ("1e400", &format!("1{}", "0".repeat(400))),
        ("1e49", "9999999999999999464902769475481793196872414789632"),
        ("170141183460469231731687303715884105728", "170141183460469231731687303715884105728.0"),
        ("-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728.0"),
        (r#"{"a":1,"b":[2.0]}"#, r#"{ "b" : [2], "\u0061":1.0 }"#),
        (r#"{"a":2,"a":1}"#, r#"{"a":1}"#),
        (r#""\ud83d\ude00""#, "\"😀\""),
    ] {
        assert_eq!(ordering(a, b), Ordering::Equal, "{a} {b}");
    }
    assert!(compare(Value::Date(Date(1)), Value::Timestamp(Timestamp(MICROS_PER_DAY))).is_eq());
    assert!(compare(Value::Date(Date(i32::MAX)), Value::Timestamp(Timestamp(i64::MAX))).is_gt());
    assert!(compare(Value::Date(Date(0)), Value::Text(b"1970-01-01")).is_lt());
}

#[test]
fn sql_compares_only_what_is_of_one_type() {
    let null = [Value::Null];
    let numbers = [Value::Int(1), Value::integer(1 << 80), Value::Float(1.5), Value::Huge(b"1e999")];
    let temporals = [Value::Date(Date(0)), Value::Timestamp(Timestamp(0))];
    let classes: [&[Value]; 7] = [
        &null,
        &[Value::Bool(true)],
        &numbers,
        &temporals,
        &[Value::Text(b"a")],
        &[Value::Json(b"[]")],
        &[Value::Json(b"{}")],
    ];
    for (i, a) in classes.iter().enumerate() {
        for (j, b) in classes.iter().enumerate() {
            for (&a, &b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
                assert_eq!(sql_compare(a, b), (i == j && i > 0).then(|| compare(a, b)), "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_bounded() {
    let arena = Bump::new();
    let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (a, b) = (nested("1"), nested("2"));
    let (a, b) = (Value::from_json(a.as_bytes(), &arena), Value::from_json(b.as_bytes(), &arena));
    assert_eq!(compare(a, b), Ordering::Less);
}

/// The exact value of a number, the naive way.
fn rational(value: Value<'_>) -> BigRational {
    let text = match value {
        Value::Int(value) => return BigRational::from_integer(value.into()),
        Value::Wide(value) => return BigRational::from_integer(value.get().into()),
        Value::Float(value) => return BigRational::from_float(value).unwrap(),
        Value::Decimal(value) => value.to_string(),
        Value::Huge(text) => std::str::from_utf8(text).unwrap().to_lowercase(),
        other => panic!("{other:?}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    let ten = BigRational::from_integer(10.into());
    BigRational::from_integer(digits) * ten.pow(exponent.parse::<i32>().unwrap() - fraction.len() as i32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn numbers_compare_by_their_exact_values(a in number(), b in number()) {
        let long_exponent = |text: &str| text.split('e').nth(1).is_some_and(|exponent| exponent.len() > 5);
        if !long_exponent(&a) && !long_exponent(&b) {
            let values = (Value::number(a.as_bytes()), Value::number(b.as_bytes()));
            prop_assert_eq!(compare(values.0, values.1), rational(values.0).cmp(&rational(values.1)), "{} {}", a, b);
        }
    }

    #[test]
    fn decimals_compare_by_their_exact_values(a in decimal(), b in decimal(), c in number()) {
        let (a, b, c) = (Value::Decimal(a), Value::Decimal(b), Value::number(c.as_bytes()));
        prop_assert_eq!(compare(a, b), rational(a).cmp(&rational(b)), "{:?} {:?}", a, b);
        if !matches!(c, Value::Huge(_)) {
            prop_assert_eq!(compare(a, c), rational(a).cmp(&rational(c)), "{:?} {:?}", a, c);
        }
    }

    #[test]
    fn the_order_is_total(a in any_value(), b in any_value(), c in any_value()) {
        let arena = Bump::new();
        let (a, b, c) = (a.value(&arena), b.value(&arena), c.value(&arena));
        prop_assert_eq!(compare(a, a), Ordering::Equal);
        prop_assert_eq!(compare(a, b), compare(b, a).reverse());
        let mut sorted = [a, b, c];
        sorted.sort_by(|a, b| compare(*a, *b));
        prop_assert!(compare(sorted[0], sorted[2]).is_le());
        let equal = (compare(sorted[0], sorted[1]).is_eq(), compare(sorted[1], sorted[2]).is_eq());
        prop_assert_eq!(compare(sorted[0], sorted[2]).is_eq(), equal.0 && equal.1);
    }
}
