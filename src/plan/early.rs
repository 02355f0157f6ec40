//! The part of WHERE that can be asked before joins.
//!
//! It must not show that it was asked: WHERE counts values of wrong types in the rows that there are after the joins. So
//! it is the start of the chain of ANDs, whose parts WHERE asks first, too; the workers do not use it for a block in which
//! a part of it meets a wrong type; and it is not asked at all where joining itself may meet one.

use super::{Plan, Step};
use crate::expr::{Condition, Expr, Of};

impl Plan {
    pub(super) fn early_filter(&self) -> Option<Condition> {
        let is_field = |expr: &Expr| matches!(expr, Expr::Field { .. });
        let is_silent = |step: &Step| match step {
            Step::Unnest(_) => false,
            Step::Join(join) => join.condition.is_none() && join.left.iter().all(is_field),
        };
        if self.steps.is_empty() || !self.steps.iter().all(is_silent) {
            return None;
        }
        let filter = self.filter.as_ref()?;
        let mut parts = Vec::new();
        chain(&filter.expr, &mut parts);
        let early = parts.into_iter().take_while(|part| is_of_record(part, !self.exchanged));
        let expr =
            early.cloned().reduce(|left, right| Expr::And(Box::new(left), Box::new(right), filter.site.clone()))?;
        Some(Condition { expr, site: filter.site.clone() })
    }
}

/// The parts of a chain of ANDs, in the order in which they are asked.
fn chain<'e>(expr: &'e Expr, parts: &mut Vec<&'e Expr>) {
    match expr {
        Expr::And(left, right, _) => {
            chain(left, parts);
            chain(right, parts);
        }
        part => parts.push(part),
    }
}

/// Whether an expression is over the record of FROM alone, or may turn out to be, if that record is asked first.
fn is_of_record(expr: &Expr, first: bool) -> bool {
    !expr.any(&|expr| match expr {
        Expr::Field { of: Of::One(0), .. } => false,
        Expr::Field { of: Of::First(_), .. } => !first,
        Expr::Field { .. } | Expr::Virtual { .. } => true,
        _ => false,
    })
}
