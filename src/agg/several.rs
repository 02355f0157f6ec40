//! `min(x, n)`, `max(x, n)`, `min_by(x, y, n)`, `max_by(x, y, n)`: arrays of the first values in an order.

use std::collections::BinaryHeap;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::partial::Partial;
use super::position::Position;
use super::superacc::damaged;
use crate::expr::Fault;
use crate::memory::allocated;
use crate::value::{Value, json, leb128};

/// The first values in the order of keys that come with them, at most so many as the second argument says.
#[derive(Default)]
pub(super) struct Several {
    most: usize,
    /// The last in the order is on top.
    entries: BinaryHeap<Entry>,
    /// The bytes of the entries.
    heap: usize,
}

/// Of equal keys the JSON decides, so that the order of rows does not: the shorter spelling of a number comes first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    order: Box<[u8]>,
    json: Box<[u8]>,
}

impl Entry {
    fn heap_size(&self) -> usize {
        allocated(self.order.len()) + allocated(self.json.len())
    }
}

impl Several {
    fn offer(&mut self, order: &[u8], json: &[u8]) {
        let is_full = self.entries.len() >= self.most;
        if is_full && self.entries.peek().is_none_or(|last| (order, json) >= (&*last.order, &*last.json)) {
            return;
        }
        if is_full && let Some(last) = self.entries.pop() {
            self.heap -= last.heap_size();
        }
        let entry = Entry { order: order.into(), json: json.into() };
        self.heap += entry.heap_size();
        self.entries.push(entry);
    }
}

impl Accumulator for Several {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| {
            leb128::put(state.most as u64, out);
            leb128::put(state.entries.len() as u64, out);
            for entry in &state.entries {
                leb128::put_bytes(&entry.order, out);
                leb128::put_bytes(&entry.json, out);
            }
        },
        decode: |input| {
            let most = leb128::take(input).and_then(|most| usize::try_from(most).ok()).ok_or_else(damaged)?;
            let mut state = Several { most, ..Several::default() };
            for _ in 0..leb128::take(input).ok_or_else(damaged)? {
                let order = leb128::take_bytes(input).ok_or_else(damaged)?;
                state.offer(order, leb128::take_bytes(input).ok_or_else(damaged)?);
            }
            Ok(state)
        },
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        let [value, Value::Int(most), Value::Text(order)] = arguments else { return Err(Fault::Type) };
        self.most = usize::try_from(*most).unwrap_or(0);
        // What is behind all that are kept is not even written.
        if self.entries.len() < self.most || self.entries.peek().is_some_and(|last| *order <= &*last.order) {
            let mut json = Vec::new();
            json::write_json(*value, &mut json);
            self.offer(order, &json);
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.most = self.most.max(other.most);
        other.entries.iter().for_each(|entry| self.offer(&entry.order, &entry.json));
    }

    fn finish<'a>(&mut self, _: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        if self.entries.is_empty() {
            return Ok(Value::Null);
        }
        let mut sorted: Vec<&Entry> = self.entries.iter().collect();
        sorted.sort_unstable();
        let texts: Vec<&[u8]> = sorted.iter().map(|entry| &*entry.json).collect();
        Ok(Value::Json(arena.alloc_slice_copy(&[b"[", &*texts.join(&b","[..]), b"]"].concat())))
    }

    fn heap_size(&self) -> usize {
        self.heap + allocated(self.entries.capacity() * size_of::<Entry>())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_of_all_are_kept_whatever_the_order(
            values in prop::collection::vec(0_u8..20, 0..60),
            most in 1_i64..9,
            cuts: [prop::sample::Index; 2],
        ) {
            let mut states: Vec<Several> = Vec::new();
            let mut ends = cuts.map(|cut| cut.index(values.len() + 1));
            ends.sort_unstable();
            for part in [&values[..ends[0]], &values[ends[0]..ends[1]], &values[ends[1]..]] {
                let mut state = Several::default();
                for &value in part {
                    let arguments = [Value::Int(value.into()), Value::Int(most), Value::Text(&[value])];
                    prop_assert_eq!(state.add(&arguments, Position::default()), Ok(()));
                }
                states.push(state);
            }
            let mut merged = Several::default();
            states.iter().rev().for_each(|state| merged.merge(state));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            sorted.truncate(most as usize);
            let expected = match sorted.is_empty() {
                true => Vec::new(),
                false => serde_json::to_vec(&sorted).unwrap(),
            };
            let arena = Bump::new();
            let found = match merged.finish(&Outcome::Whole, &arena) {
                Ok(Value::Json(text)) => text.to_vec(),
                _ => Vec::new(),
            };
            prop_assert_eq!(found, expected);
            prop_assert_eq!(merged.heap, merged.entries.iter().map(Entry::heap_size).sum::<usize>());
        }
    }
}
