//! Dates and timestamps: the proleptic Gregorian calendar, without time zones other than UTC.
//!
//! The calendar arithmetic follows Neri and Schneider, "Euclidean affine functions and their application to calendar
//! algorithms" (2022): a year that starts in March has its leap day at the end, so that the days before a year, and those
//! before a month in it, are linear functions with a floor (1461·y/4 and (153·m + 2)/5), which invert by division. To stay
//! with unsigned numbers, years and days count from a March long before any day that 32 bits can express.

mod parse;

use std::fmt;

pub use parse::Days;

use super::{Date, Timestamp};

/// The microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MILLISECOND: i64 = 1_000;

/// A multiple of 400 years, after which the calendar repeats; more than 2^31 days.
const YEARS_BEFORE_0: i64 = 400 * 14_800;
/// The days from March 1 of the year -`YEARS_BEFORE_0` to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 146_097 * 14_800 + 719_468;

/// A day by year, month and day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year; 0 is 1 BC.
    pub year: i32,
    /// The month, 1 to 12.
    pub month: u32,
    /// The day of the month, 1 to 31.
    pub day: u32,
}

impl Date {
    /// A day by year, month (from 1) and day (from 1). [`None`] if there is no such day, or 32 bits cannot hold it.
    ///
    /// ```
    /// use foldl::value::Date;
    /// assert_eq!(Date::new(1970, 1, 2), Some(Date(1)));
    /// assert_eq!(Date::new(2025, 2, 29), None);
    /// ```
    #[inline]
    pub fn new(year: i32, month: u32, day: u32) -> Option<Date> {
        let is_in_reach = i64::from(year).abs() < YEARS_BEFORE_0;
        if !is_in_reach || day == 0 || day > month_length(month, is_leap_year(year)) {
            return None;
        }
        i32::try_from(days_from_civil(year, month, day)).ok().map(Date)
    }

    /// Year, month and day.
    #[inline]
    pub fn civil(self) -> Civil {
        civil_from_days(self.0.into())
    }

    /// The day of the week, from 0 for Sunday to 6.
    pub fn day_of_week(self) -> u32 {
        // 1970-01-01 was a Thursday.
        (i64::from(self.0) + 4).rem_euclid(7) as u32
    }

    /// The day of the year, from 1.
    pub fn day_of_year(self) -> u32 {
        day_of_year(self.0.into())
    }

    /// The year and the week of ISO 8601: weeks start on Monday, and belong to the year that has their Thursday. The week
    /// counts from 1.
    pub fn iso_week(self) -> (i32, u32) {
        let thursday = monday(self.0.into()) + 3;
        (civil_from_days(thursday).year, (day_of_year(thursday) - 1) / 7 + 1)
    }

    /// The day of the month that is that many months later, at most the last of it. [`None`] if it is out of range.
    pub fn add_months(self, months: i32) -> Option<Date> {
        let Civil { year, month, day } = self.civil();
        let months = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(months);
        let (year, month) = (i32::try_from(months.div_euclid(12)).ok()?, months.rem_euclid(12) as u32 + 1);
        Date::new(year, month, day.min(month_length(month, is_leap_year(year))))
    }

    /// The quarter of the year, 1 to 4.
    pub fn quarter(self) -> u32 {
        (self.civil().month - 1) / 3 + 1
    }

    /// The moment when the day begins in UTC. [`None`] if 64 bits cannot hold it, some 292,000 years from now.
    #[inline]
    pub fn midnight(self) -> Option<Timestamp> {
        i64::from(self.0).checked_mul(MICROS_PER_DAY).map(Timestamp)
    }
}

impl Timestamp {
    /// The moment of an epoch in seconds. [`None`] if it is out of range.
    pub fn from_epoch_seconds(seconds: i64) -> Option<Timestamp> {
        seconds.checked_mul(MICROS_PER_SECOND).map(Timestamp)
    }

    /// The moment of an epoch in milliseconds. [`None`] if it is out of range.
    pub fn from_epoch_millis(millis: i64) -> Option<Timestamp> {
        millis.checked_mul(MICROS_PER_MILLISECOND).map(Timestamp)
    }

    /// The whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn epoch_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The whole milliseconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn epoch_millis(self) -> i64 {
        self.0.div_euclid(MICROS_PER_MILLISECOND)
    }

    /// The microseconds since 1970-01-01T00:00:00Z.
    pub fn epoch_micros(self) -> i64 {
        self.0
    }

    /// The day in UTC.
    #[inline]
    pub fn date(self) -> Date {
        // The days of all timestamps fit 32 bits.
        Date(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// The microseconds since midnight UTC.
    #[inline]
    pub fn micros_of_day(self) -> i64 {
        self.0.rem_euclid(MICROS_PER_DAY)
    }

    /// The hour of the day in UTC, 0 to 23.
    pub fn hour(self) -> u32 {
        (self.micros_of_day() / MICROS_PER_HOUR) as u32
    }

    /// The minute of the hour, 0 to 59.
    pub fn minute(self) -> u32 {
        (self.micros_of_day() / MICROS_PER_MINUTE % 60) as u32
    }

    /// The second of the minute, 0 to 59.
    pub fn second(self) -> u32 {
        (self.micros_of_day() / MICROS_PER_SECOND % 60) as u32
    }

    /// The microsecond of the second, 0 to 999,999.
    pub fn microsecond(self) -> u32 {
        self.0.rem_euclid(MICROS_PER_SECOND) as u32
    }
}

/// `YYYY-MM-DD`
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        write_date(*self, &mut text);
        f.pad(&String::from_utf8_lossy(&text))
    }
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction]Z`
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        write_timestamp(*self, &mut text);
        f.pad(&String::from_utf8_lossy(&text))
    }
}

/// A unit of time to cut timestamps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    /// From Monday.
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
}

impl Unit {
    /// The names of the units, for help and errors.
    pub const NAMES: [&str; 13] = [
        "microsecond",
        "millisecond",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "decade",
        "century",
        "millennium",
    ];

    /// The microseconds of a unit below a day.
    pub fn micros(self) -> Option<i64> {
        match self {
            Unit::Microsecond => Some(1),
            Unit::Millisecond => Some(MICROS_PER_MILLISECOND),
            Unit::Second => Some(MICROS_PER_SECOND),
            Unit::Minute => Some(MICROS_PER_MINUTE),
            Unit::Hour => Some(MICROS_PER_HOUR),
            _ => None,
        }
    }

    /// The unit of a name as SQL has it (`day`, `days`), or of one of DuckDB's short ones (`ms`), in any case.
    pub fn from_name(name: &str) -> Option<Unit> {
        let name = name.to_ascii_lowercase();
        // `ms` is not the plural of `m`.
        Unit::from_singular(&name).or_else(|| Unit::from_singular(name.strip_suffix('s')?))
    }

    fn from_singular(name: &str) -> Option<Unit> {
        Some(match name {
            "microsecond" | "us" | "usec" | "usecond" => Unit::Microsecond,
            "millisecond" | "ms" | "msec" => Unit::Millisecond,
            "second" | "s" | "sec" => Unit::Second,
            "minute" | "m" | "min" => Unit::Minute,
            "hour" | "h" | "hr" => Unit::Hour,
            "day" | "d" | "dayofmonth" => Unit::Day,
            "week" | "w" => Unit::Week,
            "month" | "mon" => Unit::Month,
            "quarter" => Unit::Quarter,
            "year" | "y" | "yr" => Unit::Year,
            "decade" | "dec" => Unit::Decade,
            "century" | "centurie" | "cent" | "c" => Unit::Century,
            "millennium" | "millennia" | "mil" => Unit::Millennium,
            _ => return None,
        })
    }
}

/// The start of the unit that a moment is in, in UTC. Decades, centuries and millennia start with the years that 10, 100
/// and 1000 divide (2000, not 2001). A start before all timestamps is the first timestamp.
pub fn truncate(unit: Unit, moment: Timestamp) -> Timestamp {
    let cut = |micros: i64| moment.0.saturating_sub(moment.0.rem_euclid(micros));
    let days = i64::from(moment.date().0);
    let Civil { year, month, .. } = civil_from_days(days);
    let years = |years: i32| days_from_civil(year - year.rem_euclid(years), 1, 1);
    let start = match unit {
        Unit::Microsecond => return moment,
        Unit::Millisecond => return Timestamp(cut(MICROS_PER_MILLISECOND)),
        Unit::Second => return Timestamp(cut(MICROS_PER_SECOND)),
        Unit::Minute => return Timestamp(cut(MICROS_PER_MINUTE)),
        Unit::Hour => return Timestamp(cut(MICROS_PER_HOUR)),
        Unit::Day => return Timestamp(cut(MICROS_PER_DAY)),
        Unit::Week => monday(days),
        Unit::Month => days_from_civil(year, month, 1),
        Unit::Quarter => days_from_civil(year, (month - 1) / 3 * 3 + 1, 1),
        Unit::Year => years(1),
        Unit::Decade => years(10),
        Unit::Century => years(100),
        Unit::Millennium => years(1000),
    };
    Timestamp(start.saturating_mul(MICROS_PER_DAY))
}

/// Appends a day as `2025-02-22`. Years before 0 and after 9999 have a sign and as many digits as they need, at least
/// four (`-0044-03-15`, `+10000-01-01`).
pub fn write_date(date: Date, out: &mut Vec<u8>) {
    let Civil { year, month, day } = date.civil();
    match year {
        0..=9999 => {}
        ..0 => out.push(b'-'),
        _ => out.push(b'+'),
    }
    let year = year.unsigned_abs();
    if year > 9999 {
        out.extend_from_slice(itoa::Buffer::new().format(year / 10_000).as_bytes());
    }
    let ([a, b], [c, d]) = (two_digits(year / 100 % 100), two_digits(year % 100));
    let ([e, f], [g, h]) = (two_digits(month), two_digits(day));
    out.extend_from_slice(&[a, b, c, d, b'-', e, f, b'-', g, h]);
}

/// Appends a moment as `2025-02-22T04:21:55.483Z`. The fraction has as many digits as it needs, up to six.
pub fn write_timestamp(moment: Timestamp, out: &mut Vec<u8>) {
    write_date(moment.date(), out);
    out.push(b'T');
    write_clock(moment.micros_of_day(), out);
    out.push(b'Z');
}

/// Appends a time of day, or any span, as `04:21:55.483`. The fraction has as many digits as it needs, up to six.
pub(super) fn write_clock(micros: i64, out: &mut Vec<u8>) {
    if micros < 0 {
        out.push(b'-');
    }
    let micros = micros.unsigned_abs();
    let (seconds, micros) = (micros / MICROS_PER_SECOND as u64, (micros % MICROS_PER_SECOND as u64) as u32);
    let hours = seconds / 3600;
    if hours > 99 {
        out.extend_from_slice(itoa::Buffer::new().format(hours / 100).as_bytes());
    }
    let ([a, b], [c, d]) = (two_digits((hours % 100) as u32), two_digits((seconds / 60 % 60) as u32));
    let [e, f] = two_digits((seconds % 60) as u32);
    out.extend_from_slice(&[a, b, b':', c, d, b':', e, f]);
    if micros > 0 {
        let ([a, b], [c, d]) = (two_digits(micros / 10_000), two_digits(micros / 100 % 100));
        let [e, f] = two_digits(micros % 100);
        let fraction = [b'.', a, b, c, d, e, f];
        let end = fraction.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
        out.extend_from_slice(&fraction[..=end]);
    }
}

pub(super) fn two_digits(value: u32) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

#[inline]
fn is_leap_year(year: i32) -> bool {
    // 4 divides it, and 16 if 25 divides it.
    let mask = if year % 25 == 0 { 15 } else { 3 };
    year & mask == 0
}

/// The days of a month; none if there is no such month.
#[inline]
fn month_length(month: u32, is_leap: bool) -> u32 {
    const DAYS: [u8; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    u32::from(DAYS.get(month as usize).copied().unwrap_or(0)) + u32::from((month == 2) & is_leap)
}

/// The day since 1970-01-01 of a valid date.
#[inline]
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    // January and February are months 10 and 11 of the year before.
    let before_march = month < 3;
    let year = (i64::from(year) + YEARS_BEFORE_0 - i64::from(before_march)) as u64;
    let month = u64::from(if before_march { month + 9 } else { month - 3 });
    let century = year / 100;
    let days = year * 1461 / 4 - century + century / 4 + (153 * month + 2) / 5 + u64::from(day) - 1;
    days as i64 - DAYS_BEFORE_1970
}

/// The day since 1970-01-01 of a date in the year `century` * 100 + `year`, both below 100; [`None`] if there is no such
/// day. As [`Date::new`], but with no division: text has the century's digits apart anyway.
#[inline]
fn days_from_century(century: u32, year: u32, month: u32, day: u32) -> Option<i32> {
    const BEFORE: [u16; 13] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = (if year == 0 { century } else { year }) & 3 == 0;
    if day.wrapping_sub(1) >= month_length(month, is_leap) {
        return None;
    }
    // Each fourth century has a day more, and so has each fourth year but the first one of the other centuries.
    let in_centuries = century * 36_524 + century.div_ceil(4);
    let in_years = year * 365 + year.div_ceil(4) - u32::from((year > 0) & (century & 3 != 0));
    let in_months = u32::from(*BEFORE.get(month as usize)?) + u32::from((month > 2) & is_leap);
    Some((in_centuries + in_years + in_months + day - 1) as i32 - 719_528)
}

/// The date of a day since 1970-01-01 that is not beyond 32 bits by more than a few years.
#[inline]
fn civil_from_days(days: i64) -> Civil {
    let quarters = 4 * (days + DAYS_BEFORE_1970) as u64 + 3;
    let (century, rest) = (quarters / 146_097, (quarters % 146_097) | 3);
    let (year, day_of_year) = (century * 100 + rest / 1461, rest % 1461 / 4);
    let (month, rest) = ((5 * day_of_year + 2) / 153, (5 * day_of_year + 2) % 153);
    let next_year = month >= 10;
    Civil {
        year: (year as i64 - YEARS_BEFORE_0) as i32 + i32::from(next_year),
        month: month as u32 + 3 - if next_year { 12 } else { 0 },
        day: rest as u32 / 5 + 1,
    }
}

fn day_of_year(days: i64) -> u32 {
    (days - days_from_civil(civil_from_days(days).year, 1, 1)) as u32 + 1
}

/// The Monday on or before a day.
fn monday(days: i64) -> i64 {
    days - (days + 3).rem_euclid(7)
}

#[cfg(test)]
mod tests;
