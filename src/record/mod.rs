//! Records: typed access to the values of one line.

mod asked;
mod decoded;

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Place, Result};
use crate::scan::{Batch, Limits, Path, Scanner, Step, StepRef, steps_of};
use crate::value::{Date, Timestamp, Value, json, number};
use asked::Known;
pub(crate) use asked::{Asked, Fields};
use decoded::Decoded;
use sealed::Sealed;

/// One record: a line of an input, or a row of a query's result.
///
/// The text was validated before, so reading from it cannot fail: what is asked for is there or it is not. Paths are
/// texts (`"user.address.city"`, `"items[0].price"`, `r#""odd.key".x"#`) or [`Path`]s, which saves taking the text
/// apart each time. A text that is no path leads nowhere, as a misspelt one does; `text.parse::<Path>()` says what is wrong
/// with it. Of duplicate keys the last one counts.
///
/// **A missing path, `null` and a value of another type are all `None`.** [`exists`](Record::exists) and
/// [`raw`](Record::raw) tell them apart. Nothing is converted silently: `"5"` is no number, `5` is no text, and `5.0` is
/// no integer.
///
/// ```
/// use foldl::Record;
/// use foldl::value::Date;
///
/// let order = Record::parse(r#"{"user": {"name": "Zo\u00eb"}, "items": [{"price": 1.50}], "at": "2025-03-01T02:10:22Z", "to": null}"#)?;
/// assert_eq!(order.str("user.name"), Some("Zoë"));
/// assert_eq!(order.f64("items[0].price"), Some(1.5));
/// assert_eq!(order.raw("items[0].price"), Some("1.50"));
/// assert_eq!(order.date("at"), Date::new(2025, 3, 1));
/// assert_eq!(order.i64("user.name"), None);
/// assert_eq!((order.str("to"), order.exists("to"), order.exists("from")), (None, true, false));
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct Record<'a> {
    text: Cow<'a, [u8]>,
    source: Option<Source<'a>>,
    /// Found when the record was scanned; parts of the text.
    fields: Option<Fields<'a>>,
    /// Made when the first string with an escape is read.
    decoded: OnceLock<Box<Decoded>>,
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    /// From 1; 0 if it is not known.
    pub(crate) line: u64,
    pub(crate) offset: u64,
}

/// What leads into a record: a [`Path`], or a text that is read as one.
pub trait RecordPath: Sealed {}

mod sealed {
    use super::Known;

    pub trait Sealed {
        /// The JSON text at the path.
        fn follow<'t>(&self, record: &'t [u8]) -> Option<&'t [u8]>;

        /// Whether it is that path.
        fn is(&self, known: &Known) -> bool;

        /// The path, if it is one.
        fn known(&self) -> Option<Known>;
    }
}

impl RecordPath for str {}
impl RecordPath for String {}
impl RecordPath for Path {}

impl Sealed for str {
    fn follow<'t>(&self, record: &'t [u8]) -> Option<&'t [u8]> {
        steps_of(self).try_fold(record.trim_ascii(), |text, step| match step.ok()? {
            StepRef::Key(key) => json::get(text, &key),
            StepRef::Index(index) => json::index(text, index.into()),
        })
    }

    fn is(&self, known: &Known) -> bool {
        known.text == *self
    }

    fn known(&self) -> Option<Known> {
        Some(Known { text: self.to_owned(), path: self.parse().ok()? })
    }
}

impl Sealed for String {
    fn follow<'t>(&self, record: &'t [u8]) -> Option<&'t [u8]> {
        self.as_str().follow(record)
    }

    fn is(&self, known: &Known) -> bool {
        self.as_str().is(known)
    }

    fn known(&self) -> Option<Known> {
        self.as_str().known()
    }
}

impl Sealed for Path {
    fn follow<'t>(&self, record: &'t [u8]) -> Option<&'t [u8]> {
        self.steps.iter().try_fold(record.trim_ascii(), |text, step| match step {
            Step::Key(key) => json::get(text, key),
            Step::Index(index) => json::index(text, (*index).into()),
        })
    }

    fn is(&self, known: &Known) -> bool {
        known.path == *self
    }

    fn known(&self) -> Option<Known> {
        Some(Known { text: self.to_string(), path: self.clone() })
    }
}

impl<'a> Record<'a> {
    /// Reads one record, validating it as a line of an input is. For tests of callbacks and the like.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if the text is not exactly one line with a valid record.
    pub fn parse(text: &'a str) -> Result<Record<'a>> {
        let rejected = |message: String| Err(Error::new(ErrorKind::Rejected, message));
        if text.len() > Limits::default().max_line {
            return rejected("the text is too long for a record".to_owned());
        }
        let mut batch = Batch::default();
        Scanner::new(&[], Limits::default()).scan(text.as_bytes(), &mut batch);
        match (&batch.rows[..], &batch.rejects[..]) {
            (&[line], []) => Ok(Record::new(line.of(text.as_bytes()), None, None)),
            (_, [reject, ..]) => rejected(format!("{} at byte {}", reject.reason, reject.at)),
            (rows, []) => rejected(format!("the text has {} records instead of one", rows.len())),
        }
    }

    /// A row that a run wrote, without its line end. It is not validated again: anything else gives fields that are not
    /// there.
    #[doc(hidden)]
    pub fn of_row(text: &'a [u8]) -> Record<'a> {
        Record::new(text, None, None)
    }

    /// A record of validated text.
    pub(crate) fn new(text: &'a [u8], source: Option<Source<'a>>, fields: Option<Fields<'a>>) -> Record<'a> {
        Record { text: Cow::Borrowed(text), source, fields, decoded: OnceLock::new() }
    }

    /// A record that owns its validated text.
    pub(crate) fn owned(text: Vec<u8>) -> Record<'static> {
        Record { text: Cow::Owned(text), source: None, fields: None, decoded: OnceLock::new() }
    }

    /// The record's text as it stands in the input, without the line end.
    pub fn json(&self) -> &str {
        utf8(&self.text)
    }

    /// The record's text.
    pub fn into_json(self) -> String {
        String::from_utf8(self.text.into_owned()).unwrap_or_default()
    }

    /// The value at a path, as foldl's own type; `None` where it is missing or `null`. Arrays and objects are JSON text.
    pub fn get<P: RecordPath + ?Sized>(&self, path: &P) -> Option<Value<'_>> {
        match self.find(path)? {
            b"null" => None,
            b"true" => Some(Value::Bool(true)),
            b"false" => Some(Value::Bool(false)),
            [b'"', body @ .., b'"'] => Some(Value::Text(self.decode(body).0)),
            text @ ([b'[', ..] | [b'{', ..]) => Some(Value::Json(text)),
            number => Some(Value::number(number)),
        }
    }

    /// The JSON text at a path as it stands in the record, `null` included.
    pub fn raw<P: RecordPath + ?Sized>(&self, path: &P) -> Option<&str> {
        self.find(path).map(utf8)
    }

    /// Whether the record has the path, if only with `null`.
    pub fn exists<P: RecordPath + ?Sized>(&self, path: &P) -> bool {
        self.find(path).is_some()
    }

    /// A string, decoded. A lone surrogate escape, which no Rust text can hold, reads as U+FFFD.
    pub fn str<P: RecordPath + ?Sized>(&self, path: &P) -> Option<&str> {
        match self.find(path)? {
            [b'"', body @ .., b'"'] => Some(utf8(self.decode(body).1)),
            _ => None,
        }
    }

    /// A number that is spelt as an integer and fits 64 bits.
    pub fn i64<P: RecordPath + ?Sized>(&self, path: &P) -> Option<i64> {
        number_at(self.find(path)?).and_then(number::parse_int)
    }

    /// Any number, as the nearest float; `None` if that is not finite (`1e999`).
    pub fn f64<P: RecordPath + ?Sized>(&self, path: &P) -> Option<f64> {
        number_at(self.find(path)?).and_then(number::parse_float)
    }

    /// `true` or `false`.
    pub fn bool<P: RecordPath + ?Sized>(&self, path: &P) -> Option<bool> {
        match self.find(path)? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A string that is a date or a timestamp, as the day that is written: see [`Date::parse`].
    pub fn date<P: RecordPath + ?Sized>(&self, path: &P) -> Option<Date> {
        match self.find(path)? {
            [b'"', body @ .., b'"'] => Date::parse(self.decode(body).0),
            _ => None,
        }
    }

    /// A string that is a timestamp, or a date at midnight: see [`Timestamp::parse`].
    pub fn timestamp<P: RecordPath + ?Sized>(&self, path: &P) -> Option<Timestamp> {
        match self.find(path)? {
            [b'"', body @ .., b'"'] => Timestamp::parse(self.decode(body).0),
            _ => None,
        }
    }

    /// The whole record as a type that serde can make of it.
    ///
    /// A `&str` field borrows, but fits only strings without escapes; a `Cow<str>` with `#[serde(borrow)]` fits all.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Order<'a> {
    ///     status: &'a str,
    ///     price: f64,
    /// }
    ///
    /// let record = foldl::Record::parse(r#"{"price": 11.59, "status": "completed"}"#)?;
    /// let order: Order = record.deserialize()?;
    /// assert_eq!((order.status, order.price), ("completed", 11.59));
    /// # Ok::<(), foldl::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`], with the record's [`place`](Record::place), if the record does not fit the type.
    pub fn deserialize<'r, T: Deserialize<'r>>(&'r self) -> Result<T> {
        serde_json::from_slice(&self.text).map_err(|cause| {
            let error = Error::new(ErrorKind::Rejected, "the record does not fit its type").caused_by(cause);
            match self.place() {
                Some(place) => error.at(place),
                None => error,
            }
        })
    }

    /// The name of the file that the record stands in; `None` for rows of a query.
    pub fn file(&self) -> Option<&str> {
        self.source.map(|source| source.file)
    }

    /// The number of the record's line, from 1, where lines are counted
    /// ([`Pipeline::line_numbers`](crate::Pipeline::line_numbers)).
    pub fn line(&self) -> Option<u64> {
        self.source.map(|source| source.line).filter(|&line| line > 0)
    }

    /// The offset of the record's first byte in its decompressed file, from 0; `None` for rows of a query.
    pub fn offset(&self) -> Option<u64> {
        self.source.map(|source| source.offset)
    }

    /// Where the record stands, for errors; `None` for rows of a query.
    pub fn place(&self) -> Option<Place> {
        self.source.map(|Source { file, line, offset }| Place::Record { file: file.to_owned(), line, offset })
    }

    /// The JSON text at a path, without white space around it.
    fn find<P: RecordPath + ?Sized>(&self, path: &P) -> Option<&[u8]> {
        match self.fields.and_then(|fields| fields.get(path)) {
            Some(found) => found,
            None => path.follow(&self.text),
        }
    }

    /// A string's body, decoded: exactly, and as Unicode.
    fn decode<'r>(&'r self, body: &'r [u8]) -> (&'r [u8], &'r [u8]) {
        if memchr::memchr(b'\\', body).is_none() {
            return (body, body);
        }
        let decoded = self.decoded.get_or_init(|| Box::new(Decoded::new(&self.text)));
        // The body is a part of the record's text.
        decoded.get(body.as_ptr() as usize - self.text.as_ptr() as usize).unwrap_or((body, body))
    }
}

/// The text, if it can be a number's.
fn number_at(text: &[u8]) -> Option<&[u8]> {
    matches!(text.first(), Some(b'-' | b'0'..=b'9')).then_some(text)
}

/// Validated text. It is looked at again, as a wrong promise would be undefined behaviour; that costs next to nothing.
fn utf8(text: &[u8]) -> &str {
    simdutf8::basic::from_utf8(text).unwrap_or_default()
}

impl Clone for Record<'_> {
    fn clone(&self) -> Self {
        Record { text: self.text.clone(), source: self.source, fields: self.fields, decoded: OnceLock::new() }
    }
}

/// The record's text.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("json", &self.json()).field("place", &self.place()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan::Kind;

    fn record(text: &str) -> Record<'_> {
        Record::parse(text).unwrap()
    }

    #[test]
    fn one_type_is_no_other() {
        let record = record(
            r#" {"int": 5, "float": 5.0, "text": "5", "yes": true, "no": false, "null": null, "list": [5], "map": {"a": 5},
                "wide": 9223372036854775808, "huge": 1e999, "date": "2025-02-22", "time": "2025-02-22T23:00:00-05:00"}"#
                .replace('\n', "")
                .leak(),
        );
        let all = ["int", "float", "text", "yes", "no", "null", "list", "map", "wide", "huge", "date", "time", "none"];
        let having = |has: &dyn Fn(&str) -> bool| all.into_iter().filter(|path| has(path)).collect::<Vec<_>>();
        assert_eq!(having(&|path| record.i64(path).is_some()), ["int"]);
        assert_eq!(having(&|path| record.f64(path).is_some()), ["int", "float", "wide"]);
        assert_eq!(having(&|path| record.str(path).is_some()), ["text", "date", "time"]);
        assert_eq!(having(&|path| record.bool(path).is_some()), ["yes", "no"]);
        assert_eq!(having(&|path| record.date(path).is_some()), ["date", "time"]);
        assert_eq!(having(&|path| record.timestamp(path).is_some()), ["date", "time"]);
        assert_eq!(having(&|path| record.get(path).is_none()), ["null", "none"]);
        assert_eq!(having(&|path| !record.exists(path)), ["none"]);
        assert_eq!(record.date("time"), Date::new(2025, 2, 22));
        assert_eq!(record.timestamp("time").unwrap().date(), Date::new(2025, 2, 23).unwrap());
        assert_eq!((record.bool("yes"), record.bool("no")), (Some(true), Some(false)));
        assert!(matches!(record.get("map"), Some(Value::Json(b"{\"a\": 5}"))));
        assert!(matches!(record.get("huge"), Some(Value::Huge(b"1e999"))));
        assert_eq!(record.raw("null"), Some("null"));
        assert_eq!(record.i64("map.a"), record.i64("list[0]"));
    }

    #[test]
    fn texts_that_are_no_paths_lead_nowhere() {
        let record = record(r#"{"a": {"": 1, "b": 2}}"#);
        for path in ["a.", ".a", "a..b", "a[", "a[x]", "\"a", "b", "a.b.c", "a[0]"] {
            assert!(!record.exists(path), "{path}");
        }
        assert_eq!(record.i64(r#"a."""#), Some(1));
        assert_eq!(record.raw(""), Some(record.json()));
    }

    #[test]
    fn escapes_are_decoded() {
        let record = record(r#"{"k\u0065y": "\u00e9\n", "half": "a\ud83d", "pair": "\ud83d\ude00", "plain": "é"}"#);
        assert_eq!(record.str("key"), Some("é\n"));
        assert_eq!(record.str("half"), Some("a\u{fffd}"));
        assert!(matches!(record.get("half"), Some(Value::Text(b"a\xed\xa0\xbd"))));
        assert_eq!((record.str("pair"), record.str("plain")), (Some("😀"), Some("é")));
        assert_eq!(record.clone().str("key"), record.str("key"));
    }

    #[test]
    fn only_one_valid_record_is_parsed() {
        for text in ["", "\n", "{", "1 2", "1\n2", "{\"a\":01}"] {
            assert_eq!(Record::parse(text).unwrap_err().kind(), ErrorKind::Rejected, "{text:?}");
        }
        assert_eq!(record("\n {\"a\":1}\r\n").json(), " {\"a\":1}");
        assert_eq!(record("7").i64(""), Some(7));
    }

    #[test]
    fn records_go_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&record("{}"));
    }

    fn json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            "[a-z\\\\\"é\n]{0,6}".prop_map(|value| serde_json::to_string(&value).unwrap()),
            Just(r#""\u00e9\ud83d""#.to_owned()),
        ];
        scalar.prop_recursive(4, 30, 5, |inner| {
            let key = prop_oneof![Just("\"a\""), Just("\"b\""), Just("\"\\u0061\""), Just("\"c d\"")];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
                proptest::collection::vec((key, inner), 0..5).prop_map(|entries| {
                    let entries: Vec<_> = entries.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                    format!("{{{}}}", entries.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The scanner, which queries read with, finds the same at every path.
        #[test]
        fn access_agrees_with_the_scanner(
            json in json(),
            steps in proptest::collection::vec(
                prop_oneof![Just("a"), Just("b"), Just("\"c d\""), Just("[0]"), Just("[1]")], 1..4),
        ) {
            let text = steps.join(".").replace(".[", "[");
            let path: Path = text.parse().unwrap();
            let record = Record::parse(&json).unwrap();
            let mut batch = Batch::default();
            Scanner::new(std::slice::from_ref(&path), Limits::default()).scan(json.as_bytes(), &mut batch);
            let cell = batch.columns[0][0];
            let found = (cell.kind() != Kind::Missing).then(|| utf8(cell.json(json.as_bytes())));
            prop_assert_eq!(record.raw(&path), found);
            prop_assert_eq!(record.raw(&text), found);
            prop_assert_eq!(record.str(&path).is_some(), matches!(cell.kind(), Kind::Text | Kind::Escaped));
            if let (Some(found), Some(text)) = (found, record.str(&path))
                && let Ok(expected) = serde_json::from_str::<String>(found)
            {
                prop_assert_eq!(text, expected);
            }
            prop_assert_eq!(record.i64(&path), found.and_then(|found| found.parse().ok()));
            if let Some(float) = record.f64(&path) {
                let expected: f64 = found.unwrap().parse().unwrap();
                prop_assert_eq!(float.to_bits(), expected.to_bits());
            }
        }
    }
}
