//! Increments: what a pass leaves for a later one, which reads only what came since and has the same results.
//!
//! When an input has been read, the groups and the sorted rows of each run are merged to one run on disk each, which are
//! kept in a file. A later pass with the same queries merges them with its own, so that it ends as if it had read all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cut::add;
use super::worker::Part;
use super::{Run, Shared};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::group;
use crate::plan::{Body, Plan, Source};
use crate::sort;
use crate::spill::{self, KeptFile, KeptRun};

/// How the rows of a query come, with regard to the records of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As the records do, each record having its rows whatever the others are: what comes later only adds rows.
    AsRecords,
    /// When all records have been read.
    AtEnd,
    /// Some records are left out by their number, with LIMIT or OFFSET.
    Counted,
    /// It reads for itself: it has no single source to begin with.
    Apart,
}

impl Flow {
    /// How the rows of a plan come.
    pub fn of(plan: &Plan) -> Flow {
        let below = match &plan.source {
            Source::Named(_) => Flow::AsRecords,
            Source::Queries { queries, .. } => match queries.as_slice() {
                [query] => Flow::of(query),
                _ => Flow::Apart,
            },
            Source::Input | Source::Files(_) => Flow::Apart,
        };
        match &plan.body {
            _ if below != Flow::AsRecords => below,
            _ if plan.streams() => Flow::AsRecords,
            Body::Rows(_) if plan.order.is_empty() => Flow::Counted,
            Body::Rows(_) | Body::Groups(_) => Flow::AtEnd,
        }
    }
}

/// What a pass leaves for a later one over what comes after its input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PassEnd {
    /// For each input what was known when it had been read.
    pub(super) readings: Vec<ReadingEnd>,
}

impl PassEnd {
    /// The number of lines of a file up to where an input of this name was read; `None` if it was not.
    pub fn lines(&self, input: &str, path: &str) -> Option<u64> {
        let reading = self.readings.iter().find(|reading| reading.name == input)?;
        reading.lines.iter().find(|(name, _)| name == path).map(|(_, lines)| *lines)
    }
}

/// What is known when an input has been read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReadingEnd {
    /// The name of the input.
    pub(super) name: String,
    /// For each file that was read its path, and the lines up to where it was read.
    lines: Vec<(String, u64)>,
    seats: Vec<SeatEnd>,
}

/// Where the groups and the sorted rows of a run lie, if it has any that are kept.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct SeatEnd {
    groups: Option<KeptRun>,
    rows: Option<KeptRun>,
}

/// Says where a pass leaves what a later one goes on from, and what it goes on from itself.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The directory for what is kept. It is there.
    pub dir: PathBuf,
    /// What an earlier pass with the same queries left, and the directory where it did.
    pub before: Option<(PathBuf, PassEnd)>,
}

impl Keeping {
    /// Merges what the workers have of one input with what is there from before, and keeps that. `seats` tells the runs, and
    /// whether what they have is kept.
    pub(super) fn close(
        &self,
        number: usize,
        name: &str,
        lines: Vec<(String, u64)>,
        seats: &[(&Run, bool)],
        parts: &mut [Vec<Part>],
    ) -> Result<ReadingEnd> {
        let before = self
            .before
            .as_ref()
            .and_then(|(dir, end)| Some((dir, end.readings.iter().find(|reading| reading.name == name)?)));
        if before.is_some_and(|(_, before)| before.seats.len() != seats.len()) {
            return Err(Error::new(ErrorKind::Input, "what an earlier run has left is not of these queries")
                .hint("start over with --again"));
        }
        let before_file = before.map(|(dir, _)| open(&path_of(dir, number))).transpose()?;
        let mut file = KeptFile::create(path_of(&self.dir, number))?;
        let mut ends = Vec::with_capacity(seats.len());
        for (seat, (&(run, is_kept), parts)) in seats.iter().zip(parts).enumerate() {
            if !is_kept {
                ends.push(SeatEnd::default());
                continue;
            }
            let known = before.map(|(_, before)| before.seats[seat]).unwrap_or_default();
            let from = |known: Option<KeptRun>| {
                known.zip(before_file.as_ref()).map(|(known, file)| spill::Run::kept(file, known, &run.shared.space))
            };
            let end = keep_seat(&mut file, run, parts, from(known.groups), from(known.rows));
            ends.push(end.map_err(|error| {
                match (before, error.kind()) {
                    (Some((dir, _)), ErrorKind::Input) => {
                        Error::new(ErrorKind::Input, "what the last commit has left cannot be read, or is damaged")
                            .at(Place::File(path_of(dir, number)))
                            .hint("start over with --again")
                    }
                    _ => error,
                }
            })?);
        }
        file.close()?;
        Ok(ReadingEnd { name: name.to_owned(), lines, seats: ends })
    }
}

/// Keeps what the workers have of one run, with what was there before. They have what is kept afterwards.
fn keep_seat(
    file: &mut KeptFile,
    run: &Run,
    parts: &mut Vec<Part>,
    groups_before: Option<spill::Run>,
    rows_before: Option<spill::Run>,
) -> Result<SeatEnd> {
    let Shared { budget, space, .. } = &run.shared;
    let (mut groups, mut rows) = (Vec::from_iter(groups_before), Vec::from_iter(rows_before));
    let mut found: Vec<u64> = Vec::new();
    for part in parts.drain(..) {
        add(&mut found, &part.found);
        if let (Body::Groups(of), Some(mut table)) = (&run.plan.body, part.table) {
            table.spill(&of.grouping)?;
            groups.extend(table.into_runs());
        }
        if let Some(mut sorter) = part.sorter {
            sorter.spill()?;
            rows.extend(sorter.take_runs());
        }
    }
    if let Body::Groups(of) = &run.plan.body
        && groups.len() > 1
    {
        groups = vec![group::merge_runs(&of.grouping, groups, budget, space)?];
    }
    if rows.len() > 1 {
        rows = vec![sort::merge_runs(rows, run.plan.last_row(), budget, space)?];
    }
    let (groups, groups_at) = groups.pop().map(|run| file.keep(run)).transpose()?.unzip();
    let (rows, rows_at) = rows.pop().map(|run| file.keep(run)).transpose()?.unzip();
    if groups.is_some() || rows.is_some() {
        parts.push(Part::of_kept(run, Vec::from_iter(groups), Vec::from_iter(rows), found)?);
    }
    Ok(SeatEnd { groups: groups_at, rows: rows_at })
}

fn path_of(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("{number}.runs"))
}

fn open(path: &Path) -> Result<Arc<File>> {
    let file = File::open(path).map_err(|error| {
        Error::new(ErrorKind::Input, "cannot read what an earlier run has left")
            .at(Place::File(path.to_owned()))
            .caused_by(error)
            .hint("start over with --again")
    })?;
    Ok(Arc::new(file))
}
