//! What a check is, as a job file and the command line say it.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::terms::{Age, Column, Constant, Expression, Pattern, Rate, ValueType};
use crate::error::{Error, Place, Result};

/// One check of a source: a table of `[[checks]]`, or a flag of `foldl check`.
///
/// ```
/// use foldl::quality::Check;
///
/// let check: Check = serde_json::from_str(r#"{"on": "orders", "not_null": {"column": "userId", "max_rate": "1%"}}"#).unwrap();
/// assert_eq!(check.name(), "orders.not_null(userId)");
/// assert_eq!(check.threshold(), "at most 1 %");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// The source or view whose records are checked.
    pub on: String,
    /// The name in reports and in the history; see [`name`](Check::name).
    #[serde(skip_serializing_if = "Option::is_none", rename = "name")]
    pub given_name: Option<String>,
    /// What comes of it if the check does not pass.
    pub severity: Severity,
    /// The file to which failing records are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// What is asked.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What comes of a check that does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The run fails, and nothing is committed.
    #[default]
    Fail,
    /// It is told.
    Warn,
}

/// What a check asks. `docs/checks.md` says for each kind when it passes, and what it makes of NULL.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The number of records is within limits.
    RowCount(RowCount),
    /// The share of records in which a column is NULL or missing is small enough.
    NotNull(NotNull),
    /// No two records have the same values in some columns.
    Unique(Vec<Column>),
    /// Every value is within limits.
    Range(Range),
    /// Every value is one of a list.
    Accepted(Values),
    /// No value is one of a list.
    Forbidden(Values),
    /// A regular expression matches some part of every value.
    Matches(Matches),
    /// The length of every text, array or object is within limits.
    Length(Length),
    /// Every value is of a type.
    Type(TypeOf),
    /// A condition is false for no record.
    Expect(Expression),
    /// The result of an aggregate is within limits, and near those of the last runs.
    Metric(Metric),
    /// The latest moment of a column is not too long ago.
    Fresh(Fresh),
    /// Every value is in a column of another source.
    Relationship(Relationship),
    /// No value is less than the one before it, in the order of the input.
    Monotonic(Monotonic),
    /// The records have the same fields, of the same types, as in the last run.
    Schema(Schema),
}

/// See [`Kind::RowCount`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCount {
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// See [`Kind::NotNull`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotNull {
    /// The column.
    pub column: Column,
    /// The greatest share of records in which it may be NULL.
    #[serde(default)]
    pub max_rate: Rate,
}

/// See [`Kind::Range`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The column.
    pub column: Column,
    /// The least value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Constant>,
    /// The greatest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Constant>,
}

/// See [`Kind::Accepted`] and [`Kind::Forbidden`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The column.
    pub column: Column,
    /// The list.
    pub values: Vec<Constant>,
}

/// See [`Kind::Matches`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matches {
    /// The column.
    pub column: Column,
    /// The regular expression.
    pub pattern: Pattern,
}

/// See [`Kind::Length`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// The column.
    pub column: Column,
    /// The least number of characters, elements or keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// See [`Kind::Type`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeOf {
    /// The column.
    pub column: Column,
    /// The type.
    pub is: ValueType,
}

/// See [`Kind::Metric`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// An expression of aggregates, such as `avg(price)`.
    pub expr: Expression,
    /// The least result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Constant>,
    /// The greatest result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Constant>,
    /// By which share the result may differ from the median of the last runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_change: Option<Rate>,
}

/// See [`Kind::Fresh`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// A column of moments or days.
    pub column: Column,
    /// How long ago the latest one may be.
    pub max_age: Age,
}

/// See [`Kind::Relationship`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relationship {
    /// The column.
    pub column: Column,
    /// The other source.
    pub source: String,
    /// The column of the other source; that of the same name if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Column>,
}

/// See [`Kind::Monotonic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monotonic {
    /// The column.
    pub column: Column,
}

/// See [`Kind::Schema`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// What comes of a change, if not what the severity of the check says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_change: Option<Severity>,
}

impl Check {
    /// Whether the check says something about all records together, not only about each: what was read before counts, too.
    pub fn is_of_all(&self) -> bool {
        matches!(self.kind, Kind::Unique(_) | Kind::Relationship(_))
    }

    /// A check that fails the run, and has the name that comes of what it asks.
    ///
    /// # Errors
    /// A message if the check makes no sense: limits that are none, an empty list.
    pub fn new(on: impl Into<String>, kind: Kind) -> Result<Check, String> {
        kind.verify()?;
        Ok(Check { on: on.into(), given_name: None, severity: Severity::Fail, quarantine: None, kind })
    }

    /// The name that was given, or one that is made of the source, the kind and the column, and not of the limits, so that
    /// it stays when these are changed: `orders.range(quantity)`. Of the source `input` only the rest.
    pub fn name(&self) -> String {
        if let Some(name) = &self.given_name {
            return name.clone();
        }
        match self.on.as_str() {
            "input" => self.kind.to_string(),
            on => format!("{on}.{}", self.kind),
        }
    }

    /// What comes of it if the check does not pass.
    pub fn severity(&self) -> Severity {
        match &self.kind {
            Kind::Schema(Schema { on_change: Some(severity) }) => *severity,
            _ => self.severity,
        }
    }

    /// What has to hold, in words: `at most 1 %`.
    pub fn threshold(&self) -> String {
        self.kind.threshold()
    }

    /// Checks the SQL in the check.
    ///
    /// # Errors
    /// [`ErrorKind::Query`](crate::ErrorKind::Query), with the place in the text of the expression.
    pub fn validate(&self) -> Result<()> {
        let (expression, before, behind) = match &self.kind {
            Kind::Expect(expression) => (expression, "where ", ""),
            Kind::Metric(Metric { expr, .. }) => (expr, "select ", "\n as \"metric\", count(*) as \"records\""),
            _ => return Ok(()),
        };
        let text = &expression.0;
        crate::sql::check_expression(text)?;
        let query = format!("{before}{text}{behind}");
        crate::sql::plan(&query).map(drop).map_err(|error| moved(error, before.len(), text))
    }
}

/// An error in a query, as one in a part of it.
fn moved(error: Error, by: usize, part: &str) -> Error {
    let Some(Place::Query { start, end, .. }) = error.place() else { return error };
    let start = start.saturating_sub(by).min(part.len());
    let end = end.saturating_sub(by).clamp(start, part.len());
    error.at(Place::Query { text: part.to_owned(), start, end })
}

impl Kind {
    /// The name of the kind, as it is written in a job file.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::RowCount(_) => "row_count",
            Kind::NotNull(_) => "not_null",
            Kind::Unique(_) => "unique",
            Kind::Range(_) => "range",
            Kind::Accepted(_) => "accepted",
            Kind::Forbidden(_) => "forbidden",
            Kind::Matches(_) => "matches",
            Kind::Length(_) => "length",
            Kind::Type(_) => "type",
            Kind::Expect(_) => "expect",
            Kind::Metric(_) => "metric",
            Kind::Fresh(_) => "fresh",
            Kind::Relationship(_) => "relationship",
            Kind::Monotonic(_) => "monotonic",
            Kind::Schema(_) => "schema",
        }
    }

    /// Whether what is asked makes sense, apart from SQL in it.
    fn verify(&self) -> Result<(), String> {
        let limits = |min: Option<u64>, max: Option<u64>| match (min, max) {
            (None, None) => Err(format!("{} takes min, max or both", self.name())),
            (Some(min), Some(max)) if min > max => Err(format!("the least, {min}, is more than the greatest, {max}")),
            _ => Ok(()),
        };
        match self {
            Kind::RowCount(RowCount { min, max }) | Kind::Length(Length { min, max, .. }) => limits(*min, *max),
            Kind::Range(Range { min: None, max: None, .. }) => Err("range takes min, max or both".to_owned()),
            Kind::Range(Range { min: Some(min), max: Some(max), .. }) => ordered(min, max),
            Kind::Metric(Metric { min: None, max: None, max_change: None, .. }) => {
                Err("metric takes min, max, max_change or several of them".to_owned())
            }
            Kind::Metric(Metric { min: Some(min), max: Some(max), .. }) => ordered(min, max),
            Kind::Unique(columns) if columns.is_empty() => Err("unique takes one or more columns".to_owned()),
            Kind::Unique(columns) => {
                match columns.iter().enumerate().find(|(at, column)| columns[..*at].contains(column)) {
                    Some((_, column)) => Err(format!("unique has `{column}` twice")),
                    None => Ok(()),
                }
            }
            Kind::Accepted(Values { values, .. }) | Kind::Forbidden(Values { values, .. }) if values.is_empty() => {
                Err(format!("{} takes one or more values", self.name()))
            }
            Kind::NotNull(NotNull { max_rate, .. }) if max_rate.get() > 1.0 => {
                Err("max_rate is a share of the records, at most 1 or 100%".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn threshold(&self) -> String {
        fn within(min: Option<&dyn fmt::Display>, max: Option<&dyn fmt::Display>, unit: &str) -> String {
            match (min, max) {
                (Some(min), Some(max)) if min.to_string() == max.to_string() => format!("{min}{unit}"),
                (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
                (Some(min), None) => format!("at least {min}{unit}"),
                (None, Some(max)) => format!("at most {max}{unit}"),
                (None, None) => String::new(),
            }
        }
        fn shown<T: fmt::Display>(limit: &Option<T>) -> Option<&dyn fmt::Display> {
            limit.as_ref().map(|limit| limit as &dyn fmt::Display)
        }
        match self {
            Kind::RowCount(RowCount { min, max }) => within(shown(min), shown(max), ""),
            Kind::NotNull(NotNull { max_rate, .. }) if max_rate.get() == 0.0 => "no NULL".to_owned(),
            Kind::NotNull(NotNull { max_rate, .. }) => format!("at most {max_rate}"),
            Kind::Unique(_) => "no value twice".to_owned(),
            Kind::Range(Range { min, max, .. }) => within(shown(min), shown(max), ""),
            Kind::Accepted(Values { values, .. }) => format!("one of {}", list(values)),
            Kind::Forbidden(Values { values, .. }) => format!("none of {}", list(values)),
            Kind::Matches(Matches { pattern, .. }) => pattern.to_string(),
            Kind::Length(Length { min, max, .. }) => within(shown(min), shown(max), ""),
            Kind::Type(TypeOf { is, .. }) => is.to_string(),
            Kind::Expect(_) => "true or NULL".to_owned(),
            Kind::Metric(Metric { min, max, max_change, .. }) => {
                let limits = within(shown(min), shown(max), "");
                match max_change {
                    None => limits,
                    Some(change) if limits.is_empty() => format!("a change of at most {change}"),
                    Some(change) => format!("{limits}, a change of at most {change}"),
                }
            }
            Kind::Fresh(Fresh { max_age, .. }) => format!("at most {max_age} old"),
            Kind::Relationship(Relationship { source, key, column }) => {
                format!("in {} of {source}", key.as_ref().unwrap_or(column))
            }
            Kind::Monotonic(_) => "none less than the one before".to_owned(),
            Kind::Schema(_) => "as in the last run".to_owned(),
        }
    }
}

/// Whether limits are of one type, and the least is not the greater one.
fn ordered(min: &Constant, max: &Constant) -> Result<(), String> {
    let in_order = match (min, max) {
        (Constant::Number(least), Constant::Number(greatest)) => {
            match (least.parse::<f64>(), greatest.parse::<f64>()) {
                (Ok(least), Ok(greatest)) => least <= greatest,
                _ => true,
            }
        }
        (Constant::Text(least), Constant::Text(greatest)) => least <= greatest,
        (Constant::Bool(least), Constant::Bool(greatest)) => least <= greatest,
        _ => return Err(format!("the limits {min} and {max} are of different types")),
    };
    if in_order { Ok(()) } else { Err(format!("the least, {min}, is more than the greatest, {max}")) }
}

/// The first values of a list, in words.
fn list(values: &[Constant]) -> String {
    const MOST: usize = 8;
    let mut words: Vec<String> = values.iter().take(MOST).map(Constant::to_string).collect();
    if values.len() > MOST {
        words.push(format!("{} more", values.len() - MOST));
    }
    words.join(", ")
}

/// What is asked of what: `range(quantity)`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Kind::RowCount(_) | Kind::Schema(_) => f.write_str(name),
            Kind::Unique(columns) => {
                let columns: Vec<String> = columns.iter().map(Column::to_string).collect();
                write!(f, "{name}({})", columns.join(", "))
            }
            Kind::Expect(expression) | Kind::Metric(Metric { expr: expression, .. }) => {
                write!(f, "{name}({expression})")
            }
            Kind::NotNull(NotNull { column, .. })
            | Kind::Range(Range { column, .. })
            | Kind::Accepted(Values { column, .. })
            | Kind::Forbidden(Values { column, .. })
            | Kind::Matches(Matches { column, .. })
            | Kind::Length(Length { column, .. })
            | Kind::Type(TypeOf { column, .. })
            | Kind::Fresh(Fresh { column, .. })
            | Kind::Relationship(Relationship { column, .. })
            | Kind::Monotonic(Monotonic { column }) => write!(f, "{name}({column})"),
        }
    }
}

/// The keys of a table of `[[checks]]`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    On,
    Name,
    Severity,
    Quarantine,
    RowCount,
    #[serde(alias = "null_rate")]
    NotNull,
    Unique,
    Range,
    Accepted,
    Forbidden,
    Matches,
    Length,
    Type,
    Expect,
    Metric,
    Fresh,
    Relationship,
    Monotonic,
    Schema,
}

/// A table with one key for the kind, and `on`, `name`, `severity` and `quarantine`.
impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Check, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = Check;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with a check")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Check, A::Error> {
        let (mut on, mut given_name, mut severity, mut quarantine) = (None, None, None, None);
        let mut kinds: Vec<Kind> = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            let kind = match key {
                Key::On => {
                    on = Some(map.next_value()?);
                    continue;
                }
                Key::Name => {
                    given_name = Some(map.next_value()?);
                    continue;
                }
                Key::Severity => {
                    severity = Some(map.next_value()?);
                    continue;
                }
                Key::Quarantine => {
                    quarantine = Some(map.next_value()?);
                    continue;
                }
                Key::RowCount => Kind::RowCount(map.next_value()?),
                Key::NotNull => Kind::NotNull(map.next_value()?),
                Key::Unique => Kind::Unique(map.next_value()?),
                Key::Range => Kind::Range(map.next_value()?),
                Key::Accepted => Kind::Accepted(map.next_value()?),
                Key::Forbidden => Kind::Forbidden(map.next_value()?),
                Key::Matches => Kind::Matches(map.next_value()?),
                Key::Length => Kind::Length(map.next_value()?),
                Key::Type => Kind::Type(map.next_value()?),
                Key::Expect => Kind::Expect(map.next_value()?),
                Key::Metric => Kind::Metric(map.next_value()?),
                Key::Fresh => Kind::Fresh(map.next_value()?),
                Key::Relationship => Kind::Relationship(map.next_value()?),
                Key::Monotonic => Kind::Monotonic(map.next_value()?),
                Key::Schema => Kind::Schema(map.next_value()?),
            };
            if let Some(other) = kinds.first() {
                return Err(de::Error::custom(format!(
                    "a check asks one thing, and this one has {} and {}",
                    other.name(),
                    kind.name()
                )));
            }
            kinds.push(kind);
        }
        let on: String = on.ok_or_else(|| de::Error::missing_field("on"))?;
        let kind = kinds.pop().ok_or_else(|| {
            de::Error::custom("the check asks nothing: it has none of not_null, unique, range and the like")
        })?;
        let check = Check::new(on, kind).map_err(de::Error::custom)?;
        Ok(Check { given_name, severity: severity.unwrap_or_default(), quarantine, ..check })
    }
}
