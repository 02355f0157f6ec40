//! The command line: exit codes, outputs, rejects, statistics, help.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{fixture, fixtures, folder, foldl, names, pipe, run, write};

const TWO: &str = "{\"a\":1}\n{\"a\":2}\n";

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

// Exit codes

#[test]
fn all_is_well_is_0() {
    pipe(Path::new("."), &["count(*) as n"], TWO.as_bytes()).exits(0).says_nothing();
}

#[test]
fn wrong_usage_is_2() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    let wrong: &[&[&str]] = &[
        &["--no-such-option", "a", "a.jsonl"],
        &["-j", "0", "a", "a.jsonl"],
        &["-j", "many", "a", "a.jsonl"],
        &["-j", "1025", "a", "a.jsonl"],
        &["-m", "1MiB", "a", "a.jsonl"],
        &["-m", "much", "a", "a.jsonl"],
        &["--max-errors", "101%", "a", "a.jsonl"],
        &["--max-errors", "-1", "a", "a.jsonl"],
        &["--max-line", "0", "a", "a.jsonl"],
        &["--max-depth", "0", "a", "a.jsonl"],
        &["--block-size", "0", "a", "a.jsonl"],
        &["--block-size", "2GiB", "a", "a.jsonl"],
        &["--on-error", "shrug", "a", "a.jsonl"],
        &["--format", "xml", "a", "a.jsonl"],
        &["--format", "csv", "select *", "a.jsonl"],
        &["-f", "missing.sql", "a.jsonl"],
        &["a from 'a.jsonl'", "a.jsonl"],
        &["generate", "nonsense"],
        &["completions", "nonsense"],
    ];
    for args in wrong {
        let output = run(folder.path(), args);
        assert_eq!(output.code, 2, "{args:?}: {}", output.stderr);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn no_query_is_wrong_usage_and_shows_the_help() {
    run(Path::new("."), &[]).exits(2).says("Usage: foldl [OPTIONS] QUERY [FILE]...").says("no query given");
}

#[test]
fn a_wrong_query_is_3() {
    run(Path::new("."), &["select a where"]).exits(3).says("foldl: error:");
    run(Path::new("."), &["select a where", "/no/such/file"]).exits(3);
}

#[test]
fn too_many_bad_lines_are_4() {
    let orders = fixture("orders.jsonl");
    let folder = fixtures();
    // 36 of 3,046 lines are bad: 1.18 %.
    for (args, code) in [
        (&["--max-errors", "35"][..], 4),
        (&["--max-errors", "36"], 0),
        (&["--max-errors", "1.1%"], 4),
        (&["--max-errors", "1.2%"], 0),
        (&["--max-errors", "0%"], 4),
        (&["--on-error", "fail"], 4),
        (&["--strict"], 0),
    ] {
        let file = [args, &["count(*) as n", "orders.jsonl"]].concat();
        run(&folder, &file).exits(code);
        let stdin = [args, &["count(*) as n"]].concat();
        pipe(&folder, &stdin, &orders).exits(code);
    }
    run(&folder, &["--strict", "sum(price)", "orders.jsonl"])
        .exits(4)
        .says("orders.jsonl:2501: `price` is not a number");
}

#[test]
fn inputs_that_cannot_be_read_are_5() {
    let folder = folder();
    run(folder.path(), &["a", "missing.jsonl"]).exits(5).says("missing.jsonl: ");
    run(folder.path(), &["a", "no-match-*.jsonl"]).exits(5).says("no-match-*.jsonl");
    run(folder.path(), &["a", "."]).exits(5).says("directory");
    run(folder.path(), &["a from 'missing.jsonl'"]).exits(5).says("missing.jsonl: ");
    // Reading a process's memory from its start fails, even for root.
    run(folder.path(), &["a", "/proc/self/mem"]).exits(5).says("/proc/self/mem: ");
    write(folder.path(), "good.jsonl", TWO);
    run(folder.path(), &["a", "good.jsonl", "missing.jsonl"]).exits(5);
    let secret = write(folder.path(), "secret.jsonl", TWO);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&secret).is_err() {
        run(folder.path(), &["a", "secret.jsonl"]).exits(5).says("secret.jsonl: ");
    }
}

#[test]
fn outputs_that_cannot_be_written_are_5() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    for args in [
        &["-o", "no/such/folder/x", "a", "a.jsonl"][..],
        &["-o", "/proc/x", "a", "a.jsonl"],
        &["--rejects", "no/such/folder/x", "a", "a.jsonl"],
        &["--stats-json", "no/such/folder/x", "a", "a.jsonl"],
    ] {
        run(folder.path(), args).exits(5).says("foldl: error: ");
    }
    assert_eq!(names(folder.path()), ["a.jsonl"]);
}

#[test]
fn a_full_device_is_5_and_soon() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    write(folder.path(), "bad.jsonl", "bad\n");
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let within = |mut command: std::process::Command| {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        common::exit_code_within(&mut child, Duration::from_secs(10))
    };
    for args in [
        &["select *", "a.jsonl"][..],
        &["a", "a.jsonl"],
        &["count(*)", "a.jsonl"],
        &["order by a", "a.jsonl"],
        &["--format", "json", "a", "a.jsonl"],
        &["--format", "csv", "a", "a.jsonl"],
        &["--format", "table", "a", "a.jsonl"],
        &["--explain", "a"],
        &["generate", "orders", "--rows", "100000"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ] {
        let mut command = foldl(folder.path());
        command.args(args).stdout(full());
        assert_eq!(within(command), 5, "{args:?}");
    }
    for args in [
        &["-o", "/dev/full", "a", "a.jsonl"][..],
        &["--rejects", "/dev/full", "a", "bad.jsonl"],
        &["--stats-json", "/dev/full", "a", "a.jsonl"],
    ] {
        let mut command = foldl(folder.path());
        command.args(args).stdout(Stdio::null());
        assert_eq!(within(command), 5, "{args:?}");
    }
    // An input without end.
    let mut command = foldl(folder.path());
    command.args(["this as r", "/dev/stdin"]).stdout(full());
    let mut yes = std::process::Command::new("yes").arg("{}").stdout(Stdio::piped()).spawn().unwrap();
    command.stdin(yes.stdout.take().unwrap());
    assert_eq!(within(command), 5);
    yes.wait().unwrap();
}

#[test]
fn a_truncated_or_damaged_archive_is_5() {
    let folder = folder();
    let whole = fixture("orders.jsonl.gz");
    write(folder.path(), "cut.gz", &whole[..whole.len() - 5]);
    write(folder.path(), "short.gz", &whole[..12]);
    let mut damaged = whole.clone();
    damaged[whole.len() / 3] ^= 0x55;
    write(folder.path(), "damaged.gz", damaged);
    for name in ["cut.gz", "short.gz", "damaged.gz"] {
        run(folder.path(), &["count(*)", name]).exits(5).says(name);
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        pipe(folder.path(), &["count(*)"], &bytes).exits(5);
    }
}

#[test]
fn the_memory_limit_is_6_with_the_limit_that_would_do() {
    let folder = folder();
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(40_000));
    write(folder.path(), "wide.jsonl", line.repeat(1000));
    let args = ["-m", "32MiB", "--format", "table", "a", "wide.jsonl"];
    let output = run(folder.path(), &args).exits(6).says("memory limit").says("help: ");
    assert!(output.stderr.contains("--memory-limit") || output.stderr.contains("-m"), "{}", output.stderr);
}

#[test]
fn the_first_error_is_told_once_and_nothing_else() {
    let output = run(Path::new("."), &["a", "missing.jsonl"]).exits(5);
    assert_eq!(output.stderr.matches("foldl: error:").count(), 1, "{}", output.stderr);
    assert_eq!(output.stdout, b"");
}

// Outputs

#[test]
fn an_output_file_appears_when_all_is_well() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    let output = run(folder.path(), &["-o", "out.jsonl", "a", "a.jsonl"]).exits(0).says_nothing();
    assert_eq!(output.stdout, b"");
    assert_eq!(read(&folder.path().join("out.jsonl")), TWO);
    assert_eq!(names(folder.path()), ["a.jsonl", "out.jsonl"]);
}

#[test]
fn an_output_is_compressed_as_its_name_says() {
    let folder = folder();
    let rows: String =
        (0..50_000).map(|number| format!("{{\"number\":{number},\"text\":\"of some length\"}}\n")).collect();
    write(folder.path(), "a.jsonl", &rows);
    for (name, magic) in [
        ("out.jsonl.gz", &b"\x1f\x8b"[..]),
        ("out.zst", b"\x28\xb5\x2f\xfd"),
        ("out.bz2", b"BZh"),
        ("out.xz", b"\xfd7zXZ"),
        ("out.lz4", b"\x04\x22\x4d\x18"),
    ] {
        run(folder.path(), &["-m", "32MiB", "-o", name, "*", "a.jsonl"]).exits(0).says_nothing();
        let packed = std::fs::read(folder.path().join(name)).unwrap();
        assert!(packed.starts_with(magic) && packed.len() < rows.len() / 4, "{name}: {}", packed.len());
        assert!(run(folder.path(), &["*", name]).exits(0).text() == rows, "{name}");
        // A file without a row is one that can be unpacked.
        run(folder.path(), &["-o", name, "where false", "a.jsonl"]).exits(0);
        assert_eq!(run(folder.path(), &["count(*) as n", name]).exits(0).text(), "{\"n\":0}\n", "{name}");
    }
    run(folder.path(), &["--rejects", "x.gz", "*", "a.jsonl"]).exits(2).says("without compression");
    assert!(!folder.path().join("x.gz").exists());
}

#[test]
fn a_failed_run_leaves_the_old_output() {
    let folder = folder();
    write(folder.path(), "a.jsonl", "{\"a\":1}\nbad\n");
    let out = write(folder.path(), "out.jsonl", "old\n");
    let inode = std::fs::metadata(&out).unwrap().ino();
    run(folder.path(), &["-o", "out.jsonl", "--on-error", "fail", "a", "a.jsonl"]).exits(4);
    run(folder.path(), &["-o", "out.jsonl", "--max-errors", "10%", "a", "a.jsonl"]).exits(4);
    run(folder.path(), &["-o", "out.jsonl", "a", "missing.jsonl"]).exits(5);
    run(folder.path(), &["-o", "out.jsonl", "a where"]).exits(3);
    assert_eq!(read(&out), "old\n");
    assert_eq!(std::fs::metadata(&out).unwrap().ino(), inode);
    assert_eq!(names(folder.path()), ["a.jsonl", "out.jsonl"]);
}

#[test]
fn a_replaced_output_keeps_its_mode() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    let out = write(folder.path(), "out.jsonl", "old\n");
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o640)).unwrap();
    run(folder.path(), &["-o", "out.jsonl", "a", "a.jsonl"]).exits(0);
    assert_eq!(read(&out), TWO);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_new_output_has_the_mode_of_any_new_file() {
    let folder = folder();
    let other = write(folder.path(), "a.jsonl", TWO);
    run(folder.path(), &["-o", "out.jsonl", "a", "a.jsonl"]).exits(0);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&folder.path().join("out.jsonl")), mode(&other));
}

#[test]
fn an_output_through_a_link_replaces_what_it_points_to() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    std::fs::create_dir(folder.path().join("real")).unwrap();
    write(&folder.path().join("real"), "out.jsonl", "old\n");
    symlink("real/out.jsonl", folder.path().join("link")).unwrap();
    run(folder.path(), &["-o", "link", "a", "a.jsonl"]).exits(0);
    assert!(folder.path().join("link").symlink_metadata().unwrap().is_symlink());
    assert_eq!(read(&folder.path().join("real/out.jsonl")), TWO);
    assert_eq!(names(&folder.path().join("real")), ["out.jsonl"]);
}

#[test]
fn an_output_through_a_dangling_link_makes_what_it_points_to() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    symlink("later.jsonl", folder.path().join("link")).unwrap();
    run(folder.path(), &["-o", "link", "a", "a.jsonl"]).exits(0);
    assert!(folder.path().join("link").symlink_metadata().unwrap().is_symlink());
    assert_eq!(read(&folder.path().join("later.jsonl")), TWO);
}

#[test]
fn an_output_may_be_the_input() {
    let folder = folder();
    let path = write(folder.path(), "a.jsonl", TWO);
    run(folder.path(), &["-o", "a.jsonl", "where a = 2", "a.jsonl"]).exits(0);
    assert_eq!(read(&path), "{\"a\":2}\n");
}

#[test]
fn no_output_overwrites_an_input_or_another_output() {
    let folder = folder();
    let path = write(folder.path(), "a.jsonl", TWO);
    symlink("a.jsonl", folder.path().join("link")).unwrap();
    for args in [
        &["--rejects", "a.jsonl", "a", "a.jsonl"][..],
        &["--rejects", "./a.jsonl", "a", "link"],
        &["--rejects", "link", "a", "a.jsonl"],
        &["--rejects", "a.jsonl", "a from 'a.*'"],
        &["--stats-json", "a.jsonl", "a", "a.jsonl"],
        &["--rejects", "x", "--stats-json", "x", "a", "a.jsonl"],
        &["-o", "x", "--rejects", "x", "a", "a.jsonl"],
    ] {
        run(folder.path(), args).exits(2).says("would overwrite");
    }
    let mut command = foldl(folder.path());
    command.args(["--rejects", "a.jsonl", "a"]).stdin(std::fs::File::open(&path).unwrap());
    assert_eq!(command.output().unwrap().status.code(), Some(2));
    assert_eq!(read(&path), TWO);
    assert_eq!(names(folder.path()), ["a.jsonl", "link"]);
    run(folder.path(), &["-o", "/dev/null", "--rejects", "/dev/null", "a", "a.jsonl"]).exits(0);
}

#[test]
fn of_an_option_that_is_given_twice_the_last_counts() {
    let args = ["--format", "csv", "--format", "jsonl", "-j", "1", "-j", "2", "-q", "-q", "a"];
    assert_eq!(pipe(Path::new("."), &args, TWO.as_bytes()).exits(0).text(), TWO);
}

#[test]
fn devices_are_written_to_directly() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    let before = std::fs::metadata("/dev/null").unwrap().ino();
    run(folder.path(), &["-o", "/dev/null", "a", "a.jsonl"]).exits(0).says_nothing();
    assert_eq!(std::fs::metadata("/dev/null").unwrap().ino(), before);
    let output = run(folder.path(), &["-o", "/dev/stdout", "a", "a.jsonl"]).exits(0);
    assert_eq!(output.text(), TWO);
}

// Rejects and statistics

#[test]
fn the_raw_bytes_of_rejects_are_rejected_again_for_the_same_reasons() {
    use serde_json::Value;
    let folder = folder();
    write(folder.path(), "orders.jsonl", fixture("orders.jsonl"));
    run(folder.path(), &["--rejects", "first.jsonl", "count(*)", "orders.jsonl"]).exits(0);
    let rejects = |name: &str| -> Vec<Value> {
        read(&folder.path().join(name)).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let raw_of = |reject: &Value| match reject["raw"].as_str() {
        Some(raw) => raw.as_bytes().to_vec(),
        None => base64(reject["raw_base64"].as_str().unwrap()),
    };
    let first = rejects("first.jsonl");
    assert_eq!(first.len(), 36);
    let orders = fixture("orders.jsonl");
    let mut again = Vec::new();
    for reject in &first {
        let raw = raw_of(reject);
        let offset = reject["offset"].as_u64().unwrap() as usize;
        assert_eq!(&orders[offset..offset + raw.len()], raw, "line {}", reject["line"]);
        let line = orders[..offset].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        assert_eq!(reject["line"], line);
        assert_eq!(reject["file"], "orders.jsonl");
        again.extend_from_slice(&raw);
        again.push(b'\n');
    }
    let output = pipe(folder.path(), &["--rejects", "second.jsonl", "select *"], &again).exits(0);
    assert_eq!(output.stdout, b"");
    let second = rejects("second.jsonl");
    assert_eq!(second.len(), first.len());
    for (number, (one, two)) in first.iter().zip(&second).enumerate() {
        assert_eq!(two["file"], Value::Null);
        assert_eq!(two["line"], number as u64 + 1);
        for key in ["reason", "raw", "raw_base64"] {
            assert_eq!(one.get(key), two.get(key), "reject {number}");
        }
    }
}

/// Decodes base64 (RFC 4648).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        bits = bits << 6 | ALPHABET.iter().position(|&known| known == byte).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

#[test]
fn every_record_is_used_filtered_or_rejected() {
    let folder = folder();
    let good = common::generate("orders", 2000);
    let good: Vec<&[u8]> = good.split_inclusive(|&byte| byte == b'\n').collect();
    // The share of bad lines, in thousandths.
    for share in [0_usize, 1, 10, 300, 500, 900, 999, 1000] {
        let (mut input, mut bad) = (Vec::new(), 0);
        for (number, line) in good.iter().enumerate() {
            if (number * 7919) % 1000 < share {
                bad += 1;
                input.extend_from_slice(&line[..line.len() / 2]);
                input.extend_from_slice(b"\n");
            } else {
                input.extend_from_slice(line);
            }
            if number % 97 == 0 {
                input.extend_from_slice(b" \t\n");
            }
        }
        write(folder.path(), "in.jsonl", &input);
        for query in ["where quantity > 1", "count(*) where quantity > 1", "orderId where quantity > 1 order by price"]
        {
            for threads in ["1", "4"] {
                let args =
                    ["-q", "-j", threads, "--block-size", "4KiB", "--stats-json", "stats.json", query, "in.jsonl"];
                let output = run(folder.path(), &args).exits(0);
                let stats: serde_json::Value = serde_json::from_str(&read(&folder.path().join("stats.json"))).unwrap();
                let count = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("{name} in {stats}"));
                assert_eq!(count("records_in"), good.len() as u64, "{share} {query}");
                assert_eq!(count("rejected"), bad, "{share} {query}");
                assert_eq!(
                    count("used") + count("filtered") + count("rejected"),
                    count("records_in"),
                    "{share} {query}"
                );
                assert_eq!(count("bytes"), input.len() as u64, "{share} {query}");
                if !query.starts_with("count") {
                    let rows = output.stdout.iter().filter(|&&byte| byte == b'\n').count() as u64;
                    assert_eq!(count("used"), rows, "{share} {query}");
                }
                for name in ["wall_s", "cpu_s"] {
                    assert!(stats[name].as_f64().is_some_and(|seconds| seconds >= 0.0), "{name} in {stats}");
                }
                assert!(count("peak_rss") > 0);
                assert!(stats["block_latency_us"].is_object());
            }
        }
    }
}

#[test]
fn stats_are_printed_for_people() {
    let output = run(&fixtures(), &["-q", "--stats", "count(*)", "orders.jsonl"]).exits(0);
    for text in ["records in", "3,046", "rejected", "36", "wall time", "peak memory"] {
        assert!(output.stderr.contains(text), "{text} in {}", output.stderr);
    }
}

#[test]
fn statistics_are_written_for_a_failed_run_too() {
    let folder = folder();
    write(folder.path(), "a.jsonl", "bad\n");
    run(folder.path(), &["--on-error", "fail", "--stats-json", "stats.json", "a", "a.jsonl"]).exits(4);
    assert!(read(&folder.path().join("stats.json")).contains("\"rejected\":1"));
}

#[test]
fn a_reject_keeps_one_mebibyte_of_a_long_line() {
    let folder = folder();
    let mut input = b"{\"a\":1}\n{\"a\":\"".to_vec();
    input.resize(17 << 20, b'x');
    input.extend_from_slice(b"\"}\n{\"a\":2}\n");
    write(folder.path(), "long.jsonl", &input);
    let args = ["--rejects", "rejects.jsonl", "a", "long.jsonl"];
    let output = run(folder.path(), &args).exits(0).says("line too long");
    assert_eq!(output.text(), TWO);
    assert!(output.stderr.len() < 1000, "the message is short");
    let reject: serde_json::Value = serde_json::from_str(&read(&folder.path().join("rejects.jsonl"))).unwrap();
    assert_eq!((&reject["line"], &reject["offset"], &reject["truncated"]), (&2.into(), &8.into(), &true.into()));
    assert_eq!(reject["raw"].as_str().unwrap().len(), 1 << 20);
    let output = run(folder.path(), &["--max-line", "18MiB", "length(a) as n", "long.jsonl"]).exits(0);
    assert!(output.text().starts_with(&format!("{{\"n\":null}}\n{{\"n\":{}}}\n", (17 << 20) - 14)));
}

// Help, messages

#[test]
fn help_fits_100_columns_and_goes_to_stdout() {
    for args in
        [&["--help"][..], &["-h"], &["generate", "--help"], &["help"], &["help", "generate"], &["completions", "-h"]]
    {
        let output = run(Path::new("."), args).exits(0).says_nothing();
        assert!(output.text().contains("Usage:"), "{args:?}");
        for line in output.text().lines() {
            assert!(line.chars().count() <= 100, "{args:?}: {line}");
        }
    }
    let long = run(Path::new("."), &["--help"]).exits(0);
    for text in ["Examples:", "Exit codes:", "--max-errors", "--rejects", "FOLDL_THREADS", "FOLDL_MEMORY_LIMIT"] {
        assert!(long.text().contains(text), "{text}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = run(Path::new("."), &["--version"]).exits(0);
    assert_eq!(output.text(), format!("foldl {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_the_manual_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(Path::new("."), &["completions", shell]).exits(0).says_nothing();
        assert!(output.text().contains("foldl") && output.text().contains("rejects"), "{shell}");
    }
    let page = run(Path::new("."), &["man"]).exits(0).says_nothing();
    assert!(page.text().contains(".TH foldl"));
}

#[test]
fn messages_have_colour_only_where_it_is_wanted() {
    let run = |args: &[&str], no_color: bool| {
        let mut command = foldl(Path::new("."));
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        common::finish(command.spawn().unwrap(), &[]).exits(3).stderr
    };
    assert!(!run(&["cuont(*)"], false).contains('\x1b'), "standard error is no terminal");
    assert!(run(&["--color", "always", "cuont(*)"], false).contains("\x1b["));
    assert!(run(&["--color", "always", "cuont(*)"], true).contains("\x1b["), "a flag goes before the environment");
    assert!(!run(&["--color", "never", "cuont(*)"], false).contains('\x1b'));
}

#[test]
fn no_raw_control_byte_of_the_input_reaches_a_message() {
    let folder = folder();
    let evil = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\r\u{8}";
    let name = format!("evil{}.jsonl", evil.replace('/', ""));
    write(folder.path(), &name, format!("{{\"{evil}\":1}}\n{evil}\n{{\"a\":\"{evil}\"}}\n{{\"b\":\"x\"}}\n"));
    let query = "b + 1 as c, \"\u{1b}[31mx\" as d";
    let outputs = [
        run(folder.path(), &[query, &name]),
        run(folder.path(), &["--strict", query, &name]),
        run(folder.path(), &["--on-error", "fail", query, &name]),
        run(folder.path(), &[query, &format!("missing{name}")]),
        run(folder.path(), &["select cuont(\"\u{1b}[31m\")"]),
        run(folder.path(), &["select a \u{1b}[31m"]),
        run(folder.path(), &["-f", &format!("missing{name}")]),
    ];
    for output in outputs {
        assert!(!output.stderr.is_empty());
        let raw = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!output.stderr.contains(raw), "{:?}", output.stderr);
    }
}

#[test]
fn the_environment_sets_what_no_flag_sets() {
    let run = |threads: &str, memory: &str, args: &[&str]| {
        let mut command = foldl(Path::new("."));
        command.args(args).env("FOLDL_THREADS", threads).env("FOLDL_MEMORY_LIMIT", memory);
        common::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), &[])
    };
    let output = run("3", "64MiB", &["--explain", "a group by a"]).exits(0);
    assert!(output.text().contains("up to 3") && output.text().contains("64 MiB"), "{}", output.text());
    let output = run("3", "64MiB", &["--explain", "-j", "2", "-m", "96MiB", "a group by a"]).exits(0);
    assert!(output.text().contains("up to 2") && output.text().contains("96 MiB"), "{}", output.text());
    run("none", "64MiB", &["a"]).exits(2).says("--threads");
    run("1", "1KiB", &["a"]).exits(2).says("32MiB");
}

#[test]
fn explain_reads_and_writes_nothing() {
    let folder = folder();
    let output = run(folder.path(), &["--explain", "-o", "out", "upper(a) as u where b > 1", "missing.jsonl"]).exits(0);
    assert!(output.text().contains("b > 1"), "{}", output.text());
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_file_in_place_of_the_query_is_told() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    run(folder.path(), &["a.jsonl"]).exits(2).says("a.jsonl is a file; the query comes first");
}

#[test]
fn long_chains_and_nested_ranges_are_evaluated() {
    let folder = folder();
    write(folder.path(), "a.jsonl", TWO);
    let chain = vec!["1"; 900].join(" + ");
    run(folder.path(), &["-j", "4", "--block-size", "8", &format!("select {chain} as n limit 1"), "a.jsonl"]).exits(0);
    let nested = (0..30).fold("a".to_owned(), |inner, _| format!("({inner} between 0 and 1)"));
    run(folder.path(), &["-q", &format!("select {nested} as x"), "a.jsonl"]).exits(0);
}
