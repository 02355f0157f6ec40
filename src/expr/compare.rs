//! Comparisons with SQL's NULL, and the casts of literals beside dates, timestamps and decimals.

use std::cmp::Ordering;

use super::fault::{Fault, Met};
use super::frame::Frame;
use super::vector::Vector;
use super::{Expr, Literal, Site, numeric};
use crate::value::{Date, Decimal, Timestamp, Value, order};

/// A comparison of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`, `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether values in this order satisfy the comparison.
    #[inline]
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering == Ordering::Equal,
            Comparison::NotEqual => ordering != Ordering::Equal,
            Comparison::Less => ordering == Ordering::Less,
            Comparison::LessOrEqual => ordering != Ordering::Greater,
            Comparison::Greater => ordering == Ordering::Greater,
            Comparison::GreaterOrEqual => ordering != Ordering::Less,
        }
    }

    /// The comparison with its sides exchanged.
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }

    /// The comparison of two values: `None` if one is NULL.
    ///
    /// # Errors
    /// [`Fault::Type`] when the values are of types that do not compare.
    #[inline]
    pub fn apply(self, left: Value, right: Value) -> Result<Option<bool>, Fault> {
        match order::sql_compare(left, right) {
            Some(ordering) => Ok(Some(self.holds(ordering))),
            None if matches!(left, Value::Null) || matches!(right, Value::Null) => Ok(None),
            None => Err(Fault::Type),
        }
    }
}

/// A literal that takes the type of what it is compared with: a text is read as a date or a timestamp beside one, a number
/// with a fraction as a decimal beside one, so that `decimal(price) = 9.99` means what it says.
#[derive(Clone, Copy)]
pub(super) struct Adaptive {
    date: Option<Date>,
    timestamp: Option<Timestamp>,
    decimal: Option<Decimal>,
}

impl Adaptive {
    pub(super) fn of(expr: &Expr) -> Option<Adaptive> {
        let none = Adaptive { date: None, timestamp: None, decimal: None };
        match expr {
            Expr::Literal(Literal::Text(text)) => {
                // A literal with a time of day beside a date is a moment: `date(t) > '2025-01-01T12:00'`.
                let timestamp = Timestamp::parse(text.as_bytes());
                let date = Date::parse(text.as_bytes()).filter(|_| text.trim().len() <= 10);
                Some(Adaptive { date, timestamp, ..none })
            }
            Expr::Literal(Literal::Float(_, decimal @ Some(_))) => Some(Adaptive { decimal: *decimal, ..none }),
            _ => None,
        }
    }

    /// The literal as a value that compares with `other`.
    pub(super) fn beside<'a>(self, literal: Value<'a>, other: Value) -> Value<'a> {
        match other {
            Value::Date(_) => match (self.date, self.timestamp) {
                (Some(date), _) => Value::Date(date),
                (None, Some(timestamp)) => Value::Timestamp(timestamp),
                (None, None) => literal,
            },
            Value::Timestamp(_) => self.timestamp.map_or(literal, Value::Timestamp),
            Value::Decimal(_) => self.decimal.map_or(literal, Value::Decimal),
            _ => literal,
        }
    }
}

pub(super) fn eval<'a>(
    op: Comparison,
    left: &'a Expr,
    right: &'a Expr,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    // A text literal goes to the right, beside whatever it is to be cast for; so does any literal beside a column.
    let goes_right = match right {
        Expr::Literal(Literal::Text(_)) => false,
        Expr::Literal(_) => matches!(left, Expr::Literal(Literal::Text(_))),
        _ => matches!(left, Expr::Literal(_)),
    };
    if goes_right {
        return eval(op.flipped(), right, left, site, frame, rows);
    }
    let literal = Adaptive::of(right);
    let beside_literal = right.is_literal();
    let (a, b) = (left.eval(frame, rows), right.eval(frame, rows));
    if let Some(vector) = numeric::compare(op, a, b, rows.len(), frame.arena) {
        return vector;
    }
    if let (Vector::Constant(x), Vector::Constant(y)) = (a, b)
        && let Ok(truth) = op.apply(x, literal.map_or(y, |literal| literal.beside(y, x)))
    {
        return Vector::Bools(frame.arena.alloc_slice_fill_copy(rows.len(), truth));
    }
    Vector::build_bools(frame.arena, rows.len(), |i| {
        let (x, mut y) = (a.get(i), b.get(i));
        if let Some(literal) = literal {
            y = literal.beside(y, x);
        }
        op.apply(x, y).unwrap_or_else(|fault| {
            let met = if beside_literal { Met::value(x) } else { Met::pair(x, y) };
            frame.fault(site, fault, met, rows[i]);
            None
        })
    })
}

/// `x between y and z`: `x >= y and x <= z`, x evaluated once.
pub(super) fn eval_between<'a>(
    operand: &'a Expr,
    low: &'a Expr,
    high: &'a Expr,
    negated: bool,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    let values = operand.eval(frame, rows);
    let bounds = [(low, Comparison::GreaterOrEqual), (high, Comparison::LessOrEqual)]
        .map(|(bound, op)| (bound.eval(frame, rows), Adaptive::of(bound), op));
    Vector::build_bools(frame.arena, rows.len(), |i| {
        let value = values.get(i);
        let (mut unknown, mut fault) = (false, false);
        for (bound, literal, op) in &bounds {
            let mut bound = bound.get(i);
            if let Some(literal) = literal {
                bound = literal.beside(bound, value);
            }
            match op.apply(value, bound) {
                Ok(Some(true)) => {}
                Ok(Some(false)) => return Some(negated),
                Ok(None) => unknown = true,
                Err(_) => fault = true,
            }
        }
        if fault {
            frame.fault(site, Fault::Type, Met::value(value), rows[i]);
        }
        if unknown || fault { None } else { Some(!negated) }
    })
}
