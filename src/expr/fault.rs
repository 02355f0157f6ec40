//! Faults: what made a value NULL that was not NULL, counted by place in the query.

/// Why an expression gave NULL for values that were not NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
}

impl Site {
    /// A site that has no number yet.
    pub fn new(label: impl Into<String>, expected: &'static str) -> Site {
        Site { id: 0, label: label.into(), expected }
    }
}

impl PartialEq for Site {
    fn eq(&self, _: &Site) -> bool {
        true
    }
}

/// How often one fault happened at one site within a batch, and where first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultTally {
    /// The site's number.
    pub site: usize,
    /// What happened.
    pub fault: Fault,
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
    pub fn add(&mut self, site: usize, fault: Fault, row: u32) {
        match self.tallies.iter_mut().find(|tally| tally.site == site && tally.fault == fault) {
            Some(tally) => {
                tally.count += 1;
                tally.row = tally.row.min(row);
            }
            None => self.tallies.push(FaultTally { site, fault, count: 1, row }),
        }
    }

    /// Hands out what was counted and starts again.
    pub fn take(&mut self) -> Vec<FaultTally> {
        std::mem::take(&mut self.tallies)
    }
}
