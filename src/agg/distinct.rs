//! `count(distinct x)`, and other aggregates of distinct values.

use std::marker::PhantomData;
use std::ops::Range;

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome};
use super::chunks::Chunks;
use super::encoded::with_key;
use super::partial::{ItemFold, Partial};
use super::position::Position;
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::{Fault, Vector};
use crate::memory::{HashedKey, Interner, NewRow, RawColumn, RawKey, RawMap, allocated};
use crate::value::{Spelling, Value, hash, key};

/// The values of a column that are encoded and looked up together.
const TOGETHER: usize = 1024;

/// The rows that each group must have on average for them to be taken together.
const FEWEST_ROWS: usize = 16;

/// The distinct values of one group that are not NULL. Small while there are none.
#[derive(Default)]
pub(super) struct CountDistinct(Option<Box<Values>>);

struct Values {
    /// As encoded keys.
    keys: Interner,
    /// Raw keys of values that are there.
    known: RawMap,
}

impl Default for Values {
    fn default() -> Values {
        Values { keys: Interner::default(), known: RawMap::of_short() }
    }
}

/// Keys that are looked up together, and what comes of it.
#[derive(Default)]
struct Scratch {
    encoded: Vec<u8>,
    hashed: Vec<HashedKey>,
    numbers: Vec<u32>,
    news: Vec<NewRow>,
}

/// Some rows of a column.
struct Rows<'c, 'a> {
    column: &'c Vector<'a>,
    rows: &'c [usize],
}

impl RawColumn for Rows<'_, '_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    fn read<const WORDS: usize>(&self, places: Range<usize>, out: &mut [RawKey<WORDS>]) {
        self.column.read_raw(self.rows[places].iter().copied(), out);
    }
}

impl CountDistinct {
    /// Takes in some rows of a column: their keys are looked up together.
    fn add_rows(&mut self, column: &Vector, rows: &[usize], scratch: &mut Scratch) {
        let Values { keys, known } = &mut **self.0.get_or_insert_default();
        let Scratch { encoded, hashed, numbers, news } = scratch;
        for rows in rows.chunks(TOGETHER) {
            encoded.clear();
            hashed.clear();
            numbers.clear();
            news.clear();
            // What only saves time takes no more than the rest.
            if (1..=keys.size()).contains(&known.growth()) {
                known.grow();
            }
            known.look_up(&Rows { column, rows }, numbers, news);
            for new in &*news {
                let value = column.get(rows[new.row]);
                if !matches!(value, Value::Null) {
                    let start = encoded.len();
                    key::encode(value, encoded);
                    hashed.push(HashedKey { hash: hash::hash(&encoded[start..]), end: encoded.len() });
                }
            }
            numbers.clear();
            keys.intern_all(encoded, hashed, numbers);
        }
    }
}

impl Accumulator for CountDistinct {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::Items {
        rows: |_| 0,
        items: |state, take| {
            let mut keys: Vec<&[u8]> =
                state.0.iter().flat_map(|values| values.keys.records().iter()).map(|(_, key)| key).collect();
            keys.sort_unstable();
            keys.into_iter().try_for_each(|key| take(key, &[]))
        },
        fold: |_, _| Box::new(CountFold::default()),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        if !matches!(arguments[0], Value::Null) {
            with_key(arguments[0], |key| self.0.get_or_insert_default().keys.intern(hash::hash(key), key));
        }
        Ok(())
    }

    fn add_columns(states: &mut Chunks<Self>, groups: &[u32], arguments: &[Vector]) -> Option<usize> {
        let [column] = arguments else { return None };
        // With many groups there are too few rows of each to take together.
        if states.len() > groups.len() / FEWEST_ROWS + 1 {
            return None;
        }
        // The rows by group: where the rows of a group start moves on to their end as they are put there.
        let mut ends = vec![0; states.len()];
        groups.iter().for_each(|&group| ends[group as usize] += 1);
        let mut start = 0;
        ends.iter_mut().for_each(|count| start += std::mem::replace(count, start));
        let mut rows = vec![0; groups.len()];
        for (row, &group) in groups.iter().enumerate() {
            let end = &mut ends[group as usize];
            rows[*end] = row;
            *end += 1;
        }
        let (mut scratch, mut grown, mut start) = (Scratch::default(), 0usize, 0);
        for (group, end) in ends.into_iter().enumerate() {
            let rows = &rows[std::mem::replace(&mut start, end)..end];
            if !rows.is_empty() {
                let state = states.get_mut(group as u32);
                let before = state.heap_size();
                state.add_rows(column, rows, &mut scratch);
                grown = grown.wrapping_add(state.heap_size()).wrapping_sub(before);
            }
        }
        Some(grown)
    }

    fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_default().keys.merge(&other.keys);
        }
    }

    fn finish<'a>(&mut self, _: &Outcome, _: &'a Bump) -> Result<Value<'a>, Fault> {
        let count = self.0.as_ref().map_or(0, |values| values.keys.len());
        Ok(Value::integer(count as i128))
    }

    fn heap_size(&self) -> usize {
        let size = |values: &Values| allocated(size_of::<Values>()) + values.keys.size() + values.known.size();
        self.0.as_deref().map_or(0, size)
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
        self.keys.merge(&other.keys);
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
