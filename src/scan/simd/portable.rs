//! Plain integers: eight bytes in a word at a time, for machines without a kernel of their own.

use super::{Half, Kernel, Masks, Task, Window};

/// The kernel that every machine has.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        task.run(self)
    }

    #[inline(always)]
    fn string_stop(self, window: &Window) -> usize {
        for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            let stops = string_stops(word) | (word & HIGH);
            if stops != 0 {
                return i * 8 + stops.trailing_zeros() as usize / 8;
            }
        }
        window.len()
    }

    #[inline(always)]
    fn string_masks(self, window: &Window) -> Masks {
        let mut masks = Masks { stops: 0, non_ascii: 0 };
        for (i, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            masks.stops |= gather(string_stops(word)) << (i * 8);
            masks.non_ascii |= gather(word & HIGH) << (i * 8);
        }
        masks
    }

    #[inline(always)]
    fn non_digits(self, half: &Half) -> u32 {
        let mut mask = 0;
        for (i, bytes) in half.as_chunks::<8>().0.iter().enumerate() {
            // A digit is 0x30 + 0 to 9: with 0x30 taken away, anything above 9 overflows to the top bit.
            let value = u64::from_le_bytes(*bytes) ^ (ONES * 0x30);
            let over = ((value & !HIGH) + ONES * (0x80 - 10)) | value;
            mask |= (gather(over & HIGH) as u32) << (i * 8);
        }
        mask
    }

    #[inline(always)]
    fn equal(self, a: &Half, b: &Half) -> u32 {
        let mut mask = 0;
        for (i, (a, b)) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).enumerate() {
            mask |= (gather(zeros(u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b))) as u32) << (i * 8);
        }
        mask
    }
}

/// 1 in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of every byte.
const HIGH: u64 = ONES << 7;

/// The top bit of each byte that is a quote, a backslash or a control character.
#[inline(always)]
fn string_stops(word: u64) -> u64 {
    // No byte borrows from or carries to another: each sum is of seven bits, with the eighth set aside.
    let not_control = ((word & !HIGH) + ONES * (0x80 - 0x20)) | word;
    zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | (!not_control & HIGH)
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
