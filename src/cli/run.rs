//! `foldl run JOB.toml`

use std::fmt::Write as _;
use std::time::Instant;

use foldl::exec::{Settings, Summary};
use foldl::job::file::{JobFile, Overrides};
use foldl::job::run::{Ended, Job, Outcome, RunOptions};
use foldl::job::store::Store;
use foldl::output::{grouped, printable};
use foldl::value::Date;
use foldl::{Error, ErrorKind, Result};
use serde_json::Value as Json;

use super::args::RunArgs;
use super::check::{open, write};
use super::query::{check_outputs, read_limits};
use super::report::{Stderr, warnings};
use super::{progress, redaction, signals, write_out};

/// The runs that `--status` shows.
const MOST_SHOWN: usize = 20;

pub(super) fn run(args: &RunArgs, stderr: &Stderr) -> Result<()> {
    if args.status {
        let file = JobFile::read(&args.job, &overrides(args, args.backfill.map(|(first, _)| first)))?;
        return write_out(status(&Store::runs(&file.state(), MOST_SHOWN)?).as_bytes());
    }
    let Some((first, last)) = args.backfill else {
        return run_once(args, &overrides(args, None), stderr);
    };
    let job_of = |day| JobFile::read(&args.job, &overrides(args, Some(day)));
    if first != last && job_of(first)?.hash() == job_of(last)?.hash() {
        return Err(Error::new(ErrorKind::Usage, "nothing in the job depends on the day that --backfill fills in")
            .hint("a variable that is `yesterday` or `today` in [vars] does, unless --var replaces it"));
    }
    for day in first.0..=last.0 {
        let day = Date(day);
        if is_told(args) {
            stderr.write(&format!("{day}\n"));
        }
        run_once(args, &overrides(args, Some(day)), stderr)?;
    }
    Ok(())
}

/// Whether a run is told to people.
fn is_told(args: &RunArgs) -> bool {
    !args.quiet && args.log.is_none()
}

/// What the arguments say of variables. A day that is filled in is `yesterday`.
fn overrides(args: &RunArgs, day: Option<Date>) -> Overrides {
    Overrides { vars: args.vars.clone(), today: day.map(|day| Date(day.0.saturating_add(1))) }
}

fn run_once(args: &RunArgs, overrides: &Overrides, stderr: &Stderr) -> Result<()> {
    let file = JobFile::read(&args.job, overrides)?;
    redaction::hide(file.secrets());
    let settings = settings(args, &file);
    let job = Job::new(file, settings)?;
    if args.explain {
        return write_out(redaction::shown(&job.explain()?).as_bytes());
    }
    if args.dry_run {
        return write_out(redaction::shown(&job.dry_run()?).as_bytes());
    }
    if args.report.is_some() || args.junit.is_some() {
        let read: Vec<String> = job.inputs()?.into_iter().flat_map(|(_, files)| files).map(|file| file.path).collect();
        let read: Vec<&str> = read.iter().map(String::as_str).chain(args.job.to_str()).collect();
        check_outputs(&[("--report", &args.report), ("--junit", &args.junit)], &read)?;
        // What cannot be written is better known before something is committed.
        for path in args.report.iter().chain(&args.junit) {
            open(path)?;
        }
    }
    let options = RunOptions { wait: args.wait, again: args.again, restart: args.restart };
    let show = progress::wanted(args.progress, !is_told(args));
    let line = progress::Line::default();
    let clock = Instant::now();
    signals::let_end();
    let ended = job.run(&options, |pass, notes, work| {
        // A run that ends early has told by then where it began.
        if is_told(args) {
            tell_notes(notes, stderr);
        }
        progress::during(pass, show, &line, work);
    });
    if let Err(error) = &ended
        && error.kind() == ErrorKind::ClosedPipe
        && signals::is_received()
        && is_told(args)
    {
        stderr.write(&format!("{}: {}\n", printable(job.file().name().as_bytes()), error.message()));
    }
    signals::end_if_received();
    let ended = ended?;
    for told in ended.queries.iter().flat_map(|summary| warnings(summary, "")) {
        tracing::warn!("{told}");
    }
    if is_told(args) {
        tell(&job, &ended, clock.elapsed().as_secs_f64(), stderr);
    }
    if let Some(path) = &args.report {
        write(path, &ended.checks.json())?;
    }
    if let Some(path) = &args.junit {
        write(path, ended.checks.junit().as_bytes())?;
    }
    let Some(dir) = &ended.failed else { return Ok(()) };
    let failed: Vec<&str> =
        ended.checks.results.iter().filter(|result| result.fails()).map(|result| result.name.as_str()).collect();
    let of = match ended.checks.results.len() {
        1 => "the check".to_owned(),
        all => format!("{} of {all} checks", failed.len()),
    };
    let message = format!("{of} failed: {}", failed.join(", "));
    Err(Error::new(ErrorKind::Check, message)
        .hint(format!("nothing was committed; the report and rejects are in {}", dir.display())))
}

/// Settings: those of the options, else those of the file, else the defaults.
fn settings(args: &RunArgs, file: &JobFile) -> Settings {
    let run = &file.tables().run;
    let limits = read_limits(&args.limits);
    Settings {
        threads: args.limits.threads.or(run.threads.map(|threads| threads.get() as usize)).unwrap_or(limits.threads),
        memory_limit: args.limits.memory_limit.or(run.memory_limit.map(|limit| limit.0)).unwrap_or(limits.memory_limit),
        temp_dir: match (&args.limits.temp_dir, &run.temp_dir) {
            (None, Some(dir)) => file.resolve(dir),
            _ => limits.temp_dir.clone(),
        },
        temp_limit: limits.temp_limit.or(run.temp_limit.map(|limit| limit.0.get())),
        ..limits
    }
}

/// Says what is to be known of a run beside its results.
fn tell_notes(notes: &[String], stderr: &Stderr) {
    stderr.write(&notes.iter().map(|note| format!("  {}\n", printable(note.as_bytes()))).collect::<String>());
}

/// Says what came of a run.
fn tell(job: &Job, ended: &Ended, seconds: f64, stderr: &Stderr) {
    let mut out = String::new();
    let name = printable(job.file().name().as_bytes());
    if ended.outcome == Outcome::NothingNew {
        tell_notes(&ended.notes, stderr);
        let _ = writeln!(out, "{name}: nothing new since commit {}", ended.sequence.unwrap_or_default());
        stderr.write(&out);
        return;
    }
    for (number, (name, summary)) in ended.lookups.iter().chain(&ended.inputs).enumerate() {
        // A lookup that several queries join is read for each.
        if !ended.lookups.iter().take(number).any(|(known, _)| known == name) {
            stderr.summary(summary, "", true, false);
        }
    }
    for summary in &ended.queries {
        // What was rejected is told of the inputs.
        stderr.summary(&Summary { rejected: 0, ..summary.clone() }, "", true, false);
    }
    for (source, summary) in &ended.inputs {
        let rejected = match summary.rejected {
            0 => String::new(),
            rejected => format!(", {} rejected", grouped(rejected)),
        };
        let source = printable(source.as_bytes());
        let _ = writeln!(out, "  read {source}: {}{rejected}", counted(summary.records_in, "record"));
    }
    let verb = if ended.outcome == Outcome::Committed { "wrote" } else { "would have written" };
    for (output, path, rows) in &ended.outputs {
        let _ = writeln!(out, "  {verb} {output}: {} to {}", counted(*rows, "row"), path.display());
    }
    if !ended.checks.results.is_empty() {
        out.push_str(&ended.checks.table(stderr.color()));
    }
    let _ = match ended.sequence {
        Some(sequence) => writeln!(out, "{name}: committed as {sequence} in {seconds:.1} s"),
        None => writeln!(out, "{name}: nothing committed after {seconds:.1} s"),
    };
    stderr.write(&out);
}

/// So many of something.
fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// The last runs, as a table.
fn status(runs: &[Json]) -> String {
    if runs.is_empty() {
        return "no run yet\n".to_owned();
    }
    let text = |run: &Json, key: &str| run.get(key).and_then(Json::as_str).unwrap_or("").to_owned();
    let sum = |run: &Json, key: &str, of: &dyn Fn(&Json) -> Option<u64>| {
        let values = run.get(key).and_then(Json::as_object).into_iter().flat_map(|map| map.values());
        grouped(values.filter_map(of).sum())
    };
    let checks = |run: &Json, key: &str| run.pointer(&format!("/checks/{key}")).and_then(Json::as_u64).unwrap_or(0);
    let mut table = vec![["started", "seconds", "records", "rows", "checks", "outcome"].map(str::to_owned)];
    for run in runs {
        let outcome = match (run.get("sequence").and_then(Json::as_u64), text(run, "error")) {
            (Some(sequence), _) => format!("{} {sequence}", text(run, "outcome")),
            (None, error) if error.is_empty() => text(run, "outcome"),
            (None, error) => format!("{}: {}", text(run, "outcome"), printable(error.as_bytes())),
        };
        let (all, failed, warned) = (checks(run, "all"), checks(run, "failed"), checks(run, "warned"));
        table.push([
            text(run, "started"),
            format!("{:.1}", run.get("wall_s").and_then(Json::as_f64).unwrap_or(0.0)),
            sum(run, "inputs", &|input| input.get("records")?.as_u64()),
            sum(run, "outputs", &Json::as_u64),
            match (failed, warned) {
                (0, 0) => format!("{all} passed"),
                (0, warned) => format!("{warned} of {all} warned"),
                (failed, _) => format!("{failed} of {all} failed"),
            },
            outcome,
        ]);
    }
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut out = String::new();
    for row in &table {
        for (column, cell) in row[..5].iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let is_number = (1..4).contains(&column);
            out.push_str(&if is_number { format!("{pad}{cell}  ") } else { format!("{cell}{pad}  ") });
        }
        out.push_str(&row[5]);
        out.push('\n');
    }
    out
}
