//! Job files: reading, checking, and the key that tells two jobs apart.
//!
//! A file is parsed to a tree, the variables in its strings are replaced (`vars`), and serde makes the tables of it
//! (`table`). What no table can know of itself, such as whether a source is there that a check names, is checked here.
//! `source` knows where everything stands, for errors.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::secret::{Secret, redact};
use super::source::Text;
use super::store::Mode;
use super::table::Tables;
use super::vars::Vars;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::input::within;
use crate::output::Compression;
use crate::quality::{Check, Kind, Metric, Relationship};
use crate::sql::nearest;

/// What is wrong with the name of a compressed file for records that are no output's.
const UNPACKED: &str = "these records are written as they come, without compression, which the name does not say";

pub use super::vars::Overrides;

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A job file that makes sense, apart from the queries in it, which are checked where they are planned.
///
/// Its [`Debug`](fmt::Debug) output shows no secret.
///
/// ```
/// use foldl::job::file::{JobFile, Overrides};
///
/// let text = r#"
/// [vars]
/// date = "yesterday"
/// [sources.orders]
/// files = ["raw/{{ date }}/*.jsonl"]
/// [[outputs]]
/// name = "totals"
/// query = "select status, count(*) as orders from orders group by status"
/// path = "out/{{ date }}"
/// "#;
/// let overrides = Overrides { vars: vec![("date".to_owned(), "2026-02-01".to_owned())], ..Overrides::default() };
/// let job = JobFile::parse(text, "jobs/daily.toml".as_ref(), &overrides)?;
/// assert_eq!(job.name(), "daily");
/// assert_eq!(job.tables().sources["orders"].files, ["raw/2026-02-01/*.jsonl"]);
/// assert_eq!(job.resolve(&job.tables().outputs[0].path), std::path::Path::new("jobs/out/2026-02-01"));
/// # Ok::<(), foldl::Error>(())
/// ```
pub struct JobFile {
    text: Text,
    folder: PathBuf,
    vars: Vars,
    tables: Tables,
    /// The same without secrets.
    shown: Tables,
    secrets: Vec<Secret>,
}

/// A query in a job file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryOf<'j> {
    /// The view of a name.
    View(&'j str),
    /// The output of a number, from 0.
    Output(usize),
    /// The expression in the check of a number, from 0.
    Check(usize),
}

impl JobFile {
    /// Reads a job file.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the file cannot be read, or a variable is given that the job does not have;
    /// [`ErrorKind::Query`], with the place in the file, for every mistake in it.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<JobFile> {
        let text = std::fs::read_to_string(path).map_err(|err| {
            Error::new(ErrorKind::Usage, "cannot read the job").at(Place::File(path.to_owned())).caused_by(err)
        })?;
        JobFile::parse(&text, path, overrides)
    }

    /// The job of a text, as if it had been read from `path`.
    ///
    /// # Errors
    /// As [`read`](JobFile::read).
    pub fn parse(content: &str, path: &Path, overrides: &Overrides) -> Result<JobFile> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut text = Text::new(path, content.to_owned());
        let root = DeTable::parse(content).map_err(|error| text.toml_error(&error))?;
        text.note_places(&DeValue::Table(root.get_ref().clone()), &mut Vec::new());
        let vars = Vars::read(&text, root.get_ref(), &folder, overrides)?;
        let mut secrets = Vec::new();
        let [real, shown] = vars.apply(&text, root.get_ref(), &folder, &mut secrets)?;
        let shown = tables_of(&text, shown, root.span()).map_err(|error| not_secret(&text, error))?;
        let tables = tables_of(&text, real, root.span()).map_err(|error| redacted(&secrets, error))?;
        let mut job = JobFile { text, folder, vars, tables, shown, secrets };
        for (check, shown) in job.tables.checks.iter_mut().zip(&job.shown.checks) {
            // A name is told, and that of a check may be made of its SQL.
            if check.name() != shown.name() {
                check.given_name = Some(shown.name());
            }
        }
        job.verify().map_err(|error| redacted(&job.secrets, error))?;
        Ok(job)
    }

    /// The name of the job.
    pub fn name(&self) -> String {
        let stem = || self.text.path.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
        self.tables.name.clone().unwrap_or_else(stem)
    }

    /// The path that the job was read from.
    pub fn path(&self) -> &Path {
        &self.text.path
    }

    /// What the file says, its variables and secrets replaced.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The variables and their values, without those that are secrets.
    pub fn vars(&self) -> BTreeMap<&str, &str> {
        self.vars.plain()
    }

    /// A path of the file: a relative one starts at the folder of the file.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The files and globs of a source, as [`expand`](crate::input::expand) takes them.
    pub fn files(&self, source: &str) -> Vec<String> {
        let files = self.tables.sources.get(source).map_or(&[][..], |source| source.files.as_slice());
        files.iter().map(|file| within(&self.folder, file)).collect()
    }

    /// The folder that relative paths start at.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The directory of the job's state.
    pub fn state(&self) -> PathBuf {
        match &self.tables.run.state {
            Some(state) => self.resolve(state),
            None => self.folder.join(".foldl").join(self.name()),
        }
    }

    /// A text for messages, in which the values of secrets are replaced by the places where they come from.
    pub fn redact(&self, text: &str) -> String {
        redact(&self.secrets, text)
    }

    /// The secrets in the file, whose values are not to be told.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Where the files of a source are named.
    pub fn place_of_files(&self, source: &str) -> Option<Place> {
        let place = self.text.place_of(&["sources", source, "files"]);
        self.text.error_at(place, "").place().cloned()
    }

    /// An error in a query as an error in the file: the place in the query's text becomes the one in the file.
    pub fn place_error(&self, of: QueryOf<'_>, error: Error) -> Error {
        let number;
        let way: &[&str] = match of {
            QueryOf::View(name) => &["views", name],
            QueryOf::Output(output) => {
                number = output.to_string();
                &["outputs", &number, "query"]
            }
            QueryOf::Check(check) => {
                number = check.to_string();
                match self.tables.checks.get(check).map(|check| &check.kind) {
                    Some(Kind::Metric(_)) => &["checks", &number, "metric", "expr"],
                    _ => &["checks", &number, "expect"],
                }
            }
        };
        let span = self.text.place_of(way);
        let range = match error.place() {
            Some(Place::Query { text, start, end }) => self.in_expanded(&span, text, *start..*end),
            _ => span,
        };
        let place = self.text.error_at(range, "").place().cloned();
        match place {
            Some(place) => error.at(place),
            None => error,
        }
    }

    /// The place in the file of a range of bytes of a string with its variables replaced.
    fn in_expanded(&self, span: &Range<usize>, expanded: &str, range: Range<usize>) -> Range<usize> {
        let raw = self.text.text.get(span.clone()).unwrap_or_default();
        let Some(literal) = super::source::Literal::read(raw, span.start) else { return span.clone() };
        match self.vars.expand(&literal.value) {
            Ok(with_vars) if with_vars.value == expanded => {
                let place = |byte: usize| literal.places[with_vars.places[byte.min(expanded.len())]];
                let start = place(range.start);
                start..place(range.end).max(start)
            }
            _ => span.clone(),
        }
    }

    /// The key that tells this job from others: the SHA-256 of [`canonical`](JobFile::canonical), in hexadecimal.
    ///
    /// Two files have the same key if they differ only in comments, in the order of tables and keys, in defaults that are
    /// written out or not, in how variables are called, or in what does not matter for results (see there).
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.canonical().to_string().as_bytes());
        hex(&digest)
    }

    /// All that matters for the results of the job, as JSON with sorted keys: the name, the sources, the views, the checks
    /// in their order, the outputs sorted by name, `incremental`, `strict`, `max_line` and `max_depth`. Variables are
    /// replaced, paths are as they were written, and of a secret there is the place alone, so that it can change. What is
    /// left out: the state directory, checkpoints, `on_changed`, the time zone (dates have been replaced), threads, memory
    /// and temporary space.
    pub fn canonical(&self) -> Json {
        let Tables { run, sources, views, checks, outputs, .. } = &self.shown;
        let mut outputs: Vec<_> = outputs.iter().collect();
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        let mut canonical = json!({
            "version": 1,
            "name": self.name(),
            "sources": sources,
            "views": views,
            "checks": checks,
            "outputs": outputs,
            "incremental": run.incremental,
            "strict": run.strict,
        });
        // A limit that is not there is no key, so that new ones leave the keys of old jobs alone.
        for (key, limit) in [
            ("max_line", run.max_line.map(|size| size.0.get())),
            ("max_depth", run.max_depth.map(|depth| depth.get().into())),
        ] {
            if let Some(limit) = limit {
                canonical[key] = limit.into();
            }
        }
        canonical
    }

    /// Checks what the tables cannot know of themselves.
    fn verify(&self) -> Result<()> {
        let Tables { sources, views, checks, outputs, .. } = &self.tables;
        if outputs.is_empty() && checks.is_empty() {
            return Err(self.text.error(&[], "the job does nothing: it has neither [[outputs]] nor [[checks]]"));
        }
        for (table, name) in
            sources.keys().map(|name| ("sources", name)).chain(views.keys().map(|name| ("views", name)))
        {
            if !is_table_name(name) {
                return Err(self
                    .text
                    .error(&[table, name], format!("`{name}` is no name for a table"))
                    .hint("a name has letters, digits and _, and begins with a letter"));
            }
        }
        let name = self.name();
        if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
            return Err(self
                .text
                .error(&["name"], format!("`{name}` is no name for a job"))
                .hint("the state is in a directory of this name, so it has no `/`"));
        }
        if let Some(name) = views.keys().find(|name| sources.contains_key(*name)) {
            return Err(self.text.error(&["views", name], format!("a source and a view are both named `{name}`")));
        }
        for (name, source) in sources {
            if source.files.is_empty() {
                return Err(self.text.error(&["sources", name, "files"], "a source has at least one file"));
            }
        }
        self.verify_checks(checks)?;
        self.verify_outputs()?;
        self.verify_files()
    }

    fn verify_checks(&self, checks: &[Check]) -> Result<()> {
        let mut names: HashMap<String, usize> = HashMap::new();
        for (number, check) in checks.iter().enumerate() {
            let step = number.to_string();
            self.verify_table(&check.on, &["checks", &step, "on"])?;
            if let Kind::Relationship(Relationship { source, .. }) = &check.kind {
                self.verify_table(source, &["checks", &step, "relationship", "source"])?;
            }
            if names.insert(check.name(), number).is_some() {
                return Err(self
                    .text
                    .error(&["checks", &step, "name"], format!("two checks are named `{}`", check.name()))
                    .hint("give one of them another `name`"));
            }
            if matches!(check.kind, Kind::Expect(_) | Kind::Metric(Metric { .. })) {
                check.validate().map_err(|error| self.place_error(QueryOf::Check(number), error))?;
            }
        }
        Ok(())
    }

    /// Whether there is a source or view of a name.
    fn verify_table(&self, name: &str, way: &[&str]) -> Result<()> {
        let Tables { sources, views, .. } = &self.tables;
        if sources.contains_key(name) || views.contains_key(name) {
            return Ok(());
        }
        let error = self.text.error(way, format!("there is no source or view `{name}`"));
        let known: Vec<&str> = sources.keys().chain(views.keys()).map(String::as_str).collect();
        Err(match nearest(name, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => error.hint("[sources.NAME] declares one"),
            None => error.hint(format!("there are {}", known.join(", "))),
        })
    }

    fn verify_outputs(&self) -> Result<()> {
        let outputs = &self.tables.outputs;
        for (number, output) in outputs.iter().enumerate() {
            let step = number.to_string();
            let error = |key: &str, message: String| Err(self.text.error(&["outputs", &step, key], message));
            let before = &outputs[..number];
            if output.name.is_empty() {
                return error("name", "the name of an output is empty".to_owned());
            }
            if before.iter().any(|other| other.name == output.name) {
                return error("name", format!("two outputs are named `{}`", output.name));
            }
            let path = normal(&self.resolve(&output.path));
            if let Some(other) = before.iter().find(|other| {
                let other = normal(&self.resolve(&other.path));
                other.starts_with(&path) || path.starts_with(&other)
            }) {
                return error(
                    "path",
                    format!("this is where the output `{}` is written, too, or within it, or around it", other.name),
                );
            }
            if output.mode == Mode::OverwritePartitions && output.partition_by.is_empty() {
                return error("mode", "overwrite_partitions takes a `partition_by`".to_owned());
            }
            if output.files.is_some() && output.max_file_size.is_some() {
                return error("max_file_size", "an output has `files` or `max_file_size`, not both".to_owned());
            }
            let twice =
                |(place, column): (usize, &String)| output.partition_by[..place].contains(column) || column.is_empty();
            if let Some((_, column)) = output.partition_by.iter().enumerate().find(|&pair| twice(pair)) {
                return error("partition_by", format!("`{column}` is no column, or is here twice"));
            }
        }
        Ok(())
    }

    /// Whether each file that is written beside the outputs has a path of its own.
    fn verify_files(&self) -> Result<()> {
        let outputs: Vec<PathBuf> =
            self.tables.outputs.iter().map(|output| normal(&self.resolve(&output.path))).collect();
        let mut rejects: Vec<PathBuf> = Vec::new();
        for (name, source) in &self.tables.sources {
            let Some(file) = &source.rejects else { continue };
            let path = normal(&self.resolve(file));
            let way = ["sources", name.as_str(), "rejects"];
            if Compression::of_path(Path::new(file)) != Compression::None {
                return Err(self.text.error(&way, UNPACKED));
            }
            if rejects.contains(&path) {
                return Err(self.text.error(&way, "the rejects of another source are written here"));
            }
            if outputs.iter().any(|output| path.starts_with(output)) {
                return Err(self.text.error(&way, "this is within the directory of an output"));
            }
            rejects.push(path);
        }
        for (number, check) in self.tables.checks.iter().enumerate() {
            let Some(file) = &check.quarantine else { continue };
            let path = normal(&self.resolve(file));
            let step = number.to_string();
            let way = ["checks", step.as_str(), "quarantine"];
            if Compression::of_path(Path::new(file)) != Compression::None {
                return Err(self.text.error(&way, UNPACKED));
            }
            if rejects.contains(&path) {
                return Err(self.text.error(&way, "the rejects of a source are written here"));
            }
            if outputs.iter().any(|output| path.starts_with(output)) {
                return Err(self.text.error(&way, "this is within the directory of an output"));
            }
        }
        Ok(())
    }
}

/// The tables of a tree.
fn tables_of(text: &Text, root: DeTable<'_>, span: Range<usize>) -> Result<Tables> {
    let root = toml::de::Deserializer::from(toml::Spanned::new(span, root));
    let mut tables = Tables::deserialize(root).map_err(|error| text.toml_error(&error))?;
    for output in &mut tables.outputs {
        // So that a job is the same if it says what would be so anyway.
        (output.format, output.compression) = (Some(output.format()), Some(output.compression()));
    }
    Ok(tables)
}

/// An error in the tree without secrets: where it is about the place of a secret, that is what is wrong.
fn not_secret(text: &Text, error: Error) -> Error {
    let is_secret = ["{{ env ", "{{ file "].iter().any(|start| error.message().contains(start));
    match error.place() {
        Some(Place::JobFile { start, end, .. }) if is_secret => text
            .error_at(*start..*end, "a secret cannot stand here")
            .hint("it takes a value that can be told; --var gives one from outside"),
        _ => error,
    }
}

/// An error in which the values of secrets are not told.
fn redacted(secrets: &[Secret], error: Error) -> Error {
    let redact = |text: &str| redact(secrets, text);
    let mut safe = Error::new(error.kind(), redact(error.message()));
    if let Some(place) = error.place() {
        safe = safe.at(place.clone());
    }
    match error.advice() {
        Some(hint) => safe.hint(redact(hint)),
        None => safe,
    }
}

fn is_table_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// A path without `.`, and without `..` where that is plain.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            component => out.push(component),
        }
    }
    out
}

impl fmt::Debug for JobFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFile").field("path", &self.text.path).field("tables", &self.shown).finish()
    }
}
