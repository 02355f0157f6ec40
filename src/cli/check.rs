//! `foldl check FILE…`

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use foldl::exec::{Arguments, OnError, Run, Settings, Summary};
use foldl::input::{Source, expand};
use foldl::output::Target;
use foldl::quality::{
    Answer, Check, Fold, Kind, MOST_SAMPLES, Questions, Relationship, Report, Sample, distinct_scalars, literal,
};
use foldl::value::Timestamp;
use foldl::{Error, ErrorKind, Record, Result};

use super::args::{CheckArgs, OnErrorArg};
use super::checks::checks;
use super::query::{check_outputs, create, read_settings};
use super::report::Stderr;
use super::{progress, stdin_is_terminal};

/// The most aggregates that are asked by one query.
const MOST_SCALARS: usize = 100;

pub(super) fn run(args: &CheckArgs, stderr: &Stderr) -> Result<()> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let checks = checks(args)?;
    let questions: Vec<Questions> = checks.iter().map(|check| check.questions("input", literal)).collect();
    let sources = sources(args, &checks, &questions)?;
    let outputs = [
        ("--report", &args.report),
        ("--junit", &args.junit),
        ("--quarantine", &args.quarantine),
        ("--rejects", &args.errors.rejects),
    ];
    let names: Vec<String> = sources.iter().map(name).collect();
    check_outputs(&outputs, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut quarantine = args.quarantine.as_deref().map(|path| Quarantine::new(path, &checks)).transpose()?;
    let inputs = Inputs {
        sources,
        settings: read_settings(&args.format_in, &args.errors, &args.limits),
        progress: progress::wanted(args.progress, args.quiet),
    };
    let rejects = match &args.errors.rejects {
        Some(path) => Some(Box::new(create(path)?) as Box<dyn Write + Send>),
        None => None,
    };
    let answered = answer(&questions, &checks, &inputs, rejects, quarantine.as_mut());
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
    if let Some(quarantine) = quarantine {
        quarantine.target.commit()?;
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

/// The inputs, which are read once for all aggregates and again for what is none: standard input can only be read once.
fn sources(args: &CheckArgs, checks: &[Check], questions: &[Questions]) -> Result<Vec<Source>> {
    let sources = match args.files.as_slice() {
        [] if stdin_is_terminal() => {
            return Err(Error::new(ErrorKind::Usage, "no input: give a FILE, or pipe records in")
                .hint("foldl check orders.jsonl --not-null userId"));
        }
        [] => vec![Source::Stdin],
        files => expand(files)?,
    };
    if sources.contains(&Source::Stdin) {
        let again =
            checks.iter().zip(questions).find(|(_, asked)| !asked.only_scalars()).map(|(check, _)| check.name());
        let again = again.or_else(|| args.quarantine.as_ref().map(|_| "--quarantine".to_owned()));
        let again = again.or_else(|| (sources.len() > 1).then(|| "more than one input".to_owned()));
        let again =
            again.or_else(|| (distinct_scalars(questions).0.len() > MOST_SCALARS).then(|| "so many checks".to_owned()));
        if let Some(again) = again {
            let message = format!("standard input can be read once, and {again} takes more than that");
            return Err(Error::new(ErrorKind::Usage, message).hint("write it to a file first, and check that"));
        }
    }
    Ok(sources)
}

fn name(source: &Source) -> String {
    match source {
        Source::Stdin => "-".to_owned(),
        Source::File(path) => path.to_string_lossy().into_owned(),
    }
}

/// Writes a report. `-` is standard output.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut target = if path == Path::new("-") { Target::stdout()? } else { Target::file(path)? };
    target.write_all(bytes).map_err(foldl::output::write_error)?;
    target.commit()
}

/// The file of failing records.
struct Quarantine {
    target: Target,
    /// The names of the checks, as JSON.
    names: Vec<String>,
}

impl Quarantine {
    fn new(path: &Path, checks: &[Check]) -> Result<Quarantine> {
        let names = checks.iter().map(|check| serde_json::Value::from(check.name()).to_string()).collect();
        Ok(Quarantine { target: Target::file(path)?, names })
    }

    /// Takes a row with `_file`, `_line`, `_offset` and `record`.
    fn take(&mut self, check: usize, row: &Record<'_>) -> io::Result<()> {
        let raw = |name: &str| row.raw(name).unwrap_or("null");
        let file = if row.str("_file") == Some("-") { "null" } else { raw("_file") };
        let (line, offset, record) = (raw("_line"), raw("_offset"), raw("record"));
        let name = &self.names[check];
        let row =
            format!("{{\"file\":{file},\"line\":{line},\"offset\":{offset},\"check\":{name},\"record\":{record}}}\n");
        self.target.write_all(row.as_bytes())
    }
}

/// What is checked, and how it is read.
struct Inputs {
    sources: Vec<Source>,
    settings: Settings,
    progress: bool,
}

/// The answers to what checks asked, in their order, and what happened when all records were read.
struct Answered {
    result: Result<Vec<Answer>>,
    summary: Summary,
    notes: Vec<String>,
}

/// Asks what checks ask: all aggregates by one query, in which rejected lines are counted, and the rest by queries of
/// their own, over the same records.
fn answer(
    questions: &[Questions],
    checks: &[Check],
    inputs: &Inputs,
    rejects: Option<Box<dyn Write + Send>>,
    quarantine: Option<&mut Quarantine>,
) -> Answered {
    let mut answered = Answered { result: Ok(Vec::new()), summary: Summary::default(), notes: Vec::new() };
    let first = answer_scalars(questions, inputs, rejects, &mut answered.summary);
    answered.result = first.and_then(|mut answers| {
        answer_rest(questions, checks, inputs, quarantine, &mut answers, &mut answered)?;
        Ok(answers)
    });
    answered
}

fn answer_scalars(
    questions: &[Questions],
    inputs: &Inputs,
    mut rejects: Option<Box<dyn Write + Send>>,
    summary: &mut Summary,
) -> Result<Vec<Answer>> {
    let (distinct, places) = distinct_scalars(questions);
    let from_stdin = inputs.sources.contains(&Source::Stdin);
    let samples: Vec<Option<String>> = questions.iter().map(|asked| asked.samples().filter(|_| from_stdin)).collect();
    let mut all: Vec<&str> = distinct;
    let scalars = all.len();
    all.extend(samples.iter().flatten().map(String::as_str));
    let mut results: Vec<String> = Vec::with_capacity(all.len());
    for (number, some) in all.chunks(if from_stdin { all.len() } else { MOST_SCALARS }).enumerate() {
        let list: Vec<String> =
            some.iter().enumerate().map(|(place, scalar)| format!("{scalar} as \"a{place}\"")).collect();
        let query = format!("select {} from input", list.join(", "));
        let mut row = None;
        let (result, read) = inputs.pass(&query, number == 0, rejects.take(), |record| {
            row = Some(
                some.iter()
                    .enumerate()
                    .map(|(place, _)| record.raw(&format!("a{place}")).unwrap_or("null").to_owned())
                    .collect::<Vec<_>>(),
            );
            Ok(())
        });
        match number {
            0 => *summary = read,
            // The same records were counted before.
            _ => summary.faults.extend(read.faults),
        }
        result?;
        results.extend(row.unwrap_or_else(|| vec!["null".to_owned(); some.len()]));
    }
    let mut arrays = results.split_off(scalars).into_iter();
    Ok(places
        .iter()
        .zip(&samples)
        .map(|(places, sample)| Answer {
            scalars: places.iter().map(|place| results[*place].clone()).collect(),
            samples: sample.as_ref().and_then(|_| arrays.next()).map_or(Vec::new(), |array| Sample::of_array(&array)),
            ..Answer::default()
        })
        .collect())
}

fn answer_rest(
    questions: &[Questions],
    checks: &[Check],
    inputs: &Inputs,
    mut quarantine: Option<&mut Quarantine>,
    answers: &mut [Answer],
    answered: &mut Answered,
) -> Result<()> {
    for (number, (asked, answer)) in questions.iter().zip(answers).enumerate() {
        if let Some(query) = &asked.count {
            let mut count = None;
            let (result, read) = inputs.pass(query, false, None, |row| {
                count = row.raw("n").and_then(|n| n.parse().ok());
                Ok(())
            });
            result?;
            answer.count = Some(count.unwrap_or(0));
            let others = read.rejected.saturating_sub(answered.summary.rejected);
            if let (Kind::Relationship(Relationship { source, .. }), 1..) = (&checks[number].kind, others) {
                let lines = if others == 1 { "line" } else { "lines" };
                answered.notes.push(format!("{}: skipped {others} {lines} of {source}", checks[number].name()));
            }
        }
        if let (Some(query), Some(mut fold)) = (&asked.rows, Fold::of(&checks[number])) {
            let samples = &mut answer.samples;
            let (result, _) = inputs.pass(query, false, None, |row| {
                let Some(note) = fold.add(row) else { return Ok(()) };
                if samples.len() < MOST_SAMPLES {
                    samples.push(Sample { note: Some(note), ..Sample::of_row(row) });
                }
                quarantine.as_mut().map_or(Ok(()), |quarantine| quarantine.take(number, row))
            });
            result?;
            answer.fold = Some(fold);
        }
        let failing = answer.count.or_else(|| asked.failing.as_ref().and(answer.scalars.get(1)?.parse().ok()));
        let (Some(query), Some(1..)) = (&asked.records, failing) else { continue };
        if !answer.samples.is_empty() {
            continue;
        }
        let samples = &mut answer.samples;
        let query = match quarantine {
            Some(_) => query.clone(),
            None => format!("{query} limit {MOST_SAMPLES}"),
        };
        let (result, _) = inputs.pass(&query, false, None, |row| {
            if samples.len() < MOST_SAMPLES {
                samples.push(Sample::of_row(row));
            }
            quarantine.as_mut().map_or(Ok(()), |quarantine| quarantine.take(number, row))
        });
        result?;
    }
    Ok(())
}

impl Inputs {
    /// Reads all inputs for one query, and hands its rows on. In the pass that `counts` rejected lines are what the
    /// settings say they are; in the others they have been counted.
    fn pass(
        &self,
        query: &str,
        counts: bool,
        rejects: Option<Box<dyn Write + Send>>,
        take: impl FnMut(&Record<'_>) -> io::Result<()> + Send,
    ) -> (Result<()>, Summary) {
        let mut settings = self.settings.clone();
        if !counts {
            (settings.on_error, settings.max_errors, settings.strict) = (OnError::Skip, None, false);
        }
        let mut arguments = Arguments::sources(self.sources.clone());
        let run =
            foldl::sql::plan(query).and_then(|plan| Run::prepare(plan, &mut arguments, settings, rejects.is_some()));
        let run = match run {
            Ok(run) => run,
            Err(error) => return (Err(error), Summary::default()),
        };
        let rows = Lines { begun: Vec::new(), take };
        let line = progress::Line::default();
        let outcome = progress::during(&run, self.progress, &line, || run.execute(rows, rejects));
        (outcome.result.map(drop), outcome.summary)
    }
}

/// Takes rows as JSON Lines, and hands them on one by one.
struct Lines<F> {
    /// The start of a row whose end was not written yet.
    begun: Vec<u8>,
    take: F,
}

impl<F: FnMut(&Record<'_>) -> io::Result<()>> Write for Lines<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.begun.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        self.begun.extend_from_slice(&bytes[..end]);
        (self.take)(&Record::of_row(&self.begun))?;
        self.begun.clear();
        Ok(end + 1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
