//! Functions that make moments, and read and write them by patterns and in time zones.

use std::cell::RefCell;

use bumpalo::Bump;

use super::{Code, Function, Gives, int, map_column, math, string};
use crate::expr::Vector;
use crate::expr::cast::timestamp;
use crate::expr::fault::Fault;
use crate::value::zone::{TimePattern, Zone};
use crate::value::{Date, Timestamp, Value, json};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "make_date",
        aliases: &[],
        signature: "make_date(year, month, day)",
        summary: "The day of a year, a month and a day.",
        example: ("make_date(2024, 2, 29)", "\"2024-02-29\""),
        arguments: (3, 3),
        expected: "a day that exists",
        gives: Gives::Date,
        code: Code::Strict(|args, _| date(args).map(Value::Date)),
    },
    Function {
        name: "make_timestamp",
        aliases: &[],
        signature: "make_timestamp(year, month, day, hour, minute, second | microseconds)",
        summary: "The moment of a day and a time in UTC, or so many microseconds after 1970-01-01T00:00:00Z.",
        example: ("make_timestamp(2024, 2, 3, 4, 5, 6.5)", "\"2024-02-03T04:05:06.5Z\""),
        arguments: (1, 6),
        expected: "microseconds, or a day and a time that exist",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| match args {
            [micros] => Ok(Value::Timestamp(Timestamp(int(*micros)?))),
            [_, _, _, hour, minute, second] => {
                let (day, hour, minute, second) = (date(args)?, int(*hour)?, int(*minute)?, math::number_of(*second)?);
                if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..60.0).contains(&second) {
                    return Err(Fault::Invalid);
                }
                let micros = (hour * 60 + minute) * 60_000_000 + (second * 1e6).round_ties_even() as i64;
                let moment = day.midnight().and_then(|midnight| midnight.0.checked_add(micros));
                moment.map(|moment| Value::Timestamp(Timestamp(moment))).ok_or(Fault::Overflow)
            }
            _ => Err(Fault::Type),
        }),
    },
    Function {
        name: "make_timestamp_ms",
        aliases: &["timestamp_millis"],
        signature: "make_timestamp_ms(milliseconds)",
        summary: "The moment so many milliseconds after 1970-01-01T00:00:00Z.",
        example: ("make_timestamp_ms(1500)", "\"1970-01-01T00:00:01.5Z\""),
        arguments: (1, 1),
        expected: "milliseconds",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| {
            Timestamp::from_epoch_millis(int(args[0])?).map(Value::Timestamp).ok_or(Fault::Overflow)
        }),
    },
    Function {
        name: "strftime",
        aliases: &[],
        signature: "strftime(moment, pattern)",
        summary: "A moment as a text: %Y-%m-%d %H:%M:%S and the like, with %f for microseconds and %g for milliseconds.",
        example: ("strftime('2025-02-22T04:21:55Z', '%d.%m.%Y')", "\"22.02.2025\""),
        arguments: (2, 2),
        expected: "a moment and a pattern",
        gives: Gives::Text,
        code: Code::Columns(
            |args, arena| {
                let moment = timestamp(args[0])?;
                let mut out = Vec::new();
                let Value::Text(_) = args[1] else { return Err(Fault::Type) };
                let write = |pattern: &TimePattern| pattern.write(moment, &mut out);
                let written = with_patterns(args[1], |patterns| patterns.first().and_then(write))?;
                written.ok_or(Fault::Overflow)?;
                Ok(Value::Text(arena.alloc_slice_copy(&out)))
            },
            |columns, len, arena| {
                let &[moments, Vector::Constant(pattern @ Value::Text(_))] = columns else { return None };
                with_patterns(pattern, |patterns| write_column(patterns.first()?, &moments, len, arena)).ok()?
            },
        ),
    },
    Function {
        name: "strptime",
        aliases: &[],
        signature: "strptime(text, pattern | [patterns])",
        summary: "The moment that a text of the form of a pattern, or of the first of several that it has, stands for; in UTC, if it has no offset (%z) or zone (%Z).",
        example: ("strptime('22/02/2025 04:21', '%d/%m/%Y %H:%M')", "\"2025-02-22T04:21:00Z\""),
        arguments: (2, 2),
        expected: "a text that has the form of the pattern",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| {
            let subject = string(args[0])?;
            let moment = with_patterns(args[1], |patterns| patterns.iter().find_map(|pattern| pattern.read(&subject)))?;
            moment.map(Value::Timestamp).ok_or(Fault::Invalid)
        }),
    },
    Function {
        name: "try_strptime",
        aliases: &[],
        signature: "try_strptime(text, pattern | [patterns])",
        summary: "As strptime, and NULL where the text has another form.",
        example: ("try_strptime('never', '%d/%m/%Y')", "null"),
        arguments: (2, 2),
        expected: "text and a pattern",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| {
            let subject = string(args[0])?;
            let moment = with_patterns(args[1], |patterns| patterns.iter().find_map(|pattern| pattern.read(&subject)))?;
            Ok(moment.map_or(Value::Null, Value::Timestamp))
        }),
    },
    Function {
        name: "timezone",
        aliases: &[],
        signature: "timezone(zone, moment)",
        summary: "What clocks in a time zone show at a moment, as a timestamp. Also: moment at time zone 'Europe/Berlin'.",
        example: ("timezone('Europe/Berlin', '2025-07-01T12:00:00Z')", "\"2025-07-01T14:00:00Z\""),
        arguments: (2, 2),
        expected: "a time zone and a moment",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| {
            zone(args[0])?.wall_clock(timestamp(args[1])?).map(Value::Timestamp).ok_or(Fault::Overflow)
        }),
    },
    Function {
        name: "from_utc_timestamp",
        aliases: &[],
        signature: "from_utc_timestamp(moment, zone)",
        summary: "What clocks in a time zone show at a moment, as a timestamp.",
        example: ("from_utc_timestamp('2025-07-01T12:00:00Z', 'Asia/Tokyo')", "\"2025-07-01T21:00:00Z\""),
        arguments: (2, 2),
        expected: "a moment and a time zone",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| {
            zone(args[1])?.wall_clock(timestamp(args[0])?).map(Value::Timestamp).ok_or(Fault::Overflow)
        }),
    },
    Function {
        name: "to_utc_timestamp",
        aliases: &[],
        signature: "to_utc_timestamp(wall_clock, zone)",
        summary: "The moment at which clocks in a time zone show what a timestamp shows; of two the earlier.",
        example: ("to_utc_timestamp('2025-07-01 14:00:00', 'Europe/Berlin')", "\"2025-07-01T12:00:00Z\""),
        arguments: (2, 2),
        expected: "a timestamp and a time zone",
        gives: Gives::Timestamp,
        code: Code::Strict(|args, _| {
            zone(args[1])?.moment(timestamp(args[0])?).map(Value::Timestamp).ok_or(Fault::Overflow)
        }),
    },
];

/// A column of moments by a pattern. Moments that were cut to some unit come again and again, and are not written again.
fn write_column<'a>(pattern: &TimePattern, moments: &Vector<'a>, len: usize, arena: &'a Bump) -> Option<Vector<'a>> {
    const KNOWN: u32 = 6;
    let mut known: [Option<(Timestamp, &[u8])>; 1 << KNOWN] = [None; 1 << KNOWN];
    let mut out = Vec::new();
    map_column(moments, len, arena, |moment| {
        let moment = timestamp(moment).ok()?;
        let slot = (moment.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KNOWN);
        let known = &mut known[slot as usize];
        if let Some((same, text)) = *known
            && same == moment
        {
            return Some(Value::Text(text));
        }
        out.clear();
        pattern.write(moment, &mut out)?;
        let text = &*arena.alloc_slice_copy(&out);
        *known = Some((moment, text));
        Some(Value::Text(text))
    })
}

fn date(args: &[Value]) -> Result<Date, Fault> {
    let (year, month, day) = (int(args[0])?, int(args[1])?, int(args[2])?);
    let small = |value: i64| u32::try_from(value).map_err(|_| Fault::Invalid);
    let year = i32::try_from(year).map_err(|_| Fault::Overflow)?;
    Date::new(year, small(month)?, small(day)?).ok_or(Fault::Invalid)
}

fn zone(name: Value) -> Result<Zone, Fault> {
    Zone::named(&string(name)?).ok_or(Fault::Invalid)
}

/// What is made of the patterns of a text or of an array of texts; the last ones are kept.
///
/// # Errors
/// [`Fault::Type`] for anything else, [`Fault::Invalid`] if one of them is no pattern, or there are none.
fn with_patterns<T>(patterns: Value, make: impl FnOnce(&[TimePattern]) -> T) -> Result<T, Fault> {
    thread_local! {
        static LAST: RefCell<(Vec<u8>, bool, Vec<TimePattern>)> = RefCell::default();
    }
    let (key, is_array) = match patterns {
        Value::Text(text) => (text, false),
        Value::Json(list @ [b'[', ..]) => (list, true),
        _ => return Err(Fault::Type),
    };
    LAST.with_borrow_mut(|(known, was_array, last)| {
        if last.is_empty() || (&**known, *was_array) != (key, is_array) {
            last.clear();
            let arena = Bump::new();
            let read = |text: Value| TimePattern::new(&string(text)?).ok_or(Fault::Invalid);
            let read_all = match is_array {
                false => read(patterns).map(|pattern| vec![pattern]),
                true => json::elements(key).map(|text| read(Value::from_json(text, &arena))).collect(),
            };
            (*known, *was_array, *last) = (key.to_vec(), is_array, read_all?);
        }
        if last.is_empty() { Err(Fault::Invalid) } else { Ok(make(last)) }
    })
}
