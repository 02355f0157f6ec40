//! The scanner against the slow reference, on every kernel.
//!
//! `FOLDL_PROPTEST_LINES` sets how many lines `random_lines_agree` tries, and `FOLDL_PROPTEST_FILES` names files of
//! JSON Lines for `files_agree`.

use super::simd::Simd;
use super::*;

/// A small generator (SplitMix64), as millions of lines a minute are wanted.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn space(&mut self, out: &mut Vec<u8>) {
        if self.below(12) == 0 {
            out.extend_from_slice(self.pick(&[" ", "  ", "\t", "\r", " \r "]).as_bytes());
        }
    }

    fn string(&mut self, out: &mut Vec<u8>) {
        out.push(b'"');
        let pieces = match self.below(8) {
            0 => 0,
            1 => self.below(40),
            _ => 1 + self.below(3),
        };
        for _ in 0..pieces {
            let piece = match self.below(16) {
                0 => self.pick(&[
                    "\\n",
                    "\\\\",
                    "\\\"",
                    "\\/",
                    "\\u0061",
                    "\\ud83d\\ude00",
                    "\\ud800",
                    "\\uDC00x",
                    "\\b\\f",
                ]),
                1 => self.pick(&["é", "汉字", "😀", "\u{7f}", "\u{80}", "\u{7ff}", "\u{ffff}", "\u{10ffff}"]),
                2 => self.pick(&["{", "}", "[", "]", ",", ":", "{\"".strip_suffix('"').unwrap_or("{"), " "]),
                3 => "a rather long piece of text that fills windows",
                _ => self.pick(&["a", "b", "xyz", "2025-02-22", "0", "key", "-"]),
            };
            out.extend_from_slice(piece.as_bytes());
        }
        out.push(b'"');
    }

    fn key(&mut self, out: &mut Vec<u8>) {
        let key = self.pick(&[
            "a",
            "b",
            "c",
            "a",
            "b",
            "c",
            "status",
            "a long key that does not fit in half a window",
            "é",
            "",
            "a.b",
            "k1",
            "k2",
            "k3",
            "\\u0061",
            "\\u00e9",
            "b\\u0000",
            "a\\\"b",
            "\\ud800",
            "汉字",
            "\\ud83d\\ude00",
            "c\\/d",
        ]);
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.push(b'"');
    }

    fn number(&mut self, out: &mut Vec<u8>) {
        let number = self.pick(&[
            "0",
            "-0",
            "1",
            "42",
            "-17",
            "11.59",
            "1e999",
            "-1.5E-3",
            "0.0",
            "1.10",
            "2E+2",
            "1234567890123456789012345678901",
            "12345678901234567890123456789012",
            "0.1234567890123456789012345678901234",
            "123456789.123456789012345678901",
            "10",
            "7e0",
        ]);
        out.extend_from_slice(number.as_bytes());
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) {
        self.space(out);
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 | 1 => self.string(out),
            2..=4 => self.number(out),
            5 => out.extend_from_slice(self.pick(&["true", "false", "null"]).as_bytes()),
            6 => {
                out.push(b'[');
                self.space(out);
                for i in 0..self.below(5) {
                    if i > 0 {
                        out.push(b',');
                    }
                    self.value(out, depth - 1);
                }
                out.push(b']');
            }
            _ => self.object(out, depth),
        }
        self.space(out);
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) {
        out.push(b'{');
        self.space(out);
        for i in 0..self.below(7) {
            if i > 0 {
                out.push(b',');
                self.space(out);
            }
            self.key(out);
            self.space(out);
            out.push(b':');
            self.value(out, depth.saturating_sub(1));
        }
        out.push(b'}');
    }

    fn order(&mut self, out: &mut Vec<u8>) {
        let id = self.next();
        let quantity = self.below(12);
        let price = match self.below(6) {
            0 => {
                self.pick(&["1e3", "-0.5E-2", "0", "1.25e+10", "-7", "12345678901234567890123456789012345"]).to_owned()
            }
            _ => (self.below(90_000) as f64 / 100.0).to_string(),
        };
        let status = match self.below(8) {
            0 => self.pick(&[
                "a \\\"quoted\\\" one",
                "\\u0041",
                "汉字",
                "a rather long piece of text that fills a window and more of it",
            ]),
            _ => self.pick(&["completed", "failed", "pending"]),
        };
        let record = format!(
            "{{\"a\":\"{id:x}\",\"b\":{quantity},\"c\":{price},\"status\":\"{status}\",\"k1\":\"2025-02-22T04:21:55.483Z\"}}"
        );
        out.extend_from_slice(record.as_bytes());
    }

    /// Changes a few bytes of a line.
    fn mutate(&mut self, line: &mut Vec<u8>) {
        const BYTES: &[u8] = b"\"\\{}[]:,0129.-+eEtfnu \t\r\n\0\x1f\x7f\x80\xc3\xa9\xe6\xff/a";
        for _ in 0..1 + self.below(2) {
            if line.is_empty() {
                return;
            }
            let at = self.below(line.len());
            match self.below(7) {
                0 => line[at] ^= 1 << self.below(8),
                1 => drop(line.remove(at)),
                2 => line.insert(at, BYTES[self.below(BYTES.len())]),
                3 => line[at] = BYTES[self.below(BYTES.len())],
                4 => line.insert(at, line[at]),
                5 => line.truncate(at),
                _ => {
                    let end = at + self.below(line.len() - at).min(9);
                    let piece = line[at..end].to_vec();
                    line.splice(at..at, piece);
                }
            }
        }
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let mut line = Vec::new();
        match self.below(16) {
            0..=3 => self.order(&mut line),
            4..=10 => self.object(&mut line, 4),
            11..=12 => self.value(&mut line, 4),
            13 => self.space(&mut line),
            _ => {
                const BYTES: &[u8] = b"\"\\{}[]:,,::\"\"019.-eEtrufalsn \xc3\xa9a";
                (0..self.below(24)).for_each(|_| line.push(BYTES[self.below(BYTES.len())]));
            }
        }
        if self.below(3) == 0 {
            self.mutate(&mut line);
        }
        out.extend_from_slice(&line);
        out.extend_from_slice(if self.below(8) == 0 { b"\r\n" } else { b"\n" });
    }
}

/// A path from keys and indices: `a.0.b`.
fn path(text: &str) -> Path {
    let steps = text.split('/').filter(|step| !step.is_empty()).map(|step| match step.parse() {
        Ok(index) => Step::Index(index),
        Err(_) => Step::Key(step.into()),
    });
    Path { steps: steps.collect() }
}

fn paths(texts: &[&str]) -> Vec<Path> {
    texts.iter().map(|text| path(text)).collect()
}

/// Sets of paths with prefixes, repetitions, indices and odd keys.
fn path_sets() -> Vec<Vec<Path>> {
    let mut sets = vec![
        paths(&[]),
        paths(&["a", "b", "c", "status"]),
        paths(&["", "a", "a/b", "a/b/0/c", "a", "a/0", "0", "b/2/a", "é", "😀", "c/d"]),
        paths(&[
            "k2",
            "a.b",
            "a\"b",
            "b\0",
            "汉字/a",
            "1",
            "1/1",
            "a long key that does not fit in half a window/a",
            "nowhere",
        ]),
    ];
    sets[3].push(Path { steps: vec![Step::Key(String::new()), Step::Key("a".into())] });
    sets
}

/// Scanners on all kernels, kept from block to block, so that what they learned is tested too.
struct Scanners {
    paths: Vec<Path>,
    limits: Limits,
    scanners: Vec<(Scanner, Batch)>,
}

impl Scanners {
    fn new(paths: Vec<Path>, limits: Limits) -> Scanners {
        let scanners = Simd::all().map(|simd| (Scanner::with_simd(simd, &paths, limits), Batch::default())).collect();
        Scanners { paths, limits, scanners }
    }

    /// Checks that all agree on the block.
    fn check(&mut self, block: &[u8]) {
        let expected = naive::scan(block, &self.paths, self.limits);
        let rejected = |batch: &Batch| {
            let rejects = batch.rejects.iter();
            rejects.map(|r| (r.line, r.span, r.reason == Reason::TooLong)).collect::<Vec<_>>()
        };
        let mut first: Option<Vec<Reject>> = None;
        for (scanner, batch) in &mut self.scanners {
            scanner.scan(block, batch);
            let shown = || format!("{:?} on {:?}", scanner.simd, String::from_utf8_lossy(block));
            assert_eq!(batch.rows, expected.rows, "{}", shown());
            assert_eq!(batch.columns, expected.columns, "{}", shown());
            assert_eq!(rejected(batch), rejected(&expected), "{}", shown());
            assert_eq!(batch.lines, expected.lines, "{}", shown());
            for reject in &batch.rejects {
                assert!(reject.at <= reject.span.end - reject.span.start, "{reject:?} {}", shown());
            }
            // All kernels find the same fault at the same place.
            assert_eq!(first.get_or_insert_with(|| batch.rejects.clone()), &batch.rejects, "{}", shown());
        }
    }
}

fn lines_wanted() -> u64 {
    std::env::var("FOLDL_PROPTEST_LINES").ok().and_then(|lines| lines.parse().ok()).unwrap_or(60_000)
}

#[test]
fn random_lines_agree() {
    let limits = [Limits::default(), Limits { max_depth: 3, max_line: 100 }];
    let (mut lines, mut seed) = (0, 1);
    while lines < lines_wanted() {
        for set in path_sets() {
            for limits in limits {
                let mut scanners = Scanners::new(set.clone(), limits);
                let mut random = Random(seed);
                for _ in 0..20 {
                    let mut block = Vec::new();
                    for _ in 0..random.below(80) {
                        random.line(&mut block);
                        lines += 1;
                    }
                    if random.below(2) == 0 {
                        block.pop();
                    }
                    scanners.check(&block);
                }
                seed += 1;
            }
        }
    }
}

/// Lines of a few shapes, as files have them: most are walked in step with their neighbours, and now and then one is wrong.
#[test]
fn lines_of_few_shapes_agree() {
    let mut lines = 0;
    for seed in 0.. {
        if lines > lines_wanted() {
            break;
        }
        for set in path_sets() {
            let mut scanners = Scanners::new(set, Limits::default());
            let mut random = Random(seed);
            let mut shapes = vec![Vec::new(); 1 + random.below(3)];
            shapes.iter_mut().for_each(|shape| random.object(shape, 3));
            for _ in 0..10 {
                let mut block = Vec::new();
                for _ in 0..random.below(100) {
                    let mut line = Vec::new();
                    match random.below(shapes.len() + 1) {
                        0 => random.order(&mut line),
                        shape => line.extend_from_slice(&shapes[shape - 1]),
                    }
                    if random.below(24) == 0 {
                        random.mutate(&mut line);
                    }
                    block.extend_from_slice(&line);
                    block.push(b'\n');
                    lines += 1;
                }
                scanners.check(&block);
            }
        }
    }
}

/// Records whose keys come in any order, with duplicates, some of them containers.
#[test]
fn keys_in_any_order_agree() {
    const KEYS: [&str; 12] =
        ["a", "b", "c", "status", "k1", "k2", "a.b", "é", "nobody", "a key of 24 characters..", "\\u0062", "汉字"];
    let mut random = Random(11);
    for set in path_sets() {
        let mut scanners = Scanners::new(set, Limits::default());
        for round in 0..60 {
            let mut block = Vec::new();
            for _ in 0..80 {
                let mut line = vec![b'{'];
                for i in 0..2 + random.below(12) {
                    if i > 0 {
                        line.push(b',');
                    }
                    if round % 3 == 1 {
                        line.push(b' ');
                    }
                    line.extend_from_slice(format!("\"{}\":", random.pick(&KEYS)).as_bytes());
                    let depth = usize::from(random.below(20) == 0) * 2;
                    random.value(&mut line, depth);
                }
                line.push(b'}');
                if random.below(30) == 0 {
                    random.mutate(&mut line);
                }
                block.extend_from_slice(&line);
                block.push(b'\n');
            }
            scanners.check(&block);
        }
    }
}

#[test]
fn every_cut_agrees() {
    let mut random = Random(7);
    for set in path_sets() {
        let mut scanners = Scanners::new(set, Limits::default());
        for _ in 0..3 {
            let mut block = Vec::new();
            while block.len() < 400 {
                random.line(&mut block);
            }
            for start in 0..64 {
                for len in 0..=200 {
                    scanners.check(&block[start..start + len]);
                }
            }
        }
    }
}

#[test]
fn depth_has_a_limit() {
    let mut scanners = Scanners::new(paths(&["", "a/a/a", "0/0"]), Limits::default());
    for depth in 126..=131 {
        let arrays = "[".repeat(depth) + &"]".repeat(depth);
        let objects = "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
        let block = format!("{arrays}\n{objects}\n1");
        scanners.check(block.as_bytes());
        for (_, batch) in &scanners.scanners {
            assert_eq!(batch.rows.len(), if depth <= 128 { 3 } else { 1 });
            assert!(batch.rejects.iter().all(|reject| reject.reason == Reason::TooDeep));
        }
    }
    let open = "[".repeat(100_000);
    scanners.check(open.as_bytes());
}

#[test]
fn faults_have_a_reason_and_a_place() {
    let cases: &[(&[u8], Reason, u32)] = &[
        (b"{\"a\":1,}", Reason::UnexpectedByte, 7),
        (b"{\"a\" 1}", Reason::UnexpectedByte, 5),
        (b"{\"a\":1 \"b\":2}", Reason::UnexpectedByte, 7),
        (b"[1,]", Reason::UnexpectedByte, 3),
        (b"[1}", Reason::UnexpectedByte, 2),
        (b"\xef\xbb\xbf1", Reason::UnexpectedByte, 0),
        (b"{\"a\":", Reason::UnexpectedEnd, 5),
        (b"\"abc", Reason::UnexpectedEnd, 4),
        (b"\"abc\\", Reason::UnexpectedEnd, 5),
        (b"\"\\u12", Reason::UnexpectedEnd, 5),
        (b"-", Reason::UnexpectedEnd, 1),
        (b"{} {}", Reason::TrailingData, 3),
        (b"\"a\tb\"", Reason::ControlCharacter, 2),
        (b"\"a\\xb\"", Reason::BadEscape, 3),
        (b"\"\\u12g4\"", Reason::BadEscape, 5),
        (b"\"ab\xffc\"", Reason::BadUtf8, 3),
        (b"[\"\xc3\xa9\xc3\"]", Reason::BadUtf8, 4),
        (b"[01]", Reason::BadNumber, 2),
        (b"[1.]", Reason::BadNumber, 3),
        (b"[-a]", Reason::BadNumber, 2),
        (b"[1e+]", Reason::BadNumber, 4),
        (b"+1", Reason::UnexpectedByte, 0),
        (b"[trui]", Reason::BadLiteral, 4),
        (b"\0", Reason::UnexpectedByte, 0),
    ];
    for end in [&b""[..], b"\n", b"\r\n"] {
        for &(line, reason, at) in cases {
            let block = [b"{}\n", line, end].concat();
            let mut scanners = Scanners::new(paths(&["a"]), Limits::default());
            scanners.check(&block);
            let span = Span { start: 3, end: 3 + line.len() as u32 };
            let reject = Reject { line: 1, span, reason, at };
            assert_eq!(scanners.scanners[0].1.rejects, [reject], "{}", String::from_utf8_lossy(line));
        }
    }
}

#[test]
fn odd_fields_stay_odd() {
    // Each field comes several times among good ones, so that whatever can be learned from it has been.
    let fields: &[&[u8]] = &[
        b"\"a\xff\":1",
        b"\"\xed\xa0\x80\":1",
        b"\"a\\\"b\":1",
        b"\"a\"b\":1",
        b"\"k\" :1",
        b"\"k\":  1",
        b"\"k\"\t:\t1",
        b" \"k\":1",
        b"\"k\":1 ",
        b"\"k\":1e5",
        b"\"k\":01",
        b"\"k\":truefalse",
        b"\"k\":\"\xe6\xb1\x89\"",
        b"\"k\":\"\xe6\xb1\"",
        b"\"\xe6\xb1\x89\":1",
        b"\"\xe6\xb1\":1",
        b"k:1",
        b"\"\\u006b\":1",
        b"\"\\u006b\":1,\"k\":2",
        b"\"k\":1,\"\\u006B\":\"x\"",
        b"\"\\u0061\":{\"\\u0062\":[1,2]},\"c\\/d\":2",
        b"\"\\ud800\":1",
        b"\"\\u00g0\":1",
        b"\"a\":{\"b\":1},\"a\":2",
        b"\"a\":{\"b\":[1,{\"b\":2}]},\"a\":{\"c\":{\"b\":3}}",
    ];
    for max_depth in [0, 1, 2, 128] {
        let limits = Limits { max_depth, ..Limits::default() };
        let mut scanners = Scanners::new(paths(&["", "a", "a/b", "k", "a/b/1/b", "a\"b", "汉"]), limits);
        for field in fields {
            let mut block = Vec::new();
            for start in [&b"{"[..], b"{\"a\":1,", b"{\"z\": \"text\", "] {
                for end in [&b"}"[..], b",\"c\":2}", b", \"d\":null}"] {
                    for _ in 0..4 {
                        block.extend_from_slice(&[start, field, end, b"\n{\"a\":1,\"k\":2}\n"].concat());
                    }
                }
            }
            block.extend_from_slice(&[b' '; 200]);
            scanners.check(&block);
        }
    }
}

/// A container that ends and one that begins in the same link, under a key that comes twice: where the next line is
/// another one, the link is applied again.
#[test]
fn containers_under_a_repeated_key_agree() {
    let mut scanners = Scanners::new(paths(&["a", "a/b", "b"]), Limits::default());
    let line = "{\"a\":{\"b\":1},\"a\":{\"b\":3},\"b\":[]}\n";
    for other in ["{\"a\":{\"b\":1},\"a\":{\"b\":", "{\"a\":{\"b\":1},\"a\":{\"b\":{}}}", "{\"a\":{\"b\":1},\"a\":2}"] {
        for lines in 1..8 {
            let block = line.repeat(lines) + other + "\n" + other + "\n" + &line.repeat(4);
            scanners.check(block.as_bytes());
        }
    }
}

#[test]
fn only_numbers_have_exponents() {
    let mut scanners = Scanners::new(paths(&["", "k"]), Limits::default());
    for value in ["true", "null", "false", "1", "1.5", "-0"] {
        for end in ["e1", "E+01", "e", "e-", "1e1"] {
            for record in ["{\"k\":V}\n", "V\n", "[V,1]\n"] {
                let good = record.replace('V', value);
                let odd = record.replace('V', &format!("{value}{end}"));
                scanners.check((good.repeat(8) + &odd + &odd + &good + &odd).as_bytes());
            }
        }
    }
}

#[test]
fn records_cannot_fill_the_tables() {
    let mut scanners = Scanners::new(paths(&["key9999", "x/y"]), Limits::default());
    for round in 0..20 {
        let lines: Vec<String> = (0..1000)
            .map(|i| format!("{{\"x\":{{\"y{i}\":1,\"y\":{i}}},\"\\/{i}\":1,\"key{}\":{i}}}\n", round * 1000 + i))
            .collect();
        scanners.check(lines.concat().as_bytes());
    }
}

/// Nothing is learned of an array once there are too many containers, while an object of which something is wanted is
/// never skipped.
#[test]
fn an_array_that_is_skipped_says_nothing_of_an_object() {
    let mut scanners = Scanners::new(paths(&["a/b"]), Limits::default());
    let mut block: Vec<u8> = (0..300).flat_map(|i| format!("{{\"k{i}\":{{\"l\":0}}}}\n").into_bytes()).collect();
    for _ in 0..3 {
        block.extend_from_slice(b"{\"x\":0,\"a\":[1]}\n{\"x\":0,\"a\":{\"b\":1}}\n[1]\n{\"a\":{\"b\":1}}\n");
        block.extend_from_slice(format!("{{\"filler\":\"{}\"}}\n", "-".repeat(100)).as_bytes());
    }
    scanners.check(&block);
}

#[test]
fn files_agree() {
    for file in std::env::var("FOLDL_PROPTEST_FILES").unwrap_or_default().split_whitespace() {
        let bytes = std::fs::read(file).expect("FOLDL_PROPTEST_FILES names files that can be read");
        let sets = [
            &["_path", "ts", "id.orig_h"][..],
            &["EventID", "Message", "Hostname"],
            &["answer", "", "connections/active"],
        ];
        for set in sets {
            let mut scanners = Scanners::new(paths(set), Limits::default());
            for block in bytes.chunk_by(|&a, _| a != b'\n').collect::<Vec<_>>().chunks(97) {
                scanners.check(&block.concat());
            }
        }
    }
}
