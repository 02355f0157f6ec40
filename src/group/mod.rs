//! Grouping: the table of groups, the merge of the workers' tables, and the groups in the order of their keys.

mod merge;
mod order;
mod sorted;
mod table;

use crate::agg::AggregateFunction;
use crate::expr::{Condition, Expr, Site};

pub use merge::merge;
pub use sorted::{Finisher, SortedGroups};
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
}

/// A call of an aggregate function.
#[derive(Debug, PartialEq)]
pub struct AggregateCall {
    /// The function.
    pub function: &'static AggregateFunction,
    /// With `distinct`.
    pub distinct: bool,
    /// Its arguments, over records.
    pub arguments: Vec<Expr>,
    /// `filter (where …)`
    pub filter: Option<Condition>,
    /// Where faults of its arguments are counted.
    pub site: Site,
    /// Where faults of its result are counted.
    pub result_site: Site,
}
