//! The slow reference: what the scanner must find, said as simply as possible. serde_json gives the verdict.

use serde_json::value::RawValue;

use super::{Batch, Cell, Kind, Limits, Path, Reason, Reject, Span, Step};

/// What [`Scanner::scan`](super::Scanner::scan) must give, save that the rejects' reasons are coarser and have no place.
pub(super) fn scan(block: &[u8], paths: &[Path], limits: Limits) -> Batch {
    let mut batch = Batch { columns: vec![Vec::new(); paths.len()], ..Batch::default() };
    let mut start = 0;
    for line in block.split_inclusive(|&byte| byte == b'\n') {
        let body = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(line);
        let span = Span { start: start as u32, end: (start + body.len()) as u32 };
        // A carriage return before the newline counts, as blocks are cut without a look at it.
        let is_too_long = line.strip_suffix(b"\n").unwrap_or(line).len() > limits.max_line;
        match if is_too_long { Err(Reason::TooLong) } else { verdict(body, limits) } {
            _ if !is_too_long && body.iter().all(|byte| b" \t\r".contains(byte)) => {}
            Ok(()) => {
                batch.rows.push(span);
                for (path, column) in paths.iter().zip(&mut batch.columns) {
                    column.push(find(block, space(block, start), &path.steps));
                }
            }
            Err(reason) => batch.rejects.push(Reject { line: batch.lines, span, reason, at: 0 }),
        }
        batch.lines += 1;
        start += line.len();
    }
    batch
}

fn verdict(line: &[u8], limits: Limits) -> Result<(), Reason> {
    let text = std::str::from_utf8(line).map_err(|_| Reason::BadUtf8)?;
    serde_json::from_str::<&RawValue>(text).map_err(|_| Reason::UnexpectedByte)?;
    if depth(line) > limits.max_depth { Err(Reason::TooDeep) } else { Ok(()) }
}

/// The nesting of a valid value.
fn depth(text: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut at) = (0u32, 0, 0);
    while at < text.len() {
        match text[at] {
            b'"' => at = value_end(text, at) - 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

/// The cell at the end of the steps from the valid value at `at`.
fn find(text: &[u8], at: usize, steps: &[Step]) -> Cell {
    match steps.split_first() {
        None => cell(text, at),
        Some((step, steps)) => match child(text, at, step) {
            Some(at) => find(text, at, steps),
            None => Cell::MISSING,
        },
    }
}

/// Where the value begins that a step leads to.
fn child(text: &[u8], at: usize, step: &Step) -> Option<usize> {
    let mut found = None;
    let mut index = 0;
    let mut at = space(text, at);
    let object = text[at] == b'{';
    if !object && text[at] != b'[' {
        return None;
    }
    at = space(text, at + 1);
    while text[at] != b'}' && text[at] != b']' {
        let mut matches = matches!(step, Step::Index(wanted) if !object && *wanted == index);
        if object {
            let end = value_end(text, at);
            matches = matches!(step, Step::Key(key) if decode(&text[at + 1..end - 1]) == key.encode_utf16().collect::<Vec<u16>>());
            at = space(text, space(text, end) + 1);
        }
        if matches {
            found = Some(at);
        }
        at = space(text, value_end(text, at));
        if text[at] == b',' {
            at = space(text, at + 1);
        }
        index += 1;
    }
    found
}

fn cell(text: &[u8], at: usize) -> Cell {
    let end = value_end(text, at);
    let value = &text[at..end];
    let kind = match value[0] {
        b'n' => Kind::Null,
        b'f' => Kind::False,
        b't' => Kind::True,
        b'[' => Kind::Array,
        b'{' => Kind::Object,
        b'"' => {
            let kind = if value.contains(&b'\\') { Kind::Escaped } else { Kind::Text };
            return Cell::new(kind, at as u32 + 1, (end - at) as u32 - 2);
        }
        _ if value.iter().any(|byte| b".eE".contains(byte)) => Kind::Float,
        _ => Kind::Int,
    };
    Cell::new(kind, at as u32, (end - at) as u32)
}

/// The end of the valid value at `at`.
fn value_end(text: &[u8], mut at: usize) -> usize {
    match text[at] {
        b'"' => {
            at += 1;
            while text[at] != b'"' {
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
            at + 1
        }
        b'[' | b'{' => {
            at = space(text, at + 1);
            while !b"]}".contains(&text[at]) {
                at = space(text, if b",:".contains(&text[at]) { at + 1 } else { value_end(text, at) });
            }
            at + 1
        }
        _ => at + text[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count(),
    }
}

fn space(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| b" \t\r".contains(byte)).count()
}

/// A valid string's body as UTF-16, which can hold lone surrogates.
fn decode(body: &[u8]) -> Vec<u16> {
    let text = std::str::from_utf8(body).expect("the line is valid");
    let mut units = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match chars.next().expect("the line is valid") {
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                u16::from_str_radix(&digits, 16).expect("the line is valid")
            }
            other => other as u16,
        });
    }
    units
}
