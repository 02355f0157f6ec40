//! `mode`, `quantile_disc`, `histogram`: how often each value comes.

use bumpalo::Bump;
use hashbrown::HashMap;

use super::accumulator::{Accumulator, Outcome};
use super::encoded::with_key;
use super::partial::{ItemFold, Partial};
use super::position::Position;
use super::superacc::damaged;
use crate::error::Result;
use crate::expr::Fault;
use crate::memory::allocated;
use crate::value::{Spelling, Value, json, key, leb128, text};

/// How often each value that is not NULL came, by its encoded key.
#[derive(Default)]
pub(super) struct Counts {
    counts: HashMap<Box<[u8]>, Count>,
    /// The bytes of the keys.
    keys: usize,
}

#[derive(Clone, Copy, Default)]
struct Count {
    rows: u64,
    /// The spelling that stands for all that were met.
    spelling: Spelling,
}

impl Counts {
    fn count(&mut self, key: &[u8], more: Count) {
        let count = match self.counts.get_mut(key) {
            Some(count) => count,
            None => {
                self.keys += allocated(key.len());
                self.counts.entry(key.into()).or_default()
            }
        };
        count.add(more);
    }

    /// The values in order, with their counts.
    fn sorted(&self) -> Vec<(&[u8], Count)> {
        let mut sorted: Vec<(&[u8], Count)> = self.counts.iter().map(|(key, count)| (&**key, *count)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted
    }

    /// The rows of all values.
    fn rows(&self) -> u64 {
        self.counts.values().map(|count| count.rows).sum()
    }
}

/// The key of a value, and how often it came.
type Counted = (Vec<u8>, Count);

/// What makes a result of values that come in order, each once.
enum Fold {
    /// The most frequent value so far; of several the least.
    Mode(Option<Counted>),
    /// For each quantile that is wanted its fraction, the rows up to it, and what was found: the least value that so large a
    /// part of the values is not above.
    Quantiles { outcome: Outcome, below: u64, wanted: Vec<(f64, u64, Option<Counted>)> },
    /// The text of an object, without its end.
    Histogram(Vec<u8>),
}

impl Fold {
    fn new(rows: u64, outcome: &Outcome) -> Fold {
        match outcome {
            Outcome::Mode => Fold::Mode(None),
            Outcome::Quantile(_) | Outcome::Quantiles(_) => {
                let total = rows as f64;
                // As DuckDB rounds it, so that 0.9 of 10 values is the ninth.
                let place = |fraction: f64| (total - (total - fraction * total).floor()).max(1.0) as u64;
                let wanted = outcome.fractions().iter().map(|&fraction| (fraction, place(fraction), None)).collect();
                Fold::Quantiles { outcome: outcome.clone(), below: 0, wanted }
            }
            _ => Fold::Histogram(Vec::new()),
        }
    }

    fn take(&mut self, key: &[u8], count: Count) {
        match self {
            Fold::Mode(found) => {
                if found.as_ref().is_none_or(|(_, most)| count.rows > most.rows) {
                    *found = Some((key.to_vec(), count));
                }
            }
            Fold::Quantiles { below, wanted, .. } => {
                *below += count.rows;
                for (_, place, found) in wanted {
                    if *below >= *place && found.is_none() {
                        *found = Some((key.to_vec(), count));
                    }
                }
            }
            Fold::Histogram(out) => {
                out.push(if out.is_empty() { b'{' } else { b',' });
                let arena = Bump::new();
                let mut name = Vec::new();
                json::to_text(value_of(key, count, &arena), &mut name);
                text::write_string(&name, out);
                out.extend_from_slice(format!(":{}", count.rows).as_bytes());
            }
        }
    }

    fn finish<'a>(&self, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let value = |found: &Option<Counted>| match found {
            Some((key, count)) => value_of(key, *count, arena),
            None => Value::Null,
        };
        match self {
            Fold::Mode(found) => Ok(value(found)),
            Fold::Quantiles { outcome, wanted, .. } => outcome.quantiles(arena, |fraction| {
                let found = wanted.iter().find(|(other, ..)| *other == fraction);
                Ok(found.map_or(Value::Null, |(.., found)| value(found)))
            }),
            Fold::Histogram(out) if out.is_empty() => Ok(Value::Null),
            Fold::Histogram(out) => Ok(Value::Json(arena.alloc_slice_copy(&[out, &b"}"[..]].concat()))),
        }
    }

    fn size(&self) -> usize {
        match self {
            Fold::Mode(found) => found.as_ref().map_or(0, |(key, _)| key.capacity()),
            Fold::Quantiles { wanted, .. } => {
                wanted.iter().filter_map(|(.., found)| found.as_ref()).map(|(key, _)| key.capacity()).sum()
            }
            // The value is a copy.
            Fold::Histogram(out) => 2 * out.capacity(),
        }
    }
}

/// A [`Fold`] of values that may come several times.
struct CountsFold {
    fold: Fold,
    /// The last value, which may come again.
    last: Option<Counted>,
}

impl ItemFold for CountsFold {
    fn take(&mut self, key: &[u8], mut payload: &[u8]) -> Result<()> {
        let rows = leb128::take(&mut payload).ok_or_else(damaged)?;
        let &[spelling] = payload else { return Err(damaged()) };
        let more = Count { rows, spelling: Spelling::of_byte(spelling) };
        match &mut self.last {
            Some((last, count)) if last == key => count.add(more),
            last => {
                if let Some((key, count)) = last {
                    self.fold.take(key, *count);
                }
                let (last, count) = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
                *count = more;
            }
        }
        Ok(())
    }

    fn finish<'a>(&mut self, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        if let Some((key, count)) = self.last.take() {
            self.fold.take(&key, count);
        }
        self.fold.finish(arena)
    }

    fn size(&self) -> usize {
        self.fold.size()
    }
}

impl Count {
    fn add(&mut self, more: Count) {
        self.rows += more.rows;
        self.spelling = self.spelling.min(more.spelling);
    }
}

/// The value of a key.
fn value_of<'a>(key: &[u8], count: Count, arena: &'a Bump) -> Value<'a> {
    let mut key: &'a [u8] = arena.alloc_slice_copy(key);
    key::decode(&mut key, count.spelling, arena).unwrap_or(Value::Null)
}

impl Accumulator for Counts {
    const HEAP: bool = true;
    const PARTIAL: Partial<Self> = Partial::Items {
        rows: Counts::rows,
        items: |state, take| {
            let mut payload = Vec::new();
            state.sorted().into_iter().try_for_each(|(key, count)| {
                payload.clear();
                leb128::put(count.rows, &mut payload);
                payload.push(count.spelling.byte());
                take(key, &payload)
            })
        },
        join: |own, mut other| {
            let mut first = own.as_slice();
            let counts = leb128::take(&mut first).zip(leb128::take(&mut other));
            let (Some((a, b)), &[own_byte], &[other_byte]) = (counts, first, other) else { return false };
            let spelling = Spelling::of_byte(own_byte).min(Spelling::of_byte(other_byte));
            own.clear();
            leb128::put(a + b, own);
            own.push(spelling.byte());
            true
        },
        fold: |rows, outcome| Box::new(CountsFold { fold: Fold::new(rows, outcome), last: None }),
    };

    fn add(&mut self, arguments: &[Value], _: Position) -> Result<(), Fault> {
        let value = arguments[0];
        if !matches!(value, Value::Null) {
            with_key(value, |key| self.count(key, Count { rows: 1, spelling: value.spelling() }));
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(key, count)| self.count(key, *count));
    }

    fn finish<'a>(&mut self, outcome: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        if let Outcome::Mode = outcome {
            // The most frequent value; of several the least. There is no need to sort for it.
            let all = self.counts.iter().map(|(key, count)| (&**key, *count));
            let found = all.min_by(|a, b| b.1.rows.cmp(&a.1.rows).then(a.0.cmp(b.0)));
            return Ok(found.map_or(Value::Null, |(key, count)| value_of(key, count, arena)));
        }
        let mut fold = Fold::new(self.rows(), outcome);
        self.sorted().into_iter().for_each(|(key, count)| fold.take(key, count));
        fold.finish(arena)
    }

    fn heap_size(&self) -> usize {
        self.keys + allocated(self.counts.allocation_size())
    }
}
