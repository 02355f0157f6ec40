//! Charts of one key and a few numbers: bars, or a line where the key runs on like time does.

mod bars;
mod line;
#[cfg(test)]
mod tests;

use unicode_width::UnicodeWidthStr;

use super::sink::Look;
use super::table::{CellKind, Grid, GridCell, cut, printable};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Date, Timestamp};

/// The most numbers beside the key.
const MOST_MEASURES: usize = 3;
/// The width where none is known.
const WIDTH: usize = 80;
/// The narrowest chart, in columns of a terminal.
pub const MIN_WIDTH: usize = 20;
/// From this number of points on a key that runs on makes a line.
const LINE_POINTS: usize = 30;
/// Measures share a scale unless one of them would be shorter than this part of another.
const SHARED: f64 = 20.0;
/// Cyan, yellow, magenta.
const COLORS: [&str; MOST_MEASURES] = ["\x1b[36m", "\x1b[33m", "\x1b[35m"];
const RESET: &str = "\x1b[0m";

/// What a chart shows.
struct Chart {
    /// The name of the key.
    key: String,
    /// For each row the key's text, and its place if the key is a number or a moment.
    keys: Vec<(String, Option<f64>)>,
    measures: Vec<Measure>,
    width: usize,
    color: bool,
}

struct Measure {
    name: String,
    /// For each row the value; `None` is NULL.
    values: Vec<Option<f64>>,
    /// How the values stand in the rows.
    texts: Vec<String>,
}

impl Measure {
    /// A value as a label of at most so many columns, of which there are 7 or more.
    fn label(&self, row: usize, width: usize) -> String {
        self.values[row].map_or_else(|| "NULL".to_owned(), |value| label(value, &self.texts[row], width))
    }

    /// The least and the greatest value, 0 among them if `zero`.
    fn range(&self, zero: bool) -> (f64, f64) {
        let start = if zero { (0.0, 0.0) } else { (f64::INFINITY, f64::NEG_INFINITY) };
        let range = self.values.iter().flatten().fold(start, |(low, high), &value| (low.min(value), high.max(value)));
        if range.0 <= range.1 { range } else { (0.0, 0.0) }
    }
}

/// Checks the number of columns, before anything is read.
///
/// # Errors
/// [`ErrorKind::Usage`], with what to do.
pub(crate) fn check_columns(names: Option<&[String]>) -> Result<()> {
    let message = match names.map(<[String]>::len) {
        Some(columns) if (2..=MOST_MEASURES + 1).contains(&columns) => return Ok(()),
        Some(1) => "a chart needs a key and one to three numbers; this query has one column".to_owned(),
        Some(columns) => format!("a chart shows a key and one to three numbers; this query has {columns} columns"),
        None => "a chart needs to know the columns, which `*` does not tell".to_owned(),
    };
    Err(usage(message))
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message).hint("for example: select status, count(*) as orders group by status")
}

/// Draws JSON rows.
///
/// # Errors
/// [`ErrorKind::Usage`] if there is not one key beside numbers.
pub(super) fn draw(rows: &[u8], names: Option<&[String]>, look: Look) -> Result<String> {
    check_columns(names)?;
    let chart = Chart::of(Grid::of(rows, names, printable), look)?;
    if chart.keys.is_empty() {
        return Ok("no rows\n".to_owned());
    }
    Ok(if chart.runs_on() && chart.keys.len() >= LINE_POINTS { line::draw(&chart) } else { bars::draw(&chart) })
}

impl Chart {
    fn of(grid: Grid, look: Look) -> Result<Chart> {
        let Grid { header, cells } = grid;
        let column = |number: usize| cells.iter().filter_map(move |row| row.get(number));
        // A column of nothing but NULL may be anything.
        let others: Vec<usize> =
            (0..header.len()).filter(|&number| column(number).any(|cell| cell.kind == CellKind::Other)).collect();
        let key = match others[..] {
            [] => 0,
            [key] => key,
            [first, second, ..] => {
                let message =
                    format!("a chart has one key; `{}` and `{}` are no numbers", header[first], header[second]);
                return Err(Error::new(ErrorKind::Usage, message).hint(
                    "join them to one (a || ' ' || b as key), or leave one out; sum, count and avg make numbers",
                ));
            }
        };
        let measures = (0..header.len()).filter(|&number| number != key).map(|number| Measure {
            name: header[number].clone(),
            values: column(number).map(value).collect(),
            texts: column(number).map(|cell| cell.text.clone()).collect(),
        });
        Ok(Chart {
            measures: measures.collect(),
            keys: column(key).map(|cell| (key_text(cell), place(cell))).collect(),
            key: header[key].clone(),
            width: look.width.unwrap_or(WIDTH).max(MIN_WIDTH),
            color: look.color,
        })
    }

    /// Whether the keys are numbers or moments that only rise or only fall.
    fn runs_on(&self) -> bool {
        let Some(places) = self.keys.iter().map(|(_, place)| *place).collect::<Option<Vec<f64>>>() else {
            return false;
        };
        places.windows(2).all(|pair| pair[0] < pair[1]) || places.windows(2).all(|pair| pair[0] > pair[1])
    }

    /// Whether one scale serves all measures.
    fn shares_scale(&self) -> bool {
        let sizes = self.measures.iter().map(|measure| {
            let (low, high) = measure.range(true);
            high.max(-low)
        });
        let (least, most) =
            sizes.filter(|size| *size > 0.0).fold((f64::INFINITY, 0.0_f64), |(a, b), size| (a.min(size), b.max(size)));
        most / SHARED <= least
    }

    /// A text in the colour of a measure.
    fn painted(&self, measure: usize, text: &str) -> String {
        match self.color && !text.trim().is_empty() {
            true => format!("{}{text}{RESET}", COLORS[measure]),
            false => text.to_owned(),
        }
    }

    /// The names of the measures with their glyphs and what stands behind each, in as many lines of a width as they need.
    fn legend(&self, glyphs: [char; MOST_MEASURES], behind: &[String], width: usize) -> Vec<String> {
        let mut lines: Vec<(String, usize)> = Vec::new();
        for (number, measure) in self.measures.iter().enumerate() {
            let behind = behind.get(number).map_or("", String::as_str);
            let room = width.saturating_sub(2);
            let name = match room.saturating_sub(behind.width()) {
                0..4 => cut(&measure.name, room).into_owned(),
                room => format!("{}{behind}", cut(&measure.name, room)),
            };
            let own = 2 + name.width();
            let entry = format!("{} {name}", self.painted(number, &glyphs[number].to_string()));
            match lines.last_mut() {
                Some((line, used)) if *used + 3 + own <= width => {
                    line.push_str("   ");
                    line.push_str(&entry);
                    *used += 3 + own;
                }
                _ => lines.push((entry, own)),
            }
        }
        lines.into_iter().map(|(line, _)| line).collect()
    }
}

fn value(cell: &GridCell) -> Option<f64> {
    let number = (cell.kind == CellKind::Number).then(|| cell.text.parse::<f64>().ok())??;
    // What is beyond floats is as far as floats go.
    Some(number.clamp(f64::MIN, f64::MAX))
}

fn key_text(cell: &GridCell) -> String {
    match cell.kind {
        CellKind::Null => "NULL".to_owned(),
        _ if cell.text.is_empty() => "''".to_owned(),
        _ => cell.text.clone(),
    }
}

/// The place of a key on an axis: a number, or a moment in microseconds.
fn place(cell: &GridCell) -> Option<f64> {
    match cell.kind {
        CellKind::Null => None,
        CellKind::Number => value(cell),
        CellKind::Other => {
            let text = cell.text.as_bytes();
            let day = || Date::parse(text).map(|day| f64::from(day.0) * 86_400e6);
            Timestamp::parse(text).map(|moment| moment.0 as f64).or_else(day)
        }
    }
}

/// A value as a label: integers with their digits in groups, others with as many digits as tell something, fewer where there
/// is no room for them.
fn label(value: f64, text: &str, width: usize) -> String {
    let is_integer = !text.contains(['.', 'e', 'E']);
    let whole = match is_integer && text.len() <= 16 {
        true => grouped(text),
        // What is beyond floats stands as it was written.
        false if text.parse().is_ok_and(f64::is_infinite) => text.to_owned(),
        false => return short(value, width),
    };
    match whole.width() <= width {
        true => whole,
        false if text.parse().is_ok_and(f64::is_infinite) => {
            (if value < 0.0 { "<-1e308" } else { ">1e308" }).to_owned()
        }
        false => short(value, width),
    }
}

/// A number in about four digits that count, or in fewer if these take more columns than there are.
fn short(value: f64, width: usize) -> String {
    let whole = digits_that_count(value);
    let powers = (0..3).rev().map(|digits| format!("{value:.digits$e}"));
    std::iter::once(whole).chain(powers).find(|text| text.len() <= width).unwrap_or_else(|| format!("{value:.0e}"))
}

/// A number in about four digits that count.
fn digits_that_count(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = match size {
        0.0 => 0,
        size if size >= 1000.0 => usize::from(size < 10_000.0),
        size if size >= 100.0 => 2,
        size if size >= 1.0 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    match trimmed.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(trimmed),
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
