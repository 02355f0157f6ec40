//! Which paths of a plan are expected to lead to values of one type.

use super::{Body, Plan, Projection, Step};
use crate::expr::{Expr, Of};
use crate::scan::Path;

/// For each column of the records whether it stands somewhere in the plan where a value of another type makes a
/// difference. Whole records are of any type, and so is what is copied of them, and what is only looked at by `exists`, `is null`, `typeof`, casts, `||`,
/// `concat`, `from_json` (which `->` reads with) or `count`: these take any type, and casts count what they cannot read.
pub(super) fn typed_columns(plan: &mut Plan) -> Vec<bool> {
    let paths: Vec<Path> = plan.paths.iter().chain(plan.steps.iter().flat_map(Step::paths)).cloned().collect();
    let firsts: Vec<Vec<usize>> =
        plan.firsts.iter().map(|first| first.candidates.iter().map(|(_, value)| *value).collect()).collect();
    let mut uses = vec![0_isize; paths.len()];
    let mut add = |expr: &Expr, change: isize| match expr {
        Expr::Field { of: Of::One(_), column, .. } => uses[*column] += change,
        Expr::Field { of: Of::First(_), column, .. } => {
            firsts[*column - paths.len()].iter().for_each(|&candidate| uses[candidate] += change);
        }
        _ => {}
    };
    plan.visit_exprs(&mut |expr| {
        expr.visit_mut(&mut |expr| {
            add(expr, 1);
            match expr {
                Expr::Exists(operand)
                | Expr::IsNull { operand, .. }
                | Expr::Virtual { own: operand, .. }
                | Expr::Cast { operand, .. } => add(operand, -1),
                Expr::Concat(left, right, _) => [left, right].into_iter().for_each(|operand| add(operand, -1)),
                Expr::Call { function, arguments, .. }
                    if function.reads_json() || ["typeof", "concat"].contains(&function.name) =>
                {
                    arguments.iter().for_each(|argument| add(argument, -1));
                }
                _ => {}
            }
        });
    });
    if let Body::Rows(Projection::Fields(fields)) = &plan.body {
        // They are copied, of whatever type they are.
        fields.fields.iter().for_each(|item| add(&item.expr, -1));
    }
    if let Body::Groups(groups) = &plan.body {
        let counts = groups.grouping.aggregates.iter().filter(|call| call.function.name == "count" && !call.distinct);
        counts.flat_map(|call| &call.arguments).for_each(|argument| add(argument, -1));
    }
    uses.iter().zip(&paths).map(|(uses, path)| *uses > 0 && !path.steps.is_empty()).collect()
}
