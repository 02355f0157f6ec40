//! `foldl::batch`: any batch size, concurrency, latencies and failures give what one batch after another gives, within the
//! bounds.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use foldl::batch::{BatchTransform, JsonlSink, JsonlStream, parallel_batches, parallel_batches_all};
use foldl::{ErrorKind, MaxErrors, OnError, Query, Record, Result};
use futures::{Sink, Stream, StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

/// Runs a future on a clock that does not wait.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// What happens while batches run.
#[derive(Default)]
struct Watch {
    running: Cell<usize>,
    most_running: Cell<usize>,
    /// Items that were taken from the stream, and that came out as results.
    taken: Cell<usize>,
    given: Cell<usize>,
    most_held: Cell<usize>,
    dropped: Cell<usize>,
}

impl Watch {
    fn take(&self) {
        self.taken.set(self.taken.get() + 1);
        self.most_held.set(self.most_held.get().max(self.taken.get() - self.given.get()));
    }
}

/// Counts itself as running as long as it is there.
struct Running<'w>(&'w Watch);

impl<'w> Running<'w> {
    fn new(watch: &'w Watch) -> Running<'w> {
        watch.running.set(watch.running.get() + 1);
        watch.most_running.set(watch.most_running.get().max(watch.running.get()));
        Running(watch)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.dropped.set(self.0.dropped.get() + 1);
    }
}

/// One batch: takes a time that depends on its first item, and fails if it has a certain one.
async fn call(watch: &Watch, batch: Vec<u64>, latencies: &[u64], fails: Option<u64>) -> Result<Vec<u64>, u64> {
    let _running = Running::new(watch);
    let latency = latencies[batch[0] as usize % latencies.len()];
    if latency > 0 {
        sleep(Duration::from_millis(latency)).await;
    }
    match batch.iter().find(|item| Some(**item) == fails) {
        Some(item) => Err(*item),
        // One item gives none, one, or several.
        None => Ok(batch.iter().flat_map(|&item| std::iter::repeat_n(10 * item, (item % 3) as usize)).collect()),
    }
}

/// The same, one after another.
fn sequential(items: u64, size: usize, fails: Option<u64>) -> (Vec<u64>, Option<u64>) {
    let all: Vec<u64> = (0..items).collect();
    let mut out = Vec::new();
    for batch in all.chunks(size) {
        if let Some(item) = batch.iter().find(|item| Some(**item) == fails) {
            return (out, Some(*item));
        }
        out.extend(batch.iter().flat_map(|&item| std::iter::repeat_n(10 * item, (item % 3) as usize)));
    }
    (out, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn batches_give_the_sequential_result(
        items in 0_u64..200,
        size in 1_usize..20,
        concurrency in 1_usize..9,
        latencies in proptest::collection::vec(0_u64..50, 1..8),
        pauses in proptest::collection::vec(0_u64..20, 1..5),
        fails in proptest::option::of(0_u64..300),
    ) {
        let watch = Watch::default();
        let (results, error) = run(async {
            let source = stream::iter(0..items).then(|item| {
                let pause = pauses[item as usize % pauses.len()];
                let watch = &watch;
                async move {
                    if pause > 15 {
                        sleep(Duration::from_millis(pause)).await;
                    }
                    watch.take();
                    item
                }
            });
            let transform = BatchTransform::new(source, |batch| call(&watch, batch, &latencies, fails))
                .batch_size(size)
                .concurrency(concurrency);
            let mut results = std::pin::pin!(transform.results());
            let (mut all, mut error) = (Vec::new(), None);
            let mut batches = 0;
            while let Some(result) = results.next().await {
                batches += 1;
                watch.given.set((batches * size).min(items as usize));
                match result {
                    Ok(results) => all.extend(results),
                    Err(failed) => {
                        error = Some(failed);
                        break;
                    }
                }
            }
            (all, error)
        });
        prop_assert_eq!((results, error), sequential(items, size, fails));
        prop_assert!(watch.most_running.get() <= concurrency, "{} in flight", watch.most_running.get());
        let bound = (concurrency + 1) * size;
        prop_assert!(watch.most_held.get() <= bound, "{} items held, {bound} allowed", watch.most_held.get());
        prop_assert_eq!(watch.running.get(), 0, "dropped futures are cancelled");
    }

    #[test]
    fn parallel_batches_are_the_sequential_result(
        items in 0_u64..200,
        size in 0_usize..20,
        concurrency in 0_usize..9,
        latencies in proptest::collection::vec(0_u64..50, 1..8),
        fails in proptest::option::of(0_u64..300),
    ) {
        let watch = Watch::default();
        let result = run(parallel_batches(0..items, size, concurrency, |batch| call(&watch, batch, &latencies, fails)));
        let (all, error) = sequential(items, size.max(1), fails);
        prop_assert_eq!(result, error.map_or(Ok(all), Err));
        prop_assert!(watch.most_running.get() <= concurrency.max(1));
        prop_assert_eq!(watch.running.get(), 0);

        let watch = Watch::default();
        let call = |batch| call(&watch, batch, &latencies, fails);
        let (all, errors) = run(parallel_batches_all(0..items, size, concurrency, call));
        let size = size.max(1) as u64;
        let bad = fails.filter(|&item| item < items).map(|item| item / size * size);
        let good = (0..items).filter(|item| bad.is_none_or(|start| !(start..start + size).contains(item)));
        let expected: Vec<u64> = good.flat_map(|item| std::iter::repeat_n(10 * item, (item % 3) as usize)).collect();
        prop_assert_eq!(all, expected);
        let errors: Vec<_> = errors.into_iter().map(|error| (error.items, error.error)).collect();
        let of_bad = bad.zip(fails).map(|(start, item)| (start as usize..(start + size).min(items) as usize, item));
        prop_assert_eq!(errors, Vec::from_iter(of_bad));
    }

    #[test]
    fn bytes_bound_batches(lengths in proptest::collection::vec(0_usize..30, 0..100), most in 1_usize..60) {
        let batches: Vec<Vec<usize>> = run(async {
            let source = stream::iter(lengths.clone());
            let call = async |batch: Vec<usize>| Ok::<_, ()>(vec![batch]);
            BatchTransform::new(source, call).batch_bytes(most, |len| *len).try_collect().await.unwrap()
        });
        prop_assert_eq!(batches.concat(), lengths);
        for (batch, next) in batches.iter().zip(batches.iter().skip(1)) {
            let sum: usize = batch.iter().sum();
            prop_assert!(batch.len() == 1 || sum <= most);
            prop_assert!(sum >= most || sum + next[0] > most, "a batch goes on as long as there is room");
        }
    }

    #[test]
    fn records_are_those_of_the_engine(
        lines in proptest::collection::vec(
            prop_oneof![
                "\\{\"a\": [0-9]{1,4}\\}", Just(String::new()), Just("  ".to_owned()), "[a-z]{1,9}", Just("{\"b\":1".to_owned()),
                Just("[[[[1]]]]".to_owned()), "\"[a-zé]{30,90}\"", Just("\"\u{1}\"".to_owned()),
            ], 0..40),
        ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n")], 1..4),
        last in any::<bool>(),
        mark in any::<bool>(),
        step in 1_usize..70,
        max_line in prop_oneof![Just(40_usize), Just(1000)],
    ) {
        let mut bytes = if mark { b"\xEF\xBB\xBF".to_vec() } else { Vec::new() };
        for (number, line) in lines.iter().enumerate() {
            bytes.extend_from_slice(line.as_bytes());
            if last || number + 1 < lines.len() {
                bytes.extend_from_slice(ends[number % ends.len()].as_bytes());
            }
        }
        let (expected_rejects, rejects) = (Shared::default(), Shared::default());
        let mut engine = Query::parse("select *").unwrap().reader(std::io::Cursor::new(bytes.clone())).max_line(max_line)
            .rejects(expected_rejects.clone()).run().unwrap();
        let expected: Vec<String> = engine.by_ref().map(|row| row.unwrap().into_json()).collect();
        let input = Steps { bytes, at: 0, step };
        let (found, counts) = run(async {
            let mut records = JsonlStream::new(input).max_line(max_line).rejects(rejects.clone());
            let found: Vec<Record<'_>> = records.by_ref().try_collect().await.unwrap();
            (found, (records.records(), records.rejected()))
        });
        let found: Vec<String> = found.into_iter().map(Record::into_json).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(counts, (expected.len() as u64, engine.summary().unwrap().rejected));
        prop_assert_eq!(rejects.text(), expected_rejects.text());
    }
}

/// What is written, to be looked at afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Gives a few bytes at a time, and is not always ready; takes as many.
struct Steps {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
}

impl AsyncRead for Steps {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.step = self.step % 71 + 1;
        if self.step.is_multiple_of(5) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = self.step.min(self.bytes.len() - self.at).min(buffer.remaining());
        buffer.put_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Steps {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.step = self.step % 71 + 1;
        if self.step.is_multiple_of(5) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = self.step.min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_batch_goes_on_when_its_time_is_over() {
    let batches: Vec<Vec<u64>> = run(async {
        let source = stream::iter(0..6).then(async |item| {
            sleep(Duration::from_millis(if item == 4 { 1000 } else { 10 })).await;
            item
        });
        let call = async |batch: Vec<u64>| Ok::<_, ()>(vec![batch]);
        let transform = BatchTransform::new(source, call).batch_time(Duration::from_millis(100));
        transform.try_collect().await.unwrap()
    });
    assert_eq!(batches, [vec![0, 1, 2, 3], vec![4, 5]]);
}

#[test]
fn no_batch_begins_after_one_has_failed() {
    let begun = AtomicUsize::new(0);
    let call = |batch: Vec<u64>| {
        begun.fetch_add(1, Ordering::Relaxed);
        async move {
            match batch[0] {
                // The second batch has failed when the results of this one are taken.
                0 => sleep(Duration::from_millis(20)).await,
                1 => return Err("second"),
                _ => {}
            }
            Ok(batch)
        }
    };
    let results: Vec<_> =
        run(BatchTransform::new(stream::iter(0..100), call).batch_size(1).concurrency(2).collect::<Vec<_>>());
    assert_eq!(results, [Ok(0), Err("second")]);
    assert_eq!(begun.load(Ordering::Relaxed), 2);
    begun.store(0, Ordering::Relaxed);
    assert_eq!(run(parallel_batches(0..100, 1, 2, call)), Err("second"));
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[test]
fn the_window_slides() {
    let elapsed = run(async {
        let start = tokio::time::Instant::now();
        let call = async |batch: Vec<u64>| {
            sleep(Duration::from_millis([100, 200, 200, 100][batch[0] as usize])).await;
            Ok::<_, ()>(batch)
        };
        assert_eq!(parallel_batches(0..4, 1, 2, call).await.unwrap(), [0, 1, 2, 3]);
        start.elapsed()
    });
    // In rounds of two it would be 200 and another 200.
    assert_eq!(elapsed.as_millis(), 300);
}

#[test]
fn a_slow_batch_holds_up_none_but_itself() {
    let elapsed = run(async {
        let start = tokio::time::Instant::now();
        let call = async |batch: Vec<u64>| {
            sleep(Duration::from_millis(if batch[0] == 0 { 1000 } else { 100 })).await;
            Ok::<_, ()>(batch)
        };
        assert_eq!(parallel_batches(0..11, 1, 2, call).await.unwrap(), Vec::from_iter(0..11));
        start.elapsed()
    });
    assert_eq!(elapsed.as_millis(), 1000);
}

#[test]
fn results_go_on_after_errors_and_an_error_of_the_items_is_the_last() {
    let results: Vec<Result<Vec<u64>, &str>> = run(async {
        let items = stream::iter([Ok(1), Ok(2), Ok(3), Ok(4), Err("the items"), Ok(5)]);
        let call = async |batch: Vec<u64>| if batch.contains(&2) { Err("the call") } else { Ok(batch) };
        BatchTransform::try_new(items, call).batch_size(2).concurrency(3).results().collect().await
    });
    assert_eq!(results, [Err("the call"), Ok(vec![3, 4]), Err("the items")]);
}

#[test]
fn dropping_cancels() {
    let watch = Watch::default();
    run(async {
        let mut transform = BatchTransform::new(stream::iter(0..100), |batch: Vec<u64>| {
            let running = Running::new(&watch);
            async move {
                sleep(Duration::from_secs(3600)).await;
                drop(running);
                Ok::<_, ()>(batch)
            }
        })
        .batch_size(10)
        .concurrency(3);
        let next = tokio::time::timeout(Duration::from_millis(50), transform.next()).await;
        assert!(next.is_err());
        assert_eq!(watch.running.get(), 3);
        drop(transform);
        assert_eq!((watch.running.get(), watch.dropped.get()), (0, 3));
    });
}

#[test]
fn bad_lines_end_the_stream_where_that_is_wanted() {
    let input = b"1\n{bad\n2\nworse\n3\n";
    let collect = |stream: JsonlStream<&'static [u8]>| {
        run(stream.map(|row| row.map(|row| row.json().to_owned())).collect::<Vec<Result<String>>>())
    };
    let ended = |mut results: Vec<Result<String>>| {
        let error = results.pop().unwrap().unwrap_err();
        (results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), error.kind(), error.to_string())
    };
    let (rows, kind, text) = ended(collect(JsonlStream::new(&input[..]).name("in").on_error(OnError::Fail)));
    assert_eq!((rows, kind), (vec!["1".to_owned()], ErrorKind::Rejected));
    assert!(text.starts_with("in:2: "), "{text}");
    let (rows, kind, _) = ended(collect(JsonlStream::new(&input[..]).max_errors(MaxErrors::Count(1))));
    assert_eq!((rows.len(), kind), (2, ErrorKind::Rejected));
    let (rows, kind, _) = ended(collect(JsonlStream::new(&input[..]).max_errors(MaxErrors::Percent(39.0))));
    assert_eq!((rows.len(), kind), (3, ErrorKind::Rejected));
    assert_eq!(collect(JsonlStream::new(&input[..]).max_errors(MaxErrors::Percent(40.0))).len(), 3);
}

#[test]
fn what_a_sink_writes_is_read_again() {
    let lines: Vec<String> = (0..5000).map(|n| format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(n % 50))).collect();
    let written = run(async {
        let records = stream::iter(&lines).map(|line| Record::parse(line));
        let mut sink = JsonlSink::new(Steps { bytes: Vec::new(), at: 0, step: 1 });
        records.forward(&mut sink).await.unwrap();
        sink.into_inner().bytes
    });
    assert_eq!(String::from_utf8(written).unwrap(), lines.join("\n") + "\n");
}

#[test]
fn the_rows_of_a_query_go_through_batches() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    fn assert_sink<T: Sink<Record<'static>>>(_: &T) {}
    fn assert_stream<T: Stream>(_: &T) {}
    let input: String = (0..20_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let sum = run(async {
        let rows = Query::parse("where n % 2 = 0").unwrap().reader(std::io::Cursor::new(input)).into_stream().unwrap();
        let rows = assert_send(rows);
        assert_stream(&rows);
        assert_sink(&JsonlSink::new(tokio::io::sink()));
        let call =
            async |batch: Vec<Record<'static>>| Ok(vec![batch.iter().filter_map(|row| row.i64("n")).sum::<i64>()]);
        let sums: Vec<i64> =
            BatchTransform::try_new(rows, call).batch_size(100).concurrency(4).try_collect().await.unwrap();
        assert_eq!(sums.len(), 100);
        sums.into_iter().sum::<i64>()
    });
    assert_eq!(sum, (0..20_000).filter(|n| n % 2 == 0).sum::<i64>());
    // One that is dropped early ends its threads.
    let endless = std::io::Read::chain(&b"1\n"[..], std::io::repeat(b'\n'));
    let mut rows = Query::parse("select *").unwrap().reader(endless).into_stream().unwrap();
    assert_eq!(run(rows.next()).unwrap().unwrap().json(), "1");
}
