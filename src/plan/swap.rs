//! The smaller side of a join is the one to hold in memory.

use super::{Body, JoinKind, Plan, Source, Step};
use crate::expr::{Expr, Of, Virtual};

impl Plan {
    /// The two sources of a join whose sides can be exchanged without a trace in the result: an inner join by fields alone,
    /// from whose rows groups are made that do not depend on their order.
    pub fn exchangeable(&mut self) -> Option<(&Source, &Source)> {
        let Body::Groups(groups) = &self.body else { return None };
        if groups.grouping.aggregates.iter().any(|call| call.function.takes_order()) {
            return None;
        }
        let mut is_virtual = false;
        self.visit_exprs(&mut |expr| {
            expr.visit_mut(&mut |expr| {
                is_virtual |=
                    matches!(expr, Expr::Virtual { name: Virtual::File | Virtual::Line | Virtual::Offset, .. });
            });
        });
        let [Step::Join(join)] = self.steps.as_slice() else { return None };
        let is_plain = join.condition.is_none()
            && !join.left.is_empty()
            && join.left.iter().chain(&join.right).all(|key| matches!(key, Expr::Field { .. }));
        (join.kind == JoinKind::Inner && is_plain && !is_virtual).then_some((&self.source, &join.side.source))
    }

    /// Exchanges the sides of the one join, which is [`exchangeable`](Plan::exchangeable).
    pub(crate) fn exchange(&mut self) {
        self.visit_exprs(&mut |expr| {
            expr.visit_mut(&mut |expr| {
                if let Expr::Field { of: Of::One(source @ (0 | 1)), .. } = expr {
                    *source = 1 - *source;
                }
            });
        });
        if let [Step::Join(join)] = self.steps.as_mut_slice() {
            std::mem::swap(&mut join.left, &mut join.right);
            std::mem::swap(&mut self.source, &mut join.side.source);
            join.name = match &join.side.source {
                Source::Files(files) => files.join(", "),
                _ => "the input".to_owned(),
            };
        }
        self.exchanged = !self.exchanged;
        self.number();
    }
}
