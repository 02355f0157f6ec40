//! Inputs: files and streams, cut into blocks of whole lines.
//!
//! Workers share one [`Input`] and pull blocks from it. A local regular file that is not compressed is read by the
//! workers themselves, each its own chunk by position, so that one file keeps all of them busy and the bytes land in
//! the cache of the one that needs them. Anything else has a thread that reads, decompresses and cuts. No input is
//! ever memory-mapped: a file that another process truncates is an error here, not a signal.

mod block;
mod codec;
mod csv;
mod kind;
mod made;
#[cfg(test)]
mod made_tests;
mod plain;
mod source;
mod split;
mod stream;
#[cfg(test)]
mod tests;
mod values;
mod window;

use std::io::Read;
use std::iter::Sum;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use block::{Block, MAX_PREFIX, Overlong};
pub use kind::InputFormat;
pub(crate) use kind::is_compressed_name;
use kind::is_gzip_name;
pub use source::{Source, expand, is_plain_lines, stands_for_none, within};

use crate::error::{Error, ErrorKind, Place, Result};
use block::{Buffer, Gate, Permit};
use kind::Kind;
use source::{Feed, Origin};
use window::{Dispatch, Step};

/// How many blocks of one stream may wait for workers.
const QUEUE: usize = 4;
/// How much longer than a block a buffer is, at most, so that the end of a chunk's last line mostly fits too.
const SLACK: usize = 64 << 10;
/// Room for what is read to recognise compression and a byte order mark.
const MIN_SLACK: usize = 8;

/// How inputs are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputOptions {
    /// The size of blocks in bytes, from 1. It is lowered to `max_line`.
    pub block_size: usize,
    /// The longest line in bytes, without its newline. Less than 8 is taken as 8.
    pub max_line: usize,
    /// Whether blocks have the number of their first line. Each file is then read by one thread.
    pub count_lines: bool,
    /// How many blocks may be handed out and not retired, of the earliest file that is not done and, as many again,
    /// of all later ones. `None`: no bound, and [`Input::retire`] need not be called.
    pub window: Option<usize>,
    /// How many files that are compressed or no JSON Lines, and streams, are read at the same time, from 1.
    pub decoders: usize,
    /// The longest window of compressed data in bytes, up to [`InputOptions::MAX_WINDOW`]: it is memory that the data asks
    /// for.
    pub max_window: usize,
    /// The memory limit with which any window may be had, in bytes, for the error that refuses one.
    pub memory_for_windows: Option<usize>,
    /// The format of all inputs. `None`: the names of files tell (`.csv`, `.tsv`, and `.json` if it is an array), and
    /// all others are JSON Lines.
    pub format: Option<InputFormat>,
    /// Whether the first row of CSV and TSV names the columns. If not, they are named `column0` and so on.
    pub header: bool,
    /// Whether blocks of a file are handed out only when all of the files before it have been.
    pub in_order: bool,
    /// For each source how many blocks of it are left out, as they were handed out by another input with the same options:
    /// [`InputOptions::ALL`] is the whole source. None of those that are not there.
    pub done: Vec<u64>,
    /// For each source the part of it that is read. All of those that are not there.
    pub parts: Vec<FilePart>,
}

/// The part of a source that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// Where it begins, at the start of a line. Not 0 of regular files that are JSON Lines and not compressed alone.
    pub start: u64,
    /// The lines before that.
    pub lines: u64,
    /// Where it ends, at the latest, unless the source is compressed: at the end of a line or of the source.
    pub end: u64,
    /// What the order of records goes by, where it is not that of the sources.
    pub rank: u32,
}

impl FilePart {
    /// All of a source.
    pub fn whole(rank: u32) -> FilePart {
        FilePart { start: 0, lines: 0, end: u64::MAX, rank }
    }
}

impl Default for InputOptions {
    /// Blocks of 256 KiB, lines of up to 16 MiB, no line numbers, no window, 4 decoders, formats by name, headers.
    fn default() -> InputOptions {
        InputOptions {
            block_size: 256 << 10,
            max_line: 16 << 20,
            count_lines: false,
            window: None,
            decoders: 4,
            max_window: InputOptions::MAX_WINDOW,
            memory_for_windows: None,
            format: None,
            header: true,
            in_order: false,
            done: Vec::new(),
            parts: Vec::new(),
        }
    }
}

impl InputOptions {
    /// The greatest `max_window`, in bytes.
    pub const MAX_WINDOW: usize = 128 << 20;
    /// All blocks of a source.
    pub const ALL: u64 = u64::MAX;

    /// The most bytes that buffers take with `threads` workers, as long as all is JSON Lines and no line is longer than a
    /// block. Longer lines add up to twice the sum of `max_line` and `block_size`; decompression adds its windows. For
    /// another format each worker adds the lines that it makes of a block: mostly less than twice as much, and never more
    /// than ten times.
    pub fn memory(&self, threads: usize) -> usize {
        let limits = Limits::from(self.clone());
        // The front may have a decoder in addition, and a thread that waits for room holds two buffers.
        let streams = limits.decoders.saturating_add(1).saturating_mul(QUEUE + 2);
        threads.saturating_add(streams).saturating_mul(limits.capacity)
    }
}

/// What the options come to.
#[derive(Debug)]
struct Limits {
    block: usize,
    /// The size of an ordinary buffer.
    capacity: usize,
    max_line: usize,
    count_lines: bool,
    window: Option<usize>,
    decoders: usize,
    max_window: usize,
    memory_for_windows: Option<usize>,
    in_order: bool,
    done: Vec<u64>,
    parts: Vec<FilePart>,
}

impl Limits {
    /// The part of a file that is read.
    fn part(&self, file: u32) -> FilePart {
        self.parts.get(file as usize).copied().unwrap_or(FilePart::whole(file))
    }

    /// How many blocks of a file are left out.
    fn done(&self, file: u32) -> u64 {
        self.done.get(file as usize).copied().unwrap_or(0)
    }
}

impl From<InputOptions> for Limits {
    fn from(options: InputOptions) -> Limits {
        let max_line = options.max_line.max(MIN_SLACK);
        let block = options.block_size.clamp(1, max_line);
        Limits {
            block,
            capacity: block + block.clamp(MIN_SLACK, SLACK),
            max_line,
            count_lines: options.count_lines,
            window: options.window.map(|window| window.max(1)),
            decoders: options.decoders.max(1),
            max_window: options.max_window.min(InputOptions::MAX_WINDOW),
            memory_for_windows: options.memory_for_windows,
            in_order: options.in_order,
            done: options.done,
            parts: options.parts,
        }
    }
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the inputs as they are stored: compressed ones where they are compressed.
    pub bytes: u64,
    /// How many of these there are, if all inputs have a size.
    pub total: Option<u64>,
    /// Bytes after decompression.
    pub decompressed: u64,
}

impl Sum for Progress {
    /// How far several inputs have been read, which have a size if all of them have one.
    fn sum<I: Iterator<Item = Progress>>(all: I) -> Progress {
        all.fold(Progress { total: Some(0), ..Progress::default() }, |sum, other| Progress {
            bytes: sum.bytes + other.bytes,
            total: sum.total.zip(other.total).map(|(sum, other)| sum + other),
            decompressed: sum.decompressed + other.decompressed,
        })
    }
}

/// The inputs of a run, shared by its workers by reference.
///
/// ```
/// use foldl::input::{Block, Input, InputOptions};
///
/// let input = Input::from_reader(&b"{\"a\":1}\n{\"a\":2}\n"[..], "example", InputOptions::default())?;
/// let mut block = Block::new();
/// let mut lines = 0;
/// while input.next(&mut block)? {
///     lines += block.bytes().split_inclusive(|&byte| byte == b'\n').count();
/// }
/// assert_eq!(lines, 2);
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct Input {
    shared: Arc<Shared>,
    names: Vec<String>,
    ranks: Vec<u32>,
    total: Option<u64>,
    /// For each source that is read as a stream, as far as can be told from outside, the bytes that it takes.
    streams: Vec<usize>,
}

/// What the workers and the reader threads share.
struct Shared {
    limits: Limits,
    /// How each file is read.
    kinds: Vec<Kind>,
    dispatch: Mutex<Dispatch>,
    /// There may be something for a worker to do.
    work: Condvar,
    /// A queue has room, or another file has become the front.
    room: Condvar,
    stopped: AtomicBool,
    /// Workers that read a long line, and reader threads that do: apart, so that a worker never waits for a block
    /// that needs a worker.
    worker_gate: Arc<Gate>,
    stream_gate: Arc<Gate>,
    /// See [`Progress`].
    taken: Arc<AtomicU64>,
    decompressed: AtomicU64,
}

impl Input {
    /// Reads `sources`, as one input after the other. They are looked at now and opened when their turn comes.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a source that does not exist or is a directory.
    pub fn open(sources: Vec<Source>, options: InputOptions) -> Result<Input> {
        let mut names = Vec::with_capacity(sources.len());
        let mut origins = Vec::with_capacity(sources.len());
        let mut kinds = Vec::with_capacity(sources.len());
        let (mut total, mut streams) = (Some(0), Vec::new());
        for source in sources {
            let (name, by_name) = match &source {
                Source::Stdin => ("-".to_string(), Kind::Lines),
                Source::File(path) => (path.display().to_string(), Kind::of_file(path, options.header)),
            };
            names.push(name);
            kinds.push(options.format.map_or(by_name, |format| Kind::of_format(format, options.header)));
            let is_plain = match &source {
                Source::Stdin => false,
                Source::File(path) => !options.count_lines && !is_compressed_name(path),
            };
            let (origin, size) = Origin::of(source)?;
            let part = options.parts.get(origins.len()).copied().unwrap_or(FilePart::whole(0));
            let size = size.map(|size| size.min(part.end).saturating_sub(part.start));
            let is_plain = is_plain && size.is_some() && matches!(kinds.last(), Some(Kind::Lines));
            if !is_plain {
                let codec = match names.last().is_some_and(|name| is_gzip_name(Path::new(name))) {
                    true => codec::STATE,
                    false => codec::STATE + options.max_window,
                };
                streams.push(codec);
            }
            total = total.zip(size).map(|(total, size)| total + size);
            origins.push(origin);
        }
        Ok(Input::new(origins, names, kinds, (total, streams), options))
    }

    /// Reads what `reader` gives, compressed or not, as one input of the given name. When a read gives less than it
    /// was asked for, the whole lines that are there go on at once. The name does not tell the format.
    ///
    /// # Errors
    /// None today.
    pub fn from_reader(
        reader: impl Read + Send + 'static,
        name: impl Into<String>,
        options: InputOptions,
    ) -> Result<Input> {
        let kind = options.format.map_or(Kind::Lines, |format| Kind::of_format(format, options.header));
        Ok(Input::new(
            vec![Origin::Reader(Box::new(reader))],
            vec![name.into()],
            vec![kind],
            (None, vec![codec::STATE + options.max_window]),
            options,
        ))
    }

    fn new(
        origins: Vec<Origin>,
        names: Vec<String>,
        kinds: Vec<Kind>,
        (total, streams): (Option<u64>, Vec<usize>),
        options: InputOptions,
    ) -> Input {
        let ranks = options.parts.iter().map(|part| part.rank).collect();
        let shared = Shared {
            kinds,
            limits: Limits::from(options),
            dispatch: Mutex::new(Dispatch::new(origins)),
            work: Condvar::new(),
            room: Condvar::new(),
            stopped: AtomicBool::new(false),
            worker_gate: Arc::default(),
            stream_gate: Arc::default(),
            taken: Arc::default(),
            decompressed: AtomicU64::new(0),
        };
        Input { shared: Arc::new(shared), names, ranks, total, streams }
    }

    /// The names of the inputs as they were given; `-` is standard input. [`Block::file`] is an index into this.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The lines before what is read of an input.
    pub fn lines_before(&self, file: usize) -> u64 {
        self.shared.limits.parts.get(file).map_or(0, |part| part.lines)
    }

    /// What the order of records goes by, for each input; empty if that is their order here.
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// Fills `block` with the next block; `false` when there are no more, or reading was stopped. Waits while streams
    /// are slow or the window is full. The buffer of `block` is used again.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] when a file cannot be opened, read or decompressed, or became shorter meanwhile, with
    /// the file as its place; [`ErrorKind::Resource`] when there is no memory for a buffer. Every block before the
    /// one that failed was handed out by then, and `block.file` and `block.index` say which one that is. Reading is
    /// stopped: all later calls give `false`.
    pub fn next(&self, block: &mut Block) -> Result<bool> {
        let shared = &self.shared;
        block.clear(shared.limits.capacity);
        let mut dispatch = shared.lock();
        loop {
            match dispatch.step(&shared.limits) {
                Step::Chunk { file, plain, index } => {
                    drop(dispatch);
                    block.file = file;
                    match plain.read(index, &shared.limits, block, || shared.worker_gate.acquire()) {
                        Ok(ControlFlow::Continue(bytes)) => {
                            if block.last {
                                shared.work.notify_all();
                                shared.room.notify_all();
                            }
                            shared.taken.fetch_add(bytes, Ordering::Relaxed);
                            shared.decompressed.fetch_add(bytes, Ordering::Relaxed);
                            return Ok(true);
                        }
                        Ok(ControlFlow::Break(())) => {
                            block.clear(shared.limits.capacity);
                            return Ok(false);
                        }
                        Err(error) => {
                            block.clear(shared.limits.capacity);
                            dispatch = shared.lock();
                            dispatch.failed(file, index, self.place(error, file));
                        }
                    }
                }
                Step::Block(queued) => {
                    let old = std::mem::replace(block, queued);
                    if !old.buffer.is_empty() {
                        dispatch.spare.push(old.buffer);
                    }
                    drop(dispatch);
                    if block.last {
                        shared.work.notify_all();
                    }
                    shared.room.notify_all();
                    block.made = old.made;
                    block.make(shared.limits.max_line, shared.limits.capacity);
                    return Ok(true);
                }
                Step::Open(file, origin) => {
                    drop(dispatch);
                    let opened =
                        origin.open(shared.kinds[file as usize], shared.limits.count_lines, shared.limits.part(file));
                    dispatch = shared.lock();
                    match opened {
                        Ok(opened) => dispatch.opened(file, opened, &shared.limits),
                        Err(error) => dispatch.failed(file, 0, error),
                    }
                    shared.work.notify_all();
                }
                Step::Start(file, feed) => {
                    drop(dispatch);
                    let started = self.start(file, feed);
                    dispatch = shared.lock();
                    if let Err(error) = started {
                        dispatch.failed(file, 0, error);
                    }
                }
                Step::Failed { file, index, error } => {
                    drop(dispatch);
                    // Other workers may still be reading long lines of earlier blocks, which are good.
                    self.halt();
                    block.file = file;
                    block.index = index;
                    return Err(error);
                }
                Step::Wait => dispatch = shared.work.wait(dispatch).unwrap_or_else(PoisonError::into_inner),
                Step::End => return Ok(false),
            }
        }
    }

    /// Says that the consumer is done with one block of `file`, so that the window moves on. To be called once for
    /// each block, by any thread. The blocks of a file may be retired in any order.
    pub fn retire(&self, file: u32) {
        if self.shared.limits.window.is_some() {
            self.shared.lock().retire(file);
            self.shared.work.notify_all();
            self.shared.room.notify_all();
        }
    }

    /// Stops reading: every waiting and later [`next`](Input::next) gives `false` soon, and reader threads end. One
    /// that waits for bytes of a silent stream ends when these come, or with the process.
    pub fn stop(&self) {
        self.halt();
        self.shared.worker_gate.close();
    }

    /// Hands nothing out any more, but lets workers read to the end what they have.
    fn halt(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let left = self.shared.lock().stop();
        drop(left);
        self.shared.stream_gate.close();
        self.shared.work.notify_all();
        self.shared.room.notify_all();
    }

    /// The bytes that streams take that are read at the same time, as far as can be told from outside: queued blocks, and
    /// decoders.
    pub fn stream_memory(&self) -> usize {
        let limits = &self.shared.limits;
        let mut streams = self.streams.clone();
        streams.sort_unstable_by_key(|memory| std::cmp::Reverse(*memory));
        // The front may have a decoder in addition.
        streams.iter().take(limits.decoders + 1).map(|memory| memory + (QUEUE + 2) * limits.capacity).sum()
    }

    /// How far reading has come. Cheap; may be called from any thread at any time.
    pub fn progress(&self) -> Progress {
        Progress {
            bytes: self.shared.taken.load(Ordering::Relaxed),
            total: self.total,
            decompressed: self.shared.decompressed.load(Ordering::Relaxed),
        }
    }

    /// Starts the reader thread of a file. It is never joined, as it may be waiting for bytes that never come.
    fn start(&self, file: u32, feed: Feed) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let place = Place::File(PathBuf::from(&self.names[file as usize]));
        let body = move || {
            let mut index = 0;
            let result = catch_unwind(AssertUnwindSafe(|| stream::read(&shared, file, feed, &mut index)))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the reader thread panicked")));
            if let Err(error) = result {
                shared.fail(file, index, error.at(place));
            }
        };
        std::thread::Builder::new().name("foldl-read".to_string()).spawn(body).map(drop).map_err(|error| {
            self.place(Error::new(ErrorKind::Resource, "no thread could be started").caused_by(error), file)
        })
    }

    fn place(&self, error: Error, file: u32) -> Error {
        error.at(Place::File(PathBuf::from(&self.names[file as usize])))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop();
    }
}

/// For reader threads.
impl Shared {
    fn lock(&self) -> MutexGuard<'_, Dispatch> {
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// An ordinary buffer.
    fn buffer(&self) -> Result<Buffer> {
        let mut buffer = self.lock().spare.pop().unwrap_or_default();
        buffer.grow(self.limits.capacity, 0)?;
        Ok(buffer)
    }

    /// Queues a block, waiting for room; `false` when reading was stopped.
    fn push(&self, block: Block) -> bool {
        let mut dispatch = self.lock();
        while !dispatch.stopped && !dispatch.has_room(block.file) {
            dispatch = self.room.wait(dispatch).unwrap_or_else(PoisonError::into_inner);
        }
        if dispatch.stopped {
            return false;
        }
        if block.index < self.limits.done(block.file) {
            dispatch.spare.push(block.buffer);
            return true;
        }
        if let Some(queue) = dispatch.queue(block.file) {
            queue.push_back(block);
        }
        drop(dispatch);
        self.work.notify_one();
        true
    }

    /// Whether the workers have taken all blocks of the file, or want no more.
    fn is_starved(&self, file: u32) -> bool {
        let mut dispatch = self.lock();
        dispatch.stopped || dispatch.queue(file).is_none_or(|queue| queue.is_empty())
    }

    /// The permit for a large buffer, which only the front is given; `None` when reading was stopped.
    fn permit_when_front(&self, file: u32) -> Option<Permit> {
        let mut dispatch = self.lock();
        while !dispatch.stopped && !dispatch.is_front(file) {
            dispatch = self.room.wait(dispatch).unwrap_or_else(PoisonError::into_inner);
        }
        drop(dispatch);
        self.stream_gate.acquire()
    }

    /// Ends the file's queue with an error.
    fn fail(&self, file: u32, index: u64, error: Error) {
        let mut dispatch = self.lock();
        dispatch.failed(file, index, error);
        drop(dispatch);
        self.work.notify_all();
    }
}
