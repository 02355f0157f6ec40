//! The one rounding at the end of exact arithmetic: big numbers, quotients and square roots to the nearest f64.
//!
//! Every function here reduces its argument to 64 bits or more of leading digits, plus a *sticky* bit that says
//! whether anything but zeros follows, and leaves the rounding to [`nearest`]. That is enough to round to 53 bits
//! (or fewer, for subnormals) to nearest with ties to even, whatever was cut off.

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::Zero;

/// The f64 nearest to `(mantissa + rest) × 2^exponent`, ties to even; infinity when that is beyond f64.
///
/// `rest` is in [0, 1), and `sticky` says that it is not 0. A sticky mantissa must be at least 2^54, so that the rest
/// lies below the rounding position, and every mantissa below 2^126.
pub(super) fn nearest(mantissa: u128, sticky: bool, exponent: i64) -> f64 {
    debug_assert!(mantissa >> 126 == 0 && (!sticky || mantissa >> 54 != 0));
    let bits = 128 - i64::from(mantissa.leading_zeros());
    // The exponent of the result's last place; subnormals end at 2^-1074.
    let last = (bits - 53 + exponent).max(-1074);
    let cut = last - exponent;
    let kept = if cut <= 0 {
        (mantissa << -cut) as u64
    } else if cut > 127 {
        0
    } else {
        let kept = (mantissa >> cut) as u64;
        let half = 1u128 << (cut - 1);
        let rest = mantissa & ((half << 1) - 1);
        kept + u64::from(rest > half || (rest == half && (sticky || kept % 2 == 1)))
    };
    if kept == 0 {
        return 0.0;
    }
    if last + 1074 >= 2046 {
        return f64::INFINITY;
    }
    // The leading bit of `kept` counts up the exponent field by one, as does a carry out of the rounding. The largest
    // result of this sum is the bit pattern of infinity.
    f64::from_bits((((last + 1074) as u64) << 52) + kept)
}

/// The f64 nearest to `numerator / denominator × 2^exponent`; infinity when that is beyond f64.
///
/// The denominator must not be 0.
pub(super) fn nearest_ratio(numerator: &BigUint, denominator: &BigUint, exponent: i64) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    let (quotient, sticky, shift) = leading_quotient(numerator, denominator, 64, exponent);
    nearest(quotient, sticky, exponent - shift)
}

/// The f64 nearest to the square root of `numerator / denominator × 2^exponent`.
///
/// The denominator must not be 0.
pub(super) fn nearest_sqrt_ratio(numerator: &BigUint, denominator: &BigUint, exponent: i64) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    let (quotient, sticky, shift) = leading_quotient(numerator, denominator, 122, exponent);
    // The whole part of a number's root is the whole part of the root of its whole part.
    let root = quotient.isqrt();
    nearest(root, sticky || root * root != quotient, (exponent - shift) / 2)
}

/// The whole part of `numerator / denominator × 2^shift`, of `bits` to `bits + 2` bits; whether it left a remainder; and
/// the shift, chosen so that `exponent - shift` is even.
fn leading_quotient(numerator: &BigUint, denominator: &BigUint, bits: i64, exponent: i64) -> (u128, bool, i64) {
    let mut shift = bits - (numerator.bits() as i64 - denominator.bits() as i64);
    shift += (exponent - shift).rem_euclid(2);
    let (quotient, remainder) = if shift >= 0 {
        (numerator << shift).div_rem(denominator)
    } else {
        numerator.div_rem(&(denominator << -shift))
    };
    let digits = quotient.iter_u64_digits().take(2).enumerate();
    let quotient = digits.fold(0u128, |whole, (index, digit)| whole | u128::from(digit) << (64 * index));
    (quotient, !remainder.is_zero(), shift)
}
