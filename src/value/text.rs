//! Text: decoding the bodies of JSON strings, writing strings, and the odd case of surrogates.
//!
//! JSON can escape one half of a surrogate pair alone (`"\ud83d"`), which is no Unicode character. Such a half is kept as
//! the three bytes that UTF-8 would have for it (WTF-8, <https://simonsapin.github.io/wtf-8/>), so that it is written as
//! it was read. For text to have one spelling only, a high half that is directly followed by a low half is always joined
//! to the character they stand for: [`unescape`] and [`push_wtf8`] see to that.

use std::borrow::Cow;

use bumpalo::Bump;

use super::number::{ZEROS, load};
use super::push_quoted;

/// Decodes the body of a valid JSON string, which is what stands between its quotes. A body without escapes is returned
/// as it is. What is no valid escape stays as it is.
///
/// ```
/// let arena = bumpalo::Bump::new();
/// assert_eq!(foldl::value::text::unescape(br"caf\u00e9", &arena), "café".as_bytes());
/// ```
pub fn unescape<'a>(body: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memchr(b'\\', body).is_none() {
        return body;
    }
    // No escape is shorter than what it stands for.
    let mut text = bumpalo::collections::Vec::with_capacity_in(body.len(), arena);
    unescape_with(body, |piece| text.extend_from_slice_copy(piece));
    text.shrink_to_fit();
    text.into_bump_slice()
}

/// Whether the body of a valid JSON string, once decoded, is `text`.
pub fn unescapes_to(body: &[u8], text: &[u8]) -> bool {
    let mut rest = Some(text);
    unescape_with(body, |piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
    rest.is_some_and(<[u8]>::is_empty)
}

/// The number of characters of a text; a lone surrogate is one.
pub fn count_chars(text: &[u8]) -> usize {
    // Bytes that begin a character. In runs that a byte can count, which the compiler makes vector code of.
    let starts = |run: &[u8]| run.iter().map(|&byte| u8::from(byte as i8 >= -0x40)).sum::<u8>();
    text.chunks(128).map(|run| usize::from(starts(run))).sum()
}

/// The number of characters of the body of a valid JSON string once it is decoded; a lone surrogate is one.
pub fn count_unescaped_chars(body: &[u8]) -> usize {
    let mut count = count_chars(body);
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &body[at..]) {
        at += found;
        let unit = |at: usize| match body.get(at..at + 3) {
            Some([b'\\', b'u', first]) => Some((first | 0x20, body.get(at + 3).map_or(0, |second| second | 0x20))),
            _ => None,
        };
        let len = match unit(at) {
            None => 2,
            Some((b'd', b'8'..=b'9' | b'a'..=b'b')) if matches!(unit(at + 6), Some((b'd', b'c'..=b'f'))) => 12,
            Some(_) => 6,
        };
        // What is escaped is one character, written as `len` ASCII ones.
        count -= len - 1;
        at += len;
    }
    count
}

/// Appends a text as a JSON string, quotes included. Only what JSON requires is escaped.
#[inline(never)]
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    if any_word(text, special_bytes) {
        return write_escaped(text, out);
    }
    push_quoted(text, out);
}

#[cold]
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    out.push(b'"');
    while let Some(at) = find_special(rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + escape(&rest[at..], out)..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A text as Unicode: each lone surrogate becomes one U+FFFD.
pub fn lossy(text: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = simdutf8::basic::from_utf8(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = (0..rest.len()).find(|&at| surrogate(&rest[at..]).is_some()) {
        out.push_str(&String::from_utf8_lossy(&rest[..at]));
        out.push(char::REPLACEMENT_CHARACTER);
        rest = &rest[at + 3..];
    }
    out.push_str(&String::from_utf8_lossy(rest));
    Cow::Owned(out)
}

/// Appends a text to a text. Where the first ends in a high surrogate and the second starts with a low one, they become
/// the character that they stand for. Whatever joins texts (`||`, `concat`, `string_agg`) must join them with this.
#[inline]
pub fn push_wtf8(text: &[u8], out: &mut Vec<u8>) {
    match text {
        [0xed, 0xb0..=0xbf, _, ..] => push_after_surrogate(text, out),
        _ => out.extend_from_slice(text),
    }
}

#[cold]
fn push_after_surrogate(text: &[u8], out: &mut Vec<u8>) {
    let halves = (out.last_chunk::<3>().and_then(|high| surrogate(high)), surrogate(text));
    if let (Some(high @ 0xd800..=0xdbff), Some(low)) = halves {
        out.truncate(out.len() - 3);
        out.extend_from_slice(encode(join(high, low), &mut [0; 4]));
        out.extend_from_slice(&text[3..]);
    } else {
        out.extend_from_slice(text);
    }
}

/// Hands the decoded text of a string's body to `sink`, piece by piece.
fn unescape_with(body: &[u8], mut sink: impl FnMut(&[u8])) {
    let mut rest = body;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        if at > 0 {
            sink(&rest[..at]);
        }
        rest = &rest[at..];
        let plain = match rest.get(1) {
            Some(b'n') => b"\n",
            Some(b't') => b"\t",
            Some(b'r') => b"\r",
            Some(b'b') => b"\x08",
            Some(b'f') => b"\x0c",
            Some(b'u') => {
                let (len, code) = unicode_escape(rest);
                match code {
                    Some(code) => sink(encode(code, &mut [0; 4])),
                    None => sink(&rest[..len]),
                }
                rest = &rest[len..];
                continue;
            }
            Some(b'"') => b"\"",
            Some(b'/') => b"/",
            Some(b'\\') => b"\\",
            _ => {
                sink(b"\\");
                rest = &rest[1..];
                continue;
            }
        };
        sink(plain);
        rest = &rest[2..];
    }
    if !rest.is_empty() {
        sink(rest);
    }
}

/// The length of the escape that `text` starts with, and its code point. Two escapes of a surrogate pair are one.
fn unicode_escape(text: &[u8]) -> (usize, Option<u32>) {
    match (code_unit(text), text.get(6..).and_then(code_unit)) {
        (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => (12, Some(join(high, low))),
        (Some(unit), _) => (6, Some(unit)),
        (None, _) => (1, None),
    }
}

/// The code unit of a `\uXXXX` that `text` starts with.
fn code_unit(text: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text else { return None };
    digits.first_chunk::<4>()?.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// The code point of a surrogate pair.
fn join(high: u32, low: u32) -> u32 {
    0x10000 + ((high & 0x3ff) << 10 | low & 0x3ff)
}

/// The lone surrogate whose three bytes `text` starts with.
fn surrogate(text: &[u8]) -> Option<u32> {
    match text {
        [0xed, middle @ 0xa0..=0xbf, last @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u32::from(middle & 0x3f) << 6 | u32::from(last & 0x3f))
        }
        _ => None,
    }
}

/// A code point, or a surrogate, as UTF-8 does it.
fn encode(code: u32, buffer: &mut [u8; 4]) -> &[u8] {
    match char::from_u32(code) {
        Some(char) => char.encode_utf8(buffer).as_bytes(),
        None => {
            *buffer = [0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8, 0];
            &buffer[..3]
        }
    }
}

pub(super) const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether `found` is not 0 for any eight bytes of the text. A text shorter than that is padded with `'0'`.
#[inline(always)]
pub(super) fn any_word(text: &[u8], found: impl Fn(u64) -> u64) -> bool {
    let words = text.as_chunks().0.iter().fold(0, |all, word| all | found(u64::from_le_bytes(*word)));
    let last = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last),
        None => load(text).unwrap_or(ZEROS),
    };
    words | found(last) != 0
}

/// A high bit for some of the bytes that are special, at least one if there are any, and none if there are none. Special
/// are those that need an escape, or start a character that may be a surrogate.
#[inline(always)]
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let equal = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    // With this bit turned over, what is below 0x21 are the control characters and the quote.
    (below(word ^ (EACH * 2), 0x21) | equal(b'\\') | equal(0xed)) & HIGH_BITS
}

/// The first byte that is special.
fn find_special(text: &[u8]) -> Option<usize> {
    let is_special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\' || byte == 0xed;
    let words = text.as_chunks().0;
    let clean = 8 * words.iter().take_while(|word| special_bytes(u64::from_le_bytes(**word)) == 0).count();
    text[clean..].iter().position(is_special).map(|at| clean + at)
}

/// Appends the character that `text` starts with, which is special, and returns its length.
fn escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    let hex = |digit: u32| b"0123456789abcdef"[digit as usize & 15];
    let unit = match text[0] {
        b'"' => return push_escape(b"\\\"", out),
        b'\\' => return push_escape(b"\\\\", out),
        b'\n' => return push_escape(b"\\n", out),
        b'\r' => return push_escape(b"\\r", out),
        b'\t' => return push_escape(b"\\t", out),
        0x08 => return push_escape(b"\\b", out),
        0x0c => return push_escape(b"\\f", out),
        control @ ..0x20 => u32::from(control),
        other => match surrogate(text) {
            Some(unit) => unit,
            None => {
                out.push(other);
                return 1;
            }
        },
    };
    out.extend_from_slice(&[b'\\', b'u', hex(unit >> 12), hex(unit >> 8), hex(unit >> 4), hex(unit)]);
    if unit < 0x20 { 1 } else { 3 }
}

fn push_escape(escape: &[u8; 2], out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(escape);
    1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescaped(body: &str) -> Vec<u8> {
        unescape(body.as_bytes(), &Bump::new()).to_vec()
    }

    fn written(text: &[u8]) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(unescaped(r#"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC"#), "\"\\/\x08\x0c\n\r\tAé€".as_bytes());
        assert_eq!(unescaped(r"\ud83d\ude00"), "😀".as_bytes());
        assert_eq!(unescaped(r"x\u0000y"), b"x\0y");
        // A pair in the wrong order, a half before a character, a half at the end, a half before a whole pair.
        assert_eq!(unescaped(r"\ude00\ud83d"), b"\xed\xb8\x80\xed\xa0\xbd");
        assert_eq!(unescaped(r"\ud83dx"), b"\xed\xa0\xbdx");
        assert_eq!(unescaped(r"\ud83d"), b"\xed\xa0\xbd");
        assert_eq!(unescaped(r"\ud83d\u0041"), b"\xed\xa0\xbdA");
        assert_eq!(unescaped(r"\ud83d\ud83d\ude00"), [b"\xed\xa0\xbd", "😀".as_bytes()].concat());
    }

    proptest! {
        #[test]
        fn characters_are_counted(
            body in r#"([a-zé汉😀]|\\[nt"/\\]|\\u00e9|\\uFFFF|\\ud83d|\\uDE00|\\ud83D\\ude00|a{120}){0,12}"#,
        ) {
            let decoded = unescaped(&body);
            let expected = lossy(&decoded).chars().count();
            prop_assert_eq!(count_chars(&decoded), expected);
            prop_assert_eq!(count_unescaped_chars(body.as_bytes()), expected);
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescaped(r"\x\u12\uzzzz\"), br"\x\u12\uzzzz\");
    }

    #[test]
    fn strings_are_written_with_the_fewest_escapes() {
        assert_eq!(
            written("a\"\\\x08\x0c\n\r\t\x01\x1f\x7f/é😀하퀀".as_bytes()),
            "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/é😀하퀀\""
        );
        assert_eq!(written(b"\xed\xa0\xbdx\xed\xb8\x80"), r#""\ud83dx\ude00""#);
    }

    #[test]
    fn surrogates_read_as_one_replacement_each() {
        assert_eq!(lossy(b"a\xed\xa0\xbd\xed\xa0\xbdb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(lossy("é하".as_bytes()), "é하");
        assert_eq!(lossy(b"\xff\xed\xb8\x80"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn joined_halves_become_a_character() {
        let join = |a: &[u8], b: &[u8]| {
            let mut out = a.to_vec();
            push_wtf8(b, &mut out);
            out
        };
        assert_eq!(join(b"x\xed\xa0\xbd", b"\xed\xb8\x80y"), "x😀y".as_bytes());
        assert_eq!(join(b"\xed\xb8\x80", b"\xed\xa0\xbd"), b"\xed\xb8\x80\xed\xa0\xbd");
        assert_eq!(join(b"\xed\xb8\x80", b"\xed\xb8\x80"), b"\xed\xb8\x80\xed\xb8\x80");
        assert_eq!(join(b"", b"\xed\xb8\x80"), b"\xed\xb8\x80");
        assert_eq!(join("é".as_bytes(), b"b"), "éb".as_bytes());
    }

    /// Any sequence of code units, as WTF-8 and as the body of a string with every unit escaped.
    fn naive(units: &[u16]) -> (Vec<u8>, String) {
        let mut text = Vec::new();
        for unit in char::decode_utf16(units.iter().copied()) {
            match unit {
                Ok(char) => text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(error) => {
                    let unit = error.unpaired_surrogate();
                    text.extend_from_slice(&[0xed, (unit >> 6 & 0x3f) as u8 | 0x80, (unit & 0x3f) as u8 | 0x80]);
                }
            }
        }
        (text, units.iter().map(|unit| format!("\\u{unit:04x}")).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn strings_agree_with_serde_json(text in "(?s)([\\x00-\\x7f]|.){0,60}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&written(text.as_bytes()), &json);
            let arena = Bump::new();
            prop_assert_eq!(unescape(&json.as_bytes()[1..json.len() - 1], &arena), text.as_bytes());
            prop_assert!(unescapes_to(&json.as_bytes()[1..json.len() - 1], text.as_bytes()));
        }

        #[test]
        fn all_code_units_round_trip(
            units in proptest::collection::vec(prop_oneof![any::<u16>(), 0xd800u16..0xe000, 0u16..0x80], 0..20),
            cut in 0usize..20,
        ) {
            let (text, body) = naive(&units);
            prop_assert_eq!(&unescaped(&body), &text);
            prop_assert!(unescapes_to(body.as_bytes(), &text));
            let json = written(&text);
            prop_assert_eq!(unescaped(&json[1..json.len() - 1]), text.clone());
            prop_assert_eq!(lossy(&text), String::from_utf16_lossy(&units));
            let cut = cut.min(units.len());
            let mut joined = naive(&units[..cut]).0;
            push_wtf8(&naive(&units[cut..]).0, &mut joined);
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn any_bytes_are_taken_without_panic(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\\'), Just(b'u'), Just(0xed)], 0..40)) {
            let arena = Bump::new();
            let _ = (unescape(&text, &arena), lossy(&text), unescapes_to(&text, b"u"));
            write_string(&text, &mut Vec::new());
            push_wtf8(&text, &mut text.clone());
        }
    }
}
