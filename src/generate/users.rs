//! Users of a shop: records with names in many scripts. Names are put together from syllables: nobody is meant.

use super::clock::date;
use super::line::Line;
use super::random::Random;
use super::words::{BRAND_ENDS, BRAND_STARTS, CULTURES, Culture};

/// 2019-01-01, as days since 1970-01-01.
const FIRST_DAY: u32 = 17_897;
/// The days from then to the end of 2024.
const DAYS: u32 = 2_192;

const TAGS: [&str; 10] = [
    r#""newsletter""#,
    r#""mobile""#,
    r#""vip""#,
    r#""beta""#,
    r#""gift card""#,
    r#""returns""#,
    r#""referral""#,
    r#""学生""#,
    r#""B2B""#,
    r#""early bird""#,
];

/// Makes users.
#[derive(Debug)]
pub struct Users {
    stream: u64,
}

impl Users {
    /// Users drawn from one stream.
    pub fn new(stream: u64) -> Users {
        Users { stream }
    }

    /// Writes one user and a line feed.
    pub fn write(&self, row: u64, out: &mut Vec<u8>) {
        let random = &mut Random::of(self.stream, row);
        let culture = random.pick(&CULTURES);
        let line = &mut Line(out);
        write_id(row, line.raw(r#"{"userId":""#));
        write_name(&culture, line.raw(r#"","name":""#), random);
        line.raw(r#"","email":""#).raw(random.pick(&BRAND_STARTS)).raw(random.pick(&BRAND_ENDS));
        line.raw(".").int(row.saturating_add(1)).raw("@example.");
        line.raw(if random.percent(70) { "com" } else { "org" });
        let segment = match random.below(20) {
            0..=12 => "consumer",
            13..=16 => "small business",
            17..=18 => "enterprise",
            _ => "education",
        };
        line.raw(r#"","segment":""#).raw(segment);
        line.raw(r#"","country":""#).raw(random.pick(culture.countries));
        line.raw(r#"","signupDate":""#).bytes(date(FIRST_DAY + random.below(DAYS)));
        line.raw(r#"","age":"#);
        if random.percent(12) {
            line.raw("null");
        } else {
            // The sum of two draws: the middle ages are the most frequent.
            line.int(u64::from(18 + random.below(35) + random.below(35)));
        }
        line.raw(r#","tags":["#);
        let first = random.below(TAGS.len() as u32) as usize;
        for nth in 0..random.below(5) as usize {
            line.raw(if nth == 0 { "" } else { "," }).raw(TAGS[(first + 3 * nth) % TAGS.len()]);
        }
        line.raw("]}\n");
    }
}

/// Writes the id of a user of a number from 0.
#[inline]
pub fn write_id(user: u64, line: &mut Line<'_>) {
    line.raw("u-").at_least_six(user.saturating_add(1));
}

/// Writes the inside of a JSON string.
fn write_name(culture: &Culture, line: &mut Line<'_>, random: &mut Random) {
    line.raw(random.pick(culture.starts)).raw(random.pick(culture.ends)).raw(culture.between);
    if random.percent(2) {
        line.raw("\\\"").raw(random.pick(culture.starts)).raw("\\\"").raw(culture.between);
    }
    line.raw(random.pick(culture.starts)).raw(random.pick(culture.ends));
}
