//! What an upload is, on a key-value store: creating it, appending to it, completing it, reading it, deleting it.
//!
//! Nothing here knows HTTP, Spin or a protocol's JSON.
//!
//! # The layout in the store
//!
//! | key | value |
//! | --- | --- |
//! | `upload/<id>` | the record of the upload while it is open ([`Upload`], JSON, below 8 kB) |
//! | `upload/<id>/complete` | its record since it is complete; wins over the first |
//! | `upload/<id>/deleted` | the mark that it was deleted; wins over both |
//! | `data/<id>/<offset>-<tag>` | at most `segment_size` bytes of the file, from `offset` on |
//! | `page/<id>/<tag>` | a part of the record's list of chunks that has grown too long for the record |
//! | `list/<user>/<time>-<id>` | nothing: the key itself puts the upload on its user's list |
//!
//! # Why it is exact
//!
//! An upload's record names all that the upload consists of, and writing it is the commit of a chunk: one `set`,
//! after the store has acknowledged every value of the chunk. `<tag>` is a number of the request that wrote the value
//! ([`Attempt`]), drawn anew for each request, so no request ever writes a key that another one has written: values
//! never change. A late, repeated or hostile request can at worst write a record of its own, and that one is as
//! consistent as any. It can't undo a completion or a deletion, because these stand under keys of their own.
//!
//! Tags are drawn rather than computed from the running checksum because md5 collides at will today: two chunks with
//! equal running checksums would share a key, and the second would change what the first one's upload says. A drawn
//! tag needs no such trust, names a whole chunk instead of each of its values (so the record stays small), and lets a
//! request that fails remove what it wrote: nobody else can refer to it. What that costs: a repeated chunk writes its
//! bytes anew instead of over themselves.
//!
//! What a crashed request leaves behind is found by its tag, whose first bits are a time: see `sweep.rs`.
//!
//! Of two requests racing from one offset each commits a consistent upload, and the last one stands. Both look at the
//! record again right before they commit, so that the loser nearly always learns of it in its own answer.
//!
//! The same goes for completions, which look again too. Two of them with different bytes, both between that look and
//! their write, can both be acknowledged: with reads and writes alone, no number of steps decides who is first. The
//! simulation (`simulation/`) allows for exactly that, and finds nothing else.

mod append;
mod checksum;
mod chunks;
mod complete;
mod delete;
mod keys;
mod list;
mod read;
mod record;
mod sweep;

pub use append::Append;
pub(crate) use checksum::Hasher;
pub use checksum::{Algorithm, Checksum};
pub use complete::{Expected, Verified};
pub use list::{NoPlace, Owner, Place};
pub use read::Reading;
pub use record::{NewUpload, Upload};
pub use sweep::{Sweep, Swept};

use futures::future::join3;
use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// Keys that are removed at once.
const REMOVALS_IN_FLIGHT: usize = 8;

/// Why an upload could not be found, continued, completed or read. Nothing has changed in the store.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such upload, or it was deleted.
    #[error("there is no such upload")]
    NotFound,
    /// It is complete: it can't be continued.
    #[error("the upload is complete")]
    AlreadyComplete,
    /// The bytes don't follow those that are there.
    #[error("the upload stands at offset {expected}, not {provided}")]
    OffsetMismatch {
        /// Where the upload stands.
        expected: u64,
        /// Where the bytes would have begun.
        provided: u64,
    },
    /// It was to be complete by now.
    #[error("the upload has expired")]
    Expired,
    /// The request has taken so long that what it wrote may be swept away by now.
    #[error("the request took too long")]
    TooLate,
    /// The file's length was said before, and differently.
    #[error("the upload's total is {expected} bytes, not {provided}")]
    TotalMismatch {
        /// What was said first.
        expected: u64,
        /// What is said now.
        provided: u64,
    },
    /// Bytes are missing at the end: it can't be completed yet.
    #[error("the upload has {offset} of {total} bytes")]
    Incomplete {
        /// How many bytes are there.
        offset: u64,
        /// How many there should be.
        total: u64,
    },
    /// The file's checksum is another one than was expected.
    #[error("the checksum does not match")]
    ChecksumMismatch,
    /// What is stored can't be understood, or a part of it is missing.
    #[error("the stored upload is damaged: {0}")]
    Damaged(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One request's try at changing an upload: its clock, and the tag of all values it writes.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    clock: fn() -> Timestamp,
    began_at: Timestamp,
    tag: Uuid,
}

impl Attempt {
    /// A new attempt, now.
    pub fn now() -> Self {
        Self::new(system_time, Uuid::now_v7())
    }

    /// An attempt by another clock. `tag` is unique to it: a UUID of version 7 (RFC 9562), whose first bits are the
    /// clock's time, so that a value tells its age.
    pub fn new(clock: fn() -> Timestamp, tag: Uuid) -> Self {
        Self { clock, began_at: clock(), tag }
    }

    fn time(&self) -> Timestamp {
        (self.clock)()
    }
}

/// The system's time in whole microseconds, as the answers show it.
fn system_time() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// The uploads of a store, as one request sees them.
#[derive(Clone)]
pub struct Uploads<S> {
    records: S,
    blobs: S,
    /// Whether `blobs` is another store than `records`.
    blobs_apart: bool,
    attempt: Attempt,
}

impl<S: Store> Uploads<S> {
    /// The uploads whose records are in one store, and whose contents are there too or in another one.
    pub fn new(records: S, blobs: Option<S>, attempt: Attempt) -> Self {
        let blobs_apart = blobs.is_some();
        Self { blobs: blobs.unwrap_or_else(|| records.clone()), records, blobs_apart, attempt }
    }

    /// When the request began: the time that an upload of it is created.
    pub fn began_at(&self) -> Timestamp {
        self.attempt.began_at
    }

    /// The time now.
    pub fn time(&self) -> Timestamp {
        self.attempt.time()
    }

    /// Checks that the request may still commit what it has written.
    fn check_not_too_late(&self) -> Result<(), Error> {
        let age = self.time().duration_since(self.attempt.began_at);
        if age > sweep::MAX_REQUEST_AGE { Err(Error::TooLate) } else { Ok(()) }
    }

    /// The upload with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`], also where it was deleted; [`Error::Damaged`]; [`Error::Store`].
    pub async fn find(&self, id: Uuid) -> Result<Upload, Error> {
        let (deleted, complete, open) = (keys::deleted(id), keys::complete(id), keys::open(id));
        // All three to their end, even if one fails: an operation under way is not to be dropped.
        let (deleted, complete, open) =
            join3(self.records.get(&deleted), self.records.get(&complete), self.records.get(&open)).await;
        match (deleted?, complete?.or(open?)) {
            (None, Some(record)) => Upload::from_json(id, &record),
            _ => Err(Error::NotFound),
        }
    }
}
