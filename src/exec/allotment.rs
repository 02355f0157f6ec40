//! How the memory limit is divided among the parts of a run.
//!
//! What the program takes whatever it does, and what each worker takes to read, scan and format blocks, is reserved
//! first. What is left is for state that grows with the data: groups, sorted rows, records of joins. Each worker has an
//! equal part of that, so that none spills for what another one holds. Of several queries over the same records few have a
//! large state: each has a part for itself, and what is beyond that from a pool. Where the limit does not do for all workers,
//! fewer work.

use super::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::input::InputOptions;
use crate::memory::{Budget, Reservation};

/// The bytes of code and tables that are resident after a while. Code that was not optimised is longer.
const PROGRAM: usize = if cfg!(debug_assertions) { 13 << 20 } else { 11 << 20 };

/// The bytes that are kept free for the program: code, tables and stacks, and, the more memory there is, what was freed and
/// the allocator keeps all the same, as it lies between other things or in the heap of another thread.
pub(super) fn program(limit: usize) -> usize {
    PROGRAM + limit / 10
}

/// The limit that leaves so many bytes for everything but the program.
fn with_program(bytes: usize) -> usize {
    (bytes + PROGRAM) / 9 * 10
}

/// The bytes that the allocator keeps in the heaps of workers that have ended, at most.
pub(super) fn kept(limit: usize) -> usize {
    (limit / 5).min(32 << 20)
}

/// The least limit with which a run begins.
pub(super) const LEAST: usize = 32 << 20;
/// The state of each worker has at most so many bytes: keys of a table have addresses of 32 bits, in units of eight bytes.
const MOST_STATE: u64 = 16 << 30;
/// Each kind of state of each worker has at least so many bytes, or fewer work.
const LEAST_STATE: usize = 4 << 20;
/// Of several runs the state of each has this part of an equal part for itself, or [`LEAST_OWN`]; what is left is there for all of
/// them.
const OWN: usize = 8;
/// The least that the state of a run has for itself in each worker.
const LEAST_OWN: usize = LEAST_STATE / 4;
/// What is left for the ends of several runs is this part of the memory for states, or less.
const OF_ENDS: usize = 8;
/// What a worker takes beside what depends on the size of blocks.
const WORKER: usize = 2 << 20;
/// The same for each further scan, of what a run hands on.
const SCAN: usize = 512 << 10;
/// The same for each further run over the same records.
const RUN: usize = 256 << 10;

/// The memory for the records of joins of a run that has one of so many equal parts of it, and reads with `streams` bytes. The
/// workers have what of it is not taken.
pub(super) fn sides(budget: &Budget, sharers: usize, streams: usize) -> Budget {
    let all = budget.limit().saturating_sub(program(budget.limit()));
    let most = usize::try_from(MOST_STATE).unwrap_or(usize::MAX);
    budget.part(((all / sharers.max(1)).saturating_sub(streams) / 2).min(most))
}

/// How much of this memory is for the records that are loaded at a time of each of `on_disk` sides, of which not all
/// records fit. As these come and go, they need less of it, and the rows that wait for them get more.
pub(super) fn range(sides: &Budget, on_disk: usize) -> usize {
    (sides.left() / 2 / on_disk.max(1)).max(LEAST_RANGE)
}

/// How much of the memory that the sides have left may be for reading the records of one that go to disk, if so many are to
/// have it.
pub(super) fn reading(left: usize, sharers: usize) -> usize {
    /// Two runs can be merged with that.
    const LEAST: usize = 512 << 10;
    (left / 4 / sharers.max(1)).max(LEAST)
}

/// The least memory for the records that are loaded at a time.
const LEAST_RANGE: usize = 1 << 20;

/// The bytes that what has a part of the memory holds from the start where others may take the last of what is left: the
/// records that go to disk while others are in memory, rows that wait while runs are merged.
pub(super) fn room(part: usize) -> usize {
    const MOST: usize = 1 << 20;
    (part / 4).min(MOST)
}

/// How many compressed files are read at the same time, and the longest window of each in bytes: with a quarter of the
/// limit in all.
pub(super) fn decoders(limit: usize, threads: usize) -> (usize, usize) {
    /// The longest window of all that zstd and xz make if they are not asked for more.
    const USUAL: usize = 8 << 20;
    let memory = limit / OF_DECODERS;
    // The file that is next in the order of the output may have one in addition.
    let decoders = (memory / USUAL).saturating_sub(1).clamp(1, threads.max(1));
    (decoders, (memory / (decoders + 1)).min(InputOptions::MAX_WINDOW))
}

/// The memory limit with which all of them may have the longest windows there are.
pub(super) fn memory_for_windows(threads: usize) -> usize {
    OF_DECODERS * (threads.max(1) + 1) * InputOptions::MAX_WINDOW
}

/// Decoders have this part of the memory.
const OF_DECODERS: usize = 4;

/// A part of the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    parts: usize,
    of: usize,
}

impl Default for Share {
    fn default() -> Share {
        Share::WHOLE
    }
}

impl Share {
    /// All of it.
    pub(super) const WHOLE: Share = Share { parts: 1, of: 1 };
    /// What is read behind a pipe has so many bytes at least if it is to have a small share.
    const LEAST_PIPE: usize = 4 << 20;

    /// One of so many equal parts.
    pub(super) fn equal(parts: usize) -> Share {
        Share { parts: 1, of: parts.max(1) }
    }

    /// The shares of a reading that has this one, and of each of those that read what comes of it through so many pipes, at
    /// blocks of `block` bytes: halves, unless these hold next to nothing.
    pub(super) fn with_pipes(self, pipes: usize, are_light: bool, limit: usize, block: usize) -> (Share, Share) {
        if pipes == 0 {
            return (self, self);
        }
        let split = |parts: usize, of: usize| {
            let own = Share { parts: self.parts * (of - parts), of: self.of * of };
            (own, Share { parts: self.parts * parts, of: self.of * of * pipes })
        };
        let small = split(1, 8);
        let is_enough = small.1.of(limit - program(limit)) >= Share::LEAST_PIPE.max(2 * least_worker(block));
        if are_light && is_enough { small } else { split(1, 2) }
    }

    /// Of so many bytes those of the share.
    pub(super) fn of(self, bytes: usize) -> usize {
        bytes / self.of * self.parts
    }

    /// The bytes of which so many are the share.
    fn whole(self, bytes: usize) -> usize {
        bytes.saturating_mul(self.of).div_ceil(self.parts)
    }
}

/// What a run needs memory for.
pub(super) struct Needs {
    /// The most workers.
    pub(super) threads: usize,
    /// The bytes of a block.
    pub(super) block: usize,
    /// How many times what a block becomes is scanned: once, and once for what each run hands on.
    pub(super) scans: usize,
    /// How many runs each worker works for.
    pub(super) runs: usize,
    /// The part of the memory that the run has.
    pub(super) share: Share,
    /// How many kinds of state workers have.
    pub(super) states: usize,
    /// How many of the runs have any that is large where there are many values.
    pub(super) with_state: usize,
    /// Whether rows wait for records of joins that are on disk, for which the states have parts of a known size.
    pub(super) rows_wait: bool,
    /// The bytes for what is read by threads of its own.
    pub(super) streams: usize,
    /// The bytes that are set aside for records of joins, whether they are reserved already or not.
    pub(super) sides: usize,
}

/// What a single worker takes at least that has no state but rows that wait for their turn.
pub(super) fn least_worker(block: usize) -> usize {
    WORKER + 12 * block
}

/// The most bytes of a block: a worker takes several times as much, and there may be several runs with workers.
pub(super) fn most_block(limit: usize) -> usize {
    limit / 128
}

/// How many blocks may be worked on ahead of the one whose turn it is: enough for workers not to wait, and not so many that
/// what comes of them takes much of the memory.
pub(super) fn window(settings: &Settings) -> usize {
    let most = settings.memory_limit / 16 / settings.block_size;
    (settings.threads * 4).min(most.max(4))
}

/// The bytes that the values take that expressions make of rows that are evaluated together, about.
pub(super) fn values(limit: usize) -> usize {
    (limit / 512).clamp(128 << 10, 512 << 10)
}

/// The bytes of rows that a worker makes before it parks them, unless blocks are larger, however many a block has.
pub(super) fn rows(limit: usize) -> usize {
    (limit / 128).clamp(512 << 10, 2 << 20)
}

/// What of an equal part the state of one of several runs has for itself.
fn own_of(each: usize) -> usize {
    (each / OWN).max(LEAST_OWN)
}

/// The memory of the workers of a run.
pub(super) struct Allotment {
    /// How many work.
    pub(super) threads: usize,
    /// What the state of one worker may take.
    state: usize,
    /// How many runs have state.
    runs: usize,
    /// What all states may take beyond their parts.
    pool: Option<Budget>,
    budget: Budget,
    _workers: Reservation,
}

impl Allotment {
    /// Divides a budget among workers.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] if it does not even do for one.
    pub(super) fn new(budget: &Budget, needs: &Needs) -> Result<Allotment> {
        let &Needs { threads, block, scans, runs, share, states, with_state, rows_wait, streams, sides } = needs;
        // The block, its columns, what is evaluated over them, and the rows that come of it.
        let further = scans.saturating_sub(1) * (SCAN + 8 * block) + runs.saturating_sub(1) * RUN;
        let worker = WORKER + 8 * block + further;
        // Rows that wait for their turn take as much as they can get.
        let least = worker + (states * LEAST_STATE).max(4 * block);
        // Not of what is left: the runs begin one after another, and what one takes is not to be missing to the next.
        let all = budget.limit() - program(budget.limit());
        let own = share.of(all).saturating_sub(streams + sides);
        let mut threads = threads.min(own / least).max(1);
        let mut workers = budget.reservation("workers");
        // Around this run another one may hold something.
        while !workers.try_resize(threads * worker + streams) {
            if threads > 1 {
                threads -= 1;
                continue;
            }
            let limit = budget.limit() >> 20;
            let what = if streams > worker { "compressed input, and " } else { "" };
            let message = format!("the memory limit of {limit} MiB does not do for {what}blocks of {block} bytes");
            // What others hold of it they will hold of a higher limit, too.
            let others = all.saturating_sub(budget.left());
            let needed = with_program((share.whole(worker + streams) + sides).max(others + worker + streams));
            let needed = needed.div_ceil(1 << 20);
            let hint = format!("about {needed} MiB would do: raise --memory-limit, or lower --block-size");
            return Err(Error::new(ErrorKind::Resource, message).hint(hint));
        }
        // Parts of a budget are bounds: where they come to more than there is, whoever is refused goes to disk.
        let most = usize::try_from(MOST_STATE).unwrap_or(usize::MAX);
        let state = (own.saturating_sub(threads * worker) / threads).clamp(LEAST_OWN, most);
        let runs = with_state.max(1);
        // Among many runs there are few whose state is large. Some is left for what ends each of them.
        let each = state / runs;
        let of_all = state.saturating_sub(runs * own_of(each) + each.min(state / OF_ENDS)) * threads;
        let pool = (runs > 2 && !rows_wait && each >= LEAST_STATE).then(|| budget.part(of_all));
        Ok(Allotment { threads, state, runs, pool, budget: budget.clone(), _workers: workers })
    }

    /// The budget of the state of one worker in a run.
    pub(super) fn state(&self) -> Budget {
        let each = self.state / self.runs;
        match &self.pool {
            Some(pool) => self.budget.part_with_pool(own_of(each), pool),
            None => self.budget.part(each.max(LEAST_OWN)),
        }
    }
}
