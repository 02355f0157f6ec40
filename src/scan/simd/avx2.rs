//! AVX2: two vectors of 32 bytes make a window.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_xor_si256,
};

use super::decimal::decimal;
use super::{
    Decimal, EscapeMasks, Half, Kernel, LineMasks, NumberMasks, StringMasks, StructureMasks, Task, Window, Windows,
};

/// Proof that this machine has AVX2, BMI1, BMI2 and LZCNT. Only [`Avx2::detect`] makes one, which is what every unsafe
/// block of this file relies on.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx2(());

impl Avx2 {
    /// The token, if the machine has the instructions.
    pub fn detect() -> Option<Avx2> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Avx2(()))
    }
}

/// Runs a task with AVX2 and its companions enabled.
///
/// # Safety
/// The machine must have AVX2, BMI1, BMI2, LZCNT and POPCNT.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn enabled<T: Task>(kernel: Avx2, task: T) -> T::Output {
    task.run(kernel)
}

/// Runs a task with AVX2 and its companions enabled, in a function of its own.
///
/// # Safety
/// The machine must have AVX2, BMI1, BMI2, LZCNT and POPCNT.
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn enabled_apart<T: Task>(kernel: Avx2, task: T) -> T::Output {
    task.run(kernel)
}

/// The mask of a window, from what an expression makes of each half. A macro, as closures are not always inlined.
macro_rules! each_half {
    ($window:expr, |$bytes:ident| $vector:expr) => {{
        let (halves, _) = $window.as_chunks::<32>();
        let low = {
            let $bytes = load(&halves[0]);
            mask($vector)
        };
        let high = {
            let $bytes = load(&halves[1]);
            mask($vector)
        };
        u64::from(high) << 32 | u64::from(low)
    }};
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { enabled(self, task) }
    }

    #[inline(always)]
    fn run_apart<T: Task>(self, task: T) -> T::Output {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { enabled_apart(self, task) }
    }

    #[inline(always)]
    fn string_stop(self, window: &Window) -> usize {
        // Most strings end in the first half, and where they do not, the branch learns it.
        let (low, high) = halves(window);
        // SAFETY: `self` proves that the machine has the instructions.
        let low = unsafe { stops(load(low)) };
        if low != 0 {
            return low.trailing_zeros() as usize;
        }
        // SAFETY: `self` proves that the machine has the instructions.
        let high = unsafe { stops(load(high)) };
        32 + high.trailing_zeros() as usize
    }

    #[inline(always)]
    fn string_masks(self, window: &Window) -> StringMasks {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            StringMasks {
                quotes: each_half!(window, |bytes| _mm256_cmpeq_epi8(bytes, all(b'"'))),
                backslashes: each_half!(window, |bytes| _mm256_cmpeq_epi8(bytes, all(b'\\'))),
                controls: each_half!(window, |bytes| controls(bytes)),
            }
        }
    }

    #[inline(always)]
    fn escape_masks(self, window: &Window) -> EscapeMasks {
        // The low half of a byte gives a bit for each high half with which it is one of the wanted bytes (2, 5, 6, 7), the
        // high half gives its own bit.
        const LOW: Half = lanes([0, 0, 13, 0, 8, 8, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1]);
        const HIGH: Half = lanes([0, 0, 1, 0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let escapable = each_half!(window, |bytes| {
                let nibble = all(0x0f);
                let low = _mm256_shuffle_epi8(load(&LOW), _mm256_and_si256(bytes, nibble));
                let high = _mm256_shuffle_epi8(load(&HIGH), _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble));
                _mm256_cmpgt_epi8(_mm256_and_si256(low, high), all(0))
            });
            let unicode = each_half!(window, |bytes| _mm256_cmpeq_epi8(bytes, all(b'u')));
            EscapeMasks { escapable, unicode }
        }
    }

    #[inline(always)]
    fn structure_masks(self, window: &Window) -> StructureMasks {
        // Brackets and braces differ in the bit for lower case alone.
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            StructureMasks {
                opening: each_half!(window, |bytes| _mm256_cmpeq_epi8(_mm256_or_si256(bytes, all(0x20)), all(b'{'))),
                closing: each_half!(window, |bytes| _mm256_cmpeq_epi8(_mm256_or_si256(bytes, all(0x20)), all(b'}'))),
                commas: each_half!(window, |bytes| _mm256_cmpeq_epi8(bytes, all(b','))),
                colons: each_half!(window, |bytes| _mm256_cmpeq_epi8(bytes, all(b':'))),
            }
        }
    }

    #[inline(always)]
    fn number_masks(self, half: &Half) -> NumberMasks {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            // Below '0', or above '9' as a signed byte; what is not ASCII is negative and so below.
            let bytes = load(half);
            let below = _mm256_cmpgt_epi8(all(b'0'), bytes);
            let above = _mm256_cmpgt_epi8(bytes, all(b'9'));
            let dots = _mm256_cmpeq_epi8(bytes, all(b'.'));
            NumberMasks { ends: mask(_mm256_or_si256(below, above)), dots: mask(dots) }
        }
    }

    #[inline(always)]
    fn equal(self, a: &Half, b: &Half) -> u32 {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { mask(_mm256_cmpeq_epi8(load(a), load(b))) }
    }

    #[inline(always)]
    fn decimal(self, text: &Decimal, len: usize) -> Option<(u64, usize)> {
        // SAFETY: `self` proves that the machine has the instructions, which include SSE4.1.
        unsafe { decimal(text, len) }
    }

    #[inline(always)]
    fn line_masks(self, windows: &Windows) -> LineMasks {
        let mut newlines = [0; 4];
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let mut any = all(0);
            for (newlines, window) in newlines.iter_mut().zip(windows) {
                let (low, high) = halves(window);
                let (low, high) = (load(low), load(high));
                any = _mm256_or_si256(any, _mm256_or_si256(low, high));
                let end = all(b'\n');
                let (low, high) = (mask(_mm256_cmpeq_epi8(low, end)), mask(_mm256_cmpeq_epi8(high, end)));
                *newlines = u64::from(high) << 32 | u64::from(low);
            }
            LineMasks { newlines, has_non_ascii: mask(any) != 0 }
        }
    }
}

/// The quotes, backslashes and control characters.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn stops(bytes: __m256i) -> u32 {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        // With the second bit turned over, the quote is the first byte behind the control characters, which stay below it.
        let turned = _mm256_xor_si256(bytes, all(2));
        let quotes_and_controls = _mm256_cmpeq_epi8(_mm256_min_epu8(turned, all(0x20)), turned);
        let backslashes = _mm256_cmpeq_epi8(bytes, all(b'\\'));
        mask(_mm256_or_si256(quotes_and_controls, backslashes))
    }
}

/// All bits of each byte below 0x20.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn controls(bytes: __m256i) -> __m256i {
    // SAFETY: the caller vouches for AVX2.
    unsafe { _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, all(0x1f)), bytes) }
}

/// The byte in every place.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn all(byte: u8) -> __m256i {
    // SAFETY: the caller vouches for AVX2.
    unsafe { _mm256_set1_epi8(byte as i8) }
}

/// The top bit of each byte.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn mask(bytes: __m256i) -> u32 {
    // SAFETY: the caller vouches for AVX2.
    unsafe { _mm256_movemask_epi8(bytes) as u32 }
}

/// The bytes as a vector.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn load(half: &Half) -> __m256i {
    // SAFETY: the array is 32 readable bytes, the load needs no alignment, and the caller vouches for AVX2.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[inline(always)]
fn halves(window: &Window) -> (&Half, &Half) {
    let (halves, _) = window.as_chunks::<32>();
    (&halves[0], &halves[1])
}

/// A table for a shuffle, which works on 16 bytes at a time: the same twice.
const fn lanes(table: [u8; 16]) -> Half {
    let mut both = [0; 32];
    let mut i = 0;
    while i < 32 {
        both[i] = table[i % 16];
        i += 1;
    }
    both
}
