//! What type the values of a function have, as far as it is told without looking at them.

use super::{Class, Type};

/// The type of a function's values, NULL beside them.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Gives {
    Bool,
    Number,
    /// Numbers that are decimals.
    Decimal,
    Text,
    Array,
    Date,
    Timestamp,
    Interval,
    /// What the types of the arguments tell, each of them as [`Expr::known_type`](super::Expr) gives it.
    Of(fn(&[Option<Type>]) -> Option<Type>),
    /// Values of several types.
    Any,
}

impl Gives {
    /// What the arguments are: a decimal if one of them is one, else what all of them are.
    pub const ALIKE: Gives = Gives::Of(|types| alike(types.iter().copied()));
    /// What the first argument is.
    pub const FIRST: Gives = Gives::Of(|types| *types.first()?);
    /// What the first argument is, if that is no number.
    pub const ESTIMATE: Gives = Gives::Of(|types| types.first()?.filter(|known| !known.is_decimal()));
    /// A timestamp where the first argument is a date or a timestamp, as what lies between two days is a moment; an interval
    /// where it is one.
    pub const BETWEEN: Gives = Gives::Of(|types| match types.first()? {
        Some(Type::Date | Type::Timestamp) => Some(Type::Timestamp),
        Some(Type::Interval) => Some(Type::Interval),
        _ => None,
    });
    /// An interval where the second argument is one, else a timestamp.
    pub const START: Gives = Gives::Of(|types| match types.get(1)? {
        Some(Type::Interval) => Some(Type::Interval),
        _ => Some(Type::Timestamp),
    });
    /// A date where the second argument is one, else a timestamp.
    pub const MOMENT: Gives = Gives::Of(|types| match types.get(1)? {
        Some(Type::Date) => Some(Type::Date),
        _ => Some(Type::Timestamp),
    });

    /// The type of the values, if it is one that JSON does not have.
    pub(crate) fn known_type(self, arguments: impl Iterator<Item = Option<Type>>) -> Option<Type> {
        match self {
            Gives::Decimal => Some(Type::EXACT),
            Gives::Date => Some(Type::Date),
            Gives::Timestamp => Some(Type::Timestamp),
            Gives::Interval => Some(Type::Interval),
            Gives::Of(of) => of(&arguments.collect::<Vec<_>>()),
            Gives::Bool | Gives::Number | Gives::Text | Gives::Array | Gives::Any => None,
        }
    }

    /// The class of all values, if there is one.
    pub(crate) fn class(self) -> Option<Class> {
        Some(match self {
            Gives::Bool => Class::Bool,
            Gives::Number | Gives::Decimal => Class::Number,
            Gives::Text => Class::Text,
            Gives::Array => Class::Array,
            Gives::Date => Class::Date,
            Gives::Timestamp => Class::Timestamp,
            Gives::Interval => Class::Interval,
            Gives::Of(_) | Gives::Any => return None,
        })
    }
}

/// A decimal if one of some types is one, else the one that all are.
pub(super) fn alike(types: impl Iterator<Item = Option<Type>>) -> Option<Type> {
    let types: Vec<Option<Type>> = types.collect();
    if types.iter().flatten().any(|known| known.is_decimal()) {
        return Some(Type::EXACT);
    }
    let first = *types.first()?;
    first.filter(|_| types.iter().all(|known| *known == first))
}
