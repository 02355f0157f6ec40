//! `array_agg`, `string_agg`, and `first` and `last` with ORDER BY.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::position::Position;
use crate::expr::Fault;
use crate::value::{OwnedValue, Value, json, own};

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

/// The key of ORDER BY that comes with a value; empty without ORDER BY.
fn order_of<'v>(arguments: &[Value<'v>]) -> &'v [u8] {
    match arguments {
        [_, Value::Text(order)] => order,
        _ => &[],
    }
}

impl Listed {
    fn push(&mut self, entry: Entry) {
        self.heap += entry.order.len() + entry.value.heap_size();
        self.entries.push(entry);
    }
}

impl Accumulator for Listed {
    const HEAP: bool = true;
    const POSITION: bool = true;

    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault> {
        self.push(Entry { order: order_of(arguments).into(), position, value: arguments[0].into() });
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        other.entries.iter().for_each(|entry| self.push(entry.clone()));
    }

    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        self.entries.sort_by(|a, b| a.order.cmp(&b.order).then(a.position.cmp(&b.position)));
        let values = self.entries.iter().map(|entry| entry.value.borrow());
        if let Outcome::Joined(separator) = outcome {
            let mut out = Vec::new();
            let mut texts = values.filter(|value| !matches!(value, Value::Null)).peekable();
            if texts.peek().is_none() {
                return Ok(Value::Null);
            }
            for (number, value) in texts.enumerate() {
                if number > 0 {
                    out.extend_from_slice(separator.as_bytes());
                }
                json::to_text(value, &mut out);
            }
            return Ok(Value::Text(arena.alloc_slice_copy(&out)));
        }
        if self.entries.is_empty() { Ok(Value::Null) } else { Ok(json::array(values, arena)) }
    }

    fn heap_size(&self) -> usize {
        self.heap + self.entries.capacity() * size_of::<Entry>()
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
        self.0.as_ref().map_or(0, |entry| entry.order.len() + entry.value.heap_size())
    }
}
