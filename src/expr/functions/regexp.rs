//! Regular expressions: the crate `regex`, whose syntax is nearly that of RE2, with classes of ASCII as there.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bumpalo::Bump;
use regex::{Captures, Regex, RegexBuilder, bytes};

use super::split::parts;
use super::{Code, Function, Gives, array, array_of_texts, int, map_column, string, text};
use crate::expr::Vector;
use crate::expr::fault::Fault;
use crate::value::{Value, json, text as wtf8};

/// The longest program that a pattern may become, in bytes. A pattern can come from a record.
const MOST_BYTES: usize = 1 << 20;
/// The patterns that a thread keeps compiled.
const MOST_COMPILED: usize = 64;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "regexp_matches",
        aliases: &["regexp_like", "rlike", "regexp"],
        signature: "regexp_matches(text, pattern [, options])",
        summary: "Whether a regular expression matches some part of a text. Options: i ignores case, s lets . match a line end.",
        example: ("regexp_matches('hello', 'l+o$')", "true"),
        arguments: (2, 3),
        expected: "text and a regular expression",
        gives: Gives::Bool,
        code: Code::Columns(
            |args, _| Ok(Value::Bool(compiled(args[1], args.get(2), "")?.regex.is_match(&string(args[0])?))),
            |columns, len, arena| match_column(columns, len, arena, ""),
        ),
    },
    Function {
        name: "regexp_full_match",
        aliases: &[],
        signature: "regexp_full_match(text, pattern [, options])",
        summary: "Whether a regular expression matches a text from its start to its end.",
        example: ("regexp_full_match('hello', 'h.*')", "true"),
        arguments: (2, 3),
        expected: "text and a regular expression",
        gives: Gives::Bool,
        code: Code::Columns(
            |args, _| Ok(Value::Bool(compiled(args[1], args.get(2), "^$")?.regex.is_match(&string(args[0])?))),
            |columns, len, arena| match_column(columns, len, arena, "^$"),
        ),
    },
    Function {
        name: "regexp_extract",
        aliases: &[],
        signature: "regexp_extract(text, pattern [, group | [names] [, options]])",
        summary: "The first match of a regular expression, or of a group of it; '' if there is none. With an array of names, an object of the groups.",
        example: ("regexp_extract('order-17 of 20', '([a-z]+)-([0-9]+)', 2)", "\"17\""),
        arguments: (2, 4),
        expected: "text, a regular expression, and the number of a group or an array of names",
        gives: Gives::Any,
        code: Code::Columns(
            |args, arena| {
                let subject = string(args[0])?;
                let compiled = compiled(args[1], args.get(3), "")?;
                if let Some(&Value::Json(names @ [b'[', ..])) = args.get(2) {
                    let captures = compiled.regex.captures(&subject);
                    return compiled.groups(names, captures.as_ref(), arena);
                }
                let group = group(args.get(2))?;
                let found = compiled.regex.captures(&subject).and_then(|captures| captures.get(group));
                Ok(text(arena, found.map_or("", |found| found.as_str())))
            },
            extract_column,
        ),
    },
    Function {
        name: "regexp_extract_all",
        aliases: &[],
        signature: "regexp_extract_all(text, pattern [, group | [names] [, options]])",
        summary: "All matches of a regular expression, or of a group of it, as an array. With an array of names, of objects of the groups.",
        example: ("regexp_extract_all('a1b22', '[0-9]+')", "[\"1\",\"22\"]"),
        arguments: (2, 4),
        expected: "text, a regular expression, and the number of a group or an array of names",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let subject = string(args[0])?;
            let compiled = compiled(args[1], args.get(3), "")?;
            if let Some(&Value::Json(names @ [b'[', ..])) = args.get(2) {
                let found = compiled.regex.captures_iter(&subject);
                let objects = found.map(|captures| compiled.groups(names, Some(&captures), arena));
                return Ok(array(arena, objects.collect::<Result<Vec<_>, Fault>>()?.into_iter()));
            }
            let group = group(args.get(2))?;
            if group >= compiled.regex.captures_len() {
                return Err(Fault::Invalid);
            }
            let found = compiled.regex.captures_iter(&subject);
            let found = found.map(|captures| captures.get(group).map_or("", |found| found.as_str()));
            Ok(array_of_texts(arena, found))
        }),
    },
    Function {
        name: "regexp_replace",
        aliases: &[],
        signature: "regexp_replace(text, pattern, replacement [, options])",
        summary: "The text with the first match replaced, or with the option g each; \\1 in the replacement is a group.",
        example: ("regexp_replace('a1b2', '[0-9]', '<\\0>', 'g')", "\"a<1>b<2>\""),
        arguments: (3, 4),
        expected: "text, a regular expression and a replacement",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let (subject, replacement) = (string(args[0])?, string(args[2])?);
            let compiled = compiled(args[1], args.get(3), "g")?;
            let replacement = replacement_of(&replacement);
            let replaced = compiled.regex.replacen(&subject, usize::from(!compiled.all), replacement.as_str());
            Ok(text(arena, &replaced))
        }),
    },
    Function {
        name: "regexp_split_to_array",
        aliases: &["string_split_regex", "str_split_regex"],
        signature: "regexp_split_to_array(text, pattern [, options])",
        summary: "The parts of a text between the matches of a regular expression, as an array.",
        example: ("regexp_split_to_array('a, b;c', '[,;] *')", "[\"a\",\"b\",\"c\"]"),
        arguments: (2, 3),
        expected: "text and a regular expression",
        gives: Gives::Array,
        code: Code::Strict(|args, arena| {
            let subject = string(args[0])?;
            if matches!(args[1], Value::Text(b"")) {
                return Ok(array_of_texts(arena, parts(&subject, "")));
            }
            Ok(array_of_texts(arena, split(&subject, &compiled(args[1], args.get(2), "")?.regex).into_iter()))
        }),
    },
    Function {
        name: "regexp_escape",
        aliases: &[],
        signature: "regexp_escape(text)",
        summary: "A regular expression that matches exactly the text.",
        example: ("regexp_escape('1+1')", "\"1\\\\+1\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &regex::escape(&string(args[0])?)))),
    },
];

/// Whether a pattern matches, for a column of texts.
fn match_column<'a>(columns: &[Vector<'a>], len: usize, arena: &'a Bump, mode: &str) -> Option<Vector<'a>> {
    let compiled = compiled_constant(columns.get(1)?, columns.get(2), mode)?;
    let ascii = compiled.ascii()?;
    map_column(&columns[0], len, arena, |subject| match subject {
        Value::Text(subject) if subject.is_ascii() => Some(Value::Bool(ascii.is_match(subject))),
        subject => Some(Value::Bool(compiled.regex.is_match(&string(subject).ok()?))),
    })
}

/// The first match of a pattern or of a group of it, for a column of texts.
fn extract_column<'a>(columns: &[Vector<'a>], len: usize, arena: &'a Bump) -> Option<Vector<'a>> {
    let compiled = compiled_constant(columns.get(1)?, columns.get(3), "")?;
    let number = columns.get(2).map(constant);
    let group = group(match &number {
        Some(number) => Some(number.as_ref()?),
        None => None,
    });
    let group = group.ok()?;
    let ascii = compiled.ascii()?;
    let mut places = ascii.capture_locations();
    map_column(&columns[0], len, arena, |subject| match subject {
        Value::Text(subject) if subject.is_ascii() => {
            let found = match group {
                0 => ascii.find(subject).map(|found| found.range()),
                _ => ascii
                    .captures_read(&mut places, subject)
                    .and_then(|_| places.get(group))
                    .map(|(start, end)| start..end),
            };
            Some(Value::Text(found.map_or(b"", |found| &subject[found])))
        }
        subject => {
            let subject = string(subject).ok()?;
            let found = compiled.regex.captures(&subject).and_then(|captures| captures.get(group));
            Some(text(arena, found.map_or("", |found| found.as_str())))
        }
    })
}

/// The value that a column has in every row, if it is not NULL.
fn constant<'a>(column: &Vector<'a>) -> Option<Value<'a>> {
    match column {
        Vector::Constant(value) if !matches!(value, Value::Null) => Some(*value),
        _ => None,
    }
}

/// The compiled pattern, if it and its options are the same in every row.
fn compiled_constant(pattern: &Vector, options: Option<&Vector>, mode: &str) -> Option<Rc<Compiled>> {
    let options = match options {
        None => None,
        Some(options) => Some(constant(options)?),
    };
    compiled(constant(pattern)?, options.as_ref(), mode).ok()
}

/// A pattern, ready to match.
struct Compiled {
    regex: Regex,
    /// The same for texts of ASCII, which need no proof that they are UTF-8: each place in them is between characters, so
    /// that it finds the same.
    ascii: OnceCell<Option<bytes::Regex>>,
    /// What both are made of.
    source: Source,
    /// With the option `g`.
    all: bool,
}

/// A pattern with its options.
struct Source {
    pattern: String,
    ignores_case: bool,
    dot_matches_new_line: bool,
}

impl Compiled {
    /// An object of the groups of a match, from the first on, by the names in a JSON array; of no match they are ''.
    ///
    /// # Errors
    /// [`Fault::Type`] if one of the names is no text, [`Fault::Invalid`] if there are more of them than groups.
    fn groups<'a>(&self, names: &'a [u8], captures: Option<&Captures>, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let mut out = vec![b'{'];
        for (number, name) in json::elements(names).enumerate() {
            let Value::Text(name) = Value::from_json(name, arena) else { return Err(Fault::Type) };
            if number + 1 >= self.regex.captures_len() {
                return Err(Fault::Invalid);
            }
            if number > 0 {
                out.push(b',');
            }
            wtf8::write_string(name, &mut out);
            out.push(b':');
            let found = captures.and_then(|captures| captures.get(number + 1));
            wtf8::write_string(found.map_or("", |found| found.as_str()).as_bytes(), &mut out);
        }
        out.push(b'}');
        Ok(Value::Json(arena.alloc_slice_copy(&out)))
    }

    fn ascii(&self) -> Option<&bytes::Regex> {
        let build = || {
            let Source { pattern, ignores_case, dot_matches_new_line } = &self.source;
            let mut builder = bytes::RegexBuilder::new(pattern);
            builder.case_insensitive(*ignores_case).dot_matches_new_line(*dot_matches_new_line);
            builder.size_limit(MOST_BYTES).dfa_size_limit(MOST_BYTES).build().ok()
        };
        self.ascii.get_or_init(build).as_ref()
    }
}

/// The parts of a text between matches, as RE2 splits: an empty match where a part begins ends it behind its first
/// character.
fn split<'t>(text: &'t str, regex: &Regex) -> Vec<&'t str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while start < text.len()
        && let Some(found) = regex.find_at(text, start)
    {
        let (mut end, mut next) = (found.start(), found.end());
        if next == start {
            end = text.ceil_char_boundary(start + 1);
            next = end;
            if end == text.len() {
                break;
            }
        }
        parts.push(&text[start..end]);
        start = next;
    }
    parts.push(&text[start..]);
    parts
}

/// Patterns, or [`None`] for what is none, by their texts, their options and what the caller makes of them.
type Patterns = HashMap<[Box<str>; 3], Option<Rc<Compiled>>>;

thread_local! {
    /// The patterns that were compiled last.
    static COMPILED: RefCell<Patterns> = RefCell::default();
}

/// The compiled pattern. `mode` is `^$` where it has to match as a whole, and `g` where the option of that name means
/// something.
///
/// # Errors
/// [`Fault::Type`] if the pattern or its options are no text, [`Fault::Invalid`] if they do not read as such.
fn compiled(pattern: Value, options: Option<&Value>, mode: &str) -> Result<Rc<Compiled>, Fault> {
    let (pattern, options) = (string(pattern)?, options.map_or(Ok("".into()), |&options| string(options))?);
    let key = [Box::from(&*pattern), Box::from(&*options), Box::from(mode)];
    COMPILED.with_borrow_mut(|known| {
        if known.len() >= MOST_COMPILED && !known.contains_key(&key) {
            known.clear();
        }
        known.entry(key).or_insert_with(|| compile(&pattern, &options, mode)).clone().ok_or(Fault::Invalid)
    })
}

/// A pattern whose classes `\d`, `\s`, `\w` and word boundaries are those of ASCII, as in RE2.
fn with_ascii_classes(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        let escaped = if char == '\\' { chars.next() } else { None };
        match escaped {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('s') => out.push_str(r"[\t\n\f\r ]"),
            Some('S') => out.push_str(r"[^\t\n\f\r ]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some(boundary @ ('b' | 'B')) => out.extend([r"(?-u:\", boundary.encode_utf8(&mut [0; 4]), ")"]),
            escaped => {
                out.push(char);
                out.extend(escaped);
            }
        }
    }
    out
}

fn compile(pattern: &str, options: &str, mode: &str) -> Option<Rc<Compiled>> {
    let pattern = with_ascii_classes(pattern);
    let pattern = if mode == "^$" { format!("^(?:{pattern})$") } else { pattern };
    let mut source = Source { pattern, ignores_case: false, dot_matches_new_line: false };
    let mut all = false;
    for option in options.chars() {
        match option {
            'i' => source.ignores_case = true,
            'c' => source.ignores_case = false,
            's' => source.dot_matches_new_line = true,
            'm' | 'n' | 'p' => source.dot_matches_new_line = false,
            'g' if mode == "g" => all = true,
            _ => return None,
        }
    }
    let mut builder = RegexBuilder::new(&source.pattern);
    builder.case_insensitive(source.ignores_case).dot_matches_new_line(source.dot_matches_new_line);
    let regex = builder.size_limit(MOST_BYTES).dfa_size_limit(MOST_BYTES).build().ok()?;
    Some(Rc::new(Compiled { regex, ascii: OnceCell::new(), source, all }))
}

/// The number of a group: 0, the whole match, if not given.
fn group(number: Option<&Value>) -> Result<usize, Fault> {
    number.map_or(Ok(0), |&number| usize::try_from(int(number)?).map_err(|_| Fault::Invalid))
}

/// A replacement with `\1` for groups as the crate wants it, with `${1}`.
fn replacement_of(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '$' => out.push_str("$$"),
            '\\' => match chars.next() {
                Some(digit @ '0'..='9') => out.extend(["${", digit.encode_utf8(&mut [0; 4]), "}"]),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// Whether a pattern is one, for errors before anything is read.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    match RegexBuilder::new(&with_ascii_classes(pattern)).size_limit(MOST_BYTES).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err("the regular expression is too large".to_owned()),
        Err(error) => {
            let text = error.to_string();
            let reason = text.rsplit_once("error: ").map_or(text.as_str(), |(_, reason)| reason);
            Err(format!("that is no regular expression: {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_have_groups_and_no_other_syntax() {
        assert_eq!(replacement_of(r"a\1$b\\"), r"a${1}$$b\");
        assert_eq!(replacement_of(r"\"), r"\");
    }

    #[test]
    fn classes_are_those_of_ascii() {
        let regex = |pattern: &str| Regex::new(&with_ascii_classes(pattern)).unwrap();
        assert!(!regex(r"^\w+$").is_match("naïve") && regex(r"^\w+$").is_match("a_1"));
        assert!(regex(r"^[\W\d]+$").is_match("é1") && !regex(r"^[^\W]$").is_match("é"));
        assert!(regex(r"\bve\b").is_match("naïve") && !regex(r"\Bve").is_match("naïve"));
        assert!(regex(r"^\\w$").is_match(r"\w") && !regex(r"\s").is_match("\u{a0}"));
    }

    #[test]
    fn bad_patterns_are_told() {
        assert_eq!(check_pattern("a(b"), Err("that is no regular expression: unclosed group".to_owned()));
        assert_eq!(check_pattern("(a{1000}){1000}"), Err("the regular expression is too large".to_owned()));
        assert_eq!(check_pattern("a+"), Ok(()));
    }

    #[test]
    fn patterns_are_kept_and_forgotten() {
        let arena = Bump::new();
        for round in 0..3 {
            for number in 0..MOST_COMPILED * 2 {
                let (pattern, subject) = (format!("^{number}$"), number.to_string());
                let matches = |subject: &str| {
                    let arguments = [text(&arena, subject), text(&arena, &pattern)];
                    TABLE[0].apply(&arguments, &arena)
                };
                assert!(matches!(matches(&subject), Ok(Value::Bool(true))), "{round}");
                assert!(matches!(matches("x"), Ok(Value::Bool(false))));
            }
        }
    }
}
