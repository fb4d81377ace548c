//! Listing uploads, oldest first.
//!
//! A store lists its keys in no order and without a prefix. So an upload that is to be listed has a key of its own,
//! which tells the upload's user and the time of its creation. A listing goes through all keys once. It holds at most
//! as many cursors as the caller asks for.

use std::collections::BTreeSet;
use std::str::FromStr;

use futures::stream::{self, LocalBoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Uploads;
use super::error::{Damage, Error};
use super::keys::{self, Role};
use super::record::Upload;
use super::short_id::short_id;
use crate::error_chain::error_chain;
use crate::store::Store;

/// How many records are fetched ahead of the reader.
const READS_IN_FLIGHT: usize = 16;
/// How many cursors a listing holds even while memory is short. They take less than 100 kB.
const CURSORS_AT_LEAST: usize = 1_000;
const PREFIX: &str = "list/";

/// Whose uploads to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The uploads of all users, and those without a user.
    Anyone,
    /// The uploads of this user.
    User(String),
}

/// What a listing has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The places of the first uploads, oldest first. An upload may be gone when it is looked up.
    pub cursors: BTreeSet<ListCursor>,
    /// Whether there are more uploads after these.
    pub goes_on: bool,
}

/// An upload's place in a list, which is ordered by creation, then by id. The cursor's text (`<microseconds>-<id>`)
/// sorts the same.
///
/// It takes little memory, because a listing may hold many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListCursor {
    /// When the upload was created, in microseconds since 1970.
    created_at: i64,
    id: Uuid,
}

impl ListCursor {
    /// The cursor of this upload.
    pub fn of(upload: &Upload) -> Self {
        Self { created_at: upload.created_at.as_microsecond(), id: upload.id }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn created_at(&self) -> Timestamp {
        // Every cursor is made of a time.
        Timestamp::from_microsecond(self.created_at).unwrap_or(Timestamp::MAX)
    }
}

impl std::fmt::Display for ListCursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016}-{}", self.created_at, self.id)
    }
}

/// The text is not a cursor of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl FromStr for ListCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (microseconds, id) = text.split_once('-').ok_or(InvalidCursor)?;
        let created_at = microseconds.parse().map_err(|_| InvalidCursor)?;
        Timestamp::from_microsecond(created_at).map_err(|_| InvalidCursor)?;
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

impl Owner {
    /// What the keys of this owner's uploads begin with.
    fn prefix(&self) -> String {
        match self {
            Self::Anyone => PREFIX.to_owned(),
            Self::User(user) => prefix(Some(user)),
        }
    }

    fn owns(&self, upload: &Upload) -> bool {
        match self {
            Self::Anyone => true,
            Self::User(user) => upload.user.as_ref() == Some(user),
        }
    }
}

/// The cursor in a key, if the key begins with this prefix.
fn cursor(key: &str, prefix: &str) -> Option<ListCursor> {
    match keys::parse(key) {
        Some((_, Role::Listed(cursor))) if key.starts_with(prefix) => Some(cursor),
        _ => None,
    }
}

impl<S: Store> Uploads<S> {
    /// Lists the owner's uploads after a cursor, at most `limit` of them.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, owner: &Owner, after: Option<ListCursor>, limit: usize) -> Result<Listing, Error> {
        let prefix = owner.prefix();
        let mut keys = self.records.keys();
        let mut listing = Listing::default();
        // The first cursor that is left to the next page.
        let mut end = None;
        while let Some(key) = keys.try_next().await? {
            let is_on_page =
                |cursor: &ListCursor| after.is_none_or(|after| *cursor > after) && end.is_none_or(|end| *cursor < end);
            let Some(cursor) = cursor(&key, &prefix).filter(is_on_page) else {
                continue;
            };
            listing.cursors.insert(cursor);
            // A listing that waited for memory would hold up all others of its instance. So the page is short.
            let is_short = listing.cursors.len() > CURSORS_AT_LEAST && self.room.is_short();
            if listing.cursors.len() > limit || is_short {
                end = listing.cursors.pop_last();
                listing.goes_on = true;
            }
        }
        Ok(listing)
    }

    /// The owner's uploads at these cursors, each with its cursor. There is `None` for an upload that is gone or
    /// damaged.
    pub fn look_up(
        &self,
        owner: Owner,
        cursors: BTreeSet<ListCursor>,
    ) -> LocalBoxStream<'static, Result<(ListCursor, Option<Upload>), Error>> {
        let uploads = self.clone();
        let lookups = stream::iter(cursors).map(move |cursor| {
            let (uploads, owner) = (uploads.clone(), owner.clone());
            async move {
                let found = uploads.find_listed(cursor.id).await?;
                Ok((cursor, found.filter(|upload| owner.owns(upload))))
            }
        });
        lookups.buffered(READS_IN_FLIGHT).boxed_local()
    }

    async fn find_listed(&self, id: Uuid) -> Result<Option<Upload>, Error> {
        match self.find(id).await {
            Ok(upload) => Ok(Some(upload)),
            Err(Error::NotFound) => Ok(None),
            Err(Error::Damaged(damage)) => {
                log_skipped(id, &damage);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Logs that a damaged record is left alone.
pub(super) fn log_skipped(id: Uuid, damage: &Damage) {
    log::error!(upload:% = short_id(id), error:% = error_chain(damage); "record_skipped");
}
