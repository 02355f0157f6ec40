//! Decimals: casts that read the digits of a field, and literals beside them.

use super::cast::{Type, checked};
use super::fault::{Fault, Met};
use super::frame::{Frame, cell_value};
use super::vector::Vector;
use super::{Expr, Literal, Site};
use crate::scan::Kind;
use crate::value::{Decimal, NotDecimal, Value};

/// `cast(x as decimal(p, s))`. Numbers of records are read from their own digits, which a float may not hold all of.
pub(super) fn eval_cast<'a>(
    operand: &'a Expr,
    (precision, scale): (u8, Option<u8>),
    lenient: bool,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    let arena = frame.arena;
    let read = |text: &[u8]| match Decimal::read_json(text, scale) {
        Ok(value) => checked(value, precision),
        Err(NotDecimal::NoNumber) => Err(Fault::Invalid),
        Err(NotDecimal::TooLong) => Err(Fault::Overflow),
    };
    let cast = |value| Type::Decimal { precision, scale }.cast(value, arena);
    let null_if_wrong = |i: usize, result: Result<Value<'a>, Fault>, value: &dyn Fn() -> Value<'a>| {
        result.unwrap_or_else(|fault| {
            if !lenient {
                frame.fault(site, fault, Met::value(value()), rows[i]);
            }
            Value::Null
        })
    };
    if let Expr::Field { column, .. } = operand
        && let Some((block, cells)) = frame.cells(*column)
    {
        let is_number = |row: &u32| matches!(cells[*row as usize].kind(), Kind::Int | Kind::Float);
        if rows.iter().all(is_number) {
            let digits = rows.iter().map(|&row| read(cells[row as usize].bytes(block)));
            if let Ok(decimals) = arena.alloc_slice_try_fill_iter(digits) {
                return Vector::Decimals(decimals);
            }
        }
        return Vector::build(arena, rows.len(), |i| {
            let cell = cells[rows[i] as usize];
            let value = || cell_value(cell, block, arena);
            let result = match cell.kind() {
                Kind::Int | Kind::Float => read(cell.bytes(block)).map(Value::Decimal),
                _ => cast(value()),
            };
            null_if_wrong(i, result, &value)
        });
    }
    if let Expr::Item { .. } = operand
        && let Some(texts) = operand.texts(frame, rows)
    {
        return Vector::build(arena, rows.len(), |i| {
            let result = match texts[i].map(<[u8]>::trim_ascii) {
                None => Ok(Value::Null),
                Some(text @ [b'-' | b'0'..=b'9', ..]) => read(text).map(Value::Decimal),
                Some(text) => cast(Value::from_json(text, arena)),
            };
            null_if_wrong(i, result, &|| texts[i].map_or(Value::Null, |text| Value::from_json(text, arena)))
        });
    }
    let values = operand.eval(frame, rows);
    Vector::build(arena, rows.len(), |i| null_if_wrong(i, cast(values.get(i)), &|| values.get(i)))
}

/// The digits of a literal that is a float, unless it stands beside a decimal.
pub(super) fn decimal_literal(expr: &Expr) -> Option<Decimal> {
    match expr {
        Expr::Literal(Literal::Float(_, decimal)) => *decimal,
        _ => None,
    }
}

/// Makes decimals of the literals with a fraction among some expressions that come together, if another of them is seen to
/// be a decimal: `coalesce(decimal(price), 0.0)`, and `greatest(decimal(price), 10) * 1.19`, of which a value may be an
/// integer. Where it is not seen, operators find it out value by value.
pub(crate) fn adapt_literals<'e>(expressions: impl Iterator<Item = &'e mut Expr>) {
    let expressions: Vec<&mut Expr> = expressions.collect();
    if expressions.iter().any(|expr| expr.is_decimal()) {
        for expr in expressions {
            if let Some(decimal) = decimal_literal(expr) {
                *expr = Expr::Literal(Literal::Decimal(decimal));
            }
        }
    }
}
