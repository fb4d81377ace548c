//! What goes wrong with an upload.

use thiserror::Error;
use uuid::Uuid;

use super::short_id::short_id;
use crate::store::StoreError;

/// Why an upload could not be found, continued, completed or read. After any error but [`Error::Store`], the upload is
/// as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such upload, or it was deleted.
    #[error("there is no such upload")]
    NotFound,
    /// The upload is complete: it can't be continued.
    #[error("the upload is complete")]
    AlreadyComplete,
    /// The bytes don't begin at the upload's offset.
    #[error("the upload stands at offset {expected}, not {provided}")]
    OffsetMismatch {
        /// The upload's offset.
        expected: u64,
        /// The offset at which the bytes would have begun.
        provided: u64,
    },
    /// The upload was not complete before its expiry.
    #[error("the upload has expired")]
    Expired,
    /// The request took so long that a sweep may have removed what it wrote.
    #[error("the request took too long")]
    TooLate,
    /// An earlier request has declared another total.
    #[error("the upload's total is {expected} bytes, not {provided}")]
    TotalMismatch {
        /// The total that was declared first.
        expected: u64,
        /// The total that is declared now.
        provided: u64,
    },
    /// The bytes go beyond the upload's total.
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
    /// The file's checksum is not the expected one.
    #[error("the checksum does not match")]
    ChecksumMismatch,
    /// The stores have the mark of another deployment, so a sweep can't tell whose their contents are.
    #[error("the stores are not this deployment's alone: they have the mark {mark} of another one")]
    SharedStores {
        /// The other deployment's mark.
        mark: Uuid,
    },
    /// The stored upload can't be read, or a part of it is missing.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong with a stored upload. The text is for the log, so ids in it are cut short.
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

    /// Adds the error that was its cause.
    pub(super) fn because(self, source: impl Into<anyhow::Error>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

impl Error {
    /// The error's name for programs. It stays the same in all versions.
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
            Self::SharedStores { .. } => "stores_shared",
            Self::Damaged(_) => "upload_damaged",
            Self::Store(_) => "store_unavailable",
        }
    }
}
