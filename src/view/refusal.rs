//! How a view refuses a request.

use http::StatusCode;
use serde_json::{Value, json};
use thiserror::Error;

use crate::http::failure::Failure;

/// Why a view doesn't let a request change an upload.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Refusal {
    /// The request is at fault. The answer has this status and body.
    #[error("refused with {status}: {body}")]
    Request {
        /// A status from 400 to 499. For any other status, the client gets a 500.
        status: StatusCode,
        /// The answer, in JSON.
        body: Value,
    },
    /// Something that the view needs has failed. The answer is a 502, and the client may try again. The reason is for
    /// the log alone.
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    /// A refusal whose `detail` tells the client what to do about it.
    pub fn new(status: StatusCode, detail: &str) -> Self {
        Self::Request { status, body: json!({"detail": detail}) }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Request { status, body } if status.is_client_error() => Self::Refused { status, body },
            Refusal::Request { status, .. } => Self::ViewStatus(status),
            Refusal::Failed(reason) => Self::ViewFailed(reason),
        }
    }
}
