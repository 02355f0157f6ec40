//! What an output is to be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::output::Compression;

/// What an output is to be: a directory, and how rows become files in it.
///
/// ```
/// use foldl::job::store::{Compression, Mode, OutputSpec};
///
/// let spec = OutputSpec {
///     partition_by: vec!["country".to_owned()],
///     mode: Mode::Append,
///     compression: Compression::Zstd,
///     ..OutputSpec::new("orders", "warehouse/orders")
/// };
/// assert_eq!(spec.buffer_bytes, 64 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Its name, which no other output of the run has. For messages and the commit record.
    pub name: String,
    /// The directory, the *destination*.
    pub path: PathBuf,
    /// What becomes of the data that is there.
    pub mode: Mode,
    /// Of data that stays the files, relative to the directory, that go away all the same, where they are still there.
    pub replaces: Vec<String>,
    /// The columns whose values name the directories that rows go to; none for no such directories.
    pub partition_by: Vec<String>,
    /// How rows are written.
    pub format: RowFormat,
    /// How files are compressed.
    pub compression: Compression,
    /// How the rows of a partition are split into files.
    pub split: Split,
    /// What every file begins with, as the names of CSV.
    pub header: Vec<u8>,
    /// The most bytes that are buffered for all partitions together, beside one chunk (of at most 1 MiB, unless a row
    /// is longer) and its compressed form.
    pub buffer_bytes: usize,
    /// The most partitions that there may be.
    pub max_partitions: usize,
}

impl OutputSpec {
    /// JSON Lines in one file without compression, in place of what is there.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> OutputSpec {
        OutputSpec {
            name: name.into(),
            path: path.into(),
            mode: Mode::Overwrite,
            replaces: Vec::new(),
            partition_by: Vec::new(),
            format: RowFormat::Jsonl,
            compression: Compression::None,
            split: Split::Files(1),
            header: Vec::new(),
            buffer_bytes: 64 << 20,
            max_partitions: 100_000,
        }
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Usage, message));
        let name = &self.name;
        if self.mode == Mode::OverwritePartitions && self.partition_by.is_empty() {
            return wrong(format!("output {name}: mode overwrite_partitions needs partition_by"));
        }
        match self.split {
            Split::Files(0) => return wrong(format!("output {name}: files must be at least 1")),
            Split::MaxBytes(0) => return wrong(format!("output {name}: max_file_size must be at least 1 byte")),
            _ => {}
        }
        for (number, column) in self.partition_by.iter().enumerate() {
            if column.is_empty() {
                return wrong(format!("output {name}: a column of partition_by has no name"));
            }
            if self.partition_by[..number].contains(column) {
                return wrong(format!("output {name}: partition_by names {column} twice"));
            }
        }
        Ok(())
    }

    /// The end of the names of files.
    pub(super) fn extension(&self) -> String {
        let format = match self.format {
            RowFormat::Jsonl => "jsonl",
            RowFormat::Csv => "csv",
            RowFormat::Tsv => "tsv",
        };
        match self.compression.extension() {
            None => format.to_owned(),
            Some(packed) => format!("{format}.{packed}"),
        }
    }
}

/// What becomes of the data that is at the destination.
///
/// Data is everything whose name does not begin with `.`, or with `_` unless it has a `=` in it, as Spark has it; the
/// rest is never touched, save `_SUCCESS` and `_foldl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All of it is replaced, whoever wrote it.
    #[default]
    Overwrite,
    /// It stays, and new files come to it.
    Append,
    /// The partitions that get rows are replaced, with everything in their directories; the others stay.
    OverwritePartitions,
    /// There must be none.
    Create,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// A row is a line.
    #[default]
    Jsonl,
    /// A row ends with a newline that is not within quotes.
    Csv,
    /// As [`Csv`](RowFormat::Csv).
    Tsv,
}

impl RowFormat {
    /// Whether a newline may stand within a row.
    pub(super) fn has_quotes(self) -> bool {
        self != RowFormat::Jsonl
    }
}

/// How the rows of a partition are split into files. Files without rows are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Into at most so many files, at least 1, which take turns in taking chunks of 1 MiB of rows.
    Files(u32),
    /// A file gets rows as long as it has at most so many bytes. Only one row that is longer makes a longer file, or,
    /// of a compressed file, one chunk that does not compress.
    MaxBytes(u64),
}
