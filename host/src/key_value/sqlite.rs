//! Spin's own key-value stores: the table `spin_key_value` of a SQLite file, whose column `store` is the label.
//!
//! One thread owns the only connection, so that no guest task ever waits inside SQLite. A value is on the disk before
//! its `set` is acknowledged, as with Spin. On Spin, each `set` is a separate transaction. Here, all changes that wait
//! at the same time share a transaction.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{KeyValue, Store};
use crate::page_cache::Growing;

/// How many requests the channel to the thread holds. A further request waits until there is room.
const WAITING_REQUESTS: usize = 64;
/// The page size of a new file, in bytes. With SQLite's default of 4096, a value of a million bytes has 245 pages, and
/// SQLite writes each page by itself.
const PAGE_SIZE: u32 = 32_768;
/// How many keys a listing reads at a time.
const KEYS_A_PAGE: u32 = 1000;

/// The result of a request. All requests of a transaction may share one error.
type Outcome<T> = Result<T, Arc<rusqlite::Error>>;
type Reply<T> = oneshot::Sender<Outcome<T>>;

enum Request {
    Get { store: Arc<str>, key: String, reply: Reply<Option<Vec<u8>>> },
    Set { store: Arc<str>, key: String, value: Vec<u8>, reply: Reply<()> },
    Delete { store: Arc<str>, key: String, reply: Reply<()> },
    Exists { store: Arc<str>, key: String, reply: Reply<bool> },
    KeysAfter { store: Arc<str>, key: String, reply: Reply<Vec<String>> },
}

/// A database, shared by all stores in it. The table's column `store` has the label of a store.
#[derive(Clone)]
pub struct Database {
    requests: mpsc::Sender<Request>,
}

impl Database {
    /// Opens the database at `path`. It creates the file and its folder if they are missing.
    pub fn open(path: &Path) -> Result<Self> {
        let context = || format!("cannot open {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(context)?;
        }
        let connection = open_connection(path).with_context(context)?;
        let file = Growing::open(path).with_context(context)?;
        Self::start(connection, Some(file))
    }

    /// A database in memory. Its content is lost when the process ends.
    pub fn in_memory() -> Result<Self> {
        Self::start(open_connection(Path::new(":memory:")).context("cannot open a database in memory")?, None)
    }

    fn start(connection: Connection, file: Option<Growing>) -> Result<Self> {
        let (requests, received) = mpsc::channel(WAITING_REQUESTS);
        thread::Builder::new()
            .name("key-value".to_owned())
            .spawn(move || serve(&connection, file, received))
            .context("cannot start the key-value thread")?;
        Ok(Self { requests })
    }

    /// The store with this label.
    pub fn store(&self, label: &str) -> Store {
        Store::new(SqliteStore { database: self.clone(), label: label.into() })
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        const STOPPED: &str = "the key-value store has stopped";
        let (reply, outcome) = oneshot::channel();
        self.requests.send(request(reply)).await.ok().context(STOPPED)?;
        outcome.await.context(STOPPED)?.map_err(anyhow::Error::new)
    }
}

/// One store of a database.
#[derive(Clone)]
struct SqliteStore {
    database: Database,
    label: Arc<str>,
}

impl KeyValue for SqliteStore {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(self.database.ask(|reply| Request::Get { store: self.label.clone(), key, reply }))
    }

    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.database.ask(|reply| Request::Set { store: self.label.clone(), key, value, reply }))
    }

    fn delete(&self, key: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.database.ask(|reply| Request::Delete { store: self.label.clone(), key, reply }))
    }

    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.database.ask(|reply| Request::Exists { store: self.label.clone(), key, reply }))
    }

    /// A listing reads page by page, so that other requests can use the connection between two pages.
    fn keys(&self) -> BoxStream<'static, Result<Vec<String>>> {
        let start = (self.clone(), String::new());
        let pages = stream::try_unfold(start, |(store, last)| async move {
            let label = store.label.clone();
            let page = store.database.ask(|reply| Request::KeysAfter { store: label, key: last, reply }).await?;
            Ok(page.last().cloned().map(|last| (page, (store, last))))
        });
        pages.boxed()
    }
}

/// Opens the file as Spin does, with SQLite's defaults: a rollback journal and `synchronous=FULL`. The settings below
/// are the exceptions.
///
/// A write-ahead log waits for the disk less often, but writes each value twice. It took longer for values of a million
/// bytes.
fn open_connection(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // This is for a new file. It changes nothing in a file that has a table.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    // The journal is overwritten and not removed. The removal of a file changes its folder, and that change is not on
    // the disk at once. Without the removal, a commit does not wait for this change, and is on the disk for good.
    connection.pragma_update(None, "journal_mode", "PERSIST")?;
    // A transaction writes everything at its end. Writing some of it earlier would wait for the disk twice.
    connection.pragma_update(None, "cache_spill", false)?;
    connection.execute(
        "CREATE TABLE IF NOT EXISTS spin_key_value (
            store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key)
        )",
        [],
    )?;
    Ok(connection)
}

/// Serves requests until all senders are gone. It serves all requests that wait at the same time together: first the
/// reads, then the writes.
fn serve(connection: &Connection, mut file: Option<Growing>, mut requests: mpsc::Receiver<Request>) {
    let mut waiting = Vec::new();
    while requests.blocking_recv_many(&mut waiting, WAITING_REQUESTS) > 0 {
        // All reads share one transaction, so that the file is locked once. It ends before the writes begin.
        let together = connection.unchecked_transaction();
        let writes: Vec<_> = waiting.drain(..).filter_map(|request| read(connection, request)).collect();
        drop(together);
        if !writes.is_empty() {
            write(connection, writes);
            if let Some(file) = &mut file {
                file.give_back();
            }
        }
    }
}

/// A change of one key, and the reply that waits for it.
struct Write {
    store: Arc<str>,
    key: String,
    /// The value, or `None` to remove the key.
    value: Option<Vec<u8>>,
    reply: Reply<()>,
}

/// Serves a request that reads, and returns a request that writes. Requests that overlap have no order.
fn read(connection: &Connection, request: Request) -> Option<Write> {
    // The guest that sent the request may be gone. Its reply is then dropped.
    match request {
        Request::Get { store, key, reply } => drop(reply.send(get(connection, &store, &key).map_err(Arc::new))),
        Request::Exists { store, key, reply } => drop(reply.send(exists(connection, &store, &key).map_err(Arc::new))),
        Request::KeysAfter { store, key, reply } => {
            drop(reply.send(keys_after(connection, &store, &key).map_err(Arc::new)))
        }
        Request::Set { store, key, value, reply } => return Some(Write { store, key, value: Some(value), reply }),
        Request::Delete { store, key, reply } => return Some(Write { store, key, value: None, reply }),
    }
    None
}

/// Makes the changes, and acknowledges them when they are on the disk.
///
/// One transaction makes all changes, so that they wait for the disk once. If the transaction fails, each change is
/// made by itself, because one change alone may have caused the error. A lock on the database is different: no change
/// has caused it, and SQLite has already waited for it. So all changes fail with that error.
fn write(connection: &Connection, writes: Vec<Write>) {
    let together = if writes.len() > 1 { Some(write_together(connection, &writes)) } else { None };
    let of_all = match together {
        Some(Ok(())) => Some(Ok(())),
        Some(Err(error)) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Some(Err(Arc::new(error))),
        _ => None,
    };
    for write in writes {
        let written = of_all.clone().unwrap_or_else(|| write.run(connection).map_err(Arc::new));
        let _ = write.reply.send(written);
    }
}

fn write_together(connection: &Connection, writes: &[Write]) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    writes.iter().try_for_each(|write| write.run(&transaction))?;
    transaction.commit()
}

impl Write {
    fn run(&self, connection: &Connection) -> rusqlite::Result<()> {
        match &self.value {
            Some(value) => set(connection, &self.store, &self.key, value),
            None => delete(connection, &self.store, &self.key),
        }
    }
}

fn get(connection: &Connection, store: &str, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")?
        .query_row([store, key], |row| row.get(0))
        .optional()
}

fn set(connection: &Connection, store: &str, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (store, key) DO UPDATE SET value = ?3",
        )?
        .execute(params![store, key, value])
        .map(drop)
}

fn delete(connection: &Connection, store: &str, key: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2")?
        .execute([store, key])
        .map(drop)
}

fn exists(connection: &Connection, store: &str, key: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM spin_key_value WHERE store = ?1 AND key = ?2")?.exists([store, key])
}

fn keys_after(connection: &Connection, store: &str, key: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1 AND key > ?2 ORDER BY key LIMIT ?3")?
        .query_map(params![store, key, KEYS_A_PAGE], |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let connection = open_connection(Path::new(":memory:")).unwrap();
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON spin_key_value WHEN NEW.key = 'bad'
                      BEGIN SELECT RAISE(ABORT, 'refused'); END";
        connection.execute_batch(refuse).unwrap();
        connection
    }

    /// Writes these keys together, and returns the result of each write.
    fn write_all(connection: &Connection, keys: &[&str]) -> Vec<Result<(), String>> {
        let (writes, replies): (Vec<_>, Vec<_>) = keys
            .iter()
            .map(|key| {
                let (reply, answer) = oneshot::channel();
                (Write { store: "default".into(), key: (*key).to_owned(), value: Some(vec![1]), reply }, answer)
            })
            .unzip();
        write(connection, writes);
        replies.into_iter().map(|reply| reply.blocking_recv().unwrap().map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn writes_that_share_a_transaction_share_no_fault() {
        let connection = database();
        let outcomes = write_all(&connection, &["a", "bad", "b"]);
        assert_eq!(outcomes, [Ok(()), Err("refused".to_owned()), Ok(())]);
        assert_eq!(keys_after(&connection, "default", "").unwrap(), ["a", "b"]);
    }

    #[test]
    fn the_last_write_of_a_key_stands() {
        let connection = database();
        let value = |value: Option<u8>| {
            let (reply, _) = oneshot::channel();
            Write { store: "default".into(), key: "a".to_owned(), value: value.map(|byte| vec![byte]), reply }
        };
        write(&connection, vec![value(Some(1)), value(None), value(Some(2))]);
        assert_eq!(get(&connection, "default", "a").unwrap(), Some(vec![2]));
    }
}
