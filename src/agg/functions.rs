//! The table of aggregates: the one place that knows their names, arguments and meaning.

use super::accumulator::{GroupAccumulators, Outcome, PerGroup};
use super::count::{Count, CountIf};
use super::distinct::CountDistinct;
use super::extreme::{Extreme, ExtremeBy};
use super::numeric::{Deviation, Middle, STDDEV_POP, STDDEV_SAMP, Sum, VAR_POP, VAR_SAMP};
use super::position::AtEnd;

/// An aggregate function.
pub struct AggregateFunction {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// How it is called, for help and errors.
    pub signature: &'static str,
    /// What it gives, in one sentence.
    pub summary: &'static str,
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// What a type fault says was expected.
    pub expected: &'static str,
    /// What it takes of its state.
    pub outcome: Outcome,
    make: Make,
    make_distinct: Option<Make>,
}

type Make = fn() -> Box<dyn GroupAccumulators>;

impl AggregateFunction {
    /// Empty accumulators for a table of groups; `None` if it does not take `distinct`.
    pub fn accumulators(&self, distinct: bool) -> Option<Box<dyn GroupAccumulators>> {
        let make = if distinct { self.make_distinct? } else { self.make };
        Some(make())
    }

    /// Whether another aggregate of the same values can use the same accumulators, and take its own
    /// [`outcome`](AggregateFunction::outcome) of them.
    pub fn shares_state(&self, other: &AggregateFunction) -> bool {
        let of_sums = |function: &AggregateFunction| matches!(function.name, "sum" | "avg");
        self == other || of_sums(self) && of_sums(other)
    }

    /// Whether it takes `distinct`.
    pub fn takes_distinct(&self) -> bool {
        self.make_distinct.is_some()
    }
}

impl PartialEq for AggregateFunction {
    fn eq(&self, other: &AggregateFunction) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The aggregate of a name, in any case.
pub fn aggregate(name: &str) -> Option<&'static AggregateFunction> {
    let name = name.to_ascii_lowercase();
    AGGREGATES.iter().find(|aggregate| aggregate.name == name || aggregate.aliases.contains(&name.as_str()))
}

/// Every aggregate function.
pub fn aggregates() -> impl Iterator<Item = &'static AggregateFunction> {
    AGGREGATES.iter()
}

/// A row of the table for an aggregate of one argument.
const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    signature: &'static str,
    summary: &'static str,
    expected: &'static str,
    make: Make,
) -> AggregateFunction {
    AggregateFunction {
        name,
        aliases,
        signature,
        summary,
        arguments: (1, 1),
        expected,
        outcome: Outcome::Whole,
        make,
        make_distinct: None,
    }
}

static AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        arguments: (0, 1),
        make_distinct: Some(PerGroup::<CountDistinct>::boxed),
        ..entry(
            "count",
            &[],
            "count(*) | count([distinct] value)",
            "The number of records, or of values that are not NULL.",
            "a value",
            PerGroup::<Count>::boxed,
        )
    },
    entry(
        "count_if",
        &["countif"],
        "count_if(condition)",
        "The number of records for which the condition is true.",
        "a truth value",
        PerGroup::<CountIf>::boxed,
    ),
    entry(
        "sum",
        &[],
        "sum(number)",
        "The sum: exact, rounded once at the end; an integer if all values are.",
        "a number",
        PerGroup::<Sum>::boxed,
    ),
    AggregateFunction {
        outcome: Outcome::Mean,
        ..entry(
            "avg",
            &["mean"],
            "avg(number)",
            "The exact sum divided by the count, rounded once.",
            "a number",
            PerGroup::<Sum>::boxed,
        )
    },
    AggregateFunction {
        make_distinct: Some(PerGroup::<Extreme<false>>::boxed),
        ..entry("min", &[], "min(value)", "The least value.", "a value", PerGroup::<Extreme<false>>::boxed)
    },
    AggregateFunction {
        make_distinct: Some(PerGroup::<Extreme<true>>::boxed),
        ..entry("max", &[], "max(value)", "The greatest value.", "a value", PerGroup::<Extreme<true>>::boxed)
    },
    entry(
        "median",
        &[],
        "median(number)",
        "The middle value, or the mean of the two middle ones; exact.",
        "a number",
        PerGroup::<Middle>::boxed,
    ),
    entry(
        "stddev",
        &["stddev_samp", "std"],
        "stddev(number)",
        "The standard deviation of a sample, from exact sums.",
        "a number",
        PerGroup::<Deviation<STDDEV_SAMP>>::boxed,
    ),
    entry(
        "stddev_pop",
        &[],
        "stddev_pop(number)",
        "The standard deviation of a population, from exact sums.",
        "a number",
        PerGroup::<Deviation<STDDEV_POP>>::boxed,
    ),
    entry(
        "variance",
        &["var_samp"],
        "variance(number)",
        "The variance of a sample, from exact sums.",
        "a number",
        PerGroup::<Deviation<VAR_SAMP>>::boxed,
    ),
    entry(
        "var_pop",
        &[],
        "var_pop(number)",
        "The variance of a population, from exact sums.",
        "a number",
        PerGroup::<Deviation<VAR_POP>>::boxed,
    ),
    entry(
        "first",
        &["arbitrary", "first_value"],
        "first(value)",
        "The value of the first record, NULL or not.",
        "a value",
        PerGroup::<AtEnd<false>>::boxed,
    ),
    entry(
        "last",
        &["last_value"],
        "last(value)",
        "The value of the last record, NULL or not.",
        "a value",
        PerGroup::<AtEnd<true>>::boxed,
    ),
    entry(
        "any_value",
        &[],
        "any_value(value)",
        "Some value that is not NULL; always the same one for the same records: the least.",
        "a value",
        PerGroup::<Extreme<false>>::boxed,
    ),
    AggregateFunction {
        arguments: (2, 2),
        ..entry(
            "min_by",
            &["arg_min", "argmin"],
            "min_by(value, by)",
            "The value of the record with the least `by`; the smallest such value.",
            "values",
            PerGroup::<ExtremeBy<false>>::boxed,
        )
    },
    AggregateFunction {
        arguments: (2, 2),
        ..entry(
            "max_by",
            &["arg_max", "argmax"],
            "max_by(value, by)",
            "The value of the record with the greatest `by`; the smallest such value.",
            "values",
            PerGroup::<ExtremeBy<true>>::boxed,
        )
    },
];
