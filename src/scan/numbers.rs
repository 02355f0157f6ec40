//! Columns of numbers, read from the cells of rows: short ones with the vector kernels, others one by one.

use super::simd::{Kernel, Simd, Task};
use super::{Cell, Kind};
use crate::value::number::{MAX_EXACT, POWERS, parse_float, parse_int};

/// The rows whose numbers are divided together.
const TOGETHER: usize = 64;

/// Reads the integers of some rows. Says whether all cells are integers of 64 bits; else the values mean nothing.
pub(crate) fn read_ints(block: &[u8], cells: &[Cell], rows: &[u32], values: &mut [i64]) -> bool {
    Simd::detect().run(Column { block, cells, rows, values })
}

/// Reads the numbers of some rows as floats, with 0 for NULL. Says whether all cells are finite numbers and NULLs, and no
/// integer is beyond 2^53; else the values mean nothing.
pub(crate) fn read_floats(block: &[u8], cells: &[Cell], rows: &[u32], values: &mut [f64]) -> bool {
    Simd::detect().run(Column { block, cells, rows, values })
}

/// A column to be read: the cells of some rows, and where their values go.
struct Column<'a, T> {
    block: &'a [u8],
    cells: &'a [Cell],
    rows: &'a [u32],
    values: &'a mut [T],
}

impl Task for Column<'_, i64> {
    type Output = bool;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> bool {
        let Column { block, cells, rows, values } = self;
        for (value, &row) in values.iter_mut().zip(rows) {
            let cell = cells[row as usize];
            *value = match decimal(kernel, block, cell) {
                Some((negative, digits, _)) if cell.kind() == Kind::Int => {
                    if negative {
                        -(digits as i64)
                    } else {
                        digits as i64
                    }
                }
                _ => match long_int(block, cell) {
                    Some(value) => value,
                    None => return false,
                },
            };
        }
        true
    }
}

/// Any integer.
#[inline(never)]
fn long_int(block: &[u8], cell: Cell) -> Option<i64> {
    if cell.kind() == Kind::Int { parse_int(cell.bytes(block)) } else { None }
}

impl Task for Column<'_, f64> {
    type Output = bool;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> bool {
        let Column { block, cells, rows, values } = self;
        for (values, rows) in values.chunks_mut(TOGETHER).zip(rows.chunks(TOGETHER)) {
            let mut powers = [1.0; TOGETHER];
            for ((value, power), &row) in values.iter_mut().zip(&mut powers).zip(rows) {
                let cell = cells[row as usize];
                let is_number = matches!(cell.kind(), Kind::Int | Kind::Float);
                match decimal(kernel, block, cell) {
                    // The integer -0 is 0, the float is not.
                    Some((negative, digits, places))
                        if is_number && digits <= MAX_EXACT && !(negative && digits == 0) =>
                    {
                        // The sign is put in without a branch.
                        *value = f64::from_bits((digits as i64 as f64).to_bits() | u64::from(negative) << 63);
                        *power = POWERS[places];
                    }
                    _ => match long_float(block, cell) {
                        Some(number) => *value = number,
                        None => return false,
                    },
                }
            }
            // Both are exact, so the quotient is rounded once. Divisions wait for nothing but each other here.
            for (value, power) in values.iter_mut().zip(&powers) {
                *value /= power;
            }
        }
        true
    }
}

/// Any number, or 0 for NULL.
#[inline(never)]
fn long_float(block: &[u8], cell: Cell) -> Option<f64> {
    match cell.kind() {
        Kind::Float => parse_float(cell.bytes(block)),
        Kind::Int => {
            parse_int(cell.bytes(block)).filter(|value| value.unsigned_abs() <= MAX_EXACT).map(|value| value as f64)
        }
        Kind::Null | Kind::Missing => Some(0.0),
        _ => None,
    }
}

/// Whether a number is negative, its digits, and how many of them are behind the point; if it is short, has no exponent, and
/// does not begin its block.
#[inline(always)]
fn decimal<K: Kernel>(kernel: K, block: &[u8], cell: Cell) -> Option<(bool, u64, usize)> {
    let range = cell.range();
    let text = block.get(range.end.wrapping_sub(16)..range.end)?.first_chunk()?;
    let negative = *block.get(range.start)? == b'-';
    let (digits, places) = kernel.decimal(text, cell.len() - usize::from(negative))?;
    Some((negative, digits, places))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Value;

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|value| value.to_string()),
            (-999_999i64..999_999).prop_map(|value| value.to_string()),
            "-?(0|[1-9][0-9]{0,16})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?",
            "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?",
            "-?0(\\.0{1,16})?",
            (0i64..3).prop_map(|off| ((1i64 << 53) - 1 + off).to_string()),
            Just("null".to_owned()),
        ]
    }

    /// What kernels make of both questions.
    fn read(simd: Simd, block: &[u8], cells: &[Cell]) -> (Option<Vec<i64>>, Option<Vec<u64>>) {
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        let (mut ints, mut floats) = (vec![0; rows.len()], vec![0.0; rows.len()]);
        let are_ints = simd.run(Column { block, cells, rows: &rows, values: &mut ints });
        let are_floats = simd.run(Column { block, cells, rows: &rows, values: &mut floats });
        (are_ints.then_some(ints), are_floats.then(|| floats.into_iter().map(f64::to_bits).collect()))
    }

    /// The same by the values one by one.
    fn naive(texts: &[String]) -> (Option<Vec<i64>>, Option<Vec<u64>>) {
        let values: Vec<Value> = texts
            .iter()
            .map(|text| if text == "null" { Value::Null } else { Value::number(text.as_bytes()) })
            .collect();
        let int = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
        let float = |value: &Value| match value {
            Value::Float(value) => Some(value.to_bits()),
            Value::Int(value) if value.unsigned_abs() <= 1 << 53 => Some((*value as f64).to_bits()),
            Value::Null => Some(0),
            _ => None,
        };
        (values.iter().map(int).collect(), values.iter().map(float).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn numbers_are_those_of_their_texts(texts in prop::collection::vec(number(), 1..6), before in "[0-9. x-]{0,20}") {
            let (mut block, mut cells) = (before, Vec::new());
            for text in &texts {
                let kind = match text {
                    text if text == "null" => Kind::Null,
                    text if text.contains(['.', 'e', 'E']) => Kind::Float,
                    _ => Kind::Int,
                };
                cells.push(Cell::new(kind, block.len() as u32, text.len() as u32));
                block += text;
                block.push(',');
            }
            for simd in Simd::all() {
                prop_assert_eq!(read(simd, block.as_bytes(), &cells), naive(&texts), "{:?} {}", simd, block);
            }
        }
    }

    #[test]
    fn other_values_are_no_numbers() {
        for (text, kind) in [("true", Kind::True), ("17", Kind::Text), ("[1]", Kind::Array), ("1e999", Kind::Float)] {
            let block = format!("{:>32}1", text);
            let cells = [Cell::new(Kind::Int, 32, 1), Cell::new(kind, 32 - text.len() as u32, text.len() as u32)];
            for simd in Simd::all() {
                assert_eq!(read(simd, block.as_bytes(), &cells), (None, None), "{text}");
            }
        }
    }
}
