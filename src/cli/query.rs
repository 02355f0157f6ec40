//! `foldl QUERY [FILE]...`

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use foldl::error::Place;
use foldl::exec::{Arguments, OnError, Run, Settings};
use foldl::input::{Source, expand};
use foldl::output::{Compression, Format, Look, MIN_CHART_WIDTH, Sink, Target};
use foldl::plan::Plan;
use foldl::{Error, ErrorKind, Result};

use super::args::{Cli, ErrorArgs, FormatArgs, LimitArgs, OnErrorArg, QueryArgs, When};
use super::report::Stderr;
use super::{progress, stats, stdin_is_terminal};

pub(super) fn run(mut args: QueryArgs, stderr: &Stderr) -> Result<()> {
    let Some(text) = query_text(&mut args)? else {
        stderr.write(&Cli::command().render_help().to_string());
        return Err(Error::new(ErrorKind::Usage, "no query given"));
    };
    if args.query_file.is_none() && Path::new(&text).is_file() {
        let message = format!("{text} is a file; the query comes first");
        return Err(Error::new(ErrorKind::Usage, message).hint(format!("foldl 'count(*)' {text}")));
    }
    if let (Format::Chart, Some(width)) = (args.format, args.width)
        && usize::from(width) < MIN_CHART_WIDTH
    {
        let message = format!("--width {width} leaves no room for a chart");
        return Err(Error::new(ErrorKind::Usage, message).hint(format!("it takes {MIN_CHART_WIDTH} columns or more")));
    }
    let plan = foldl::sql::plan(&text)?;
    let mut settings = settings(&args);
    set_aside(&mut settings, args.output.as_deref());
    if args.explain {
        return explain(&plan, &settings);
    }
    if !args.quiet {
        plan.notes.iter().for_each(|note| stderr.note(note));
    }
    let mut arguments = Arguments::sources(sources(&plan, &args.files)?);
    let terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let settings = Settings { line_buffered: settings.line_buffered || terminal, ..settings };
    let keeps_rejects = args.errors.rejects.is_some();
    let run = Run::prepare(plan, &mut arguments, settings, keeps_rejects)?;
    let outputs = [("-o", &args.output), ("--rejects", &args.errors.rejects), ("--stats-json", &args.stats_json)];
    check_outputs(&outputs, &run.inputs())?;
    let rejects = match &args.errors.rejects {
        Some(path) => Some(Box::new(create(path)?) as Box<dyn Write + Send>),
        None => None,
    };
    let target = match &args.output {
        Some(path) => Target::file(path)?,
        None => Target::stdout()?,
    };
    let show = progress::wanted(args.progress, args.quiet);
    let line = progress::Line::default();
    let target = progress::Cleared::new(target, line.clone());
    let outcome = progress::during(&run, show, &line, || run.execute(target, rejects));
    let result = outcome.result.and_then(|target| target.into_inner().commit());
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::ClosedPipe) {
        return result;
    }
    // With --on-error fail the error tells of the line; nothing was skipped.
    let failed_line = matches!(args.errors.on_error, OnErrorArg::Fail) && outcome.summary.rejected > 0;
    if !args.quiet && !failed_line {
        stderr.summary(&outcome.summary, &text, keeps_rejects, args.format_in.input_format.is_none());
    }
    if args.stats {
        stderr.write(&stats::text(&outcome.summary));
    }
    if let Some(path) = &args.stats_json {
        stats::write_json(&outcome.summary, path)?;
    }
    result
}

/// Refuses to write one file over another that the run reads or writes. Only `-o` may name an input, which it replaces
/// when all of it has been read.
pub(super) fn check_outputs(outputs: &[(&str, &Option<PathBuf>)], inputs: &[&str]) -> Result<()> {
    let inputs: Vec<&Path> =
        inputs.iter().map(|&name| Path::new(if name == "-" { "/dev/stdin" } else { name })).collect();
    let outputs: Vec<(&str, &Path)> =
        outputs.iter().filter_map(|(option, path)| Some((*option, path.as_deref()?))).collect();
    for (number, &(option, path)) in outputs.iter().enumerate() {
        let is_packed = matches!(option, "-o" | "--quarantine");
        if !is_packed && Compression::of_path(path) != Compression::None {
            let message = format!("{option} is written as it comes, without compression, which the name does not say");
            return Err(Error::new(ErrorKind::Usage, message).at(Place::File(path.to_owned())));
        }
        let message = if option != "-o" && inputs.iter().any(|input| is_same_file(input, path)) {
            format!("{option} would overwrite an input")
        } else if let Some((other, _)) = outputs[..number].iter().find(|(_, other)| is_same_file(other, path)) {
            format!("{option} would overwrite what {other} writes")
        } else {
            continue;
        };
        return Err(Error::new(ErrorKind::Usage, message).at(Place::File(path.to_owned())));
    }
    Ok(())
}

/// Whether two paths lead to one regular file, or to one that is not there yet. Devices and pipes can be shared.
fn is_same_file(a: &Path, b: &Path) -> bool {
    match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        (Err(_), Err(_)) => a == b,
        _ => false,
    }
}

pub(super) fn create(path: &Path) -> Result<File> {
    File::create(path)
        .map_err(|err| Error::new(ErrorKind::Output, "cannot write").at(Place::File(path.to_owned())).caused_by(err))
}

/// The query: the file of `-f`, else the first argument. With `-f` all arguments are inputs.
fn query_text(args: &mut QueryArgs) -> Result<Option<String>> {
    let Some(path) = &args.query_file else { return Ok(args.query.take()) };
    args.files.splice(0..0, args.query.take());
    let text = std::fs::read_to_string(path).map_err(|err| {
        Error::new(ErrorKind::Usage, "cannot read the query").at(Place::File(path.clone())).caused_by(err)
    })?;
    Ok(Some(text))
}

fn settings(args: &QueryArgs) -> Settings {
    Settings {
        line_buffered: args.line_buffered,
        format: args.format,
        look: look(args),
        ..read_settings(&args.format_in, &args.errors, &args.limits)
    }
}

/// Sets the memory aside that it takes to compress a file of this name, of what is beyond the least.
pub(super) fn set_aside(settings: &mut Settings, output: Option<&Path>) {
    let spare = settings.memory_limit.saturating_sub(Settings::LEAST_MEMORY);
    settings.memory_limit -= output.map_or(0, |output| Compression::of_path(output).memory().min(spare));
}

/// The settings that the options give which are about limits.
pub(super) fn read_limits(limits: &LimitArgs) -> Settings {
    let default = Settings::default();
    Settings {
        threads: limits.threads.unwrap_or(default.threads),
        memory_limit: limits.memory_limit.unwrap_or_else(default_memory_limit),
        temp_dir: limits.temp_dir.clone().unwrap_or(default.temp_dir),
        temp_limit: limits.temp_limit.map(|limit| limit as u64),
        block_size: limits.block_size,
        max_line: limits.max_line,
        max_depth: limits.max_depth,
        ..default
    }
}

/// The settings that the options give which are about reading, and about limits.
pub(super) fn read_settings(format: &FormatArgs, errors: &ErrorArgs, limits: &LimitArgs) -> Settings {
    Settings {
        on_error: match errors.on_error {
            OnErrorArg::Skip => OnError::Skip,
            OnErrorArg::Fail => OnError::Fail,
        },
        max_errors: errors.max_errors,
        strict: errors.strict,
        input_format: format.input_format,
        header: !format.no_header,
        ..read_limits(limits)
    }
}

/// The width is that of the option, else, where the output is not written to a file, of `COLUMNS` or of the terminal.
fn look(args: &QueryArgs) -> Look {
    let terminal = args.output.is_none() && std::io::stdout().is_terminal();
    let columns = || std::env::var("COLUMNS").ok()?.trim().parse().ok().filter(|&width: &usize| width > 0);
    let size = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    let width = args.width.map(usize::from).or_else(|| columns().filter(|_| args.output.is_none()));
    Look {
        width: width.or_else(|| size().filter(|&width| terminal && width > 0)),
        color: match args.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        },
    }
}

/// A quarter of the machine's memory, or of what the process's control group may have, at most 1 GiB.
fn default_memory_limit() -> usize {
    const MOST: usize = 1 << 30;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let meminfo = read("/proc/meminfo");
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    let mut memory: Vec<usize> = kib.map(|kib| kib.saturating_mul(1024)).into_iter().collect();
    for line in read("/proc/self/cgroup").lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        // A group is bounded by those around it, too. Within a container the path may not be there, and its root is.
        for group in Path::new(group).ancestors().filter_map(Path::to_str).map(|group| group.trim_end_matches('/')) {
            let limit = match controllers {
                "" => read(&format!("/sys/fs/cgroup{group}/memory.max")),
                list if list.split(',').any(|name| name == "memory") => {
                    read(&format!("/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"))
                }
                _ => continue,
            };
            memory.extend(limit.trim().parse::<usize>());
        }
    }
    memory.into_iter().map(|bytes| bytes / 4).fold(MOST, usize::min).max(32 << 20)
}

/// What `input` is, if the query reads it: the arguments, else standard input.
fn sources(plan: &Plan, files: &[String]) -> Result<Vec<Source>> {
    match (plan.uses_input(), files) {
        (false, [_, ..]) => Err(Error::new(ErrorKind::Usage, "both FROM and the arguments name files")
            .hint("write `from input` for the arguments, or leave one of them out")),
        (false, []) => Ok(Vec::new()),
        (true, []) if stdin_is_terminal() => {
            Err(Error::new(ErrorKind::Usage, "no input: give a FILE, or pipe records in")
                .hint("foldl \"select * limit 1\" orders.jsonl; `-` reads from the terminal"))
        }
        (true, []) => Ok(vec![Source::Stdin]),
        (true, files) => expand(files),
    }
}

fn explain(plan: &Plan, settings: &Settings) -> Result<()> {
    let mut sink =
        Sink::new(Target::stdout()?, Format::Jsonl, None, &foldl::memory::Budget::new(settings.memory_limit))?;
    sink.write(plan.explain(settings.threads, settings.memory_limit).as_bytes())?;
    sink.commit()
}
