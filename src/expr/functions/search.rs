//! Functions that look for something in a text, or compare texts.

use super::{Code, Function, Gives, int, string, text};
use crate::expr::fault::Fault;
use crate::expr::like::Pattern;
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "like_escape",
        aliases: &[],
        signature: "like_escape(text, pattern [, escape])",
        summary: "Whether a text matches a pattern as a whole, in which % stands for any text and _ for any character; what follows the escape character stands for itself. Also: text like pattern escape '!'.",
        example: ("like_escape('100%', '1%!%', '!')", "true"),
        arguments: (2, 3),
        expected: "text, and one character to escape with",
        gives: Gives::Bool,
        code: Code::Strict(|args, _| like(args, false)),
    },
    Function {
        name: "ilike_escape",
        aliases: &[],
        signature: "ilike_escape(text, pattern [, escape])",
        summary: "The same without regard to case. Also: text ilike pattern escape '!'.",
        example: ("ilike_escape('ABC', 'a%')", "true"),
        arguments: (2, 3),
        expected: "text, and one character to escape with",
        gives: Gives::Bool,
        code: Code::Strict(|args, _| like(args, true)),
    },
    Function {
        name: "strpos",
        aliases: &["instr", "position"],
        signature: "strpos(text, part)",
        summary: "The character at which a part begins in a text, from 1; 0 if it is not in it. Also: position(part in text).",
        example: ("strpos('hello', 'l')", "3"),
        arguments: (2, 2),
        expected: "two texts",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            let (subject, part) = (string(args[0])?, string(args[1])?);
            let before = subject.find(&*part).map(|at| subject[..at].chars().count() as i64);
            Ok(Value::Int(before.map_or(0, |before| before + 1)))
        }),
    },
    Function {
        name: "unicode",
        aliases: &["ord"],
        signature: "unicode(text)",
        summary: "The code point of the first character; -1 if there is none.",
        example: ("unicode('é')", "233"),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::Int(first_code_point(args[0])?.unwrap_or(-1)))),
    },
    Function {
        name: "ascii",
        aliases: &[],
        signature: "ascii(text)",
        summary: "The code point of the first character; 0 if there is none.",
        example: ("ascii('A')", "65"),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::Int(first_code_point(args[0])?.unwrap_or(0)))),
    },
    Function {
        name: "chr",
        aliases: &["char"],
        signature: "chr(number)",
        summary: "The character of a code point.",
        example: ("chr(233)", "\"é\""),
        arguments: (1, 1),
        expected: "the number of a character",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let char = u32::try_from(int(args[0])?).ok().and_then(char::from_u32).ok_or(Fault::Invalid)?;
            Ok(text(arena, char.encode_utf8(&mut [0; 4])))
        }),
    },
    Function {
        name: "strlen",
        aliases: &["octet_length"],
        signature: "strlen(text)",
        summary: "The number of bytes of a text.",
        example: ("strlen('é')", "2"),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::Int(string(args[0])?.len() as i64))),
    },
    Function {
        name: "bit_length",
        aliases: &[],
        signature: "bit_length(text)",
        summary: "The number of bits of a text.",
        example: ("bit_length('é')", "16"),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::Int(string(args[0])?.len() as i64 * 8))),
    },
    Function {
        name: "levenshtein",
        aliases: &["editdist3"],
        signature: "levenshtein(text, other)",
        summary: "The fewest characters to insert, remove or replace that turn a text into another.",
        example: ("levenshtein('kitten', 'sitting')", "3"),
        arguments: (2, 2),
        expected: "two texts",
        gives: Gives::Number,
        code: Code::Strict(|args, _| Ok(Value::Int(strsim::levenshtein(&string(args[0])?, &string(args[1])?) as i64))),
    },
    Function {
        name: "hamming",
        aliases: &["mismatches"],
        signature: "hamming(text, other)",
        summary: "The number of characters in which two texts of the same length differ.",
        example: ("hamming('abc', 'abd')", "1"),
        arguments: (2, 2),
        expected: "two texts of the same length, which is not 0",
        gives: Gives::Number,
        code: Code::Strict(|args, _| {
            let (a, b) = (string(args[0])?, string(args[1])?);
            match strsim::hamming(&a, &b) {
                Ok(differences) if !a.is_empty() => Ok(Value::Int(differences as i64)),
                _ => Err(Fault::Invalid),
            }
        }),
    },
];

fn first_code_point(value: Value) -> Result<Option<i64>, Fault> {
    Ok(string(value)?.chars().next().map(|char| i64::from(u32::from(char))))
}

fn like<'a>(args: &[Value<'a>], ignore_case: bool) -> Result<Value<'a>, Fault> {
    let (text, pattern) = (string(args[0])?, string(args[1])?);
    let escape = match args.get(2) {
        None => None,
        Some(&escape) => {
            let escape = string(escape)?;
            let mut chars = escape.chars();
            match (chars.next(), chars.next()) {
                (first, None) => first,
                _ => return Err(Fault::Invalid),
            }
        }
    };
    let pattern = Pattern::new(&pattern, escape, ignore_case).ok_or(Fault::Invalid)?;
    Ok(Value::Bool(pattern.matches(&text)))
}
