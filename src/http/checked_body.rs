//! Checks a request's body: against a limit of its length, and against the digests in the request's headers.

use bytes::Bytes;
use futures::stream::StreamExt;
use http::HeaderMap;

use super::body::{BodyError, RequestBody, content_length};
use super::digest::{self, Digest};
use super::failure::Failure;

/// A body that is checked while it is read.
///
/// A parser reads it frame by frame, and may stop before its end. [`finish`](Self::finish) reads the rest.
pub(crate) struct CheckedBody {
    body: RequestBody,
    received: u64,
    limit: Option<u64>,
    digests: Vec<Digest>,
}

impl CheckedBody {
    /// Prepares to check the body of a request with these headers, against a limit in bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] if `Content-Length` is above the limit; [`Failure::UnreadableDigest`].
    pub(crate) fn new(headers: &HeaderMap, body: RequestBody, limit: Option<u64>) -> Result<Self, Failure> {
        let length = content_length(headers);
        if let Some(limit) = limit.filter(|limit| length.is_some_and(|length| length > *limit)) {
            return Err(BodyError::TooLong(limit).into());
        }
        let digests = digest::from_headers(headers).map_err(Failure::UnreadableDigest)?;
        Ok(Self { body, received: 0, limit, digests })
    }

    /// The next frame; `None` at the body's end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        let frame = self.body.next().await?;
        let Ok(bytes) = &frame else {
            return Some(frame);
        };
        self.received += bytes.len() as u64;
        if let Some(limit) = self.limit.filter(|limit| self.received > *limit) {
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
