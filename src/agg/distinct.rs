//! `count(distinct x)`.

use std::cell::RefCell;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::chunks::Chunks;
use super::position::Position;
use crate::expr::{Fault, Vector};
use crate::memory::{HashedKey, Interner};
use crate::value::{Value, hash, key};

/// The values of a column that are encoded and looked up together.
const TOGETHER: usize = 1024;

thread_local! {
    /// For the encoding of one value.
    static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The distinct values of one group that are not NULL, as encoded keys. Small while there are none.
#[derive(Default)]
pub(super) struct CountDistinct(Option<Box<Interner>>);

impl Accumulator for CountDistinct {
    const HEAP: bool = true;

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        if !matches!(arguments[0], Value::Null) {
            ENCODED.with_borrow_mut(|encoded| {
                encoded.clear();
                key::encode(arguments[0], encoded);
                self.0.get_or_insert_default().intern(hash::hash(encoded), encoded);
            });
        }
        Ok(())
    }

    fn add_columns(states: &mut Chunks<Self>, groups: &[u32], arguments: &[Vector]) -> Option<usize> {
        let [column] = arguments else { return None };
        if states.len() != 1 || matches!(column, Vector::Constant(_)) {
            return None;
        }
        let rows = groups.len();
        let state = states.get_mut(0);
        let before = state.heap_size();
        let keys = state.0.get_or_insert_default();
        let (mut encoded, mut hashed, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for first in (0..rows).step_by(TOGETHER) {
            encoded.clear();
            hashed.clear();
            for row in first..rows.min(first + TOGETHER) {
                let value = column.get(row);
                if !matches!(value, Value::Null) {
                    let start = encoded.len();
                    key::encode(value, &mut encoded);
                    hashed.push(HashedKey { hash: hash::hash(&encoded[start..]), end: encoded.len() });
                }
            }
            numbers.clear();
            keys.intern_all(&encoded, &hashed, &mut numbers);
        }
        Some(state.heap_size().wrapping_sub(before))
    }

    fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_default().merge(other);
        }
    }

    fn finish<'a>(&mut self, _: Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        let count = self.0.as_ref().map_or(0, |keys| keys.len());
        Ok(Value::integer(count as i128))
    }

    fn heap_size(&self) -> usize {
        self.0.as_ref().map_or(0, |keys| size_of::<Interner>() + keys.size())
    }
}
