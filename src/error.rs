//! The one error type of the crate.
//!
//! An [`Error`] says what happened ([`ErrorKind`] and a message), where (a [`Place`] in an input or in the
//! query text) and, where there is one, what to do about it (a hint). It is one pointer wide.

use std::fmt;
use std::path::PathBuf;

/// A result whose error is [`Error`] unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The class of an error. Each class has one exit code on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The records are not as a check says they should be.
    Check,
    /// An option or an argument makes no sense.
    Usage,
    /// The query text is wrong.
    Query,
    /// More records were rejected, or more values had a wrong type, than the settings allow.
    Rejected,
    /// Reading an input failed.
    Input,
    /// Writing an output failed.
    Output,
    /// A resource limit (memory, temporary space) was reached.
    Resource,
    /// Another run holds the lock of a state directory or of a destination.
    Locked,
    /// The reader of the output went away. Not a failure for a command in a pipe.
    ClosedPipe,
    /// A callback of the library's user gave an error.
    Callback,
    /// A bug in foldl: an invariant did not hold.
    Internal,
}

/// Where an error was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A file as a whole.
    File(PathBuf),
    /// A record of an input.
    Record {
        /// The input's name as it was given; `-` is standard input.
        file: String,
        /// The line, from 1; 0 if it is not known (yet).
        line: u64,
        /// The offset of the line's first byte in the decompressed input, from 0.
        offset: u64,
    },
    /// A range of bytes of the query text.
    Query {
        /// The whole text of the query.
        text: String,
        /// The first byte of the range.
        start: usize,
        /// The byte after the range.
        end: usize,
    },
    /// A range of bytes of a job file.
    JobFile {
        /// The file.
        file: PathBuf,
        /// All of its text.
        text: String,
        /// The first byte of the range.
        start: usize,
        /// The byte after the range.
        end: usize,
    },
}

/// `file:line` of a record or in a job file, where standard input is `stdin`; the path of a file; nothing for a place in a query, which is
/// better shown than told.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Record { file, line, offset } => {
                let name = if file == "-" { "stdin" } else { file };
                match line {
                    0 => write!(f, "{name} at byte {offset}"),
                    line => write!(f, "{name}:{line}"),
                }
            }
            Place::JobFile { file, text, start, .. } => {
                let line = text.bytes().take(*start).filter(|&byte| byte == b'\n').count() + 1;
                write!(f, "{}:{line}", file.display())
            }
            Place::Query { .. } => Ok(()),
        }
    }
}

impl Error {
    /// An error of a kind, with a message that is a clause without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), place: None, hint: None, source: None }))
    }

    /// The same error with the place where it was found.
    pub fn at(mut self, place: Place) -> Error {
        self.0.place = Some(place);
        self
    }

    /// The same error with advice on what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with the error that caused it.
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, without place and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it happened, if that is known.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// What to do about it, if there is advice.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

/// `message`, then the cause; the place in front where it is a file or in one.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Some(place @ (Place::File(_) | Place::Record { .. } | Place::JobFile { .. })) => write!(f, "{place}: ")?,
            Some(Place::Query { .. }) | None => {}
        }
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("place", &self.0.place)
            .field("hint", &self.0.hint)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}
