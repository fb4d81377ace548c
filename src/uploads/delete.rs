//! Deleting an upload.

use futures::stream::TryStreamExt;

use super::read::Part;
use super::record::Upload;
use super::short_id::short_id;
use super::{Error, REMOVALS_IN_FLIGHT, Uploads, keys, list};
use crate::store::Store;

impl<S: Store> Uploads<S> {
    /// Deletes the upload, complete or not, and all it consists of.
    ///
    /// The mark that it is deleted comes first and stays, so that a request under way can't revive the upload. From then on
    /// the upload is gone for everybody. If the removal of its contents is cut short, the sweep removes the rest.
    ///
    /// # Errors
    /// [`Error::Store`] where the mark can't be written: the upload is as it was, or gone.
    pub async fn delete(&self, upload: &Upload) -> Result<(), Error> {
        self.put_mark(upload).await?;
        let parts = self.parts(upload, 0..upload.offset());
        let remove = |part: Part| async move { Ok(self.blobs.delete(part.key()).await?) };
        parts.try_for_each_concurrent(REMOVALS_IN_FLIGHT, remove).await?;
        self.remove_records(upload).await?;
        log::info!(upload:% = short_id(upload.id); "upload_deleted");
        Ok(())
    }

    /// Deletes the upload, and leaves what it consists of to the sweep.
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
