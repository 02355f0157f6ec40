//! Values as bytes that sort as the values do: the keys of groups, joins and sorts.
//!
//! Keys of several columns are the encodings one after the other. No encoding is the start of another, so `memcmp` of
//! such keys compares column by column, as [`compare`](super::order::compare) does, and keys are equal exactly if all
//! values are. What is equal but spelt differently (`1`, `1.0` and the decimal `1.00`, a date and its midnight) has the
//! same bytes; the spelling is up to the caller, see [`decode`].
//!
//! | value | bytes |
//! | --- | --- |
//! | false, true | `02`, `03` |
//! | number from -2^127 to below 2^127 | `04`, float (8), rest |
//! | number from 2^127 | `04 FF F0 00 00 00 00 00 00`, natural, digits (ASCII), `00` |
//! | number below -2^127 | `04 00 0F FF FF FF FF FF FF`, then as above with all bits inverted |
//! | date, timestamp | `05`, days since 1970-01-01 + 2^31 (4, big-endian), natural |
//! | text | `06`, string |
//! | array | `07`, the elements' encodings, `00` |
//! | object | `08`, for each entry in order of keys `06`, string (the key), the value's encoding; `00` |
//! | interval | `09`, its microseconds (16, big-endian) with the sign bit inverted, as if a month had 30 days |
//! | NULL | `FF` |
//!
//! - *natural*: the number of bytes that follow (1), and that many bytes, big-endian, without leading zeros.
//! - *string*: the bytes, with `00` as `01 01` and `01` as `01 02`; `00`.
//! - *float*: the largest float that is not above the number, big-endian, with the sign bit inverted if it is positive,
//!   else with all bits inverted; 0 is never negative.
//! - *rest*: what the number is above that float, which is nothing but for some integers beyond 2^53 and for decimals.
//!   Nothing is `00`. Else it is a natural with its first byte greater by 1, which is how much the whole part of the
//!   number is above the float, and 0 where that has a fraction itself; the digits after the point of the number less its
//!   whole part, which is the greatest integer that is not above it, two in a byte, each byte greater by 1, without zeros
//!   at the end; `00`.
//! - The digits and the natural before them are those of ±0.d₁d₂…dₙ × 10^natural, where d₁ and dₙ are not 0. The eight
//!   bytes before that are the infinities, as *float* has them.
//! - In a date or timestamp the natural is the microseconds since midnight UTC.
//! - An array or an object at level 128 is `07` or `08` and its JSON text as a string. No other byte string decodes to it,
//!   as the level is known.
//!
//! In descending keys all bits are inverted, but NULL stays `FF`, and so comes last.

use bumpalo::Bump;

use super::json::{elements, is_array, sorted_entries, write_json};
use super::number::POWERS;
use super::order::{MAX_DEPTH, is_beyond_integers};
use super::push_few;
use super::scientific::Scientific;
use super::text::{HIGH_BITS, any_word, write_string};
use super::time::MICROS_PER_DAY;
use super::{Date, Decimal, Interval, Spelling, Timestamp, Value, power};

const END: u8 = 0x00;
const ESCAPE: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const NUMBER: u8 = 0x04;
const TEMPORAL: u8 = 0x05;
const TEXT: u8 = 0x06;
const ARRAY: u8 = 0x07;
const OBJECT: u8 = 0x08;
const INTERVAL: u8 = 0x09;
const NULL: u8 = 0xff;

/// The longest integer inside an array or object that is decoded to plain digits, longer ones have an exponent.
const MAX_NESTED_DIGITS: i128 = 400;
/// The longest integer that is decoded to plain digits. No line of an input can hold a longer one.
const MAX_DIGITS: i128 = 1 << 28;

/// Appends the encoding of a value.
///
/// ```
/// use foldl::value::{Value, key};
/// let (mut a, mut b) = (Vec::new(), Vec::new());
/// key::encode(Value::Int(2), &mut a);
/// key::encode(Value::Float(10.5), &mut b);
/// assert!(a < b);
/// ```
#[inline]
pub fn encode(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Int(value) if value.unsigned_abs() <= 1 << 53 => encode_float(value as f64, out),
        Value::Float(value) if !is_beyond_integers(value) => encode_float(value, out),
        Value::Text(text) => {
            out.reserve(text.len() + 2);
            out.push(TEXT);
            encode_string(text, out);
        }
        Value::Date(Date(days)) => encode_midnight(days, out),
        _ => encode_any(value, 0, out),
    }
}

/// Appends the encoding of a text without control characters, as one that stands in JSON without escapes is.
#[inline]
pub fn encode_clean_text(text: &[u8], out: &mut Vec<u8>) {
    debug_assert!(text.iter().all(|&byte| byte >= b' '));
    out.reserve(text.len() + 2);
    out.push(TEXT);
    push_few(text, out);
    out.push(END);
}

/// Appends the encoding of a value for a sort in descending order. NULL comes last all the same.
pub fn encode_descending(value: Value<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    encode(value, out);
    if !matches!(value, Value::Null) {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Takes the encoding of one value from the start of `key`. [`None`] if the bytes are no encoding.
///
/// A key does not tell `1` from `1.0`, nor a date from its midnight: `spelling` says which is meant. Arrays and objects come as JSON text without white space, with sorted keys, each once,
/// and with whole numbers spelt as integers. A text is borrowed from the key where possible, else from the arena.
#[inline]
pub fn decode<'a>(key: &mut &'a [u8], spelling: Spelling, arena: &'a Bump) -> Option<Value<'a>> {
    if let Some(text) = decode_last_text(key) {
        return Some(Value::Text(text));
    }
    let (tag, rest) = key.split_first()?;
    *key = rest;
    match *tag {
        TEXT => decode_string(key, arena).map(Value::Text),
        tag => decode_other(tag, key, spelling, arena),
    }
}

/// Takes the encoding of a text if that is all of `key`, and the text stands in it as it is.
#[inline]
pub fn decode_last_text<'a>(key: &mut &'a [u8]) -> Option<&'a [u8]> {
    match *key {
        [TEXT, text @ .., END] if !any_word(text, special_bytes) => {
            *key = &[];
            Some(text)
        }
        _ => None,
    }
}

/// Takes what comes after the tag of a value that is no text.
fn decode_other<'a>(tag: u8, key: &mut &'a [u8], spelling: Spelling, arena: &'a Bump) -> Option<Value<'a>> {
    match tag {
        NULL => Some(Value::Null),
        FALSE => Some(Value::Bool(false)),
        TRUE => Some(Value::Bool(true)),
        NUMBER => decode_number(key, spelling, MAX_DIGITS, arena),
        TEMPORAL => decode_temporal(key, spelling == Spelling::WHOLE),
        INTERVAL => {
            let (micros, rest) = key.split_first_chunk()?;
            *key = rest;
            let micros = (u128::from_be_bytes(*micros) ^ 1 << 127) as i128;
            Interval::from_total_micros(micros).map(Value::Interval)
        }
        ARRAY | OBJECT => {
            let mut text = Vec::new();
            decode_container(tag, key, 0, &mut text, arena)?;
            Some(Value::Json(arena.alloc_slice_copy(&text)))
        }
        _ => None,
    }
}

#[inline(never)]
fn encode_any(value: Value<'_>, depth: usize, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.push(if value { TRUE } else { FALSE }),
        Value::Int(value) => encode_integer(value.into(), out),
        Value::Wide(value) => encode_integer(value.get(), out),
        Value::Float(value) if is_beyond_integers(value) => encode_scientific(&Scientific::of_float(value), out),
        Value::Float(value) => encode_float(value, out),
        Value::Decimal(value) => encode_decimal(value, out),
        Value::Huge(text) => encode_scientific(&Scientific::of_text(text), out),
        Value::Date(Date(days)) => encode_midnight(days, out),
        Value::Timestamp(Timestamp(micros)) => {
            // The days of all timestamps fit 32 bits.
            let (days, rest) = (micros.div_euclid(MICROS_PER_DAY) as i32, micros.rem_euclid(MICROS_PER_DAY));
            encode_midnight(days, out);
            out.pop();
            encode_natural(rest.unsigned_abs().into(), out);
        }
        Value::Interval(interval) => {
            out.push(INTERVAL);
            out.extend_from_slice(&(interval.total_micros() as u128 ^ 1 << 127).to_be_bytes());
        }
        Value::Text(text) => {
            out.push(TEXT);
            encode_string(text, out);
        }
        Value::Json(text) => encode_json(text, depth, out),
    }
}

#[inline]
fn encode_float(value: f64, out: &mut Vec<u8>) {
    let mut bytes = [NUMBER, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // Adding 0 makes -0.0 positive.
    bytes[1..9].copy_from_slice(&ordered(value + 0.0).to_be_bytes());
    out.extend_from_slice(&bytes);
}

fn encode_integer(value: i128, out: &mut Vec<u8>) {
    let nearest = value as f64;
    let is_above = is_beyond_integers(nearest) || nearest as i128 > value;
    let floor = if is_above { nearest.next_down() } else { nearest };
    out.push(NUMBER);
    out.extend_from_slice(&ordered(floor).to_be_bytes());
    encode_rest((value - floor as i128).unsigned_abs(), Decimal::ZERO, out);
}

fn encode_decimal(value: Decimal, out: &mut Vec<u8>) {
    let (whole, fraction) = value.parts();
    if fraction == 0 {
        return encode_integer(whole, out);
    }
    let floor = value.float_below();
    if value.compare_float(floor).is_eq() {
        return encode_float(floor, out);
    }
    // The whole part is the greatest integer that is not above the number, so that the fraction is never negative.
    let (whole, fraction) = match value.signum() {
        -1 => (whole - 1, fraction + power(value.scale()) as i128),
        _ => (whole, fraction),
    };
    out.push(NUMBER);
    out.extend_from_slice(&ordered(floor).to_be_bytes());
    // A float with a fraction is below 2^52, and so above its own whole part, which is that of the number.
    let above = (whole - floor as i128).max(0).unsigned_abs();
    let above = if floor.fract() == 0.0 { above } else { 0 };
    encode_rest(above, Decimal::new(fraction, value.scale()).unwrap_or(Decimal::ZERO), out);
}

/// What a number is above a float: a difference of whole parts, and a fraction.
fn encode_rest(whole: u128, fraction: Decimal, out: &mut Vec<u8>) {
    let start = out.len();
    encode_natural(whole, out);
    if whole == 0 && fraction.signum() == 0 {
        return;
    }
    out[start] += 1;
    let fraction = fraction.normalized();
    let odd = fraction.scale() % 2;
    let digits = fraction.digits().unsigned_abs() * power(odd);
    for places in (0..fraction.scale() + odd).step_by(2).rev() {
        out.push(1 + (digits / power(places) % 100) as u8);
    }
    out.push(END);
}

fn encode_scientific(value: &Scientific, out: &mut Vec<u8>) {
    let infinity = if value.negative { f64::NEG_INFINITY } else { f64::INFINITY };
    out.push(NUMBER);
    out.extend_from_slice(&ordered(infinity).to_be_bytes());
    let start = out.len();
    encode_natural(u128::try_from(value.exponent).unwrap_or(0), out);
    out.extend_from_slice(&value.digits);
    out.push(END);
    if value.negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[inline]
fn encode_midnight(days: i32, out: &mut Vec<u8>) {
    let [a, b, c, d] = (days as u32 ^ 1 << 31).to_be_bytes();
    out.extend_from_slice(&[TEMPORAL, a, b, c, d, 0]);
}

fn encode_natural(value: u128, out: &mut Vec<u8>) {
    let zeros = value.leading_zeros() as usize / 8;
    out.push(16 - zeros as u8);
    out.extend_from_slice(&value.to_be_bytes()[zeros..]);
}

#[inline]
fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    if any_word(text, special_bytes) {
        encode_escaped(text, out);
    } else {
        push_few(text, out);
    }
    out.push(END);
}

/// A high bit for some of the bytes that are [`END`] or [`ESCAPE`], at least one if there are any, and none if there are
/// none.
#[inline(always)]
fn special_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0202_0202_0202_0202) & !word & HIGH_BITS
}

#[cold]
fn encode_escaped(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte <= ESCAPE {
            out.extend_from_slice(&[ESCAPE, byte + 1]);
        } else {
            out.push(byte);
        }
    }
}

fn encode_json(text: &[u8], depth: usize, out: &mut Vec<u8>) {
    let is_array = is_array(text);
    out.push(if is_array { ARRAY } else { OBJECT });
    if depth >= MAX_DEPTH {
        return encode_string(text, out);
    }
    let arena = Bump::new();
    if is_array {
        for element in elements(text) {
            encode_any(Value::from_json(element, &arena), depth + 1, out);
        }
    } else {
        for (key, value) in sorted_entries(text, &arena) {
            out.push(TEXT);
            encode_string(key, out);
            encode_any(Value::from_json(value, &arena), depth + 1, out);
        }
    }
    out.push(END);
}

/// The bits of a float, such that they sort as floats do.
#[inline]
fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    bits ^ ((bits as i64 >> 63) as u64 | 1 << 63)
}

/// The inverse of [`ordered`].
fn disordered(bits: u64) -> f64 {
    f64::from_bits(bits ^ ((!bits as i64 >> 63) as u64 | 1 << 63))
}

/// Integers of up to `max_digits` digits come as integers where they are spelt so, decimals with the digits that are asked
/// for, other numbers as floats where they are floats.
fn decode_number<'a>(key: &mut &'a [u8], spelling: Spelling, max_digits: i128, arena: &'a Bump) -> Option<Value<'a>> {
    let (bits, rest) = key.split_first_chunk::<8>()?;
    *key = rest;
    let floor = disordered(u64::from_be_bytes(*bits));
    if floor.is_infinite() {
        let max_digits = if spelling == Spelling::WHOLE { max_digits } else { 0 };
        return decode_scientific(key, floor < 0.0, max_digits, arena);
    }
    if floor.is_nan() {
        return None;
    }
    let is_whole = floor.fract() == 0.0;
    let Some((above, fraction)) = decode_rest(key)? else {
        return Some(match spelling.scale() {
            Some(scale) => decimal_of_float(floor, scale).map_or(Value::Float(floor), Value::Decimal),
            None if spelling == Spelling::WHOLE && is_whole => Value::integer(floor as i128),
            None => Value::Float(floor),
        });
    };
    if is_beyond_integers(floor) {
        return None;
    }
    // The cast drops the fraction, towards zero; no float with a fraction is below its floor.
    let whole = if is_whole { (floor as i128).checked_add_unsigned(above)? } else { floor.floor() as i128 };
    let scale = spelling.scale();
    if fraction.signum() == 0 {
        let decimal = scale.and_then(|scale| Decimal::new(whole, 0)?.rescale(scale));
        return Some(decimal.map_or(Value::integer(whole), Value::Decimal));
    }
    let digits = whole.checked_mul(power(fraction.scale()) as i128)?.checked_add(fraction.digits())?;
    let exact = Decimal::new(digits, fraction.scale())?;
    let spelt = scale.filter(|&scale| scale > exact.scale()).and_then(|scale| exact.rescale(scale));
    Some(Value::Decimal(spelt.unwrap_or(exact)))
}

/// Takes what [`encode_rest`] wrote: nothing, or a difference of whole parts and a fraction.
fn decode_rest(key: &mut &[u8]) -> Option<Option<(u128, Decimal)>> {
    let (&first, rest) = key.split_first()?;
    if first == 0 {
        *key = rest;
        return Some(None);
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(first) - 1).filter(|(bytes, _)| bytes.len() <= 16)?;
    let whole = bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte));
    // A decimal has 18 pairs of digits at most.
    let end = rest.iter().take(19).position(|&byte| byte == END)?;
    let mut digits = 0;
    for pair in &rest[..end] {
        digits = digits * 100 + i128::from(pair - 1).checked_rem(100).filter(|_| *pair <= 100)?;
    }
    *key = &rest[end + 1..];
    Some(Some((whole, Decimal::new(digits, 2 * end as u8)?.normalized())))
}

/// A float as a decimal of a scale, if it is one.
fn decimal_of_float(value: f64, scale: u8) -> Option<Decimal> {
    const EXACT: f64 = (1u64 << 53) as f64;
    // Exact where the digits are that few.
    let digits = POWERS.get(usize::from(scale)).map(|power| value * power).filter(|digits| digits.abs() <= EXACT);
    let decimal = match digits {
        Some(digits) => Decimal::new(digits as i128, scale)?,
        None => Decimal::read(format!("{value:.*}", usize::from(scale)).as_bytes(), Some(scale)).ok()?,
    };
    decimal.compare_float(value).is_eq().then_some(decimal)
}

fn decode_scientific<'a>(key: &mut &[u8], negative: bool, max_digits: i128, arena: &'a Bump) -> Option<Value<'a>> {
    let invert = if negative { 0xff } else { 0 };
    let exponent = i128::try_from(decode_natural(key, invert)?).ok()?;
    let end = key.iter().position(|&byte| byte ^ invert == END)?;
    let digits: Vec<u8> = key[..end].iter().map(|byte| byte ^ invert).collect();
    *key = &key[end + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let decimal = Scientific { negative, exponent, digits };
    let mut text = if negative { b"-".to_vec() } else { Vec::new() };
    if decimal.is_integer() && exponent <= max_digits {
        text.extend_from_slice(&decimal.digits);
        text.resize(usize::from(negative) + exponent as usize, b'0');
    } else {
        text.push(decimal.digits[0]);
        if decimal.digits.len() > 1 {
            text.push(b'.');
            text.extend_from_slice(&decimal.digits[1..]);
        }
        text.extend_from_slice(format!("e{}", exponent - 1).as_bytes());
        if let Value::Float(value) = Value::number(&text)
            && Scientific::of_float(value) == decimal
        {
            return Some(Value::Float(value));
        }
    }
    Some(Value::Huge(arena.alloc_slice_copy(&text)))
}

fn decode_temporal<'a>(key: &mut &[u8], integer_spelling: bool) -> Option<Value<'a>> {
    let (days, rest) = key.split_first_chunk::<4>()?;
    *key = rest;
    let days = (u32::from_be_bytes(*days) ^ 1 << 31) as i32;
    let micros = i64::try_from(decode_natural(key, 0)?).ok()?;
    let moment = i64::from(days).checked_mul(MICROS_PER_DAY).and_then(|midnight| midnight.checked_add(micros));
    match moment {
        Some(moment) if !integer_spelling || micros > 0 => Some(Value::Timestamp(Timestamp(moment))),
        // A midnight beyond timestamps can only be a date.
        _ if micros == 0 => Some(Value::Date(Date(days))),
        _ => None,
    }
}

/// Takes a natural whose bytes were XORed with `invert`.
fn decode_natural(key: &mut &[u8], invert: u8) -> Option<u128> {
    let (len, rest) = key.split_first()?;
    let (bytes, rest) = rest.split_at_checked(usize::from(len ^ invert))?;
    *key = rest;
    (bytes.len() <= 16).then(|| bytes.iter().fold(0, |value, byte| value << 8 | u128::from(byte ^ invert)))
}

fn decode_string<'a>(key: &mut &'a [u8], arena: &'a Bump) -> Option<&'a [u8]> {
    let mut end = memchr::memchr2(END, ESCAPE, key)?;
    let has_escape = key[end] == ESCAPE;
    if has_escape {
        end += memchr::memchr(END, &key[end..])?;
    }
    let (text, rest) = key.split_at(end);
    *key = &rest[1..];
    if !has_escape {
        return Some(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(if byte == ESCAPE { bytes.next()?.checked_sub(1).filter(|&byte| byte <= 1)? } else { byte });
    }
    Some(arena.alloc_slice_copy(&decoded))
}

fn decode_container<'a>(tag: u8, key: &mut &'a [u8], depth: usize, out: &mut Vec<u8>, arena: &'a Bump) -> Option<()> {
    if depth >= MAX_DEPTH {
        out.extend_from_slice(decode_string(key, arena)?);
        return Some(());
    }
    out.push(if tag == ARRAY { b'[' } else { b'{' });
    let start = out.len();
    loop {
        let (&tag_or_end, rest) = key.split_first()?;
        *key = rest;
        if tag_or_end == END {
            break;
        }
        if out.len() > start {
            out.push(b',');
        }
        if tag == ARRAY {
            decode_json(tag_or_end, key, depth, out, arena)?;
        } else {
            write_string(decode_string(key, arena).filter(|_| tag_or_end == TEXT)?, out);
            out.push(b':');
            let (&tag, rest) = key.split_first()?;
            *key = rest;
            decode_json(tag, key, depth, out, arena)?;
        }
    }
    out.push(if tag == ARRAY { b']' } else { b'}' });
    Some(())
}

/// Appends the JSON text of a value inside an array or an object, whose tag was taken already.
fn decode_json<'a>(tag: u8, key: &mut &'a [u8], depth: usize, out: &mut Vec<u8>, arena: &'a Bump) -> Option<()> {
    let value = match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        NUMBER => decode_number(key, Spelling::WHOLE, MAX_NESTED_DIGITS, arena)?,
        TEXT => Value::Text(decode_string(key, arena)?),
        ARRAY | OBJECT => return decode_container(tag, key, depth + 1, out, arena),
        _ => return None,
    };
    write_json(value, out);
    Some(())
}

#[cfg(test)]
mod tests;
