//! `foldl run`: what is committed and when, what is told, exit codes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Output, folder, foldl, generate, names, pipe, run, write};
use serde_json::{Value as Json, json};

/// A day's orders are enriched, checked, and written as facts and a summary.
const DAILY: &str = r#"
name = "daily-sales"
[vars]
date = "yesterday"
[sources.orders]
files = ["raw/{{ date }}/*.jsonl"]
[sources.users]
files = ["users.jsonl"]
[sources.products]
files = ["products.csv"]
[views]
enriched = """select o.*, u.segment, u.country, p.category, p.brand, quantity * price as amount
              from orders o left join users u using (userId) left join products p using (productId) where status = 'completed'"""
[[checks]]
on = "orders"
not_null = { column = "userId", max_rate = 0.01 }
[[checks]]
on = "orders"
unique = ["orderId"]
severity = "warn"
[[outputs]]
name = "fact_orders"
query = "select * from enriched"
path = "warehouse/fact_orders"
partition_by = ["country"]
mode = "append"
[[outputs]]
name = "daily_summary"
query = "select count(*) as total_orders, sum(amount) as total_revenue, avg(amount) as avg_order_value, count(distinct userId) as unique_customers from enriched"
path = "warehouse/daily_summary/date={{ date }}"
"#;
/// The view of it, where the sources are files.
const ENRICHED: &str = "with enriched as (select o.*, u.segment, u.country, p.category, p.brand, quantity * price as amount \
    from 'raw/DATE/o.jsonl' o left join 'users.jsonl' u using (userId) left join 'products.csv' p using (productId) \
    where status = 'completed')";
/// Four records and a line that is none.
const SOME: &str = "\
{\"id\":1,\"k\":\"a\",\"v\":1}
{\"id\":2,\"k\":\"b\",\"v\":-2}
no record
{\"id\":2,\"k\":\"b\",\"v\":\"x\"}
{\"id\":4,\"k\":null,\"v\":4.5}
";

/// A folder with the daily job and the orders of three days.
fn daily() -> tempfile::TempDir {
    let folder = folder();
    let at = folder.path();
    write(at, "job.toml", DAILY);
    write(at, "orders.jsonl", generate("orders", 20_000));
    for day in ["2025-01-01", "2025-01-02", "2025-01-03"] {
        std::fs::create_dir_all(at.join("raw").join(day)).unwrap();
        let query = format!("where orderDate like '{day}%'");
        run(at, &["-q", "-o", &format!("raw/{day}/o.jsonl"), &query, "orders.jsonl"]).exits(0);
    }
    // Too few users for all orders: some countries are NULL.
    write(at, "users.jsonl", generate("users", 5000));
    write(at, "products.jsonl", generate("products", 1000));
    let columns = "productId, category, brand";
    run(at, &["-q", "--format", "csv", "-o", "products.csv", columns, "products.jsonl"]).exits(0);
    folder
}

/// A folder with a job of the source `s`, which is the file `in.jsonl`.
fn job(input: &str, rest: &str) -> tempfile::TempDir {
    let folder = folder();
    write(folder.path(), "in.jsonl", input);
    set_job(folder.path(), rest);
    folder
}

fn set_job(folder: &Path, rest: &str) {
    write(folder, "job.toml", format!("[sources.s]\nfiles = [\"in.jsonl\"]\n{rest}"));
}

/// A table of an output into `out`.
fn output(query: &str, rest: &str) -> String {
    format!("[[outputs]]\nname = \"o\"\nquery = \"{query}\"\npath = \"out\"\n{rest}\n")
}

fn run_job(folder: &Path, args: &[&str]) -> Output {
    let args: Vec<&str> = ["run", "job.toml"].iter().chain(args).copied().collect();
    run(folder, &args)
}

/// The data files below a folder, by their paths within it, as readers of Hive layouts see them.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fn look(root: &Path, dir: &Path, found: &mut BTreeMap<String, String>) {
        for name in names(dir).iter().filter(|name| !name.starts_with(['.', '_'])) {
            let path = dir.join(name);
            if path.is_dir() {
                look(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    if folder.exists() {
        look(folder, folder, &mut found);
    }
    found
}

/// Everything below a folder that a run could change.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found
}

fn read_json(path: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The log of the runs of `job.toml`.
fn log(folder: &Path, name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(folder.join(".foldl").join(name).join("runs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The only folder of a run that failed its checks.
fn failed(folder: &Path) -> PathBuf {
    let dir = folder.join(".foldl/job/failed");
    let runs = names(&dir);
    assert_eq!(runs.len(), 1, "{runs:?}");
    dir.join(&runs[0])
}

#[test]
fn the_daily_job_gives_what_its_queries_give_alone() {
    let folder = daily();
    let at = folder.path();
    let day = ["--var", "date=2025-01-02"];
    run_job(at, &day).exits(0).says("2 checks: 2 passed").says("daily-sales: committed as 1");
    let enriched = ENRICHED.replace("DATE", "2025-01-02");
    let alone = |query: &str| run(at, &["-q", &format!("{enriched} {query}")]).exits(0).text().to_owned();
    let facts = files(&at.join("warehouse/fact_orders"));
    assert!(facts.len() > 5, "{facts:?}");
    for (path, rows) in &facts {
        let (partition, name) = path.split_once('/').unwrap();
        assert_eq!(name, "part-000001-00000.jsonl");
        let is = match partition.strip_prefix("country=").unwrap() {
            "__HIVE_DEFAULT_PARTITION__" => "is null".to_owned(),
            country => format!("= '{country}'"),
        };
        assert_eq!(*rows, alone(&format!("select * exclude (country) from enriched where country {is}")), "{path}");
    }
    let rows: usize = facts.values().map(|rows| rows.lines().count()).sum();
    assert_eq!(alone("select count(*) from enriched"), format!("{{\"count(*)\":{rows}}}\n"));
    let success = read_json(&at.join("warehouse/fact_orders/_SUCCESS"));
    assert_eq!((&success["rows"], &success["files"]), (&json!(rows), &json!(facts.len())));
    let summary = files(&at.join("warehouse/daily_summary"));
    let query = "select count(*) as total_orders, sum(amount) as total_revenue, avg(amount) as avg_order_value, \
        count(distinct userId) as unique_customers from enriched";
    assert_eq!(summary["date=2025-01-02/part-000001-00000.jsonl"], alone(query));
}

#[test]
fn the_same_is_not_run_twice_unless_asked_for() {
    let folder = daily();
    let at = folder.path();
    let day = ["--var", "date=2025-01-02"];
    run_job(at, &day).exits(0);
    let before = files(&at.join("warehouse"));
    run_job(at, &day).exits(0).says("daily-sales: nothing new since commit 1\n");
    assert_eq!(files(&at.join("warehouse")), before);
    run_job(at, &["--var", "date=2025-01-03"]).exits(0).says("committed as 2");
    run_job(at, &day).exits(0).says("nothing new since commit 1");
    run_job(at, &[&day[..], &["--again"]].concat()).exits(0).says("committed as 3");
    let after = files(&at.join("warehouse/fact_orders"));
    let again = after.keys().filter(|path| path.contains("part-000003-")).count();
    assert!(again > 0 && again == after.keys().filter(|path| path.contains("part-000001-")).count(), "{after:?}");
    // What is written elsewhere, or how often a checkpoint is due, is told from other work.
    write(at, "job.toml", DAILY.replace("[vars]", "# A comment\n[run]\ncheckpoint = \"5m\"\n[vars]"));
    run_job(at, &day).exits(0).says("nothing new since commit 3");
    write(at, "job.toml", DAILY.replace("'completed'", "'pending'"));
    run_job(at, &day).exits(0).says("committed as 4");
}

#[test]
fn appended_files_come_to_those_that_are_there() {
    let folder = job(SOME, &output("select id from s", "mode = \"append\""));
    let at = folder.path();
    run_job(at, &[]).exits(0).says("read s: 5 records, 1 rejected").says("wrote o: 4 rows to out");
    write(at, "in.jsonl", "{\"id\":5}\n");
    run_job(at, &[]).exits(0).says("wrote o: 1 row to out").says("committed as 2");
    let rows = [("part-000001-00000.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":2}\n{\"id\":4}\n")];
    let rows = rows.into_iter().chain([("part-000002-00000.jsonl", "{\"id\":5}\n")]);
    assert_eq!(files(&at.join("out")), rows.map(|(path, rows)| (path.to_owned(), rows.to_owned())).collect());
    assert_eq!(read_json(&at.join("out/_SUCCESS"))["rows"], json!(1));
}

#[test]
fn overwritten_outputs_and_partitions() {
    let folder = job(SOME, &output("select * from s", "partition_by = [\"k\"]\nmode = \"overwrite_partitions\""));
    let at = folder.path();
    run_job(at, &[]).exits(0).says("committed as 1");
    write(at, "in.jsonl", "{\"id\":7,\"k\":\"b\"}\n{\"id\":8,\"k\":\"c/d\"}\n");
    run_job(at, &[]).exits(0).says("committed as 2");
    let found = files(&at.join("out"));
    let found: Vec<(&str, &str)> = found.iter().map(|(path, rows)| (path.as_str(), rows.as_str())).collect();
    let default = "k=__HIVE_DEFAULT_PARTITION__/part-000001-00000.jsonl";
    let expected = [
        (default, "{\"id\":4,\"v\":4.5}\n"),
        ("k=a/part-000001-00000.jsonl", "{\"id\":1,\"v\":1}\n"),
        ("k=b/part-000002-00000.jsonl", "{\"id\":7}\n"),
        ("k=c%2Fd/part-000002-00000.jsonl", "{\"id\":8}\n"),
    ];
    assert_eq!(found, expected);
    // `overwrite` replaces all, `create` nothing.
    set_job(at, &output("select id from s", ""));
    run_job(at, &[]).exits(0).says("committed as 3");
    let rows = "{\"id\":7}\n{\"id\":8}\n".to_owned();
    let all = BTreeMap::from([("part-000003-00000.jsonl".to_owned(), rows)]);
    assert_eq!(files(&at.join("out")), all);
    set_job(at, &output("select id from s", "mode = \"create\""));
    run_job(at, &[]).exits(5).says("output o is to be created, but there is data").says("or another mode");
    assert_eq!(files(&at.join("out")), all);
    // An empty output is one, too.
    std::fs::remove_file(at.join("out/part-000003-00000.jsonl")).unwrap();
    run_job(at, &[]).exits(5);
    std::fs::remove_file(at.join("out/_SUCCESS")).unwrap();
    run_job(at, &[]).exits(0).says("committed as 4");
}

#[test]
fn csv_has_a_header_in_each_file() {
    let input = "{\"id\":1,\"k\":\"a\",\"t\":\"x, \\\"y\\\"\"}\n{\"id\":2,\"k\":\"b\"}\n{\"id\":3,\"k\":\"a\",\"t\":\"two\\nlines\"}\n";
    let folder = job(input, &output("select id, k, t from s", "partition_by = [\"k\"]\nformat = \"csv\""));
    run_job(folder.path(), &[]).exits(0);
    let found = files(&folder.path().join("out"));
    assert_eq!(found["k=a/part-000001-00000.csv"], "id,t\n1,\"x, \"\"y\"\"\"\n3,\"two\nlines\"\n");
    assert_eq!(found["k=b/part-000001-00000.csv"], "id,t\n2,\n");
    set_job(folder.path(), &output("select id, t from s where id > 9", "format = \"csv\""));
    // Without rows there is no file.
    run_job(folder.path(), &[]).exits(0).says("wrote o: 0 rows");
    assert!(files(&folder.path().join("out")).is_empty());
    // Also of what is read for itself.
    let both = "select id, k from s where id < 2 union all select id, k from s where id > 2";
    set_job(folder.path(), &output(both, "partition_by = [\"k\"]\nformat = \"csv\""));
    run_job(folder.path(), &[]).exits(0);
    let found = files(&folder.path().join("out"));
    assert_eq!((found.len(), found["k=a/part-000003-00000.csv"].as_str()), (1, "id\n1\n3\n"));
    set_job(folder.path(), &output("select * from s", "format = \"csv\""));
    run_job(folder.path(), &[]).exits(3).says("csv and tsv need to know the columns");
}

#[test]
fn outputs_are_split_and_compressed() {
    let folder = folder();
    let at = folder.path();
    write(at, "in.jsonl", generate("orders", 40_000));
    let one = |name: &str, query: &str, rest: &str| {
        format!("[[outputs]]\nname = \"{name}\"\nquery = \"{query}\"\npath = \"{name}\"\n{rest}\n")
    };
    let outputs = [
        one("two", "select * from s", "files = 2\ncompression = \"gz\""),
        one("small", "select * from s", "max_file_size = \"2MiB\"\ncompression = \"zst\""),
        one("sorted", "select orderId, price from s order by orderId", "max_file_size = \"500KiB\""),
        one("lz", "select * from s", "compression = \"lz4\""),
    ];
    set_job(at, &outputs.concat());
    run_job(at, &[]).exits(0);
    let query = "count(*), sum(price), count(distinct orderId)";
    let all = run(at, &["-q", query, "in.jsonl"]).exits(0);
    for (name, ending, fewest) in
        [("two", "jsonl.gz", 2), ("small", "jsonl.zst", 1), ("sorted", "jsonl", 4), ("lz", "jsonl.lz4", 1)]
    {
        let parts: Vec<String> = names(&at.join(name)).into_iter().filter(|name| name.starts_with("part-")).collect();
        assert!(parts.len() >= fewest && parts.iter().all(|part| part.ends_with(ending)), "{parts:?}");
        let read = run(at, &["-q", query, &format!("{name}/part-*")]).exits(0);
        assert_eq!(read.text(), all.text(), "{name}");
    }
    let sorted = files(&at.join("sorted"));
    assert!(sorted.values().all(|rows| rows.len() <= 500 << 10));
    let rows = sorted.into_values().collect::<String>();
    assert_eq!(rows, run(at, &["-q", "select orderId, price order by orderId", "in.jsonl"]).text());
}

#[test]
fn checks_that_fail_stop_the_commit() {
    let checks = "rejects = \"rejects/s.jsonl\"\n[[checks]]\non = \"s\"\nunique = [\"id\"]\nquarantine = \"q/twice.jsonl\"\n\
        [[checks]]\non = \"s\"\nexpect = \"v > 0\"\nseverity = \"warn\"\nquarantine = \"q/low.jsonl\"\n";
    let tables = format!("{checks}{}", output("select * from s", ""));
    let folder = job(SOME, &tables);
    let at = folder.path();
    let reports = ["--report", "r.json", "--junit", "r.xml"];
    let told = run_job(at, &reports).exits(1).says("would have written o: 4 rows").says("job: nothing committed after");
    let told = told.says("✗ s.unique(id)     2 of 4").says("! s.expect(v > 0)").says("    in.jsonl:4: {\"id\":2");
    told.says("foldl: error: 1 of 2 checks failed: s.unique(id)\nhelp: nothing was committed");
    assert!(files(&at.join("out")).is_empty() && !at.join("out/_SUCCESS").exists());
    assert!(!at.join("rejects/s.jsonl").exists() && !at.join("q/twice.jsonl").exists());
    let failed = failed(at);
    assert_eq!(names(&failed), ["low.jsonl", "report.json", "s.jsonl", "twice.jsonl"]);
    let report = read_json(&failed.join("report.json"));
    assert_eq!((&report["passed"], &report["failed"], &report["warned"]), (&json!(false), &json!(1), &json!(1)));
    assert_eq!(read_json(&at.join("r.json"))["results"], report["results"]);
    assert!(std::fs::read_to_string(at.join("r.xml")).unwrap().contains("failures=\"1\""));
    let twice = std::fs::read_to_string(failed.join("twice.jsonl")).unwrap();
    let lines: Vec<Json> =
        twice.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()["line"].clone()).collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(log(at, "job")[0]["outcome"], json!("checks failed"));
    // A failed run is no run of the same.
    run_job(at, &[]).exits(1);
    // The same checks, when they only warn.
    set_job(at, &tables.replace("unique = [\"id\"]", "unique = [\"id\"]\nseverity = \"warn\""));
    run_job(at, &["-q"]).exits(0).says_nothing();
    assert_eq!(files(&at.join("out")).len(), 1);
    assert_eq!(std::fs::read_to_string(at.join("q/twice.jsonl")).unwrap(), twice);
    assert_eq!(std::fs::read_to_string(at.join("q/low.jsonl")).unwrap().lines().count(), 1);
    assert!(std::fs::read_to_string(at.join("rejects/s.jsonl")).unwrap().contains("\"raw\":\"no record\""));
}

#[test]
fn checks_compare_with_the_runs_before() {
    let checks = "[[checks]]\non = \"s\"\nmetric = { expr = \"sum(v)\", max_change = \"50%\" }\n\
        [[checks]]\non = \"s\"\nschema = { on_change = \"warn\" }\n";
    let folder = job("{\"v\":10}\n", &format!("{checks}{}", output("select * from s", "")));
    let at = folder.path();
    run_job(at, &[]).exits(0).says("2 checks: 2 passed").says("with no run before to compare with");
    write(at, "in.jsonl", "{\"v\":12,\"w\":1}\n");
    run_job(at, &[]).exits(0).says("2 checks: 1 passed, 1 warning");
    write(at, "in.jsonl", "{\"v\":50,\"w\":1}\n");
    run_job(at, &[]).exits(1).says("2 checks: 1 passed, 1 failed");
    assert_eq!(files(&at.join("out"))["part-000002-00000.jsonl"], "{\"v\":12,\"w\":1}\n");
}

#[test]
fn records_that_are_not_as_the_schema_says_are_rejects() {
    let source = "schema = { v = \"number\", k = \"string not null\" }\nrejects = \"bad.jsonl\"\n";
    let folder = job(SOME, &format!("{source}{}", output("select id from s", "")));
    let at = folder.path();
    run_job(at, &[]).exits(0).says("read s: 5 records, 3 rejected");
    assert_eq!(files(&at.join("out"))["part-000001-00000.jsonl"], "{\"id\":1}\n{\"id\":2}\n");
    let rejects = std::fs::read_to_string(at.join("bad.jsonl")).unwrap();
    let rejects: Vec<Json> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<_> = rejects.iter().map(|row| (&row["line"], row["reason"].as_str().unwrap())).collect();
    assert_eq!(
        reasons,
        [
            (&json!(3), "invalid literal"),
            (&json!(4), "not as the schema says: v is not number"),
            (&json!(5), "not as the schema says: k is not string not null"),
        ]
    );
}

#[test]
fn secrets_in_queries_are_not_told() {
    let vars = "[vars]\ntok = { env = \"FOLDL_TEST_TOKEN\" }\n";
    let checks = "[[checks]]\non = 's'\nexpect = \"k <> '{{ tok }}'\"\n[[checks]]\non = 's'\nmetric = { expr = \"sum(length(k || '{{ tok }}'))\", min = 1 }\n\
        [[checks]]\non = 's'\naccepted = { column = \"k\", values = [\"{{ tok }}\"] }\nseverity = 'warn'\n";
    let outputs = "[[outputs]]\nname = \"o\"\nquery = \"select v || '{{ tok }}' as x, {{ tok }} as y, k + k as z from s\"\npath = \"out-{{ tok }}\"\n";
    let folder = folder();
    write(folder.path(), "in.jsonl", SOME);
    let run_with = |file: &str, args: &[&str]| {
        write(folder.path(), "job.toml", file);
        let mut command = foldl(folder.path());
        command.args(["run", "job.toml"]).args(args).env("FOLDL_TEST_TOKEN", "hunter2");
        let output = command.output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
    };
    let file = format!("{vars}[run]\nstate = \"st\"\n[sources.s]\nfiles = [\"in.jsonl\"]\n{checks}{outputs}");
    let reports = ["--again", "--report", "report.json", "--junit", "report.xml"];
    for args in
        [&["--explain"][..], &["--dry-run"], &["--again"], &["--again", "--log", "json"], &reports, &["--status"]]
    {
        let told = run_with(&file, args);
        assert!(!told.contains("hunter2"), "{args:?}: {told}");
    }
    assert!(run_with(&file, &["--again"]).contains("expect(k <> '{{ env FOLDL_TEST_TOKEN }}')"));
    for report in ["report.json", "report.xml", "st/report.json"] {
        assert!(!std::fs::read_to_string(folder.path().join(report)).unwrap().contains("hunter2"), "{report}");
    }
    let wrong = file.replace("{{ tok }} as y", "{{ tok }} as y, nosuch('{{ tok }}') as z");
    let told = run_with(&wrong, &[]);
    assert!(told.contains("nosuch") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_commit() {
    let folder = job(SOME, &output("select * from s", ""));
    run_job(folder.path(), &["--report", "nowhere/report.json"]).exits(5).says("nowhere/report.json");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_pipe_cannot_be_read_twice() {
    let folder = folder();
    nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let rest = output("select * from s", "mode = \"append\"");
    for run in ["incremental = true", "checkpoint = \"30s\""] {
        write(folder.path(), "job.toml", format!("[run]\n{run}\n[sources.s]\nfiles = [\"pipe\"]\n{rest}"));
        run_job(folder.path(), &[]).exits(2).says("what is no regular file");
    }
}

#[test]
fn days_that_make_no_difference_are_not_filled_in() {
    let folder =
        job(SOME, &format!("[vars]\ndate = \"yesterday\"\n{}", output("select '{{ date }}' as d, * from s", "")));
    run_job(folder.path(), &["--backfill", "2026-01-01..2026-01-03", "--var", "date=2026-01-01"])
        .exits(2)
        .says("nothing in the job depends on the day");
    run_job(folder.path(), &["--backfill", "2026-01-01..2026-01-03"]).exits(0);
}

#[test]
fn the_name_of_a_job_is_a_name() {
    let folder = folder();
    for name in ["../other", "a/b", "..", ""] {
        write(
            folder.path(),
            "job.toml",
            format!("name = \"{name}\"\n[sources.s]\nfiles = [\"in.jsonl\"]\n{}", output("select * from s", "")),
        );
        run_job(folder.path(), &[]).exits(3).says("is no name for a job");
    }
}

/// Views that hand their rows on to joins, with hardly enough memory: it ends, one way or another.
#[test]
fn a_run_without_enough_memory_ends() {
    let folder = folder();
    write(folder.path(), "in.jsonl", generate("orders", 20_000));
    write(folder.path(), "users.jsonl", generate("users", 2_000));
    let views = "[views]\na = 'select o.*, u.segment from s o left join users u using (userId) order by o.price'\n\
                 b = 'select *, quantity * price as amount from a order by amount'\n";
    let outputs = "[[outputs]]\nname = 'x'\nquery = 'select segment, sum(amount) as s from b group by segment'\npath = 'x'\n\
                   [[outputs]]\nname = 'y'\nquery = 'select * from b order by orderId'\npath = 'y'\n";
    write(
        folder.path(),
        "job.toml",
        format!("[sources.s]\nfiles = [\"in.jsonl\"]\n[sources.users]\nfiles = [\"users.jsonl\"]\n{views}{outputs}"),
    );
    for limit in ["32MiB", "36MiB", "40MiB", "44MiB", "64MiB", "128MiB"] {
        let mut command = foldl(folder.path());
        command.args(["run", "job.toml", "--again", "-q", "-m", limit]).stderr(Stdio::null());
        let code = common::exit_code_within(&mut command.spawn().unwrap(), Duration::from_secs(120));
        assert!(matches!(code, 0 | 6), "{limit}: {code}");
    }
}

#[test]
fn what_happens_in_views_is_told() {
    let views = "[views]\nmore = 'select *, v + 1 as w, nowhere + 1 as n, k || k as kk from s'\nevenmore = 'select *, w * 2 as z from more'\n";
    let outputs = output("select sum(z) as z, count(Kk) as m from evenmore", "");
    let folder = job(SOME, &format!("{views}{outputs}"));
    let output = run_job(folder.path(), &[]).exits(0);
    let told: Vec<&str> = output.stderr.lines().filter(|line| line.contains("foldl: ")).collect();
    for says in ["`v` was not a number in 1 record (1 string)", "no record had `nowhere`", "no record had `Kk`"] {
        assert_eq!(told.iter().filter(|line| line.contains(says)).count(), 1, "{says}: {told:#?}");
    }
    assert_eq!(files(&folder.path().join("out")).values().next().map(String::as_str), Some("{\"z\":13.0,\"m\":0}\n"));
}

#[test]
fn too_many_rejects_end_the_run() {
    for (limit, code) in [("0", 4), ("\"10%\"", 4), ("1", 0), ("\"20%\"", 0)] {
        let folder = job(SOME, &format!("max_errors = {limit}\n{}", output("select id from s", "")));
        run_job(folder.path(), &[]).exits(code);
        assert_eq!(files(&folder.path().join("out")).is_empty(), code == 4, "{limit}");
        let outcome = if code == 4 { "failed" } else { "committed" };
        assert_eq!(log(folder.path(), "job")[0]["outcome"], json!(outcome));
    }
    let folder = job(SOME, &format!("on_error = \"fail\"\n{}", output("select id from s", "")));
    run_job(folder.path(), &[]).exits(4).says("in.jsonl:3");
    assert!(files(&folder.path().join("out")).is_empty());
}

#[test]
fn mistakes_are_told_with_their_line() {
    let simple = output("select * from s", "");
    let views = |views: &str| format!("[views]\n{views}\n{simple}");
    for (rest, code, says) in [
        (views("a = \"select * from b\"\nb = \"select * from a\""), 3, &["the view `a` reads itself"][..]),
        (
            output("select * from z", ""),
            3,
            &["job.toml:5: there is no source `z`\n  |\n5 | query = \"select * from z\""],
        ),
        (
            views("a = \"\"\"\nselect *\nfrom s\nwhere cuont(id) = 1\"\"\""),
            3,
            &["job.toml:7: there is no function cuont\n  |\n7 | where cuont(id) = 1\"\"\"\n  |       ^^^^^", "count?"],
        ),
        (simple.replace("query", "qurey"), 3, &["job.toml:5: the key `qurey` is not known here", "`query`?"]),
        (
            format!("[[checks]]\non = \"s\"\nexpect = \"v > cuont(1)\"\n{simple}"),
            3,
            &["job.toml:5: there is no function cuont"],
        ),
        (output("select id from s", "partition_by = [\"k\"]"), 3, &["job.toml:5: ", "has no column `k`"]),
        (output("select id from s", "mode = \"overwrite_partitions\""), 3, &["job.toml:7: "]),
        (format!("[run]\nincremental = true\n{simple}"), 3, &["an incremental job adds rows to it"]),
        (simple.replace("out", "{{ day }}"), 3, &["day"]),
        (simple.replace("from s", "from"), 3, &["job.toml:5: "]),
    ] {
        let folder = job(SOME, &rest);
        let before = tree(folder.path());
        let told = run_job(folder.path(), &[]).exits(code);
        says.iter().fold(told, |told, says| told.says(says));
        assert_eq!(tree(folder.path()), before, "{rest}");
    }
    let folder = job(SOME, &simple);
    run(folder.path(), &["run", "none.toml"]).exits(2).says("none.toml");
    run_job(folder.path(), &["--var", "x"]).exits(2);
    run_job(folder.path(), &["--backfill", "2025-01-02..2025-01-01"]).exits(2);
    std::fs::remove_file(folder.path().join("in.jsonl")).unwrap();
    run_job(folder.path(), &[]).exits(5).says("in.jsonl");
}

#[test]
fn a_lock_that_another_process_holds_is_told() {
    let folder = job(SOME, &output("select id from s", ""));
    let at = folder.path();
    run_job(at, &[]).exits(0);
    for path in [".foldl/job/lock", "out/_foldl/lock"] {
        let lock = File::open(at.join(path)).unwrap();
        lock.lock().unwrap();
        let told = run_job(at, &["--again"]).exits(7).says("another run holds the lock: run ");
        told.says(path).says("or wait for it with --wait");
        let folder = at.to_owned();
        let waiting = std::thread::spawn(move || run_job(&folder, &["--again", "--wait"]));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!waiting.is_finished());
        drop(lock);
        waiting.join().unwrap().exits(0).says("job: committed as");
    }
    // Another job, with a state of its own, into the same output.
    std::fs::copy(at.join("job.toml"), at.join("other.toml")).unwrap();
    let lock = File::open(at.join(".foldl/job/lock")).unwrap();
    lock.lock().unwrap();
    run(at, &["run", "other.toml"]).exits(0);
}

#[test]
fn days_are_filled_in_until_one_fails() {
    let folder = daily();
    let at = folder.path();
    std::fs::write(at.join("raw/2025-01-02/o.jsonl"), "{\"userId\":null}\n").unwrap();
    let told = run_job(at, &["--backfill", "2025-01-01..2025-01-03"]).exits(1);
    told.says("2025-01-01\n").says("committed as 1").says("2025-01-02\n").says("orders.not_null(userId)");
    assert_eq!(names(&at.join("warehouse/daily_summary/date=2025-01-01"))[0], "_SUCCESS");
    assert!(files(&at.join("warehouse/daily_summary/date=2025-01-02")).is_empty());
    assert!(!at.join("warehouse/daily_summary/date=2025-01-03").exists());
    let order = "{\"orderId\":\"o\",\"userId\":\"u\",\"status\":\"completed\",\"quantity\":1,\"price\":2}\n";
    std::fs::write(at.join("raw/2025-01-02/o.jsonl"), order).unwrap();
    let told = run_job(at, &["--backfill", "2025-01-01..2025-01-03"]).exits(0);
    told.says("2025-01-01\ndaily-sales: nothing new since commit 1\n2025-01-02\n").says("committed as 3");
    let outcomes: Vec<Json> = log(at, "daily-sales").iter().map(|run| run["outcome"].clone()).collect();
    assert_eq!(outcomes, ["committed", "checks failed", "nothing new", "committed", "committed"]);
}

#[test]
fn the_last_runs_are_shown() {
    let checks = "[[checks]]\non = \"s\"\nrow_count = { min = 2 }\n";
    let folder = job(SOME, &format!("{checks}{}", output("select id from s", "")));
    let at = folder.path();
    assert_eq!(run_job(at, &["--status"]).exits(0).says_nothing().text(), "no run yet\n");
    assert_eq!(names(at), ["in.jsonl", "job.toml"]);
    run_job(at, &[]).exits(0);
    run_job(at, &[]).exits(0);
    write(at, "in.jsonl", "{\"id\":1}\n");
    run_job(at, &[]).exits(1);
    let status = run_job(at, &["--status"]).exits(0).says_nothing();
    let lines: Vec<&str> = status.text().lines().collect();
    assert_eq!(lines.len(), 4);
    for (line, end) in lines.iter().zip(["outcome", "committed 1", "nothing new 1", "checks failed"]) {
        assert!(line.ends_with(end), "{}", status.text());
    }
    let words: Vec<&str> = lines[1].split_whitespace().skip(2).collect();
    assert_eq!(words, ["5", "4", "1", "passed", "committed", "1"]);
    let run = &log(at, "job")[0];
    assert_eq!((&run["job"], &run["sequence"], &run["outputs"]), (&json!("job"), &json!(1), &json!({"o": 4})));
    assert_eq!(run["inputs"], json!({"s": {"records": 5, "rejected": 1}}));
}

#[test]
fn explaining_and_a_dry_run_change_nothing() {
    let folder = daily();
    let at = folder.path();
    let before = tree(at);
    let day = ["--var", "date=2025-01-02"];
    let told = run_job(at, &[&day[..], &["--explain"]].concat()).exits(0).says_nothing();
    for line in [
        "read orders once: raw/2025-01-02/*.jsonl\n",
        "for 2 queries\n",
        "    output fact_orders: rows, in partitions by country\n",
        "checks orders.not_null(userId), orders.unique(orderId)",
    ] {
        assert!(told.text().contains(line), "{}", told.text());
    }
    let told = run_job(at, &[&day[..], &["--dry-run"]].concat()).exits(0).says_nothing();
    let len = std::fs::metadata(at.join("raw/2025-01-02/o.jsonl")).unwrap().len();
    for line in [
        format!("source orders: 1 file, {len} bytes\n"),
        "output fact_orders: append warehouse/fact_orders, in partitions by country\n".to_owned(),
        "output daily_summary: overwrite warehouse/daily_summary/date=2025-01-02\n".to_owned(),
    ] {
        assert!(told.text().contains(&line), "{}", told.text());
    }
    assert_eq!(tree(at), before);
}

#[test]
fn standard_input_is_read_by_a_job_without_checkpoints() {
    let folder = folder();
    let at = folder.path();
    let text = format!("[sources.s]\nfiles = [\"-\"]\n{}", output("select id from s", "mode = \"append\""));
    write(at, "job.toml", &text);
    // It cannot be told whether the same comes again.
    for sequence in 1..=2 {
        let told = pipe(at, &["run", "job.toml"], SOME.as_bytes()).exits(0);
        told.says(&format!("job: committed as {sequence}"));
    }
    assert_eq!(files(&at.join("out")).len(), 2);
    write(at, "job.toml", format!("[run]\ncheckpoint = \"1s\"\n{text}"));
    let told = pipe(at, &["run", "job.toml"], SOME.as_bytes()).exits(2);
    told.says("a job that reads standard input cannot have checkpoints");
}

/// Starts `job.toml` and ends it, by a signal, when it has written a checkpoint; its exit code, if it has one.
fn interrupt(folder: &Path, signal: &str) -> Option<i32> {
    let checkpoints = folder.join(".foldl/job/checkpoints");
    // Each one is a new file.
    let written = || {
        let names = if checkpoints.exists() { names(&checkpoints) } else { Vec::new() };
        let name = names.into_iter().find(|name| name.ends_with(".checkpoint"))?;
        std::fs::metadata(checkpoints.join(name)).and_then(|file| file.modified()).ok()
    };
    let before = written();
    let mut child =
        foldl(folder).args(["run", "job.toml", "--quiet", "--again"]).stderr(Stdio::null()).spawn().unwrap();
    while written().is_none_or(|now| Some(now) == before) {
        assert!(child.try_wait().unwrap().is_none(), "the run ended without a checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    child.wait().unwrap().code()
}

#[test]
fn a_run_that_was_killed_is_resumed() {
    let folder = folder();
    let at = folder.path();
    write(at, "in.jsonl", generate("orders", 200_000));
    let small = "[[outputs]]\nname = \"small\"\nquery = \"select status, count(*) as n, sum(price) as s from s group by status\"\n\
        path = \"small\"\n";
    let whole = output("select * from s", "compression = \"zst\"\nmax_file_size = \"1MiB\"");
    let tables = format!("{whole}{small}[run]\ncheckpoint = \"1MiB\"\nthreads = 2\n");
    set_job(at, &tables);
    let bytes = |sequence: u32| {
        let mut found = BTreeMap::new();
        for dir in ["out", "small"] {
            for name in names(&at.join(dir)).iter().filter(|name| name.starts_with("part-")) {
                let part = name.strip_prefix(&format!("part-{sequence:06}-")).unwrap();
                found.insert(format!("{dir}/{part}"), std::fs::read(at.join(dir).join(name)).unwrap());
            }
        }
        found
    };
    run_job(at, &[]).exits(0).says("committed as 1");
    let undisturbed = bytes(1);
    assert!(undisturbed.len() > 2);
    // Killed twice, the second time when it has gone on.
    assert_eq!(interrupt(at, "-KILL"), None);
    assert_eq!(bytes(1), undisturbed);
    assert_eq!(interrupt(at, "-TERM"), Some(143));
    run_job(at, &[]).exits(0).says("  resumed run ").says(" from its checkpoint, after ").says("committed as 2");
    assert_eq!(bytes(2), undisturbed);
    assert!(names(&at.join(".foldl/job/checkpoints")).is_empty() && names(&at.join("out/_foldl")).len() == 2);
    // Checkpoints that are of no use any more.
    let over = "started over in place of going on from the checkpoint of run ";
    interrupt(at, "-KILL");
    run_job(at, &["--restart", "--again"]).exits(0).says(over).says("--restart says so").says("committed as 3");
    interrupt(at, "-KILL");
    let checkpoints = at.join(".foldl/job/checkpoints");
    let name = names(&checkpoints).into_iter().find(|name| name.ends_with(".checkpoint")).unwrap();
    let mut damaged = std::fs::read(checkpoints.join(&name)).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(checkpoints.join(&name), damaged).unwrap();
    run_job(at, &["--again"]).exits(0).says(over).says("damaged").says("committed as 4");
    // What was staged is gone, or not what it was.
    let staged = || {
        let dir = at.join("out/_foldl");
        let run = names(&dir).into_iter().find(|name| name.starts_with("run-")).unwrap();
        dir.join(run).join("data")
    };
    interrupt(at, "-KILL");
    std::fs::remove_dir_all(staged()).unwrap();
    run_job(at, &["--again"]).exits(0).says(over).says("what was staged is gone").says("committed as 5");
    interrupt(at, "-KILL");
    let first = staged().join("00000.jsonl.zst");
    let mut changed = std::fs::read(&first).unwrap();
    changed[40] ^= 1;
    std::fs::write(&first, changed).unwrap();
    run_job(at, &["--again"])
        .exits(0)
        .says(over)
        .says("what was staged is not what was written")
        .says("committed as 6");
    assert_eq!(bytes(6), undisturbed);
    interrupt(at, "-KILL");
    set_job(at, &tables.replace("sum(price)", "max(price)"));
    run_job(at, &[]).exits(0).says(over).says("the job or its variables are others now");
    interrupt(at, "-KILL");
    let mut input = std::fs::OpenOptions::new().append(true).open(at.join("in.jsonl")).unwrap();
    input.write_all(b"{\"orderId\":\"one more\"}\n").unwrap();
    run_job(at, &[]).exits(0).says(over).says("in.jsonl has changed since").says("read s: 200,001 records");
}

#[test]
fn a_run_that_is_asked_to_end_leaves_nothing() {
    let folder = folder();
    let at = folder.path();
    write(at, "in.jsonl", generate("orders", 400_000));
    set_job(at, &output("select * from s", "compression = \"zst\""));
    let mut child = foldl(at).args(["run", "job.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    let dir = at.join("out/_foldl");
    while !dir.exists() || !names(&dir).iter().any(|name| name.starts_with("run-")) {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it staged anything");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(143), "{told}");
    assert!(told.contains("job: the run was interrupted"), "{told}");
    assert!(names(&dir).iter().all(|name| !name.starts_with("run-")), "{:?}", names(&dir));
    let told = run_job(at, &["--status"]).exits(0).says_nothing();
    assert!(told.text().contains("interrupted"), "{}", told.text());
}

/// A job with one output of some lines more.
fn one_output(more: &str) -> String {
    format!(
        "[vars]\nd = 1\n[run]\nstate = \"state\"\n[sources.s]\nfiles = [\"in/a.jsonl\"]\n{more}\n\
         [[outputs]]\nname = \"o\"\nquery = \"select id, {{{{ d }}}} as d from s\"\npath = \"out\"\n"
    )
}

#[test]
fn what_is_read_is_not_replaced() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    write(folder.path(), "in/a.jsonl", SOME);
    for (job, args) in [
        (one_output("rejects = \"in/a.jsonl\""), &[][..]),
        (one_output("rejects = \"job.toml\""), &[]),
        (one_output("rejects = \"/dev/null\""), &[]),
        (one_output("").replace("\"out\"", "\"in\""), &[]),
        (one_output("[[checks]]\non = \"s\"\nnot_null = { column = \"k\" }\nquarantine = \"in/a.jsonl\""), &[]),
        (one_output(""), &["--report", "in/a.jsonl"]),
        (one_output(""), &["--junit", "job.toml"]),
    ] {
        write(folder.path(), "job.toml", &job);
        let args: Vec<&str> = ["run", "job.toml"].iter().chain(args).copied().collect();
        run(folder.path(), &args).exits(2);
        assert_eq!(std::fs::read_to_string(folder.path().join("in/a.jsonl")).unwrap(), SOME);
        assert_eq!(std::fs::read_to_string(folder.path().join("job.toml")).unwrap(), job);
    }
}

#[test]
fn outputs_of_other_runs_are_written_anew() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    write(folder.path(), "in/a.jsonl", "{\"id\":1}\n");
    write(folder.path(), "job.toml", one_output(""));
    let rows = || {
        let mut names = std::fs::read_dir(folder.path().join("out")).unwrap().map(|entry| entry.unwrap().path());
        let part = names.find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
        std::fs::read_to_string(part).unwrap()
    };
    for (day, says) in [("1", "committed as 1"), ("1", "nothing new"), ("2", "committed as 2"), ("1", "committed as 3")]
    {
        run(folder.path(), &["run", "job.toml", "--var", &format!("d={day}")]).exits(0).says(says);
        assert_eq!(rows(), format!("{{\"id\":1,\"d\":{day}}}\n"));
    }
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    run(folder.path(), &["run", "job.toml"]).exits(0).says("committed as 4");
    assert_eq!(rows(), "{\"id\":1,\"d\":1}\n");
}

#[test]
fn rejects_of_lookups_and_of_failed_runs_are_told() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    write(folder.path(), "in/a.jsonl", "{\"id\":1}\n");
    write(folder.path(), "look.jsonl", "{\"id\":1,\"name\":\"a\"}\n{oops\n");
    let job = one_output("[sources.look]\nfiles = [\"look.jsonl\"]\nrejects = \"bad.jsonl\"")
        .replace("from s", "from s left join look using (id)");
    write(folder.path(), "job.toml", &job);
    run(folder.path(), &["run", "job.toml"]).exits(0).says("look.jsonl:2").says("skipped 1 of 2 lines");
    let job = job.replace("rejects =", "max_errors = 0\nrejects =");
    write(folder.path(), "job.toml", &job);
    run(folder.path(), &["run", "job.toml"]).exits(4).says("rejected lines are in");
    let failed = std::fs::read_dir(folder.path().join("state/failed")).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read_to_string(failed.join("bad.jsonl")).unwrap().contains("oops"));
}

#[test]
fn a_job_of_another_folder_reads_and_writes_there() {
    let folder = folder();
    // The name of the folder looks like a pattern.
    std::fs::create_dir_all(folder.path().join("jobs [1]/in")).unwrap();
    write(folder.path(), "jobs [1]/in/a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    write(folder.path(), "jobs [1]/in/users.jsonl", "{\"id\":2,\"name\":\"b\"}\n");
    let job = one_output("").replace("in/a.jsonl", "in/a*.jsonl").replace(
        "select id, {{ d }} as d from s",
        "select s.id, u.name from s join 'in/u*.jsonl' u using (id) union all select id, 'all' as name from 'in/a*.jsonl'",
    );
    write(folder.path(), "jobs [1]/job.toml", &job);
    run(folder.path(), &["run", "jobs [1]/job.toml"]).exits(0);
    let part = std::fs::read_to_string(folder.path().join("jobs [1]/out/part-000001-00000.jsonl")).unwrap();
    let all = "{\"id\":1,\"name\":\"all\"}\n{\"id\":2,\"name\":\"all\"}\n";
    assert_eq!(part, format!("{{\"id\":2,\"name\":\"b\"}}\n{all}"));
    run(folder.path(), &["run", "jobs [1]/job.toml"]).exits(0).says("nothing new");
    write(folder.path(), "jobs [1]/in/users.jsonl", "{\"id\":1,\"name\":\"a\"}\n");
    run(folder.path(), &["run", "jobs [1]/job.toml"]).exits(0).says("committed as 2");
}

#[test]
fn the_log_is_a_line_of_json_for_each_thing_that_happens() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "a.jsonl", SOME);
    let job = "name = \"logged\"\n[run]\nstate = \"state\"\ncheckpoint = \"1B\"\n[sources.a]\nfiles = [\"a.jsonl\"]\n\
               [[checks]]\non = \"a\"\nunique = [\"id\"]\nseverity = \"SEVERITY\"\n\
               [[outputs]]\nname = \"o\"\nquery = \"select count(*) as n from a\"\npath = \"o\"\n";
    let events = |args: &[&str], code: i32| -> Vec<Json> {
        let output = run(folder, args).exits(code);
        output.stderr.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    };
    write(folder, "job.toml", job.replace("SEVERITY", "warn"));
    let all = events(&["run", "job.toml", "--log", "json"], 0);
    let steps: Vec<&str> = all.iter().filter_map(|event| event["step"].as_str()).collect();
    assert_eq!(steps, ["lock", "inputs", "pass", "checks", "commit"]);
    assert!(all.iter().all(|event| event["span"]["job"] == "logged" && event["timestamp"].is_string()));
    let of = |key: &str| all.iter().find(|event| !event[key].is_null()).cloned().unwrap_or_default();
    assert_eq!((&of("source")["records"], &of("source")["rejected"]), (&json!(5), &json!(1)));
    assert_eq!((&of("output")["rows"], &of("check")["level"]), (&json!(1), &json!("WARN")));
    assert_eq!(all.last().unwrap()["outcome"], "committed");
    let of_level = events(&["run", "job.toml", "--again", "--log", "json", "--log-level", "warn"], 0);
    assert!(of_level.iter().all(|event| event["level"] == "WARN"), "{of_level:?}");
    write(folder, "job.toml", job.replace("SEVERITY", "fail"));
    let failed = events(&["run", "job.toml", "--log", "json"], 1);
    let last = failed.last().unwrap();
    assert_eq!((&last["level"], &last["exit_code"]), (&json!("ERROR"), &json!(1)), "{last}");
    run(folder, &["run", "job.toml", "--again", "--log", "text"]).exits(1).says("ERROR").says("a check failed");
    run(folder, &["run", "job.toml", "--log-level", "warn"]).exits(2).says("--log");
}

#[test]
fn the_end_of_a_path_tells_format_and_compression() {
    let folder = folder();
    let at = folder.path();
    write(at, "in.jsonl", SOME);
    for (path, more, file) in [
        ("a", "", "part-000001-00000.jsonl"),
        ("a.csv.gz", "", "part-000001-00000.csv.gz"),
        ("a.zst", "", "part-000001-00000.jsonl.zst"),
        ("a.tsv", "compression = \"lz4\"\n", "part-000001-00000.tsv.lz4"),
        ("b.csv.gz", "format = \"jsonl\"\ncompression = \"none\"\n", "part-000001-00000.jsonl"),
    ] {
        let text = format!(
            "[run]\nstate = \"state/{path}\"\n[sources.s]\nfiles = [\"in.jsonl\"]\n\
             [[outputs]]\nname = \"o\"\nquery = \"select id from s\"\npath = \"{path}\"\n{more}"
        );
        write(at, "job.toml", &text);
        run_job(at, &[]).exits(0);
        assert!(names(&at.join(path)).contains(&file.to_owned()), "{path}: {:?}", names(&at.join(path)));
    }
}
