//! What checks are made of: columns, constants, rates, ages, patterns, expressions and types. Each is read from a text of
//! the command line or from a value of a job file, is checked when it is read, and writes itself as SQL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::as_text;
use crate::scan::{Path, Step};
use crate::sql::nearest;
use crate::value::{Date, Timestamp};

/// A text as a literal of SQL: nothing in it ends the literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A path into a record, written as in queries: `userId`, `user.city`, `items[0].price`, `"odd key"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column(Path);

impl Column {
    /// The path as SQL, with quotes around every key, so that none is taken for a keyword.
    pub fn sql(&self) -> String {
        let mut out = String::new();
        for (number, step) in self.0.steps.iter().enumerate() {
            match step {
                Step::Index(index) => out.push_str(&format!("[{index}]")),
                Step::Key(key) => {
                    let dot = if number > 0 { "." } else { "" };
                    out.push_str(&format!("{dot}\"{}\"", key.replace('"', "\"\"")));
                }
            }
        }
        out
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Column, String> {
        let path: Path = text
            .trim()
            .parse()
            .map_err(|_| format!("`{text}` is no column; write user.city, items[0].price or \"odd key\""))?;
        match path.steps.first() {
            Some(Step::Key(_)) => Ok(Column(path)),
            _ => Err(format!("`{text}` is no column: a column begins with a key")),
        }
    }
}

/// A number, a text or a truth value.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// The text of a JSON number, as it was written.
    Number(String),
    /// A text. Where it is compared by size and reads as a day or a moment, it stands for that.
    Text(String),
    /// A truth value.
    Bool(bool),
}

impl Constant {
    /// As it is typed: JSON's numbers, `true` and `false` are what they are, the rest is text, and quotes make anything
    /// a text.
    ///
    /// # Errors
    /// A message if it is a number beyond those that queries take.
    pub fn typed(text: &str) -> Result<Constant, String> {
        if let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
            && !text[1..].is_empty()
        {
            return Ok(Constant::Text(quoted.replace("\"\"", "\"")));
        }
        match text {
            "true" => Ok(Constant::Bool(true)),
            "false" => Ok(Constant::Bool(false)),
            _ if is_number(text) => Constant::number(text),
            _ => Ok(Constant::Text(text.to_owned())),
        }
    }

    fn number(text: &str) -> Result<Constant, String> {
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !is_integer && !text.parse().is_ok_and(f64::is_finite) {
            return Err(format!("{text} is not a number that fits"));
        }
        Ok(Constant::Number(text.to_owned()))
    }

    /// The value as a literal of SQL.
    pub fn sql(&self) -> String {
        match self {
            Constant::Number(text) if text.starts_with('-') => format!("({text})"),
            Constant::Number(text) => text.clone(),
            Constant::Text(text) => literal(text),
            Constant::Bool(value) => value.to_string(),
        }
    }

    /// The condition that a value of a column keeps to this limit, without regard to NULL. `sign` is `>=` or `<=`.
    pub(super) fn limits(&self, column: &str, sign: &str) -> String {
        match self {
            Constant::Number(_) => format!("{} and {column} {sign} {}", is_numeric(column), self.sql()),
            Constant::Text(text) if is_day(text) => {
                format!("try_cast({column} as date) {sign} date {}", self.sql())
            }
            Constant::Text(text) if Timestamp::parse(text.as_bytes()).is_some() => {
                format!("try_cast({column} as timestamp) {sign} timestamp {}", self.sql())
            }
            Constant::Text(_) => format!("typeof({column}) = 'string' and {column} {sign} {}", self.sql()),
            Constant::Bool(_) => format!("typeof({column}) = 'boolean' and {column} {sign} {}", self.sql()),
        }
    }
}

/// The condition that a column has a number.
pub(super) fn is_numeric(column: &str) -> String {
    format!("typeof({column}) in ('integer', 'float', 'decimal')")
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && Date::parse(text.as_bytes()).is_some()
}

/// Whether a text is a number by the grammar of JSON.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Number(text) | Constant::Text(text) => f.write_str(text),
            Constant::Bool(value) => value.fmt(f),
        }
    }
}

/// A number as a JSON number where that keeps its digits, else as `{"number": "…"}`.
impl Serialize for Constant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Constant::Bool(value) => serializer.serialize_bool(*value),
            Constant::Text(text) => serializer.serialize_str(text),
            Constant::Number(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) if number.to_string() == *text => serializer.serialize_i64(number),
                (_, Ok(number)) if number.to_string() == *text => serializer.serialize_f64(number),
                _ => serializer.collect_map([("number", text)]),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Constant, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Constant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text, true or false")
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Constant, E> {
                Ok(Constant::Bool(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Constant, E> {
                Ok(Constant::Number(value.to_string()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Constant, E> {
                Ok(Constant::Number(value.to_string()))
            }
            fn visit_i128<E: de::Error>(self, value: i128) -> Result<Constant, E> {
                Ok(Constant::Number(value.to_string()))
            }
            fn visit_u128<E: de::Error>(self, value: u128) -> Result<Constant, E> {
                Ok(Constant::Number(value.to_string()))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Constant, E> {
                // With a fraction or an exponent, so that it stays what it was.
                Constant::number(&format!("{value:?}")).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Constant, E> {
                Ok(Constant::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A share, from 0. In a job file a number (`0.01`) or a percentage (`"1%"`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Rate(f64);

impl Rate {
    /// The share: 1 is all.
    pub fn get(self) -> f64 {
        self.0
    }

    fn new(share: f64) -> Result<Rate, String> {
        match share {
            share if share >= 0.0 && share.is_finite() => Ok(Rate(share)),
            _ => Err("a rate is 0 or more".to_owned()),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let fail = || format!("`{text}` is no rate such as 0.01 or 1%");
        // The digits are moved, not divided, so that 0.7% is what 0.007 is.
        let number = match text.trim().strip_suffix('%') {
            Some(percent) if is_number(percent.trim_end()) && !percent.contains(['e', 'E']) => {
                format!("{}e-2", percent.trim_end())
            }
            Some(_) => return Err(fail()),
            None => text.trim().to_owned(),
        };
        Rate::new(number.parse().map_err(|_| fail())?)
    }
}

/// In percent.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&percent(self.0))
    }
}

/// A share in percent, to at most four digits: `0.07 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent {
        0.1.. => 2,
        _ => 4,
    };
    let text = format!("{percent:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "0" && share > 0.0 { "<0.0001" } else { text };
    format!("{text} %")
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate such as 0.01 or \"1%\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Rate, E> {
                Rate::new(value as f64).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Rate, E> {
                Rate::new(value as f64).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Rate, E> {
                Rate::new(value).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Rate, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A length of time, to the second: `90s`, `45m`, `36h`, `2d`, `1w`, `1d12h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Age, String> {
        let fail = || format!("`{text}` is no length of time such as 30s, 15m, 36h, 2d or 1w");
        let mut seconds = 0u64;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(fail());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
            let number: u64 = rest[..digits].parse().map_err(|_| fail())?;
            let behind = rest[digits..].trim_start();
            let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
            let unit = match &behind[..letters] {
                "s" | "sec" | "second" | "seconds" => 1,
                "m" | "min" | "minute" | "minutes" => 60,
                "h" | "hour" | "hours" => 3600,
                "d" | "day" | "days" => 86400,
                "w" | "week" | "weeks" => 604_800,
                _ => return Err(fail()),
            };
            seconds = number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(fail)?;
            rest = behind[letters..].trim_start();
        }
        Ok(Age(Duration::from_secs(seconds)))
    }
}

/// `36h`, `3d12h`
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HOUR: u64 = 3600;
        const MOST_HOURS: u64 = 72;
        let mut seconds = self.0.as_secs();
        if seconds == 0 {
            return f.write_str("0s");
        }
        if seconds.is_multiple_of(HOUR) && seconds <= MOST_HOURS * HOUR {
            return write!(f, "{}h", seconds / HOUR);
        }
        for (unit, length) in [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)] {
            if seconds >= length {
                write!(f, "{}{unit}", seconds / length)?;
                seconds %= length;
            }
        }
        Ok(())
    }
}

/// A regular expression, of the crate `regex`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        match regex::Regex::new(text) {
            Ok(_) => Ok(Pattern(text.to_owned())),
            // The first lines of the message show the place in the pattern.
            Err(err) => {
                let message = err.to_string();
                let why = message.lines().last().unwrap_or_default();
                Err(format!("`{text}` is no regular expression: {}", why.trim_start_matches("error: ")))
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An expression of SQL. What is in it is checked by [`Check::validate`](super::Check::validate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression(pub String);

impl Expression {
    /// The expression in parentheses, which a comment at its end does not swallow.
    pub(super) fn sql(&self) -> String {
        let end = if self.0.contains("--") { "\n" } else { "" };
        format!("({}{end})", self.0)
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Expression, String> {
        match text.trim() {
            "" => Err("an expression is missing".to_owned()),
            _ => Ok(Expression(text.to_owned())),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim())
    }
}

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A text.
    String,
    /// A number without fraction and exponent.
    Int,
    /// Any number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A text that is a day, or a moment.
    Date,
    /// A text that is a moment, or a day.
    Timestamp,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl ValueType {
    /// All types, by their names, the first name of each being the one that is written.
    const NAMES: [(&str, ValueType); 14] = [
        ("string", ValueType::String),
        ("int", ValueType::Int),
        ("number", ValueType::Number),
        ("bool", ValueType::Bool),
        ("date", ValueType::Date),
        ("timestamp", ValueType::Timestamp),
        ("array", ValueType::Array),
        ("object", ValueType::Object),
        ("text", ValueType::String),
        ("integer", ValueType::Int),
        ("float", ValueType::Number),
        ("double", ValueType::Number),
        ("boolean", ValueType::Bool),
        ("list", ValueType::Array),
    ];

    /// A condition of SQL that is true for the records in which a column is not of the type; NULL is of every type.
    pub fn failing(self, column: &Column) -> String {
        let name = column.sql();
        format!("({name} is null or {}) is not true", self.condition(&name))
    }

    /// The condition that a value of a column has the type, without regard to NULL.
    fn condition(self, column: &str) -> String {
        match self {
            ValueType::String => format!("typeof({column}) = 'string'"),
            ValueType::Int => format!("typeof({column}) = 'integer'"),
            ValueType::Number => is_numeric(column),
            ValueType::Bool => format!("typeof({column}) = 'boolean'"),
            ValueType::Array => format!("typeof({column}) = 'array'"),
            ValueType::Object => format!("typeof({column}) = 'object'"),
            ValueType::Date => format!(
                "typeof({column}) in ('string', 'date', 'timestamp') and try_cast({column} as date) is not null"
            ),
            ValueType::Timestamp => format!(
                "typeof({column}) in ('string', 'date', 'timestamp') and try_cast({column} as timestamp) is not null"
            ),
        }
    }
}

impl FromStr for ValueType {
    type Err = String;

    fn from_str(text: &str) -> Result<ValueType, String> {
        let name = text.trim().to_lowercase();
        if let Some((_, found)) = ValueType::NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(*found);
        }
        let names = ValueType::NAMES.map(|(name, _)| name);
        Err(match nearest(&name, names) {
            Some(near) => format!("`{text}` is no type; did you mean {near}?"),
            None => format!("`{text}` is no type; the types are {}", names[..8].join(", ")),
        })
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ValueType::NAMES.iter().find(|(_, named)| named == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

as_text!(
    numbers: false;
    Column: "a column such as \"userId\"",
    Age: "a length of time such as \"36h\"",
    Pattern: "a regular expression",
    Expression: "an expression",
    ValueType: "the name of a type"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_quoted() {
        for (text, sql) in [
            ("userId", r#""userId""#),
            ("user.city", r#""user"."city""#),
            (r#""odd key""#, r#""odd key""#),
            (r#""a""b".c"#, r#""a""b"."c""#),
            ("items[0].price", r#""items"[0]."price""#),
            ("select", r#""select""#),
            ("größe", r#""größe""#),
        ] {
            assert_eq!(text.parse::<Column>().unwrap().sql(), sql, "{text}");
        }
        for text in ["", "[0]", "a..b", "a[", "a b\""] {
            assert!(text.parse::<Column>().is_err(), "{text}");
        }
    }

    #[test]
    fn constants_are_what_they_look_like() {
        for (text, sql) in [
            ("1", "1"),
            ("-1.50", "(-1.50)"),
            ("true", "true"),
            ("\"true\"", "'true'"),
            ("\"1\"", "'1'"),
            ("it's", "'it''s'"),
            ("", "''"),
            ("\"", "'\"'"),
            ("007", "'007'"),
            ("1e3", "1e3"),
            ("123456789012345678901234567890123456789012", "123456789012345678901234567890123456789012"),
        ] {
            assert_eq!(Constant::typed(text).unwrap().sql(), sql, "{text}");
        }
        assert_eq!(Constant::typed("1e999").unwrap_err(), "1e999 is not a number that fits");
    }

    #[test]
    fn rates_ages_and_types() {
        assert_eq!("0.7%".parse::<Rate>().unwrap().get(), 0.007);
        assert_eq!("29%".parse::<Rate>().unwrap().get(), 29.0 / 100.0);
        assert_eq!("0.01".parse::<Rate>().unwrap().get(), 0.01);
        for wrong in ["", "%", "-1", "nan", "inf", "x%", "1e3%", "-1%"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        assert_eq!("1d 12h".parse::<Age>().unwrap().0.as_secs(), 36 * 3600);
        for (text, written) in
            [("36h", "36h"), ("1d12h", "36h"), ("5d", "5d"), ("90s", "1m30s"), ("0h", "0s"), ("4d1s", "4d1s")]
        {
            assert_eq!(text.parse::<Age>().unwrap().to_string(), written);
        }
        for wrong in ["", "36", "h", "1y", "-1h", "99999999999999999999h", "1.5h"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
        assert_eq!("integer".parse::<ValueType>().unwrap().to_string(), "int");
        assert_eq!("strnig".parse::<ValueType>().unwrap_err(), "`strnig` is no type; did you mean string?");
        assert!("(".parse::<Pattern>().unwrap_err().starts_with("`(` is no regular expression: "));
        assert_eq!(percent(2.0 / 3010.0), "0.0664 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.123456), "12.35 %");
        assert_eq!(percent(1e-9), "<0.0001 %");
    }

    proptest! {
        /// Whatever a text or a key is, it comes out of a query as the constant, or the name, that it was put in as.
        #[test]
        fn nothing_breaks_out_of_its_quotes(text in "(?s)([a-z'\"\\\\\\-/*;()%]|\\PC|[\\n\\t\\x00]){0,12}") {
            let sql = format!("select {} as v limit 1", Constant::Text(text.clone()).sql());
            let mut out = Vec::new();
            crate::Query::parse(&sql).unwrap().threads(1).reader(&b"{}"[..]).write_to(&mut out).unwrap();
            let row: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(row["v"].as_str(), Some(text.as_str()));

            let record = serde_json::json!({ text.clone(): "found" }).to_string();
            let column = Column(Path { steps: vec![Step::Key(text)] });
            let sql = format!("select {} as v", column.sql());
            let mut out = Vec::new();
            let reader = std::io::Cursor::new(record.into_bytes());
            crate::Query::parse(&sql).unwrap().threads(1).reader(reader).write_to(&mut out).unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&out), "{\"v\":\"found\"}\n");
        }
    }
}
