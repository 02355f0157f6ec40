//! Cuts: what is known of a pass between two blocks, from which another process can go on.
//!
//! When a cut is due, each worker writes its groups and rows to disk as runs after the block that it works on, and waits.
//! Since blocks are handed out in order, the input has then been worked through up to a place, and nothing waits anywhere.
//! The last worker copies the new runs to a file that is kept, and has the state of everything written down. When the input
//! has been handed out and the first worker has ended, there are no more cuts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::collect::CollectorState;
use super::increment::ReadingEnd;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::spill::{KeptFile, KeptRun, Run, Space};

/// How often a cut is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After so much time.
    Time(Duration),
    /// After so many bytes of input, decompressed.
    Bytes(u64),
}

/// Cuts that are wanted of a pass.
pub struct Cuts<'a> {
    /// How often.
    pub every: Every,
    /// The directory for what is kept beside the states. It is there.
    pub dir: PathBuf,
    /// Writes a state down. When it is done, the state is what a later process goes on from.
    pub write: &'a (dyn Fn(&PassState) -> Result<()> + Sync),
}

/// What is known of a pass at a cut.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PassState {
    pub(super) block_size: usize,
    /// The number of the input that was read.
    pub(super) reading: usize,
    /// What happened in those before it.
    pub(super) before: Vec<CollectorState>,
    /// For each run over the input its state.
    pub(super) seats: Vec<SeatState>,
    /// For each output what [`Keep::keep`] gave; null if it gets its rows but at the end, and has none yet.
    pub outputs: Vec<Json>,
    /// For each output that is complete what happened.
    pub(super) summaries: Vec<Option<CollectorState>>,
    /// The number of cuts so far.
    pub(super) cuts: u32,
    /// What is kept for a later pass of the inputs before.
    pub(super) ends: Vec<ReadingEnd>,
}

impl PassState {
    /// Looks whether all that the state refers to is in a directory as it was written.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] with the first file that is not.
    pub fn check(&self, dir: &Path) -> Result<()> {
        let space = Space::new(dir.to_owned(), None);
        for &(file, _, place) in self.seats.iter().flat_map(|seat| &seat.runs) {
            let path = path_of(dir, file);
            let fail = |what: &str| Error::new(ErrorKind::Input, what).at(Place::File(path.clone()));
            let open = File::open(&path).map_err(|error| fail("cannot be read").caused_by(error))?;
            if !Run::is_whole(&Arc::new(open), place, &space)? {
                return Err(fail("is damaged"));
            }
        }
        Ok(())
    }

    /// The records of the input that had been read.
    pub fn records(&self) -> u64 {
        self.seats.first().map_or(0, |seat| seat.collector.records())
    }
}

/// The state of one run at a cut.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SeatState {
    pub(super) collector: CollectorState,
    pub(super) found: Vec<u64>,
    /// Its runs: the file, whether it is of sorted rows, where it lies.
    runs: Vec<(u32, bool, KeptRun)>,
}

/// What takes rows, and can go on in another process.
pub trait Keep {
    /// Sees to it that what was taken is on disk, and tells what has to be known to go on from there.
    ///
    /// # Errors
    /// Any error of writing.
    fn keep(&mut self) -> Result<Json>;
}

impl Keep for Vec<u8> {
    fn keep(&mut self) -> Result<Json> {
        Ok(Json::from(String::from_utf8_lossy(self).into_owned()))
    }
}

/// What a worker gives at a cut.
pub(super) struct Deposit {
    pub(super) seat: usize,
    /// Runs that it has written of groups, and of sorted rows.
    pub(super) groups: Vec<Run>,
    pub(super) rows: Vec<Run>,
    /// For each path of the plan the records so far that had it, or whether any had.
    pub(super) found: Vec<u64>,
}

impl Deposit {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.rows.is_empty()
    }
}

/// What was found by the process that the pass goes on from, and what is kept of one run.
pub(super) type KeptOf = (Vec<u64>, Vec<(u32, bool, KeptRun)>);

/// A run that was given at a cut.
struct Kept {
    seat: usize,
    is_sorter: bool,
    run: Run,
    /// The file that it lies in, and where; `None` if nothing was written down at that cut.
    place: Option<(u32, KeptRun)>,
}

/// Lets workers meet at cuts.
pub(super) struct Cutter<'a> {
    cuts: &'a Cuts<'a>,
    due: AtomicBool,
    meeting: Mutex<Meeting>,
    /// The meeting has ended, or somebody left it.
    ended: Condvar,
    kept: Mutex<Vec<Kept>>,
    /// The number of the next file.
    next: Mutex<u32>,
    /// For each seat the records that had each path, before the pass went on.
    found: Vec<Vec<u64>>,
}

struct Meeting {
    /// The workers that take part.
    active: usize,
    arrived: usize,
    deposits: Vec<Deposit>,
    /// How many meetings there have been.
    number: u64,
    last: Instant,
    last_bytes: u64,
    has_failed: bool,
    /// Whether a worker has ended, so that there are no more cuts: what it has is in its memory alone.
    is_over: bool,
}

impl<'a> Cutter<'a> {
    /// For workers that [enter](Cutter::enter). `from` is the state that the pass goes on from.
    pub(super) fn new(cuts: &'a Cuts<'a>, from: Option<&PassState>, space: &Space) -> Result<Cutter<'a>> {
        let mut kept = Vec::new();
        let mut files: Vec<(u32, Arc<File>)> = Vec::new();
        for (seat, state) in from.iter().flat_map(|from| from.seats.iter().enumerate()) {
            for &(file, is_sorter, place) in &state.runs {
                let open = match files.iter().find(|(known, _)| *known == file) {
                    Some((_, open)) => Arc::clone(open),
                    None => {
                        let path = path_of(&cuts.dir, file);
                        let open = File::open(&path).map_err(|error| {
                            Error::new(ErrorKind::Input, "cannot read what a checkpoint refers to")
                                .at(Place::File(path))
                                .caused_by(error)
                        })?;
                        files.push((file, Arc::new(open)));
                        Arc::clone(&files[files.len() - 1].1)
                    }
                };
                kept.push(Kept { seat, is_sorter, run: Run::kept(&open, place, space), place: Some((file, place)) });
            }
        }
        let meeting = Meeting {
            active: 0,
            arrived: 0,
            deposits: Vec::new(),
            number: 0,
            last: Instant::now(),
            last_bytes: 0,
            has_failed: false,
            is_over: false,
        };
        Ok(Cutter {
            cuts,
            due: AtomicBool::new(false),
            meeting: Mutex::new(meeting),
            ended: Condvar::new(),
            kept: Mutex::new(kept),
            next: Mutex::new(from.map_or(0, |from| from.cuts)),
            found: from.map_or(Vec::new(), |from| from.seats.iter().map(|seat| seat.found.clone()).collect()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Meeting> {
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in meetings as long as what is given lives.
    pub(super) fn enter(&self) -> Membership<'_, 'a> {
        self.lock().active += 1;
        Membership(self)
    }

    /// To be called after each block: if a cut is due, gives the runs of this worker, and waits until all have given theirs.
    /// `bytes` have been read so far. `write` is called by one of them.
    pub(super) fn pass(
        &self,
        bytes: u64,
        give: impl FnOnce() -> Result<Vec<Deposit>>,
        write: &dyn Fn(Vec<Deposit>) -> Result<()>,
    ) -> Result<()> {
        if !self.due.load(Ordering::Relaxed) {
            let meeting = self.lock();
            if meeting.is_over {
                return Ok(());
            }
            let is_due = match self.cuts.every {
                Every::Time(time) => meeting.last.elapsed() >= time,
                Every::Bytes(most) => bytes.saturating_sub(meeting.last_bytes) >= most,
            };
            if !is_due && !is_interrupted() {
                return Ok(());
            }
            self.due.store(true, Ordering::Relaxed);
        }
        let deposits = give();
        let mut meeting = self.lock();
        match deposits {
            Ok(deposits) => meeting.deposits.extend(deposits),
            Err(error) => {
                meeting.has_failed = true;
                return Err(error);
            }
        }
        meeting.arrived += 1;
        let number = meeting.number;
        while meeting.number == number && meeting.arrived < meeting.active && !meeting.is_over {
            meeting = self.ended.wait(meeting).unwrap_or_else(PoisonError::into_inner);
        }
        if meeting.number != number {
            return if meeting.has_failed { Err(over()) } else { Ok(()) };
        }
        let deposits = std::mem::take(&mut meeting.deposits);
        let result = match &*meeting {
            Meeting { has_failed: true, .. } => Err(over()),
            Meeting { is_over: true, .. } => {
                self.hold(deposits);
                Ok(())
            }
            _ => write(deposits).and_then(|()| match is_interrupted() {
                true => Err(Error::new(ErrorKind::ClosedPipe, "the run was interrupted after a checkpoint")),
                false => Ok(()),
            }),
        };
        meeting.has_failed |= result.is_err();
        (meeting.arrived, meeting.number) = (0, number + 1);
        (meeting.last, meeting.last_bytes) = (Instant::now(), bytes);
        self.due.store(false, Ordering::Relaxed);
        self.ended.notify_all();
        result
    }

    /// Holds runs that nothing is written down of until the end.
    fn hold(&self, deposits: Vec<Deposit>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for Deposit { seat, groups, rows, .. } in deposits {
            kept.extend(groups.into_iter().map(|run| Kept { seat, is_sorter: false, run, place: None }));
            kept.extend(rows.into_iter().map(|run| Kept { seat, is_sorter: true, run, place: None }));
        }
    }

    /// Keeps runs. Gives the number of the next file, and for each seat what was found, and where all of its runs lie.
    pub(super) fn keep(&self, deposits: Vec<Deposit>, seats: usize) -> Result<(u32, Vec<KeptOf>)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *next;
        *next += 1;
        let mut found: Vec<Vec<u64>> = (0..seats).map(|seat| self.found_before(seat)).collect();
        for deposit in &deposits {
            add(&mut found[deposit.seat], &deposit.found);
        }
        if !deposits.iter().all(Deposit::is_empty) {
            // One of a process that ended before its state was written down is no longer of any use.
            let mut file = KeptFile::create(path_of(&self.cuts.dir, number))?;
            for Deposit { seat, groups, rows, .. } in deposits {
                let runs = groups.into_iter().map(|run| (run, false)).chain(rows.into_iter().map(|run| (run, true)));
                for (run, is_sorter) in runs {
                    let (run, place) = file.keep(run)?;
                    kept.push(Kept { seat, is_sorter, run, place: Some((number, place)) });
                }
            }
            file.close()?;
        }
        let of = |seat: usize| {
            let own = kept.iter().filter(|kept| kept.seat == seat);
            own.filter_map(|kept| kept.place.map(|(file, place)| (file, kept.is_sorter, place))).collect()
        };
        Ok((*next, found.into_iter().enumerate().map(|(seat, found)| (found, of(seat))).collect()))
    }

    /// For each path of a seat the records that had it before the pass went on.
    pub(super) fn found_before(&self, seat: usize) -> Vec<u64> {
        self.found.get(seat).cloned().unwrap_or_default()
    }

    /// The runs that were kept of a seat: those of groups, and those of sorted rows.
    pub(super) fn take_kept(&self, seat: usize) -> (Vec<Run>, Vec<Run>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut groups, mut rows) = (Vec::new(), Vec::new());
        for one in kept.extract_if(.., |kept| kept.seat == seat) {
            if one.is_sorter { rows.push(one.run) } else { groups.push(one.run) }
        }
        (groups, rows)
    }

    pub(super) fn cuts(&self) -> &Cuts<'a> {
        self.cuts
    }
}

impl SeatState {
    pub(super) fn new(collector: CollectorState, found: Vec<u64>, runs: Vec<(u32, bool, KeptRun)>) -> SeatState {
        SeatState { collector, found, runs }
    }
}

/// One worker's part in meetings.
pub(super) struct Membership<'c, 'a>(&'c Cutter<'a>);

impl Drop for Membership<'_, '_> {
    fn drop(&mut self) {
        let mut meeting = self.0.lock();
        (meeting.active, meeting.is_over) = (meeting.active - 1, true);
        meeting.has_failed |= std::thread::panicking();
        drop(meeting);
        self.0.ended.notify_all();
    }
}

/// Adds numbers to others.
pub(super) fn add(sums: &mut Vec<u64>, numbers: &[u64]) {
    sums.resize(sums.len().max(numbers.len()), 0);
    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}.runs"))
}

fn over() -> Error {
    Error::new(ErrorKind::ClosedPipe, "another worker has failed")
}

/// Whether runs are to end, passes with cuts with one.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets all runs end as soon as they can: passes with cuts make one first. The error is of the kind
/// [`ClosedPipe`](ErrorKind::ClosedPipe).
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

pub(super) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
