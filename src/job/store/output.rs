//! Outputs: rows become staged files.
//!
//! # How rows become files
//! The rows of a partition are cut into *chunks*: as many whole rows as [`CHUNK`] bytes take, or one longer row. A
//! chunk of a compressed output becomes one frame. With [`Split::Files`] files take chunks in turn. With
//! [`Split::MaxBytes`] a file gets frames as long as it has room for them, or, of an uncompressed output, rows. All of
//! that depends on the rows alone. When bytes are written does not matter: those of an uncompressed file can go there
//! at any time, and those of an unfinished chunk of a compressed one go to a *tail*, a file beside it, until the chunk
//! is complete.
//!
//! What a position refers to is never destroyed before the second position after it is asked for: files only grow, and
//! a tail that it refers to is not written over but left alone, and the next one has another name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::destination;
use super::disk;
use super::files::{Files, Written};
use super::partition::too_many;
use super::rows;
use super::spec::{OutputSpec, Split};
use crate::error::{Error, ErrorKind, Result};
use crate::output::{Compression, frame, is_partition};

/// The most bytes of rows that are compressed together, and that a file gets before it is another's turn.
const CHUNK: u64 = 1 << 20;
/// Files of a limited size are to be filled at least so far, so chunks are at most this part of it.
const CHUNKS_PER_FILE: u64 = 16;

/// An output of a run: takes rows, and stages them where nobody sees them until the run is
/// [committed](super::Transaction::commit).
///
/// The bytes of its files depend on its [`OutputSpec`] and the rows alone: not on how these are cut into calls, on
/// `buffer_bytes`, or on positions and interruptions. For several threads it needs a lock of the caller's.
///
/// An output that gave an error gives nothing else any more.
///
/// ```
/// use foldl::job::store::{OutputSpec, Store, Wait};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (state, path) = (folder.path().join("state"), folder.path().join("orders"));
/// let mut store = Store::open(&state, Wait::No)?;
/// let mut transaction = store.begin("run-1", vec![OutputSpec::new("orders", &path)])?;
/// let mut output = transaction.output("orders", None)?;
/// output.write_rows(b"{\"id\":1}\n{\"id\":2}\n")?;
/// let position = output.position()?;
/// // After a crash, in another process: `transaction.output("orders", Some(&position))`.
/// output.write_rows(b"{\"id\":3}\n")?;
/// transaction.commit(vec![output], Vec::new(), serde_json::json!({"key": "2026-02-01"}))?;
/// assert_eq!(std::fs::read(path.join("part-000001-00000.jsonl")).unwrap(), b"{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
/// assert!(path.join("_SUCCESS").exists());
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct Output {
    spec: OutputSpec,
    files: Files,
    /// The end of the names of files.
    extension: String,
    /// What files begin with, as it stands in them.
    header: Vec<u8>,
    /// The most bytes of a chunk.
    chunk: u64,
    partitions: Vec<Partition>,
    by_path: HashMap<String, usize>,
    /// The partition of the row before.
    last: usize,
    rows: u64,
    /// The capacities of all buffers.
    buffered: usize,
    /// What else partitions and files take, about.
    known: usize,
    /// Tails that are used up, but that the last position refers to, and those that only the one before it does.
    used_up: [Vec<PathBuf>; 2],
    /// For a chunk and its frame.
    scratch: (Vec<u8>, Vec<u8>),
    has_failed: bool,
}

/// A partition, or all of an output without partitions.
#[derive(Default)]
struct Partition {
    /// Its directory, relative to the destination.
    path: String,
    files: Vec<Written>,
    /// The file that the next bytes go to, which may not be there yet.
    file: usize,
    /// How many chunks are complete.
    chunks: u64,
    /// The bytes of the unfinished chunk, wherever they are.
    chunk: u64,
    /// Rows that are not in a file yet.
    pending: u64,
    /// The last bytes of the unfinished chunk, after those in the tail, or in an uncompressed file.
    buffer: Vec<u8>,
    tail: Option<Tail>,
}

/// The file of the first bytes of an unfinished chunk that is to be compressed.
struct Tail {
    number: u64,
    written: Written,
    /// Whether a position refers to it.
    is_kept: bool,
}

/// Where an output stands, for [`Transaction::output`](super::Transaction::output) to go on from: goes into a
/// checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    spec: OutputSpec,
    rows: u64,
    partitions: Vec<PartitionPosition>,
}

impl Position {
    /// Whether what a run staged up to there is still what it was.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it is not.
    pub fn check(&self, run: &str) -> Result<()> {
        let staged = destination::staged_dir(&self.spec.path, run);
        let extension = self.spec.extension();
        for at in &self.partitions {
            let partition = Partition { path: at.path.clone(), ..Partition::default() };
            for (number, file) in at.files.iter().enumerate().filter(|(_, file)| file.is_sound()) {
                file.check(&staged.join(partition.file_name(number, &extension)))?;
            }
            if let Some((number, tail)) = at.tail.as_ref().filter(|(_, tail)| tail.is_sound()) {
                tail.check(&staged.join(partition.tail_name(*number)))?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PartitionPosition {
    path: String,
    files: Vec<Written>,
    file: usize,
    chunks: u64,
    chunk: u64,
    pending: u64,
    /// Its number, and what is in it.
    tail: Option<(u64, Written)>,
}

/// A file that is complete.
pub(super) struct StagedFile {
    /// The directory of its partition.
    pub(super) partition: String,
    /// Its path below the staging directory.
    pub(super) staged: String,
    /// Its name among the files of a commit: its number and the extension.
    pub(super) name: String,
    pub(super) written: Written,
}

impl Output {
    /// An output that stages its files below `staging`, an empty directory.
    pub(super) fn new(spec: OutputSpec, staging: &Path) -> Result<Output> {
        let mut header = Vec::new();
        if !spec.header.is_empty() {
            frame(spec.compression, &spec.header, &mut header)?;
        }
        let chunk = match spec.split {
            Split::Files(_) => CHUNK,
            Split::MaxBytes(max) => (max / CHUNKS_PER_FILE).clamp(1, CHUNK),
        };
        let mut output = Output {
            files: Files::new(staging)?,
            extension: spec.extension(),
            header,
            chunk,
            partitions: Vec::new(),
            by_path: HashMap::new(),
            last: 0,
            rows: 0,
            buffered: 0,
            known: 0,
            used_up: Default::default(),
            scratch: Default::default(),
            has_failed: false,
            spec,
        };
        if output.spec.partition_by.is_empty() {
            output.add_partition(Partition::default());
        }
        Ok(output)
    }

    /// An output that goes on where another one was, whose files are below `staging`.
    pub(super) fn resume(spec: OutputSpec, staging: &Path, position: &Position) -> Result<Output> {
        let comparable = |spec: &OutputSpec| OutputSpec { buffer_bytes: 0, max_partitions: 0, ..spec.clone() };
        let name = spec.name.clone();
        if comparable(&spec) != comparable(&position.spec) {
            return Err(start_over(&name, "was defined otherwise when the checkpoint was written"));
        }
        let mut output = Output::new(spec, staging)?;
        output.rows = position.rows;
        output.partitions.clear();
        output.by_path.clear();
        for at in &position.partitions {
            if !at.is_sound(&output.spec) {
                return Err(start_over(&name, "has a checkpoint that makes no sense"));
            }
            let partition = Partition {
                path: at.path.clone(),
                files: at.files.iter().map(Written::unsynced).collect(),
                file: at.file,
                chunks: at.chunks,
                chunk: at.chunk,
                pending: at.pending,
                buffer: Vec::new(),
                tail: at.tail.as_ref().map(|(number, tail)| Tail {
                    number: *number,
                    written: tail.unsynced(),
                    is_kept: true,
                }),
            };
            for (number, file) in partition.files.iter().enumerate() {
                output.files.cut(&partition.file_name(number, &output.extension), file.bytes)?;
            }
            if let Some(tail) = &partition.tail {
                output.files.cut(&partition.tail_name(tail.number), tail.written.bytes)?;
            }
            output.add_partition(partition);
        }
        if output.spec.partition_by.is_empty() && output.partitions.len() != 1 {
            return Err(start_over(&name, "has a checkpoint that makes no sense"));
        }
        disk::step("resume.truncated")?;
        Ok(output)
    }

    /// What the output is.
    pub fn spec(&self) -> &OutputSpec {
        &self.spec
    }

    /// How many rows it has been given, before an interruption, too.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The bytes of memory that it holds: the buffers, and what it knows of partitions and files, which grows with
    /// their number, by some 400 bytes for a partition.
    pub fn memory(&self) -> usize {
        self.buffered + self.scratch.0.capacity() + self.scratch.1.capacity() + self.known
    }

    /// Takes whole rows of an output without partitions, each with its newline.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if they cannot be written; [`ErrorKind::Internal`] if the output has partitions, or the
    /// last row has no newline.
    pub fn write_rows(&mut self, rows: &[u8]) -> Result<()> {
        self.guarded(|output| {
            if !output.spec.partition_by.is_empty() {
                return Err(output.misused("rows without a partition"));
            }
            if !rows.is_empty() && !rows.ends_with(b"\n") {
                return Err(output.misused("a row without a newline"));
            }
            output.add(0, rows)
        })
    }

    /// Takes whole rows of a partition, each with its newline, and at least one. A partition is what
    /// [`partition_path`](crate::output::partition_path) gives.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if they cannot be written, or there are too many partitions; [`ErrorKind::Internal`] if the
    /// partition is none of this output, or the last row has no newline.
    pub fn write_to(&mut self, partition: &str, rows: &[u8]) -> Result<()> {
        self.guarded(|output| {
            if !rows.ends_with(b"\n") {
                return Err(output.misused("a row without a newline"));
            }
            let number = output.partition(partition)?;
            output.add(number, rows)
        })
    }

    /// Writes everything to disk, and tells where the output stands.
    ///
    /// The last two positions can be resumed from: what the one before them needs is removed when this is called again.
    /// So a position has to be stored durably before the next one is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be written.
    pub fn position(&mut self) -> Result<Position> {
        self.guarded(|output| {
            let [last, before] = &mut output.used_up;
            for tail in before.drain(..) {
                output.files.remove(&tail)?;
            }
            std::mem::swap(last, before);
            for number in 0..output.partitions.len() {
                output.flush(number)?;
            }
            disk::step("position.flushed")?;
            output.sync()?;
            disk::step("position.synced")?;
            let mut partitions = Vec::with_capacity(output.partitions.len());
            for partition in &mut output.partitions {
                if let Some(tail) = &mut partition.tail {
                    tail.is_kept = true;
                }
                partitions.push(partition.position());
            }
            Ok(Position { spec: output.spec.clone(), rows: output.rows, partitions })
        })
    }

    /// Writes the rest to disk, and gives all files.
    pub(super) fn finish(mut self) -> Result<(OutputSpec, u64, Vec<StagedFile>)> {
        self.guarded(|output| {
            for number in 0..output.partitions.len() {
                output.end_chunk(number)?;
            }
            output.sync()
        })?;
        let mut files = Vec::new();
        for partition in &mut self.partitions {
            let written = std::mem::take(&mut partition.files);
            for (number, written) in written.into_iter().enumerate() {
                let name = format!("{number:05}.{}", self.extension);
                let partition = partition.path.clone();
                let staged = joined(&partition, &name);
                files.push(StagedFile { partition, staged, name, written });
            }
        }
        Ok((self.spec, self.rows, files))
    }

    /// Does something unless something failed before: what is on the disk is not known then.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Output) -> Result<T>) -> Result<T> {
        if self.has_failed {
            let message = format!("output {} cannot go on after an error", self.spec.name);
            return Err(Error::new(ErrorKind::Output, message));
        }
        let result = act(self);
        self.has_failed = result.is_err();
        result
    }

    fn misused(&self, what: &str) -> Error {
        Error::new(ErrorKind::Internal, format!("output {} was given {what}", self.spec.name))
    }

    /// The number of a partition.
    fn partition(&mut self, path: &str) -> Result<usize> {
        if self.partitions.get(self.last).is_some_and(|last| last.path == path) {
            return Ok(self.last);
        }
        self.last = match self.by_path.get(path) {
            Some(&number) => number,
            None if !is_partition(path, &self.spec.partition_by) => {
                return Err(self.misused("a row of a partition that is none of it"));
            }
            None if self.partitions.len() >= self.spec.max_partitions => {
                return Err(too_many(&self.spec, self.partitions.iter().map(|partition| partition.path.as_str())));
            }
            None => self.add_partition(Partition { path: path.to_owned(), ..Partition::default() }),
        };
        Ok(self.last)
    }

    fn add_partition(&mut self, partition: Partition) -> usize {
        let number = self.partitions.len();
        // The table of paths has room for more, and so has the list.
        self.known += 2 * (size_of::<Partition>() + size_of::<(String, usize)>()) + 2 * partition.path.len();
        self.known += size_of::<Written>() * partition.files.len();
        self.by_path.insert(partition.path.clone(), number);
        self.partitions.push(partition);
        number
    }

    /// Takes whole rows of a partition.
    fn add(&mut self, number: usize, mut rows: &[u8]) -> Result<()> {
        let format = self.spec.format;
        while !rows.is_empty() {
            let room = self.room(number);
            let mut len = rows::within(rows, usize::try_from(room).unwrap_or(usize::MAX), format);
            if len == 0 {
                let partition = &mut self.partitions[number];
                if partition.chunk > 0 {
                    self.end_chunk(number)?;
                    continue;
                }
                len = rows::first(rows, format);
                if self.is_full_for(number, len as u64) {
                    self.partitions[number].file += 1;
                    continue;
                }
            }
            let (now, rest) = rows.split_at(len);
            let count = rows::count(now, format);
            let partition = &mut self.partitions[number];
            let before = partition.buffer.capacity();
            partition.buffer.extend_from_slice(now);
            self.buffered += partition.buffer.capacity() - before;
            partition.chunk += len as u64;
            partition.pending += count;
            self.rows += count;
            if self.buffered > self.spec.buffer_bytes {
                self.write_buffers()?;
            }
            rows = rest;
        }
        Ok(())
    }

    /// The bytes that the unfinished chunk of a partition has room for.
    fn room(&self, number: usize) -> u64 {
        let chunk = self.chunk.saturating_sub(self.partitions[number].chunk);
        match (self.spec.split, self.spec.compression) {
            (Split::MaxBytes(max), Compression::None) => chunk.min(max.saturating_sub(self.file_len(number))),
            _ => chunk,
        }
    }

    /// Whether the file of an uncompressed partition has rows, and no room for so many bytes more.
    fn is_full_for(&self, number: usize, len: u64) -> bool {
        match (self.spec.split, self.spec.compression) {
            (Split::MaxBytes(max), Compression::None) => {
                let has = self.file_len(number);
                has > self.header.len() as u64 && has + len > max
            }
            _ => false,
        }
    }

    /// The length of the file of an uncompressed partition when all is written.
    fn file_len(&self, number: usize) -> u64 {
        let partition = &self.partitions[number];
        let written = partition.files.get(partition.file).map_or(self.header.len() as u64, |file| file.bytes);
        written + partition.buffer.len() as u64
    }

    /// Writes the largest buffers until half of the bytes that they may take are free.
    fn write_buffers(&mut self) -> Result<()> {
        let mut numbers: Vec<usize> =
            (0..self.partitions.len()).filter(|&number| self.partitions[number].buffer.capacity() > 0).collect();
        let capacity = |output: &Output, number: usize| output.partitions[number].buffer.capacity();
        numbers.sort_by_key(|&number| std::cmp::Reverse(capacity(self, number)));
        for number in numbers {
            if self.buffered <= self.spec.buffer_bytes / 2 {
                break;
            }
            self.flush(number)?;
            self.buffered -= capacity(self, number);
            self.partitions[number].buffer = Vec::new();
        }
        Ok(())
    }

    /// Writes the buffer of a partition to its file or tail, and empties it.
    fn flush(&mut self, number: usize) -> Result<()> {
        let partition = &mut self.partitions[number];
        if partition.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut partition.buffer);
        if self.spec.compression == Compression::None {
            self.append(number, &buffer)?;
        } else {
            let next = partition.chunks;
            let tail = partition.tail.get_or_insert_with(|| Tail {
                number: next,
                written: Written::nothing(),
                is_kept: false,
            });
            let (name, at) = (tail.number, tail.written.bytes);
            tail.written.add(&buffer);
            let name = partition.tail_name(name);
            self.files.append(&name, at, &buffer)?;
        }
        buffer.clear();
        self.partitions[number].buffer = buffer;
        Ok(())
    }

    /// Ends the unfinished chunk of a partition.
    fn end_chunk(&mut self, number: usize) -> Result<()> {
        let partition = &mut self.partitions[number];
        if partition.chunk == 0 {
            return Ok(());
        }
        if self.spec.compression == Compression::None {
            self.flush(number)?;
        } else {
            self.write_frame(number)?;
        }
        let partition = &mut self.partitions[number];
        partition.chunk = 0;
        partition.chunks += 1;
        if let Split::Files(files) = self.spec.split {
            partition.file = (partition.chunks % u64::from(files)) as usize;
        }
        Ok(())
    }

    /// Compresses the chunk of a partition into its file.
    fn write_frame(&mut self, number: usize) -> Result<()> {
        let (mut chunk, mut packed) = std::mem::take(&mut self.scratch);
        chunk.clear();
        packed.clear();
        let partition = &mut self.partitions[number];
        let mut buffer = std::mem::take(&mut partition.buffer);
        if let Some(tail) = partition.tail.take() {
            let name = partition.tail_name(tail.number);
            self.files.read(&name, tail.written.bytes, &mut chunk)?;
            chunk.extend_from_slice(&buffer);
            match tail.is_kept {
                true => self.used_up[0].push(name),
                false => self.files.remove(&name)?,
            }
            frame(self.spec.compression, &chunk, &mut packed)?;
        } else {
            frame(self.spec.compression, &buffer, &mut packed)?;
        }
        buffer.clear();
        let partition = &mut self.partitions[number];
        partition.buffer = buffer;
        if let (Split::MaxBytes(max), Some(file)) = (self.spec.split, partition.files.get(partition.file))
            && file.bytes + packed.len() as u64 > max
        {
            partition.file += 1;
        }
        self.append(number, &packed)?;
        // A chunk of one huge row is rare.
        chunk.shrink_to(2 * CHUNK as usize);
        packed.shrink_to(2 * CHUNK as usize);
        self.scratch = (chunk, packed);
        Ok(())
    }

    /// Appends bytes to the file of a partition, which they bring all pending rows to.
    fn append(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let partition = &mut self.partitions[number];
        let name = partition.file_name(partition.file, &self.extension);
        if partition.file == partition.files.len() {
            let mut written = Written::nothing();
            self.files.append(&name, 0, &self.header)?;
            written.add(&self.header);
            partition.files.push(written);
            self.known += size_of::<Written>();
        }
        let file = &mut partition.files[partition.file];
        self.files.append(&name, file.bytes, bytes)?;
        file.add(bytes);
        file.rows += std::mem::take(&mut partition.pending);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let mut dirty = Vec::new();
        for partition in &mut self.partitions {
            for number in 0..partition.files.len() {
                if std::mem::take(&mut partition.files[number].is_dirty) {
                    dirty.push(partition.file_name(number, &self.extension));
                }
            }
            if let Some(tail) = &mut partition.tail
                && std::mem::take(&mut tail.written.is_dirty)
            {
                let number = tail.number;
                dirty.push(partition.tail_name(number));
            }
        }
        self.files.sync(&dirty)
    }
}

impl Partition {
    fn file_name(&self, number: usize, extension: &str) -> PathBuf {
        Path::new(&self.path).join(format!("{number:05}.{extension}"))
    }

    fn tail_name(&self, number: u64) -> PathBuf {
        Path::new(&self.path).join(format!("{number}.tail"))
    }

    fn position(&self) -> PartitionPosition {
        PartitionPosition {
            path: self.path.clone(),
            files: self.files.clone(),
            file: self.file,
            chunks: self.chunks,
            chunk: self.chunk,
            pending: self.pending,
            tail: self.tail.as_ref().map(|tail| (tail.number, tail.written.clone())),
        }
    }
}

impl PartitionPosition {
    /// Whether an output of these settings can have been there.
    fn is_sound(&self, spec: &OutputSpec) -> bool {
        let tail = self.tail.as_ref().map_or(0, |(_, tail)| tail.bytes);
        is_partition(&self.path, &spec.partition_by)
            && self.file <= self.files.len()
            && self.files.iter().chain(self.tail.as_ref().map(|(_, tail)| tail)).all(Written::is_sound)
            && tail <= self.chunk
            && (spec.compression == Compression::None || tail == self.chunk)
    }
}

fn start_over(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Output, format!("output {name} {what}")).hint("start the run over")
}

/// A name in a relative directory, which may be none.
pub(super) fn joined(dir: &str, name: &str) -> String {
    match dir {
        "" => name.to_owned(),
        dir => format!("{dir}/{name}"),
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
