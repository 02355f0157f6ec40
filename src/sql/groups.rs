//! A SELECT of groups: GROUP BY, HAVING, aggregates and DISTINCT.

use sqlparser::ast::{self, Distinct, GroupByExpr, Select, Spanned};

use super::bind::{Named, Records, SelectList, condition, is_grouped, order_key, whole};
use super::expr::{Binder, Scope, has_aggregate, is_aggregate, span};
use super::foreign::GROUPINGS;
use crate::error::Result;
use crate::expr::{Expr, Literal};
use crate::group::{AggregateCall, Grouping};
use crate::plan::{Body, Groups, Item, Plan};

/// Binds a SELECT of groups, or of distinct rows.
pub(super) fn bind_groups(
    binder: &Binder,
    select: &Select,
    list: &SelectList,
    order: &[ast::OrderByExpr],
    plan: &mut Plan,
) -> Result<()> {
    match &select.distinct {
        Some(Distinct::On(keys)) => {
            let range = binder.text.word_near(keys.first().map_or_else(|| select.span(), span), "DISTINCT ON");
            return Err(binder.text.error_at(range, "DISTINCT ON is not supported").hint(
                "group by the keys and take the rest with first, min_by or max_by: select x, first(y) group by x",
            ));
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
            let name = modifiers.first().map(ToString::to_string).unwrap_or_default();
            return Err(binder
                .text
                .error_at(binder.text.word_near(select.span(), &name), format!("{name} is not supported"))
                .hint(GROUPINGS));
        }
        GroupByExpr::All(_) => {
            for item in list.items.iter().filter(|item| !has_aggregate(binder, item.expr)) {
                add_key(binder.bind(item.expr, &mut Keys { items: &list.items })?);
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
    let mut scope = GroupScope { keys: &keys, aggregates: &mut aggregates, aliases: &[], items: &list.items };
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

/// Names mean fields, in an item of a select list of groups.
struct Keys<'l, 'q> {
    items: &'l [Named<'q>],
}

impl Scope for Keys<'_, '_> {
    fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>> {
        refuse_alias(binder, expr, self.items)?;
        Records::fields().bind(binder, expr)
    }
}

/// Refuses the name of an aggregate of the select list in another item, where names mean fields. An aggregate over a field
/// of its own name, as in `max(price) as price`, says that there is such a field.
fn refuse_alias(binder: &Binder, expr: &ast::Expr, items: &[Named]) -> Result<()> {
    let ast::Expr::Identifier(name) = expr else { return Ok(()) };
    let is_it = |item: &&Named| item.alias && item.name == name.value && has_aggregate(binder, item.expr);
    match items.iter().find(is_it) {
        Some(item) if !mentions(binder, item.expr, &name.value) => Err(binder
            .error(expr, format!("`{name}` is an aggregate of the select list, whose items do not know each other"))
            .hint(format!("write {} in its place; a field of that name is this.{name}", item.expr))),
        _ => Ok(()),
    }
}

/// Whether a field's name stands in an expression.
fn mentions(binder: &Binder, expr: &ast::Expr, name: &str) -> bool {
    struct Finder<'n>(&'n str, bool);
    impl Scope for Finder<'_> {
        fn bind(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<Option<Expr>> {
            match expr {
                ast::Expr::Identifier(name) => self.1 |= name.value == self.0,
                ast::Expr::Function(call) if is_aggregate(call) => {
                    let arguments = binder.arguments(call)?;
                    self.1 |= arguments.list.iter().any(|argument| mentions(binder, argument, self.0));
                    return Ok(Some(Expr::Literal(Literal::Null)));
                }
                _ => {}
            }
            binder.path(expr)
        }
    }
    let mut finder = Finder(name, false);
    // An expression that does not bind is reported where it is bound for good.
    drop(binder.bind(expr, &mut finder));
    finder.1
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

/// Names mean keys and aggregates of groups.
pub(super) struct GroupScope<'p, 'l, 'q> {
    pub(super) keys: &'p [Expr],
    /// The number of keys, which come before the aggregates in a frame of groups.
    pub(super) aggregates: &'p mut Vec<AggregateCall>,
    /// The select list, whose aliases HAVING and ORDER BY may use.
    pub(super) aliases: &'l [Named<'q>],
    /// The select list, whose items are not known in each other.
    pub(super) items: &'l [Named<'q>],
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
        refuse_alias(binder, expr, self.items)?;
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
    /// The key that an expression is, constants included.
    fn bind_key(&self, binder: &Binder, expr: &ast::Expr) -> Option<Expr> {
        if has_aggregate(binder, expr) {
            return None;
        }
        let bound = binder.bind(expr, &mut Records::fields()).ok()?;
        self.keys.iter().position(|key| *key == bound).map(Expr::Column)
    }
}
