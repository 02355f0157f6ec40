//! What can be known to be wrong before anything is read: constants, and expressions whose type is clear from their form.

use bumpalo::Bump;
use sqlparser::ast::{self, BinaryOperator, Spanned};

use super::expr::{Binder, Scope};
use crate::agg::AggregateFunction;
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

    /// Refuses what is never an array, where the elements of one are to become rows.
    pub(super) fn check_array(&self, expr: &ast::Expr, bound: &Expr) -> Result<()> {
        let Some(class) = class_of(bound).filter(|class| *class != Class::Array) else { return Ok(()) };
        let error = self.error(expr, format!("unnest takes an array, and `{expr}` is {}", class.one()));
        Err(match bound {
            Expr::Literal(Literal::Text(text)) if is_path(text) => {
                error.hint(format!("a field stands without quotes: {text}"))
            }
            _ => error.hint("for example unnest(order.items), unnest(split(tags, ',')) or unnest([1, 2])"),
        })
    }

    /// Refuses an argument whose values an aggregate of numbers never takes.
    pub(super) fn check_aggregated(
        &self,
        argument: &ast::Expr,
        function: &AggregateFunction,
        class: Class,
    ) -> Result<()> {
        let (name, wanted) = (function.name, function.expected);
        let takes_moments = wanted != "a number";
        let takes = match class {
            Class::Number | Class::HugeNumber => true,
            Class::Date | Class::Timestamp => takes_moments,
            Class::Interval => takes_moments && name != "approx_quantile",
            _ => false,
        };
        if takes || !wanted.starts_with("a number") {
            return Ok(());
        }
        let error = self.error(argument, format!("{name} takes {wanted}, and `{argument}` is {}", class.one()));
        Err(match class {
            Class::Bool if name == "sum" => error.hint(format!("write count_if({argument})")),
            Class::Bool => error.hint(format!("a truth value is 0 or 1 as a number: ({argument})::int")),
            Class::Text if name.contains("quantile") => error.hint("quantile_disc takes texts"),
            Class::Text => error.hint(format!("a text is read as a number by a cast: ({argument})::double")),
            Class::Interval => error.hint(format!("the seconds of an interval are a number: epoch({argument})")),
            Class::Date | Class::Timestamp => error.hint("min, max, avg, median and count take moments"),
            _ => error.hint("unnest makes rows of an array; list_sum and list_avg are of one array"),
        })
    }

    /// Notes that an expression is a text that looks like the name of a field, where a constant is hardly meant.
    pub(super) fn note_quoted(&self, expr: &ast::Expr, bound: &Expr) {
        let Expr::Literal(Literal::Text(text)) = bound else { return };
        if is_path(text) {
            let note = self
                .error(expr, format!("'{text}' is a text, the same for every record"))
                .hint(format!("a field stands without quotes: {text}"));
            self.note(note);
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
        self.check_moments((left, l), (right, r))?;
        self.check_bare_date(left)?;
        self.check_bare_date(right)?;
        self.note_null(expr, left, right);
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

    /// Refuses a date without quotes, which is a subtraction: `2025-01-31`.
    fn check_bare_date(&self, expr: &ast::Expr) -> Result<()> {
        let Some((start, end)) = self.text.range(expr.span()) else { return Ok(()) };
        let text = &self.text.0[start..end];
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() == 10 && text.split('-').all(is_digits) && Date::parse(text.as_bytes()).is_some() {
            let error = self.error(expr, format!("`{text}` is a subtraction of numbers"));
            return Err(error.hint(format!("a date stands in quotes: '{text}', or date '{text}'")));
        }
        Ok(())
    }

    /// Notes a comparison with NULL, which is never true.
    fn note_null(&self, expr: &ast::Expr, left: &ast::Expr, right: &ast::Expr) {
        let is_null = |expr: &ast::Expr| matches!(expr, ast::Expr::Value(value) if value.value == ast::Value::Null);
        let operand = match (is_null(left), is_null(right)) {
            (false, true) => left,
            (true, false) => right,
            _ => return,
        };
        let not = match expr {
            ast::Expr::BinaryOp { op: BinaryOperator::NotEq, .. } => " not",
            _ => "",
        };
        self.note(
            self.error(expr, "nothing compares with NULL: this is never true".to_owned())
                .hint(format!("write {operand} is{not} null")),
        );
    }

    /// Keeps a note, once for each place.
    fn note(&self, note: Error) {
        let mut notes = self.notes.borrow_mut();
        if notes.iter().all(|known| known.place() != note.place()) {
            notes.push(note);
        }
    }

    /// Refuses what never compares with the date or timestamp beside it: a text that does not read as one, and a field, as
    /// records have none.
    pub(super) fn check_moments(&self, left: (&ast::Expr, &Expr), right: (&ast::Expr, &Expr)) -> Result<()> {
        for ((expr, bound), (_, other)) in [(left, right), (right, left)] {
            let Some(to @ (Type::Date | Type::Timestamp)) = other.known_type() else { continue };
            match bound {
                Expr::Literal(Literal::Text(text)) if Timestamp::parse(text.as_bytes()).is_none() => {
                    let error = self.error(expr, format!("'{text}' is not a {to}"));
                    return Err(error.hint(iso_advice(text)));
                }
                Expr::Field { .. } | Expr::Item { .. } => return Err(self.uncast(expr, to)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuses a field in arithmetic with moments that can only be a number or a text.
    fn check_span(&self, left: (&ast::Expr, &Expr), op: &BinaryOperator, right: (&ast::Expr, &Expr)) -> Result<()> {
        let is_field = |bound: &Expr| matches!(bound, Expr::Field { .. } | Expr::Item { .. });
        let sides = [(left, right, false), (right, left, true)];
        for ((expr, _), (_, other), is_right) in sides.into_iter().filter(|((_, bound), ..)| is_field(bound)) {
            let to = match (op, other.known_type()) {
                (BinaryOperator::Plus, Some(Type::Interval)) => Type::Timestamp,
                (BinaryOperator::Minus, Some(Type::Interval | Type::Timestamp)) if !is_right => Type::Timestamp,
                (BinaryOperator::Minus, Some(Type::Date)) if !is_right => Type::Date,
                (BinaryOperator::Minus, Some(Type::Timestamp)) => Type::Timestamp,
                _ => continue,
            };
            return Err(self.uncast(expr, to));
        }
        Ok(())
    }

    /// The error of a field where a date or a timestamp is due.
    fn uncast(&self, expr: &ast::Expr, to: Type) -> Error {
        let name = to.to_string();
        let error =
            self.error(expr, format!("records have no {name}s: `{expr}` is a text or a number until it is cast"));
        error.hint(match to {
            Type::Date => format!("write {expr}::{name}"),
            _ => format!("write {expr}::{name}, or to_timestamp({expr}) for seconds since 1970"),
        })
    }

    /// Refuses operands of arithmetic that are never what it takes.
    pub(super) fn check_operands(
        &self,
        left: (&ast::Expr, &Expr),
        op: &BinaryOperator,
        right: (&ast::Expr, &Expr),
    ) -> Result<()> {
        self.check_operand(left.0, op, left.1)?;
        self.check_operand(right.0, op, right.1)?;
        self.check_span(left, op, right)
    }

    /// Refuses an operand that is never a number, a moment or an interval.
    fn check_operand(&self, operand: &ast::Expr, op: &BinaryOperator, bound: &Expr) -> Result<()> {
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
        let trials = trials(function, arguments);
        let wrong = |fault: &Option<Fault>| matches!(fault, Some(Fault::Type | Fault::Invalid));
        if let Some(swapped) = self.swapped(expr, function, arguments, trials.iter().all(wrong)) {
            return Err(swapped);
        }
        if trials.iter().any(|fault| *fault != Some(Fault::Type)) {
            return Ok(());
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
                    Literal::Text(text) if text.starts_with(['{', '[']) => {
                        format!("from_json reads a text as JSON: {}(from_json('{text}'))", function.name)
                    }
                    Literal::Text(text) if is_path(text) => {
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

    /// The error of a call whose arguments stand in another order than the function takes them, where it cannot succeed
    /// as it stands.
    fn swapped(&self, expr: &ast::Expr, function: &Function, arguments: &[Expr], fails: bool) -> Option<Error> {
        let ast::Expr::Function(call) = expr else { return None };
        let ast::FunctionArguments::List(list) = &call.args else { return None };
        if !fails || arguments.len() != list.args.len() || !(2..=3).contains(&arguments.len()) {
            return None;
        }
        // The last first, as a unit is often put; else two exchanged.
        let orders: [&[usize]; 5] = [&[1, 0], &[2, 0, 1], &[1, 0, 2], &[0, 2, 1], &[2, 1, 0]];
        let order = orders.into_iter().filter(|order| order.len() == arguments.len()).find(|order| {
            let arguments: Vec<Expr> = order.iter().map(|&place| arguments[place].clone()).collect();
            // A text that could be any other one tells nothing.
            let any = arguments.iter().map(|argument| match argument {
                Expr::Literal(Literal::Text(_)) => Expr::Literal(Literal::Text("?".to_owned())),
                argument => argument.clone(),
            });
            let any: Vec<Expr> = any.collect();
            self.check_constant_arguments(expr, function, &arguments).is_ok()
                && trials(function, &arguments).contains(&None)
                && (any == arguments || !trials(function, &any).contains(&None))
        })?;
        let arguments: Vec<String> = order.iter().map(|&place| list.args[place].to_string()).collect();
        let message = format!("the arguments of {} stand in another order: {}", function.name, function.signature);
        Some(self.error(expr, message).hint(format!("write {}({})", function.name, arguments.join(", "))))
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
pub(super) fn class_of(expr: &Expr) -> Option<Class> {
    match expr.known_type() {
        Some(Type::Date) => return Some(Class::Date),
        Some(Type::Timestamp) => return Some(Class::Timestamp),
        Some(Type::Interval) => return Some(Class::Interval),
        _ => {}
    }
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

/// What comes of a function for its constants, with samples of all types in the place of what is not known: the fault of
/// each trial.
fn trials(function: &Function, arguments: &[Expr]) -> Vec<Option<Fault>> {
    let varying = (0..arguments.len()).filter(|&place| !arguments[place].is_literal());
    let varying: Vec<usize> = varying.collect();
    let mut values: Vec<Value> = arguments
        .iter()
        .map(|argument| match argument {
            Expr::Literal(literal) => literal.value(),
            _ => Value::Null,
        })
        .collect();
    let arena = Bump::new();
    let samples = samples();
    let trial = |trial: usize| {
        let mut rest = trial;
        for &place in &varying {
            values[place] = samples[rest % samples.len()];
            rest /= samples.len();
        }
        function.apply(&values, &arena).err()
    };
    (0..samples.len().pow(varying.len() as u32)).map(trial).collect()
}

/// Whether a text looks like a field or a path.
fn is_path(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    text.split('.').all(is_name)
}

/// What to write for a text that is meant to be a date or a timestamp.
pub(super) fn iso_advice(text: &str) -> String {
    let (day, rest) = text.split_at(text.find([' ', 'T']).unwrap_or(text.len()));
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    let iso = match parts[..] {
        [year, month, day] if year.len() == 4 => Some((year, month, day)),
        [date, month, year] if year.len() == 4 && day.contains('.') => Some((year, month, date)),
        _ => None,
    };
    let iso = iso.map(|(year, month, day)| format!("{year}-{month:0>2}-{day:0>2}{rest}"));
    match iso.filter(|iso| Timestamp::parse(iso.as_bytes()).is_some()) {
        Some(iso) => format!("write it as in ISO 8601: '{iso}'"),
        None => "write it as in ISO 8601: '2025-02-22', or '2025-02-22T04:21:55Z'".to_owned(),
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
