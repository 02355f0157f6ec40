//! Lines that are made of a block's bytes by the worker that has it.

use std::sync::Arc;

use memchr::{memchr, memchr_iter};

use super::csv::{self, Bad, Columns};
use crate::scan::{Mark, Reason, Reject, Span};

/// What a block's bytes are, if they are not lines themselves.
#[derive(Debug)]
pub(super) enum Recipe {
    /// Rows of fields.
    Rows {
        columns: Arc<Columns>,
        delimiter: u8,
        /// Where the first row begins.
        skip: usize,
        bad: Vec<Bad>,
    },
    /// JSON values among other things.
    Elements(Vec<Element>),
}

/// A JSON value that need not be on a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Where it is.
    pub(super) span: Span,
    /// Why it is no record, whatever it says.
    pub(super) fault: Option<Reason>,
    /// Whether a newline stands in a string of it.
    pub(super) is_broken: bool,
}

/// JSON Lines that were made.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The lines, then whatever is there.
    pub(super) bytes: Vec<u8>,
    /// The length of the lines.
    pub(super) len: usize,
    /// Where each line stood.
    pub(super) marks: Vec<Mark>,
    /// What was not made into a line. The spans are those of the original.
    pub(super) rejects: Vec<Reject>,
}

impl Made {
    /// Forgets all, and gives memory back that is much more than `capacity`.
    pub(super) fn clear(&mut self, capacity: usize) {
        if self.bytes.capacity() > capacity.saturating_mul(4) {
            self.bytes = Vec::new();
        }
        self.len = 0;
        self.marks.clear();
        self.rejects.clear();
    }

    /// Makes lines of a text.
    pub(super) fn make(&mut self, text: &[u8], recipe: &Recipe, max_line: usize) {
        match recipe {
            Recipe::Rows { columns, delimiter, skip, bad } => {
                csv::make(text, (columns, *delimiter), *skip, bad, max_line, self);
            }
            Recipe::Elements(elements) => self.copy(text, elements),
        }
    }

    /// Makes a line of each element: newlines between its tokens become spaces. One in a string, which JSON does not
    /// have, becomes another control character, for which the scanner rejects the line.
    fn copy(&mut self, text: &[u8], elements: &[Element]) {
        self.bytes.clear();
        for element in elements {
            let span = element.span;
            if let Some(reason) = element.fault {
                self.rejects.push(Reject { line: 0, span, reason, at: 0 });
                continue;
            }
            let start = self.bytes.len();
            self.marks.push(Mark { line: start as u32, span });
            self.bytes.extend_from_slice(span.of(text));
            let line = &mut self.bytes[start..];
            if element.is_broken {
                break_strings(line);
            }
            let mut at = 0;
            while let Some(newline) = line.get(at..).and_then(|rest| memchr(b'\n', rest)) {
                line[at + newline] = b' ';
                at += newline + 1;
            }
            self.bytes.push(b'\n');
        }
        self.len = self.bytes.len();
    }
}

/// Puts other control characters where newlines stand in strings. Such a newline ends the string.
fn break_strings(line: &mut [u8]) {
    const VERTICAL_TAB: u8 = 0x0b;
    let mut in_string = false;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string && line.get(at + 1) != Some(&b'\n') => at += 1,
            b'\n' if in_string => {
                line[at] = VERTICAL_TAB;
                in_string = false;
            }
            _ => {}
        }
        at += 1;
    }
}

/// The number of newlines in a text.
pub(super) fn newlines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}
