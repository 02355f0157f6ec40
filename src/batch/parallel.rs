//! Batches of items that are there.

use std::future::Future;
use std::ops::Range;

use futures::StreamExt;
use futures::stream::{TryStreamExt, iter};

use super::transform::BatchTransform;

/// What an async function makes of batches of `batch_size` items, in the order of the items, with at most `concurrency`
/// batches at a time. A batch begins as soon as one is done whose results, or those before it, have been taken: there are
/// no rounds that wait for their slowest one.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let squares = foldl::batch::parallel_batches(1..=5, 2, 4, async |batch: Vec<u64>| {
///     Ok::<_, String>(batch.into_iter().map(|n| n * n).collect())
/// });
/// assert_eq!(squares.await?, [1, 4, 9, 16, 25]);
/// # Ok::<(), String>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// The error of the first batch, in the order of the items, that has one; batches that still run are cancelled.
pub async fn parallel_batches<T, R, E, F, Fut>(
    items: impl IntoIterator<Item = T>,
    batch_size: usize,
    concurrency: usize,
    function: F,
) -> Result<Vec<R>, E>
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let transform = BatchTransform::new(iter(items), function).batch_size(batch_size).concurrency(concurrency);
    let mut results = transform.good_results();
    let mut all = Vec::new();
    while let Some(batch) = results.try_next().await? {
        all.extend(batch);
    }
    Ok(all)
}

/// The error of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchError<E> {
    /// The items of the batch, counted from 0.
    pub items: Range<usize>,
    /// What went wrong.
    pub error: E,
}

/// As [`parallel_batches`], but errors end nothing: the results of all batches without one, and all errors, both in the
/// order of the items.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let (odd, errors) = foldl::batch::parallel_batches_all(1..=5, 1, 2, async |batch: Vec<u64>| {
///     if batch[0] % 2 == 0 { Err("even") } else { Ok(batch) }
/// })
/// .await;
/// assert_eq!(odd, [1, 3, 5]);
/// assert_eq!((errors.len(), errors[0].items.clone(), errors[0].error), (2, 1..2, "even"));
/// # });
/// ```
pub async fn parallel_batches_all<T, R, E, F, Fut>(
    items: impl IntoIterator<Item = T>,
    batch_size: usize,
    concurrency: usize,
    mut function: F,
) -> (Vec<R>, Vec<BatchError<E>>)
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let (mut all, mut errors, mut next) = (Vec::new(), Vec::new(), 0);
    let mut results = std::pin::pin!(
        BatchTransform::new(iter(items), |batch: Vec<T>| {
            let len = batch.len();
            let call = function(batch);
            async move { Ok::<_, std::convert::Infallible>(vec![(len, call.await)]) }
        })
        .batch_size(batch_size)
        .concurrency(concurrency)
    );
    while let Some(Ok((len, result))) = results.next().await {
        let items = next..next + len;
        next += len;
        match result {
            Ok(results) => all.extend(results),
            Err(error) => errors.push(BatchError { items, error }),
        }
    }
    (all, errors)
}
