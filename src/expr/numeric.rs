//! Arithmetic and comparisons of whole columns of numbers, where nothing can go wrong.
//!
//! The general way (`arithmetic.rs`, `compare.rs`) takes one pair of values after the other, and counts faults. What is
//! here does a column at once, and gives up (`None`) where a pair would fault, or leave the range in which floats hold
//! integers exactly. It gives the same values.

use bumpalo::Bump;

use super::vector::{NumberKind, Numbers, Vector};
use super::{Arithmetic, Comparison};
use crate::value::Value;

/// One side of an operation: a column of numbers, or one number for all rows.
#[derive(Clone, Copy)]
struct Side<'a> {
    values: &'a [f64],
    kinds: &'a [NumberKind],
    /// All bits where there is a value, or a kind, for each row; 0 where there is one for all.
    value_mask: usize,
    kind_mask: usize,
}

const INTS: &[NumberKind] = &[NumberKind::Int];
const FLOATS: &[NumberKind] = &[NumberKind::Float];
const EACH: usize = usize::MAX;

impl<'a> Side<'a> {
    fn of(vector: Vector<'a>, arena: &'a Bump) -> Option<Side<'a>> {
        let one = |value, kinds| {
            let values = arena.alloc_slice_copy(&[value]);
            Some(Side { values, kinds, value_mask: 0, kind_mask: 0 })
        };
        match vector {
            Vector::Constant(Value::Int(value)) if is_exact(value) => one(value as f64, INTS),
            Vector::Constant(Value::Float(value)) => one(value, FLOATS),
            Vector::Ints(ints) => {
                let values = arena.alloc_slice_fill_with(ints.len(), |i| ints[i] as f64);
                let exact = ints.iter().all(|&value| is_exact(value));
                exact.then_some(Side { values, kinds: INTS, value_mask: EACH, kind_mask: 0 })
            }
            Vector::Floats(values) => Some(Side { values, kinds: FLOATS, value_mask: EACH, kind_mask: 0 }),
            Vector::Numbers(Numbers { values, kinds }) => {
                Some(Side { values, kinds, value_mask: EACH, kind_mask: EACH })
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn get(&self, row: usize) -> (f64, NumberKind) {
        (self.values[row & self.value_mask], self.kinds[row & self.kind_mask])
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
        _ => {}
    }
    let (left, right) = (Side::of(left, arena)?, Side::of(right, arena)?);
    match op {
        Arithmetic::Add => floats(left, right, len, arena, |a, b| a + b),
        Arithmetic::Subtract => floats(left, right, len, arena, |a, b| a - b),
        Arithmetic::Multiply => floats(left, right, len, arena, |a, b| a * b),
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

fn floats<'a>(
    left: Side<'a>,
    right: Side<'a>,
    len: usize,
    arena: &'a Bump,
    apply: impl Fn(f64, f64) -> f64,
) -> Option<Vector<'a>> {
    let value = |i: usize| apply(left.values[i & left.value_mask], right.values[i & right.value_mask]);
    let values = arena.alloc_slice_fill_with(len, value);
    let uniform = left.kind_mask | right.kind_mask == 0;
    if uniform && left.kinds[0].join(right.kinds[0]) == NumberKind::Float {
        return values.iter().all(|value| value.is_finite()).then_some(Vector::Floats(values));
    }
    let mut fits = true;
    let kinds = arena.alloc_slice_fill_with(len, |i| {
        let kind = left.get(i).1.join(right.get(i).1);
        match kind {
            NumberKind::Int => {
                fits &= values[i].abs() <= Numbers::MAX_INT as f64;
                // An integer has no negative zero.
                values[i] += 0.0;
            }
            NumberKind::Float => fits &= values[i].is_finite(),
            NumberKind::Null => values[i] = 0.0,
        }
        kind
    });
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
    if let (Vector::Ints(ints), Vector::Constant(Value::Int(bound))) = (left, right) {
        return Some(Vector::build_bools(arena, len, |i| Some(op.holds(ints[i].cmp(&bound)))));
    }
    if !matches!(right, Vector::Constant(_)) {
        return None;
    }
    let (left, right) = (Side::of(left, arena)?, Side::of(right, arena)?);
    let bound = right.values[0];
    Some(Vector::build_bools(arena, len, |i| {
        let (value, kind) = left.get(i);
        let ordering = value.partial_cmp(&bound)?;
        (kind != NumberKind::Null).then(|| op.holds(ordering))
    }))
}
