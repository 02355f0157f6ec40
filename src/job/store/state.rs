//! The state directory of a job.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::apply;
use super::commit::Transaction;
use super::destination;
use super::disk;
use super::lock::{Lock, Wait};
use super::record::{Record, Records};
use super::runs;
use super::spec::OutputSpec;
use super::staging::{self, Staging};
use crate::error::{Error, ErrorKind, Result};

/// A state directory, locked for one run at a time: what was committed, what is staged, checkpoints and the log of
/// runs.
///
/// ```text
/// <state>/lock                        who has it
/// <state>/commits/000042.json         a commit that is done; .pending: one that is decided
/// <state>/staging/<run>.json          where a run stages its outputs
/// <state>/checkpoints/<run>.checkpoint   written by the caller; <run>/ and <run>.* go with it
/// <state>/increments/<run>/           what a commit leaves for the next run; written by the caller
/// <state>/failed/<run>/               the report and rejects of a run that was not committed
/// <state>/runs.jsonl                  one line for each run
/// ```
///
/// ```
/// use foldl::job::store::{OutputSpec, Store, Wait};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (state, path) = (folder.path().join("state"), folder.path().join("totals"));
/// let mut store = Store::open(&state, Wait::No)?;
/// if store.committed("2026-02-01")?.is_none() {
///     let mut transaction = store.begin("run-1", vec![OutputSpec::new("totals", &path)])?;
///     let mut output = transaction.output("totals", None)?;
///     output.write_rows(b"{\"orders\":17}\n")?;
///     let record = transaction.commit(vec![output], Vec::new(), serde_json::json!({"key": "2026-02-01"}))?;
///     assert_eq!((record.sequence, record.outputs[0].rows), (1, 1));
/// }
/// store.log_run(&serde_json::json!({"run": "run-1", "outcome": "committed"}))?;
/// assert!(store.committed("2026-02-01")?.is_some());
/// # Ok::<(), foldl::Error>(())
/// ```
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    lock: Lock,
    wait: Wait,
    recovered: Vec<Record>,
}

impl Store {
    /// Opens a state directory, which is made if it is not there, and puts it in order: a commit that was decided is
    /// finished, and what was staged without a checkpoint is removed.
    ///
    /// # Errors
    /// - [`ErrorKind::Locked`] if another run holds its lock, or that of a destination which a decided commit has to be
    ///   finished in, and `wait` is [`Wait::No`].
    /// - [`ErrorKind::Input`] if a commit record or what belongs to it is damaged or gone.
    /// - [`ErrorKind::Output`] if something cannot be written.
    pub fn open(dir: &Path, wait: Wait) -> Result<Store> {
        disk::make_dirs(dir)?;
        let dir = disk::canonical(dir)?;
        disk::keep(&dir)?;
        let lock = Lock::take(&dir.join("lock"), None, wait)?;
        for name in ["commits", "checkpoints", "failed", "staging"] {
            disk::make_dirs(&dir.join(name))?;
            disk::keep(&dir.join(name))?;
            remove_hidden(&dir.join(name))?;
        }
        let mut store = Store { dir, lock, wait, recovered: Vec::new() };
        store.recover()?;
        store.remove_stale()?;
        Ok(store)
    }

    /// The directory, as a real path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The commits that were decided earlier and were finished since it was opened.
    pub fn recovered(&self) -> &[Record] {
        &self.recovered
    }

    /// Begins a run: locks the destinations of its outputs. Nothing that is there changes before
    /// [`Transaction::commit`].
    ///
    /// `run` identifies the run: up to 64 letters, digits, `_` and `-`, of which no other run of any state has the
    /// same. Only a run that goes on from its checkpoint has the name that it had.
    ///
    /// # Errors
    /// - [`ErrorKind::Usage`] if the outputs make no sense, or if the directory of one is that of another, lies within
    ///   it, or holds the state directory.
    /// - [`ErrorKind::Locked`] if another run holds the lock of a destination and waiting was not asked for.
    /// - [`ErrorKind::Output`] if a directory that [`Mode::Create`](super::Mode::Create) is to make has data, or
    ///   something cannot be written.
    /// - What [`open`](Store::open) gives, for a commit that was decided before and has to be finished first.
    pub fn begin(&mut self, run: &str, outputs: Vec<OutputSpec>) -> Result<Transaction<'_>> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if run.is_empty() || run.len() > 64 || !run.bytes().all(is_name) {
            return Err(Error::new(ErrorKind::Usage, format!("{run:?} is no name of a run")));
        }
        self.recover()?;
        Transaction::begin(self, run, outputs)
    }

    /// The last commit whose payload has this `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if a commit record is damaged, or cannot be read.
    pub fn committed(&self, key: &str) -> Result<Option<Record>> {
        Records::of(&self.dir).with_key(key)
    }

    /// The last commit.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if its record is damaged, or cannot be read.
    pub fn last(&self) -> Result<Option<Record>> {
        Store::last_of(&self.dir)
    }

    /// The last commit of a state directory, which need not be locked, nor exist.
    ///
    /// # Errors
    /// As [`last`](Store::last).
    pub fn last_of(dir: &Path) -> Result<Option<Record>> {
        let records = Records::of(dir);
        match records.last()? {
            0 => Ok(None),
            last => Record::read(&records.applied_path(last)).map(Some),
        }
    }

    /// Where the checkpoint of a run belongs: as long as a file is there, what the run has staged is kept. Write it
    /// with [`write_atomically`](super::write_atomically). It is removed when the run is committed, discarded or has
    /// failed, with `<run>/` and `<run>.*` beside it.
    pub fn checkpoint_path(&self, run: &str) -> PathBuf {
        staging::checkpoint_path(&self.dir, run)
    }

    /// The runs that have a checkpoint, sorted by name.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if the directory cannot be listed.
    pub fn checkpoints(&self) -> Result<Vec<String>> {
        let names = disk::names(&self.dir.join("checkpoints"))?;
        let run = |name: std::ffi::OsString| Some(name.to_str()?.strip_suffix(".checkpoint")?.to_owned());
        Ok(names.into_iter().filter_map(run).collect())
    }

    /// Removes the checkpoint of a run, and what the run has staged.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be removed.
    pub fn forget(&mut self, run: &str) -> Result<()> {
        let path = self.checkpoint_path(run);
        staging::remove(&self.dir, run)?;
        disk::remove(&path)
    }

    /// The directory below that of the state where a run leaves what the next one goes on from. It is of no account before a commit that names it; who makes it
    /// keeps it with [`keep_increments`](Store::keep_increments).
    pub fn increment_dir(dir: &Path, run: &str) -> PathBuf {
        dir.join(INCREMENTS).join(run)
    }

    /// Makes the directory for what a run leaves.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it cannot be made.
    pub fn make_increment_dir(&self, run: &str) -> Result<PathBuf> {
        let dir = Store::increment_dir(&self.dir, run);
        disk::make_dirs(&dir)?;
        disk::keep(&self.dir.join(INCREMENTS))?;
        Ok(dir)
    }

    /// Removes what other runs than these have left.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be removed.
    pub fn keep_increments(&self, runs: &[&str]) -> Result<()> {
        let dir = self.dir.join(INCREMENTS);
        for name in disk::names(&dir)? {
            if !runs.iter().any(|run| name == *run) {
                disk::remove_tree(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// The files that commits brought to a directory of an output, relative to it.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the record of one is damaged, or cannot be read.
    pub fn files_of(&self, commits: &[u64], path: &Path) -> Result<Vec<String>> {
        let records = Records::of(&self.dir);
        let destination = disk::canonical(path).unwrap_or_else(|_| path.to_owned());
        let mut files = Vec::new();
        for &commit in commits {
            let record = Record::read(&records.applied_path(commit))?;
            let outputs = record.outputs.into_iter().filter(|output| output.destination == destination);
            files.extend(outputs.flat_map(|output| output.files).map(|file| file.path));
        }
        Ok(files)
    }

    /// Appends a line to the log of runs, down to the disk.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it cannot be written.
    pub fn log_run(&self, run: &impl Serialize) -> Result<()> {
        runs::append(&self.dir, run)
    }

    /// The last `count` lines of the log of runs of a state directory, the oldest first. It need not be locked, nor
    /// exist. Lines that were not written to their ends are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the log cannot be read.
    pub fn runs(dir: &Path, count: usize) -> Result<Vec<serde_json::Value>> {
        runs::last(dir, count)
    }

    pub(super) fn wait(&self) -> Wait {
        self.wait
    }

    pub(super) fn tell_lock(&mut self, run: &str) -> Result<()> {
        self.lock.tell(Some(run))
    }

    /// Finishes commits that were decided.
    fn recover(&mut self) -> Result<()> {
        let records = Records::of(&self.dir);
        for (sequence, is_applied) in records.list()? {
            if is_applied {
                continue;
            }
            let path = records.pending_path(sequence);
            let record = Record::read(&path)?;
            let finish = || -> Result<()> {
                for output in &record.outputs {
                    destination::prepare(&output.destination)?;
                }
                let destinations = record.outputs.iter().map(|output| output.destination.as_path());
                let _locks = destination::lock(destinations, &record.run, self.wait)?;
                apply::verify(&record)?;
                apply::apply(&self.dir, &record)?;
                staging::remove(&self.dir, &record.run)
            };
            finish().map_err(|error| unfinished(error, &path))?;
            self.recovered.push(record);
        }
        Ok(())
    }

    /// Removes what was staged by runs that are committed or have no checkpoint.
    fn remove_stale(&mut self) -> Result<()> {
        let records = Records::of(&self.dir);
        for run in Staging::runs(&self.dir)? {
            let Some(staging) = Staging::read(&self.dir, &run)? else { continue };
            let path = records.applied_path(staging.sequence);
            let is_committed = disk::metadata(&path)?.is_some() && Record::read(&path)?.run == run;
            if is_committed || disk::metadata(&self.checkpoint_path(&run))?.is_none() {
                staging::remove(&self.dir, &run)?;
            }
        }
        Ok(())
    }
}

/// The directory of what commits leave for the next run.
const INCREMENTS: &str = "increments";

/// The error of a commit that is decided but could not be finished.
pub(super) fn unfinished(error: Error, record: &Path) -> Error {
    if error.kind() == ErrorKind::Locked {
        return error;
    }
    let advice = format!(
        "the commit is decided: run again when the cause is gone, and it will be finished first; its record is {}",
        record.display()
    );
    error.hint(advice)
}

/// Removes what was being written when a process died.
fn remove_hidden(dir: &Path) -> Result<()> {
    for name in disk::names(dir)? {
        if name.to_string_lossy().starts_with('.') {
            let path = dir.join(name);
            match disk::metadata(&path)? {
                Some(there) if there.is_dir() => disk::remove_tree(&path)?,
                _ => disk::remove(&path)?,
            }
        }
    }
    Ok(())
}
