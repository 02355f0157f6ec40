//! Types that are seen before anything is read, of those that JSON does not have.

use super::{Arithmetic, Expr, Literal, Site, Type};

impl Expr {
    /// The type of the expression's values, if it is seen to be a decimal, date, timestamp or interval.
    pub(crate) fn known_type(&self) -> Option<Type> {
        match self {
            Expr::Literal(Literal::Date(_)) => Some(Type::Date),
            Expr::Literal(Literal::Timestamp(_)) => Some(Type::Timestamp),
            Expr::Literal(Literal::Interval(_)) => Some(Type::Interval),
            Expr::Cast { to: to @ (Type::Date | Type::Timestamp | Type::Interval), .. } => Some(*to),
            Expr::Arithmetic { op, left, right, .. } if !self.is_decimal() => {
                let is_whole = |expr: &Expr| matches!(expr, Expr::Literal(Literal::Int(_)));
                match (op, left.known_type(), right.known_type()) {
                    (Arithmetic::Add | Arithmetic::Subtract, Some(Type::Date), None) if is_whole(right) => {
                        Some(Type::Date)
                    }
                    (Arithmetic::Add, Some(Type::Date | Type::Timestamp), Some(Type::Interval))
                    | (Arithmetic::Add, Some(Type::Interval), Some(Type::Date | Type::Timestamp))
                    | (Arithmetic::Subtract, Some(Type::Date | Type::Timestamp), Some(Type::Interval)) => {
                        Some(Type::Timestamp)
                    }
                    (Arithmetic::Subtract, Some(Type::Timestamp), Some(Type::Timestamp)) => Some(Type::Interval),
                    _ => None,
                }
            }
            Expr::Call { function, .. } => match function.name {
                "date" | "make_date" | "last_day" => Some(Type::Date),
                "date_trunc" | "time_bucket" | "date_add" | "to_timestamp" | "make_timestamp" | "make_timestamp_ms"
                | "strptime" | "timezone" | "from_utc_timestamp" | "to_utc_timestamp" => Some(Type::Timestamp),
                "to_years" | "to_quarters" | "to_months" | "to_weeks" | "to_days" | "to_hours" | "to_minutes"
                | "to_seconds" | "to_milliseconds" | "to_microseconds" => Some(Type::Interval),
                _ if self.is_decimal() => Some(Type::EXACT),
                _ => None,
            },
            _ if self.is_decimal() => Some(Type::EXACT),
            _ => None,
        }
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
        match &self {
            Expr::Coalesce(list) => match list.as_slice() {
                [Expr::Cast { operand, lenient: true, .. }, raw @ Expr::Field { .. }] if **operand == *raw => {
                    raw.clone()
                }
                _ => self,
            },
            _ => self,
        }
    }
}
