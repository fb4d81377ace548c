//! Spin's Redis store. The key in Redis is the key as it is, and does not depend on the store's label.
//!
//! The listing differs from Spin's. Spin sends `KEYS`, which blocks the server until all keys are listed. This host
//! sends `SCAN`, page by page.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client};
use tokio::sync::OnceCell;

use super::KeyValue;

/// How long a connection or a response may take. So a missing server is an error, and no request waits for ever.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many keys a listing asks for at a time.
const KEYS_A_PAGE: usize = 1000;

/// A Redis server's database.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    /// The first operation connects. The manager reconnects when the connection is lost.
    connection: std::sync::Arc<OnceCell<ConnectionManager>>,
}

impl Redis {
    /// The database at this URL, such as `redis://127.0.0.1:6379/0`.
    ///
    /// # Errors
    /// If the URL can't be read.
    pub fn new(url: &str) -> Result<Self> {
        let client = Client::open(url).with_context(|| format!("cannot read the Redis URL {url:?}"))?;
        Ok(Self { client, connection: std::sync::Arc::default() })
    }

    async fn connection(&self) -> Result<ConnectionManager> {
        let connect = || async {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(TIMEOUT))
                .set_response_timeout(Some(TIMEOUT))
                .set_number_of_retries(1);
            ConnectionManager::new_with_config(self.client.clone(), config).await
        };
        Ok(self.connection.get_or_try_init(connect).await.context("cannot connect to Redis")?.clone())
    }

    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<String>)> {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("COUNT").arg(KEYS_A_PAGE);
        Ok(command.query_async(&mut self.connection().await?).await?)
    }
}

impl KeyValue for Redis {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.connection().await?.get(key).await?) })
    }

    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { Ok(self.connection().await?.set::<_, _, ()>(key, value).await?) })
    }

    fn delete(&self, key: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { Ok(self.connection().await?.del::<_, ()>(key).await?) })
    }

    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move { Ok(self.connection().await?.exists(key).await?) })
    }

    fn keys(&self) -> BoxStream<'static, Result<Vec<String>>> {
        // A scan may return a key twice, so the listing remembers the keys that it has seen.
        let start = Some((self.clone(), 0, HashSet::new()));
        let pages = stream::try_unfold(start, |state| async move {
            let Some((store, cursor, mut seen)) = state else { return Ok(None) };
            let (next, mut page) = store.scan(cursor).await?;
            page.retain(|key| seen.insert(key.clone()));
            Ok(Some((page, (next != 0).then_some((store, next, seen)))))
        });
        pages.boxed()
    }
}
