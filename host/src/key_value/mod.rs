//! Spin's key-value stores: the trait that they implement, and the stores of an application by label.

mod latency;
mod redis;
mod sqlite;

#[cfg(test)]
mod contract_tests;

pub use latency::Late;
pub use redis::Redis;
pub use sqlite::Database;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use anyhow::{Result, ensure};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// A key-value store as Spin's interfaces have it.
///
/// A value is on the disk before its `set` is acknowledged, if the store's own settings ensure this.
pub trait KeyValue: Send + Sync {
    /// The value under a key.
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>>>;

    /// Puts a value under a key, and replaces an earlier value.
    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<()>>;

    /// Removes a key. It is no error if the key does not exist.
    fn delete(&self, key: String) -> BoxFuture<'_, Result<()>>;

    /// Whether there is a value under a key.
    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool>>;

    /// All keys, each once, in pages. Other operations do not wait for the end of a listing.
    fn keys(&self) -> BoxStream<'static, Result<Vec<String>>>;
}

/// A handle to a store.
#[derive(Clone)]
pub struct Store(Arc<dyn KeyValue>);

impl Store {
    pub fn new(store: impl KeyValue + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl Deref for Store {
    type Target = dyn KeyValue;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The application's stores by label.
#[derive(Clone, Default)]
pub struct Stores(BTreeMap<String, Store>);

impl Stores {
    /// Adds the store with this label, and replaces an earlier one.
    pub fn insert(&mut self, label: &str, store: Store) {
        self.0.insert(label.to_owned(), store);
    }

    /// The store with this label.
    pub fn get(&self, label: &str) -> Option<&Store> {
        self.0.get(label)
    }

    /// The stores that a component may open.
    ///
    /// # Errors
    /// If there is no store for one of the component's labels. Spin has the same error.
    pub fn allowed(&self, component_id: &str, labels: &[String]) -> Result<Self> {
        for label in labels {
            ensure!(
                self.0.contains_key(label),
                "unknown key_value_stores label {label:?} for component {component_id:?}: say where the store is, by \
                 [key_value_store.{label}] in a file for --runtime-config-file"
            );
        }
        let allowed = self.0.iter().filter(|(label, _)| labels.contains(label));
        Ok(Self(allowed.map(|(label, store)| (label.clone(), store.clone())).collect()))
    }
}
