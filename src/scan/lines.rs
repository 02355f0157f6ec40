//! The lines of a block, one after the other: rows, rejects and blank lines.
//!
//! Line ends are not searched in advance: the walk stops at the first newline by itself. Only after a fault is the
//! line's end searched.

use super::fields::{Left, fields};
use super::simd::{Kernel, Task};
use super::trie::ROOT;
use super::walk::{Begun, Fault, Walk, cell, first_key, peek};
use super::{Batch, Kind, Reason, Reject, Span};

/// Reads all lines of a block.
pub(super) struct Lines<'a> {
    pub walk: Walk<'a>,
    pub batch: &'a mut Batch,
    pub max_line: usize,
}

impl Task for Lines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self, kernel: K) {
        let block = self.walk.block;
        let mut at = 0;
        while at < block.len() {
            let start = at;
            let first = self.walk.space(start);
            let result = if peek(block, first) == b'\n' { Ok(first) } else { self.line(kernel, first) };
            at = match result {
                Ok(end) if end - start <= self.max_line && !self.walk.non_ascii => {
                    if first < end {
                        self.accept(start, end);
                    }
                    end
                }
                result => self.settle(start, first, result),
            };
            self.batch.lines += 1;
            at += 1;
        }
        self.walk.rows.flush(&mut self.batch.columns);
    }
}

impl Lines<'_> {
    /// Reads the line whose value begins at `at`, and gives the index of its end.
    ///
    /// The usual line, an object of fields as they are expected, is done here; others are finished by the walk.
    #[inline(always)]
    fn line<K: Kernel>(&mut self, kernel: K, at: usize) -> Result<usize, Fault> {
        let Walk { block, trie, rows, max_depth, .. } = &mut self.walk;
        let mut last = trie.head(ROOT);
        if peek(block, at) == b'{'
            && *max_depth > 0
            && let Some(value) = first_key(kernel, block, trie, at + 1, &mut last)
        {
            let (stop, left) = fields(kernel, block, value, trie, &mut last, rows.row());
            if left == Left::After && block.get(stop..).and_then(|rest| rest.first_chunk()) == Some(b"}\n") {
                rows.set(trie.root_slot(), cell(Kind::Object, at, stop + 1));
                return Ok(stop + 1);
            }
            let begun = Some(Begun { start: at, last, left });
            return finish(kernel, &mut self.walk, stop, begun);
        }
        finish(kernel, &mut self.walk, at, None)
    }

    /// Adds a row.
    #[inline(always)]
    fn accept(&mut self, start: usize, end: usize) {
        let end = end - usize::from(end < self.walk.block.len() && self.walk.block[end - 1] == b'\r');
        self.batch.rows.push(Span { start: start as u32, end: end as u32 });
        self.walk.rows.keep(&mut self.batch.columns);
    }

    /// Adds a row or a reject for a line that needs a closer look: it has a fault, or it is to be validated as UTF-8,
    /// or it may be too long. Gives the index of the line's end.
    #[inline(never)]
    fn settle(&mut self, start: usize, first: usize, result: Result<usize, Fault>) -> usize {
        let (end, mut fault) = match result {
            Ok(end) => (end, None),
            Err(fault) => {
                let rest = self.walk.block.get(fault.at..).unwrap_or_default();
                (fault.at.min(self.walk.block.len()) + memchr::memchr(b'\n', rest).unwrap_or(rest.len()), Some(fault))
            }
        };
        let line = &self.walk.block[start..end];
        let line = if end < self.walk.block.len() { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        if line.len() > self.max_line {
            fault = Some(Fault { reason: Reason::TooLong, at: start + self.max_line });
        } else if let Some(fault) = &mut fault
            && fault.at >= start + line.len()
        {
            *fault = Fault { reason: Reason::UnexpectedEnd, at: start + line.len() };
        } else if fault.is_none()
            && self.walk.non_ascii
            && simdutf8::basic::from_utf8(line).is_err()
            && let Err(error) = std::str::from_utf8(line)
        {
            fault = Some(Fault { reason: Reason::BadUtf8, at: start + error.valid_up_to() });
        }
        self.walk.non_ascii = false;
        match fault {
            None if first < end => self.accept(start, end),
            None => {}
            Some(Fault { reason, at }) => {
                let span = Span { start: start as u32, end: (start + line.len()) as u32 };
                self.batch.rejects.push(Reject { line: self.batch.lines, span, reason, at: (at - start) as u32 });
                self.walk.rows.discard();
                self.walk.stack.clear();
            }
        }
        end
    }
}

/// Lets the walk read a line, out of line.
#[inline(never)]
fn finish<K: Kernel>(kernel: K, walk: &mut Walk<'_>, at: usize, begun: Option<Begun>) -> Result<usize, Fault> {
    struct Finish<'w, 'a>(&'w mut Walk<'a>, usize, Option<Begun>);
    impl Task for Finish<'_, '_> {
        type Output = Result<usize, Fault>;

        #[inline(always)]
        fn run<K: Kernel>(self, kernel: K) -> Self::Output {
            self.0.line(kernel, self.1, self.2)
        }
    }
    kernel.run(Finish(walk, at, begun))
}
