//! Reading ahead in a block without a slice for each look.
#![allow(unsafe_code)]

use super::{Half, Window};

/// The part of a block from which [`AHEAD`] bytes can be read: all of it but its end.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Text<'a> {
    block: &'a [u8],
    /// The bytes from which there are [`AHEAD`] or more: `limit + AHEAD <= block.len() + 1`, or 0.
    limit: usize,
}

/// The bytes that can be read from any index below the limit.
const AHEAD: usize = size_of::<Window>();

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
        // SAFETY: an index below the limit is one from which the block has `AHEAD` more bytes, by the limit's invariant.
        (at < self.limit).then(|| Ahead(unsafe { &*self.block.as_ptr().add(at).cast::<[u8; AHEAD]>() }))
    }
}

/// The bytes from an index of a [`Text`].
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Ahead<'a>(&'a [u8; AHEAD]);

impl<'a> Ahead<'a> {
    /// All of it.
    #[inline(always)]
    pub fn window(self) -> &'a Window {
        self.0
    }

    /// The first byte.
    #[inline(always)]
    pub fn byte(self) -> u8 {
        self.0[0]
    }

    /// The first half of it.
    #[inline(always)]
    pub fn half(self) -> &'a Half {
        // SAFETY: half a window is no longer than a window.
        unsafe { &*self.0.as_ptr().cast() }
    }
}
