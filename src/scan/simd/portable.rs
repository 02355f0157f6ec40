//! Plain integers: eight bytes in a word at a time, for machines without a kernel of their own.

use super::{
    Decimal, EscapeMasks, Half, Kernel, LineMasks, NumberMasks, StringMasks, StructureMasks, Task, Window, Windows,
};
use crate::value::number::short_decimal_of;

/// The kernel that every machine has.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    #[inline(never)]
    fn run_apart<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    #[inline(always)]
    fn string_stop(self, window: &Window) -> usize {
        for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            let stops = same(word, b'"') | same(word, b'\\') | controls(word);
            if stops != 0 {
                return i * 8 + stops.trailing_zeros() as usize / 8;
            }
        }
        window.len()
    }

    #[inline(always)]
    fn string_masks(self, window: &Window) -> StringMasks {
        let mut masks = StringMasks { quotes: 0, backslashes: 0, controls: 0 };
        for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            masks.quotes |= gather(same(word, b'"')) << (i * 8);
            masks.backslashes |= gather(same(word, b'\\')) << (i * 8);
            masks.controls |= gather(controls(word)) << (i * 8);
        }
        masks
    }

    #[inline(always)]
    fn escape_masks(self, window: &Window) -> EscapeMasks {
        let mut masks = EscapeMasks { escapable: 0, unicode: 0 };
        for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            let escapable = b"\"\\/bfnrtu".iter().fold(0, |found, &byte| found | same(word, byte));
            masks.escapable |= gather(escapable) << (i * 8);
            masks.unicode |= gather(same(word, b'u')) << (i * 8);
        }
        masks
    }

    #[inline(always)]
    fn structure_masks(self, window: &Window) -> StructureMasks {
        let mut masks = StructureMasks { opening: 0, closing: 0, commas: 0, colons: 0 };
        for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            // Brackets and braces differ in the bit for lower case alone.
            let lower = word | (ONES * 0x20);
            masks.opening |= gather(same(lower, b'{')) << (i * 8);
            masks.closing |= gather(same(lower, b'}')) << (i * 8);
            masks.commas |= gather(same(word, b',')) << (i * 8);
            masks.colons |= gather(same(word, b':')) << (i * 8);
        }
        masks
    }

    #[inline(always)]
    fn number_masks(self, half: &Half) -> NumberMasks {
        let mut masks = NumberMasks { ends: 0, dots: 0 };
        for (i, bytes) in half.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            // A digit is 0x30 + 0 to 9: with 0x30 taken away, anything above 9 overflows to the top bit.
            let value = word ^ (ONES * 0x30);
            let over = ((value & !HIGH) + ONES * (0x80 - 10)) | value;
            masks.ends |= (gather(over & HIGH) as u32) << (i * 8);
            masks.dots |= (gather(same(word, b'.')) as u32) << (i * 8);
        }
        masks
    }

    #[inline(always)]
    fn equal(self, a: &Half, b: &Half) -> u32 {
        let mut mask = 0;
        for (i, (a, b)) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).enumerate() {
            mask |= (gather(zeros(u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b))) as u32) << (i * 8);
        }
        mask
    }

    #[inline(always)]
    fn decimal(self, text: &Decimal, len: usize) -> Option<(u64, usize)> {
        short_decimal_of(text.last_chunk()?, len)
    }

    #[inline(always)]
    fn line_masks(self, windows: &Windows) -> LineMasks {
        let mut newlines = [0; 4];
        let mut any = 0;
        for (newlines, window) in newlines.iter_mut().zip(windows) {
            for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
                let word = u64::from_le_bytes(*bytes);
                any |= word;
                *newlines |= gather(same(word, b'\n')) << (i * 8);
            }
        }
        LineMasks { newlines, has_non_ascii: any & HIGH != 0 }
    }
}

/// 1 in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of every byte.
const HIGH: u64 = ONES << 7;

/// The top bit of each byte below 0x20.
#[inline(always)]
fn controls(word: u64) -> u64 {
    // No byte borrows from or carries to another: each sum is of seven bits, with the eighth set aside.
    let not_control = ((word & !HIGH) + ONES * (0x80 - 0x20)) | word;
    !not_control & HIGH
}

/// The top bit of each byte that is `byte`.
#[inline(always)]
fn same(word: u64, byte: u8) -> u64 {
    zeros(word ^ (ONES * u64::from(byte)))
}

/// The top bit of each byte that is zero.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    !(((word & !HIGH) + !HIGH) | word) & HIGH
}

/// The top bits of the bytes, as the low eight bits.
#[inline(always)]
fn gather(tops: u64) -> u64 {
    (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
