//! What becomes of batches that are done: their answers are written, in the order of the batches if that is wanted.
//!
//! Whoever brings the batch whose turn it is writes, and goes on with those that have come meanwhile. The others bring
//! theirs and go on with their work, as far as the window of the batches lets them.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Lines;
use super::batches::{Batch, Batches, RecordPlace};
use super::checkpoint::{Done, Keeper};
use super::fault::Fault;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::OnError;
use crate::output::{Extra, rejects_error, write_reject_with};

/// Buffers that are kept.
pub(super) const MOST_SPARE: usize = 2;

/// A batch that failed for good.
pub(super) struct Failure {
    pub(super) fault: Fault,
    /// How often it was tried; 0 if that made no sense.
    pub(super) attempts: u32,
    /// The end of what the child wrote to standard error at the last attempt.
    pub(super) told: String,
}

/// What happened to the batches of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchSummary {
    /// Batches that the command has answered, and those that failed for good.
    pub batches_done: u64,
    /// The latter.
    pub batches_failed: u64,
    /// The records of the former.
    pub records_done: u64,
    /// The records of the latter.
    pub records_failed: u64,
    /// Attempts that failed and were followed by another one.
    pub retries: u64,
    /// Children that were started.
    pub children: u64,
    /// Lines of the answers.
    pub lines_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Bytes of answers that went to disk for want of memory.
    pub spooled: u64,
    /// Batches, and records in them, that an earlier run had done.
    pub resumed: (u64, u64),
}

pub(super) struct Order<'o, W> {
    batches: &'o Batches,
    ordered: bool,
    on_failure: OnError,
    names: &'o [String],
    keeper: Option<&'o Keeper>,
    state: Mutex<State>,
    /// What writing needs and nobody else.
    writer: Mutex<Writer<W>>,
}

struct State {
    /// The number of the batch whose turn it is.
    next: u64,
    waiting: BTreeMap<u64, (Batch, Result<Lines, Failure>)>,
    /// Somebody writes.
    busy: bool,
    error: Option<Error>,
    spare: Vec<Vec<u8>>,
}

struct Writer<W> {
    output: W,
    rejects: Option<Box<dyn Write + Send>>,
    done: Done,
    summary: BatchSummary,
}

impl<'o, W: Write + Send> Order<'o, W> {
    pub(super) fn new(
        batches: &'o Batches,
        (output, rejects): (W, Option<Box<dyn Write + Send>>),
        (ordered, on_failure): (bool, OnError),
        names: &'o [String],
        checkpoint: Option<(&'o Keeper, &Done)>,
    ) -> Order<'o, W> {
        let done = checkpoint.map(|(_, done)| done.clone()).unwrap_or_default();
        let summary = BatchSummary { resumed: (done.batches, done.rows), ..BatchSummary::default() };
        Order {
            batches,
            ordered,
            on_failure,
            names,
            keeper: checkpoint.map(|(keeper, _)| keeper),
            state: Mutex::new(State {
                next: done.batches + 1,
                waiting: BTreeMap::new(),
                busy: false,
                error: None,
                spare: Vec::new(),
            }),
            writer: Mutex::new(Writer { output, rejects, done, summary }),
        }
    }

    /// Takes a batch that is done, and writes what can be written.
    ///
    /// # Errors
    /// If the run cannot go on; the error itself is the one of [`finish`](Order::finish).
    pub(super) fn deliver(&self, mut batch: Batch, result: Result<Lines, Failure>) -> Result<(), Ended> {
        if result.is_ok() {
            self.batches.recycle(&mut batch.bytes);
        }
        let mut state = self.lock();
        state.waiting.insert(batch.number, (batch, result));
        if state.busy {
            return Ok(());
        }
        loop {
            if state.error.is_some() {
                return Err(Ended);
            }
            let next = if self.ordered { Some(state.next) } else { state.waiting.keys().next().copied() };
            let Some((batch, result)) = next.and_then(|next| state.waiting.remove(&next)) else { return Ok(()) };
            state.busy = true;
            drop(state);
            let written = self.write(batch, result);
            state = self.lock();
            state.busy = false;
            state.next += 1;
            match written {
                Ok(buffer) if state.spare.len() < MOST_SPARE => state.spare.extend(buffer),
                Ok(_) => {}
                Err(error) => {
                    state.error = Some(error);
                    return Err(Ended);
                }
            }
        }
    }

    /// Writes what came of a batch. Gives the buffer back.
    fn write(&self, batch: Batch, result: Result<Lines, Failure>) -> Result<Option<Vec<u8>>> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer { output, rejects, done, summary } = &mut *writer;
        if let Some(rejects) = rejects {
            rejects.write_all(&batch.malformed.0).map_err(rejects_error)?;
            done.rejects += batch.malformed.0.len() as u64;
        }
        done.malformed += batch.malformed.1;
        let mut spare = None;
        match result {
            Ok(mut lines) => {
                lines.write(output)?;
                done.output += lines.bytes();
                if batch.records > 0 {
                    summary.batches_done += 1;
                }
                summary.records_done += batch.records;
                summary.lines_out += lines.count;
                summary.bytes_out += lines.bytes();
                spare = Some(std::mem::take(&mut lines.buffer));
            }
            Err(failure) => {
                summary.batches_failed += 1;
                summary.records_failed += batch.records;
                if let Some(rejects) = rejects {
                    done.rejects += self.write_rejects(rejects, &batch, &failure)?;
                    rejects.flush().map_err(rejects_error)?;
                }
                if self.on_failure == OnError::Fail {
                    return Err(self.error(&batch, &failure, rejects.is_some()));
                }
            }
        }
        done.batches = batch.number;
        done.rows += batch.records;
        done.checksum = batch.checksum;
        if let Some(keeper) = self.keeper {
            if let Some(rejects) = rejects {
                rejects.flush().map_err(rejects_error)?;
            }
            keeper.note(done)?;
        }
        self.batches.done(batch.bytes);
        Ok(spare)
    }

    /// Writes all records of a batch that failed. Gives the bytes that were written.
    fn write_rejects(&self, out: &mut dyn Write, batch: &Batch, failure: &Failure) -> Result<u64> {
        let reason = describe(batch, failure);
        let extra = [
            ("batch", Extra::Number(Some(batch.number as i64))),
            ("attempts", Extra::Number(Some(failure.attempts.into()))),
            ("exit_status", Extra::Number(failure.fault.exit_status().map(i64::from))),
            ("signal", Extra::Number(failure.fault.signal().map(i64::from))),
            ("stderr", Extra::Text(&failure.told)),
        ];
        let mut bytes = Vec::new();
        let mut written = 0;
        for (place, row) in batch.rows() {
            let name = place.file.and_then(|file| self.names.get(file as usize)).map_or("-", String::as_str);
            write_reject_with(&mut bytes, (name, place.line + 1, place.offset), &reason, (row, false), &extra)?;
            if bytes.len() > 64 << 10 {
                out.write_all(&bytes).map_err(rejects_error)?;
                written += bytes.len() as u64;
                bytes.clear();
            }
        }
        out.write_all(&bytes).map_err(rejects_error)?;
        Ok(written + bytes.len() as u64)
    }

    /// The error that a failed batch is with `--on-error fail`.
    fn error(&self, batch: &Batch, failure: &Failure, keeps_rejects: bool) -> Error {
        let mut error = Error::new(ErrorKind::Output, describe(batch, failure));
        if let Some((RecordPlace { file: Some(file), line, offset }, _)) = batch.rows().next()
            && let Some(name) = self.names.get(file as usize)
        {
            error = error.at(Place::Record { file: name.clone(), line: line + 1, offset });
        }
        match failure.told.lines().last() {
            Some(last) => error.hint(format!("its last words: {last}")),
            None if keeps_rejects => error.hint("with --on-error skip such batches are left out"),
            None => {
                error.hint("with --on-error skip such batches are left out, and --rejects FILE keeps their records")
            }
        }
    }

    /// A buffer for an answer that was used before.
    pub(super) fn spare(&self) -> Vec<u8> {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// What took the output, and how the run has ended.
    pub(super) fn finish(self) -> (W, Result<()>, Done, BatchSummary) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Writer { output, rejects, done, summary } =
            self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let flushed = rejects.map_or(Ok(()), |mut rejects| rejects.flush().map_err(rejects_error));
        (output, state.error.map_or(flushed, Err), done, summary)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The run has ended with an error that is known already.
pub(super) struct Ended;

fn describe(batch: &Batch, failure: &Failure) -> String {
    let times = match failure.attempts {
        0 | 1 => String::new(),
        attempts => format!(", at the last of {attempts} attempts"),
    };
    format!("the command failed for batch {}: it {}{times}", batch.number, failure.fault)
}
