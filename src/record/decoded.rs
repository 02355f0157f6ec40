//! The strings of a record that have escapes, decoded.
//!
//! Callers borrow decoded text from a record that they share. So all strings with escapes are decoded when the first of
//! them is read, and then stay: reading needs no lock, and the memory is bounded by the record's length, however often
//! something is read.

use std::ops::Range;

use bumpalo::Bump;
use memchr::{memchr, memchr2};

use crate::value::text;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    bytes: Vec<u8>,
    /// In the order of their places.
    strings: Vec<Decode>,
}

/// A decoded string.
#[derive(Debug)]
struct Decode {
    /// Where its body begins in the record's text.
    at: usize,
    exact: Range<usize>,
    /// The same with U+FFFD for lone surrogates.
    unicode: Range<usize>,
}

impl Decoded {
    /// Decodes the strings of a valid record.
    pub(super) fn new(record: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        let mut arena = Bump::new();
        let mut at = 0;
        // Outside of strings JSON has no quotes.
        while let Some(quote) = memchr(b'"', &record[at..]) {
            let start = at + quote + 1;
            let (end, escaped) = end_of_string(record, start);
            if escaped {
                decoded.push(start, text::unescape(&record[start..end], &arena));
                arena.reset();
            }
            at = (end + 1).min(record.len());
        }
        decoded
    }

    fn push(&mut self, at: usize, exact: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(exact);
        let exact_range = start..self.bytes.len();
        let unicode = match text::lossy(exact) {
            std::borrow::Cow::Borrowed(_) => exact_range.clone(),
            std::borrow::Cow::Owned(unicode) => {
                self.bytes.extend_from_slice(unicode.as_bytes());
                exact_range.end..self.bytes.len()
            }
        };
        self.strings.push(Decode { at, exact: exact_range, unicode });
    }

    /// The string whose body begins at a place, exactly and as Unicode.
    pub(super) fn get(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let found = self.strings.binary_search_by_key(&at, |string| string.at).ok()?;
        let Decode { exact, unicode, .. } = &self.strings[found];
        Some((&self.bytes[exact.clone()], &self.bytes[unicode.clone()]))
    }
}

/// Where the body of a string that begins at `start` ends, and whether it has an escape.
fn end_of_string(record: &[u8], start: usize) -> (usize, bool) {
    let mut end = start;
    let mut escaped = false;
    while let Some(found) = record.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        end += found;
        if record[end] == b'"' {
            return (end, escaped);
        }
        escaped = true;
        end += 2;
    }
    (record.len(), escaped)
}
