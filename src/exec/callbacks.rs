//! Execution of callbacks in place of a plan's filter, keys and aggregates.
//!
//! The input, the validation and the accounting are those of queries: the blocks are scanned, at first for no paths, and
//! what was found goes to the collector, which counts, keeps the order and tells the first error.

use std::io::{Read, sink};
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::collect::{Collector, Failed, Head, Report};
use super::worker::collect_rejects;
use super::{Run, Settings, Shared, StopOnPanic, Summary, prepare, spawn_workers};
use crate::error::{Error, Result};
use crate::input::{Block, Input, Source};
use crate::memory::Budget;
use crate::output::Sink;
use crate::plan::{self, Plan};
use crate::record::{Asked, Fields, Record, Source as RecordSource};
use crate::scan::{Batch, Limits, Scanner};

/// What a worker does with the blocks that it gets.
pub(crate) trait Callbacks: Send {
    /// Works on the records of one block. Says how many of them passed the filter.
    ///
    /// # Errors
    /// What ends the run.
    fn work(&mut self, found: &Found<'_>) -> Result<u64, Failure>;
}

/// What ends a run.
pub(crate) enum Failure {
    /// An error of a callback, for the record at an offset of the block's bytes as they were read.
    Record { offset: usize, error: Error },
    /// An error that has nothing to do with a record.
    Run(Error),
}

/// The records of one block.
pub(crate) struct Found<'b> {
    pub(crate) file: &'b str,
    block: &'b Block,
    batch: &'b Batch,
    asked: &'b Asked,
}

impl<'b> Found<'b> {
    /// The records, in their order.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'b>> {
        let Found { file, block, batch, asked } = *self;
        let (bytes, raw) = (block.bytes(), block.raw());
        let (mut counted, mut lines) = (0, block.first_line);
        batch.rows.iter().enumerate().map(move |(number, row)| {
            let start = block.place(row.start) as usize;
            if let Some(lines) = &mut lines {
                *lines += newlines(&raw[counted..start]);
                counted = start;
            }
            let source =
                RecordSource { file, line: lines.map_or(0, |line| line + 1), offset: block.offset + start as u64 };
            let fields = Fields { asked, block: bytes, columns: &batch.columns, row: number };
            Record::new(row.of(bytes), Some(source), Some(fields))
        })
    }

    /// The place in the block's bytes, as they were read, of an offset of the file; `None` for one outside of the block.
    pub(crate) fn within(&self, offset: u64) -> Option<usize> {
        let offset = usize::try_from(offset.checked_sub(self.block.offset)?).ok()?;
        (offset < self.block.raw().len()).then_some(offset)
    }
}

/// The first block that is known to have failed: what comes after it is not worked on any more.
type FirstFailure = Mutex<Option<(u32, u64)>>;

impl Run {
    /// A run of callbacks over files. With `lines` records know their line numbers.
    ///
    /// # Errors
    /// As [`prepare`](Run::prepare).
    pub(crate) fn of_callbacks(sources: Vec<Source>, settings: Settings, lines: bool) -> Result<Run> {
        Run::with_callbacks(settings, lines, |options| Input::open(sources, options))
    }

    /// A run of callbacks over what a reader gives.
    ///
    /// # Errors
    /// As [`prepare_reader`](Run::prepare_reader).
    pub(crate) fn of_callbacks_on_reader(
        reader: impl Read + Send + 'static,
        name: &str,
        settings: Settings,
        lines: bool,
    ) -> Result<Run> {
        Run::with_callbacks(settings, lines, |options| Input::from_reader(reader, name, options))
    }

    fn with_callbacks(
        settings: Settings,
        lines: bool,
        open: impl FnOnce(crate::input::InputOptions) -> Result<Input>,
    ) -> Result<Run> {
        // A row for each record makes the run an ordered one; that no row is ever written is the callbacks' doing.
        let mut plan = Plan::of(plan::Source::Input);
        let (mut options, ordered) = prepare(&mut plan, &settings, false)?;
        options.count_lines |= lines;
        let shared = Shared::new(&settings);
        Ok(Run::new(plan, open(options)?, settings, ordered, shared))
    }

    /// What the run may hold in memory.
    pub(crate) fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    /// Gives blocks to workers until the input ends. To be called once. A panic of a callback is handed on.
    ///
    /// # Errors
    /// The error that came first in the input.
    pub(crate) fn call<C: Callbacks>(&self, new: impl Fn() -> C + Sync) -> (Result<Vec<C>>, Summary) {
        let start = Instant::now();
        let output = match Sink::new(sink(), self.settings.format, None, &self.shared.budget) {
            Ok(output) => output,
            Err(error) => return (Err(error), Summary::default()),
        };
        let collector = Collector::new(self, (&self.input, true), output, None);
        let failure = FirstFailure::default();
        let work = || {
            let mut callbacks = new();
            let _stop = StopOnPanic(&self.input);
            let result = self.call_worker(&mut callbacks, &collector, &failure).map(|()| callbacks);
            if result.is_err() {
                self.input.stop();
            }
            result
        };
        let results = std::thread::scope(|scope| {
            let others = spawn_workers(scope, self.settings.threads, work);
            let mut results = vec![work()];
            results.extend(others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic))));
            results
        });
        let result: Result<Vec<C>> = match collector.take_error() {
            Some(error) => Err(error),
            None => results.into_iter().collect(),
        };
        let (callbacks, result) = match result {
            Ok(callbacks) => (callbacks, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        let (ended, mut summary) = collector.finish(result, |_| {});
        summary.wall = start.elapsed();
        summary.reserved_peak = self.shared.budget.peak();
        (ended.map(|_| callbacks), summary)
    }

    fn call_worker<C: Callbacks>(
        &self,
        callbacks: &mut C,
        collector: &Collector<'_, std::io::Sink>,
        failure: &FirstFailure,
    ) -> Result<()> {
        let settings = &self.settings;
        let limits = Limits { max_depth: settings.max_depth, max_line: settings.max_line };
        let mut scanner = Scanner::new(&[], limits);
        let mut asked = Asked::default();
        let mut batch = Batch::default();
        let mut block = Block::new();
        while self.input.next(&mut block)? {
            let start = Instant::now();
            scanner.scan(block.bytes(), &mut batch);
            let mut report = Report::new(Head::new(&block, &batch), collector.recycled_rows());
            report.records = batch.rows.len() as u64;
            collect_rejects(collector, settings.max_line, &block, &batch, &[], &mut report);
            let at = (block.file, block.index);
            let failed_before =
                || failure.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|first| first < at);
            if !failed_before() {
                let file = &self.input.names()[block.file as usize];
                match callbacks.work(&Found { file, block: &block, batch: &batch, asked: &asked }) {
                    Ok(used) => report.made.used = used,
                    Err(Failure::Run(error)) => return Err(error),
                    Err(Failure::Record { offset, error }) => {
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        *first = Some(first.map_or(at, |first| first.min(at)));
                        let line = newlines(&block.raw()[..offset]);
                        let offset = block.offset + offset as u64;
                        report.rejects.retain(|reject| reject.offset < offset);
                        report.failure = Some(Failed { line, offset, error });
                    }
                }
            }
            if let Some(paths) = asked.learn(batch.rows.len()) {
                scanner = Scanner::new(&paths, limits);
            }
            report.time = start.elapsed();
            collector.deliver(report)?;
        }
        Ok(())
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
