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
