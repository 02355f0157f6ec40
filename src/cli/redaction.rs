//! What is told of jobs: never the value of a secret.

use std::io::{self, Write};
use std::sync::{PoisonError, RwLock};

use foldl::job::secret::{Secret, redact};

/// The secrets of all jobs that were read.
static SECRETS: RwLock<Vec<Secret>> = RwLock::new(Vec::new());

/// From now on these are told by the places where they come from.
pub(super) fn hide(secrets: &[Secret]) {
    SECRETS.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(secrets);
}

/// A text as it can be told.
pub(super) fn shown(text: &str) -> String {
    redact(&SECRETS.read().unwrap_or_else(PoisonError::into_inner), text)
}

/// Standard error for whole messages.
pub(super) struct Redacted;

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = shown(&String::from_utf8_lossy(bytes));
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
