//! The port for requests of the service's own to other servers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use http::{Request, Response};
use thiserror::Error;

/// Why a request of the service's own got no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The answer was not there in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer's body has more bytes than this.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The request could not be sent, or the answer not be received.
    #[error("the request failed")]
    Failed(#[source] anyhow::Error),
}

impl OutboundError {
    /// A failure with its reason in words.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(anyhow::Error::msg(reason.to_string()))
    }
}

/// What a request of the service's own may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long until the whole answer is there.
    pub timeout: Duration,
    /// How many bytes the answer's body may have.
    pub answer_bytes: usize,
}

/// Sends requests to other servers.
pub trait Outbound {
    /// Sends a request, whose URI is absolute, and waits for the answer. Redirects are answers like others.
    ///
    /// # Errors
    /// No answer came, it came too late, or it is too long.
    fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> LocalBoxFuture<'_, Result<Response<Bytes>, OutboundError>>;
}
