//! The contract of a [`Store`], as a test suite for any store.
//!
//! A test of one line checks a store against the contract:
//!
//! ```
//! use spin_chunked_upload::store::{MemoryStore, contract};
//!
//! pollster::block_on(contract::check(&MemoryStore::default())).unwrap();
//! ```
//!
//! The suite tests one handle of a store without faults, and clones of the handle. It writes some 300 keys that begin
//! with `contract/`. The longest key has 255 bytes, and the largest value has 1,000,000 bytes, which is what hosted
//! platforms take. The suite removes all of these keys again, and leaves other keys alone.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use futures::stream::TryStreamExt;
use thiserror::Error;

use super::{Store, StoreError};
use crate::error_chain::error_chain;

/// What all keys of the suite begin with.
const PREFIX: &str = "contract/";
/// The longest key that each platform takes, in bytes.
const LONGEST_KEY: usize = 255;
/// The largest value that each platform takes, in bytes.
const LARGEST_VALUE: usize = 1_000_000;
/// How many keys the suite lists: more than a store lists at once.
const LISTED_KEYS: usize = 300;
/// How many operations overlap.
const OVERLAPPING: usize = 8;

/// A clause of the contract that a store does not keep.
#[derive(Debug, Error)]
#[error("{clause}: {reason}")]
pub struct Violation {
    /// The clause, as a sentence.
    pub clause: &'static str,
    /// What the store did instead.
    pub reason: String,
}

type Kept = Result<(), Reason>;

/// Why a clause is not kept.
struct Reason(String);

impl From<StoreError> for Reason {
    fn from(error: StoreError) -> Self {
        Self(error_chain(&error))
    }
}

/// Checks a store against the contract, clause by clause.
///
/// # Errors
/// The first clause that the store does not keep.
pub async fn check<S: Store>(store: &S) -> Result<(), Violation> {
    let clause = |clause| move |Reason(reason)| Violation { clause, reason };
    missing_keys(store).await.map_err(clause("a key that was never set has no value"))?;
    values_come_back(store).await.map_err(clause("get returns the bytes that set was given"))?;
    the_last_value_stands(store).await.map_err(clause("set replaces the value that was there"))?;
    deletion(store).await.map_err(clause("a deleted key has no value, and deleting it again is no error"))?;
    clones(store).await.map_err(clause("a clone is a handle of the same store"))?;
    overlap(store).await.map_err(clause("operations on different keys may overlap"))?;
    listing(store).await.map_err(clause("keys lists each key once"))?;
    clean_up(store).await.map_err(clause("a deleted key is listed no more"))
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// Pseudo-random bytes of this length.
fn bytes(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(byte).collect()
}

fn expect(holds: bool, reason: impl FnOnce() -> String) -> Kept {
    if holds { Ok(()) } else { Err(Reason(reason())) }
}

async fn expect_value<S: Store>(store: &S, key: &str, expected: Option<&Bytes>) -> Kept {
    let found = store.get(key).await?;
    let length = |value: Option<&Bytes>| value.map_or("no value".to_owned(), |value| format!("{} bytes", value.len()));
    expect(found.as_ref() == expected, || {
        format!("get({key:?}) returned {}, not the {} expected", length(found.as_ref()), length(expected))
    })
}

async fn missing_keys<S: Store>(store: &S) -> Kept {
    expect_value(store, &key("missing"), None).await
}

async fn values_come_back<S: Store>(store: &S) -> Kept {
    let long_key = format!("{PREFIX}{}", "k".repeat(LONGEST_KEY - PREFIX.len()));
    let odd_key = key("a b/../c%2F\u{e9}\u{1f600}'\"*?[x]");
    let all_bytes: Bytes = (0..=u8::MAX).collect();
    let values = [
        (key("empty"), Bytes::new()),
        (key("one"), bytes(1, 1)),
        (key("all"), all_bytes),
        (key("large"), bytes(LARGEST_VALUE, 2)),
        (long_key, bytes(10, 3)),
        (odd_key, bytes(10, 4)),
    ];
    for (key, value) in &values {
        store.set(key, value.clone()).await?;
        expect_value(store, key, Some(value)).await?;
    }
    // Keys that differ little are different keys.
    expect_value(store, &key("Empty"), None).await?;
    expect_value(store, &key("one "), None).await
}

async fn the_last_value_stands<S: Store>(store: &S) -> Kept {
    let key = key("replaced");
    for (len, seed) in [(100_000, 5), (10, 6), (0, 7), (20_000, 8)] {
        let value = bytes(len, seed);
        store.set(&key, value.clone()).await?;
        expect_value(store, &key, Some(&value)).await?;
    }
    Ok(())
}

async fn deletion<S: Store>(store: &S) -> Kept {
    let key = key("deleted");
    store.delete(&key).await?;
    store.set(&key, bytes(10, 9)).await?;
    store.delete(&key).await?;
    expect_value(store, &key, None).await?;
    store.delete(&key).await?;
    // A key can be used again.
    let value = bytes(11, 10);
    store.set(&key, value.clone()).await?;
    expect_value(store, &key, Some(&value)).await
}

async fn clones<S: Store>(store: &S) -> Kept {
    let (clone, key, value) = (store.clone(), key("cloned"), bytes(10, 11));
    clone.set(&key, value.clone()).await?;
    expect_value(store, &key, Some(&value)).await?;
    store.delete(&key).await?;
    expect_value(&clone, &key, None).await
}

async fn overlap<S: Store>(store: &S) -> Kept {
    let entries: Vec<_> =
        (0..OVERLAPPING).map(|n| (key(&format!("overlap{n}")), bytes(50_000 + n, n as u64))).collect();
    try_join_all(entries.iter().map(|(key, value)| store.set(key, value.clone()))).await?;
    let found = try_join_all(entries.iter().map(|(key, _)| store.get(key))).await?;
    for ((key, value), found) in entries.iter().zip(found) {
        expect(found.as_ref() == Some(value), || format!("{key} has another value than was set"))?;
    }
    // If two writes of one key overlap, the key has one of the two values, whole.
    let (key, one, other) = (&entries[0].0, bytes(40_000, 20), bytes(30_000, 21));
    for set in join_all([store.set(key, one.clone()), store.set(key, other.clone())]).await {
        set?;
    }
    let found = store.get(key).await?;
    expect(found.as_ref() == Some(&one) || found.as_ref() == Some(&other), || format!("{key} has a mixed value"))
}

/// The suite's keys in a listing. Each key must be listed once.
async fn listed<S: Store>(store: &S) -> Result<BTreeSet<String>, Reason> {
    let keys: Vec<String> =
        store.keys().try_filter(|key| std::future::ready(key.starts_with(PREFIX))).try_collect().await?;
    let count = keys.len();
    let keys: BTreeSet<_> = keys.into_iter().collect();
    expect(keys.len() == count, || format!("{} keys are listed more than once", count - keys.len()))?;
    Ok(keys)
}

async fn listing<S: Store>(store: &S) -> Kept {
    let before = listed(store).await?;
    expect(before.contains(&key("empty")), || "a key with an empty value is not listed".to_owned())?;
    let new: BTreeSet<_> = (0..LISTED_KEYS).map(|n| key(&format!("listed/{n:05}"))).collect();
    for key in &new {
        store.set(key, Bytes::from_static(b"x")).await?;
    }
    let after = listed(store).await?;
    let missing = new.union(&before).filter(|key| !after.contains(*key)).count();
    expect(missing == 0, || format!("{missing} keys of {} are not listed", new.len() + before.len()))?;
    expect(after.len() == new.len() + before.len(), || "keys are listed that were never set".to_owned())
}

async fn clean_up<S: Store>(store: &S) -> Kept {
    for key in listed(store).await? {
        store.delete(&key).await?;
    }
    let left = listed(store).await?;
    expect(left.is_empty(), || format!("{} deleted keys are listed", left.len()))
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::super::{Keys, MemoryStore};
    use super::*;

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        let store = MemoryStore::default();
        block_on(store.set("other", Bytes::from_static(b"kept"))).unwrap();
        block_on(check(&store)).unwrap();
        assert_eq!(store.snapshot().into_keys().collect::<Vec<_>>(), ["other"]);
    }

    /// What a store does wrong.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fault {
        KeepsTheFirstValue,
        CutsLargeValues,
        ListsDeletedKeys,
        ListsOnePage,
        FoldsCase,
    }

    #[derive(Clone)]
    struct FaultyStore(MemoryStore, Fault);

    impl FaultyStore {
        fn key(&self, key: &str) -> String {
            if self.1 == Fault::FoldsCase { key.to_lowercase() } else { key.to_owned() }
        }
    }

    impl Store for FaultyStore {
        async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
            let value = self.0.get(&self.key(key)).await?;
            Ok(value.filter(|value| self.1 != Fault::ListsDeletedKeys || value != "deleted"))
        }

        async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
            let key = self.key(key);
            match self.1 {
                Fault::KeepsTheFirstValue if self.0.get(&key).await?.is_some() => Ok(()),
                Fault::CutsLargeValues => self.0.set(&key, value.slice(..value.len().min(500_000))).await,
                _ => self.0.set(&key, value).await,
            }
        }

        async fn delete(&self, key: &str) -> Result<(), StoreError> {
            match self.1 {
                Fault::ListsDeletedKeys => self.0.set(key, Bytes::from_static(b"deleted")).await,
                _ => self.0.delete(&self.key(key)).await,
            }
        }

        fn keys(&self) -> Keys {
            use futures::StreamExt;
            let most = if self.1 == Fault::ListsOnePage { 256 } else { usize::MAX };
            self.0.keys().take(most).boxed_local()
        }
    }

    /// A suite that passes everything proves nothing.
    #[test]
    fn each_fault_is_found() {
        let faults = [
            Fault::KeepsTheFirstValue,
            Fault::CutsLargeValues,
            Fault::ListsDeletedKeys,
            Fault::ListsOnePage,
            Fault::FoldsCase,
        ];
        for fault in faults {
            let found = block_on(check(&FaultyStore(MemoryStore::default(), fault)));
            assert!(found.is_err(), "{fault:?} was not found");
        }
    }
}
