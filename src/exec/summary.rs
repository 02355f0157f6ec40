//! What happened in a run.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::Place;
use crate::expr::{Class, Fault, Met};
use crate::scan::Reason;
use crate::spill::Spilled;

/// The rejected lines that the summary shows.
pub(super) const MOST_SAMPLES: usize = 5;

/// What happened in a run. `records_in` = `used` + `filtered` + `rejected`.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Lines that are not blank.
    pub records_in: u64,
    /// Records that the filter let pass.
    pub used: u64,
    /// Records that the filter held back.
    pub filtered: u64,
    /// Lines that are no valid record.
    pub rejected: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Bytes of input, decompressed.
    pub bytes: u64,
    /// The time from start to end.
    pub wall: Duration,
    /// The most bytes that were reserved for groups, sorted rows and the like.
    pub reserved_peak: usize,
    /// What went to disk for want of memory.
    pub spilled: Spilled,
    /// How long blocks took.
    pub block_latency: Latency,
    /// For each reason the number of rejected lines, the most frequent first.
    pub reasons: Vec<(Reason, u64)>,
    /// The first rejected lines.
    pub samples: Vec<RejectSample>,
    /// Where expressions met values that they could not take.
    pub faults: Vec<FaultSummary>,
    /// Paths of the query that led to values of several types, although no expression minded.
    pub type_changes: Vec<TypeChange>,
    /// Paths of the query that no record had.
    pub missing_paths: Vec<MissingPath>,
}

impl Summary {
    /// Adds what happened in another run before this one.
    pub(super) fn add(&mut self, other: Summary) {
        self.records_in += other.records_in;
        self.used += other.used;
        self.filtered += other.filtered;
        self.rejected += other.rejected;
        self.rows_out += other.rows_out;
        self.bytes += other.bytes;
        self.block_latency.add(&other.block_latency);
        for (reason, count) in other.reasons {
            match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, known)) => *known += count,
                None => self.reasons.push((reason, count)),
            }
        }
        self.reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        self.samples.extend(other.samples);
        self.samples.truncate(MOST_SAMPLES);
        self.faults.extend(other.faults);
        // What is read twice is told once.
        for change in other.type_changes {
            if self.type_changes.iter().all(|known| known.path != change.path || known.first != change.first) {
                self.type_changes.push(change);
            }
        }
        self.missing_paths.extend(other.missing_paths);
    }
}

/// A rejected line.
#[derive(Clone, Debug)]
pub struct RejectSample {
    /// Where it is.
    pub place: Place,
    /// What is wrong with it.
    pub reason: Reason,
    /// The same in words, with what else is known of it.
    pub what: String,
    /// The byte of the line where that was found, from 0.
    pub at: u32,
    /// The start of the line.
    pub raw: Vec<u8>,
}

/// What an expression met and could not take.
#[derive(Clone, Debug)]
pub struct FaultSummary {
    /// The path or expression that had the value.
    pub label: String,
    /// What was expected.
    pub expected: &'static str,
    /// What happened.
    pub fault: Fault,
    /// How often.
    pub count: u64,
    /// What was met instead, and how often, the most frequent first, as far as it is known.
    pub met: Vec<(Met, u64)>,
    /// Whether it happened in groups, not in records.
    pub of_groups: bool,
    /// Where first; unknown for groups, and for the keys of a joined source.
    pub first: Option<Place>,
    /// What the joined records are called of which one had the value; then it is beside the record at the place.
    pub joined: Option<String>,
}

/// A path of the query that led to values of several types. Integers and floats are one type; null is none.
#[derive(Clone, Debug)]
pub struct TypeChange {
    /// The path.
    pub path: String,
    /// The types, and in how many records each was met, in the order in which they were first met in the input. At least
    /// two. All records that were read count, whether WHERE let them pass or not.
    pub types: Vec<(Class, u64)>,
    /// The first record in which the type was not that of the first value.
    pub first: Place,
}

/// A path of the query that no record had.
#[derive(Clone, Debug)]
pub struct MissingPath {
    /// The path.
    pub path: String,
    /// The name of the joined records that were looked at; `None` for those of FROM.
    pub of: Option<String>,
    /// How many records were looked at.
    pub records: u64,
    /// Whether something else of that name is in the select list, which WHERE does not see.
    pub is_alias: bool,
    /// A path with a similar name that records have, and how many have it.
    pub similar: Option<(String, u64)>,
}

/// How long blocks took, in microseconds.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Latency {
        // One microsecond to one hour, to two digits; the bounds are constants that are known to be valid.
        Latency(Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap_or_else(|_| unreachable!("constant bounds")))
    }
}

impl Latency {
    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    fn add(&mut self, other: &Latency) {
        // Both have the same bounds, so that this cannot fail.
        let added = self.0.add(&other.0);
        debug_assert!(added.is_ok());
    }

    /// The number of blocks.
    pub fn blocks(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this share of the blocks (0 to 1) was done, in microseconds.
    pub fn quantile(&self, share: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_quantile(share) }
    }
}
