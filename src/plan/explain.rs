//! A plan as a person wants to read it.

use std::fmt::Write;

use super::{Body, Extension, Fields, Join, JoinKind, Plan, Projection, Source, Step};
use crate::agg::Outcome;
use crate::expr::Expr;

impl Plan {
    /// Describes what the plan does, in the order in which it happens.
    pub fn explain(&self, threads: usize, memory_limit: usize) -> String {
        let mut out = String::new();
        let mut line = |name: &str, text: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:<9} {text}");
        };
        self.explain_steps(&mut line);
        line("workers", format!("up to {threads}, results merged"));
        line("memory", format!("{} MiB in all{}", memory_limit >> 20, self.what_grows()));
        out
    }

    /// Describes the plan of a query within another, further to the right.
    fn explain_within(&self, line: &mut dyn FnMut(&str, String)) {
        self.explain_steps(&mut |name, text| line("", format!("{name:<9} {text}")));
    }

    fn explain_steps(&self, mut line: &mut dyn FnMut(&str, String)) {
        match &self.source {
            Source::Input => line("read", "the FILE arguments, or standard input".to_owned()),
            Source::Files(files) => line("read", files.join(", ")),
            Source::Named(name) => line("read", name.clone()),
            Source::Queries { name, queries, .. } => {
                for (number, query) in queries.iter().enumerate() {
                    let name = if queries.len() > 1 { format!("{name}, query {}", number + 1) } else { name.clone() };
                    line("read", format!("the rows of {name}:"));
                    query.explain_within(&mut line);
                }
            }
        }
        let paths: Vec<String> = self
            .paths
            .iter()
            .map(|path| match path.steps.is_empty() {
                true => "the whole record".to_owned(),
                false => path.to_string(),
            })
            .collect();
        match paths.is_empty() {
            true => line("extract", "nothing; every line is validated".to_owned()),
            false => line("extract", paths.join(", ")),
        }
        if let Some(early) = &self.early {
            line("filter", format!("{}, where that is known before the joins", early.expr));
        }
        for step in &self.steps {
            match step {
                Step::Unnest(unnest) => {
                    let outer = if unnest.outer { ", records without one stay" } else { "" };
                    line("unnest", format!("a row for each element of {}{outer}", unnest.array));
                }
                Step::Join(join) => join.explain(&mut line),
            }
        }
        if let Some(filter) = &self.filter {
            line("filter", filter.expr.to_string());
        }
        match &self.body {
            Body::Rows(Projection::Record) => line("write", "each record as it stands".to_owned()),
            Body::Rows(Projection::Extended(Extension { items, excluded, .. })) => {
                let mut text = "each record".to_owned();
                if !items.is_empty() {
                    text.push_str(&format!(", with {}", list(items.iter().map(|item| named(&item.name, &item.expr)))));
                }
                if !excluded.is_empty() {
                    text.push_str(&format!(", without {}", excluded.join(", ")));
                }
                line("write", text);
            }
            Body::Rows(Projection::Fields(Fields { fields, items, .. })) => {
                let items: Vec<_> = fields.iter().chain(items).collect();
                match items.as_slice() {
                    [] => line("write", "nothing of each record, as nothing of it is read".to_owned()),
                    items => line("write", list(items.iter().map(|item| named(&item.name, &item.expr)))),
                }
            }
            Body::Rows(Projection::Columns(items)) => {
                line("write", list(items.iter().map(|item| named(&item.name, &item.expr))));
            }
            Body::Groups(groups) => {
                match groups.grouping.keys.is_empty() {
                    true => line("group", "all records as one".to_owned()),
                    false => line("group", format!("by {}", list(groups.grouping.keys.iter().map(Expr::to_string)))),
                }
                let mut names: Vec<String> = groups.grouping.keys.iter().map(Expr::to_string).collect();
                for call in &groups.grouping.aggregates {
                    let distinct = if call.distinct { "distinct " } else { "" };
                    let mut arguments = match call.arguments.as_slice() {
                        [] => "*".to_owned(),
                        arguments => {
                            list(arguments[..arguments.len() - usize::from(call.ordered)].iter().map(Expr::to_string))
                        }
                    };
                    arguments.push_str(&parameter(&call.outcome));
                    if let (Outcome::Falling(_), Some(first)) = (&call.outcome, call.arguments.first()) {
                        arguments.push_str(&format!(" order by {first} desc"));
                    }
                    if let (true, Some(order)) = (call.ordered, call.arguments.last()) {
                        arguments.push_str(&format!(" order by {order}"));
                    }
                    let filter = match &call.filter {
                        Some(filter) => format!(" filter (where {})", filter.expr),
                        None => String::new(),
                    };
                    names.push(format!("{}({distinct}{arguments}){filter}", call.function.name));
                }
                if !groups.grouping.aggregates.is_empty() {
                    line("aggregate", names[groups.grouping.keys.len()..].join(", "));
                }
                let over = |expr: &Expr| expr.display_over(&names);
                if let Some(having) = &groups.having {
                    line("having", over(&having.expr));
                }
                if groups.distinct {
                    line("distinct", "equal rows once".to_owned());
                }
                if self.order.is_empty() && !groups.grouping.keys.is_empty() {
                    line("sort", "by the keys".to_owned());
                }
                self.explain_order(&mut line, &over);
                line(
                    "write",
                    list(groups.items.iter().map(|item| {
                        let text = over(&item.expr);
                        if text == item.name || item.name.is_empty() {
                            text
                        } else {
                            format!("{text} as {}", item.name)
                        }
                    })),
                );
            }
        }
        if let Body::Rows(_) = self.body {
            self.explain_order(&mut line, &Expr::to_string);
        }
        if self.offset > 0 {
            line("offset", self.offset.to_string());
        }
        if let Some(limit) = self.limit {
            let stops = self.order.is_empty() && matches!(self.body, Body::Rows(_));
            line("limit", format!("{limit}{}", if stops { "; reading stops there" } else { "" }));
        }
    }

    fn explain_order(&self, line: &mut dyn FnMut(&str, String), show: &dyn Fn(&Expr) -> String) {
        if self.order.is_empty() {
            return;
        }
        let keys = self.order.iter().map(|key| format!("{}{}", show(&key.expr), key.suffix()));
        let keys = list(keys);
        match self.last_row() {
            Some(last) => line("sort", format!("by {keys}; only the first {last} are kept")),
            None => line("sort", format!("by {keys}")),
        }
    }

    /// What grows with the data, and what happens when the memory does not do for it.
    fn what_grows(&self) -> String {
        let mut spill = Vec::new();
        self.collect_growing(&mut spill);
        if spill.is_empty() { String::new() } else { format!("; {} can go to disk", spill.join(", ")) }
    }

    fn collect_growing(&self, spill: &mut Vec<String>) {
        let note = |list: &mut Vec<String>, what: String| {
            if !list.contains(&what) {
                list.push(what);
            }
        };
        if let Source::Queries { queries, .. } = &self.source {
            queries.iter().for_each(|query| query.collect_growing(spill));
        }
        for step in &self.steps {
            if let Step::Join(join) = step {
                join.side.collect_growing(spill);
                note(spill, format!("the records of {} and the rows that wait for them", join.name));
            }
        }
        match &self.body {
            Body::Groups(groups) if groups.grouping.keys.is_empty() => {
                if groups.grouping.aggregates.iter().any(|call| call.keeps_values()) {
                    note(spill, "the values of aggregates".to_owned());
                }
            }
            Body::Groups(_) => note(spill, "groups".to_owned()),
            Body::Rows(_) => {}
        }
        if !self.order.is_empty() {
            note(spill, "sorted rows".to_owned());
        }
    }
}

impl Join {
    fn explain(&self, line: &mut dyn FnMut(&str, String)) {
        let kind = match self.kind {
            JoinKind::Inner => "a row for each match",
            JoinKind::Left => "a row for each match; rows without one stay",
            JoinKind::Semi => "rows that have a match",
            JoinKind::Anti => "rows that have no match",
        };
        let keys = self.left.iter().zip(&self.right).map(|(left, right)| match left.to_string() == right.to_string() {
            true => left.to_string(),
            false => format!("{left} = {right}"),
        });
        let on = match self.left.is_empty() {
            true => "any".to_owned(),
            false => list(keys),
        };
        let condition =
            self.condition.as_ref().map_or(String::new(), |condition| format!(", where {}", condition.expr));
        line("join", format!("{} by {on}{condition}: {kind}", self.name));
        if let Source::Queries { queries, .. } = &self.side.source {
            queries.iter().for_each(|query| query.explain_within(line));
        }
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn named(name: &str, expr: &Expr) -> String {
    let text = expr.to_string();
    if text == name { text } else { format!("{text} as {name}") }
}

/// The last argument of an aggregate, which tells what is wanted of its state.
fn parameter(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Quantile(fraction) => format!(", {fraction}"),
        Outcome::Quantiles(fractions) => {
            format!(", [{}]", fractions.iter().map(f64::to_string).collect::<Vec<_>>().join(", "))
        }
        Outcome::Joined(separator) => format!(", '{separator}'"),
        Outcome::Falling(outcome) => parameter(outcome),
        Outcome::Whole | Outcome::Mean | Outcome::Mode => String::new(),
    }
}
