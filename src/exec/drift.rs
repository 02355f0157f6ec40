//! Paths that change type in mid-input.
//!
//! A worker counts, for each path of the plan and each block, how many values of which class the path led to, and says
//! where it met a class for the first time. The sums and the first of these places do not depend on which worker had
//! which block; the first value of a path in the input is of the class that was met first.

use serde::{Deserialize, Serialize};

use super::shared_scan::Scanned;
use crate::error::Place;
use crate::expr::Class;
use crate::plan::{Body, Plan};
use crate::scan::{CLASSES, KindCounts, Path, class_of, count_kinds};

/// The classes in the order of their counts; nothing and null are none.
const CLASS: [Option<Class>; CLASSES] =
    [None, Some(Class::Bool), Some(Class::Number), Some(Class::Text), Some(Class::Array), Some(Class::Object)];

/// For each class the first place of a value of it: file and offset.
type Firsts = [Option<(u32, u64)>; CLASSES];

/// What a worker knows of the kinds of paths.
pub(super) struct Watch {
    /// The paths that are watched, and where this worker first met what.
    paths: Vec<(usize, Firsts)>,
    /// The rest of a block may turn out not to count.
    may_be_cut: bool,
}

/// The kinds of what the paths of the plan led to in one block.
#[derive(Default)]
pub(super) struct BlockKinds {
    counts: Vec<PathCounts>,
    firsts: Vec<First>,
}

struct PathCounts {
    path: usize,
    counts: KindCounts,
    /// The class in each record, if there are several and the rest of the block may not count.
    classes: Vec<u8>,
}

/// Where a worker met a class for the first time.
struct First {
    path: usize,
    class: usize,
    /// The line in its block, from 0.
    line: u64,
    offset: u64,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> Watch {
        let paths = plan.typed_paths.iter().map(|&path| (path, [None; CLASSES])).collect();
        let may_be_cut = plan.limit.is_some() && plan.order.is_empty() && matches!(plan.body, Body::Rows(_));
        Watch { paths, may_be_cut }
    }

    /// Counts the kinds in a block.
    pub(super) fn look(&mut self, scanned: &Scanned<'_>) -> BlockKinds {
        let origin = &scanned.origin;
        let mut found = BlockKinds::default();
        for (path, firsts) in &mut self.paths {
            let path = *path;
            let Some(&cells) = scanned.columns.get(path) else { continue };
            let counts = count_kinds(cells);
            let several = counts.iter().filter(|count| **count > 0).count() > 1;
            let classes = match several && self.may_be_cut {
                true => cells.iter().map(|cell| class_of(cell.kind()) as u8).collect(),
                false => Vec::new(),
            };
            for class in (1..CLASSES).filter(|&class| counts[class] > 0) {
                let starts_before = firsts[class].is_none_or(|first| (origin.file, origin.offset) < first);
                if starts_before && let Some(row) = cells.iter().position(|cell| class_of(cell.kind()) == class) {
                    let (line, offset) = scanned.place(scanned.rows[row].start);
                    firsts[class] = Some((origin.file, offset));
                    found.firsts.push(First { path, class, line, offset });
                }
            }
            found.counts.push(PathCounts { path, counts, classes });
        }
        found
    }
}

impl BlockKinds {
    /// Adds what was found in what comes next in the block.
    pub(super) fn add(&mut self, mut next: BlockKinds) {
        self.counts.append(&mut next.counts);
        self.firsts.append(&mut next.firsts);
    }

    /// Leaves out what comes after the first `records` records, the last of which is at `offset`.
    pub(super) fn cut(&mut self, records: u64, offset: u64) {
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        for PathCounts { counts, classes, .. } in &mut self.counts {
            if classes.is_empty() {
                let most = u32::try_from(records).unwrap_or(u32::MAX);
                counts.iter_mut().for_each(|count| *count = most.min(*count));
            } else {
                *counts = KindCounts::default();
                classes.iter().take(records).for_each(|&class| counts[usize::from(class)] += 1);
            }
        }
        self.firsts.retain(|first| first.offset <= offset);
    }
}

/// What is known of the kinds of all paths, over all blocks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PathKinds(Vec<PathKind>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct PathKind {
    counts: [u64; CLASSES],
    /// For each class the first place: file, line from 0, offset.
    firsts: [Option<(u32, u64, u64)>; CLASSES],
}

/// A value of another type than the first one of its path.
pub(super) struct Change {
    pub(super) path: usize,
    pub(super) from: Class,
    pub(super) to: Class,
    /// The line in its file, from 0.
    pub(super) line: u64,
    pub(super) offset: u64,
}

impl PathKinds {
    /// Takes in a block of a file whose first line has the number `line`, from 0. Gives the first change in it, which
    /// means something if blocks come in their order.
    pub(super) fn take(&mut self, file: u32, line: u64, block: &BlockKinds) -> Option<Change> {
        for PathCounts { path, counts, .. } in &block.counts {
            if self.0.len() <= *path {
                self.0.resize(path + 1, PathKind::default());
            }
            let sums = &mut self.0[*path].counts;
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(*count));
        }
        for first in &block.firsts {
            let place = (file, line + first.line, first.offset);
            let known = &mut self.0[first.path].firsts[first.class];
            *known = Some(known.map_or(place, |known| known.min(place)));
        }
        let changed = block.firsts.iter().filter_map(|first| {
            let [(from, _), (to, (_, line, offset)), ..] = self.0[first.path].in_order()[..] else { return None };
            (offset == first.offset).then_some(Change { path: first.path, from, to, line, offset })
        });
        changed.min_by_key(|change| (change.line, change.path))
    }

    /// The paths that changed type, save those that `told` says are reported in another way.
    pub(super) fn changes(
        &self,
        paths: &[Path],
        names: &[String],
        told: impl Fn(&str) -> bool,
    ) -> Vec<super::TypeChange> {
        let mut changes = Vec::new();
        for (path, kinds) in paths.iter().zip(&self.0) {
            let order = kinds.in_order();
            let name = path.to_string();
            let Some(&(_, (file, line, offset))) = order.get(1).filter(|_| !told(&name)) else { continue };
            let count =
                |class: &Class| CLASS.iter().position(|other| other == &Some(*class)).map_or(0, |i| kinds.counts[i]);
            changes.push(super::TypeChange {
                path: name,
                types: order.iter().map(|(class, _)| (*class, count(class))).collect(),
                first: Place::Record { file: names[file as usize].clone(), line: line + 1, offset },
            });
        }
        changes
    }
}

impl PathKind {
    /// The classes that were met, in the order of their first places.
    fn in_order(&self) -> Vec<(Class, (u32, u64, u64))> {
        let met = CLASS.iter().zip(&self.firsts).filter_map(|(class, first)| Some(((*class)?, (*first)?)));
        let mut met: Vec<_> = met.collect();
        met.sort_by_key(|(_, first)| *first);
        met
    }
}
