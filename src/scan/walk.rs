//! The walk: one pass over a line that validates every byte and picks the wanted values.
//!
//! The walk goes from value to value: it reads the text up to the next value, then the value. Mostly the text is that of
//! the [link](super::links) that is expected, and [`together`](super::together) has it. Where it is not, it is compared with
//! the other links that are known to lead on from here; and if it is none of them, it is read byte by byte, and learned.
//!
//! The walk needs no stack: the nesting is in the place of the value. What is not learned is gone through by
//! [`skip`](super::skip).
//!
//! A newline is no space, ends a number and may not stand in a string or a link, so the walk stops at the first one by
//! itself. Where the block ends, [`peek`] gives a newline, so that a missing last one makes no difference.

use super::links::{Action, Class, Found, Link, LinkId, Links, NO_LINK, START};
use super::number::{exponent, is_scalar, scalar, short_literal, short_number};
use super::places::{NO_PLACE, Place, PlaceId, Places, ROOT, Within};
use super::simd::{Kernel, Text};
use super::skip::skip;
use super::string::{decode, rest_of_string, string};
use super::{Cell, Kind, Reason};

/// What is wrong with a line, and the index in the block where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub reason: Reason,
    pub at: usize,
}

/// How far a walk has come: behind the value of `link`, at the index `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub link: LinkId,
    pub at: usize,
}

/// What the walk works with.
pub(super) struct Walk<'a> {
    pub block: &'a [u8],
    pub places: &'a mut Places,
    pub links: &'a mut Links,
    /// The current row.
    pub row: &'a mut [Cell],
    pub scratch: &'a mut Scratch,
    pub max_depth: u32,
}

/// What the walk remembers on its way; kept for its memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// The index of the current element of each array that is counted, by its place.
    counts: Vec<u32>,
    /// A key in its decoded form.
    key: Vec<u8>,
    /// What was done since the last value.
    actions: Vec<Action>,
    /// The containers that are being skipped.
    pub skipped: Vec<u8>,
}

/// The byte at `at`; a newline behind the end.
#[inline(always)]
pub(super) fn peek(block: &[u8], at: usize) -> u8 {
    block.get(at).copied().unwrap_or(b'\n')
}

/// The index of the first byte from `at` that is not a space.
#[inline(always)]
pub(super) fn space(block: &[u8], mut at: usize) -> usize {
    while matches!(peek(block, at), b' ' | b'\t' | b'\r') {
        at += 1;
    }
    at
}

impl Walk<'_> {
    /// Goes on to the next value, and reads it into the current row, where that was not done by comparing with what is
    /// expected. [`None`] at the end of the line.
    #[inline(always)]
    pub fn advance<K: Kernel>(&mut self, kernel: K, from: Progress, end: usize) -> Result<Option<Progress>, Fault> {
        let erratic = self.links.is_erratic(from.link);
        if erratic {
            match self.fields_by_key(kernel, from, end) {
                Some(further) if further.at == from.at => {}
                further => return Ok(further),
            }
        }
        let (link, start) = self.turn(kernel, from, end, erratic)?;
        let &Link { class, slot, place, .. } = self.links.get(link);
        let (at, kind) = match class {
            Class::Text => string(kernel, self.block, start)?,
            Class::Scalar => scalar(kernel, self.block, start)?,
            Class::SkippedArray | Class::SkippedObject => {
                let levels = self.max_depth - self.places.get(place).depth;
                skip(kernel, self.block, start, levels, &mut self.scratch.skipped)?
            }
            Class::End | Class::Start => return Ok(None),
        };
        self.row[slot as usize] = Cell::between(kind, start, at);
        Ok(Some(Progress { link, at }))
    }

    /// Finds the way on from a value where another link was expected. Gives the link, and the index behind it. Where it is
    /// `erratic`, no link is learned, and none that is known stands here.
    #[inline(always)]
    fn turn<K: Kernel>(
        &mut self,
        kernel: K,
        from: Progress,
        end: usize,
        erratic: bool,
    ) -> Result<(LinkId, usize), Fault> {
        if !erratic && let Some(ahead) = self.block.get(from.at..).and_then(|rest| rest.first_chunk()) {
            let last = self.links.get(from.link);
            let link = self.links.find(kernel, last, self.block, from.at, ahead);
            let &Link { len, class, is_unusual, .. } = self.links.get(link);
            let past = from.at + len as usize;
            if link != NO_LINK && (class != Class::End || past == end) {
                self.links.take(kernel, last, link);
                if is_unusual {
                    self.links.act(link, self.row, from.at);
                }
                return Ok((link, past));
            }
        }
        self.scratch.actions.clear();
        let Step { place, class, at, is_constant } = self.step(kernel, from, end)?;
        if erratic {
            return Ok((self.links.pass(place, self.places.get(place).slot, class), at));
        }
        // Near the end of the block no link is compared, so it may be known.
        let is_constant = is_constant && self.block.len() - from.at >= 32;
        let found = Found {
            text: is_constant.then(|| &self.block[from.at..at]),
            actions: &self.scratch.actions,
            place,
            slot: self.places.get(place).slot,
            class,
            is_of_new_key: self.places.is_unknown(place),
        };
        Ok((self.links.learn(kernel, from.link, found), at))
    }

    /// Reads fields of an object by looking up their keys, as long as they are known ones, or none are learned any more, with
    /// a scalar value and the usual spacing, and no links lead on. Whatever else comes is left where it is. [`None`] if the
    /// line ended with the object.
    #[inline(always)]
    fn fields_by_key<K: Kernel>(&mut self, kernel: K, from: Progress, end_of_line: usize) -> Option<Progress> {
        let text = Text::new(self.block);
        let &Link { place, class, .. } = self.links.get(from.link);
        let &Place { within, parent, .. } = self.places.get(place);
        let (object, mut before_key) = match within {
            Within::Object => (parent, b','),
            Within::Line if from.link == START => (ROOT, b'{'),
            _ => return Some(from),
        };
        // Of the record itself nothing must be wanted, and its keys must be learned, where it begins or ends in here.
        let is_plain_record = object == ROOT
            && self.places.get(ROOT).slot == self.places.unwanted()
            && self.places.unknown(ROOT) != NO_PLACE
            && self.max_depth > 0;
        if before_key == b'{' && !is_plain_record {
            return Some(from);
        }
        let (mut last, mut at) = ((place, class), from.at);
        while let Some(comma) = text.ahead(at + usize::from(last.1 == Class::Text)) {
            let comma = comma.near().half();
            let quote = 1 + usize::from(comma[1] == b' ');
            if comma[0] != before_key || comma[quote] != b'"' {
                let is_at_end = at + usize::from(last.1 == Class::Text) + 1 == end_of_line;
                if comma[0] == b'}' && before_key == b',' && is_plain_record && is_at_end {
                    return None;
                }
                break;
            }
            before_key = b',';
            let key = at + usize::from(last.1 == Class::Text) + quote + 1;
            let Some(window) = text.ahead(key) else { break };
            let window = window.near().window();
            let len = kernel.string_stop(window);
            // Of longer keys not all that is looked at would be in the window.
            let Some(&[b'"', b':', space, behind]) = window.get(len..).and_then(|rest| rest.first_chunk()) else {
                break;
            };
            let (spaces, byte) = if space == b' ' { (1, behind) } else { (0, space) };
            let mut place = self.places.find(object, self.block, key..key + len);
            if place == NO_PLACE {
                if self.places.may_learn(object) {
                    break;
                }
                place = self.places.unknown(object);
            }
            // A fault is found again by the step from here.
            let mut start = key + len + 2 + spaces;
            let (end, kind, class);
            if byte == b'"' {
                start += 1;
                let Some(value) = text.ahead(start) else { break };
                let mut stop = start + kernel.string_stop(value.near().window());
                let mut found = Kind::Text;
                if peek(self.block, stop) != b'"' {
                    let Ok(rest) = rest_of_string(kernel, self.block, stop) else { break };
                    (stop, found) = rest;
                }
                (end, kind, class) = (stop, found, Class::Text);
            } else {
                let Some(value) = text.ahead(start) else { break };
                let value = value.near().half();
                let mut found = short_number(kernel, value);
                if found.is_none() {
                    found = short_literal(value);
                }
                let Some((len, mut found)) = found else { break };
                let mut stop = start + len;
                if peek(self.block, stop) | 0x20 == b'e' && matches!(found, Kind::Int | Kind::Float) {
                    let Ok(rest) = exponent(self.block, stop) else { break };
                    (stop, found) = rest;
                }
                (end, kind, class) = (stop, found, Class::Scalar);
            }
            let below = self.places.slots_below(place);
            if !below.is_empty() {
                self.row[below.start as usize..below.end as usize].fill(Cell::MISSING);
            }
            let slot = self.places.get(place).slot;
            self.row[slot as usize] = Cell::between(kind, start, end);
            (last, at) = ((place, class), end);
            if self.links.lead_on(place, class) {
                break;
            }
        }
        if at == from.at {
            return Some(from);
        }
        let (place, class) = last;
        Some(Progress { link: self.links.pass(place, self.places.get(place).slot, class), at })
    }

    /// Reads the text between two values byte by byte.
    #[inline(always)]
    fn step<K: Kernel>(&mut self, kernel: K, from: Progress, end: usize) -> Result<Step, Fault> {
        let block = self.block;
        let start = from.at;
        let link = self.links.get(from.link);
        let (mut place, mut at, mut before_value) = match link.class {
            _ if from.link == START => (ROOT, start, true),
            Class::Text => (link.place, start + 1, false),
            _ => (link.place, start, false),
        };
        let mut is_constant = true;
        loop {
            at = space(block, at);
            let byte = peek(block, at);
            if before_value {
                let class = match byte {
                    b'"' => Some(Class::Text),
                    b'{' | b'[' => None,
                    byte if is_scalar(byte) => Some(Class::Scalar),
                    _ => return Err(Fault { reason: Reason::UnexpectedByte, at }),
                };
                if let Some(class) = class {
                    return Ok(Step { place, class, at: at + usize::from(byte == b'"'), is_constant });
                }
                let &Place { depth, slot, .. } = self.places.get(place);
                if depth >= self.max_depth {
                    return Err(Fault { reason: Reason::TooDeep, at });
                }
                let is_object = byte == b'{';
                let kind = if is_object { Kind::Object } else { Kind::Array };
                let inner = space(block, at + 1);
                let relative = (at - start) as u32;
                if peek(block, inner) == if is_object { b'}' } else { b']' } {
                    let len = (inner + 1 - at) as u32;
                    self.act(Action::Empty { slot, kind, at: relative, len }, slot, start);
                    at = inner + 1;
                    before_value = false;
                    continue;
                }
                let open = Action::Open { slot, kind, at: relative };
                if is_object {
                    if !self.places.learns_keys(place) {
                        return Ok(Step { place, class: Class::SkippedObject, at, is_constant });
                    }
                    self.act(open, slot, start);
                    (place, at) = self.key(kernel, place, inner, start, &mut is_constant)?;
                } else {
                    let first = self.first_element(place, &mut is_constant);
                    if first == NO_PLACE {
                        return Ok(Step { place, class: Class::SkippedArray, at, is_constant });
                    }
                    self.act(open, slot, start);
                    (place, at) = (first, inner);
                }
                continue;
            }
            let &Place { within, parent, next, .. } = self.places.get(place);
            match (within, byte) {
                (Within::Line, b'\n') if at == end => return Ok(Step { place, class: Class::End, at, is_constant }),
                (Within::Line, _) => return Err(Fault { reason: Reason::TrailingData, at }),
                (Within::Object, b',') => {
                    let quote = space(block, at + 1);
                    (place, at) = self.key(kernel, parent, quote, start, &mut is_constant)?;
                    before_value = true;
                }
                (Within::Array, b',') => {
                    place = if self.places.is_counted(parent) {
                        is_constant = false;
                        let count = &mut self.scratch.counts[parent as usize];
                        *count = count.saturating_add(1);
                        self.places.element(parent, *count)
                    } else {
                        next
                    };
                    at += 1;
                    before_value = true;
                }
                (Within::Object, b'}') | (Within::Array, b']') => {
                    at += 1;
                    let slot = self.places.get(parent).slot;
                    self.act(Action::Close { slot, at: (at - start) as u32 }, slot, start);
                    place = parent;
                }
                _ => return Err(Fault { reason: Reason::UnexpectedByte, at }),
            }
        }
    }

    /// The place of an array's first element.
    fn first_element(&mut self, array: PlaceId, is_constant: &mut bool) -> PlaceId {
        if !self.places.is_counted(array) {
            return self.places.first_element(array);
        }
        *is_constant = false;
        let counts = &mut self.scratch.counts;
        if counts.len() <= array as usize {
            counts.resize(array as usize + 1, 0);
        }
        counts[array as usize] = 0;
        self.places.element(array, 0)
    }

    /// Reads the key that begins with the quote at `at`, and the colon behind it. Gives the place of its value, and the
    /// index behind the colon.
    #[inline(always)]
    fn key<K: Kernel>(
        &mut self,
        kernel: K,
        object: PlaceId,
        at: usize,
        start: usize,
        is_constant: &mut bool,
    ) -> Result<(PlaceId, usize), Fault> {
        if peek(self.block, at) != b'"' {
            return Err(Fault { reason: Reason::UnexpectedByte, at });
        }
        let (end, kind) = string(kernel, self.block, at + 1)?;
        let colon = space(self.block, end + 1);
        if peek(self.block, colon) != b':' {
            return Err(Fault { reason: Reason::UnexpectedByte, at: colon });
        }
        let mut text = &self.block[at + 1..end];
        let mut is_known_by_none = false;
        if kind == Kind::Escaped {
            self.scratch.key.clear();
            // A key with a lone surrogate is nobody's.
            is_known_by_none = !decode(text, &mut self.scratch.key);
            text = &self.scratch.key;
        }
        let mut place = NO_PLACE;
        if !is_known_by_none {
            place = self.places.find(object, text, 0..text.len());
            if place == NO_PLACE {
                place = self.places.learn(object, text);
            }
        }
        if place == NO_PLACE {
            place = self.places.unknown(object);
            *is_constant = false;
        }
        let below = self.places.slots_below(place);
        if !below.is_empty() {
            self.act(Action::Clear { from: below.start, to: below.end }, below.start, start);
        }
        Ok((place, colon + 1))
    }

    /// Applies an action to the row, and notes it, if it is about a slot that is wanted.
    #[inline(always)]
    fn act(&mut self, action: Action, slot: u32, start: usize) {
        if slot != self.places.unwanted() {
            action.apply(self.row, start);
            self.scratch.actions.push(action);
        }
    }
}

/// What [`Walk::step`] found: the next value's place and class, and the index where it begins.
struct Step {
    place: PlaceId,
    class: Class,
    at: usize,
    /// Whether the text up to it can be learned.
    is_constant: bool,
}
