//! Frames: chunks of rows, each compressed on its own.

use std::io::Write;

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

use super::spec::Compression;
use crate::error::{Error, ErrorKind, Result};

/// The level of zstd. Its default: about four times as fast as gzip, and shorter.
const ZSTD_LEVEL: i32 = 3;

/// The level of xz, whose window is a mebibyte as a chunk is.
const XZ_LEVEL: u32 = 1;

/// Appends a frame with these bytes to `into`. The same bytes give the same frame.
///
/// # Errors
/// [`ErrorKind::Output`] if the compressor fails.
pub(super) fn frame(compression: Compression, bytes: &[u8], into: &mut Vec<u8>) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

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
