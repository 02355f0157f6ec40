//! Makes and checks the files in `fixtures/`: each is made of generated rows, and `orders.jsonl` has odd lines among
//! them. `FOLDL_WRITE_FIXTURES=1 cargo test --lib fixtures` writes them anew.

use std::fs;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::{Generator, Kind};

const SEED: u64 = 42;

/// A file's name and its lines.
type File = (&'static str, Vec<Vec<u8>>);

fn files() -> Vec<File> {
    let day = |date: &str| {
        let on_day = |line: &Vec<u8>| line.windows(date.len()).any(|window| window == date.as_bytes());
        rows(Kind::Orders, 50_000..150_000).into_iter().filter(on_day).collect()
    };
    vec![
        ("orders.jsonl", with_odd_lines(rows(Kind::Orders, 0..3_000))),
        ("orders-day1.jsonl", day("2025-03-01T")),
        ("orders-day2.jsonl", day("2025-03-02T")),
        ("orders.jsonl.gz", rows(Kind::Orders, 0..1_000)),
        ("users.jsonl", rows(Kind::Users, 0..1_000)),
        ("products.jsonl", rows(Kind::Products, 0..1_000)),
        ("events.jsonl", rows(Kind::Events, 0..400)),
    ]
}

/// Lines with their line feeds.
fn rows(kind: Kind, range: Range<u64>) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    Generator::new(kind, u64::MAX, SEED).write_rows(range, &mut lines);
    split(&lines)
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect()
}

/// The order that odd lines are made from.
const ORDER: &str = r#"{"orderId":"odd-NN","userId":"u-000001","productId":"p-0001","quantity":1,"price":5.25,"status":"completed","orderDate":"2025-06-15T12:00:00.000Z"}"#;

/// What a line is called, a part of [`ORDER`], and what stands there instead.
type Odd = (&'static str, &'static str, &'static [u8]);

const MALFORMED: [Odd; 36] = [
    ("cut off in a string", r#"pleted","orderDate":"2025-06-15T12:00:00.000Z"}"#, b""),
    ("cut off after a colon", r#""completed","orderDate":"2025-06-15T12:00:00.000Z"}"#, b""),
    ("cut off after a comma", r#""orderDate":"2025-06-15T12:00:00.000Z"}"#, b""),
    ("no closing brace", r#"Z"}"#, br#"Z""#),
    ("no closing quote", r#"completed""#, b"completed"),
    ("no opening quote", r#""completed"#, b"completed"),
    ("a quote inside a string", "completed", br#"comp"leted"#),
    ("a raw tab in a string", "completed", b"comp\tleted"),
    ("a control character in a string", "completed", b"comp\x01leted"),
    ("a NUL byte in a string", "completed", b"comp\0leted"),
    ("a NUL byte between values", r#","price""#, b"\0,\"price\""),
    ("an unknown escape", "completed", br"comp\x6ceted"),
    ("a bad hexadecimal escape", "completed", br"comp\u00G0leted"),
    ("a short hexadecimal escape", "completed", br"completed\u12"),
    ("a lone UTF-8 continuation byte", "completed", b"comp\x80leted"),
    ("an overlong UTF-8 sequence", "completed", b"comp\xc0\xafleted"),
    ("a surrogate in UTF-8", "completed", b"comp\xed\xa0\x80leted"),
    ("Latin-1", "completed", b"compl\xe9ted"),
    ("a UTF-8 sequence cut off by a quote", "completed", b"completed\xe4\xb8"),
    ("two records on one line", r#"Z"}"#, br#"Z"}{"orderId":"odd-too"}"#),
    ("a comma after the record", r#"Z"}"#, br#"Z"},"#),
    ("a comma before the closing brace", r#"Z"}"#, br#"Z",}"#),
    ("two commas", r#","price""#, br#",,"price""#),
    ("no comma", r#","price""#, br#" "price""#),
    ("no colon", r#""price":"#, br#""price" "#),
    ("a leading zero", "5.25", b"05.25"),
    ("no digit after the point", "5.25", b"5."),
    ("a plus sign", "5.25", b"+5.25"),
    ("no digit in the exponent", "5.25", b"5e"),
    ("a cut literal", "5.25", b"nul"),
    ("a literal with a capital", "5.25", b"True"),
    ("NaN", "5.25", b"NaN"),
    ("single quotes", r#""completed""#, b"'completed'"),
    ("a key without quotes", r#""price""#, b"price"),
    ("a bracket closed by a brace", "5.25", b"[5.25}"),
    ("nested 200 deep", "5.25", &nested::<400>()),
];

const VALID: [Odd; 10] = [
    ("ended by CRLF", r#"Z"}"#, b"Z\"}\r"),
    ("a key twice: the last counts", r#""status""#, br#""status":"pending","status""#),
    ("a lone surrogate escape", "completed\"", br#"completed","note":"\ud800""#),
    ("an integer of 30 digits", "5.25", br#"5.25,"reference":123456789012345678901234567890"#),
    ("a number beyond floats", "5.25", b"1e999"),
    ("an escaped key", r#""status""#, br#""\u0073tatus""#),
    ("spaces and tabs between values", r#","price":5.25,"#, b" ,\t\"price\" : 5.25 , "),
    ("a price that is null", "5.25", b"null"),
    ("a price that is missing", r#""price":5.25,"#, b""),
    ("a price that is a string", "5.25", br#""5.25""#),
];

/// Arrays within arrays.
const fn nested<const BYTES: usize>() -> [u8; BYTES] {
    let mut text = [b'['; BYTES];
    let mut at = BYTES / 2;
    while at < BYTES {
        text[at] = b']';
        at += 1;
    }
    text
}

/// Puts one odd line after each 60 of the others: the malformed ones, the valid ones, and a blank one.
fn with_odd_lines(rows: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut odd = MALFORMED.iter().chain(&VALID).enumerate().map(|(nth, (_, from, to))| {
        let order = ORDER.replace("NN", &format!("{:02}", nth + 1));
        let at = order.find(from).unwrap();
        [&order.as_bytes()[..at], to, &order.as_bytes()[at + from.len()..], b"\n"].concat()
    });
    let mut odd = odd.by_ref().chain([b"\n".to_vec()]);
    let mut lines = Vec::new();
    for group in rows.chunks(60) {
        lines.extend_from_slice(group);
        lines.extend(odd.next());
    }
    assert!(odd.next().is_none());
    lines
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    lines: usize,
    valid: usize,
    malformed: usize,
    blank: usize,
}

fn count(lines: &[Vec<u8>]) -> Counts {
    let mut counts = Counts { lines: lines.len(), ..Counts::default() };
    for line in lines {
        match std::str::from_utf8(line) {
            Ok(text) if text.trim_ascii().is_empty() => counts.blank += 1,
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() && depth(line) <= 128 => counts.valid += 1,
            _ => counts.malformed += 1,
        }
    }
    counts
}

/// How deep arrays and objects are nested. No fixture has brackets within strings.
fn depth(line: &[u8]) -> i32 {
    let step = |depth: &mut i32, b: &u8| {
        *depth += i32::from(matches!(b, b'[' | b'{')) - i32::from(matches!(b, b']' | b'}'));
        Some(*depth)
    };
    line.iter().scan(0, step).max().unwrap_or(0)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Half of the lines in each of two members, as appending to a compressed log does.
fn compress(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut compressed = Vec::new();
    for half in lines.chunks(lines.len().div_ceil(2)) {
        let mut encoder = flate2::write::GzEncoder::new(&mut compressed, flate2::Compression::best());
        encoder.write_all(&half.concat()).unwrap();
        encoder.finish().unwrap();
    }
    compressed
}

#[test]
fn fixtures_are_what_the_generator_makes() {
    let write = std::env::var_os("FOLDL_WRITE_FIXTURES").is_some();
    for (name, lines) in files() {
        let path = directory().join(name);
        let compressed = name.ends_with(".gz");
        if write {
            fs::write(&path, if compressed { compress(&lines) } else { lines.concat() }).unwrap();
        }
        let mut found = fs::read(&path).unwrap();
        if compressed {
            let mut text = Vec::new();
            flate2::read::MultiGzDecoder::new(&found[..]).read_to_end(&mut text).unwrap();
            found = text;
        }
        assert!(split(&found) == lines, "{name} is not what the generator makes");
    }
}

#[test]
fn odd_lines_are_what_they_are_called() {
    let orders = with_odd_lines(rows(Kind::Orders, 0..3_000));
    for (nth, (name, ..)) in MALFORMED.iter().chain(&VALID).enumerate() {
        let line = &orders[61 * nth + 60];
        let counts = count(std::slice::from_ref(line));
        let malformed = usize::from(nth < MALFORMED.len());
        let expected = Counts { lines: 1, valid: 1 - malformed, malformed, blank: 0 };
        assert_eq!(counts, expected, "{name}: {}", line.escape_ascii());
    }
}

/// On failure, paste what is printed into the tables of `fixtures/README.md`.
#[test]
fn readme_has_the_exact_numbers() {
    let mut expected = Vec::new();
    for (name, lines) in files() {
        let Counts { lines, valid, malformed, blank } = count(&lines);
        expected.push(format!("| `{name}` | {lines} | {valid} | {malformed} | {blank} |"));
    }
    for (nth, (name, ..)) in MALFORMED.iter().chain(&VALID).enumerate() {
        let class = if nth < MALFORMED.len() { "malformed" } else { "valid" };
        expected.push(format!("| {} | {class} | {name} |", 61 * nth + 61));
    }
    expected.push(format!("| {} | blank | |", 61 * (MALFORMED.len() + VALID.len()) + 61));
    let readme = fs::read_to_string(directory().join("README.md")).unwrap();
    let missing: Vec<&String> = expected.iter().filter(|row| !readme.contains(*row)).collect();
    assert!(missing.is_empty(), "rows missing in fixtures/README.md:\n{expected:#?}");
}
