//! Running a job: one pass over its sources for all outputs and checks, and one commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::checking::{CheckRows, Checking, Lent, SharedWriter};
use super::file::{JobFile, QueryOf, hex};
use super::inputs::{InputFile, changed_input, look_at};
use super::store::{self, FilePosition, Mode, OutputSpec, Record, Seal, Split, Store, Wait};
use super::table;
use super::takers::{Loose, Taker, of_json};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::{Arguments, Cuts, Every, NamedSource, Pass, PassState, Progressing, Rule, Settings, Summary};
use crate::input::{expand, within};
use crate::output::{Format, Sink};
use crate::plan::Plan;
use crate::quality::{CheckResult, Column, Report};
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
/// let ended = Job::new(file, Settings::default())?.run(&RunOptions::default(), |_, work| work())?;
/// println!("{:?}", ended.outcome);
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct Job {
    file: JobFile,
    settings: Settings,
    catalog: Catalog,
    /// How each output is written.
    specs: Vec<OutputSpec>,
    /// The files that queries name themselves.
    named: Vec<String>,
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
    /// What happened in the queries of the outputs, in the same order.
    pub queries: Vec<Summary>,
    /// The results of the checks.
    pub checks: Report,
    /// Where the report and rejects of a run are that failed its checks.
    pub failed: Option<PathBuf>,
    /// What is worth telling: a commit of an earlier run that was finished first, a checkpoint that the run went on from,
    /// or why it did not.
    pub notes: Vec<String>,
}

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// What tells the job over its inputs from others.
    key: String,
    /// The same of the job alone.
    job: String,
    inputs: Vec<(String, Vec<InputFile>)>,
    pass: PassState,
    /// The files beside the outputs.
    files: Vec<(PathBuf, FilePosition)>,
}

/// What checkpoint files begin with.
const CHECKPOINT: Seal = Seal { kind: "checkpoint", version: 1 };

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
        let mut job = Job { file, settings, catalog, specs: Vec::new(), named: Vec::new() };
        if job.file.tables().run.incremental {
            return Err(Error::new(ErrorKind::Query, "incremental jobs are not there yet")
                .hint("leave `incremental` out of [run]: the job then reads all of its input"));
        }
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
            job.specs.push(job.spec(output, &plan)?);
            job.named.extend(plan.files());
        }
        job.named.sort_unstable();
        job.named.dedup();
        Ok(job)
    }

    /// The file that it was read from.
    pub fn file(&self) -> &JobFile {
        &self.file
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
        let format = Format::from(output.format);
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
                files: self.file.files(name),
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

    /// The files that the job reads, as they are now: those of each source, and those that queries name themselves.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if one is not there.
    pub fn inputs(&self) -> Result<Vec<(String, Vec<InputFile>)>> {
        let mut inputs = Vec::new();
        for name in self.file.tables().sources.keys() {
            inputs.push((name.clone(), look_at(expand(&self.file.files(name))?)?));
        }
        for file in &self.named {
            let name = within(self.file.folder(), file);
            inputs.push((file.clone(), look_at(expand(&[name])?)?));
        }
        Ok(inputs)
    }

    /// Refuses to write over what is read.
    fn check_paths(&self, inputs: &[(String, Vec<InputFile>)]) -> Result<()> {
        let tables = self.file.tables();
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let read: Vec<PathBuf> =
            inputs.iter().flat_map(|(_, files)| files).filter_map(|file| real(Path::new(&file.path))).collect();
        let refuse = |what: String, path: &Path| {
            let error = Error::new(ErrorKind::Usage, format!("{what} would replace what the job reads"));
            Err(error.at(Place::File(path.to_owned())).hint("choose another path"))
        };
        let rejects = tables.sources.values().filter_map(|source| Some(("rejects", source.rejects.as_deref()?)));
        let quarantines = tables.checks.iter().filter_map(|check| Some(("quarantine", check.quarantine.as_deref()?)));
        for (what, path) in rejects.chain(quarantines) {
            let path = self.file.resolve(path);
            if real(&path).is_some_and(|path| read.contains(&path)) {
                return refuse(format!("the file of {what}"), &path);
            }
        }
        for output in &tables.outputs {
            let path = self.file.resolve(&output.path);
            let replaces = matches!(output.mode, Mode::Overwrite | Mode::OverwritePartitions);
            let Some(folder) = real(&path).filter(|_| replaces) else { continue };
            if read.iter().any(|file| file.starts_with(&folder)) {
                return refuse(format!("output {}", output.name), &path);
            }
        }
        Ok(())
    }

    /// Whether the outputs are still those of a commit. Where rows are appended they are, whatever came after it.
    fn is_there(&self, record: &Record) -> bool {
        let outputs = &self.file.tables().outputs;
        let appends = |output: &table::Output| output.mode == Mode::Append;
        let is_of_commit = |output: &table::Output| {
            let success = std::fs::read(self.file.resolve(&output.path).join("_SUCCESS")).unwrap_or_default();
            let success: Json = serde_json::from_slice(&success).unwrap_or_default();
            success.get("run").and_then(Json::as_str) == Some(record.run.as_str())
        };
        outputs.iter().any(appends) || outputs.iter().all(is_of_commit)
    }

    /// What tells this job over these inputs from others.
    fn key(&self, inputs: &[(String, Vec<InputFile>)]) -> Option<String> {
        let mut digest = Sha256::new();
        digest.update(self.file.hash());
        for (name, files) in inputs {
            digest.update(json!([name, files.len()]).to_string());
            for InputFile { path, len, changed } in files {
                if path == "-" {
                    return None;
                }
                digest.update(json!([path, len, changed.to_string()]).to_string());
            }
        }
        Some(hex(&digest.finalize()))
    }

    /// How an output is written.
    fn spec(&self, number: usize, plan: &Plan) -> Result<OutputSpec> {
        let output = &self.file.tables().outputs[number];
        let format = Format::from(output.format);
        let header = match format {
            Format::Csv | Format::Tsv => {
                Sink::new(Vec::new(), format, plan.names.clone(), &crate::memory::Budget::new(1 << 20))?.finish()?
            }
            _ => Vec::new(),
        };
        Ok(OutputSpec {
            mode: output.mode,
            partition_by: output.partition_by.clone(),
            format: output.format,
            compression: match output.compression {
                table::Compression::None => store::Compression::None,
                table::Compression::Gz => store::Compression::Gzip,
                table::Compression::Zst => store::Compression::Zstd,
                table::Compression::Lz4 => store::Compression::Lz4,
                other => {
                    let message = format!("outputs cannot be compressed as {other:?} yet");
                    return Err(Error::new(ErrorKind::Query, message.to_lowercase()).hint("write zst, gz or lz4"));
                }
            },
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
        quarantine: impl Fn(usize) -> Option<SharedWriter>,
    ) -> Result<(Pass, Vec<CheckRows>)> {
        let mut pass = Pass::new(settings)?;
        if let Some(from) = from {
            pass.resume(from);
        }
        for number in 0..self.file.tables().outputs.len() {
            let format = Format::from(self.file.tables().outputs[number].format);
            pass.add(self.output_plan(number)?, format, arguments)?;
        }
        let rows = checking.ask(&mut pass, &self.catalog, arguments, quarantine).map_err(|error| {
            let of = QueryOf::Check(error.check);
            match error.error.place() {
                Some(Place::Query { .. }) => self.file.place_error(of, error.error),
                _ => error.error,
            }
        })?;
        pass.open(arguments, has_cuts)?;
        Ok((pass, rows))
    }

    /// Says what a run would read, share and hold in memory.
    ///
    /// # Errors
    /// As [`run`](Job::run), without anything being read or written.
    pub fn explain(&self) -> Result<String> {
        let mut checking = Checking::new(&self.file.tables().checks);
        let mut arguments = self.arguments();
        let (pass, _) = self.pass(&mut checking, &mut arguments, self.settings.clone(), (false, None), |_| None)?;
        let outputs = self.file.tables().outputs.iter().map(|output| format!("output {}", output.name));
        let labels: Vec<String> = outputs.chain(checking.labels()).collect();
        Ok(pass.explain(&labels))
    }

    /// Says what a run would read and write.
    ///
    /// # Errors
    /// As [`inputs`](Job::inputs).
    pub fn dry_run(&self) -> Result<String> {
        let mut out = String::new();
        for (name, files) in self.inputs()? {
            let bytes: u64 = files.iter().map(|file| file.len).sum();
            let _ = writeln!(out, "source {name}: {} files, {bytes} bytes", files.len());
            for file in files {
                let _ = writeln!(out, "  {}  {} bytes", file.path, file.len);
            }
        }
        for output in &self.file.tables().outputs {
            let mode = match output.mode {
                Mode::Overwrite => "overwrite",
                Mode::Append => "append",
                Mode::OverwritePartitions => "overwrite_partitions",
                Mode::Create => "create",
            };
            let _ = writeln!(out, "output {}: {mode} {}", output.name, self.file.resolve(&output.path).display());
        }
        Ok(out)
    }

    /// Runs the job. `during` gets the pass and does its work, and may show its progress meanwhile.
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
        during: impl Fn(&dyn Progressing, &mut (dyn FnMut() + Send)),
    ) -> Result<Ended> {
        let (started, clock) = (Timestamp::now(), Instant::now());
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
        let found = self.inputs().and_then(|inputs| self.check_paths(&inputs).map(|()| inputs));
        let inputs = match found {
            Ok(inputs) => inputs,
            Err(error) => {
                self.log(&store, &ended, Some(&error), clock.elapsed())?;
                return Err(error);
            }
        };
        let key = self.key(&inputs);
        if key.is_none() && self.file.tables().run.checkpoint.is_some() {
            return Err(Error::new(ErrorKind::Usage, "a job that reads standard input cannot have checkpoints")
                .hint("leave `checkpoint` out of [run], or read a file"));
        }
        let saved = self.saved(&mut store, key.as_deref(), &inputs, options, &mut ended.notes)?;
        let saved = saved.map(|(run, saved)| {
            ended.run = run;
            saved
        });
        if let Some(key) = key.as_deref().filter(|_| !options.again && saved.is_none())
            && let Some(record) = store.committed(key)?
            && self.is_there(&record)
        {
            ended.sequence = Some(record.sequence);
            self.log(&store, &ended, None, clock.elapsed())?;
            return Ok(ended);
        }
        let beginning = Beginning { key, inputs, saved, history: history(&store)? };
        let result = self.run_in(&mut store, beginning, &mut ended, clock, during);
        self.log(&store, &ended, result.as_ref().err(), clock.elapsed())?;
        result.map(|()| ended)
    }

    fn run_in(
        &self,
        store: &mut Store,
        Beginning { key, inputs, saved, history }: Beginning,
        ended: &mut Ended,
        clock: Instant,
        during: impl Fn(&dyn Progressing, &mut (dyn FnMut() + Send)),
    ) -> Result<()> {
        let tables = self.file.tables();
        let saved = saved.as_ref();
        let count = tables.outputs.len().max(1);
        // What outputs hold until it is written is a part of the memory.
        let most = self.settings.memory_limit.saturating_sub(Settings::LEAST_MEMORY);
        let buffers = (self.settings.memory_limit / 8).min(64 << 20 << count.ilog2().min(3)).min(most);
        let buffer_bytes = (buffers / count).max(64 << 10);
        let specs = self.specs.iter().map(|spec| OutputSpec { buffer_bytes, ..spec.clone() }).collect();
        let mut transaction = store.begin(&ended.run, specs)?;
        let checkpoint_path = transaction.checkpoint_path();
        let mut loose = Loose::new(saved.map_or(Vec::new(), |saved| saved.files.clone()));
        let mut quarantines = BTreeMap::new();
        for (number, check) in tables.checks.iter().enumerate() {
            if let Some(path) = &check.quarantine {
                quarantines.insert(number, loose.open(&mut transaction, &self.file.resolve(path))?);
            }
        }
        let mut rejects: BTreeMap<String, Box<dyn Write + Send>> = BTreeMap::new();
        for (name, source) in &tables.sources {
            if let Some(path) = &source.rejects {
                let writer = loose.open(&mut transaction, &self.file.resolve(path))?;
                rejects.insert(name.clone(), Box::new(Lent(writer)));
            }
        }
        let settings = Settings { memory_limit: self.settings.memory_limit - buffers, ..self.settings.clone() };
        let mut checking = Checking::new(&tables.checks);
        let mut arguments = self.arguments();
        let quarantine = |check: usize| quarantines.get(&check).cloned();
        let from = saved.map(|saved| saved.pass.clone());
        let (pass, mut check_rows) = self.pass(
            &mut checking,
            &mut arguments,
            settings.clone(),
            (tables.run.checkpoint.is_some(), from),
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
        let write = |pass: &PassState| {
            let saved = Saved {
                key: key.clone().unwrap_or_default(),
                job: self.file.hash(),
                inputs: inputs.clone(),
                pass: pass.clone(),
                files: loose.positions()?,
            };
            store::write_atomically(&checkpoint_path, &CHECKPOINT.seal(&saved)?)
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
        during(&pass, &mut || {
            let (takers, rejects) = (std::mem::take(&mut takers), std::mem::take(&mut rejects));
            outcome = Some(pass.execute(takers, rejects, cuts.as_ref()));
        });
        drop(cuts);
        let outcome = outcome.ok_or_else(|| Error::new(ErrorKind::Internal, "the pass did not run"))?;
        ended.inputs = outcome.inputs;
        ended.lookups = outcome.lookups;
        ended.queries = outcome.outputs;
        ended.queries.truncate(tables.outputs.len());
        let mut outputs = Vec::new();
        let mut check_rows = Vec::new();
        let takers = match outcome.result {
            Ok(takers) => takers,
            Err(error) if error.kind() == ErrorKind::Rejected => {
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
        ended.checks.wall = clock.elapsed();
        if !ended.checks.results.is_empty() {
            let report = loose.open(&mut transaction, &self.file.state().join("report.json"))?;
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
        let payload = json!({ "key": key, "job": self.file.hash(), "history": kept });
        let record = transaction.commit(outputs, loose.close()?, payload)?;
        ended.outcome = Outcome::Committed;
        ended.sequence = Some(record.sequence);
        Ok(())
    }

    /// The checkpoint to go on from, with its run. One that is of no use is removed.
    fn saved(
        &self,
        store: &mut Store,
        key: Option<&str>,
        inputs: &[(String, Vec<InputFile>)],
        options: &RunOptions,
        notes: &mut Vec<String>,
    ) -> Result<Option<(String, Saved)>> {
        for run in store.checkpoints()? {
            let path = store.checkpoint_path(&run);
            let bytes = std::fs::read(&path).map_err(|error| {
                Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.clone())).caused_by(error)
            })?;
            let saved: Result<Saved> = CHECKPOINT.open(&bytes, &path);
            let why = match saved {
                Ok(_) if options.restart => "--restart says so".to_owned(),
                Ok(saved) if Some(saved.key.as_str()) == key => {
                    notes.push(format!(
                        "resumed run {run} from its checkpoint, after {} records",
                        crate::output::grouped(saved.pass.records())
                    ));
                    return Ok(Some((run, saved)));
                }
                Ok(saved) if saved.job != self.file.hash() => "the job or its variables are others now".to_owned(),
                Ok(saved) => changed_input(&saved.inputs, inputs),
                Err(error) => error.to_string(),
            };
            store.forget(&run)?;
            notes.push(format!("started over in place of going on from the checkpoint of run {run}: {why}"));
        }
        Ok(None)
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
        let inputs: BTreeMap<&str, Json> = ended
            .lookups
            .iter()
            .chain(&ended.inputs)
            .map(|(name, summary)| {
                (name.as_str(), json!({"records": summary.records_in, "rejected": summary.rejected}))
            })
            .collect();
        let outputs: BTreeMap<&str, u64> = ended.outputs.iter().map(|(name, _, rows)| (name.as_str(), *rows)).collect();
        store.log_run(&json!({
            "run": ended.run,
            "job": self.file.name(),
            "started": ended.checks.started.to_string(),
            "wall_s": wall.as_secs_f64(),
            "outcome": outcome,
            "error": error.map(|error| self.file.redact(&error.to_string())),
            "sequence": ended.sequence,
            "inputs": inputs,
            "outputs": outputs,
            "checks": {
                "all": ended.checks.results.len(),
                "failed": ended.checks.failed(),
                "warned": ended.checks.warned(),
            },
        }))
    }
}

/// What checks of committed runs observed, the last one at the end.
fn history(store: &Store) -> Result<Vec<Json>> {
    let last = store.last()?;
    let history = last.as_ref().and_then(|Record { payload, .. }| payload.get("history")?.as_array().cloned());
    Ok(history.unwrap_or_default())
}

/// What a run begins with.
struct Beginning {
    key: Option<String>,
    inputs: Vec<(String, Vec<InputFile>)>,
    saved: Option<Saved>,
    history: Vec<Json>,
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
