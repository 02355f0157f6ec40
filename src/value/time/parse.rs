//! Reading dates and timestamps from text.
//!
//! Nearly all timestamps of real records have one of few fixed forms. For these the text is loaded as words of eight
//! bytes and XORed with a template (`0000-00-`, `00T00:00`, `:00.000Z`), after which each byte is a digit's value, or 0
//! where the template has punctuation. One addition per word then shows whether any byte is more than it may be, and one
//! multiplication joins neighbouring digits.

use super::{Date, MICROS_PER_DAY, Timestamp, days_from_century};
use crate::value::zone::Zone;

impl Date {
    /// Reads the day of a text `YYYY-MM-DD`, also `YYYY-M-D` or `YYYY/MM/DD`, alone or with a time of day and an offset as [`Timestamp::parse`] takes them.
    /// The day is the one that is written; an offset does not change it. [`None`] if the text is anything else.
    ///
    /// ```
    /// use foldl::value::Date;
    /// assert_eq!(Date::parse(b"2025-02-22T23:00:00-05:00"), Date::new(2025, 2, 22));
    /// ```
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Date> {
        match parse_fixed(text) {
            Some((date, _)) => Some(date),
            None => parse_any(text).map(|parsed| parsed.date),
        }
    }
}

impl Timestamp {
    /// Reads an ISO 8601 text: `YYYY-MM-DD`, which is midnight, or that with `T` or a space and `HH:MM[:SS[.fraction]]`, and
    /// then an offset `Z`, `±HH`, `±HHMM` or `±HH:MM`, or a space and the name of a time zone, without which it is UTC. As
    /// people write it, too: `/` between the parts of the day, and one digit where there are two. Digits of the fraction after
    /// the sixth are dropped. White space around the text is ignored. A year other than 0 to 9999 has a sign and four to
    /// seven digits. `24:00:00` is the midnight at the end of the day. Days that do not exist and leap seconds are [`None`],
    /// as is any other text, and what 64 bits cannot hold.
    ///
    /// ```
    /// use foldl::value::Timestamp;
    /// assert_eq!(Timestamp::parse(b"1970-01-01 01:00:00.5+01"), Some(Timestamp(500_000)));
    /// ```
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Timestamp> {
        match parse_fixed(text) {
            Some((date, micros)) => Some(Timestamp(i64::from(date.0) * MICROS_PER_DAY + micros)),
            None => parse_any(text)?.moment(),
        }
    }
}

/// Reads the days of one text after the other, as [`Date::parse`] does. In a column the same days come again and again;
/// they are then not computed again.
#[derive(Debug, Default)]
pub struct Days {
    known: [KnownDay; 32],
}

/// A day that was read.
#[derive(Clone, Copy, Debug)]
struct KnownDay {
    /// The first eight bytes of its ten, and the last eight.
    bytes: [u64; 2],
    day: Date,
}

impl Default for KnownDay {
    /// What no text is equal to, as the bytes that are in both words differ.
    fn default() -> KnownDay {
        KnownDay { bytes: [0, u64::MAX], day: Date::default() }
    }
}

impl Days {
    /// The day of a text; [`None`] if it is no date.
    #[inline(always)]
    pub fn read(&mut self, text: &[u8]) -> Option<Date> {
        let (head, tail) = (text.first_chunk()?, text.get(2..)?.first_chunk()?);
        let bytes = [u64::from_le_bytes(*head), u64::from_le_bytes(*tail)];
        let slot = bytes[1].wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 5);
        let known = &mut self.known[slot as usize];
        if (known.bytes[0] ^ bytes[0]) | (known.bytes[1] ^ bytes[1]) == 0 && is_fixed_time(text) {
            return Some(known.day);
        }
        known.learn(text, bytes)
    }
}

impl KnownDay {
    /// Reads a day, and remembers it.
    #[inline(never)]
    fn learn(&mut self, text: &[u8], bytes: [u64; 2]) -> Option<Date> {
        let day = Date::parse(text)?;
        // Only a day in the usual form is told by ten bytes.
        if digits(&bytes[0].to_le_bytes(), b"0000-00-").is_some() {
            *self = KnownDay { bytes, day };
        }
        Some(day)
    }
}

/// Whether what follows the day in a text makes one of the forms of [`parse_fixed`].
#[inline(always)]
fn is_fixed_time(text: &[u8]) -> bool {
    let (Some(last), Some(middle)) = (text.last_chunk(), text.get(8..).and_then(|rest| rest.first_chunk())) else {
        return text.len() == 10;
    };
    let (_, bad_tail) = match text.len() {
        24 => within(last, b":00.000Z", b":59.999Z"),
        20 => within(last, b"0:00:00Z", b"9:59:59Z"),
        _ => return false,
    };
    let (middle, bad_middle) = within(middle, b"00T00:00", b"99T29:59");
    // Of hours from 20 on, those from 24 on come to 20 or more.
    let hour = ((middle << 3).wrapping_add(middle >> 8) & 0xff << 24) + (108 << 24);
    (bad_middle | bad_tail | hour) & HIGH_BITS == 0
}

/// A text taken apart: the day and the time as written, and the offset, both in microseconds.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    date: Date,
    micros: i64,
    offset: i64,
}

impl Parsed {
    fn moment(&self) -> Option<Timestamp> {
        // Together the two are less than two days, so only the sum can be out of range.
        let midnight = i128::from(self.date.0) * i128::from(MICROS_PER_DAY);
        i64::try_from(midnight + i128::from(self.micros - self.offset)).ok().map(Timestamp)
    }
}

/// The fast path: `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM:SSZ` and `YYYY-MM-DDTHH:MM:SS.mmmZ`. [`None`] for all other texts, which
/// may be valid all the same. Inlined, so that the time of day is only computed where it is wanted.
#[inline(always)]
fn parse_fixed(text: &[u8]) -> Option<(Date, i64)> {
    let head = digits(text.first_chunk()?, b"0000-00-")?;
    let pairs = join_pairs(head);
    let (century, year, month) = (byte(pairs, 0), byte(pairs, 2), byte(pairs, 5));
    let (day, micros) = match text.len() {
        10 => (byte(join_pairs(digits(text.last_chunk()?, b"00-00-00")?), 6), 0),
        20 => {
            let middle = join_pairs(digits(text.get(8..)?.first_chunk()?, b"00T00:00")?);
            let tail = join_pairs(digits(text.last_chunk()?, b"0:00:00Z")?);
            (byte(middle, 0), micros_of_day(byte(middle, 3), byte(middle, 6), byte(tail, 5), 0)?)
        }
        24 => {
            let middle = join_pairs(digits(text.get(8..)?.first_chunk()?, b"00T00:00")?);
            let tail = digits(text.last_chunk()?, b":00.000Z")?;
            let millis = byte(tail, 4) * 100 + byte(join_pairs(tail), 5);
            (
                byte(middle, 0),
                micros_of_day(byte(middle, 3), byte(middle, 6), byte(join_pairs(tail), 1), millis * 1000)?,
            )
        }
        _ => return None,
    };
    Some((Date(days_from_century(century, year, month, day)?), micros))
}

/// The values of the digits where `template` has `'0'`, and 0 elsewhere; [`None`] if there is a byte that does not fit.
#[inline]
fn digits(text: &[u8; 8], template: &[u8; 8]) -> Option<u64> {
    let (values, bad) = unpunctuate(text, template);
    (bad & HIGH_BITS == 0).then_some(values)
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The values of the digits where `template` has `'0'`, and 0 elsewhere; and a word that has a high bit if there is a byte
/// that does not fit.
#[inline(always)]
fn unpunctuate(text: &[u8; 8], template: &[u8; 8]) -> (u64, u64) {
    within(text, template, &template.map(|byte| if byte == b'0' { b'9' } else { byte }))
}

/// How much each byte is more than the least it may be, and a word that has a high bit if one is less than that or more than
/// the most it may be. The least is a `'0'`, or the same as the most.
#[inline(always)]
fn within(text: &[u8; 8], least: &[u8; 8], most: &[u8; 8]) -> (u64, u64) {
    // What takes each byte to 128 if it is too much.
    let mut excess = [0x7f; 8];
    for (excess, (least, most)) in excess.iter_mut().zip(least.iter().zip(most)) {
        *excess -= most - least;
    }
    let values = u64::from_le_bytes(*text) ^ u64::from_le_bytes(*least);
    // A carry can only come from a byte that has its own high bit set.
    (values, values.wrapping_add(u64::from_le_bytes(excess)) | values)
}

/// Makes each byte that byte times ten plus the next one; of bytes that are no digits, anything.
#[inline]
fn join_pairs(digits: u64) -> u64 {
    digits.wrapping_mul(10).wrapping_add(digits >> 8)
}

#[inline]
fn byte(word: u64, at: u32) -> u32 {
    (word >> (8 * at)) as u32 & 0xff
}

#[inline]
fn micros_of_day(hour: u32, minute: u32, second: u32, micros: u32) -> Option<i64> {
    let seconds = hour * 3600 + minute * 60 + second;
    // Three comparisons and one branch.
    ((hour < 24) & (minute < 60) & (second < 60)).then_some(i64::from(seconds) * 1_000_000 + i64::from(micros))
}

/// Reads every form that there is.
fn parse_any(text: &[u8]) -> Option<Parsed> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let end = text.iter().rposition(|byte| !is_space(byte))? + 1;
    let mut rest = Cursor(&text[start..end]);
    let date = rest.date()?;
    if rest.0.is_empty() {
        return Some(Parsed { date, micros: 0, offset: 0 });
    }
    rest.take(|byte| matches!(byte, b'T' | b't' | b' '))?;
    let micros = rest.time()?;
    let offset = match rest.0 {
        [b' ', name @ ..] => return in_zone(date, micros, name),
        _ => rest.offset()?,
    };
    rest.0.is_empty().then_some(Parsed { date, micros, offset })
}

/// A day and a time that clocks in a time zone show.
fn in_zone(date: Date, micros: i64, name: &[u8]) -> Option<Parsed> {
    let name =
        std::str::from_utf8(name).ok().filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))?;
    let shown = Parsed { date, micros, offset: 0 }.moment()?;
    let offset = shown.0.checked_sub(Zone::named(name)?.moment(shown)?.0)?;
    Some(Parsed { date, micros, offset })
}

/// The part of a text that is yet to be read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        wanted(first).then(|| {
            self.0 = rest;
            first
        })
    }

    fn number(&mut self, len: usize) -> Option<u32> {
        (0..len).try_fold(0, |sum, _| Some(sum * 10 + u32::from(self.take(|byte| byte.is_ascii_digit())? - b'0')))
    }

    /// A number of one or two digits.
    fn short(&mut self) -> Option<u32> {
        let first = self.number(1)?;
        Some(self.number(1).map_or(first, |second| first * 10 + second))
    }

    fn date(&mut self) -> Option<Date> {
        let sign = self.take(|byte| matches!(byte, b'-' | b'+'));
        let len = match sign {
            None => 4,
            Some(_) => self.0.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        };
        let magnitude = self.number(Some(len).filter(|len| (4..=7).contains(len))?)? as i32;
        let year = if sign == Some(b'-') { -magnitude } else { magnitude };
        let separator = self.take(|byte| matches!(byte, b'-' | b'/'))?;
        let month = self.short()?;
        self.take(|byte| byte == separator)?;
        Date::new(year, month, self.short()?)
    }

    fn time(&mut self) -> Option<i64> {
        let hour = self.short()?;
        self.take(|byte| byte == b':')?;
        let minute = self.short()?;
        let (mut second, mut micros) = (0, 0);
        if self.take(|byte| byte == b':').is_some() {
            second = self.short()?;
            if self.take(|byte| byte == b'.').is_some() {
                micros = self.number(1)? * 100_000;
                let mut unit = 10_000;
                while let Some(digit) = self.number(1) {
                    micros += digit * unit;
                    unit /= 10;
                }
            }
        }
        match (hour, minute, second, micros) {
            (24, 0, 0, 0) => Some(MICROS_PER_DAY),
            _ => micros_of_day(hour, minute, second, micros),
        }
    }

    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.take(|byte| matches!(byte, b'Z' | b'z')).is_some() {
            return Some(0);
        }
        let sign = self.take(|byte| matches!(byte, b'-' | b'+'))?;
        let hour = self.number(2)?;
        let minute = if self.0.is_empty() {
            0
        } else {
            self.take(|byte| byte == b':');
            self.number(2)?
        };
        let offset = micros_of_day(hour, minute, 0, 0)?;
        Some(if sign == b'-' { -offset } else { offset })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Option<Date> {
        Date::parse(text.as_bytes())
    }

    fn moment(text: &str) -> Option<Timestamp> {
        Timestamp::parse(text.as_bytes())
    }

    #[test]
    fn forms_that_are_read() {
        let expected = Timestamp::parse(b"2025-02-22T04:21:55.000Z");
        assert_eq!(expected, Some(Timestamp(1_740_198_115_000_000)));
        for text in [
            "2025-02-22T04:21:55Z",
            "2025-02-22 04:21:55",
            "2025-02-22t04:21:55z",
            "2025-02-22T04:21:55.0000009Z",
            "2025-02-22T05:21:55+01",
            "2025-02-22T05:51:55+0130",
            "2025-02-22T05:51:55+01:30",
            "2025-02-21T23:21:55.000000-05:00",
            "+2025-02-22T04:21:55Z",
            "\t 2025-02-22T04:21:55Z\r\n",
            "2025-2-22 4:21:55",
            "2025/02/22 04:21:55",
            "2025-02-22 04:21:55 UTC",
            "2025-02-22 05:21:55 Europe/Berlin",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("2025-02-22T04:21"), expected.map(|Timestamp(at)| Timestamp(at - 55_000_000)));
        assert_eq!(moment("1969-12-31T23:59:59.9999999Z"), Some(Timestamp(-1)));
        assert_eq!(moment("1970-01-02"), Some(Timestamp(MICROS_PER_DAY)));
        assert_eq!(moment("1970-01-01T24:00:00Z"), Some(Timestamp(MICROS_PER_DAY)));
        assert_eq!(date("1970-1-1 24:00"), Some(Date(0)));
        assert_eq!(moment("1970-01-01T00:00:00.48+00"), Some(Timestamp(480_000)));
        assert_eq!(date("2024-02-29"), Date::new(2024, 2, 29));
        assert_eq!(date("2024-02-29T23:59:59.123456789-23:59"), Date::new(2024, 2, 29));
        assert_eq!(date("-0044-03-15"), Date::new(-44, 3, 15));
        assert_eq!(date("+12345-01-01"), Date::new(12345, 1, 1));
    }

    #[test]
    fn common_forms_take_the_fast_path() {
        for text in ["2025-02-22", "2025-02-22T04:21:55Z", "2025-02-22T04:21:55.483Z"] {
            assert!(parse_fixed(text.as_bytes()).is_some());
        }
    }

    #[test]
    fn forms_that_are_not_read() {
        for text in [
            "",
            " ",
            "2025",
            "2025-02",
            "25-2-22",
            "2025-002-22",
            "2025-2/22",
            "2025 02 22",
            "20250222",
            "2025-02-30",
            "2025-02-29",
            "1900-02-29",
            "2025-00-01",
            "2025-13-01",
            "2025-01-00",
            "2025-04-31",
            "12345-01-01",
            "-044-03-15",
            "2025-02-22T",
            "2025-02-22Z",
            "2025-02-22T04",
            "2025-02-22T04:21:55.Z",
            "2025-02-22T04:21.5Z",
            "2025-02-22T24:00:01Z",
            "2025-02-22T25:00:00Z",
            "2025-02-22T04:021:55Z",
            "2025-02-22T04:21:55UTC",
            "2025-02-22T04:21:55  UTC",
            "2025-02-22T04:21:55 +02",
            "2025-02-22T04:21:55 Mars/Phobos",
            "2025-02-22 UTC",
            "2025-02-22T04:60:00Z",
            "2025-02-22T04:21:60Z",
            "2025-02-22T04:21:60.000Z",
            "2025-02-22T04:21:55+",
            "2025-02-22T04:21:55+1",
            "2025-02-22T04:21:55+01:",
            "2025-02-22T04:21:55+24:00",
            "2025-02-22T04:21:55+01:60",
            "2025-02-22T04:21:55Zx",
            "2025-02-22  04:21:55",
            "x2025-02-22",
        ] {
            assert_eq!((date(text), moment(text)), (None, None), "{text}");
        }
        // A day may be further away than a moment.
        assert!(date("+5000000-01-01").is_some() && moment("+5000000-01-01").is_none());
        assert!(date("+9999999-01-01").is_none());
    }

    /// What jiff makes of a text that has a year of four digits.
    fn jiff(text: &str) -> Option<i64> {
        let timestamp: jiff::Timestamp = match text.parse() {
            Ok(timestamp) => timestamp,
            Err(_) => jiff::tz::Offset::UTC.to_timestamp(text.parse().ok()?).ok()?,
        };
        i64::try_from(timestamp.as_nanosecond().div_euclid(1000)).ok()
    }

    fn any_text() -> impl Strategy<Value = String> {
        let two = |max: u32| (0..=max).prop_map(|value| format!("{value:02}"));
        // jiff has no hour 24.
        let hour = || prop_oneof![9 => 0..=23_u32, 1 => Just(25)].prop_map(|value| format!("{value:02}"));
        // The first and the last days of jiff's timestamps are not those of its years.
        let date = (1u32..9999, two(13), two(32)).prop_map(|(year, month, day)| format!("{year:04}-{month}-{day}"));
        let time = (prop_oneof!["T", " "], hour(), two(60), "(:[0-5][0-9](\\.[0-9]{1,9})?)?")
            .prop_map(|(at, hour, minute, second)| format!("{at}{hour}:{minute}{second}"));
        let zone = prop_oneof!["", "Z", "[-+](0[0-9]|1[0-5])(:[0-5][0-9])?"];
        let fixed = (hour(), two(60), "(\\.[0-9]{3})?")
            .prop_map(|(hour, minute, fraction)| format!("T{hour}:{minute}:07{fraction}Z"));
        (date, prop_oneof![Just(String::new()), (time, zone).prop_map(|(time, zone)| time + &zone), fixed])
            .prop_map(|(date, time)| date + &time)
    }

    #[test]
    fn days_agree_with_dates_where_all_but_one_byte_is_the_same() {
        for text in ["2025-02-22", "2025-02-22T19:25:55Z", "2025-02-22T23:59:59.999Z", "2025-02-22T00:00:00.000Z"] {
            let mut days = Days::default();
            for at in 0..text.len() {
                for byte in 0..=u8::MAX {
                    let mut changed = text.as_bytes().to_vec();
                    changed[at] = byte;
                    assert_eq!(days.read(text.as_bytes()), date(text));
                    assert_eq!(days.read(&changed), Date::parse(&changed), "{}", changed.escape_ascii());
                    assert_eq!(Days::default().read(&changed), Date::parse(&changed), "{}", changed.escape_ascii());
                }
            }
        }
        assert_eq!(Days::default().read(&[0; 10]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn moments_agree_with_jiff(text in any_text()) {
            prop_assert_eq!(moment(&text).map(|moment| moment.0), jiff(&text), "{}", text);
            prop_assert_eq!(date(&text).is_some(), moment(&text).is_some());
        }

        #[test]
        fn fixed_forms_agree_with_the_general_parser(
            text in any_text(),
            at in any::<prop::sample::Index>(),
            byte in prop_oneof![any::<u8>(), b'0'..=b'9', Just(b':'), Just(b'/')],
        ) {
            let mut text = text.into_bytes();
            for mutate in [false, true] {
                if mutate {
                    let at = at.index(text.len());
                    text[at] = byte;
                }
                let general = parse_any(&text);
                if let Some((date, micros)) = parse_fixed(&text) {
                    prop_assert_eq!(&general, &Some(Parsed { date, micros, offset: 0 }));
                }
                prop_assert_eq!(Date::parse(&text), general.as_ref().map(|parsed| parsed.date));
                let mut days = Days::default();
                prop_assert_eq!([days.read(&text), days.read(&text)], [Date::parse(&text); 2]);
                prop_assert_eq!(Timestamp::parse(&text), general.and_then(|parsed| parsed.moment()));
            }
        }
    }
}
