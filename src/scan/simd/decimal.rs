//! Short decimals with SSE4.1, which the kernels of x86-64 have: 16 characters at once.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16,
    _mm_min_epu8, _mm_movemask_epi8, _mm_packus_epi32, _mm_set1_epi8, _mm_shuffle_epi8, _mm_xor_si128,
};

use super::Decimal;

/// [`Kernel::decimal`](super::Kernel::decimal).
///
/// # Safety
/// The machine must have SSE4.1.
#[inline(always)]
pub(super) unsafe fn decimal(text: &Decimal, len: usize) -> Option<(u64, usize)> {
    // SAFETY: the caller vouches for SSE4.1.
    unsafe {
        let digits = _mm_and_si128(_mm_xor_si128(load(text), _mm_set1_epi8(b'0' as i8)), load(LAST.get(len)?));
        let others = mask(_mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits)) ^ 0xffff;
        let points = mask(_mm_cmpeq_epi8(digits, _mm_set1_epi8((b'.' ^ b'0') as i8)));
        // One point or none, and not in the last place.
        if others != points & 0x7fff || others & others.wrapping_sub(1) != 0 {
            return None;
        }
        let point = (others | 0x8000).trailing_zeros() as usize;
        let digits = _mm_shuffle_epi8(digits, load(&WITHOUT[point]));
        let pairs = _mm_maddubs_epi16(digits, load(&weights(&[10, 1])));
        let fours = _mm_madd_epi16(pairs, load(&weights(&[100, 0, 1, 0])));
        let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), load(&weights(&[0x10, 0x27, 1, 0])));
        let both = _mm_cvtsi128_si64(eights) as u64;
        Some(((both & 0xffff_ffff) * 100_000_000 + (both >> 32), 15 - point))
    }
}

/// All bits of the last bytes, by their number.
const LAST: [Decimal; 17] = {
    let mut last = [[0; 16]; 17];
    let mut len = 0;
    while len <= 16 {
        let mut i = 16 - len;
        while i < 16 {
            last[len][i] = 0xff;
            i += 1;
        }
        len += 1;
    }
    last
};

/// The shuffle that takes the byte at a place out, and fills up in front with a zero; the last place stands for none.
const WITHOUT: [Decimal; 16] = {
    let mut without = [[0; 16]; 16];
    let mut point = 0;
    while point < 16 {
        let mut i = 0;
        while i < 16 {
            without[point][i] = if point == 15 || i > point { i as u8 } else { (i as u8).wrapping_sub(1) };
            i += 1;
        }
        point += 1;
    }
    without
};

/// The same bytes again and again.
const fn weights(bytes: &[u8]) -> Decimal {
    let mut weights = [0; 16];
    let mut i = 0;
    while i < 16 {
        weights[i] = bytes[i % bytes.len()];
        i += 1;
    }
    weights
}

/// The bytes as a vector.
///
/// # Safety
/// The machine must have SSE4.1.
#[inline(always)]
unsafe fn load(bytes: &Decimal) -> __m128i {
    // SAFETY: the array is 16 readable bytes, and the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The top bit of each byte.
///
/// # Safety
/// The machine must have SSE4.1.
#[inline(always)]
unsafe fn mask(bytes: __m128i) -> u32 {
    // SAFETY: the caller vouches for it.
    unsafe { _mm_movemask_epi8(bytes) as u32 }
}
