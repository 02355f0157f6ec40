//! Sources: what is read, from the command line's words to open files.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::FilePart;
use super::codec::{self, Sniff};
use super::kind::{InputFormat, Kind, is_blank};
use super::plain::Plain;
use super::stream::BOM;
use crate::error::{Error, ErrorKind, Place, Result};

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file of any kind that can be read: regular, compressed or not; a named pipe; a device.
    File(PathBuf),
}

/// The sources that command-line words name: `-` is standard input; a word that is no file but has `*`, `?` or `[` is a
/// pattern, which stands for the files that match it, in the order of their names. As in a shell, a wildcard does not
/// match a leading dot, and `**` stands for any number of directories. Directories that match are passed over.
///
/// # Errors
/// [`ErrorKind::Input`] for a file that does not exist, a directory, and a pattern that is malformed or matches no
/// file.
///
/// ```
/// use foldl::input::{Source, expand};
/// assert_eq!(expand(&["-".to_string()])?, [Source::Stdin]);
/// assert!(expand(&["no/such/*.jsonl".to_string()]).is_err());
/// # Ok::<(), foldl::Error>(())
/// ```
pub fn expand(args: &[String]) -> Result<Vec<Source>> {
    let mut sources = Vec::with_capacity(args.len());
    for arg in args {
        if arg == "-" {
            sources.push(Source::Stdin);
            continue;
        }
        match std::fs::metadata(arg) {
            Ok(metadata) if metadata.is_dir() => return Err(directory(Path::new(arg))),
            Ok(_) => sources.push(Source::File(PathBuf::from(arg))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && arg.contains(['*', '?', '[']) => {
                expand_pattern(arg, &mut sources)?;
            }
            Err(error) => return Err(unreadable(Path::new(arg), error)),
        }
    }
    Ok(sources)
}

fn expand_pattern(pattern: &str, sources: &mut Vec<Source>) -> Result<()> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let failed = |message: &str| Error::new(ErrorKind::Input, message).at(Place::File(PathBuf::from(pattern)));
    let paths =
        glob::glob_with(pattern, options).map_err(|error| failed("the file name pattern is wrong").caused_by(error))?;
    let before = sources.len();
    for path in paths {
        let path = path.map_err(|error| {
            let path = error.path().to_path_buf();
            unreadable(&path, error.into())
        })?;
        if !path.is_dir() {
            sources.push(Source::File(path));
        }
    }
    if sources.len() == before {
        return Err(failed("no file matches the pattern"));
    }
    Ok(())
}

/// Whether a name as [`expand`] takes it stands for no file, so far: there is no such file, or none that matches.
pub fn stands_for_none(name: &str) -> bool {
    let is_missing = std::fs::metadata(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    is_missing && (!name.contains(['*', '?', '[']) || glob::glob(name).is_ok_and(|mut paths| paths.next().is_none()))
}

fn directory(path: &Path) -> Error {
    Error::new(ErrorKind::Input, "is a directory")
        .at(Place::File(path.to_path_buf()))
        .hint(format!("name its files, for example '{}'", path.join("*.jsonl").display()))
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Input, "cannot be read").at(Place::File(path.to_path_buf())).caused_by(error)
}

/// A source that was looked at but not opened yet.
pub(super) enum Origin {
    Stdin,
    /// A file whose opening does not wait.
    Regular(PathBuf),
    /// A named pipe or a device: to open it may take for ever.
    Special(PathBuf),
    Reader(Box<dyn Read + Send>),
}

impl Origin {
    /// Looks at a source without opening it. Gives its size in bytes too, if that is known.
    pub(super) fn of(source: Source) -> Result<(Origin, Option<u64>)> {
        let path = match source {
            Source::Stdin => {
                let rest = stdin().and_then(|mut file| {
                    let metadata = file.metadata()?;
                    Ok(if metadata.is_file() {
                        Some(metadata.len().saturating_sub(file.stream_position()?))
                    } else {
                        None
                    })
                });
                return Ok((Origin::Stdin, rest.map_err(|error| unreadable(Path::new("-"), error))?));
            }
            Source::File(path) => path,
        };
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, error))?;
        if metadata.is_dir() {
            return Err(directory(&path));
        }
        if metadata.is_file() {
            Ok((Origin::Regular(path), Some(metadata.len())))
        } else {
            Ok((Origin::Special(path), None))
        }
    }

    /// Opens the source, as far as that can be done without waiting. With `sequential` no file is [`Opened::Plain`], and
    /// none is that is not read as lines.
    pub(super) fn open(self, kind: Kind, sequential: bool, part: FilePart) -> Result<Opened> {
        match self {
            Origin::Regular(path) => File::open(&path)
                .and_then(|mut file| {
                    if part.start > 0 {
                        file.seek(io::SeekFrom::Start(part.start))?;
                    }
                    let mut opened = open_file(file, kind, sequential)?;
                    if let Opened::Plain(plain) = &mut opened {
                        plain.cut(part);
                    }
                    Ok(opened)
                })
                .map_err(|error| unreadable(&path, error)),
            Origin::Stdin => {
                let open = |file| {
                    let opened = open_file(file, kind, sequential)?;
                    if let Opened::Plain(plain) = &opened {
                        // Whoever shares the file with us goes on after what we read, as if it had been a stream.
                        (&plain.file).seek(io::SeekFrom::Start(plain.start + plain.size))?;
                    }
                    Ok(opened)
                };
                stdin().and_then(open).map_err(|error| unreadable(Path::new("-"), error))
            }
            Origin::Special(path) => Ok(Opened::Stream(Feed::Path(path))),
            Origin::Reader(reader) => Ok(Opened::Stream(Feed::Reader(reader))),
        }
    }
}

/// How an open source is read.
pub(super) enum Opened {
    /// By the workers, each its own chunk.
    Plain(Plain),
    /// By a thread of its own.
    Stream(Feed),
}

/// What a reader thread reads from.
pub(super) enum Feed {
    /// An open file, from its current position.
    File(File),
    /// A named pipe or device that is still to be opened.
    Path(PathBuf),
    Reader(Box<dyn Read + Send>),
}

/// The name of a file or pattern that starts at a folder, as [`expand`] takes it. `-` and absolute names stay as they are.
///
/// ```
/// use foldl::input::within;
///
/// assert_eq!(within("lake".as_ref(), "orders/*.jsonl"), "lake/orders/*.jsonl");
/// assert_eq!(within("lake".as_ref(), "/orders.jsonl"), "/orders.jsonl");
/// assert_eq!(within("".as_ref(), "orders.jsonl"), "orders.jsonl");
/// ```
pub fn within(folder: &Path, name: &str) -> String {
    match name {
        "-" => name.to_owned(),
        _ if folder.as_os_str().is_empty() || Path::new(name).is_absolute() => name.to_owned(),
        // The folder is no pattern, whatever it is called.
        _ if name.contains(['*', '?', '[']) && !folder.join(name).exists() => {
            format!("{}/{name}", glob::Pattern::escape(&folder.to_string_lossy()))
        }
        _ => folder.join(name).to_string_lossy().into_owned(),
    }
}

/// How much of a file is looked at to find out how it is to be read. A file that is blank so far is a stream.
const FIRST: usize = 512;

/// A regular file of lines that is not compressed can be read by position; anything else is a stream. So is a file that
/// has bytes although its size is 0 (`/proc`).
fn open_file(mut file: File, kind: Kind, sequential: bool) -> io::Result<Opened> {
    let metadata = file.metadata()?;
    if sequential || !metadata.is_file() || matches!(kind, Kind::Fields { .. } | Kind::Values) {
        return Ok(Opened::Stream(Feed::File(file)));
    }
    // The position is that of the shell for a redirected standard input, and 0 otherwise.
    let start = file.stream_position()?;
    let size = metadata.len().saturating_sub(start);
    let mut first = [0; FIRST];
    let mut len = 0;
    while len < first.len() {
        match file.read_at(&mut first[len..], start + len as u64) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let first = &first[..len];
    let is_array = || {
        let text = first.strip_prefix(BOM).unwrap_or(first);
        text.iter().find(|&&byte| !is_blank(byte)).is_none_or(|&byte| byte == b'[')
    };
    let plain = !matches!(codec::sniff(first), Sniff::Codec(_))
        && (size > 0 || len == 0)
        && !(kind == Kind::ValuesOrLines && is_array());
    Ok(if plain { Opened::Plain(Plain::new(file, start, size)) } else { Opened::Stream(Feed::File(file)) })
}

/// Whether a file is JSON Lines that can be read from any line on: a regular file that is not compressed.
///
/// # Errors
/// [`ErrorKind::Input`] if it cannot be opened or read.
pub fn is_plain_lines(path: &Path, format: Option<InputFormat>) -> Result<bool> {
    let kind = format.map_or_else(|| Kind::of_file(path, true), |format| Kind::of_format(format, true));
    let opened = File::open(path).and_then(|file| open_file(file, kind, false));
    let opened = opened.map_err(|error| unreadable(path, error))?;
    Ok(kind == Kind::Lines && matches!(opened, Opened::Plain(_)))
}

/// Standard input without the buffer of `std::io::stdin`, which would read ahead.
fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_is_read_from_its_position() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let mut file = File::open(path).unwrap();
        file.seek(io::SeekFrom::Start(4)).unwrap();
        let Opened::Plain(plain) = open_file(file, Kind::Lines, false).unwrap() else { panic!("not plain") };
        assert_eq!((plain.start, plain.size), (4, 4));
    }

    #[test]
    fn a_file_without_a_size_is_a_stream() {
        let opened = Origin::Regular("/proc/self/status".into()).open(Kind::Lines, false, FilePart::whole(0)).unwrap();
        assert!(matches!(opened, Opened::Stream(_)));
    }
}
