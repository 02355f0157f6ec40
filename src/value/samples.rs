//! Values for property tests: all kinds, with many that are equal or nearly so.

use bumpalo::Bump;
use proptest::prelude::*;

use super::{Date, Decimal, Interval, Timestamp, Value};

/// A value that owns what it holds.
#[derive(Clone, Debug)]
pub enum Sample {
    Json(String),
    Float(f64),
    Decimal(Decimal),
    Date(i32),
    Timestamp(i64),
    Interval(Interval),
}

impl Sample {
    pub fn value<'a>(&'a self, arena: &'a Bump) -> Value<'a> {
        match self {
            Sample::Json(text) => Value::from_json(text.as_bytes(), arena),
            Sample::Float(value) => Value::Float(*value),
            Sample::Decimal(value) => Value::Decimal(*value),
            Sample::Date(days) => Value::Date(Date(*days)),
            Sample::Timestamp(micros) => Value::Timestamp(Timestamp(*micros)),
            Sample::Interval(interval) => Value::Interval(*interval),
        }
    }
}

/// The text of a JSON number.
pub fn number() -> impl Strategy<Value = String> {
    let edge = (prop_oneof![Just(0u32), Just(31), Just(53), Just(54), Just(63), Just(64), 65u32..127], -4i128..=4)
        .prop_map(|(bits, offset)| (1i128 << bits) + offset);
    let limit = (0i128..3).prop_map(|offset| i128::MAX - offset);
    let integer = prop_oneof![-3i128..4, edge, limit, any::<i64>().prop_map(i128::from), any::<i128>()]
        .prop_flat_map(|value| prop_oneof![Just(value), Just(value.wrapping_neg())])
        .prop_map(|value| value.to_string());
    let beyond = (0u32..4, "-?").prop_map(|(offset, sign)| format!("{sign}{}", (1u128 << 127) + u128::from(offset)));
    let digits = "-?[1-9][0-9]{36,60}0{0,3}";
    let huge =
        prop_oneof!["-?[1-9]0{0,2}e(39|40|399|400)", "-?0\\.[0-9]?[1-9]0?E\\+?(39|40|400|401|402)", "-?1[0-9]?0{400}"];
    let small = "-?[0-3](\\.[0-9]{1,2})?(e-?[0-4])?";
    prop_oneof![
        4 => integer.clone(),
        2 => integer.prop_map(|text| text + ".0"),
        1 => beyond,
        1 => digits,
        1 => "[1-9]\\.[0-9]{1,3}e(-?[0-9]{1,2}|[12][0-9]{2})",
        2 => huge,
        3 => small,
        1 => "1e[0-9]{30,45}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[ab]",
        1 => Just("\\u0000".to_owned()),
        1 => Just("\\u0001".to_owned()),
        1 => Just("\\u0002".to_owned()),
        1 => Just("é".to_owned()),
        1 => Just("\\ud83d".to_owned()),
        1 => Just("\\ude00".to_owned()),
        1 => Just("\\n".to_owned()),
        1 => Just("\u{ffff}".to_owned()),
    ];
    proptest::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// Any JSON text.
pub fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        1 => Just("null".to_owned()),
        1 => any::<bool>().prop_map(|value| value.to_string()),
        3 => number(),
        3 => text(),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        let entry = (prop_oneof!["\"[ab]?\"", Just("\"\\u0061\"".to_owned()), text()], " ?", inner.clone())
            .prop_map(|(key, space, value)| format!("{key}{space}:{space}{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            proptest::collection::vec(entry, 0..4).prop_map(|items| format!("{{{}}}", items.join(","))),
        ]
    })
}

/// Any decimal, often equal or next to an integer or a float.
pub fn decimal() -> impl Strategy<Value = Decimal> {
    let digits = prop_oneof![
        -30i128..31,
        (-3i128..4).prop_map(|whole| whole * 100),
        any::<i64>().prop_map(i128::from),
        any::<i128>().prop_map(|digits| digits % 10i128.pow(36)),
        (50u32..60, -40i128..40).prop_map(|(bits, offset)| (1i128 << bits) * 10 + offset),
    ];
    let plain = (digits, prop_oneof![0u8..4, 0u8..=36]).prop_map(|(digits, scale)| Decimal::new(digits, scale));
    // A float with all of its digits, and its neighbours.
    let of_float = (-40i32..40, -4i8..5, -1i128..2).prop_map(|(numerator, power, offset)| {
        let float = f64::from(numerator) * 2f64.powi(power.into());
        let exact = Decimal::read(format!("{float:.20}").as_bytes(), None).ok()?;
        Decimal::new(exact.digits() + offset, exact.scale())
    });
    prop_oneof![3 => plain, 1 => of_float].prop_map(|decimal| decimal.unwrap_or(Decimal::ZERO))
}

/// Any value.
pub fn any_value() -> impl Strategy<Value = Sample> {
    const DAY: i64 = super::time::MICROS_PER_DAY;
    prop_oneof![
        8 => json().prop_map(Sample::Json),
        2 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()).prop_map(Sample::Float),
        4 => decimal().prop_map(Sample::Decimal),
        1 => (-2i32..3).prop_map(Sample::Date),
        1 => any::<i32>().prop_map(Sample::Date),
        1 => (-2i64..3, -1i64..2).prop_map(|(days, micros)| Sample::Timestamp(days * DAY + micros)),
        1 => any::<i64>().prop_map(Sample::Timestamp),
        1 => (-1i32..2, -31i32..32, prop_oneof![Just(0), Just(DAY), any::<i64>()])
            .prop_map(|(months, days, micros)| Sample::Interval(Interval { months, days, micros })),
    ]
}
