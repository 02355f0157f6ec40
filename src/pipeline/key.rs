//! Keys: what records are grouped by.

use std::hash::Hash;

use crate::value::{Date, Timestamp};

/// What records are grouped by. Groups come out sorted by it.
///
/// A type of one's own is a key with an `impl Key for It {}`, and [`heap_size`](Key::heap_size) where it holds memory.
pub trait Key: Hash + Ord + Send {
    /// The bytes that the key holds on the heap, for the memory limit. 0 if it holds none.
    fn heap_size(&self) -> usize {
        0
    }
}

macro_rules! keys_without_heap {
    ($($key:ty),*) => { $(impl Key for $key {})* };
}

keys_without_heap!(bool, char, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, Date, Timestamp, &str);

impl Key for String {
    fn heap_size(&self) -> usize {
        self.capacity()
    }
}

impl Key for Box<str> {
    fn heap_size(&self) -> usize {
        self.len()
    }
}

impl<K: Key> Key for Vec<K> {
    fn heap_size(&self) -> usize {
        self.capacity() * size_of::<K>() + self.iter().map(K::heap_size).sum::<usize>()
    }
}

/// `None` comes first.
impl<K: Key> Key for Option<K> {
    fn heap_size(&self) -> usize {
        self.as_ref().map_or(0, K::heap_size)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn heap_size(&self) -> usize {
        self.0.heap_size() + self.1.heap_size()
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn heap_size(&self) -> usize {
        self.0.heap_size() + self.1.heap_size() + self.2.heap_size()
    }
}
