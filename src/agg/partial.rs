//! States as bytes, so that they can leave memory and be merged later.
//!
//! A state of a bounded size is written as a whole. One that grows with the values that it takes in is written as *items*,
//! in an order in which its result can be had from the items of all states one by one: so the state of one group may be
//! larger than the memory.

use bumpalo::Bump;

use super::accumulator::Outcome;
use crate::error::Result;
use crate::expr::Fault;
use crate::value::Value;

/// Takes an item: its key, by whose bytes items are in order, and what comes with it.
pub type ItemSink<'s> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 's;

/// How a state is written.
pub enum Partial<A> {
    /// As a whole.
    State {
        /// Appends the bytes of a state.
        encode: fn(&A, &mut Vec<u8>),
        /// Takes a state from the start of some bytes.
        decode: fn(&mut &[u8]) -> Result<A>,
    },
    /// As items.
    Items {
        /// The rows that a state has taken in.
        rows: fn(&A) -> u64,
        /// Gives all items of a state in their order.
        items: fn(&mut A, &mut ItemSink) -> Result<()>,
        /// Makes one item of two of different states with the same key, if that can be: changes what comes with the first.
        join: fn(&mut Vec<u8>, &[u8]) -> bool,
        /// What makes the result of the items of all states of a group, which have taken in so many rows.
        fold: fn(u64, &Outcome) -> Box<dyn ItemFold>,
    },
}

/// Makes the result of a group from its items.
pub trait ItemFold {
    /// Takes in the next item. Items of one key come in the order of their states, which come in the order of the rows.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) if it is none.
    fn take(&mut self, key: &[u8], payload: &[u8]) -> Result<()>;

    /// The result, after the last item.
    ///
    /// # Errors
    /// The fault for which it is NULL.
    fn finish<'a>(&mut self, arena: &'a Bump) -> Result<Value<'a>, Fault>;

    /// The bytes held. Takes constant time.
    fn size(&self) -> usize;
}
