//! The merge of the workers' tables.

use super::table::GroupTable;
use crate::error::Result;
use crate::memory::Budget;

/// Up to this many groups one thread merges at once.
pub(super) const SERIAL_GROUPS: usize = 20_000;

/// Merges tables of one grouping in memory of a budget, if all but the largest are small. Otherwise they stay as they are:
/// equal keys meet when the groups are sorted, which is done in parallel, and so are their states merged.
///
/// # Errors
/// [`ErrorKind::Resource`](crate::ErrorKind::Resource) when the memory limit does not allow for the merged groups.
pub fn merge(mut tables: Vec<GroupTable>, budget: &Budget) -> Result<Vec<GroupTable>> {
    tables.retain(|table| !table.is_empty());
    tables.sort_by_key(|table| std::cmp::Reverse(table.len()));
    let rest: usize = tables.iter().skip(1).map(GroupTable::len).sum();
    if rest > SERIAL_GROUPS {
        return Ok(tables);
    }
    let mut tables = tables.into_iter();
    let Some(mut merged) = tables.next() else { return Ok(Vec::new()) };
    // It was a worker's, and had a part of the memory.
    merged.move_to(budget)?;
    for table in tables {
        merged.merge(&table)?;
    }
    Ok(vec![merged])
}
