//! Functions of numbers.

use super::{Code, Function, int};
use crate::expr::fault::Fault;
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "abs",
        aliases: &[],
        signature: "abs(number)",
        summary: "The number without its sign.",
        example: ("abs(-2)", "2"),
        arguments: (1, 1),
        expected: "a number",
        code: Code::Strict(|args, _| match args[0] {
            Value::Int(value) => Ok(Value::integer(i128::from(value).abs())),
            Value::Wide(value) => value.get().checked_abs().map(Value::integer).ok_or(Fault::Overflow),
            Value::Float(value) => Ok(Value::Float(value.abs())),
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
        code: Code::Strict(|args, _| {
            let digits = args.get(1).map_or(Ok(0), |&digits| int(digits))?;
            match args[0] {
                Value::Int(_) | Value::Wide(_) if digits >= 0 => Ok(args[0]),
                Value::Int(value) => round_integer(i128::from(value), digits),
                Value::Wide(value) => round_integer(value.get(), digits),
                Value::Float(value) => {
                    let factor = 10_f64.powi(digits.clamp(-400, 400).unsigned_abs() as i32);
                    let rounded =
                        if digits < 0 { (value / factor).round() * factor } else { (value * factor).round() / factor };
                    // Where the scaled number overflows, it has no digits there to round.
                    Ok(Value::Float(match rounded.is_finite() {
                        true => rounded,
                        false if digits < 0 => 0.0,
                        false => value,
                    }))
                }
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
        code: Code::Strict(|args, _| whole(args[0], f64::floor)),
    },
    Function {
        name: "ceil",
        aliases: &["ceiling"],
        signature: "ceil(number)",
        summary: "The least whole number that is not below the number.",
        example: ("ceil(2.1)", "3.0"),
        arguments: (1, 1),
        expected: "a number",
        code: Code::Strict(|args, _| whole(args[0], f64::ceil)),
    },
];

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

fn whole(value: Value, round: fn(f64) -> f64) -> Result<Value, Fault> {
    match value {
        Value::Int(_) | Value::Wide(_) => Ok(value),
        Value::Float(value) => Ok(Value::Float(round(value))),
        _ => Err(Fault::Type),
    }
}
