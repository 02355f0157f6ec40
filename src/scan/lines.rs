//! The lines of a block, one after the other: rows, rejects and blank lines.
//!
//! Where lines end, and what is to be validated as UTF-8, is found for a stretch of lines at a time, while it comes into the
//! first cache. Then the lines are walked, a few at a time where that goes well.

use super::links::{Links, NO_LINK, START};
use super::places::Places;
use super::rows::Rows;
use super::simd::{Kernel, LineMasks, Task, Text};
use super::together::Together;
use super::walk::{Fault, Progress, Scratch, Walk, space};
use super::{Batch, Reason, Reject, Span};

/// The bytes of lines that are looked at before they are walked.
const STRETCH: usize = 16 << 10;
/// The lines that are walked together.
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

/// How well it went to walk lines together. Lines of changing shapes are better walked one by one.
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

    #[inline(always)]
    fn tries(&mut self) -> bool {
        if self.alone > 0 {
            self.alone -= 1;
        }
        self.alone == 0
    }

    #[inline(always)]
    fn note(&mut self, success: bool) {
        if success {
            self.failures = self.failures.saturating_sub(1);
        } else {
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
        while let [end, rest @ ..] = left {
            self.rows.make_room(LANES, &mut self.batch.columns);
            if let Some((ends, rest)) = left.split_first_chunk::<LANES>()
                && valid
                && ends[LANES - 1].wrapping_sub(start as u32) as usize <= self.max_line
                && self.luck.tries()
            {
                self.together(kernel, start, ends.map(|end| end as usize), valid);
                start = ends[LANES - 1] as usize + 1;
                left = rest;
            } else {
                let end = *end as usize;
                self.finish(kernel, start, end, Progress { link: START, at: start }, valid);
                start = end + 1;
                left = rest;
            }
        }
        *self.ends = ends;
    }

    /// Reads the lines from `start` on that end at `ends`.
    #[inline(always)]
    fn together<K: Kernel>(&mut self, kernel: K, start: usize, ends: [usize; LANES], valid: bool) {
        let mut starts = [start; LANES];
        for lane in 1..LANES {
            starts[lane] = ends[lane - 1] + 1;
        }
        let rows = self.rows.next_rows::<LANES>();
        let (block, links) = (self.block, &mut *self.links);
        let (link, at) = kernel.run_apart(Together { block, links, rows, from: START, at: starts, ends });
        let done = link == NO_LINK;
        self.luck.note(done);
        for lane in 0..LANES {
            if done {
                self.accept(starts[lane], ends[lane]);
            } else {
                self.finish(kernel, starts[lane], ends[lane], Progress { link, at: at[lane] }, valid);
            }
        }
    }

    /// Reads the rest of a line, and adds a row or a reject, or nothing for a blank line.
    #[inline(always)]
    fn finish<K: Kernel>(&mut self, kernel: K, start: usize, end: usize, progress: Progress, valid: bool) {
        // A line that is too long is not walked; with its line end it may be one byte longer than it is.
        let result = if end - start <= self.max_line + 1 { self.walk(kernel, end, progress) } else { Ok(()) };
        if result.is_ok() && valid && end - start <= self.max_line && space(self.block, start) < end {
            self.accept(start, end);
        } else {
            self.settle(start, end, result, valid);
        }
    }

    /// Walks the rest of a line, out of line.
    #[inline(always)]
    fn walk<K: Kernel>(&mut self, kernel: K, end: usize, progress: Progress) -> Result<(), Fault> {
        let Lines { block, places, links, rows, scratch, max_depth, .. } = self;
        let row = rows.row();
        kernel.run_apart(Rest {
            walk: Walk { block, places, links, row, scratch, max_depth: *max_depth },
            progress,
            end,
        })
    }

    /// Adds a row.
    #[inline(always)]
    fn accept(&mut self, start: usize, end: usize) {
        let end = end - usize::from(end < self.block.len() && end > start && self.block[end - 1] == b'\r');
        self.batch.rows.push(Span { start: start as u32, end: end as u32 });
        self.batch.lines += 1;
        self.rows.keep();
    }

    /// Adds a row or a reject, or nothing, for a line that needs a closer look: it has a fault, or it is to be validated as
    /// UTF-8, or it may be too long or blank.
    #[cold]
    #[inline(never)]
    fn settle(&mut self, start: usize, end: usize, result: Result<(), Fault>, valid: bool) {
        let line = &self.block[start..end];
        let line = if end < self.block.len() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        let mut fault = result.err();
        if line.len() > self.max_line {
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

/// The rest of one line.
struct Rest<'a> {
    walk: Walk<'a>,
    progress: Progress,
    end: usize,
}

impl Task for Rest<'_> {
    type Output = Result<(), Fault>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Rest { mut walk, mut progress, end } = self;
        loop {
            let together = Together {
                block: walk.block,
                links: &mut *walk.links,
                rows: [&mut *walk.row],
                from: progress.link,
                at: [progress.at],
                ends: [end],
            };
            let (link, [at]) = together.run(kernel);
            if link == NO_LINK {
                return Ok(());
            }
            match kernel.run_apart(Advance(&mut walk, Progress { link, at }, end))? {
                Some(further) => progress = further,
                None => return Ok(()),
            }
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
        let text = Text::new(block);
        // Room for a newline in each byte of the stretch, of the window at its end, and of what may be behind that.
        ends.resize(STRETCH + 3 * 64, 0);
        let (mut count, mut non_ascii, mut at) = (0, 0, start);
        while let Some(ahead) = text.ahead(at) {
            let LineMasks { mut newlines, non_ascii: more } = kernel.line_masks(ahead.window());
            non_ascii |= more;
            // A window has one newline or none, mostly: that is no branch, as it would be hard to predict.
            ends[count] = at as u32 + newlines.trailing_zeros();
            count += usize::from(newlines != 0);
            newlines &= newlines.wrapping_sub(1);
            while newlines != 0 {
                ends[count] = at as u32 + newlines.trailing_zeros();
                count += 1;
                newlines &= newlines - 1;
            }
            at += 64;
            if at - start >= STRETCH && count > 0 {
                return (count, non_ascii != 0);
            }
        }
        let rest = block.get(at..).unwrap_or_default();
        let unended = block.last().is_some_and(|&byte| byte != b'\n').then_some(block.len());
        for end in memchr::memchr_iter(b'\n', rest).map(|found| at + found).chain(unended) {
            ends[count] = end as u32;
            count += 1;
        }
        (count, non_ascii != 0 || !rest.is_ascii())
    }
}
