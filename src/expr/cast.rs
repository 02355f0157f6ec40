//! Casts between types.

use bumpalo::Bump;

use super::fault::Fault;
use crate::value::number::write_float;
use crate::value::{Date, Decimal, Interval, NotDecimal, Timestamp, Value, json, power, text};

/// A type that values can be cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `boolean`
    Bool,
    /// `integer` and its kin, with the least and the greatest value.
    Int {
        /// The least value.
        min: i128,
        /// The greatest value.
        max: i128,
    },
    /// `double`
    Float,
    /// `decimal(precision, scale)`
    Decimal {
        /// The most digits.
        precision: u8,
        /// The digits after the point; as many as there are, if not given.
        scale: Option<u8>,
    },
    /// `varchar`
    Text,
    /// `date`
    Date,
    /// `timestamp`
    Timestamp,
    /// `interval`
    Interval,
}

impl Type {
    /// The type of `decimal(x)`: every digit is kept.
    pub const EXACT: Type = Type::Decimal { precision: Decimal::MAX_DIGITS, scale: None };

    /// The type of a name as DuckDB and Spark know it, in any case. Decimals, which take digits, are not among them.
    pub fn named(name: &str) -> Option<Type> {
        let signed = |bits: u32| Type::Int { min: -(1_i128 << (bits - 1)), max: (1_i128 << (bits - 1)) - 1 };
        let unsigned = |bits: u32| Type::Int { min: 0, max: (1_i128 << bits) - 1 };
        Some(match name.to_ascii_lowercase().as_str() {
            "bool" | "boolean" | "logical" => Type::Bool,
            "tinyint" | "int1" => signed(8),
            "smallint" | "int2" | "short" => signed(16),
            "int" | "integer" | "int4" | "signed" => signed(32),
            "bigint" | "int8" | "long" => signed(64),
            "hugeint" | "int128" => Type::Int { min: i128::MIN, max: i128::MAX },
            "utinyint" => unsigned(8),
            "usmallint" => unsigned(16),
            "uinteger" => unsigned(32),
            "ubigint" => unsigned(64),
            "float" | "float4" | "float8" | "real" | "double" | "double precision" => Type::Float,
            "varchar" | "text" | "string" | "char" | "bpchar" => Type::Text,
            "date" => Type::Date,
            "timestamp" | "datetime" | "timestamptz" | "timestamp with time zone" => Type::Timestamp,
            "interval" => Type::Interval,
            _ => return None,
        })
    }

    /// Whether it is a decimal, of any digits.
    pub fn is_decimal(self) -> bool {
        matches!(self, Type::Decimal { .. })
    }

    /// What a failed cast says was expected.
    pub fn expected(self) -> &'static str {
        match self {
            Type::Bool => "a truth value",
            Type::Int { .. } => "an integer",
            Type::Float | Type::Decimal { .. } => "a number",
            Type::Text => "text",
            Type::Date => "a date",
            Type::Timestamp => "a timestamp",
            Type::Interval => "an interval",
        }
    }

    /// Casts one value; NULL stays NULL.
    ///
    /// # Errors
    /// [`Fault::Type`] between types that have no cast, [`Fault::Invalid`] for text that does not read as the type,
    /// [`Fault::Overflow`] for numbers beyond the type.
    pub fn cast<'a>(self, value: Value<'a>, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Type::Text, Value::Text(_)) => Ok(value),
            (Type::Text, other) => {
                let mut out = Vec::new();
                json::to_text(other, &mut out);
                Ok(Value::Text(arena.alloc_slice_copy(&out)))
            }
            (Type::Bool, Value::Bool(_)) => Ok(value),
            (Type::Bool, Value::Int(value)) => Ok(Value::Bool(value != 0)),
            (Type::Bool, Value::Wide(_)) => Ok(Value::Bool(true)),
            (Type::Bool, Value::Decimal(value)) => Ok(Value::Bool(value.signum() != 0)),
            (Type::Bool, Value::Float(value)) => Ok(Value::Bool(value != 0.0)),
            (Type::Bool, Value::Text(bytes)) => match text::lossy(bytes).trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "1" | "yes" | "y" => Ok(Value::Bool(true)),
                "false" | "f" | "0" | "no" | "n" => Ok(Value::Bool(false)),
                _ => Err(Fault::Invalid),
            },
            (Type::Int { min, max }, _) => {
                let value = integer(value)?;
                if (min..=max).contains(&value) { Ok(Value::integer(value)) } else { Err(Fault::Overflow) }
            }
            (Type::Float, _) => float(value).map(Value::Float),
            (Type::Decimal { precision, scale }, _) => decimal(value, precision, scale).map(Value::Decimal),
            (Type::Date, Value::Date(_)) => Ok(value),
            (Type::Date, Value::Timestamp(timestamp)) => Ok(Value::Date(timestamp.date())),
            (Type::Date, Value::Text(bytes)) => Date::parse(bytes).map(Value::Date).ok_or(Fault::Invalid),
            (Type::Timestamp, _) => timestamp(value).map(Value::Timestamp),
            (Type::Interval, Value::Interval(_)) => Ok(value),
            (Type::Interval, Value::Text(bytes)) => {
                Interval::parse(&text::lossy(bytes)).map(Value::Interval).ok_or(Fault::Invalid)
            }
            _ => Err(Fault::Type),
        }
    }
}

impl std::fmt::Display for Type {
    /// The name of the type, as in a query.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Type::Bool => "boolean",
            Type::Int { .. } => "integer",
            Type::Float => "double",
            Type::Decimal { precision, scale: Some(scale) } => return write!(f, "decimal({precision}, {scale})"),
            Type::Decimal { .. } => "decimal",
            Type::Text => "varchar",
            Type::Date => "date",
            Type::Timestamp => "timestamp",
            Type::Interval => "interval",
        })
    }
}

/// The decimal nearest to a value, halves away from zero. Floats count with the digits that they are written with.
fn decimal(value: Value, precision: u8, scale: Option<u8>) -> Result<Decimal, Fault> {
    let read = |text: &[u8]| {
        Decimal::read(text, scale).map_err(|error| match error {
            NotDecimal::NoNumber => Fault::Invalid,
            NotDecimal::TooLong => Fault::Overflow,
        })
    };
    let rescaled = |value: Option<Decimal>| {
        value.and_then(|value| scale.map_or(Some(value), |scale| value.rescale(scale))).ok_or(Fault::Overflow)
    };
    let value = match value {
        Value::Bool(value) => rescaled(Decimal::new(value.into(), 0))?,
        Value::Int(value) => rescaled(Decimal::new(value.into(), 0))?,
        Value::Wide(value) => rescaled(Decimal::new(value.get(), 0))?,
        Value::Decimal(value) => rescaled(Some(value))?,
        Value::Float(value) => {
            let mut text = Vec::new();
            write_float(value, &mut text);
            read(&text)?
        }
        Value::Huge(text) => read(text)?,
        Value::Text(text) => read(text.trim_ascii())?,
        _ => return Err(Fault::Type),
    };
    checked(value, precision)
}

/// A decimal, if it has no more digits than it may have.
pub(super) fn checked(value: Decimal, precision: u8) -> Result<Decimal, Fault> {
    let fits = precision >= Decimal::MAX_DIGITS || value.digits().unsigned_abs() < power(precision);
    if fits { Ok(value) } else { Err(Fault::Overflow) }
}

/// A moment from a timestamp, a date (midnight UTC) or text.
pub(super) fn timestamp(value: Value) -> Result<Timestamp, Fault> {
    match value {
        Value::Timestamp(timestamp) => Ok(timestamp),
        Value::Date(date) => date.midnight().ok_or(Fault::Overflow),
        Value::Text(bytes) => Timestamp::parse(bytes).ok_or(Fault::Invalid),
        _ => Err(Fault::Type),
    }
}

/// The nearest integer, ties of floats to even, of decimals and texts away from zero, as DuckDB casts.
fn integer(value: Value) -> Result<i128, Fault> {
    match value {
        Value::Bool(value) => Ok(i128::from(value)),
        Value::Int(value) => Ok(i128::from(value)),
        Value::Wide(value) => Ok(value.get()),
        Value::Decimal(value) => Ok(value.to_integer()),
        Value::Float(value) => {
            let rounded = value.round_ties_even();
            // 2^127 is a float; every float below it in magnitude fits.
            if rounded.abs() < 170_141_183_460_469_231_731_687_303_715_884_105_728.0 {
                Ok(rounded as i128)
            } else {
                Err(Fault::Overflow)
            }
        }
        Value::Huge(_) => Err(Fault::Overflow),
        Value::Text(bytes) => match number(bytes)? {
            Value::Float(_) => nearest(bytes.trim_ascii()).ok_or(Fault::Overflow),
            other => integer(other),
        },
        _ => Err(Fault::Type),
    }
}

/// The integer nearest to the decimal that a text is, ties away from zero; from its digits, as a float may not hold them all.
fn nearest(text: &[u8]) -> Option<i128> {
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok()?.parse::<i64>().ok()),
        None => (text, Some(0)),
    };
    let whole = mantissa.iter().take_while(|&&byte| byte != b'.').filter(|byte| byte.is_ascii_digit()).count();
    let digits: Vec<u8> = mantissa.iter().filter(|byte| byte.is_ascii_digit()).copied().collect();
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    // The value is 0.digits × 10^point. A text that reads as a finite float has a far smaller exponent than 64 bits hold,
    // unless it is 0 or next to it.
    let digits = &digits[zeros..];
    let point = (whole as i64 - zeros as i64).checked_add(exponent.unwrap_or(i64::MIN / 2))?;
    if digits.is_empty() || point < 0 {
        return Some(0);
    }
    let point = usize::try_from(point).ok().filter(|&point| point < 40)?;
    let digit = |at: usize| i128::from(digits.get(at).map_or(0, |digit| digit - b'0'));
    let sign = if mantissa.first() == Some(&b'-') { -1 } else { 1 };
    let value = (0..point).try_fold(0_i128, |value, at| value.checked_mul(10)?.checked_add(sign * digit(at)))?;
    value.checked_add(if digit(point) >= 5 { sign } else { 0 })
}

fn float(value: Value) -> Result<f64, Fault> {
    match value {
        Value::Bool(value) => Ok(f64::from(u8::from(value))),
        Value::Huge(bytes) => {
            fast_float2::parse::<f64, _>(bytes).ok().filter(|value| value.is_finite()).ok_or(Fault::Overflow)
        }
        Value::Text(bytes) => float(number(bytes)?),
        number => number.to_float().ok_or(Fault::Type),
    }
}

/// A number from text: as JSON has it, with leading zeros, a plus sign or a bare point allowed too.
fn number(bytes: &[u8]) -> Result<Value<'_>, Fault> {
    let trimmed = bytes.trim_ascii();
    let digits = trimmed.strip_prefix(b"+").unwrap_or(trimmed);
    if let Ok(value) = std::str::from_utf8(digits).unwrap_or_default().parse::<i128>() {
        return Ok(Value::integer(value));
    }
    match fast_float2::parse::<f64, _>(digits) {
        Ok(value) if value.is_finite() => Ok(Value::Float(value)),
        Ok(_) if digits.iter().any(u8::is_ascii_digit) => Err(Fault::Overflow),
        _ => Err(Fault::Invalid),
    }
}
