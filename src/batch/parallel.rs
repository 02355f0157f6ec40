//! Batches of items that are there.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// What an async function makes of batches of `batch_size` items, in the order of the items, with at most `concurrency`
/// batches at a time; 0 is taken for 1. A batch begins as soon as any other one is done: nobody waits for a slow one but at the
/// end.
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
    let mut all = Vec::new();
    for (_, result) in run(items, (batch_size, concurrency), function, true).await {
        all.extend(result?);
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
    function: F,
) -> (Vec<R>, Vec<BatchError<E>>)
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for (items, result) in run(items, (batch_size, concurrency), function, false).await {
        match result {
            Ok(results) => all.extend(results),
            Err(error) => errors.push(BatchError { items, error }),
        }
    }
    (all, errors)
}

/// A batch that was begun.
struct Begun<R, E> {
    /// The number of the item after its last one.
    end: usize,
    /// What became of it, if it is done.
    outcome: Option<Result<Vec<R>, E>>,
}

/// What became of each batch, with the numbers of its items, in the order of the items. If an error `ends` it, no more batches
/// are begun after one, and those behind it are cancelled; there may be an earlier one among those before it.
async fn run<T, R, E, F, Fut>(
    items: impl IntoIterator<Item = T>,
    (batch_size, concurrency): (usize, usize),
    mut function: F,
    ends: bool,
) -> Vec<(Range<usize>, Result<Vec<R>, E>)>
where
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let mut items = items.into_iter();
    let mut running = FuturesUnordered::new();
    // By the number of the first item.
    let mut batches: BTreeMap<usize, Begun<R, E>> = BTreeMap::new();
    let (mut next, mut failed) = (0, None);
    loop {
        while failed.is_none() && running.len() < concurrency.max(1) {
            let batch: Vec<T> = items.by_ref().take(batch_size.max(1)).collect();
            if batch.is_empty() {
                break;
            }
            let first = next;
            next += batch.len();
            batches.insert(first, Begun { end: next, outcome: None });
            let call = function(batch);
            running.push(async move { (first, call.await) });
        }
        let Some((first, result)) = running.next().await else { break };
        if ends && result.is_err() {
            failed = Some(failed.map_or(first, |known: usize| known.min(first)));
        }
        if let Some(batch) = batches.get_mut(&first) {
            batch.outcome = Some(result);
        }
        if let Some(failed) = failed
            && batches.range(..failed).all(|(_, batch)| batch.outcome.is_some())
        {
            break;
        }
    }
    batches.into_iter().filter_map(|(first, Begun { end, outcome })| Some((first..end, outcome?))).collect()
}
