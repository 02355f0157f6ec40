//! The memory of one run: what grows with the data reserves here before it allocates.

mod arena;
mod interner;
mod page_vec;
mod pages;
mod raw;
mod records;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind, Result};

pub use arena::{ByteArena, Handle};
pub use interner::{HashedKey, Interner, LookedUp};
pub use page_vec::PageVec;
pub use pages::Pages;
pub use raw::{NEW, NewRow, RawColumn, RawKey, RawMap};
pub use records::{Records, Stretch};

/// The memory that one run may hold, shared by everything in it that grows with the data; or a part of that.
#[derive(Clone, Debug)]
pub struct Budget(Arc<State>);

#[derive(Debug, Default)]
struct State {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// The budget that this one is a part of.
    whole: Option<Budget>,
    /// Where it has from what goes beyond its limit.
    pool: Option<Budget>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Budget {
        Budget(Arc::new(State { limit, ..State::default() }))
    }

    /// A budget of `limit` bytes, all of which count in this one, too.
    pub fn part(&self, limit: usize) -> Budget {
        Budget(Arc::new(State { limit, whole: Some(self.clone()), ..State::default() }))
    }

    /// A part of `limit` bytes that nobody else takes, and beyond them of what a pool has left, which is another part of this
    /// budget.
    pub fn part_with_pool(&self, limit: usize, pool: &Budget) -> Budget {
        Budget(Arc::new(State { limit, whole: Some(self.clone()), pool: Some(pool.clone()), ..State::default() }))
    }

    /// The bytes that are not reserved.
    pub fn left(&self) -> usize {
        let own = self.0.limit.saturating_sub(self.0.used.load(Ordering::Relaxed));
        let left = self.0.pool.as_ref().map_or(own, |pool| own + pool.left());
        self.0.whole.as_ref().map_or(left, |whole| left.min(whole.left()))
    }

    /// The limit of all that this is a part of, in bytes.
    fn whole_limit(&self) -> usize {
        self.0.whole.as_ref().map_or(self.0.limit, Budget::whole_limit)
    }

    /// The limit in bytes, without a pool.
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

impl State {
    /// Takes bytes.
    ///
    /// # Errors
    /// The limit that all memory would have to have, if there is not that much left.
    fn take(&self, bytes: usize) -> Result<(), usize> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let after = before.saturating_add(bytes);
        let beyond = self.of_pool(before, after);
        let own = bytes - beyond;
        // What is refused here is not taken elsewhere first, where it would be missing to others, and count in the peak.
        let pool = match &self.pool {
            Some(pool) => pool.0.take(beyond).map_err(|_| self.needed(after)),
            None if after > self.limit => Err(self.needed(after)),
            None => Ok(()),
        };
        let whole = |()| self.whole.as_ref().map_or(Ok(()), |whole| whole.0.take(own));
        let taken = pool.and_then(whole);
        match taken {
            Ok(()) => _ = self.peak.fetch_max(after, Ordering::Relaxed),
            Err(_) => {
                self.used.fetch_sub(bytes, Ordering::Relaxed);
                if let (Some(pool), Ok(())) = (&self.pool, pool) {
                    pool.0.give_back(beyond);
                }
            }
        }
        taken
    }

    /// How many of the bytes between two numbers of used ones are the pool's.
    fn of_pool(&self, less: usize, more: usize) -> usize {
        let beyond = |used: usize| used.saturating_sub(self.limit);
        self.pool.as_ref().map_or(0, |_| beyond(more) - beyond(less))
    }

    /// The limit that all memory would have to have for so many bytes here: a part is a share of the whole, which grows
    /// with it. Of one that is hardly there it is not known how large it would be, and the limit is raised a good deal.
    fn needed(&self, bytes: usize) -> usize {
        let whole = self.whole.as_ref().map_or(self.limit, Budget::whole_limit);
        let limit = self.limit + self.pool.as_ref().map_or(0, Budget::limit);
        let share = limit.max(whole / 64).max(1) as f64 / whole as f64;
        let least = if limit < whole / 64 { whole.saturating_mul(4) } else { 0 };
        ((bytes as f64 / share) as usize).max(least)
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        let beyond = self.of_pool(before - bytes, before);
        if let Some(whole) = &self.whole {
            whole.0.give_back(bytes - beyond);
        }
        if let Some(pool) = &self.pool {
            pool.0.give_back(beyond);
        }
    }
}

/// The bytes that the allocator takes for an allocation of so many: it keeps a note beside each, and rounds up.
#[inline]
pub const fn allocated(bytes: usize) -> usize {
    const NOTE: usize = 8;
    if bytes == 0 { 0 } else { (bytes + NOTE).next_multiple_of(16) + NOTE }
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

    /// The bytes that are not reserved by anyone.
    pub fn left(&self) -> usize {
        self.budget.left()
    }

    /// The limit of all memory that this is a part of, in bytes.
    pub fn whole_limit(&self) -> usize {
        self.budget.whole_limit()
    }

    /// Sets the bytes held to `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] when the budget has not that much left; the reservation is then unchanged.
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        self.set(bytes).map_err(|needed| {
            let limit = self.budget.whole_limit() >> 20;
            let message = format!("the memory limit of {limit} MiB does not hold the {}", self.holder);
            let needed = needed.div_ceil(1 << 20);
            Error::new(ErrorKind::Resource, message)
                .hint(format!("about {needed} MiB may do: raise --memory-limit, or ask for less at a time"))
        })
    }

    /// Sets the bytes held to `bytes`, if the budget has that much left; else the reservation is unchanged. Says whether it
    /// was done.
    #[must_use = "without the bytes nothing must grow"]
    pub fn try_resize(&mut self, bytes: usize) -> bool {
        self.set(bytes).is_ok()
    }

    fn set(&mut self, bytes: usize) -> Result<(), usize> {
        match bytes.checked_sub(self.bytes) {
            None => self.budget.0.give_back(self.bytes - bytes),
            Some(0) => {}
            Some(more) => self.budget.0.take(more)?,
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.give_back(self.bytes);
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

    #[test]
    fn the_limit_that_is_advised_is_higher() {
        let whole = Budget::new(64 << 20);
        for part in [0, 1, 1 << 10, 1 << 20, 32 << 20, 64 << 20] {
            let error = whole.part(part).reservation("runs").resize(part + 1).unwrap_err();
            let advised = error.advice().unwrap().split(' ').nth(1).unwrap().parse::<usize>().unwrap();
            assert!(advised > 64, "{part}: {advised}");
        }
    }

    #[test]
    fn what_is_beyond_a_part_comes_from_its_pool() {
        let whole = Budget::new(100);
        let pool = whole.part(50);
        let (one, two) = (whole.part_with_pool(20, &pool), whole.part_with_pool(20, &pool));
        let (mut a, mut b) = (one.reservation("a"), two.reservation("b"));
        assert_eq!((one.left(), whole.left()), (70, 100));
        assert!(!a.try_resize(71));
        assert!(a.try_resize(70));
        assert_eq!((one.left(), two.left(), pool.left(), whole.left()), (0, 20, 0, 30));
        // What is its own is there whatever others take.
        assert!(b.try_resize(20));
        assert!(!b.try_resize(21));
        assert!(a.try_resize(30));
        assert!(b.try_resize(60));
        assert!(!a.try_resize(31));
        assert_eq!((pool.left(), whole.left()), (0, 10));
        drop((a, b));
        assert_eq!((one.left(), two.left(), pool.left(), whole.left()), (70, 70, 50, 100));
        assert_eq!((one.peak(), two.peak(), pool.peak(), whole.peak()), (70, 60, 50, 90));
    }

    #[test]
    fn a_part_is_bounded_by_itself_and_by_the_whole() {
        let whole = Budget::new(100);
        let (small, large) = (whole.part(30), whole.part(1000));
        let (mut a, mut b) = (small.reservation("a"), large.reservation("b"));
        assert!(!a.try_resize(31));
        assert_eq!((small.left(), large.left(), whole.left()), (30, 100, 100));
        assert!(a.try_resize(30));
        assert!(!b.try_resize(71));
        assert!(b.try_resize(70));
        assert_eq!((small.left(), large.left(), whole.left()), (0, 0, 0));
        drop(b);
        assert_eq!((small.left(), large.left(), whole.left()), (0, 70, 70));
        assert_eq!((whole.peak(), small.peak(), large.peak()), (100, 30, 70));
    }
}
