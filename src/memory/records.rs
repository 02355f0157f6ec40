//! Byte strings with a number each, one after another in memory.

use super::{Pages, allocated};
use crate::scan::prefetch;
use crate::value::copy_few;

/// Addresses count units of this many bytes, and each record starts at one.
const UNIT: usize = 8;
/// What stands before the bytes of a record: the number and the length.
const HEADER: usize = 8;
/// The first stretch has `2^FIRST` units, and so the first address is that.
const FIRST: u32 = 3;
/// Each further stretch is twice as large, up to `2^LARGEST` units.
const LARGEST: u32 = 20;
/// Of this many records the address of one is kept.
const SAMPLED: usize = 64;

/// Records that never move, in the order in which they came.
///
/// They lie in stretches of which each is twice as large as the one before, up to 8 MiB, so the place of a record
/// follows from the bits of its address; a stretch takes memory only as it is filled. A record that is too long for its
/// stretch has one of its own, which is as long as it must be.
#[derive(Debug, Default)]
pub struct Records {
    stretches: Vec<Stretch>,
    /// The address of the start of the last stretch.
    first: u32,
    /// The bytes of memory that all stretches but the last take.
    full: usize,
    len: usize,
    samples: Vec<u32>,
}

impl Records {
    /// The number of records.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a record, and gives its address.
    #[inline]
    pub(super) fn push(&mut self, number: u32, bytes: &[u8]) -> u32 {
        let len = HEADER + bytes.len();
        if self.stretches.last().is_none_or(|last| last.bytes.len() - last.end < len) {
            self.add_stretch(len);
        }
        let last = self.stretches.len() - 1;
        let stretch = &mut self.stretches[last];
        let address = self.first + (stretch.end / UNIT) as u32;
        stretch.end += put(&mut stretch.bytes[stretch.end..], number, bytes);
        stretch.touched = stretch.end;
        if self.len.is_multiple_of(SAMPLED) {
            self.samples.push(address);
        }
        self.len += 1;
        address
    }

    /// Begins to load the record at an address.
    #[inline]
    pub fn prefetch(&self, address: u32) {
        let (stretch, start) = Records::place(address);
        prefetch(&self.stretches[stretch].bytes[start]);
    }

    /// The number and the bytes of the record at an address.
    #[inline]
    pub fn get(&self, address: u32) -> (u32, &[u8]) {
        let (stretch, start) = Records::place(address);
        let (header, bytes) = self.stretches[stretch].bytes[start..].split_at(HEADER);
        let header = header.as_chunks::<8>().0.first().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (header as u32, &bytes[..(header >> 32) as usize])
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.stretches.iter().flat_map(|stretch| stretch.records(0..stretch.end))
    }

    /// The address and the bytes of each record.
    pub fn addresses(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.stretches.iter().enumerate().flat_map(|(number, stretch)| {
            let (mut next, _) = Records::first(number);
            stretch.records(0..stretch.end).map(move |(_, bytes)| {
                let address = next as u32;
                next += (Stretch::size_of_record(bytes.len()) / UNIT) as u64;
                (address, bytes)
            })
        })
    }

    /// The bytes of some records from all over, one of every 64.
    pub fn samples(&self) -> impl Iterator<Item = &[u8]> {
        self.samples.iter().map(|&address| self.get(address).1)
    }

    /// The stretches that the records lie in.
    pub fn into_stretches(self) -> Vec<Stretch> {
        self.stretches
    }

    /// The bytes held. Takes constant time.
    pub fn size(&self) -> usize {
        self.full
            + self.stretches.last().map_or(0, Stretch::size)
            + allocated(self.samples.capacity() * size_of::<u32>())
            + allocated(self.stretches.capacity() * size_of::<Stretch>())
    }

    /// A stretch, and where in it an address leads to.
    #[inline]
    fn place(address: u32) -> (usize, usize) {
        // All addresses from the largest stretch on have the same number of bits behind that of the stretch.
        let log = address.ilog2().min(LARGEST);
        ((log - FIRST) as usize + (address >> log) as usize - 1, (address & ((1 << log) - 1)) as usize * UNIT)
    }

    /// The first address of a stretch, and its size in units as the logarithm to base 2.
    fn first(stretch: usize) -> (u64, u64) {
        let log = (u64::from(FIRST) + stretch as u64).min(LARGEST.into());
        ((u64::from(FIRST) + stretch as u64 - log + 1) << log, log)
    }

    #[cold]
    fn add_stretch(&mut self, len: usize) {
        self.full += self.stretches.last().map_or(0, Stretch::size);
        let (first, log) = Records::first(self.stretches.len());
        self.first = u32::try_from(first).expect("the state of a worker is limited to far less than 32 GiB");
        self.stretches.push(Stretch {
            bytes: Pages::new(len.next_multiple_of(UNIT).max(UNIT << log)),
            end: 0,
            touched: 0,
        });
    }
}

/// Writes a record to the start of `to`, and gives the bytes that it takes.
#[inline]
fn put(to: &mut [u8], number: u32, bytes: &[u8]) -> usize {
    let len = HEADER + bytes.len();
    let header = u64::from(number) | (bytes.len() as u64) << 32;
    let to = &mut to[..len];
    to[..HEADER].copy_from_slice(&header.to_le_bytes());
    copy_few(bytes, &mut to[HEADER..]);
    len.next_multiple_of(UNIT)
}

/// Some records that lie one after another.
#[derive(Debug)]
pub struct Stretch {
    bytes: Pages,
    /// The end of the last record.
    end: usize,
    /// The bytes behind which none was ever used.
    touched: usize,
}

impl Stretch {
    /// Where the last record ends.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The bytes that a record with so many bytes of its own takes.
    #[inline]
    pub fn size_of_record(bytes: usize) -> usize {
        (HEADER + bytes).next_multiple_of(UNIT)
    }

    /// The records from one place to another, between which there are whole ones: the number and the bytes of each.
    #[inline]
    pub fn records(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = (u32, &[u8])> {
        let mut rest = &self.bytes[range];
        std::iter::from_fn(move || {
            let (header, bytes) = rest.split_first_chunk::<HEADER>()?;
            let header = u64::from_le_bytes(*header);
            let (record, behind) = bytes.split_at_checked(((header >> 32) as usize).next_multiple_of(UNIT))?;
            rest = behind;
            Some((header as u32, &record[..(header >> 32) as usize]))
        })
    }

    /// The same records, each moved to the part that `parts` has for it; in a part they stay in their order. `number`
    /// gives the number of a record, from its part and the number that it had. `starts` has for each part where it
    /// starts, and then where it ends. The memory of `spare`, a stretch that is not needed any more, is used if there is
    /// enough of it.
    ///
    /// # Panics
    /// If the parts overlap, or are not within the size of the stretch.
    pub fn dealt(
        &self,
        parts: &[u16],
        starts: &mut [usize],
        spare: Option<Stretch>,
        mut number: impl FnMut(u16, u32) -> u32,
    ) -> Stretch {
        let spare = spare.filter(|spare| spare.bytes.len() >= self.end);
        let (mut bytes, touched) = match spare {
            Some(spare) => (spare.bytes, spare.touched.max(self.end)),
            None => (Pages::new(self.end), self.end),
        };
        for ((old, record), &part) in self.records(0..self.end).zip(parts) {
            let at = &mut starts[usize::from(part)];
            *at += put(&mut bytes[*at..], number(part, old), record);
        }
        Stretch { bytes, end: self.end, touched }
    }

    /// The bytes of memory held.
    pub fn size(&self) -> usize {
        self.bytes.resident(self.touched)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_are_found_by_address_and_in_order(lens in prop::collection::vec(0_usize..600, 0..1000), long in 0_usize..9) {
            let mut strings: Vec<Vec<u8>> = lens.iter().enumerate().map(|(i, &len)| vec![i as u8; len]).collect();
            strings.insert(strings.len() / 2, vec![7; long << 17]);
            let mut records = Records::default();
            let addresses: Vec<u32> =
                strings.iter().enumerate().map(|(i, string)| records.push(i as u32, string)).collect();
            for ((i, string), &address) in strings.iter().enumerate().zip(&addresses) {
                prop_assert_eq!(records.get(address), (i as u32, string.as_slice()));
            }
            let expected = || strings.iter().enumerate().map(|(i, string)| (i as u32, string.as_slice()));
            prop_assert!(records.iter().eq(expected()));
            let found: Vec<u32> = records.addresses().map(|(address, _)| address).collect();
            prop_assert_eq!(found, addresses);
            prop_assert!(records.samples().eq(strings.iter().step_by(SAMPLED)));
            prop_assert!(records.size() >= strings.iter().map(Vec::len).sum());
            prop_assert_eq!(records.len(), strings.len());
        }

        #[test]
        fn dealt_records_are_in_their_parts(records in prop::collection::vec((0_u16..5, 0_usize..30), 0..200)) {
            let mut all = Records::default();
            records.iter().enumerate().for_each(|(i, &(part, len))| _ = all.push(i as u32, &vec![part as u8; len]));
            // The number of the first one of each stretch.
            let mut first = 0;
            let mut spare = None;
            for stretch in all.into_stretches() {
                let count = stretch.records(0..stretch.end()).count();
                let own = &records[first..first + count];
                let parts: Vec<u16> = own.iter().map(|(part, _)| *part).collect();
                let size = |part: u16| -> usize {
                    own.iter().filter(|other| other.0 == part).map(|other| Stretch::size_of_record(other.1)).sum()
                };
                let mut ends: Vec<usize> = (0..5).map(|part| (0..part).map(size).sum()).collect();
                let dealt = stretch.dealt(&parts, &mut ends, spare.take(), |part, number| number * 10 + u32::from(part));
                let mut start = 0;
                for part in 0..5 {
                    let found: Vec<_> = dealt.records(start..ends[usize::from(part)]).collect();
                    let bytes = own.iter().map(|&(part, len)| vec![part as u8; len]).collect::<Vec<_>>();
                    let expected: Vec<_> = (0..count)
                        .filter(|&i| own[i].0 == part)
                        .map(|i| ((first + i) as u32 * 10 + u32::from(part), bytes[i].as_slice()))
                        .collect();
                    prop_assert_eq!(found, expected);
                    start = ends[usize::from(part)];
                }
                first += count;
                spare = Some(stretch);
            }
        }
    }

    #[test]
    fn addresses_go_on_from_stretch_to_stretch() {
        let mut records = Records::default();
        let bytes = [1; 1 << 12];
        let addresses: Vec<u32> = (0..10_000).map(|i| records.push(i, &bytes)).collect();
        assert!(addresses.is_sorted());
        assert!(records.iter().zip(&addresses).all(|(record, &address)| record == records.get(address)));
        let sizes: Vec<usize> = records.stretches.iter().map(|stretch| stretch.bytes.len()).collect();
        assert!(sizes[sizes.len() - 3..].iter().all(|&size| size == UNIT << LARGEST), "{sizes:?}");
    }
}
