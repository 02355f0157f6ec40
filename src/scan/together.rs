//! Several lines at once, as long as they are of one shape.
//!
//! The walk of a line is one long chain of steps that wait for each other: where a string ends decides where to look next.
//! A processor can do several times as much at once. So a few lines that follow each other are walked in step, link by
//! link, for as long as each of them has the link that is expected. Whatever is unusual in one of them (another link, a
//! fault, the end of the block) ends that, and the lines are finished one by one from where they are. A line alone is walked
//! in the same way, with any link that is known, until the [walk](super::walk) has to find a way on.
//!
//! This loop is where most of the time goes, so that each instruction counts.

use super::links::{Class, Link, LinkId, Links, NO_LINK};
use super::number::{exponent, short_literal, short_number};
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
        // The last link behind which the second one that was expected came.
        let mut second = NO_LINK;
        // What lies from `at` on.
        let Some(mut ahead) = looks(text, at) else { return (from, at) };
        'links: loop {
            let mut expected = links.get(from).next;
            let mut link = links.get(expected);
            if !begin(kernel, link, ahead) {
                expected = links.get(from).second;
                link = links.get(expected);
                if begin(kernel, link, ahead) {
                    second = from;
                } else if L == 1 {
                    expected = links.find(kernel, from, block, at[0], ahead[0].half());
                    if expected == NO_LINK {
                        break;
                    }
                    links.take(kernel, from, expected);
                    link = links.get(expected);
                } else {
                    break;
                }
            }
            if link.is_unusual {
                for lane in 0..L {
                    if !links.equals_long(expected, &block[at[lane]..]) {
                        break 'links;
                    }
                    links.act(expected, rows[lane], at[lane]);
                }
            }
            let mut past = at;
            past.iter_mut().for_each(|past| *past += link.len as usize);
            if link.class == Class::Text {
                for lane in 0..L {
                    let start = past[lane];
                    let Some(value) = text.ahead(start) else { break 'links };
                    let mut end = start + kernel.string_stop(value.window());
                    let mut kind = Kind::Text;
                    let Some(mut look) = text.ahead(end) else { break 'links };
                    if look.byte() != b'"' {
                        let Ok(found) = rest_of_string(kernel, block, end) else { break 'links };
                        (end, kind) = found;
                        look = match text.ahead(end) {
                            Some(look) => look,
                            None => break 'links,
                        };
                    }
                    (past[lane], ahead[lane]) = (end, look);
                    if link.is_wanted {
                        rows[lane][link.slot as usize] = Cell::new(kind, start as u32, (end - start) as u32);
                    }
                }
            } else if link.class == Class::Scalar {
                for lane in 0..L {
                    let start = past[lane];
                    let Some(value) = text.ahead(start) else { break 'links };
                    let mut found = short_number(kernel, value.half());
                    if found.is_none() {
                        found = short_literal(value.half());
                    }
                    let Some((len, mut kind)) = found else { break 'links };
                    let mut end = start + len;
                    let Some(mut look) = text.ahead(end) else { break 'links };
                    if look.byte() | 0x20 == b'e' && matches!(kind, Kind::Int | Kind::Float) {
                        let Ok(found) = exponent(block, end) else { break 'links };
                        (end, kind) = found;
                        look = match text.ahead(end) {
                            Some(look) => look,
                            None => break 'links,
                        };
                    }
                    (past[lane], ahead[lane]) = (end, look);
                    if link.is_wanted {
                        rows[lane][link.slot as usize] = Cell::new(kind, start as u32, (end - start) as u32);
                    }
                }
            } else if link.class == Class::End && past == ends {
                from = NO_LINK;
                break;
            } else {
                break;
            }
            (from, at) = (expected, past);
        }
        if second != NO_LINK {
            links.note_second(kernel, second);
        }
        (from, at)
    }
}

/// Whether a link is what lies ahead in each line.
#[inline(always)]
fn begin<K: Kernel, const L: usize>(kernel: K, link: &Link, ahead: [Ahead<'_>; L]) -> bool {
    let mut all = true;
    for look in ahead {
        all &= link.begins(kernel, look.half());
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
