//! The usual case: fields of an object whose keys come as expected and whose values are short.
//!
//! This loop is where most of the time goes, so that each instruction counts. It goes forward by shortening the slice
//! `rest`, and looks at so many bytes ahead at once that one comparison of lengths does for a whole field: the others
//! fall away as the compiler knows the bounds of what is added. Whatever it does not know it leaves to the walk.

use super::number::short_number;
use super::simd::Kernel;
use super::trie::{EntryId, Trie};
use super::{Cell, Kind};

/// The bytes that a field can need: a quote, 64 of a string, a quote and 32 of the next key's text; or what `past` can
/// be at most, and the text.
const AHEAD: usize = 160;

/// What [`fields`] left to the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// What follows a value.
    After,
    /// The value of the last key.
    Value,
}

/// Reads fields from `at`, where the value of the key `last` begins, while they are as expected. Gives the index where
/// it stopped, and what is left to do there; `last` is the last key that it has read.
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
    let mut entry = trie.entry(*last);
    let left = loop {
        let Some(value) = rest.first_chunk::<AHEAD>() else { break Left::Value };
        if entry.has_node() {
            break Left::Value;
        }
        let start = (block.len() - rest.len()) as u32;
        let past = if value[0] == b'"' {
            let Some(window) = value[1..].first_chunk() else { break Left::Value };
            let stop = kernel.string_stop(window);
            if value.get(1 + stop) != Some(&b'"') {
                break Left::Value;
            }
            row[entry.slot as usize] = Cell::new(Kind::Text, start + 1, stop as u32);
            stop + 2
        } else {
            let mut found = short_number(kernel, value);
            if found.is_none() {
                found = short_literal(value);
            }
            let Some((len, kind)) = found else { break Left::Value };
            row[entry.slot as usize] = Cell::new(kind, start, len as u32);
            len
        };
        let past = past & 127;
        let next = entry.next;
        let (Some(ahead), Some(expected)) = (value[past..].first_chunk(), entries.get(next as usize)) else {
            break Left::Value;
        };
        if !expected.follows(kernel, ahead) {
            rest = &rest[past..];
            break Left::After;
        }
        *last = next;
        entry = expected;
        rest = &rest[past + entry.len as usize..];
    };
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
