//! The list of all functions, for `foldl functions` and `docs/functions.md`: what the tables of the engine say.

use std::fmt::Write;

use super::call::{SPECIAL, SYNTAX};
use super::place::nearest;
use crate::agg::{SAMPLE, aggregates};
use crate::expr::topics;

/// Functions of one kind.
#[derive(Debug)]
pub struct Topic {
    /// What they are functions of, as a heading.
    pub title: &'static str,
    /// The functions.
    pub entries: Vec<Entry>,
}

/// What a user needs to know of a function.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// How it is called.
    pub signature: &'static str,
    /// What it gives, in one sentence.
    pub summary: &'static str,
    /// A call and what it gives, as JSON.
    pub example: (&'static str, &'static str),
    /// The records that the example is over, one on a line; those of aggregates are what [`sample`] gives.
    pub over: &'static str,
}

/// The record of examples that need none.
const NOTHING: &str = "{}\n";
/// That of the example of `unnest`.
const ARRAY: &str = "{\"l\":[7,8]}\n";

/// The records over which the examples of aggregates are, one on a line.
pub fn sample() -> &'static str {
    SAMPLE
}

/// All functions by topic.
pub fn reference() -> Vec<Topic> {
    let aggregates = aggregates().map(|function| Entry {
        name: function.name,
        aliases: function.aliases,
        signature: function.signature,
        summary: function.summary,
        example: function.example,
        over: SAMPLE,
    });
    let special = SYNTAX.iter().chain(&SPECIAL).map(|special| Entry {
        name: special.name,
        aliases: special.aliases,
        signature: special.signature,
        summary: special.summary,
        example: special.example,
        over: if special.name == "unnest" { ARRAY } else { NOTHING },
    });
    let mut all = vec![
        Topic { title: "Aggregates", entries: aggregates.collect() },
        Topic { title: "Conditions, and the clock", entries: special.collect() },
    ];
    for (title, functions) in topics() {
        let entry = |function: &crate::expr::Function| Entry {
            name: function.name,
            aliases: function.aliases,
            signature: function.signature,
            summary: function.summary,
            example: function.example,
            over: NOTHING,
        };
        all.push(Topic { title, entries: functions.iter().map(entry).collect() });
    }
    all
}

/// What there is to say about the function of a name, in any case.
///
/// # Errors
/// The nearest name, if there is one, where there is no such function.
pub fn help(name: &str) -> Result<String, Option<&'static str>> {
    let name = name.trim_end_matches("()").to_lowercase();
    let all: Vec<Entry> = reference().into_iter().flat_map(|topic| topic.entries).collect();
    let found = all.iter().find(|entry| entry.name == name || entry.aliases.contains(&name.as_str()));
    let Some(entry) = found else {
        return Err(nearest(&name, all.iter().flat_map(|entry| entry.aliases.iter().copied().chain([entry.name]))));
    };
    let mut out = format!("{}\n\n  {}\n", entry.signature, entry.summary);
    // Writing to a String does not fail.
    if !entry.aliases.is_empty() {
        _ = write!(out, "\n  Other names: {}\n", entry.aliases.join(", "));
    }
    let over = match entry.over {
        NOTHING => String::new(),
        SAMPLE => "  over x = 1, 2, 2, null and t = b, a, c, a".to_owned(),
        record => format!("  over {}", record.trim_end()),
    };
    _ = write!(out, "\n  {}  =>  {}{over}\n", entry.example.0, entry.example.1);
    Ok(out)
}

/// All functions as one text for a terminal.
pub fn list() -> String {
    let topics = reference();
    let width = topics.iter().flat_map(|topic| &topic.entries).map(|entry| entry.signature.chars().count());
    let width = width.filter(|&width| width <= 40).max().unwrap_or(0);
    let mut out = String::new();
    for topic in topics {
        _ = writeln!(out, "{}:", topic.title);
        for entry in topic.entries {
            _ = writeln!(out, "  {:width$}  {}", entry.signature, entry.summary);
        }
        out.push('\n');
    }
    out.push_str("`foldl functions NAME` tells more about one of them.\n");
    out
}

/// All functions as a page in Markdown.
pub fn page() -> String {
    let mut out =
        "# Functions\n\nNames are those of DuckDB, with Spark's beside them; case does not matter. NULL gives NULL \
        unless it says otherwise. `foldl functions NAME` tells the same in a terminal.\n\n"
            .to_owned();
    _ = write!(out, "The examples of aggregates are over these records:\n\n```json\n{SAMPLE}```\n");
    let cell = |text: &str| text.replace('|', "\\|");
    for topic in reference() {
        _ = write!(out, "\n## {}\n\n| function | gives | example |\n| --- | --- | --- |\n", topic.title);
        for entry in topic.entries {
            let aliases: Vec<String> = entry.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            let also = if aliases.is_empty() { String::new() } else { format!(" Also {}.", aliases.join(", ")) };
            let (call, result) = entry.example;
            let over = if entry.over == ARRAY { format!(" over `{}`", ARRAY.trim_end()) } else { String::new() };
            _ = writeln!(
                out,
                "| `{}` | {}{also} | `{}` → `{}`{over} |",
                cell(entry.signature),
                cell(entry.summary),
                cell(call),
                cell(result)
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{Arguments, Run, Settings};

    #[test]
    fn the_page_is_up_to_date() {
        let written = include_str!("../../docs/functions.md");
        assert!(written == page(), "make it again: foldl functions --markdown > docs/functions.md");
    }

    #[test]
    fn examples_give_what_they_say() {
        for topic in reference() {
            for Entry { example: (call, expected), over, .. } in topic.entries {
                let plan = crate::sql::plan(&format!("select {call} as answer")).unwrap();
                let settings = Settings { strict: true, ..Settings::default() };
                let run = Run::prepare(plan, &mut Arguments::reader(over.as_bytes(), "-"), settings, false).unwrap();
                let rows = String::from_utf8(run.execute(Vec::new(), None).result.unwrap()).unwrap();
                let answer = |row: &str| Some(row.strip_prefix("{\"answer\":")?.strip_suffix('}')?.to_owned());
                let answers: Option<Vec<String>> = rows.lines().map(answer).collect();
                assert_eq!(answers.unwrap().join(" and "), expected, "{call}");
            }
        }
    }

    /// Whether a function takes so many arguments, as its signature says: `f(a, b | c [, d])`, `f(a, …)`.
    fn takes(name: &str, entry: &Entry, count: usize) -> bool {
        match name {
            "count" => return count < 2,
            "decimal" => return count == 1 || count == 3,
            // As in Spark.
            "datediff" => return count == 2 || count == 3,
            "make_timestamp" => return count == 1 || count == 6,
            // A value for each key.
            _ if entry.name == "json_object" => return count.is_multiple_of(2),
            _ => {}
        }
        // An array in the place of an argument is not an optional one.
        let arrays = [" | [patterns]", " | [names]", " | [fractions]"];
        let signature = entry.signature.replace("[distinct] ", "").replace(" [order by …]", "");
        let signature = arrays.iter().fold(signature, |signature, array| signature.replace(array, ""));
        let list = signature.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let named = |list: &str| list.split(',').filter(|name| !name.trim().is_empty()).count();
        let (mut needed, mut optional, mut depth) = (String::new(), String::new(), 0);
        for char in list.chars() {
            match char {
                '[' => depth += 1,
                ']' => depth -= 1,
                char if depth > 0 => optional.push(char),
                char => needed.push(char),
            }
        }
        let repeats = list.contains('…');
        let fewest = named(&needed) - usize::from(needed.contains('…'));
        count >= fewest && (repeats || count <= fewest + named(&optional))
    }

    #[test]
    fn too_few_and_too_many_arguments_are_refused() {
        let is_syntax = |entry: &Entry| SYNTAX.iter().any(|syntax| syntax.name == entry.name);
        for entry in reference().into_iter().flat_map(|topic| topic.entries).filter(|entry| !is_syntax(entry)) {
            for name in entry.aliases.iter().copied().chain([entry.name]) {
                for count in 0..9 {
                    let call = format!("select {name}({}) as x", vec!["a"; count].join(", "));
                    let error = crate::sql::plan(&call).err();
                    let message = error.as_ref().map_or("", |error| error.message());
                    let refused = message.contains(&format!("{count} given")) || message.starts_with("expected");
                    assert!(takes(name, &entry, count) != refused, "{call}: {} {message}", entry.signature);
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let all = reference();
        let mut names: Vec<&str> = all
            .iter()
            .flat_map(|topic| &topic.entries)
            .flat_map(|entry| entry.aliases.iter().copied().chain([entry.name]))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
