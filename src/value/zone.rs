//! Time zones by name, and moments by patterns such as `%d.%m.%Y`, through the crate `jiff`.
//!
//! The zones are those that are built in, not those of the machine, so that results are the same everywhere.

use std::cell::RefCell;
use std::collections::HashMap;

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};

use super::Timestamp;
use super::time::{Civil, two_digits};

/// The zones that a thread keeps. There are some 600.
const MOST_ZONES: usize = 1000;

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of a name such as `Europe/Berlin` or `UTC`, in any case, or of a fixed offset such as `+05:30`.
    pub fn named(name: &str) -> Option<Zone> {
        thread_local! {
            static KNOWN: RefCell<HashMap<Box<str>, Option<Zone>>> = RefCell::default();
        }
        KNOWN.with_borrow_mut(|known| {
            if let Some(zone) = known.get(name) {
                return zone.clone();
            }
            let zone = jiff::tz::db().get(name).ok().or_else(|| fixed(name)).map(Zone);
            if known.len() < MOST_ZONES {
                known.insert(name.into(), zone.clone());
            }
            zone
        })
    }

    /// The names of all zones.
    pub fn names() -> Vec<String> {
        jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// What clocks show at a moment: as the moment at which they show it in UTC. [`None`] if it is out of range.
    pub fn wall_clock(&self, moment: Timestamp) -> Option<Timestamp> {
        let offset = self.0.to_offset(jiff::Timestamp::from_microsecond(moment.0).ok()?);
        moment.0.checked_add(i64::from(offset.seconds()) * 1_000_000).map(Timestamp)
    }

    /// The moment when clocks show what they show at `wall_clock` in UTC. Of two the earlier one; where clocks are put
    /// forward past it, it is as much later. [`None`] if it is out of range.
    pub fn moment(&self, wall_clock: Timestamp) -> Option<Timestamp> {
        let moment = self.0.to_timestamp(civil(wall_clock)?).ok()?;
        Some(Timestamp(moment.as_microsecond()))
    }
}

/// The zone of a fixed offset: `+05:30`, `-0800`, `+01`.
fn fixed(name: &str) -> Option<TimeZone> {
    let (sign, digits) = match name.as_bytes() {
        [b'+', ..] => (1, &name[1..]),
        [b'-', ..] => (-1, &name[1..]),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|&char| char != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    Offset::from_seconds(sign * seconds).ok().filter(|_| minutes < 60).map(Offset::to_time_zone)
}

/// A pattern for moments, with the specifiers of DuckDB: those of C, and `%f`, `%g` and `%n` for the microseconds,
/// milliseconds and nanoseconds of a second.
#[derive(Clone, Debug)]
pub struct TimePattern {
    write: String,
    read: String,
    /// The same with offsets as `+0130`, if there are any.
    compact: Option<String>,
    /// What it writes, if that always has the same form.
    form: Option<Form>,
}

/// A text in which the parts of a moment stand at fixed places, each with a fixed number of digits.
#[derive(Clone, Debug, Default)]
struct Form {
    text: Vec<u8>,
    /// The parts, each with the index of its first digit.
    parts: Vec<(usize, Part)>,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

impl Form {
    /// The form of a pattern of jiff's; [`None`] if it has other specifiers than those of the parts.
    fn of(pattern: &str) -> Option<Form> {
        let mut parts = pattern.split('%');
        let mut form = Form { text: parts.next()?.into(), parts: Vec::new() };
        while let Some(part) = parts.next() {
            let (part, len, rest) = match part.as_bytes() {
                // Two percent signs.
                [] => {
                    form.text.push(b'%');
                    form.text.extend_from_slice(parts.next()?.as_bytes());
                    continue;
                }
                [b'Y', rest @ ..] => (Part::Year, 4, rest),
                [b'm', rest @ ..] => (Part::Month, 2, rest),
                [b'd', rest @ ..] => (Part::Day, 2, rest),
                [b'H', rest @ ..] => (Part::Hour, 2, rest),
                [b'M', rest @ ..] => (Part::Minute, 2, rest),
                [b'S', rest @ ..] => (Part::Second, 2, rest),
                [b'3', b'f', rest @ ..] => (Part::Millisecond, 3, rest),
                [b'6', b'f', rest @ ..] => (Part::Microsecond, 6, rest),
                _ => return None,
            };
            form.parts.push((form.text.len(), part));
            form.text.resize(form.text.len() + len, b'0');
            form.text.extend_from_slice(rest);
        }
        Some(form)
    }

    /// Appends a moment, whose day is `civil`, with a year of four digits.
    fn write(&self, moment: Timestamp, civil: Civil, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.text);
        for &(at, part) in &self.parts {
            let mut put = |offset: usize, pair: u32| {
                let at = start + at + offset;
                if let Some(digits) = out.get_mut(at..at + 2) {
                    digits.copy_from_slice(&two_digits(pair));
                }
            };
            match part {
                Part::Year => {
                    let year = civil.year.unsigned_abs();
                    put(0, year / 100);
                    put(2, year % 100);
                }
                Part::Month => put(0, civil.month),
                Part::Day => put(0, civil.day),
                Part::Hour => put(0, moment.hour()),
                Part::Minute => put(0, moment.minute()),
                Part::Second => put(0, moment.second()),
                Part::Millisecond => {
                    let millis = moment.microsecond() / 1000;
                    // The middle digit is written twice.
                    put(0, millis / 10);
                    put(1, millis % 100);
                }
                Part::Microsecond => {
                    let micros = moment.microsecond();
                    put(0, micros / 10_000);
                    put(2, micros / 100 % 100);
                    put(4, micros % 100);
                }
            }
        }
    }
}

/// An offset as `+01`, `+01:30` or `+01:00:30`.
const OFFSET: &str = "%:::z";

impl TimePattern {
    /// The specifiers, for errors.
    pub const SPECIFIERS: &str = "%a %A %b %B %c %d %D %f %F %g %G %h %H %I %j %m %M %n %p %R %S %T %u %U %V %w %W %x %X %y %Y %z %Z %%, and %- for no zeros";

    /// The pattern of a text. [`None`] if it has a specifier that is not known.
    pub fn new(text: &str) -> Option<TimePattern> {
        let mut pattern = TimePattern { write: String::new(), read: String::new(), compact: None, form: None };
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                pattern.push(char.encode_utf8(&mut [0; 4]), None);
                continue;
            }
            match chars.next()? {
                'f' => pattern.push("%6f", Some("%f")),
                'g' => pattern.push("%3f", Some("%f")),
                'n' => pattern.push("%9f", Some("%f")),
                'c' => pattern.push("%Y-%m-%d %H:%M:%S", None),
                'x' | 'F' => pattern.push("%Y-%m-%d", None),
                'X' | 'T' => pattern.push("%H:%M:%S", None),
                'R' => pattern.push("%H:%M", None),
                'D' => pattern.push("%m/%d/%y", None),
                'h' => pattern.push("%b", None),
                'z' => pattern.push(OFFSET, None),
                'Z' => pattern.push("", Some("%Q")),
                '-' => match chars.next()? {
                    letter @ ('d' | 'm' | 'y' | 'H' | 'I' | 'M' | 'S' | 'j') => {
                        pattern.push(&format!("%-{letter}"), None);
                    }
                    _ => return None,
                },
                letter @ ('a' | 'A' | 'w' | 'u' | 'd' | 'b' | 'B' | 'm' | 'y' | 'Y' | 'G' | 'H' | 'I' | 'p' | 'M'
                | 'S' | 'j' | 'U' | 'W' | 'V' | '%') => pattern.push(&format!("%{letter}"), None),
                _ => return None,
            }
        }
        pattern.compact = pattern.read.contains(OFFSET).then(|| pattern.read.replace(OFFSET, "%z"));
        pattern.form = Form::of(&pattern.write);
        Some(pattern)
    }

    fn push(&mut self, write: &str, read: Option<&str>) {
        self.write.push_str(write);
        self.read.push_str(read.unwrap_or(write));
    }

    /// Appends a moment by the pattern, in UTC. [`None`] beyond the years -9999 to 9999.
    pub fn write(&self, moment: Timestamp, out: &mut Vec<u8>) -> Option<()> {
        let civil = moment.date().civil();
        if let Some(form) = &self.form
            && (1000..=9999).contains(&civil.year)
        {
            form.write(moment, civil, out);
            return Some(());
        }
        out.extend_from_slice(self.write_any(moment)?.as_bytes());
        Some(())
    }

    fn write_any(&self, moment: Timestamp) -> Option<String> {
        let zoned = jiff::Timestamp::from_microsecond(moment.0).ok()?.to_zoned_datetime(TimeZone::UTC);
        strtime::format(&self.write, &zoned).ok()
    }

    /// The moment of a text that has the form of the pattern: in UTC, if it names no offset or zone. What it leaves out is
    /// that of 1900-01-01T00:00:00; a name of a day of the week that the date makes needless is not looked at, and neither is
    /// white space around the text. [`None`] if the text has another form, or names no moment.
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        let compact = || BrokenDownTime::parse(self.compact.as_ref()?, text).ok();
        let mut parts = BrokenDownTime::parse(&self.read, text).ok().or_else(compact)?;
        if parts.day().is_some() || parts.day_of_year().is_some() {
            parts.set_weekday(None);
        }
        if parts.year().is_none() && parts.iso_week_year().is_none() {
            parts.set_year(Some(1900)).ok()?;
        }
        if parts.day_of_year().is_none() && parts.iso_week().is_none() {
            let week = parts.sunday_based_week().or(parts.monday_based_week());
            if parts.month().is_none() && week.is_none() {
                parts.set_month(Some(1)).ok()?;
            }
            if parts.day().is_none() && week.is_none() {
                parts.set_day(Some(1)).ok()?;
            }
        }
        if parts.hour().is_none() {
            parts.set_hour(Some(0)).ok()?;
        }
        let moment = match (parts.offset(), parts.iana_time_zone()) {
            (Some(_), _) => parts.to_timestamp().ok()?,
            (None, Some(name)) => return Zone::named(name)?.moment(wall_clock(parts.to_datetime().ok()?)?),
            (None, None) => return wall_clock(parts.to_datetime().ok()?),
        };
        Some(Timestamp(moment.as_microsecond()))
    }
}

impl Timestamp {
    /// The moment that the machine's clock shows, in whole microseconds.
    pub fn now() -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }
}

/// What a clock shows in UTC at a moment. [`None`] beyond the years -9999 to 9999.
fn civil(moment: Timestamp) -> Option<DateTime> {
    jiff::Timestamp::from_microsecond(moment.0).ok().map(|moment| Offset::UTC.to_datetime(moment))
}

/// The moment at which a clock shows that in UTC.
fn wall_clock(shown: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(shown).ok().map(|moment| Timestamp(moment.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Timestamp {
        Timestamp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn zones_have_summer() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(berlin.wall_clock(moment("2024-07-01T12:00Z")), Some(moment("2024-07-01T14:00Z")));
        assert_eq!(berlin.moment(moment("2024-01-01T12:00Z")), Some(moment("2024-01-01T11:00Z")));
        // Clocks go from 2 to 3, and from 3 to 2.
        assert_eq!(berlin.moment(moment("2024-03-31T02:30Z")), Some(moment("2024-03-31T01:30Z")));
        assert_eq!(berlin.moment(moment("2024-10-27T02:30Z")), Some(moment("2024-10-27T00:30Z")));
        let indian = Zone::named("+05:30").unwrap();
        assert_eq!(indian.wall_clock(moment("2024-07-01T12:00Z")), Some(moment("2024-07-01T17:30Z")));
        assert!(["", "Mars/Phobos", "+5", "+05:60", "05:30", "+é00"].iter().all(|name| Zone::named(name).is_none()));
        assert!(Zone::names().iter().any(|name| name == "Asia/Tokyo"));
        assert_eq!(berlin.wall_clock(Timestamp(i64::MAX)), None);
    }

    fn written(pattern: &str, moment: Timestamp) -> Option<String> {
        let mut out = Vec::new();
        TimePattern::new(pattern).unwrap().write(moment, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn patterns_write_as_duckdb_does() {
        let moment = moment("2024-12-31T01:02:03.456789Z");
        for (pattern, expected) in [
            ("%a %A %b %B %c", "Tue Tuesday Dec December 2024-12-31 01:02:03"),
            ("%d %f %g %G %H %I %j %m %M", "31 456789 456 2025 01 01 366 12 02"),
            ("%n %p %S %u %U %V %w %W %x %X", "456789000 AM 03 2 52 01 2 53 2024-12-31 01:02:03"),
            ("%y %Y %z %%", "24 2024 +00 %"),
            ("%h %T %R %D %F", "Dec 01:02:03 01:02 12/31/24 2024-12-31"),
            ("%-d %-m %-H %-I %-j %-y %-M %-S", "31 12 1 1 366 24 2 3"),
        ] {
            assert_eq!(written(pattern, moment).as_deref(), Some(expected), "{pattern}");
        }
        assert!(["%L", "%", "%-", "%-q", "%e"].iter().all(|pattern| TimePattern::new(pattern).is_none()));
    }

    #[test]
    fn patterns_read_as_duckdb_does() {
        for (text, pattern, expected) in [
            ("31/12/2024 01:02", "%d/%m/%Y %H:%M", "2024-12-31T01:02:00Z"),
            ("2024-12-31T01:02:03.5", "%Y-%m-%dT%H:%M:%S.%f", "2024-12-31T01:02:03.5Z"),
            ("12:00 PM 1 Jan 24", "%I:%M %p %-d %b %y", "2024-01-01T12:00:00Z"),
            ("2024-12-31 +02:00", "%Y-%m-%d %z", "2024-12-30T22:00:00Z"),
            ("2024-12-31 +02", "%Y-%m-%d %z", "2024-12-30T22:00:00Z"),
            ("05/Mar/2024:10:15:30 +0100", "%d/%b/%Y:%H:%M:%S %z", "2024-03-05T09:15:30Z"),
            ("-0530 2024-12-31", "%z %Y-%m-%d", "2024-12-31T05:30:00Z"),
            ("2024", "%Y", "2024-01-01T00:00:00Z"),
            ("01:02", "%H:%M", "1900-01-01T01:02:00Z"),
            ("2024-12-31 Europe/Berlin", "%Y-%m-%d %Z", "2024-12-30T23:00:00Z"),
            ("366 2024", "%j %Y", "2024-12-31T00:00:00Z"),
            ("13:02:03 Dec 2024", "%T %h %Y", "2024-12-01T13:02:03Z"),
            ("  2024-12-31 ", "%F", "2024-12-31T00:00:00Z"),
            ("Monday 2024-12-31", "%A %Y-%m-%d", "2024-12-31T00:00:00Z"),
            ("2024 1 3", "%Y %U %w", "2024-01-10T00:00:00Z"),
            ("2024 1 3", "%Y %W %w", "2024-01-03T00:00:00Z"),
            ("2024 1 3", "%G %V %u", "2024-01-03T00:00:00Z"),
            ("1 pm", "%I %p", "1900-01-01T13:00:00Z"),
            ("1", "%j", "1900-01-01T00:00:00Z"),
        ] {
            let read = TimePattern::new(pattern).unwrap().read(text);
            assert_eq!(read, Some(moment(expected)), "{text}");
        }
        for text in ["", "31/13/2024", "30/02/2024", "1/1/2024 x"] {
            assert_eq!(TimePattern::new("%d/%m/%Y").unwrap().read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn forms_are_what_jiff_writes(
            pattern in "(%[YmdHMSfgcxXjy%]|[-a-z: é]){0,6}",
            moment in prop_oneof![any::<i64>(), -70_000_000_000_000_000i64..260_000_000_000_000_000],
        ) {
            let pattern = TimePattern::new(&pattern).unwrap();
            let mut out = Vec::new();
            let written = pattern.write(Timestamp(moment), &mut out).map(|()| String::from_utf8(out).unwrap());
            prop_assert_eq!(written, pattern.write_any(Timestamp(moment)));
        }
    }
}
