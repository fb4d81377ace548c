//! Completion: `POST` of an upload with the whole file's checksum, or of the list of uploads with the file itself.

use http::Request;
use uuid::Uuid;

use super::super::error::Error;
use super::super::form::Form;
use super::super::{Context, RequestBody};
use super::chunk::ChunkSink;
use super::{Ignored, filename};
use crate::store::Store;
use crate::uploads::{Append, Expected, Upload};

/// Completes an upload.
pub(super) async fn complete<S: Store>(
    context: &Context<S>,
    id: Uuid,
    request: Request<RequestBody>,
) -> Result<Upload, Error> {
    let (head, body) = request.into_parts();
    let form = Form::read(&head.headers, body, &context.settings.field_name, &mut Ignored).await?;
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
    let (head, body) = request.into_parts();
    let form = Form::read(&head.headers, body, &context.settings.field_name, &mut sink).await;
    match form.and_then(|form| context.check_whole(form)) {
        Ok((form, filename)) => finish_whole(context, &form, filename, sink.into_append()?).await,
        Err(error) => {
            sink.discard().await;
            Err(error)
        }
    }
}

async fn finish_whole<S: Store>(
    context: &Context<S>,
    form: &Form,
    filename: String,
    mut append: Append<S>,
) -> Result<Upload, Error> {
    append.set_filename(filename);
    let path = context.complete_path(append.upload());
    let expected = context.expected_checksum(form)?;
    Ok(append.commit_complete(expected, path).await?)
}

impl<S: Store> Context<S> {
    fn check_whole(&self, form: Form) -> Result<(Form, String), Error> {
        let len = form.file.as_ref().ok_or(Error::NoFile)?.len;
        if let Some(limit) = self.settings.max_bytes.filter(|limit| len > *limit) {
            return Err(Error::OverLimit(limit));
        }
        let filename = filename(&form)?;
        self.expected_checksum(&form)?;
        Ok((form, filename))
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
