//! The paths that callbacks ask for, so that the scanner can extract them while it validates.
//!
//! To find a path in a record's text means to walk the text from its start, for each path again. Callbacks tend to ask
//! each record for the same few paths. So a worker takes note of what is asked of its first records, and has the scanner
//! extract it from then on. What is found is the same either way.

use std::sync::{Mutex, PoisonError};

use super::RecordPath;
use crate::scan::{Cell, Kind, Path};

/// The most paths that are extracted: far more than a callback names, and few enough to look through.
const MOST: usize = 32;
/// The records of which note is taken.
const LEARNED_FROM: usize = 10_000;

/// A path that is extracted, as it was asked for and taken apart.
pub struct Known {
    pub(super) text: String,
    pub(super) path: Path,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Asked {
    /// The paths whose columns a batch has.
    known: Vec<Known>,
    /// Those that were asked for since. Locked only while there is something to learn.
    new: Mutex<Vec<Known>>,
    records: usize,
}

impl Asked {
    fn note<P: RecordPath + ?Sized>(&self, path: &P) {
        if self.records >= LEARNED_FROM {
            return;
        }
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        if self.known.len() + new.len() < MOST && !new.iter().any(|known| path.is(known)) {
            new.extend(path.known());
        }
    }

    /// To be called when that many records are done with. If more paths are to be extracted, gives all of them.
    pub(crate) fn learn(&mut self, records: usize) -> Option<Vec<Path>> {
        self.records += records;
        let new = self.new.get_mut().unwrap_or_else(PoisonError::into_inner);
        if new.is_empty() {
            return None;
        }
        self.known.append(new);
        Some(self.known.iter().map(|known| known.path.clone()).collect())
    }
}

/// What the scanner extracted from one record.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) block: &'a [u8],
    pub(crate) columns: &'a [Vec<Cell>],
    pub(crate) row: usize,
}

impl<'a> Fields<'a> {
    /// The JSON text at a path, or [`None`] there if the record has no such path; [`None`] if it was not extracted.
    pub(super) fn get<P: RecordPath + ?Sized>(&self, path: &P) -> Option<Option<&'a [u8]>> {
        let Some(column) = self.asked.known.iter().position(|known| path.is(known)) else {
            self.asked.note(path);
            return None;
        };
        let cell = self.columns.get(column)?[self.row];
        Some((cell.kind() != Kind::Missing).then(|| cell.json(self.block)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::scan::{Batch, Limits, Scanner};

    #[test]
    fn what_is_extracted_is_what_is_found() {
        let block = br#" {"a":{"b":"\u0041"},"c":[1,null]} "#;
        let mut asked = Asked::default();
        let (mut scanner, mut batch) = (Scanner::new(&[], Limits::default()), Batch::default());
        let texts = ["a.b", "a", "c[0]", "c[1]", "c[2]", "d", "", "a..b", "\"a\""];
        let parsed: Path = "c[0]".parse().unwrap();
        for round in 0..3 {
            scanner.scan(block, &mut batch);
            let fields = Fields { asked: &asked, block, columns: &batch.columns, row: 0 };
            let record = Record::new(batch.rows[0].of(block), None, Some(fields));
            for text in texts {
                assert_eq!(fields.get(text).is_some(), round > 0 && text != "a..b", "{text}");
                assert_eq!(record.raw(text), Record::new(record.json().as_bytes(), None, None).raw(text), "{text}");
            }
            assert_eq!((record.str("a.b"), record.i64(&parsed)), (Some("A"), Some(1)));
            // The same path as a text and taken apart is one path.
            match asked.learn(1) {
                Some(paths) => {
                    assert_eq!((round, paths.len()), (0, texts.len() - 1));
                    scanner = Scanner::new(&paths, Limits::default());
                }
                None => assert!(round > 0),
            }
        }
        asked.learn(LEARNED_FROM);
        asked.note("new");
        assert!(asked.learn(1).is_none());
    }

    #[test]
    fn the_paths_that_are_learned_are_bounded() {
        let mut asked = Asked::default();
        (0..100).for_each(|i| asked.note(&format!("items[{i}]")));
        assert_eq!(asked.learn(1).map(|paths| paths.len()), Some(MOST));
        asked.note("more");
        assert!(asked.learn(1).is_none());
    }
}
