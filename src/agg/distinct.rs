//! `count(distinct x)`.

use bumpalo::Bump;
use hashbrown::HashTable;

use super::accumulator::{Accumulator, Outcome};
use super::position::Position;
use crate::expr::Fault;
use crate::value::{Value, hash, key};

/// The distinct values of one group that are not NULL, as encoded keys.
///
/// The keys lie one after another in `bytes`; the table has for each its hash and its range.
#[derive(Default)]
pub(super) struct CountDistinct {
    table: HashTable<Entry>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    start: usize,
    len: u32,
}

impl CountDistinct {
    /// Takes in the key that stands at the end of `bytes`, from `start`; takes it off again if it was there before.
    fn insert_last(&mut self, start: usize) {
        let key = &self.bytes[start..];
        let hash = hash::hash(key);
        let bytes = &self.bytes;
        let of = |entry: &Entry| &bytes[entry.start..entry.start + entry.len as usize];
        if self.table.find(hash, |entry| entry.hash == hash && of(entry) == key).is_some() {
            self.bytes.truncate(start);
        } else {
            let entry = Entry { hash, start, len: key.len() as u32 };
            self.table.insert_unique(hash, entry, |entry| entry.hash);
        }
    }
}

impl Accumulator for CountDistinct {
    const HEAP: bool = true;

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        if !matches!(arguments[0], Value::Null) {
            let start = self.bytes.len();
            key::encode(arguments[0], &mut self.bytes);
            self.insert_last(start);
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        for entry in &other.table {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&other.bytes[entry.start..entry.start + entry.len as usize]);
            self.insert_last(start);
        }
    }

    fn finish<'a>(&mut self, _: Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.table.len() as i128))
    }

    fn heap_size(&self) -> usize {
        self.bytes.capacity() + self.table.allocation_size()
    }
}
