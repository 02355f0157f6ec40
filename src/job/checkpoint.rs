//! Checkpoints of a job: what is written down while a run goes on, and the one to go on from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inputs::{InputFile, changed_input};
use super::run::{Job, RunOptions};
use super::store::{FilePosition, Position, Seal, Store};
use super::takers::of_json;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::PassState;

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    /// What tells the job over its inputs from others.
    pub(super) key: String,
    /// The same of the job alone.
    pub(super) job: String,
    /// The run whose increment the run went on from.
    pub(super) after: Option<String>,
    pub(super) inputs: Vec<(String, Vec<InputFile>)>,
    pub(super) pass: PassState,
    /// The files beside the outputs.
    pub(super) files: Vec<(PathBuf, FilePosition)>,
}

/// What checkpoint files begin with.
pub(super) const CHECKPOINT: Seal = Seal { kind: "checkpoint", version: 2 };

impl Job {
    /// The checkpoint to go on from, with its run. One that is of no use is removed.
    pub(super) fn saved(
        &self,
        store: &mut Store,
        (key, after): (Option<&str>, Option<&str>),
        inputs: &[(String, Vec<InputFile>)],
        options: &RunOptions,
        notes: &mut Vec<String>,
    ) -> Result<Option<(String, Saved)>> {
        for run in store.checkpoints()? {
            let path = store.checkpoint_path(&run);
            let bytes = std::fs::read(&path).map_err(|error| {
                Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.clone())).caused_by(error)
            })?;
            let saved: Result<Saved> = CHECKPOINT.open(&bytes, &path);
            let why = match saved {
                Ok(_) if options.restart => "--restart says so".to_owned(),
                Ok(saved) if saved.after.as_deref() != after => "another run has been committed since".to_owned(),
                Ok(saved) if Some(saved.key.as_str()) == key => match self.check_saved(&saved, &run, &path) {
                    Err(error) => error.to_string(),
                    Ok(()) => {
                        notes.push(format!(
                            "resumed run {run} from its checkpoint, after {} records",
                            crate::output::grouped(saved.pass.records())
                        ));
                        return Ok(Some((run, saved)));
                    }
                },
                Ok(saved) if saved.job != self.file.hash() => "the job or its variables are others now".to_owned(),
                Ok(saved) => changed_input(&saved.inputs, inputs),
                Err(error) => error.to_string(),
            };
            store.forget(&run)?;
            notes.push(started_over(&run, &why));
        }
        Ok(None)
    }

    /// Whether all that a checkpoint tells of is what it was: the runs beside it, and what the run staged.
    fn check_saved(&self, saved: &Saved, run: &str, path: &Path) -> Result<()> {
        saved.pass.check(&path.with_extension(""))?;
        let outputs = saved.pass.outputs.iter().take(self.file.tables().outputs.len());
        for position in outputs.filter(|kept| !kept.is_null()) {
            of_json::<Position>(position)?.check(run)?;
        }
        saved.files.iter().try_for_each(|(_, position)| position.check(run))
    }
}

fn started_over(run: &str, why: &str) -> String {
    format!("started over in place of going on from the checkpoint of run {run}: {why}")
}
