//! Folding: an accumulator for each key.
//!
//! Each worker has a table of its own. At the end the tables become one list, sorted by key, in which neighbours with
//! the same key are merged.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

use super::{Callbacks, Key, Pipeline, failure};
use crate::error::Result;
use crate::exec::{Callbacks as Worker, Failure, Found, Summary};
use crate::memory::{Budget, Reservation};
use crate::record::Record;

/// The running state for the records of one key.
///
/// # Contract
/// The records of a key are spread over several accumulators in no particular order, and these are merged in no
/// particular order. The result does not depend on the number of threads, the batch size or anything else that is not
/// the input, provided that:
/// - `merge` is associative and commutative,
/// - a new accumulator is its neutral element,
/// - `add` is the same as the merge of an accumulator that has only this record.
///
/// Adding `f64` is not associative: [`ExactSum`](crate::ExactSum) is. What keeps the first of something has to compare
/// the places of the records, [`file`](Record::file) and [`offset`](Record::offset).
pub trait Accumulator: Default + Send {
    /// Takes in a record.
    fn add(&mut self, record: &Record<'_>);

    /// Takes in all that another accumulator has taken in.
    fn merge(&mut self, other: Self);

    /// The bytes that it holds: its own, and those on the heap. It is asked after each record, so it should take constant
    /// time. What it says is what the memory limit counts. As it stands it is right for what holds nothing on the heap.
    fn size(&self) -> usize {
        size_of::<Self>()
    }

    /// Its state as bytes, from which [`decode`](Accumulator::decode) makes an accumulator that merges and ends as this
    /// one does; `None` if it has no such form. Optional: with it, partial results can be stored and merged later, and
    /// foldl may move state to disk where it now ends with [`ErrorKind::Resource`](crate::ErrorKind::Resource).
    ///
    /// ```
    /// use foldl::{Accumulator, ExactSum, Record};
    ///
    /// #[derive(Default)]
    /// struct Revenue(ExactSum);
    ///
    /// impl Accumulator for Revenue {
    ///     fn add(&mut self, order: &Record<'_>) {
    ///         self.0.add_float(order.f64("price").unwrap_or(0.0));
    ///     }
    ///     fn merge(&mut self, other: Self) {
    ///         self.0.merge(&other.0);
    ///     }
    ///     fn encode(&self) -> Option<Vec<u8>> {
    ///         let mut bytes = Vec::new();
    ///         self.0.encode(&mut bytes);
    ///         Some(bytes)
    ///     }
    ///     fn decode(mut bytes: &[u8]) -> Option<Self> {
    ///         ExactSum::decode(&mut bytes).ok().map(Revenue)
    ///     }
    /// }
    ///
    /// let mut stored = Revenue::default();
    /// stored.add(&Record::parse(r#"{"price": 0.1}"#)?);
    /// let bytes = stored.encode().unwrap_or_default();
    /// let mut total = Revenue::default();
    /// total.add(&Record::parse(r#"{"price": 0.2}"#)?);
    /// total.merge(Revenue::decode(&bytes).unwrap_or_default());
    /// assert_eq!(total.0.total(), foldl::Total::Float(0.30000000000000004));
    /// # Ok::<(), foldl::Error>(())
    /// ```
    fn encode(&self) -> Option<Vec<u8>> {
        None
    }

    /// An accumulator from the bytes of [`encode`](Accumulator::encode); `None` if they are damaged, or if there is no
    /// such form.
    fn decode(_bytes: &[u8]) -> Option<Self> {
        None
    }
}

impl Pipeline<'_> {
    /// Folds all records into one accumulator.
    ///
    /// ```
    /// use foldl::{Accumulator, Pipeline, Record};
    ///
    /// #[derive(Default)]
    /// struct Longest(usize);
    ///
    /// impl Accumulator for Longest {
    ///     fn add(&mut self, record: &Record<'_>) {
    ///         self.merge(Longest(record.json().len()));
    ///     }
    ///
    ///     fn merge(&mut self, other: Longest) {
    ///         self.0 = self.0.max(other.0);
    ///     }
    /// }
    ///
    /// let (longest, summary) = Pipeline::files(["fixtures/products.jsonl"]).fold::<Longest>()?;
    /// assert_eq!((longest.0, summary.used), (228, 1000));
    /// # Ok::<(), foldl::Error>(())
    /// ```
    ///
    /// # Errors
    /// As the keyed [`fold`](Pipeline::fold).
    pub fn fold<A: Accumulator>(self) -> Result<(A, Summary)> {
        let (mut groups, summary) = fold(self, |()| 0)?;
        let accumulator = groups.pop().map_or_else(A::default, |((), accumulator)| accumulator);
        Ok((accumulator, summary))
    }
}

impl<K: Key> Pipeline<'_, K> {
    /// Folds the records of each key into an accumulator. The keys come out sorted, each once.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if an input cannot be opened or read;
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the settings make no sense;
    /// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) if more lines are rejected than the settings allow;
    /// [`ErrorKind::Resource`](crate::ErrorKind::Resource) if accumulators and keys need more memory than the limit;
    /// and the errors of the closures.
    pub fn fold<A: Accumulator>(self) -> Result<(Vec<(K, A)>, Summary)> {
        fold(self, K::heap_size)
    }
}

fn fold<K: Ord + Hash + Send, A: Accumulator>(
    pipeline: Pipeline<'_, K>,
    key_size: fn(&K) -> usize,
) -> Result<(Vec<(K, A)>, Summary)> {
    let (run, callbacks) = pipeline.open()?;
    let (tables, summary) = run.call(|| Table::new(&callbacks, key_size, run.budget()));
    let groups = merge(tables?, run.budget())?;
    Ok((groups, Summary { reserved_peak: run.budget().peak(), ..summary }))
}

/// The accumulators of one worker.
struct Table<'c, 'a, K, A> {
    callbacks: &'c Callbacks<'a, K>,
    key_size: fn(&K) -> usize,
    groups: HashMap<K, Group<A>, RandomState>,
    /// The bytes that keys and accumulators hold beside the table.
    heap: usize,
    reservation: Reservation,
}

struct Group<A> {
    accumulator: A,
    heap: usize,
}

impl<'c, 'a, K: Hash + Eq, A: Accumulator> Table<'c, 'a, K, A> {
    fn new(callbacks: &'c Callbacks<'a, K>, key_size: fn(&K) -> usize, budget: &Budget) -> Table<'c, 'a, K, A> {
        let reservation = budget.reservation("accumulators");
        Table { callbacks, key_size, groups: HashMap::default(), heap: 0, reservation }
    }

    fn add(&mut self, key: K, record: &Record<'_>) -> Result<()> {
        if self.groups.len() == self.groups.capacity() {
            self.grow()?;
        }
        let group = self.groups.entry(key).or_insert_with_key(|key| {
            self.heap += (self.key_size)(key);
            Group { accumulator: A::default(), heap: 0 }
        });
        group.accumulator.add(record);
        let heap = heap_size(&group.accumulator);
        self.heap = self.heap - group.heap + heap;
        group.heap = heap;
        Ok(())
    }

    /// Makes the table twice as large. Meanwhile the old one is there too.
    fn grow(&mut self) -> Result<()> {
        let capacity = self.groups.capacity();
        let more = capacity.max(4);
        self.reservation.resize(self.heap + table_size::<K, A>(capacity) + table_size::<K, A>(capacity + more))?;
        self.groups.reserve(more);
        self.reserve()
    }

    fn reserve(&mut self) -> Result<()> {
        self.reservation.resize(self.heap + table_size::<K, A>(self.groups.capacity()))
    }
}

fn heap_size<A: Accumulator>(accumulator: &A) -> usize {
    accumulator.size().saturating_sub(size_of::<A>())
}

/// The bytes of a hash table for so many groups: a power of two of slots, of which 7/8 can be used, each with a byte.
fn table_size<K, A>(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        _ => (capacity * 8).div_ceil(7).next_power_of_two() * (size_of::<(K, Group<A>)>() + 1),
    }
}

impl<K: Hash + Eq + Send, A: Accumulator> Worker for Table<'_, '_, K, A> {
    fn work(&mut self, found: &Found<'_>) -> Result<u64, Failure> {
        let callbacks = self.callbacks;
        let mut used = 0;
        for (number, record) in found.records().enumerate() {
            if number % callbacks.batch_records == 0 {
                self.reserve().map_err(Failure::Run)?;
            }
            let failed = |error| failure(found, &record, error);
            if callbacks.passes(&record).map_err(failed)? {
                let key = (callbacks.key)(&record).map_err(failed)?;
                self.add(key, &record).map_err(Failure::Run)?;
                used += 1;
            }
        }
        self.reserve().map_err(Failure::Run)?;
        Ok(used)
    }
}

/// One sorted list of the groups of all tables.
fn merge<K: Ord, A: Accumulator>(tables: Vec<Table<'_, '_, K, A>>, budget: &Budget) -> Result<Vec<(K, A)>> {
    let count = tables.iter().map(|table| table.groups.len()).sum();
    let mut reservation = budget.reservation("accumulators");
    let size = count * size_of::<(K, A)>();
    reservation.resize(size)?;
    let mut groups: Vec<(K, A)> = Vec::with_capacity(count);
    let mut held = Vec::with_capacity(tables.len());
    for Table { groups: table, heap, reservation: mut of_table, .. } in tables {
        groups.extend(table.into_iter().map(|(key, group)| (key, group.accumulator)));
        of_table.resize(heap)?;
        held.push(of_table);
    }
    groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut grown = 0;
    groups.dedup_by(|(key, other), (kept, accumulator)| {
        let same = key == kept;
        if same {
            let before = heap_size(accumulator) + heap_size(other);
            accumulator.merge(std::mem::take(other));
            grown += heap_size(accumulator).saturating_sub(before);
        }
        same
    });
    reservation.resize(size + grown)?;
    Ok(groups)
}
