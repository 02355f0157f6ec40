//! Numbers: reading them from JSON text, and writing them.
//!
//! Most numbers of real records are short (`3`, `11.59`), so both readers load up to eight characters into one machine
//! word, right-aligned and padded with `'0'`, and convert all of them at once: three multiplications sum neighbours in
//! pairs, then fours, then eights. A decimal point is taken out of the word by moving the bytes before it by one place.
//! A short decimal is its digits divided by a power of ten. Where both are exact as f64 (digits below 2^53, powers up to
//! 10^22), IEEE division rounds the exact quotient once, which makes the result the nearest float (Clinger, "How to Read
//! Floating Point Numbers Accurately", 1990).

use std::num::IntErrorKind;

use super::{Value, Wide, push_few};

impl<'a> Value<'a> {
    /// The float nearest to a number; [`None`] of anything else, numbers beyond 128-bit integers and finite floats included.
    #[inline]
    pub fn to_float(self) -> Option<f64> {
        Some(match self {
            Value::Int(value) => value as f64,
            Value::Wide(value) => value.get() as f64,
            Value::Float(value) => value,
            Value::Decimal(value) => value.to_float(),
            _ => return None,
        })
    }

    /// Reads the text of a JSON number. Integers are exact, other numbers are rounded to the nearest float, and what is
    /// beyond both keeps its text. `-0` is the integer 0, `-0.0` the float. A text that is no number is NULL.
    ///
    /// ```
    /// use foldl::value::Value;
    /// assert!(matches!(Value::number(b"42"), Value::Int(42)));
    /// assert!(matches!(Value::number(b"1.50"), Value::Float(1.5)));
    /// assert!(matches!(Value::number(b"1e999"), Value::Huge(b"1e999")));
    /// ```
    #[inline]
    pub fn number(text: &'a [u8]) -> Value<'a> {
        match parse_int(text) {
            Some(value) => Value::Int(value),
            None => Value::long_number(text),
        }
    }

    fn long_number(text: &'a [u8]) -> Value<'a> {
        if !has_integer_spelling(text) {
            return match parse_float(text) {
                Some(value) => Value::Float(value),
                None if fast_float2::parse::<f64, _>(text).is_ok() => Value::Huge(text),
                None => Value::Null,
            };
        }
        match std::str::from_utf8(text).unwrap_or_default().parse::<i128>() {
            Ok(value) => Value::integer(value),
            Err(error) => match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Value::Huge(text),
                _ => Value::Null,
            },
        }
    }

    /// An integer in its narrowest form: [`Int`](Value::Int) if it fits 64 bits, else [`Wide`](Value::Wide).
    #[inline]
    pub fn integer(value: i128) -> Value<'a> {
        match i64::try_from(value) {
            Ok(value) => Value::Int(value),
            Err(_) => Value::Wide(Wide::new(value)),
        }
    }

    /// Whether the value is written as a whole: an integer without fraction and exponent, or a date without time of day.
    ///
    /// It is one of the [`Spelling`](super::Spelling)s.
    #[inline]
    pub fn is_integer_spelling(self) -> bool {
        match self {
            Value::Int(_) | Value::Wide(_) | Value::Date(_) => true,
            Value::Huge(text) => has_integer_spelling(text),
            _ => false,
        }
    }
}

/// Reads the text of a JSON number that is spelt as an integer and fits 64 bits; else [`None`].
///
/// The text must be a valid JSON number; of other texts some are read as if they were.
#[inline]
pub fn parse_int(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => {
            let magnitude = parse_natural(digits)?;
            (magnitude <= i64::MIN.unsigned_abs()).then_some((magnitude as i64).wrapping_neg())
        }
        digits => i64::try_from(parse_natural(digits)?).ok(),
    }
}

/// Reads the text of any JSON number as the nearest float (ties to even); [`None`] if that is not finite.
///
/// The text must be a valid JSON number; of other texts some are read as if they were.
#[inline]
pub fn parse_float(text: &[u8]) -> Option<f64> {
    match parse_short_float(text) {
        Some(value) => Some(value),
        None => parse_long_float(text),
    }
}

/// Appends an integer.
#[inline]
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    if (0..10).contains(&value) {
        return out.push(b'0' + value as u8);
    }
    push_few(itoa::Buffer::new().format(value).as_bytes(), out);
}

/// Appends an integer.
pub fn write_wide(value: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a finite float: the shortest decimal that reads back as the same float, always with a `.` or an exponent, so
/// that it also reads back *as* a float. From 10^-5 up to below 10^16 there is no exponent (`1.0`, `0.00001`,
/// `1000000000000000.0`), beyond there is one (`1e-6`, `1.5e16`). A value that is not finite is a bug of the caller, and
/// written as `null`.
#[inline]
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    debug_assert!(value.is_finite());
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let mut buffer = zmij::Buffer::new();
    match buffer.format_finite(value).as_bytes() {
        // The writer's `1e+300` has a plus sign that says nothing. The exponent has two or three digits there.
        [head @ .., b'+', a, b] => {
            out.extend_from_slice(head);
            out.extend_from_slice(&[*a, *b]);
        }
        [head @ .., b'+', a, b, c] => {
            out.extend_from_slice(head);
            out.extend_from_slice(&[*a, *b, *c]);
        }
        text => out.extend_from_slice(text),
    }
}

/// Whether the text of a JSON number has neither fraction nor exponent.
pub(super) fn has_integer_spelling(text: &[u8]) -> bool {
    memchr::memchr3(b'.', b'e', b'E', text).is_none()
}

/// The greatest magnitude up to which all integers are exact as f64.
pub(crate) const MAX_EXACT: u64 = 1 << 53;

/// The powers of ten that are exact as f64.
pub(crate) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The fast path of [`parse_float`]; [`None`] where the text is not a short decimal.
#[inline]
fn parse_short_float(text: &[u8]) -> Option<f64> {
    // Of longer ones the digits are seldom exact as a float.
    if text.len() > 18 {
        return None;
    }
    let (negative, mantissa, places) = short_decimal(text)?;
    if mantissa > MAX_EXACT {
        return None;
    }
    let value = mantissa as f64 / POWERS.get(places)?;
    Some(if negative { -value } else { value })
}

/// The sign, the digits and the number of digits after the point of a JSON number without exponent, if it is short.
#[inline]
pub(super) fn short_decimal(text: &[u8]) -> Option<(bool, u64, usize)> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mantissa, places) = if digits.len() <= 8 { parse_word(load(digits)? ^ ZEROS)? } else { parse_digits(digits)? };
    Some((negative, mantissa, places))
}

#[cold]
#[inline(never)]
fn parse_long_float(text: &[u8]) -> Option<f64> {
    fast_float2::parse::<f64, _>(text).ok().filter(|value| value.is_finite())
}

/// The digits of a decimal of 1 to 8 characters, loaded and XORed with zeros, and how many of them follow the decimal
/// point: at most 7.
#[inline(always)]
fn parse_word(digits: u64) -> Option<(u64, usize)> {
    let others = not_digits(digits);
    if others == 0 {
        return Some((sum_digits(digits), 0));
    }
    // The lowest byte is the leftmost character. A point at the right end is no JSON.
    let shift = others.trailing_zeros() & !7;
    if shift == 56 || others & (others - 1) != 0 || (digits >> shift) as u8 != b'.' ^ b'0' {
        return None;
    }
    let before = digits & ((1 << shift) - 1);
    let after = digits >> (shift + 8) << (shift + 8);
    Some((sum_digits(after | before << 8), 7 - shift as usize / 8))
}

/// The digits of a decimal without exponent, and how many of them follow the decimal point.
#[inline]
fn parse_digits(text: &[u8]) -> Option<(u64, usize)> {
    if text.len() > 20 {
        return None;
    }
    let Some(point) = text.iter().position(|&byte| byte == b'.') else {
        return Some((parse_natural(text)?, 0));
    };
    let (whole, fraction) = (&text[..point], &text[point + 1..]);
    let scale = 10u64.checked_pow(fraction.len() as u32)?;
    let mantissa = parse_natural(whole)?.checked_mul(scale)?.checked_add(parse_natural(fraction)?)?;
    Some((mantissa, fraction.len()))
}

/// Reads 1 to 19 digits.
#[inline]
fn parse_natural(digits: &[u8]) -> Option<u64> {
    if digits.len() <= 8 {
        return parse_eight(digits);
    }
    if digits.len() > 19 {
        return None;
    }
    let (head, tail) = digits.split_at(digits.len() - 8);
    let head = match head.len() {
        0..=8 => parse_eight(head)?,
        len => parse_eight(&head[..len - 8])? * 100_000_000 + parse_eight(&head[len - 8..])?,
    };
    Some(head * 100_000_000 + parse_eight(tail)?)
}

/// Reads 1 to 8 digits.
#[inline]
fn parse_eight(digits: &[u8]) -> Option<u64> {
    let digits = load(digits)? ^ ZEROS;
    (not_digits(digits) == 0).then(|| sum_digits(digits))
}

pub(super) const ZEROS: u64 = u64::from_le_bytes(*b"00000000");

/// Loads 1 to 8 characters, the last one into the highest byte, with `'0'` in the bytes that are left.
#[inline]
pub(super) fn load(text: &[u8]) -> Option<u64> {
    let len = text.len();
    let word = match text {
        [a, b, c, d, ..] if len <= 8 => {
            // The two loads overlap, and agree where they do.
            let [.., w, x, y, z] = text else { return None };
            let first = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
            let last = u64::from(u32::from_le_bytes([*w, *x, *y, *z]));
            first << (64 - 8 * len) | last << 32
        }
        [a, b, c] => u64::from(*a) << 40 | u64::from(*b) << 48 | u64::from(*c) << 56,
        [a, b] => u64::from(*a) << 48 | u64::from(*b) << 56,
        [a] => u64::from(*a) << 56,
        _ => return None,
    };
    Some(word | ZEROS.checked_shr(8 * len as u32).unwrap_or(0))
}

/// The digits of a decimal of 1 to 8 characters that ends with the text, and how many of them are behind its point. [`None`]
/// if it has other characters, or too many or none.
#[inline(always)]
pub(crate) fn short_decimal_of(text: &[u8; 8], len: usize) -> Option<(u64, usize)> {
    let others = 8_usize.wrapping_sub(len);
    if others >= 8 {
        return None;
    }
    parse_word((u64::from_le_bytes(*text) ^ ZEROS) >> (8 * others) << (8 * others))
}

/// The high bit of each byte that is not 0 to 9. With several such bytes only the lowest is sure to be right.
#[inline(always)]
fn not_digits(digits: u64) -> u64 {
    (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080
}

/// The number that eight bytes of 0 to 9 make, the lowest byte being the first digit.
#[inline(always)]
fn sum_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(1 + (10 << 8)) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(1 + (100 << 16)) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(1 + (10_000 << 32)) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write_float(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The naive twin of [`Value::number`].
    fn agrees(text: &str) {
        let value = Value::number(text.as_bytes());
        if text.contains(['.', 'e', 'E']) {
            let float: f64 = text.parse().unwrap();
            assert_eq!(parse_int(text.as_bytes()), None, "{text}");
            match value {
                Value::Float(value) => assert_eq!(value.to_bits(), float.to_bits(), "{text}"),
                Value::Huge(huge) => assert!(huge == text.as_bytes() && !float.is_finite(), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        } else if let Ok(int) = text.parse::<i64>() {
            assert!(matches!(value, Value::Int(value) if value == int), "{text}: {value:?}");
            assert_eq!(parse_int(text.as_bytes()), Some(int));
        } else if let Ok(wide) = text.parse::<i128>() {
            assert!(matches!(value, Value::Wide(value) if value.get() == wide), "{text}: {value:?}");
            assert_eq!(parse_int(text.as_bytes()), None);
        } else {
            assert!(matches!(value, Value::Huge(huge) if huge == text.as_bytes()), "{text}: {value:?}");
            assert_eq!(parse_int(text.as_bytes()), None);
        }
        let float: f64 = text.parse().unwrap();
        let read = parse_float(text.as_bytes());
        assert_eq!(read.map(f64::to_bits), float.is_finite().then_some(float.to_bits()), "{text}");
        assert_eq!(value.is_integer_spelling(), !text.contains(['.', 'e', 'E']));
        let json: serde_json::Number = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(_) => return assert!(!float.is_finite(), "{text}"),
        };
        // serde_json rounds with an error of its own in rare cases, so only its idea of integers is compared.
        if let (Value::Int(value), Some(int)) = (value, json.as_i64()) {
            assert_eq!(value, int);
        }
    }

    #[test]
    fn numbers_at_the_edges() {
        for text in [
            "0",
            "-1",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "170141183460469231731687303715884105727",
            "170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105729",
            "11.59",
            "-11.59",
            "0.1",
            "-0.0",
            "9007199254740993.0",
            "900719925474099.3",
            "90071992547409.93",
            "0.00000000000000000000001",
            "1e22",
            "1e23",
            "1E-7",
            "1.7976931348623157e308",
            "1.7976931348623159e308",
            "4.9e-324",
            "2.4e-324",
            "1e999",
            "-1e999",
            "1e-999",
            "0e99999999999999999999",
            "0.0e-99999999999999999999",
            "1e-99999999999999999999",
            "1e99999999999999999999",
            "123456789012345678901234567890.5",
        ] {
            agrees(text);
        }
        assert!(matches!(Value::number(b"-0"), Value::Int(0)));
        assert!(matches!(Value::number(b"-0.0"), Value::Float(zero) if zero.is_sign_negative()));
    }

    #[test]
    fn what_is_no_number_does_not_panic() {
        for text in [&b""[..], b"-", b".", b"abc", b"1.", b"nan", b"inf", b"\xff\xff", b"--1", b"1-", b"..", b"1.2.3"] {
            let _ = (Value::number(text), parse_int(text), parse_float(text));
        }
        assert!(matches!(Value::number(b"null"), Value::Null));
    }

    #[test]
    fn floats_are_written_as_pinned() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (11.59, "11.59"),
            (0.00001, "0.00001"),
            (0.000001, "1e-6"),
            (1.5e-7, "1.5e-7"),
            (1e15, "1000000000000000.0"),
            (9007199254740993.0, "9007199254740992.0"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e16, "1e16"),
            (1.5e16, "1.5e16"),
            (-1.25e99, "-1.25e99"),
            (1e100, "1e100"),
            (1e300, "1e300"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn integers_agree_with_std(text in "-?(0|[1-9][0-9]{0,45})") {
            if text != "-0" {
                agrees(&text);
            }
        }

        #[test]
        fn floats_agree_with_std(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?") {
            if text != "-0" {
                agrees(&text);
            }
        }

        #[test]
        fn short_decimals_agree_with_std(text in "-?(0|[1-9][0-9]{0,7})\\.[0-9]{1,8}") {
            agrees(&text);
        }

        #[test]
        fn floats_round_trip(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let text = written(value);
                prop_assert!(text.contains(['.', 'e']), "{}", text);
                prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok(), "{}", text);
                prop_assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), Some(bits));
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'.'), b'0'..=b'9'], 0..24)) {
            let _ = (Value::number(&text), parse_int(&text), parse_float(&text));
        }

        #[test]
        fn integers_round_trip(value in any::<i128>(), small in any::<i64>()) {
            let mut out = Vec::new();
            write_wide(value, &mut out);
            prop_assert_eq!(out, value.to_string().into_bytes());
            let mut out = Vec::new();
            write_int(small, &mut out);
            prop_assert_eq!(parse_int(&out), Some(small));
        }
    }
}
