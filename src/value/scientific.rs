//! Numbers beyond 128-bit integers, by their digits and exponent.

use std::cmp::Ordering;

/// A number that is not 0, in the one form that equal numbers share: ±0.d₁d₂…dₙ × 10^exponent with d₁ and dₙ not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scientific {
    pub negative: bool,
    /// Clamped to 128 bits, so that an exponent of more than 38 digits counts as the limit.
    pub exponent: i128,
    /// ASCII digits.
    pub digits: Vec<u8>,
}

impl Scientific {
    /// Reads the text of a JSON number.
    pub fn of_text(text: &[u8]) -> Scientific {
        let (negative, text) = match text {
            [b'-', text @ ..] => (true, text),
            text => (false, text),
        };
        let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', text) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len());
        let all: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
        let leading = all.iter().take_while(|&&digit| digit == b'0').count();
        let end = all.iter().rposition(|&digit| digit != b'0').map_or(leading, |last| last + 1);
        Scientific {
            negative,
            exponent: exponent.saturating_add(point as i128 - leading as i128),
            digits: all[leading..end].to_vec(),
        }
    }

    /// The exact value of a float that is an integer, as all floats from 2^53 on are.
    pub fn of_float(value: f64) -> Scientific {
        Scientific::of_text(format!("{value:.0}").as_bytes())
    }

    /// Whether the number is an integer.
    pub fn is_integer(&self) -> bool {
        self.exponent >= self.digits.len() as i128
    }
}

impl Ord for Scientific {
    fn cmp(&self, other: &Scientific) -> Ordering {
        let magnitude = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        match (self.negative, other.negative) {
            (false, false) => magnitude(),
            (true, true) => magnitude().reverse(),
            (negative, _) => other.negative.cmp(&negative),
        }
    }
}

impl PartialOrd for Scientific {
    fn partial_cmp(&self, other: &Scientific) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reads the text after the `e` of a JSON number, clamped.
fn parse_exponent(text: &[u8]) -> i128 {
    let negative = text.first() == Some(&b'-');
    let magnitude = text
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0i128, |sum, digit| sum.saturating_mul(10).saturating_add(i128::from(digit - b'0')));
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_share_one_form() {
        let form = |text: &str| {
            let Scientific { negative, exponent, digits } = Scientific::of_text(text.as_bytes());
            (negative, exponent, String::from_utf8(digits).unwrap())
        };
        assert_eq!(form("1e400"), (false, 401, "1".to_owned()));
        assert_eq!(form("10e399"), form("1e400"));
        assert_eq!(form("0.001E+403"), form("1e400"));
        assert_eq!(form("-120.0"), (true, 3, "12".to_owned()));
        assert_eq!(form("-0.0"), (true, -1, String::new()));
        assert_eq!(form(&format!("1e{}", "9".repeat(60))).1, i128::MAX);
        assert_eq!(Scientific::of_float(1e23), Scientific::of_text(b"99999999999999991611392"));
    }
}
