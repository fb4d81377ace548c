//! Spin's key-value stores behind the port.

use std::rc::Rc;

use bytes::Bytes;
use spin_sdk::key_value;

use crate::protocol::SetupError;
use crate::settings::SettingError;
use crate::store::{Store, StoreError};

/// A store of the application's.
#[derive(Clone)]
pub(super) struct SpinStore(Rc<key_value::Store>);

impl SpinStore {
    /// Opens the store that the variable `variable` names.
    pub(super) async fn open(variable: &'static str, label: &str) -> Result<Self, SetupError> {
        match key_value::Store::open(label).await {
            Ok(store) => Ok(Self(Rc::new(store))),
            Err(key_value::Error::AccessDenied | key_value::Error::NoSuchStore) => {
                Err(SettingError::new(variable, "one of the component's key_value_stores in spin.toml").into())
            }
            Err(error) => Err(failed(&error).into()),
        }
    }
}

impl Store for SpinStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key).await.map_err(|error| failed(&error))?.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.0.set(key, value).await.map_err(|error| failed(&error))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key).await.map_err(|error| failed(&error))
    }
}

fn failed(error: &key_value::Error) -> StoreError {
    StoreError(error.to_string())
}
