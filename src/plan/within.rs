//! What a query spares the queries within it: rows beyond its LIMIT, columns that it does not read, and the whole query, if
//! that does nothing but filter records.
//!
//! Of the latter two nothing must show. So it is fields alone that are left out, as these never meet a fault, and a field
//! that the record does not have stays a key that is not there.

use std::collections::BTreeSet;

use super::{Body, Fields, Item, Plan, Projection, Source};
use crate::expr::{Expr, Of};
use crate::scan::{self, Path};

impl Plan {
    /// Hands LIMIT on to the queries whose rows are the output's rows: what is not read cannot be told of.
    pub(crate) fn limit_queries(&mut self) {
        let passes_all = self.filter.is_none()
            && self.steps.is_empty()
            && self.order.is_empty()
            && matches!(self.body, Body::Rows(_));
        if let (true, Some(most), Source::Queries { queries, is_view: false, .. }) =
            (passes_all, self.last_row(), &mut self.source)
        {
            for query in queries {
                query.limit = Some(query.limit.map_or(most, |own| own.min(most)));
                query.limit_queries();
            }
        }
    }

    /// Takes the place of the query within, if that hands on records of its source as they stand.
    pub(super) fn merge_query(&mut self) {
        let has_filter = self.filter.is_some() || !self.steps.is_empty();
        let mut asks_for_places = false;
        self.visit_exprs(&mut |expr| asks_for_places |= expr.any(&|expr| matches!(expr, Expr::Virtual { .. })));
        let Source::Queries { queries, is_view: false, .. } = &mut self.source else { return };
        let [query] = queries.as_mut_slice() else { return };
        let hands_on = matches!(query.body, Body::Rows(Projection::Record))
            && query.steps.is_empty()
            && query.streams()
            && query.partition_by.is_empty();
        // Two filters are asked for other rows each, and tell so where they meet a wrong type.
        if !hands_on || asks_for_places || has_filter && query.filter.is_some() {
            return;
        }
        let Plan { source, filter, notes, .. } = std::mem::replace(query, Plan::of(Source::Input));
        self.source = source;
        self.filter = self.filter.take().or(filter);
        self.notes.extend(notes);
    }

    /// Has the queries within write those fields alone that are read of their rows, where that is known.
    pub(super) fn narrow_queries(&mut self) {
        if !matches!(self.source, Source::Queries { is_view: false, .. }) {
            return;
        }
        let Some(keys) = self.keys_read() else { return };
        let Source::Queries { queries, .. } = &mut self.source else { return };
        // Of several queries it is known only here which fields none of their rows has.
        let is_alone = queries.len() == 1;
        for query in queries {
            query.give_only(&keys, is_alone);
            self.asked_within = query.keys_asked();
        }
    }

    /// Has the plan give rows with these keys alone, as nobody reads others; `is_alone` says that no other plan gives rows to
    /// those who read them.
    pub(crate) fn give_only(&mut self, keys: &BTreeSet<String>, is_alone: bool) {
        if self.narrow(keys, is_alone) {
            self.narrow_queries();
            self.number();
        }
    }

    /// The keys that it looks for in the records only because they are read of its rows.
    pub(crate) fn keys_asked(&self) -> Vec<String> {
        match &self.body {
            Body::Rows(Projection::Fields(Fields { fields, .. })) => {
                fields.iter().map(|item| item.name.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The keys of the records of FROM that are read; `None` if it is not known which these are.
    pub(crate) fn keys_read(&mut self) -> Option<BTreeSet<String>> {
        let mut keys = (!self.writes_lines()).then(BTreeSet::new);
        self.visit_exprs(&mut |expr| {
            expr.visit_mut(&mut |expr| match expr {
                Expr::Field { of: Of::One(0) | Of::First(_), path, .. } => match (path.steps.first(), &mut keys) {
                    (Some(scan::Step::Key(key)), Some(keys)) => _ = keys.insert(key.clone()),
                    _ => keys = None,
                },
                // Where a row stands depends on how long those before it are.
                Expr::Virtual { .. } => keys = None,
                _ => {}
            });
        });
        keys
    }

    /// Leaves out what nobody reads who reads only these keys. Says whether something changed.
    fn narrow(&mut self, keys: &BTreeSet<String>, is_alone: bool) -> bool {
        if !self.partition_by.is_empty() {
            return false;
        }
        let is_read = |name: &String, item: &Item| keys.contains(name) || !matches!(item.expr, Expr::Field { .. });
        let all = self.records();
        match &mut self.body {
            Body::Rows(Projection::Columns(items)) => {
                let Some(names) = &mut self.names else { return false };
                // A name that is not there is told of beside those that are.
                if !keys.iter().all(|key| names.contains(key)) {
                    return false;
                }
                let before = items.len();
                let mut kept = std::mem::take(items).into_iter().zip(std::mem::take(names)).collect::<Vec<_>>();
                kept.retain(|(item, name)| is_read(name, item));
                (*items, *names) = kept.into_iter().unzip();
                items.len() < before
            }
            Body::Rows(Projection::Fields(fields)) => {
                let before = fields.fields.len() + fields.items.len();
                fields.fields.retain(|item| keys.contains(&item.name));
                fields.items.retain(|item| is_read(&item.name, item));
                fields.fields.len() + fields.items.len() < before
            }
            Body::Rows(Projection::Record | Projection::Extended(_)) if !is_alone => false,
            Body::Rows(Projection::Record) => {
                let fields = keys.iter().map(|key| field(Of::One(0), &[], key)).collect();
                self.body = Body::Rows(Projection::Fields(Fields { fields, items: Vec::new(), asked: Vec::new() }));
                true
            }
            Body::Rows(Projection::Extended(extension)) => {
                // A record that is no object becomes the key `value`.
                if extension.replacements > 0 || keys.contains("value") {
                    return false;
                }
                let (of, before) = match extension.records.as_slice() {
                    [None] => (Of::One(0), Vec::new()),
                    [Some(Expr::Field { of, path, .. })] => (*of, path.steps.clone()),
                    records if records.iter().map(number_of).eq(all.into_iter().map(Some)) => {
                        (Of::First(self.steps.len() + 1), Vec::new())
                    }
                    _ => return false,
                };
                if keys.iter().any(|key| extension.excluded.contains(key)) {
                    return false;
                }
                let has_item = |key: &&String| extension.items.iter().any(|item| item.name == **key);
                let fields = keys.iter().filter(|key| !has_item(key)).map(|key| field(of, &before, key)).collect();
                let mut items = std::mem::take(&mut extension.items);
                items.retain(|item| is_read(&item.name, item));
                let asked = std::mem::take(&mut extension.asked);
                self.body = Body::Rows(Projection::Fields(Fields { fields, items, asked }));
                true
            }
            Body::Groups(_) => false,
        }
    }
}

/// The number of the source that the records of an [`Extension`](super::Extension) are.
fn number_of(record: &Option<Expr>) -> Option<usize> {
    match record {
        None => Some(0),
        Some(Expr::Field { of: Of::One(number), path, .. }) if path.steps.is_empty() => Some(*number),
        Some(_) => None,
    }
}

/// A field at a key of what is at a path.
fn field(of: Of, before: &[scan::Step], key: &str) -> Item {
    let steps = before.iter().cloned().chain([scan::Step::Key(key.to_owned())]).collect();
    Item { name: key.to_owned(), expr: Expr::Field { of, path: Path { steps }, column: 0 } }
}
