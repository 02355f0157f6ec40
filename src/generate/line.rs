//! Writes the parts of a record straight into a buffer: the generator's inner loop has no formatting machinery.

/// The end of a buffer to which a record is being written.
#[derive(Debug)]
pub struct Line<'a>(pub &'a mut Vec<u8>);

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
                            2021222324252627282930313233343536373839\
                            4041424344454647484950515253545556575859\
                            6061626364656667686970717273747576777879\
                            8081828384858687888990919293949596979899";

/// The base32 alphabet whose texts sort as the numbers do.
const BASE32: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

impl Line<'_> {
    /// JSON text as it stands.
    #[inline]
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Bytes as they stand.
    #[inline]
    pub fn bytes<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        self.0.extend_from_slice(&bytes);
        self
    }

    /// Decimal digits.
    #[inline]
    pub fn int(&mut self, n: u64) -> &mut Self {
        if n < 10 {
            self.0.push(b'0' + n as u8);
        } else {
            self.0.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        }
        self
    }

    /// Two decimal digits of a number below 100.
    #[inline]
    pub fn two(&mut self, n: u32) -> &mut Self {
        self.bytes(pair(n))
    }

    /// At least four decimal digits.
    #[inline]
    pub fn at_least_four(&mut self, n: u64) -> &mut Self {
        if n > 9_999 {
            return self.int(n);
        }
        let n = n as u32;
        self.two(n / 100).two(n % 100)
    }

    /// At least six decimal digits.
    #[inline]
    pub fn at_least_six(&mut self, n: u64) -> &mut Self {
        if n > 999_999 {
            return self.int(n);
        }
        self.two(n as u32 / 10_000).at_least_four(n % 10_000)
    }

    /// An amount of hundredths as JSON.stringify prints it: `11.59`, `11.5`, `11`.
    #[inline]
    pub fn hundredths(&mut self, amount: u32) -> &mut Self {
        let fraction = amount % 100;
        self.int(u64::from(amount / 100));
        if fraction != 0 {
            let [tenths, hundredths] = pair(fraction);
            self.bytes([b'.', tenths]);
            if hundredths != b'0' {
                self.bytes([hundredths]);
            }
        }
        self
    }

    /// `HH:MM:SS` from the seconds since midnight.
    #[inline]
    pub fn clock(&mut self, seconds: u32) -> &mut Self {
        let ([h, hh], [m, mm], [s, ss]) = (pair(seconds / 3_600), pair(seconds / 60 % 60), pair(seconds % 60));
        self.bytes([h, hh, b':', m, mm, b':', s, ss])
    }

    /// `.mmm` from a number of thousandths.
    #[inline]
    pub fn thousandths(&mut self, n: u32) -> &mut Self {
        let [tens, ones] = pair(n % 100);
        self.bytes([b'.', b'0' + (n / 100) as u8, tens, ones])
    }

    /// Sixteen hexadecimal digits.
    #[inline]
    pub fn hex(&mut self, word: u64) -> &mut Self {
        // Each nibble gets a byte of its own, then digits above nine are moved up to the letters.
        let spread = |half: u64| {
            let x = (half | half << 16) & 0x0000_ffff_0000_ffff;
            let x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
            let x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
            let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
            (x + 0x3030_3030_3030_3030 + letters * (b'a' - b'0' - 10) as u64).to_be_bytes()
        };
        let mut digits = [0; 16];
        digits[..8].copy_from_slice(&spread(word >> 32));
        digits[8..].copy_from_slice(&spread(word & 0xffff_ffff));
        self.bytes(digits)
    }

    /// `N` digits of base32 (`234567a…z`), of which `word` fills the last 13; the others are `2`.
    #[inline]
    pub fn base32<const N: usize>(&mut self, word: u64) -> &mut Self {
        self.bytes(std::array::from_fn::<u8, N, _>(|i| {
            let shift = (N - 1 - i) as u32 * 5;
            BASE32[word.checked_shr(shift).unwrap_or(0) as usize & 31]
        }))
    }

    /// One of `true` and `false`.
    #[inline]
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }
}

#[inline]
fn pair(n: u32) -> [u8; 2] {
    let at = n as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl for<'a, 'b> FnOnce(&'a mut Line<'b>) -> &'a mut Line<'b>) -> String {
        let mut out = Vec::new();
        write(&mut Line(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hundredths_are_printed_as_json_stringify_does() {
        for (amount, text) in [(0, "0"), (1, "0.01"), (10, "0.1"), (1_159, "11.59"), (1_150, "11.5"), (1_200, "12")] {
            assert_eq!(written(|line| line.hundredths(amount)), text);
        }
    }

    #[test]
    fn base32_sorts_as_numbers_do() {
        assert_eq!(written(|line| line.base32::<3>(0)), "222");
        assert_eq!(written(|line| line.base32::<2>(32 * 31 + 6)), "za");
        assert_eq!(written(|line| line.base32::<14>(u64::MAX)), "2jzzzzzzzzzzzz");
    }

    proptest! {
        #[test]
        fn agrees_with_format(word: u64, small in 0u32..86_400) {
            prop_assert_eq!(written(|line| line.hex(word)), format!("{word:016x}"));
            prop_assert_eq!(written(|line| line.int(word)), format!("{word}"));
            prop_assert_eq!(written(|line| line.at_least_four(word >> 48)), format!("{:04}", word >> 48));
            prop_assert_eq!(written(|line| line.at_least_six(word >> 42)), format!("{:06}", word >> 42));
            prop_assert_eq!(written(|line| line.thousandths(small % 1_000)), format!(".{:03}", small % 1_000));
            let (h, m, s) = (small / 3_600, small / 60 % 60, small % 60);
            prop_assert_eq!(written(|line| line.clock(small)), format!("{h:02}:{m:02}:{s:02}"));
            let amount = serde_json::Number::from_f64(f64::from(small) / 100.0).unwrap().to_string();
            let amount = amount.strip_suffix(".0").unwrap_or(&amount).to_string();
            prop_assert_eq!(written(|line| line.hundredths(small)), amount);
        }
    }
}
