//! Intervals: months, days and microseconds, which are different things, as months and days differ in length.

use std::cmp::Ordering;

use super::time::{MICROS_PER_DAY, Unit, write_clock};
use super::{Date, Timestamp};

const DAYS_PER_MONTH: i128 = 30;

/// A span of time, such as `1 year 2 months 3 days 04:05:06.7`.
///
/// Two are equal, and one is less than another, as if a month had 30 days and a day 24 hours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// That many units, of which those below a day may have a fraction. [`None`] if it is out of range.
    ///
    /// ```
    /// use foldl::value::{Interval, time::Unit};
    /// assert_eq!(Interval::of(2, Unit::Week), Some(Interval { months: 0, days: 14, micros: 0 }));
    /// ```
    pub fn of(count: i64, unit: Unit) -> Option<Interval> {
        let times = |each: i32| i32::try_from(count.checked_mul(each.into())?).ok();
        let none = Interval::default();
        Some(match (months_of(unit), days_of(unit)) {
            (Some(each), _) => Interval { months: times(each)?, ..none },
            (None, Some(each)) => Interval { days: times(each)?, ..none },
            (None, None) => Interval { micros: count.checked_mul(unit.micros()?)?, ..none },
        })
    }

    /// Between two moments: days, and what is left of a day.
    pub fn between(start: Timestamp, end: Timestamp) -> Option<Interval> {
        let micros = i128::from(end.0) - i128::from(start.0);
        let day = i128::from(MICROS_PER_DAY);
        Some(Interval { months: 0, days: i32::try_from(micros / day).ok()?, micros: (micros % day) as i64 })
    }

    /// The sum of two. [`None`] if it is out of range.
    pub fn checked_add(self, other: Interval) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            micros: self.micros.checked_add(other.micros)?,
        })
    }

    /// The interval backwards. [`None`] if it is out of range.
    pub fn checked_neg(self) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_neg()?,
            days: self.days.checked_neg()?,
            micros: self.micros.checked_neg()?,
        })
    }

    /// The interval times a whole number. [`None`] if it is out of range.
    pub fn checked_mul(self, factor: i64) -> Option<Interval> {
        Some(Interval {
            months: i32::try_from(i64::from(self.months).checked_mul(factor)?).ok()?,
            days: i32::try_from(i64::from(self.days).checked_mul(factor)?).ok()?,
            micros: self.micros.checked_mul(factor)?,
        })
    }

    /// The interval times a number. What is left of a month are days of it, what is left of a day microseconds. [`None`]
    /// if it is out of range.
    pub fn scale(self, factor: f64) -> Option<Interval> {
        let months = f64::from(self.months) * factor;
        let days = f64::from(self.days) * factor + months.fract() * DAYS_PER_MONTH as f64;
        let micros = (self.micros as f64 * factor + days.fract() * MICROS_PER_DAY as f64).round_ties_even();
        let int = |value: f64| (value.abs() < 2_147_483_648.0).then_some(value as i32);
        let fits = micros.abs() < 9_223_372_036_854_775_808.0;
        Some(Interval {
            months: int(months.trunc())?,
            days: int(days.trunc())?,
            micros: fits.then_some(micros as i64)?,
        })
    }

    /// The microseconds, if a month has 30 days and a day 24 hours.
    pub fn total_micros(self) -> i128 {
        (i128::from(self.months) * DAYS_PER_MONTH + i128::from(self.days)) * i128::from(MICROS_PER_DAY)
            + i128::from(self.micros)
    }

    /// Of all intervals of that many [`total_micros`](Interval::total_micros) one with as few months and days as can be.
    /// [`None`] if it is out of range.
    pub fn from_total_micros(micros: i128) -> Option<Interval> {
        let day = i128::from(MICROS_PER_DAY);
        let (days, micros) = (micros / day, (micros % day) as i64);
        let months = if i32::try_from(days).is_ok() { 0 } else { days / DAYS_PER_MONTH };
        let months = months.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let days = i32::try_from(days - i128::from(months) * DAYS_PER_MONTH).ok()?;
        Some(Interval { months, days, micros })
    }

    /// The interval without what is less than a unit: its days where that is a month, its time of day where it is a day.
    pub fn truncate(self, unit: Unit) -> Interval {
        match (months_of(unit), days_of(unit)) {
            (Some(each), _) => Interval { months: self.months - self.months % each, ..Interval::default() },
            (None, Some(each)) => Interval { days: self.days - self.days % each, micros: 0, ..self },
            (None, None) => Interval { micros: self.micros - self.micros % unit.micros().unwrap_or(1), ..self },
        }
    }

    /// Reads `1 year 2 months -3 days 04:05:06.7`, with the units in any order, in singular and plural and short (`mon`,
    /// `h`). [`None`] if the text is anything else, or out of range.
    ///
    /// ```
    /// use foldl::value::Interval;
    /// let interval = Interval::parse("1 day 12:30:00").unwrap();
    /// assert_eq!(interval.to_string(), "1 day 12:30:00");
    /// ```
    pub fn parse(text: &str) -> Option<Interval> {
        let mut sum = Interval::default();
        let mut rest = text.trim();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let end = rest.find(|char: char| !matches!(char, '0'..='9' | '+' | '-' | '.' | ':')).unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            if number.contains(':') {
                sum = sum.checked_add(parse_clock(number)?)?;
                rest = after.trim_start();
                continue;
            }
            let after = after.trim_start();
            let end = after.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let unit = unit_of(unit)?;
            let part = match number.parse::<i64>() {
                Ok(count) => Interval::of(count, unit)?,
                Err(_) => Interval::of(1, unit)?.scale(number.parse().ok()?)?,
            };
            sum = sum.checked_add(part)?;
            rest = after.trim_start();
        }
        Some(sum)
    }
}

/// The months of a unit that has a whole number of them.
fn months_of(unit: Unit) -> Option<i32> {
    Some(match unit {
        Unit::Month => 1,
        Unit::Quarter => 3,
        Unit::Year => 12,
        Unit::Decade => 120,
        Unit::Century => 1200,
        Unit::Millennium => 12_000,
        _ => return None,
    })
}

/// The days of a unit that has a whole number of them, and no months.
fn days_of(unit: Unit) -> Option<i32> {
    match unit {
        Unit::Day => Some(1),
        Unit::Week => Some(7),
        _ => None,
    }
}

/// The unit of a name, short ones included.
fn unit_of(name: &str) -> Option<Unit> {
    Some(match name.to_ascii_lowercase().as_str() {
        "us" | "usec" | "usecs" => Unit::Microsecond,
        "ms" | "msec" | "msecs" => Unit::Millisecond,
        "s" | "sec" | "secs" => Unit::Second,
        "m" | "min" | "mins" => Unit::Minute,
        "h" | "hr" | "hrs" => Unit::Hour,
        "d" => Unit::Day,
        "w" => Unit::Week,
        "mon" | "mons" => Unit::Month,
        "y" | "yr" | "yrs" => Unit::Year,
        name => return Unit::from_name(name),
    })
}

/// Reads `[-]HH:MM[:SS[.fraction]]`; hours may be any number.
fn parse_clock(text: &str) -> Option<Interval> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.split([':', '.']).any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let mut parts = text.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds = parts.next().unwrap_or("0");
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole: i64 = whole.parse().ok()?;
    if parts.next().is_some() || minutes > 59 || whole > 59 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let seconds = hours.checked_mul(3600)?.checked_add(minutes * 60 + whole)?;
    let micros = seconds.checked_mul(1_000_000)?.checked_add(fraction)?;
    Some(Interval { micros: if negative { -micros } else { micros }, ..Interval::default() })
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> Ordering {
        self.total_micros().cmp(&other.total_micros())
    }
}

/// `1 year 2 months 3 days 04:05:06.7`, without what is zero; `00:00:00` if all is.
impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        let parts = [(self.months / 12, "year"), (self.months % 12, "month"), (self.days, "day")];
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
            if !text.is_empty() {
                text.push(b' ');
            }
            let plural = if count.unsigned_abs() == 1 { "" } else { "s" };
            text.extend_from_slice(format!("{count} {unit}{plural}").as_bytes());
        }
        if self.micros != 0 || text.is_empty() {
            if !text.is_empty() {
                text.push(b' ');
            }
            write_clock(self.micros, &mut text);
        }
        f.pad(&String::from_utf8_lossy(&text))
    }
}

impl Timestamp {
    /// The moment an interval later: first the months, in which the day is at most the last of the month, then the days,
    /// then the microseconds. [`None`] if it is out of range.
    ///
    /// ```
    /// use foldl::value::{Date, Interval, Timestamp, time::Unit};
    /// let end_of_january = Date::new(2025, 1, 31).unwrap().midnight().unwrap();
    /// let month = Interval::of(1, Unit::Month).unwrap();
    /// assert_eq!(end_of_january.checked_add(month).unwrap().to_string(), "2025-02-28T00:00:00Z");
    /// ```
    pub fn checked_add(self, interval: Interval) -> Option<Timestamp> {
        let day = match interval.months {
            0 => self.date(),
            months => self.date().add_months(months)?,
        };
        let day = Date(day.0.checked_add(interval.days)?);
        let moment = day.midnight()?.0.checked_add(self.micros_of_day())?;
        moment.checked_add(interval.micros).map(Timestamp)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_those_of_sql() {
        for (text, expected) in [
            ("1 day", "1 day"),
            ("1 year 2 months 3 days 04:05:06.7", "1 year 2 months 3 days 04:05:06.7"),
            ("25 hours", "25:00:00"),
            ("-1 day 2 hours", "-1 day 02:00:00"),
            ("-2h", "-02:00:00"),
            ("0 days", "00:00:00"),
            ("-14 mons", "-1 year -2 months"),
            ("1.5 days", "1 day 12:00:00"),
            ("2 weeks", "14 days"),
            ("1 quarter", "3 months"),
        ] {
            assert_eq!(Interval::parse(text).map(|interval| interval.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "day", "1", "1 dy", "1:60", "1:2:3:4", "1 day x", "9999999999 years", "--1 day", "1:-2"] {
            assert!(Interval::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_month_is_30_days_and_a_day_24_hours() {
        assert_eq!(Interval::of(1, Unit::Month), Interval::of(30, Unit::Day));
        assert!(Interval::of(1, Unit::Day) > Interval::of(23, Unit::Hour));
        assert_eq!(Interval::of(1, Unit::Month).unwrap().scale(0.5).unwrap().to_string(), "15 days");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(months: i32, days: i32, micros in -(1i64 << 60)..1 << 60) {
            let interval = Interval { months, days, micros };
            let read = Interval::parse(&interval.to_string());
            prop_assert_eq!(read.map(|read| (read.months, read.days, read.micros)), Some((months, days, micros)));
            prop_assert_eq!(Interval::from_total_micros(interval.total_micros()), Some(interval));
        }
    }
}
