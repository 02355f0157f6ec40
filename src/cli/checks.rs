//! The flags of `foldl check`, as checks.

use std::str::FromStr;

use foldl::quality::{
    Age, Check, Column, Constant, Expression, Fresh, Kind, Length, Matches, Metric, Monotonic, NotNull, Pattern, Range,
    Rate, Relationship, RowCount, Severity, TypeOf, Values,
};
use foldl::{Error, ErrorKind, Result};

use super::args::CheckArgs;

/// The checks that the flags ask for, by kind in the order of the help, those of one kind as they were given.
///
/// # Errors
/// [`ErrorKind::Usage`] for a flag that makes no sense, [`ErrorKind::Query`] for a mistake in SQL.
pub(super) fn checks(args: &CheckArgs) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let flags: [Flag; 14] = [
        ("--rows", &args.rows, rows),
        ("--not-null", &args.not_null, not_null),
        ("--unique", &args.unique, unique),
        ("--range", &args.range, range),
        ("--accepted", &args.accepted, |text| Ok(Kind::Accepted(values(text)?))),
        ("--forbidden", &args.forbidden, |text| Ok(Kind::Forbidden(values(text)?))),
        ("--matches", &args.matches, matches),
        ("--length", &args.length, length),
        ("--type", &args.types, type_of),
        ("--expect", &args.expect, |text| Ok(Kind::Expect(text.parse()?))),
        ("--metric", &args.metric, metric),
        ("--fresh", &args.fresh, fresh),
        ("--relationship", &args.relationship, relationship),
        ("--monotonic", &args.monotonic, |text| Ok(Kind::Monotonic(Monotonic { column: text.parse()? }))),
    ];
    for (flag, given, parse) in flags {
        for text in given {
            let check = parse(text).and_then(|kind| Check::new("input", kind));
            let check = check.map_err(|why| Error::new(ErrorKind::Usage, format!("{flag} '{text}': {why}")))?;
            check.validate()?;
            checks.push(check);
        }
    }
    if checks.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "nothing is to be checked").hint(
            "foldl check orders.jsonl --not-null userId --unique orderId; `foldl check --help` lists all checks",
        ));
    }
    number_names(&mut checks);
    warn(&mut checks, &args.warn)?;
    Ok(checks)
}

/// The name of a flag, what was given, and how it is read.
type Flag<'a> = (&'a str, &'a [String], fn(&str) -> Parsed);

type Parsed = std::result::Result<Kind, String>;

/// Where several checks have one name, the second gets `#2` behind it, and so on.
fn number_names(checks: &mut [Check]) {
    let names: Vec<String> = checks.iter().map(Check::name).collect();
    for (place, check) in checks.iter_mut().enumerate() {
        let before = names[..place].iter().filter(|name| **name == names[place]).count();
        if before > 0 {
            check.given_name = Some(format!("{}#{}", names[place], before + 1));
        }
    }
}

/// Sets the severity of the checks that `--warn` names.
fn warn(checks: &mut [Check], names: &[String]) -> Result<()> {
    for name in names {
        let mut found = false;
        for check in checks.iter_mut() {
            let kind = check.kind.name();
            let is_kind = [kind, &kind.replace('_', "-"), "all"].contains(&name.as_str())
                || name == "rows" && matches!(check.kind, Kind::RowCount(_));
            if is_kind || check.name() == *name {
                check.severity = Severity::Warn;
                found = true;
            }
        }
        if !found {
            let names: Vec<String> = checks.iter().map(Check::name).collect();
            let error = Error::new(ErrorKind::Usage, format!("--warn '{name}': no check has this name"));
            return Err(match foldl::sql::nearest(name, names.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint(format!("the checks are {}", names.join(", "))),
            });
        }
    }
    Ok(())
}

fn rows(text: &str) -> Parsed {
    let (min, max) = limits(text)?;
    Ok(Kind::RowCount(RowCount { min, max }))
}

fn not_null(text: &str) -> Parsed {
    let (column, rate) = column_and_rest(text);
    let max_rate = rate.map_or(Ok(Rate::default()), str::parse)?;
    Ok(Kind::NotNull(NotNull { column: column.parse()?, max_rate }))
}

fn unique(text: &str) -> Parsed {
    Ok(Kind::Unique(items(text).into_iter().map(str::parse).collect::<std::result::Result<_, String>>()?))
}

fn range(text: &str) -> Parsed {
    let (column, limits) = column_and(text, "quantity:1..1000")?;
    let (min, max) = constants(limits)?;
    Ok(Kind::Range(Range { column, min, max }))
}

fn values(text: &str) -> std::result::Result<Values, String> {
    let (column, list) = column_and(text, "status:completed,pending")?;
    let values = items(list).into_iter().map(Constant::typed).collect::<std::result::Result<_, String>>()?;
    Ok(Values { column, values })
}

fn matches(text: &str) -> Parsed {
    let (column, pattern) = column_and(text, "orderId:'^ord-'")?;
    let pattern: Pattern = pattern.parse()?;
    Ok(Kind::Matches(Matches { column, pattern }))
}

fn length(text: &str) -> Parsed {
    let (column, range) = column_and(text, "country:2..2")?;
    let (min, max) = limits(range)?;
    Ok(Kind::Length(Length { column, min, max }))
}

fn type_of(text: &str) -> Parsed {
    let (column, is) = column_and(text, "price:number")?;
    Ok(Kind::Type(TypeOf { column, is: is.parse()? }))
}

fn metric(text: &str) -> Parsed {
    let (expr, limits) = text.rsplit_once(':').ok_or("a colon is missing; it is written as in 'avg(price):10..20'")?;
    let expr: Expression = expr.parse()?;
    let (min, max) = constants(limits)?;
    Ok(Kind::Metric(Metric { expr, min, max, max_change: None }))
}

fn fresh(text: &str) -> Parsed {
    let (column, age) = column_and(text, "orderDate:36h")?;
    let max_age: Age = age.parse()?;
    Ok(Kind::Fresh(Fresh { column, max_age }))
}

fn relationship(text: &str) -> Parsed {
    let (column, file) = column_and(text, "userId:users.jsonl")?;
    let (source, key) = match file.rsplit_once(':') {
        // A colon may be part of the name of the file.
        Some((source, key)) if !std::path::Path::new(file).exists() => (source, Some(key.parse::<Column>()?)),
        _ => (file, None),
    };
    Ok(Kind::Relationship(Relationship { column, source: source.to_owned(), key }))
}

/// A column, and what stands behind the first colon that is not in quotes.
fn column_and_rest(text: &str) -> (&str, Option<&str>) {
    match outside_quotes(text, ':').next() {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    }
}

fn column_and<'t>(text: &'t str, example: &str) -> std::result::Result<(Column, &'t str), String> {
    let (column, rest) = column_and_rest(text);
    let rest = rest.ok_or_else(|| format!("a colon is missing; it is written as in {example}"))?;
    Ok((column.parse()?, rest))
}

/// What stands between commas that are not in quotes.
fn items(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut start = 0;
    for comma in outside_quotes(text, ',') {
        items.push(&text[start..comma]);
        start = comma + 1;
    }
    items.push(&text[start..]);
    items
}

/// The places of a character outside of double quotes.
fn outside_quotes(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    text.char_indices().filter_map(move |(place, c)| {
        quoted ^= c == '"';
        (!quoted && c == wanted).then_some(place)
    })
}

/// `MIN..MAX`, where one of them may be missing; a value alone is both.
fn ends(text: &str) -> (Option<&str>, Option<&str>) {
    let end = |text: &'_ str| if text.is_empty() { None } else { Some(text.len()) };
    match text.split_once("..") {
        Some((min, max)) => (end(min).map(|_| min), end(max).map(|_| max)),
        None => (end(text).map(|_| text), end(text).map(|_| text)),
    }
}

fn limits(text: &str) -> std::result::Result<(Option<u64>, Option<u64>), String> {
    let (min, max) = ends(text);
    let number = |text: &str| {
        u64::from_str(text).map_err(|_| format!("`{text}` is no whole number; write 10..20, 10.. or ..20"))
    };
    Ok((min.map(number).transpose()?, max.map(number).transpose()?))
}

fn constants(text: &str) -> std::result::Result<(Option<Constant>, Option<Constant>), String> {
    let (min, max) = ends(text);
    Ok((min.map(Constant::typed).transpose()?, max.map(Constant::typed).transpose()?))
}
