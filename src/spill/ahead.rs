//! Reading ahead: another thread merges runs while this one works on their entries.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::merge::Merge;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Reservation};

/// Entries are handed over when they have this many bytes, or when there are so many.
const BATCH: usize = 128 << 10;
const MOST: usize = 8 << 10;
/// How many batches there are.
const BATCHES: usize = 3;

/// The entries of a [`Merge`], read by this thread as they are asked for, or ahead of it by another one.
pub struct Entries(Source);

enum Source {
    Merge(Box<Merge>),
    Ahead(Ahead),
}

impl Entries {
    /// Entries that this thread reads.
    pub fn of(merge: Merge) -> Entries {
        Entries(Source::Merge(Box::new(merge)))
    }

    /// The same, read ahead by another thread, if a budget allows for that and the system gives a thread.
    pub fn read_ahead(self, budget: &Budget) -> Entries {
        let Source::Merge(merge) = self.0 else { return self };
        let mut reservation = budget.reservation("entries that are read ahead");
        // A batch ends when it is full: it may have one entry more, and memory grows to up to twice of what is needed.
        let batch = 2 * (BATCH + merge.longest()) + MOST * size_of::<Ends>();
        if !reservation.try_resize(BATCHES * batch) {
            return Entries(Source::Merge(merge));
        }
        match Reader::start() {
            Some(reader) => Entries(Source::Ahead(Ahead::new(reader, merge, reservation))),
            None => Entries(Source::Merge(merge)),
        }
    }

    /// Goes on to the next entry, the first one to begin with; `false` if there is none.
    ///
    /// # Errors
    /// As [`Merge::advance`].
    #[inline]
    pub fn advance(&mut self) -> Result<bool> {
        match &mut self.0 {
            Source::Merge(merge) => merge.advance(),
            Source::Ahead(ahead) => ahead.advance(),
        }
    }

    /// The key of the entry.
    #[inline]
    pub fn key(&self) -> &[u8] {
        match &self.0 {
            Source::Merge(merge) => merge.key(),
            Source::Ahead(ahead) => ahead.batch.key(ahead.taken - 1),
        }
    }

    /// The payload of the entry.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        match &self.0 {
            Source::Merge(merge) => merge.payload(),
            Source::Ahead(ahead) => ahead.batch.payload(ahead.taken - 1),
        }
    }
}

/// Where the key and the payload of an entry end in its batch.
#[derive(Clone, Copy)]
struct Ends {
    key: usize,
    payload: usize,
}

/// Entries one after another.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<Ends>,
}

impl Batch {
    /// Takes in entries until it is full or there are no more.
    fn fill(&mut self, merge: &mut Merge) -> Result<()> {
        self.bytes.clear();
        self.ends.clear();
        while self.bytes.len() < BATCH && self.ends.len() < MOST && merge.advance()? {
            self.bytes.extend_from_slice(merge.key());
            let key = self.bytes.len();
            self.bytes.extend_from_slice(merge.payload());
            self.ends.push(Ends { key, payload: self.bytes.len() });
        }
        Ok(())
    }

    fn key(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before].payload);
        &self.bytes[start..self.ends[place].key]
    }

    fn payload(&self, place: usize) -> &[u8] {
        let Ends { key, payload } = self.ends[place];
        &self.bytes[key..payload]
    }
}

/// A thread that reads, and the ways to it.
struct Reader {
    thread: JoinHandle<()>,
    /// What it is to read, once.
    merges: Sender<Box<Merge>>,
    /// Batches that it may fill.
    spare: Sender<Batch>,
    /// Batches that it has filled, of which one without entries is the last.
    full: Mutex<Receiver<Result<Batch>>>,
}

impl Reader {
    fn start() -> Option<Reader> {
        let (merges, what) = channel();
        let (spare, to_fill) = channel();
        let (filled, full) = sync_channel(BATCHES);
        let read = move || read(&what, &to_fill, &filled);
        let thread = Builder::new().name("read ahead".into()).spawn(read).ok()?;
        Some(Reader { thread, merges, spare, full: Mutex::new(full) })
    }
}

/// Reads until there is no more, or nobody takes it any more.
fn read(what: &Receiver<Box<Merge>>, to_fill: &Receiver<Batch>, filled: &SyncSender<Result<Batch>>) {
    let Ok(mut merge) = what.recv() else { return };
    while let Ok(mut batch) = to_fill.recv() {
        let result = batch.fill(&mut merge).map(|()| batch);
        let is_last = result.as_ref().map_or(true, |batch| batch.ends.is_empty());
        if filled.send(result).is_err() || is_last {
            return;
        }
    }
}

/// Entries that another thread reads.
struct Ahead {
    /// [`None`] when there are no more batches.
    reader: Option<Reader>,
    batch: Batch,
    /// How many entries of the batch were asked for.
    taken: usize,
    _reservation: Reservation,
}

impl Ahead {
    fn new(reader: Reader, merge: Box<Merge>, reservation: Reservation) -> Ahead {
        // Where the thread has ended, waiting for what it read says so.
        let _is_taken = reader.merges.send(merge);
        for _ in 1..BATCHES {
            let _is_taken = reader.spare.send(Batch::default());
        }
        Ahead { reader: Some(reader), batch: Batch::default(), taken: 0, _reservation: reservation }
    }

    #[inline]
    fn advance(&mut self) -> Result<bool> {
        if self.taken == self.batch.ends.len() && !self.next_batch()? {
            return Ok(false);
        }
        self.taken += 1;
        Ok(true)
    }

    /// Takes a batch that has entries, if there is one.
    fn next_batch(&mut self) -> Result<bool> {
        let batch = std::mem::take(&mut self.batch);
        self.taken = 0;
        let Some(reader) = &mut self.reader else { return Ok(false) };
        let _is_taken = reader.spare.send(batch);
        let gone = || Err(Error::new(ErrorKind::Internal, "a reading thread panicked"));
        let filled = reader.full.get_mut().unwrap_or_else(PoisonError::into_inner).recv().unwrap_or_else(|_| gone());
        if filled.as_ref().map_or(true, |batch| batch.ends.is_empty()) {
            self.end();
        }
        self.batch = filled?;
        Ok(!self.batch.ends.is_empty())
    }

    /// Ends the thread, and waits for that: what it held is free then.
    fn end(&mut self) {
        if let Some(Reader { thread, merges, spare, full }) = self.reader.take() {
            drop((merges, spare, full));
            // That it panicked was told when it gave nothing.
            let _has_panicked = thread.join();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Run, RunWriter, Space};
    use super::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    /// Runs of so many entries each, with payloads of which some are long, and all of these in order.
    fn runs(space: &Space, entries: u32) -> (Vec<Run>, Pairs) {
        let mut all = Vec::new();
        let runs = (0..3_u32).map(|number| {
            let mut writer = RunWriter::new(space).unwrap();
            for entry in 0..entries {
                let key = (3 * entry + number).to_be_bytes().to_vec();
                let payload = vec![entry as u8; if entry % 1000 == 7 { 200_000 } else { entry as usize % 50 }];
                writer.push(&key, &payload).unwrap();
                all.push((key, payload));
            }
            writer.finish().unwrap()
        });
        let runs = runs.collect();
        all.sort();
        (runs, all)
    }

    #[test]
    fn entries_are_the_same_whoever_reads_them() {
        let space = Space::new(std::env::temp_dir(), None);
        for entries in [0, 1, 5, 30_000] {
            for (memory, is_ahead) in [(8 << 20, true), (1 << 20, false)] {
                let (runs, expected) = runs(&space, entries);
                let budget = Budget::new(memory);
                let mut entries =
                    Entries::of(Merge::of(runs, &Budget::new(16 << 20), &space).unwrap()).read_ahead(&budget);
                assert_eq!(matches!(entries.0, Source::Ahead(_)), is_ahead);
                assert_eq!(budget.left() < memory, matches!(entries.0, Source::Ahead(_)));
                let mut found = Vec::new();
                while entries.advance().unwrap() {
                    found.push((entries.key().to_vec(), entries.payload().to_vec()));
                }
                assert!(!entries.advance().unwrap());
                assert!(found == expected);
                drop(entries);
                assert_eq!(budget.left(), memory);
            }
        }
    }

    #[test]
    fn reading_can_end_early() {
        let space = Space::new(std::env::temp_dir(), None);
        for taken in [0, 1, 20_000] {
            let (runs, _) = runs(&space, 30_000);
            let budget = Budget::new(16 << 20);
            let mut entries = Entries::of(Merge::of(runs, &budget, &space).unwrap()).read_ahead(&budget);
            for _ in 0..taken {
                assert!(entries.advance().unwrap());
            }
            drop(entries);
            assert_eq!(budget.left(), 16 << 20);
        }
    }
}
