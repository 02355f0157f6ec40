//! `mode`, `quantile_disc`, `histogram`: how often each value comes.

use bumpalo::Bump;
use hashbrown::HashMap;

use super::accumulator::{Accumulator, Outcome};
use super::encoded::with_key;
use super::position::Position;
use crate::expr::Fault;
use crate::value::{Spelling, Value, json, key, text};

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
                self.keys += key.len();
                self.counts.entry(key.into()).or_default()
            }
        };
        count.rows += more.rows;
        count.spelling = count.spelling.min(more.spelling);
    }

    /// The values in order, with their counts.
    fn sorted(&self) -> Vec<(&[u8], Count)> {
        let mut sorted: Vec<(&[u8], Count)> = self.counts.iter().map(|(key, count)| (&**key, *count)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted
    }
}

/// The quantile of values in order: the least one that so large a part of the values is not above.
fn quantile<'v>(sorted: &[(&'v [u8], Count)], fraction: f64) -> Option<(&'v [u8], Count)> {
    let rows: u64 = sorted.iter().map(|(_, count)| count.rows).sum();
    let total = rows as f64;
    // As DuckDB rounds it, so that 0.9 of 10 values is the ninth.
    let place = (total - (total - fraction * total).floor()).max(1.0) as u64;
    let mut below = 0;
    sorted.iter().copied().find(|(_, count)| {
        below += count.rows;
        below >= place
    })
}

/// The value of a key.
fn value_of<'a>(key: &[u8], count: Count, arena: &'a Bump) -> Value<'a> {
    let mut key: &'a [u8] = arena.alloc_slice_copy(key);
    key::decode(&mut key, count.spelling, arena).unwrap_or(Value::Null)
}

impl Accumulator for Counts {
    const HEAP: bool = true;

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
        let found = match outcome {
            Outcome::Mode => {
                // The most frequent value; of several the least.
                let all = self.counts.iter().map(|(key, count)| (&**key, *count));
                all.min_by(|a, b| b.1.rows.cmp(&a.1.rows).then(a.0.cmp(b.0)))
            }
            Outcome::Quantile(_) | Outcome::Quantiles(_) => {
                let sorted = self.sorted();
                return outcome.quantiles(arena, |fraction| {
                    let found = quantile(&sorted, fraction);
                    Ok(found.map_or(Value::Null, |(key, count)| value_of(key, count, arena)))
                });
            }
            _ if self.counts.is_empty() => None,
            _ => {
                let mut out = vec![b'{'];
                for (number, (key, count)) in self.sorted().into_iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    let mut name = Vec::new();
                    json::to_text(value_of(key, count, arena), &mut name);
                    text::write_string(&name, &mut out);
                    out.extend_from_slice(format!(":{}", count.rows).as_bytes());
                }
                out.push(b'}');
                return Ok(Value::Json(arena.alloc_slice_copy(&out)));
            }
        };
        Ok(found.map_or(Value::Null, |(key, count)| value_of(key, count, arena)))
    }

    fn heap_size(&self) -> usize {
        // A byte of control and the entry for each slot, of which an eighth is free at least.
        self.keys + self.counts.capacity() * (size_of::<(Box<[u8]>, Count)>() + 1) * 8 / 7
    }
}
