//! Rows into lines.
//!
//! A field is copied eight bytes at a time while its end is looked for, so that a short one is one load and one store.
//! What is stored beyond its end is overwritten by what comes next.

use memchr::memchr;

use super::{Bad, Columns, STEP};
use crate::input::made::Made;
use crate::scan::{Mark, Reason, Reject, Span};

/// The bytes that are looked at together.
const WORD: usize = 8;
/// The room that a step of any kind needs.
const ROOM: usize = 64;

/// Makes lines of the rows of a block, from `skip` on. Rows are rejected that `bad` says are wrong, that have a wrong
/// number of fields, or that are longer than `max_line`, as they are or as lines.
pub(in crate::input) fn make(
    text: &[u8],
    (columns, delimiter): (&Columns, u8),
    skip: usize,
    bad: &[Bad],
    max_line: usize,
    made: &mut Made,
) {
    // What is in there is written over.
    let mut out = std::mem::take(&mut made.bytes);
    let room = out.len().max(text.len().saturating_mul(2) + ROOM);
    out.resize(room, 0);
    let mut maker = Maker { text, columns, delimiter, max_line, out, line: 0, is_long: false };
    let mut bad = bad.iter().peekable();
    let mut at = skip;
    while at < text.len() {
        let start = at;
        if let Some(bad) = bad.next_if(|bad| bad.start == start) {
            let end = line_end(text, start);
            at = end.next;
            made.reject(start..end.at, bad.reason, bad.at);
            continue;
        }
        if let Some(next) = row_end(text, start) {
            at = next;
            continue;
        }
        let line = maker.line;
        let (end, result) = maker.row(start);
        at = end.next;
        let span = Span { start: start as u32, end: end.at as u32 };
        match result {
            _ if end.at - start > max_line => made.reject(start..end.at, Reason::TooLong, max_line),
            Err((reason, place)) => made.reject(start..end.at, reason, place.saturating_sub(start)),
            Ok(next) => {
                made.marks.push(Mark { line: line as u32, span });
                maker.line = next;
            }
        }
    }
    made.len = maker.line;
    made.bytes = maker.out;
}

/// Where a row ends, and where the next one begins.
struct End {
    at: usize,
    next: usize,
}

/// The end of the line that begins at `start`.
fn line_end(text: &[u8], start: usize) -> End {
    let newline = memchr(b'\n', &text[start..]).map(|newline| start + newline);
    let at = newline.unwrap_or(text.len());
    let at = if at > start && text[at - 1] == b'\r' { at - 1 } else { at };
    End { at, next: newline.map_or(text.len(), |newline| newline + 1) }
}

/// Where the next row begins if one ends at `at`.
#[inline(always)]
fn row_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at) {
        None => Some(at),
        Some(b'\n') => Some(at + 1),
        Some(b'\r') => match text.get(at + 1) {
            None => Some(at + 1),
            Some(b'\n') => Some(at + 2),
            Some(_) => None,
        },
        Some(_) => None,
    }
}

/// The length of what is written is handed from step to step, so that it can stay in a register.
struct Maker<'a> {
    text: &'a [u8],
    columns: &'a Columns,
    delimiter: u8,
    max_line: usize,
    /// The lines, then whatever is there.
    out: Vec<u8>,
    /// Where the line in progress begins.
    line: usize,
    /// Whether the line is so long that some of it was dropped.
    is_long: bool,
}

/// A value that was written.
struct Written {
    /// The length of all that is written.
    len: usize,
    /// Where the field ends.
    end: usize,
    /// Where the next row begins, if this one ends with the field.
    next: Option<usize>,
    /// Whether there is something wrong with its quotes.
    fault: Option<Reason>,
}

impl Maker<'_> {
    /// Makes a line of the row that begins at `start`. Gives the length of all lines, or what is wrong with the row and
    /// where.
    #[inline(always)]
    fn row(&mut self, start: usize) -> (End, Result<usize, (Reason, usize)>) {
        let columns = self.columns;
        self.is_long = false;
        let mut len = self.line;
        let mut at = start;
        for &(from, to) in &columns.ranges {
            len = self.copy(from, to, len);
            let written = self.field(at, len);
            len = written.len;
            let Some(next) = written.next else {
                at = written.end + 1;
                continue;
            };
            let end = End { at: written.end, next };
            let result = if let Some(reason) = written.fault {
                Err((reason, at))
            } else if to + STEP < columns.text.len() {
                Err((Reason::TooFewFields, end.at))
            } else if self.is_long || len - self.line >= self.max_line {
                Err((Reason::TooLong, end.at))
            } else {
                len = self.make_room(len);
                self.out[len..len + 2].copy_from_slice(b"}\n");
                Ok(len + 2)
            };
            return (end, result);
        }
        let surplus = at;
        loop {
            let written = self.field(at, self.line);
            if let Some(next) = written.next {
                return (End { at: written.end, next }, Err((Reason::TooManyFields, surplus)));
            }
            at = written.end + 1;
        }
    }

    /// Copies what stands before a value.
    #[inline(always)]
    fn copy(&mut self, from: usize, to: usize, mut len: usize) -> usize {
        let mut at = from;
        while at < to {
            len = self.make_room(len);
            self.out[len..len + STEP].copy_from_slice(&self.columns.text[at..at + STEP]);
            len += STEP.min(to - at);
            at += STEP;
        }
        len
    }

    /// Writes the value of the field that begins at `start`.
    #[inline(always)]
    fn field(&mut self, start: usize, len: usize) -> Written {
        if self.text.get(start) == Some(&b'"') { self.quoted(start, len) } else { self.plain(start, len) }
    }

    /// Writes the value of a field without quotes.
    #[inline(always)]
    fn plain(&mut self, start: usize, len: usize) -> Written {
        let mut len = self.make_room(len);
        let mut word = self.load(start);
        let is_numeric = matches!(word as u8, b'0'..=b'9' | b'-');
        // What looks like a date is not written as a number first.
        let is_quoted = !is_numeric || equals(word >> 8, b'-') != 0;
        let mut first = len;
        len += usize::from(is_quoted);
        let mut at = start;
        let next = loop {
            self.out[len..len + WORD].copy_from_slice(&word.to_le_bytes());
            let stops = controls(word) | equals(word, b'"') | equals(word, b'\\') | equals(word, self.delimiter);
            let passed = (stops.trailing_zeros() / 8) as usize;
            len += passed;
            at += passed;
            if stops != 0 {
                let byte = (word >> (8 * passed)) as u8;
                if byte == self.delimiter && at < self.text.len() {
                    break None;
                }
                if let Some(next) = row_end(self.text, at) {
                    break Some(next);
                }
                len = self.escape(byte, len);
                at += 1;
            }
            // A line that grows too long starts again at its beginning.
            len = self.make_room(len);
            first = first.min(len);
            word = self.load(at);
        };
        if self.is_long {
            return Written { len: self.line, end: at, next, fault: None };
        }
        let field = &self.text[start..at];
        let is_literal = match field {
            [] => {
                self.out[first..first + 4].copy_from_slice(b"null");
                return Written { len: first + 4, end: at, next, fault: None };
            }
            [b't' | b'f', ..] => matches!(field, b"true" | b"false"),
            _ => is_numeric && is_number(field),
        };
        match (is_literal, is_quoted) {
            (true, false) => {}
            (true, true) => {
                self.out[first..first + field.len()].copy_from_slice(field);
                len = first + field.len();
            }
            (false, quoted) => {
                if !quoted {
                    self.out.copy_within(first..len, first + 1);
                    len += 1;
                }
                self.out[first] = b'"';
                self.out[len] = b'"';
                len += 1;
            }
        }
        Written { len, end: at, next, fault: None }
    }

    /// Writes the value of a quoted field.
    #[inline(always)]
    fn quoted(&mut self, start: usize, len: usize) -> Written {
        let mut len = self.make_room(len);
        self.out[len] = b'"';
        len += 1;
        let mut at = start + 1;
        loop {
            len = self.make_room(len);
            let word = self.load(at);
            self.out[len..len + WORD].copy_from_slice(&word.to_le_bytes());
            let stops = controls(word) | equals(word, b'"') | equals(word, b'\\');
            let passed = (stops.trailing_zeros() / 8) as usize;
            len += passed;
            at += passed;
            if stops == 0 {
                continue;
            }
            match (self.text.get(at), self.text.get(at + 1)) {
                (Some(b'"'), Some(b'"')) => {
                    len = self.escape(b'"', len);
                    at += 2;
                }
                (Some(b'"'), _) => break,
                (Some(&byte), _) => {
                    len = self.escape(byte, len);
                    at += 1;
                }
                (None, _) => return self.unsplit(Reason::UnterminatedQuote, start, len),
            }
        }
        self.out[len] = b'"';
        at += 1;
        match row_end(self.text, at) {
            None if self.text.get(at) != Some(&self.delimiter) => self.unsplit(Reason::TextAfterQuote, at, len),
            next => Written { len: len + 1, end: at, next, fault: None },
        }
    }

    /// A wrong quote that the splitter would have told of.
    #[cold]
    fn unsplit(&self, reason: Reason, at: usize, len: usize) -> Written {
        debug_assert!(false, "the splitter tells what quotes are wrong");
        let end = line_end(self.text, at);
        Written { len, end: end.at, next: Some(end.next), fault: Some(reason) }
    }

    /// The word at a place of the text, filled up with newlines at its end.
    #[inline(always)]
    fn load(&self, at: usize) -> u64 {
        match self.text.get(at..).and_then(<[u8]>::first_chunk) {
            Some(word) => u64::from_le_bytes(*word),
            None => self.load_last(at),
        }
    }

    #[cold]
    fn load_last(&self, at: usize) -> u64 {
        let mut word = [b'\n'; WORD];
        let rest = self.text.get(at..).unwrap_or_default();
        word[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(word)
    }

    /// Writes a byte that cannot stand in a JSON string.
    #[cold]
    #[inline(never)]
    fn escape(&mut self, byte: u8, len: usize) -> usize {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut long = *b"\\u0000";
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            byte if byte < 0x20 => {
                long[4] = HEX[usize::from(byte >> 4)];
                long[5] = HEX[usize::from(byte & 15)];
                &long
            }
            // A delimiter that stands in a quoted field, say.
            ref byte => std::slice::from_ref(byte),
        };
        self.out[len..len + escaped.len()].copy_from_slice(escaped);
        len + escaped.len()
    }

    /// Makes room for the next step.
    #[inline(always)]
    fn make_room(&mut self, len: usize) -> usize {
        if self.out.len() - len < ROOM { self.grow(len) } else { len }
    }

    /// Makes room, or forgets the line if it is too long already, whatever becomes of its last field.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, mut len: usize) -> usize {
        if len - self.line > self.max_line + ROOM {
            self.is_long = true;
            len = self.line;
        }
        if self.out.len() - len < ROOM {
            self.out.resize(self.out.len() * 2 + ROOM, 0);
        }
        len
    }
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// The high bit of each byte of a word that is a control character, up to the first one: after it, there may be more.
#[inline(always)]
fn controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

/// As [`controls`], of bytes that are this one.
#[inline(always)]
fn equals(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & HIGHS
}

/// Whether a field is a number as JSON has it.
#[inline(always)]
fn is_number(field: &[u8]) -> bool {
    let digits = |rest: &mut &[u8]| {
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *rest = &rest[count..];
        count
    };
    let mut rest = field.strip_prefix(b"-").unwrap_or(field);
    let zero = rest.first() == Some(&b'0');
    match digits(&mut rest) {
        0 => return false,
        1 => {}
        _ if zero => return false,
        _ => {}
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction;
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    rest.is_empty()
}

impl Made {
    fn reject(&mut self, span: std::ops::Range<usize>, reason: Reason, at: usize) {
        let span = Span { start: span.start as u32, end: span.end as u32 };
        let at = u32::try_from(at).unwrap_or(u32::MAX).min(span.end - span.start);
        self.rejects.push(Reject { line: 0, span, reason, at });
    }
}
