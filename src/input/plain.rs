//! Regular files that are not compressed, read in parallel.
//!
//! A file of S bytes is cut in chunks of B bytes, whatever lies there. Chunk k owns the lines whose preceding newline
//! is one of its bytes, and chunk 0 owns the first line too. So a worker finds the lines of its chunk without knowing
//! any other chunk: they begin after the first newline at or after k·B, and end with the first newline at or after
//! (k+1)·B, which is the one that the next chunk begins after. A chunk without a newline owns nothing.
//!
//! S is the size when the file was opened. The last chunk ends with the first newline at or after S-1, so that a last
//! line that was being written is read to its end, but what is appended after it is not read.
//!
//! A line may be as long as `max_line`, and B is never larger than that. So a line that is longer reaches beyond its
//! chunk, and is the last line of it.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use memchr::{memchr, memrchr};

use super::block::{Block, MAX_PREFIX, Permit};
use super::stream::BOM;
use super::{FilePart, Limits};
use crate::error::{Error, ErrorKind, Result};

/// How many bytes after its end are read with a chunk, so that its last line is mostly there at once.
const OVERLAP: usize = 4 << 10;
/// How many bytes are read at a time while the end of a chunk's last line is searched.
const STEP: usize = 16 << 10;

/// A file and the part of it that is read.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) file: File,
    /// The position of the first byte: not 0 where standard input was read from before.
    pub(super) start: u64,
    /// The number of bytes from `start` to the end when the file was opened, or to the end of the part that is read.
    pub(super) size: u64,
    /// What offsets of records are counted from: `start` where a part of the file is read, else 0.
    base: u64,
    /// Whether nothing is read beyond `size`.
    is_cut: bool,
}

impl Plain {
    /// What is read from `start` on.
    pub(super) fn new(file: File, start: u64, size: u64) -> Plain {
        Plain { file, start, size, base: 0, is_cut: false }
    }

    /// Reads no more than a part, at whose start the file was opened.
    pub(super) fn cut(&mut self, part: FilePart) {
        self.base = part.start;
        if part.end < u64::MAX {
            self.size = self.size.min(part.end.saturating_sub(part.start));
            self.is_cut = true;
        }
    }

    /// The number of chunks of `block` bytes. An empty file has one.
    pub(super) fn chunks(&self, block: usize) -> u64 {
        self.size.div_ceil(block as u64).max(1)
    }

    /// Reads the lines of chunk `index` into `block`, and gives the number of bytes of the chunk itself. `permit`
    /// is asked before the buffer grows beyond that of an ordinary block; reading breaks off when it has none to give.
    pub(super) fn read(
        &self,
        index: u64,
        limits: &Limits,
        block: &mut Block,
        permit: impl FnOnce() -> Option<Permit>,
    ) -> Result<ControlFlow<(), u64>> {
        let start = index * limits.block as u64;
        let own = (self.size - start).min(limits.block as u64) as usize;
        let last = start + own as u64 == self.size;
        block.index = index;
        block.last = last;
        block.offset = self.base + start + own as u64;
        block.buffer.grow(limits.capacity, 0)?;
        let mut len = 0;
        let ahead = if last { 0 } else { OVERLAP.min(limits.capacity - own) };
        self.fill(start, &mut block.buffer[..own + ahead], &mut len)?;
        if len < own {
            return Err(shrunk());
        }

        let begin = if index > 0 {
            match memchr(b'\n', &block.buffer[..own]) {
                Some(newline) => newline + 1,
                None => return Ok(ControlFlow::Continue(own as u64)),
            }
        } else if self.base == 0 && block.buffer[..len].starts_with(BOM) {
            BOM.len()
        } else {
            0
        };

        // The line that may reach beyond the chunk, and the newline that ends it.
        let mut searched = if last { own.saturating_sub(1) } else { own };
        let line =
            begin + block.buffer.get(begin..searched).and_then(|lines| memrchr(b'\n', lines)).map_or(0, |n| n + 1);
        let limit = line.saturating_add(limits.max_line).saturating_add(1);
        let mut permit = Some(permit);
        let mut ended = false;
        let end = loop {
            let known = len.min(limit);
            if let Some(newline) = block.buffer.get(searched..known).and_then(|part| memchr(b'\n', part)) {
                break searched + newline + 1;
            }
            if len >= limit {
                block.overlong = Some(line..line + limits.max_line.min(MAX_PREFIX));
                break line;
            }
            if ended {
                break len;
            }
            searched = searched.max(len);
            if len == block.buffer.len() {
                if let Some(permit) = permit.take() {
                    let Some(permit) = permit() else { return Ok(ControlFlow::Break(())) };
                    block.permit = Some(permit);
                }
                let larger = block.buffer.len().saturating_mul(2).min(limit);
                block.buffer.grow(larger, len)?;
            }
            // A line that needs a larger buffer is likely to fill much of it.
            let target = if block.permit.is_some() { block.buffer.len() } else { block.buffer.len().min(len + STEP) };
            self.fill(start, &mut block.buffer[..target], &mut len)?;
            ended = len < target;
            if ended && start + (len as u64) < self.size {
                return Err(shrunk());
            }
        };
        block.lines = begin..end;
        block.offset = self.base + start + begin as u64;
        Ok(ControlFlow::Continue(own as u64))
    }

    /// Reads from `start` until `buffer` is full, of which `len` bytes are there already, or the file ends.
    fn fill(&self, start: u64, buffer: &mut [u8], len: &mut usize) -> Result<()> {
        let most = match self.is_cut {
            true => usize::try_from(self.size - start).unwrap_or(usize::MAX).min(buffer.len()),
            false => buffer.len(),
        };
        let buffer = &mut buffer[..most];
        while *len < buffer.len() {
            match self.file.read_at(&mut buffer[*len..], self.start + start + *len as u64) {
                Ok(0) => break,
                Ok(n) => *len += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::new(ErrorKind::Input, "reading failed").caused_by(error)),
            }
        }
        Ok(())
    }
}

fn shrunk() -> Error {
    Error::new(ErrorKind::Input, "the file became shorter while it was being read")
}
