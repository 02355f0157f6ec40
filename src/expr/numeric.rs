//! Arithmetic and comparisons of whole columns of numbers, where nothing can go wrong.
//!
//! The general way (`arithmetic.rs`, `compare.rs`) takes one pair of values after the other, and counts faults. What is
//! here does a column at once, and gives up (`None`) where a pair would fault, or leave the range in which floats hold
//! integers exactly. It gives the same values.

use bumpalo::Bump;

use super::vector::{NumberKind, Numbers, Vector};
use super::{Arithmetic, Comparison};
use crate::value::{Decimal, Value};

/// One side of an operation: numbers that are exact as floats, one for each row.
#[derive(Clone, Copy)]
struct Side<'a> {
    values: &'a [f64],
    kinds: Kinds<'a>,
}

/// What the numbers of a side are.
#[derive(Clone, Copy)]
enum Kinds<'a> {
    /// All the same.
    All(NumberKind),
    /// One for each row.
    Each(&'a [NumberKind]),
}

impl<'a> Kinds<'a> {
    fn each(self, len: usize, arena: &'a Bump) -> &'a [NumberKind] {
        match self {
            Kinds::All(kind) => arena.alloc_slice_fill_copy(len, kind),
            Kinds::Each(kinds) => &kinds[..len],
        }
    }
}

impl<'a> Side<'a> {
    fn of(vector: Vector<'a>, len: usize, arena: &'a Bump) -> Option<Side<'a>> {
        let all = |value, kind| {
            let values = arena.alloc_slice_fill_copy(len, value);
            Some(Side { values, kinds: Kinds::All(kind) })
        };
        match vector {
            Vector::Constant(Value::Int(value)) if is_exact(value) => all(value as f64, NumberKind::Int),
            Vector::Constant(Value::Float(value)) => all(value, NumberKind::Float),
            Vector::Ints(ints) => {
                let values = arena.alloc_slice_fill_with(len, |i| ints[i] as f64);
                let exact = ints.iter().all(|&value| is_exact(value));
                exact.then_some(Side { values, kinds: Kinds::All(NumberKind::Int) })
            }
            Vector::Floats(values) => Some(Side { values: &values[..len], kinds: Kinds::All(NumberKind::Float) }),
            Vector::Numbers(Numbers { values, kinds }) => {
                Some(Side { values: &values[..len], kinds: Kinds::Each(kinds) })
            }
            _ => None,
        }
    }
}

fn is_exact(value: i64) -> bool {
    value.unsigned_abs() <= Numbers::MAX_INT.unsigned_abs()
}

/// The values of an operation on two columns of `len` rows.
pub(super) fn arithmetic<'a>(
    op: Arithmetic,
    left: Vector<'a>,
    right: Vector<'a>,
    len: usize,
    arena: &'a Bump,
) -> Option<Vector<'a>> {
    match (left, right) {
        (Vector::Ints(a), Vector::Ints(b)) => return integers(op, len, arena, |i| (a[i], b[i])),
        (Vector::Ints(a), Vector::Constant(Value::Int(b))) => return integers(op, len, arena, |i| (a[i], b)),
        (Vector::Constant(Value::Int(a)), Vector::Ints(b)) => return integers(op, len, arena, |i| (a, b[i])),
        (Vector::Decimals(a), Vector::Decimals(b)) => return decimals(op, len, arena, |i| (a[i], b[i])),
        (Vector::Decimals(a), Vector::Ints(b)) => return decimals(op, len, arena, |i| (a[i], b[i].into())),
        (Vector::Ints(a), Vector::Decimals(b)) => return decimals(op, len, arena, |i| (a[i].into(), b[i])),
        (Vector::Decimals(a), Vector::Constant(b)) => {
            let b = decimal(b)?;
            return decimals(op, len, arena, |i| (a[i], b));
        }
        (Vector::Constant(a), Vector::Decimals(b)) => {
            let a = decimal(a)?;
            return decimals(op, len, arena, |i| (a, b[i]));
        }
        _ => {}
    }
    let (left, right) = (Side::of(left, len, arena)?, Side::of(right, len, arena)?);
    match op {
        Arithmetic::Add => floats(left, right, arena, |a, b| a + b),
        Arithmetic::Subtract => floats(left, right, arena, |a, b| a - b),
        Arithmetic::Multiply => floats(left, right, arena, |a, b| a * b),
        _ => None,
    }
}

fn integers<'a>(op: Arithmetic, len: usize, arena: &'a Bump, pair: impl Fn(usize) -> (i64, i64)) -> Option<Vector<'a>> {
    let each = |apply: fn(i64, i64) -> Option<i64>| {
        let out = arena.alloc_slice_fill_default::<i64>(len);
        for (i, out) in out.iter_mut().enumerate() {
            let (a, b) = pair(i);
            *out = apply(a, b)?;
        }
        Some(Vector::Ints(out))
    };
    match op {
        Arithmetic::Add => each(i64::checked_add),
        Arithmetic::Subtract => each(i64::checked_sub),
        Arithmetic::Multiply => each(i64::checked_mul),
        Arithmetic::IntegerDivide => each(i64::checked_div),
        Arithmetic::Remainder => each(i64::checked_rem),
        Arithmetic::Divide => None,
    }
}

fn decimals<'a>(
    op: Arithmetic,
    len: usize,
    arena: &'a Bump,
    pair: impl Fn(usize) -> (Decimal, Decimal),
) -> Option<Vector<'a>> {
    let each = |apply: fn(Decimal, Decimal) -> Option<Decimal>| {
        let pairs = (0..len).map(|i| {
            let (a, b) = pair(i);
            apply(a, b).ok_or(())
        });
        arena.alloc_slice_try_fill_iter(pairs).ok().map(|values| Vector::Decimals(values))
    };
    match op {
        Arithmetic::Add => each(Decimal::checked_add),
        Arithmetic::Subtract => each(Decimal::checked_sub),
        Arithmetic::Multiply => each(Decimal::checked_mul),
        Arithmetic::Divide | Arithmetic::IntegerDivide | Arithmetic::Remainder => None,
    }
}

/// A number that is exact as a decimal.
fn decimal(value: Value) -> Option<Decimal> {
    match value {
        Value::Int(value) => Some(value.into()),
        Value::Decimal(value) => Some(value),
        _ => None,
    }
}

fn floats<'a>(left: Side<'a>, right: Side<'a>, arena: &'a Bump, apply: impl Fn(f64, f64) -> f64) -> Option<Vector<'a>> {
    let len = left.values.len();
    let pairs = left.values.iter().zip(right.values);
    if let (Kinds::All(a), Kinds::All(b)) = (left.kinds, right.kinds)
        && a.join(b) == NumberKind::Float
    {
        let values = arena.alloc_slice_fill_iter(pairs.map(|(&a, &b)| apply(a, b)));
        return values.iter().all(|value| value.is_finite()).then_some(Vector::Floats(values));
    }
    let kinds = match (left.kinds, right.kinds) {
        (Kinds::All(NumberKind::Int), Kinds::Each(kinds)) | (Kinds::Each(kinds), Kinds::All(NumberKind::Int)) => {
            &kinds[..len]
        }
        (left, right) => {
            let pairs = left.each(len, arena).iter().zip(right.each(len, arena));
            &*arena.alloc_slice_fill_iter(pairs.map(|(a, &b)| a.join(b)))
        }
    };
    // By kind, so that there is no branch for it. What is rounded, as an integer, is at least this.
    const LIMIT: [f64; 3] = [Numbers::MAX_INT as f64, f64::INFINITY, f64::INFINITY];
    // An integer has no negative zero, which this makes a positive one; a float keeps it.
    const ZERO: [f64; 3] = [0.0, -0.0, 0.0];
    const BITS: [u64; 3] = [u64::MAX, u64::MAX, 0];
    let mut fits = true;
    let values = arena.alloc_slice_fill_iter(pairs.zip(kinds).map(|((&a, &b), kind)| {
        let kind = *kind as usize;
        let value = f64::from_bits((apply(a, b) + ZERO[kind]).to_bits() & BITS[kind]);
        fits &= value.abs() < LIMIT[kind];
        value
    }));
    fits.then_some(Vector::Numbers(Numbers { values, kinds }))
}

/// The truth values of a comparison of a column of `len` numbers with a number.
pub(super) fn compare<'a>(
    op: Comparison,
    left: Vector<'a>,
    right: Vector<'a>,
    len: usize,
    arena: &'a Bump,
) -> Option<Vector<'a>> {
    let bound = match right {
        Vector::Constant(Value::Int(bound)) => {
            if let Vector::Ints(ints) = left {
                return Some(Vector::build_bools(arena, len, |i| Some(op.holds(ints[i].cmp(&bound)))));
            }
            is_exact(bound).then_some(bound as f64)?
        }
        Vector::Constant(Value::Float(bound)) => bound,
        _ => return None,
    };
    let left = Side::of(left, len, arena)?;
    Some(match op {
        Comparison::Equal => truths(left, arena, |value| value == bound),
        Comparison::NotEqual => truths(left, arena, |value| value != bound),
        Comparison::Less => truths(left, arena, |value| value < bound),
        Comparison::LessOrEqual => truths(left, arena, |value| value <= bound),
        Comparison::Greater => truths(left, arena, |value| value > bound),
        Comparison::GreaterOrEqual => truths(left, arena, |value| value >= bound),
    })
}

/// What `holds` says of each number; NULL of NULL.
fn truths<'a>(side: Side<'a>, arena: &'a Bump, holds: impl Fn(f64) -> bool) -> Vector<'a> {
    let values = side.values;
    match side.kinds {
        Kinds::All(_) => Vector::build_bools(arena, values.len(), |i| Some(holds(values[i]))),
        Kinds::Each(kinds) => {
            Vector::build_bools(arena, values.len(), |i| (kinds[i] != NumberKind::Null).then(|| holds(values[i])))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Digits of decimals, often as many as there may be.
    fn any_digits() -> impl Strategy<Value = i128> {
        let most = 10i128.pow(Decimal::MAX_DIGITS.into()) - 1;
        prop_oneof![-500i128..500, any::<i64>().prop_map(i128::from), (0i128..3).prop_map(move |less| most - less)]
    }

    /// A number or NULL, often at the limits of what is done quickly.
    fn any_number() -> impl Strategy<Value = Value<'static>> {
        let int = prop_oneof![
            -5i64..5,
            any::<i64>(),
            prop_oneof![Just(0), Just(1), Just(-1)].prop_map(|off| Numbers::MAX_INT + off),
        ];
        let float =
            prop_oneof![-4.0..4.0, any::<f64>().prop_filter("finite", |x| x.is_finite()), Just(-0.0), Just(1e308)];
        let decimal =
            (any_digits(), 0u8..4).prop_map(|(digits, scale)| Value::Decimal(Decimal::new(digits, scale).unwrap()));
        prop_oneof![int.prop_map(Value::Int), float.prop_map(Value::Float), decimal, Just(Value::Null)]
    }

    /// The narrowest vector of some numbers, as a column is read.
    fn vector<'a>(numbers: &[Value<'a>], constant: bool, arena: &'a Bump) -> Vector<'a> {
        if constant {
            return Vector::Constant(numbers[0]);
        }
        let ints: Option<Vec<i64>> =
            numbers.iter().map(|n| if let Value::Int(n) = n { Some(*n) } else { None }).collect();
        let floats: Option<Vec<f64>> =
            numbers.iter().map(|n| if let Value::Float(n) = n { Some(*n) } else { None }).collect();
        let mixed: Option<Vec<(f64, NumberKind)>> = numbers
            .iter()
            .map(|number| match number {
                Value::Null => Some((0.0, NumberKind::Null)),
                Value::Float(value) => Some((*value, NumberKind::Float)),
                Value::Int(value) if is_exact(*value) => Some((*value as f64, NumberKind::Int)),
                _ => None,
            })
            .collect();
        let decimals: Option<Vec<Decimal>> =
            numbers.iter().map(|n| if let Value::Decimal(n) = n { Some(*n) } else { None }).collect();
        if let Some(decimals) = decimals {
            return Vector::Decimals(arena.alloc_slice_copy(&decimals));
        }
        match (ints, floats, mixed) {
            (Some(ints), ..) => Vector::Ints(arena.alloc_slice_copy(&ints)),
            (_, Some(floats), _) => Vector::Floats(arena.alloc_slice_copy(&floats)),
            (.., Some(mixed)) => Vector::Numbers(Numbers {
                values: arena.alloc_slice_fill_iter(mixed.iter().map(|(value, _)| *value)),
                kinds: arena.alloc_slice_fill_iter(mixed.iter().map(|(_, kind)| *kind)),
            }),
            _ => Vector::Values(arena.alloc_slice_copy(numbers)),
        }
    }

    /// A number's type and bits.
    fn bits(value: Value) -> String {
        match value {
            Value::Float(value) => format!("float {:x}", value.to_bits()),
            value => format!("{value:?}"),
        }
    }

    fn columns() -> impl Strategy<Value = (Vec<Value<'static>>, Vec<Value<'static>>)> {
        let kinds = prop_oneof![
            proptest::collection::vec((any_number(), any_number()), 1..6),
            proptest::collection::vec((-9i64..9, -9i64..9), 1..6)
                .prop_map(|pairs| pairs.into_iter().map(|(a, b)| (Value::Int(a), Value::Int(b))).collect()),
            proptest::collection::vec((any_digits(), -9i64..9), 1..6).prop_map(|pairs| {
                let decimal = |digits| Value::Decimal(Decimal::new(digits, 2).unwrap());
                pairs.into_iter().map(|(a, b)| (decimal(a), Value::Int(b))).collect()
            }),
        ];
        kinds.prop_map(|pairs: Vec<_>| pairs.into_iter().unzip())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn columns_agree_with_pairs((left, right) in columns(), constants: (bool, bool)) {
            let arena = Bump::new();
            let (a, b) = (vector(&left, constants.0, &arena), vector(&right, constants.1, &arena));
            let ops = [
                Arithmetic::Add,
                Arithmetic::Subtract,
                Arithmetic::Multiply,
                Arithmetic::Divide,
                Arithmetic::IntegerDivide,
                Arithmetic::Remainder,
            ];
            for op in ops {
                if let Some(column) = arithmetic(op, a, b, left.len(), &arena) {
                    for row in 0..left.len() {
                        let pair = op.apply(a.get(row), b.get(row));
                        prop_assert_eq!(pair.map(bits), Ok(bits(column.get(row))), "{:?}", op);
                    }
                }
            }
            for op in [Comparison::Equal, Comparison::NotEqual, Comparison::Less, Comparison::GreaterOrEqual] {
                if let Some(column) = compare(op, a, b, left.len(), &arena) {
                    for row in 0..left.len() {
                        let expected = op.apply(a.get(row), b.get(row)).map(|truth| truth.map_or(Value::Null, Value::Bool));
                        prop_assert_eq!(expected.map(bits), Ok(bits(column.get(row))), "{:?}", op);
                    }
                }
            }
        }

        #[test]
        fn usual_columns_are_done_quickly(values in proptest::collection::vec(-1000i32..1000, 2..9)) {
            let arena = Bump::new();
            let ints: Vec<Value> = values.iter().map(|&value| Value::Int(value.into())).collect();
            let mixed: Vec<Value> =
                values.iter().map(|&v| if v % 3 == 0 { Value::Int(v.into()) } else { Value::Float(f64::from(v) / 8.0) }).collect();
            let (a, b) = (vector(&ints, false, &arena), vector(&mixed, false, &arena));
            prop_assert!(arithmetic(Arithmetic::Multiply, a, b, ints.len(), &arena).is_some());
            let prices: Vec<Value> = values.iter().map(|&v| Value::Decimal(Decimal::new(v.into(), 2).unwrap())).collect();
            let prices = vector(&prices, false, &arena);
            prop_assert!(matches!(arithmetic(Arithmetic::Multiply, prices, a, ints.len(), &arena), Some(Vector::Decimals(_))));
            prop_assert!(compare(Comparison::Less, b, Vector::Constant(Value::Int(5)), ints.len(), &arena).is_some());
        }
    }
}
