//! Records written as JSON Lines.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Sink, ready};
use tokio::io::AsyncWrite;

use crate::error::{Error, Result};
use crate::output::write_error;
use crate::record::Record;

/// The bytes that are gathered before they are written.
const BUFFER: usize = 64 << 10;

/// Writes records to an [`AsyncWrite`], each on a line. What is gathered, some 64 KiB, is written when the sink is flushed or
/// closed, as `send` does after each record and `forward` at the end; what is dropped before that is lost.
///
/// A [`Record`] was validated when it was read, so a line is exactly one valid record.
///
/// ```
/// use foldl::Record;
/// use foldl::batch::JsonlSink;
/// use futures::SinkExt;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let mut sink = JsonlSink::new(Vec::new());
/// sink.send(Record::parse("{\"id\": 7}")?).await?;
/// sink.send(Record::parse("{\"id\": 9}")?).await?;
/// assert_eq!(sink.into_inner(), b"{\"id\": 7}\n{\"id\": 9}\n");
/// # Ok::<(), foldl::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ErrorKind::Output`](crate::ErrorKind::Output), or [`ErrorKind::ClosedPipe`](crate::ErrorKind::ClosedPipe) where nobody
/// reads any more. It is not known then how much was written.
#[derive(Debug)]
pub struct JsonlSink<W> {
    output: W,
    gathered: Vec<u8>,
    /// The bytes of these that are written.
    written: usize,
}

impl<W: AsyncWrite + Unpin> JsonlSink<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> JsonlSink<W> {
        JsonlSink { output, gathered: Vec::new(), written: 0 }
    }

    /// What takes the lines. Those that were not flushed are lost.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn poll_write_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.written < self.gathered.len() {
            let rest = &self.gathered[self.written..];
            match ready!(Pin::new(&mut self.output).poll_write(cx, rest)).map_err(write_error)? {
                0 => return Poll::Ready(Err(write_error(std::io::ErrorKind::WriteZero.into()))),
                len => self.written += len,
            }
        }
        self.gathered.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<'r, W: AsyncWrite + Unpin> Sink<Record<'r>> for JsonlSink<W> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.gathered.len() < BUFFER { Poll::Ready(Ok(())) } else { self.poll_write_gathered(cx) }
    }

    fn start_send(mut self: Pin<&mut Self>, record: Record<'r>) -> Result<()> {
        self.gathered.extend_from_slice(record.json().as_bytes());
        self.gathered.push(b'\n');
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_write_gathered(cx))?;
        Pin::new(&mut self.output).poll_flush(cx).map_err(write_error)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_write_gathered(cx))?;
        Pin::new(&mut self.output).poll_shutdown(cx).map_err(write_error)
    }
}
