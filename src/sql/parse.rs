//! From text to sqlparser's tree.

use std::any::TypeId;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, Query, UnaryOperator,
};
use sqlparser::dialect::{Dialect, DuckDbDialect, Precedence};
use sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::advice::advise;
use super::foreign::refuse_statement;
use super::place::Text;
use crate::error::Result;

/// How deeply expressions may nest: enough for any query that a person writes, and well within the stack.
const MAX_DEPTH: usize = 100;

/// How many operators a query may have: chains of them make trees as deep as they are long, and these are walked
/// recursively.
const MAX_LINKS: usize = 1000;

/// The power operators bind more tightly than `*` and less so than `::`.
const POWER: u8 = 45;

/// `**`, which sqlparser does not know.
pub(super) const POWER_OPERATOR: &str = "**";

/// Words that are no name of a column without AS before them, as they begin what is said otherwise.
const NO_ALIASES: [Keyword; 8] = [
    Keyword::JOIN,
    Keyword::INNER,
    Keyword::CROSS,
    Keyword::NATURAL,
    Keyword::ASOF,
    Keyword::QUALIFY,
    Keyword::USING,
    Keyword::BY,
];

/// Whether a token can make the tree of an expression deeper without parentheses.
fn is_link(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::IS | Keyword::COLLATE)
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Whitespace(_) | Token::Comma | Token::LParen => false,
        Token::RParen | Token::Period | Token::SemiColon | Token::EOF | Token::RBracket => false,
        _ => true,
    }
}

/// DuckDB's dialect, as far as sqlparser knows it, with `exists(path)` and the operators of power.
#[derive(Debug)]
pub(super) struct FoldlDialect;

impl Dialect for FoldlDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn identifier_quote_style(&self, _: &str) -> Option<char> {
        Some('"')
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_dictionary_syntax(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_trailing_commas(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_tilde_like_match_operator(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn is_column_alias(&self, keyword: &Keyword, _: &mut Parser) -> bool {
        !RESERVED_FOR_COLUMN_ALIAS.contains(keyword) && !NO_ALIASES.contains(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let is_power = parser.peek_token_ref().token == Token::Caret || is_double_star(parser);
        is_power.then_some(Ok(POWER))
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        is_double_star(parser).then(|| {
            parser.next_token();
            parser.next_token();
            let right = Box::new(parser.parse_subexpr(precedence)?);
            Ok(Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::Custom(POWER_OPERATOR.into()),
                right,
            })
        })
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let first = parser.peek_token();
        if matches!(first.token, Token::Minus | Token::Plus) {
            // A sign binds more tightly than a power, as in DuckDB.
            parser.next_token();
            let op = if first.token == Token::Minus { UnaryOperator::Minus } else { UnaryOperator::Plus };
            let operand = parser.parse_subexpr(POWER);
            return Some(operand.map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }));
        }
        if is_keyword(&first.token, Keyword::NOT) && is_exists_of_path(parser, 1) {
            parser.next_token();
            // The parser would take `not exists` for the start of a subquery.
            let operand = parser.parse_subexpr(self.prec_value(Precedence::UnaryNot));
            return Some(operand.map(|expr| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) }));
        }
        if is_keyword(&first.token, Keyword::TRIM) && parser.peek_nth_token(1).token == Token::LParen {
            // `trim(text, characters)`; `trim(both 'x' from text)` is left to the parser.
            return parser.maybe_parse(|parser| parse_call(parser, first.clone(), "trim")).ok().flatten().map(Ok);
        }
        is_exists_of_path(parser, 0).then(|| parse_call(parser, first, "exists"))
    }
}

fn is_double_star(parser: &Parser) -> bool {
    let [first, second] = parser.peek_tokens_with_location::<2>();
    first.token == Token::Mul && second.token == Token::Mul && first.span.end == second.span.start
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword)
}

/// Whether `exists(` and no subquery is next, after `skipped` tokens.
fn is_exists_of_path(parser: &Parser, skipped: usize) -> bool {
    let third = parser.peek_nth_token(skipped + 2).token;
    is_keyword(&parser.peek_nth_token(skipped).token, Keyword::EXISTS)
        && parser.peek_nth_token(skipped + 1).token == Token::LParen
        && ![Keyword::SELECT, Keyword::FROM, Keyword::WITH].iter().any(|&keyword| is_keyword(&third, keyword))
}

/// A call of a function whose name is a keyword with a syntax of its own.
fn parse_call(parser: &mut Parser, keyword: TokenWithSpan, name: &str) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let args = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Ok(Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(keyword.span, name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

/// Parses a query. SELECT may be missing: `where …` then means `select * where …`, and a bare list of expressions is
/// the select list.
pub(super) fn parse(text: Text) -> Result<Query> {
    refuse_statement(text)?;
    try_parse(text).map_err(|error| advise(text, error))
}

/// As [`parse`], without advice where it fails.
pub(super) fn try_parse(text: Text) -> Result<Query> {
    let tokens = Tokenizer::new(&FoldlDialect, text.0)
        .tokenize_with_location()
        .map_err(|err| text.error_at(text.word_at(err.location), lower_first(&err.message)))?;
    if let Some(token) = tokens.iter().filter(|token| is_link(&token.token)).nth(MAX_LINKS) {
        let message = format!("the query has more than {MAX_LINKS} operators");
        return Err(text
            .error_at(text.word_at(token.span.start), message)
            .hint("`x in (…)` takes a list of any length"));
    }
    let tokens = with_missing_words(tokens);
    let mut parser = Parser::new(&FoldlDialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let parsed = parser.parse_query().and_then(|query| {
        while parser.consume_token(&Token::SemiColon) {}
        match parser.peek_token() {
            end if end.token == Token::EOF => Ok(*query),
            next => parser.expected("the end of the query", next),
        }
    });
    parsed.map_err(|err| parse_error(text, &err))
}

/// Whether a text is one expression, and nothing else.
///
/// # Errors
/// [`ErrorKind::Query`](crate::ErrorKind::Query), with the place in the text, if it is not.
pub fn check_expression(expression: &str) -> Result<()> {
    let text = Text(expression);
    let tokens = Tokenizer::new(&FoldlDialect, expression)
        .tokenize_with_location()
        .map_err(|err| text.error_at(text.word_at(err.location), lower_first(&err.message)))?;
    let mut parser = Parser::new(&FoldlDialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let parsed = parser.parse_expr().and_then(|_| match parser.peek_token() {
        end if end.token == Token::EOF => Ok(()),
        next => parser.expected("the end of the expression", next),
    });
    parsed.map_err(|err| parse_error(text, &err))
}

/// Adds words that may be missing: SELECT at the start, and where a query begins with FROM and has none; and WHERE in
/// `count(*) filter (x > 1)`.
fn with_missing_words(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words: Vec<(usize, &Token)> = tokens
        .iter()
        .enumerate()
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !matches!(token, Token::Whitespace(_)))
        .collect();
    let keyword = |number: usize| match words.get(number) {
        Some((_, Token::Word(word))) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let begins_query = |number: usize| matches!(keyword(number), Keyword::SELECT | Keyword::WITH | Keyword::FROM);
    let list = [Token::make_keyword("SELECT")];
    let all = [Token::make_keyword("SELECT"), Token::Mul];
    let condition = [Token::make_keyword("WHERE")];
    // A query in parentheses, not an expression in parentheses.
    let has_start = begins_query(0) || matches!(words.first(), Some((_, Token::LParen))) && begins_query(1);
    let mut missing: Vec<(usize, &[Token])> = match keyword(0) {
        _ if has_start || words.is_empty() => Vec::new(),
        Keyword::WHERE | Keyword::GROUP | Keyword::HAVING | Keyword::ORDER | Keyword::LIMIT | Keyword::OFFSET => {
            vec![(0, &all)]
        }
        _ => vec![(0, &list)],
    };
    let mut open = vec![Level { is_query: true, selects: !has_start, from: None }];
    for (number, &(place, token)) in words.iter().enumerate() {
        let follows_call = number >= 2 && matches!(words[number - 2].1, Token::RParen);
        if *token == Token::LParen && follows_call && keyword(number - 1) == Keyword::FILTER {
            let has_word = keyword(number + 1) == Keyword::WHERE;
            missing.extend((!has_word).then_some((place + 1, &condition[..])));
        }
        let outermost = open.len() == 1;
        let Some(level) = open.last_mut() else { break };
        match (token, keyword(number)) {
            (Token::LParen, _) => open.push(Level { is_query: begins_query(number + 1), selects: false, from: None }),
            (Token::RParen, _) if !outermost => {
                missing.extend(level.from.map(|from| (from, &all[..])));
                open.pop();
            }
            (_, Keyword::SELECT) => (level.selects, level.from) = (true, None),
            (_, Keyword::UNION) => {
                missing.extend(level.from.take().map(|from| (from, &all[..])));
                level.selects = false;
            }
            (_, Keyword::FROM) if level.is_query && !level.selects && level.from.is_none() => level.from = Some(place),
            _ => {}
        }
    }
    missing.extend(open.into_iter().filter_map(|level| level.from).map(|from| (from, &all[..])));
    missing.sort_by_key(|(place, _)| *place);
    let missing: Vec<(usize, Vec<Token>)> = missing.into_iter().map(|(place, some)| (place, some.to_vec())).collect();
    for (place, some) in missing.into_iter().rev() {
        tokens.splice(place..place, some.into_iter().map(TokenWithSpan::wrap));
    }
    tokens
}

/// A query, or what else is in parentheses.
struct Level {
    is_query: bool,
    /// Whether its SELECT has come.
    selects: bool,
    /// The place of a FROM that no SELECT has followed yet.
    from: Option<usize>,
}

/// sqlparser's error in our words. Its messages end in ` at Line: 1, Column: 8`.
fn parse_error(text: Text, err: &ParserError) -> crate::Error {
    let (ParserError::ParserError(message) | ParserError::TokenizerError(message)) = err else {
        return text
            .error_at((0, text.0.len()), format!("the query nests more than {MAX_DEPTH} levels deep"))
            .hint("fewer parentheses do, or several queries one after another");
    };
    let (message, location) = match message.rsplit_once(" at Line: ") {
        Some((message, location)) => (message, parse_location(location)),
        None => (message.as_str(), None),
    };
    let end = (text.0.trim_end().len(), text.0.len());
    let range = match location {
        Some(location) if location.line > 0 => text.word_at(location),
        _ => end,
    };
    if message.to_lowercase().starts_with("no infix parser for token") {
        let symbol: String = text.0[range.0..].chars().take_while(char::is_ascii_punctuation).collect();
        let error = text.error_at((range.0, range.0 + symbol.len()), format!("`{symbol}` is not an operator here"));
        return match symbol.as_str() {
            "&&" => error.hint("write `and`"),
            _ => error,
        };
    }
    if message.contains("after IS") {
        return text.error_at(range, "expected null, true, false or distinct from after is");
    }
    let message = lower_first(message)
        .replace("expected: ", "expected ")
        .replace(", found: EOF", ", but the query ends here")
        .replace(", found: ", ", found ");
    text.error_at(range, message)
}

fn parse_location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?))
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
