//! One child: its pipes, its answers, its end.
//!
//! Everything is done by the thread that has the child: what can be written is written, what can be read is read, and
//! `poll(2)` waits for more. No pipe is ever waited for alone, so that a child may answer before it has read everything, and
//! a full pipe on either side holds nothing up.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::answer::{Answer, Progress, Until};
use super::children;
use super::fault::Fault;
use super::told::Told;
use crate::error::Error;

/// How often a waiting thread looks whether the run is to end, or the child has ended with its pipes still open.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a child has to end itself before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// The bytes that are read before something else is looked at.
const FLOOD: usize = 2 << 20;

/// What is run, and how its pipes are.
pub(super) struct Recipe {
    pub(super) command: Vec<OsString>,
    /// The size of each pipe in bytes, if the system allows it.
    pub(super) pipe: usize,
}

/// Why there is no answer.
pub(super) enum Failed {
    /// Something is wrong with the child or its answer; it may be tried again.
    Fault(Fault),
    /// The run cannot go on.
    Run(Error),
    /// The run is to end.
    Stopped,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed::Fault(fault)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Run(error)
    }
}

/// How long to wait for an answer, and whether to wait at all.
pub(super) struct Patience<'s> {
    pub(super) timeout: Duration,
    pub(super) since: Instant,
    pub(super) stopped: &'s (dyn Fn() -> bool + Sync),
}

impl Patience<'_> {
    /// The time that is left; none if the run is to end.
    fn left(&self) -> Result<Duration, Failed> {
        if (self.stopped)() {
            return Err(Failed::Stopped);
        }
        match self.timeout.checked_sub(self.since.elapsed()) {
            None | Some(Duration::ZERO) => Err(Fault::Timeout { after: self.timeout, left_behind: false }.into()),
            Some(left) => Ok(left),
        }
    }
}

/// A process that leads a group, with pipes to its standard streams. It is ended, with its group, when dropped.
pub(super) struct Child {
    process: std::process::Child,
    group: i32,
    stdin: Option<PipeWriter>,
    /// The other end of the closed standard input, to see what was not read.
    unread: Option<File>,
    stdout: PipeReader,
    stderr: Option<PipeReader>,
    pub(super) told: Told,
    ended: bool,
}

impl Child {
    /// Starts the command.
    pub(super) fn start(recipe: &Recipe, environment: [(&str, String); 2], told: Told) -> io::Result<Child> {
        let (stdin_there, stdin) = io::pipe()?;
        let (stdout, stdout_there) = io::pipe()?;
        let (stderr, stderr_there) = io::pipe()?;
        widen(&stdin, recipe.pipe);
        widen(&stdout, recipe.pipe);
        for end in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let (program, arguments) = recipe.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(environment).process_group(0);
        command.stdin(Stdio::from(stdin_there)).stdout(Stdio::from(stdout_there)).stderr(Stdio::from(stderr_there));
        let process = children::start(&mut command)?;
        Ok(Child {
            group: process.id() as i32,
            process,
            stdin: Some(stdin),
            unread: None,
            stdout,
            stderr: Some(stderr),
            told,
            ended: false,
        })
    }

    /// Gives the child something to read, and takes its answer. Where the answer ends with the output, the input is closed
    /// after what is given, and the child has ended well when it is there.
    pub(super) fn ask(
        &mut self,
        mut given: &[&[u8]],
        until: Until<'_>,
        answer: &mut Answer<'_>,
        patience: &Patience<'_>,
    ) -> Result<(), Failed> {
        let mut written = 0;
        let mut broken = false;
        loop {
            broken |= self.give(&mut given, &mut written)?;
            if given.is_empty() && until == Until::Closed {
                self.close_stdin();
            }
            self.wait(true, !given.is_empty(), patience)?;
            let more = self.read_answer(until, answer)?;
            match more {
                Some(Progress::Whole) => {
                    // What was said before the end of the answer belongs to this batch.
                    self.read_all_told();
                    return if given.is_empty() && !broken { Ok(()) } else { Err(Fault::ClosedInput.into()) };
                }
                Some(Progress::Begun) => {}
                None => break,
            }
        }
        // The output is closed. A command may have nothing to say, and yet read what it gets.
        while until == Until::Closed && !given.is_empty() && !broken {
            self.wait(false, true, patience)?;
            broken = self.give(&mut given, &mut written)?;
        }
        match until {
            Until::Closed => self.close_stdin(),
            Until::Lines(_) | Until::Line(_) => self.stdin = None,
        }
        let status = self.wait_for_end(patience)?;
        if !status.success() {
            return Err(Fault::Exit(status).into());
        }
        if until != Until::Closed {
            return Err(Fault::NoAnswer.into());
        }
        if broken || !given.is_empty() || self.unread.as_mut().is_some_and(has_more) {
            return Err(Fault::ClosedInput.into());
        }
        if answer.ends_within_line() {
            return Err(Fault::HalfLine.into());
        }
        Ok(())
    }

    /// Writes as much as the pipe takes. Says whether nobody reads from it any more.
    fn give(&mut self, given: &mut &[&[u8]], written: &mut usize) -> Result<bool, Failed> {
        while let (Some(stdin), Some(piece)) = (&mut self.stdin, given.first()) {
            match stdin.write(&piece[*written..]) {
                Ok(len) => *written += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.stdin = None;
                    return Ok(true);
                }
                Err(error) => return Err(Fault::Pipe(error).into()),
            }
            if *written == piece.len() {
                (*given, *written) = (&given[1..], 0);
            }
        }
        Ok(false)
    }

    /// Waits until something can be read or written, of that which is wanted.
    fn wait(&mut self, reads: bool, writes: bool, patience: &Patience<'_>) -> Result<(), Failed> {
        loop {
            let left = match patience.left() {
                Err(Failed::Fault(Fault::Timeout { after, .. })) => {
                    return Err(Fault::Timeout { after, left_behind: children::has_ended(self.group) }.into());
                }
                left => left?,
            };
            let mut fds = Vec::with_capacity(3);
            fds.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr.as_fd(), PollFlags::POLLIN)));
            if reads {
                fds.push(PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN));
            }
            if writes {
                fds.extend(self.stdin.as_ref().map(|stdin| PollFd::new(stdin.as_fd(), PollFlags::POLLOUT)));
            }
            let ready = match poll(&mut fds, timeout(left.min(GLANCE))) {
                Err(nix::errno::Errno::EINTR) => continue,
                ready => ready.map_err(|error| Fault::Pipe(error.into()))?,
            };
            let events: Vec<bool> =
                fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect();
            let told = self.stderr.is_some() && events.first() == Some(&true);
            if told {
                self.read_told();
            }
            let only_told = told && events.iter().filter(|event| **event).count() == 1;
            if ready > 0 && !only_told {
                return Ok(());
            }
            if ready == 0 && children::has_failed(self.group) {
                // Something that it started holds the output open; there is nothing to wait for.
                return Err(Fault::Exit(self.reap().map_err(Fault::Pipe)?).into());
            }
        }
    }

    /// Reads what there is of an answer, or some of it. `None` at its end.
    fn read_answer(&mut self, until: Until<'_>, answer: &mut Answer<'_>) -> Result<Option<Progress>, Failed> {
        // So much at a time that a flood cannot keep the thread from the time and the other pipes.
        let mut left = FLOOD;
        loop {
            match answer.read(&mut self.stdout)? {
                Ok(0) => return Ok(None),
                Ok(_) if left == 0 => return Ok(Some(answer.look(until)?)),
                Ok(len) => {
                    left = left.saturating_sub(len);
                    if answer.look(until)? == Progress::Whole {
                        return Ok(Some(Progress::Whole));
                    }
                    // Once more at least, or the end would need another round.
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(Progress::Begun)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Pipe(error).into()),
            }
        }
    }

    /// Whether there is something to read before anything was asked, or the output was closed.
    pub(super) fn speaks_unasked(&self) -> bool {
        let mut fds = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Whether it has ended already.
    pub(super) fn has_ended(&self) -> bool {
        self.ended || children::has_ended(self.group)
    }

    /// Ends the child. Gives the end of what it has written to standard error.
    pub(super) fn end_now(mut self) -> String {
        self.terminate();
        self.told.tail()
    }

    /// Closes the input, so that the child ends. What it writes then is dropped; whether there was something, and how it ended.
    ///
    /// # Errors
    /// If it does not end.
    pub(super) fn end(mut self, patience: &Patience<'_>) -> Result<(ExitStatus, bool), Failed> {
        self.stdin = None;
        let mut spoke = false;
        let mut piece = [0; 4096];
        loop {
            self.wait(true, false, patience)?;
            match self.stdout.read(&mut piece) {
                Ok(0) => break,
                Ok(_) => spoke = true,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(Fault::Pipe(error).into()),
            }
        }
        Ok((self.wait_for_end(patience)?, spoke))
    }

    /// Closes the input.
    fn close_stdin(&mut self) {
        let Some(stdin) = self.stdin.take() else { return };
        // Where there is no such way to the other end, it is not known what was not read.
        let other_end = format!("/proc/self/fd/{}", stdin.as_raw_fd());
        self.unread = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(other_end).ok();
    }

    /// Waits for the end of a child that has closed its output, and ends what it left behind.
    fn wait_for_end(&mut self, patience: &Patience<'_>) -> Result<ExitStatus, Failed> {
        let mut pause = Duration::from_micros(30);
        while !children::has_ended(self.group) {
            let left = patience.left()?;
            match &self.stderr {
                Some(stderr) if pause > Duration::from_millis(1) => {
                    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)];
                    if poll(&mut fds, timeout(left.min(pause))).is_ok_and(|ready| ready > 0) {
                        self.read_told();
                    }
                }
                _ => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        self.reap().map_err(|error| Fault::Pipe(error).into())
    }

    /// Waits for a child that has ended, and ends all that it has started.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if !self.ended {
            self.ended = true;
            // As long as it was not waited for, the group's number is not given to others.
            children::send(self.group, Signal::SIGKILL);
            children::forget(&self.process);
        }
        let status = self.process.wait();
        self.read_all_told();
        self.told.end();
        status
    }

    /// Passes on all that is there of the standard error; not all that somebody may write there without end.
    fn read_all_told(&mut self) {
        const MOST: usize = 128;
        for _ in 0..MOST {
            if !self.read_told() {
                break;
            }
        }
    }

    /// Passes on what is there of the standard error, or some of it. Whether there was something.
    fn read_told(&mut self) -> bool {
        // So much at a time that a flood cannot keep the thread from the other pipes.
        let mut piece = [0; 16 << 10];
        let Some(stderr) = &mut self.stderr else { return false };
        match stderr.read(&mut piece) {
            Ok(len @ 1..) => {
                self.told.add(&piece[..len]);
                return true;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Ok(_) | Err(_) => self.stderr = None,
        }
        false
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.terminate();
    }
}

impl Child {
    /// Ends the child, with its group, if it still runs.
    fn terminate(&mut self) {
        if self.ended {
            return;
        }
        children::send(self.group, Signal::SIGTERM);
        let start = Instant::now();
        self.stdin = None;
        let mut pause = Duration::from_micros(100);
        while start.elapsed() < GRACE && !children::has_ended(self.group) {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        if !children::has_ended(self.group) {
            children::send(self.group, Signal::SIGKILL);
        }
        // Nobody asks any more how it ended.
        drop(self.reap());
    }
}

/// Whether there is something to read that nobody else reads any more.
fn has_more(pipe: &mut File) -> bool {
    matches!(pipe.read(&mut [0]), Ok(1))
}

fn timeout(time: Duration) -> PollTimeout {
    // Not less than a millisecond, as zero would not wait at all.
    PollTimeout::try_from(time.as_millis().max(1)).unwrap_or(PollTimeout::MAX)
}

/// Makes room in a pipe, as a wider one needs fewer switches between the processes. Where the system refuses, it stays.
fn widen(pipe: &impl AsFd, size: usize) {
    #[cfg(target_os = "linux")]
    if let Ok(size) = i32::try_from(size) {
        _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(size));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (pipe, size);
}
