//! Rows that come to a join before the records that they may be joined to are in memory.
//!
//! They go to disk with all that is beside them, in the order of the hashes of their keys. When the input has been read, the
//! side of the join is loaded a range of hashes at a time, and the rows of that range go on where they stopped. So each
//! record of both sides is written and read once, but for rows whose mates are more than the memory takes: they wait again
//! for those that come later.
//!
//! Where the order of rows shows in the output it is brought back in the end: rows are sorted by their places in the input
//! and what was put beside them.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::allotment;
use super::collect::Collector;
use super::expand::Expanded;
use super::held::EncodedKeys;
use super::image::{self, Image, damaged};
use super::side::Side;
use super::worker::Worker;
use super::{Run, STACK, panicked};
use crate::error::Result;
use crate::expr::{Origin, Parked, RecordPlace};
use crate::memory::Budget;
use crate::plan::{Body, Plan, Step};
use crate::scan::{Cell, Kind, Span};
use crate::sort::{SortedRows, Sorter};
use crate::spill::Space;
use crate::value::leb128;

/// The rows that go on together.
const MOST_ROWS: usize = 4 << 10;

/// The rows of one worker that wait.
pub(super) struct Late {
    /// For each step that is a join whose side is on disk the rows that wait for it.
    waiting: Vec<Option<Sorter>>,
    /// For each step the memory for these rows, so that none spills for what another one holds.
    budgets: Vec<Budget>,
    space: Space,
    writer: ImageWriter,
    payload: Vec<u8>,
    keeps_order: bool,
}

impl Late {
    /// For a worker with a budget; `None` if all sides are in memory.
    pub(super) fn new(plan: &Plan, sides: &[Option<Side>], budget: &Budget, space: &Space) -> Option<Late> {
        let count = sides.iter().flatten().filter(|side| side.is_on_disk()).count();
        if count == 0 {
            return None;
        }
        let mut late = Late {
            waiting: sides.iter().map(|_| None).collect(),
            budgets: sides.iter().map(|_| budget.part(budget.limit() / count)).collect(),
            space: space.clone(),
            writer: ImageWriter::new(plan),
            payload: Vec::new(),
            keeps_order: plan.shows_order(),
        };
        let on_disk = |side: &Option<Side>| side.as_ref().is_some_and(Side::is_on_disk);
        (0..sides.len()).filter(|&step| on_disk(&sides[step])).for_each(|step| late.make_room(step));
        Some(late)
    }

    /// Is ready for rows that are to wait for a step: others cannot take the memory for the first of them.
    fn make_room(&mut self, step: usize) {
        let budget = &self.budgets[step];
        let sorter = Sorter::new(None, budget, &self.space).with_room(allotment::room(budget.limit()));
        self.waiting[step] = Some(sorter);
    }

    /// The rows that wait for a step. In memory they leave most of it to those that will wait once more.
    fn take(&mut self, step: usize) -> Result<Option<Sorter>> {
        let Some(mut sorter) = self.waiting[step].take() else { return Ok(None) };
        sorter.spill_above(self.budgets[step].limit() / 4)?;
        Ok((!sorter.is_empty()).then_some(sorter))
    }

    /// Whether the order of rows shows in the output.
    pub(super) fn keeps_order(&self) -> bool {
        self.keeps_order
    }

    /// Lets a row wait for a join. `has_match` says that it has met a mate already.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub(super) fn park(
        &mut self,
        step: usize,
        order: u64,
        key: &[u8],
        has_match: bool,
        rows: &Expanded<'_>,
        row: u32,
    ) -> Result<()> {
        self.payload.clear();
        leb128::put_bytes(key, &mut self.payload);
        self.payload.push(has_match.into());
        self.writer.put(rows, row, &mut self.payload);
        let new = || Sorter::new(None, &self.budgets[step], &self.space);
        let sorter = self.waiting[step].get_or_insert_with(new);
        sorter.push(&order.to_be_bytes(), &self.payload)
    }

    /// Does what can be done before those of other workers are there.
    ///
    /// # Errors
    /// As [`Sorter::close`].
    pub(super) fn close(&mut self) -> Result<()> {
        self.waiting.iter_mut().flatten().try_for_each(Sorter::close)
    }
}

/// Makes rows into bytes.
pub(super) struct ImageWriter {
    image: Image,
    lines: Lines,
    /// Whether lines themselves are asked for, and not only what is in them.
    keeps_lines: bool,
}

impl ImageWriter {
    pub(super) fn new(plan: &Plan) -> ImageWriter {
        ImageWriter { image: Image::default(), lines: Lines::default(), keeps_lines: plan.writes_lines() }
    }

    /// Appends a row: its place, what says where it stands among rows of the same record, and its cells.
    pub(super) fn put(&mut self, rows: &Expanded<'_>, row: u32, out: &mut Vec<u8>) {
        let line = rows.rows[row as usize];
        let RecordPlace { file, offset, block, line: number } = self.lines.place(&rows.origin, rows.block, line.start);
        [u64::from(file), offset, block, number].into_iter().for_each(|number| leb128::put(number, out));
        leb128::put(rows.ordinals.len() as u64, out);
        rows.ordinals.iter().for_each(|numbers| leb128::put(numbers[row as usize], out));
        self.image.clear();
        let line = match self.keeps_lines {
            true => Cell::new(Kind::Object, line.start, line.end - line.start),
            false => Cell::MISSING,
        };
        self.image.push(line, rows.block);
        rows.cells(row).for_each(|(cell, from)| self.image.push(cell, from));
        self.image.put(out);
    }
}

/// Counts the lines of a block before records that come in their order.
#[derive(Default)]
struct Lines {
    /// The file and the block.
    of: Option<(u32, u64)>,
    counted: usize,
    line: u64,
}

impl Lines {
    /// The place of the record that begins at a place of the block.
    fn place(&mut self, origin: &Origin, block: &[u8], start: u32) -> RecordPlace {
        if let Some(parked) = origin.parked {
            return parked.place(start);
        }
        let (file, (_, offset)) = (origin.file, origin.position_of(start));
        let text = origin.original.map_or(block, |original| original.bytes);
        let start = origin.place(start) as usize;
        if self.of != Some((file, origin.block)) || start < self.counted {
            let line = origin.first_line.unwrap_or(0);
            *self = Lines { of: Some((file, origin.block)), counted: 0, line };
        }
        self.line += memchr::memchr_iter(b'\n', &text[self.counted..start]).count() as u64;
        self.counted = start;
        RecordPlace { file, offset, block: origin.block, line: self.line }
    }
}

/// Rows that go on together.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// The lines.
    pub(super) rows: Vec<Span>,
    /// For each column of the plan a cell for each row.
    pub(super) columns: Vec<Vec<Cell>>,
    /// Where each record begins in `bytes`, and where it was.
    pub(super) places: Vec<(u32, RecordPlace)>,
    pub(super) ordinals: Vec<Vec<u64>>,
    pub(super) waited: Waited,
    cells: Vec<Cell>,
}

/// What is known of rows that waited.
#[derive(Default)]
pub(super) struct Waited {
    /// Their keys for the join that they waited for.
    pub(super) keys: EncodedKeys,
    /// Whether each has met a mate already.
    pub(super) has_match: Vec<bool>,
}

impl Chunk {
    fn new(plan: &Plan) -> Chunk {
        let columns = plan.columns();
        Chunk { columns: vec![Vec::new(); columns], cells: vec![Cell::MISSING; columns + 1], ..Chunk::default() }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.columns.iter_mut().for_each(Vec::clear);
        self.places.clear();
        self.ordinals.clear();
        self.waited = Waited::default();
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.rows.len() >= MOST_ROWS || self.bytes.len() >= bytes
    }

    /// Takes a row that waits for a join.
    fn take_waiting(&mut self, mut payload: &[u8]) -> Option<()> {
        let key = leb128::take_bytes(&mut payload)?;
        let (&has_match, payload) = payload.split_first()?;
        self.waited.keys.push(key, self.rows.len() as u32);
        self.waited.has_match.push(has_match != 0);
        self.take(payload)
    }

    /// Takes a row.
    fn take(&mut self, mut payload: &[u8]) -> Option<()> {
        let mut next = || leb128::take(&mut payload);
        let (file, offset, block, line) = (u32::try_from(next()?).ok()?, next()?, next()?, next()?);
        let ordinals = usize::try_from(next()?).ok()?;
        self.ordinals.resize(ordinals, Vec::new());
        for numbers in &mut self.ordinals {
            numbers.push(next()?);
        }
        let text = image::take(&mut payload, &mut self.cells)?;
        let base = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        // So that no two rows begin at the same place.
        self.bytes.push(b'\n');
        let moved = |cell: Cell| if cell == Cell::MISSING { cell } else { cell.moved_to(cell.span().start + base) };
        let (line_cell, cells) = self.cells.split_first()?;
        self.rows.push(Span { start: base, end: base + line_cell.len() as u32 });
        self.places.push((base, RecordPlace { file, offset, block, line }));
        self.columns.iter_mut().zip(cells).for_each(|(column, &cell)| column.push(moved(cell)));
        Some(())
    }

    /// Where the rows come from; `names` are those of the inputs.
    pub(super) fn parked<'c>(&'c self, names: &'c [String]) -> Parked<'c> {
        Parked { names, places: &self.places }
    }
}

/// Rows that wait, as they come back.
struct Waiting {
    rows: SortedRows,
    is_at_end: bool,
}

impl Waiting {
    fn new(sorters: Vec<Sorter>, budget: &Budget) -> Result<Waiting> {
        let is_at_end = sorters.is_empty();
        Ok(Waiting { rows: Sorter::finish(sorters, budget)?, is_at_end })
    }

    /// Adds rows to a chunk, up to some bytes, for as long as `take` takes them.
    fn fill(
        &mut self,
        chunk: &mut Chunk,
        bytes: usize,
        mut take: impl FnMut(&mut Chunk, &SortedRows) -> Result<bool>,
    ) -> Result<()> {
        while !self.is_at_end && !chunk.is_full(bytes) {
            if !self.rows.advance()? {
                self.is_at_end = true;
            } else if !take(chunk, &self.rows)? {
                self.rows.put_back();
                break;
            }
        }
        Ok(())
    }
}

impl Run {
    /// Takes the rows that wait for sides on disk through the rest of the steps.
    ///
    /// # Errors
    /// Any error that ends the run.
    pub(super) fn work_late<W: Write + Send>(
        &self,
        collector: &Collector<'_, W>,
        sides: &mut [Vec<Option<Side>>],
        seat: usize,
        workers: &mut [Worker<'_, '_, W>],
    ) -> Result<()> {
        let budget = &self.shared.budget;
        let bytes = self.settings.block_size.min(MOST_CHUNK);
        for (number, step) in self.plan.steps.iter().enumerate() {
            let Step::Join(join) = step else { continue };
            if !sides[seat][number].as_ref().is_some_and(Side::is_on_disk) {
                continue;
            }
            let mut waiting = Waiting::new(take_waiting(workers, number)?, budget)?;
            loop {
                let again = take_waiting(workers, number)?;
                if waiting.is_at_end && again.is_empty() {
                    break;
                }
                let mut again = Waiting::new(again, budget)?;
                workers.iter_mut().filter_map(Worker::late).for_each(|late| late.make_room(number));
                let until = match &mut sides[seat][number] {
                    Some(side) => {
                        side.load_next(join)?;
                        side.until()
                    }
                    None => u64::MAX,
                };
                let source = Mutex::new((&mut again, &mut waiting));
                let next = |chunk: &mut Chunk| -> Result<bool> {
                    chunk.clear();
                    let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                    let take = |chunk: &mut Chunk, rows: &SortedRows| {
                        let order = rows.key().first_chunk().map_or(0, |order| u64::from_be_bytes(*order));
                        if order > until {
                            return Ok(false);
                        }
                        chunk.take_waiting(rows.row()).ok_or_else(damaged).map(|()| true)
                    };
                    source.0.fill(chunk, bytes, take)?;
                    source.1.fill(chunk, bytes, take)?;
                    Ok(!chunk.rows.is_empty())
                };
                let sides = &*sides;
                let is_cancelled = || self.cancelled.load(Ordering::Relaxed);
                on_all(workers, |worker, has_failed| {
                    let mut chunk = Chunk::new(&self.plan);
                    while !has_failed() && !is_cancelled() && next(&mut chunk)? {
                        worker.work_late(&chunk, number, sides)?;
                    }
                    Ok(())
                })?;
                if self.cancelled.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            if let Some(side) = &mut sides[seat][number] {
                side.release(join);
            }
        }
        self.group_in_order(workers)?;
        on_all(workers, |worker, _| worker.close())?;
        collector.end_late()
    }

    /// Makes groups of the rows that were brought back into their order.
    fn group_in_order<W: Write + Send>(&self, workers: &mut [Worker<'_, '_, W>]) -> Result<()> {
        let ordered: Vec<Sorter> =
            workers.iter_mut().map(Worker::take_ordered).filter_map(Result::transpose).collect::<Result<_>>()?;
        let Some(worker) = workers.first_mut() else { return Ok(()) };
        let mut rows = Waiting::new(ordered, &self.shared.budget)?;
        let mut chunk = Chunk::new(&self.plan);
        loop {
            chunk.clear();
            let take = |chunk: &mut Chunk, rows: &SortedRows| chunk.take(rows.row()).ok_or_else(damaged).map(|()| true);
            rows.fill(&mut chunk, self.settings.block_size.min(MOST_CHUNK), take)?;
            if chunk.rows.is_empty() {
                return Ok(());
            }
            worker.group(&chunk)?;
        }
    }
}

/// Lets all workers do something at the same time, which they are told when another one has failed in.
fn on_all<T: Send>(workers: &mut [T], work: impl Fn(&mut T, &dyn Fn() -> bool) -> Result<()> + Sync) -> Result<()> {
    let failed = AtomicBool::new(false);
    let work = |worker: &mut T| {
        let result = work(worker, &|| failed.load(Ordering::Relaxed));
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    };
    let Some((mine, others)) = workers.split_first_mut() else { return Ok(()) };
    std::thread::scope(|scope| {
        let work = &work;
        let spawn = |worker| std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || work(worker));
        // Where the system gives fewer threads, fewer work.
        let others: Vec<_> = others.iter_mut().map_while(|worker| spawn(worker).ok()).collect();
        let mine = work(mine);
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(panicked())));
        std::iter::once(mine).chain(others).collect()
    })
}

/// The most bytes of rows that go on together, unless it is one.
const MOST_CHUNK: usize = 1 << 20;

/// The rows of all workers that wait for a step.
fn take_waiting<W: Write + Send>(workers: &mut [Worker<'_, '_, W>], step: usize) -> Result<Vec<Sorter>> {
    workers.iter_mut().filter_map(Worker::late).filter_map(|late| late.take(step).transpose()).collect()
}

impl Plan {
    /// Whether the order of the rows that the steps make shows in the output.
    pub(super) fn shows_order(&self) -> bool {
        match &self.body {
            Body::Rows(_) => true,
            Body::Groups(groups) => groups.grouping.aggregates.iter().any(|call| call.function.takes_order()),
        }
    }
}
