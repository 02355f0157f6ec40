//! Tables, for people and in Markdown.

use std::borrow::Cow;
use std::collections::HashMap;

use bumpalo::Bump;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::value::{Value, json, text};

/// The widest that a cell gets, in columns of the terminal.
const MAX_WIDTH: usize = 60;
/// What is left of the narrowest cell that is cut.
const MIN_WIDTH: usize = 6;

/// Lays out JSON rows as a table: numbers to the right, everything else to the left. Where a width is given, the widest
/// columns are cut so that lines fit, save for numbers, of which a part would be another number.
pub(super) fn layout(rows: &[u8], names: Option<&[String]>, width: Option<usize>) -> String {
    let Grid { header, cells } = Grid::of(rows, names, shown);
    let mut widths: Vec<usize> = header.iter().map(|name| name.width()).collect();
    let mut fewest: Vec<usize> = widths.iter().map(|&width| width.min(MIN_WIDTH)).collect();
    for (cell, column) in cells.iter().flat_map(|line| line.iter().zip(0..)) {
        let width = cell.text.width();
        widths[column] = widths[column].max(width);
        let least = if cell.kind == CellKind::Number { width } else { width.min(MIN_WIDTH) };
        fewest[column] = fewest[column].max(least);
    }
    if let Some(width) = width {
        narrow(&mut widths, &fewest, width);
    }
    let mut out = String::new();
    push_line(&mut out, &widths, header.iter().map(|name| (name.as_str(), false)));
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    push_line(&mut out, &widths, rule.iter().map(|rule| (rule.as_str(), false)));
    for line in &cells {
        push_line(&mut out, &widths, line.iter().map(|cell| (cell.text.as_str(), cell.kind == CellKind::Number)));
    }
    out
}

/// Makes the widest columns narrower, none below what it needs, until all of them and what is between them fit.
fn narrow(widths: &mut [usize], fewest: &[usize], width: usize) {
    let room = width.saturating_sub(2 * widths.len().saturating_sub(1));
    let narrowed = |cap: usize| widths.iter().zip(fewest).map(move |(&width, &least)| width.min(cap.max(least)));
    let widest = widths.iter().copied().max().unwrap_or(0);
    let cap = (0..=widest).rev().find(|&cap| narrowed(cap).sum::<usize>() <= room).unwrap_or(0);
    let narrowed: Vec<usize> = narrowed(cap).collect();
    widths.copy_from_slice(&narrowed);
}

/// Lays out JSON rows as a table in Markdown: columns of numbers to the right. Nothing is cut.
pub(super) fn markdown(rows: &[u8], names: Option<&[String]>) -> String {
    let Grid { header, cells } = Grid::of(rows, names, escaped);
    let is_number = |column: usize| {
        let mut texts =
            cells.iter().filter_map(|line| line.get(column)).filter(|cell| !cell.text.is_empty()).peekable();
        texts.peek().is_some() && texts.all(|cell| cell.kind == CellKind::Number)
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<&str> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut out = line(&mut header.iter().map(String::as_str));
    out.push_str(&line(&mut (0..header.len()).map(|column| if is_number(column) { "--:" } else { "---" })));
    for cells in &cells {
        let missing = header.len() - cells.len();
        out.push_str(&line(&mut cells.iter().map(|cell| cell.text.as_str()).chain(std::iter::repeat_n("", missing))));
    }
    out
}

/// What a cell shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CellKind {
    #[default]
    Null,
    Number,
    Other,
}

/// A cell of a table. NULL has no text.
#[derive(Clone, Debug, Default)]
pub(super) struct GridCell {
    pub(super) text: String,
    pub(super) kind: CellKind,
}

/// The cells of a table.
pub(super) struct Grid {
    pub(super) header: Vec<String>,
    /// For each row its cells. Rows may be shorter than the header.
    pub(super) cells: Vec<Vec<GridCell>>,
}

impl Grid {
    /// The cells of JSON rows, with their texts as `show` has them.
    pub(super) fn of(rows: &[u8], names: Option<&[String]>, show: fn(&str) -> String) -> Grid {
        let arena = Bump::new();
        let mut header: Vec<String> = names.map(<[String]>::to_vec).unwrap_or_default();
        let mut places: HashMap<String, usize> = header.iter().cloned().zip(0..).collect();
        let mut cells = Vec::new();
        for row in rows.split(|&byte| byte == b'\n').filter(|row| !row.is_empty()) {
            let mut line = vec![GridCell::default(); header.len()];
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
                        line.resize(header.len().max(line.len()), GridCell::default());
                        line[column] = cell(value, &arena, show);
                    }
                }
                _ => {
                    if header.is_empty() {
                        header.push("value".to_owned());
                    }
                    line.resize(header.len(), GridCell::default());
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
        let text = cut(text, width);
        let padding = " ".repeat(width.saturating_sub(text.width()));
        let (before, after) = if right { (padding.as_str(), "") } else { ("", padding.as_str()) };
        out.extend([before, &text, after]);
    }
    out.truncate(out.trim_end().len().max(start));
    out.push('\n');
}

/// The text of a cell, of a number as it is written, and what it is.
fn cell(json: &[u8], arena: &Bump, show: fn(&str) -> String) -> GridCell {
    let value = Value::from_json(json, arena);
    let kind = match value {
        Value::Null => CellKind::Null,
        Value::Int(_) | Value::Wide(_) | Value::Float(_) | Value::Huge(_) => CellKind::Number,
        _ => CellKind::Other,
    };
    let mut bytes = Vec::new();
    match kind {
        CellKind::Null => {}
        CellKind::Number => bytes.extend_from_slice(json.trim_ascii()),
        CellKind::Other => json::to_text(value, &mut bytes),
    }
    GridCell { text: show(&text::lossy(&bytes)), kind }
}

/// A text in at most that many columns of the terminal, with `…` at its end if it is cut.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    Cow::Owned(out)
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
    for c in printable(text).chars() {
        width += c.width().unwrap_or(0);
        if width > MAX_WIDTH {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// A text without what would move the cursor or turn the direction of writing.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character would move the cursor of a terminal, turn the direction of writing, or not be seen at all.
pub fn is_unprintable(c: char) -> bool {
    let unseen = matches!(c, '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}');
    c.is_control() || unseen || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_columns_are_cut_and_numbers_are_not() {
        let rows = b"{\"id\":123456789012,\"name\":\"a rather long name of something\",\"s\":\"ok\"}\n";
        let lines = |width| layout(rows, None, width).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(None)[2], "123456789012  a rather long name of something  ok");
        assert_eq!(lines(Some(30))[2], "123456789012  a rather lo…  ok");
        assert!(lines(Some(30)).iter().all(|line| line.width() <= 30));
        assert_eq!(lines(Some(1))[2], "123456789012  a rat…  ok");
    }

    #[test]
    fn wide_characters_are_cut_whole() {
        assert_eq!(cut("名前名前", 8), "名前名前");
        assert_eq!(cut("名前名前", 7), "名前名…");
        assert_eq!(cut("名前名前", 6), "名前…");
        assert_eq!(cut("ab", 1), "…");
        assert_eq!(cut("ab", 0), "");
    }
}
