//! Expressions: from sqlparser's tree to bound ones.

use std::cell::{Cell, RefCell};

use sqlparser::ast::{self, AccessExpr, BinaryOperator, CastKind, Spanned, Subscript, UnaryOperator};

use super::call::as_text;
use super::literal::{digits, negated, string};
use super::parse::POWER_OPERATOR;
use super::place::Text;
use super::query::Queries;
use crate::agg::aggregate;
use crate::error::{Error, Result};
use crate::expr::{
    Arithmetic, Comparison, Expr, ItemStep, Literal, Of, Site, Type, Virtual, adapt_literals, function, part_named,
};
use crate::scan::{Path, Step};
use crate::value::{Decimal, Timestamp};

/// The most expressions that are bound for one query. Some are bound more than once, those within nested CASE
/// many times; no query that a person or a sensible program writes comes near.
const MOST_EXPRESSIONS: usize = 200_000;

/// Where an expression stands decides what its names mean.
pub(super) trait Scope {
    /// Binds an expression that this place treats in its own way, such as a field or an aggregate.
    fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>>;
}

/// Binds expressions of one query.
pub(super) struct Binder<'b, 'q> {
    pub(super) text: Text<'q>,
    /// What a row is made of: the record, and what each step puts beside it.
    pub(super) sources: Vec<Source<'q>>,
    /// The expressions bound so far.
    bound: &'b Cell<usize>,
    /// The moment that `now()` is for the whole run.
    pub(super) now: Timestamp,
    /// The names of the sources of the queries around this one.
    outer: Vec<String>,
    pub(super) notes: &'b RefCell<Vec<Error>>,
}

/// A part of a row.
#[derive(Default)]
pub(super) struct Source<'q> {
    /// A first segment of that name is this part.
    pub(super) alias: Option<String>,
    /// A name that may stand before the alias: `t` of `unnest(array) as t(element)`.
    pub(super) table: Option<String>,
    pub(super) kind: SourceKind,
    /// The columns, if they are known: those of queries that name them.
    pub(super) columns: Option<Vec<String>>,
    /// The columns whose values have a type that JSON does not have.
    pub(super) types: Vec<(String, Type)>,
    /// The call in the select list that stands for the element.
    pub(super) call: Option<&'q ast::Expr>,
}

/// What a part of a row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SourceKind {
    /// The record of FROM, or one that is joined to it: its fields can stand without an alias before them.
    #[default]
    Record,
    /// An element of an array.
    Element,
    /// A record that only decides whether a row stays: its fields can stand in ON alone.
    Witness,
}

impl<'b, 'q> Binder<'b, 'q> {
    /// A binder for rows that are records.
    pub(super) fn new(queries: &'b Queries<'q>) -> Binder<'b, 'q> {
        Binder {
            text: queries.text,
            sources: vec![Source::default()],
            bound: &queries.bound,
            now: queries.now(),
            outer: queries.outer.borrow().clone(),
            notes: &queries.notes,
        }
    }

    /// The numbers of the sources that are records.
    pub(super) fn records(&self) -> impl Iterator<Item = usize> {
        let is_record = |(_, source): &(usize, &Source)| source.kind == SourceKind::Record;
        self.sources.iter().enumerate().filter(is_record).map(|(number, _)| number)
    }

    /// The elements that have names.
    pub(super) fn elements(&self) -> impl Iterator<Item = (usize, &str)> {
        let elements = self.sources.iter().enumerate().filter(|(_, source)| source.kind == SourceKind::Element);
        elements.filter_map(|(number, source)| Some((number, source.alias.as_deref()?)))
    }

    /// The source of an alias.
    pub(super) fn source_named(&self, alias: &str) -> Option<usize> {
        self.sources.iter().rposition(|source| source.alias.as_deref() == Some(alias))
    }
}

impl Binder<'_, '_> {
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
            ast::Expr::IsNull(operand) | ast::Expr::IsNotNull(operand) => {
                let bound = bind(operand)?;
                self.note_quoted(operand, &bound);
                Expr::IsNull { operand: bound, negated: matches!(expr, ast::Expr::IsNotNull(_)) }
            }
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
                UnaryOperator::Not => {
                    let bound = bind(operand)?;
                    self.check_truth(operand, &bound)?;
                    Expr::Not(bound, site(operand, "a truth value"))
                }
                UnaryOperator::Plus => *bind(operand)?,
                UnaryOperator::Minus if let Some(digits) = digits(operand) => {
                    Expr::Literal(self.number(expr, &format!("-{digits}"))?)
                }
                UnaryOperator::Minus => match *bind(operand)? {
                    Expr::Literal(Literal::Int(value)) if value != i128::MIN => Expr::Literal(Literal::Int(-value)),
                    Expr::Literal(Literal::Huge(text)) => Expr::Literal(negated(&text)),
                    Expr::Literal(Literal::Float(value, digits)) => {
                        Expr::Literal(Literal::Float(-value, digits.map(Decimal::negated)))
                    }
                    Expr::Literal(Literal::Decimal(value)) => Expr::Literal(Literal::Decimal(value.negated())),
                    bound => Expr::Negate(Box::new(bound), site(operand, "a number")),
                },
                _ => return Err(self.foreign(expr)),
            },
            ast::Expr::BinaryOp { left, op, right } if let Some(form) = like_operator(op) => {
                self.like(expr, (left, right, None), form, scope)?
            }
            ast::Expr::BinaryOp { left, op, right } => {
                let (l, r) = (bind(left)?, bind(right)?);
                return self.binary(expr, left, op, right, l, r);
            }
            ast::Expr::Between { expr: operand, negated, low, high } => {
                let (bound, least, most) = (bind(operand)?, bind(low)?, bind(high)?);
                self.check_moments((operand, &bound), (low, &least))?;
                self.check_moments((operand, &bound), (high, &most))?;
                let site = site(operand, "a value that compares with the bounds");
                Expr::Between { operand: bound, low: least, high: most, negated: *negated, site }
            }
            ast::Expr::In { expr: operand, target: ast::InTarget::List(list), negated, .. } => {
                let (bound, items) = (bind(operand)?, list.iter().map(|item| bind(item).map(|item| *item)));
                let items = items.collect::<Result<Vec<_>>>()?;
                if items.iter().all(Expr::is_literal) {
                    self.note_quoted(operand, &bound);
                }
                for (item, expr) in items.iter().zip(list) {
                    self.check_moments((operand, &bound), (expr, item))?;
                }
                let site = site(operand, "values that compare with the list");
                Expr::In { operand: bound, list: items, negated: *negated, site }
            }
            ast::Expr::Like { negated, any: false, expr: operand, pattern, escape_char } => {
                self.like(expr, (operand, pattern, escape_char.as_deref()), (*negated, false), scope)?
            }
            ast::Expr::ILike { negated, any: false, expr: operand, pattern, escape_char } => {
                self.like(expr, (operand, pattern, escape_char.as_deref()), (*negated, true), scope)?
            }
            ast::Expr::SimilarTo { negated, expr: operand, pattern, escape_char: None } => {
                let matches = self.matches(
                    expr,
                    "regexp_full_match",
                    vec![*bind(operand)?, *bind(pattern)?],
                    site(operand, "text"),
                )?;
                if *negated { Expr::Not(Box::new(matches), site(operand, "text")) } else { matches }
            }
            ast::Expr::RLike { negated, expr: operand, pattern, .. } => {
                let matches = self.call(expr, "regexp_matches", &[operand, pattern], scope)?;
                if *negated { Expr::Not(Box::new(matches), site(operand, "text")) } else { matches }
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                let mut branches = Vec::new();
                for when in conditions {
                    let condition = match operand {
                        None => {
                            let condition = *bind(&when.condition)?;
                            self.check_truth(&when.condition, &condition)?;
                            condition
                        }
                        Some(operand) => Expr::Compare {
                            op: Comparison::Equal,
                            left: bind(operand)?,
                            right: bind(&when.condition)?,
                            site: site(operand, "a value that compares"),
                        },
                    };
                    branches.push((condition, *bind(&when.result)?));
                }
                let mut otherwise = match else_result {
                    Some(result) => bind(result)?,
                    None => Box::new(Expr::Literal(Literal::Null)),
                };
                adapt_literals(branches.iter_mut().map(|(_, result)| result).chain([otherwise.as_mut()]));
                Expr::Case { branches, otherwise, site: Site::new("case when", "a truth value") }
            }
            ast::Expr::Cast { kind, expr: operand, data_type, .. } => {
                let lenient = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                self.cast(expr, operand, data_type, lenient, scope)?
            }
            ast::Expr::Extract { field, expr: operand, .. } => {
                let name = field.to_string().trim_matches('\'').to_lowercase();
                let function = part_named(&name).ok_or_else(|| self.no_part(expr, &name))?;
                Expr::Call { function, arguments: vec![*bind(operand)?], site: site(operand, function.expected) }
            }
            ast::Expr::Substring { expr: operand, substring_from, substring_for, .. } => {
                let mut arguments = vec![operand.as_ref()];
                // `substring(text for 3)` begins at the first.
                let one = ast::Expr::value(ast::Value::Number("1".into(), false));
                arguments.extend(substring_from.as_deref().or(substring_for.as_ref().map(|_| &one)));
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
            ast::Expr::Array(array) => self.call(expr, "list_value", &array.elem.iter().collect::<Vec<_>>(), scope)?,
            ast::Expr::Dictionary(fields) => {
                let key = |name: &ast::Ident| ast::Expr::value(ast::Value::SingleQuotedString(name.value.clone()));
                let keys: Vec<ast::Expr> = fields.iter().map(|field| key(&field.key)).collect();
                let pairs = keys.iter().zip(fields).flat_map(|(key, field)| [key, field.value.as_ref()]);
                self.call(expr, "json_object", &pairs.collect::<Vec<_>>(), scope)?
            }
            ast::Expr::CompoundFieldAccess { root, access_chain } => {
                let mut bound = *bind(root)?;
                for access in access_chain {
                    bound = self.access(bound, root, access)?;
                }
                bound
            }
            other => return Err(self.foreign(other)),
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
        let names = match names {
            [table, column, ..] if self.is_column_of(&table.value, &column.value) => &names[1..],
            names => names,
        };
        let (of, names) = match names {
            [first, rest @ ..] => match self.source_of(first, !rest.is_empty() || !accesses.is_empty())? {
                Some(source) => (Of::One(source), rest),
                None if self.records().count() > 1 => (Of::First(self.sources.len()), names),
                None => (Of::One(0), names),
            },
            [] => (Of::One(0), names),
        };
        let field = |path| Expr::Field { of, path, column: 0 };
        let mut path = Path { steps: names.iter().map(|name| Step::Key(name.value.clone())).collect() };
        let mut rest = accesses.iter();
        let mut bound = loop {
            let Some(access) = rest.next() else { break field(path) };
            if let AccessExpr::Subscript(Subscript::Slice { .. }) = access {
                break self.access(field(path), expr, access)?;
            }
            match self.item_step(access)? {
                ItemStep::Key(key) => path.steps.push(Step::Key(key)),
                ItemStep::Index(index) => match u32::try_from(index) {
                    Ok(index) => path.steps.push(Step::Index(index)),
                    Err(_) => break Expr::Item { operand: Box::new(field(path)), step: ItemStep::Index(index) },
                },
            }
        };
        for access in rest {
            bound = self.access(bound, expr, access)?;
        }
        if let Some(to) = self.known_type(&bound) {
            return Ok(Some(bound.read_as(to)));
        }
        if let ([name], []) = (names, accesses)
            && name.quote_style.is_none()
            && let Some(name_of_place) = Virtual::named(&name.value)
        {
            return match of {
                Of::One(0) | Of::First(_) => Ok(Some(Expr::Virtual { name: name_of_place, own: Box::new(bound) })),
                Of::One(source) if self.sources[source].kind == SourceKind::Element => Ok(Some(bound)),
                Of::One(_) => Err(self.error(expr, format!("`{name}` of a joined source is not known")).hint(format!(
                    "take it in a query: join (select *, {name} as place from 'other.jsonl') x using (key)"
                ))),
            };
        }
        Ok(Some(bound))
    }

    /// Whether `table.column` is an element: `unnest(array) as table(column)`.
    fn is_column_of(&self, table: &str, column: &str) -> bool {
        let is_it = |source: &Source| source.table.as_deref() == Some(table) && source.alias.as_deref() == Some(column);
        self.sources.iter().any(is_it)
    }

    /// The type of a column of a query within the query, if it is one that JSON does not have.
    fn known_type(&self, bound: &Expr) -> Option<Type> {
        let Expr::Field { of, path, .. } = bound else { return None };
        let [Step::Key(name)] = path.steps.as_slice() else { return None };
        let sources = match *of {
            Of::One(source) => self.sources.get(source..=source)?,
            Of::First(before) => self.sources.get(..before)?,
        };
        sources.iter().flat_map(|source| &source.types).find(|(known, _)| known == name).map(|(_, to)| *to)
    }

    /// The source that a first name means: `this` is the record, an alias what has it. The record of FROM is meant only
    /// where something follows, as `input` can be a key, too.
    fn source_of(&self, name: &ast::Ident, followed: bool) -> Result<Option<usize>> {
        if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("this") {
            return Ok(Some(0));
        }
        let source = self.source_named(&name.value).filter(|source| *source > 0 || followed);
        match source {
            Some(source) if self.sources[source].kind == SourceKind::Witness => Err(self
                .text
                .error(name.span, format!("`{}` only decides which rows stay: its fields are not there", name.value))
                .hint("a join without `semi` or `anti` puts them beside the rows")),
            None if followed && self.outer.contains(&name.value) => Err(self
                .text
                .error(
                    name.span,
                    format!("`{}` is of the query around this one: correlated queries are not supported", name.value),
                )
                .hint("a join or a semi join says the same: from input o semi join 'other.jsonl' x on o.key = x.key")),
            source => Ok(source),
        }
    }

    pub(super) fn item_step(&self, access: &AccessExpr) -> Result<ItemStep> {
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
            // Slices are no steps; see `access`.
            AccessExpr::Subscript(Subscript::Slice { .. }) => {
                Err(Error::new(crate::ErrorKind::Query, "a slice cannot stand here"))
            }
        }
    }

    pub(super) fn binary(
        &self,
        expr: &ast::Expr,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        mut l: Box<Expr>,
        mut r: Box<Expr>,
    ) -> Result<Expr> {
        adapt_literals([l.as_mut(), r.as_mut()].into_iter());
        let comparison =
            |op, l, r| Expr::Compare { op, left: l, right: r, site: pair_site(left, right, "a value that compares") };
        let arithmetic =
            |op, l, r| Expr::Arithmetic { op, left: l, right: r, site: pair_site(left, right, "a number") };
        match op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => self.check_comparison(expr, (left, right), (&l, &r))?,
            BinaryOperator::And | BinaryOperator::Or => {
                self.check_truth(left, &l)?;
                self.check_truth(right, &r)?;
            }
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::DuckIntegerDivide
            | BinaryOperator::MyIntegerDivide
            | BinaryOperator::Modulo => self.check_operands((left, &l), op, (right, &r))?,
            op if is_power(op) => self.check_operands((left, &l), op, (right, &r))?,
            _ => {}
        }
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
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotIMatch => {
                let operand = site(left, "text");
                let mut arguments = vec![*l, *r];
                if matches!(op, BinaryOperator::PGRegexIMatch | BinaryOperator::PGRegexNotIMatch) {
                    arguments.push(Expr::Literal(Literal::Text("i".to_owned())));
                }
                let matches = self.matches(expr, "regexp_matches", arguments, operand.clone())?;
                match op {
                    BinaryOperator::PGRegexMatch | BinaryOperator::PGRegexIMatch => matches,
                    _ => Expr::Not(Box::new(matches), operand),
                }
            }
            BinaryOperator::StringConcat => Expr::Concat(l, r, pair_site(left, right, "text, a number or a date")),
            op if is_power(op) => {
                let function = function("pow").ok_or_else(|| self.unknown_function(expr, "pow"))?;
                Expr::Call { function, arguments: vec![*l, *r], site: pair_site(left, right, function.expected) }
            }
            _ => return Err(self.foreign_operator(expr, (left, op, right))),
        })
    }

    pub(super) fn error(&self, expr: &ast::Expr, message: String) -> Error {
        self.text.error(span(expr), message)
    }

    pub(super) fn unsupported(&self, expr: &ast::Expr, what: &str) -> Error {
        self.error(expr, format!("{what} is not supported"))
    }
}

/// Whether LIKE that is written `~~` is negated, and whether it ignores case.
fn like_operator(op: &BinaryOperator) -> Option<(bool, bool)> {
    match op {
        BinaryOperator::PGLikeMatch => Some((false, false)),
        BinaryOperator::PGNotLikeMatch => Some((true, false)),
        BinaryOperator::PGILikeMatch => Some((false, true)),
        BinaryOperator::PGNotILikeMatch => Some((true, true)),
        _ => None,
    }
}

/// Whether an operator is `^` or `**`.
fn is_power(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::BitwiseXor) || matches!(op, BinaryOperator::Custom(op) if op == POWER_OPERATOR)
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

/// How an expression is named where its values are wrong.
pub(super) fn label(expr: &ast::Expr) -> String {
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
pub(super) fn pair_site(left: &ast::Expr, right: &ast::Expr, expected: &'static str) -> Site {
    let constant = |expr: &ast::Expr| matches!(expr, ast::Expr::Value(_) | ast::Expr::TypedString(_));
    let label = match (constant(left), constant(right)) {
        (false, true) => label(left),
        (true, false) => label(right),
        _ => format!("{left}, {right}"),
    };
    Site::new(label, expected)
}
