//! A request's body as it may be: no longer than the limit, and with the digest that its headers say.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream::{Stream, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::body::{BodyError, RequestBody};
use super::error::Error;
use crate::uploads::{Algorithm, Hasher};

/// A body that is looked at while it is read. Handles of it share what has been seen.
///
/// A parser takes one handle and may stop before the body's end; [`finish`](Self::finish) reads the rest.
#[derive(Clone)]
pub(super) struct CheckedBody(Arc<Mutex<Inner>>);

struct Inner {
    body: RequestBody,
    /// What the headers say.
    length: Option<u64>,
    received: u64,
    /// What has been received and is still to be handed out.
    put_back: Bytes,
    limit: Option<u64>,
    digests: Result<Vec<Digest>, &'static str>,
}

/// A digest of the content that a header says (RFC 9530), and the one in the making.
struct Digest {
    header: &'static str,
    expected: Vec<u8>,
    hasher: Hasher,
}

impl CheckedBody {
    /// Prepares to check the body of a request with these headers.
    ///
    /// # Errors
    /// [`BodyError::TooLong`] where `Content-Length` says so already.
    pub(super) fn new(headers: &HeaderMap, body: RequestBody, limit: Option<u64>) -> Result<Self, Error> {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if let Some(limit) = limit.filter(|limit| length.is_some_and(|length| length > *limit)) {
            return Err(BodyError::TooLong(limit).into());
        }
        // A digest that can't be read is told when the body has been: who is still sending may not listen.
        let digests = read_digests(headers);
        let inner = Inner { body, length, received: 0, put_back: Bytes::new(), limit, digests };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// How many bytes are still to be received, where the headers say how many there are.
    pub(super) fn left(&self) -> Option<u64> {
        let inner = self.lock();
        inner.length?.checked_sub(inner.received)
    }

    /// The next bytes, at most so many: what came together with them is the next to be handed out, to whichever handle.
    pub(super) async fn next_at_most(&mut self, limit: u64) -> Option<Result<Bytes, BodyError>> {
        let mut piece = self.next().await?;
        if let (Ok(bytes), Ok(limit)) = (&mut piece, usize::try_from(limit))
            && bytes.len() > limit
        {
            self.lock().put_back = bytes.split_off(limit);
        }
        Some(piece)
    }

    /// Reads what is left of the body, and checks the digests.
    ///
    /// # Errors
    /// [`Error::Digest`]; [`Error::UnreadableDigest`]; [`Error::Body`].
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        while let Some(piece) = self.next().await {
            piece?;
        }
        let inner = self.lock();
        let digests = inner.digests.as_ref().map_err(|header| Error::UnreadableDigest(header))?;
        let differs = |digest: &&Digest| digest.hasher.checksum().hex != hex::encode(&digest.expected);
        match digests.iter().find(differs) {
            Some(digest) => Err(Error::Digest(digest.header)),
            None => Ok(()),
        }
    }

    /// Handles are used by one task in turn: nobody ever waits here, nor panics while holding it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for CheckedBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.lock();
        if !inner.put_back.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut inner.put_back))));
        }
        let piece = inner.body.as_mut().poll_next(context);
        let Poll::Ready(Some(Ok(bytes))) = &piece else {
            return piece;
        };
        inner.received += bytes.len() as u64;
        match inner.limit {
            Some(limit) if inner.received > limit => return Poll::Ready(Some(Err(BodyError::TooLong(limit)))),
            _ => {}
        }
        for digest in inner.digests.iter_mut().flatten() {
            digest.hasher.update(bytes);
        }
        piece
    }
}

/// The digests that the headers say, as far as their algorithms are known: others are to be ignored (RFC 9530, 2). An
/// error is the name of the header that can't be read.
fn read_digests(headers: &HeaderMap) -> Result<Vec<Digest>, &'static str> {
    let mut digests = Vec::new();
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("\u{0}"));
    if let Some(text) = text("content-digest") {
        let header = "Content-Digest";
        let dictionary: Dictionary = Parser::new(text).parse().map_err(|_| header)?;
        for (name, entry) in dictionary {
            let ListEntry::Item(item) = entry else { return Err(header) };
            let BareItem::ByteSequence(expected) = item.bare_item else { return Err(header) };
            if let Some(algorithm) = algorithm(name.as_str()) {
                digests.push(Digest { header, expected, hasher: Hasher::new(algorithm) });
            }
        }
    }
    // RFC 1864; obsolete, and sent all the same.
    if let Some(text) = text("content-md5") {
        let header = "Content-MD5";
        let expected = BASE64.decode(text.trim()).map_err(|_| header)?;
        digests.push(Digest { header, expected, hasher: Hasher::new(Algorithm::Md5) });
    }
    Ok(digests)
}

/// An algorithm by its name in the registry of RFC 9530.
fn algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| super::digest_name(*algorithm) == name)
}
