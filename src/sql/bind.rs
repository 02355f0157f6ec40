//! From sqlparser's tree of a SELECT to a plan.

use sqlparser::ast::{
    self, Distinct, ExcludeSelectItem, GroupByExpr, OrderBySort, Select, SelectItem, SelectItemQualifiedWildcardKind,
    Spanned, WildcardAdditionalOptions,
};

use super::expr::{Binder, Scope, has_aggregate, is_aggregate, site, span};
use super::from::bind_from;
use super::query::{Queries, Table, reject_select_clauses};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Condition, Expr, Of, OrderKey};
use crate::group::{AggregateCall, Grouping};
use crate::plan::{Body, Extension, Groups, Item, Plan, Projection};
use crate::scan::{Path, Step};

/// The plan of a SELECT with its ORDER BY. LIMIT is to be added, and numbers.
pub(super) fn bind_select<'q>(
    queries: &Queries<'q>,
    select: &'q Select,
    order: &'q [ast::OrderByExpr],
    tables: &[Table<'q>],
) -> Result<Plan> {
    reject_select_clauses(queries.text, select)?;
    let mut binder = Binder::new(queries);
    let mut from = bind_from(queries, &mut binder, select, tables)?;
    let mut filter = None;
    if let Some(selection) = &select.selection {
        if has_aggregate(&binder, selection) {
            return Err(binder
                .error(selection, "an aggregate cannot stand in WHERE, which sees one record at a time".to_owned())
                .hint("use HAVING for conditions on groups"));
        }
        // `key in (select …)` is a join with what the query gives; the rest is asked behind it.
        let mut parts = Vec::new();
        match conjuncts(selection, &mut parts) {
            false => filter = Some(condition(&binder, selection, &mut Records::fields())?),
            true => {
                for part in parts {
                    match part {
                        ast::Expr::In { expr, target: ast::InTarget::Subquery(query), negated: false, .. } => {
                            from.semi_join(&mut binder, expr, query)?;
                        }
                        part => Condition::also(&mut filter, condition(&binder, part, &mut Records::fields())?),
                    }
                }
            }
        }
    }
    let (source, steps) = from.finish();
    let mut plan = Plan::of(source);
    (plan.steps, plan.filter) = (steps, filter);
    let selected = SelectList::new(&binder, select)?;
    let grouped = is_grouped(&binder, select, &selected)
        || select.having.is_some()
        || order.iter().any(|key| has_aggregate(&binder, &key.expr));
    if grouped || select.distinct.is_some() {
        bind_groups(&binder, select, &selected, order, &mut plan)?;
    } else {
        bind_rows(&binder, &selected, order, &mut plan)?;
    }
    Ok(plan)
}

/// The parts that AND joins in a condition. Says whether one of them is `… in (select …)`.
fn conjuncts<'q>(expr: &'q ast::Expr, parts: &mut Vec<&'q ast::Expr>) -> bool {
    match expr {
        ast::Expr::Nested(inner) => conjuncts(inner, parts),
        ast::Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
            let left = conjuncts(left, parts);
            conjuncts(right, parts) || left
        }
        part => {
            parts.push(part);
            matches!(part, ast::Expr::In { target: ast::InTarget::Subquery(_), negated: false, .. })
        }
    }
}

/// A key of ORDER BY behind a query within the query, whose columns are the fields of its rows.
pub(super) fn bind_order_of_rows(binder: &Binder, key: &ast::OrderByExpr, body: &Body) -> Result<OrderKey> {
    let (keys, items) = match body {
        Body::Groups(groups) => (groups.grouping.keys.as_slice(), groups.items.as_slice()),
        Body::Rows(Projection::Columns(items)) => (&[][..], items.as_slice()),
        Body::Rows(_) => (&[][..], &[][..]),
    };
    let count = (!matches!(body, Body::Rows(Projection::Record))).then_some(items.len());
    let expr = match (ordinal(binder, &key.expr, count)?, body) {
        (Some(ordinal), _) => items[ordinal].expr.clone(),
        (None, Body::Groups(_)) => {
            let mut scope = GroupScope { keys, aggregates: &mut Vec::new(), aliases: &[] };
            binder.bind(&key.expr, &mut scope)?
        }
        (None, Body::Rows(_)) => binder.bind(&key.expr, &mut Records::fields())?,
    };
    order_key(binder, key, expr)
}

/// The item that a whole number in GROUP BY or ORDER BY refers to, of so many; `None` where `*` is among them.
fn ordinal(binder: &Binder, expr: &ast::Expr, items: Option<usize>) -> Result<Option<usize>> {
    let ast::Expr::Value(value) = expr else { return Ok(None) };
    let ast::Value::Number(digits, _) = &value.value else { return Ok(None) };
    match (digits.parse::<usize>(), items) {
        (Ok(number @ 1..), Some(items)) if number <= items => Ok(Some(number - 1)),
        (_, None) => Err(binder
            .error(expr, format!("the select list has no column number {digits}, as it has `*`"))
            .hint("name the field instead")),
        (_, Some(items)) => {
            let columns = if items == 1 { "1 column".to_owned() } else { format!("{items} columns") };
            Err(binder
                .error(expr, format!("the select list has no column number {digits}"))
                .hint(format!("it has {columns}, counted from 1")))
        }
    }
}

/// The select list, before anything in it is bound.
struct SelectList<'q> {
    /// The sources whose fields are in it: all records for `*`, one for `t.*`.
    records: Vec<usize>,
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
        let mut list = SelectList {
            records: Vec::new(),
            star: false,
            excluded: Vec::new(),
            replaced: Vec::new(),
            items: Vec::new(),
        };
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    list.items.push(Named { name: column_name(expr), alias: false, expr });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    list.items.push(Named { name: alias.value.clone(), alias: true, expr });
                }
                SelectItem::Wildcard(options) => {
                    list.star = true;
                    list.records.extend(binder.records());
                    list.options(binder, item, options)?;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let Some(source) = binder.source_named(&name.to_string()) else {
                        return Err(binder
                            .text
                            .error(item.span(), format!("there is no source `{name}`"))
                            .hint("`*` alone means all fields"));
                    };
                    list.records.push(source);
                    list.options(binder, item, options)?;
                }
                other => return Err(binder.text.error(other.span(), format!("`{other}` is not supported"))),
            }
        }
        // Without a list, FROM alone means every field.
        if select.projection.is_empty() {
            list.star = true;
            list.records.extend(binder.records());
        }
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

    /// What stands behind `*`.
    fn options(&mut self, binder: &Binder, item: &SelectItem, options: &'q WildcardAdditionalOptions) -> Result<()> {
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

    /// Whether it has fields that are not named.
    fn is_open(&self) -> bool {
        !self.records.is_empty()
    }

    /// The item that a whole number in GROUP BY or ORDER BY refers to.
    fn ordinal(&self, binder: &Binder, expr: &ast::Expr) -> Result<Option<usize>> {
        ordinal(binder, expr, (!self.is_open()).then_some(self.items.len()))
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

pub(super) fn condition(binder: &Binder, expr: &ast::Expr, scope: &mut dyn Scope) -> Result<Condition> {
    Ok(Condition { expr: binder.truth(expr, scope)?, site: site(expr, "a truth value") })
}

/// Names mean fields of records; before them, the aliases of the select list where they may be used.
pub(super) struct Records<'l, 'q> {
    aliases: &'l [Named<'q>],
}

impl Records<'_, '_> {
    /// Names mean fields alone.
    pub(super) fn fields() -> Self {
        Records { aliases: &[] }
    }
}

impl Scope for Records<'_, '_> {
    fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>> {
        if let ast::Expr::Identifier(name) = expr
            && let Some(item) = self.aliases.iter().find(|item| item.alias && item.name == name.value)
        {
            return binder.bind(item.expr, &mut Records::fields()).map(Some);
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
        let expr = binder.bind(item.expr, &mut Records::fields())?;
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
        // `*` is the records and their elements.
        for (number, name) in binder.elements() {
            if items.iter().all(|item| item.name != name) {
                items.push(Item { name: name.to_owned(), expr: whole(number) });
            }
        }
    }
    plan.names = (!list.is_open()).then(|| list.names());
    let is_plain = items.is_empty() && list.excluded.is_empty();
    let known = binder.sources[0].columns.as_ref().filter(|_| binder.sources.len() == 1);
    plan.body = Body::Rows(match list.records.as_slice() {
        [] => Projection::Columns(items),
        // All columns of a query that names them.
        [0] if is_plain && let Some(names) = known => {
            plan.names = Some(names.clone());
            let field = |name: &String| Expr::Field {
                of: Of::One(0),
                path: Path { steps: vec![Step::Key(name.clone())] },
                column: 0,
            };
            Projection::Columns(names.iter().map(|name| Item { name: name.clone(), expr: field(name) }).collect())
        }
        [0] if is_plain => Projection::Record,
        records => Projection::Extended(Extension {
            records: records.iter().map(|&source| (source != 0).then(|| whole(source))).collect(),
            items,
            replacements: list.replaced.len(),
            excluded: list.excluded.clone(),
        }),
    });
    Ok(())
}

/// The record or element of a source.
fn whole(source: usize) -> Expr {
    Expr::Field { of: Of::One(source), path: Path::default(), column: 0 }
}

pub(super) fn order_key(binder: &Binder, key: &ast::OrderByExpr, expr: Expr) -> Result<OrderKey> {
    binder.note_quoted(&key.expr, &expr);
    let descending = match key.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => return Err(binder.unsupported(&key.expr, "ORDER BY … USING")),
    };
    Ok(OrderKey { expr, descending, nulls_first: key.options.nulls_first.unwrap_or(false) })
}

/// Names mean keys and aggregates of groups.
pub(super) struct GroupScope<'p, 'l, 'q> {
    pub(super) keys: &'p [Expr],
    /// The number of keys, which come before the aggregates in a frame of groups.
    pub(super) aggregates: &'p mut Vec<AggregateCall>,
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
            && let Ok(bound) = binder.bind(expr, &mut Records::fields())
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
    if list.is_open() {
        if grouped || !list.items.is_empty() || !list.replaced.is_empty() || !list.excluded.is_empty() || !distinct {
            let expr = list.items.first().map(|item| span(item.expr)).unwrap_or_else(|| select.span());
            return Err(binder
                .text
                .error(expr, "`*` cannot stand with GROUP BY or aggregates")
                .hint("name the keys and aggregates of each group: select status, count(*) group by status"));
        }
        if list.records != [0] {
            return Err(binder
                .text
                .error(select.span(), "`select distinct *` is not supported beside joins")
                .hint("name the fields instead of `*`"));
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
                add_key(binder.bind(item.expr, &mut Records::fields())?);
            }
        }
        GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty() => {
            return Err(binder.text.error(select.group_by.span(), "ROLLUP, CUBE and TOTALS are not supported"));
        }
        GroupByExpr::All(_) => {
            for item in list.items.iter().filter(|item| !has_aggregate(binder, item.expr)) {
                add_key(binder.bind(item.expr, &mut Records::fields())?);
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
                let bound = binder.bind(item.map_or(expr, |item| item.expr), &mut Records::fields())?;
                if item.is_none() {
                    binder.note_quoted(expr, &bound);
                }
                add_key(bound);
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
        let bound = binder.bind(expr, &mut Records::fields()).ok()?;
        self.keys.iter().position(|key| *key == bound).map(Expr::Column)
    }
}

/// `select distinct *`: equal records once, as the first of them stands.
pub(super) fn bind_distinct_records(binder: &Binder, order: &[ast::OrderByExpr], plan: &mut Plan) -> Result<()> {
    if let Some(key) = order.first() {
        return Err(binder
            .unsupported(&key.expr, "`select distinct *` with ORDER BY")
            .hint("name the fields instead of `*`"));
    }
    plan.body = Body::Groups(Box::new(Groups {
        grouping: Grouping { keys: vec![whole(0)], aggregates: Vec::new() },
        having: None,
        items: vec![Item { name: String::new(), expr: Expr::Column(0) }],
        distinct: false,
    }));
    plan.names = None;
    Ok(())
}
