//! Which kind of input a name stands for.

use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// A format of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// One JSON value on each line.
    Jsonl,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Tab-separated values, with quotes as in CSV.
    Tsv,
    /// A JSON array of records; or else JSON values one after another, over any number of lines.
    Json,
}

impl InputFormat {
    /// All formats, by name.
    pub const ALL: [(&str, InputFormat); 4] = [
        ("jsonl", InputFormat::Jsonl),
        ("csv", InputFormat::Csv),
        ("tsv", InputFormat::Tsv),
        ("json", InputFormat::Json),
    ];
}

impl FromStr for InputFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<InputFormat> {
        let found = InputFormat::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names = InputFormat::ALL.map(|(name, _)| name).join(", ");
            Error::new(ErrorKind::Usage, format!("`{name}` is no format of input"))
                .hint(format!("the formats are {names}"))
        })
    }
}

/// How an input is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As lines.
    Lines,
    /// As rows of fields.
    Fields {
        /// What is between two fields.
        delimiter: u8,
        /// Whether the first row names the columns.
        header: bool,
    },
    /// As the elements of an array, or values one after another.
    Values,
    /// As an array if the first byte that is not blank says so, else as lines.
    ValuesOrLines,
}

impl Kind {
    /// How an input is read whose format is given.
    pub(super) fn of_format(format: InputFormat, header: bool) -> Kind {
        match format {
            InputFormat::Jsonl => Kind::Lines,
            InputFormat::Csv => Kind::Fields { delimiter: b',', header },
            InputFormat::Tsv => Kind::Fields { delimiter: b'\t', header },
            InputFormat::Json => Kind::Values,
        }
    }

    /// How a file of this name is read. Its last suffix tells, after that of a compression.
    pub(super) fn of_file(path: &Path, header: bool) -> Kind {
        let kind = match is_compressed_name(path) {
            true => path.file_stem().map(Path::new).and_then(suffix),
            false => suffix(path),
        };
        match kind.as_deref() {
            Some("csv") => Kind::of_format(InputFormat::Csv, header),
            Some("tsv") => Kind::of_format(InputFormat::Tsv, header),
            Some("json") => Kind::ValuesOrLines,
            _ => Kind::Lines,
        }
    }
}

fn suffix(path: &Path) -> Option<String> {
    path.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase())
}

/// Whether the last suffix of a name is that of a compression.
pub(crate) fn is_compressed_name(path: &Path) -> bool {
    const COMPRESSIONS: [&str; 8] = ["gz", "gzip", "zst", "zstd", "bz2", "xz", "lz4", "bgz"];
    suffix(path).is_some_and(|suffix| COMPRESSIONS.contains(&suffix.as_str()))
}

/// Whether the last suffix of a name is that of gzip, which needs no long window.
pub(super) fn is_gzip_name(path: &Path) -> bool {
    suffix(path).is_some_and(|suffix| matches!(suffix.as_str(), "gz" | "gzip" | "bgz"))
}

/// White space as JSON has it.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_suffix_but_that_of_a_compression_tells() {
        let csv = Kind::Fields { delimiter: b',', header: true };
        let tsv = Kind::Fields { delimiter: b'\t', header: true };
        for (name, kind) in [
            ("a.jsonl", Kind::Lines),
            ("a.ndjson.gz", Kind::Lines),
            ("a", Kind::Lines),
            (".csv", Kind::Lines),
            ("a.csv.old", Kind::Lines),
            ("a.csv", csv),
            ("b/a.CSV.gz", csv),
            ("a.tsv.zst", tsv),
            ("a.json", Kind::ValuesOrLines),
            ("a.csv.json.xz", Kind::ValuesOrLines),
            ("csv.gz", Kind::Lines),
        ] {
            assert_eq!(Kind::of_file(Path::new(name), true), kind, "{name}");
        }
    }
}
