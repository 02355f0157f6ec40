//! A vector whose memory goes back to the kernel at once when it is dropped, if it is large.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

use super::Pages;

/// A vector of plain values in [`Pages`].
///
/// What the allocator gets back it may keep: the larger the pieces are that it has seen, the more. So large pieces that come
/// and go, beside others that grow, are not to come from it.
#[derive(Debug)]
pub struct PageVec<T> {
    store: Store<T>,
}

#[derive(Debug)]
enum Store<T> {
    Heap(Vec<T>),
    /// As many bytes as whole values have, which begin where any value may.
    Pages {
        pages: Pages,
        len: usize,
    },
}

impl<T> Default for PageVec<T> {
    fn default() -> PageVec<T> {
        PageVec { store: Store::Heap(Vec::new()) }
    }
}

impl<T: Pod> PageVec<T> {
    /// An empty vector that takes so many values before it grows.
    pub fn with_capacity(capacity: usize) -> PageVec<T> {
        let bytes = capacity.saturating_mul(size_of::<T>());
        let store = match Pages::mapped(bytes) {
            Some(pages) => Store::Pages { pages, len: 0 },
            None => Store::Heap(Vec::with_capacity(capacity)),
        };
        PageVec { store }
    }

    /// So many values of zero bytes.
    pub fn zeroed(len: usize) -> PageVec<T> {
        let mut zeroed = PageVec::with_capacity(len);
        match &mut zeroed.store {
            Store::Heap(values) => values.resize(len, T::zeroed()),
            // They are zero as they come.
            Store::Pages { len: own, .. } => *own = len,
        }
        zeroed
    }

    /// How many values it takes before it grows.
    pub fn capacity(&self) -> usize {
        match &self.store {
            Store::Heap(values) => values.capacity(),
            Store::Pages { pages, .. } => pages.len() / size_of::<T>(),
        }
    }

    /// The bytes held.
    pub fn size(&self) -> usize {
        self.capacity() * size_of::<T>()
    }

    /// Makes room for at least so many values in all.
    pub fn grow(&mut self, capacity: usize) {
        if capacity > self.capacity() {
            let mut grown = PageVec::with_capacity(capacity);
            grown.extend_from_slice(self);
            *self = grown;
        }
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.extend_from_slice(&[value]);
    }

    /// Appends values.
    #[inline]
    pub fn extend_from_slice(&mut self, values: &[T]) {
        let wanted = self.len() + values.len();
        if wanted > self.capacity() {
            self.grow(wanted.max(self.capacity() * 2));
        }
        match &mut self.store {
            Store::Heap(own) => own.extend_from_slice(values),
            Store::Pages { pages, len } => {
                bytemuck::cast_slice_mut(pages)[*len..wanted].copy_from_slice(values);
                *len = wanted;
            }
        }
    }

    /// Drops all but the first `len` values.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.store {
            Store::Heap(values) => values.truncate(len),
            Store::Pages { len: own, .. } => *own = len.min(*own),
        }
    }

    /// Drops all values, and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }
}

impl<T: Pod> Deref for PageVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.store {
            Store::Heap(values) => values,
            Store::Pages { pages, len } => &bytemuck::cast_slice(pages)[..*len],
        }
    }
}

impl<T: Pod> DerefMut for PageVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.store {
            Store::Heap(values) => values,
            Store::Pages { pages, len } => &mut bytemuck::cast_slice_mut(pages)[..*len],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u32),
        Extend(Vec<u32>),
        Truncate(usize),
        Grow(usize),
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<u32>().prop_map(Step::Push),
            prop::collection::vec(any::<u32>(), 0..90_000).prop_map(Step::Extend),
            (0_usize..200_000).prop_map(Step::Truncate),
            (0_usize..200_000).prop_map(Step::Grow),
            Just(Step::Clear),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn it_is_a_vector(steps in prop::collection::vec(step(), 0..12), zeros in 0_usize..100_000) {
            let (mut own, mut vector) = (PageVec::<u32>::zeroed(zeros), vec![0; zeros]);
            for step in steps {
                match step {
                    Step::Push(value) => {
                        own.push(value);
                        vector.push(value);
                    }
                    Step::Extend(values) => {
                        own.extend_from_slice(&values);
                        vector.extend_from_slice(&values);
                    }
                    Step::Truncate(len) => {
                        own.truncate(len);
                        vector.truncate(len);
                    }
                    Step::Grow(capacity) => {
                        own.grow(capacity);
                        prop_assert!(own.capacity() >= capacity);
                    }
                    Step::Clear => {
                        own.clear();
                        vector.clear();
                    }
                }
                prop_assert_eq!(&own[..], &vector[..]);
                prop_assert!(own.capacity() >= own.len());
            }
        }
    }
}
