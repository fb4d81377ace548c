//! Deleting an upload.

use futures::stream::TryStreamExt;

use super::read::Part;
use super::record::Upload;
use super::{Error, Uploads, keys, list};
use crate::store::Store;

/// Keys that are removed at once.
const REMOVALS_IN_FLIGHT: usize = 8;

impl<S: Store> Uploads<S> {
    /// Deletes the upload, complete or not, and all it consists of.
    ///
    /// The mark that it is deleted comes first and stays, so that a request still under way can't revive it; and from
    /// then on the upload is gone for everybody, even if removing its parts is cut short: the rest is the sweep's.
    ///
    /// # Errors
    /// [`Error::Store`] where the mark can't be written: the upload is as it was, or gone.
    pub async fn delete(&self, upload: &Upload) -> Result<(), Error> {
        let mark = self.time().to_string().into();
        self.records.set(&keys::deleted(upload.id), mark).await?;
        self.remove_parts(upload).await?;
        self.records.delete(&list::key(upload)).await?;
        self.records.delete(&keys::complete(upload.id)).await?;
        self.records.delete(&keys::open(upload.id)).await?;
        Ok(())
    }

    async fn remove_parts(&self, upload: &Upload) -> Result<(), Error> {
        let keys = self.parts(upload, 0..upload.offset()).map_ok(|part| match part {
            Part::Page(key) => key,
            Part::Value(value) => value.key,
        });
        keys.try_for_each_concurrent(REMOVALS_IN_FLIGHT, |key| async move { Ok(self.blobs.delete(&key).await?) }).await
    }
}
