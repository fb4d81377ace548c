//! Listing uploads, oldest first.
//!
//! A store lists its keys in no order and without a prefix, so an upload that is to be listed has a key of its own that
//! says whose it is and when it was created. A listing goes through all keys once and holds no more of them than it
//! is asked for, or one of every upload of the owner's where it is asked for all.

use std::collections::BTreeSet;
use std::str::FromStr;

use futures::stream::{self, LocalBoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::record::Upload;
use super::{Error, Uploads};
use crate::store::Store;

/// Records that are fetched ahead of the reader.
const READS_IN_FLIGHT: usize = 4;
const PREFIX: &str = "list/";

/// Whose uploads to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// Everyone's, also those that nobody is said to have made.
    Anyone,
    /// This user's.
    User(&'a str),
}

/// An upload's place in a list: by creation, then by id. As text (`<microseconds>-<id>`) it sorts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    created_at: Timestamp,
    id: Uuid,
}

impl Place {
    /// The place of this upload.
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

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016}-{}", self.created_at.as_microsecond(), self.id)
    }
}

/// The text is no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (microseconds, id) = text.split_once('-').ok_or(NoPlace)?;
        let microseconds = microseconds.parse().map_err(|_| NoPlace)?;
        let created_at = Timestamp::from_microsecond(microseconds).map_err(|_| NoPlace)?;
        Ok(Self { created_at, id: Uuid::try_parse(id).map_err(|_| NoPlace)? })
    }
}

/// The key that puts an upload on the list of its user's uploads.
pub(super) fn key(upload: &Upload) -> String {
    format!("{}{}", prefix(upload.user.as_deref()), Place::of(upload))
}

/// A user's name may be long and of any characters; its hash is neither.
fn prefix(user: Option<&str>) -> String {
    match user {
        Some(user) => format!("{PREFIX}{}/", hex::encode(&Sha256::digest(user)[..16])),
        None => format!("{PREFIX}-/"),
    }
}

impl Owner<'_> {
    /// The place that a key stands for, if it is on this owner's list.
    fn place(self, key: &str) -> Option<Place> {
        let place = match self {
            Self::Anyone => key.strip_prefix(PREFIX)?.split_once('/')?.1,
            Self::User(user) => key.strip_prefix(&prefix(Some(user)))?,
        };
        place.parse().ok()
    }

    fn owns(self, upload: &Upload) -> bool {
        match self {
            Self::Anyone => true,
            Self::User(user) => upload.user.as_deref() == Some(user),
        }
    }
}

impl<S: Store> Uploads<S> {
    /// The places of the owner's uploads after a place, oldest first, at most `limit` of them. An upload may be gone by
    /// the time it is looked up.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn places(&self, owner: Owner<'_>, after: Option<Place>, limit: usize) -> Result<Vec<Place>, Error> {
        let mut keys = self.records.keys();
        let mut places = BTreeSet::new();
        while let Some(key) = keys.try_next().await? {
            let Some(place) = owner.place(&key).filter(|place| after.is_none_or(|after| *place > after)) else {
                continue;
            };
            places.insert(place);
            if places.len() > limit {
                places.pop_last();
            }
        }
        Ok(places.into_iter().collect())
    }

    /// The owner's uploads at these places, in their order; those that are gone or damaged are left out.
    pub fn at<'a>(&self, owner: Owner<'a>, places: Vec<Place>) -> LocalBoxStream<'a, Result<Upload, Error>> {
        let uploads = self.clone();
        let lookups = stream::iter(places).map(move |place| {
            let uploads = uploads.clone();
            async move {
                match uploads.find(place.id).await {
                    Ok(upload) => Ok(Some(upload).filter(|upload| owner.owns(upload))),
                    Err(Error::NotFound) => Ok(None),
                    Err(Error::Damaged(reason)) => {
                        eprintln!("error: the list leaves an upload out: {reason}");
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
        });
        lookups.buffered(READS_IN_FLIGHT).try_filter_map(|found| async move { Ok(found) }).boxed_local()
    }
}
