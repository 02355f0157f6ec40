//! Records with some keys replaced or added: `select *, x as a`.

use bumpalo::Bump;

use crate::value::{json, text};

/// What is different from a record.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'c> {
    /// The keys that get new values: in place where the record has them, at its end otherwise.
    pub names: &'c [&'c str],
    /// How many of them, the first ones, are left out where the record does not have them.
    pub replacements: usize,
    /// The keys that are left out.
    pub excluded: &'c [String],
}

/// Writes records as they stand as one, save for some keys; of a key that several records have the first one's stays. A
/// record that is no object becomes the key `value`. `write` writes the new value of the key of a number.
pub fn write_extended<'a>(
    records: &[&'a [u8]],
    changes: Changes,
    arena: &'a Bump,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>),
) {
    let Changes { names, replacements, excluded } = changes;
    let mut done = vec![false; names.len()];
    let mut separator = b'{';
    let mut start = |out: &mut Vec<u8>| out.push(std::mem::replace(&mut separator, b','));
    let mut seen: Vec<&[u8]> = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let record = record.trim_ascii();
        let before = seen.len();
        for (body, escaped, value) in json::entries(record) {
            let key = json::key_text(body, escaped, arena);
            let item = names.iter().position(|name| name.as_bytes() == key);
            // Of a key that is there twice only the new value stays.
            let is_done = item.is_some_and(|item| done[item]) || seen[..before].contains(&key);
            if is_done || item.is_none() && excluded.iter().any(|name| name.as_bytes() == key) {
                continue;
            }
            if number + 1 < records.len() {
                seen.push(key);
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
        let has_value = || names.contains(&"value") || excluded.iter().any(|name| name == "value");
        if !record.is_empty()
            && record.first() != Some(&b'{')
            && !has_value()
            && !seen[..before].contains(&&b"value"[..])
        {
            if number + 1 < records.len() {
                seen.push(b"value");
            }
            start(out);
            out.extend_from_slice(b"\"value\":");
            out.extend_from_slice(record);
        }
    }
    for (number, name) in names.iter().enumerate().skip(replacements).filter(|(number, _)| !done[*number]) {
        start(out);
        text::write_string(name.as_bytes(), out);
        out.push(b':');
        write(number, out);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
