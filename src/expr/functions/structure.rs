//! Functions of arrays and objects.

use bumpalo::Bump;
use serde_json::value::RawValue;

use super::{Code, Function, array, string};
use crate::expr::fault::Fault;
use crate::value::{Value, json, order};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "keys",
        aliases: &["json_keys", "object_keys", "map_keys", "json_object_keys"],
        signature: "keys(object)",
        summary: "The keys of an object, as an array, in the order in which they stand.",
        example: ("keys(from_json('{\"b\":1,\"a\":2}'))", "[\"b\",\"a\"]"),
        arguments: (1, 1),
        expected: "an object",
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
        code: Code::Strict(|args, arena| Ok(Value::Int(place(args, arena)?.map_or(0, |place| place as i64 + 1)))),
    },
    Function {
        name: "to_json",
        aliases: &["json_quote"],
        signature: "to_json(value)",
        summary: "The JSON text of a value.",
        example: ("to_json('a')", "\"\\\"a\\\"\""),
        arguments: (1, 1),
        expected: "a value",
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
