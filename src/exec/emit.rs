//! The end of a run: groups and sorted rows are written.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Write;
use std::sync::Mutex;

use bumpalo::Bump;

use super::collect::Collector;
use super::turns::Turns;
use super::worker::Part;
use super::{Run, spawn_workers};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Columns, FaultTally, Frame, Origin, encode_order};
use crate::group::{Finisher, GroupTable, SortedGroups, SpilledGroups, merge, room_to_finish};
use crate::output::{Column, RowFormat, Rows};
use crate::plan::{Body, Groups, Plan};
use crate::sort::Sorter;
use crate::value::key;

/// The bytes of sorted rows that are handed on together.
const ROWS: usize = 1 << 18;
/// The bytes that are kept free for what is evaluated and written.
const SPARE: usize = 4 << 20;

pub(super) fn emit<W: Write + Send>(run: &Run, collector: &Collector<'_, W>, parts: Vec<Part>) -> Result<()> {
    let (mut tables, mut sorters) = (Vec::new(), Vec::new());
    for part in parts {
        tables.extend(part.table);
        sorters.extend(part.sorter);
    }
    if let Body::Groups(groups) = &run.plan.body {
        emit_groups(run, collector, groups, tables)
    } else if !run.plan.order.is_empty() {
        emit_sorted(run, collector, sorters)
    } else {
        Ok(())
    }
}

fn emit_sorted<W: Write + Send>(run: &Run, collector: &Collector<'_, W>, sorters: Vec<Sorter>) -> Result<()> {
    let mut sorted = Sorter::finish(sorters, &run.shared.budget)?;
    let mut rows = Rows::default();
    while let Some(row) = sorted.next_row()? {
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
            tables.push(GroupTable::new(&groups.grouping, &run.shared.budget, &run.shared.space)?);
        }
        tables[0].ensure_single_group();
    }
    let threads = run.settings.threads;
    if tables.iter().any(GroupTable::has_spilled)
        || room_to_finish(&tables, threads) > run.shared.budget.left().saturating_sub(SPARE)
    {
        return emit_spilled(run, collector, groups, tables);
    }
    let mut sorted = SortedGroups::new(merge(tables)?, &run.shared.budget, threads)?;
    // Rows are compared with those before them for `distinct`, so one thread evaluates all.
    let threads = if groups.distinct { 1 } else { threads.min(sorted.ranges()) };
    let finishers = Mutex::new(sorted.finishers(&groups.grouping, &run.shared.budget, threads)?);
    let turns = Turns::new(sorted.ranges());
    let work = || {
        let finisher = finishers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        match finisher {
            Some(finisher) => emit_ranges(run, collector, groups, &sorted, finisher, &turns),
            None => Ok(None),
        }
    };
    let results: Vec<Result<Option<Sorter>>> = std::thread::scope(|scope| {
        let others = spawn_workers(scope, threads, work);
        let mine = work();
        let panicked = |_| Err(Error::new(ErrorKind::Internal, "a writing thread panicked"));
        std::iter::once(mine).chain(others.into_iter().map(|other| other.join().unwrap_or_else(panicked))).collect()
    });
    let sorters: Vec<Sorter> = results.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    if run.plan.order.is_empty() { Ok(()) } else { emit_sorted(run, collector, sorters) }
}

/// Writes groups that are on disk.
fn emit_spilled<W: Write + Send>(
    run: &Run,
    collector: &Collector<'_, W>,
    groups: &Groups,
    tables: Vec<GroupTable>,
) -> Result<()> {
    let plan = &run.plan;
    let (budget, space) = (&run.shared.budget, &run.shared.space);
    let mut runs = Vec::new();
    for mut table in tables {
        table.spill(&groups.grouping)?;
        runs.extend(table.into_runs());
    }
    let mut spilled = SpilledGroups::new(&groups.grouping, runs, budget, space)?;
    let limit = plan.limit.map(|limit| limit.saturating_add(plan.offset));
    let rows_budget = budget.part(budget.left().saturating_sub(SPARE));
    let mut sorter = (!plan.order.is_empty()).then(|| Sorter::new(limit, &rows_budget, space));
    let mut writer = GroupWriter::new(plan, groups, run);
    let (mut arena, mut rows, mut faults) = (Bump::new(), Rows::default(), Vec::new());
    let mut next = 0;
    loop {
        arena.reset();
        let columns = spilled.next(&arena, &mut |aggregate, fault| {
            let site = groups.grouping.aggregates[aggregate].result_site.id;
            faults.push(FaultTally { site, fault, met: None, count: 1, row: 0 });
        })?;
        let Some((columns, count)) = columns else { break };
        let frame = Frame::new(&arena, Columns::Groups(&columns), Origin::default());
        writer.write(&frame, count, next, sorter.as_mut(), &mut rows)?;
        next += count as u64;
        faults.extend(frame.take_faults());
        let more = sorter.is_some() || collector.write(&rows)?;
        rows.clear();
        for tally in faults.drain(..) {
            collector.take_unplaced_fault(tally, true)?;
        }
        if !more {
            return Ok(());
        }
    }
    drop(spilled);
    match sorter {
        Some(sorter) => emit_sorted(run, collector, vec![sorter]),
        None => Ok(()),
    }
}

/// Evaluates and writes ranges of groups, in turns with other threads; or gives their rows to a sorter.
fn emit_ranges<W: Write + Send>(
    run: &Run,
    collector: &Collector<'_, W>,
    groups: &Groups,
    sorted: &SortedGroups,
    mut finisher: Finisher,
    turns: &Turns,
) -> Result<Option<Sorter>> {
    let plan = &run.plan;
    let limit = plan.limit.map(|limit| limit.saturating_add(plan.offset));
    let mut sorter = (!plan.order.is_empty()).then(|| Sorter::new(limit, &run.shared.budget, &run.shared.space));
    let mut writer = GroupWriter::new(plan, groups, run);
    let mut arena = Bump::new();
    let spare = RefCell::new(Rows::default());
    let make = |range: usize| {
        let (mut rows, mut faults) = (spare.take(), Vec::new());
        rows.clear();
        // Rows that a sorter finds equal stand in the order of these numbers.
        let mut next = (range as u64) << 32;
        sorted.for_each(range, |chunk| {
            arena.reset();
            let columns =
                sorted.columns(&groups.grouping, &chunk, &mut finisher, &arena, &mut |aggregate, fault| {
                    let site = groups.grouping.aggregates[aggregate].result_site.id;
                    faults.push(FaultTally { site, fault, met: None, count: 1, row: 0 });
                })?;
            let frame = Frame::new(&arena, Columns::Groups(&columns), Origin::default());
            writer.write(&frame, chunk.len(), next, sorter.as_mut(), &mut rows)?;
            next += chunk.len() as u64;
            let tallies = frame.take_faults().into_iter();
            faults.extend(tallies);
            Ok(())
        })?;
        Ok((rows, faults))
    };
    let hand_on = |(rows, faults): (Rows, Vec<_>)| {
        let more = !plan.order.is_empty() || collector.write(&rows)?;
        spare.replace(rows);
        for tally in faults {
            collector.take_unplaced_fault(tally, true)?;
        }
        Ok(more)
    };
    turns.work(make, hand_on)?;
    Ok(sorter)
}

/// Writes groups as rows, or gives them to a sorter.
struct GroupWriter<'p> {
    plan: &'p Plan,
    groups: &'p Groups,
    format: RowFormat,
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
            selected: Vec::new(),
            seen: HashSet::new(),
            seen_size: 0,
            reservation: run.shared.budget.reservation("distinct rows"),
        }
    }

    /// Appends rows of the `count` groups of a frame, or gives them to the sorter if there is one, to which the first
    /// group has the number `first`.
    fn write<'a>(
        &mut self,
        frame: &Frame<'a>,
        count: usize,
        first: u64,
        sorter: Option<&mut Sorter>,
        out: &mut Rows,
    ) -> Result<()>
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
        match (&self.plan.names, columns.first()) {
            // `select distinct *`: the record is the row.
            (None, Some(record)) => {
                for (place, &row) in rows.iter().enumerate() {
                    record.json(place, row, &mut out.bytes);
                    out.bytes.push(b'\n');
                    out.end_row();
                }
            }
            _ => self.format.write(&columns, rows, frame, out),
        }
        let Some(sorter) = sorter else { return Ok(()) };
        let keys: Vec<_> = self.plan.order.iter().map(|key| key.expr.eval(frame, rows)).collect();
        let mut sort_key = Vec::new();
        for (i, &row) in rows.iter().enumerate() {
            sort_key.clear();
            encode_order(&self.plan.order, &keys, i, &mut sort_key);
            sort_key.extend_from_slice(&(first + u64::from(row)).to_be_bytes());
            sorter.push(&sort_key, out.row(i))?;
        }
        out.clear();
        Ok(())
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
