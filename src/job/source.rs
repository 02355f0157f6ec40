//! The text of a job file: where each value stands, and errors that point there.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::error::{Error, ErrorKind, Place};
use crate::sql::nearest;

/// The text of a job file.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// For each way to a value its place.
    places: HashMap<Vec<String>, Range<usize>>,
}

impl Text {
    pub(super) fn new(path: &Path, text: String) -> Text {
        Text { path: path.to_owned(), text, places: HashMap::new() }
    }

    /// Notes where the values of a table stand, and those within them.
    pub(super) fn note_places(&mut self, value: &DeValue<'_>, way: &mut Vec<String>) {
        let mut note = |text: &mut Text, key: String, span: Range<usize>, value: &DeValue<'_>| {
            way.push(key);
            text.places.insert(way.clone(), span);
            text.note_places(value, way);
            way.pop();
        };
        match value {
            DeValue::Table(table) => {
                for (key, value) in table {
                    note(self, key.get_ref().to_string(), value.span(), value.get_ref());
                }
            }
            DeValue::Array(array) => {
                for (number, value) in array.iter().enumerate() {
                    note(self, number.to_string(), value.span(), value.get_ref());
                }
            }
            _ => {}
        }
    }

    /// The place of a value; of one that is not there that of what it would be in.
    pub(super) fn place_of(&self, way: &[&str]) -> Range<usize> {
        let mut way: Vec<String> = way.iter().map(|&step| step.to_owned()).collect();
        while !way.is_empty() {
            if let Some(place) = self.places.get(&way) {
                return place.clone();
            }
            way.pop();
        }
        0..0
    }

    /// An error at the place of a value.
    pub(super) fn error(&self, way: &[&str], message: impl Into<String>) -> Error {
        self.error_at(self.place_of(way), message)
    }

    /// An error at a range of bytes.
    pub(super) fn error_at(&self, range: Range<usize>, message: impl Into<String>) -> Error {
        let len = self.text.len();
        let start = self.text.floor_char_boundary(range.start.min(len));
        let end = self.text.ceil_char_boundary(range.end.clamp(start, len));
        let place = Place::JobFile { file: self.path.clone(), text: self.text.clone(), start, end };
        Error::new(ErrorKind::Query, message).at(place)
    }

    /// An error of the crate `toml`, in our words.
    pub(super) fn toml_error(&self, error: &toml::de::Error) -> Error {
        let message = error.message();
        let range = error.span().unwrap_or(0..0);
        let mut words = message.split('`').skip(1).step_by(2);
        let known: Vec<&str>;
        let (message, wrong) = if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let wrong = words.next().unwrap_or_default();
            known = words.collect();
            match message.starts_with("unknown field") {
                true => (format!("the key `{wrong}` is not known here"), wrong),
                false => (format!("`{wrong}` is not known here"), wrong),
            }
        } else if message.starts_with("missing field") {
            return self.error_at(range, format!("`{}` is missing", words.next().unwrap_or_default()));
        } else {
            return self.error_at(range, in_plain_words(message.lines().next().unwrap_or_default()));
        };
        let error = self.error_at(range, message);
        match nearest(wrong, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => error,
            None => error.hint(format!("what is known: {}", known.join(", "))),
        }
    }
}

/// The bytes of a string's value, each with the place in the text of the file that it comes from; and the end of the
/// string. `None` if the literal is not understood, which is then an error of TOML.
pub(super) struct Literal {
    pub(super) value: String,
    /// As many as there are bytes, and one.
    pub(super) places: Vec<usize>,
}

impl Literal {
    /// Reads the literal of a string that stands at `start` in a file.
    pub(super) fn read(raw: &str, start: usize) -> Option<Literal> {
        let (quotes, escapes, several_lines) = match raw.as_bytes() {
            [b'"', b'"', b'"', ..] => (3, true, true),
            [b'\'', b'\'', b'\'', ..] => (3, false, true),
            [b'"', ..] => (1, true, false),
            [b'\'', ..] => (1, false, false),
            _ => return None,
        };
        let mut at = quotes;
        let end = raw.len().checked_sub(quotes).filter(|&end| end >= quotes)?;
        if several_lines {
            at += raw[at..end].strip_prefix("\r\n").map_or(0, |_| 2);
            at += if at == quotes && raw[at..end].starts_with('\n') { 1 } else { 0 };
        }
        let mut literal = Literal { value: String::new(), places: Vec::new() };
        while at < end {
            let c = raw[at..end].chars().next()?;
            if c == '\\' && escapes {
                let (decoded, len) = escape(&raw[at + 1..end])?;
                literal.push(decoded, start + at);
                at += 1 + len;
            } else {
                literal.push(Some(c), start + at);
                at += c.len_utf8();
            }
        }
        literal.places.push(start + end);
        Some(literal)
    }

    fn push(&mut self, c: Option<char>, place: usize) {
        let Some(c) = c else { return };
        self.value.push(c);
        self.places.resize(self.value.len(), place);
    }
}

/// What an escape stands for, if for anything, and how long it is without the backslash.
fn escape(rest: &str) -> Option<(Option<char>, usize)> {
    let code = |len: usize| {
        let digits = rest.get(1..1 + len)?;
        Some((Some(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?), 1 + len))
    };
    let c = match rest.chars().next()? {
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        '"' => '"',
        '\\' => '\\',
        'x' => return code(2),
        'u' => return code(4),
        'U' => return code(8),
        // A backslash at the end of a line joins it with the next one.
        _ => return Some((None, rest.len() - rest.trim_start().len())),
    };
    Some((Some(c), 1))
}

/// A message of `serde` without the names of Rust's types.
fn in_plain_words(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let expected = match expected {
        other if other.starts_with("struct ") || other.starts_with("a map") => "a table",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        other if other.contains("nonzero") => "a whole number above 0",
        "f64" => "a number",
        "a sequence" => "an array",
        other => other,
    };
    format!("{found}expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_with_their_places() {
        for (raw, value, places) in [
            ("\"ab\"", "ab", &[11, 12, 13][..]),
            ("'a\\'", "a\\", &[11, 12, 13]),
            ("\"a\\n\\u00e9b\"", "a\néb", &[11, 12, 14, 14, 20, 21]),
            ("\"\"\"\na\nb\"\"\"", "a\nb", &[14, 15, 16, 17]),
            ("\"\"\"a \\\n   b\"\"\"", "a b", &[13, 14, 20, 21]),
            ("'''\r\na'''", "a", &[15, 16]),
            ("\"\"", "", &[11]),
        ] {
            let literal = Literal::read(raw, 10).unwrap();
            assert_eq!((literal.value.as_str(), literal.places.as_slice()), (value, places), "{raw}");
            let parsed: std::collections::BTreeMap<String, String> = toml::from_str(&format!("a = {raw}")).unwrap();
            assert_eq!(parsed["a"], value, "{raw}");
        }
    }
}
