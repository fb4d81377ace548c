//! The key-value port: all that an upload needs of a platform's store.
//!
//! It has only what every Spin platform's store has. There is no compare-and-swap, no transaction, and no listing by
//! prefix. Reads may be stale. A `set` that was acknowledged is as durable as the store.

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
/// Clones are handles of the same store. Operations may overlap. Each operation acts on one key, and does all or
/// nothing. [`contract`] has the whole contract, and checks a store against it.
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
// A component and its stores run on one thread, so no future here needs to be `Send`.
#[allow(async_fn_in_trait)]
pub trait Store: Clone + 'static {
    /// The value under `key`, or `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Puts `value` under `key`, in place of the value that was there. After an error, the key has the old or the new
    /// value.
    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError>;

    /// Removes `key`. A missing key is not an error.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// All keys, in no order. Keys that are added or removed meanwhile may be listed or not.
    ///
    /// The cost grows with the store, and a listing may hold up other operations until it ends. So no chunk, completion
    /// or download lists keys. Read a listing to its end, and use the store for nothing else meanwhile.
    fn keys(&self) -> Keys;
}
