//! Operations on the disk, each with its failpoint and with an error that names the path.
//!
//! Everything in this module that changes the disk goes through here.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::failpoint::hit;
use crate::error::{Error, ErrorKind, Place, Result};

/// From this many on, the file system is told to write everything instead of file by file.
const MANY: usize = 128;

/// The error of an operation on a path. `doing` completes "cannot".
pub(crate) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let failed = Error::new(ErrorKind::Output, format!("cannot {doing}")).at(Place::File(path.to_owned()));
    match full {
        true => failed.hint("make room on this file system, and run again").caused_by(error),
        false => failed.caused_by(error),
    }
}

/// Lets a step between two operations fail where a test asks for it.
pub(super) fn step(name: &'static str) -> Result<()> {
    hit(name).map_err(|error| Error::new(ErrorKind::Output, format!("failed at {name}")).caused_by(error))
}

/// Makes a directory with all above it, and makes sure that they stay.
pub(super) fn make_dirs(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_dirs(parent)?;
    make_dir(path)?;
    sync_dir(parent)
}

/// Keeps a directory from everybody else.
pub(super) fn make_private(dir: &Path) -> Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|error| failed("change the mode of", dir, error))
}

/// Makes sure that a directory stays that an earlier process may have made just before it died.
pub(super) fn keep(path: &Path) -> Result<()> {
    let parent = folder(path);
    match hit("disk.sync_dir").and_then(|()| File::open(parent)) {
        // Who may not list the parent did not make anything in it either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result
            .and_then(|parent| parent.sync_all())
            .map_err(|error| failed("write the directory to disk", parent, error)),
    }
}

/// Makes a directory in one that is there.
pub(super) fn make_dir(path: &Path) -> Result<()> {
    match hit("disk.make_dir").and_then(|()| fs::create_dir(path)) {
        // Another run may have made it at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.map_err(|error| failed("make the directory", path, error)),
    }
}

/// Makes an empty file, or empties the one that is there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    hit("disk.create")?;
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}

/// Writes all bytes at an offset.
pub(super) fn write_at(file: &File, path: &Path, bytes: &[u8], at: u64) -> Result<()> {
    hit("disk.write").and_then(|()| file.write_all_at(bytes, at)).map_err(|error| failed("write", path, error))
}

/// Cuts a file off.
pub(super) fn truncate(file: &File, path: &Path, len: u64) -> Result<()> {
    hit("disk.truncate").and_then(|()| file.set_len(len)).map_err(|error| failed("truncate", path, error))
}

/// Returns when the bytes of the file are on the disk. A failure is final: what the kernel could not write it forgets.
pub(super) fn sync(file: &File, path: &Path) -> Result<()> {
    hit("disk.sync").and_then(|()| file.sync_all()).map_err(|error| failed("write to disk", path, error))
}

/// Returns when the names in a directory are on the disk.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    hit("disk.sync_dir")
        .and_then(|()| File::open(path)?.sync_all())
        .map_err(|error| failed("write the directory to disk", path, error))
}

/// [`sync_dir`] for several directories of the file system that `root` is in.
pub(super) fn sync_dirs(root: &Path, dirs: &BTreeSet<PathBuf>) -> Result<()> {
    if dirs.len() >= MANY {
        let file = File::open(root).map_err(|error| failed("open", root, error))?;
        if sync_file_system(&file, root)? {
            return Ok(());
        }
    }
    dirs.iter().try_for_each(|dir| sync_dir(dir))
}

/// Whether so many files are better synced at once.
pub(super) fn are_many(files: usize) -> bool {
    files >= MANY
}

/// Returns when everything on the file system of an open file is on the disk; `false` where there is no such call. On
/// Linux it also fails if anything written since the file was opened was lost.
#[cfg(target_os = "linux")]
pub(super) fn sync_file_system(file: &File, path: &Path) -> Result<bool> {
    hit("disk.sync")
        .and_then(|()| nix::unistd::syncfs(file).map_err(io::Error::from))
        .map_err(|error| failed("write to disk", path, error))?;
    Ok(true)
}

/// Returns when everything on the file system of an open file is on the disk; `false` where there is no such call.
#[cfg(not(target_os = "linux"))]
pub(super) fn sync_file_system(_file: &File, _path: &Path) -> Result<bool> {
    Ok(false)
}

/// Gives a file or directory another name, in place of what has that name.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    hit("disk.rename").and_then(|()| fs::rename(from, to)).map_err(|error| {
        let doing = format!("rename {} to this", from.display());
        failed(&doing, to, error)
    })
}

/// Moves a file that is on the disk, to another file system if need be.
pub(super) fn move_file(from: &Path, to: &Path) -> Result<()> {
    match hit("disk.rename").and_then(|()| fs::rename(from, to)) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to).map_err(|error| failed("write", to, error))?;
            sync(&File::open(to).map_err(|error| failed("open", to, error))?, to)?;
            remove(from)
        }
        result => result.map_err(|error| failed("write", to, error)),
    }
}

/// Gives a file another name that nothing has yet. The old name may stay.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let fail = |error| failed("make", to, error);
    hit("disk.link").map_err(fail)?;
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(fail(error)),
        // A file system without links, where the lock has to do.
        Err(_) if metadata(to)?.is_none() => rename(from, to),
        Err(error) => Err(fail(error)),
    }
}

/// Removes a file, if there is one.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match hit("disk.remove").and_then(|()| fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it, if there is one. Links are removed, never followed.
pub(super) fn remove_tree(path: &Path) -> Result<()> {
    match hit("disk.remove_tree").and_then(|()| fs::remove_dir_all(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// What a path is, `None` if there is nothing. Links are not followed.
pub(crate) fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path, error)),
    }
}

/// The names in a directory, sorted; none if it is not there.
pub(super) fn names(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let fail = |error| failed("list", path, error);
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(fail)?.file_name());
    }
    names.sort();
    Ok(names)
}

/// The bytes of a file, `None` if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.to_owned())).caused_by(error))
        }
    }
}

/// The real path of a directory that exists.
pub(super) fn canonical(path: &Path) -> Result<PathBuf> {
    let real = fs::canonicalize(path).map_err(|error| failed("find", path, error))?;
    match real.to_str() {
        Some(_) => Ok(real),
        None => Err(Error::new(ErrorKind::Usage, "the path is not UTF-8").at(Place::File(real))),
    }
}

/// Puts a file with these bytes in place of what has its name: after a crash it is the old one or the new one, whole,
/// and when this returns it is the new one. The directory must exist.
///
/// The bytes are first in a file beside it, `.NAME.tmp`, so that only one at a time may write it.
///
/// # Errors
/// [`ErrorKind::Output`]; the old file is then still there, unless the very last step failed, after which it may be
/// either.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = write_temporary(path, bytes)?;
    rename(&temporary, path).inspect_err(|_| leave(&temporary))?;
    sync_dir(folder(path))
}

/// The file in which another one is written before it gets its name.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder(path).join(format!(".{name}.tmp"))
}

/// Writes a file beside the one it is to become, down to the disk, and gives its path.
pub(super) fn write_temporary(path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    let temporary = temporary(path);
    let file = create(&temporary).map_err(|error| failed("make", &temporary, error))?;
    let written = write_at(&file, &temporary, bytes, 0).and_then(|()| sync(&file, &temporary));
    written.inspect_err(|_| leave(&temporary))?;
    Ok(temporary)
}

/// Removes a temporary file that is of no use any more, if that can be: what is told is why.
fn leave(temporary: &Path) {
    drop(std::fs::remove_file(temporary));
}

/// The directory that a path is in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
