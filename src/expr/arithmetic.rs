//! Arithmetic: exact on integers and decimals, IEEE 754 on floats, days on dates.

use super::decimal::decimal_literal;
use super::fault::{Class, Fault, Met};
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
    /// [`Fault::Type`] on anything but numbers, days, moments and intervals, [`Fault::DivisionByZero`], [`Fault::Overflow`].
    pub fn apply<'a>(self, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault> {
        use Value::{Decimal, Float, Int, Null, Wide as Big};
        match (left, right) {
            (Null, _) | (_, Null) => Ok(Null),
            (Int(a), Int(b)) => self.ints(a, b),
            (Int(_) | Big(_), Int(_) | Big(_)) => self.wides(wide(left), wide(right)),
            (Int(_) | Big(_) | Float(_), Int(_) | Big(_) | Float(_)) => self.floats(float(left), float(right)),
            (Decimal(_), Float(_)) | (Float(_), Decimal(_)) => self.floats(float(left), float(right)),
            (Decimal(_), Int(_) | Big(_) | Decimal(_)) | (Int(_) | Big(_), Decimal(_)) => self.decimals(left, right),
            (Decimal(value), _) => self.times(Float(value.to_float()), right),
            (_, Decimal(value)) => self.times(left, Float(value.to_float())),
            _ => self.times(left, right),
        }
    }

    /// The operation on decimals, and integers beside them: exact, save for `/`, which gives a float.
    fn decimals<'a>(self, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault> {
        if self == Arithmetic::Divide {
            return self.floats(float(left), float(right));
        }
        let exact = |value| match value {
            Value::Decimal(value) => Some(value),
            value => crate::value::Decimal::new(wide(value), 0),
        };
        let (Some(a), Some(b)) = (exact(left), exact(right)) else { return Err(Fault::Overflow) };
        let result = match self {
            Arithmetic::IntegerDivide | Arithmetic::Remainder if b.signum() == 0 => return Err(Fault::DivisionByZero),
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::IntegerDivide | Arithmetic::Divide => a.checked_div(b),
            Arithmetic::Remainder => a.checked_rem(b),
        };
        result.map(Value::Decimal).ok_or(Fault::Overflow)
    }

    /// The operation on days, moments and intervals, and numbers beside them.
    fn times<'a>(self, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault> {
        use Arithmetic::{Add, Divide, Multiply, Subtract};
        use Value::{Date as Day, Float, Int, Interval, Timestamp};
        let moment = |value| match value {
            Timestamp(moment) => Ok(moment),
            Day(day) => day.midnight().ok_or(Fault::Overflow),
            _ => Err(Fault::Type),
        };
        let result = match (self, left, right) {
            (Add, Day(day), Int(days)) | (Add, Int(days), Day(day)) => day_after(day, days),
            (Subtract, Day(day), Int(days)) => days.checked_neg().and_then(|days| day_after(day, days)),
            (Subtract, Day(a), Day(b)) => Some(Int(i64::from(a.0) - i64::from(b.0))),
            (Subtract, Day(_) | Timestamp(_), Day(_) | Timestamp(_)) => {
                crate::value::Interval::between(moment(right)?, moment(left)?).map(Interval)
            }
            (Add, Day(_) | Timestamp(_), Interval(span)) => moment(left)?.checked_add(span).map(Timestamp),
            (Add, Interval(span), Day(_) | Timestamp(_)) => moment(right)?.checked_add(span).map(Timestamp),
            (Subtract, Day(_) | Timestamp(_), Interval(span)) => {
                let moment = moment(left)?;
                span.checked_neg().and_then(|span| moment.checked_add(span)).map(Timestamp)
            }
            (Add, Interval(a), Interval(b)) => a.checked_add(b).map(Interval),
            (Subtract, Interval(a), Interval(b)) => b.checked_neg().and_then(|b| a.checked_add(b)).map(Interval),
            (Multiply, Interval(span), Int(factor)) | (Multiply, Int(factor), Interval(span)) => {
                span.checked_mul(factor).map(Interval)
            }
            (Multiply, Interval(span), Float(factor)) | (Multiply, Float(factor), Interval(span)) => {
                span.scale(factor).map(Interval)
            }
            (Divide, Interval(span), Int(_) | Float(_)) => match float(right) {
                0.0 => return Err(Fault::DivisionByZero),
                divisor => span.scale(1.0 / divisor).map(Interval),
            },
            _ => return Err(Fault::Type),
        };
        result.ok_or(Fault::Overflow)
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

/// The day that many days later. [`None`] if it is out of range.
fn day_after<'a>(day: Date, days: i64) -> Option<Value<'a>> {
    let day = i64::from(day.0).checked_add(days)?;
    i32::try_from(day).ok().map(|day| Value::Date(Date(day)))
}

fn wide(value: Value) -> i128 {
    match value {
        Value::Int(small) => i128::from(small),
        Value::Wide(wide) => wide.get(),
        _ => 0,
    }
}

/// A number as a float.
fn float(value: Value) -> f64 {
    value.to_float().unwrap_or(0.0)
}

/// The operand that is no number, or both where neither can be told to be the wrong one.
fn met(left: Value, right: Value) -> Option<Met> {
    match (Class::of(left), Class::of(right)) {
        (_, Some(Class::Number)) => Met::value(left),
        (Some(Class::Number), _) => Met::value(right),
        (left_class, right_class) if left_class == right_class => Met::value(left),
        _ => Met::pair(left, right),
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
    let (mut a, mut b) = (left.eval(frame, rows), right.eval(frame, rows));
    // A literal is a decimal beside a decimal.
    let literals = (decimal_literal(left), decimal_literal(right));
    match (a, b, literals) {
        (Vector::Decimals(_), _, (None, Some(literal))) => b = Vector::Constant(Value::Decimal(literal)),
        (_, Vector::Decimals(_), (Some(literal), None)) => a = Vector::Constant(Value::Decimal(literal)),
        _ => {}
    }
    if let Some(vector) = numeric::arithmetic(op, a, b, rows.len(), frame.arena) {
        return vector;
    }
    Vector::build(frame.arena, rows.len(), |i| {
        let (mut x, mut y) = (a.get(i), b.get(i));
        match literals {
            (None, Some(literal)) if matches!(x, Value::Decimal(_)) => y = Value::Decimal(literal),
            (Some(literal), None) if matches!(y, Value::Decimal(_)) => x = Value::Decimal(literal),
            _ => {}
        }
        op.apply(x, y).unwrap_or_else(|fault| {
            frame.fault(site, fault, met(x, y), rows[i]);
            Value::Null
        })
    })
}
