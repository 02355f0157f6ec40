use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::error::{Error, ErrorKind, Result};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn open(&self) -> Result<Store> {
        Store::open(&self.path("state"), Wait::No)
    }

    fn spec(&self, name: &str, mode: Mode, partition_by: &[&str]) -> OutputSpec {
        OutputSpec {
            mode,
            partition_by: partition_by.iter().map(|&column| column.to_owned()).collect(),
            ..OutputSpec::new(name, self.path(name))
        }
    }

    /// Commits rows, each with its partition.
    fn commit(&self, run: &str, spec: OutputSpec, rows: &[(&str, &str)]) -> Result<Record> {
        let mut store = self.open()?;
        let name = spec.name.clone();
        let mut transaction = store.begin(run, vec![spec])?;
        let mut output = transaction.output(&name, None)?;
        for (partition, row) in rows {
            output.write_to(partition, row.as_bytes())?;
        }
        transaction.commit(vec![output], Vec::new(), json!({"key": run}))
    }

    /// The data in a destination.
    fn data(&self, name: &str) -> BTreeMap<String, String> {
        files(&self.path(name)).into_iter().filter(|(path, _)| !path.starts_with('_')).collect()
    }

    fn success(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name).join("_SUCCESS")).unwrap()).unwrap()
    }

    /// Files in `_foldl` of a destination.
    fn own(&self, name: &str) -> Vec<String> {
        files(&self.path(name).join("_foldl")).into_keys().collect()
    }
}

fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for name in disk::names(dir).unwrap() {
        let path = dir.join(&name);
        let name = name.into_string().unwrap();
        if path.symlink_metadata().unwrap().is_dir() {
            files.extend(self::files(&path).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            files.insert(name, std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
    files
}

fn map(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect()
}

fn text(error: &Error) -> String {
    format!("{error}; {}", error.advice().unwrap_or_default())
}

#[test]
fn append_adds_and_overwrite_replaces_everything_visible() {
    let place = Place::new();
    let spec = |mode| place.spec("out", mode, &[]);
    let record = place.commit("r1", spec(Mode::Append), &[("", "1\n"), ("", "2\n")]).unwrap();
    assert_eq!(record.sequence, 1);
    place.commit("r2", spec(Mode::Append), &[("", "3\n")]).unwrap();
    let both = map(&[("part-000001-00000.jsonl", "1\n2\n"), ("part-000002-00000.jsonl", "3\n")]);
    assert_eq!(place.data("out"), both);
    assert_eq!(place.success("out"), json!({"rows": 1, "files": 1, "sequence": 2, "run": "r2"}));
    // Nothing appended: there is no file for it.
    place.commit("r3", spec(Mode::Append), &[]).unwrap();
    assert_eq!(place.data("out"), both);
    let out = place.path("out");
    std::fs::create_dir(out.join("other")).unwrap();
    std::fs::write(out.join("other/file"), "x").unwrap();
    std::fs::write(out.join("_metadata"), "kept").unwrap();
    std::fs::write(out.join(".hidden"), "kept").unwrap();
    let record = place.commit("r4", spec(Mode::Overwrite), &[("", "4\n")]).unwrap();
    assert_eq!(record.outputs[0].replaced, ["other", "part-000001-00000.jsonl", "part-000002-00000.jsonl"]);
    let mut expected = map(&[("part-000004-00000.jsonl", "4\n"), (".hidden", "kept")]);
    assert_eq!(place.data("out"), expected);
    assert_eq!(std::fs::read_to_string(out.join("_metadata")).unwrap(), "kept");
    place.commit("r5", spec(Mode::Overwrite), &[]).unwrap();
    expected.remove("part-000004-00000.jsonl");
    assert_eq!(place.data("out"), expected);
    assert_eq!(place.success("out")["rows"], 0);
    assert_eq!(place.own("out"), ["lock", "sequence"]);
    let state: Vec<String> = files(&place.path("state")).into_keys().collect();
    let commits: Vec<String> = (1..=5).map(|number| format!("commits/{number:06}.json")).collect();
    assert_eq!(state[..5], commits);
    assert_eq!(state[5..], ["lock"]);
}

#[test]
fn overwrite_partitions_replaces_those_that_get_rows() {
    let place = Place::new();
    let rows = [("c=a/d=1", "1\n"), ("c=a/d=2", "2\n"), ("c=b/d=1", "3\n")];
    let spec = || place.spec("out", Mode::OverwritePartitions, &["c", "d"]);
    place.commit("r1", spec(), &rows).unwrap();
    std::fs::write(place.path("out").join("c=a/d=1/mine"), "x").unwrap();
    let record = place.commit("r2", spec(), &[("c=a/d=1", "4\n"), ("c=c/d=1", "5\n")]).unwrap();
    assert_eq!(record.outputs[0].replaced, ["c=a/d=1"]);
    let expected = [
        ("c=a/d=1/part-000002-00000.jsonl", "4\n"),
        ("c=a/d=2/part-000001-00000.jsonl", "2\n"),
        ("c=b/d=1/part-000001-00000.jsonl", "3\n"),
        ("c=c/d=1/part-000002-00000.jsonl", "5\n"),
    ];
    assert_eq!(place.data("out"), map(&expected));
    // A whole tree in the place of a partition goes with it.
    place.commit("r3", place.spec("out", Mode::OverwritePartitions, &["c"]), &[("c=a", "6\n")]).unwrap();
    assert_eq!(place.data("out").into_keys().next().unwrap(), "c=a/part-000003-00000.jsonl");
    assert_eq!(place.data("out").len(), 3);
    place.commit("r4", place.spec("out", Mode::Overwrite, &["c"]), &[("c=b", "7\n")]).unwrap();
    assert_eq!(place.data("out"), map(&[("c=b/part-000004-00000.jsonl", "7\n")]));
    let error = place.commit("r5", place.spec("out", Mode::OverwritePartitions, &[]), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn create_refuses_data_before_anything_is_read() {
    let place = Place::new();
    let spec = || place.spec("out", Mode::Create, &["c"]);
    place.commit("r1", spec(), &[("c=a", "1\n")]).unwrap();
    let mut store = place.open().unwrap();
    let error = store.begin("r2", vec![spec()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output);
    assert!(text(&error).contains("there is data"), "{error}");
    drop(store);
    place.commit("r3", place.spec("out", Mode::Overwrite, &[]), &[]).unwrap();
    // An empty table is one, too.
    assert!(place.open().unwrap().begin("r4", vec![spec()]).is_err());
}

#[test]
fn what_is_in_the_way_is_found_before_the_commit_is_decided() {
    let place = Place::new();
    let elsewhere = place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("precious"), "x").unwrap();
    let append = || place.spec("out", Mode::Append, &["c"]);
    place.commit("r1", append(), &[("c=a", "1\n")]).unwrap();
    let out = place.path("out");
    symlink(&elsewhere, out.join("c=link")).unwrap();
    std::fs::write(out.join("c=file"), "x").unwrap();
    std::fs::write(out.join("c=a/part-000002-00000.jsonl"), "x").unwrap();
    let visible = || {
        let mut files = files(&out);
        files.retain(|path, _| path != "_foldl/lock");
        files
    };
    let before = visible();
    for (partition, message) in [("c=link", "no directory"), ("c=file", "no directory"), ("c=a", "did not write")] {
        let error = place.commit("r2", append(), &[("c=b", "1\n"), (partition, "2\n")]).unwrap_err();
        assert!(text(&error).contains(message), "{partition}: {error}");
        assert_eq!(visible(), before);
    }
    // Links are replaced, not followed.
    place.commit("r3", place.spec("out", Mode::OverwritePartitions, &["c"]), &[("c=link", "3\n")]).unwrap();
    assert!(out.join("c=link").symlink_metadata().unwrap().is_dir());
    std::fs::remove_dir_all(out.join("c=link")).unwrap();
    symlink(&elsewhere, out.join("c=link")).unwrap();
    place.commit("r4", place.spec("out", Mode::Overwrite, &["c"]), &[("c=link", "3\n")]).unwrap();
    assert_eq!(place.data("out"), map(&[("c=link/part-000003-00000.jsonl", "3\n")]));
    assert_eq!(std::fs::read_to_string(elsewhere.join("precious")).unwrap(), "x");
}

#[test]
fn outputs_lie_apart_and_apart_from_the_state() {
    let place = Place::new();
    let mut store = place.open().unwrap();
    let spec = |name: &str, path: &str| OutputSpec::new(name, place.path(path));
    for specs in [
        vec![spec("a", "x"), spec("b", "x")],
        vec![spec("a", "x"), spec("b", "x/y")],
        vec![spec("a", "x/y"), spec("b", "x")],
        vec![spec("a", "x"), spec("a", "y")],
        vec![spec("a", "state")],
        vec![spec("a", "")],
        vec![OutputSpec { split: Split::Files(0), ..spec("a", "x") }],
        vec![OutputSpec { partition_by: vec!["c".to_owned(), "c".to_owned()], ..spec("a", "x") }],
    ] {
        assert_eq!(store.begin("r", specs.clone()).unwrap_err().kind(), ErrorKind::Usage, "{specs:?}");
    }
    for run in ["", "a/b", "..", "é", &"x".repeat(65)] {
        assert_eq!(store.begin(run, vec![spec("a", "x")]).unwrap_err().kind(), ErrorKind::Usage, "{run}");
    }
    let mut transaction = store.begin("r", vec![spec("a", "x")]).unwrap();
    let inside = place.path("x/rejects.jsonl");
    assert_eq!(transaction.file(&inside, FileMode::Replace, None).unwrap_err().kind(), ErrorKind::Usage);
    assert!(transaction.output("b", None).is_err());
    let output = transaction.output("a", None).unwrap();
    assert!(transaction.output("a", None).is_err());
    drop(output);
    assert_eq!(transaction.commit(Vec::new(), Vec::new(), Value::Null).unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn files_beside_the_outputs_come_with_them() {
    let place = Place::new();
    let run = |run: &str, outcome: &str| -> Result<PathBuf> {
        let mut store = place.open()?;
        let mut transaction = store.begin(run, vec![place.spec("out", Mode::Append, &[])])?;
        let output = transaction.output("out", None)?;
        let mut rejects = transaction.file(&place.path("new/dir/rejects"), FileMode::Append, None)?;
        let mut report = transaction.file(&place.path("report"), FileMode::Replace, None)?;
        let mut other = transaction.file(&place.path("new/report"), FileMode::Append, None)?;
        writeln!(rejects, "rejected by {run}").unwrap();
        writeln!(report, "report of {run}").unwrap();
        assert!(other.is_empty() && !report.is_empty());
        if run == "r1" {
            other.write_all(&[b'x'; 100_000]).unwrap();
            other.write_all(b"y").unwrap();
        }
        let files = vec![rejects, report, other];
        match outcome {
            "fail" => transaction.fail(vec![output], files),
            "discard" => transaction.discard().map(|()| PathBuf::new()),
            "drop" => Ok(PathBuf::new()),
            _ => transaction.commit(vec![output], files, Value::Null).map(|_| PathBuf::new()),
        }
    };
    let visible = || {
        let mut all = files(&place.path(""));
        all.retain(|path, _| !path.starts_with("state/") && !path.starts_with("out/"));
        all
    };
    let long = format!("{}y", "x".repeat(100_000));
    run("r1", "commit").unwrap();
    let one = map(&[("new/dir/rejects", "rejected by r1\n"), ("new/report", &long), ("report", "report of r1\n")]);
    assert_eq!(visible(), one);
    for outcome in ["discard", "drop", "fail"] {
        let dir = run("r2", outcome).unwrap();
        assert_eq!(visible(), one);
        if outcome == "fail" {
            assert_eq!(dir, place.path("state/failed/r2"));
            let failed = [("rejects", "rejected by r2\n"), ("report", "report of r2\n"), ("2-report", "")];
            assert_eq!(files(&dir), map(&failed));
        }
    }
    run("r3", "commit").unwrap();
    let both = "rejected by r1\nrejected by r3\n";
    let three = map(&[("new/dir/rejects", both), ("new/report", &long), ("report", "report of r3\n")]);
    assert_eq!(visible(), three);
    assert_eq!(place.own("out"), ["lock", "sequence"]);
}

#[test]
fn a_run_goes_on_from_its_checkpoint_in_another_process() {
    let place = Place::new();
    let spec = || OutputSpec { compression: Compression::Zstd, ..place.spec("out", Mode::Append, &["c"]) };
    let rejects = place.path("rejects");
    let mut store = place.open().unwrap();
    let mut transaction = store.begin("r1", vec![spec()]).unwrap();
    let mut output = transaction.output("out", None).unwrap();
    let mut file = transaction.file(&rejects, FileMode::Replace, None).unwrap();
    output.write_to("c=a", b"1\n").unwrap();
    file.write_all(b"one\n").unwrap();
    let checkpoint = json!({"out": output.position().unwrap(), "rejects": file.position().unwrap()});
    write_atomically(&transaction.checkpoint_path(), checkpoint.to_string().as_bytes()).unwrap();
    output.write_to("c=b", b"lost\n").unwrap();
    output.position().unwrap();
    file.write_all(b"lost\n").unwrap();
    drop((output, file));
    drop(transaction);
    drop(store);

    // Meanwhile another run of the same state commits to the same place.
    place.commit("other", spec(), &[("c=a", "2\n")]).unwrap();

    let mut store = place.open().unwrap();
    assert_eq!(store.checkpoints().unwrap(), ["r1"]);
    let text = std::fs::read(store.checkpoint_path("r1")).unwrap();
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let position: Position = serde_json::from_value(checkpoint["out"].clone()).unwrap();
    let file_position: FilePosition = serde_json::from_value(checkpoint["rejects"].clone()).unwrap();
    let mut transaction = store.begin("r1", vec![spec()]).unwrap();
    let mut output = transaction.output("out", Some(&position)).unwrap();
    let mut file = transaction.file(&rejects, FileMode::Replace, Some(&file_position)).unwrap();
    output.write_to("c=a", b"3\n").unwrap();
    file.write_all(b"two\n").unwrap();
    let record = transaction.commit(vec![output], vec![file], Value::Null).unwrap();
    assert_eq!((record.sequence, record.outputs[0].rows, record.outputs[0].files.len()), (2, 2, 1));
    let data = std::fs::read(place.path("out/c=a/part-000002-00000.jsonl.zst")).unwrap();
    assert_eq!(zstd::decode_all(&data[..]).unwrap(), b"1\n3\n");
    assert_eq!(std::fs::read_to_string(&rejects).unwrap(), "one\ntwo\n");
    assert!(store.checkpoints().unwrap().is_empty());
    assert_eq!(place.own("out"), ["lock", "sequence"]);
}

#[test]
fn staging_without_a_checkpoint_is_removed_and_can_be_forgotten() {
    let place = Place::new();
    let begin = |run: &str, has_checkpoint: bool| {
        let mut store = place.open().unwrap();
        let mut transaction = store.begin(run, vec![place.spec("out", Mode::Append, &[])]).unwrap();
        let mut output = transaction.output("out", None).unwrap();
        output.write_rows(b"1\n").unwrap();
        output.position().unwrap();
        write_atomically(&transaction.checkpoint_path(), b"x").unwrap();
        if has_checkpoint {
            std::fs::create_dir(place.path("state/checkpoints").join(run)).unwrap();
            write_atomically(&place.path("state/checkpoints").join(format!("{run}.more")), b"x").unwrap();
        }
        drop(transaction);
        if !has_checkpoint {
            // As if the process had been killed before there was one.
            std::fs::remove_file(store.checkpoint_path(run)).unwrap();
        }
    };
    begin("r1", true);
    begin("r10", false);
    let lock = place.own("out");
    assert!(
        lock.iter().any(|path| path.starts_with("run-r10/")) && lock.iter().any(|path| path.starts_with("run-r1/"))
    );
    let mut store = place.open().unwrap();
    assert!(!place.own("out").iter().any(|path| path.starts_with("run-r10/")));
    assert!(place.own("out").iter().any(|path| path.starts_with("run-r1/data")));
    store.forget("r1").unwrap();
    assert_eq!(place.own("out"), ["lock"]);
    assert!(disk::names(&place.path("state/checkpoints")).unwrap().is_empty());
    assert!(disk::names(&place.path("state/staging")).unwrap().is_empty());
}

#[test]
fn the_second_run_is_told_who_is_first() {
    let place = Place::new();
    let mut store = place.open().unwrap();
    assert_eq!(place.open().unwrap_err().kind(), ErrorKind::Locked);
    let transaction = store.begin("first", vec![place.spec("out", Mode::Append, &[])]).unwrap();
    let error = place.open().unwrap_err();
    assert!(text(&error).contains("run first, process"), "{error}");
    // Another job with the same output.
    let mut other = Store::open(&place.path("other"), Wait::No).unwrap();
    let error = other.begin("second", vec![place.spec("out", Mode::Append, &[])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(text(&error).contains("run first, process"), "{error}");
    transaction.discard().unwrap();
    other.begin("second", vec![place.spec("out", Mode::Append, &[])]).unwrap().discard().unwrap();
}

#[test]
fn jobs_that_share_outputs_take_turns_and_never_use_a_number_twice() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for (job, names) in [("one", ["a", "b"]), ("two", ["b", "a"])] {
            let place = &place;
            scope.spawn(move || {
                for run in 0..10 {
                    let mut store = Store::open(&place.path(job), Wait::Yes).unwrap();
                    let specs = names.map(|name| place.spec(name, Mode::Append, &[])).to_vec();
                    let mut transaction = store.begin(&format!("{job}-{run}"), specs).unwrap();
                    let mut outputs = names.map(|name| transaction.output(name, None).unwrap());
                    for output in &mut outputs {
                        output.write_rows(format!("{job}-{run}\n").as_bytes()).unwrap();
                    }
                    transaction.commit(outputs.into(), Vec::new(), Value::Null).unwrap();
                }
            });
        }
    });
    for name in ["a", "b"] {
        let data = place.data(name);
        assert_eq!(data.len(), 20);
        assert_eq!(data.keys().next_back().unwrap(), "part-000020-00000.jsonl");
        let rows: std::collections::BTreeSet<&String> = data.values().collect();
        assert_eq!(rows.len(), 20);
    }
    // Even when a state directory is begun anew.
    std::fs::remove_dir_all(place.path("one")).unwrap();
    let mut store = Store::open(&place.path("one"), Wait::No).unwrap();
    assert_eq!(store.begin("new", vec![place.spec("a", Mode::Append, &[])]).unwrap().sequence(), 21);
}

#[test]
fn damaged_records_are_refused() {
    let place = Place::new();
    place.commit("r1", place.spec("out", Mode::Append, &[]), &[("", "1\n")]).unwrap();
    let applied = place.path("state/commits/000001.json");
    let pending = place.path("state/commits/000001.pending");
    let bytes = std::fs::read(&applied).unwrap();
    std::fs::rename(&applied, &pending).unwrap();
    // All was done already, and is done again.
    let store = place.open().unwrap();
    assert_eq!(store.recovered().len(), 1);
    assert_eq!(store.committed("r1").unwrap().unwrap().sequence, 1);
    drop(store);
    std::fs::rename(&applied, &pending).unwrap();
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&pending, &damaged).unwrap();
        assert_eq!(place.open().unwrap_err().kind(), ErrorKind::Input);
        std::fs::write(&pending, &bytes[..at]).unwrap();
        assert_eq!(place.open().unwrap_err().kind(), ErrorKind::Input);
    }
    std::fs::write(&pending, &bytes).unwrap();
    // What the record says is not what is there.
    std::fs::write(place.path("out/part-000001-00000.jsonl"), "longer\n").unwrap();
    let error = place.open().unwrap_err();
    assert!(
        text(&error).contains("neither staged nor at its place") && text(&error).contains("000001.pending"),
        "{error}"
    );
    let staged = place.path("out/_foldl/run-r1/data");
    std::fs::create_dir_all(&staged).unwrap();
    std::fs::write(staged.join("00000.jsonl"), "2\n").unwrap();
    assert!(text(&place.open().unwrap_err()).contains("length or checksum"));
    std::fs::write(staged.join("00000.jsonl"), "1\n").unwrap();
    place.open().unwrap();
    assert_eq!(place.data("out"), map(&[("part-000001-00000.jsonl", "1\n")]));
}

#[test]
fn the_log_of_runs() {
    let place = Place::new();
    let store = place.open().unwrap();
    assert!(Store::runs(&place.path("nowhere"), 5).unwrap().is_empty());
    for run in 0..3 {
        store.log_run(&json!({"run": run})).unwrap();
    }
    assert_eq!(Store::runs(&place.path("state"), 2).unwrap(), [json!({"run": 1}), json!({"run": 2})]);
    assert!(store.last().unwrap().is_none());
    assert!(store.committed("x").unwrap().is_none());
}
