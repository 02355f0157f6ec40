//! The collector: takes what came out of each block, in the order of the input.
//!
//! Blocks of one file are taken in their order, so that line numbers are known. If the run is ordered, files are taken
//! one after another too, and what comes out of the run (rows, rejects, the first error) does not depend on the
//! workers. Reports that are early wait; the input's window bounds how many can.

mod rejects;
mod state;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::allotment;
use super::drift::{BlockKinds, PathKinds};
use super::missing::missing_paths;
use super::parked::Parked;
use super::places::BlockPlaces;
use super::probe::Probe;
use super::shared_scan::unreadable;
use super::side::Side;
use super::summary::{FaultSummary, MOST_SAMPLES, RejectSample, Summary};
use super::worker::Part;
use super::{MaxErrors, OnError, Run};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::expr::{Fault, FaultTally, Met, RecordPlace, Site};
use crate::input::{Block, Input};
use crate::memory::{Budget, Reservation};
use crate::output::{Rows, Sink, write_reject};
use crate::scan::{Batch, Reason, Span};
use crate::spill::Space;

pub(super) use rejects::{Rejects, RejectsWriter};
pub(super) use state::CollectorState;

/// Which block it is, whatever is made of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Head {
    file: u32,
    index: u64,
    last: bool,
    eager: bool,
    /// The number of the block's first line, from 0, where the block knows it.
    first_line: Option<u64>,
    /// Where the block begins in its file.
    offset: u64,
    lines: u64,
    bytes: u64,
}

impl Head {
    pub(super) fn new(block: &Block, batch: &Batch) -> Head {
        Head {
            file: block.file,
            index: block.index,
            last: block.last,
            eager: block.eager,
            first_line: block.first_line,
            offset: block.offset,
            lines: batch.lines + u64::from(block.overlong().is_some()),
            bytes: block.raw().len() as u64,
        }
    }
}

/// What came out of one block.
#[derive(Default)]
pub(super) struct Report {
    head: Head,
    /// The records that were taken from it.
    pub(super) records: u64,
    pub(super) made: Made,
    /// What the rows take while they wait for their turn.
    waits: Option<Reservation>,
    pub(super) rejects: Vec<Rejected>,
    pub(super) faults: Vec<FoundFault>,
    /// For each path of the plan the kinds of what it led to.
    pub(super) kinds: BlockKinds,
    /// What ends the run in this block; later rejects are not in the report.
    pub(super) failure: Option<Failed>,
    pub(super) time: Duration,
}

/// What was made of records.
#[derive(Default)]
pub(super) struct Made {
    /// The records that the filter let pass, or some rows of which.
    pub(super) used: u64,
    /// The last of these.
    last_used: Option<u32>,
    /// Rows on disk, and how many.
    pub(super) parked: Parked,
    /// The rows after them.
    pub(super) rows: Rows,
    /// Where each record ends that has rows, if the plan has a LIMIT that rows of blocks are counted for.
    pub(super) row_ends: Vec<RowEnd>,
    /// The records of the block before those that rows are made of now.
    pub(super) records_before: u64,
    /// Where the records are that the rows were made of, if other runs take these.
    pub(super) sources: Vec<RowSource>,
    /// The last of these.
    last_source: Option<u32>,
    /// The same for whoever takes the rows of the run, if that is wanted.
    pub(super) places: BlockPlaces,
    /// The rows that other runs have taken.
    pub(super) handed_on: u64,
    /// The rows that went to a sorter.
    pub(super) rows_sorted: u64,
    /// What was met.
    pub(super) faults: Vec<MetFault>,
}

/// The record that some rows were made of.
#[derive(Clone, Copy)]
pub(super) struct RowSource {
    /// The first of the rows.
    pub(super) row: usize,
    /// The record among the bytes of the input.
    pub(super) span: Span,
}

/// Faults, and where the first record begins in which they were met, in its block.
pub(super) struct MetFault {
    pub(super) tally: FaultTally,
    pub(super) start: u32,
}

impl Made {
    /// The number of rows, wherever they are.
    pub(super) fn rows_made(&self) -> usize {
        self.parked.rows() + self.rows.len()
    }

    /// Notes of which records rows are made that are about to be written. `of` gives the number of the record of a row, and
    /// where it is among the bytes of the input.
    pub(super) fn note_sources(&mut self, rows: &[u32], of: impl Fn(u32) -> (u32, Span)) {
        let before = self.rows.len();
        for (place, &row) in rows.iter().enumerate() {
            let (record, span) = of(row);
            if self.last_source != Some(record) || (before + place == 0) {
                self.sources.push(RowSource { row: before + place, span });
                self.last_source = Some(record);
            }
        }
    }

    /// Says that what comes next is made of other records, with numbers of their own.
    pub(super) fn end_of_records(&mut self) {
        (self.last_used, self.last_source) = (None, None);
    }

    /// Counts the records of rows, which come in their order; without `records` each row is one of its own.
    pub(super) fn count(&mut self, rows: &[u32], records: Option<&[u32]>) {
        let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return };
        let record = |row: u32| records.map_or(row, |records| records[row as usize]);
        let goes_on = self.last_used == Some(record(first));
        let others = match records {
            None => rows.len() - 1,
            Some(_) => rows.array_windows().filter(|&&[a, b]| record(a) != record(b)).count(),
        };
        self.used += others as u64 + u64::from(!goes_on);
        self.last_used = Some(record(last));
    }
}

/// How much of a block there is up to a record.
#[derive(Clone, Copy)]
pub(super) struct RowEnd {
    /// The rows up to its last one.
    pub(super) rows: usize,
    /// The offset of the record in the decompressed file.
    pub(super) offset: u64,
    /// The records up to it, itself included.
    pub(super) records: u64,
    /// The records that the filter let pass up to it, itself included.
    pub(super) used: u64,
}

/// The record for which a callback failed, and why.
pub(super) struct Failed {
    /// The line in its block, from 0.
    pub(super) line: u64,
    /// The offset in the decompressed file.
    pub(super) offset: u64,
    pub(super) error: Error,
}

/// A rejected line of a block.
pub(super) struct Rejected {
    /// The line in its block, from 0.
    pub(super) line: u64,
    /// The offset in the decompressed file.
    pub(super) offset: u64,
    pub(super) reason: Reason,
    /// What is wrong with a record that is not as its schema says.
    pub(super) broken: Option<String>,
    /// How many fields a row has and how many it should have, where that is the reason.
    pub(super) fields: Option<(usize, usize)>,
    pub(super) at: u32,
    pub(super) raw: Vec<u8>,
    pub(super) truncated: bool,
}

/// The faults at one site in a block.
pub(super) struct FoundFault {
    pub(super) site: usize,
    pub(super) fault: Fault,
    pub(super) met: Option<Met>,
    pub(super) count: u64,
    /// The first line in its block, from 0.
    pub(super) line: u64,
    pub(super) offset: u64,
}

impl Report {
    pub(super) fn new(head: Head, rows: Rows) -> Report {
        Report { head, made: Made { rows, ..Made::default() }, ..Report::default() }
    }

    /// Lets the rows wait for their turn in memory, if a budget allows for that: says whether it does.
    fn can_wait(&mut self, budget: &Budget) -> bool {
        if self.waits.is_none() {
            let mut waits = budget.reservation("rows that wait");
            let Rows { bytes, ends } = &self.made.rows;
            let fits = waits.try_resize(bytes.capacity() + ends.capacity() * size_of::<usize>());
            self.waits = fits.then_some(waits);
        }
        self.waits.is_some()
    }

    /// Lets the rows wait for their turn: in memory, or, where a budget does not allow for that, on disk.
    fn wait(&mut self, budget: &Budget, space: &Space) -> Result<()> {
        if self.can_wait(budget) {
            return Ok(());
        }
        let Made { rows, parked, .. } = &mut self.made;
        parked.push(rows, space)?;
        parked.end()?;
        *rows = Rows::default();
        Ok(())
    }
}

pub(super) struct Collector<'r, W: Write> {
    run: &'r Run,
    /// Whose records come, in the end.
    pub(super) input: &'r Input,
    /// Whether it says how far the input has been worked through, and when no more of it is wanted.
    leads: bool,
    /// Whether the output is to be handed on after each block.
    flush: bool,
    writes_rejects: bool,
    /// Held while rows are written.
    state: Mutex<State<'r, W>>,
    /// Never held for long, and taken after the state where both are.
    desk: Mutex<Desk>,
}

/// What workers leave and take while another one has the state.
#[derive(Default)]
struct Desk {
    /// Reports that whoever has the state takes before going.
    reports: Vec<Report>,
    /// Buffers to be used again. With those that workers have there is one for each worker at most.
    spare: Vec<Rows>,
    /// How many buffers workers have.
    lent: usize,
    workers: usize,
}

/// The most reports that are left for each worker, before workers wait.
const LEFT: usize = 2;

struct State<'r, W: Write> {
    files: Vec<FileState>,
    /// In an ordered run the file whose blocks are taken now.
    front: usize,
    sink: Sink<W>,
    rejects: Option<&'r RejectsWriter>,
    gate: Gate,
    summary: Summary,
    reasons: BTreeMap<Reason, u64>,
    faults: BTreeMap<(usize, Fault), FaultState>,
    kinds: PathKinds,
    /// The first rejected lines, by file and offset.
    samples: BTreeMap<(u32, u64), RejectSample>,
    /// Whether it is kept which line is the first one of each block, as rows of it may come later.
    keeps_starts: bool,
    /// The fault that came first among those of such rows.
    late_fault: Option<LateFault>,
    error: Option<Error>,
}

impl<W: Write> State<'_, W> {
    /// Writes those rows that OFFSET and LIMIT let pass.
    fn write(&mut self, rows: &Rows) -> Result<()> {
        let range = self.gate.pass(rows.len());
        self.summary.rows_out += range.len() as u64;
        if range.is_empty() { Ok(()) } else { self.sink.write(rows.range(range)) }
    }
}

#[derive(Default)]
struct FileState {
    next: u64,
    lines: u64,
    waiting: BTreeMap<u64, Report>,
    done: bool,
    /// The first line of each block, if that is kept; 0 where the records know their lines.
    starts: Vec<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct FaultState {
    count: u64,
    #[serde(with = "state::pairs")]
    met: BTreeMap<Met, u64>,
    of_groups: bool,
    first: Option<FaultPlace>,
}

impl FaultState {
    fn add(&mut self, count: u64, met: Option<Met>, place: Option<FaultPlace>) {
        self.count += count;
        if let Some(met) = met {
            *self.met.entry(met).or_default() += count;
        }
        self.first = self.first.into_iter().chain(place).min();
    }
}

/// The file, the line from 0 and the offset of a record.
type FaultPlace = (u32, u64, u64);

/// The first fault of rows that waited.
#[derive(Clone, Copy)]
struct LateFault {
    place: FaultPlace,
    site: usize,
    fault: Fault,
    met: Option<Met>,
}

/// OFFSET and LIMIT.
pub(super) struct Gate {
    skip: u64,
    left: Option<u64>,
}

impl Gate {
    /// The rows, of the next `rows`, that pass.
    fn pass(&mut self, rows: usize) -> std::ops::Range<usize> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows);
        self.skip -= skipped as u64;
        let mut passed = rows - skipped;
        if let Some(left) = &mut self.left {
            passed = usize::try_from(*left).unwrap_or(usize::MAX).min(passed);
            *left -= passed as u64;
        }
        skipped..skipped + passed
    }

    /// The last of the next `rows` rows that passes, if none passes after it.
    fn last(&self, rows: usize) -> Option<usize> {
        let left = usize::try_from(self.left?).ok()?.checked_sub(1)?;
        let last = usize::try_from(self.skip).ok()?.checked_add(left)?;
        (last < rows).then_some(last)
    }

    fn closed(&self) -> bool {
        self.left == Some(0)
    }
}

impl<'r, W: Write + Send> Collector<'r, W> {
    /// For a run over an input. Of several runs over the same input one `leads`; the others have got a block before it has.
    pub(super) fn new(
        run: &'r Run,
        (input, leads): (&'r Input, bool),
        sink: Sink<W>,
        rejects: Option<&'r Rejects>,
    ) -> Collector<'r, W> {
        let rejects = rejects.and_then(|rejects| rejects.of(run.named.as_deref()));
        let file = |number| FileState { lines: input.lines_before(number), ..FileState::default() };
        let files = (0..input.names().len()).map(file).collect();
        Collector {
            run,
            input,
            leads,
            flush: run.settings.line_buffered,
            writes_rejects: rejects.is_some(),
            state: Mutex::new(State {
                files,
                front: 0,
                sink,
                rejects,
                gate: Gate { skip: run.plan.offset, left: run.plan.limit },
                summary: Summary::default(),
                reasons: BTreeMap::new(),
                faults: BTreeMap::new(),
                kinds: PathKinds::default(),
                samples: BTreeMap::new(),
                keeps_starts: false,
                late_fault: None,
                error: None,
            }),
            desk: Mutex::new(Desk { workers: 1, ..Desk::default() }),
        }
    }

    pub(super) fn writes_rejects(&self) -> bool {
        self.writes_rejects
    }

    /// An empty buffer for rows.
    pub(super) fn recycled_rows(&self) -> Rows {
        let mut desk = self.desk();
        desk.lent += 1;
        desk.spare.pop().unwrap_or_default()
    }

    /// Takes a report. Those before it that were waiting for it, and those after it that are, are taken too. If another
    /// worker is taking some, it takes this one too, or has to be waited for if it has many left.
    ///
    /// # Errors
    /// Any error that ends the run.
    pub(super) fn deliver(&self, mut report: Report) -> Result<()> {
        let mut desk = self.desk();
        desk.lent = desk.lent.saturating_sub(1);
        drop(desk);
        let mut state = self.try_lock();
        if state.is_none() && report.can_wait(&self.run.shared.budget) {
            let mut desk = self.desk();
            desk.reports.push(report);
            let is_much = desk.reports.len() > LEFT * desk.workers;
            drop(desk);
            state = if is_much { Some(self.lock()) } else { self.try_lock() };
        } else {
            let mut held = state.take().unwrap_or_else(|| self.lock());
            self.take_in_turn(&mut held, report)?;
            state = Some(held);
        }
        while let Some(mut held) = state {
            let left = std::mem::take(&mut self.desk().reports);
            if left.is_empty() {
                drop(held);
                // Whoever left one since then has found the state taken.
                let is_all = self.desk().reports.is_empty();
                state = if is_all { None } else { self.try_lock() };
                continue;
            }
            left.into_iter().try_for_each(|report| self.take_in_turn(&mut held, report))?;
            state = Some(held);
        }
        Ok(())
    }

    /// Takes a report when all before it have been taken, and those that wait for it.
    fn take_in_turn(&self, state: &mut State<'_, W>, mut report: Report) -> Result<()> {
        if state.error.is_some() {
            return Ok(());
        }
        let file = report.head.file as usize;
        let is_next = report.head.index == state.files[file].next && (!self.run.ordered || file == state.front);
        if !is_next {
            report.wait(&self.run.shared.budget, &self.run.shared.space)?;
        }
        state.files[file].waiting.insert(report.head.index, report);
        loop {
            let file = if self.run.ordered { state.front } else { file };
            let Some(files) = state.files.get_mut(file) else { break };
            let next = files.next;
            match files.waiting.remove(&next) {
                Some(report) => {
                    files.next += 1;
                    files.done = report.head.last;
                    if let Err(error) = self.take(state, report) {
                        let kind = error.kind();
                        state.error = Some(error);
                        return Err(Error::new(kind, "the run has ended"));
                    }
                    if self.leads && self.run.ordered {
                        self.input.retire(file as u32);
                    }
                }
                None if files.done && self.run.ordered => state.front += 1,
                None => break,
            }
        }
        Ok(())
    }

    fn take(&self, state: &mut State<'_, W>, mut report: Report) -> Result<()> {
        if state.gate.closed() && self.limits_rows() {
            self.stop();
            return Ok(());
        }
        if let Some(last) = state.gate.last(report.made.rows_made())
            && let Some(&end) = report.made.row_ends.get(report.made.row_ends.partition_point(|end| end.rows <= last))
        {
            // What comes after the last row is as if it had not been read.
            report.rejects.retain(|reject| reject.offset <= end.offset);
            report.faults.retain(|fault| fault.offset <= end.offset);
            report.kinds.cut(end.records, end.offset);
            report.records = end.records;
            report.made.used = end.used;
        }
        let of_file = &mut state.files[report.head.file as usize];
        let line = report.head.first_line.unwrap_or(of_file.lines);
        if state.keeps_starts {
            of_file.starts.push(if report.head.first_line.is_some() { 0 } else { line });
        }
        let rejected = report.rejects.len() as u64;
        let summary = &mut state.summary;
        summary.records_in += report.records + rejected;
        summary.used += report.made.used;
        summary.filtered += report.records - report.made.used;
        summary.bytes += report.head.bytes;
        summary.block_latency.record(report.time);
        summary.rows_out += report.made.handed_on;
        if self.leads {
            self.run.records.fetch_add(report.records, Ordering::Relaxed);
        }
        // What comes first in the input is told first, be it a reject or a fault. A value that is taken as NULL is told
        // before a path of several types.
        report.faults.sort_by_key(|fault| fault.offset);
        let change = state.kinds.take(report.head.file, line, &report.kinds).filter(|_| self.run.settings.strict);
        if let Some(change) = &change {
            report.rejects.retain(|reject| reject.offset < change.offset);
            report.faults.retain(|fault| fault.offset <= change.offset);
        }
        let mut faults = report.faults.iter().peekable();
        for reject in &mut report.rejects {
            while let Some(fault) = faults.next_if(|fault| fault.offset < reject.offset) {
                self.take_fault(state, report.head.file, line, fault)?;
            }
            self.take_reject(state, report.head.file, line, reject)?;
        }
        if let (Some(rejects), false) = (state.rejects, report.rejects.is_empty()) {
            rejects.hand_on()?;
        }
        if let Some(Failed { line: own, offset, error }) = report.failure.take() {
            return Err(error.at(self.place(report.head.file, line + own, offset)));
        }
        for fault in faults {
            self.take_fault(state, report.head.file, line, fault)?;
        }
        if let Some(change) = change {
            let path = &self.run.plan.paths[change.path];
            let message = format!("`{path}` is {} after it was {}", change.to.one(), change.from.one());
            return Err(Error::new(ErrorKind::Rejected, message)
                .at(self.place(report.head.file, change.line, change.offset))
                .hint("without --strict this is told at the end; casts, typeof and || take values of several types"));
        }
        state.files[report.head.file as usize].lines += report.head.lines;
        if let Some(places) = &self.run.places {
            let head = &report.head;
            places.note(report.made.places.in_run(head.file, state.summary.rows_out, line, head.offset));
            if rejected > 0
                && let Some(rejects) = state.rejects
            {
                rejects.flush()?;
            }
        }
        if self.limits_rows() {
            if let Some(mut parked) = report.made.parked.finish()? {
                let mut rows = self.desk().spare.pop().unwrap_or_default();
                while parked.next(&mut rows)? {
                    state.write(&rows)?;
                }
                self.desk().spare.push(rows);
            }
            state.write(&report.made.rows)?;
            if self.flush || report.head.eager {
                state.sink.flush()?;
            }
            if state.gate.closed() {
                self.stop();
            }
        }
        let mut desk = self.desk();
        if desk.spare.len() + desk.lent < desk.workers {
            report.made.rows.clear();
            report.made.rows.bytes.shrink_to(2 * allotment::rows(self.run.settings.memory_limit));
            desk.spare.push(report.made.rows);
        }
        Ok(())
    }

    /// Says that no more records are wanted.
    fn stop(&self) {
        if self.leads {
            self.input.stop();
        }
    }

    /// Whether rows come straight from blocks, so that OFFSET and LIMIT apply to them here.
    fn limits_rows(&self) -> bool {
        self.run.plan.order.is_empty() && matches!(self.run.plan.body, crate::plan::Body::Rows(_))
    }

    fn place(&self, file: u32, line: u64, offset: u64) -> Place {
        Place::Record { file: self.input.names()[file as usize].clone(), line: line + 1, offset }
    }

    fn take_reject(&self, state: &mut State<'_, W>, file: u32, first: u64, reject: &mut Rejected) -> Result<()> {
        if self.run.feed.is_some() {
            return Err(unreadable(&reject.reason.to_string()));
        }
        state.summary.rejected += 1;
        *state.reasons.entry(reject.reason).or_default() += 1;
        let what = match (reject.fields, reject.broken.take()) {
            (Some((fields, wanted)), _) => format!("{} ({fields} instead of {wanted})", reject.reason),
            (None, Some(broken)) => format!("{}: {broken}", reject.reason),
            (None, None) => reject.reason.to_string(),
        };
        let line = first + reject.line;
        let name = &self.input.names()[file as usize];
        if let Some(rejects) = state.rejects {
            rejects
                .append(|out| write_reject(out, name, line + 1, reject.offset, &what, &reject.raw, reject.truncated))?;
        }
        let place = self.place(file, line, reject.offset);
        if self.run.settings.on_error == OnError::Fail {
            let message = format!("{what} at byte {}", reject.at);
            return Err(Error::new(ErrorKind::Rejected, message)
                .at(place)
                .hint("without --on-error fail such lines are skipped and counted"));
        }
        let last = state.samples.last_key_value().map(|(key, _)| *key);
        if state.samples.len() < MOST_SAMPLES || last.is_some_and(|last| (file, reject.offset) < last) {
            let mut raw = std::mem::take(&mut reject.raw);
            raw.truncate(200);
            let sample = RejectSample { place, reason: reject.reason, what, at: reject.at, raw };
            state.samples.insert((file, reject.offset), sample);
            if state.samples.len() > MOST_SAMPLES {
                state.samples.pop_last();
            }
        }
        // Those of the runs within the run, and of the run around it, count too.
        let all = self.run.shared.rejected.fetch_add(1, Ordering::Relaxed) + 1;
        // A source with a name has a limit of its own.
        let rejected = if self.run.named.is_some() { state.summary.rejected } else { all };
        match self.run.settings.max_errors {
            Some(MaxErrors::Count(most)) if rejected > most => {
                Err(too_many_rejected(self.run.named.as_deref(), rejected, &most.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn take_fault(&self, state: &mut State<'_, W>, file: u32, first: u64, fault: &FoundFault) -> Result<()> {
        let FoundFault { site, fault, met, count, line, offset } = *fault;
        let place = (file, first + line, offset);
        state.faults.entry((site, fault)).or_default().add(count, met, Some(place));
        if self.run.settings.strict { Err(self.strict_error(place, site, fault, met)) } else { Ok(()) }
    }

    /// Prepares for the reports of so many workers. `some_are_late` says that rows come [later](Collector::take_late).
    pub(super) fn expect(&self, workers: usize, some_are_late: bool) {
        self.desk().workers = workers;
        self.lock().keeps_starts = some_are_late;
    }

    /// Takes what was made of rows that waited, when the input has been read. `place` gives the place of a record.
    pub(super) fn take_late(&self, made: &Made, place: impl Fn(u32) -> RecordPlace) {
        let mut state = self.lock();
        // Of a record with several rows some may have come before: it counts again.
        let more = made.used.min(state.summary.filtered);
        state.summary.used += more;
        state.summary.filtered -= more;
        for MetFault { tally, start } in &made.faults {
            let FaultTally { site, fault, met, count, .. } = *tally;
            let RecordPlace { file, offset, block, line } = place(*start);
            let starts = &state.files[file as usize].starts;
            let line = line + usize::try_from(block).ok().and_then(|block| starts.get(block)).copied().unwrap_or(0);
            let place = (file, line, offset);
            if state.late_fault.is_none_or(|known| place < known.place) {
                state.late_fault = Some(LateFault { place, site, fault, met });
            }
            state.faults.entry((site, fault)).or_default().add(count, met, Some(place));
        }
    }

    /// Says that no more rows come that waited.
    ///
    /// # Errors
    /// With `--strict`, if there were faults in them.
    pub(super) fn end_late(&self) -> Result<()> {
        let state = self.lock();
        match state.late_fault {
            Some(LateFault { place, site, fault, met }) if self.run.settings.strict => {
                Err(self.strict_error(place, site, fault, met))
            }
            _ => Ok(()),
        }
    }

    /// The error that a fault is with `--strict`.
    fn strict_error(&self, (file, line, offset): FaultPlace, site: usize, fault: Fault, met: Option<Met>) -> Error {
        Error::new(ErrorKind::Rejected, describe_fault(&self.run.plan.sites[site], fault, met))
            .at(self.place(file, line, offset))
            .hint("without --strict such values are NULL and counted")
    }

    /// Takes faults that have no place in the input: of the results of aggregates and expressions over groups, or else in
    /// the keys of the side of a join.
    ///
    /// # Errors
    /// With `--strict`.
    pub(super) fn take_unplaced_fault(&self, tally: FaultTally, of_groups: bool) -> Result<()> {
        let FaultTally { site, fault, met, count, .. } = tally;
        let mut state = self.lock();
        let entry = state.faults.entry((site, fault)).or_default();
        entry.add(count, met, None);
        entry.of_groups = of_groups;
        drop(state);
        if self.run.settings.strict {
            return Err(Error::new(ErrorKind::Rejected, describe_fault(&self.run.plan.sites[site], fault, met))
                .hint("without --strict such values are NULL and counted"));
        }
        Ok(())
    }

    /// Takes rows that come after the input's end. Says whether more are wanted.
    ///
    /// # Errors
    /// Any error of writing.
    pub(super) fn write(&self, rows: &Rows) -> Result<bool> {
        let mut state = self.lock();
        state.write(rows)?;
        Ok(!state.gate.closed())
    }

    /// The error that ended the run, if one did.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.lock().error.take()
    }

    /// Whether LIMIT has been reached.
    pub(super) fn is_full(&self) -> bool {
        self.lock().gate.closed()
    }

    /// Finds the paths of the plan that no record had.
    pub(super) fn look_for_missing_paths(&self, parts: &[Part], probe: &Probe, sides: &[Option<Side>]) {
        let mut state = self.lock();
        // Where reading stopped early, or nothing was read, it is not known what records have.
        let records = state.summary.records_in - state.summary.rejected;
        if records > 0 && !state.gate.closed() && !self.run.plan.only_watches {
            state.summary.missing_paths = missing_paths(&self.run.plan, records, parts, probe, sides);
        }
    }

    /// Ends the output if all is well.
    /// `complete` adds to the summary what happened in the runs within this one.
    pub(super) fn finish(self, result: Result<()>, complete: impl FnOnce(&mut Summary)) -> (Result<W>, Summary) {
        let mut state = self.state.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.summary.reasons = state.reasons.into_iter().collect();
        state.summary.reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        state.summary.samples = state.samples.into_values().collect();
        state.summary.faults = summarise_faults(&self.run.plan.sites, self.input.names(), &state.faults);
        if self.run.settings.strict && result.is_err() {
            // The error tells of the first; how many of the others had been found by then is chance.
            state.summary.faults.clear();
            state.kinds = PathKinds::default();
        }
        let told = |label: &str| {
            let is_told = |fault: &FaultSummary| fault.fault == Fault::Type && fault.label == label;
            state.summary.faults.iter().any(is_told)
        };
        state.summary.type_changes = state.kinds.changes(&self.run.plan.paths, self.input.names(), told);
        complete(&mut state.summary);
        let result = result.and_then(|()| {
            let summary = &state.summary;
            match self.run.settings.max_errors {
                Some(MaxErrors::Percent(most))
                    if summary.rejected as f64 * 100.0 > most * summary.records_in as f64 =>
                {
                    Err(too_many_rejected(
                        self.run.named.as_deref(),
                        summary.rejected,
                        &format!("{most} % of {}", summary.records_in),
                    ))
                }
                _ => Ok(()),
            }
        });
        let result = match result {
            Err(error) => {
                if error.kind() != ErrorKind::ClosedPipe {
                    // What was written so far goes out; the error that ended the run is the one to tell.
                    drop(state.sink.flush());
                }
                Err(error)
            }
            Ok(()) => state.sink.finish(),
        };
        (result, state.summary)
    }

    fn lock(&self) -> MutexGuard<'_, State<'r, W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, State<'r, W>>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a run that rejected more lines than it may, of a source of a job if it has a name.
pub(crate) fn too_many_rejected(source: Option<&str>, rejected: u64, most: &str) -> Error {
    let (message, hint) = match source {
        Some(name) => (
            format!("{rejected} lines of the source {name} were rejected; its max_errors allows {most}"),
            "a source with `rejects` keeps them, with the reason of each",
        ),
        None => (
            format!("{rejected} lines were rejected; --max-errors allows {most}"),
            "--rejects FILE keeps them, with the reason of each",
        ),
    };
    Error::new(ErrorKind::Rejected, message).hint(hint)
}

/// One clause about a fault.
fn describe_fault(site: &Site, fault: Fault, met: Option<Met>) -> String {
    let of = site.joined.as_ref().map(|name| format!(" of the record of {name} beside it"));
    let label = format!("`{}`{}", site.label, of.unwrap_or_default());
    match fault {
        Fault::Type if let Some(Met { class, beside: None }) = met => {
            format!("{label} is not {} but {}", site.expected, class.one())
        }
        Fault::Type => format!("{label} is not {}", site.expected),
        Fault::DivisionByZero => format!("division by zero in {label}"),
        Fault::Overflow => format!("the result of {label} is out of range"),
        Fault::Invalid => format!("{label} does not read as {}", site.expected),
    }
}

/// Sites that name the same thing are one: a path that stands in two aggregates is reported once.
fn summarise_faults(
    sites: &[Site],
    names: &[String],
    faults: &BTreeMap<(usize, Fault), FaultState>,
) -> Vec<FaultSummary> {
    let mut out: Vec<FaultSummary> = Vec::new();
    for (&(site, fault), state) in faults {
        let site = &sites[site];
        let first = state.first.map(|(file, line, offset)| Place::Record {
            file: names[file as usize].clone(),
            line: line + 1,
            offset,
        });
        let mut met: Vec<(Met, u64)> = state.met.iter().map(|(&met, &count)| (met, count)).collect();
        met.sort_by_key(|&(met, count)| (std::cmp::Reverse(count), met));
        let same = |other: &&mut FaultSummary| {
            other.label == site.label
                && other.fault == fault
                && other.expected == site.expected
                && other.joined == site.joined
        };
        match out.iter_mut().find(same) {
            Some(known) if known.count >= state.count => {}
            Some(known) => (known.count, known.first, known.met) = (state.count, first, met),
            None => out.push(FaultSummary {
                label: site.label.clone(),
                expected: site.expected,
                fault,
                count: state.count,
                met,
                of_groups: state.of_groups,
                first,
                joined: site.joined.clone(),
            }),
        }
    }
    out
}
