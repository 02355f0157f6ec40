//! Expressions as text, for plans.

use std::fmt::{self, Display, Formatter};

use super::{Arithmetic, Comparison, Expr, ItemStep, Literal, Type, Virtual};
use crate::value::json;

impl Expr {
    /// The expression with the columns of groups under these names.
    pub fn display_over(&self, names: &[String]) -> String {
        Shown { expr: self, names }.to_string()
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Shown { expr: self, names: &[] }.fmt(f)
    }
}

struct Shown<'e> {
    expr: &'e Expr,
    names: &'e [String],
}

impl Shown<'_> {
    fn of<'s>(&'s self, expr: &'s Expr) -> Shown<'s> {
        Shown { expr, names: self.names }
    }

    fn list(&self, f: &mut Formatter<'_>, items: &[Expr]) -> fmt::Result {
        for (i, item) in items.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}", self.of(item))?;
        }
        Ok(())
    }

    /// An operand, in parentheses if it is an operator itself.
    fn operand(&self, f: &mut Formatter<'_>, expr: &Expr) -> fmt::Result {
        let simple = matches!(
            expr,
            Expr::Literal(_)
                | Expr::Field { .. }
                | Expr::Column(_)
                | Expr::Virtual { .. }
                | Expr::Item { .. }
                | Expr::Call { .. }
                | Expr::Cast { .. }
                | Expr::Coalesce(_)
                | Expr::Exists(_)
                | Expr::Case { .. }
        );
        if simple { write!(f, "{}", self.of(expr)) } else { write!(f, "({})", self.of(expr)) }
    }

    fn infix(&self, f: &mut Formatter<'_>, left: &Expr, operator: &str, right: &Expr) -> fmt::Result {
        self.operand(f, left)?;
        write!(f, " {operator} ")?;
        self.operand(f, right)
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.expr {
            Expr::Literal(literal) => literal.fmt(f),
            Expr::Field { path, .. } if path.steps.is_empty() => f.write_str("this"),
            Expr::Field { path, .. } => path.fmt(f),
            Expr::Column(column) => match self.names.get(*column) {
                Some(name) => f.write_str(name),
                None => write!(f, "column {column}"),
            },
            Expr::Virtual { name, .. } => f.write_str(match name {
                Virtual::File => "_file",
                Virtual::Line => "_line",
                Virtual::Offset => "_offset",
            }),
            Expr::Item { operand, step } => {
                self.operand(f, operand)?;
                match step {
                    ItemStep::Key(key) => write!(f, "['{key}']"),
                    ItemStep::Index(index) => write!(f, "[{index}]"),
                }
            }
            Expr::Not(operand, _) => {
                f.write_str("not ")?;
                self.operand(f, operand)
            }
            Expr::And(left, right, _) => self.infix(f, left, "and", right),
            Expr::Or(left, right, _) => self.infix(f, left, "or", right),
            Expr::Compare { op, left, right, .. } => self.infix(f, left, op.symbol(), right),
            Expr::Distinct { left, right, negated } => {
                self.infix(f, left, if *negated { "is not distinct from" } else { "is distinct from" }, right)
            }
            Expr::Between { operand, low, high, negated, .. } => {
                self.operand(f, operand)?;
                write!(f, " {}between ", not(*negated))?;
                self.infix(f, low, "and", high)
            }
            Expr::IsNull { operand, negated } => {
                self.operand(f, operand)?;
                write!(f, " is {}null", not(*negated))
            }
            Expr::IsBool { operand, value, negated } => {
                self.operand(f, operand)?;
                write!(f, " is {}{value}", not(*negated))
            }
            Expr::Arithmetic { op, left, right, .. } => self.infix(f, left, op.symbol(), right),
            Expr::Negate(operand, _) => {
                f.write_str("-")?;
                self.operand(f, operand)
            }
            Expr::Concat(left, right, _) => self.infix(f, left, "||", right),
            Expr::In { operand, list, negated, .. } => {
                self.operand(f, operand)?;
                write!(f, " {}in (", not(*negated))?;
                self.list(f, list)?;
                f.write_str(")")
            }
            Expr::Like { operand, pattern, negated, .. } => {
                self.operand(f, operand)?;
                write!(f, " {}{pattern}", not(*negated))
            }
            Expr::Case { branches, otherwise, .. } => {
                f.write_str("case")?;
                for (condition, result) in branches {
                    write!(f, " when {} then {}", self.of(condition), self.of(result))?;
                }
                write!(f, " else {} end", self.of(otherwise))
            }
            Expr::Coalesce(list) => {
                f.write_str("coalesce(")?;
                self.list(f, list)?;
                f.write_str(")")
            }
            Expr::Cast { operand, to: Type::Decimal { scale: None, .. }, .. } => {
                write!(f, "decimal({})", self.of(operand))
            }
            Expr::Cast { operand, to, lenient, .. } => {
                let name = if *lenient { "try_cast" } else { "cast" };
                write!(f, "{name}({} as {to})", self.of(operand))
            }
            Expr::Call { function, arguments, .. } => {
                write!(f, "{}(", function.name)?;
                self.list(f, arguments)?;
                f.write_str(")")
            }
            Expr::SortKey(keys) => {
                for (i, key) in keys.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{}{}", self.of(&key.expr), key.suffix())?;
                }
                Ok(())
            }
            Expr::Exists(operand) => write!(f, "exists({})", self.of(operand)),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Json(text) => f.write_str(text),
            Literal::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            other => {
                let mut out = Vec::new();
                json::to_text(other.value(), &mut out);
                let text = String::from_utf8_lossy(&out);
                match other {
                    Literal::Date(_) => write!(f, "date '{text}'"),
                    Literal::Timestamp(_) => write!(f, "timestamp '{text}'"),
                    Literal::Decimal(_) => write!(f, "decimal({text})"),
                    Literal::Interval(_) => write!(f, "interval '{text}'"),
                    _ => f.write_str(&text),
                }
            }
        }
    }
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl Arithmetic {
    fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::IntegerDivide => "//",
            Arithmetic::Remainder => "%",
        }
    }
}
