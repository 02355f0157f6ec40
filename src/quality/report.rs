//! Reports for machines: JSON, and the XML of JUnit.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::verdict::{CheckResult, Sample};
use crate::value::Timestamp;

/// The results of all checks of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was checked, such as the name of the job.
    pub name: String,
    /// When the run began.
    pub started: Timestamp,
    /// How long it took.
    pub wall: Duration,
    /// The results, in the order of the checks.
    pub results: Vec<CheckResult>,
}

impl Report {
    /// Changes all that it tells in words, but the records.
    pub fn change_words(&mut self, change: impl Fn(&str) -> String) {
        fn within(value: &mut Json, change: &impl Fn(&str) -> String) {
            match value {
                Json::String(text) => *text = change(text),
                Json::Array(values) => values.iter_mut().for_each(|value| within(value, change)),
                Json::Object(values) => values.values_mut().for_each(|value| within(value, change)),
                Json::Null | Json::Bool(_) | Json::Number(_) => {}
            }
        }
        for CheckResult { name, observed, threshold, message, .. } in &mut self.results {
            [name, threshold, message].into_iter().for_each(|text| *text = change(text));
            within(observed, &change);
        }
    }
}

/// See [`Report::json`].
#[derive(Serialize)]
struct Whole<'r> {
    version: u32,
    name: &'r str,
    started: String,
    wall_s: f64,
    passed: bool,
    checks: usize,
    failed: usize,
    warned: usize,
    results: &'r [CheckResult],
}

impl Report {
    /// Whether no check failed whose severity is `fail`.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// The number of checks for which the run fails.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| result.fails()).count()
    }

    /// The number of checks that did not pass, and for which the run does not fail.
    pub fn warned(&self) -> usize {
        self.results.iter().filter(|result| !result.passed && !result.fails()).count()
    }

    /// One JSON object, with the keys that `docs/checks.md` lists, and a line end.
    pub fn json(&self) -> Vec<u8> {
        let whole = Whole {
            version: 1,
            name: &self.name,
            started: self.started.to_string(),
            wall_s: self.wall.as_secs_f64(),
            passed: self.passed(),
            checks: self.results.len(),
            failed: self.failed(),
            warned: self.warned(),
            results: &self.results,
        };
        // Nothing in it has keys that are no texts, or fails of itself.
        let mut json =
            serde_json::to_vec(&whole).unwrap_or_else(|err| json!({"error": err.to_string()}).to_string().into());
        json.push(b'\n');
        json
    }

    /// XML as JUnit writes it and build servers read it: one test suite, and a test case for each check. What fails the run
    /// is a failure; what only warns stands in the output of its case, which passes.
    pub fn junit(&self) -> String {
        let (name, tests, failures) = (xml(&self.name), self.results.len(), self.failed());
        let seconds = self.wall.as_secs_f64();
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\">\n\
             \x20 <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" \
             timestamp=\"{}\" time=\"{seconds:.3}\">\n",
            self.started.to_string().split(['.', 'Z']).next().unwrap_or_default()
        );
        for result in &self.results {
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"0\"",
                xml(&format!("{}.{}", self.name, result.source)),
                xml(&result.name)
            );
            if result.passed {
                out.push_str("/>\n");
                continue;
            }
            let message = format!("{}; wanted: {}", result.message, result.threshold);
            let samples: String = result.samples.iter().map(|sample| format!("{}\n", line(sample))).collect();
            let _ = match result.fails() {
                true => write!(
                    out,
                    ">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
                    result.kind,
                    xml(&message),
                    xml(&samples)
                ),
                false => write!(
                    out,
                    ">\n      <system-out>{}</system-out>\n    </testcase>\n",
                    xml(&format!("warning: {message}\n{samples}"))
                ),
            };
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }
}

/// `orders.jsonl:12: {"a":1}`
pub(super) fn line(sample: &Sample) -> String {
    let file = sample.file.as_deref().unwrap_or("stdin");
    let note = sample.note.as_ref().map_or(String::new(), |note| format!("{note}: "));
    let more = if sample.truncated { "…" } else { "" };
    format!("{file}:{}: {note}{}{more}", sample.line, sample.record)
}

/// A text as XML has it, in attributes as well. Characters that XML cannot have become U+FFFD.
fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\r' | '\t' => drop(write!(out, "&#{};", c as u32)),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_is_escaped() {
        assert_eq!(xml("a<b>&\"'\u{1}\u{ffff}\n\té"), "a&lt;b&gt;&amp;&quot;&apos;\u{fffd}\u{fffd}&#10;&#9;é");
    }
}
