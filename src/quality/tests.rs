//! Each kind of check over records: what passes, what fails, and what lies on the limit.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::*;
use crate::Query;
use crate::value::Timestamp;

fn check(kind: Json) -> Check {
    let mut table = kind;
    table["on"] = "input".into();
    let check: Check = serde_json::from_value(table).unwrap();
    check.validate().unwrap();
    check
}

fn rows(query: &str, file: &std::path::Path) -> Vec<crate::Record<'static>> {
    let rows =
        Query::parse(query).unwrap_or_else(|err| panic!("{query}: {err}")).files([file]).threads(2).run().unwrap();
    rows.map(|row| row.unwrap_or_else(|err| panic!("{query}: {err}"))).collect()
}

/// The answers to what a check asks of some lines, each question by a query of its own; the other source of a relationship
/// is `other`.
fn answer(check: &Check, lines: &str, other: &str) -> Answer {
    let file = |text: &str| {
        let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let (input, other) = (file(lines), file(other));
    let asked = check.questions("input", |_| literal(other.path().to_str().unwrap()));
    let scalar = |scalar: &String| {
        let query = format!("select {scalar} as \"a\" from input");
        rows(&query, input.path())[0].raw("a").unwrap().to_owned()
    };
    let scalars = asked.scalars.iter().map(scalar).collect();
    let count = asked.count.as_ref().map(|query| rows(query, input.path())[0].raw("n").unwrap().parse().unwrap());
    let mut samples = Vec::new();
    let mut fold = Fold::of(check);
    if let Some(fold) = &mut fold {
        for row in rows(asked.rows.as_ref().unwrap(), input.path()) {
            samples.extend(fold.add(&row).map(|note| Sample { note: Some(note), ..Sample::of_row(&row) }));
        }
    }
    if let Some(query) = &asked.records {
        samples = rows(query, input.path()).iter().map(Sample::of_row).collect();
    }
    Answer { scalars, count, fold, samples }
}

fn result_beside(kind: Json, lines: &str, other: &str) -> CheckResult {
    let check = check(kind);
    check.result(answer(&check, lines, other), &[], Timestamp::parse(b"2025-01-03T00:00:00Z").unwrap()).unwrap()
}

fn result(kind: Json, lines: &str) -> CheckResult {
    result_beside(kind, lines, "")
}

/// The lines that fail, of a check that no record may fail.
fn failing(kind: Json, lines: &str) -> Vec<u64> {
    let result = result(kind, lines);
    let samples: Vec<u64> = result.samples.iter().map(|sample| sample.line).collect();
    assert_eq!(result.failing, Some(samples.len() as u64));
    assert_eq!(result.passed, samples.is_empty());
    assert_eq!(result.records, lines.lines().count() as u64);
    samples
}

#[test]
fn the_number_of_records_is_within_limits() {
    let three = "{}\n{}\n{}\n";
    for (limits, passed) in [
        (json!({"min": 3}), true),
        (json!({"min": 4}), false),
        (json!({"max": 3}), true),
        (json!({"max": 2}), false),
        (json!({"min": 3, "max": 3}), true),
    ] {
        assert_eq!(result(json!({ "row_count": limits }), three).passed, passed);
    }
    assert!(!result(json!({"row_count": {"min": 1}}), "").passed);
    assert!(result(json!({"row_count": {"max": 0}}), "").passed);
}

#[test]
fn null_and_missing_are_not_not_null() {
    let lines = "{\"a\":1}\n{\"a\":null}\n{}\n{\"a\":\"\"}\n";
    let found = result(json!({"not_null": {"column": "a"}}), lines);
    assert_eq!((found.passed, found.failing, found.observed), (false, Some(2), json!(0.5)));
    assert_eq!(found.message, "2 of 4 (50 %)");
    assert!(result(json!({"not_null": {"column": "a", "max_rate": "50%"}}), lines).passed);
    assert!(!result(json!({"null_rate": {"column": "a", "max_rate": 0.499}}), lines).passed);
    assert!(result(json!({"not_null": {"column": "a"}}), "").passed);
    // 29 of 100 are 29 %, whatever the product of floats says.
    let lines = "{}\n".repeat(29) + &"{\"a\":1}\n".repeat(71);
    assert!(result(json!({"not_null": {"column": "a", "max_rate": 0.29}}), &lines).passed);
}

#[test]
fn keys_are_unique() {
    let lines = "{\"a\":1,\"b\":1}\n{\"a\":1.0,\"b\":2}\n{\"a\":\"1\",\"b\":1}\n{\"a\":null,\"b\":1}\n{\"b\":1}\n{\"a\":1,\"b\":2}\n";
    assert_eq!(failing(json!({"unique": ["a"]}), lines), [1, 2, 6]);
    assert_eq!(failing(json!({"unique": ["a", "b"]}), lines), [2, 6]);
    assert_eq!(failing(json!({"unique": ["b"]}), "{\"b\":[1]}\n{\"b\":[2]}\n{\"b\":{\"x\":1}}\n"), [0; 0]);
    assert!(result(json!({"unique": ["a"]}), "").passed);
}

#[test]
fn values_are_within_a_range() {
    let lines =
        "{\"a\":1}\n{\"a\":0}\n{\"a\":5.0}\n{\"a\":5.0000000001}\n{\"a\":null}\n{}\n{\"a\":\"3\"}\n{\"a\":[3]}\n";
    assert_eq!(failing(json!({"range": {"column": "a", "min": 1, "max": 5}}), lines), [2, 4, 7, 8]);
    assert_eq!(failing(json!({"range": {"column": "a", "min": 0.5}}), lines), [2, 7, 8]);
    let huge = "{\"a\":123456789012345678901234567890}\n{\"a\":1e999}\n{\"a\":-1e999}\n{\"a\":18446744073709551616}\n";
    assert_eq!(failing(json!({"range": {"column": "a", "max": u64::MAX}}), huge), [1, 2, 4]);
    let texts = "{\"a\":\"b\"}\n{\"a\":\"é\"}\n{\"a\":\"it's\"}\n{\"a\":1}\n{\"a\":null}\n";
    assert_eq!(failing(json!({"range": {"column": "a", "min": "a", "max": "it's"}}), texts), [2, 4]);
}

#[test]
fn days_and_moments_are_within_a_range() {
    let lines = "{\"a\":\"2025-01-01\"}\n{\"a\":\"2025-01-31T23:59:59Z\"}\n{\"a\":\"2025-02-01T00:00:00Z\"}\n\
                 {\"a\":\"2024-12-31\"}\n{\"a\":\"soon\"}\n{\"a\":20250101}\n{\"a\":null}\n";
    let days = json!({"range": {"column": "a", "min": "2025-01-01", "max": "2025-01-31"}});
    assert_eq!(failing(days, lines), [3, 4, 5, 6]);
    let moments = json!({"range": {"column": "a", "min": "2025-01-31T12:00:00Z"}});
    assert_eq!(failing(moments, lines), [1, 4, 5, 6]);
}

#[test]
fn values_are_accepted_or_forbidden() {
    let lines =
        "{\"a\":\"x\"}\n{\"a\":\"it's\"}\n{\"a\":1}\n{\"a\":\"1\"}\n{\"a\":true}\n{\"a\":null}\n{}\n{\"a\":1.0}\n";
    let values = json!({"column": "a", "values": ["x", "it's", 1]});
    assert_eq!(failing(json!({ "accepted": values }), lines), [4, 5]);
    assert_eq!(failing(json!({ "forbidden": values }), lines), [1, 2, 3, 8]);
    assert_eq!(failing(json!({"accepted": {"column": "a", "values": [true]}}), lines), [1, 2, 3, 4, 8]);
}

#[test]
fn texts_match_and_have_lengths_and_types() {
    let lines = "{\"a\":\"ord-1\"}\n{\"a\":\"é日\"}\n{\"a\":12}\n{\"a\":null}\n{\"a\":\"\"}\n{\"a\":[1,2,3]}\n";
    assert_eq!(failing(json!({"matches": {"column": "a", "pattern": "^ord-|日"}}), lines), [3, 5, 6]);
    assert_eq!(
        failing(json!({"matches": {"column": "a", "pattern": "it's \\d\\\\"}}), "{\"a\":\"it's 4\\\\\"}\n"),
        [0; 0]
    );
    assert_eq!(failing(json!({"length": {"column": "a", "min": 2, "max": 3}}), lines), [1, 3, 5]);
    assert_eq!(failing(json!({"length": {"column": "a", "max": 0}}), lines), [1, 2, 3, 6]);
    assert_eq!(failing(json!({"type": {"column": "a", "is": "string"}}), lines), [3, 6]);
    let lines = "{\"a\":1}\n{\"a\":1.0}\n{\"a\":\"2025-01-01\"}\n{\"a\":true}\n{\"a\":{}}\n{\"a\":[]}\n{\"a\":null}\n{\"a\":1e999}\n";
    for (is, fails) in [
        ("int", &[2, 3, 4, 5, 6, 8][..]),
        ("number", &[3, 4, 5, 6]),
        ("bool", &[1, 2, 3, 5, 6, 8]),
        ("date", &[1, 2, 4, 5, 6, 8]),
        ("timestamp", &[1, 2, 4, 5, 6, 8]),
        ("object", &[1, 2, 3, 4, 6, 8]),
        ("array", &[1, 2, 3, 4, 5, 8]),
    ] {
        assert_eq!(failing(json!({"type": {"column": "a", "is": is}}), lines), fails, "{is}");
    }
}

#[test]
fn conditions_are_false_for_no_record() {
    let lines = "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":2}\n{\"a\":null,\"b\":2}\n";
    assert_eq!(failing(json!({"expect": "a <= b -- the lesser one"}), lines), [2]);
    assert_eq!(failing(json!({"expect": "a is not null or b > 5"}), lines), [3]);
}

#[test]
fn metrics_are_within_limits_and_near_those_before() {
    let lines = "{\"a\":1}\n{\"a\":2}\n{\"a\":6}\n";
    let metric = |limits: Json, history: &[Json]| {
        let mut limits = limits;
        limits["expr"] = "avg(a)".into();
        let check = check(json!({ "metric": limits }));
        check.result(answer(&check, lines, ""), history, Timestamp(0)).unwrap()
    };
    assert!(metric(json!({"min": 3, "max": 3.0}), &[]).passed);
    assert!(!metric(json!({"max": 2.999}), &[]).passed);
    let change = json!({"max_change": "50%"});
    let first = metric(change.clone(), &[]);
    assert!(first.passed);
    assert_eq!(first.message, "3.0, with no run before to compare with");
    assert_eq!(first.observation, Some(json!(3.0)));
    assert!(metric(change.clone(), &[json!(2.0)]).passed);
    let far = metric(change.clone(), &[json!(1.0), json!(1.9), json!(1.0)]);
    assert_eq!((far.passed, far.message.as_str()), (false, "3.0, a change of 200 % from 1"));
    // Of the last seven runs only, and of an even number the middle of the middle ones.
    let long: Vec<Json> = [100, 100, 2, 2, 2, 2, 4, 4, 4].iter().map(|n| json!(n)).collect();
    assert!(metric(change.clone(), &long).passed);
    assert!(metric(change, &[json!(2), json!(4)]).message.ends_with("0 % from 3"));
    assert!(!metric(json!({"max_change": 0.5}), &[json!(0)]).passed);
    let empty = result(json!({"metric": {"expr": "avg(a)", "max": 3}}), "");
    assert_eq!((empty.passed, empty.message.as_str(), empty.observed), (false, "no result", Json::Null));
    assert!(result(json!({"metric": {"expr": "quantile_cont(a, 0.5)", "min": 2, "max": 2}}), lines).passed);
    assert!(!result(json!({"metric": {"expr": "max(t)", "min": 1}}), "{\"t\":\"x\"}\n").passed);
    assert!(
        result(json!({"metric": {"expr": "max(t)", "min": "2025-01-01"}}), "{\"t\":\"2025-01-01T00:00Z\"}\n").passed
    );
}

#[test]
fn the_latest_moment_is_fresh() {
    let fresh = |age: &str, lines: &str| result(json!({"fresh": {"column": "t", "max_age": age}}), lines);
    let lines = "{\"t\":\"2025-01-01T00:00:00Z\"}\n{\"t\":\"2025-01-02\"}\n{\"t\":null}\n{\"t\":\"never\"}\n";
    assert!(fresh("24h", lines).passed);
    let late = fresh("23h59m59s", lines);
    assert_eq!((late.passed, late.message.as_str()), (false, "2025-01-02T00:00:00Z, 24h ago"));
    assert!(fresh("1s", "{\"t\":\"2025-02-01T00:00:00Z\"}\n").message.contains("to come in 29d"));
    for lines in ["", "{\"t\":null}\n", "{\"t\":\"never\"}\n"] {
        assert_eq!((fresh("1d", lines).passed, fresh("1d", lines).message.as_str()), (false, "no moment"));
    }
}

#[test]
fn values_are_in_another_source() {
    let lines = "{\"u\":1}\n{\"u\":2}\n{\"u\":null}\n{}\n{\"u\":\"1\"}\n{\"u\":2}\n";
    let users = "{\"id\":1,\"u\":2}\n{\"id\":null}\n{\"id\":1}\n";
    let of = |kind: Json| {
        let found = result_beside(json!({ "relationship": kind }), lines, users);
        let lines: Vec<u64> = found.samples.iter().map(|sample| sample.line).collect();
        assert_eq!(found.failing, Some(lines.len() as u64));
        lines
    };
    assert_eq!(of(json!({"column": "u", "source": "users", "key": "id"})), [2, 5, 6]);
    assert_eq!(of(json!({"column": "u", "source": "users"})), [1, 5]);
    assert!(result_beside(json!({"relationship": {"column": "u", "source": "users"}}), "", users).passed);
    assert!(!result_beside(json!({"relationship": {"column": "u", "source": "users"}}), lines, "").passed);
}

#[test]
fn values_rise() {
    let lines = "{\"a\":1}\n{\"a\":1.0}\n{\"a\":null}\n{\"a\":9}\n{\"a\":8}\n{\"a\":8.5}\n{\"a\":\"x\"}\n{\"a\":10}\n";
    assert_eq!(failing(json!({"monotonic": {"column": "a"}}), lines), [5, 8]);
    let found = result(json!({"monotonic": {"column": "a"}}), lines);
    assert_eq!(found.samples[0].note.as_deref(), Some("8 after 9"));
    assert!(result(json!({"monotonic": {"column": "a"}}), "").passed);
}

#[test]
fn schemas_are_as_before() {
    let schema = |lines: &str, history: &[Json]| {
        let check = check(json!({"schema": {}}));
        check.result(answer(&check, lines, ""), history, Timestamp(0)).unwrap()
    };
    let first = schema("{\"a\":1,\"b\":{\"c\":null,\"x y\":[{\"d\":1}]}}\n{\"a\":1.5}\n", &[]);
    assert!(first.passed && first.message.ends_with("with no run before to compare with"), "{}", first.message);
    let kept = first.observation.unwrap();
    assert_eq!(
        kept,
        json!({"a": ["number"], "b": ["object"], "b.c": [], "b.\"x y\"": ["array"], "b.\"x y\"[]": ["object"],
               "b.\"x y\"[].d": ["number"]})
    );
    let same = schema("{\"b\":{\"x y\":[{\"d\":0.5}],\"c\":\"now\"}, \"a\":null}\n", &[json!({"z": []}), kept.clone()]);
    assert!(same.passed, "{}", same.message);
    let other = schema("{\"a\":\"1\",\"e\":true}\n{\"a\":2}\n", &[kept]);
    assert!(!other.passed);
    assert_eq!(other.observed["added"], json!(["e"]));
    assert_eq!(other.observed["changed"], json!([{"field": "a", "was": "number", "is": "number or string"}]));
    assert_eq!(other.observed["removed"].as_array().unwrap().len(), 5);
    assert!(other.message.starts_with("e added; b removed; "), "{}", other.message);
}

#[test]
fn columns_may_have_odd_names() {
    let lines = "{\"odd key\":1,\"user\":{\"city\":\"x\"},\"items\":[{\"p\":1}],\"select\":1,\"it's \\\"q\\\"\":1,\"größe\":1}\n{}\n";
    for column in
        ["\"odd key\"", "user.city", "items[0].p", "select", "\"it's \"\"q\"\"\"", "größe", "\"user\".\"city\""]
    {
        for kind in ["not_null", "type", "unique", "monotonic"] {
            let kind = match kind {
                "unique" => json!({"unique": [column]}),
                "type" => json!({"type": {"column": column, "is": "bool"}}),
                kind => json!({ kind: {"column": column} }),
            };
            let expected: &[u64] = match kind.as_object().and_then(|table| table.keys().next()).map(String::as_str) {
                Some("not_null") => &[2],
                Some("type") => &[1],
                _ => &[],
            };
            if kind.get("not_null").is_some() {
                assert_eq!(result(kind, lines).samples[0].line, 2, "{column}");
            } else {
                assert_eq!(failing(kind, lines), expected, "{column}");
            }
        }
    }
}

#[test]
fn at_most_twenty_records_are_kept_and_long_ones_are_cut() {
    let lines = format!("{{\"a\":\"{}\"}}\n", "é".repeat(200)).repeat(30);
    let found = result(json!({"type": {"column": "a", "is": "int"}}), &lines);
    assert_eq!((found.failing, found.samples.len()), (Some(30), 20));
    assert!(found.samples[0].truncated && found.samples[0].record.len() <= 200);
    assert_eq!(found.samples[1].offset, lines.len() as u64 / 30);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (kind, message) in [
        (json!({"row_count": {}}), "row_count takes min, max or both"),
        (json!({"row_count": {"min": 2, "max": 1}}), "the least, 2, is more than the greatest, 1"),
        (json!({"range": {"column": "a"}}), "range takes min, max or both"),
        (json!({"range": {"column": "a", "min": 1, "max": "b"}}), "the limits 1 and b are of different types"),
        (json!({"unique": []}), "unique takes one or more columns"),
        (json!({"unique": ["a", "a"]}), "unique has `a` twice"),
        (json!({"accepted": {"column": "a", "values": []}}), "accepted takes one or more values"),
        (json!({"not_null": {"column": "a", "max_rate": 2}}), "max_rate is a share of the records, at most 1 or 100%"),
        (json!({"not_null": {"column": "a", "max_rate": "x"}}), "`x` is no rate such as 0.01 or 1%"),
        (json!({"metric": {"expr": "sum(a)"}}), "metric takes min, max, max_change or several of them"),
        (json!({"matches": {"column": "a", "pattern": "("}}), "`(` is no regular expression"),
        (json!({"type": {"column": "a", "is": "strnig"}}), "did you mean string?"),
        (json!({"fresh": {"column": "a", "max_age": "1"}}), "`1` is no length of time"),
        (json!({"not_null": {"column": "a", "rate": 1}}), "unknown field `rate`"),
        (json!({"not_nul": {"column": "a"}}), "unknown field `not_nul`"),
        (json!({"unique": ["a"], "expect": "a > 1"}), "a check asks one thing, and this one has"),
        (json!({}), "the check asks nothing"),
    ] {
        let mut table = kind;
        table["on"] = "input".into();
        let error = serde_json::from_value::<Check>(table.clone()).unwrap_err().to_string();
        assert!(error.contains(message), "{table}: {error}");
    }
    let place = |kind: Json| {
        let mut table = kind;
        table["on"] = "input".into();
        let error = serde_json::from_value::<Check>(table).unwrap().validate().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Query);
        match error.place() {
            Some(crate::error::Place::Query { text, start, .. }) => (text.clone(), *start),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(place(json!({"expect": "price > cuont(*)"})), ("price > cuont(*)".to_owned(), 8));
    assert_eq!(place(json!({"expect": "a) or (b"})).1, 1);
    assert_eq!(place(json!({"expect": "a; b"})).1, 1);
    assert_eq!(place(json!({"metric": {"expr": "sum(a), 1", "min": 1}})).1, 6);
    assert_eq!(place(json!({"metric": {"expr": "price", "min": 1}})).1, 0);
    assert_eq!(place(json!({"expect": "'a"})).1, 0);
}

#[test]
fn reports_tell_all() {
    let ok = result(json!({"row_count": {"min": 1}}), "{}\n");
    let bad = CheckResult {
        name: "n<a>\u{1b}[31m".to_owned(),
        ..result(json!({"not_null": {"column": "a"}}), "{\"b\":\"<&\\u001b\"}\n")
    };
    let warned = CheckResult { severity: Severity::Warn, ..bad.clone() };
    let report = Report {
        name: "job".to_owned(),
        started: Timestamp(0),
        wall: std::time::Duration::from_millis(1500),
        results: vec![ok, bad, warned],
    };
    let json: Json = serde_json::from_slice(&report.json()).unwrap();
    assert_eq!(
        (&json["passed"], &json["checks"], &json["failed"], &json["warned"]),
        (&json!(false), &json!(3), &json!(1), &json!(1))
    );
    assert_eq!(json["results"][1]["samples"][0]["line"], json!(1));
    let keys: Vec<&String> = json["results"][0].as_object().unwrap().keys().collect();
    let all = [
        "failing",
        "kind",
        "message",
        "name",
        "observed",
        "passed",
        "records",
        "samples",
        "severity",
        "source",
        "threshold",
    ];
    assert_eq!(keys, all);
    let table = report.table(false);
    assert!(
        table.contains("✗ n<a>\\u{1b}[31m") && table.contains("! n<a>") && table.contains("✓ row_count"),
        "{table}"
    );
    assert!(table.ends_with("3 checks: 1 passed, 1 failed, 1 warning\n"), "{table}");
    assert!(!table.contains('\u{1b}') && report.table(true).contains("\u{1b}[1;31m✗\u{1b}[0m"));
    let xml = report.junit();
    assert!(xml.contains("tests=\"3\" failures=\"1\"") && xml.matches("<failure ").count() == 1, "{xml}");
    assert!(
        xml.contains("name=\"n&lt;a&gt;\u{fffd}[31m\"") && xml.contains("<system-out>warning: 1 of 1 (100 %)"),
        "{xml}"
    );
}
