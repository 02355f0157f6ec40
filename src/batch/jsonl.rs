//! Records read from JSON Lines.

use std::collections::VecDeque;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Stream, ready};
use tokio::io::{AsyncRead, ReadBuf};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::{MaxErrors, OnError, Settings, too_many_rejected};
use crate::output::write_reject;
use crate::query::READER;
use crate::record::Record;
use crate::scan::{Batch, Limits, Reason, Scanner, Span};

/// The bytes that are read at a time, at most.
const BLOCK: usize = 64 << 10;
/// The bytes of a rejected line that are kept.
const MAX_RAW: usize = 1 << 20;

/// Reads records from an [`AsyncRead`] of JSON Lines, with the validation and the rejects of queries: every byte is
/// validated, a bad line never affects the next one, blank lines are skipped, and line ends may be those of Windows.
///
/// Bad lines are left out and counted, unless [`on_error`](JsonlStream::on_error) or
/// [`max_errors`](JsonlStream::max_errors) say that they end the stream. Memory is bounded by 64 KiB and the longest line,
/// twice. What is compressed has to be decompressed before.
///
/// ```
/// use foldl::batch::JsonlStream;
/// use futures::{StreamExt, TryStreamExt};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let mut records = JsonlStream::new(&b"{\"id\": 7}\n{bad}\n{\"id\": 9}\n"[..]);
/// let mut ids = Vec::new();
/// while let Some(record) = records.try_next().await? {
///     ids.extend(record.i64("id"));
/// }
/// assert_eq!(ids, [7, 9]);
/// assert_eq!((records.records(), records.rejected()), (2, 1));
/// # Ok::<(), foldl::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ErrorKind::Input`] when reading fails; [`ErrorKind::Rejected`], with the place of the line, when bad lines end the
/// stream; [`ErrorKind::Output`] when the rejects cannot be written. An error is the last item.
pub struct JsonlStream<R> {
    input: R,
    name: String,
    limits: Limits,
    on_error: OnError,
    max_errors: Option<MaxErrors>,
    rejects: Option<Box<dyn Write + Send>>,
    scanner: Scanner,
    batch: Batch,
    /// What was read: `taken` bytes of it are done with, whole lines up to `scanned` are in the batch.
    block: Vec<u8>,
    scanned: usize,
    /// The bytes of the block that are known to have no line end.
    searched: usize,
    /// Where reads go first.
    chunk: Box<[u8]>,
    rows: VecDeque<Span>,
    /// The offset of the block in the input, and its first line, from 0.
    offset: u64,
    line: u64,
    /// The start of a line that is longer than the limit, its offset, and how long it is so far.
    overlong: Option<Overlong>,
    records: u64,
    rejected: u64,
    begun: bool,
    read_all: bool,
    ended: bool,
    error: Option<Error>,
}

struct Overlong {
    prefix: Vec<u8>,
    offset: u64,
}

impl<R: AsyncRead + Unpin> JsonlStream<R> {
    /// Reads `input`.
    pub fn new(input: R) -> JsonlStream<R> {
        let limits = Limits::default();
        JsonlStream {
            input,
            name: READER.to_owned(),
            limits,
            on_error: OnError::Skip,
            max_errors: None,
            rejects: None,
            scanner: Scanner::new(&[], limits),
            batch: Batch::default(),
            block: Vec::new(),
            scanned: 0,
            searched: 0,
            chunk: vec![0; BLOCK].into(),
            rows: VecDeque::new(),
            offset: 0,
            line: 0,
            overlong: None,
            records: 0,
            rejected: 0,
            begun: false,
            read_all: false,
            ended: false,
            error: None,
        }
    }

    /// The name of the input in messages and rejects. By default `reader`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The longest line, in bytes, from 1 to [`Settings::MAX_LINE`], which stands for what is beyond that; longer ones are
    /// rejected. The default is 16 MiB.
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.limits.max_line = bytes.clamp(1, Settings::MAX_LINE);
        self.scanner = Scanner::new(&[], self.limits);
        self
    }

    /// The deepest nesting of arrays and objects; deeper lines are rejected. The default is 128.
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.limits.max_depth = depth;
        self.scanner = Scanner::new(&[], self.limits);
        self
    }

    /// What to do with a line that is no valid record. By default it is left out and counted.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// How many rejected lines end the stream with [`ErrorKind::Rejected`]. By default there is no limit.
    pub fn max_errors(mut self, max_errors: MaxErrors) -> Self {
        self.max_errors = Some(max_errors);
        self
    }

    /// Writes the rejected lines somewhere, as JSON Lines with `file`, `line`, `offset`, `reason` and `raw`. What is written
    /// to blocks the stream.
    pub fn rejects(mut self, rejects: impl Write + Send + 'static) -> Self {
        self.rejects = Some(Box::new(rejects));
        self
    }

    /// How many records were found so far, those that were not taken yet included.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many lines were rejected so far.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Reads more, at the end of the block. `false` at the end of the input.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        let mut buffer = ReadBuf::new(&mut self.chunk);
        ready!(Pin::new(&mut self.input).poll_read(cx, &mut buffer)).map_err(|error| {
            Error::new(ErrorKind::Input, "cannot read").at(Place::File(self.name.clone().into())).caused_by(error)
        })?;
        self.block.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    }

    /// Drops what was scanned, all of which was taken.
    fn drop_scanned(&mut self) {
        self.offset += self.scanned as u64;
        self.block.drain(..self.scanned);
        (self.scanned, self.searched) = (0, 0);
    }

    /// Scans the whole lines of the block. At the end of the input the last line counts as one.
    ///
    /// # Errors
    /// A line that ends the stream. Records before it can be taken.
    fn scan(&mut self) -> Result<()> {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        if !self.begun && (self.block.len() >= MARK.len() || self.read_all || !MARK.starts_with(&self.block)) {
            self.begun = true;
            if self.block.starts_with(MARK) {
                self.scanned = MARK.len();
                self.drop_scanned();
            }
        }
        if !self.begun {
            return Ok(());
        }
        if let Some(overlong) = &mut self.overlong {
            // The rest of a line that is rejected.
            let end = memchr::memchr(b'\n', &self.block);
            let rest = &self.block[..end.unwrap_or(self.block.len())];
            let room = self.limits.max_line.min(MAX_RAW).saturating_sub(overlong.prefix.len());
            overlong.prefix.extend_from_slice(&rest[..rest.len().min(room)]);
            self.scanned = end.map_or(self.block.len(), |end| end + 1);
            self.drop_scanned();
            if end.is_none() && !self.read_all {
                return Ok(());
            }
            if let Some(Overlong { prefix, offset }) = self.overlong.take() {
                self.line += 1;
                self.reject(self.line - 1, offset, Reason::TooLong, self.limits.max_line, &prefix, true)?;
            }
        }
        let new = std::mem::replace(&mut self.searched, self.block.len());
        let end = match memchr::memrchr(b'\n', &self.block[new..]) {
            _ if self.read_all => self.block.len(),
            Some(last) => new + last + 1,
            None if self.block.len() > self.limits.max_line + 1 => {
                let kept = self.block.len().min(self.limits.max_line).min(MAX_RAW);
                self.overlong = Some(Overlong { prefix: self.block[..kept].to_vec(), offset: self.offset });
                self.scanned = self.block.len();
                self.drop_scanned();
                return Ok(());
            }
            None => return Ok(()),
        };
        let mut batch = std::mem::take(&mut self.batch);
        self.scanner.scan(&self.block[..end], &mut batch);
        self.scanned = end;
        let mut result = Ok(());
        let mut rows = batch.rows.iter().copied().peekable();
        for reject in &batch.rejects {
            while let Some(row) = rows.next_if(|row| row.start < reject.span.start) {
                self.rows.push_back(row);
                self.records += 1;
            }
            let raw = reject.span.of(&self.block).to_vec();
            let offset = self.offset + u64::from(reject.span.start);
            // Of a line that is too long, what may be one, as of one that no block holds.
            let is_too_long = reject.reason == Reason::TooLong;
            let most = if is_too_long { self.limits.max_line } else { MAX_RAW };
            let kept = raw.len().min(most).min(MAX_RAW);
            result = self.reject(
                self.line + reject.line,
                offset,
                reject.reason,
                reject.at as usize,
                &raw[..kept],
                is_too_long || kept < raw.len(),
            );
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() {
            self.records += rows.len() as u64;
            self.rows.extend(rows);
        }
        self.line += batch.lines;
        self.batch = batch;
        result
    }

    fn reject(&mut self, line: u64, offset: u64, reason: Reason, at: usize, raw: &[u8], truncated: bool) -> Result<()> {
        self.rejected += 1;
        if let Some(rejects) = &mut self.rejects {
            write_reject(rejects, &self.name, line + 1, offset, &reason.to_string(), raw, truncated)?;
        }
        if self.on_error == OnError::Fail {
            let place = Place::Record { file: self.name.clone(), line: line + 1, offset };
            return Err(Error::new(ErrorKind::Rejected, format!("{reason} at byte {at}")).at(place));
        }
        match self.max_errors {
            Some(MaxErrors::Count(most)) if self.rejected > most => {
                Err(too_many_rejected(None, self.rejected, &most.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// What is to be said when all was read.
    fn end(&mut self) -> Result<()> {
        if let Some(rejects) = &mut self.rejects {
            rejects.flush().map_err(crate::output::write_error)?;
        }
        let all = self.records + self.rejected;
        match self.max_errors {
            Some(MaxErrors::Percent(most)) if self.rejected as f64 * 100.0 > most * all as f64 => {
                Err(too_many_rejected(None, self.rejected, &format!("{most} % of {all}")))
            }
            _ => Ok(()),
        }
    }
}

impl<R: AsyncRead + Unpin> Stream for JsonlStream<R> {
    type Item = Result<Record<'static>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(row) = this.rows.pop_front() {
                return Poll::Ready(Some(Ok(Record::owned(row.of(&this.block).to_vec()))));
            }
            if let Some(error) = this.error.take() {
                this.ended = true;
                // The error that ends the stream is the one to tell.
                drop(this.rejects.take().map(|mut rejects| rejects.flush()));
                return Poll::Ready(Some(Err(error)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            this.drop_scanned();
            if this.read_all {
                this.ended = true;
                return Poll::Ready(this.end().err().map(Err));
            }
            match ready!(this.poll_read(cx)) {
                Ok(more) => {
                    this.read_all = !more;
                    this.error = this.scan().err();
                }
                Err(error) => this.error = Some(error),
            }
        }
    }
}
