//! The jobs of examples/jobs do what they say.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{FOLDL, Output, finish, folder, names};
use serde_json::Value as Json;

/// Runs the script of an example in a folder.
fn example(name: &str, folder: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/jobs").join(name).join("run.sh");
    let path = format!("{}:{}", Path::new(FOLDL).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg(script).arg(folder).env("PATH", path).env_remove("FOLDL");
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), &[])
}

#[test]
fn the_daily_etl_writes_facts_a_summary_and_a_list() {
    let folder = folder();
    let output = example("daily-etl", folder.path()).exits(0).says("6 checks: 6 passed").says("committed as 1");
    let list = output.text().lines().filter(|line| line.starts_with("p-")).count();
    assert_eq!(list, 10, "{}", output.text());
    let warehouse = folder.path().join("warehouse");
    let summary = warehouse.join("daily_summary/date=2025-02-01/part-000001-00000.jsonl");
    let summary: Json = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    let success: Json =
        serde_json::from_slice(&std::fs::read(warehouse.join("fact_orders/_SUCCESS")).unwrap()).unwrap();
    assert_eq!(summary["orders"], success["rows"]);
    assert!(success["rows"].as_u64().unwrap() > 100, "{success}");
    let countries = names(&warehouse.join("fact_orders/date=2025-02-01"));
    assert!(countries.iter().any(|name| name == "country=DE"), "{countries:?}");
    // The inputs are made anew, and the same.
    example("daily-etl", folder.path()).exits(0).says("committed as 2");
    assert_eq!(names(&warehouse.join("fact_orders/date=2025-02-01")), countries);
}

#[test]
fn orders_that_come_in_steps_give_what_they_give_at_once() {
    let folder = folder();
    let output = example("incremental", folder.path()).exits(0).says("committed as 2");
    let output = output.says("read what is new since commit 1: 1 file new, 1 grown, 0 as before");
    let output = output.says("incremental: nothing new since commit 2").says("none of 30,000");
    assert_eq!(output.text().lines().filter(|line| line.contains("\"revenue\"")).count(), 8, "{}", output.text());
    assert_eq!(names(&folder.path().join("warehouse/facts")).len(), 4);
}

#[test]
fn the_quality_gate_stops_bad_orders() {
    let folder = folder();
    let output = example("quality-gate", folder.path()).exits(0).says("6 checks: 6 passed").says("committed as 1");
    let output = output.says("foldl: error: 2 of 6 checks failed: orders.unique(orderId), orders.expect(price >= 0)");
    let output = output.says("foldl: error: 2 of 6 checks failed: unique(orderId), expect(price >= 0)");
    assert_eq!(output.text(), "{\"orders\":5000,\"negative\":0}\n");
    assert_eq!(names(&folder.path().join("approved")), ["_SUCCESS", "_foldl", "part-000001-00000.jsonl.zst"]);
}
