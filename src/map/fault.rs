//! What may be wrong with the answer to a batch.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::scan::Reason;

/// Why a batch failed at one attempt.
#[derive(Debug)]
pub enum Fault {
    /// The command could not be started.
    Start(io::Error),
    /// The command ended with a status other than 0, or by a signal.
    Exit(ExitStatus),
    /// There was no whole answer in time.
    Timeout {
        /// The time.
        after: Duration,
        /// Whether the command itself had ended, and something that it started held its output open.
        left_behind: bool,
    },
    /// The command did not read all of the batch.
    ClosedInput,
    /// The command ended before it had answered.
    NoAnswer,
    /// The last line has no line end.
    HalfLine,
    /// A line is no JSON value.
    NotJson {
        /// The line of the answer, from 1.
        line: u64,
        /// What is wrong, unless the line is blank.
        reason: Option<Reason>,
    },
    /// There are more or fewer lines than records.
    Lines {
        /// The lines.
        lines: u64,
        /// The records.
        records: u64,
    },
    /// There was more after the end of the answer.
    Surplus,
    /// The answer is longer than is allowed.
    TooLong {
        /// The most bytes.
        most: u64,
    },
    /// A line is longer than the memory allows.
    LongLine {
        /// The line of the answer, from 1.
        line: u64,
        /// Its bytes so far.
        bytes: usize,
    },
    /// A record is the line that is to end the batch.
    Delimiter {
        /// The record of the batch, from 1.
        record: u64,
    },
    /// Talking to the command failed.
    Pipe(io::Error),
}

impl Fault {
    /// The status that the command exited with, if it is that which was wrong.
    pub fn exit_status(&self) -> Option<i32> {
        if let Fault::Exit(status) = self { status.code() } else { None }
    }

    /// The signal that ended the command, if one did.
    pub fn signal(&self) -> Option<i32> {
        if let Fault::Exit(status) = self { status.signal() } else { None }
    }
}

/// A clause of which the command is the subject.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Start(error) => write!(f, "could not be started: {error}"),
            Fault::Exit(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exited with status {code}"),
                (None, Some(number)) => match Signal::try_from(number) {
                    Ok(signal) => write!(f, "was ended by {signal}"),
                    Err(_) => write!(f, "was ended by signal {number}"),
                },
                (None, None) => write!(f, "ended in an unknown way"),
            },
            Fault::Timeout { after, left_behind: false } => write!(f, "did not end within {}", seconds(*after)),
            Fault::Timeout { after, left_behind: true } => {
                write!(f, "left a process behind that held its output open for {}", seconds(*after))
            }
            Fault::ClosedInput => f.write_str("did not read all of its input"),
            Fault::NoAnswer => f.write_str("ended before it had answered"),
            Fault::HalfLine => f.write_str("wrote a last line without a line end"),
            Fault::NotJson { line, reason: Some(reason) } => write!(f, "wrote no JSON in line {line}: {reason}"),
            Fault::NotJson { line, reason: None } => write!(f, "wrote no JSON in line {line}: it is blank"),
            Fault::Lines { lines, records } => write!(f, "wrote {lines} lines for {records} records"),
            Fault::Surplus => f.write_str("wrote more after the end of its answer"),
            Fault::TooLong { most } => write!(f, "wrote more than {most} bytes"),
            Fault::LongLine { line, bytes } => {
                write!(f, "wrote {} MiB in line {line}, and the memory limit does not allow for more", bytes >> 20)
            }
            Fault::Delimiter { record } => {
                write!(f, "could not be given record {record}, as that is the line that ends a batch")
            }
            Fault::Pipe(error) => write!(f, "could not be talked to: {error}"),
        }
    }
}

/// A time as people type it.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
