//! The end of a run: groups and sorted rows are written.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Mutex;

use bumpalo::Bump;

use super::allotment;
use super::collect::Collector;
use super::distinct::DistinctRows;
use super::turns::Turns;
use super::worker::Part;
use super::{Run, spawn_workers};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Columns, Expr, FaultTally, Frame, OrderKey, Origin, Vector, encode_order};
use crate::group::{Finisher, GroupTable, SortedGroups, SpilledGroups, merge, room_to_finish};
use crate::memory::Reservation;
use crate::output::{Column, RowFormat, Rows};
use crate::plan::{Body, Groups, Plan};
use crate::sort::Sorter;
use crate::value::key;

/// The bytes of sorted rows that are handed on together.
const ROWS: usize = 1 << 18;
/// The fewest bytes with which groups are read back.
const LEAST: usize = 8 << 20;
/// The bytes that are kept free for what is evaluated and written.
const SPARE: usize = 4 << 20;

pub(super) fn emit<W: Write + Send>(run: &Run, collector: &Collector<'_, W>, parts: Vec<Part>) -> Result<()> {
    // What the workers freed is not all to be had again.
    let mut kept = run.shared.budget.reservation("memory that was freed");
    // Where the tables take nearly all, they are about to be written to disk.
    let _is_kept = kept.try_resize(allotment::kept(run.settings.memory_limit));
    let (mut tables, mut sorters) = (Vec::new(), Vec::new());
    for part in parts {
        tables.extend(part.table);
        sorters.extend(part.sorter);
    }
    if let Body::Groups(groups) = &run.plan.body {
        emit_groups(run, collector, groups, tables, kept)
    } else if !sorters.is_empty() {
        emit_sorted(run, collector, sorters)
    } else {
        Ok(())
    }
}

fn emit_sorted<W: Write + Send>(run: &Run, collector: &Collector<'_, W>, sorters: Vec<Sorter>) -> Result<()> {
    let mut sorted = Sorter::finish(sorters, &run.shared.budget)?;
    if run.settings.threads > 1 {
        sorted = sorted.read_ahead(&run.shared.budget);
    }
    let mut rows = Rows::default();
    while sorted.advance()? {
        rows.push(sorted.row());
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
    kept: Reservation,
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
        return emit_spilled(run, collector, groups, tables, kept);
    }
    let mut sorted = SortedGroups::new(merge(tables, &run.shared.budget)?, &run.shared.budget, threads)?;
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
    if sorters.is_empty() { Ok(()) } else { emit_sorted(run, collector, sorters) }
}

/// Writes groups that are on disk.
fn emit_spilled<W: Write + Send>(
    run: &Run,
    collector: &Collector<'_, W>,
    groups: &Groups,
    tables: Vec<GroupTable>,
    mut kept: Reservation,
) -> Result<()> {
    let plan = &run.plan;
    let (budget, space) = (&run.shared.budget, &run.shared.space);
    let (mut runs, mut freed) = (Vec::new(), 0);
    for mut table in tables {
        table.spill(&groups.grouping)?;
        freed += table.freed();
        runs.extend(table.into_runs());
    }
    let (freed, left) = (freed.max(allotment::kept(run.settings.memory_limit)), budget.left() + kept.bytes());
    let _is_kept = kept.try_resize(freed.min(left.saturating_sub(LEAST)));
    let mut spilled = SpilledGroups::new(&groups.grouping, runs, budget, space, run.settings.threads)?;
    let limit = plan.last_row();
    let rows_budget = budget.part(budget.left().saturating_sub(SPARE));
    let mut sorter = (!plan.order.is_empty()).then(|| Sorter::new(limit, &rows_budget, space));
    let mut writer = GroupWriter::new(plan, groups, run);
    let (mut arena, mut rows, mut faults) = (Bump::new(), Rows::default(), Vec::new());
    let mut next = 0;
    loop {
        if arena.allocated_bytes() > SPARE / 2 {
            // A reset keeps the largest piece, which one long value may have made very large.
            arena = Bump::new();
        }
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
    match writer.finish(run, sorter)? {
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
    let limit = plan.last_row();
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
    writer.finish(run, sorter)
}

/// Appends the key that a row is sorted by, unless it is not admitted. `end` makes it unique. Says whether it was appended.
#[inline]
pub(super) fn push_order_key(
    order: &[OrderKey],
    keys: &[Vector<'_>],
    place: usize,
    admits: impl Fn(&[u8]) -> bool,
    end: impl FnOnce(&mut Vec<u8>),
    out: &mut Rows,
) -> bool {
    let start = out.bytes.len();
    let (first, others) = order.split_at(order.len().min(1));
    encode_order(first, keys, place, &mut out.bytes);
    // Most rows are known by the first key not to be admitted.
    let mut is_admitted = admits(&out.bytes[start..]);
    if is_admitted {
        encode_order(others, &keys[first.len()..], place, &mut out.bytes);
        end(&mut out.bytes);
        is_admitted = admits(&out.bytes[start..]);
    }
    if is_admitted {
        out.end_row();
    } else {
        out.bytes.truncate(start);
    }
    is_admitted
}

/// Writes groups as rows, or gives them to a sorter.
struct GroupWriter<'p> {
    plan: &'p Plan,
    groups: &'p Groups,
    format: RowFormat,
    selected: Vec<u32>,
    order_keys: Rows,
    /// Whether rows that cannot be among the first need not be formatted: that finds no faults, which are counted for all
    /// rows, but those that are found when the rows are put in order.
    skips: bool,
    /// If equal rows are to be written once.
    distinct: Option<DistinctRows>,
}

impl<'p> GroupWriter<'p> {
    fn new(plan: &'p Plan, groups: &'p Groups, run: &Run) -> GroupWriter<'p> {
        let is_ordered_by = |expr: &Expr| plan.order.iter().any(|key| key.expr == *expr);
        GroupWriter {
            plan,
            groups,
            format: RowFormat::new(run.settings.format, plan.names.as_deref().unwrap_or_default()),
            selected: Vec::new(),
            order_keys: Rows::default(),
            skips: groups.items.iter().all(|item| item.expr.is_faultless() || is_ordered_by(&item.expr)),
            distinct: groups.distinct.then(|| DistinctRows::new(&run.shared.budget, &run.shared.space)),
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
        if self.distinct.is_some() {
            self.drop_seen(frame, first)?;
        }
        let Some(sorter) = sorter else {
            self.format_rows(frame, out);
            return Ok(());
        };
        let skips = self.skips;
        self.make_order_keys(frame, first, |key| !skips || sorter.admits(key));
        self.format_rows(frame, out);
        for row in 0..self.selected.len() {
            sorter.push(self.order_keys.row(row), out.row(row))?;
        }
        out.clear();
        Ok(())
    }

    /// Formats the selected rows.
    fn format_rows<'a>(&self, frame: &Frame<'a>, out: &mut Rows)
    where
        'p: 'a,
    {
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
    }

    /// Makes for each selected row the key that it is sorted by, which ends with its place. Those whose key is not admitted
    /// are not selected any longer.
    fn make_order_keys<'a>(&mut self, frame: &Frame<'a>, first: u64, admits: impl Fn(&[u8]) -> bool)
    where
        'p: 'a,
    {
        let keys: Vec<_> = self.plan.order.iter().map(|key| key.expr.eval(frame, &self.selected)).collect();
        self.order_keys.clear();
        let (out, mut place) = (&mut self.order_keys, 0);
        self.selected.retain(|&row| {
            let end = |bytes: &mut Vec<u8>| bytes.extend_from_slice(&(first + u64::from(row)).to_be_bytes());
            let is_admitted = push_order_key(&self.plan.order, &keys, place, &admits, end, out);
            place += 1;
            is_admitted
        });
    }

    /// Leaves those of the selected rows that are new. Those of which that is not known yet are kept.
    fn drop_seen<'a>(&mut self, frame: &Frame<'a>, first: u64) -> Result<()>
    where
        'p: 'a,
    {
        let Some(mut distinct) = self.distinct.take() else { return Ok(()) };
        let items: Vec<_> = self.groups.items.iter().map(|item| item.expr.eval(frame, &self.selected)).collect();
        let (mut new, mut late, mut late_encoded) = (Vec::new(), Vec::new(), Vec::new());
        for (place, &row) in self.selected.iter().enumerate() {
            let mut encoded = Vec::new();
            items.iter().for_each(|item| key::encode(item.get(place), &mut encoded));
            match distinct.is_new(&encoded) {
                Some(true) => new.push(row),
                Some(false) => {}
                None => {
                    late.push(row);
                    late_encoded.push(encoded);
                }
            }
        }
        self.selected = late;
        if !self.selected.is_empty() {
            let mut rows = Rows::default();
            self.format_rows(frame, &mut rows);
            self.make_order_keys(frame, first, |_| true);
            for (row, encoded) in late_encoded.iter().enumerate() {
                distinct.push_late(encoded, self.order_keys.row(row), rows.row(row))?;
            }
        }
        self.selected = new;
        self.distinct = Some(distinct);
        Ok(())
    }

    /// Gives the rows that were kept for later to the sorter of all rows. Without one, those that have been written come
    /// before them, and they come in a sorter of their own.
    fn finish(&mut self, run: &Run, sorter: Option<Sorter>) -> Result<Option<Sorter>> {
        let Some(distinct) = &mut self.distinct else { return Ok(sorter) };
        let budget = &run.shared.budget;
        let own = || Sorter::new(None, &budget.part(budget.left() / 2), &run.shared.space);
        let mut sorter = sorter.unwrap_or_else(own);
        distinct.take_late(&mut sorter)?;
        Ok(Some(sorter))
    }
}
