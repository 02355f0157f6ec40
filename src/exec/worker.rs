//! A worker: blocks in, reports out, with its own groups or sorter.

use std::io::Write;
use std::ops::Range;
use std::time::Instant;

use bumpalo::Bump;

use super::Run;
use super::collect::{Collector, FoundFault, Rejected, Report, RowEnd};
use super::drift::Watch;
use super::expand::Expanded;
use super::held::Held;
use super::parked;
use super::probe::Probe;
use crate::error::Result;
use crate::expr::{CellColumn, Columns, Expr, Frame, Origin, encode_order};
use crate::group::GroupTable;
use crate::input::Block;
use crate::memory::Budget;
use crate::output::{Changes, Column, RowFormat, Rows, write_extended};
use crate::plan::{Body, Item, Projection};
use crate::scan::{Batch, Cell, Kind, Limits, Reason, Scanner, Span};
use crate::sort::Sorter;

/// The start of a rejected line that is kept for the summary, and for the rejects file.
const SAMPLE: usize = 200;
const MAX_RAW: usize = 1 << 20;
/// The rows of a block that are formatted at a time.
const TOGETHER: usize = 16 << 10;
/// Rejected lines of one block that are kept for the summary.
const SAMPLES: usize = 5;

/// What a worker has at the end.
pub(super) struct Part {
    pub(super) table: Option<GroupTable>,
    pub(super) sorter: Option<Sorter>,
    /// For each path that is extracted, the records that have it; for those of the plan only whether any has it.
    pub(super) found: Vec<u64>,
}

pub(super) struct Worker<'r, 'c, W: Write> {
    run: &'r Run,
    collector: &'c Collector<'r, W>,
    /// For each step of the plan that is a join the records of its side.
    held: &'c [Option<Held>],
    scanner: Scanner,
    batch: Batch,
    arena: Bump,
    selected: Vec<u32>,
    format: RowFormat,
    part: Part,
    watch: Watch,
    sort_keys: Rows,
    selected_to_sort: Vec<u32>,
    sort_rows: Rows,
}

impl<'r, 'c, W: Write + Send> Worker<'r, 'c, W> {
    pub(super) fn new(
        run: &'r Run,
        collector: &'c Collector<'r, W>,
        probe: &Probe,
        held: &'c [Option<Held>],
        state: &Budget,
    ) -> Result<Worker<'r, 'c, W>> {
        let settings = &run.settings;
        let limits = Limits { max_depth: settings.max_depth, max_line: settings.max_line };
        let table = match &run.plan.body {
            Body::Groups(groups) => Some(GroupTable::new(&groups.grouping, state, &run.shared.space)?),
            Body::Rows(_) => None,
        };
        let sorted = table.is_none() && !run.plan.order.is_empty();
        let limit = run.plan.limit.map(|limit| limit.saturating_add(run.plan.offset));
        Ok(Worker {
            run,
            collector,
            held,
            scanner: Scanner::new(&probe.paths, limits),
            batch: Batch::default(),
            arena: Bump::new(),
            selected: Vec::new(),
            format: RowFormat::new(settings.format, run.plan.names.as_deref().unwrap_or_default()),
            part: Part {
                table,
                sorter: sorted.then(|| Sorter::new(limit, state, &run.shared.space)),
                found: vec![0; probe.paths.len()],
            },
            watch: Watch::new(&run.plan),
            sort_keys: Rows::default(),
            selected_to_sort: Vec::new(),
            sort_rows: Rows::default(),
        })
    }

    /// Works until the input ends or is stopped.
    pub(super) fn run(mut self, first: Option<Block>) -> Result<Part> {
        let mut block = match first {
            Some(block) => {
                self.work(&block)?;
                block
            }
            None => Block::default(),
        };
        while self.run.input.next(&mut block)? {
            self.work(&block)?;
        }
        if let Some(sorter) = &mut self.part.sorter {
            sorter.close()?;
        }
        if let (Body::Groups(groups), Some(table)) = (&self.run.plan.body, &mut self.part.table) {
            if table.has_spilled() {
                table.spill(&groups.grouping)?;
            }
            table.close()?;
        }
        Ok(self.part)
    }

    fn work(&mut self, block: &Block) -> Result<()> {
        let start = Instant::now();
        let bytes = block.bytes();
        self.scanner.scan(bytes, &mut self.batch);
        self.count_found();
        let mut report = Report::new(block, &self.batch, self.collector.recycled_rows());
        report.kinds = self.watch.look(block, &self.batch);
        let mut arena = std::mem::take(&mut self.arena);
        let plan = &self.run.plan;
        let origin = Origin {
            file: &self.run.input.names()[block.file as usize],
            offset: block.offset,
            first_line: block.first_line,
            original: block.original(),
        };
        // Joins may make many rows of one block: then it is worked on in pieces.
        let mut pieces: Vec<Range<usize>> = std::iter::once(0..self.batch.rows.len()).collect();
        while let Some(piece) = pieces.pop() {
            arena.reset();
            let expanded = match plan.steps.is_empty() {
                true => None,
                false => match Expanded::new(plan, &self.batch, piece.clone(), bytes, origin, self.held, &arena) {
                    Some(expanded) => Some(expanded),
                    None => {
                        let middle = piece.start + piece.len() / 2;
                        pieces.extend([middle..piece.end, piece.start..middle]);
                        continue;
                    }
                },
            };
            let (spans, columns) = match &expanded {
                Some(expanded) => (&*expanded.rows, expanded.columns()),
                None => {
                    let column = |cells| CellColumn { bytes, cells };
                    (self.batch.rows.as_slice(), self.batch.columns.iter().map(|cells| column(cells)).collect())
                }
            };
            let frame = Frame::new(&arena, Columns::Records { block: bytes, rows: spans, columns: &columns }, origin);
            let all: Vec<u32> = (0..spans.len() as u32).collect();
            let rows = match &self.run.plan.filter {
                None => &all,
                Some(filter) => {
                    filter.select(&frame, &all, &mut self.selected);
                    &self.selected
                }
            };
            let used_before = report.used;
            report.used += expanded.as_ref().map_or(rows.len() as u64, |expanded| expanded.count_records(rows));
            match (&plan.body, &mut self.part.table, &mut self.part.sorter) {
                (Body::Groups(groups), Some(table), _) => table.update(&groups.grouping, &frame, block.file, rows)?,
                (Body::Rows(projection), _, None) => {
                    let most = plan.limit.map_or(u64::MAX, |limit| limit.saturating_add(plan.offset));
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    let rows = &rows[..rows.len().min(most)];
                    if plan.limit.is_some() {
                        let before = (report.rows_made(), used_before);
                        let record =
                            |row: u32| expanded.as_ref().map_or(row, |expanded| expanded.records[row as usize]);
                        row_ends(block, spans, rows, record, before, &mut report.row_ends);
                    }
                    for rows in rows.chunks(TOGETHER) {
                        write_rows(projection, &self.format, &frame, rows, &mut report.rows);
                        if report.rows.bytes.len() > parked::MOST.max(2 * bytes.len()) {
                            report.parked.push(&mut report.rows, &self.run.shared.space)?;
                        }
                    }
                }
                (Body::Rows(projection), _, Some(sorter)) => {
                    let keys: Vec<_> = plan.order.iter().map(|key| key.expr.eval(&frame, rows)).collect();
                    // Rows that cannot be among the first need not be formatted, unless that may find faults, which are counted
                    // for all rows.
                    let skips = projection.is_faultless();
                    self.sort_keys.clear();
                    self.selected_to_sort.clear();
                    for (i, &row) in rows.iter().enumerate() {
                        let start = self.sort_keys.bytes.len();
                        encode_order(&plan.order, &keys, i, &mut self.sort_keys.bytes);
                        // The place in the input makes the key unique and ties keep their order.
                        let offset = frame.origin.offset_of(spans[row as usize].start);
                        self.sort_keys.bytes.extend_from_slice(&block.file.to_be_bytes());
                        self.sort_keys.bytes.extend_from_slice(&offset.to_be_bytes());
                        if expanded.is_some() {
                            self.sort_keys.bytes.extend_from_slice(&row.to_be_bytes());
                        }
                        if !skips || sorter.admits(&self.sort_keys.bytes[start..]) {
                            self.sort_keys.end_row();
                            self.selected_to_sort.push(row);
                        } else {
                            self.sort_keys.bytes.truncate(start);
                        }
                    }
                    self.sort_rows.clear();
                    write_rows(projection, &self.format, &frame, &self.selected_to_sort, &mut self.sort_rows);
                    for i in 0..self.selected_to_sort.len() {
                        sorter.push(self.sort_keys.row(i), self.sort_rows.row(i))?;
                    }
                }
                (Body::Groups(_), None, _) => debug_assert!(false, "a plan of groups has a table"),
            }
            let found = |site: usize, fault, met, count, span: Span| {
                let place = block.place(span.start);
                let line = memchr::memchr_iter(b'\n', &block.raw()[..place as usize]).count() as u64;
                FoundFault { site, fault, met, count, line, offset: block.offset + u64::from(place) }
            };
            let tallies = frame.take_faults().into_iter();
            report.faults.extend(
                tallies.map(|tally| found(tally.site, tally.fault, tally.met, tally.count, spans[tally.row as usize])),
            );
            for fault in expanded.iter().flat_map(|expanded| &expanded.faults) {
                let span = self.batch.rows[fault.row as usize];
                report.faults.push(found(fault.site, fault.fault, fault.met, fault.count, span));
            }
        }
        self.arena = arena;
        collect_rejects(self.collector, self.run.settings.max_line, block, &self.batch, &mut report);
        report.time = start.elapsed();
        self.collector.deliver(report)
    }

    fn count_found(&mut self) {
        let planned = self.run.plan.paths.len();
        for (number, (count, cells)) in self.part.found.iter_mut().zip(&self.batch.columns).enumerate() {
            let present = |cell: &&Cell| cell.kind() != Kind::Missing;
            if number >= planned {
                *count += cells.iter().filter(present).count() as u64;
            } else if *count == 0 {
                *count = u64::from(cells.iter().any(|cell| present(&cell)));
            }
        }
    }
}

/// Adds the rejected lines of a block to its report.
pub(super) fn collect_rejects<W: Write + Send>(
    collector: &Collector<'_, W>,
    max_line: usize,
    block: &Block,
    batch: &Batch,
    report: &mut Report,
) {
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
            fields: None,
            at: u32::try_from(max_line).unwrap_or(u32::MAX),
            raw: raw[..raw.len().min(cut)].to_vec(),
            truncated: true,
        });
    }
}

/// Appends how much of a block there is up to each record that has some of the `rows`. `before` are the rows and the records
/// that the filter let pass before them.
fn row_ends(
    block: &Block,
    spans: &[Span],
    rows: &[u32],
    record: impl Fn(u32) -> u32,
    before: (usize, u64),
    ends: &mut Vec<RowEnd>,
) {
    let (mut made, mut used) = before;
    for rows in rows.chunk_by(|&a, &b| record(a) == record(b)) {
        made += rows.len();
        used += 1;
        let offset = block.offset + u64::from(block.place(spans[rows[0] as usize].start));
        ends.push(RowEnd { rows: made, offset, records: u64::from(record(rows[0])) + 1, used });
    }
}

/// Formats rows of records.
fn write_rows<'a>(projection: &'a Projection, format: &RowFormat, frame: &Frame<'a>, rows: &[u32], out: &mut Rows) {
    let Columns::Records { block, rows: spans, .. } = frame.columns else { return };
    match projection {
        Projection::Record => {
            for &row in rows {
                out.bytes.extend_from_slice(spans[row as usize].of(block));
                out.bytes.push(b'\n');
                out.end_row();
            }
        }
        Projection::Extended(extension) => {
            let columns = columns(&extension.items, frame, rows);
            let names: Vec<&str> = extension.items.iter().map(|item| item.name.as_str()).collect();
            let changes =
                Changes { names: &names, replacements: extension.replacements, excluded: &extension.excluded };
            let mut records: Vec<&[u8]> = Vec::new();
            for (place, &row) in rows.iter().enumerate() {
                records.clear();
                records.extend(extension.records.iter().map(|record| match record {
                    Some(Expr::Field { column, .. }) => {
                        frame.cells(*column).map_or(&b""[..], |(bytes, cells)| record_of(cells[row as usize], bytes))
                    }
                    _ => spans[row as usize].of(block),
                }));
                write_extended(&records, changes, frame.arena, &mut out.bytes, |item, out| {
                    columns[item].json(place, row, out);
                });
                out.bytes.push(b'\n');
                out.end_row();
            }
        }
        Projection::Columns(items) => format.write(&columns(items, frame, rows), rows, frame, out),
    }
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
