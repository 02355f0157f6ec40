//! Exact numbers as they are held, for states that leave memory for a while: quicker to write and read than the bytes
//! of [`encode`](super::Exact::encode), which depend on nothing but the number.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | 0: integers alone; 1 + n: integers and a cascade, of which the first n components are not 0; 5: any other number |
//! | n | the integers as LEB128, with the sign as the lowest bit |
//! | 8 × n | the components, little-endian |
//!
//! Any other number is written as by `encode`.

use super::{Exact, Rest};
use crate::agg::superacc::{damaged, take};
use crate::error::Result;
use crate::value::{Wide, leb128};

const OTHER: u8 = 5;

impl<const BELOW: usize, const CHUNKS: usize> Exact<BELOW, CHUNKS> {
    /// Appends the number.
    pub(in crate::agg) fn store(&self, out: &mut Vec<u8>) {
        let (form, parts) = match &self.rest {
            Rest::None => (0, &[][..]),
            Rest::Cascade(parts) => {
                let len = parts.iter().rposition(|&part| part != 0.0).map_or(0, |last| last + 1);
                (1 + len as u8, &parts[..len])
            }
            Rest::Decimals { .. } | Rest::Large(_) => (OTHER, &[][..]),
        };
        match i64::try_from(self.ints.get()) {
            Ok(ints) if form != OTHER => {
                out.push(form);
                leb128::put((ints << 1 ^ ints >> 63) as u64, out);
                parts.iter().for_each(|part| out.extend_from_slice(&part.to_le_bytes()));
            }
            _ => {
                out.push(OTHER);
                self.encode(out);
            }
        }
    }

    /// Takes a number from the start of some bytes.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) when the bytes are not ones that `store` writes.
    pub(in crate::agg) fn load(input: &mut &[u8]) -> Result<Self> {
        let [form] = take(input)?;
        if form >= OTHER {
            return Self::decode(input);
        }
        let bits = leb128::take(input).ok_or_else(damaged)?;
        let ints = Wide::new(i128::from((bits >> 1) as i64 ^ -((bits & 1) as i64)));
        let rest = match form.checked_sub(1) {
            None => Rest::None,
            Some(len) => {
                let mut parts = [0.0; 3];
                for part in parts.iter_mut().take(len.into()) {
                    *part = f64::from_le_bytes(take(input)?);
                    if !part.is_finite() {
                        return Err(damaged());
                    }
                }
                Rest::Cascade(parts)
            }
        };
        Ok(Exact { ints, rest })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Sum;

    proptest! {
        #[test]
        fn what_is_loaded_is_what_was_stored(
            ints in prop::collection::vec(any::<i64>(), 0..4),
            floats in prop::collection::vec(prop_oneof![-1e3..1e3_f64, any::<f64>().prop_filter("finite", |x| x.is_finite())], 0..6),
            decimals in prop::collection::vec((any::<i64>(), 0_u8..9), 0..3),
        ) {
            let mut sum = Sum::default();
            ints.iter().for_each(|&x| sum.add_int(x.into()));
            floats.iter().for_each(|&x| sum.add_float(x));
            decimals.iter().for_each(|&(digits, scale)| sum.add_decimal(digits.into(), scale));
            let (mut stored, mut expected, mut found) = (Vec::new(), Vec::new(), Vec::new());
            sum.store(&mut stored);
            let mut rest = stored.as_slice();
            Sum::load(&mut rest).unwrap().encode(&mut found);
            sum.encode(&mut expected);
            prop_assert!(rest.is_empty());
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(Sum::load(&mut bytes.as_slice()));
        }
    }
}
