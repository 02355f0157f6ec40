//! Functions of dates and times.

use super::{Code, Function, Gives, map_column, string, text};
use crate::expr::Vector;
use crate::expr::cast::timestamp;
use crate::expr::fault::Fault;
use crate::scan::Kind;
use crate::value::time::{Days, Unit, truncate};
use crate::value::{Date, Interval, Timestamp, Value};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "date",
        aliases: &["to_date"],
        signature: "date(text | timestamp)",
        summary: "The day: of a text as it is written there, of a timestamp in UTC.",
        example: ("date('2025-02-22T04:21:55.483Z')", "\"2025-02-22\""),
        arguments: (1, 1),
        expected: "a date",
        gives: Gives::Date,
        code: Code::Field(
            |args, _| match args[0] {
                Value::Date(_) => Ok(args[0]),
                Value::Timestamp(moment) => Ok(Value::Date(moment.date())),
                Value::Text(bytes) => Date::parse(bytes).map(Value::Date).ok_or(Fault::Invalid),
                _ => Err(Fault::Type),
            },
            |field, arena| {
                let mut days = Days::default();
                let date = |kind, text: &[u8]| if kind == Kind::Text { days.read(text) } else { None };
                field.map(arena, date).map(Vector::Dates)
            },
        ),
    },
    Function {
        name: "to_timestamp",
        aliases: &["timestamp", "from_unixtime"],
        signature: "to_timestamp(text | seconds)",
        summary: "The moment that an ISO 8601 text names, or that many seconds after 1970-01-01T00:00:00Z.",
        example: ("to_timestamp('2025-02-22T06:21:55+02:00')", "\"2025-02-22T04:21:55Z\""),
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| match seconds(args[0]) {
            Value::Int(seconds) => {
                seconds.checked_mul(1_000_000).map(|micros| Value::Timestamp(Timestamp(micros))).ok_or(Fault::Overflow)
            }
            Value::Float(seconds) => {
                let micros = (seconds * 1e6).round_ties_even();
                // 2^63 as a float: everything below it in magnitude fits.
                if micros.abs() < 9_223_372_036_854_775_808.0 {
                    Ok(Value::Timestamp(Timestamp(micros as i64)))
                } else {
                    Err(Fault::Overflow)
                }
            }
            other => timestamp(other).map(Value::Timestamp),
        }),
    },
    Function {
        name: "epoch_ms",
        aliases: &[],
        signature: "epoch_ms(timestamp | interval | milliseconds)",
        summary: "The milliseconds from 1970-01-01T00:00:00Z to a moment, or of an interval; of an integer, that moment.",
        example: ("epoch_ms('1970-01-01T00:00:01Z')", "1000"),
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Any,
        code: Code::Strict(|args, _| match args[0] {
            Value::Int(millis) => {
                millis.checked_mul(1000).map(|micros| Value::Timestamp(Timestamp(micros))).ok_or(Fault::Overflow)
            }
            Value::Interval(span) => Ok(Value::integer(span.total_micros() / 1000)),
            other => Ok(Value::Int(timestamp(other)?.epoch_millis())),
        }),
    },
    Function {
        name: "epoch",
        aliases: &["unix_timestamp"],
        signature: "epoch(timestamp | interval)",
        summary: "The seconds from 1970-01-01T00:00:00Z to a moment, or of an interval, as a float.",
        example: ("epoch('1970-01-01T00:00:01.5Z')", "1.5"),
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Number,
        code: Code::Strict(|args, _| match args[0] {
            Value::Interval(span) => {
                // Twelve months are a year of 365.25 days, the rest have 30 days.
                let (years, months) = (span.months / 12, span.months % 12);
                let days = f64::from(years) * 365.25 + f64::from(months) * 30.0 + f64::from(span.days);
                Ok(Value::Float(days * 86_400.0 + span.micros as f64 / 1e6))
            }
            moment => Ok(Value::Float(timestamp(moment)?.0 as f64 / 1e6)),
        }),
    },
    Function {
        name: "date_trunc",
        aliases: &["datetrunc"],
        signature: "date_trunc(unit, timestamp | interval)",
        summary: "The start of the unit (year, quarter, month, week, day, hour, minute, second …) that a moment is in; an interval without what is less than a unit.",
        example: ("date_trunc('month', '2025-02-22T04:21:55Z')", "\"2025-02-01T00:00:00Z\""),
        arguments: (2, 2),
        expected: "a unit and a timestamp or an interval",
        gives: Gives::START,
        code: Code::Columns(
            |args, _| {
                let unit = Unit::from_name(&string(args[0])?).ok_or(Fault::Invalid)?;
                match args[1] {
                    Value::Interval(span) => Ok(Value::Interval(span.truncate(unit))),
                    moment => Ok(Value::Timestamp(truncate(unit, timestamp(moment)?))),
                }
            },
            |columns, len, arena| {
                let &[Vector::Constant(unit), moments] = columns else { return None };
                let unit = Unit::from_name(&string(unit).ok()?)?;
                // Intervals are no timestamps, and go the other way.
                map_column(&moments, len, arena, |moment| {
                    Some(Value::Timestamp(truncate(unit, timestamp(moment).ok()?)))
                })
            },
        ),
    },
    part(
        "year",
        &[],
        "year(timestamp | interval)",
        "The year of a moment.",
        ("year('2025-02-22T04:21:55Z')", "2025"),
        |moment| moment.date().civil().year.into(),
    )
    .of_interval(|span| i64::from(span.months / 12)),
    part(
        "quarter",
        &[],
        "quarter(timestamp | interval)",
        "The quarter of a moment, from 1.",
        ("quarter('2025-02-22T04:21:55Z')", "1"),
        |moment| moment.date().quarter().into(),
    )
    .of_interval(|span| i64::from(span.months % 12 / 3) + 1),
    part(
        "month",
        &[],
        "month(timestamp | interval)",
        "The month of a moment, from 1.",
        ("month('2025-02-22T04:21:55Z')", "2"),
        |moment| moment.date().civil().month.into(),
    )
    .of_interval(|span| i64::from(span.months % 12)),
    part(
        "week",
        &["weekofyear"],
        "week(timestamp)",
        "The ISO week of a moment, from 1.",
        ("week('2025-02-22T04:21:55Z')", "8"),
        |moment| moment.date().iso_week().1.into(),
    ),
    part(
        "day",
        &["dayofmonth"],
        "day(timestamp | interval)",
        "The day of the month of a moment, from 1.",
        ("day('2025-02-22T04:21:55Z')", "22"),
        |moment| moment.date().civil().day.into(),
    )
    .of_interval(|span| span.days.into()),
    part(
        "dayofweek",
        &["weekday", "dow"],
        "dayofweek(timestamp)",
        "The day of the week of a moment; Sunday is 0.",
        ("dayofweek('2025-02-22T04:21:55Z')", "6"),
        |moment| moment.date().day_of_week().into(),
    ),
    part(
        "dayofyear",
        &["doy"],
        "dayofyear(timestamp)",
        "The day of the year of a moment, from 1.",
        ("dayofyear('2025-02-22T04:21:55Z')", "53"),
        |moment| moment.date().day_of_year().into(),
    ),
    part(
        "hour",
        &[],
        "hour(timestamp | interval)",
        "The hour of a moment, 0 to 23.",
        ("hour('2025-02-22T04:21:55Z')", "4"),
        |moment| moment.hour().into(),
    )
    .of_interval(|span| span.micros / 3_600_000_000),
    part(
        "minute",
        &[],
        "minute(timestamp | interval)",
        "The minute of a moment, 0 to 59.",
        ("minute('2025-02-22T04:21:55Z')", "21"),
        |moment| moment.minute().into(),
    )
    .of_interval(|span| span.micros % 3_600_000_000 / 60_000_000),
    part(
        "second",
        &[],
        "second(timestamp | interval)",
        "The second of a moment, 0 to 59.",
        ("second('2025-02-22T04:21:55Z')", "55"),
        |moment| moment.second().into(),
    )
    .of_interval(|span| span.micros % 60_000_000 / 1_000_000),
    part(
        "isoyear",
        &[],
        "isoyear(timestamp)",
        "The year that has the ISO week of a moment.",
        ("isoyear('2024-12-31')", "2025"),
        |moment| moment.date().iso_week().0.into(),
    ),
    part(
        "isodow",
        &[],
        "isodow(timestamp)",
        "The day of the week of a moment, from 1 for Monday.",
        ("isodow('2024-12-29')", "7"),
        |moment| (i64::from(moment.date().day_of_week()) + 6) % 7 + 1,
    ),
    part(
        "yearweek",
        &[],
        "yearweek(timestamp)",
        "The ISO year and week of a moment, as one number.",
        ("yearweek('2024-12-31')", "202501"),
        |moment| {
            let (year, week) = moment.date().iso_week();
            i64::from(year) * 100 + i64::from(week) * i64::from(year.signum())
        },
    ),
    part(
        "decade",
        &[],
        "decade(timestamp | interval)",
        "The decade of a moment: its year without the last digit.",
        ("decade('2024-12-31')", "202"),
        |moment| i64::from(moment.date().civil().year) / 10,
    )
    .of_interval(|span| i64::from(span.months / 120)),
    part(
        "century",
        &[],
        "century(timestamp | interval)",
        "The century of a moment; the 21st began in 2001.",
        ("century('2024-12-31')", "21"),
        |moment| hundreds(moment, 100),
    )
    .of_interval(|span| i64::from(span.months / 1200)),
    part(
        "millennium",
        &["millenium"],
        "millennium(timestamp | interval)",
        "The millennium of a moment; the third began in 2001.",
        ("millennium('2024-12-31')", "3"),
        |moment| hundreds(moment, 1000),
    )
    .of_interval(|span| i64::from(span.months / 12_000)),
    part(
        "era",
        &[],
        "era(timestamp)",
        "The era of a moment: 1, or 0 before the year 1.",
        ("era('2024-12-31')", "1"),
        |moment| i64::from(moment.date().civil().year > 0),
    ),
    part(
        "millisecond",
        &["milliseconds", "ms"],
        "millisecond(timestamp | interval)",
        "The milliseconds of a moment's minute.",
        ("millisecond('2024-12-31T01:02:03.456789Z')", "3456"),
        |moment| moment.0.rem_euclid(60_000_000) / 1000,
    )
    .of_interval(|span| span.micros % 60_000_000 / 1000),
    part(
        "microsecond",
        &["microseconds", "us"],
        "microsecond(timestamp | interval)",
        "The microseconds of a moment's minute.",
        ("microsecond('2024-12-31T01:02:03.456789Z')", "3456789"),
        |moment| moment.0.rem_euclid(60_000_000),
    )
    .of_interval(|span| span.micros % 60_000_000),
    part(
        "epoch_us",
        &[],
        "epoch_us(timestamp)",
        "The microseconds from 1970-01-01T00:00:00Z to a moment.",
        ("epoch_us('1970-01-01T00:00:01Z')", "1000000"),
        |moment| moment.0,
    ),
    Function {
        name: "date_part",
        aliases: &["datepart"],
        signature: "date_part(part, timestamp | interval)",
        summary: "A part of a moment or an interval by its name: year, month, dow, doy, epoch … Also: extract(part from timestamp).",
        example: ("date_part('dow', '2025-02-22T04:21:55Z')", "6"),
        arguments: (2, 2),
        expected: "the name of a part, and a timestamp",
        gives: Gives::Number,
        code: Code::Strict(|args, arena| {
            let part = part_named(&string(args[0])?).ok_or(Fault::Invalid)?;
            part.apply(&args[1..], arena)
        }),
    },
    Function {
        name: "last_day",
        aliases: &[],
        signature: "last_day(timestamp)",
        summary: "The last day of the month of a moment.",
        example: ("last_day('2024-02-03')", "\"2024-02-29\""),
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Date,
        code: Code::Strict(|args, _| {
            let day = timestamp(args[0])?.date();
            let next = Date(day.0 + 1 - day.civil().day as i32).add_months(1).ok_or(Fault::Overflow)?;
            Ok(Value::Date(Date(next.0 - 1)))
        }),
    },
    Function {
        name: "dayname",
        aliases: &[],
        signature: "dayname(timestamp)",
        summary: "The name of the day of the week of a moment.",
        example: ("dayname('2024-02-03')", "\"Saturday\""),
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            const NAMES: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
            Ok(text(arena, NAMES[timestamp(args[0])?.date().day_of_week() as usize % 7]))
        }),
    },
    Function {
        name: "monthname",
        aliases: &[],
        signature: "monthname(timestamp)",
        summary: "The name of the month of a moment.",
        example: ("monthname('2024-02-03')", "\"February\""),
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            const NAMES: [&str; 12] = [
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ];
            Ok(text(arena, NAMES[(timestamp(args[0])?.date().civil().month as usize + 11) % 12]))
        }),
    },
];

/// A decimal as a float, anything else as it is.
fn seconds(value: Value) -> Value {
    match value {
        Value::Decimal(seconds) => Value::Float(seconds.to_float()),
        other => other,
    }
}

/// The function that gives the part of a moment that has a name, `dow` and `doy` included.
pub(crate) fn part_named(name: &str) -> Option<&'static Function> {
    let name = name.to_ascii_lowercase();
    let name = match name.as_str() {
        "dow" => "dayofweek",
        "doy" => "dayofyear",
        name => name,
    };
    let has_name = |name: &str| {
        let named = |part: &&Function| part.name == name || part.aliases.contains(&name);
        TABLE.iter().filter(|function| matches!(function.code, Code::Part(..)) || function.name == "epoch").find(named)
    };
    has_name(name).or_else(|| has_name(name.strip_suffix('s')?))
}

/// The number of the hundred or thousand years that a moment is in; the first begins with the year 1.
fn hundreds(moment: Timestamp, years: i64) -> i64 {
    match i64::from(moment.date().civil().year) {
        year @ 1.. => (year - 1) / years + 1,
        year => year / years - 1,
    }
}

/// A function that gives one part of a moment.
const fn part(
    name: &'static str,
    aliases: &'static [&'static str],
    signature: &'static str,
    summary: &'static str,
    example: (&'static str, &'static str),
    part: fn(Timestamp) -> i64,
) -> Function {
    Function {
        name,
        aliases,
        signature,
        summary,
        example,
        arguments: (1, 1),
        expected: "a timestamp",
        gives: Gives::Number,
        code: Code::Part(part, None),
    }
}

impl Function {
    /// The function of a part, which intervals have, too.
    const fn of_interval(mut self, of_interval: fn(Interval) -> i64) -> Function {
        if let Code::Part(part, _) = self.code {
            self.code = Code::Part(part, Some(of_interval));
        }
        self
    }
}
