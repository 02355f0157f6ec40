//! Constants of a query: numbers, texts, moments, intervals, patterns, and what takes them: LIKE and slices.

use sqlparser::ast::{self, AccessExpr, DataType, Subscript, UnaryOperator};

use super::check::iso_advice;
use super::expr::{Binder, Scope, pair_site, site};
use crate::error::Result;
use crate::expr::{Expr, Literal, Pattern, Type, function};
use crate::value::time::Unit;
use crate::value::{Date, Decimal, Interval, Timestamp, Value};

impl Binder<'_, '_> {
    pub(super) fn literal(&self, expr: &ast::Expr, value: &ast::Value) -> Result<Literal> {
        if let Some(text) = string(value) {
            return Ok(Literal::Text(text.to_owned()));
        }
        match value {
            ast::Value::Null => Ok(Literal::Null),
            ast::Value::Boolean(value) => Ok(Literal::Bool(*value)),
            ast::Value::Number(digits, _) => self.number(expr, digits),
            ast::Value::Placeholder(_) => Err(self
                .unsupported(expr, "a parameter")
                .hint("write the value itself; in double quotes the shell puts in what a variable holds")),
            other => Err(self.unsupported(expr, &format!("the literal {other}"))),
        }
    }

    /// A number of the query: an integer of any length, or a float if it has a point or an exponent.
    pub(super) fn number(&self, expr: &ast::Expr, digits: &str) -> Result<Literal> {
        if let Ok(value) = digits.parse::<i128>() {
            return Ok(Literal::Int(value));
        }
        let (sign, unsigned) = digits.strip_prefix('-').map_or(("", digits), |unsigned| ("-", unsigned));
        if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Literal::Huge(format!("{sign}{}", unsigned.trim_start_matches('0'))));
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Literal::Float(value, Decimal::read(digits.as_bytes(), None).ok())),
            _ => Err(self.error(expr, format!("{digits} is not a number that fits"))),
        }
    }

    pub(super) fn typed_literal(&self, expr: &ast::Expr, typed: &ast::TypedString) -> Result<Literal> {
        let name = typed.data_type.to_string();
        let text = string(&typed.value.value).unwrap_or_default();
        if let DataType::Decimal(_) | DataType::Numeric(_) | DataType::Dec(_) = typed.data_type {
            let to = self.data_type(expr, &typed.data_type)?;
            return match to.cast(Value::Text(text.as_bytes()), &bumpalo::Bump::new()) {
                Ok(Value::Decimal(value)) => Ok(Literal::Decimal(value)),
                _ => Err(self.error(expr, format!("'{text}' is not a number that fits {to}"))),
            };
        }
        let literal = match Type::named(&name) {
            Some(Type::Date) => Date::parse(text.as_bytes()).map(Literal::Date),
            Some(Type::Timestamp) => Timestamp::parse(text.as_bytes()).map(Literal::Timestamp),
            Some(Type::Interval) => Interval::parse(text).map(Literal::Interval),
            _ => return Err(self.unsupported(expr, &format!("a literal of type {name}"))),
        };
        literal.ok_or_else(|| {
            self.error(
                expr,
                format!(
                    "'{text}' is not {} {}",
                    if name.starts_with(['i', 'I']) { "an" } else { "a" },
                    name.to_lowercase()
                ),
            )
            .hint(match Type::named(&name) {
                Some(Type::Interval) => "write it as in interval '1 day 12:00:00'".to_owned(),
                _ => iso_advice(text),
            })
        })
    }

    /// `text like pattern escape '!'`: a pattern that stands in the query is compiled once.
    pub(super) fn like(
        &self,
        expr: &ast::Expr,
        (operand, pattern, escape): (&ast::Expr, &ast::Expr, Option<&ast::Expr>),
        (negated, ignore_case): (bool, bool),
        scope: &mut dyn Scope,
    ) -> Result<Expr> {
        let site = site(operand, "text");
        let constant = |expr: &ast::Expr| match expr {
            ast::Expr::Value(value) => string(&value.value).map(str::to_owned),
            _ => None,
        };
        let (text, escaping) = (constant(pattern), escape.map(constant));
        if let (Some(text), None | Some(Some(_))) = (&text, &escaping) {
            let escape = escaping.flatten().unwrap_or_default();
            let mut chars = escape.chars();
            let (escape, None) = (chars.next(), chars.next()) else {
                return Err(self.error(pattern, "ESCAPE takes a single character".to_owned()));
            };
            let pattern = Pattern::new(text, escape, ignore_case)
                .ok_or_else(|| self.error(pattern, "the pattern ends with its escape character".to_owned()))?;
            let bound = Box::new(self.bind(operand, scope)?);
            self.note_quoted(operand, &bound);
            return Ok(Expr::Like { operand: bound, pattern: Box::new(pattern), negated, site });
        }
        let mut arguments = vec![self.bind(operand, scope)?, self.bind(pattern, scope)?];
        if matches!(&arguments[1], Expr::Literal(literal) if !matches!(literal, Literal::Null | Literal::Text(_))) {
            return Err(self.error(pattern, "a LIKE pattern is a text in single quotes".to_owned()));
        }
        arguments.extend(escape.map(|escape| self.bind(escape, scope)).transpose()?);
        let name = if ignore_case { "ilike_escape" } else { "like_escape" };
        let function = function(name).ok_or_else(|| self.unknown_function(expr, name))?;
        let label = pair_site(operand, pattern, "text and a pattern");
        let matches = Expr::Call { function, arguments, site: label };
        Ok(if negated { Expr::Not(Box::new(matches), site) } else { matches })
    }

    /// A way further into a value: `[0]`, `.key`, or a slice `[1:3]`, which counts from 0 and leaves its end out.
    pub(super) fn access(&self, operand: Expr, root: &ast::Expr, access: &AccessExpr) -> Result<Expr> {
        let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) = access else {
            return Ok(Expr::Item { operand: Box::new(operand), step: self.item_step(access)? });
        };
        if let Some(stride) = stride {
            return Err(self.unsupported(stride, "a step in a slice"));
        }
        let bound = |bound: &Option<ast::Expr>| match bound {
            None => Ok(None),
            Some(expr) => match expr {
                ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                    digits(expr).map(|digits| format!("-{digits}"))
                }
                expr => digits(expr).map(str::to_owned),
            }
            .and_then(|digits| digits.parse::<i64>().ok())
            .map(Some)
            .ok_or_else(|| {
                self.error(expr, "a bound of a slice is an integer that stands in the query".to_owned())
                    .hint("list_slice(value, from, to) takes any, from 1 and with the last")
            }),
        };
        // The function counts from 1 and takes the last, too; from the end both count alike.
        let from = bound(lower_bound)?.map_or(1, |from| if from < 0 { from } else { from.saturating_add(1) });
        let to = bound(upper_bound)?.map_or(-1, |to| if to < 0 { to.saturating_sub(1) } else { to });
        let function = function("list_slice").ok_or_else(|| self.unknown_function(root, "list_slice"))?;
        let bounds = [from, to].map(|bound| Expr::Literal(Literal::Int(bound.into())));
        let arguments = std::iter::once(operand).chain(bounds).collect();
        Ok(Expr::Call { function, arguments, site: site(root, "an array or text") })
    }

    /// `interval '1 day'`, `interval 1 day`, `interval (x) day`
    pub(super) fn interval(&self, expr: &ast::Expr, interval: &ast::Interval, scope: &mut dyn Scope) -> Result<Expr> {
        let wrong = || {
            self.error(expr, format!("`{expr}` is not an interval"))
                .hint("write it as interval '1 day 12:00:00', or interval 3 hours")
        };
        let unit = match &interval.leading_field {
            None => None,
            Some(field) => Some(Unit::from_name(&field.to_string()).ok_or_else(wrong)?),
        };
        if interval.last_field.is_some() || interval.leading_precision.is_some() {
            return Err(self.unsupported(expr, "a range of units"));
        }
        let literal = |text: &str| match unit {
            None => Interval::parse(text),
            Some(unit) => Interval::parse(&format!("{text} {unit:?}")),
        };
        let text = match interval.value.as_ref() {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(digits, _) => Some(digits.clone()),
                value => string(value).map(str::to_owned),
            },
            ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => digits(expr).map(|digits| format!("-{digits}")),
            _ => None,
        };
        match (text, unit) {
            (Some(text), _) => literal(&text).map(|span| Expr::Literal(Literal::Interval(span))).ok_or_else(wrong),
            (None, Some(unit)) => {
                let name = format!("to_{unit:?}s").to_lowercase();
                self.call(expr, &name, &[&interval.value], scope)
            }
            (None, None) => Err(wrong()),
        }
    }
}

/// The digits of an unsigned number of the query.
pub(super) fn digits(expr: &ast::Expr) -> Option<&str> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

/// A huge integer with the other sign. The least 128-bit integer is huge before it gets its sign.
pub(super) fn negated(text: &str) -> Literal {
    let text = text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned);
    text.parse().map_or(Literal::Huge(text), Literal::Int)
}

pub(super) fn string(value: &ast::Value) -> Option<&str> {
    match value {
        ast::Value::SingleQuotedString(text)
        | ast::Value::EscapedStringLiteral(text)
        | ast::Value::UnicodeStringLiteral(text)
        | ast::Value::NationalStringLiteral(text) => Some(text),
        _ => None,
    }
}
