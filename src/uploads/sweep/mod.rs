//! Sweeping: removing uploads that have expired, and the orphans that failed or crashed requests have left behind.
//!
//! If no record names a segment or a page, it is an orphan, or a request under way may still name it. The tag in its
//! key tells when the append that wrote it began. An append that began longer ago than [`MAX_REQUEST_AGE`] does not
//! commit. So a part that is older than a day and not named is an orphan. The time between the two allows for clocks
//! that differ and for stale reads. If the upload has no record, that holds only if nobody else keeps contents in the
//! store, so a sweep first compares the marks in both stores (`mark.rs`).
//!
//! A sweep goes through the uploads in the order of their ids, and through the contents of an upload in the order of
//! the file. One step lists all keys once and holds a bounded number of them (`window.rs`). It stops when its time is
//! over, and tells where the next step goes on (`cursor.rs`). For each upload, `verdict.rs` decides what to do, and
//! this module does it.

mod cursor;
mod verdict;
mod window;

use futures::future::{join, join_all};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::keys::{self, Role};
use super::list::log_skipped;
use super::read::Part;
use super::record::Upload;
use super::short_id::short_id;
use super::{Error, REMOVALS_IN_FLIGHT, Uploads};
use crate::store::Store;
pub use cursor::{InvalidSweepCursor, SweepCursor};
use verdict::{Ages, Found, Verdict, verdict};
use window::{Contents, Window};

/// The longest that a request may take until it commits.
pub(super) const MAX_REQUEST_AGE: SignedDuration = SignedDuration::from_hours(12);
/// How many uploads are swept at once, so that all of them together pay the latency of a distant store only once.
const UPLOADS_AT_ONCE: usize = 32;
/// How many orphans are removed between two checks of the time.
const REMOVALS_AT_ONCE: usize = 4 * REMOVALS_IN_FLIGHT;

/// What to sweep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// How long after its creation an incomplete upload expires.
    pub expiration_delta: SignedDuration,
    /// Whether to keep the records of expired uploads, and remove only their contents.
    pub keep_records: bool,
    /// Whether to take stores that have another deployment's mark. Only an operator knows that nobody else uses them.
    pub adopt: bool,
    /// Where the step before this one has stopped.
    pub from: Option<SweepCursor>,
    /// How long the step may take, apart from the listing. Even with the shortest budget, each step makes progress.
    pub budget: SignedDuration,
}

/// What a step of a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many expired uploads were deleted, or purged of their contents.
    pub expired: usize,
    /// How many keys of orphans were removed.
    pub orphans: usize,
    /// Where the next step goes on; `None` at the end of the sweep.
    pub next: Option<SweepCursor>,
}

/// What was done with one upload.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    expired: bool,
    orphans: usize,
    /// The offset at which the next step goes on, if the time was over.
    stopped_at: Option<u64>,
}

/// One step's rules.
#[derive(Clone, Copy)]
struct Step {
    sweep: Sweep,
    /// When the step's time is over.
    until: Timestamp,
    /// The time before which contents without a record may be another deployment's.
    judged_from: Option<Timestamp>,
}

impl<S: Store> Uploads<S> {
    /// Takes one step of a sweep. Requests on the same uploads may go on meanwhile.
    ///
    /// # Errors
    /// [`Error::SharedStores`], and nothing was removed; [`Error::Store`]. What was done before the error stays done. A
    /// damaged record is left alone, and is not an error.
    pub async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error> {
        let window = self.look(sweep.from).await?;
        let judged_from = self.check_marks(&window.marks, sweep.adopt).await?;
        let until = self.now().checked_add(sweep.budget).unwrap_or(Timestamp::MAX);
        let step = Step { sweep, until, judged_from };
        let mut swept = self.sweep_window(window, step).await?;
        // A place with more keys than a step holds, and none to remove, is left to the next sweep.
        if swept.orphans == 0 && swept.next == sweep.from {
            swept.next = swept.next.map(SweepCursor::skip);
        }
        log::info!(deleted = swept.expired, removed = swept.orphans, more = swept.next.is_some(); "swept");
        Ok(swept)
    }

    async fn sweep_window(&self, window: Window, step: Step) -> Result<Swept, Error> {
        let mut swept = Swept { next: window.rest, ..Swept::default() };
        let mut uploads = window.uploads.into_iter().peekable();
        while uploads.peek().is_some() {
            let batch = uploads.by_ref().take(UPLOADS_AT_ONCE);
            // All of them run to their end, because an operation under way must not be dropped.
            let done = join_all(batch.map(|(id, found)| self.sweep_upload(id, found, step))).await;
            let mut stopped = None;
            for done in done {
                let (id, done) = done?;
                swept.expired += usize::from(done.expired);
                swept.orphans += done.orphans;
                stopped = stopped.or(done.stopped_at.map(|offset| SweepCursor::at(id, offset)));
            }
            if stopped.is_none() && self.is_over(step) {
                stopped = uploads.peek().map(|(id, _)| SweepCursor::at(*id, 0));
            }
            if stopped.is_some() {
                swept.next = stopped;
                break;
            }
        }
        Ok(swept)
    }

    fn is_over(&self, step: Step) -> bool {
        step.until <= self.now()
    }

    /// Decides what to do with an upload, and does it.
    async fn sweep_upload(&self, id: Uuid, found: Found, step: Step) -> Result<(Uuid, Done), Error> {
        match self.do_sweep_upload(id, found, step).await {
            Ok(done) => Ok((id, done)),
            Err(Error::Damaged(damage)) => {
                log_skipped(id, &damage);
                Ok((id, Done::default()))
            }
            Err(error) => Err(error),
        }
    }

    async fn do_sweep_upload(&self, id: Uuid, found: Found, step: Step) -> Result<Done, Error> {
        let upload = match self.find(id).await {
            Ok(upload) => Some(upload),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let verdict = verdict(&found, upload.as_ref(), self.ages(step));
        match (verdict, upload) {
            (Verdict::Unclear, _) => {
                log::warn!(upload:% = short_id(id); "upload_left_alone");
                Ok(Done::default())
            }
            (Verdict::Deleted, _) => {
                self.forget_deleted(id, found.open || found.complete, step).await?;
                self.remove(id, found.contents, step).await
            }
            (Verdict::Uncommitted { orphans, listing }, _) => {
                if let Some(listing) = &listing {
                    self.records.delete(listing).await?;
                }
                self.remove(id, orphans, step).await
            }
            (Verdict::Purged, _) => self.remove(id, found.contents, step).await,
            (Verdict::Expired, Some(upload)) => {
                let expired = self.expire(upload, step.sweep.keep_records).await?;
                let contents = if expired { found.contents } else { Contents::default() };
                Ok(Done { expired, ..self.remove(id, contents, step).await? })
            }
            (Verdict::Kept { suspects, drops_open_record }, Some(upload)) => {
                let done = self.remove_unnamed(&upload, suspects, found.open && found.complete, step).await?;
                if drops_open_record {
                    self.records.delete(&keys::open(id)).await?;
                }
                Ok(done)
            }
            // Without a record, there is no such verdict.
            (Verdict::Expired | Verdict::Kept { .. }, None) => Ok(Done::default()),
        }
    }

    fn ages(&self, step: Step) -> Ages {
        let Step { sweep, judged_from, .. } = step;
        Ages { now: self.now(), expiration_delta: sweep.expiration_delta, judged_from }
    }

    /// Deletes or purges an expired upload, unless another request was faster.
    async fn expire(&self, upload: Upload, keep_record: bool) -> Result<bool, Error> {
        // Another sweep may have deleted the upload between the reads of its mark and of its record.
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

    /// Removes what is left of a deleted upload's records, once the mark is old. Then no request can be under way that
    /// the mark must stop. The mark itself is removed one sweep later. A request that has read a record right before
    /// its removal must find the mark.
    async fn forget_deleted(&self, id: Uuid, has_records: bool, step: Step) -> Result<(), Error> {
        let mark = self.records.get(&keys::deleted(id)).await?.unwrap_or_default();
        let deleted_at = std::str::from_utf8(&mark).ok().and_then(|text| text.parse().ok());
        if !deleted_at.is_some_and(|deleted_at| self.ages(step).is_old(deleted_at)) {
            return Ok(());
        }
        // A listing may have missed a record. Without the mark, the upload would be there again.
        if has_records || self.has_record(id).await? {
            self.records.delete(&keys::complete(id)).await?;
            self.records.delete(&keys::open(id)).await?;
        } else {
            self.records.delete(&keys::deleted(id)).await?;
        }
        Ok(())
    }

    async fn has_record(&self, id: Uuid) -> Result<bool, Error> {
        let (complete, open) = (keys::complete(id), keys::open(id));
        let (complete, open) = join(self.records.get(&complete), self.records.get(&open)).await;
        Ok(complete?.or(open?).is_some())
    }

    /// Removes the suspects that no record names: neither the upload's record, nor the record that it had while it was
    /// open.
    async fn remove_unnamed(
        &self,
        upload: &Upload,
        mut suspects: Contents,
        with_open_record: bool,
        step: Step,
    ) -> Result<Done, Error> {
        if suspects.is_empty() {
            return Ok(Done::default());
        }
        let mut stopped_at = self.take_out_named(upload, &mut suspects, step).await?;
        if with_open_record && let Some(record) = self.records.get(&keys::open(upload.id)).await? {
            let open = Upload::from_json(upload.id, &record)?;
            let stopped = self.take_out_named(&open, &mut suspects, step).await?;
            stopped_at = stopped_at.into_iter().chain(stopped).min();
        }
        let done = self.remove(upload.id, suspects, step).await?;
        Ok(Done { stopped_at: done.stopped_at.into_iter().chain(stopped_at).min(), ..done })
    }

    /// Takes out what the record names. If the time is over before the end, it takes out the rest, too, and returns the
    /// offset at which the next step goes on.
    async fn take_out_named(&self, upload: &Upload, suspects: &mut Contents, step: Step) -> Result<Option<u64>, Error> {
        let (Some(&(first, _)), Some(&(last, _))) = (suspects.segments.first(), suspects.segments.last()) else {
            self.take_out_named_pages(upload, suspects, step).await?;
            return Ok(None);
        };
        let mut parts = std::pin::pin!(self.parts(upload, first..last.saturating_add(1)));
        while let Some(part) = parts.try_next().await? {
            match keys::parse(part.key()) {
                Some((_, Role::Segment { offset, tag })) => {
                    suspects.segments.remove(&(offset, tag));
                    // A step that passes the first segment makes progress.
                    if offset > first && self.is_over(step) {
                        suspects.segments.split_off(&(offset, Uuid::nil()));
                        suspects.pages.clear();
                        return Ok(Some(offset));
                    }
                }
                Some((_, Role::Page(tag))) => drop(suspects.pages.remove(&tag)),
                _ => {}
            }
        }
        self.take_out_named_pages(upload, suspects, step).await?;
        Ok(None)
    }

    /// Only a walk through the whole list tells whether a page is on it. If the time is over before the end of the
    /// walk, the pages are left alone. They are small, and they are removed with their upload at the latest.
    async fn take_out_named_pages(&self, upload: &Upload, suspects: &mut Contents, step: Step) -> Result<(), Error> {
        if suspects.pages.is_empty() {
            return Ok(());
        }
        let mut parts = std::pin::pin!(self.parts(upload, 0..upload.offset()));
        while let Some(part) = parts.try_next().await? {
            if let Part::Page(key) = &part {
                if let Some((_, Role::Page(tag))) = keys::parse(key) {
                    suspects.pages.remove(&tag);
                }
                if self.is_over(step) {
                    suspects.pages.clear();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Removes contents until the time is over, but at least one batch of them.
    async fn remove(&self, id: Uuid, contents: Contents, step: Step) -> Result<Done, Error> {
        let segments = contents.segments.into_iter().map(|(offset, tag)| (offset, keys::data(id, offset, tag)));
        let pages = contents.pages.into_iter().map(|tag| (u64::MAX, keys::page(id, tag)));
        let orphans: Vec<(u64, String)> = segments.chain(pages).collect();
        let mut done = Done::default();
        for batch in orphans.chunks(REMOVALS_AT_ONCE) {
            if done.orphans > 0 && self.is_over(step) {
                done.stopped_at = batch.first().map(|(offset, _)| *offset);
                break;
            }
            let removals = stream::iter(batch).map(|(_, key)| self.blobs.delete(key));
            removals.buffer_unordered(REMOVALS_IN_FLIGHT).try_collect::<()>().await?;
            done.orphans += batch.len();
        }
        Ok(done)
    }
}
