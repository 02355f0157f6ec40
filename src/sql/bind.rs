//! From sqlparser's tree of a SELECT to a plan.

use std::collections::BTreeSet;

use sqlparser::ast::{
    self, ExcludeSelectItem, GroupByExpr, OrderBySort, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned,
    WildcardAdditionalOptions,
};

use super::expr::{Binder, Scope, has_aggregate, is_aggregate, site};
use super::from::bind_from;
use super::groups::{GroupScope, bind_groups};
use super::query::{Queries, Table, reject_select_clauses};
use crate::error::Result;
use crate::expr::{Condition, Expr, Of, OrderKey};
use crate::plan::{Body, Extension, Item, Plan, Projection};
use crate::scan::{Path, Step};

/// The plan of a SELECT with its ORDER BY. LIMIT is to be added, and numbers.
pub(super) fn bind_select<'q>(
    queries: &Queries<'q>,
    select: &'q Select,
    order: &[ast::OrderByExpr],
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
            let mut scope = GroupScope { keys, aggregates: &mut Vec::new(), aliases: &[], items: &[] };
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
pub(super) struct SelectList<'q> {
    /// The sources whose fields are in it: all records for `*`, one for `t.*`.
    pub(super) records: Vec<usize>,
    /// Whether `*` is in it.
    pub(super) star: bool,
    /// The keys that `* exclude (…)` leaves out.
    pub(super) excluded: Vec<String>,
    /// `* replace (… as key)`
    pub(super) replaced: Vec<Named<'q>>,
    pub(super) items: Vec<Named<'q>>,
}

/// One item of the select list.
pub(super) struct Named<'q> {
    pub(super) name: String,
    /// Whether the name was given with AS, so that it can be referred to.
    pub(super) alias: bool,
    pub(super) expr: &'q ast::Expr,
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
            Some(ExcludeSelectItem::Single(name)) => self.excluded.push(key_of(binder, name)?),
            Some(ExcludeSelectItem::Multiple(names)) => {
                for name in names {
                    self.excluded.push(key_of(binder, name)?);
                }
            }
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

    pub(super) fn names(&self) -> Vec<String> {
        self.items.iter().map(|item| item.name.clone()).collect()
    }

    /// Whether it has fields that are not named.
    pub(super) fn is_open(&self) -> bool {
        !self.records.is_empty()
    }

    /// The item that a whole number in GROUP BY or ORDER BY refers to.
    pub(super) fn ordinal(&self, binder: &Binder, expr: &ast::Expr) -> Result<Option<usize>> {
        ordinal(binder, expr, (!self.is_open()).then_some(self.items.len()))
    }
}

/// The key that `* exclude` names.
fn key_of(binder: &Binder, name: &ast::ObjectName) -> Result<String> {
    match name.0.as_slice() {
        [ast::ObjectNamePart::Identifier(name)] => Ok(name.value.clone()),
        _ => Err(binder
            .text
            .error(name.span(), "`* exclude` leaves out keys of the record, not what is within their values")
            .hint(format!("write the key alone: {}", name.0[0]))),
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

pub(super) fn is_grouped(binder: &Binder, select: &Select, list: &SelectList) -> bool {
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
    pub(super) aliases: &'l [Named<'q>],
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
    if let ([0], [source]) = (list.records.as_slice(), binder.sources.as_slice())
        && let Some(names) = &source.columns
        && let Some(columns) = spread(names, list, &mut items)
    {
        plan.names = Some(columns.iter().map(|column| column.name.clone()).collect());
        plan.body = Body::Rows(Projection::Columns(columns));
        return Ok(());
    }
    let is_plain = items.is_empty() && list.excluded.is_empty();
    plan.body = Body::Rows(match list.records.as_slice() {
        [] => Projection::Columns(items),
        [0] if is_plain => Projection::Record,
        records => Projection::Extended(Extension {
            records: records.iter().map(|&source| (source != 0).then(|| whole(source))).collect(),
            items,
            replacements: list.replaced.len(),
            excluded: list.excluded.clone(),
            asked: asked(binder, list),
        }),
    });
    Ok(())
}

/// All columns of a query that names them, with what the list has beside them; [`None`], and the items as they were, where it
/// is not that simple.
fn spread(names: &[String], list: &SelectList, items: &mut Vec<Item>) -> Option<Vec<Item>> {
    let is_known = |name: &String| names.contains(name);
    let all_differ = |names: &[&String]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    // Of what is not there it is told when the records have been seen.
    let asks_for_others = !list.excluded.iter().chain(list.replaced.iter().map(|item| &item.name)).all(is_known);
    let own: Vec<&String> = items.iter().map(|item| &item.name).collect();
    if asks_for_others || !all_differ(&own) || !all_differ(&names.iter().collect::<Vec<_>>()) {
        return None;
    }
    let mut columns = Vec::with_capacity(names.len() + items.len());
    for name in names {
        let field = || Expr::Field { of: Of::One(0), path: Path { steps: vec![Step::Key(name.clone())] }, column: 0 };
        if let Some(own) = items.iter().position(|item| item.name == *name) {
            columns.push(items.remove(own));
        } else if !list.excluded.contains(name) {
            columns.push(Item { name: name.clone(), expr: field() });
        }
    }
    columns.append(items);
    Some(columns)
}

/// The keys that `* exclude` and `* replace` name: records are asked whether they have them.
fn asked(binder: &Binder, list: &SelectList) -> Vec<Expr> {
    let of = if binder.records().count() > 1 { Of::First(binder.sources.len()) } else { Of::One(0) };
    let field = |key: &String| Expr::Field { of, path: Path { steps: vec![Step::Key(key.clone())] }, column: 0 };
    let names = list.excluded.iter().chain(list.replaced.iter().map(|item| &item.name));
    names.map(|key| Expr::Exists(Box::new(field(key)))).collect()
}

/// The record or element of a source.
pub(super) fn whole(source: usize) -> Expr {
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
