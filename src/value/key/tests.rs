use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;
use crate::value::order::compare;
use crate::value::samples::any_value;

fn encoded(value: Value<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    encode(value, &mut key);
    key
}

fn json(value: Value<'_>) -> String {
    let mut out = Vec::new();
    write_json(value, &mut out);
    String::from_utf8(out).unwrap()
}

/// The JSON text of what comes back from the key of a JSON text.
fn decoded(text: &str, spelling: Spelling) -> String {
    let arena = Bump::new();
    let key = encoded(Value::from_json(text.as_bytes(), &arena));
    let mut rest = &key[..];
    let value = decode(&mut rest, spelling, &arena).unwrap();
    assert!(rest.is_empty());
    json(value)
}

#[test]
fn keys_have_the_documented_bytes() {
    let arena = Bump::new();
    let key = |text: &str| encoded(Value::from_json(text.as_bytes(), &arena));
    assert_eq!(key("false"), [2]);
    assert_eq!(key("null"), [0xff]);
    assert_eq!(key("1"), [4, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(key("-1"), [4, 0x40, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    assert_eq!(key("9007199254740993"), [4, 0xc3, 0x40, 0, 0, 0, 0, 0, 0, 2, 1, 0]);
    let decimal = |text: &str| encoded(Value::Decimal(Decimal::read(text.as_bytes(), None).unwrap()));
    assert_eq!(decimal("1.00"), key("1"));
    assert_eq!(decimal("1.50"), key("1.5"));
    assert_eq!(decimal("0.120"), [4, 0xbf, 0xbe, 0xb8, 0x51, 0xeb, 0x85, 0x1e, 0xb8, 1, 13, 0]);
    assert_eq!(decimal("-0.1"), [4, 0x40, 0x46, 0x66, 0x66, 0x66, 0x66, 0x66, 0x65, 1, 91, 0]);
    assert_eq!(decimal("9007199254740993.125"), [4, 0xc3, 0x40, 0, 0, 0, 0, 0, 0, 2, 1, 13, 51, 0]);
    assert_eq!(key("12e398"), [4, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, 2, 1, 144, b'1', b'2', 0]);
    assert_eq!(key("-2e399"), [4, 0, 0x0f, 255, 255, 255, 255, 255, 255, !2, !1, !144, !b'2', 255]);
    assert_eq!(encoded(Value::Date(Date(-1))), [5, 0x7f, 0xff, 0xff, 0xff, 0]);
    assert_eq!(encoded(Value::Timestamp(Timestamp(258))), [5, 0x80, 0, 0, 0, 2, 1, 2]);
    assert_eq!(key(r#""a\u0000\u0001b""#), [6, b'a', 1, 1, 1, 2, b'b', 0]);
    assert_eq!(key("[true, []]"), [7, 3, 7, 0, 0]);
    assert_eq!(key(r#"{"b": null, "a": false}"#), [8, 6, b'a', 0, 2, 6, b'b', 0, 0xff, 0]);
}

#[test]
fn values_come_back_in_the_spelling_that_is_asked_for() {
    for (text, integer, float) in [
        ("1", "1", "1.0"),
        ("-0.0", "0", "0.0"),
        ("1.5", "1.5", "1.5"),
        ("9007199254740993", "9007199254740993", "9007199254740993"),
        ("1e30", "1000000000000000019884624838656", "1e30"),
        (
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
            "-1.7014118346046923e38",
        ),
        (
            "170141183460469231731687303715884105727",
            "170141183460469231731687303715884105727",
            "170141183460469231731687303715884105727",
        ),
        ("1e40", "10000000000000000303786028427003666890752", "1e40"),
        ("10e399", &format!("1{}", "0".repeat(400)), "1e400"),
        ("-12.50e400", &format!("-125{}", "0".repeat(399)), "-1.25e401"),
        (
            r#"[1.0, 2.50, {"b":1e400,"a":"\u0001"}]"#,
            r#"[1,2.5,{"a":"\u0001","b":1e400}]"#,
            r#"[1,2.5,{"a":"\u0001","b":1e400}]"#,
        ),
        ("[ ]", "[]", "[]"),
        ("{ }", "{}", "{}"),
    ] {
        assert_eq!(decoded(text, Spelling::WHOLE), integer);
        assert_eq!(decoded(text, Spelling::USUAL), float);
    }
    let arena = Bump::new();
    let key = encoded(Value::Date(Date(7)));
    assert!(matches!(decode(&mut &key[..], Spelling::WHOLE, &arena), Some(Value::Date(Date(7)))));
    assert!(matches!(decode(&mut &key[..], Spelling::USUAL, &arena), Some(Value::Timestamp(_))));
}

#[test]
fn deep_nesting_is_bounded() {
    for depth in [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 100_000] {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(decoded(&text, Spelling::WHOLE), text);
    }
    let arena = Bump::new();
    assert!(decode(&mut &[ARRAY; 100_000][..], Spelling::WHOLE, &arena).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn keys_sort_as_values_do(a in any_value(), b in any_value()) {
        let arena = Bump::new();
        let (a, b) = (a.value(&arena), b.value(&arena));
        let (key_a, key_b) = (encoded(a), encoded(b));
        prop_assert_eq!(key_a.cmp(&key_b), compare(a, b), "{} {}", json(a), json(b));
        prop_assert!(key_a == key_b || !key_a.starts_with(&key_b));

        let descending = |value| {
            let mut key = vec![7];
            encode_descending(value, &mut key);
            key
        };
        let expected = match (a, b) {
            (Value::Null, _) | (_, Value::Null) => compare(a, b),
            _ => compare(b, a),
        };
        prop_assert_eq!(descending(a).cmp(&descending(b)), expected);
    }

    #[test]
    fn columns_compare_one_after_the_other(a in any_value(), b in any_value(), c in any_value(), d in any_value()) {
        let arena = Bump::new();
        let (a, b, c, d) = (a.value(&arena), b.value(&arena), c.value(&arena), d.value(&arena));
        let keys = |x, y| [encoded(x), encoded(y)].concat();
        prop_assert_eq!(keys(a, c).cmp(&keys(b, d)), compare(a, b).then(compare(c, d)));
        prop_assert_eq!(keys(a, c).cmp(&keys(a, d)), compare(c, d));
    }

    #[test]
    fn keys_round_trip(sample in any_value(), other in prop_oneof![Just(Spelling::WHOLE), Just(Spelling::USUAL), (0u8..=36).prop_map(Spelling::decimal)]) {
        let arena = Bump::new();
        let value = sample.value(&arena);
        let mut key = encoded(value);
        key.push(0xab);
        let mut rest = &key[..];
        // No digits are asked for that nobody spelt.
        let spelling = if matches!(value, Value::Huge(_)) { value.spelling() } else { other.min(value.spelling()) };
        let decoded = decode(&mut rest, spelling, &arena);
        prop_assert_eq!(rest, [0xab]);
        let decoded = decoded.expect("an encoding decodes");
        prop_assert_eq!(compare(decoded, value), Ordering::Equal, "{:?} {:?}", value, decoded);
        prop_assert_eq!(encoded(decoded), &key[..key.len() - 1]);
        let is_scalar = !matches!(value, Value::Json(_) | Value::Huge(_) | Value::Float(0.0) | Value::Interval(_));
        if spelling == value.spelling() && is_scalar {
            prop_assert_eq!(json(decoded), json(value));
            prop_assert_eq!(decoded.spelling(), spelling);
        }
        // What is written reads back as the same value.
        let written = json(decoded);
        if !matches!(value, Value::Date(_) | Value::Timestamp(_) | Value::Interval(_)) && !matches!(decoded, Value::Decimal(_)) {
            prop_assert_eq!(compare(Value::from_json(written.as_bytes(), &arena), value), Ordering::Equal, "{}", written);
        }
    }

    #[test]
    fn damaged_keys_do_not_panic(sample in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), scale in 0u8..=38) {
        let (arena, spelling) = (Bump::new(), Spelling::of_byte(scale));
        let mut key = encoded(sample.value(&arena));
        let at = at.index(key.len());
        for text in [key[..at].to_vec(), { key[at] = byte; key }] {
            // A damaged exponent may ask for more digits than are worth making.
            let _ = decode(&mut &text[..], spelling, &arena);
        }
    }
}
