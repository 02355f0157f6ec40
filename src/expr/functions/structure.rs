//! Functions of arrays and objects.

use bumpalo::Bump;
use serde_json::value::RawValue;

use super::{Code, Function, Gives, array, int, string};
use crate::expr::fault::Fault;
use crate::value::{Value, json, order, text as wtf8};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "keys",
        aliases: &["json_keys", "object_keys", "map_keys", "json_object_keys"],
        signature: "keys(object)",
        summary: "The keys of an object, as an array, in the order in which they stand.",
        example: ("keys(from_json('{\"b\":1,\"a\":2}'))", "[\"b\",\"a\"]"),
        arguments: (1, 1),
        expected: "an object",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let Value::Json(object @ [b'{', ..]) = args[0] else { return Err(Fault::Type) };
            let mut keys: Vec<&[u8]> = Vec::new();
            for (body, has_escape, _) in json::entries(object) {
                // A key that stands twice is one key.
                let key = json::key_text(body, has_escape, arena);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            Ok(array(arena, keys.into_iter().map(Value::Text)))
        }),
    },
    Function {
        name: "list_contains",
        aliases: &["array_contains", "list_has", "array_has"],
        signature: "list_contains(array, value)",
        summary: "Whether a value is an element of an array.",
        example: ("list_contains(from_json('[1,2]'), 2)", "true"),
        arguments: (2, 2),
        expected: "an array and a value",
        gives: Gives::Bool,
        code: Code::Strict(|args, arena| Ok(Value::Bool(place(args, arena)?.is_some()))),
    },
    Function {
        name: "list_position",
        aliases: &["array_position", "list_indexof", "array_indexof"],
        signature: "list_position(array, value)",
        summary: "The place of the first element of an array that is a value, from 1; 0 if there is none.",
        example: ("list_position(from_json('[1,2]'), 2)", "2"),
        arguments: (2, 2),
        expected: "an array and a value",
        gives: Gives::Number,
        code: Code::Strict(|args, arena| Ok(Value::Int(place(args, arena)?.map_or(0, |place| place as i64 + 1)))),
    },
    Function {
        name: "list_slice",
        aliases: &["array_slice"],
        signature: "list_slice(array | text, from, to)",
        summary: "The elements of an array, or the characters of a text, from one place to another, both from 1 and included; negative ones count from the end. Also, from 0 and without the last: value[from:to].",
        example: ("list_slice(from_json('[1,2,3,4]'), 2, 3)", "[2,3]"),
        arguments: (3, 3),
        expected: "an array or text, and two integers",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| {
            let (from, to) = (int(args[1])?, int(args[2])?);
            match args[0] {
                Value::Json(array @ [b'[', ..]) => {
                    let elements: Vec<&[u8]> = json::elements(array).collect();
                    let mut out = vec![b'['];
                    for (place, element) in elements[slice(elements.len(), from, to)].iter().enumerate() {
                        if place > 0 {
                            out.push(b',');
                        }
                        out.extend_from_slice(element);
                    }
                    out.push(b']');
                    Ok(Value::Json(arena.alloc_slice_copy(&out)))
                }
                Value::Text(bytes) => {
                    let text = wtf8::lossy(bytes);
                    let range = slice(text.chars().count(), from, to);
                    let some: String = text.chars().skip(range.start).take(range.len()).collect();
                    Ok(super::text(arena, &some))
                }
                _ => Err(Fault::Type),
            }
        }),
    },
    Function {
        name: "to_json",
        aliases: &["json_quote"],
        signature: "to_json(value)",
        summary: "The JSON text of a value.",
        example: ("to_json('a')", "\"\\\"a\\\"\""),
        arguments: (1, 1),
        expected: "a value",
        gives: Gives::Text,
        code: Code::Given(|args, arena| {
            let mut out = Vec::new();
            json::write_json(args[0], &mut out);
            Ok(Value::Text(arena.alloc_slice_copy(&out)))
        }),
    },
    Function {
        name: "from_json",
        aliases: &["json", "parse_json"],
        signature: "from_json(text)",
        summary: "The value that a JSON text stands for.",
        example: ("from_json('{\"a\":[1]}')", "{\"a\":[1]}"),
        arguments: (1, 1),
        expected: "JSON",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| {
            let text = string(args[0])?;
            let raw: &RawValue = serde_json::from_str(&text).map_err(|_| Fault::Invalid)?;
            Ok(Value::from_json(arena.alloc_str(raw.get()).as_bytes(), arena))
        }),
    },
    Function {
        name: "json_valid",
        aliases: &[],
        signature: "json_valid(text)",
        summary: "Whether a text is valid JSON.",
        example: ("json_valid('{')", "false"),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Bool,
        code: Code::Strict(|args, _| Ok(Value::Bool(serde_json::from_str::<&RawValue>(&string(args[0])?).is_ok()))),
    },
];

/// The place of a value in an array, from 0.
fn place<'a>(args: &[Value<'a>], arena: &'a Bump) -> Result<Option<usize>, Fault> {
    let Value::Json(array @ [b'[', ..]) = args[0] else { return Err(Fault::Type) };
    Ok(json::elements(array)
        .map(|element| Value::from_json(element, arena))
        .position(|element| !matches!(element, Value::Null) && order::compare(element, args[1]).is_eq()))
}

/// The part of `len` things that a slice takes, as a range from 0: from one place to another, both from 1 and included,
/// negative ones counted from the end.
fn slice(len: usize, from: i64, to: i64) -> std::ops::Range<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |place: i64| if place < 0 { len.saturating_add(place).saturating_add(1) } else { place };
    let start = place(from).clamp(1, len + 1) - 1;
    let end = place(to).clamp(start, len.max(start));
    usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0)
}
