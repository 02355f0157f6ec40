//! Records that are scanned once for all runs that take them.

use std::io::Write;
use std::time::Instant;

use bumpalo::Bump;

use super::allotment;
use super::collect::Head;
use super::common::Common;
use super::cut::Deposit;
use super::portion::{self, Portion};
use super::probe::Probe;
use super::schema::Schema;
use super::side::Side;
use super::worker::{Worker, collect_rejects};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{CellColumn, Columns, CommonValues, Origin};
use crate::input::{Block, Input};
use crate::scan::{Batch, Cell, Limits, Path, Scanner, Span};

/// The records of a block, and what was extracted of them for one run.
pub(super) struct Scanned<'b> {
    /// The bytes of the lines.
    pub(super) bytes: &'b [u8],
    /// Where they come from.
    pub(super) origin: Origin<'b>,
    /// The lines.
    pub(super) rows: &'b [Span],
    /// A column for each path that the run asked for.
    pub(super) columns: Vec<&'b [Cell]>,
    /// What is known of the lines.
    pub(super) common: Option<CommonValues<'b>>,
}

impl<'b> Scanned<'b> {
    /// The bytes of the input that the lines stand for.
    pub(super) fn raw(&self) -> &'b [u8] {
        self.origin.original.map_or(self.bytes, |original| original.bytes)
    }

    /// The line in its block, from 0, and the offset in the input of the record that begins at a place of the bytes.
    pub(super) fn place(&self, start: u32) -> (u64, u64) {
        let place = self.origin.place(start);
        let line = memchr::memchr_iter(b'\n', &self.raw()[..place as usize]).count() as u64;
        (line, self.origin.offset + u64::from(place))
    }
}

/// One thread's part of the runs that take the same records: those of an input, or the rows of another run.
pub(super) struct SharedScan<'r, 'c, W: Write> {
    scanner: Scanner,
    batch: Batch,
    /// What the records have to be, with the columns of its paths.
    schema: Option<(&'r Schema, Vec<usize>)>,
    members: Vec<Member<'r, 'c, W>>,
    common: Option<CommonScan>,
}

/// What the members have in common, for a portion of rows after the other.
struct CommonScan {
    common: Common,
    portion: Portion,
    values: Bump,
}

/// One of the runs.
struct Member<'r, 'c, W: Write> {
    worker: Worker<'r, 'c, W>,
    /// For each path that it asked for the number of its column in the batch.
    columns: Vec<usize>,
}

impl<'r, 'c, W: Write + Send> SharedScan<'r, 'c, W> {
    /// For workers with what they extract. The first one takes what is rejected, and is the last one to be done with a
    /// block.
    pub(super) fn new(
        workers: Vec<(Worker<'r, 'c, W>, &Probe)>,
        schema: Option<&'r Schema>,
        limits: Limits,
    ) -> SharedScan<'r, 'c, W> {
        let mut paths: Vec<Path> = Vec::new();
        let members: Vec<Member<'_, '_, W>> = workers
            .into_iter()
            .map(|(worker, probe)| Member { worker, columns: number_paths(&probe.paths, &mut paths) })
            .collect();
        let schema = schema.map(|schema| (schema, number_paths(schema.paths(), &mut paths)));
        let plans = members.iter().map(|member| (member.worker.plan(), member.columns.as_slice()));
        let of_values = members.first().map_or(0, |first| allotment::values(first.worker.memory_limit()));
        let common = Common::among_numbered(plans);
        let common = common.map(|common| CommonScan { common, portion: Portion::new(of_values), values: Bump::new() });
        SharedScan { scanner: Scanner::new(&paths, limits), batch: Batch::default(), schema, members, common }
    }

    /// Works on a block of an input. `sides` are those of each run.
    pub(super) fn work(&mut self, block: &Block, input: &Input, sides: &[Vec<Option<Side>>]) -> Result<()> {
        let start = Instant::now();
        let origin = Origin {
            name: &input.names()[block.file as usize],
            ranks: input.ranks(),
            file: block.file,
            block: block.index,
            offset: block.offset,
            first_line: block.first_line,
            original: block.original(),
            parked: None,
        };
        self.scanner.scan(block.bytes(), &mut self.batch);
        self.begin(Head::new(block, &self.batch));
        let schema = self.schema.as_ref();
        let broken = schema.map(|(schema, columns)| schema.apply(block.bytes(), &mut self.batch, columns));
        self.hand_out(block.bytes(), origin, sides)?;
        if let Some(first) = self.members.first_mut() {
            let (collector, max_line) = first.worker.accounts();
            let broken = broken.unwrap_or_default();
            collect_rejects(collector, max_line, block, &self.batch, &broken, first.worker.report());
        }
        self.end(start)
    }

    /// Begins with what is made of a block.
    pub(super) fn begin(&mut self, head: Head) {
        self.members.iter_mut().for_each(|member| member.worker.begin(head));
    }

    /// Takes lines that were made of a block, or some of them.
    pub(super) fn take(&mut self, bytes: &[u8], origin: Origin<'_>, sides: &[Vec<Option<Side>>]) -> Result<()> {
        self.scanner.scan(bytes, &mut self.batch);
        if let Some(reject) = self.batch.rejects.first() {
            return Err(unreadable(&reject.reason.to_string()));
        }
        self.hand_out(bytes, origin, sides)
    }

    /// Hands the lines that were scanned to all members: a portion after the other, if they have something in common that is
    /// evaluated before they take it.
    fn hand_out(&mut self, bytes: &[u8], origin: Origin<'_>, sides: &[Vec<Option<Side>>]) -> Result<()> {
        let SharedScan { batch, members, common, .. } = self;
        let mut start = 0_usize;
        loop {
            let most = common.as_ref().map_or(usize::MAX, |common| common.portion.rows());
            let part = start..batch.rows.len().min(start.saturating_add(most));
            start = part.end;
            let rows = &batch.rows[part.clone()];
            let columns: Vec<CellColumn> =
                batch.columns.iter().map(|cells| CellColumn { bytes, cells: &cells[part.clone()] }).collect();
            let known = common.as_mut().map(|CommonScan { common, portion, values }| {
                portion.clear(values);
                common.eval(
                    values,
                    Columns::Records { block: bytes, rows, columns: &columns },
                    0..rows.len() as u32,
                    origin,
                )
            });
            for Member { worker, columns: own } in members.iter_mut() {
                let columns = own.iter().map(|&column| columns[column].cells).collect();
                worker.take(&Scanned { bytes, origin, rows, columns, common: known }, sides)?;
            }
            if let Some(CommonScan { portion, values, .. }) = common {
                portion.learn(rows.len(), portion::used(values));
            }
            if start >= batch.rows.len() {
                return Ok(());
            }
        }
    }

    /// Delivers what was made of a block.
    pub(super) fn end(&mut self, start: Instant) -> Result<()> {
        self.members.iter_mut().rev().try_for_each(|member| member.worker.end(start))
    }

    /// Gives the runs of all workers away.
    pub(super) fn give_runs(&mut self, out: &mut Vec<Deposit>) -> Result<()> {
        self.members.iter_mut().try_for_each(|member| member.worker.give_runs(out))
    }

    /// Says that no more blocks come.
    pub(super) fn close(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(|member| member.worker.close_input())
    }

    /// The workers, with those that took the rows of others.
    pub(super) fn into_workers(self, out: &mut Vec<Worker<'r, 'c, W>>) {
        for Member { mut worker, .. } in self.members {
            let followers = worker.take_followers();
            out.push(worker);
            if let Some(followers) = followers {
                followers.into_workers(out);
            }
        }
    }
}

/// The number that each of some paths has among all, to which it is added if it is not there.
pub(super) fn number_paths<'p>(paths: impl IntoIterator<Item = &'p Path>, all: &mut Vec<Path>) -> Vec<usize> {
    let mut number = |path: &Path| {
        all.iter().position(|known| known == path).unwrap_or_else(|| {
            all.push(path.clone());
            all.len() - 1
        })
    };
    paths.into_iter().map(&mut number).collect()
}

/// The error of a row of a query that those who take it cannot read.
pub(super) fn unreadable(reason: &str) -> Error {
    let message = format!("a row of a query within the query cannot be read: {reason}");
    Error::new(ErrorKind::Resource, message).hint("rows can have up to 256 MiB")
}
