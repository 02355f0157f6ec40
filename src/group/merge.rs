//! The merge of the workers' tables, and the groups in the order of their keys.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bumpalo::Bump;

use super::Grouping;
use super::table::GroupTable;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Fault, Vector};
use crate::memory::{Budget, Reservation};
use crate::value::Value;

/// Up to this many groups one thread merges faster than several can be told to.
const SERIAL_GROUPS: usize = 20_000;

/// Merges tables of one grouping. The result is tables with no key in common.
///
/// Many groups are merged in parallel, by parts of the range of their hashes, so that no thread waits for another.
///
/// # Errors
/// [`ErrorKind::Resource`] when the memory limit does not allow for the merged groups.
pub fn merge(
    grouping: &Grouping,
    mut tables: Vec<GroupTable>,
    budget: &Budget,
    threads: usize,
) -> Result<Vec<GroupTable>> {
    tables.sort_by_key(|table| std::cmp::Reverse(table.len()));
    tables.truncate(tables.iter().take_while(|table| !table.is_empty()).count().max(1));
    let rest: usize = tables.iter().skip(1).map(GroupTable::len).sum();
    if threads <= 1 || rest <= SERIAL_GROUPS {
        let mut tables = tables.into_iter();
        let Some(mut merged) = tables.next() else { return Ok(Vec::new()) };
        for table in tables {
            merged.merge(&table, 0..table.len() as u32)?;
        }
        return Ok(vec![merged]);
    }
    merge_parallel(grouping, &tables, budget, threads)
}

fn merge_parallel(
    grouping: &Grouping,
    tables: &[GroupTable],
    budget: &Budget,
    threads: usize,
) -> Result<Vec<GroupTable>> {
    let parts = (threads * 4).next_power_of_two();
    let part_of = |hash: u64| (hash >> 32) as usize & (parts - 1);
    let split: Vec<Vec<Vec<u32>>> = tables
        .iter()
        .map(|table| {
            let mut split = vec![Vec::new(); parts];
            for id in 0..table.len() as u32 {
                split[part_of(table.hash(id))].push(id);
            }
            split
        })
        .collect();
    let next = AtomicUsize::new(0);
    let merged = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return Ok(());
            }
            let mut table = GroupTable::new(grouping, budget)?;
            for (other, split) in tables.iter().zip(&split) {
                table.merge(other, split[part].iter().copied())?;
            }
            merged.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(table);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a merging thread panicked")))
        })
    })?;
    Ok(merged.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Merged groups in the order of their keys.
pub struct SortedGroups {
    tables: Vec<GroupTable>,
    order: Vec<Place>,
    _reservation: Reservation,
}

struct Place {
    /// The first bytes of the key, which decide most comparisons.
    prefix: u64,
    table: u32,
    id: u32,
}

impl SortedGroups {
    /// Sorts groups by key.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the memory limit does not allow for the order.
    pub fn new(tables: Vec<GroupTable>, budget: &Budget) -> Result<SortedGroups> {
        let len = tables.iter().map(GroupTable::len).sum();
        let mut reservation = budget.reservation("groups in order");
        reservation.resize(len * size_of::<Place>())?;
        let mut order = Vec::with_capacity(len);
        for (number, table) in tables.iter().enumerate() {
            order.extend((0..table.len() as u32).map(|id| Place {
                prefix: crate::sort::prefix(table.key(id)),
                table: number as u32,
                id,
            }));
        }
        let key = |place: &Place| tables[place.table as usize].key(place.id);
        order.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))));
        Ok(SortedGroups { tables, order, _reservation: reservation })
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The columns of the groups `range`: a vector for each key, then one for each aggregate. Faults of aggregates
    /// are given to `fault` with the number of the aggregate and the row.
    pub fn columns<'a>(
        &mut self,
        grouping: &Grouping,
        range: std::ops::Range<usize>,
        arena: &'a Bump,
        fault: &mut dyn FnMut(usize, Fault, u32),
    ) -> Vec<Vector<'a>> {
        let SortedGroups { tables, order, .. } = self;
        let places = &order[range];
        let mut columns: Vec<Vec<Value<'a>>> = vec![Vec::with_capacity(places.len()); grouping.keys.len()];
        let mut key = Vec::new();
        for place in places {
            key.clear();
            tables[place.table as usize].key_values(place.id, arena, &mut key);
            columns.iter_mut().zip(&key).for_each(|(column, value)| column.push(*value));
        }
        let results = (0..grouping.aggregates.len()).map(|aggregate| {
            Vector::build(arena, places.len(), |row| {
                let place = &places[row];
                tables[place.table as usize].result(aggregate, place.id, arena).unwrap_or_else(|found| {
                    fault(aggregate, found, row as u32);
                    Value::Null
                })
            })
        });
        let keys = columns.into_iter().map(|column| Vector::Values(arena.alloc_slice_copy(&column)));
        let mut all: Vec<Vector<'a>> = keys.collect();
        all.extend(results);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use crate::exec::{Run, Settings};

    /// Groups keys that most workers meet, and keys that only one meets, in numbers that are merged in parallel.
    #[test]
    fn many_groups_merge_to_the_same_bytes_for_any_number_of_threads() {
        let mut input = String::new();
        let mut expected: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for i in 0..120_000_u64 {
            let key = if i % 3 == 0 { i % 30_000 } else { i };
            writeln!(input, "{{\"k\":{key},\"v\":{}}}", i % 7).unwrap();
            let group = expected.entry(key).or_default();
            *group = (group.0 + 1, group.1 + i % 7);
        }
        let expected: String =
            expected.iter().map(|(key, (n, sum))| format!("{{\"k\":{key},\"n\":{n},\"s\":{sum}}}\n")).collect();
        for threads in [1, 2, 3, 8] {
            let plan = crate::sql::plan("k, count(*) as n, sum(v) as s group by k").unwrap();
            let settings = Settings { threads, block_size: 4096, ..Settings::default() };
            let input = std::io::Cursor::new(input.clone().into_bytes());
            let run = Run::prepare_reader(plan, input, "-", settings, false).unwrap();
            let rows = run.execute(Vec::new(), None).result.unwrap();
            assert!(rows == expected.as_bytes(), "{threads} threads");
        }
    }
}
