//! Checks a request's body: against a limit of its length, and against the digests in the request's headers.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use futures::future::{self, Either, Fuse, FutureExt, LocalBoxFuture, select};
use futures::stream::StreamExt;
use http::HeaderMap;

use super::body::{BodyError, RequestBody, content_length};
use super::digest::{self, Digest};
use super::failure::Failure;
use crate::uploads::Room;

/// A body of at most this length is not watched: it holds little memory, and a timer costs a call of the host.
const SHORT: u64 = 1_000_000;

/// A body that is checked while it is read.
///
/// A parser reads it frame by frame, and may stop before its end. [`finish`](Self::finish) reads the rest.
pub(crate) struct CheckedBody {
    body: RequestBody,
    received: Rc<Cell<u64>>,
    limit: Option<u64>,
    digests: Vec<Digest>,
    /// Ends if the client has stalled, and has to make room for others.
    stalled: Fuse<LocalBoxFuture<'static, ()>>,
}

impl CheckedBody {
    /// Prepares to check the body of a request with these headers, against a limit in bytes. `room` is the memory that
    /// the request shares with others.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] if `Content-Length` is above the limit; [`Failure::UnreadableDigest`].
    pub(crate) fn new(headers: &HeaderMap, body: RequestBody, limit: Option<u64>, room: Room) -> Result<Self, Failure> {
        let length = content_length(headers);
        if let Some(limit) = limit.filter(|limit| length.is_some_and(|length| length > *limit)) {
            return Err(BodyError::TooLong(limit).into());
        }
        let digests = digest::from_headers(headers).map_err(Failure::UnreadableDigest)?;
        let received = Rc::default();
        let stalled = if length.is_some_and(|length| length <= SHORT) {
            future::pending().boxed_local()
        } else {
            room.stalled(Rc::clone(&received)).boxed_local()
        };
        Ok(Self { body, received, limit, digests, stalled: stalled.fuse() })
    }

    /// The next frame; `None` at the body's end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        let frame = match select(self.body.next(), &mut self.stalled).await {
            Either::Left((frame, _)) => frame?,
            Either::Right(_) => return Some(Err(BodyError::Stalled)),
        };
        let Ok(bytes) = &frame else {
            return Some(frame);
        };
        let received = self.received.get() + bytes.len() as u64;
        self.received.set(received);
        if let Some(limit) = self.limit.filter(|limit| received > *limit) {
            return Some(Err(BodyError::TooLong(limit)));
        }
        for digest in &mut self.digests {
            digest.update(bytes);
        }
        Some(frame)
    }

    /// Reads what is left of the body, and checks the digests.
    ///
    /// # Errors
    /// [`Failure::DigestMismatch`]; [`Failure::Body`].
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        while let Some(frame) = self.next().await {
            frame?;
        }
        self.digests.iter().try_for_each(Digest::check)
    }
}
