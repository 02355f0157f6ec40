//! Paths: ways into a record.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Place, Result};

/// A way into a record. The empty path is the record itself.
///
/// As text: keys with dots between them, `[0]` for the first element of an array, and quotes around keys that hold a dot,
/// a bracket or a quote (which is then doubled).
///
/// ```
/// use foldl::scan::{Path, Step};
///
/// let path: Path = r#"items[0]."unit.price""#.parse()?;
/// assert_eq!(path.steps, [Step::Key("items".into()), Step::Index(0), Step::Key("unit.price".into())]);
/// assert_eq!(path.to_string(), r#"items[0]."unit.price""#);
/// # Ok::<(), foldl::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// The steps from the record down.
    pub steps: Vec<Step>,
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The value of an object's key.
    Key(String),
    /// The element of an array, counted from 0.
    Index(u32),
}

/// As it is written in a query: `user.address[0]."odd key"`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    let mut chars = key.chars();
                    let plain = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
                        && chars.all(|c| c.is_alphanumeric() || c == '_');
                    if plain {
                        f.write_str(key)?;
                    } else {
                        write!(f, "\"{}\"", key.replace('"', "\"\""))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The empty text is the empty path.
impl FromStr for Path {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::Query`], with the place in the text, if the text is no path.
    fn from_str(text: &str) -> Result<Path> {
        let mut steps = Vec::new();
        for step in steps_of(text) {
            steps.push(match step {
                Ok(StepRef::Key(key)) => Step::Key(key.into_owned()),
                Ok(StepRef::Index(index)) => Step::Index(index),
                Err(start) => {
                    let place = Place::Query { text: text.to_owned(), start, end: text.len() };
                    return Err(Error::new(ErrorKind::Query, "this is not the rest of a path")
                        .at(place)
                        .hint("a path is written as user.address, items[0].price or \"odd.key\""));
                }
            });
        }
        Ok(Path { steps })
    }
}

/// A [`Step`] that borrows its key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StepRef<'p> {
    Key(Cow<'p, str>),
    Index(u32),
}

/// The steps of a path's text, one by one; where the text is no path, the byte where that shows, and then the end.
pub(crate) fn steps_of(text: &str) -> Steps<'_> {
    Steps { text, at: 0 }
}

/// See [`steps_of`].
pub(crate) struct Steps<'p> {
    text: &'p str,
    at: usize,
}

impl<'p> Iterator for Steps<'p> {
    type Item = Result<StepRef<'p>, usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let step = match rest.strip_prefix('[') {
            Some(index) => index.find(']').and_then(|end| Some((StepRef::Index(digits(&index[..end])?), end + 2))),
            None if start == 0 => key(rest),
            None => rest.strip_prefix('.').and_then(key).map(|(key, len)| (key, len + 1)),
        };
        match step {
            Some((step, len)) => {
                self.at += len;
                Some(Ok(step))
            }
            None => {
                self.at = self.text.len();
                Some(Err(start))
            }
        }
    }
}

fn digits(text: &str) -> Option<u32> {
    // `parse` alone would take a sign.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The key that `text` starts with, and its length in the text.
fn key(text: &str) -> Option<(StepRef<'_>, usize)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let len = text.find(['.', '[', ']', '"']).unwrap_or(text.len());
        return (len > 0).then(|| (StepRef::Key(Cow::Borrowed(&text[..len])), len));
    };
    let mut end = 0;
    loop {
        end += quoted[end..].find('"')?;
        if !quoted[end + 1..].starts_with('"') {
            break;
        }
        end += 2;
    }
    let key = &quoted[..end];
    let key = if key.contains('"') { Cow::Owned(key.replace("\"\"", "\"")) } else { Cow::Borrowed(key) };
    Some((StepRef::Key(key), end + 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_read() {
        let key = |key: &str| Step::Key(key.to_owned());
        for (text, steps) in [
            ("", vec![]),
            ("a", vec![key("a")]),
            ("user.address.city", vec![key("user"), key("address"), key("city")]),
            ("items[10][0].price", vec![key("items"), Step::Index(10), Step::Index(0), key("price")]),
            ("[3].$type", vec![Step::Index(3), key("$type")]),
            (r#"a."b.c[0] ""d""".e-f"#, vec![key("a"), key("b.c[0] \"d\""), key("e-f")]),
            (r#""""#, vec![key("")]),
        ] {
            assert_eq!(text.parse::<Path>().unwrap().steps, steps, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_told_with_its_place() {
        for (text, at) in [
            (".a", 0),
            ("a.", 1),
            ("a..b", 1),
            ("a[", 1),
            ("a[-1]", 1),
            ("a[+1]", 1),
            ("a[]", 1),
            ("a[4294967296]", 1),
            ("a]", 1),
            ("a[0]b", 4),
            (r#"a."b"#, 1),
            (r#""a"b"#, 3),
        ] {
            let error = text.parse::<Path>().unwrap_err();
            assert!(matches!(error.place(), Some(Place::Query { start, .. }) if *start == at), "{text}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            steps in proptest::collection::vec(
                prop_oneof!["(?s)[a-z.\"\\[\\]é ]{0,4}".prop_map(Step::Key), any::<u32>().prop_map(Step::Index)],
                0..5,
            ),
        ) {
            let path = Path { steps };
            prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
        }

        #[test]
        fn any_text_is_taken(text in "[a-c.\"\\[\\]0-9é]{0,12}") {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
            }
        }
    }
}
