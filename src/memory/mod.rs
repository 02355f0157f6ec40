//! The memory of one run: what grows with the data reserves here before it allocates.

mod arena;
mod interner;
mod pages;
mod records;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind, Result};

pub use arena::{ByteArena, Handle};
pub use interner::{HashedKey, Interner, LookedUp};
pub use pages::Pages;
pub use records::{Records, Stretch};

/// The memory that one run may hold, shared by everything in it that grows with the data.
#[derive(Clone, Debug)]
pub struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Budget {
        Budget(Arc::new(State { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) }))
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// The most bytes that were reserved at one time.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// An empty reservation that names its holder in errors (`"groups"`, `"sorted rows"`).
    pub fn reservation(&self, holder: &'static str) -> Reservation {
        Reservation { budget: self.clone(), holder, bytes: 0 }
    }
}

/// Bytes taken from a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    holder: &'static str,
    bytes: usize,
}

impl Reservation {
    /// The bytes that this reservation holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets the bytes held to `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the budget has not that much left; the reservation is then unchanged.
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        if bytes == self.bytes {
            return Ok(());
        }
        let state = &self.budget.0;
        if bytes < self.bytes {
            state.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return Ok(());
        }
        let more = bytes - self.bytes;
        let before = state.used.fetch_add(more, Ordering::Relaxed);
        let after = before.saturating_add(more);
        if after > state.limit {
            state.used.fetch_sub(more, Ordering::Relaxed);
            let message = format!("the memory limit of {} MiB does not hold the {}", state.limit >> 20, self.holder);
            let needed = after.div_ceil(1 << 20);
            return Err(Error::new(ErrorKind::Resource, message)
                .hint(format!("more than {needed} MiB are needed: raise --memory-limit, or ask for less at a time")));
        }
        state.peak.fetch_max(after, Ordering::Relaxed);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_reservation_changes_nothing() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.reservation("a"), budget.reservation("b"));
        a.resize(60).unwrap();
        assert_eq!(b.resize(41).unwrap_err().kind(), ErrorKind::Resource);
        assert_eq!(b.bytes(), 0);
        b.resize(40).unwrap();
        assert!(a.resize(61).is_err());
        drop(a);
        b.resize(100).unwrap();
        assert_eq!(budget.peak(), 100);
    }
}
