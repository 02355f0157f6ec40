//! The report for people.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::report::{Report, line};
use super::verdict::CheckResult;
use crate::output::{grouped, printable};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The widest column of names.
const MOST_NAME: usize = 48;

/// The failing records that are shown of each check.
const MOST_SHOWN: usize = 3;

impl Report {
    /// A line for each check: `✓` if it passed, `✗` if the run fails for it, `!` if it only warns; below it the first
    /// failing records. Then how many there were of each. Texts of the input are escaped for terminals.
    pub fn table(&self, color: bool) -> String {
        let names: Vec<String> = self.results.iter().map(|result| one_line(&result.name)).collect();
        let found: Vec<String> = self.results.iter().map(|result| one_line(&result.message)).collect();
        let width = |texts: &[String]| texts.iter().map(|text| text.width()).max().unwrap_or(0).min(MOST_NAME);
        let (name_width, found_width) = (width(&names), width(&found));
        let paint = |code: &str, text: &str| if color { format!("{code}{text}{RESET}") } else { text.to_owned() };
        let mut out = String::new();
        for ((result, name), found) in self.results.iter().zip(&names).zip(&found) {
            let mark = match result {
                CheckResult { passed: true, .. } => paint(GREEN, "✓"),
                result if result.fails() => paint(RED, "✗"),
                _ => paint(YELLOW, "!"),
            };
            let threshold = one_line(&result.threshold);
            let _ = writeln!(
                out,
                "{mark} {name}{}  {found}{}  {}",
                " ".repeat(name_width.saturating_sub(name.width())),
                " ".repeat(found_width.saturating_sub(found.width())),
                paint(DIM, &threshold)
            );
            if result.passed {
                continue;
            }
            for sample in result.samples.iter().take(MOST_SHOWN) {
                let _ = writeln!(out, "    {}", one_line(&line(sample)));
            }
            let failing = result.failing.unwrap_or(0);
            let shown = result.samples.len().min(MOST_SHOWN) as u64;
            if shown > 0 && failing > shown {
                let _ = writeln!(out, "    … and {} more", grouped(failing - shown));
            }
        }
        let (all, failed, warned) = (self.results.len(), self.failed(), self.warned());
        let mut counts = vec![format!("{} passed", all - failed - warned)];
        if failed > 0 {
            counts.push(paint(RED, &format!("{failed} failed")));
        }
        if warned > 0 {
            counts.push(paint(YELLOW, &format!("{warned} {}", if warned == 1 { "warning" } else { "warnings" })));
        }
        let _ = writeln!(out, "{all} {}: {}", if all == 1 { "check" } else { "checks" }, counts.join(", "));
        out
    }
}

/// A text on one line, as a terminal can be given it.
fn one_line(text: &str) -> String {
    printable(text.as_bytes()).replace('\n', "\\n")
}
