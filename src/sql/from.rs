//! FROM: files, queries, joins, and the arrays whose elements become rows.

use sqlparser::ast::{
    self, BinaryOperator, JoinConstraint, JoinOperator, Select, SelectItem, Spanned, TableAlias, TableFactor,
};

use super::bind::{Records, condition};
use super::expr::{Binder, Source as Part, SourceKind, has_aggregate, site};
use super::foreign::{ASOF, PIVOTS, SAMPLE, UNPIVOTS};
use super::place::Text;
use super::query::{Queries, Table, rename};
use super::types::known_types;
use crate::error::Result;
use crate::expr::{Class, Condition, Expr, Of, Type, function};
use crate::plan::{Join, JoinKind, Plan, Source, Step, Unnest};
use crate::scan::{self, Path};

/// Binds FROM and the `unnest` of a select list: where the records come from, and what is put beside them. The binder
/// knows all of it from then on.
pub(super) fn bind_from<'f, 'q>(
    queries: &'f Queries<'q>,
    binder: &mut Binder<'_, 'q>,
    select: &'q Select,
    tables: &'f [Table<'q>],
) -> Result<From<'f, 'q>> {
    let mut from = From { queries, tables, source: None, file: None, steps: Vec::new() };
    let joins: Vec<&ast::Join> = select.from.iter().flat_map(|table| &table.joins).collect();
    let has_joins = joins.iter().any(|join| array_of(&join.relation).is_none());
    for table in &select.from {
        match array_of(&table.relation) {
            Some(array) => from.unnest(binder, array, false)?,
            None if from.source.is_none() && from.steps.is_empty() => {
                let named = from.relation(binder, &table.relation)?;
                from.file.clone_from(&named.file);
                // A file is called by its name where there is something to tell it from.
                binder.sources[0].alias = named.alias.or(named.file.filter(|_| has_joins));
                binder.sources[0].types = types_of(&named.source);
                if let Source::Queries { queries, .. } = &named.source {
                    binder.sources[0].columns = queries.first().and_then(|query| query.names.clone());
                }
                from.source = Some(named.source);
            }
            None if matches!(
                table.relation,
                TableFactor::Derived { lateral: true, .. }
                    | TableFactor::Table { args: Some(_), .. }
                    | TableFactor::Function { .. }
            ) =>
            {
                from.relation(binder, &table.relation)?;
            }
            None if let Some(path) = path_of(binder, &table.relation) => {
                return Err(queries
                    .text
                    .error(table.relation.span(), format!("`{path}` is a path, not a source"))
                    .hint(format!("its elements become rows by unnest({path}) as item")));
            }
            None => {
                return Err(queries
                    .text
                    .error(table.relation.span(), "a list of sources in FROM is not supported")
                    .hint(
                        "a glob such as 'part-*.jsonl' names several files; records with a common key are put side by \
                           side with `join … using (key)`",
                    ));
            }
        }
        for join in &table.joins {
            match array_of(&join.relation) {
                Some(array) => {
                    let outer = is_outer(queries.text, join)?;
                    from.unnest(binder, array, outer)?;
                }
                None => from.join(binder, join)?,
            }
        }
    }
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let ast::Expr::Function(call) = expr else { continue };
        if !call.name.to_string().eq_ignore_ascii_case("unnest") {
            continue;
        }
        if binder.sources.iter().any(|source| source.call.is_some()) {
            return Err(binder
                .error(expr, "only one unnest may stand in the select list".to_owned())
                .hint("write the others in FROM: from input, unnest(items) as item"));
        }
        let arguments = binder.arguments(call)?;
        binder.check_arguments(expr, "unnest", (1, 1), arguments.list.len(), "unnest(array)")?;
        let array = Array { expr: arguments.list[0], alias: None, table: None, numbered: false };
        from.unnest(binder, array, false)?;
        if let Some(element) = binder.sources.last_mut() {
            element.call = Some(expr);
        }
    }
    Ok(from)
}

/// The path into a source that stands where a source is due: `from input o, o.items`.
fn path_of<'q>(binder: &Binder, relation: &'q TableFactor) -> Option<&'q ast::ObjectName> {
    match relation {
        TableFactor::Table { name, args: None, .. } => {
            let source = name.0.first().filter(|_| name.0.len() > 1)?.to_string();
            binder.source_named(&source).map(|_| name)
        }
        _ => None,
    }
}

/// What FROM names.
pub(super) struct From<'f, 'q> {
    queries: &'f Queries<'q>,
    tables: &'f [Table<'q>],
    source: Option<Source>,
    /// The name of the file without an alias that FROM names.
    file: Option<String>,
    steps: Vec<Step>,
}

/// A source of records and what it is called.
struct Named {
    source: Source,
    alias: Option<String>,
    /// The name of a file without its directory and ending.
    file: Option<String>,
}

impl<'q> From<'_, 'q> {
    /// Where the records come from, and what is put beside them.
    pub(super) fn finish(self) -> (Source, Vec<Step>) {
        (self.source.unwrap_or(Source::Input), self.steps)
    }

    /// Keeps the rows for which an expression is among the rows of a query.
    pub(super) fn semi_join(
        &mut self,
        binder: &mut Binder<'_, 'q>,
        expr: &'q ast::Expr,
        query: &'q ast::Query,
    ) -> Result<()> {
        let plan = self.queries.query_within(query, self.tables, &self.names(binder))?;
        let column = match plan.names.as_deref() {
            Some([column]) => column.clone(),
            _ => {
                return Err(self
                    .queries
                    .text
                    .error(query.span(), "the query in `in (…)` has to have one column")
                    .hint("for example userId in (select userId from 'vip.jsonl')"));
            }
        };
        let left = binder.bind(expr, &mut Records::fields())?.unread();
        let of = Of::One(binder.sources.len());
        let right = Expr::Field { of, path: Path { steps: vec![scan::Step::Key(column)] }, column: 0 };
        let name = "the query in `in (…)`".to_owned();
        let source = Source::Queries { name: name.clone(), queries: vec![plan], is_view: false };
        self.steps.push(Step::Join(Box::new(Join {
            kind: JoinKind::Semi,
            name,
            side: Plan::of(source).numbered(),
            left: vec![left],
            right: vec![right],
            condition: None,
            paths: Vec::new(),
        })));
        binder.sources.push(Part { kind: SourceKind::Witness, ..Part::default() });
        Ok(())
    }

    fn unnest(
        &mut self,
        binder: &mut Binder<'_, 'q>,
        Array { expr, alias, table, numbered }: Array<'q>,
        outer: bool,
    ) -> Result<()> {
        if numbered {
            return Err(binder
                .error(expr, "WITH ORDINALITY is not supported".to_owned())
                .hint("leave it out: the elements come in their order"));
        }
        if has_aggregate(binder, expr) {
            return Err(binder
                .error(expr, "unnest makes rows before there are groups, and takes no aggregate".to_owned())
                .hint("take the groups from a query: select item from (select list(price) as prices from input), unnest(prices) as item"));
        }
        let array = binder.bind(expr, &mut Records::fields())?;
        binder.check_array(expr, &array)?;
        self.steps.push(Step::Unnest(Box::new(Unnest {
            array,
            outer,
            site: site(expr, "an array"),
            paths: Vec::new(),
        })));
        binder.sources.push(Part { alias, table, kind: SourceKind::Element, ..Part::default() });
        Ok(())
    }

    fn join(&mut self, binder: &mut Binder<'_, 'q>, join: &'q ast::Join) -> Result<()> {
        let text = self.queries.text;
        let (kind, constraint, is_cross) = kind_of(text, join)?;
        let Named { source, alias, file } = self.relation(binder, &join.relation)?;
        let alias = alias.or(file);
        let name = match &source {
            Source::Files(files) => files.join(", "),
            Source::Named(name) => name.clone(),
            _ => alias.clone().unwrap_or_else(|| "the joined query".to_owned()),
        };
        if let Some(alias) = &alias
            && binder.source_named(alias).is_some()
        {
            return Err(text
                .error(join.relation.span(), format!("two sources are named `{alias}`"))
                .hint("give one of them another name with `as`"));
        }
        let number = binder.sources.len();
        let before = if binder.records().count() > 1 { Of::First(number) } else { Of::One(0) };
        binder.sources.push(Part { alias, types: types_of(&source), ..Part::default() });
        let mut keys = Keys { number, left: Vec::new(), right: Vec::new(), rest: None };
        match constraint {
            JoinConstraint::Using(names) => {
                for name in names {
                    let key = match name.0.as_slice() {
                        [ast::ObjectNamePart::Identifier(name)] => name.value.clone(),
                        _ => return Err(text.error(name.span(), "USING takes keys that both sides have")),
                    };
                    let field =
                        |of| Expr::Field { of, path: Path { steps: vec![scan::Step::Key(key.clone())] }, column: 0 };
                    keys.left.push(field(before));
                    keys.right.push(field(Of::One(number)));
                }
            }
            JoinConstraint::On(expr) => keys.add(binder, expr)?,
            JoinConstraint::None if is_cross => {}
            JoinConstraint::None => {
                return Err(text
                    .error(join.span(), "a join needs ON or USING")
                    .hint("for example `join 'users.jsonl' using (userId)`; `cross join` is for all pairs"));
            }
            JoinConstraint::Natural | JoinConstraint::UsingAlias(..) => {
                return Err(text
                    .error(join.span(), "NATURAL JOIN is not supported, as each record has keys of its own")
                    .hint("name the common keys: join … using (key)"));
            }
        }
        if keys.left.is_empty() && !is_cross {
            let on = match constraint {
                JoinConstraint::On(expr) => expr.span(),
                _ => join.span(),
            };
            return Err(text
                .error(on, "ON needs an equality between the two sides, to find the records that belong together")
                .hint("for example `on o.userId = u.id`, with what else has to hold behind `and`"));
        }
        if !kind.adds_records() {
            binder.sources[number].kind = SourceKind::Witness;
        }
        let Keys { left, right, rest, .. } = keys;
        self.steps.push(Step::Join(Box::new(Join {
            kind,
            name,
            side: Plan::of(source).numbered(),
            left,
            right,
            condition: rest,
            paths: Vec::new(),
        })));
        Ok(())
    }

    /// The names of all sources.
    fn names(&self, binder: &Binder) -> Vec<String> {
        binder.sources.iter().filter_map(|source| source.alias.clone()).chain(self.file.clone()).collect()
    }

    /// A source of records.
    fn relation(&self, binder: &Binder, relation: &'q TableFactor) -> Result<Named> {
        let text = self.queries.text;
        let unsupported = |word: &str, what: &str| {
            text.error_at(text.word_near(relation.span(), word), format!("{what} is not supported"))
        };
        match relation {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                Err(unsupported("TABLESAMPLE", "TABLESAMPLE").hint(SAMPLE))
            }
            TableFactor::Table { version: Some(_), .. } => Err(text
                .error(relation.span(), "a version of a source is not supported")
                .hint("a file is read as it is: from 'orders.jsonl'")),
            TableFactor::Pivot { .. } => Err(unsupported("PIVOT", "PIVOT").hint(PIVOTS)),
            TableFactor::Unpivot { .. } => Err(unsupported("UNPIVOT", "UNPIVOT").hint(UNPIVOTS)),
            TableFactor::Table { name, alias, args: None, .. } => self.table(name, alias.as_ref()),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                let name = name.to_string().to_lowercase();
                let error = text.error(relation.span(), format!("{name} cannot stand in FROM"));
                Err(match function(&name) {
                    _ if name == "unnest" => {
                        text.error(relation.span(), "unnest takes one array").hint("for example unnest(items) as item")
                    }
                    Some(function) if function.gives.class() == Some(Class::Array) => {
                        error.hint(format!("unnest makes rows of an array: from input, unnest({name}(…)) as item"))
                    }
                    _ => error.hint("a file stands there in quotes: from 'orders.jsonl'"),
                })
            }
            TableFactor::Derived { lateral: true, .. } => Err(text
                .error(relation.span(), "a LATERAL query, which sees the row beside it, is not supported")
                .hint("`unnest(items) as item` makes rows of an array; a join finds records by a key")),
            TableFactor::Derived { subquery, alias, .. } => {
                let mut plan = self.queries.query_within(subquery, self.tables, &self.names(binder))?;
                if let Some(alias) = alias {
                    rename(text, &mut plan, alias)?;
                }
                let alias = alias.as_ref().map(|alias| alias.name.value.clone());
                let name = alias.clone().unwrap_or_else(|| "subquery".to_owned());
                Ok(Named { source: Source::Queries { name, queries: vec![plan], is_view: false }, alias, file: None })
            }
            _ => Err(text
                .error(relation.span(), "FROM takes a file in quotes, a query in parentheses, or `input`")
                .hint("write from 'orders.jsonl', or leave FROM out and give the files as arguments")),
        }
    }

    fn table(&self, name: &'q ast::ObjectName, alias: Option<&TableAlias>) -> Result<Named> {
        let text = self.queries.text;
        let named = alias.map(|alias| alias.name.value.clone());
        let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
            return Err(text
                .error(name.span(), "a file name in FROM stands in single quotes")
                .hint(format!("write from '{name}'")));
        };
        let own = || Some(named.clone().unwrap_or_else(|| ident.value.clone()));
        if ident.quote_style != Some('\'')
            && let Some(place) = self.tables.iter().rposition(|table| table.alias.name.value == ident.value)
        {
            let mut plan = self.queries.table(self.tables[place], self.tables)?;
            if let Some(alias) = alias {
                rename(text, &mut plan, alias)?;
            }
            let source = Source::Queries { name: ident.value.clone(), queries: vec![plan], is_view: false };
            return Ok(Named { source, alias: own(), file: None });
        }
        if ident.quote_style != Some('\'')
            && let Some(mut source) = self.queries.named(&ident.value, ident.span)?
        {
            if let (Some(alias), Source::Queries { queries, is_view, .. }) = (alias, &mut source)
                && let [plan] = queries.as_mut_slice()
                && !alias.columns.is_empty()
            {
                rename(text, plan, alias)?;
                *is_view = false;
            }
            return Ok(Named { source, alias: own(), file: None });
        }
        if let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) {
            return Err(text
                .error(alias.name.span, "the fields of records have the names that they have")
                .hint("give them other names in the select list: select key as name"));
        }
        match ident.quote_style {
            None if ident.value.eq_ignore_ascii_case("input") => {
                Ok(Named { source: Source::Input, alias: own(), file: None })
            }
            None => {
                let error = text.error(ident.span, format!("there is no source `{}`", ident.value));
                Err(match self.queries.nearest_name(&ident.value) {
                    Some(name) => error.hint(format!("did you mean {name}?")),
                    None => error.hint(format!(
                        "a file name stands in quotes: from '{}.jsonl'; `input` is what the arguments name",
                        ident.value
                    )),
                })
            }
            Some(_) => {
                let file = ident.value.rsplit('/').next().and_then(|file| file.split('.').next());
                let file = file.filter(|stem| !stem.is_empty()).map(str::to_owned);
                Ok(Named { source: Source::Files(vec![ident.value.clone()]), alias: named, file })
            }
        }
    }
}

/// The columns of a source whose values have a type that JSON does not have.
fn types_of(source: &Source) -> Vec<(String, Type)> {
    match source {
        Source::Queries { queries, .. } => known_types(queries),
        Source::Input | Source::Files(_) | Source::Named(_) => Vec::new(),
    }
}

/// The keys of a join, and what else a match has to fulfil.
struct Keys {
    /// The source that is joined.
    number: usize,
    left: Vec<Expr>,
    right: Vec<Expr>,
    rest: Option<Condition>,
}

impl Keys {
    /// Adds a condition, or all that AND joins in it.
    fn add(&mut self, binder: &Binder, expr: &ast::Expr) -> Result<()> {
        match expr {
            ast::Expr::Nested(inner) => return self.add(binder, inner),
            ast::Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.add(binder, left)?;
                return self.add(binder, right);
            }
            ast::Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let mut scope = Records::fields();
                // Keys are compared as they come: what is a date in a query is a text in a file.
                let (a, b) = (binder.bind(left, &mut scope)?.unread(), binder.bind(right, &mut scope)?.unread());
                match (self.side(&a), self.side(&b)) {
                    (Side::Before, Side::Joined) => {
                        self.left.push(a);
                        self.right.push(b);
                        return Ok(());
                    }
                    (Side::Joined, Side::Before) => {
                        self.left.push(b);
                        self.right.push(a);
                        return Ok(());
                    }
                    (Side::Unknown, other) => return Err(ambiguous(binder, left, other)),
                    (other, Side::Unknown) => return Err(ambiguous(binder, right, other)),
                    _ => {}
                }
            }
            _ => {}
        }
        let bound = condition(binder, expr, &mut Records::fields())?;
        Condition::also(&mut self.rest, bound);
        Ok(())
    }

    /// Which records an expression is over.
    fn side(&self, expr: &Expr) -> Side {
        let is_joined = |of: Of| matches!(of, Of::One(source) if source == self.number);
        let is_unknown = |of: Of| matches!(of, Of::First(before) if before > self.number);
        let any = |is_it: &dyn Fn(Of) -> bool| expr.any(&|expr| matches!(expr, Expr::Field { of, .. } if is_it(*of)));
        match (any(&is_joined), any(&|of| !is_joined(of))) {
            _ if any(&is_unknown) => Side::Unknown,
            (true, false) => Side::Joined,
            (false, true) => Side::Before,
            _ => Side::Neither,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// What is before the join.
    Before,
    Joined,
    /// It has a name that may be of either.
    Unknown,
    /// It is over both, or none.
    Neither,
}

/// An expression that may be of either side, beside one of a side that is known.
fn ambiguous(binder: &Binder, expr: &ast::Expr, other: Side) -> crate::Error {
    let source = if other == Side::Joined { binder.sources.first() } else { binder.sources.last() };
    let example = match (expr, source.and_then(|source| source.alias.as_deref())) {
        (ast::Expr::Identifier(name), Some(alias)) => format!("for example {alias}.{name}"),
        _ => "give the sources aliases: from 'orders.jsonl' o join 'users.jsonl' u on o.userId = u.id".to_owned(),
    };
    binder.error(expr, format!("in ON `{expr}` may be of either side; say of which it is")).hint(example)
}

/// The kind of a join with another source, its condition, and whether it is one of all pairs.
fn kind_of<'q>(text: Text, join: &'q ast::Join) -> Result<(JoinKind, &'q JoinConstraint, bool)> {
    let unsupported = |name: &str, hint: &str| {
        Err(text.error(join.span(), format!("{name} JOIN is not supported")).hint(hint.to_owned()))
    };
    Ok(match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinKind::Inner, constraint, false),
        JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint, true),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinKind::Left, constraint, false),
        JoinOperator::Semi(constraint) | JoinOperator::LeftSemi(constraint) => (JoinKind::Semi, constraint, false),
        JoinOperator::Anti(constraint) | JoinOperator::LeftAnti(constraint) => (JoinKind::Anti, constraint, false),
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
            return unsupported("RIGHT", "exchange the two sources and write `left join`");
        }
        JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => {
            return unsupported("RIGHT", "exchange the two sources and leave `right` out");
        }
        JoinOperator::FullOuter(_) => {
            return unsupported("FULL", "write a left join, and with `union all` an anti join the other way round");
        }
        JoinOperator::AsOf { .. } => return unsupported("ASOF", ASOF),
        _ => return unsupported("this", "the joins are inner, left, semi, anti and cross"),
    })
}

/// Whether a join with an array keeps rows without elements.
fn is_outer(text: Text, join: &ast::Join) -> Result<bool> {
    let (outer, constraint) = match &join.join_operator {
        JoinOperator::CrossJoin(constraint) | JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (false, constraint)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, constraint),
        _ => {
            return Err(text
                .error(join.span(), "this JOIN is not supported beside unnest")
                .hint("write `, unnest(items) as item`, or `left join unnest(items) as item on true`"));
        }
    };
    match constraint {
        JoinConstraint::None => Ok(outer),
        JoinConstraint::On(ast::Expr::Value(value)) if value.value == ast::Value::Boolean(true) => Ok(outer),
        _ => Err(text
            .error(join.span(), "a join with unnest takes `on true` alone")
            .hint("conditions on elements stand in WHERE")),
    }
}

/// An array in FROM, whose elements become rows.
struct Array<'q> {
    expr: &'q ast::Expr,
    /// The name of the element, and one that may stand before it.
    alias: Option<String>,
    table: Option<String>,
    /// WITH ORDINALITY.
    numbered: bool,
}

/// The array of `unnest(array) as element`.
fn array_of(relation: &TableFactor) -> Option<Array<'_>> {
    let (name, alias, args, with_ordinality) = match relation {
        TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
            (name, alias, &args.args, with_ordinality)
        }
        // `lateral unnest(items)` is the same: it sees what is before it in any case.
        TableFactor::Function { name, alias, args, with_ordinality, .. } => (name, alias, args, with_ordinality),
        _ => return None,
    };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr))] = args.as_slice() else { return None };
    // `unnest(items) as t(item)` names the column, `unnest(items) as item` what is in it.
    let (alias, table) = match alias {
        None => (None, None),
        Some(alias) => match alias.columns.as_slice() {
            [column] => (Some(column.name.value.clone()), Some(alias.name.value.clone())),
            _ => (Some(alias.name.value.clone()), None),
        },
    };
    let array = Array { expr, alias, table, numbered: *with_ordinality };
    name.to_string().eq_ignore_ascii_case("unnest").then_some(array)
}
