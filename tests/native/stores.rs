//! A store that records its calls, and fails on demand.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use spin_chunked_upload::store::{Keys, MemoryStore, Store, StoreError};

/// A call to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Get(String),
    Set(String, usize),
    Delete(String),
    Keys,
}

/// A store in memory. It records each call, and fails the calls that a test selects.
#[derive(Clone, Default)]
pub struct WatchedStore {
    pub inner: MemoryStore,
    calls: Rc<RefCell<Vec<Call>>>,
    fault: Rc<RefCell<Option<Fault>>>,
}

type Fault = Box<dyn Fn(&Call) -> bool>;

impl WatchedStore {
    /// The calls since the last call of this function.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.borrow_mut())
    }

    /// From now on, fails the calls for which `fault` is true.
    pub fn fail(&self, fault: impl Fn(&Call) -> bool + 'static) {
        *self.fault.borrow_mut() = Some(Box::new(fault));
    }

    /// From now on, fails no call.
    pub fn heal(&self) {
        *self.fault.borrow_mut() = None;
    }

    /// All keys but the deployments' marks.
    pub fn all_keys(&self) -> Vec<String> {
        self.inner.snapshot().into_keys().filter(|key| !key.starts_with("mark/")).collect()
    }

    /// The keys of the deployments' marks.
    pub fn marks(&self) -> Vec<String> {
        self.inner.snapshot().into_keys().filter(|key| key.starts_with("mark/")).collect()
    }

    /// Removes the deployments' marks, as in a store from before there were marks.
    pub fn forget_marks(&self) {
        for key in self.marks() {
            pollster::block_on(self.inner.delete(&key)).expect("a store in memory");
        }
    }

    fn call(&self, call: Call) -> Result<(), StoreError> {
        let fails = self.fault.borrow().as_ref().is_some_and(|fault| fault(&call));
        self.calls.borrow_mut().push(call);
        if fails { Err(StoreError::unavailable("told to fail")) } else { Ok(()) }
    }
}

impl Store for WatchedStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.call(Call::Get(key.to_owned()))?;
        self.inner.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.call(Call::Set(key.to_owned(), value.len()))?;
        self.inner.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.call(Call::Delete(key.to_owned()))?;
        self.inner.delete(key).await
    }

    fn keys(&self) -> Keys {
        match self.call(Call::Keys) {
            Ok(()) => self.inner.keys(),
            Err(error) => stream::iter([Err(error)]).boxed_local(),
        }
    }
}
