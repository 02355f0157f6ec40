//! Pipelines: closures and accumulators of the caller over the same reader, validation and accounting as queries.

mod batches;
mod fold;
mod key;

use std::io::Read;
use std::path::Path;

use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::{Failure, Found, MaxErrors, OnError, Run, Settings};
use crate::input::InputFormat;
use crate::query::{Inputs, READER, sources};
use crate::record::Record;

pub use fold::Accumulator;
pub use key::Key;

/// What a callback's error can be made into.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Filter<'a> = Box<dyn Fn(&Record<'_>) -> Result<bool, BoxError> + Send + Sync + 'a>;
type KeyOf<'a, K> = Box<dyn Fn(&Record<'_>) -> Result<K, BoxError> + Send + Sync + 'a>;

/// Records through closures: filters, a key, and an [`Accumulator`] for each key.
///
/// Worker threads take batches of records and call the closures, each worker with accumulators of its own; at the end
/// these are merged. So closures may run at the same time on several threads, and in any order of batches.
///
/// Reading a field by path is quick: paths that are asked of the first records are extracted from the later ones while
/// these are validated.
///
/// Lines that are no valid records are skipped and counted, or end the run, exactly as in queries: every byte is
/// validated before a closure sees the record. An error that a closure gives ends the run; it is an error of kind
/// [`ErrorKind::Callback`] with the closure's error as its source, or, if that is a [`foldl::Error`](Error) already, that
/// one, and its place is the record's. If there are several, the first in the order of the input is told. A panic of a
/// closure is handed on to the caller.
///
/// ```
/// use foldl::{Accumulator, ExactSum, Pipeline, Record, value::Date};
///
/// #[derive(Default)]
/// struct Sales {
///     orders: u64,
///     revenue: ExactSum,
/// }
///
/// impl Accumulator for Sales {
///     fn add(&mut self, order: &Record<'_>) {
///         self.orders += 1;
///         if let (Some(quantity), Some(price)) = (order.i64("quantity"), order.f64("price")) {
///             self.revenue.add_float(quantity as f64 * price);
///         }
///     }
///
///     fn merge(&mut self, other: Sales) {
///         self.orders += other.orders;
///         self.revenue.merge(&other.revenue);
///     }
/// }
///
/// let (daily, summary) = Pipeline::files(["fixtures/orders.jsonl"])
///     .filter(|order| order.str("status") == Some("completed"))
///     .key(|order| order.date("orderDate"))
///     .threads(2)
///     .batch_records(10_000)
///     .fold::<Sales>()?;
/// let (date, sales) = &daily[0];
/// assert_eq!((*date, sales.orders), (Date::new(2025, 1, 1), 7));
/// assert_eq!((summary.records_in, summary.used, summary.rejected), (3046, 2104, 36));
/// # Ok::<(), foldl::Error>(())
/// ```
#[must_use = "a pipeline does nothing until it is run"]
pub struct Pipeline<'a, K = ()> {
    inputs: Inputs,
    settings: Settings,
    batch_records: usize,
    line_numbers: bool,
    filters: Vec<Filter<'a>>,
    key: KeyOf<'a, K>,
}

impl<'a> Pipeline<'a> {
    /// Reads files, one after another. A name with `*`, `?` or `[` that is no file is a pattern; `-` is standard input.
    /// Compressed files are recognised.
    pub fn files<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Pipeline<'a> {
        Pipeline::new(Inputs::files(files))
    }

    /// Reads what a reader gives, compressed or not, on a thread of its own.
    pub fn reader(reader: impl Read + Send + 'static) -> Pipeline<'a> {
        Pipeline::new(Inputs::Reader(Box::new(reader)))
    }

    fn new(inputs: Inputs) -> Pipeline<'a> {
        Pipeline {
            inputs,
            settings: Settings::default(),
            batch_records: 10_000,
            line_numbers: false,
            filters: Vec::new(),
            key: Box::new(|_| Ok(())),
        }
    }

    /// Folds the records of each key apart.
    pub fn key<K>(self, key: impl Fn(&Record<'_>) -> K + Send + Sync + 'a) -> Pipeline<'a, K> {
        self.keyed(Box::new(move |record| Ok(key(record))))
    }

    /// As [`key`](Pipeline::key), with a closure whose error ends the run.
    pub fn try_key<K, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        self,
        key: impl Fn(&Record<'_>) -> Result<K, E> + Send + Sync + 'a,
    ) -> Pipeline<'a, K> {
        self.keyed(Box::new(move |record| key(record).map_err(E::into)))
    }

    fn keyed<K>(self, key: KeyOf<'a, K>) -> Pipeline<'a, K> {
        let Pipeline { inputs, settings, batch_records, line_numbers, filters, key: _ } = self;
        Pipeline { inputs, settings, batch_records, line_numbers, filters, key }
    }
}

impl<'a, K> Pipeline<'a, K> {
    /// Lets only those records pass for which the closure says `true`. Of several filters, all have to.
    pub fn filter(self, filter: impl Fn(&Record<'_>) -> bool + Send + Sync + 'a) -> Pipeline<'a, K> {
        self.filtered(Box::new(move |record| Ok(filter(record))))
    }

    /// As [`filter`](Pipeline::filter), with a closure whose error ends the run.
    ///
    /// ```
    /// use foldl::{ErrorKind, Pipeline, error::Place};
    ///
    /// let run = Pipeline::reader(&b"{\"n\": 1}\n{\"n\": -2}\n"[..])
    ///     .try_filter(|record| match record.i64("n") {
    ///         Some(n) if n < 0 => Err(format!("{n} is negative")),
    ///         n => Ok(n.is_some()),
    ///     })
    ///     .for_each_batch(|_| Ok::<(), foldl::Error>(()));
    /// let error = run.unwrap_err();
    /// assert_eq!(error.to_string(), "reader:2: a callback failed: -2 is negative");
    /// assert!(matches!(error.place(), Some(Place::Record { line: 2, offset: 9, .. })));
    /// ```
    pub fn try_filter<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        self,
        filter: impl Fn(&Record<'_>) -> Result<bool, E> + Send + Sync + 'a,
    ) -> Pipeline<'a, K> {
        self.filtered(Box::new(move |record| filter(record).map_err(E::into)))
    }

    fn filtered(mut self, filter: Filter<'a>) -> Pipeline<'a, K> {
        self.filters.push(filter);
        self
    }

    /// All settings at once, in place of those made before. `strict`, `line_buffered` and `format` mean nothing here.
    pub fn settings(mut self, settings: Settings) -> Pipeline<'a, K> {
        self.settings = settings;
        self
    }

    /// The number of worker threads, from 1. The default is one for each processor.
    pub fn threads(mut self, threads: usize) -> Pipeline<'a, K> {
        self.settings.threads = threads;
        self
    }

    /// The most records of a batch, from 1. The default is 10,000. A batch never spans two blocks, so raise
    /// [`batch_bytes`](Pipeline::batch_bytes) too where batches are to be larger.
    pub fn batch_records(mut self, records: usize) -> Pipeline<'a, K> {
        self.batch_records = records;
        self
    }

    /// The size of the blocks that are read and cut into batches, in bytes: the longest batch, save that a longer line is
    /// a batch of its own. The default is 256 KiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Pipeline<'a, K> {
        self.settings.block_size = bytes;
        self
    }

    /// The most bytes that accumulators and keys may hold, as they tell by [`Accumulator::size`] and [`Key::heap_size`];
    /// more is [`ErrorKind::Resource`]. Looked at before each batch ends and before a table grows. The default is 1 GiB.
    pub fn memory_limit(mut self, bytes: usize) -> Pipeline<'a, K> {
        self.settings.memory_limit = bytes;
        self
    }

    /// The longest line, in bytes; longer ones are rejected. The default is 16 MiB.
    pub fn max_line(mut self, bytes: usize) -> Pipeline<'a, K> {
        self.settings.max_line = bytes;
        self
    }

    /// The format of all inputs. By default the names of files tell: `.csv`, `.tsv`, `.json` for an array of records, each
    /// with the suffix of a compression or without; other files, and readers, are JSON Lines.
    pub fn input_format(mut self, format: InputFormat) -> Pipeline<'a, K> {
        self.settings.input_format = Some(format);
        self
    }

    /// Whether the first row of CSV and TSV names the columns, as it does by default. If not, they are named `column0`,
    /// `column1`, and so on.
    pub fn header(mut self, header: bool) -> Pipeline<'a, K> {
        self.settings.header = header;
        self
    }

    /// What to do with a line that is no valid record. By default it is skipped and counted.
    pub fn on_error(mut self, on_error: OnError) -> Pipeline<'a, K> {
        self.settings.on_error = on_error;
        self
    }

    /// How many rejected lines end the run with [`ErrorKind::Rejected`]. By default there is no limit.
    pub fn max_errors(mut self, max_errors: MaxErrors) -> Pipeline<'a, K> {
        self.settings.max_errors = Some(max_errors);
        self
    }

    /// Whether records know their line ([`Record::line`]). Each file is then read by one thread. The places of errors
    /// have line numbers in any case.
    pub fn line_numbers(mut self, line_numbers: bool) -> Pipeline<'a, K> {
        self.line_numbers = line_numbers;
        self
    }

    /// Opens the inputs. What the closures need stays.
    fn open(self) -> Result<(Run, Callbacks<'a, K>)> {
        let Pipeline { inputs, settings, batch_records, line_numbers, filters, key } = self;
        if batch_records == 0 {
            return Err(Error::new(ErrorKind::Usage, "a batch must have at least one record"));
        }
        let run = match inputs {
            Inputs::Files(files) => Run::of_callbacks(sources(&files)?, settings, line_numbers)?,
            Inputs::Reader(reader) => Run::of_callbacks_on_reader(reader, READER, settings, line_numbers)?,
        };
        Ok((run, Callbacks { batch_records, filters, key }))
    }
}

/// What the workers share.
struct Callbacks<'a, K> {
    batch_records: usize,
    filters: Vec<Filter<'a>>,
    key: KeyOf<'a, K>,
}

impl<K> Callbacks<'_, K> {
    fn passes(&self, record: &Record<'_>) -> Result<bool, BoxError> {
        for filter in &self.filters {
            if !filter(record)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The error of a callback for a record, or for a batch that begins with it. If the error tells a record of the block,
/// as one of [`Record::deserialize`] does, it is that record's.
fn failure(found: &Found<'_>, record: &Record<'_>, error: BoxError) -> Failure {
    let own = |cause: BoxError| Error::new(ErrorKind::Callback, "a callback failed").caused_by(cause);
    let mut offset = record.offset();
    let error = match error.downcast::<Error>() {
        Ok(error) => match error.place() {
            None => *error,
            Some(Place::Record { file, offset: at, .. }) if file == found.file && found.within(*at).is_some() => {
                offset = Some(*at);
                *error
            }
            Some(_) => own(error),
        },
        Err(cause) => own(cause),
    };
    let offset = offset.and_then(|offset| found.within(offset)).unwrap_or(0);
    Failure::Record { offset, error }
}
