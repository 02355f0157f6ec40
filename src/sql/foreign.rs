//! What other systems have and foldl has not: statements, operators and forms of expressions, each with the way round.

use sqlparser::ast::{self, BinaryOperator, Spanned};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::advice::BEHIND_A_FIELD;
use super::expr::Binder;
use super::parse::FoldlDialect;
use super::place::Text;
use crate::error::{Error, Result};

/// What a statement does that is no query.
#[derive(Clone, Copy)]
enum Statement {
    /// It changes data or makes tables.
    Changes(&'static str),
    /// It asks what there is.
    Describes,
    /// It says how a query is run.
    Explains,
    /// It turns rows to columns.
    Pivots,
    /// It turns columns to rows.
    Unpivots,
    /// It sets what options set.
    Settings,
    /// It opens what foldl does not need to open.
    Opens,
}

const WRITES: &str = "a query is a SELECT; -o FILE writes what it finds to a file";
const REPLACES: &str = "`select *, 0 as price` writes the records with a key replaced; -o FILE writes them to a file";
const FILTERS: &str = "`where` keeps the records that are to stay; -o FILE writes them to a file";
const NAMES: &str = "files are read as they stand; `with t as (select …)` gives a query a name";

const STATEMENTS: [(&str, Statement); 32] = [
    ("insert", Statement::Changes(WRITES)),
    ("replace", Statement::Changes(WRITES)),
    ("merge", Statement::Changes("`join` puts records side by side; -o FILE writes them to a file")),
    ("update", Statement::Changes(REPLACES)),
    ("delete", Statement::Changes(FILTERS)),
    ("truncate", Statement::Changes(FILTERS)),
    ("copy", Statement::Changes("-o FILE writes what a query finds, in the format of --format")),
    ("export", Statement::Changes("-o FILE writes what a query finds, in the format of --format")),
    ("create", Statement::Changes(NAMES)),
    ("alter", Statement::Changes(NAMES)),
    ("drop", Statement::Changes(NAMES)),
    ("begin", Statement::Changes(WRITES)),
    ("commit", Statement::Changes(WRITES)),
    ("grant", Statement::Changes(WRITES)),
    ("vacuum", Statement::Changes(WRITES)),
    ("call", Statement::Changes(WRITES)),
    ("describe", Statement::Describes),
    ("desc", Statement::Describes),
    ("show", Statement::Describes),
    ("summarize", Statement::Describes),
    ("explain", Statement::Explains),
    ("analyze", Statement::Explains),
    ("pivot", Statement::Pivots),
    ("unpivot", Statement::Unpivots),
    ("set", Statement::Settings),
    ("reset", Statement::Settings),
    ("pragma", Statement::Settings),
    ("use", Statement::Opens),
    ("attach", Statement::Opens),
    ("install", Statement::Opens),
    ("load", Statement::Opens),
    ("import", Statement::Opens),
];

/// Keywords that can stand behind the field that a list of fields begins with, beside [`BEHIND_A_FIELD`].
const BEHIND_THE_FIRST: [Keyword; 3] = [Keyword::SIMILAR, Keyword::AT, Keyword::COLLATE];

/// Refuses a text that is a statement of SQL, but no query. What it begins with would be taken for a field.
pub(super) fn refuse_statement(text: Text) -> Result<()> {
    let Ok(tokens) = Tokenizer::new(&FoldlDialect, text.0).tokenize_with_location() else { return Ok(()) };
    let mut tokens = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let Some(first) = tokens.next() else { return Ok(()) };
    let Token::Word(word) = &first.token else { return Ok(()) };
    let name = word.value.to_lowercase();
    let Some((_, statement)) = STATEMENTS.iter().find(|(known, _)| *known == name && word.quote_style.is_none()) else {
        return Ok(());
    };
    let is_statement = match tokens.next().map(|token| &token.token) {
        Some(Token::Word(word)) if word.keyword == Keyword::FROM => {
            matches!(name.as_str(), "delete" | "show" | "describe" | "summarize")
        }
        Some(Token::Word(word)) => {
            !BEHIND_A_FIELD.iter().chain(&BEHIND_THE_FIRST).any(|keyword| *keyword == word.keyword)
        }
        Some(Token::SingleQuotedString(_)) => true,
        Some(Token::LParen) => matches!(name.as_str(), "copy" | "explain" | "describe" | "summarize" | "pivot"),
        None => matches!(name.as_str(), "describe" | "summarize"),
        Some(_) => false,
    };
    if !is_statement {
        return Ok(());
    }
    let upper = name.to_uppercase();
    let start = text.range(first.span).unwrap_or_default();
    let rest = text.0[start.1..].trim().trim_end_matches(';');
    let error = |message: String| text.error_at(start, message);
    Err(match statement {
        Statement::Changes(hint) => error(format!("foldl only reads: there is no {upper}")).hint(*hint),
        Statement::Describes => error(format!("there is no {upper}: each record has keys of its own")).hint(format!(
            "`keys(this) as keys, count(*) group by keys` lists them; a field of that name is \"{}\"",
            word.value
        )),
        Statement::Explains => error(format!("there is no {upper} in a query"))
            .hint(format!("the option --explain shows the plan: foldl --explain \"{rest}\"")),
        Statement::Pivots => error(format!("{upper} is not supported")).hint(PIVOTS),
        Statement::Unpivots => error(format!("{upper} is not supported")).hint(UNPIVOTS),
        Statement::Settings => error(format!("there is no {upper} in a query"))
            .hint("what can be set are options of the command line: see foldl --help"),
        Statement::Opens => error(format!("there is no {upper}: foldl has no databases"))
            .hint("files are arguments, or stand in FROM: select * from 'orders.jsonl'"),
    })
}

/// How several sets of keys are grouped by.
pub(super) const GROUPINGS: &str =
    "write a query for each set of keys: select a, count(*) as n group by a union all by name select count(*) as n";

/// How rows become columns.
pub(super) const PIVOTS: &str =
    "write a column for each value: select sum(price) filter (where status = 'failed') as failed";

/// How columns become rows.
pub(super) const UNPIVOTS: &str =
    "write a query for each column: select 'a' as name, a as value union all select 'b', b";

/// How records that are near in time are found.
pub(super) const ASOF: &str = "keep the last match of each: select t.id, max_by(q, q.at) as q from input t join 'quotes.jsonl' q \
     on t.key = q.key and q.at <= t.at group by t.id";

/// How a sample of the records is taken.
pub(super) const SAMPLE: &str = "a tenth of the records is `where hash(_line) % 10 = 0`, the first ten `limit 10`";

impl Binder<'_, '_> {
    /// The error of an expression that parses and is not supported.
    pub(super) fn foreign(&self, expr: &ast::Expr) -> Error {
        let grouping = |name: &str| {
            let range = self.text.word_near(expr.span(), name);
            self.text.error_at(range, format!("{name} is not supported")).hint(GROUPINGS)
        };
        match expr {
            ast::Expr::Rollup(_) => grouping("ROLLUP"),
            ast::Expr::Cube(_) => grouping("CUBE"),
            ast::Expr::GroupingSets(_) => grouping("GROUPING SETS"),
            ast::Expr::AnyOp { left, compare_op, right, .. } => {
                let error = self.unsupported(expr, &format!("`{compare_op} any(…)`"));
                match (compare_op, right.as_ref()) {
                    (BinaryOperator::Eq, ast::Expr::Subquery(query)) => {
                        error.hint(format!("write {left} in ({query})"))
                    }
                    (_, ast::Expr::Subquery(_)) => error.hint(COMPARES_WITH_QUERY),
                    (BinaryOperator::Eq, list) => error.hint(format!("write list_contains({list}, {left})")),
                    _ => error.hint("list_contains(array, value) looks for an equal element"),
                }
            }
            ast::Expr::AllOp { left, compare_op, right } => {
                let error = self.unsupported(expr, &format!("`{compare_op} all(…)`"));
                match (compare_op, right.as_ref()) {
                    (BinaryOperator::NotEq, ast::Expr::Subquery(_)) => error.hint(ANTI_JOIN),
                    (_, ast::Expr::Subquery(_)) => error.hint(COMPARES_WITH_QUERY),
                    (BinaryOperator::NotEq, list) => error.hint(format!("write not list_contains({list}, {left})")),
                    _ => error.hint("list_contains(array, value) looks for an equal element"),
                }
            }
            ast::Expr::In { target: ast::InTarget::Subquery(_), negated: true, .. } => {
                self.unsupported(expr, "`not in` with a query").hint(ANTI_JOIN)
            }
            ast::Expr::In { .. } => self
                .unsupported(expr, "`in` with a query anywhere but in WHERE, by itself or joined by AND,")
                .hint("write a left join, and ask whether its key is null"),
            ast::Expr::Exists { negated: true, .. } => {
                self.unsupported(expr, "a query in `not exists`").hint(ANTI_JOIN)
            }
            ast::Expr::Exists { .. } => self
                .unsupported(expr, "a query in `exists`")
                .hint("write a semi join: from input o semi join 'other.jsonl' x on o.key = x.key"),
            ast::Expr::Subquery(_) => self.unsupported(expr, "a query as a value").hint(
                "put its one row beside all others: from input cross join (select max(price) as most from input)",
            ),
            ast::Expr::JsonAccess { value, path } => {
                let steps = path.to_string().replacen(':', ".", 1);
                self.unsupported(expr, "a colon in a path").hint(format!("write {value}{steps}"))
            }
            ast::Expr::Convert { expr: operand, .. } => {
                self.unsupported(expr, "CONVERT").hint(format!("write cast({operand} as integer)"))
            }
            ast::Expr::UnaryOp { expr: operand, .. } if is_text(operand) => self
                .unsupported(operand, "a `~` before a text")
                .hint(format!("write it between the two: name ~ {operand}")),
            ast::Expr::Dictionary(_) | ast::Expr::Map(_) | ast::Expr::Struct { .. } => {
                self.unsupported(expr, "an object in a query").hint(OBJECTS)
            }
            ast::Expr::Lambda(_) => self
                .unsupported(expr, "a function within a call")
                .hint("make rows of the array: from input, unnest(items) as item"),
            ast::Expr::UnaryOp { op: ast::UnaryOperator::BitwiseNot, expr: operand } => {
                self.unsupported(expr, "the operator ~").hint(format!("write -{operand} - 1"))
            }
            ast::Expr::UnaryOp { op: ast::UnaryOperator::BangNot, expr: operand } => {
                self.unsupported(expr, "the operator !").hint(format!("write not {operand}"))
            }
            ast::Expr::UnaryOp { op, .. } => self.unsupported(expr, &format!("the operator {op}")),
            other => self.unsupported(expr, &format!("`{other}`")),
        }
    }

    /// The error of an operator of other systems.
    pub(super) fn foreign_operator(
        &self,
        expr: &ast::Expr,
        (left, op, right): (&ast::Expr, &BinaryOperator, &ast::Expr),
    ) -> Error {
        let error = self.unsupported(expr, &format!("the operator {op}"));
        match op {
            BinaryOperator::Spaceship => error.hint(format!("write {left} is not distinct from {right}")),
            BinaryOperator::Xor => error.hint(format!("write ({left}) <> ({right})")),
            BinaryOperator::BitwiseAnd => error.hint(
                "conditions are joined by `and`; a bit is found by arithmetic: x // 8 % 2 = 1 asks for that of 8",
            ),
            BinaryOperator::BitwiseOr => error.hint("conditions are joined by `or`, texts by `||`"),
            BinaryOperator::PGBitwiseShiftLeft => error.hint(format!("write {left} * 2 ** {right}")),
            BinaryOperator::PGBitwiseShiftRight => error.hint(format!("write {left} // 2 ** {right}")),
            BinaryOperator::AtArrow => error.hint("list_contains(array, value) looks for an element of an array"),
            _ => error,
        }
    }
}

/// What to write for a function of another system, by its name in lower case.
pub(super) fn foreign_function(name: &str) -> Option<&'static str> {
    Some(match name {
        "explode" | "posexplode" | "json_each" | "list_transform" | "list_filter" | "list_reduce" | "transform"
        | "filter" | "map" | "list_aggregate" | "array_aggregate" | "list_apply" => {
            "make rows of the array: from input, unnest(items) as item"
        }
        "array_size" => "write length(array)",
        "list_first" | "array_first" => "write list[0]",
        "list_last" | "array_last" => "write list[-1]",
        "age" => "write end - start",
        "epoch_ns" => "write epoch_us(moment) * 1000",
        "isfinite" | "isinf" => "no number of a record is infinite: write value is not null",
        "format" | "printf" => "texts are joined by `||` or concat, round(number, 2) has two digits, lpad fills up",
        "uuid" | "gen_random_uuid" | "newid" => {
            "hash(this) or md5(to_json(this)) is a key made of the record, _line its number"
        }
        "product" => "write exp(sum(ln(number))), if all numbers are above 0",
        "curdate" => "write today()",
        "getdate" | "sysdate" | "localtimestamp" => "write now()",
        "date_format" | "to_char" => "write strftime(moment, '%Y-%m-%d')",
        "str_to_date" | "parse_date" | "parse_timestamp" => "write strptime(text, '%Y-%m-%d')",
        "unix_timestamp" => "write epoch(moment)",
        "from_unixtime" => "write to_timestamp(seconds)",
        "dateadd" => "write moment + interval 1 month",
        "iif" => "write if(condition, then, otherwise)",
        "decode" => "write case value when other then … else … end",
        "fsum" | "kahan_sum" | "sumkahan" | "favg" => "sum and avg are exact: write sum(number)",
        "sumif" | "sum_if" => "write sum(number) filter (where condition)",
        "avgif" | "avg_if" => "write avg(number) filter (where condition)",
        "to_number" | "tonumber" => "write value::double",
        "tostring" | "to_string" | "to_varchar" | "string" => "write value::varchar",
        "safe_cast" => "write try_cast(value as integer)",
        "to_json_string" => "write to_json(value)",
        "json_value" | "json_query" => "write the path: user.address.city",
        "struct_extract" => "write the path: items[0], user.name, \"odd key\"",
        "object" => OBJECTS,
        "test" | "match" => "write regexp_matches(text, pattern)",
        "ascii_downcase" => "write lower(text)",
        "ascii_upcase" => "write upper(text)",
        "random" | "rand" => SAMPLE,
        "group_by" => "write status, count(*) group by status",
        "sort_by" => "write order by",
        _ => return None,
    })
}

fn is_text(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Value(value) if matches!(value.value, ast::Value::SingleQuotedString(_)))
}

/// How an object is written, by those who look for a literal of one.
pub(super) const OBJECTS: &str = "each row is an object already: select a, b as c";

const ANTI_JOIN: &str = "write an anti join: from input anti join 'other.jsonl' using (key)";

const COMPARES_WITH_QUERY: &str =
    "put its one row beside all others: from input cross join (select max(price) as most from input)";
