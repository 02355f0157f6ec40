//! Execution: runs a plan over inputs with a number of workers.
//!
//! Each worker pulls blocks from the [`Input`], scans them into batches, filters, and either formats rows or updates
//! its own groups or sorter (`worker`). What comes out of a block goes to the collector in the order of the input
//! (`collect`): rows, rejects, counts, the lines on which things happened. At the end groups are merged and written
//! (`emit`).
//!
//! A query within the query is a run of its own. Its rows are the input of the run around it, or the records of the side of
//! a join (`nested`, `side`).

mod allotment;
mod arrays;
mod callbacks;
mod collect;
mod common;
mod cut;
mod distinct;
mod drift;
mod emit;
mod expand;
mod held;
mod image;
mod increment;
mod late;
mod missing;
mod nested;
mod parked;
mod pass;
mod places;
mod portion;
mod probe;
mod schema;
mod shared_scan;
mod side;
mod summary;
mod turns;
mod work;
mod worker;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, InputFormat, InputOptions, Progress};
use crate::memory::{Budget, Reservation};
use crate::output::{Format, Look, Sink, check_columns};
use crate::plan::{Body, Plan};
use crate::scan::Cell;
use crate::spill::{Space, Spilled};

pub(crate) use callbacks::{Callbacks, Failure, Found};
pub(crate) use collect::too_many_rejected;
use collect::{Collector, Rejects, RejectsWriter};
pub use cut::{Cuts, Every, Keep, PassState, interrupt};
pub use increment::{Flow, Keeping, PassEnd};
pub use nested::{Arguments, NamedSource};
use nested::{Feed, Within};
pub use pass::{Pass, PassOutcome};
pub use places::{Places, RowPlace};
pub use schema::Rule;
use schema::Schema;
use side::Side;
pub use summary::{FaultSummary, Latency, MissingPath, RejectSample, Summary, TypeChange};
use work::Seat;

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
    /// The most bytes that the process may hold in memory, from [`Settings::LEAST_MEMORY`]. What grows with the data goes to
    /// disk where that does not do.
    pub memory_limit: usize,
    /// The directory for what goes to disk.
    pub temp_dir: PathBuf,
    /// The most bytes that are taken there at a time; `None` is no limit.
    pub temp_limit: Option<u64>,
    /// The size of a block in bytes, or less where `memory_limit` requires it. At least 1.
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
    /// The format of all inputs; `None` if the names of files tell, and other inputs are JSON Lines.
    pub input_format: Option<InputFormat>,
    /// Whether the first row of CSV and TSV names the columns. If not, they are named `column0` and so on.
    pub header: bool,
    /// The look of tables and charts.
    pub look: Look,
}

impl Settings {
    /// The greatest `max_line`, in bytes.
    pub const MAX_LINE: usize = Cell::MAX_LEN;
    /// The least `memory_limit`, in bytes.
    pub const LEAST_MEMORY: usize = allotment::LEAST;
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit: 1 << 30,
            temp_dir: std::env::temp_dir(),
            temp_limit: None,
            block_size: InputOptions::default().block_size,
            max_line: 16 << 20,
            max_depth: 128,
            on_error: OnError::Skip,
            max_errors: None,
            strict: false,
            line_buffered: false,
            format: Format::Jsonl,
            input_format: None,
            header: true,
            look: Look::default(),
        }
    }
}

/// A query over inputs that are open, ready to run.
#[doc(hidden)]
pub struct Run {
    plan: Plan,
    input: Input,
    settings: Settings,
    shared: Shared,
    records: AtomicU64,
    cancelled: AtomicBool,
    /// Rows leave in the order of the input, or something else depends on it.
    ordered: bool,
    /// The queries whose rows are the input, if these are.
    feed: Option<Feed>,
    /// For each step of the plan that is a join the query whose rows are held.
    sides: Vec<Option<Run>>,
    /// With how many equal parts of the memory this run has one.
    sharers: usize,
    /// The name that stands for the input, if one does.
    named: Option<String>,
    /// What the records of the input have to be.
    schema: Option<Schema>,
    /// Where the places of rows are noted, if somebody wants to know them.
    places: Option<Places>,
}

/// What a run has in common with the runs within it.
#[derive(Clone)]
struct Shared {
    budget: Budget,
    space: Space,
    /// The rejected lines so far.
    rejected: Arc<AtomicU64>,
    /// What the program itself takes.
    program: Arc<Reservation>,
}

impl Shared {
    fn new(settings: &Settings) -> Shared {
        let budget = Budget::new(settings.memory_limit);
        let program = Arc::new(budget.reservation("program"));
        let space = Space::new(settings.temp_dir.clone(), settings.temp_limit);
        Shared { budget, space, rejected: Arc::default(), program }
    }

    /// Sees to it that the limit is one for all memory of the process.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if it is too low for that.
    fn for_process(settings: &Settings) -> Result<Shared> {
        if settings.memory_limit < Settings::LEAST_MEMORY {
            let message = format!("the smallest memory limit is {} MiB", Settings::LEAST_MEMORY >> 20);
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let mut shared = Shared::new(settings);
        let mut program = shared.budget.reservation("program");
        program.resize(allotment::program(settings.memory_limit))?;
        shared.program = Arc::new(program);
        Ok(shared)
    }
}

/// What goes on and can be watched.
pub trait Progressing: Sync {
    /// How far the inputs have been read.
    fn progress(&self) -> Progress;
    /// The records processed so far.
    fn records(&self) -> u64;
    /// What went to disk so far for want of memory.
    fn spilled(&self) -> Spilled;
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
    /// Opens the inputs of a plan, those of the queries within it too. `rejects` says that rejected lines will be written.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if an input cannot be opened, [`ErrorKind::Usage`] if the settings make no sense together, or
    /// `input` is not given, or read twice where that cannot be.
    pub fn prepare(plan: Plan, arguments: &mut Arguments, settings: Settings, rejects: bool) -> Result<Run> {
        let shared = Shared::for_process(&settings)?;
        let mut settings = settings;
        if settings.block_size <= MOST_BLOCK {
            settings.block_size = settings.block_size.min(allotment::most_block(settings.memory_limit));
        }
        let mut run = Run::nested(plan, arguments, settings, rejects, &shared)?;
        run.share_memory(run.depth());
        Ok(run)
    }

    fn new(plan: Plan, input: Input, settings: Settings, ordered: bool, shared: Shared) -> Run {
        Run {
            plan,
            input,
            settings,
            shared,
            records: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            ordered,
            feed: None,
            sides: Vec::new(),
            sharers: 1,
            named: None,
            schema: None,
            places: None,
        }
    }

    /// Lets the run note of which records its rows are made. Rejected lines are then handed on after each block. Rows that
    /// come at the end of the input (groups, ORDER BY) have no places, nor have those of a LIMIT.
    pub fn note_places(&mut self) -> Places {
        self.places.get_or_insert_default().clone()
    }

    /// The bytes that the run takes at least to give rows as they are read, beside what the program takes.
    pub(crate) fn least_memory(&self) -> usize {
        let block = self.settings.block_size.min(self.settings.max_line);
        self.input.stream_memory() + allotment::least_worker(block)
    }

    /// What the run is going to do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The names of all inputs that are read, as they were given; `-` is standard input.
    pub fn inputs(&self) -> Vec<&str> {
        let own = self.input.names().iter().filter(|_| self.feed.is_none()).map(String::as_str);
        own.chain(self.within().flat_map(Run::inputs)).collect()
    }

    /// Ends the run early; what was processed until then is still written.
    pub fn stop(&self) {
        self.within().for_each(Run::stop);
        if self.feed.is_none() {
            self.input.stop();
        }
    }

    /// Ends the run early; nothing more is written.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.within().for_each(Run::cancel);
        self.input.stop();
    }

    /// Runs. Rows go to `output`, rejected lines to `rejects` as JSON Lines. To be called once.
    pub fn execute<W: Write + Send>(&self, output: W, rejects: Option<Box<dyn Write + Send>>) -> Outcome<W> {
        let rejects = rejects.map(|rejects| Rejects::All(RejectsWriter::new(rejects)));
        let mut outcome = self.execute_within(output, self.plan.names.clone(), rejects.as_ref());
        // The rejects explain a failed run, so they are written in any case.
        let flushed = rejects.map_or(Ok(()), |rejects| rejects.flush());
        outcome.result = outcome.result.and_then(|output| flushed.map(|()| output));
        outcome
    }

    /// Runs, within another run or not. A header of these names comes before the rows, where the format has one.
    fn execute_within<W: Write + Send>(
        &self,
        output: W,
        header: Option<Vec<String>>,
        rejects: Option<&Rejects>,
    ) -> Outcome<W> {
        let start = Instant::now();
        let sink = match Sink::new(output, self.settings.format, header, &self.shared.budget) {
            Ok(sink) => sink.with_look(self.settings.look),
            Err(error) => return Outcome { result: Err(error), summary: Summary::default() },
        };
        let mut within = Within::default();
        let sides = self.keep_sides(rejects, &mut within);
        let collector = Collector::new(self, (&self.input, true), sink, rejects);
        let sides = sides.and_then(|sides| {
            for fault in sides.iter().flatten().flat_map(|side: &Side| side.faults.tallies()) {
                collector.take_unplaced_fault(*fault, false)?;
            }
            Ok(sides)
        });
        let emit = |parts| emit::emit(self, &collector, parts).map_err(|error| self.estimate_memory(error));
        let result = sides.and_then(|sides| match &self.feed {
            None => self.work(&collector, sides).and_then(emit),
            Some(feed) => {
                let (parts, fed) = std::thread::scope(|scope| {
                    let feeder = scope.spawn(|| feed.run(rejects));
                    let parts = self.work(&collector, sides);
                    if parts.is_err() {
                        self.input.stop();
                    }
                    // Where the input was read to its end these have ended; else nobody wants their rows any more.
                    feed.cancel();
                    let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    (parts, fed)
                });
                within.feed = Some(fed.summary);
                let parts = parts?;
                match fed.result {
                    Err(error) if error.kind() != ErrorKind::ClosedPipe && !collector.is_full() => Err(error),
                    _ => emit(parts),
                }
            }
        });
        let (result, mut summary) = collector.finish(result, |summary| within.add_to(summary));
        summary.wall = start.elapsed();
        summary.reserved_peak = self.shared.budget.peak();
        summary.spilled = self.shared.space.spilled();
        Outcome { result, summary }
    }

    /// Adds to an error of the memory limit the limit that would do, as far as can be told from the share of the input
    /// that has been read.
    fn estimate_memory(&self, error: Error) -> Error {
        // The disk for what is spilled has a limit of its own, and a place.
        if error.place().is_some() {
            return error;
        }
        let progress = self.input.progress();
        match progress.total {
            Some(total) if error.kind() == ErrorKind::Resource && progress.bytes > 0 && progress.bytes < total => {
                let share = progress.bytes as f64 / total as f64;
                let needed = self.shared.budget.peak() as f64 / share * 1.5;
                let mib = (needed / f64::from(1 << 20)).ceil();
                error.hint(format!(
                    "about {mib} MiB would do, judging by the {:.0} % of the input that was read: raise --memory-limit",
                    (share * 100.0).ceil()
                ))
            }
            _ => error,
        }
    }

    /// Gives the run an equal part of the memory, of so many. Those that feed it work at the same time, and have other ones.
    /// Those of the sides of its joins have its part, most of which is for the records that they give.
    fn share_memory(&mut self, sharers: usize) {
        self.sharers = sharers;
        self.feed.iter_mut().flat_map(Feed::runs_mut).for_each(|run| run.share_memory(sharers));
        for side in self.sides.iter_mut().flatten() {
            side.share_memory(4 * sharers * side.depth());
        }
    }

    /// How many runs work at the same time: a run and one of those that feed it.
    fn depth(&self) -> usize {
        1 + self.feed.iter().flat_map(Feed::runs).map(Run::depth).max().unwrap_or(0)
    }

    /// Works through the input; what the workers have at the end.
    fn work<'r, W: Write + Send>(
        &'r self,
        collector: &Collector<'r, W>,
        sides: Vec<Option<Side>>,
    ) -> Result<Vec<worker::Part>> {
        let share = allotment::Share::equal(self.sharers);
        let mut parts = work::work(&[Seat::of(self)], std::slice::from_ref(collector), vec![sides], share, None)?;
        Ok(parts.pop().unwrap_or_default())
    }

    /// How many kinds of state its workers have.
    fn states(&self, sides: &[Option<Side>]) -> usize {
        let has_state = matches!(self.plan.body, Body::Groups(_)) || !self.plan.order.is_empty();
        // Rows that wait are state, and so are those that are brought back into their order.
        if sides.iter().flatten().any(Side::is_on_disk) { 2 } else { usize::from(has_state) }
    }
}

impl Progressing for Run {
    fn progress(&self) -> Progress {
        let own = self.feed.is_none().then(|| self.input.progress());
        own.into_iter().chain(self.within().map(Run::progress)).sum()
    }

    fn records(&self) -> u64 {
        let own = if self.feed.is_some() { 0 } else { self.records.load(Ordering::Relaxed) };
        own + self.within().map(Run::records).sum::<u64>()
    }

    fn spilled(&self) -> Spilled {
        self.shared.space.spilled()
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "a worker thread panicked")
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

/// The largest size of a block that can be asked for.
const MOST_BLOCK: usize = 1 << 30;

/// The stack of a worker. Expressions are evaluated recursively; the longest chain of operators that a query may have needs
/// about this.
const STACK: usize = 16 << 20;

/// Starts all workers but the one that the calling thread is. Where the system gives fewer threads, fewer work.
fn spawn_workers<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    threads: usize,
    work: impl Fn() -> T + Copy + Send + 'scope,
) -> Vec<std::thread::ScopedJoinHandle<'scope, T>> {
    let spawn = |_| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
    (1..threads).map_while(|number| spawn(number).ok()).collect()
}

/// The options for the input of a plan, and whether its order matters.
fn prepare(plan: &mut Plan, settings: &Settings, rejects: bool) -> Result<(InputOptions, bool)> {
    if settings.max_line == 0 || settings.max_line > Settings::MAX_LINE {
        let message = format!("the longest line must be from 1 to {} bytes", Settings::MAX_LINE);
        return Err(Error::new(ErrorKind::Usage, message));
    }
    if settings.block_size == 0 || settings.block_size > MOST_BLOCK {
        return Err(Error::new(ErrorKind::Usage, "the block size must be from 1 byte to 1 GiB"));
    }
    if plan.names.is_none() && matches!(settings.format, Format::Csv | Format::Tsv) {
        return Err(Error::new(ErrorKind::Usage, "csv and tsv need to know the columns, which `*` does not tell")
            .hint(
                "name them: select orderId, status, …; `foldl 'keys(this) as keys limit 1' FILE` shows what there is",
            ));
    }
    if settings.format == Format::Chart {
        check_columns(plan.names.as_deref())?;
    }
    let rows_in_order = matches!(plan.body, Body::Rows(_)) && plan.order.is_empty();
    let ordered = rows_in_order
        || rejects
        || settings.strict
        || settings.on_error == OnError::Fail
        || matches!(settings.max_errors, Some(MaxErrors::Count(_)));
    let (decoders, max_window) = allotment::decoders(settings.memory_limit, settings.threads);
    let options = InputOptions {
        block_size: settings.block_size,
        max_line: settings.max_line,
        count_lines: plan.uses_line_numbers(),
        window: ordered.then_some(allotment::window(settings)),
        decoders,
        max_window,
        memory_for_windows: Some(allotment::memory_for_windows(settings.threads)),
        format: settings.input_format,
        header: settings.header,
        ..InputOptions::default()
    };
    Ok((options, ordered))
}
