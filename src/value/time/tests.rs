use proptest::prelude::*;

use super::*;

fn text(moment: Timestamp) -> String {
    let mut out = Vec::new();
    write_timestamp(moment, &mut out);
    String::from_utf8(out).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text.as_bytes()).unwrap()
}

#[test]
fn moments_are_written_as_pinned() {
    for pinned in [
        "1970-01-01T00:00:00Z",
        "2025-02-22T04:21:55.483Z",
        "0000-01-01T00:00:00.000001Z",
        "9999-12-31T23:59:59.99Z",
        "-0001-12-31T23:59:59.1Z",
        "-0044-03-15T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "-200000-01-01T00:00:00Z",
    ] {
        assert_eq!(text(at(pinned)), pinned);
    }
}

#[test]
fn truncation_goes_down_to_the_start_of_the_unit() {
    let cut = |unit, from| text(truncate(Unit::from_name(unit).unwrap(), at(from)));
    let moment = "2025-11-23T13:59:58.987654Z";
    assert_eq!(cut("microseconds", moment), moment);
    assert_eq!(cut("millisecond", moment), "2025-11-23T13:59:58.987Z");
    assert_eq!(cut("second", moment), "2025-11-23T13:59:58Z");
    assert_eq!(cut("minute", moment), "2025-11-23T13:59:00Z");
    assert_eq!(cut("HOUR", moment), "2025-11-23T13:00:00Z");
    assert_eq!(cut("day", moment), "2025-11-23T00:00:00Z");
    assert_eq!(cut("week", moment), "2025-11-17T00:00:00Z");
    assert_eq!(cut("month", moment), "2025-11-01T00:00:00Z");
    assert_eq!(cut("quarter", moment), "2025-10-01T00:00:00Z");
    assert_eq!(cut("year", moment), "2025-01-01T00:00:00Z");
    assert_eq!(cut("decade", moment), "2020-01-01T00:00:00Z");
    assert_eq!(cut("century", moment), "2000-01-01T00:00:00Z");
    assert_eq!(cut("millennium", moment), "2000-01-01T00:00:00Z");
    assert_eq!(cut("decade", "-0003-05-05"), "-0010-01-01T00:00:00Z");
    assert_eq!(Unit::from_name("fortnight"), None);
}

#[test]
fn the_ends_of_the_range_do_not_overflow() {
    for days in [i32::MIN, i32::MAX] {
        let date = Date(days);
        let Civil { year, month, day } = date.civil();
        assert_eq!(Date::new(year, month, day), Some(date));
        let mut out = Vec::new();
        write_date(date, &mut out);
        assert_eq!(Date::parse(&out), Some(date));
        let _ = (date.iso_week(), date.day_of_year(), date.day_of_week(), date.quarter(), date.midnight());
        assert_eq!(Date::new(year + year.signum(), month, day), None);
    }
    assert_eq!(Date::new(i32::MAX, 12, 31), None);
    assert_eq!(Date::new(i32::MIN, 1, 1), None);
    for micros in [i64::MIN, i64::MAX] {
        let moment = Timestamp(micros);
        assert_eq!(at(&text(moment)), moment);
        for name in ["microsecond", "day", "week", "quarter", "millennium"] {
            assert!(truncate(Unit::from_name(name).unwrap(), moment) <= moment);
        }
    }
}

#[test]
fn epochs_round_down() {
    assert_eq!(Timestamp(-1).epoch_seconds(), -1);
    assert_eq!(Timestamp(-1).epoch_millis(), -1);
    assert_eq!(Timestamp(1_999_999).epoch_seconds(), 1);
    assert_eq!(Timestamp::from_epoch_seconds(-2), Some(Timestamp(-2_000_000)));
    assert_eq!(Timestamp::from_epoch_millis(i64::MAX), None);
}

#[test]
fn every_day_of_20000_years_agrees_with_jiff() {
    let mut day = jiff::civil::Date::MIN;
    let mut days = Date::new(-9999, 1, 1).unwrap().0;
    loop {
        let civil = Date(days).civil();
        assert_eq!((civil.year, civil.month, civil.day), (day.year().into(), day.month() as u32, day.day() as u32));
        assert_eq!(Date::new(civil.year, civil.month, civil.day), Some(Date(days)));
        if let Ok(year) = u32::try_from(civil.year) {
            assert_eq!(days_from_century(year / 100, year % 100, civil.month, civil.day), Some(days));
            let after = days_from_century(year / 100, year % 100, civil.month, civil.day + 1);
            assert_eq!(after, Date::new(civil.year, civil.month, civil.day + 1).map(|date| date.0));
        }
        if day == jiff::civil::Date::MAX {
            break;
        }
        day = day.tomorrow().unwrap();
        days += 1;
    }
    assert_eq!(Date::new(9999, 12, 31), Some(Date(days)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn parts_agree_with_jiff(micros in -377_000_000_000_000_000i64..=253_000_000_000_000_000) {
        let moment = Timestamp(micros);
        let civil = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_microsecond(micros).unwrap());
        let date = moment.date();
        prop_assert_eq!(date.civil().year, i32::from(civil.year()));
        prop_assert_eq!(date.day_of_year(), civil.day_of_year() as u32);
        prop_assert_eq!(date.day_of_week(), civil.weekday().to_sunday_zero_offset() as u32);
        let week = civil.date().iso_week_date();
        prop_assert_eq!(date.iso_week(), (week.year().into(), week.week() as u32));
        let time = (moment.hour(), moment.minute(), moment.second(), moment.microsecond());
        let expected = (civil.hour() as u32, civil.minute() as u32, civil.second() as u32);
        prop_assert_eq!(time, (expected.0, expected.1, expected.2, civil.subsec_nanosecond() as u32 / 1000));
        prop_assert_eq!(at(&text(moment)), moment);
        if civil.year() >= 0 {
            prop_assert_eq!(text(moment), format!("{civil}Z"));
        }
    }

    #[test]
    fn truncation_is_the_largest_start_that_is_not_above(micros in any::<i64>()) {
        let moment = Timestamp(micros / 2);
        let units = ["microsecond", "millisecond", "second", "minute", "hour", "day", "month", "quarter", "year"];
        let mut last = moment;
        for name in units {
            let unit = Unit::from_name(name).unwrap();
            let start = truncate(unit, moment);
            prop_assert!(start <= last, "{}", name);
            prop_assert_eq!(truncate(unit, start), start);
            last = start;
        }
        let week = truncate(Unit::Week, moment);
        prop_assert!(week <= moment && moment.0 - week.0 < 7 * MICROS_PER_DAY);
        prop_assert_eq!(week.date().day_of_week(), 1);
    }
}
