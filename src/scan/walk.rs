//! The walk: one pass over a line that validates every byte and picks the wanted values.
//!
//! The walk does not search for the line's end: a newline is no space, ends a number and may not stand in a string, so
//! it stops at the first one by itself. Where the block ends, [`peek`] gives a newline, so that a missing last one makes
//! no difference.
//!
//! It is a loop with a stack of its own, so that the nesting of a record costs no stack of the thread, and all of it is
//! one function into which the kernel inlines. The frame of the container that it is in is in `inside`, those of the
//! outer ones are on the stack.

use super::fields::{Left, fields};
use super::number::number;
use super::rows::Rows;
use super::simd::Kernel;
use super::string::{decode, string};
use super::trie::{Entry, EntryId, NO_ENTRY, NO_NODE, NodeId, ROOT, Trie};
use super::{Cell, Kind, Reason};

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

/// Where the walk of a line takes over, when its outermost object has been begun already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    /// The index of the object's first byte.
    pub start: usize,
    /// The last key.
    pub last: EntryId,
    /// What is left to do at the index where the walk begins.
    pub left: Left,
}

/// The walk through a line.
pub(super) struct Walk<'a> {
    pub block: &'a [u8],
    pub trie: &'a mut Trie,
    pub rows: &'a mut Rows,
    pub stack: &'a mut Vec<Frame>,
    /// A key in its decoded form.
    pub key: &'a mut Vec<u8>,
    pub max_depth: u32,
    /// Whether the line has strings whose encoding is to be validated.
    pub non_ascii: bool,
}

/// The byte at `at`; a newline behind the end.
#[inline(always)]
pub(super) fn peek(block: &[u8], at: usize) -> u8 {
    block.get(at).copied().unwrap_or(b'\n')
}

impl Walk<'_> {
    /// Reads a line from `at`, where its value begins if nothing was begun, and gives the index of its end.
    #[inline(always)]
    pub fn line<K: Kernel>(&mut self, kernel: K, mut at: usize, begun: Option<Begun>) -> Result<usize, Fault> {
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
        // The key of that value in an object.
        let mut key = NO_ENTRY;
        let mut after = false;
        if let Some(Begun { start, last, left }) = begun {
            self.check_depth(start)?;
            self.stack.push(inside);
            inside = Frame { container: Container::Object, expects: true, start: start as u32, slot, node: ROOT, last };
            after = left == Left::After;
            key = last;
            (slot, node) = self.enter(key);
        }
        'value: loop {
            let start = at;
            let byte = peek(block, at);
            if after {
                after = false;
            } else if byte == b'"' {
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
                    if node == NO_NODE {
                        node = self.adopt(&inside, key);
                    }
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
                    (at, key) = self.key(kernel, at, None, &mut inside)?;
                    (slot, node) = self.enter(key);
                    continue 'value;
                }
            } else if byte == b'[' {
                self.check_depth(at)?;
                at = self.space(at + 1);
                if peek(block, at) == b']' {
                    at += 1;
                    self.rows.set(slot, cell(Kind::Array, start, at));
                } else {
                    if node == NO_NODE {
                        node = self.adopt(&inside, key);
                    }
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
                if inside.expects
                    && let Some(past) = self.expected(kernel, at, &mut inside.last)
                {
                    let left;
                    (at, left) = fields(kernel, block, past, self.trie, &mut inside.last, self.rows.row());
                    if left == Left::Value {
                        key = inside.last;
                        (slot, node) = self.enter(key);
                        continue 'value;
                    }
                }
                let byte = peek(block, at);
                let kind = match inside.container {
                    Container::Object => {
                        if byte == b',' {
                            let quote = self.space(at + 1);
                            (at, key) = self.key(kernel, quote, Some(at), &mut inside)?;
                            (slot, node) = self.enter(key);
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
        let deeper = self.stack.len() < self.max_depth as usize;
        if deeper { Ok(()) } else { Err(Fault { reason: Reason::TooDeep, at }) }
    }

    /// The slot and the node of an element.
    #[inline(always)]
    fn element(&self, node: NodeId, index: u32) -> (u32, NodeId) {
        if node == NO_NODE { (self.trie.unwanted(), NO_NODE) } else { self.trie.element(node, index) }
    }

    /// Reads the key that is expected after `last`, from the comma on, if it is there. Gives the index behind its text.
    #[inline(always)]
    fn expected<K: Kernel>(&self, kernel: K, at: usize, last: &mut EntryId) -> Option<usize> {
        let expected = self.trie.entry(*last).next;
        let entry = self.trie.entry(expected);
        let ahead = self.block.get(at..)?.first_chunk()?;
        if !entry.follows(kernel, ahead) {
            return None;
        }
        *last = expected;
        Some(at + entry.len as usize)
    }

    /// Reads a key, and the colon behind it. Gives the index behind the colon, and the key's entry.
    /// `after` is the index of the comma in front; the first key has none.
    #[inline(always)]
    fn key<K: Kernel>(
        &mut self,
        kernel: K,
        at: usize,
        after: Option<usize>,
        inside: &mut Frame,
    ) -> Result<(usize, EntryId), Fault> {
        if inside.node == NO_NODE {
            let (past, _) = self.bare_key(kernel, at)?;
            return Ok((past, NO_ENTRY));
        }
        let expected = self.trie.entry(inside.last).next;
        if after.is_none()
            && let Some(past) = first_key(kernel, self.block, self.trie, at, &mut inside.last)
        {
            return Ok((past, expected));
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
        Ok((past, found))
    }

    /// The node of an unwanted container in the frame `inside`, which begins to learn if the outer one does; `key` is its
    /// key if that is an object.
    #[inline(always)]
    fn adopt(&mut self, inside: &Frame, key: EntryId) -> NodeId {
        match inside.container {
            _ if inside.node == NO_NODE => NO_NODE,
            Container::Array => self.trie.learn_node(inside.node, None),
            _ => self.trie.learn_node(inside.node, Some(key)),
        }
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
    pub fn space(&self, mut at: usize) -> usize {
        while is_space(peek(self.block, at)) {
            at += 1;
        }
        at
    }
}

/// Reads the key that is expected first in an object, from its quote at `at` on, if it is there; `last` is the object's
/// head. Gives the index behind its text.
#[inline(always)]
pub(super) fn first_key<K: Kernel>(
    kernel: K,
    block: &[u8],
    trie: &Trie,
    at: usize,
    last: &mut EntryId,
) -> Option<usize> {
    let expected = trie.entry(*last).next;
    let entry = trie.entry(expected);
    let start = at.checked_sub(entry.lead as usize)?;
    let ahead = block.get(start..)?.first_chunk()?;
    if !entry.begins(kernel, ahead) {
        return None;
    }
    *last = expected;
    Some(start + entry.len as usize)
}

/// Whether the byte is a space within a line.
#[inline(always)]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// A cell from `start` to `end`. One that is too long for a cell is cut; its line is too long as well, and is rejected
/// at its end.
#[inline(always)]
pub(super) fn cell(kind: Kind, start: usize, end: usize) -> Cell {
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
