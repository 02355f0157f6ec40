//! Failpoints: named places between two durable operations, at which a test lets the process die or an operation fail.
//!
//! They exist only with the feature `failpoints`; otherwise `hit` is nothing at all. With it, the environment variable
//! `FOLDL_FAILPOINT` holds `NAME[@N][=ACTION]`: at the Nth (default: first) time that NAME is passed, do ACTION. NAME
//! `*` counts all of them. Actions:
//!
//! | action | what happens |
//! | --- | --- |
//! | `kill` (default) | the process sends itself SIGKILL |
//! | `eio`, `enospc`, `eacces` | the operation fails once with that error, before it does anything |
//! | `eio+`, `enospc+`, `eacces+` | so do all operations from then on |

/// Every name that `hit` is called with.
///
/// Those that start with `disk.` stand before each operation on the disk of that kind; the others between two steps
/// of a commit, a recovery or a checkpoint, in the order of these.
pub const NAMES: &[&str] = &[
    "disk.make_dir",
    "disk.create",
    "disk.write",
    "disk.truncate",
    "disk.sync",
    "disk.sync_dir",
    "disk.rename",
    "disk.link",
    "disk.remove",
    "disk.remove_tree",
    "begin.intended",
    "begin.locked",
    "position.flushed",
    "position.synced",
    "resume.truncated",
    "commit.staged",
    "commit.checked",
    "commit.claimed",
    "commit.written",
    "commit.published",
    "apply.started",
    "apply.unmarked",
    "apply.moved_away",
    "apply.away",
    "apply.placed_one",
    "apply.placed",
    "apply.loose",
    "apply.marked",
    "apply.settled",
    "apply.applied",
    "cleanup.checkpoint",
    "cleanup.staging",
    "cleanup.done",
    "recover.verified",
    "fail.moved",
    "fail.published",
];

/// Does at a place what `FOLDL_FAILPOINT` says.
///
/// # Errors
/// The error that it asks for.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(super) fn hit(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use with_feature::hit;

#[cfg(feature = "failpoints")]
mod with_feature {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    struct Plan {
        name: String,
        at: u64,
        /// `None` is the end of the process.
        error: Option<Errno>,
        from_then_on: bool,
    }

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// Does at a place what `FOLDL_FAILPOINT` says.
    ///
    /// # Errors
    /// The error that it asks for.
    pub fn hit(name: &'static str) -> io::Result<()> {
        debug_assert!(super::NAMES.contains(&name), "{name} is not in the list of failpoints");
        let Some(plan) = PLAN.get_or_init(plan) else { return Ok(()) };
        if plan.name != "*" && plan.name != name {
            return Ok(());
        }
        let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if passed != plan.at && !(plan.from_then_on && passed > plan.at) {
            return Ok(());
        }
        if let Some(error) = plan.error {
            return Err(error.into());
        }
        kill(Pid::this(), Signal::SIGKILL)?;
        loop {
            std::thread::park();
        }
    }

    fn plan() -> Option<Plan> {
        let text = std::env::var("FOLDL_FAILPOINT").ok()?;
        let (place, action) = text.split_once('=').unwrap_or((&text, "kill"));
        let (name, at) = place.split_once('@').unwrap_or((place, "1"));
        let (error, from_then_on) = match action.strip_suffix('+') {
            Some(error) => (error, true),
            None => (action, false),
        };
        let error = match error {
            "kill" => None,
            "eio" => Some(Errno::EIO),
            "enospc" => Some(Errno::ENOSPC),
            "eacces" => Some(Errno::EACCES),
            other => panic!("FOLDL_FAILPOINT: there is no action {other}"),
        };
        let at = at.parse().unwrap_or_else(|_| panic!("FOLDL_FAILPOINT: {at} is no number"));
        Some(Plan { name: name.to_owned(), at, error, from_then_on })
    }
}
