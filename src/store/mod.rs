//! The key-value port: all that an upload needs of a platform's store.
//!
//! It has what every Spin platform's store has and no more: no compare-and-swap, no transaction, no listing by
//! prefix. Reads may be stale; a `set` that was acknowledged is durable as far as the store is.

mod memory;

pub use memory::MemoryStore;

use bytes::Bytes;
use futures::stream::LocalBoxStream;
use thiserror::Error;

/// The keys of a store as they are listed.
pub type Keys = LocalBoxStream<'static, Result<String, StoreError>>;

/// A store of values under string keys.
///
/// Clones are handles of the same store. Operations may overlap; each acts on one key, all or nothing.
// The component runs on one thread, and so do the stores it is given: no future here needs to be `Send`.
#[allow(async_fn_in_trait)]
pub trait Store: Clone + 'static {
    /// The value under `key`, or `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Puts `value` under `key`, in place of what was there. An error leaves open whether it was put.
    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError>;

    /// Removes `key`; that it wasn't there is no error.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// All keys, in no order; those that come or go meanwhile may be among them or not.
    ///
    /// Costs as much as the store is large, and may hold up other operations until it ends: no road that a chunk, a
    /// completion or a download takes lists keys. Read it to its end, and use the store for nothing else meanwhile.
    fn keys(&self) -> Keys;
}

/// The store could not do what it was asked; trying again later may help.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the key-value store failed: {0}")]
pub struct StoreError(pub String);
