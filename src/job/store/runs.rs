//! The run log: `<state>/runs.jsonl`, one line for each run, of whatever the caller has to say.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::disk;
use crate::error::{Error, ErrorKind, Place, Result};

/// How much of the end of the log is read at first.
const TAIL: u64 = 64 << 10;

fn path(state: &Path) -> PathBuf {
    state.join("runs.jsonl")
}

/// Appends a line, down to the disk.
pub(super) fn append(state: &Path, run: &impl Serialize) -> Result<()> {
    let path = path(state);
    let mut line = serde_json::to_vec(run)
        .map_err(|error| Error::new(ErrorKind::Output, "a run cannot be written as JSON").caused_by(error))?;
    line.push(b'\n');
    let fail = |error| disk::failed("open", &path, error);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
    let len = file.metadata().map_err(fail)?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1).map_err(fail)?;
    }
    if last != *b"\n" {
        // The line that a process died in must not spoil this one.
        line.insert(0, b'\n');
    }
    disk::write_at(&file, &path, &line, len)?;
    disk::sync(&file, &path)?;
    if len == 0 {
        disk::sync_dir(state)?;
    }
    Ok(())
}

/// The last `count` runs, the oldest first. What is no JSON, as a line that a process died in, is left out.
pub(super) fn last(state: &Path, count: usize) -> Result<Vec<serde_json::Value>> {
    let path = path(state);
    let fail = |error| Error::new(ErrorKind::Input, "cannot read").at(Place::File(path.clone())).caused_by(error);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(fail)?,
    };
    let len = file.metadata().map_err(fail)?.len();
    let mut wanted = TAIL;
    loop {
        let start = len.saturating_sub(wanted);
        let mut text = vec![0; (len - start) as usize];
        file.read_exact_at(&mut text, start).map_err(fail)?;
        let mut lines = text.split(|&byte| byte == b'\n');
        if start > 0 {
            // The end of a line.
            lines.next();
        }
        let mut runs: Vec<serde_json::Value> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        if runs.len() >= count || start == 0 {
            runs.drain(..runs.len().saturating_sub(count));
            return Ok(runs);
        }
        wanted *= 4;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    #[test]
    fn torn_lines_spoil_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last(folder.path(), 3).unwrap(), Vec::<serde_json::Value>::new());
        append(folder.path(), &json!({"run": 1})).unwrap();
        append(folder.path(), &json!({"run": 2})).unwrap();
        let mut file = OpenOptions::new().append(true).open(path(folder.path())).unwrap();
        file.write_all(b"{\"run\": 3, \"outc").unwrap();
        assert_eq!(last(folder.path(), 3).unwrap(), [json!({"run": 1}), json!({"run": 2})]);
        append(folder.path(), &json!({"run": 4})).unwrap();
        assert_eq!(last(folder.path(), 2).unwrap(), [json!({"run": 2}), json!({"run": 4})]);
        assert_eq!(last(folder.path(), 0).unwrap(), Vec::<serde_json::Value>::new());
    }

    #[test]
    fn the_last_ones_of_a_long_log() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..300).map(|run| format!("{}\n", json!({"run": run, "x": "y".repeat(2000)}))).collect();
        std::fs::write(path(folder.path()), lines).unwrap();
        for count in [1, 20, 250, 300, 1000] {
            let runs = last(folder.path(), count).unwrap();
            assert_eq!(runs.len(), count.min(300));
            assert_eq!(runs[0]["run"], 300 - count.min(300));
            assert_eq!(runs[runs.len() - 1]["run"], 299);
        }
    }
}
