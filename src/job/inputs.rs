//! The files that a job reads, and whether they are those of another run.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::file::hex;
use super::increment;
use super::run::Job;
use super::store::{Mode, Record, Store};
use super::table::{self, OnChanged};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::input::{Source as File, expand, stands_for_none, within};

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

/// Whether an input is there again when it was read: standard input and pipes are not.
pub(super) fn is_kept(path: &str) -> bool {
    path != "-" && Path::new(path).is_file()
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

impl Job {
    /// The files that the job reads, as they are now: those of each source, and those that queries name themselves.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if one is not there.
    pub fn inputs(&self) -> Result<Vec<(String, Vec<InputFile>)>> {
        let mut inputs = Vec::new();
        for name in self.file.tables().sources.keys() {
            let found = expand(&self.files(name)).and_then(look_at);
            inputs.push((name.clone(), found.map_err(|error| self.read_by(name, error))?));
        }
        for file in &self.named {
            let name = within(self.file.folder(), file);
            inputs.push((file.clone(), look_at(expand(&[name])?)?));
        }
        Ok(inputs)
    }

    /// An error of the files of a source, with the line in the job file that names them.
    fn read_by(&self, source: &str, error: Error) -> Error {
        match (error.advice(), self.file.place_of_files(source)) {
            (None, Some(place)) => error.hint(format!("the source {source} reads it: {place}")),
            _ => error,
        }
    }

    /// The files and globs of a source. What the job is to write there itself may not be there yet.
    pub(super) fn files(&self, source: &str) -> Vec<String> {
        let tables = self.file.tables();
        let names = tables.sources.get(source).map_or(&[][..], |source| source.files.as_slice());
        let is_own = |name: &String| {
            let path = self.file.resolve(name);
            tables.outputs.iter().any(|output| path.starts_with(self.file.resolve(&output.path)))
        };
        let all = names.iter().zip(self.file.files(source));
        all.filter(|(name, file)| !(is_own(name) && stands_for_none(file))).map(|(_, file)| file).collect()
    }

    /// Refuses to write over what is read.
    pub(super) fn check_paths(&self, inputs: &[(String, Vec<InputFile>)]) -> Result<()> {
        let tables = self.file.tables();
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let inputs = inputs.iter().flat_map(|(_, files)| files).map(|file| Path::new(&file.path));
        let read: Vec<PathBuf> = inputs.chain([self.file.path()]).filter_map(real).collect();
        let refuse = |what: String, path: &Path| {
            let error = Error::new(ErrorKind::Usage, format!("{what} would replace what the job reads"));
            Err(error.at(Place::File(path.to_owned())).hint("choose another path"))
        };
        let rejects = tables.sources.values().filter_map(|source| Some(("rejects", source.rejects.as_deref()?)));
        let quarantines = tables.checks.iter().filter_map(|check| Some(("quarantine", check.quarantine.as_deref()?)));
        for (what, path) in rejects.chain(quarantines) {
            let path = self.file.resolve(path);
            if real(&path).is_some_and(|path| read.contains(&path)) {
                return refuse(format!("the file of {what}"), &path);
            }
        }
        for output in &tables.outputs {
            let path = self.file.resolve(&output.path);
            let replaces = matches!(output.mode, Mode::Overwrite | Mode::OverwritePartitions);
            let Some(folder) = real(&path).filter(|_| replaces) else { continue };
            if read.iter().any(|file| file.starts_with(&folder)) {
                return refuse(format!("output {}", output.name), &path);
            }
        }
        Ok(())
    }

    /// Whether the outputs are still those of a commit. Where rows are appended they are, whatever came after it.
    pub(super) fn is_there(&self, record: &Record) -> bool {
        let outputs = &self.file.tables().outputs;
        let appends = |output: &table::Output| output.mode == Mode::Append;
        let is_of_commit = |output: &table::Output| {
            let success = std::fs::read(self.file.resolve(&output.path).join("_SUCCESS")).unwrap_or_default();
            let success: Json = serde_json::from_slice(&success).unwrap_or_default();
            success.get("run").and_then(Json::as_str) == Some(record.run.as_str())
        };
        outputs.iter().any(appends) || outputs.iter().all(is_of_commit)
    }

    /// What tells this job over these inputs from others.
    pub(super) fn key(&self, inputs: &[(String, Vec<InputFile>)]) -> Option<String> {
        let mut digest = Sha256::new();
        digest.update(self.file.hash());
        for (name, files) in inputs {
            digest.update(json!([name, files.len()]).to_string());
            for InputFile { path, len, changed } in files {
                if !is_kept(path) {
                    return None;
                }
                digest.update(json!([path, len, changed.to_string()]).to_string());
            }
        }
        Some(hex(&digest.finalize()))
    }

    /// Decides what an incremental job is to read after the last commit, if there is one; `anew` says that all is to be read.
    pub(super) fn plan_increment(
        &self,
        last: Option<&Record>,
        inputs: &[(String, Vec<InputFile>)],
        anew: bool,
    ) -> Result<increment::Plan> {
        let tables = self.file.tables();
        let format = |name: &String| Some((name.clone(), tables.sources.get(name)?.format.map(Into::into)));
        let outputs: Vec<PathBuf> =
            tables.outputs.iter().filter_map(|output| self.file.resolve(&output.path).canonicalize().ok()).collect();
        // What the job itself has written is no other input for that.
        let is_own = |file: &InputFile| {
            let path = std::fs::canonicalize(&file.path);
            path.is_ok_and(|path| outputs.iter().any(|output| path.starts_with(output)))
        };
        let is_lookup = |name: &String| self.lookups.contains(name) || !tables.sources.contains_key(name);
        let lookups = inputs
            .iter()
            .filter(|(name, _)| is_lookup(name))
            .map(|(name, files)| (name.clone(), files.iter().filter(|file| !is_own(file)).cloned().collect()));
        let given = increment::Inputs {
            job: &self.file.hash(),
            read: self.read.iter().filter_map(format).collect(),
            sources: inputs.iter().filter(|(name, _)| self.read.contains(name)).cloned().collect(),
            lookups: lookups.collect(),
            max_line: self.settings.max_line,
        };
        let may_rebuild = tables.run.on_changed == OnChanged::Rebuild;
        let last = last.and_then(|record| {
            let dir = Store::increment_dir(&self.file.state(), increment_of(record)?);
            let commits = record.payload.get("commits")?.as_array()?.iter().filter_map(Json::as_u64).collect();
            Some(increment::Last { dir, commits })
        });
        increment::Plan::new(last, given, anew, may_rebuild)
    }

    /// Whether the job looks up what is in the directory of an output.
    pub(super) fn reads_output(&self, path: &Path, inputs: &[(String, Vec<InputFile>)]) -> bool {
        let Ok(path) = path.canonicalize() else { return false };
        let is_within = |file: &InputFile| std::fs::canonicalize(&file.path).is_ok_and(|file| file.starts_with(&path));
        let is_looked_up = |name: &String| self.lookups.contains(name) || self.named.contains(name);
        inputs.iter().any(|(name, files)| is_looked_up(name) && files.iter().any(is_within))
    }
}

/// The run that left what there is to go on from, if the commit is one of an incremental job.
pub(super) fn increment_of(record: &Record) -> Option<&str> {
    record.payload.get("increment")?.as_str()
}
