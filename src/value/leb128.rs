//! Numbers of few bytes where they are small: LEB128.

/// Appends a number, seven bits to a byte, the lowest first.
#[inline]
pub fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the start of some bytes. [`None`] if there is none.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes a length and that many bytes from the start of some bytes. [`None`] if there are fewer.
#[inline]
pub fn take_bytes<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = usize::try_from(take(bytes)?).ok()?;
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// Appends the length of some bytes, and these.
#[inline]
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(numbers in prop::collection::vec((0_u32..64).prop_flat_map(|bits| 0..=u64::MAX >> bits), 0..20)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|&number| super::put(number, &mut bytes));
            let mut rest = bytes.as_slice();
            for number in numbers {
                prop_assert_eq!(super::take(&mut rest), Some(number));
            }
            prop_assert_eq!(super::take(&mut rest), None);
        }
    }
}
