//! Copies of few bytes: without the call that a copy of any number of bytes takes.
//!
//! Of a few bytes the first and the last ones are copied, each as a whole word; where there are not as many as in both, the
//! words overlap.

/// Appends bytes, of which there are few mostly.
#[inline(always)]
pub(crate) fn push_few(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        1 => out.push(bytes[0]),
        4..8 => push_words::<4>(bytes, out),
        8..16 => push_words::<8>(bytes, out),
        16..=32 => push_words::<16>(bytes, out),
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends bytes, of which there are few mostly, in quotes.
#[inline(always)]
pub(crate) fn push_quoted(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        8..16 => push_quoted_words::<8, 9>(bytes, out),
        16..=32 => push_quoted_words::<16, 17>(bytes, out),
        _ => {
            out.reserve(bytes.len() + 2);
            out.push(b'"');
            push_few(bytes, out);
            out.push(b'"');
        }
    }
}

/// Appends from `N` to `2 * N` bytes in quotes; `M` is `N + 1`.
#[inline(always)]
fn push_quoted_words<const N: usize, const M: usize>(bytes: &[u8], out: &mut Vec<u8>) {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else { return };
    let (mut start, mut end) = ([b'"'; M], [b'"'; M]);
    start[1..].copy_from_slice(first);
    end[..N].copy_from_slice(last);
    out.extend_from_slice(&start);
    out.truncate((out.len() + bytes.len()).saturating_sub(2 * N));
    out.extend_from_slice(&end);
}

/// The first `N` bytes; zeros stand for those that are not there.
#[inline]
pub(crate) fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut first = [0; N];
        first[..bytes.len()].copy_from_slice(bytes);
        first
    })
}

/// Copies bytes, of which there are few mostly, to the start of `to`.
///
/// # Panics
/// If there are more than that has room for.
#[inline(always)]
pub(crate) fn copy_few(bytes: &[u8], to: &mut [u8]) {
    let to = &mut to[..bytes.len()];
    match bytes.len() {
        4..8 => copy_words::<4>(bytes, to),
        8..16 => copy_words::<8>(bytes, to),
        16..=32 => copy_words::<16>(bytes, to),
        _ => to.copy_from_slice(bytes),
    }
}

/// Appends from `N` to `2 * N` bytes.
#[inline(always)]
fn push_words<const N: usize>(bytes: &[u8], out: &mut Vec<u8>) {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else { return };
    out.extend_from_slice(first);
    out.truncate((out.len() + bytes.len()).saturating_sub(2 * N));
    out.extend_from_slice(last);
}

/// Copies from `N` to `2 * N` bytes to as many.
#[inline(always)]
fn copy_words<const N: usize>(bytes: &[u8], to: &mut [u8]) {
    if let (Some(first), Some(to)) = (bytes.first_chunk::<N>(), to.first_chunk_mut()) {
        *to = *first;
    }
    if let (Some(last), Some(to)) = (bytes.last_chunk::<N>(), to.last_chunk_mut()) {
        *to = *last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_are_copied_and_no_others() {
        let bytes: Vec<u8> = (1..100).collect();
        for bytes in (0..=bytes.len()).map(|len| &bytes[..len]) {
            let mut out = vec![200];
            push_few(bytes, &mut out);
            assert_eq!(out, [&[200], bytes].concat());
            push_quoted(bytes, &mut out);
            assert_eq!(out, [&[200], bytes, b"\"", bytes, b"\""].concat());
            let mut to = [0; 101];
            copy_few(bytes, &mut to);
            assert!(to.starts_with(bytes));
            assert!(to[bytes.len()..].iter().all(|&byte| byte == 0));
        }
    }
}
