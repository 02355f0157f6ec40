//! Several lines at once, as long as they are of one shape.
//!
//! The walk of a line is one long chain of steps that wait for each other: where a string ends decides where to look next.
//! A processor can do several times as much at once. So a few lines that follow each other are walked in step, link by
//! link, for as long as each of them has the link that is expected. Whatever is unusual in one of them (another link, a
//! fault, the end of the block) ends that, and the lines are finished one by one from where they are. A line alone is walked
//! in the same way, until the [walk](super::walk) has to find a way on.
//!
//! This loop is where most of the time goes, so that each instruction counts.

use super::links::{Class, Link, LinkId, Links, NO_LINK};
use super::number::{short_literal, short_number};
use super::simd::{Ahead, Kernel, Task, Text};
use super::string::rest_of_string;
use super::{Cell, Kind};

/// Lines that are to be walked in step.
pub(super) struct Together<'a, const L: usize> {
    pub block: &'a [u8],
    pub links: &'a mut Links,
    /// A row for each line.
    pub rows: [&'a mut [Cell]; L],
    /// The link behind whose value all lines are.
    pub from: LinkId,
    /// Where that is.
    pub at: [usize; L],
    pub ends: [usize; L],
}

impl<const L: usize> Task for Together<'_, L> {
    /// How far they came: the link behind whose value all lines are, and where; [`NO_LINK`] if they are done.
    type Output = (LinkId, [usize; L]);

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Together { block, links, rows, mut from, mut at, ends } = self;
        let text = Text::new(block);
        // What lies from `at` on.
        let Some(mut ahead) = looks(text, at) else { return (from, at) };
        let unwanted = links.get(NO_LINK).slot;
        loop {
            let mut expected = links.get(from).next;
            if !begin(kernel, links.get(expected), ahead) {
                expected = links.get(from).second;
                if !begin(kernel, links.get(expected), ahead) {
                    return (from, at);
                }
                links.note_second(from);
            }
            let link = links.get(expected);
            if link.is_unusual {
                for lane in 0..L {
                    if !links.equals_long(expected, &block[at[lane]..]) {
                        return (from, at);
                    }
                    links.act(expected, rows[lane], at[lane]);
                }
            }
            let mut past = at;
            for lane in 0..L {
                past[lane] += link.len as usize;
            }
            if link.class == Class::Text {
                for lane in 0..L {
                    let start = past[lane];
                    let Some(value) = text.ahead(start) else { return (from, at) };
                    past[lane] += kernel.string_stop(value.window());
                    let mut kind = Kind::Text;
                    if block[past[lane]] != b'"' {
                        let Ok((end, found)) = rest_of_string(kernel, block, past[lane]) else { return (from, at) };
                        (past[lane], kind) = (end, found);
                    }
                    if link.slot != unwanted {
                        rows[lane][link.slot as usize] = Cell::new(kind, start as u32, (past[lane] - start) as u32);
                    }
                }
            } else if link.class == Class::Scalar {
                for lane in 0..L {
                    let start = past[lane];
                    let Some(value) = text.ahead(start) else { return (from, at) };
                    let mut found = short_number(kernel, value.half());
                    if found.is_none() {
                        found = short_literal(value.half());
                    }
                    let Some((len, kind)) = found else { return (from, at) };
                    past[lane] += len;
                    if block[past[lane]] | 0x20 == b'e' {
                        return (from, at);
                    }
                    if link.slot != unwanted {
                        rows[lane][link.slot as usize] = Cell::new(kind, start as u32, len as u32);
                    }
                }
            } else if link.class == Class::End && past == ends {
                return (NO_LINK, past);
            } else {
                return (from, at);
            }
            (from, at) = (expected, past);
            match looks(text, at) {
                Some(looks) => ahead = looks,
                None => return (from, at),
            }
        }
    }
}

/// Whether a link is what lies ahead in each line.
#[inline(always)]
fn begin<K: Kernel, const L: usize>(kernel: K, link: &Link, ahead: [Ahead<'_>; L]) -> bool {
    let mut all = true;
    for lane in 0..L {
        all &= link.begins(kernel, ahead[lane].half());
    }
    all
}

/// What lies ahead in each line.
#[inline(always)]
fn looks<'a, const L: usize>(text: Text<'a>, at: [usize; L]) -> Option<[Ahead<'a>; L]> {
    let mut ahead = [text.ahead(at[0])?; L];
    for lane in 1..L {
        ahead[lane] = text.ahead(at[lane])?;
    }
    Some(ahead)
}
