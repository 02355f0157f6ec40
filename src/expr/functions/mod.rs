//! The table of scalar functions: the one place that knows their names, arguments, meaning and code.

mod any;
mod clock;
mod encode;
mod list;
mod math;
mod number;
mod regexp;
mod search;
mod span;
mod split;
mod structure;
mod text;
mod time;

pub(crate) use regexp::check_pattern;
pub(crate) use time::part_named;

use std::borrow::Cow;

use bumpalo::Bump;

use super::cast::timestamp;
use super::fault::Fault;
use super::gives::Gives;
use super::vector::Vector;
use crate::scan::{Cell, Kind};
use crate::value::{Interval, Timestamp, Value, json, text as wtf8};

/// A scalar function.
pub struct Function {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// How it is called, for help and errors.
    pub signature: &'static str,
    /// What it gives, in one sentence.
    pub summary: &'static str,
    /// A call and what it gives, as JSON.
    pub example: (&'static str, &'static str),
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// What a type fault says was expected.
    pub expected: &'static str,
    /// The type of its values.
    pub gives: Gives,
    code: Code,
}

/// The code of a function: what it gives for one row's arguments.
enum Code {
    /// NULL if an argument is NULL, else this.
    Strict(Apply),
    /// This, NULL or not.
    Given(Apply),
    /// As [`Strict`](Code::Strict), and a quicker way for a field.
    Field(Apply, OfField),
    /// As [`Given`](Code::Given), and a quicker way for a field.
    GivenField(Apply, OfField),
    /// As [`Strict`](Code::Strict), and a quicker way for many rows.
    Columns(Apply, OfColumns),
    /// This part of the moment that the argument names, or of an interval, where that has it; NULL of NULL.
    Part(fn(Timestamp) -> i64, Option<fn(Interval) -> i64>),
    /// This of a number; NULL of NULL.
    Float(fn(f64) -> f64),
    /// This interval of a number; NULL of NULL.
    Interval(fn(Value) -> Result<Interval, Fault>),
}

/// The values of a function of one field, for some rows; [`None`] where it cannot be told so quickly, or there would be a
/// fault or a NULL.
type OfField = for<'a> fn(Field<'_>, &'a Bump) -> Option<Vector<'a>>;

/// The values of a function for as many rows of its arguments; [`None`] where it cannot be told so quickly, or there would
/// be a fault.
type OfColumns = for<'a> fn(&[Vector<'a>], usize, &'a Bump) -> Option<Vector<'a>>;

/// A field of some rows of records.
#[derive(Clone, Copy)]
struct Field<'f> {
    block: &'f [u8],
    cells: &'f [Cell],
    rows: &'f [u32],
}

impl Field<'_> {
    /// What `value` makes of the text in each row; [`None`] as soon as it makes nothing of one.
    fn map<T: Copy + Default>(self, arena: &Bump, mut value: impl FnMut(Kind, &[u8]) -> Option<T>) -> Option<&[T]> {
        let out = arena.alloc_slice_fill_default::<T>(self.rows.len());
        for (out, &row) in out.iter_mut().zip(self.rows) {
            let cell = self.cells[row as usize];
            *out = value(cell.kind(), cell.bytes(self.block))?;
        }
        Some(out)
    }
}

type Apply = for<'a> fn(&[Value<'a>], &'a Bump) -> Result<Value<'a>, Fault>;

impl Function {
    /// The function's value for one row's arguments, of which there are as many as it takes.
    ///
    /// # Errors
    /// The fault for which the value is NULL.
    #[inline]
    pub fn apply<'a>(&self, arguments: &[Value<'a>], arena: &'a Bump) -> Result<Value<'a>, Fault> {
        let null = || arguments.iter().any(|value| matches!(value, Value::Null));
        match self.code {
            Code::Given(apply) | Code::GivenField(apply, _) => apply(arguments, arena),
            _ if null() => Ok(Value::Null),
            Code::Strict(apply) | Code::Field(apply, _) | Code::Columns(apply, _) => apply(arguments, arena),
            Code::Part(part, of_interval) => Ok(Value::Int(match (arguments[0], of_interval) {
                (Value::Interval(span), Some(part)) => part(span),
                (moment, _) => part(timestamp(moment)?),
            })),
            Code::Float(apply) => math::finite(apply(math::number_of(arguments[0])?)),
            Code::Interval(of) => Ok(Value::Interval(of(arguments[0])?)),
        }
    }
}

impl Function {
    /// Whether the second argument is a regular expression.
    pub(crate) fn takes_pattern(&self) -> bool {
        self.arguments.1 > 1 && regexp::TABLE.contains(self)
    }

    /// Whether it gives the value that a text stands for in JSON, and of anything else the value itself.
    pub(crate) fn reads_json(&self) -> bool {
        self.name == "from_json"
    }

    /// The values for a field, where there is a quicker way than [`apply`](Function::apply) for each row.
    pub(super) fn of_field<'a>(
        &self,
        block: &[u8],
        cells: &[Cell],
        rows: &[u32],
        arena: &'a Bump,
    ) -> Option<Vector<'a>> {
        let field = Field { block, cells, rows };
        match self.code {
            Code::Field(_, of_field) | Code::GivenField(_, of_field) => of_field(field, arena),
            Code::Part(part, _) => {
                let moment = |kind, text: &[u8]| (kind == Kind::Text).then(|| Timestamp::parse(text)).flatten();
                field.map(arena, |kind, text| moment(kind, text).map(part)).map(Vector::Ints)
            }
            Code::Strict(_) | Code::Given(_) | Code::Columns(..) | Code::Float(_) | Code::Interval(_) => None,
        }
    }

    /// The values for as many rows of the arguments, where there is a quicker way than [`apply`](Function::apply) for each
    /// row.
    pub(super) fn of_columns<'a>(&self, arguments: &[Vector<'a>], len: usize, arena: &'a Bump) -> Option<Vector<'a>> {
        match self.code {
            Code::Columns(_, of_columns) if len > 0 => of_columns(arguments, len, arena),
            _ => None,
        }
    }
}

/// What `value` makes of the values of a column that are not NULL, and NULL of NULL; [`None`] as soon as it makes nothing of
/// one.
#[inline(always)]
fn map_column<'a>(
    column: &Vector<'a>,
    len: usize,
    arena: &'a Bump,
    mut value: impl FnMut(Value<'a>) -> Option<Value<'a>>,
) -> Option<Vector<'a>> {
    let mut value = |given: Value<'a>| if matches!(given, Value::Null) { Some(given) } else { value(given) };
    let out = match column {
        Vector::Constant(given) => return value(*given).map(Vector::Constant),
        Vector::Values(values) if values.len() == len => {
            let out = arena.alloc_slice_fill_copy(len, Value::Null);
            for (out, &given) in out.iter_mut().zip(*values) {
                *out = value(given)?;
            }
            out
        }
        column => {
            let out = arena.alloc_slice_fill_copy(len, Value::Null);
            for (row, out) in out.iter_mut().enumerate() {
                *out = value(column.get(row))?;
            }
            out
        }
    };
    Some(Vector::Values(out))
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The functions by topic, each with its title.
pub fn topics() -> [(&'static str, &'static [Function]); 13] {
    [
        ("Text", text::TABLE),
        ("Texts apart and together", split::TABLE),
        ("Search and comparison of texts", search::TABLE),
        ("Regular expressions", regexp::TABLE),
        ("Digests and encodings", encode::TABLE),
        ("Days and moments", time::TABLE),
        ("Moments by parts, patterns and time zones", clock::TABLE),
        ("Intervals, and the time between moments", span::TABLE),
        ("Numbers", number::TABLE),
        ("Mathematics", math::TABLE),
        ("Arrays", list::TABLE),
        ("Objects and JSON", structure::TABLE),
        ("Values of any type", any::TABLE),
    ]
}

/// Every scalar function.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    topics().into_iter().flat_map(|(_, functions)| functions)
}

/// The function of a name, in any case.
pub fn function(name: &str) -> Option<&'static Function> {
    let name = name.to_ascii_lowercase();
    functions().find(|function| function.name == name || function.aliases.contains(&name.as_str()))
}

fn string(value: Value<'_>) -> Result<Cow<'_, str>, Fault> {
    match value {
        Value::Text(bytes) => Ok(wtf8::lossy(bytes)),
        _ => Err(Fault::Type),
    }
}

/// A text that a function made.
fn text<'a>(arena: &'a Bump, text: &str) -> Value<'a> {
    Value::Text(arena.alloc_str(text).as_bytes())
}

/// An array that a function made.
fn array<'a>(arena: &'a Bump, elements: impl Iterator<Item = Value<'a>>) -> Value<'a> {
    json::array(elements, arena)
}

fn array_of_texts<'a, 't>(arena: &'a Bump, texts: impl Iterator<Item = &'t str>) -> Value<'a> {
    array(arena, texts.map(|element| text(arena, element)))
}

fn int(value: Value) -> Result<i64, Fault> {
    match value {
        Value::Int(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Date;

    #[test]
    fn arguments_match_the_signature() {
        for function in functions() {
            assert!(function.signature.starts_with(&format!("{}(", function.name)), "{}", function.signature);
            assert!(function.arguments.0 <= function.arguments.1);
        }
    }

    fn value() -> impl Strategy<Value = Value<'static>> {
        let texts =
            ["", "abc", "a1 b22", "ABC", "naïve é", "a\n", "2025-02-22T04:21:55.483Z", "1969-12-31", "2025-02-22T04"];
        prop_oneof![
            3 => prop::sample::select(texts.to_vec()).prop_map(|text| Value::Text(text.as_bytes())),
            3 => any::<i32>().prop_map(|seconds| Value::Timestamp(Timestamp(i64::from(seconds) * 1_000_001))),
            1 => Just(Value::Text(b"a\xed\xa0\x80")),
            1 => Just(Value::Null),
            1 => Just(Value::Int(1)),
            1 => any::<i64>().prop_map(|micros| Value::Timestamp(Timestamp(micros))),
            1 => (-800_000..3_000_000).prop_map(|day| Value::Date(Date(day))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn columns_are_as_their_rows(
            (name, before, after) in prop::sample::select(vec![
                ("regexp_matches", vec![], vec!["[a-z][0-9]|^$"]),
                ("regexp_matches", vec![], vec!["B.", "i"]),
                ("regexp_matches", vec![], vec!["\\bve"]),
                ("regexp_matches", vec![], vec!["(", "q"]),
                ("regexp_full_match", vec![], vec!["[a-zï]*.", "s"]),
                ("regexp_extract", vec![], vec!["([a-z])([0-9]+)?", "2"]),
                ("regexp_extract", vec![], vec!["\\B(.?)", "1"]),
                ("regexp_extract", vec![], vec!["[^a]"]),
                ("regexp_extract", vec![], vec!["a", "1"]),
                ("strftime", vec![], vec!["%Y/%m/%d %H:%M:%S.%g%%"]),
                ("strftime", vec![], vec!["%j %f"]),
                ("strftime", vec![], vec!["%L"]),
                ("date_trunc", vec!["week"], vec![]),
                ("date_trunc", vec!["hour"], vec![]),
                ("date_trunc", vec!["no unit"], vec![]),
                ("time_bucket", vec!["6 hours"], vec![]),
                ("time_bucket", vec!["1 month"], vec![]),
                ("time_bucket", vec!["-1 hour"], vec![]),
                ("time_bucket", vec!["7 seconds"], vec!["2025-01-01"]),
            ]),
            values in prop::collection::vec(value(), 1..8),
            alike in 0..3,
        ) {
            let function = function(name).unwrap();
            let arena = Bump::new();
            // Mostly values of one kind, as one of a wrong kind ends the quick way.
            let kind = std::mem::discriminant(&values[0]);
            let is_alike = |value: &&Value<'static>| alike == 0 || std::mem::discriminant(*value) == kind;
            let values: Vec<Value> = values.iter().filter(is_alike).copied().collect();
            let constant = |text: &&'static str| match Interval::parse(text) {
                Some(interval) if name == "time_bucket" => Value::Interval(interval),
                _ => text.parse().map_or(Value::Text(text.as_bytes()), Value::Int),
            };
            let before: Vec<Value> = before.iter().map(constant).collect();
            let after: Vec<Value> = after.iter().map(constant).collect();
            let row = |value| [&before[..], &[value], &after[..]].concat();
            let vectors = |vector| {
                let constants = |values: &[Value<'static>]| values.iter().map(|&value| Vector::Constant(value)).collect();
                let (before, after): (Vec<Vector>, Vec<Vector>) = (constants(&before), constants(&after));
                [&before[..], &[vector], &after[..]].concat()
            };
            let whole = Vector::Values(&*arena.alloc_slice_copy(&values));
            for (column, len) in [(whole, values.len()), (Vector::Constant(values[0]), 2)] {
                let Some(found) = function.of_columns(&vectors(column), len, &arena) else { continue };
                for i in 0..len {
                    let expected = function.apply(&row(column.get(i)), &arena);
                    prop_assert_eq!(format!("{:?}", Ok::<_, Fault>(found.get(i))), format!("{expected:?}"));
                }
            }
        }
    }
}
