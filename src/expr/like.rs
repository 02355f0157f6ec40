//! LIKE patterns.

/// A compiled LIKE pattern: `%` matches any text, `_` any one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
    ignore_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    AnyChar,
    AnyText,
}

impl Pattern {
    /// Compiles a pattern. After `escape` a character stands for itself. `None` if the pattern ends with the escape.
    pub fn new(pattern: &str, escape: Option<char>, ignore_case: bool) -> Option<Pattern> {
        let text = pattern.to_owned();
        let fold_case = |c| if ignore_case { folded(c) } else { c };
        let mut tokens = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let token = match c {
                _ if Some(c) == escape => Token::Char(fold_case(chars.next()?)),
                '%' => Token::AnyText,
                '_' => Token::AnyChar,
                _ => Token::Char(fold_case(c)),
            };
            if token != Token::AnyText || tokens.last() != Some(&Token::AnyText) {
                tokens.push(token);
            }
        }
        Some(Pattern { text, tokens, ignore_case })
    }

    /// Whether the whole text matches.
    ///
    /// Each `%` first matches nothing, and takes one character more whenever what follows it fails: no more than
    /// the latest `%` ever has to be revisited, so the time is at most length of text × length of pattern.
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut next = 0;
        let mut revisit = None;
        loop {
            let before = rest.clone();
            match (self.tokens.get(next), rest.next()) {
                (Some(Token::AnyText), _) => {
                    revisit = Some((next + 1, before.clone()));
                    rest = before;
                    next += 1;
                    if next == self.tokens.len() {
                        return true;
                    }
                }
                (Some(Token::AnyChar), Some(_)) => next += 1,
                (Some(Token::Char(wanted)), Some(c)) if self.is_same(*wanted, c) => next += 1,
                (None, None) => return true,
                _ => {
                    let Some((token, from)) = &mut revisit else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    next = *token;
                    rest = from.clone();
                }
            }
        }
    }
}

impl Pattern {
    fn is_same(&self, wanted: char, c: char) -> bool {
        wanted == c || self.ignore_case && wanted == folded(c)
    }
}

/// A character without regard to its case. It is one character whatever stands beside it, unlike in `lower`, where `Σ`
/// depends on its place in the word and `İ` becomes two.
fn folded(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some('ς'), None) => 'σ',
        (Some(lower), None) => lower,
        _ => c,
    }
}

/// `like 'pattern'`, `ilike 'pattern'`
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operator = if self.ignore_case { "ilike" } else { "like" };
        write!(f, "{operator} '{}'", self.text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Pattern::new(pattern, None, false).unwrap().matches(text), expected, "{text} like {pattern}");
    }

    #[test]
    fn patterns() {
        check("", "", true);
        check("", "a", false);
        check("%", "", true);
        check("_", "", false);
        check("_", "é", true);
        check("a%c", "abc", true);
        check("a%c", "abcd", false);
        check("%ab%ab", "abxabyab", true);
        check("%a_", "bab", true);
        check("a%%b", "ab", true);
        check("%b", "ab", true);
        check("%b", "ba", false);
    }

    #[test]
    fn escapes() {
        let pattern = Pattern::new("10\\%", Some('\\'), false).unwrap();
        assert!(pattern.matches("10%"));
        assert!(!pattern.matches("100"));
        assert!(Pattern::new("10\\", Some('\\'), false).is_none());
    }

    #[test]
    fn case_is_ignored_on_request() {
        let ilike = |pattern, text| Pattern::new(pattern, None, true).unwrap().matches(text);
        assert!(ilike("É%", "école"));
        assert!(ilike("ΟΔΟΣ%", "ΟΔΟΣΑ") && ilike("οδοσ", "ΟΔΟΣ") && ilike("ΟΔΟΣ", "οδος"));
        assert!(ilike("_", "İ"));
        assert!(Pattern::new("aX%", Some('X'), true).unwrap().matches("A%"));
    }
}
