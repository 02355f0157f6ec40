//! Where a stream can be cut into blocks: between its records.

use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::csv;
use super::kind::{Kind, is_blank};
use super::made::Recipe;
use super::values;
use crate::error::Result;

/// Finds the ends of records in a buffer that is filled bit by bit. All positions are those of the buffer.
pub(super) enum Split {
    Lines {
        /// The first bytes, as many as this, have no newline.
        clean: usize,
        /// Whether an array may come yet, of which nothing but white space came so far.
        may_be_array: bool,
    },
    Rows {
        splitter: Box<csv::Splitter>,
        delimiter: u8,
    },
    Values(Box<values::Splitter>),
}

impl Split {
    /// For blocks of `block` bytes, of a buffer that begins at `start`.
    pub(super) fn new(kind: Kind, block: usize, start: usize) -> Split {
        match kind {
            Kind::Lines => Split::Lines { clean: start, may_be_array: false },
            Kind::ValuesOrLines => Split::Lines { clean: start, may_be_array: true },
            Kind::Values => Split::Values(Box::new(values::Splitter::new(block, start))),
            Kind::Fields { delimiter, header } => {
                Split::Rows { splitter: Box::new(csv::Splitter::new(delimiter, header, block, start)), delimiter }
            }
        }
    }

    /// Whether lines are made of the records.
    pub(super) fn makes_lines(&self) -> bool {
        !matches!(self, Split::Lines { .. })
    }

    /// Whether lines are or may yet be made of the records, so that it has to be known on which lines these are.
    pub(super) fn may_make_lines(&self) -> bool {
        !matches!(self, Split::Lines { may_be_array: false, .. })
    }

    /// The end of the last whole record after `from`. `ended` says that nothing follows.
    ///
    /// # Errors
    /// If the input cannot be understood at all.
    pub(super) fn end(&mut self, text: &[u8], from: usize, block: usize, ended: bool) -> Result<Option<usize>> {
        if let Split::Lines { may_be_array: true, clean } = *self
            && let Some(first) = text[from..].iter().find(|&&byte| !is_blank(byte))
        {
            *self = match first {
                b'[' => Split::new(Kind::Values, block, from),
                _ => Split::Lines { clean, may_be_array: false },
            };
        }
        let end = match self {
            Split::Lines { .. } if ended => text.len(),
            Split::Lines { clean, .. } => {
                let clean = (*clean).min(text.len());
                memrchr(b'\n', &text[clean..]).map_or(from, |newline| clean + newline + 1)
            }
            Split::Rows { splitter, .. } => splitter.advance(text, ended)?,
            Split::Values(splitter) => splitter.advance(text, ended),
        };
        Ok((end > from).then_some(end))
    }

    /// Whether all was said about the end of the input.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Split::Lines { .. } | Split::Rows { .. } => true,
            Split::Values(splitter) => splitter.has_ended(),
        }
    }

    /// Whether a block that is cut now has anything in it that is worth it.
    pub(super) fn is_worth_cutting(&self) -> bool {
        match self {
            Split::Lines { .. } | Split::Rows { .. } => true,
            Split::Values(splitter) => splitter.has_elements(),
        }
    }

    /// Takes note that no record ends in a text of this length.
    pub(super) fn note_no_end(&mut self, len: usize) {
        if let Split::Lines { clean, .. } = self {
            *clean = len;
        }
    }

    /// The record in progress is longer than is allowed. Says whether an end may be found in it all the same.
    ///
    /// # Errors
    /// If nothing can be understood without it.
    pub(super) fn give_up(&mut self, text: &[u8]) -> Result<bool> {
        match self {
            Split::Lines { .. } => Ok(false),
            Split::Rows { splitter, .. } => splitter.give_up(text),
            Split::Values(splitter) => Ok(splitter.give_up()),
        }
    }

    /// Forgets the buffer up to `end`, whose block begins at `from`; all of it, and what follows of the record in progress,
    /// if that is `dropped`. Gives what the block needs to make lines.
    pub(super) fn take(&mut self, from: usize, end: usize, dropped: bool) -> Option<Recipe> {
        match self {
            Split::Lines { clean, .. } => {
                *clean = 0;
                None
            }
            Split::Rows { splitter, delimiter } => {
                let (columns, skip, mut bad) = splitter.take(end, dropped);
                bad.iter_mut().for_each(|bad| bad.start -= from);
                Some(Recipe::Rows {
                    columns: Arc::clone(&columns),
                    delimiter: *delimiter,
                    skip: skip.max(from) - from,
                    bad,
                })
            }
            Split::Values(splitter) => {
                let mut elements = splitter.take(end);
                if dropped {
                    splitter.drop_value();
                }
                for element in &mut elements {
                    element.span.start -= from as u32;
                    element.span.end -= from as u32;
                }
                Some(Recipe::Elements(elements))
            }
        }
    }

    /// How much of the text belongs to the record that is dropped, and whether that ends.
    pub(super) fn skip(&mut self, text: &[u8]) -> (usize, bool) {
        match self {
            Split::Lines { .. } | Split::Rows { .. } => match memchr(b'\n', text) {
                Some(newline) => (newline + 1, true),
                None => (text.len(), false),
            },
            Split::Values(splitter) => splitter.skip(text),
        }
    }
}
