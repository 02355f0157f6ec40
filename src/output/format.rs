//! Formats: how rows become bytes.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Frame, Vector};
use crate::scan::{Cell, Kind, Span};
use crate::value::{Value, json, push_few, text};

/// A format of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON value on each line.
    #[default]
    Jsonl,
    /// One JSON array of all rows.
    Json,
    /// Comma-separated values (RFC 4180) with a header.
    Csv,
    /// Tab-separated values with a header.
    Tsv,
    /// A table for people.
    Table,
    /// A table in Markdown.
    Markdown,
    /// Bars or lines, for people.
    Chart,
}

impl Format {
    /// All formats, by name.
    pub const ALL: [(&str, Format); 7] = [
        ("jsonl", Format::Jsonl),
        ("json", Format::Json),
        ("csv", Format::Csv),
        ("tsv", Format::Tsv),
        ("table", Format::Table),
        ("markdown", Format::Markdown),
        ("chart", Format::Chart),
    ];

    /// The delimiter of a format that has one.
    pub(super) fn delimiter(self) -> Option<u8> {
        match self {
            Format::Csv => Some(b','),
            Format::Tsv => Some(b'\t'),
            Format::Jsonl | Format::Json | Format::Table | Format::Markdown | Format::Chart => None,
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Format> {
        Format::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            let names = Format::ALL.map(|(name, _)| name).join(", ");
            Error::new(ErrorKind::Usage, format!("`{name}` is not a format")).hint(format!("the formats are {names}"))
        })
    }
}

/// Rows in their format, one after another, each with its line end.
#[derive(Debug, Default)]
pub struct Rows {
    /// The bytes of all rows.
    pub bytes: Vec<u8>,
    /// For each row the end of its bytes.
    pub ends: Vec<usize>,
}

impl Rows {
    /// Drops all rows.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of one row, line end included.
    pub fn row(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// The bytes of some of the rows.
    pub fn range(&self, range: std::ops::Range<usize>) -> &[u8] {
        let at = |row: usize| if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[at(range.start)..at(range.end)]
    }

    /// Appends a row that has its line end.
    pub fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.end_row();
    }

    /// Appends lines of a block, without their line ends, as rows. Those that stand one after the other are copied in one piece.
    pub fn push_lines(&mut self, block: &[u8], lines: impl Iterator<Item = Span>) {
        // What is not copied yet.
        let mut piece = 0..0;
        for line in lines {
            let (start, end) = (line.start as usize, line.end as usize);
            if start != piece.end {
                self.bytes.extend_from_slice(&block[piece]);
                piece = start..start;
            }
            if block.get(end) == Some(&b'\n') {
                piece.end = end + 1;
            } else {
                self.bytes.extend_from_slice(&block[piece.start..end]);
                self.bytes.push(b'\n');
                piece = end..end;
            }
            self.ends.push(self.bytes.len() + piece.len());
        }
        self.bytes.extend_from_slice(&block[piece]);
    }

    /// Says that the bytes so far end with a row.
    pub fn end_row(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// One column of rows to be written.
pub enum Column<'a> {
    /// Cells of records, which are written as they stand.
    Cells {
        /// The bytes that the cells cover.
        block: &'a [u8],
        /// A cell for every row of the batch.
        cells: &'a [Cell],
    },
    /// JSON texts, one for each row that is written, which are written as they stand too; `None` is NULL.
    Texts(Vec<Option<&'a [u8]>>),
    /// Values, one for each row that is written.
    Values(Vector<'a>),
}

impl<'a> Column<'a> {
    /// Appends the JSON of one row's value; `place` is the row's place among those that are written.
    #[inline(always)]
    pub fn json(&self, place: usize, row: u32, out: &mut Vec<u8>) {
        match self {
            Column::Cells { block, cells } => push_few(cells[row as usize].json(block), out),
            Column::Texts(texts) => out.extend_from_slice(texts[place].unwrap_or(b"null")),
            Column::Values(Vector::Values(values)) => json::write_json(values[place], out),
            Column::Values(vector) => json::write_json(vector.get(place), out),
        }
    }

    /// Whether it is a field that the record does not have.
    pub fn is_missing(&self, row: u32) -> bool {
        match self {
            Column::Cells { cells, .. } => cells[row as usize].kind() == Kind::Missing,
            Column::Texts(_) | Column::Values(_) => false,
        }
    }

    fn text(&self, place: usize, row: u32, frame: &Frame<'a>, out: &mut Vec<u8>) {
        let value = match self {
            Column::Values(vector) => vector.get(place),
            Column::Texts(texts) => match texts[place].map(|text| (text, Value::from_json(text, frame.arena))) {
                Some((text, Value::Int(_) | Value::Float(_) | Value::Wide(_))) => return out.extend_from_slice(text),
                other => other.map_or(Value::Null, |(_, value)| value),
            },
            Column::Cells { block, cells } => {
                let cell = cells[row as usize];
                match cell.kind() {
                    Kind::Missing | Kind::Null => Value::Null,
                    Kind::Escaped => Value::Text(text::unescape(cell.bytes(block), frame.arena)),
                    _ => return out.extend_from_slice(cell.bytes(block)),
                }
            }
        };
        match value {
            Value::Null => {}
            Value::Text(bytes) => out.extend_from_slice(text::lossy(bytes).as_bytes()),
            value => json::to_text(value, out),
        }
    }
}

/// Writes the rows of one output.
#[derive(Clone, Debug)]
pub struct RowFormat {
    delimiter: Option<u8>,
    /// For each column what stands before its value in a JSON row: `{"first":`, `,"second":`.
    prefixes: Vec<Vec<u8>>,
}

impl RowFormat {
    /// How rows of these columns are written.
    pub fn new(format: Format, names: &[String]) -> RowFormat {
        let prefix = |(i, name): (usize, &String)| {
            let mut prefix = vec![if i == 0 { b'{' } else { b',' }];
            text::write_string(name.as_bytes(), &mut prefix);
            prefix.push(b':');
            prefix
        };
        RowFormat { delimiter: format.delimiter(), prefixes: names.iter().enumerate().map(prefix).collect() }
    }

    /// Appends the rows `rows` of a frame.
    pub fn write<'a>(&self, columns: &[Column<'a>], rows: &[u32], frame: &Frame<'a>, out: &mut Rows) {
        match self.delimiter {
            None => self.write_json(columns, rows, out),
            Some(delimiter) => write_delimited(delimiter, columns, rows, frame, out),
        }
    }

    fn write_json(&self, columns: &[Column], rows: &[u32], out: &mut Rows) {
        for (place, &row) in rows.iter().enumerate() {
            if columns.is_empty() {
                out.bytes.push(b'{');
            }
            for (prefix, column) in self.prefixes.iter().zip(columns) {
                push_few(prefix, &mut out.bytes);
                column.json(place, row, &mut out.bytes);
            }
            out.bytes.extend_from_slice(b"}\n");
            out.end_row();
        }
    }
}

fn write_delimited<'a>(delimiter: u8, columns: &[Column<'a>], rows: &[u32], frame: &Frame<'a>, out: &mut Rows) {
    let mut writer = csv_core::WriterBuilder::new().delimiter(delimiter).build();
    let mut cell = Vec::new();
    for (place, &row) in rows.iter().enumerate() {
        for (i, column) in columns.iter().enumerate() {
            cell.clear();
            column.text(place, row, frame, &mut cell);
            if i > 0 {
                delimited(&mut out.bytes, |buffer| writer.delimiter(buffer));
            }
            delimited_field(&mut writer, &cell, &mut out.bytes);
        }
        delimited(&mut out.bytes, |buffer| writer.terminator(buffer));
        out.end_row();
    }
}

/// One field, quoted where needed. The most that a field can take is every byte doubled, and its quotes.
pub(super) fn delimited_field(writer: &mut csv_core::Writer, field: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + field.len() * 2 + 2, 0);
    let (_, _, written) = writer.field(field, &mut out[start..]);
    out.truncate(start + written);
}

/// A delimiter or a line end: at most a few bytes.
pub(super) fn delimited(out: &mut Vec<u8>, write: impl FnOnce(&mut [u8]) -> (csv_core::WriteResult, usize)) {
    let start = out.len();
    out.resize(start + 8, 0);
    let (_, written) = write(&mut out[start..]);
    out.truncate(start + written);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_copied_as_one_by_one(
            lines in proptest::collection::vec(("[a-c]{0,5}", 0..3_usize), 0..20),
            taken in proptest::collection::vec(any::<bool>(), 20),
            is_ended in any::<bool>(),
        ) {
            let (mut block, mut spans) = (Vec::new(), Vec::new());
            for (line, end) in &lines {
                let start = block.len() as u32;
                block.extend_from_slice(line.as_bytes());
                spans.push(Span { start, end: block.len() as u32 });
                block.extend_from_slice(["\n", "\r\n", "\n\n"][*end].as_bytes());
            }
            if !is_ended && let Some(last) = spans.last() {
                block.truncate(last.end as usize);
            }
            let wanted: Vec<Span> = spans.iter().zip(taken).filter(|(_, taken)| *taken).map(|(span, _)| *span).collect();
            let (mut pieces, mut one_by_one) = (Rows::default(), Rows::default());
            pieces.push(b"before\n");
            one_by_one.push(b"before\n");
            pieces.push_lines(&block, wanted.iter().copied());
            for span in wanted {
                one_by_one.push(&[span.of(&block), b"\n"].concat());
            }
            prop_assert_eq!((pieces.bytes, pieces.ends), (one_by_one.bytes, one_by_one.ends));
        }
    }
}
