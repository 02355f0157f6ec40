//! Execution: runs a plan over inputs with a number of workers.
//!
//! Each worker pulls blocks from the [`Input`], scans them into batches, filters, and either formats rows or updates
//! its own groups or sorter (`worker`). What comes out of a block goes to the collector in the order of the input
//! (`collect`): rows, rejects, counts, the lines on which things happened. At the end groups are merged and written
//! (`emit`).

mod callbacks;
mod collect;
mod emit;
mod probe;
mod summary;
mod turns;
mod unnest;
mod worker;

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::input::{Block, Input, InputOptions, Progress, Source};
use crate::memory::Budget;
use crate::output::{Format, Sink};
use crate::plan::{Body, Plan};
use crate::scan::Cell;

pub(crate) use callbacks::{Callbacks, Failure, Found};
use collect::Collector;
pub use summary::{FaultSummary, Latency, MissingPath, RejectSample, Summary};

/// What to do with a line that is no valid record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Leave it out and count it.
    #[default]
    Skip,
    /// End the run.
    Fail,
}

/// How many rejected lines end a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxErrors {
    /// More than this many lines: the run ends at once.
    Count(u64),
    /// More than this share of the records, from 0 to 100: decided at the end of the input.
    Percent(f64),
}

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most worker threads. At least 1.
    pub threads: usize,
    /// The most bytes that groups, sorted rows and the like may hold.
    pub memory_limit: usize,
    /// The size of a block in bytes. At least 1.
    pub block_size: usize,
    /// The longest line in bytes, up to [`Settings::MAX_LINE`].
    pub max_line: usize,
    /// The deepest nesting of arrays and objects.
    pub max_depth: u32,
    /// What to do with a line that is no valid record.
    pub on_error: OnError,
    /// How many rejected lines end the run; `None` is no limit.
    pub max_errors: Option<MaxErrors>,
    /// A value of a wrong type ends the run.
    pub strict: bool,
    /// Output is handed on after each block.
    pub line_buffered: bool,
    /// The format of the output.
    pub format: Format,
}

impl Settings {
    /// The greatest `max_line`, in bytes.
    pub const MAX_LINE: usize = Cell::MAX_LEN;
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit: 1 << 30,
            block_size: InputOptions::default().block_size,
            max_line: 16 << 20,
            max_depth: 128,
            on_error: OnError::Skip,
            max_errors: None,
            strict: false,
            line_buffered: false,
            format: Format::Jsonl,
        }
    }
}

/// A query over inputs that are open, ready to run.
#[doc(hidden)]
pub struct Run {
    plan: Plan,
    input: Input,
    settings: Settings,
    budget: Budget,
    records: AtomicU64,
    cancelled: AtomicBool,
    /// Rows leave in the order of the input, or something else depends on it.
    ordered: bool,
}

/// How a run ended.
#[doc(hidden)]
pub struct Outcome<W> {
    /// The writer that took the output, or the error that ended the run.
    pub result: Result<W>,
    /// What happened until then.
    pub summary: Summary,
}

impl Run {
    /// Opens the inputs of a plan. `rejects` says that rejected lines will be written.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if an input cannot be opened, [`ErrorKind::Usage`] if the settings make no sense together.
    pub fn prepare(mut plan: Plan, sources: Vec<Source>, settings: Settings, rejects: bool) -> Result<Run> {
        let (options, ordered) = prepare(&mut plan, &settings, rejects)?;
        let input = Input::open(sources, options)?;
        Ok(Run::new(plan, input, settings, ordered))
    }

    /// As [`prepare`](Run::prepare), with a reader as the one input, which `name` stands for in messages.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the settings make no sense together.
    pub fn prepare_reader(
        mut plan: Plan,
        reader: impl std::io::Read + Send + 'static,
        name: &str,
        settings: Settings,
        rejects: bool,
    ) -> Result<Run> {
        let (options, ordered) = prepare(&mut plan, &settings, rejects)?;
        let input = Input::from_reader(reader, name, options)?;
        Ok(Run::new(plan, input, settings, ordered))
    }

    fn new(plan: Plan, input: Input, settings: Settings, ordered: bool) -> Run {
        let budget = Budget::new(settings.memory_limit);
        Run { plan, input, settings, budget, records: AtomicU64::new(0), cancelled: AtomicBool::new(false), ordered }
    }

    /// What the run is going to do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How far the input has been read.
    pub fn progress(&self) -> Progress {
        self.input.progress()
    }

    /// The records processed so far.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Ends the run early; what was processed until then is still written.
    pub fn stop(&self) {
        self.input.stop();
    }

    /// Ends the run early; nothing more is written.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.input.stop();
    }

    /// Runs. Rows go to `output`, rejected lines to `rejects` as JSON Lines. To be called once.
    pub fn execute<W: Write + Send>(&self, output: W, rejects: Option<Box<dyn Write + Send>>) -> Outcome<W> {
        let start = Instant::now();
        let sink = match Sink::new(output, self.settings.format, self.plan.names.clone(), &self.budget) {
            Ok(sink) => sink,
            Err(error) => return Outcome { result: Err(error), summary: Summary::default() },
        };
        let collector = Collector::new(self, sink, rejects);
        let result = self.work(&collector);
        let result = result.map_err(|error| self.estimate_memory(error));
        let (result, mut summary) = collector.finish(result);
        summary.wall = start.elapsed();
        summary.reserved_peak = self.budget.peak();
        Outcome { result, summary }
    }

    /// Adds to an error of the memory limit the limit that would do, as far as can be told from the share of the input
    /// that has been read.
    fn estimate_memory(&self, error: Error) -> Error {
        let progress = self.input.progress();
        match progress.total {
            Some(total) if error.kind() == ErrorKind::Resource && progress.bytes > 0 && progress.bytes < total => {
                let share = progress.bytes as f64 / total as f64;
                let needed = self.budget.peak() as f64 / share * 1.5;
                let mib = (needed / f64::from(1 << 20)).ceil();
                error.hint(format!(
                    "about {mib} MiB would do, judging by the {:.0} % of the input that was read: raise --memory-limit",
                    (share * 100.0).ceil()
                ))
            }
            _ => error,
        }
    }

    fn work<W: Write + Send>(&self, collector: &Collector<'_, W>) -> Result<()> {
        let mut first = Block::default();
        let probe = if self.input.next(&mut first)? {
            let probe = probe::Probe::new(&self.plan, &self.settings, first.bytes());
            Some((probe, Mutex::new(Some(first))))
        } else {
            None
        };
        let mut parts = Vec::new();
        if let Some((probe, first)) = &probe {
            let work = || {
                let _stop = StopOnPanic(&self.input);
                let first = first.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
                let result = worker::Worker::new(self, collector, probe).and_then(|worker| worker.run(first));
                if result.is_err() {
                    self.input.stop();
                }
                result
            };
            let threads = self.settings.threads.max(1);
            let results: Vec<Result<worker::Part>> = std::thread::scope(|scope| {
                let others = spawn_workers(scope, threads, work);
                let mine = work();
                let join = |worker: std::thread::ScopedJoinHandle<'_, Result<worker::Part>>| {
                    worker.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a worker thread panicked")))
                };
                std::iter::once(mine).chain(others.into_iter().map(join)).collect()
            });
            // The collector has the error that came first in the input. Without one, the input itself failed: what
            // came before that has been written.
            if let Some(error) = collector.take_error() {
                return Err(error);
            }
            for result in results {
                parts.push(result?);
            }
            collector.look_for_missing_paths(&parts, probe);
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::ClosedPipe, "the run was cancelled"));
        }
        emit::emit(self, collector, parts)
    }
}

/// Stops reading when a worker panics: the others would wait for ever for the block that was lost.
struct StopOnPanic<'i>(&'i Input);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// Starts all workers but the one that the calling thread is. Where the system gives fewer threads, fewer work.
fn spawn_workers<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    threads: usize,
    work: impl Fn() -> T + Copy + Send + 'scope,
) -> Vec<std::thread::ScopedJoinHandle<'scope, T>> {
    // Expressions are evaluated recursively; the longest chain of operators that a query may have needs about this.
    const STACK: usize = 16 << 20;
    let spawn = |_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
    (1..threads).map_while(|number| spawn(number).ok()).collect()
}

/// The options for the input of a plan, and whether its order matters.
fn prepare(plan: &mut Plan, settings: &Settings, rejects: bool) -> Result<(InputOptions, bool)> {
    if settings.max_line == 0 || settings.max_line > Settings::MAX_LINE {
        let message = format!("the longest line must be from 1 to {} bytes", Settings::MAX_LINE);
        return Err(Error::new(ErrorKind::Usage, message));
    }
    if settings.block_size == 0 || settings.block_size > 1 << 30 {
        return Err(Error::new(ErrorKind::Usage, "the block size must be from 1 byte to 1 GiB"));
    }
    if plan.names.is_none() && matches!(settings.format, Format::Csv | Format::Tsv) {
        return Err(Error::new(ErrorKind::Usage, "csv and tsv need to know the columns, which `*` does not tell")
            .hint("name them: select orderId, status, …"));
    }
    let rows_in_order = matches!(plan.body, Body::Rows(_)) && plan.order.is_empty();
    let ordered = rows_in_order
        || rejects
        || settings.strict
        || settings.on_error == OnError::Fail
        || matches!(settings.max_errors, Some(MaxErrors::Count(_)));
    let options = InputOptions {
        block_size: settings.block_size,
        max_line: settings.max_line,
        count_lines: plan.uses_line_numbers(),
        window: ordered.then_some(settings.threads * 4),
        decoders: settings.threads,
    };
    Ok((options, ordered))
}
