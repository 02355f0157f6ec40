//! Evaluation, a column at a time.

use super::compare::Adaptive;
use super::fault::{Fault, Met};
use super::frame::{Columns, Frame, cell_value};
use super::order::eval_sort_key;
use super::select::TextTest;
use super::vector::Vector;
use super::{Comparison, Expr, ItemStep, Site, Type, Virtual, arithmetic, compare, decimal};
use crate::scan::Kind;
use crate::value::{Value, json, order, text};

impl Expr {
    /// The values of the expression in the given rows of the frame: value `i` is that of row `rows[i]`.
    ///
    /// Branches that SQL does not evaluate (the rest of an AND after false, a CASE branch not taken) are not
    /// evaluated for those rows, so that they count no faults.
    pub fn eval<'a>(&'a self, frame: &Frame<'a>, rows: &[u32]) -> Vector<'a> {
        if let Some(values) = frame.known_values(self, rows) {
            return values;
        }
        let arena = frame.arena;
        if let Some(truths) = TextTest::of(self, frame).and_then(|test| test.eval(arena, rows)) {
            return truths;
        }
        match self {
            Expr::Literal(literal) => Vector::Constant(literal.value()),
            Expr::Field { column, .. } => frame.read(*column, rows),
            Expr::Column(column) => match frame.columns {
                Columns::Groups(columns) => match columns[*column] {
                    Vector::Values(values) if are_all(rows, values.len()) => Vector::Values(values),
                    vector => Vector::build(arena, rows.len(), |i| vector.get(rows[i] as usize)),
                },
                Columns::Records { .. } => Vector::Constant(Value::Null),
            },
            Expr::Virtual { name, own } => eval_virtual(*name, own, frame, rows),
            Expr::Item { operand, step } => {
                let operand = operand.eval(frame, rows);
                Vector::build(arena, rows.len(), |i| {
                    let Value::Json(text) = operand.get(i) else { return Value::Null };
                    let item = match step {
                        ItemStep::Key(key) => json::get(text, key),
                        ItemStep::Index(index) => json::index(text, *index),
                    };
                    item.map_or(Value::Null, |item| Value::from_json(item, arena))
                })
            }
            Expr::Not(operand, site) => {
                let operand = truth(operand, site, frame, rows);
                Vector::build_bools(arena, rows.len(), |i| operand[i].map(|value| !value))
            }
            Expr::And(left, right, site) => connect(false, left, right, site, frame, rows),
            Expr::Or(left, right, site) => connect(true, left, right, site, frame, rows),
            Expr::Compare { op, left, right, site } => compare::eval(*op, left, right, site, frame, rows),
            Expr::Between { operand, low, high, negated, site } => {
                compare::eval_between(operand, low, high, *negated, site, frame, rows)
            }
            Expr::Distinct { left, right, negated } => {
                let literals = (Adaptive::of(left), Adaptive::of(right));
                let (left, right) = (left.eval(frame, rows), right.eval(frame, rows));
                Vector::build_bools(arena, rows.len(), |i| {
                    let (mut left, mut right) = (left.get(i), right.get(i));
                    match literals {
                        (Some(literal), None) => left = literal.beside(left, right),
                        (None, Some(literal)) => right = literal.beside(right, left),
                        _ => {}
                    }
                    Some(order::compare(left, right).is_ne() != *negated)
                })
            }
            Expr::IsNull { operand, negated } => {
                if let Expr::Field { column, .. } = **operand
                    && let Some((_, cells)) = frame.cells(column)
                {
                    let is_null = |row: u32| matches!(cells[row as usize].kind(), Kind::Missing | Kind::Null);
                    return Vector::build_bools(arena, rows.len(), |i| Some(is_null(rows[i]) != *negated));
                }
                let operand = operand.eval(frame, rows);
                Vector::build_bools(arena, rows.len(), |i| Some(matches!(operand.get(i), Value::Null) != *negated))
            }
            Expr::IsBool { operand, value, negated } => {
                let is = |found: Option<bool>| Some((found == Some(*value)) != *negated);
                match operand.eval(frame, rows) {
                    Vector::Bools(bools) => Vector::build_bools(arena, rows.len(), |i| is(bools[i])),
                    operand => Vector::build_bools(arena, rows.len(), |i| match operand.get(i) {
                        Value::Bool(found) => is(Some(found)),
                        _ => is(None),
                    }),
                }
            }
            Expr::Arithmetic { op, left, right, site } => arithmetic::eval(*op, left, right, site, frame, rows),
            Expr::Negate(operand, site) => {
                let operand = operand.eval(frame, rows);
                let met = |i| Met::value(operand.get(i));
                map(frame, rows, site, met, |i| match operand.get(i) {
                    Value::Null => Ok(Value::Null),
                    Value::Int(value) => Ok(Value::integer(-i128::from(value))),
                    Value::Wide(value) => value.get().checked_neg().map(Value::integer).ok_or(Fault::Overflow),
                    Value::Float(value) => Ok(Value::Float(-value)),
                    Value::Decimal(value) => Ok(Value::Decimal(value.negated())),
                    Value::Interval(value) => value.checked_neg().map(Value::Interval).ok_or(Fault::Overflow),
                    _ => Err(Fault::Type),
                })
            }
            Expr::Concat(left, right, site) => {
                let (left, right) = (left.eval(frame, rows), right.eval(frame, rows));
                let mut out = Vec::new();
                let met = |i| match left.get(i) {
                    json @ Value::Json(_) => Met::value(json),
                    _ => Met::value(right.get(i)),
                };
                map(frame, rows, site, met, |i| match (left.get(i), right.get(i)) {
                    (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
                    (Value::Json(_), _) | (_, Value::Json(_)) => Err(Fault::Type),
                    (left, right) => {
                        out.clear();
                        json::to_text(left, &mut out);
                        json::to_text(right, &mut out);
                        Ok(Value::Text(arena.alloc_slice_copy(&out)))
                    }
                })
            }
            Expr::In { operand, list, negated, site } => eval_in(operand, list, *negated, site, frame, rows),
            Expr::Like { operand, pattern, negated, site } => {
                let operand = operand.eval(frame, rows);
                Vector::build_bools(arena, rows.len(), |i| match operand.get(i) {
                    Value::Null => None,
                    Value::Text(bytes) => Some(pattern.matches(&text::lossy(bytes)) != *negated),
                    other => {
                        frame.fault(site, Fault::Type, Met::value(other), rows[i]);
                        None
                    }
                })
            }
            Expr::Case { branches, otherwise, site } => eval_case(branches, otherwise, site, frame, rows),
            Expr::Coalesce(list) => eval_coalesce(list, frame, rows),
            Expr::Cast { operand, to: Type::Decimal { precision, scale }, lenient, site } => {
                decimal::eval_cast(operand, (*precision, *scale), *lenient, site, frame, rows)
            }
            Expr::Cast { operand, to, lenient, site } => {
                let operand = operand.eval(frame, rows);
                Vector::build(arena, rows.len(), |i| {
                    to.cast(operand.get(i), arena).unwrap_or_else(|fault| {
                        if !lenient {
                            frame.fault(site, fault, Met::value(operand.get(i)), rows[i]);
                        }
                        Value::Null
                    })
                })
            }
            Expr::Call { function, arguments, site } => {
                if let [Expr::Field { column, .. }] = &arguments[..]
                    && let Some((block, cells)) = frame.cells(*column)
                    && let Some(vector) = function.of_field(block, cells, rows, arena)
                {
                    return vector;
                }
                let vectors: Vec<Vector<'a>> = arguments.iter().map(|argument| argument.eval(frame, rows)).collect();
                if let Some(vector) = function.of_columns(&vectors, rows.len(), arena) {
                    return vector;
                }
                let mut values = vec![Value::Null; vectors.len()];
                // Of several arguments that vary it is not known which one is wrong.
                let mut varying = arguments.iter().zip(&vectors).filter(|(argument, _)| !argument.is_literal());
                let only = varying.next().filter(|_| varying.next().is_none()).map(|(_, vector)| *vector);
                let met = |i| only.and_then(|vector| Met::value(vector.get(i)));
                map(frame, rows, site, met, |i| {
                    for (value, vector) in values.iter_mut().zip(&vectors) {
                        *value = vector.get(i);
                    }
                    function.apply(&values, arena)
                })
            }
            Expr::SortKey(keys) => eval_sort_key(keys, frame, rows),
            Expr::Exists(operand) => eval_exists(operand, frame, rows),
        }
    }

    /// The JSON texts, as they stand in the records, of an item at the end of a path, such as `items[-1].price`. `None`
    /// if the expression is something else.
    pub fn texts<'a>(&self, frame: &Frame<'a>, rows: &[u32]) -> Option<Vec<Option<&'a [u8]>>> {
        match self {
            Expr::Field { column, .. } => {
                let (block, cells) = frame.cells(*column)?;
                let text = |&row: &u32| {
                    let cell = cells[row as usize];
                    matches!(cell.kind(), Kind::Array | Kind::Object).then(|| cell.bytes(block))
                };
                Some(rows.iter().map(text).collect())
            }
            Expr::Item { operand, step } => {
                let mut texts = operand.texts(frame, rows)?;
                for text in &mut texts {
                    *text = text.and_then(|text| match step {
                        ItemStep::Key(key) => json::get(text, key),
                        ItemStep::Index(index) => json::index(text, *index),
                    });
                }
                Some(texts)
            }
            Expr::Call { function, arguments, site } if function.reads_json() => {
                let [Expr::Field { column, .. }] = &arguments[..] else { return None };
                let (block, cells) = frame.cells(*column)?;
                let text = |&row: &u32| {
                    let cell = cells[row as usize];
                    match cell.kind() {
                        Kind::Array | Kind::Object => Some(cell.bytes(block)),
                        Kind::Text | Kind::Escaped => {
                            let value = cell_value(cell, block, frame.arena);
                            let read = function.apply(&[value], frame.arena);
                            if let Err(fault) = read {
                                frame.fault(site, fault, Met::value(value), row);
                            }
                            let Ok(Value::Json(text)) = read else { return None };
                            Some(text)
                        }
                        _ => None,
                    }
                };
                Some(rows.iter().map(text).collect())
            }
            _ => None,
        }
    }
}

fn map<'a>(
    frame: &Frame<'a>,
    rows: &[u32],
    site: &Site,
    met: impl Fn(usize) -> Option<Met>,
    mut value: impl FnMut(usize) -> Result<Value<'a>, Fault>,
) -> Vector<'a> {
    Vector::build(frame.arena, rows.len(), |i| {
        value(i).unwrap_or_else(|fault| {
            frame.fault(site, fault, met(i), rows[i]);
            Value::Null
        })
    })
}

/// The truth values of a condition; anything that is neither a truth value nor NULL is a type fault.
pub(super) fn truth<'a>(expr: &'a Expr, site: &Site, frame: &Frame<'a>, rows: &[u32]) -> &'a [Option<bool>] {
    match expr.eval(frame, rows) {
        Vector::Bools(bools) => bools,
        vector => frame.arena.alloc_slice_fill_with(rows.len(), |i| match vector.get(i) {
            Value::Bool(value) => Some(value),
            Value::Null => None,
            other => {
                frame.fault(site, Fault::Type, Met::value(other), rows[i]);
                None
            }
        }),
    }
}

/// AND (`decisive` = false) and OR (`decisive` = true): the right side is evaluated only where the left side has
/// not decided.
fn connect<'a>(
    decisive: bool,
    left: &'a Expr,
    right: &'a Expr,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    let left = truth(left, site, frame, rows);
    let open: Vec<u32> =
        rows.iter().zip(left).filter(|(_, truth)| **truth != Some(decisive)).map(|(&row, _)| row).collect();
    let mut right = truth(right, site, frame, &open).iter();
    Vector::build_bools(frame.arena, rows.len(), |i| match left[i] {
        Some(value) if value == decisive => Some(decisive),
        left => match (left, right.next().copied().flatten()) {
            (_, Some(value)) if value == decisive => Some(decisive),
            (Some(_), Some(_)) => Some(!decisive),
            _ => None,
        },
    })
}

/// Whether rows are all of a frame's, in order.
fn are_all(rows: &[u32], len: usize) -> bool {
    rows.len() == len && rows.iter().zip(0..).all(|(row, place)| *row == place)
}

fn eval_virtual<'a>(name: Virtual, own: &'a Expr, frame: &Frame<'a>, rows: &[u32]) -> Vector<'a> {
    let Columns::Records { block, rows: spans, .. } = frame.columns else { return Vector::Constant(Value::Null) };
    let Expr::Field { column, .. } = own else { return own.eval(frame, rows) };
    let Some((bytes, cells)) = frame.cells(*column) else { return Vector::Constant(Value::Null) };
    let origin = frame.origin;
    if let Some(parked) = origin.parked {
        return Vector::build(frame.arena, rows.len(), |i| {
            let (cell, place) = (cells[rows[i] as usize], parked.place(spans[rows[i] as usize].start));
            match name {
                _ if cell.kind() != Kind::Missing => cell_value(cell, bytes, frame.arena),
                Virtual::File => Value::Text(parked.names[place.file as usize].as_bytes()),
                Virtual::Line => Value::integer(i128::from(place.line) + 1),
                Virtual::Offset => Value::integer(place.offset.into()),
            }
        });
    }
    let text = origin.original.map_or(block, |original| original.bytes);
    let mut line = origin.first_line.unwrap_or_default();
    let mut counted = 0;
    Vector::build(frame.arena, rows.len(), |i| {
        let row = rows[i] as usize;
        let start = origin.place(spans[row].start) as usize;
        if name == Virtual::Line {
            line += memchr::memchr_iter(b'\n', &text[counted..start]).count() as u64;
            counted = start;
        }
        match cells[row] {
            cell if cell.kind() != Kind::Missing => cell_value(cell, bytes, frame.arena),
            _ => match name {
                Virtual::File => Value::Text(origin.name.as_bytes()),
                Virtual::Line => Value::integer(i128::from(line) + 1),
                Virtual::Offset => Value::integer(i128::from(origin.offset) + start as i128),
            },
        }
    })
}

fn eval_in<'a>(
    operand: &'a Expr,
    list: &'a [Expr],
    negated: bool,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    let text = Adaptive::of(operand);
    let operand = operand.eval(frame, rows);
    let list: Vec<_> = list.iter().map(|item| (item.eval(frame, rows), Adaptive::of(item))).collect();
    let is_in = |i| {
        let (mut unknown, mut fault) = (false, false);
        for (item, literal) in &list {
            let (mut value, mut item) = (operand.get(i), item.get(i));
            match (text, literal) {
                (Some(text), None) => value = text.beside(value, item),
                (None, Some(literal)) => item = literal.beside(item, value),
                _ => {}
            }
            match Comparison::Equal.apply(value, item) {
                Ok(Some(true)) => return Ok(Some(!negated)),
                Ok(Some(false)) => {}
                Ok(None) => unknown = true,
                Err(_) => fault = true,
            }
        }
        if fault { Err(Fault::Type) } else { Ok((!unknown).then_some(negated)) }
    };
    let is_constant = |vector: &Vector| matches!(vector, Vector::Constant(_));
    if is_constant(&operand)
        && list.iter().all(|(item, _)| is_constant(item))
        && let Ok(truth) = is_in(0)
    {
        return Vector::Bools(frame.arena.alloc_slice_fill_copy(rows.len(), truth));
    }
    Vector::build_bools(frame.arena, rows.len(), |i| {
        is_in(i).unwrap_or_else(|fault| {
            frame.fault(site, fault, Met::value(operand.get(i)), rows[i]);
            None
        })
    })
}

fn eval_case<'a>(
    branches: &'a [(Expr, Expr)],
    otherwise: &'a Expr,
    site: &Site,
    frame: &Frame<'a>,
    rows: &[u32],
) -> Vector<'a> {
    let out = frame.arena.alloc_slice_fill_copy(rows.len(), Value::Null);
    // The places in `rows`, and the rows themselves, that no branch has taken yet.
    let mut open: Vec<usize> = (0..rows.len()).collect();
    let mut open_rows = rows.to_vec();
    for (condition, result) in branches {
        let truth = truth(condition, site, frame, &open_rows);
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for (&place, truth) in open.iter().zip(truth) {
            if *truth == Some(true) { taken.push(place) } else { left.push(place) }
        }
        scatter(result, &taken, out, frame, rows);
        open_rows = left.iter().map(|&place| rows[place]).collect();
        open = left;
    }
    scatter(otherwise, &open, out, frame, rows);
    Vector::Values(out)
}

/// Evaluates an expression for some places of `rows` and puts the values there.
fn scatter<'a>(expr: &'a Expr, places: &[usize], out: &mut [Value<'a>], frame: &Frame<'a>, rows: &[u32]) {
    if places.is_empty() {
        return;
    }
    let some: Vec<u32> = places.iter().map(|&place| rows[place]).collect();
    let values = expr.eval(frame, &some);
    for (i, &place) in places.iter().enumerate() {
        out[place] = values.get(i);
    }
}

fn eval_coalesce<'a>(list: &'a [Expr], frame: &Frame<'a>, rows: &[u32]) -> Vector<'a> {
    let out = frame.arena.alloc_slice_fill_copy(rows.len(), Value::Null);
    let mut open: Vec<usize> = (0..rows.len()).collect();
    for expr in list {
        scatter(expr, &open, out, frame, rows);
        open.retain(|&place| matches!(out[place], Value::Null));
    }
    Vector::Values(out)
}

fn eval_exists<'a>(operand: &'a Expr, frame: &Frame<'a>, rows: &[u32]) -> Vector<'a> {
    match operand {
        Expr::Field { column, .. } => {
            let Some((_, cells)) = frame.cells(*column) else { return Vector::Constant(Value::Bool(false)) };
            Vector::build_bools(frame.arena, rows.len(), |i| Some(cells[rows[i] as usize].kind() != Kind::Missing))
        }
        Expr::Item { operand, step } => {
            let operand = operand.eval(frame, rows);
            Vector::build_bools(frame.arena, rows.len(), |i| {
                let Value::Json(text) = operand.get(i) else { return Some(false) };
                Some(match step {
                    ItemStep::Key(key) => json::get(text, key).is_some(),
                    ItemStep::Index(index) => json::index(text, *index).is_some(),
                })
            })
        }
        Expr::Virtual { .. } => Vector::Constant(Value::Bool(true)),
        other => {
            let values = other.eval(frame, rows);
            Vector::build_bools(frame.arena, rows.len(), |i| Some(!matches!(values.get(i), Value::Null)))
        }
    }
}
