//! CSV and TSV, made into JSON Lines.
//!
//! # The grammar
//! That of RFC 4180, with `\n` or `\r\n` at the end of rows. A field that begins with a quote is quoted: it ends with the
//! next quote that is not doubled, and delimiters and newlines in it are its own. Any other field ends before the next
//! delimiter or newline, and a quote in it is a character like any other. Empty lines are skipped.
//!
//! # What a wrong quote costs
//! A quoted field that does not close, or is followed by something else than a delimiter or the end of the row, is a
//! fault of the row's first line alone: the next row begins on the next line. So a stray quote does not swallow what
//! follows it. A row that is well quoted and has a wrong number of fields is rejected as a whole.
//!
//! # Who does what
//! The reading thread finds where rows end (`split.rs`), for which only quotes and newlines are looked at. The workers
//! make the rows of a block into lines (`rows.rs`), so that this is done on all cores. What the splitter found wrong goes
//! along with the block; a worker could not tell, as it does not see what follows.
//!
//! Crates for CSV do not tell whether a field was quoted, where a row began, or what it looked like, and go on after a
//! wrong quote with whatever follows it.

mod rows;
mod split;

use std::collections::{HashMap, HashSet};

pub(super) use rows::make;
pub(super) use split::Splitter;

use crate::scan::Reason;
use crate::value::text::write_string;

/// How many bytes are copied at a time.
const STEP: usize = 16;

/// A row that the splitter found to be wrong. It is taken to end with its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// Where it begins in its block.
    pub(super) start: usize,
    pub(super) reason: Reason,
    /// The byte of the row where that was found.
    pub(super) at: usize,
}

/// The names of the columns, as they are written before the values.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// What stands before the value of each column: a brace or comma, the key and the colon; then a step of padding.
    text: Vec<u8>,
    /// For each column where that begins and ends.
    ranges: Vec<(usize, usize)>,
}

impl Columns {
    /// Columns of these names, changed where they are empty or repeat an earlier one, as DuckDB does it: an empty one
    /// is named by its place, and to others is added `_1`, or the next number that makes them unique.
    fn new(names: &[Vec<u8>]) -> Columns {
        let width = (names.len().max(1) - 1).to_string().len();
        let mut used = HashSet::new();
        let mut repeats: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut columns = Columns::default();
        for (number, name) in names.iter().enumerate() {
            let base = if name.is_empty() { format!("column{number:0width$}").into_bytes() } else { name.clone() };
            let mut unique = base.clone();
            while used.contains(&unique) {
                let next = repeats.entry(base.clone()).or_default();
                *next += 1;
                unique = [&base[..], b"_", next.to_string().as_bytes()].concat();
            }
            let start = columns.text.len();
            columns.text.push(if number == 0 { b'{' } else { b',' });
            write_string(&unique, &mut columns.text);
            columns.text.push(b':');
            columns.ranges.push((start, columns.text.len()));
            used.insert(unique);
        }
        columns.text.extend_from_slice(&[0; STEP]);
        columns
    }

    /// Columns that are named by their places.
    fn unnamed(count: usize) -> Columns {
        Columns::new(&vec![Vec::new(); count])
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// About how many bytes a row takes in addition to its fields.
    fn overhead(&self) -> usize {
        self.text.len() + 2 * self.ranges.len()
    }
}

/// The number of fields of a well-quoted row, without its line end.
pub(super) fn count_fields(row: &[u8], delimiter: u8) -> usize {
    let (mut count, mut rest) = (1, row);
    loop {
        if let Some(mut quoted) = rest.strip_prefix(b"\"") {
            rest = loop {
                let end = memchr::memchr(b'"', quoted).unwrap_or(quoted.len());
                quoted = quoted.get(end + 1..).unwrap_or_default();
                let Some(more) = quoted.strip_prefix(b"\"") else { break quoted };
                quoted = more;
            };
        }
        match memchr::memchr(delimiter, rest) {
            Some(end) => rest = &rest[end + 1..],
            None => return count,
        }
        count += 1;
    }
}

/// The fields of a well-quoted row, without its line end.
fn fields(row: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let mut fields = Vec::new();
    let mut rest = row;
    loop {
        let mut field = Vec::new();
        if let Some(mut quoted) = rest.strip_prefix(b"\"") {
            loop {
                let end = memchr::memchr(b'"', quoted).unwrap_or(quoted.len());
                field.extend_from_slice(&quoted[..end]);
                quoted = quoted.get(end + 1..).unwrap_or_default();
                let Some(more) = quoted.strip_prefix(b"\"") else { break };
                field.push(b'"');
                quoted = more;
            }
            rest = quoted;
        }
        let end = memchr::memchr(delimiter, rest).unwrap_or(rest.len());
        field.extend_from_slice(&rest[..end]);
        fields.push(field);
        match rest.get(end + 1..) {
            Some(more) => rest = more,
            None => return fields,
        }
    }
}

/// A row without its line end.
fn without_end(row: &[u8]) -> &[u8] {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.strip_suffix(b"\r").unwrap_or(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(names: &[&str]) -> String {
        let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let text = Columns::new(&names).text;
        String::from_utf8_lossy(&text[..text.len() - STEP]).into_owned()
    }

    #[test]
    fn fields_are_counted_as_they_are_found() {
        for row in ["", ",", "a", "a,b,", "\"a,\"\"b\",c", "\"\",\"\"", "a\"b,c\"", "\"a\nb\",\",\",,", "\"open,"] {
            assert_eq!(count_fields(row.as_bytes(), b','), fields(row.as_bytes(), b',').len(), "{row}");
        }
    }

    #[test]
    fn names_are_made_unique() {
        assert_eq!(text(&["a", "b"]), r#"{"a":,"b":"#);
        assert_eq!(text(&["a", "a", "", "b", "A", "a_1", "a"]), r#"{"a":,"a_1":,"column2":,"b":,"A":,"a_1_1":,"a_2":"#);
        assert_eq!(text(&["a\"b", "é\n"]), r#"{"a\"b":,"é\n":"#);
    }

    #[test]
    fn numbers_of_columns_are_padded() {
        assert_eq!(text(&[""; 2]), r#"{"column0":,"column1":"#);
        assert!(text(&[""; 10]).ends_with(r#""column9":"#));
        assert!(text(&[""; 11]).starts_with(r#"{"column00":"#));
    }
}
