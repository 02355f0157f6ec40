//! What children write to standard error: passed on line by line, each with the batch that it belongs to.

use std::sync::Arc;

/// Longer lines are passed on in pieces of this size.
const LONGEST: usize = 8 << 10;
/// How much of the end is kept.
const TAIL: usize = 500;

/// Takes whole lines that children have written to standard error.
pub type Tell = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// The lines of one child.
pub(super) struct Told {
    tell: Tell,
    batch: u64,
    /// A line without its end.
    begun: Vec<u8>,
    tail: Vec<u8>,
    ready: Vec<u8>,
}

impl Told {
    pub(super) fn new(tell: Tell, batch: u64) -> Told {
        Told { tell, batch, begun: Vec::new(), tail: Vec::new(), ready: Vec::new() }
    }

    /// Says that what comes now belongs to another batch.
    pub(super) fn set_batch(&mut self, batch: u64) {
        self.end();
        self.batch = batch;
        self.tail.clear();
    }

    /// Takes what has come.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            for piece in piece.chunks(LONGEST) {
                self.begun.extend_from_slice(piece);
                if self.begun.ends_with(b"\n") || self.begun.len() >= LONGEST {
                    self.end_line();
                }
            }
        }
        self.pass_on();
    }

    /// Passes a last line on that has no end.
    pub(super) fn end(&mut self) {
        self.end_line();
        self.pass_on();
    }

    /// The last bytes that came.
    pub(super) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).trim().to_owned()
    }

    fn end_line(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        self.ready.extend_from_slice(format!("[batch {}] ", self.batch).as_bytes());
        self.ready.append(&mut self.begun);
        if !self.ready.ends_with(b"\n") {
            self.ready.push(b'\n');
        }
    }

    fn pass_on(&mut self) {
        if !self.ready.is_empty() {
            (self.tell)(&self.ready);
            self.ready.clear();
        }
    }
}
