//! Where rows end.

use super::spec::RowFormat;

/// The number of bytes that the whole rows at the start of `rows` take if they must not be more than `room`; 0 if
/// the first row is longer. All of `rows` are whole.
pub(super) fn within(rows: &[u8], room: usize, format: RowFormat) -> usize {
    if rows.len() <= room {
        return rows.len();
    }
    let rows = &rows[..room];
    match format.has_quotes() {
        false => memchr::memrchr(b'\n', rows).map_or(0, |end| end + 1),
        true => ends(rows).last().unwrap_or(0),
    }
}

/// The number of bytes of the first row.
pub(super) fn first(rows: &[u8], format: RowFormat) -> usize {
    let end = match format.has_quotes() {
        false => memchr::memchr(b'\n', rows).map(|end| end + 1),
        true => ends(rows).next(),
    };
    end.unwrap_or(rows.len())
}

/// The number of rows.
pub(super) fn count(rows: &[u8], format: RowFormat) -> u64 {
    let count = match format.has_quotes() && memchr::memchr(b'"', rows).is_some() {
        false => memchr::memchr_iter(b'\n', rows).count(),
        true => ends(rows).count(),
    };
    count as u64
}

/// Where rows end: after newlines with an even number of quotes before them, as a quote within quotes is doubled.
fn ends(rows: &[u8]) -> impl Iterator<Item = usize> {
    let mut is_quoted = false;
    let mut start = 0;
    // Quotes are counted, not found one by one, which is quicker where there are many.
    memchr::memchr_iter(b'\n', rows).filter_map(move |newline| {
        is_quoted ^= memchr::memchr_iter(b'"', &rows[start..newline]).count() % 2 == 1;
        start = newline + 1;
        (!is_quoted).then_some(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_in_quotes_end_no_row() {
        let rows = b"a,\"x\ny\"\"\n\"\nb,c\n\"\n\"\n";
        assert_eq!(count(rows, RowFormat::Csv), 3);
        assert_eq!(count(rows, RowFormat::Jsonl), 6);
        assert_eq!(first(rows, RowFormat::Csv), 11);
        assert_eq!(within(rows, 10, RowFormat::Csv), 0);
        assert_eq!(within(rows, 11, RowFormat::Tsv), 11);
        assert_eq!(within(rows, 18, RowFormat::Csv), 15);
        assert_eq!(within(rows, 19, RowFormat::Csv), 19);
        assert_eq!(within(rows, 10, RowFormat::Jsonl), 9);
        assert_eq!(first(b"", RowFormat::Csv), 0);
    }
}
