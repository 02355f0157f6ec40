//! New numbers for groups.

use super::chunks::CHUNK;

/// New numbers for the groups of a table, which are dealt out to parts: the numbers of a part's groups follow each other, in
/// the order in which the groups were, and each part starts with a chunk of states.
#[derive(Debug)]
pub struct Numbers<'n> {
    /// For some groups after another the part of each, and for each part the number of the first of these groups in it.
    pieces: Vec<(&'n [u16], &'n [u32])>,
    end: u32,
}

impl<'n> Numbers<'n> {
    /// The numbers, all below `end`, of groups in pieces: those of a piece have their parts, and the number from which on
    /// those in each part are numbered.
    pub fn new(pieces: Vec<(&'n [u16], &'n [u32])>, end: u32) -> Numbers<'n> {
        Numbers { pieces, end }
    }

    /// What all numbers are below.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Calls `take` with the numbers of all groups in the order of their old numbers, a chunk of states at a time.
    pub fn for_each(&self, mut take: impl FnMut(&[u32])) {
        let (mut chunk, mut len) = ([0; CHUNK], 0);
        for (parts, first) in &self.pieces {
            let mut next = first.to_vec();
            for &part in *parts {
                let number = &mut next[usize::from(part)];
                chunk[len] = *number;
                *number += 1;
                len += 1;
                if len == CHUNK {
                    take(&chunk);
                    len = 0;
                }
            }
        }
        if len > 0 {
            take(&chunk[..len]);
        }
    }
}
