//! Completion: `POST` of an upload with the whole file's checksum, or of the list of uploads with the file itself.

use http::Request;
use uuid::Uuid;

use super::super::error::Error;
use super::super::form::Form;
use super::super::{Context, RequestBody};
use super::chunk::ChunkSink;
use super::{Ignored, filename};
use crate::store::Store;
use crate::uploads::{Expected, Upload};

/// Completes an upload.
pub(super) async fn complete<S: Store>(
    context: &Context<S>,
    id: Uuid,
    request: Request<RequestBody>,
) -> Result<Upload, Error> {
    let form = context.read_form(request, false, &mut Ignored).await?;
    let expected = context.expected_checksum(&form)?;
    let upload = context.find(id).await?;
    context.check_not_expired(&upload)?;
    let path = context.complete_path(&upload);
    Ok(context.uploads.complete(upload, expected, path).await?)
}

/// Takes a whole file at once.
pub(super) async fn whole<S: Store>(context: &Context<S>, request: Request<RequestBody>) -> Result<Upload, Error> {
    let limit = context.settings.max_bytes.unwrap_or(u64::MAX);
    let mut sink = ChunkSink { append: Some(context.new_upload(None)), limit };
    let form = context.read_form(request, false, &mut sink).await;
    let form = match form.and_then(|form| context.check_whole(form)) {
        Ok(form) => form,
        Err(error) => {
            sink.discard().await;
            return Err(error);
        }
    };
    let mut append = sink.into_append()?;
    match context.describe_whole(&form, append.upload()) {
        Ok((filename, expected, path)) => {
            append.set_filename(filename);
            Ok(append.commit_complete(expected, path).await?)
        }
        Err(error) => {
            append.discard().await;
            Err(error)
        }
    }
}

impl<S: Store> Context<S> {
    /// Checks what comes before the user, in the peer's order.
    fn check_whole(&self, form: Form) -> Result<Form, Error> {
        let len = form.file.as_ref().ok_or(Error::NoFile)?.len;
        match self.settings.max_bytes {
            Some(limit) if len > limit => Err(Error::OverLimit(limit)),
            _ => Ok(form),
        }
    }

    /// The file's name, checksum and path.
    fn describe_whole<'a>(&self, form: &'a Form, upload: &Upload) -> Result<(String, Expected<'a>, String), Error> {
        Ok((filename(form)?, self.expected_checksum(form)?, self.complete_path(upload)))
    }

    /// What the form says of the file's checksum.
    fn expected_checksum<'a>(&self, form: &'a Form) -> Result<Expected<'a>, Error> {
        let name = self.settings.checksum.name();
        match form.field(name) {
            Some(checksum) => Ok(Expected::Checksum(checksum)),
            None if self.settings.checksum_required => Err(Error::NoChecksum(name)),
            None => Ok(Expected::Any),
        }
    }
}
