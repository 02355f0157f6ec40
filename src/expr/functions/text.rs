//! Functions of text.

use bumpalo::Bump;

use super::{Code, Function, Gives, int, string, text as owned};
use crate::expr::Vector;
use crate::expr::fault::Fault;
use crate::scan::{self, Kind};
use crate::value::{Value, json, text as wtf8};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "lower",
        aliases: &["lcase"],
        signature: "lower(text)",
        summary: "The text in lower case.",
        example: ("lower('ÉCOLE')", "\"école\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(owned(arena, &string(args[0])?.to_lowercase()))),
    },
    Function {
        name: "upper",
        aliases: &["ucase"],
        signature: "upper(text)",
        summary: "The text in upper case.",
        example: ("upper('école')", "\"ÉCOLE\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(owned(arena, &string(args[0])?.to_uppercase()))),
    },
    Function {
        name: "initcap",
        aliases: &[],
        signature: "initcap(text)",
        summary: "The text with each word in lower case but for its first letter; spaces end words.",
        example: ("initcap('new york')", "\"New York\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let lower = string(args[0])?.to_lowercase();
            let (mut out, mut begins) = (String::new(), true);
            for char in lower.chars() {
                if begins {
                    out.extend(char.to_uppercase())
                } else {
                    out.push(char)
                }
                begins = char.is_whitespace();
            }
            Ok(owned(arena, &out))
        }),
    },
    Function {
        name: "trim",
        aliases: &["btrim"],
        signature: "trim(text [, characters])",
        summary: "The text without spaces, or any of some characters, at its ends.",
        example: ("trim('  a b ')", "\"a b\""),
        arguments: (1, 2),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| trimmed(args, arena, |text, is_cut| text.trim_matches(is_cut))),
    },
    Function {
        name: "ltrim",
        aliases: &[],
        signature: "ltrim(text [, characters])",
        summary: "The text without spaces, or any of some characters, at its start.",
        example: ("ltrim('xxaxx', 'x')", "\"axx\""),
        arguments: (1, 2),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| trimmed(args, arena, |text, is_cut| text.trim_start_matches(is_cut))),
    },
    Function {
        name: "rtrim",
        aliases: &[],
        signature: "rtrim(text [, characters])",
        summary: "The text without spaces, or any of some characters, at its end.",
        example: ("rtrim('xxaxx', 'x')", "\"xxa\""),
        arguments: (1, 2),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| trimmed(args, arena, |text, is_cut| text.trim_end_matches(is_cut))),
    },
    Function {
        name: "length",
        aliases: &["len", "char_length", "character_length", "array_length", "size", "cardinality"],
        signature: "length(text | array | object)",
        summary: "The number of characters of a text, of elements of an array, or of keys of an object.",
        example: ("length('naïve')", "5"),
        arguments: (1, 1),
        expected: "text, an array or an object",
        gives: Gives::Number,
        code: Code::Field(
            |args, arena| match args[0] {
                Value::Text(text) => Ok(Value::integer(wtf8::count_chars(text) as i128)),
                Value::Json(array) if array.first() == Some(&b'[') => {
                    Ok(Value::integer(json::elements(array).count() as i128))
                }
                Value::Json(object) => Ok(Value::integer(json::keys(object, arena).len() as i128)),
                _ => Err(Fault::Type),
            },
            |field, arena| {
                let length = |kind, text: &[u8]| match kind {
                    Kind::Text => Some(wtf8::count_chars(text) as i64),
                    Kind::Escaped => Some((wtf8::count_chars(text) - scan::escape_surplus(text)) as i64),
                    Kind::Array => Some(scan::count_elements(text) as i64),
                    _ => None,
                };
                field.map(arena, length).map(Vector::Ints)
            },
        ),
    },
    Function {
        name: "substring",
        aliases: &["substr"],
        signature: "substring(text, start [, length])",
        summary: "The part of a text from a character, counted from 1, or from the end if negative.",
        example: ("substring('hello', 2, 3)", "\"ell\""),
        arguments: (2, 3),
        expected: "text and integers",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let text = string(args[0])?;
            let count = text.chars().count() as i128;
            let start = i128::from(int(args[1])?);
            // As in DuckDB: a negative start counts from the end, and positions before the first character
            // use up the length.
            let first = match start {
                ..0 => start + count,
                _ => start - 1,
            };
            let last = match args.get(2) {
                None => count,
                Some(&length) => first + i128::from(int(length)?),
            };
            let (from, to) = (first.min(last).clamp(0, count) as usize, first.max(last).clamp(0, count) as usize);
            Ok(owned(arena, &text.chars().skip(from).take(to - from).collect::<String>()))
        }),
    },
    Function {
        name: "left",
        aliases: &[],
        signature: "left(text, count)",
        summary: "The first characters of a text; a negative count leaves out the last ones.",
        example: ("left('hello', 2)", "\"he\""),
        arguments: (2, 2),
        expected: "text and an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let text = string(args[0])?;
            let count = keep(&text, int(args[1])?);
            Ok(owned(arena, &text.chars().take(count).collect::<String>()))
        }),
    },
    Function {
        name: "right",
        aliases: &[],
        signature: "right(text, count)",
        summary: "The last characters of a text; a negative count leaves out the first ones.",
        example: ("right('hello', 2)", "\"lo\""),
        arguments: (2, 2),
        expected: "text and an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let text = string(args[0])?;
            let skip = text.chars().count() - keep(&text, int(args[1])?);
            Ok(owned(arena, &text.chars().skip(skip).collect::<String>()))
        }),
    },
    Function {
        name: "replace",
        aliases: &[],
        signature: "replace(text, from, to)",
        summary: "The text with each occurrence of a part replaced.",
        example: ("replace('a-b-c', '-', '+')", "\"a+b+c\""),
        arguments: (3, 3),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (text, from) = (string(args[0])?, string(args[1])?);
            if from.is_empty() {
                return Ok(owned(arena, &text));
            }
            Ok(owned(arena, &text.replace(&*from, &string(args[2])?)))
        }),
    },
    Function {
        name: "contains",
        aliases: &[],
        signature: "contains(text, part)",
        summary: "Whether a text holds another.",
        example: ("contains('hello', 'ell')", "true"),
        arguments: (2, 2),
        expected: "text",
        gives: Gives::Bool,
        code: Code::Strict(|args, _| Ok(Value::Bool(string(args[0])?.contains(&*string(args[1])?)))),
    },
    Function {
        name: "starts_with",
        aliases: &["startswith", "prefix"],
        signature: "starts_with(text, part)",
        summary: "Whether a text starts with another.",
        example: ("starts_with('hello', 'he')", "true"),
        arguments: (2, 2),
        expected: "text",
        gives: Gives::Bool,
        code: Code::Strict(|args, _| Ok(Value::Bool(string(args[0])?.starts_with(&*string(args[1])?)))),
    },
    Function {
        name: "ends_with",
        aliases: &["endswith", "suffix"],
        signature: "ends_with(text, part)",
        summary: "Whether a text ends with another.",
        example: ("ends_with('hello', 'lo')", "true"),
        arguments: (2, 2),
        expected: "text",
        gives: Gives::Bool,
        code: Code::Strict(|args, _| Ok(Value::Bool(string(args[0])?.ends_with(&*string(args[1])?)))),
    },
    Function {
        name: "concat",
        aliases: &[],
        signature: "concat(value, …)",
        summary: "The values as one text; NULL is left out.",
        example: ("concat('a', null, 1)", "\"a1\""),
        arguments: (1, usize::MAX),
        expected: "text, a number, a truth value or a date",
        gives: Gives::Text,
        code: Code::Given(|args, arena| {
            let mut out = Vec::new();
            for &value in args {
                match value {
                    Value::Null => {}
                    Value::Json(_) => return Err(Fault::Type),
                    value => json::to_text(value, &mut out),
                }
            }
            Ok(Value::Text(arena.alloc_slice_copy(&out)))
        }),
    },
];

/// A text that `trim` cuts the characters from that are given, or spaces.
fn trimmed<'a>(
    args: &[Value],
    arena: &'a Bump,
    trim: for<'t> fn(&'t str, &dyn Fn(char) -> bool) -> &'t str,
) -> Result<Value<'a>, Fault> {
    let characters = args.get(1).map_or(Ok(" ".into()), |&characters| string(characters))?;
    Ok(owned(arena, trim(&string(args[0])?, &|char| characters.contains(char))))
}

/// How many characters `left` and `right` keep.
fn keep(text: &str, count: i64) -> usize {
    let all = text.chars().count();
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(all);
    if count < 0 { all - most } else { most }
}
