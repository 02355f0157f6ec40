//! Values as bytes: for states that look them up, and in states that are written.

use std::cell::RefCell;

use super::superacc::damaged;
use crate::error::Result;
use crate::value::{OwnedValue, Value, key, stored};

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

/// A value from the start of the bytes of a state.
pub(super) fn take_value(input: &mut &[u8]) -> Result<OwnedValue> {
    stored::decode(input).map(OwnedValue::from).ok_or_else(damaged)
}
