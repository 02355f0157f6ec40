//! Streams: standard input, pipes, devices and compressed files, each read by a thread of its own.
//!
//! The thread fills a buffer up to the block size, cuts it after its last newline, queues what is before the cut and
//! carries the rest into the next buffer. So a buffer always begins where a line begins. A line that does not fit
//! makes the buffer grow up to the longest line that is allowed; beyond that the line is reported and its rest is
//! dropped as it is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use memchr::{memchr, memchr_iter, memrchr};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::block::{Block, Buffer, MAX_PREFIX, Permit};
use super::codec::{self, Sniff};
use super::source::Feed;
use super::{Limits, Shared};
use crate::error::{Error, ErrorKind, Result};

/// The byte order mark of UTF-8, which is dropped where a file begins with it.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";
/// How long lines may wait, in milliseconds, for the queue to run empty or for more bytes.
const PATIENCE: u8 = 1;
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
    buffer: Buffer,
    permit: Option<Permit>,
    ended: bool,
    /// Where the first line begins: not 0 only after a byte order mark.
    from: usize,
    len: usize,
    /// Up to where the buffer is to be filled before it is cut.
    target: usize,
    /// The first `clean` bytes have no newline.
    clean: usize,
    /// Whether the rest of an overlong line is being dropped.
    skipping: bool,
    /// The offset of the buffer's first byte in the decompressed stream.
    offset: u64,
    /// The number of lines before it.
    line: u64,
    /// The number of blocks queued.
    index: &'a mut u64,
}

/// Whether to go on.
type Proceed = bool;

impl<'a> Cutter<'a> {
    fn new(shared: &'a Shared, file: u32, input: Bytes, index: &'a mut u64) -> Result<Cutter<'a>> {
        let limits = &shared.limits;
        Ok(Cutter {
            shared,
            limits,
            file,
            input,
            buffer: shared.buffer()?,
            permit: None,
            ended: false,
            from: 0,
            len: 0,
            target: limits.block,
            clean: 0,
            skipping: false,
            offset: 0,
            line: 0,
            index,
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
            if let Some(end) = self.eager_end()
                && !self.queue(end, true)?
            {
                return Ok(());
            }
            if self.shared.is_stopped() {
                return Ok(());
            }
            match self.fill() {
                Ok(0) => return self.finish(),
                Ok(_) => {}
                Err(error) => {
                    // What was read before the error is good as far as its lines are whole.
                    if let Some(end) = self.last_line_end() {
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
            let decoder = codec::decoder(codec, magic.chain(input), taken).map_err(codec::error)?;
            self.input = Bytes::Decoder { decoder, packed };
        }
        while self.len < BOM.len() && BOM.starts_with(&self.buffer[..self.len]) {
            if self.shared.is_stopped() {
                return Ok(false);
            }
            if self.fill_to(self.len + 1)? == 0 {
                break;
            }
        }
        if self.buffer[..self.len].starts_with(BOM) {
            self.from = BOM.len();
            self.clean = BOM.len();
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
        let n = loop {
            match self.input.read(&mut self.buffer[self.len..target]) {
                Ok(n) => break n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(self.input, Bytes::Decoder { .. }) => return Err(codec::error(error)),
                Err(error) => return Err(failed(error)),
            }
        };
        self.ended = n == 0;
        self.len += n;
        self.shared.decompressed.fetch_add(n as u64, Ordering::Relaxed);
        if !matches!(self.input, Bytes::Decoder { .. }) {
            self.shared.taken.fetch_add(n as u64, Ordering::Relaxed);
        }
        Ok(n)
    }

    /// The end of the last whole line in the buffer.
    fn last_line_end(&self) -> Option<usize> {
        let clean = self.clean.min(self.len);
        memrchr(b'\n', &self.buffer[clean..self.len]).map(|newline| clean + newline + 1)
    }

    /// Where to cut now because no more bytes are ready. While the workers have enough to do, larger blocks are better
    /// than early ones; so this waits until either they run dry or the input goes on.
    fn eager_end(&mut self) -> Option<usize> {
        if self.len == self.from || self.skipping || !self.input.dry(0) {
            return None;
        }
        let end = self.last_line_end()?;
        loop {
            if self.shared.is_starved(self.file) {
                return Some(end);
            }
            match &self.input {
                // There is no way to wait for such a reader and for the workers.
                Bytes::Reader { .. } => return Some(end),
                _ if !self.input.dry(PATIENCE) => return None,
                _ => {}
            }
        }
    }

    /// The buffer is filled up to the target: queues its whole lines, or makes room for the one line that fills it.
    fn cut(&mut self) -> Result<Proceed> {
        if let Some(end) = self.last_line_end() {
            return self.queue(end, false);
        }
        self.clean = self.len;
        if self.len - self.from > self.limits.max_line {
            return self.drop_line();
        }
        // In steps of at most a block, so that what follows the line's end fits into an ordinary buffer.
        let longest = self.from + self.limits.max_line + 1;
        self.target = longest.min(self.len + self.limits.block);
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

    /// Reports the line that fills the buffer as too long. Its rest is dropped from now on.
    fn drop_line(&mut self) -> Result<Proceed> {
        let prefix = self.from..self.from + self.limits.max_line.min(MAX_PREFIX);
        let next = self.shared.buffer()?;
        let end = self.len;
        let mut block = self.block(next, self.from, end);
        block.overlong = Some(prefix);
        self.line += 1;
        self.len = 0;
        self.skipping = true;
        Ok(self.shared.push(block))
    }

    /// Drops what was read up to the end of the line.
    fn skip(&mut self) {
        let newline = memchr(b'\n', &self.buffer[..self.len]);
        let n = newline.map_or(self.len, |newline| newline + 1);
        self.buffer.copy_within(n..self.len, 0);
        self.len -= n;
        self.offset += n as u64;
        self.skipping = newline.is_none();
    }

    /// Queues the lines up to `end` and carries the rest into a new buffer.
    fn queue(&mut self, end: usize, eager: bool) -> Result<Proceed> {
        let mut next = self.shared.buffer()?;
        let rest = self.len - end;
        next[..rest].copy_from_slice(&self.buffer[end..self.len]);
        let mut block = self.block(next, end, end);
        block.eager = eager;
        self.len = rest;
        Ok(self.shared.push(block))
    }

    /// Queues everything that is left as the last block.
    fn finish(mut self) -> Result<()> {
        let end = self.len;
        let mut block = self.block(Buffer::default(), end, end);
        block.last = true;
        self.shared.push(block);
        Ok(())
    }

    /// The block of the lines up to `lines_end`. The next buffer begins with what stood at `next_start`.
    fn block(&mut self, next: Buffer, lines_end: usize, next_start: usize) -> Block {
        let lines = self.from..lines_end;
        let buffer = std::mem::replace(&mut self.buffer, next);
        let first_line = self.limits.count_lines.then_some(self.line);
        if self.limits.count_lines {
            self.line += memchr_iter(b'\n', &buffer[lines.clone()]).count() as u64;
        }
        let block = Block {
            file: self.file,
            index: *self.index,
            offset: self.offset + self.from as u64,
            first_line,
            buffer,
            lines,
            permit: self.permit.take(),
            ..Block::default()
        };
        *self.index += 1;
        self.offset += next_start as u64;
        self.from = 0;
        self.clean = 0;
        self.target = self.limits.block;
        block
    }
}
