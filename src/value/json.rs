//! JSON text as values: reading text that was validated before, and writing values.
//!
//! Arrays and objects stay text; [`elements`] and [`entries`] walk them one level at a time. The text is trusted to be
//! valid, which makes skipping a value a matter of counting brackets outside of strings. On text that is not valid they
//! stop early; they never panic, and never recurse.

use std::collections::HashSet;

use bumpalo::Bump;

use super::number::{write_float, write_int, write_wide};
use super::text::{push_wtf8, unescape, unescapes_to, write_string};
use super::{Value, time};

impl<'a> Value<'a> {
    /// Reads valid JSON text, with or without white space around it. Strings with escapes are decoded into the arena,
    /// arrays and objects stay text.
    ///
    /// ```
    /// use foldl::value::Value;
    /// let arena = bumpalo::Bump::new();
    /// assert!(matches!(Value::from_json(br#" "a\tb" "#, &arena), Value::Text(b"a\tb")));
    /// ```
    pub fn from_json(text: &'a [u8], arena: &'a Bump) -> Value<'a> {
        match trim(text) {
            [b'"', body @ .., b'"'] => Value::Text(unescape(body, arena)),
            text @ ([b'[', ..] | [b'{', ..]) => Value::Json(text),
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            text => Value::number(text),
        }
    }
}

/// The texts of an array's elements, in order. Of what is no array there are none.
///
/// ```
/// let elements: Vec<_> = foldl::value::json::elements(b"[1, [2, 3]]").collect();
/// assert_eq!(elements, [&b"1"[..], b"[2, 3]"]);
/// ```
pub fn elements(text: &[u8]) -> Elements<'_> {
    Elements(Items::of(text, b'['))
}

/// The entries of an object in order, each as the body of the key's string (without quotes, not decoded), whether that
/// has an escape, and the text of the value. Of what is no object there are none.
pub fn entries(text: &[u8]) -> Entries<'_> {
    Entries(Items::of(text, b'{'))
}

/// The decoded text of a key that [`entries`] gave.
pub fn key_text<'a>(body: &'a [u8], has_escape: bool, arena: &'a Bump) -> &'a [u8] {
    if has_escape { unescape(body, arena) } else { body }
}

/// The decoded keys of an object in the order in which they stand; one that stands twice is one key.
pub fn keys<'a>(object: &'a [u8], arena: &'a Bump) -> Vec<&'a [u8]> {
    let (mut keys, mut known) = (Vec::new(), HashSet::new());
    for (body, has_escape, _) in entries(object) {
        let key = key_text(body, has_escape, arena);
        if known.insert(key) {
            keys.push(key);
        }
    }
    keys
}

/// The text of the value at an object's key, which is given decoded. Of duplicates the last one counts.
pub fn get<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let is_key = |&(body, has_escape, _): &(&[u8], bool, &[u8])| {
        if has_escape { unescapes_to(body, key.as_bytes()) } else { body == key.as_bytes() }
    };
    entries(text).filter(is_key).last().map(|(_, _, value)| value)
}

/// The text of an array's element, counted from 0, or from the end if negative (-1 is the last).
pub fn index(text: &[u8], index: i64) -> Option<&[u8]> {
    let from_start = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => elements(text).count().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    elements(text).nth(from_start)
}

/// Appends a value as JSON. Arrays, objects and huge numbers have the text that they were read from; dates, timestamps
/// and intervals are strings.
#[inline(always)]
pub fn write_json(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_string(text, out),
        Value::Int(value) => write_int(value, out),
        value => write_other(value, out),
    }
}

/// Appends a value that is neither a text nor an integer of 64 bits as JSON.
fn write_other(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Date(_) | Value::Timestamp(_) | Value::Interval(_) => {
            out.push(b'"');
            to_text(value, out);
            out.push(b'"');
        }
        _ => to_text(value, out),
    }
}

/// An array of values.
pub fn array<'a, 'v>(elements: impl Iterator<Item = Value<'v>>, arena: &'a Bump) -> Value<'a> {
    let mut out = vec![b'['];
    for (number, element) in elements.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write_json(element, &mut out);
    }
    out.push(b']');
    Value::Json(arena.alloc_slice_copy(&out))
}

/// Appends a value as plain text: as in JSON, but strings are bare, and NULL is nothing. A lone surrogate stays as it is,
/// and joins one that stands at the end of `out`.
pub fn to_text(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => write_int(value, out),
        Value::Wide(value) => write_wide(value.get(), out),
        Value::Float(value) => write_float(value, out),
        Value::Decimal(value) => value.write(out),
        Value::Huge(text) | Value::Json(text) => out.extend_from_slice(text),
        Value::Date(date) => time::write_date(date, out),
        Value::Timestamp(timestamp) => time::write_timestamp(timestamp, out),
        Value::Interval(interval) => out.extend_from_slice(interval.to_string().as_bytes()),
        Value::Text(text) => push_wtf8(text, out),
    }
}

/// The entries of an object by key: one for each decoded key, the last one of duplicates, sorted by the keys' bytes.
pub(super) fn sorted_entries<'a>(text: &'a [u8], arena: &'a Bump) -> Vec<(&'a [u8], &'a [u8])> {
    let mut sorted: Vec<(&[u8], &[u8])> = Vec::new();
    for (body, has_escape, value) in entries(text) {
        sorted.push((if has_escape { unescape(body, arena) } else { body }, value));
    }
    // The sort is stable; turned round, the last duplicate is the one that dedup keeps.
    sorted.reverse();
    sorted.sort_by_key(|&(key, _)| key);
    sorted.dedup_by_key(|&mut (key, _)| key);
    sorted
}

/// Whether a JSON text is an array rather than an object.
pub(super) fn is_array(text: &[u8]) -> bool {
    trim(text).first() == Some(&b'[')
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a>(Items<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.advance()?;
        self.0.value()
    }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a>(Items<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], bool, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.advance()?;
        let (key, has_escape) = self.0.key()?;
        Some((key, has_escape, self.0.value()?))
    }
}

/// What an array or an object holds, from the place where the walk has come to. The rest is empty at the end.
#[derive(Clone, Debug)]
struct Items<'a> {
    rest: &'a [u8],
    started: bool,
}

impl<'a> Items<'a> {
    fn of(text: &'a [u8], open: u8) -> Items<'a> {
        match trim_start(text) {
            [first, rest @ ..] if *first == open => Items { rest, started: false },
            _ => Items { rest: &[], started: false },
        }
    }

    /// Goes to the start of the next item.
    fn advance(&mut self) -> Option<()> {
        let rest = trim_start(std::mem::take(&mut self.rest));
        self.rest = match rest {
            [b']' | b'}', ..] => return None,
            [b',', rest @ ..] if self.started => trim_start(rest),
            rest if !self.started => rest,
            _ => return None,
        };
        self.started = true;
        Some(())
    }

    /// Takes a key and the colon after it.
    fn key(&mut self) -> Option<(&'a [u8], bool)> {
        let [b'"', rest @ ..] = std::mem::take(&mut self.rest) else { return None };
        let (end, has_escape) = string_end(rest)?;
        let [b':', value @ ..] = trim_start(&rest[end + 1..]) else { return None };
        self.rest = trim_start(value);
        Some((&rest[..end], has_escape))
    }

    /// Takes a value.
    fn value(&mut self) -> Option<&'a [u8]> {
        let rest = std::mem::take(&mut self.rest);
        let (value, rest) = rest.split_at_checked(value_end(rest)?)?;
        self.rest = rest;
        Some(value)
    }
}

/// The length of the value that `text` starts with.
fn value_end(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => Some(string_end(&text[1..])?.0 + 2),
        b'[' | b'{' => {
            let (mut at, mut depth) = (0, 0usize);
            loop {
                match text.get(at)? {
                    b'"' => at += string_end(&text[at + 1..])?.0 + 1,
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}') || is_space(byte);
            text.iter().position(ends).or(Some(text.len())).filter(|&end| end > 0)
        }
    }
}

/// The length of a string's body, which `text` starts with, and whether it has an escape.
fn string_end(text: &[u8]) -> Option<(usize, bool)> {
    let mut at = 0;
    let mut has_escape = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some((at, has_escape));
        }
        has_escape = true;
        at += 2;
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(first)
    {
        text = rest;
    }
    text
}

fn trim(text: &[u8]) -> &[u8] {
    let mut text = trim_start(text);
    while let [rest @ .., last] = text
        && is_space(last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::value::{Date, Timestamp};

    fn text(text: &[u8]) -> &str {
        std::str::from_utf8(text).unwrap()
    }

    #[test]
    fn scalars_are_read_and_written() {
        let arena = Bump::new();
        for (from, to) in [
            ("null", "null"),
            (" true\n", "true"),
            ("false", "false"),
            ("-12", "-12"),
            ("1.50", "1.5"),
            ("1e400", "1e400"),
            (r#""a\u0041\/""#, r#""aA/""#),
            (" [1, 2 ] ", "[1, 2 ]"),
            ("{}", "{}"),
        ] {
            let mut out = Vec::new();
            write_json(Value::from_json(from.as_bytes(), &arena), &mut out);
            assert_eq!(text(&out), to);
        }
        let mut out = Vec::new();
        write_json(Value::Date(Date(0)), &mut out);
        write_json(Value::Timestamp(Timestamp(1)), &mut out);
        to_text(Value::Text(b"\"x\""), &mut out);
        to_text(Value::Date(Date(0)), &mut out);
        to_text(Value::Null, &mut out);
        assert_eq!(text(&out), r#""1970-01-01""1970-01-01T00:00:00.000001Z""x"1970-01-01"#);
    }

    #[test]
    fn the_last_duplicate_wins() {
        let object = br#" { "a" : 1 , "\u0061":{"a":2}, "b":[ ] , "a\n": "}" } "#;
        assert_eq!(get(object, "a"), Some(&br#"{"a":2}"#[..]));
        assert_eq!(get(object, "b"), Some(&b"[ ]"[..]));
        assert_eq!(get(object, "a\n"), Some(&br#""}""#[..]));
        assert_eq!(get(object, "c"), None);
        assert_eq!(get(b"[1]", "c"), None);
    }

    #[test]
    fn indexes_count_from_both_ends() {
        let array = br#"[ 1, "a,]" ,[2,[3]], null ]"#;
        assert_eq!(index(array, 0), Some(&b"1"[..]));
        assert_eq!(index(array, 2), Some(&b"[2,[3]]"[..]));
        assert_eq!(index(array, -1), Some(&b"null"[..]));
        assert_eq!(index(array, -4), Some(&b"1"[..]));
        for beyond in [4, -5, i64::MAX, i64::MIN] {
            assert_eq!(index(array, beyond), None);
        }
        assert_eq!(index(b"[]", 0), None);
        assert_eq!(index(b"{}", 0), None);
    }

    /// Any JSON text, with white space in places.
    fn any_json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<f32>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
            "[a-z\\\\\"\\[\\]{},: é]{0,9}".prop_map(|value| serde_json::to_string(&value).unwrap()),
        ];
        scalar.prop_recursive(4, 40, 6, |inner| {
            let item = ("[ \t]?", inner, "[ \n]?").prop_map(|(before, value, after)| before + &value + &after);
            let key = "[ab\\\\\"]{0,2}".prop_map(|key| serde_json::to_string(&key).unwrap());
            let entry = ("[ \t]?", key, "[ \t]?", item.clone()).prop_map(|(a, b, c, d)| a + &b + &c + ":" + &d);
            prop_oneof![
                proptest::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(entry, 0..5).prop_map(|items| format!("{{{}}}", items.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn walks_agree_with_serde_json(json in any_json()) {
            if let Ok(raw) = serde_json::from_str::<Vec<&RawValue>>(&json) {
                let raw: Vec<_> = raw.iter().map(|value| value.get()).collect();
                prop_assert_eq!(elements(json.as_bytes()).map(text).collect::<Vec<_>>(), raw.clone());
                for i in 0..raw.len() as i64 {
                    prop_assert_eq!(index(json.as_bytes(), i).map(text), Some(raw[i as usize]));
                    prop_assert_eq!(index(json.as_bytes(), i - raw.len() as i64).map(text), Some(raw[i as usize]));
                }
            }
            if let Ok(raw) = serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(&json) {
                let arena = Bump::new();
                let sorted = sorted_entries(json.as_bytes(), &arena);
                let sorted: Vec<_> = sorted.into_iter().map(|(key, value)| (text(key), text(value))).collect();
                let expected: Vec<_> = raw.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
                prop_assert_eq!(sorted, expected);
                for (key, value) in &raw {
                    prop_assert_eq!(get(json.as_bytes(), key).map(text), Some(value.get()));
                }
            }
        }

        #[test]
        fn invalid_text_does_not_panic(json in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = json.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            for text in [&bytes[..], &bytes[..at]] {
                let arena = Bump::new();
                let _ = (Value::from_json(text, &arena), elements(text).count(), sorted_entries(text, &arena));
                let _ = (get(text, "a"), index(text, -1));
            }
        }
    }
}
