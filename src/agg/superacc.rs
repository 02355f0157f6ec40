//! A superaccumulator: a fixed-point number so wide that every f64 can be added to it exactly.
//!
//! R. M. Neal, "Fast exact summation using small and large superaccumulators", 2015 (arXiv:1505.05571); this is the
//! small one.
//!
//! # How it works
//! The number is cut into digits of 32 bits, each in a signed chunk of 64 bits: chunk `i` weighs `2^(32 (i − BELOW))`, so
//! that the point stands before chunk `BELOW`. The mantissa of an f64 spans two chunks: its low part adds less than 2^32
//! to one and its high part less than 2^52 to the next, with no carry. Only after [`PENDING_LIMIT`] adds are the chunks
//! normalised: each but the last keeps its low 32 bits, as a number in [0, 2^32), and carries the rest (with its sign)
//! into the next. The last chunk holds the sign, like the last word of two's complement.
//!
//! # To change it safely
//! - `BELOW` must reach down to the last bit of the smallest addend, and `CHUNKS` up to the largest plus 64 bits, which
//!   is room for 2^63 adds.
//! - Between normalisations a chunk stays below 2^62 in magnitude: `PENDING_LIMIT × 2^52` plus a digit. Merging adds two
//!   such chunks. Whatever adds more than 2^52 to a chunk at once must count for more than one add.

use num_bigint::BigUint;

use super::round::nearest;
use crate::error::{Error, ErrorKind, Result};

/// The adds after which the chunks are normalised.
const PENDING_LIMIT: u32 = 1000;

/// The digits after the point, and all digits, that hold 2^63 adds of any f64 or i128: 2^-1088 to 2^1087.
pub(super) const SUM_DIGITS: (usize, usize) = (34, 68);

/// The digits after the point, and all digits, that hold 2^63 adds of a product of two f64 or i128: 2^-2176 to 2^2111.
pub(super) const PRODUCT_DIGITS: (usize, usize) = (68, 134);

/// Wide enough for products of two f64 or i128.
pub(super) type ProductAccumulator = Superaccumulator<{ PRODUCT_DIGITS.0 }, { PRODUCT_DIGITS.1 }>;

/// A fixed-point number of `CHUNKS` digits of 32 bits, `BELOW` of them after the point.
#[derive(Clone, Debug)]
pub(super) struct Superaccumulator<const BELOW: usize, const CHUNKS: usize> {
    chunks: [i64; CHUNKS],
    /// The adds since the chunks were normalised.
    pending: u32,
}

impl<const BELOW: usize, const CHUNKS: usize> Superaccumulator<BELOW, CHUNKS> {
    /// Zero.
    pub(super) fn new() -> Self {
        Superaccumulator { chunks: [0; CHUNKS], pending: 0 }
    }

    /// Adds a finite f64.
    #[inline]
    pub(super) fn add_float(&mut self, x: f64) {
        let (mantissa, exponent) = decompose(x);
        let position = (exponent + 32 * BELOW as i64) as usize;
        let (index, shift) = (position / 32, position % 32);
        // All ones for a negative number: (part ^ sign) − sign negates.
        let sign = x.to_bits() as i64 >> 63;
        let low = ((mantissa << shift) & 0xffff_ffff) as i64;
        let high = (mantissa >> (32 - shift)) as i64;
        self.chunks[index] += (low ^ sign) - sign;
        self.chunks[index + 1] += (high ^ sign) - sign;
        self.count_add();
    }

    /// Adds an integer.
    pub(super) fn add_int(&mut self, x: i128) {
        self.add_shifted(x.unsigned_abs(), 0, x < 0);
    }

    /// Adds the square of an integer, which must fit: `ProductAccumulator` only.
    pub(super) fn add_int_square(&mut self, x: i128) {
        let x = x.unsigned_abs();
        let (high, low) = (x >> 64, x & u128::from(u64::MAX));
        self.add_shifted(low * low, 0, false);
        self.add_shifted(high * low, 65, false);
        self.add_shifted(high * high, 128, false);
    }

    /// Adds the product of two finite f64, which must fit: `ProductAccumulator` only.
    pub(super) fn add_product(&mut self, x: f64, y: f64) {
        let ((x_mantissa, x_exponent), (y_mantissa, y_exponent)) = (decompose(x), decompose(y));
        let negative = x.is_sign_negative() != y.is_sign_negative();
        self.add_shifted(u128::from(x_mantissa) * u128::from(y_mantissa), x_exponent + y_exponent, negative);
    }

    /// Adds `±magnitude × 2^exponent`.
    fn add_shifted(&mut self, magnitude: u128, exponent: i64, negative: bool) {
        let position = (exponent + 32 * BELOW as i64) as usize;
        let (index, shift) = (position / 32, position % 32);
        let sign = -i64::from(negative);
        for word in 0..4 {
            let part = u64::from((magnitude >> (32 * word)) as u32) << shift;
            if part != 0 {
                self.chunks[index + word] += ((part & 0xffff_ffff) as i64 ^ sign) - sign;
                self.chunks[index + word + 1] += ((part >> 32) as i64 ^ sign) - sign;
            }
        }
        self.count_add();
    }

    /// Adds another accumulator's number.
    pub(super) fn merge(&mut self, other: &Self) {
        self.normalise();
        for (chunk, added) in self.chunks.iter_mut().zip(&other.chunks) {
            *chunk += added;
        }
        self.normalise();
    }

    /// The number as sign and magnitude.
    pub(super) fn into_digits(mut self) -> Digits<BELOW, CHUNKS> {
        self.normalise();
        let negative = self.chunks[CHUNKS - 1] < 0;
        if negative {
            self.chunks.iter_mut().for_each(|chunk| *chunk = -*chunk);
            self.normalise();
        }
        let start = self.chunks.iter().position(|&chunk| chunk != 0).unwrap_or(0);
        let end = self.chunks.iter().rposition(|&chunk| chunk != 0).map_or(0, |last| last + 1);
        Digits { negative, start, end, digits: self.chunks.map(|chunk| chunk as u32) }
    }

    #[inline]
    fn count_add(&mut self) {
        self.pending += 1;
        if self.pending >= PENDING_LIMIT {
            self.normalise();
        }
    }

    #[cold]
    fn normalise(&mut self) {
        let mut carry = 0;
        let (last, others) = match self.chunks.split_last_mut() {
            Some(split) => split,
            None => return,
        };
        for chunk in others {
            let whole = *chunk + carry;
            *chunk = whole & 0xffff_ffff;
            carry = whole >> 32;
        }
        *last += carry;
        self.pending = 0;
    }
}

/// The integer mantissa below 2^53, and the exponent of its last bit, of a finite f64's magnitude.
#[inline]
fn decompose(x: f64) -> (u64, i64) {
    let bits = x.to_bits();
    let field = (bits >> 52) & 0x7ff;
    let subnormal = u64::from(field == 0);
    ((bits & ((1 << 52) - 1)) | ((1 - subnormal) << 52), (field + subnormal) as i64 - 1075)
}

/// A fixed-point number as sign and magnitude: the one form of a number, from which it is rounded and encoded.
#[derive(Clone, Debug)]
pub(super) struct Digits<const BELOW: usize, const CHUNKS: usize> {
    /// Never set for zero.
    negative: bool,
    /// The digit of weight `2^(32 (i − BELOW))` at `i`.
    digits: [u32; CHUNKS],
    /// The lowest digit that is not 0; 0 for zero.
    start: usize,
    /// The place after the highest digit that is not 0; 0 for zero.
    end: usize,
}

impl<const BELOW: usize, const CHUNKS: usize> Digits<BELOW, CHUNKS> {
    /// Whether the number is below zero.
    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    /// The magnitude as an integer and the power of two that it is to be multiplied with.
    pub(super) fn magnitude(&self) -> (BigUint, i64) {
        (BigUint::from_slice(&self.digits[self.start..self.end]), 32 * (self.start as i64 - BELOW as i64))
    }

    /// The number, if it is an integer of 128 bits.
    pub(super) fn to_i128(&self) -> Option<i128> {
        if self.start == self.end {
            return Some(0);
        }
        if self.start < BELOW || self.end > BELOW + 4 {
            return None;
        }
        let magnitude = (0..4).fold(0, |sum, word| sum | u128::from(self.digits[BELOW + word]) << (32 * word));
        if self.negative { 0i128.checked_sub_unsigned(magnitude) } else { i128::try_from(magnitude).ok() }
    }

    /// The f64 nearest to the number divided by `divisor`, ties to even; infinite if that is beyond f64.
    /// Zero is positive, also one that a negative number rounds to. The divisor must not be 0.
    pub(super) fn nearest_quotient(&self, divisor: u64) -> f64 {
        if self.start == self.end {
            return 0.0;
        }
        // Long division, a digit at a time from the top, until the quotient has more than 64 bits.
        let (mut place, mut quotient, mut remainder) = (self.end as i64, 0u128, 0u64);
        while quotient >> 64 == 0 {
            place -= 1;
            let digit = usize::try_from(place).map_or(0, |place| self.digits[place]);
            let dividend = (u128::from(remainder) << 32) | u128::from(digit);
            // A quotient of 32 bits, as the remainder is below the divisor.
            quotient = (quotient << 32) | (dividend / u128::from(divisor));
            remainder = (dividend % u128::from(divisor)) as u64;
        }
        let sticky = remainder != 0 || place > self.start as i64;
        let magnitude = nearest(quotient, sticky, 32 * (place - BELOW as i64));
        if self.negative && magnitude != 0.0 { -magnitude } else { magnitude }
    }

    /// The number as the exact sum of three f64 of falling magnitude, if it is one that this finds and if the first is
    /// below `limit`.
    pub(super) fn to_expansion(&self, limit: f64) -> Option<[f64; 3]> {
        let mut rest = self.clone();
        let mut parts = [0.0; 3];
        for part in &mut parts {
            *part = rest.take_leading()?;
        }
        (rest.start == rest.end && parts[0].abs() < limit).then_some(parts)
    }

    /// Removes the leading 33 to 53 bits and returns them; none if they are beyond f64.
    fn take_leading(&mut self) -> Option<f64> {
        let (start, end) = (self.start, self.end);
        if start == end {
            return Some(0.0);
        }
        let top = end - 1;
        let below = if top > 0 { self.digits[top - 1] } else { 0 };
        let leading = u64::from(self.digits[top]) << 32 | u64::from(below);
        let cut = 11u32.saturating_sub(leading.leading_zeros());
        let kept = leading >> cut << cut;
        self.digits[top] = 0;
        if top > 0 {
            self.digits[top - 1] = (leading - kept) as u32;
        }
        while self.end > start && self.digits[self.end - 1] == 0 {
            self.end -= 1;
        }
        if self.end == start {
            (self.start, self.end) = (0, 0);
        }
        let exponent = 32 * (top as i64 - 1 - BELOW as i64) + i64::from(kept.trailing_zeros());
        let mantissa = kept >> kept.trailing_zeros();
        let magnitude = nearest(u128::from(mantissa), false, exponent);
        // Below 2^-1074 the rounding would lose bits; beyond 2^1024 it gives infinity.
        if exponent < -1074 || magnitude.is_infinite() {
            return None;
        }
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// An accumulator that holds the number.
    pub(super) fn to_accumulator(&self) -> Superaccumulator<BELOW, CHUNKS> {
        let sign = if self.negative { -1 } else { 1 };
        let mut accumulator =
            Superaccumulator { chunks: self.digits.map(|digit| sign * i64::from(digit)), pending: PENDING_LIMIT };
        accumulator.normalise();
        accumulator
    }

    /// Appends the number's bytes. Equal numbers have equal bytes.
    ///
    /// | bytes | what |
    /// | --- | --- |
    /// | 1 | bit 0: negative; the others: `flags`, seven bits for the caller |
    /// | 1 | the place of the lowest digit |
    /// | 1 | the number of digits, `n`; 0 for zero |
    /// | 4 × n | the digits, lowest first, each little-endian; the first and the last are not 0 |
    pub(super) fn encode(&self, flags: u8, out: &mut Vec<u8>) {
        out.push(u8::from(self.negative) | flags << 1);
        out.push(self.start as u8);
        out.push((self.end - self.start) as u8);
        for digit in &self.digits[self.start..self.end] {
            out.extend_from_slice(&digit.to_le_bytes());
        }
    }

    /// Reads what [`encode`](Digits::encode) wrote, and moves `input` behind it: the number and the flags.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] when the bytes are not ones that `encode` writes.
    pub(super) fn decode(input: &mut &[u8]) -> Result<(Self, u8)> {
        let [flags, start, count] = take(input)?;
        let (start, end) = (usize::from(start), usize::from(start) + usize::from(count));
        let zero = count == 0;
        // The last digit holds the sign of a superaccumulator, so only its low 31 bits are the magnitude's.
        if end > CHUNKS || (zero && (start != 0 || flags & 1 != 0)) {
            return Err(damaged());
        }
        let mut digits = [0; CHUNKS];
        for digit in &mut digits[start..end] {
            *digit = u32::from_le_bytes(take(input)?);
        }
        if !zero && (digits[start] == 0 || digits[end - 1] == 0) || digits[CHUNKS - 1] >> 31 != 0 {
            return Err(damaged());
        }
        Ok((Digits { negative: flags & 1 != 0, digits, start, end }, flags >> 1))
    }
}

/// Takes `N` bytes off the front of `input`.
///
/// # Errors
/// [`ErrorKind::Input`] when there are fewer.
pub(super) fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, rest) = input.split_first_chunk().ok_or_else(damaged)?;
    *input = rest;
    Ok(*taken)
}

/// The error for an accumulator's bytes that no `encode` wrote.
pub(super) fn damaged() -> Error {
    Error::new(ErrorKind::Input, "the bytes of an accumulator are damaged")
}
