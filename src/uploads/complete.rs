//! Completing an upload. The record has the running checksum, so no byte is read again.
//!
//! A completion has two steps, so that a view or a hook can look at the verified upload before it is final.

use std::ops::Range;

use futures::future::join;
use jiff::{SignedDuration, Timestamp};

use super::read::ByteStream;
use super::record::{Progress, Upload};
use super::short_id::short_id;
use super::{Append, Error, Uploads, keys};
use crate::store::Store;

/// How long after its upload's expiry a completion may still become final, if it began before the expiry. A sweep
/// leaves an expired upload alone for much longer.
const GRACE: SignedDuration = SignedDuration::from_secs(40);

/// What the file's checksum must be.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// This checksum, in hex of either case.
    Checksum(&'a str),
    /// Any checksum.
    Any,
}

/// An upload whose checksum has been verified. It is complete after [`commit`](Self::commit). If this value is dropped
/// instead, the upload stays as it was, but new bytes stay in the store. [`discard`](Self::discard) removes them.
pub struct Verified<S> {
    uploads: Uploads<S>,
    /// The upload as it is in the store; `None` if it is new.
    stored: Option<Upload>,
    /// The upload as it will be.
    upload: Upload,
    /// The bytes that came with the same request, and aren't part of the upload yet.
    append: Option<Append<S>>,
    deadline: Option<Timestamp>,
}

impl<S: Store> Uploads<S> {
    /// Verifies the upload, as [`find`](Uploads::find) has returned it. Its file will be served under `path`.
    ///
    /// # Errors
    /// [`Error::AlreadyComplete`]; [`Error::Expired`] if the upload has lost its contents; [`Error::Incomplete`] if
    /// bytes are missing; [`Error::ChecksumMismatch`]. In each case the upload stays as it was.
    pub fn verify(&self, upload: Upload, expected: Expected<'_>, path: String) -> Result<Verified<S>, Error> {
        let stored = Some(upload.clone());
        let upload = self.verified(upload, expected, path)?;
        Ok(Verified { uploads: self.clone(), stored, upload, append: None, deadline: None })
    }

    /// Verifies the upload and completes it.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify) and [`Verified::commit`].
    pub async fn complete(&self, upload: Upload, expected: Expected<'_>, path: String) -> Result<Upload, Error> {
        self.verify(upload, expected, path)?.commit().await
    }

    fn verified(&self, mut upload: Upload, expected: Expected<'_>, path: String) -> Result<Upload, Error> {
        if upload.is_purged() {
            return Err(Error::Expired);
        }
        let checksum = upload.hasher()?.checksum();
        let offset = upload.offset();
        if let Some(total) = upload.total.filter(|total| *total != offset) {
            return Err(Error::Incomplete { offset, total });
        }
        if matches!(expected, Expected::Checksum(hex) if !checksum.matches(hex)) {
            return Err(Error::ChecksumMismatch);
        }
        upload.checksum = Progress::Done(checksum);
        upload.total = Some(offset);
        upload.completed_at = Some(self.now());
        upload.path = path;
        Ok(upload)
    }
}

impl<S: Store> Append<S> {
    /// Stores the last of the bytes, and verifies the upload with them. So only one record is written in the end,
    /// instead of two.
    ///
    /// # Errors
    /// Those of [`commit`](Append::commit) and [`Uploads::verify`]. After an error, nothing is left of the bytes.
    pub async fn verify(mut self, expected: Expected<'_>, path: String) -> Result<Verified<S>, Error> {
        let verified = match self.finish().await {
            Ok(()) => self.uploads.verified(self.upload().clone(), expected, path),
            Err(error) => Err(error),
        };
        match verified {
            Ok(upload) => Ok(Verified {
                uploads: self.uploads.clone(),
                stored: self.stored.clone(),
                upload,
                append: Some(self),
                deadline: None,
            }),
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }
}

impl<S: Store> Verified<S> {
    /// The upload as it will be when it is complete.
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// The bytes of `range`, as [`Uploads::read`] reads them.
    pub fn read(&self, range: Range<u64>) -> ByteStream {
        self.uploads.read(&self.upload, range)
    }

    /// Sets when the upload expires. A completion that isn't final soon after that doesn't count.
    pub fn set_deadline(&mut self, deadline: Timestamp) {
        self.deadline = Some(deadline);
    }

    /// Completes the upload.
    ///
    /// This method checks the upload again right before the write. The hook may have taken long, and another request
    /// may have completed the upload with other bytes meanwhile.
    ///
    /// # Errors
    /// [`Error::AlreadyComplete`], [`Error::NotFound`] or [`Error::OffsetMismatch`] if another request was faster;
    /// [`Error::Expired`] if the completion took too long; [`Error::TooLate`] after twelve hours. After these errors,
    /// the upload stays as it was. After [`Error::Store`], the upload may be complete or not.
    pub async fn commit(self) -> Result<Upload, Error> {
        let creates = self.stored.is_none();
        let own_mark = async {
            match &self.append {
                Some(append) => append.own_mark,
                None => self.uploads.own_mark(creates).await,
            }
        };
        let (unmoved, own_mark) = join(self.uploads.check_unmoved(self.stored.as_ref()), own_mark).await;
        match unmoved.and_then(|()| self.check_in_time()).and_then(|()| self.upload.to_json()) {
            Ok(record) => {
                self.uploads.commit_record(&keys::complete(self.upload.id), record, creates, own_mark).await?;
                self.log();
                Ok(self.upload)
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    fn check_in_time(&self) -> Result<(), Error> {
        let latest = self.deadline.and_then(|deadline| deadline.checked_add(GRACE).ok());
        if latest.is_some_and(|latest| latest <= self.uploads.now()) {
            return Err(Error::Expired);
        }
        self.uploads.check_not_too_late()
    }

    fn log(&self) {
        let upload = &self.upload;
        let took = upload.completed_at.map(|at| at.duration_since(upload.created_at).as_millis() as i64);
        log::info!(
            upload:% = short_id(upload.id), user = upload.user.as_deref(), bytes = upload.offset(), milliseconds = took;
            "upload_completed"
        );
    }

    /// Gives up. The upload stays as it was, and the bytes that came with the request are removed.
    pub async fn discard(self) {
        if let Some(append) = self.append {
            append.discard().await;
        }
    }
}
