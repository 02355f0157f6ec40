//! What checks ask, as SQL.
//!
//! All that can be asked of single records is asked by aggregates, which stand in one select list with those of other
//! checks; what cannot is a query of its own. Column names are quoted and constants are literals, so that nothing in a
//! check is taken for SQL but its expressions, which [`Check::validate`] knows to be whole.

use super::check::{
    Check, Fresh, Kind, Length, Matches, Metric, Monotonic, NotNull, Range, Relationship, TypeOf, Values,
};
use super::terms::{Column, Constant, is_numeric, literal};

/// The failing records that a report shows of each check.
pub const MOST_SAMPLES: usize = 20;

/// What a check asks.
///
/// ```
/// use foldl::quality::Check;
///
/// let check: Check = serde_json::from_str(r#"{"on": "orders", "not_null": {"column": "userId"}}"#).unwrap();
/// let asked = check.questions("orders", |source| source.to_owned());
/// assert_eq!(asked.scalars, ["count(*)", "count_if(\"userId\" is null)"]);
/// assert_eq!(asked.failing.unwrap(), "\"userId\" is null");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Aggregates over all records of the source. The first is the number of records.
    pub scalars: Vec<String>,
    /// A condition that is true for the records that fail. Its count is the second scalar.
    pub failing: Option<String>,
    /// A query of one row with one column `n`, the number of records that fail, where that is no aggregate.
    pub count: Option<String>,
    /// A query of the records that fail, in the order of the input, with the columns `_file`, `_line`, `_offset` and
    /// `record`.
    pub records: Option<String>,
    /// A query whose rows a [`Fold`](super::Fold) takes, in their order.
    pub rows: Option<String>,
}

/// The aggregates of several checks of one source, each once, and for each check the places of its own among them.
pub fn distinct_scalars<'q>(questions: impl IntoIterator<Item = &'q Questions>) -> (Vec<&'q str>, Vec<Vec<usize>>) {
    let mut distinct: Vec<&str> = Vec::new();
    let mut place = |scalar: &'q str| {
        distinct.iter().position(|known| *known == scalar).unwrap_or_else(|| {
            distinct.push(scalar);
            distinct.len() - 1
        })
    };
    let places =
        questions.into_iter().map(|asked| asked.scalars.iter().map(|scalar| place(scalar)).collect()).collect();
    (distinct, places)
}

impl Check {
    /// What the check asks of a table. `table` is what stands in FROM, such as `orders` or `'orders.jsonl'`; `source`
    /// gives the same for the name of another source.
    pub fn questions(&self, table: &str, source: impl Fn(&str) -> String) -> Questions {
        let failing = self.kind.failing();
        let mut asked = Questions { scalars: vec!["count(*)".to_owned()], ..Questions::default() };
        if let Some(failing) = failing {
            asked.scalars.push(format!("count_if({failing})"));
            asked.records = Some(format!("select _file, _line, _offset, this as record from {table} where {failing}"));
            asked.failing = Some(failing);
            return asked;
        }
        match &self.kind {
            Kind::Metric(Metric { expr, min, max, .. }) => {
                asked.scalars.push(expr.sql());
                let keeps = within(&expr.sql(), min.as_ref(), max.as_ref());
                asked.scalars.extend(keeps.map(|keeps| format!("({keeps})")));
            }
            Kind::Fresh(Fresh { column, .. }) => {
                asked.scalars.push(format!("max(try_cast({} as timestamp))", column.sql()));
            }
            Kind::Unique(columns) => {
                let keys: Vec<String> = columns.iter().map(Column::sql).collect();
                let with_keys: Vec<String> = keys.iter().map(|key| format!("{key} is not null")).collect();
                let repeated = format!(
                    "from {table} where {} group by {} having count(*) > 1",
                    with_keys.join(" and "),
                    keys.join(", ")
                );
                asked.count = Some(format!(
                    "select coalesce(sum(\"m\"), 0) as n from (select count(*) as \"m\" {repeated}) as \"r\""
                ));
                let named: Vec<String> =
                    keys.iter().enumerate().map(|(number, key)| format!("{key} as \"k{number}\"")).collect();
                let equal: Vec<String> =
                    keys.iter().enumerate().map(|(number, key)| format!("\"l\".{key} = \"r\".\"k{number}\"")).collect();
                asked.records = Some(format!(
                    "select _file, _line, _offset, this as record from {table} as \"l\" \
                     semi join (select {} {repeated}) as \"r\" on {}",
                    named.join(", "),
                    equal.join(" and ")
                ));
            }
            Kind::Relationship(Relationship { column, source: other, key }) => {
                let (column, key) = (column.sql(), key.as_ref().unwrap_or(column).sql());
                let strangers = format!(
                    "from {table} as \"l\" anti join (select distinct {key} as \"k\" from {} where {key} is not null) \
                     as \"r\" on \"l\".{column} = \"r\".\"k\" where \"l\".{column} is not null",
                    source(other)
                );
                asked.count = Some(format!("select count(*) as n {strangers}"));
                asked.records = Some(format!("select _file, _line, _offset, this as record {strangers}"));
            }
            Kind::Monotonic(Monotonic { column }) => {
                let column = column.sql();
                asked.rows = Some(format!(
                    "select {column} as \"value\", _file, _line, _offset, this as record from {table} \
                     where {column} is not null"
                ));
            }
            Kind::Schema(_) => {
                asked.rows =
                    Some(format!("select json_structure(this) as \"structure\" from {table} group by \"structure\""));
            }
            _ => {}
        }
        asked
    }
}

impl Kind {
    /// The condition that is true for the records that fail, if the kind is about single records.
    fn failing(&self) -> Option<String> {
        // NULL passes, and a value of another type does not.
        let unless = |column: &Column, passes: String| format!("({} is null or {passes}) is not true", column.sql());
        Some(match self {
            Kind::NotNull(NotNull { column, .. }) => format!("{} is null", column.sql()),
            Kind::Range(Range { column, min, max }) => {
                unless(column, within(&column.sql(), min.as_ref(), max.as_ref())?)
            }
            Kind::Accepted(Values { column, values }) => unless(column, is_one_of(&column.sql(), values)),
            Kind::Forbidden(Values { column, values }) => format!("({})", is_one_of(&column.sql(), values)),
            Kind::Matches(Matches { column, pattern }) => {
                let name = column.sql();
                let matches = format!("regexp_matches({name}, {})", literal(&pattern.0));
                unless(column, format!("typeof({name}) = 'string' and {matches}"))
            }
            Kind::Length(Length { column, min, max }) => {
                let name = column.sql();
                let limit = |limit: &Option<u64>, sign: &str| {
                    limit.map_or(String::new(), |limit| format!(" and length({name}) {sign} {limit}"))
                };
                unless(
                    column,
                    format!("typeof({name}) in ('string', 'array', 'object'){}{}", limit(min, ">="), limit(max, "<=")),
                )
            }
            Kind::Type(TypeOf { column, is }) => is.failing(column),
            Kind::Expect(expression) => format!("{} is false", expression.sql()),
            _ => return None,
        })
    }
}

/// The condition that a value keeps to limits, without regard to NULL; `None` if there are none.
fn within(value: &str, min: Option<&Constant>, max: Option<&Constant>) -> Option<String> {
    let limits = [(min, ">="), (max, "<=")];
    let limits: Vec<String> =
        limits.iter().filter_map(|(limit, sign)| limit.map(|limit| limit.limits(value, sign))).collect();
    if limits.is_empty() { None } else { Some(limits.join(" and ")) }
}

/// The condition that a value is one of a list, each value being compared with those of its own type.
fn is_one_of(column: &str, values: &[Constant]) -> String {
    let listed = |wanted: fn(&Constant) -> bool| {
        let values: Vec<String> = values.iter().filter(|value| wanted(value)).map(Constant::sql).collect();
        if values.is_empty() { None } else { Some(format!("{column} in ({})", values.join(", "))) }
    };
    let texts = listed(|value| matches!(value, Constant::Text(_)));
    let numbers = listed(|value| matches!(value, Constant::Number(_)));
    let bools = listed(|value| matches!(value, Constant::Bool(_)));
    let conditions = [
        texts.map(|texts| format!("typeof({column}) = 'string' and {texts}")),
        numbers.map(|numbers| format!("{} and {numbers}", is_numeric(column))),
        bools.map(|bools| format!("typeof({column}) = 'boolean' and {bools}")),
    ];
    conditions.into_iter().flatten().collect::<Vec<_>>().join(" or ")
}
