//! Queries within a query: runs of their own, whose rows go through a pipe to the run around them, or are held.

use std::collections::BTreeMap;
use std::io::{PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::collect::Rejects;
use super::side::{Side, SideWriter};
use super::{MaxErrors, OnError, Outcome, Rule, Run, Schema, Settings, Shared, Summary, allotment, prepare};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, InputFormat, InputOptions, Source as File, expand, is_compressed_name, within};
use crate::output::Format;
use crate::plan::{Plan, Source, Step};

/// What `input` stands for in a query.
pub struct Arguments {
    given: Given,
    /// What names stand for, beside `input`.
    named: BTreeMap<String, NamedSource>,
    /// Where relative names of files begin that stand in a query; the current directory if it is empty.
    folder: PathBuf,
    /// Standard input is read by a query already.
    stdin_is_taken: bool,
}

/// The files that a name in a query stands for, and how they are read.
#[derive(Clone, Debug, Default)]
pub struct NamedSource {
    /// Names of files and patterns.
    pub files: Vec<String>,
    /// Their format; `None` if their names tell.
    pub input_format: Option<InputFormat>,
    /// Whether the first row of CSV and TSV does not name the columns.
    pub headless: bool,
    /// What to do with a line that is no valid record.
    pub on_error: OnError,
    /// How many rejected lines end the run; `None` is no limit.
    pub max_errors: Option<MaxErrors>,
    /// What the records have to be; others are rejected.
    pub rules: Vec<Rule>,
}

impl NamedSource {
    /// The settings for reading it.
    pub(super) fn settings(&self, settings: &Settings) -> Settings {
        Settings {
            input_format: self.input_format,
            header: !self.headless,
            on_error: self.on_error,
            max_errors: self.max_errors,
            ..settings.clone()
        }
    }
}

enum Given {
    /// Files and streams, one after another. None at all: the query must not ask for `input`.
    Sources(Vec<File>),
    /// A reader of the given name; `None` when it has been taken.
    Reader(Option<(Box<dyn Read + Send>, String)>),
}

impl Arguments {
    /// Files and streams, one after another. None at all: the query must not ask for `input`.
    pub fn sources(sources: Vec<File>) -> Arguments {
        Arguments {
            given: Given::Sources(sources),
            named: BTreeMap::new(),
            folder: PathBuf::new(),
            stdin_is_taken: false,
        }
    }

    /// A reader as the one input, which `name` stands for in messages.
    pub fn reader(reader: impl Read + Send + 'static, name: &str) -> Arguments {
        let reader: Box<dyn Read + Send> = Box::new(reader);
        let given = Given::Reader(Some((reader, name.to_owned())));
        Arguments { given, ..Arguments::sources(Vec::new()) }
    }

    /// What names stand for. `input` stands for nothing.
    pub fn named(named: BTreeMap<String, NamedSource>) -> Arguments {
        Arguments { named, ..Arguments::sources(Vec::new()) }
    }

    /// Lets relative names of files that stand in a query begin at a folder.
    pub fn in_folder(self, folder: &Path) -> Arguments {
        Arguments { folder: folder.to_owned(), ..self }
    }

    /// What a name stands for.
    pub(super) fn source_named(&self, name: &str) -> Result<&NamedSource> {
        let unknown = || Error::new(ErrorKind::Query, format!("there is no source `{name}`"));
        self.named.get(name).ok_or_else(unknown)
    }

    /// Names of files and patterns that stand in a query, from the current directory.
    pub(super) fn within(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| within(&self.folder, name)).collect()
    }

    /// The bytes of the files of a source, if it is files alone that are not compressed.
    fn size(&self, source: &Source) -> Option<u64> {
        let files = match (source, &self.given) {
            (Source::Input, Given::Sources(sources)) => sources.clone(),
            (Source::Files(names), _) => expand(&self.within(names)).ok()?,
            (Source::Named(name), _) => expand(&self.source_named(name).ok()?.files).ok()?,
            _ => return None,
        };
        let size = |file: File| match file {
            File::File(path) if !is_compressed_name(&path) => {
                std::fs::metadata(path).ok().filter(|data| data.is_file()).map(|data| data.len())
            }
            _ => None,
        };
        files.into_iter().map(size).sum()
    }

    /// Opens files and streams, of which standard input must be read but once.
    pub(super) fn open_sources(&mut self, sources: Vec<File>, options: InputOptions) -> Result<Input> {
        if sources.contains(&File::Stdin) && std::mem::replace(&mut self.stdin_is_taken, true) {
            return Err(read_twice());
        }
        Input::open(sources, options)
    }

    fn open(&mut self, options: InputOptions) -> Result<Input> {
        match &mut self.given {
            Given::Sources(sources) if sources.is_empty() => {
                Err(Error::new(ErrorKind::Usage, "the query reads `input`, and no input is given"))
            }
            Given::Sources(sources) => {
                let sources = sources.clone();
                self.open_sources(sources, options)
            }
            Given::Reader(reader) => match reader.take() {
                Some((reader, name)) => Input::from_reader(reader, name, options),
                None => Err(read_twice()),
            },
        }
    }
}

fn read_twice() -> Error {
    Error::new(ErrorKind::Usage, "a stream can be read only once, and the query reads it twice")
        .hint("save it to a file first")
}

/// The queries whose rows are the input of a run.
pub(super) struct Feed {
    runs: Vec<Run>,
    /// The end of the pipe that they write to, until they begin.
    writer: Mutex<Option<PipeWriter>>,
}

/// How the queries of a feed ended.
pub(super) struct Fed {
    pub(super) result: Result<()>,
    pub(super) summary: Summary,
}

impl Feed {
    /// Runs the queries one after another.
    pub(super) fn run(&self, rejects: Option<&Rejects>) -> Fed {
        let mut summary = Summary::default();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut writer) = writer else { return Fed { result: Ok(()), summary } };
        for run in &self.runs {
            let outcome = run.execute_within(&mut writer, None, rejects);
            summary.add(outcome.summary);
            if let Err(error) = outcome.result {
                return Fed { result: Err(error), summary };
            }
        }
        Fed { result: Ok(()), summary }
    }

    /// The queries.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(super) fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.runs.iter_mut()
    }

    pub(super) fn cancel(&self) {
        self.runs.iter().for_each(Run::cancel);
    }
}

/// What happened in the runs within a run.
#[derive(Default)]
pub(super) struct Within {
    pub(super) feed: Option<Summary>,
    sides: Vec<Summary>,
}

impl Within {
    /// What happened in the sides of joins, with what these read.
    pub(super) fn lookups(&self, run: &Run) -> Vec<(String, Summary)> {
        let name = |side: &Run| side.named.clone().unwrap_or_else(|| side.inputs().join(", "));
        run.sides.iter().flatten().map(name).zip(self.sides.iter().cloned()).collect()
    }

    /// Adds this to the summary of the run around them. The rows that it was fed are no records of an input: in their
    /// place count the records that they were made of.
    pub(super) fn add_to(self, summary: &mut Summary) {
        if let Some(mut feed) = self.feed {
            feed.rows_out = summary.rows_out;
            feed.faults.append(&mut summary.faults);
            feed.type_changes.append(&mut summary.type_changes);
            feed.missing_paths.append(&mut summary.missing_paths);
            *summary = feed;
        }
        let rows = summary.rows_out;
        self.sides.into_iter().for_each(|side| summary.add(side));
        summary.rows_out = rows;
    }
}

impl Run {
    /// A run within another, or the outermost one.
    pub(super) fn nested(
        mut plan: Plan,
        arguments: &mut Arguments,
        settings: Settings,
        rejects: bool,
        shared: &Shared,
    ) -> Result<Run> {
        // Where what is told first depends on what is read first, the order stays that of the query.
        let tells_first =
            rejects || settings.strict || settings.on_error == OnError::Fail || settings.max_errors.is_some();
        if !tells_first
            && let Some((from, side)) = plan.exchangeable()
            && let (Some(from), Some(side)) = (arguments.size(from), arguments.size(side))
            && from < side / 2
        {
            plan.exchange();
        }
        let max_errors = settings.max_errors.filter(|most| matches!(most, MaxErrors::Count(_)));
        let within = Settings { format: Format::Jsonl, line_buffered: false, max_errors, ..settings.clone() };
        let source = std::mem::replace(&mut plan.source, Source::Input);
        let mut settings = settings;
        match source {
            Source::Input => {}
            // The names of files that stand in the query tell of what kind they are.
            Source::Files(_) => settings.input_format = None,
            Source::Named(ref name) => settings = arguments.source_named(name)?.settings(&settings),
            Source::Queries { .. } => {
                // The rows of a query may be longer and nest more deeply than its input.
                (settings.max_line, settings.max_depth) = (Settings::MAX_LINE, u32::MAX);
                settings.input_format = Some(InputFormat::Jsonl);
            }
        }
        let (options, ordered) = prepare(&mut plan, &settings, rejects)?;
        let (named, schema) = match &source {
            Source::Named(name) => (Some(name.clone()), Schema::new(&arguments.source_named(name)?.rules)?),
            _ => (None, None),
        };
        let mut feed = None;
        let input = match source {
            Source::Input => arguments.open(options)?,
            Source::Files(names) => arguments.open_sources(expand(&arguments.within(&names))?, options)?,
            Source::Named(name) => {
                let files = expand(&arguments.source_named(&name)?.files)?;
                arguments.open_sources(files, options)?
            }
            Source::Queries { name, queries, .. } => {
                let runs =
                    queries.into_iter().map(|query| Run::nested(query, arguments, within.clone(), rejects, shared));
                let runs = runs.collect::<Result<Vec<Run>>>()?;
                let (reader, writer) = std::io::pipe()
                    .map_err(|err| Error::new(ErrorKind::Resource, "no pipe can be made").caused_by(err))?;
                feed = Some(Feed { runs, writer: Mutex::new(Some(writer)) });
                // It is never compressed.
                Input::from_reader(reader, name, InputOptions { max_window: 0, ..options })?
            }
        };
        let sides = open_sides(&mut plan, arguments, &within, rejects, shared)?;
        let mut run = Run::new(plan, input, settings, ordered, shared.clone());
        (run.feed, run.sides, run.named, run.schema) = (feed, sides, named, schema);
        Ok(run)
    }

    /// A run that takes the records of another one's input, or its rows. It reads nothing itself but the sides of joins.
    pub(super) fn following(
        mut plan: Plan,
        arguments: &mut Arguments,
        settings: Settings,
        shared: &Shared,
    ) -> Result<Run> {
        let (options, ordered) = prepare(&mut plan, &settings, false)?;
        let within = Settings { format: Format::Jsonl, line_buffered: false, ..settings.clone() };
        let sides = open_sides(&mut plan, arguments, &within, true, shared)?;
        let mut run = Run::new(plan, Input::open(Vec::new(), options)?, settings, ordered, shared.clone());
        run.sides = sides;
        Ok(run)
    }

    /// The runs within this one.
    pub(super) fn within(&self) -> impl Iterator<Item = &Run> {
        self.feed.iter().flat_map(Feed::runs).chain(self.sides.iter().flatten())
    }

    /// Runs the queries of the sides of joins and keeps their rows: in memory those that fit.
    pub(super) fn keep_sides(&self, rejects: Option<&Rejects>, within: &mut Within) -> Result<Vec<Option<Side>>> {
        let mut sides = Vec::new();
        let budget = allotment::sides(&self.shared.budget, self.sharers, self.input.stream_memory());
        for (number, (step, side)) in self.plan.steps.iter().zip(&self.sides).enumerate() {
            sides.push(match (step, side) {
                (Step::Join(join), Some(side)) => {
                    let before = self.plan.columns_before(number);
                    let sharers = self.sides[number..].iter().flatten().count();
                    let mut writer = SideWriter::new(join, before, &budget, sharers, &self.shared.space);
                    let Outcome { result, summary } = side.execute_within(&mut writer, None, rejects).map(drop);
                    within.sides.push(summary);
                    match writer.take_error() {
                        Some(error) => return Err(error),
                        None => result?,
                    }
                    Some(writer.finish()?)
                }
                _ => None,
            });
        }
        // What is left is for the ranges of those that did not fit.
        let on_disk = sides.iter().flatten().filter(|side: &&Side| side.is_on_disk()).count();
        let range = allotment::range(&budget, on_disk);
        for (step, side) in self.plan.steps.iter().zip(&mut sides) {
            if let (Step::Join(join), Some(side)) = (step, side) {
                side.begin(join, budget.part(range))?;
            }
        }
        Ok(sides)
    }
}

/// Opens the inputs of the sides of all joins.
fn open_sides(
    plan: &mut Plan,
    arguments: &mut Arguments,
    settings: &Settings,
    rejects: bool,
    shared: &Shared,
) -> Result<Vec<Option<Run>>> {
    let side = |step: &mut Step| match step {
        Step::Unnest(_) => Ok(None),
        Step::Join(join) => {
            let side = std::mem::replace(&mut join.side, Plan::of(Source::Input));
            Run::nested(side, arguments, settings.clone(), rejects, shared).map(Some)
        }
    };
    plan.steps.iter_mut().map(side).collect()
}

impl<W> Outcome<W> {
    fn map<V>(self, map: impl FnOnce(W) -> V) -> Outcome<V> {
        Outcome { result: self.result.map(map), summary: self.summary }
    }
}
