//! Strings: the way from the opening quote to the closing one, and the decoded form of a key.

use super::simd::{Kernel, Task, Window};
use super::{Fault, Kind, Reason, peek};

/// The end of a string whose body begins at `start`: the index of the closing quote, and whether the body is
/// [`Kind::Text`] or [`Kind::Escaped`]. Everything but the encoding is validated.
///
/// Most strings end within the first 64 bytes and are plain: these are done here, the others out of line.
#[inline(always)]
pub(super) fn string<K: Kernel>(kernel: K, block: &[u8], start: usize) -> Result<(usize, Kind), Fault> {
    let mut from = start;
    if let Some(window) = block.get(start..).and_then(|rest| rest.first_chunk()) {
        from += kernel.string_stop(window);
        if peek(block, from) == b'"' {
            return Ok((from, Kind::Text));
        }
    }
    rest_of_string(kernel, block, from)
}

/// The end of a string that goes on at `from`, which is not within an escape and has nothing to be validated before it.
#[inline(always)]
pub(super) fn rest_of_string<K: Kernel>(kernel: K, block: &[u8], from: usize) -> Result<(usize, Kind), Fault> {
    struct Rest<'a>(&'a [u8], usize);

    impl Task for Rest<'_> {
        type Output = Result<(usize, Kind), Fault>;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Self::Output {
            windows(kernel, self.0, self.1)
        }
    }
    kernel.run_apart(Rest(block, from))
}

/// Goes through a string window by window. What escapes there are costs no branch, as their order is hard to predict;
/// only those that begin with `\u` are looked at one by one.
#[inline(always)]
fn windows<K: Kernel>(kernel: K, block: &[u8], mut base: usize) -> Result<(usize, Kind), Fault> {
    let mut kind = Kind::Text;
    // 1 if the first byte of the window is escaped.
    let mut carry = 0;
    loop {
        let mut last = [b'\n'; 64];
        let rest = block.get(base..).unwrap_or_default();
        let window: &Window = match rest.first_chunk() {
            Some(window) => window,
            None => {
                last[..rest.len()].copy_from_slice(rest);
                &last
            }
        };
        let masks = kernel.string_masks(window);
        let mut quotes = masks.quotes;
        if masks.backslashes | carry != 0 {
            let escaped;
            (escaped, carry) = escapes(masks.backslashes, carry);
            quotes &= !escaped;
            let stops = quotes | masks.controls;
            let up_to_stop = stops ^ stops.wrapping_sub(1);
            if masks.backslashes & up_to_stop != 0 {
                kind = Kind::Escaped;
            }
            let here = escaped & up_to_stop;
            let found = kernel.escape_masks(window);
            let wrong = (here & !found.escapable).trailing_zeros() as usize;
            let mut unicode = here & found.unicode;
            while unicode != 0 {
                let letter = unicode.trailing_zeros() as usize;
                if letter > wrong {
                    break;
                }
                hex_digits(block, base + letter + 1)?;
                unicode &= unicode - 1;
            }
            if wrong < 64 {
                return Err(Fault { reason: Reason::BadEscape, at: base + wrong });
            }
        }
        let stops = quotes | masks.controls;
        if stops != 0 {
            let stop = stops.trailing_zeros();
            let at = base + stop as usize;
            let is_quote = quotes >> stop & 1 == 1;
            return if is_quote { Ok((at, kind)) } else { Err(Fault { reason: Reason::ControlCharacter, at }) };
        }
        base += 64;
    }
}

/// A bit for each byte that is escaped, and 1 if the byte after the window is. `carry` is 1 if the first byte is.
///
/// A run of backslashes escapes every second byte from its second on. Adding the run's first bit to the run carries to
/// the byte behind it, at an even distance from the start if the run is of even length; which of the two parities is
/// meant depends on where the run begins. The method is that of simdjson (G. Langdale, D. Lemire, "Parsing Gigabytes of
/// JSON per Second", 2019, section 3.1.1).
#[inline(always)]
pub(super) fn escapes(backslashes: u64, carry: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !carry;
    let followers = backslashes << 1 | carry;
    let odd_starts = backslashes & !EVEN & !followers;
    let (sum, carry) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ sum << 1) & followers, u64::from(carry))
}

/// Checks that four hexadecimal digits begin at `at`.
#[inline(always)]
fn hex_digits(block: &[u8], at: usize) -> Result<(), Fault> {
    if let Some(&[a, b, c, d]) = block.get(at..).and_then(|rest| rest.first_chunk())
        && HEX[usize::from(a)] & HEX[usize::from(b)] & HEX[usize::from(c)] & HEX[usize::from(d)]
    {
        return Ok(());
    }
    let bad = (0..3).find(|i| !peek(block, at + i).is_ascii_hexdigit()).unwrap_or(3);
    Err(Fault { reason: Reason::BadEscape, at: at + bad })
}

/// Whether a byte is a hexadecimal digit.
const HEX: [bool; 256] = {
    let mut digits = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        digits[byte] = (byte as u8).is_ascii_hexdigit();
        byte += 1;
    }
    digits
};

/// Appends the decoded form of a string's body, whose escapes are valid, to `out`. False if it has a lone surrogate,
/// and so no such form.
pub(super) fn decode(body: &[u8], out: &mut Vec<u8>) -> bool {
    let unit = |at: usize| {
        (0..4).fold(0, |unit, i| unit << 4 | char::from(peek(body, at + i)).to_digit(16).unwrap_or_default())
    };
    let mut at = 0;
    while at < body.len() {
        let byte = body[at];
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = peek(body, at);
        at += 1;
        out.push(match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = unit(at);
                at += 4;
                if (0xd800..0xdc00).contains(&code) && body[at..].starts_with(b"\\u") {
                    let low = unit(at + 2);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        at += 6;
                    }
                }
                let Some(decoded) = char::from_u32(code) else { return false };
                out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        });
    }
    true
}
