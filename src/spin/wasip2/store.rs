//! Implements the port with Spin's key-value stores.

use std::rc::Rc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use spin_sdk::key_value;

use crate::store::{Keys, Store, StoreError, StoreErrorKind};

/// One of the application's stores.
#[derive(Clone)]
pub struct SpinStore(Rc<key_value::Store>);

impl SpinStore {
    /// Opens the store with this label. Returns `None` if the component may not use the store, or if there is no such
    /// store.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn open(label: &str) -> Result<Option<Self>, StoreError> {
        match key_value::Store::open(label) {
            Ok(store) => Ok(Some(Self(Rc::new(store)))),
            Err(key_value::Error::AccessDenied | key_value::Error::NoSuchStore) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Store for SpinStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key).map_err(failed)?.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.0.set(key, &value).map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key).map_err(failed)
    }

    fn keys(&self) -> Keys {
        let store = self.0.clone();
        let all = async move { store.get_keys().map_err(failed) };
        let keys = stream::once(all).map(|all| match all {
            Ok(keys) => stream::iter(keys.into_iter().map(Ok)).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        keys.flatten().boxed_local()
    }
}

fn failed(error: key_value::Error) -> StoreError {
    let kind = match error {
        key_value::Error::StoreTableFull => StoreErrorKind::Full,
        key_value::Error::AccessDenied | key_value::Error::NoSuchStore => StoreErrorKind::Denied,
        key_value::Error::Other(_) => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, error)
}
