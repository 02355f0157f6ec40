//! Sorting: rows by encoded keys, all of them or only the first few.

use crate::error::Result;
use crate::memory::{Budget, ByteArena, Handle, Reservation};

/// The first eight bytes of an encoded key as a number that compares as they do.
#[inline]
pub fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// Rows with their sort keys: all of them, or only those that can be among the first `limit`.
pub struct Sorter {
    entries: Vec<Entry>,
    bytes: ByteArena,
    limit: Option<usize>,
    /// The key from which on no row can be among the first `limit`, once that is known.
    bound: Option<Vec<u8>>,
    reservation: Reservation,
}

#[derive(Clone, Copy)]
struct Entry {
    prefix: u64,
    at: Handle,
    key_len: u32,
    row_len: u32,
}

impl Sorter {
    /// An empty sorter that keeps at least the first `limit` rows.
    pub fn new(limit: Option<u64>, budget: &Budget) -> Sorter {
        Sorter {
            entries: Vec::new(),
            bytes: ByteArena::default(),
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            bound: (limit == Some(0)).then(Vec::new),
            reservation: budget.reservation("sorted rows"),
        }
    }

    /// Whether a row with this key may be among the first; if not, there is no need to [`push`](Sorter::push) it.
    #[inline]
    pub fn admits(&self, key: &[u8]) -> bool {
        self.bound.as_ref().is_none_or(|bound| key < bound.as_slice())
    }

    /// Takes in a row. `key` orders it and has to be unique, so that the order does not depend on chance: it ends with
    /// the row's place in the input.
    ///
    /// # Errors
    /// [`Resource`](crate::ErrorKind::Resource) when the memory limit does not allow for the row.
    pub fn push(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        if !self.admits(key) {
            return Ok(());
        }
        let at = self.bytes.push(&[key, row]);
        self.entries.push(Entry { prefix: prefix(key), at, key_len: key.len() as u32, row_len: row.len() as u32 });
        if let Some(limit) = self.limit
            && self.entries.len() >= limit.saturating_mul(2).max(1024)
        {
            self.cut(limit);
        }
        self.reservation.resize(self.bytes.size() + self.entries.capacity() * size_of::<Entry>())
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
        for entry in entries {
            entry.at = bytes.push(&[old.get(entry.at, entry.key_len as usize + entry.row_len as usize)]);
        }
    }

    /// The rows of several sorters in order.
    pub fn finish(mut sorters: Vec<Sorter>) -> SortedRows {
        for sorter in &mut sorters {
            let bytes = &sorter.bytes;
            sorter.entries.sort_unstable_by(|a, b| compare(bytes, a, bytes, b));
        }
        let next = vec![0; sorters.len()];
        SortedRows { sorters, next }
    }
}

fn compare(a_bytes: &ByteArena, a: &Entry, b_bytes: &ByteArena, b: &Entry) -> std::cmp::Ordering {
    a.prefix
        .cmp(&b.prefix)
        .then_with(|| a_bytes.get(a.at, a.key_len as usize).cmp(b_bytes.get(b.at, b.key_len as usize)))
}

/// Sorted rows, one after another.
pub struct SortedRows {
    sorters: Vec<Sorter>,
    next: Vec<usize>,
}

impl SortedRows {
    /// The next row.
    pub fn next_row(&mut self) -> Option<&[u8]> {
        let mut best: Option<(usize, Entry)> = None;
        for (number, sorter) in self.sorters.iter().enumerate() {
            let Some(&entry) = sorter.entries.get(self.next[number]) else { continue };
            let better = best.is_none_or(|(other, found)| {
                compare(&sorter.bytes, &entry, &self.sorters[other].bytes, &found).is_lt()
            });
            if better {
                best = Some((number, entry));
            }
        }
        let (number, entry) = best?;
        self.next[number] += 1;
        let all = self.sorters[number].bytes.get(entry.at, entry.key_len as usize + entry.row_len as usize);
        Some(&all[entry.key_len as usize..])
    }
}
