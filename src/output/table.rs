//! Tables, for people and in Markdown.

use std::collections::HashMap;

use bumpalo::Bump;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::value::{Value, json, text};

/// The widest that a cell gets, in columns of the terminal.
const MAX_WIDTH: usize = 60;

/// Lays out JSON rows as a table: numbers to the right, everything else to the left.
pub(super) fn layout(rows: &[u8], names: Option<&[String]>) -> String {
    let Grid { header, cells } = Grid::of(rows, names, shown);
    let mut widths: Vec<usize> = header.iter().map(|name| name.width()).collect();
    for (text, column) in cells.iter().flat_map(|line| line.iter().zip(0..)) {
        widths[column] = widths[column].max(text.0.width());
    }
    let mut out = String::new();
    push_line(&mut out, &widths, header.iter().map(|name| (name.as_str(), false)));
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    push_line(&mut out, &widths, rule.iter().map(|rule| (rule.as_str(), false)));
    for line in &cells {
        push_line(&mut out, &widths, line.iter().map(|(text, number)| (text.as_str(), *number)));
    }
    out
}

/// Lays out JSON rows as a table in Markdown: columns of numbers to the right. Nothing is cut.
pub(super) fn markdown(rows: &[u8], names: Option<&[String]>) -> String {
    let Grid { header, cells } = Grid::of(rows, names, escaped);
    let is_number = |column: usize| {
        let mut texts =
            cells.iter().filter_map(|line| line.get(column)).filter(|(text, _)| !text.is_empty()).peekable();
        texts.peek().is_some() && texts.all(|(_, number)| *number)
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<&str> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut out = line(&mut header.iter().map(String::as_str));
    out.push_str(&line(&mut (0..header.len()).map(|column| if is_number(column) { "--:" } else { "---" })));
    for cells in &cells {
        let missing = header.len() - cells.len();
        out.push_str(&line(&mut cells.iter().map(|(text, _)| text.as_str()).chain(std::iter::repeat_n("", missing))));
    }
    out
}

/// The cells of a table.
struct Grid {
    header: Vec<String>,
    /// For each row its texts, and whether they are numbers. Rows may be shorter than the header.
    cells: Vec<Vec<(String, bool)>>,
}

impl Grid {
    /// The cells of JSON rows, with their texts as `show` has them.
    fn of(rows: &[u8], names: Option<&[String]>, show: fn(&str) -> String) -> Grid {
        let arena = Bump::new();
        let mut header: Vec<String> = names.map(<[String]>::to_vec).unwrap_or_default();
        let mut places: HashMap<String, usize> = header.iter().cloned().zip(0..).collect();
        let mut cells = Vec::new();
        for row in rows.split(|&byte| byte == b'\n').filter(|row| !row.is_empty()) {
            let mut line = vec![(String::new(), false); header.len()];
            match Value::from_json(row, &arena) {
                Value::Json(object) if object.first() == Some(&b'{') => {
                    for (key, value) in
                        json::entries(object).map(|(key, escaped, value)| (json::key_text(key, escaped, &arena), value))
                    {
                        let name = text::lossy(key);
                        let column = places.get(&*name).copied().unwrap_or_else(|| {
                            places.insert(name.clone().into_owned(), header.len());
                            header.push(name.into_owned());
                            header.len() - 1
                        });
                        line.resize(header.len().max(line.len()), (String::new(), false));
                        line[column] = cell(value, &arena, show);
                    }
                }
                _ => {
                    if header.is_empty() {
                        header.push("value".to_owned());
                    }
                    line.resize(header.len(), (String::new(), false));
                    line[0] = cell(row, &arena, show);
                }
            }
            cells.push(line);
        }
        header.iter_mut().for_each(|name| *name = show(name));
        Grid { header, cells }
    }
}

fn push_line<'t>(out: &mut String, widths: &[usize], cells: impl Iterator<Item = (&'t str, bool)>) {
    let start = out.len();
    for ((text, right), &width) in cells.zip(widths) {
        if out.len() > start {
            out.push_str("  ");
        }
        let padding = " ".repeat(width.saturating_sub(text.width()));
        let (before, after) = if right { (padding.as_str(), "") } else { ("", padding.as_str()) };
        out.extend([before, text, after]);
    }
    out.truncate(out.trim_end().len().max(start));
    out.push('\n');
}

/// The text of a cell, of a number as it is written, and whether it is a number.
fn cell(json: &[u8], arena: &Bump, show: fn(&str) -> String) -> (String, bool) {
    let value = Value::from_json(json, arena);
    let number = matches!(value, Value::Int(_) | Value::Wide(_) | Value::Float(_) | Value::Huge(_));
    let mut bytes = Vec::new();
    match value {
        Value::Null => {}
        _ if number => bytes.extend_from_slice(json.trim_ascii()),
        value => json::to_text(value, &mut bytes),
    }
    (show(&text::lossy(&bytes)), number)
}

/// A text as a cell of Markdown has it: on one line, its bars escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\|"),
            '\n' => out.push_str("<br>"),
            c if is_unprintable(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A text as a cell shows it: without what would move the cursor or turn the direction of writing, and cut.
fn shown(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for c in text.chars() {
        let c = if is_unprintable(c) { '\u{fffd}' } else { c };
        width += c.width().unwrap_or(0);
        if width > MAX_WIDTH {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// Whether a character would move the cursor of a terminal, turn the direction of writing, or not be seen at all.
pub fn is_unprintable(c: char) -> bool {
    let unseen = matches!(c, '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}');
    c.is_control() || unseen || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
