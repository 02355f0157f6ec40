//! Streams: standard input, pipes, devices and compressed files, each read by a thread of its own.
//!
//! The thread fills a buffer up to the block size, cuts it after its last newline, queues what is before the cut and
//! carries the rest into the next buffer. So a buffer always begins where a line begins. A line that does not fit
//! makes the buffer grow up to the longest line that is allowed; beyond that the line is reported and its rest is
//! dropped as it is read. Records that are no lines are cut likewise, where a [`Split`] says that they end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::block::{Block, Buffer, MAX_PREFIX, Permit};
use super::codec::{self, Sniff};
use super::kind::Kind;
use super::made::newlines;
use super::source::Feed;
use super::split::Split;
use super::{Limits, Shared};
use crate::error::{Error, ErrorKind, Result};

/// The byte order mark of UTF-8, which is dropped where a file begins with it.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";
/// How long lines may wait, in milliseconds, for the queue to run empty or for more bytes.
const PATIENCE: u8 = 1;
/// The largest block that lines are made of, so that these are not too long for the scanner.
const MOST_MADE: usize = 64 << 20;
/// The size that a pipe is given, so that its writer is woken less often.
#[cfg(target_os = "linux")]
const PIPE_SIZE: i32 = 1 << 20;

/// Reads `feed` to its end as file `file`, and queues its blocks, which `index` counts. Returns early, without error,
/// when reading is stopped.
pub(super) fn read(shared: &Shared, file: u32, feed: Feed, index: &mut u64) -> Result<()> {
    let input = match feed {
        Feed::File(file) => Bytes::File(file),
        Feed::Path(path) => Bytes::File(File::open(path).map_err(failed)?),
        Feed::Reader(reader) => Bytes::Reader { reader, short: false },
    };
    input.widen();
    Cutter::new(shared, file, input, index)?.run()
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Input, "reading failed").caused_by(error)
}

/// Where a stream's bytes come from.
enum Bytes {
    File(File),
    Reader {
        reader: Box<dyn Read + Send>,
        /// Whether the last read gave less than it was asked for.
        short: bool,
    },
    Decoder {
        decoder: Box<dyn Read + Send>,
        /// The file that is decoded, to ask whether it has more to give; `None` if it is none.
        packed: Option<File>,
    },
}

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Bytes::File(file) => file.read(into),
            Bytes::Reader { reader, short } => {
                let n = reader.read(into)?;
                *short = n < into.len();
                Ok(n)
            }
            Bytes::Decoder { decoder, .. } => decoder.read(into),
        }
    }
}

impl Bytes {
    /// Whether the next read is likely to wait. `patience` is how long to find out, in milliseconds.
    fn dry(&self, patience: u8) -> bool {
        match self {
            Bytes::File(file) | Bytes::Decoder { packed: Some(file), .. } => {
                let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
                loop {
                    match poll(&mut fds, PollTimeout::from(patience)) {
                        Err(nix::Error::EINTR) => {}
                        // A file that cannot be polled is read without further ado.
                        result => return result == Ok(0),
                    }
                }
            }
            Bytes::Reader { short, .. } => *short,
            Bytes::Decoder { packed: None, .. } => false,
        }
    }

    fn widen(&self) {
        #[cfg(target_os = "linux")]
        if let Bytes::File(file) = self {
            // Only a hint: what is no pipe refuses, and so does a system whose users hold too many large pipes.
            nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE_SIZE)).ok();
        }
    }
}

/// The state of one stream. `buffer[from..len]` was read and not queued yet.
struct Cutter<'a> {
    shared: &'a Shared,
    limits: &'a Limits,
    file: u32,
    input: Bytes,
    split: Split,
    /// The size of a block.
    block_size: usize,
    buffer: Buffer,
    permit: Option<Permit>,
    ended: bool,
    /// Where the first line begins: not 0 only after a byte order mark.
    from: usize,
    len: usize,
    /// Up to where the buffer is to be filled before it is cut.
    target: usize,
    /// Whether the rest of an overlong line is being dropped.
    skipping: bool,
    /// The offset of the buffer's first byte in the decompressed stream.
    offset: u64,
    /// The number of lines before it.
    line: u64,
    /// The number of blocks queued.
    index: &'a mut u64,
    /// The bytes that may still be read, unless the stream is compressed.
    left: u64,
}

/// Whether to go on.
type Proceed = bool;

impl<'a> Cutter<'a> {
    fn new(shared: &'a Shared, file: u32, input: Bytes, index: &'a mut u64) -> Result<Cutter<'a>> {
        let limits = &shared.limits;
        let kind = shared.kinds[file as usize];
        let block_size = if kind == Kind::Lines { limits.block } else { limits.block.min(MOST_MADE) };
        let part = limits.part(file);
        Ok(Cutter {
            shared,
            limits,
            file,
            input,
            split: Split::new(kind, block_size, 0),
            block_size,
            buffer: shared.buffer()?,
            permit: None,
            ended: false,
            from: 0,
            len: 0,
            target: block_size,
            skipping: false,
            offset: part.start,
            line: part.lines,
            index,
            left: part.end.saturating_sub(part.start),
        })
    }

    fn run(mut self) -> Result<()> {
        if !self.begin()? {
            return Ok(());
        }
        loop {
            if self.len >= self.target {
                if !self.cut()? {
                    return Ok(());
                }
                continue;
            }
            if let Some(end) = self.eager_end()? {
                if !self.queue(end, true)? {
                    return Ok(());
                }
                continue;
            }
            if self.shared.is_stopped() {
                return Ok(());
            }
            match self.fill() {
                Ok(0) => return self.finish(),
                Ok(_) => {}
                Err(error) => {
                    // What was read before the error is good as far as its lines are whole.
                    if !self.skipping
                        && let Some(end) = self.record_end(false)?
                    {
                        self.queue(end, false)?;
                    }
                    return Err(error);
                }
            }
            if self.skipping {
                self.skip();
            }
        }
    }

    /// Reads until it is known whether the input is compressed and whether it has a byte order mark: byte by byte, as
    /// the first one mostly tells, and no byte beyond it must be waited for.
    fn begin(&mut self) -> Result<Proceed> {
        let codec = loop {
            match codec::sniff(&self.buffer[..self.len]) {
                Sniff::Codec(codec) => break Some(codec),
                Sniff::Plain => break None,
                Sniff::More if self.shared.is_stopped() => return Ok(false),
                Sniff::More => {
                    if self.fill_to(self.len + 1)? == 0 {
                        break None;
                    }
                }
            }
        };
        if let Some(codec) = codec {
            let empty = Bytes::Reader { reader: Box::new(io::empty()), short: false };
            let magic = io::Cursor::new(self.buffer[..self.len].to_vec());
            let taken = Arc::clone(&self.shared.taken);
            taken.fetch_sub(self.len as u64, Ordering::Relaxed);
            self.shared.decompressed.fetch_sub(self.len as u64, Ordering::Relaxed);
            self.len = 0;
            let input = std::mem::replace(&mut self.input, empty);
            let packed = match &input {
                // If it cannot be asked, whole blocks are waited for.
                Bytes::File(file) => file.try_clone().ok(),
                Bytes::Reader { .. } | Bytes::Decoder { .. } => None,
            };
            let decoder = codec::decoder(codec, self.limits.max_window, magic.chain(input.take(self.left)), taken)
                .map_err(|error| codec::error(error, self.limits.max_window, self.limits.memory_for_windows))?;
            self.input = Bytes::Decoder { decoder, packed };
        }
        while self.offset == 0 && self.len < BOM.len() && BOM.starts_with(&self.buffer[..self.len]) {
            if self.shared.is_stopped() {
                return Ok(false);
            }
            if self.fill_to(self.len + 1)? == 0 {
                break;
            }
        }
        if self.offset == 0 && self.buffer[..self.len].starts_with(BOM) {
            self.from = BOM.len();
            self.split = Split::new(self.shared.kinds[self.file as usize], self.block_size, self.from);
        }
        Ok(true)
    }

    fn fill(&mut self) -> Result<usize> {
        self.fill_to(self.target)
    }

    /// Reads once, up to `target` bytes of the buffer in all. 0 is the end of the input, which is not asked again then.
    fn fill_to(&mut self, target: usize) -> Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let left = match self.input {
            Bytes::Decoder { .. } => usize::MAX,
            _ => usize::try_from(self.left).unwrap_or(usize::MAX),
        };
        let target = target.min(self.len.saturating_add(left));
        let n = loop {
            match self.input.read(&mut self.buffer[self.len..target]) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(self.input, Bytes::Decoder { .. }) => {
                    return Err(codec::error(error, self.limits.max_window, self.limits.memory_for_windows));
                }
                Err(error) => return Err(failed(error)),
            }
        };
        self.ended = n == 0;
        self.len += n;
        self.left -= (n as u64).min(self.left);
        self.shared.decompressed.fetch_add(n as u64, Ordering::Relaxed);
        if !matches!(self.input, Bytes::Decoder { .. }) {
            self.shared.taken.fetch_add(n as u64, Ordering::Relaxed);
        }
        Ok(n)
    }

    /// The end of the last whole record in the buffer. `ended` says that nothing follows.
    fn record_end(&mut self, ended: bool) -> Result<Option<usize>> {
        self.split.end(&self.buffer[..self.len], self.from, self.block_size, ended)
    }

    /// Where to cut now because no more bytes are ready. While the workers have enough to do, larger blocks are better
    /// than early ones; so this waits until either they run dry or the input goes on.
    fn eager_end(&mut self) -> Result<Option<usize>> {
        if self.len == self.from || self.skipping || !self.input.dry(0) {
            return Ok(None);
        }
        let end = self.record_end(false)?;
        if end.is_none() || !self.split.is_worth_cutting() {
            return Ok(None);
        }
        loop {
            if self.shared.is_starved(self.file) {
                return Ok(end);
            }
            match &self.input {
                // There is no way to wait for such a reader and for the workers.
                Bytes::Reader { .. } => return Ok(end),
                _ if !self.input.dry(PATIENCE) => return Ok(None),
                _ => {}
            }
        }
    }

    /// The buffer is filled up to the target: queues its whole records, or makes room for the one record that fills it.
    fn cut(&mut self) -> Result<Proceed> {
        loop {
            if let Some(end) = self.record_end(false)? {
                return self.queue(end, false);
            }
            if self.len - self.from <= self.limits.max_line {
                break;
            }
            if !self.split.give_up(&self.buffer[..self.len])? {
                return self.drop_record();
            }
        }
        self.split.note_no_end(self.len);
        // In steps of at most a block, so that what follows the line's end fits into an ordinary buffer.
        let longest = self.from + self.limits.max_line + 1;
        self.target = longest.min(self.len + self.block_size);
        if self.target > self.buffer.len() {
            if self.permit.is_none() {
                self.permit = self.shared.permit_when_front(self.file);
                if self.permit.is_none() {
                    return Ok(false);
                }
            }
            let larger = self.target.max(self.buffer.len().saturating_mul(2).min(longest));
            self.buffer.grow(larger, self.len)?;
        }
        Ok(true)
    }

    /// Reports the record that fills the buffer as too long. Its rest is dropped from now on.
    fn drop_record(&mut self) -> Result<Proceed> {
        let prefix = self.from..self.from + self.limits.max_line.min(MAX_PREFIX);
        let next = self.shared.buffer()?;
        let end = self.len;
        let mut block = self.block(next, self.from, end, true);
        block.overlong = Some(prefix);
        self.line += u64::from(!self.split.makes_lines());
        self.len = 0;
        self.skipping = true;
        Ok(self.shared.push(block))
    }

    /// Drops what was read up to the end of the record.
    fn skip(&mut self) {
        let (n, ended) = self.split.skip(&self.buffer[..self.len]);
        if self.split.makes_lines() {
            self.line += newlines(&self.buffer[..n]);
        }
        self.buffer.copy_within(n..self.len, 0);
        self.len -= n;
        self.offset += n as u64;
        self.skipping = !ended;
    }

    /// Queues the records up to `end` and carries the rest into a new buffer.
    fn queue(&mut self, end: usize, eager: bool) -> Result<Proceed> {
        let mut next = self.shared.buffer()?;
        let rest = self.len - end;
        // After a record without an end there may be much that was taken for a part of it.
        let is_large = rest > next.len();
        next.grow(rest, 0)?;
        next[..rest].copy_from_slice(&self.buffer[end..self.len]);
        let mut block = self.block(next, end, end, false);
        block.eager = eager;
        self.len = rest;
        if !self.shared.push(block) {
            return Ok(false);
        }
        if is_large {
            self.permit = self.shared.permit_when_front(self.file);
        }
        Ok(!is_large || self.permit.is_some())
    }

    /// Queues everything that is left. The last block is the one that says so.
    fn finish(mut self) -> Result<()> {
        while let Some(end) = self.record_end(true)?
            && (end < self.len || !self.split.has_ended())
        {
            if !self.queue(end, false)? {
                return Ok(());
            }
        }
        let end = self.len;
        let mut block = self.block(Buffer::default(), end, end, false);
        block.last = true;
        self.shared.push(block);
        Ok(())
    }

    /// The block of the records up to `records_end`. The next buffer begins with what stood at `next_start`. `dropped` says
    /// that what is between them belongs to a record of which the rest is dropped.
    fn block(&mut self, next: Buffer, records_end: usize, next_start: usize, dropped: bool) -> Block {
        let lines = self.from..records_end;
        let buffer = std::mem::replace(&mut self.buffer, next);
        let counts_lines = self.limits.count_lines || self.split.makes_lines();
        let first_line = counts_lines.then_some(self.line);
        if counts_lines || self.split.may_make_lines() {
            let passed = if self.split.makes_lines() { self.from..next_start } else { lines.clone() };
            self.line += newlines(&buffer[passed]);
        }
        let block = Block {
            file: self.file,
            index: *self.index,
            offset: self.offset + self.from as u64,
            first_line,
            buffer,
            recipe: self.split.take(self.from, next_start, dropped),
            lines,
            permit: self.permit.take(),
            ..Block::default()
        };
        *self.index += 1;
        self.offset += next_start as u64;
        self.from = 0;
        self.target = self.block_size;
        block
    }
}
