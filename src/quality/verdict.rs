//! What comes of the answers to what a check asked.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::check::{Check, Fresh, Kind, Metric, NotNull, RowCount, Severity};
use super::fold::{Fields, Fold};
use super::terms::{Age, percent};
use crate::error::{Error, ErrorKind, Result};
use crate::output::grouped;
use crate::record::Record;
use crate::value::Timestamp;

/// The longest part of a record that is kept, in bytes.
const MOST_RECORD: usize = 200;

/// The last runs that a change is measured against.
const MOST_HISTORY: usize = 7;

/// The answers to what a check asked.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The JSON texts of the results of [`Questions::scalars`](super::Questions::scalars), in their order.
    pub scalars: Vec<String>,
    /// The number that [`Questions::count`](super::Questions::count) gives.
    pub count: Option<u64>,
    /// What has taken the rows of [`Questions::rows`](super::Questions::rows).
    pub fold: Option<Fold>,
    /// The first failing records.
    pub samples: Vec<Sample>,
}

/// A failing record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The input; `None` is standard input.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u64,
    /// The offset of the line's first byte in the decompressed input, from 0.
    pub offset: u64,
    /// The record, of a long one the first 200 bytes.
    pub record: String,
    /// Whether that is not all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// What is wrong with it, where the check does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Sample {
    /// A record in a place.
    pub fn new(file: &str, line: u64, offset: u64, record: &str) -> Sample {
        let end = record.floor_char_boundary(MOST_RECORD);
        let file = if file == "-" { None } else { Some(file.to_owned()) };
        Sample { file, line, offset, record: record[..end].to_owned(), truncated: end < record.len(), note: None }
    }

    /// A row with `_file`, `_line`, `_offset` and `record`.
    pub fn of_row(row: &Record<'_>) -> Sample {
        let number = |name: &str| row.raw(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Sample::new(
            row.str("_file").unwrap_or("-"),
            number("_line"),
            number("_offset"),
            row.raw("record").unwrap_or(""),
        )
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckResult {
    /// The name of the check.
    pub name: String,
    /// The source that was checked.
    pub source: String,
    /// What was asked: `not_null`.
    pub kind: &'static str,
    /// What comes of it if it did not pass.
    pub severity: Severity,
    /// Whether it passed.
    pub passed: bool,
    /// What was found: a number of records, a share of them, the result of a metric, a moment, changes of a schema. Null
    /// where there was nothing.
    pub observed: Json,
    /// What has to hold, in words.
    pub threshold: String,
    /// The records that were looked at.
    pub records: u64,
    /// Those of them that failed, where the check is about records.
    pub failing: Option<u64>,
    /// What was found, in words.
    pub message: String,
    /// Up to 20 failing records, the first ones in the order of the input.
    pub samples: Vec<Sample>,
    /// What later runs compare with, to be kept with the run if it is committed.
    #[serde(skip)]
    pub observation: Option<Json>,
}

impl Check {
    /// The verdict on the answers.
    ///
    /// `history` has what earlier runs kept of the check ([`CheckResult::observation`]), the last one at its end. Where
    /// there is none, a check that compares with it passes, and says so. `now` is the moment of the run.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the answers are not those to the questions.
    pub fn result(&self, answer: Answer, history: &[Json], now: Timestamp) -> Result<CheckResult> {
        let records: u64 = number(answer.scalars.first())?;
        let mut verdict = match &self.kind {
            Kind::RowCount(RowCount { min, max }) => Verdict {
                passed: min.is_none_or(|min| records >= min) && max.is_none_or(|max| records <= max),
                observed: records.into(),
                message: format!("{} {}", grouped(records), plural(records)),
                ..Verdict::default()
            },
            Kind::NotNull(NotNull { max_rate, .. }) => {
                let failing: u64 = number(answer.scalars.get(1))?;
                let rate = share(failing, records);
                Verdict {
                    passed: rate <= max_rate.get(),
                    observed: json!(rate),
                    ..Verdict::of_records(failing, records)
                }
            }
            Kind::Unique(_) | Kind::Relationship(_) => {
                let failing = answer.count.ok_or_else(|| wrong_answer("no count"))?;
                Verdict::of_records(failing, records)
            }
            Kind::Metric(metric) => of_metric(metric, &answer.scalars, history)?,
            Kind::Fresh(fresh) => of_fresh(fresh, &answer.scalars, now)?,
            Kind::Monotonic(_) => match &answer.fold {
                Some(Fold::Monotonic { falls, .. }) => Verdict::of_records(*falls, records),
                _ => return Err(wrong_answer("no rows")),
            },
            Kind::Schema(_) => match &answer.fold {
                Some(Fold::Schema(fields)) => of_schema(fields, history.last()),
                _ => return Err(wrong_answer("no rows")),
            },
            _ => Verdict::of_records(number(answer.scalars.get(1))?, records),
        };
        verdict.samples = answer.samples;
        verdict.samples.truncate(super::MOST_SAMPLES);
        Ok(CheckResult {
            name: self.name(),
            source: self.on.clone(),
            kind: self.kind.name(),
            severity: self.severity(),
            passed: verdict.passed,
            observed: verdict.observed,
            threshold: self.threshold(),
            records,
            failing: verdict.failing,
            message: verdict.message,
            samples: verdict.samples,
            observation: verdict.observation,
        })
    }
}

impl CheckResult {
    /// Whether the run fails for it.
    pub fn fails(&self) -> bool {
        !self.passed && self.severity == Severity::Fail
    }
}

#[derive(Default)]
struct Verdict {
    passed: bool,
    observed: Json,
    failing: Option<u64>,
    message: String,
    samples: Vec<Sample>,
    observation: Option<Json>,
}

impl Verdict {
    /// Of a check that no record may fail.
    fn of_records(failing: u64, records: u64) -> Verdict {
        let message = match (failing, records) {
            (_, 0) => "no records".to_owned(),
            (0, records) => format!("none of {}", grouped(records)),
            _ => format!("{} of {} ({})", grouped(failing), grouped(records), percent(share(failing, records))),
        };
        Verdict {
            passed: failing == 0,
            observed: failing.into(),
            failing: Some(failing),
            message,
            ..Verdict::default()
        }
    }
}

fn of_metric(metric: &Metric, scalars: &[String], history: &[Json]) -> Result<Verdict> {
    let text = scalars.get(1).ok_or_else(|| wrong_answer("no result"))?;
    let observed: Json = serde_json::from_str(text).map_err(|err| wrong_answer("no JSON").caused_by(err))?;
    if observed.is_null() {
        return Ok(Verdict { message: "no result".to_owned(), ..Verdict::default() });
    }
    let within = match (&metric.min, &metric.max) {
        (None, None) => true,
        _ => scalars.get(2).is_some_and(|keeps| keeps == "true"),
    };
    let mut verdict = Verdict {
        passed: within,
        message: observed.as_str().unwrap_or(text).to_owned(),
        observation: Some(observed.clone()),
        ..Verdict::default()
    };
    if let Some(most) = metric.max_change {
        let last = &history[history.len().saturating_sub(MOST_HISTORY)..];
        let mut last: Vec<f64> = last.iter().filter_map(Json::as_f64).collect();
        last.sort_by(f64::total_cmp);
        match (observed.as_f64(), middle(&last)) {
            (None, _) => {
                verdict.passed = false;
                verdict.message.push_str(", which is no number, so that no change can be told");
            }
            (Some(_), None) => verdict.message.push_str(", with no run before to compare with"),
            (Some(now), Some(before)) => {
                let change = if now == before { 0.0 } else { (now - before).abs() / before.abs() };
                verdict.passed &= change <= most.get();
                let change = if change.is_finite() { percent(change) } else { "any percentage".to_owned() };
                verdict.message.push_str(&format!(", a change of {change} from {before}"));
            }
        }
    }
    verdict.observed = observed;
    Ok(verdict)
}

/// The median of sorted numbers.
fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    match sorted {
        [] => None,
        _ if sorted.len() % 2 == 1 => Some(sorted[half]),
        _ => Some(f64::midpoint(sorted[half - 1], sorted[half])),
    }
}

fn of_fresh(fresh: &Fresh, scalars: &[String], now: Timestamp) -> Result<Verdict> {
    let text = scalars.get(1).ok_or_else(|| wrong_answer("no result"))?;
    let observed: Json = serde_json::from_str(text).map_err(|err| wrong_answer("no JSON").caused_by(err))?;
    let Some(text) = observed.as_str() else {
        return Ok(Verdict { message: "no moment".to_owned(), ..Verdict::default() });
    };
    let latest = Timestamp::parse(text.as_bytes()).ok_or_else(|| wrong_answer("no moment"))?;
    let age = now.0.saturating_sub(latest.0);
    let most = i64::try_from(fresh.max_age.0.as_micros()).unwrap_or(i64::MAX);
    // Of days the minutes do not matter, of hours not the seconds.
    let seconds = age.unsigned_abs() / 1_000_000;
    let unit = if seconds >= 86400 {
        3600
    } else if seconds >= 3600 {
        60
    } else {
        1
    };
    let seconds = std::time::Duration::from_secs(seconds - seconds % unit);
    let message = match age {
        ..0 => format!("{text}, which is to come in {}", Age(seconds)),
        _ => format!("{text}, {} ago", Age(seconds)),
    };
    Ok(Verdict { passed: age <= most, message, observed, ..Verdict::default() })
}

fn of_schema(fields: &Fields, before: Option<&Json>) -> Verdict {
    const MOST_TOLD: usize = 10;
    let count = format!("{} field{}", grouped(fields.len() as u64), if fields.len() == 1 { "" } else { "s" });
    if fields.overflown() {
        return Verdict { message: format!("more than {count}"), observed: fields.len().into(), ..Verdict::default() };
    }
    let observation = Some(fields.to_json());
    let Some(before) = before.and_then(Fields::from_json) else {
        let message = format!("{count}, with no run before to compare with");
        return Verdict {
            passed: true,
            observed: json!({"fields": fields.len()}),
            message,
            observation,
            ..Verdict::default()
        };
    };
    let changes = fields.changes_since(&before);
    let mut lines = changes.lines();
    let more = lines.len().saturating_sub(MOST_TOLD);
    lines.truncate(MOST_TOLD);
    if more > 0 {
        lines.push(format!("{more} more"));
    }
    let changed = changes.changed.iter().map(|(field, was, is)| json!({"field": field, "was": was, "is": is}));
    let observed = json!({
        "fields": fields.len(),
        "added": changes.added,
        "removed": changes.removed,
        "changed": changed.collect::<Vec<_>>(),
    });
    let message = if changes.is_empty() { format!("{count}, as before") } else { lines.join("; ") };
    Verdict { passed: changes.is_empty(), observed, message, observation, ..Verdict::default() }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

fn plural(records: u64) -> &'static str {
    if records == 1 { "record" } else { "records" }
}

fn number(text: Option<&String>) -> Result<u64> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong_answer("no number"))
}

fn wrong_answer(why: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a check got {why} for an answer"))
}
