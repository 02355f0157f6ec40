//! The encoding of one value, for states that look it up.

use std::cell::RefCell;

use crate::value::{Value, key};

/// What `take` makes of the encoded key of a value, which it may add bytes to.
pub(super) fn with_key<T>(value: Value, take: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    ENCODED.with_borrow_mut(|encoded| {
        encoded.clear();
        key::encode(value, encoded);
        take(encoded)
    })
}
