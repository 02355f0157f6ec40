//! Functions of intervals, and of the time between moments.

use bumpalo::Bump;

use super::{Code, Function, Gives, int, map_column, string};
use crate::expr::Vector;
use crate::expr::cast::timestamp;
use crate::expr::fault::Fault;
use crate::value::time::{MICROS_PER_DAY, Unit, truncate};
use crate::value::{Date, Interval, Timestamp, Value};

pub(super) static TABLE: &[Function] = &[
    units("to_years", "to_years(count)", "An interval of that many years.", ("to_years(2)", "\"2 years\""), |n| {
        of(n, Unit::Year)
    }),
    units(
        "to_quarters",
        "to_quarters(count)",
        "An interval of that many quarters.",
        ("to_quarters(1)", "\"3 months\""),
        |n| of(n, Unit::Quarter),
    ),
    units("to_months", "to_months(count)", "An interval of that many months.", ("to_months(3)", "\"3 months\""), |n| {
        of(n, Unit::Month)
    }),
    units("to_weeks", "to_weeks(count)", "An interval of that many weeks.", ("to_weeks(1)", "\"7 days\""), |n| {
        of(n, Unit::Week)
    }),
    units("to_days", "to_days(count)", "An interval of that many days.", ("to_days(3)", "\"3 days\""), |n| {
        of(n, Unit::Day)
    }),
    units("to_hours", "to_hours(count)", "An interval of that many hours.", ("to_hours(3)", "\"03:00:00\""), |n| {
        of(n, Unit::Hour)
    }),
    units(
        "to_minutes",
        "to_minutes(count)",
        "An interval of that many minutes.",
        ("to_minutes(90)", "\"01:30:00\""),
        |n| of(n, Unit::Minute),
    ),
    units(
        "to_seconds",
        "to_seconds(count)",
        "An interval of that many seconds.",
        ("to_seconds(1.5)", "\"00:00:01.5\""),
        |n| of(n, Unit::Second),
    ),
    units(
        "to_milliseconds",
        "to_milliseconds(count)",
        "An interval of that many milliseconds.",
        ("to_milliseconds(1500)", "\"00:00:01.5\""),
        |n| of(n, Unit::Millisecond),
    ),
    units(
        "to_microseconds",
        "to_microseconds(count)",
        "An interval of that many microseconds.",
        ("to_microseconds(5)", "\"00:00:00.000005\""),
        |n| of(n, Unit::Microsecond),
    ),
    Function {
        name: "date_diff",
        aliases: &["datediff"],
        signature: "date_diff(unit, start, end)",
        summary: "How many times a unit of time begins from one moment to another; of weeks, how many whole ones of days.",
        example: ("date_diff('month', '2025-01-31', '2025-02-01')", "1"),
        arguments: (3, 3),
        expected: "a unit and two moments",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            let (unit, start, end) = (unit(args[0])?, timestamp(args[1])?, timestamp(args[2])?);
            let from_to = |unit| number_of(unit, end) - number_of(unit, start);
            // As in DuckDB, which counts weeks of seven days here.
            Ok(Value::Int(if unit == Unit::Week { from_to(Unit::Day) / 7 } else { from_to(unit) }))
        }),
    },
    Function {
        name: "date_sub",
        aliases: &["datesub"],
        signature: "date_sub(unit, start, end)",
        summary: "How many whole units of time there are between two moments.",
        example: ("date_sub('month', '2025-01-31', '2025-02-27')", "0"),
        arguments: (3, 3),
        expected: "a unit and two moments",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            Ok(Value::Int(whole_units(unit(args[0])?, timestamp(args[1])?, timestamp(args[2])?)?))
        }),
    },
    Function {
        name: "date_add",
        aliases: &[],
        signature: "date_add(moment, interval)",
        summary: "The moment an interval later.",
        example: ("date_add('2025-01-31'::date, interval 1 month)", "\"2025-02-28T00:00:00Z\""),
        arguments: (2, 2),
        expected: "a moment and an interval",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| match args[1] {
            Value::Interval(span) => timestamp(args[0])?.checked_add(span).map(Value::Timestamp).ok_or(Fault::Overflow),
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "add_months",
        aliases: &[],
        signature: "add_months(moment, count)",
        summary: "The day so many months later, at most the last of its month.",
        example: ("add_months('2025-01-31', 1)", "\"2025-02-28\""),
        arguments: (2, 2),
        expected: "a moment and an integer",
        gives: Gives::Date,
        code: Code::Strict(|args, _| {
            let months = i32::try_from(int(args[1])?).map_err(|_| Fault::Overflow)?;
            timestamp(args[0])?.date().add_months(months).map(Value::Date).ok_or(Fault::Overflow)
        }),
    },
    Function {
        name: "time_bucket",
        aliases: &[],
        signature: "time_bucket(width, moment [, origin | offset])",
        summary: "The start of the span of a width that a moment is in; spans are counted from an origin: 2000-01-03, of months 2000-01-01.",
        example: ("time_bucket(interval '15 minutes', '2025-01-01T01:37:00Z')", "\"2025-01-01T01:30:00Z\""),
        arguments: (2, 3),
        expected: "an interval above 0, of months or of less, and a moment",
        gives: Gives::MOMENT,
        code: Code::Columns(
            |args, _| {
                let Value::Interval(width) = args[0] else { return Err(Fault::Type) };
                let moment = timestamp(args[1])?;
                let start = match args.get(2) {
                    None => bucket(width, moment, None)?,
                    Some(&Value::Interval(offset)) => {
                        let back = offset.checked_neg().and_then(|offset| moment.checked_add(offset));
                        let start = bucket(width, back.ok_or(Fault::Overflow)?, None)?;
                        start.checked_add(offset).ok_or(Fault::Overflow)?
                    }
                    Some(&origin) => bucket(width, moment, Some(timestamp(origin)?))?,
                };
                Ok(match args[1] {
                    Value::Date(_) => Value::Date(start.date()),
                    _ => Value::Timestamp(start),
                })
            },
            bucket_column,
        ),
    },
];

/// A function that makes an interval of a number.
const fn units(
    name: &'static str,
    signature: &'static str,
    summary: &'static str,
    example: (&'static str, &'static str),
    of: fn(Value) -> Result<Interval, Fault>,
) -> Function {
    Function {
        name,
        aliases: &[],
        signature,
        summary,
        example,
        arguments: (1, 1),
        expected: "a number",
        gives: Gives::Interval,
        code: Code::Interval(of),
    }
}

/// That many units, with a fraction where they are shorter than a minute.
fn of(count: Value, unit: Unit) -> Result<Interval, Fault> {
    let interval = match count {
        Value::Decimal(count) => return of(Value::Float(count.to_float()), unit),
        Value::Float(count) => match unit.micros() {
            Some(micros) if unit != Unit::Hour && unit != Unit::Minute => {
                Interval { micros: 1, ..Interval::default() }.scale(count * micros as f64)
            }
            _ => return Err(Fault::Type),
        },
        count => Interval::of(int(count)?, unit),
    };
    interval.ok_or(Fault::Overflow)
}

pub(super) fn unit(name: Value) -> Result<Unit, Fault> {
    Unit::from_name(&string(name)?).ok_or(Fault::Invalid)
}

/// The number of the unit of time that a moment is in.
fn number_of(unit: Unit, moment: Timestamp) -> i64 {
    let civil = moment.date().civil();
    let (year, month) = (i64::from(civil.year), i64::from(civil.month) - 1);
    match unit {
        Unit::Millennium => year / 1000,
        Unit::Century => year / 100,
        Unit::Decade => year / 10,
        Unit::Year => year,
        Unit::Quarter => year * 4 + month / 3,
        Unit::Month => year * 12 + month,
        Unit::Week => i64::from(moment.date().0).div_euclid(7),
        Unit::Day => i64::from(moment.date().0),
        unit => moment.0.div_euclid(unit.micros().unwrap_or(1)),
    }
}

/// The whole units between two moments, negative if the second is the earlier one.
fn whole_units(unit: Unit, start: Timestamp, end: Timestamp) -> Result<i64, Fault> {
    let months = match unit {
        Unit::Millennium => 12_000,
        Unit::Century => 1200,
        Unit::Decade => 120,
        Unit::Year => 12,
        Unit::Quarter => 3,
        Unit::Month => 1,
        unit => {
            let micros = match unit {
                Unit::Week => 7 * MICROS_PER_DAY,
                Unit::Day => MICROS_PER_DAY,
                unit => unit.micros().unwrap_or(1),
            };
            return end.0.checked_sub(start.0).map(|between| between / micros).ok_or(Fault::Overflow);
        }
    };
    if end < start {
        return whole_units(unit, end, start).map(|units| -units);
    }
    let begun = number_of(Unit::Month, end) - number_of(Unit::Month, start);
    let reached = i32::try_from(begun)
        .ok()
        .and_then(|months| start.checked_add(Interval { months, ..Interval::default() }))
        .ok_or(Fault::Overflow)?;
    Ok((begun - i64::from(reached > end)) / months)
}

/// The starts of the spans of one width, shorter than months, that moments are in.
fn bucket_column<'a>(columns: &[Vector<'a>], len: usize, arena: &'a Bump) -> Option<Vector<'a>> {
    let &[Vector::Constant(Value::Interval(width)), moments] = columns else { return None };
    let width = i64::try_from(width.total_micros()).ok().filter(|&micros| micros > 0 && width.months == 0)?;
    map_column(&moments, len, arena, |moment| {
        let Timestamp(moment) = match moment {
            Value::Date(_) => return None,
            moment => timestamp(moment).ok()?,
        };
        let start = moment.checked_sub(moment.checked_sub(MONDAY)?.rem_euclid(width))?;
        Some(Value::Timestamp(Timestamp(start)))
    })
}

/// 2000-01-03, a Monday, from which spans that are shorter than months are counted.
const MONDAY: i64 = 10_959 * MICROS_PER_DAY;

/// The start of the span of a width that a moment is in.
fn bucket(width: Interval, moment: Timestamp, origin: Option<Timestamp>) -> Result<Timestamp, Fault> {
    if width.months == 0 {
        let origin = i128::from(origin.map_or(MONDAY, |origin| origin.0));
        let width = width.total_micros();
        if width <= 0 {
            return Err(Fault::Invalid);
        }
        let start = i128::from(moment.0) - (i128::from(moment.0) - origin).rem_euclid(width);
        return i64::try_from(start).map(Timestamp).map_err(|_| Fault::Overflow);
    }
    if width.days != 0 || width.micros != 0 || width.months < 0 {
        return Err(Fault::Invalid);
    }
    // Months are counted from the first of one.
    let origin = origin.or(Date(10_957).midnight()).ok_or(Fault::Overflow)?;
    let origin = truncate(Unit::Month, origin);
    let (between, width) = (number_of(Unit::Month, moment) - number_of(Unit::Month, origin), i64::from(width.months));
    let start = |spans: i64| {
        let months = spans.checked_mul(width).and_then(|months| i32::try_from(months).ok())?;
        origin.checked_add(Interval { months, ..Interval::default() })
    };
    let spans = between.div_euclid(width);
    let begun = start(spans).ok_or(Fault::Overflow)?;
    if begun <= moment { Ok(begun) } else { start(spans - 1).ok_or(Fault::Overflow) }
}
