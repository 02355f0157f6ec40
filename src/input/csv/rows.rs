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
    let mut maker = Maker { text, columns, delimiter, max_line, out, len: 0, is_long: false, fault: None };
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
        let line = maker.len;
        let end = maker.row(start);
        at = end.next;
        let fault = maker.fault.take();
        let too_long = (end.at - start > max_line).then_some((Reason::TooLong, start + max_line));
        match too_long.or(fault) {
            Some((reason, place)) => {
                maker.len = line;
                made.reject(start..end.at, reason, place.saturating_sub(start));
            }
            None => made.marks.push(Mark { line: line as u32, span: Span { start: start as u32, end: end.at as u32 } }),
        }
    }
    made.len = maker.len;
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

struct Maker<'a> {
    text: &'a [u8],
    columns: &'a Columns,
    delimiter: u8,
    max_line: usize,
    /// The lines, then whatever is there.
    out: Vec<u8>,
    len: usize,
    /// Whether the line is so long that some of it was dropped.
    is_long: bool,
    /// What is wrong with the row, and where.
    fault: Option<(Reason, usize)>,
}

impl Maker<'_> {
    /// Makes a line of the row that begins at `start`, unless it finds a fault.
    #[inline(always)]
    fn row(&mut self, start: usize) -> End {
        let columns = self.columns;
        let line = self.len;
        self.is_long = false;
        let mut at = start;
        for &(from, to) in &columns.ranges {
            self.copy(from, to, line);
            let (end, next) =
                if self.text.get(at) == Some(&b'"') { self.quoted(at, line) } else { self.plain(at, line) };
            if let Some(next) = next {
                if to + STEP < columns.text.len() {
                    self.wrong(Reason::TooFewFields, end);
                    return End { at: end, next };
                }
                if self.is_long || self.len - line >= self.max_line {
                    self.wrong(Reason::TooLong, end);
                }
                self.make_room(line);
                self.out[self.len] = b'}';
                self.out[self.len + 1] = b'\n';
                self.len += 2;
                return End { at: end, next };
            }
            at = end + 1;
        }
        // There are more fields than columns.
        self.wrong(Reason::TooManyFields, at);
        loop {
            self.len = line;
            let (end, next) =
                if self.text.get(at) == Some(&b'"') { self.quoted(at, line) } else { self.plain(at, line) };
            if let Some(next) = next {
                return End { at: end, next };
            }
            at = end + 1;
        }
    }

    /// Copies what stands before a value.
    #[inline(always)]
    fn copy(&mut self, from: usize, to: usize, line: usize) {
        let mut at = from;
        while at < to {
            self.make_room(line);
            self.out[self.len..self.len + STEP].copy_from_slice(&self.columns.text[at..at + STEP]);
            self.len += STEP.min(to - at);
            at += STEP;
        }
    }

    /// Writes the value of a field without quotes. Gives its end, and where the next row begins if this one ends there.
    #[inline(always)]
    fn plain(&mut self, start: usize, line: usize) -> (usize, Option<usize>) {
        let is_numeric = matches!(self.text.get(start), Some(b'0'..=b'9' | b'-'));
        let mut first = self.len;
        self.len += usize::from(!is_numeric);
        let mut at = start;
        let next = loop {
            // A line that grows too long starts again at its beginning.
            self.make_room(line);
            first = first.min(self.len);
            let word = self.load(at);
            self.out[self.len..self.len + WORD].copy_from_slice(&word.to_le_bytes());
            let stops = controls(word) | equals(word, b'"') | equals(word, b'\\') | equals(word, self.delimiter);
            let passed = (stops.trailing_zeros() / 8) as usize;
            self.len += passed;
            at += passed;
            if stops == 0 {
                continue;
            }
            let byte = (word >> (8 * passed)) as u8;
            if byte == self.delimiter && at < self.text.len() {
                break None;
            }
            match row_end(self.text, at) {
                Some(next) => break Some(next),
                None => self.escape(byte),
            }
            at += 1;
        };
        let field = &self.text[start..at];
        if is_numeric {
            if !is_number(field) {
                self.make_room(line);
                first = first.min(self.len);
                self.out.copy_within(first..self.len, first + 1);
                self.out[first] = b'"';
                self.out[self.len + 1] = b'"';
                self.len += 2;
            }
        } else {
            match field {
                b"" => self.literal(first, b"null"),
                b"true" | b"false" => self.literal(first, field),
                _ => {
                    self.out[first] = b'"';
                    self.out[self.len] = b'"';
                    self.len += 1;
                }
            }
        }
        (at, next)
    }

    /// Writes the value of a quoted field. Gives its end, and where the next row begins if this one ends there.
    #[inline(always)]
    fn quoted(&mut self, start: usize, line: usize) -> (usize, Option<usize>) {
        self.make_room(line);
        self.out[self.len] = b'"';
        self.len += 1;
        let mut at = start + 1;
        loop {
            self.make_room(line);
            let word = self.load(at);
            self.out[self.len..self.len + WORD].copy_from_slice(&word.to_le_bytes());
            let stops = controls(word) | equals(word, b'"') | equals(word, b'\\');
            let passed = (stops.trailing_zeros() / 8) as usize;
            self.len += passed;
            at += passed;
            if stops == 0 {
                continue;
            }
            match (self.text.get(at), self.text.get(at + 1)) {
                (Some(b'"'), Some(b'"')) => {
                    self.escape(b'"');
                    at += 2;
                }
                (Some(b'"'), _) => break,
                (Some(&byte), _) => {
                    self.escape(byte);
                    at += 1;
                }
                (None, _) => return self.unsplit(Reason::UnterminatedQuote, start),
            }
        }
        self.out[self.len] = b'"';
        self.len += 1;
        at += 1;
        match row_end(self.text, at) {
            None if self.text.get(at) != Some(&self.delimiter) => self.unsplit(Reason::TextAfterQuote, at),
            next => (at, next),
        }
    }

    /// A wrong quote that the splitter would have told of.
    #[cold]
    fn unsplit(&mut self, reason: Reason, at: usize) -> (usize, Option<usize>) {
        debug_assert!(false, "the splitter tells what quotes are wrong");
        self.wrong(reason, at);
        let end = line_end(self.text, at);
        (end.at, Some(end.next))
    }

    fn wrong(&mut self, reason: Reason, at: usize) {
        self.fault.get_or_insert((reason, at));
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

    /// Writes a literal in place of what was written from `first` on.
    #[inline(always)]
    fn literal(&mut self, first: usize, literal: &[u8]) {
        self.out[first..first + literal.len()].copy_from_slice(literal);
        self.len = first + literal.len();
    }

    /// Writes a byte that cannot stand in a JSON string.
    #[cold]
    #[inline(never)]
    fn escape(&mut self, byte: u8) {
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
        self.out[self.len..self.len + escaped.len()].copy_from_slice(escaped);
        self.len += escaped.len();
    }

    /// Makes room for the next step.
    #[inline(always)]
    fn make_room(&mut self, line: usize) {
        if self.out.len() - self.len < ROOM {
            self.grow(line);
        }
    }

    /// Makes room, or forgets the line if it is too long already, whatever becomes of its last field.
    #[cold]
    fn grow(&mut self, line: usize) {
        if self.len - line > self.max_line + ROOM {
            self.is_long = true;
            self.len = line;
        }
        if self.out.len() - self.len < ROOM {
            self.out.resize(self.out.len() * 2 + ROOM, 0);
        }
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
