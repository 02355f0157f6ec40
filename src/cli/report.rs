//! Messages on standard error: errors with their place, and the summary at the end.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use foldl::error::Place;
use foldl::exec::{FaultSummary, MissingPath, Summary, TypeChange};
use foldl::expr::{Class, Fault, Met};
use foldl::output::{grouped, is_unprintable, printable};
use foldl::scan::Reason;
use foldl::value::time::Unit;
use foldl::{Error, ErrorKind};
use unicode_width::UnicodeWidthStr;

use super::args::When;
use super::redaction::Redacted;

/// What is said of a panic, which is always a mistake of ours.
pub(super) fn panicked(panic: &std::panic::PanicHookInfo) {
    let text = format!(
        "foldl: internal error: {panic}\nThis is a bug in foldl: please report it with the query and the record.\n"
    );
    drop(io::stderr().lock().write_all(printable(text.as_bytes()).as_bytes()));
}

/// Standard error, with or without colour.
pub(super) struct Stderr {
    color: bool,
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";
const RESET: &str = "\x1b[0m";

impl Stderr {
    pub(super) fn new(when: When) -> Stderr {
        let color = match when {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Stderr { color }
    }

    /// Whether messages are coloured.
    pub(super) fn color(&self) -> bool {
        self.color
    }

    /// What went on in a run, on a line of its own.
    pub(super) fn warn(&self, text: &str) {
        self.write(&format!("{} {}\n", self.paint(YELLOW, "foldl:"), printable(text.as_bytes())));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("{code}{text}{RESET}") } else { text.to_owned() }
    }

    /// Writes a message. If standard error is gone there is nobody to tell.
    pub(super) fn write(&self, text: &str) {
        drop(Redacted.write_all(text.as_bytes()));
    }

    /// An error, the query underlined where it is wrong.
    pub(super) fn error(&self, error: &Error) {
        if error.kind() == ErrorKind::ClosedPipe {
            return;
        }
        self.tell(&self.paint(RED, "foldl: error:"), error);
    }

    /// What the query hardly means, underlined.
    pub(super) fn note(&self, note: &Error) {
        self.tell(&self.paint(YELLOW, "foldl: note:"), note);
    }

    fn tell(&self, title: &str, error: &Error) {
        let mut out = format!("{title} {}\n", printable(error.to_string().as_bytes()));
        if let Some(Place::Query { text, start, end } | Place::JobFile { text, start, end, .. }) = error.place()
            && !text.trim().is_empty()
        {
            out.push_str(&self.underline(text, *start, *end));
        }
        if let Some(hint) = error.advice() {
            let _ = writeln!(out, "{} {}", self.paint(CYAN, "help:"), printable(hint.as_bytes()));
        }
        self.write(&out);
    }

    /// The line of the query that the range starts in, with a mark below it. Of a long line only the part around it.
    fn underline(&self, text: &str, start: usize, end: usize) -> String {
        const AROUND: usize = 60;
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = end.clamp(start, line_end);
        let back = text[line_start..start].char_indices().rev().nth(AROUND).map(|(at, c)| at + c.len_utf8());
        let ahead = |from: usize| text[from..line_end].char_indices().nth(AROUND).map(|(at, _)| from + at);
        let marked_end = ahead(start).map_or(end, |cut| end.min(cut));
        let before = match back {
            Some(at) => format!("…{}", one_line(&text[line_start + at..start])),
            None => one_line(&text[line_start..start]),
        };
        let marked = one_line(&text[start..marked_end]);
        let after = match ahead(marked_end) {
            Some(cut) => format!("{}…", one_line(&text[marked_end..cut])),
            None => one_line(&text[marked_end..line_end]),
        };
        let number = text[..start].matches('\n').count() + 1;
        let margin = " ".repeat(number.to_string().len());
        let mark = self.paint(RED, &"^".repeat(marked.width().max(1)));
        let indent = " ".repeat(before.width());
        format!("{margin} |\n{number} | {before}{marked}{after}\n{margin} | {indent}{mark}\n")
    }

    /// What a user has to know after a run: lines that were skipped, values that were not what the query takes, and
    /// paths that no record had. `guessed` says that the format of the input was not given.
    pub(super) fn summary(&self, summary: &Summary, query: &str, keeps_rejects: bool, guessed: bool) {
        let mut out = String::new();
        let warning = self.paint(YELLOW, "foldl:");
        if summary.rejected > 0 {
            let reasons: Vec<String> =
                summary.reasons.iter().map(|(reason, count)| format!("{} {reason}", grouped(*count))).collect();
            let lines = if summary.records_in == 1 { "line" } else { "lines" };
            let _ = writeln!(
                out,
                "{warning} skipped {} of {} {lines}: {}",
                grouped(summary.rejected),
                grouped(summary.records_in),
                reasons.join(", ")
            );
            for sample in &summary.samples {
                let _ = writeln!(
                    out,
                    "  {}: {} at byte {}: {}",
                    place(&sample.place),
                    sample.what,
                    sample.at,
                    excerpt(&sample.raw, sample.at as usize)
                );
            }
            let more = summary.rejected - summary.samples.len() as u64;
            match (more, keeps_rejects) {
                (0, _) => {}
                (more, true) => drop(writeln!(out, "  … and {} more", grouped(more))),
                (more, false) => drop(writeln!(out, "  … and {} more; --rejects FILE keeps them all", grouped(more))),
            }
            if guessed && let Some(advice) = advise_format(summary) {
                let _ = writeln!(out, "{} {advice}", self.paint(CYAN, "help:"));
            }
        }
        for told in warnings(summary, query) {
            let _ = writeln!(out, "{warning} {told}");
        }
        self.write(&out);
    }
}

/// What a summary tells of values that were not as the query takes them: one line each.
pub(super) fn warnings(summary: &Summary, query: &str) -> Vec<String> {
    let faults = summary.faults.iter().map(describe);
    let changes = summary.type_changes.iter().map(describe_change);
    let missing = summary.missing_paths.iter().map(|missing| describe_missing(missing, query));
    faults.chain(changes).chain(missing).collect()
}

/// What may help if the rejected lines look like another format than the one that was read.
fn advise_format(summary: &Summary) -> Option<&'static str> {
    let first = summary.samples.first()?;
    let raw = first.raw.trim_ascii();
    let is_first_line = matches!(first.place, Place::Record { line: 1, .. });
    match first.reason {
        Reason::UnexpectedEnd if is_first_line && matches!(raw, b"{" | b"[" | b"[{") => {
            Some("this looks like JSON over several lines, which --input-format json reads")
        }
        Reason::AfterArray => Some("--input-format jsonl reads each line as a record of its own"),
        Reason::UnexpectedByte | Reason::BadLiteral | Reason::BadNumber | Reason::TrailingData
            if is_first_line && summary.rejected == summary.records_in && !raw.starts_with(b"{") =>
        {
            match (raw.contains(&b'\t'), raw.contains(&b',')) {
                (true, _) => Some("if these are tab-separated values, --input-format tsv reads them"),
                (_, true) => Some("if these are comma-separated values, --input-format csv reads them"),
                _ => None,
            }
        }
        _ => None,
    }
}

fn describe_missing(missing: &MissingPath, query: &str) -> String {
    let of = missing.of.as_ref().map_or(String::new(), |name| format!(" of {}", printable(name.as_bytes())));
    let mut text = format!("no record{of} had `{}`", printable(missing.path.as_bytes()));
    if missing.is_alias {
        text.push_str(
            "; names of the select list are known in GROUP BY, HAVING and ORDER BY alone, so write its expression instead",
        );
    } else if let Some((similar, count)) = &missing.similar {
        let share = match *count == missing.records {
            true => format!("all {}", grouped(missing.records)),
            false => format!("{} of {}", grouped(*count), grouped(missing.records)),
        };
        let _ = write!(text, "; `{}` was in {share}", printable(similar.as_bytes()));
    } else if query.contains(&format!("\"{}\"", missing.path)) {
        let single = single_quoted(&missing.path);
        let corrected = query.replace(&format!("\"{}\"", missing.path), &single);
        let shown = shown(&corrected).unwrap_or(&single);
        let _ = write!(text, "; a text stands in single quotes: {}", printable(shown.as_bytes()));
    } else if let Some(corrected) = quoted(&missing.path, query) {
        let _ = write!(text, "; a text stands in single quotes: {}", printable(corrected.as_bytes()));
    } else if is_unit(&missing.path, query) {
        let _ = write!(text, "; a unit of time stands in single quotes: '{}'", printable(missing.path.as_bytes()));
    } else if missing.path.contains('[') && !missing.path.contains("[0]") {
        text.push_str("; elements count from 0");
    } else if missing.path.len() > 3 && foldl::sql::nearest(&missing.path, ["select", "from", "where"]).is_some() {
        text.push_str("; is a keyword misspelt?");
    }
    text
}

/// Whether a name is a unit of time that stands where functions take one: `date_trunc(day, t)`.
fn is_unit(name: &str, query: &str) -> bool {
    const FUNCTIONS: [&str; 6] = ["date_trunc(", "date_diff(", "datediff(", "date_sub(", "date_part(", "datepart("];
    let query: String = query.to_lowercase().split_whitespace().collect();
    let is_argument = |function: &&str| query.contains(&format!("{function}{},", name.to_lowercase()));
    Unit::from_name(name).is_some() && FUNCTIONS.iter().any(is_argument)
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A corrected query, if it is short enough to be shown.
fn shown(query: &str) -> Option<&str> {
    const MOST: usize = 200;
    Some(query.trim()).filter(|query| query.len() < MOST && query.lines().count() == 1)
}

/// The query with quotes around a name that stands where a text is meant, behind `=`, `<>` or LIKE.
fn quoted(name: &str, query: &str) -> Option<String> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[');
    let (start, _) = query.match_indices(name).find(|(start, _)| {
        let before = query[..*start].trim_end();
        let word = before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
        let is_behind = before.ends_with(['=', '>']) || ["like", "ilike"].contains(&word.to_lowercase().as_str());
        is_behind && !query[start + name.len()..].starts_with(is_name)
    })?;
    let single = single_quoted(name);
    let corrected = format!("{}{single}{}", &query[..start], &query[start + name.len()..]);
    Some(shown(&corrected).map_or(single, str::to_owned))
}

fn describe(fault: &FaultSummary) -> String {
    let FaultSummary { label, expected, fault: kind, count, met, of_groups, first, joined } = fault;
    let label = printable(label.as_bytes());
    let records = match (of_groups, count) {
        (false, 1) => "record",
        (false, _) => "records",
        (true, 1) => "group",
        (true, _) => "groups",
    };
    let count = grouped(*count);
    let mut text = match kind {
        Fault::Type => format!("`{label}` was not {expected} in {count} {records}"),
        Fault::DivisionByZero => format!("division by zero in `{label}` in {count} {records}"),
        Fault::Overflow => format!("the result of `{label}` was out of range in {count} {records}"),
        Fault::Invalid => format!("`{label}` did not read as {expected} in {count} {records}"),
    };
    if !met.is_empty() {
        let met: Vec<String> = met.iter().map(|(met, count)| describe_met(*met, *count)).collect();
        let _ = write!(text, " ({})", met.join(", "));
    }
    if let Some(first) = first {
        let _ = match joined {
            Some(name) => write!(text, ", first in a record of {} beside {}", printable(name.as_bytes()), place(first)),
            None => write!(text, ", first at {}", place(first)),
        };
    }
    text.push_str("; taken as NULL");
    text
}

/// `41 strings`, `1 string beside a number`
fn describe_met(met: Met, count: u64) -> String {
    let name = |class: Class| match count {
        1 => class.one().split_once(' ').map_or(class.one(), |(_, name)| name),
        _ => class.many(),
    };
    let beside = met.beside.map(|beside| format!(" beside {}", if count == 1 { beside.one() } else { beside.many() }));
    format!("{} {}{}", grouped(count), name(met.class), beside.unwrap_or_default())
}

/// `a` was a number in 4,959 records, a string in 41: first at orders.jsonl:1234
fn describe_change(change: &TypeChange) -> String {
    let types = change.types.iter().enumerate().map(|(place, (class, count))| match (place, count) {
        (0, 1) => format!("{} in 1 record", class.one()),
        (0, count) => format!("{} in {} records", class.one(), grouped(*count)),
        (_, count) => format!("{} in {}", class.one(), grouped(*count)),
    });
    let mut types: Vec<String> = types.collect();
    let last = types.pop().unwrap_or_default();
    format!(
        "`{}` was {} and {last}; it changed first at {}",
        printable(change.path.as_bytes()),
        types.join(", "),
        place(&change.first)
    )
}

fn place(place: &Place) -> String {
    printable(place.to_string().as_bytes())
}

/// The part of a line around a byte, fit for a terminal.
fn excerpt(raw: &[u8], at: usize) -> String {
    const BEFORE: usize = 40;
    const LENGTH: usize = 70;
    let mut start = at.min(raw.len()).saturating_sub(BEFORE);
    while start > 0 && raw[start] & 0xC0 == 0x80 {
        start -= 1;
    }
    let mut end = (start + LENGTH).min(raw.len());
    while end < raw.len() && raw[end] & 0xC0 == 0x80 {
        end += 1;
    }
    let before = if start > 0 { "…" } else { "" };
    let after = if end < raw.len() { "…" } else { "" };
    format!("{before}{}{after}", printable(&raw[start..end]))
}

/// A part of the query's line as a terminal can be given it, each character where it stood.
fn one_line(text: &str) -> String {
    let shown = |c| match c {
        '\t' => ' ',
        c if is_unprintable(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let stderr = Stderr { color: false };
        let text = format!("{}é cuont(*) {}", "a".repeat(200), "b".repeat(200));
        let start = text.find("cuont").unwrap();
        let shown = stderr.underline(&text, start, text.len());
        assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
        assert!(shown.contains("aé cuont(*) bbb"), "{shown}");
    }

    #[test]
    fn the_place_is_underlined_under_wide_characters_too() {
        let stderr = Stderr { color: false };
        let text = "where 名 = cuont(*)";
        let start = text.find("cuont").unwrap();
        assert_eq!(stderr.underline(text, start, start + 5), "  |\n1 | where 名 = cuont(*)\n  |            ^^^^^\n");
    }
}
