//! `foldl check FILE…`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use foldl::error::Place;
use foldl::exec::{Arguments, FaultSummary, NamedSource, OnError, Pass, Settings, Summary};
use foldl::input::{Source, expand};
use foldl::job::checking::{Checking, SharedWriter};
use foldl::output::Target;
use foldl::quality::{Answer, Check, Report};
use foldl::sql::Catalog;
use foldl::value::Timestamp;
use foldl::{Error, ErrorKind, Result};

use super::args::{CheckArgs, OnErrorArg};
use super::checks::checks;
use super::query::{check_outputs, create, read_limits, read_settings};
use super::report::Stderr;
use super::{progress, stdin_is_terminal};

pub(super) fn run(args: &CheckArgs, stderr: &Stderr) -> Result<()> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let checks = checks(args)?;
    let sources = sources(args)?;
    let outputs = [
        ("--report", &args.report),
        ("--junit", &args.junit),
        ("--quarantine", &args.quarantine),
        ("--rejects", &args.errors.rejects),
    ];
    let names: Vec<String> = sources.iter().map(name).collect();
    check_outputs(&outputs, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let quarantine = args.quarantine.as_deref().map(Target::file).transpose()?;
    // The records of one check after those of another, however these were found.
    let held = match &quarantine {
        Some(_) => checks.iter().map(|_| held(args)).collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    let answered = answer(args, &checks, names, &held)?;
    let failed_line = matches!(args.errors.on_error, OnErrorArg::Fail) && answered.summary.rejected > 0;
    if !args.quiet && !failed_line {
        let guessed = args.format_in.input_format.is_none();
        stderr.summary(&answered.summary, "", args.errors.rejects.is_some(), guessed);
        answered.notes.iter().for_each(|note| stderr.warn(note));
    }
    let answers = answered.result?;
    let results = checks.iter().zip(answers).map(|(check, answer)| check.result(answer, &[], started));
    let results = results.collect::<Result<Vec<_>>>()?;
    let report = Report { name: "foldl check".to_owned(), started, wall: clock.elapsed(), results };
    if !args.quiet {
        stderr.write(&report.table(stderr.color()));
    }
    if let Some(mut target) = quarantine {
        for file in held {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let copied = file.rewind().and_then(|()| io::copy(&mut *file, &mut target));
            copied.map_err(foldl::output::write_error)?;
        }
        target.commit()?;
    }
    if let Some(path) = &args.report {
        write(path, &report.json())?;
    }
    if let Some(path) = &args.junit {
        write(path, report.junit().as_bytes())?;
    }
    if report.passed() {
        return Ok(());
    }
    let failed: Vec<&str> =
        report.results.iter().filter(|result| result.fails()).map(|result| result.name.as_str()).collect();
    let all = report.results.len();
    let of = if all == 1 { "the check".to_owned() } else { format!("{} of {all} checks", failed.len()) };
    Err(Error::new(ErrorKind::Check, format!("{of} failed: {}", failed.join(", "))))
}

/// A file for the failing records of one check, until those of the checks before it are there.
fn held(args: &CheckArgs) -> Result<Arc<Mutex<File>>> {
    let dir = read_limits(&args.limits).temp_dir;
    let file = tempfile::tempfile_in(&dir).map_err(|error| {
        Error::new(ErrorKind::Output, "cannot make a temporary file").at(Place::File(dir)).caused_by(error)
    })?;
    Ok(Arc::new(Mutex::new(file)))
}

/// The inputs.
fn sources(args: &CheckArgs) -> Result<Vec<Source>> {
    match args.files.as_slice() {
        [] if stdin_is_terminal() => Err(Error::new(ErrorKind::Usage, "no input: give a FILE, or pipe records in")
            .hint("foldl check orders.jsonl --not-null userId")),
        [] => Ok(vec![Source::Stdin]),
        files => expand(files),
    }
}

fn name(source: &Source) -> String {
    match source {
        Source::Stdin => "-".to_owned(),
        Source::File(path) => path.to_string_lossy().into_owned(),
    }
}

/// Sees whether a report can be written.
pub(super) fn open(path: &Path) -> Result<()> {
    if path == Path::new("-") { Ok(()) } else { Target::file(path).map(drop) }
}

/// Writes a report. `-` is standard output.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut target = if path == Path::new("-") { Target::stdout()? } else { Target::file(path)? };
    target.write_all(bytes).map_err(foldl::output::write_error)?;
    target.commit()
}

/// The answers to what checks asked, in their order, and what happened when all records were read.
struct Answered {
    result: Result<Vec<Answer>>,
    summary: Summary,
    notes: Vec<String>,
}

/// The name that stands for the inputs in what checks ask.
const INPUT: &str = "input";

/// Asks what checks ask, in one pass over the inputs. Only for the failing records of checks that are about several records
/// the inputs are read again.
fn answer(args: &CheckArgs, checks: &[Check], files: Vec<String>, held: &[Arc<Mutex<File>>]) -> Result<Answered> {
    let settings = read_settings(&args.format_in, &args.errors, &args.limits);
    let is_stdin = files.iter().any(|file| file == "-");
    let input = NamedSource {
        files,
        input_format: settings.input_format,
        headless: !settings.header,
        on_error: settings.on_error,
        max_errors: settings.max_errors,
        ..NamedSource::default()
    };
    let mut catalog = Catalog::default();
    catalog.add_source(INPUT);
    let named = |input: NamedSource| Arguments::named([(INPUT.to_owned(), input)].into());
    let mut arguments = named(input.clone());
    // What is said of a source is not said of other files.
    let settings = Settings { input_format: None, header: true, on_error: OnError::Skip, max_errors: None, ..settings };
    let mut pass = Pass::new(settings.clone())?;
    let mut checking = Checking::of_files(checks);
    let writer = |check: usize| held.get(check).map(|file| Arc::clone(file) as SharedWriter);
    let rows = checking.ask(&mut pass, &catalog, &mut arguments, writer)?;
    pass.open(&mut arguments, false)?;
    let mut rejects: BTreeMap<String, Box<dyn Write + Send>> = BTreeMap::new();
    if let Some(path) = &args.errors.rejects {
        rejects.insert(INPUT.to_owned(), Box::new(create(path)?));
    }
    let line = progress::Line::default();
    let show = progress::wanted(args.progress, args.quiet);
    let outcome = progress::during(&pass, show, &line, || pass.execute(rows, rejects, None));
    let mut answered = Answered { result: Ok(Vec::new()), summary: Summary::default(), notes: Vec::new() };
    if let Some((_, summary)) = outcome.inputs.into_iter().find(|(name, _)| name == INPUT) {
        answered.summary = summary;
    }
    for (output, summary) in outcome.outputs.into_iter().enumerate() {
        if let (Some((check, source)), 1..) = (checking.relation_of(output), summary.rejected) {
            let lines = if summary.rejected == 1 { "line" } else { "lines" };
            answered.notes.push(format!("{}: skipped {} {lines} of {source}", check.name(), summary.rejected));
        }
        // What several checks meet is told once.
        for fault in summary.faults {
            let is_known = |known: &FaultSummary| (&known.label, known.fault) == (&fault.label, fault.fault);
            if !answered.summary.faults.iter().any(is_known) {
                answered.summary.faults.push(fault);
            }
        }
        for path in summary.missing_paths {
            if answered.summary.missing_paths.iter().all(|known| known.path != path.path) {
                answered.summary.missing_paths.push(path);
            }
        }
    }
    let rows = match outcome.result {
        Ok(rows) => rows,
        Err(error) => {
            answered.result = Err(error);
            return Ok(answered);
        }
    };
    let mut answers = checking.answers(rows);
    for check in checking.open_questions(&answers) {
        if is_stdin {
            answered.notes.push(format!(
                "{}: standard input can be read once, so that the failing records are not shown",
                checks[check].name()
            ));
            continue;
        }
        let mut pass = Pass::new(settings.clone())?;
        let mut arguments = named(NamedSource { on_error: OnError::Skip, max_errors: None, ..input.clone() });
        let rows = checking.ask_records(check, &mut pass, &catalog, &mut arguments, writer(check))?;
        pass.open(&mut arguments, false)?;
        let outcome = progress::during(&pass, show, &line, || pass.execute(vec![rows], BTreeMap::new(), None));
        if let Some(rows) = outcome.result?.pop() {
            answers[check].samples = rows.into_samples();
        }
    }
    answered.result = Ok(answers);
    Ok(answered)
}
