//! Sweeping: removing uploads that have expired, and what failed or crashed requests have left behind.
//!
//! A value or a page that no record names is either a leftover or about to be named by a request under way. The tag in
//! its key tells when the request that wrote it began, and no request commits that began longer ago than
//! [`MAX_REQUEST_AGE`]; so what is older than [`LEFTOVER_AGE`] and not named is a leftover. The time between the two is
//! for clocks that differ and reads that are stale.
//!
//! A sweep goes through the uploads in the order of their ids, a bounded number at a time, and says where to go on: one
//! step holds a bounded number of keys, and fits into one request.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::keys::{self, Role};
use super::record::Upload;
use super::{Error, REMOVALS_IN_FLIGHT, Uploads};
use crate::store::{Keys, Store};

/// The longest that a request may take until it commits.
pub(super) const MAX_REQUEST_AGE: SignedDuration = SignedDuration::from_hours(12);
/// The age at which what isn't named by a record is a leftover.
const LEFTOVER_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How long after it expired an upload is left alone: longer than a completion takes that began right before.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(60);
/// Uploads that one step looks at.
const UPLOADS_A_STEP: usize = 500;
/// Leftovers that one step removes.
const REMOVALS_A_STEP: usize = 1_000;

/// What to sweep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// How long after its creation an incomplete upload expires.
    pub expiration_delta: SignedDuration,
    /// Whether to keep the records of expired uploads, and remove only their contents.
    pub keep_records: bool,
    /// Where the step before has stopped.
    pub after: Option<Uuid>,
}

/// What a step of a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many expired uploads were deleted, or lost their contents.
    pub expired: usize,
    /// How many keys of leftovers were removed.
    pub leftovers: usize,
    /// Whether there is more to look at.
    pub more: bool,
    /// Where the next step goes on.
    pub after: Option<Uuid>,
}

/// What the keys tell of an upload.
#[derive(Default)]
struct Found {
    open: bool,
    complete: bool,
    deleted: bool,
    /// The tags of its values and pages.
    tags: BTreeSet<Uuid>,
    /// Its key on a list, if that is old enough to be a leftover.
    old_listing: Option<String>,
}

/// Leftovers: an upload, and the tag of the request that wrote them.
type Leftovers = BTreeSet<(Uuid, Uuid)>;

impl<S: Store> Uploads<S> {
    /// Takes one step of a sweep. Requests on the same uploads may go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`]: what was done until then is done. A damaged record is left alone, and not an error.
    pub async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error> {
        let (found, more) = self.look(sweep.after).await?;
        let mut swept = Swept { more, after: found.last_key_value().map(|(id, _)| *id), ..Swept::default() };
        let mut leftovers = Leftovers::new();
        for (id, found) in found {
            match self.sweep_upload(id, found, sweep, &mut leftovers).await {
                Ok(expired) => swept.expired += usize::from(expired),
                Err(Error::Damaged(reason)) => eprintln!("error: the sweep leaves an upload alone: {reason}"),
                Err(error) => return Err(error),
            }
        }
        swept.leftovers = self.remove(&leftovers).await?;
        if swept.leftovers == REMOVALS_A_STEP {
            // The same uploads may have more of them.
            (swept.more, swept.after) = (true, sweep.after);
        }
        Ok(swept)
    }

    /// The first uploads after an id, by all keys, and whether there are others.
    async fn look(&self, after: Option<Uuid>) -> Result<(BTreeMap<Uuid, Found>, bool), Error> {
        let (mut uploads, mut more) = (BTreeMap::<Uuid, Found>::new(), false);
        let mut keys = self.all_keys();
        while let Some(key) = keys.try_next().await? {
            let Some((id, role)) = keys::parse(&key).filter(|(id, _)| after.is_none_or(|after| *id > after)) else {
                continue;
            };
            let found = uploads.entry(id).or_default();
            match role {
                Role::Open => found.open = true,
                Role::Complete => found.complete = true,
                Role::Deleted => found.deleted = true,
                Role::Written(tag) => drop(found.tags.insert(tag)),
                Role::Listed(place) if self.is_old(place.created_at()) => found.old_listing = Some(key),
                Role::Listed(_) => {}
            }
            if uploads.len() > UPLOADS_A_STEP {
                uploads.pop_last();
                more = true;
            }
        }
        Ok((uploads, more))
    }

    /// Adds the upload's leftovers, and says whether it has expired.
    async fn sweep_upload(
        &self,
        id: Uuid,
        found: Found,
        sweep: Sweep,
        leftovers: &mut Leftovers,
    ) -> Result<bool, Error> {
        let all = |found: Found| found.tags.into_iter().map(move |tag| (id, tag));
        let upload = match self.find(id).await {
            Ok(upload) => upload,
            Err(Error::NotFound) if found.deleted => {
                self.forget_deleted(id, found.open || found.complete).await?;
                leftovers.extend(all(found));
                return Ok(false);
            }
            Err(Error::NotFound) => {
                // It never came to a record. What is young may still.
                if let Some(listing) = &found.old_listing {
                    self.records.delete(listing).await?;
                }
                leftovers.extend(all(found).filter(|(_, tag)| self.is_old_tag(*tag)));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if upload.is_emptied() {
            leftovers.extend(all(found));
            return Ok(false);
        }
        // Not those that expired only just now: a completion may have begun right before.
        if upload.is_expired(self.time() - EXPIRY_MARGIN, sweep.expiration_delta) {
            // Another sweep may have been between the reads of its record and of the mark that it is deleted.
            match self.check_unmoved(Some(&upload)).await {
                Ok(()) => {}
                Err(error @ (Error::Store(_) | Error::Damaged(_))) => return Err(error),
                Err(_) => return Ok(false),
            }
            if sweep.keep_records {
                self.empty(upload).await?
            } else {
                self.mark_deleted(&upload).await?
            }
            leftovers.extend(all(found));
            return Ok(true);
        }
        let old: BTreeSet<Uuid> = found.tags.iter().copied().filter(|tag| self.is_old_tag(*tag)).collect();
        if !old.is_empty() {
            let named = self.named_tags(&upload, found.open && found.complete).await?;
            leftovers.extend(old.difference(&named).map(|tag| (id, *tag)));
        }
        if found.open && upload.completed_at.is_some_and(|completed_at| self.is_old(completed_at)) {
            // A completed upload's first record serves nobody any more.
            self.records.delete(&keys::open(id)).await?;
        }
        Ok(false)
    }

    /// Removes what is left of a deleted upload's records when no request can be under way that the mark must stop, and
    /// the mark itself one sweep later: who has read a record right before it went must not find the mark gone.
    async fn forget_deleted(&self, id: Uuid, has_records: bool) -> Result<(), Error> {
        let mark = self.records.get(&keys::deleted(id)).await?.unwrap_or_default();
        let deleted_at = std::str::from_utf8(&mark).ok().and_then(|text| text.parse().ok());
        if !deleted_at.is_some_and(|deleted_at| self.is_old(deleted_at)) {
            return Ok(());
        }
        if has_records {
            self.records.delete(&keys::complete(id)).await?;
            self.records.delete(&keys::open(id)).await?;
        } else {
            self.records.delete(&keys::deleted(id)).await?;
        }
        Ok(())
    }

    /// The tags that the upload's record names, and those of the record it had while it was open.
    async fn named_tags(&self, upload: &Upload, with_open_record: bool) -> Result<BTreeSet<Uuid>, Error> {
        let mut tags = self.tags_of(upload).await?;
        if with_open_record && let Some(record) = self.records.get(&keys::open(upload.id)).await? {
            tags.extend(self.tags_of(&Upload::from_json(upload.id, &record)?).await?);
        }
        Ok(tags)
    }

    async fn tags_of(&self, upload: &Upload) -> Result<BTreeSet<Uuid>, Error> {
        let parts = self.parts(upload, 0..upload.offset());
        let tags = parts.try_filter_map(|part| async move {
            Ok(match keys::parse(part.key()) {
                Some((_, Role::Written(tag))) => Some(tag),
                _ => None,
            })
        });
        tags.try_collect().await
    }

    /// Removes the keys of leftovers, at most [`REMOVALS_A_STEP`] of them, and says how many.
    async fn remove(&self, leftovers: &Leftovers) -> Result<usize, Error> {
        if leftovers.is_empty() {
            return Ok(0);
        }
        let mut listed = self.all_keys();
        let mut keys = Vec::new();
        while let Some(key) = listed.try_next().await? {
            let is_leftover =
                matches!(keys::parse(&key), Some((id, Role::Written(tag))) if leftovers.contains(&(id, tag)));
            // A listing is read to its end, whatever more it has.
            if is_leftover && keys.len() < REMOVALS_A_STEP {
                keys.push(key);
            }
        }
        let removals = stream::iter(&keys).map(|key| self.blobs.delete(key)).buffer_unordered(REMOVALS_IN_FLIGHT);
        removals.try_collect::<()>().await?;
        Ok(keys.len())
    }

    fn is_old(&self, time: Timestamp) -> bool {
        self.time().duration_since(time) > LEFTOVER_AGE
    }

    /// Whether the request with this tag began so long ago that it can't commit any more.
    fn is_old_tag(&self, tag: Uuid) -> bool {
        let began_at = tag.get_timestamp().and_then(|timestamp| {
            let (seconds, nanoseconds) = timestamp.to_unix();
            Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
        });
        began_at.is_some_and(|began_at| self.is_old(began_at))
    }

    /// All keys of both stores.
    fn all_keys(&self) -> Keys {
        match self.blobs_apart {
            true => self.records.keys().chain(self.blobs.keys()).boxed_local(),
            false => self.records.keys(),
        }
    }
}
