//! Functions of values of any type.

use std::cmp::Ordering;

use super::{Code, Function, Gives};
use crate::expr::Vector;
use crate::scan::Kind;
use crate::value::{Value, order};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "greatest",
        aliases: &[],
        signature: "greatest(value, …)",
        summary: "The greatest of the values; NULL is left out.",
        example: ("greatest(1, 3, 2)", "3"),
        arguments: (1, usize::MAX),
        expected: "values",
        gives: Gives::ALIKE,
        code: Code::Given(|args, _| Ok(extreme(args, Ordering::Greater))),
    },
    Function {
        name: "least",
        aliases: &[],
        signature: "least(value, …)",
        summary: "The least of the values; NULL is left out.",
        example: ("least(3, 1, 2)", "1"),
        arguments: (1, usize::MAX),
        expected: "values",
        gives: Gives::ALIKE,
        code: Code::Given(|args, _| Ok(extreme(args, Ordering::Less))),
    },
    Function {
        name: "typeof",
        aliases: &["json_type"],
        signature: "typeof(value)",
        summary: "The type: null, boolean, integer, float, decimal, string, array, object, date, timestamp or interval.",
        example: ("typeof(1.5)", "\"float\""),
        arguments: (1, 1),
        expected: "a value",
        gives: Gives::Text,
        code: Code::GivenField(
            |args, _| Ok(Value::Text(type_name(args[0]).as_bytes())),
            |field, arena| {
                // Most fields are of one type in all records of a block.
                let names = field.map(arena, |kind, _| Some(kind_name(kind)))?;
                Some(match names {
                    [first, rest @ ..] if rest.iter().all(|name| name == first) => {
                        Vector::Constant(Value::Text(first.as_bytes()))
                    }
                    names => Vector::build(arena, names.len(), |row| Value::Text(names[row].as_bytes())),
                })
            },
        ),
    },
];

fn extreme<'a>(values: &[Value<'a>], wanted: Ordering) -> Value<'a> {
    let mut best = Value::Null;
    for &value in values {
        if matches!(value, Value::Null) {
            continue;
        }
        if matches!(best, Value::Null) || order::compare(value, best) == wanted {
            best = value;
        }
    }
    best
}

/// The name of the type of what a cell of a kind covers.
fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing | Kind::Null => "null",
        Kind::False | Kind::True => "boolean",
        Kind::Int => "integer",
        Kind::Float => "float",
        Kind::Text | Kind::Escaped => "string",
        Kind::Array => "array",
        Kind::Object => "object",
    }
}

/// The name of a value's type.
pub(super) fn type_name(value: Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Wide(_) => "integer",
        Value::Huge(_) if value.is_integer_spelling() => "integer",
        Value::Float(_) | Value::Huge(_) => "float",
        Value::Decimal(_) => "decimal",
        Value::Date(_) => "date",
        Value::Timestamp(_) => "timestamp",
        Value::Interval(_) => "interval",
        Value::Text(_) => "string",
        Value::Json(json) if json.first() == Some(&b'[') => "array",
        Value::Json(_) => "object",
    }
}
