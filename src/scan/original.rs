//! Where the lines of a block stood before they were made into JSON Lines.

use super::Span;

/// Where one line stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Where the line begins in the block.
    pub line: u32,
    /// The bytes that it was made of, among the original ones.
    pub span: Span,
}

/// What the lines of a block were made of, if they are not the bytes of the input themselves.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The bytes of the input.
    pub bytes: &'a [u8],
    /// A mark for each line, in their order.
    pub marks: &'a [Mark],
}

impl Original<'_> {
    /// What the line was made of that begins at `line`, or that has this byte.
    pub fn span(self, line: u32) -> Span {
        let after = self.marks.partition_point(|mark| mark.line <= line);
        after.checked_sub(1).and_then(|at| self.marks.get(at)).map_or(Span::default(), |mark| mark.span)
    }
}
