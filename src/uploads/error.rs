//! What goes wrong with an upload.

use thiserror::Error;
use uuid::Uuid;

use super::short_id::short_id;
use crate::store::StoreError;

/// Why an upload could not be found, continued, completed or read. Nothing has changed in the store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such upload, or it was deleted.
    #[error("there is no such upload")]
    NotFound,
    /// The upload is complete: it can't be continued.
    #[error("the upload is complete")]
    AlreadyComplete,
    /// The bytes don't follow those that are there.
    #[error("the upload stands at offset {expected}, not {provided}")]
    OffsetMismatch {
        /// Where the upload stands.
        expected: u64,
        /// Where the bytes would have begun.
        provided: u64,
    },
    /// The upload was to be complete by now.
    #[error("the upload has expired")]
    Expired,
    /// The request took so long that a sweep may have removed what it wrote.
    #[error("the request took too long")]
    TooLate,
    /// The file's length was said before, and differently.
    #[error("the upload's total is {expected} bytes, not {provided}")]
    TotalMismatch {
        /// What was said first.
        expected: u64,
        /// What is said now.
        provided: u64,
    },
    /// The bytes go beyond the file's length.
    #[error("the bytes go beyond the upload's total of {total} bytes")]
    PastTotal {
        /// The file's length.
        total: u64,
    },
    /// Bytes are missing at the end: the upload can't be completed yet.
    #[error("the upload has {offset} of {total} bytes")]
    Incomplete {
        /// How many bytes are there.
        offset: u64,
        /// How many there should be.
        total: u64,
    },
    /// The file's checksum is another one than was expected.
    #[error("the checksum does not match")]
    ChecksumMismatch,
    /// What is stored can't be understood, or a part of it is missing.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong with a stored upload. The text is for the log; ids in it are cut short.
#[derive(Debug, Error)]
#[error("the stored upload is damaged: {what}")]
pub struct Damage {
    what: String,
    #[source]
    source: Option<anyhow::Error>,
}

impl Damage {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// The checksum of a complete upload is not hex.
    pub(crate) fn of_checksum(id: Uuid) -> Self {
        Self::new(format!("the checksum of {} can't be read", short_id(id)))
    }

    /// Adds what was found when the stored bytes were read.
    pub(super) fn because(self, source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

impl Error {
    /// The error's name for programs, which stays what it is from version to version.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "upload_not_found",
            Self::AlreadyComplete => "upload_already_complete",
            Self::OffsetMismatch { .. } => "offset_mismatch",
            Self::Expired => "upload_expired",
            Self::TooLate => "request_too_slow",
            Self::TotalMismatch { .. } => "total_mismatch",
            Self::PastTotal { .. } => "end_past_total",
            Self::Incomplete { .. } => "upload_incomplete",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::Damaged(_) => "upload_damaged",
            Self::Store(_) => "store_unavailable",
        }
    }
}
