//! Plans: what a query asks for, resolved, before anything is read.

mod explain;

use crate::expr::{Condition, Expr, Site, Virtual};
use crate::group::Grouping;
use crate::scan::Path;
use crate::sort::OrderKey;

/// What a query asks for.
#[derive(Debug)]
pub struct Plan {
    /// The paths that the scanner extracts, each once. [`Expr::Field`] refers to them by number.
    pub paths: Vec<Path>,
    /// The places where faults are counted. Each [`Site`] of an expression refers to them by number.
    pub sites: Vec<Site>,
    /// The files that FROM names; `None` means the FILE arguments or standard input.
    pub files: Option<Vec<String>>,
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
    /// The record with some keys replaced in place or added at its end.
    Extended(Vec<Item>),
    /// These columns.
    Columns(Vec<Item>),
}

impl Projection {
    /// Whether making a row never finds a fault.
    pub fn is_faultless(&self) -> bool {
        match self {
            Projection::Record => true,
            Projection::Extended(items) | Projection::Columns(items) => {
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
        let (mut paths, mut sites) = (Vec::new(), Vec::new());
        let mut number_site = |site: &mut Site| {
            site.id = sites.len();
            sites.push(site.clone());
        };
        let mut visit = |expr: &mut Expr| {
            if let Expr::Field { path, column } = expr {
                *column = paths.iter().position(|known| known == path).unwrap_or_else(|| {
                    paths.push(path.clone());
                    paths.len() - 1
                });
            }
            if let Some(site) = expr.site_mut() {
                number_site(site);
            }
        };
        self.visit_exprs(&mut |expr| expr.visit_mut(&mut visit));
        self.visit_conditions(&mut number_site);
        self.paths = paths;
        self.sites = sites;
    }

    fn visit_exprs(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        self.filter.iter_mut().for_each(|condition| visit(&mut condition.expr));
        match &mut self.body {
            Body::Rows(Projection::Record) => {}
            Body::Rows(Projection::Extended(items) | Projection::Columns(items)) => {
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
