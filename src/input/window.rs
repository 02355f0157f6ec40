//! Which block a worker gets next.
//!
//! Files are *active* from when they are opened until all their blocks were claimed by workers and retired by the
//! consumer. The *front* is the earliest active file. A block is *outstanding* from claim to retirement. A worker
//! gets, from the earliest file that has one for it, a chunk to read, a block that a reader thread queued, or a file
//! to open.
//!
//! # The window
//! At most `window` blocks of the front are outstanding, and at most `window` of all later files together. So the
//! consumer of an ordered output holds back at most twice that.
//!
//! # Why nobody waits for ever
//! Take it that a worker that got a block always comes back, or drops the block; that a consumer retires every block
//! of the front once it has all earlier ones of it; and that sources give bytes or end.
//! 1. A claim for the front is refused only when `window` of its blocks are outstanding. Blocks of a file are claimed
//!    in the order of their indexes, so the consumer gets the first of them from a worker and retires it. Later files
//!    count separately and cannot use up the front's share.
//! 2. The front always has something for a worker, or will have: it is being opened by a worker, which waits for
//!    nothing meanwhile; or its chunks are there; or its reader thread runs. It need not wait for a decoder slot that
//!    later files hold, since it gets one in addition.
//! 3. The front's reader thread waits for room in its own queue, which workers empty by 1. Or it waits for the
//!    streams' permit, which only the front ever gets; so its holder is a block in the front's own queue, or one that
//!    a worker has.
//! 4. A worker with a chunk in hand waits for the workers' permit only. Its holder is a block that another worker has
//!    finished reading, and never a queued one.
//! 5. When all of the front is claimed and retired, the next file becomes the front, and its reader thread and the
//!    workers are woken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::block::{Block, Buffer};
use super::plain::Plain;
use super::source::{Feed, Opened, Origin};
use super::{InputOptions, Limits, QUEUE};
use crate::error::Error;

/// What all threads share, under one lock.
pub(super) struct Dispatch {
    /// The files that are not opened yet.
    origins: std::vec::IntoIter<Origin>,
    /// The number of the first of them.
    unopened: u32,
    active: BTreeMap<u32, Active>,
    /// Over all files.
    outstanding: usize,
    /// Reader threads whose blocks were not all claimed.
    streams: usize,
    /// Buffers that wait to be used again.
    pub(super) spare: Vec<Buffer>,
    pub(super) stopped: bool,
}

struct Active {
    stage: Stage,
    outstanding: usize,
    /// The block that could not be read, and why. There are no blocks after those that are queued.
    failed: Option<(u64, Error)>,
}

enum Stage {
    /// A worker is opening it.
    Opening,
    /// Waits for a decoder slot.
    Waiting(Feed),
    /// Chunks from `next` on are to be read.
    Plain { plain: Arc<Plain>, next: u64, chunks: u64 },
    /// A reader thread fills the queue.
    Stream(VecDeque<Block>),
    /// Nothing is left to claim.
    Claimed,
}

/// What a worker is to do next.
pub(super) enum Step {
    Open(u32, Origin),
    /// Start the reader thread of a file.
    Start(u32, Feed),
    Chunk {
        file: u32,
        plain: Arc<Plain>,
        index: u64,
    },
    Block(Block),
    Failed {
        file: u32,
        index: u64,
        error: Error,
    },
    Wait,
    End,
}

impl Dispatch {
    pub(super) fn new(origins: Vec<Origin>) -> Dispatch {
        Dispatch {
            origins: origins.into_iter(),
            unopened: 0,
            active: BTreeMap::new(),
            outstanding: 0,
            streams: 0,
            spare: Vec::new(),
            stopped: false,
        }
    }

    /// Gives a worker its next step, and takes note that it was given.
    pub(super) fn step(&mut self, limits: &Limits) -> Step {
        if self.stopped {
            return Step::End;
        }
        let front_outstanding = self.active.first_entry().map_or(0, |front| front.get().outstanding);
        let has_room = |outstanding: usize| limits.window.is_none_or(|window| outstanding < window);
        let later_has_room = has_room(self.outstanding - front_outstanding);
        let mut is_front = true;
        let mut earlier_claimed = true;
        let mut slot_wanted = false;
        let mut found = None;
        for (&file, active) in &mut self.active {
            let room = if is_front { has_room(front_outstanding) } else { later_has_room };
            let drained = match &active.stage {
                Stage::Stream(queue) => queue.is_empty(),
                _ => true,
            };
            if drained && active.failed.is_some() {
                if earlier_claimed && let Some((index, error)) = active.failed.take() {
                    self.stopped = true;
                    return Step::Failed { file, index, error };
                }
                return Step::Wait;
            }
            match &mut active.stage {
                Stage::Plain { plain, next, chunks } if room => {
                    found = Some((file, Step::Chunk { file, plain: Arc::clone(plain), index: *next }));
                    *next += 1;
                    if next == chunks {
                        active.stage = Stage::Claimed;
                    }
                }
                Stage::Stream(queue) if room => {
                    if let Some(block) = queue.pop_front() {
                        if block.last {
                            active.stage = Stage::Claimed;
                            self.streams -= 1;
                        }
                        found = Some((file, Step::Block(block)));
                    }
                }
                stage @ Stage::Waiting(_) if self.streams < limits.decoders || is_front => {
                    if let Stage::Waiting(feed) = std::mem::replace(stage, Stage::Stream(VecDeque::new())) {
                        self.streams += 1;
                        return Step::Start(file, feed);
                    }
                }
                Stage::Waiting(_) => slot_wanted = true,
                _ => {}
            }
            if found.is_some() {
                break;
            }
            earlier_claimed &= matches!(active.stage, Stage::Claimed);
            is_front = false;
            if limits.in_order && !earlier_claimed {
                break;
            }
        }
        if let Some((file, step)) = found {
            self.claim(file, limits);
            return step;
        }
        while limits.done(self.unopened) == InputOptions::ALL && self.origins.next().is_some() {
            self.unopened += 1;
        }
        // One file at most waits for a slot, apart from those that are being opened: no use in opening more.
        if (self.active.is_empty() || later_has_room)
            && !slot_wanted
            && let Some(origin) = self.origins.next()
        {
            let file = self.unopened;
            self.unopened += 1;
            self.active.insert(file, Active { stage: Stage::Opening, outstanding: 0, failed: None });
            return Step::Open(file, origin);
        }
        if earlier_claimed && self.origins.len() == 0 { Step::End } else { Step::Wait }
    }

    /// Counts a claimed block. Without a window it is retired at once.
    fn claim(&mut self, file: u32, limits: &Limits) {
        if let Some(active) = self.active.get_mut(&file) {
            active.outstanding += 1;
            self.outstanding += 1;
        }
        if limits.window.is_none() {
            self.retire(file);
        }
    }

    /// Counts a block as done with.
    pub(super) fn retire(&mut self, file: u32) {
        let Some(active) = self.active.get_mut(&file) else { return };
        if active.outstanding == 0 {
            return;
        }
        active.outstanding -= 1;
        self.outstanding -= 1;
        if active.outstanding == 0 && matches!(active.stage, Stage::Claimed) && active.failed.is_none() {
            self.active.remove(&file);
        }
    }

    /// Takes note of how the file that a worker was told to open is read.
    pub(super) fn opened(&mut self, file: u32, opened: Opened, limits: &Limits) {
        if let Some(active) = self.active.get_mut(&file) {
            active.stage = match opened {
                Opened::Plain(plain) => {
                    Stage::Plain { chunks: plain.chunks(limits.block), next: limits.done(file), plain: Arc::new(plain) }
                }
                Opened::Stream(feed) => Stage::Waiting(feed),
            };
        }
    }

    /// Takes note that block `index` of a file cannot be had. The blocks before it can still be claimed.
    pub(super) fn failed(&mut self, file: u32, index: u64, error: Error) {
        // The file is not active any more if the block was the last that was claimed of it.
        let active = self.active.entry(file).or_insert(Active { stage: Stage::Claimed, outstanding: 0, failed: None });
        if !matches!(active.stage, Stage::Stream(_)) {
            active.stage = Stage::Claimed;
        }
        if active.failed.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
            active.failed = Some((index, error));
        }
    }

    /// The queue of a file's reader thread.
    pub(super) fn queue(&mut self, file: u32) -> Option<&mut VecDeque<Block>> {
        match self.active.get_mut(&file).map(|active| &mut active.stage) {
            Some(Stage::Stream(queue)) => Some(queue),
            _ => None,
        }
    }

    /// Whether the file's reader thread may queue one more block.
    pub(super) fn has_room(&mut self, file: u32) -> bool {
        self.queue(file).is_none_or(|queue| queue.len() < QUEUE)
    }

    /// Whether `file` is the earliest that is not completely retired.
    pub(super) fn is_front(&self, file: u32) -> bool {
        self.active.first_key_value().is_none_or(|(&front, _)| front == file)
    }

    /// Gives nothing out any more. What is dropped here goes to the caller, to be dropped outside of the lock.
    pub(super) fn stop(&mut self) -> impl Sized + use<> {
        self.stopped = true;
        self.outstanding = 0;
        (std::mem::take(&mut self.active), std::mem::take(&mut self.spare), std::mem::take(&mut self.origins))
    }
}
