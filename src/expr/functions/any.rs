//! Functions of values of any type.

use std::cmp::Ordering;

use super::{Code, Function, Gives};
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
        code: Code::Given(|args, _| {
            Ok(Value::Text(match args[0] {
                Value::Null => b"null",
                Value::Bool(_) => b"boolean",
                Value::Int(_) | Value::Wide(_) => b"integer",
                Value::Huge(_) if args[0].is_integer_spelling() => b"integer",
                Value::Float(_) | Value::Huge(_) => b"float",
                Value::Decimal(_) => b"decimal",
                Value::Date(_) => b"date",
                Value::Timestamp(_) => b"timestamp",
                Value::Interval(_) => b"interval",
                Value::Text(_) => b"string",
                Value::Json(json) if json.first() == Some(&b'[') => b"array",
                Value::Json(_) => b"object",
            }))
        }),
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
