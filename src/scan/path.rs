//! Paths: ways into a record.

use std::fmt;

/// A way into a record. The empty path is the record itself.
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
