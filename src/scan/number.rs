//! Numbers: the way from the first character to the last.

use super::simd::{Half, Kernel};
use super::walk::{Fault, peek};
use super::{Kind, Reason};

/// The end of the number that begins at `start` with a digit or a minus sign, and whether it is [`Kind::Int`] or
/// [`Kind::Float`].
///
/// Most numbers are done with one look at where the digits are.
#[inline(always)]
pub(super) fn number<K: Kernel>(kernel: K, block: &[u8], start: usize) -> Result<(usize, Kind), Fault> {
    if let Some(text) = block.get(start..)
        && let Some((len, kind)) = short_number(kernel, text)
    {
        return Ok((start + len, kind));
    }
    long(block, start + usize::from(peek(block, start) == b'-'))
}

/// The length of the number that `text` begins with, and its kind, if it is one without an exponent and `text` goes on
/// for 33 bytes.
#[inline(always)]
pub(super) fn short_number<K: Kernel>(kernel: K, text: &[u8]) -> Option<(usize, Kind)> {
    let sign = usize::from(*text.first()? == b'-');
    let half: &Half = text.get(sign..)?.first_chunk()?;
    let ends = u64::from(kernel.non_digits(half));
    let whole = ends.trailing_zeros() as usize;
    let &after = half.get(whole)?;
    if whole == 0 || (half[0] == b'0' && whole > 1) {
        return None;
    }
    if after != b'.' {
        return (after | 0x20 != b'e').then_some((sign + whole, Kind::Int));
    }
    let fraction = (ends >> (whole + 1)).trailing_zeros() as usize;
    let end = whole + 1 + fraction;
    let &after = half.get(end)?;
    (fraction > 0 && after | 0x20 != b'e').then_some((sign + end, Kind::Float))
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
    if peek(block, at) | 0x20 == b'e' {
        kind = Kind::Float;
        at += 1;
        if matches!(peek(block, at), b'+' | b'-') {
            at += 1;
        }
        at = digits(block, at)?;
    }
    Ok((at, kind))
}

/// The end of one or more digits.
fn digits(block: &[u8], start: usize) -> Result<usize, Fault> {
    let count = block.get(start..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { Err(Fault { reason: Reason::BadNumber, at: start }) } else { Ok(start + count) }
}
