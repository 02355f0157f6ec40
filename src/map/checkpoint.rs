//! How far a run has come, on disk, so that another one goes on from there.
//!
//! The output and the rejects of such a run are written under other names beside those that they get at the end. The
//! checkpoint tells how many bytes of each belong to batches that are done; it is written after these are on disk, by a
//! thread of its own, so that no batch waits for it. What is longer than it tells was written by a run that was killed, and
//! is cut off.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Place, Result};
use crate::job::store::{Seal, disk, write_atomically};
use disk::failed;

const SEAL: Seal = Seal { kind: "map", version: 1 };
/// What the names of files end with that are not whole yet, and that of the lock.
const STAGED: &str = ".part";
const LOCK: &str = ".lock";
/// The least time between two checkpoints.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for the lock of a checkpoint.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The batches.
    pub(super) batches: u64,
    /// The rows in them, and their checksum.
    pub(super) rows: u64,
    pub(super) checksum: u64,
    /// The lines of the input that are no records and were written to the rejects with these batches.
    pub(super) malformed: u64,
    /// The bytes of the output and of the rejects.
    pub(super) output: u64,
    pub(super) rejects: u64,
    /// The output that they are for, and the rejects.
    pub(super) path: PathBuf,
    pub(super) rejects_path: Option<PathBuf>,
    /// Whether all is done, and only the names are missing.
    pub(super) whole: bool,
}

/// The files of a run that can be gone on with.
pub struct Checkpoint {
    path: PathBuf,
    output: Staged,
    rejects: Option<Staged>,
    done: Done,
    /// Whether an earlier run has done something.
    resumed: bool,
    _lock: File,
}

/// A file that is written under another name.
struct Staged {
    file: File,
    path: PathBuf,
    name: PathBuf,
}

impl Checkpoint {
    /// Opens a checkpoint and the outputs that belong to it, or begins with these. `None` if an earlier run had done
    /// everything and was killed before it could say so.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another run has the checkpoint, [`ErrorKind::Input`] if it is damaged or another output's,
    /// [`ErrorKind::Output`] if files cannot be written.
    pub fn open(path: &Path, output: &Path, rejects: Option<&Path>) -> Result<Option<Checkpoint>> {
        let lock_path = beside(path, LOCK);
        let lock = lock(&lock_path)?.ok_or_else(|| {
            Error::new(ErrorKind::Locked, "another run goes on with this checkpoint").at(Place::File(path.to_owned()))
        })?;
        let full = |path: &Path| std::path::absolute(path).map_err(|error| failed("find", path, error));
        let (own, own_rejects) = (full(output)?, rejects.map(full).transpose()?);
        let known: Option<Done> = match std::fs::read(path) {
            Ok(bytes) => Some(SEAL.open(&bytes, path)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read", path, error)),
        };
        let resumed = known.is_some();
        let done =
            known.unwrap_or_else(|| Done { path: own.clone(), rejects_path: own_rejects.clone(), ..Done::default() });
        let other = match &done.rejects_path {
            _ if done.path != own => Some(format!("the checkpoint is that of the output {}", done.path.display())),
            rejects if *rejects == own_rejects => None,
            Some(rejects) => Some(format!("the checkpoint is that of a run with --rejects {}", rejects.display())),
            None => Some("the checkpoint is that of a run without --rejects".to_owned()),
        };
        if let Some(message) = other {
            return Err(Error::new(ErrorKind::Input, message)
                .at(Place::File(path.to_owned()))
                .hint("give the files of the run that was interrupted, or remove the checkpoint to start over"));
        }
        if done.whole {
            for name in std::iter::once(output).chain(rejects) {
                let name = target(name);
                let staged = beside(&name, STAGED);
                if staged.exists() {
                    put(&staged, &name)?;
                }
            }
            disk::remove(path)?;
            disk::remove(&lock_path)?;
            return Ok(None);
        }
        let output = Staged::open(output, done.output)?;
        let rejects = rejects.map(|rejects| Staged::open(rejects, done.rejects)).transpose()?;
        Ok(Some(Checkpoint { path: path.to_owned(), output, rejects, done, resumed, _lock: lock }))
    }

    /// The files that are written besides the checkpoint, the output and the rejects themselves.
    pub fn others(path: &Path, output: &Path, rejects: Option<&Path>) -> Vec<PathBuf> {
        let staged = std::iter::once(output).chain(rejects).map(|name| beside(&target(name), STAGED));
        staged.chain([beside(path, LOCK), disk::temporary(path)]).collect()
    }

    /// What an earlier run has done.
    pub(super) fn done(&self) -> &Done {
        &self.done
    }

    /// How many batches an earlier run has done, if there was one.
    pub fn resumes(&self) -> Option<u64> {
        self.resumed.then_some(self.done.batches)
    }

    /// The files to write to: the output, and the rejects.
    ///
    /// # Errors
    /// [`ErrorKind::Output`].
    pub fn files(&self) -> Result<(File, Option<File>)> {
        let rejects = self.rejects.as_ref().map(Staged::again).transpose()?;
        Ok((self.output.again()?, rejects))
    }

    /// Writes down what is done.
    fn write(&self, done: &Done) -> Result<()> {
        self.output.sync()?;
        self.rejects.as_ref().map_or(Ok(()), Staged::sync)?;
        let (path, rejects_path) = (self.done.path.clone(), self.done.rejects_path.clone());
        write_atomically(&self.path, &SEAL.seal(&Done { path, rejects_path, ..done.clone() })?)
    }

    /// Gives the files their names, and removes the checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Output`]; another run can then go on.
    pub fn complete(self, done: Done) -> Result<()> {
        self.write(&Done { whole: true, ..done })?;
        for staged in std::iter::once(&self.output).chain(&self.rejects) {
            put(&staged.path, &staged.name)?;
        }
        disk::remove(&self.path)?;
        disk::remove(&beside(&self.path, LOCK))
    }
}

impl Staged {
    /// Opens the file that will have a name, and cuts off what is longer than `len`.
    fn open(name: &Path, len: u64) -> Result<Staged> {
        let name = target(name);
        let known = disk::metadata(&name)?;
        if known.as_ref().is_some_and(|known| !known.is_file()) {
            return Err(Error::new(ErrorKind::Usage, "with --checkpoint the outputs have to be regular files")
                .at(Place::File(name)));
        }
        let path = beside(&name, STAGED);
        let fail = |error| failed("write", &path, error);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(fail)?;
        if !try_lock(&file).map_err(|error| failed("lock", &path, error))? {
            return Err(Error::new(ErrorKind::Locked, "another run writes this output").at(Place::File(name)));
        }
        if let Some(known) = known {
            file.set_permissions(known.permissions()).map_err(fail)?;
        }
        let there = file.metadata().map_err(fail)?.len();
        if there < len {
            let message = format!("the file has {there} bytes, and the checkpoint tells of {len}");
            return Err(Error::new(ErrorKind::Input, message)
                .at(Place::File(path))
                .hint("remove it and the checkpoint to start over"));
        }
        file.set_len(len).map_err(fail)?;
        Ok(Staged { file, path, name })
    }

    /// The file, to be written on from its end.
    fn again(&self) -> Result<File> {
        let file = self.file.try_clone().and_then(|mut file| {
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        file.map_err(|error| failed("write", &self.path, error))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| failed("write", &self.path, error))
    }
}

/// Writes checkpoints while a run goes on.
pub(super) struct Keeper {
    latest: Mutex<Latest>,
    changed: Condvar,
}

#[derive(Default)]
struct Latest {
    done: Option<Done>,
    ended: bool,
    error: Option<Error>,
}

impl Keeper {
    pub(super) fn new() -> Keeper {
        Keeper { latest: Mutex::default(), changed: Condvar::new() }
    }

    /// Says what is done, and written.
    ///
    /// # Errors
    /// The error of a checkpoint before.
    pub(super) fn note(&self, done: &Done) -> Result<()> {
        let mut latest = self.lock();
        latest.done = Some(done.clone());
        self.changed.notify_one();
        latest.error.take().map_or(Ok(()), Err)
    }

    /// Says that nothing more comes.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    /// Writes down what is done, until the end. Not more often than makes sense.
    ///
    /// # Errors
    /// That of the last checkpoint.
    pub(super) fn keep(&self, checkpoint: &Checkpoint) -> Result<()> {
        let mut latest = self.lock();
        loop {
            if let Some(done) = latest.done.take() {
                drop(latest);
                let start = Instant::now();
                let result = checkpoint.write(&done);
                let pause = INTERVAL.max(10 * start.elapsed());
                latest = self.lock();
                match result {
                    Err(error) if latest.ended => return Err(error),
                    Err(error) => latest.error = Some(error),
                    Ok(()) => {}
                }
                let wait = self.changed.wait_timeout_while(latest, pause, |latest| !latest.ended);
                latest = wait.unwrap_or_else(PoisonError::into_inner).0;
            } else if latest.ended {
                return latest.error.take().map_or(Ok(()), Err);
            } else {
                latest = self.changed.wait(latest).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lock of a file, which is made if it is not there; `None` if somebody else has it.
fn lock(path: &Path) -> Result<Option<File>> {
    loop {
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let lock = lock.map_err(|error| failed("write", path, error))?;
        if !try_lock(&lock).map_err(|error| failed("lock", path, error))? {
            return Ok(None);
        }
        // Who had it before may have removed it when it was done.
        let own = lock.metadata().map_err(|error| failed("lock", path, error))?.ino();
        if std::fs::metadata(path).is_ok_and(|meta| meta.ino() == own) {
            return Ok(Some(lock));
        }
    }
}

/// Locks a file. Says whether nobody else has its lock.
fn try_lock(file: &File) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            // A process that a killed run was just starting has the lock, too, until it is the command.
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// A path with something added to its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The file that a name stands for: where links lead.
fn target(name: &Path) -> PathBuf {
    std::fs::canonicalize(name).unwrap_or_else(|_| name.to_owned())
}

/// Gives a file its name, and makes sure that it keeps it.
fn put(from: &Path, to: &Path) -> Result<()> {
    disk::rename(from, to)?;
    disk::sync_dir(disk::folder(to))
}
