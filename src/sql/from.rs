//! FROM: files, the records' alias, and the arrays whose elements become rows.

use sqlparser::ast::{self, JoinConstraint, JoinOperator, Select, SelectItem, Spanned, TableFactor};

use super::expr::{Binder, Elements, site};
use super::place::Text;
use crate::error::Result;
use crate::expr::Expr;
use crate::plan::Unnest;

/// What FROM names: the files, the alias of the records, and the arrays to take apart.
pub(super) type From<'q> = (Option<Vec<String>>, Option<String>, Vec<Array<'q>>);

/// An array in FROM, whose elements become rows.
pub(super) struct Array<'q> {
    alias: Option<String>,
    expr: &'q ast::Expr,
    /// LEFT JOIN.
    outer: bool,
}

pub(super) fn bind_from<'q>(text: Text, select: &'q Select) -> Result<From<'q>> {
    let mut relations = Vec::new();
    for table in &select.from {
        relations.push((&table.relation, false));
        for join in &table.joins {
            let (outer, constraint) = match &join.join_operator {
                JoinOperator::CrossJoin(constraint) => (false, constraint),
                JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (false, constraint),
                JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, constraint),
                _ => return Err(text.error(join.span(), "this JOIN is not supported")),
            };
            let is_true = match constraint {
                JoinConstraint::None => true,
                JoinConstraint::On(ast::Expr::Value(value)) => value.value == ast::Value::Boolean(true),
                _ => false,
            };
            if !is_true || array_of(&join.relation).is_none() {
                return Err(text.error(join.span(), "JOIN with another source is not supported"));
            }
            relations.push((&join.relation, outer));
        }
    }
    let mut arrays = Vec::new();
    let mut source = None;
    for (place, (relation, outer)) in relations.into_iter().enumerate() {
        match array_of(relation) {
            Some((expr, alias)) => arrays.push(Array { alias, expr, outer }),
            None if place == 0 => source = Some(relation),
            None => {
                return Err(text
                    .error(relation.span(), "a list of sources in FROM is not supported")
                    .hint("a glob such as 'part-*.jsonl' names several files"));
            }
        }
    }
    let (files, alias) = match source {
        None => (None, None),
        Some(relation) => bind_source(text, relation)?,
    };
    Ok((files, alias, arrays))
}

/// The array of `unnest(array) as element`, and the element's name.
fn array_of(relation: &TableFactor) -> Option<(&ast::Expr, Option<String>)> {
    let TableFactor::Table { name, alias, args: Some(args), .. } = relation else { return None };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr))] = args.args.as_slice() else { return None };
    // `unnest(items) as t(item)` names the column, `unnest(items) as item` what is in it.
    let alias = alias.as_ref().map(|alias| match alias.columns.as_slice() {
        [column] => column.name.value.clone(),
        _ => alias.name.value.clone(),
    });
    name.to_string().eq_ignore_ascii_case("unnest").then_some((expr, alias))
}

/// The arrays in FROM and in the select list; the binder knows their elements from then on.
pub(super) fn bind_unnests<'q>(
    binder: &mut Binder<'q>,
    select: &'q Select,
    arrays: Vec<Array<'q>>,
) -> Result<Vec<Unnest>> {
    let mut unnests = Vec::new();
    for Array { alias, expr, outer } in arrays {
        unnests.push(bind_unnest(binder, expr, outer)?);
        binder.elements.push(Elements { alias, call: None });
    }
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let ast::Expr::Function(call) = expr else { continue };
        if !call.name.to_string().eq_ignore_ascii_case("unnest") {
            continue;
        }
        if binder.elements.iter().any(|elements| elements.call.is_some()) {
            return Err(binder
                .error(expr, "only one unnest may stand in the select list".to_owned())
                .hint("write the others in FROM: from input, unnest(items) as item"));
        }
        let arguments = binder.arguments(call)?;
        binder.check_arguments(expr, "unnest", (1, 1), arguments.list.len(), "unnest(array)")?;
        unnests.push(bind_unnest(binder, arguments.list[0], false)?);
        binder.elements.push(Elements { alias: None, call: Some(expr) });
    }
    Ok(unnests)
}

fn bind_unnest(binder: &Binder, expr: &ast::Expr, outer: bool) -> Result<Unnest> {
    match binder.path(expr)? {
        Some(array @ Expr::Field { .. }) => {
            Ok(Unnest { array, outer, site: site(expr, "an array"), paths: Vec::new() })
        }
        _ => Err(binder
            .error(expr, "unnest takes a path to an array".to_owned())
            .hint("for example unnest(order.items)")),
    }
}

fn bind_source(text: Text, relation: &TableFactor) -> Result<(Option<Vec<String>>, Option<String>)> {
    let TableFactor::Table { name, alias, args: None, .. } = relation else {
        return Err(text
            .error(relation.span(), "FROM takes a file in quotes, or `input`")
            .hint("write from 'orders.jsonl', or leave FROM out and give the files as arguments"));
    };
    let alias = alias.as_ref().map(|alias| alias.name.value.clone());
    let [part] = name.0.as_slice() else {
        return Err(text
            .error(name.span(), "a file name in FROM stands in single quotes")
            .hint(format!("write from '{name}'")));
    };
    let Some(ident) = part.as_ident() else {
        return Err(text.error(name.span(), "FROM takes a file in quotes, or `input`"));
    };
    match ident.quote_style {
        None if ident.value.eq_ignore_ascii_case("input") => {
            let alias = alias.unwrap_or_else(|| ident.value.clone());
            Ok((None, Some(alias)))
        }
        None => Err(text.error(ident.span, format!("there is no source `{}`", ident.value)).hint(format!(
            "a file name stands in quotes: from '{}.jsonl'; `input` is what the arguments name",
            ident.value
        ))),
        Some(_) => Ok((Some(vec![ident.value.clone()]), alias)),
    }
}
