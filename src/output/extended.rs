//! Records with some keys replaced or added: `select *, x as a`.

use bumpalo::Bump;

use crate::plan::Extension;
use crate::value::{json, text};

/// Writes a record as it stands, save for some keys. A record that is no object becomes the key `value`. `write` writes the
/// value of one of the extension's items.
pub fn write_extended(
    line: &[u8],
    extension: &Extension,
    arena: &Bump,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>),
) {
    let Extension { items, replacements, excluded } = extension;
    let mut done = vec![false; items.len()];
    let mut separator = b'{';
    let mut start = |out: &mut Vec<u8>| out.push(std::mem::replace(&mut separator, b','));
    let record = line.trim_ascii();
    if record.first() == Some(&b'{') {
        for (body, escaped, value) in json::entries(record) {
            let key = json::key_text(body, escaped, arena);
            let item = items.iter().position(|item| item.name.as_bytes() == key);
            // Of a key that is there twice only the new value stays.
            let is_done = item.is_some_and(|item| done[item]);
            if is_done || item.is_none() && excluded.iter().any(|name| name.as_bytes() == key) {
                continue;
            }
            start(out);
            out.push(b'"');
            out.extend_from_slice(body);
            out.extend_from_slice(b"\":");
            match item {
                Some(item) => {
                    write(item, out);
                    done[item] = true;
                }
                None => out.extend_from_slice(value),
            }
        }
    }
    let has_value = || items.iter().map(|item| &item.name).chain(excluded).any(|name| name == "value");
    if record.first() != Some(&b'{') && !has_value() {
        start(out);
        out.extend_from_slice(b"\"value\":");
        out.extend_from_slice(record);
    }
    for (number, item) in items.iter().enumerate().skip(*replacements).filter(|(number, _)| !done[*number]) {
        start(out);
        text::write_string(item.name.as_bytes(), out);
        out.push(b':');
        write(number, out);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
