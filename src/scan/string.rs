//! Strings: the way from the opening quote to the closing one, and the decoded form of a key.

use super::simd::{Kernel, Masks, Task, Window};
use super::walk::{Fault, peek};
use super::{Kind, Reason};

/// The end of a string whose body begins at `start`: the index of the closing quote, and whether the body is
/// [`Kind::Text`] or [`Kind::Escaped`]. Everything but the encoding is validated; `non_ascii` is set if the body needs
/// that.
///
/// Most strings end within the first 64 bytes and are plain: these are done here, the others out of line.
#[inline(always)]
pub(super) fn string<K: Kernel>(
    kernel: K,
    block: &[u8],
    start: usize,
    non_ascii: &mut bool,
) -> Result<(usize, Kind), Fault> {
    let mut from = start;
    if let Some(window) = block.get(start..).and_then(|rest| rest.first_chunk()) {
        from += kernel.string_stop(window);
        if peek(block, from) == b'"' && from - start < window.len() {
            return Ok((from, Kind::Text));
        }
    }
    let (end, kind, more) = kernel.run(Rest { block, from })?;
    *non_ascii |= more;
    Ok((end, kind))
}

/// The rest of a string from `from`, which is not within an escape and has nothing to be validated before it.
struct Rest<'a> {
    block: &'a [u8],
    from: usize,
}

impl Task for Rest<'_> {
    /// The index of the closing quote, the kind, and whether there are bytes beyond ASCII.
    type Output = Result<(usize, Kind, bool), Fault>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Rest { block, from: mut base } = self;
        let mut kind = Kind::Text;
        let mut non_ascii = false;
        loop {
            let masks = match block.get(base..).and_then(|rest| rest.first_chunk()) {
                Some(window) => kernel.string_masks(window),
                None => last_masks(kernel, block, base),
            };
            let mut stops = masks.stops;
            // Escapes are gone through one by one, as most strings have few; one that crosses the end of the window
            // moves the next window.
            base = loop {
                if stops == 0 {
                    non_ascii |= masks.non_ascii != 0;
                    break base + 64;
                }
                let bit = stops.trailing_zeros();
                let at = base + bit as usize;
                match peek(block, at) {
                    b'"' => {
                        non_ascii |= masks.non_ascii & ((1 << bit) - 1) != 0;
                        return Ok((at, kind, non_ascii));
                    }
                    b'\\' => {
                        kind = Kind::Escaped;
                        let past = bit + escape(block, at)?;
                        if past >= 64 {
                            non_ascii |= masks.non_ascii != 0;
                            break base + past as usize;
                        }
                        stops &= u64::MAX << past;
                    }
                    _ => return Err(Fault { reason: Reason::ControlCharacter, at }),
                }
            };
        }
    }
}

/// The masks of the last bytes of the block, with a stop behind them.
#[cold]
#[inline(never)]
fn last_masks<K: Kernel>(kernel: K, block: &[u8], base: usize) -> Masks {
    struct Last(Window);
    impl Task for Last {
        type Output = Masks;
        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Masks {
            kernel.string_masks(&self.0)
        }
    }
    let rest = block.get(base..).unwrap_or_default();
    let mut window = [b'\n'; 64];
    window[..rest.len()].copy_from_slice(rest);
    kernel.run(Last(window))
}

/// The length of the escape at `at`.
#[inline(always)]
fn escape(block: &[u8], at: usize) -> Result<u32, Fault> {
    let len = ESCAPES[usize::from(peek(block, at + 1))];
    if len == 2 {
        return Ok(2);
    }
    if len == 0 {
        return Err(Fault { reason: Reason::BadEscape, at: at + 1 });
    }
    if let Some(&[_, _, a, b, c, d]) = block.get(at..).and_then(|rest| rest.first_chunk())
        && HEX[usize::from(a)] & HEX[usize::from(b)] & HEX[usize::from(c)] & HEX[usize::from(d)]
    {
        return Ok(6);
    }
    let bad = (2..5).find(|i| !peek(block, at + i).is_ascii_hexdigit()).unwrap_or(5);
    Err(Fault { reason: Reason::BadEscape, at: at + bad })
}

/// The length of an escape by its second byte; 0 if JSON does not have it. Tables, as the order of escapes in text is
/// hard to predict for a branch.
const ESCAPES: [u8; 256] = {
    let mut lengths = [0; 256];
    let simple = b"\"\\/bfnrt";
    let mut i = 0;
    while i < simple.len() {
        lengths[simple[i] as usize] = 2;
        i += 1;
    }
    lengths[b'u' as usize] = 6;
    lengths
};

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
