//! Rows of groups that are written once, however many groups have them.
//!
//! The rows that were written are kept in memory while they fit. Those that come later, and are not among them, go to a
//! sorter by what they hold, where equal ones meet; then the first of each is brought back into the order of the groups.

use hashbrown::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Reservation, allocated};
use crate::sort::Sorter;
use crate::spill::Space;
use crate::value::leb128;

pub(super) struct DistinctRows {
    /// The rows that were written, encoded.
    seen: HashSet<Box<[u8]>>,
    /// The bytes of these.
    bytes: usize,
    reservation: Reservation,
    /// The rows that came when no more could be kept.
    late: Option<Sorter>,
    budget: Budget,
    space: Space,
}

impl DistinctRows {
    pub(super) fn new(budget: &Budget, space: &Space) -> DistinctRows {
        let share = budget.left() / 6;
        DistinctRows {
            seen: HashSet::new(),
            bytes: 0,
            reservation: budget.part(share).reservation("distinct rows"),
            late: None,
            budget: budget.part(share),
            space: space.clone(),
        }
    }

    /// Whether an encoded row is to be written now, as none before it was equal. [`None`] if that is not known yet: then it
    /// is to be given to [`push_late`](DistinctRows::push_late).
    pub(super) fn is_new(&mut self, encoded: &[u8]) -> Option<bool> {
        if self.seen.contains(encoded) {
            return Some(false);
        }
        let grows = self.seen.len() == self.seen.capacity();
        let table = self.seen.allocation_size().max(64) * if grows { 3 } else { 1 };
        let bytes = self.bytes + allocated(encoded.len());
        if self.late.is_some() || !self.reservation.try_resize(allocated(table) + bytes) {
            return None;
        }
        self.bytes = bytes;
        self.seen.insert(encoded.into());
        Some(true)
    }

    /// Keeps a row for later. `order` has its place among all rows, and is unique.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub(super) fn push_late(&mut self, encoded: &[u8], order: &[u8], row: &[u8]) -> Result<()> {
        let late = self.late.get_or_insert_with(|| Sorter::new(None, &self.budget, &self.space));
        let mut payload = Vec::with_capacity(encoded.len() + order.len() + row.len() + 8);
        leb128::put_bytes(encoded, &mut payload);
        leb128::put_bytes(order, &mut payload);
        payload.extend_from_slice(row);
        // No encoded row is the start of another.
        late.push(&[encoded, order].concat(), &payload)
    }

    /// Gives the first of each of the rows that were kept for later to a sorter, by its place.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub(super) fn take_late(&mut self, to: &mut Sorter) -> Result<()> {
        self.seen = HashSet::new();
        self.reservation.resize(0)?;
        let Some(late) = self.late.take() else { return Ok(()) };
        let mut rows = Sorter::finish(vec![late], &self.budget)?;
        let mut last = Vec::new();
        while rows.advance()? {
            let mut row = rows.row();
            let parts = leb128::take_bytes(&mut row).and_then(|encoded| Some((encoded, leb128::take_bytes(&mut row)?)));
            let Some((encoded, order)) = parts else {
                return Err(Error::new(ErrorKind::Internal, "a row that was kept for later cannot be read"));
            };
            // A row has at least one value, so that no encoded one is empty.
            if encoded != last {
                last.clear();
                last.extend_from_slice(encoded);
                to.push(order, row)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_once_in_their_order_whatever_fits() {
        for memory in [6 << 20, 64 << 20] {
            let (budget, space) = (Budget::new(memory), Space::new(std::env::temp_dir(), None));
            let mut distinct = DistinctRows::new(&budget, &space);
            let mut rows = Vec::new();
            for number in 0..40_000_u32 {
                let encoded = (number.wrapping_mul(0x9e37_79b9) % 15_000).to_be_bytes();
                match distinct.is_new(&encoded) {
                    Some(true) => rows.push(number),
                    Some(false) => {}
                    None => distinct.push_late(&encoded, &number.to_be_bytes(), &number.to_be_bytes()).unwrap(),
                }
            }
            assert_eq!(distinct.late.is_some(), memory == 6 << 20);
            let mut sorter = Sorter::new(None, &Budget::new(64 << 20), &space);
            distinct.take_late(&mut sorter).unwrap();
            let mut late = Sorter::finish(vec![sorter], &budget).unwrap();
            while late.advance().unwrap() {
                rows.push(u32::from_be_bytes(late.row().try_into().unwrap()));
            }
            let mut seen = HashSet::new();
            let expected: Vec<u32> =
                (0..40_000).filter(|number: &u32| seen.insert(number.wrapping_mul(0x9e37_79b9) % 15_000)).collect();
            assert!(rows == expected, "{memory}");
        }
    }
}
