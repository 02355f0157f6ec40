//! Queries as a whole: WITH, UNION, parentheses, ORDER BY and LIMIT, and queries within queries.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    self, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned,
};
use sqlparser::tokenizer::Span;

use super::bind::{bind_order_of_rows, bind_select};
use super::expr::Binder;
use super::groups::bind_distinct_records;
use super::parse::parse;
use super::place::{Text, nearest};
use super::types::known_types;
use crate::error::{Error, Result};
use crate::expr::{Expr, Of};
use crate::group::Grouping;
use crate::plan::{Body, Groups, Item, Plan, Projection, Source};
use crate::scan::{Path, Step};
use crate::value::Timestamp;

/// Makes the plan of a query.
///
/// # Errors
/// [`ErrorKind::Query`](crate::ErrorKind::Query), with the place in the text, if the query does not parse, names what is not
/// there, or asks for what foldl cannot do.
pub fn plan(text: &str) -> Result<Plan> {
    Catalog::default().plan(text)
}

/// What queries know by name, beside files.
#[derive(Debug)]
pub struct Catalog {
    /// Sources of records: a plan has their names alone.
    sources: BTreeSet<String>,
    /// Queries, by name.
    views: BTreeMap<String, String>,
    /// The moment that `now()` is for all queries.
    now: Timestamp,
}

impl Default for Catalog {
    fn default() -> Catalog {
        Catalog { sources: BTreeSet::new(), views: BTreeMap::new(), now: Timestamp::now() }
    }
}

impl Catalog {
    /// Knows a source of records by a name. FROM takes it before a view of the same name.
    pub fn add_source(&mut self, name: &str) {
        self.sources.insert(name.to_owned());
    }

    /// Knows a query by a name. It may read all sources and all other views, unless these read it.
    pub fn add_view(&mut self, name: &str, text: &str) {
        self.views.insert(name.to_owned(), text.to_owned());
    }

    /// Makes the plan of a query.
    ///
    /// # Errors
    /// As [`plan`]. The text of the place is that of the view, if the error is in one.
    pub fn plan(&self, text: &str) -> Result<Plan> {
        self.plan_within(text, &[])
    }

    /// The plan of a query that some views, one within the other, read.
    fn plan_within(&self, text: &str, within: &[&str]) -> Result<Plan> {
        let text = Text(text);
        if text.0.trim().is_empty() {
            return Err(text.error_at((0, 0), "the query is empty").hint("`select *` writes every record"));
        }
        let query = parse(text)?;
        let queries = Queries {
            text,
            catalog: self,
            within: within.to_vec(),
            bound: Cell::new(0),
            outer: RefCell::default(),
            notes: RefCell::default(),
        };
        let plan = queries.query(&query, &[])?;
        Ok(Plan { notes: queries.notes.into_inner(), ..plan })
    }
}

/// What all queries of a text have in common.
pub(super) struct Queries<'q> {
    pub(super) text: Text<'q>,
    catalog: &'q Catalog,
    /// The views that this text is within, from the outermost one.
    within: Vec<&'q str>,
    /// The expressions bound so far.
    pub(super) bound: Cell<usize>,
    /// The names of the sources of the queries around the one that is bound now: it cannot see them.
    pub(super) outer: RefCell<Vec<String>>,
    /// What is allowed, and yet hardly meant.
    pub(super) notes: RefCell<Vec<Error>>,
}

/// A query that WITH gives a name, which sees those before it.
#[derive(Clone, Copy)]
pub(super) struct Table<'q> {
    pub(super) alias: &'q ast::TableAlias,
    query: &'q Query,
    /// How many tables it sees.
    sees: usize,
}

impl<'q> Queries<'q> {
    /// The plan of a query that sees some tables.
    pub(super) fn query(&self, query: &'q Query, tables: &[Table<'q>]) -> Result<Plan> {
        let text = self.text;
        reject_clauses(text, query)?;
        let mut tables = tables.to_vec();
        if let Some(with) = &query.with {
            if with.recursive {
                return Err(text
                    .error(with.span(), "WITH RECURSIVE is not supported")
                    .hint("each query is run once, over the rows of those before it"));
            }
            for table in &with.cte_tables {
                let is_same = |other: &&ast::Cte| other.alias.name.value == table.alias.name.value;
                if with.cte_tables.iter().filter(is_same).count() > 1 {
                    let name = &table.alias.name;
                    return Err(text.error(name.span, format!("two tables of WITH are named `{name}`")));
                }
                tables.push(Table { alias: &table.alias, query: &table.query, sees: tables.len() });
            }
        }
        let order = &*self.order(query)?;
        let limit = self.limit(query)?;
        let mut plan = match query.body.as_ref() {
            SetExpr::Select(select) => bind_select(self, select, order, &tables)?,
            SetExpr::Query(inner) if order.is_empty() && query.limit_clause.is_none() => {
                return self.query(inner, &tables);
            }
            SetExpr::Query(inner) => self.around("query", vec![self.query(inner, &tables)?], None, false, order)?,
            body @ SetExpr::SetOperation { .. } => self.union(body, &tables, order)?,
            other => return Err(self.no_records(query.span(), other)),
        };
        (plan.limit, plan.offset) = limit;
        plan.limit_queries();
        Ok(plan.numbered())
    }

    /// The plan of a query within one whose sources have these names.
    pub(super) fn query_within(&self, query: &'q Query, tables: &[Table<'q>], names: &[String]) -> Result<Plan> {
        let before = self.outer.borrow().len();
        self.outer.borrow_mut().extend_from_slice(names);
        let plan = self.query(query, tables);
        self.outer.borrow_mut().truncate(before);
        plan
    }

    /// The moment that `now()` is.
    pub(super) fn now(&self) -> Timestamp {
        self.catalog.now
    }

    /// Where the records of a name come from that the catalog has; `None` if it has none. `place` is where the name stands.
    pub(super) fn named(&self, name: &str, place: Span) -> Result<Option<Source>> {
        if self.catalog.sources.contains(name) {
            return Ok(Some(Source::Named(name.to_owned())));
        }
        let Some((name, text)) = self.catalog.views.get_key_value(name) else { return Ok(None) };
        let mut within = self.within.clone();
        within.push(name);
        if self.within.contains(&name.as_str()) {
            let message = format!("the view `{name}` reads itself: {}", within.join(" reads "));
            return Err(self.text.error(place, message).hint("a view can read sources, and views that do not read it"));
        }
        let mut plan = self.catalog.plan_within(text, &within)?;
        self.notes.borrow_mut().append(&mut plan.notes);
        Ok(Some(Source::Queries { name: name.clone(), queries: vec![plan], is_view: true }))
    }

    /// The name in the catalog that is nearest to one that it does not have.
    pub(super) fn nearest_name(&self, name: &str) -> Option<&'q str> {
        let names = self.catalog.sources.iter().chain(self.catalog.views.keys());
        nearest(name, names.map(String::as_str))
    }

    /// The plan of a table of WITH.
    pub(super) fn table(&self, table: Table<'q>, tables: &[Table<'q>]) -> Result<Plan> {
        let mut plan = self.query(table.query, &tables[..table.sees])?;
        rename(self.text, &mut plan, table.alias)?;
        Ok(plan)
    }

    /// The rows of several queries, one after another.
    fn union(&self, body: &'q SetExpr, tables: &[Table<'q>], order: &[ast::OrderByExpr]) -> Result<Plan> {
        let mut queries = Vec::new();
        let (distinct, by_name) = self.branches(body, tables, &mut queries)?;
        let known: Option<Vec<Vec<String>>> = queries.iter().map(|query| query.names.clone()).collect();
        // Of records that bring their own names there is no place to go by.
        let names = match known {
            None => None,
            Some(known) if by_name => {
                let mut all = Vec::new();
                for name in known.into_iter().flatten() {
                    if !all.contains(&name) {
                        all.push(name);
                    }
                }
                Some(all)
            }
            Some(known) => {
                if let Some(other) = known.iter().position(|names| names.len() != known[0].len()) {
                    let (count, first) = (known[other].len(), known[0].len());
                    let message =
                        format!("query {} of the union has {count} columns, the first has {first}", other + 1);
                    return Err(self
                        .text
                        .error(body.span(), message)
                        .hint("columns go together by their place; `union all by name` takes them by their names"));
                }
                queries.iter_mut().for_each(|query| query.names = Some(known[0].clone()));
                known.into_iter().next()
            }
        };
        self.around("union", queries, names, distinct, order)
    }

    /// Adds the plans of the queries that a union joins. Says whether equal rows are one, and whether columns go by name.
    fn branches(&self, body: &'q SetExpr, tables: &[Table<'q>], queries: &mut Vec<Plan>) -> Result<(bool, bool)> {
        let SetExpr::SetOperation { op, set_quantifier, left, right } = body else {
            queries.push(self.branch(body, tables)?);
            return Ok((false, false));
        };
        if *op != SetOperator::Union {
            let hint = match op {
                SetOperator::Intersect => "write a semi join: from a semi join b using (key)",
                _ => "write an anti join: from a anti join b using (key)",
            };
            return Err(self.text.error(body.span(), format!("{op} is not supported")).hint(hint));
        }
        let kind = match set_quantifier {
            SetQuantifier::All => (false, false),
            SetQuantifier::AllByName => (false, true),
            SetQuantifier::ByName | SetQuantifier::DistinctByName => (true, true),
            SetQuantifier::None | SetQuantifier::Distinct => (true, false),
        };
        // `a union all b union all c` is one union of three.
        let same = matches!(left.as_ref(), SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: inner, .. } if inner == set_quantifier);
        match same {
            true => drop(self.branches(left, tables, queries)?),
            false => queries.push(self.branch(left, tables)?),
        }
        queries.push(self.branch(right, tables)?);
        Ok(kind)
    }

    fn branch(&self, body: &'q SetExpr, tables: &[Table<'q>]) -> Result<Plan> {
        match body {
            SetExpr::Select(select) => bind_select(self, select, &[], tables).map(Plan::numbered),
            SetExpr::Query(query) => self.query(query, tables),
            SetExpr::SetOperation { .. } => self.union(body, tables, &[]).map(Plan::numbered),
            other => Err(self.no_records(other.span(), other)),
        }
    }

    /// The rows of queries, in an order. Without names each is a record of its own kind.
    fn around(
        &self,
        name: &str,
        queries: Vec<Plan>,
        names: Option<Vec<String>>,
        distinct: bool,
        order: &[ast::OrderByExpr],
    ) -> Result<Plan> {
        let names = if queries.len() == 1 { queries[0].names.clone() } else { names };
        let binder = Binder::new(self);
        let mut plan = Plan::of(Source::Queries { name: name.to_owned(), queries, is_view: false });
        let column = |steps| Expr::Field { of: Of::One(0), path: Path { steps }, column: 0 };
        let columns: Option<Vec<Item>> = names.as_ref().map(|names| {
            let item = |name: &String| Item { name: name.clone(), expr: column(vec![Step::Key(name.clone())]) };
            names.iter().map(item).collect()
        });
        match (columns, distinct) {
            (None, false) => {}
            (Some(columns), false) => plan.body = Body::Rows(Projection::Columns(columns)),
            (None, true) => bind_distinct_records(&binder, order, &mut plan)?,
            (Some(columns), true) => {
                // Rows are equal by the digits that the queries within wrote.
                let Source::Queries { queries, .. } = &plan.source else { return Ok(plan) };
                let types = known_types(queries);
                let key = |column: &Item| match types.iter().find(|(name, _)| *name == column.name) {
                    Some((_, to)) => column.expr.clone().read_as(*to),
                    None => column.expr.clone(),
                };
                let keys = columns.iter().map(key).collect();
                let items = columns.into_iter().zip(0..).map(|(item, key)| Item { expr: Expr::Column(key), ..item });
                plan.body = Body::Groups(Box::new(Groups {
                    grouping: Grouping { keys, aggregates: Vec::new() },
                    having: None,
                    items: items.collect(),
                    distinct: false,
                }));
            }
        }
        for key in order {
            let key = bind_order_of_rows(&binder, key, &plan.body)?;
            plan.order.push(key);
        }
        plan.names = names;
        Ok(plan)
    }

    /// The error of what stands where a query is due.
    fn no_records(&self, span: Span, body: &SetExpr) -> Error {
        let error = self.text.error(span, format!("`{body}` is not a query of records"));
        match body {
            SetExpr::Values(_) => error.hint(
                "records stand in files; rows beside each record are from input, unnest([{'id': 1}, {'id': 2}]) as v",
            ),
            _ => error,
        }
    }

    /// The keys of ORDER BY; `order by all` is by the numbers of all columns.
    fn order(&self, query: &'q Query) -> Result<Cow<'q, [ast::OrderByExpr]>> {
        let Some(order) = &query.order_by else { return Ok(Cow::Borrowed(&[])) };
        match &order.kind {
            OrderByKind::Expressions(exprs) => Ok(Cow::Borrowed(exprs)),
            OrderByKind::All(options) => {
                let Some(columns) = count_columns(&query.body) else {
                    return Err(self
                        .text
                        .error_at(
                            self.text.word_near(query.span(), "ALL"),
                            "ORDER BY ALL needs the columns, which `*` does not tell",
                        )
                        .hint("name the fields: order by status, price"));
                };
                let key = |number: usize| ast::OrderByExpr {
                    expr: ast::Expr::value(ast::Value::Number(number.to_string(), false)),
                    options: options.clone(),
                    with_fill: None,
                };
                Ok((1..=columns).map(key).collect())
            }
        }
    }

    fn limit(&self, query: &Query) -> Result<(Option<u64>, u64)> {
        let count = |expr: &ast::Expr, clause: &str| {
            match expr {
                ast::Expr::Value(value) => match &value.value {
                    ast::Value::Number(digits, _) => digits.parse::<u64>().ok(),
                    _ => None,
                },
                _ => None,
            }
            .ok_or_else(|| {
                self.text
                    .error(expr.span(), format!("{clause} takes a whole number that stands in the query"))
                    .hint(format!("for example {} 10", clause.to_lowercase()))
            })
        };
        match &query.limit_clause {
            None => Ok((None, 0)),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                if let Some(expr) = limit_by.first() {
                    return Err(self.text.error(expr.span(), "LIMIT BY is not supported"));
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
}

/// Gives the columns of a plan the names of `t(a, b)`.
pub(super) fn rename(text: Text, plan: &mut Plan, alias: &ast::TableAlias) -> Result<()> {
    let names: Vec<String> = alias.columns.iter().map(|column| column.name.value.clone()).collect();
    match &mut plan.names {
        _ if names.is_empty() => Ok(()),
        Some(own) if own.len() == names.len() => {
            *own = names;
            Ok(())
        }
        Some(own) => {
            let message = format!("`{}` names {} columns, the query has {}", alias.name, names.len(), own.len());
            Err(text.error(alias.name.span, message))
        }
        None => Err(text
            .error(alias.name.span, "the columns of `*` have the names that they have")
            .hint("list the columns in the query, or leave the names in parentheses out")),
    }
}

/// Clauses of a query that sqlparser knows and foldl does not.
fn reject_clauses(text: Text, query: &Query) -> Result<()> {
    let found = [
        (query.fetch.is_some(), "FETCH", "write limit 10 at the end"),
        (!query.locks.is_empty(), "FOR UPDATE", "leave it out: foldl only reads"),
        (query.for_clause.is_some(), "FOR", "the option --format names the format of the output"),
        (query.settings.is_some(), "SETTINGS", "what can be set are options of the command line: see foldl --help"),
        (query.format_clause.is_some(), "FORMAT", "the option --format names the format of the output"),
        (!query.pipe_operators.is_empty(), "|>", "write a query in FROM: from (select …) select …"),
    ];
    rejected(text, &found, query.span())
}

/// Clauses of a SELECT that sqlparser knows and foldl does not.
pub(super) fn reject_select_clauses(text: Text, select: &Select) -> Result<()> {
    const LIMIT: &str = "write limit 10 at the end";
    const ORDER: &str = "write order by";
    const WINDOWS: &str =
        "foldl has no window functions: group by with first, last, min_by or max_by finds the row of a group";
    let found = [
        (select.qualify.is_some(), "QUALIFY", WINDOWS),
        (!select.named_window.is_empty(), "WINDOW", WINDOWS),
        (!select.lateral_views.is_empty(), "LATERAL VIEW", "write from input, unnest(items) as item"),
        (!select.sort_by.is_empty(), "SORT BY", ORDER),
        (!select.cluster_by.is_empty(), "CLUSTER BY", ORDER),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY", "leave it out: all rows are on this machine"),
        (!select.connect_by.is_empty(), "CONNECT BY", "each query is run once, over the rows of those before it"),
        (select.top.is_some(), "TOP", LIMIT),
        (select.into.is_some(), "INTO", "-o FILE writes what a query finds to a file"),
        (select.prewhere.is_some(), "PREWHERE", "write where"),
        (select.exclude.is_some(), "EXCLUDE", "it stands behind `*`: select * exclude (key)"),
        (select.value_table_mode.is_some(), "AS VALUE", "name the fields: select a, b"),
    ];
    rejected(text, &found, select.span())
}

fn rejected(text: Text, found: &[(bool, &str, &str)], span: sqlparser::tokenizer::Span) -> Result<()> {
    match found.iter().find(|(found, ..)| *found) {
        Some((_, name, hint)) => {
            let error = text.error_at(text.word_near(span, name), format!("{name} is not supported"));
            Err(error.hint(*hint))
        }
        None => Ok(()),
    }
}

/// The number of columns that a query gives, if it names them all.
fn count_columns(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let is_named =
                |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
            let columns = &select.projection;
            (!columns.is_empty() && columns.iter().all(is_named)).then_some(columns.len())
        }
        SetExpr::Query(query) => count_columns(&query.body),
        SetExpr::SetOperation { left, .. } => count_columns(left),
        _ => None,
    }
}
