//! Transactions: from the staging of a run to its commit.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::apply::{self, no_directory};
use super::destination::{self, SUCCESS, Sequence};
use super::disk::{self, step};
use super::lock::{self, Lock};
use super::loose::{self, FileMode, FilePosition, LooseFile};
use super::output::{Output, Position, joined};
use super::record::{FileRecord, LooseRecord, OutputRecord, Record, Records};
use super::spec::{Mode, OutputSpec};
use super::staging::{self, Staging};
use super::state::{Store, unfinished};
use crate::error::{Error, ErrorKind, Place, Result};

/// A run that stages its outputs, to be committed all or nothing.
///
/// When it is dropped without having been committed, discarded or failed, what it staged is removed, unless the run has
/// a [checkpoint](Store::checkpoint_path) that refers to it.
#[derive(Debug)]
pub struct Transaction<'s> {
    store: &'s mut Store,
    run: String,
    staging: Staging,
    outputs: Vec<Planned>,
    _locks: Vec<Lock>,
    /// Whether what is staged must stay, or is gone already.
    is_over: bool,
}

/// An output that is to be.
#[derive(Debug)]
struct Planned {
    spec: OutputSpec,
    destination: PathBuf,
    is_open: bool,
}

impl<'s> Transaction<'s> {
    pub(super) fn begin(store: &'s mut Store, run: &str, specs: Vec<OutputSpec>) -> Result<Transaction<'s>> {
        let mut outputs: Vec<Planned> = Vec::with_capacity(specs.len());
        for spec in specs {
            spec.check()?;
            if outputs.iter().any(|other| other.spec.name == spec.name) {
                return Err(Error::new(ErrorKind::Usage, format!("two outputs have the name {}", spec.name)));
            }
            let destination = destination::prepare(&spec.path)?;
            outputs.push(Planned { spec, destination, is_open: false });
        }
        check_apart(&outputs, store.dir())?;
        let destinations = || outputs.iter().map(|output| output.destination.as_path());
        for destination in destinations() {
            finish_foreign(destination, store)?;
        }
        store.tell_lock(run)?;
        let locks = destination::lock(destinations(), run, store.wait())?;
        step("begin.locked")?;
        let mut sequence = Records::of(store.dir()).last()?;
        for output in &outputs {
            let seen = Sequence::read(&output.destination)?;
            if let Some(state) = seen.unfinished()? {
                return Err(left_unfinished(&output.destination, state));
            }
            sequence = sequence.max(seen.used()?);
            if output.spec.mode == Mode::Create {
                check_empty(output)?;
            }
            destination::remove_orphans(&output.destination)?;
        }
        // A run that goes on has noted the files beside its outputs.
        let mut staging = Staging::read(store.dir(), run)?.unwrap_or_default();
        staging.sequence = sequence + 1;
        for path in destinations() {
            if !staging.destinations.iter().any(|known| known == path) {
                staging.destinations.push(path.to_owned());
            }
        }
        staging.write(store.dir(), run)?;
        step("begin.intended")?;
        let transaction = Transaction { store, run: run.to_owned(), staging, outputs, _locks: locks, is_over: false };
        for output in &transaction.outputs {
            destination::make_run_dir(&output.destination, run, transaction.store.dir())?;
        }
        Ok(transaction)
    }

    /// The number that the commit will have.
    pub fn sequence(&self) -> u64 {
        self.staging.sequence
    }

    /// Where the checkpoint of this run belongs: [`Store::checkpoint_path`].
    pub fn checkpoint_path(&self) -> PathBuf {
        self.store.checkpoint_path(&self.run)
    }

    /// The directory for what the checkpoint of this run refers to, which is made if it is not there. It is removed with the
    /// checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if it cannot be made.
    pub fn checkpoint_dir(&self) -> Result<PathBuf> {
        let dir = self.checkpoint_path().with_extension("");
        disk::make_dirs(&dir)?;
        Ok(dir)
    }

    /// An output by its name, empty or from a position on, which it had in an earlier process. Each output of the run
    /// must be taken once.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be written, or what belongs to the position is not there any more, or
    /// the output was defined otherwise then; [`ErrorKind::Internal`] if there is no such output or it was taken
    /// before.
    pub fn output(&mut self, name: &str, from: Option<&Position>) -> Result<Output> {
        let planned = self.outputs.iter_mut().find(|output| output.spec.name == name && !output.is_open);
        let Some(planned) = planned else {
            return Err(Error::new(ErrorKind::Internal, format!("there is no output {name}, or it was taken before")));
        };
        planned.is_open = true;
        let staged = destination::staged_dir(&planned.destination, &self.run);
        match from {
            Some(position) => Output::resume(planned.spec.clone(), &staged, position),
            None => {
                disk::remove_tree(&staged)?;
                disk::make_dirs(&staged)?;
                Output::new(planned.spec.clone(), &staged)
            }
        }
    }

    /// A file beside the outputs, empty or from a position on, which it had in an earlier process. Its directory is
    /// made if it is not there.
    ///
    /// # Errors
    /// As [`output`](Transaction::output); [`ErrorKind::Usage`] if the path is within the directory of an output, or
    /// names no file.
    pub fn file(&mut self, path: &Path, mode: FileMode, from: Option<&FilePosition>) -> Result<LooseFile> {
        let Some(name) = path.file_name() else {
            return Err(Error::new(ErrorKind::Usage, "this names no file").at(Place::File(path.to_owned())));
        };
        let folder = disk::folder(path);
        disk::make_dirs(folder)?;
        let path = disk::canonical(folder)?.join(name);
        if std::fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            let error = Error::new(ErrorKind::Usage, "this is no regular file, and would be replaced by one");
            return Err(error.at(Place::File(path)).hint("choose another path"));
        }
        if let Some(output) = self.outputs.iter().find(|output| path.starts_with(&output.destination)) {
            let message = format!("this file would be part of the data of output {}", output.spec.name);
            return Err(Error::new(ErrorKind::Usage, message)
                .at(Place::File(path))
                .hint("choose another directory for it"));
        }
        let staged = loose::staged_path(&path, &self.run);
        if !self.staging.files.contains(&staged) {
            self.staging.files.extend([staged.clone(), loose::whole(&staged)]);
            self.staging.write(self.store.dir(), &self.run)?;
        }
        LooseFile::open(path, staged, mode, from)
    }

    /// Makes everything visible: all outputs, and files beside them, or nothing.
    ///
    /// `payload` is kept in the record; its `key`, if it is an object with one, is what [`Store::committed`] finds.
    ///
    /// # Errors
    /// - [`ErrorKind::Output`] if something cannot be written, or something is in the way. Unless the error's advice
    ///   says that the commit is decided, nothing has changed. If it says so, the next [`Store::open`] finishes the
    ///   commit. After an error that came when all was done, that staged files cannot be removed, say, it has nothing
    ///   to finish but removes them.
    /// - [`ErrorKind::Internal`] if an output of the run is missing.
    pub fn commit(mut self, outputs: Vec<Output>, files: Vec<LooseFile>, payload: serde_json::Value) -> Result<Record> {
        let record = self.stage(outputs, files, payload)?;
        step("commit.staged")?;
        self.check(&record)?;
        step("commit.checked")?;
        for output in &record.outputs {
            Sequence::claim(&output.destination, record.sequence, self.store.dir())?;
        }
        step("commit.claimed")?;
        let records = Records::of(self.store.dir());
        let pending = records.pending_path(record.sequence);
        let temporary = disk::write_temporary(&pending, &record.bytes()?)?;
        step("commit.written")?;
        // From here on what is staged may be all that there is of the data.
        self.is_over = true;
        let decide = || -> Result<()> {
            disk::rename_new(&temporary, &pending)?;
            disk::sync_dir(records.dir())?;
            step("commit.published")?;
            disk::remove(&temporary)?;
            apply::apply(self.store.dir(), &record)
        };
        decide().map_err(|error| unfinished(error, &pending))?;
        staging::remove(self.store.dir(), &self.run).map_err(after_commit)?;
        Ok(record)
    }

    /// Commits nothing, and puts the files beside the outputs into `<state>/failed/<run>/`, which is given: the report
    /// and the rejects of a run that failed its checks. Files that would have been appended to are there with their new
    /// bytes alone.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be written.
    pub fn fail(mut self, outputs: Vec<Output>, files: Vec<LooseFile>) -> Result<PathBuf> {
        drop(outputs);
        let failed = self.store.dir().join("failed");
        let (dir, temporary) = (failed.join(&self.run), failed.join(format!(".{}", self.run)));
        disk::remove_tree(&temporary)?;
        disk::make_dirs(&temporary)?;
        // Nothing goes on from here any more.
        staging::remove_checkpoint(self.store.dir(), &self.run)?;
        let mut names = BTreeSet::new();
        for file in files {
            let (path, staged) = file.finish_alone()?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut unique = name.clone();
            for number in 2.. {
                if names.insert(unique.clone()) {
                    break;
                }
                unique = format!("{number}-{name}");
            }
            disk::move_file(&staged, &temporary.join(unique))?;
            step("fail.moved")?;
        }
        disk::sync_dir(&temporary)?;
        disk::remove_tree(&dir)?;
        disk::rename(&temporary, &dir)?;
        disk::sync_dir(&failed)?;
        step("fail.published")?;
        self.is_over = true;
        staging::remove(self.store.dir(), &self.run)?;
        Ok(dir)
    }

    /// Commits nothing, and removes what was staged, and the checkpoint of the run.
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if something cannot be removed; the next [`Store::open`] does it then.
    pub fn discard(mut self) -> Result<()> {
        self.is_over = true;
        staging::remove(self.store.dir(), &self.run)
    }

    /// Finishes what is staged, and says what a commit has to do.
    fn stage(&self, outputs: Vec<Output>, files: Vec<LooseFile>, payload: serde_json::Value) -> Result<Record> {
        let mut finished = Vec::with_capacity(outputs.len());
        for output in outputs {
            finished.push(output.finish()?);
        }
        let sequence = self.staging.sequence;
        let mut records = Vec::with_capacity(self.outputs.len());
        for planned in &self.outputs {
            let name = &planned.spec.name;
            let Some(place) = finished.iter().position(|(spec, ..)| spec.name == *name) else {
                return Err(Error::new(ErrorKind::Internal, format!("the run is committed without its output {name}")));
            };
            let (spec, rows, staged) = finished.swap_remove(place);
            let partitions: BTreeSet<&str> = staged.iter().map(|file| file.partition.as_str()).collect();
            let replaced = replaced(&spec, &planned.destination, partitions)?;
            let files = staged.into_iter().map(|file| FileRecord {
                path: joined(&file.partition, &format!("part-{sequence:06}-{}", file.name)),
                staged: file.staged,
                rows: file.written.rows,
                bytes: file.written.bytes,
                xxh64: file.written.checksum(),
            });
            records.push(OutputRecord {
                name: spec.name,
                destination: planned.destination.clone(),
                mode: spec.mode,
                rows,
                replaced,
                files: files.collect(),
            });
        }
        let files = files.into_iter().filter_map(|file| file.finish().transpose());
        Ok(Record {
            sequence,
            run: self.run.clone(),
            committed: lock::now(),
            outputs: records,
            files: files.collect::<Result<_>>()?,
            payload,
        })
    }

    /// Finds before anything is decided what would be in the way afterwards.
    fn check(&self, record: &Record) -> Result<()> {
        for (output, planned) in record.outputs.iter().zip(&self.outputs) {
            if output.mode == Mode::Create {
                check_empty(planned)?;
            }
            check_output(output, &record.run)?;
        }
        record.files.iter().try_for_each(check_file)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let has_checkpoint = || !matches!(disk::metadata(&self.checkpoint_path()), Ok(None));
        if !self.is_over && !has_checkpoint() {
            // There is nobody to tell. The next run on this state directory tries again.
            drop(staging::remove(self.store.dir(), &self.run));
        }
    }
}

/// Refuses directories of outputs that lie within each other, or hold the state directory.
fn check_apart(outputs: &[Planned], state: &Path) -> Result<()> {
    for (number, output) in outputs.iter().enumerate() {
        let (name, path) = (&output.spec.name, &output.destination);
        let within = outputs[..number]
            .iter()
            .find(|other| path.starts_with(&other.destination) || other.destination.starts_with(path));
        let message = match within {
            Some(other) if other.destination == *path => {
                format!("outputs {} and {name} are one directory", other.spec.name)
            }
            Some(other) => {
                format!("of the directories of outputs {} and {name} one lies within the other", other.spec.name)
            }
            None if state.starts_with(path) => format!("output {name} is the directory that holds the job's state"),
            None => continue,
        };
        return Err(Error::new(ErrorKind::Usage, message).at(Place::File(path.clone())));
    }
    Ok(())
}

/// Finishes the commit of another state directory that was decided, but not finished in a destination.
fn finish_foreign(destination: &Path, store: &Store) -> Result<()> {
    let sequence = Sequence::read(destination)?;
    match sequence.unfinished()? {
        Some(state) if state != store.dir() => Store::open(state, store.wait()).map(drop),
        _ => Ok(()),
    }
}

/// An error that came when a commit was done.
pub fn after_commit(error: Error) -> Error {
    error.hint("the commit is done: run again when the cause is gone, and what is left will be put in order")
}

fn left_unfinished(destination: &Path, state: &Path) -> Error {
    let message = format!("a commit of the job with the state directory {} is not finished here", state.display());
    Error::new(ErrorKind::Locked, message)
        .at(Place::File(destination.to_owned()))
        .hint("run that job again, which finishes it first")
}

fn check_empty(output: &Planned) -> Result<()> {
    let path = &output.destination;
    if destination::data(path)?.is_empty() && disk::metadata(&path.join(SUCCESS))?.is_none() {
        return Ok(());
    }
    let message = format!("output {} is to be created, but there is data", output.spec.name);
    Err(Error::new(ErrorKind::Output, message)
        .at(Place::File(path.clone()))
        .hint("choose another directory, or another mode: overwrite, append or overwrite_partitions"))
}

/// What goes away, relative to the destination, when there are rows in these partitions.
fn replaced(spec: &OutputSpec, destination: &Path, partitions: BTreeSet<&str>) -> Result<Vec<String>> {
    match spec.mode {
        Mode::Append => {
            let mut replaced = Vec::new();
            for file in &spec.replaces {
                if disk::metadata(&destination.join(file))?.is_some() {
                    replaced.push(file.clone());
                }
            }
            Ok(replaced)
        }
        Mode::Create => Ok(Vec::new()),
        Mode::Overwrite => destination::data(destination),
        Mode::OverwritePartitions => {
            let mut replaced = Vec::new();
            for partition in partitions {
                if disk::metadata(&destination.join(partition))?.is_some() {
                    replaced.push(partition.to_owned());
                }
            }
            Ok(replaced)
        }
    }
}

/// Refuses what a rename could not do, or would do elsewhere: links, other file systems, names that are taken.
fn check_output(output: &OutputRecord, run: &str) -> Result<()> {
    let destination = &output.destination;
    let device = device(&destination::run_dir(destination, run))?;
    let mut known = BTreeSet::new();
    for name in &output.replaced {
        let path = destination.join(name);
        check_parents(destination, &path, device, &mut known)?;
        if disk::metadata(&path)?.is_some_and(|there| there.dev() != device) {
            return Err(elsewhere(&path));
        }
    }
    if output.mode == Mode::Overwrite {
        // Nothing of what is there stays.
        return Ok(());
    }
    let replaced: BTreeSet<&Path> = output.replaced.iter().map(Path::new).collect();
    for file in &output.files {
        if replaced.contains(disk::folder(Path::new(&file.path))) {
            continue;
        }
        let path = destination.join(&file.path);
        check_parents(destination, &path, device, &mut known)?;
        if disk::metadata(&path)?.is_some() {
            return Err(Error::new(
                ErrorKind::Output,
                "there is a file by the name of a new one, which foldl did not write",
            )
            .at(Place::File(path))
            .hint("move it away"));
        }
    }
    Ok(())
}

/// Checks that the directories between the destination and a path are directories of the same file system, if they are
/// there.
fn check_parents(destination: &Path, path: &Path, device: u64, known: &mut BTreeSet<PathBuf>) -> Result<()> {
    let parents = path.ancestors().skip(1).take_while(|dir| *dir != destination && dir.starts_with(destination));
    for dir in parents {
        if !known.insert(dir.to_owned()) {
            break;
        }
        match disk::metadata(dir)? {
            Some(there) if !there.is_dir() => return Err(no_directory(dir)),
            Some(there) if there.dev() != device => return Err(elsewhere(dir)),
            _ => {}
        }
    }
    Ok(())
}

fn check_file(file: &LooseRecord) -> Result<()> {
    match disk::metadata(&file.path)? {
        Some(there) if there.is_dir() => {
            Err(Error::new(ErrorKind::Output, "there is a directory by the name of a new file")
                .at(Place::File(file.path.clone())))
        }
        _ => Ok(()),
    }
}

fn device(path: &Path) -> Result<u64> {
    match disk::metadata(path)? {
        Some(there) => Ok(there.dev()),
        None => Err(Error::new(ErrorKind::Output, "what was staged is gone").at(Place::File(path.to_owned()))),
    }
}

fn elsewhere(path: &Path) -> Error {
    Error::new(ErrorKind::Output, "this is on another file system than the rest of the output")
        .at(Place::File(path.to_owned()))
        .hint("an output must be on one file system, as files are staged within it and then renamed")
}
