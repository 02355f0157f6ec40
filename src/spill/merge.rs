//! Merging runs.

use std::cmp::Ordering;
use std::ops::Range;

use super::run::{BLOCK, Run, RunReader, RunWriter};
use super::space::Space;
use crate::error::Result;
use crate::memory::{Budget, Reservation};
use crate::value::first_bytes;

/// The entries of several runs in the order of their keys; those of equal keys in the order of the runs.
///
/// The runs are the leaves of a tournament. Each inner node keeps the run that lost there, so that after the winner has
/// moved on only the matches on its way to the root are played again.
pub struct Merge {
    readers: Vec<RunReader>,
    /// Of each reader how its key begins; and one for those that are at their end.
    heads: Vec<u128>,
    /// The bytes of the entries of the longest block.
    longest: usize,
    /// By the number of an inner node the reader that lost there, and by 0 the winner. A reader at its end is
    /// `readers.len()`, which loses to all others.
    losers: Vec<usize>,
    started: bool,
    _reservation: Reservation,
}

impl Merge {
    /// Merges runs with at most half of the memory that a budget has left. If they are too many for that, neighbours are
    /// merged to new runs first.
    ///
    /// # Errors
    /// As [`RunReader::advance`] and [`RunWriter::push`]; [`ErrorKind::Resource`](crate::ErrorKind::Resource) if the memory
    /// does not even do for two runs.
    pub fn of(mut runs: Vec<Run>, budget: &Budget, space: &Space) -> Result<Merge> {
        let memory = budget.left() / 2;
        while memory_of(&runs) > memory && runs.len() > 2 {
            // As few as will do: all others are read only once more.
            let together = together(&runs, memory);
            let first = least(&runs, together, usize::MAX).unwrap_or(0);
            to_one(&mut runs, first..first + together, budget, space)?;
        }
        Merge::new(runs, budget)
    }

    fn new(runs: Vec<Run>, budget: &Budget) -> Result<Merge> {
        let mut reservation = budget.reservation("runs that are merged");
        reservation.resize(memory_of(&runs))?;
        let longest = runs.iter().map(Run::longest).max().unwrap_or(0);
        let mut readers: Vec<RunReader> = runs.into_iter().map(RunReader::new).collect();
        let ended = readers.len();
        let mut winners = vec![ended; 2 * readers.len()];
        let mut heads = vec![u128::MAX; ended + 1];
        for (number, reader) in readers.iter_mut().enumerate() {
            if reader.advance()? {
                (winners[ended + number], heads[number]) = (number, head(reader.key()));
            }
        }
        let losers = vec![ended; ended.max(1)];
        let mut merge = Merge { readers, heads, longest, losers, started: false, _reservation: reservation };
        for node in (1..ended).rev() {
            let (a, b) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if merge.wins(a, b) { (a, b) } else { (b, a) };
            (winners[node], merge.losers[node]) = (winner, loser);
        }
        merge.losers[0] = winners.get(1).copied().unwrap_or(0);
        Ok(merge)
    }

    /// Goes on to the next entry, the first one to begin with; `false` if there is none.
    ///
    /// # Errors
    /// As [`RunReader::advance`].
    pub fn advance(&mut self) -> Result<bool> {
        let ended = self.readers.len();
        if std::mem::replace(&mut self.started, true) && self.losers[0] != ended {
            let mut winner = self.losers[0];
            let mut node = (winner + ended) / 2;
            if self.readers[winner].advance()? {
                self.heads[winner] = head(self.readers[winner].key());
            } else {
                winner = ended;
            }
            while node > 0 {
                if self.wins(self.losers[node], winner) {
                    std::mem::swap(&mut self.losers[node], &mut winner);
                }
                node /= 2;
            }
            self.losers[0] = winner;
        }
        Ok(self.losers[0] != ended)
    }

    /// The key of the entry.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.readers[self.losers[0]].key()
    }

    /// The payload of the entry.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.readers[self.losers[0]].payload()
    }

    /// The bytes that an entry has, at most.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    #[inline]
    fn wins(&self, a: usize, b: usize) -> bool {
        match self.heads[a].cmp(&self.heads[b]) {
            Ordering::Equal => self.wins_in_full(a, b),
            ordering => ordering.is_lt(),
        }
    }

    fn wins_in_full(&self, a: usize, b: usize) -> bool {
        match (self.readers.get(a), self.readers.get(b)) {
            (Some(of_a), Some(of_b)) => match of_a.key().cmp(of_b.key()) {
                Ordering::Equal => a < b,
                ordering => ordering.is_lt(),
            },
            (of_a, _) => of_a.is_some(),
        }
    }
}

/// The start of a key as a number that is not greater than that of any greater key.
#[inline]
fn head(key: &[u8]) -> u128 {
    u128::from_be_bytes(first_bytes(key))
}

/// Whether there are so many runs that [`make_fewer`] is to be called: what is known of each takes memory, too.
pub fn are_too_many(runs: &[Run]) -> bool {
    runs.len() > MOST_RUNS
}

/// Merges neighbours, with so many bytes of memory, until half of the runs are left that are too many.
///
/// # Errors
/// As [`Merge::of`].
pub fn make_fewer(runs: &mut Vec<Run>, memory: usize, space: &Space) -> Result<()> {
    let budget = Budget::new(memory);
    let mut together = (memory / 2 / (memory_of(runs) / runs.len()).max(1)).clamp(2, MOST_RUNS / 2);
    while runs.len() > MOST_RUNS / 2 {
        match least(runs, together, memory) {
            Some(first) => to_one(runs, first..first + together, &budget, space)?,
            None if together > 2 => together = 2,
            None => break,
        }
    }
    Ok(())
}

/// The most runs that one holder has.
const MOST_RUNS: usize = 512;

/// The first of so many neighbours whose sum is least, among those that so much memory does for.
fn least(runs: &[Run], together: usize, memory: usize) -> Option<usize> {
    let sum = |window: &[Run]| window.iter().map(Run::len).sum::<u64>();
    let windows = runs.windows(together).enumerate().filter(|(_, window)| memory_of(window) <= memory);
    windows.min_by_key(|(_, window)| sum(window)).map(|(first, _)| first)
}

/// Merges some of the runs, which are neighbours.
fn to_one(runs: &mut Vec<Run>, some: Range<usize>, budget: &Budget, space: &Space) -> Result<()> {
    let first = some.start;
    let mut merge = Merge::new(runs.drain(some).collect(), budget)?;
    let mut writer = RunWriter::new(space)?;
    while merge.advance()? {
        writer.push(merge.key(), merge.payload())?;
    }
    runs.insert(first, writer.finish()?);
    space.count_merge();
    Ok(())
}

/// The bytes of memory that reading runs takes.
fn memory_of(runs: &[Run]) -> usize {
    runs.iter().map(Run::memory).sum()
}

/// How many runs to merge at a time so that what is left can be merged in some memory, as far as so many can be.
fn together(runs: &[Run], memory: usize) -> usize {
    let mean = (memory_of(runs) / runs.len()).max(1);
    // What is written takes memory, too.
    let most = (memory.saturating_sub(3 * BLOCK) / mean).max(2);
    (runs.len() + 1).saturating_sub(memory / mean).clamp(2, most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn space() -> Space {
        Space::new(std::env::temp_dir(), None)
    }

    type Entries = Vec<(Vec<u8>, Vec<u8>)>;

    fn write(space: &Space, entries: &Entries) -> Run {
        let mut writer = RunWriter::new(space).unwrap();
        entries.iter().for_each(|(key, payload)| writer.push(key, payload).unwrap());
        writer.finish().unwrap()
    }

    fn read(runs: Vec<Run>, space: &Space, memory: usize) -> Entries {
        let (mut merge, mut entries) = (Merge::of(runs, &Budget::new(memory), space).unwrap(), Vec::new());
        while merge.advance().unwrap() {
            entries.push((merge.key().to_vec(), merge.payload().to_vec()));
        }
        assert!(!merge.advance().unwrap());
        entries
    }

    /// Few different keys with long common starts, so that some are equal; some payloads are longer than a block.
    fn entries() -> impl Strategy<Value = Entries> {
        let key = (0_usize..3, prop::collection::vec(0_u8..3, 0..4))
            .prop_map(|(start, rest)| [&b"ssss"[start..], &rest].concat());
        let payload = (prop_oneof![20 => 0_usize..40, 1 => 30_000_usize..70_000], any::<u8>(), any::<bool>()).prop_map(
            |(len, byte, noise)| {
                let mut state = u32::from(byte);
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if noise { (state >> 24) as u8 } else { byte }
                };
                (0..len).map(|_| next()).collect()
            },
        );
        prop::collection::vec((key, payload), 0..60).prop_map(|mut entries: Entries| {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries
        })
    }

    proptest! {
        #[test]
        fn merging_is_a_stable_sort(runs in prop::collection::vec(entries(), 0..9), memory in 1_usize << 20..4 << 20) {
            let space = space();
            let mut expected = runs.concat();
            expected.sort_by(|a, b| a.0.cmp(&b.0));
            let runs: Vec<Run> = runs.iter().map(|entries| write(&space, entries)).collect();
            let merges = runs.len() > 2 && memory_of(&runs) > memory / 2;
            prop_assert_eq!(&read(runs, &space, memory), &expected);
            prop_assert_eq!(space.spilled().merges > 0, merges);
        }
    }

    #[test]
    fn very_many_runs_become_fewer() {
        let (space, memory) = (space(), 400 << 10);
        let (mut runs, mut expected) = (Vec::new(), Vec::new());
        for number in 0..3000_u32 {
            let entry = |i: u32| ((i * 7919 % 50).to_be_bytes().to_vec(), (number + i).to_be_bytes().to_vec());
            let mut entries: Entries = (number..number + 3).map(entry).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            runs.push(write(&space, &entries));
            expected.extend(entries);
            if are_too_many(&runs) {
                make_fewer(&mut runs, memory, &space).unwrap();
                assert_eq!(runs.len(), MOST_RUNS / 2);
            }
        }
        // Those of equal keys are still in the order of the runs.
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(read(runs, &space, 4 << 20) == expected);
    }

    #[test]
    fn space_is_used_again() {
        let space = Space::new(std::env::temp_dir(), Some(64 << 20));
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()
        };
        // 20 MB each, of which three fit at a time.
        for _ in 0..10 {
            let entries: Entries =
                (0..20_000_u32).map(|i| (i.to_be_bytes().to_vec(), (0..125).flat_map(|_| noise()).collect())).collect();
            let runs = vec![write(&space, &entries), write(&space, &entries)];
            assert_eq!(read(runs, &space, 64 << 20).len(), 40_000);
        }
        assert!(space.spilled().bytes > 400_000_000);
        assert_eq!(space.spilled().runs, 20);
    }

    #[test]
    fn a_limit_of_the_space_is_an_error() {
        let space = Space::new(std::env::temp_dir(), Some(1 << 20));
        let mut writer = RunWriter::new(&space).unwrap();
        let noise: Vec<u8> = (0..900_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let error = writer.push(b"a", &noise).and_then(|()| writer.finish()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Resource);
        assert!(error.to_string().contains("1 MiB of temporary space"), "{error}");
    }
}
