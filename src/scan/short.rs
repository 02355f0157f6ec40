//! Short texts as words, to compare and hash them without going through their bytes.

use std::ops::Range;

use super::{Cell, Kind};

/// A text of at most [`Short::MAX_LEN`] bytes. Two are equal exactly if the texts are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Short {
    /// The first 16 bytes, filled with zeros; of a text that is longer, the last 16 bytes too, and of one that is longer
    /// than both, the 16 bytes behind the first ones.
    words: [u64; 6],
    len: u32,
}

impl Short {
    /// The length of the longest text that is short.
    pub const MAX_LEN: usize = 48;

    /// The text, if it is short.
    #[inline]
    pub fn of(text: &[u8]) -> Option<Short> {
        Short::within(text, 0..text.len())
    }

    /// The text at a range of a block, if it is short. What lies around it in the block may be loaded too, which is faster
    /// than to take care that it is not.
    ///
    /// # Panics
    /// If the range is not in the block.
    #[inline(always)]
    pub fn within(block: &[u8], range: Range<usize>) -> Option<Short> {
        (range.len() <= Short::MAX_LEN).then(|| Short::outline(block, range))
    }

    /// The text at a range of a block if it is short, else its length and its first and last bytes: two texts whose
    /// outlines differ are different, but that are equal may be so too.
    #[inline(always)]
    pub(super) fn outline(block: &[u8], range: Range<usize>) -> Short {
        let len = range.len();
        if let Some([low, high]) = start_within(block, range.clone()) {
            return Short { words: [low, high, 0, 0, 0, 0], len: len as u32 };
        }
        Short::of_long(&block[range])
    }

    /// Whether it is the text at a range of a block. All of it is compared, as whether the lengths are the same is hard to
    /// predict for a branch.
    ///
    /// # Panics
    /// If the range is not in the block.
    #[inline(always)]
    pub fn is_at(&self, block: &[u8], range: Range<usize>) -> bool {
        if let Some(masks) = MASKS.get(self.len as usize)
            && let Some(bytes) = block.get(range.start..).and_then(|rest| rest.first_chunk())
        {
            let lengths = range.len() as u64 ^ u64::from(self.len);
            return differences(bytes, [self.words[0], self.words[1]], *masks) | lengths == 0;
        }
        let wanted = self.len as usize;
        if wanted <= 16 {
            return Short::within(block, range) == Some(*self);
        }
        // Where there are fewer bytes than in this one, the text is shorter.
        block
            .get(range.start..range.start + wanted)
            .is_some_and(|text| (Short::of_long(text).differences(self) | (range.len() ^ wanted) as u64) == 0)
    }

    /// A text of more than 16 bytes.
    #[inline(always)]
    fn of_long(text: &[u8]) -> Short {
        let (first, last) = (text.first_chunk().unwrap_or(&[0; 16]), text.last_chunk().unwrap_or(&[0; 16]));
        let middle = if text.len() > 32 { text[16..].first_chunk().unwrap_or(&[0; 16]) } else { &[0; 16] };
        let ([a, b], [c, d], [e, f]) = (words(first), words(last), words(middle));
        Short { words: [a, b, c, d, e, f], len: text.len() as u32 }
    }

    /// The bits in which the words are not the same.
    #[inline(always)]
    fn differences(&self, other: &Short) -> u64 {
        self.words.iter().zip(other.words).fold(0, |found, (a, b)| found | (a ^ b))
    }

    /// The words, and the length in bytes.
    #[inline(always)]
    pub fn parts(self) -> ([u64; 6], u32) {
        (self.words, self.len)
    }
}

/// The text at a range of a block as words, filled with zeros, if it has at most 16 bytes. What lies around it in the block
/// may be loaded too.
///
/// # Panics
/// If the range is not in the block.
#[inline(always)]
pub(super) fn start_within(block: &[u8], range: Range<usize>) -> Option<[u64; 2]> {
    let len = range.len();
    let [low_mask, high_mask] = *MASKS.get(len)?;
    let [low, high] = match block.get(range.start..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => words(bytes),
        None => {
            let mut bytes = [0; 16];
            bytes[..len].copy_from_slice(&block[range]);
            words(&bytes)
        }
    };
    Some([low & low_mask, high & high_mask])
}

impl PartialEq for Short {
    /// Word by word, without a branch for each: as a slice they would be compared by a call.
    #[inline(always)]
    fn eq(&self, other: &Short) -> bool {
        self.differences(other) | u64::from(self.len ^ other.len) == 0
    }
}

impl Eq for Short {}

/// A text of at most 16 bytes, to be found among cells.
#[derive(Clone, Copy, Debug)]
pub struct Tiny {
    words: [u64; 2],
    /// The bits of its bytes.
    masks: [u64; 2],
    /// The kind and the length of its cells.
    what: u32,
}

impl Tiny {
    /// The text, if it is short enough.
    pub fn of(text: &[u8]) -> Option<Tiny> {
        let words = start_within(text, 0..text.len())?;
        let masks = *MASKS.get(text.len())?;
        Some(Tiny { words, masks, what: Cell::new(Kind::Text, 0, text.len() as u32).bits() as u32 })
    }

    /// Whether a cell of a block covers the text. [`None`] if it is not of plain text, or at the end of the block, where one
    /// has to look more closely.
    #[inline(always)]
    pub fn is_at(&self, block: &[u8], cell: Cell) -> Option<bool> {
        let start = cell.span().start as usize;
        let bytes = block.get(start..start + 16)?.first_chunk()?;
        let found = differences(bytes, self.words, self.masks) | u64::from(cell.bits() as u32 ^ self.what) == 0;
        (cell.kind() == Kind::Text).then_some(found)
    }
}

#[inline(always)]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let (words, _) = bytes.as_chunks::<8>();
    [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
}

/// The bits, of those that count, in which bytes are not those of two words.
#[inline(always)]
fn differences(bytes: &[u8; 16], wanted: [u64; 2], masks: [u64; 2]) -> u64 {
    let [low, high] = words(bytes);
    (low ^ wanted[0]) & masks[0] | (high ^ wanted[1]) & masks[1]
}

/// The bits of the first bytes, by their number.
const MASKS: [[u64; 2]; 17] = {
    let mut masks = [[0; 2]; 17];
    let mut len = 1;
    while len <= 16 {
        let all = u128::MAX >> (128 - 8 * len);
        masks[len] = [all as u64, (all >> 64) as u64];
        len += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equal_exactly_if_the_texts_are(
            block in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'a'), any::<u8>()], 0..100),
            ranges in [(0usize..100, 0usize..60), (0usize..100, 0usize..60)],
        ) {
            let [a, b] = ranges.map(|(start, len)| {
                let start = start.min(block.len());
                start..(start + len).min(block.len())
            });
            for range in [a.clone(), b.clone()] {
                let short = Short::within(&block, range.clone());
                prop_assert_eq!(short.is_some(), range.len() <= Short::MAX_LEN);
                prop_assert_eq!(short, Short::of(&block[range.clone()]));
                let tiny = Tiny::of(&block[range.clone()]);
                prop_assert_eq!(tiny.is_some(), range.len() <= 16);
                for (other, kind) in [(a.clone(), Kind::Text), (b.clone(), Kind::Text), (range.clone(), Kind::Escaped)] {
                    let told = tiny.and_then(|tiny| {
                        tiny.is_at(&block, Cell::new(kind, other.start as u32, other.len() as u32))
                    });
                    let can_tell = tiny.is_some() && kind == Kind::Text && other.start + 16 <= block.len();
                    prop_assert_eq!(told, can_tell.then(|| block[range.clone()] == block[other]));
                }
            }
            if let (Some(x), Some(y)) = (Short::within(&block, a.clone()), Short::within(&block, b.clone())) {
                prop_assert_eq!(x == y, block[a.clone()] == block[b.clone()]);
                prop_assert_eq!(x.is_at(&block, b.clone()), block[a] == block[b]);
            }
        }
    }
}
