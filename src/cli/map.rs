//! `foldl map [FILE]... -- COMMAND [ARG]...`

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use foldl::error::Place;
use foldl::exec::{Arguments, OnError, Settings};
use foldl::input::{Source, expand};
use foldl::map::{Checkpoint, KeepAlive, Map, MapOutcome, Options, Tell};
use foldl::output::{Compression, Target, printable};
use foldl::{Error, ErrorKind, Result};

use super::args::{ExpectLines, MapArgs, OnBatchError};
use super::progress::Cleared;
use super::query::{check_outputs, create, read_limits, set_aside};
use super::report::Stderr;
use super::{progress, signals, stats, stdin_is_terminal};

pub(super) fn run(args: &MapArgs, stderr: &Stderr) -> Result<()> {
    let text = query(args);
    let plan = foldl::sql::plan(&text)?;
    if !args.quiet {
        plan.notes.iter().for_each(|note| stderr.note(note));
    }
    signals::keep_exit_statuses().map_err(|error| {
        Error::new(ErrorKind::Resource, "cannot wait for children, whose end this process was started to ignore")
            .caused_by(error)
    })?;
    let mut arguments = Arguments::sources(sources(args)?);
    let mut settings = settings(args);
    set_aside(&mut settings, args.output.as_deref());
    let map = Map::prepare(plan, &mut arguments, settings, options(args), args.rejects.is_some())?;
    let outputs = [
        ("-o", &args.output),
        ("--rejects", &args.rejects),
        ("--checkpoint", &args.checkpoint),
        ("--stats-json", &args.stats_json),
    ];
    let others: Vec<_> = match (&args.checkpoint, &args.output) {
        (Some(path), Some(output)) => {
            Checkpoint::others(path, output, args.rejects.as_deref()).into_iter().map(Some).collect()
        }
        _ => Vec::new(),
    };
    let outputs: Vec<_> = outputs.into_iter().chain(others.iter().map(|other| ("--checkpoint", other))).collect();
    check_outputs(&outputs, &map.run().inputs())?;
    if let (Some(_), Some(output)) = (&args.checkpoint, &args.output)
        && Compression::of_path(output) != Compression::None
    {
        let error =
            Error::new(ErrorKind::Usage, "an output is not compressed where a checkpoint tells how far it is written");
        return Err(error.at(Place::File(output.clone())).hint("compress the file when all is done"));
    }
    let line = progress::Line::default();
    let tell = tell(&line);
    let show = progress::wanted(args.progress, args.quiet);
    match (&args.checkpoint, &args.output) {
        (Some(path), Some(output)) => {
            let Some(checkpoint) = Checkpoint::open(path, output, args.rejects.as_deref())? else {
                stderr.warn("all was done already, and has got its name now");
                return Ok(());
            };
            if let (Some(batches), false) = (checkpoint.resumes(), args.quiet) {
                stderr.warn(&format!("going on after batch {batches}, as the checkpoint tells"));
            }
            let (file, rejects) = checkpoint.files()?;
            let rejects = rejects.map(|rejects| Box::new(rejects) as Box<dyn Write + Send>);
            let outcome = progress::during(map.run(), show, &line, || {
                map.execute(Cleared::new(file, line.clone()), rejects, Some(&checkpoint), tell)
            });
            signals::end_if_received();
            let reported = report(args, &text, &outcome, stderr);
            outcome.result.and_then(|_| checkpoint.complete(outcome.done)).and(reported)
        }
        _ => {
            let rejects = match &args.rejects {
                Some(path) => Some(Box::new(create(path)?) as Box<dyn Write + Send>),
                None => None,
            };
            let target = args.output.as_deref().map_or_else(Target::stdout, Target::file)?;
            let outcome = progress::during(map.run(), show, &line, || {
                map.execute(Cleared::new(target, line.clone()), rejects, None, tell)
            });
            signals::end_if_received();
            let reported = report(args, &text, &outcome, stderr);
            outcome.result.and_then(|target| target.into_inner().commit()).and(reported)
        }
    }
}

/// The query whose rows the command gets.
fn query(args: &MapArgs) -> String {
    let select = args.select.as_deref().unwrap_or("*");
    match &args.condition {
        None => format!("select {select}"),
        Some(condition) => format!("select {select} where {condition}"),
    }
}

fn sources(args: &MapArgs) -> Result<Vec<Source>> {
    match &args.files[..] {
        [] if stdin_is_terminal() => Err(Error::new(ErrorKind::Usage, "no input: give a FILE, or pipe records in")
            .hint("foldl map orders.jsonl -- cat; `-` reads from the terminal")),
        [] => Ok(vec![Source::Stdin]),
        files => expand(files),
    }
}

fn settings(args: &MapArgs) -> Settings {
    Settings {
        max_errors: args.max_errors,
        input_format: args.format_in.input_format,
        header: !args.format_in.no_header,
        ..read_limits(&args.limits)
    }
}

fn options(args: &MapArgs) -> Options {
    let default = if args.batch_bytes.is_some() { None } else { Some(10_000) };
    let keep_alive = match &args.delimiter {
        Some(line) => KeepAlive::Delimiter(line.as_bytes().to_vec()),
        None => KeepAlive::Lines,
    };
    Options {
        command: args.command.clone(),
        batch_records: args.batch.or(default),
        batch_bytes: args.batch_bytes,
        batch_time: args.batch_time,
        concurrency: args.concurrency.unwrap_or_else(|| Settings::default().threads),
        ordered: !args.unordered,
        keep_alive: args.keep_alive.then_some(keep_alive),
        json: !args.raw,
        same_lines: args.expect_lines == ExpectLines::Same,
        most_answer: args.max_answer as u64,
        retries: args.retries,
        timeout: args.timeout,
        on_failure: match args.on_error {
            OnBatchError::Fail => OnError::Fail,
            OnBatchError::Skip => OnError::Skip,
        },
    }
}

/// Passes on what children say, with the progress line out of the way. A terminal gets nothing that it would obey.
fn tell(line: &progress::Line) -> Tell {
    let terminal = io::stderr().is_terminal();
    let output = Mutex::new(Cleared::new(io::stderr(), line.clone()));
    Arc::new(move |lines: &[u8]| {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        // If standard error is gone there is nobody to tell.
        if !terminal {
            drop(output.write_all(lines));
            return;
        }
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let line = printable(line.strip_suffix(b"\n").unwrap_or(line));
            drop(output.write_all(format!("{line}\n").as_bytes()));
        }
    })
}

/// What a user has to know, and the statistics.
fn report<W>(args: &MapArgs, text: &str, outcome: &MapOutcome<W>, stderr: &Stderr) -> Result<()> {
    let MapOutcome { result, summary, batches, .. } = outcome;
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::ClosedPipe) {
        return Ok(());
    }
    if !args.quiet {
        stderr.summary(summary, text, args.rejects.is_some(), args.format_in.input_format.is_none());
        if batches.batches_failed > 0 && result.is_ok() {
            let plural = |count: u64, one: &'static str, many: &'static str| if count == 1 { one } else { many };
            stderr.warn(&format!(
                "{} {} failed and {} left out, with {} {}{}",
                batches.batches_failed,
                plural(batches.batches_failed, "batch", "batches"),
                plural(batches.batches_failed, "was", "were"),
                batches.records_failed,
                plural(batches.records_failed, "record", "records"),
                if args.rejects.is_some() { "" } else { "; --rejects FILE keeps them" }
            ));
        }
    }
    if args.stats {
        stderr.write(&stats::text(summary));
        stderr.write(&stats::batches_text(batches));
    }
    match &args.stats_json {
        Some(path) => stats::write_map_json(summary, batches, path),
        None => Ok(()),
    }
}
