//! `foldl map`: batches, order, failures, rejects, checkpoints, signals.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Output, exit_code_within, folder, foldl, names, pipe, run, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};

/// Runs a line of shell for batches of what is given.
fn map(folder: &Path, options: &[&str], shell: &str, stdin: &str) -> Output {
    let args: Vec<&str> = ["map"].iter().chain(options).chain(&["--", "sh", "-c", shell]).copied().collect();
    pipe(folder, &args, stdin.as_bytes())
}

fn numbers(count: u64) -> String {
    (1..=count).map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

fn rows(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn stats(folder: &Path) -> Json {
    serde_json::from_str(&read(folder, "stats.json")).unwrap()
}

#[test]
fn answers_come_in_the_order_of_the_input() {
    let folder = folder();
    let input = numbers(1000);
    for batch in ["1", "7", "100", "5000"] {
        // The first batches take longest.
        let shell = "test $((FOLDL_BATCH % 3)) = 1 && sleep 0.02; cat";
        let output = map(
            folder.path(),
            &["--batch", batch, "-n", "5"],
            shell,
            if batch == "1" { &input[..450] } else { &input },
        );
        assert_eq!(output.exits(0).says_nothing().text(), if batch == "1" { &input[..450] } else { &input });
    }
    let output = map(folder.path(), &["--batch", "7", "-n", "5", "--unordered"], "cat", &input).exits(0);
    let mut lines: Vec<&str> = output.text().lines().collect();
    lines.sort_by_key(|line| line[5..line.len() - 1].parse::<u64>().unwrap());
    assert_eq!(lines.join("\n") + "\n", input);
}

#[test]
fn batches_end_by_records_by_bytes_and_by_time() {
    let folder = folder();
    let count = "wc -l | tr -d ' '";
    assert_eq!(map(folder.path(), &["--batch", "4"], count, &numbers(10)).exits(0).text(), "4\n4\n2\n");
    // Of eight bytes each.
    assert_eq!(map(folder.path(), &["--batch-bytes", "24"], count, &numbers(7)).exits(0).text(), "3\n3\n1\n");
    assert_eq!(map(folder.path(), &["--batch-bytes", "20B"], count, &numbers(3)).exits(0).text(), "2\n1\n");
    assert_eq!(map(folder.path(), &["--batch-bytes", "1"], count, &numbers(3)).exits(0).text(), "1\n1\n1\n");
    assert_eq!(map(folder.path(), &[], count, "").exits(0).text(), "");

    let mut command = foldl(folder.path());
    command.args(["map", "--batch-time", "200ms", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let start = Instant::now();
    stdin.write_all(b"{\"n\":1}\n").unwrap();
    let mut line = [0; 8];
    stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"{\"n\":1}\n");
    assert!(start.elapsed() > Duration::from_millis(150), "{:?}", start.elapsed());
    drop(stdin);
    assert_eq!(exit_code_within(&mut child, Duration::from_secs(20)), 0);
}

#[test]
fn the_query_comes_first_and_the_command_knows_its_batch() {
    let folder = folder();
    write(folder.path(), "in.csv", "n,t\n1,a\n2,b\n3,\"c\nd\"\n4,e\n5,f\n");
    let echo = "cat >/dev/null; echo \"{\\\"batch\\\":$FOLDL_BATCH,\\\"line\\\":$FOLDL_FIRST_LINE}\"";
    let args = ["map", "in.csv", "--where", "n <> 2", "--select", "n", "--batch", "2", "--", "sh", "-c", echo];
    let output = run(folder.path(), &args).exits(0);
    assert_eq!(rows(output.text()), [json!({"batch": 1, "line": 2}), json!({"batch": 2, "line": 6})]);
    let output =
        run(folder.path(), &["map", "in.csv", "--select", "n * 2 as m", "--where", "n > 3", "--", "cat"]).exits(0);
    assert_eq!(output.text(), "{\"m\":8}\n{\"m\":10}\n");
    run(folder.path(), &["map", "in.csv", "--where", "n >", "--", "cat"]).exits(3);
    run(folder.path(), &["map", "in.csv"]).exits(2);
    run(folder.path(), &["map", "in.csv", "--", "no-such-program"]).exits(2).says("cannot run no-such-program");
}

#[test]
fn each_way_to_fail_is_told() {
    let folder = folder();
    let cases = [
        ("exit 3", "exited with status 3"),
        ("cat; exit 3", "exited with status 3"),
        ("cat; kill -9 $$", "was ended by SIGKILL"),
        ("exec 0<&-; echo 1", "did not read all of its input"),
        ("cat; printf '{\"n\":'", "wrote a last line without a line end"),
        ("cat; echo '{\"n\":'", "wrote no JSON in line 4: unexpected end"),
        ("cat; echo", "wrote no JSON in line 4: it is blank"),
        ("head -n 2; cat >/dev/null", "wrote 2 lines for 3 records"),
        ("cat; echo 1", "wrote 4 lines for 3 records"),
        ("cat; sleep 60", "did not end within 0.4 s"),
        ("sleep 60 & cat", "left a process behind that held its output open"),
        ("cat; cat /dev/zero | tr '\\0' 7", "wrote more than 1000000 bytes"),
        ("cat; yes 1", "wrote more than 1000000 bytes"),
        ("exec 1>&-; cat >/dev/null", "wrote 0 lines for 3 records"),
    ];
    for (shell, says) in cases {
        let options = [
            "--batch",
            "3",
            "--retries",
            "0",
            "--timeout",
            "0.4s",
            "--expect-lines",
            "same",
            "--rejects",
            "rejects.jsonl",
            "--max-answer",
            "1000000",
            "--stats-json",
            "stats.json",
            "--on-error",
            "skip",
        ];
        let output =
            map(folder.path(), &options, &format!("if [ $FOLDL_BATCH = 2 ]; then {shell}; else cat; fi"), &numbers(7));
        assert_eq!(output.exits(0).text(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":7}\n", "{shell}");
        let rejects = rows(&read(folder.path(), "rejects.jsonl"));
        let reason = format!("the command failed for batch 2: it {says}");
        assert_eq!(rejects.len(), 3, "{shell}");
        for (number, reject) in rejects.iter().enumerate() {
            assert!(reject["reason"].as_str().unwrap().starts_with(&reason), "{shell}: {reject}");
            assert_eq!(reject["raw"], format!("{{\"n\":{}}}", number + 4));
            assert_eq!((&reject["line"], &reject["offset"]), (&json!(number + 4), &json!(8 * (number + 3))));
            assert_eq!((&reject["file"], &reject["batch"]), (&Json::Null, &json!(2)));
        }
        let stats = stats(folder.path());
        assert_eq!((&stats["batches_done"], &stats["batches_failed"]), (&json!(2), &json!(1)), "{shell}");
        assert_eq!((&stats["records_done"], &stats["records_failed"]), (&json!(4), &json!(3)), "{shell}");
    }
}

#[test]
fn a_failed_batch_is_tried_again_and_ends_the_run_if_it_still_fails() {
    let folder = folder();
    // The first two attempts of the second batch fail after half of an answer.
    let shell = "if [ $FOLDL_BATCH = 2 ] && [ $(ls tries | wc -l) -lt 2 ]; then mktemp tries/XXXXXX >&2; head -n 1; exit 9; fi; cat";
    std::fs::create_dir(folder.path().join("tries")).unwrap();
    let options = ["--batch", "3", "--stats-json", "stats.json"];
    let output = map(folder.path(), &options, shell, &numbers(9)).exits(0);
    assert_eq!(output.text(), numbers(9));
    let said: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(said.len(), 2);
    assert!(said.iter().all(|line| line.starts_with("[batch 2] tries/")), "{said:?}");
    assert_eq!((&stats(folder.path())["retries"], &stats(folder.path())["children"]), (&json!(2), &json!(5)));

    write(folder.path(), "out.jsonl", "old\n");
    let shell = "if [ $FOLDL_BATCH = 2 ]; then echo 'no service' >&2; exit 9; fi; cat";
    let options = ["--batch", "3", "--retries", "1", "-o", "out.jsonl", "--rejects", "rejects.jsonl"];
    let output = map(folder.path(), &options, shell, &numbers(9)).exits(5);
    let output =
        output.says("stdin:4: the command failed for batch 2: it exited with status 9, at the last of 2 attempts");
    output.says("its last words: no service");
    assert_eq!(read(folder.path(), "out.jsonl"), "old\n");
    let reject = &rows(&read(folder.path(), "rejects.jsonl"))[0];
    assert_eq!(
        (&reject["exit_status"], &reject["stderr"], &reject["attempts"]),
        (&json!(9), &json!("no service"), &json!(2))
    );
    // What comes before the batch is written where output is written as it comes.
    let output = map(folder.path(), &["--batch", "3", "--retries", "0", "-n", "4"], shell, &numbers(9)).exits(5);
    assert_eq!(output.text(), numbers(3));
}

#[test]
fn malformed_lines_are_rejected_and_counted() {
    let folder = folder();
    let input = "{\"n\":1}\n{bad\n{\"n\":2}\n\nworse\n{\"n\":3}\n";
    let options = ["--batch", "2", "--rejects", "rejects.jsonl"];
    let output = map(folder.path(), &options, "test $FOLDL_FIRST_LINE = 1 && cat || exit 1", input).exits(5);
    assert_eq!(output.text(), "{\"n\":1}\n{\"n\":2}\n");
    let rejects = rows(&read(folder.path(), "rejects.jsonl"));
    let raw: Vec<&str> = rejects.iter().map(|reject| reject["raw"].as_str().unwrap()).collect();
    assert_eq!(raw, ["{bad", "worse", "{\"n\":3}"]);
    assert_eq!((&rejects[2]["line"], &rejects[2]["offset"]), (&json!(6), &json!(28)));
    map(folder.path(), &["--max-errors", "1"], "cat", input).exits(4);
    let output = map(folder.path(), &[], "cat", input).exits(0).says("skipped 2 of 5 lines");
    assert_eq!(output.text(), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
}

#[test]
fn malformed_lines_do_not_wait_for_records() {
    let folder = folder();
    let mut command = foldl(folder.path());
    command.args(["map", "-q", "--rejects", "rejects.jsonl", "--batch-time", "50ms", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for (bad, lines) in [("bad\n", 1), ("worse\nworst\n", 3)] {
        stdin.write_all(bad.as_bytes()).unwrap();
        let start = Instant::now();
        let rejects = || std::fs::read_to_string(folder.path().join("rejects.jsonl")).unwrap_or_default();
        while rejects().lines().count() < lines {
            assert!(start.elapsed() < Duration::from_secs(20), "{}", rejects());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    drop(stdin);
    assert_eq!(exit_code_within(&mut child, Duration::from_secs(20)), 0);
    assert_eq!(read(folder.path(), "rejects.jsonl").lines().count(), 3);
}

#[test]
fn rejects_that_nobody_reads_are_an_error() {
    let folder = folder();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (query, input) in [("map", "bad\n"), ("map", "{\"n\":1}\n"), ("n", "{\"n\":1}\nbad\n")] {
        let mut command = foldl(folder.path());
        let shell = ["--batch", "1", "--retries", "0", "--on-error", "skip", "--", "sh", "-c", "sleep 0.2; exit 3"];
        command.arg(query).args(["--rejects", "fifo", "-o", "out.jsonl"]);
        command.args(if query == "map" { &shell[..] } else { &[] });
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Opened when the run has opened it, too.
        drop(std::fs::File::open(&fifo).unwrap());
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert_eq!(exit_code_within(&mut child, Duration::from_secs(20)), 5, "{query} {input}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("cannot write the rejects: nobody reads them any more"), "{said}");
        assert_eq!(names(folder.path()), ["fifo"]);
    }
}

#[test]
fn raw_answers_need_not_be_json() {
    let folder = folder();
    assert_eq!(
        map(folder.path(), &["--raw"], "tr n m | tr -d '{}'", &numbers(2)).exits(0).text(),
        "\"m\":1\n\"m\":2\n"
    );
    map(folder.path(), &["--raw"], "cat; printf half", &numbers(2)).exits(5);
}

#[test]
fn children_can_be_kept() {
    let folder = folder();
    let input = numbers(100);
    let options = ["--keep-alive", "--batch", "7", "-n", "2", "--stats-json", "stats.json"];
    let output = map(folder.path(), &options, "exec cat", &input).exits(0).says_nothing();
    assert_eq!(output.text(), input);
    assert!(stats(folder.path())["children"].as_u64().unwrap() <= 2);

    // Any number of lines, up to one that ends the answer.
    let shell = "while read line; do if [ \"$line\" = END ]; then echo $n; n=0; echo END; else n=$((n + 1)); fi; done";
    let options = ["--keep-alive", "--delimiter", "END", "--batch", "7", "-n", "1"];
    let output = map(folder.path(), &options, &format!("n=0; {shell}"), &numbers(23)).exits(0);
    assert_eq!(output.text(), "7\n7\n7\n2\n");

    // One that dies with every third batch is started anew; none is lost or doubled.
    let shell = "k=0; while read line; do k=$((k + 1)); [ $k = 17 ] && kill -9 $$; echo \"$line\"; done";
    let options = ["--keep-alive", "--batch", "7", "-n", "2", "--retries", "5"];
    assert_eq!(map(folder.path(), &options, shell, &input).exits(0).text(), input);
    // One that answers too much.
    let shell = "while read line; do echo \"$line\"; echo \"$line\"; done";
    let options = ["--keep-alive", "--batch", "7", "-n", "2", "--retries", "0"];
    map(folder.path(), &options, shell, &input).exits(5).says("wrote more after the end of its answer");
}

#[test]
fn what_children_say_is_not_mixed() {
    let folder = folder();
    let shell = "cat >/dev/null; for i in 1 2 3 4 5 6 7 8; do printf 'a line of batch '; echo $FOLDL_BATCH; done >&2; printf end >&2";
    let output = map(folder.path(), &["--batch", "1", "-n", "6"], shell, &numbers(30)).exits(0);
    assert_eq!(output.stderr.lines().count(), 30 * 9);
    for line in output.stderr.lines() {
        let (batch, said) = line.strip_prefix("[batch ").unwrap().split_once("] ").unwrap();
        assert!(said == "end" || said == format!("a line of batch {batch}"), "{line}");
    }
}

#[test]
fn what_is_said_before_an_answer_belongs_to_its_batch() {
    let folder = folder();
    let shell = "while read line; do echo \"of $line\" >&2; echo \"$line\"; done";
    let output = map(folder.path(), &["--keep-alive", "--batch", "10", "-n", "1"], shell, &numbers(200)).exits(0);
    let expected: String = (1..=200).map(|n| format!("[batch {}] of {{\"n\":{n}}}\n", (n - 1) / 10 + 1)).collect();
    assert_eq!(output.stderr, expected);
}

#[test]
fn long_answers_go_by_way_of_the_disk() {
    let folder = folder();
    let shell = "cat >/dev/null; yes '{\"text\":\"0123456789012345678901234567890123456789\"}' | head -n 200000";
    let options = ["--memory-limit", "32MiB", "-n", "3", "--batch", "1", "--stats-json", "stats.json"];
    let output = map(folder.path(), &options, shell, &numbers(6)).exits(0);
    assert_eq!(output.stdout.len(), 6 * 200_000 * 52);
    let stats = stats(folder.path());
    assert!(stats["spooled_bytes"].as_u64().unwrap() > 0, "{stats}");
    assert!(stats["peak_rss"].as_u64().unwrap() <= 32 << 20, "{stats}");
    let options = ["--memory-limit", "32MiB", "--temp-limit", "1MiB", "--batch", "1"];
    map(folder.path(), &options, shell, &numbers(1)).exits(6).says("temporary space");
}

#[test]
fn a_line_may_be_longer_than_the_memory() {
    let folder = folder();
    let shell = "cat >/dev/null; head -c 60000000 /dev/zero | tr '\\0' 7; echo";
    let options = ["--memory-limit", "48MiB", "-n", "2", "--batch", "1", "--retries", "0"];
    let options = [&options[..], &["--on-error", "skip", "--rejects", "rejects.jsonl"]].concat();
    let raw = [&options[..], &["--raw"]].concat();
    assert_eq!(map(folder.path(), &raw, shell, &numbers(2)).exits(0).stdout.len(), 2 * 60_000_001);
    let limits = ["--max-line", "255MiB"];
    map(folder.path(), &[&options[..], &limits].concat(), shell, &numbers(2)).exits(0);
    let rejects = read(folder.path(), "rejects.jsonl");
    assert_eq!(rejects.lines().filter(|line| line.contains("the memory limit does not allow for more")).count(), 2);
}

#[test]
fn a_flood_does_not_outlast_the_time() {
    let folder = folder();
    let options = ["--timeout", "0.3s", "--retries", "0", "--max-answer", "100GiB", "--raw"];
    let start = Instant::now();
    map(folder.path(), &options, "cat >/dev/null; exec yes 1", &numbers(2)).exits(5).says("did not end within 0.3 s");
    assert!(start.elapsed() < Duration::from_secs(30), "the answer is read to the end of the disk");
}

#[test]
fn a_command_that_says_nothing_gets_all_of_its_input() {
    let folder = folder();
    let input = numbers(300_000);
    let options = ["--batch", "300000", "--retries", "0", "-n", "1"];
    map(folder.path(), &options, "exec cat >> got", &input).exits(0);
    assert_eq!(read(folder.path(), "got"), input);
    // As does one that closes its output.
    map(folder.path(), &options, "exec 1>&-; exec cat > got", &input).exits(0);
    assert_eq!(read(folder.path(), "got"), input);
}

#[test]
fn a_record_that_is_the_delimiter_fails() {
    let folder = folder();
    let options = ["--keep-alive", "--delimiter", "null", "--batch", "2", "-n", "1", "--on-error", "skip"];
    let options = [&options[..], &["--rejects", "rejects.jsonl"]].concat();
    let input = "{\"a\":1}\nnull\n{\"a\":2}\n{\"a\":3}\n";
    let output = map(folder.path(), &options, "exec cat", input).exits(0);
    assert_eq!(output.text(), "{\"a\":2}\n{\"a\":3}\n");
    let rejects = rows(&read(folder.path(), "rejects.jsonl"));
    assert_eq!(rejects.iter().map(|reject| &reject["raw"]).collect::<Vec<_>>(), ["{\"a\":1}", "null"]);
    assert!(rejects[0]["reason"].as_str().unwrap().contains("could not be given record 2"), "{rejects:?}");
}

#[test]
fn no_file_of_a_run_is_another_one() {
    let folder = folder();
    for name in ["in.jsonl", "out.part", "ck.lock", ".ck.tmp"] {
        write(folder.path(), name, numbers(3));
    }
    let refused: [(&str, &str, &str); 5] = [
        ("out", "out.part", "in.jsonl"),
        ("ck.lock", "ck", "in.jsonl"),
        ("out", "ck", "out.part"),
        ("out", "ck", "ck.lock"),
        ("out", "ck", ".ck.tmp"),
    ];
    for (output, checkpoint, input) in refused {
        let args = ["map", "-o", output, "--checkpoint", checkpoint, input, "--", "cat"];
        run(folder.path(), &args).exits(2).says("would overwrite");
        assert_eq!(read(folder.path(), input), numbers(3));
    }
}

#[test]
fn a_slow_reader_holds_up_the_children_and_the_input() {
    let folder = folder();
    let mut command = foldl(folder.path());
    command.args([
        "map",
        "-m",
        "32MiB",
        "-n",
        "2",
        "--batch",
        "1000",
        "--",
        "sh",
        "-c",
        "touch started-$FOLDL_BATCH; cat",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let line = format!("{{\"text\":\"{}\"}}\n", "x".repeat(1000));
    let feeding = std::thread::spawn(move || (0..40_000).all(|_| stdin.write_all(line.as_bytes()).is_ok()));
    std::thread::sleep(Duration::from_secs(2));
    assert!(!feeding.is_finished(), "40 MB have been read although nobody takes them");
    assert!(names(folder.path()).len() <= 5, "{:?}", names(folder.path()));
    let mut all = Vec::new();
    stdout.read_to_end(&mut all).unwrap();
    assert!(feeding.join().unwrap());
    assert_eq!(all.len(), 40_000 * 1012);
    assert_eq!(exit_code_within(&mut child, Duration::from_secs(20)), 0);
}

#[test]
fn a_closed_output_ends_everything_quietly() {
    let folder = folder();
    let mut command = foldl(folder.path());
    command
        .args(["map", "--batch", "10", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    std::thread::spawn(move || while stdin.write_all(b"{\"n\":1}\n").is_ok() {});
    assert_eq!(exit_code_within(&mut child, Duration::from_secs(20)), 0);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn signals_end_the_children_too() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let folder = folder();
        write(folder.path(), "in.jsonl", numbers(100));
        let mut command = foldl(folder.path());
        let shell = "trap '' TERM INT; echo $$ >> pids; sleep 100 & echo $! >> pids; wait; sleep 100";
        command.args(["map", "--batch", "1", "-n", "3", "-o", "out.jsonl", "in.jsonl", "--", "sh", "-c", shell]);
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        let pids = loop {
            let pids = std::fs::read_to_string(folder.path().join("pids")).unwrap_or_default();
            if pids.lines().count() == 6 {
                break pids;
            }
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(10));
        };
        let start = Instant::now();
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(exit_code_within(&mut child, Duration::from_secs(20)), code);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        for pid in pids.lines().map(|pid| Pid::from_raw(pid.parse().unwrap())) {
            let start = Instant::now();
            // What has ended is there until the system has noticed that its parent is gone.
            while kill(pid, None).is_ok() && start.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(kill(pid, None).is_err(), "{pid} is still there");
        }
        assert_eq!(names(folder.path()), ["in.jsonl", "pids"]);
    }
}

#[test]
fn a_run_with_a_checkpoint_goes_on() {
    let folder = folder();
    write(folder.path(), "in.jsonl", numbers(50).replace("{\"n\":20}\n", "{\"n\":20}\nno record\n"));
    let args = |shell: &'static str| {
        [
            "map",
            "--batch",
            "5",
            "--retries",
            "0",
            "--checkpoint",
            "state",
            "-o",
            "out.jsonl",
            "--rejects",
            "rejects.jsonl",
            "in.jsonl",
            "--",
            "sh",
            "-c",
            shell,
        ]
    };
    run(folder.path(), &args("echo $FOLDL_BATCH >> batches; [ $FOLDL_BATCH -lt 7 ] && cat")).exits(5);
    assert_eq!(
        names(folder.path()),
        ["batches", "in.jsonl", "out.jsonl.part", "rejects.jsonl.part", "state", "state.lock"]
    );
    // Another output, other records.
    let mut other = args("cat");
    other[8] = "other.jsonl";
    run(folder.path(), &other).exits(5).says("the checkpoint is that of the output");
    let mut other = args("cat");
    other[10] = "other.jsonl";
    run(folder.path(), &other).exits(5).says("the checkpoint is that of a run with --rejects");
    write(folder.path(), "other.jsonl", numbers(50).replace("\"n\":3}", "\"n\":4}"));
    let mut other = args("cat");
    other[11] = "other.jsonl";
    run(folder.path(), &other).exits(5).says("the records are not those that the checkpoint tells of");
    write(folder.path(), "other.jsonl", numbers(20));
    run(folder.path(), &other).exits(5).says("the records are not those that the checkpoint tells of");
    std::fs::remove_file(folder.path().join("other.jsonl")).unwrap();
    std::fs::remove_file(folder.path().join("batches")).unwrap();
    // The batch that failed is tried again, as are those after it.
    let output = run(folder.path(), &args("echo $FOLDL_BATCH >> batches; cat")).exits(0).says("going on after batch 6");
    assert_eq!(output.text(), "");
    assert_eq!(read(folder.path(), "out.jsonl"), numbers(50));
    assert_eq!(rows(&read(folder.path(), "rejects.jsonl")).len(), 1);
    let mut batches: Vec<u64> = read(folder.path(), "batches").lines().map(|line| line.parse().unwrap()).collect();
    batches.sort_unstable();
    assert_eq!(batches, [7, 8, 9, 10]);
    assert_eq!(names(folder.path()), ["batches", "in.jsonl", "out.jsonl", "rejects.jsonl"]);
    run(folder.path(), &["map", "--checkpoint", "state", "in.jsonl", "--", "cat"]).exits(2);
}

#[test]
fn an_output_keeps_its_link_and_its_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let folder = folder();
    let real = write(folder.path(), "real.jsonl", "old");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.jsonl", folder.path().join("out.jsonl")).unwrap();
    write(folder.path(), "in.jsonl", numbers(3));
    run(folder.path(), &["map", "--checkpoint", "state", "-o", "out.jsonl", "in.jsonl", "--", "cat"]).exits(0);
    assert!(folder.path().join("out.jsonl").is_symlink());
    assert_eq!(read(folder.path(), "real.jsonl"), numbers(3));
    assert_eq!(std::fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = folder();
    write(folder.path(), "in.jsonl", numbers(20));
    let args = |shell: &'static str| {
        [
            "map",
            "--batch",
            "5",
            "--retries",
            "0",
            "--checkpoint",
            "state",
            "-o",
            "out.jsonl",
            "in.jsonl",
            "--",
            "sh",
            "-c",
            shell,
        ]
    };
    run(folder.path(), &args("[ $FOLDL_BATCH = 1 ] && cat")).exits(5);
    let whole = std::fs::read(folder.path().join("state")).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        write(folder.path(), "state", &damaged);
        run(folder.path(), &args("cat")).exits(5);
        write(folder.path(), "state", &whole[..at]);
        run(folder.path(), &args("cat")).exits(5);
    }
    write(folder.path(), "state", &whole);
    write(folder.path(), "out.jsonl.part", "");
    run(folder.path(), &args("cat")).exits(5).says("the file has 0 bytes, and the checkpoint tells of 40");
}

#[test]
fn a_full_disk_is_an_error() {
    let folder = folder();
    write(folder.path(), "in.jsonl", numbers(20));
    run(folder.path(), &["map", "-o", "/dev/full", "in.jsonl", "--", "cat"]).exits(5);
}
