//! Checks that the host's stores keep the contract that the service relies on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use spin_chunked_upload::store::{Keys, Store as Port, StoreError, StoreErrorKind, contract};
use tokio::runtime::Runtime;

use super::{Database, Late, Redis, Store};

/// One of the host's stores, behind the store trait of the service.
#[derive(Clone)]
struct Adapter(Store);

fn failed(error: anyhow::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, error)
}

impl Port for Adapter {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key.to_owned()).await.map_err(failed)?.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.0.set(key.to_owned(), value.into()).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key.to_owned()).await.map_err(failed)
    }

    fn keys(&self) -> Keys {
        self.0.keys().map_err(failed).map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten().boxed_local()
    }
}

fn check(store: Store) {
    Runtime::new().unwrap().block_on(contract::check(&Adapter(store))).unwrap();
}

#[test]
fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("new/store.db")).unwrap();
    check(database.store("default"));
    check(database.store("other"));
    check(Database::in_memory().unwrap().store("default"));
}

#[test]
fn a_store_further_away_keeps_the_contract() {
    let store = Database::in_memory().unwrap().store("default");
    check(Store::new(Late { store, latency: Duration::from_millis(1) }));
}

/// A Redis server for one test. Dropping this ends the server.
struct RedisServer(Child);

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn redis_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = ["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()];
    let started = Command::new("redis-server").args(arguments).current_dir(folder.path()).stdout(Stdio::null()).spawn();
    let Ok(server) = started.map(RedisServer) else {
        eprintln!("not tested: there is no redis-server here");
        return;
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    check(Store::new(Redis::new(&format!("redis://127.0.0.1:{port}/1")).unwrap()));
    drop(server);
}
