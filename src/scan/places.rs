//! The places of values in records: where the paths lead, and where else values were found.
//!
//! A place is the record itself, the value of a key, or the elements of an array, wherever it stands in the nesting; they
//! form a tree. Places that wanted paths lead to or through are there from the start. Others are learned as they turn
//! up, up to a limit; the values of keys beyond it share one place for each object, [`Place::unknown`].
//!
//! Every wanted place has a *slot* in the row of cells. Slots are numbered depth first, so that those of a subtree are
//! adjacent: a key that comes twice clears them at once. The last slot is for what nobody wants; it saves a branch.

use std::ops::Range;

use super::{Path, Short, Step, short};

/// The index of a place.
pub(super) type PlaceId = u32;

/// No place: nothing is known of what is in there.
pub(super) const NO_PLACE: PlaceId = u32::MAX;
/// The place of the record itself.
pub(super) const ROOT: PlaceId = 0;

/// The keys that are learned for one object. The bounds keep what a worker knows in its cache and its memory small,
/// whatever the records hold.
const MAX_LEARNED_PER_OBJECT: usize = 256;
/// The keys that are learned in all.
const MAX_LEARNED: usize = 2048;
/// The length of the longest key that is learned.
const MAX_LEARNED_KEY: usize = 255;
/// The containers within which places are learned.
const MAX_LEARNED_CONTAINERS: usize = 256;
/// How far from its own entry of the table a learned key can be.
const MAX_PROBES: usize = 8;
/// Arrays with a wanted element from this index on are counted through; in others each element up to the last wanted
/// one has a place of its own.
const COUNTED_FROM: u32 = 64;

/// What a value is directly in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// The line: it is the record.
    Line,
    Object,
    Array,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub within: Within,
    /// The place of the container that it is in.
    pub parent: PlaceId,
    /// The number of containers around it.
    pub depth: u32,
    /// Where its cell goes.
    pub slot: u32,
    /// The slots of the place and of all below it.
    pub slots: Range<u32>,
    /// If its value is an array: the place of the first element. [`NO_PLACE`] while that is not known.
    first: PlaceId,
    /// If it is an element: the place of the next one.
    pub next: PlaceId,
    /// The elements that paths lead to, in order, where they have to be counted.
    counted: Vec<(u32, PlaceId)>,
    /// If its value is an object: the place of the values of keys that are not known.
    unknown: PlaceId,
    /// The keys of its object by hash: open addressing, [`NO_PLACE`] where free. The length is a power of two, or 0.
    table: Vec<Entry>,
    /// How far from its own entry in the table a key can be.
    probes: usize,
    /// How many of the keys were learned.
    learned: usize,
}

/// A key in the table of an object.
#[derive(Clone, Copy, Debug)]
struct Entry {
    outline: Outline,
    place: PlaceId,
}

impl Entry {
    const FREE: Entry = Entry { outline: Outline { words: [0; 2], len: 0 }, place: NO_PLACE };
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    /// For each place the key that leads to it.
    keys: Vec<Box<[u8]>>,
    /// The number of slots, the unwanted one excluded.
    slots: u32,
    keys_left: usize,
    containers_left: usize,
}

impl Places {
    /// The places of the paths, and the slot of each path.
    pub fn new(paths: &[Path]) -> (Places, Vec<u32>) {
        let root = Place::new(Within::Line, NO_PLACE, 0, 0);
        let mut places = Places {
            places: vec![root],
            keys: vec![Box::default()],
            slots: 0,
            keys_left: MAX_LEARNED,
            containers_left: MAX_LEARNED_CONTAINERS,
        };
        let ends: Vec<PlaceId> = paths.iter().map(|path| places.insert(path)).collect();
        let mut is_end = vec![false; places.places.len()];
        ends.iter().for_each(|&place| is_end[place as usize] = true);
        places.number_slots(&is_end);
        let slots = ends.iter().map(|&place| places.places[place as usize].slot).collect();
        (places, slots)
    }

    /// The slot of what nobody wants, and so the number of those that somebody does.
    #[inline(always)]
    pub fn unwanted(&self) -> u32 {
        self.slots
    }

    /// A place.
    #[inline(always)]
    pub fn get(&self, place: PlaceId) -> &Place {
        &self.places[place as usize]
    }

    /// The slots that are to be cleared before a key's value, as the key may have come before: those below its place.
    #[inline(always)]
    pub fn slots_below(&self, place: PlaceId) -> Range<u32> {
        let Place { slot, slots: Range { start, end }, .. } = self.get(place);
        let own = u32::from(slot == start);
        (start + own).min(*end)..*end
    }

    /// The place of an array's first element; [`NO_PLACE`] if there are too many places already.
    pub fn first_element(&mut self, array: PlaceId) -> PlaceId {
        let first = self.get(array).first;
        if first != NO_PLACE || !self.take_container() {
            return first;
        }
        let first = self.push(Within::Array, array, b"");
        self.places[first as usize].next = first;
        self.places[array as usize].first = first;
        first
    }

    /// Whether an array's elements are counted; then [`element`](Places::element) knows their places.
    #[inline(always)]
    pub fn is_counted(&self, array: PlaceId) -> bool {
        !self.get(array).counted.is_empty()
    }

    /// The place of an element of an array that is counted.
    pub fn element(&self, array: PlaceId, index: u32) -> PlaceId {
        let Place { counted, first, .. } = self.get(array);
        counted.binary_search_by_key(&index, |&(index, _)| index).map_or(*first, |found| counted[found].1)
    }

    /// Whether the keys of the object at a place are learned; it begins with that if it can.
    pub fn learns_keys(&mut self, object: PlaceId) -> bool {
        if self.get(object).unknown == NO_PLACE {
            if self.get(object).table.is_empty() && !self.take_container() {
                return false;
            }
            let unknown = self.push(Within::Object, object, b"");
            self.places[object as usize].unknown = unknown;
        }
        true
    }

    /// The place of the values of keys that an object has no place for.
    #[inline(always)]
    pub fn unknown(&self, object: PlaceId) -> PlaceId {
        self.get(object).unknown
    }

    /// The place of a key's value, where the key, in its decoded form, is at a range of `text`; [`NO_PLACE`] if there is
    /// none.
    #[inline(always)]
    pub fn find(&self, object: PlaceId, text: &[u8], key: Range<usize>) -> PlaceId {
        let Place { table, probes, .. } = self.get(object);
        if table.is_empty() {
            return NO_PLACE;
        }
        let outline = Outline::of(text, key.clone());
        let mut at = outline.hash();
        for _ in 0..*probes {
            at &= table.len() - 1;
            let Entry { outline: known, place } = table[at];
            if place == NO_PLACE {
                return NO_PLACE;
            }
            if known.equals(outline) && (outline.is_whole() || *self.keys[place as usize] == text[key.clone()]) {
                return place;
            }
            at += 1;
        }
        NO_PLACE
    }

    /// Whether there may be room for more keys of an object.
    #[inline(always)]
    pub fn may_learn(&self, object: PlaceId) -> bool {
        self.keys_left > 0 && self.get(object).learned < MAX_LEARNED_PER_OBJECT
    }

    /// Whether a place is that of keys that an object has no place for.
    pub fn is_unknown(&self, place: PlaceId) -> bool {
        let Place { within, parent, .. } = *self.get(place);
        within == Within::Object && self.unknown(parent) == place
    }

    /// Adds a key that [`find`](Places::find) did not find. [`NO_PLACE`] if there is no room left for it.
    #[cold]
    pub fn learn(&mut self, object: PlaceId, key: &[u8]) -> PlaceId {
        if !self.may_learn(object) || key.len() > MAX_LEARNED_KEY {
            return NO_PLACE;
        }
        self.grow(object);
        if !self.has_room(object, key) {
            return NO_PLACE;
        }
        let place = self.push(Within::Object, object, key);
        self.places[object as usize].learned += 1;
        self.keys_left -= 1;
        self.enter(object, place);
        place
    }

    fn take_container(&mut self) -> bool {
        let left = self.containers_left > 0;
        self.containers_left -= usize::from(left);
        left
    }

    fn push(&mut self, within: Within, parent: PlaceId, key: &[u8]) -> PlaceId {
        let depth = self.get(parent).depth + 1;
        let id = self.places.len() as PlaceId;
        self.places.push(Place::new(within, parent, depth, self.slots));
        self.keys.push(key.into());
        id
    }

    /// Doubles an object's table when it is half full. A learned key can drop out.
    fn grow(&mut self, object: PlaceId) {
        let table = &mut self.places[object as usize].table;
        let mut known: Vec<PlaceId> =
            table.iter().map(|entry| entry.place).filter(|&place| place != NO_PLACE).collect();
        if known.len() * 2 < table.len() {
            return;
        }
        *table = vec![Entry::FREE; (table.len() * 2).max(16)];
        // The wanted keys came first, so they are entered first, and within reach.
        known.sort_unstable();
        known.into_iter().for_each(|place| self.enter(object, place));
    }

    /// Whether there is a free entry within reach for a key.
    fn has_room(&self, object: PlaceId, key: &[u8]) -> bool {
        let Place { table, probes, .. } = self.get(object);
        let start = Outline::of(key, 0..key.len()).hash();
        (start..start + probes).any(|at| table[at & (table.len() - 1)].place == NO_PLACE)
    }

    /// Enters a key into an object's table, if there is a free entry within reach.
    fn enter(&mut self, object: PlaceId, place: PlaceId) {
        let key = &self.keys[place as usize];
        let outline = Outline::of(key, 0..key.len());
        let start = outline.hash();
        let Place { table, probes, .. } = &mut self.places[object as usize];
        let last = table.len() - 1;
        if let Some(at) = (start..start + *probes).find(|&at| table[at & last].place == NO_PLACE) {
            table[at & last] = Entry { outline, place };
        }
    }

    /// Adds the places of a path, and gives the last.
    fn insert(&mut self, path: &Path) -> PlaceId {
        path.steps.iter().fold(ROOT, |place, step| match step {
            Step::Key(key) => self.insert_key(place, key.as_bytes()),
            Step::Index(index) => self.insert_element(place, *index),
        })
    }

    fn insert_key(&mut self, object: PlaceId, key: &[u8]) -> PlaceId {
        let found = self.find(object, key, 0..key.len());
        if found != NO_PLACE {
            return found;
        }
        let place = self.push(Within::Object, object, key);
        // All wanted keys are within reach, however many there are.
        self.places[object as usize].probes += 1;
        self.grow(object);
        self.enter(object, place);
        place
    }

    fn insert_element(&mut self, array: PlaceId, index: u32) -> PlaceId {
        if let Ok(found) = self.get(array).counted.binary_search_by_key(&index, |&(index, _)| index) {
            return self.get(array).counted[found].1;
        }
        let place = self.push(Within::Array, array, b"");
        let counted = &mut self.places[array as usize].counted;
        let at = counted.partition_point(|&(other, _)| other < index);
        counted.insert(at, (index, place));
        place
    }

    /// Gives the elements up to the last wanted one places in a chain, where that is not too long.
    fn chain_elements(&mut self) {
        for array in 0..self.places.len() {
            let counted = self.places[array].counted.clone();
            let Some(&(last, _)) = counted.last() else { continue };
            let array = array as PlaceId;
            let rest = self.push(Within::Array, array, b"");
            self.places[rest as usize].next = rest;
            if last >= COUNTED_FROM {
                self.places[array as usize].first = rest;
                continue;
            }
            let mut following = rest;
            for index in (0..=last).rev() {
                let place = match counted.binary_search_by_key(&index, |&(index, _)| index) {
                    Ok(found) => counted[found].1,
                    Err(_) => self.push(Within::Array, array, b""),
                };
                self.places[place as usize].next = following;
                following = place;
            }
            self.places[array as usize].first = following;
            self.places[array as usize].counted.clear();
        }
    }

    /// Numbers the slots of the places where paths end, depth first. (A path can be too long for recursion.)
    fn number_slots(&mut self, is_end: &[bool]) {
        let mut below = vec![Vec::new(); self.places.len()];
        for (id, place) in self.places.iter().enumerate().skip(1) {
            below[place.parent as usize].push(id);
        }
        // A place is met twice: on the way down, and after everything below it.
        let mut todo = vec![(ROOT as usize, false)];
        while let Some((id, done)) = todo.pop() {
            let place = &mut self.places[id];
            if done {
                place.slots.end = self.slots;
                continue;
            }
            place.slots.start = self.slots;
            place.slot = if is_end[id] { self.slots } else { u32::MAX };
            self.slots += u32::from(is_end[id]);
            todo.push((id, true));
            todo.extend(below[id].iter().map(|&child| (child, false)));
        }
        for place in &mut self.places {
            place.slot = place.slot.min(self.slots);
        }
        self.chain_elements();
    }
}

impl Place {
    fn new(within: Within, parent: PlaceId, depth: u32, slot: u32) -> Place {
        Place {
            within,
            parent,
            depth,
            slot,
            slots: slot..slot,
            first: NO_PLACE,
            next: NO_PLACE,
            counted: Vec::new(),
            unknown: NO_PLACE,
            table: Vec::new(),
            probes: MAX_PROBES,
            learned: 0,
        }
    }
}

/// What tells a key from nearly all others: all of it, if it has at most 16 bytes, else its length and a mix of its first
/// and last bytes.
#[derive(Clone, Copy, Debug)]
struct Outline {
    words: [u64; 2],
    len: u32,
}

impl Outline {
    /// Of the key at a range of a text.
    #[inline(always)]
    fn of(text: &[u8], key: Range<usize>) -> Outline {
        let len = key.len() as u32;
        if let Some(words) = short::start_within(text, key.clone()) {
            return Outline { words, len };
        }
        let ([a, b, c, d, e, f], _) = Short::outline(text, key).parts();
        let words = [a ^ c.rotate_left(11) ^ e.rotate_left(41), b ^ d.rotate_left(37) ^ f.rotate_left(19)];
        Outline { words, len }
    }

    /// Whether all of the key is in here.
    #[inline(always)]
    fn is_whole(self) -> bool {
        self.len <= 16
    }

    /// Without a branch for each part.
    #[inline(always)]
    fn equals(self, other: Outline) -> bool {
        let ([a, b], [c, d]) = (self.words, other.words);
        (a ^ c) | (b ^ d) | u64::from(self.len ^ other.len) == 0
    }

    /// Records cannot make it slow: keys that are learned have a bounded number of probes.
    #[inline(always)]
    fn hash(self) -> usize {
        let [a, b] = self.words;
        let mixed = a ^ b.rotate_left(23) ^ u64::from(self.len) << 56;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
    }
}
