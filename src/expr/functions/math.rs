//! Functions of floats, and some of integers.

use num_integer::Integer;

use super::{Code, Function, Gives, int};
use crate::expr::Arithmetic;
use crate::expr::fault::Fault;
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    float("sqrt", &[], "sqrt(number)", "The square root.", ("sqrt(2)", "1.4142135623730951"), f64::sqrt),
    float("cbrt", &[], "cbrt(number)", "The cube root.", ("cbrt(8)", "2.0"), f64::cbrt),
    float("exp", &[], "exp(number)", "e to the power of the number.", ("exp(0)", "1.0"), f64::exp),
    float("ln", &[], "ln(number)", "The natural logarithm.", ("ln(1)", "0.0"), f64::ln),
    float("log10", &[], "log10(number)", "The logarithm to the base 10.", ("log10(100)", "2.0"), f64::log10),
    float("log2", &[], "log2(number)", "The logarithm to the base 2.", ("log2(8)", "3.0"), f64::log2),
    float("sin", &[], "sin(number)", "The sine of an angle in radians.", ("sin(0)", "0.0"), f64::sin),
    float("cos", &[], "cos(number)", "The cosine of an angle in radians.", ("cos(0)", "1.0"), f64::cos),
    float("tan", &[], "tan(number)", "The tangent of an angle in radians.", ("tan(0)", "0.0"), f64::tan),
    float("cot", &[], "cot(number)", "The cotangent of an angle in radians.", ("round(cot(1), 3)", "0.642"), |x| {
        1.0 / x.tan()
    }),
    float("asin", &[], "asin(number)", "The angle of a sine, in radians.", ("asin(0)", "0.0"), f64::asin),
    float("acos", &[], "acos(number)", "The angle of a cosine, in radians.", ("acos(1)", "0.0"), f64::acos),
    float("atan", &[], "atan(number)", "The angle of a tangent, in radians.", ("atan(0)", "0.0"), f64::atan),
    float("sinh", &[], "sinh(number)", "The hyperbolic sine.", ("sinh(0)", "0.0"), f64::sinh),
    float("cosh", &[], "cosh(number)", "The hyperbolic cosine.", ("cosh(0)", "1.0"), f64::cosh),
    float("tanh", &[], "tanh(number)", "The hyperbolic tangent.", ("tanh(0)", "0.0"), f64::tanh),
    float(
        "degrees",
        &[],
        "degrees(number)",
        "An angle of radians in degrees.",
        ("degrees(pi())", "180.0"),
        f64::to_degrees,
    ),
    float(
        "radians",
        &[],
        "radians(number)",
        "An angle of degrees in radians.",
        ("radians(180) = pi()", "true"),
        f64::to_radians,
    ),
    Function {
        name: "log",
        aliases: &[],
        signature: "log([base,] number)",
        summary: "The logarithm to a base, which is 10 if not given.",
        example: ("log(2, 8)", "3.0"),
        arguments: (1, 2),
        expected: "numbers above 0",
        gives: Gives::Number,
        code: Code::Strict(|args, _| match args {
            [number] => finite(number_of(*number)?.log10()),
            [base, number] => finite(number_of(*number)?.log10() / number_of(*base)?.log10()),
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "pow",
        aliases: &["power"],
        signature: "pow(number, exponent)",
        summary: "The number to the power of the exponent, as a float.",
        example: ("pow(2, 3)", "8.0"),
        arguments: (2, 2),
        expected: "numbers",
        gives: Gives::Number,
        code: Code::Strict(|args, _| finite(number_of(args[0])?.powf(number_of(args[1])?))),
    },
    Function {
        name: "atan2",
        aliases: &[],
        signature: "atan2(y, x)",
        summary: "The angle of the point (x, y), in radians.",
        example: ("atan2(0, 1)", "0.0"),
        arguments: (2, 2),
        expected: "numbers",
        gives: Gives::Number,
        code: Code::Strict(|args, _| finite(number_of(args[0])?.atan2(number_of(args[1])?))),
    },
    Function {
        name: "pi",
        aliases: &[],
        signature: "pi()",
        summary: "The number π.",
        example: ("pi()", "3.141592653589793"),
        arguments: (0, 0),
        expected: "no arguments",
        gives: Gives::Number,
        code: Code::Strict(|_, _| Ok(Value::Float(std::f64::consts::PI))),
    },
    Function {
        name: "sign",
        aliases: &["signum"],
        signature: "sign(number)",
        summary: "-1, 0 or 1, as the number is below, equal to or above 0.",
        example: ("sign(-2.5)", "-1"),
        arguments: (1, 1),
        expected: "a number",
        gives: Gives::Number,
        code: Code::Strict(|args, _| match args[0] {
            Value::Int(value) => Ok(Value::Int(value.signum())),
            Value::Wide(value) => Ok(Value::Int(value.get().signum() as i64)),
            Value::Decimal(value) => Ok(Value::Int(value.signum().into())),
            Value::Float(value) => Ok(Value::Int(i64::from(value > 0.0) - i64::from(value < 0.0))),
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "mod",
        aliases: &["fmod"],
        signature: "mod(number, divisor)",
        summary: "The remainder of a division, with the sign of the number: number % divisor.",
        example: ("mod(-7, 3)", "-1"),
        arguments: (2, 2),
        expected: "numbers",
        gives: Gives::ALIKE,
        code: Code::Strict(|args, _| Arithmetic::Remainder.apply(args[0], args[1])),
    },
    Function {
        name: "gcd",
        aliases: &["greatest_common_divisor"],
        signature: "gcd(integer, integer)",
        summary: "The greatest common divisor.",
        example: ("gcd(12, 18)", "6"),
        arguments: (2, 2),
        expected: "integers",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::integer(i128::from(int(args[0])?).gcd(&i128::from(int(args[1])?))))),
    },
    Function {
        name: "lcm",
        aliases: &["least_common_multiple"],
        signature: "lcm(integer, integer)",
        summary: "The least common multiple.",
        example: ("lcm(4, 6)", "12"),
        arguments: (2, 2),
        expected: "integers",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::integer(i128::from(int(args[0])?).lcm(&i128::from(int(args[1])?))))),
    },
    Function {
        name: "factorial",
        aliases: &[],
        signature: "factorial(integer)",
        summary: "The product of the integers from 1 on.",
        example: ("factorial(5)", "120"),
        arguments: (1, 1),
        expected: "an integer from 0",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            let last = int(args[0])?;
            if last < 0 {
                return Err(Fault::Invalid);
            }
            let product = (1..=i128::from(last)).try_fold(1_i128, i128::checked_mul);
            product.map(Value::integer).ok_or(Fault::Overflow)
        }),
    },
    Function {
        name: "bit_count",
        aliases: &[],
        signature: "bit_count(integer)",
        summary: "The number of bits of an integer that are 1, of its 64.",
        example: ("bit_count(7)", "3"),
        arguments: (1, 1),
        expected: "an integer",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::Int(i64::from(int(args[0])?.count_ones())))),
    },
    Function {
        name: "even",
        aliases: &[],
        signature: "even(number)",
        summary: "The next even number away from 0, as a float.",
        example: ("even(2.1)", "4.0"),
        arguments: (1, 1),
        expected: "a number",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            let number = number_of(args[0])?;
            finite((number.abs() / 2.0).ceil().copysign(number) * 2.0)
        }),
    },
];

/// A function of one float. What is not finite is an overflow.
const fn float(
    name: &'static str,
    aliases: &'static [&'static str],
    signature: &'static str,
    summary: &'static str,
    example: (&'static str, &'static str),
    apply: fn(f64) -> f64,
) -> Function {
    Function {
        name,
        aliases,
        signature,
        summary,
        example,
        arguments: (1, 1),
        expected: "a number for which it is defined",
        gives: Gives::Number,
        code: Code::Float(apply),
    }
}

/// A number as a float.
///
/// # Errors
/// [`Fault::Type`] for anything else.
pub(super) fn number_of(value: Value) -> Result<f64, Fault> {
    value.to_float().ok_or(Fault::Type)
}

/// A float that is one.
///
/// # Errors
/// [`Fault::Overflow`] for infinities, [`Fault::Invalid`] where a function is not defined.
pub(super) fn finite<'a>(value: f64) -> Result<Value<'a>, Fault> {
    match value.is_nan() {
        true => Err(Fault::Invalid),
        false if value.is_infinite() => Err(Fault::Overflow),
        false => Ok(Value::Float(value)),
    }
}
