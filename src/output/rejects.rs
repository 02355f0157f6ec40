//! The rejects file: rejected lines as JSON Lines, so that they can be looked at, mended and fed back in.

use std::io::Write;

use super::target::write_error;
use crate::error::Result;
use crate::scan::Reason;
use crate::value::text;

/// Writes one rejected line: where it was, what is wrong, and its bytes: as `raw` if they are UTF-8, else as
/// `raw_base64`; with `truncated` if they are only the start of it.
///
/// # Errors
/// [`Output`](crate::ErrorKind::Output) when writing fails.
pub fn write_reject(
    out: &mut impl Write,
    file: &str,
    line: u64,
    offset: u64,
    reason: Reason,
    raw: &[u8],
    truncated: bool,
) -> Result<()> {
    let mut row = b"{\"file\":".to_vec();
    match file {
        "-" => row.extend_from_slice(b"null"),
        file => text::write_string(file.as_bytes(), &mut row),
    }
    row.extend_from_slice(format!(",\"line\":{line},\"offset\":{offset},\"reason\":\"{reason}\",").as_bytes());
    // A cut may have split a character.
    let text = match std::str::from_utf8(raw) {
        Ok(text) => Some(text),
        Err(err) if truncated && err.error_len().is_none() => std::str::from_utf8(&raw[..err.valid_up_to()]).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) => {
            row.extend_from_slice(b"\"raw\":");
            text::write_string(text.as_bytes(), &mut row);
        }
        None => {
            row.extend_from_slice(b"\"raw_base64\":\"");
            push_base64(raw, &mut row);
            row.push(b'"');
        }
    }
    if truncated {
        row.extend_from_slice(b",\"truncated\":true");
    }
    row.extend_from_slice(b"}\n");
    out.write_all(&row).map_err(write_error)
}

/// Base64 with padding (RFC 4648).
fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(ALPHABET[(group >> (18 - 6 * place) & 63) as usize]);
            } else {
                out.push(b'=');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            let mut out = Vec::new();
            push_base64(bytes.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
