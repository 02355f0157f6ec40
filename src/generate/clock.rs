//! When the rows of a log happened.
//!
//! A row's time may depend on its number only, not on how many rows there are; and still a file of any number of
//! rows should cover the whole span. So time runs through the span in sweeps that double in length: the first 1024
//! rows are one sweep, the next 2048 another, then 4096, and so on. Within a sweep the time rises evenly, save for
//! the hour of the day (people sleep at night) and for the disorder that logs have: each row is early or late by a
//! little, and a few are late by days.

use super::random::Random;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// How busy each hour of the day is.
const HOURS: [u64; 24] = [12, 8, 6, 5, 5, 7, 12, 20, 28, 33, 36, 38, 40, 38, 36, 35, 36, 40, 46, 52, 54, 48, 34, 20];

/// The number of equal parts of a day's work for which the time of day is tabulated.
const PARTS: u64 = 256;

/// Gives each row of a log its moment.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The text of each day of the span.
    dates: Vec<[u8; 10]>,
    /// The time of day, in milliseconds, at which each part of a day's work begins, and the end of the day.
    parts: Vec<u64>,
    /// By how much a row may be early or late, in milliseconds.
    disorder: u32,
}

/// Milliseconds since a [`Clock`]'s first day began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment some milliseconds before, but not before the first day.
    #[inline]
    pub fn before(self, milliseconds: u64) -> Moment {
        Moment(self.0.saturating_sub(milliseconds))
    }

    /// The whole seconds since midnight.
    #[inline]
    pub fn second_of_day(self) -> u32 {
        (self.0 % DAY / 1_000) as u32
    }

    /// The milliseconds since the last whole second.
    #[inline]
    pub fn millisecond(self) -> u32 {
        (self.0 % 1_000) as u32
    }
}

impl Clock {
    /// A clock for a span of days from `first_day` (days since 1970-01-01), in which rows are up to `disorder`
    /// milliseconds early or late, and a few up to three days more. The span is longer than that.
    pub fn new(first_day: u32, days: u32, disorder: u32) -> Clock {
        let dates = (first_day..first_day + days).map(date).collect();
        let total: u64 = HOURS.iter().sum();
        let time_at = |part: u64| {
            let mut work = total * part;
            for (hour, busy) in HOURS.iter().enumerate() {
                if work < busy * PARTS {
                    return DAY / 24 * hour as u64 + DAY / 24 * work / (busy * PARTS);
                }
                work -= busy * PARTS;
            }
            DAY
        };
        Clock { dates, parts: (0..=PARTS).map(time_at).collect(), disorder }
    }

    /// The moment of a row.
    #[inline]
    pub fn moment(&self, row: u64, random: &mut Random) -> Moment {
        let span = self.dates.len() as u64 * DAY;
        let place = row.saturating_add(1024);
        let sweep = place.ilog2();
        let even = ((u128::from(place - (1 << sweep)) * u128::from(span)) >> sweep) as u64;
        let early = u64::from(random.below(2 * self.disorder + 1));
        let late = u64::from(self.disorder) + if random.below(32) == 0 { random.next() % (3 * DAY) } else { 0 };
        // What would fall outside the span is mirrored into it.
        let work = (even + early).abs_diff(late);
        let work = if work < span { work } else { 2 * span - 1 - work };
        let (day, work) = (work / DAY, work % DAY * PARTS);
        let (part, rest) = ((work / DAY) as usize, work % DAY);
        let (start, end) = (self.parts[part], self.parts[part + 1]);
        Moment(day * DAY + start + (end - start) * rest / DAY)
    }

    /// The date of a moment: `2025-01-31`.
    #[inline]
    pub fn date(&self, moment: Moment) -> [u8; 10] {
        self.dates[(moment.0 / DAY) as usize]
    }
}

/// The text `YYYY-MM-DD` of a day since 1970-01-01, up to the year 9999.
///
/// The arithmetic is that of Hinnant, "chrono-compatible low-level date algorithms": a year begins in March, so that
/// the leap day is its last.
pub fn date(days_since_1970: u32) -> [u8; 10] {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    let digit = |n: u32| b'0' + (n % 10) as u8;
    let years = [digit(year / 1_000), digit(year / 100), digit(year / 10), digit(year)];
    let [y0, y1, y2, y3] = years;
    [y0, y1, y2, y3, b'-', digit(month / 10), digit(month), b'-', digit(day / 10), digit(day)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_a_calendar() {
        let mut day = jiff::civil::date(1970, 1, 1);
        for days in 0..60_000 {
            assert_eq!(std::str::from_utf8(&date(days)).unwrap(), day.to_string());
            day = day.tomorrow().unwrap();
        }
    }

    #[test]
    fn any_number_of_rows_covers_the_span() {
        let clock = Clock::new(20_089, 365, 0);
        for rows in [1_024, 3_000, 100_000] {
            let mut seen = vec![0; 365];
            for row in 0..rows {
                let moment = clock.moment(row, &mut Random::of(1, row));
                assert!(moment.0 < 365 * DAY);
                seen[(moment.0 / DAY) as usize] += 1;
            }
            assert!(seen.iter().all(|&n| n > 0), "a day without a row in {rows}");
        }
        assert!(clock.moment(u64::MAX, &mut Random::of(1, 1)).0 < 365 * DAY);
    }

    #[test]
    fn time_of_day_rises_and_follows_the_hours() {
        let clock = Clock::new(0, 4, 0);
        assert!(clock.parts.is_sorted_by(|a, b| a < b));
        assert_eq!((clock.parts[0], clock.parts[PARTS as usize]), (0, DAY));
        let mut seen = [0u64; 24];
        for row in 0..100_000 {
            seen[(clock.moment(row, &mut Random::of(3, row)).0 / (DAY / 24)) as usize % 24] += 1;
        }
        assert!(seen[20] > 5 * seen[3], "{seen:?}");
    }
}
