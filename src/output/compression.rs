//! Compressed files: frames, each a chunk of rows that is compressed on its own.

use std::io::Write;
use std::path::Path;

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};

use super::target::write_error;
use crate::error::{Error, ErrorKind, Result};

/// How files are compressed.
///
/// A compressed file is a sequence of independent frames (gzip: members), each of one *chunk* of rows: as many as 1 MiB
/// takes. So no state of an encoder outlives a chunk: what is written does not depend on when, a checkpoint of a job holds no
/// more than the rows of an unfinished chunk, and a damaged frame costs no more than its rows. It costs a little in size. For
/// gzip the bytes may differ between kinds of processors, as the search for repetitions may use different instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `.gz`
    #[serde(rename = "gz", alias = "gzip")]
    Gzip,
    /// `.zst`
    #[serde(rename = "zst", alias = "zstd")]
    Zstd,
    /// `.lz4`
    Lz4,
    /// `.bz2`
    #[serde(rename = "bz2", alias = "bzip2")]
    Bzip2,
    /// `.xz`
    Xz,
}

impl Compression {
    /// What the end of a file's name says: `.gz`, `.zst`, `.lz4`, `.bz2` or `.xz`.
    pub fn of_path(path: &Path) -> Compression {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let all = [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Bzip2, Compression::Xz];
        let is_named = |compression: &Compression| compression.extension() == Some(extension);
        all.into_iter().find(is_named).unwrap_or_default()
    }

    /// The bytes of memory that it takes to compress a file.
    pub fn memory(self) -> usize {
        const BUFFERS: usize = 2 * CHUNK;
        match self {
            Compression::None => 0,
            Compression::Gzip | Compression::Lz4 => BUFFERS + (1 << 20),
            Compression::Zstd => BUFFERS + (4 << 20),
            Compression::Bzip2 | Compression::Xz => BUFFERS + (10 << 20),
        }
    }

    /// The end of the name of a file, without the point.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gz"),
            Compression::Zstd => Some("zst"),
            Compression::Lz4 => Some("lz4"),
            Compression::Bzip2 => Some("bz2"),
            Compression::Xz => Some("xz"),
        }
    }
}

/// The level of zstd. Its default: about four times as fast as gzip, and shorter.
const ZSTD_LEVEL: i32 = 3;

/// The level of xz, whose window is a mebibyte as a chunk is.
const XZ_LEVEL: u32 = 1;

/// The bytes that become one frame, at most.
const CHUNK: usize = 1 << 20;

/// Appends a frame with these bytes to `into`. The same bytes give the same frame.
///
/// # Errors
/// [`ErrorKind::Output`] if the compressor fails.
pub(crate) fn frame(compression: Compression, bytes: &[u8], into: &mut Vec<u8>) -> Result<()> {
    let result = match compression {
        Compression::None => {
            into.extend_from_slice(bytes);
            Ok(())
        }
        Compression::Gzip => gzip(bytes, into),
        Compression::Zstd => zstd(bytes, into),
        Compression::Lz4 => lz4(bytes, into),
        Compression::Bzip2 => bzip2(bytes, into),
        Compression::Xz => xz(bytes, into),
    };
    result.map_err(|error| Error::new(ErrorKind::Output, "cannot compress").caused_by(error))
}

fn gzip(bytes: &[u8], into: &mut Vec<u8>) -> std::io::Result<()> {
    // No time and no name, which would not depend on the rows.
    let builder = flate2::GzBuilder::new().mtime(0);
    let mut encoder = builder.write(into, flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

fn zstd(bytes: &[u8], into: &mut Vec<u8>) -> std::io::Result<()> {
    let mut encoder = zstd::stream::write::Encoder::new(into, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

fn lz4(bytes: &[u8], into: &mut Vec<u8>) -> std::io::Result<()> {
    let info = FrameInfo::new().block_size(BlockSize::Max1MB).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, into);
    encoder.write_all(bytes)?;
    encoder.finish().map(drop).map_err(std::io::Error::from)
}

fn bzip2(bytes: &[u8], into: &mut Vec<u8>) -> std::io::Result<()> {
    let mut encoder = bzip2::write::BzEncoder::new(into, bzip2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

fn xz(bytes: &[u8], into: &mut Vec<u8>) -> std::io::Result<()> {
    let mut encoder = liblzma::write::XzEncoder::new(into, XZ_LEVEL);
    encoder.write_all(bytes)?;
    encoder.finish().map(drop)
}

/// Compresses what is written to a file, as it comes.
pub struct Packer {
    compression: Compression,
    chunk: Vec<u8>,
    packed: Vec<u8>,
    /// Whether there is a frame in the file.
    has_frame: bool,
}

impl Packer {
    /// For a file, unless it is not to be compressed.
    pub(super) fn new(compression: Compression) -> Option<Packer> {
        let packer = Packer { compression, chunk: Vec::new(), packed: Vec::new(), has_frame: false };
        (compression != Compression::None).then_some(packer)
    }

    /// Takes bytes, and writes the chunks that they end.
    pub(super) fn write(&mut self, mut bytes: &[u8], file: &mut impl Write) -> Result<()> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = rest;
            if self.chunk.len() == CHUNK {
                self.end_chunk(file)?;
            }
        }
        Ok(())
    }

    /// Writes what is left. A file without a byte in it is a frame, too.
    pub(super) fn finish(&mut self, file: &mut impl Write) -> Result<()> {
        if self.chunk.is_empty() && self.has_frame { Ok(()) } else { self.end_chunk(file) }
    }

    fn end_chunk(&mut self, file: &mut impl Write) -> Result<()> {
        self.packed.clear();
        frame(self.compression, &self.chunk, &mut self.packed)?;
        self.chunk.clear();
        self.has_frame = true;
        file.write_all(&self.packed).map_err(write_error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn names_tell_the_compression() {
        for (name, compression) in
            [("a.jsonl.gz", Compression::Gzip), ("gz", Compression::None), ("a.gz/b", Compression::None)]
        {
            assert_eq!(Compression::of_path(Path::new(name)), compression);
        }
        for (text, compression) in
            [("zst", Compression::Zstd), ("zstd", Compression::Zstd), ("none", Compression::None)]
        {
            assert_eq!(serde_json::from_value::<Compression>(text.into()).unwrap(), compression);
        }
    }

    #[test]
    fn frames_follow_each_other_in_one_file() {
        let text = "{\"a\":1}\n".repeat(40_000);
        let all = [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Bzip2, Compression::Xz];
        for compression in all {
            let mut file = Vec::new();
            for part in ["a,b\n", &text, "x\n", &text] {
                frame(compression, part.as_bytes(), &mut file).unwrap();
            }
            let mut read = String::new();
            match compression {
                Compression::None => {}
                Compression::Gzip => {
                    flate2::read::MultiGzDecoder::new(&file[..]).read_to_string(&mut read).map(drop).unwrap();
                }
                Compression::Zstd => {
                    zstd::stream::read::Decoder::new(&file[..]).unwrap().read_to_string(&mut read).map(drop).unwrap();
                }
                Compression::Bzip2 => {
                    bzip2::read::MultiBzDecoder::new(&file[..]).read_to_string(&mut read).map(drop).unwrap();
                }
                Compression::Xz => {
                    liblzma::read::XzDecoder::new_multi_decoder(&file[..]).read_to_string(&mut read).map(drop).unwrap();
                }
                Compression::Lz4 => {
                    let mut rest = &file[..];
                    while !rest.is_empty() {
                        let mut decoder = lz4_flex::frame::FrameDecoder::new(&mut rest);
                        decoder.read_to_string(&mut read).unwrap();
                    }
                }
            }
            assert!(read == format!("a,b\n{text}x\n{text}"), "{compression:?}");
            assert!(file.len() < read.len() / 20, "{compression:?}: {}", file.len());
        }
    }
}
