//! The groups of several tables in the order of their keys, each once, with their results.

use bumpalo::Bump;

use super::Grouping;
use super::merge::SERIAL_GROUPS;
use super::order::{Order, SortedRange};
use super::table::{GroupTable, accumulators};
use crate::agg::{GroupAccumulators, Member};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Fault, Vector};
use crate::memory::{Budget, Reservation};
use crate::scan::prefetch;
use crate::value::{Spelling, Value, key};

/// The groups that are evaluated together: what is made of them stays in the nearest cache.
const TOGETHER: usize = 512;
/// How many keys ahead they are loaded.
const AHEAD: usize = 16;

/// Groups in the order of their keys, in ranges of them.
pub struct SortedGroups {
    tables: Vec<GroupTable>,
    /// Whether no two groups have the same key.
    unique: bool,
    order: Order,
}

/// The bytes that it takes at most to sort and finish the groups of tables, beside the tables themselves.
pub fn room_to_finish(tables: &[GroupTable], threads: usize) -> usize {
    /// The keys of a table that are dealt out at a time, and what is made of them; and chunks of states and results.
    const PER_THREAD: usize = 12 << 20;
    /// The range of a group and its new number.
    const PER_GROUP: usize = 16;
    let groups: usize = tables.iter().map(GroupTable::len).sum();
    // Groups of a few tables, or states of a few groups, are merged in one place.
    let largest = tables.iter().map(GroupTable::size).max().unwrap_or(0);
    let merged: usize = tables.iter().map(GroupTable::size).sum::<usize>() - largest;
    let states: usize = tables.iter().map(GroupTable::states_growth).sum();
    let per_thread = threads * PER_THREAD.min(largest);
    if groups <= SERIAL_GROUPS { merged + states } else { groups * PER_GROUP + per_thread + states }
}

/// Some groups in the order of their keys.
pub struct SortedChunk<'s> {
    /// What each group is merged from, group after group.
    members: &'s [Member],
    keys: &'s [&'s [u8]],
}

impl SortedChunk<'_> {
    /// The number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl SortedGroups {
    /// Sorts the groups of tables by ranges of keys.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`](crate::ErrorKind::Resource) when the memory limit does not allow for the order.
    pub fn new(mut tables: Vec<GroupTable>, budget: &Budget, threads: usize) -> Result<SortedGroups> {
        tables.retain(|table| !table.is_empty());
        let unique = tables.len() == 1 && tables.iter().all(GroupTable::is_unique);
        let order = Order::new(&mut tables, budget, threads)?;
        Ok(SortedGroups { tables, unique, order })
    }

    /// The number of ranges. Each has some thousand groups, or none if there are no groups at all.
    pub fn ranges(&self) -> usize {
        self.order.ranges()
    }

    /// Gives the groups of a range to `take` in the order of their keys, some at a time.
    ///
    /// # Errors
    /// The first one of `take`'s.
    pub fn for_each(&self, range: usize, mut take: impl FnMut(SortedChunk) -> Result<()>) -> Result<()> {
        let SortedRange { members, keys } = self.order.sort(range);
        let mut members = members.as_slice();
        for keys in keys.chunks(TOGETHER) {
            let mut firsts = members.iter().enumerate().filter(|(_, member)| !member.repeats);
            let end = firsts.nth(keys.len()).map_or(members.len(), |(end, _)| end);
            let (own, others) = members.split_at(end);
            members = others;
            take(SortedChunk { members: own, keys })?;
        }
        Ok(())
    }

    /// What `count` threads need to finish the aggregates, each for the chunks that it takes. To be called once.
    ///
    /// # Errors
    /// As [`GroupTable::new`].
    pub fn finishers(&mut self, grouping: &Grouping, budget: &Budget, count: usize) -> Result<Vec<Finisher>> {
        let in_place = match self.tables.as_mut_slice() {
            [table] if self.unique && count == 1 => Some(table),
            _ => None,
        };
        if let Some(table) = in_place {
            // The table's own reservation goes on to account for its states.
            let reservation = budget.reservation("groups");
            return Ok(vec![Finisher { accumulators: table.take_accumulators(), gathers: false, reservation }]);
        }
        let finisher = |_| {
            let reservation = budget.reservation("merged groups");
            Ok(Finisher { accumulators: accumulators(grouping)?, gathers: true, reservation })
        };
        (0..count).map(finisher).collect()
    }

    /// The columns of a chunk: a vector for each key, then one for each aggregate. Faults of aggregates are given to
    /// `fault` with the number of the aggregate.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`](crate::ErrorKind::Resource) when the memory limit does not allow for the merged states.
    pub fn columns<'a>(
        &'a self,
        grouping: &Grouping,
        chunk: &SortedChunk<'a>,
        finisher: &mut Finisher,
        arena: &'a Bump,
        fault: &mut dyn FnMut(usize, Fault),
    ) -> Result<Vec<Vector<'a>>> {
        let SortedChunk { members, keys } = *chunk;
        let mut all = self.keys(grouping.keys.len(), members, keys, arena);
        finisher.gather(&self.tables, members)?;
        let Finisher { accumulators, gathers, .. } = finisher;
        let groups: Vec<u32> = match gathers {
            true => (0..keys.len() as u32).collect(),
            false => members.iter().map(|member| member.group).collect(),
        };
        for (number, (call, share)) in grouping.aggregates.iter().zip(grouping.shares()).enumerate() {
            let fault = &mut |found| fault(number, found);
            all.push(accumulators[share].finish(&groups, &call.outcome, arena, fault));
        }
        Ok(all)
    }

    /// The key columns of groups.
    fn keys<'a>(&'a self, columns: usize, members: &[Member], keys: &[&'a [u8]], arena: &'a Bump) -> Vec<Vector<'a>> {
        let runs = members.chunk_by(|_, next| next.repeats);
        let mut vectors: Vec<&'a mut [Value<'a>]> =
            (0..columns).map(|_| arena.alloc_slice_fill_copy(keys.len(), Value::Null)).collect();
        if self.tables.iter().all(GroupTable::is_without_spellings) {
            for (row, mut key) in keys.iter().copied().enumerate() {
                if let Some(first) = keys.get(row + AHEAD).and_then(|key| key.first()) {
                    prefetch(first);
                }
                for (column, vector) in vectors.iter_mut().enumerate() {
                    // As a whole, the result of decoding goes through memory.
                    if column + 1 == columns
                        && let Some(text) = key::decode_last_text(&mut key)
                    {
                        vector[row] = Value::Text(text);
                        continue;
                    }
                    let value = key::decode(&mut key, Spelling::USUAL, arena);
                    debug_assert!(value.is_some(), "a key has a value for each column");
                    vector[row] = value.unwrap_or(Value::Null);
                }
            }
            return vectors.into_iter().map(|vector| Vector::Values(vector)).collect();
        }
        for (row, (run, mut key)) in runs.zip(keys.iter().copied()).enumerate() {
            let integers = run.iter().fold(0, |bits, member| bits | self.table(member).integers(member.group));
            for (column, vector) in vectors.iter_mut().enumerate() {
                let spelling = self.spelling_of(run, integers, column);
                let value = key_value(&mut key, spelling, || self.spelling(run, column), arena);
                debug_assert!(value.is_some(), "a key has a value for each column");
                vector[row] = value.unwrap_or(Value::Null);
            }
        }
        vectors.into_iter().map(|vector| Vector::Values(vector)).collect()
    }

    fn table(&self, member: &Member) -> &GroupTable {
        &self.tables[member.table as usize]
    }

    /// How the key of a group is written in a column. A bit of `integers` says that it was met as an integer.
    #[inline]
    fn spelling_of(&self, run: &[Member], integers: u64, column: usize) -> Spelling {
        if integers >> column & 1 == 1 {
            return Spelling::WHOLE;
        }
        let of_member = |member: &Member| self.table(member).decimal(member.group, column as u32);
        run.iter().map(of_member).min().unwrap_or_default()
    }

    /// The smallest text that stands for the key of a group in a column.
    fn spelling(&self, run: &[Member], column: usize) -> Option<&[u8]> {
        run.iter().filter_map(|member| self.table(member).spelling(member.group, column as u32)).min()
    }
}

/// The value of a column of a key, which is taken from its start: in a spelling, or, if the key does not give that back, the
/// text that stands for it.
#[inline]
fn key_value<'a>(
    key: &mut &'a [u8],
    spelling: Spelling,
    text: impl FnOnce() -> Option<&'a [u8]>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    Some(match key::decode(key, spelling, arena)? {
        Value::Huge(decoded) => Value::Huge(text().unwrap_or(decoded)),
        Value::Json(decoded) => Value::Json(text().unwrap_or(decoded)),
        value => value,
    })
}

/// How the columns of the key of a group were spelt.
#[derive(Default)]
pub(super) struct KeySpellings {
    /// The columns in which a number was met that was spelt as an integer, as bits.
    pub(super) integers: u64,
    pub(super) decimals: Vec<(u32, Spelling)>,
    pub(super) texts: Vec<(u32, Vec<u8>)>,
}

impl KeySpellings {
    /// Takes in that a column was met as a decimal.
    pub(super) fn decimal(&mut self, column: u32, spelling: Spelling) {
        match self.decimals.iter_mut().find(|(other, _)| *other == column) {
            Some((_, known)) => *known = spelling.min(*known),
            None => self.decimals.push((column, spelling)),
        }
    }

    /// Takes in a text that stands for a column.
    pub(super) fn text(&mut self, column: u32, text: &[u8]) {
        match self.texts.iter_mut().find(|(other, _)| *other == column) {
            Some((_, known)) if known.as_slice() <= text => {}
            Some((_, known)) => *known = text.to_vec(),
            None => self.texts.push((column, text.to_vec())),
        }
    }

    /// How a column is written.
    fn spelling(&self, column: usize) -> Spelling {
        if self.integers >> column & 1 == 1 {
            return Spelling::WHOLE;
        }
        self.decimals.iter().find(|(other, _)| *other as usize == column).map_or(Spelling::USUAL, |(_, known)| *known)
    }
}

/// Appends the values of a key to columns.
///
/// # Errors
/// [`ErrorKind::Internal`] if it is no key of as many columns.
pub(super) fn key_columns<'a>(
    mut key: &'a [u8],
    spellings: &KeySpellings,
    arena: &'a Bump,
    columns: &mut [Vec<Value<'a>>],
) -> Result<()> {
    for (number, column) in columns.iter_mut().enumerate() {
        let text = || {
            let text = spellings.texts.iter().find(|(column, _)| *column as usize == number);
            text.map(|(_, text)| &*arena.alloc_slice_copy(text))
        };
        let value = key_value(&mut key, spellings.spelling(number), text, arena);
        column.push(value.ok_or_else(|| Error::new(ErrorKind::Internal, "a key without a value for each column"))?);
    }
    Ok(())
}

/// Finishes the aggregates of chunks of groups.
pub struct Finisher {
    /// The states: of a table if it is the only one, else of the groups of a chunk, in their order.
    accumulators: Vec<Box<dyn GroupAccumulators>>,
    /// Whether the states are merged from those of the tables, a chunk at a time.
    gathers: bool,
    reservation: Reservation,
}

impl Finisher {
    fn gather(&mut self, tables: &[GroupTable], members: &[Member]) -> Result<()> {
        if !self.gathers {
            return Ok(());
        }
        for (aggregate, states) in self.accumulators.iter_mut().enumerate() {
            let tables: Vec<_> = tables.iter().map(|table| table.accumulators()[aggregate].as_ref()).collect();
            states.gather(&tables, members);
        }
        self.reservation.resize(self.accumulators.iter().map(|states| states.size()).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use crate::exec::{Arguments, Run, Settings};

    fn run(query: &str, input: &str, threads: usize) -> String {
        let plan = crate::sql::plan(query).unwrap();
        let settings = Settings { threads, block_size: 4096, ..Settings::default() };
        let input = std::io::Cursor::new(input.to_owned().into_bytes());
        let run = Run::prepare(plan, &mut Arguments::reader(input, "-"), settings, false).unwrap();
        String::from_utf8(run.execute(Vec::new(), None).result.unwrap()).unwrap()
    }

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
            let rows = run("k, count(*) as n, sum(v) as s group by k", &input, threads);
            assert!(rows == expected, "{threads} threads");
        }
    }

    /// Rows that nearly all make a group, so that they are taken for new ones; and then come again, so that they are not.
    #[test]
    fn groups_of_one_row_and_those_that_come_again_are_merged() {
        let mut input = String::new();
        let mut expected: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for round in 0..2 {
            for i in 0..100_000_u64 {
                let key = if i % 50 == 0 { i / 2 } else { i };
                let fraction = if i % 50 == 0 { ".0" } else { "" };
                writeln!(input, "{{\"k\":{key}{fraction},\"v\":{}}}", i % 7).unwrap();
                let group = expected.entry(key).or_default();
                *group = (group.0 + 1, group.1 + i % 7);
            }
            // Other rows have no such key.
            let fraction = |key: u64| if key.is_multiple_of(50) { ".0" } else { "" };
            let row = |(key, (n, sum)): (&u64, &(u64, u64))| {
                format!("{{\"k\":{key}{},\"n\":{n},\"s\":{sum}}}\n", fraction(*key))
            };
            let expected: String = expected.iter().map(row).collect();
            for threads in [1, 2] {
                let rows = run("k, count(*) as n, sum(v) as s group by k", &input, threads);
                assert!(rows == expected, "round {round}, {threads} threads");
            }
        }
    }

    /// Keys of several columns: NULLs, numbers that are spelt differently and arrays, whose spelling is kept beside them.
    #[test]
    fn many_keys_of_several_columns_come_in_order_with_one_spelling() {
        let mut input = String::new();
        // By the first column, NULL last, and the second: the records, the sum, and whether `1` and `1.0` were met.
        let mut groups = BTreeMap::new();
        for i in 0..150_000_u64 {
            let (a, b, integer) = (i % 3, i * 7919 % 20_011, i % 4 == 0);
            let spelt = if a == 0 { "null".to_owned() } else { format!("\"a common start of keys {a}\"") };
            let fraction = if integer { "" } else { ".0" };
            writeln!(input, "{{\"a\":{spelt},\"b\":{b}{fraction},\"c\":[{b}{fraction}],\"v\":{}.25}}", i % 9).unwrap();
            let group = groups.entry((a == 0, a, b)).or_insert((0_u64, 0.0_f64, false, false));
            *group = (group.0 + 1, group.1 + (i % 9) as f64 + 0.25, group.2 | integer, group.3 | !integer);
        }
        let mut expected = Vec::new();
        for (&(null, a, b), &(n, sum, integer, float)) in &groups {
            let a = if null { "null".to_owned() } else { format!("\"a common start of keys {a}\"") };
            // The smallest spelling stands for an array, an integer for a number.
            let c = if float { format!("{b}.0") } else { format!("{b}") };
            let b = if integer { format!("{b}") } else { format!("{b}.0") };
            expected.push(format!("{{\"a\":{a},\"b\":{b},\"c\":[{c}],\"n\":{n},\"s\":{sum:?},\"d\":1}}\n"));
        }
        let query = "a, b, c, count(*) as n, sum(v) as s, count(distinct c) as d group by a, b, c";
        let sorted =
            "a, b, count(*) as n, sum(v) as s group by a, b having n > 1 order by n desc, s limit 100 offset 7";
        let first = run(sorted, &input, 1);
        assert_eq!(first.lines().count(), 100);
        for threads in [1, 2, 3, 8] {
            assert!(run(query, &input, threads) == expected.concat(), "{threads} threads");
            let some = run(&format!("{query} limit 3000 offset 2000"), &input, threads);
            assert!(some == expected[2000..5000].concat(), "limit, {threads} threads");
            assert!(run(sorted, &input, threads) == first, "order by, {threads} threads");
        }
    }
}
