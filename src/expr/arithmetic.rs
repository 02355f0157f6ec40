//! Arithmetic: exact on integers, IEEE 754 on floats, days on dates.

use super::fault::Fault;
use super::frame::Frame;
use super::vector::Vector;
use super::{Expr, Site, numeric};
use crate::value::{Date, Value};

/// An arithmetic operation on two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: float division.
    Divide,
    /// `//`: division that drops the fraction.
    IntegerDivide,
    /// `%`: the remainder of `//`, with the sign of the dividend.
    Remainder,
}

impl Arithmetic {
    /// The operation on two values, NULL if one is NULL.
    ///
    /// # Errors
    /// [`Fault::Type`] on anything but numbers and days, [`Fault::DivisionByZero`], [`Fault::Overflow`].
    pub fn apply<'a>(self, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault> {
        use Value::{Float, Int, Null, Wide as Big};
        match (left, right) {
            (Null, _) | (_, Null) => Ok(Null),
            (Int(a), Int(b)) => self.ints(a, b),
            (Int(_) | Big(_), Int(_) | Big(_)) => self.wides(wide(left), wide(right)),
            (Int(_) | Big(_) | Float(_), Int(_) | Big(_) | Float(_)) => self.floats(float(left), float(right)),
            (Value::Date(day), Int(days)) if matches!(self, Arithmetic::Add | Arithmetic::Subtract) => {
                let days = if self == Arithmetic::Add { Some(days) } else { days.checked_neg() };
                days.and_then(|days| i64::from(day.0).checked_add(days))
                    .and_then(|days| i32::try_from(days).ok())
                    .map(|days| Value::Date(Date(days)))
                    .ok_or(Fault::Overflow)
            }
            (Int(_), Value::Date(_)) if self == Arithmetic::Add => self.apply(right, left),
            (Value::Date(a), Value::Date(b)) if self == Arithmetic::Subtract => {
                Ok(Int(i64::from(a.0) - i64::from(b.0)))
            }
            _ => Err(Fault::Type),
        }
    }

    #[inline]
    fn ints<'a>(self, a: i64, b: i64) -> Result<Value<'a>, Fault> {
        let small = match self {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            _ => return self.wides(i128::from(a), i128::from(b)),
        };
        match small {
            Some(value) => Ok(Value::Int(value)),
            None => self.wides(i128::from(a), i128::from(b)),
        }
    }

    fn wides<'a>(self, a: i128, b: i128) -> Result<Value<'a>, Fault> {
        let value = match self {
            Arithmetic::Divide => return self.floats(a as f64, b as f64),
            Arithmetic::IntegerDivide | Arithmetic::Remainder if b == 0 => return Err(Fault::DivisionByZero),
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::IntegerDivide => a.checked_div(b),
            Arithmetic::Remainder => Some(a.checked_rem(b).unwrap_or(0)),
        };
        value.map(Value::integer).ok_or(Fault::Overflow)
    }

    #[inline]
    fn floats<'a>(self, a: f64, b: f64) -> Result<Value<'a>, Fault> {
        let value = match self {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            _ if b == 0.0 => return Err(Fault::DivisionByZero),
            Arithmetic::Divide => a / b,
            Arithmetic::IntegerDivide => (a / b).trunc(),
            Arithmetic::Remainder => a % b,
        };
        if value.is_finite() { Ok(Value::Float(value)) } else { Err(Fault::Overflow) }
    }
}

fn wide(value: Value) -> i128 {
    match value {
        Value::Int(small) => i128::from(small),
        Value::Wide(wide) => wide.get(),
        _ => 0,
    }
}

fn float(value: Value) -> f64 {
    match value {
        Value::Float(float) => float,
        other => wide(other) as f64,
    }
}

pub(super) fn eval<'a>(
    op: Arithmetic,
    left: &'a Expr,
    right: &'a Expr,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    let (a, b) = (left.eval(frame, rows), right.eval(frame, rows));
    if let Some(vector) = numeric::arithmetic(op, a, b, rows.len(), frame.arena) {
        return vector;
    }
    Vector::build(frame.arena, rows.len(), |i| match op.apply(a.get(i), b.get(i)) {
        Ok(value) => value,
        Err(fault) => {
            frame.fault(site, fault, rows[i]);
            Value::Null
        }
    })
}
