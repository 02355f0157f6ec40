//! Batches of items through async functions: a bounded number at a time, in order.
//!
//! - [`BatchTransform`] wraps a stream and is one: what an async function makes of batches of the items.
//! - [`parallel_batches`] does the same for items that are there, and waits for all of it; [`parallel_batches_all`] goes on
//!   after errors.
//! - [`JsonlStream`] reads records from an [`AsyncRead`](tokio::io::AsyncRead), [`JsonlSink`] writes them to an
//!   [`AsyncWrite`](tokio::io::AsyncWrite), [`Query::into_stream`](crate::Query::into_stream) gives the rows of a query.
//!
//! Futures are polled by whoever polls the stream, so they run at the same time, but on one thread. What computes for long
//! belongs into `tokio::spawn` or `spawn_blocking`, whose handle the function then awaits. What was spawned goes on when the
//! stream is dropped or has failed, unless the function sees to its end: a `JoinSet` or `tokio_util`'s `AbortOnDropHandle`
//! ends tasks of `spawn`; nothing ends those of `spawn_blocking`.
//!
//! The function is called once for each batch. A closure that takes something along clones it for each call:
//!
//! ```
//! use std::sync::Arc;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let prices = Arc::new([3, 5, 8]);
//! let look_up = move |places: Vec<usize>| {
//!     let prices = Arc::clone(&prices);
//!     async move { Ok::<Vec<i32>, foldl::Error>(places.iter().map(|place| prices[*place]).collect()) }
//! };
//! assert_eq!(foldl::batch::parallel_batches([0, 1, 2, 0], 2, 2, look_up).await?, [3, 5, 8, 3]);
//! # Ok::<(), foldl::Error>(())
//! # }).unwrap();
//! ```

mod jsonl;
mod parallel;
mod sink;
mod transform;

pub use jsonl::JsonlStream;
pub use parallel::{BatchError, parallel_batches, parallel_batches_all};
pub use sink::JsonlSink;
pub use transform::{BatchResults, BatchTransform};
