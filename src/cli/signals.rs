//! Signals: the process ends at once, without leaving temporary files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Ends the process on SIGHUP, SIGINT and SIGTERM with the exit codes 129, 130 and 143.
///
/// A signal that was ignored when the process started stays ignored, so that `nohup` works.
pub(super) fn handle() {
    let wanted = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal));
    // Without handlers the signals still end the process; only temporary files would stay.
    let Ok(mut signals) = Signals::new(wanted) else { return };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            RECEIVED.store(signal, Ordering::SeqCst);
            if LETS_END.load(Ordering::SeqCst) {
                // The run writes a checkpoint if it has any, and removes what it has staged if not.
                foldl::exec::interrupt();
                std::thread::sleep(PATIENCE);
            }
            foldl::map::end_children();
            foldl::output::remove_temporary_files();
            std::process::exit(128 + signal);
        }
    });
}

/// Has the system keep the exit status of children until it is asked for. It does not where the process that has started this one
/// ignores that children end.
pub(super) fn keep_exit_statuses() -> std::io::Result<()> {
    if is_ignored(SIGCHLD) {
        signal_hook::flag::register(SIGCHLD, Arc::default())?;
    }
    Ok(())
}

/// The signal that was received, or 0.
static RECEIVED: AtomicI32 = AtomicI32::new(0);
/// Whether a signal lets a run end by itself.
static LETS_END: AtomicBool = AtomicBool::new(false);
/// How long that may take.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Lets the run that begins now end by itself before a signal ends the process.
pub(super) fn let_end() {
    LETS_END.store(true, Ordering::SeqCst);
}

/// Whether a signal was received.
pub(super) fn is_received() -> bool {
    RECEIVED.load(Ordering::SeqCst) != 0
}

/// Ends the process if a signal was received. To be called when the run has ended.
pub(super) fn end_if_received() {
    LETS_END.store(false, Ordering::SeqCst);
    match RECEIVED.load(Ordering::SeqCst) {
        0 => {}
        signal => {
            foldl::output::remove_temporary_files();
            std::process::exit(128 + signal);
        }
    }
}

/// Whether the process ignores a signal, as Linux tells in a mask of bits.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
