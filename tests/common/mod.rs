//! What the tests of the binary share: starting it, and what it left behind.

// Each file in tests/ is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const FOLDL: &str = env!("CARGO_BIN_EXE_foldl");

/// How a run ended and what it wrote.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("the output is UTF-8")
    }

    /// The same, after a check of the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(self.code, code, "exit code; standard error:\n{}", self.stderr);
        self
    }

    /// The same, after a check that standard error has some text.
    #[track_caller]
    pub fn says(self, text: &str) -> Output {
        assert!(self.stderr.contains(text), "`{text}` is missing in standard error:\n{}", self.stderr);
        self
    }

    /// The same, after a check that standard error is empty.
    #[track_caller]
    pub fn says_nothing(self) -> Output {
        assert_eq!(self.stderr, "", "standard error");
        self
    }
}

/// A command that runs the program in a folder, without the settings of whoever runs the tests.
pub fn foldl(folder: &Path) -> Command {
    let mut command = Command::new(FOLDL);
    command.current_dir(folder).env_remove("FOLDL_THREADS").env_remove("FOLDL_MEMORY_LIMIT").env_remove("NO_COLOR");
    command.stdin(Stdio::null());
    command
}

/// Runs the program in a folder without standard input.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    finish(foldl(folder).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("foldl starts"), &[])
}

/// Runs the program in a folder with these bytes on standard input.
pub fn pipe(folder: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut command = foldl(folder);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("foldl starts"), stdin)
}

/// Feeds a child whose output is piped, and waits for its end.
pub fn finish(mut child: Child, stdin: &[u8]) -> Output {
    let pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let Some(mut pipe) = pipe else { return };
            match pipe.write_all(stdin) {
                // A query with a limit does not read everything.
                Err(err) if err.kind() != ErrorKind::BrokenPipe => panic!("standard input: {err}"),
                _ => {}
            }
        });
        child.wait_with_output().expect("foldl ends")
    });
    Output {
        code: output.status.code().unwrap_or_else(|| panic!("ended by {}", output.status)),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
    }
}

/// Waits for a child's end, for at most some time.
pub fn exit_code_within(child: &mut Child, limit: Duration) -> i32 {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status.code().unwrap_or_else(|| panic!("ended by {status}"));
        }
        if start.elapsed() > limit {
            child.kill().expect("the child can be killed");
            panic!("still running after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder for one test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for temporary files")
}

/// Writes a file in a folder and gives its path.
pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("the file can be written");
    path
}

/// The names of what is in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a UTF-8 name")).collect();
    names.sort();
    names
}

/// The folder of the fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The content of a fixture.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).expect("the fixture can be read")
}

/// Invented records, as the program's own generator makes them.
pub fn generate(kind: &str, rows: u64) -> Vec<u8> {
    let rows = rows.to_string();
    run(Path::new("."), &["generate", kind, "--rows", &rows, "--seed", "7"]).exits(0).stdout
}
