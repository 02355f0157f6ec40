//! The hash of in-memory tables.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::fast::RandomState;

static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// The hash of an encoded key. It is seeded at random once per process, so that no input can be made to collide;
/// nothing that is written may depend on it.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    STATE.hash_one(key)
}
