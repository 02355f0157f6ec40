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
//! came last. Any other one is found by hash, of the state and the first bytes of the text. A state with too many of them
//! learns no more: where keys come in any order, or new ones again and again, looking up the key is faster.

use std::cell::Cell;

use super::number::is_scalar;
use super::places::{PlaceId, ROOT};
use super::simd::{Half, Kernel};
use super::walk::peek;
use super::{Cell as ValueCell, Kind};

/// The index of a link.
pub(super) type LinkId = u16;

/// The link that nothing equals.
pub(super) const NO_LINK: LinkId = 0;
/// The link that stands for the start of the line.
pub(super) const START: LinkId = 1;
/// The link for what is not learned, which is made anew each time: it leads to another place, with the links that are
/// expected there.
pub(super) const PASSING: LinkId = 2;

/// The links that are learned in all.
const MAX_LINKS: usize = 4096;
/// The links that are learned for one state, and those that may be in one slot of the table in which they are found.
const MAX_ALTERNATIVES: u8 = 32;
const MAX_IN_SLOT: usize = 16;
/// The slots of the table.
const SLOTS: usize = 2048;
/// The longest text that is learned.
const MAX_TEXT: usize = 512;
/// Attempts to learn without room for it, after which everything learned is given up for what there is now; twice as many
/// each time, up to the last.
const MAX_REFUSED: u32 = 50_000;
const MOST_REFUSED: u32 = 16 * MAX_REFUSED;

/// What the value is that a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// A string. The link ends with its opening quote; the next one begins with its closing quote.
    Text,
    /// A number or a literal.
    Scalar,
    /// An array of which nothing is wanted and nothing learned. An object at the same place may be another matter.
    SkippedArray,
    /// An object of which nothing is wanted and nothing learned.
    SkippedObject,
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
    pub len: u16,
    /// The links that are expected after the value: the first mostly, else the second.
    next: Cell<LinkId>,
    second: Cell<LinkId>,
    /// The next link of the same slot.
    other: LinkId,
    /// The state from which it leads on, and that after its value.
    before: StateId,
    after: StateId,
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
    seconds: Cell<u8>,
}

const _: () = assert!(size_of::<Link>() == 64);

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
    pub fn apply(self, row: &mut [ValueCell], base: usize) {
        match self {
            Action::Clear { from, to } => row[from as usize..to as usize].fill(ValueCell::MISSING),
            Action::Open { slot, kind, at } => row[slot as usize] = ValueCell::new(kind, base as u32 + at, 0),
            Action::Close { slot, at } => {
                let cell = &mut row[slot as usize];
                let start = cell.span().start;
                // Done again, it may find the container that was opened after this one, at the same path: a key came
                // twice. That one's own action follows.
                *cell = ValueCell::new(cell.kind(), start, (base as u32 + at).saturating_sub(start));
            }
            Action::Empty { slot, kind, at, len } => row[slot as usize] = ValueCell::new(kind, base as u32 + at, len),
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

/// The alternatives from which on a link is taken for the expected one only once in a few times.
const MANY: u8 = 8;
const TAKEN_OF_MANY: u8 = 8;

/// The index of a state.
type StateId = u32;

/// The state at the start of the line.
const AT_START: StateId = 0;

/// What is known of a state.
#[derive(Clone, Debug, Default)]
struct State {
    /// How many links lead on from it.
    alternatives: u8,
    /// High if links come that cannot be learned.
    misses: u8,
    /// How often a link came that was not expected.
    others: Cell<u8>,
}

/// The number of misses from which a state learns no more links. A miss counts more than a hit, so that it is tried again
/// after a while.
const ERRATIC: u8 = 128;
const MISS: u8 = 96;
const HIT: u8 = 8;

/// The bytes of a text by which a link is found: the most that the text has.
const WIDTHS: [u64; 3] = [u64::MAX, u32::MAX as u64, 0];

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Links {
    links: Vec<Link>,
    rest: Vec<Rest>,
    /// By place, and whether the value ended with a quote; the first is the start of the line.
    states: Vec<State>,
    /// For each slot the last link in it.
    slots: Box<[LinkId; SLOTS]>,
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
            next: Cell::new(NO_LINK),
            second: Cell::new(NO_LINK),
            other: NO_LINK,
            before: AT_START,
            after: AT_START,
            place: ROOT,
            slot: unwanted,
            is_wanted: false,
            class: Class::Start,
            is_unusual: false,
            seconds: Cell::new(0),
        };
        Links {
            links: vec![special; 3],
            rest: vec![Rest::default(); 3],
            states: vec![State::default()],
            slots: Box::new([NO_LINK; SLOTS]),
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

    /// The index of one of these links.
    #[inline(always)]
    pub fn id(&self, link: &Link) -> LinkId {
        let bytes = std::ptr::from_ref(link).addr() - self.links.as_ptr().addr();
        (bytes / size_of::<Link>()) as LinkId
    }

    /// Applies a link's actions to a row's cells; its text begins at `base`.
    #[inline(never)]
    pub fn act(&self, link: LinkId, row: &mut [ValueCell], base: usize) {
        self.rest[link as usize].actions.iter().for_each(|action| action.apply(row, base));
    }

    /// Whether a text that begins as a link does goes on so, if that is longer than what was compared.
    #[inline(always)]
    pub fn equals_long(&self, link: LinkId, text: &[u8]) -> bool {
        text.starts_with(&self.rest[link as usize].text)
    }

    /// Whether it is in vain to learn more links that lead on from the state after `from`.
    #[inline(always)]
    pub fn is_erratic(&mut self, from: LinkId) -> bool {
        let misses = &mut self.states[self.links[from as usize].after as usize].misses;
        let erratic = *misses >= ERRATIC;
        *misses -= u8::from(erratic);
        erratic
    }

    /// The link that stands at `at`, where `ahead` is what lies there, after the value of `from`; [`NO_LINK`] if none of those
    /// that are known does. What follows it is of its class, as far as one byte tells.
    #[inline(always)]
    pub fn find<K: Kernel>(&self, kernel: K, from: &Link, block: &[u8], at: usize, ahead: &Half) -> LinkId {
        let state = from.after;
        let start = start_of(ahead);
        for width in WIDTHS {
            let mut id = self.slots[slot_of(state, start & width)];
            while id != NO_LINK {
                let link = self.get(id);
                if link.before == state
                    && link.begins(kernel, ahead)
                    && link.class.may_begin(peek(block, at + link.len as usize))
                    && (!link.is_unusual || self.equals_long(id, &block[at..]))
                {
                    return id;
                }
                id = link.other;
            }
        }
        NO_LINK
    }

    /// Whether links lead on from the state after a value.
    #[inline(always)]
    pub fn lead_on(&self, place: PlaceId, class: Class) -> bool {
        let state = self.states.get(state_after(place, class) as usize);
        state.is_some_and(|state| state.alternatives > 0 && state.misses < ERRATIC)
    }

    /// Notes that the second link that was expected after `from` was right.
    #[inline(always)]
    pub fn note_second<K: Kernel>(&self, kernel: K, from: &Link) {
        let seconds = from.seconds.get() + 1;
        if seconds < EXCHANGE {
            from.seconds.set(seconds);
        } else {
            from.seconds.set(0);
            self.set_expected(kernel, from, from.second.get(), from.next.get());
        }
    }

    /// Sets the expected links. One whose text is the start of the other's comes second, as it would be found in place of
    /// it.
    #[inline(always)]
    fn set_expected<K: Kernel>(&self, kernel: K, from: &Link, first: LinkId, second: LinkId) {
        let exchange = self.get(first).is_start_of(kernel, self.get(second));
        let (first, second) = if exchange { (second, first) } else { (first, second) };
        from.next.set(first);
        from.second.set(second);
    }

    /// Notes that `link` came after `from` where others were expected. Where many links lead on, one says little about the
    /// next, and not each of them is noted.
    #[inline(always)]
    pub fn take<K: Kernel>(&self, kernel: K, from: &Link, link: LinkId) {
        let state = &self.states[from.after as usize];
        state.others.set(state.others.get().wrapping_add(1));
        if state.alternatives >= MANY && !state.others.get().is_multiple_of(TAKEN_OF_MANY) {
            return;
        }
        match from.next.get() {
            NO_LINK => from.next.set(link),
            first => self.set_expected(kernel, from, first, link),
        }
    }

    /// The link for a text that was found after `from`, which is learned if there is room for it, else passing.
    pub fn learn<K: Kernel>(&mut self, kernel: K, from: LinkId, found: Found<'_>) -> LinkId {
        let before = self.get(from).after;
        let Found { text, actions, place, class, .. } = found;
        let slot = text.map_or(0, |text| slot_of(before, start_of_text(text)));
        let in_slot = self.links_in(slot).count();
        let state = &mut self.states[before as usize];
        let crowded = state.alternatives == MAX_ALTERNATIVES || in_slot >= MAX_IN_SLOT;
        if crowded || found.is_of_new_key {
            state.misses = state.misses.saturating_add(MISS);
        }
        let after = state_after(place, class);
        let Some(text) = text.filter(|text| !crowded && text.len() <= MAX_TEXT && self.links.len() < MAX_LINKS) else {
            self.refused = self.refused.saturating_add(u32::from(!crowded));
            return self.pass(place, found.slot, class);
        };
        state.alternatives += 1;
        state.misses = state.misses.saturating_sub(HIT);
        self.know(after);
        let link = self.links.len() as LinkId;
        let long = if text.len() > 32 { text } else { b"" };
        let is_wanted = found.slot != self.get(NO_LINK).slot;
        let mut made = found.link(text, long, is_wanted);
        (made.before, made.after, made.other) = (before, after, self.slots[slot]);
        self.links.push(made);
        self.slots[slot] = link;
        self.rest.push(Rest { text: long.into(), actions: actions.into() });
        self.take(kernel, self.get(from), link);
        link
    }

    /// The passing link, for what is not learned.
    #[inline(always)]
    pub fn pass(&mut self, place: PlaceId, slot: u32, class: Class) -> LinkId {
        let after = state_after(place, class);
        self.know(after);
        let link = &mut self.links[PASSING as usize];
        (link.place, link.slot, link.class, link.after) = (place, slot, class, after);
        (link.next, link.second) = (Cell::new(NO_LINK), Cell::new(NO_LINK));
        PASSING
    }

    /// Makes room for a state.
    #[inline(always)]
    fn know(&mut self, state: StateId) {
        if state as usize >= self.states.len() {
            self.states.resize(state as usize + 1, State::default());
        }
    }

    /// The links in a slot.
    fn links_in(&self, slot: usize) -> impl Iterator<Item = LinkId> {
        let known = |link: LinkId| (link != NO_LINK).then_some(link);
        std::iter::successors(known(self.slots[slot]), move |&link| known(self.get(link).other))
    }
}

/// The state after a value.
#[inline(always)]
fn state_after(place: PlaceId, class: Class) -> StateId {
    match class {
        Class::Start => AT_START,
        Class::Text => 1 + 2 * place,
        _ => 2 + 2 * place,
    }
}

/// Where links are found that lead on from a state, by the start of their text.
#[inline(always)]
fn slot_of(state: StateId, start: u64) -> usize {
    let mixed = start ^ u64::from(state).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % SLOTS
}

/// The first bytes of what lies ahead.
#[inline(always)]
fn start_of(ahead: &Half) -> u64 {
    u64::from_le_bytes(ahead.as_chunks().0[0])
}

/// The bytes by which a link with a text is found.
fn start_of_text(text: &[u8]) -> u64 {
    let mut start = [0; 32];
    let len = text.len().min(start.len());
    start[..len].copy_from_slice(&text[..len]);
    start_of(&start) & WIDTHS[usize::from(len < 8) + usize::from(len < 4)]
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
    /// The link for it, which does not know its states yet.
    fn link(&self, text: &[u8], long: &[u8], is_wanted: bool) -> Link {
        let mut start = [0; 32];
        let len = text.len().min(32);
        start[..len].copy_from_slice(&text[..len]);
        Link {
            text: start,
            behind: u32::MAX.checked_shl(len as u32).unwrap_or(0),
            len: text.len() as u16,
            next: Cell::new(NO_LINK),
            second: Cell::new(NO_LINK),
            other: NO_LINK,
            before: AT_START,
            after: AT_START,
            place: self.place,
            slot: self.slot,
            is_wanted,
            class: self.class,
            is_unusual: !long.is_empty() || !self.actions.is_empty(),
            seconds: Cell::new(0),
        }
    }
}

impl Class {
    /// Whether a value of the class, or what follows the end of the line, may begin with a byte.
    #[inline(always)]
    fn may_begin(self, byte: u8) -> bool {
        /// For each byte the classes, as bits.
        const BEGUN: [u8; 256] = {
            let mut begun = [1 << Class::Text as u8; 256];
            let mut byte = 0;
            while byte < 256 {
                begun[byte] |= (is_scalar(byte as u8) as u8) << Class::Scalar as u8;
                byte += 1;
            }
            begun[b'[' as usize] |= 1 << Class::SkippedArray as u8;
            begun[b'{' as usize] |= 1 << Class::SkippedObject as u8;
            begun[b'\n' as usize] |= 1 << Class::End as u8;
            begun
        };
        BEGUN[usize::from(byte)] >> self as u8 & 1 != 0
    }
}

impl Link {
    /// Whether the other's text begins with this one's, which is shorter.
    #[inline(always)]
    fn is_start_of<K: Kernel>(&self, kernel: K, other: &Link) -> bool {
        (self.len < other.len) & self.begins(kernel, &other.text)
    }

    /// The links that are expected after the value: the first mostly, else the second.
    #[inline(always)]
    pub fn expected(&self) -> (LinkId, LinkId) {
        (self.next.get(), self.second.get())
    }

    /// Whether `ahead` begins with the text, as far as it is not longer than that.
    #[inline(always)]
    pub fn begins<K: Kernel>(&self, kernel: K, ahead: &Half) -> bool {
        kernel.equal(ahead, &self.text) | self.behind == u32::MAX
    }
}
