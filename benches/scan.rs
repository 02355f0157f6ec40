//! How fast the scanner is on the kinds of records that it meets: `cargo bench --bench scan`.
//!
//! `FOLDL_SIMD=portable` measures without vector instructions.
//!
//! | benchmark | the kernel that it is about |
//! | --- | --- |
//! | `one_string` | the way to a string's end: `plain`; `escaped` with escapes, `chinese` with UTF-8 to validate |
//! | `escaped_text`, `unicode_escapes` | short runs between escapes, and the validity of these |
//! | `orders`, `orders_with_spaces` | the walk along a shape that was learned, lines in step with each other |
//! | `orders_in_random_key_order` | the general walk, where keys are looked up one by one |
//! | `orders_with_optional_keys` | the change between both |
//! | `wide` | the skipping of values that no query wants |
//! | `numbers` | the end and the validity of numbers |
//! | `chinese_text` | the validation of UTF-8, between short values |
//! | `nested_arrays` | containers that are walked item by item |

use std::fmt::Write;

use divan::{Bencher, counter::BytesCount};
use foldl::scan::{Batch, Limits, Path, Scanner, Step};

fn main() {
    divan::main();
}

/// A block's usual size.
const BLOCK: usize = 1 << 20;

/// Numbers that look random (SplitMix64), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A block of the lines that `line` writes.
fn block(line: impl Fn(&mut Random, &mut String)) -> String {
    let mut random = Random(1);
    let mut block = String::new();
    while block.len() < BLOCK {
        line(&mut random, &mut block);
        block.push('\n');
    }
    block
}

fn scan(bencher: Bencher, block: &str, paths: &[&str]) {
    let paths: Vec<Path> =
        paths.iter().map(|path| Path { steps: path.split('.').map(|key| Step::Key(key.into())).collect() }).collect();
    let mut scanner = Scanner::new(&paths, Limits::default());
    let mut batch = Batch::default();
    bencher.counter(BytesCount::of_str(block)).bench_local(|| {
        scanner.scan(divan::black_box(block.as_bytes()), &mut batch);
        assert!(batch.rejects.is_empty() && !batch.rows.is_empty());
    });
}

/// The fields of an order as JSON texts.
fn order(random: &mut Random) -> [(&'static str, String); 7] {
    let status = ["completed", "pending", "failed", "cancelled"][random.below(4) as usize];
    [
        ("orderId", format!("\"{:016x}{:016x}\"", random.below(u64::MAX), random.below(u64::MAX))),
        ("userId", format!("\"u{}\"", random.below(100_000))),
        ("productId", format!("\"p{}\"", random.below(1000))),
        ("quantity", format!("{}", 1 + random.below(12))),
        ("price", format!("{}.{:02}", random.below(500), random.below(100))),
        ("status", format!("\"{status}\"")),
        (
            "orderDate",
            format!(
                "\"2025-{:02}-{:02}T{:02}:21:55.{:03}Z\"",
                1 + random.below(12),
                1 + random.below(28),
                random.below(24),
                random.below(1000)
            ),
        ),
    ]
}

fn write_object(out: &mut String, fields: &[(&str, String)], colon: &str, comma: &str) {
    out.push('{');
    for (i, (key, value)) in fields.iter().enumerate() {
        let comma = if i > 0 { comma } else { "" };
        write!(out, "{comma}\"{key}\"{colon}{value}").expect("a String takes all");
    }
    out.push('}');
}

const ORDER_PATHS: &[&str] = &["status", "orderDate", "quantity", "price"];

#[divan::bench]
fn orders(bencher: Bencher) {
    let block = block(|random, out| write_object(out, &order(random), ":", ","));
    scan(bencher, &block, ORDER_PATHS);
}

#[divan::bench]
fn orders_with_spaces(bencher: Bencher) {
    let block = block(|random, out| write_object(out, &order(random), ": ", ", "));
    scan(bencher, &block, ORDER_PATHS);
}

#[divan::bench]
fn orders_in_random_key_order(bencher: Bencher) {
    let block = block(|random, out| {
        let mut fields = order(random);
        for i in (1..fields.len()).rev() {
            fields.swap(i, random.below(i as u64 + 1) as usize);
        }
        write_object(out, &fields, ":", ",");
    });
    scan(bencher, &block, ORDER_PATHS);
}

#[divan::bench]
fn orders_with_optional_keys(bencher: Bencher) {
    let block = block(|random, out| {
        let fields: Vec<_> = order(random).into_iter().filter(|_| random.below(5) > 0).collect();
        write_object(out, &fields, ":", ",");
    });
    scan(bencher, &block, ORDER_PATHS);
}

/// Event logs of 60 fields and about 2 kB.
#[divan::bench]
fn wide(bencher: Bencher) {
    let block = block(|random, out| {
        let keys: Vec<String> =
            (0..60).map(|i| format!("{}{i}", ["Event", "sourcePort", "user_name", "T"][i % 4])).collect();
        let fields: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| {
                let value = match i % 6 {
                    0 => format!("{}", random.below(65_536)),
                    1 => format!("\"2025-02-22T04:21:55.{:03}Z\"", random.below(1000)),
                    2 => ["true", "false", "null"][random.below(3) as usize].into(),
                    3 => format!("\"{}\"", "some words of text ".repeat(1 + random.below(4) as usize)),
                    4 => format!("\"10.0.{}.{}\"", random.below(256), random.below(256)),
                    _ => format!("{{\"id\":{},\"name\":\"n{}\"}}", random.below(1000), random.below(1000)),
                };
                (key.as_str(), value)
            })
            .collect();
        write_object(out, &fields, ":", ",");
    });
    scan(bencher, &block, &["Event0", "user_name22", "T59.id"]);
}

/// Text of a few hundred bytes from pieces.
fn text(random: &mut Random, pieces: &[&str]) -> String {
    let pieces = (0..10 + random.below(60)).map(|_| pieces[random.below(pieces.len() as u64) as usize]);
    format!("\"{}\"", pieces.collect::<String>())
}

#[divan::bench]
fn escaped_text(bencher: Bencher) {
    let block = block(|random, out| {
        let text = text(
            random,
            &["a few words", " C:\\\\Windows\\\\System32", "\\n", " said \\\"yes\\\"", "\\u0041", ", and "],
        );
        write_object(out, &[("id", random.below(1000).to_string()), ("text", text)], ":", ",");
    });
    scan(bencher, &block, &["id", "text"]);
}

#[divan::bench]
fn unicode_escapes(bencher: Bencher) {
    let block = block(|random, out| {
        let text = text(random, &["\\u6c49", "\\u5b57", "\\u4e2d\\u6587", ", "]);
        write_object(out, &[("id", random.below(1000).to_string()), ("text", text)], ": ", ", ");
    });
    scan(bencher, &block, &["id", "text"]);
}

#[divan::bench]
fn chinese_text(bencher: Bencher) {
    let block = block(|random, out| {
        let title = text(random, &["数据"]);
        let text = text(random, &["汉字", "中文文本", "，", " JSON ", "数据"]);
        write_object(out, &[("id", random.below(1000).to_string()), ("标题", title), ("text", text)], ":", ",");
    });
    scan(bencher, &block, &["id", "text"]);
}

#[divan::bench]
fn numbers(bencher: Bencher) {
    let block = block(|random, out| {
        let keys: Vec<String> = (0..20).map(|i| format!("x{i}")).collect();
        let fields: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| {
                let whole = random.below(10u64.pow(1 + i as u32 % 5));
                let value = if i % 2 == 0 { format!("{whole}") } else { format!("-{whole}.{}", random.below(100_000)) };
                (key.as_str(), value)
            })
            .collect();
        write_object(out, &fields, ":", ",");
    });
    scan(bencher, &block, &["x0", "x7"]);
}

#[divan::bench]
fn nested_arrays(bencher: Bencher) {
    let block = block(|random, out| {
        let mut rows = String::from("[");
        for i in 0..20 {
            let comma = if i > 0 { "," } else { "" };
            write!(rows, "{comma}[{},{}.5,[\"t{i}\",{{\"k\":[]}}]]", random.below(1000), random.below(100))
                .expect("a String takes all");
        }
        rows.push(']');
        write_object(out, &[("id", random.below(1000).to_string()), ("rows", rows)], ":", ",");
    });
    scan(bencher, &block, &["id", "rows"]);
}

/// One string of 1 MiB: nothing but the way to the closing quote.
#[divan::bench(args = ["plain", "chinese", "escaped"])]
fn one_string(bencher: Bencher, kind: &str) {
    let piece = match kind {
        "plain" => "nothing of note, ",
        "chinese" => "汉字，中文文本",
        _ => "C:\\\\Windows\\\\System32, ",
    };
    scan(bencher, &format!("\"{}\"\n", piece.repeat(BLOCK / piece.len())), &[]);
}
