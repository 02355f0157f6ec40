//! What a pass is going to do, in words.

use std::fmt::Write as _;

use super::{Member, Pass};
use crate::exec::common::Common;
use crate::plan::{Body, Plan, Step};

impl Pass {
    /// What is read, and what takes the records: a line for each, indented below what it takes the rows of. `labels` are
    /// what the outputs are called.
    pub fn explain(&self, labels: &[String]) -> String {
        let mut out = String::new();
        for reading in &self.readings {
            let files = reading.source.files.join(", ");
            let _ = writeln!(out, "read {} once: {files}", reading.name);
            explain_members(&reading.members, labels, 1, &mut out);
        }
        for (run, output) in &self.others {
            let label = labels.get(*output).map_or("", String::as_str);
            let _ = writeln!(out, "read for itself: {label}");
            let _ = writeln!(out, "  {}", describe(&run.plan));
        }
        out
    }
}

fn explain_members(members: &[Member], labels: &[String], depth: usize, out: &mut String) {
    if let Some(common) = Common::among(members.iter().map(|member| &member.run.plan)) {
        let (filters, exprs) = common.texts();
        let _ = writeln!(out, "{}evaluated once: {}", "  ".repeat(depth), [filters, exprs].concat().join(", "));
    }
    for member in members {
        let label = match (member.output, &member.view) {
            (Some(output), _) => labels.get(output).cloned().unwrap_or_default(),
            (None, Some(view)) => format!("view {view}"),
            (None, None) => "query".to_owned(),
        };
        let shared = if member.followers.len() > 1 {
            format!(", for {} queries", member.followers.len())
        } else {
            String::new()
        };
        let _ = writeln!(out, "{}{label}: {}{shared}", "  ".repeat(depth), describe(&member.run.plan));
        explain_members(&member.followers, labels, depth + 1, out);
    }
}

/// What a plan makes of its records, and what of it is held in memory.
fn describe(plan: &Plan) -> String {
    let mut parts = Vec::new();
    for step in &plan.steps {
        parts.push(match step {
            Step::Unnest(_) => "unnest".to_owned(),
            Step::Join(join) => format!("join {} (held, or on disk if it does not fit)", join.name),
        });
    }
    if plan.filter.is_some() {
        parts.push("filter".to_owned());
    }
    if let Some(common) = Common::within(plan) {
        let (_, exprs) = common.texts();
        parts.push(format!("{} evaluated once", exprs.join(", ")));
    }
    parts.push(match &plan.body {
        Body::Groups(groups) if groups.grouping.keys.is_empty() => {
            format!("{} aggregates", groups.grouping.aggregates.len())
        }
        Body::Groups(groups) => format!(
            "groups by {} keys with {} aggregates (held; can spill)",
            groups.grouping.keys.len(),
            groups.grouping.aggregates.len()
        ),
        Body::Rows(_) => "rows".to_owned(),
    });
    if !plan.order.is_empty() {
        parts.push("sort (held; can spill)".to_owned());
    }
    if let Some(limit) = plan.limit {
        parts.push(format!("limit {limit}"));
    }
    if !plan.partition_by.is_empty() {
        let names: Vec<&str> = plan.partition_by.iter().map(|item| item.name.as_str()).collect();
        parts.push(format!("in partitions by {}", names.join(", ")));
    }
    parts.join(", ")
}
