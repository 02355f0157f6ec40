//! What is a record and what is not, against serde_json: random lines and mutations of valid ones, through the program.
//!
//! A line is good if it is UTF-8 and serde_json reads it as one value, and is not nested too deeply. `select *` has to
//! write exactly the good lines, and `--rejects` exactly the others. `FOLDL_ORACLE_LINES` sets how many lines are tried.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use common::{folder, run, write};
use serde_json::value::RawValue;

/// The lines that are tried by default.
const LINES: usize = 200_000;
const MAX_DEPTH: usize = 128;

#[test]
fn the_verdict_on_every_line_is_that_of_serde_json() {
    let wanted = match std::env::var("FOLDL_ORACLE_LINES") {
        Ok(lines) => lines.parse().expect("FOLDL_ORACLE_LINES is a number"),
        Err(_) => LINES,
    };
    let mut lines = Lines::new();
    let (mut tried, mut good) = (0, 0);
    while tried < wanted {
        let batch: Vec<Vec<u8>> = (0..50_000).map(|_| lines.next_line()).collect();
        tried += batch.len();
        good += check(&batch);
    }
    // A generator that makes only good lines, or only bad ones, would show nothing.
    assert!(good > tried / 10 && good < tried * 9 / 10, "{good} of {tried} lines are good");
}

/// Compares the verdicts on some lines; gives the number of good ones.
fn check(lines: &[Vec<u8>]) -> usize {
    let folder = folder();
    let mut input = lines.join(&b'\n');
    input.push(b'\n');
    write(folder.path(), "lines", &input);
    let args = ["-q", "--block-size", "10000", "--rejects", "rejects", "select *", "lines"];
    let output = run(folder.path(), &args).exits(0);
    let rejects = std::fs::read_to_string(folder.path().join("rejects")).unwrap();
    let rejected: Vec<usize> = rejects
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["line"].as_u64().unwrap() as usize - 1)
        .collect();
    let blank = |line: &[u8]| line.iter().all(|byte| b" \t\r".contains(byte));
    let is_bad = |&number: &usize| !blank(&lines[number]) && !is_good(&lines[number]);
    let expected: Vec<usize> = (0..lines.len()).filter(is_bad).collect();
    if let Some(at) = (0..expected.len().max(rejected.len())).find(|&at| expected.get(at) != rejected.get(at)) {
        let line = expected.get(at).into_iter().chain(rejected.get(at)).min().expect("one of them is there");
        let verdict = if expected.get(at) == Some(line) { "accepted" } else { "rejected" };
        panic!("line {line} is wrongly {verdict}: {:?}", String::from_utf8_lossy(&lines[*line]));
    }
    let mut written = Vec::new();
    for line in lines.iter().filter(|line| !blank(line) && is_good(line)) {
        written.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        written.push(b'\n');
    }
    assert!(output.stdout == written, "the good lines are written as they stand");
    lines.len() - expected.len()
}

fn is_good(line: &[u8]) -> bool {
    std::str::from_utf8(line)
        .is_ok_and(|text| depth(line) <= MAX_DEPTH && serde_json::from_str::<&RawValue>(text).is_ok())
}

/// How deeply a line is nested; right for valid JSON.
fn depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for &byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Invents lines; the same ones every time.
struct Lines {
    state: u64,
    records: Vec<Vec<u8>>,
}

impl Lines {
    fn new() -> Lines {
        let records =
            [common::generate("orders", 50), common::generate("events", 50), common::fixture("orders.jsonl")].concat();
        let records = records.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        Lines { state: 42, records }
    }

    /// A number below a limit: splitmix64 (Steele, Lea and Flood, 2014).
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % limit as u64) as usize
    }

    fn one_of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    fn next_line(&mut self) -> Vec<u8> {
        let mut line = match self.below(4) {
            0 => {
                let record = self.below(self.records.len());
                self.records[record].clone()
            }
            1 => {
                let tokens = 1 + self.below(12);
                (0..tokens).map(|_| self.token()).collect::<String>().into_bytes()
            }
            _ => {
                let mut text = String::new();
                self.value(&mut text, 4);
                text.into_bytes()
            }
        };
        // Half of the lines stay as they are.
        for _ in 0..[0, 0, 0, 1, 1, 3][self.below(6)] {
            self.mutate(&mut line);
        }
        line.retain(|&byte| byte != b'\n');
        line
    }

    fn mutate(&mut self, line: &mut Vec<u8>) {
        let at = self.below(line.len() + 1);
        match self.below(6) {
            0 if at < line.len() => drop(line.remove(at)),
            1 => line.truncate(at),
            2 => {
                let token = self.token();
                line.splice(at..at, token.bytes());
            }
            3 if at < line.len() => line[at] ^= 1 << self.below(8),
            4 if at < line.len() => {
                let to = at + self.below(line.len() - at);
                line.extend_from_within(at..to);
            }
            _ => line.insert(at, self.below(256) as u8),
        }
    }

    fn token(&mut self) -> String {
        let token = self.one_of(&[
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"a\":1", "0", "-", "1", "01", "1.5", "1e5", ".", "e", "+",
            "true", "false", "null", "nul", "True", " ", "\t", "\r", "\\", "\\u00e9", "\\ud800", "\\x", "\\u12", "é",
            "\u{feff}", "\0", "\u{1f}", "\u{7f}", "NaN", "Infinity", "'", "/", "1E-400", "1e999",
        ]);
        match self.below(40) {
            0 => token.repeat(self.below(140)),
            _ => token.to_owned(),
        }
    }

    fn value(&mut self, out: &mut String, depth: usize) {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => out.push_str(self.one_of(&["true", "false", "null"])),
            1 | 2 => out.push_str(self.one_of(&[
                "0",
                "-0",
                "1",
                "-12",
                "1.10",
                "1e5",
                "1E+5",
                "-0.0e-0",
                "123456789012345678901234567890",
                "1e999",
            ])),
            3 | 4 => self.string(out),
            5 => {
                out.push('[');
                self.items(out, |lines, out| lines.value(out, depth - 1));
                out.push(']');
            }
            _ => {
                out.push('{');
                self.items(out, |lines, out| {
                    lines.string(out);
                    lines.space(out);
                    out.push(':');
                    lines.space(out);
                    lines.value(out, depth - 1);
                });
                out.push('}');
            }
        }
    }

    fn items(&mut self, out: &mut String, mut item: impl FnMut(&mut Lines, &mut String)) {
        for number in 0..self.below(5) {
            if number > 0 {
                out.push(',');
            }
            self.space(out);
            item(self, out);
            self.space(out);
        }
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(["", "", "", "", " ", "\t", "\r", "  "][self.below(8)]);
    }

    fn string(&mut self, out: &mut String) {
        out.push('"');
        for _ in 0..self.below(6) {
            let part = self.one_of(&[
                "a",
                "key",
                "status",
                "é",
                "名",
                "😀",
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u00e9",
                "\\ud83d\\ude00",
                "\\ud800",
                "\\uDFFF",
                "\u{7f}",
                "\u{80}",
                "\u{2028}",
                "{",
                "}",
                "[",
                ",",
                ":",
                " ",
                "0123456789abcdef",
                "a long text that is longer than one vector of sixty-four bytes, so that it ends in the second",
            ]);
            out.push_str(part);
        }
        out.push('"');
    }
}
