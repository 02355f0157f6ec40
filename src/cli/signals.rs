//! Signals: the process ends at once, without leaving temporary files.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
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
            foldl::output::remove_temporary_files();
            std::process::exit(128 + signal);
        }
    });
}

/// Whether the process ignores a signal, as Linux tells in a mask of bits.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
