//! Checks that look at row after row: whether values rise, and which fields records have.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bumpalo::Bump;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::check::{Check, Kind};
use crate::record::Record;
use crate::scan::{Path, Step};
use crate::value::{Value, order};

/// The fields that a schema may have. Objects that are used as maps have a field for each key.
const MOST_FIELDS: usize = 100_000;

/// Takes the rows of [`Questions::rows`](super::Questions::rows), in their order, and holds none of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Fold {
    /// Of [`Kind::Monotonic`].
    Monotonic {
        /// The JSON text of the last value.
        last: Option<String>,
        /// How many values were less than the one before.
        falls: u64,
    },
    /// Of [`Kind::Schema`].
    Schema(Fields),
}

/// For each field the types it had, without NULL; integers and floats are both `number`. Fields within objects have paths
/// such as `user.city`, those within arrays such as `items[].price`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    types: BTreeMap<String, BTreeSet<String>>,
    /// Whether there were more fields than are kept.
    overflown: bool,
}

impl Fold {
    /// What takes the rows of a check, if it has any.
    pub fn of(check: &Check) -> Option<Fold> {
        match check.kind {
            Kind::Monotonic(_) => Some(Fold::Monotonic { last: None, falls: 0 }),
            Kind::Schema(_) => Some(Fold::Schema(Fields::default())),
            _ => None,
        }
    }

    /// Takes the next row. If the record that it stands for fails, what it has to do with.
    pub fn add(&mut self, row: &Record<'_>) -> Option<String> {
        match self {
            Fold::Monotonic { last, falls } => {
                let next = row.raw("value")?;
                let falls_to = last.as_deref().is_some_and(|last| compare(next, last).is_lt());
                let before = last.replace(next.to_owned()).filter(|_| falls_to)?;
                *falls += 1;
                Some(format!("{next} after {before}"))
            }
            Fold::Schema(fields) => {
                if let Some(Ok(structure)) = row.raw("structure").map(serde_json::from_str::<Json>) {
                    fields.add(&mut Vec::new(), &structure);
                }
                None
            }
        }
    }
}

fn compare(a: &str, b: &str) -> Ordering {
    let arena = Bump::new();
    order::compare(Value::from_json(a.as_bytes(), &arena), Value::from_json(b.as_bytes(), &arena))
}

impl Fields {
    /// Adds a structure, as the function `json_structure` writes it.
    fn add(&mut self, path: &mut Vec<Step>, structure: &Json) {
        let name = match structure {
            Json::Object(_) => "object",
            Json::Array(_) => "array",
            Json::String(name) => match name.as_str() {
                "integer" | "float" => "number",
                name => name,
            },
            _ => return,
        };
        if !path.is_empty() {
            let field = written(path);
            if self.types.len() >= MOST_FIELDS && !self.types.contains_key(&field) {
                self.overflown = true;
                return;
            }
            let types = self.types.entry(field).or_default();
            if name != "null" {
                types.insert(name.to_owned());
            }
        }
        match structure {
            Json::Object(entries) => {
                for (key, value) in entries {
                    path.push(Step::Key(key.clone()));
                    self.add(path, value);
                    path.pop();
                }
            }
            Json::Array(elements) => {
                for element in elements {
                    path.push(Step::Index(0));
                    self.add(path, element);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Whether there were more fields than are kept, so that a comparison says nothing.
    pub fn overflown(&self) -> bool {
        self.overflown
    }

    /// What is kept for the next run: an object with an array of types for each field.
    pub fn to_json(&self) -> Json {
        Json::Object(self.types.iter().map(|(field, types)| (field.clone(), types.iter().cloned().collect())).collect())
    }

    /// What a run before kept; `None` if it is no such thing.
    pub fn from_json(json: &Json) -> Option<Fields> {
        let mut types = BTreeMap::new();
        for (field, names) in json.as_object()? {
            let names = names.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
            types.insert(field.clone(), names.collect::<Option<BTreeSet<_>>>()?);
        }
        Some(Fields { types, overflown: false })
    }

    /// What is different from the fields before.
    pub fn changes_since(&self, before: &Fields) -> Changes {
        let added = self.types.keys().filter(|field| !before.types.contains_key(*field)).cloned().collect();
        let removed = before.types.keys().filter(|field| !self.types.contains_key(*field)).cloned().collect();
        let changed = self.types.iter().filter_map(|(field, types)| {
            let before = before.types.get(field)?;
            // Where all values were NULL nothing is known of the type.
            let differ = !types.is_empty() && !before.is_empty() && types != before;
            differ.then(|| (field.clone(), listed(before), listed(types)))
        });
        Changes { added, removed, changed: changed.collect() }
    }
}

fn listed(types: &BTreeSet<String>) -> String {
    types.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
}

/// A path with `[]` for any element of an array.
fn written(path: &[Step]) -> String {
    let path = Path { steps: path.to_vec() };
    let has_elements = path.steps.iter().any(|step| matches!(step, Step::Index(_)));
    let text = path.to_string();
    if has_elements { with_any_element(&text) } else { text }
}

/// Replaces `[0]` outside of quotes.
fn with_any_element(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('"').enumerate() {
        if number > 0 {
            out.push('"');
        }
        match number % 2 {
            0 => out.push_str(&part.replace("[0]", "[]")),
            _ => out.push_str(part),
        }
    }
    out
}

/// What is different from the fields of the last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Fields that are new.
    pub added: Vec<String>,
    /// Fields that are gone.
    pub removed: Vec<String>,
    /// Fields of other types than before: the field, the types before, and those now.
    pub changed: Vec<(String, String, String)>,
}

impl Changes {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// All changes in words: `email added; age was number, is string`.
    pub fn lines(&self) -> Vec<String> {
        let added = self.added.iter().map(|field| format!("{field} added"));
        let removed = self.removed.iter().map(|field| format!("{field} removed"));
        let changed = self.changed.iter().map(|(field, was, is)| format!("{field} was {was}, is {is}"));
        added.chain(removed).chain(changed).collect()
    }
}
