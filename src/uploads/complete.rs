//! Completing an upload: its checksum is at hand, so no byte is read again.

use super::record::{Progress, Upload};
use super::{Append, Error, Uploads, keys};
use crate::store::Store;

/// What the file's checksum must be.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// This one, in hex of either case.
    Checksum(&'a str),
    /// Whatever it is.
    Any,
}

impl<S: Store> Uploads<S> {
    /// Completes the upload, as [`find`](Uploads::find) has returned it; its file will be served under `path`.
    ///
    /// # Errors
    /// [`Error::AlreadyComplete`]; [`Error::Expired`] where it has lost its contents; [`Error::Incomplete`] where
    /// bytes are missing; [`Error::ChecksumMismatch`]; [`Error::TooLate`] after twelve hours. In each case the upload
    /// stays as it was. [`Error::Store`] leaves open whether it is complete.
    pub async fn complete(&self, upload: Upload, expected: Expected<'_>, path: String) -> Result<Upload, Error> {
        let upload = self.verified(upload, expected, path)?;
        self.check_not_too_late()?;
        self.records.set(&keys::complete(upload.id), upload.to_json()?.into()).await?;
        Ok(upload)
    }

    fn verified(&self, mut upload: Upload, expected: Expected<'_>, path: String) -> Result<Upload, Error> {
        if upload.is_emptied() {
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
        upload.completed_at = Some(self.time());
        upload.path = path;
        Ok(upload)
    }
}

impl<S: Store> Append<S> {
    /// Makes the bytes part of the upload and completes it, with one record written instead of two.
    ///
    /// # Errors
    /// Those of [`commit`](Append::commit) and [`Uploads::complete`]; nothing is left of the bytes then, but after an
    /// [`Error::Store`] the store alone knows.
    pub async fn commit_complete(mut self, expected: Expected<'_>, path: String) -> Result<Upload, Error> {
        let finished = self.finish().await;
        let verified = finished.and_then(|()| {
            let upload = self.uploads.verified(self.upload().clone(), expected, path)?;
            Ok((upload.to_json()?, upload))
        });
        match verified {
            Ok((record, upload)) => {
                self.uploads.records.set(&keys::complete(upload.id), record.into()).await?;
                Ok(upload)
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }
}
