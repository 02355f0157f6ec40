//! Running a job: one pass over its sources for all outputs and checks, and one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::checking::{CheckRows, Checking, Lent, SharedWriter};
use super::checkpoint::{CHECKPOINT, Saved};
use super::file::{JobFile, QueryOf};
use super::increment;
use super::inputs::{InputFile, increment_of, is_kept};
use super::store::{self, FileMode, Mode, OutputRecord, OutputSpec, Record, Split, Store, Wait};
use super::table;
use super::takers::{Loose, Taker, of_json};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::{
    Arguments, Cuts, Every, Flow, NamedSource, Pass, PassEnd, PassState, Progressing, Rule, Settings, Summary,
};
use crate::output::{Format, Sink};
use crate::plan::Plan;
use crate::quality::{CheckResult, Column, Kind, Report};
use crate::sql::Catalog;
use crate::value::Timestamp;

/// The runs whose observations are kept for checks that compare with them.
const MOST_HISTORY: usize = 30;

/// A job that can be run.
///
/// ```no_run
/// use foldl::exec::Settings;
/// use foldl::job::file::{JobFile, Overrides};
/// use foldl::job::run::{Job, RunOptions};
///
/// let file = JobFile::read("daily.toml".as_ref(), &Overrides::default())?;
/// let ended = Job::new(file, Settings::default())?.run(&RunOptions::default(), |_, _, work| work())?;
/// println!("{:?}", ended.outcome);
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct Job {
    pub(super) file: JobFile,
    pub(super) settings: Settings,
    catalog: Catalog,
    /// How each output is written.
    specs: Vec<OutputSpec>,
    /// The files that queries name themselves.
    pub(super) named: Vec<String>,
    /// The sources that are read record by record, and those that records are joined with.
    pub(super) read: BTreeSet<String>,
    pub(super) lookups: BTreeSet<String>,
}

/// How a job is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Whether to wait for another run that holds the lock, in place of an error.
    pub wait: bool,
    /// Whether to run even if the same has been committed already.
    pub again: bool,
    /// Whether to leave a checkpoint out of account.
    pub restart: bool,
}

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All outputs are there.
    Committed,
    /// The same job has been run over the same inputs before: nothing was done.
    NothingNew,
    /// Checks failed: nothing was committed.
    ChecksFailed,
}

/// What came of a run.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// The name of the run.
    pub run: String,
    /// The number of the commit, if there is one.
    pub sequence: Option<u64>,
    /// For each output its name, where it is, and the rows that were written.
    pub outputs: Vec<(String, PathBuf, u64)>,
    /// For each input that was read its name, and what happened.
    pub inputs: Vec<(String, Summary)>,
    /// The same for those that records were joined with.
    pub lookups: Vec<(String, Summary)>,
    /// What happened in the queries of the views and then in those of the outputs.
    pub queries: Vec<Summary>,
    /// The results of the checks.
    pub checks: Report,
    /// Where the report and rejects of a run are that failed its checks.
    pub failed: Option<PathBuf>,
    /// What is worth telling: a commit of an earlier run that was finished first, a checkpoint that the run went on from,
    /// or why it did not.
    pub notes: Vec<String>,
}

impl Job {
    /// A job with settings for its run, in which those of the file win where they are given.
    ///
    /// # Errors
    /// [`ErrorKind::Query`], with the place in the file, if a query is wrong.
    pub fn new(file: JobFile, settings: Settings) -> Result<Job> {
        let run = &file.tables().run;
        let settings = Settings {
            strict: settings.strict || run.strict,
            max_line: run
                .max_line
                .map_or(settings.max_line, |size| usize::try_from(size.0.get()).unwrap_or(usize::MAX)),
            max_depth: run.max_depth.map_or(settings.max_depth, u32::from),
            ..settings
        };
        let mut catalog = Catalog::default();
        file.tables().sources.keys().for_each(|name| catalog.add_source(name));
        file.tables().views.iter().for_each(|(name, text)| catalog.add_view(name, text));
        let mut job = Job {
            file,
            settings,
            catalog,
            specs: Vec::new(),
            named: Vec::new(),
            read: BTreeSet::new(),
            lookups: BTreeSet::new(),
        };
        let mut quarantines: Vec<&str> =
            job.file.tables().checks.iter().filter_map(|check| check.quarantine.as_deref()).collect();
        quarantines.sort_unstable();
        if let Some([path, _]) = quarantines.array_windows().find(|[path, next]| path == next) {
            let message = format!("two checks have the quarantine file {path}");
            return Err(Error::new(ErrorKind::Query, message).hint("give each one a file of its own"));
        }
        for name in job.file.tables().views.keys() {
            job.plan(&format!("select * from \"{name}\""), None)?;
        }
        for output in 0..job.file.tables().outputs.len() {
            let plan = job.output_plan(output)?;
            if job.file.tables().run.incremental {
                job.check_flow(output, Flow::of(&plan))?;
            }
            job.specs.push(job.spec(output, &plan)?);
            job.note_names(&plan);
        }
        // Names that are not known are told where the checks are asked.
        let plan = |name: &String| job.catalog.plan(&format!("select * from \"{name}\"")).ok();
        let checks = &job.file.tables().checks;
        let related = checks.iter().filter_map(|check| match &check.kind {
            Kind::Relationship(relationship) => plan(&relationship.source),
            _ => None,
        });
        let related: Vec<Plan> = related.collect();
        let checked: Vec<Plan> = checks.iter().filter_map(|check| plan(&check.on)).collect();
        checked.iter().for_each(|plan| job.note_names(plan));
        for plan in related {
            job.named.extend(plan.files());
            job.lookups.extend(plan.names());
        }
        job.named.sort_unstable();
        job.named.dedup();
        Ok(job)
    }

    /// The file that it was read from.
    pub fn file(&self) -> &JobFile {
        &self.file
    }

    /// Takes note of the sources and files that a plan reads.
    fn note_names(&mut self, plan: &Plan) {
        self.named.extend(plan.files());
        self.read.extend(plan.name_read().map(str::to_owned));
        self.lookups.extend(plan.names_looked_up());
    }

    /// Refuses an output that cannot go on from where it was.
    fn check_flow(&self, number: usize, flow: Flow) -> Result<()> {
        let output = &self.file.tables().outputs[number];
        let (message, hint) = match (flow, output.mode) {
            (Flow::AsRecords, Mode::Append) => return Ok(()),
            (Flow::AtEnd | Flow::Apart, Mode::Overwrite | Mode::OverwritePartitions) => return Ok(()),
            (Flow::Counted, _) => (
                "the rows of an incremental job cannot be counted with LIMIT or OFFSET without ORDER BY",
                "leave it out, or order the rows: what comes later may then come first",
            ),
            (Flow::AsRecords, _) => (
                "this output has a row for each record, so that an incremental job adds rows to it",
                "say `mode = \"append\"`",
            ),
            (Flow::AtEnd | Flow::Apart, _) => (
                "the rows of this output change when more records come, so that an incremental job writes all of them anew",
                "say `mode = \"overwrite\"`",
            ),
        };
        let error = Error::new(ErrorKind::Query, format!("output {}: {message}", output.name));
        Err(self.file.place_error(QueryOf::Output(number), error.hint(hint)))
    }

    /// The plan of a query of the file.
    fn plan(&self, text: &str, of: Option<QueryOf<'_>>) -> Result<Plan> {
        self.catalog.plan(text).map_err(|error| self.place_error(text, of, error))
    }

    /// An error in a query as one in the file.
    fn place_error(&self, text: &str, of: Option<QueryOf<'_>>, error: Error) -> Error {
        let Some(Place::Query { text: found, .. }) = error.place() else { return error };
        let view = self.file.tables().views.iter().find(|(_, view)| *view == found && *found != text);
        match (view, of) {
            (Some((name, _)), _) => self.file.place_error(QueryOf::View(name), error),
            (None, Some(of)) => self.file.place_error(of, error),
            (None, None) => error,
        }
    }

    /// The plan of an output, in partitions if it is to be, and the names of its columns, if they are known.
    fn output_plan(&self, number: usize) -> Result<Plan> {
        let output = &self.file.tables().outputs[number];
        let of = QueryOf::Output(number);
        let plan = self.plan(&output.query, Some(of))?;
        let place = |error: Error| self.file.place_error(of, error);
        if plan.uses_input() {
            let message = "the query does not say what it reads";
            let names: Vec<&str> = self.file.tables().sources.keys().map(String::as_str).collect();
            let error = Error::new(ErrorKind::Query, message);
            return Err(place(error.hint(format!("write from {}", names.first().unwrap_or(&"'orders.jsonl'")))));
        }
        let format = Format::from(output.format());
        if plan.names.is_none() && format != Format::Jsonl {
            let error = Error::new(ErrorKind::Query, "csv and tsv need to know the columns, which `*` does not tell");
            return Err(place(error.hint("name them: select orderId, status, …")));
        }
        match output.partition_by.as_slice() {
            [] => Ok(plan),
            by => plan.partitioned(by, format).map_err(place),
        }
    }

    /// What the names in queries stand for.
    fn arguments(&self) -> Arguments {
        let source = |(name, source): (&String, &table::Source)| {
            let named = NamedSource {
                files: self.files(name),
                input_format: source.format.map(Into::into),
                headless: !source.header,
                on_error: source.on_error.into(),
                max_errors: source.max_errors.as_ref().map(|most| most.0),
                rules: source.schema.iter().map(|(column, is)| rule(column, *is)).collect(),
            };
            (name.clone(), named)
        };
        Arguments::named(self.file.tables().sources.iter().map(source).collect()).in_folder(self.file.folder())
    }

    /// How an output is written.
    fn spec(&self, number: usize, plan: &Plan) -> Result<OutputSpec> {
        let output = &self.file.tables().outputs[number];
        let format = Format::from(output.format());
        let header = match format {
            Format::Csv | Format::Tsv => {
                Sink::new(Vec::new(), format, plan.names.clone(), &crate::memory::Budget::new(1 << 20))?.finish()?
            }
            _ => Vec::new(),
        };
        Ok(OutputSpec {
            mode: output.mode,
            partition_by: output.partition_by.clone(),
            format: output.format(),
            compression: output.compression(),
            split: match (output.max_file_size, output.files) {
                (Some(size), _) => Split::MaxBytes(size.0.get()),
                (None, Some(files)) => Split::Files(files.get()),
                (None, None) => Split::Files(1),
            },
            header,
            ..OutputSpec::new(&output.name, self.file.resolve(&output.path))
        })
    }

    /// The pass for all outputs and checks.
    fn pass(
        &self,
        checking: &mut Checking<'_>,
        arguments: &mut Arguments,
        settings: Settings,
        (has_cuts, from): (bool, Option<PassState>),
        increment: Option<(&increment::Plan, &Path)>,
        quarantine: impl Fn(usize) -> Option<SharedWriter>,
    ) -> Result<(Pass, Vec<CheckRows>)> {
        let mut pass = Pass::new(settings)?;
        if let Some(from) = from {
            pass.resume(from);
        }
        for number in 0..self.file.tables().outputs.len() {
            let format = Format::from(self.file.tables().outputs[number].format());
            pass.add(self.output_plan(number)?, format, arguments)?;
        }
        let rows = checking.ask(&mut pass, &self.catalog, arguments, quarantine).map_err(|error| {
            let of = QueryOf::Check(error.check);
            match error.error.place() {
                Some(Place::Query { .. }) => self.file.place_error(of, error.error),
                _ => error.error,
            }
        })?;
        if let Some((plan, dir)) = increment {
            pass.keep(plan.keeping(dir), plan.parts.clone());
        }
        pass.open(arguments, has_cuts)?;
        Ok((pass, rows))
    }

    /// Says what a run would read, share and hold in memory.
    ///
    /// # Errors
    /// As [`run`](Job::run), without anything being read or written.
    pub fn explain(&self) -> Result<String> {
        let tables = self.file.tables();
        let mut checking = Checking::new(&tables.checks).of_increments(tables.run.incremental);
        let mut arguments = self.arguments();
        let (pass, _) =
            self.pass(&mut checking, &mut arguments, self.settings.clone(), (false, None), None, |_| None)?;
        let outputs = self.file.tables().outputs.iter().map(|output| format!("output {}", output.name));
        let labels: Vec<String> = outputs.chain(checking.labels()).collect();
        Ok(pass.explain(&labels))
    }

    /// Says what a run would read and write.
    ///
    /// # Errors
    /// As [`inputs`](Job::inputs); of an incremental job, also if one is not what it was.
    pub fn dry_run(&self) -> Result<String> {
        let mut out = String::new();
        let inputs = self.inputs()?;
        let plan = match self.file.tables().run.incremental {
            true => {
                let last = Store::last_of(&self.file.state())?;
                Some(self.plan_increment(last.as_ref(), &inputs, false)?)
            }
            false => None,
        };
        for (name, files) in inputs {
            let bytes: u64 = files.iter().map(|file| file.len).sum();
            let _ = writeln!(
                out,
                "source {name}: {}, {bytes} bytes",
                match files.len() {
                    1 => "1 file".to_owned(),
                    count => format!("{count} files"),
                }
            );
            let rejects = self.file.tables().sources.get(&name).and_then(|source| source.rejects.as_deref());
            if let Some(path) = rejects {
                let _ = writeln!(out, "  rejects {}", self.file.resolve(path).display());
            }
            for file in files {
                let new = plan.as_ref().and_then(|plan| plan.new_bytes(&name, &file.path));
                let new = new.map_or(String::new(), |new| format!(", {new} new"));
                let _ = writeln!(out, "  {}  {} bytes{new}", file.path, file.len);
            }
        }
        for note in plan.iter().flat_map(|plan| &plan.notes) {
            let _ = writeln!(out, "{note}");
        }
        for output in &self.file.tables().outputs {
            let mode = match output.mode {
                Mode::Overwrite => "overwrite",
                Mode::Append => "append",
                Mode::OverwritePartitions => "overwrite_partitions",
                Mode::Create => "create",
            };
            let parts = match output.partition_by.as_slice() {
                [] => String::new(),
                columns => format!(", in partitions by {}", columns.join(", ")),
            };
            let path = self.file.resolve(&output.path);
            let _ = writeln!(out, "output {}: {mode} {}{parts}", output.name, path.display());
        }
        for check in &self.file.tables().checks {
            if let Some(path) = &check.quarantine {
                let _ = writeln!(out, "check {}: quarantine {}", check.name(), self.file.resolve(path).display());
            }
        }
        Ok(out)
    }

    /// Runs the job. `during` gets the pass with what is worth telling by then (see [`Ended::notes`]) and does its work, and may
    /// show its progress meanwhile.
    ///
    /// # Errors
    /// - [`ErrorKind::Locked`] if another run of the job holds its state directory, or another job one of the destinations.
    /// - [`ErrorKind::Rejected`] if more lines were rejected than a source allows.
    /// - [`ErrorKind::Input`], [`ErrorKind::Output`], [`ErrorKind::Resource`] as for queries.
    ///
    /// Nothing is committed then, except if the advice of the error says so.
    pub fn run(
        &self,
        options: &RunOptions,
        during: impl Fn(&dyn Progressing, &[String], &mut (dyn FnMut() + Send)),
    ) -> Result<Ended> {
        let (started, clock) = (Timestamp::now(), Instant::now());
        let span = tracing::info_span!("run", job = self.file.name(), run = tracing::field::Empty);
        let _entered = span.clone().entered();
        let mut steps = Steps(clock);
        let mut store = Store::open(&self.file.state(), if options.wait { Wait::Yes } else { Wait::No })?;
        let finished =
            |record: &Record| format!("finished the commit of run {}, which had been interrupted", record.run);
        let mut ended = Ended {
            outcome: Outcome::NothingNew,
            run: run_name(started),
            sequence: None,
            outputs: Vec::new(),
            inputs: Vec::new(),
            lookups: Vec::new(),
            queries: Vec::new(),
            checks: Report { name: self.file.name(), started, wall: Duration::ZERO, results: Vec::new() },
            failed: None,
            notes: store.recovered().iter().map(finished).collect(),
        };
        for record in store.recovered() {
            tracing::warn!(commit = record.sequence, run = record.run, "finished a commit that had been interrupted");
        }
        steps.end("lock");
        let found = self.inputs().and_then(|inputs| self.check_paths(&inputs).map(|()| inputs));
        let inputs = match found {
            Ok(inputs) => inputs,
            Err(error) => {
                self.log(&store, &ended, Some(&error), clock.elapsed())?;
                return Err(error);
            }
        };
        let key = self.key(&inputs);
        let run = &self.file.tables().run;
        let needs_files = [
            (run.checkpoint.is_some(), "checkpoint", "have checkpoints"),
            (run.incremental, "incremental", "be incremental"),
        ];
        let passing = inputs.iter().flat_map(|(_, files)| files).find(|file| !is_kept(&file.path));
        if let (Some(file), Some((_, name, what))) = (passing, needs_files.iter().find(|(is_asked, ..)| *is_asked)) {
            let input = if file.path == "-" { "standard input" } else { "what is no regular file" };
            let error = Error::new(ErrorKind::Usage, format!("a job that reads {input} cannot {what}"));
            let error = if file.path == "-" { error } else { error.at(Place::File(file.path.clone().into())) };
            return Err(error.hint(format!("leave `{name}` out of [run], or read a file")));
        }
        let last = store.last()?;
        let after = last.as_ref().and_then(increment_of).map(str::to_owned);
        let saved = self.saved(&mut store, (key.as_deref(), after.as_deref()), &inputs, options, &mut ended.notes)?;
        let saved = saved.map(|(run, saved)| {
            tracing::warn!(run, records = saved.pass.records(), "goes on from a checkpoint");
            ended.run = run;
            saved
        });
        span.record("run", ended.run.as_str());
        tracing::info!(state = %store.dir().display(), "the run begins");
        if let Some(key) = key.as_deref().filter(|_| !options.again && saved.is_none())
            && let Some(record) = store.committed(key)?
            && self.is_there(&record)
        {
            ended.sequence = Some(record.sequence);
            self.log(&store, &ended, None, clock.elapsed())?;
            return Ok(ended);
        }
        let plan = match run.incremental {
            false => None,
            true => match self.plan_increment(last.as_ref(), &inputs, options.again) {
                Ok(plan) => Some(plan),
                Err(error) => {
                    self.log(&store, &ended, Some(&error), clock.elapsed())?;
                    return Err(error);
                }
            },
        };
        if let (Some(plan), Some(record), None) = (&plan, &last, &saved)
            && plan.is_empty()
            && self.is_there(record)
        {
            ended.sequence = Some(record.sequence);
            self.log(&store, &ended, None, clock.elapsed())?;
            return Ok(ended);
        }
        ended.notes.extend(plan.iter().flat_map(|plan| plan.notes.iter().cloned()));
        let kept: Vec<&str> = after.iter().map(String::as_str).chain([ended.run.as_str()]).collect();
        store.keep_increments(&kept)?;
        for note in &ended.notes {
            tracing::debug!("{note}");
        }
        steps.end("inputs");
        let beginning = Beginning { key, inputs, saved, history: history(last.as_ref()), plan, after: after.clone() };
        let result = self.run_in(&mut store, beginning, &mut ended, &mut steps, clock, during);
        if run.incremental && result.is_ok() && ended.outcome == Outcome::Committed {
            store.keep_increments(&[ended.run.as_str()]).map_err(store::after_commit)?;
        }
        let logged = self.log(&store, &ended, result.as_ref().err(), clock.elapsed());
        // What ended the run is told rather than that it could not be logged.
        result?;
        logged.map_err(|error| match ended.outcome {
            Outcome::Committed => store::after_commit(error),
            _ => error,
        })?;
        Ok(ended)
    }

    fn run_in(
        &self,
        store: &mut Store,
        Beginning { key, inputs, saved, history, plan, after }: Beginning,
        ended: &mut Ended,
        steps: &mut Steps,
        clock: Instant,
        during: impl Fn(&dyn Progressing, &[String], &mut (dyn FnMut() + Send)),
    ) -> Result<()> {
        let tables = self.file.tables();
        let saved = saved.as_ref();
        let count = tables.outputs.len().max(1);
        // What outputs hold until it is written is a part of the memory.
        let most = self.settings.memory_limit.saturating_sub(Settings::LEAST_MEMORY);
        let buffers = (self.settings.memory_limit / 8).min(64 << 20 << count.ilog2().min(3)).min(most);
        let buffer_bytes = buffers_of(buffers, &self.specs);
        let mut specs = Vec::with_capacity(self.specs.len());
        for (spec, buffer_bytes) in self.specs.iter().zip(buffer_bytes) {
            let replaces = match &plan {
                Some(plan) if !self.reads_output(&spec.path, &inputs) => store.files_of(&plan.replaces, &spec.path)?,
                _ => Vec::new(),
            };
            specs.push(OutputSpec { buffer_bytes, replaces, ..spec.clone() });
        }
        let increment_dir = match &plan {
            Some(_) => Some(store.make_increment_dir(&ended.run)?),
            None => None,
        };
        // Where records are added, so are what was rejected of them and what failed.
        let goes_on = plan.as_ref().is_some_and(|plan| plan.before.is_some());
        let mode = if goes_on { FileMode::Append } else { FileMode::Replace };
        let mut transaction = store.begin(&ended.run, specs)?;
        let checkpoint_path = transaction.checkpoint_path();
        let mut loose = Loose::new(saved.map_or(Vec::new(), |saved| saved.files.clone()));
        let mut quarantines = BTreeMap::new();
        for (number, check) in tables.checks.iter().enumerate() {
            if let Some(path) = &check.quarantine {
                quarantines.insert(number, loose.open(&mut transaction, &self.file.resolve(path), mode)?);
            }
        }
        let mut rejects: BTreeMap<String, Box<dyn Write + Send>> = BTreeMap::new();
        for (name, source) in &tables.sources {
            if let Some(path) = &source.rejects {
                let writer = loose.open(&mut transaction, &self.file.resolve(path), mode)?;
                rejects.insert(name.clone(), Box::new(Lent(writer)));
            }
        }
        let settings = Settings { memory_limit: self.settings.memory_limit - buffers, ..self.settings.clone() };
        let mut checking = Checking::new(&tables.checks).of_increments(plan.is_some());
        let mut arguments = self.arguments();
        let quarantine = |check: usize| quarantines.get(&check).cloned();
        let from = saved.map(|saved| saved.pass.clone());
        let (pass, mut check_rows) = self.pass(
            &mut checking,
            &mut arguments,
            settings.clone(),
            (tables.run.checkpoint.is_some(), from),
            plan.as_ref().zip(increment_dir.as_deref()),
            quarantine,
        )?;
        let mut takers = Vec::new();
        let kept = saved.map_or(&[][..], |saved| saved.pass.outputs.as_slice());
        for (number, output) in tables.outputs.iter().enumerate() {
            let is_partitioned = !output.partition_by.is_empty();
            // One that gets its rows but at the end had none.
            let kept = kept.get(number).filter(|kept| !kept.is_null());
            let position: Option<store::Position> = kept.map(of_json).transpose()?;
            let output = transaction.output(&output.name, position.as_ref())?;
            takers.push(Taker::Output(Box::new(output), is_partitioned));
        }
        for (rows, kept) in check_rows.iter_mut().zip(kept.iter().skip(tables.outputs.len())) {
            if !kept.is_null() {
                rows.restore(kept)?;
            }
        }
        takers.extend(check_rows.into_iter().map(Taker::Check));
        let span = tracing::Span::current();
        let write = |pass: &PassState| {
            let _entered = span.enter();
            let (clock, records) = (Instant::now(), pass.records());
            let saved = Saved {
                key: key.clone().unwrap_or_default(),
                job: self.file.hash(),
                after: after.clone(),
                inputs: inputs.clone(),
                pass: pass.clone(),
                files: loose.positions()?,
            };
            store::write_atomically(&checkpoint_path, &CHECKPOINT.seal(&saved)?)?;
            tracing::info!(records, seconds = clock.elapsed().as_secs_f64(), "wrote a checkpoint");
            Ok(())
        };
        let cuts = match tables.run.checkpoint {
            None => None,
            Some(checkpoint) => {
                let every = match checkpoint {
                    table::Checkpoint::Every(age) => Every::Time(age.0),
                    table::Checkpoint::Bytes(bytes) => Every::Bytes(bytes),
                };
                Some(Cuts { every, dir: transaction.checkpoint_dir()?, write: &write })
            }
        };
        let mut outcome = None;
        during(&pass, &ended.notes, &mut || {
            let (takers, rejects) = (std::mem::take(&mut takers), std::mem::take(&mut rejects));
            outcome = Some(pass.execute(takers, rejects, cuts.as_ref()));
        });
        drop(cuts);
        let outcome = outcome.ok_or_else(|| Error::new(ErrorKind::Internal, "the pass did not run"))?;
        let end: PassEnd = outcome.end;
        ended.inputs = outcome.inputs;
        ended.lookups = outcome.lookups;
        ended.queries = outcome.views;
        ended.queries.extend(outcome.outputs.into_iter().take(tables.outputs.len()));
        for (source, summary) in ended.lookups.iter().chain(&ended.inputs) {
            let (records, rejected, bytes) = (summary.records_in, summary.rejected, summary.bytes);
            tracing::info!(source, records, rejected, bytes, seconds = summary.wall.as_secs_f64(), "read a source");
        }
        steps.end("pass");
        let mut outputs = Vec::new();
        let mut check_rows = Vec::new();
        let takers = match outcome.result {
            Ok(takers) => takers,
            Err(error)
                if error.kind() == ErrorKind::Rejected
                    && tables.sources.values().any(|source| source.rejects.is_some()) =>
            {
                // The rejects explain it.
                drop(quarantines);
                let dir = transaction.fail(Vec::new(), loose.close()?)?;
                return Err(error.hint(format!("nothing was committed; rejected lines are in {}", dir.display())));
            }
            Err(error) => return Err(error),
        };
        for taker in takers {
            match taker {
                Taker::Output(output, _) => outputs.push(*output),
                Taker::Check(rows) => check_rows.push(rows),
            }
        }
        drop(pass);
        ended.outputs = outputs
            .iter()
            .map(|output| (output.spec().name.clone(), output.spec().path.clone(), output.rows()))
            .collect();
        self.conclude_checks(&checking, check_rows, &quarantines, &settings, &history, ended)?;
        ended.checks.change_words(|text| self.file.redact(text));
        ended.checks.wall = clock.elapsed();
        log_checks(&ended.checks);
        steps.end("checks");
        if !ended.checks.results.is_empty() {
            let report = loose.open(&mut transaction, &self.file.state().join("report.json"), FileMode::Replace)?;
            let write = |bytes: &[u8]| report.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes);
            write(&ended.checks.json()).map_err(crate::output::write_error)?;
        }
        drop(quarantines);
        if !ended.checks.passed() {
            ended.outcome = Outcome::ChecksFailed;
            ended.failed = Some(transaction.fail(outputs, loose.close()?)?);
            return Ok(());
        }
        let observations: BTreeMap<&str, &Json> = ended
            .checks
            .results
            .iter()
            .filter_map(|result| Some((result.name.as_str(), result.observation.as_ref()?)))
            .collect();
        let mut history = history;
        history.push(json!(observations));
        let kept = history.split_off(history.len().saturating_sub(MOST_HISTORY));
        let mut payload = json!({ "key": key, "job": self.file.hash(), "history": kept });
        if let (Some(plan), Some(dir)) = (plan, &increment_dir) {
            plan.write(dir, &self.file.hash(), end)?;
            let commits = plan.commits.iter().copied().chain([transaction.sequence()]);
            payload["increment"] = json!(ended.run);
            payload["commits"] = json!(commits.collect::<Vec<u64>>());
        }
        let record = transaction.commit(outputs, loose.close()?, payload)?;
        steps.end("commit");
        for output in &record.outputs {
            let OutputRecord { name, rows, destination, files, replaced, .. } = output;
            let (files, replaced, path) = (files.len(), replaced.len(), destination.display());
            tracing::info!(output = name, rows, files, replaced, %path, "wrote an output");
        }
        ended.outcome = Outcome::Committed;
        ended.sequence = Some(record.sequence);
        Ok(())
    }

    /// Comes to the verdicts of all checks.
    fn conclude_checks(
        &self,
        checking: &Checking<'_>,
        rows: Vec<CheckRows>,
        quarantines: &BTreeMap<usize, SharedWriter>,
        settings: &Settings,
        history: &[Json],
        ended: &mut Ended,
    ) -> Result<()> {
        let mut answers = checking.answers(rows);
        for number in checking.open_questions(&answers) {
            let mut arguments = self.arguments();
            let mut pass = Pass::new(settings.clone())?;
            let quarantine = quarantines.get(&number).cloned();
            let rows = checking.ask_records(number, &mut pass, &self.catalog, &mut arguments, quarantine)?;
            pass.open(&mut arguments, false)?;
            let outcome = pass.execute(vec![rows], BTreeMap::new(), None);
            if let Some(rows) = outcome.result?.pop() {
                answers[number].samples = rows.into_samples();
            }
        }
        let checks = &self.file.tables().checks;
        let results = checks.iter().zip(answers).map(|(check, answer)| {
            let name = check.name();
            let before: Vec<Json> = history.iter().filter_map(|past| past.get(&name)).cloned().collect();
            check.result(answer, &before, ended.checks.started)
        });
        ended.checks.results = results.collect::<Result<Vec<CheckResult>>>()?;
        Ok(())
    }

    /// Writes a line to the log of runs.
    fn log(&self, store: &Store, ended: &Ended, error: Option<&Error>, wall: Duration) -> Result<()> {
        // Who is asked to end has not failed.
        let is_interrupted = error.is_some_and(|error| error.kind() == ErrorKind::ClosedPipe);
        let error = error.filter(|_| !is_interrupted);
        let outcome = match (error, ended.outcome) {
            _ if is_interrupted => "interrupted",
            (Some(_), _) => "failed",
            (None, Outcome::Committed) => "committed",
            (None, Outcome::NothingNew) => "nothing new",
            (None, Outcome::ChecksFailed) => "checks failed",
        };
        let told = |summaries: &[(String, Summary)]| -> BTreeMap<String, Json> {
            let of = |summary: &Summary| json!({"records": summary.records_in, "rejected": summary.rejected});
            summaries.iter().map(|(name, summary)| (name.clone(), of(summary))).collect()
        };
        let outputs: BTreeMap<&str, u64> = ended.outputs.iter().map(|(name, _, rows)| (name.as_str(), *rows)).collect();
        let seconds = wall.as_secs_f64();
        tracing::info!(outcome, commit = ended.sequence, seconds, "the run has ended");
        store.log_run(&json!({
            "run": ended.run,
            "job": self.file.name(),
            "started": ended.checks.started.to_string(),
            "wall_s": wall.as_secs_f64(),
            "outcome": outcome,
            "error": error.map(|error| self.file.redact(&error.to_string())),
            "sequence": ended.sequence,
            "inputs": told(&ended.inputs),
            "lookups": told(&ended.lookups),
            "outputs": outputs,
            "checks": {
                "all": ended.checks.results.len(),
                "failed": ended.checks.failed(),
                "warned": ended.checks.warned(),
            },
        }))
    }
}

/// What each output may hold of so many bytes until it is written: those that are in one piece the rows of a chunk, those in
/// partitions what is left, as they hold a chunk of each.
fn buffers_of(bytes: usize, specs: &[OutputSpec]) -> Vec<usize> {
    /// A chunk takes up to twice its size, as it grows.
    const PIECE: usize = 2 << 20;
    const LEAST: usize = 64 << 10;
    let piece = (bytes / specs.len().max(1)).min(PIECE);
    let in_partitions = specs.iter().filter(|spec| !spec.partition_by.is_empty()).count();
    let left = bytes - piece * (specs.len() - in_partitions);
    let bytes_of = |spec: &OutputSpec| if spec.partition_by.is_empty() { piece } else { left / in_partitions };
    specs.iter().map(|spec| bytes_of(spec).max(LEAST)).collect()
}

/// What checks of committed runs observed, the last one at the end.
fn history(last: Option<&Record>) -> Vec<Json> {
    last.and_then(|Record { payload, .. }| payload.get("history")?.as_array().cloned()).unwrap_or_default()
}

/// What a run begins with.
struct Beginning {
    key: Option<String>,
    inputs: Vec<(String, Vec<InputFile>)>,
    saved: Option<Saved>,
    history: Vec<Json>,
    /// What is new, of an incremental job.
    plan: Option<increment::Plan>,
    /// The run that left what the run goes on from.
    after: Option<String>,
}

/// The steps of a run, for the log.
struct Steps(Instant);

impl Steps {
    /// Says how long a step took that has ended. The next one has begun.
    fn end(&mut self, step: &str) {
        let now = Instant::now();
        tracing::info!(step, seconds = now.duration_since(self.0).as_secs_f64(), "a step has ended");
        self.0 = now;
    }
}

/// Says what came of checks.
fn log_checks(report: &Report) {
    for result in &report.results {
        let CheckResult { name, passed, observed, threshold, .. } = result;
        match (passed, result.fails()) {
            (true, _) => tracing::info!(check = name, passed, %observed, threshold, "a check passed"),
            (false, false) => {
                tracing::warn!(check = name, passed, %observed, threshold, "a check failed, which is a warning")
            }
            (false, true) => tracing::error!(check = name, passed, %observed, threshold, "a check failed"),
        }
    }
}

/// The rule that a column of a schema is.
fn rule(column: &Column, is: table::SchemaType) -> Rule {
    Rule { says: format!("{column} is not {is}"), broken: is.failing(column) }
}

/// A name for a run, that no other one has.
fn run_name(started: Timestamp) -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let text: String = started.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{}-{:08x}", &text[..text.len().min(15)], random as u32)
}
