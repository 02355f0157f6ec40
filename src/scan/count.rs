//! Counting in values that the scanner found valid: the characters of a string, the elements of an array.

use super::simd::{Half, Kernel, Simd, StructureMasks, Task, Window};
use super::string::escapes;

/// The number of characters that the escapes of a valid string's body are written with beyond the one that each of them
/// stands for. Both halves of a surrogate pair are one; a lone one is one, too.
///
/// ```text
/// body         caf\u00e9\n!   five characters, written with eleven
/// surplus          .....  .   six
/// ```
pub(crate) fn escape_surplus(body: &[u8]) -> usize {
    Simd::detect().run(EscapeSurplus(body))
}

/// The number of elements of a valid array, which is all of the text.
pub(crate) fn count_elements(array: &[u8]) -> usize {
    Simd::detect().run(CountElements(array))
}

/// See [`escape_surplus`].
struct EscapeSurplus<'a>(&'a [u8]);

impl Task for EscapeSurplus<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> usize {
        let body = self.0;
        let mut surplus = 0;
        // 1 if the first byte of the window is escaped, and if it is behind an escape's `u`.
        let (mut carry, mut behind_u) = (0, 0);
        for base in (0..body.len()).step_by(64) {
            let window = &window(body, base);
            let backslashes = kernel.string_masks(window).backslashes;
            let escaped;
            (escaped, carry) = escapes(backslashes, carry);
            let unicode = escaped & kernel.escape_masks(window).unicode;
            surplus += escaped.count_ones() as usize + 4 * unicode.count_ones() as usize;
            let mut surrogates = (unicode << 1 | behind_u) & (same(kernel, window, b'd') | same(kernel, window, b'D'));
            behind_u = unicode >> 63;
            while surrogates != 0 {
                surplus += usize::from(is_pair(&body[base + surrogates.trailing_zeros() as usize..]));
                surrogates &= surrogates - 1;
            }
        }
        surplus
    }
}

/// Whether a high half of a surrogate pair stands before a low one, from the first digit of the high one on.
fn is_pair(digits: &[u8]) -> bool {
    let (high, low) = (digits.get(1), digits.get(4..8));
    matches!(high, Some(b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B'))
        && matches!(low, Some([b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F']))
}

/// See [`count_elements`].
struct CountElements<'a>(&'a [u8]);

impl Task for CountElements<'_> {
    type Output = usize;

    /// Counts the commas that are directly in the array. The nesting is followed from bracket to bracket.
    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> usize {
        let array = self.0;
        let (mut commas, mut depth) = (0, 0usize);
        // 1 if the first byte of the window is escaped, all bits if it is in a string.
        let (mut carry, mut in_string) = (0, 0);
        for base in (0..array.len()).step_by(64) {
            let window = &window(array, base);
            let masks = kernel.string_masks(window);
            let mut quotes = masks.quotes;
            if masks.backslashes | carry != 0 {
                let escaped;
                (escaped, carry) = escapes(masks.backslashes, carry);
                quotes &= !escaped;
            }
            let strings = within_pairs(quotes) ^ in_string;
            in_string = 0u64.wrapping_sub(strings >> 63);
            let StructureMasks { opening, closing, commas: mut left, .. } = kernel.structure_masks(window);
            left &= !strings;
            let mut brackets = (opening | closing) & !strings;
            while brackets != 0 {
                let bracket = brackets & brackets.wrapping_neg();
                commas += commas_at(depth, left & (bracket - 1));
                left &= !(bracket - 1);
                depth = if opening & bracket != 0 { depth + 1 } else { depth.wrapping_sub(1) };
                brackets ^= bracket;
            }
            commas += commas_at(depth, left);
        }
        let is_empty = array.get(1..).is_some_and(|inner| inner.trim_ascii_start() == b"]");
        usize::from(!is_empty) + commas
    }
}

/// The number of commas, if they are directly in the array.
#[inline(always)]
fn commas_at(depth: usize, commas: u64) -> usize {
    commas.count_ones() as usize * usize::from(depth == 1)
}

/// The bytes from `base` on, then spaces.
#[inline(always)]
pub(super) fn window(text: &[u8], base: usize) -> Window {
    let rest = &text[base..];
    match rest.first_chunk() {
        Some(window) => *window,
        None => {
            let mut last = [b' '; 64];
            last[..rest.len()].copy_from_slice(rest);
            last
        }
    }
}

/// A bit for each place where the byte is.
#[inline(always)]
fn same<K: Kernel>(kernel: K, window: &Window, byte: u8) -> u64 {
    let (halves, _): (&[Half], _) = window.as_chunks();
    let all = [byte; 32];
    u64::from(kernel.equal(&halves[1], &all)) << 32 | u64::from(kernel.equal(&halves[0], &all))
}

/// The bits from each odd one that is set up to the next, which is not included: between quotes, the bytes of strings. Bit
/// `i` of the result is the sum of the bits up to `i`, without carry.
#[inline(always)]
pub(super) fn within_pairs(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{json, text};

    fn elements_on_all(array: &[u8]) -> Vec<usize> {
        Simd::all().map(|simd| simd.run(CountElements(array))).collect()
    }

    #[test]
    fn elements_of_odd_arrays() {
        for (array, expected) in [
            ("[]", 0),
            ("[ \t\r]", 0),
            ("[[]]", 1),
            ("[\"\"]", 1),
            ("[\"]\", \"\\\",[\"]", 2),
            ("[{\"a,\":[1,2,{\"b\":{}}],\"c\":3},[4,5],6]", 3),
        ] {
            assert!(elements_on_all(array.as_bytes()).iter().all(|&count| count == expected), "{array}");
        }
    }

    proptest! {
        #[test]
        fn elements_are_counted(
            elements in proptest::collection::vec(
                r#"\[\]|\{\}|-?[0-9]{1,3}|true|"([a-z,\[\]{}:é]|\\\\|\\"|[a-z]{40}){0,4}"|\[1,"x",\[2, 3\]\]|\{"a,":\[\{\}\],"b\\\\":"\]"\}"#,
                0..20,
            ),
            space in " {0,2}",
        ) {
            let array = format!("[{space}{}{space}]", elements.join(&format!("{space},")));
            let expected = json::elements(array.as_bytes()).count();
            prop_assert_eq!(expected, elements.len());
            for count in elements_on_all(array.as_bytes()) {
                prop_assert_eq!(count, expected, "{}", array);
            }
        }

        #[test]
        fn escapes_are_counted(
            body in r#"([a-zé汉]|\\[nt"/\\]|\\u00e9|\\uFFFF|\\ud83d|\\uDE00|\\uDABC|\\ud83D\\ude00|\\uDBFF\\uDFFF|\\udddd|[ud]{1,3}|a{50,70}){0,14}"#,
        ) {
            let expected = text::count_chars(body.as_bytes()) - text::count_unescaped_chars(body.as_bytes());
            for simd in Simd::all() {
                prop_assert_eq!(simd.run(EscapeSurplus(body.as_bytes())), expected, "{:?} {}", simd, body);
            }
        }
    }
}
