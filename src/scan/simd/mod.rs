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
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod decimal;
mod portable;
mod prefetch;
mod text;

use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;
pub(crate) use prefetch::prefetch;
pub(super) use text::{Near, Text};

/// The bytes that the string operations look at.
pub(super) type Window = [u8; 64];

/// The bytes that are compared with a text, or searched for digits.
pub(super) type Half = [u8; 32];

/// The bytes in which a short decimal is read.
pub(super) type Decimal = [u8; 16];

/// What is where in a string's window: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StringMasks {
    pub quotes: u64,
    pub backslashes: u64,
    /// Bytes below 0x20.
    pub controls: u64,
}

/// What is where in a string's window that has backslashes: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EscapeMasks {
    /// Bytes that may stand behind a backslash.
    pub escapable: u64,
    /// The letter `u`.
    pub unicode: u64,
}

/// What is where in a window of containers: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StructureMasks {
    /// `[` and `{`
    pub opening: u64,
    /// `]` and `}`
    pub closing: u64,
    pub commas: u64,
    pub colons: u64,
}

/// What is where in a number's window: bit `i` stands for byte `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberMasks {
    /// Bytes that are no ASCII digit.
    pub ends: u32,
    pub dots: u32,
}

/// The bytes in which line ends are searched.
pub(super) type Windows = [Window; 4];

/// What is where in windows of any text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineMasks {
    /// For each window: bit `i` stands for byte `i`.
    pub newlines: [u64; 4],
    /// Whether there is a byte from 0x80.
    pub has_non_ascii: bool,
}

/// The operations of one instruction set.
pub(super) trait Kernel: Copy {
    /// Runs `task` with this kernel's instructions enabled.
    fn run<T: Task>(self, task: T) -> T::Output;

    /// [`run`](Kernel::run), in a function of its own: for loops that want all registers.
    fn run_apart<T: Task>(self, task: T) -> T::Output;

    /// The index of the first byte that is a quote, a backslash or a control character (below 0x20); 64 if there is none.
    fn string_stop(self, window: &Window) -> usize;

    /// What a string's end and its escapes depend on.
    fn string_masks(self, window: &Window) -> StringMasks;

    /// What the validity of escapes depends on.
    fn escape_masks(self, window: &Window) -> EscapeMasks;

    /// What the structure of containers depends on.
    fn structure_masks(self, window: &Window) -> StructureMasks;

    /// What a number's end depends on.
    fn number_masks(self, half: &Half) -> NumberMasks;

    /// A bit for each byte that is the same in both.
    fn equal(self, a: &Half, b: &Half) -> u32;

    /// The digits of a decimal of so many characters that ends with the text, and how many of them are behind its point. It
    /// has digits and at most one point, which is not its last character. [`None`] if that is not so, and may be where there
    /// are more than eight characters.
    fn decimal(self, text: &Decimal, len: usize) -> Option<(u64, usize)>;

    /// Where lines end, and what is to be validated as UTF-8.
    fn line_masks(self, windows: &Windows) -> LineMasks;
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
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Simd {
    /// The best kernel of this machine, or the one that the environment variable `FOLDL_SIMD` names (`avx512`, `avx2`,
    /// `portable`) if the machine has it. Decided once.
    pub fn detect() -> Simd {
        static BEST: LazyLock<Simd> = LazyLock::new(|| {
            let wanted = std::env::var("FOLDL_SIMD").unwrap_or_default();
            let named = Simd::all().find(|simd| simd.name() == wanted);
            named.or_else(|| Simd::all().next()).unwrap_or(Simd::Portable(Portable))
        });
        *BEST
    }

    /// The kernels that this machine has, best first.
    pub fn all() -> impl Iterator<Item = Simd> {
        #[cfg(target_arch = "x86_64")]
        let fast = Avx512::detect().map(Simd::Avx512).into_iter().chain(Avx2::detect().map(Simd::Avx2));
        #[cfg(not(target_arch = "x86_64"))]
        let fast = std::iter::empty();
        fast.chain([Simd::Portable(Portable)])
    }

    /// The name, as `FOLDL_SIMD` takes it.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2(_) => "avx2",
            Simd::Portable(_) => "portable",
        }
    }

    /// Runs `task` with the kernel.
    pub fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512(kernel) => kernel.run(task),
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
    type Results = (usize, StringMasks, EscapeMasks, StructureMasks, NumberMasks, u32, LineMasks);

    struct ReadDecimal(Decimal, usize);

    impl Task for ReadDecimal {
        type Output = Option<(u64, usize)>;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Self::Output {
            kernel.decimal(&self.0, self.1)
        }
    }

    /// The same by its definition.
    fn naive_decimal(text: &Decimal, len: usize) -> Option<(u64, usize)> {
        let text = std::str::from_utf8(text.get(16_usize.checked_sub(len)?..)?).ok()?;
        let digits = text.replacen('.', "", 1);
        let places = text.find('.').map_or(0, |point| len - 1 - point);
        if text.ends_with('.') || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
        // No characters stand for zero.
        Some((if digits.is_empty() { 0 } else { digits.parse().ok()? }, places))
    }

    struct All(Window, Half);

    impl Task for All {
        type Output = Results;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Results {
            let All(window, other) = &self;
            let half: &Half = window.first_chunk().expect("a window has two halves");
            (
                kernel.string_stop(window),
                kernel.string_masks(window),
                kernel.escape_masks(window),
                kernel.structure_masks(window),
                kernel.number_masks(half),
                kernel.equal(half, other),
                kernel.line_masks(&windows(window)),
            )
        }
    }

    /// The operations by their definition.
    fn naive(window: &Window, other: &Half) -> Results {
        let mask = |test: &dyn Fn(usize) -> bool| (0..64).fold(0, |mask, i| mask | u64::from(test(i)) << i);
        let quotes = mask(&|i| window[i] == b'"');
        let backslashes = mask(&|i| window[i] == b'\\');
        let controls = mask(&|i| window[i] < 0x20);
        let escapable = mask(&|i| b"\"\\/bfnrtu".contains(&window[i]));
        let unicode = mask(&|i| window[i] == b'u');
        let (opening, closing) = (mask(&|i| b"[{".contains(&window[i])), mask(&|i| b"]}".contains(&window[i])));
        let (commas, colons) = (mask(&|i| window[i] == b','), mask(&|i| window[i] == b':'));
        let ends = mask(&|i| !window[i].is_ascii_digit()) as u32;
        let dots = mask(&|i| window[i] == b'.') as u32;
        let equal = mask(&|i| i < 32 && window[i] == other[i]) as u32;
        let newlines = windows(window).map(|window| (0..64).fold(0, |m, i| m | u64::from(window[i] == b'\n') << i));
        let has_non_ascii = window.iter().any(|&byte| byte >= 0x80);
        (
            (quotes | backslashes | controls).trailing_zeros() as usize,
            StringMasks { quotes, backslashes, controls },
            EscapeMasks { escapable, unicode },
            StructureMasks { opening, closing, commas, colons },
            NumberMasks { ends, dots },
            equal,
            LineMasks { newlines, has_non_ascii },
        )
    }

    /// The window between others, at a place that depends on it.
    fn windows(window: &Window) -> Windows {
        let mut windows = [[b'\n'; 64], [b' '; 64], [0x7f; 64], [b'\r'; 64]];
        windows[usize::from(window[5] ^ window[40]) % 4] = *window;
        windows
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
        fn decimals(
            text in prop::array::uniform16(prop_oneof![9 => b'0'..=b'9', 1 => Just(b'.'), 1 => any::<u8>()]),
            clean in prop::array::uniform16(b'0'..=b'9'),
            point in 0_usize..24,
            len in 0_usize..20,
        ) {
            let mut clean = clean;
            if let Some(byte) = clean.get_mut(point) {
                *byte = b'.';
            }
            for text in [text, clean] {
                for simd in Simd::all() {
                    let read = simd.run(ReadDecimal(text, len));
                    let expected = naive_decimal(&text, len);
                    let may_be_none = len > 8 && matches!(simd, Simd::Portable(_)) || len == 0 || len > 16;
                    prop_assert!(read == expected || read.is_none() && may_be_none, "{:?} {:?} {} {:?}", simd, text, len, read);
                }
            }
        }

        #[test]
        fn random_windows(window: [u8; 64], other: [u8; 32], same in 0usize..33, ascii: bool) {
            let window = if ascii { window.map(|byte| byte & 0x7f) } else { window };
            let mut other = other;
            other[..same].copy_from_slice(&window[..same]);
            check(window, other);
        }
    }
}
