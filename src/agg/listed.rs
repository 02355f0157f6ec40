//! `array_agg`, `string_agg`, and `first` and `last` with ORDER BY.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::encoded::take_value;
use super::partial::{ItemFold, Partial};
use super::position::Position;
use super::superacc::{damaged, take};
use crate::error::Result;
use crate::expr::Fault;
use crate::memory::allocated;
use crate::value::{OwnedValue, Value, json, leb128, own, stored};

/// All values, in the order of an ORDER BY's keys if these are the second argument, else of the input.
#[derive(Default)]
pub(super) struct Listed {
    entries: Vec<Entry>,
    /// The bytes of the keys and the values.
    heap: usize,
}

#[derive(Clone)]
struct Entry {
    order: Box<[u8]>,
    position: Position,
    value: OwnedValue,
}

impl Entry {
    fn heap_size(&self) -> usize {
        allocated(self.order.len()) + allocated(self.value.heap_size())
    }
}

/// The key of ORDER BY that comes with a value; empty without ORDER BY.
fn order_of<'v>(arguments: &[Value<'v>]) -> &'v [u8] {
    match arguments {
        [_, Value::Text(order)] => order,
        _ => &[],
    }
}

impl Listed {
    /// Sorts the entries; those of one position, which are elements of one array, stay as they are.
    fn sort(&mut self) {
        self.entries.sort_by(|a, b| a.order.cmp(&b.order).then(a.position.cmp(&b.position)));
    }

    fn push(&mut self, entry: Entry) {
        self.heap += entry.heap_size();
        self.entries.push(entry);
    }
}

impl Accumulator for Listed {
    const HEAP: bool = true;
    const POSITION: bool = true;
    const PARTIAL: Partial<Self> = Partial::Items {
        rows: |_| 0,
        items: |state, take| {
            state.sort();
            let (mut key, mut payload) = (Vec::new(), Vec::new());
            state.entries.iter().try_for_each(|entry| {
                key.clear();
                key.extend_from_slice(&entry.order);
                key.extend_from_slice(&entry.position.bytes());
                payload.clear();
                stored::encode(entry.value.borrow(), &mut payload);
                take(&key, &payload)
            })
        },
        join: |_, _| false,
        fold: |_, outcome| Box::new(List::new(outcome)),
    };

    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault> {
        self.push(Entry { order: order_of(arguments).into(), position, value: arguments[0].into() });
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        other.entries.iter().for_each(|entry| self.push(entry.clone()));
    }

    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        self.sort();
        let mut list = List::new(outcome);
        self.entries.iter().for_each(|entry| list.push(entry.value.borrow()));
        Ok(list.value(arena))
    }

    fn heap_size(&self) -> usize {
        self.heap + allocated(self.entries.capacity() * size_of::<Entry>())
    }
}

/// The text of values that come in order: one text, or an array.
struct List {
    /// What stands between the values; of an array nothing is said.
    separator: Option<String>,
    out: Vec<u8>,
    is_empty: bool,
}

impl List {
    fn new(outcome: &Outcome) -> List {
        let separator = if let Outcome::Joined(separator) = outcome { Some(separator.clone()) } else { None };
        List { separator, out: Vec::new(), is_empty: true }
    }

    fn push(&mut self, value: Value) {
        let first = self.is_empty;
        match &self.separator {
            Some(_) if matches!(value, Value::Null) => return,
            Some(separator) => {
                if !first {
                    self.out.extend_from_slice(separator.as_bytes());
                }
                json::to_text(value, &mut self.out);
            }
            None => {
                self.out.push(if first { b'[' } else { b',' });
                json::write_json(value, &mut self.out);
            }
        }
        self.is_empty = false;
    }

    fn value<'a>(&self, arena: &'a Bump) -> Value<'a> {
        match self.separator {
            _ if self.is_empty => Value::Null,
            Some(_) => Value::Text(arena.alloc_slice_copy(&self.out)),
            None => Value::Json(arena.alloc_slice_copy(&[&self.out, &b"]"[..]].concat())),
        }
    }
}

impl ItemFold for List {
    fn take(&mut self, _: &[u8], mut payload: &[u8]) -> Result<()> {
        self.push(stored::decode(&mut payload).ok_or_else(damaged)?);
        Ok(())
    }

    fn finish<'a>(&mut self, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(self.value(arena))
    }

    fn size(&self) -> usize {
        // The value is a copy.
        2 * self.out.capacity()
    }
}

/// `first(x order by y)` (`LAST` = false) and `last(x order by y)`: NULL or not.
#[derive(Default)]
pub(super) struct AtEndBy<const LAST: bool>(Option<Entry>);

impl<const LAST: bool> AtEndBy<LAST> {
    fn wins(&self, order: &[u8], position: Position) -> bool {
        self.0.as_ref().is_none_or(|held| {
            let ordering = order.cmp(&held.order).then(position.cmp(&held.position));
            if LAST { ordering.is_ge() } else { ordering.is_lt() }
        })
    }
}

impl<const LAST: bool> Accumulator for AtEndBy<LAST> {
    const HEAP: bool = true;
    const POSITION: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| match &state.0 {
            None => out.push(0),
            Some(entry) => {
                out.push(1);
                leb128::put_bytes(&entry.order, out);
                out.extend_from_slice(&entry.position.bytes());
                stored::encode(entry.value.borrow(), out);
            }
        },
        decode: |input| match take(input)? {
            [0] => Ok(AtEndBy(None)),
            [1] => {
                let order = leb128::take_bytes(input).ok_or_else(damaged)?.into();
                Ok(AtEndBy(Some(Entry { order, position: Position::take(input)?, value: take_value(input)? })))
            }
            _ => Err(damaged()),
        },
    };

    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault> {
        let order = order_of(arguments);
        if self.wins(order, position) {
            self.0 = Some(Entry { order: order.into(), position, value: arguments[0].into() });
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if let Some(entry) = &other.0
            && self.wins(&entry.order, entry.position)
        {
            self.0 = Some(entry.clone());
        }
    }

    fn finish<'a>(&mut self, _: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(self.0.as_ref().map_or(Value::Null, |entry| own(entry.value.borrow(), arena)))
    }

    fn heap_size(&self) -> usize {
        self.0.as_ref().map_or(0, Entry::heap_size)
    }
}
