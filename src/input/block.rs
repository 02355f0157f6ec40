//! Blocks, the buffers that hold them, and the permit to hold more than one block's worth.

use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

use super::csv::count_fields;
use super::made::{Made, Recipe, newlines};
use crate::error::{Error, ErrorKind, Result};
use crate::scan::{Original, Reason, Reject};

/// The most bytes of an overlong line that [`Overlong::prefix`] holds.
pub const MAX_PREFIX: usize = 1 << 20;

/// A run of whole lines of one file. Workers own one each and pass it to [`Input::next`](super::Input::next) again
/// and again.
///
/// The blocks of a file, in the order of their indexes, hold all its lines, save those that are too long. A block may
/// hold no line at all.
#[derive(Debug, Default)]
pub struct Block {
    /// The number of the file, from 0, in the order in which the sources were given.
    pub file: u32,
    /// The number of the block in its file, from 0, without gaps.
    pub index: u64,
    /// Whether this is the last block of its file. Every file has exactly one.
    pub last: bool,
    /// The offset of the block's first byte, as it was read, in the decompressed file.
    pub offset: u64,
    /// The number of the block's first line in its file, from 0, where lines are counted. They always are in files that
    /// are no JSON Lines.
    pub first_line: Option<u64>,
    /// Whether the block was sent on before it was full, because the input had no more bytes ready.
    pub eager: bool,
    pub(super) buffer: Buffer,
    /// Where [`raw`](Block::raw) bytes lie in the buffer.
    pub(super) lines: Range<usize>,
    /// What the bytes are, if they are not JSON Lines themselves.
    pub(super) recipe: Option<Recipe>,
    /// The lines that were made by the recipe; of no meaning without one.
    pub(super) made: Box<Made>,
    /// Where the prefix of an overlong line lies in the buffer, which then begins where the block's lines end.
    pub(super) overlong: Option<Range<usize>>,
    /// Held as long as the buffer may be larger than that of an ordinary block.
    pub(super) permit: Option<Permit>,
}

/// A line that is longer than the limit. It stands just after the last line of the block that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlong<'a> {
    /// The offset of the line's first byte in the decompressed file.
    pub offset: u64,
    /// How the line begins: as many bytes as the limit allows a line to have, at most [`MAX_PREFIX`].
    pub prefix: &'a [u8],
}

impl Block {
    /// An empty block, to be filled by [`Input::next`](super::Input::next).
    pub fn new() -> Block {
        Block::default()
    }

    /// Whole lines, line ends included. Only the last line of a file may lack its newline. Of files that are no JSON Lines,
    /// these are the lines that were made of it.
    pub fn bytes(&self) -> &[u8] {
        match self.recipe {
            None => self.raw(),
            Some(_) => &self.made.bytes[..self.made.len],
        }
    }

    /// The bytes of the file that the block's lines stand for: the lines themselves, or what they were made of.
    pub fn raw(&self) -> &[u8] {
        &self.buffer[self.lines.clone()]
    }

    /// What the lines were made of, if they are not the bytes of the file.
    pub fn original(&self) -> Option<Original<'_>> {
        self.recipe.as_ref().map(|_| Original { bytes: self.raw(), marks: &self.made.marks })
    }

    /// Where the line that has byte `at` of [`bytes`](Block::bytes) begins in [`raw`](Block::raw), or, in files of JSON
    /// Lines, that byte itself.
    pub fn place(&self, at: u32) -> u32 {
        self.original().map_or(at, |original| original.span(at).start)
    }

    /// What of the block is no record: the lines that the scanner rejected, and what could not be made into a line. The
    /// spans are those of [`raw`](Block::raw), and so are the lines and places.
    pub fn rejects(&self, scanned: &[Reject]) -> Vec<Reject> {
        let Some(original) = self.original() else { return scanned.to_vec() };
        let found = |reject: &Reject| {
            let span = original.span(reject.span.start);
            let at = match (&self.recipe, std::str::from_utf8(span.of(original.bytes))) {
                (Some(Recipe::Rows { .. }), Err(error)) if reject.reason == Reason::BadUtf8 => {
                    error.valid_up_to() as u32
                }
                _ => reject.at.min(span.end - span.start),
            };
            Reject { span, at, ..*reject }
        };
        let mut rejects: Vec<Reject> = scanned.iter().map(found).chain(self.made.rejects.iter().copied()).collect();
        rejects.sort_by_key(|reject| (reject.span.start, reject.span.end));
        let (mut line, mut counted) = (0, 0);
        for reject in &mut rejects {
            let start = reject.span.start as usize;
            line += newlines(&original.bytes[counted..start]);
            (reject.line, counted) = (line, start);
        }
        rejects
    }

    /// How many fields a rejected row has and how many it should have, where that is the reason.
    pub fn fields(&self, reject: &Reject) -> Option<(usize, usize)> {
        let Some(Recipe::Rows { columns, delimiter, .. }) = &self.recipe else { return None };
        match reject.reason {
            Reason::TooFewFields | Reason::TooManyFields => {
                Some((count_fields(reject.span.of(self.raw()), *delimiter), columns.count()))
            }
            _ => None,
        }
    }

    /// Makes the lines, if that is to be done.
    pub(super) fn make(&mut self, max_line: usize, capacity: usize) {
        self.made.clear(capacity);
        if let Some(recipe) = &self.recipe {
            self.made.make(&self.buffer[self.lines.clone()], recipe, max_line);
        }
    }

    /// The overlong line that follows the block's last line, if one does.
    pub fn overlong(&self) -> Option<Overlong<'_>> {
        let prefix = self.overlong.clone()?;
        let offset = self.offset + (prefix.start - self.lines.start) as u64;
        Some(Overlong { offset, prefix: &self.buffer[prefix] })
    }

    /// Forgets the content, keeps the buffer unless it is larger than `capacity`, and gives the permit back.
    pub(super) fn clear(&mut self, capacity: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() > capacity {
            buffer = Buffer::default();
        }
        let mut made = std::mem::take(&mut self.made);
        made.clear(capacity);
        *self = Block { buffer, made, ..Block::default() };
    }
}

/// Bytes of an anonymous memory map: page-aligned, zero until written, and given back to the kernel when dropped.
#[derive(Debug, Default)]
pub(super) struct Buffer(Option<MmapMut>);

impl Buffer {
    /// Makes the buffer at least `len` bytes long. Its first `keep` bytes stay.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the system has not that much memory.
    pub(super) fn grow(&mut self, len: usize, keep: usize) -> Result<()> {
        if self.len() >= len {
            return Ok(());
        }
        let mut map = MmapMut::map_anon(len).map_err(|error| {
            Error::new(ErrorKind::Resource, format!("no memory for a block of {len} bytes")).caused_by(error)
        })?;
        map[..keep].copy_from_slice(&self[..keep]);
        self.0 = Some(map);
        Ok(())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

/// Lets one buffer at a time grow beyond the ordinary size, so that long lines cost the memory of one, however many
/// threads meet one at the same time.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    taken: bool,
    closed: bool,
}

impl Gate {
    /// Waits until nobody holds the permit and takes it; `None` when the gate was closed.
    pub(super) fn acquire(self: &Arc<Gate>) -> Option<Permit> {
        let mut state = self.lock();
        while state.taken && !state.closed {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return None;
        }
        state.taken = true;
        Some(Permit(Arc::clone(self)))
    }

    /// Refuses everyone who waits now or later.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to hold a large buffer, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Gate>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().taken = false;
        self.0.freed.notify_one();
    }
}
