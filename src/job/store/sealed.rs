//! Sealed files: JSON that is told from anything else, and from what is left of it after damage.
//!
//! # The format
//! One line of ASCII and UTF-8, which is also one JSON object. Its bytes are exactly these:
//!
//! ```text
//! {"foldl":"KIND","version":VERSION,"xxh3":"CHECKSUM","body":BODY}⏎
//! ```
//!
//! KIND is what the file is (`commit`, `staging`, …), VERSION the version of its format, BODY a JSON value without
//! newlines, CHECKSUM the XXH3-64 of `KIND VERSION BODY` in 16 lowercase hexadecimal digits. Whoever reads it compares
//! every byte outside BODY and CHECKSUM, and these two with each other, so a change of any byte and a missing end are
//! found.

use std::hash::Hasher as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use twox_hash::XxHash3_64;

use crate::error::{Error, ErrorKind, Place, Result};

/// A kind of sealed file, and the version of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// What the file is, in lowercase letters: `commit`.
    pub kind: &'static str,
    /// The version that is written, and the only one that is read.
    pub version: u32,
}

impl Seal {
    /// The bytes of a sealed file.
    ///
    /// ```
    /// use foldl::job::store::Seal;
    ///
    /// const SEAL: Seal = Seal { kind: "example", version: 1 };
    /// let bytes = SEAL.seal(&[1, 2, 3])?;
    /// let body: Vec<u32> = SEAL.open(&bytes, "example.json".as_ref())?;
    /// assert_eq!(body, [1, 2, 3]);
    /// assert!(SEAL.open::<Vec<u32>>(&bytes[..bytes.len() - 1], "example.json".as_ref()).is_err());
    /// # Ok::<(), foldl::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Output`] if the body is not JSON, as a path that is not UTF-8.
    pub fn seal<T: Serialize>(self, body: &T) -> Result<Vec<u8>> {
        let body = serde_json::to_string(body).map_err(|error| {
            Error::new(ErrorKind::Output, format!("cannot write the {}", self.kind)).caused_by(error)
        })?;
        let mut bytes = self.start();
        bytes.push_str(&self.checksum(body.as_bytes()));
        bytes.push_str(BEFORE_BODY);
        bytes.push_str(&body);
        bytes.push_str(END);
        Ok(bytes.into_bytes())
    }

    /// The body of a sealed file, whose path is for errors.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it is something else, of another version, or damaged.
    pub fn open<T: DeserializeOwned>(self, bytes: &[u8], path: &Path) -> Result<T> {
        serde_json::from_slice(self.check(bytes, path)?).map_err(|cause| {
            let message = format!("the {} file does not hold what it should", self.kind);
            Error::new(ErrorKind::Input, message).at(Place::File(path.to_owned())).caused_by(cause)
        })
    }

    /// The JSON text of the body, undamaged.
    pub(super) fn check<'b>(self, bytes: &'b [u8], path: &Path) -> Result<&'b [u8]> {
        let Seal { kind, version } = self;
        let error = |message| Err(Error::new(ErrorKind::Input, message).at(Place::File(path.to_owned())));
        let Some(rest) = bytes.strip_prefix(format!("{{\"foldl\":\"{kind}\",\"version\":").as_bytes()) else {
            return error(format!("this is no {kind} file of foldl, or it is damaged"));
        };
        let Some(rest) = rest.strip_prefix(format!("{version}{BEFORE_CHECKSUM}").as_bytes()) else {
            return error(format!(
                "the {kind} file is damaged, or of another version of foldl; this one reads version {version} of it"
            ));
        };
        let body = rest
            .split_at_checked(CHECKSUM)
            .and_then(|(checksum, rest)| Some((checksum, rest.strip_prefix(BEFORE_BODY.as_bytes())?)))
            .and_then(|(checksum, rest)| Some((checksum, rest.strip_suffix(END.as_bytes())?)))
            .filter(|(checksum, body)| self.checksum(body).as_bytes() == *checksum);
        match body {
            Some((_, body)) => Ok(body),
            None => error(format!("the {kind} file is damaged: its checksum does not match")),
        }
    }

    fn start(self) -> String {
        format!("{{\"foldl\":\"{}\",\"version\":{}{BEFORE_CHECKSUM}", self.kind, self.version)
    }

    fn checksum(self, body: &[u8]) -> String {
        let mut hasher = XxHash3_64::new();
        hasher.write(format!("{} {} ", self.kind, self.version).as_bytes());
        hasher.write(body);
        format!("{:016x}", hasher.finish())
    }
}

const BEFORE_CHECKSUM: &str = ",\"xxh3\":\"";
/// The digits of a checksum.
const CHECKSUM: usize = 16;
const BEFORE_BODY: &str = "\",\"body\":";
const END: &str = "}\n";

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal { kind: "commit", version: 1 };

    #[test]
    fn every_flipped_bit_and_every_missing_end_is_found() {
        let body = serde_json::json!({"run": "r-1", "path": "café", "rows": 12, "x": [1.5, null]});
        let bytes = SEAL.seal(&body).unwrap();
        let path = Path::new("commits/000001.json");
        assert_eq!(SEAL.open::<serde_json::Value>(&bytes, path).unwrap(), body);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let error = SEAL.open::<serde_json::Value>(&damaged, path).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Input);
            }
            assert!(SEAL.open::<serde_json::Value>(&bytes[..at], path).is_err());
            let mut longer = bytes.clone();
            longer.insert(at, b' ');
            assert!(SEAL.open::<serde_json::Value>(&longer, path).is_err());
        }
    }

    #[test]
    fn other_kinds_and_versions_are_refused() {
        let path = Path::new("x");
        let bytes = Seal { kind: "staging", version: 1 }.seal(&1).unwrap();
        assert!(SEAL.open::<u64>(&bytes, path).unwrap_err().to_string().contains("no commit file"));
        let bytes = Seal { kind: "commit", version: 2 }.seal(&1).unwrap();
        assert!(SEAL.open::<u64>(&bytes, path).unwrap_err().to_string().contains("reads version 1"));
        let bytes = SEAL.seal(&"text").unwrap();
        assert!(SEAL.open::<u64>(&bytes, path).unwrap_err().to_string().contains("does not hold"));
        assert!(SEAL.open::<u64>(b"", path).is_err());
    }
}
