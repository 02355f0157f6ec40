//! Values as bytes that are exactly as they were, spelling included.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | the kind of the value, numbered in this order: NULL, false, true, integers of 64 and 128 bits, float, decimal, huge number, date, timestamp, interval, text, array or object |
//! | n | nothing, or the value, little-endian; a text as its length in LEB128 and its bytes |

use super::{Date, Decimal, Interval, Timestamp, Value, Wide, leb128};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const WIDE: u8 = 4;
const FLOAT: u8 = 5;
const DECIMAL: u8 = 6;
const HUGE: u8 = 7;
const DATE: u8 = 8;
const TIMESTAMP: u8 = 9;
const INTERVAL: u8 = 10;
const TEXT: u8 = 11;
const JSON: u8 = 12;

/// Appends a value.
pub fn encode(value: Value, out: &mut Vec<u8>) {
    let text = |kind, text: &[u8], out: &mut Vec<u8>| {
        out.push(kind);
        leb128::put_bytes(text, out);
    };
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.push(if value { TRUE } else { FALSE }),
        Value::Int(value) => {
            out.push(INT);
            // The sign goes to the lowest bit, so that small numbers are short.
            leb128::put((value << 1 ^ value >> 63) as u64, out);
        }
        Value::Wide(value) => {
            out.push(WIDE);
            out.extend_from_slice(&value.get().to_le_bytes());
        }
        Value::Float(value) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Decimal(value) => {
            out.extend_from_slice(&[DECIMAL, value.scale()]);
            out.extend_from_slice(&value.digits().to_le_bytes());
        }
        Value::Huge(huge) => text(HUGE, huge, out),
        Value::Date(Date(days)) => {
            out.push(DATE);
            out.extend_from_slice(&days.to_le_bytes());
        }
        Value::Timestamp(Timestamp(micros)) => {
            out.push(TIMESTAMP);
            out.extend_from_slice(&micros.to_le_bytes());
        }
        Value::Interval(Interval { months, days, micros }) => {
            out.push(INTERVAL);
            out.extend_from_slice(&months.to_le_bytes());
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&micros.to_le_bytes());
        }
        Value::Text(own) => text(TEXT, own, out),
        Value::Json(json) => text(JSON, json, out),
    }
}

/// Takes a value from the start of some bytes. [`None`] if they are none.
pub fn decode<'b>(bytes: &mut &'b [u8]) -> Option<Value<'b>> {
    let (&kind, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match kind {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => {
            let bits = leb128::take(bytes)?;
            Value::Int((bits >> 1) as i64 ^ -((bits & 1) as i64))
        }
        WIDE => Value::Wide(Wide::new(i128::from_le_bytes(take(bytes)?))),
        FLOAT => Value::Float(f64::from_le_bytes(take(bytes)?)),
        DECIMAL => {
            let [scale] = take(bytes)?;
            Value::Decimal(Decimal::new(i128::from_le_bytes(take(bytes)?), scale)?)
        }
        HUGE => Value::Huge(leb128::take_bytes(bytes)?),
        DATE => Value::Date(Date(i32::from_le_bytes(take(bytes)?))),
        TIMESTAMP => Value::Timestamp(Timestamp(i64::from_le_bytes(take(bytes)?))),
        INTERVAL => Value::Interval(Interval {
            months: i32::from_le_bytes(take(bytes)?),
            days: i32::from_le_bytes(take(bytes)?),
            micros: i64::from_le_bytes(take(bytes)?),
        }),
        TEXT => Value::Text(leb128::take_bytes(bytes)?),
        JSON => Value::Json(leb128::take_bytes(bytes)?),
        _ => return None,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use proptest::prelude::*;

    use super::*;
    use crate::value::samples::any_value;

    proptest! {
        #[test]
        fn what_is_decoded_is_what_was_encoded(samples in prop::collection::vec(any_value(), 0..10)) {
            let (arena, mut bytes) = (Bump::new(), Vec::new());
            let values: Vec<Value> = samples.iter().map(|sample| sample.value(&arena)).collect();
            values.iter().for_each(|&value| encode(value, &mut bytes));
            let mut rest = bytes.as_slice();
            for value in values {
                prop_assert_eq!(format!("{:?}", decode(&mut rest)), format!("{:?}", Some(value)));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            decode(&mut bytes.as_slice());
        }
    }
}
