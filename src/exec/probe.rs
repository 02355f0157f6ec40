//! A look at the first block, for the report on paths that no record had.
//!
//! For a path that no record of the first block has, the nearest names that its records do have are extracted too, in
//! all blocks, so that the report can say how many records have them.

use std::collections::BTreeSet;

use bumpalo::Bump;

use super::Settings;
use crate::plan::Plan;
use crate::scan::{Batch, Kind, Limits, Path, Scanner, Step};
use crate::sql::nearest;
use crate::value::{json, text};

/// The records looked at.
const MOST_RECORDS: usize = 1000;

/// What was found.
pub(super) struct Probe {
    /// The paths of the plan, then those that are watched.
    pub(super) paths: Vec<Path>,
    /// For each watched path the number of the path that it is near to.
    pub(super) near: Vec<usize>,
}

impl Probe {
    /// Without a look: for what is no record of an input.
    pub(super) fn without_look(plan: &Plan) -> Probe {
        Probe { paths: plan.paths.clone(), near: Vec::new() }
    }

    pub(super) fn new(plan: &Plan, settings: &Settings, block: &[u8]) -> Probe {
        let mut probe = Probe { paths: plan.paths.clone(), near: Vec::new() };
        let mut batch = Batch::default();
        let limits = Limits { max_depth: settings.max_depth, max_line: settings.max_line };
        Scanner::new(&plan.paths, limits).scan(block, &mut batch);
        for (number, path) in plan.paths.iter().enumerate() {
            let missing = batch.columns[number].iter().all(|cell| cell.kind() == Kind::Missing);
            if missing
                && let Some(watched) = similar(path, &batch, block)
                && !plan.paths.contains(&watched)
            {
                probe.paths.push(watched);
                probe.near.push(number);
            }
        }
        probe
    }
}

/// The path that records have whose name is nearest to the one that they do not have.
fn similar(path: &Path, batch: &Batch, block: &[u8]) -> Option<Path> {
    let arena = Bump::new();
    let mut best: Option<Path> = None;
    // The deepest step that no record can take is the misspelt one.
    for depth in 0..path.steps.len() {
        let Step::Key(wanted) = &path.steps[depth] else { continue };
        let mut names = BTreeSet::new();
        let mut found = false;
        for row in batch.rows.iter().take(MOST_RECORDS) {
            let Some(parent) = follow(row.of(block), &path.steps[..depth]) else { continue };
            if parent.first() == Some(&b'[')
                && json::index(parent, 0).is_some_and(|first| json::get(first, wanted).is_some())
            {
                // The elements have what the array cannot have.
                let (before, after) = path.steps.split_at(depth);
                return Some(Path { steps: [before, &[Step::Index(0)], after].concat() });
            }
            if parent.first() != Some(&b'{') {
                continue;
            }
            for (key, escaped, _) in json::entries(parent) {
                let name = text::lossy(json::key_text(key, escaped, &arena)).into_owned();
                found |= name == *wanted;
                names.insert(name);
            }
        }
        if found {
            continue;
        }
        if let Some(name) = nearest(wanted, names.iter().map(String::as_str)) {
            let mut steps = path.steps[..depth].to_vec();
            steps.push(Step::Key(name.to_owned()));
            best = Some(Path { steps });
        }
        break;
    }
    best
}

fn follow<'t>(text: &'t [u8], steps: &[Step]) -> Option<&'t [u8]> {
    steps.iter().try_fold(text.trim_ascii(), |text, step| match step {
        Step::Key(key) => json::get(text, key),
        Step::Index(index) => json::index(text, i64::from(*index)),
    })
}
