//! Commit records: all that a commit does, written down before it is done.
//!
//! # The files
//! `<state>/commits/` has one [sealed](super::Seal) file of kind `commit` for each commit, named after its sequence
//! number in six digits or more: `000042.pending` from the moment at which the commit is decided until all of it is
//! done, `000042.json` from then on.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use super::sealed::Seal;
use super::spec::Mode;
use crate::error::{Error, ErrorKind, Place, Result};

const SEAL: Seal = Seal { kind: "commit", version: 1 };
/// The end of the name of a record that is not applied yet.
const PENDING: &str = "pending";
/// The end of the name of a record that is applied.
const APPLIED: &str = "json";

/// What a commit made of the data, or is about to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The number of the commit. It grows from commit to commit of a state directory, and of a destination.
    pub sequence: u64,
    /// The run that was committed.
    pub run: String,
    /// When it was decided, in UTC.
    pub committed: String,
    /// The outputs.
    pub outputs: Vec<OutputRecord>,
    /// Files beside them.
    pub files: Vec<LooseRecord>,
    /// What the caller had to say. Its `key`, if it has one, is what [`Store::committed`](super::Store::committed)
    /// looks for.
    pub payload: serde_json::Value,
}

/// What a commit made of an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// The output's name.
    pub name: String,
    /// Its directory.
    pub destination: PathBuf,
    /// What became of the data that was there.
    pub mode: Mode,
    /// The number of rows that were written.
    pub rows: u64,
    /// The files and directories that were there and went away, relative to the destination.
    pub replaced: Vec<String>,
    /// The files that came.
    pub files: Vec<FileRecord>,
}

/// A file that came to an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path, relative to the destination.
    pub path: String,
    /// The path it was staged under, relative to the directory for that.
    pub staged: String,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The XXH64 of its bytes with seed 0, in hexadecimal digits: what `xxhsum -H64` prints.
    pub xxh64: String,
}

/// A file beside the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LooseRecord {
    /// Its path.
    pub path: PathBuf,
    /// The path it was staged under.
    pub staged: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The XXH64 of its bytes.
    pub xxh64: String,
}

impl Record {
    /// What the payload has as its `key`.
    pub fn key(&self) -> Option<&str> {
        self.payload.get("key")?.as_str()
    }

    /// Reads a record, whatever its file says about being applied.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it cannot be read, is damaged, is something else, or would lead out of a destination.
    pub fn read(path: &Path) -> Result<Record> {
        let Some(bytes) = disk::read(path)? else {
            let gone = Error::new(ErrorKind::Input, "the commit record is gone");
            return Err(gone.at(Place::File(path.to_owned())));
        };
        Record::from_bytes(&bytes, path)
    }

    fn from_bytes(bytes: &[u8], path: &Path) -> Result<Record> {
        let record: Record = SEAL.open(bytes, path)?;
        let paths = record.outputs.iter().flat_map(|output| {
            let files = output.files.iter().flat_map(|file| [&file.path, &file.staged]);
            output.replaced.iter().chain(files)
        });
        for relative in paths {
            if !is_below(relative) {
                let message = format!("the commit record names {relative:?}, which is not within its destination");
                return Err(Error::new(ErrorKind::Input, message).at(Place::File(path.to_owned())));
            }
        }
        Ok(record)
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        SEAL.seal(self)
    }
}

/// Whether a relative path leads to something below where it starts.
fn is_below(relative: &str) -> bool {
    !relative.is_empty() && Path::new(relative).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The commit records of a state directory.
#[derive(Clone, Debug)]
pub(super) struct Records {
    dir: PathBuf,
}

impl Records {
    pub(super) fn of(state: &Path) -> Records {
        Records { dir: state.join("commits") }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn pending_path(&self, sequence: u64) -> PathBuf {
        self.dir.join(format!("{sequence:06}.{PENDING}"))
    }

    pub(super) fn applied_path(&self, sequence: u64) -> PathBuf {
        self.dir.join(format!("{sequence:06}.{APPLIED}"))
    }

    /// The sequence numbers of all records, and whether each is applied, in order.
    pub(super) fn list(&self) -> Result<Vec<(u64, bool)>> {
        let mut list = Vec::new();
        for name in disk::names(&self.dir)? {
            let Some((number, end)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
            let (Ok(number), true) = (number.parse(), end == PENDING || end == APPLIED) else { continue };
            list.push((number, end == APPLIED));
        }
        list.sort_unstable();
        Ok(list)
    }

    /// The number of the last record, 0 if there is none.
    pub(super) fn last(&self) -> Result<u64> {
        Ok(self.list()?.last().map_or(0, |&(sequence, _)| sequence))
    }

    /// The applied record of the highest number whose payload has this key.
    pub(super) fn with_key(&self, key: &str) -> Result<Option<Record>> {
        // Records may be long and many; only those that have the text of the key somewhere are parsed.
        let text = serde_json::to_string(key)
            .map_err(|error| Error::new(ErrorKind::Internal, "a key is not JSON").caused_by(error))?;
        let finder = memchr::memmem::Finder::new(text.as_bytes());
        for (sequence, is_applied) in self.list()?.into_iter().rev() {
            let path = if is_applied { self.applied_path(sequence) } else { self.pending_path(sequence) };
            let bytes = disk::read(&path)?.unwrap_or_default();
            SEAL.check(&bytes, &path)?;
            if finder.find(&bytes).is_none() {
                continue;
            }
            let record = Record::from_bytes(&bytes, &path)?;
            if record.key() == Some(key) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let file = |path: &str| FileRecord {
            path: path.to_owned(),
            staged: "a=1/00000.jsonl".to_owned(),
            rows: 3,
            bytes: 24,
            xxh64: "0123456789abcdef".to_owned(),
        };
        Record {
            sequence: 7,
            run: "r-1".to_owned(),
            committed: "2026-02-01T02:00:00Z".to_owned(),
            outputs: vec![OutputRecord {
                name: "orders".to_owned(),
                destination: "/warehouse/orders".into(),
                mode: Mode::Overwrite,
                rows: 3,
                replaced: vec!["a=0".to_owned()],
                files: vec![file("a=1/part-000007-00000.jsonl")],
            }],
            files: vec![LooseRecord {
                path: "/rejects.jsonl".into(),
                staged: "/.foldl".into(),
                bytes: 0,
                xxh64: String::new(),
            }],
            payload: serde_json::json!({"key": "abc", "job": "daily", "rate": 0.1}),
        }
    }

    #[test]
    fn damage_of_any_byte_and_any_length_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000007.json");
        let bytes = record().bytes().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Record::read(&path).unwrap(), record());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert_eq!(Record::from_bytes(&damaged, &path).unwrap_err().kind(), ErrorKind::Input, "{at}");
            damaged[at] = b'"';
            assert!(damaged == bytes || Record::from_bytes(&damaged, &path).is_err(), "{at}");
            assert!(Record::from_bytes(&bytes[..at], &path).is_err(), "{at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Record::read(&path).unwrap_err().to_string().contains("gone"));
    }

    #[test]
    fn a_record_never_leads_out_of_its_destination() {
        for path in ["../x", "/etc/passwd", "a/../../x", "", "a/.."] {
            let mut record = record();
            record.outputs[0].replaced = vec![path.to_owned()];
            let error = Record::from_bytes(&record.bytes().unwrap(), Path::new("r")).unwrap_err();
            assert!(error.to_string().contains("not within"), "{error}");
        }
    }

    #[test]
    fn the_last_one_with_a_key_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::of(folder.path());
        assert_eq!((records.last().unwrap(), records.with_key("abc").unwrap()), (0, None));
        std::fs::create_dir(records.dir()).unwrap();
        for (sequence, key) in [(7, "abc"), (8, "d\"é"), (9, "abc"), (1_000_000, "e")] {
            let mut record = record();
            record.sequence = sequence;
            record.payload["key"] = key.into();
            std::fs::write(records.applied_path(sequence), record.bytes().unwrap()).unwrap();
        }
        std::fs::write(records.dir().join("other.txt"), b"x").unwrap();
        assert_eq!(records.with_key("abc").unwrap().unwrap().sequence, 9);
        assert_eq!(records.with_key("d\"é").unwrap().unwrap().sequence, 8);
        assert_eq!(records.with_key("daily").unwrap(), None);
        assert_eq!(records.last().unwrap(), 1_000_000);
        std::fs::write(records.applied_path(8), b"{").unwrap();
        assert!(records.with_key("none").is_err());
    }
}
