//! The mark of a deployment: it says that a store of records and a store of contents belong together.
//!
//! A sweep takes contents for orphans if the store of the records knows nothing of their upload. That is right only if
//! nobody else keeps contents in the same store. So a deployment leaves a mark in both stores, and a sweep stops if it
//! sees a mark that is not the deployment's own. Each request that creates an upload looks for the mark and makes it if
//! it is missing. If the stores differ, each request that adds bytes or completes an upload does, too.
//!
//! | key | store | value | meaning |
//! | --- | --- | --- | --- |
//! | `mark/records/<mark>` | records | empty | the deployment with this mark has its records here |
//! | `mark/blobs/<mark>` | contents, if they are apart or were shared | empty | the deployment with this mark has its contents here |
//! | either of them | either | a mark | the deployment with the mark in the value has adopted the store |
//! | `mark/own` | records | a mark | the newest mark of the deployment |
//!
//! # Why no compare-and-swap is needed
//!
//! Each mark has keys of its own, so no write of a mark replaces another mark. Two requests may draw two marks at once.
//! Then the deployment has two, which is as good as one. A listed mark is the deployment's own if its value is empty, and
//! `mark/records/<mark>` is in the store of the records with an empty value. That key is written first. A request that
//! crashes after it leaves a mark that only the store of the records has, and a mark that is missing in the other store is
//! no fault: the next such request or sweep makes another one.
//!
//! # What an adoption does
//!
//! An adoption makes a new mark, and then writes the new mark into each key of a mark that is not the deployment's own. No
//! key of a mark is ever removed. So what an adoption leaves undone when it fails stops the next sweep, and so does a
//! listing or a read from before the adoption. The other application's own mark has lost its empty value, so its sweeps
//! stop, and its next upload leaves a new mark. Two adoptions at once leave one of the two values, and the sweeps of the
//! deployment whose value was replaced stop.
//!
//! # What a deployment without a mark has stored
//!
//! Stores may be older than marks, `blob_store` may have changed, or the write of a mark may have failed. So a mark tells
//! when it was drawn, and what is older is not judged: a sweep removes contents of an unknown upload only if they were
//! written after the newest mark in the store of the contents, and after the newest adoption. Whoever wrote contents after
//! that has left a mark, too, when its request committed, and a request commits long before its contents are old enough
//! for a sweep. If both stores are one, then contents that are older are judged, too, because the records that name them
//! would be in this store. Only after an adoption they are not.

use std::collections::BTreeSet;

use futures::future::{join, join_all};
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
/// How long after a mark was drawn contents are not judged yet. The two writes of an adoption may take 60 s each. After
/// that, another application's read of its mark may be 60 s old, and its clock may be 60 s ahead.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The store whose listing has shown a key. A store that has records and contents is the store of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ListedIn {
    Records,
    Blobs,
}

/// A mark that a listing has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    store: ListedIn,
    kind: MarkOf,
    mark: Uuid,
}

impl Listed {
    fn key(self) -> String {
        match self.kind {
            MarkOf::Records => keys::records_mark(self.mark),
            MarkOf::Blobs => keys::blobs_mark(self.mark),
        }
    }
}

/// The marks that a listing of both stores has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(BTreeSet<Listed>);

impl Marks {
    /// Takes a key, if it is that of a mark.
    pub(super) fn add(&mut self, store: ListedIn, key: &str) {
        if let Some((kind, mark)) = keys::parse_mark(key) {
            self.0.insert(Listed { store, kind, mark });
        }
    }
}

/// Whose a listed mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// This deployment's.
    Own,
    /// Another deployment's, whose store this one has adopted. This deployment's mark is of that time.
    AdoptedWith(Uuid),
    /// Another deployment's.
    Other,
}

impl<S: Store> Uploads<S> {
    /// Writes the record that commits a request. If the request `creates` an upload, or if the contents have a store of
    /// their own, the stores get the deployment's mark at the same time, unless they have it. (In a store with records,
    /// the record itself tells another application's sweep that the upload is not an orphan.) Only sweeps need the mark,
    /// so the upload does not depend on it.
    pub(super) async fn commit_record(
        &self,
        key: &str,
        record: Vec<u8>,
        creates: bool,
        own_mark: Option<Uuid>,
    ) -> Result<(), Error> {
        let mark = async {
            if self.marks(creates) {
                self.leave_mark(own_mark).await;
            }
        };
        let (written, ()) = join(self.records.set(key, record.into()), mark).await;
        Ok(written?)
    }

    /// The newest mark, if a commit will look for it. A request reads it early, along with other keys, so that the commit
    /// has to wait for one read only. A failure is left to the commit, which tries again.
    pub(super) async fn own_mark(&self, creates: bool) -> Option<Uuid> {
        match self.marks(creates) {
            true => self.newest_mark().await.ok().flatten(),
            false => None,
        }
    }

    fn marks(&self, creates: bool) -> bool {
        creates || self.blobs_apart
    }

    async fn newest_mark(&self) -> Result<Option<Uuid>, StoreError> {
        let text = self.records.get(OWN_MARK).await?;
        Ok(text.and_then(|text| Uuid::try_parse_ascii(&text).ok()))
    }

    /// Makes the deployment's mark if it is missing. A failure is logged only.
    async fn leave_mark(&self, known: Option<Uuid>) {
        let left = match self.has_mark(known).await {
            Ok(true) => Ok(()),
            Ok(false) => self.make_mark(self.blobs_apart).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            log::warn!(error:% = error_chain(&error); "mark_failed");
        }
    }

    /// Whether the stores have the newest mark. It has lost its empty value if another application has adopted a store.
    async fn has_mark(&self, known: Option<Uuid>) -> Result<bool, StoreError> {
        let own = match known {
            Some(known) => known,
            None => match self.newest_mark().await? {
                Some(newest) => newest,
                None => return Ok(false),
            },
        };
        let in_blobs = async {
            match self.blobs_apart {
                true => is_empty(&self.blobs, &keys::blobs_mark(own)).await,
                false => Ok(true),
            }
        };
        let (in_records, in_blobs) = join(self.is_own(own), in_blobs).await;
        Ok(in_records? && in_blobs?)
    }

    /// Whether the store of the records says that this mark is the deployment's own.
    async fn is_own(&self, mark: Uuid) -> Result<bool, StoreError> {
        is_empty(&self.records, &keys::records_mark(mark)).await
    }

    /// Leaves a new mark in the store of the records, and in that of the contents.
    async fn make_mark(&self, in_blobs: bool) -> Result<Uuid, StoreError> {
        let mark = self.draw_mark().await?;
        self.spread_mark(mark, in_blobs).await?;
        Ok(mark)
    }

    /// Draws a mark, and writes the key that makes it the deployment's own. The order matters: a mark of the contents
    /// without one of the records looks like another deployment's.
    async fn draw_mark(&self) -> Result<Uuid, StoreError> {
        let mark = self.clock.tag();
        self.records.set(&keys::records_mark(mark), Default::default()).await?;
        Ok(mark)
    }

    async fn spread_mark(&self, mark: Uuid, in_blobs: bool) -> Result<(), StoreError> {
        if in_blobs {
            self.blobs.set(&keys::blobs_mark(mark), Default::default()).await?;
        }
        self.records.set(OWN_MARK, mark.to_string().into()).await
    }

    /// Checks that the stores belong together and to nobody else. Returns the time before which this deployment can't
    /// tell whose contents are; `None` if it always can.
    ///
    /// With `adopt`, the stores become this deployment's, whatever marks they have. Without, a sweep that stops leaves a
    /// mark, so that the other deployment's sweep stops, too.
    pub(super) async fn check_marks(&self, marks: &Marks, adopt: bool) -> Result<Option<Timestamp>, Error> {
        let owners = self.owners(marks).await?;
        let others: Vec<Listed> =
            owners.iter().filter(|(_, owner)| *owner == Owner::Other).map(|(listed, _)| *listed).collect();
        let mut dated: Vec<Uuid> = owners.iter().filter_map(|(listed, owner)| self.dated(*listed, *owner)).collect();
        match others.first() {
            Some(_) if adopt => dated.push(self.adopt(&others).await?),
            Some(other) => {
                self.leave_mark(None).await;
                return Err(Error::SharedStores { mark: other.mark });
            }
            None if self.blobs_apart && !owners.iter().any(|(listed, owner)| self.marks_blobs(*listed, *owner)) => {
                dated.push(self.make_mark(true).await?);
            }
            None if !self.blobs_apart && owners.is_empty() => drop(self.make_mark(false).await?),
            None => {}
        }
        Ok(dated.into_iter().map(judged_from).max())
    }

    async fn owners(&self, marks: &Marks) -> Result<Vec<(Listed, Owner)>, StoreError> {
        let reads = stream::iter(&marks.0).map(async |listed| Ok((*listed, self.owner(*listed).await?)));
        reads.buffered(READS_IN_FLIGHT).try_collect().await
    }

    async fn owner(&self, listed: Listed) -> Result<Owner, StoreError> {
        let value = self.listing_store(listed).get(&listed.key()).await?.unwrap_or_default();
        if value.is_empty() {
            return Ok(if self.is_own(listed.mark).await? { Owner::Own } else { Owner::Other });
        }
        match Uuid::try_parse_ascii(&value) {
            Ok(adopter) if self.is_own(adopter).await? => Ok(Owner::AdoptedWith(adopter)),
            _ => Ok(Owner::Other),
        }
    }

    fn listing_store(&self, listed: Listed) -> &S {
        match listed.store {
            ListedIn::Records => &self.records,
            ListedIn::Blobs => &self.blobs,
        }
    }

    /// The mark whose time a listed mark sets, before which contents are not judged.
    fn dated(&self, listed: Listed, owner: Owner) -> Option<Uuid> {
        match owner {
            Owner::AdoptedWith(adopter) => Some(adopter),
            Owner::Own if self.marks_blobs(listed, owner) => Some(listed.mark),
            Owner::Own | Owner::Other => None,
        }
    }

    /// Whether the store of the contents has this mark, and it says that the deployment's contents are there. In the
    /// store of the records, such a mark is of a time when that store had the contents.
    fn marks_blobs(&self, listed: Listed, owner: Owner) -> bool {
        let contents = if self.blobs_apart { ListedIn::Blobs } else { ListedIn::Records };
        owner == Owner::Own && listed.kind == MarkOf::Blobs && listed.store == contents
    }

    /// Makes the stores this deployment's. Its mark is a new one, so that contents from before it stay as they are.
    async fn adopt(&self, others: &[Listed]) -> Result<Uuid, StoreError> {
        let mark = self.draw_mark().await?;
        // All at once, because `MARGIN` allows for the time of one write.
        let adoptions = others
            .iter()
            .map(async |other| self.listing_store(*other).set(&other.key(), mark.to_string().into()).await);
        // All of them run to their end, because an operation under way must not be dropped.
        let (spread, adopted) = join(self.spread_mark(mark, true), join_all(adoptions)).await;
        adopted.into_iter().collect::<Result<(), _>>().and(spread)?;
        log::warn!(marks = others.len(); "stores_adopted");
        Ok(mark)
    }
}

async fn is_empty<S: Store>(store: &S, key: &str) -> Result<bool, StoreError> {
    Ok(store.get(key).await?.is_some_and(|value| value.is_empty()))
}

/// The time from which contents are judged by a mark.
fn judged_from(mark: Uuid) -> Timestamp {
    drawn_at(mark).and_then(|drawn_at| drawn_at.checked_add(MARGIN).ok()).unwrap_or(Timestamp::MAX)
}
