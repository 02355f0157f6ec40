//! Paths of a query that no record had.

use super::probe::Probe;
use super::side::Side;
use super::summary::MissingPath;
use super::worker::Part;
use crate::plan::{FirstOf, Plan, Step};
use crate::scan::{self, Path};

/// What is known of a column of the plan.
struct Seen<'p> {
    path: &'p Path,
    /// Whether any record had it.
    found: bool,
    /// The name of the joined records that were looked at; `None` for those of FROM.
    of: Option<&'p str>,
    records: u64,
}

/// The paths of a plan that none of `records` records of FROM had, or of those of joins. A field that may be of several
/// records is missing if none had it.
pub(super) fn missing_paths(
    plan: &Plan,
    records: u64,
    parts: &[Part],
    probe: &Probe,
    sides: &[Option<Side>],
) -> Vec<MissingPath> {
    let found = |number: usize| parts.iter().map(|part| part.found[number]).sum::<u64>();
    let own = |(number, path)| Seen { path, found: found(number) > 0, of: None, records };
    let mut columns: Vec<Seen> = plan.paths.iter().enumerate().map(own).collect();
    for (step, side) in plan.steps.iter().zip(sides) {
        let seen = |(number, path)| match (step, side) {
            (Step::Join(join), Some(side)) => {
                let found = side.records == 0 || side.found[number];
                Seen { path, found, of: Some(&join.name), records: side.records }
            }
            // What elements have is not known.
            _ => Seen { path, found: true, of: None, records },
        };
        columns.extend(step.paths().iter().enumerate().map(seen));
    }
    let planned = plan.paths.len();
    // The record of FROM is asked first, and stands for all that are asked.
    let is_told_elsewhere = |number: usize| {
        let is_told = |first: &FirstOf| {
            let mut asked = first.candidates.iter().flat_map(|&(key, value)| [key, value]);
            asked.clone().any(|column| column == number)
                && (number >= planned || asked.any(|column| columns[column].found))
        };
        plan.firsts.iter().any(is_told)
    };
    let mut missing = Vec::new();
    for (number, seen) in columns.iter().enumerate() {
        let path = seen.path.to_string();
        let is_virtual = ["_file", "_line", "_offset"].contains(&path.as_str());
        let is_alias = seen.of.is_none() && plan.computes(&path, number);
        // A query within does not know that the name is one of the select list.
        let is_asked_within = || number < planned && !is_alias && is_asked_within(plan, seen.path);
        let is_told = is_told_elsewhere(number) || is_asked_within();
        if seen.found || is_virtual || seen.path.steps.is_empty() || is_told {
            continue;
        }
        let watched = probe.near.iter().position(|&near| near == number);
        let similar = watched.map(|watched| (probe.paths[planned + watched].to_string(), found(planned + watched)));
        missing.push(MissingPath { path, is_alias, of: seen.of.map(str::to_owned), records: seen.records, similar });
    }
    missing
}

/// Whether the query within tells if no record has a path.
fn is_asked_within(plan: &Plan, path: &Path) -> bool {
    matches!(path.steps.as_slice(), [scan::Step::Key(key)] if plan.asked_within.contains(key))
}
