//! One answer, to the last byte, for any number of threads, size of blocks and way in.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use common::{Output, folder, pipe, run, write};

const THREADS: [&str; 5] = ["1", "2", "3", "5", "8"];

struct Question {
    query: &'static str,
    /// Whether the answer stands if the input comes in several files; that with `_line` does not.
    splits: bool,
    /// Whether all of the input is read. Where LIMIT stops the reading, it is the block that says which bad lines were
    /// seen, and told.
    reads_all: bool,
}

const fn question(query: &'static str) -> Question {
    Question { query, splits: true, reads_all: true }
}

const QUESTIONS: &[Question] = &[
    question(
        "select date(orderDate) as date, count(*) as totalOrders, sum(quantity * price) as totalRevenue \
         where status = 'completed' group by date",
    ),
    question("where price > 100 and status <> 'failed'"),
    Question { query: "orderId, price where quantity >= 3 limit 500 offset 100", splits: true, reads_all: false },
    question("select *, round(price * quantity, 2) as revenue where productId like 'p-00%'"),
    question(
        "userId, count(*) as n, sum(price) as s, avg(price) as m, stddev(price) as sd, median(price) as md, \
         min(orderDate) as lo, max_by(orderId, price) as best group by userId having n > 1",
    ),
    question("productId, first(orderId) as f, last(orderId) as l, count(distinct userId) as u group by productId"),
    question("select distinct status, quantity"),
    question("orderId, price, quantity order by quantity desc, price limit 1000"),
    question("order by orderDate desc, price"),
    question("status, kind, count(*) as n, count(distinct did) as d group by status, kind order by n desc, kind"),
    question("sum(price) as s, variance(price) as v, sum(1 / price) as inv, avg(time_us) as t"),
    Question { query: "_line, _offset, orderId where _line % 97 = 0", splits: false, reads_all: true },
    Question {
        query: "count(*) as n, sum(status) as broken, sum(length(price)) as b2",
        splits: false,
        reads_all: true,
    },
    question(
        "select country, count(*) as n, sum(price * quantity) as s, first(orderId) as f from input \
         left join 'users.jsonl' using (userId) where status <> 'failed' group by country",
    ),
    question("select *, name as buyer from input o join 'users.jsonl' u on o.userId = u.userId and u.age > o.quantity"),
    question(
        "with big as (select userId, sum(price) as s from input group by userId) \
         select u.segment, count(*) as n, sum(s) as s from big anti join (from 'users.jsonl' where age > 50) using (userId) \
         join 'users.jsonl' u using (userId) group by all union all select status, count(*), sum(price) from 'users.jsonl' \
         group by status",
    ),
];

/// Orders and events, with bad lines, blank lines and odd values among them.
fn input(orders: u64) -> Vec<u8> {
    let orders = common::generate("orders", orders);
    let events = common::generate("events", 400);
    let mut events = events.split_inclusive(|&byte| byte == b'\n');
    let mut out = Vec::new();
    for (number, line) in orders.split_inclusive(|&byte| byte == b'\n').enumerate() {
        out.extend_from_slice(line);
        match number % 100 {
            7 => out.extend_from_slice(events.next().unwrap_or_default()),
            31 => out.extend_from_slice(&[&line[..line.len() * 2 / 3], b"\n"].concat()),
            32 => out.extend_from_slice(b"\r\n"),
            64 => out.extend_from_slice(
                b"{\"orderId\":\"odd\",\"price\":\"free\",\"quantity\":3,\"orderDate\":\"2025-01-01\"}\n",
            ),
            65 => out.extend_from_slice(b"{\"price\":1e999,\"quantity\":7,\"status\":\"completed\"}\n"),
            _ => {}
        }
    }
    out
}

fn hash(output: &Output) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&output.stdout, &output.stderr).hash(&mut hasher);
    hasher.finish()
}

#[test]
fn threads_blocks_and_routes_give_one_answer() {
    let input = input(20_000);
    for question in QUESTIONS {
        give_one_answer(question, &input, &["4KiB", "64KiB", "512KiB"]);
    }
}

#[test]
fn a_line_to_a_block_gives_the_same_answer() {
    let input = input(1000);
    for question in QUESTIONS {
        give_one_answer(question, &input, &["17", "512KiB"]);
    }
}

/// Asks a question with all threads, blocks and ways in.
fn give_one_answer(question: &Question, input: &[u8], blocks: &[&str]) {
    let folder = folder();
    let path = folder.path();
    write(path, "all.jsonl", input);
    write(path, "users.jsonl", common::generate("users", 4000));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(input).unwrap();
    write(path, "all.gz", gzip.finish().unwrap());
    write(path, "all.zst", zstd::encode_all(input, 1).unwrap());
    let mut first = None;
    let pairs = THREADS.iter().flat_map(|threads| blocks.iter().map(move |block| (threads, block)));
    for (turn, (threads, block)) in pairs.enumerate() {
        // Every pair by file; the other ways in turn.
        for route in ["all.jsonl", ["<", "-", "all.gz", "all.zst"][turn % 4]] {
            let args = ["-j", threads, "--block-size", block, question.query];
            let mut output = match route {
                "<" => pipe(path, &args, input),
                "-" => pipe(path, &[&args[..], &["-"]].concat(), input),
                file => run(path, &[&args[..], &[file]].concat()),
            };
            assert_eq!(output.code, 0, "{}", output.stderr);
            match question.reads_all {
                true => output.stderr = output.stderr.replace(&format!("{route}:"), "stdin:"),
                false => output.stderr.clear(),
            }
            let first = first.get_or_insert_with(|| hash(&output));
            let same = *first == hash(&output);
            assert!(same, "{}: another answer with -j {threads}, blocks of {block}, {route}", question.query);
        }
    }
}

/// What does not fit into the least memory goes to disk. `tests/memory` asks more of it.
#[test]
fn the_least_memory_gives_the_same_answer() {
    let folder = folder();
    let path = folder.path();
    write(path, "orders.jsonl", common::generate("orders", 200_000));
    std::fs::create_dir(path.join("temporary")).unwrap();
    for query in [
        "orderId, count(*) as n, sum(price) as s, max(orderDate) as d, median(quantity) as m group by orderId",
        "select * order by price, orderId desc",
        "select distinct orderId, orderDate",
        "userId, count(distinct orderId) as o, string_agg(productId order by orderId) as p group by userId order by o desc, userId",
    ] {
        let enough = run(path, &["-q", query, "orders.jsonl"]).exits(0);
        for threads in ["1", "3"] {
            let args = ["-q", "-m", "32MiB", "-j", threads, "--temp-dir", "temporary", "--stats-json", "stats.json"];
            let little = run(path, &[&args[..], &[query, "orders.jsonl"]].concat()).exits(0);
            assert!(little.stdout == enough.stdout, "{query}: another answer, -j {threads}");
            let stats = std::fs::read(path.join("stats.json")).unwrap();
            let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
            assert!(stats["spilled_bytes"].as_u64() > Some(0), "{query}: nothing was spilled, -j {threads}");
            assert_eq!(std::fs::read_dir(path.join("temporary")).unwrap().count(), 0);
        }
    }
}

#[test]
fn several_files_give_the_answer_of_one() {
    let folder = folder();
    let path = folder.path();
    let input = input(20_000);
    write(path, "all.jsonl", &input);
    // Cut after lines, at uneven places, with an empty file among them.
    let mut cuts = vec![0];
    for share in [10, 11, 50, 50, 93] {
        let from = input.len() * share / 100;
        cuts.push(from + input[from..].iter().position(|&byte| byte == b'\n').unwrap() + 1);
    }
    cuts.push(input.len());
    write(path, "users.jsonl", common::generate("users", 4000));
    let files: Vec<String> = (0..cuts.len() - 1).map(|number| format!("part-{number}.jsonl")).collect();
    for (name, cut) in files.iter().zip(cuts.windows(2)) {
        write(path, name, &input[cut[0]..cut[1]]);
    }
    for question in QUESTIONS.iter().filter(|question| question.splits) {
        let whole = run(path, &["-q", question.query, "all.jsonl"]).exits(0).says_nothing();
        for (threads, block) in [("1", "512KiB"), ("2", "4KiB"), ("8", "64KiB"), ("8", "100")] {
            let mut args = vec!["-q", "-j", threads, "--block-size", block, question.query];
            args.extend(files.iter().map(String::as_str));
            let parts = run(path, &args).exits(0).says_nothing();
            assert!(parts == whole, "{}: another answer from parts, -j {threads}, blocks of {block}", question.query);
            let glob =
                run(path, &["-q", "-j", threads, "--block-size", block, question.query, "part-*.jsonl"]).exits(0);
            assert!(glob == whole, "{}: another answer from a glob", question.query);
        }
    }
}

#[test]
fn aggregates_do_not_depend_on_the_order_of_files_and_lines() {
    let folder = folder();
    let path = folder.path();
    let input = input(20_000);
    write(path, "all.jsonl", &input);
    let mut lines: Vec<&[u8]> = input.split_inclusive(|&byte| byte == b'\n').collect();
    lines.reverse();
    write(path, "reversed.jsonl", lines.concat());
    lines.sort_unstable();
    write(path, "sorted.jsonl", lines.concat());
    let query = "status, count(*) as n, sum(price) as s, sum(quantity * price) as r, avg(price) as m, stddev(price) as sd, \
                 variance(price) as v, median(price) as md, min(price) as lo, max(price) as hi, any_value(userId) as a, \
                 min_by(orderId, quantity) as mb, count(distinct productId) as d, quantile_cont(price, [0.1, 0.9]) as q, \
                 median(try_cast(orderDate as timestamp)) as mt, approx_quantile(try_cast(orderDate as timestamp), 0.7) as at, \
                 max(price, 5) as top, max_by(orderId, quantity, 3) as behind, \
                 string_agg(distinct userId, ' ' order by userId desc) as users group by status";
    let expected = run(path, &["-q", query, "all.jsonl"]).exits(0);
    for name in ["reversed.jsonl", "sorted.jsonl"] {
        for threads in ["1", "3", "8"] {
            let output = run(path, &["-q", "-j", threads, "--block-size", "4KiB", query, name]).exits(0);
            assert_eq!(output.text(), expected.text(), "{name}, {threads} threads");
        }
    }
}

#[test]
fn rejects_are_the_same_in_their_order() {
    let folder = folder();
    let path = folder.path();
    write(path, "all.jsonl", input(20_000));
    let mut seen = BTreeSet::new();
    for threads in THREADS {
        for block in ["300", "4KiB", "64KiB", "512KiB"] {
            let args =
                ["-j", threads, "--block-size", block, "--rejects", "rejects", "count(*), sum(price)", "all.jsonl"];
            let output = run(path, &args).exits(0);
            seen.insert((hash(&output), std::fs::read(path.join("rejects")).unwrap()));
        }
    }
    assert_eq!(seen.len(), 1);
    assert_eq!(seen.first().unwrap().1.iter().filter(|&&byte| byte == b'\n').count(), 200);
}
