//! The port for the service's own requests to other servers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use http::{Request, Response};
use thiserror::Error;

/// Why one of the service's own requests got no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer's body has more bytes than this.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The request could not be sent, or the answer could not be received.
    #[error("the request failed")]
    Failed(#[source] anyhow::Error),
}

impl OutboundError {
    /// A failure with its reason in words.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(anyhow::Error::msg(reason.to_string()))
    }
}

/// The limits of one of the service's own requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the request may take until the whole answer has come.
    pub timeout: Duration,
    /// How many bytes the answer's body may have.
    pub answer_bytes: usize,
}

/// Sends requests to other servers.
pub trait Outbound {
    /// Sends a request and waits for the answer. The request's URI is absolute. A redirect is an answer like any other.
    ///
    /// # Errors
    /// No answer came, it came too late, or it is too long.
    fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> LocalBoxFuture<'_, Result<Response<Bytes>, OutboundError>>;
}
