//! How fast single values are read, written and encoded: `cargo bench --bench value`. The counter of items is values.
//!
//! | benchmark | the kernel that it is about |
//! | --- | --- |
//! | `parse_int_…`, `parse_float_…` | from a number's text to its value; the number at the end is that of the digits |
//! | `write_…` | from a value to JSON text |
//! | `date_…`, `timestamp_…` | from text to dates and moments; the number at the end is that of the bytes |
//! | `encode_…` | keys of groups and of ORDER BY |

#![allow(missing_docs, reason = "benchmarks are not documentation")]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use foldl::value::{Date, Timestamp, Value, key, number, text};

fn main() {
    divan::main();
}

const COUNT: usize = 4096;

/// Pseudorandom numbers, the same in every run.
fn random() -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 16
    })
}

fn texts(format: impl Fn(u64) -> String) -> Vec<Vec<u8>> {
    random().take(COUNT).map(|random| format(random).into_bytes()).collect()
}

/// Runs `each` over all items.
fn over<T: Sync, R>(bencher: Bencher, items: Vec<T>, each: impl Fn(&T) -> R + Sync) {
    bencher.counter(ItemsCount::new(items.len())).bench(|| {
        for item in black_box(&items) {
            black_box(each(item));
        }
    });
}

/// Appends what `each` makes of all items to one buffer.
fn writing<T: Sync>(bencher: Bencher, items: Vec<T>, each: impl Fn(&T, &mut Vec<u8>) + Sync) {
    bencher.counter(ItemsCount::new(items.len())).with_inputs(|| Vec::with_capacity(64 * COUNT)).bench_local_refs(
        |out| {
            for item in black_box(&items) {
                each(item, out);
            }
        },
    );
}

fn day(random: u64) -> String {
    format!("{}-{:02}-{:02}", 2000 + random % 30, random / 30 % 12 + 1, random / 360 % 28 + 1)
}

fn moment(random: u64) -> String {
    format!("{}T{:02}:{:02}:{:02}", day(random), random % 24, random % 60, random / 60 % 60)
}

/// One digit, as quantities have.
#[divan::bench]
fn parse_int_1(bencher: Bencher) {
    over(bencher, texts(|random| (random % 10).to_string()), |text| number::parse_int(text));
}

#[divan::bench]
fn parse_int_1_to_8(bencher: Bencher) {
    let text = |random: u64| (random % 10u64.pow(1 + (random >> 32) as u32 % 8)).to_string();
    over(bencher, texts(text), |text| number::parse_int(text));
}

#[divan::bench]
fn parse_int_13(bencher: Bencher) {
    let text = |random: u64| (1_700_000_000_000 + random % 10_000_000_000).to_string();
    over(bencher, texts(text), |text| number::parse_int(text));
}

/// `1.23` to `1234.56`
#[divan::bench]
fn parse_float_price(bencher: Bencher) {
    let text = |random| format!("{}.{:02}", random % 10u64.pow(1 + (random >> 32) as u32 % 4), random % 100);
    over(bencher, texts(text), |text| number::parse_float(text));
}

#[divan::bench]
fn parse_float_12(bencher: Bencher) {
    let text = |random| format!("{}.{:06}", 10_000 + random % 80_000, random % 1_000_000);
    over(bencher, texts(text), |text| number::parse_float(text));
}

#[divan::bench]
fn parse_float_17_digits(bencher: Bencher) {
    let text = |random| format!("{:?}", random as f64 / (1u64 << 48) as f64);
    over(bencher, texts(text), |text| number::parse_float(text));
}

#[divan::bench]
fn write_int(bencher: Bencher) {
    let items = random().take(COUNT).map(|random| (random % 1_000_000) as i64).collect();
    writing(bencher, items, |&value: &i64, out| number::write_int(value, out));
}

#[divan::bench]
fn write_float_price(bencher: Bencher) {
    let items = random().take(COUNT).map(|random| (random % 1_000_000) as f64 / 100.0).collect();
    writing(bencher, items, |&value: &f64, out| number::write_float(value, out));
}

#[divan::bench]
fn write_float_17_digits(bencher: Bencher) {
    let items = random().take(COUNT).map(|random| random as f64 / (1u64 << 48) as f64).collect();
    writing(bencher, items, |&value: &f64, out| number::write_float(value, out));
}

#[divan::bench]
fn write_string_20(bencher: Bencher) {
    writing(bencher, texts(|random| format!("{random:020}")), |text, out| text::write_string(text, out));
}

#[divan::bench]
fn date_parse_10(bencher: Bencher) {
    over(bencher, texts(day), |text| Date::parse(text));
}

#[divan::bench]
fn date_parse_24(bencher: Bencher) {
    over(bencher, texts(|random| moment(random) + ".483Z"), |text| Date::parse(text));
}

#[divan::bench]
fn timestamp_parse_20(bencher: Bencher) {
    over(bencher, texts(|random| moment(random) + "Z"), |text| Timestamp::parse(text));
}

#[divan::bench]
fn timestamp_parse_24(bencher: Bencher) {
    over(bencher, texts(|random| moment(random) + ".483Z"), |text| Timestamp::parse(text));
}

#[divan::bench]
fn timestamp_parse_offset(bencher: Bencher) {
    over(bencher, texts(|random| moment(random) + "+02:00"), |text| Timestamp::parse(text));
}

#[divan::bench]
fn encode_int(bencher: Bencher) {
    let items = random().take(COUNT).map(|random| (random % 100_000) as i64).collect();
    writing(bencher, items, |&value: &i64, out| key::encode(Value::Int(value), out));
}

#[divan::bench]
fn encode_text_9(bencher: Bencher) {
    let items = texts(|random| ["completed", "pending", "failed", "shipped"][random as usize % 4].to_owned());
    writing(bencher, items, |text, out| key::encode(Value::Text(text), out));
}

#[divan::bench]
fn encode_text_36(bencher: Bencher) {
    let items = texts(|random| format!("{random:036x}"));
    writing(bencher, items, |text, out| key::encode(Value::Text(text), out));
}

#[divan::bench]
fn encode_date(bencher: Bencher) {
    let items = random().take(COUNT).map(|random| Date((random % 20_000) as i32)).collect();
    writing(bencher, items, |&date: &Date, out| key::encode(Value::Date(date), out));
}
