//! Functions that write a text in another form: digests, hexadecimal, Base64, percent-encoding.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use twox_hash::XxHash3_64;

use super::{Code, Function, Gives, int, string, text};
use crate::expr::fault::Fault;
use crate::value::{Value, key};

pub(super) static TABLE: &[Function] = &[
    Function {
        name: "md5",
        aliases: &[],
        signature: "md5(text)",
        summary: "The MD5 digest of a text, in hexadecimal.",
        example: ("md5('a')", "\"0cc175b9c0f1b6a831c399e269772661\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &hex(&Md5::digest(string(args[0])?.as_bytes()), false)))),
    },
    Function {
        name: "sha1",
        aliases: &["sha"],
        signature: "sha1(text)",
        summary: "The SHA-1 digest of a text, in hexadecimal.",
        example: ("sha1('a')", "\"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &hex(&Sha1::digest(string(args[0])?.as_bytes()), false)))),
    },
    Function {
        name: "sha256",
        aliases: &[],
        signature: "sha256(text)",
        summary: "The SHA-256 digest of a text, in hexadecimal.",
        example: ("sha256('a')", "\"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &hex(&Sha256::digest(string(args[0])?.as_bytes()), false)))),
    },
    Function {
        name: "hash",
        aliases: &[],
        signature: "hash(value)",
        summary: "A number that is the same for equal values, on every machine: XXH3 of 64 bits.",
        example: ("hash(1) = hash(1.0)", "true"),
        arguments: (1, 1),
        expected: "a value",
        gives: Gives::Number,
        code: Code::Given(|args, _| {
            let mut encoded = Vec::new();
            key::encode(args[0], &mut encoded);
            Ok(Value::integer(i128::from(XxHash3_64::oneshot(&encoded))))
        }),
    },
    Function {
        name: "hex",
        aliases: &["to_hex"],
        signature: "hex(text | integer)",
        summary: "The bytes of a text, or an integer, in hexadecimal.",
        example: ("hex('é')", "\"C3A9\""),
        arguments: (1, 1),
        expected: "text or an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| match args[0] {
            Value::Text(_) => Ok(text(arena, &hex(string(args[0])?.as_bytes(), true))),
            number => Ok(text(arena, &format!("{:X}", int(number)?))),
        }),
    },
    Function {
        name: "bin",
        aliases: &["to_binary"],
        signature: "bin(integer)",
        summary: "An integer in binary.",
        example: ("bin(5)", "\"101\""),
        arguments: (1, 1),
        expected: "an integer",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &format!("{:b}", int(args[0])?)))),
    },
    Function {
        name: "to_base64",
        aliases: &["base64"],
        signature: "to_base64(text)",
        summary: "The bytes of a text in Base64.",
        example: ("to_base64('abc')", "\"YWJj\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| Ok(text(arena, &BASE64_STANDARD.encode(string(args[0])?.as_bytes())))),
    },
    Function {
        name: "from_base64",
        aliases: &["unbase64"],
        signature: "from_base64(text)",
        summary: "The text whose bytes stand in Base64.",
        example: ("from_base64('YWJj')", "\"abc\""),
        arguments: (1, 1),
        expected: "the Base64 of UTF-8",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let bytes = BASE64_STANDARD.decode(string(args[0])?.as_bytes()).map_err(|_| Fault::Invalid)?;
            Ok(text(arena, std::str::from_utf8(&bytes).map_err(|_| Fault::Invalid)?))
        }),
    },
    Function {
        name: "url_encode",
        aliases: &[],
        signature: "url_encode(text)",
        summary: "The text as a part of a URL: all but letters, digits and -_.~ as percent codes.",
        example: ("url_encode('a b/é')", "\"a%20b%2F%C3%A9\""),
        arguments: (1, 1),
        expected: "text",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let mut out = String::new();
            for byte in string(args[0])?.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
                    // Writing to a String does not fail.
                    byte => _ = write!(out, "%{byte:02X}"),
                }
            }
            Ok(text(arena, &out))
        }),
    },
    Function {
        name: "url_decode",
        aliases: &[],
        signature: "url_decode(text)",
        summary: "The text of a part of a URL, its percent codes decoded.",
        example: ("url_decode('a%20b')", "\"a b\""),
        arguments: (1, 1),
        expected: "percent codes of UTF-8",
        gives: Gives::Text,
        code: Code::Strict(|args, arena| {
            let subject = string(args[0])?;
            let (mut out, mut rest) = (Vec::new(), subject.as_bytes());
            while let [first, tail @ ..] = rest {
                let code = match tail {
                    [a, b, ..] if *first == b'%' => hex_digit(*a).zip(hex_digit(*b)),
                    _ => None,
                };
                match code {
                    Some((high, low)) => {
                        out.push(high << 4 | low);
                        rest = &tail[2..];
                    }
                    None => {
                        out.push(*first);
                        rest = tail;
                    }
                }
            }
            Ok(text(arena, std::str::from_utf8(&out).map_err(|_| Fault::Invalid)?))
        }),
    },
];

fn hex(bytes: &[u8], upper: bool) -> String {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(digits[usize::from(digit)])).collect()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
