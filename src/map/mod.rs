//! `foldl map`: a command answers to batches of records.
//!
//! ```text
//! run of the query ──► batches ──► N threads, each with a child ──► order ──► output
//!                      (wait when  (retries, time limits, checks;   (who brings the next
//!                       enough      answers are held until whole)    batch writes)
//!                       are there)
//! ```
//!
//! What holds: a record is in exactly one batch; a batch has either its whole answer in the output, or its records in the
//! rejects. Nothing of an answer is written before the child has ended well, or has answered as it should. At most
//! `concurrency` children run, and at most twice as many batches are taken beyond the first one that is not written, so what
//! waits is bounded, and whoever is slow holds up those before it, up to the reader.

mod answer;
mod batches;
mod checkpoint;
mod child;
mod children;
mod fault;
mod order;
mod told;

use std::ffi::OsString;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Arguments, OnError, Places, Run, Settings, Summary};
use crate::plan::Plan;
use crate::scan::Limits;
use answer::{Answer, Lines, Temporary, Terms, Until, find_line};
use batches::{Batch, Batcher, Batches, Cut, MOST_WAITING, Malformed};
use checkpoint::Keeper;
use child::{Child, Failed, Patience, Recipe};
use order::{Failure, MOST_SPARE, Order};
use told::Told;

pub use checkpoint::{Checkpoint, Done};
pub use children::{are_ended, end_children};
pub use fault::Fault;
pub use order::BatchSummary;
pub use told::Tell;

/// The least memory for a batch, and for an answer.
const LEAST_SHARE: usize = 64 << 10;
/// The bytes that are noted of each record of a batch, beside the record itself.
const NOTED: usize = 24;
/// The most memory of all pipes: Linux lets each user have twice as much before pipes become narrow.
const PIPES: usize = 32 << 20;
const PIPE: usize = 1 << 20;
/// How long to wait before the second attempt, about, and before any later one at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How a command is given batches, and what is expected of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The most records of a batch, from 1; `None` is no limit.
    pub batch_records: Option<u64>,
    /// The most bytes of a batch, from 1, unless one record is longer; `None` is what the memory allows.
    pub batch_bytes: Option<usize>,
    /// How long a batch waits for more records.
    pub batch_time: Duration,
    /// The most children at a time, from 1.
    pub concurrency: usize,
    /// Whether answers are written in the order of the batches.
    pub ordered: bool,
    /// Whether children live on and get batch after batch.
    pub keep_alive: Option<KeepAlive>,
    /// Whether answers have to be JSON Lines.
    pub json: bool,
    /// Whether an answer has to have as many lines as the batch.
    pub same_lines: bool,
    /// The most bytes of an answer.
    pub most_answer: u64,
    /// How often a batch is tried again.
    pub retries: u32,
    /// How long a child may take for a batch.
    pub timeout: Duration,
    /// What to do with a batch that fails.
    pub on_failure: OnError,
}

/// How a child that lives on ends its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// With the last of as many lines as it got.
    Lines,
    /// With a line that is this one, which also ends each batch.
    Delimiter(Vec<u8>),
}

/// A query whose rows go through a command.
pub struct Map {
    run: Run,
    places: Places,
    options: Options,
    settings: Settings,
}

/// How a run has ended.
pub struct MapOutcome<W> {
    /// What took the output, or the error that ended the run.
    pub result: Result<W>,
    /// What happened in the query.
    pub summary: Summary,
    /// What happened to the batches.
    pub batches: BatchSummary,
    /// What is done, for the checkpoint.
    pub done: Done,
}

impl Map {
    /// Opens the inputs. `rejects` says that rejected records will be written.
    ///
    /// # Errors
    /// As [`Run::prepare`]; [`ErrorKind::Resource`] if the process may not have as many files open as so many children take.
    pub fn prepare(
        plan: Plan,
        arguments: &mut Arguments,
        settings: Settings,
        options: Options,
        rejects: bool,
    ) -> Result<Map> {
        if options.command.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no command given"));
        }
        allow_files(options.concurrency)?;
        let mut run = Run::prepare(plan, arguments, settings.clone(), rejects)?;
        let places = run.note_places();
        Ok(Map { run, places, options, settings })
    }

    /// The run of the query.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Runs. Answers go to `output`, rejected records to `rejects`; with a checkpoint, both are its files. `tell` takes what
    /// children write to standard error. To be called once.
    ///
    /// # Errors
    /// In the outcome: those of the query; [`ErrorKind::Output`] for a batch that failed, if that ends the run;
    /// [`ErrorKind::Usage`] if there is no such command; [`ErrorKind::Resource`] if memory or disk do not do.
    pub fn execute<W: Write + Send>(
        &self,
        output: W,
        rejects: Option<Box<dyn Write + Send>>,
        checkpoint: Option<&Checkpoint>,
        tell: Tell,
    ) -> MapOutcome<W> {
        let start = Instant::now();
        let Options { concurrency, .. } = self.options;
        let budget = self.run.budget();
        let mut shares = budget.reservation("batches");
        // Batches that are filled, wait or run, with a buffer to spare, and answers that come or wait.
        let count = (concurrency + MOST_WAITING + 2) + (2 * concurrency + MOST_SPARE);
        let left = budget.left();
        let share = left.saturating_sub(self.run.least_memory()).min(left / 2) / count;
        let reserved = match share {
            LEAST_SHARE.. => shares.resize(share * count),
            _ => {
                let needed = (4 * LEAST_SHARE * count) >> 20;
                let message =
                    format!("the memory limit of {} MiB does not do for {concurrency} children", budget.limit() >> 20);
                Err(Error::new(ErrorKind::Resource, message)
                    .hint(format!("about {} MiB would do: raise --memory-limit, or lower --concurrency", needed + 32)))
            }
        };
        if let Err(error) = reserved {
            let (summary, batches, done) = Default::default();
            return MapOutcome { result: Err(error), summary, batches, done };
        }
        let most_records = (share / 4 / NOTED) as u64;
        let cut = Cut {
            records: self.options.batch_records.unwrap_or(u64::MAX).min(most_records),
            bytes: self.options.batch_bytes.unwrap_or(usize::MAX).min(share / 4 * 3),
            time: self.options.batch_time,
        };
        let done = checkpoint.map(Checkpoint::done);
        let window = 2 * concurrency as u64;
        let batches = Arc::new(Batches::new(cut, window, self.places.clone(), budget.clone(), done));
        let keeper = Keeper::new();
        let names: Vec<String> = self.run.inputs().into_iter().map(str::to_owned).collect();
        let malformed = rejects
            .as_ref()
            .map(|_| Box::new(Malformed { batches: Arc::clone(&batches), begun: Vec::new() }) as Box<dyn Write + Send>);
        let order = Order::new(
            &batches,
            (output, rejects),
            (self.options.ordered, self.options.on_failure),
            &names,
            done.map(|done| (&keeper, done)),
        );
        let limits = Limits { max_depth: self.settings.max_depth, max_line: self.settings.max_line };
        let terms = Terms {
            json: self.options.json,
            limits,
            in_memory: share,
            most: self.options.most_answer,
            budget: budget.clone(),
            temporary: Arc::new(Temporary {
                directory: self.settings.temp_dir.clone(),
                limit: self.settings.temp_limit,
                used: AtomicU64::new(0),
                written: AtomicU64::new(0),
            }),
        };
        let crew = Crew {
            map: self,
            recipe: Recipe {
                command: self.options.command.clone(),
                pipe: (PIPES / 2 / concurrency.max(1)).clamp(64 << 10, PIPE).next_power_of_two(),
            },
            batches: &batches,
            order: &order,
            terms: &terms,
            tell,
            stopped: AtomicBool::new(false),
            retries: AtomicU64::new(0),
            children: AtomicU64::new(0),
        };
        let (outcome, ended, kept) = std::thread::scope(|scope| {
            let keeping = checkpoint.map(|checkpoint| scope.spawn(|| keeper.keep(checkpoint)));
            let slots: Vec<_> = (0..concurrency)
                .map(|_| std::thread::Builder::new().name("foldl-child".to_owned()).spawn_scoped(scope, || crew.work()))
                .collect();
            let outcome = match slots.iter().all(Result::is_ok) {
                true => Some(self.run.execute(Batcher(&batches), malformed)),
                false => None,
            };
            let ended = batches.end();
            let mut ends = Vec::new();
            for slot in slots {
                let end = match slot {
                    Ok(slot) => slot.join().unwrap_or_else(|panic| {
                        keeper.end();
                        std::panic::resume_unwind(panic)
                    }),
                    Err(error) => {
                        crew.stop();
                        Err(Error::new(ErrorKind::Resource, "no thread could be started").caused_by(error))
                    }
                };
                ends.push(end);
            }
            keeper.end();
            let join = |keeping: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                keeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let kept = keeping.map_or(Ok(()), join);
            (outcome, ended.and(ends.into_iter().collect::<Result<Vec<()>>>().map(drop)), kept)
        });
        let (retries, children) = (crew.retries.into_inner(), crew.children.into_inner());
        let (output, written, done, summary) = order.finish();
        let spooled = terms.temporary.written.load(Ordering::Relaxed);
        let batches = BatchSummary { retries, children, spooled, ..summary };
        let (queried, mut summary) = match outcome {
            Some(outcome) => (outcome.result.map(drop), outcome.summary),
            None => (Ok(()), Summary::default()),
        };
        // Of all of it, not of the query alone.
        summary.wall = start.elapsed();
        // A query that ends as nobody takes its rows any more has not failed.
        let queried = match queried {
            Err(error) if error.kind() == ErrorKind::ClosedPipe && (written.is_err() || ended.is_err()) => Ok(()),
            queried => queried,
        };
        let result = written.and(queried).and(ended).and(kept).map(|()| output);
        MapOutcome { result, summary, batches, done }
    }
}

/// What the threads that have children share.
struct Crew<'m, W> {
    map: &'m Map,
    recipe: Recipe,
    batches: &'m Batches,
    order: &'m Order<'m, W>,
    terms: &'m Terms,
    tell: Tell,
    stopped: AtomicBool,
    retries: AtomicU64,
    children: AtomicU64,
}

/// Ends the run if a thread panics, as the others would wait for it.
struct StopOnPanic<'c, 'm, W: Write + Send>(&'c Crew<'m, W>);

impl<W: Write + Send> Drop for StopOnPanic<'_, '_, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl<W: Write + Send> Crew<'_, W> {
    /// Works on batch after batch.
    ///
    /// # Errors
    /// What ends the run, unless the order knows it already.
    fn work(&self) -> Result<()> {
        let _guard = StopOnPanic(self);
        let mut answer = Answer::new(self.terms);
        let mut kept = None;
        while let Some(batch) = self.batches.next() {
            let result = match batch.records {
                0 => Ok(Lines::default()),
                _ => match self.answer(&batch, &mut answer, &mut kept) {
                    Ok(lines) => Ok(lines),
                    Err(NoAnswer::Failure(failure)) => Err(failure),
                    Err(NoAnswer::Stopped) => {
                        self.stop();
                        return Ok(());
                    }
                    Err(NoAnswer::Run(error)) => {
                        self.stop();
                        return Err(error);
                    }
                },
            };
            if self.order.deliver(batch, result).is_err() {
                self.stop();
                return Ok(());
            }
        }
        kept.map_or(Ok(()), |child| self.end(child))
    }

    /// Nothing more is to be done.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.batches.stop();
        self.map.run.cancel();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst) || are_ended()
    }

    /// The answer to a batch, tried as often as is allowed.
    fn answer(&self, batch: &Batch, answer: &mut Answer<'_>, kept: &mut Option<Child>) -> Result<Lines, NoAnswer> {
        let options = &self.map.options;
        if let Some(KeepAlive::Delimiter(line)) = &options.keep_alive
            && let Some(at) = find_line(&batch.bytes, line)
        {
            let record = memchr::memchr_iter(b'\n', &batch.bytes[..at]).count() as u64 + 1;
            let (fault, told) = (Fault::Delimiter { record }, String::new());
            return Err(NoAnswer::Failure(Failure { fault, attempts: 0, told }));
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            answer.clear(|| self.order.spare());
            let (failed, told) = match self.try_once(batch, answer, kept) {
                Ok(()) => return Ok(answer.take()),
                Err(failed) => failed,
            };
            if self.is_stopped() {
                return Err(NoAnswer::Stopped);
            }
            let fault = match failed {
                Failed::Fault(Fault::Start(error)) if is_hopeless(&error) => {
                    return Err(NoAnswer::Run(self.cannot_start(error)));
                }
                Failed::Fault(fault) => fault,
                Failed::Run(error) => return Err(NoAnswer::Run(error)),
                Failed::Stopped => return Err(NoAnswer::Stopped),
            };
            if attempts > options.retries {
                return Err(NoAnswer::Failure(Failure { fault, attempts, told }));
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            self.pause(attempts)?;
        }
    }

    /// One attempt. What the child has written to standard error comes with the failure.
    fn try_once(
        &self,
        batch: &Batch,
        answer: &mut Answer<'_>,
        kept: &mut Option<Child>,
    ) -> Result<(), (Failed, String)> {
        let options = &self.map.options;
        let stopped = || self.is_stopped();
        let patience = Patience { timeout: options.timeout, since: Instant::now(), stopped: &stopped };
        let mut child = match self.usable(kept.take()) {
            Some(mut child) => {
                child.told.set_batch(batch.number);
                child
            }
            None => self.start(batch).map_err(|error| (Fault::Start(error).into(), String::new()))?,
        };
        let mut given: Vec<&[u8]> = vec![&batch.bytes];
        let until = match &options.keep_alive {
            None => Until::Closed,
            Some(KeepAlive::Lines) => Until::Lines(batch.records),
            Some(KeepAlive::Delimiter(line)) => {
                given.extend([line.as_slice(), b"\n"]);
                Until::Line(line)
            }
        };
        let mut result = child.ask(&given, until, answer, &patience);
        if result.is_ok() && options.same_lines && answer.lines() != batch.records {
            result = Err(Fault::Lines { lines: answer.lines(), records: batch.records }.into());
        }
        match result {
            Ok(()) => {
                if options.keep_alive.is_some() {
                    *kept = Some(child);
                }
                Ok(())
            }
            Err(failed) => Err((failed, child.end_now())),
        }
    }

    /// A child that lives on, if it waits for the next batch.
    fn usable(&self, child: Option<Child>) -> Option<Child> {
        let child = child?;
        if !child.speaks_unasked() {
            return Some(child);
        }
        if !child.has_ended() {
            (self.tell)(b"foldl: the command wrote something after its answer was whole; it is started anew\n");
        }
        child.end_now();
        None
    }

    fn start(&self, batch: &Batch) -> io::Result<Child> {
        let environment =
            [("FOLDL_BATCH", batch.number.to_string()), ("FOLDL_FIRST_LINE", batch.first_line().to_string())];
        let child = Child::start(&self.recipe, environment, Told::new(Arc::clone(&self.tell), batch.number))?;
        self.children.fetch_add(1, Ordering::Relaxed);
        Ok(child)
    }

    /// Lets a child end that has answered everything.
    fn end(&self, child: Child) -> Result<()> {
        let stopped = || self.is_stopped();
        let patience = Patience { timeout: self.map.options.timeout, since: Instant::now(), stopped: &stopped };
        let (said, fault) = match child.end(&patience) {
            Ok((status, spoke)) => (spoke, (!status.success()).then_some(Fault::Exit(status))),
            Err(Failed::Fault(fault)) => (false, Some(fault)),
            Err(Failed::Run(error)) => return Err(error),
            Err(Failed::Stopped) => (false, None),
        };
        if said {
            (self.tell)(b"foldl: the command wrote something after its last answer, which is left out\n");
        }
        if let Some(fault) = fault {
            (self.tell)(format!("foldl: the command had answered everything, and then it {fault}\n").as_bytes());
        }
        Ok(())
    }

    /// Waits before another attempt: twice as long each time, and not as long as others that failed at the same time.
    fn pause(&self, attempts: u32) -> Result<(), NoAnswer> {
        let longest = FIRST_PAUSE.saturating_mul(1 << (attempts - 1).min(20)).min(LONGEST_PAUSE);
        let random = std::hash::RandomState::new().hash_one(attempts) as f64 / u64::MAX as f64;
        let pause = longest.mul_f64(0.5 + random / 2.0);
        let start = Instant::now();
        while let Some(left) = pause.checked_sub(start.elapsed()) {
            if self.is_stopped() {
                return Err(NoAnswer::Stopped);
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
        Ok(())
    }

    fn cannot_start(&self, error: io::Error) -> Error {
        let command = self.recipe.command.first().map_or_else(Default::default, |command| command.to_string_lossy());
        let message = format!("cannot run {command}");
        let failed = Error::new(ErrorKind::Usage, message);
        match error.kind() {
            io::ErrorKind::NotFound => {
                failed.caused_by(error).hint("the command is a program, not a line for a shell: sh -c '…' runs one")
            }
            _ => failed.caused_by(error),
        }
    }
}

/// Why there is no answer to a batch.
enum NoAnswer {
    /// It failed for good.
    Failure(Failure),
    /// The run cannot go on.
    Run(Error),
    /// The run is to end.
    Stopped,
}

/// Sees to it that the process may have enough files open for so many children.
fn allow_files(concurrency: usize) -> Result<()> {
    /// The pipes of a child, with their other ends while it starts, and what else there may be.
    const OF_CHILD: u64 = 7;
    const OTHERS: u64 = 64;
    let needed = OF_CHILD * concurrency as u64 + OTHERS;
    // Where the limit is not told, it is met when it is reached.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if soft >= needed || needed <= hard && setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_ok() {
        return Ok(());
    }
    let message = format!("the limit of {hard} open files does not do for {concurrency} children");
    Err(Error::new(ErrorKind::Resource, message)
        .hint(format!("lower --concurrency, or allow for {needed} files: ulimit -n {needed}")))
}

/// Whether a command can never be started.
fn is_hopeless(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(nix::libc::ENOEXEC)
}
