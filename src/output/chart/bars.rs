//! Bars: a line for each key and measure, from zero to the right, or to the left where values are negative.

use unicode_width::UnicodeWidthStr;

use super::super::table::cut;
use super::{Chart, MOST_MEASURES};

/// The most rows that are shown.
const MOST_ROWS: usize = 50;
/// What the bars of each measure are made of. They are told apart without colours.
const GLYPHS: [char; MOST_MEASURES] = ['█', '▒', '░'];
/// The ends of a bar of full blocks, in eighths.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
/// The fewest columns for bars.
const MIN_BARS: usize = 4;

/// Where bars go.
struct Plane {
    /// The columns to the left of zero, and to the right of it.
    left: usize,
    right: usize,
    /// The value that a whole side would stand for: for each measure to the left and to the right.
    scales: Vec<(f64, f64)>,
}

pub(super) fn draw(chart: &Chart) -> String {
    let shown = chart.keys.len().min(MOST_ROWS);
    let measures = chart.measures.len();
    let mut out = String::new();
    let keys = chart.keys[..shown].iter().map(|(key, _)| key.width());
    let key_width = keys.max().unwrap_or(0).max(chart.key.width()).min((chart.width / 3).max(4));
    let beside = chart.width.saturating_sub(key_width + 2);
    let most = beside.saturating_sub(1 + MIN_BARS);
    let labels: Vec<Vec<String>> =
        chart.measures.iter().map(|measure| (0..shown).map(|row| measure.label(row, most)).collect()).collect();
    let label_width = labels.iter().flatten().map(|label| label.width()).max().unwrap_or(0);
    let plane = Plane::of(chart, shown, beside.saturating_sub(1 + label_width).max(MIN_BARS));
    let mut legend = match measures {
        1 => vec![cut(&chart.measures[0].name, beside).into_owned()],
        _ => chart.legend(GLYPHS, &[], beside),
    };
    if measures > 1 && !chart.shares_scale() {
        let note = "(each to its own scale)";
        match legend.last_mut() {
            Some(line) if legend_width(chart) + 3 + note.len() <= beside => line.push_str(&format!("   {note}")),
            _ => legend.push(cut(note, beside).into_owned()),
        }
    }
    for (number, line) in legend.iter().enumerate() {
        push_row(&mut out, if number == 0 { &chart.key } else { "" }, key_width, line);
    }
    for (row, (key, _)) in chart.keys[..shown].iter().enumerate() {
        for (number, measure) in chart.measures.iter().enumerate() {
            let key = if number == 0 { key.as_str() } else { "" };
            let axis = if plane.left > 0 { "│" } else { "" };
            let bar = match measure.values[row] {
                None => format!("{}{axis} NULL", " ".repeat(plane.left)),
                Some(value) => {
                    let (left, right) = plane.bar(value, number);
                    format!(
                        "{}{axis}{} {}",
                        chart.painted(number, &left),
                        chart.painted(number, &right),
                        labels[number][row]
                    )
                }
            };
            push_row(&mut out, key, key_width, &bar);
        }
    }
    let left_out = chart.keys.len() - shown;
    if left_out > 0 {
        let rows = if left_out == 1 { "row is" } else { "rows are" };
        out.push_str(&format!(
            "… {left_out} more {rows} not shown: `order by` and `limit {MOST_ROWS}` choose which are shown\n"
        ));
    }
    out
}

/// The columns of the legend on one line.
fn legend_width(chart: &Chart) -> usize {
    chart.measures.iter().map(|measure| measure.name.width() + 5).sum::<usize>().saturating_sub(3)
}

fn push_row(out: &mut String, key: &str, width: usize, rest: &str) {
    let key = cut(key, width);
    let padding = " ".repeat(width.saturating_sub(key.width()));
    out.push_str(format!("{key}{padding}  {rest}").trim_end());
    out.push('\n');
}

impl Plane {
    fn of(chart: &Chart, shown: usize, room: usize) -> Plane {
        let range = |measure: &super::Measure| {
            let values = measure.values[..shown].iter().flatten();
            values.fold((0.0_f64, 0.0_f64), |(low, high), &value| (low.min(value), high.max(value)))
        };
        let ranges: Vec<(f64, f64)> = chart.measures.iter().map(range).collect();
        let widest = ranges.iter().fold((0.0_f64, 0.0_f64), |(low, high), &(l, h)| (low.min(l), high.max(h)));
        let shares = chart.shares_scale();
        // The part of each side, for the measure that has the greatest part to the left.
        let part = |(low, high): (f64, f64)| {
            let (low, high) = (-low / 2.0, high / 2.0);
            if low + high > 0.0 { low / (low + high) } else { 0.0 }
        };
        let parts = ranges.iter().map(|&range| part(if shares { widest } else { range }));
        let most = parts.fold(0.0_f64, f64::max);
        let negative = most > 0.0;
        let room = room - usize::from(negative);
        let left = if negative { ((room as f64 * most).round() as usize).clamp(1, room - 1) } else { 0 };
        let right = room - left;
        let scale = |&range: &(f64, f64)| {
            let (low, high) = if shares { widest } else { range };
            // A column stands for the same on both sides: the side that needs more decides.
            let unit = (-low / left.max(1) as f64).max(high / right as f64);
            (unit * left as f64, unit * right as f64)
        };
        Plane { left, right, scales: ranges.iter().map(scale).collect() }
    }

    /// The two sides of a bar. The left one fills all of its columns.
    fn bar(&self, value: f64, measure: usize) -> (String, String) {
        let (left_scale, right_scale) = self.scales[measure];
        let eighths = |share: f64, columns: usize| ((share * columns as f64 * 8.0).round() as usize).min(columns * 8);
        if value < 0.0 {
            let length = eighths(-value / left_scale, self.left);
            // There are no eighths that grow to the left, but halves.
            let (whole, half) = match measure {
                0 => (length / 8, if length % 8 >= 4 || length < 8 { "▐" } else { "" }),
                _ => ((length / 8).max(1), ""),
            };
            let padding = self.left.saturating_sub(whole + usize::from(!half.is_empty()));
            (format!("{}{half}{}", " ".repeat(padding), GLYPHS[measure].to_string().repeat(whole)), String::new())
        } else {
            let length = if value > 0.0 { eighths(value / right_scale, self.right) } else { 0 };
            let mut right = GLYPHS[measure].to_string().repeat(match measure {
                0 => length / 8,
                _ => (length + 4) / 8,
            });
            if measure == 0 && length % 8 > 0 {
                right.push(EIGHTHS[length % 8]);
            }
            if right.is_empty() && value > 0.0 {
                // What is not zero is seen.
                right.push(if measure == 0 { EIGHTHS[1] } else { GLYPHS[measure] });
            }
            (" ".repeat(self.left), right)
        }
    }
}
