//! Grouping: the table of groups, and the merge of the workers' tables.

mod merge;
mod table;

pub use merge::{SortedGroups, merge};
pub use table::GroupTable;
