//! Grouping: the table of groups, the merge of the workers' tables, and the groups in the order of their keys.

mod known;
mod merge;
mod order;
mod repeats;
mod sorted;
mod spill;
mod table;

use crate::agg::{AggregateFunction, Outcome};
use crate::expr::{Condition, Expr, Site};

pub use merge::merge;
pub use sorted::{Finisher, SortedGroups, room_to_finish};
pub use spill::{SpilledGroups, merge_runs};
pub use table::GroupTable;

/// What groups are made of, and what is kept for each.
#[derive(Debug, Default)]
pub struct Grouping {
    /// The expressions whose values make a group; without any there is exactly one group.
    pub keys: Vec<Expr>,
    /// The aggregates, each once.
    pub aggregates: Vec<AggregateCall>,
}

impl Grouping {
    /// The most keys: the table of groups keeps a bit for each.
    pub const MOST_KEYS: usize = 64;

    /// For each aggregate the number of its states: aggregates of the same values share them where they can
    /// (`sum(x), avg(x)`).
    fn shares(&self) -> Vec<usize> {
        let mut shares: Vec<usize> = Vec::with_capacity(self.aggregates.len());
        let mut states = 0;
        for (number, call) in self.aggregates.iter().enumerate() {
            let other = self.aggregates[..number].iter().position(|other| other.shares_state(call));
            shares.push(other.map_or(states, |other| shares[other]));
            states += usize::from(other.is_none());
        }
        shares
    }
}

/// A call of an aggregate function.
#[derive(Debug, PartialEq)]
pub struct AggregateCall {
    /// The function.
    pub function: &'static AggregateFunction,
    /// With `distinct`.
    pub distinct: bool,
    /// With ORDER BY, whose key is then the last of its arguments.
    pub ordered: bool,
    /// The values that it takes, over records.
    pub arguments: Vec<Expr>,
    /// What is wanted of its state.
    pub outcome: Outcome,
    /// `filter (where …)`
    pub filter: Option<Condition>,
    /// Where faults of its arguments are counted.
    pub site: Site,
    /// Where faults of its result are counted.
    pub result_site: Site,
}

impl AggregateCall {
    /// Whether its states keep the values that they take in.
    pub fn keeps_values(&self) -> bool {
        self.function.accumulators(self.distinct, self.ordered).is_some_and(|states| states.has_items())
    }

    /// Whether another call takes in the same values, and can use the same accumulators.
    fn shares_state(&self, other: &AggregateCall) -> bool {
        self.function.shares_state(other.function)
            && (self.distinct, self.ordered) == (other.distinct, other.ordered)
            && (&self.arguments, &self.filter) == (&other.arguments, &other.filter)
    }
}
