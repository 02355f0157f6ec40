//! Records with some keys replaced or added: `select *, x as a`.

use bumpalo::Bump;

use crate::value::{json, text};

/// Writes a record as it stands, save that the keys `names` get new values: in place where the record has them, at
/// its end otherwise. A record that is no object becomes the key `value`. `write` writes the value of a name.
pub fn write_extended(
    line: &[u8],
    names: &[&str],
    arena: &Bump,
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, &mut Vec<u8>),
) {
    let mut done = vec![false; names.len()];
    let mut separator = b'{';
    let mut start = |out: &mut Vec<u8>| out.push(std::mem::replace(&mut separator, b','));
    let record = line.trim_ascii();
    if record.first() == Some(&b'{') {
        for (body, escaped, value) in json::entries(record) {
            let key = json::key_text(body, escaped, arena);
            let replaced = names.iter().position(|name| name.as_bytes() == key);
            // Of a key that is there twice only the new value stays.
            if replaced.is_some_and(|name| done[name]) {
                continue;
            }
            start(out);
            out.push(b'"');
            out.extend_from_slice(body);
            out.extend_from_slice(b"\":");
            match replaced {
                Some(name) => {
                    write(name, out);
                    done[name] = true;
                }
                None => out.extend_from_slice(value),
            }
        }
    }
    if record.first() != Some(&b'{') && !names.contains(&"value") {
        start(out);
        out.extend_from_slice(b"\"value\":");
        out.extend_from_slice(record);
    }
    for (name, _) in done.iter().enumerate().filter(|(_, done)| !**done) {
        start(out);
        text::write_string(names[name].as_bytes(), out);
        out.push(b':');
        write(name, out);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}
