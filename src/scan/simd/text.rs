//! Reading ahead in a block without a slice for each look.
#![allow(unsafe_code)]

use super::{Half, Window};

/// A block to read ahead in, from everywhere but its end.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Text<'a> {
    block: &'a [u8],
    /// The bytes from which there are [`AHEAD`] or more: `limit + AHEAD <= block.len() + 1`, or 0.
    limit: usize,
}

/// The bytes that can be read from any index below the limit: a window from each of the first bytes of a window.
const AHEAD: usize = 2 * size_of::<Window>();

impl<'a> Text<'a> {
    /// The block, of any length.
    #[inline(always)]
    pub fn new(block: &'a [u8]) -> Text<'a> {
        Text { block, limit: (block.len() + 1).saturating_sub(AHEAD) }
    }

    /// What begins at an index; `None` if the block ends before that does.
    #[inline(always)]
    pub fn ahead(self, at: usize) -> Option<Ahead<'a>> {
        debug_assert!(self.limit == 0 || self.limit + AHEAD <= self.block.len() + 1);
        (at < self.limit).then_some(Ahead(Near { block: self.block, at }))
    }
}

/// The two windows from an index of a [`Text`].
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Ahead<'a>(Near<'a>);

impl<'a> Ahead<'a> {
    /// The first of them.
    #[inline(always)]
    pub fn near(self) -> Near<'a> {
        self.0
    }

    /// The window that begins `bytes` further on.
    ///
    /// # Panics
    /// If that is more than a window.
    #[inline(always)]
    pub fn further(self, bytes: usize) -> Near<'a> {
        assert!(bytes <= size_of::<Window>());
        Near { block: self.0.block, at: self.0.at + bytes }
    }
}

/// The window from an index of a [`Text`].
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Near<'a> {
    block: &'a [u8],
    /// There is a window from here on: `at + size_of::<Window>() <= block.len()`.
    at: usize,
}

impl<'a> Near<'a> {
    /// The index.
    #[inline(always)]
    pub fn at(self) -> usize {
        self.at
    }

    /// All of it.
    #[inline(always)]
    pub fn window(self) -> &'a Window {
        debug_assert!(self.at + size_of::<Window>() <= self.block.len());
        // SAFETY: by the invariant of `at`, the block has a window from there on. It holds because an index below the
        // limit of a text has two windows ahead, and this one begins at that index or up to a window further.
        unsafe { &*self.block.as_ptr().add(self.at).cast() }
    }

    /// The first byte.
    #[inline(always)]
    pub fn byte(self) -> u8 {
        self.window()[0]
    }

    /// The first half of it.
    #[inline(always)]
    pub fn half(self) -> &'a Half {
        let (halves, _) = self.window().as_chunks();
        &halves[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_block() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in [0, 1, AHEAD - 1, AHEAD, AHEAD + 1, 200, 256] {
            let block = &bytes[..len];
            for at in 0..len + 3 {
                let ahead = Text::new(block).ahead(at);
                assert_eq!(ahead.is_some(), at + AHEAD <= len, "{at} of {len}");
                for further in 0..=64 {
                    let Some(near) = ahead.map(|ahead| ahead.further(further)) else { break };
                    assert_eq!((near.at(), near.byte()), (at + further, block[at + further]));
                    assert_eq!(near.window()[..], block[at + further..][..64]);
                    assert_eq!(near.half()[..], block[at + further..][..32]);
                }
            }
        }
    }
}
