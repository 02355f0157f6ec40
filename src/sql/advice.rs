//! Advice on queries that do not parse: what was meant, found by trying.
//!
//! Each correction is made in the text and parsed. Only one that makes a query of it is advised, so that advice can be
//! followed.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::parse::{FoldlDialect, try_parse};
use super::place::{Text, nearest};
use crate::error::{Error, Place};

/// The words that begin a part of a query.
const CLAUSES: &[&str] = &[
    "select", "from", "where", "group", "having", "order", "limit", "offset", "by", "distinct", "join", "between",
    "like", "and", "or", "not", "as", "asc", "desc", "is", "in",
];

/// Quotes that word processors and web pages put in the place of straight ones.
const CURLY_QUOTES: [char; 8] = ['‘', '’', '‚', '“', '”', '„', '«', '»'];

/// A token and its range of bytes.
struct Piece {
    token: Token,
    start: usize,
    end: usize,
}

impl Piece {
    fn keyword(&self) -> Keyword {
        match &self.token {
            Token::Word(word) if word.quote_style.is_none() => word.keyword,
            _ => Keyword::NoKeyword,
        }
    }

    fn is_word(&self) -> bool {
        matches!(&self.token, Token::Word(word) if word.quote_style.is_none())
    }
}

/// A query that did not parse.
struct Failed<'q> {
    text: Text<'q>,
    pieces: Vec<Piece>,
    /// The piece at which the parser gave up; the number of pieces if it wanted more.
    at: usize,
}

/// An error of a query that does not parse, with advice if there is any.
pub(super) fn advise(text: Text, error: Error) -> Error {
    if error.advice().is_some() {
        return error;
    }
    let Some(&Place::Query { start, end, .. }) = error.place() else { return error };
    let Ok(tokens) = Tokenizer::new(&FoldlDialect, text.0).tokenize_with_location() else {
        return unfinished(text, error, start);
    };
    let pieces = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).filter_map(|token| {
        let (start, end) = text.range(token.span)?;
        Some(Piece { token: token.token, start, end })
    });
    let pieces: Vec<Piece> = pieces.collect();
    let at = pieces.iter().position(|piece| piece.start >= start).unwrap_or(pieces.len());
    let failed = Failed { text, pieces, at };
    failed
        .curly_quotes()
        .or_else(|| failed.parenthesis())
        .or_else(|| failed.statement())
        .or_else(|| failed.misspelt())
        .or_else(|| failed.operator((start, end)))
        .or_else(|| failed.clause())
        .or_else(|| failed.comma())
        .unwrap_or(error)
}

/// A quote that is not closed.
fn unfinished(text: Text, error: Error, start: usize) -> Error {
    match text.0[start..].chars().next() {
        Some('\'') => error.hint("add the closing quote; a quote within a text is doubled: 'it''s'"),
        Some(quote @ ('"' | '`')) => text
            .error_at((start, text.0.len()), "the quoted name does not end")
            .hint(format!("add the closing {quote}; a text stands in single quotes")),
        _ => error,
    }
}

impl Failed<'_> {
    fn parses(&self, corrected: &str) -> bool {
        try_parse(Text(corrected)).is_ok()
    }

    /// The query with a range replaced.
    fn with(&self, (start, end): (usize, usize), new: &str) -> String {
        format!("{}{new}{}", &self.text.0[..start], &self.text.0[end..])
    }

    fn error(&self, piece: &Piece, message: impl Into<String>) -> Error {
        self.text.error_at((piece.start, piece.end), message)
    }

    fn spelt(&self, piece: &Piece) -> &str {
        &self.text.0[piece.start..piece.end]
    }

    /// The pieces around the place of the error, the nearest first.
    fn near(&self) -> impl Iterator<Item = &Piece> {
        [0, 1, 2].into_iter().filter_map(|back| self.pieces.get(self.at.checked_sub(back)?))
    }

    fn curly_quotes(&self) -> Option<Error> {
        let start = self.pieces.get(self.at)?.start;
        let quote = self.text.0[start..].chars().next().filter(|c| CURLY_QUOTES.contains(c))?;
        let corrected = self.text.0.replace(CURLY_QUOTES, "'");
        let end = start + quote.len_utf8();
        let error = self.text.error_at((start, end), format!("`{quote}` is a typographic quote"));
        Some(match self.parses(&corrected) {
            true => error.hint(format!("texts stand in straight quotes: {}", corrected.trim())),
            false => error.hint("texts stand in straight single quotes: 'text'"),
        })
    }

    fn parenthesis(&self) -> Option<Error> {
        let mut open: Vec<&Piece> = Vec::new();
        for piece in &self.pieces {
            match (&piece.token, open.last().map(|piece| &piece.token)) {
                (Token::LParen | Token::LBracket, _) => open.push(piece),
                (Token::RParen, Some(Token::LParen)) | (Token::RBracket, Some(Token::LBracket)) => drop(open.pop()),
                (Token::RParen | Token::RBracket, _) => {
                    let symbol = self.spelt(piece);
                    let corrected = self.with((piece.start, piece.end), "");
                    let error = self.error(piece, format!("this `{symbol}` closes nothing"));
                    return Some(match self.parses(&corrected) {
                        true => error.hint("leave it out"),
                        false => error.hint("count the parentheses before it"),
                    });
                }
                _ => {}
            }
        }
        let piece = open.last()?;
        let closing = if piece.token == Token::LParen { ")" } else { "]" };
        Some(
            self.error(piece, format!("this `{}` is never closed", self.spelt(piece))).hint(format!("add `{closing}`")),
        )
    }

    /// A statement that changes something.
    fn statement(&self) -> Option<Error> {
        let first = self.pieces.first()?;
        let changes = [
            Keyword::INSERT,
            Keyword::UPDATE,
            Keyword::DELETE,
            Keyword::CREATE,
            Keyword::DROP,
            Keyword::ALTER,
            Keyword::COPY,
        ];
        changes.contains(&first.keyword()).then(|| {
            self.error(first, format!("foldl only reads: there is no {}", self.spelt(first).to_uppercase()))
                .hint("a query is a SELECT; -o FILE writes what it finds to a file")
        })
    }

    /// A keyword with a typing error at the place of the error or just before it.
    fn misspelt(&self) -> Option<Error> {
        self.near()
            .filter(|piece| piece.is_word() && !CLAUSES.contains(&self.spelt(piece).to_lowercase().as_str()))
            .find_map(|piece| {
                let word = self.spelt(piece);
                let meant = nearest(word, CLAUSES.iter().copied().filter(|clause| clause.len() > 2))?;
                self.parses(&self.with((piece.start, piece.end), meant)).then(|| {
                    self.error(piece, format!("`{word}` is not expected here")).hint(format!("did you mean `{meant}`?"))
                })
            })
    }

    /// Operators of other languages.
    fn operator(&self, (start, end): (usize, usize)) -> Option<Error> {
        let piece = self.pieces.get(self.at)?;
        let before = self.at.checked_sub(1).and_then(|before| self.pieces.get(before));
        let found = self.text.error_at((start, end), format!("`{}` is not an operator here", self.spelt(piece)));
        match (&piece.token, before.map(|before| &before.token)) {
            (Token::ExclamationMark, _) => Some(found.hint("write `not`, and `<>` or `!=` for what is not equal")),
            (Token::Eq, Some(Token::Eq | Token::DoubleEq)) => {
                Some(self.text.error_at((before?.start, piece.end), "`===` is not an operator").hint("write `=`"))
            }
            (Token::Question | Token::Placeholder(_), _) => {
                Some(found.hint("write if(condition, then, otherwise), or case when … then … else … end"))
            }
            (Token::LBrace, _) => Some(self.text.error_at((start, end), "an object in a query is not supported")),
            (_, _) if before.is_some_and(|before| before.keyword() == Keyword::IN) => Some(
                self.text
                    .error_at((start, end), "IN takes a list in parentheses")
                    .hint(format!("write in ({})", self.spelt(piece))),
            ),
            _ => None,
        }
    }

    /// GROUP and ORDER without BY, an empty select list, a comma before a clause, keywords that are meant to be fields.
    fn clause(&self) -> Option<Error> {
        for piece in self.near().filter(|piece| matches!(piece.keyword(), Keyword::GROUP | Keyword::ORDER)) {
            let word = self.spelt(piece);
            if self.parses(&self.with((piece.end, piece.end), " by")) {
                return Some(self.error(piece, format!("`{word}` without `by`")).hint(format!("write `{word} by`")));
            }
        }
        for pair in self.pieces.windows(2) {
            if let [select, from] = pair
                && (select.keyword(), from.keyword()) == (Keyword::SELECT, Keyword::FROM)
                && self.parses(&self.with((select.end, select.end), " *"))
            {
                return Some(self.error(from, "the select list is empty").hint("`select *` takes whole records"));
            }
        }
        let before = self.at.checked_sub(1).and_then(|before| self.pieces.get(before));
        if let Some(piece) = self.pieces.get(self.at)
            && let Some(before) = before
        {
            if matches!(before.token, Token::SingleQuotedString(_)) && before.end == piece.start && piece.is_word() {
                return Some(
                    self.error(piece, "the text ends before this").hint("a quote within a text is doubled: 'it''s'"),
                );
            }
            if before.token == Token::SemiColon {
                return Some(
                    self.error(piece, "expected the end of the query").hint("foldl takes one query at a time"),
                );
            }
            if before.keyword() == Keyword::LIMIT || piece.token == Token::Comma {
                let limit = self.pieces.iter().rev().find(|piece| piece.keyword() == Keyword::LIMIT);
                if limit.is_some_and(|limit| limit.start < piece.start) {
                    return Some(self.error(piece, "LIMIT takes one whole number").hint("write limit 10 offset 20"));
                }
            }
        }
        let cases = |keyword| self.pieces.iter().filter(|piece| piece.keyword() == keyword).count();
        if cases(Keyword::CASE) > cases(Keyword::END)
            && let Some(case) = self.pieces.iter().rev().find(|piece| piece.keyword() == Keyword::CASE)
        {
            return Some(self.error(case, "this CASE has no END").hint("write case when … then … else … end"));
        }
        // A query that ends too early lacks something else.
        self.near().filter(|_| self.at < self.pieces.len()).find_map(|piece| {
            let word = self.spelt(piece);
            let quoted = format!("\"{word}\"");
            let is_keyword = piece.is_word() && piece.keyword() != Keyword::NoKeyword;
            (is_keyword && self.parses(&self.with((piece.start, piece.end), &quoted))).then(|| {
                self.error(piece, format!("`{word}` is a word of SQL"))
                    .hint(format!("in double quotes it is a field: {quoted}"))
            })
        })
    }

    fn comma(&self) -> Option<Error> {
        let mut near: Vec<&Piece> = self.near().take(2).collect();
        near.sort_by_key(|piece| !piece.is_word());
        near.into_iter().find_map(|piece| {
            let before = self.pieces.iter().rev().find(|before| before.end <= piece.start)?;
            let corrected = self.with((before.end, before.end), ",");
            self.parses(&corrected).then(|| {
                let around = match corrected.lines().count() == 1 && corrected.len() < 100 {
                    true => corrected.trim().to_owned(),
                    false => format!("{}, {}", self.spelt(before), self.spelt(piece)),
                };
                self.error(piece, format!("`{}` is not expected here", self.spelt(piece)))
                    .hint(format!("is a comma missing before it? {around}"))
            })
        })
    }
}
