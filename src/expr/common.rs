//! What several expressions over the same rows have in common, evaluated before any of them is.
//!
//! Expressions are known by where they stand in memory: a plan does not move as long as it is worked on.

use std::collections::HashMap;

use bumpalo::Bump;

use super::vector::{Numbers, Vector};
use super::{Expr, Frame};

/// Which expressions have their values in common.
#[derive(Debug, Default)]
pub struct CommonPlaces(HashMap<usize, usize>);

impl CommonPlaces {
    /// Says that the values of an expression, or the rows that it selects, are those of this number.
    pub fn insert(&mut self, expr: &Expr, number: usize) {
        self.0.insert(place(expr), number);
    }
}

fn place(expr: &Expr) -> usize {
    std::ptr::from_ref(expr) as usize
}

/// What is known of a portion of rows.
#[derive(Clone, Copy)]
pub struct CommonValues<'a> {
    /// Of which expressions.
    pub places: &'a CommonPlaces,
    /// By their numbers; `None` where each has to be evaluated for itself, so that faults are counted where they are met.
    pub known: &'a [Option<Known<'a>>],
}

/// What is known of an expression for some rows, in rising order.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The rows.
    pub rows: &'a [u32],
    /// What is known for them.
    pub outcome: Outcome<'a>,
}

/// What an expression gave.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// A value for each row.
    Values(Vector<'a>),
    /// The rows that it selects, as a condition.
    Selected(&'a [u32]),
}

impl<'a> Frame<'a> {
    /// The values of an expression for some rows, if they are known.
    #[inline]
    pub(super) fn known_values(&self, expr: &Expr, rows: &[u32]) -> Option<Vector<'a>> {
        let Known { rows: known, outcome } = self.known(expr)?;
        let Outcome::Values(vector) = outcome else { return None };
        match run_of(rows, known) {
            Some(start) => Some(vector.run(start, rows.len())),
            None => Some(vector.pick(self.arena, &places_of(rows, known)?)),
        }
    }

    /// The rows, of those given, that a condition selects, if they are known.
    #[inline]
    pub(super) fn known_selection(&self, expr: &Expr, rows: &[u32]) -> Option<&'a [u32]> {
        let Known { rows: known, outcome } = self.known(expr)?;
        let Outcome::Selected(selected) = outcome else { return None };
        let (first, last) = (rows.first()?, rows.last()?);
        run_of(rows, known)?;
        let start = selected.partition_point(|row| row < first);
        let end = selected.partition_point(|row| row <= last);
        Some(&selected[start..end])
    }

    #[inline]
    fn known(&self, expr: &Expr) -> Option<Known<'a>> {
        let CommonValues { places, known } = self.common?;
        *known.get(*places.0.get(&place(expr))?)?
    }
}

/// Where some rows begin in others, if they stand there one after the other.
fn run_of(rows: &[u32], others: &[u32]) -> Option<usize> {
    let start = others.binary_search(rows.first()?).ok()?;
    (others.get(start..start + rows.len())? == rows).then_some(start)
}

/// Where each of some rows stands in others, if all do; both in rising order.
fn places_of(rows: &[u32], others: &[u32]) -> Option<Vec<usize>> {
    let mut others = others.iter().enumerate();
    rows.iter()
        .map(|row| others.by_ref().find(|(_, other)| *other >= row).filter(|(_, other)| *other == row))
        .map(|found| found.map(|(place, _)| place))
        .collect()
}

impl<'a> Vector<'a> {
    /// The values from `start` on, `len` of them.
    fn run(self, start: usize, len: usize) -> Vector<'a> {
        let run = start..start + len;
        match self {
            Vector::Constant(value) => Vector::Constant(value),
            Vector::Ints(ints) => Vector::Ints(&ints[run]),
            Vector::Floats(floats) => Vector::Floats(&floats[run]),
            Vector::Numbers(Numbers { values, kinds }) => {
                Vector::Numbers(Numbers { values: &values[run.clone()], kinds: &kinds[run] })
            }
            Vector::Dates(dates) => Vector::Dates(&dates[run]),
            Vector::Decimals(decimals) => Vector::Decimals(&decimals[run]),
            Vector::Bools(bools) => Vector::Bools(&bools[run]),
            Vector::Values(values) => Vector::Values(&values[run]),
        }
    }

    /// The values at some places.
    fn pick(self, arena: &'a Bump, places: &[usize]) -> Vector<'a> {
        fn picked<'a, T: Copy>(arena: &'a Bump, values: &[T], places: &[usize]) -> &'a [T] {
            arena.alloc_slice_fill_iter(places.iter().map(|&place| values[place]))
        }
        match self {
            Vector::Constant(value) => Vector::Constant(value),
            Vector::Ints(ints) => Vector::Ints(picked(arena, ints, places)),
            Vector::Floats(floats) => Vector::Floats(picked(arena, floats, places)),
            Vector::Numbers(Numbers { values, kinds }) => {
                Vector::Numbers(Numbers { values: picked(arena, values, places), kinds: picked(arena, kinds, places) })
            }
            Vector::Dates(dates) => Vector::Dates(picked(arena, dates, places)),
            Vector::Decimals(decimals) => Vector::Decimals(picked(arena, decimals, places)),
            Vector::Bools(bools) => Vector::Bools(picked(arena, bools, places)),
            Vector::Values(values) => Vector::Values(picked(arena, values, places)),
        }
    }
}
