//! Arrays of records, and JSON values one after another: where each value begins and ends, whatever lines it is on.
//!
//! Only brackets and strings are looked at. What a value says is validated later, as that of a line is. All state is
//! that of a machine which takes one byte after the other, so a value may come in any number of pieces.
//!
//! # What a wrong value costs
//! A closing bracket closes the innermost one of its kind, and a newline ends a string, which is wrong there. So most
//! mistakes stay within their value. A value that does not end, before the input does or the longest line is reached, is
//! gone through again: it is taken to end before a line that begins as it does, with the same white space and bracket,
//! or before one with the bracket that ends the array. That is how values are written where each begins on a line of
//! its own. From then on all values are taken to end so.

use memchr::{memchr, memchr3, memrchr};

use super::kind::is_blank;
use super::made::Element;
use crate::scan::{Reason, Span};

/// How many open brackets are told apart. What is nested more deeply is rejected later in any case.
const MOST_BRACKETS: usize = 4096;

/// Finds values in a buffer that is filled bit by bit. All positions are those of the buffer.
pub(super) struct Splitter {
    place: Place,
    /// Whether the values are those of an array.
    in_array: bool,
    due: Due,
    /// What is before was looked at.
    at: usize,
    /// The value in progress.
    value: Value,
    /// The open brackets of the value, then the number of those that are nested too deeply for that.
    brackets: Vec<u8>,
    deeper: u64,
    /// The white space before `at` on its line, if there is nothing else.
    indent: Option<usize>,
    /// Whether values end before a line that begins as they do.
    is_suspicious: bool,
    /// Whether the value in progress is dropped.
    is_skipping: bool,
    /// The values that ended.
    elements: Vec<Element>,
    /// The most of them that a block may have.
    most: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space came yet.
    Begin,
    /// Before a value, or after it.
    Between,
    /// In a number, a literal or something else that is no string, array or object.
    Token,
    /// In an array or object.
    Container,
    /// In a string; in one that is no part of a container if no bracket is open.
    String,
    /// After a backslash in a string.
    Escape,
    /// In the white space at the start of a line, in a container that may end before it.
    LineStart { newline: usize, blanks: usize },
    /// After the end of the array.
    After,
    /// In text that follows it.
    AfterLine,
    /// After the end of the input.
    Ended,
}

/// What comes next in an array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The first value, or the end of the array.
    First,
    Value,
    Comma,
    /// A comma or a value: the one before was wrong.
    Anything,
}

#[derive(Clone, Copy, Default)]
struct Value {
    start: usize,
    first: u8,
    /// The white space before it, if it is the first on its line.
    indent: Option<usize>,
    fault: Option<Reason>,
    is_broken: bool,
    /// Whether it is known to be wrong.
    is_wrong: bool,
}

impl Splitter {
    /// A splitter of a buffer that begins at `start`.
    pub(super) fn new(block: usize, start: usize) -> Splitter {
        Splitter {
            place: Place::Begin,
            in_array: false,
            due: Due::First,
            at: start,
            value: Value::default(),
            brackets: Vec::new(),
            deeper: 0,
            indent: Some(0),
            is_suspicious: false,
            is_skipping: false,
            elements: Vec::new(),
            most: (block / 8).max(1),
        }
    }

    /// Looks at what is new in the buffer. Gives the place up to which a block can be cut. `ended` says that nothing
    /// follows.
    pub(super) fn advance(&mut self, text: &[u8], ended: bool) -> usize {
        let skipped = self.is_skipping;
        while self.elements.len() < self.most && self.is_skipping == skipped {
            if self.at == text.len() {
                if !ended || self.place == Place::Ended {
                    break;
                }
                self.end(text);
            } else {
                self.step(text);
            }
        }
        if self.is_inside() && !self.is_skipping { self.value.start } else { self.at }
    }

    /// The value in progress is longer than is allowed. Says whether there is something to find in it yet.
    pub(super) fn give_up(&mut self) -> bool {
        let retries = self.is_container() && !self.is_suspicious;
        if retries {
            self.go_back();
        }
        retries
    }

    /// Drops the value in progress, and all of the buffer.
    pub(super) fn drop_value(&mut self) {
        self.is_skipping = true;
        self.at = 0;
    }

    /// Drops what follows of the value in progress. Gives where it ends, or as much as there is, and whether it ends.
    pub(super) fn skip(&mut self, text: &[u8]) -> (usize, bool) {
        self.advance(text, false);
        let skipped = std::mem::take(&mut self.at);
        (skipped, !self.is_skipping)
    }

    /// Forgets the buffer up to `end`, and gives the values in it.
    pub(super) fn take(&mut self, end: usize) -> Vec<Element> {
        self.at = self.at.saturating_sub(end);
        self.value.start = self.value.start.saturating_sub(end);
        if let Place::LineStart { newline, .. } = &mut self.place {
            *newline = newline.saturating_sub(end);
        }
        std::mem::take(&mut self.elements)
    }

    /// Whether there are values to be cut off.
    pub(super) fn has_elements(&self) -> bool {
        !self.elements.is_empty()
    }

    /// Whether the end of the input was taken note of.
    pub(super) fn has_ended(&self) -> bool {
        self.place == Place::Ended
    }

    fn is_container(&self) -> bool {
        !self.brackets.is_empty()
            && matches!(self.place, Place::Container | Place::String | Place::Escape | Place::LineStart { .. })
    }

    fn is_inside(&self) -> bool {
        !matches!(self.place, Place::Begin | Place::Between | Place::After | Place::Ended)
    }

    /// Goes on by one byte at least.
    fn step(&mut self, text: &[u8]) {
        let rest = &text[self.at..];
        let byte = rest[0];
        match self.place {
            Place::Begin => match byte {
                byte if is_blank(byte) => self.pass_blank(byte),
                b'[' => {
                    self.in_array = true;
                    self.place = Place::Between;
                    self.indent = None;
                    self.at += 1;
                }
                _ => self.place = Place::Between,
            },
            Place::Between => match byte {
                byte if is_blank(byte) => self.pass_blank(byte),
                b',' if self.in_array => {
                    if matches!(self.due, Due::First | Due::Value) {
                        self.reject(self.at..self.at + 1, Reason::MissingElement);
                    }
                    self.due = Due::Value;
                    self.indent = None;
                    self.at += 1;
                }
                b']' if self.in_array => {
                    if self.due == Due::Value {
                        self.reject(self.at..self.at + 1, Reason::MissingElement);
                    }
                    self.place = Place::After;
                    self.at += 1;
                }
                _ => self.open(byte),
            },
            Place::Token => {
                let stops = |&byte: &u8| is_blank(byte) || b",[]{}\":".contains(&byte);
                let found = rest.iter().position(stops);
                self.at += found.unwrap_or(rest.len());
                if found.is_some() {
                    self.close(self.value.start..self.at);
                }
            }
            Place::Container => self.pass_tokens(text),
            Place::String => match memchr3(b'"', b'\\', b'\n', rest) {
                None => self.at = text.len(),
                Some(found) => {
                    self.at += found;
                    match rest[found] {
                        b'\\' => {
                            self.place = Place::Escape;
                            self.at += 1;
                        }
                        byte => {
                            if byte == b'"' {
                                self.at += 1;
                            } else {
                                self.value.is_broken = true;
                                self.value.is_wrong = true;
                            }
                            self.place = Place::Container;
                            if self.brackets.is_empty() {
                                self.close(self.value.start..self.at);
                            }
                        }
                    }
                }
            },
            Place::Escape => {
                self.at += usize::from(byte != b'\n');
                self.place = Place::String;
            }
            Place::LineStart { newline, blanks } => self.start_line(text, newline, blanks),
            Place::After if is_blank(byte) => self.at += 1,
            Place::After => {
                self.value = Value { start: self.at, fault: Some(Reason::AfterArray), ..Value::default() };
                self.place = Place::AfterLine;
            }
            Place::AfterLine => match memchr(b'\n', rest) {
                None => self.at = text.len(),
                Some(newline) => {
                    self.at += newline;
                    self.close(self.value.start..trimmed(text, self.at));
                    self.place = Place::After;
                }
            },
            Place::Ended => self.at = text.len(),
        }
    }

    fn pass_blank(&mut self, byte: u8) {
        self.indent = if byte == b'\n' { Some(0) } else { self.indent.map(|indent| indent + 1) };
        self.at += 1;
    }

    /// Begins a value.
    fn open(&mut self, first: u8) {
        let fault = (self.in_array && self.due == Due::Comma).then_some(Reason::MissingComma);
        self.value = Value { start: self.at, first, indent: self.indent, fault, is_broken: false, is_wrong: false };
        self.at += 1;
        self.brackets.clear();
        self.deeper = 0;
        match first {
            b'{' | b'[' => {
                self.brackets.push(first);
                self.place = Place::Container;
            }
            b'"' => self.place = Place::String,
            b',' | b']' | b'}' | b':' => self.close(self.value.start..self.at),
            _ => self.place = Place::Token,
        }
    }

    /// Ends the value in progress.
    fn close(&mut self, span: std::ops::Range<usize>) {
        let Value { fault, is_broken, is_wrong, .. } = self.value;
        if !std::mem::take(&mut self.is_skipping) {
            self.elements.push(Element { span: span_of(span), fault, is_broken });
        }
        self.due = if is_wrong { Due::Anything } else { Due::Comma };
        self.indent = None;
        self.place = Place::Between;
    }

    /// Goes through what is not in strings.
    fn pass_tokens(&mut self, text: &[u8]) {
        let checks_lines = |splitter: &Splitter| {
            splitter.value.indent.is_some() && (splitter.is_suspicious || splitter.value.is_wrong)
        };
        loop {
            let Some(found) = text[self.at..].iter().position(|&byte| IS_STOP[usize::from(byte)]) else {
                self.at = text.len();
                return;
            };
            let at = self.at + found;
            let byte = text[at];
            self.at = at + 1;
            match byte {
                b'"' => {
                    self.place = Place::String;
                    return;
                }
                b'{' | b'[' if self.brackets.len() < MOST_BRACKETS => self.brackets.push(byte),
                b'{' | b'[' => self.deeper += 1,
                b'}' | b']' if self.deeper > 0 => self.deeper -= 1,
                b'}' | b']' => {
                    // In ASCII two bytes lie between the brackets of a kind.
                    let opening = byte - 2;
                    if self.brackets.last() == Some(&opening) {
                        self.brackets.pop();
                    } else {
                        self.value.is_wrong = true;
                        match memrchr(opening, &self.brackets) {
                            Some(depth) => self.brackets.truncate(depth),
                            None => continue,
                        }
                    }
                    if self.brackets.is_empty() {
                        self.close(self.value.start..self.at);
                        return;
                    }
                }
                b'\n' if checks_lines(self) => {
                    self.place = Place::LineStart { newline: at, blanks: 0 };
                    return;
                }
                _ => {}
            }
        }
    }

    /// Looks at the start of a line that may be that of another value.
    fn start_line(&mut self, text: &[u8], newline: usize, blanks: usize) {
        let byte = text[self.at];
        let indent = self.value.indent.unwrap_or_default();
        match byte {
            b'\n' => {
                self.place = Place::LineStart { newline: self.at, blanks: 0 };
                self.at += 1;
            }
            byte if is_blank(byte) && blanks < indent => {
                self.place = Place::LineStart { newline, blanks: blanks + 1 };
                self.at += 1;
            }
            b']' if self.in_array && blanks <= indent => self.close_before(text, newline, blanks),
            byte if byte == self.value.first && blanks == indent => self.close_before(text, newline, blanks),
            _ => self.place = Place::Container,
        }
    }

    /// Ends a value that has no end of its own before a line.
    fn close_before(&mut self, text: &[u8], newline: usize, blanks: usize) {
        self.value.is_wrong = true;
        let before = text[..newline.min(text.len())].trim_ascii_end();
        let end = before.strip_suffix(b",").unwrap_or(before).trim_ascii_end().len();
        self.close(self.value.start..end.max(self.value.start));
        self.indent = Some(blanks);
    }

    /// Goes through the value in progress again.
    fn go_back(&mut self) {
        let Value { start, first, fault, indent, .. } = self.value;
        self.is_suspicious = true;
        self.at = start;
        self.indent = indent;
        self.open(first);
        self.value.fault = fault;
    }

    /// Takes note that the input has ended.
    fn end(&mut self, text: &[u8]) {
        if self.is_container() && !self.is_suspicious && !self.is_skipping {
            self.go_back();
            return;
        }
        let unterminated = self.in_array.then_some(Reason::UnterminatedArray);
        match self.place {
            Place::Begin | Place::After | Place::Ended => {}
            Place::Between => {
                if let Some(reason) = unterminated {
                    self.reject(self.at..self.at, reason);
                }
            }
            Place::AfterLine => self.close(self.value.start..trimmed(text, text.len())),
            _ => {
                let skipped = self.is_skipping;
                self.value.fault = self.value.fault.or(unterminated);
                self.close(self.value.start..trimmed(text, text.len()));
                if let Some(reason) = unterminated.filter(|_| skipped) {
                    self.reject(text.len()..text.len(), reason);
                }
            }
        }
        self.place = Place::Ended;
        self.at = text.len();
    }

    fn reject(&mut self, span: std::ops::Range<usize>, reason: Reason) {
        self.elements.push(Element { span: span_of(span), fault: Some(reason), is_broken: false });
    }
}

/// The bytes that are looked at between strings.
const IS_STOP: [bool; 256] = {
    let mut stops = [false; 256];
    let mut at = 0;
    while at < 6 {
        stops[b"\"{}[]\n"[at] as usize] = true;
        at += 1;
    }
    stops
};

/// The end of what is before `end` but for white space.
fn trimmed(text: &[u8], end: usize) -> usize {
    text.get(..end).map_or(end, |text| text.trim_ascii_end().len())
}

fn span_of(span: std::ops::Range<usize>) -> Span {
    Span { start: span.start as u32, end: span.end as u32 }
}
