//! Functions of arrays.

use std::collections::HashSet;

use bumpalo::Bump;

use super::{Code, Function, Gives, array, int, string, text};
use crate::agg::{ExactSum, Total};
use crate::expr::fault::Fault;
use crate::value::{Value, json, key, order, text as wtf8};

/// The most elements of an array that a function makes of numbers.
const MOST_ELEMENTS: i128 = 1 << 20;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "list_value",
        aliases: &["list_pack", "json_array"],
        signature: "list_value([value, …])",
        summary: "The values as an array. Also: [value, …].",
        example: ("[1, 'a', null]", "[1,\"a\",null]"),
        arguments: (0, usize::MAX),
        expected: "values",
        gives: Gives::Array,
        code: Code::Given(|args, arena| Ok(array(arena, args.iter().copied()))),
    },
    Function {
        name: "list_contains",
        aliases: &["array_contains", "list_has", "array_has"],
        signature: "list_contains(array, value)",
        summary: "Whether a value is an element of an array; NULL is none of them.",
        example: ("list_contains([1, 2], 2)", "true"),
        arguments: (2, 2),
        expected: "an array and a value",
        gives: Gives::Bool,
        code: Code::Given(|args, arena| match args {
            [Value::Null, _] => Ok(Value::Null),
            [list, Value::Null] if elements(*list)?.next().is_some() => Ok(Value::Null),
            [list, value] => Ok(Value::Bool(place(*list, *value, arena)?.is_some())),
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "list_has_any",
        aliases: &["array_has_any", "arrays_overlap"],
        signature: "list_has_any(array, other)",
        summary: "Whether an element of an array that is not NULL is one of another array.",
        example: ("list_has_any([1, 2], [2, 3])", "true"),
        arguments: (2, 2),
        expected: "two arrays",
        gives: Gives::Bool,
        code: Code::Strict(|args, arena| {
            let known = keys(args[0], arena)?;
            Ok(Value::Bool(keys(args[1], arena)?.iter().any(|key| known.contains(key))))
        }),
    },
    Function {
        name: "list_has_all",
        aliases: &["array_has_all"],
        signature: "list_has_all(array, other)",
        summary: "Whether all elements of the other array that are not NULL are in the first one.",
        example: ("list_has_all([1, 2], [2, 3])", "false"),
        arguments: (2, 2),
        expected: "two arrays",
        gives: Gives::Bool,
        code: Code::Strict(|args, arena| {
            let known = keys(args[0], arena)?;
            Ok(Value::Bool(keys(args[1], arena)?.iter().all(|key| known.contains(key))))
        }),
    },
    Function {
        name: "list_position",
        aliases: &["array_position", "list_indexof", "array_indexof"],
        signature: "list_position(array, value)",
        summary: "The place of the first element of an array that is a value, from 1; NULL if there is none.",
        example: ("list_position([1, 2], 2)", "2"),
        arguments: (2, 2),
        expected: "an array and a value",
        gives: Gives::Number,
        code: Code::Given(|args, arena| match args {
            [Value::Null, _] => Ok(Value::Null),
            [list, value] => {
                Ok(place(*list, *value, arena)?.map_or(Value::Null, |place| Value::integer(place as i128 + 1)))
            }
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "list_extract",
        aliases: &["list_element", "array_extract", "element_at"],
        signature: "list_extract(array | text | object, place | key)",
        summary: "The element or character at a place from 1, or from the end if negative; of an object, the value of a key. Also, from 0: value[place].",
        example: ("list_extract(['a', 'b'], 1)", "\"a\""),
        arguments: (2, 2),
        expected: "an array or text and an integer, or an object and a text",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| {
            let found = match args[0] {
                Value::Json(list @ [b'[', ..]) => match int(args[1])? {
                    0 => None,
                    place => json::index(list, if place > 0 { place - 1 } else { place }),
                },
                Value::Json(object) => json::get(object, &string(args[1])?),
                Value::Text(_) => return slice(args[0], int(args[1])?, int(args[1])?, arena),
                _ => return Err(Fault::Type),
            };
            Ok(found.map_or(Value::Null, |found| Value::from_json(found, arena)))
        }),
    },
    Function {
        name: "list_slice",
        aliases: &["array_slice"],
        signature: "list_slice(array | text, from, to)",
        summary: "The elements of an array, or the characters of a text, from one place to another, both from 1 and included; negative ones count from the end. Also, from 0 and without the last: value[from:to].",
        example: ("list_slice([1, 2, 3, 4], 2, 3)", "[2,3]"),
        arguments: (3, 3),
        expected: "an array or text, and two integers",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| slice(args[0], int(args[1])?, int(args[2])?, arena)),
    },
    Function {
        name: "slice",
        aliases: &[],
        signature: "slice(array, from, length)",
        summary: "So many elements of an array from a place on, which is counted from 1, or from the end if negative.",
        example: ("slice([1, 2, 3, 4], 2, 2)", "[2,3]"),
        arguments: (3, 3),
        expected: "an array and two integers",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let (Value::Json([b'[', ..]), from, length) = (args[0], int(args[1])?, int(args[2])?) else {
                return Err(Fault::Type);
            };
            let count = elements(args[0])?.count() as i64;
            // From the end on a place is counted from the start, so that the last can be behind the array.
            let from = if from < 0 { from.saturating_add(count).saturating_add(1) } else { from };
            if from == 0 || length < 0 {
                return Err(Fault::Invalid);
            }
            let to = from.saturating_add(length).saturating_sub(1);
            if to < 1 { Ok(Value::Json(b"[]")) } else { slice(args[0], from.max(1), to, arena) }
        }),
    },
    Function {
        name: "list_sort",
        aliases: &["array_sort"],
        signature: "list_sort(array [, 'asc' | 'desc' [, 'nulls first' | 'nulls last']])",
        summary: "The elements of an array in order, NULL last.",
        example: ("list_sort([3, null, 1])", "[1,3,null]"),
        arguments: (1, 3),
        expected: "an array and the words of an order",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let word = |place: usize| args.get(place).map(|&word| string(word).map(|word| word.to_lowercase()));
            let descending = match word(1).transpose()?.as_deref() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(_) => return Err(Fault::Invalid),
            };
            let nulls_first = match word(2).transpose()?.as_deref() {
                None | Some("nulls last") => false,
                Some("nulls first") => true,
                Some(_) => return Err(Fault::Invalid),
            };
            sorted(args[0], descending, nulls_first, arena)
        }),
    },
    Function {
        name: "list_reverse_sort",
        aliases: &["array_reverse_sort"],
        signature: "list_reverse_sort(array)",
        summary: "The elements of an array from the greatest to the least, NULL last.",
        example: ("list_reverse_sort([3, null, 1])", "[3,1,null]"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| sorted(args[0], true, false, arena)),
    },
    Function {
        name: "list_reverse",
        aliases: &["array_reverse"],
        signature: "list_reverse(array)",
        summary: "The elements of an array from the last to the first.",
        example: ("list_reverse([3, null, 1])", "[1,null,3]"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let mut texts: Vec<&[u8]> = elements(args[0])?.collect();
            texts.reverse();
            Ok(of_texts(texts, arena))
        }),
    },
    Function {
        name: "list_distinct",
        aliases: &["array_distinct"],
        signature: "list_distinct(array)",
        summary: "The different elements of an array that are not NULL, each where it comes first.",
        example: ("list_distinct([3, 1, null, 3])", "[3,1]"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let mut known = HashSet::new();
            let is_new = |text: &&[u8]| key_of(text, arena).is_some_and(|key| known.insert(key));
            Ok(of_texts(elements(args[0])?.filter(is_new).collect(), arena))
        }),
    },
    Function {
        name: "list_unique",
        aliases: &["array_unique"],
        signature: "list_unique(array)",
        summary: "The number of different elements of an array that are not NULL.",
        example: ("list_unique([3, 1, null, 3])", "2"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Number,
        code: Code::Strict(|args, arena| Ok(Value::integer(keys(args[0], arena)?.len() as i128))),
    },
    Function {
        name: "list_intersect",
        aliases: &["array_intersect"],
        signature: "list_intersect(array, other)",
        summary: "The different elements of an array that another one has, too, without NULL.",
        example: ("list_intersect([3, 1, 2, 3], [3, 2])", "[3,2]"),
        arguments: (2, 2),
        expected: "two arrays",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let mut common = keys(args[1], arena)?;
            let is_common = |text: &&[u8]| key_of(text, arena).is_some_and(|key| common.remove(&key));
            Ok(of_texts(elements(args[0])?.filter(is_common).collect(), arena))
        }),
    },
    Function {
        name: "list_concat",
        aliases: &["list_cat", "array_concat", "array_cat"],
        signature: "list_concat(array, …)",
        summary: "The elements of all arrays, one array after the other; NULL is left out.",
        example: ("list_concat([1], null, [2, 3])", "[1,2,3]"),
        arguments: (1, usize::MAX),
        expected: "arrays",
        gives: Gives::Array,
        code: Code::Given(|args, arena| joined(args.iter().copied(), arena)),
    },
    Function {
        name: "flatten",
        aliases: &[],
        signature: "flatten(array)",
        summary: "The elements of the arrays in an array, as one array.",
        example: ("flatten([[1], [2, 3]])", "[1,2,3]"),
        arguments: (1, 1),
        expected: "an array of arrays",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            joined(elements(args[0])?.map(|element| Value::from_json(element, arena)), arena)
        }),
    },
    Function {
        name: "list_append",
        aliases: &["array_append", "array_push_back"],
        signature: "list_append(array, value)",
        summary: "The array with one more element at its end.",
        example: ("list_append([1], 2)", "[1,2]"),
        arguments: (2, 2),
        expected: "an array and a value",
        gives: Gives::Array,
        code: Code::Given(|args, arena| {
            let own = array(arena, args[1..].iter().copied());
            joined([args[0], own].into_iter(), arena)
        }),
    },
    Function {
        name: "list_prepend",
        aliases: &["array_prepend"],
        signature: "list_prepend(value, array)",
        summary: "The array with one more element at its start.",
        example: ("list_prepend(0, [1])", "[0,1]"),
        arguments: (2, 2),
        expected: "a value and an array",
        gives: Gives::Array,
        code: Code::Given(|args, arena| {
            let own = array(arena, args[..1].iter().copied());
            joined([own, args[1]].into_iter(), arena)
        }),
    },
    Function {
        name: "range",
        aliases: &[],
        signature: "range([from,] end [, step])",
        summary: "An array of the integers from 0, or another one, up to an end that is not among them.",
        example: ("range(1, 10, 3)", "[1,4,7]"),
        arguments: (1, 3),
        expected: "integers",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| integers(args, false, arena)),
    },
    Function {
        name: "generate_series",
        aliases: &["sequence"],
        signature: "generate_series([from,] end [, step])",
        summary: "An array of the integers from 0, or another one, up to an end that can be among them.",
        example: ("generate_series(1, 3)", "[1,2,3]"),
        arguments: (1, 3),
        expected: "integers",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| integers(args, true, arena)),
    },
    Function {
        name: "list_count",
        aliases: &[],
        signature: "list_count(array)",
        summary: "The number of elements of an array that are not NULL.",
        example: ("list_count([3, null])", "1"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Number,
        code: Code::Strict(|args, arena| Ok(Value::integer(values(args[0], arena)?.count() as i128))),
    },
    Function {
        name: "list_sum",
        aliases: &[],
        signature: "list_sum(array)",
        summary: "The exact sum of the numbers in an array, as of the aggregate sum.",
        example: ("list_sum([1, null, 2])", "3"),
        arguments: (1, 1),
        expected: "an array of numbers",
        gives: Gives::Number,
        code: Code::Strict(|args, arena| match sum(args[0], arena)? {
            (_, 0) => Ok(Value::Null),
            (sum, _) => match sum.total() {
                Total::Int(value) => Ok(Value::integer(value)),
                Total::Float(value) => Ok(Value::Float(value)),
                Total::Decimal(value) => Ok(Value::Decimal(value)),
                Total::Overflow => Err(Fault::Overflow),
            },
        }),
    },
    Function {
        name: "list_avg",
        aliases: &[],
        signature: "list_avg(array)",
        summary: "The mean of the numbers in an array, as of the aggregate avg.",
        example: ("list_avg([1, null, 2])", "1.5"),
        arguments: (1, 1),
        expected: "an array of numbers",
        gives: Gives::Number,
        code: Code::Strict(|args, arena| match sum(args[0], arena)? {
            (_, 0) => Ok(Value::Null),
            (sum, count) => sum.mean(count).map(Value::Float).ok_or(Fault::Overflow),
        }),
    },
    Function {
        name: "list_min",
        aliases: &["array_min"],
        signature: "list_min(array)",
        summary: "The least element of an array.",
        example: ("list_min([3, null, 1])", "1"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| {
            let least = values(args[0], arena)?.min_by(|a, b| order::compare(*a, *b));
            Ok(least.unwrap_or(Value::Null))
        }),
    },
    Function {
        name: "list_max",
        aliases: &["array_max"],
        signature: "list_max(array)",
        summary: "The greatest element of an array.",
        example: ("list_max([3, null, 1])", "3"),
        arguments: (1, 1),
        expected: "an array",
        gives: Gives::Any,
        code: Code::Strict(|args, arena| {
            let greatest = values(args[0], arena)?.max_by(|a, b| order::compare(*a, *b));
            Ok(greatest.unwrap_or(Value::Null))
        }),
    },
];

/// The texts of the elements of an array.
fn elements(list: Value<'_>) -> Result<json::Elements<'_>, Fault> {
    match list {
        Value::Json(list @ [b'[', ..]) => Ok(json::elements(list)),
        _ => Err(Fault::Type),
    }
}

/// The elements of an array that are not NULL.
fn values<'a>(list: Value<'a>, arena: &'a Bump) -> Result<impl Iterator<Item = Value<'a>>, Fault> {
    let values = elements(list)?.map(|element| Value::from_json(element, arena));
    Ok(values.filter(|value| !matches!(value, Value::Null)))
}

/// An array of elements whose texts are given.
fn of_texts<'a>(texts: Vec<&[u8]>, arena: &'a Bump) -> Value<'a> {
    Value::Json(arena.alloc_slice_copy(&[b"[", &*texts.join(&b","[..]), b"]"].concat()))
}

/// The elements of several arrays, of which some may be NULL, as one.
fn joined<'a>(lists: impl Iterator<Item = Value<'a>>, arena: &'a Bump) -> Result<Value<'a>, Fault> {
    let mut texts = Vec::new();
    for list in lists.filter(|list| !matches!(list, Value::Null)) {
        texts.extend(elements(list)?);
    }
    Ok(of_texts(texts, arena))
}

/// The encoded key of an element; [`None`] of NULL.
fn key_of(text: &[u8], arena: &Bump) -> Option<Vec<u8>> {
    match Value::from_json(text, arena) {
        Value::Null => None,
        value => {
            let mut encoded = Vec::new();
            key::encode(value, &mut encoded);
            Some(encoded)
        }
    }
}

/// The encoded keys of the elements that are not NULL.
fn keys(list: Value, arena: &Bump) -> Result<HashSet<Vec<u8>>, Fault> {
    Ok(elements(list)?.filter_map(|element| key_of(element, arena)).collect())
}

/// The place of a value in an array, from 0.
fn place<'a>(list: Value<'a>, wanted: Value<'a>, arena: &'a Bump) -> Result<Option<usize>, Fault> {
    Ok(elements(list)?
        .map(|element| Value::from_json(element, arena))
        .position(|element| order::compare(element, wanted).is_eq()))
}

fn sorted<'a>(list: Value<'a>, descending: bool, nulls_first: bool, arena: &'a Bump) -> Result<Value<'a>, Fault> {
    let mut pairs: Vec<(Value, &[u8])> =
        elements(list)?.map(|element| (Value::from_json(element, arena), element)).collect();
    pairs.sort_by(|(a, _), (b, _)| {
        let nulls = [a, b].map(|value| matches!(value, Value::Null) != nulls_first);
        let ordering = order::compare(*a, *b);
        nulls[0].cmp(&nulls[1]).then(if descending { ordering.reverse() } else { ordering })
    });
    Ok(of_texts(pairs.into_iter().map(|(_, text)| text).collect(), arena))
}

/// The sum of the numbers in an array, and how many there are.
fn sum(list: Value, arena: &Bump) -> Result<(ExactSum, u64), Fault> {
    let (mut sum, mut count) = (ExactSum::default(), 0);
    for element in elements(list)? {
        match Value::from_json(element, arena) {
            Value::Null => continue,
            Value::Int(value) => sum.add_int(value),
            Value::Wide(value) => sum.add_wide(value.get()),
            Value::Float(value) => sum.add_float(value),
            _ => return Err(Fault::Type),
        }
        count += 1;
    }
    Ok((sum, count))
}

/// The integers of `range`.
fn integers<'a>(args: &[Value], with_end: bool, arena: &'a Bump) -> Result<Value<'a>, Fault> {
    let (from, end, step) = match *args {
        [end] => (0, int(end)?, 1),
        [from, end] => (int(from)?, int(end)?, 1),
        [from, end, step] => (int(from)?, int(end)?, int(step)?),
        _ => return Err(Fault::Type),
    };
    let (from, end, step) = (i128::from(from), i128::from(end), i128::from(step));
    let span = if step < 0 { from - end } else { end - from };
    let count = match span {
        _ if step == 0 => 0,
        0.. if with_end => span / step.abs() + 1,
        1.. => (span - 1) / step.abs() + 1,
        _ => 0,
    };
    if count > MOST_ELEMENTS {
        return Err(Fault::Overflow);
    }
    Ok(array(arena, (0..count).map(|number| Value::integer(from + number * step))))
}

/// The elements of an array, or the characters of a text, from one place to another.
fn slice<'a>(value: Value<'a>, from: i64, to: i64, arena: &'a Bump) -> Result<Value<'a>, Fault> {
    match value {
        Value::Json([b'[', ..]) => {
            let texts: Vec<&[u8]> = elements(value)?.collect();
            let range = range(texts.len(), from, to);
            Ok(of_texts(texts[range].to_vec(), arena))
        }
        Value::Text(bytes) => {
            let subject = wtf8::lossy(bytes);
            let range = range(subject.chars().count(), from, to);
            let some: String = subject.chars().skip(range.start).take(range.len()).collect();
            Ok(text(arena, &some))
        }
        _ => Err(Fault::Type),
    }
}

/// The part of `len` things that a slice takes, as a range from 0: from one place to another, both from 1 and included,
/// negative ones counted from the end.
fn range(len: usize, from: i64, to: i64) -> std::ops::Range<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let place = |place: i64| if place < 0 { len.saturating_add(place).saturating_add(1) } else { place };
    let start = place(from).clamp(1, len + 1) - 1;
    let end = place(to).clamp(start, len.max(start));
    usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value<'a>(list: &[Option<i64>], arena: &'a Bump) -> Value<'a> {
        Value::Json(arena.alloc_slice_copy(serde_json::to_string(list).unwrap().as_bytes()))
    }

    fn call(name: &str, args: &[Value]) -> String {
        let arena = Bump::new();
        let args: Vec<Value> = args.iter().map(|&arg| crate::value::own(arg, &arena)).collect();
        let function = TABLE.iter().find(|function| function.name == name).unwrap();
        let mut out = Vec::new();
        json::write_json(function.apply(&args, &arena).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn lists_are_as_vectors_have_it(
            list in prop::collection::vec(prop::option::of(-5_i64..5), 0..9),
            other in prop::collection::vec(prop::option::of(-5_i64..5), 0..5),
            (from, length) in (1_i64..9, 0_i64..9),
        ) {
            let arena = Bump::new();
            let (a, b) = (value(&list, &arena), value(&other, &arena));
            let json = |list: &[Option<i64>]| serde_json::to_string(list).unwrap();
            let mut sorted = list.clone();
            sorted.sort_by_key(|element| (element.is_none(), *element));
            prop_assert_eq!(call("list_sort", &[a]), json(&sorted));
            sorted.sort_by_key(|element| (element.is_none(), element.map(|element| -element)));
            prop_assert_eq!(call("list_reverse_sort", &[a]), json(&sorted));
            let mut distinct = Vec::new();
            list.iter().for_each(|element| if element.is_some() && !distinct.contains(element) { distinct.push(*element) });
            prop_assert_eq!(call("list_distinct", &[a]), json(&distinct));
            prop_assert_eq!(call("list_unique", &[a]), distinct.len().to_string());
            distinct.retain(|element| other.contains(element));
            prop_assert_eq!(call("list_intersect", &[a, b]), json(&distinct));
            prop_assert_eq!(call("list_has_any", &[a, b]), (!distinct.is_empty()).to_string());
            let all = other.iter().all(|element| element.is_none() || list.contains(element));
            prop_assert_eq!(call("list_has_all", &[a, b]), all.to_string());
            prop_assert_eq!(call("list_concat", &[a, b]), json(&[&list[..], &other].concat()));
            let some: Vec<_> = list.iter().copied().skip(from as usize - 1).take(length as usize).collect();
            prop_assert_eq!(call("slice", &[a, Value::Int(from), Value::Int(length)]), json(&some));
            let numbers: Vec<i64> = list.iter().flatten().copied().collect();
            let sum = if numbers.is_empty() { "null".to_owned() } else { numbers.iter().sum::<i64>().to_string() };
            prop_assert_eq!(call("list_sum", &[a]), sum);
        }

        #[test]
        fn ranges_are_those_of_steps((from, end) in (-20_i64..20, -20_i64..20), step in -4_i64..4, with_end: bool) {
            let mut expected = Vec::new();
            let mut next = from;
            while step != 0 && (with_end && next == end || if step > 0 { next < end } else { next > end }) {
                expected.push(next);
                next += step;
            }
            let name = if with_end { "generate_series" } else { "range" };
            let found = call(name, &[from, end, step].map(Value::Int));
            prop_assert_eq!(found, serde_json::to_string(&expected).unwrap());
        }
    }

    #[test]
    fn what_is_too_long_is_an_overflow() {
        let arena = Bump::new();
        let range = TABLE.iter().find(|function| function.name == "range").unwrap();
        assert_eq!(range.apply(&[Value::Int(i64::MIN), Value::Int(i64::MAX)], &arena).err(), Some(Fault::Overflow));
    }
}
