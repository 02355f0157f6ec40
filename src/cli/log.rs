//! `--log`: what goes on in a run as log lines, in place of what people read.

use foldl::error::Place;
use foldl::{Error, ErrorKind};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;

use super::args::{Level, LogFormat};
use super::redaction::Redacted;

/// Writes log lines of a level, and of those that matter more, to standard error from now on.
pub(super) fn begin(format: LogFormat, level: Level, color: bool) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let lines = fmt().with_writer(|| Redacted).with_max_level(level).with_target(false).with_ansi(color);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).init(),
    }
}

/// The error that a command ends with, as a log line.
pub(super) fn error(error: &Error, exit_code: u8) {
    if error.kind() == ErrorKind::ClosedPipe {
        return;
    }
    let (mut file, mut line) = (None, None);
    match error.place() {
        Some(Place::File(path)) => file = Some(path.display().to_string()),
        Some(Place::Record { file: name, line: number, .. }) => (file, line) = (Some(name.clone()), Some(*number)),
        _ => {}
    }
    tracing::error!(error = %error, help = error.advice(), file, line, exit_code, "the command failed");
}
