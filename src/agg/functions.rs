//! The table of aggregates: the one place that knows their names, arguments and meaning.

use super::accumulator::{GroupAccumulators, Outcome, PerGroup};
use super::bools::Bools;
use super::count::{Count, CountIf};
use super::counts::Counts;
use super::distinct::Distinct;
use super::extreme::{Extreme, ExtremeBy};
use super::listed::{AtEndBy, Listed};
use super::mean::MeanOfMoments;
use super::numeric::{Deviation, Middle, STDDEV_POP, STDDEV_SAMP, VAR_POP, VAR_SAMP};
use super::position::AtEnd;
use super::several::Several;
use super::shared::SharedDistinct;
use super::sketch::{DistinctSketch, QuantileSketch};
use super::sums::Sum;
use crate::expr::{Class, Gives};
use crate::value::{Value, json};

/// The records of the examples, one on a line.
pub const SAMPLE: &str = "\
{\"x\":1,\"t\":\"b\"}
{\"x\":2,\"t\":\"a\"}
{\"x\":2,\"t\":\"c\"}
{\"x\":null,\"t\":\"a\"}
";

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
    /// A call and what it gives over [`SAMPLE`], as JSON.
    pub example: (&'static str, &'static str),
    /// The fewest and the most values that it takes of each row.
    pub values: (usize, usize),
    /// What it takes beside them, which is the same for all rows.
    pub parameter: Parameter,
    /// What a type fault says was expected.
    pub expected: &'static str,
    /// The type of its result.
    pub gives: Gives,
    make: Make,
    make_distinct: Option<Make>,
    make_ordered: Option<Make>,
}

/// What an aggregate takes beside the values of rows, as its last argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Nothing; this is wanted of its state.
    None(Wanted),
    /// A fraction from 0 to 1, or an array of them.
    Fraction,
    /// How many values there are to be, as an array; just one, if it is not given.
    Count,
    /// A text that stands between others; a comma, if it is not given.
    Separator,
}

/// What is wanted of a state, without a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Outcome`")]
pub enum Wanted {
    Whole,
    Mean,
    Mode,
}

type Make = fn() -> Box<dyn GroupAccumulators>;

/// Aggregates that have their states in common: each takes its own [`Outcome`] of them.
const FAMILIES: [&[&str]; 4] = [
    &["sum", "avg"],
    &["median", "quantile_cont"],
    &["mode", "quantile_disc", "histogram"],
    &["array_agg", "string_agg"],
];

impl AggregateFunction {
    /// Empty accumulators for a table of groups, of distinct values, or of values that come with the key of an ORDER BY
    /// as a second argument; `None` if it does not take that.
    pub fn accumulators(&self, distinct: bool, ordered: bool) -> Option<Box<dyn GroupAccumulators>> {
        let make = match (distinct, ordered) {
            (false, false) => self.make,
            (true, false) => self.make_distinct?,
            (false, true) => self.make_ordered?,
            (true, true) => return None,
        };
        Some(make())
    }

    /// Whether another aggregate of the same values can use the same accumulators.
    pub fn shares_state(&self, other: &AggregateFunction) -> bool {
        self == other || FAMILIES.iter().any(|names| names.contains(&self.name) && names.contains(&other.name))
    }

    /// Whether it takes `distinct`.
    pub fn takes_distinct(&self) -> bool {
        self.make_distinct.is_some()
    }

    /// Whether its result depends on an ORDER BY inside the call. Of those that take a [count](Parameter::Count) it does
    /// not: they have an order of their own.
    pub fn takes_order(&self) -> bool {
        self.make_ordered.is_some() && self.parameter != Parameter::Count
    }

    /// The fewest and the most arguments, its parameter included.
    pub fn arguments(&self) -> (usize, usize) {
        let (fewest, most) = self.values;
        match self.parameter {
            Parameter::None(_) => (fewest, most),
            Parameter::Fraction => (fewest + 1, most + 1),
            Parameter::Separator | Parameter::Count => (fewest, most + 1),
        }
    }

    /// The aggregate of this name that takes values of a type that they are all known to have, if that is another one: the
    /// mean of moments and intervals, the median of what nothing lies between.
    pub fn of(&self, class: Class) -> Option<(&'static AggregateFunction, Option<Outcome>)> {
        match (self.name, class) {
            ("avg", Class::Date | Class::Timestamp | Class::Interval) => Some((&MEAN_OF_MOMENTS, None)),
            ("median", Class::Text | Class::Bool | Class::Array | Class::Object) => {
                aggregate("quantile_disc").map(|function| (function, Some(Outcome::Quantile(0.5))))
            }
            _ => None,
        }
    }

    /// What is wanted of its state when it has a parameter of this value. [`None`] if it does not take that.
    pub fn outcome(&self, parameter: Option<Value>) -> Option<Outcome> {
        match (self.parameter, parameter) {
            (Parameter::None(Wanted::Whole), None) => Some(Outcome::Whole),
            (Parameter::None(Wanted::Mean), None) => Some(Outcome::Mean),
            (Parameter::None(Wanted::Mode), None) => Some(Outcome::Mode),
            (Parameter::Fraction, Some(Value::Json(list))) => {
                let fractions = json::elements(list).map(|element| fraction(Value::number(element)));
                let fractions = fractions.collect::<Option<Vec<f64>>>()?;
                (!fractions.is_empty()).then_some(Outcome::Quantiles(fractions))
            }
            (Parameter::Fraction, Some(value)) => fraction(value).map(Outcome::Quantile),
            (Parameter::Count, None) => Some(Outcome::Whole),
            (Parameter::Separator, None) => Some(Outcome::Joined(",".to_owned())),
            (Parameter::Separator, Some(Value::Text(text))) => {
                Some(Outcome::Joined(String::from_utf8_lossy(text).into_owned()))
            }
            _ => None,
        }
    }
}

/// A number from 0 to 1.
fn fraction(value: Value) -> Option<f64> {
    value.to_float().filter(|value| (0.0..=1.0).contains(value))
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
    example: (&'static str, &'static str),
    (expected, gives): (&'static str, Gives),
    make: Make,
) -> AggregateFunction {
    AggregateFunction {
        name,
        aliases,
        signature,
        summary,
        example,
        values: (1, 1),
        parameter: Parameter::None(Wanted::Whole),
        expected,
        gives,
        make,
        make_distinct: None,
        make_ordered: None,
    }
}

/// `avg` where the type of its argument is known not to be that of numbers.
static MEAN_OF_MOMENTS: AggregateFunction = AggregateFunction {
    parameter: Parameter::None(Wanted::Mean),
    make_distinct: Some(PerGroup::<Distinct<MeanOfMoments>>::boxed),
    ..entry("avg", &[], "", "", ("", ""), ("a moment or an interval", Gives::BETWEEN), PerGroup::<MeanOfMoments>::boxed)
};

static AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        values: (0, 1),
        make_distinct: Some(SharedDistinct::boxed),
        ..entry(
            "count",
            &[],
            "count(*) | count([distinct] value)",
            "The number of records, or of values that are not NULL.",
            ("count(x)", "3"),
            ("a value", Gives::Number),
            PerGroup::<Count>::boxed,
        )
    },
    entry(
        "count_if",
        &["countif"],
        "count_if(condition)",
        "The number of records for which the condition is true.",
        ("count_if(x > 1)", "2"),
        ("a truth value", Gives::Number),
        PerGroup::<CountIf>::boxed,
    ),
    AggregateFunction {
        make_distinct: Some(PerGroup::<Distinct<Sum>>::boxed),
        ..entry(
            "sum",
            &[],
            "sum([distinct] number)",
            "The sum: exact, rounded once at the end; an integer if all values are, a decimal if all are integers and decimals.",
            ("sum(x)", "5"),
            ("a number", Gives::FIRST),
            PerGroup::<Sum>::boxed,
        )
    },
    AggregateFunction {
        parameter: Parameter::None(Wanted::Mean),
        make_distinct: Some(PerGroup::<Distinct<Sum>>::boxed),
        ..entry(
            "avg",
            &["mean"],
            "avg([distinct] number | moment | interval)",
            "The exact sum divided by the count, rounded once. Of dates it is a timestamp.",
            ("avg(distinct x)", "1.5"),
            ("a number", Gives::Number),
            PerGroup::<Sum>::boxed,
        )
    },
    AggregateFunction {
        parameter: Parameter::Count,
        make_distinct: Some(PerGroup::<Extreme<false>>::boxed),
        make_ordered: Some(PerGroup::<Several>::boxed),
        ..entry(
            "min",
            &[],
            "min(value [, count])",
            "The least value; with a count, an array of so many, the least first.",
            ("min(t)", "\"a\""),
            ("a value", Gives::FIRST),
            PerGroup::<Extreme<false>>::boxed,
        )
    },
    AggregateFunction {
        parameter: Parameter::Count,
        make_distinct: Some(PerGroup::<Extreme<true>>::boxed),
        make_ordered: Some(PerGroup::<Several>::boxed),
        ..entry(
            "max",
            &[],
            "max(value [, count])",
            "The greatest value; with a count, an array of so many, the greatest first.",
            ("max(t)", "\"c\""),
            ("a value", Gives::FIRST),
            PerGroup::<Extreme<true>>::boxed,
        )
    },
    entry(
        "median",
        &[],
        "median(number | moment | interval)",
        "The middle value, or the mean of the two middle ones; exact. Of dates it is a timestamp. Of what is seen to be a text or a truth value it is the lower one of the two.",
        ("median(x)", "2.0"),
        ("a number or a moment", Gives::BETWEEN),
        PerGroup::<Middle>::boxed,
    ),
    AggregateFunction {
        parameter: Parameter::Fraction,
        ..entry(
            "quantile_cont",
            &["percentile_cont", "percentile"],
            "quantile_cont(number | moment | interval, fraction | [fractions])",
            "The number below which that part of the numbers lies, between two of them where it falls there; exact. Of dates it is a timestamp; an array of fractions gives an array.",
            ("quantile_cont(x, [0.25, 0.5])", "[1.5,2.0]"),
            ("a number or a moment", Gives::BETWEEN),
            PerGroup::<Middle>::boxed,
        )
    },
    AggregateFunction {
        parameter: Parameter::Fraction,
        ..entry(
            "quantile_disc",
            &["quantile", "percentile_disc"],
            "quantile_disc(value, fraction | [fractions])",
            "The least value that so large a part of the values is not above; exact. An array of fractions gives an array.",
            ("quantile_disc(t, 0.5)", "\"a\""),
            ("a value", Gives::FIRST),
            PerGroup::<Counts>::boxed,
        )
    },
    AggregateFunction {
        parameter: Parameter::None(Wanted::Mode),
        ..entry(
            "mode",
            &[],
            "mode(value)",
            "The most frequent value; of several the least.",
            ("mode(t)", "\"a\""),
            ("a value", Gives::FIRST),
            PerGroup::<Counts>::boxed,
        )
    },
    entry(
        "histogram",
        &[],
        "histogram(value)",
        "An object of the values and how often each of them comes.",
        ("histogram(t)", "{\"a\":2,\"b\":1,\"c\":1}"),
        ("a value", Gives::Any),
        PerGroup::<Counts>::boxed,
    ),
    entry(
        "approx_count_distinct",
        &["approx_distinct"],
        "approx_count_distinct(value)",
        "About how many different values there are, with a standard error of 1.6 %; exact up to 512.",
        ("approx_count_distinct(t)", "3"),
        ("a value", Gives::Number),
        PerGroup::<DistinctSketch>::boxed,
    ),
    AggregateFunction {
        parameter: Parameter::Fraction,
        ..entry(
            "approx_quantile",
            &["approx_percentile", "percentile_approx"],
            "approx_quantile(number | moment, fraction | [fractions])",
            "About the least number that so large a part of the numbers is not above, with a relative error of 0.4 %, of moments mostly below 0.1 % of the time they span. An array of fractions gives an array.",
            ("approx_quantile(x, 0.5)", "2.0"),
            ("a number or a moment", Gives::ESTIMATE),
            PerGroup::<QuantileSketch>::boxed,
        )
    },
    AggregateFunction {
        make_distinct: Some(PerGroup::<Bools<false>>::boxed),
        ..entry(
            "bool_and",
            &["every", "all_true"],
            "bool_and(condition)",
            "Whether no value is false.",
            ("bool_and(x < 3)", "true"),
            ("a truth value", Gives::Bool),
            PerGroup::<Bools<false>>::boxed,
        )
    },
    AggregateFunction {
        make_distinct: Some(PerGroup::<Bools<true>>::boxed),
        ..entry(
            "bool_or",
            &["some", "any_true"],
            "bool_or(condition)",
            "Whether any value is true.",
            ("bool_or(x = 1)", "true"),
            ("a truth value", Gives::Bool),
            PerGroup::<Bools<true>>::boxed,
        )
    },
    AggregateFunction {
        make_distinct: Some(PerGroup::<Distinct<Listed>>::boxed),
        make_ordered: Some(PerGroup::<Listed>::boxed),
        ..entry(
            "array_agg",
            &["list", "collect_list"],
            "array_agg([distinct] value [order by …])",
            "All values as an array, NULL among them, in the order of the input if no other is given; distinct ones sorted.",
            ("array_agg(x order by x desc)", "[2,2,1,null]"),
            ("a value", Gives::Array),
            PerGroup::<Listed>::boxed,
        )
    },
    entry(
        "collect_set",
        &[],
        "collect_set(value)",
        "The different values that are not NULL as an array, sorted: array_agg(distinct value).",
        ("collect_set(t)", "[\"a\",\"b\",\"c\"]"),
        ("a value", Gives::Array),
        PerGroup::<Distinct<Listed>>::boxed,
    ),
    AggregateFunction {
        parameter: Parameter::Separator,
        make_distinct: Some(PerGroup::<Distinct<Listed>>::boxed),
        make_ordered: Some(PerGroup::<Listed>::boxed),
        ..entry(
            "string_agg",
            &["listagg", "group_concat"],
            "string_agg([distinct] value [, separator] [order by …])",
            "The values that are not NULL as one text, with a comma or a separator between them.",
            ("string_agg(distinct t, '-')", "\"a-b-c\""),
            ("a value", Gives::Text),
            PerGroup::<Listed>::boxed,
        )
    },
    entry(
        "stddev",
        &["stddev_samp", "std"],
        "stddev(number)",
        "The standard deviation of a sample, from exact sums.",
        ("round(stddev(x), 3)", "0.577"),
        ("a number", Gives::Number),
        PerGroup::<Deviation<STDDEV_SAMP>>::boxed,
    ),
    entry(
        "stddev_pop",
        &[],
        "stddev_pop(number)",
        "The standard deviation of a population, from exact sums.",
        ("round(stddev_pop(x), 3)", "0.471"),
        ("a number", Gives::Number),
        PerGroup::<Deviation<STDDEV_POP>>::boxed,
    ),
    entry(
        "variance",
        &["var_samp"],
        "variance(number)",
        "The variance of a sample, from exact sums.",
        ("round(variance(x), 3)", "0.333"),
        ("a number", Gives::Number),
        PerGroup::<Deviation<VAR_SAMP>>::boxed,
    ),
    entry(
        "var_pop",
        &[],
        "var_pop(number)",
        "The variance of a population, from exact sums.",
        ("round(var_pop(x), 3)", "0.222"),
        ("a number", Gives::Number),
        PerGroup::<Deviation<VAR_POP>>::boxed,
    ),
    AggregateFunction {
        make_ordered: Some(PerGroup::<AtEndBy<false>>::boxed),
        ..entry(
            "first",
            &["arbitrary", "first_value"],
            "first(value [order by …])",
            "The value of the first record, NULL or not, in the order of the input if no other is given.",
            ("first(t)", "\"b\""),
            ("a value", Gives::FIRST),
            PerGroup::<AtEnd<false>>::boxed,
        )
    },
    AggregateFunction {
        make_ordered: Some(PerGroup::<AtEndBy<true>>::boxed),
        ..entry(
            "last",
            &["last_value"],
            "last(value [order by …])",
            "The value of the last record, NULL or not, in the order of the input if no other is given.",
            ("last(t)", "\"a\""),
            ("a value", Gives::FIRST),
            PerGroup::<AtEnd<true>>::boxed,
        )
    },
    entry(
        "any_value",
        &[],
        "any_value(value [order by …])",
        "Some value that is not NULL; always the same one for the same records: the least, or the first in an order.",
        ("any_value(t)", "\"a\""),
        ("a value", Gives::FIRST),
        PerGroup::<Extreme<false>>::boxed,
    ),
    AggregateFunction {
        values: (2, 2),
        parameter: Parameter::Count,
        make_ordered: Some(PerGroup::<Several>::boxed),
        ..entry(
            "min_by",
            &["arg_min", "argmin"],
            "min_by(value, by [, count])",
            "The value of the record with the least `by`, the smallest such value; with a count, an array of so many.",
            ("min_by(t, x)", "\"b\""),
            ("values", Gives::FIRST),
            PerGroup::<ExtremeBy<false>>::boxed,
        )
    },
    AggregateFunction {
        values: (2, 2),
        parameter: Parameter::Count,
        make_ordered: Some(PerGroup::<Several>::boxed),
        ..entry(
            "max_by",
            &["arg_max", "argmax"],
            "max_by(value, by [, count])",
            "The value of the record with the greatest `by`, the smallest such value; with a count, an array of so many.",
            ("max_by(t, x)", "\"a\""),
            ("values", Gives::FIRST),
            PerGroup::<ExtremeBy<true>>::boxed,
        )
    },
];
