//! The mark of a deployment: it says that a store of records and a store of contents belong together.
//!
//! A sweep takes contents for orphans if the store of the records knows nothing of their upload. That is right only if
//! nobody else keeps contents in the same store. So a deployment leaves a mark in both stores, and a sweep stops if it
//! sees a mark that its store of records does not have. Each request that creates an upload looks for the mark and makes
//! it if it is missing. If the stores differ, each completion does, too.
//!
//! | key | store | meaning |
//! | --- | --- | --- |
//! | `mark/records/<mark>` | records | the deployment with this mark has its records here |
//! | `mark/blobs/<mark>` | contents, if they are apart or were shared | the deployment with this mark has its contents here |
//! | `mark/own` | records | its value is the newest mark: both keys above are written |
//!
//! # Why no compare-and-swap is needed
//!
//! Each mark has keys of its own, so no write of a mark replaces another mark. Two requests may draw two marks at once.
//! Then the deployment has two, which is as good as one. A mark in either store is the deployment's own if
//! `mark/records/<mark>` is in the store of the records. That key is written first. A request that crashes after it
//! leaves a mark that only the store of the records has, and a mark that is missing in the other store is no fault: the
//! next such request or sweep makes another one.
//!
//! # What a deployment without a mark has stored
//!
//! Stores may be older than marks, `blob_store` may have changed, or the write of a mark may have failed. So a mark tells
//! when it was drawn, and what is older is not judged: a sweep removes contents of an unknown upload only if they were
//! written after the mark. Whoever wrote contents after that has left a mark, too, when it created the upload, and a
//! request that creates an upload ends long before its contents are old enough for a sweep. If both stores are one, then
//! contents that are older are judged, too, because the records that name them would be in this store. Only after an
//! adoption they are not: then the store has a `mark/blobs/<mark>` as well.

use std::collections::BTreeSet;

use futures::future::{join, ready};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::clock::drawn_at;
use super::keys::{self, MarkOf, OWN_MARK};
use super::{Error, Uploads};
use crate::error_chain::error_chain;
use crate::store::{Store, StoreError};

/// How many marks are looked up at once.
const READS_IN_FLIGHT: usize = 8;
/// How far apart clocks may be.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The marks that a listing of both stores has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    records: BTreeSet<Uuid>,
    blobs: BTreeSet<Uuid>,
}

impl Marks {
    /// Takes a key, if it is that of a mark.
    pub(super) fn add(&mut self, key: &str) {
        match keys::parse_mark(key) {
            Some((MarkOf::Records, mark)) => drop(self.records.insert(mark)),
            Some((MarkOf::Blobs, mark)) => drop(self.blobs.insert(mark)),
            None => {}
        }
    }

    fn all(&self) -> BTreeSet<Uuid> {
        self.records.union(&self.blobs).copied().collect()
    }
}

impl<S: Store> Uploads<S> {
    /// Writes the record that commits a request. If the request `marks` the stores, they get the deployment's mark at the
    /// same time, unless they have it. Only sweeps need the mark, so the upload does not depend on it.
    pub(super) async fn commit_record(&self, key: &str, record: Vec<u8>, marks: bool) -> Result<(), Error> {
        let mark = async {
            if marks && let Err(error) = self.ensure_mark().await {
                log::warn!(error:% = error_chain(&error); "mark_failed");
            }
        };
        let (written, ()) = join(self.records.set(key, record.into()), mark).await;
        Ok(written?)
    }

    async fn ensure_mark(&self) -> Result<(), StoreError> {
        if !self.has_mark().await? {
            self.make_mark(self.blobs_apart).await?;
        }
        Ok(())
    }

    async fn has_mark(&self) -> Result<bool, StoreError> {
        let own = self.records.get(OWN_MARK).await?;
        let own = own.and_then(|text| Uuid::try_parse_ascii(&text).ok());
        match own {
            Some(mark) if self.blobs_apart => Ok(self.blobs.get(&keys::blobs_mark(mark)).await?.is_some()),
            own => Ok(own.is_some()),
        }
    }

    /// Leaves a new mark in the store of the records, and in that of the contents.
    async fn make_mark(&self, in_blobs: bool) -> Result<Uuid, StoreError> {
        let mark = self.clock.tag();
        // The order matters: a mark of the contents without one of the records looks like another deployment's.
        self.records.set(&keys::records_mark(mark), Default::default()).await?;
        if in_blobs {
            self.blobs.set(&keys::blobs_mark(mark), Default::default()).await?;
        }
        self.records.set(OWN_MARK, mark.to_string().into()).await?;
        Ok(mark)
    }

    /// Checks that the stores belong together and to nobody else. Returns the time before which this deployment can't
    /// tell whose contents are; `None` if it always can.
    ///
    /// With `adopt`, the stores become this deployment's, whatever marks they have.
    pub(super) async fn check_marks(&self, marks: &Marks, adopt: bool) -> Result<Option<Timestamp>, Error> {
        let foreign = self.foreign(marks).await?;
        let mut own = marks.blobs.clone();
        match foreign.first() {
            Some(_) if adopt => own = BTreeSet::from([self.adopt(marks, &foreign).await?]),
            Some(mark) => return Err(Error::SharedStores { mark: *mark }),
            None if self.blobs_apart && own.is_empty() => own.extend([self.make_mark(true).await?]),
            None if !self.blobs_apart && marks.records.is_empty() => drop(self.make_mark(false).await?),
            None => {}
        }
        if own.is_empty() {
            return Ok(None);
        }
        let first = own.into_iter().filter_map(drawn_at).min();
        let judged_from = first.and_then(|first| first.checked_add(CLOCK_SKEW).ok());
        Ok(Some(judged_from.unwrap_or(Timestamp::MAX)))
    }

    /// The marks that the store of the records doesn't have.
    async fn foreign(&self, marks: &Marks) -> Result<BTreeSet<Uuid>, Error> {
        let reads = stream::iter(marks.all()).map(|mark| async move {
            let found = self.records.get(&keys::records_mark(mark)).await?;
            Ok::<_, Error>(found.is_none().then_some(mark))
        });
        let foreign = reads.buffer_unordered(READS_IN_FLIGHT).try_filter_map(|mark| ready(Ok(mark)));
        foreign.try_collect().await
    }

    /// Makes the stores this deployment's. Its mark is a new one, so that contents from before it stay as they are.
    async fn adopt(&self, marks: &Marks, foreign: &BTreeSet<Uuid>) -> Result<Uuid, Error> {
        let own = self.make_mark(true).await?;
        for mark in &marks.blobs {
            self.blobs.delete(&keys::blobs_mark(*mark)).await?;
            self.records.delete(&keys::blobs_mark(*mark)).await?;
        }
        for mark in foreign {
            self.blobs.delete(&keys::records_mark(*mark)).await?;
        }
        log::warn!(marks = foreign.len(); "stores_adopted");
        Ok(own)
    }
}
