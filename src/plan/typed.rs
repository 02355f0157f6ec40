//! Which paths of a plan are expected to lead to values of one type.

use super::{Body, Plan};
use crate::expr::{Expr, Of};

/// The paths, by number, that stand somewhere in the plan where a value of another type makes a difference. Whole
/// records are of any type, and so is what is only looked at by `exists`, `is null`, `typeof`, casts, `||`, `concat` or
/// `count`: these take any type, and casts count what they cannot read.
pub(super) fn typed_paths(plan: &mut Plan) -> Vec<usize> {
    let mut uses = vec![0_isize; plan.paths.len()];
    let mut add = |expr: &Expr, change: isize| {
        if let Expr::Field { of: Of::One(0), column, .. } = expr
            && let Some(uses) = uses.get_mut(*column)
        {
            *uses += change;
        }
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
                Expr::Call { function, arguments, .. } if ["typeof", "concat"].contains(&function.name) => {
                    arguments.iter().for_each(|argument| add(argument, -1));
                }
                _ => {}
            }
        });
    });
    if let Body::Groups(groups) = &plan.body {
        let counts = groups.grouping.aggregates.iter().filter(|call| call.function.name == "count" && !call.distinct);
        counts.flat_map(|call| &call.arguments).for_each(|argument| add(argument, -1));
    }
    let is_typed = |&path: &usize| uses[path] > 0 && !plan.paths[path].steps.is_empty();
    (0..uses.len()).filter(is_typed).collect()
}
