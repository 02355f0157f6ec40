//! Numbers and literals: the way from the first character to the last.

use super::simd::{Half, Kernel};
use super::{Fault, Kind, Reason, peek};

/// The end of the number or literal that begins at `start`, and what it is.
#[inline(always)]
pub(super) fn scalar<K: Kernel>(kernel: K, block: &[u8], start: usize) -> Result<(usize, Kind), Fault> {
    let byte = peek(block, start);
    if byte.is_ascii_digit() || byte == b'-' { number(kernel, block, start) } else { literal(block, start) }
}

/// The end of the number that begins at `start` with a digit or a minus sign, and whether it is [`Kind::Int`] or
/// [`Kind::Float`].
#[inline(always)]
fn number<K: Kernel>(kernel: K, block: &[u8], start: usize) -> Result<(usize, Kind), Fault> {
    if let Some(half) = block.get(start..).and_then(|rest| rest.first_chunk())
        && let Some((len, kind)) = short_number(kernel, half)
        && let end = start + len
    {
        return if peek(block, end) | 0x20 == b'e' { exponent(block, end) } else { Ok((end, kind)) };
    }
    long(block, start + usize::from(peek(block, start) == b'-'))
}

/// The length and the kind of the number at the start of `text`, which may go on with an exponent. [`None`] if it is not
/// valid, or not shorter than `text`.
///
/// One look at where the digits are does for all of it, without a branch on what the number looks like, as that is hard
/// to predict.
#[inline(always)]
pub(super) fn short_number<K: Kernel>(kernel: K, text: &Half) -> Option<(usize, Kind)> {
    let masks = kernel.number_masks(text);
    let sign = u32::from(text[0] == b'-');
    // From the first digit on, which stands in bit 0.
    let (ends, dots) = (masks.ends >> sign, masks.dots >> sign);
    let whole_end = ends & ends.wrapping_neg();
    let dot = dots & whole_end;
    let ends_behind = ends ^ dot;
    let has_digits = ends & (dot << 1 | 1) == 0;
    let has_leading_zero = (ends & 2) | u32::from(text[sign as usize] ^ b'0') == 0;
    if !has_digits || has_leading_zero || ends_behind == 0 {
        return None;
    }
    let len = ends_behind.trailing_zeros() + sign;
    Some((len as usize, if dot == 0 { Kind::Int } else { Kind::Float }))
}

/// The end of the exponent whose `e` is at `at`, and so of the number.
pub(super) fn exponent(block: &[u8], at: usize) -> Result<(usize, Kind), Fault> {
    let sign = matches!(peek(block, at + 1), b'+' | b'-');
    Ok((digits(block, at + 1 + usize::from(sign))?, Kind::Float))
}

/// Any number, byte by byte, from the first byte after the sign.
#[cold]
#[inline(never)]
fn long(block: &[u8], start: usize) -> Result<(usize, Kind), Fault> {
    let mut kind = Kind::Int;
    let mut at = digits(block, start)?;
    if peek(block, start) == b'0' && at > start + 1 {
        return Err(Fault { reason: Reason::BadNumber, at: start + 1 });
    }
    if peek(block, at) == b'.' {
        kind = Kind::Float;
        at = digits(block, at + 1)?;
    }
    if peek(block, at) | 0x20 == b'e' { exponent(block, at) } else { Ok((at, kind)) }
}

/// The end of one or more digits.
fn digits(block: &[u8], start: usize) -> Result<usize, Fault> {
    let count = block.get(start..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { Err(Fault { reason: Reason::BadNumber, at: start }) } else { Ok(start + count) }
}

/// The end of the `true`, `false` or `null` at `at`, and which it is.
#[inline(always)]
fn literal(block: &[u8], at: usize) -> Result<(usize, Kind), Fault> {
    if let Some((len, kind)) = short_literal(block.get(at..).unwrap_or_default()) {
        return Ok((at + len, kind));
    }
    let word: &[u8] = match peek(block, at) {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return Err(Fault { reason: Reason::UnexpectedByte, at }),
    };
    let wrong = (1..word.len()).find(|&i| peek(block, at + i) != word[i]).unwrap_or_default();
    Err(Fault { reason: Reason::BadLiteral, at: at + wrong })
}

/// The length and the kind of the `true`, `false` or `null` that `text` begins with.
#[inline(always)]
pub(super) fn short_literal(text: &[u8]) -> Option<(usize, Kind)> {
    match text.first_chunk()? {
        b"true" => Some((4, Kind::True)),
        b"null" => Some((4, Kind::Null)),
        b"fals" => (text.get(4) == Some(&b'e')).then_some((5, Kind::False)),
        _ => None,
    }
}

/// Whether a value that begins with this byte is a number or a literal, if it is valid.
#[inline(always)]
pub(super) const fn is_scalar(byte: u8) -> bool {
    const SCALARS: [bool; 256] = {
        let mut scalars = [false; 256];
        let mut i = 0;
        while i < 256 {
            scalars[i] = matches!(i as u8, b'0'..=b'9' | b'-' | b't' | b'f' | b'n');
            i += 1;
        }
        scalars
    };
    SCALARS[byte as usize]
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Simd, Task};
    use super::*;

    struct Short<'a>(&'a Half);

    impl Task for Short<'_> {
        type Output = Option<(usize, Kind)>;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Self::Output {
            short_number(kernel, self.0)
        }
    }

    /// All texts of a few of the bytes that matter, in front of others and behind digits.
    #[test]
    fn short_numbers_are_those_that_are_read_byte_by_byte() {
        for digits in [0, 1, 24] {
            for number in 0..6_u32.pow(5) {
                let mut text = [b','; 32];
                text[..digits].fill(b'7');
                for place in 0..5 {
                    text[digits + place as usize] = b"-019.,"[(number / 6_u32.pow(place) % 6) as usize];
                }
                let slowly = long(&text, usize::from(text[0] == b'-')).ok();
                for simd in Simd::all() {
                    assert_eq!(simd.run(Short(&text)), slowly, "{simd:?} {:?}", String::from_utf8_lossy(&text));
                }
            }
        }
    }
}
