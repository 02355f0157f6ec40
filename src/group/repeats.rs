//! Whether rows come of groups that are there already.
//!
//! To find the group of a row costs some cache misses once there are many groups. Where nearly every row makes a group of
//! its own, as an identifier of records does, that is for nothing: it is quicker to take each row for a new group, and to
//! merge the few that have equal keys when the groups are sorted, where equal keys meet anyway. Some rows are still looked
//! up: when too many of them are found, all are again.

/// From this many groups on a look-up misses the cache.
const MANY_GROUPS: usize = 1 << 16;
/// So many rows that were looked up are counted before it is decided anew.
const WINDOW: usize = 1 << 12;
/// Rows are taken for new while at most one of so many is not; it takes fewer to begin with that.
const RARE: usize = 16;
const VERY_RARE: usize = 32;

/// Counts the rows that were looked up, and those of them whose group was there.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    rows: usize,
    found: usize,
    way: Way,
}

/// What is done with rows whose group is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// Their groups are looked up.
    #[default]
    LookUp,
    /// Nearly all make a new group.
    Append,
    /// Their groups are looked up, for good: to go to and fro would cost more than it saves.
    LookUpForGood,
}

impl Repeats {
    /// What is to be done with rows.
    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Takes in that rows were looked up, when there are a number of groups. Says whether it is [`Way::Append`] no longer.
    pub(super) fn note(&mut self, rows: usize, found: usize, groups: usize) -> bool {
        self.rows += rows;
        self.found += found;
        if self.rows < WINDOW {
            return false;
        }
        let (rows, found) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.found));
        match self.way {
            Way::LookUp if groups >= MANY_GROUPS && found * VERY_RARE < rows => self.way = Way::Append,
            Way::Append if found * RARE > rows => {
                self.way = Way::LookUpForGood;
                return true;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_for_new_while_nearly_all_are() {
        let mut repeats = Repeats::default();
        assert!(!repeats.note(WINDOW, 0, MANY_GROUPS - 1));
        assert_eq!(repeats.way(), Way::LookUp);
        assert!(!repeats.note(WINDOW, WINDOW / 20, MANY_GROUPS));
        assert_eq!(repeats.way(), Way::LookUp);
        assert!(!repeats.note(WINDOW - 1, 0, MANY_GROUPS));
        assert_eq!(repeats.way(), Way::LookUp);
        assert!(!repeats.note(1, 0, MANY_GROUPS));
        assert_eq!(repeats.way(), Way::Append);
        assert!(!repeats.note(WINDOW, WINDOW / 20, MANY_GROUPS));
        assert_eq!(repeats.way(), Way::Append);
        assert!(repeats.note(WINDOW, WINDOW / 10, MANY_GROUPS));
        assert!(!repeats.note(WINDOW, 0, MANY_GROUPS));
        assert_eq!(repeats.way(), Way::LookUpForGood);
    }
}
