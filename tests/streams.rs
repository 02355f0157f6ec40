//! Pipes, signals, terminals and compressed inputs.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{FOLDL, fixture, fixtures, folder, foldl, names, pipe, run, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Starts a run whose standard input and output are pipes.
fn start(folder: &Path, args: &[&str]) -> Child {
    let mut command = foldl(folder);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_closed_pipe_ends_quietly_with_0() {
    let orders = common::generate("orders", 20_000);
    let folder = folder();
    write(folder.path(), "orders.jsonl", &orders);
    for args in
        [&["select *", "orders.jsonl"][..], &["orderId, price", "orders.jsonl"], &["order by price", "orders.jsonl"]]
    {
        let mut child = start(folder.path(), args);
        let mut line = String::new();
        let mut stdout = BufReader::with_capacity(64, child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with('{'), "{line}");
        drop(stdout);
        assert_eq!(common::exit_code_within(&mut child, Duration::from_secs(10)), 0, "{args:?}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr, "", "{args:?}");
    }
}

#[test]
fn a_closed_pipe_ends_a_run_over_an_input_without_end() {
    let folder = folder();
    let mut yes = Command::new("yes").arg("{\"a\":1}").stdout(Stdio::piped()).spawn().unwrap();
    let mut command = foldl(folder.path());
    command.arg("a").stdin(yes.stdout.take().unwrap()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut byte = [0];
    child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(common::exit_code_within(&mut child, Duration::from_secs(10)), 0);
    yes.wait().unwrap();
}

#[test]
fn limit_ends_a_run_over_an_input_without_end() {
    let folder = folder();
    let mut yes = Command::new("yes").arg("{\"a\":1}").stdout(Stdio::piped()).spawn().unwrap();
    let mut command = foldl(folder.path());
    command.arg("a limit 3").stdin(yes.stdout.take().unwrap()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "{\"a\":1}\n".repeat(3));
    assert_eq!(common::exit_code_within(&mut child, Duration::from_secs(10)), 0);
    yes.wait().unwrap();
}

#[test]
fn a_pipe_that_stays_open_is_answered_line_by_line() {
    let folder = folder();
    for args in [
        &["a + 1 as b"][..],
        &["-j", "1", "a + 1 as b"],
        &["--line-buffered", "a + 1 as b"],
        &["a + 1 as b where a >= 0", "-"],
        &["--format", "csv", "a + 1 as b"],
        &["--rejects", "rejects.jsonl", "a + 1 as b"],
    ] {
        let mut child = start(folder.path(), args);
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut answer = String::new();
        for number in 0..20 {
            writeln!(stdin, "{{\"a\":{number}}}").unwrap();
            answer.clear();
            stdout.read_line(&mut answer).unwrap();
            if answer == "b\n" {
                answer.clear();
                stdout.read_line(&mut answer).unwrap();
            }
            let next = number + 1;
            assert!([format!("{{\"b\":{next}}}\n"), format!("{next}\n")].contains(&answer), "{args:?}: {answer}");
        }
        // Half a line is kept until it is whole.
        stdin.write_all(b"{\"a\":").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        stdin.write_all(b"99}").unwrap();
        drop(stdin);
        answer.clear();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.contains("100"), "{args:?}: {answer}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn signals_end_the_run_and_leave_no_temporary_file() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        for query in ["select *", "count(*) group by a", "order by a"] {
            let folder = folder();
            write(folder.path(), "out.jsonl", "old\n");
            let mut child = start(folder.path(), &["-o", "out.jsonl", query]);
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"{\"a\":1}\n").unwrap();
            wait_for("the temporary file", || names(folder.path()).len() == 2);
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            assert_eq!(common::exit_code_within(&mut child, Duration::from_secs(2)), code, "{signal} {query}");
            assert_eq!(names(folder.path()), ["out.jsonl"], "{signal} {query}");
            assert_eq!(std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap(), "old\n");
        }
    }
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let folder = folder();
    let script = format!("trap '' HUP; exec {FOLDL} -o out.jsonl a");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"a\":1}\n").unwrap();
    wait_for("the temporary file", || names(folder.path()).len() == 1);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(names(folder.path()), ["out.jsonl"]);
}

#[test]
fn a_dash_is_standard_input_among_files() {
    let folder = folder();
    write(folder.path(), "a.jsonl", "{\"a\":1}\n");
    write(folder.path(), "b.jsonl", "{\"a\":3}\n");
    let output = pipe(folder.path(), &["_file, _line, a", "a.jsonl", "-", "b.jsonl"], b"{\"a\":2}").exits(0);
    let expected = "{\"_file\":\"a.jsonl\",\"_line\":1,\"a\":1}\n{\"_file\":\"-\",\"_line\":1,\"a\":2}\n{\"_file\":\"b.jsonl\",\"_line\":1,\"a\":3}\n";
    assert_eq!(output.text(), expected);
}

#[test]
fn a_redirected_file_is_read_from_where_the_shell_stands() {
    let folder = folder();
    write(folder.path(), "a.jsonl", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    let script = format!("{{ read first; {FOLDL} a; }} < a.jsonl");
    let mut command = Command::new("sh");
    let output = command.args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"a\":2}\n{\"a\":3}\n");
}

#[test]
fn a_named_pipe_is_read() {
    let folder = folder();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let child = start(folder.path(), &["sum(a) as s", "pipe"]);
    std::fs::write(&path, "{\"a\":1}\n{\"a\":2}\n").unwrap();
    let output = common::finish(child, &[]).exits(0).says_nothing();
    assert_eq!(output.text(), "{\"s\":3}\n");
}

#[test]
fn a_file_of_proc_is_read_although_its_size_is_0() {
    let output = run(Path::new("."), &["--max-line", "1MiB", "count(*) as n", "/proc/version"]).exits(0);
    assert_eq!(output.text(), "{\"n\":0}\n");
    assert!(output.stderr.contains("skipped 1 of 1 line"), "{}", output.stderr);
}

/// A name, and the function that compresses.
type Codec = (&'static str, fn(&[u8]) -> Vec<u8>);

const CODECS: [Codec; 5] = [
    ("gz", |bytes| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
    ("zst", |bytes| zstd::encode_all(bytes, 1).unwrap()),
    ("bz2", |bytes| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
    ("xz", |bytes| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
    ("lz4", |bytes| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }),
];

#[test]
fn compressed_inputs_give_the_same_bytes() {
    let folder = folder();
    let plain = fixture("orders.jsonl");
    write(folder.path(), "plain", &plain);
    let query = "_line, _offset, orderId, price where quantity > 1";
    let args = |extra: &[&'static str]| [extra, &["--rejects", "rejects.jsonl", query]].concat();
    let rejects = || std::fs::read_to_string(folder.path().join("rejects.jsonl")).unwrap();
    let expected = run(folder.path(), &args(&["-q"]).iter().copied().chain(["plain"]).collect::<Vec<_>>()).exits(0);
    let expected_rejects = rejects();
    let half = plain.len() / 2;
    for (name, compress) in CODECS {
        let whole = compress(&plain);
        // The second member starts in the middle of a line, and an empty one lies between them.
        let members = [compress(&plain[..half]), compress(b""), compress(&plain[half..])].concat();
        for (content, what) in [(&whole, "one member"), (&members, "three members")] {
            for block in ["1000", "524288"] {
                write(folder.path(), "compressed", content);
                let extra = ["-q", "--block-size", block];
                let by_file: Vec<&str> = args(&extra).into_iter().chain(["compressed"]).collect();
                let output = run(folder.path(), &by_file).exits(0);
                assert!(output == expected, "{name}, {what}, blocks of {block}");
                assert_eq!(rejects().replace("\"compressed\"", "\"plain\""), expected_rejects, "{name}, {what}");
                let output = pipe(folder.path(), &args(&extra), content).exits(0);
                assert!(output == expected, "{name}, {what}, blocks of {block}, standard input");
                assert_eq!(rejects().replace("null", "\"plain\""), expected_rejects.replace("null", "\"plain\""));
            }
        }
        write(folder.path(), "cut", &whole[..whole.len() - whole.len() / 3]);
        run(folder.path(), &["-q", "count(*)", "cut"]).exits(5).says("cut");
    }
}

#[test]
fn compressed_and_plain_files_stand_side_by_side() {
    let folder = folder();
    let line = |number: usize| format!("{{\"a\":{number}}}");
    let mut args = vec!["a".to_owned(), "plain".to_owned()];
    write(folder.path(), "plain", line(0));
    for (number, (name, compress)) in CODECS.iter().enumerate() {
        write(folder.path(), name, compress(line(number + 1).as_bytes()));
        args.push((*name).to_owned());
    }
    let output = run(folder.path(), &args.iter().map(String::as_str).collect::<Vec<_>>()).exits(0);
    assert_eq!(output.text(), (0..=5).map(|number| line(number) + "\n").collect::<String>());
}

/// Runs a shell command on a terminal of its own, and gives what the terminal got. `None` if there is no `script`.
fn on_a_terminal(command: &str) -> Option<String> {
    let mut script = Command::new("script");
    script.args(["-qec", command, "/dev/null"]).stdin(Stdio::null()).env_remove("NO_COLOR").env("TERM", "xterm");
    match script.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(err) => {
            assert!(std::env::var_os("CI").is_none(), "the command `script` is missing: {err}");
            eprintln!("SKIPPED: the command `script` (util-linux) is missing, so no terminal can be had: {err}");
            None
        }
    }
}

#[test]
fn a_terminal_as_input_is_wrong_usage_with_help() {
    let Some(shown) = on_a_terminal(&format!("{FOLDL} 'select *'; echo code $?")) else { return };
    assert!(shown.contains("no input") && shown.contains("code 2"), "{shown}");
    let Some(shown) = on_a_terminal(&format!("{FOLDL}; echo code $?")) else { return };
    assert!(shown.contains("Usage:") && shown.contains("code 2"), "{shown}");
}

#[test]
fn a_terminal_gets_colour_unless_it_is_not_wanted() {
    let wrong = format!("{FOLDL} 'cuont(*)'");
    let Some(shown) = on_a_terminal(&wrong) else { return };
    assert!(shown.contains("\x1b["), "{shown:?}");
    for command in [format!("NO_COLOR=1 {wrong}"), format!("{wrong} --color never"), format!("{wrong} 2>&1 | cat")] {
        let shown = on_a_terminal(&command).unwrap_or_default();
        assert!(shown.contains("there is no function") && !shown.contains('\x1b'), "{command}: {shown:?}");
    }
}

#[test]
fn the_output_is_the_same_on_a_terminal() {
    let file = fixtures().join("orders-day1.jsonl");
    let query = "status, count(*) as n group by status";
    let Some(shown) = on_a_terminal(&format!("{FOLDL} \"{query}\" {}", file.display())) else { return };
    let piped = run(Path::new("."), &[query, file.to_str().unwrap()]).exits(0);
    assert_eq!(shown.replace("\r\n", "\n"), piped.text());
}

#[test]
fn a_compressed_pipe_that_stays_open_is_answered_line_by_line() {
    let folder = folder();
    let mut child = start(folder.path(), &["where a > 0"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for a in 1..=3 {
        let line = format!("{{\"a\":{a}}}\n");
        encoder.write_all(line.as_bytes()).unwrap();
        encoder.flush().unwrap();
        stdin.write_all(&std::mem::take(encoder.get_mut())).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }
    stdin.write_all(&encoder.finish().unwrap()).unwrap();
    drop(stdin);
    assert_eq!(common::exit_code_within(&mut child, Duration::from_secs(10)), 0);
}
