//! The files that a job reads, and whether they are those of another run.

use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::input::Source as File;

/// An input of a job, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// The path.
    pub path: String,
    /// The bytes.
    pub len: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub changed: u128,
}

/// What files are like now.
pub(super) fn look_at(files: Vec<File>) -> Result<Vec<InputFile>> {
    let look = |file| match file {
        File::Stdin => Ok(InputFile { path: "-".to_owned(), len: 0, changed: 0 }),
        File::File(path) => {
            let found = std::fs::metadata(&path).map_err(|err| {
                Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.clone())).caused_by(err)
            })?;
            let changed = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Ok(InputFile {
                path: path.display().to_string(),
                len: found.size(),
                changed: changed.unwrap_or_default().as_nanos(),
            })
        }
    };
    files.into_iter().map(look).collect()
}

/// What is different about inputs.
pub(super) fn changed_input(before: &[(String, Vec<InputFile>)], now: &[(String, Vec<InputFile>)]) -> String {
    for ((_, before), (name, now)) in before.iter().zip(now) {
        if let Some((_, file)) = before.iter().zip(now).find(|(before, now)| before != now) {
            return format!("{} has changed since", file.path);
        }
        if before.len() != now.len() {
            return format!("the source {name} has other files now");
        }
    }
    "the inputs are others now".to_owned()
}
