//! The process groups of all children that run now, so that a signal can end them.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// Whether no child may be started any more. Held for reading while one is started.
static CLOSED: RwLock<bool> = RwLock::new(false);
/// The groups, by the process that leads each.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How long children have to end themselves, and how long the system has after they were killed.
const PATIENCE: Duration = Duration::from_millis(500);

/// Starts a process that leads a group of its own.
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    let closed = CLOSED.read().unwrap_or_else(PoisonError::into_inner);
    if *closed {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let child = command.spawn()?;
    groups().insert(child.id() as i32);
    Ok(child)
}

/// Forgets a process that has ended. It must still be waited for, as its number may be given to another one after that.
pub(super) fn forget(child: &Child) {
    groups().remove(&(child.id() as i32));
}

/// Ends all children with all processes that they started, and waits for that, for a second at most. No more children can
/// be started.
pub fn end_children() {
    *CLOSED.write().unwrap_or_else(PoisonError::into_inner) = true;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let start = Instant::now();
        groups().iter().for_each(|&group| send(group, signal));
        while start.elapsed() < PATIENCE && !groups().is_empty() {
            // Whoever has started a process waits for it, too; it does not matter who comes first.
            let ended: Vec<i32> = groups().iter().copied().filter(|&group| has_ended(group)).collect();
            for group in ended {
                send(group, Signal::SIGKILL);
                groups().remove(&group);
                _ = waitpid(Pid::from_raw(group), Some(WaitPidFlag::WNOHANG));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether [`end_children`] was called.
pub fn are_ended() -> bool {
    *CLOSED.read().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a signal to all processes of a group, if there are any.
pub(super) fn send(group: i32, signal: Signal) {
    match killpg(Pid::from_raw(group), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        // Those that have got other rights end themselves, or hold the run up until its timeout.
        Err(_) => {}
    }
}

/// Whether the process that leads a group has ended. It is still there to be waited for.
pub(super) fn has_ended(group: i32) -> bool {
    !matches!(state(group), Ok(WaitStatus::StillAlive))
}

/// The same, with a status other than 0 or by a signal.
pub(super) fn has_failed(group: i32) -> bool {
    !matches!(state(group), Ok(WaitStatus::StillAlive | WaitStatus::Exited(_, 0)))
}

fn state(group: i32) -> nix::Result<WaitStatus> {
    waitid(Id::Pid(Pid::from_raw(group)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG)
}

fn groups() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}
