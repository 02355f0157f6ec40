//! Links: what records have between one scalar value and the next, learned and compared as a whole.
//!
//! Nearly all records of a file repeat few shapes. Between a value and the next one then stands constant text: the quote
//! that ends a string, brackets, commas, the key with its colon and spacing, the quote that begins a string
//! (`","price":`, `"}],"total":`). A [`Link`] is such a text with where it leads: to which [place](super::places), and to
//! what class of value. The walk compares the record with the link that it expects, which is the one that came the last
//! time, and has then checked everything up to the next value with one comparison. Links are learned from what the walk
//! found byte by byte, so what equals one is valid.
//!
//! What can follow a value depends on its place, and on whether it ended with a quote: these two are a *state*. The
//! links that lead on from a state are alternatives of each other, and each link remembers which of the alternatives
//! comes next. A state with too many of them learns no more: where keys come in any order, or new ones again and again, looking up the key is
//! faster.

use super::places::{PlaceId, ROOT};
use super::simd::{Half, Kernel};
use super::{Cell, Kind};

/// The index of a link.
pub(super) type LinkId = u32;

/// The link that nothing equals.
pub(super) const NO_LINK: LinkId = 0;
/// The link that stands for the start of the line.
pub(super) const START: LinkId = 1;
/// The link for what is not learned, which is made anew each time: it leads to another place, with the links that are
/// expected there.
pub(super) const PASSING: LinkId = 2;

/// The links that are learned in all, and for one state.
const MAX_LINKS: usize = 4096;
const MAX_ALTERNATIVES: u8 = 8;
/// The longest text that is learned.
const MAX_TEXT: usize = 512;
/// Attempts to learn without room for it, after which everything learned is given up for what there is now; twice as many
/// each time, up to the last.
const MAX_REFUSED: u32 = 50_000;
const MOST_REFUSED: u32 = 16 * MAX_REFUSED;

/// What the value is that a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A string. The link ends with its opening quote; the next one begins with its closing quote.
    Text,
    /// A number or a literal.
    Scalar,
    /// An array or an object of which nothing is wanted and nothing learned.
    Skipped,
    /// No value: the line is at its end.
    End,
    /// No value yet: the line is at its start.
    Start,
}

/// See the module.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Link {
    /// The first bytes of the text, filled with zeros.
    text: Half,
    /// A bit for each byte behind the text.
    behind: u32,
    /// The length of the whole text.
    pub len: u32,
    /// The links that are expected after the value: the first mostly, else the second.
    pub next: LinkId,
    pub second: LinkId,
    /// The next alternative of the same state.
    other: LinkId,
    /// The place of the value.
    pub place: PlaceId,
    /// Where its cell goes.
    pub slot: u32,
    /// Whether anyone wants that.
    pub is_wanted: bool,
    pub class: Class,
    /// Whether the text is longer than `text`, or there are actions.
    pub is_unusual: bool,
    /// How often the second was right since the two were exchanged.
    seconds: u8,
}

/// What a link does to the row's cells. Indices in the text count from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A key came that may have come before: the cells of what is below it are missing again.
    Clear { from: u32, to: u32 },
    /// A container begins.
    Open { slot: u32, kind: Kind, at: u32 },
    /// A container ends.
    Close { slot: u32, at: u32 },
    /// An empty container.
    Empty { slot: u32, kind: Kind, at: u32, len: u32 },
}

impl Action {
    /// Applies the action to a row's cells; the text begins at `base`. Doing it again changes nothing.
    pub fn apply(self, row: &mut [Cell], base: usize) {
        match self {
            Action::Clear { from, to } => row[from as usize..to as usize].fill(Cell::MISSING),
            Action::Open { slot, kind, at } => row[slot as usize] = Cell::new(kind, base as u32 + at, 0),
            Action::Close { slot, at } => {
                let cell = &mut row[slot as usize];
                let start = cell.span().start;
                // Done again, it may find the container that was opened after this one, at the same path: a key came
                // twice. That one's own action follows.
                *cell = Cell::new(cell.kind(), start, (base as u32 + at).saturating_sub(start));
            }
            Action::Empty { slot, kind, at, len } => row[slot as usize] = Cell::new(kind, base as u32 + at, len),
        }
    }
}

/// The part of a link that is seldom needed.
#[derive(Clone, Debug, Default)]
struct Rest {
    text: Box<[u8]>,
    actions: Box<[Action]>,
}

/// The times that the second expected link is right before it is made the first.
const EXCHANGE: u8 = 16;

/// What is known of a state.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The first of the links that lead on from it.
    first: LinkId,
    /// How many there are.
    alternatives: u8,
    /// High if there are as many as there can be, and still others come.
    misses: u8,
}

/// The number of misses from which a state's links are not tried. A miss counts more than a hit, so that they are tried
/// again after a while.
const ERRATIC: u8 = 128;
const MISS: u8 = 96;
const HIT: u8 = 8;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Links {
    links: Vec<Link>,
    rest: Vec<Rest>,
    /// By place, and whether the value ended with a quote; the first is the start of the line.
    states: Vec<State>,
    refused: u32,
    most_refused: u32,
}

impl Links {
    /// No links but the special ones, for rows with this slot for what is not wanted.
    pub fn new(unwanted: u32) -> Links {
        // No line holds this text, and what is at the start is never taken for a link anyway.
        let special = Link {
            text: [0xff; 32],
            behind: 0,
            len: 0,
            next: NO_LINK,
            second: NO_LINK,
            other: NO_LINK,
            place: ROOT,
            slot: unwanted,
            is_wanted: false,
            class: Class::Start,
            is_unusual: false,
            seconds: 0,
        };
        Links {
            links: vec![special; 3],
            rest: vec![Rest::default(); 3],
            states: Vec::new(),
            refused: 0,
            most_refused: MAX_REFUSED,
        }
    }

    /// No links but the special ones, in place of these.
    pub fn anew(&self, unwanted: u32) -> Links {
        Links { most_refused: self.most_refused.saturating_mul(2).min(MOST_REFUSED), ..Links::new(unwanted) }
    }

    /// Whether so much could not be learned that it is better to begin anew.
    pub fn is_outdated(&self) -> bool {
        self.refused >= self.most_refused
    }

    /// A link.
    #[inline(always)]
    pub fn get(&self, link: LinkId) -> &Link {
        &self.links[link as usize]
    }

    /// Applies a link's actions to a row's cells; its text begins at `base`.
    #[inline(never)]
    pub fn act(&self, link: LinkId, row: &mut [Cell], base: usize) {
        self.rest[link as usize].actions.iter().for_each(|action| action.apply(row, base));
    }

    /// Whether a text that begins as a link does goes on so, if that is longer than what was compared.
    pub fn equals_long(&self, link: LinkId, text: &[u8]) -> bool {
        text.starts_with(&self.rest[link as usize].text)
    }

    /// Whether it is in vain to try the links that lead on from the state after `from`, or to learn more.
    #[inline(always)]
    pub fn is_erratic(&mut self, from: LinkId) -> bool {
        let at = self.state_of(from);
        let misses = &mut self.states[at].misses;
        let erratic = *misses >= ERRATIC;
        *misses -= u8::from(erratic);
        erratic
    }

    /// The first of the links that lead on from the state after `from`.
    #[inline(always)]
    pub fn alternatives(&mut self, from: LinkId) -> LinkId {
        let at = self.state_of(from);
        self.states[at].first
    }

    /// Whether links lead on from a place that are worth trying.
    #[inline(always)]
    pub fn lead_on(&self, place: PlaceId, class: Class) -> bool {
        let state = self.states.get(state_index(place, class));
        state.is_some_and(|state| state.first != NO_LINK && state.misses < ERRATIC)
    }

    /// The next of the [`alternatives`](Links::alternatives).
    #[inline(always)]
    pub fn other(&self, link: LinkId) -> LinkId {
        self.get(link).other
    }

    /// Notes that the second link that was expected after `from` was right.
    #[inline(always)]
    pub fn note_second(&mut self, from: LinkId) {
        let link = &mut self.links[from as usize];
        link.seconds += 1;
        if link.seconds >= EXCHANGE {
            link.seconds = 0;
            let (first, second) = (link.second, link.next);
            self.set_expected(from, first, second);
        }
    }

    /// Sets the expected links. One whose text is the start of the other's comes second, as it would be found in place of
    /// it.
    fn set_expected(&mut self, from: LinkId, first: LinkId, second: LinkId) {
        let exchange = self.get(first).is_start_of(self.get(second));
        let link = &mut self.links[from as usize];
        (link.next, link.second) = if exchange { (second, first) } else { (first, second) };
    }

    /// Notes that `link`, one of the alternatives, came after `from` where others were expected.
    pub fn take(&mut self, from: LinkId, link: LinkId) {
        let at = self.state_of(from);
        self.states[at].misses = self.states[at].misses.saturating_sub(HIT);
        self.expect(from, link);
    }

    fn expect(&mut self, from: LinkId, link: LinkId) {
        match self.get(from).next {
            NO_LINK => self.links[from as usize].next = link,
            first => self.set_expected(from, first, link),
        }
    }

    /// The link for a text that was found after `from`, which is learned if there is room for it, else passing.
    pub fn learn(&mut self, from: LinkId, found: Found<'_>) -> LinkId {
        let at = self.state_of(from);
        let Found { text, actions, .. } = found;
        let full = self.states[at].alternatives == MAX_ALTERNATIVES;
        if full || found.is_of_new_key {
            self.states[at].misses = self.states[at].misses.saturating_add(MISS);
        }
        let Some(text) = text.filter(|text| !full && text.len() <= MAX_TEXT && self.links.len() < MAX_LINKS) else {
            self.refused = self.refused.saturating_add(u32::from(!full));
            return self.pass(found.place, found.slot, found.class);
        };
        let link = self.links.len() as LinkId;
        let long = if text.len() > 32 { text } else { b"" };
        let is_wanted = found.slot != self.get(NO_LINK).slot;
        self.links.push(found.link(text, long, is_wanted));
        self.rest.push(Rest { text: long.into(), actions: actions.into() });
        let last = self.last_alternative(self.states[at].first);
        match last {
            NO_LINK => self.states[at].first = link,
            last => self.links[last as usize].other = link,
        }
        self.states[at].alternatives += 1;
        self.expect(from, link);
        link
    }

    /// The passing link, for what is not learned.
    #[inline(always)]
    pub fn pass(&mut self, place: PlaceId, slot: u32, class: Class) -> LinkId {
        let link = &mut self.links[PASSING as usize];
        (link.place, link.slot, link.class) = (place, slot, class);
        let at = self.state_of(PASSING);
        let first = self.states[at].first;
        let second = self.other(first);
        self.set_expected(PASSING, first, second);
        PASSING
    }

    fn last_alternative(&self, mut link: LinkId) -> LinkId {
        while self.other(link) != NO_LINK {
            link = self.other(link);
        }
        link
    }

    /// The index of the state after a link's value.
    #[inline(always)]
    fn state_of(&mut self, link: LinkId) -> usize {
        let Link { class, place, .. } = *self.get(link);
        let at = state_index(place, class);
        if at >= self.states.len() {
            self.states.resize(at + 1, State::default());
        }
        at
    }
}

/// The index of the state after a value.
#[inline(always)]
fn state_index(place: PlaceId, class: Class) -> usize {
    match class {
        Class::Start => 0,
        Class::Text => 1 + 2 * place as usize,
        _ => 2 + 2 * place as usize,
    }
}

/// What the walk found between two values.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    /// The text; `None` if it is not constant.
    pub text: Option<&'a [u8]>,
    pub actions: &'a [Action],
    pub place: PlaceId,
    pub slot: u32,
    pub class: Class,
    /// Whether the value is that of a key for which there is no place: others like it will come.
    pub is_of_new_key: bool,
}

impl Found<'_> {
    fn link(&self, text: &[u8], long: &[u8], is_wanted: bool) -> Link {
        let mut start = [0; 32];
        let len = text.len().min(32);
        start[..len].copy_from_slice(&text[..len]);
        Link {
            text: start,
            behind: u32::MAX.checked_shl(len as u32).unwrap_or(0),
            len: text.len() as u32,
            next: NO_LINK,
            second: NO_LINK,
            other: NO_LINK,
            place: self.place,
            slot: self.slot,
            is_wanted,
            class: self.class,
            is_unusual: !long.is_empty() || !self.actions.is_empty(),
            seconds: 0,
        }
    }
}

impl Link {
    fn is_start_of(&self, other: &Link) -> bool {
        let len = (self.len as usize).min(self.text.len());
        self.len < other.len && self.text[..len] == other.text[..len]
    }

    /// Whether `ahead` begins with the text, as far as it is not longer than that.
    #[inline(always)]
    pub fn begins<K: Kernel>(&self, kernel: K, ahead: &Half) -> bool {
        kernel.equal(ahead, &self.text) | self.behind == u32::MAX
    }
}
