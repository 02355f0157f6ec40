//! Kills a run that commits four outputs wherever it touches the disk, lets it begin again, and compares every byte
//! with a run that nothing disturbed. Needs the feature `failpoints`:
//!
//! ```text
//! cargo test --features failpoints --test crash [-- EVERY [SECONDS]]
//! ```
//!
//! The test starts itself again as the process that is killed: at each failpoint by name, and at one in EVERY (default
//! 8; 1 is all) of the places at which it passes any. For SECONDS more (default 0) it kills runs at random places,
//! several times each.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output as Finished};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foldl::job::store::{
    Compression, FileMode, FilePosition, Mode, OutputSpec, Position, RowFormat, Split, Store, Wait, failpoint,
    write_atomically,
};
use foldl::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// Says to a process that it is the one that is killed, and in which directory.
const CHILD: &str = "FOLDL_CRASH_TEST";
const FAILPOINT: &str = "FOLDL_FAILPOINT";
/// The rows of a run, and how many are between two checkpoints.
const ROWS: u64 = 300;
const CHECKPOINT: u64 = 100;
/// The jobs that are run one after the other.
const RUNS: [&str; 2] = ["monday", "tuesday"];

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(CHILD) {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        return match job(Path::new(&dir), &arguments[0], &arguments[1]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{:?}: {error} ({})", error.kind(), error.advice().unwrap_or_default());
                ExitCode::from(5)
            }
        };
    }
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let every = numbers.next().unwrap_or(8).max(1);
    suite(every, Duration::from_secs(numbers.next().unwrap_or(0)));
    ExitCode::SUCCESS
}

// The process that is killed.

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    rows: u64,
    outputs: Vec<Position>,
    rejects: FilePosition,
}

fn specs(dir: &Path) -> Vec<OutputSpec> {
    let spec = |name: &str, mode, partition_by: &[&str]| OutputSpec {
        mode,
        partition_by: partition_by.iter().map(|&column| column.to_owned()).collect(),
        // Little, so that buffers are written out of turn.
        buffer_bytes: 600,
        ..OutputSpec::new(name, dir.join("warehouse").join(name))
    };
    vec![
        OutputSpec { compression: Compression::Zstd, ..spec("appended", Mode::Append, &["country"]) },
        OutputSpec {
            format: RowFormat::Csv,
            header: b"id,text\n".to_vec(),
            split: Split::MaxBytes(3000),
            ..spec("replaced", Mode::Overwrite, &[])
        },
        OutputSpec {
            compression: Compression::Gzip,
            split: Split::MaxBytes(2000),
            ..spec("days", Mode::OverwritePartitions, &["day", "hour"])
        },
        spec("plain", Mode::Append, &[]),
    ]
}

/// Runs a job, from its checkpoint if it has one. It does nothing if it was committed.
fn job(dir: &Path, run: &str, outcome: &str) -> Result<(), Error> {
    let mut store = Store::open(&dir.join("state"), Wait::No)?;
    if store.committed(run)?.is_some() {
        return Ok(());
    }
    let checkpoint = store.checkpoint_path(run);
    let mut from: Option<Checkpoint> = match store.checkpoints()?.iter().any(|known| known == run) {
        true => Some(serde_json::from_slice(&std::fs::read(&checkpoint).unwrap()).unwrap()),
        false => None,
    };
    let specs = specs(dir);
    let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
    let mut transaction = store.begin(run, specs)?;
    let mut outputs = Vec::new();
    for (number, name) in names.iter().enumerate() {
        outputs.push(transaction.output(name, from.as_ref().map(|from| &from.outputs[number]))?);
    }
    let rejects = dir.join("rejects").join("rejects.jsonl");
    let mut rejects = transaction.file(&rejects, FileMode::Append, from.as_ref().map(|from| &from.rejects))?;
    let mut report = transaction.file(&dir.join("report.json"), FileMode::Replace, None)?;
    let start = from.take().map_or(0, |from| from.rows);
    let seed = run.len() as u64;
    let mut path = String::new();
    for id in start..ROWS {
        if id % CHECKPOINT == 0 && id > start {
            let positions = outputs.iter_mut().map(|output| output.position()).collect::<Result<_, _>>()?;
            let at = Checkpoint { rows: id, outputs: positions, rejects: rejects.position()? };
            write_atomically(&checkpoint, &serde_json::to_vec(&at).unwrap())?;
        }
        let number = (id + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let country = format!("{}/..", number % 5);
        path.clear();
        foldl::output::partition_path(&["country".to_owned()], [Some(country.as_bytes())], &mut path)?;
        outputs[0].write_to(&path, format!("{{\"id\":{id},\"number\":{number}}}\n").as_bytes())?;
        outputs[1].write_rows(format!("{id},\"{number}\n\"\n").as_bytes())?;
        let day = format!("day={}/hour={}", seed + number % 2, number % 3);
        outputs[2].write_to(&day, format!("{{\"number\":{number}}}\n").as_bytes())?;
        outputs[3].write_rows(format!("{number} of {run}\n").as_bytes())?;
        if number.is_multiple_of(50) {
            writeln!(rejects, "{id} of {run}").map_err(callers_error)?;
        }
    }
    writeln!(report, "{run}").map_err(callers_error)?;
    match outcome {
        "fail" => drop(transaction.fail(outputs, vec![rejects, report])?),
        _ => drop(transaction.commit(outputs, vec![rejects, report], serde_json::json!({"key": run}))?),
    }
    store.log_run(&serde_json::json!({"run": run}))
}

fn callers_error(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Output, "cannot write").caused_by(error)
}

// The process that kills.

type Bytes = BTreeMap<String, Vec<u8>>;

fn suite(every: u64, longer: Duration) {
    // In memory if possible: what is killed is the process, not the machine.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = folder.unwrap();
    let expected = Expected::new(folder.path());
    let mut kills = 0;
    let mut errors = 0;

    // At each failpoint by name: all of them are passed by some run.
    for &name in failpoint::NAMES {
        let dir = folder.path().join("named");
        assert!(is_killed_at(&expected, &dir, name), "no run comes past the failpoint {name}");
        kills += 1;
        expected.check_any(&dir);
        expected.check_end(&dir);
    }

    // At every operation on the disk, and every step between: in the first run, and in the second one, which finds
    // data.
    for (number, name) in RUNS.into_iter().enumerate() {
        for at in (1..).step_by(every as usize) {
            let dir = folder.path().join("kill");
            expected.begin(&dir, number);
            let finished = run(&dir, name, "commit", Some(&format!("*@{at}")));
            if finished.status.success() {
                println!("{name}: killed at places below {at}");
                break;
            }
            assert_eq!(finished.status.signal(), Some(9), "{finished:?}");
            kills += 1;
            expected.check_any(&dir);
            // A tenth of them again during recovery, at a sixteenth of the places.
            let crashed = folder.path().join("crashed");
            copy_dir(&dir, &crashed);
            for again in (1..).step_by(16 * every as usize).take_while(|_| (at / every).is_multiple_of(10)) {
                // Where it was, as the record of the commit tells of it.
                copy_dir(&crashed, &dir);
                let finished = run(&dir, name, "commit", Some(&format!("*@{again}")));
                if finished.status.success() {
                    break;
                }
                assert_eq!(finished.status.signal(), Some(9), "{finished:?}");
                kills += 1;
                expected.check_any(&dir);
                expected.check_end(&dir);
            }
            copy_dir(&crashed, &dir);
            expected.check_end(&dir);
        }
    }

    // An error at every operation, once and from then on.
    for action in ["eio", "enospc+", "eacces+"] {
        for at in (1..).step_by(every as usize) {
            let dir = folder.path().join("error");
            expected.begin(&dir, 1);
            let finished = run(&dir, RUNS[1], "commit", Some(&format!("*@{at}={action}")));
            if finished.status.success() {
                println!("{action}: at places below {at}");
                break;
            }
            assert_eq!(finished.status.code(), Some(5), "{finished:?}");
            errors += 1;
            expected.check_any(&dir);
            expected.check_end(&dir);
        }
    }

    // While somebody reads.
    let dir = folder.path().join("read");
    let seen = expected.read_meanwhile(&dir);
    println!("readers saw {seen} whole states");

    let start = Instant::now();
    let mut random = 88_172_645_463_325_252_u64;
    while start.elapsed() < longer {
        let dir = folder.path().join("random");
        expected.begin(&dir, 1);
        for _ in 0..8 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let finished = run(&dir, RUNS[1], "commit", Some(&format!("*@{}", 1 + random % 500)));
            if finished.status.success() {
                break;
            }
            kills += 1;
            expected.check_any(&dir);
        }
        expected.check_end(&dir);
    }
    println!("{kills} kills and {errors} errors, all clean");
}

/// Kills a run at a failpoint: one that begins, or one after a crash before or after the commit was decided.
fn is_killed_at(expected: &Expected, dir: &Path, name: &str) -> bool {
    let outcome = if name.starts_with("fail.") { "fail" } else { "commit" };
    let is_killed = |failpoint| run(dir, RUNS[1], outcome, Some(failpoint)).status.signal() == Some(9);
    for crash in [None, Some("commit.checked"), Some("commit.published")] {
        expected.begin(dir, 1);
        if crash.is_none_or(is_killed) && is_killed(name) {
            return true;
        }
    }
    false
}

fn run(dir: &Path, run: &str, outcome: &str, failpoint: Option<&str>) -> Finished {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([run, outcome]).env(CHILD, dir).env_remove(FAILPOINT);
    if let Some(failpoint) = failpoint {
        command.env(FAILPOINT, failpoint);
    }
    command.output().unwrap()
}

/// What undisturbed runs leave.
struct Expected {
    /// The directory after so many runs.
    states: Vec<PathBuf>,
    /// What a reader finds in it.
    warehouses: Vec<Bytes>,
}

impl Expected {
    fn new(folder: &Path) -> Expected {
        let mut states = vec![folder.join("expected-0")];
        std::fs::create_dir(&states[0]).unwrap();
        for (number, name) in RUNS.iter().enumerate() {
            let next = folder.join(format!("expected-{}", number + 1));
            copy_dir(&states[number], &next);
            let finished = run(&next, name, "commit", None);
            assert!(finished.status.success(), "{finished:?}");
            states.push(next);
        }
        let warehouses = states.iter().map(|state| readable(state)).collect();
        Expected { states, warehouses }
    }

    /// Puts a directory where it is after so many runs.
    fn begin(&self, dir: &Path, runs: usize) {
        copy_dir(&self.states[runs], dir);
    }

    /// Checks what a reader may see at any time: outputs that say that they are whole are so.
    fn check_any(&self, dir: &Path) {
        for spec in specs(dir) {
            let data = read_dir(&spec.path);
            let Some(success) = data.get("_SUCCESS") else { continue };
            let is_one = self.states.iter().any(|state| {
                let whole = read_dir(&state.join("warehouse").join(&spec.name));
                whole.get("_SUCCESS") == Some(success) && visible(&whole) == visible(&data)
            });
            assert!(is_one, "{} says that it is whole, and is not", spec.path.display());
        }
    }

    /// Lets all runs end, and compares every byte.
    fn check_end(&self, dir: &Path) {
        for name in RUNS {
            let finished = run(dir, name, "commit", None);
            assert!(finished.status.success(), "{finished:?}");
        }
        let (found, expected) = (readable(dir), &self.warehouses[RUNS.len()]);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (path, bytes) in &found {
            assert!(expected[path] == *bytes, "{path} differs");
        }
        // Nothing is left behind but what is to stay.
        for spec in specs(dir) {
            let mut own: Vec<String> = read_dir(&spec.path.join("_foldl")).into_keys().collect();
            // The next run that comes there removes it.
            own.retain(|name| name != ".sequence.tmp");
            assert_eq!(own, ["lock", "sequence"], "{}", spec.path.display());
        }
        let state: Vec<String> = read_dir(&dir.join("state")).into_keys().collect();
        let left = |path: &&String| !path.starts_with("failed/") && path.as_str() != "runs.jsonl";
        let state: Vec<&String> = state.iter().filter(left).collect();
        assert_eq!(state, ["commits/000001.json", "commits/000002.json", "lock"]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// Reads the outputs while the second run commits, again and again.
    fn read_meanwhile(&self, dir: &Path) -> u64 {
        let mut seen = 0;
        for _ in 0..10 {
            self.begin(dir, 1);
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let mut whole = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        for spec in specs(dir) {
                            whole += u64::from(self.read_whole(&spec));
                        }
                    }
                    whole
                });
                let finished = run(dir, RUNS[1], "commit", None);
                is_over.store(true, Ordering::Relaxed);
                assert!(finished.status.success());
                seen += reader.join().unwrap();
            });
            self.check_end(dir);
        }
        seen
    }

    /// Reads an output as readers are told to: `_SUCCESS`, the data, `_SUCCESS` again. Whether it was there, and
    /// stayed.
    fn read_whole(&self, spec: &OutputSpec) -> bool {
        let success = || std::fs::read(spec.path.join("_SUCCESS")).ok();
        let Some(before) = success() else { return false };
        let data = visible(&read_dir(&spec.path));
        if success().as_ref() != Some(&before) {
            return false;
        }
        let is_one = self.states.iter().any(|state| {
            let whole = read_dir(&state.join("warehouse").join(&spec.name));
            whole.get("_SUCCESS") == Some(&before) && visible(&whole) == data
        });
        assert!(is_one, "a reader saw a mixture in {}", spec.path.display());
        true
    }
}

/// All that is for readers: the outputs with `_SUCCESS`, the files beside them.
fn readable(dir: &Path) -> Bytes {
    let mut bytes = read_dir(dir);
    bytes.retain(|path, _| !path.starts_with("state/") && !path.contains("/_foldl/"));
    bytes
}

fn visible(bytes: &Bytes) -> Bytes {
    bytes
        .iter()
        .filter(|(path, _)| !path.starts_with(['_', '.']))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect()
}

/// The bytes of all files below a directory. What vanishes meanwhile is left out.
fn read_dir(dir: &Path) -> Bytes {
    let mut bytes = Bytes::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return bytes };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            bytes.extend(read_dir(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if let Ok(read) = std::fs::read(&path) {
            bytes.insert(name, read);
        }
    }
    bytes
}

/// Makes a directory a copy of another one.
fn copy_dir(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
}
