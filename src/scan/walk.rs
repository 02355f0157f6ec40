//! The walk: one pass over a block that validates every byte and picks the wanted values.
//!
//! The walk does not search for line ends: a newline is no space, ends a number and may not stand in a string, so it
//! stops at the first one by itself. Only after a fault is the line's end searched. Where the block ends, [`peek`]
//! gives a newline, so that a missing last one makes no difference.
//!
//! It is a loop over states with a stack of its own, so that the nesting of a record costs no stack of the thread, and
//! all of it is one function into which the kernel inlines. The frame of the container that it is in is in `inside`,
//! those of the outer ones are on the stack.

use super::number::number;
use super::simd::{Kernel, Task};
use super::string::{decode, string};
use super::trie::{EntryId, NO_ENTRY, NO_NODE, NodeId, ROOT, Trie};
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

/// What the walk expects next.
enum State {
    /// A key. Spaces before it are skipped.
    Key,
    /// A value.
    Value,
    /// What follows a value.
    After,
    /// The closing bracket, which is there.
    Close,
}

/// The walk through a block.
pub(super) struct Walk<'a> {
    pub block: &'a [u8],
    pub trie: &'a mut Trie,
    /// The slot of each column.
    pub slots: &'a [u32],
    /// The cells of the row that is being read, by slot, and one for what is unwanted. All are missing between rows.
    pub row: &'a mut [Cell],
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
    }
}

impl Walk<'_> {
    /// Adds a row.
    #[inline(always)]
    fn accept(&mut self, start: usize, end: usize) {
        let end = end - usize::from(end < self.block.len() && self.block[end - 1] == b'\r');
        self.batch.rows.push(Span { start: start as u32, end: end as u32 });
        for (column, &slot) in self.batch.columns.iter_mut().zip(self.slots) {
            column.push(self.row[slot as usize]);
        }
        self.row.fill(Cell::MISSING);
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
                self.row.fill(Cell::MISSING);
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
        let mut inside = Frame { container: Container::Line, start: 0, slot: unwanted, node: NO_NODE, last: NO_ENTRY };
        // Where the value that comes next goes.
        let (mut slot, mut node) = (self.trie.root_slot(), ROOT);
        let mut state = State::Value;
        loop {
            match state {
                State::Key => {
                    if inside.node != NO_NODE {
                        let expected = self.trie.entry(inside.last).next;
                        let entry = self.trie.entry(expected);
                        if let Some(half) = block.get(at..).and_then(|rest| rest.first_chunk::<32>())
                            && u64::from(kernel.equal(half, &entry.text)) & entry.mask == entry.mask
                        {
                            at += entry.len as usize;
                            inside.last = expected;
                            (slot, node) = (entry.slot, entry.node);
                        } else {
                            let found;
                            (at, found) = self.key(kernel, at, &mut inside)?;
                            let entry = self.trie.entry(found);
                            (slot, node) = (entry.slot, entry.node);
                        }
                        if node != NO_NODE {
                            // The key may have come before.
                            self.row[self.trie.slots_below(node)].fill(Cell::MISSING);
                        }
                    } else {
                        (at, _) = self.bare_key(kernel, at)?;
                        (slot, node) = (unwanted, NO_NODE);
                    }
                    state = State::Value;
                }
                State::Value => {
                    let mut byte = peek(block, at);
                    if byte == b' ' {
                        at += 1;
                        byte = peek(block, at);
                    }
                    let start = at;
                    state = State::After;
                    if byte == b'"' {
                        let (end, kind) = string(kernel, block, at + 1, &mut self.non_ascii)?;
                        self.row[slot as usize] = cell(kind, start + 1, end)?;
                        at = end + 1;
                    } else if byte.is_ascii_digit() || byte == b'-' {
                        let (end, kind) = number(kernel, block, at)?;
                        self.row[slot as usize] = cell(kind, start, end)?;
                        at = end;
                    } else if byte == b'{' {
                        self.open(&inside, at)?;
                        let last = if node == NO_NODE { NO_ENTRY } else { self.trie.head(node) };
                        inside = Frame { container: Container::Object, start: at as u32, slot, node, last };
                        at = self.space(at + 1);
                        state = if peek(block, at) == b'}' { State::Close } else { State::Key };
                    } else if byte == b'[' {
                        self.open(&inside, at)?;
                        inside = Frame { container: Container::Array, start: at as u32, slot, node, last: 0 };
                        at = self.space(at + 1);
                        (slot, node) = self.element(node, 0);
                        state = if peek(block, at) == b']' { State::Close } else { State::Value };
                    } else if is_space(byte) {
                        at = self.space(at);
                        state = State::Value;
                    } else {
                        let kind;
                        (at, kind) = literal(block, at)?;
                        self.row[slot as usize] = cell(kind, start, at)?;
                    }
                }
                State::After => match inside.container {
                    Container::Object => match peek(block, at) {
                        b',' => {
                            at = self.space(at + 1);
                            state = State::Key;
                        }
                        b'}' => state = State::Close,
                        byte if is_space(byte) => {
                            at = self.space(at);
                            state = State::After;
                        }
                        _ => return Err(Fault { reason: Reason::UnexpectedByte, at }),
                    },
                    Container::Array => match peek(block, at) {
                        b',' => {
                            at += 1;
                            inside.last = inside.last.saturating_add(1);
                            (slot, node) = self.element(inside.node, inside.last);
                            state = State::Value;
                        }
                        b']' => state = State::Close,
                        byte if is_space(byte) => {
                            at = self.space(at);
                            state = State::After;
                        }
                        _ => return Err(Fault { reason: Reason::UnexpectedByte, at }),
                    },
                    Container::Line => {
                        let end = self.space(at);
                        if peek(block, end) == b'\n' {
                            return Ok(end);
                        }
                        return Err(Fault { reason: Reason::TrailingData, at: end });
                    }
                },
                State::Close => {
                    at += 1;
                    let kind = if inside.container == Container::Object { Kind::Object } else { Kind::Array };
                    self.row[inside.slot as usize] = cell(kind, inside.start as usize, at)?;
                    if let Some(outer) = self.stack.pop() {
                        inside = outer;
                    }
                    state = State::After;
                }
            }
        }
    }

    /// Goes one level down.
    #[inline(always)]
    fn open(&mut self, inside: &Frame, at: usize) -> Result<(), Fault> {
        if self.stack.len() >= self.limits.max_depth as usize {
            return Err(Fault { reason: Reason::TooDeep, at });
        }
        self.stack.push(*inside);
        Ok(())
    }

    /// The slot and the node of an element.
    #[inline(always)]
    fn element(&self, node: NodeId, index: u32) -> (u32, NodeId) {
        if node == NO_NODE { (self.trie.unwanted(), NO_NODE) } else { self.trie.element(node, index) }
    }

    /// Reads a key, and the colon behind it, of an object that has a node, where another was expected. Gives the
    /// index behind the colon and the key's entry, and learns from it.
    #[inline(always)]
    fn key<K: Kernel>(&mut self, kernel: K, at: usize, inside: &mut Frame) -> Result<(usize, EntryId), Fault> {
        let (past, (end, kind)) = self.bare_key(kernel, at)?;
        let body = &self.block[at + 1..end];
        if kind == Kind::Escaped {
            self.key.clear();
            let found = if decode(body, self.key) { self.trie.find(inside.node, self.key) } else { NO_ENTRY };
            return Ok((past, found));
        }
        let mut found = self.trie.find(inside.node, body);
        if found == NO_ENTRY {
            found = self.trie.learn(inside.node, body);
        }
        if found != NO_ENTRY {
            self.trie.follow(inside.last, found);
            inside.last = found;
        }
        Ok((past, found))
    }

    /// Reads any key and the colon behind it. Gives the index behind the colon, and what [`string`] says of the key.
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
        Ok((colon + 1, (end, kind)))
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

/// A cell from `start` to `end`.
#[inline(always)]
fn cell(kind: Kind, start: usize, end: usize) -> Result<Cell, Fault> {
    if end - start > Cell::MAX_LEN {
        return Err(Fault { reason: Reason::TooLong, at: start + Cell::MAX_LEN });
    }
    Ok(Cell::new(kind, start as u32, (end - start) as u32))
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
