//! Skipping: a container of which nothing is wanted and nothing learned is gone through token by token.

use super::number::scalar;
use super::simd::{Kernel, Task};
use super::string::string;
use super::walk::{peek, space};
use super::{Fault, Kind, Reason};

/// The end of the container that begins at `start`, and which it is. It may be nested `levels` deep, at least 1; `open` is
/// for the containers that are open.
#[inline(always)]
pub(super) fn skip<K: Kernel>(
    kernel: K,
    block: &[u8],
    start: usize,
    levels: u32,
    open: &mut Vec<u8>,
) -> Result<(usize, Kind), Fault> {
    struct Skip<'a>(&'a [u8], usize, u32, &'a mut Vec<u8>);

    impl Task for Skip<'_> {
        type Output = Result<usize, Fault>;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Self::Output {
            container(kernel, self.0, self.1, self.2, self.3)
        }
    }
    let kind = if peek(block, start) == b'{' { Kind::Object } else { Kind::Array };
    Ok((kernel.run_apart(Skip(block, start, levels, open))?, kind))
}

#[inline(always)]
fn container<K: Kernel>(
    kernel: K,
    block: &[u8],
    mut at: usize,
    levels: u32,
    open: &mut Vec<u8>,
) -> Result<usize, Fault> {
    open.clear();
    // The bracket that closes the innermost container.
    let mut close = 0;
    loop {
        // A value, or the first key of an object, is due.
        let byte = peek(block, at);
        match byte {
            b'{' | b'[' => {
                if open.len() >= levels as usize {
                    return Err(Fault { reason: Reason::TooDeep, at });
                }
                open.push(close);
                // The brackets are two apart in ASCII.
                close = byte + 2;
                at = space(block, at + 1);
                if peek(block, at) != close {
                    if close == b'}' {
                        at = key(kernel, block, at)?;
                    }
                    continue;
                }
            }
            b'"' => at = string(kernel, block, at + 1)?.0 + 1,
            _ => at = scalar(kernel, block, at)?.0,
        }
        // What follows a value, or an empty container's start.
        loop {
            if !matches!(peek(block, at), b',' | b'}' | b']') {
                at = space(block, at);
            }
            let byte = peek(block, at);
            if byte == close {
                at += 1;
                close = open.pop().unwrap_or_default();
                if open.is_empty() {
                    return Ok(at);
                }
            } else if byte == b',' {
                at = space(block, at + 1);
                if close == b'}' {
                    at = key(kernel, block, at)?;
                }
                break;
            } else {
                return Err(Fault { reason: Reason::UnexpectedByte, at });
            }
        }
    }
}

/// The index where the value begins whose key begins at `at`.
#[inline(always)]
fn key<K: Kernel>(kernel: K, block: &[u8], at: usize) -> Result<usize, Fault> {
    if peek(block, at) != b'"' {
        return Err(Fault { reason: Reason::UnexpectedByte, at });
    }
    let colon = space(block, string(kernel, block, at + 1)?.0 + 1);
    if peek(block, colon) != b':' {
        return Err(Fault { reason: Reason::UnexpectedByte, at: colon });
    }
    Ok(space(block, colon + 1))
}
