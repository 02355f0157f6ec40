//! Functions of objects and of JSON.

use std::collections::{BTreeMap, BTreeSet};

use bumpalo::Bump;
use serde_json::value::RawValue;

use super::any::type_name;
use super::{Code, Function, Gives, array, string};
use crate::expr::fault::Fault;
use crate::value::{Value, json, text as wtf8};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "keys",
        aliases: &["json_keys", "object_keys", "map_keys", "json_object_keys"],
        signature: "keys(object | text)",
        summary: "The keys of an object, or of one in JSON, as an array, in the order in which they stand.",
        example: ("keys('{\"b\":1,\"a\":2}')", "[\"b\",\"a\"]"),
        arguments: (1, 1),
        expected: "an object",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let keys = |object| Ok(array(arena, json::keys(object, arena).into_iter().map(Value::Text)));
            match args[0] {
                Value::Json(object @ [b'{', ..]) => keys(object),
                Value::Text(_) => {
                    let raw: &str = arena.alloc_str(&string(args[0])?);
                    let raw: &RawValue = serde_json::from_str(raw).map_err(|_| Fault::Invalid)?;
                    match raw.get().as_bytes() {
                        object @ [b'{', ..] => keys(object),
                        _ => Err(Fault::Type),
                    }
                }
                _ => Err(Fault::Type),
            }
        }),
    },
    Function {
        name: "json_object",
        aliases: &[],
        signature: "json_object([key, value, …])",
        summary: "An object of keys and their values. Also: {'key': value, …}.",
        example: ("json_object('a', 1, 'b', null)", "{\"a\":1,\"b\":null}"),
        arguments: (0, usize::MAX),
        expected: "texts, and a value behind each",
        gives: Gives::Any,
        code: Code::Given(|args, arena| {
            let (pairs, rest) = args.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(Fault::Type);
            }
            let mut out = vec![b'{'];
            for (number, [key, value]) in pairs.iter().enumerate() {
                let Value::Text(key) = key else { return Err(Fault::Type) };
                if number > 0 {
                    out.push(b',');
                }
                wtf8::write_string(key, &mut out);
                out.push(b':');
                json::write_json(*value, &mut out);
            }
            out.push(b'}');
            Ok(Value::Json(arena.alloc_slice_copy(&out)))
        }),
    },
    Function {
        name: "json_array_length",
        aliases: &[],
        signature: "json_array_length(text | array)",
        summary: "The number of elements of an array, or of one in JSON; 0 of what is no array.",
        example: ("json_array_length('[1, 2]')", "2"),
        arguments: (1, 1),
        expected: "JSON",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            let count = match args[0] {
                Value::Json(list) => json::elements(list).count(),
                value => {
                    let raw = string(value)?;
                    let raw: &RawValue = serde_json::from_str(&raw).map_err(|_| Fault::Invalid)?;
                    json::elements(raw.get().as_bytes()).count()
                }
            };
            Ok(Value::integer(count as i128))
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
        signature: "from_json(text | value)",
        summary: "The value that a JSON text stands for; what is no text is the value itself.",
        example: ("from_json('{\"a\":[1]}')", "{\"a\":[1]}"),
        arguments: (1, 1),
        expected: "JSON",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| {
            let Ok(text) = string(args[0]) else { return Ok(args[0]) };
            let raw: &RawValue = serde_json::from_str(&text).map_err(|_| Fault::Invalid)?;
            Ok(Value::from_json(arena.alloc_str(raw.get()).as_bytes(), arena))
        }),
    },
    Function {
        name: "json_structure",
        aliases: &[],
        signature: "json_structure(value)",
        summary: "The types in a value: of an object each key with its type, sorted; of an array the different types of its elements.",
        example: ("json_structure(from_json('{\"b\":[1,2],\"a\":null}'))", "{\"a\":\"null\",\"b\":[\"integer\"]}"),
        arguments: (1, 1),
        expected: "a value",
        gives: Gives::Any,
        code: Code::Given(|args, arena| {
            let structure = structure(args[0], arena, 0);
            Ok(Value::from_json(arena.alloc_slice_copy(&structure), arena))
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

/// The deepest level at which values are taken apart, so that recursion is bounded.
const MAX_DEPTH: usize = 128;

/// What `json_structure` gives, as JSON.
fn structure(value: Value<'_>, arena: &Bump, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Json(list @ [b'[', ..]) if depth < MAX_DEPTH => {
            let types: BTreeSet<Vec<u8>> = json::elements(list)
                .map(|element| structure(Value::from_json(element, arena), arena, depth + 1))
                .collect();
            out.push(b'[');
            for (number, one) in types.iter().enumerate() {
                out.extend_from_slice(if number > 0 { b"," } else { b"" });
                out.extend_from_slice(one);
            }
            out.push(b']');
        }
        Value::Json(object @ [b'{', ..]) if depth < MAX_DEPTH => {
            // Of a key that stands twice the last one counts.
            let types: BTreeMap<&[u8], Vec<u8>> = json::entries(object)
                .map(|(key, has_escape, value)| {
                    let value = structure(Value::from_json(value, arena), arena, depth + 1);
                    (json::key_text(key, has_escape, arena), value)
                })
                .collect();
            out.push(b'{');
            for (number, (key, one)) in types.iter().enumerate() {
                out.extend_from_slice(if number > 0 { b"," } else { b"" });
                wtf8::write_string(key, &mut out);
                out.push(b':');
                out.extend_from_slice(one);
            }
            out.push(b'}');
        }
        value => wtf8::write_string(type_name(value).as_bytes(), &mut out),
    }
    out
}
