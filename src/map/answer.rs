//! What a child answers to a batch: kept until it is known to be whole, and looked at as it comes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::child::Failed;
use super::fault::Fault;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::memory::{Budget, Reservation};
use crate::scan::{Batch as Found, Limits, Scanner};

/// The least room for a read, and what is copied at a time.
const ROOM: usize = 64 << 10;
/// The most bytes that are looked at in one go, so that they are still in the cache.
const LOOK: usize = 256 << 10;

/// Where an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until<'e> {
    /// When the child closes its output.
    Closed,
    /// After so many lines.
    Lines(u64),
    /// Before a line that is this one.
    Line(&'e [u8]),
}

/// What all answers have in common.
pub(super) struct Terms {
    /// Whether lines have to be JSON.
    pub(super) json: bool,
    pub(super) limits: Limits,
    /// The bytes of an answer that are kept in memory.
    pub(super) in_memory: usize,
    /// The most bytes of an answer.
    pub(super) most: u64,
    pub(super) budget: Budget,
    pub(super) temporary: Arc<Temporary>,
}

/// The disk space for answers that are too long for the memory.
pub(super) struct Temporary {
    pub(super) directory: PathBuf,
    pub(super) limit: Option<u64>,
    pub(super) used: AtomicU64,
    /// All bytes that ever were written.
    pub(super) written: AtomicU64,
}

/// The lines of an answer that are kept, ready to be written.
#[derive(Default)]
pub(super) struct Lines {
    spooled: Option<Spool>,
    pub(super) buffer: Vec<u8>,
    len: usize,
    pub(super) count: u64,
    /// The memory beyond the share of an answer.
    _beyond: Option<Reservation>,
}

/// The start of an answer, on disk.
struct Spool {
    file: File,
    len: u64,
    temporary: Arc<Temporary>,
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.temporary.used.fetch_sub(self.len, Ordering::Relaxed);
    }
}

impl Lines {
    /// The bytes of all lines.
    pub(super) fn bytes(&self) -> u64 {
        self.spooled.as_ref().map_or(0, |spool| spool.len) + self.len as u64
    }

    /// Writes the lines.
    pub(super) fn write(&mut self, out: &mut impl Write) -> Result<()> {
        if let Some(spool) = &mut self.spooled {
            let mut piece = vec![0; ROOM];
            let mut left = spool.len;
            spool.file.seek(SeekFrom::Start(0)).map_err(|error| spool.temporary.unreadable(error))?;
            while left > 0 {
                let len = usize::try_from(left).unwrap_or(ROOM).min(ROOM);
                spool.file.read_exact(&mut piece[..len]).map_err(|error| spool.temporary.unreadable(error))?;
                out.write_all(&piece[..len]).map_err(crate::output::write_error)?;
                left -= len as u64;
            }
        }
        out.write_all(&self.buffer[..self.len]).map_err(crate::output::write_error)
    }
}

/// An answer as it comes.
pub(super) struct Answer<'t> {
    terms: &'t Terms,
    scanner: Scanner,
    found: Found,
    /// All of it can be written to; `filled` bytes have come.
    buffer: Vec<u8>,
    filled: usize,
    /// Those of them that were looked at: whole lines, unless lines can be anything.
    checked: usize,
    lines: u64,
    /// Whether what was looked at ends within a line.
    within_line: bool,
    spool: Option<Spool>,
    beyond: Option<Reservation>,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to come.
    Begun,
    /// This is all of it.
    Whole,
}

impl<'t> Answer<'t> {
    pub(super) fn new(terms: &'t Terms) -> Answer<'t> {
        Answer {
            terms,
            scanner: Scanner::new(&[], terms.limits),
            found: Found::default(),
            buffer: Vec::new(),
            filled: 0,
            checked: 0,
            lines: 0,
            within_line: false,
            spool: None,
            beyond: None,
        }
    }

    /// Begins anew, with a buffer that may be used.
    pub(super) fn clear(&mut self, spare: impl FnOnce() -> Vec<u8>) {
        if self.buffer.is_empty() {
            self.buffer = spare();
        }
        if self.beyond.take().is_some() {
            self.buffer = Vec::new();
        }
        (self.filled, self.checked, self.lines, self.within_line, self.spool) = (0, 0, 0, false, None);
    }

    /// Reads what is there. `Ok(0)` at the end.
    pub(super) fn read(&mut self, pipe: &mut impl Read) -> Result<io::Result<usize>, Failed> {
        if self.buffer.len() - self.filled < ROOM {
            self.make_room()?;
        }
        let read = pipe.read(&mut self.buffer[self.filled..]);
        if let Ok(read) = read {
            self.filled += read;
        }
        Ok(read)
    }

    /// Room for more: in a larger buffer, or by writing whole lines to disk.
    fn make_room(&mut self) -> Result<(), Failed> {
        let wanted = (2 * self.buffer.len()).max(2 * ROOM);
        if wanted <= self.terms.in_memory {
            self.buffer.resize(wanted, 0);
            return Ok(());
        }
        if self.buffer.len() < self.terms.in_memory {
            self.buffer.resize(self.terms.in_memory.max(2 * ROOM), 0);
            return Ok(());
        }
        if self.checked > 0 {
            self.spool_checked()?;
        }
        if self.buffer.len() - self.filled < ROOM {
            // One line that is longer than all that an answer may take.
            let mut beyond = self.beyond.take().unwrap_or_else(|| self.terms.budget.reservation("line of an answer"));
            let more = (wanted - self.terms.in_memory.min(wanted)) * 2;
            if !beyond.try_resize(more) {
                return Err(Fault::LongLine { line: self.lines + 1, bytes: self.filled - self.checked }.into());
            }
            self.beyond = Some(beyond);
            self.buffer.resize(wanted, 0);
        }
        Ok(())
    }

    fn spool_checked(&mut self) -> Result<()> {
        let temporary = &self.terms.temporary;
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => {
                let file = tempfile::tempfile_in(&temporary.directory).map_err(|error| temporary.unwritable(error))?;
                self.spool.insert(Spool { file, len: 0, temporary: Arc::clone(temporary) })
            }
        };
        let len = self.checked as u64;
        let used = temporary.used.fetch_add(len, Ordering::Relaxed) + len;
        spool.len += len;
        if let Some(limit) = temporary.limit.filter(|limit| used > *limit) {
            let message = format!("the limit of {} MiB of temporary space does not do", limit >> 20);
            return Err(Error::new(ErrorKind::Resource, message)
                .at(Place::File(temporary.directory.clone()))
                .hint("raise --temp-limit, or --memory-limit; smaller batches have shorter answers"));
        }
        spool.file.write_all(&self.buffer[..self.checked]).map_err(|error| temporary.unwritable(error))?;
        temporary.written.fetch_add(len, Ordering::Relaxed);
        self.buffer.copy_within(self.checked..self.filled, 0);
        self.filled -= self.checked;
        self.checked = 0;
        Ok(())
    }

    /// Looks at what has come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn look(&mut self, until: Until<'_>) -> Result<Progress, Fault> {
        let spooled = self.spool.as_ref().map_or(0, |spool| spool.len);
        if spooled + self.filled as u64 > self.terms.most {
            return Err(Fault::TooLong { most: self.terms.most });
        }
        let new = &self.buffer[self.checked..self.filled];
        if !self.terms.json && until == Until::Closed {
            // However long lines are, they need not be kept together.
            self.lines += memchr::memchr_iter(b'\n', new).count() as u64;
            self.within_line = new.last().map_or(self.within_line, |last| *last != b'\n');
            self.checked = self.filled;
            return Ok(Progress::Begun);
        }
        let Some(end) = memchr::memrchr(b'\n', new).map(|last| self.checked + last + 1) else {
            if self.terms.json && new.len() > self.terms.limits.max_line {
                return Err(Fault::NotJson { line: self.lines + 1, reason: Some(crate::scan::Reason::TooLong) });
            }
            return self.surplus(until, self.filled);
        };
        if let Until::Line(last) = until
            && let Some(at) = find_line(&self.buffer[self.checked..end], last)
        {
            let at = self.checked + at;
            self.check(at)?;
            let surplus = self.filled > at + last.len() + 1;
            self.filled = at;
            return if surplus { Err(Fault::Surplus) } else { Ok(Progress::Whole) };
        }
        self.check(end)?;
        self.surplus(until, end)
    }

    /// Whether there is all that is wanted, or more.
    fn surplus(&self, until: Until<'_>, end: usize) -> Result<Progress, Fault> {
        let Until::Lines(wanted) = until else { return Ok(Progress::Begun) };
        match self.lines.cmp(&wanted) {
            std::cmp::Ordering::Less => Ok(Progress::Begun),
            std::cmp::Ordering::Equal if end == self.filled && self.checked == end => Ok(Progress::Whole),
            _ => Err(Fault::Surplus),
        }
    }

    /// Looks at whole lines up to `end`.
    fn check(&mut self, end: usize) -> Result<(), Fault> {
        while self.checked < end {
            let rest = &self.buffer[self.checked..end];
            let piece = match memchr::memrchr(b'\n', &rest[..rest.len().min(LOOK)]) {
                Some(last) => &rest[..=last],
                None => &rest[..memchr::memchr(b'\n', rest).map_or(rest.len(), |last| last + 1)],
            };
            if self.terms.json {
                self.scanner.scan(piece, &mut self.found);
                let (lines, rows) = (self.found.lines, self.found.rows.len() as u64);
                if let Some(reject) = self.found.rejects.first() {
                    return Err(Fault::NotJson { line: self.lines + reject.line + 1, reason: Some(reject.reason) });
                }
                if rows != lines {
                    let blank = piece.split(|&byte| byte == b'\n').position(|line| line.trim_ascii().is_empty());
                    return Err(Fault::NotJson { line: self.lines + blank.unwrap_or(0) as u64 + 1, reason: None });
                }
                self.lines += lines;
            } else {
                self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
            }
            self.checked += piece.len();
        }
        Ok(())
    }

    /// How many whole lines have come.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Whether the last line has no end.
    pub(super) fn ends_within_line(&self) -> bool {
        self.within_line || self.checked < self.filled
    }

    /// The lines, all of which were looked at.
    pub(super) fn take(&mut self) -> Lines {
        Lines {
            spooled: self.spool.take(),
            buffer: std::mem::take(&mut self.buffer),
            len: std::mem::take(&mut self.filled),
            count: self.lines,
            _beyond: self.beyond.take(),
        }
    }
}

/// Where a line begins that is `line`, among whole lines.
pub(super) fn find_line(lines: &[u8], line: &[u8]) -> Option<usize> {
    let is_line = |&at: &usize| (at == 0 || lines[at - 1] == b'\n') && lines.get(at + line.len()) == Some(&b'\n');
    memchr::memmem::find_iter(lines, line).find(is_line)
}

impl Temporary {
    fn unwritable(&self, error: io::Error) -> Error {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let (kind, message) = match full {
            true => (ErrorKind::Resource, "the disk for temporary files is full"),
            false => (ErrorKind::Output, "cannot write a temporary file"),
        };
        Error::new(kind, message)
            .at(Place::File(self.directory.clone()))
            .caused_by(error)
            .hint("--temp-dir names another directory; with a higher --memory-limit less is written there")
    }

    fn unreadable(&self, error: io::Error) -> Error {
        Error::new(ErrorKind::Input, "cannot read a temporary file")
            .at(Place::File(self.directory.clone()))
            .caused_by(error)
    }
}
