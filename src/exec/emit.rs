//! The end of a run: groups and sorted rows are written.

use std::collections::HashSet;
use std::io::Write;

use bumpalo::Bump;

use super::Run;
use super::collect::Collector;
use super::worker::Part;
use crate::error::Result;
use crate::expr::{Columns, Frame, Origin};
use crate::group::{GroupTable, SortedGroups, merge};
use crate::output::{Column, RowFormat, Rows};
use crate::plan::{Body, Groups, Plan};
use crate::sort::{Sorter, encode_order};
use crate::value::key;

/// The groups that are evaluated together.
const GROUPS: usize = 2048;
/// The bytes of sorted rows that are handed on together.
const ROWS: usize = 1 << 18;

pub(super) fn emit<W: Write + Send>(run: &Run, collector: &Collector<'_, W>, parts: Vec<Part>) -> Result<()> {
    let (mut tables, mut sorters) = (Vec::new(), Vec::new());
    for part in parts {
        tables.extend(part.table);
        sorters.extend(part.sorter);
    }
    if let Body::Groups(groups) = &run.plan.body {
        emit_groups(run, collector, groups, tables)
    } else if !run.plan.order.is_empty() {
        emit_sorted(collector, sorters)
    } else {
        Ok(())
    }
}

fn emit_sorted<W: Write + Send>(collector: &Collector<'_, W>, sorters: Vec<Sorter>) -> Result<()> {
    let mut sorted = Sorter::finish(sorters);
    let mut rows = Rows::default();
    while let Some(row) = sorted.next_row() {
        rows.push(row);
        if rows.bytes.len() >= ROWS {
            if !collector.write(&rows)? {
                return Ok(());
            }
            rows.clear();
        }
    }
    collector.write(&rows).map(drop)
}

fn emit_groups<W: Write + Send>(
    run: &Run,
    collector: &Collector<'_, W>,
    groups: &Groups,
    mut tables: Vec<GroupTable>,
) -> Result<()> {
    if groups.grouping.keys.is_empty() {
        if tables.is_empty() {
            tables.push(GroupTable::new(&groups.grouping, &run.budget)?);
        }
        tables[0].ensure_single_group();
    }
    let merged = merge(&groups.grouping, tables, &run.budget, run.settings.threads)?;
    let mut sorted = SortedGroups::new(merged, &run.budget)?;
    let plan = &run.plan;
    let limit = plan.limit.map(|limit| limit.saturating_add(plan.offset));
    let mut sorter = (!plan.order.is_empty()).then(|| Sorter::new(limit, &run.budget));
    let mut writer = GroupWriter::new(plan, groups, run);
    let mut arena = Bump::new();
    let mut start = 0;
    while start < sorted.len() {
        let end = (start + GROUPS).min(sorted.len());
        arena.reset();
        let mut faults = Vec::new();
        let columns = sorted.columns(&groups.grouping, start..end, &arena, &mut |aggregate, fault, _| {
            faults.push((groups.grouping.aggregates[aggregate].result_site.id, fault));
        });
        let frame = Frame::new(&arena, Columns::Groups(&columns), Origin::default());
        let more = writer.write(&frame, end - start, start, sorter.as_mut(), collector)?;
        for (site, fault) in faults {
            collector.take_group_fault(site, fault, 1)?;
        }
        for tally in frame.take_faults() {
            collector.take_group_fault(tally.site, tally.fault, tally.count)?;
        }
        if !more {
            return Ok(());
        }
        start = end;
    }
    match sorter {
        Some(sorter) => emit_sorted(collector, vec![sorter]),
        None => Ok(()),
    }
}

/// Writes groups as rows, or gives them to a sorter.
struct GroupWriter<'p> {
    plan: &'p Plan,
    groups: &'p Groups,
    format: RowFormat,
    rows: Rows,
    selected: Vec<u32>,
    /// The rows written so far, encoded, if equal ones are to be written once.
    seen: HashSet<Vec<u8>>,
    seen_size: usize,
    reservation: crate::memory::Reservation,
}

impl<'p> GroupWriter<'p> {
    fn new(plan: &'p Plan, groups: &'p Groups, run: &Run) -> GroupWriter<'p> {
        GroupWriter {
            plan,
            groups,
            format: RowFormat::new(run.settings.format, plan.names.as_deref().unwrap_or_default()),
            rows: Rows::default(),
            selected: Vec::new(),
            seen: HashSet::new(),
            seen_size: 0,
            reservation: run.budget.reservation("distinct rows"),
        }
    }

    /// Writes the `count` groups of a frame, of which the first has the number `first`. Says whether more are wanted.
    fn write<'a, W: Write + Send>(
        &mut self,
        frame: &Frame<'a>,
        count: usize,
        first: usize,
        sorter: Option<&mut Sorter>,
        collector: &Collector<'_, W>,
    ) -> Result<bool>
    where
        'p: 'a,
    {
        let all: Vec<u32> = (0..count as u32).collect();
        match &self.groups.having {
            Some(having) => having.select(frame, &all, &mut self.selected),
            None => self.selected.clone_from(&all),
        }
        if self.groups.distinct {
            self.drop_seen(frame)?;
        }
        let rows = &self.selected;
        let columns: Vec<Column<'a>> =
            self.groups.items.iter().map(|item| Column::Values(item.expr.eval(frame, rows))).collect();
        self.rows.clear();
        match (&self.plan.names, columns.first()) {
            // `select distinct *`: the record is the row.
            (None, Some(record)) => {
                for (place, &row) in rows.iter().enumerate() {
                    record.json(place, row, &mut self.rows.bytes);
                    self.rows.bytes.push(b'\n');
                    self.rows.end_row();
                }
            }
            _ => self.format.write(&columns, rows, frame, &mut self.rows),
        }
        let Some(sorter) = sorter else { return collector.write(&self.rows) };
        let keys: Vec<_> = self.plan.order.iter().map(|key| key.expr.eval(frame, rows)).collect();
        let mut sort_key = Vec::new();
        for (i, &row) in rows.iter().enumerate() {
            sort_key.clear();
            encode_order(&self.plan.order, &keys, i, &mut sort_key);
            sort_key.extend_from_slice(&(first as u64 + u64::from(row)).to_be_bytes());
            sorter.push(&sort_key, self.rows.row(i))?;
        }
        Ok(true)
    }

    fn drop_seen<'a>(&mut self, frame: &Frame<'a>) -> Result<()>
    where
        'p: 'a,
    {
        let items: Vec<_> = self.groups.items.iter().map(|item| item.expr.eval(frame, &self.selected)).collect();
        let mut place = 0;
        self.selected.retain(|_| {
            let mut encoded = Vec::new();
            items.iter().for_each(|item| key::encode(item.get(place), &mut encoded));
            place += 1;
            let size = encoded.len() + size_of::<Vec<u8>>() * 2;
            let new = self.seen.insert(encoded);
            self.seen_size += if new { size } else { 0 };
            new
        });
        self.reservation.resize(self.seen_size)
    }
}
