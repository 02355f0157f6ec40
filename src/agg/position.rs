//! `first` and `last`: by the place of a record in the input.

use bumpalo::Bump;

use super::accumulator::{Accumulator, Outcome, Update};
use super::encoded::take_value;
use super::partial::Partial;
use super::superacc::{damaged, take};
use crate::error::Result;
use crate::expr::{Columns, Fault};
use crate::memory::allocated;
use crate::value::{OwnedValue, Value, own, stored};

/// The place of a record in the input: the file's number, then the offset of its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the file.
    pub file: u32,
    /// The offset of the line's first byte in the decompressed file.
    pub offset: u64,
}

impl Position {
    #[inline]
    pub(super) fn of(update: &Update, row: u32) -> Position {
        let origin = &update.frame.origin;
        let (file, offset) = match update.frame.columns {
            Columns::Records { rows, .. } => origin.position_of(rows[row as usize].start),
            Columns::Groups(_) => (origin.file, origin.offset + u64::from(row)),
        };
        Position { file, offset }
    }

    /// The position as bytes that compare as positions do.
    pub(super) fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.file.to_be_bytes());
        bytes[4..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    /// A position from the start of some bytes.
    pub(super) fn take(input: &mut &[u8]) -> Result<Position> {
        Ok(Position { file: u32::from_be_bytes(take(input)?), offset: u64::from_be_bytes(take(input)?) })
    }
}

/// `first(x)` (`LAST` = false) and `last(x)`: the value of the first or last record, NULL or not.
#[derive(Default)]
pub(super) struct AtEnd<const LAST: bool> {
    found: Option<Position>,
    value: OwnedValue,
}

impl<const LAST: bool> AtEnd<LAST> {
    fn wins(&self, position: Position) -> bool {
        // Elements of one array have the same position: the later one is the last.
        self.found.is_none_or(|found| if LAST { position >= found } else { position < found })
    }
}

impl<const LAST: bool> Accumulator for AtEnd<LAST> {
    const HEAP: bool = true;
    const POSITION: bool = true;
    const PARTIAL: Partial<Self> = Partial::State {
        encode: |state, out| match state.found {
            None => out.push(0),
            Some(position) => {
                out.push(1);
                out.extend_from_slice(&position.bytes());
                stored::encode(state.value.borrow(), out);
            }
        },
        decode: |input| match take(input)? {
            [0] => Ok(AtEnd::default()),
            [1] => Ok(AtEnd { found: Some(Position::take(input)?), value: take_value(input)? }),
            _ => Err(damaged()),
        },
    };

    fn add(&mut self, arguments: &[Value], position: Position) -> Result<(), Fault> {
        if self.wins(position) {
            *self = AtEnd { found: Some(position), value: arguments[0].into() };
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if let Some(position) = other.found
            && self.wins(position)
        {
            *self = AtEnd { found: Some(position), value: other.value.clone() };
        }
    }

    fn finish<'a>(&mut self, _: &Outcome, arena: &'a Bump) -> Result<Value<'a>, Fault> {
        Ok(own(self.value.borrow(), arena))
    }

    fn heap_size(&self) -> usize {
        allocated(self.value.heap_size())
    }
}
