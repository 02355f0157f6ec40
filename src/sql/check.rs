//! What can be known to be wrong before anything is read: constants, and expressions whose type is clear from their form.

use bumpalo::Bump;
use sqlparser::ast::{self, BinaryOperator};

use super::expr::{Binder, Scope};
use crate::error::{Error, Result};
use crate::expr::{Class, Expr, Fault, Function, Literal, Type};
use crate::value::{Date, Timestamp, Value};

/// The most arguments of a call that are tried out.
const MOST_VARYING: usize = 2;
/// The greatest number with which a call is tried out.
const LARGE: u128 = 10_000;

impl Binder<'_, '_> {
    /// Binds a condition.
    pub(super) fn truth(&self, expr: &ast::Expr, scope: &mut dyn Scope) -> Result<Expr> {
        let bound = self.bind(expr, scope)?;
        self.check_truth(expr, &bound)?;
        Ok(bound)
    }

    /// Refuses a condition that is never a truth value.
    pub(super) fn check_truth(&self, expr: &ast::Expr, bound: &Expr) -> Result<()> {
        let Some(class) = class_of(bound).filter(|class| *class != Class::Bool) else { return Ok(()) };
        let error = self.error(expr, format!("a condition is true or false, and `{expr}` is {}", class.one()));
        Err(match bound {
            Expr::Concat(..) => error.hint("`||` joins texts; write `or`"),
            Expr::Literal(Literal::Text(text)) => error.hint(format!("a field stands without quotes: {text}")),
            _ => error.hint("compare it with something: =, <>, <, <=, >, >=, is null, like, in"),
        })
    }

    /// Notes that an expression is a text that looks like the name of a field, where a constant is hardly meant.
    pub(super) fn note_quoted(&self, expr: &ast::Expr, bound: &Expr) {
        let Expr::Literal(Literal::Text(text)) = bound else { return };
        let is_name = |part: &str| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if text.split('.').all(is_name) {
            let note = self
                .error(expr, format!("'{text}' is a text, the same for every record"))
                .hint(format!("a field stands without quotes: {text}"));
            let mut notes = self.notes.borrow_mut();
            if notes.iter().all(|known| known.place() != note.place()) {
                notes.push(note);
            }
        }
    }

    /// Refuses a comparison of values that never compare.
    pub(super) fn check_comparison(
        &self,
        expr: &ast::Expr,
        (left, right): (&ast::Expr, &ast::Expr),
        (l, r): (&Expr, &Expr),
    ) -> Result<()> {
        if r.is_literal() && l != r {
            self.note_quoted(left, l);
        }
        let (Some(left_class), Some(right_class)) = (class_of(l), class_of(r)) else { return Ok(()) };
        if left_class == right_class || [left_class, right_class].iter().any(|class| !is_of_json(*class)) {
            return Ok(());
        }
        let message =
            format!("`{left}` is {} and `{right}` {}: they do not compare", left_class.one(), right_class.one());
        let error = self.error(expr, message);
        Err(match (left, l, r) {
            (ast::Expr::BinaryOp { right: inner, .. }, ..) if is_concat(inner) => {
                error.hint("`||` joins texts; write `or`")
            }
            (ast::Expr::BinaryOp { left: low, op, right: middle }, ..) if left_class == Class::Bool => {
                let ast::Expr::BinaryOp { op: second, .. } = expr else { return Err(error) };
                error.hint(format!("write {low} {op} {middle} and {middle} {second} {right}"))
            }
            (_, Expr::Literal(Literal::Text(text)), _) | (_, _, Expr::Literal(Literal::Text(text))) => {
                error.hint(match text.parse::<f64>() {
                    Ok(_) => format!("a number stands without quotes: {text}"),
                    Err(_) => format!("a field stands without quotes: {text}"),
                })
            }
            _ => error,
        })
    }

    /// Refuses an operand of arithmetic that is never a number, a moment or an interval.
    pub(super) fn check_operand(&self, operand: &ast::Expr, op: &BinaryOperator, bound: &Expr) -> Result<()> {
        let Some(class) = class_of(bound) else { return Ok(()) };
        if class == Class::Number || !is_of_json(class) {
            return Ok(());
        }
        let error = self.error(operand, format!("`{op}` takes numbers, and `{operand}` is {}", class.one()));
        Err(match bound {
            Expr::Concat(..) => error.hint("cast a text to a number: (a || b)::integer"),
            Expr::Literal(Literal::Text(text)) => error.hint(if text.parse::<f64>().is_ok() {
                format!("a number stands without quotes: {text}")
            } else if Timestamp::parse(text.as_bytes()).is_some() {
                format!("write date '{text}' or timestamp '{text}'")
            } else if crate::value::Interval::parse(text).is_some() {
                format!("write interval '{text}'")
            } else if *op == BinaryOperator::Plus {
                format!("a field stands without quotes: {text}; `||` joins texts")
            } else {
                format!("a field stands without quotes: {text}")
            }),
            _ => error,
        })
    }

    /// Refuses a call that can only find a wrong type, because of its constants.
    ///
    /// The function is tried out, with samples of all types in the place of what is not known.
    pub(super) fn check_types(&self, expr: &ast::Expr, function: &Function, arguments: &[Expr]) -> Result<()> {
        let varying: Vec<usize> = (0..arguments.len()).filter(|&place| !arguments[place].is_literal()).collect();
        if arguments.is_empty() || varying.len() == arguments.len() || varying.len() > MOST_VARYING {
            return Ok(());
        }
        // What a large number asks for, such as a text of that length, is not made for a trial.
        let is_large =
            |argument: &Expr| matches!(argument, Expr::Literal(Literal::Int(value)) if value.unsigned_abs() > LARGE);
        if arguments.iter().any(is_large) {
            return Ok(());
        }
        let mut values: Vec<Value> = arguments
            .iter()
            .map(|argument| match argument {
                Expr::Literal(literal) => literal.value(),
                _ => Value::Null,
            })
            .collect();
        let arena = Bump::new();
        let samples = samples();
        let trials = samples.len().pow(varying.len() as u32);
        for trial in 0..trials {
            let mut rest = trial;
            for &place in &varying {
                values[place] = samples[rest % samples.len()];
                rest /= samples.len();
            }
            if function.apply(&values, &arena).err() != Some(Fault::Type) {
                return Ok(());
            }
        }
        let constants: Vec<&Literal> = arguments
            .iter()
            .filter_map(|argument| match argument {
                Expr::Literal(literal) => Some(literal),
                _ => None,
            })
            .collect();
        Err(match constants[..] {
            [literal] if arguments.len() == 1 => {
                let class = Class::of(literal.value()).map_or("NULL", Class::one);
                let message = format!("{} takes {}, not {class}", function.name, function.expected);
                self.error(expr, message).hint(match literal {
                    Literal::Text(text) if text.parse::<f64>().is_err() => {
                        format!("a field stands without quotes: {}({text})", function.name)
                    }
                    _ => format!("it is called as {}", function.signature),
                })
            }
            _ => {
                let types = constants.iter().filter_map(|literal| Class::of(literal.value())).map(Class::one);
                let types: Vec<&str> = types.collect();
                let message = format!(
                    "{} takes {}; here it cannot take {}",
                    function.name,
                    function.expected,
                    types.join(" and ")
                );
                self.error(expr, message).hint(format!("it is called as {}", function.signature))
            }
        })
    }

    /// An error of a window function, or of the name of one.
    pub(super) fn window_function(&self, error: Error) -> Error {
        error.hint(
            "foldl has no window functions: group by with first, last, min_by or max_by, or select _line for the number of a row",
        )
    }
}

/// Whether a name is that of a window function.
pub(super) fn is_window_function(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "row_number",
        "rank",
        "dense_rank",
        "percent_rank",
        "cume_dist",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
        "nth_value",
    ];
    NAMES.contains(&name)
}

/// Whether records have values of this class; others are what text is read as in many places.
fn is_of_json(class: Class) -> bool {
    matches!(class, Class::Bool | Class::Number | Class::Text | Class::Array | Class::Object)
}

fn is_concat(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::BinaryOp { op: BinaryOperator::StringConcat, .. })
}

/// The class of all values of an expression, if its form tells.
fn class_of(expr: &Expr) -> Option<Class> {
    match expr {
        Expr::Literal(literal) => Class::of(literal.value()),
        Expr::Not(..)
        | Expr::And(..)
        | Expr::Or(..)
        | Expr::Compare { .. }
        | Expr::Between { .. }
        | Expr::Distinct { .. }
        | Expr::IsNull { .. }
        | Expr::IsBool { .. }
        | Expr::In { .. }
        | Expr::Like { .. }
        | Expr::Exists(_) => Some(Class::Bool),
        Expr::Concat(..) | Expr::Cast { to: Type::Text, .. } => Some(Class::Text),
        Expr::Call { function, .. } => function.gives.class(),
        _ => None,
    }
}

/// A value of each type, and texts that read as something.
fn samples() -> [Value<'static>; 11] {
    [
        Value::Int(1),
        Value::Float(1.5),
        Value::Text(b"a"),
        Value::Text(b"1"),
        Value::Text(b"2025-01-01T00:00:00Z"),
        Value::Text(b"day"),
        Value::Bool(true),
        Value::Date(Date(0)),
        Value::Timestamp(Timestamp(0)),
        Value::Json(b"[1]"),
        Value::Json(b"{}"),
    ]
}
