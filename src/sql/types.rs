//! Types in a query: the names of casts, and the digits of decimals.

use regex::Regex;
use sqlparser::ast::{self, DataType, ExactNumberInfo, Spanned};

use super::expr::{Binder, Scope, label, site};
use super::literal::digits;
use crate::agg::Outcome;
use crate::error::{Error, Result};
use crate::expr::{Expr, Literal, Of, Site, Type};
use crate::group::{AggregateCall, Grouping};
use crate::plan::{Body, Plan, Projection, Source};
use crate::scan::Step;
use crate::value::{Decimal, Value};

/// The most digits that a decimal type may name: as DuckDB and Spark have it. Values have 36 at most.
const MOST_DIGITS: u64 = 38;

/// What `decimal` without digits is in a cast, as in DuckDB.
const USUAL: Type = Type::Decimal { precision: 18, scale: Some(3) };

impl Binder<'_, '_> {
    /// `cast(x as type)`
    pub(super) fn cast(
        &self,
        expr: &ast::Expr,
        operand: &ast::Expr,
        data_type: &DataType,
        lenient: bool,
        scope: &mut dyn Scope,
    ) -> Result<Expr> {
        let to = self.data_type(expr, data_type)?;
        let bound = self.bind(operand, scope)?;
        Ok(cast(bound, to, lenient, site(operand, to.expected())))
    }

    /// The type that a name means; `expr` is where it stands.
    pub(super) fn data_type(&self, expr: &ast::Expr, data_type: &DataType) -> Result<Type> {
        let name = data_type.to_string();
        if let DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) = data_type {
            let (precision, scale) = match *info {
                ExactNumberInfo::None => return Ok(USUAL),
                ExactNumberInfo::Precision(precision) => (Some(precision), Some(0)),
                ExactNumberInfo::PrecisionAndScale(precision, scale) => (Some(precision), u64::try_from(scale).ok()),
            };
            return decimal_type(precision, scale).map_err(|message| self.type_error(expr, &name, message));
        }
        Type::named(name.split('(').next().unwrap_or(&name).trim()).ok_or_else(|| {
            self.error(expr, format!("the type {name} is not known")).hint(
                "the types are boolean, tinyint, smallint, integer, bigint, hugeint, double, decimal, varchar, date, \
                 timestamp and interval",
            )
        })
    }

    /// `decimal(x)`, `decimal(x, precision, scale)`: a cast, so that the digits of fields are read.
    pub(super) fn decimal_call(
        &self,
        expr: &ast::Expr,
        arguments: &[&ast::Expr],
        scope: &mut dyn Scope,
    ) -> Result<Expr> {
        const SIGNATURE: &str = "decimal(value) or decimal(value, precision, scale)";
        let whole = |argument: &ast::Expr| {
            let digits = digits(argument).and_then(|digits| digits.parse::<u64>().ok());
            digits.ok_or_else(|| {
                let message = "the digits of a decimal are whole numbers that stand in the query".to_owned();
                self.error(argument, message).hint(format!("it is called as {SIGNATURE}"))
            })
        };
        let (operand, to) = match *arguments {
            [operand] => (operand, Type::EXACT),
            [operand, precision, scale] => {
                let to = decimal_type(Some(whole(precision)?), Some(whole(scale)?)).map_err(|message| {
                    // The digits that are wrong are underlined.
                    let wrong = if decimal_type(Some(whole(precision)?), Some(0)).is_err() { precision } else { scale };
                    Ok::<Error, Error>(self.error(wrong, message).hint(DIGITS))
                });
                match to {
                    Ok(to) => (operand, to),
                    Err(error) => return Err(error?),
                }
            }
            _ => {
                let message = format!("decimal takes 1 or 3 arguments, {} given", arguments.len());
                return Err(self.error(expr, message).hint(format!("it is called as {SIGNATURE}")));
            }
        };
        let bound = self.bind(operand, scope)?;
        // The argument that can be wrong at run time is named; a constant is named with its call.
        let label = if matches!(bound, Expr::Literal(_)) { expr.to_string() } else { label(operand) };
        Ok(cast(bound, to, false, Site::new(label, to.expected())))
    }

    /// An error about the digits of a type, which are underlined where they are found in the text.
    fn type_error(&self, expr: &ast::Expr, name: &str, message: String) -> Error {
        let pattern: String = name
            .chars()
            .filter(|char| !char.is_whitespace())
            .map(|char| if char.is_alphanumeric() { char.to_string() } else { format!(r"\s*\{char}\s*") })
            .collect();
        let start = self.text.range(expr.span()).map_or(0, |(start, _)| start);
        let found = Regex::new(&format!("(?i){}", pattern.trim_end_matches(r"\s*"))).ok();
        let found = found.and_then(|pattern| pattern.find_at(self.text.0, start));
        let error = match found {
            Some(found) => self.text.error_at((found.start(), found.end()), message),
            None => self.error(expr, message),
        };
        error.hint(DIGITS)
    }
}

/// The columns of the rows of some queries that are seen to have, in all of them, one type that JSON does not have.
pub(super) fn known_types(queries: &[Plan]) -> Vec<(String, Type)> {
    let names = queries.first().and_then(|query| query.names.as_deref()).unwrap_or_default();
    let known = names.iter().filter_map(|name| {
        let mut types = queries.iter().filter_map(|query| column_type(query, name));
        let first = types.next()??;
        types.all(|other| other == Some(first)).then(|| (name.clone(), first))
    });
    known.collect()
}

/// The type of a column of a query, as far as it is seen; [`None`] if there is no such column.
fn column_type(plan: &Plan, name: &str) -> Option<Option<Type>> {
    let place = plan.names.as_ref()?.iter().position(|known| known == name)?;
    Some(match &plan.body {
        Body::Rows(Projection::Columns(items)) => type_of(plan, &items.get(place)?.expr),
        Body::Groups(groups) => match &groups.items.get(place)?.expr {
            Expr::Column(column) => {
                let Grouping { keys, aggregates } = &groups.grouping;
                match keys.get(*column) {
                    Some(key) => type_of(plan, key),
                    None => {
                        let call = aggregates.get(*column - keys.len())?;
                        let AggregateCall { function, arguments, .. } = call;
                        let is_array = call.ordered && !function.takes_order();
                        if is_array || matches!(call.outcome, Outcome::Quantiles(_)) {
                            return Some(None);
                        }
                        function.gives.known_type(arguments.iter().map(|argument| type_of(plan, argument)))
                    }
                }
            }
            expr => expr.known_type(),
        },
        Body::Rows(_) => None,
    })
}

/// The type of an expression over the rows of a plan, as far as it is seen: of a column of a query within, what that gives.
fn type_of(plan: &Plan, expr: &Expr) -> Option<Type> {
    match (expr, &plan.source) {
        (Expr::Field { of: Of::One(0), path, .. }, Source::Queries { queries, .. }) => match path.steps.as_slice() {
            [Step::Key(name)] => {
                known_types(queries).into_iter().find(|(known, _)| known == name).map(|(_, known)| known)
            }
            _ => None,
        },
        _ => expr.known_type(),
    }
}

const DIGITS: &str = "write decimal(18, 2) for up to 18 digits, of which 2 stand after the point";

/// The decimals of so many digits; else what is wrong with them.
fn decimal_type(precision: Option<u64>, scale: Option<u64>) -> Result<Type, String> {
    let most_places = u64::from(Decimal::MAX_DIGITS);
    let precision = precision.filter(|precision| (1..=MOST_DIGITS).contains(precision));
    let Some(precision) = precision else { return Err(format!("a decimal has 1 to {MOST_DIGITS} digits")) };
    match scale {
        Some(scale) if scale <= precision.min(most_places) => {
            Ok(Type::Decimal { precision: precision as u8, scale: Some(scale as u8) })
        }
        _ => Err(format!("a decimal of {precision} digits has 0 to {} after the point", precision.min(most_places))),
    }
}

/// A cast; of a number that stands in the query to a decimal or an integer, what comes of it: it has the digits that it is
/// written with.
fn cast(operand: Expr, to: Type, lenient: bool, site: Site) -> Expr {
    if let (Type::Decimal { .. } | Type::Int { .. }, Expr::Literal(literal)) = (to, &operand) {
        let digits = match literal {
            Literal::Float(_, Some(digits)) | Literal::Decimal(digits) => Some(*digits),
            Literal::Int(value) => Decimal::new(*value, 0),
            _ => None,
        };
        let arena = bumpalo::Bump::new();
        let cast = digits.map(|digits| to.cast(Value::Decimal(digits), &arena));
        match cast {
            Some(Ok(Value::Decimal(value))) => return Expr::Literal(Literal::Decimal(value)),
            Some(Ok(Value::Int(value))) => return Expr::Literal(Literal::Int(value.into())),
            _ => {}
        }
    }
    Expr::Cast { operand: Box::new(operand), to, lenient, site }
}
