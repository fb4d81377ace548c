//! The simulated stores. Each operation waits until the scheduler decides its outcome.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use spin_chunked_upload::store::{Keys, Store, StoreError};

use crate::bug::Bug;
use crate::{clock, neighbour};

/// How long after its replacement a stale value may still be returned.
const STALENESS: SignedDuration = SignedDuration::from_secs(3);

/// One of the simulated stores, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreId(pub usize);

/// An operation on a store.
#[derive(Clone, Debug)]
pub enum Operation {
    Get(String),
    Set(String, Bytes),
    Delete(String),
    Keys,
    /// No operation on the store. The request pauses, for example because its body is slow.
    Pause,
}

impl Operation {
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Set(..) | Self::Delete(_))
    }

    /// The key that the operation is about.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Get(key) | Self::Set(key, _) | Self::Delete(key) => Some(key),
            Self::Keys | Self::Pause => None,
        }
    }
}

/// The store's answer to an operation.
#[derive(Clone, Debug)]
pub enum Answer {
    Value(Option<Bytes>),
    Keys(Vec<String>),
    Done,
    Failed,
}

/// An operation that waits for the scheduler.
pub struct Pending {
    pub process: usize,
    pub store: StoreId,
    pub operation: Operation,
    pub since: Timestamp,
    reply: Rc<RefCell<Slot>>,
}

#[derive(Default)]
struct Slot {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

impl Pending {
    /// Answers the operation.
    pub fn answer(&self, answer: Answer) {
        let mut slot = self.reply.borrow_mut();
        slot.answer = Some(answer);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }
}

/// All values of a key, each with the time from which it is valid; `None` stands for a deletion.
type Versions = Vec<(Timestamp, Option<Bytes>)>;

/// The values of all stores, and the operations that wait.
#[derive(Default)]
pub struct World {
    values: BTreeMap<StoreId, BTreeMap<String, Versions>>,
    pub pending: Vec<Pending>,
    pub bug: Option<Bug>,
}

impl World {
    pub fn new(bug: Option<Bug>) -> Self {
        Self { bug, ..Self::default() }
    }

    /// Applies a write.
    pub fn apply(&mut self, store: StoreId, operation: &Operation) {
        let (key, value) = match operation {
            Operation::Set(key, value) => (key, Some(value.clone())),
            Operation::Delete(key) => (key, None),
            Operation::Get(_) | Operation::Keys | Operation::Pause => return,
        };
        if !Bug::drops(self.bug, key) {
            self.write(store, &Bug::key(self.bug, key), value);
        }
    }

    fn write(&mut self, store: StoreId, key: &str, value: Option<Bytes>) {
        self.values.entry(store).or_default().entry(key.to_owned()).or_default().push((clock::now(), value));
    }

    /// What a read returns: the newest value, or a value that was the newest one shortly before.
    pub fn read(&self, store: StoreId, operation: &Operation, random: Option<&mut fastrand::Rng>) -> Answer {
        match operation {
            Operation::Get(key) => {
                let versions = self.values.get(&store).and_then(|values| values.get(&Bug::key(self.bug, key)));
                let value = pick(versions.map(Vec::as_slice).unwrap_or_default(), random);
                Answer::Value(value.map(|value| Bug::value(self.bug, key, value)))
            }
            Operation::Keys => Answer::Keys(self.listed(store, random)),
            Operation::Set(..) | Operation::Delete(_) | Operation::Pause => Answer::Done,
        }
    }

    /// All keys of a store that have a value now.
    pub fn keys(&self, store: StoreId) -> Vec<String> {
        self.values_of(store)
            .filter(|(_, versions)| pick(versions, None).is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// The keys of a store as a request sees them.
    fn listed(&self, store: StoreId, mut random: Option<&mut fastrand::Rng>) -> Vec<String> {
        let has_value = |(_, versions): &(&String, &Versions)| pick(versions, random.as_deref_mut()).is_some();
        self.values_of(store).filter(has_value).map(|(key, _)| Bug::listed(self.bug, key)).collect()
    }

    fn values_of(&self, store: StoreId) -> impl Iterator<Item = (&String, &Versions)> {
        self.values.get(&store).into_iter().flatten()
    }

    /// The newest value of a key.
    pub fn value(&self, store: StoreId, key: &str) -> Option<Bytes> {
        pick(self.values.get(&store)?.get(key)?, None)
    }

    /// Removes all marks, as if all that is stored were of a version that had none.
    pub fn forget_marks(&mut self) {
        for values in self.values.values_mut() {
            values.retain(|key, _| !key.starts_with("mark/") || neighbour::owns(key));
        }
    }

    /// Sets a value at once, as another program does that uses the store.
    pub fn put(&mut self, store: StoreId, key: &str, value: Bytes) {
        self.write(store, key, Some(value));
    }
}

fn pick(versions: &[(Timestamp, Option<Bytes>)], random: Option<&mut fastrand::Rng>) -> Option<Bytes> {
    let newest = versions.len().checked_sub(1)?;
    let Some(random) = random else {
        return versions[newest].1.clone();
    };
    // A read may return a version while the version that replaced it is younger than `STALENESS`.
    let horizon = clock::now() - STALENESS;
    let oldest = versions.iter().position(|(since, _)| *since > horizon).unwrap_or(newest + 1);
    match random.usize(oldest..=newest + 1) {
        // Before the first version there was nothing.
        0 => None,
        index => versions[index - 1].1.clone(),
    }
}

/// A process's handle to a store.
#[derive(Clone)]
pub struct SimStore {
    pub world: Rc<RefCell<World>>,
    pub process: usize,
    pub store: StoreId,
}

impl SimStore {
    async fn ask(&self, operation: Operation) -> Answer {
        let reply = Rc::<RefCell<Slot>>::default();
        let since = clock::now();
        let pending = Pending { process: self.process, store: self.store, operation, since, reply: reply.clone() };
        self.world.borrow_mut().pending.push(pending);
        poll_fn(|context| {
            let mut slot = reply.borrow_mut();
            match slot.answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    slot.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Waits until the scheduler resumes the process, perhaps hours later.
    pub async fn pause(&self) {
        self.ask(Operation::Pause).await;
    }
}

impl Store for SimStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        match self.ask(Operation::Get(key.to_owned())).await {
            Answer::Value(value) => Ok(value),
            _ => Err(failed()),
        }
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        done(self.ask(Operation::Set(key.to_owned(), value)).await)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        done(self.ask(Operation::Delete(key.to_owned())).await)
    }

    fn keys(&self) -> Keys {
        let store = self.clone();
        let listing = stream::once(async move { store.ask(Operation::Keys).await });
        let keys = listing.flat_map(|answer| {
            stream::iter(match answer {
                Answer::Keys(keys) => keys.into_iter().map(Ok).collect(),
                _ => vec![Err(failed())],
            })
        });
        keys.boxed_local()
    }
}

fn done(answer: Answer) -> Result<(), StoreError> {
    if matches!(answer, Answer::Done) { Ok(()) } else { Err(failed()) }
}

fn failed() -> StoreError {
    StoreError::unavailable("simulated")
}
