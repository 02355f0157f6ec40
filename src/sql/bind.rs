//! From sqlparser's tree of a query to a plan.

use std::cell::Cell;

use sqlparser::ast::{
    self, Distinct, ExcludeSelectItem, GroupByExpr, LimitClause, OrderByKind, OrderBySort, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned, WildcardAdditionalOptions,
};

use super::expr::{Binder, Scope, has_aggregate, is_aggregate, site, span};
use super::from::{bind_from, bind_unnests};
use super::parse::parse;
use super::place::Text;
use crate::agg::{AggregateFunction, Outcome, Parameter, aggregate};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Condition, Expr, Literal, OrderKey};
use crate::group::{AggregateCall, Grouping};
use crate::plan::{Body, Extension, Groups, Item, Plan, Projection};
use crate::scan::Path;
use crate::value::{Timestamp, Value};

/// Makes the plan of a query.
///
/// # Errors
/// [`ErrorKind::Query`], with the place in the text, if the query does not parse, names what is not there, or asks
/// for what foldl cannot do.
pub fn plan(text: &str) -> Result<Plan> {
    let text = Text(text);
    if text.0.trim().is_empty() {
        return Err(text.error_at((0, 0), "the query is empty").hint("`select *` writes every record"));
    }
    let query = parse(text)?;
    let mut plan = bind_query(text, &query)?;
    plan.number();
    Ok(plan)
}

fn bind_query(text: Text, query: &Query) -> Result<Plan> {
    let select = match query.body.as_ref() {
        SetExpr::Select(select) => select.as_ref(),
        SetExpr::Query(inner) => match inner.body.as_ref() {
            SetExpr::Select(select) if inner.order_by.is_none() && inner.limit_clause.is_none() => select.as_ref(),
            _ => return Err(text.error(query.span(), "a query within a query is not supported")),
        },
        SetExpr::SetOperation { op, .. } => {
            return Err(text
                .error(query.span(), format!("{op} is not supported"))
                .hint("name several files to read them one after another"));
        }
        other => return Err(text.error(query.span(), format!("`{other}` is not a query of records"))),
    };
    if let Some(with) = &query.with {
        return Err(text.error(with.span(), "WITH is not supported"));
    }
    reject_clauses(text, query, select)?;
    let (files, source_alias, arrays) = bind_from(text, select)?;
    let mut binder = Binder { text, source_alias, elements: Vec::new(), bound: Cell::new(0), now: Timestamp::now() };
    let unnests = bind_unnests(&mut binder, select, arrays)?;
    let filter = match &select.selection {
        None => None,
        Some(expr) if has_aggregate(&binder, expr) => {
            return Err(binder
                .error(expr, "an aggregate cannot stand in WHERE, which sees one record at a time".to_owned())
                .hint("use HAVING for conditions on groups"));
        }
        Some(expr) => Some(condition(&binder, expr, &mut Records { aliases: &[] })?),
    };

    let selected = SelectList::new(&binder, select)?;
    let order_exprs = match &query.order_by {
        None => &[][..],
        Some(order) => match &order.kind {
            OrderByKind::Expressions(exprs) => exprs.as_slice(),
            OrderByKind::All(_) => return Err(text.error(order.span(), "ORDER BY ALL is not supported")),
        },
    };
    let grouped = is_grouped(&binder, select, &selected)
        || select.having.is_some()
        || order_exprs.iter().any(|key| has_aggregate(&binder, &key.expr));
    let mut plan = Plan {
        paths: Vec::new(),
        sites: Vec::new(),
        files,
        unnests,
        filter,
        body: Body::Rows(Projection::Record),
        order: Vec::new(),
        limit: None,
        offset: 0,
        names: None,
    };
    if grouped || select.distinct.is_some() {
        bind_groups(&binder, select, &selected, order_exprs, &mut plan)?;
    } else {
        bind_rows(&binder, &selected, order_exprs, &mut plan)?;
    }
    (plan.limit, plan.offset) = bind_limit(&binder, query)?;
    Ok(plan)
}

/// Clauses that sqlparser knows and foldl does not.
fn reject_clauses(text: Text, query: &Query, select: &Select) -> Result<()> {
    let found = [
        (select.qualify.is_some(), "QUALIFY"),
        (!select.named_window.is_empty(), "WINDOW"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (select.top.is_some(), "TOP"),
        (select.into.is_some(), "INTO"),
        (select.prewhere.is_some(), "PREWHERE"),
        (select.exclude.is_some(), "EXCLUDE"),
        (select.value_table_mode.is_some(), "AS VALUE"),
        (query.fetch.is_some(), "FETCH"),
        (!query.locks.is_empty(), "FOR UPDATE"),
        (query.for_clause.is_some(), "FOR"),
        (query.settings.is_some(), "SETTINGS"),
        (query.format_clause.is_some(), "FORMAT"),
        (!query.pipe_operators.is_empty(), "|>"),
    ];
    match found.iter().find(|(found, _)| *found) {
        Some((_, name)) => Err(text.error(query.span(), format!("{name} is not supported"))),
        None => Ok(()),
    }
}

fn bind_limit(binder: &Binder, query: &Query) -> Result<(Option<u64>, u64)> {
    let count = |expr: &ast::Expr, clause: &str| {
        match expr {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(digits, _) => digits.parse::<u64>().ok(),
                _ => None,
            },
            _ => None,
        }
        .ok_or_else(|| binder.error(expr, format!("{clause} takes a whole number")))
    };
    match &query.limit_clause {
        None => Ok((None, 0)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            if let Some(expr) = limit_by.first() {
                return Err(binder.unsupported(expr, "LIMIT BY"));
            }
            let limit = limit.as_ref().map(|limit| count(limit, "LIMIT")).transpose()?;
            let offset = offset.as_ref().map(|offset| count(&offset.value, "OFFSET")).transpose()?;
            Ok((limit, offset.unwrap_or(0)))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            Ok((Some(count(limit, "LIMIT")?), count(offset, "OFFSET")?))
        }
    }
}

/// The select list, before anything in it is bound.
struct SelectList<'q> {
    /// Whether `*` is in it.
    star: bool,
    /// The keys that `* exclude (…)` leaves out.
    excluded: Vec<String>,
    /// `* replace (… as key)`
    replaced: Vec<Named<'q>>,
    items: Vec<Named<'q>>,
}

/// One item of the select list.
struct Named<'q> {
    name: String,
    /// Whether the name was given with AS, so that it can be referred to.
    alias: bool,
    expr: &'q ast::Expr,
}

impl<'q> SelectList<'q> {
    fn new(binder: &Binder, select: &'q Select) -> Result<SelectList<'q>> {
        let mut list = SelectList { star: false, excluded: Vec::new(), replaced: Vec::new(), items: Vec::new() };
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    list.items.push(Named { name: column_name(expr), alias: false, expr });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    list.items.push(Named { name: alias.value.clone(), alias: true, expr });
                }
                SelectItem::Wildcard(options) => list.star(binder, item, options)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                    if binder.source_alias.as_ref().is_some_and(|alias| *alias == name.to_string()) =>
                {
                    list.star(binder, item, options)?;
                }
                other => return Err(binder.text.error(other.span(), format!("`{other}` is not supported"))),
            }
        }
        // Without a list, FROM alone means every field.
        list.star |= select.projection.is_empty();
        let all: Vec<&Named> = list.replaced.iter().chain(&list.items).collect();
        for (i, item) in all.iter().enumerate() {
            if all[..i].iter().any(|other| other.name == item.name) {
                return Err(binder
                    .error(item.expr, format!("two columns of the output are named `{}`", item.name))
                    .hint("give one of them another name with `as`"));
            }
        }
        Ok(list)
    }

    /// `*`, with what stands behind it.
    fn star(&mut self, binder: &Binder, item: &SelectItem, options: &'q WildcardAdditionalOptions) -> Result<()> {
        self.star = true;
        if options.opt_rename.is_some() || options.opt_ilike.is_some() {
            return Err(binder.text.error(item.span(), format!("`{item}` is not supported")));
        }
        match &options.opt_exclude {
            None => {}
            Some(ExcludeSelectItem::Single(name)) => self.excluded.push(key_of(name)),
            Some(ExcludeSelectItem::Multiple(names)) => self.excluded.extend(names.iter().map(key_of)),
        }
        if let Some(except) = &options.opt_except {
            let names = std::iter::once(&except.first_element).chain(&except.additional_elements);
            self.excluded.extend(names.map(|name| name.value.clone()));
        }
        let replacements = options.opt_replace.iter().flat_map(|replace| &replace.items);
        self.replaced.extend(replacements.map(|replacement| Named {
            name: replacement.column_name.value.clone(),
            alias: false,
            expr: &replacement.expr,
        }));
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|item| item.name.clone()).collect()
    }

    /// The item that a whole number in GROUP BY or ORDER BY refers to.
    fn ordinal(&self, binder: &Binder, expr: &ast::Expr) -> Result<Option<usize>> {
        let ast::Expr::Value(value) = expr else { return Ok(None) };
        let ast::Value::Number(digits, _) = &value.value else { return Ok(None) };
        match digits.parse::<usize>() {
            Ok(number @ 1..) if number <= self.items.len() && !self.star => Ok(Some(number - 1)),
            _ => Err(binder.error(expr, format!("the select list has no column number {digits}"))),
        }
    }
}

/// The key that `* exclude` names.
fn key_of(name: &ast::ObjectName) -> String {
    match name.0.as_slice() {
        [ast::ObjectNamePart::Identifier(name)] => name.value.clone(),
        _ => name.to_string(),
    }
}

/// The name of a column without alias: the last segment of a path, else the text of the expression.
fn column_name(expr: &ast::Expr) -> String {
    match expr {
        ast::Expr::Identifier(name) => name.value.clone(),
        ast::Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()).unwrap_or_default(),
        ast::Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(ast::AccessExpr::Dot(ast::Expr::Identifier(name))) => name.value.clone(),
            _ => expr.to_string(),
        },
        ast::Expr::Nested(inner) => column_name(inner),
        _ => expr.to_string(),
    }
}

fn is_grouped(binder: &Binder, select: &Select, list: &SelectList) -> bool {
    let group_by = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
    };
    group_by || list.items.iter().any(|item| has_aggregate(binder, item.expr))
}

fn condition(binder: &Binder, expr: &ast::Expr, scope: &mut dyn Scope) -> Result<Condition> {
    Ok(Condition { expr: binder.bind(expr, scope)?, site: site(expr, "a truth value") })
}

/// Names mean fields of records; before them, the aliases of the select list where they may be used.
struct Records<'l, 'q> {
    aliases: &'l [Named<'q>],
}

impl Scope for Records<'_, '_> {
    fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>> {
        if let ast::Expr::Identifier(name) = expr
            && let Some(item) = self.aliases.iter().find(|item| item.alias && item.name == name.value)
        {
            return binder.bind(item.expr, &mut Records { aliases: &[] }).map(Some);
        }
        if let ast::Expr::Function(call) = expr
            && is_aggregate(call)
        {
            return Err(binder
                .text
                .error(call.name.span(), format!("the aggregate {} cannot stand here", call.name))
                .hint("aggregates stand in the select list, in HAVING and in ORDER BY, and not within each other"));
        }
        binder.path(expr)
    }
}

fn bind_rows(binder: &Binder, list: &SelectList, order: &[ast::OrderByExpr], plan: &mut Plan) -> Result<()> {
    let mut items = Vec::new();
    for item in list.replaced.iter().chain(&list.items) {
        let expr = binder.bind(item.expr, &mut Records { aliases: &[] })?;
        items.push(Item { name: item.name.clone(), expr });
    }
    for key in order {
        let expr = match list.ordinal(binder, &key.expr)? {
            Some(ordinal) => items[ordinal].expr.clone(),
            None => binder.bind(&key.expr, &mut Records { aliases: &list.items })?,
        };
        plan.order.push(order_key(binder, key, expr)?);
    }
    if list.star {
        // `*` is the record and its elements.
        for (place, elements) in binder.elements.iter().enumerate() {
            if let Some(name) = &elements.alias
                && items.iter().all(|item| item.name != *name)
            {
                let expr = Expr::Field { source: place + 1, path: Path::default(), column: 0 };
                items.push(Item { name: name.clone(), expr });
            }
        }
    }
    plan.names = (!list.star).then(|| list.names());
    plan.body = Body::Rows(match (list.star, items.is_empty() && list.excluded.is_empty()) {
        (true, true) => Projection::Record,
        (true, false) => Projection::Extended(Extension {
            items,
            replacements: list.replaced.len(),
            excluded: list.excluded.clone(),
        }),
        (false, _) => Projection::Columns(items),
    });
    Ok(())
}

fn order_key(binder: &Binder, key: &ast::OrderByExpr, expr: Expr) -> Result<OrderKey> {
    let descending = match key.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => return Err(binder.unsupported(&key.expr, "ORDER BY … USING")),
    };
    Ok(OrderKey { expr, descending, nulls_first: key.options.nulls_first.unwrap_or(false) })
}

/// Names mean keys and aggregates of groups.
struct GroupScope<'p, 'l, 'q> {
    keys: &'p [Expr],
    /// The number of keys, which come before the aggregates in a frame of groups.
    aggregates: &'p mut Vec<AggregateCall>,
    /// The select list, whose aliases HAVING and ORDER BY may use.
    aliases: &'l [Named<'q>],
}

impl Scope for GroupScope<'_, '_, '_> {
    fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>> {
        if let ast::Expr::Identifier(name) = expr
            && let Some(item) = self.aliases.iter().find(|item| item.alias && item.name == name.value)
        {
            let aliases = std::mem::take(&mut self.aliases);
            let bound = binder.bind(item.expr, self);
            self.aliases = aliases;
            return bound.map(Some);
        }
        if let ast::Expr::Function(call) = expr
            && is_aggregate(call)
        {
            return self.bind_aggregate(binder, expr, call).map(Some);
        }
        if matches!(expr, ast::Expr::Value(_)) {
            return Ok(None);
        }
        if !has_aggregate(binder, expr)
            && let Ok(bound) = binder.bind(expr, &mut Records { aliases: &[] })
            && let Some(key) = self.keys.iter().position(|key| *key == bound)
        {
            return Ok(Some(Expr::Column(key)));
        }
        match binder.path(expr)? {
            None => Ok(None),
            Some(_) if self.keys.is_empty() => Err(binder
                .error(expr, format!("`{expr}` is neither in GROUP BY nor inside an aggregate"))
                .hint("add `group by all`, or take it into an aggregate such as any_value or max")),
            Some(_) => Err(binder
                .error(expr, format!("`{expr}` is neither in GROUP BY nor inside an aggregate"))
                .hint(format!("add {expr} to GROUP BY (or write `group by all`), or write any_value({expr})"))),
        }
    }
}

impl GroupScope<'_, '_, '_> {
    fn bind_aggregate(&mut self, binder: &Binder, expr: &ast::Expr, call: &ast::Function) -> Result<Expr> {
        let name = call.name.to_string();
        let Some(function) = aggregate(&name) else { return Err(binder.unknown_function(expr, &name)) };
        if call.null_treatment.is_some() {
            return Err(binder.unsupported(expr, "IGNORE NULLS"));
        }
        let mut arguments = binder.arguments(call)?;
        // `quantile_cont(0.5) within group (order by x)` is `quantile_cont(x, 0.5)`.
        if let [key] = call.within_group.as_slice() {
            arguments.list.insert(0, &key.expr);
        } else if !call.within_group.is_empty() {
            return Err(binder.unsupported(expr, "WITHIN GROUP with several keys"));
        }
        if arguments.star && (function.name != "count" || arguments.distinct) {
            return Err(binder.error(expr, format!("only count takes `*`, not {expr}")));
        }
        let (fewest, most) = function.arguments();
        let bounds = (if arguments.distinct { fewest.max(1) } else { fewest }, most);
        binder.check_arguments(expr, function.name, bounds, arguments.list.len(), function.signature)?;
        if arguments.distinct && !function.takes_distinct() {
            return Err(binder.unsupported(expr, &format!("distinct in {}", function.name)));
        }
        let mut records = Records { aliases: &[] };
        let (values, parameters) = arguments.list.split_at(arguments.list.len().min(function.values.1));
        let mut bound = values.iter().map(|arg| binder.bind(arg, &mut records)).collect::<Result<Vec<_>>>()?;
        if let (Some(Expr::Literal(Literal::Text(text))), "a number") = (bound.first(), function.expected) {
            return Err(binder
                .error(values[0], format!("{} takes {}, and '{text}' is a text", function.name, function.expected))
                .hint(format!("a field stands without quotes: {}({text})", function.name)));
        }
        let outcome = outcome(binder, expr, function, parameters.first().copied())?;
        let mut ordered = false;
        if function.takes_order() && !arguments.order.is_empty() {
            let keys = arguments.order.iter().map(|key| {
                let bound = binder.bind(&key.expr, &mut records)?;
                order_key(binder, key, bound)
            });
            let keys = keys.collect::<Result<Vec<_>>>()?;
            let is_sorted = |key: &OrderKey| bound.first() == Some(&key.expr) && !key.descending && !key.nulls_first;
            match keys.as_slice() {
                // Distinct values come in their order anyway.
                [key] if arguments.distinct && is_sorted(key) => {}
                _ if arguments.distinct => {
                    return Err(binder
                        .unsupported(expr, "distinct with this ORDER BY inside an aggregate")
                        .hint("distinct values come in rising order"));
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
            filter: call.filter.as_ref().map(|filter| condition(binder, filter, &mut records)).transpose()?,
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
    let bound = parameter.map(|parameter| binder.bind(parameter, &mut Records { aliases: &[] })).transpose()?;
    let value = match &bound {
        None => None,
        Some(Expr::Literal(literal)) => Some(literal.value()),
        Some(_) => Some(Value::Null),
    };
    function.outcome(value).ok_or_else(|| {
        let wanted = match function.parameter {
            Parameter::Fraction => "a fraction from 0 to 1 that stands in the query",
            _ => "a text that stands in the query",
        };
        binder
            .error(parameter.unwrap_or(expr), format!("{} takes {wanted} here", function.name))
            .hint(format!("it is called as {}", function.signature))
    })
}

fn bind_groups(
    binder: &Binder,
    select: &Select,
    list: &SelectList,
    order: &[ast::OrderByExpr],
    plan: &mut Plan,
) -> Result<()> {
    match &select.distinct {
        Some(Distinct::On(_)) => {
            return Err(Error::new(ErrorKind::Query, "DISTINCT ON is not supported")
                .hint("group by the keys and take the rest with first, min_by or max_by"));
        }
        Some(Distinct::Distinct) | Some(Distinct::All) | None => {}
    }
    let distinct = matches!(select.distinct, Some(Distinct::Distinct));
    let grouped = is_grouped(binder, select, list) || select.having.is_some();
    if list.star {
        if grouped || !list.items.is_empty() || !list.replaced.is_empty() || !list.excluded.is_empty() || !distinct {
            let expr = list.items.first().map(|item| span(item.expr)).unwrap_or_else(|| select.span());
            return Err(binder
                .text
                .error(expr, "`*` cannot stand with GROUP BY or aggregates")
                .hint("name the keys and aggregates of each group"));
        }
        return bind_distinct_records(binder, order, plan);
    }

    let mut keys: Vec<Expr> = Vec::new();
    let mut add_key = |expr: Expr| {
        if !keys.contains(&expr) {
            keys.push(expr);
        }
    };
    match &select.group_by {
        _ if distinct && !grouped => {
            for item in &list.items {
                add_key(binder.bind(item.expr, &mut Records { aliases: &[] })?);
            }
        }
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty() => {
            return Err(binder.text.error(select.group_by.span(), "ROLLUP, CUBE and TOTALS are not supported"));
        }
        GroupByExpr::All(_) => {
            for item in list.items.iter().filter(|item| !has_aggregate(binder, item.expr)) {
                add_key(binder.bind(item.expr, &mut Records { aliases: &[] })?);
            }
        }
        GroupByExpr::Expressions(exprs, _) => {
            for expr in exprs {
                let aliased = match expr {
                    ast::Expr::Identifier(name) => list.items.iter().find(|item| item.alias && item.name == name.value),
                    _ => None,
                };
                let item = match list.ordinal(binder, expr)? {
                    Some(ordinal) => Some(&list.items[ordinal]),
                    None => aliased,
                };
                if let Some(item) = item.filter(|item| has_aggregate(binder, item.expr)) {
                    return Err(
                        binder.error(expr, format!("`{}` is an aggregate: groups cannot be made by it", item.name))
                    );
                }
                let expr = item.map_or(expr, |item| item.expr);
                add_key(binder.bind(expr, &mut Records { aliases: &[] })?);
            }
        }
    }

    if keys.len() > Grouping::MOST_KEYS {
        let message = format!("GROUP BY takes at most {} keys, here are {}", Grouping::MOST_KEYS, keys.len());
        return Err(binder.text.error(select.group_by.span(), message));
    }
    let mut aggregates = Vec::new();
    let mut scope = GroupScope { keys: &keys, aggregates: &mut aggregates, aliases: &[] };
    let mut items = Vec::new();
    for item in &list.items {
        let expr = match scope.bind_key(binder, item.expr) {
            Some(key) => key,
            None => binder.bind(item.expr, &mut scope)?,
        };
        items.push(Item { name: item.name.clone(), expr });
    }
    scope.aliases = &list.items;
    let having = select.having.as_ref().map(|having| condition(binder, having, &mut scope)).transpose()?;
    for key in order {
        let expr = match list.ordinal(binder, &key.expr)? {
            Some(ordinal) => items[ordinal].expr.clone(),
            None => binder.bind(&key.expr, &mut scope)?,
        };
        plan.order.push(order_key(binder, key, expr)?);
    }
    plan.names = Some(list.names());
    plan.body = Body::Groups(Box::new(Groups {
        grouping: Grouping { keys, aggregates },
        having,
        items,
        distinct: distinct && grouped,
    }));
    Ok(())
}

impl GroupScope<'_, '_, '_> {
    /// The key that an expression is, constants included.
    fn bind_key(&self, binder: &Binder, expr: &ast::Expr) -> Option<Expr> {
        if has_aggregate(binder, expr) {
            return None;
        }
        let bound = binder.bind(expr, &mut Records { aliases: &[] }).ok()?;
        self.keys.iter().position(|key| *key == bound).map(Expr::Column)
    }
}

/// `select distinct *`: equal records once, as the first of them stands.
fn bind_distinct_records(binder: &Binder, order: &[ast::OrderByExpr], plan: &mut Plan) -> Result<()> {
    if let Some(key) = order.first() {
        return Err(binder
            .unsupported(&key.expr, "`select distinct *` with ORDER BY")
            .hint("name the fields instead of `*`"));
    }
    let record = Expr::Field { source: 0, path: Path::default(), column: 0 };
    plan.body = Body::Groups(Box::new(Groups {
        grouping: Grouping { keys: vec![record], aggregates: Vec::new() },
        having: None,
        items: vec![Item { name: String::new(), expr: Expr::Column(0) }],
        distinct: false,
    }));
    plan.names = None;
    Ok(())
}
