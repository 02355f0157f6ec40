//! Patterns of moments as other systems write them, by letters: `yyyy-MM-dd HH:mm:ss` and `YYYY-MM-DD HH24:MI:SS`.

use sqlparser::ast::{self, Spanned};

use super::expr::Binder;
use super::literal::string;
use crate::error::Error;
use crate::expr::function;

/// The letters of Java and Spark, each run as a whole, and the specifiers that do the same.
const JAVA: [(&str, &str); 34] = [
    ("yyyy", "%Y"),
    ("uuuu", "%Y"),
    ("YYYY", "%Y"),
    ("y", "%Y"),
    ("yy", "%y"),
    ("MMMM", "%B"),
    ("LLLL", "%B"),
    ("MMM", "%b"),
    ("LLL", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("dd", "%d"),
    ("DD", "%d"),
    ("d", "%-d"),
    ("DDD", "%j"),
    ("D", "%-j"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
    ("EE", "%a"),
    ("E", "%a"),
    ("HH", "%H"),
    ("H", "%-H"),
    ("hh", "%I"),
    ("h", "%-I"),
    ("mm", "%M"),
    ("m", "%-M"),
    ("ss", "%S"),
    ("s", "%-S"),
    ("SSS", "%g"),
    ("SSSSSS", "%f"),
    ("a", "%p"),
    ("XXX", "%z"),
    ("xxx", "%z"),
    ("VV", "%Z"),
];

/// Those of PostgreSQL and Oracle, the longer ones first.
const ORACLE: [(&str, &str); 14] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MONTH", "%B"),
    ("MON", "%b"),
    ("MM", "%m"),
    ("MI", "%M"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("DAY", "%A"),
    ("DY", "%a"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("SS", "%S"),
    ("AM", "%p"),
];

/// The pattern with specifiers that does the same as one with letters. [`None`] if it is none that is known.
fn with_specifiers(pattern: &str) -> Option<String> {
    if pattern.contains('%') {
        return None;
    }
    // Who writes mm without an hour means the month.
    let is_month = pattern.contains("mm") && !pattern.contains(['H', 'h']);
    match is_month {
        true => by_words(pattern).or_else(|| by_runs(pattern)),
        false => by_runs(pattern).or_else(|| by_words(pattern)),
    }
}

/// Whether so many parts of a moment are enough to tell a pattern from any other text.
fn is_pattern(pattern: &str, parts: usize) -> bool {
    parts > 1 || ["yy", "YY", "uu"].iter().any(|year| pattern.contains(year))
}

/// As Java has it: a run of a letter is a part of a moment, what stands in quotes is itself.
fn by_runs(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut parts = 0;
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, behind) = rest[1..].split_once('\'')?;
            out.push_str(if text.is_empty() { "'" } else { text });
            rest = behind;
        } else if first.is_ascii_alphabetic() {
            let end = rest.find(|char| char != first).unwrap_or(rest.len());
            // The T of ISO 8601 is often left without quotes.
            match JAVA.iter().find(|(run, _)| *run == &rest[..end]) {
                Some((_, specifier)) => {
                    out.push_str(specifier);
                    parts += 1;
                }
                None if matches!(&rest[..end], "T" | "Z") => out.push(first),
                None => return None,
            }
            rest = &rest[end..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    is_pattern(pattern, parts).then_some(out)
}

/// As PostgreSQL has it: words in any case, of which one ends where the next begins.
fn by_words(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut parts = 0;
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let is_next = |word: &str| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        match ORACLE.iter().find(|(word, _)| is_next(word)) {
            Some((word, specifier)) => {
                out.push_str(specifier);
                parts += 1;
                rest = &rest[word.len()..];
            }
            None if first.is_ascii_alphabetic() && !matches!(first, 'T' | 'Z') => return None,
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    is_pattern(pattern, parts).then_some(out)
}

impl Binder<'_, '_> {
    /// The error of a call with a pattern of letters, with the call that does the same: of functions that foldl has, and of
    /// those that others have.
    pub(super) fn pattern_of_letters(
        &self,
        call: &ast::Function,
        name: &str,
        arguments: &[&ast::Expr],
    ) -> Option<Error> {
        let [value, pattern] = arguments else { return None };
        let ast::Expr::Value(literal) = pattern else { return None };
        let text = string(&literal.value)?;
        let specifiers = match with_specifiers(text) {
            Some(specifiers) => specifiers,
            // The function may be another system's, though the pattern is not.
            None if text.contains('%') && !matches!(name, "strftime" | "strptime" | "try_strptime") => text.to_owned(),
            None => return None,
        };
        let quoted = specifiers.replace('\'', "''");
        let corrected = match name {
            "strftime" | "date_format" | "to_char" | "format_datetime" => format!("strftime({value}, '{quoted}')"),
            "strptime" | "to_timestamp" | "str_to_date" | "parse_datetime" | "to_timestamp_ntz" => {
                format!("strptime({value}, '{quoted}')")
            }
            "try_strptime" | "try_to_timestamp" => format!("try_strptime({value}, '{quoted}')"),
            "to_date" | "date" => format!("strptime({value}, '{quoted}')::date"),
            "unix_timestamp" => format!("epoch(strptime({value}, '{quoted}'))"),
            "from_unixtime" => format!("strftime(to_timestamp({value}), '{quoted}')"),
            _ => return None,
        };
        let error = match with_specifiers(text) {
            _ if function(name).is_none() => self.text.error(call.name.span(), format!("there is no function {name}")),
            Some(_) => {
                let message = format!("the parts of a moment are written with %, not as in '{text}'");
                self.text.error(pattern.span(), message)
            }
            None => self.text.error(pattern.span(), format!("{name} takes no pattern")),
        };
        Some(error.hint(format!("write {corrected}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::zone::TimePattern;

    #[test]
    fn every_specifier_is_known() {
        for (letters, specifier) in JAVA.iter().chain(&ORACLE) {
            assert!(TimePattern::new(specifier).is_some(), "{letters}");
        }
        for (number, (word, _)) in ORACLE.iter().enumerate() {
            assert!(ORACLE[..number].iter().all(|(before, _)| !word.starts_with(before)), "{word} is never found");
        }
    }

    #[test]
    fn letters_become_specifiers() {
        let cases = [
            ("yyyy-MM-dd", Some("%Y-%m-%d")),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", Some("%Y-%m-%dT%H:%M:%S.%g%z")),
            ("yyyy-MM-ddTHH:mm:ssZ", Some("%Y-%m-%dT%H:%M:%SZ")),
            ("EEE, d MMM yy h:mm a", Some("%a, %-d %b %y %-I:%M %p")),
            ("YYYY-MM-DD HH24:MI:SS", Some("%Y-%m-%d %H:%M:%S")),
            ("yyyymmdd", Some("%Y%m%d")),
            ("yyyy", Some("%Y")),
            ("d", None),
            ("DD Mon YYYY", Some("%d %b %Y")),
            ("%Y-%m-%d", None),
            ("hello", None),
            ("-/-", None),
            ("'", None),
            ("", None),
        ];
        for (letters, expected) in cases {
            assert_eq!(with_specifiers(letters).as_deref(), expected, "{letters}");
        }
    }
}
