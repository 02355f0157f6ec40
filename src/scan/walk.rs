//! The walk: one pass over a block that validates every byte and picks the wanted values.
//!
//! The walk does not search for line ends: a newline is no space, ends a number and may not stand in a string, so it
//! stops at the first one by itself. Only after a fault is the line's end searched. Where the block ends, [`peek`]
//! gives a newline, so that a missing last one makes no difference.
//!
//! It is a loop with a stack of its own, so that the nesting of a record costs no stack of the thread, and
//! all of it is one function into which the kernel inlines. The frame of the container that it is in is in `inside`,
//! those of the outer ones are on the stack.

use super::fields::{Left, fields};
use super::number::number;
use super::rows::Rows;
use super::simd::{Kernel, Task};
use super::string::{decode, string};
use super::trie::{Entry, EntryId, NO_ENTRY, NO_NODE, NodeId, ROOT, Trie};
use super::{Batch, Cell, Kind, Limits, Reason, Reject, Span};

/// What is wrong with a line, and the index in the block where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub reason: Reason,
    pub at: usize,
}

/// The container that the walk is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    container: Container,
    /// Whether it is an object with a node, where keys can be expected.
    expects: bool,
    /// The index of its first byte in the block.
    start: u32,
    /// Where its cell goes.
    slot: u32,
    /// Its node in the trie.
    node: NodeId,
    /// Of an object with a node: the entry of the last key. Of an array: the index of the element.
    last: EntryId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    /// No container: the line.
    Line,
    Object,
    Array,
}

/// The walk through a block.
pub(super) struct Walk<'a> {
    pub block: &'a [u8],
    pub trie: &'a mut Trie,
    pub rows: &'a mut Rows,
    pub stack: &'a mut Vec<Frame>,
    /// A key in its decoded form.
    pub key: &'a mut Vec<u8>,
    pub limits: Limits,
    pub batch: &'a mut Batch,
    /// Whether the line has strings whose encoding is to be validated.
    pub non_ascii: bool,
}

/// The byte at `at`; a newline behind the end.
#[inline(always)]
pub(super) fn peek(block: &[u8], at: usize) -> u8 {
    block.get(at).copied().unwrap_or(b'\n')
}

impl Task for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self, kernel: K) {
        let mut at = 0;
        while at < self.block.len() {
            let start = at;
            let first = self.space(start);
            let result = if peek(self.block, first) == b'\n' { Ok(first) } else { self.line(kernel, first) };
            at = match result {
                Ok(end) if end - start <= self.limits.max_line && !self.non_ascii => {
                    if first < end {
                        self.accept(start, end);
                    }
                    end
                }
                result => self.settle(start, first, result),
            };
            self.batch.lines += 1;
            at += 1;
        }
        self.rows.flush(&mut self.batch.columns);
    }
}

impl Walk<'_> {
    /// Adds a row.
    #[inline(always)]
    fn accept(&mut self, start: usize, end: usize) {
        let end = end - usize::from(end < self.block.len() && self.block[end - 1] == b'\r');
        self.batch.rows.push(Span { start: start as u32, end: end as u32 });
        self.rows.keep(&mut self.batch.columns);
    }

    /// Adds a row or a reject for a line that needs a closer look: it has a fault, or it is to be validated as UTF-8,
    /// or it may be too long. Gives the index of the line's end.
    #[inline(never)]
    fn settle(&mut self, start: usize, first: usize, result: Result<usize, Fault>) -> usize {
        let (end, mut fault) = match result {
            Ok(end) => (end, None),
            Err(fault) => {
                let rest = self.block.get(fault.at..).unwrap_or_default();
                (fault.at.min(self.block.len()) + memchr::memchr(b'\n', rest).unwrap_or(rest.len()), Some(fault))
            }
        };
        let line = &self.block[start..end];
        let line = if end < self.block.len() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        if line.len() > self.limits.max_line {
            fault = Some(Fault { reason: Reason::TooLong, at: start + self.limits.max_line });
        } else if let Some(fault) = &mut fault
            && fault.at >= start + line.len()
        {
            *fault = Fault { reason: Reason::UnexpectedEnd, at: start + line.len() };
        } else if fault.is_none()
            && self.non_ascii
            && simdutf8::basic::from_utf8(line).is_err()
            && let Err(error) = std::str::from_utf8(line)
        {
            fault = Some(Fault { reason: Reason::BadUtf8, at: start + error.valid_up_to() });
        }
        self.non_ascii = false;
        match fault {
            None if first < end => self.accept(start, end),
            None => {}
            Some(Fault { reason, at }) => {
                let span = Span { start: start as u32, end: (start + line.len()) as u32 };
                self.batch.rejects.push(Reject { line: self.batch.lines, span, reason, at: (at - start) as u32 });
                self.rows.discard();
                self.stack.clear();
            }
        }
        end
    }

    /// Reads the line whose first value begins at `at`, and gives the index of its end.
    #[inline(always)]
    fn line<K: Kernel>(&mut self, kernel: K, mut at: usize) -> Result<usize, Fault> {
        let block = self.block;
        let unwanted = self.trie.unwanted();
        let mut inside = Frame {
            container: Container::Line,
            expects: false,
            start: 0,
            slot: unwanted,
            node: NO_NODE,
            last: NO_ENTRY,
        };
        // Where the value that comes next goes.
        let (mut slot, mut node) = (self.trie.root_slot(), ROOT);
        'value: loop {
            let start = at;
            let byte = peek(block, at);
            if byte == b'"' {
                let (end, kind) = string(kernel, block, at + 1, &mut self.non_ascii)?;
                self.rows.set(slot, cell(kind, start + 1, end));
                at = end + 1;
            } else if byte.is_ascii_digit() || byte == b'-' {
                let (end, kind) = number(kernel, block, at)?;
                self.rows.set(slot, cell(kind, start, end));
                at = end;
            } else if byte == b'{' {
                self.check_depth(at)?;
                at = self.space(at + 1);
                if peek(block, at) == b'}' {
                    at += 1;
                    self.rows.set(slot, cell(Kind::Object, start, at));
                } else {
                    self.stack.push(inside);
                    let last = if node == NO_NODE { NO_ENTRY } else { self.trie.head(node) };
                    inside = Frame {
                        container: Container::Object,
                        expects: node != NO_NODE,
                        start: start as u32,
                        slot,
                        node,
                        last,
                    };
                    (at, slot, node) = self.key(kernel, at, None, &mut inside)?;
                    continue 'value;
                }
            } else if byte == b'[' {
                self.check_depth(at)?;
                at = self.space(at + 1);
                if peek(block, at) == b']' {
                    at += 1;
                    self.rows.set(slot, cell(Kind::Array, start, at));
                } else {
                    self.stack.push(inside);
                    inside =
                        Frame { container: Container::Array, expects: false, start: start as u32, slot, node, last: 0 };
                    (slot, node) = self.element(node, 0);
                    continue 'value;
                }
            } else if is_space(byte) {
                at = self.space(at);
                continue 'value;
            } else {
                let kind;
                (at, kind) = literal(block, at)?;
                self.rows.set(slot, cell(kind, start, at));
            }

            // What follows a value.
            loop {
                if inside.expects {
                    let left;
                    (at, left) = fields(kernel, block, at, self.trie, &mut inside.last, self.rows.row());
                    if let Left::Value = left {
                        (slot, node) = self.enter(inside.last);
                        continue 'value;
                    }
                }
                let byte = peek(block, at);
                let kind = match inside.container {
                    Container::Object => {
                        if byte == b',' {
                            let quote = self.space(at + 1);
                            (at, slot, node) = self.key(kernel, quote, Some(at), &mut inside)?;
                            continue 'value;
                        }
                        if byte == b'}' { Some(Kind::Object) } else { None }
                    }
                    Container::Array => {
                        if byte == b',' {
                            at += 1 + usize::from(peek(block, at + 1) == b' ');
                            inside.last = inside.last.saturating_add(1);
                            (slot, node) = self.element(inside.node, inside.last);
                            continue 'value;
                        }
                        if byte == b']' { Some(Kind::Array) } else { None }
                    }
                    Container::Line => {
                        let end = self.space(at);
                        if peek(block, end) == b'\n' {
                            return Ok(end);
                        }
                        return Err(Fault { reason: Reason::TrailingData, at: end });
                    }
                };
                if let Some(kind) = kind {
                    at += 1;
                    self.rows.set(inside.slot, cell(kind, inside.start as usize, at));
                    if let Some(outer) = self.stack.pop() {
                        inside = outer;
                    }
                } else if is_space(byte) {
                    at = self.space(at);
                } else {
                    return Err(Fault { reason: Reason::UnexpectedByte, at });
                }
            }
        }
    }

    /// Whether there may be one level more.
    #[inline(always)]
    fn check_depth(&self, at: usize) -> Result<(), Fault> {
        let deeper = self.stack.len() < self.limits.max_depth as usize;
        if deeper { Ok(()) } else { Err(Fault { reason: Reason::TooDeep, at }) }
    }

    /// The slot and the node of an element.
    #[inline(always)]
    fn element(&self, node: NodeId, index: u32) -> (u32, NodeId) {
        if node == NO_NODE { (self.trie.unwanted(), NO_NODE) } else { self.trie.element(node, index) }
    }

    /// Reads a key, and the colon behind it. Gives the index behind the colon, and the slot and the node of the value.
    /// `after` is the index of the comma in front; the first key has none.
    #[inline(always)]
    fn key<K: Kernel>(
        &mut self,
        kernel: K,
        at: usize,
        after: Option<usize>,
        inside: &mut Frame,
    ) -> Result<(usize, u32, NodeId), Fault> {
        if inside.node == NO_NODE {
            let (past, _) = self.bare_key(kernel, at)?;
            return Ok((past, self.trie.unwanted(), NO_NODE));
        }
        let expected = self.trie.entry(inside.last).next;
        let entry = self.trie.entry(expected);
        if after.is_none()
            && let Some(ahead) = self.block.get(at.wrapping_sub(entry.lead as usize)..)
            && let Some(half) = ahead.first_chunk()
            && entry.begins(kernel, half)
        {
            inside.last = expected;
            let past = at + (entry.len - entry.lead) as usize;
            let (slot, node) = self.enter(expected);
            return Ok((past, slot, node));
        }

        let (past, (end, kind)) = self.bare_key(kernel, at)?;
        let body = &self.block[at + 1..end];
        let mut found;
        if kind == Kind::Escaped {
            self.key.clear();
            found = if decode(body, self.key) { self.trie.find(inside.node, self.key) } else { NO_ENTRY };
        } else {
            found = self.trie.find(inside.node, body);
            if found == NO_ENTRY {
                found = self.trie.learn(inside.node, body);
            }
            if found != NO_ENTRY {
                if found == expected || !self.trie.entry(found).has_text() {
                    self.trie.set_text(found, &self.block[after.unwrap_or(at)..past], at - after.unwrap_or(at));
                }
                self.trie.follow(inside.last, found);
                inside.last = found;
            }
        }
        let (slot, node) = self.enter(found);
        Ok((past, slot, node))
    }

    /// The slot and the node of a key's value. The key may have come before, so what was found below it is forgotten.
    #[inline(always)]
    fn enter(&mut self, key: EntryId) -> (u32, NodeId) {
        let &Entry { slot, node, .. } = self.trie.entry(key);
        if node != NO_NODE {
            self.rows.clear(self.trie.slots_below(node));
        }
        (slot, node)
    }

    /// Reads any key, the colon behind it, and a space if there is one. Gives the index behind these, and what
    /// [`string`] says of the key.
    #[inline(always)]
    fn bare_key<K: Kernel>(&mut self, kernel: K, at: usize) -> Result<(usize, (usize, Kind)), Fault> {
        if peek(self.block, at) != b'"' {
            return Err(Fault { reason: Reason::UnexpectedByte, at });
        }
        let (end, kind) = string(kernel, self.block, at + 1, &mut self.non_ascii)?;
        let mut colon = end + 1;
        if peek(self.block, colon) != b':' {
            colon = self.space(colon);
            if peek(self.block, colon) != b':' {
                return Err(Fault { reason: Reason::UnexpectedByte, at: colon });
            }
        }
        let past = colon + 1 + usize::from(peek(self.block, colon + 1) == b' ');
        Ok((past, (end, kind)))
    }

    /// The index of the first byte from `at` that is not a space.
    #[inline(always)]
    fn space(&self, mut at: usize) -> usize {
        while is_space(peek(self.block, at)) {
            at += 1;
        }
        at
    }
}

/// Whether the byte is a space within a line.
#[inline(always)]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// A cell from `start` to `end`. One that is too long for a cell is cut; its line is too long as well, and is rejected
/// at its end.
#[inline(always)]
fn cell(kind: Kind, start: usize, end: usize) -> Cell {
    Cell::new(kind, start as u32, ((end - start) & Cell::MAX_LEN) as u32)
}

/// Reads `true`, `false` or `null`.
#[inline(always)]
fn literal(block: &[u8], at: usize) -> Result<(usize, Kind), Fault> {
    let (word, kind): (&[u8], Kind) = match peek(block, at) {
        b't' => (b"true", Kind::True),
        b'f' => (b"false", Kind::False),
        b'n' => (b"null", Kind::Null),
        _ => return Err(Fault { reason: Reason::UnexpectedByte, at }),
    };
    match (1..word.len()).find(|&i| peek(block, at + i) != word[i]) {
        None => Ok((at + word.len(), kind)),
        Some(i) => Err(Fault { reason: Reason::BadLiteral, at: at + i }),
    }
}
