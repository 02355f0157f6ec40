//! Lines of known shapes: several at once, or one.
//!
//! The walk of a line is one long chain of steps that wait for each other: where a string ends decides where to look next.
//! A processor can do several times as much at once. So a few lines that follow each other are walked in step, link by
//! link, for as long as each of them has the link that is expected. Whatever is unusual in one of them (another link, a
//! fault, the end of the block) ends that, and the lines are finished one by one from where they are. A line alone is walked
//! in the same way, with any link that is known, until the [walk](super::walk) has to find a way on.
//!
//! This is where most of the time goes, so that each instruction counts.

use super::lines::span_of;
use super::links::{Class, Link, LinkId, Links, NO_LINK, START};
use super::number::{exponent, short_literal, short_number};
use super::rows::Rows;
use super::simd::{Kernel, Near, Task, Text};
use super::string::rest_of_string;
use super::{Cell, Kind, Span};

/// Lines of which `L` at a time are to be walked in step.
pub(super) struct Together<'a, const L: usize> {
    pub block: &'a [u8],
    pub links: &'a Links,
    pub rows: &'a mut Rows,
    /// The records that were found.
    pub records: &'a mut Vec<Span>,
    /// Where the first line begins.
    pub start: usize,
    /// Where the lines end.
    pub ends: &'a [u32],
    pub max_line: usize,
}

/// How far lines were walked in step: behind the value of a link.
pub(super) struct Walked<const L: usize> {
    pub link: LinkId,
    pub at: [usize; L],
}

impl<const L: usize> Task for Together<'_, L> {
    /// The number of lines that are done, each a record; then come those that have to be finished one by one. None of these
    /// are begun if there are too few lines, there is no more room for rows, or a line may be too long.
    type Output = (usize, Option<Walked<L>>);

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Together { block, links, rows, records, start, ends, max_line } = self;
        let text = Text::new(block);
        let (stride, mut room) = rows.room();
        let (mut done, mut begin, mut stopped) = (0, start, None);
        for ends in ends.as_chunks::<L>().0 {
            let (mut at, mut past) = ([begin; L], [begin; L]);
            for lane in 0..L {
                at[lane] = begin;
                past[lane] = ends[lane] as usize;
                begin = past[lane] + 1;
            }
            let Some((cells, rest)) = room.split_at_mut_checked(L * stride) else { break };
            if begin - at[0] > max_line {
                break;
            }
            let link;
            (link, at) = follow(kernel, text, block, links, cells, START, at, past);
            if link != NO_LINK {
                stopped = Some(Walked { link, at });
                break;
            }
            room = rest;
            done += L;
        }
        rows.keep(done);
        let mut begin = start;
        records.extend(ends[..done].iter().map(|&end| {
            let span = span_of(block, begin, end as usize);
            begin = end as usize + 1;
            span
        }));
        (done, stopped)
    }
}

/// Walks lines in step, which end at `ends`, from behind the value of a link, where each is `at`. Gives the link behind
/// whose value all lines are, and where; [`NO_LINK`] if they are done. `cells` are a row for each line.
#[expect(clippy::too_many_arguments, reason = "each is one register")]
#[inline(always)]
pub(super) fn follow<K: Kernel, const L: usize>(
    kernel: K,
    text: Text<'_>,
    block: &[u8],
    links: &Links,
    cells: &mut [Cell],
    from: LinkId,
    at: [usize; L],
    ends: [usize; L],
) -> (LinkId, [usize; L]) {
    let Some(mut near) = near_all(text, at) else { return (from, at) };
    let mut from = links.get(from);
    let stride = cells.len() / L;
    // What no one wants has a slot, too. Of a line alone it is hard to predict whether anyone wants the next value, so that
    // there all of them have cells, unless no one wants any.
    let are_all_wanted = L == 1 && stride > 1;
    let mut are_done = false;
    'links: loop {
        let (mut next, second) = from.expected();
        let mut link = links.get(next);
        if !begins(kernel, link, near) {
            next = second;
            link = links.get(next);
            if begins(kernel, link, near) {
                links.note_second(kernel, from);
            } else if L == 1 {
                next = links.find(kernel, from, block, near[0].at(), near[0].half());
                if next == NO_LINK {
                    break;
                }
                links.take(kernel, from, next);
                link = links.get(next);
            } else {
                break;
            }
        }
        if link.is_unusual {
            for lane in 0..L {
                let at = near[lane].at();
                if !links.equals_long(next, &block[at..]) {
                    break 'links;
                }
                links.act(next, &mut cells[lane * stride..], at);
            }
        }
        let mut past = near;
        match link.class {
            Class::Text => {
                for lane in 0..L {
                    let start = near[lane].at() + usize::from(link.len);
                    let Some((end, kind)) = text_value(kernel, text, block, start) else { break 'links };
                    past[lane] = end;
                    if are_all_wanted || link.is_wanted {
                        cells[lane * stride + link.slot as usize] = Cell::between(kind, start, end.at());
                    }
                }
            }
            Class::Scalar => {
                for lane in 0..L {
                    let start = near[lane].at() + usize::from(link.len);
                    let Some((end, kind)) = scalar_value(kernel, text, block, start) else { break 'links };
                    past[lane] = end;
                    if are_all_wanted || link.is_wanted {
                        cells[lane * stride + link.slot as usize] = Cell::between(kind, start, end.at());
                    }
                }
            }
            Class::End if are_at(near, usize::from(link.len), ends) => {
                are_done = true;
                break;
            }
            _ => break,
        }
        (from, near) = (link, past);
    }
    let mut at = at;
    for lane in 0..L {
        at[lane] = near[lane].at();
    }
    (if are_done { NO_LINK } else { links.id(from) }, at)
}

/// The end of a string whose body begins at `start`, at its quote, and what it is.
#[inline(always)]
fn text_value<'t, K: Kernel>(kernel: K, text: Text<'t>, block: &[u8], start: usize) -> Option<(Near<'t>, Kind)> {
    let value = text.ahead(start)?;
    let end = value.further(kernel.string_stop(value.near().window()));
    if end.byte() == b'"' {
        return Some((end, Kind::Text));
    }
    let (end, kind) = rest_of_string(kernel, block, end.at()).ok()?;
    Some((text.ahead(end)?.near(), kind))
}

/// The end of a number or literal that begins at `start`, and what it is.
#[inline(always)]
fn scalar_value<'t, K: Kernel>(kernel: K, text: Text<'t>, block: &[u8], start: usize) -> Option<(Near<'t>, Kind)> {
    let value = text.ahead(start)?;
    let Some((len, kind)) = short_number(kernel, value.near().half()) else {
        let (len, kind) = short_literal(value.near().half())?;
        return Some((value.further(len), kind));
    };
    let end = value.further(len);
    if end.byte() | 0x20 != b'e' {
        return Some((end, kind));
    }
    let (end, kind) = exponent(block, end.at()).ok()?;
    Some((text.ahead(end)?.near(), kind))
}

/// Whether a link is what lies ahead in each line.
#[inline(always)]
fn begins<K: Kernel, const L: usize>(kernel: K, link: &Link, near: [Near<'_>; L]) -> bool {
    let mut all = true;
    for near in near {
        all &= link.begins(kernel, near.half());
    }
    all
}

/// Whether each line is at its end behind a text of this length.
#[inline(always)]
fn are_at<const L: usize>(near: [Near<'_>; L], len: usize, ends: [usize; L]) -> bool {
    let mut all = true;
    for lane in 0..L {
        all &= near[lane].at() + len == ends[lane];
    }
    all
}

/// What lies ahead in each line.
#[inline(always)]
fn near_all<const L: usize>(text: Text<'_>, at: [usize; L]) -> Option<[Near<'_>; L]> {
    let mut near = [text.ahead(at[0])?.near(); L];
    for lane in 1..L {
        near[lane] = text.ahead(at[lane])?.near();
    }
    Some(near)
}
