//! Another program that keeps its own keys in the same stores.

use bytes::Bytes;

use crate::store::{StoreId, World};

/// A key that looks like an old segment's, but for its beginning.
pub const LIKE_A_SEGMENT: &str =
    concat!("cache/", "5b2e7c1f-1111-4222-8333-444455556666/0-01890000-0000-7000-8000-000000000000");

/// Keys that begin as those of uploads do, and are something else.
const KEYS: [&str; 10] = [
    LIKE_A_SEGMENT,
    "settings",
    "data/5b2e7c1f-1111-4222-8333-444455556666/thumbnail",
    "data/notes",
    "list/5b2e7c1f",
    "list/shopping/0-monday",
    "mark/records/none",
    "page/5b2e7c1f-1111-4222-8333-444455556666",
    "upload/5b2e7c1f-1111-4222-8333-444455556666/progress",
    "upload/settings",
];

/// The segment's key that `LIKE_A_SEGMENT` looks like.
pub fn as_segment() -> String {
    LIKE_A_SEGMENT.replacen("cache", "data", 1)
}

fn value(key: &str) -> Bytes {
    format!("of another program: {key}").into()
}

/// Whether a key is the other program's.
pub fn owns(key: &str) -> bool {
    KEYS.contains(&key)
}

/// Stores the other program's values.
pub fn move_in(world: &mut World, stores: &[StoreId]) {
    for store in stores {
        KEYS.iter().for_each(|key| world.put(*store, key, value(key)));
    }
}

/// Checks that all of them are as they were.
pub fn check(world: &World, stores: &[StoreId]) -> Result<(), String> {
    for store in stores {
        if let Some(key) = KEYS.iter().find(|key| world.value(*store, key) != Some(value(key))) {
            return Err(format!("{key} of another program has changed in store {}", store.0));
        }
    }
    Ok(())
}
