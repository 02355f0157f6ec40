//! Incremental jobs: what the last commit had read, and what is new since.
//!
//! Beside its outputs a commit of an incremental job leaves, in `<state>/increments/<run>/`, the groups and sorted rows
//! of its queries ([`PassEnd`]) and what it has read of each file. The record of the commit names the directory, so that
//! it is the one of the data that is there, whatever else lies beside it.
//!
//! Files are known by their paths, and read from where the last commit had read to. That they are the same up to there is
//! told by length and time of modification, and where these are others by a [fingerprint](fingerprint).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file::hex;
use super::inputs::InputFile;
use super::store::{Seal, write_atomically};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::exec::{Keeping, PassEnd};
use crate::input::{FilePart, InputFormat, Source, is_plain_lines};

/// What the state files begin with.
const SEAL: Seal = Seal { kind: "increment", version: 1 };
/// The name of the state file in its directory.
const STATE: &str = "state";
/// How far apart the ranks of files are that come one after the other, so that others find room between them.
const GAP: u32 = 1 << 12;
/// What is looked at of a file for its fingerprint: this much at its start and end, and pieces of this size between.
const ENDS: u64 = 64 << 10;
const PIECES: u64 = 16;
const PIECE: u64 = 4 << 10;
/// The bytes that are read at a time where the end of the last line is searched.
const STEP: u64 = 64 << 10;

/// What a commit leaves for the next run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Increment {
    /// The version of the program.
    program: String,
    /// What tells the job from others.
    job: String,
    /// What was read of the files of each source.
    sources: BTreeMap<String, Vec<SeenFile>>,
    /// The files that records were joined with.
    lookups: Vec<(String, Vec<InputFile>)>,
    /// Groups and sorted rows.
    pass: PassEnd,
}

/// A file, as far as it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SeenFile {
    file: InputFile,
    /// Where reading ended, which is before the end where a last line was being written.
    end: u64,
    /// The lines up to there.
    lines: u64,
    /// What the order of files goes by.
    rank: u32,
    /// Of the bytes up to there.
    fingerprint: String,
}

/// What a run is to read.
#[derive(Debug)]
pub(super) struct Plan {
    /// For each source its files with new bytes, and these.
    pub(super) parts: BTreeMap<String, Vec<(Source, FilePart)>>,
    /// What an earlier commit left, if the run goes on from that, and its directory.
    pub(super) before: Option<(PathBuf, Increment)>,
    /// The commits since all was read anew: none if it is again.
    pub(super) commits: Vec<u64>,
    /// Earlier commits whose files in outputs are replaced.
    pub(super) replaces: Vec<u64>,
    /// What will have been read.
    sources: BTreeMap<String, Vec<SeenFile>>,
    lookups: Vec<(String, Vec<InputFile>)>,
    /// What is worth telling.
    pub(super) notes: Vec<String>,
}

/// What the last commit has left.
#[derive(Clone, Debug)]
pub(super) struct Last {
    /// The directory.
    pub(super) dir: PathBuf,
    /// The commits since all was read anew, the last one included.
    pub(super) commits: Vec<u64>,
}

/// What a job has to do with its inputs.
pub(super) struct Inputs<'a> {
    /// What tells the job from others.
    pub(super) job: &'a str,
    /// The sources that are read record by record, with the format that is said of them.
    pub(super) read: BTreeMap<String, Option<InputFormat>>,
    /// All files of those.
    pub(super) sources: Vec<(String, Vec<InputFile>)>,
    /// The files that records are joined with.
    pub(super) lookups: Vec<(String, Vec<InputFile>)>,
    /// The most bytes of a line.
    pub(super) max_line: usize,
}

/// Why a run cannot go on from the last commit.
enum Obstacle {
    /// It has to begin anew, and may.
    Anew(String),
    /// An input is not what it was.
    Changed(PathBuf, String),
    /// It cannot be found out.
    Failed(Error),
}

impl Plan {
    /// Decides what is to be read. `anew` says that all is, and `may_rebuild` that it may be if an input has changed.
    pub(super) fn new(last: Option<Last>, inputs: Inputs<'_>, anew: bool, may_rebuild: bool) -> Result<Plan> {
        let Some(Last { dir, commits }) = last else { return Plan::anew(&inputs) };
        let why = match Increment::read(&dir) {
            _ if anew => "--again says so".to_owned(),
            Err(error) if may_rebuild => error.to_string(),
            Err(error) => return Err(error.hint("start over with --again")),
            Ok(increment) => match increment.go_on(&inputs) {
                Ok((parts, sources)) => {
                    let mut plan = Plan { parts, sources, commits, ..Plan::nothing(inputs.lookups) };
                    plan.notes.extend(plan.told());
                    plan.before = Some((dir, increment));
                    return Ok(plan);
                }
                Err(Obstacle::Failed(error)) => return Err(error),
                Err(Obstacle::Anew(why)) => why,
                Err(Obstacle::Changed(path, what)) if may_rebuild => format!("{} {what}", path.display()),
                Err(Obstacle::Changed(path, what)) => {
                    let message = format!("the file {what}, and the job has read it before");
                    return Err(Error::new(ErrorKind::Input, message).at(Place::File(path)).hint(
                        "put it back as it was, or let all input be read anew: with --again, \
                         or always with `on_changed = \"rebuild\"` in [run]",
                    ));
                }
            },
        };
        let mut plan = Plan { replaces: commits, ..Plan::anew(&inputs)? };
        plan.notes.push(format!("read all input anew: {why}"));
        Ok(plan)
    }

    fn nothing(lookups: Vec<(String, Vec<InputFile>)>) -> Plan {
        Plan {
            parts: BTreeMap::new(),
            before: None,
            commits: Vec::new(),
            replaces: Vec::new(),
            sources: BTreeMap::new(),
            lookups,
            notes: Vec::new(),
        }
    }

    /// All of the input.
    fn anew(inputs: &Inputs<'_>) -> Result<Plan> {
        let mut plan = Plan::nothing(inputs.lookups.clone());
        for (name, files) in &inputs.sources {
            let files: Vec<(&InputFile, Option<&SeenFile>)> = files.iter().map(|file| (file, None)).collect();
            let (parts, seen) = read_files(&files, inputs.read.get(name).copied().flatten(), inputs.max_line)
                .map_err(Obstacle::into_error)?;
            plan.parts.insert(name.clone(), parts);
            plan.sources.insert(name.clone(), seen);
        }
        Ok(plan)
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_some() && self.parts.values().all(Vec::is_empty)
    }

    /// How many bytes of a file are new; `None` if the source is not read by records.
    pub(super) fn new_bytes(&self, source: &str, path: &str) -> Option<u64> {
        let part = self
            .parts
            .get(source)?
            .iter()
            .find(|(file, _)| matches!(file, Source::File(file) if file == Path::new(path)));
        Some(part.map_or(0, |(_, part)| part.end - part.start))
    }

    /// What is read and what is not.
    fn told(&self) -> Option<String> {
        let all: usize = self.sources.values().map(Vec::len).sum();
        let read: usize = self.parts.values().map(Vec::len).sum();
        let grown = self.parts.values().flatten().filter(|(_, part)| part.start > 0).count();
        let since = self.commits.last()?;
        let files = |count: usize| format!("{count} {}", if count == 1 { "file" } else { "files" });
        (read > 0).then(|| {
            format!(
                "read what is new since commit {since}: {} new, {grown} grown, {} as before",
                files(read - grown),
                all - read
            )
        })
    }

    /// How the pass keeps what the next run goes on from, in a directory that is there.
    pub(super) fn keeping(&self, dir: &Path) -> Keeping {
        let before = self.before.as_ref().map(|(dir, increment)| (dir.clone(), increment.pass.clone()));
        Keeping { dir: dir.to_owned(), before }
    }

    /// Writes down what the next run goes on from.
    pub(super) fn write(&self, dir: &Path, job: &str, pass: PassEnd) -> Result<()> {
        let mut sources = self.sources.clone();
        for (name, files) in &mut sources {
            for file in files {
                file.lines = pass.lines(name, &file.file.path).unwrap_or(file.lines);
            }
        }
        let increment = Increment {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            job: job.to_owned(),
            sources,
            lookups: self.lookups.clone(),
            pass,
        };
        write_atomically(&dir.join(STATE), &SEAL.seal(&increment)?)
    }
}

impl Increment {
    fn read(dir: &Path) -> Result<Increment> {
        let path = dir.join(STATE);
        let bytes = std::fs::read(&path).map_err(|error| {
            Error::new(ErrorKind::Input, "cannot read what the last commit has left")
                .at(Place::File(path.clone()))
                .caused_by(error)
        })?;
        SEAL.open(&bytes, &path)
    }

    /// What is new in the inputs.
    #[expect(clippy::type_complexity, reason = "they are parts of a plan")]
    fn go_on(
        &self,
        inputs: &Inputs<'_>,
    ) -> Result<(BTreeMap<String, Vec<(Source, FilePart)>>, BTreeMap<String, Vec<SeenFile>>), Obstacle> {
        let (mut parts, mut sources) = (BTreeMap::new(), BTreeMap::new());
        let anew = |why: &str| Err(Obstacle::Anew(why.to_owned()));
        if self.job != inputs.job {
            return anew("the job or its variables are others now");
        }
        if self.program != env!("CARGO_PKG_VERSION") {
            return anew("another version of foldl wrote what is there");
        }
        for (name, files) in &inputs.sources {
            let seen = self.sources.get(name).map_or(&[][..], Vec::as_slice);
            let known: BTreeMap<&str, &SeenFile> = seen.iter().map(|file| (file.file.path.as_str(), file)).collect();
            let there: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            if let Some(gone) = seen.iter().find(|file| !there.contains(file.file.path.as_str())) {
                return Err(Obstacle::Changed(PathBuf::from(&gone.file.path), "is gone".to_owned()));
            }
            let files: Vec<(&InputFile, Option<&SeenFile>)> =
                files.iter().map(|file| (file, known.get(file.path.as_str()).copied())).collect();
            let (new, seen) = read_files(&files, inputs.read.get(name).copied().flatten(), inputs.max_line)?;
            parts.insert(name.clone(), new);
            sources.insert(name.clone(), seen);
        }
        for ((name, before), (now_name, now)) in self.lookups.iter().zip(&inputs.lookups) {
            if name != now_name || before != now {
                return anew(&format!("{now_name}, which records are joined with, has changed"));
            }
        }
        Ok((parts, sources))
    }
}

impl Obstacle {
    fn into_error(self) -> Error {
        match self {
            Obstacle::Failed(error) => error,
            Obstacle::Anew(why) => Error::new(ErrorKind::Input, why),
            Obstacle::Changed(path, what) => {
                Error::new(ErrorKind::Input, format!("the file {what}")).at(Place::File(path))
            }
        }
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Obstacle {
        Obstacle::Failed(error)
    }
}

/// What is to be read of the files of a source, and what will have been.
#[expect(clippy::type_complexity, reason = "they are parts of a plan")]
fn read_files(
    files: &[(&InputFile, Option<&SeenFile>)],
    format: Option<InputFormat>,
    max_line: usize,
) -> Result<(Vec<(Source, FilePart)>, Vec<SeenFile>), Obstacle> {
    let ranks = ranks(files)?;
    let (mut parts, mut all) = (Vec::new(), Vec::new());
    for (&(file, seen), rank) in files.iter().zip(ranks) {
        let path = Path::new(&file.path);
        if let Some(seen) = seen
            && seen.file == *file
        {
            all.push(seen.clone());
            continue;
        }
        let changed = |what: &str| Obstacle::Changed(path.to_owned(), what.to_owned());
        let can_grow = is_plain_lines(path, format)?;
        let (mut start, mut lines) = (0, 0);
        if let Some(seen) = seen {
            (start, lines) = (seen.end, seen.lines);
            match file.len.cmp(&seen.file.len) {
                std::cmp::Ordering::Less => return Err(changed("is shorter than it was")),
                std::cmp::Ordering::Equal => return Err(changed("has been written again, and is as long as it was")),
                std::cmp::Ordering::Greater if !can_grow => {
                    return Err(changed("has grown, which only JSON Lines can that are not compressed"));
                }
                std::cmp::Ordering::Greater => {}
            }
            if fingerprint(path, seen.end)? != seen.fingerprint {
                return Err(changed("does not begin with what was in it"));
            }
            match around(path, start)? {
                None | Some([b'\n', _]) => {}
                // The end of the last line that was read comes only now: it is counted with what follows.
                Some([_, b'\n' | b'\r']) => lines -= lines.min(1),
                Some(_) => return Err(changed("goes on in a line that had no end")),
            }
        }
        let end = if can_grow { end_of_lines(path, start, file.len, max_line)? } else { file.len };
        if end > start {
            parts.push((Source::File(path.to_owned()), FilePart { start, lines, end, rank }));
        }
        all.push(SeenFile { file: file.clone(), end, lines, rank, fingerprint: fingerprint(path, end)? });
    }
    Ok((parts, all))
}

/// Ranks for files in their order; those that have been read keep theirs.
fn ranks(files: &[(&InputFile, Option<&SeenFile>)]) -> Result<Vec<u32>, Obstacle> {
    let no_room = || Obstacle::Anew("files have come between others too often, or are in another order".to_owned());
    let mut ranks = Vec::with_capacity(files.len());
    let mut rest = files;
    while !rest.is_empty() {
        let new = rest.iter().position(|(_, seen)| seen.is_some()).unwrap_or(rest.len());
        let next = rest.get(new).and_then(|(_, seen)| seen.map(|seen| seen.rank));
        let last: Option<u32> = ranks.last().copied();
        // The first of those that are free, and the one after the last of these.
        let low = last.map_or(0, |last| u64::from(last) + 1);
        let high = next.map_or(u64::from(u32::MAX), u64::from);
        if high < low + new as u64 {
            return Err(no_room());
        }
        let step = ((high - low) / (new as u64 + 1)).clamp(1, u64::from(GAP));
        ranks.extend((0..new as u64).map(|number| (low + number * step + step - 1) as u32));
        ranks.extend(next);
        rest = rest.get(new + 1..).unwrap_or_default();
    }
    Ok(ranks)
}

/// The SHA-256 of pieces of the first `end` bytes of a file: of its start and its end, and of some between.
fn fingerprint(path: &Path, end: u64) -> Result<String> {
    let file = open(path)?;
    let mut digest = Sha256::new();
    digest.update(end.to_le_bytes());
    let mut take = |from: u64, len: u64| -> Result<()> {
        digest.update(read(&file, path, from, from + len)?);
        Ok(())
    };
    if end <= 2 * ENDS {
        take(0, end)?;
    } else {
        take(0, ENDS)?;
        take(end - ENDS, ENDS)?;
        for piece in 1..PIECES {
            take((end - PIECE) / PIECES * piece, PIECE)?;
        }
    }
    Ok(hex(&digest.finalize()))
}

/// The byte before a place of a file and the one there; `None` at its start.
fn around(path: &Path, at: u64) -> Result<Option<[u8; 2]>> {
    if at == 0 {
        return Ok(None);
    }
    let mut bytes = [0; 2];
    open(path)?.read_exact_at(&mut bytes, at - 1).map_err(|error| unreadable(path, error))?;
    Ok(Some(bytes))
}

/// Where the lines of a file end that are complete. A last line without an end is, if it is a whole record that is not longer
/// than `max_line`; else it may be one that is being written.
fn end_of_lines(path: &Path, start: u64, len: u64, max_line: usize) -> Result<u64> {
    let file = open(path)?;
    let mut last = len;
    while last > start {
        let from = last.saturating_sub(STEP).max(start);
        let bytes = read(&file, path, from, last)?;
        if let Some(newline) = memchr::memrchr(b'\n', &bytes) {
            last = from + newline as u64 + 1;
            break;
        }
        last = from;
    }
    if len - last > max_line as u64 {
        return Ok(last);
    }
    let line = read(&file, path, last, len)?;
    let is_whole = line.iter().all(u8::is_ascii_whitespace)
        || line.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok();
    Ok(if is_whole { len } else { last })
}

/// The bytes of a file from one place to another.
fn read(file: &File, path: &Path, from: u64, to: u64) -> Result<Vec<u8>> {
    let len = usize::try_from(to - from).map_err(|_| unreadable(path, std::io::ErrorKind::FileTooLarge.into()))?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, from).map_err(|error| unreadable(path, error))?;
    Ok(bytes)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Input, "cannot be read").at(Place::File(path.to_owned())).caused_by(error)
}
