//! Zeroed memory whose size is known when it is made.

use std::ops::{Deref, DerefMut};

use memmap2::{MmapMut, MmapOptions};

use super::allocated;

/// The size from which memory is mapped: pages then come from the kernel as they are first touched, and go back to it
/// at once when dropped.
const MAPPED: usize = 1 << 17;
/// The size of a huge page, where there are such.
const HUGE: usize = 2 << 20;

/// Zeroed bytes.
///
/// Large ones are mapped and ask for huge pages: a table of many groups is touched all over, and with small pages most
/// of the time would go into faults and address translation.
#[derive(Debug)]
pub struct Pages(Kind);

#[derive(Debug)]
enum Kind {
    Heap(Vec<u8>),
    Map(MmapMut),
}

impl Pages {
    /// `len` zeros.
    pub fn new(len: usize) -> Pages {
        Pages::mapped(len).unwrap_or_else(|| Pages(Kind::Heap(vec![0; len])))
    }

    /// `len` zeros that begin at a page; `None` if they are too few for that, or cannot be had.
    pub(super) fn mapped(len: usize) -> Option<Pages> {
        if len < MAPPED {
            return None;
        }
        let map = MmapOptions::new().len(len).map_anon().ok()?;
        #[cfg(target_os = "linux")]
        if len >= HUGE {
            // Only advice: where it is not taken, pages are small.
            drop(map.advise(memmap2::Advice::HugePage));
        }
        Some(Pages(Kind::Map(map)))
    }

    /// The bytes of memory that the first `used` bytes take, if no others have been touched.
    pub fn resident(&self, used: usize) -> usize {
        match &self.0 {
            Kind::Map(map) if map.len() >= HUGE => used.next_multiple_of(HUGE).min(map.len()),
            Kind::Map(map) => used.next_multiple_of(1 << 12).min(map.len()),
            Kind::Heap(bytes) => allocated(bytes.len()),
        }
    }
}

impl Deref for Pages {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Heap(bytes) => bytes,
            Kind::Map(map) => map,
        }
    }
}

impl DerefMut for Pages {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Kind::Heap(bytes) => bytes,
            Kind::Map(map) => map,
        }
    }
}

impl Default for Pages {
    fn default() -> Pages {
        Pages(Kind::Heap(Vec::new()))
    }
}
