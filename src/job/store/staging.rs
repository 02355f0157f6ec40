//! What a run has staged where: written down before it is there, so that it can be removed wherever a run ends.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::destination;
use super::disk;
use super::sealed::Seal;
use crate::error::Result;

const SEAL: Seal = Seal { kind: "staging", version: 1 };

/// Where a run stages: `<state>/staging/<run>.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Staging {
    /// The number that its commit is to have.
    pub(super) sequence: u64,
    /// The directories of its outputs.
    pub(super) destinations: Vec<PathBuf>,
    /// The staged files beside them.
    pub(super) files: Vec<PathBuf>,
}

impl Staging {
    pub(super) fn read(state: &Path, run: &str) -> Result<Option<Staging>> {
        let path = Staging::path(state, run);
        disk::read(&path)?.map(|bytes| SEAL.open(&bytes, &path)).transpose()
    }

    pub(super) fn exists(state: &Path, run: &str) -> Result<bool> {
        Ok(disk::metadata(&Staging::path(state, run))?.is_some())
    }

    pub(super) fn write(&self, state: &Path, run: &str) -> Result<()> {
        disk::write_atomically(&Staging::path(state, run), &SEAL.seal(self)?)
    }

    /// The runs that have something staged.
    pub(super) fn runs(state: &Path) -> Result<Vec<String>> {
        let names = disk::names(&Staging::dir(state))?;
        let run = |name: std::ffi::OsString| Some(name.to_str()?.strip_suffix(".json")?.to_owned());
        Ok(names.into_iter().filter_map(run).filter(|run| !run.starts_with('.')).collect())
    }

    pub(super) fn dir(state: &Path) -> PathBuf {
        state.join("staging")
    }

    fn path(state: &Path, run: &str) -> PathBuf {
        Staging::dir(state).join(format!("{run}.json"))
    }
}

/// Where the checkpoint of a run is, if it has one.
pub(super) fn checkpoint_path(state: &Path, run: &str) -> PathBuf {
    state.join("checkpoints").join(format!("{run}.checkpoint"))
}

/// Removes the checkpoint of a run, then all that it has staged, and at last the note of it. Nothing is lost when it is
/// interrupted and done again.
pub(super) fn remove(state: &Path, run: &str) -> Result<()> {
    let Some(staging) = Staging::read(state, run)? else { return Ok(()) };
    remove_checkpoint(state, run)?;
    let checkpoints = state.join("checkpoints");
    for name in disk::names(&checkpoints)? {
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(run)) else { continue };
        if rest.is_empty() {
            disk::remove_tree(&checkpoints.join(&name))?;
        } else if rest.starts_with('.') {
            disk::remove(&checkpoints.join(&name))?;
        }
    }
    disk::step("cleanup.checkpoint")?;
    for path in &staging.destinations {
        disk::remove_tree(&destination::run_dir(path, run))?;
    }
    for path in &staging.files {
        disk::remove(path)?;
    }
    disk::step("cleanup.staging")?;
    disk::remove(&Staging::path(state, run))?;
    disk::step("cleanup.done")
}

/// Removes the checkpoint of a run, before anything that it refers to, and before the note that tells whether the run
/// is committed.
pub(super) fn remove_checkpoint(state: &Path, run: &str) -> Result<()> {
    let path = checkpoint_path(state, run);
    disk::remove(&path)?;
    disk::sync_dir(disk::folder(&path))
}
