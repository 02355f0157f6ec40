//! Checks of records: what they ask, what comes of the answers, and reports of it.
//!
//! A [`Check`] says what it asks as SQL ([`Questions`]), whoever runs that gives the [`Answer`], and the check makes a
//! [`CheckResult`] of it. Nothing here reads, writes or prints. `check` is what job files and flags say, `terms` what that
//! is made of, `questions` the SQL, `fold` the two checks that look at row after row, `verdict` the results, `report`
//! and `table` what is told of them.

mod as_text;
mod check;
mod fold;
mod questions;
mod report;
mod table;
mod terms;
mod verdict;

#[cfg(test)]
mod tests;

pub(crate) use as_text::{Text, as_text};
pub use check::{
    Check, Fresh, Kind, Length, Matches, Metric, Monotonic, NotNull, Range, Relationship, RowCount, Schema, Severity,
    TypeOf, Values,
};
pub use fold::{Changes, Fields, Fold};
pub use questions::{MOST_SAMPLES, Questions, distinct_scalars};
pub use report::Report;
pub use terms::{Age, Column, Constant, Expression, Pattern, Rate, ValueType, literal};
pub use verdict::{Answer, CheckResult, Sample};
