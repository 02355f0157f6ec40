//! A worker: blocks in, reports out, with its own groups or sorter.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::time::Instant;

use bumpalo::Bump;

use super::collect::{Collector, FoundFault, Head, Made, MetFault, Rejected, Report, RowEnd};
use super::common::Common;
use super::cut::Deposit;
use super::drift::Watch;
use super::emit::push_order_key;
use super::expand::{Expanded, Expander, Taker};
use super::late::{Chunk, ImageWriter, Late};
use super::portion::{self, Portion};
use super::probe::Probe;
use super::shared_scan::{Scanned, SharedScan};
use super::side::Side;
use super::{Run, allotment};
use crate::error::Result;
use crate::expr::{CellColumn, Columns, CommonValues, Expr, FaultTally, Frame, Origin};
use crate::group::GroupTable;
use crate::input::Block;
use crate::memory::Budget;
use crate::output::{Column, Extender, RowFormat, Rows, partition_path, push_in_partition};
use crate::plan::{Body, Fields, Item, Plan, Projection};
use crate::scan::{Batch, Cell, Kind, Mark, Original, Reason, Span};
use crate::sort::Sorter;
use crate::value::{Value, json, text};

/// The start of a rejected line that is kept for the summary, and for the rejects file.
const SAMPLE: usize = 200;
const MAX_RAW: usize = 1 << 20;
/// The bytes of rows that are handed on to other runs before more of a block are made.
const HANDED_ON: usize = 512 << 10;
/// Rejected lines of one block that are kept for the summary.
const SAMPLES: usize = 5;

/// What a worker has at the end.
pub(super) struct Part {
    pub(super) table: Option<GroupTable>,
    pub(super) sorter: Option<Sorter>,
    /// For each path that is extracted, the records that have it; for those of the plan only whether any has it.
    pub(super) found: Vec<u64>,
}

impl Part {
    /// What was kept of a run: groups, or sorted rows, and for each path of its plan the records that had it.
    pub(super) fn of_kept(
        run: &Run,
        groups: Vec<crate::spill::Run>,
        rows: Vec<crate::spill::Run>,
        mut found: Vec<u64>,
    ) -> Result<Part> {
        let (budget, space) = (&run.shared.budget, &run.shared.space);
        found.resize(run.plan.paths.len(), 0);
        let mut part = Part { table: None, sorter: None, found };
        if let (Body::Groups(of), false) = (&run.plan.body, groups.is_empty()) {
            let mut table = GroupTable::new(&of.grouping, budget, space)?;
            table.add_runs(groups);
            part.table = Some(table);
        }
        if !rows.is_empty() {
            let limit = run.plan.last_row();
            let mut sorter = Sorter::new(limit, budget, space);
            sorter.add_runs(rows);
            part.sorter = Some(sorter);
        }
        Ok(part)
    }
}

pub(super) struct Worker<'r, 'c, W: Write> {
    run: &'r Run,
    /// The number of the run among those that go on at the same time.
    seat: usize,
    collector: &'c Collector<'r, W>,
    /// What comes out of the block that is worked on.
    report: Report,
    /// The runs that take the rows of this one as they are made.
    followers: Option<Box<SharedScan<'r, 'c, W>>>,
    /// What lasts for a block.
    arena: Bump,
    /// The values that expressions make of a portion of rows.
    values: Bump,
    portion: Portion,
    /// What is evaluated once of rows that have gone through steps. What of records is, is known when they come.
    common: Option<Common>,
    selected: Vec<u32>,
    format: RowFormat,
    part: Part,
    watch: Watch,
    sort_keys: Rows,
    selected_to_sort: Vec<u32>,
    sort_rows: Rows,
    /// If sides of joins are on disk.
    late: Option<Late>,
    /// Whether rows have to be brought back into their order in the end.
    brings_back: bool,
    /// The bytes that groups and sorted rows hold from the start, if rows come once runs are merged.
    room: usize,
    /// Rows that are brought back into their order before groups are made of them.
    ordered: Option<(Sorter, ImageWriter)>,
}

/// Rows that have gone through all steps.
struct Piece<'p, 'b> {
    block: &'p [u8],
    /// The line of each row.
    lines: &'p [Span],
    columns: &'p [CellColumn<'p>],
    origin: Origin<'p>,
    /// The rows with all that is beside them, if there are steps.
    expanded: Option<&'p Expanded<'b>>,
    common: Option<CommonValues<'p>>,
}

impl Piece<'_, '_> {
    /// The number of a row's record.
    fn record(&self, row: u32) -> u32 {
        self.expanded.map_or(row, |expanded| expanded.records[row as usize])
    }
}

impl<'r, 'c, W: Write + Send> Worker<'r, 'c, W> {
    pub(super) fn new(
        run: &'r Run,
        seat: usize,
        collector: &'c Collector<'r, W>,
        probe: &Probe,
        sides: &[Option<Side>],
        state: &Budget,
    ) -> Result<Worker<'r, 'c, W>> {
        let settings = &run.settings;
        let space = &run.shared.space;
        // The rows that wait have one half, what is made of rows the other.
        let half = || state.part(state.limit() / 2);
        let late = Late::new(&run.plan, sides, &half(), space);
        let state = &if late.is_some() { half() } else { state.clone() };
        let room = if late.is_some() { allotment::room(state.limit()) } else { 0 };
        let table = match &run.plan.body {
            Body::Groups(groups) => Some(GroupTable::new(&groups.grouping, state, space)?.with_room(room)),
            Body::Rows(_) => None,
        };
        let brings_back = late.as_ref().is_some_and(Late::keeps_order);
        let sorted = table.is_none() && (brings_back || !run.plan.order.is_empty());
        let limit = run.plan.last_row();
        let ordered = table.is_some() && brings_back;
        Ok(Worker {
            run,
            seat,
            collector,
            report: Report::default(),
            followers: None,
            arena: Bump::new(),
            values: Bump::new(),
            portion: Portion::new(allotment::values(settings.memory_limit)),
            common: Common::within(&run.plan),
            selected: Vec::new(),
            format: RowFormat::new(settings.format, run.plan.names.as_deref().unwrap_or_default()),
            part: Part {
                table,
                sorter: sorted.then(|| Sorter::new(limit, state, space).with_room(room)),
                found: vec![0; probe.paths.len()],
            },
            watch: Watch::new(&run.plan),
            sort_keys: Rows::default(),
            selected_to_sort: Vec::new(),
            sort_rows: Rows::default(),
            late,
            brings_back,
            room,
            ordered: ordered.then(|| (Sorter::new(None, state, space).with_room(room), ImageWriter::new(&run.plan))),
        })
    }

    /// The number of the run among those that go on at the same time.
    pub(super) fn seat(&self) -> usize {
        self.seat
    }

    /// What it makes of records.
    pub(super) fn plan(&self) -> &'r Plan {
        &self.run.plan
    }

    /// The memory limit of the process.
    pub(super) fn memory_limit(&self) -> usize {
        self.run.settings.memory_limit
    }

    /// Hands the rows on to other runs as they are made.
    pub(super) fn lead(&mut self, followers: SharedScan<'r, 'c, W>) {
        self.followers = Some(Box::new(followers));
    }

    pub(super) fn take_followers(&mut self) -> Option<SharedScan<'r, 'c, W>> {
        self.followers.take().map(|followers| *followers)
    }

    /// What takes rejected lines, and how long a line may be.
    pub(super) fn accounts(&self) -> (&'c Collector<'r, W>, usize) {
        (self.collector, self.run.settings.max_line)
    }

    /// What comes out of the block that is worked on.
    pub(super) fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    /// Writes what is in memory to disk, and gives all runs away. Not to be called if rows wait for sides of joins.
    pub(super) fn give_runs(&mut self, out: &mut Vec<Deposit>) -> Result<()> {
        let found = self.part.found[..self.run.plan.paths.len()].to_vec();
        let mut deposit = Deposit { seat: self.seat, groups: Vec::new(), rows: Vec::new(), found };
        if let (Body::Groups(groups), Some(table)) = (&self.run.plan.body, &mut self.part.table) {
            table.spill(&groups.grouping)?;
            deposit.groups = table.take_runs();
        }
        if let Some(sorter) = &mut self.part.sorter {
            sorter.spill()?;
            deposit.rows = sorter.take_runs();
        }
        out.push(deposit);
        match &mut self.followers {
            Some(followers) => followers.give_runs(out),
            None => Ok(()),
        }
    }

    /// Says that no more blocks come.
    pub(super) fn close_input(&mut self) -> Result<()> {
        if let Some(followers) = &mut self.followers {
            followers.close()?;
        }
        match &mut self.late {
            Some(late) => late.close(),
            None => self.close(),
        }
    }

    /// Does what can be done before the others have taken all of their rows, too.
    pub(super) fn close(&mut self) -> Result<()> {
        if let Some(sorter) = &mut self.part.sorter {
            sorter.close()?;
        }
        if let (Body::Groups(groups), Some(table)) = (&self.run.plan.body, &mut self.part.table) {
            table.close(&groups.grouping)?;
        }
        Ok(())
    }

    pub(super) fn into_part(self) -> Part {
        self.part
    }

    /// The rows that wait for sides on disk.
    pub(super) fn late(&mut self) -> Option<&mut Late> {
        self.late.as_mut()
    }

    /// The rows that are to be brought back into their order. In memory they leave most of it to the groups that are made of
    /// them.
    ///
    /// # Errors
    /// Any error of writing them to disk.
    pub(super) fn take_ordered(&mut self) -> Result<Option<Sorter>> {
        let Some((mut sorter, _)) = self.ordered.take() else { return Ok(None) };
        sorter.spill_above(self.room)?;
        Ok(Some(sorter))
    }

    /// Begins with a block.
    pub(super) fn begin(&mut self, head: Head) {
        self.report = Report::new(head, self.collector.recycled_rows());
        if let Some(followers) = &mut self.followers {
            followers.begin(head);
        }
    }

    /// Takes the records of the block, or some of them. `sides` are those of each run.
    pub(super) fn take(&mut self, scanned: &Scanned<'_>, sides: &[Vec<Option<Side>>]) -> Result<()> {
        self.count_found(scanned);
        let kinds = self.watch.look(scanned);
        self.report.kinds.add(kinds);
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let plan = &self.run.plan;
        let &Scanned { bytes, origin, rows: lines, .. } = scanned;
        let mut made = std::mem::take(&mut self.report.made);
        made.records_before = self.report.records;
        if plan.steps.is_empty() {
            let columns: Vec<CellColumn> = scanned.columns.iter().map(|&cells| CellColumn { bytes, cells }).collect();
            let piece =
                Piece { block: bytes, lines, columns: &columns, origin, expanded: None, common: scanned.common };
            self.take_rows(&piece, &mut made, sides)?;
        } else {
            let rows = Expanded::of_records(plan, scanned, &arena);
            let start_of = |record: u32| lines[record as usize].start;
            self.expand(sides, &mut made, |expander, take| expander.start(&rows, take), start_of)?;
        }
        self.hand_on(&mut made, origin, scanned.raw(), sides)?;
        for MetFault { tally, start } in made.faults.drain(..) {
            let FaultTally { site, fault, met, count, .. } = tally;
            let (line, offset) = scanned.place(start);
            self.report.faults.push(FoundFault { site, fault, met, count, line, offset });
        }
        made.end_of_records();
        self.report.made = made;
        self.report.records += scanned.rows.len() as u64;
        self.arena = arena;
        Ok(())
    }

    /// Delivers what was made of the block.
    pub(super) fn end(&mut self, start: Instant) -> Result<()> {
        if let Some(followers) = &mut self.followers {
            followers.end(start)?;
        }
        let mut report = std::mem::take(&mut self.report);
        report.time = start.elapsed();
        self.collector.deliver(report)
    }

    /// Hands the rows that were made so far on to other runs, if there are any.
    fn hand_on(&mut self, made: &mut Made, origin: Origin<'_>, raw: &[u8], sides: &[Vec<Option<Side>>]) -> Result<()> {
        let Some(followers) = &mut self.followers else { return Ok(()) };
        if made.rows.is_empty() {
            return Ok(());
        }
        let start_of = |row: usize| row.checked_sub(1).map_or(0, |before| made.rows.ends[before]) as u32;
        let marks: Vec<Mark> =
            made.sources.iter().map(|source| Mark { line: start_of(source.row), span: source.span }).collect();
        let origin = Origin { original: Some(Original { bytes: raw, marks: &marks }), ..origin };
        followers.take(&made.rows.bytes, origin, sides)?;
        made.handed_on += made.rows.len() as u64;
        made.rows.clear();
        made.sources.clear();
        Ok(())
    }

    /// Takes rows that waited for a step on from there.
    pub(super) fn work_late(&mut self, chunk: &Chunk, step: usize, sides: &[Vec<Option<Side>>]) -> Result<()> {
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let rows = Expanded::of_chunk(chunk, self.collector.input, &arena);
        let mut made = Made::default();
        let start_of = |record: u32| chunk.places[record as usize].0;
        self.expand(sides, &mut made, |expander, take| expander.advance(&rows, step, take), start_of)?;
        drop(rows);
        self.arena = arena;
        self.collector.take_late(&made, |start| chunk.parked(self.collector.input.names()).place(start));
        Ok(())
    }

    /// Makes groups of rows that have gone through all steps, and through WHERE.
    pub(super) fn group(&mut self, chunk: &Chunk) -> Result<()> {
        let (Body::Groups(groups), Some(table)) = (&self.run.plan.body, &mut self.part.table) else { return Ok(()) };
        let mut arena = std::mem::take(&mut self.arena);
        arena.reset();
        let rows = Expanded::of_chunk(chunk, self.collector.input, &arena);
        let columns = rows.columns();
        let frame = rows.frame(&arena, &columns);
        let all: Vec<u32> = (0..rows.rows.len() as u32).collect();
        table.update(&groups.grouping, &frame, &all)?;
        let faults = frame.take_faults().into_iter();
        let mut made = Made::default();
        made.faults.extend(faults.map(|tally| MetFault { start: rows.rows[tally.row as usize].start, tally }));
        drop(frame);
        drop(columns);
        drop(rows);
        self.arena = arena;
        self.collector.take_late(&made, |start| chunk.parked(self.collector.input.names()).place(start));
        Ok(())
    }

    /// Takes rows through steps, and then in. `start_of` gives where the record of a number begins.
    fn expand(
        &mut self,
        sides: &[Vec<Option<Side>>],
        made: &mut Made,
        go: impl FnOnce(&mut Expander<'_>, &mut Taker<'_>) -> Result<()>,
        start_of: impl Fn(u32) -> u32,
    ) -> Result<()> {
        let mut late = self.late.take();
        let mut expander = Expander::new(&self.run.plan, &sides[self.seat], late.as_mut());
        let result = go(&mut expander, &mut |rows| {
            let columns = rows.columns();
            let Expanded { block, origin, .. } = *rows;
            let piece =
                Piece { block, lines: &rows.rows, columns: &columns, origin, expanded: Some(rows), common: None };
            self.take_rows(&piece, made, sides)
        });
        let faults = std::mem::take(&mut expander.faults);
        made.faults.extend(faults.into_iter().map(|tally| MetFault { start: start_of(tally.row), tally }));
        drop(expander);
        self.late = late;
        result
    }

    /// Takes in rows that have gone through all steps.
    fn take_rows(&mut self, piece: &Piece<'_, '_>, made: &mut Made, sides: &[Vec<Option<Side>>]) -> Result<()> {
        let count = piece.lines.len() as u32;
        let mut values = std::mem::take(&mut self.values);
        let common = self.common.take();
        let mut next = 0;
        while next < count {
            let rows = next..count.min(next.saturating_add(self.portion.rows() as u32));
            next = rows.end;
            self.portion.clear(&mut values);
            let len = rows.len();
            let written = self.take_portion(piece, rows, (&values, common.as_ref()), made)?;
            self.portion.learn(len, portion::used(&values) + written);
            if self.followers.is_some() && made.rows.bytes.len() > HANDED_ON {
                let raw = piece.origin.original.map_or(piece.block, |original| original.bytes);
                self.hand_on(made, piece.origin, raw, sides)?;
            }
        }
        made.rows_sorted += u64::from(count);
        (self.values, self.common) = (values, common);
        Ok(())
    }

    /// Takes in some of the rows. Gives the bytes that were written of them.
    fn take_portion(
        &mut self,
        piece: &Piece<'_, '_>,
        rows: Range<u32>,
        (values, own): (&Bump, Option<&Common>),
        made: &mut Made,
    ) -> Result<usize> {
        let plan = &self.run.plan;
        let &Piece { block, lines, columns, origin, expanded, common } = piece;
        let records = Columns::Records { block, rows: lines, columns };
        let common = common.or_else(|| own.map(|own| own.eval(values, records, rows.clone(), origin)));
        let frame = Frame::new(values, records, origin).with_common(common);
        let all: Vec<u32> = rows.collect();
        let rows = match &plan.filter {
            None => &all,
            Some(filter) => {
                filter.select(&frame, &all, &mut self.selected);
                &self.selected
            }
        };
        let used_before = made.used;
        let mut written = 0;
        made.count(rows, expanded.map(|expanded| &*expanded.records));
        match (&plan.body, &mut self.part.table, &mut self.part.sorter) {
            (Body::Groups(groups), Some(table), _) => match (&mut self.ordered, expanded) {
                (Some((sorter, writer)), Some(expanded)) => {
                    let mut image = Vec::new();
                    for &row in rows {
                        self.sort_keys.clear();
                        push_order(expanded, row, &mut self.sort_keys.bytes);
                        image.clear();
                        writer.put(expanded, row, &mut image);
                        sorter.push(&self.sort_keys.bytes, &image)?;
                    }
                }
                _ => table.update(&groups.grouping, &frame, rows)?,
            },
            (Body::Rows(projection), _, None) => {
                let most = plan.last_row().and_then(|last| usize::try_from(last).ok()).unwrap_or(usize::MAX);
                let rows = &rows[..rows.len().min(most)];
                if plan.limit.is_some() {
                    let before =
                        RowEnd { rows: made.rows_made(), offset: 0, records: made.records_before, used: used_before };
                    row_ends(&origin, lines, rows, |row| piece.record(row), before, &mut made.row_ends);
                }
                if self.followers.is_some() {
                    made.note_sources(rows, |row| (piece.record(row), origin.span(lines[row as usize])));
                }
                let start = made.rows.bytes.len();
                if plan.partition_by.is_empty() {
                    write_rows(projection, &self.format, &frame, rows, &mut made.rows);
                } else {
                    self.sort_rows.clear();
                    write_rows(projection, &self.format, &frame, rows, &mut self.sort_rows);
                    write_in_partitions(&plan.partition_by, &frame, rows, &self.sort_rows, &mut made.rows)?;
                }
                written = made.rows.bytes.len() - start;
                if self.run.places.is_some() && plan.limit.is_none() && plan.offset == 0 {
                    let raw = origin.original.map_or(block, |original| original.bytes);
                    let first = made.rows_made() - rows.len();
                    made.places.add(rows, first, &origin, raw, lines, &made.rows);
                }
                let most = allotment::rows(self.run.settings.memory_limit).max(2 * block.len());
                if self.followers.is_none() && made.rows.bytes.len() > most {
                    made.parked.push(&mut made.rows, &self.run.shared.space)?;
                }
            }
            (Body::Rows(projection), _, Some(sorter)) => {
                let keys: Vec<_> = plan.order.iter().map(|key| key.expr.eval(&frame, rows)).collect();
                // Rows that cannot be among the first need not be formatted, unless that may find faults, which are counted
                // for all rows.
                let skips = projection.is_faultless();
                let admits = |key: &[u8]| !skips || sorter.admits(key);
                self.sort_keys.clear();
                self.selected_to_sort.clear();
                for (i, &row) in rows.iter().enumerate() {
                    // The place in the input makes the key unique and ties keep their order.
                    let end = |key: &mut Vec<u8>| match expanded {
                        Some(expanded) if self.brings_back => push_order(expanded, row, key),
                        _ => {
                            push_position(&origin, lines[row as usize], key);
                            if expanded.is_some() {
                                key.extend_from_slice(&(made.rows_sorted + u64::from(row)).to_be_bytes());
                            }
                        }
                    };
                    if push_order_key(&plan.order, &keys, i, admits, end, &mut self.sort_keys) {
                        self.selected_to_sort.push(row);
                    }
                }
                self.sort_rows.clear();
                write_rows(projection, &self.format, &frame, &self.selected_to_sort, &mut self.sort_rows);
                written = self.sort_rows.bytes.len();
                for i in 0..self.selected_to_sort.len() {
                    sorter.push(self.sort_keys.row(i), self.sort_rows.row(i))?;
                }
            }
            (Body::Groups(_), None, _) => debug_assert!(false, "a plan of groups has a table"),
        }
        let faults = frame.take_faults().into_iter();
        made.faults.extend(faults.map(|tally| MetFault { start: lines[tally.row as usize].start, tally }));
        Ok(written)
    }

    fn count_found(&mut self, scanned: &Scanned<'_>) {
        let planned = self.run.plan.paths.len();
        for (number, (count, cells)) in self.part.found.iter_mut().zip(&scanned.columns).enumerate() {
            let present = |cell: &&Cell| cell.kind() != Kind::Missing;
            if number >= planned {
                *count += cells.iter().filter(present).count() as u64;
            } else if *count == 0 {
                *count = u64::from(cells.iter().any(|cell| present(&cell)));
            }
        }
    }
}

/// Appends the place of a record, which is that of its line, as bytes that compare as places do.
fn push_position(origin: &Origin, line: Span, out: &mut Vec<u8>) {
    let (file, offset) = origin.position_of(line.start);
    out.extend_from_slice(&file.to_be_bytes());
    out.extend_from_slice(&offset.to_be_bytes());
}

/// Appends where a row stands among all rows, as bytes that compare so.
fn push_order(rows: &Expanded<'_>, row: u32, out: &mut Vec<u8>) {
    push_position(&rows.origin, rows.rows[row as usize], out);
    rows.ordinals.iter().for_each(|numbers| out.extend_from_slice(&numbers[row as usize].to_be_bytes()));
}

/// Adds the rejected lines of a block to its report. `broken` says, for each record that is not as its schema says, what is
/// wrong.
pub(super) fn collect_rejects<W: Write + Send>(
    collector: &Collector<'_, W>,
    max_line: usize,
    block: &Block,
    batch: &Batch,
    broken: &[&str],
    report: &mut Report,
) {
    let mut broken = broken.iter();
    let bytes = block.raw();
    let whole = collector.writes_rejects();
    let cut = if whole { MAX_RAW } else { SAMPLE };
    let wanted = if whole { usize::MAX } else { SAMPLES };
    for (i, reject) in block.rejects(&batch.rejects).iter().enumerate() {
        let raw = reject.span.of(bytes);
        report.rejects.push(Rejected {
            line: reject.line,
            offset: block.offset + u64::from(reject.span.start),
            reason: reject.reason,
            broken: (reject.reason == Reason::Schema).then(|| broken.next().map(|&says| says.to_owned())).flatten(),
            fields: if i < wanted { block.fields(reject) } else { None },
            at: reject.at,
            raw: if i < wanted { raw[..raw.len().min(cut)].to_vec() } else { Vec::new() },
            truncated: raw.len() > cut,
        });
    }
    if let Some(overlong) = block.overlong() {
        let raw = overlong.prefix;
        report.rejects.push(Rejected {
            line: match block.original() {
                None => batch.lines,
                Some(original) => memchr::memchr_iter(b'\n', original.bytes).count() as u64,
            },
            offset: overlong.offset,
            reason: Reason::TooLong,
            broken: None,
            fields: None,
            at: u32::try_from(max_line).unwrap_or(u32::MAX),
            raw: raw[..raw.len().min(cut)].to_vec(),
            truncated: true,
        });
    }
}

/// Appends how much of a block there is up to each record that has some of the `rows`. `before` is how much there is before
/// them: the records are those that came in before the ones that the rows are made of.
fn row_ends(
    origin: &Origin,
    lines: &[Span],
    rows: &[u32],
    record: impl Fn(u32) -> u32,
    before: RowEnd,
    ends: &mut Vec<RowEnd>,
) {
    let (mut made, mut used) = (before.rows, before.used);
    for rows in rows.chunk_by(|&a, &b| record(a) == record(b)) {
        made += rows.len();
        let records = before.records + u64::from(record(rows[0])) + 1;
        let (_, offset) = origin.position_of(lines[rows[0] as usize].start);
        match ends.last_mut().filter(|last| last.records == records) {
            // Its other rows were in the piece before.
            Some(last) => last.rows = made,
            None => {
                used += 1;
                ends.push(RowEnd { rows: made, offset, records, used });
            }
        }
    }
}

/// Formats rows of records.
fn write_rows<'a>(projection: &'a Projection, format: &RowFormat, frame: &Frame<'a>, rows: &[u32], out: &mut Rows) {
    let Columns::Records { block, rows: spans, .. } = frame.columns else { return };
    match projection {
        Projection::Record => out.push_lines(block, rows.iter().map(|&row| spans[row as usize])),
        Projection::Extended(extension) => {
            let columns = columns(&extension.items, frame, rows);
            let names = extension.items.iter().map(|item| item.name.as_str()).collect();
            let extender = Extender::new(names, extension.replacements, &extension.excluded);
            let mut records: Vec<&[u8]> = Vec::new();
            for (place, &row) in rows.iter().enumerate() {
                records.clear();
                records.extend(extension.records.iter().map(|record| match record {
                    Some(Expr::Field { column, .. }) => {
                        frame.cells(*column).map_or(&b""[..], |(bytes, cells)| record_of(cells[row as usize], bytes))
                    }
                    _ => spans[row as usize].of(block),
                }));
                extender.write(&records, frame.arena, &mut out.bytes, |item, out| columns[item].json(place, row, out));
                out.bytes.push(b'\n');
                out.end_row();
            }
        }
        Projection::Fields(fields) => write_fields(fields, frame, rows, out),
        Projection::Columns(items) => format.write(&columns(items, frame, rows), rows, frame, out),
    }
}

/// Formats rows of some fields, which are left out where they are not there, and of columns.
fn write_fields<'a>(fields: &'a Fields, frame: &Frame<'a>, rows: &[u32], out: &mut Rows) {
    let prefix = |item: &Item| {
        let mut prefix = Vec::new();
        text::write_string(item.name.as_bytes(), &mut prefix);
        prefix.push(b':');
        prefix
    };
    let with_prefix = |items: &'a [Item]| -> Vec<(Vec<u8>, Column<'a>)> {
        items.iter().map(prefix).zip(columns(items, frame, rows)).collect()
    };
    let (fields, items) = (with_prefix(&fields.fields), with_prefix(&fields.items));
    for (place, &row) in rows.iter().enumerate() {
        let mut separator = b'{';
        let there = fields.iter().filter(|(_, column)| !column.is_missing(row));
        for (prefix, column) in there.chain(&items) {
            out.bytes.push(std::mem::replace(&mut separator, b','));
            out.bytes.extend_from_slice(prefix);
            column.json(place, row, &mut out.bytes);
        }
        if separator == b'{' {
            out.bytes.push(b'{');
        }
        out.bytes.extend_from_slice(b"}\n");
        out.end_row();
    }
}

/// Writes rows, which are formatted already, by their partitions. Numbers that are equal are one value.
fn write_in_partitions<'a>(
    by: &'a [Item],
    frame: &Frame<'a>,
    rows: &[u32],
    formatted: &Rows,
    out: &mut Rows,
) -> Result<()> {
    /// Stands between texts, in which it never is.
    const BETWEEN: u8 = 0xff;
    let names: Vec<String> = by.iter().map(|item| item.name.clone()).collect();
    let values: Vec<_> = by.iter().map(|item| item.expr.eval(frame, rows)).collect();
    // The partitions so far, in the order of their first rows: their values, and their rows.
    let mut partitions = Vec::<(Vec<u8>, Vec<usize>)>::new();
    let (mut numbers, mut key, mut last) = (HashMap::<Vec<u8>, usize>::new(), Vec::new(), 0);
    for place in 0..rows.len() {
        key.clear();
        for values in &values {
            match values.get(place) {
                // A text without a byte has no directory: it goes where NULL goes.
                Value::Null => {}
                Value::Float(float) if float.fract() == 0.0 && float.abs() < 1e15 => {
                    json::to_text(Value::Int(float as i64), &mut key);
                }
                value => json::to_text(value, &mut key),
            }
            key.push(BETWEEN);
        }
        if partitions.get(last).is_none_or(|(of_last, _)| *of_last != key) {
            last = numbers.get(&key).copied().unwrap_or(partitions.len());
            if last == partitions.len() {
                numbers.insert(key.clone(), last);
                partitions.push((key.clone(), Vec::new()));
            }
        }
        partitions[last].1.push(place);
    }
    let mut path = String::new();
    for (key, rows) in partitions {
        path.clear();
        partition_path(&names, key.split(|&byte| byte == BETWEEN).map(Some), &mut path)?;
        push_in_partition(out, &path, rows.into_iter().map(|row| formatted.row(row)));
    }
    Ok(())
}

/// The text of a record that is joined to another; nothing where there is none.
fn record_of(cell: Cell, bytes: &[u8]) -> &[u8] {
    if cell.kind() == Kind::Missing { b"" } else { cell.json(bytes) }
}

/// The columns of items: fields as they stand, anything else evaluated.
fn columns<'a>(items: &'a [Item], frame: &Frame<'a>, rows: &[u32]) -> Vec<Column<'a>> {
    let column = |item: &'a Item| match &item.expr {
        Expr::Field { column, .. } => match frame.cells(*column) {
            Some((block, cells)) => Column::Cells { block, cells },
            None => Column::Values(item.expr.eval(frame, rows)),
        },
        Expr::Item { .. } => match item.expr.texts(frame, rows) {
            Some(texts) => Column::Texts(texts),
            None => Column::Values(item.expr.eval(frame, rows)),
        },
        expr => Column::Values(expr.eval(frame, rows)),
    };
    items.iter().map(column).collect()
}
