//! Plans: what a query asks for, resolved, before anything is read.

mod early;
mod explain;
mod number;
mod swap;
mod typed;
mod within;

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Condition, Expr, Of, OrderKey, Site, Type, Virtual};
use crate::group::Grouping;
use crate::output::Format;
use crate::scan::{self, Path};

/// What a query asks for.
#[derive(Debug)]
pub struct Plan {
    /// The paths that the scanner extracts, each once. [`Expr::Field`] refers to them by number.
    pub paths: Vec<Path>,
    /// The paths, by number, whose values are expected to be of one type throughout.
    pub typed_paths: Vec<usize>,
    /// Whether the paths are there to be watched alone: that no record has one is told by the plan around this one.
    pub only_watches: bool,
    /// The keys that the query within looks for, and tells of if no record has them.
    pub asked_within: Vec<String>,
    /// The places where faults are counted. Each [`Site`] of an expression refers to them by number.
    pub sites: Vec<Site>,
    /// Where the records come from.
    pub source: Source,
    /// What is put beside the records, one after the other, before anything else.
    pub steps: Vec<Step>,
    /// Whether the sources of the one join were exchanged, so that the second one comes first where names are looked up.
    pub exchanged: bool,
    /// The fields that are of the first of several records that has their key. Their columns come after all others.
    pub firsts: Vec<FirstOf>,
    /// WHERE.
    pub filter: Option<Condition>,
    /// The part of WHERE that can be asked before the steps, if there is one, so that rows need not be joined which do not
    /// stay. WHERE asks it again.
    pub early: Option<Condition>,
    /// What is made of the records that pass.
    pub body: Body,
    /// ORDER BY; over the records, or over the groups if the body makes groups.
    pub order: Vec<OrderKey>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// OFFSET.
    pub offset: u64,
    /// The columns whose values say which partition a row of records belongs into. With some, each row comes with that.
    pub partition_by: Vec<Item>,
    /// The names of the output's columns; `None` if each record brings its own.
    pub names: Option<Vec<String>>,
    /// What the query may say, and yet hardly means, with the places.
    pub notes: Vec<Error>,
}

/// Where the records of a plan come from.
#[derive(Debug)]
pub enum Source {
    /// The FILE arguments, or standard input.
    Input,
    /// The files that FROM names.
    Files(Vec<String>),
    /// What is known by a name to whoever runs the plan.
    Named(String),
    /// The rows of other queries, one query after the other.
    Queries {
        /// What they are called in messages.
        name: String,
        /// The queries.
        queries: Vec<Plan>,
        /// Whether this is a query that all plans know by this name, so that they can take its rows together.
        is_view: bool,
    },
}

/// What is put beside the rows: source number 1 for the first step, and so on.
#[derive(Debug)]
pub enum Step {
    /// The elements of an array.
    Unnest(Box<Unnest>),
    /// Records with the same key.
    Join(Box<Join>),
}

/// An array whose elements become rows, each beside the record that it is in.
#[derive(Debug)]
pub struct Unnest {
    /// The array: a field of what is before this.
    pub array: Expr,
    /// Whether a record without elements stays as a row, whose element is missing.
    pub outer: bool,
    /// Where values that are no arrays are counted.
    pub site: Site,
    /// The paths into the elements that are extracted, each once. Their columns follow those of what is before this.
    pub paths: Vec<Path>,
}

/// Records that are put beside the rows with the same key.
#[derive(Debug)]
pub struct Join {
    /// What becomes of rows with and without a match.
    pub kind: JoinKind,
    /// What it is called in messages: its alias, else its file.
    pub name: String,
    /// The query that the records are the rows of.
    pub side: Plan,
    /// The keys over the rows so far. A row with a NULL among them has no match.
    pub left: Vec<Expr>,
    /// The same keys over the records of the side. None at all: each row matches all records.
    pub right: Vec<Expr>,
    /// What else a match has to fulfil.
    pub condition: Option<Condition>,
    /// The paths into the records of the side that are extracted, each once.
    pub paths: Vec<Path>,
}

impl Join {
    /// Whether it is enough to know which keys the records have.
    pub fn needs_keys_only(&self) -> bool {
        !self.kind.adds_records() && self.condition.is_none()
    }
}

/// What becomes of rows with and without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// A row for each match.
    Inner,
    /// A row for each match; a row without any stays, beside a record of which all is missing.
    Left,
    /// Rows that have a match stay, as they are.
    Semi,
    /// Rows that have no match stay, as they are.
    Anti,
}

impl JoinKind {
    /// Whether the matches stand beside the rows afterwards.
    pub fn adds_records(self) -> bool {
        matches!(self, JoinKind::Inner | JoinKind::Left)
    }
}

/// A field of the first record, among several, that has its first key.
#[derive(Debug)]
pub struct FirstOf {
    /// The sources before this number are asked.
    pub before: usize,
    /// The path.
    pub path: Path,
    /// For each record that is asked the columns of the path's first key and of the path.
    pub candidates: Vec<(usize, usize)>,
}

/// What is made of the records that pass the filter.
#[derive(Debug)]
pub enum Body {
    /// A row for each record.
    Rows(Projection),
    /// A row for each group.
    Groups(Box<Groups>),
}

/// What a row for a record holds.
#[derive(Debug)]
pub enum Projection {
    /// The line itself.
    Record,
    /// The record with some keys replaced in place, added at its end, or left out.
    Extended(Extension),
    /// Some fields of the record: nobody reads the others.
    Fields(Fields),
    /// These columns.
    Columns(Vec<Item>),
}

/// What is read of a record, with what stands beside that.
#[derive(Debug)]
pub struct Fields {
    /// The fields, each with its key; one that the record does not have is left out.
    pub fields: Vec<Item>,
    /// Further columns.
    pub items: Vec<Item>,
    /// As in an [`Extension`].
    pub asked: Vec<Expr>,
}

/// What is different from the record.
#[derive(Debug)]
pub struct Extension {
    /// The records, as fields; `None` is the line. The keys of each are added to those of the ones before it.
    pub records: Vec<Option<Expr>>,
    /// The keys that get new values: in place where the record has them, at its end otherwise.
    pub items: Vec<Item>,
    /// How many of them, the first ones, are left out where the record does not have them.
    pub replacements: usize,
    /// The keys that are left out.
    pub excluded: Vec<String>,
    /// Whether the record has the keys that are left out or replaced. Not evaluated: a path that no record had is told.
    pub asked: Vec<Expr>,
}

impl Projection {
    /// Whether making a row never finds a fault.
    pub fn is_faultless(&self) -> bool {
        match self {
            Projection::Record => true,
            Projection::Extended(Extension { items, .. })
            | Projection::Fields(Fields { items, .. })
            | Projection::Columns(items) => items.iter().all(|item| item.expr.is_faultless()),
        }
    }
}

/// A column of the output.
#[derive(Debug)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its value.
    pub expr: Expr,
}

/// Rows for groups. Expressions over groups see the keys as columns 0…, then the aggregates.
#[derive(Debug)]
pub struct Groups {
    /// GROUP BY, and the aggregates that HAVING, ORDER BY and the items need.
    pub grouping: Grouping,
    /// HAVING.
    pub having: Option<Condition>,
    /// The columns of the output, over groups.
    pub items: Vec<Item>,
    /// Equal rows are written once (`select distinct` over aggregates).
    pub distinct: bool,
}

impl Plan {
    /// The plan that writes every record of a source.
    pub fn of(source: Source) -> Plan {
        Plan {
            paths: Vec::new(),
            typed_paths: Vec::new(),
            only_watches: false,
            asked_within: Vec::new(),
            sites: Vec::new(),
            source,
            steps: Vec::new(),
            exchanged: false,
            firsts: Vec::new(),
            filter: None,
            early: None,
            body: Body::Rows(Projection::Record),
            order: Vec::new(),
            limit: None,
            offset: 0,
            partition_by: Vec::new(),
            names: None,
            notes: Vec::new(),
        }
    }

    /// The plan that writes the rows of another one without the columns that they are partitioned by.
    ///
    /// # Errors
    /// [`ErrorKind::Query`] if that is known not to have one of them, or to have no others.
    pub fn partitioned(mut self, by: &[String], format: Format) -> Result<Plan> {
        let names = match &self.names {
            Some(names) => {
                if let Some(missing) = by.iter().find(|column| !names.contains(column)) {
                    let message = format!("the query has no column `{missing}` to be partitioned by");
                    return Err(Error::new(ErrorKind::Query, message).hint(format!("it has {}", names.join(", "))));
                }
                Some(names.iter().filter(|name| !by.contains(name)).cloned().collect::<Vec<_>>())
            }
            None => None,
        };
        if names.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::new(ErrorKind::Query, "all columns of the query are partition columns")
                .hint("partition columns are left out of the files: nothing would be left to write"));
        }
        if self.take_partition_columns(by) {
            return Ok(self.numbered());
        }
        let item = |name: &String| Item {
            name: name.clone(),
            expr: Expr::Field { of: Of::One(0), path: Path { steps: vec![scan::Step::Key(name.clone())] }, column: 0 },
        };
        let extension = || Extension {
            records: vec![None],
            items: Vec::new(),
            replacements: 0,
            excluded: by.to_vec(),
            asked: Vec::new(),
        };
        let body = match &names {
            Some(names) if format != Format::Jsonl => Projection::Columns(names.iter().map(item).collect()),
            _ => Projection::Extended(extension()),
        };
        // Rows that are the records themselves are those of the source already.
        let passes_all = matches!(self.body, Body::Rows(Projection::Record))
            && self.filter.is_none()
            && self.steps.is_empty()
            && self.order.is_empty()
            && self.limit.is_none()
            && self.offset == 0
            && !matches!(self.source, Source::Input);
        let source = match passes_all {
            true => std::mem::replace(&mut self.source, Source::Input),
            false => Source::Queries { name: "the output's query".to_owned(), queries: vec![self], is_view: false },
        };
        let partition_by = by.iter().map(item).collect();
        Ok(Plan { body: Body::Rows(body), partition_by, names, ..Plan::of(source) }.numbered())
    }

    /// Takes the columns by which rows are partitioned out of them, where that needs no query around this one: their values are
    /// written in paths as they would be read of the rows. Says whether it did.
    fn take_partition_columns(&mut self, by: &[String]) -> bool {
        let comes_as_it_is = self.streams() && self.steps.is_empty() && self.partition_by.is_empty();
        let (Body::Rows(Projection::Columns(items)), Some(names), true) =
            (&mut self.body, &mut self.names, comes_as_it_is)
        else {
            return false;
        };
        // A number may be written in another way than the field that it becomes.
        let is_plain = |item: &Item| {
            let is_time = matches!(item.expr.known_type(), Some(Type::Date | Type::Timestamp));
            matches!(item.expr, Expr::Field { .. }) || is_time
        };
        let is_one = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
        let place = |name: &String| items.iter().position(|item| item.name == *name);
        let is_simple = |name: &String| is_one(name) && place(name).is_some_and(|at| is_plain(&items[at]));
        if items.len() != names.len() || !by.iter().all(is_simple) {
            return false;
        }
        let place_by = |item: &Item| by.iter().position(|name| *name == item.name);
        let (mut taken, rest): (Vec<Item>, _) =
            std::mem::take(items).into_iter().partition(|item| place_by(item).is_some());
        taken.sort_by_key(place_by);
        (self.partition_by, *items) = (taken, rest);
        names.retain(|name| !by.contains(name));
        true
    }

    /// The number of columns: those of the paths, of the steps, and of fields that may be of several records.
    pub fn columns(&self) -> usize {
        self.first_of_firsts() + self.firsts.len()
    }

    /// The first column of fields that may be of several records.
    pub fn first_of_firsts(&self) -> usize {
        self.columns_before(self.steps.len())
    }

    /// The first column of a step.
    pub fn columns_before(&self, step: usize) -> usize {
        self.paths.len() + self.steps[..step].iter().map(|step| step.paths().len()).sum::<usize>()
    }

    /// Whether lines of the source are written, whole or with changes, and not only what is in them.
    pub(crate) fn writes_lines(&self) -> bool {
        match &self.body {
            Body::Rows(Projection::Record) => true,
            Body::Rows(Projection::Extended(extension)) => extension.records.iter().any(Option::is_none),
            _ => false,
        }
    }

    /// Whether the rows come as the records of the source do, as far as the plan tells.
    pub fn streams(&self) -> bool {
        matches!(self.body, Body::Rows(_)) && self.order.is_empty() && self.limit.is_none() && self.offset == 0
    }

    /// Whether it keeps something of the records: groups, values, rows to be sorted. A few aggregates are nothing in comparison.
    pub fn keeps_values(&self) -> bool {
        let grows = match &self.body {
            Body::Rows(_) => false,
            Body::Groups(groups) => {
                !groups.grouping.keys.is_empty() || groups.grouping.aggregates.iter().any(|call| call.keeps_values())
            }
        };
        grows || !self.order.is_empty()
    }

    /// The number of the last row that LIMIT lets through, those that OFFSET leaves out included.
    pub fn last_row(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_add(self.offset))
    }

    /// The name whose records are read one by one, by this or a query in FROM; `None` if it is not a single one.
    pub fn name_read(&self) -> Option<&str> {
        match &self.source {
            Source::Named(name) => Some(name),
            Source::Queries { queries, .. } => match queries.as_slice() {
                [query] => query.name_read(),
                _ => None,
            },
            Source::Input | Source::Files(_) => None,
        }
    }

    /// The other names that are read here or in a query within this one: all of each is read for every record.
    pub fn names_looked_up(&self) -> BTreeSet<String> {
        let mut names = match &self.source {
            Source::Input | Source::Files(_) | Source::Named(_) => BTreeSet::new(),
            Source::Queries { queries, .. } => match queries.as_slice() {
                [query] => query.names_looked_up(),
                queries => queries.iter().flat_map(Plan::names).collect(),
            },
        };
        for step in &self.steps {
            if let Step::Join(join) = step {
                names.extend(join.side.names());
            }
        }
        names
    }

    /// All names that are read.
    pub fn names(&self) -> BTreeSet<String> {
        self.names_looked_up().into_iter().chain(self.name_read().map(str::to_owned)).collect()
    }

    /// The files that are named here or in a query within this one, each once.
    pub fn files(&self) -> Vec<String> {
        let mut files = match &self.source {
            Source::Files(files) => files.clone(),
            Source::Input | Source::Named(_) => Vec::new(),
            Source::Queries { queries, .. } => queries.iter().flat_map(Plan::files).collect(),
        };
        for step in &self.steps {
            if let Step::Join(join) = step {
                files.extend(join.side.files());
            }
        }
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Whether `input` is read, here or in a query within this one.
    pub fn uses_input(&self) -> bool {
        let source = match &self.source {
            Source::Input => true,
            Source::Files(_) | Source::Named(_) => false,
            Source::Queries { queries, .. } => queries.iter().any(Plan::uses_input),
        };
        source || self.steps.iter().any(|step| matches!(step, Step::Join(join) if join.side.uses_input()))
    }

    /// Whether an output column of this name is something else than the path of this number.
    pub(crate) fn computes(&self, name: &str, path: usize) -> bool {
        let is_path = |expr: &Expr| match expr {
            Expr::Field { of: Of::One(0), column, .. } => *column == path,
            Expr::Field { of: Of::First(_), path: of_any, .. } => *of_any == self.paths[path],
            _ => false,
        };
        match &self.body {
            Body::Rows(Projection::Record) => false,
            Body::Rows(Projection::Extended(Extension { items, replacements, .. })) => {
                items[*replacements..].iter().any(|item| item.name == name && !is_path(&item.expr))
            }
            Body::Rows(Projection::Columns(items) | Projection::Fields(Fields { items, .. })) => {
                items.iter().any(|item| item.name == name && !is_path(&item.expr))
            }
            Body::Groups(groups) => groups.items.iter().filter(|item| item.name == name).any(|item| match item.expr {
                Expr::Column(column) => groups.grouping.keys.get(column).is_none_or(|key| !is_path(key)),
                _ => true,
            }),
        }
    }

    /// Whether the plan asks for the line numbers of records.
    pub fn uses_line_numbers(&mut self) -> bool {
        let mut found = false;
        self.visit_exprs(&mut |expr| {
            expr.visit_mut(&mut |expr| found |= matches!(expr, Expr::Virtual { name: Virtual::Line, .. }));
        });
        found
    }
}
