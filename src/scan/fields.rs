//! The usual case: fields of an object whose keys come as expected and whose values are short.
//!
//! This loop is where most of the time goes, so that each instruction counts. It goes forward by shortening the slice
//! `rest`, and looks at so many bytes ahead at once that one comparison of lengths does for a whole field: the others
//! fall away as the compiler knows the bounds of what is added. Whatever it does not know it leaves to the walk.

use super::number::short_number;
use super::simd::Kernel;
use super::trie::{EntryId, Trie};
use super::{Cell, Kind};

/// The bytes that a field can need: 63 of text, a quote, 64 of a string, and one behind; rounded up.
const AHEAD: usize = 160;

/// What [`fields`] left to the walk.
pub(super) enum Left {
    /// What follows a value.
    After,
    /// The value of the last key.
    Value,
}

/// Reads fields from `at`, which is the index behind a value (or, minus its lead, of a first key), while they are as
/// expected after the key `last`. Gives the index where it stopped, and what is left to do there.
#[inline(always)]
pub(super) fn fields<K: Kernel>(
    kernel: K,
    block: &[u8],
    at: usize,
    trie: &Trie,
    last: &mut EntryId,
    row: &mut [Cell],
) -> (usize, Left) {
    let entries = trie.entries();
    let mut rest = block.get(at..).unwrap_or_default();
    let mut id = *last;
    let mut next = trie.entry(id).next;
    let left = loop {
        let Some(ahead) = rest.first_chunk::<AHEAD>() else { break Left::After };
        let Some(entry) = entries.get(next as usize) else { break Left::After };
        let Some(half) = ahead.first_chunk() else { break Left::After };
        if !entry.follows(kernel, half) {
            break Left::After;
        }
        id = next;
        next = entry.next;
        let text = entry.len as usize & 63;
        let value = &ahead[text..];
        let past = if entry.node_below() {
            None
        } else if value[0] == b'"' {
            let stop = value[1..].first_chunk().map_or(64, |window| kernel.string_stop(window));
            if stop < 64 && value[1 + stop] == b'"' {
                let start = block.len() - rest.len() + text + 1;
                row[entry.slot as usize] = Cell::new(Kind::Text, start as u32, stop as u32);
                Some(stop + 2)
            } else {
                None
            }
        } else if let Some((len, kind)) = short_number(kernel, value).or_else(|| short_literal(value)) {
            let start = block.len() - rest.len() + text;
            row[entry.slot as usize] = Cell::new(kind, start as u32, len as u32);
            Some(len)
        } else {
            None
        };
        match past {
            Some(len) => rest = &rest[text + len..],
            None => {
                rest = &rest[text..];
                break Left::Value;
            }
        }
    };
    *last = id;
    (block.len() - rest.len(), left)
}

/// The length and the kind of the `true`, `false` or `null` that `text` begins with.
#[inline(always)]
fn short_literal(text: &[u8]) -> Option<(usize, Kind)> {
    match text.first_chunk()? {
        b"true" => Some((4, Kind::True)),
        b"null" => Some((4, Kind::Null)),
        b"fals" => (text.get(4) == Some(&b'e')).then_some((5, Kind::False)),
        _ => None,
    }
}
