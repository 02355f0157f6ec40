//! Advice on queries that do not parse: what was meant, found by trying.
//!
//! Each correction is made in the text and parsed. Only one that makes a query of it is advised, so that advice can be
//! followed.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::foreign::{ASOF, OBJECTS, SAMPLE};
use super::parse::{FoldlDialect, try_parse};
use super::place::{Text, nearest};
use super::query::plan;
use crate::error::{Error, Place};

/// The words that begin a part of a query.
const CLAUSES: &[&str] = &[
    "select", "from", "where", "group", "having", "order", "limit", "offset", "by", "distinct", "join", "between",
    "like", "and", "or", "not", "as", "asc", "desc", "is", "in",
];

/// Quotes that word processors and web pages put in the place of straight ones.
const CURLY_QUOTES: [char; 8] = ['‘', '’', '‚', '“', '”', '„', '«', '»'];

/// Keywords behind which an expression can begin.
const OPENS: [Keyword; 17] = [
    Keyword::SELECT,
    Keyword::DISTINCT,
    Keyword::WHERE,
    Keyword::HAVING,
    Keyword::BY,
    Keyword::ON,
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::BETWEEN,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::CASE,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::USING,
];

/// Keywords that can stand behind a field, or any other expression.
pub(super) const BEHIND_A_FIELD: [Keyword; 17] = [
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::UNION,
    Keyword::AS,
    Keyword::IS,
    Keyword::IN,
    Keyword::NOT,
    Keyword::BETWEEN,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::AND,
    Keyword::OR,
];

/// Keywords that can stand behind an expression which is a part of a clause.
const BEHIND_A_PART: [Keyword; 5] = [Keyword::ASC, Keyword::DESC, Keyword::THEN, Keyword::ELSE, Keyword::WHEN];

/// How many keywords are tried, one by one, as fields.
const MOST_TRIES: usize = 20;

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

    /// Whether it is a word that is no keyword of a clause, or a quoted name.
    fn is_name(&self) -> bool {
        matches!(&self.token, Token::Word(word) if word.quote_style.is_some() || !OPENS.contains(&word.keyword))
    }

    /// Whether an expression can begin behind it.
    fn opens(&self) -> bool {
        match &self.token {
            Token::Word(_) => OPENS.contains(&self.keyword()),
            Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::RBracket => false,
            _ => true,
        }
    }

    /// Whether it can stand behind a field.
    fn closes(&self) -> bool {
        match &self.token {
            Token::Word(_) => BEHIND_A_FIELD.iter().chain(&BEHIND_A_PART).any(|keyword| *keyword == self.keyword()),
            Token::Number(..) | Token::SingleQuotedString(_) | Token::LParen => false,
            _ => true,
        }
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
        .or_else(|| failed.leading_dot())
        .or_else(|| failed.empty_index())
        .or_else(|| failed.join())
        .or_else(|| failed.sample())
        .or_else(|| failed.misspelt())
        .or_else(|| failed.operator((start, end)))
        .or_else(|| failed.late_clause())
        .or_else(|| failed.clause())
        .or_else(|| failed.second_comma())
        .or_else(|| failed.glob())
        .or_else(|| failed.keyword())
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

    /// A query as advice shows it: as a whole where it is short, else what is put in the place of its part.
    fn shown(&self, corrected: &str, part: String) -> String {
        const MOST: usize = 100;
        let corrected = corrected.trim();
        if corrected.lines().count() == 1 && corrected.len() < MOST { corrected.to_owned() } else { part }
    }

    fn piece_before(&self, number: usize) -> Option<&Piece> {
        self.pieces.get(number.checked_sub(1)?)
    }

    /// A path as jq has it: `.price`
    fn leading_dot(&self) -> Option<Error> {
        let is_leading = |number: &usize| {
            let adjacent = self.piece_before(*number).is_some_and(|before| {
                before.end == self.pieces[*number].start && (before.is_name() || before.token == Token::RBracket)
            });
            self.pieces[*number].token == Token::Period && !adjacent
        };
        let dots: Vec<usize> = (0..self.pieces.len()).filter(is_leading).collect();
        let dot = &self.pieces[*dots.first()?];
        let mut corrected = self.text.0.to_owned();
        for &number in dots.iter().rev() {
            let bare = self.pieces.get(number + 1).is_none_or(|next| next.start > dot.start && !next.is_name());
            let Piece { start, end, .. } = self.pieces[number];
            corrected.replace_range(start..end, if bare { "this" } else { "" });
        }
        let error = self.error(dot, "a path begins without a dot");
        // `select(…)` of jq is WHERE.
        let is_select = self.pieces[0].keyword() == Keyword::SELECT
            && self.pieces.get(1).is_some_and(|next| next.token == Token::LParen && next.start == self.pieces[0].end);
        let filter = is_select.then(|| format!("where {}", &corrected[self.pieces[0].end..]));
        // What parses may be a call of jq's.
        Some(match filter.filter(|filter| plan(filter).is_ok()) {
            Some(filter) => error.hint(format!("write {filter}")),
            None if corrected.trim() == "this" => error.hint("write select *"),
            None if plan(&corrected).is_ok() => {
                let next = self.pieces.get(dots[0] + 1).map_or("this", |next| self.spelt(next));
                error.hint(format!("write {}", self.shown(&corrected, next.to_owned())))
            }
            None => {
                error.hint("a query is SQL: `where price > 3` keeps records, `price, user.name` takes fields of them")
            }
        })
    }

    /// `items[]`
    fn empty_index(&self) -> Option<Error> {
        let pair = self.pieces.windows(2).find(|pair| {
            let [open, close] = pair else { return false };
            open.token == Token::LBracket && matches!(close.token, Token::RBracket | Token::Mul)
        })?;
        let end = self.pieces.iter().find(|piece| piece.start >= pair[1].start && piece.token == Token::RBracket)?.end;
        let start = pair[0].start;
        let corrected = self.with((start, end), "[0]");
        let of_name = self.pieces.iter().any(|piece| piece.end == start && piece.is_name());
        (of_name && (self.parses(&corrected) || self.at < self.pieces.len())).then(|| {
            let array = self.path_before(start);
            let message = match pair[1].token {
                Token::Mul => "`[*]` is not supported",
                _ => "an index is missing between the brackets",
            };
            let error = self.text.error_at((start, end), message);
            error.hint(format!(
                "`{array}[0]` is the first element; `from input, unnest({array}) as item` makes a row of each"
            ))
        })
    }

    /// The path that ends at a byte.
    fn path_before(&self, end: usize) -> &str {
        let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
        let before = &self.text.0[..end];
        let start = before.char_indices().rev().take_while(|(_, c)| is_path(*c)).last().map_or(end, |(at, _)| at);
        &before[start..]
    }

    /// A join without FROM before it, and one that is not there.
    fn join(&self) -> Option<Error> {
        const BEFORE: [Keyword; 10] = [
            Keyword::LEFT,
            Keyword::RIGHT,
            Keyword::FULL,
            Keyword::INNER,
            Keyword::OUTER,
            Keyword::CROSS,
            Keyword::SEMI,
            Keyword::ANTI,
            Keyword::NATURAL,
            Keyword::ASOF,
        ];
        let join = self.pieces.iter().position(|piece| piece.keyword() == Keyword::JOIN)?;
        let mut first = join;
        while let Some(before) = self.piece_before(first).filter(|before| BEFORE.contains(&before.keyword())) {
            if before.keyword() == Keyword::ASOF {
                let range = (before.start, self.pieces[join].end);
                return Some(self.text.error_at(range, "ASOF JOIN is not supported").hint(ASOF));
            }
            first -= 1;
        }
        let from = self.with((self.pieces[first].start, self.pieces[first].start), "from input ");
        self.parses(&from).then(|| {
            let range = (self.pieces[first].start, self.pieces[join].end);
            let error = self.text.error_at(range, "a join needs a FROM before it");
            error.hint(format!("write {}", self.shown(&from, "from input join …".to_owned())))
        })
    }

    /// `using sample 10%`, `limit 10%`
    fn sample(&self) -> Option<Error> {
        let samples = |pair: &&[Piece]| matches!(pair, [using, sample] if using.keyword() == Keyword::USING && sample.keyword() == Keyword::SAMPLE);
        if let Some([using, sample]) = self.pieces.windows(2).find(samples) {
            let error = self.text.error_at((using.start, sample.end), "USING SAMPLE is not supported");
            return Some(error.hint(SAMPLE));
        }
        let share = |pieces: &&[Piece]| {
            matches!(pieces, [limit, number, percent] if limit.keyword() == Keyword::LIMIT
                && matches!(number.token, Token::Number(..))
                && (percent.token == Token::Mod || self.spelt(percent).eq_ignore_ascii_case("percent")))
        };
        let [_, number, percent] = self.pieces.windows(3).find(share)? else { return None };
        Some(
            self.text
                .error_at((number.start, percent.end), "LIMIT takes a number of rows, not a share of them")
                .hint(SAMPLE),
        )
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

    /// The brace that an object before the place of the error begins with.
    fn open_brace(&self) -> Option<&Piece> {
        let before = self.pieces.get(..self.at)?;
        let (mut open, mut place) = (0, before.iter().rev());
        place.find(|piece| {
            open += i32::from(piece.token == Token::LBrace) - i32::from(piece.token == Token::RBrace);
            open > 0
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
            (Token::Comma | Token::RBrace, _) if self.open_brace().is_some() => {
                let start = self.open_brace()?.start;
                Some(self.text.error_at((start, end), "an object has a value for each key: {'a': a}").hint(OBJECTS))
            }
            (Token::LBracket, Some(_)) if before.is_some_and(|before| before.keyword() == Keyword::IN) => {
                let close = self.pieces[self.at..].iter().find(|piece| piece.token == Token::RBracket)?;
                let list = format!("({})", &self.text.0[piece.end..close.start]);
                let corrected = self.with((piece.start, close.end), &list);
                Some(
                    self.text
                        .error_at((piece.start, close.end), "IN takes a list in parentheses")
                        .hint(format!("write {}", self.shown(&corrected, format!("in {list}")))),
                )
            }
            (Token::Word(_), Some(_)) if self.infix().is_some() => self.infix(),
            (_, _) if before.is_some_and(|before| before.keyword() == Keyword::IN) => Some(
                self.text
                    .error_at((start, end), "IN takes a list in parentheses")
                    .hint(format!("write in ({})", self.spelt(piece))),
            ),
            _ => None,
        }
    }

    /// A function between its arguments: `name contains 'x'`, and the separator of `group_concat`.
    fn infix(&self) -> Option<Error> {
        let piece = self.pieces.get(self.at)?;
        let (before, next) = (self.piece_before(self.at)?, self.pieces.get(self.at + 1)?);
        let function = match self.spelt(piece).to_lowercase().as_str() {
            "contains" => "contains",
            "matches" | "match" => "regexp_matches",
            "startswith" | "starts_with" => "starts_with",
            "endswith" | "ends_with" => "ends_with",
            "separator" => {
                let error = self.error(piece, "SEPARATOR is not supported");
                return Some(error.hint(format!(
                    "write string_agg({}, {})",
                    self.path_before(before.end),
                    self.spelt(next)
                )));
            }
            _ => return None,
        };
        let error = self.error(piece, format!("`{}` is not an operator here", self.spelt(piece)));
        Some(error.hint(format!("write {function}({}, {})", self.path_before(before.end), self.spelt(next))))
    }

    /// A clause that comes too late.
    fn late_clause(&self) -> Option<Error> {
        const IN_ORDER: [Keyword; 6] =
            [Keyword::FROM, Keyword::WHERE, Keyword::GROUP, Keyword::HAVING, Keyword::ORDER, Keyword::LIMIT];
        let rank = |piece: &Piece| IN_ORDER.iter().position(|keyword| *keyword == piece.keyword());
        let late = self.pieces.get(self.at)?;
        let own = rank(late)?;
        let earlier = self.pieces[..self.at].iter().find(|piece| rank(piece).is_some_and(|other| other > own))?;
        let next = self.pieces[self.at + 1..].iter().find(|piece| rank(piece).is_some());
        let end = next.map_or(self.text.0.len(), |next| next.start);
        let clause = self.text.0[late.start..end].trim();
        let without = self.with((late.start, end), "");
        let corrected = format!("{}{clause} {}", &without[..earlier.start], &without[earlier.start..]);
        let corrected = corrected.trim();
        self.parses(corrected).then(|| {
            let (word, other) = (self.spelt(late), self.spelt(earlier));
            self.error(late, format!("`{word}` comes before `{other}`"))
                .hint(format!("write {}", self.shown(corrected, clause.to_owned())))
        })
    }

    /// GROUP and ORDER without BY, an empty select list, a comma before a clause, keywords that are meant to be fields.
    fn clause(&self) -> Option<Error> {
        for piece in self.near().filter(|piece| matches!(piece.keyword(), Keyword::GROUP | Keyword::ORDER)) {
            let word = self.spelt(piece);
            let has_by = self.pieces.iter().any(|next| next.keyword() == Keyword::BY && next.start > piece.end);
            if !has_by && self.parses(&self.with((piece.end, piece.end), " by")) {
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
                let limit = self.pieces.iter().rposition(|piece| piece.keyword() == Keyword::LIMIT);
                let is_clause =
                    |limit: usize| !matches!(self.pieces.get(limit + 1), Some(next) if next.token == Token::Comma);
                if limit.is_some_and(|limit| limit < self.at && is_clause(limit)) {
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
        self.nameless()
    }

    /// AS without a name behind it, and BY without GROUP or ORDER.
    fn nameless(&self) -> Option<Error> {
        for (number, piece) in self.pieces.iter().enumerate().filter(|(number, _)| *number > 0) {
            let corrected = match piece.keyword() {
                Keyword::AS => self.with((piece.end, piece.end), " name"),
                Keyword::BY if !matches!(self.pieces[number - 1].keyword(), Keyword::GROUP | Keyword::ORDER) => {
                    self.with((piece.start, piece.start), "group ")
                }
                _ => continue,
            };
            if self.parses(&corrected) {
                let word = self.spelt(piece);
                let shown = self.shown(&corrected, "as name, group by a".to_owned());
                return Some(match piece.keyword() {
                    Keyword::AS => self
                        .error(piece, format!("the name behind `{word}` is missing"))
                        .hint(format!("for example {shown}")),
                    _ => self
                        .error(piece, format!("`{word}` needs `group` or `order` before it"))
                        .hint(format!("write {shown}")),
                });
            }
        }
        None
    }

    /// Keywords that are meant to be fields: they stand where a field can, before what can follow one.
    fn keyword(&self) -> Option<Error> {
        let is_meant = |number: usize| {
            let piece = &self.pieces[number];
            let is_keyword = piece.is_word() && piece.keyword() != Keyword::NoKeyword;
            is_keyword
                && (number > 0 || self.pieces.len() > 1 || self.at == 0)
                && self.piece_before(number).is_none_or(Piece::opens)
                && self.pieces.get(number + 1).is_none_or(Piece::closes)
        };
        let meant: Vec<usize> = (0..self.pieces.len()).filter(|&number| is_meant(number)).collect();
        // Each alone, the nearest to the error first; else all of them.
        let mut nearest: Vec<usize> = meant.iter().copied().take(MOST_TRIES).collect();
        nearest.sort_by_key(|number| number.abs_diff(self.at));
        let tries = nearest.into_iter().map(|number| vec![number]).chain([meant]);
        for quoted in tries.filter(|quoted| !quoted.is_empty()) {
            let mut corrected = self.text.0.to_owned();
            for &number in quoted.iter().rev() {
                let piece = &self.pieces[number];
                corrected.replace_range(piece.start..piece.end, &format!("\"{}\"", self.spelt(piece)));
            }
            if self.parses(&corrected) {
                let piece = &self.pieces[quoted[0]];
                let word = self.spelt(piece);
                let shown = self.shown(&corrected, format!("\"{word}\""));
                return Some(
                    self.error(piece, format!("`{word}` is a word of SQL"))
                        .hint(format!("in double quotes it is a field: {shown}")),
                );
            }
        }
        None
    }

    /// Two commas where one is due.
    fn second_comma(&self) -> Option<Error> {
        let comma = self.near().find(|piece| piece.token == Token::Comma)?;
        let corrected = self.with((comma.start, comma.end), "");
        self.parses(&corrected).then(|| {
            let shown = self.shown(&corrected, "without it".to_owned());
            self.error(comma, "there is nothing before this comma").hint(format!("leave it out: {shown}"))
        })
    }

    /// `name glob 'a*'`
    fn glob(&self) -> Option<Error> {
        let place = self.pieces.iter().position(|piece| self.spelt(piece).eq_ignore_ascii_case("glob"))?;
        let (glob, pattern) = (&self.pieces[place], self.pieces.get(place + 1)?);
        let Token::SingleQuotedString(text) = &pattern.token else { return None };
        let like = text.replace(['%', '_'], "").replace('*', "%").replace('?', "_").replace('\'', "''");
        let corrected = self.with((glob.start, pattern.end), &format!("like '{like}'"));
        self.parses(&corrected).then(|| {
            let shown = self.shown(&corrected, format!("like '{like}'"));
            self.error(glob, "GLOB is not supported")
                .hint(format!("% is any text and _ any character in LIKE: {shown}"))
        })
    }

    fn comma(&self) -> Option<Error> {
        let mut near: Vec<&Piece> = self.near().take(2).collect();
        near.sort_by_key(|piece| !piece.is_word());
        near.into_iter().find_map(|piece| {
            let before = self.pieces.iter().rev().find(|before| before.end <= piece.start)?;
            let corrected = self.with((before.end, before.end), ",");
            self.parses(&corrected).then(|| {
                let around = self.shown(&corrected, format!("{}, {}", self.spelt(before), self.spelt(piece)));
                self.error(piece, format!("`{}` is not expected here", self.spelt(piece)))
                    .hint(format!("is a comma missing before it? {around}"))
            })
        })
    }
}
