//! Calls of functions, and the functions that are no row of a table.

use bumpalo::Bump;
use sqlparser::ast::{self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned};

use super::check::is_window_function;
use super::expr::{Binder, Scope, label, pair_site, site};
use super::foreign::foreign_function;
use super::place::nearest;
use crate::agg::aggregates;
use crate::error::{Error, Result};
use crate::expr::{
    Arithmetic, Comparison, Expr, Function, Gives, ItemStep, Literal, Of, Site, Type, adapt_literals, check_pattern,
    function, functions, part_named,
};
use crate::scan::Path;
use crate::value::Value;
use crate::value::time::Unit;
use crate::value::zone::{TimePattern, Zone};

impl Binder<'_, '_> {
    /// `value -> 'key'`, `value -> 0`, `value -> '$.a.b[0]'`. A text is read as JSON.
    pub(super) fn json_steps(&self, expr: &ast::Expr, steps: Expr, value: Expr) -> Result<Expr> {
        let steps = match &steps {
            Expr::Literal(Literal::Int(index)) => i64::try_from(*index).ok().map(|index| vec![ItemStep::Index(index)]),
            Expr::Literal(Literal::Text(text)) if text.starts_with('$') => json_path(text),
            Expr::Literal(Literal::Text(text)) => Some(vec![ItemStep::Key(text.clone())]),
            _ => None,
        };
        let steps = steps.ok_or_else(|| {
            let error = self.error(expr, format!("`{expr}` is not a way into a value"));
            match expr {
                ast::Expr::Identifier(name) => {
                    error.hint(format!("a key stands in single quotes: -> '{}'", name.value))
                }
                _ => error.hint("write a key, an index or a path: a -> 'key', a -> 0, a -> '$.key[0]'"),
            }
        })?;
        let value = match value {
            // What a step led to is a value.
            value @ Expr::Item { .. } => value,
            value => {
                let function = function("from_json").ok_or_else(|| self.unknown_function(expr, "from_json"))?;
                let site = Site::new(value.to_string(), function.expected);
                Expr::Call { function, arguments: vec![value], site }
            }
        };
        Ok(steps.into_iter().fold(value, |value, step| Expr::Item { operand: Box::new(value), step }))
    }

    /// `text ~ pattern` and `text similar to pattern`.
    pub(super) fn matches(&self, expr: &ast::Expr, name: &str, arguments: Vec<Expr>, site: Site) -> Result<Expr> {
        let function = function(name).ok_or_else(|| self.unknown_function(expr, name))?;
        self.check_constant_arguments(expr, function, &arguments)?;
        Ok(Expr::Call { function, arguments, site })
    }

    pub(super) fn function(&self, expr: &ast::Expr, call: &ast::Function, scope: &mut dyn Scope) -> Result<Expr> {
        let name = call.name.to_string().to_lowercase();
        let arguments = self.arguments(call)?;
        if name == "unnest" {
            return match self.sources.iter().position(|source| source.call == Some(expr)) {
                Some(source) => Ok(Expr::Field { of: Of::One(source), path: Path::default(), column: 0 }),
                None => Err(self
                    .error(expr, "unnest stands in FROM, or is an item of the select list".to_owned())
                    .hint("write from input, unnest(items) as item")),
            };
        }
        if call.over.is_some() {
            return Err(self.window_function(self.unsupported(expr, "a window function (OVER)")));
        }
        if let Some(error) = self.pattern_of_letters(call, &name, &arguments.list) {
            return Err(error);
        }
        let special = SPECIAL.iter().find(|special| special.name == name || special.aliases.contains(&name.as_str()));
        if special.is_none() && function(&name).is_none() {
            return Err(self.unknown_function(expr, &name));
        }
        if arguments.distinct || call.filter.is_some() || !arguments.order.is_empty() {
            let message = format!("{name} is not an aggregate: it takes no distinct, no filter and no ORDER BY");
            return Err(self.error(expr, message));
        }
        if let Some(special) = special {
            self.check_arguments(expr, &name, special.arguments, arguments.list.len(), special.signature)?;
        }
        match (name.as_str(), arguments.list.as_slice()) {
            // As Spark has it: the days between two dates.
            ("datediff", [end, start]) => {
                let [end, start] = [self.call(expr, "date", &[end], scope)?, self.call(expr, "date", &[start], scope)?];
                let site = Site::new(expr.to_string(), "two dates");
                Ok(Expr::Arithmetic { op: Arithmetic::Subtract, left: Box::new(end), right: Box::new(start), site })
            }
            ("locate" | "charindex", [part, text]) => self.call(expr, "strpos", &[text, part], scope),
            ("isnull" | "isnotnull", [operand]) => {
                let operand = Box::new(self.bind(operand, scope)?);
                Ok(Expr::IsNull { operand, negated: name == "isnotnull" })
            }
            ("nvl2", [value, then, otherwise]) => {
                let condition = Expr::IsNull { operand: Box::new(self.bind(value, scope)?), negated: true };
                self.one_of(condition, Site::default(), [then, otherwise], scope)
            }
            ("coalesce" | "ifnull" | "nvl", [_, ..]) => {
                let list = arguments.list.iter().map(|argument| self.bind(argument, scope));
                let mut list = list.collect::<Result<Vec<_>>>()?;
                adapt_literals(list.iter_mut());
                Ok(Expr::Coalesce(list))
            }
            ("now" | "current_timestamp", _) => Ok(Expr::Literal(Literal::Timestamp(self.now))),
            ("today" | "current_date", _) => Ok(Expr::Literal(Literal::Date(self.now.date()))),
            ("json_extract" | "json_extract_path", [value, steps]) => {
                self.json_steps(steps, self.bind(steps, scope)?, self.bind(value, scope)?)
            }
            ("json_extract_string" | "json_extract_path_text" | "get_json_object", [value, steps]) => {
                let found = self.json_steps(steps, self.bind(steps, scope)?, self.bind(value, scope)?)?;
                Ok(as_text(found, site(expr, "a value")))
            }
            ("exists", [argument]) => Ok(Expr::Exists(Box::new(self.bind(argument, scope)?.unread()))),
            ("if" | "iff", [condition, then, otherwise]) => {
                let site = site(condition, "a truth value");
                self.one_of(self.truth(condition, scope)?, site, [then, otherwise], scope)
            }
            ("decimal", arguments) => self.decimal_call(expr, arguments, scope),
            ("nullif", [value, other]) => {
                let left = self.bind(value, scope)?;
                let condition = Expr::Compare {
                    op: Comparison::Equal,
                    left: Box::new(left.clone()),
                    right: Box::new(self.bind(other, scope)?),
                    site: pair_site(value, other, "a value that compares"),
                };
                Ok(Expr::Case {
                    branches: vec![(condition, Expr::Literal(Literal::Null))],
                    otherwise: Box::new(left),
                    site: Site::default(),
                })
            }
            _ => self.call(expr, &name, &arguments.list, scope),
        }
    }

    /// The first of two values where a condition is true, else the second.
    fn one_of(&self, condition: Expr, site: Site, values: [&ast::Expr; 2], scope: &mut dyn Scope) -> Result<Expr> {
        let (mut then, mut otherwise) = (self.bind(values[0], scope)?, self.bind(values[1], scope)?);
        adapt_literals([&mut then, &mut otherwise].into_iter());
        Ok(Expr::Case { branches: vec![(condition, then)], otherwise: Box::new(otherwise), site })
    }

    /// A call of a function of the table.
    pub(super) fn call(
        &self,
        expr: &ast::Expr,
        name: &str,
        list: &[&ast::Expr],
        scope: &mut dyn Scope,
    ) -> Result<Expr> {
        let function = function(name).ok_or_else(|| self.unknown_function(expr, name))?;
        self.check_arguments(expr, function.name, function.arguments, list.len(), function.signature)?;
        if function.name == "make_timestamp" && !matches!(list.len(), 1 | 6) {
            let message = format!("make_timestamp takes 1 or 6 arguments, {} given", list.len());
            return Err(self.error(expr, message).hint(format!("it is called as {}", function.signature)));
        }
        if function.name == "json_object" && !list.len().is_multiple_of(2) {
            let message = format!("json_object takes a value for each key, {} given", list.len());
            return Err(self.error(expr, message).hint(format!("it is called as {}", function.signature)));
        }
        let mut arguments = list.iter().map(|argument| self.bind(argument, scope)).collect::<Result<Vec<_>>>()?;
        if let Gives::Of(_) = function.gives {
            adapt_literals(arguments.iter_mut());
        }
        if let ("strftime", [Expr::Literal(Literal::Text(pattern)), moment]) = (function.name, arguments.as_slice())
            && pattern.contains('%')
            && !matches!(moment, Expr::Literal(Literal::Text(_)))
        {
            // DuckDB takes them in either order.
            arguments.swap(0, 1);
        }
        self.check_constant_arguments(expr, function, &arguments)?;
        self.check_types(expr, function, &arguments)?;
        if let Some(array) = constant_array(function, &arguments) {
            return Ok(Expr::Literal(array));
        }
        // The argument that can be wrong at run time is named: the first that is no constant.
        let label = list
            .iter()
            .zip(&arguments)
            .find(|(_, bound)| !matches!(bound, Expr::Literal(_)))
            .map_or_else(|| expr.to_string(), |(argument, _)| label(argument));
        Ok(Expr::Call { function, arguments, site: Site::new(label, function.expected) })
    }

    pub(super) fn no_part(&self, expr: &ast::Expr, name: &str) -> Error {
        self.error(expr, format!("{name} is not a part of a moment"))
            .hint("try year, month, day, hour, minute, second, dow, doy, week, quarter or epoch")
    }

    /// Finds calls that can only fail, such as `date_trunc('mont', t)`.
    pub(super) fn check_constant_arguments(
        &self,
        expr: &ast::Expr,
        function: &Function,
        arguments: &[Expr],
    ) -> Result<()> {
        let constant = |place: usize| match arguments.get(place) {
            Some(Expr::Literal(Literal::Text(text))) => Some(text.as_str()),
            _ => None,
        };
        match function.name {
            "date_part" => {
                if let Some(name) = constant(0).filter(|name| part_named(name).is_none()) {
                    return Err(self.no_part(expr, name));
                }
            }
            "strftime" | "strptime" | "try_strptime" => {
                let patterns = arguments.get(1).map(constant_texts).unwrap_or_default();
                if let Some(pattern) = patterns.iter().find(|pattern| TimePattern::new(pattern).is_none()) {
                    return Err(self
                        .error(expr, format!("'{pattern}' is not a pattern of a moment"))
                        .hint(format!("the specifiers are {}", TimePattern::SPECIFIERS)));
                }
            }
            "timezone" | "from_utc_timestamp" | "to_utc_timestamp" => {
                let place = usize::from(function.name != "timezone");
                if let Some(name) = constant(place).filter(|name| Zone::named(name).is_none()) {
                    let names = Zone::names();
                    let error = self.error(expr, format!("there is no time zone '{name}'"));
                    return Err(match nearest(name, names.iter().map(String::as_str)) {
                        Some(near) => error.hint(format!("did you mean '{near}'?")),
                        None => {
                            error.hint("they are named as in 'Europe/Berlin', 'America/New_York', 'UTC' or '+05:30'")
                        }
                    });
                }
            }
            _ => {}
        }
        if matches!(function.name, "date_trunc" | "date_diff" | "date_sub")
            && let Some(Expr::Literal(Literal::Text(unit))) = arguments.first()
            && Unit::from_name(unit).is_none()
        {
            let error = self.error(expr, format!("`{unit}` is not a unit of time"));
            return Err(match nearest(unit, Unit::NAMES.iter().copied()) {
                Some(name) => error.hint(format!("did you mean '{name}'?")),
                None => error.hint(format!("the units are {}", Unit::NAMES.join(", "))),
            });
        }
        if function.takes_pattern()
            && let Some(Expr::Literal(Literal::Text(pattern))) = arguments.get(1)
        {
            check_pattern(pattern).map_err(|reason| self.error(expr, reason))?;
        }
        Ok(())
    }

    pub(super) fn check_arguments(
        &self,
        expr: &ast::Expr,
        name: &str,
        (fewest, most): (usize, usize),
        given: usize,
        signature: &str,
    ) -> Result<()> {
        if (fewest..=most).contains(&given) {
            return Ok(());
        }
        let wants = match (fewest, most) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (fewest, usize::MAX) => format!("at least {fewest} argument{}", if fewest == 1 { "" } else { "s" }),
            (fewest, most) if fewest == most => format!("{fewest} arguments"),
            (fewest, most) => format!("{fewest} to {most} arguments"),
        };
        Err(self
            .error(expr, format!("{name} takes {wants}, {given} given"))
            .hint(format!("it is called as {signature}")))
    }

    pub(super) fn unknown_function(&self, expr: &ast::Expr, name: &str) -> Error {
        let names = functions()
            .flat_map(|function| function.aliases.iter().copied().chain([function.name]))
            .chain(aggregates().flat_map(|aggregate| aggregate.aliases.iter().copied().chain([aggregate.name])))
            .chain(SPECIAL.iter().flat_map(|special| special.aliases.iter().copied().chain([special.name])));
        let span = match expr {
            ast::Expr::Function(call) => call.name.span(),
            other => other.span(),
        };
        let error = self.text.error(span, format!("there is no function {name}"));
        match name {
            "cast" | "try_cast" => {
                return error.hint(format!("write {name}(value as type), such as {name}(a as integer)"));
            }
            "isnan" => return error.hint("write value is null"),
            "row" | "struct" | "named_struct" | "struct_pack" => return error.hint("write {'key': value, …}"),
            name if is_window_function(name) => return self.window_function(error),
            _ => {}
        }
        if let Some(hint) = foreign_function(name) {
            return error.hint(hint);
        }
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("`foldl functions` lists them all"),
        }
    }

    /// The arguments of a call as plain expressions.
    pub(super) fn arguments<'e>(&self, call: &'e ast::Function) -> Result<Arguments<'e>> {
        let mut arguments = Arguments { list: Vec::new(), distinct: false, star: false, order: &[] };
        let FunctionArguments::List(list) = &call.args else { return Ok(arguments) };
        arguments.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.list.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_)) => {
                    arguments.star = true;
                }
                other => {
                    return Err(self.text.error(call.name.span(), format!("the argument `{other}` is not supported")));
                }
            }
        }
        for clause in &list.clauses {
            match clause {
                ast::FunctionArgumentClause::OrderBy(keys) => arguments.order = keys,
                clause => {
                    return Err(self
                        .text
                        .error(call.name.span(), format!("`{clause}` inside a call is not supported")));
                }
            }
        }
        Ok(arguments)
    }
}

/// A function that is no row of the table, because it does not evaluate all of its arguments, or is a constant.
pub(super) struct Special {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    arguments: (usize, usize),
    pub(super) signature: &'static str,
    pub(super) summary: &'static str,
    pub(super) example: (&'static str, &'static str),
}

const fn special(
    name: &'static str,
    aliases: &'static [&'static str],
    arguments: (usize, usize),
    signature: &'static str,
    summary: &'static str,
    example: (&'static str, &'static str),
) -> Special {
    Special { name, aliases, arguments, signature, summary, example }
}

pub(super) const SPECIAL: [Special; 13] = [
    special(
        "json_extract",
        &["json_extract_path"],
        (2, 2),
        "json_extract(value, path)",
        "What a key, an index or a path such as '$.a[0]' leads to in a value, or in a text that is JSON. Also: value -> path.",
        ("json_extract('{\"a\":[1,2]}', '$.a[1]')", "2"),
    ),
    special(
        "json_extract_string",
        &["json_extract_path_text", "get_json_object"],
        (2, 2),
        "json_extract_string(value, path)",
        "The same as text. Also: value ->> path.",
        ("json_extract_string('{\"a\":1.5}', '$.a')", "\"1.5\""),
    ),
    special(
        "coalesce",
        &[],
        (1, usize::MAX),
        "coalesce(value, …)",
        "The first value that is not NULL.",
        ("coalesce(null, 2, 3)", "2"),
    ),
    special(
        "ifnull",
        &["nvl"],
        (2, 2),
        "ifnull(value, otherwise)",
        "The value, or the other one if it is NULL.",
        ("ifnull(null, 2)", "2"),
    ),
    special(
        "nullif",
        &[],
        (2, 2),
        "nullif(value, other)",
        "The value, or NULL if it equals the other.",
        ("nullif('-', '-')", "null"),
    ),
    special(
        "nvl2",
        &[],
        (3, 3),
        "nvl2(value, then, otherwise)",
        "One value if another one is not NULL, else a third.",
        ("nvl2(null, 'some', 'none')", "\"none\""),
    ),
    special(
        "isnull",
        &[],
        (1, 1),
        "isnull(value)",
        "Whether a value is NULL: value is null.",
        ("isnull(null)", "true"),
    ),
    special(
        "isnotnull",
        &[],
        (1, 1),
        "isnotnull(value)",
        "Whether a value is not NULL: value is not null.",
        ("isnotnull(null)", "false"),
    ),
    special(
        "locate",
        &["charindex"],
        (2, 2),
        "locate(part, text)",
        "The character at which a part begins in a text, from 1; 0 if it is not in it: strpos(text, part).",
        ("locate('l', 'hello')", "3"),
    ),
    special(
        "if",
        &["iff"],
        (3, 3),
        "if(condition, then, otherwise)",
        "One value if a condition is true, else another.",
        ("if(1 < 2, 'yes', 'no')", "\"yes\""),
    ),
    special(
        "exists",
        &[],
        (1, 1),
        "exists(path)",
        "Whether the record has the path, be it null.",
        ("exists(no.such.path)", "false"),
    ),
    special(
        "now",
        &["current_timestamp"],
        (0, 0),
        "now()",
        "The moment when the run began, the same for all records.",
        ("typeof(now())", "\"timestamp\""),
    ),
    special(
        "today",
        &["current_date"],
        (0, 0),
        "today()",
        "The day in UTC when the run began, the same for all records.",
        ("typeof(today())", "\"date\""),
    ),
];

/// The arguments of a call.
pub(super) struct Arguments<'e> {
    pub(super) list: Vec<&'e ast::Expr>,
    pub(super) distinct: bool,
    pub(super) star: bool,
    /// ORDER BY inside the call.
    pub(super) order: &'e [ast::OrderByExpr],
}

/// The steps of a path such as `$.a."b c"[0]`.
fn json_path(text: &str) -> Option<Vec<ItemStep>> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(".\"") {
            let (key, after) = after.split_once('"')?;
            steps.push(ItemStep::Key(key.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            steps.push(ItemStep::Key(Some(key).filter(|key| !key.is_empty() && *key != "*")?.to_owned()));
            rest = after;
        } else {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(ItemStep::Index(index.trim_start_matches('#').parse().ok()?));
            rest = after;
        }
    }
    Some(steps)
}

/// The texts that stand in the query as an argument, alone or in an array.
fn constant_texts(argument: &Expr) -> Vec<String> {
    match argument {
        Expr::Literal(Literal::Text(text)) => vec![text.clone()],
        Expr::Literal(Literal::Json(list)) => serde_json::from_str(list).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The array that a function makes of constants, so that it is not made again for each row.
fn constant_array(function: &Function, arguments: &[Expr]) -> Option<Literal> {
    let Gives::Array = function.gives else { return None };
    let values: Option<Vec<Value>> = arguments
        .iter()
        .map(|argument| match argument {
            Expr::Literal(literal) => Some(literal.value()),
            _ => None,
        })
        .collect();
    match function.apply(&values?, &Bump::new()) {
        Ok(Value::Json(text)) => String::from_utf8(text.to_vec()).ok().map(Literal::Json),
        _ => None,
    }
}

/// A value as text.
pub(super) fn as_text(operand: Expr, site: Site) -> Expr {
    Expr::Cast { operand: Box::new(operand), to: Type::Text, lenient: true, site }
}

/// What is written like no call of a function, and is looked up like one.
pub(super) const SYNTAX: [Special; 5] = [
    special(
        "cast",
        &[],
        (2, 2),
        "cast(value as type)",
        "The value as one of boolean, integer (tinyint, smallint, bigint, hugeint), double, decimal(precision, scale), varchar, date, timestamp and interval; NULL, and counted, if it is none. Also: value::type.",
        ("cast('12' as integer)", "12"),
    ),
    special(
        "try_cast",
        &[],
        (2, 2),
        "try_cast(value as type)",
        "As cast, but what cannot be cast is NULL and not counted.",
        ("try_cast('x' as integer)", "null"),
    ),
    special(
        "case",
        &[],
        (0, 0),
        "case when condition then value … else value end",
        "The value behind the first condition that is true. Also: case value when other then … end.",
        ("case when 1 > 2 then 'more' else 'less' end", "\"less\""),
    ),
    special(
        "extract",
        &[],
        (1, 1),
        "extract(part from timestamp)",
        "A part of a moment or an interval by its name, as date_part.",
        ("extract(year from timestamp '2025-02-22 04:21:55')", "2025"),
    ),
    special(
        "unnest",
        &[],
        (1, 1),
        "unnest(array)",
        "A row for each element of an array, as an item of the select list; of no element there is no row. In FROM it gives the element a name: select id, item.price from input, unnest(items) as item. The array can be any expression: unnest(split(tags, ',')).",
        ("unnest(l)", "7 and 8"),
    ),
];
