//! The rows of the query, cut into batches.

use std::collections::VecDeque;
use std::hash::Hasher as _;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twox_hash::XxHash3_64;

use super::checkpoint::Done;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Places, RowPlace};
use crate::memory::{Budget, Reservation};

/// How many whole batches wait for a child.
pub(super) const MOST_WAITING: usize = 2;

/// Where batches end: at the first of these that is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The most records, from 1.
    pub(super) records: u64,
    /// The most bytes, unless a single record is longer.
    pub(super) bytes: usize,
    /// How long a batch waits for more records than it has.
    pub(super) time: Duration,
}

/// Some rows, one after another, for one call of the command.
pub(super) struct Batch {
    /// The number of the batch, from 1.
    pub(super) number: u64,
    /// The number of its first row, from 0, and where that begins among the bytes of all rows.
    pub(super) first: (u64, u64),
    pub(super) records: u64,
    /// The rows with their line ends.
    pub(super) bytes: Vec<u8>,
    places: Vec<RowPlace>,
    /// Lines of the input that are no records, as they go to the rejects, and how many.
    pub(super) malformed: (Vec<u8>, u64),
    /// The checksum of all rows up to the last one of the batch, if somebody wants to know.
    pub(super) checksum: u64,
    /// The memory that it takes beyond its share.
    _beyond: Option<Reservation>,
}

/// Where a record of a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordPlace {
    /// The number of the input; `None` if the record is one that the query has made of others, and the line and the offset
    /// are those among all of these.
    pub(super) file: Option<u32>,
    /// The line, from 0.
    pub(super) line: u64,
    pub(super) offset: u64,
}

impl Batch {
    /// The rows, each without its line end and with the place that it comes from.
    pub(super) fn rows(&self) -> impl Iterator<Item = (RecordPlace, &[u8])> {
        let mut places = self.places.iter().peekable();
        let mut next = RecordPlace { file: None, line: self.first.0, offset: self.first.1 };
        let rows = self.bytes.split_inclusive(|&byte| byte == b'\n').enumerate();
        rows.map(move |(number, row)| {
            while let Some(place) = places.next_if(|place| place.row <= self.first.0 + number as u64) {
                next = RecordPlace { file: Some(place.file), line: place.line, offset: place.offset };
            }
            let place = next;
            next.line += 1;
            next.offset += row.len() as u64;
            (place, row.strip_suffix(b"\n").unwrap_or(row))
        })
    }

    /// The line of the first record in its input, from 1.
    pub(super) fn first_line(&self) -> u64 {
        self.places.first().map_or(self.first.0, |place| place.line) + 1
    }
}

/// The rows that come are cut into batches here; the threads that have children take them.
pub(super) struct Batches {
    cut: Cut,
    /// How many batches may be taken beyond the first one that is not done.
    window: u64,
    places: Places,
    budget: Budget,
    state: Mutex<State>,
    /// There is something for those who take batches.
    ready: Condvar,
    /// There is room for more rows.
    room: Condvar,
}

#[derive(Default)]
struct State {
    begun: Begun,
    waiting: VecDeque<Batch>,
    /// Rows that have come so far, and their bytes.
    rows: u64,
    bytes: u64,
    checksum: Option<XxHash3_64>,
    /// What is left out, as it was done before.
    skip: Option<Skip>,
    skip_malformed: u64,
    /// The number of the last batch that was cut.
    number: u64,
    /// How many batches are done.
    done: u64,
    ended: bool,
    stopped: bool,
    /// A buffer to be used again.
    spare: Option<Vec<u8>>,
}

/// The batch that rows are added to.
#[derive(Default)]
struct Begun {
    bytes: Vec<u8>,
    records: u64,
    places: Vec<RowPlace>,
    malformed: (Vec<u8>, u64),
    since: Option<Instant>,
    beyond: Option<Reservation>,
}

/// Rows that were done before, and their checksum.
struct Skip {
    rows: u64,
    checksum: u64,
}

impl Batches {
    /// `done` is what an earlier run has done, if batches are to have checksums.
    pub(super) fn new(cut: Cut, window: u64, places: Places, budget: Budget, done: Option<&Done>) -> Batches {
        let state = State {
            checksum: done.map(|_| XxHash3_64::new()),
            skip: done.filter(|done| done.rows > 0).map(|done| Skip { rows: done.rows, checksum: done.checksum }),
            skip_malformed: done.map_or(0, |done| done.malformed),
            number: done.map_or(0, |done| done.batches),
            done: done.map_or(0, |done| done.batches),
            ..State::default()
        };
        let (ready, room) = Default::default();
        Batches { cut, window, places, budget, state: Mutex::new(state), ready, room }
    }

    /// Takes whole rows. Waits while enough batches wait.
    fn add(&self, rows: &[u8]) -> Result<()> {
        let mut state = self.lock();
        let mut rest = rows;
        if state.skip.is_some() {
            rest = self.skip(&mut state, rest)?;
        }
        while !rest.is_empty() {
            if state.stopped {
                return Err(Error::new(ErrorKind::ClosedPipe, "nobody takes batches any more"));
            }
            let begun = &state.begun;
            let most = self.cut.bytes.saturating_sub(begun.bytes.len());
            let (len, count) = match fitting(rest, most, self.cut.records - begun.records) {
                (0, _) if begun.records == 0 => (first_row(rest), 1),
                fitting => fitting,
            };
            if len == 0 {
                state = self.cut(state);
                continue;
            }
            let (head, tail) = rest.split_at(len);
            if let Some(checksum) = &mut state.checksum {
                checksum.write(head);
            }
            self.append(&mut state.begun, head, count)?;
            if state.begun.since.is_none() {
                state.begun.since = Some(Instant::now());
                self.ready.notify_one();
            }
            rest = tail;
            if state.begun.records == self.cut.records || state.begun.bytes.len() >= self.cut.bytes {
                state = self.cut(state);
            }
        }
        Ok(())
    }

    /// Appends rows to a batch that has room for them, or is empty.
    fn append(&self, begun: &mut Begun, rows: &[u8], count: u64) -> Result<()> {
        let len = begun.bytes.len() + rows.len();
        if len > self.cut.bytes {
            let mut beyond = self.budget.reservation("record");
            beyond.resize(len - self.cut.bytes)?;
            begun.beyond = Some(beyond);
        }
        if len > begun.bytes.capacity() {
            // Never more than a batch may take, as growing by half or twice would.
            let capacity = (2 * len).min(self.cut.bytes.max(len));
            begun.bytes.reserve_exact(capacity - begun.bytes.len());
        }
        begun.bytes.extend_from_slice(rows);
        begun.records += count;
        Ok(())
    }

    /// Leaves out rows that were done before. What is left of these.
    ///
    /// # Errors
    /// If they are not those that were done.
    fn skip<'r>(&self, state: &mut State, rows: &'r [u8]) -> Result<&'r [u8]> {
        let Some(skip) = &mut state.skip else { return Ok(rows) };
        let (len, count) = fitting(rows, rows.len(), skip.rows);
        skip.rows -= count;
        state.rows += count;
        state.bytes += len as u64;
        let mut places = std::mem::take(&mut state.begun.places);
        self.places.take_before(state.rows, &mut places);
        state.begun.places.extend(place_after(&places, &rows[..len], state.rows));
        let checksum = state.checksum.get_or_insert_default();
        checksum.write(&rows[..len]);
        if skip.rows == 0 {
            if skip.checksum != checksum.finish() {
                return Err(other_input());
            }
            state.skip = None;
        }
        Ok(&rows[len..])
    }

    /// Takes rejected lines, as they are written.
    fn add_malformed(&self, lines: &[u8]) -> Result<()> {
        let mut state = self.lock();
        let (skipped, count) = fitting(lines, lines.len(), state.skip_malformed);
        state.skip_malformed -= count;
        let lines = &lines[skipped..];
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        let (bytes, malformed) = &mut state.begun.malformed;
        bytes.extend_from_slice(lines);
        *malformed += count;
        let is_much = bytes.len() > self.cut.bytes.min(1 << 20);
        if count > 0 && state.begun.since.is_none() && state.skip.is_none() {
            // They do not wait for records longer than these do.
            state.begun.since = Some(Instant::now());
            self.ready.notify_one();
        }
        // Where there is no record for long, they go on without one.
        if is_much && state.skip.is_none() {
            drop(self.cut(state));
        }
        Ok(())
    }

    /// Ends the batch that was begun, and waits for room.
    fn cut<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.cut_now(&mut state);
        while state.waiting.len() >= MOST_WAITING && !state.stopped {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    fn cut_now(&self, state: &mut State) {
        let bytes = state.spare.take().unwrap_or_default();
        let begun = std::mem::replace(&mut state.begun, Begun { bytes, ..Begun::default() });
        let Begun { bytes, records, mut places, malformed, since: _, beyond } = begun;
        let first = (state.rows, state.bytes);
        state.rows += records;
        state.bytes += bytes.len() as u64;
        let known = places.len();
        self.places.take_before(state.rows, &mut places);
        // What is noted of the first row supersedes what was made of the batch before.
        if known == 1 && places.get(1).is_some_and(|second| second.row == first.0) {
            places.remove(0);
        }
        state.begun.places.extend(place_after(&places, &bytes, state.rows));
        state.number += 1;
        state.waiting.push_back(Batch {
            number: state.number,
            first,
            records,
            bytes,
            places,
            malformed,
            checksum: state.checksum.as_ref().map_or(0, XxHash3_64::finish),
            _beyond: beyond,
        });
        self.ready.notify_one();
    }

    /// Says that no more rows come.
    ///
    /// # Errors
    /// If there were fewer than were done before.
    pub(super) fn end(&self) -> Result<()> {
        let mut state = self.lock();
        if state.begun.records > 0 || state.begun.malformed.1 > 0 {
            self.cut_now(&mut state);
        }
        state.ended = true;
        self.ready.notify_all();
        if state.skip.is_some() && !state.stopped { Err(other_input()) } else { Ok(()) }
    }

    /// Says that no more batches are taken. Whoever adds rows gets an error.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.ready.notify_all();
        self.room.notify_all();
    }

    /// The next batch. Waits for it. `None` if there are no more.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let next = state.waiting.front().map_or(state.number + 1, |batch| batch.number);
            let may_take = next <= state.done.saturating_add(self.window);
            if may_take && let Some(batch) = state.waiting.pop_front() {
                self.room.notify_all();
                // There may be more for others.
                self.ready.notify_one();
                return Some(batch);
            }
            let wait = match state.begun.since {
                _ if state.ended && state.waiting.is_empty() => return None,
                Some(since) if may_take => match self.cut.time.checked_sub(since.elapsed()) {
                    None | Some(Duration::ZERO) => {
                        self.cut_now(&mut state);
                        continue;
                    }
                    Some(left) => Some(left),
                },
                _ => None,
            };
            state = match wait {
                None => self.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Says that one more batch is done; its buffer can be used again.
    pub(super) fn done(&self, mut buffer: Vec<u8>) {
        let mut state = self.lock();
        state.done += 1;
        self.recycle_in(&mut state, &mut buffer);
        self.ready.notify_all();
    }

    /// Takes back the buffer of a batch that is not needed any more, although others before it are not done.
    pub(super) fn recycle(&self, buffer: &mut Vec<u8>) {
        self.recycle_in(&mut self.lock(), buffer);
    }

    fn recycle_in(&self, state: &mut State, buffer: &mut Vec<u8>) {
        let mut buffer = std::mem::take(buffer);
        if buffer.capacity() > 0 && buffer.capacity() <= self.cut.bytes && state.spare.is_none() {
            buffer.clear();
            state.spare = Some(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The input is not the one that an earlier run has begun with.
fn other_input() -> Error {
    Error::new(ErrorKind::Input, "the records are not those that the checkpoint tells of")
        .hint("give the inputs and the query of the run that was interrupted, or remove the checkpoint to start over")
}

/// How many bytes of whole rows there are within some bytes and some records, and how many rows that are.
fn fitting(rows: &[u8], bytes: usize, records: u64) -> (usize, u64) {
    let head = &rows[..rows.len().min(bytes)];
    let Some(end) = memchr::memrchr(b'\n', head).map(|last| last + 1) else { return (0, 0) };
    let count = memchr::memchr_iter(b'\n', &head[..end]).count() as u64;
    match records {
        0 => (0, 0),
        _ if count <= records => (end, count),
        _ => {
            let last = usize::try_from(records - 1).ok().and_then(|last| memchr::memchr_iter(b'\n', head).nth(last));
            (last.map_or(0, |last| last + 1), records)
        }
    }
}

/// The bytes of the first row.
fn first_row(rows: &[u8]) -> usize {
    memchr::memchr(b'\n', rows).map_or(rows.len(), |end| end + 1)
}

/// Where the row `next` would come from that follows on the last of `rows`, if it is that of the next line. The last one of the
/// places is that of one of these rows.
fn place_after(places: &[RowPlace], rows: &[u8], next: u64) -> Option<RowPlace> {
    let last = places.last()?;
    let since = next - last.row;
    let offset = last.offset + last_rows(rows, since) as u64;
    Some(RowPlace { row: next, file: last.file, line: last.line + since, offset })
}

/// The bytes of the last `count` rows.
fn last_rows(rows: &[u8], count: u64) -> usize {
    let before = usize::try_from(count).ok().and_then(|count| memchr::memrchr_iter(b'\n', rows).nth(count));
    rows.len() - before.map_or(0, |before| before + 1)
}

/// Takes the rows of a run.
pub(super) struct Batcher<'b>(pub(super) &'b Batches);

impl Write for Batcher<'_> {
    /// Takes whole rows, all of them.
    fn write(&mut self, rows: &[u8]) -> io::Result<usize> {
        self.0.add(rows).map_err(io::Error::other)?;
        Ok(rows.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the rejected lines of a run.
pub(super) struct Malformed {
    pub(super) batches: std::sync::Arc<Batches>,
    /// The start of a line whose end has not come yet.
    pub(super) begun: Vec<u8>,
}

impl Write for Malformed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if let Some(end) = memchr::memrchr(b'\n', &self.begun) {
            let rest = self.begun.split_off(end + 1);
            let lines = std::mem::replace(&mut self.begun, rest);
            self.batches.add_malformed(&lines).map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Rows come in any pieces, and with notes wherever they do not follow each other; some were done before.
        #[test]
        fn batches_are_the_rows_with_their_places(
            rows in proptest::collection::vec((0_usize..12, 0_u64..3), 0..80),
            pieces in proptest::collection::vec(1_usize..9, 1..6),
            records in 1_u64..20,
            bytes in 1_usize..60,
            done in 0_usize..80,
        ) {
            let done = done.min(rows.len());
            let (mut text, mut expected, mut notes) = (Vec::new(), Vec::new(), Vec::new());
            let (mut line, mut offset) = (0, 0);
            for (number, &(len, gap)) in rows.iter().enumerate() {
                if gap > 0 || number == 0 {
                    line += gap;
                    offset += 5 * gap;
                    notes.push(RowPlace { row: number as u64, file: 3, line, offset });
                }
                let row = vec![b'a' + (number % 26) as u8; len];
                expected.push((RecordPlace { file: Some(3), line, offset }, row.clone()));
                text.push([row.as_slice(), b"\n"].concat());
                line += 1;
                offset += len as u64 + 1;
            }
            let mut checksum = XxHash3_64::new();
            checksum.write(&text[..done].concat());
            let before = Done { rows: done as u64, checksum: checksum.finish(), batches: 7, ..Done::default() };
            let places = Places::default();
            let cut = Cut { records, bytes, time: Duration::from_secs(3600) };
            let batches = Batches::new(cut, u64::MAX, places.clone(), Budget::new(1 << 20), Some(&before));
            let found = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut at, mut notes) = (0, notes.into_iter().peekable());
                    for count in pieces.iter().cycle() {
                        let end = (at + count).min(text.len());
                        places.note(std::iter::from_fn(|| notes.next_if(|note| note.row < end as u64)));
                        batches.add(&text[at..end].concat()).unwrap();
                        at = end;
                        if at == text.len() {
                            break;
                        }
                    }
                    batches.end().unwrap();
                });
                let mut found = Vec::new();
                let mut number = 7;
                while let Some(batch) = batches.next() {
                    number += 1;
                    assert_eq!((batch.number, batch.records), (number, batch.rows().count() as u64));
                    assert!(batch.records <= records && (batch.bytes.len() <= bytes || batch.records == 1));
                    assert_eq!(batch.first_line(), batch.rows().next().unwrap().0.line + 1);
                    found.extend(batch.rows().map(|(place, row)| (place, row.to_vec())));
                }
                found
            });
            prop_assert_eq!(&found[..], &expected[done..]);
        }
    }
}
