//! Types that are seen before anything is read, of those that JSON does not have.

use super::gives::alike;
use super::{Arithmetic, Expr, Literal, Site, Type};

impl Expr {
    /// Whether it is seen that evaluating it finds no fault.
    pub(crate) fn is_faultless(&self) -> bool {
        matches!(self, Expr::Field { .. } | Expr::Column(_) | Expr::Literal(_))
    }

    /// The type of the expression's values, if it is seen to be a decimal, date, timestamp or interval. Decimals of any
    /// digits are [`Type::EXACT`].
    pub(crate) fn known_type(&self) -> Option<Type> {
        match self {
            Expr::Literal(Literal::Decimal(_)) | Expr::Cast { to: Type::Decimal { .. }, .. } => Some(Type::EXACT),
            Expr::Literal(Literal::Date(_)) => Some(Type::Date),
            Expr::Literal(Literal::Timestamp(_)) => Some(Type::Timestamp),
            Expr::Literal(Literal::Interval(_)) => Some(Type::Interval),
            Expr::Cast { to: to @ (Type::Date | Type::Timestamp | Type::Interval), .. } => Some(*to),
            Expr::Negate(operand, _) => operand.known_type(),
            Expr::Arithmetic { op, left, right, .. } => {
                let is_whole = |expr: &Expr| matches!(expr, Expr::Literal(Literal::Int(_)));
                match (op, left.known_type(), right.known_type()) {
                    (Arithmetic::Divide, Some(Type::Decimal { .. }), _) => None,
                    (Arithmetic::Multiply | Arithmetic::Divide, Some(Type::Interval), _)
                    | (Arithmetic::Multiply, _, Some(Type::Interval)) => Some(Type::Interval),
                    (Arithmetic::Divide, ..) => None,
                    (_, Some(Type::Decimal { .. }), _) | (_, _, Some(Type::Decimal { .. })) => Some(Type::EXACT),
                    (Arithmetic::Add | Arithmetic::Subtract, Some(Type::Date), None) if is_whole(right) => {
                        Some(Type::Date)
                    }
                    (
                        Arithmetic::Add | Arithmetic::Subtract,
                        Some(Type::Date | Type::Timestamp),
                        Some(Type::Interval),
                    )
                    | (Arithmetic::Add, Some(Type::Interval), Some(Type::Date | Type::Timestamp)) => {
                        Some(Type::Timestamp)
                    }
                    (Arithmetic::Add | Arithmetic::Subtract, Some(Type::Interval), Some(Type::Interval))
                    | (Arithmetic::Subtract, Some(Type::Timestamp), Some(Type::Timestamp)) => Some(Type::Interval),
                    _ => None,
                }
            }
            Expr::Coalesce(list) => match self.raw_of_read() {
                Some((to, _)) => Some(to),
                None => known_type_of(list.iter()),
            },
            Expr::Case { branches, otherwise, .. } => {
                known_type_of(branches.iter().map(|(_, result)| result).chain([otherwise.as_ref()]))
            }
            Expr::Call { function, arguments, .. } => function.gives.known_type(arguments.iter().map(Expr::known_type)),
            _ => None,
        }
    }

    /// Whether the expression is seen to give decimals, before anything is read.
    pub(crate) fn is_decimal(&self) -> bool {
        self.known_type().is_some_and(Type::is_decimal)
    }

    /// The expression, whose values come as JSON, read as values of a type; those that do not read as such stay as they
    /// are.
    pub(crate) fn read_as(self, to: Type) -> Expr {
        let site = Site::new(self.to_string(), to.expected());
        let read = Expr::Cast { operand: Box::new(self.clone()), to, lenient: true, site };
        Expr::Coalesce(vec![read, self])
    }

    /// The expression that is [read as](Expr::read_as) values of a type, else the expression itself.
    pub(crate) fn unread(self) -> Expr {
        match self.raw_of_read() {
            Some((_, raw)) => raw.clone(),
            None => self,
        }
    }

    /// The type that [`read_as`](Expr::read_as) made of a field, and the field.
    fn raw_of_read(&self) -> Option<(Type, &Expr)> {
        let Expr::Coalesce(list) = self else { return None };
        match list.as_slice() {
            [Expr::Cast { operand, to, lenient: true, .. }, raw @ Expr::Field { .. }] if **operand == *raw => {
                Some((*to, raw))
            }
            _ => None,
        }
    }
}

/// The type of values that come from several expressions, of which some are NULL.
fn known_type_of<'e>(expressions: impl Iterator<Item = &'e Expr>) -> Option<Type> {
    alike(expressions.filter(|expr| !matches!(expr, Expr::Literal(Literal::Null))).map(Expr::known_type))
}
