//! `foldl check`: exit codes, the table, reports, failing records.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::path::Path;

use common::{Output, fixtures, folder, pipe, run, write};
use serde_json::{Value as Json, json};

const ORDERS: &str = "\
{\"id\":\"o-1\",\"user\":1,\"price\":10,\"status\":\"new\",\"at\":\"2025-01-01\"}
{\"id\":\"o-2\",\"user\":2,\"price\":-1,\"status\":\"done\",\"at\":\"2025-01-03\"}
no record
{\"id\":\"o-2\",\"user\":null,\"price\":\"7\",\"status\":\"done\u{202e}\",\"at\":\"2025-01-02\"}
";
const USERS: &str = "{\"user\":1}\n{bad}\n{\"id\":2}\n";

/// A folder with orders and users.
fn files() -> tempfile::TempDir {
    let folder = folder();
    write(folder.path(), "orders.jsonl", ORDERS);
    write(folder.path(), "users.jsonl", USERS);
    folder
}

fn check(folder: &Path, args: &[&str]) -> Output {
    let args: Vec<&str> = ["check", "orders.jsonl"].iter().chain(args).copied().collect();
    run(folder, &args)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn checks_that_pass_are_told_and_exit_0() {
    let folder = files();
    let args = ["--rows", "3..3", "--not-null", "user:34%", "--matches", "id:^o-[0-9]$", "--length", "id:3..3"];
    let output = check(folder.path(), &args).exits(0).says("4 checks: 4 passed\n").says("✓ row_count");
    output.says("skipped 1 of 4 lines").says("✓ not_null(user)  1 of 3 (33.33 %)  at most 34 %");
    let quiet: Vec<&str> = args.iter().chain(&["--quiet"]).copied().collect();
    let output = check(folder.path(), &quiet).exits(0).says_nothing();
    assert!(output.stdout.is_empty());
}

#[test]
fn checks_that_fail_exit_1_and_show_records() {
    let folder = files();
    let output = check(
        folder.path(),
        &["--unique", "id", "--range", "price:0..", "--not-null", "id", "--expect", "price < 100"],
    );
    let output =
        output.exits(1).says("4 checks: 2 passed, 2 failed\n").says("2 of 4 checks failed: unique(id), range(price)");
    let output = output.says("  2 of 3 (66.67 %)  no value twice\n    orders.jsonl:2: {\"id\":\"o-2\"");
    let output = output.says("    orders.jsonl:4: {").says("✗ range(price)");
    assert!(!output.stderr.contains('\u{202e}') && output.stderr.contains("done\\u{202e}\""), "{}", output.stderr);
    check(folder.path(), &["--rows", "4.."]).exits(1).says("foldl: error: the check failed: row_count");
}

#[test]
fn what_only_warns_exits_0() {
    let folder = files();
    let args = ["--unique", "id", "--range", "price:0.."];
    for names in [&["--warn", "all"][..], &["--warn", "unique(id)", "--warn", "range"]] {
        let args: Vec<&str> = args.iter().chain(names).copied().collect();
        check(folder.path(), &args).exits(0).says("! unique(id)").says("2 checks: 0 passed, 2 warnings");
    }
    let args: Vec<&str> = args.iter().chain(&["--warn", "unique(i)"]).copied().collect();
    check(folder.path(), &args).exits(2).says("no check has this name").says("did you mean 'unique(id)'?");
}

#[test]
fn the_report_is_one_json_object() {
    let folder = files();
    let args =
        ["--not-null", "user", "--metric", "sum(price::int):100..", "--fresh", "at:99999d", "--report", "r.json"];
    check(folder.path(), &args).exits(1);
    let report: Json = serde_json::from_str(&read(folder.path(), "r.json")).unwrap();
    assert_eq!(report["version"], json!(1));
    assert_eq!((&report["passed"], &report["failed"], &report["checks"]), (&json!(false), &json!(2), &json!(3)));
    let first = &report["results"][0];
    assert_eq!((&first["failing"], &first["records"], &first["kind"]), (&json!(1), &json!(3), &json!("not_null")));
    let offset = ORDERS.find("{\"id\":\"o-2\",\"user\":null").unwrap();
    let sample = json!({"file": "orders.jsonl", "line": 4, "offset": offset, "record": ORDERS[offset..].trim_end()});
    assert_eq!(first["samples"], json!([sample]));
    assert_eq!(report["results"][1]["observed"], json!(16));
    assert_eq!(report["results"][2]["observed"], json!("2025-01-03T00:00:00Z"));
    let args = ["--not-null", "id", "-q", "--report", "-"];
    let output = check(folder.path(), &args).exits(0).says_nothing();
    assert_eq!(serde_json::from_slice::<Json>(&output.stdout).unwrap()["passed"], json!(true));
}

#[test]
fn junit_is_read_by_an_xml_reader() {
    let folder = files();
    let args = [
        "--accepted",
        "status:new,\"a<b>&'\"",
        "--unique",
        "id",
        "--warn",
        "unique",
        "--rows",
        "1..",
        "--junit",
        "r.xml",
    ];
    check(folder.path(), &args).exits(1);
    let xml = read(folder.path(), "r.xml");
    let xml = roxmltree::Document::parse(&xml).unwrap();
    let suite = xml.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    assert_eq!((suite.attribute("tests"), suite.attribute("failures")), (Some("3"), Some("1")));
    let cases: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
    let names: Vec<_> = cases.iter().map(|case| case.attribute("name").unwrap()).collect();
    assert_eq!(names, ["row_count", "unique(id)", "accepted(status)"]);
    let failure = cases[2].children().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("2 of 3 (66.67 %); wanted: one of new, a<b>&'"));
    assert!(failure.text().unwrap().starts_with("orders.jsonl:2: {\"id\":\"o-2\""));
    let warning = cases[1].children().find(|node| node.has_tag_name("system-out")).unwrap();
    assert!(warning.text().unwrap().starts_with("warning: 2 of 3"));
}

#[test]
fn failing_records_go_to_quarantine() {
    let folder = files();
    let args = ["--range", "price:0..", "--unique", "id", "--monotonic", "at", "--quarantine", "q.jsonl"];
    check(folder.path(), &args).exits(1);
    let rows: Vec<Json> =
        read(folder.path(), "q.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&str, u64)> =
        rows.iter().map(|row| (row["check"].as_str().unwrap(), row["line"].as_u64().unwrap())).collect();
    assert_eq!(
        told,
        [("unique(id)", 2), ("unique(id)", 4), ("range(price)", 2), ("range(price)", 4), ("monotonic(at)", 4)]
    );
    assert_eq!(rows[0]["record"]["price"], json!(-1));
    // The bytes of the record are its own.
    assert!(
        read(folder.path(), "q.jsonl")
            .contains("\"record\":{\"id\":\"o-2\",\"user\":null,\"price\":\"7\",\"status\":\"done\u{202e}\"")
    );
}

#[test]
fn lines_that_are_no_records_are_counted_as_in_queries() {
    let folder = files();
    check(folder.path(), &["--unique", "id", "--warn", "all", "--max-errors", "0"]).exits(4);
    check(folder.path(), &["--unique", "id", "--warn", "all", "--max-errors", "25%"]).exits(0);
    check(folder.path(), &["--unique", "id", "--on-error", "fail"]).exits(4);
    check(folder.path(), &["--unique", "id", "--warn", "all", "--rejects", "bad.jsonl"]).exits(0);
    let rejects = read(folder.path(), "bad.jsonl");
    assert_eq!(rejects.lines().count(), 1);
    assert!(rejects.contains("\"line\":3") && rejects.contains("\"raw\":\"no record\""), "{rejects}");
}

#[test]
fn keys_are_looked_up_in_another_file() {
    let folder = files();
    let output = check(folder.path(), &["--relationship", "user:users.jsonl"]).exits(1);
    output.says("1 of 3 (33.33 %)  in user of users.jsonl").says("relationship(user): skipped 1 line of users.jsonl");
    check(folder.path(), &["--relationship", "user:users.jsonl:id"])
        .exits(1)
        .says("in id of users.jsonl")
        .says(":1: {");
    check(folder.path(), &["--relationship", "user:none.jsonl"]).exits(5).says("none.jsonl");
}

#[test]
fn standard_input_is_read_once() {
    let folder = folder();
    let args = ["check", "--not-null", "user", "--range", "price:0..", "--report", "r.json", "--max-errors", "50%"];
    pipe(folder.path(), &args, ORDERS.as_bytes()).exits(1).says("✗ not_null(user)").says("    stdin:4: {");
    let report: Json = serde_json::from_str(&read(folder.path(), "r.json")).unwrap();
    assert_eq!(report["results"][1]["samples"][1]["line"], json!(4));
    assert_eq!(report["results"][1]["samples"][1]["file"], Json::Null);
    // Checks of several records look at them in the same pass; to show those that fail takes another one.
    write(folder.path(), "users.jsonl", USERS);
    for (args, says) in
        [(&["--unique", "id"][..], "✗ unique(id)"), (&["--relationship", "user:users.jsonl"], "✗ relationship(user)")]
    {
        let args: Vec<&str> = ["check"].iter().chain(args).copied().collect();
        let told = pipe(folder.path(), &args, ORDERS.as_bytes()).exits(1).says(says);
        told.says("standard input can be read once, so that the failing records are not shown");
    }
    let args = ["check", "--monotonic", "at", "--not-null", "user", "--quarantine", "q.jsonl"];
    pipe(folder.path(), &args, ORDERS.as_bytes()).exits(1).says("✗ monotonic(at)");
    assert_eq!(read(folder.path(), "q.jsonl").lines().count(), 2);
}

#[test]
fn wrong_flags_are_told() {
    let folder = files();
    for (args, says) in [
        (&[][..], "nothing is to be checked"),
        (&["--rows", "x"], "--rows 'x': `x` is no whole number; write 10..20, 10.. or ..20"),
        (&["--rows", ".."], "--rows '..': row_count takes min, max or both"),
        (&["--rows", "2..1"], "the least, 2, is more than the greatest, 1"),
        (&["--not-null", "a:x%"], "`x%` is no rate such as 0.01 or 1%"),
        (&["--not-null", "a..b"], "`a..b` is no column"),
        (&["--range", "price"], "--range 'price': a colon is missing; it is written as in quantity:1..1000"),
        (&["--matches", "id:("], "`(` is no regular expression"),
        (&["--type", "id:strnig"], "did you mean string?"),
        (&["--fresh", "at:36"], "`36` is no length of time"),
        (&["--metric", "avg(price)"], "a colon is missing"),
        (&["--unique", "a,a"], "unique has `a` twice"),
        (&["--unique", "id", "--report", "orders.jsonl"], "--report would overwrite an input"),
        (&["--unique", "id", "--report", "x", "--junit", "x"], "--junit would overwrite what --report writes"),
    ] {
        check(folder.path(), args).exits(2).says(says);
    }
    check(folder.path(), &["--expect", "price >= cuont(x)"]).exits(3).says("1 | price >= cuont(x)\n  |          ^^^^^");
    check(folder.path(), &["--expect", "price >= 0) or (1 = 1"]).exits(3);
    check(folder.path(), &["--metric", "price:1..2"]).exits(3).says("neither in GROUP BY nor inside an aggregate");
    run(folder.path(), &["check", "missing.jsonl", "--unique", "id"]).exits(5);
    assert_eq!(read(folder.path(), "orders.jsonl"), ORDERS);
}

#[test]
fn other_formats_and_many_checks_are_taken() {
    let folder = folder();
    write(folder.path(), "a.csv", "id,price,day\n1,2.50,2025-01-01\n2,,2025-01-02\n2,x,2025-01-03\n");
    let args = ["check", "a.csv", "--unique", "id", "--type", "price:number", "--range", "day:2025-01-01..2025-01-02"];
    run(folder.path(), &args).exits(1).says("a.csv:3: {\"id\":2,\"price\":null").says("3 checks: 0 passed, 3 failed");
    write(folder.path(), "b.jsonl", "{\"a\":1}\n");
    let ranges: Vec<String> = (0..300).map(|number| format!("a:0..{}", number + 1)).collect();
    let mut args = vec!["check", "b.jsonl"];
    ranges.iter().for_each(|range| args.extend(["--range", range]));
    run(folder.path(), &args).exits(0).says("✓ range(a)#300").says("300 checks: 300 passed");
}

#[test]
fn the_fixture_is_checked() {
    let folder = fixtures();
    let args = [
        "check",
        "orders.jsonl",
        "--not-null",
        "userId:1%",
        "--unique",
        "orderId",
        "--rows",
        "3010..3010",
        "--matches",
        "orderId:^(ord|odd)-",
        "--relationship",
        "productId:products.jsonl",
        "--metric",
        "avg(quantity):1..10",
    ];
    run(&folder, &args).exits(0).says("6 checks: 6 passed").says("skipped 36 of 3,046 lines");
}
