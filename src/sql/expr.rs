//! Expressions: from sqlparser's tree to bound ones.

use std::cell::Cell;

use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArguments,
    Spanned, Subscript, UnaryOperator,
};

use super::place::{Text, nearest};
use crate::agg::{aggregate, aggregates};
use crate::error::{Error, Result};
use crate::expr::{
    Arithmetic, Comparison, Expr, Function, ItemStep, Literal, Pattern, Site, Type, Virtual, check_pattern, function,
    functions, part_named,
};
use crate::scan::{Path, Step};
use crate::value::time::Unit;
use crate::value::zone::{TimePattern, Zone};
use crate::value::{Date, Interval, Timestamp};

/// The most expressions that are bound for one query. Some are bound more than once, those within nested CASE
/// many times; no query that a person or a sensible program writes comes near.
const MOST_EXPRESSIONS: usize = 200_000;

/// Where an expression stands decides what its names mean.
pub(super) trait Scope {
    /// Binds an expression that this place treats in its own way, such as a field or an aggregate.
    fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>>;
}

/// Binds expressions of one query.
pub(super) struct Binder<'q> {
    pub(super) text: Text<'q>,
    /// The alias of FROM: a first segment of that name is the record.
    pub(super) source_alias: Option<String>,
    /// The arrays whose elements become rows.
    pub(super) elements: Vec<Elements<'q>>,
    /// The expressions bound so far.
    pub(super) bound: Cell<usize>,
    /// The moment that `now()` is for the whole run.
    pub(super) now: Timestamp,
}

/// An array whose elements become rows.
pub(super) struct Elements<'q> {
    /// A first segment of that name is the element.
    pub(super) alias: Option<String>,
    /// The call in the select list that stands for the element.
    pub(super) call: Option<&'q ast::Expr>,
}

impl Binder<'_> {
    /// Binds an expression in a scope.
    pub(super) fn bind(&self, expr: &ast::Expr, scope: &mut dyn Scope) -> Result<Expr> {
        self.bound.set(self.bound.get() + 1);
        if self.bound.get() > MOST_EXPRESSIONS {
            return Err(self.error(expr, "the query is too large to be planned".to_owned()));
        }
        if let Some(bound) = scope.bind(self, expr)? {
            return Ok(bound);
        }
        let mut bind = |expr: &ast::Expr| self.bind(expr, scope).map(Box::new);
        Ok(match expr {
            ast::Expr::Nested(inner) => *bind(inner)?,
            ast::Expr::Value(value) => Expr::Literal(self.literal(expr, &value.value)?),
            ast::Expr::TypedString(typed) => Expr::Literal(self.typed_literal(expr, typed)?),
            ast::Expr::IsNull(operand) => Expr::IsNull { operand: bind(operand)?, negated: false },
            ast::Expr::IsNotNull(operand) => Expr::IsNull { operand: bind(operand)?, negated: true },
            ast::Expr::IsTrue(operand) => Expr::IsBool { operand: bind(operand)?, value: true, negated: false },
            ast::Expr::IsNotTrue(operand) => Expr::IsBool { operand: bind(operand)?, value: true, negated: true },
            ast::Expr::IsFalse(operand) => Expr::IsBool { operand: bind(operand)?, value: false, negated: false },
            ast::Expr::IsNotFalse(operand) => Expr::IsBool { operand: bind(operand)?, value: false, negated: true },
            ast::Expr::IsDistinctFrom(left, right) => {
                Expr::Distinct { left: bind(left)?, right: bind(right)?, negated: false }
            }
            ast::Expr::IsNotDistinctFrom(left, right) => {
                Expr::Distinct { left: bind(left)?, right: bind(right)?, negated: true }
            }
            ast::Expr::UnaryOp { op, expr: operand } => match op {
                UnaryOperator::Not => Expr::Not(bind(operand)?, site(operand, "a truth value")),
                UnaryOperator::Plus => *bind(operand)?,
                UnaryOperator::Minus if let Some(digits) = digits(operand) => {
                    Expr::Literal(self.number(expr, &format!("-{digits}"))?)
                }
                UnaryOperator::Minus => match *bind(operand)? {
                    Expr::Literal(Literal::Int(value)) if value != i128::MIN => Expr::Literal(Literal::Int(-value)),
                    Expr::Literal(Literal::Huge(text)) => Expr::Literal(negated(&text)),
                    Expr::Literal(Literal::Float(value)) => Expr::Literal(Literal::Float(-value)),
                    bound => Expr::Negate(Box::new(bound), site(operand, "a number")),
                },
                _ => return Err(self.unsupported(expr, &format!("the operator {op}"))),
            },
            ast::Expr::BinaryOp { left, op, right } => {
                let (l, r) = (bind(left)?, bind(right)?);
                return self.binary(expr, left, op, right, l, r);
            }
            ast::Expr::Between { expr: operand, negated, low, high } => Expr::Between {
                operand: bind(operand)?,
                low: bind(low)?,
                high: bind(high)?,
                negated: *negated,
                site: site(operand, "a value that compares with the bounds"),
            },
            ast::Expr::In { expr: operand, target: ast::InTarget::List(list), negated, .. } => Expr::In {
                operand: bind(operand)?,
                list: list.iter().map(|item| bind(item).map(|item| *item)).collect::<Result<_>>()?,
                negated: *negated,
                site: site(operand, "values that compare with the list"),
            },
            ast::Expr::Like { negated, any: false, expr: operand, pattern, escape_char } => Expr::Like {
                operand: bind(operand)?,
                pattern: Box::new(self.pattern(pattern, escape_char.as_deref(), false)?),
                negated: *negated,
                site: site(operand, "text"),
            },
            ast::Expr::ILike { negated, any: false, expr: operand, pattern, escape_char } => Expr::Like {
                operand: bind(operand)?,
                pattern: Box::new(self.pattern(pattern, escape_char.as_deref(), true)?),
                negated: *negated,
                site: site(operand, "text"),
            },
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                let mut branches = Vec::new();
                for when in conditions {
                    let condition = match operand {
                        None => *bind(&when.condition)?,
                        Some(operand) => Expr::Compare {
                            op: Comparison::Equal,
                            left: bind(operand)?,
                            right: bind(&when.condition)?,
                            site: site(operand, "a value that compares"),
                        },
                    };
                    branches.push((condition, *bind(&when.result)?));
                }
                let otherwise = match else_result {
                    Some(result) => bind(result)?,
                    None => Box::new(Expr::Literal(Literal::Null)),
                };
                Expr::Case { branches, otherwise, site: Site::new("case when", "a truth value") }
            }
            ast::Expr::Cast { kind, expr: operand, data_type, .. } => {
                let name = data_type.to_string();
                let to = Type::named(name.split('(').next().unwrap_or(&name).trim()).ok_or_else(|| {
                    self.error(expr, format!("the type {name} is not known")).hint(
                        "the types are boolean, tinyint, smallint, integer, bigint, hugeint, double, varchar, date, timestamp and interval",
                    )
                })?;
                let lenient = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                Expr::Cast { operand: bind(operand)?, to, lenient, site: site(operand, to.expected()) }
            }
            ast::Expr::Extract { field, expr: operand, .. } => {
                let name = field.to_string().to_lowercase();
                let function = part_named(&name).ok_or_else(|| self.no_part(expr, &name))?;
                Expr::Call { function, arguments: vec![*bind(operand)?], site: site(operand, function.expected) }
            }
            ast::Expr::Substring { expr: operand, substring_from, substring_for, .. } => {
                let mut arguments = vec![operand.as_ref()];
                let one = ast::Expr::value(ast::Value::Number("1".into(), false));
                arguments.push(substring_from.as_deref().unwrap_or(&one));
                arguments.extend(substring_for.as_deref());
                self.call(expr, "substring", &arguments, scope)?
            }
            ast::Expr::Trim { trim_where, trim_what, expr: operand, trim_characters } => {
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "trim",
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = vec![operand.as_ref()];
                arguments.extend(trim_what.as_deref());
                arguments.extend(trim_characters.iter().flatten());
                self.call(expr, name, &arguments, scope)?
            }
            ast::Expr::Position { expr: part, r#in } => self.call(expr, "strpos", &[r#in, part], scope)?,
            ast::Expr::Floor { expr: operand, .. } => self.call(expr, "floor", &[operand], scope)?,
            ast::Expr::Ceil { expr: operand, .. } => self.call(expr, "ceil", &[operand], scope)?,
            ast::Expr::AtTimeZone { timestamp, time_zone } => {
                self.call(expr, "timezone", &[time_zone, timestamp], scope)?
            }
            ast::Expr::Interval(interval) => self.interval(expr, interval, scope)?,
            ast::Expr::Function(call) => return self.function(expr, call, scope),
            ast::Expr::CompoundFieldAccess { root, access_chain } => {
                let mut bound = *bind(root)?;
                for access in access_chain {
                    bound = Expr::Item { operand: Box::new(bound), step: self.item_step(access)? };
                }
                bound
            }
            ast::Expr::Exists { .. } | ast::Expr::Subquery(_) | ast::Expr::In { .. } => {
                return Err(self
                    .unsupported(expr, "a subquery in an expression")
                    .hint("run the inner query first and put its result into the outer one"));
            }
            other => return Err(self.unsupported(expr, &format!("`{other}`"))),
        })
    }

    /// The path that an expression is, if it is one: the source's alias left out, `this` the record itself.
    ///
    /// A negative index ends the part that the scanner finds; what follows is found in the value.
    pub(super) fn path(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        let (names, accesses): (&[ast::Ident], &[AccessExpr]) = match expr {
            ast::Expr::Identifier(name) => (std::slice::from_ref(name), &[]),
            ast::Expr::CompoundIdentifier(names) => (names, &[]),
            ast::Expr::CompoundFieldAccess { root, access_chain } => match root.as_ref() {
                ast::Expr::Identifier(name) => (std::slice::from_ref(name), access_chain),
                ast::Expr::CompoundIdentifier(names) => (names, access_chain),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let of_element = names.first().and_then(|first| {
            let is_alias = |elements: &Elements| elements.alias.as_ref() == Some(&first.value);
            self.elements.iter().rposition(is_alias)
        });
        let (source, names) = match (of_element, names) {
            (Some(place), [_, rest @ ..]) => (place + 1, rest),
            (_, [first, rest @ ..]) if self.is_record(first, !rest.is_empty() || !accesses.is_empty()) => (0, rest),
            (_, names) => (0, names),
        };
        let field = |path| Expr::Field { source, path, column: 0 };
        let mut path = Path { steps: names.iter().map(|name| Step::Key(name.value.clone())).collect() };
        let mut rest = accesses.iter();
        let mut bound = loop {
            let Some(access) = rest.next() else { break field(path) };
            match self.item_step(access)? {
                ItemStep::Key(key) => path.steps.push(Step::Key(key)),
                ItemStep::Index(index) => match u32::try_from(index) {
                    Ok(index) => path.steps.push(Step::Index(index)),
                    Err(_) => break Expr::Item { operand: Box::new(field(path)), step: ItemStep::Index(index) },
                },
            }
        };
        for access in rest {
            bound = Expr::Item { operand: Box::new(bound), step: self.item_step(access)? };
        }
        if let ([name], []) = (names, accesses)
            && source == 0
            && name.quote_style.is_none()
        {
            let name = match name.value.as_str() {
                "_file" => Virtual::File,
                "_line" => Virtual::Line,
                "_offset" => Virtual::Offset,
                _ => return Ok(Some(bound)),
            };
            return Ok(Some(Expr::Virtual { name, own: Box::new(bound) }));
        }
        Ok(Some(bound))
    }

    /// Whether a first name means the record: `this`, or the alias of FROM before something else.
    fn is_record(&self, name: &ast::Ident, followed: bool) -> bool {
        let unquoted_this = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("this");
        unquoted_this || followed && self.source_alias.as_ref().is_some_and(|alias| *alias == name.value)
    }

    fn item_step(&self, access: &AccessExpr) -> Result<ItemStep> {
        match access {
            AccessExpr::Dot(ast::Expr::Identifier(name)) => Ok(ItemStep::Key(name.value.clone())),
            AccessExpr::Dot(other) => Err(self.unsupported(other, "this after a dot")),
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let literal = match index {
                    ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (true, expr.as_ref()),
                    other => (false, other),
                };
                match literal {
                    (false, ast::Expr::Value(value)) if string(&value.value).is_some() => {
                        Ok(ItemStep::Key(string(&value.value).unwrap_or_default().to_owned()))
                    }
                    (negative, ast::Expr::Value(value)) => match &value.value {
                        ast::Value::Number(digits, _) => digits
                            .parse::<i64>()
                            .map(|index| ItemStep::Index(if negative { -index } else { index }))
                            .map_err(|_| self.error(index, "an index is an integer".to_owned())),
                        _ => Err(self.error(index, "an index is an integer".to_owned())),
                    },
                    _ => Err(self.error(index, "an index is an integer that stands in the query".to_owned())),
                }
            }
            AccessExpr::Subscript(_) => Err(Error::new(crate::ErrorKind::Query, "slices of arrays are not supported")),
        }
    }

    fn binary(
        &self,
        expr: &ast::Expr,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        l: Box<Expr>,
        r: Box<Expr>,
    ) -> Result<Expr> {
        let comparison =
            |op, l, r| Expr::Compare { op, left: l, right: r, site: pair_site(left, right, "a value that compares") };
        let arithmetic =
            |op, l, r| Expr::Arithmetic { op, left: l, right: r, site: pair_site(left, right, "a number") };
        Ok(match op {
            BinaryOperator::Eq => comparison(Comparison::Equal, l, r),
            BinaryOperator::NotEq => comparison(Comparison::NotEqual, l, r),
            BinaryOperator::Lt => comparison(Comparison::Less, l, r),
            BinaryOperator::LtEq => comparison(Comparison::LessOrEqual, l, r),
            BinaryOperator::Gt => comparison(Comparison::Greater, l, r),
            BinaryOperator::GtEq => comparison(Comparison::GreaterOrEqual, l, r),
            BinaryOperator::And => Expr::And(l, r, truth_site(left, right)),
            BinaryOperator::Or => Expr::Or(l, r, truth_site(left, right)),
            BinaryOperator::Plus => arithmetic(Arithmetic::Add, l, r),
            BinaryOperator::Minus => arithmetic(Arithmetic::Subtract, l, r),
            BinaryOperator::Multiply => arithmetic(Arithmetic::Multiply, l, r),
            BinaryOperator::Divide => arithmetic(Arithmetic::Divide, l, r),
            BinaryOperator::DuckIntegerDivide | BinaryOperator::MyIntegerDivide => {
                arithmetic(Arithmetic::IntegerDivide, l, r)
            }
            BinaryOperator::Modulo => arithmetic(Arithmetic::Remainder, l, r),
            BinaryOperator::Arrow => self.json_steps(right, *r, *l)?,
            BinaryOperator::LongArrow => as_text(self.json_steps(right, *r, *l)?, site(expr, "a value")),
            BinaryOperator::PGRegexMatch => self.matches(expr, vec![*l, *r], site(left, "text"))?,
            BinaryOperator::PGRegexNotMatch => {
                let operand = site(left, "text");
                Expr::Not(Box::new(self.matches(expr, vec![*l, *r], operand.clone())?), operand)
            }
            BinaryOperator::StringConcat => Expr::Concat(l, r, pair_site(left, right, "text, a number or a date")),
            _ => return Err(self.unsupported(expr, &format!("the operator {op}"))),
        })
    }

    /// `value -> 'key'`, `value -> 0`, `value -> '$.a.b[0]'`
    fn json_steps(&self, expr: &ast::Expr, steps: Expr, value: Expr) -> Result<Expr> {
        let steps = match &steps {
            Expr::Literal(Literal::Int(index)) => i64::try_from(*index).ok().map(|index| vec![ItemStep::Index(index)]),
            Expr::Literal(Literal::Text(text)) if text.starts_with('$') => json_path(text),
            Expr::Literal(Literal::Text(text)) => Some(vec![ItemStep::Key(text.clone())]),
            _ => None,
        };
        let steps = steps.ok_or_else(|| {
            self.error(expr, format!("`{expr}` is not a way into a value"))
                .hint("write a key, an index or a path: a -> 'key', a -> 0, a -> '$.key[0]'")
        })?;
        Ok(steps.into_iter().fold(value, |value, step| match (value, step) {
            (Expr::Field { source, mut path, column }, ItemStep::Key(key)) => {
                path.steps.push(Step::Key(key));
                Expr::Field { source, path, column }
            }
            (Expr::Field { source, mut path, column }, ItemStep::Index(index)) if u32::try_from(index).is_ok() => {
                path.steps.push(Step::Index(index as u32));
                Expr::Field { source, path, column }
            }
            (value, step) => Expr::Item { operand: Box::new(value), step },
        }))
    }

    /// `text ~ pattern`
    fn matches(&self, expr: &ast::Expr, arguments: Vec<Expr>, site: Site) -> Result<Expr> {
        let function = function("regexp_full_match").ok_or_else(|| self.unknown_function(expr, "regexp_full_match"))?;
        self.check_constant_arguments(expr, function, &arguments)?;
        Ok(Expr::Call { function, arguments, site })
    }

    fn function(&self, expr: &ast::Expr, call: &ast::Function, scope: &mut dyn Scope) -> Result<Expr> {
        let name = call.name.to_string().to_lowercase();
        let arguments = self.arguments(call)?;
        if name == "unnest" {
            return match self.elements.iter().position(|elements| elements.call == Some(expr)) {
                Some(place) => Ok(Expr::Field { source: place + 1, path: Path::default(), column: 0 }),
                None => Err(self
                    .error(expr, "unnest stands in FROM, or is an item of the select list".to_owned())
                    .hint("write from input, unnest(items) as item")),
            };
        }
        if call.over.is_some() {
            return Err(self
                .unsupported(expr, "a window function (OVER)")
                .hint("window functions need the rows in order; try group by with min_by, max_by, first or last"));
        }
        let special = SPECIAL.iter().find(|special| special.name == name || special.aliases.contains(&name.as_str()));
        if special.is_none() && function(&name).is_none() {
            return Err(self.unknown_function(expr, &name));
        }
        if arguments.distinct || call.filter.is_some() || !arguments.order.is_empty() {
            let message = format!("{name} is not an aggregate: it takes no distinct, no filter and no ORDER BY");
            return Err(self.error(expr, message));
        }
        if let Some(special) = special {
            self.check_arguments(expr, &name, special.arguments, arguments.list.len(), special.signature)?;
        }
        match (name.as_str(), arguments.list.as_slice()) {
            ("coalesce" | "ifnull" | "nvl", [_, ..]) => {
                let list = arguments.list.iter().map(|argument| self.bind(argument, scope));
                Ok(Expr::Coalesce(list.collect::<Result<_>>()?))
            }
            ("now" | "current_timestamp", _) => Ok(Expr::Literal(Literal::Timestamp(self.now))),
            ("today" | "current_date", _) => Ok(Expr::Literal(Literal::Date(self.now.date()))),
            ("json_extract" | "json_extract_path", [value, steps]) => {
                self.json_steps(steps, self.bind(steps, scope)?, self.bind(value, scope)?)
            }
            ("json_extract_string" | "json_extract_path_text" | "get_json_object", [value, steps]) => {
                let found = self.json_steps(steps, self.bind(steps, scope)?, self.bind(value, scope)?)?;
                Ok(as_text(found, site(expr, "a value")))
            }
            ("exists", [argument]) => Ok(Expr::Exists(Box::new(self.bind(argument, scope)?))),
            ("if" | "iff", [condition, then, otherwise]) => Ok(Expr::Case {
                branches: vec![(self.bind(condition, scope)?, self.bind(then, scope)?)],
                otherwise: Box::new(self.bind(otherwise, scope)?),
                site: site(condition, "a truth value"),
            }),
            ("nullif", [value, other]) => {
                let left = self.bind(value, scope)?;
                let condition = Expr::Compare {
                    op: Comparison::Equal,
                    left: Box::new(left.clone()),
                    right: Box::new(self.bind(other, scope)?),
                    site: pair_site(value, other, "a value that compares"),
                };
                Ok(Expr::Case {
                    branches: vec![(condition, Expr::Literal(Literal::Null))],
                    otherwise: Box::new(left),
                    site: Site::default(),
                })
            }
            _ => self.call(expr, &name, &arguments.list, scope),
        }
    }

    /// A call of a function of the table.
    fn call(&self, expr: &ast::Expr, name: &str, list: &[&ast::Expr], scope: &mut dyn Scope) -> Result<Expr> {
        let function = function(name).ok_or_else(|| self.unknown_function(expr, name))?;
        self.check_arguments(expr, function.name, function.arguments, list.len(), function.signature)?;
        let arguments = list.iter().map(|argument| self.bind(argument, scope)).collect::<Result<Vec<_>>>()?;
        self.check_constant_arguments(expr, function, &arguments)?;
        // The argument that can be wrong at run time is named: the first that is no constant.
        let label = list
            .iter()
            .zip(&arguments)
            .find(|(_, bound)| !matches!(bound, Expr::Literal(_)))
            .map_or_else(|| expr.to_string(), |(argument, _)| label(argument));
        Ok(Expr::Call { function, arguments, site: Site::new(label, function.expected) })
    }

    fn no_part(&self, expr: &ast::Expr, name: &str) -> Error {
        self.error(expr, format!("{name} is not a part of a moment"))
            .hint("try year, month, day, hour, minute, second, dow, doy, week, quarter or epoch")
    }

    /// `interval '1 day'`, `interval 1 day`, `interval (x) day`
    fn interval(&self, expr: &ast::Expr, interval: &ast::Interval, scope: &mut dyn Scope) -> Result<Expr> {
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

    /// Finds calls that can only fail, such as `date_trunc('mont', t)`.
    fn check_constant_arguments(&self, expr: &ast::Expr, function: &Function, arguments: &[Expr]) -> Result<()> {
        let constant = |place: usize| match arguments.get(place) {
            Some(Expr::Literal(Literal::Text(text))) => Some(text.as_str()),
            _ => None,
        };
        match function.name {
            "date_part" => {
                if let Some(name) = constant(0).filter(|name| part_named(name).is_none()) {
                    return Err(self.no_part(expr, name));
                }
            }
            "strftime" | "strptime" | "try_strptime" => {
                if let Some(pattern) = constant(1).filter(|pattern| TimePattern::new(pattern).is_none()) {
                    return Err(self
                        .error(expr, format!("'{pattern}' is not a pattern of a moment"))
                        .hint(format!("the specifiers are {}", TimePattern::SPECIFIERS)));
                }
            }
            "timezone" | "from_utc_timestamp" | "to_utc_timestamp" => {
                let place = usize::from(function.name != "timezone");
                if let Some(name) = constant(place).filter(|name| Zone::named(name).is_none()) {
                    let names = Zone::names();
                    let error = self.error(expr, format!("there is no time zone '{name}'"));
                    return Err(match nearest(name, names.iter().map(String::as_str)) {
                        Some(near) => error.hint(format!("did you mean '{near}'?")),
                        None => {
                            error.hint("they are named as in 'Europe/Berlin', 'America/New_York', 'UTC' or '+05:30'")
                        }
                    });
                }
            }
            _ => {}
        }
        if matches!(function.name, "date_trunc" | "date_diff" | "date_sub")
            && let Some(Expr::Literal(Literal::Text(unit))) = arguments.first()
            && Unit::from_name(unit).is_none()
        {
            let error = self.error(expr, format!("`{unit}` is not a unit of time"));
            return Err(match nearest(unit, Unit::NAMES.iter().copied()) {
                Some(name) => error.hint(format!("did you mean '{name}'?")),
                None => error.hint(format!("the units are {}", Unit::NAMES.join(", "))),
            });
        }
        if function.takes_pattern()
            && let Some(Expr::Literal(Literal::Text(pattern))) = arguments.get(1)
        {
            check_pattern(pattern).map_err(|reason| self.error(expr, reason))?;
        }
        Ok(())
    }

    pub(super) fn check_arguments(
        &self,
        expr: &ast::Expr,
        name: &str,
        (fewest, most): (usize, usize),
        given: usize,
        signature: &str,
    ) -> Result<()> {
        if (fewest..=most).contains(&given) {
            return Ok(());
        }
        let wants = match (fewest, most) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (fewest, usize::MAX) => format!("at least {fewest} argument{}", if fewest == 1 { "" } else { "s" }),
            (fewest, most) if fewest == most => format!("{fewest} arguments"),
            (fewest, most) => format!("{fewest} to {most} arguments"),
        };
        Err(self
            .error(expr, format!("{name} takes {wants}, {given} given"))
            .hint(format!("it is called as {signature}")))
    }

    pub(super) fn unknown_function(&self, expr: &ast::Expr, name: &str) -> Error {
        let names = functions()
            .flat_map(|function| function.aliases.iter().copied().chain([function.name]))
            .chain(aggregates().flat_map(|aggregate| aggregate.aliases.iter().copied().chain([aggregate.name])))
            .chain(SPECIAL.iter().flat_map(|special| special.aliases.iter().copied().chain([special.name])));
        let span = match expr {
            ast::Expr::Function(call) => call.name.span(),
            other => other.span(),
        };
        let error = self.text.error(span, format!("there is no function {name}"));
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("`foldl functions` lists them all"),
        }
    }

    /// The arguments of a call as plain expressions.
    pub(super) fn arguments<'e>(&self, call: &'e ast::Function) -> Result<Arguments<'e>> {
        let mut arguments = Arguments { list: Vec::new(), distinct: false, star: false, order: &[] };
        let FunctionArguments::List(list) = &call.args else { return Ok(arguments) };
        arguments.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.list.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_)) => {
                    arguments.star = true;
                }
                other => {
                    return Err(self.text.error(call.name.span(), format!("the argument `{other}` is not supported")));
                }
            }
        }
        for clause in &list.clauses {
            match clause {
                ast::FunctionArgumentClause::OrderBy(keys) => arguments.order = keys,
                clause => {
                    return Err(self
                        .text
                        .error(call.name.span(), format!("`{clause}` inside a call is not supported")));
                }
            }
        }
        Ok(arguments)
    }

    fn literal(&self, expr: &ast::Expr, value: &ast::Value) -> Result<Literal> {
        if let Some(text) = string(value) {
            return Ok(Literal::Text(text.to_owned()));
        }
        match value {
            ast::Value::Null => Ok(Literal::Null),
            ast::Value::Boolean(value) => Ok(Literal::Bool(*value)),
            ast::Value::Number(digits, _) => self.number(expr, digits),
            other => Err(self.unsupported(expr, &format!("the literal {other}"))),
        }
    }

    /// A number of the query: an integer of any length, or a float if it has a point or an exponent.
    fn number(&self, expr: &ast::Expr, digits: &str) -> Result<Literal> {
        if let Ok(value) = digits.parse::<i128>() {
            return Ok(Literal::Int(value));
        }
        let (sign, unsigned) = digits.strip_prefix('-').map_or(("", digits), |unsigned| ("-", unsigned));
        if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Literal::Huge(format!("{sign}{}", unsigned.trim_start_matches('0'))));
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Literal::Float(value)),
            _ => Err(self.error(expr, format!("{digits} is not a number that fits"))),
        }
    }

    fn typed_literal(&self, expr: &ast::Expr, typed: &ast::TypedString) -> Result<Literal> {
        let name = typed.data_type.to_string();
        let text = string(&typed.value.value).unwrap_or_default();
        let literal = match Type::named(&name) {
            Some(Type::Date) => Date::parse(text.as_bytes()).map(Literal::Date),
            Some(Type::Timestamp) => Timestamp::parse(text.as_bytes()).map(Literal::Timestamp),
            Some(Type::Interval) => Interval::parse(text).map(Literal::Interval),
            _ => return Err(self.unsupported(expr, &format!("a literal of type {name}"))),
        };
        literal.ok_or_else(|| {
            self.error(expr, format!("'{text}' is not a {}", name.to_lowercase()))
                .hint("write it as in ISO 8601: 2025-02-22T04:21:55Z")
        })
    }

    fn pattern(&self, pattern: &ast::Expr, escape: Option<&ast::Expr>, ignore_case: bool) -> Result<Pattern> {
        let ast::Expr::Value(value) = pattern else {
            return Err(self.unsupported(pattern, "a pattern that is not a text literal"));
        };
        let text = string(&value.value)
            .ok_or_else(|| self.error(pattern, "a LIKE pattern is a text in single quotes".to_owned()))?;
        let escape = match escape {
            None => None,
            Some(ast::Expr::Value(value)) => {
                let escape = string(&value.value).unwrap_or_default();
                let mut chars = escape.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => return Err(self.error(pattern, "ESCAPE takes a single character".to_owned())),
                }
            }
            Some(other) => return Err(self.unsupported(other, "an ESCAPE that is not a text literal")),
        };
        Pattern::new(text, escape, ignore_case)
            .ok_or_else(|| self.error(pattern, "the pattern ends with its escape character".to_owned()))
    }

    pub(super) fn error(&self, expr: &ast::Expr, message: String) -> Error {
        self.text.error(span(expr), message)
    }

    pub(super) fn unsupported(&self, expr: &ast::Expr, what: &str) -> Error {
        self.error(expr, format!("{what} is not supported"))
    }
}

/// A function that is no row of the table, because it does not evaluate all of its arguments, or is a constant.
pub(super) struct Special {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    arguments: (usize, usize),
    pub(super) signature: &'static str,
    pub(super) summary: &'static str,
    pub(super) example: (&'static str, &'static str),
}

pub(super) const SPECIAL: [Special; 8] = [
    Special {
        name: "json_extract",
        aliases: &["json_extract_path"],
        arguments: (2, 2),
        signature: "json_extract(value, path)",
        summary: "What a key, an index or a path such as '$.a[0]' leads to. Also: value -> path.",
        example: ("json_extract(from_json('{\"a\":[1,2]}'), '$.a[1]')", "2"),
    },
    Special {
        name: "json_extract_string",
        aliases: &["json_extract_path_text", "get_json_object"],
        arguments: (2, 2),
        signature: "json_extract_string(value, path)",
        summary: "The same as text. Also: value ->> path.",
        example: ("json_extract_string(from_json('{\"a\":1.5}'), '$.a')", "\"1.5\""),
    },
    Special {
        name: "coalesce",
        aliases: &["ifnull", "nvl"],
        arguments: (1, usize::MAX),
        signature: "coalesce(value, …)",
        summary: "The first value that is not NULL.",
        example: ("coalesce(null, 2, 3)", "2"),
    },
    Special {
        name: "nullif",
        aliases: &[],
        arguments: (2, 2),
        signature: "nullif(value, other)",
        summary: "The value, or NULL if it equals the other.",
        example: ("nullif('-', '-')", "null"),
    },
    Special {
        name: "if",
        aliases: &["iff"],
        arguments: (3, 3),
        signature: "if(condition, then, otherwise)",
        summary: "One value if a condition is true, else another.",
        example: ("if(1 < 2, 'yes', 'no')", "\"yes\""),
    },
    Special {
        name: "exists",
        aliases: &[],
        arguments: (1, 1),
        signature: "exists(path)",
        summary: "Whether the record has the path, be it null.",
        example: ("exists(no.such.path)", "false"),
    },
    Special {
        name: "now",
        aliases: &["current_timestamp"],
        arguments: (0, 0),
        signature: "now()",
        summary: "The moment when the run began, the same for all records.",
        example: ("typeof(now())", "\"timestamp\""),
    },
    Special {
        name: "today",
        aliases: &["current_date"],
        arguments: (0, 0),
        signature: "today()",
        summary: "The day in UTC when the run began, the same for all records.",
        example: ("typeof(today())", "\"date\""),
    },
];

/// The arguments of a call.
pub(super) struct Arguments<'e> {
    pub(super) list: Vec<&'e ast::Expr>,
    pub(super) distinct: bool,
    pub(super) star: bool,
    /// ORDER BY inside the call.
    pub(super) order: &'e [ast::OrderByExpr],
}

/// The steps of a path such as `$.a."b c"[0]`.
fn json_path(text: &str) -> Option<Vec<ItemStep>> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(".\"") {
            let (key, after) = after.split_once('"')?;
            steps.push(ItemStep::Key(key.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            steps.push(ItemStep::Key(Some(key).filter(|key| !key.is_empty() && *key != "*")?.to_owned()));
            rest = after;
        } else {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(ItemStep::Index(index.trim_start_matches('#').parse().ok()?));
            rest = after;
        }
    }
    Some(steps)
}

/// A value as text.
fn as_text(operand: Expr, site: Site) -> Expr {
    Expr::Cast { operand: Box::new(operand), to: Type::Text, lenient: true, site }
}

/// Whether an expression calls an aggregate, at any depth.
pub(super) fn has_aggregate(binder: &Binder, expr: &ast::Expr) -> bool {
    struct Finder(bool);
    impl Scope for Finder {
        fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>> {
            match expr {
                ast::Expr::Function(call) if is_aggregate(call) => {
                    self.0 = true;
                    Ok(Some(Expr::Literal(Literal::Null)))
                }
                _ => binder.path(expr),
            }
        }
    }
    let mut finder = Finder(false);
    // An expression that does not bind is reported where it is bound for good.
    drop(binder.bind(expr, &mut finder));
    finder.0
}

/// Whether a call is one of an aggregate.
pub(super) fn is_aggregate(call: &ast::Function) -> bool {
    call.over.is_none() && aggregate(&call.name.to_string()).is_some()
}

/// The span of an expression, of a call its name: a short underline reads better than a long one.
pub(super) fn span(expr: &ast::Expr) -> sqlparser::tokenizer::Span {
    expr.span()
}

/// The digits of an unsigned number of the query.
fn digits(expr: &ast::Expr) -> Option<&str> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

/// A huge integer with the other sign. The least 128-bit integer is huge before it gets its sign.
fn negated(text: &str) -> Literal {
    let text = text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned);
    text.parse().map_or(Literal::Huge(text), Literal::Int)
}

fn string(value: &ast::Value) -> Option<&str> {
    match value {
        ast::Value::SingleQuotedString(text)
        | ast::Value::EscapedStringLiteral(text)
        | ast::Value::UnicodeStringLiteral(text)
        | ast::Value::NationalStringLiteral(text) => Some(text),
        _ => None,
    }
}

/// How an expression is named where its values are wrong.
fn label(expr: &ast::Expr) -> String {
    expr.to_string()
}

pub(super) fn site(operand: &ast::Expr, expected: &'static str) -> Site {
    Site::new(label(operand), expected)
}

/// The site of AND and OR. What is a condition by its form is never wrong, and is not named: long chains of conditions
/// would be rendered again for each of their links.
fn truth_site(left: &ast::Expr, right: &ast::Expr) -> Site {
    let condition = |expr: &ast::Expr| matches!(expr, ast::Expr::BinaryOp { .. } | ast::Expr::Nested(_));
    match (condition(left), condition(right)) {
        (true, true) => Site::new("and, or", "a truth value"),
        (true, false) => site(right, "a truth value"),
        (false, true) => site(left, "a truth value"),
        (false, false) => pair_site(left, right, "a truth value"),
    }
}

/// The site of an operator: it names the side that is no constant, or both.
fn pair_site(left: &ast::Expr, right: &ast::Expr, expected: &'static str) -> Site {
    let constant = |expr: &ast::Expr| matches!(expr, ast::Expr::Value(_) | ast::Expr::TypedString(_));
    let label = match (constant(left), constant(right)) {
        (false, true) => label(left),
        (true, false) => label(right),
        _ => format!("{left}, {right}"),
    };
    Site::new(label, expected)
}
