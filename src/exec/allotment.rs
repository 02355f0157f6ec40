//! How the memory limit is divided among the parts of a run.
//!
//! What the program takes whatever it does, and what each worker takes to read, scan and format blocks, is reserved
//! first. What is left is for state that grows with the data: groups, sorted rows, records of joins. Each worker has an
//! equal part of that, so that none spills for what another one holds. Where the limit does not do for all workers, fewer
//! work.

use crate::error::{Error, ErrorKind, Result};
use crate::input::InputOptions;
use crate::memory::{Budget, Reservation};

/// The bytes that are kept free for the program: code, tables and stacks, and, the more memory there is, what was freed and
/// the allocator keeps all the same, as it lies between other things or in the heap of another thread.
pub(super) fn program(limit: usize) -> usize {
    (10 << 20) + limit / 16
}

/// The bytes that the allocator keeps in the heaps of workers that have ended, at most.
pub(super) fn kept(limit: usize) -> usize {
    (limit / 5).min(32 << 20)
}

/// The least limit with which a run begins.
pub(super) const LEAST: usize = 32 << 20;
/// The state of each worker has at most so many bytes: keys of a table have addresses of 32 bits, in units of eight bytes.
const MOST_STATE: u64 = 16 << 30;
/// The state of each worker has at least so many bytes, or fewer work.
const LEAST_STATE: usize = 4 << 20;
/// What a worker takes beside what depends on the size of blocks.
const WORKER: usize = 2 << 20;

/// How many compressed files are read at the same time, and the longest window of each in bytes: with a quarter of the
/// limit in all.
pub(super) fn decoders(limit: usize, threads: usize) -> (usize, usize) {
    /// The longest window of all that zstd and xz make if they are not asked for more.
    const USUAL: usize = 8 << 20;
    let memory = limit / 4;
    // The file that is next in the order of the output may have one in addition.
    let decoders = (memory / USUAL).saturating_sub(1).clamp(1, threads.max(1));
    (decoders, (memory / (decoders + 1)).min(InputOptions::MAX_WINDOW))
}

/// The memory of the workers of a run.
pub(super) struct Allotment {
    /// How many work.
    pub(super) threads: usize,
    /// What the state of one worker may take.
    state: usize,
    budget: Budget,
    _workers: Reservation,
}

impl Allotment {
    /// Divides a budget among up to `threads` workers on blocks of `block` bytes, as one of `runs` runs at the same time, after
    /// `streams` bytes for what is read by threads of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] if it does not even do for one worker.
    pub(super) fn new(
        budget: &Budget,
        threads: usize,
        block: usize,
        runs: usize,
        has_state: bool,
        streams: usize,
    ) -> Result<Allotment> {
        // The block, its columns, what is evaluated over them, and the rows that come of it.
        let worker = WORKER + 8 * block;
        // Rows that wait for their turn take as much as they can get.
        let least = worker + if has_state { LEAST_STATE } else { 4 * block };
        // Not of what is left: the runs begin one after another, and what one takes is not to be missing to the next.
        let all = budget.limit() - program(budget.limit());
        let own = (all / runs.max(1)).saturating_sub(streams);
        let threads = threads.min(own / least).max(1);
        let mut workers = budget.reservation("workers");
        if !workers.try_resize(threads * worker + streams) {
            let message =
                format!("the memory limit of {} MiB does not do for blocks of {block} bytes", budget.limit() >> 20);
            return Err(Error::new(ErrorKind::Resource, message).hint("raise --memory-limit, or lower --block-size"));
        }
        let state =
            (own.saturating_sub(threads * worker) / threads).min(usize::try_from(MOST_STATE).unwrap_or(usize::MAX));
        Ok(Allotment { threads, state, budget: budget.clone(), _workers: workers })
    }

    /// The budget of the state of one worker.
    pub(super) fn state(&self) -> Budget {
        self.budget.part(self.state)
    }
}
