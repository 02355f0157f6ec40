//! The trie of the paths that a scanner extracts, with what it has learned about the objects on the way.
//!
//! Each node is a place in a record that a wanted path leads to or through, or that is a container in most records; these
//! are learned as well, so that unwanted containers are passed as fast as wanted ones. A node knows the keys that its object has
//! had: the wanted ones from the start, others as they turn up (up to a limit), each as an [`Entry`]. An entry
//! remembers which key came after it last time, so that the walk first compares the record with the whole text
//! (`"key":`) that it expects, and looks a key up only where that fails.
//!
//! Every node's wanted values have *slots* in the row that the walk fills. Slots are numbered depth first, so that
//! those of a subtree are adjacent: a key that comes twice clears them at once. The last slot is for what nobody wants;
//! it saves the walk a branch.

use std::ops::Range;

use super::simd::{Half, Kernel};
use super::{Path, Step};

/// The index of a node.
pub(super) type NodeId = u32;
/// The index of an entry.
pub(super) type EntryId = u32;

/// No node: nothing below here is wanted.
pub(super) const NO_NODE: NodeId = u32::MAX;
/// The node of the record itself.
pub(super) const ROOT: NodeId = 0;
/// The entry that no key matches.
pub(super) const NO_ENTRY: EntryId = 0;

/// The keys that are learned for one node. The bounds keep a worker's trie in its cache and its memory small,
/// whatever the records hold.
const MAX_LEARNED_PER_NODE: usize = 256;
/// The keys that are learned in all.
const MAX_LEARNED: usize = 2048;
/// The length of the longest key that is learned.
const MAX_LEARNED_KEY: usize = 64;
/// The nodes that are learned in all.
const MAX_LEARNED_NODES: usize = 256;
/// How far from its own place in the table a learned key can be.
const MAX_PROBES: usize = 8;

/// A key of a node's object.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Entry {
    /// All that records have between the value before and the key's own value (`,"key":`), filled with zeros. With the
    /// spaces that they have, so that these cost nothing.
    text: Half,
    /// A bit for each byte of the text; [`NEVER`] while there is none.
    mask: u64,
    /// The length of the text.
    pub len: u32,
    /// The length of what stands before the key's quote.
    pub lead: u32,
    /// The entry that came next the last time.
    pub next: EntryId,
    /// Where the value's cell goes.
    pub slot: u32,
    /// The node of the value, if paths lead on from there or it has been a container.
    pub node: NodeId,
}

impl Entry {
    /// Whether there is a text. One that is too long has none.
    pub fn has_text(&self) -> bool {
        self.mask != NEVER
    }

    /// Whether the value has a node.
    #[inline(always)]
    pub fn has_node(&self) -> bool {
        self.node != NO_NODE
    }

    /// Whether `ahead` begins with the text.
    #[inline(always)]
    pub fn follows<K: Kernel>(&self, kernel: K, ahead: &Half) -> bool {
        u64::from(kernel.equal(ahead, &self.text)) & self.mask == self.mask
    }

    /// Whether `ahead` begins with the text, whatever stands before the quote.
    #[inline(always)]
    pub fn begins<K: Kernel>(&self, kernel: K, ahead: &Half) -> bool {
        let mask = self.mask >> self.lead << self.lead;
        u64::from(kernel.equal(ahead, &self.text)) & mask == mask
    }
}

/// A mask that no comparison of 32 bytes meets.
const NEVER: u64 = 1 << 32;

/// A place in a record that paths lead through.
#[derive(Clone, Debug)]
struct Node {
    /// Where the node's own cell goes.
    slot: u32,
    /// The slots of the node and of all below it.
    slots: Range<u32>,
    /// The elements that paths lead to, in order.
    elements: Vec<(u32, NodeId)>,
    /// The node of the elements that no path leads to, if it was learned.
    other_elements: NodeId,
    /// The keys that paths lead to; empty once the table is built.
    wanted: Vec<(String, NodeId)>,
    /// The entry that stands for the time before the first key.
    head: EntryId,
    /// Open addressing by hash: indices of entries, 0 where free. The length is a power of two.
    table: Vec<EntryId>,
    /// How far from its own place in the table a key can be.
    probes: usize,
    /// How many of the entries were learned.
    learned: usize,
}

impl Node {
    fn new(slot: u32) -> Node {
        Node {
            slot,
            slots: 0..0,
            elements: Vec::new(),
            other_elements: NO_NODE,
            wanted: Vec::new(),
            head: NO_ENTRY,
            table: vec![NO_ENTRY; 16],
            probes: MAX_PROBES,
            learned: 0,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    entries: Vec<Entry>,
    /// The keys of the entries.
    keys: Vec<Box<[u8]>>,
    /// The number of slots, the unwanted one excluded.
    slots: u32,
    /// How many keys and nodes can still be learned.
    keys_left: usize,
    nodes_left: usize,
}

impl Trie {
    /// The trie of the paths, and the slot of each path.
    pub fn new(paths: &[Path]) -> (Trie, Vec<u32>) {
        let mut trie = Trie {
            nodes: vec![Node::new(0)],
            entries: Vec::new(),
            keys: Vec::new(),
            slots: 0,
            keys_left: MAX_LEARNED,
            nodes_left: MAX_LEARNED_NODES,
        };
        let ends: Vec<NodeId> = paths.iter().map(|path| trie.insert(path)).collect();
        let mut is_end = vec![false; trie.nodes.len()];
        ends.iter().for_each(|&node| is_end[node as usize] = true);
        trie.number_slots(&is_end);

        trie.push_entry(b"", NO_NODE);
        for id in 0..trie.nodes.len() {
            trie.nodes[id].head = trie.push_entry(b"", NO_NODE);
            let wanted = std::mem::take(&mut trie.nodes[id].wanted);
            trie.nodes[id].probes = wanted.len().max(MAX_PROBES);
            trie.nodes[id].table = vec![NO_ENTRY; (wanted.len() * 2).next_power_of_two().max(16)];
            for (key, node) in wanted {
                let entry = trie.push_entry(key.as_bytes(), node);
                trie.place(id as NodeId, key.as_bytes(), entry);
            }
        }
        let slots = ends.iter().map(|&node| trie.nodes[node as usize].slot).collect();
        (trie, slots)
    }

    /// The slot of what nobody wants, and so the number of those that somebody does.
    #[inline(always)]
    pub fn unwanted(&self) -> u32 {
        self.slots
    }

    /// The slot of the record itself.
    pub fn root_slot(&self) -> u32 {
        self.nodes[ROOT as usize].slot
    }

    /// The slots of a node's values and of all below.
    #[inline(always)]
    pub fn slots_below(&self, node: NodeId) -> Range<usize> {
        let Range { start, end } = self.nodes[node as usize].slots;
        start as usize..end as usize
    }

    /// The entry that stands before the first key of a node's object.
    #[inline(always)]
    pub fn head(&self, node: NodeId) -> EntryId {
        self.nodes[node as usize].head
    }

    /// All entries.
    #[inline(always)]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry.
    #[inline(always)]
    pub fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id as usize]
    }

    /// Sets the text of a key, which is valid, and holds `lead` bytes before the quote (none if the key came first).
    pub fn set_text(&mut self, id: EntryId, text: &[u8], lead: usize) {
        let comma: &[u8] = if lead == 0 { b"," } else { b"" };
        let len = comma.len() + text.len();
        let entry = &mut self.entries[id as usize];
        if len > entry.text.len() {
            entry.mask = NEVER;
            return;
        }
        entry.text = [0; 32];
        entry.text[..comma.len()].copy_from_slice(comma);
        entry.text[comma.len()..len].copy_from_slice(text);
        entry.mask = (1 << len) - 1;
        entry.len = len as u32;
        entry.lead = lead.max(1) as u32;
    }

    /// Remembers that `next` came after `id`.
    #[inline(always)]
    pub fn follow(&mut self, id: EntryId, next: EntryId) {
        self.entries[id as usize].next = next;
    }

    /// The slot and the node of an array's element.
    #[inline(always)]
    pub fn element(&self, node: NodeId, index: u32) -> (u32, NodeId) {
        for &(wanted, child) in &self.nodes[node as usize].elements {
            if wanted >= index {
                if wanted == index {
                    return (self.nodes[child as usize].slot, child);
                }
                break;
            }
        }
        (self.slots, self.nodes[node as usize].other_elements)
    }

    /// Gives a node to an unwanted container, to learn its keys: to the value of the key `key`, or to the elements of
    /// the array at `parent` if there is no key. [`NO_NODE`] if there are too many already.
    #[cold]
    pub fn learn_node(&mut self, parent: NodeId, key: Option<EntryId>) -> NodeId {
        if self.nodes_left == 0 || key == Some(NO_ENTRY) {
            return NO_NODE;
        }
        self.nodes_left -= 1;
        let node = self.nodes.len() as NodeId;
        self.nodes.push(Node::new(self.slots));
        self.nodes[node as usize].head = self.push_entry(b"", NO_NODE);
        match key {
            Some(key) => self.entries[key as usize].node = node,
            None => self.nodes[parent as usize].other_elements = node,
        }
        node
    }

    /// The entry of a key, which is in its decoded form; [`NO_ENTRY`] if there is none.
    #[inline(always)]
    pub fn find(&self, node: NodeId, key: &[u8]) -> EntryId {
        let Node { table, probes, .. } = &self.nodes[node as usize];
        let mut place = hash(key);
        for _ in 0..*probes {
            place &= table.len() - 1;
            let entry = table[place];
            if entry == NO_ENTRY || *self.keys[entry as usize] == *key {
                return entry;
            }
            place += 1;
        }
        NO_ENTRY
    }

    /// Adds a key that [`find`](Trie::find) did not find, which is in the form in which records have it, so it holds
    /// no quote, backslash or control character. [`NO_ENTRY`] if there is no place left for it.
    #[cold]
    pub fn learn(&mut self, node: NodeId, key: &[u8]) -> EntryId {
        let id = node as usize;
        let full = self.keys_left == 0 || self.nodes[id].learned == MAX_LEARNED_PER_NODE;
        // A later line that has this text is not validated again.
        if full || key.len() > MAX_LEARNED_KEY || std::str::from_utf8(key).is_err() {
            return NO_ENTRY;
        }
        self.grow(node);
        let entry = self.push_entry(key, NO_NODE);
        self.nodes[id].learned += 1;
        self.keys_left -= 1;
        if self.place(node, key, entry) { entry } else { NO_ENTRY }
    }

    /// Doubles a node's table when it is half full. A learned key can drop out.
    fn grow(&mut self, node: NodeId) {
        let table = &mut self.nodes[node as usize].table;
        let mut entries: Vec<EntryId> = table.iter().copied().filter(|&entry| entry != NO_ENTRY).collect();
        if entries.len() * 2 < table.len() {
            return;
        }
        *table = vec![NO_ENTRY; table.len() * 2];
        // The wanted keys came first, so they are placed first, and within reach.
        entries.sort_unstable();
        for entry in entries {
            let key = self.keys[entry as usize].clone();
            self.place(node, &key, entry);
        }
    }

    /// Enters a key into a node's table, if there is a free place within reach.
    fn place(&mut self, node: NodeId, key: &[u8], entry: EntryId) -> bool {
        let Node { table, probes, .. } = &mut self.nodes[node as usize];
        let last = table.len() - 1;
        let start = hash(key);
        let free = (start..start + *probes).find(|&place| table[place & last] == NO_ENTRY);
        if let Some(place) = free {
            table[place & last] = entry;
        }
        free.is_some()
    }

    fn push_entry(&mut self, key: &[u8], node: NodeId) -> EntryId {
        let (slot, node) = match self.nodes.get(node as usize) {
            None => (self.slots, NO_NODE),
            Some(child) if child.wanted.is_empty() && child.elements.is_empty() => (child.slot, NO_NODE),
            Some(child) => (child.slot, node),
        };
        self.entries.push(Entry { text: [0; 32], mask: NEVER, len: 0, lead: 0, next: NO_ENTRY, slot, node });
        self.keys.push(key.into());
        (self.entries.len() - 1) as EntryId
    }

    /// Adds the nodes of a path, and gives the last.
    fn insert(&mut self, path: &Path) -> NodeId {
        let mut node = ROOT as usize;
        for step in &path.steps {
            let new = self.nodes.len() as NodeId;
            let children = &mut self.nodes[node];
            let child = match step {
                Step::Key(key) => match children.wanted.iter().find(|(wanted, _)| wanted == key) {
                    Some(&(_, child)) => child,
                    None => {
                        children.wanted.push((key.clone(), new));
                        new
                    }
                },
                Step::Index(index) => match children.elements.binary_search_by_key(index, |&(index, _)| index) {
                    Ok(place) => children.elements[place].1,
                    Err(place) => {
                        children.elements.insert(place, (*index, new));
                        new
                    }
                },
            };
            if child == new {
                self.nodes.push(Node::new(0));
            }
            node = child as usize;
        }
        node as NodeId
    }

    /// Numbers the slots of the nodes where paths end, depth first. (A path can be too long for recursion.)
    fn number_slots(&mut self, is_end: &[bool]) {
        // A node is met twice: on the way down, and after everything below it.
        let mut todo = vec![(ROOT, false)];
        while let Some((id, done)) = todo.pop() {
            let slots = self.slots;
            let node = &mut self.nodes[id as usize];
            if done {
                node.slots.end = slots;
                continue;
            }
            node.slots.start = slots;
            node.slot = if is_end[id as usize] { slots } else { u32::MAX };
            self.slots += u32::from(is_end[id as usize]);
            todo.push((id, true));
            todo.extend(node.elements.iter().map(|&(_, child)| (child, false)));
            todo.extend(node.wanted.iter().map(|&(_, child)| (child, false)));
        }
        for node in &mut self.nodes {
            node.slot = node.slot.min(self.slots);
        }
    }
}

/// A hash of the key's length and its first and last eight bytes. Records cannot make it slow: keys that are learned
/// have a bounded number of probes.
#[inline(always)]
fn hash(key: &[u8]) -> usize {
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
            _ => match *key {
                [a, b, c] => (u64::from(a) << 8 | u64::from(b), c.into()),
                [a, b] => (a.into(), b.into()),
                [a] => (a.into(), 0),
                _ => (0, 0),
            },
        },
    };
    let mixed = (first ^ last.rotate_left(27) ^ (key.len() as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}
