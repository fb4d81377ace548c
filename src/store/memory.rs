//! A store in memory, for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};

use super::{Keys, Store, StoreError};

/// A store that lives as long as its last handle.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    values: Rc<RefCell<BTreeMap<String, Bytes>>>,
}

impl MemoryStore {
    /// All keys and values, in the order of the keys.
    pub fn snapshot(&self) -> BTreeMap<String, Bytes> {
        self.values.borrow().clone()
    }
}

impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.values.borrow().get(key).cloned())
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.values.borrow_mut().insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.values.borrow_mut().remove(key);
        Ok(())
    }

    fn keys(&self) -> Keys {
        let keys: Vec<_> = self.values.borrow().keys().cloned().map(Ok).collect();
        stream::iter(keys).boxed_local()
    }
}
