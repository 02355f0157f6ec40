//! The tables of a job file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::str::FromStr;

use serde::de;
use serde::{Deserialize, Serialize};

use super::store::{Mode, RowFormat};
use crate::exec::{MaxErrors, OnError};
use crate::input::InputFormat;
use crate::output::{Compression, Format};
use crate::quality::as_text;
use crate::quality::{Age, Check, Column, ValueType};
use crate::units;

/// All that a job file says, its variables replaced. Paths are as they are written: see
/// [`JobFile::resolve`](super::file::JobFile::resolve).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// The name of the job; by default the file's without its ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Read before everything else.
    #[serde(default, rename = "vars", skip_serializing)]
    _vars: de::IgnoredAny,
    /// `[run]`
    #[serde(default)]
    pub run: RunTable,
    /// `[sources]`, by name.
    #[serde(default)]
    pub sources: BTreeMap<String, Source>,
    /// `[views]`: queries by name.
    #[serde(default)]
    pub views: BTreeMap<String, String>,
    /// `[[checks]]`
    #[serde(default)]
    pub checks: Vec<Check>,
    /// `[[outputs]]`
    #[serde(default)]
    pub outputs: Vec<Output>,
}

/// `[run]`: how a job runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunTable {
    /// The directory of locks, checkpoints, the log of commits, partials and reports. By default `.foldl/` and the name of
    /// the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// How often a checkpoint is written; never if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Only input that is new since the last committed run is read, and merged.
    pub incremental: bool,
    /// What to do if an input that was read before has changed or shrunk.
    pub on_changed: OnChanged,
    /// The time zone of `today` and `yesterday`; UTC if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// A value of a wrong type ends the run: `--strict`.
    pub strict: bool,
    /// The most threads: `--threads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroU32>,
    /// The most memory: `--memory-limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Memory>,
    /// The directory for what does not fit into memory: `--temp-dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_dir: Option<String>,
    /// The most that is taken there: `--temp-limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_limit: Option<Size>,
    /// The longest line: `--max-line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_line: Option<Size>,
    /// The deepest nesting: `--max-depth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<NonZeroU32>,
}

/// When a checkpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// After so much time: `"30s"`.
    Every(Age),
    /// After so many bytes of input: `"4GiB"`.
    Bytes(u64),
}

/// What to do if an input that was read before has changed or shrunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChanged {
    /// End with an error that names it.
    #[default]
    Error,
    /// Read everything anew.
    Rebuild,
}

/// `[sources.NAME]`: the files of one kind of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Files and globs.
    pub files: Vec<String>,
    /// The format; by default the names of the files tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SourceFormat>,
    /// Whether the first row of CSV and TSV names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// What to do with a line that is no valid record.
    #[serde(default)]
    pub on_error: OnErrorValue,
    /// How many rejected lines end the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<MaxErrorsValue>,
    /// The file to which rejected lines are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<String>,
    /// Columns that have to be of a type; records in which they are not are rejected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schema: BTreeMap<Column, SchemaType>,
}

fn yes() -> bool {
    true
}

/// The format of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceFormat {
    /// One JSON value on each line.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// A JSON array of records.
    Json,
}

impl From<SourceFormat> for InputFormat {
    fn from(format: SourceFormat) -> InputFormat {
        match format {
            SourceFormat::Jsonl => InputFormat::Jsonl,
            SourceFormat::Csv => InputFormat::Csv,
            SourceFormat::Tsv => InputFormat::Tsv,
            SourceFormat::Json => InputFormat::Json,
        }
    }
}

/// What to do with a line that is no valid record: `skip` or `fail`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnErrorValue {
    /// Leave it out and count it.
    #[default]
    Skip,
    /// End the run.
    Fail,
}

impl From<OnErrorValue> for OnError {
    fn from(on_error: OnErrorValue) -> OnError {
        match on_error {
            OnErrorValue::Skip => OnError::Skip,
            OnErrorValue::Fail => OnError::Fail,
        }
    }
}

/// `[[outputs]]`: a query, and the directory that its rows are written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The name, in messages and in counts.
    pub name: String,
    /// The query over sources and views.
    pub query: String,
    /// The directory.
    pub path: String,
    /// Columns that make directories `column=value`, and are left out of the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// What becomes of what is there already.
    #[serde(default)]
    pub mode: Mode,
    /// The format of the files; if it is not given, the name of the directory tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RowFormat>,
    /// The compression of the files; if it is not given, the name of the directory tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The number of files, in each partition; as many as there is reason for if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<NonZeroU32>,
    /// The most bytes of a file, before it is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<Size>,
}

impl Output {
    /// The format of the files: what is said, or what the name of the directory ends with (`top.csv`, `top.csv.gz`).
    pub fn format(&self) -> RowFormat {
        let name = Path::new(&self.path);
        let inner = if Compression::of_path(name) == Compression::None {
            name
        } else {
            Path::new(name.file_stem().unwrap_or_default())
        };
        let told = match inner.extension().and_then(OsStr::to_str) {
            Some("csv") => RowFormat::Csv,
            Some("tsv") => RowFormat::Tsv,
            _ => RowFormat::Jsonl,
        };
        self.format.unwrap_or(told)
    }

    /// The compression of the files: what is said, or what the name of the directory ends with.
    pub fn compression(&self) -> Compression {
        self.compression.unwrap_or_else(|| Compression::of_path(Path::new(&self.path)))
    }
}

impl From<RowFormat> for Format {
    fn from(format: RowFormat) -> Format {
        match format {
            RowFormat::Jsonl => Format::Jsonl,
            RowFormat::Csv => Format::Csv,
            RowFormat::Tsv => Format::Tsv,
        }
    }
}

/// A type, and whether NULL is of it: `"int"`, `"string not null"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaType {
    /// The type.
    pub is: ValueType,
    /// Whether the column may not be NULL or missing.
    pub not_null: bool,
}

impl SchemaType {
    /// A condition of SQL that is true for the records in which a column is not as the schema says.
    pub fn failing(self, column: &Column) -> String {
        match self.not_null {
            true => format!("({} is null or {})", column.sql(), self.is.failing(column)),
            false => self.is.failing(column),
        }
    }
}

impl FromStr for SchemaType {
    type Err = String;

    fn from_str(text: &str) -> Result<SchemaType, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (name, not_null) = match words.as_slice() {
            [name] => (name, false),
            [name, "not", "null"] => (name, true),
            _ => return Err(format!("`{text}` is no type such as \"int\" or \"string not null\"")),
        };
        Ok(SchemaType { is: name.parse()?, not_null })
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.is, if self.not_null { " not null" } else { "" })
    }
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Checkpoint, String> {
        if let Ok(age) = text.parse::<Age>() {
            return match age.0.as_secs() {
                0 => Err("a checkpoint after no time is none".to_owned()),
                _ => Ok(Checkpoint::Every(age)),
            };
        }
        match units::parse_size(text) {
            Ok(0) => Err("a checkpoint after no bytes is none".to_owned()),
            // A number without a unit may be meant as seconds.
            Ok(bytes) if !text.trim().bytes().all(|byte| byte.is_ascii_digit()) => Ok(Checkpoint::Bytes(bytes as u64)),
            _ => Err(format!("`{text}` is neither a length of time such as 30s nor a size such as 4GiB")),
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checkpoint::Every(age) => age.fmt(f),
            Checkpoint::Bytes(bytes) => write!(f, "{bytes}B"),
        }
    }
}

/// A number of bytes: `134217728` or `"128MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub NonZeroU64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let bytes = units::parse_size(text)? as u64;
        NonZeroU64::new(bytes).map(Size).ok_or_else(|| "a size is at least one byte".to_owned())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A limit of memory, from 32 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub usize);

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Memory, String> {
        units::parse_memory(text).map(Memory)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of rejected lines, or a share of all lines: `10`, `"1%"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxErrorsValue(pub MaxErrors);

impl FromStr for MaxErrorsValue {
    type Err = String;

    fn from_str(text: &str) -> Result<MaxErrorsValue, String> {
        units::parse_max_errors(text).map(MaxErrorsValue)
    }
}

impl fmt::Display for MaxErrorsValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            MaxErrors::Count(count) => count.fmt(f),
            MaxErrors::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

as_text!(
    numbers: true;
    SchemaType: "a type such as \"int\" or \"string not null\"",
    Checkpoint: "a length of time such as \"30s\", or a size such as \"4GiB\"",
    Size: "a size such as \"128MiB\"",
    Memory: "a size such as \"512MiB\"",
    MaxErrorsValue: "a whole number, or a percentage such as \"1%\""
);
