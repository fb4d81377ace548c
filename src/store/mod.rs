//! The key-value port: all that an upload needs of a platform's store.
//!
//! It has what every Spin platform's store has and no more: no compare-and-swap, no transaction, no listing by
//! prefix. Reads may be stale; a `set` that was acknowledged is durable as far as the store is.

pub mod contract;
mod error;
mod memory;

pub use error::{StoreError, StoreErrorKind};
pub use memory::MemoryStore;

use bytes::Bytes;
use futures::stream::LocalBoxStream;

/// The keys of a store as they are listed.
pub type Keys = LocalBoxStream<'static, Result<String, StoreError>>;

/// A store of values under string keys.
///
/// Clones are handles of the same store. Operations may overlap; each acts on one key, all or nothing. [`contract`] says
/// all of it, and holds a store to it.
///
/// ```
/// use bytes::Bytes;
/// use spin_chunked_upload::store::{MemoryStore, Store};
///
/// # pollster::block_on(async {
/// let store = MemoryStore::default();
/// store.set("greeting", Bytes::from_static(b"hello")).await?;
/// assert_eq!(store.get("greeting").await?, Some(Bytes::from_static(b"hello")));
/// # Ok::<_, spin_chunked_upload::store::StoreError>(())
/// # }).unwrap();
/// ```
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
    /// The cost grows with the store, and a listing may hold up other operations until it ends. So no chunk, completion or
    /// download lists keys. Read a listing to its end, and use the store for nothing else meanwhile.
    fn keys(&self) -> Keys;
}
