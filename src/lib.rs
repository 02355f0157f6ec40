//! foldl folds JSON Lines: it filters, aggregates and checks JSONL files of any size, fast, exactly, in a bounded amount of
//! memory. This crate is the engine of the command of the same name.
//!
//! There are two ways in. Both read JSON Lines, and CSV, TSV and JSON arrays of records, from files or any
//! [`Read`](std::io::Read)er, compressed or not, on as many threads as they are given, and both give a [`Summary`] of what
//! happened.
//!
//! # Query text
//! A [`Query`] is SQL with every clause optional. Its rows stream while the query runs:
//!
//! ```
//! use foldl::Query;
//!
//! #[derive(Debug, PartialEq, serde::Deserialize)]
//! struct Day {
//!     date: String,
//!     orders: u64,
//!     revenue: f64,
//! }
//!
//! let query = Query::parse(
//!     "select date(orderDate) as date, count(*) as orders, sum(quantity * price) as revenue
//!      where status = 'completed' group by date",
//! )?;
//! let mut days = Vec::new();
//! for row in query.files(["fixtures/orders-day*.jsonl"]).threads(2).run()? {
//!     days.push(row?.deserialize::<Day>()?);
//! }
//! assert_eq!(days[1], Day { date: "2025-03-02".to_owned(), orders: 119, revenue: 59311.09 });
//! # Ok::<(), foldl::Error>(())
//! ```
//!
//! [`Query::write_to`] writes the output in any [`Format`] instead.
//!
//! # Closures
//! A [`Pipeline`] calls closures and an [`Accumulator`] of one's own with [`Record`]s, whose fields are read by path:
//!
//! ```
//! use std::collections::BTreeSet;
//! use foldl::{Accumulator, Pipeline, Record};
//!
//! #[derive(Default)]
//! struct Buyers(BTreeSet<String>);
//!
//! impl Accumulator for Buyers {
//!     fn add(&mut self, order: &Record<'_>) {
//!         self.0.extend(order.str("userId").map(str::to_owned));
//!     }
//!
//!     fn merge(&mut self, mut other: Buyers) {
//!         self.0.append(&mut other.0);
//!     }
//!
//!     fn size(&self) -> usize {
//!         size_of::<Self>() + self.0.len() * 48
//!     }
//! }
//!
//! let (daily, summary) = Pipeline::files(["fixtures/orders-day1.jsonl", "fixtures/orders-day2.jsonl"])
//!     .filter(|order| order.str("status") == Some("completed"))
//!     .key(|order| order.date("orderDate"))
//!     .fold::<Buyers>()?;
//! let buyers: Vec<usize> = daily.iter().map(|(_, buyers)| buyers.0.len()).collect();
//! assert_eq!((buyers, summary.used), (vec![113, 111], 239));
//! # Ok::<(), foldl::Error>(())
//! ```
//!
//! [`Pipeline::for_each_batch`] gives a closure whole batches.
//!
//! # What is guaranteed
//! - **Validation.** A line is a record if it is JSON as RFC 8259 defines it in valid UTF-8, every byte of it looked at. Other
//!   lines are skipped and counted, or end the run: [`Settings::on_error`](exec::Settings::on_error). A bad line never affects
//!   the next one. So it is with rows of CSV and elements of an array ([`InputFormat`]).
//! - **Exactness.** No value is changed silently: a field that is selected keeps its bytes, integers are exact, and
//!   sums of floats are exact until they are rounded once ([`ExactSum`]). A value of a wrong type is NULL, and counted in
//!   the [`Summary`].
//! - **Order.** Rows of records come in the order of the input, groups sorted by key or as ORDER BY says. The result is
//!   the same, to the last bit, for any number of threads and any block size. So is a fold whose accumulator keeps the
//!   [contract](Accumulator#contract).
//! - **Memory.** Blocks are recycled and queues are bounded, so a slow consumer slows the reading down. What grows with
//!   the data (groups, sorted rows, accumulators) is counted, and a run that needs more than its limit ends with
//!   [`ErrorKind::Resource`].
//! - **Errors.** Every error is an [`Error`] with a kind and, where there is one, a place. Nothing here prints, exits or
//!   installs a signal handler.
//!
//! # Where to find what
//! - Paths into records, the reasons of rejected lines, and the scanner itself: [`scan`].
//! - Values, dates and timestamps: [`value`].
//! - The settings and the summary of a run: [`exec`].
//! - Blocks of whole lines from files and streams, for machinery of one's own: [`input`].
//! - Async streams and sinks, and batches through async functions: [`batch`].

pub mod batch;
pub mod error;
pub mod exec;
pub mod input;
pub mod scan;
pub mod value;

mod pipeline;
mod query;
mod record;

// What the command and the benches need beside the above. It may change at any time.
#[doc(hidden)]
pub mod agg;
#[doc(hidden)]
pub mod expr;
#[doc(hidden)]
pub mod generate;
#[doc(hidden)]
pub mod group;
#[doc(hidden)]
pub mod job;
#[doc(hidden)]
pub mod map;
#[doc(hidden)]
pub mod memory;
#[doc(hidden)]
pub mod output;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod quality;
#[doc(hidden)]
pub mod sort;
#[doc(hidden)]
pub mod spill;
#[doc(hidden)]
pub mod sql;
#[doc(hidden)]
pub mod units;

pub use agg::{ExactSum, Total};
pub use error::{Error, ErrorKind, Result};
pub use exec::{MaxErrors, OnError, Settings, Summary};
pub use expr::Fault;
pub use input::InputFormat;
pub use output::Format;
pub use pipeline::{Accumulator, Key, Pipeline};
pub use query::{Query, RowStream, Rows};
pub use record::{Record, RecordPath};
