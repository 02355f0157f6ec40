//! Faults: what made a value NULL that was not NULL, counted by place in the query.

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// Why an expression gave NULL for values that were not NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// A value of a type that the expression does not take.
    Type,
    /// The divisor was zero.
    DivisionByZero,
    /// The result is beyond 128-bit integers, beyond finite floats, or beyond the type it was cast to.
    Overflow,
    /// Text that does not read as what was asked for, such as a date.
    Invalid,
}

impl Fault {
    /// All faults, in the order of their discriminants.
    pub const ALL: [Fault; 4] = [Fault::Type, Fault::DivisionByZero, Fault::Overflow, Fault::Invalid];
}

/// A place in the query where faults are counted.
///
/// Two sites are always equal: expressions that differ only in where they stand are the same expression.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The number of the site in its plan, set when the plan is complete.
    pub id: usize,
    /// The path or expression that had the wrong value, as it is written in the query.
    pub label: String,
    /// What was expected there, such as `a number`.
    pub expected: &'static str,
    /// What the joined records are called of which one had the wrong value. The place of a fault is that of the record
    /// beside it. Set when the plan is complete.
    pub joined: Option<String>,
}

impl Site {
    /// A site that has no number yet.
    pub fn new(label: impl Into<String>, expected: &'static str) -> Site {
        Site { id: 0, label: label.into(), expected, joined: None }
    }
}

impl PartialEq for Site {
    fn eq(&self, _: &Site) -> bool {
        true
    }
}

/// A type of values, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// `true` and `false`.
    Bool,
    /// Integers and floats, which are no different types.
    Number,
    /// Numbers beyond 128-bit integers and finite floats.
    HugeNumber,
    /// Text.
    Text,
    /// Days.
    Date,
    /// Moments.
    Timestamp,
    /// Spans of time.
    Interval,
    /// Arrays.
    Array,
    /// Objects.
    Object,
}

impl Class {
    /// The class of a value; `None` for NULL.
    pub fn of(value: Value) -> Option<Class> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Class::Bool,
            Value::Huge(_) => Class::HugeNumber,
            Value::Date(_) => Class::Date,
            Value::Timestamp(_) => Class::Timestamp,
            Value::Interval(_) => Class::Interval,
            Value::Text(_) => Class::Text,
            Value::Json(json) if json.first() == Some(&b'[') => Class::Array,
            Value::Json(_) => Class::Object,
            _ => Class::Number,
        })
    }

    /// Its name with its article, such as `a number`.
    pub fn one(self) -> &'static str {
        match self {
            Class::Bool => "a boolean",
            Class::Number => "a number",
            Class::HugeNumber => "a number out of range",
            Class::Text => "a string",
            Class::Date => "a date",
            Class::Timestamp => "a timestamp",
            Class::Interval => "an interval",
            Class::Array => "an array",
            Class::Object => "an object",
        }
    }

    /// Its name for several values, such as `numbers`.
    pub fn many(self) -> &'static str {
        match self {
            Class::Bool => "booleans",
            Class::Number => "numbers",
            Class::HugeNumber => "numbers out of range",
            Class::Text => "strings",
            Class::Date => "dates",
            Class::Timestamp => "timestamps",
            Class::Interval => "intervals",
            Class::Array => "arrays",
            Class::Object => "objects",
        }
    }
}

/// The value, or the two values, for which there was a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Met {
    /// The type of the value.
    pub class: Class,
    /// The type of the value beside which it could not stand.
    pub beside: Option<Class>,
}

impl Met {
    /// One value.
    pub fn value(value: Value) -> Option<Met> {
        Class::of(value).map(|class| Met { class, beside: None })
    }

    /// Two values, neither of which is known to be the wrong one.
    pub fn pair(left: Value, right: Value) -> Option<Met> {
        Class::of(left).map(|class| Met { class, beside: Class::of(right) })
    }
}

/// How often one fault happened at one site within a batch, and where first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultTally {
    /// The site's number.
    pub site: usize,
    /// What happened.
    pub fault: Fault,
    /// What was met, where that is known.
    pub met: Option<Met>,
    /// In how many rows.
    pub count: u64,
    /// The first row of the batch in which it happened.
    pub row: u32,
}

/// The faults of one batch.
#[derive(Debug, Default)]
pub struct FaultLog {
    tallies: Vec<FaultTally>,
}

impl FaultLog {
    /// Counts one fault of a row.
    #[cold]
    pub fn add(&mut self, site: usize, fault: Fault, met: Option<Met>, row: u32) {
        self.add_tally(FaultTally { site, fault, met, count: 1, row });
    }

    /// Counts the faults of a tally.
    pub fn add_tally(&mut self, tally: FaultTally) {
        let is_same =
            |known: &&mut FaultTally| (known.site, known.fault, known.met) == (tally.site, tally.fault, tally.met);
        match self.tallies.iter_mut().find(is_same) {
            Some(known) => {
                known.count += tally.count;
                known.row = known.row.min(tally.row);
            }
            None => self.tallies.push(tally),
        }
    }

    /// What was counted.
    pub fn tallies(&self) -> &[FaultTally] {
        &self.tallies
    }

    /// Hands out what was counted and starts again.
    pub fn take(&mut self) -> Vec<FaultTally> {
        std::mem::take(&mut self.tallies)
    }
}
