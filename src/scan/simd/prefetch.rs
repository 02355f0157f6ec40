//! Loads ahead of use.
#![allow(unsafe_code)]

/// Begins to load the cache line that a value starts in, without waiting for it. Changes nothing but how long the next
/// access to it takes: where many places are read that lie anywhere in memory, all of them are prefetched first, so that
/// the cache misses overlap.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that has no effect on what the program sees, for any address; each x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
