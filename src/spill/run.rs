//! Runs: sorted lists of entries on disk.
//!
//! # The format
//! A run is a sequence of blocks, each of which lies within one extent of the file.
//!
//! | bytes | of a block |
//! | --- | --- |
//! | 4 | the length of the packed bytes |
//! | 4 | the length of the entries; of equal length, these were not compressed |
//! | 8 | XXH3-64 of the packed bytes, with the two lengths as its seed |
//! | n | the entries, compressed by LZ4 where that makes them shorter |
//!
//! LZ4 is that of the formats which keeps a spilling run busy the least: packing and unpacking blocks of sorted records takes
//! half the processor time that zstd takes at its first level, for up to twice the bytes.
//!
//! All little-endian. An entry is the length of what its key has in common with the one before it (0 at the start of a
//! block), the lengths of the rest of its key and of its payload, each as LEB128, then these two.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::space::{EXTENT, Space};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::value::leb128;

/// Entries are packed together up to about this many bytes.
pub(super) const BLOCK: usize = 32 << 10;
/// What stands before the bytes of a block.
const HEADER: usize = 16;
/// The bytes that are copied at a time.
const COPIED: usize = 256 << 10;

/// A sorted list of entries on disk, each a key and a payload. Its space is given back when it is dropped.
#[derive(Debug)]
pub struct Run {
    space: Space,
    file: Arc<File>,
    stretches: VecDeque<Stretch>,
    len: u64,
    /// The bytes of the entries of its longest block.
    longest: usize,
}

/// Where a run lies in a file that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRun {
    start: u64,
    used: u64,
    len: u64,
    longest: usize,
}

impl KeptRun {
    /// The byte after it.
    pub(super) fn end(self) -> u64 {
        self.start + self.used
    }
}

/// A part of the file in which whole blocks of a run lie.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u64,
    used: u64,
    extents: u64,
}

impl Stretch {
    /// None of a run that is kept.
    fn extents(self) -> impl Iterator<Item = u64> {
        (0..self.extents).map(move |number| self.start + number * EXTENT)
    }
}

impl Run {
    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the run to the end of a file, from `at` on, that is kept: the run there, and where it lies.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if it cannot be read, [`ErrorKind::Output`](crate::ErrorKind::Output)
    /// if it cannot be written.
    pub(super) fn keep(self, file: &Arc<File>, path: &Path, at: u64) -> Result<(Run, KeptRun)> {
        let mut used = 0;
        let mut bytes = vec![0; COPIED];
        for stretch in &self.stretches {
            let mut copied = 0;
            while copied < stretch.used {
                let piece = &mut bytes[..usize::try_from(stretch.used - copied).unwrap_or(COPIED).min(COPIED)];
                self.space.read(&self.file, piece, stretch.start + copied)?;
                file.write_all_at(piece, at + used).map_err(|error| {
                    Error::new(ErrorKind::Output, "cannot write").at(Place::File(path.to_owned())).caused_by(error)
                })?;
                copied += piece.len() as u64;
                used += piece.len() as u64;
            }
        }
        let kept = KeptRun { start: at, used, len: self.len, longest: self.longest };
        Ok((Run::kept(file, kept, &self.space), kept))
    }

    /// A run that lies in a file that is kept.
    pub fn kept(file: &Arc<File>, kept: KeptRun, space: &Space) -> Run {
        let KeptRun { start, used, len, longest } = kept;
        Run {
            space: space.clone(),
            file: Arc::clone(file),
            stretches: [Stretch { start, used, extents: 0 }].into(),
            len,
            longest,
        }
    }

    /// Whether a run that lies in a file is there as it was written.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the file cannot be read.
    pub fn is_whole(file: &Arc<File>, kept: KeptRun, space: &Space) -> Result<bool> {
        let mut reader = RunReader::new(Run::kept(file, kept, space));
        let mut left = kept.len;
        while left > 0 {
            match reader.advance() {
                Ok(true) => left -= 1,
                Ok(false) => return Ok(false),
                Err(error) if std::error::Error::source(&error).is_some() => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The bytes of the entries of its longest block.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The bytes of memory that reading it takes.
    pub(super) fn memory(&self) -> usize {
        // The entries of a block, its packed bytes, and a key.
        3 * self.longest.max(BLOCK)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.space.give_back(self.stretches.iter().flat_map(|stretch| stretch.extents()));
    }
}

/// Writes a [`Run`].
pub struct RunWriter {
    run: Run,
    /// The entries of the block that is being made.
    entries: Vec<u8>,
    packed: Vec<u8>,
    last_key: Vec<u8>,
    table: CompressTable,
}

impl RunWriter {
    /// A run in a space.
    ///
    /// # Errors
    /// [`ErrorKind::Output`](crate::ErrorKind::Output) if the file cannot be made.
    pub fn new(space: &Space) -> Result<RunWriter> {
        let run = Run { space: space.clone(), file: space.file()?, stretches: VecDeque::new(), len: 0, longest: 0 };
        let table = CompressTable::small();
        Ok(RunWriter { run, entries: Vec::with_capacity(BLOCK), packed: Vec::new(), last_key: Vec::new(), table })
    }

    /// Appends an entry, whose key must not be less than that of the one before it.
    ///
    /// # Errors
    /// When the space is used up, or writing fails.
    pub fn push(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        debug_assert!(self.last_key.as_slice() <= key, "the entries of a run are sorted");
        if !self.entries.is_empty() && self.entries.len() + key.len() + payload.len() > BLOCK {
            self.write_block()?;
        }
        let shared = match self.entries.is_empty() {
            true => 0,
            false => common_start(&self.last_key, key),
        };
        leb128::put(shared as u64, &mut self.entries);
        leb128::put((key.len() - shared) as u64, &mut self.entries);
        leb128::put(payload.len() as u64, &mut self.entries);
        self.entries.extend_from_slice(&key[shared..]);
        self.entries.extend_from_slice(payload);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.run.len += 1;
        Ok(())
    }

    /// The run, whole.
    ///
    /// # Errors
    /// As [`push`](RunWriter::push).
    pub fn finish(mut self) -> Result<Run> {
        if !self.entries.is_empty() {
            self.write_block()?;
        }
        self.run.space.count_run();
        Ok(self.run)
    }

    fn write_block(&mut self) -> Result<()> {
        let RunWriter { run, entries, packed, table, .. } = self;
        packed.resize(HEADER + get_maximum_output_size(entries.len()), 0);
        match compress_into_with_table(entries, &mut packed[HEADER..], table) {
            Ok(len) if len < entries.len() => packed.truncate(HEADER + len),
            _ => {
                packed.truncate(HEADER);
                packed.extend_from_slice(entries);
            }
        }
        let header = Header::of(&packed[HEADER..], entries.len());
        packed[..HEADER].copy_from_slice(&header.bytes());
        run.append(packed)?;
        run.longest = run.longest.max(entries.len());
        entries.clear();
        // A block of one huge entry is rare.
        entries.shrink_to(2 * BLOCK);
        packed.shrink_to(3 * BLOCK);
        Ok(())
    }
}

impl Run {
    /// Appends a block.
    fn append(&mut self, block: &[u8]) -> Result<()> {
        let len = block.len() as u64;
        let last = match self.stretches.back_mut() {
            Some(last) if last.used + len <= last.extents * EXTENT => last,
            _ => {
                let extents = len.div_ceil(EXTENT);
                let start = self.space.take(extents)?;
                self.stretches.push_back(Stretch { start, used: 0, extents });
                let last = self.stretches.len() - 1;
                &mut self.stretches[last]
            }
        };
        let at = last.start + last.used;
        last.used += len;
        self.space.write(&self.file, block, at)
    }
}

/// The length of what two byte strings have in common at their start.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let start = words.take_while(|(a, b)| a == b).count() * 8;
    start + a[start..].iter().zip(&b[start..]).take_while(|(a, b)| a == b).count()
}

/// What stands before the bytes of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    packed: u32,
    entries: u32,
    checksum: u64,
}

impl Header {
    fn of(packed: &[u8], entries: usize) -> Header {
        // Rows and keys have less than 4 GiB.
        let (len, entries) = (packed.len() as u32, entries as u32);
        let seed = u64::from(len) << 32 | u64::from(entries);
        Header { packed: len, entries, checksum: XxHash3_64::oneshot_with_seed(seed, packed) }
    }

    fn bytes(self) -> [u8; HEADER] {
        let [packed, entries] = [self.packed, self.entries].map(u32::to_le_bytes);
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&packed);
        bytes[4..8].copy_from_slice(&entries);
        bytes[8..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; HEADER]) -> Header {
        let number = u128::from_le_bytes(bytes);
        Header { packed: number as u32, entries: (number >> 32) as u32, checksum: (number >> 64) as u64 }
    }
}

/// Reads the entries of a [`Run`], whose space it gives back as it goes.
pub struct RunReader {
    run: Run,
    /// Where the next block begins in the first stretch.
    next: u64,
    entries: Vec<u8>,
    packed: Vec<u8>,
    /// Where the next entry begins.
    place: usize,
    key: Vec<u8>,
    payload: Range<usize>,
}

impl RunReader {
    /// Reads a run from its start.
    pub fn new(run: Run) -> RunReader {
        RunReader { run, next: 0, entries: Vec::new(), packed: Vec::new(), place: 0, key: Vec::new(), payload: 0..0 }
    }

    /// Goes on to the next entry, the first one to begin with; `false` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the run cannot be read, or is not what was written.
    pub fn advance(&mut self) -> Result<bool> {
        if self.place == self.entries.len() && !self.read_block()? {
            return Ok(false);
        }
        self.take_entry().ok_or_else(|| self.run.space.damaged())?;
        Ok(true)
    }

    /// The key of the entry.
    #[inline]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The payload of the entry.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.entries[self.payload.clone()]
    }

    fn take_entry(&mut self) -> Option<()> {
        let mut rest = &self.entries[self.place..];
        let mut take = || usize::try_from(leb128::take(&mut rest)?).ok();
        let (shared, own, payload) = (take()?, take()?, take()?);
        let start = self.entries.len() - rest.len();
        let key = rest.get(..own)?;
        if shared > self.key.len() {
            return None;
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(key);
        self.payload = start + own..(start + own).checked_add(payload)?;
        self.place = self.payload.end;
        (self.place <= self.entries.len()).then_some(())
    }

    fn read_block(&mut self) -> Result<bool> {
        let RunReader { run, next, entries, packed, .. } = self;
        while let Some(stretch) = run.stretches.front()
            && *next == stretch.used
        {
            run.space.give_back(stretch.extents());
            run.stretches.pop_front();
            *next = 0;
        }
        let Some(stretch) = run.stretches.front() else { return Ok(false) };
        let mut header = [0; HEADER];
        let at = stretch.start + *next;
        run.space.read(&run.file, &mut header, at)?;
        let header = Header::from_bytes(header);
        let len = u64::from(header.packed) + HEADER as u64;
        if *next + len > stretch.used {
            return Err(run.space.damaged());
        }
        packed.clear();
        packed.resize(header.packed as usize, 0);
        run.space.read(&run.file, packed, at + HEADER as u64)?;
        if header != Header::of(packed, header.entries as usize) {
            return Err(run.space.damaged());
        }
        *next += len;
        if header.packed == header.entries {
            std::mem::swap(entries, packed);
        } else {
            entries.clear();
            entries.resize(header.entries as usize, 0);
            if decompress_into(packed, entries).ok() != Some(entries.len()) {
                return Err(run.space.damaged());
            }
        }
        entries.shrink_to(2 * BLOCK);
        packed.shrink_to(2 * BLOCK);
        self.place = 0;
        Ok(true)
    }
}
