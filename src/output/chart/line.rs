//! Lines: the key runs to the right, the measures go up. A single measure is drawn in braille dots, two columns and four
//! rows of them to a character; several are drawn with a glyph for each.

use unicode_width::UnicodeWidthStr;

use super::super::table::cut;
use super::{Chart, MOST_MEASURES, Measure, short};

/// The lines of the plane.
const HEIGHT: usize = 15;
/// The fewest columns of the plane.
const MIN_COLUMNS: usize = 8;
const GLYPHS: [char; MOST_MEASURES] = ['●', '×', '○'];
/// The bits of the dots of a braille character, by row and column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
const BRAILLE: u32 = 0x2800;

pub(super) fn draw(chart: &Chart) -> String {
    let single = chart.measures.len() == 1;
    let shares = chart.shares_scale();
    let own: Vec<(f64, f64)> = chart.measures.iter().map(scale).collect();
    let shared = own.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &(low, high)| (a.min(low), b.max(high)));
    let room = chart.width.saturating_sub(2 + MIN_COLUMNS);
    let ticks = match shares {
        true => [shared.1, middle(shared), shared.0].map(|value| short(value, room)),
        false => Default::default(),
    };
    let tick_width = ticks.iter().map(|tick| tick.width()).max().unwrap_or(0);
    let columns = chart.width.saturating_sub(tick_width + 2).max(MIN_COLUMNS);
    let (across, down) = if single { (2, 4) } else { (1, 1) };

    let mut plane = vec![vec![(0_u32, 0_usize); columns]; HEIGHT];
    for (number, measure) in chart.measures.iter().enumerate() {
        let scale = if shares { shared } else { own[number] };
        for (x, y) in points(chart, measure, scale, columns * across, HEIGHT * down) {
            let (bits, owner) = &mut plane[y / down][x / across];
            *bits |= DOTS[y % down][x % across];
            *owner = number;
        }
    }

    let mut out = match single {
        true => format!("{}\n", cut(&chart.measures[0].name, chart.width)),
        false => legend(chart, &own).iter().map(|line| format!("{line}\n")).collect(),
    };
    for (number, row) in plane.iter().enumerate() {
        let tick = match number {
            0 => &ticks[0],
            number if number == HEIGHT / 2 => &ticks[1],
            number if number == HEIGHT - 1 => &ticks[2],
            _ => "",
        };
        let cells: String = row.iter().map(|&(bits, owner)| shown(chart, bits, owner, single)).collect();
        let line = format!("{tick:>tick_width$} │{cells}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{:tick_width$} └{}\n", "", "─".repeat(columns)));
    out.push_str(&keys(chart, tick_width + 2, columns));
    for measure in &chart.measures {
        let nulls = measure.values.iter().filter(|value| value.is_none()).count();
        if nulls > 0 {
            let points = measure.values.len();
            out.push_str(&format!("{nulls} of {points} values of {} are NULL: the line has gaps\n", measure.name));
        }
    }
    out
}

/// From the least to the greatest value, with zero if it is not far.
fn scale(measure: &Measure) -> (f64, f64) {
    let (low, high) = measure.range(false);
    let (low, high) = match (low, high) {
        (low, high) if low > 0.0 && low <= high / 2.0 => (0.0, high),
        (low, high) if high < 0.0 && high >= low / 2.0 => (low, 0.0),
        range => range,
    };
    match low < high {
        true => (low, high),
        // A flat line runs through the middle.
        false => (low - low.abs().max(1.0) / 2.0, high + high.abs().max(1.0) / 2.0),
    }
}

fn middle((low, high): (f64, f64)) -> f64 {
    low / 2.0 + high / 2.0
}

/// The dots of a line, from the left; rows count from the top.
fn points(chart: &Chart, measure: &Measure, scale: (f64, f64), columns: usize, rows: usize) -> Vec<(usize, usize)> {
    let place = |row: usize| chart.keys[row].1.unwrap_or(row as f64);
    let keys = (place(0), place(chart.keys.len() - 1));
    let share = |value: f64, (low, high): (f64, f64)| {
        let span = high / 2.0 - low / 2.0;
        if span == 0.0 { 0.5 } else { ((value / 2.0 - low / 2.0) / span).clamp(0.0, 1.0) }
    };
    let dot = |share: f64, size: usize| (share * (size - 1) as f64).round() as usize;
    let mut out = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    for (row, value) in measure.values.iter().enumerate() {
        let Some(value) = value else {
            last = None;
            continue;
        };
        let (x, y) = (dot(share(place(row), keys), columns), rows - 1 - dot(share(*value, scale), rows));
        let from = last.unwrap_or((x, y));
        let steps = x.abs_diff(from.0).max(y.abs_diff(from.1)).max(1);
        for step in 0..=steps {
            let part = step as f64 / steps as f64;
            let between = |a: usize, b: usize| (a as f64 + (b as f64 - a as f64) * part).round() as usize;
            out.push((between(from.0, x), between(from.1, y)));
        }
        last = Some((x, y));
    }
    out
}

fn shown(chart: &Chart, bits: u32, owner: usize, single: bool) -> String {
    match (bits, single) {
        (0, _) => " ".to_owned(),
        (bits, true) => chart.painted(owner, &char::from_u32(BRAILLE + bits).unwrap_or('•').to_string()),
        (_, false) => chart.painted(owner, &GLYPHS[owner].to_string()),
    }
}

fn legend(chart: &Chart, scales: &[(f64, f64)]) -> Vec<String> {
    let behind: Vec<String> = match chart.shares_scale() {
        true => Vec::new(),
        false => scales.iter().map(|&(low, high)| format!(" ({} to {})", short(low, 10), short(high, 10))).collect(),
    };
    chart.legend(GLYPHS, &behind, chart.width)
}

/// The first and the last key below the ends of the axis, with the name of the key between them if there is room.
fn keys(chart: &Chart, indent: usize, columns: usize) -> String {
    let key = |row: usize| cut(&chart.keys[row].0, columns / 2).into_owned();
    let (first, last) = (key(0), key(chart.keys.len() - 1));
    let name = format!("{} ({} points)", chart.key, chart.keys.len());
    let room = columns.saturating_sub(first.width() + last.width());
    let name = if name.width() + 2 <= room { name } else { String::new() };
    let before = (room - name.width()) / 2;
    let after = room - name.width() - before;
    format!("{}{first}{}{name}{}{last}\n", " ".repeat(indent), " ".repeat(before), " ".repeat(after))
}
