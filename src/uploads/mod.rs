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
//! | `data/<id>/<offset>-<tag>` | a segment: at most `segment_size` bytes of the file, from `offset` on |
//! | `page/<id>/<tag>` | a part of the record's list of chunks that has grown too long for the record |
//! | `list/<user>/<time>-<id>` | nothing: the key itself puts the upload on its user's list |
//! | `mark/…` | the deployment's mark, which no upload has: see `mark.rs` |
//!
//! # Why it is exact
//!
//! An upload's record names all that the upload consists of. The write of the record is the commit of a chunk: one
//! `set`, after the store has acknowledged every segment of the chunk. `<tag>` is a number of the append that wrote the
//! segment ([`Clock::tag`]). Each append draws a new tag, so no request writes a key that another request has written,
//! and segments never change. A late, repeated or hostile request can at worst write a record of its own, which is as
//! consistent as any other. It can't undo a completion or a deletion, because these have keys of their own.
//!
//! Tags are drawn, and not computed from the running checksum, because anybody can make md5 collisions today. Two
//! chunks with equal running checksums would share a key, and the second chunk would change the upload of the first. A
//! drawn tag does not depend on the checksum. It names a whole chunk instead of each of its segments, so the record
//! stays small. A request that fails can remove what it wrote, because no other record can refer to it. The cost is
//! that a repeated chunk writes its bytes under new keys, instead of over the old ones.
//!
//! The sweep finds what a crashed request leaves behind by its tag, whose first bits are a time (`sweep/mod.rs`).
//!
//! If two requests race from one offset, each commits a consistent upload, and the last one stands. Both check the
//! record again right before they commit, so the loser nearly always learns of its loss in its own answer.
//!
//! The same is true for completions, which check the record again, too. Two completions with different bytes can both
//! be acknowledged, if both are between this check and their write. With reads and writes alone, no number of steps
//! decides which one is first. The simulation (`simulation/`) allows for exactly that, and finds nothing else.

mod append;
mod checksum;
mod chunks;
mod clock;
mod complete;
mod delete;
mod error;
mod keys;
mod list;
mod mark;
mod read;
mod record;
mod room;
mod short_id;
mod sweep;

pub use append::Append;
pub(crate) use checksum::Hasher;
pub use checksum::{Algorithm, Checksum};
pub use clock::{Clock, SystemClock};
pub use complete::{Expected, Verified};
pub use error::{Damage, Error};
pub use list::{InvalidCursor, ListCursor, Listing, Owner};
pub use read::ByteStream;
pub use record::{NewUpload, Upload};
pub use room::{Memory, Room};
pub use short_id::short_id;
pub(crate) use short_id::short_ids;
pub use sweep::{InvalidSweepCursor, Sweep, SweepCursor, Swept};

use std::rc::Rc;

use futures::future::join3;
use jiff::Timestamp;
use uuid::Uuid;

use crate::store::Store;

/// How many keys are removed at once.
const REMOVALS_IN_FLIGHT: usize = 8;

/// The uploads of a store, as one request sees them.
#[derive(Clone)]
pub struct Uploads<S> {
    records: S,
    blobs: S,
    /// Whether `blobs` is another store than `records`.
    blobs_apart: bool,
    clock: Rc<dyn Clock>,
    began_at: Timestamp,
    room: Room,
}

impl<S: Store> Uploads<S> {
    /// The uploads whose records are in one store. Their contents are in that store, too, or in another one.
    ///
    /// The request begins now, by this clock.
    pub fn new(records: S, blobs: Option<S>, clock: impl Clock + 'static) -> Self {
        let (blobs_apart, began_at) = (blobs.is_some(), clock.now());
        let blobs = blobs.unwrap_or_else(|| records.clone());
        Self { records, blobs, blobs_apart, clock: Rc::new(clock), began_at, room: Room::default() }
    }

    /// The same uploads, in memory that other requests use, too.
    pub fn with_room(self, room: Room) -> Self {
        Self { room, ..self }
    }

    /// The memory that the request shares with others.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// When the request began. An upload that it creates has this time.
    pub fn began_at(&self) -> Timestamp {
        self.began_at
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Checks that the request may still commit what it has written.
    fn check_not_too_late(&self) -> Result<(), Error> {
        let age = self.now().duration_since(self.began_at);
        if age > sweep::MAX_REQUEST_AGE { Err(Error::TooLate) } else { Ok(()) }
    }

    /// The upload with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`], also if the upload was deleted; [`Error::Damaged`]; [`Error::Store`].
    pub async fn find(&self, id: Uuid) -> Result<Upload, Error> {
        let (deleted, complete, open) = (keys::deleted(id), keys::complete(id), keys::open(id));
        // All three run to their end, even if one fails, because an operation under way must not be dropped.
        let (deleted, complete, open) =
            join3(self.records.get(&deleted), self.records.get(&complete), self.records.get(&open)).await;
        match (deleted?, complete?.or(open?)) {
            (None, Some(record)) => Upload::from_json(id, &record),
            _ => Err(Error::NotFound),
        }
    }
}
