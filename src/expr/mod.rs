//! Expressions: trees over the fields of records or the columns of groups, evaluated a column at a time.
//!
//! Evaluation ([`Expr::eval`]) never fails: where SQL gives NULL because of a wrong type, a division by zero or an
//! overflow, the [`Frame`] counts a [`Fault`] at the expression's [`Site`], so that nothing is lost silently.

mod arithmetic;
mod cast;
mod common;
mod compare;
mod decimal;
mod display;
mod eval;
mod fault;
mod frame;
mod functions;
mod gives;
mod known;
mod like;
mod numeric;
mod order;
mod select;
mod vector;

use crate::scan::Path;
use crate::value::{Date, Decimal, Interval, Timestamp, Value, Wide};

pub use arithmetic::Arithmetic;
pub use cast::Type;
pub use common::{CommonPlaces, CommonValues, Known, Outcome};
pub use compare::Comparison;
pub(crate) use decimal::adapt_literals;
pub use fault::{Class, Fault, FaultLog, FaultTally, Met, Site};
pub(crate) use frame::cell_value;
pub use frame::{CellColumn, Columns, Frame, Origin, Parked, RecordPlace};
pub use functions::{Function, function, functions, topics};
pub(crate) use functions::{check_pattern, part_named};
pub use gives::Gives;
pub use like::Pattern;
pub use order::{OrderKey, encode_order};
pub use vector::{NumberKind, Numbers, Vector};

/// What a field is of. The sources of a row are the record, 0, and what each [`Step`](crate::plan::Step) of the plan puts
/// beside it, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// The source of this number.
    One(usize),
    /// The first record, among the sources before this number, that has the first key of the path.
    First(usize),
}

/// A bound expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A constant.
    Literal(Literal),
    /// A field of a record, or of an element that stands beside it. `column` is its place in the batch, set when the
    /// plan is complete.
    Field {
        /// What it is a field of.
        of: Of,
        /// The way to the field.
        path: Path,
        /// The column of the batch that holds it.
        column: usize,
    },
    /// A column of a frame of groups: a key or a finished aggregate.
    Column(usize),
    /// What is known of a record beside its text; the record's own key of that name (`own`) wins.
    Virtual {
        /// Which of them.
        name: Virtual,
        /// The field of that name.
        own: Box<Expr>,
    },
    /// A way further into an array or an object.
    Item {
        /// The array or object.
        operand: Box<Expr>,
        /// The step into it.
        step: ItemStep,
    },
    /// `not x`
    Not(Box<Expr>, Site),
    /// `x and y`
    And(Box<Expr>, Box<Expr>, Site),
    /// `x or y`
    Or(Box<Expr>, Box<Expr>, Site),
    /// `x = y` and the like.
    Compare {
        /// Which comparison.
        op: Comparison,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
        /// Where type errors are counted.
        site: Site,
    },
    /// `x between y and z`, `x not between y and z`
    Between {
        /// What is tested.
        operand: Box<Expr>,
        /// The lower bound.
        low: Box<Expr>,
        /// The upper bound.
        high: Box<Expr>,
        /// With `not`.
        negated: bool,
        /// Where type errors are counted.
        site: Site,
    },
    /// `x is distinct from y`; with `negated`, `x is not distinct from y`.
    Distinct {
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
        /// With `not`.
        negated: bool,
    },
    /// `x is null`, `x is not null`
    IsNull {
        /// What is tested.
        operand: Box<Expr>,
        /// With `not`.
        negated: bool,
    },
    /// `x is true`, `x is not false` and the like.
    IsBool {
        /// What is tested.
        operand: Box<Expr>,
        /// The truth value that it is tested for.
        value: bool,
        /// With `not`.
        negated: bool,
    },
    /// `x + y` and the like.
    Arithmetic {
        /// Which operation.
        op: Arithmetic,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
        /// Where type errors, overflows and divisions by zero are counted.
        site: Site,
    },
    /// `-x`
    Negate(Box<Expr>, Site),
    /// `x || y`
    Concat(Box<Expr>, Box<Expr>, Site),
    /// `x in (…)`, `x not in (…)`
    In {
        /// What is looked for.
        operand: Box<Expr>,
        /// Where it is looked for.
        list: Vec<Expr>,
        /// With `not`.
        negated: bool,
        /// Where type errors are counted.
        site: Site,
    },
    /// `x like 'pattern'`, `x ilike 'pattern'`
    Like {
        /// The text.
        operand: Box<Expr>,
        /// The pattern.
        pattern: Box<Pattern>,
        /// With `not`.
        negated: bool,
        /// Where type errors are counted.
        site: Site,
    },
    /// `case when … then … else … end`
    Case {
        /// Conditions and results.
        branches: Vec<(Expr, Expr)>,
        /// The result when no condition is true.
        otherwise: Box<Expr>,
        /// Where conditions that are no truth values are counted.
        site: Site,
    },
    /// `coalesce(…)`
    Coalesce(Vec<Expr>),
    /// `cast(x as type)`, `try_cast(x as type)`
    Cast {
        /// What is cast.
        operand: Box<Expr>,
        /// To which type.
        to: Type,
        /// `try_cast`: failures are NULL and not counted.
        lenient: bool,
        /// Where failures are counted.
        site: Site,
    },
    /// A call of a function of the table.
    Call {
        /// The function.
        function: &'static Function,
        /// Its arguments.
        arguments: Vec<Expr>,
        /// Where faults are counted.
        site: Site,
    },
    /// The bytes by which ORDER BY inside an aggregate sorts, as a text.
    SortKey(Vec<OrderKey>),
    /// `exists(path)`: the record has it, be it null.
    Exists(Box<Expr>),
}

/// An expression of which only the truth counts.
#[derive(Debug, PartialEq)]
pub struct Condition {
    /// The expression.
    pub expr: Expr,
    /// Where values that are no truth values are counted.
    pub site: Site,
}

/// What is known of a record beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Virtual {
    /// `_file`: the input's name as it was given; `-` is standard input.
    File,
    /// `_line`: the record's line in its input, from 1.
    Line,
    /// `_offset`: the offset of the line's first byte in the decompressed input, from 0.
    Offset,
}

impl Virtual {
    /// The column of a name.
    pub(crate) fn named(name: &str) -> Option<Virtual> {
        match name {
            "_file" => Some(Virtual::File),
            "_line" => Some(Virtual::Line),
            "_offset" => Some(Virtual::Offset),
            _ => None,
        }
    }
}

/// A step into an array or object that the scanner does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemStep {
    /// The value of a key.
    Key(String),
    /// The element at an index; negative ones count from the end.
    Index(i64),
}

/// A constant that owns its text.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// NULL
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An integer of up to 128 bits.
    Int(i128),
    /// An integer beyond 128 bits, as JSON.
    Huge(String),
    /// A number with a fraction or an exponent; and its digits, which it is beside a decimal.
    Float(f64, Option<Decimal>),
    /// A decimal.
    Decimal(Decimal),
    /// `'text'`
    Text(String),
    /// `[1, 2]`: the text of an array.
    Json(String),
    /// `date '2025-01-01'`
    Date(Date),
    /// `timestamp '2025-01-01 00:00:00'`
    Timestamp(Timestamp),
    /// A span of time.
    Interval(Interval),
}

impl Literal {
    /// The constant as a value.
    pub fn value(&self) -> Value<'_> {
        match self {
            Literal::Null => Value::Null,
            Literal::Bool(value) => Value::Bool(*value),
            Literal::Int(value) => match i64::try_from(*value) {
                Ok(small) => Value::Int(small),
                Err(_) => Value::Wide(Wide::new(*value)),
            },
            Literal::Huge(text) => Value::Huge(text.as_bytes()),
            Literal::Float(value, _) => Value::Float(*value),
            Literal::Decimal(value) => Value::Decimal(*value),
            Literal::Text(text) => Value::Text(text.as_bytes()),
            Literal::Json(text) => Value::Json(text.as_bytes()),
            Literal::Date(date) => Value::Date(*date),
            Literal::Timestamp(timestamp) => Value::Timestamp(*timestamp),
            Literal::Interval(interval) => Value::Interval(*interval),
        }
    }
}

impl Expr {
    /// Whether it is a constant.
    pub fn is_literal(&self) -> bool {
        matches!(self, Expr::Literal(_))
    }

    /// Calls `visit` on this expression and on everything below it.
    pub fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        visit(self);
        match self {
            Expr::Literal(_) | Expr::Field { .. } | Expr::Column(_) => {}
            Expr::Virtual { own: operand, .. }
            | Expr::Item { operand, .. }
            | Expr::Not(operand, _)
            | Expr::IsNull { operand, .. }
            | Expr::IsBool { operand, .. }
            | Expr::Negate(operand, _)
            | Expr::Like { operand, .. }
            | Expr::Cast { operand, .. }
            | Expr::Exists(operand) => operand.visit_mut(visit),
            Expr::And(left, right, _)
            | Expr::Or(left, right, _)
            | Expr::Compare { left, right, .. }
            | Expr::Distinct { left, right, .. }
            | Expr::Arithmetic { left, right, .. }
            | Expr::Concat(left, right, _) => {
                left.visit_mut(visit);
                right.visit_mut(visit);
            }
            Expr::Between { operand, low, high, .. } => {
                operand.visit_mut(visit);
                low.visit_mut(visit);
                high.visit_mut(visit);
            }
            Expr::In { operand, list, .. } => {
                operand.visit_mut(visit);
                list.iter_mut().for_each(|item| item.visit_mut(visit));
            }
            Expr::Case { branches, otherwise, .. } => {
                for (condition, result) in branches {
                    condition.visit_mut(visit);
                    result.visit_mut(visit);
                }
                otherwise.visit_mut(visit);
            }
            Expr::SortKey(keys) => keys.iter_mut().for_each(|key| key.expr.visit_mut(visit)),
            Expr::Coalesce(list) | Expr::Call { arguments: list, .. } => {
                list.iter_mut().for_each(|item| item.visit_mut(visit));
            }
        }
    }

    /// The expressions that this one is made of, in the order in which they are evaluated.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Literal(_) | Expr::Field { .. } | Expr::Column(_) => Vec::new(),
            Expr::Virtual { own: operand, .. }
            | Expr::Item { operand, .. }
            | Expr::Not(operand, _)
            | Expr::IsNull { operand, .. }
            | Expr::IsBool { operand, .. }
            | Expr::Negate(operand, _)
            | Expr::Like { operand, .. }
            | Expr::Cast { operand, .. }
            | Expr::Exists(operand) => vec![operand],
            Expr::And(left, right, _)
            | Expr::Or(left, right, _)
            | Expr::Compare { left, right, .. }
            | Expr::Distinct { left, right, .. }
            | Expr::Arithmetic { left, right, .. }
            | Expr::Concat(left, right, _) => vec![left, right],
            Expr::Between { operand, low, high, .. } => vec![operand, low, high],
            Expr::In { operand, list, .. } => std::iter::once(&**operand).chain(list).collect(),
            Expr::Case { branches, otherwise, .. } => {
                let branches = branches.iter().flat_map(|(condition, result)| [condition, result]);
                branches.chain([&**otherwise]).collect()
            }
            Expr::SortKey(keys) => keys.iter().map(|key| &key.expr).collect(),
            Expr::Coalesce(list) | Expr::Call { arguments: list, .. } => list.iter().collect(),
        }
    }

    /// Those of its [`children`](Expr::children) that are evaluated wherever the expression is, and by themselves.
    pub fn always_evaluated(&self) -> Vec<&Expr> {
        let mut children = self.children();
        children.truncate(match self {
            Expr::And(..) | Expr::Or(..) | Expr::Case { .. } | Expr::Coalesce(_) => 1,
            // Fields and items are read where they lie, not evaluated.
            Expr::Virtual { .. } | Expr::Item { .. } | Expr::Exists(_) => 0,
            Expr::Cast { operand, .. } if matches!(**operand, Expr::Item { .. }) => 0,
            _ => children.len(),
        });
        children
    }

    /// Calls `visit` on this expression and on everything below it.
    pub fn visit<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        self.children().into_iter().for_each(|child| child.visit(visit));
    }

    /// Whether this expression is of a kind, or one below it.
    pub fn any(&self, is_it: &dyn Fn(&Expr) -> bool) -> bool {
        is_it(self) || self.children().into_iter().any(|child| child.any(is_it))
    }

    /// The site of this expression itself, if it can fault.
    pub fn site_mut(&mut self) -> Option<&mut Site> {
        match self {
            Expr::Not(_, site)
            | Expr::And(_, _, site)
            | Expr::Or(_, _, site)
            | Expr::Compare { site, .. }
            | Expr::Between { site, .. }
            | Expr::Arithmetic { site, .. }
            | Expr::Negate(_, site)
            | Expr::Concat(_, _, site)
            | Expr::In { site, .. }
            | Expr::Like { site, .. }
            | Expr::Case { site, .. }
            | Expr::Cast { site, .. }
            | Expr::Call { site, .. } => Some(site),
            _ => None,
        }
    }
}
