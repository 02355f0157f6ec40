//! The keys of ORDER BY.

use super::{Expr, Frame, Vector};
use crate::value::{Value, key};

/// One key of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    /// What is sorted by.
    pub expr: Expr,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

impl OrderKey {
    /// What stands behind the expression: ` desc`, ` nulls first`.
    pub fn suffix(&self) -> &'static str {
        match (self.descending, self.nulls_first) {
            (false, false) => "",
            (true, false) => " desc",
            (false, true) => " nulls first",
            (true, true) => " desc nulls first",
        }
    }
}

/// Appends the encoding of one row's values of ORDER BY: bytes that compare as the rows are to stand.
pub fn encode_order(keys: &[OrderKey], values: &[Vector], row: usize, out: &mut Vec<u8>) {
    for (order, vector) in keys.iter().zip(values) {
        let value = vector.get(row);
        if order.nulls_first {
            out.push(u8::from(!matches!(value, Value::Null)));
        }
        if order.descending {
            key::encode_descending(value, out);
        } else {
            key::encode(value, out);
        }
    }
}

/// For each row the bytes by which it is to stand among others, as a text: the values of [`Expr::SortKey`].
pub(super) fn eval_sort_key<'a>(keys: &'a [OrderKey], frame: &Frame<'a>, rows: &[u32]) -> Vector<'a> {
    let values: Vec<Vector<'a>> = keys.iter().map(|key| key.expr.eval(frame, rows)).collect();
    let mut encoded = Vec::new();
    Vector::build(frame.arena, rows.len(), |row| {
        encoded.clear();
        encode_order(keys, &values, row, &mut encoded);
        Value::Text(frame.arena.alloc_slice_copy(&encoded))
    })
}
