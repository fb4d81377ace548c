//! The port for requests of the service's own to other servers.

use std::time::Duration;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use http::{Request, Response};
use thiserror::Error;

/// Why a request of the service's own got no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct OutboundError(pub String);

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
    /// Where no answer comes, not in time, or too much of it.
    fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> LocalBoxFuture<'_, Result<Response<Bytes>, OutboundError>>;
}
