//! Streams of what batches become.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{FuturesOrdered, Map};
use futures::{Stream, StreamExt, ready};
use tokio::time::{Sleep, sleep};

/// A stream of what an async function makes of batches of another stream's items.
///
/// The items of the results come in the order of the items that they were made of. The first error, of the function or of
/// the stream, comes after all results of the batches before it; it is the last item. [`results`](BatchTransform::results)
/// gives the results of batch after batch instead, and goes on after errors.
///
/// No batch begins after one has failed.
///
/// At most [`concurrency`](BatchTransform::concurrency) batches are with the function, or done and waiting for their turn;
/// beside these there is one batch that is filled. While nobody takes results, no more items are taken from the stream.
/// What is left when the stream ends is the last batch. Dropping the transform drops the futures and the stream, and so
/// cancels them.
///
/// ```
/// use foldl::batch::BatchTransform;
/// use futures::TryStreamExt;
///
/// /// What a service would do.
/// async fn double(batch: Vec<u64>) -> Result<Vec<u64>, String> {
///     Ok(batch.into_iter().map(|n| 2 * n).collect())
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # runtime.block_on(async {
/// let numbers = tokio_stream::iter(1..=5);
/// let doubled: Vec<u64> = BatchTransform::new(numbers, double).batch_size(2).concurrency(4).try_collect().await?;
/// assert_eq!(doubled, [2, 4, 6, 8, 10]);
/// # Ok::<(), String>(())
/// # }).unwrap();
/// ```
#[must_use = "streams do nothing unless they are polled"]
pub struct BatchTransform<S, T, F, Fut: Future, R, E> {
    results: BatchResults<S, T, F, Fut, E>,
    ready: std::vec::IntoIter<R>,
    ended: bool,
}

/// The results of batch after batch, errors included, in the order of the batches.
///
/// An error of the stream of items comes after the results of all items before it, and is the last item.
#[must_use = "streams do nothing unless they are polled"]
pub struct BatchResults<S, T, F, Fut: Future, E> {
    items: Option<Pin<Box<S>>>,
    /// What ended the items.
    error: Option<E>,
    call: F,
    size: usize,
    bytes: Option<Measure<T>>,
    time: Option<Duration>,
    concurrency: usize,
    running: FuturesOrdered<Watched<Fut>>,
    /// Whether a batch has failed, after which no more are begun; `None` if others go on.
    failed: Option<Arc<AtomicBool>>,
    begun: Vec<T>,
    begun_bytes: usize,
    /// When the batch that was begun is to go on as it is.
    timer: Option<Pin<Box<Sleep>>>,
    is_due: bool,
}

/// The future of a batch, and who wants to know if it fails.
struct Watched<Fut: Future> {
    future: Pin<Box<Fut>>,
    has_failed: fn(&Fut::Output) -> bool,
    failed: Option<Arc<AtomicBool>>,
}

impl<Fut: Future> Future for Watched<Fut> {
    type Output = Fut::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let output = ready!(self.future.as_mut().poll(cx));
        if let Some(failed) = &self.failed
            && (self.has_failed)(&output)
        {
            failed.store(true, Ordering::Relaxed);
        }
        Poll::Ready(output)
    }
}

/// The most bytes of a batch, and what tells the bytes of an item.
type Measure<T> = (usize, fn(&T) -> usize);

/// A stream whose items are taken for good ones.
type Good<S, E> = Map<S, fn(<S as Stream>::Item) -> Result<<S as Stream>::Item, E>>;

impl<S, F, Fut, R, E> BatchTransform<Good<S, E>, S::Item, F, Fut, R, E>
where
    S: Stream,
    F: FnMut(Vec<S::Item>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    /// A transform of a stream of items, in batches of 10,000, one at a time.
    pub fn new(items: S, function: F) -> BatchTransform<Good<S, E>, S::Item, F, Fut, R, E> {
        BatchTransform::try_new(items.map(Ok as fn(S::Item) -> Result<S::Item, E>), function)
    }
}

impl<S, T, F, Fut, R, E> BatchTransform<S, T, F, Fut, R, E>
where
    S: Stream<Item = Result<T, E>>,
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    /// A transform of a stream that may have errors, the first of which ends it, in batches of 10,000, one at a time.
    ///
    /// ```
    /// use foldl::batch::{BatchTransform, JsonlStream};
    /// use foldl::Record;
    /// use futures::TryStreamExt;
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # runtime.block_on(async {
    /// let records = JsonlStream::new(&b"{\"id\": 7}\n{\"id\": 9}\n"[..]);
    /// let ids = async |batch: Vec<Record<'static>>| Ok(batch.iter().filter_map(|record| record.i64("id")).collect());
    /// let ids: Vec<i64> = BatchTransform::try_new(records, ids).try_collect().await?;
    /// assert_eq!(ids, [7, 9]);
    /// # Ok::<(), foldl::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn try_new(items: S, function: F) -> BatchTransform<S, T, F, Fut, R, E> {
        BatchTransform {
            results: BatchResults {
                items: Some(Box::pin(items)),
                error: None,
                call: function,
                size: 10_000,
                bytes: None,
                time: None,
                concurrency: 1,
                running: FuturesOrdered::new(),
                failed: Some(Arc::default()),
                begun: Vec::new(),
                begun_bytes: 0,
                timer: None,
                is_due: false,
            },
            ready: Vec::new().into_iter(),
            ended: false,
        }
    }

    /// The most items of a batch; 0 is taken as 1.
    pub fn batch_size(mut self, items: usize) -> Self {
        self.results.size = items.max(1);
        self
    }

    /// The most bytes of a batch, as `size` tells them of each item. A longer item is a batch of its own.
    pub fn batch_bytes(mut self, bytes: usize, size: fn(&T) -> usize) -> Self {
        self.results.bytes = Some((bytes, size));
        self
    }

    /// How long a batch waits for more items after its first one. By default until there are enough. This takes a tokio
    /// runtime with time enabled.
    pub fn batch_time(mut self, time: Duration) -> Self {
        self.results.time = Some(time);
        self
    }

    /// The most batches at a time; 0 is taken as 1.
    pub fn concurrency(mut self, batches: usize) -> Self {
        self.results.concurrency = batches.max(1);
        self
    }

    /// The results of batch after batch; an error of the function does not end them.
    pub fn results(self) -> BatchResults<S, T, F, Fut, E> {
        BatchResults { failed: None, ..self.results }
    }
}

impl<S, T, F, Fut: Future, E> BatchResults<S, T, F, Fut, E> {
    /// Drops all futures, and the items that are still to come.
    fn cancel(&mut self) {
        self.items = None;
        self.begun.clear();
        self.running = FuturesOrdered::new();
    }

    /// Whether the batch that was begun has all the items that it may have.
    fn is_full(&self) -> bool {
        self.begun.len() >= self.size || self.bytes.is_some_and(|(most, _)| self.begun_bytes >= most)
    }

    /// Whether a batch has failed, so that no others are to begin.
    fn has_failed(&self) -> bool {
        self.failed.as_ref().is_some_and(|failed| failed.load(Ordering::Relaxed))
    }

    /// Whether an item of so many bytes belongs to the next batch.
    fn is_full_for(&self, bytes: usize) -> bool {
        let too_long = |(most, _): Measure<T>| self.begun_bytes.saturating_add(bytes) > most;
        !self.begun.is_empty() && (self.is_full() || self.bytes.is_some_and(too_long))
    }
}

impl<S, T, F, Fut, R, E> BatchResults<S, T, F, Fut, E>
where
    S: Stream<Item = Result<T, E>>,
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    /// Gives the batch that was begun to the function.
    fn go(&mut self) {
        (self.timer, self.is_due, self.begun_bytes) = (None, false, 0);
        let batch = std::mem::take(&mut self.begun);
        let future = Box::pin((self.call)(batch));
        self.running.push_back(Watched { future, has_failed: Result::is_err, failed: self.failed.clone() });
    }

    /// Takes an item into the batch that was begun, which has room for it or is full and can go.
    fn take(&mut self, item: T) {
        let bytes = self.bytes.map_or(0, |(_, size)| size(&item));
        if self.is_full_for(bytes) {
            self.go();
        }
        if self.begun.is_empty() {
            self.timer = self.time.map(|time| Box::pin(sleep(time)));
        }
        self.begun.push(item);
        self.begun_bytes += bytes;
    }
}

impl<S, T, F, Fut, R, E> Stream for BatchResults<S, T, F, Fut, E>
where
    S: Stream<Item = Result<T, E>>,
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    type Item = Result<Vec<R>, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // As long as a batch can go, items are taken. An item that does not fit makes the batch before it go, so there has
        // to be room for that.
        while this.running.len() < this.concurrency && !this.has_failed() {
            if !this.begun.is_empty() && (this.items.is_none() || this.is_full() || this.is_due) {
                this.go();
                continue;
            }
            let Some(items) = &mut this.items else { break };
            match items.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(item))) => this.take(item),
                Poll::Ready(Some(Err(error))) => (this.items, this.error) = (None, Some(error)),
                Poll::Ready(None) => this.items = None,
                Poll::Pending => {
                    let is_over = |timer: &mut Pin<Box<Sleep>>| timer.as_mut().poll(cx).is_ready();
                    if !this.timer.as_mut().is_some_and(is_over) {
                        break;
                    }
                    this.is_due = true;
                }
            }
        }
        match ready!(this.running.poll_next_unpin(cx)) {
            Some(result) => Poll::Ready(Some(result)),
            // The loop has left nothing begun then, unless items are still to come.
            None if this.items.is_some() => Poll::Pending,
            None => Poll::Ready(this.error.take().map(Err)),
        }
    }
}

/// All that is pinned is pinned in a box of its own.
impl<S, T, F, Fut: Future, E> Unpin for BatchResults<S, T, F, Fut, E> {}
impl<S, T, F, Fut: Future, R, E> Unpin for BatchTransform<S, T, F, Fut, R, E> {}

impl<S, T, F, Fut, R, E> Stream for BatchTransform<S, T, F, Fut, R, E>
where
    S: Stream<Item = Result<T, E>>,
    F: FnMut(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    type Item = Result<R, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.ready.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.results.poll_next_unpin(cx)) {
                Some(Ok(results)) => self.ready = results.into_iter(),
                end => {
                    self.ended = true;
                    // Those that still run are cancelled.
                    self.results.cancel();
                    return Poll::Ready(end.and_then(Result::err).map(Err));
                }
            }
        }
    }
}
