//! Variables: `{{ date }}` in the strings of a job file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::secret::{Secret, SecretPlace};
use super::source::{Literal, Text};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::nearest;
use crate::value::zone::Zone;
use crate::value::{Date, Timestamp};

/// What is said beside a job file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Values of variables, in place of those of `[vars]`: the `name=value` of `--var`.
    pub vars: Vec<(String, String)>,
    /// The day that `today` is; that on which `yesterday` is the day before. By default it is the day of the clock in the
    /// timezone of the job.
    pub today: Option<Date>,
}

/// The variables of a job.
#[derive(Clone, Debug, Default)]
pub(super) struct Vars {
    known: BTreeMap<String, Var>,
}

#[derive(Clone, Debug)]
enum Var {
    Plain(String),
    Secret(Secret),
}

/// A string with its variables replaced.
pub(super) struct Expanded {
    /// With the values of secrets.
    pub(super) value: String,
    /// With the places of secrets in place of their values.
    pub(super) shown: String,
    /// For each byte of the value, and for its end, the byte of the string that it comes from.
    pub(super) places: Vec<usize>,
}

impl Vars {
    /// The variables of `[vars]`, with what is said beside the file.
    pub(super) fn read(text: &Text, root: &DeTable<'_>, folder: &Path, overrides: &Overrides) -> Result<Vars> {
        let zone = zone(text, root)?;
        let today = match overrides.today {
            Some(today) => today,
            None => zone.wall_clock(Timestamp::now()).unwrap_or(Timestamp(0)).date(),
        };
        let day = |back: i32| Date(today.0.saturating_sub(back)).to_string();
        let plain = |value: &str| {
            Var::Plain(match value {
                "today" => day(0),
                "yesterday" => day(1),
                value => value.to_owned(),
            })
        };
        let mut vars = Vars::default();
        for (name, back) in [("today", 0), ("yesterday", 1)] {
            vars.known.insert(name.to_owned(), Var::Plain(day(back)));
        }
        let declared = match root.get("vars").map(|vars| (vars.span(), vars.get_ref())) {
            None => None,
            Some((_, DeValue::Table(table))) => Some(table),
            Some((span, _)) => return Err(text.error_at(span, "[vars] is a table of variables")),
        };
        for (name, value) in declared.into_iter().flatten() {
            if !is_name(name.get_ref()) {
                return Err(text
                    .error_at(name.span(), format!("`{}` is no name of a variable", name.get_ref()))
                    .hint("a name has letters, digits, _ and -, and begins with a letter"));
            }
            let var = match (value.get_ref(), scalar(value.get_ref())) {
                (_, Some(value)) => plain(&value),
                (DeValue::Table(table), _) => match secret_place(table) {
                    Some(place) => {
                        Var::Secret(Secret::read(place, folder).map_err(|why| text.error_at(value.span(), why))?)
                    }
                    None => return Err(no_value(text, value.span())),
                },
                _ => return Err(no_value(text, value.span())),
            };
            vars.known.insert(name.get_ref().to_string(), var);
        }
        for (name, value) in &overrides.vars {
            if !vars.known.contains_key(name) && !uses(&DeValue::Table(root.clone()), name) {
                let error = Error::new(ErrorKind::Usage, format!("the job has no variable `{name}`"));
                return Err(match nearest(name, vars.known.keys().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint("[vars] declares variables"),
                });
            }
            vars.known.insert(name.clone(), plain(value));
        }
        // Variables may be made of others.
        let mut done = BTreeSet::new();
        for (name, value) in declared.into_iter().flatten() {
            vars.expand_var(text, name.get_ref(), value.span(), &mut Vec::new(), &mut done)?;
        }
        Ok(vars)
    }

    /// Replaces the variables in the value of a variable, once. `within` are the variables that it is a part of.
    fn expand_var(
        &mut self,
        text: &Text,
        name: &str,
        span: Range<usize>,
        within: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Result<()> {
        let Some(Var::Plain(value)) = self.known.get(name).cloned().filter(|_| !done.contains(name)) else {
            return Ok(());
        };
        if within.iter().any(|outer| outer == name) {
            return Err(text.error_at(span, format!("the variable `{name}` is made of itself")));
        }
        within.push(name.to_owned());
        for (_, part) in parts(&value).map_err(|(_, why)| text.error_at(span.clone(), why))? {
            if let Part::Name(inner) = part {
                self.expand_var(text, inner, span.clone(), within, done)?;
            }
        }
        within.pop();
        let expanded = self.expand(&value).map_err(|(_, error)| error.placed(text, span.clone()))?;
        if expanded.value != expanded.shown {
            return Err(text
                .error_at(span, format!("the variable `{name}` is made of a secret"))
                .hint("a secret is a variable of its own, which strings can name"));
        }
        self.known.insert(name.to_owned(), Var::Plain(expanded.value));
        done.insert(name.to_owned());
        Ok(())
    }

    /// Replaces the variables in a string. An error comes with its range of bytes in the string.
    pub(super) fn expand(&self, value: &str) -> Result<Expanded, (Range<usize>, Unknown)> {
        let mut out = Expanded { value: String::new(), shown: String::new(), places: Vec::new() };
        for (place, part) in parts(value).map_err(|(range, why)| (range, Unknown { message: why, hint: None }))? {
            let (text, shown) = match part {
                Part::Text(text) => {
                    out.places.extend(place..place + text.len());
                    (text.to_owned(), text.to_owned())
                }
                Part::Name(name) => match self.known.get(name) {
                    Some(Var::Plain(text)) => (text.clone(), text.clone()),
                    Some(Var::Secret(secret)) => (secret.reveal().to_owned(), secret.to_string()),
                    None => return Err((place..place + 2, self.unknown(name))),
                },
            };
            out.value.push_str(&text);
            out.shown.push_str(&shown);
            out.places.resize(out.value.len(), place);
        }
        out.places.push(value.len());
        Ok(out)
    }

    fn unknown(&self, name: &str) -> Unknown {
        let hint = match nearest(name, self.known.keys().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("give it a value in [vars], or by --var {name}=…"),
        };
        Unknown { message: format!("there is no variable `{name}`"), hint: Some(hint) }
    }

    /// Replaces the variables in all strings of the file but those of `[vars]`, and secrets where they stand; dates become
    /// strings. Gives the tree with the values of secrets, and the one that shows none.
    pub(super) fn apply<'t>(
        &self,
        text: &Text,
        root: &DeTable<'t>,
        folder: &Path,
        secrets: &mut Vec<Secret>,
    ) -> Result<[DeTable<'t>; 2]> {
        let (mut real, mut shown) = (root.clone(), root.clone());
        secrets.extend(self.known.values().filter_map(|var| match var {
            Var::Secret(secret) => Some(secret.clone()),
            Var::Plain(_) => None,
        }));
        let pairs = real.iter_mut().zip(shown.iter_mut()).filter(|((key, _), _)| key.get_ref() != "vars");
        for ((_, value), (_, shown)) in pairs {
            let span = value.span();
            self.apply_to(text, value.get_mut(), shown.get_mut(), span, folder, secrets)?;
        }
        Ok([real, shown])
    }

    fn apply_to(
        &self,
        text: &Text,
        value: &mut DeValue<'_>,
        shown: &mut DeValue<'_>,
        span: Range<usize>,
        folder: &Path,
        secrets: &mut Vec<Secret>,
    ) -> Result<()> {
        match (&mut *value, &mut *shown) {
            (DeValue::String(string), DeValue::String(shown)) => {
                let expanded = self.expand(string).map_err(|(range, error)| {
                    let place = text.in_string(&span, string, &range);
                    error.placed(text, place)
                })?;
                *string = expanded.value.into();
                *shown = expanded.shown.into();
            }
            (DeValue::Datetime(moment), _) => {
                let written = moment.to_string();
                *shown = DeValue::String(written.clone().into());
                *value = DeValue::String(written.into());
            }
            (DeValue::Array(values), DeValue::Array(others)) => {
                for (value, other) in values.iter_mut().zip(others.iter_mut()) {
                    let span = value.span();
                    self.apply_to(text, value.get_mut(), other.get_mut(), span, folder, secrets)?;
                }
            }
            (DeValue::Table(table), DeValue::Table(others)) => {
                let is_inline = text.text[span.start.min(text.text.len())..].starts_with('{');
                if let Some(place) = secret_place(table).filter(|_| is_inline) {
                    let secret = Secret::read(place, folder).map_err(|why| text.error_at(span, why))?;
                    *shown = DeValue::String(secret.to_string().into());
                    *value = DeValue::String(secret.reveal().to_owned().into());
                    secrets.push(secret);
                    return Ok(());
                }
                for ((_, value), (_, other)) in table.iter_mut().zip(others.iter_mut()) {
                    let span = value.span();
                    self.apply_to(text, value.get_mut(), other.get_mut(), span, folder, secrets)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The values that are no secrets, by name.
    pub(super) fn plain(&self) -> BTreeMap<&str, &str> {
        let plain = self.known.iter().filter_map(|(name, var)| match var {
            Var::Plain(value) => Some((name.as_str(), value.as_str())),
            Var::Secret(_) => None,
        });
        plain.collect()
    }
}

impl Text {
    /// The place in the file of a range of bytes of a string's value, which stands at `span`.
    pub(super) fn in_string(&self, span: &Range<usize>, value: &str, range: &Range<usize>) -> Range<usize> {
        match Literal::read(self.text.get(span.clone()).unwrap_or_default(), span.start) {
            Some(literal) if literal.value == value => {
                let place = |byte: usize| literal.places[byte.min(value.len())];
                place(range.start)..place(range.end).max(place(range.start))
            }
            _ => span.clone(),
        }
    }
}

/// A variable that there is not.
#[derive(Debug)]
pub(super) struct Unknown {
    message: String,
    hint: Option<String>,
}

impl Unknown {
    fn placed(self, text: &Text, range: Range<usize>) -> Error {
        let error = text.error_at(range, self.message);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Part<'v> {
    Text(&'v str),
    Name(&'v str),
}

/// The parts of a string, each with its first byte.
type Parts<'v> = Vec<(usize, Part<'v>)>;

/// The parts of a string. `{{ "{{" }}` stands for two braces. An error comes with its range.
fn parts(value: &str) -> Result<Parts<'_>, (Range<usize>, String)> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(open) = value[at..].find("{{").map(|found| at + found) {
        if open > at {
            parts.push((at, Part::Text(&value[at..open])));
        }
        let close = value[open..].find("}}").map(|found| open + found);
        let close = close.ok_or_else(|| (open..open + 2, "`{{` has no `}}` behind it".to_owned()))?;
        let name = value[open + 2..close].trim();
        let part = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(text) => Part::Text(text),
            None if is_name(name) => Part::Name(name),
            None => return Err((open..close + 2, format!("`{name}` is no name of a variable"))),
        };
        parts.push((open, part));
        at = close + 2;
    }
    if at < value.len() {
        parts.push((at, Part::Text(&value[at..])));
    }
    Ok(parts)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// Whether any string names a variable.
fn uses(value: &DeValue<'_>, name: &str) -> bool {
    match value {
        DeValue::String(string) => {
            parts(string).is_ok_and(|parts| parts.iter().any(|(_, part)| *part == Part::Name(name)))
        }
        DeValue::Array(values) => values.iter().any(|value| uses(value.get_ref(), name)),
        DeValue::Table(table) => table.values().any(|value| uses(value.get_ref(), name)),
        _ => false,
    }
}

/// The text of a value that is no table and no array.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(value) => value.to_string(),
        DeValue::Integer(value) if value.radix() == 10 => value.as_str().to_owned(),
        DeValue::Float(value) => value.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        _ => return None,
    })
}

fn no_value(text: &Text, span: Range<usize>) -> Error {
    text.error_at(span, "a variable is a text, a number, a date, true or false, or { env = \"NAME\" }")
}

/// What `{ env = "NAME" }` and `{ file = "path" }` say.
fn secret_place(table: &DeTable<'_>) -> Option<SecretPlace> {
    let (key, value) = table.iter().next().filter(|_| table.len() == 1)?;
    let value = value.get_ref().as_str()?.to_owned();
    match key.get_ref().as_ref() {
        "env" => Some(SecretPlace::Env(value)),
        "file" => Some(SecretPlace::File(value)),
        _ => None,
    }
}

/// The time zone of `[run]`, UTC if there is none.
fn zone(text: &Text, root: &DeTable<'_>) -> Result<Zone> {
    let utc = || Zone::named("UTC").ok_or_else(|| Error::new(ErrorKind::Internal, "there is no UTC"));
    let Some(DeValue::Table(run)) = root.get("run").map(|run| run.get_ref()) else { return utc() };
    let Some(value) = run.get("timezone") else { return utc() };
    let Some(name) = value.get_ref().as_str() else { return utc() };
    Zone::named(name).ok_or_else(|| {
        let error = text.error_at(value.span(), format!("`{name}` is no time zone"));
        let names = Zone::names();
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("time zones are named as Europe/Berlin, UTC or +05:30"),
        }
    })
}
