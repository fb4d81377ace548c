//! A store with a delay, as a store far away has it.

use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::time::sleep;

use super::{KeyValue, Store};

/// A store that delays each operation by `latency`.
pub struct Late {
    pub store: Store,
    pub latency: Duration,
}

impl Late {
    async fn after<T>(&self, operation: BoxFuture<'_, Result<T>>) -> Result<T> {
        sleep(self.latency).await;
        operation.await
    }
}

impl KeyValue for Late {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(self.after(self.store.get(key)))
    }

    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.after(self.store.set(key, value)))
    }

    fn delete(&self, key: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.after(self.store.delete(key)))
    }

    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.after(self.store.exists(key)))
    }

    fn keys(&self) -> BoxStream<'static, Result<Vec<String>>> {
        let latency = self.latency;
        self.store
            .keys()
            .then(move |page| async move {
                sleep(latency).await;
                page
            })
            .boxed()
    }
}
