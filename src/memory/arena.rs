//! Byte strings that are kept until all of them are dropped.

use bytemuck::{Pod, Zeroable};

use super::PageVec;

/// An append-only store of byte strings, in chunks, so that growing never copies and size is known exactly.
#[derive(Debug, Default)]
pub struct ByteArena {
    /// Those before `current` are full, those behind it are empty.
    chunks: Vec<PageVec<u8>>,
    current: usize,
    size: usize,
}

/// The place of a byte string in a [`ByteArena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroable, Pod)]
#[repr(C)]
pub struct Handle {
    chunk: u32,
    start: u32,
}

impl ByteArena {
    /// The first chunk is small, as most arenas stay small; each next one is twice as large, up to this.
    const MAX_CHUNK: usize = 1 << 20;
    const MIN_CHUNK: usize = 1 << 12;

    /// Keeps the parts as one byte string.
    pub fn push(&mut self, parts: &[&[u8]]) -> Handle {
        let len = parts.iter().map(|part| part.len()).sum();
        while let Some(chunk) = self.chunks.get(self.current)
            && chunk.capacity() - chunk.len() < len
        {
            self.current += 1;
        }
        if self.current == self.chunks.len() {
            let chunk = PageVec::with_capacity(self.next_chunk(len));
            self.size += chunk.capacity() + size_of::<PageVec<u8>>();
            self.chunks.push(chunk);
        }
        let chunk = &mut self.chunks[self.current];
        let handle = Handle { chunk: self.current as u32, start: chunk.len() as u32 };
        parts.iter().for_each(|part| chunk.extend_from_slice(part));
        handle
    }

    /// The bytes that are allocated when a string of `len` bytes is kept next.
    pub fn growth(&self, len: usize) -> usize {
        let fits = |chunk: &PageVec<u8>| chunk.capacity() - chunk.len() >= len;
        let has_room = self.chunks[self.current.min(self.chunks.len())..].iter().any(fits);
        if has_room { 0 } else { self.next_chunk(len) + size_of::<PageVec<u8>>() }
    }

    fn next_chunk(&self, len: usize) -> usize {
        let next = self.chunks.last().map_or(Self::MIN_CHUNK, |chunk| (chunk.capacity() * 2).min(Self::MAX_CHUNK));
        next.max(len)
    }

    /// Forgets all byte strings, and keeps the memory.
    pub fn clear(&mut self) {
        self.chunks.iter_mut().for_each(PageVec::clear);
        self.current = 0;
    }

    /// The `len` bytes at a place that [`push`](ByteArena::push) gave.
    #[inline]
    pub fn get(&self, handle: Handle, len: usize) -> &[u8] {
        let start = handle.start as usize;
        &self.chunks[handle.chunk as usize][start..start + len]
    }

    /// The bytes held.
    pub fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_pushed() {
        let mut arena = ByteArena::default();
        let long = vec![7; ByteArena::MAX_CHUNK * 2];
        let handles: Vec<_> = (0..10_000_u32).map(|i| arena.push(&[&i.to_le_bytes(), b"!"])).collect();
        let last = arena.push(&[&long]);
        for (i, handle) in handles.into_iter().enumerate() {
            assert_eq!(arena.get(handle, 5), [&(i as u32).to_le_bytes()[..], b"!"].concat());
        }
        assert_eq!(arena.get(last, long.len()), long);
        assert!(arena.size() >= 50_000 + long.len());
    }

    #[test]
    fn memory_is_used_again() {
        let mut arena = ByteArena::default();
        let fill = |arena: &mut ByteArena| {
            for i in 0..5000_usize {
                let (size, growth) = (arena.size(), arena.growth(i));
                arena.push(&[&vec![1; i]]);
                assert_eq!(arena.size() - size, growth);
            }
            arena.size()
        };
        let size = fill(&mut arena);
        arena.clear();
        assert_eq!(fill(&mut arena), size);
    }
}
