//! Appending to an upload.
//!
//! Bytes arrive in frames of any size. They are hashed, cut into segments, and stored while more bytes arrive. They
//! count only when the record is written.

use std::num::NonZeroU32;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures::future::{LocalBoxFuture, join5};
use futures::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use super::checksum::Hasher;
use super::chunks::{self, Entry};
use super::record::{Progress, Upload};
use super::short_id::short_id;
use super::{Error, REMOVALS_IN_FLIGHT, Uploads, keys, list};
use crate::store::{Store, StoreError};

/// How many segments may be on their way to the store at once. These are nearly all segments of a chunk of 8 MiB, so
/// such a chunk pays the latency of a distant store only once. The host holds the bytes of these segments: it takes
/// them when it is called. (The benchmark's limit, bench/limits, writes as many.)
const WRITES_IN_FLIGHT: usize = 8;

/// How many of the last expected segments are sent first and hashed afterwards, while the store is busy with them. If
/// they were hashed first, the store would wait for them, and the answer would wait for the store.
const HASHED_LATER: usize = 4;

/// The most bytes of these segments. They are held in memory until they are hashed, and `segment_size` may be larger
/// than usual.
const BYTES_HASHED_LATER: u64 = 3_500_000;

/// The largest segments of an append that begins while memory is short, in bytes. `segment_size` may be larger.
const SHORT_SEGMENT: usize = 1_000_000;

type Write = LocalBoxFuture<'static, Result<(), StoreError>>;
type Writes = FuturesUnordered<Write>;

/// Bytes that are being added at the end of an upload. Call [`commit`](Self::commit) or [`discard`](Self::discard) at
/// the end. An append that is dropped without either leaves orphans behind, which the sweep removes.
pub struct Append<S> {
    pub(super) uploads: Uploads<S>,
    /// The upload as it is in the store; `None` if it is new.
    pub(super) stored: Option<Upload>,
    /// The upload as it will be, so far without the new bytes.
    upload: Upload,
    /// Whether a new upload will be on a list.
    pub(super) listed: bool,
    /// When the upload expires.
    deadline: Option<Timestamp>,
    /// The tag in the keys of all that this append writes.
    tag: Uuid,
    /// The deployment's mark, as far as the commit needs it.
    pub(super) own_mark: Option<Uuid>,
    start: u64,
    /// How many bytes the declared total leaves room for; `None` while no total is known.
    room: Option<u64>,
    /// How many bytes are to come in all; `None` if that is not known.
    expected: Option<u64>,
    hasher: Hasher,
    /// The size of this append's segments, in bytes.
    segment_size: usize,
    segment: BytesMut,
    /// Whether the current segment is hashed after it has been sent.
    hash_later: bool,
    /// Segments that have been sent and are not hashed yet.
    unhashed: Vec<Bytes>,
    /// How many of the bytes have been sent to the store.
    sent: u64,
    writes: Writes,
}

impl<S: Store> Uploads<S> {
    /// Continues the upload at `offset`. `stored` is the upload as [`find`](Uploads::find) has returned it. `total` is
    /// the file's length, if the client declares it.
    ///
    /// # Errors
    /// [`Error::AlreadyComplete`]; [`Error::Expired`] if the upload has lost its contents; [`Error::OffsetMismatch`];
    /// [`Error::TotalMismatch`] if `total` differs from the total that was declared before; [`Error::PastTotal`] if
    /// `total` is below the upload's offset; [`Error::Damaged`].
    pub fn append(&self, stored: Upload, offset: u64, total: Option<u64>) -> Result<Append<S>, Error> {
        if stored.is_complete() {
            return Err(Error::AlreadyComplete);
        }
        if stored.is_purged() {
            return Err(Error::Expired);
        }
        let expected = stored.offset();
        if expected != offset {
            return Err(Error::OffsetMismatch { expected, provided: offset });
        }
        let mut upload = stored.clone();
        match (stored.total, total) {
            (Some(expected), Some(provided)) if expected != provided => {
                return Err(Error::TotalMismatch { expected, provided });
            }
            (None, Some(total)) if total < offset => return Err(Error::PastTotal { total }),
            (None, Some(_)) => upload.total = total,
            _ => {}
        }
        Append::begin(self, upload, Some(stored))
    }
}

impl<S: Store> Append<S> {
    pub(super) fn begin(uploads: &Uploads<S>, upload: Upload, stored: Option<Upload>) -> Result<Self, Error> {
        Ok(Self {
            uploads: uploads.clone(),
            stored,
            listed: false,
            deadline: None,
            tag: uploads.clock.tag(),
            own_mark: None,
            start: upload.offset(),
            room: upload.total.map(|total| total.saturating_sub(upload.offset())),
            expected: None,
            hasher: upload.hasher()?,
            segment_size: upload.segment_size as usize,
            upload,
            segment: BytesMut::new(),
            hash_later: false,
            unhashed: Vec::new(),
            sent: 0,
            writes: FuturesUnordered::new(),
        })
    }

    /// The upload as it was before the new bytes, with the total and the filename that this append has set.
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// How many bytes have been written so far.
    pub fn received(&self) -> u64 {
        self.sent + self.segment.len() as u64
    }

    /// Declares about how many bytes are to come, which makes the last of them faster. It is not a limit.
    pub fn expect(&mut self, bytes: u64) {
        self.expected = Some(bytes);
    }

    /// Sets when the upload expires. The bytes don't count after that.
    pub fn set_deadline(&mut self, deadline: Timestamp) {
        self.deadline = Some(deadline);
    }

    /// Sets the filename, which may come after the bytes.
    pub fn set_filename(&mut self, filename: String) {
        self.upload.filename = filename;
    }

    /// Adds bytes. It waits for the store while as many segments as allowed are on their way to it, and for room in
    /// memory before each segment.
    ///
    /// # Errors
    /// [`Error::PastTotal`] if the bytes go beyond the upload's total; [`Error::Store`]. After an error, the append can
    /// only be discarded.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.check_room(bytes.len())?;
        while !bytes.is_empty() {
            if self.segment.is_empty() {
                self.begin_segment().await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.segment_size - self.segment.len()));
            self.segment.extend_from_slice(now);
            // The bytes are hashed now, while they are in the processor's cache. The store gets the segment without a
            // copy.
            if !self.hash_later {
                self.hasher.update(now);
            }
            bytes = later;
            if self.segment.len() == self.segment_size {
                self.send_segment().await?;
            }
        }
        Ok(())
    }

    fn check_room(&self, more: usize) -> Result<(), Error> {
        match (self.room, self.upload.total) {
            (Some(room), Some(total)) if self.received() + more as u64 > room => Err(Error::PastTotal { total }),
            _ => Ok(()),
        }
    }

    async fn begin_segment(&mut self) -> Result<(), Error> {
        let room = self.uploads.room.clone();
        if self.sent == 0 && !room.is_ample() {
            self.segment_size = self.segment_size.min(SHORT_SEGMENT);
        }
        let left = self.expected.map(|expected| expected.saturating_sub(self.sent));
        let near = BYTES_HASHED_LATER.min((HASHED_LATER * self.segment_size) as u64);
        let near_the_end = left.is_some_and(|left| left <= near);
        self.hash_later = near_the_end && self.unhashed.len() < HASHED_LATER && room.is_ample();
        if !self.hash_later {
            self.hash_the_rest();
        }
        let len = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX).min(self.segment_size);
        let promise = match room.take_if_ample(len) {
            Some(promise) => promise,
            None => {
                // Nobody may wait for room while it holds segments that are on their way: if all do, none gets any.
                drain(&mut self.writes).await?;
                room.take(len).await
            }
        };
        self.segment = BytesMut::with_capacity(len);
        drop(promise);
        Ok(())
    }

    fn hash_the_rest(&mut self) {
        for segment in self.unhashed.drain(..) {
            self.hasher.update(&segment);
        }
    }

    /// Sends the current segment to the store, without waiting for the answer.
    async fn send_segment(&mut self) -> Result<(), Error> {
        while self.writes.len() >= WRITES_IN_FLIGHT {
            self.writes.try_next().await?;
        }
        let segment = std::mem::take(&mut self.segment).freeze();
        if self.hash_later {
            self.unhashed.push(segment.clone());
        }
        let key = keys::data(self.upload.id, self.start + self.sent, self.tag);
        self.sent += segment.len() as u64;
        let blobs = self.uploads.blobs.clone();
        let mut write: Write = Box::pin(async move { blobs.set(&key, segment).await });
        // A future does nothing before it is polled. `writes` polls its futures only when the append waits for them.
        match futures::poll!(&mut write) {
            Poll::Ready(written) => written?,
            Poll::Pending => self.writes.push(write),
        }
        Ok(())
    }

    /// Makes the bytes part of the upload, and returns the upload with them.
    ///
    /// # Errors
    /// [`Error::OffsetMismatch`], [`Error::AlreadyComplete`] or [`Error::NotFound`] if another request was faster;
    /// [`Error::Expired`]; [`Error::TooLate`] after twelve hours; [`Error::Store`]. After an error, the upload is as it
    /// was. There is one exception: if the last write fails, which is that of the record, only the store knows whether
    /// it was done.
    pub async fn commit(mut self) -> Result<Upload, Error> {
        let record = match self.finish().await {
            Ok(()) => self.upload.to_json(),
            Err(error) => Err(error),
        };
        match record {
            Ok(record) => {
                let creates = self.stored.is_none();
                self.uploads.commit_record(&keys::open(self.upload.id), record, creates, self.own_mark).await?;
                if creates {
                    let Upload { id, user, total, .. } = &self.upload;
                    log::info!(upload:% = short_id(*id), user = user.as_deref(), total = total; "upload_began");
                }
                Ok(self.upload)
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    /// Writes everything but the record into the store, and changes `self.upload` to what the record will say.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        if !self.segment.is_empty() {
            self.send_segment().await?;
        }
        self.hash_the_rest();
        let page = self.upload.chunks.take_page(self.tag);
        if self.sent > 0 {
            let size = u32::try_from(self.segment_size).ok().filter(|size| *size != self.upload.segment_size);
            let segment_size = size.and_then(NonZeroU32::new);
            self.upload.chunks.push(Entry { len: self.sent, tag: self.tag, segment_size });
        }
        self.upload.checksum = Progress::Running(self.hasher.save());

        // All of them run to their end, even if one fails, because no write may end after the removal of what it wrote.
        let (segments, page, listing, unmoved, own_mark) = join5(
            drain(&mut self.writes),
            self.uploads.store_page(&self.upload, self.tag, page),
            self.uploads.put_on_list(&self.upload, self.listed),
            self.uploads.check_unmoved(self.stored.as_ref()),
            self.uploads.own_mark(self.stored.is_none()),
        )
        .await;
        self.own_mark = own_mark;
        segments.map_err(Error::from).and(page).and(listing).and(unmoved)?;
        if self.deadline.is_some_and(|deadline| deadline <= self.uploads.now()) {
            return Err(Error::Expired);
        }
        self.uploads.check_not_too_late()
    }

    /// Gives up. The upload stays as it was, and the stored bytes are removed. The sweep removes a segment that can't
    /// be removed now.
    pub async fn discard(mut self) {
        // A write under way could end after the removal of what it wrote.
        let _ = drain(&mut self.writes).await;
        let offsets = (0..self.sent).step_by(self.segment_size);
        let removals = stream::iter(offsets).for_each_concurrent(REMOVALS_IN_FLIGHT, async |offset| {
            let key = keys::data(self.upload.id, self.start + offset, self.tag);
            let _ = self.uploads.blobs.delete(&key).await;
        });
        removals.await;
        let _ = self.uploads.blobs.delete(&keys::page(self.upload.id, self.tag)).await;
        if self.listed {
            let _ = self.uploads.records.delete(&list::key(&self.upload)).await;
        }
    }
}

/// Waits for all writes, and returns the first failure.
async fn drain(writes: &mut Writes) -> Result<(), StoreError> {
    let mut result = Ok(());
    while let Some(written) = writes.next().await {
        result = result.and(written);
    }
    result
}

impl<S: Store> Uploads<S> {
    async fn store_page(&self, upload: &Upload, tag: Uuid, page: Option<Vec<Entry>>) -> Result<(), Error> {
        let Some(page) = page else {
            return Ok(());
        };
        let key = keys::page(upload.id, tag);
        Ok(self.blobs.set(&key, chunks::page_to_json(&page)?.into()).await?)
    }

    /// Puts the upload on its list before the record is written. A list leaves out an entry without a record. A record
    /// without an entry would never be listed.
    async fn put_on_list(&self, upload: &Upload, listed: bool) -> Result<(), Error> {
        if listed {
            self.records.set(&list::key(upload), Bytes::new()).await?;
        }
        Ok(())
    }

    /// Checks that the upload is still what it was when the request began.
    pub(super) async fn check_unmoved(&self, stored: Option<&Upload>) -> Result<(), Error> {
        let Some(stored) = stored else {
            return Ok(());
        };
        let now = self.find(stored.id).await?;
        if now.is_complete() {
            return Err(Error::AlreadyComplete);
        }
        if now != *stored {
            return Err(Error::OffsetMismatch { expected: now.offset(), provided: stored.offset() });
        }
        Ok(())
    }
}
