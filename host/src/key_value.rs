//! Spin's default key-value store: the table `spin_key_value` of `sqlite_key_value.db` in the state folder.
//!
//! One thread owns the one connection, so that no guest task ever waits inside SQLite. A value is on the disk before its
//! `set` is acknowledged, as with Spin, whose every `set` is a transaction of its own; here, those that wait at the same
//! time share one.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::page_cache::Growing;

const FILE_NAME: &str = "sqlite_key_value.db";
/// Requests that may wait for the thread; whoever comes later waits to hand its request over.
const WAITING_REQUESTS: usize = 64;
/// Bytes of a page of a new file: SQLite's 4096 make 245 pages of a value of a million bytes, each written by itself.
const PAGE_SIZE: u32 = 32_768;
/// Keys that a listing reads at a time.
const KEYS_A_PAGE: u32 = 1000;

/// What the store says to a request: a value, or its reason in words.
pub type Answer<T> = Result<T, String>;
type Reply<T> = oneshot::Sender<Answer<T>>;

enum Request {
    Get { store: Arc<str>, key: String, reply: Reply<Option<Vec<u8>>> },
    Set { store: Arc<str>, key: String, value: Vec<u8>, reply: Reply<()> },
    Delete { store: Arc<str>, key: String, reply: Reply<()> },
    Exists { store: Arc<str>, key: String, reply: Reply<bool> },
    KeysAfter { store: Arc<str>, key: String, reply: Reply<Vec<String>> },
}

/// The database, shared by all stores: a store is a value of the table's column `store`.
#[derive(Clone)]
pub struct Database {
    requests: mpsc::Sender<Request>,
    /// What each request waits for before it is served, as it would for a store far away.
    latency: Duration,
}

impl Database {
    /// Opens the database in `state_dir`, creating it if need be. Each request to it takes at least `latency`.
    pub fn open(state_dir: &Path, latency: Duration) -> Result<Self> {
        let path = state_dir.join(FILE_NAME);
        let connection = open_connection(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let file = Growing::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let (requests, received) = mpsc::channel(WAITING_REQUESTS);
        thread::Builder::new()
            .name("key-value".to_owned())
            .spawn(move || serve(&connection, file, received))
            .context("cannot start the key-value thread")?;
        Ok(Self { requests, latency })
    }

    /// The store with this label.
    pub fn store(&self, label: &str) -> Store {
        Store { database: self.clone(), label: label.into() }
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Answer<T> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// One store of the database.
#[derive(Clone)]
pub struct Store {
    database: Database,
    label: Arc<str>,
}

impl Store {
    pub async fn get(&self, key: String) -> Answer<Option<Vec<u8>>> {
        self.database.ask(|reply| Request::Get { store: self.label.clone(), key, reply }).await
    }

    pub async fn set(&self, key: String, value: Vec<u8>) -> Answer<()> {
        self.database.ask(|reply| Request::Set { store: self.label.clone(), key, value, reply }).await
    }

    pub async fn delete(&self, key: String) -> Answer<()> {
        self.database.ask(|reply| Request::Delete { store: self.label.clone(), key, reply }).await
    }

    pub async fn exists(&self, key: String) -> Answer<bool> {
        self.database.ask(|reply| Request::Exists { store: self.label.clone(), key, reply }).await
    }

    /// The store's keys after `key`, in order, a page of them; none when there are no more.
    ///
    /// A listing goes page by page so that it never keeps the connection from the other requests.
    pub async fn keys_after(&self, key: String) -> Answer<Vec<String>> {
        self.database.ask(|reply| Request::KeysAfter { store: self.label.clone(), key, reply }).await
    }
}

fn stopped() -> String {
    "the key-value store has stopped".to_owned()
}

/// Opens the file as Spin does, with SQLite's defaults, a rollback journal and `synchronous=FULL`, but for what follows.
/// (A write-ahead log waits for the disk less often, but writes each value twice; it took longer for values of a million
/// bytes.)
fn open_connection(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // For a new file; it says nothing to one that has a table.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    // The journal is overwritten rather than removed: the folder's change needn't wait for the disk then, and a commit
    // is on the disk for good, which the removal of a file is not at once.
    connection.pragma_update(None, "journal_mode", "PERSIST")?;
    // A transaction writes what it has at its end, however much: writing some of it earlier would wait for the disk twice.
    connection.pragma_update(None, "cache_spill", false)?;
    connection.execute(
        "CREATE TABLE IF NOT EXISTS spin_key_value (
            store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key)
        )",
        [],
    )?;
    Ok(connection)
}

/// Serves requests until nobody can send any: those that wait at the same time together, first what reads, then what
/// writes.
fn serve(connection: &Connection, mut file: Growing, mut requests: mpsc::Receiver<Request>) {
    let mut waiting = Vec::new();
    while requests.blocking_recv_many(&mut waiting, WAITING_REQUESTS) > 0 {
        // One transaction for all that is read, so that the file is locked once. It ends before anything is written.
        let together = connection.unchecked_transaction();
        let writes: Vec<_> = waiting.drain(..).filter_map(|request| read(connection, request)).collect();
        drop(together);
        if !writes.is_empty() {
            write(connection, writes);
            file.give_back();
        }
    }
}

/// A change of one key, and who waits for it.
struct Write {
    store: Arc<str>,
    key: String,
    /// The value, or `None` to remove the key.
    value: Option<Vec<u8>>,
    reply: Reply<()>,
}

/// Serves a request that reads; another is handed back. Requests that overlap have no order.
fn read(connection: &Connection, request: Request) -> Option<Write> {
    // A reply that nobody waits for any more is dropped: the guest that asked is gone.
    match request {
        Request::Get { store, key, reply } => drop(reply.send(said(get(connection, &store, &key)))),
        Request::Exists { store, key, reply } => drop(reply.send(said(exists(connection, &store, &key)))),
        Request::KeysAfter { store, key, reply } => drop(reply.send(said(keys_after(connection, &store, &key)))),
        Request::Set { store, key, value, reply } => return Some(Write { store, key, value: Some(value), reply }),
        Request::Delete { store, key, reply } => return Some(Write { store, key, value: None, reply }),
    }
    None
}

/// Makes the changes and acknowledges them when they are on the disk: all by one transaction, so that they wait for the
/// disk once, or each by itself where that fails, since the fault may be one's own. A lock is nobody's own, and has been
/// waited for.
fn write(connection: &Connection, writes: Vec<Write>) {
    let together = if writes.len() > 1 { Some(write_together(connection, &writes)) } else { None };
    let of_all = match together {
        Some(Ok(())) => Some(Ok(())),
        Some(Err(error)) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Some(Err(error.to_string())),
        _ => None,
    };
    for write in writes {
        let written = of_all.clone().unwrap_or_else(|| said(write.run(connection)));
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

fn said<T>(result: rusqlite::Result<T>) -> Answer<T> {
    result.map_err(|error| error.to_string())
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

    /// Writes these keys together; what each of them is told.
    fn write_all(connection: &Connection, keys: &[&str]) -> Vec<Answer<()>> {
        let (writes, replies): (Vec<_>, Vec<_>) = keys
            .iter()
            .map(|key| {
                let (reply, answer) = oneshot::channel();
                (Write { store: "default".into(), key: (*key).to_owned(), value: Some(vec![1]), reply }, answer)
            })
            .unzip();
        write(connection, writes);
        replies.into_iter().map(|answer| answer.blocking_recv().unwrap()).collect()
    }

    #[test]
    fn writes_that_share_a_transaction_share_no_fault() {
        let connection = database();
        let told = write_all(&connection, &["a", "bad", "b"]);
        assert_eq!(told, [Ok(()), Err("refused".to_owned()), Ok(())]);
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
