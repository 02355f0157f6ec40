//! Rows of cells as bytes, for the time that they are on disk.

use crate::error::{Error, ErrorKind};
use crate::scan::{Cell, Span};
use crate::value::leb128;

/// A row that is made into bytes: a text, and cells that lie in it.
#[derive(Default)]
pub(super) struct Image {
    text: Vec<u8>,
    cells: Vec<Cell>,
}

impl Image {
    /// Begins with a row that has no cells.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell, and a copy of what it covers.
    pub(super) fn push(&mut self, cell: Cell, from: &[u8]) {
        self.cells.push(cell.copied(from, &mut self.text));
    }

    /// Takes the place of all cells: those of a row that they all lie in.
    pub(super) fn set<'r>(&mut self, row: Span, cells: impl Iterator<Item = (Cell, &'r [u8])>) {
        self.clear();
        for (cell, from) in cells {
            if self.text.is_empty() {
                self.text.extend_from_slice(row.of(from));
            }
            let start = cell.span().start.saturating_sub(row.start);
            self.cells.push(if cell == Cell::MISSING { cell } else { cell.moved_to(start) });
        }
    }

    /// Appends the row to some bytes.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        leb128::put_bytes(&self.text, out);
        for cell in &self.cells {
            let bits = cell.bits();
            leb128::put(bits & u64::from(u32::MAX), out);
            if *cell != Cell::MISSING {
                leb128::put(bits >> 32, out);
            }
        }
    }
}

/// Takes a row from the start of some bytes, with as many cells as there are places for. Gives the text that these lie in;
/// [`None`] if that is not what was written.
pub(super) fn take<'i>(bytes: &mut &'i [u8], cells: &mut [Cell]) -> Option<&'i [u8]> {
    let text = leb128::take_bytes(bytes)?;
    for cell in cells {
        *cell = match leb128::take(bytes)? {
            0 => Cell::MISSING,
            low => Cell::from_bits(leb128::take(bytes)? << 32 | low),
        };
        if cell.span().end as usize > text.len() {
            return None;
        }
    }
    Some(text)
}

/// The error of bytes that are no row.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Internal, "a row that was kept on disk cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Kind;

    #[test]
    fn what_was_put_is_taken() {
        let from = br#"{"a":"x","b":[1,2],"c":null}"#;
        let cells = [
            Cell::new(Kind::Text, 6, 1),
            Cell::MISSING,
            Cell::new(Kind::Array, 13, 5),
            Cell::new(Kind::Null, 23, 4),
            Cell::new(Kind::Object, 0, from.len() as u32),
        ];
        let mut out = Vec::new();
        let mut image = Image::default();
        cells.iter().for_each(|&cell| image.push(cell, from));
        image.put(&mut out);
        image.set(Span { start: 0, end: from.len() as u32 }, cells.iter().map(|&cell| (cell, &from[..])));
        image.put(&mut out);
        let mut rest = out.as_slice();
        for _ in 0..2 {
            let mut found = [Cell::MISSING; 5];
            let text = take(&mut rest, &mut found).unwrap();
            for (cell, found) in cells.iter().zip(found) {
                assert_eq!((cell.kind(), cell.json(from)), (found.kind(), found.json(text)));
            }
        }
        assert!(rest.is_empty());
        assert!(take(&mut &out[..out.len() / 2 - 1], &mut [Cell::MISSING; 5]).is_none());
    }
}
