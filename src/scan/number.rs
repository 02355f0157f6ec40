//! Numbers: the way from the first character to the last.

use super::simd::{Half, Kernel};
use super::walk::{Fault, peek};
use super::{Kind, Reason};

/// The end of the number that begins at `start` with a digit or a minus sign, and whether it is [`Kind::Int`] or
/// [`Kind::Float`].
///
/// Numbers without an exponent whose digits end within 32 bytes are done with one look at where the digits are.
#[inline(always)]
pub(super) fn number<K: Kernel>(kernel: K, block: &[u8], start: usize) -> Result<(usize, Kind), Fault> {
    let digits = start + usize::from(peek(block, start) == b'-');
    if let Some(half) = block.get(digits..).and_then(|rest| rest.first_chunk())
        && let Some((len, kind)) = short(kernel, half)
    {
        return Ok((digits + len, kind));
    }
    long(block, digits)
}

#[inline(always)]
fn short<K: Kernel>(kernel: K, half: &Half) -> Option<(usize, Kind)> {
    let ends = u64::from(kernel.non_digits(half));
    let whole = ends.trailing_zeros() as usize;
    let &after = half.get(whole)?;
    if whole == 0 || (half[0] == b'0' && whole > 1) {
        return None;
    }
    if after != b'.' {
        return (after | 0x20 != b'e').then_some((whole, Kind::Int));
    }
    let fraction = (ends >> (whole + 1)).trailing_zeros() as usize;
    let end = whole + 1 + fraction;
    let &after = half.get(end)?;
    (fraction > 0 && after | 0x20 != b'e').then_some((end, Kind::Float))
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
