//! What the records of a source have to be: those that are not are rejected.

use bumpalo::Bump;

use crate::error::{Error, ErrorKind, Result};
use crate::expr::{CellColumn, Columns, Frame, Origin};
use crate::plan::{Body, Item, Plan, Projection};
use crate::scan::{Batch, Path, Reason, Reject};
use crate::value::Value;

/// A rule for the records of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is wrong with a record that breaks it, in words.
    pub says: String,
    /// A condition of SQL that is true for the records that break it.
    pub broken: String,
}

/// The rules for the records of a source, ready to be asked.
#[derive(Debug)]
pub(super) struct Schema {
    rules: Vec<Rule>,
    plan: Plan,
}

impl Schema {
    /// The schema of some rules; `None` if there are none.
    ///
    /// # Errors
    /// [`ErrorKind::Query`] if a condition is none.
    pub(super) fn new(rules: &[Rule]) -> Result<Option<Schema>> {
        if rules.is_empty() {
            return Ok(None);
        }
        let items: Vec<String> =
            rules.iter().enumerate().map(|(number, rule)| format!("({}) as \"r{number}\"", rule.broken)).collect();
        let plan = crate::sql::plan(&format!("select {} from input", items.join(", ")))?;
        match plan.body {
            Body::Rows(Projection::Columns(_)) => Ok(Some(Schema { rules: rules.to_vec(), plan })),
            _ => Err(Error::new(ErrorKind::Query, "the rules of a source cannot be aggregates")),
        }
    }

    /// The paths that the rules are about.
    pub(super) fn paths(&self) -> &[Path] {
        &self.plan.paths
    }

    /// Moves the records that break a rule to the rejects of the batch. `columns` are those of the [paths](Schema::paths).
    /// For each of them, in their order, what is wrong.
    pub(super) fn apply(&self, bytes: &[u8], batch: &mut Batch, columns: &[usize]) -> Vec<&str> {
        let broken = self.broken(bytes, batch, columns);
        if broken.is_empty() {
            return Vec::new();
        }
        let (mut line, mut counted) = (0, 0);
        for &(row, _) in &broken {
            let span = batch.rows[row as usize];
            line += memchr::memchr_iter(b'\n', &bytes[counted..span.start as usize]).count() as u64;
            counted = span.start as usize;
            batch.rejects.push(Reject { line, span, reason: Reason::Schema, at: 0 });
        }
        batch.rejects.sort_by_key(|reject| reject.span.start);
        let mut stays = vec![true; batch.rows.len()];
        broken.iter().for_each(|&(row, _)| stays[row as usize] = false);
        let keep = |row: &mut usize| {
            *row += 1;
            stays[*row - 1]
        };
        let mut row = 0;
        batch.rows.retain(|_| keep(&mut row));
        for column in &mut batch.columns {
            let mut row = 0;
            column.retain(|_| keep(&mut row));
        }
        broken.iter().map(|&(_, rule)| self.rules[rule].says.as_str()).collect()
    }

    /// The records that break a rule, in their order, each with the first one.
    fn broken(&self, bytes: &[u8], batch: &Batch, columns: &[usize]) -> Vec<(u32, usize)> {
        let Body::Rows(Projection::Columns(items)) = &self.plan.body else { return Vec::new() };
        let arena = Bump::new();
        let cells = |&column: &usize| CellColumn { bytes, cells: &batch.columns[column] };
        let columns: Vec<CellColumn> = columns.iter().map(cells).collect();
        let records = Columns::Records { block: bytes, rows: &batch.rows, columns: &columns };
        let frame = Frame::new(&arena, records, Origin::default());
        let rows: Vec<u32> = (0..batch.rows.len() as u32).collect();
        let mut first = vec![usize::MAX; rows.len()];
        for (rule, Item { expr, .. }) in items.iter().enumerate() {
            let values = expr.eval(&frame, &rows);
            for (row, first) in first.iter_mut().enumerate() {
                if *first == usize::MAX && matches!(values.get(row), Value::Bool(true)) {
                    *first = rule;
                }
            }
        }
        rows.into_iter().zip(first).filter(|(_, rule)| *rule != usize::MAX).collect()
    }
}
