//! Listing uploads, oldest first.
//!
//! A store lists its keys in no order and without a prefix. So an upload that is to be listed has a key of its own,
//! which tells the upload's user and the time of its creation. A listing goes through all keys once. It holds as many
//! cursors as the caller asks for, or one for each of the owner's uploads if the caller asks for all.

use std::collections::BTreeSet;
use std::str::FromStr;

use futures::stream::{self, LocalBoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Uploads;
use super::error::{Damage, Error};
use super::record::Upload;
use super::short_id::short_id;
use crate::error_chain::error_chain;
use crate::store::Store;

/// How many records are fetched ahead of the reader.
const READS_IN_FLIGHT: usize = 4;
const PREFIX: &str = "list/";

/// Whose uploads to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The uploads of all users, and those without a user.
    Anyone,
    /// The uploads of this user.
    User(&'a str),
}

/// An upload's place in a list, which is ordered by creation, then by id. The cursor's text (`<microseconds>-<id>`)
/// sorts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListCursor {
    created_at: Timestamp,
    id: Uuid,
}

impl ListCursor {
    /// The cursor of this upload.
    pub fn of(upload: &Upload) -> Self {
        Self { created_at: upload.created_at, id: upload.id }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn created_at(&self) -> Timestamp {
        self.created_at
    }
}

impl std::fmt::Display for ListCursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016}-{}", self.created_at.as_microsecond(), self.id)
    }
}

/// The text is not a cursor of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl FromStr for ListCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (microseconds, id) = text.split_once('-').ok_or(InvalidCursor)?;
        let microseconds = microseconds.parse().map_err(|_| InvalidCursor)?;
        let created_at = Timestamp::from_microsecond(microseconds).map_err(|_| InvalidCursor)?;
        Ok(Self { created_at, id: Uuid::try_parse(id).map_err(|_| InvalidCursor)? })
    }
}

/// The key that puts an upload on the list of its user's uploads.
pub(super) fn key(upload: &Upload) -> String {
    format!("{}{}", prefix(upload.user.as_deref()), ListCursor::of(upload))
}

/// What the keys of a user's list begin with. A user's name may be long and have any characters, so the key has its
/// hash.
fn prefix(user: Option<&str>) -> String {
    match user {
        Some(user) => format!("{PREFIX}{}/", hex::encode(&Sha256::digest(user)[..16])),
        None => format!("{PREFIX}-/"),
    }
}

impl Owner<'_> {
    /// The cursor in a key, if the key is on this owner's list.
    fn cursor(self, key: &str) -> Option<ListCursor> {
        let cursor = match self {
            Self::Anyone => key.strip_prefix(PREFIX)?.split_once('/')?.1,
            Self::User(user) => key.strip_prefix(&prefix(Some(user)))?,
        };
        cursor.parse().ok()
    }

    fn owns(self, upload: &Upload) -> bool {
        match self {
            Self::Anyone => true,
            Self::User(user) => upload.user.as_deref() == Some(user),
        }
    }
}

impl<S: Store> Uploads<S> {
    /// The cursors of the owner's uploads after a cursor, oldest first, at most `limit` of them. An upload may be gone
    /// when it is looked up.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(
        &self,
        owner: Owner<'_>,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<Vec<ListCursor>, Error> {
        let mut keys = self.records.keys();
        let mut cursors = BTreeSet::new();
        while let Some(key) = keys.try_next().await? {
            let Some(cursor) = owner.cursor(&key).filter(|cursor| after.is_none_or(|after| *cursor > after)) else {
                continue;
            };
            cursors.insert(cursor);
            if cursors.len() > limit {
                cursors.pop_last();
            }
        }
        Ok(cursors.into_iter().collect())
    }

    /// The owner's uploads at these cursors, in their order. Uploads that are gone or damaged are left out.
    pub fn look_up<'a>(&self, owner: Owner<'a>, cursors: Vec<ListCursor>) -> LocalBoxStream<'a, Result<Upload, Error>> {
        let uploads = self.clone();
        let lookups = stream::iter(cursors).map(move |cursor| {
            let uploads = uploads.clone();
            async move {
                match uploads.find(cursor.id).await {
                    Ok(upload) => Ok(Some(upload).filter(|upload| owner.owns(upload))),
                    Err(Error::NotFound) => Ok(None),
                    Err(Error::Damaged(damage)) => {
                        log_skipped(cursor.id, &damage);
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
        });
        lookups.buffered(READS_IN_FLIGHT).try_filter_map(|found| async move { Ok(found) }).boxed_local()
    }
}

/// Logs that a damaged record is left alone.
pub(super) fn log_skipped(id: Uuid, damage: &Damage) {
    log::error!(upload:% = short_id(id), error:% = error_chain(damage); "record_skipped");
}
