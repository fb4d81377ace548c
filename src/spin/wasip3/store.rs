//! Implements the port with Spin's key-value stores.
//!
//! This module uses the SDK's bindings directly. The SDK's own type over them would copy each value once more, and keep
//! both copies in memory until the store has answered.

use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::{self, StreamExt, TryStreamExt};
use spin_sdk::key_value::wit::key_value;
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use super::gate;
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
        match key_value::Store::open(label.to_owned()).await {
            Ok(store) => Ok(Some(Self(Rc::new(store)))),
            Err(key_value::Error::AccessDenied | key_value::Error::NoSuchStore) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl Store for SpinStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let (store, key) = (self.0.clone(), key.to_owned());
        operate(async move { Ok(store.get(key).await?.map(Bytes::from)) }).await
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        let (store, key) = (self.0.clone(), key.to_owned());
        operate(async move { store.set(key, value.into()).await }).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (store, key) = (self.0.clone(), key.to_owned());
        operate(async move { store.delete(key).await }).await
    }

    fn keys(&self) -> Keys {
        let listing = stream::once(Listing::begin(self.0.clone()));
        let pages = listing.flat_map(|listing| stream::try_unfold(listing, Listing::next));
        pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten().boxed_local()
    }
}

/// Runs an operation on one key, apart from listings. An operation that has begun goes on by itself. A download reads
/// ahead, and looks at what it has read only when its client takes more. Until then, a listing would wait for it.
async fn operate<T: 'static>(
    operation: impl Future<Output = Result<T, key_value::Error>> + 'static,
) -> Result<T, StoreError> {
    let mut operation = Box::pin(async move {
        let _turn = gate::operation().await;
        operation.await.map_err(failed)
    });
    if let Poll::Ready(result) = futures::poll!(&mut operation) {
        return result;
    }
    let (sender, result) = oneshot::channel();
    wit_bindgen::spawn(async move {
        // Nobody takes the result of an operation whose request was given up.
        let _ = sender.send(operation.await);
    });
    result.await.unwrap_or_else(|given_up| Err(StoreError::new(StoreErrorKind::Unavailable, given_up)))
}

/// How many keys are read from the store at a time.
const KEYS_AT_A_TIME: usize = 256;

/// A listing under way, which no other operation of this instance may overlap.
struct Listing {
    keys: StreamReader<String>,
    ended: FutureReader<Result<(), key_value::Error>>,
    _alone: gate::Listing,
}

impl Listing {
    async fn begin(store: Rc<key_value::Store>) -> Self {
        let alone = gate::listing().await;
        let (keys, ended) = store.get_keys().await;
        Self { keys, ended, _alone: alone }
    }

    /// The next keys; `None` when there are no more.
    async fn next(mut self) -> Result<Option<(Vec<String>, Self)>, StoreError> {
        match self.keys.read(Vec::with_capacity(KEYS_AT_A_TIME)).await {
            (StreamResult::Dropped, keys) if keys.is_empty() => {
                // The store tells only after the last key whether the listing is complete.
                self.ended.await.map(|()| None).map_err(failed)
            }
            (_, keys) => Ok(Some((keys, self))),
        }
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
