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
        // Most strings end in the first half, and where they do not, the branch learns it.
        let (low, high) = halves(window);
        // SAFETY: `self` proves that the machine has the instructions.
        let low = unsafe { any_stops(load(low)) };
        if low != 0 {
            return low.trailing_zeros() as usize;
        }
        // SAFETY: `self` proves that the machine has the instructions.
        let high = unsafe { any_stops(load(high)) };
        32 + high.trailing_zeros() as usize
    }

    #[inline(always)]
    fn string_masks(self, window: &Window) -> Masks {
        let (low, high) = halves(window);
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            let (low, high) = (load(low), load(high));
            Masks {
                stops: join(ascii_stops(low), ascii_stops(high)),
                non_ascii: join(_mm256_movemask_epi8(low) as u32, _mm256_movemask_epi8(high) as u32),
            }
        }
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

/// The quotes, backslashes, control characters and bytes from 0x80.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn any_stops(bytes: __m256i) -> u32 {
    // As signed bytes, control characters and everything that is not ASCII are less than a space: one compare.
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let others = _mm256_cmpgt_epi8(_mm256_set1_epi8(b' ' as i8), bytes);
        _mm256_movemask_epi8(_mm256_or_si256(marks(bytes), others)) as u32
    }
}

/// The quotes, backslashes and control characters.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn ascii_stops(bytes: __m256i) -> u32 {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
        _mm256_movemask_epi8(_mm256_or_si256(marks(bytes), controls)) as u32
    }
}

/// All bits of each byte that is a quote or a backslash.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn marks(bytes: __m256i) -> __m256i {
    // SAFETY: the caller vouches for AVX2.
    unsafe {
        let quotes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
        let backslashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
        _mm256_or_si256(quotes, backslashes)
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
