//! Runs the cases in `tests/cases/*.toml`: a query, an input, and what has to come out.
//!
//! Each case is run on its own, and then with 1 and 8 threads, with blocks of 1, 7, 64 and the default number of bytes,
//! and through standard input. The bytes have to be the same every time.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::Output;
use serde::Deserialize;

macro_rules! themes {
    ($($theme:ident),* $(,)?) => {
        const THEMES: &[&str] = &[$(stringify!($theme)),*];
        $(#[test] fn $theme() { run_theme(stringify!($theme)); })*
    };
}

themes!(
    aggregates, arithmetic, arrays, csv, decimal, errors, formats, group, input, joins, lists, null, order, paths,
    rejects, select, subqueries, sums, text, time, unnest, values, warnings, r#where,
);

#[test]
fn every_file_of_cases_is_run() {
    let names = common::names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    let themes: Vec<String> = THEMES.iter().map(|theme| format!("{}.toml", theme.trim_start_matches("r#"))).collect();
    assert_eq!(names, themes);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows, as a sentence.
    name: String,
    query: Option<String>,
    /// Options.
    #[serde(default)]
    args: Vec<String>,
    /// The input, as `input.jsonl`.
    input: Option<String>,
    /// The input, where `\xNN` stands for a byte.
    input_bytes: Option<String>,
    /// The input is a fixture.
    fixture: Option<String>,
    /// Files that lie beside the input.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// The FILE arguments, if they are not just the input. There are then no runs through standard input.
    inputs: Option<Vec<String>>,
    /// Standard output. If the run fails it may be left out: what came before the error depends on the blocks.
    stdout: Option<String>,
    /// Standard output, where `\xNN` stands for a byte.
    stdout_bytes: Option<String>,
    /// Standard error as a whole; empty if nothing is said about it.
    stderr: Option<String>,
    /// Parts of standard error.
    stderr_has: Option<Vec<String>>,
    /// The content of the rejects file.
    rejects: Option<String>,
    /// The query as it should have been: it has to run.
    corrected: Option<String>,
    #[serde(default)]
    exit: i32,
    /// Whether to run through standard input too.
    #[serde(default = "yes")]
    stdin: bool,
}

fn yes() -> bool {
    true
}

fn run_theme(name: &str) {
    let name = name.trim_start_matches("r#");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).expect("the cases can be read");
    let theme: Theme = toml::from_str(&text).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    let mut seen = std::collections::BTreeSet::new();
    let mut failures = Vec::new();
    for case in &theme.case {
        assert!(seen.insert(&case.name), "two cases of {name} are named `{}`", case.name);
        if let Err(failure) = case.check() {
            failures.push(format!("── {name}: {}\n{failure}", case.name));
        }
    }
    println!("{} cases", theme.case.len());
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), theme.case.len(), failures.join("\n"));
}

/// One way to run a case.
#[derive(Clone, Debug)]
struct Variant {
    args: Vec<String>,
    stdin: bool,
}

impl Case {
    fn check(&self) -> Result<(), String> {
        let folder = common::folder();
        for (name, content) in &self.files {
            common::write(folder.path(), name, content);
        }
        let input = self.input_bytes();
        if self.fixture.is_none() {
            common::write(folder.path(), "input.jsonl", &input);
        }
        for variant in self.variants() {
            self.check_variant(&variant, folder.path(), &input).map_err(|why| {
                let route = if variant.stdin { " < input" } else { "" };
                format!("{} {}{route}\n{why}", self.query.as_deref().unwrap_or_default(), variant.args.join(" "))
            })?;
        }
        self.check_correction(folder.path())
    }

    fn check_correction(&self, folder: &Path) -> Result<(), String> {
        let Some(query) = &self.corrected else { return Ok(()) };
        let mut args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        args.extend([query.as_str(), "input.jsonl"]);
        let output = common::run(folder, &args);
        match output.code {
            0 => Ok(()),
            code => Err(format!("the corrected query ends with {code}: {query}\n{}", output.stderr)),
        }
    }

    fn input_bytes(&self) -> Vec<u8> {
        match (&self.input, &self.input_bytes, &self.fixture) {
            (Some(text), None, None) => text.clone().into_bytes(),
            (None, Some(text), None) => bytes(text),
            (None, None, Some(name)) => common::fixture(name),
            (None, None, None) => Vec::new(),
            _ => panic!("{}: more than one input", self.name),
        }
    }

    fn variants(&self) -> Vec<Variant> {
        let by_file = Variant { args: Vec::new(), stdin: false };
        let mut variants = vec![by_file.clone()];
        // A wrong query is wrong before anything is read.
        if !matches!(self.exit, 2 | 3) {
            for threads in ["1", "8"] {
                variants.push(Variant { args: vec!["-j".into(), threads.into()], ..by_file.clone() });
                for block in ["1", "7", "64"] {
                    let args = ["-j", threads, "--block-size", block].map(String::from).to_vec();
                    variants.push(Variant { args, ..by_file.clone() });
                }
            }
        }
        if self.stdin && self.inputs.is_none() {
            let by_stdin: Vec<Variant> =
                variants.iter().map(|variant| Variant { stdin: true, ..variant.clone() }).collect();
            variants.extend(by_stdin);
        }
        variants
    }

    fn check_variant(&self, variant: &Variant, folder: &Path, input: &[u8]) -> Result<(), String> {
        let file = self.fixture.as_deref().unwrap_or("input.jsonl");
        let rejects = folder.join("rejects.out");
        let mut args: Vec<&str> = self.args.iter().chain(&variant.args).map(String::as_str).collect();
        if self.rejects.is_some() {
            args.extend(["--rejects", rejects.to_str().expect("a UTF-8 path")]);
        }
        args.extend(self.query.as_deref());
        let cwd = if self.fixture.is_some() { common::fixtures() } else { folder.to_owned() };
        let output = if variant.stdin {
            common::pipe(&cwd, &args, input)
        } else {
            match &self.inputs {
                Some(inputs) => args.extend(inputs.iter().map(String::as_str)),
                None => args.push(file),
            }
            common::run(&cwd, &args)
        };
        // Standard input has no name: it is `stdin` in messages and null in the rejects.
        let unnamed = |text: &str| match variant.stdin {
            true => {
                text.replace(&format!("{file}:"), "stdin:").replace(&format!("\"file\":\"{file}\""), "\"file\":null")
            }
            false => text.to_owned(),
        };
        self.check_output(&output, unnamed)?;
        if let Some(expected) = &self.rejects {
            let found = std::fs::read_to_string(&rejects).map_err(|err| format!("the rejects: {err}"))?;
            same("rejects", unnamed(expected).as_bytes(), found.as_bytes())?;
        }
        Ok(())
    }

    fn check_output(&self, output: &Output, unnamed: impl Fn(&str) -> String) -> Result<(), String> {
        if output.code != self.exit {
            return Err(format!("exit code {} instead of {}\n{}", output.code, self.exit, output.stderr));
        }
        match (&self.stdout, &self.stdout_bytes) {
            (Some(expected), _) => same("standard output", expected.as_bytes(), &output.stdout)?,
            (_, Some(expected)) => same("standard output", &bytes(expected), &output.stdout)?,
            (None, None) if self.exit != 0 => {}
            (None, None) => same("standard output", b"", &output.stdout)?,
        }
        match (&self.stderr, &self.stderr_has) {
            (None, Some(parts)) => match parts.iter().find(|part| !output.stderr.contains(&unnamed(part))) {
                Some(part) => Err(format!("standard error lacks `{}`:\n{}", unnamed(part), output.stderr)),
                None => Ok(()),
            },
            (expected, None) => {
                let expected = expected.as_deref().unwrap_or_default();
                same("standard error", unnamed(expected).as_bytes(), output.stderr.as_bytes())
            }
            (Some(_), Some(_)) => Err("both stderr and stderr_has are given".to_owned()),
        }
    }
}

fn same(what: &str, expected: &[u8], found: &[u8]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what}, expected:\n{}found:\n{}", shown(expected), shown(found)))
}

/// Bytes as a failure shows them, cut at a length that a person reads.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(4000)];
    let mut text: String =
        cut.split_inclusive(|&byte| byte == b'\n').map(|line| format!("  {}", escaped(line))).collect();
    if !text.ends_with('\n') {
        text.push_str("⏎\n");
    }
    text
}

fn escaped(line: &[u8]) -> String {
    let (body, end) = match line.split_last() {
        Some((b'\n', body)) => (body, "\n"),
        _ => (line, ""),
    };
    let chunk = |chunk: std::str::Utf8Chunk| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let valid = chunk.valid().chars().map(|c| match c {
            c if c.is_control() => format!("\\x{:02x}", c as u32),
            c => c.to_string(),
        });
        valid.collect::<String>() + &invalid
    };
    body.utf8_chunks().map(chunk).collect::<String>() + end
}

/// A text with each `\xNN` replaced by that byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(1..3).filter(|_| first == b'\\' && tail[0] == b'x');
        let byte = hex.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[3..] } else { tail };
    }
    out
}
