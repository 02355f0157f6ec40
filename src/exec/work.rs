//! The work of all threads on one input, for all runs that take its records.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::allotment::{self, Allotment, Needs, Share};
use super::collect::Collector;
use super::common::Common;
use super::cut::{self, Cutter, Deposit};
use super::probe::Probe;
use super::shared_scan::SharedScan;
use super::side::Side;
use super::worker::{Part, Worker};
use super::{Run, StopOnPanic, panicked, spawn_workers};
use crate::error::{Error, ErrorKind, Result};
use crate::input::Block;
use crate::scan::Limits;

/// The place of a run among those that take records of the same input.
pub(super) struct Seat<'r> {
    pub(super) run: &'r Run,
    /// The number of the seat whose rows it takes as they are made; `None` if it takes the records of the input.
    pub(super) follows: Option<usize>,
}

impl<'r> Seat<'r> {
    /// The place of a run that takes the records of an input.
    pub(super) fn of(run: &'r Run) -> Seat<'r> {
        Seat { run, follows: None }
    }
}

/// Works through the input of the first run, which leads; for each run what the workers have at the end.
///
/// There is a collector for each run, in their order, and the sides of its joins. If there are to be cuts, there is
/// somebody who writes them down.
pub(super) fn work<'r, W: Write + Send>(
    seats: &[Seat<'r>],
    collectors: &[Collector<'r, W>],
    mut sides: Vec<Vec<Option<Side>>>,
    share: Share,
    cuts: Option<&CutsOf<'_>>,
) -> Result<Vec<Vec<Part>>> {
    let lead = seats[0].run;
    // Before the first block is there: where queries give the rows, these take what memory is left when they end.
    let is_on_disk = |sides: &Vec<Option<Side>>| sides.iter().flatten().any(Side::is_on_disk);
    let are_on_disk: Vec<bool> = sides.iter().map(is_on_disk).collect();
    // What was freed when records went to disk is not all to be had again.
    let mut kept = lead.shared.budget.reservation("memory that was freed");
    if are_on_disk.contains(&true) {
        let _is_kept = kept.try_resize(share.of(allotment::kept(lead.settings.memory_limit)));
    }
    let states: Vec<usize> = seats.iter().zip(&sides).map(|(seat, sides)| seat.run.states(sides)).collect();
    let allotment = Allotment::new(
        &lead.shared.budget,
        &Needs {
            threads: lead.settings.threads,
            block: lead.settings.block_size.min(lead.settings.max_line),
            scans: 1 + seats.iter().filter(|seat| seat.follows.is_some()).count(),
            runs: seats.len() + with_common(seats),
            share,
            states: states.iter().sum(),
            rows_wait: are_on_disk.contains(&true),
            with_state: seats
                .iter()
                .zip(&are_on_disk)
                .filter(|(seat, on_disk)| **on_disk || seat.run.plan.keeps_values())
                .count(),
            streams: lead.input.stream_memory(),
            sides: kept.bytes() + sides.iter().flatten().flatten().map(Side::size).sum::<usize>(),
        },
    )?;
    let mut first = Block::default();
    if !lead.input.next(&mut first)? {
        let kept = |(number, seat): (usize, &Seat<'_>)| Ok(kept_of(seat, number, cuts)?.into_iter().collect());
        return not_cancelled(lead, seats.iter().enumerate().map(kept).collect::<Result<_>>()?);
    }
    let probe = |seat: &Seat| match seat.follows {
        None => Probe::new(&seat.run.plan, &seat.run.settings, first.bytes()),
        Some(_) => Probe::without_look(&seat.run.plan),
    };
    let probes: Vec<Probe> = seats.iter().map(probe).collect();
    let first = Mutex::new(Some(first));
    for (collector, are_on_disk) in collectors.iter().zip(&are_on_disk) {
        collector.expect(allotment.threads, *are_on_disk);
    }
    // Rows that wait for sides of joins cannot be kept.
    let cuts_now = cuts.filter(|_| !are_on_disk.contains(&true));
    let allotment = &allotment;
    let crew = Crew { seats, collectors, probes: &probes, sides: &sides, allotment, cuts: cuts_now };
    let work = || {
        let _stop = StopOnPanic(&lead.input);
        // Before it has a block, so that no cut is made without that.
        let _member = crew.cuts.map(|cuts| cuts.cutter.enter());
        let first = first.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let result = crew.work(first);
        if result.is_err() {
            lead.input.stop();
        }
        result
    };
    let results: Vec<Result<Vec<Worker<'_, '_, W>>>> = std::thread::scope(|scope| {
        let others = spawn_workers(scope, allotment.threads, work);
        let mine = work();
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(panicked())));
        std::iter::once(mine).chain(others).collect()
    });
    // A collector has the error that came first in the input. Without one, the input itself failed: what came before
    // that has been written.
    let results = match collectors.iter().find_map(Collector::take_error) {
        Some(error) => Err(error),
        None => results.into_iter().collect::<Result<Vec<_>>>(),
    };
    let workers = results.map_err(|error| lead.estimate_memory(error))?;
    let mut of_seats: Vec<Vec<Worker<'_, '_, W>>> = seats.iter().map(|_| Vec::new()).collect();
    for worker in workers.into_iter().flatten() {
        of_seats[worker.seat()].push(worker);
    }
    let mut parts = Vec::with_capacity(seats.len());
    for (number, (seat, mut workers)) in seats.iter().zip(of_seats).enumerate() {
        if are_on_disk[number] {
            let result = seat.run.work_late(&collectors[number], &mut sides, number, &mut workers);
            result.map_err(|error| lead.estimate_memory(error))?;
        }
        let mut own: Vec<Part> = workers.into_iter().map(Worker::into_part).collect();
        let kept = kept_of(seat, number, cuts)?;
        if let Some(mut kept) = kept {
            // Those that were looked for beside the paths of the plan were not kept.
            kept.found.resize(probes[number].paths.len(), 0);
            own.push(kept);
        }
        collectors[number].look_for_missing_paths(&own, &probes[number], &sides[number]);
        parts.push(own);
    }
    not_cancelled(lead, parts)
}

/// How many scans there are whose runs have expressions in common.
fn with_common(seats: &[Seat<'_>]) -> usize {
    let scans = std::iter::once(None).chain((0..seats.len()).map(Some));
    let has_common = |follows: &Option<usize>| {
        let members = seats.iter().filter(|seat| seat.follows == *follows);
        Common::among(members.map(|seat| &seat.run.plan)).is_some()
    };
    scans.filter(has_common).count()
}

/// What was kept of a seat at cuts, if there is anything.
fn kept_of(seat: &Seat<'_>, number: usize, cuts: Option<&CutsOf<'_>>) -> Result<Option<Part>> {
    let Some(CutsOf { cutter, .. }) = cuts else { return Ok(None) };
    let (groups, rows) = cutter.take_kept(number);
    let found = cutter.found_before(number);
    match groups.is_empty() && rows.is_empty() && found.is_empty() {
        true => Ok(None),
        false => Part::of_kept(seat.run, groups, rows, found).map(Some),
    }
}

/// What the workers have, unless the run was cancelled.
fn not_cancelled<T>(run: &Run, parts: T) -> Result<T> {
    if run.cancelled.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::ClosedPipe, "the run was cancelled"));
    }
    Ok(parts)
}

/// What each thread needs to make its workers of.
struct Crew<'r, 'c, 's, W: Write> {
    seats: &'s [Seat<'r>],
    collectors: &'c [Collector<'r, W>],
    probes: &'s [Probe],
    sides: &'s [Vec<Option<Side>>],
    allotment: &'s Allotment,
    cuts: Option<&'s CutsOf<'s>>,
}

/// Cuts, and what writes them down.
pub(super) struct CutsOf<'a> {
    pub(super) cutter: &'a Cutter<'a>,
    pub(super) write: &'a (dyn Fn(Vec<Deposit>) -> Result<()> + Sync),
}

impl<'r, 'c, W: Write + Send> Crew<'r, 'c, '_, W> {
    /// Works until the input ends or is stopped.
    fn work(&self, first: Option<Block>) -> Result<Vec<Worker<'r, 'c, W>>> {
        let input = &self.seats[0].run.input;
        let mut scan = self.scan(None)?;
        let mut block = match first {
            Some(block) => {
                scan.work(&block, input, self.sides)?;
                block
            }
            None => Block::default(),
        };
        while input.next(&mut block)? {
            scan.work(&block, input, self.sides)?;
            if let Some(CutsOf { cutter, write }) = self.cuts {
                let give = || {
                    let mut deposits = Vec::new();
                    scan.give_runs(&mut deposits).map(|()| deposits)
                };
                cutter.pass(input.progress().decompressed, give, write)?;
            } else if cut::is_interrupted() {
                return Err(Error::new(ErrorKind::ClosedPipe, "the run was interrupted"));
            }
        }
        scan.close()?;
        let mut workers = Vec::with_capacity(self.seats.len());
        scan.into_workers(&mut workers);
        Ok(workers)
    }

    /// The workers of the runs that take the records of the input, or the rows of a run, with those that take theirs.
    fn scan(&self, follows: Option<usize>) -> Result<SharedScan<'r, 'c, W>> {
        let mut workers = Vec::new();
        for (number, seat) in self.seats.iter().enumerate().filter(|(_, seat)| seat.follows == follows) {
            let (collector, probe, sides) = (&self.collectors[number], &self.probes[number], &self.sides[number]);
            let state = self.allotment.state();
            let mut worker = Worker::new(seat.run, number, collector, probe, sides, &state)?;
            if self.seats.iter().any(|other| other.follows == Some(number)) {
                worker.lead(self.scan(Some(number))?);
            }
            workers.push((worker, probe));
        }
        // What a run makes of records may be longer and nest more deeply than these.
        let limits = match (follows, self.seats.first()) {
            (None, Some(seat)) => {
                Limits { max_depth: seat.run.settings.max_depth, max_line: seat.run.settings.max_line }
            }
            _ => Limits { max_depth: u32::MAX, max_line: super::Settings::MAX_LINE },
        };
        let lead = self.seats.first().filter(|_| follows.is_none());
        Ok(SharedScan::new(workers, lead.and_then(|seat| seat.run.schema.as_ref()), limits))
    }
}
