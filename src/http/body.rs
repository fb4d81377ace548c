//! The bodies of requests and responses, independent of the server.

use bytes::Bytes;
use futures::stream::LocalBoxStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use thiserror::Error;

use crate::uploads::ByteStream;

/// A request's body, in frames as they arrive.
pub type RequestBody = LocalBoxStream<'static, Result<Bytes, BodyError>>;

/// Why a request's body can't be read to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The body ended too early: the client has gone, or broke the rules of HTTP.
    #[error("The request's body was cut off: {0}")]
    CutOff(#[source] anyhow::Error),
    /// The body is longer than the limit, in bytes.
    #[error("The request's body exceeds the limit ({0} bytes)")]
    TooLong(u64),
    /// The client sent nothing for a while, and other requests waited for the memory that this one held.
    #[error("The request's body stopped while other requests waited; send the request again")]
    Stalled,
}

impl BodyError {
    /// The error's name for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::CutOff(_) => "body_cut_off",
            Self::TooLong(_) => "body_too_large",
            Self::Stalled => "body_stalled",
        }
    }
}

/// A response's body.
pub enum ResponseBody {
    /// The whole body.
    Full(Bytes),
    /// Bytes as they are read from the store.
    Stream(ByteStream),
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::Full(Bytes::new())
    }
}

/// The length of a request's content in bytes, where the headers say it.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
