//! What is known of a run at a cut.

use std::io::Write;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Collector, FaultState, Gate};
use crate::error::{Place, Result};
use crate::exec::cut::Keep;
use crate::exec::drift::PathKinds;
use crate::exec::summary::{RejectSample, Summary};
use crate::expr::Fault;
use crate::input::InputOptions;
use crate::scan::Reason;

/// What is known of a run between two blocks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::exec) struct CollectorState {
    /// For each file the blocks that were taken, the lines in them, whether there are no others.
    files: Vec<(u64, u64, bool)>,
    front: usize,
    skip: u64,
    left: Option<u64>,
    records_in: u64,
    used: u64,
    filtered: u64,
    rejected: u64,
    rows_out: u64,
    bytes: u64,
    reasons: Vec<(Reason, u64)>,
    samples: Vec<SampleState>,
    faults: Vec<((usize, Fault), FaultState)>,
    kinds: PathKinds,
}

/// A rejected line: where it is, what is wrong, and how it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SampleState {
    file: u32,
    line: u64,
    offset: u64,
    reason: Reason,
    what: String,
    at: u32,
    raw: Vec<u8>,
}

impl CollectorState {
    /// The records that were taken.
    pub(in crate::exec) fn records(&self) -> u64 {
        self.records_in
    }

    /// How many blocks of each file were taken, as an input leaves them out.
    pub(in crate::exec) fn done(&self) -> Vec<u64> {
        self.files.iter().map(|&(blocks, _, all)| if all { InputOptions::ALL } else { blocks }).collect()
    }

    /// What can be told of a run that ended so.
    pub(in crate::exec) fn summary(&self) -> Summary {
        Summary {
            records_in: self.records_in,
            used: self.used,
            filtered: self.filtered,
            rejected: self.rejected,
            rows_out: self.rows_out,
            bytes: self.bytes,
            reasons: self.reasons.clone(),
            ..Summary::default()
        }
    }

    /// What is kept of a run that has ended.
    pub(in crate::exec) fn of_summary(summary: &Summary) -> CollectorState {
        CollectorState {
            records_in: summary.records_in,
            used: summary.used,
            filtered: summary.filtered,
            rejected: summary.rejected,
            rows_out: summary.rows_out,
            bytes: summary.bytes,
            reasons: summary.reasons.clone(),
            ..CollectorState::default()
        }
    }
}

impl<W: Write + Send + Keep> Collector<'_, W> {
    /// What is known at a cut, and what is kept of the output, which is on disk then.
    ///
    /// # Errors
    /// Any error of writing.
    pub(in crate::exec) fn cut(&self) -> Result<(CollectorState, Json)> {
        let mut state = self.lock();
        let output = state.sink.writer()?.keep()?;
        let sample = |(&(file, offset), sample): (&(u32, u64), &RejectSample)| {
            let line = match sample.place {
                Place::Record { line, .. } => line,
                _ => 0,
            };
            let RejectSample { reason, ref what, at, ref raw, .. } = *sample;
            SampleState { file, line, offset, reason, what: what.clone(), at, raw: raw.clone() }
        };
        let found = CollectorState {
            files: state.files.iter().map(|file| (file.next, file.lines, file.done)).collect(),
            front: state.front,
            skip: state.gate.skip,
            left: state.gate.left,
            reasons: state.reasons.iter().map(|(reason, count)| (*reason, *count)).collect(),
            samples: state.samples.iter().map(sample).collect(),
            faults: state.faults.iter().map(|(site, fault)| (*site, fault.clone())).collect(),
            kinds: state.kinds.clone(),
            ..CollectorState::of_summary(&state.summary)
        };
        Ok((found, output))
    }

    /// For each input the lines up to where it was read.
    pub(in crate::exec) fn lines(&self) -> Vec<u64> {
        self.lock().files.iter().map(|file| file.lines).collect()
    }

    /// Goes on from a cut.
    pub(in crate::exec) fn restore(&self, from: &CollectorState) {
        let mut state = self.lock();
        for (file, &(next, lines, done)) in state.files.iter_mut().zip(&from.files) {
            (file.next, file.lines, file.done) = (next, lines, done);
        }
        state.front = from.front;
        state.gate = Gate { skip: from.skip, left: from.left };
        state.summary = Summary { reasons: Vec::new(), ..from.summary() };
        state.reasons = from.reasons.iter().copied().collect();
        for SampleState { file, line, offset, reason, what, at, raw } in from.samples.iter().cloned() {
            let Some(name) = self.input.names().get(file as usize) else { continue };
            let place = Place::Record { file: name.clone(), line, offset };
            state.samples.insert((file, offset), RejectSample { place, reason, what, at, raw });
        }
        state.faults = from.faults.iter().cloned().collect();
        state.kinds = from.kinds.clone();
        if self.leads {
            self.run.shared.rejected.fetch_add(from.rejected, Ordering::Relaxed);
            self.run.records.fetch_add(from.records_in, Ordering::Relaxed);
        }
    }
}

/// Maps whose keys are no texts, as lists of pairs.
pub(super) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::exec) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(in crate::exec) fn deserialize<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
