//! CSV and JSON values against slow twins, in blocks and reads of all sizes.

#![allow(clippy::unwrap_used)]

use std::io::{self, Read};

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{Block, Input, InputFormat, InputOptions};
use crate::scan::{Batch, Limits, Reason, Scanner};

/// A record or reject: where it stood, and the line that was made of it, or what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    line: u64,
    offset: u64,
    raw: Vec<u8>,
    result: Result<String, Reason>,
}

/// Gives a number of bytes at a time.
struct Pieces(Vec<u8>, usize, usize);

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.2.min(into.len()).min(self.0.len() - self.1);
        into[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
        self.1 += n;
        Ok(n)
    }
}

fn options(format: InputFormat) -> InputOptions {
    InputOptions { format: Some(format), ..InputOptions::default() }
}

/// Reads a text, `piece` bytes at a time.
fn read(text: &[u8], options: &InputOptions, piece: usize) -> crate::Result<Vec<Found>> {
    let input = Input::from_reader(Pieces(text.to_vec(), 0, piece), "x", options.clone())?;
    let mut scanner = Scanner::new(&[], Limits { max_line: options.max_line, ..Limits::default() });
    let (mut block, mut batch) = (Block::new(), Batch::default());
    let mut found = Vec::new();
    let mut passed = None;
    while input.next(&mut block)? {
        assert!(passed.is_none_or(|passed| passed <= block.offset));
        passed = Some(block.offset + block.raw().len() as u64);
        scanner.scan(block.bytes(), &mut batch);
        let mut of_block = Vec::new();
        let original = block.original().unwrap();
        let mut add = |span: crate::scan::Span, result| {
            let (start, end) = (span.start as usize, span.end as usize);
            let line = block.first_line.unwrap() + super::made::newlines(&block.raw()[..start]) + 1;
            let raw = block.raw()[start..end].to_vec();
            of_block.push(Found { line, offset: block.offset + start as u64, raw, result });
        };
        for row in &batch.rows {
            add(original.span(row.start), Ok(String::from_utf8(row.of(block.bytes()).to_vec()).unwrap()));
        }
        for reject in block.rejects(&batch.rejects) {
            assert!(reject.at <= reject.span.end - reject.span.start);
            add(reject.span, Err(reject.reason));
        }
        if let Some(overlong) = block.overlong() {
            let line = block.first_line.unwrap() + super::made::newlines(block.raw()) + 1;
            of_block.push(Found {
                line,
                offset: overlong.offset,
                raw: overlong.prefix.to_vec(),
                result: Err(Reason::TooLong),
            });
        }
        of_block.sort_by_key(|found| found.offset);
        found.append(&mut of_block);
    }
    Ok(found)
}

/// Reads a text in many ways, which must not matter.
fn read_all_ways(text: &[u8], options: &InputOptions) -> crate::Result<Vec<Found>> {
    let whole = read(text, options, usize::MAX);
    for block_size in [1, 2, 5, 16, 50, 300] {
        for piece in [1, 3, usize::MAX] {
            let options = InputOptions { block_size, ..options.clone() };
            let parts = read(text, &options, piece);
            match (&whole, &parts) {
                (Ok(whole), Ok(parts)) => assert_eq!(whole, parts, "blocks of {block_size}, reads of {piece}"),
                (Err(whole), Err(parts)) => assert_eq!(whole.to_string(), parts.to_string()),
                _ => panic!("{whole:?} {parts:?}"),
            }
        }
    }
    whole
}

/// The records of CSV, found byte by byte.
fn naive_csv(text: &[u8], delimiter: u8, header: bool) -> Result<Vec<Found>, Reason> {
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut names: Option<Vec<String>> = None;
    let mut found = Vec::new();
    while at < text.len() {
        let start = at;
        let line_end =
            text[start..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |newline| start + newline);
        let (fields, end, next) = match naive_row(text, start, delimiter) {
            Ok((fields, end, next)) => (Ok(fields), end, next),
            Err(reason) => {
                let end = if text[start..line_end].ends_with(b"\r") { line_end - 1 } else { line_end };
                (Err(reason), end, (line_end + 1).min(text.len()))
            }
        };
        at = next;
        if start == end {
            continue;
        }
        let raw = text[start..end].to_vec();
        let result = match (fields, &names) {
            (Err(reason), None) if header => return Err(reason),
            (Err(reason), _) => Err(reason),
            (Ok(fields), None) => {
                let count = fields.len();
                let width = (count - 1).to_string().len();
                let texts: Option<Vec<String>> =
                    fields.iter().map(|(_, field)| String::from_utf8(field.clone()).ok()).collect();
                names = Some((0..count).map(|column| format!("column{column:0width$}")).collect());
                if header {
                    let mut unique: Vec<String> = Vec::new();
                    for (column, name) in texts.ok_or(Reason::BadUtf8)?.into_iter().enumerate() {
                        let base = if name.is_empty() { format!("column{column:0width$}") } else { name };
                        let numbered = (1..).map(|number| format!("{base}_{number}"));
                        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !unique.contains(name));
                        unique.extend(name);
                    }
                    names = Some(unique);
                    continue;
                }
                naive_line(&fields, names.as_deref().unwrap_or_default())
            }
            (Ok(fields), Some(names)) => naive_line(&fields, names),
        };
        let line = text[..start].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        found.push(Found { line, offset: start as u64, raw, result });
    }
    Ok(found)
}

type Fields = Vec<(bool, Vec<u8>)>;

/// The fields of a row, whether they are quoted, the row's end, and the start of the next one.
fn naive_row(text: &[u8], start: usize, delimiter: u8) -> Result<(Fields, usize, usize), Reason> {
    let ends = |at: usize| match &text[at..] {
        [] => Some(at),
        [b'\n', ..] | [b'\r'] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    };
    let mut fields = Fields::new();
    let mut at = start;
    loop {
        let mut field = Vec::new();
        let quoted = text.get(at) == Some(&b'"');
        if quoted {
            at += 1;
            loop {
                match &text[at..] {
                    [] => return Err(Reason::UnterminatedQuote),
                    [b'"', b'"', ..] => {
                        field.push(b'"');
                        at += 2;
                    }
                    [b'"', ..] => break,
                    [byte, ..] => {
                        field.push(*byte);
                        at += 1;
                    }
                }
            }
            at += 1;
            if ends(at).is_none() && text[at] != delimiter {
                return Err(Reason::TextAfterQuote);
            }
        } else {
            while ends(at).is_none() && text[at] != delimiter {
                field.push(text[at]);
                at += 1;
            }
        }
        fields.push((quoted, field));
        match ends(at) {
            Some(next) => return Ok((fields, at, next)),
            None => at += 1,
        }
    }
}

fn naive_line(fields: &Fields, names: &[String]) -> Result<String, Reason> {
    match fields.len().cmp(&names.len()) {
        std::cmp::Ordering::Less => return Err(Reason::TooFewFields),
        std::cmp::Ordering::Greater => return Err(Reason::TooManyFields),
        std::cmp::Ordering::Equal => {}
    }
    let mut members = Vec::new();
    for ((quoted, field), name) in fields.iter().zip(names) {
        let field = std::str::from_utf8(field).map_err(|_| Reason::BadUtf8)?;
        let is_number = field.trim() == field
            && field.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            && serde_json::from_str::<&RawValue>(field).is_ok();
        let value = match field {
            "" if !quoted => "null".to_owned(),
            "true" | "false" if !quoted => field.to_owned(),
            field if !quoted && is_number => field.to_owned(),
            field => serde_json::to_string(field).unwrap(),
        };
        members.push(format!("{}:{value}", serde_json::to_string(name).unwrap()));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn check_csv(text: &[u8], format: InputFormat, header: bool) {
    let delimiter = if format == InputFormat::Csv { b',' } else { b'\t' };
    let options = InputOptions { header, ..options(format) };
    match (naive_csv(text, delimiter, header), read_all_ways(text, &options)) {
        (Ok(expected), Ok(found)) => assert_eq!(expected, found),
        (Err(_), Err(error)) => assert!(error.to_string().contains("header"), "{error}"),
        (expected, found) => panic!("{expected:?} {found:?}"),
    }
}

/// Texts of a few bytes that mean something, and some that do not.
fn soup(bytes: &'static [&'static [u8]], len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(bytes), 0..len).prop_map(|parts| parts.concat())
}

const CSV_PARTS: &[&[u8]] = &[
    b",",
    b",",
    b",",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\"",
    b"\"",
    b"\"\"",
    b"a",
    b"bcdefghij",
    b"1",
    b"-2.5e3",
    b"007",
    b"1e999",
    b"NaN",
    b"true",
    b"false",
    b"null",
    b"\\",
    b"\t",
    b"\0",
    b"\xc3\xa9",
    b"\xff",
    b" ",
];

const JSON_PARTS: &[&[u8]] = &[
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b"\"",
    b",",
    b",",
    b":",
    b"\\",
    b"\n",
    b"\n",
    b" ",
    b"  ",
    b"\r\n",
    b"1",
    b"true",
    b"a",
    b"{\"a\":1}",
    b"\"b\"",
    b"\xc3\xa9",
    b"\xff",
    b"\n  {",
    b"\n  }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 2000 }))]

    #[test]
    fn csv_is_read_as_the_slow_twin_reads_it(
        text in soup(CSV_PARTS, 60), columns in 1usize..4, header: bool, bom: bool, tabs: bool,
    ) {
        let mut whole = if bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        if header {
            whole.extend([b"x,y,z\n".as_slice(), b"x,y\n", b"x\n"][3 - columns]);
        }
        whole.extend(text);
        check_csv(&whole, if tabs { InputFormat::Tsv } else { InputFormat::Csv }, header);
    }

    #[test]
    fn csv_is_read_as_a_crate_for_it_reads_it(
        rows in prop::collection::vec(prop::collection::vec(("[a-z,\"\n\r é0-9]{0,12}", any::<bool>()), 3), 1..12),
    ) {
        let mut text = Vec::new();
        for row in &rows {
            for (number, (field, quoted)) in row.iter().enumerate() {
                text.extend((number > 0).then_some(b','));
                // One column is never empty, as empty lines are no rows.
                if *quoted || number == 0 || field.contains([',', '"', '\n', '\r']) {
                    text.extend(format!("\"{}\"", field.replace('"', "\"\"")).bytes());
                } else {
                    text.extend(field.bytes());
                }
            }
            text.push(b'\n');
        }
        let options = InputOptions { header: false, ..options(InputFormat::Csv) };
        let found = read_all_ways(&text, &options).unwrap();
        let mut reader = csv_core::Reader::new();
        let (mut rest, mut number) = (&text[..], 0);
        loop {
            let (mut fields, mut ends) = ([0; 200], [0; 10]);
            let (result, read, _, count) = reader.read_record(rest, &mut fields, &mut ends);
            rest = &rest[read..];
            match result {
                csv_core::ReadRecordResult::End => break,
                csv_core::ReadRecordResult::Record => {}
                csv_core::ReadRecordResult::InputEmpty => continue,
                other => panic!("{other:?}"),
            }
            let line: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(found[number].result.as_ref().unwrap()).unwrap();
            prop_assert_eq!(line.len(), count);
            for (column, value) in line.values().enumerate() {
                let start = column.checked_sub(1).map_or(0, |before| ends[before]);
                let field = std::str::from_utf8(&fields[start..ends[column]]).unwrap();
                match value {
                    serde_json::Value::Null => prop_assert_eq!(field, ""),
                    serde_json::Value::String(text) => prop_assert_eq!(field, text),
                    serde_json::Value::Bool(value) => prop_assert_eq!(field, value.to_string()),
                    value => prop_assert_eq!(field.parse::<f64>().unwrap(), value.as_f64().unwrap()),
                }
            }
            number += 1;
        }
        prop_assert_eq!(number, found.len());
    }

    #[test]
    fn rows_are_cut_at_the_longest_line_in_the_same_way(text in soup(CSV_PARTS, 60), max_line in 8usize..40, header: bool) {
        let options = InputOptions { max_line, header, ..options(InputFormat::Csv) };
        read_all_ways(&text, &options).ok();
    }

    #[test]
    fn valid_arrays_are_split_into_their_elements(
        elements in prop::collection::vec(element(), 0..8),
        blanks in prop::collection::vec(prop::sample::select(vec!["", "", " ", "\n", "\r\n\t", "\n    "]), 1..20),
    ) {
        let mut blanks = blanks.iter().cycle();
        let mut blank = || *blanks.next().unwrap();
        let mut text = format!("{}[", blank());
        for (number, element) in elements.iter().enumerate() {
            text += if number > 0 { "," } else { "" };
            text += blank();
            text += element;
            text += blank();
        }
        text += "]";
        text += blank();
        let found = read_all_ways(text.as_bytes(), &options(InputFormat::Json)).unwrap();
        let expected: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let offset = expected.get().as_ptr() as usize - text.as_ptr() as usize;
            prop_assert_eq!(found.offset, offset as u64);
            prop_assert_eq!(&found.raw, expected.get().as_bytes());
            prop_assert_eq!(found.line, 1 + text[..offset].matches('\n').count() as u64);
            prop_assert_eq!(&found.result, &Ok(expected.get().replace('\n', " ")));
        }
    }

    #[test]
    fn anything_after_a_bracket_is_read_in_the_same_way(text in soup(JSON_PARTS, 50), array: bool) {
        let text = if array { [b"[", &text[..]].concat() } else { text };
        let found = read_all_ways(&text, &options(InputFormat::Json)).unwrap();
        if let Ok(expected) = serde_json::from_slice::<Vec<&RawValue>>(&text) {
            let raw: Vec<&[u8]> = expected.iter().map(|element| element.get().as_bytes()).collect();
            prop_assert!(found.iter().all(|found| found.result.is_ok()));
            prop_assert_eq!(found.iter().map(|found| &found.raw[..]).collect::<Vec<_>>(), raw);
        } else if array {
            prop_assert!(found.iter().any(|found| found.result.is_err()), "{found:?}");
        }
    }

    #[test]
    fn values_are_cut_at_the_longest_line_in_the_same_way(text in soup(JSON_PARTS, 60), max_line in 8usize..30, array: bool) {
        let text = if array { [b"[", &text[..]].concat() } else { text };
        let options = InputOptions { max_line, ..options(InputFormat::Json) };
        read_all_ways(&text, &options).unwrap();
    }
}

/// A JSON value, with white space in it.
fn element() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec!["1", "-0.5e9", "true", "null", r#""a\"]}\\""#, r#""{[\u00e9,é""#, r#""""#]);
    scalar.prop_map(str::to_owned).prop_recursive(4, 20, 4, |inner| {
        let list = prop::collection::vec(inner, 0..4);
        (list, any::<bool>(), prop::sample::select(vec!["", " ", "\n  "])).prop_map(|(list, object, blank)| {
            if object {
                let members: Vec<String> = list.iter().map(|value| format!("{blank}\"k]\":{blank}{value}")).collect();
                format!("{{{}{blank}}}", members.join(","))
            } else {
                format!("[{blank}{}]", list.join(&format!("{blank},{blank}")))
            }
        })
    })
}

/// The results of what was found, as short as possible.
fn results(found: &[Found]) -> Vec<Result<&str, Reason>> {
    found.iter().map(|found| found.result.as_deref().map_err(|reason| *reason)).collect()
}

#[test]
fn a_wrong_quote_costs_one_line() {
    let text = b"a,b\n1,\"x\n2,y\n3,\"z\"\n4,w\n";
    check_csv(text, InputFormat::Csv, true);
    let found = read(text, &options(InputFormat::Csv), 1).unwrap();
    assert_eq!(
        results(&found),
        [Err(Reason::TextAfterQuote), Ok(r#"{"a":2,"b":"y"}"#), Ok(r#"{"a":3,"b":"z"}"#), Ok(r#"{"a":4,"b":"w"}"#)]
    );
    assert_eq!((found[0].line, found[0].offset, &found[0].raw[..]), (2, 4, &b"1,\"x"[..]));
}

#[test]
fn a_row_that_becomes_too_long_a_line_is_rejected() {
    let options = InputOptions { max_line: 30, ..options(InputFormat::Csv) };
    let found = read_all_ways(b"aaaaaaaa,b\n1,2\n,\x01\x01\x01\x01\n,x\n", &options).unwrap();
    assert_eq!(
        results(&found),
        [Ok(r#"{"aaaaaaaa":1,"b":2}"#), Err(Reason::TooLong), Ok(r#"{"aaaaaaaa":null,"b":"x"}"#)]
    );
}

#[test]
fn a_field_of_any_kind_may_be_too_long() {
    let options = InputOptions { max_line: 5000, ..options(InputFormat::Csv) };
    for field in [
        "1".repeat(4990),
        format!("1e-{}", "1".repeat(4980)),
        "\\".repeat(2600),
        "x".repeat(4990),
        "\u{1}".repeat(4000),
    ] {
        let found = read_all_ways(format!("aaaaaaaaaa,b\n{field},1\n1,2\n").as_bytes(), &options).unwrap();
        assert_eq!(results(&found), [Err(Reason::TooLong), Ok(r#"{"aaaaaaaaaa":1,"b":2}"#)]);
    }
}

#[test]
fn an_unclosed_quote_ends_at_the_longest_line() {
    let options = InputOptions { max_line: 30, ..options(InputFormat::Csv) };
    let found = read_all_ways(b"a\n\"x\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n", &options).unwrap();
    assert_eq!((found[0].result.clone(), found.len()), (Err(Reason::UnterminatedQuote), 15));
}

#[test]
fn mistakes_in_an_array_stay_within_an_element() {
    let of = |text: &str| {
        let found = read_all_ways(text.as_bytes(), &options(InputFormat::Json)).unwrap();
        found.into_iter().map(|found| found.result.map_err(|reason| reason.to_string())).collect::<Vec<_>>()
    };
    let ok = |text: &str| Ok(text.to_owned());
    let err = |reason: Reason| Err(reason.to_string());
    assert_eq!(of("[1,,2,]"), [ok("1"), err(Reason::MissingElement), ok("2"), err(Reason::MissingElement)]);
    assert_eq!(of("[{} {}, 3]"), [ok("{}"), err(Reason::MissingComma), ok("3")]);
    assert_eq!(of("[1]\n x y\n\n]"), [ok("1"), err(Reason::AfterArray), err(Reason::AfterArray)]);
    assert_eq!(of("[{\"a\":1}\n"), [ok("{\"a\":1}"), err(Reason::UnterminatedArray)]);
    assert_eq!(of("[{\"a\":1}, {\"a\":"), [ok("{\"a\":1}"), err(Reason::UnterminatedArray)]);
    assert_eq!(of("[{\"a\":[1}, 2]"), [err(Reason::UnexpectedByte), ok("2")]);
    // A string that does not end, with the closing brace in it.
    assert_eq!(
        of("[\n{\"a\":\"x},\n{\"a\":2},\n{\"a\":3}\n]"),
        [err(Reason::UnexpectedEnd), ok("{\"a\":2}"), ok("{\"a\":3}")]
    );
    // A brace is missing, and found to be at the end of the input.
    assert_eq!(
        of("[\n  {\"a\":1,\n  {\"a\":2},\n  {\"a\":3}\n]"),
        [err(Reason::UnexpectedEnd), ok("{\"a\":2}"), ok("{\"a\":3}")]
    );
    assert_eq!(
        of("{\"a\":\n1}{\"b\":2} 3 x\n"),
        [ok("{\"a\": 1}"), ok("{\"b\":2}"), ok("3"), err(Reason::UnexpectedByte)]
    );
    assert!(of(" \n").is_empty() && of("[ ]\n").is_empty());
}

#[test]
fn brackets_without_end_are_no_burden() {
    let text = "[".repeat(100_000);
    let options = InputOptions { max_line: 10_000, ..options(InputFormat::Json) };
    let found = read(text.as_bytes(), &options, 7).unwrap();
    assert_eq!(results(&found), [Err(Reason::TooLong), Err(Reason::UnterminatedArray)]);
}
