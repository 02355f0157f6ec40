//! Batches of items through async functions: a bounded number at a time, in order.
//!
//! - [`BatchTransform`] wraps a stream and is one: what an async function makes of batches of the items.
//! - [`parallel_batches`] does the same for items that are there, and waits for all of it; [`parallel_batches_all`] goes on
//!   after errors.
//! - [`JsonlStream`] reads records from an [`AsyncRead`](tokio::io::AsyncRead), [`JsonlSink`] writes them to an
//!   [`AsyncWrite`](tokio::io::AsyncWrite), [`Query::into_stream`](crate::Query::into_stream) gives the rows of a query.
//!
//! Futures are polled by whoever polls the stream, so they run at the same time, but on one thread. What computes for long
//! belongs into `tokio::spawn` or `spawn_blocking`, whose handle the function then awaits.

mod jsonl;
mod parallel;
mod sink;
mod transform;

pub use jsonl::JsonlStream;
pub use parallel::{BatchError, parallel_batches, parallel_batches_all};
pub use sink::JsonlSink;
pub use transform::{BatchResults, BatchTransform};
