//! Which rows a condition leaves, without a truth value for each row.
//!
//! `a and b` evaluates `b` over the rows that `a` leaves, and so on along the chain. Rows for which a condition is NULL
//! are not selected in the end, but go on until then, as SQL evaluates the rest of the chain for them, too.

use bumpalo::Bump;

use super::eval::truth;
use super::frame::Frame;
use super::vector::Vector;
use super::{Comparison, Condition, Expr, Literal, Site};
use crate::scan::{Cell, Kind, Short, Tiny};
use crate::value::text;

impl Condition {
    /// Puts the rows, of those given, for which the condition is true into `selected`. Rows are given in rising order.
    pub fn select<'a>(&'a self, frame: &Frame<'a>, rows: &[u32], selected: &mut Vec<u32>) {
        selected.clear();
        if let Some(known) = frame.known_selection(&self.expr, rows) {
            selected.extend_from_slice(known);
            return;
        }
        let Open { rows, unknown } = open(&self.expr, &self.site, frame, rows);
        if unknown.is_empty() {
            selected.extend_from_slice(rows);
        } else {
            let mut unknown = unknown.iter().peekable();
            selected.extend(rows.iter().filter(|row| unknown.next_if_eq(row).is_none()));
        }
    }

    /// Adds a condition to another, if there is one: both have to hold.
    pub(crate) fn also(first: &mut Option<Condition>, second: Condition) {
        *first = Some(match first.take() {
            None => second,
            Some(Condition { expr, site }) => {
                Condition { expr: Expr::And(Box::new(expr), Box::new(second.expr), site.clone()), site }
            }
        });
    }

    /// The rows, of those given, for which the condition is not false. Rows are given in rising order.
    pub fn not_false<'a>(&'a self, frame: &Frame<'a>, rows: &[u32]) -> Vec<u32> {
        open(&self.expr, &self.site, frame, rows).rows.to_vec()
    }
}

/// The rows for which a condition is not false.
struct Open<'a> {
    /// In rising order.
    rows: &'a [u32],
    /// Those of them for which it is NULL.
    unknown: Vec<u32>,
}

fn open<'a>(expr: &'a Expr, site: &Site, frame: &Frame<'a>, rows: &[u32]) -> Open<'a> {
    if let Expr::And(left, right, site) = expr {
        let left = open(left, site, frame, rows);
        let mut right = open(right, site, frame, left.rows);
        if !left.unknown.is_empty() {
            right.unknown.extend(left.unknown.iter().filter(|row| right.rows.binary_search(row).is_ok()));
            right.unknown.sort_unstable();
            right.unknown.dedup();
        }
        return right;
    }
    if let Some(open) = TextTest::of(expr, frame).and_then(|test| test.open(frame.arena, rows)) {
        return open;
    }
    let truth = truth(expr, site, frame, rows);
    let (mut left, mut unknown) = (Left::new(frame.arena, rows.len()), Vec::new());
    for (&row, truth) in rows.iter().zip(truth) {
        if truth.is_none() {
            unknown.push(row);
        }
        left.push_if(row, *truth != Some(false));
    }
    Open { rows: left.rows(), unknown }
}

/// Rows that are left of some. Each is written, and stays if it is left: that is no branch, as it would be hard to
/// predict.
struct Left<'a> {
    rows: &'a mut [u32],
    count: usize,
}

impl<'a> Left<'a> {
    fn new(arena: &'a Bump, len: usize) -> Left<'a> {
        Left { rows: arena.alloc_slice_fill_copy(len, 0), count: 0 }
    }

    #[inline(always)]
    fn push_if(&mut self, row: u32, is_left: bool) {
        if let Some(place) = self.rows.get_mut(self.count) {
            *place = row;
            self.count += usize::from(is_left);
        }
    }

    /// Adds those rows whose cell covers a text, or that do not if `negated`, up to the first one of which [`Tiny`] cannot
    /// tell. Gives that row and those behind it. In a function of its own, which leaves all registers to the loop.
    #[inline(never)]
    fn push_plain<'r>(
        &mut self,
        block: &[u8],
        cells: &[Cell],
        rows: &'r [u32],
        text: &Tiny,
        negated: bool,
    ) -> &'r [u32] {
        let (text, mut count) = (*text, self.count);
        for (i, &row) in rows.iter().enumerate() {
            let (Some(place), Some(found)) = (self.rows.get_mut(count), text.is_at(block, cells[row as usize])) else {
                self.count = count;
                return &rows[i..];
            };
            *place = row;
            count += usize::from(found != negated);
        }
        self.count = count;
        &[]
    }

    fn rows(self) -> &'a [u32] {
        &self.rows[..self.count]
    }
}

/// A field of records beside text literals: `field = 'a'`, `field <> 'a'`, `field in ('a', 'b')`, `field not in (…)`. Plain
/// text is compared where it lies.
pub(super) struct TextTest<'a> {
    block: &'a [u8],
    cells: &'a [Cell],
    wanted: Vec<Wanted<'a>>,
    negated: bool,
}

/// A text that fields are compared with.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    text: &'a [u8],
    short: Option<Short>,
}

impl<'a> TextTest<'a> {
    /// The test that an expression is, if it is one.
    pub(super) fn of(expr: &'a Expr, frame: &Frame<'a>) -> Option<TextTest<'a>> {
        let (field, literals, negated) = match expr {
            Expr::Compare { op: op @ (Comparison::Equal | Comparison::NotEqual), left, right, .. } => {
                let (field, literal) = if let Expr::Field { .. } = **left { (left, right) } else { (right, left) };
                (field, std::slice::from_ref(&**literal), *op == Comparison::NotEqual)
            }
            Expr::In { operand, list, negated, .. } => (operand, &list[..], *negated),
            _ => return None,
        };
        let Expr::Field { column, .. } = **field else { return None };
        let wanted = |literal: &'a Expr| match literal {
            Expr::Literal(Literal::Text(text)) => {
                Some(Wanted { text: text.as_bytes(), short: Short::of(text.as_bytes()) })
            }
            _ => None,
        };
        let wanted = literals.iter().map(wanted).collect::<Option<Vec<Wanted>>>()?;
        let (block, cells) = frame.cells(column)?;
        Some(TextTest { block, cells, wanted, negated })
    }

    /// The truth values in some rows; [`None`] if there is anything but text and NULL.
    pub(super) fn eval(&self, arena: &'a Bump, rows: &[u32]) -> Option<Vector<'a>> {
        let truths = arena.alloc_slice_fill_copy(rows.len(), None);
        for (truth, &row) in truths.iter_mut().zip(rows) {
            *truth = self.truth(arena, self.cells[row as usize])?;
        }
        Some(Vector::Bools(truths))
    }

    fn open(&self, arena: &'a Bump, rows: &[u32]) -> Option<Open<'a>> {
        let (mut left, mut unknown) = (Left::new(arena, rows.len()), Vec::new());
        let tiny = match self.wanted[..] {
            [Wanted { text, .. }] => Tiny::of(text),
            _ => None,
        };
        let mut rest = rows;
        loop {
            if let Some(tiny) = &tiny {
                rest = left.push_plain(self.block, self.cells, rest, tiny, self.negated);
            }
            let Some((&row, others)) = rest.split_first() else { break };
            let truth = self.truth(arena, self.cells[row as usize])?;
            if truth.is_none() {
                unknown.push(row);
            }
            left.push_if(row, truth != Some(false));
            rest = others;
        }
        Some(Open { rows: left.rows(), unknown })
    }

    /// The test's truth for a cell; [`None`] if that is anything but text and NULL.
    #[inline(always)]
    fn truth(&self, arena: &'a Bump, cell: Cell) -> Option<Option<bool>> {
        let block = self.block;
        let found = match (cell.kind(), &self.wanted[..]) {
            (Kind::Text, [Wanted { short: Some(short), .. }]) => short.is_at(block, cell.range()),
            (Kind::Text, wanted) => match Short::within(block, cell.range()) {
                Some(short) => wanted.iter().fold(false, |found, wanted| found | (wanted.short == Some(short))),
                None => wanted.iter().any(|wanted| wanted.text == cell.bytes(block)),
            },
            (Kind::Missing | Kind::Null, _) => return Some(None),
            (Kind::Escaped, wanted) => {
                let text = text::unescape(cell.bytes(block), arena);
                wanted.iter().any(|wanted| wanted.text == text)
            }
            _ => return None,
        };
        Some(Some(found != self.negated))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::exec::{Arguments, Run, Settings};

    /// What a query gives for some lines, and how often values had wrong types.
    fn answer(query: &str, lines: &str) -> (Vec<String>, u64) {
        let plan = crate::sql::plan(query).unwrap();
        let run = Run::prepare(
            plan,
            &mut Arguments::reader(std::io::Cursor::new(lines.to_owned()), "-"),
            Settings::default(),
            false,
        );
        let outcome = run.unwrap().execute(Vec::new(), None);
        let faults = outcome.summary.faults.iter().map(|fault| fault.count).sum();
        (String::from_utf8(outcome.result.unwrap()).unwrap().lines().map(str::to_owned).collect(), faults)
    }

    fn field() -> impl Strategy<Value = String> {
        let values = [
            "",
            r#""x":null,"#,
            r#""x":"a","#,
            r#""x":"\u0061","#,
            r#""x":"b\n","#,
            r#""x":"longer than 16 bytes","#,
            r#""x":"longer than 48 bytes, which is as long as a short text may be","#,
            r#""x":1,"#,
            r#""x":true,"#,
        ];
        // Values of a wrong type in some of the cases only, as they change the way for all rows.
        (0..values.len(), any::<bool>())
            .prop_map(move |(value, any)| values[if any { value } else { value % 7 }].to_owned())
    }

    fn condition() -> impl Strategy<Value = String> {
        let texts = prop::sample::select(vec![
            "x = 'a'",
            "'b\n' = x",
            "x <> 'a'",
            "x in ('a', 'longer than 16 bytes')",
            "x not in ('a', 'b\n', 'longer than 48 bytes, which is as long as a short text may be')",
            "x in ('a', null)",
            "y = 'a'",
            "x > 'a'",
            "x is null",
        ]);
        let leaf = texts.prop_map(str::to_owned);
        leaf.prop_recursive(3, 8, 2, |inner| {
            (inner.clone(), prop::sample::select(vec!["and", "and", "or"]), inner)
                .prop_map(|(left, op, right)| format!("({left} {op} {right})"))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn selects_the_rows_for_which_the_condition_is_true(
            fields in prop::collection::vec((field(), field()), 1..12),
            condition in condition(),
        ) {
            let lines: String = fields
                .iter()
                .enumerate()
                .map(|(row, (x, y))| format!("{{{x}{}\"row\":{row}}}\n", y.replace('x', "y")))
                .collect();
            let (selected, faults) = answer(&format!("row where {condition}"), &lines);
            let (truths, expected_faults) = answer(&format!("row, {condition} as truth"), &lines);
            let end = ",\"truth\":true}";
            let expected: Vec<String> =
                truths.iter().filter_map(|row| row.strip_suffix(end)).map(|row| format!("{row}}}")).collect();
            prop_assert_eq!(selected, expected);
            prop_assert_eq!(faults, expected_faults);
        }
    }
}
