//! Targets: where an output goes, so that a failed run leaves the old file.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempPath;

use super::compression::{Compression, Packer};
use crate::error::{Error, ErrorKind, Place, Result};

/// Where an output goes.
pub enum Target {
    /// Standard output, a device or a pipe: written as it comes.
    Direct {
        /// What is written to.
        file: File,
        /// Its path, if it has one.
        path: Option<PathBuf>,
    },
    /// A regular file: written under another name beside it, and renamed when all is well. Compressed if its name says so.
    Replace {
        /// The file that is written to.
        file: File,
        /// Its name, which is removed when dropped.
        temporary: TempPath,
        /// The name it gets.
        path: PathBuf,
        /// What compresses it.
        packer: Option<Packer>,
    },
}

/// The temporary files that a signal has to remove, as nothing is dropped then.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the temporary files of unfinished outputs, after which no more can be made. For the end of the process on a
/// signal.
pub fn remove_temporary_files() {
    let mut files = TEMPORARY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for path in files.drain(..) {
        // There is nobody left to tell, and nothing else to try.
        drop(std::fs::remove_file(path));
    }
    std::mem::forget(files);
}

impl Target {
    /// Standard output.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it is closed.
    pub fn stdout() -> Result<Target> {
        let fd = io::stdout().as_fd().try_clone_to_owned().map_err(write_error)?;
        Ok(Target::Direct { file: File::from(fd), path: None })
    }

    /// A file by name. What is there already stays until [`commit`](Target::commit), unless it is no regular file.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if the file or its folder cannot be written to.
    pub fn file(path: &Path) -> Result<Target> {
        let fail = |err: io::Error| output_error(path, err);
        let compression = Compression::of_path(path);
        let path = follow_links(path);
        let mode = match std::fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => {
                let file = OpenOptions::new().write(true).open(&path).map_err(fail)?;
                return Ok(Target::Direct { file, path: Some(path) });
            }
            Ok(meta) => meta.permissions(),
            Err(_) => Permissions::from_mode(0o666),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Held from before the file is there, so that a signal finds it.
        let mut files = TEMPORARY.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (file, temporary) = tempfile::Builder::new()
            .prefix(".foldl-")
            .suffix(".tmp")
            .permissions(mode)
            .tempfile_in(folder)
            .map_err(fail)?
            .into_parts();
        files.push(temporary.to_path_buf());
        Ok(Target::Replace { file, temporary, path, packer: Packer::new(compression) })
    }

    /// Makes the output visible under its name.
    ///
    /// # Errors
    /// [`ErrorKind::Output`]; the old file is then still there.
    pub fn commit(self) -> Result<()> {
        let Target::Replace { mut file, temporary, path, packer } = self else { return Ok(()) };
        if let Some(mut packer) = packer {
            packer.finish(&mut file)?;
        }
        let name = temporary.to_path_buf();
        let result = temporary.persist(&path).map_err(|err| output_error(&path, err.error));
        TEMPORARY.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).retain(|other| *other != name);
        result
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        match self {
            Target::Direct { file, .. } => io::IsTerminal::is_terminal(file),
            Target::Replace { .. } => false,
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Replace { file, packer: Some(packer), .. } => {
                packer.write(bytes, file).map_err(io::Error::other)?;
                Ok(bytes.len())
            }
            Target::Direct { file, .. } | Target::Replace { file, packer: None, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A link stays a link: what it points to is replaced, or made if it is not there yet.
fn follow_links(path: &Path) -> PathBuf {
    // As many as Linux follows; after them opening the file gives the error.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if path.exists() {
            // What is open without a name, as /dev/stdout may be, has no other path.
            return std::fs::canonicalize(&path).unwrap_or(path);
        }
        let Ok(to) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    path
}

fn output_error(path: &Path, err: io::Error) -> Error {
    Error::new(ErrorKind::Output, "cannot write").at(Place::File(path.to_owned())).caused_by(err)
}

/// The error of a failed write to the output.
pub fn write_error(err: io::Error) -> Error {
    // What takes the output may know better what went wrong.
    let err = match err.downcast::<Error>() {
        Ok(error) => return error,
        Err(err) => err,
    };
    match err.kind() {
        io::ErrorKind::BrokenPipe => Error::new(ErrorKind::ClosedPipe, "the reader of the output is gone"),
        _ => Error::new(ErrorKind::Output, "cannot write the output").caused_by(err),
    }
}

/// The error of writing rejected records. That nobody reads them any more is no reason to end well, as it is for the output.
pub fn rejects_error(err: io::Error) -> Error {
    match write_error(err) {
        error if error.kind() == ErrorKind::ClosedPipe => {
            Error::new(ErrorKind::Output, "cannot write the rejects: nobody reads them any more")
        }
        error => error,
    }
}
