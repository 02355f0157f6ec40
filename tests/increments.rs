//! `foldl run` of incremental jobs: what comes in steps gives what it gives at once.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use common::{Output, folder, names, run};

/// Outputs of all kinds that change as records come.
const QUERIES: &[(&str, &str)] = &[
    ("total", "select count(*) as n, sum(amount) as s, avg(amount) as a, count(distinct userId) as u from enriched"),
    (
        "groups",
        "select country, count(*) as n, sum(v) as s, min(v) as lo, max(v) as hi, first(id) as f, last(id) as l, \
         array_agg(id) as ids, median(v) as m, quantile_disc(v, 0.9) as q, mode(v) as mo, stddev(v) as sd, \
         count(distinct v) as d, sum(distinct v) as sd2, histogram(k) as h, string_agg(distinct k) as ks, \
         min_by(id, v) as mb, approx_count_distinct(id) as ad, approx_quantile(v, 0.5) as aq, max(_line) as line \
         from enriched group by country",
    ),
    ("many", "select id, count(*) as n, last(v) as v, collect_set(k) as ks from orders group by id"),
    ("top", "select id, v, k from enriched order by v desc, k limit 5"),
    ("sorted", "select id, v from orders order by k"),
    ("kinds", "select distinct k, userId from orders"),
    ("of_groups", "select max(s) as most, count(*) as n from (select k, sum(v) as s from enriched group by k)"),
    ("of_view", "select k, n from by_kind where n > 1 order by n desc, k"),
    ("other", "select count(*) as n from users"),
];

fn job(name: &str, settings: &str, incremental: bool) -> String {
    let mut text = format!(
        "name = \"{name}\"\n[run]\nstate = \"{name}/state\"\nincremental = {incremental}\n{settings}\n\
         [sources.orders]\nfiles = [\"raw/*.jsonl\"]\nrejects = \"{name}/rejects.jsonl\"\n\
         [sources.users]\nfiles = [\"users.jsonl\"]\n[views]\n\
         enriched = \"select o.*, u.country, v * 2 as amount from orders o left join users u using (userId)\"\n\
         by_kind = \"select k, count(*) as n from enriched group by k\"\n\
         [[checks]]\non = \"orders\"\nunique = [\"id\", \"k\"]\nseverity = \"warn\"\n\
         [[checks]]\non = \"orders\"\nrelationship = {{ column = \"userId\", source = \"users\", key = \"userId\" }}\nseverity = \"warn\"\n"
    );
    for (output, query) in QUERIES {
        text += &format!("[[outputs]]\nname = \"{output}\"\nquery = \"{query}\"\npath = \"{name}/{output}\"\n");
    }
    let mode = if incremental { "append" } else { "overwrite" };
    text += &format!(
        "[[outputs]]\nname = \"facts\"\nquery = \"select *, _line as line from enriched where v is not null\"\n\
         path = \"{name}/facts\"\nmode = \"{mode}\"\npartition_by = [\"k\"]\n"
    );
    text
}

/// The rows of an output: those of its files in the order of their names.
fn rows(folder: &Path, output: &str) -> String {
    fn files(dir: &Path, all: &mut Vec<PathBuf>) {
        for name in names(dir) {
            let path = dir.join(&name);
            match name.as_str() {
                "_SUCCESS" | "_foldl" => {}
                _ if path.is_dir() => files(&path, all),
                _ => all.push(path),
            }
        }
    }
    let mut all = Vec::new();
    files(&folder.join(output), &mut all);
    all.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn append(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % most
    }

    fn record(&mut self) -> String {
        let (id, user, k) = (self.below(60), self.below(5), self.below(4));
        let v = match self.below(8) {
            0 => "null".to_owned(),
            1 => format!("{}", self.below(100)),
            2 => format!("{}.0", self.below(9)),
            3 => "\"x\"".to_owned(),
            _ => format!("-{}.{:02}", self.below(50), self.below(100)),
        };
        format!("{{\"id\":\"o{id}\",\"userId\":{user},\"k\":\"k{k}\",\"v\":{v}}}")
    }
}

#[test]
fn what_comes_in_steps_gives_what_it_gives_at_once() {
    for seed in 0..6 {
        let (folder, mut dice) = (folder(), Dice(seed));
        let folder = folder.path();
        write(
            folder,
            "users.jsonl",
            "{\"userId\":1,\"country\":\"DE\"}\n{\"userId\":2,\"country\":\"FR\"}\n{\"userId\":3}\n",
        );
        let settings = ["threads = 1", "threads = 3\nmemory_limit = \"192MiB\"", "threads = 2\ncheckpoint = \"2KiB\""];
        write(folder, "inc.toml", job("inc", settings[seed as usize % 3], true));
        write(folder, "full.toml", job("full", "", false));
        let mut unfinished: Option<(String, String)> = None;
        for step in 0..6 {
            if let Some((name, rest)) = unfinished.take() {
                append(folder, &name, &rest);
            }
            for _ in 0..=dice.below(2) {
                let name = format!("raw/{}.jsonl", dice.below(12));
                let mut text: String = (0..1 + dice.below(150)).map(|_| dice.record() + "\n").collect();
                if dice.below(3) == 0 {
                    text += "{\"bad\n\n[1]\n";
                }
                append(folder, &name, &text);
                match dice.below(4) {
                    0 if unfinished.is_none() => {
                        // A line that is being written, at any of its bytes, or that lacks nothing but its end.
                        let line = dice.record() + "\n";
                        let at = 1 + dice.below(line.len() as u64 - 1) as usize;
                        append(folder, &name, &line[..at]);
                        unfinished = Some((name, line[at..].to_owned()));
                        break;
                    }
                    _ => {}
                }
            }
            let told = run(folder, &["run", "inc.toml"]).exits(0);
            run(folder, &["run", "full.toml", "--quiet"]).exits(0);
            for (output, query) in QUERIES {
                let (inc, full) = (rows(folder, &format!("inc/{output}")), rows(folder, &format!("full/{output}")));
                assert_eq!(inc, full, "seed {seed}, step {step}, {query}\n{}", told.stderr);
            }
            let (inc, full) = (rows(folder, "inc/facts"), rows(folder, "full/facts"));
            assert_eq!(sorted_lines(&inc), sorted_lines(&full), "seed {seed}, step {step}");
            if unfinished.is_none() {
                let rejects = |name| fs::read_to_string(folder.join(name)).unwrap();
                let (inc, full) = (rejects("inc/rejects.jsonl"), rejects("full/rejects.jsonl"));
                assert_eq!(sorted_lines(&inc), sorted_lines(&full), "seed {seed}, step {step}");
            }
            run(folder, &["run", "inc.toml"]).exits(0).says("nothing new since commit");
            assert_eq!(names(&folder.join("inc/state/increments")).len(), 1);
        }
    }
}

const SMALL: &str = r#"
name = "small"
[run]
state = "state"
incremental = true
SETTINGS
[sources.orders]
files = ["raw/*"]
rejects = "rejects.jsonl"
[sources.users]
files = ["users.jsonl"]
[[checks]]
on = "orders"
row_count = { max = 2 }
severity = "warn"
[[checks]]
on = "orders"
unique = ["id"]
severity = "warn"
[[outputs]]
name = "facts"
query = "select o.id, u.country from orders o left join users u using (userId)"
path = "facts"
mode = "append"
[[outputs]]
name = "total"
query = "select u.country, count(*) as n from orders o left join users u using (userId) group by u.country"
path = "total"
"#;

fn small(settings: &str) -> tempfile::TempDir {
    let folder = folder();
    write(folder.path(), "job.toml", SMALL.replace("SETTINGS", settings));
    write(folder.path(), "users.jsonl", "{\"userId\":1,\"country\":\"DE\"}\n");
    write(folder.path(), "raw/a.jsonl", "{\"id\":1,\"userId\":1}\n{\"id\":2,\"userId\":2}\n");
    run(folder.path(), &["run", "job.toml", "-q"]).exits(0);
    folder
}

fn again(folder: &Path) -> Output {
    run(folder, &["run", "job.toml"])
}

#[test]
fn an_input_that_is_not_what_it_was_is_an_error_that_names_it_or_a_rebuild() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("is shorter than it was", |folder| write(folder, "raw/a.jsonl", "{\"id\":1,\"userId\":1}\n")),
        ("has been written again", |folder| {
            write(folder, "raw/a.jsonl", "{\"id\":1,\"userId\":1}\n{\"id\":7,\"userId\":2}\n");
        }),
        ("does not begin with what was in it", |folder| {
            write(folder, "raw/a.jsonl", "{\"id\":1,\"userId\":2}\n{\"id\":2,\"userId\":2}\n{\"id\":3,\"userId\":2}\n");
        }),
        ("is gone", |folder| {
            write(folder, "raw/b.jsonl", "{\"id\":1,\"userId\":1}\n");
            fs::remove_file(folder.join("raw/a.jsonl")).unwrap();
        }),
        ("goes on in a line that had no end", |folder| {
            append(folder, "raw/a.jsonl", "{\"id\":3,\"userId\":1}");
            again(folder).exits(0);
            append(folder, "raw/a.jsonl", "{}\n");
        }),
    ];
    for (what, change) in changes {
        let kept = small("");
        let folder = kept.path();
        change(folder);
        let (facts, total) = (rows(folder, "facts"), rows(folder, "total"));
        again(folder).exits(5).says(what).says("raw/a.jsonl").says("on_changed = \"rebuild\"");
        assert_eq!((rows(folder, "facts"), rows(folder, "total")), (facts, total));
        write(folder, "job.toml", SMALL.replace("SETTINGS", "on_changed = \"rebuild\""));
        again(folder).exits(0).says("read all input anew: ").says(what);
        let lines = fs::read_dir(folder.join("raw")).unwrap().map(|file| {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            text.lines().filter(|line| !line.contains("}{")).count()
        });
        assert_eq!(rows(folder, "facts").lines().count(), lines.sum::<usize>(), "{what}: no row twice");
    }
}

#[test]
fn files_that_are_compressed_do_not_grow() {
    let kept = small("");
    let folder = kept.path();
    let packed = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    write(folder, "raw/b.jsonl.zst", packed("{\"id\":8,\"userId\":1}\n"));
    again(folder).exits(0).says("1 file new, 0 grown, 1 as before");
    let mut more = packed("{\"id\":8,\"userId\":1}\n");
    more.extend(packed("{\"id\":9,\"userId\":1}\n"));
    write(folder, "raw/b.jsonl.zst", more);
    again(folder).exits(5).says("has grown, which only JSON Lines can that are not compressed");
}

#[test]
fn a_changed_lookup_or_query_reads_all_anew_and_replaces_the_rows_of_the_job() {
    let kept = small("");
    let folder = kept.path();
    write(folder, "facts/part-of-others.jsonl", "{\"id\":0}\n");
    append(folder, "raw/a.jsonl", "{\"id\":3,\"userId\":2}\n");
    let told = run(folder, &["run", "job.toml", "--dry-run"]).exits(0);
    assert!(told.text().contains("raw/a.jsonl  60 bytes, 20 new\n"), "{}", told.text());
    again(folder).exits(0).says("read what is new since commit 1: 0 files new, 1 grown, 0 as before");
    assert_eq!(rows(folder, "facts").lines().count(), 4);
    append(folder, "users.jsonl", "{\"userId\":2,\"country\":\"FR\"}\n");
    again(folder).exits(0).says("read all input anew: users, which records are joined with, has changed");
    let rows_of_job = "{\"id\":1,\"country\":\"DE\"}\n{\"id\":2,\"country\":\"FR\"}\n{\"id\":3,\"country\":\"FR\"}\n";
    assert_eq!(rows(folder, "facts"), format!("{rows_of_job}{{\"id\":0}}\n"));
    assert_eq!(rows(folder, "total"), "{\"country\":\"DE\",\"n\":1}\n{\"country\":\"FR\",\"n\":2}\n");
    write(folder, "job.toml", SMALL.replace("SETTINGS", "").replace("o.id, u.country", "o.id"));
    again(folder).exits(0).says("read all input anew: the job or its variables are others now");
    assert_eq!(rows(folder, "facts"), "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":0}\n");
    run(folder, &["run", "job.toml", "--again"]).exits(0).says("read all input anew: --again says so");
    assert_eq!(rows(folder, "facts"), "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":0}\n");
    again(folder).exits(0).says("nothing new");
}

#[test]
fn a_run_of_another_day_begins_anew() {
    let folder = &folder();
    let folder = folder.path();
    for day in ["2026-01-01", "2026-01-02"] {
        std::fs::create_dir_all(folder.join("raw").join(day)).unwrap();
        write(folder, &format!("raw/{day}/a.jsonl"), format!("{{\"day\":\"{day}\"}}\n"));
    }
    let job = "[vars]\ndate = \"yesterday\"\n[run]\nincremental = true\n[sources.s]\nfiles = [\"raw/{{ date }}/*.jsonl\"]\n\
               [[outputs]]\nname = \"o\"\nquery = \"select day, count(*) as n from s group by day\"\npath = \"out/date={{ date }}\"\n";
    write(folder, "job.toml", job);
    run(folder, &["run", "job.toml", "--backfill", "2026-01-01..2026-01-02"])
        .exits(0)
        .says("read all input anew: the job or its variables are others now");
    for day in ["2026-01-01", "2026-01-02"] {
        assert_eq!(rows(folder, &format!("out/date={day}")), format!("{{\"day\":\"{day}\",\"n\":1}}\n"));
    }
}

#[test]
fn checks_are_of_new_records_save_those_of_all() {
    let kept = small("");
    let folder = kept.path();
    append(folder, "raw/a.jsonl", "{\"id\":1,\"userId\":2}\n");
    // One record is new, and it is there twice with what was there before.
    again(folder).exits(0).says("1 record ").says("2 of 3");
}

#[test]
fn lines_are_counted_on_where_the_last_one_had_no_end() {
    let kept = folder();
    let folder = kept.path();
    let job = "[run]\nstate = \"state\"\nincremental = true\n[sources.a]\nfiles = [\"a.jsonl\"]\nrejects = \"rejects.jsonl\"\n\
               [[outputs]]\nname = \"o\"\nquery = \"select k, _line as l from a\"\npath = \"o\"\nmode = \"append\"\n";
    write(folder, "job.toml", job);
    for (text, end) in [
        ("{\"k\":1}\n{\"k\":2}", ""),
        ("\n{\"k\":3}", ""),
        ("\r\n{\"k\":4}\nno record\n", ""),
        ("{\"k\":6}\n{\"k", "\":7}\n"),
    ] {
        append(folder, "a.jsonl", text);
        again(folder).exits(0);
        append(folder, "a.jsonl", end);
    }
    again(folder).exits(0);
    let lines: String = [1, 2, 3, 4, 6, 7].iter().map(|k| format!("{{\"k\":{k},\"l\":{k}}}\n")).collect();
    assert_eq!(rows(folder, "o"), lines);
    assert!(fs::read_to_string(folder.join("rejects.jsonl")).unwrap().contains("\"line\":5,"));
}

#[test]
fn only_rows_that_are_not_there_yet_are_appended() {
    let kept = folder();
    let folder = kept.path();
    let job = r#"
[run]
state = "state"
incremental = INCREMENTAL
[sources.new]
files = ["raw/*.jsonl"]
[sources.existing]
files = ["lake/orders/*.jsonl"]
[[outputs]]
name = "orders"
query = "select n.* from new n anti join existing e using (id)"
path = "lake/orders"
mode = "append"
"#;
    for incremental in ["false", "true"] {
        write(folder, "job.toml", job.replace("INCREMENTAL", incremental));
        write(folder, "raw/a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
        // There are no orders yet.
        again(folder).exits(0);
        assert_eq!(rows(folder, "lake/orders"), "{\"id\":1}\n{\"id\":2}\n");
        write(folder, "raw/b.jsonl", "{\"id\":2}\n{\"id\":3}\n");
        again(folder).exits(0);
        assert_eq!(rows(folder, "lake/orders"), "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
        again(folder).exits(0);
        run(folder, &["run", "job.toml", "--again"]).exits(0);
        assert_eq!(rows(folder, "lake/orders"), "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
        fs::remove_dir_all(folder.join("lake")).unwrap();
        fs::remove_dir_all(folder.join("state")).unwrap();
        fs::remove_dir_all(folder.join("raw")).unwrap();
    }
}

#[test]
fn files_that_a_query_names_are_read_as_a_whole_each_time() {
    let kept = folder();
    let folder = kept.path();
    let job = "[run]\nstate = \"state\"\nincremental = true\n[sources.a]\nfiles = [\"raw/*.jsonl\"]\n\
               [[outputs]]\nname = \"a\"\nquery = \"select count(*) as n from a\"\npath = \"a\"\n\
               [[outputs]]\nname = \"named\"\nquery = \"select k, count(*) as n from 'named.jsonl' group by k\"\npath = \"named\"\n";
    write(folder, "job.toml", job);
    write(folder, "named.jsonl", "{\"k\":1}\n");
    for number in 1..4 {
        write(folder, &format!("raw/{number}.jsonl"), "{\"k\":1}\n");
        again(folder).exits(0);
        assert_eq!(rows(folder, "a"), format!("{{\"n\":{number}}}\n"));
        assert_eq!(rows(folder, "named"), "{\"k\":1,\"n\":1}\n");
    }
}

#[test]
fn outputs_that_cannot_go_on_are_refused() {
    let kept = folder();
    let folder = kept.path();
    write(folder, "a.jsonl", "{\"k\":1}\n");
    let cases = [
        ("select * from a", "overwrite", "say `mode = \"append\"`"),
        ("select k, count(*) as n from a group by k", "append", "say `mode = \"overwrite\"`"),
        ("select k from a order by k", "create", "say `mode = \"overwrite\"`"),
        ("select * from a limit 3", "append", "LIMIT or OFFSET"),
        ("select count(*) as n from (select * from a offset 2)", "overwrite", "LIMIT or OFFSET"),
        ("select k from a union all select k from a", "append", "say `mode = \"overwrite\"`"),
    ];
    for (query, mode, says) in cases {
        let job = format!(
            "[run]\nincremental = true\n[sources.a]\nfiles = [\"a.jsonl\"]\n[[outputs]]\nname = \"o\"\n\
             query = \"{query}\"\npath = \"o\"\nmode = \"{mode}\"\n"
        );
        write(folder, "job.toml", job);
        again(folder).exits(3).says(says).says("output o");
    }
    write(
        folder,
        "job.toml",
        "[run]\nincremental = true\n[sources.a]\nfiles = [\"-\"]\n[[outputs]]\nname = \"o\"\nquery = \"select count(*) as n from a\"\npath = \"o\"\n",
    );
    again(folder).exits(2).says("a job that reads standard input cannot be incremental");
}

#[test]
fn what_a_commit_has_left_is_checked() {
    let kept = small("");
    let folder = kept.path();
    let dir = folder.join("state/increments");
    let dir = dir.join(&names(&dir)[0]);
    append(folder, "raw/a.jsonl", "{\"id\":3,\"userId\":1}\n");
    for name in ["state", "0.runs"] {
        let path = dir.join(name);
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            let total = rows(folder, "total");
            let code = again(folder).code;
            assert!([5, 70].contains(&code), "byte {at} of {name}: exit code {code}");
            assert_eq!(rows(folder, "total"), total);
        }
        fs::write(&path, bytes).unwrap();
    }
    again(folder).exits(0);
    assert_eq!(rows(folder, "total"), "{\"country\":\"DE\",\"n\":2}\n{\"country\":null,\"n\":1}\n");
    // What the job had appended is known all the same.
    let dir = folder.join("state/increments");
    fs::write(dir.join(&names(&dir)[0]).join("state"), "damaged").unwrap();
    append(folder, "raw/a.jsonl", "{\"id\":4,\"userId\":1}\n");
    again(folder).exits(5).says("start over with --again");
    run(folder, &["run", "job.toml", "--again"]).exits(0).says("read all input anew");
    assert_eq!(rows(folder, "facts").lines().count(), 4);
}
