//! The rejects file: rejected lines as JSON Lines, so that they can be looked at, mended and fed back in.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::target::rejects_error;
use crate::error::Result;
use crate::value::text;

/// Writes one rejected line: where it was, what is wrong, and its bytes: as `raw` if they are UTF-8, else as
/// `raw_base64`; with `truncated` if they are only the start of it. The reason is in words without quotes.
///
/// # Errors
/// [`Output`](crate::ErrorKind::Output) when writing fails.
pub fn write_reject(
    out: &mut impl Write,
    file: &str,
    line: u64,
    offset: u64,
    reason: &str,
    raw: &[u8],
    truncated: bool,
) -> Result<()> {
    write_reject_with(out, (file, line, offset), reason, (raw, truncated), &[])
}

/// What else is told of a rejected line.
#[derive(Clone, Copy, Debug)]
pub enum Extra<'a> {
    /// A number, or `null`.
    Number(Option<i64>),
    /// Any text.
    Text(&'a str),
}

/// As [`write_reject`], with more fields at the end. The place is file, line and offset; `raw` comes with whether it is
/// truncated. The reason is any text.
///
/// # Errors
/// [`Output`](crate::ErrorKind::Output) when writing fails.
pub fn write_reject_with(
    out: &mut impl Write,
    (file, line, offset): (&str, u64, u64),
    reason: &str,
    (raw, truncated): (&[u8], bool),
    extra: &[(&str, Extra<'_>)],
) -> Result<()> {
    let mut row = b"{\"file\":".to_vec();
    match file {
        "-" => row.extend_from_slice(b"null"),
        file => text::write_string(file.as_bytes(), &mut row),
    }
    row.extend_from_slice(format!(",\"line\":{line},\"offset\":{offset},\"reason\":").as_bytes());
    text::write_string(reason.as_bytes(), &mut row);
    row.push(b',');
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
            row.extend_from_slice(BASE64_STANDARD.encode(raw).as_bytes());
            row.push(b'"');
        }
    }
    if truncated {
        row.extend_from_slice(b",\"truncated\":true");
    }
    for (name, value) in extra {
        row.extend_from_slice(format!(",\"{name}\":").as_bytes());
        match value {
            Extra::Number(Some(number)) => row.extend_from_slice(number.to_string().as_bytes()),
            Extra::Number(None) => row.extend_from_slice(b"null"),
            Extra::Text(text) => text::write_string(text.as_bytes(), &mut row),
        }
    }
    row.extend_from_slice(b"}\n");
    out.write_all(&row).map_err(rejects_error)
}
