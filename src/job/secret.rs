//! Secrets: values that a job file only says the place of.

use std::fmt;
use std::path::Path;

/// A value of the environment or of a file. It shows where it comes from, and never what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    place: SecretPlace,
    value: String,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// `{ env = "NAME" }`: a variable of the environment.
    Env(String),
    /// `{ file = "path" }`: the text of a file without line ends behind it.
    File(String),
}

impl Secret {
    /// Reads a secret. Relative paths start at `folder`.
    ///
    /// # Errors
    /// A message if there is no such variable or file, or its text is not UTF-8.
    pub fn read(place: SecretPlace, folder: &Path) -> Result<Secret, String> {
        let value = match &place {
            SecretPlace::Env(name) if name.is_empty() || name.contains(['=', '\0']) => {
                return Err(format!("`{name}` is no name of a variable of the environment"));
            }
            SecretPlace::Env(name) => std::env::var(name).map_err(|err| match err {
                std::env::VarError::NotPresent => format!("the environment has no {name}"),
                std::env::VarError::NotUnicode(_) => format!("{name} of the environment is not UTF-8"),
            })?,
            SecretPlace::File(path) => std::fs::read_to_string(folder.join(path))
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|err| format!("cannot read {path}: {err}"))?,
        };
        Ok(Secret { place, value })
    }

    /// Where it comes from.
    pub fn place(&self) -> &SecretPlace {
        &self.place
    }

    /// The value itself, to be handed to what needs it and to nothing that prints, logs or keeps it.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// A text without the value, where that is in it.
    pub fn redact(&self, text: &str) -> String {
        if self.value.is_empty() { text.to_owned() } else { text.replace(&self.value, &self.to_string()) }
    }
}

/// `{{ env NAME }}`
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            SecretPlace::Env(name) => write!(f, "{{{{ env {name} }}}}"),
            SecretPlace::File(path) => write!(f, "{{{{ file {path} }}}}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secret").field(&self.place).finish()
    }
}

/// A text without the values of secrets.
pub fn redact(secrets: &[Secret], text: &str) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
}
