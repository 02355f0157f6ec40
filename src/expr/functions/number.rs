//! Functions of numbers.

use num_bigint::BigUint;
use num_traits::FromPrimitive;

use super::{Code, Function, Gives, int};
use crate::expr::Type;
use crate::expr::fault::Fault;
use crate::value::number::write_float;
use crate::value::{Decimal, Value};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "abs",
        aliases: &[],
        signature: "abs(number)",
        summary: "The number without its sign.",
        example: ("abs(-2)", "2"),
        arguments: (1, 1),
        expected: "a number",
        gives: Gives::ALIKE,
        code: Code::Strict(|args, _| match args[0] {
            Value::Int(value) => Ok(Value::integer(i128::from(value).abs())),
            Value::Wide(value) => value.get().checked_abs().map(Value::integer).ok_or(Fault::Overflow),
            Value::Float(value) => Ok(Value::Float(value.abs())),
            Value::Decimal(value) => Ok(Value::Decimal(value.abs())),
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "round",
        aliases: &[],
        signature: "round(number [, digits])",
        summary: "The nearest number with that many digits after the point (0 if not given); halves away from zero.",
        example: ("round(2.345, 1)", "2.3"),
        arguments: (1, 2),
        expected: "a number",
        gives: Gives::ALIKE,
        code: Code::Strict(|args, _| {
            let digits = args.get(1).map_or(Ok(0), |&digits| int(digits))?;
            match args[0] {
                Value::Int(_) | Value::Wide(_) if digits >= 0 => Ok(args[0]),
                Value::Int(value) => round_integer(i128::from(value), digits),
                Value::Wide(value) => round_integer(value.get(), digits),
                Value::Float(value) => Ok(Value::Float(round_float(value, digits))),
                Value::Decimal(value) => value.round(digits).map(Value::Decimal).ok_or(Fault::Overflow),
                _ => Err(Fault::Type),
            }
        }),
    },
    Function {
        name: "floor",
        aliases: &[],
        signature: "floor(number)",
        summary: "The greatest whole number that is not above the number.",
        example: ("floor(2.7)", "2.0"),
        arguments: (1, 1),
        expected: "a number",
        gives: Gives::ALIKE,
        code: Code::Strict(|args, _| whole(args[0], f64::floor, Decimal::floor)),
    },
    Function {
        name: "ceil",
        aliases: &["ceiling"],
        signature: "ceil(number)",
        summary: "The least whole number that is not below the number.",
        example: ("ceil(2.1)", "3.0"),
        arguments: (1, 1),
        expected: "a number",
        gives: Gives::ALIKE,
        code: Code::Strict(|args, _| whole(args[0], f64::ceil, Decimal::ceil)),
    },
    Function {
        name: "trunc",
        aliases: &["truncate"],
        signature: "trunc(number [, digits])",
        summary: "The number without the digits that follow that many after the point (0 if not given).",
        example: ("trunc(-2.7)", "-2.0"),
        arguments: (1, 2),
        expected: "a number",
        gives: Gives::ALIKE,
        code: Code::Strict(|args, _| {
            let digits = args.get(1).map_or(Ok(0), |&digits| int(digits))?;
            match args[0] {
                Value::Int(_) | Value::Wide(_) if digits >= 0 => Ok(args[0]),
                Value::Int(value) => Ok(truncate_integer(value.into(), digits)),
                Value::Wide(value) => Ok(truncate_integer(value.get(), digits)),
                Value::Float(value) => Ok(Value::Float(truncate_float(value, digits))),
                Value::Decimal(value) => Ok(Value::Decimal(value.truncate(digits))),
                _ => Err(Fault::Type),
            }
        }),
    },
    Function {
        name: "decimal",
        aliases: &[],
        signature: "decimal(value [, precision, scale])",
        summary: "The number with all of its digits, exactly, up to 36 of them; or rounded to so many after the point (scale), \
                  if it has no more in all (precision).",
        example: ("decimal('0.10') + decimal(2.345, 9, 2)", "2.45"),
        arguments: (1, 3),
        expected: "a number",
        gives: Gives::Decimal,
        // Most calls are casts, which read the digits of a field.
        code: Code::Strict(|args, arena| {
            let digits = |value| int(value).and_then(|digits| u8::try_from(digits).map_err(|_| Fault::Overflow));
            let to = match args {
                [_, precision, scale] => Type::Decimal { precision: digits(*precision)?, scale: Some(digits(*scale)?) },
                _ => Type::EXACT,
            };
            to.cast(args[0], arena)
        }),
    },
];

fn truncate_integer<'a>(value: i128, digits: i64) -> Value<'a> {
    match u32::try_from(-digits).ok().and_then(|digits| 10_i128.checked_pow(digits)) {
        Some(factor) => Value::integer(value - value % factor),
        None => Value::Int(0),
    }
}

/// The float without the digits that are written after a place.
fn truncate_float(value: f64, digits: i64) -> f64 {
    if digits == 0 {
        return value.trunc();
    }
    let mut text = Vec::new();
    write_float(value, &mut text);
    match Decimal::read(&text, None) {
        Ok(decimal) => decimal.truncate(digits).to_float().copysign(value),
        // So large that it has no digits after the point, or so small that it has no others.
        Err(_) if digits < 0 || value.abs() < 1.0 => 0.0_f64.copysign(value),
        Err(_) => value,
    }
}

fn round_integer<'a>(value: i128, digits: i64) -> Result<Value<'a>, Fault> {
    let Some(factor) = u32::try_from(-digits).ok().and_then(|digits| 10_i128.checked_pow(digits)) else {
        return Ok(Value::Int(0));
    };
    let rest = value % factor;
    let down = value - rest;
    let rounded = if rest.unsigned_abs() * 2 >= factor.unsigned_abs() {
        down.checked_add(factor * rest.signum())
    } else {
        Some(down)
    };
    rounded.map(Value::integer).ok_or(Fault::Overflow)
}

/// The float nearest to what the exact value of a float is when it is rounded in decimal.
fn round_float(value: f64, digits: i64) -> f64 {
    // No float has more digits than this after the point, or before it.
    const MOST_PLACES: i64 = 1074;
    const MOST_DIGITS: i64 = 309;
    if digits > MOST_PLACES || digits > 0 && value.fract() == 0.0 {
        return value;
    }
    if digits == 0 {
        return value.round();
    }
    let magnitude = value.abs();
    if digits < 0 {
        if -digits > MOST_DIGITS {
            return 0.0;
        }
        // What is behind the point does not matter then.
        let Some(whole) = BigUint::from_f64(magnitude) else { return value };
        let factor = BigUint::from(10u8).pow(digits.unsigned_abs() as u32);
        let rounded = (whole + &factor / 2u8) / &factor * factor;
        let rounded = rounded.to_string().parse::<f64>().unwrap_or(magnitude);
        return if rounded.is_finite() { rounded.copysign(value) } else { value };
    }
    // Formatting is exact, and rounds halves to even. Halfway between two decimals of so many places are only odd numbers
    // of halves of powers of two; of these the next float is rounded away from zero.
    let halves = magnitude * 2_f64.powi(digits as i32 + 1);
    let is_half = halves.fract() == 0.0 && halves % 2.0 == 1.0;
    let places = digits as usize;
    let text = format!("{:.places$}", if is_half { magnitude.next_up() } else { magnitude });
    text.parse::<f64>().unwrap_or(magnitude).copysign(value)
}

fn whole(value: Value, round: fn(f64) -> f64, round_decimal: fn(Decimal) -> Decimal) -> Result<Value, Fault> {
    match value {
        Value::Decimal(value) => Ok(Value::Decimal(round_decimal(value))),
        Value::Int(_) | Value::Wide(_) => Ok(value),
        Value::Float(value) => Ok(Value::Float(round(value))),
        _ => Err(Fault::Type),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn floats_are_rounded_by_their_exact_values() {
        for (value, digits, expected) in [
            (1.95, 1, 1.9),
            (1.15, 1, 1.1),
            (2.675, 2, 2.67),
            (0.125, 2, 0.13),
            (-0.125, 2, -0.13),
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (25.0, -1, 30.0),
            (24.999_999_999_999_996, -1, 20.0),
            (1e300, -299, 1e300),
            (1e308, -309, 0.0),
            (5e-324, 1074, 5e-324),
            (1.5, 2000, 1.5),
            (0.1, 400, 0.1),
        ] {
            assert_eq!(round_float(value, digits), expected, "{value} {digits}");
        }
    }

    proptest! {
        #[test]
        fn the_nearest_decimal_is_within_half_a_unit(value in -1e6..1e6_f64, digits in 1i64..9) {
            let rounded = round_float(value, digits);
            let unit = 10_f64.powi(-digits as i32);
            prop_assert!((rounded - value).abs() <= unit / 2.0 * (1.0 + 1e-9) + value.abs() * 1e-15);
        }
    }
}
