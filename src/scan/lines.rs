//! The lines of a block, one after the other: rows, rejects and blank lines.
//!
//! Where lines end, and what is to be validated as UTF-8, is found for a stretch of lines at a time, while it comes into the
//! first cache. Then the lines are walked, a few at a time where that goes well.

use super::links::{Links, NO_LINK, START};
use super::places::Places;
use super::rows::Rows;
use super::simd::{Kernel, Task, Text, Window, Windows};
use super::together::{Together, Walked, follow};
use super::walk::{Fault, Progress, Scratch, Walk, space};
use super::{Batch, Reason, Reject, Span};

/// The bytes of lines that are looked at before they are walked.
const STRETCH: usize = 16 << 10;
/// The bytes in which line ends are searched at once.
const WINDOWS: usize = size_of::<Windows>();
/// The lines that are walked in step.
const LANES: usize = 2;

/// Reads all lines of a block.
pub(super) struct Lines<'a> {
    pub block: &'a [u8],
    pub places: &'a mut Places,
    pub links: &'a mut Links,
    pub rows: &'a mut Rows,
    pub scratch: &'a mut Scratch,
    pub ends: &'a mut Vec<u32>,
    pub luck: &'a mut Luck,
    pub batch: &'a mut Batch,
    pub max_line: usize,
    pub max_depth: u32,
}

/// How well it went to walk lines in step. Lines of changing shapes are better walked one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Luck {
    /// High after failures.
    failures: u32,
    /// The lines that are walked one by one before it is tried again.
    alone: u32,
}

impl Luck {
    const MOST_FAILURES: u32 = 8;
    const ALONE: u32 = 64;

    /// Notes how many groups of lines were walked in step, and whether another could not be.
    #[inline(always)]
    fn note(&mut self, groups: usize, failed: bool) {
        self.failures = self.failures.saturating_sub(groups as u32);
        if failed {
            self.failures += 2;
            if self.failures >= Self::MOST_FAILURES {
                self.failures = Self::MOST_FAILURES - 2;
                self.alone = Self::ALONE;
            }
        }
    }
}

impl Task for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self, kernel: K) {
        let mut start = 0;
        while start < self.block.len() {
            let (lines, non_ascii) = kernel.run_apart(Ends { block: self.block, start, ends: &mut *self.ends });
            let past = self.ends[lines - 1] as usize;
            let valid = !non_ascii || simdutf8::basic::from_utf8(&self.block[start..past]).is_ok();
            self.stretch(kernel, start, lines, valid);
            start = past + 1;
        }
        self.rows.flush(&mut self.batch.columns);
    }
}

impl Lines<'_> {
    /// Reads as many lines from `start` on, which end at `ends`.
    #[inline(always)]
    fn stretch<K: Kernel>(&mut self, kernel: K, mut start: usize, lines: usize, valid: bool) {
        let ends = std::mem::take(self.ends);
        let mut left = &ends[..lines];
        while !left.is_empty() {
            self.rows.make_room(LANES, &mut self.batch.columns);
            let done = if !valid {
                self.finish(kernel, start, left[0] as usize, Progress { link: START, at: start }, false, valid);
                1
            } else if self.luck.alone > 0 {
                let most = left.len().min(self.luck.alone as usize);
                let (done, _) = self.together::<K, 1>(kernel, start, &left[..most]);
                self.luck.alone -= done as u32;
                done
            } else {
                let (done, failed) = self.together::<K, LANES>(kernel, start, left);
                self.luck.note(done / LANES - usize::from(failed), failed);
                done
            };
            start = left[done - 1] as usize + 1;
            left = &left[done..];
        }
        *self.ends = ends;
    }

    /// Reads lines from `start` on that end at `ends`, `L` at a time in step, and once that fails these one by
    /// one; or a line alone if there are fewer or one is too long. Gives the number of lines, and whether it failed.
    #[inline(always)]
    fn together<K: Kernel, const L: usize>(&mut self, kernel: K, start: usize, ends: &[u32]) -> (usize, bool) {
        let Lines { block, max_line, .. } = *self;
        let (links, rows, records) = (&*self.links, &mut *self.rows, &mut self.batch.rows);
        let lines = Together::<L> { block, links, rows, records, start, ends, max_line };
        let (mut done, walked) = kernel.run_apart(lines);
        self.batch.lines += done as u64;
        let left = if walked.is_some() { L } else { usize::from(done == 0) };
        for lane in 0..left {
            let start = if done == 0 { start } else { ends[done - 1] as usize + 1 };
            let progress = match &walked {
                Some(Walked { link, at }) => Progress { link: *link, at: at[lane] },
                None => Progress { link: START, at: start },
            };
            let is_stuck = walked.is_some() && L == 1;
            self.finish(kernel, start, ends[done] as usize, progress, is_stuck, true);
            done += 1;
        }
        (done, walked.is_some())
    }

    /// Reads the rest of a line, and adds a row or a reject, or nothing for a blank line. Where it is stuck, no link that is
    /// known leads on.
    #[inline(always)]
    fn finish<K: Kernel>(
        &mut self,
        kernel: K,
        start: usize,
        end: usize,
        progress: Progress,
        is_stuck: bool,
        valid: bool,
    ) {
        // A line that is too long is not walked.
        let result = if end - start <= self.max_line { self.walk(kernel, end, progress, is_stuck) } else { Ok(()) };
        if result.is_ok() && valid && end - start <= self.max_line && space(self.block, start) < end {
            self.accept(start, end);
        } else {
            self.settle(start, end, result, valid);
        }
    }

    /// Walks the rest of a line, out of line.
    #[inline(always)]
    fn walk<K: Kernel>(&mut self, kernel: K, end: usize, progress: Progress, is_stuck: bool) -> Result<(), Fault> {
        let Lines { block, places, links, rows, scratch, max_depth, .. } = self;
        let row = rows.row();
        kernel.run_apart(Rest {
            walk: Walk { block, places, links, row, scratch, max_depth: *max_depth },
            progress,
            is_stuck,
            end,
        })
    }

    /// Adds a row.
    #[inline(always)]
    fn accept(&mut self, start: usize, end: usize) {
        self.batch.rows.push(span_of(self.block, start, end));
        self.batch.lines += 1;
        self.rows.keep(1);
    }

    /// Adds a row or a reject, or nothing, for a line that needs a closer look: it has a fault, or it is to be validated as
    /// UTF-8, or it may be too long or blank.
    #[cold]
    #[inline(never)]
    fn settle(&mut self, start: usize, end: usize, result: Result<(), Fault>, valid: bool) {
        let line = &self.block[start..end];
        let line = if end < self.block.len() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        let mut fault = result.err();
        if end - start > self.max_line {
            fault = Some(Fault { reason: Reason::TooLong, at: start + self.max_line });
        } else if space(self.block, start) >= end {
            self.batch.lines += 1;
            self.rows.discard();
            return;
        } else if let Some(fault) = &mut fault
            && fault.at >= start + line.len()
        {
            *fault = Fault { reason: Reason::UnexpectedEnd, at: start + line.len() };
        } else if fault.is_none()
            && !valid
            && let Err(error) = std::str::from_utf8(line)
        {
            fault = Some(Fault { reason: Reason::BadUtf8, at: start + error.valid_up_to() });
        }
        match fault {
            None => self.accept(start, end),
            Some(Fault { reason, at }) => {
                let span = Span { start: start as u32, end: (start + line.len()) as u32 };
                self.batch.rejects.push(Reject { line: self.batch.lines, span, reason, at: (at - start) as u32 });
                self.batch.lines += 1;
                self.rows.discard();
            }
        }
    }
}

/// The line without its line end, which is at `end`.
#[inline(always)]
pub(super) fn span_of(block: &[u8], start: usize, end: usize) -> Span {
    let end = end - usize::from(end < block.len() && end > start && block[end - 1] == b'\r');
    Span { start: start as u32, end: end as u32 }
}

/// The rest of one line.
struct Rest<'a> {
    walk: Walk<'a>,
    progress: Progress,
    is_stuck: bool,
    end: usize,
}

impl Task for Rest<'_> {
    type Output = Result<(), Fault>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Rest { mut walk, mut progress, mut is_stuck, end } = self;
        let (block, text) = (walk.block, Text::new(walk.block));
        loop {
            if !is_stuck {
                let Progress { link, at } = progress;
                let (link, [at]) = follow(kernel, text, block, walk.links, walk.row, link, [at], [end]);
                if link == NO_LINK {
                    return Ok(());
                }
                progress = Progress { link, at };
            }
            match kernel.run_apart(Advance(&mut walk, progress, end))? {
                Some(further) => progress = further,
                None => return Ok(()),
            }
            is_stuck = false;
        }
    }
}

/// One step of a walk.
struct Advance<'w, 'a>(&'w mut Walk<'a>, Progress, usize);

impl Task for Advance<'_, '_> {
    type Output = Result<Option<Progress>, Fault>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        self.0.advance(kernel, self.1, self.2)
    }
}

/// Finds the ends of the lines from `start` on, for a stretch that has at least one: the newlines, or the end of the block.
struct Ends<'a> {
    block: &'a [u8],
    start: usize,
    /// Where to put them; kept at its length.
    ends: &'a mut Vec<u32>,
}

impl Task for Ends<'_> {
    /// How many there are, and whether there is anything but ASCII in the stretch.
    type Output = (usize, bool);

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Ends { block, start, ends } = self;
        // Room for a newline in each byte of the stretch, of the windows at its end, and of what may be behind these.
        ends.resize(STRETCH + 3 * WINDOWS, 0);
        let ends = ends.as_mut_slice();
        let (mut count, mut has_non_ascii, mut at) = (0, false, start);
        while let Some(bytes) = block.get(at..).and_then(|rest| rest.first_chunk::<WINDOWS>())
            && let Some(windows) = bytes.as_chunks().0.as_array()
        {
            let masks = kernel.line_masks(windows);
            has_non_ascii |= masks.has_non_ascii;
            for mut newlines in masks.newlines {
                // A window has one newline or none, mostly: that is no branch, as it would be hard to predict.
                ends[count] = at as u32 + newlines.trailing_zeros();
                count += usize::from(newlines != 0);
                newlines &= newlines.wrapping_sub(1);
                while newlines != 0 {
                    ends[count] = at as u32 + newlines.trailing_zeros();
                    count += 1;
                    newlines &= newlines - 1;
                }
                at += size_of::<Window>();
            }
            if at - start >= STRETCH && count > 0 {
                return (count, has_non_ascii);
            }
        }
        let rest = block.get(at..).unwrap_or_default();
        let unended = block.last().is_some_and(|&byte| byte != b'\n').then_some(block.len());
        for end in memchr::memchr_iter(b'\n', rest).map(|found| at + found).chain(unended) {
            ends[count] = end as u32;
            count += 1;
        }
        (count, has_non_ascii || !rest.is_ascii())
    }
}
