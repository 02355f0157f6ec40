//! The vector kernels that the scanner is built on, one for each instruction set.
//!
//! A [`Kernel`] is a token: holding one proves that this machine has its instructions. The scanner's code is written
//! once, generic over the kernel, and runs as a [`Task`] inside a function that is compiled for those instructions, so
//! that the kernel's few operations inline into it. For that, everything on the way from [`Task::run`] to an
//! operation must be `#[inline(always)]`, and no closure, as these are not; code that shall stay out of line is a task of its own.
//!
//! Another instruction set is another file with another token, an arm in [`Simd`], and a line in the tests below.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
pub(super) use portable::Portable;

/// The bytes that the string operations look at.
pub(super) type Window = [u8; 64];

/// The bytes that are compared with a key, or searched for digits.
pub(super) type Half = [u8; 32];

/// What is where in a window: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Masks {
    /// Quotes, backslashes and control characters.
    pub stops: u64,
    /// Bytes from 0x80.
    pub non_ascii: u64,
}

/// The operations of one instruction set.
pub(super) trait Kernel: Copy {
    /// Runs `task` with this kernel's instructions enabled.
    fn run<T: Task>(self, task: T) -> T::Output;

    /// The index of the first byte that is a quote, a backslash, a control character (below 0x20) or not ASCII; 64 if
    /// there is none.
    fn string_stop(self, window: &Window) -> usize;

    /// What a string's end, escapes and encoding depend on.
    fn string_masks(self, window: &Window) -> Masks;

    /// A bit for each byte that is no ASCII digit.
    fn non_digits(self, half: &Half) -> u32;

    /// A bit for each byte that is the same in both.
    fn equal(self, a: &Half, b: &Half) -> u32;
}

/// Code that is generic over the kernel.
pub(super) trait Task {
    /// What the code returns.
    type Output;

    /// The code. Must be `#[inline(always)]`.
    fn run<K: Kernel>(self, kernel: K) -> Self::Output;
}

/// A kernel chosen at run time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Simd {
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Simd {
    /// The best kernel of this machine, or the one that the environment variable `FOLDL_SIMD` names (`avx2`,
    /// `portable`) if the machine has it. Decided once.
    pub fn detect() -> Simd {
        static BEST: LazyLock<Simd> = LazyLock::new(|| {
            let wanted = std::env::var("FOLDL_SIMD").unwrap_or_default();
            Simd::all().into_iter().find(|simd| wanted.is_empty() || simd.name() == wanted).unwrap_or_else(Simd::best)
        });
        *BEST
    }

    /// The kernels that this machine has, best first.
    pub fn all() -> Vec<Simd> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        all.extend(Avx2::detect().map(Simd::Avx2));
        all.push(Simd::Portable(Portable));
        all
    }

    fn best() -> Simd {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            return Simd::Avx2(avx2);
        }
        Simd::Portable(Portable)
    }

    fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2(_) => "avx2",
            Simd::Portable(_) => "portable",
        }
    }

    /// Runs `task` with the kernel.
    pub fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2(kernel) => kernel.run(task),
            Simd::Portable(kernel) => kernel.run(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a kernel's operations give.
    type Results = (usize, Masks, u32, u32);

    struct All(Window, Half);

    impl Task for All {
        type Output = Results;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Results {
            let half: &Half = self.0.first_chunk().expect("a window has two halves");
            let equal = kernel.equal(half, &self.1);
            (kernel.string_stop(&self.0), kernel.string_masks(&self.0), kernel.non_digits(half), equal)
        }
    }

    /// The operations by their definition.
    fn naive(window: &Window, other: &Half) -> Results {
        let mask = |test: &dyn Fn(usize) -> bool| (0..64).fold(0, |mask, i| mask | u64::from(test(i)) << i);
        let stops = mask(&|i| window[i] < 0x20 || b"\"\\".contains(&window[i]));
        let non_ascii = mask(&|i| window[i] >= 0x80);
        let non_digits = mask(&|i| !window[i].is_ascii_digit()) as u32;
        let equal = mask(&|i| i < 32 && window[i] == other[i]) as u32;
        ((stops | non_ascii).trailing_zeros() as usize, Masks { stops, non_ascii }, non_digits, equal)
    }

    fn check(window: Window, other: Half) {
        for simd in Simd::all() {
            assert_eq!(simd.run(All(window, other)), naive(&window, &other), "{simd:?} {window:?} {other:?}");
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..64 {
                for around in [b'a', b'0', b'"', 0x80, byte.wrapping_sub(1)] {
                    let mut window = [around; 64];
                    window[place] = byte;
                    check(window, [byte; 32]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn random_windows(window: [u8; 64], other: [u8; 32], same in 0usize..33, ascii: bool) {
            let window = if ascii { window.map(|byte| byte & 0x7f) } else { window };
            let mut other = other;
            other[..same].copy_from_slice(&window[..same]);
            check(window, other);
        }
    }
}
