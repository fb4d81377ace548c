//! An upload's record.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::checksum::{Algorithm, Checksum, Hasher, HasherState};
use super::chunks::Chunks;
use super::error::Damage;
use super::short_id::short_id;
use super::{Append, Error, Uploads};
use crate::store::Store;

/// An upload as in its record. Times are whole microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The upload's id.
    pub id: Uuid,
    /// The name that the client gave the file: at most 255 characters of any kind.
    pub filename: String,
    /// The path that the file is served under once it is complete, without a slash at the start.
    pub path: String,
    /// The user that created the upload; `None` if users are not told apart.
    pub user: Option<String>,
    /// When the upload was created.
    pub created_at: Timestamp,
    /// When it was completed; `None` until then.
    pub completed_at: Option<Timestamp>,
    /// The file's length in bytes; `None` while the client hasn't declared it.
    pub total: Option<u64>,
    /// How many bytes there were, if the upload expired and was purged of its contents.
    #[serde(rename = "emptied_at", default, skip_serializing_if = "Option::is_none")]
    purged_offset: Option<u64>,
    /// The most bytes that one of the upload's segments has.
    pub(super) segment_size: u32,
    pub(super) chunks: Chunks,
    pub(super) checksum: Progress,
}

/// The checksum in the record: running, then done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Progress {
    Running(HasherState),
    Done(Checksum),
}

/// What is known of an upload when it begins.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// The id. It must be random: where users are not told apart, it is all that protects the upload.
    pub id: Uuid,
    /// The file's name.
    pub filename: String,
    /// The path that the file will be served under.
    pub path: String,
    /// The user that creates the upload.
    pub user: Option<String>,
    /// The file's length in bytes, if it is known.
    pub total: Option<u64>,
    /// The checksum's algorithm.
    pub algorithm: Algorithm,
    /// The most bytes that a segment may have; at least 1.
    pub segment_size: u32,
    /// Whether the upload is on its user's list, which costs a key.
    pub listed: bool,
}

impl Upload {
    pub(super) fn new(new: NewUpload, created_at: Timestamp) -> Self {
        Self {
            id: new.id,
            filename: new.filename,
            path: new.path,
            user: new.user,
            created_at,
            completed_at: None,
            total: new.total,
            purged_offset: None,
            segment_size: new.segment_size.max(1),
            chunks: Chunks::default(),
            checksum: Progress::Running(Hasher::new(new.algorithm).save()),
        }
    }

    /// How many bytes have arrived: where the next chunk begins.
    pub fn offset(&self) -> u64 {
        self.purged_offset.unwrap_or_else(|| self.chunks.len())
    }

    /// Whether the upload expired, and lost its contents for good.
    pub fn is_purged(&self) -> bool {
        self.purged_offset.is_some()
    }

    pub(super) fn purge(&mut self) {
        self.purged_offset = Some(self.offset());
        self.chunks = Chunks::default();
    }

    /// Whether the file is complete and verified.
    pub fn is_complete(&self) -> bool {
        self.completed_at.is_some()
    }

    /// The file's verified checksum; `None` while the upload is open.
    pub fn checksum(&self) -> Option<&Checksum> {
        match &self.checksum {
            Progress::Running(_) => None,
            Progress::Done(checksum) => Some(checksum),
        }
    }

    /// The algorithm of the file's checksum.
    pub fn algorithm(&self) -> Algorithm {
        match &self.checksum {
            Progress::Running(state) => state.algorithm,
            Progress::Done(checksum) => checksum.algorithm,
        }
    }

    /// When the upload expires, if it isn't complete by then.
    pub fn expires_at(&self, expiration_delta: SignedDuration) -> Timestamp {
        self.created_at.checked_add(expiration_delta).unwrap_or(Timestamp::MAX)
    }

    /// Whether the upload is open although its expiry has passed.
    pub fn is_expired(&self, now: Timestamp, expiration_delta: SignedDuration) -> bool {
        !self.is_complete() && (self.is_purged() || self.expires_at(expiration_delta) <= now)
    }

    /// The running checksum.
    ///
    /// # Errors
    /// [`Error::AlreadyComplete`]; [`Error::Damaged`].
    pub(super) fn hasher(&self) -> Result<Hasher, Error> {
        match &self.checksum {
            Progress::Running(state) => Hasher::resume(state),
            Progress::Done(_) => Err(Error::AlreadyComplete),
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|error| {
            Damage::new(format!("the record of {} can't be written", short_id(self.id))).because(error).into()
        })
    }

    pub(super) fn from_json(id: Uuid, json: &[u8]) -> Result<Self, Error> {
        let upload: Self = serde_json::from_slice(json)
            .map_err(|error| Damage::new(format!("the record of {} can't be read", short_id(id))).because(error))?;
        match upload.fault(id) {
            None => Ok(upload),
            Some(fault) => Err(Damage::new(format!("the record of {} can't be right: {fault}", short_id(id))).into()),
        }
    }

    /// A fault that no record of this service has. The rest of this crate relies on that.
    fn fault(&self, id: Uuid) -> Option<&'static str> {
        let is_done = matches!(self.checksum, Progress::Done(_));
        if self.id != id {
            Some("it is another upload's")
        } else if self.segment_size == 0 {
            Some("its segments have no bytes")
        } else if self.is_complete() != is_done {
            Some("it is complete by half")
        } else if self.created_at.min(self.completed_at.unwrap_or(Timestamp::MAX)) < Timestamp::UNIX_EPOCH {
            // The crate `headers` can't write an earlier date.
            Some("it is from before 1970")
        } else {
            self.chunks.fault()
        }
    }
}

impl<S: Store> Uploads<S> {
    /// Begins an upload. The upload does not exist before the append's first commit.
    ///
    /// # Errors
    /// [`Error::Damaged`], which is a fault of this crate. A caller can't cause it.
    pub fn create(&self, new: NewUpload) -> Result<Append<S>, Error> {
        let listed = new.listed;
        let mut append = Append::begin(self, Upload::new(new, self.began_at), None)?;
        append.listed = listed;
        Ok(append)
    }
}
