//! Compressed inputs: recognised by their first bytes, decompressed to their last.
//!
//! Data that ends before its format says it does, or is followed by anything else than more of the same, is an error,
//! never a short success. The one exception is gzip's: zero bytes after the last member are padding.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::InputOptions;
use crate::error::{Error, ErrorKind};

/// What a decoder takes beside its window.
pub(super) const STATE: usize = 1 << 20;
const PACKED_BUFFER: usize = 128 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Lz4,
}

/// What the first bytes of an input say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sniff {
    Codec(Codec),
    Plain,
    /// So far these are the first bytes of a magic. An input that ends here is plain.
    More,
}

/// Recognises the codec by the first bytes of an input. The longest magic has six.
pub(super) fn sniff(bytes: &[u8]) -> Sniff {
    const MAGICS: [(&[u8], Codec); 5] = [
        (b"\x1f\x8b", Codec::Gzip),
        (b"\x28\xb5\x2f\xfd", Codec::Zstd),
        (b"BZh", Codec::Bzip2),
        (b"\xfd7zXZ\0", Codec::Xz),
        (b"\x04\x22\x4d\x18", Codec::Lz4),
    ];
    let mut more = false;
    for (magic, codec) in MAGICS {
        if bytes.starts_with(magic) {
            return Sniff::Codec(codec);
        }
        more |= magic.starts_with(bytes);
    }
    // A skippable frame, 0x184D2A50 to 0x184D2A5F, is what pzstd and seekable zstd files begin with.
    if let [first, rest @ ..] = bytes
        && first & 0xf0 == 0x50
    {
        let magic = b"\x2a\x4d\x18";
        if rest.starts_with(magic) {
            return Sniff::Codec(Codec::Zstd);
        }
        more |= magic.starts_with(rest);
    }
    if more { Sniff::More } else { Sniff::Plain }
}

/// Reads the decompressed bytes of `input`, and adds the compressed ones that it took to `taken`. A window is memory that the
/// data asks for: longer ones than `max_window` bytes are refused.
pub(super) fn decoder(
    codec: Codec,
    max_window: usize,
    input: impl Read + Send + 'static,
    taken: Arc<AtomicU64>,
) -> io::Result<Box<dyn Read + Send>> {
    let packed = Packed { input, buffer: vec![0; PACKED_BUFFER], start: 0, end: 0, ended: false, taken };
    Ok(match codec {
        Codec::Gzip => Box::new(Gzip { member: Some(flate2::bufread::GzDecoder::new(packed)) }),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(max_window.max(1).ilog2())?;
            Box::new(decoder)
        }
        Codec::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Codec::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                (max_window + STATE) as u64,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
        }
        Codec::Lz4 => Box::new(Lz4 { frame: Some(lz4_flex::frame::FrameDecoder::new(packed)) }),
    })
}

/// The error of a decoder, as told to the user. `enough` is the memory limit with which any window may be had.
pub(super) fn error(error: io::Error, max_window: usize, enough: Option<usize>) -> Error {
    let message = if error.raw_os_error().is_some() {
        "reading failed"
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::new(ErrorKind::Input, "the compressed data ends early");
    } else if error.to_string().contains("memory") {
        // zstd and liblzma tell a window beyond the limit by their texts only.
        let message = format!("the compressed data needs a window of more than {} MiB", max_window >> 20);
        return match enough {
            _ if max_window >= InputOptions::MAX_WINDOW => Error::new(ErrorKind::Input, message),
            Some(enough) => Error::new(ErrorKind::Resource, message)
                .hint(format!("about {} MiB would do: raise --memory-limit, or lower --threads", enough >> 20)),
            None => Error::new(ErrorKind::Resource, message),
        };
    } else {
        "the compressed data is corrupt"
    };
    Error::new(ErrorKind::Input, message).caused_by(error)
}

/// Compressed bytes, buffered. The end, once seen, is final.
struct Packed<R> {
    input: R,
    buffer: Vec<u8>,
    /// The bytes of the buffer that are not consumed.
    start: usize,
    end: usize,
    /// Whether someone asked for more after the last byte.
    ended: bool,
    taken: Arc<AtomicU64>,
}

impl<R: Read> BufRead for Packed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && !self.ended {
            self.start = 0;
            self.end = 0;
            self.end = loop {
                match self.input.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result?,
                }
            };
            self.ended = self.end == 0;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
    }
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(into.len());
        into[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// The members of a gzip file, one after the other. `None` after the last.
struct Gzip<R> {
    member: Option<flate2::bufread::GzDecoder<Packed<R>>>,
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(into)?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            let Some(mut packed) = self.member.take().map(|member| member.into_inner()) else { break };
            let next = packed.fill_buf()?;
            if next.is_empty() {
                break;
            }
            if next[0] == 0 {
                return skip_zeros(&mut packed).map(|()| 0);
            }
            self.member = Some(flate2::bufread::GzDecoder::new(packed));
        }
        Ok(0)
    }
}

fn skip_zeros(packed: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = packed.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "something else follows the data"));
        }
        let n = bytes.len();
        packed.consume(n);
    }
}

/// The frames of an lz4 file, one after the other. `None` after the last.
///
/// Each frame has a decoder of its own: lz4_flex could go on with the next frame, but keeps buffers of the size that the
/// frame before it wanted, and panics where they do not do.
struct Lz4<R: Read> {
    frame: Option<lz4_flex::frame::FrameDecoder<Packed<R>>>,
}

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.frame {
            let n = frame.read(into)?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            let Some(mut packed) = self.frame.take().map(|frame| frame.into_inner()) else { break };
            // The end of a frame, or of the data: only at the latter did the decoder ask in vain for more, since a
            // frame ends with a mark.
            if packed.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if packed.fill_buf()?.is_empty() {
                break;
            }
            self.frame = Some(lz4_flex::frame::FrameDecoder::new(packed));
        }
        Ok(0)
    }
}
