//! Calls of aggregates.

use sqlparser::ast::{self, OrderBySort};

use super::bind::{Records, condition, order_key};
use super::check::class_of;
use super::expr::{Binder, site};
use super::groups::GroupScope;
use crate::agg::{AggregateFunction, Outcome, Parameter, aggregate};
use crate::error::Result;
use crate::expr::{Condition, Expr, Literal, OrderKey, Site};
use crate::group::AggregateCall;
use crate::value::Value;

impl GroupScope<'_, '_, '_> {
    /// The column of the frame of groups that holds what an aggregate gives.
    pub(super) fn bind_aggregate(&mut self, binder: &Binder, expr: &ast::Expr, call: &ast::Function) -> Result<Expr> {
        let name = call.name.to_string();
        let Some(function) = aggregate(&name) else { return Err(binder.unknown_function(expr, &name)) };
        if call.null_treatment.is_some() {
            return Err(binder.unsupported(expr, "IGNORE NULLS"));
        }
        let mut arguments = binder.arguments(call)?;
        // In an order it is the first that is not NULL.
        let in_order = function.name == "any_value" && !arguments.order.is_empty();
        let function = if in_order { aggregate("first").unwrap_or(function) } else { function };
        // `quantile_cont(0.5) within group (order by x)` is `quantile_cont(x, 0.5)`.
        let is_falling = |key: &ast::OrderByExpr| key.options.sort == Some(OrderBySort::Desc);
        if function.parameter == Parameter::Fraction
            && let Some(key) = call.within_group.iter().chain(arguments.order).find(|key| is_falling(key))
        {
            return Err(binder
                .unsupported(&key.expr, "a falling order in a quantile")
                .hint("the fraction 0.75 of a rising order is 0.25 of a falling one"));
        }
        if let [key] = call.within_group.as_slice() {
            arguments.list.insert(0, &key.expr);
        } else if !call.within_group.is_empty() {
            return Err(binder.unsupported(expr, "WITHIN GROUP with several keys"));
        }
        if arguments.star && (function.name != "count" || arguments.distinct) {
            let error = binder.error(expr, format!("only count takes `*`, not {expr}"));
            return Err(match function.name {
                "count" => error.hint("count(distinct this) is the number of different records"),
                _ => error,
            });
        }
        let (fewest, most) = function.arguments();
        let bounds = (if arguments.distinct { fewest.max(1) } else { fewest }, most);
        if let ("count", true, [first, second, ..]) = (function.name, arguments.distinct, &arguments.list[..]) {
            return Err(binder
                .error(expr, "count(distinct …) takes one value".to_owned())
                .hint(format!("make one of them: count(distinct concat_ws(' ', {first}, {second}))")));
        }
        binder.check_arguments(expr, function.name, bounds, arguments.list.len(), function.signature)?;
        if arguments.distinct && !function.takes_distinct() {
            return Err(binder.unsupported(expr, &format!("distinct in {}", function.name)));
        }
        let mut records = Records::fields();
        let (values, parameters) = arguments.list.split_at(arguments.list.len().min(function.values.1));
        let mut bound = values.iter().map(|arg| binder.bind(arg, &mut records)).collect::<Result<Vec<_>>>()?;
        if let (Some(first), Some(argument)) = (bound.first(), values.first()) {
            binder.note_quoted(argument, first);
        }
        if let (Some(Expr::Literal(Literal::Text(text))), wanted) = (bound.first(), function.expected)
            && wanted.starts_with("a number")
        {
            return Err(binder
                .error(values[0], format!("{} takes {}, and '{text}' is a text", function.name, function.expected))
                .hint(format!("a field stands without quotes: {}({text})", function.name)));
        }
        let mut outcome = match (function.parameter, parameters.first()) {
            (Parameter::Count, Some(_)) => Outcome::Whole,
            (_, parameter) => outcome(binder, expr, function, parameter.copied())?,
        };
        let mut function = function;
        if let (Some(class), Some(argument)) = (bound.first().and_then(class_of), values.first()) {
            match function.of(class) {
                Some((other, other_outcome)) => {
                    function = other;
                    outcome = other_outcome.unwrap_or(outcome);
                }
                None => binder.check_aggregated(argument, function, class)?,
            }
        }
        let mut filter = call.filter.as_ref().map(|filter| condition(binder, filter, &mut records)).transpose()?;
        if let (true, [value]) = (in_order, bound.as_slice()) {
            Condition::also(&mut filter, is_not_null(value));
        }
        let mut ordered = false;
        if let (Parameter::Count, Some(count)) = (function.parameter, parameters.first()) {
            if arguments.distinct {
                return Err(binder.unsupported(expr, &format!("distinct in {} with a count", function.name)));
            }
            several(binder, function, count, &mut bound, &mut filter)?;
            ordered = true;
        }
        if function.takes_order() && !arguments.order.is_empty() {
            let keys = arguments.order.iter().map(|key| {
                let bound = binder.bind(&key.expr, &mut records)?;
                order_key(binder, key, bound)
            });
            let keys = keys.collect::<Result<Vec<_>>>()?;
            match keys.as_slice() {
                // Distinct values, of which none is NULL, come in rising order anyway.
                [key] if arguments.distinct && bound.first() == Some(&key.expr) => {
                    if key.descending {
                        outcome = Outcome::Falling(Box::new(outcome));
                    }
                }
                _ if arguments.distinct => {
                    return Err(binder
                        .unsupported(expr, "distinct with this ORDER BY inside an aggregate")
                        .hint("distinct values can be ordered by themselves alone, rising or falling"));
                }
                _ => {
                    bound.push(Expr::SortKey(keys));
                    ordered = true;
                }
            }
        }
        let call = AggregateCall {
            function,
            distinct: arguments.distinct,
            ordered,
            arguments: bound,
            outcome,
            filter,
            site: arguments.list.first().map(|arg| site(arg, function.expected)).unwrap_or_default(),
            result_site: site(expr, "a number that fits"),
        };
        let known = self.aggregates.iter().position(|known| *known == call);
        let number = known.unwrap_or_else(|| {
            self.aggregates.push(call);
            self.aggregates.len() - 1
        });
        Ok(Expr::Column(self.keys.len() + number))
    }
}

/// What is wanted of an aggregate's state: its parameter is a constant.
fn outcome(
    binder: &Binder,
    expr: &ast::Expr,
    function: &AggregateFunction,
    parameter: Option<&ast::Expr>,
) -> Result<Outcome> {
    let bound = parameter.map(|parameter| binder.bind(parameter, &mut Records::fields())).transpose()?;
    let value = match &bound {
        None => None,
        Some(Expr::Literal(literal)) => Some(literal.value()),
        Some(_) => Some(Value::Null),
    };
    function.outcome(value).ok_or_else(|| {
        let wanted = match function.parameter {
            Parameter::Fraction => "a fraction from 0 to 1 that stands in the query, or an array of them,",
            _ => "a text that stands in the query",
        };
        binder
            .error(parameter.unwrap_or(expr), format!("{} takes {wanted} here", function.name))
            .hint(format!("it is called as {}", function.signature))
    })
}

fn is_not_null(value: &Expr) -> Condition {
    let expr = Expr::IsNull { operand: Box::new(value.clone()), negated: true };
    Condition { expr, site: Site::default() }
}

/// The arguments of `max(x, 3)` or `max_by(x, y, 3)`: the value, the count, and the order by which the values are chosen, of
/// equal ones the smallest. Rows where a value is NULL do not count.
fn several(
    binder: &Binder,
    function: &AggregateFunction,
    count: &ast::Expr,
    bound: &mut Vec<Expr>,
    filter: &mut Option<Condition>,
) -> Result<()> {
    const MOST: i64 = 1_000_000;
    let count = match binder.bind(count, &mut Records::fields())? {
        Expr::Literal(Literal::Int(number)) if (1..=i128::from(MOST)).contains(&number) => Literal::Int(number),
        _ => {
            let message =
                format!("the count of {} is a whole number from 1 to {MOST} that stands in the query", function.name);
            return Err(binder.error(count, message).hint(format!("it is called as {}", function.signature)));
        }
    };
    for value in bound.iter() {
        Condition::also(filter, is_not_null(value));
    }
    let descending = function.name.starts_with("max");
    let keys = bound.iter().rev().enumerate().map(|(place, value)| {
        // The values themselves come behind what they are chosen by, the smallest first.
        OrderKey { expr: value.clone(), descending: descending && place == 0, nulls_first: false }
    });
    let order = Expr::SortKey(keys.collect());
    bound.truncate(1);
    bound.extend([Expr::Literal(count), order]);
    Ok(())
}
