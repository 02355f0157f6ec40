//! Numbers with units, as people type and read them.

use std::time::Duration;

use crate::exec::{MaxErrors, Settings};

/// A number of bytes: `4096`, `64KiB`, `16MiB`, `1.5GiB`; `K`, `KB` and the like mean 1024 as well, as in sort and du.
///
/// # Errors
/// A message if it is none.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let fail = || format!("`{text}` is not a size such as 4096, 64KiB, 16MiB or 1GiB");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(fail()),
    };
    if let Ok(whole) = number.parse::<usize>() {
        return whole.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is too large"));
    }
    let number: f64 = number.parse().map_err(|_| fail())?;
    Ok((number * (1_u64 << shift) as f64) as usize)
}

/// A length of time: `500ms`, `1s`, `1.5m`, `2h`; a number alone is seconds.
///
/// # Errors
/// A message if it is none, or not more than zero.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let fail = || format!("`{text}` is not a time such as 500ms, 10s, 5m or 1h");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(fail()),
    };
    let number: f64 = number.parse().map_err(|_| fail())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(fail()),
    }
}

/// A memory limit.
///
/// # Errors
/// A message if it is none, or too low.
pub fn parse_memory(text: &str) -> Result<usize, String> {
    match parse_size(text)? {
        size if size < Settings::LEAST_MEMORY => Err("the smallest memory limit is 32MiB".to_owned()),
        size => Ok(size),
    }
}

/// A number of rejected lines, or a share of all lines.
///
/// # Errors
/// A message if it is neither.
pub fn parse_max_errors(text: &str) -> Result<MaxErrors, String> {
    let fail = || format!("`{text}` is neither a whole number nor a percentage such as 0.5%");
    match text.strip_suffix('%') {
        Some(percent) => match percent.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxErrors::Percent(percent)),
            _ => Err(fail()),
        },
        None => text.parse().map(MaxErrors::Count).map_err(|_| fail()),
    }
}

/// A number of bytes or records in three digits and a prefix of 1000: `1.23 G`.
pub fn scaled(number: f64) -> String {
    let mut scaled = number;
    for prefix in ["", "k", "M", "G", "T"] {
        if scaled < 999.5 || prefix == "T" {
            let digits = match scaled {
                ..9.995 if !prefix.is_empty() => 2,
                ..99.95 if !prefix.is_empty() => 1,
                _ => 0,
            };
            return format!("{scaled:.digits$} {prefix}");
        }
        scaled /= 1000.0;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("64KiB"), Ok(65536));
        assert_eq!(parse_size("1.5g"), Ok(3 << 29));
        assert!(parse_size("much").is_err());
        assert!(parse_size("").is_err());
        assert!(parse_size("99999999999G").is_err());
        assert!(parse_memory("1MiB").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("2"), Ok(Duration::from_secs(2)));
        for text in ["", "s", "0s", "-1s", "1d", "1e9h", "99999999999999999999h"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn budgets() {
        assert_eq!(parse_max_errors("10"), Ok(MaxErrors::Count(10)));
        assert_eq!(parse_max_errors("0.5%"), Ok(MaxErrors::Percent(0.5)));
        assert!(parse_max_errors("101%").is_err());
        assert!(parse_max_errors("-1").is_err());
        assert!(parse_max_errors("NaN%").is_err());
    }

    #[test]
    fn people_read_them() {
        assert_eq!(scaled(1234.0), "1.23 k");
        assert_eq!(scaled(12.0), "12 ");
    }
}
