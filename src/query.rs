//! Queries as text: parsing, settings, and rows that stream.

use std::io::{self, Read, Write};
use std::iter::FusedIterator;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use futures::{Stream, ready};

use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Arguments, MaxErrors, OnError, Run, Settings, Summary};
use crate::input::{InputFormat, Source, expand};
use crate::output::Format;
use crate::plan::Plan;
use crate::record::Record;

/// The name that a reader has in messages and in `_file`.
pub(crate) const READER: &str = "reader";
/// How many pieces of output wait for a consumer, and how long they are: a row that is longer is a piece of its own.
const PIECES: usize = 4;
const PIECE: usize = 64 << 10;

/// A query: text, inputs and settings.
///
/// ```
/// use foldl::Query;
///
/// let query = Query::parse("select status, count(*) as orders group by status order by orders desc limit 1")?;
/// for row in query.files(["fixtures/orders-day*.jsonl"]).threads(2).run()? {
///     let row = row?;
///     assert_eq!((row.str("status"), row.i64("orders")), (Some("completed"), Some(239)));
/// }
/// # Ok::<(), foldl::Error>(())
/// ```
#[must_use = "a query does nothing until it is run"]
pub struct Query {
    plan: Plan,
    inputs: Option<Inputs>,
    settings: Settings,
    rejects: Option<Box<dyn Write + Send>>,
}

/// Where records come from.
pub(crate) enum Inputs {
    Files(Vec<PathBuf>),
    Reader(Box<dyn Read + Send>),
}

impl Inputs {
    pub(crate) fn files<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Inputs {
        Inputs::Files(files.into_iter().map(|file| file.as_ref().to_owned()).collect())
    }
}

/// The sources of files and patterns. A name that is not Unicode is no pattern.
///
/// # Errors
/// As [`expand`].
pub(crate) fn sources(files: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        match file.to_str() {
            Some(name) => sources.append(&mut expand(&[name.to_owned()])?),
            None => sources.push(Source::File(file.clone())),
        }
    }
    Ok(sources)
}

impl Query {
    /// Reads the text of a query. Inputs may be named by its FROM, or with [`files`](Query::files) or
    /// [`reader`](Query::reader).
    ///
    /// # Errors
    /// [`ErrorKind::Query`], with the place in the text, if the query is wrong.
    ///
    /// ```
    /// use foldl::{ErrorKind, Query, error::Place};
    ///
    /// let error = Query::parse("select cuont(*)").err().unwrap();
    /// assert_eq!(error.kind(), ErrorKind::Query);
    /// assert!(matches!(error.place(), Some(Place::Query { start: 7, .. })));
    /// ```
    pub fn parse(text: &str) -> Result<Query> {
        let plan = crate::sql::plan(text)?;
        Ok(Query { plan, inputs: None, settings: Settings::default(), rejects: None })
    }

    /// Reads files, one after another. A name with `*`, `?` or `[` that is no file is a pattern; `-` is standard input.
    /// Compressed files are recognised.
    pub fn files<P: AsRef<Path>>(mut self, files: impl IntoIterator<Item = P>) -> Query {
        self.inputs = Some(Inputs::files(files));
        self
    }

    /// Reads what a reader gives, compressed or not, on a thread of its own. When a read gives less than was asked for,
    /// the whole lines that are there go on at once.
    pub fn reader(mut self, reader: impl Read + Send + 'static) -> Query {
        self.inputs = Some(Inputs::Reader(Box::new(reader)));
        self
    }

    /// Writes the rejected lines somewhere, as JSON Lines in the order of the input, with `file`, `line`, `offset`,
    /// `reason` and `raw`.
    pub fn rejects(mut self, rejects: impl Write + Send + 'static) -> Query {
        self.rejects = Some(Box::new(rejects));
        self
    }

    /// All settings at once, in place of those made before.
    pub fn settings(mut self, settings: Settings) -> Query {
        self.settings = settings;
        self
    }

    /// The number of worker threads, from 1. The default is one for each processor. It never changes a result.
    pub fn threads(mut self, threads: usize) -> Query {
        self.settings.threads = threads;
        self
    }

    /// The most bytes that groups, sorted rows and the like may hold; more is [`ErrorKind::Resource`]. The default is
    /// 1 GiB.
    pub fn memory_limit(mut self, bytes: usize) -> Query {
        self.settings.memory_limit = bytes;
        self
    }

    /// The size of the blocks that are read and worked on at a time, in bytes. The default is 256 KiB.
    pub fn block_size(mut self, bytes: usize) -> Query {
        self.settings.block_size = bytes;
        self
    }

    /// The longest line, in bytes; longer ones are rejected. The default is 16 MiB.
    pub fn max_line(mut self, bytes: usize) -> Query {
        self.settings.max_line = bytes;
        self
    }

    /// The format of all inputs. By default the names of files tell: `.csv`, `.tsv`, `.json` for an array of records, each
    /// with the suffix of a compression or without; other files, and readers, are JSON Lines.
    ///
    /// ```
    /// use foldl::{InputFormat, Query};
    ///
    /// let orders = "id,price,note\n7,1.10,\n8,2.00,\"two, please\"\n";
    /// let mut out = Vec::new();
    /// Query::parse("where price < 2")?.reader(orders.as_bytes()).input_format(InputFormat::Csv).write_to(&mut out)?;
    /// assert_eq!(String::from_utf8_lossy(&out), "{\"id\":7,\"price\":1.10,\"note\":null}\n");
    /// # Ok::<(), foldl::Error>(())
    /// ```
    pub fn input_format(mut self, format: InputFormat) -> Query {
        self.settings.input_format = Some(format);
        self
    }

    /// Whether the first row of CSV and TSV names the columns, as it does by default. If not, they are named `column0`,
    /// `column1`, and so on.
    pub fn header(mut self, header: bool) -> Query {
        self.settings.header = header;
        self
    }

    /// What to do with a line that is no valid record. By default it is skipped and counted.
    pub fn on_error(mut self, on_error: OnError) -> Query {
        self.settings.on_error = on_error;
        self
    }

    /// How many rejected lines end the run with [`ErrorKind::Rejected`]. By default there is no limit.
    pub fn max_errors(mut self, max_errors: MaxErrors) -> Query {
        self.settings.max_errors = Some(max_errors);
        self
    }

    /// Whether a value of a wrong type, or of another type than the first one of its path, ends the run with
    /// [`ErrorKind::Rejected`]. By default a value that an expression cannot take is NULL, and both are counted.
    pub fn strict(mut self, strict: bool) -> Query {
        self.settings.strict = strict;
        self
    }

    /// The format of [`write_to`](Query::write_to). The default is JSON Lines.
    pub fn format(mut self, format: Format) -> Query {
        self.settings.format = format;
        self
    }

    /// Runs the query in the background. Rows come as they are made, in the order that the query says.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if an input cannot be opened, [`ErrorKind::Usage`] if there is none or the settings make no
    /// sense. What goes wrong later is the last item of the rows.
    pub fn run(mut self) -> Result<Rows> {
        self.settings.format = Format::Jsonl;
        let (run, rejects) = self.prepare()?;
        let run = Arc::new(run);
        let (sender, receiver) = sync_channel(PIECES);
        let engine = start(&run, rejects, move |piece| sender.send(piece).is_ok())?;
        Ok(Rows { run, receiver: Some(receiver), piece: Vec::new(), at: 0, engine: Some(engine), summary: None })
    }

    /// Runs the query in the background, as [`run`](Query::run) does, and gives the rows as a stream.
    ///
    /// ```
    /// use foldl::Query;
    /// use futures::TryStreamExt;
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let mut rows = Query::parse("where price > 900")?.files(["fixtures/orders.jsonl"]).into_stream()?;
    /// let mut count = 0;
    /// while let Some(row) = rows.try_next().await? {
    ///     count += u64::from(row.exists("price"));
    /// }
    /// assert_eq!((count, rows.summary().unwrap().rejected), (192, 36));
    /// # Ok::<(), foldl::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`run`](Query::run).
    pub fn into_stream(mut self) -> Result<RowStream> {
        self.settings.format = Format::Jsonl;
        let (run, rejects) = self.prepare()?;
        let run = Arc::new(run);
        let (sender, receiver) = tokio::sync::mpsc::channel(PIECES);
        let send = move |piece| sender.blocking_send(piece).is_ok();
        let engine = start(&run, rejects, send)?;
        Ok(RowStream { run, receiver, piece: Vec::new(), at: 0, engine: Some(engine), summary: None })
    }

    /// Runs the query, and writes its output in the [`format`](Query::format) as it is made.
    ///
    /// ```
    /// use foldl::{Format, Query};
    ///
    /// let orders = r#"{"id": 7, "price": 1.10}"#;
    /// let mut out = Vec::new();
    /// let query = Query::parse("select id, price")?.reader(orders.as_bytes()).format(Format::Csv);
    /// let summary = query.write_to(&mut out)?;
    /// assert_eq!(String::from_utf8_lossy(&out), "id,price\n7,1.10\n");
    /// assert_eq!(summary.rows_out, 1);
    /// # Ok::<(), foldl::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Query::run), and whatever ends the run: of reading, of writing ([`ErrorKind::Output`];
    /// [`ErrorKind::ClosedPipe`] where nobody reads any more), of the settings' limits. What was made until then is
    /// written.
    pub fn write_to(self, output: impl Write + Send) -> Result<Summary> {
        let (run, rejects) = self.prepare()?;
        let outcome = run.execute(output, rejects);
        outcome.result.map(|_| outcome.summary)
    }

    fn prepare(self) -> Result<(Run, Option<Box<dyn Write + Send>>)> {
        let Query { plan, inputs, settings, rejects } = self;
        let usage = |message: &str| Err(Error::new(ErrorKind::Usage, message));
        let mut arguments = match (inputs, plan.uses_input()) {
            (Some(_), false) => return usage("FROM names all inputs, and others are given"),
            (None, true) => return usage("no input is given"),
            (None, false) => Arguments::sources(Vec::new()),
            (Some(Inputs::Files(files)), true) => Arguments::sources(sources(&files)?),
            (Some(Inputs::Reader(reader)), true) => Arguments::reader(reader, READER),
        };
        let run = Run::prepare(plan, &mut arguments, settings, rejects.is_some())?;
        Ok((run, rejects))
    }
}

/// What a run in the background gives when it has ended.
type Engine = JoinHandle<(Result<()>, Summary)>;

/// Starts a run in the background. `send` takes whole rows, and says whether more are wanted.
fn start(
    run: &Arc<Run>,
    rejects: Option<Box<dyn Write + Send>>,
    send: impl Fn(Vec<u8>) -> bool + Send + 'static,
) -> Result<Engine> {
    let background = Arc::clone(run);
    let body = move || {
        let outcome = background.execute(Pieces { send, begun: Vec::new() }, rejects);
        (outcome.result.map(drop), outcome.summary)
    };
    std::thread::Builder::new()
        .name("foldl-run".to_owned())
        .spawn(body)
        .map_err(|err| Error::new(ErrorKind::Resource, "no thread could be started").caused_by(err))
}

/// The next row of a piece, if there is one.
fn next_row(piece: &[u8], at: &mut usize) -> Option<Record<'static>> {
    let rest = &piece[*at..];
    if rest.is_empty() {
        return None;
    }
    let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    *at += (len + 1).min(rest.len());
    Some(Record::owned(rest[..len].to_vec()))
}

/// The rows of a query, as they are made.
///
/// The query runs in the background. It waits while a few rows (some 64 KiB, four times) are not taken, so a slow
/// consumer slows the reading down, and memory stays bounded. If the run fails, the error is the last item. Dropping
/// the rows stops the run, and returns when its threads have ended, each after at most one block; a thread that
/// waits for the bytes of a [`reader`](Query::reader) ends when these come.
///
/// ```
/// let mut rows = foldl::Query::parse("where price > 900")?.files(["fixtures/orders.jsonl"]).run()?;
/// let first = rows.next().unwrap()?;
/// assert_eq!(first.raw("price"), Some("1014.14"));
/// assert_eq!(1 + rows.by_ref().count(), 192);
/// let summary = rows.summary().unwrap();
/// assert_eq!((summary.records_in, summary.used, summary.rejected), (3046, 192, 36));
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct Rows {
    run: Arc<Run>,
    /// Gone when the run is to end.
    receiver: Option<Receiver<Vec<u8>>>,
    /// Whole rows, those before `at` taken.
    piece: Vec<u8>,
    at: usize,
    engine: Option<Engine>,
    summary: Option<Summary>,
}

impl Rows {
    /// What happened in the run: there after the last item, an error included.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// Waits for the end of the run.
    fn finish(&mut self) -> Result<()> {
        let Some(engine) = self.engine.take() else { return Ok(()) };
        match engine.join() {
            Ok((result, summary)) => {
                self.summary = Some(summary);
                result
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = next_row(&self.piece, &mut self.at) {
                return Some(Ok(row));
            }
            match self.receiver.as_ref().map(Receiver::recv) {
                Some(Ok(piece)) => (self.piece, self.at) = (piece, 0),
                Some(Err(_)) => {
                    self.receiver = None;
                    return self.finish().err().map(Err);
                }
                None => return None,
            }
        }
    }
}

impl FusedIterator for Rows {}

impl Drop for Rows {
    fn drop(&mut self) {
        self.receiver = None;
        if let Some(engine) = self.engine.take() {
            self.run.cancel();
            // Nobody wants to know how a run ended that nobody wants the rows of.
            drop(engine.join());
        }
    }
}

/// The rows of a query as a stream, as they are made: [`Query::into_stream`].
///
/// The query runs on threads of its own and waits while a few rows are not taken, as with [`Rows`]. If the run fails, the
/// error is the last item. Dropping the stream ends the run, and does not wait for that.
pub struct RowStream {
    run: Arc<Run>,
    receiver: tokio::sync::mpsc::Receiver<Vec<u8>>,
    /// Whole rows, those before `at` taken.
    piece: Vec<u8>,
    at: usize,
    engine: Option<Engine>,
    summary: Option<Summary>,
}

impl RowStream {
    /// What happened in the run: there after the last item, an error included.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }
}

impl Stream for RowStream {
    type Item = Result<Record<'static>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(row) = next_row(&this.piece, &mut this.at) {
                return Poll::Ready(Some(Ok(row)));
            }
            match ready!(this.receiver.poll_recv(cx)) {
                Some(piece) => (this.piece, this.at) = (piece, 0),
                // The sender is the last thing that the run lets go of, so it ends now.
                None => match this.engine.take().map(JoinHandle::join) {
                    Some(Ok((result, summary))) => {
                        this.summary = Some(summary);
                        return Poll::Ready(result.err().map(Err));
                    }
                    Some(Err(panic)) => resume_unwind(panic),
                    None => return Poll::Ready(None),
                },
            }
        }
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        self.run.cancel();
    }
}

/// The output of a run in the background: hands on whole rows.
struct Pieces<S> {
    send: S,
    /// The start of a row whose end was not written yet.
    begun: Vec<u8>,
}

impl<S: Fn(Vec<u8>) -> bool> Write for Pieces<S> {
    /// Takes whole rows up to the length of a piece, or one longer row.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let head = &bytes[..bytes.len().min(PIECE)];
        let end = memchr::memrchr(b'\n', head).or_else(|| memchr::memchr(b'\n', bytes));
        let Some(end) = end else {
            self.begun.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let mut piece = std::mem::take(&mut self.begun);
        piece.extend_from_slice(&bytes[..=end]);
        if (self.send)(piece) { Ok(end + 1) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
