//! Plans: what a query asks for, resolved, before anything is read.

mod explain;

use crate::expr::OrderKey;
use crate::expr::{Condition, Expr, Site, Virtual};
use crate::group::Grouping;
use crate::scan::Path;

/// What a query asks for.
#[derive(Debug)]
pub struct Plan {
    /// The paths that the scanner extracts, each once. [`Expr::Field`] refers to them by number.
    pub paths: Vec<Path>,
    /// The places where faults are counted. Each [`Site`] of an expression refers to them by number.
    pub sites: Vec<Site>,
    /// The files that FROM names; `None` means the FILE arguments or standard input.
    pub files: Option<Vec<String>>,
    /// The arrays whose elements become rows, one after the other, before anything else.
    pub unnests: Vec<Unnest>,
    /// WHERE.
    pub filter: Option<Condition>,
    /// What is made of the records that pass.
    pub body: Body,
    /// ORDER BY; over the records, or over the groups if the body makes groups.
    pub order: Vec<OrderKey>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// OFFSET.
    pub offset: u64,
    /// The names of the output's columns; `None` if each record brings its own.
    pub names: Option<Vec<String>>,
}

/// An array whose elements become rows, each beside the record that it is in.
#[derive(Debug)]
pub struct Unnest {
    /// The array: a field of the record, or of an element of an array before this.
    pub array: Expr,
    /// Whether a record without elements stays as a row, whose element is missing.
    pub outer: bool,
    /// Where values that are no arrays are counted.
    pub site: Site,
    /// The paths into the elements that are extracted, each once. Their columns follow those of what is before this.
    pub paths: Vec<Path>,
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
    /// These columns.
    Columns(Vec<Item>),
}

/// What is different from the record.
#[derive(Debug)]
pub struct Extension {
    /// The keys that get new values: in place where the record has them, at its end otherwise.
    pub items: Vec<Item>,
    /// How many of them, the first ones, are left out where the record does not have them.
    pub replacements: usize,
    /// The keys that are left out.
    pub excluded: Vec<String>,
}

impl Projection {
    /// Whether making a row never finds a fault.
    pub fn is_faultless(&self) -> bool {
        match self {
            Projection::Record => true,
            Projection::Extended(Extension { items, .. }) | Projection::Columns(items) => {
                items.iter().all(|item| matches!(item.expr, Expr::Field { .. } | Expr::Literal(_)))
            }
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
    /// Numbers the paths and the sites of all expressions. To be called once, when the plan is complete.
    pub(crate) fn number(&mut self) {
        // The paths of each source, then the number of the first column of each.
        let mut paths: Vec<Vec<Path>> = vec![Vec::new(); self.unnests.len() + 1];
        self.visit_exprs(&mut |expr| {
            expr.visit_mut(&mut |expr| {
                if let Expr::Field { source, path, .. } = expr
                    && !paths[*source].contains(path)
                {
                    paths[*source].push(path.clone());
                }
            });
        });
        let first_of = |source: usize| paths[..source].iter().map(Vec::len).sum::<usize>();
        let firsts: Vec<usize> = (0..paths.len()).map(first_of).collect();
        let mut sites = Vec::new();
        let mut number_site = |site: &mut Site| {
            site.id = sites.len();
            sites.push(site.clone());
        };
        let mut visit = |expr: &mut Expr| {
            if let Expr::Field { source, path, column } = expr {
                let place = paths[*source].iter().position(|known| known == path);
                *column = firsts[*source] + place.unwrap_or(0);
            }
            if let Some(site) = expr.site_mut() {
                number_site(site);
            }
        };
        self.visit_exprs(&mut |expr| expr.visit_mut(&mut visit));
        self.visit_conditions(&mut number_site);
        let mut paths = paths.into_iter();
        self.paths = paths.next().unwrap_or_default();
        for (unnest, paths) in self.unnests.iter_mut().zip(paths) {
            unnest.paths = paths;
        }
        self.sites = sites;
    }

    fn visit_exprs(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        self.unnests.iter_mut().for_each(|unnest| visit(&mut unnest.array));
        self.filter.iter_mut().for_each(|condition| visit(&mut condition.expr));
        match &mut self.body {
            Body::Rows(Projection::Record) => {}
            Body::Rows(Projection::Extended(Extension { items, .. }) | Projection::Columns(items)) => {
                items.iter_mut().for_each(|item| visit(&mut item.expr));
            }
            Body::Groups(groups) => {
                groups.grouping.keys.iter_mut().for_each(&mut *visit);
                for call in &mut groups.grouping.aggregates {
                    call.arguments.iter_mut().for_each(&mut *visit);
                    call.filter.iter_mut().for_each(|condition| visit(&mut condition.expr));
                }
                groups.having.iter_mut().for_each(|condition| visit(&mut condition.expr));
                groups.items.iter_mut().for_each(|item| visit(&mut item.expr));
            }
        }
        self.order.iter_mut().for_each(|key| visit(&mut key.expr));
    }

    /// The sites that belong to the plan's own parts, not to an expression.
    fn visit_conditions(&mut self, visit: &mut dyn FnMut(&mut Site)) {
        self.unnests.iter_mut().for_each(|unnest| visit(&mut unnest.site));
        self.filter.iter_mut().for_each(|condition| visit(&mut condition.site));
        if let Body::Groups(groups) = &mut self.body {
            groups.having.iter_mut().for_each(|condition| visit(&mut condition.site));
            for call in &mut groups.grouping.aggregates {
                visit(&mut call.site);
                visit(&mut call.result_site);
                call.filter.iter_mut().for_each(|condition| visit(&mut condition.site));
            }
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
