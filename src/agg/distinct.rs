//! `count(distinct x)`, and other aggregates of distinct values.

use std::marker::PhantomData;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::encoded::with_key;
use super::partial::{ItemFold, Partial};
use super::position::Position;
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::Fault;
use crate::memory::{Interner, allocated};
use crate::scan::prefetch;
use crate::value::{Spelling, Value, hash, key};

/// The distinct values of one group that are not NULL, as encoded keys. Small while there are none.
#[derive(Default)]
pub(super) struct CountDistinct(Option<Box<Interner>>);

impl CountDistinct {
    /// Adds a value that is not NULL, as an encoded key.
    pub(super) fn insert(&mut self, key: &[u8]) {
        self.0.get_or_insert_default().intern(hash::hash(key), key);
    }

    /// The values as encoded keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|keys| keys.records().iter()).map(|(_, key)| key)
    }
}

impl Accumulator for CountDistinct {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::Items {
        rows: |_| 0,
        items: |state, take| {
            let mut keys: Vec<&[u8]> = state.values().collect();
            keys.sort_unstable();
            keys.into_iter().try_for_each(|key| take(key, &[]))
        },
        join: |_, _| true,
        fold: |_, _| Box::new(CountFold::default()),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        if !matches!(arguments[0], Value::Null) {
            with_key(arguments[0], |key| self.insert(key));
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_default().merge(other, |_, _| ());
        }
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        let count = self.0.as_ref().map_or(0, |keys| keys.len());
        Ok(Value::integer(count as i128))
    }

    fn heap_size(&self) -> usize {
        self.0.as_deref().map_or(0, |keys| allocated(size_of::<Interner>()) + keys.size())
    }

    fn prefetch_heap(&self) {
        if let Some(keys) = self.0.as_deref() {
            prefetch(keys);
        }
    }
}

/// Counts the different items of those that come in order.
#[derive(Default)]
struct CountFold {
    last: Option<Vec<u8>>,
    count: u64,
}

impl ItemFold for CountFold {
    fn take(&mut self, key: &[u8], _: &[u8]) -> Result<()> {
        if self.last.as_deref() != Some(key) {
            self.count += 1;
            let last = self.last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
        }
        Ok(())
    }

    fn finish<'a>(&mut self, _: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(Value::integer(self.count.into()))
    }

    fn size(&self) -> usize {
        self.last.as_ref().map_or(0, Vec::capacity)
    }
}

/// An aggregate `A` of the distinct values of a group that are not NULL, which it takes in when it is finished, in order.
pub(super) struct Distinct<A> {
    /// Encoded keys, each with the byte of a spelling behind it.
    keys: Interner,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> Default for Distinct<A> {
    fn default() -> Self {
        Distinct { keys: Interner::default(), aggregate: PhantomData }
    }
}

impl<A> Distinct<A> {
    /// The keys in order, each once, with the spelling that stands for all that were met.
    fn sorted(&self) -> Vec<(&[u8], Spelling)> {
        let keys = self.keys.records().iter().filter_map(|(_, key)| key.split_last());
        let mut keys: Vec<(&[u8], Spelling)> =
            keys.map(|(spelling, key)| (key, Spelling::of_byte(*spelling))).collect();
        keys.sort_unstable();
        keys.dedup_by(|other, kept| other.0 == kept.0);
        keys
    }
}

impl<A: Accumulator> Accumulator for Distinct<A> {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::Items {
        rows: |_| 0,
        items: |state, take| state.sorted().into_iter().try_for_each(|(key, spelling)| take(key, &[spelling.byte()])),
        join: |own, other| {
            let ([own], &[other]) = (own.as_mut_slice(), other) else { return false };
            *own = Spelling::of_byte(*own).min(Spelling::of_byte(other)).byte();
            true
        },
        fold: |_, outcome| Box::new(DistinctFold::<A>::new(outcome)),
    };

    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault> {
        let value = arguments[0];
        if !matches!(value, Value::Null) {
            // What the aggregate does not take is found here, where the row is known.
            A::default().add(&[value], position)?;
            with_key(value, |key| {
                key.push(value.spelling().byte());
                self.keys.intern(hash::hash(key), key);
            });
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.keys.merge(&other.keys, |_, _| ());
    }

    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let mut keys = self.sorted();
        let outcome = match outcome {
            Outcome::Falling(outcome) => {
                keys.reverse();
                outcome
            }
            outcome => outcome,
        };
        let (mut state, own) = (A::default(), Bump::new());
        for (mut key, spelling) in keys {
            if let Some(value) = key::decode(&mut key, spelling, &own) {
                state.add(&[value], Position::default())?;
            }
        }
        state.finish(outcome, arena)
    }

    fn heap_size(&self) -> usize {
        self.keys.size()
    }
}

/// Takes the different ones of the items that come in order into a state of `A`.
struct DistinctFold<A> {
    outcome: Outcome,
    state: A,
    /// Whether the values are wanted in falling order.
    is_falling: bool,
    taken: u64,
    /// The last key, which the state has not taken in yet, with the spelling that stands for all that were met.
    last: Option<(Vec<u8>, Spelling)>,
    fault: Option<Fault>,
    arena: Bump,
}

impl<A: Accumulator> DistinctFold<A> {
    fn new(outcome: &Outcome) -> Self {
        let (outcome, is_falling) = match outcome {
            Outcome::Falling(outcome) => (&**outcome, true),
            outcome => (outcome, false),
        };
        let (state, arena) = (A::default(), Bump::new());
        DistinctFold { outcome: outcome.clone(), state, is_falling, taken: 0, last: None, fault: None, arena }
    }

    /// Takes the last key in.
    fn settle(&mut self) -> Result<()> {
        let Some((key, spelling)) = &self.last else { return Ok(()) };
        let value = key::decode(&mut key.as_slice(), *spelling, &self.arena).ok_or_else(damaged)?;
        // Those that come last stand first, if they are to.
        let offset = if self.is_falling { u64::MAX - self.taken } else { self.taken };
        self.taken += 1;
        if let Err(fault) = self.state.add(&[value], Position { file: 0, offset }) {
            self.fault.get_or_insert(fault);
        }
        self.arena.reset();
        Ok(())
    }
}

impl<A: Accumulator> ItemFold for DistinctFold<A> {
    fn take(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        let &[spelling] = payload else { return Err(damaged()) };
        let spelling = Spelling::of_byte(spelling);
        match &mut self.last {
            Some((last, known)) if last == key => *known = spelling.min(*known),
            _ => {
                self.settle()?;
                let (last, known) = self.last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
                *known = spelling;
            }
        }
        Ok(())
    }

    fn finish<'a>(&mut self, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        // A key that is none would have been found when the next one came.
        self.settle().map_err(|_| Fault::Type)?;
        match self.fault {
            Some(fault) => Err(fault),
            None => self.state.finish(&self.outcome, arena),
        }
    }

    fn size(&self) -> usize {
        self.state.heap_size()
    }
}
