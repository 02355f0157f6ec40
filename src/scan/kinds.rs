//! Of which classes the values in a column are.
//!
//! Nearly all columns of nearly all blocks hold one class, with nulls or without. So the bits of all kinds are only
//! joined by AND and OR, which vectorises, and the numbers of [`Kind`]s are such that this tells the class; only where it
//! does not are the cells counted one by one.

use super::{Cell, Kind};

/// The number of cells of each class: nothing or null, booleans, numbers, text, arrays, objects.
pub(crate) type KindCounts = [u32; CLASSES];

/// The number of classes that kinds fall into.
pub(crate) const CLASSES: usize = 6;

/// The class of a kind: the index of its count.
#[inline]
pub(crate) fn class_of(kind: Kind) -> usize {
    match kind {
        Kind::Object => 5,
        kind => kind as usize >> 1,
    }
}

/// Counts the cells of each class.
pub(crate) fn count_kinds(cells: &[Cell]) -> KindCounts {
    let mut counts = KindCounts::default();
    let (mut any, mut all) = (0, u64::MAX);
    for cell in cells {
        any |= cell.bits();
        all &= cell.bits();
    }
    let (any, all) = (any as usize & 15, all as usize & 15);
    let class = any >> 1;
    if any == all || (class == all >> 1 && class < 4) {
        counts[if any == Kind::Object as usize { 5 } else { class }] = cells.len() as u32;
    } else if class == 1 || class == 2 || (class == 3 && is_text_or_null(cells)) {
        // A class of a single bit has only nulls beside it.
        let present: u64 = cells.iter().map(|cell| ((cell.bits() & 14) + 14) >> 4).sum();
        counts[class] = present as u32;
        counts[0] = cells.len() as u32 - counts[class];
    } else {
        let mut kinds = [0; 16];
        for cell in cells {
            kinds[cell.bits() as usize & 15] += 1;
        }
        counts =
            [kinds[0] + kinds[1], kinds[2] + kinds[3], kinds[4] + kinds[5], kinds[6] + kinds[7], kinds[8], kinds[9]];
    }
    counts
}

/// Whether each of the cells, of which none is an array or an object, has both of the bits of text or none of them.
fn is_text_or_null(cells: &[Cell]) -> bool {
    let differing = cells.iter().fold(0, |differing, cell| differing | (cell.bits() ^ (cell.bits() >> 1)));
    differing & 2 == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Kind; 10] = [
        Kind::Missing,
        Kind::Null,
        Kind::False,
        Kind::True,
        Kind::Int,
        Kind::Float,
        Kind::Text,
        Kind::Escaped,
        Kind::Array,
        Kind::Object,
    ];

    fn slowly(cells: &[Cell]) -> KindCounts {
        let mut counts = KindCounts::default();
        cells.iter().for_each(|cell| counts[class_of(cell.kind())] += 1);
        counts
    }

    proptest! {
        #[test]
        fn counting_quickly_is_counting(kinds in 0_usize..1024, places in prop::collection::vec((any::<u32>(), 0_u32..1000, any::<prop::sample::Index>()), 0..40)) {
            let some: Vec<Kind> = KINDS.into_iter().enumerate().filter(|(i, _)| kinds >> i & 1 == 1).map(|(_, kind)| kind).collect();
            prop_assume!(!some.is_empty());
            let cells: Vec<Cell> = places.iter().map(|(start, len, kind)| Cell::new(some[kind.index(some.len())], *start, *len)).collect();
            prop_assert_eq!(count_kinds(&cells), slowly(&cells));
        }
    }

    #[test]
    fn every_pair_of_kinds_is_told_apart() {
        for a in KINDS {
            for b in KINDS {
                let cells = [Cell::new(a, 1, 2), Cell::new(b, 3, 4), Cell::new(a, 5, 6)];
                assert_eq!(count_kinds(&cells), slowly(&cells), "{a:?} {b:?}");
            }
        }
        assert_eq!(count_kinds(&[]), KindCounts::default());
    }
}
