//! Deleting an upload.

use futures::stream::{StreamExt, TryStreamExt};

use super::read::Part;
use super::record::Upload;
use super::short_id::short_id;
use super::{Error, REMOVALS_IN_FLIGHT, Uploads, keys, list};
use crate::error_chain::error_chain;
use crate::store::Store;

/// How many segments and pages the request itself removes: at most 1 GB of a file by default. The sweep removes the
/// others.
const REMOVALS_BY_REQUEST: usize = 1_000;

impl<S: Store> Uploads<S> {
    /// Deletes the upload, complete or not, and its contents.
    ///
    /// The mark of the deletion is written first and stays, so that a request under way can't revive the upload. From
    /// then on, the upload is gone for everybody, and no later failure is an error. The sweep removes the rest of a
    /// large upload's contents, and contents whose removal has failed.
    ///
    /// # Errors
    /// [`Error::Store`] if the write of the mark fails. The upload is then as it was, or gone.
    pub async fn delete(&self, upload: &Upload) -> Result<(), Error> {
        self.put_mark(upload).await?;
        log::info!(upload:% = short_id(upload.id); "upload_deleted");
        if let Err(error) = self.remove_some(upload).await {
            log::warn!(upload:% = short_id(upload.id), error:% = error_chain(&error); "contents_left");
        }
        Ok(())
    }

    /// Removes the records, and a bounded part of the contents.
    async fn remove_some(&self, upload: &Upload) -> Result<(), Error> {
        let parts = self.parts(upload, 0..upload.offset()).take(REMOVALS_BY_REQUEST);
        let remove = |part: Part| async move { Ok(self.blobs.delete(part.key()).await?) };
        let contents = parts.try_for_each_concurrent(REMOVALS_IN_FLIGHT, remove).await;
        self.remove_records(upload).await?;
        contents
    }

    /// Deletes the upload, and leaves its contents to the sweep.
    pub(super) async fn mark_deleted(&self, upload: &Upload) -> Result<(), Error> {
        self.put_mark(upload).await?;
        self.remove_records(upload).await
    }

    /// Takes the contents of an expired upload out of its record, and keeps the record. The sweep removes the contents.
    pub(super) async fn purge(&self, mut upload: Upload) -> Result<(), Error> {
        upload.purge();
        self.records.set(&keys::open(upload.id), upload.to_json()?.into()).await?;
        Ok(())
    }

    async fn put_mark(&self, upload: &Upload) -> Result<(), Error> {
        Ok(self.records.set(&keys::deleted(upload.id), self.now().to_string().into()).await?)
    }

    async fn remove_records(&self, upload: &Upload) -> Result<(), Error> {
        for key in [list::key(upload), keys::complete(upload.id), keys::open(upload.id)] {
            self.records.delete(&key).await?;
        }
        Ok(())
    }
}
