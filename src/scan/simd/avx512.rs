//! AVX-512: one vector of 64 bytes is a window, and comparisons give masks at once.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_cmpeq_epi8_mask, _mm256_cmpgt_epu8_mask, _mm256_loadu_si256, _mm256_set1_epi8,
    _mm256_sub_epi8, _mm512_and_si512, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512,
    _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16,
    _mm512_test_epi8_mask,
};

use super::decimal::decimal;
use super::{
    Decimal, EscapeMasks, Half, Kernel, LineMasks, NumberMasks, StringMasks, StructureMasks, Task, Window, Windows,
};

/// Proof that this machine has AVX-512 F, BW and VL, BMI1, BMI2, LZCNT and POPCNT. Only [`Avx512::detect`] makes one,
/// which is what every unsafe block of this file relies on.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx512(());

impl Avx512 {
    /// The token, if the machine has the instructions.
    pub fn detect() -> Option<Avx512> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Avx512(()))
    }
}

/// Runs a task with AVX-512 and its companions enabled.
///
/// # Safety
/// The machine must have AVX-512 F, BW and VL, BMI1, BMI2, LZCNT and POPCNT.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn enabled<T: Task>(kernel: Avx512, task: T) -> T::Output {
    task.run(kernel)
}

/// Runs a task with AVX-512 and its companions enabled, in a function of its own.
///
/// # Safety
/// The machine must have AVX-512 F, BW and VL, BMI1, BMI2, LZCNT and POPCNT.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn enabled_apart<T: Task>(kernel: Avx512, task: T) -> T::Output {
    task.run(kernel)
}

impl Kernel for Avx512 {
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
        let StringMasks { quotes, backslashes, controls } = self.string_masks(window);
        (quotes | backslashes | controls).trailing_zeros() as usize
    }

    #[inline(always)]
    fn string_masks(self, window: &Window) -> StringMasks {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let bytes = load(window);
            StringMasks {
                quotes: _mm512_cmpeq_epi8_mask(bytes, all(b'"')),
                backslashes: _mm512_cmpeq_epi8_mask(bytes, all(b'\\')),
                controls: _mm512_cmplt_epu8_mask(bytes, all(0x20)),
            }
        }
    }

    #[inline(always)]
    fn escape_masks(self, window: &Window) -> EscapeMasks {
        // The low half of a byte gives a bit for each high half with which it is one of the wanted bytes (2, 5, 6, 7), the
        // high half gives its own bit.
        const LOW: Window = lanes([0, 0, 13, 0, 8, 8, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1]);
        const HIGH: Window = lanes([0, 0, 1, 0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let (bytes, nibble) = (load(window), all(0x0f));
            let low = _mm512_shuffle_epi8(load(&LOW), _mm512_and_si512(bytes, nibble));
            let high = _mm512_shuffle_epi8(load(&HIGH), _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble));
            EscapeMasks {
                escapable: _mm512_test_epi8_mask(low, high),
                unicode: _mm512_cmpeq_epi8_mask(bytes, all(b'u')),
            }
        }
    }

    #[inline(always)]
    fn structure_masks(self, window: &Window) -> StructureMasks {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let bytes = load(window);
            // Brackets and braces differ in the bit for lower case alone.
            let lower = _mm512_or_si512(bytes, all(0x20));
            StructureMasks {
                opening: _mm512_cmpeq_epi8_mask(lower, all(b'{')),
                closing: _mm512_cmpeq_epi8_mask(lower, all(b'}')),
                commas: _mm512_cmpeq_epi8_mask(bytes, all(b',')),
                colons: _mm512_cmpeq_epi8_mask(bytes, all(b':')),
            }
        }
    }

    #[inline(always)]
    fn number_masks(self, half: &Half) -> NumberMasks {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let bytes = load_half(half);
            let values = _mm256_sub_epi8(bytes, all_half(b'0'));
            NumberMasks {
                ends: _mm256_cmpgt_epu8_mask(values, all_half(9)),
                dots: _mm256_cmpeq_epi8_mask(bytes, all_half(b'.')),
            }
        }
    }

    #[inline(always)]
    fn equal(self, a: &Half, b: &Half) -> u32 {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { _mm256_cmpeq_epi8_mask(load_half(a), load_half(b)) }
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
                let bytes = load(window);
                any = _mm512_or_si512(any, bytes);
                *newlines = _mm512_cmpeq_epi8_mask(bytes, all(b'\n'));
            }
            LineMasks { newlines, has_non_ascii: _mm512_movepi8_mask(any) != 0 }
        }
    }
}

/// The byte in every place.
///
/// # Safety
/// The machine must have AVX-512 F.
#[inline(always)]
unsafe fn all(byte: u8) -> __m512i {
    // SAFETY: the caller vouches for AVX-512 F.
    unsafe { _mm512_set1_epi8(byte as i8) }
}

/// The byte in every place of half a window.
///
/// # Safety
/// The machine must have AVX.
#[inline(always)]
unsafe fn all_half(byte: u8) -> __m256i {
    // SAFETY: the caller vouches for AVX.
    unsafe { _mm256_set1_epi8(byte as i8) }
}

/// The bytes as a vector.
///
/// # Safety
/// The machine must have AVX-512 F.
#[inline(always)]
unsafe fn load(window: &Window) -> __m512i {
    // SAFETY: the array is 64 readable bytes, the load needs no alignment, and the caller vouches for AVX-512 F.
    unsafe { _mm512_loadu_si512(window.as_ptr().cast()) }
}

/// The bytes as a vector.
///
/// # Safety
/// The machine must have AVX.
#[inline(always)]
unsafe fn load_half(half: &Half) -> __m256i {
    // SAFETY: the array is 32 readable bytes, the load needs no alignment, and the caller vouches for AVX.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

/// A table for a shuffle, which works on 16 bytes at a time: the same four times.
const fn lanes(table: [u8; 16]) -> Window {
    let mut all = [0; 64];
    let mut i = 0;
    while i < 64 {
        all[i] = table[i % 16];
        i += 1;
    }
    all
}
