//! Turns: threads make numbered things in any order, and hand them on in the order of their numbers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::error::Result;

/// Numbers to be taken by several threads, and whose turn it is.
///
/// Numbers are taken in their order and no thread has two, so the thread that has the lowest never waits.
pub(super) struct Turns {
    count: usize,
    taken: AtomicUsize,
    /// The number whose turn it is; [`None`] when no more are wanted.
    turn: Mutex<Option<usize>>,
    changed: Condvar,
}

impl Turns {
    /// The numbers from 0 to below `count`.
    pub(super) fn new(count: usize) -> Turns {
        Turns { count, taken: AtomicUsize::new(0), turn: Mutex::new(Some(0)), changed: Condvar::new() }
    }

    /// Does `make` with number after number, and `hand_on` with what it made when it is that number's turn. Ends when
    /// there are no more numbers, or none is wanted: `hand_on` said so, or one of them failed in this thread or another.
    ///
    /// # Errors
    /// The first error of this thread's; of all threads at most one gives an error, the one that comes first in the order
    /// of numbers.
    pub(super) fn work<T>(
        &self,
        mut make: impl FnMut(usize) -> Result<T>,
        mut hand_on: impl FnMut(T) -> Result<bool>,
    ) -> Result<()> {
        let _end = EndOnPanic(self);
        loop {
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.count || self.lock().is_none() {
                return Ok(());
            }
            let made = make(number);
            let ours = |turn: &mut Option<usize>| turn.is_some_and(|turn| turn != number);
            let turn = self.changed.wait_while(self.lock(), ours).unwrap_or_else(|poisoned| poisoned.into_inner());
            if turn.is_none() {
                return Ok(());
            }
            drop(turn);
            // The turn stays with this thread until it is passed on.
            let result = made.and_then(&mut hand_on);
            self.pass(matches!(result, Ok(true)).then_some(number + 1));
            if !result? {
                return Ok(());
            }
        }
    }

    fn pass(&self, turn: Option<usize>) {
        *self.lock() = turn;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<usize>> {
        self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Ends all turns when a thread panics: the others would wait for ever for the one that it had.
struct EndOnPanic<'t>(&'t Turns);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.pass(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    fn run(
        threads: usize,
        count: usize,
        make: impl Fn(usize) -> Result<usize> + Sync,
    ) -> (Vec<usize>, Vec<Result<()>>) {
        let (turns, handed) = (Turns::new(count), Mutex::new(Vec::new()));
        let hand_on = |number| {
            handed.lock().unwrap().push(number);
            Ok(number != 900)
        };
        let results = std::thread::scope(|scope| {
            let work = || turns.work(&make, hand_on);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))).collect()
        });
        (handed.into_inner().unwrap(), results)
    }

    #[test]
    fn things_are_handed_on_in_order_until_one_is_the_last() {
        for threads in [1, 2, 3, 8] {
            assert_eq!(run(threads, 500, Ok).0, (0..500).collect::<Vec<_>>());
            assert_eq!(run(threads, 1000, Ok).0, (0..=900).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_error_that_comes_first_is_the_one() {
        for threads in [1, 2, 3, 8] {
            let fail = |number: usize| match number {
                0..50 => Ok(number),
                _ => Err(Error::new(ErrorKind::Internal, format!("{number}"))),
            };
            let (handed, results) = run(threads, 500, fail);
            assert_eq!(handed, (0..50).collect::<Vec<_>>());
            let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
            assert_eq!(errors.len(), 1);
            assert!(errors[0].to_string().contains("50"), "{}", errors[0]);
        }
    }

    #[test]
    fn a_panic_ends_the_turns_of_all() {
        let (handed, _) = run(3, 500, |number| if number == 20 { panic!("as it is to") } else { Ok(number) });
        assert_eq!(handed, (0..20).collect::<Vec<_>>());
    }
}
