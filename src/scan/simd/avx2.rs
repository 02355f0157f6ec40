//! AVX2: two vectors of 32 bytes make a window.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8,
};

use super::{Half, Kernel, Masks, Task, Window};

/// Proof that this machine has AVX2, BMI1 and BMI2. Only [`Avx2::detect`] makes one, which is what every unsafe block
/// of this file relies on.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx2(());

impl Avx2 {
    /// The token, if the machine has the instructions.
    pub fn detect() -> Option<Avx2> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        has.then_some(Avx2(()))
    }
}

/// Runs a task with AVX2, BMI1 and BMI2 enabled.
///
/// # Safety
/// The machine must have AVX2, BMI1 and BMI2.
#[target_feature(enable = "avx2,bmi1,bmi2")]
unsafe fn enabled<T: Task>(kernel: Avx2, task: T) -> T::Output {
    task.run(kernel)
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Output {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { enabled(self, task) }
    }

    #[inline(always)]
    fn string_stop(self, window: &Window) -> usize {
        // As signed bytes, control characters and everything that is not ASCII are less than a space: one compare.
        // SAFETY: `self` proves that the machine has the instructions.
        let stops = |half: &Half| unsafe {
            let bytes = load(half);
            let quotes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            let others = _mm256_cmpgt_epi8(_mm256_set1_epi8(b' ' as i8), bytes);
            _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quotes, backslashes), others)) as u32
        };
        let (low, high) = halves(window);
        join(stops(low), stops(high)).trailing_zeros() as usize
    }

    #[inline(always)]
    fn string_masks(self, window: &Window) -> Masks {
        // SAFETY: `self` proves that the machine has the instructions.
        let masks = |half: &Half| unsafe {
            let bytes = load(half);
            let quotes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
            let stops = _mm256_or_si256(_mm256_or_si256(quotes, backslashes), controls);
            (_mm256_movemask_epi8(stops) as u32, _mm256_movemask_epi8(bytes) as u32)
        };
        let (low, high) = halves(window);
        let (low, high) = (masks(low), masks(high));
        Masks { stops: join(low.0, high.0), non_ascii: join(low.1, high.1) }
    }

    #[inline(always)]
    fn non_digits(self, half: &Half) -> u32 {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            // Below '0', or above '9' as a signed byte; what is not ASCII is negative and so below.
            let bytes = load(half);
            let below = _mm256_cmpgt_epi8(_mm256_set1_epi8(b'0' as i8), bytes);
            let above = _mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(b'9' as i8));
            _mm256_movemask_epi8(_mm256_or_si256(below, above)) as u32
        }
    }

    #[inline(always)]
    fn equal(self, a: &Half, b: &Half) -> u32 {
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { _mm256_movemask_epi8(_mm256_cmpeq_epi8(load(a), load(b))) as u32 }
    }
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

#[inline(always)]
fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
