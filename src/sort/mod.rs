//! Sorting: rows by encoded keys, all of them or only the first few.

use bytemuck::{Pod, Zeroable};

use crate::error::Result;
use crate::memory::{Budget, ByteArena, Handle, PageVec, Reservation};
use crate::spill::{Entries, Merge, Run, RunWriter, Space, are_too_many, make_fewer};
use crate::value::first_bytes;

/// The first eight bytes of an encoded key as a number that compares as they do.
#[inline]
pub fn prefix(key: &[u8]) -> u64 {
    u64::from_be_bytes(first_bytes(key))
}

/// The fewest rows that there is room for.
const MIN_ENTRIES: usize = 256;

/// Rows with their sort keys: all of them, or only those that can be among the first `limit`.
///
/// When the budget does not allow for more, the rows that are in memory are sorted and go to disk as a run.
pub struct Sorter {
    entries: PageVec<Entry>,
    bytes: ByteArena,
    limit: Option<usize>,
    /// The key from which on no row can be among the first `limit`, once that is known.
    bound: Option<Vec<u8>>,
    reservation: Reservation,
    /// The bytes that stay reserved.
    room: usize,
    space: Space,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(C)]
struct Entry {
    prefix: u64,
    at: Handle,
    key_len: u32,
    row_len: u32,
}

impl Sorter {
    /// An empty sorter that keeps at least the first `limit` rows, in memory of a budget as far as that goes, then in the
    /// space.
    pub fn new(limit: Option<u64>, budget: &Budget, space: &Space) -> Sorter {
        Sorter {
            entries: PageVec::default(),
            bytes: ByteArena::default(),
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            bound: (limit == Some(0)).then(Vec::new),
            reservation: budget.reservation("sorted rows"),
            room: 0,
            space: space.clone(),
            runs: Vec::new(),
        }
    }

    /// Has so many bytes reserved from now on, if there are so many: others cannot take the last that it will need.
    pub fn with_room(mut self, bytes: usize) -> Sorter {
        if self.reservation.try_resize(bytes) {
            self.room = bytes;
        }
        self
    }

    /// Whether a row whose key is this, or begins with it, may be among the first; if not, there is no need to
    /// [`push`](Sorter::push) it.
    #[inline]
    pub fn admits(&self, key: &[u8]) -> bool {
        self.bound.as_ref().is_none_or(|bound| key < bound.as_slice())
    }

    /// Takes in a row. `key` orders it and has to be unique, so that the order does not depend on chance: it ends with
    /// the row's place in the input.
    ///
    /// # Errors
    /// [`Resource`](crate::ErrorKind::Resource) when neither the memory limit nor the space allows for the row; any error of
    /// writing a run.
    pub fn push(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        if !self.admits(key) {
            return Ok(());
        }
        self.make_room(key.len() + row.len())?;
        let at = self.bytes.push(&[key, row]);
        self.entries.push(Entry { prefix: prefix(key), at, key_len: key.len() as u32, row_len: row.len() as u32 });
        if let Some(limit) = self.limit
            && self.entries.len() >= limit.saturating_mul(2).max(1024)
        {
            self.cut(limit);
        }
        Ok(())
    }

    /// Reserves what a row of so many bytes takes; where that is refused, what is in memory goes to disk.
    fn make_room(&mut self, len: usize) -> Result<()> {
        let entries = match self.entries.capacity() {
            room if room > self.entries.len() => room,
            room => (room * 2).max(MIN_ENTRIES),
        };
        let growth = self.bytes.growth(len);
        if growth == 0 && entries == self.entries.capacity() {
            return Ok(());
        }
        let size = self.bytes.size() + growth + entries * size_of::<Entry>();
        if !self.reservation.try_resize(size.max(self.room)) {
            if self.entries.is_empty() {
                // What is not used may be what stands in the way of a huge row.
                self.bytes = ByteArena::default();
            }
            self.spill()?;
            if self.entries.capacity() == 0 || self.bytes.growth(len) > 0 {
                // Only a row that is larger than those before it takes more now.
                let growth = self.bytes.growth(len);
                let entries = self.entries.capacity().max(MIN_ENTRIES);
                let size = self.bytes.size() + growth + entries * size_of::<Entry>();
                self.reservation.resize(size.max(self.room))?;
                self.entries.grow(entries);
            }
            return Ok(());
        }
        self.entries.grow(entries);
        Ok(())
    }

    /// Does what can be done before the other sorters are there: sorts what is in memory, or, if other rows are on disk,
    /// writes it there, too.
    ///
    /// # Errors
    /// Any error of writing a run.
    pub fn close(&mut self) -> Result<()> {
        if self.has_spilled() {
            return self.spill();
        }
        self.sort();
        Ok(())
    }

    /// Writes the rows that are in memory to disk.
    ///
    /// # Errors
    /// Any error of writing a run.
    pub fn spill(&mut self) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.sort();
        if let Some(limit) = self.limit
            && let Some(first_out) = self.entries.get(limit)
        {
            self.bound = Some(self.bytes.get(first_out.at, first_out.key_len as usize).to_vec());
            self.entries.truncate(limit);
        }
        let mut writer = RunWriter::new(&self.space)?;
        for entry in self.entries.iter() {
            let (key, row) = entry.parts(&self.bytes);
            writer.push(key, row)?;
        }
        self.runs.push(writer.finish()?);
        self.entries.clear();
        self.bytes.clear();
        if are_too_many(&self.runs) {
            // What rows had is there for reading runs.
            (self.entries, self.bytes) = Default::default();
            make_fewer(&mut self.runs, self.reservation.bytes(), &self.space)?;
        }
        Ok(())
    }

    /// Writes the rows that are in memory to disk if they take more than so many bytes, so that what comes of them has the
    /// rest.
    ///
    /// # Errors
    /// As [`spill`](Sorter::spill).
    pub fn spill_above(&mut self, bytes: usize) -> Result<()> {
        if self.reservation.bytes() > bytes { self.spill() } else { Ok(()) }
    }

    /// Takes the runs that are on disk away.
    pub fn take_runs(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.runs)
    }

    /// Takes in rows that are on disk.
    pub fn add_runs(&mut self, runs: Vec<Run>) {
        self.runs.extend(runs);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.runs.is_empty()
    }

    /// Whether rows were written to disk.
    pub fn has_spilled(&self) -> bool {
        !self.runs.is_empty()
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.entries.sort_unstable_by(|a, b| compare(bytes, a, bytes, b));
    }

    /// Drops all but the first `limit` rows.
    fn cut(&mut self, limit: usize) {
        let Sorter { entries, bytes, .. } = self;
        if entries.len() > limit {
            let (_, first_out, _) = entries.select_nth_unstable_by(limit, |a, b| compare(bytes, a, bytes, b));
            self.bound = Some(bytes.get(first_out.at, first_out.key_len as usize).to_vec());
            entries.truncate(limit);
        }
        let old = std::mem::take(bytes);
        for entry in entries.iter_mut() {
            entry.at = bytes.push(&[old.get(entry.at, entry.key_len as usize + entry.row_len as usize)]);
        }
    }

    /// The rows of several sorters in order. Runs are read with what a budget has left.
    ///
    /// # Errors
    /// Any error of writing or reading runs.
    pub fn finish(mut sorters: Vec<Sorter>, budget: &Budget) -> Result<SortedRows> {
        if !sorters.iter().any(Sorter::has_spilled) {
            sorters.iter_mut().for_each(Sorter::sort);
            return Ok(SortedRows::in_memory(sorters));
        }
        let (mut runs, mut space) = (Vec::new(), None);
        for mut sorter in sorters {
            sorter.spill()?;
            runs.append(&mut sorter.runs);
            space = Some(sorter.space);
        }
        match space {
            Some(space) => Ok(SortedRows::of(Source::OnDisk(Entries::of(Merge::of(runs, budget, &space)?)))),
            None => Ok(SortedRows::in_memory(Vec::new())),
        }
    }
}

/// Merges the runs of sorters to one, which has the first `limit` rows at least.
///
/// # Errors
/// Any error of writing or reading runs.
pub fn merge_runs(runs: Vec<Run>, limit: Option<u64>, budget: &Budget, space: &Space) -> Result<Run> {
    let mut merge = Merge::of(runs, budget, space)?;
    let mut writer = RunWriter::new(space)?;
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 && merge.advance()? {
        writer.push(merge.key(), merge.payload())?;
        left -= 1;
    }
    writer.finish()
}

impl Entry {
    /// The key and the row.
    fn parts<'b>(&self, bytes: &'b ByteArena) -> (&'b [u8], &'b [u8]) {
        bytes.get(self.at, self.key_len as usize + self.row_len as usize).split_at(self.key_len as usize)
    }
}

fn compare(a_bytes: &ByteArena, a: &Entry, b_bytes: &ByteArena, b: &Entry) -> std::cmp::Ordering {
    a.prefix
        .cmp(&b.prefix)
        .then_with(|| a_bytes.get(a.at, a.key_len as usize).cmp(b_bytes.get(b.at, b.key_len as usize)))
}

/// Sorted rows, one after another.
pub struct SortedRows {
    source: Source,
    /// Whether the row that we are at comes once more.
    is_put_back: bool,
}

enum Source {
    /// All rows are in memory.
    InMemory(SortersInMemory),
    /// The rows are on disk.
    OnDisk(Entries),
}

/// Sorters that have sorted.
struct SortersInMemory {
    sorters: Vec<Sorter>,
    /// The next row of each.
    next: Vec<usize>,
    /// The sorter that has the row that we are at, and that row.
    current: Option<(usize, Entry)>,
}

impl SortersInMemory {
    fn advance(&mut self) -> bool {
        let mut best: Option<(usize, Entry)> = None;
        for (number, sorter) in self.sorters.iter().enumerate() {
            let Some(&entry) = sorter.entries.get(self.next[number]) else { continue };
            let is_less = |(other, found): (usize, Entry)| {
                compare(&sorter.bytes, &entry, &self.sorters[other].bytes, &found).is_lt()
            };
            if best.is_none_or(is_less) {
                best = Some((number, entry));
            }
        }
        self.current = best;
        if let Some((number, _)) = best {
            self.next[number] += 1;
        }
        best.is_some()
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        match self.current {
            Some((number, entry)) => entry.parts(&self.sorters[number].bytes),
            None => (b"", b""),
        }
    }
}

impl SortedRows {
    fn of(source: Source) -> SortedRows {
        SortedRows { source, is_put_back: false }
    }

    fn in_memory(sorters: Vec<Sorter>) -> SortedRows {
        let next = vec![0; sorters.len()];
        SortedRows::of(Source::InMemory(SortersInMemory { sorters, next, current: None }))
    }

    /// Lets another thread read what is on disk, before it is asked for, as far as a budget allows for that.
    pub fn read_ahead(self, budget: &Budget) -> SortedRows {
        let source = match self.source {
            Source::OnDisk(entries) => Source::OnDisk(entries.read_ahead(budget)),
            in_memory => in_memory,
        };
        SortedRows { source, ..self }
    }

    /// Goes on to the next row, the first one to begin with; `false` if there is none.
    ///
    /// # Errors
    /// Any error of reading runs.
    pub fn advance(&mut self) -> Result<bool> {
        if std::mem::take(&mut self.is_put_back) {
            return Ok(true);
        }
        match &mut self.source {
            Source::InMemory(sorters) => Ok(sorters.advance()),
            Source::OnDisk(entries) => entries.advance(),
        }
    }

    /// Lets the row come once more, as the next one.
    pub fn put_back(&mut self) {
        self.is_put_back = true;
    }

    /// The key of the row.
    pub fn key(&self) -> &[u8] {
        match &self.source {
            Source::InMemory(sorters) => sorters.parts().0,
            Source::OnDisk(entries) => entries.key(),
        }
    }

    /// The row.
    pub fn row(&self) -> &[u8] {
        match &self.source {
            Source::InMemory(sorters) => sorters.parts().1,
            Source::OnDisk(entries) => entries.payload(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rows of several sorters, of which each may hold so many bytes; and whether any spilled.
    fn sorted(rows: &[Vec<(Vec<u8>, Vec<u8>)>], limit: Option<u64>, bytes: usize) -> (Vec<Vec<u8>>, bool) {
        let (budget, space) = (Budget::new(64 << 20), Space::new(std::env::temp_dir(), None));
        let mut sorters = Vec::new();
        for rows in rows {
            let mut sorter = Sorter::new(limit, &budget.part(bytes), &space);
            rows.iter().for_each(|(key, row)| sorter.push(key, row).unwrap());
            sorters.push(sorter);
        }
        let spilled = sorters.iter().any(Sorter::has_spilled);
        let (mut rows, mut all) = (Sorter::finish(sorters, &budget).unwrap(), Vec::new());
        while rows.advance().unwrap() {
            all.push(rows.row().to_vec());
            if all.len() % 7 == 0 {
                rows.put_back();
                assert!(rows.advance().unwrap());
                assert_eq!(Some(rows.row()), all.last().map(Vec::as_slice));
            }
        }
        (all, spilled)
    }

    proptest! {
        #[test]
        fn spilling_changes_nothing(
            lens in prop::collection::vec(prop::collection::vec(0_usize..300, 0..2000), 1..4),
            limit in prop::option::of(0_u64..3000),
        ) {
            let mut number = 0_u32;
            let mut row = |len| {
                number += 1;
                // Keys in no order, which end with a number.
                let key = [&number.wrapping_mul(2_654_435_761).to_be_bytes()[..2], &number.to_be_bytes()].concat();
                (key, vec![number as u8; len])
            };
            let rows: Vec<Vec<_>> = lens.into_iter().map(|lens| lens.into_iter().map(&mut row).collect()).collect();
            let mut expected = rows.concat();
            expected.sort();
            let expected: Vec<Vec<u8>> = expected.into_iter().map(|(_, row)| row).collect();
            let wanted = limit.map_or(expected.len(), |limit| expected.len().min(limit as usize));
            for bytes in [64 << 20, 64 << 10] {
                let (found, spilled) = sorted(&rows, limit, bytes);
                prop_assert_eq!(&found[..wanted], &expected[..wanted]);
                let most = rows.iter().map(Vec::len).max().unwrap_or(0);
                prop_assert!(spilled || bytes > 64 << 10 || most < 1500 || limit.is_some_and(|limit| limit < 1000));
            }
        }
    }
}
