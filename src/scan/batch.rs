//! Batches: what the scanner finds in one block.

use std::ops::Range;

/// A range of bytes of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The bytes of `block` that the span covers.
    pub fn of(self, block: &[u8]) -> &[u8] {
        &block[self.start as usize..self.end as usize]
    }
}

/// What a path led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The record has no such path.
    Missing = 0,
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number without fraction and exponent, of any length.
    Int,
    /// A number with a fraction or an exponent.
    Float,
    /// A string without escapes. The cell covers its body, without the quotes.
    Text,
    /// A string with at least one escape. The cell covers its body, without the quotes.
    Escaped,
    /// An array, brackets included.
    Array,
    /// An object, braces included.
    Object,
}

/// The place in the block of one record's value at one path, and its kind. Eight bytes.
///
/// A cell of a string covers its body without the quotes, so that the bytes just before and just after it are quotes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell(u64);

impl Cell {
    /// The longest value that a cell can cover, in bytes.
    pub const MAX_LEN: usize = (1 << 28) - 1;
    /// The cell of a path that the record does not have.
    pub const MISSING: Cell = Cell(0);

    /// A cell of `len` bytes from `start`. `len` is at most [`Cell::MAX_LEN`].
    #[inline]
    pub fn new(kind: Kind, start: u32, len: u32) -> Cell {
        debug_assert!(len as usize <= Cell::MAX_LEN);
        Cell(u64::from(start) << 32 | u64::from(len) << 4 | kind as u64)
    }

    /// A cell of the bytes from `start` to `end` of a block, of which there are at most [`Cell::MAX_LEN`].
    #[inline(always)]
    pub(super) fn between(kind: Kind, start: usize, end: usize) -> Cell {
        debug_assert!(start <= end && end - start <= Cell::MAX_LEN && end <= u32::MAX as usize);
        Cell((start as u64) << 32 | ((end - start) as u64) << 4 | kind as u64)
    }

    /// The cell of a value that was found in a valid record of a block: its text, without white space around it. A text
    /// that is no part of the block is missing.
    pub fn of_text(block: &[u8], text: &[u8]) -> Cell {
        let start = (text.as_ptr() as usize).wrapping_sub(block.as_ptr() as usize);
        let (Some(&first), true) = (text.first(), start < block.len()) else { return Cell::MISSING };
        let (kind, skipped) = match first {
            b'"' if memchr::memchr(b'\\', text).is_some() => (Kind::Escaped, 1),
            b'"' => (Kind::Text, 1),
            b'[' => (Kind::Array, 0),
            b'{' => (Kind::Object, 0),
            b't' => (Kind::True, 0),
            b'f' => (Kind::False, 0),
            b'n' => (Kind::Null, 0),
            _ if memchr::memchr3(b'.', b'e', b'E', text).is_some() => (Kind::Float, 0),
            _ => (Kind::Int, 0),
        };
        let len = text.len().saturating_sub(2 * skipped);
        Cell::new(kind, (start + skipped) as u32, len as u32)
    }

    /// The number of the [`Kind`] in the lowest four bits, the length above them, and the start in the upper half.
    #[inline]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The cell of which these are the [`bits`](Cell::bits).
    #[inline]
    pub fn from_bits(bits: u64) -> Cell {
        Cell(bits)
    }

    /// A cell of the same kind and length at another place.
    #[inline]
    pub fn moved_to(self, start: u32) -> Cell {
        Cell(u64::from(start) << 32 | self.0 & u64::from(u32::MAX))
    }

    /// What the path led to.
    #[inline]
    pub fn kind(self) -> Kind {
        match self.0 & 15 {
            0 => Kind::Missing,
            1 => Kind::Null,
            2 => Kind::False,
            3 => Kind::True,
            4 => Kind::Int,
            5 => Kind::Float,
            6 => Kind::Text,
            7 => Kind::Escaped,
            8 => Kind::Array,
            _ => Kind::Object,
        }
    }

    /// The range of bytes: the body of a string, the whole text of any other value.
    #[inline]
    pub fn span(self) -> Span {
        let start = (self.0 >> 32) as u32;
        Span { start, end: start + (self.0 as u32 >> 4) }
    }

    /// The [`span`](Cell::span), as a range of a slice.
    #[inline]
    pub fn range(self) -> Range<usize> {
        let Span { start, end } = self.span();
        start as usize..end as usize
    }

    /// The number of bytes that the cell covers.
    #[inline]
    pub fn len(self) -> usize {
        self.0 as u32 as usize >> 4
    }

    /// Whether the cell covers nothing: the path is missing, or led to an empty text.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes of `block` that the cell covers: the body of a string, the whole text of any other value.
    #[inline]
    pub fn bytes(self, block: &[u8]) -> &[u8] {
        self.span().of(block)
    }

    /// The JSON text of the value, quotes of a string included; `null` for a missing path.
    #[inline]
    pub fn json(self, block: &[u8]) -> &[u8] {
        let Span { start, end } = self.span();
        match self.kind() {
            Kind::Missing => b"null",
            Kind::Text | Kind::Escaped => &block[start as usize - 1..end as usize + 1],
            _ => &block[start as usize..end as usize],
        }
    }
}

impl Cell {
    /// Copies the text of the value, with the quotes of a string, behind other bytes; the cell of the copy. These must
    /// not come to more than 4 GiB.
    pub fn copied(self, from: &[u8], bytes: &mut Vec<u8>) -> Cell {
        if self.kind() == Kind::Missing {
            return self;
        }
        let skipped = u32::from(matches!(self.kind(), Kind::Text | Kind::Escaped));
        let start = bytes.len() as u32 + skipped;
        bytes.extend_from_slice(self.json(from));
        Cell::new(self.kind(), start, self.len() as u32)
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Span { start, end } = self.span();
        write!(f, "{:?}({start}..{end})", self.kind())
    }
}

/// What the scanner found in one block: the records, a column of cells for each path, and the lines that are no
/// records. All of it is reused from block to block.
#[derive(Debug, Default)]
pub struct Batch {
    /// The lines that are records, without their line ends (`\n`, `\r\n`), in order.
    pub rows: Vec<Span>,
    /// For each path, in the order in which they were given, a cell for each row.
    pub columns: Vec<Vec<Cell>>,
    /// The lines that are no records, in order. Blank lines are neither rows nor rejects.
    pub rejects: Vec<Reject>,
    /// The number of lines of all kinds, blank ones included.
    pub lines: u64,
}

/// A line that is no valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The number of the line in its block, from 0.
    pub line: u64,
    /// The line, without its line end.
    pub span: Span,
    /// What is wrong.
    pub reason: Reason,
    /// The byte of the line where it was found, from 0.
    pub at: u32,
}

/// Why a line is no valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Reason {
    /// A byte that cannot start a value, or stands where a comma, a colon or the end was due.
    UnexpectedByte,
    /// The line ends in the middle of a value.
    UnexpectedEnd,
    /// Something follows the value.
    TrailingData,
    /// A string holds a raw control character.
    ControlCharacter,
    /// An escape that JSON does not have.
    BadEscape,
    /// The bytes are not UTF-8.
    BadUtf8,
    /// Digits that do not make a JSON number (`01`, `1.`, `+1`).
    BadNumber,
    /// A word that starts like `true`, `false` or `null` but is not.
    BadLiteral,
    /// Nested more deeply than the limit.
    TooDeep,
    /// Longer than the limit.
    TooLong,
    /// A row of CSV or TSV that has fewer fields than the header.
    TooFewFields,
    /// A row of CSV or TSV that has more fields than the header.
    TooManyFields,
    /// In a row of CSV or TSV something follows the closing quote of a field.
    TextAfterQuote,
    /// A field of CSV or TSV begins with a quote, and none closes it.
    UnterminatedQuote,
    /// A comma of an array has no value before it, or none after it.
    MissingElement,
    /// A value of an array follows another without a comma.
    MissingComma,
    /// Something follows the end of the array.
    AfterArray,
    /// The input ends before the array does.
    UnterminatedArray,
    /// A record that is not as the schema of its source says.
    Schema,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::UnexpectedByte => "unexpected character",
            Reason::UnexpectedEnd => "unexpected end of line",
            Reason::TrailingData => "more than one value on the line",
            Reason::ControlCharacter => "control character in a string",
            Reason::BadEscape => "invalid escape",
            Reason::BadUtf8 => "invalid UTF-8",
            Reason::BadNumber => "invalid number",
            Reason::BadLiteral => "invalid literal",
            Reason::TooDeep => "nested too deeply",
            Reason::TooLong => "line too long",
            Reason::TooFewFields => "too few fields",
            Reason::TooManyFields => "too many fields",
            Reason::TextAfterQuote => "text after a closing quote",
            Reason::UnterminatedQuote => "no closing quote",
            Reason::MissingElement => "no value beside a comma",
            Reason::MissingComma => "no comma before the value",
            Reason::AfterArray => "text after the end of the array",
            Reason::UnterminatedArray => "the array does not end",
            Reason::Schema => "not as the schema says",
        })
    }
}
