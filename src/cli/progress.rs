//! The progress line on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use foldl::exec::Progressing;

use super::args::When;
use super::units::scaled;

/// Runs shorter than this show no progress.
const QUIET: Duration = Duration::from_millis(500);
const INTERVAL: Duration = Duration::from_millis(200);

/// Whether progress is to be shown.
pub(super) fn wanted(when: When, quiet: bool) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => !quiet && io::stderr().is_terminal(),
    }
}

/// Whether the progress line stands on the terminal now.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<AtomicBool>);

/// An output before which the progress line is taken away, as both may go to the same terminal.
pub(super) struct Cleared<W> {
    inner: W,
    line: Line,
}

impl<W> Cleared<W> {
    pub(super) fn new(inner: W, line: Line) -> Cleared<W> {
        Cleared { inner, line }
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Cleared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.line.0.swap(false, Ordering::Relaxed) {
            draw("");
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Does `work`, and shows the progress of `run` meanwhile on `line`.
pub(super) fn during<T: Send>(run: &dyn Progressing, show: bool, line: &Line, work: impl FnOnce() -> T + Send) -> T {
    if !show {
        return work();
    }
    let done = (Mutex::new(false), Condvar::new());
    let lock = || done.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut pause = QUIET;
            let mut ended = lock();
            loop {
                let waited = done.1.wait_timeout_while(ended, pause, |ended| !*ended);
                ended = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
                if *ended {
                    break;
                }
                draw(&text(run, start.elapsed()));
                line.0.store(true, Ordering::Relaxed);
                pause = INTERVAL;
            }
            if line.0.swap(false, Ordering::Relaxed) {
                draw("");
            }
        });
        let result = work();
        *lock() = true;
        done.1.notify_all();
        result
    })
}

/// Replaces the line that the cursor is on.
fn draw(line: &str) {
    drop(io::stderr().lock().write_all(format!("\r\x1b[K{line}").as_bytes()));
}

fn text(run: &dyn Progressing, elapsed: Duration) -> String {
    let progress = run.progress();
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let rates = format!(
        "{} records/s  {}B/s",
        scaled(run.records() as f64 / seconds).trim_end(),
        scaled(progress.decompressed as f64 / seconds)
    );
    let read = progress.bytes as f64;
    let spilled = match run.spilled().bytes {
        0 => String::new(),
        bytes => format!("  {}B on disk", scaled(bytes as f64)),
    };
    match progress.total.map(|total| total as f64) {
        Some(total) if total > 0.0 => {
            let share = (read / total).min(1.0);
            let left = if share > 0.0 { seconds / share - seconds } else { 0.0 };
            if share >= 1.0 && !spilled.is_empty() {
                return format!("merging{spilled}  {}", clock(seconds));
            }
            let (read, total) = (scaled(read), scaled(total));
            format!("{:3.0} %  {read}B of {total}B  {rates}{spilled}  ETA {}", share * 100.0, clock(left))
        }
        _ => format!("{}B  {rates}{spilled}  {}", scaled(read), clock(seconds)),
    }
}

/// Seconds as `0:07` or `1:02:03`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
