//! The command line: maps arguments to plans, and errors to exit codes.

mod args;
mod check;
mod checks;
mod generate;
mod log;
mod map;
mod progress;
mod query;
mod redaction;
mod report;
mod run;
mod signals;
mod stats;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use foldl::{Error, ErrorKind, units};

use args::{Cli, Verb};
use report::Stderr;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let matches = Cli::command().color(usage_color()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage_exit(&error),
    };
    std::panic::set_hook(Box::new(report::panicked));
    signals::handle();
    let stderr = Stderr::new(cli.query.color);
    let mut logs = false;
    let result = match cli.verb {
        Some(Verb::Generate(args)) => generate::run(&args),
        Some(Verb::Check(args)) => check::run(&args, &stderr),
        Some(Verb::Map(args)) => map::run(&args, &stderr),
        Some(Verb::Run(args)) => {
            if let Some(format) = args.log {
                logs = true;
                log::begin(format, args.log_level, stderr.color());
            }
            run::run(&args, &stderr)
        }
        Some(Verb::Functions { name, markdown }) => functions(name.as_deref(), markdown),
        Some(Verb::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "foldl", &mut script);
            write_out(&script)
        }
        Some(Verb::Man) => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut page) {
                Ok(()) => write_out(&page),
                Err(err) => Err(Error::new(ErrorKind::Internal, "cannot make the manual page").caused_by(err)),
            }
        }
        None => query::run(cli.query, &stderr),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = exit_code(error.kind());
            if logs {
                log::error(&error, code)
            } else {
                stderr.error(&error)
            }
            ExitCode::from(code)
        }
    }
}

/// `foldl functions`
fn functions(name: Option<&str>, markdown: bool) -> foldl::Result<()> {
    let text = match name {
        None if markdown => foldl::sql::page(),
        None => foldl::sql::list(),
        Some(name) => foldl::sql::help(name).map_err(|nearest| {
            let error = Error::new(ErrorKind::Usage, format!("there is no function {name}"));
            match nearest {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint("`foldl functions` lists them all"),
            }
        })?,
    };
    write_out(text.as_bytes())
}

/// The one table from errors to exit codes.
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::ClosedPipe => 0,
        ErrorKind::Check => 1,
        ErrorKind::Usage => 2,
        ErrorKind::Query => 3,
        ErrorKind::Rejected => 4,
        ErrorKind::Input | ErrorKind::Output => 5,
        ErrorKind::Resource => 6,
        ErrorKind::Locked => 7,
        // A bug: sysexits.h calls it EX_SOFTWARE.
        _ => 70,
    }
}

/// The `--color` of a command line that may be wrong elsewhere, for what clap has to say of it.
fn usage_color() -> ColorChoice {
    let mut arguments = std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok());
    while let Some(argument) = arguments.next() {
        let given = match argument.as_str() {
            "--" => break,
            "--color" => arguments.next(),
            argument => argument.strip_prefix("--color=").map(str::to_owned),
        };
        match given.as_deref() {
            Some("always") => return ColorChoice::Always,
            Some("never") => return ColorChoice::Never,
            _ => {}
        }
    }
    ColorChoice::Auto
}

/// What clap has to say: help and version go to standard output, mistakes to standard error.
fn usage_exit(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { 2 } else { 0 };
    match error.print() {
        Ok(()) => ExitCode::from(code),
        Err(err) if err.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(exit_code(ErrorKind::Output)),
    }
}

fn write_out(bytes: &[u8]) -> foldl::Result<()> {
    let mut out = foldl::output::Target::stdout()?;
    out.write_all(bytes).map_err(foldl::output::write_error)
}

/// Whether standard input is a terminal, on which nobody means to type records.
fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}
