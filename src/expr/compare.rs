//! Comparisons with SQL's NULL, and the casts of text literals beside dates and timestamps.

use std::cmp::Ordering;

use super::fault::Fault;
use super::frame::{Frame, cell_value};
use super::vector::Vector;
use super::{Expr, Literal, Site, numeric};
use crate::scan::{Cell, Kind, Short};
use crate::value::{Date, Timestamp, Value, order};

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

/// A text literal that is compared with values that turn out to be dates or timestamps is read as one.
#[derive(Clone, Copy)]
pub(super) struct TextLiteral {
    date: Option<Date>,
    timestamp: Option<Timestamp>,
}

impl TextLiteral {
    pub(super) fn of(expr: &Expr) -> Option<TextLiteral> {
        let Expr::Literal(Literal::Text(text)) = expr else { return None };
        // A literal with a time of day beside a date is a moment: `date(t) > '2025-01-01T12:00'`.
        let timestamp = Timestamp::parse(text.as_bytes());
        let date = Date::parse(text.as_bytes()).filter(|_| text.trim().len() <= 10);
        Some(TextLiteral { date, timestamp })
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
    let literal = TextLiteral::of(right);
    if let (Expr::Field { column, .. }, Some(_), Comparison::Equal | Comparison::NotEqual) = (left, literal, op)
        && let Expr::Literal(right) = right
        && let Some(vector) = eval_field_equals_text(op, *column, right.value(), site, frame, rows)
    {
        return vector;
    }
    let (a, b) = (left.eval(frame, rows), right.eval(frame, rows));
    if let Some(vector) = numeric::compare(op, a, b, rows.len(), frame.arena) {
        return vector;
    }
    Vector::build_bools(frame.arena, rows.len(), |i| {
        let (x, mut y) = (a.get(i), b.get(i));
        if let Some(literal) = literal {
            y = literal.beside(y, x);
        }
        op.apply(x, y).unwrap_or_else(|fault| {
            frame.fault(site, fault, rows[i]);
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
        .map(|(bound, op)| (bound.eval(frame, rows), TextLiteral::of(bound), op));
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
            frame.fault(site, Fault::Type, rows[i]);
        }
        if unknown || fault { None } else { Some(!negated) }
    })
}

/// A field beside a text literal: bytes are compared where they lie, and only escaped text is decoded.
fn eval_field_equals_text<'a>(
    op: Comparison,
    column: usize,
    text: Value<'a>,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Option<Vector<'a>> {
    let (block, cells) = frame.cells(column)?;
    let wanted = Wanted::of(text)?;
    let negated = op == Comparison::NotEqual;
    Some(Vector::build_bools(frame.arena, rows.len(), |i| {
        let cell = cells[rows[i] as usize];
        match cell.kind() {
            Kind::Text => Some(wanted.is(cell, block) != negated),
            Kind::Missing | Kind::Null => None,
            _ => op.apply(cell_value(cell, block, frame.arena), text).unwrap_or_else(|fault| {
                frame.fault(site, fault, rows[i]);
                None
            }),
        }
    }))
}

/// A text that fields are compared with.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    text: &'a [u8],
    short: Option<Short>,
}

impl<'a> Wanted<'a> {
    /// The text, if the value is one.
    pub(super) fn of(value: Value<'a>) -> Option<Wanted<'a>> {
        let Value::Text(text) = value else { return None };
        Some(Wanted { text, short: Short::of(text) })
    }

    /// Whether it is what a cell of plain text covers.
    #[inline]
    pub(super) fn is(&self, cell: Cell, block: &[u8]) -> bool {
        match self.short {
            // All of it is compared, as whether the lengths are the same is hard to predict for a branch.
            Some(short) => {
                let span = cell.span();
                Short::within(block, span.start as usize..span.end as usize) == Some(short)
            }
            None => cell.bytes(block) == self.text,
        }
    }
}
