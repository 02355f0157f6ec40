//! Places in the text of a query.

use sqlparser::tokenizer::{Location, Span};

use crate::error::{Error, ErrorKind, Place};

/// The text of a query, and errors that point into it.
#[derive(Clone, Copy)]
pub(super) struct Text<'q>(pub(super) &'q str);

impl Text<'_> {
    /// The byte of a location; a location beyond the text is its end.
    fn byte(self, location: Location) -> usize {
        let mut start = 0;
        for _ in 1..location.line {
            match self.0[start..].find('\n') {
                Some(newline) => start += newline + 1,
                None => return self.0.len(),
            }
        }
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        self.0[start..].char_indices().nth(column).map_or(self.0.len(), |(byte, _)| start + byte)
    }

    /// The bytes of a span; `None` for an empty one, which is what parts have that were not in the text.
    pub(super) fn range(self, span: Span) -> Option<(usize, usize)> {
        if span.start.line == 0 {
            return None;
        }
        let (start, end) = (self.byte(span.start), self.byte(span.end));
        Some((start, end.max(start)))
    }

    /// The range of the word that begins a clause or a call: before a span, from where it is taken with the span; in it; or
    /// behind it. The span if there is none.
    pub(super) fn word_near(self, span: Span, word: &str) -> (usize, usize) {
        let (start, end) = self.range(span).unwrap_or((0, self.0.len()));
        let (text, word) = (self.0.to_ascii_lowercase(), word.to_ascii_lowercase());
        let within = text[start..end].find(&word).map(|at| start + at);
        match (text[..start].rfind(&word), within.or(text[end..].find(&word).map(|at| end + at))) {
            (_, Some(at)) => (at, at + word.len()),
            (Some(before), None) => (before, end),
            (None, None) => (start, end),
        }
    }

    /// An error of the query at a span.
    pub(super) fn error(self, span: Span, message: impl Into<String>) -> Error {
        self.error_at(self.range(span).unwrap_or((0, self.0.len())), message)
    }

    /// An error of the query at a range of bytes.
    pub(super) fn error_at(self, (start, end): (usize, usize), message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Query, message).at(Place::Query { text: self.0.to_owned(), start, end })
    }

    /// The range of the word or character at a location.
    pub(super) fn word_at(self, location: Location) -> (usize, usize) {
        let start = self.byte(location);
        let rest = &self.0[start..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let len = match rest.chars().next() {
            None => 0,
            Some(c) if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            Some(c) => c.len_utf8(),
        };
        (start, start + len)
    }
}

/// The candidate nearest to a name, if one is near enough to have been meant.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = name.to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}
