//! The bytes of segments, in order, for a reader of any speed.
//!
//! A reader takes a frame when it wants one. Nothing of the download goes on before that, but the fetches that have
//! begun. So a download waits for room only while its reader waits for it.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::{FutureExt, LocalBoxFuture};
use futures::stream::{self, FuturesOrdered, LocalBoxStream, StreamExt, TryStreamExt};

use super::{ByteStream, Segment};
use crate::store::Store;
use crate::uploads::Error;
use crate::uploads::room::{Room, Spare};

/// How many segments are fetched at once.
const READS_IN_FLIGHT: usize = 2;
/// How many bytes a reader gets at once while memory is short. A slow reader holds no more than these.
const FRAME: usize = 64 * 1024;

/// The bytes of these segments.
pub(super) fn read<S: Store>(
    blobs: S,
    room: Room,
    segments: LocalBoxStream<'static, Result<Segment, Error>>,
) -> ByteStream {
    let (next, ahead, fetches) = (VecDeque::new(), VecDeque::new(), FuturesOrdered::new());
    let download = Download { blobs, room, segments, next, ahead, fetches, rest: None };
    let frames = stream::try_unfold(download, |mut download| async move {
        Ok(download.frame().await?.map(|frame| (frame, download)))
    });
    frames.boxed_local()
}

struct Download<S> {
    blobs: S,
    room: Room,
    segments: LocalBoxStream<'static, Result<Segment, Error>>,
    /// Segments whose fetch has not begun.
    next: VecDeque<Segment>,
    /// Those whose fetch has begun.
    ahead: VecDeque<Segment>,
    fetches: FuturesOrdered<Fetch>,
    /// What the reader has not got yet of a segment that it gets in several frames.
    rest: Option<(Segment, Spare)>,
}

type Fetch = LocalBoxFuture<'static, Result<Bytes, Error>>;

impl<S: Store> Download<S> {
    /// The next frame; `None` at the end.
    async fn frame(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some((segment, rest)) = self.rest.take() {
            let bytes = match rest.value() {
                Some(bytes) => bytes,
                None => self.fetch_again(&segment).await?,
            };
            return Ok(Some(self.cut(segment, bytes)));
        }
        self.fetch_ahead().await?;
        let fetched = self.fetches.try_next().await?;
        Ok(fetched.zip(self.ahead.pop_front()).map(|(bytes, segment)| self.cut(segment, bytes)))
    }

    /// What the reader gets now of these bytes, which are the wanted ones of the segment.
    fn cut(&mut self, mut segment: Segment, mut bytes: Bytes) -> Bytes {
        if self.room.is_ample() {
            return bytes;
        }
        let frame = bytes.split_to(FRAME.min(bytes.len()));
        segment.wanted.start += frame.len();
        if !bytes.is_empty() {
            self.rest = Some((segment, self.room.keep(bytes)));
        }
        // A frame that is no copy would keep the whole segment in memory.
        Bytes::copy_from_slice(&frame)
    }

    async fn fetch_again(&mut self, segment: &Segment) -> Result<Bytes, Error> {
        // Downloads that wait for each other's room would wait for ever.
        self.fetches = FuturesOrdered::new();
        self.ahead.append(&mut self.next);
        self.next = std::mem::take(&mut self.ahead);
        let _promise = self.room.take(segment.len).await;
        segment.fetch(&self.blobs).await
    }

    /// Begins fetches: one, and further ones while memory is ample.
    async fn fetch_ahead(&mut self) -> Result<(), Error> {
        while self.fetches.len() < READS_IN_FLIGHT
            && let Some(segment) = self.next_segment().await?
        {
            let promise = match self.room.take_ahead(segment.len) {
                Some(promise) => promise,
                None if self.fetches.is_empty() => self.room.take(segment.len).await,
                None => {
                    self.next.push_front(segment);
                    break;
                }
            };
            self.ahead.push_back(segment.clone());
            let blobs = self.blobs.clone();
            let fetch = async move {
                let bytes = segment.fetch(&blobs).await;
                drop(promise);
                bytes
            };
            self.fetches.push_back(fetch.boxed_local());
        }
        Ok(())
    }

    async fn next_segment(&mut self) -> Result<Option<Segment>, Error> {
        match self.next.pop_front() {
            Some(segment) => Ok(Some(segment)),
            None => self.segments.try_next().await,
        }
    }
}
