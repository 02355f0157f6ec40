//! A list in chunks.

use super::numbers::Numbers;
use crate::scan::prefetch;

/// The elements of a chunk, as a power of two.
const LOG: u32 = 9;
/// The elements of a chunk.
pub const CHUNK: usize = 1 << LOG;

/// From this many states on they do not stay in the nearest caches.
pub(super) const MANY_STATES: usize = 1 << 12;
/// The rows whose states are then prefetched together.
pub(super) const TOGETHER: usize = 64;

/// A list in chunks: growing never copies, and a large one takes little more memory than its elements.
pub struct Chunks<T> {
    /// All but the last are full, unless the list was renumbered. No chunk has room for more than [`CHUNK`].
    chunks: Vec<Vec<T>>,
    len: usize,
    /// The elements that all chunks have room for.
    room: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Chunks<T> {
        Chunks { chunks: Vec::new(), len: 0, room: 0 }
    }
}

impl<T> Chunks<T> {
    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The element of a number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &T {
        &self.chunks[(number >> LOG) as usize][number as usize % CHUNK]
    }

    /// The element of a number.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> &mut T {
        &mut self.chunks[(number >> LOG) as usize][number as usize % CHUNK]
    }

    /// Begins to load some elements, if there are so many that they lie beyond the nearest caches, and says whether. Some
    /// are prefetched at a time, so that the misses overlap.
    #[inline(always)]
    pub(super) fn prefetch_if_many(&self, numbers: &[u32]) -> bool {
        let are_many = self.len > MANY_STATES;
        if are_many {
            numbers.iter().for_each(|&number| prefetch(self.get(number)));
        }
        are_many
    }

    /// All elements.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// Appends an element.
    #[inline]
    pub(super) fn push(&mut self, element: T) {
        let chunk = self.len / CHUNK;
        if self.chunks.get(chunk).is_none_or(|chunk| chunk.len() == chunk.capacity()) {
            self.make_room(1);
        }
        self.chunks[chunk].push(element);
        self.len += 1;
    }

    /// Appends defaults up to a length.
    pub(super) fn grow(&mut self, len: usize)
    where
        T: Default,
    {
        while self.len < len {
            let chunk = self.len / CHUNK;
            let more = (len - self.len).min(CHUNK - self.len % CHUNK);
            self.make_room(more);
            self.chunks[chunk].extend(std::iter::repeat_with(T::default).take(more));
            self.len += more;
        }
    }

    /// Sees to it that the last chunk, or a new one, has room for `more` elements. The first chunk grows by doubling, as
    /// most lists stay small.
    fn make_room(&mut self, more: usize) {
        let chunk = self.len / CHUNK;
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::new());
        }
        let wanted = self.len % CHUNK + more;
        let vec = &mut self.chunks[chunk];
        if wanted > vec.capacity() {
            self.room -= vec.capacity();
            let capacity = if chunk == 0 { wanted.next_power_of_two() } else { CHUNK };
            vec.reserve_exact(capacity - vec.len());
            self.room += vec.capacity();
        }
    }

    /// Drops all elements, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.chunks.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }

    /// Gives the elements other numbers. The list cannot grow after it.
    ///
    /// Chunks that were read are written to next, so this takes little memory and touches no new one.
    pub(super) fn renumber(&mut self, numbers: &Numbers) {
        let mut old = std::mem::take(&mut self.chunks).into_iter();
        self.chunks.resize_with((numbers.end() as usize).div_ceil(CHUNK), Vec::new);
        let mut spare = Vec::new();
        numbers.for_each(|numbers| {
            let Some(mut chunk) = old.next() else { return };
            for (element, &number) in chunk.drain(..).zip(numbers) {
                let to = &mut self.chunks[(number >> LOG) as usize];
                if to.capacity() == 0 {
                    *to = spare.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
                }
                debug_assert_eq!(to.len(), number as usize % CHUNK, "numbers rise in a chunk");
                to.push(element);
            }
            spare.push(chunk);
        });
        self.room = self.chunks.iter().map(Vec::capacity).sum();
    }

    /// The bytes held.
    pub(super) fn size(&self) -> usize {
        self.room * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_list(steps in prop::collection::vec((any::<bool>(), 0_usize..1500), 0..20)) {
            let (mut list, mut expected) = (Chunks::default(), Vec::new());
            for (grow, count) in steps {
                if grow {
                    list.grow(expected.len() + count);
                    expected.resize(expected.len() + count, 0);
                } else {
                    let next = expected.len();
                    (next..next + count).for_each(|element| list.push(element));
                    expected.extend(next..next + count);
                }
                prop_assert_eq!(list.len(), expected.len());
            }
            prop_assert!(list.iter().eq(&expected));
            prop_assert!(expected.iter().enumerate().all(|(number, element)| list.get(number as u32) == element));
            prop_assert!(list.size() >= expected.len() * size_of::<usize>());
            prop_assert!(list.size() <= (2 * expected.len() + CHUNK + 64) * size_of::<usize>());
        }

        #[test]
        fn renumbered_elements_are_found(ranges in prop::collection::vec(0_u16..7, 0..9000)) {
            // As groups are dealt out: the numbers of a range rise, and start with a chunk.
            let count = |range| ranges.iter().filter(|&&other| other == range).count().next_multiple_of(CHUNK);
            let mut next: Vec<u32> = (0..7).map(|range| (0..range).map(count).sum::<usize>() as u32).collect();
            let end = (0..7).map(count).sum::<usize>() as u32;
            // They come in pieces, each with the next number of each range.
            let mut starts = Vec::new();
            let mut expected = Vec::new();
            for piece in ranges.chunks(1000) {
                starts.push(next.clone());
                for &range in piece {
                    expected.push(next[range as usize]);
                    next[range as usize] += 1;
                }
            }
            let numbers = Numbers::new(ranges.chunks(1000).zip(starts.iter().map(Vec::as_slice)).collect(), end);
            let mut found = Vec::new();
            numbers.for_each(|numbers| found.extend_from_slice(numbers));
            prop_assert_eq!(&found, &expected);
            let mut list = Chunks::default();
            (0..ranges.len()).for_each(|element| list.push(element));
            list.renumber(&numbers);
            prop_assert!(expected.iter().enumerate().all(|(element, &number)| *list.get(number) == element));
            prop_assert_eq!(list.iter().count(), ranges.len());
        }
    }
}
