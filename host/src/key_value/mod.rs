//! Spin's key-value stores: the trait that they stand behind, and the stores of an application by label.

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
/// A value is on the disk before its `set` is acknowledged, as far as the store's own settings say so.
pub trait KeyValue: Send + Sync {
    /// The value under a key.
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>>>;

    /// Puts a value under a key, in place of what was there.
    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<()>>;

    /// Removes a key; that it isn't there is no error.
    fn delete(&self, key: String) -> BoxFuture<'_, Result<()>>;

    /// Whether there is a value under a key.
    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool>>;

    /// All keys, each once, in pages. A listing never keeps other operations waiting until it ends.
    fn keys(&self) -> BoxStream<'static, Result<Vec<String>>>;
}

/// A handle of a store.
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
    /// Adds the store with this label, in place of one that was there.
    pub fn insert(&mut self, label: &str, store: Store) {
        self.0.insert(label.to_owned(), store);
    }

    /// The store with this label.
    pub fn get(&self, label: &str) -> Option<&Store> {
        self.0.get(label)
    }

    /// Those stores that a component may open.
    ///
    /// # Errors
    /// Where there is none with a label of the component's, as Spin has it.
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
