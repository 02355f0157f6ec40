use unicode_width::UnicodeWidthStr;

use super::*;

fn chart(names: &[&str], rows: &str, width: usize) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    draw(rows.as_bytes(), Some(&names), Look { width: Some(width), color: false }).unwrap()
}

fn error(names: &[&str], rows: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    draw(rows.as_bytes(), Some(&names), Look::default()).unwrap_err().to_string()
}

#[test]
fn bars_end_in_eighths() {
    let rows = "{\"k\":\"a\",\"n\":16}\n{\"k\":\"b\",\"n\":9}\n{\"k\":\"c\",\"n\":0}\n{\"k\":null,\"n\":null}\n";
    let expected = "k     n\na     █████████ 16\nb     █████▏ 9\nc      0\nNULL   NULL\n";
    assert_eq!(chart(&["k", "n"], rows, 20), expected);
}

#[test]
fn negative_bars_go_to_the_left() {
    let rows = "{\"k\":\"a\",\"n\":-4}\n{\"k\":\"b\",\"n\":12}\n";
    assert_eq!(chart(&["k", "n"], rows, 24), "k  n\na  ████│ -4\nb      │████████████ 12\n");
}

#[test]
fn lines_never_exceed_the_width() {
    let keys = ["a", "北京市朝阳区", "a key that is much longer than a third of the width"];
    let numbers = ["1", "-1e300", "123456789", "0.000001", "null", "-5", "1e999", "12345678901234567890"];
    for width in [20, 21, 33, 80, 200] {
        for many in [1, 3] {
            let names = &["k", "x", "y", "z"][..=many];
            let row = |i: usize| {
                let value = |m: usize| format!("\"{}\":{}", names[m], numbers[(i * m + i / 3) % numbers.len()]);
                let values: Vec<String> = (1..=many).map(value).collect();
                format!("{{\"k\":\"{}\",{}}}\n", keys[i % keys.len()], values.join(","))
            };
            let rows: String = (0..24).map(row).collect();
            let drawn = chart(names, &rows, width);
            assert!(drawn.lines().all(|line| line.width() <= width), "{width}\n{drawn}");
            // The legend may take several lines.
            assert!((1 + 24 * many..5 + 24 * many).contains(&drawn.lines().count()), "{drawn}");
        }
    }
}

#[test]
fn a_key_that_runs_on_makes_a_line() {
    let rows: String = (0..40).map(|i| format!("{{\"day\":\"2025-01-{:02}\",\"n\":{i}}}\n", i + 1)).collect();
    let rows = rows.lines().take(31).map(|line| format!("{line}\n")).collect::<String>();
    let drawn = chart(&["day", "n"], &rows, 60);
    assert!(
        drawn.contains("2025-01-01") && drawn.contains("2025-01-31") && drawn.contains("day (31 points)"),
        "{drawn}"
    );
    assert!(drawn.lines().all(|line| line.width() <= 60), "{drawn}");
    // Out of order it is no line.
    let mut turned: Vec<&str> = rows.lines().collect();
    turned.swap(3, 4);
    assert!(chart(&["day", "n"], &turned.join("\n"), 40).contains('█'));
}

#[test]
fn names_and_scales_never_exceed_the_width() {
    let names = ["key", "a measure with a long name", "日本語テキスト日本語テキスト", "z"];
    let values = ["999999999999999", "-1e300", "0.5", "123456789012345678901234567890", "1e999"];
    for width in [20, 24, 40, 100] {
        for many in [1, 2, 3] {
            let row = |i: usize| {
                let value = |m: usize| format!("\"{}\":{}", names[m], values[(i + m * many) % values.len()]);
                let values: Vec<String> = (1..=many).map(value).collect();
                format!("{{\"key\":{i},{}}}\n", values.join(","))
            };
            for rows in [5, 40] {
                let rows: String = (0..rows).map(row).collect();
                let drawn = chart(&names[..=many], &rows, width);
                assert!(drawn.lines().all(|line| line.width() <= width), "{width}\n{drawn}");
            }
        }
    }
}

#[test]
fn labels_have_fewer_digits_where_there_is_no_room() {
    assert_eq!(label(1_234_567.0, "1234567", 9), "1,234,567");
    assert_eq!(label(1_234_567.0, "1234567", 8), "1.23e6");
    assert_eq!(label(-1e300, "-1e300", 7), "-1e300");
    assert_eq!(label(-1.26e300, "-1.26e300", 7), "-1e300");
    assert_eq!(label(f64::MAX, "1e999", 7), "1e999");
    assert_eq!(label(f64::MIN, &format!("-1{}", "0".repeat(400)), 7), "<-1e308");
}

#[test]
fn rows_are_never_left_out_silently() {
    let rows: String = (0..60).map(|i| format!("{{\"k\":\"{i}\",\"n\":1}}\n")).collect();
    let drawn = chart(&["k", "n"], &rows, 40);
    assert_eq!(drawn.lines().count(), 52);
    assert!(drawn.ends_with("… 10 more rows are not shown: `order by` and `limit 50` choose which are shown\n"));
}

#[test]
fn measures_of_one_size_share_a_scale() {
    let near = chart(&["k", "a", "b"], "{\"k\":\"x\",\"a\":10,\"b\":5}\n", 30);
    assert!(!near.contains("own scale"), "{near}");
    let far = chart(&["k", "a", "b"], "{\"k\":\"x\",\"a\":1000,\"b\":5}\n", 30);
    assert!(far.contains("each to its own scale"), "{far}");
}

#[test]
fn what_does_not_fit_says_what_to_do() {
    assert!(error(&["k"], "").contains("one column"));
    assert!(error(&["a", "b", "c", "d", "e"], "").contains("5 columns"));
    assert!(error(&["k", "x"], "{\"k\":\"a\",\"x\":\"b\"}\n").contains("`k` and `x` are no numbers"));
    assert_eq!(chart(&["k", "n"], "", 80), "no rows\n");
}

#[test]
fn labels_have_the_digits_that_count() {
    let labels = [
        ("1234567", "1,234,567"),
        ("-1234", "-1,234"),
        ("0", "0"),
        ("0.0", "0"),
        ("209.80000001", "209.8"),
        ("12345.678", "12,346"),
        ("1234.56", "1,234.6"),
        ("0.012345", "0.01235"),
        ("1e-7", "1.00e-7"),
        ("1e20", "1.00e20"),
        ("123456789012345678901234567890", "1.23e29"),
        ("1e999", "1e999"),
    ];
    for (text, expected) in labels {
        let cell = GridCell { text: text.to_owned(), kind: CellKind::Number };
        assert_eq!(value(&cell).map(|value| label(value, text, 40)).as_deref(), Some(expected));
    }
}
