//! Checks in a pass: their questions beside other queries, and the answers.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Arguments, Keep, Pass};
use crate::output::Format;
use crate::quality::{
    Answer, Check, Fold, Kind, MOST_SAMPLES, Questions, Relationship, Sample, distinct_scalars, literal,
};
use crate::record::Record;
use crate::sql::Catalog;

/// The most aggregates that are asked by one query.
const MOST_SCALARS: usize = 100;

/// A writer that several checks share.
pub type SharedWriter = Arc<Mutex<dyn Write + Send>>;

/// Checks, and which outputs of a pass answer what they ask.
pub struct Checking<'c> {
    checks: &'c [Check],
    questions: Vec<Questions>,
    asked: Vec<Asked>,
    /// Whether the records of a pass are those that came since another one: what is asked is asked of these alone, save what
    /// can only be known of all.
    of_increments: bool,
}

/// What one output of a pass answers.
enum Asked {
    /// For each of these checks the places of its scalars.
    Scalars(Vec<(usize, Vec<Option<usize>>)>),
    Count(usize),
    Failing(usize),
    Rows(usize),
}

/// The error of what a check asks, with the number of the check.
pub struct CheckError {
    /// The number of the check.
    pub check: usize,
    /// What is wrong.
    pub error: Error,
}

impl<'c> Checking<'c> {
    /// What checks ask of the sources and views of a catalog.
    pub fn new(checks: &'c [Check]) -> Checking<'c> {
        Checking::with_sources(checks, quoted)
    }

    /// The same where a relationship is one with a file.
    pub fn of_files(checks: &'c [Check]) -> Checking<'c> {
        Checking::with_sources(checks, literal)
    }

    fn with_sources(checks: &'c [Check], source: fn(&str) -> String) -> Checking<'c> {
        let questions = checks.iter().map(|check| check.questions(&quoted(&check.on), source)).collect();
        Checking { checks, questions, asked: Vec::new(), of_increments: false }
    }

    /// The same of records that came since an earlier pass, if `of_increments` says so.
    pub fn of_increments(self, of_increments: bool) -> Checking<'c> {
        Checking { of_increments, ..self }
    }

    /// Adds all that is asked to a pass, and gives what takes the outputs, in their order. `quarantine` is where the failing
    /// records of a check go.
    ///
    /// # Errors
    /// As [`Catalog::plan`] and [`Pass::add`].
    pub fn ask(
        &mut self,
        pass: &mut Pass,
        catalog: &Catalog,
        arguments: &mut Arguments,
        quarantine: impl Fn(usize) -> Option<SharedWriter>,
    ) -> Result<Vec<CheckRows>, CheckError> {
        let mut takers = Vec::new();
        let Checking { checks, questions, asked, of_increments } = self;
        let is_of_all = |check: &Check| !*of_increments || check.is_of_all();
        let mut add = |check: usize, query: &str, what: Asked, take: Take| -> Result<(), CheckError> {
            let fail = |error: Error| CheckError { check, error };
            let plan = catalog.plan(query).map_err(fail)?;
            let output = pass.add(plan, Format::Jsonl, arguments).map_err(fail)?;
            if !is_of_all(&checks[check]) {
                pass.take_anew(output);
            }
            asked.push(what);
            takers.push(CheckRows { begun: Vec::new(), take });
            Ok(())
        };
        let table_of = |check: &'c Check| (check.on.as_str(), is_of_all(check));
        let mut tables: Vec<(&str, bool)> = checks.iter().map(table_of).collect();
        tables.sort_unstable();
        tables.dedup();
        for asked_of in tables {
            let (table, _) = asked_of;
            let of_table: Vec<usize> =
                (0..checks.len()).filter(|&check| table_of(&checks[check]) == asked_of).collect();
            let (scalars, places) = distinct_scalars(of_table.iter().map(|&check| &questions[check]));
            for (number, some) in scalars.chunks(MOST_SCALARS).enumerate() {
                let list: Vec<String> =
                    some.iter().enumerate().map(|(place, scalar)| format!("{scalar} as \"a{place}\"")).collect();
                let query = format!("select {} from {}", list.join(", "), quoted(table));
                let first = number * MOST_SCALARS;
                let within = |place: &usize| place.checked_sub(first).filter(|place| *place < some.len());
                let of = of_table.iter().zip(&places);
                let of: Vec<_> =
                    of.map(|(&check, places)| (check, places.iter().map(within).collect::<Vec<_>>())).collect();
                // A mistake in one of several expressions is that of its check.
                let check = faulty(catalog, table, &of, some).unwrap_or(of_table[0]);
                add(check, &query, Asked::Scalars(of), Take::Scalars(Vec::new(), some.len()))?;
            }
        }
        for (number, asked) in questions.iter().enumerate() {
            if let Some(query) = &asked.count {
                add(number, query, Asked::Count(number), Take::Count(None))?;
            }
            let quarantine = Quarantine::of(&checks[number], quarantine(number));
            if let (Some(query), Some(fold)) = (&asked.rows, Fold::of(&checks[number])) {
                let take = Take::Fold(fold, Vec::new(), quarantine);
                add(number, query, Asked::Rows(number), take)?;
            } else if let (Some(query), Some(_)) = (&asked.records, &asked.failing) {
                let query = limited(query, &quarantine);
                add(number, &query, Asked::Failing(number), Take::Failing(Vec::new(), quarantine))?;
            }
        }
        Ok(takers)
    }

    /// The other source of a relationship that an output is asked for, with its check.
    pub fn relation_of(&self, output: usize) -> Option<(&'c Check, &'c str)> {
        let Some(Asked::Count(check)) = self.asked.get(output) else { return None };
        let check = &self.checks[*check];
        match &check.kind {
            Kind::Relationship(Relationship { source, .. }) => Some((check, source)),
            _ => None,
        }
    }

    /// What the outputs are called that were asked for.
    pub fn labels(&self) -> Vec<String> {
        let name = |check: &usize| self.checks[*check].name();
        let label = |asked: &Asked| match asked {
            Asked::Scalars(of) => {
                let names: Vec<String> = of.iter().map(|(check, _)| name(check)).collect();
                format!("checks {}", names.join(", "))
            }
            Asked::Count(check) => format!("check {}", name(check)),
            Asked::Failing(check) => format!("failing records of {}", name(check)),
            Asked::Rows(check) => format!("rows of check {}", name(check)),
        };
        self.asked.iter().map(label).collect()
    }

    /// The answers, of what took the outputs of the pass.
    pub fn answers(&self, takers: Vec<CheckRows>) -> Vec<Answer> {
        let mut answers: Vec<Answer> = self
            .questions
            .iter()
            .map(|asked| Answer { scalars: vec!["null".to_owned(); asked.scalars.len()], ..Answer::default() })
            .collect();
        for (asked, taker) in self.asked.iter().zip(takers) {
            match (asked, taker.take) {
                (Asked::Scalars(of), Take::Scalars(found, _)) => {
                    for (check, places) in of {
                        for (scalar, place) in answers[*check].scalars.iter_mut().zip(places) {
                            if let Some(text) = place.and_then(|place| found.get(place)) {
                                scalar.clone_from(text);
                            }
                        }
                    }
                }
                (Asked::Count(check), Take::Count(count)) => answers[*check].count = Some(count.unwrap_or(0)),
                (Asked::Failing(check), Take::Failing(samples, _)) => answers[*check].samples = samples,
                (Asked::Rows(check), Take::Fold(fold, samples, _)) => {
                    (answers[*check].fold, answers[*check].samples) = (Some(fold), samples);
                }
                _ => {}
            }
        }
        answers
    }

    /// The queries that find the failing records of checks for which that takes another pass, now that it is known that
    /// there are some.
    pub fn open_questions(&self, answers: &[Answer]) -> Vec<usize> {
        let is_open = |&number: &usize| {
            let (asked, answer) = (&self.questions[number], &answers[number]);
            asked.records.is_some() && asked.failing.is_none() && answer.count.is_some_and(|count| count > 0)
        };
        (0..self.questions.len()).filter(is_open).collect()
    }

    /// Adds the query that finds the failing records of a check to a pass; what takes them.
    ///
    /// # Errors
    /// As [`ask`](Checking::ask).
    pub fn ask_records(
        &self,
        check: usize,
        pass: &mut Pass,
        catalog: &Catalog,
        arguments: &mut Arguments,
        quarantine: Option<SharedWriter>,
    ) -> Result<CheckRows> {
        let quarantine = Quarantine::of(&self.checks[check], quarantine);
        let query = self.questions[check].records.as_deref().unwrap_or_default();
        pass.add(catalog.plan(&limited(query, &quarantine))?, Format::Jsonl, arguments)?;
        Ok(CheckRows { begun: Vec::new(), take: Take::Failing(Vec::new(), quarantine) })
    }
}

/// The check whose scalar cannot be planned, if that is one.
fn faulty(catalog: &Catalog, table: &str, of: &[(usize, Vec<Option<usize>>)], scalars: &[&str]) -> Option<usize> {
    let is_wrong = |place: &Option<usize>| {
        let scalar = place.and_then(|place| scalars.get(place));
        let plan = |scalar: &&str| catalog.plan(&format!("select {scalar} as \"a\" from {}", quoted(table)));
        scalar.is_some_and(|scalar| plan(scalar).is_err())
    };
    of.iter().find(|(_, places)| places.iter().any(is_wrong)).map(|(check, _)| *check)
}

/// A name as it stands in FROM.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A query of failing records, as many as are wanted.
fn limited(query: &str, quarantine: &Option<Quarantine>) -> String {
    match quarantine {
        Some(_) => query.to_owned(),
        None => format!("{query} limit {MOST_SAMPLES}"),
    }
}

/// Takes the rows of one query that a check asks.
pub struct CheckRows {
    /// The start of a row whose end was not written yet.
    begun: Vec<u8>,
    take: Take,
}

/// What becomes of rows.
enum Take {
    /// The JSON texts of so many columns `a0`, `a1` … of the one row.
    Scalars(Vec<String>, usize),
    Count(Option<u64>),
    Failing(Vec<Sample>, Option<Quarantine>),
    Fold(Fold, Vec<Sample>, Option<Quarantine>),
}

/// The file that the failing records of a check go to.
struct Quarantine {
    writer: SharedWriter,
    /// The name of the check, as JSON.
    name: String,
}

impl Quarantine {
    fn of(check: &Check, writer: Option<SharedWriter>) -> Option<Quarantine> {
        writer.map(|writer| Quarantine { writer, name: serde_json::Value::from(check.name()).to_string() })
    }

    /// Takes a row with `_file`, `_line`, `_offset` and `record`.
    fn take(&self, row: &Record<'_>) -> io::Result<()> {
        let raw = |name: &str| row.raw(name).unwrap_or("null");
        let file = if row.str("_file") == Some("-") { "null" } else { raw("_file") };
        let (line, offset, record, name) = (raw("_line"), raw("_offset"), raw("record"), &self.name);
        let row =
            format!("{{\"file\":{file},\"line\":{line},\"offset\":{offset},\"check\":{name},\"record\":{record}}}\n");
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(row.as_bytes())
    }
}

impl CheckRows {
    /// The failing records that were found.
    pub fn into_samples(self) -> Vec<Sample> {
        match self.take {
            Take::Failing(samples, _) | Take::Fold(_, samples, _) => samples,
            Take::Scalars(..) | Take::Count(_) => Vec::new(),
        }
    }

    fn take(&mut self, row: &Record<'_>) -> io::Result<()> {
        match &mut self.take {
            Take::Scalars(found, count) => {
                let text = |place| row.raw(&format!("a{place}")).unwrap_or("null").to_owned();
                *found = (0..*count).map(text).collect();
            }
            Take::Count(count) => *count = row.raw("n").and_then(|n| n.parse().ok()),
            Take::Failing(samples, quarantine) => {
                if samples.len() < MOST_SAMPLES {
                    samples.push(Sample::of_row(row));
                }
                return quarantine.as_ref().map_or(Ok(()), |quarantine| quarantine.take(row));
            }
            Take::Fold(fold, samples, quarantine) => {
                let Some(note) = fold.add(row) else { return Ok(()) };
                if samples.len() < MOST_SAMPLES {
                    samples.push(Sample { note: Some(note), ..Sample::of_row(row) });
                }
                return quarantine.as_ref().map_or(Ok(()), |quarantine| quarantine.take(row));
            }
        }
        Ok(())
    }
}

/// What is kept of what took rows.
#[derive(Serialize, Deserialize)]
enum Taken {
    Scalars(Vec<String>),
    Count(Option<u64>),
    Failing(Vec<Sample>),
    Fold(Fold, Vec<Sample>),
}

impl Keep for CheckRows {
    fn keep(&mut self) -> Result<Json> {
        let taken = match &self.take {
            Take::Scalars(found, _) => Taken::Scalars(found.clone()),
            Take::Count(count) => Taken::Count(*count),
            Take::Failing(samples, _) => Taken::Failing(samples.clone()),
            Take::Fold(fold, samples, _) => Taken::Fold(fold.clone(), samples.clone()),
        };
        serde_json::to_value(taken).map_err(|error| {
            Error::new(ErrorKind::Internal, "what a check has found cannot be written down").caused_by(error)
        })
    }
}

impl CheckRows {
    /// Goes on from what [`keep`](Keep::keep) gave.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it is not that of the same check.
    pub fn restore(&mut self, from: &Json) -> Result<()> {
        let taken = Taken::deserialize(from).ok();
        match (&mut self.take, taken) {
            (Take::Scalars(own, _), Some(Taken::Scalars(found))) => *own = found,
            (Take::Count(own), Some(Taken::Count(found))) => *own = found,
            (Take::Failing(own, _), Some(Taken::Failing(found))) => *own = found,
            (Take::Fold(own, own_samples, _), Some(Taken::Fold(found, samples))) => {
                (*own, *own_samples) = (found, samples)
            }
            _ => return Err(Error::new(ErrorKind::Input, "the checkpoint is one of other checks")),
        }
        Ok(())
    }
}

impl Write for CheckRows {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.begun.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let mut line = std::mem::take(&mut self.begun);
        line.extend_from_slice(&bytes[..end]);
        self.take(&Record::of_row(&line))?;
        line.clear();
        self.begun = line;
        Ok(end + 1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that goes on to belong to somebody else, too.
#[derive(Clone)]
pub struct Lent(pub SharedWriter);

impl Write for Lent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl From<CheckError> for Error {
    fn from(CheckError { error, .. }: CheckError) -> Error {
        match error.place() {
            // The text is not one that anybody has written.
            Some(crate::error::Place::Query { .. }) => {
                Error::new(ErrorKind::Query, error.message()).hint("see the expression of the check")
            }
            _ => error,
        }
    }
}
