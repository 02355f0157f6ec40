//! The examples of the README, of docs/joins.md and of docs/checks.md give what they show.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::process::Command;

/// One `$ command` of a console block, and the lines below it.
struct Example {
    command: String,
    expected: String,
}

fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => {
                    examples.push(Example { command: command.to_owned(), expected: String::new() });
                }
                (None, Some(example)) => example.expected += &format!("{line}\n"),
                (None, None) => panic!("output before any command: {line}"),
            },
        }
    }
    examples
}

#[test]
fn readme_examples_give_what_they_show() {
    check_examples("README.md", 8);
}

#[test]
fn examples_of_joins_give_what_they_show() {
    check_examples("docs/joins.md", 7);
}

#[test]
fn examples_of_checks_give_what_they_show() {
    check_examples("docs/checks.md", 1);
}

/// Runs the examples of a document, of which there are at least `fewest`.
fn check_examples(document: &str, fewest: usize) {
    let root = env!("CARGO_MANIFEST_DIR");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_foldl"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let examples = examples(&std::fs::read_to_string(format!("{root}/{document}")).unwrap());
    assert!(examples.len() >= fewest, "{document} has {} examples", examples.len());
    std::fs::create_dir_all(format!("{root}/target")).unwrap();
    for Example { command, expected } in examples {
        let output = Command::new("sh").args(["-c", &command]).current_dir(root).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{command}");
        assert!(output.stderr.is_empty(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
