//! Sweeping: removing uploads that have expired, and the orphans that failed or crashed requests have left behind.
//!
//! A segment or a page that no record names is either an orphan, or about to be named by a request under way. The tag in
//! its key tells when the append that wrote it began. No append commits that began longer ago than [`MAX_REQUEST_AGE`].
//! So what is older than a day and not named is an orphan. The time between the two is for clocks that differ and reads
//! that are stale.
//!
//! A sweep goes through the uploads in the order of their ids, a bounded number at a time, and says where to go on: one
//! step holds a bounded number of keys, and fits into one request. For each upload, `verdict.rs` decides by what was
//! found, and this module does it.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::SignedDuration;
use uuid::Uuid;

use super::keys::{self, Role};
use super::list::log_skipped;
use super::record::Upload;
use super::{Error, REMOVALS_IN_FLIGHT, Uploads};
use crate::store::{Keys, Store};
use verdict::{Ages, Found, Verdict, verdict};

/// The longest that a request may take until it commits.
pub(super) const MAX_REQUEST_AGE: SignedDuration = SignedDuration::from_hours(12);
/// Uploads that one step looks at.
const UPLOADS_A_STEP: usize = 500;
/// Orphans that one step removes.
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
    /// How many expired uploads were deleted, or purged of their contents.
    pub expired: usize,
    /// How many keys of orphans were removed.
    pub orphans: usize,
    /// Whether there is more to look at.
    pub more: bool,
    /// Where the next step goes on.
    pub after: Option<Uuid>,
}

/// Orphans: an upload, and the tag that they were written under.
type Orphans = BTreeSet<(Uuid, Uuid)>;

impl<S: Store> Uploads<S> {
    /// Takes one step of a sweep. Requests on the same uploads may go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`]: what was done until then is done. A damaged record is left alone, and is no error.
    pub async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error> {
        let (found, more) = self.look(sweep.after).await?;
        let mut swept = Swept { more, after: found.last_key_value().map(|(id, _)| *id), ..Swept::default() };
        let mut orphans = Orphans::new();
        for (id, found) in found {
            match self.sweep_upload(id, found, sweep, &mut orphans).await {
                Ok(expired) => swept.expired += usize::from(expired),
                Err(Error::Damaged(damage)) => log_skipped(id, &damage),
                Err(error) => return Err(error),
            }
        }
        swept.orphans = self.remove(&orphans).await?;
        if swept.orphans == REMOVALS_A_STEP {
            // The same uploads may have more of them.
            (swept.more, swept.after) = (true, sweep.after);
        }
        log::info!(deleted = swept.expired, removed = swept.orphans, more = swept.more; "swept");
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
                Role::Listed(cursor) => found.listing = Some((key, cursor.created_at())),
            }
            if uploads.len() > UPLOADS_A_STEP {
                uploads.pop_last();
                more = true;
            }
        }
        Ok((uploads, more))
    }

    /// Decides on an upload, and does it. Adds its orphans, and says whether it has expired.
    async fn sweep_upload(&self, id: Uuid, found: Found, sweep: Sweep, orphans: &mut Orphans) -> Result<bool, Error> {
        let upload = match self.find(id).await {
            Ok(upload) => Some(upload),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let verdict = verdict(&found, upload.as_ref(), self.ages(sweep.expiration_delta));
        let mut add = |tags: BTreeSet<Uuid>| orphans.extend(tags.into_iter().map(|tag| (id, tag)));
        match (verdict, upload) {
            (Verdict::Deleted, _) => {
                self.forget_deleted(id, found.open || found.complete).await?;
                add(found.tags);
            }
            (Verdict::Uncommitted { orphans, listing }, _) => {
                if let Some(listing) = &listing {
                    self.records.delete(listing).await?;
                }
                add(orphans);
            }
            (Verdict::Purged, _) => add(found.tags),
            (Verdict::Expired, Some(upload)) => {
                let expired = self.expire(upload, sweep.keep_records).await?;
                if expired {
                    add(found.tags);
                }
                return Ok(expired);
            }
            (Verdict::Kept { suspects, drops_open_record }, Some(upload)) => {
                if !suspects.is_empty() {
                    let named = self.named_tags(&upload, found.open && found.complete).await?;
                    add(suspects.difference(&named).copied().collect());
                }
                if drops_open_record {
                    self.records.delete(&keys::open(id)).await?;
                }
            }
            // Without a record, nothing has expired or is kept.
            (Verdict::Expired | Verdict::Kept { .. }, None) => {}
        }
        Ok(false)
    }

    fn ages(&self, expiration_delta: SignedDuration) -> Ages {
        Ages { now: self.now(), expiration_delta }
    }

    /// Deletes or purges an expired upload, unless another request was faster.
    async fn expire(&self, upload: Upload, keep_record: bool) -> Result<bool, Error> {
        // Another sweep may have been between the reads of its record and of the mark that it is deleted.
        match self.check_unmoved(Some(&upload)).await {
            Ok(()) => {}
            Err(error @ (Error::Store(_) | Error::Damaged(_))) => return Err(error),
            Err(_) => return Ok(false),
        }
        if keep_record {
            self.purge(upload).await?;
        } else {
            self.mark_deleted(&upload).await?;
        }
        Ok(true)
    }

    /// Removes what is left of a deleted upload's records when no request can be under way that the mark must stop. The
    /// mark itself goes one sweep later: who has read a record right before it went must not find the mark gone.
    async fn forget_deleted(&self, id: Uuid, has_records: bool) -> Result<(), Error> {
        let mark = self.records.get(&keys::deleted(id)).await?.unwrap_or_default();
        let deleted_at = std::str::from_utf8(&mark).ok().and_then(|text| text.parse().ok());
        let ages = self.ages(SignedDuration::ZERO);
        if !deleted_at.is_some_and(|deleted_at| ages.is_old(deleted_at)) {
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

    /// Removes the keys of orphans, at most [`REMOVALS_A_STEP`] of them, and says how many.
    async fn remove(&self, orphans: &Orphans) -> Result<usize, Error> {
        if orphans.is_empty() {
            return Ok(0);
        }
        let mut listed = self.all_keys();
        let mut keys = Vec::new();
        while let Some(key) = listed.try_next().await? {
            let is_orphan = matches!(keys::parse(&key), Some((id, Role::Written(tag))) if orphans.contains(&(id, tag)));
            // A listing is read to its end, whatever more it has.
            if is_orphan && keys.len() < REMOVALS_A_STEP {
                keys.push(key);
            }
        }
        let removals = stream::iter(&keys).map(|key| self.blobs.delete(key)).buffer_unordered(REMOVALS_IN_FLIGHT);
        removals.try_collect::<()>().await?;
        Ok(keys.len())
    }

    /// All keys of both stores.
    fn all_keys(&self) -> Keys {
        match self.blobs_apart {
            true => self.records.keys().chain(self.blobs.keys()).boxed_local(),
            false => self.records.keys(),
        }
    }
}
