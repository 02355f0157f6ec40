//! Functions that take texts apart and put them together.

use super::{Code, Function, Gives, array_of_texts, int, string, text};
use crate::expr::fault::Fault;
use crate::value::{Value, json};

/// The longest text that a function makes out of a short one, in bytes.
const MOST_BYTES: usize = 16 << 20;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "split_part",
        aliases: &["split_to_part"],
        signature: "split_part(text, separator, number)",
        summary: "The part of that number between separators, from 1, or from the end if negative; '' if there is none.",
        example: ("split_part('a-b-c', '-', 2)", "\"b\""),
        arguments: (3, 3),
        expected: "two texts and an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, separator, number) = (string(args[0])?, string(args[1])?, int(args[2])?);
            let place = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX).wrapping_sub(1);
            let part = match number {
                0 => None,
                1.. => parts(&subject, &separator).nth(place),
                _ => {
                    let parts: Vec<&str> = parts(&subject, &separator).collect();
                    parts.iter().rev().nth(place).copied()
                }
            };
            Ok(text(arena, part.unwrap_or_default()))
        }),
    },
    Function {
        name: "substring_index",
        aliases: &[],
        signature: "substring_index(text, separator, count)",
        summary: "What comes before so many separators, or behind so many from the end if the count is negative; all of the text if it has fewer.",
        example: ("substring_index('a.b.c', '.', 2)", "\"a.b\""),
        arguments: (3, 3),
        expected: "two texts and an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, separator, count) = (string(args[0])?, string(args[1])?, int(args[2])?);
            let place = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).wrapping_sub(1);
            let part = match (count, &*separator) {
                (0, _) | (_, "") => Some(""),
                (1.., separator) => subject.match_indices(separator).nth(place).map(|(at, _)| &subject[..at]),
                (_, separator) => {
                    subject.rmatch_indices(separator).nth(place).map(|(at, found)| &subject[at + found.len()..])
                }
            };
            Ok(text(arena, part.unwrap_or(&subject)))
        }),
    },
    Function {
        name: "string_split",
        aliases: &["split", "str_split", "string_to_array"],
        signature: "string_split(text, separator)",
        summary: "The parts of a text between separators, as an array; its characters if the separator is ''.",
        example: ("string_split('a-b-c', '-')", "[\"a\",\"b\",\"c\"]"),
        arguments: (2, 2),
        expected: "two texts",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let (subject, separator) = (string(args[0])?, string(args[1])?);
            Ok(array_of_texts(arena, parts(&subject, &separator)))
        }),
    },
    Function {
        name: "array_to_string",
        aliases: &["list_to_string", "array_join"],
        signature: "array_to_string(array, separator)",
        summary: "The elements of an array as one text, with a separator between them; NULL is left out, and comes of an array that has nothing else.",
        example: ("array_to_string(from_json('[1,\"b\",null]'), '-')", "\"1-b\""),
        arguments: (2, 2),
        expected: "an array and a text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (Value::Json(array @ [b'[', ..]), Value::Text(separator)) = (args[0], args[1]) else {
                return Err(Fault::Type);
            };
            let values = json::elements(array).map(|element| Value::from_json(element, arena));
            let has_only_nulls = values.clone().all(|value| matches!(value, Value::Null));
            match has_only_nulls && values.clone().next().is_some() {
                true => Ok(Value::Null),
                false => join(values, separator, arena),
            }
        }),
    },
    Function {
        name: "concat_ws",
        aliases: &[],
        signature: "concat_ws(separator, value, …)",
        summary: "The values as one text, with a separator between them; NULL is left out.",
        example: ("concat_ws('-', 'a', null, 1)", "\"a-1\""),
        arguments: (2, usize::MAX),
        expected: "text, numbers, truth values and dates",
        gives: Gives::Text,
        code: Code::Given(|args, arena| match args[0] {
            Value::Null => Ok(Value::Null),
            Value::Text(separator) => join(args[1..].iter().copied(), separator, arena),
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "repeat",
        aliases: &[],
        signature: "repeat(text, count)",
        summary: "The text that many times over.",
        example: ("repeat('ab', 3)", "\"ababab\""),
        arguments: (2, 2),
        expected: "text and an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, count) = (string(args[0])?, int(args[1])?);
            let count = usize::try_from(count.max(0)).map_err(|_| Fault::Overflow)?;
            match subject.len().checked_mul(count) {
                Some(..=MOST_BYTES) => Ok(text(arena, &subject.repeat(count))),
                _ => Err(Fault::Overflow),
            }
        }),
    },
    Function {
        name: "reverse",
        aliases: &[],
        signature: "reverse(text)",
        summary: "The characters of a text from the last to the first.",
        example: ("reverse('añb')", "\"bña\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &string(args[0])?.chars().rev().collect::<String>()))),
    },
    Function {
        name: "lpad",
        aliases: &[],
        signature: "lpad(text, length, fill)",
        summary: "The text with that many characters: filled up at its start, or cut at its end.",
        example: ("lpad('7', 3, '0')", "\"007\""),
        arguments: (3, 3),
        expected: "text, an integer and a text that is not empty",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, fill) = padded(args)?;
            Ok(text(arena, &(fill + &subject)))
        }),
    },
    Function {
        name: "rpad",
        aliases: &[],
        signature: "rpad(text, length, fill)",
        summary: "The text with that many characters: filled up, or cut, at its end.",
        example: ("rpad('ab', 4, '.')", "\"ab..\""),
        arguments: (3, 3),
        expected: "text, an integer and a text that is not empty",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, fill) = padded(args)?;
            Ok(text(arena, &(subject + &fill)))
        }),
    },
    Function {
        name: "translate",
        aliases: &[],
        signature: "translate(text, from, to)",
        summary: "The text with each character of `from` replaced by that at its place in `to`, or left out.",
        example: ("translate('abcd', 'abc', 'xy')", "\"xyd\""),
        arguments: (3, 3),
        expected: "three texts",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, from, to) = (string(args[0])?, string(args[1])?, string(args[2])?);
            let translated = subject.chars().filter_map(|char| match from.chars().position(|other| other == char) {
                None => Some(char),
                Some(place) => to.chars().nth(place),
            });
            Ok(text(arena, &translated.collect::<String>()))
        }),
    },
];

/// The parts of a text between separators; its characters if there is no separator.
pub(super) fn parts<'t>(text: &'t str, separator: &'t str) -> Box<dyn Iterator<Item = &'t str> + 't> {
    match separator {
        "" => Box::new(text.char_indices().map(|(start, char)| &text[start..start + char.len_utf8()])),
        separator => Box::new(text.split(separator)),
    }
}

/// Values as one text. NULL is left out, and arrays and objects are faults.
fn join<'a>(
    values: impl Iterator<Item = Value<'a>>,
    separator: &[u8],
    arena: &'a bumpalo::Bump,
) -> Result<Value<'a>, Fault> {
    let mut out = Vec::new();
    let mut first = true;
    for value in values {
        match value {
            Value::Null => continue,
            Value::Json(_) => return Err(Fault::Type),
            _ if first => first = false,
            _ => out.extend_from_slice(separator),
        }
        json::to_text(value, &mut out);
    }
    Ok(Value::Text(arena.alloc_slice_copy(&out)))
}

/// A text cut to a number of characters, and what fills it up to them.
fn padded(args: &[Value]) -> Result<(String, String), Fault> {
    let (subject, length, fill) = (string(args[0])?, int(args[1])?, string(args[2])?);
    let length = usize::try_from(length.max(0)).map_err(|_| Fault::Overflow)?;
    let cut: String = subject.chars().take(length).collect();
    let missing = length - cut.chars().count();
    if missing == 0 {
        return Ok((cut, String::new()));
    }
    if fill.is_empty() {
        return Err(Fault::Invalid);
    }
    if missing > MOST_BYTES / 4 {
        return Err(Fault::Overflow);
    }
    Ok((cut, fill.chars().cycle().take(missing).collect()))
}
