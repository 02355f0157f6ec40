//! The two ways into the library: query text and closures.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use foldl::error::Place;
use foldl::scan::Path;
use foldl::value::Date;
use foldl::{
    Accumulator, Error, ErrorKind, ExactSum, Format, MaxErrors, OnError, Pipeline, Query, Record, Settings, Summary,
    Total,
};
use proptest::prelude::*;

const ORDERS: &str = "fixtures/orders.jsonl";
const DAILY: &str = "select date(orderDate) as date, count(*) as orders, sum(quantity * price) as revenue
     where status = 'completed' group by date";

/// Counts and revenue, with a list that grows, so that it holds memory.
#[derive(Clone, Debug, Default)]
struct Sales {
    orders: u64,
    revenue: ExactSum,
    offsets: Vec<u64>,
}

impl Accumulator for Sales {
    fn add(&mut self, order: &Record<'_>) {
        self.orders += 1;
        if let (Some(quantity), Some(price)) = (order.f64("quantity"), order.f64("price")) {
            self.revenue.add_float(quantity * price);
        }
        self.offsets.extend(order.offset());
    }

    fn merge(&mut self, other: Sales) {
        self.orders += other.orders;
        self.revenue.merge(&other.revenue);
        self.offsets.extend(other.offsets);
    }

    fn size(&self) -> usize {
        size_of::<Sales>() + self.revenue.heap_size() + self.offsets.capacity() * 8
    }
}

/// A day as both ways tell it.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Day {
    date: Option<String>,
    orders: u64,
    revenue: f64,
}

impl Day {
    fn of((date, sales): (Option<Date>, Sales)) -> Day {
        let revenue = match sales.revenue.total() {
            Total::Float(revenue) => revenue,
            other => panic!("{other:?}"),
        };
        Day { date: date.map(|date| date.to_string()), orders: sales.orders, revenue }
    }
}

fn days_of_query(file: &str, block: usize, threads: usize) -> (Vec<Day>, Summary) {
    let mut rows = Query::parse(DAILY).unwrap().files([file]).block_size(block).threads(threads).run().unwrap();
    let days = rows.by_ref().map(|row| row.unwrap().deserialize().unwrap()).collect();
    (days, rows.summary().unwrap().clone())
}

fn assert_days(days: &[Day], expected: &[Day]) {
    assert_eq!(days.len(), expected.len());
    assert_eq!(days.iter().zip(expected).find(|(day, expected)| day != expected), None);
}

fn counts(summary: &Summary) -> [u64; 5] {
    [summary.records_in, summary.used, summary.filtered, summary.rejected, summary.bytes]
}

#[test]
fn both_ways_agree_for_any_threads_and_batches() {
    for (file, least_bytes, expected_days) in [(ORDERS, 200, 364), ("fixtures/orders-day1.jsonl", 1, 1)] {
        let (expected, summary) = days_of_query(file, 512 << 10, 1);
        assert_eq!(expected.len(), expected_days);
        for threads in 1..=8 {
            for (bytes, records) in [(least_bytes, 1), (4096, 3), (100_000, 10_000)] {
                let (days, by_query) = days_of_query(file, bytes, threads);
                assert_days(&days, &expected);
                let (groups, by_fold) = Pipeline::files([file])
                    .filter(|order| order.str("status") == Some("completed"))
                    .key(|order| order.date("orderDate"))
                    .threads(threads)
                    .batch_bytes(bytes)
                    .batch_records(records)
                    .fold::<Sales>()
                    .unwrap();
                assert_days(&groups.into_iter().map(Day::of).collect::<Vec<_>>(), &expected);
                assert_eq!(counts(&by_fold), counts(&summary));
                assert_eq!(counts(&by_query), counts(&summary));
                assert_eq!(by_fold.reasons, summary.reasons);
                let places = |summary: &Summary| summary.samples.iter().map(|s| s.place.clone()).collect::<Vec<_>>();
                assert_eq!(places(&by_fold), places(&summary));
            }
        }
    }
}

#[test]
fn batches_hold_the_same_records_as_rows() {
    let files = ["fixtures/orders.jsonl", "fixtures/orders.jsonl.gz", "fixtures/orders-day*.jsonl"];
    let query = || Query::parse("where quantity = 2").unwrap().files(files);
    let mut expected: Vec<String> = query().run().unwrap().map(|row| row.unwrap().into_json()).collect();
    expected.sort();
    for (threads, bytes, most) in [(1, 1, 1), (3, 1000, 2), (2, 1 << 20, 1_000_000)] {
        let seen = Mutex::new(Vec::new());
        let summary = Pipeline::files(files)
            .filter(|order| order.i64("quantity") == Some(2))
            .threads(threads)
            .batch_bytes(bytes)
            .batch_records(most)
            .for_each_batch(|batch| {
                assert!(!batch.is_empty() && batch.len() <= most);
                assert!(batch.windows(2).all(|pair| pair[0].file() == pair[1].file()));
                assert!(batch.is_sorted_by_key(|record| record.offset()));
                seen.lock().unwrap().extend(batch.iter().map(|record| record.json().to_owned()));
                Ok::<(), Error>(())
            })
            .unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        assert_eq!(seen, expected);
        assert_eq!((summary.used, summary.records_in), (expected.len() as u64, 3046 + 1000 + 173 + 182));
    }
}

#[test]
fn rows_come_in_order_with_their_own_bytes() {
    let text = std::fs::read(ORDERS).unwrap();
    let valid = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let valid = valid.filter(|line| std::str::from_utf8(line).is_ok_and(|line| Record::parse(line).is_ok()));
    let expected: Vec<&[u8]> = valid.collect();
    assert_eq!(expected.len(), 3010);
    for (threads, block) in [(1, 100), (4, 700), (2, 1 << 20)] {
        let rows = Query::parse("select *").unwrap().files([ORDERS]).threads(threads).block_size(block).run().unwrap();
        let rows: Vec<Record> = rows.map(Result::unwrap).collect();
        assert!(rows.iter().map(|row| row.json().as_bytes()).eq(expected.iter().copied()));
    }
}

#[test]
fn rows_longer_than_a_piece_are_whole() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    let text = format!("{long}\n{{\"a\":\"b\"}}\n{long}\n");
    for block in [1, 1000, 1 << 20] {
        let query = Query::parse("select a").unwrap().reader(io::Cursor::new(text.clone())).block_size(block);
        let rows: Vec<String> = query.run().unwrap().map(|row| row.unwrap().into_json()).collect();
        assert_eq!(rows, [&long, "{\"a\":\"b\"}", &long]);
    }
}

#[test]
fn output_is_written_in_any_format() {
    let query = || Query::parse("select orderId, price where price > 1000 limit 1").unwrap().files([ORDERS]);
    for (format, expected) in [
        (Format::Jsonl, "{\"orderId\":\"ord-ab0be05160f8ac31\",\"price\":"),
        (Format::Csv, "orderId,price\nord-ab0be05160f8ac31,"),
    ] {
        let mut out = Vec::new();
        let summary = query().format(format).write_to(&mut out).unwrap();
        assert!(out.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(&out));
        assert_eq!(summary.rows_out, 1);
    }
    // The rows of `run` are JSON in any case.
    let row = query().format(Format::Csv).run().unwrap().next().unwrap().unwrap();
    assert_eq!(row.str("orderId"), Some("ord-ab0be05160f8ac31"));
}

#[test]
fn inputs_have_to_be_clear() {
    let run = |query: Query| query.run().err().unwrap();
    assert_eq!(run(Query::parse("count(*)").unwrap()).kind(), ErrorKind::Usage);
    let both = Query::parse("select * from 'fixtures/users.jsonl'").unwrap().files([ORDERS]);
    assert_eq!(run(both).kind(), ErrorKind::Usage);
    let missing = run(Query::parse("count(*)").unwrap().files(["no/such.jsonl"]));
    assert_eq!((missing.kind(), missing.place()), (ErrorKind::Input, Some(&Place::File("no/such.jsonl".into()))));
    let named = Query::parse("select count(*) as n from 'fixtures/users.jsonl'").unwrap();
    assert_eq!(named.run().unwrap().next().unwrap().unwrap().i64("n"), Some(1000));
    let absurd = Query::parse("count(*)").unwrap().files([ORDERS]).block_size(0);
    assert_eq!(run(absurd).kind(), ErrorKind::Usage);
    let none = Pipeline::files([ORDERS]).batch_records(0).fold::<Sales>();
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Usage);
}

/// Endless records, and whether somebody still holds the reader.
struct Endless {
    read: Arc<AtomicU64>,
    line: &'static [u8],
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let whole = into.len() / self.line.len() * self.line.len();
        into[..whole].chunks_exact_mut(self.line.len()).for_each(|line| line.copy_from_slice(self.line));
        // What has no room for a line gets spaces, which may stand between values.
        let n = if whole == 0 { into.len() } else { whole };
        into[whole..n].fill(b' ');
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

fn endless() -> (Endless, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    (Endless { read: Arc::clone(&read), line: b"{\"a\": 1, \"b\": \"some text to make it longer\"}\n" }, read)
}

#[test]
fn a_slow_consumer_slows_the_reader() {
    let (reader, read) = endless();
    let mut rows = Query::parse("select *").unwrap().reader(reader).threads(3).block_size(64 << 10).run().unwrap();
    for _ in 0..3 {
        rows.next().unwrap().unwrap();
        std::thread::sleep(Duration::from_millis(60));
    }
    let before = read.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(read.load(Ordering::Relaxed), before);
    assert!(before < 8 << 20, "{before} bytes were read for three rows");
    let more = rows.by_ref().take(200_000).filter(|row| row.as_ref().unwrap().i64("a") == Some(1)).count();
    assert_eq!(more, 200_000);
    assert!(read.load(Ordering::Relaxed) > before);
}

#[test]
fn dropped_rows_end_the_run() {
    // Rows that wait to be taken, an aggregate without rows, a sort.
    for text in ["select *", "select count(*)", "select a order by b limit 5"] {
        for taken in [0, 10] {
            let (reader, read) = endless();
            let mut rows = Query::parse(text).unwrap().reader(reader).threads(3).run().unwrap();
            if text == "select *" {
                assert_eq!(rows.by_ref().take(taken).count(), taken);
            }
            std::thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            drop(rows);
            assert!(start.elapsed() < Duration::from_secs(5), "{text}: {:?}", start.elapsed());
            // The reader's own thread may be in the middle of a block.
            std::thread::sleep(Duration::from_millis(100));
            let before = read.load(Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(read.load(Ordering::Relaxed), before, "{text}");
        }
    }
}

/// Gives some text, and then nothing until the sender is gone.
struct Silent {
    text: &'static [u8],
    wait: mpsc::Receiver<()>,
}

impl Read for Silent {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.text.is_empty() {
            self.wait.recv().ok();
        }
        self.text.read(into)
    }
}

#[test]
fn rows_of_a_silent_stream_come_at_once_and_can_be_dropped() {
    let (sender, wait) = mpsc::channel();
    let reader = Silent { text: b"{\"a\": 1}\n{\"a\": 2}\n", wait };
    let mut rows = Query::parse("select a").unwrap().reader(reader).threads(2).run().unwrap();
    let values: Vec<_> = rows.by_ref().take(2).map(|row| row.unwrap().i64("a")).collect();
    assert_eq!(values, [Some(1), Some(2)]);
    assert!(rows.summary().is_none());
    let start = Instant::now();
    drop(rows);
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(sender);
}

#[test]
fn the_error_is_the_last_item() {
    let text = "{\"a\":1}\n{\"a\":2}\n{\"a\":\n{\"a\":4}\n";
    for threads in 1..4 {
        let query = Query::parse("select a").unwrap().reader(text.as_bytes()).threads(threads).block_size(1);
        let mut rows = query.on_error(OnError::Fail).run().unwrap();
        let values: Vec<_> = rows.by_ref().take(2).map(|row| row.unwrap().i64("a")).collect();
        assert_eq!(values, [Some(1), Some(2)]);
        let error = rows.next().unwrap().unwrap_err();
        let place = Place::Record { file: "reader".into(), line: 3, offset: 16 };
        assert_eq!((error.kind(), error.place()), (ErrorKind::Rejected, Some(&place)));
        assert!(rows.next().is_none() && rows.next().is_none());
        assert_eq!(rows.summary().unwrap().rejected, 1);
    }
}

#[test]
fn strict_runs_end_at_a_wrong_type() {
    let query = || Query::parse("select price + 1 as p").unwrap().files([ORDERS]).threads(3).block_size(1000);
    let rows: Vec<_> = query().strict(true).run().unwrap().collect();
    let error = rows.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(matches!(error.place(), Some(Place::Record { line: 2501, .. })), "{error:?}");
    let mut rows = query().run().unwrap();
    assert_eq!(rows.by_ref().filter(|row| row.is_ok()).count(), 3010);
    assert_eq!(rows.summary().unwrap().faults[0].count, 2);
}

#[test]
fn rejects_are_the_same_both_ways() {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rejects = Shared::default();
    let query = Query::parse("count(*) as n").unwrap().files([ORDERS]).rejects(rejects.clone()).threads(2);
    let summary = query.write_to(io::sink()).unwrap();
    let rejects = String::from_utf8(rejects.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<i64> = rejects.lines().map(|line| Record::parse(line).unwrap().i64("line").unwrap()).collect();
    assert_eq!((lines.len() as u64, lines[0], lines[35]), (summary.rejected, 61, 2196));

    for threads in [1, 4] {
        let orders = || Pipeline::files([ORDERS]).threads(threads).batch_bytes(500);
        let skipped = orders().max_errors(MaxErrors::Count(36)).fold::<Sales>().unwrap();
        assert_eq!((skipped.0.orders, skipped.1.rejected), (3010, 36));
        let error = orders().on_error(OnError::Fail).fold::<Sales>().unwrap_err();
        assert!(matches!(error.place(), Some(Place::Record { line: 61, .. })), "{error:?}");
        for most in [MaxErrors::Count(35), MaxErrors::Percent(1.0)] {
            assert_eq!(orders().max_errors(most).fold::<Sales>().unwrap_err().kind(), ErrorKind::Rejected);
        }
        let long = orders().max_line(100).fold::<Sales>().unwrap();
        assert_eq!((long.0.orders, long.1.rejected, long.1.records_in), (0, 3046, 3046));
    }
}

#[test]
fn the_first_error_of_a_callback_is_told_with_its_place() {
    for threads in [1, 2, 5] {
        for bytes in [200, 1 << 20] {
            let orders = || Pipeline::files(["fixtures/users.jsonl", ORDERS]).threads(threads).batch_bytes(bytes);
            let late = |order: &Record<'_>| order.file() == Some(ORDERS) && order.raw("quantity") == Some("5");
            let line = 124;
            let check = |error: Error, kind| {
                assert_eq!(error.kind(), kind);
                match error.place() {
                    Some(Place::Record { file, line: found, .. }) => {
                        assert_eq!((file.as_str(), *found), (ORDERS, line))
                    }
                    other => panic!("{other:?}"),
                }
            };
            let by_filter = orders().try_filter(|order| if late(order) { Err("five") } else { Ok(true) });
            let error = by_filter.fold::<Sales>().unwrap_err();
            assert!(error.to_string().ends_with(":124: a callback failed: five"), "{error}");
            check(error, ErrorKind::Callback);
            let by_key = orders().try_key(|order| if late(order) { Err(io::Error::other("five")) } else { Ok(1_u8) });
            let error = by_key.fold::<Sales>().unwrap_err();
            assert!(std::error::Error::source(&error).is_some_and(|source| source.is::<io::Error>()));
            check(error, ErrorKind::Callback);
            // An error of deserialising points to its own record, not to the first of the batch.
            #[derive(serde::Deserialize)]
            struct Few {
                #[serde(rename = "quantity")]
                _quantity: Option<Digit>,
            }
            #[derive(serde::Deserialize)]
            #[serde(try_from = "u8")]
            struct Digit;
            impl TryFrom<u8> for Digit {
                type Error = String;
                fn try_from(value: u8) -> Result<Digit, String> {
                    if value == 5 { Err("five".to_owned()) } else { Ok(Digit) }
                }
            }
            let by_type = orders()
                .for_each_batch(|batch| batch.iter().try_for_each(|order| order.deserialize::<Few>().map(|_| ())));
            check(by_type.unwrap_err(), ErrorKind::Rejected);
        }
    }
}

#[test]
fn no_batch_after_a_failed_one_is_begun_by_one_thread() {
    let calls = AtomicUsize::new(0);
    let result = Pipeline::files([ORDERS])
        .threads(1)
        .batch_bytes(1000)
        .for_each_batch(|_| if calls.fetch_add(1, Ordering::Relaxed) == 3 { Err("enough") } else { Ok(()) });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Callback);
    assert_eq!(calls.into_inner(), 4);
}

#[test]
fn panics_of_callbacks_are_handed_on() {
    for threads in [1, 4] {
        let run = std::panic::AssertUnwindSafe(|| {
            let orders = Pipeline::files([ORDERS]).threads(threads).batch_bytes(300);
            orders.filter(|order| order.i64("quantity") != Some(5) || panic!("five")).fold::<Sales>()
        });
        let panic = std::panic::catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"five"));
    }
}

#[test]
fn accumulators_are_held_to_the_memory_limit() {
    let by_order = |limit: usize| {
        Pipeline::files([ORDERS])
            .key(|order| order.str("orderId").map(str::to_owned))
            .threads(2)
            .memory_limit(limit)
            .fold::<Sales>()
    };
    let (groups, summary) = by_order(16 << 20).unwrap();
    let held: usize = groups.iter().map(|(_, sales)| sales.size()).sum();
    assert!(groups.len() > 2900 && summary.reserved_peak > held, "{} {}", summary.reserved_peak, held);
    assert_eq!(by_order(summary.reserved_peak / 4).unwrap_err().kind(), ErrorKind::Resource);
    assert_eq!(by_order(0).unwrap_err().kind(), ErrorKind::Resource);

    // What grows inside of one accumulator counts too.
    let whole = |limit| Pipeline::files([ORDERS]).memory_limit(limit).batch_records(10).fold::<Sales>();
    assert!(whole(1 << 20).is_ok());
    assert_eq!(whole(10_000).unwrap_err().kind(), ErrorKind::Resource);
}

#[test]
fn records_know_where_they_stand() {
    let text = std::fs::read(ORDERS).unwrap();
    for threads in [1, 3] {
        for lines in [false, true] {
            let seen = AtomicBool::new(false);
            Pipeline::files([ORDERS])
                .line_numbers(lines)
                .threads(threads)
                .batch_bytes(700)
                .for_each_batch(|batch| {
                    for record in batch {
                        let offset = record.offset().unwrap() as usize;
                        assert!(text[offset..].starts_with(record.json().as_bytes()));
                        let line = text[..offset].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
                        assert_eq!(record.line(), lines.then_some(line));
                        assert_eq!(record.file(), Some(ORDERS));
                        seen.store(true, Ordering::Relaxed);
                    }
                    Ok::<(), Error>(())
                })
                .unwrap();
            assert!(seen.into_inner());
        }
    }
}

#[test]
fn all_settings_can_be_given_at_once() {
    let settings = Settings { threads: 2, max_line: 150, ..Settings::default() };
    let summary = Query::parse("count(*)").unwrap().files([ORDERS]).settings(settings).write_to(io::sink()).unwrap();
    assert!(summary.rejected > 36);
}

#[test]
fn nothing_is_something() {
    let empty = || Pipeline::reader(io::empty());
    let (sales, summary) = empty().fold::<Sales>().unwrap();
    assert_eq!((sales.orders, summary.records_in), (0, 0));
    assert!(empty().key(|_| 1_u8).fold::<Sales>().unwrap().0.is_empty());
    let called = AtomicBool::new(false);
    empty()
        .for_each_batch(|_| {
            called.store(true, Ordering::Relaxed);
            Ok::<(), Error>(())
        })
        .unwrap();
    assert!(!called.into_inner());
    assert_eq!(Query::parse("select *").unwrap().reader(io::empty()).run().unwrap().count(), 0);
}

/// A fold with serde_json and a map, as one writes it without thinking.
fn naive(lines: &[u8]) -> BTreeMap<Option<String>, (u64, i64)> {
    let mut groups = BTreeMap::<Option<String>, (u64, i64)>::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let Ok(record) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        if record["drop"] == true {
            continue;
        }
        let group = groups.entry(record["user"]["name"].as_str().map(str::to_owned)).or_default();
        group.0 += 1;
        group.1 = group.1.wrapping_add(record["items"][1].as_i64().unwrap_or(0));
    }
    groups
}

#[derive(Default)]
struct Tally(u64, i64);

impl Accumulator for Tally {
    fn add(&mut self, record: &Record<'_>) {
        self.0 += 1;
        self.1 = self.1.wrapping_add(record.i64("items[1]").unwrap_or(0));
    }

    fn merge(&mut self, other: Tally) {
        self.0 += other.0;
        self.1 = self.1.wrapping_add(other.1);
    }
}

fn any_line() -> impl Strategy<Value = String> {
    let name = prop_oneof!["[ab]", Just("é\\n".to_owned()), Just("\\u0061".to_owned())];
    let item = prop_oneof![any::<i64>().prop_map(|n| n.to_string()), Just("1.5".to_owned()), Just("\"1\"".to_owned())];
    let record = (name, proptest::collection::vec(item, 0..4), any::<bool>()).prop_map(|(name, items, drop)| {
        format!(r#"{{"user": {{"name":"{name}"}}, "items":[{}], "drop":{drop}}}"#, items.join(" , "))
    });
    prop_oneof![
        8 => record,
        1 => Just(r#"{"user":null}"#.to_owned()),
        1 => Just("[1]".to_owned()),
        1 => "[{}\\[\\]\":,a1 ]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_fold_agrees_with_a_map(
        lines in proptest::collection::vec(any_line(), 0..60),
        threads in 1_usize..9,
        bytes in 1_usize..3000,
        records in 1_usize..20,
    ) {
        let text = lines.join("\n").into_bytes();
        let expected = naive(&text);
        let amount = text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        let name: Path = "user.name".parse().unwrap();
        let (groups, summary) = Pipeline::reader(io::Cursor::new(text))
            .filter(|record| record.bool("drop") != Some(true))
            .key(|record| record.str(&name).map(str::to_owned))
            .threads(threads)
            .batch_bytes(bytes)
            .batch_records(records)
            .fold::<Tally>()
            .unwrap();
        prop_assert_eq!(summary.used, expected.values().map(|group| group.0).sum::<u64>());
        prop_assert_eq!(summary.records_in, amount);
        prop_assert_eq!(summary.used + summary.filtered + summary.rejected, amount);
        let groups: Vec<_> = groups.into_iter().map(|(key, tally)| (key, (tally.0, tally.1))).collect();
        prop_assert_eq!(groups, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn rows_of_csv_know_their_places() {
    let text = "id,note\n1,\"two\nlines\"\nbad\n2,\n";
    let seen = std::sync::Mutex::new(Vec::new());
    let summary = Pipeline::reader(text.as_bytes())
        .input_format(foldl::InputFormat::Csv)
        .line_numbers(true)
        .for_each_batch(|batch| {
            let places = batch.iter().map(|row| (row.i64("id"), row.line(), row.offset()));
            seen.lock().unwrap().extend(places);
            Ok::<(), foldl::Error>(())
        })
        .unwrap();
    assert_eq!((summary.records_in, summary.used, summary.rejected), (3, 2, 1));
    assert_eq!(summary.bytes, text.len() as u64);
    assert_eq!(*seen.lock().unwrap(), [(Some(1), Some(2), Some(8)), (Some(2), Some(5), Some(26))]);

    let failed = Pipeline::reader(text.as_bytes())
        .input_format(foldl::InputFormat::Csv)
        .try_filter(|row| if row.i64("id") == Some(2) { Err("no") } else { Ok(true) })
        .for_each_batch(|_| Ok::<(), foldl::Error>(()))
        .unwrap_err();
    assert!(matches!(failed.place(), Some(foldl::error::Place::Record { line: 5, offset: 26, .. })), "{failed}");
}
