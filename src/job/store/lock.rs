//! Locks: who works on a state directory or a destination, for one run at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use crate::error::{Error, ErrorKind, Place, Result};

/// What to do about a lock that another run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Give [`ErrorKind::Locked`].
    No,
    /// Wait until it is free.
    Yes,
}

/// Who holds a lock: what the lock file says, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    host: String,
    /// Its run, once it has one.
    run: Option<String>,
    /// When it took the lock, in UTC.
    since: String,
}

/// A lock that is held until it is dropped, or the process ends in whatever way.
///
/// It is `flock(2)` on a file that stays, and so never outlives the process. What is in the file is only for the error
/// message of others.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a file, which is made if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another run holds it and `wait` is [`Wait::No`]; [`ErrorKind::Output`] if the file
    /// cannot be made or written.
    pub fn take(path: &Path, run: Option<&str>, wait: Wait) -> Result<Lock> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(|error| disk::failed("open the lock", path, error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if wait == Wait::No => return Err(held(&file, path)),
                Err(TryLockError::WouldBlock) => {
                    file.lock().map_err(|error| disk::failed("wait for the lock", path, error))?;
                }
                Err(TryLockError::Error(error)) => return Err(disk::failed("lock", path, error)),
            }
            // Somebody may have removed the file while it was waited for, and locked another one of that name.
            let ours = file.metadata().map_err(|error| disk::failed("look at", path, error))?;
            if disk::metadata(path)?.is_some_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                let mut lock = Lock { file, path: path.to_owned() };
                lock.tell(run)?;
                return Ok(lock);
            }
        }
    }

    /// Writes who holds the lock.
    pub(super) fn tell(&mut self, run: Option<&str>) -> Result<()> {
        let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
        let holder = Holder {
            pid: std::process::id(),
            host: host.unwrap_or_default(),
            run: run.map(str::to_owned),
            since: now(),
        };
        let fail = |error| disk::failed("write the lock", &self.path, error);
        let mut text = serde_json::to_vec(&holder).map_err(|error| fail(error.into()))?;
        text.push(b'\n');
        // Nothing depends on it, so it need not reach the disk.
        self.file.set_len(0).and_then(|()| self.file.write_all_at(&text, 0)).map_err(fail)
    }
}

/// The time, in UTC, to the second.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

fn held(file: &File, path: &Path) -> Error {
    let mut text = vec![0; 4096];
    // Whoever took it just now may not have written it yet.
    let holder = file.read_at(&mut text, 0).ok().and_then(|len| serde_json::from_slice::<Holder>(&text[..len]).ok());
    let message = match holder {
        Some(Holder { pid, host, run, since }) => {
            let run = run.map(|run| format!("run {run}, ")).unwrap_or_default();
            format!("another run holds the lock: {run}process {pid} on {host}, since {since}")
        }
        None => "another run holds the lock".to_owned(),
    };
    Error::new(ErrorKind::Locked, message)
        .at(Place::File(path.to_owned()))
        .hint("run again when it has ended, or wait for it with --wait")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path, Some("r-1"), Wait::No).unwrap();
        let error = Lock::take(&path, Some("r-2"), Wait::No).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        let text = error.to_string();
        assert!(text.contains("run r-1") && text.contains(&format!("process {}", std::process::id())), "{text}");
        drop(lock);
        Lock::take(&path, None, Wait::No).unwrap();
    }

    #[test]
    fn what_a_dead_process_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, b"{\"pid\":1,\"host\":\"gone\",\"run\":null,\"since\":\"x\"}\n and more of it").unwrap();
        let _lock = Lock::take(&path, Some("r"), Wait::No).unwrap();
        let holder: Holder = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(holder.run.as_deref(), Some("r"));
    }

    #[test]
    fn an_unreadable_lock_file_is_still_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _lock = Lock::take(&path, None, Wait::No).unwrap();
        std::fs::write(&path, b"\xff{").unwrap();
        assert_eq!(Lock::take(&path, None, Wait::No).unwrap_err().kind(), ErrorKind::Locked);
    }

    #[test]
    fn waiting_ends_when_the_lock_is_free_even_if_its_file_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for removed in [false, true] {
            let lock = Lock::take(&path, None, Wait::No).unwrap();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| Lock::take(&path, Some("second"), Wait::Yes).unwrap());
                std::thread::sleep(Duration::from_millis(20));
                if removed {
                    std::fs::remove_file(&path).unwrap();
                }
                drop(lock);
                let _second = waiting.join().unwrap();
                assert_eq!(Lock::take(&path, None, Wait::No).unwrap_err().kind(), ErrorKind::Locked);
            });
        }
    }
}
