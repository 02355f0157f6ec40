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
            Code::Given(apply) => apply(arguments, arena),
            _ if null() => Ok(Value::Null),
            Code::Strict(apply) | Code::Field(apply, _) => apply(arguments, arena),
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
            Code::Field(_, of_field) => of_field(field, arena),
            Code::Part(part, _) => {
                let moment = |kind, text: &[u8]| (kind == Kind::Text).then(|| Timestamp::parse(text)).flatten();
                field.map(arena, |kind, text| moment(kind, text).map(part)).map(Vector::Ints)
            }
            Code::Strict(_) | Code::Given(_) | Code::Float(_) | Code::Interval(_) => None,
        }
    }
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
    use super::*;

    #[test]
    fn arguments_match_the_signature() {
        for function in functions() {
            assert!(function.signature.starts_with(&format!("{}(", function.name)), "{}", function.signature);
            assert!(function.arguments.0 <= function.arguments.1);
        }
    }
}
