//! Completion: `POST` of an upload with the whole file's checksum, or of the list of uploads with the file itself.

use http::Response;
use uuid::Uuid;

use super::super::Context;
use super::super::body::{RequestBody, ResponseBody};
use super::super::error::Error;
use super::super::form::Form;
use super::chunk::ChunkSink;
use super::{Ignored, filename};
use crate::store::Store;
use crate::uploads::{self, Algorithm, Append, Expected, Upload, Verified};
use crate::view::{ChecksumCheck, Completion, View};

/// Completes an upload.
pub(super) async fn complete<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Error> {
    let form = context.read_form(body, false, &mut Ignored).await?;
    let upload = context.find(id).await;
    let algorithm = upload.as_ref().map_or(context.settings.checksum, Upload::algorithm);
    let expected = context.expected_checksum(&form, algorithm)?;
    let upload = upload?;
    context.check_not_expired(&upload)?;
    let deadline = upload.expires_at(context.settings.expiration_delta);
    let path = context.complete_path(&upload);
    context.validate_open(&upload, &form).await?;
    let mut verified = context.uploads.verify(upload, expected, path)?;
    verified.set_deadline(deadline);
    finish(context, verified).await
}

/// Takes a whole file at once.
pub(super) async fn whole<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Error> {
    let limit = context.view.max_bytes(context.visit());
    let mut sink = ChunkSink { append: Some(context.new_upload(None)), limit: limit.unwrap_or(u64::MAX) };
    let form = context.read_form(body, false, &mut sink).await;
    let form = match form.and_then(|form| check_whole(form, limit)) {
        Ok(form) => form,
        Err(error) => {
            sink.discard().await;
            return Err(error);
        }
    };
    let mut append = sink.into_append()?;
    match context.describe_whole(&form, &mut append).await {
        Ok((expected, path)) => finish(context, append.verify(expected, path).await?).await,
        Err(error) => {
            append.discard().await;
            Err(error)
        }
    }
}

/// Makes a verified upload complete, if the view agrees, and answers with what the view says.
async fn finish<S: Store, V: View>(
    context: &Context<S, V>,
    verified: Verified<S>,
) -> Result<Response<ResponseBody>, Error> {
    let completion = Completion {
        upload: verified.upload(),
        answer: &context.describe(verified.upload()),
        read: &|range| verified.read(range),
        hook: context.hook(),
    };
    match context.view.on_completion(context.visit(), &completion).await {
        Ok(answer) => {
            let upload = verified.commit().await?;
            Ok(answer.map_or_else(|| context.upload_answer(&upload), |answer| answer.map(ResponseBody::Full)))
        }
        Err(refusal) => {
            verified.discard().await;
            Err(refusal.into())
        }
    }
}

/// Checks what comes before the user, in the peer's order.
fn check_whole(form: Form, limit: Option<u64>) -> Result<Form, Error> {
    let len = form.file.as_ref().ok_or(Error::NoFile)?.len;
    match limit {
        Some(limit) if len > limit => Err(Error::OverLimit(limit)),
        _ => Ok(form),
    }
}

impl<S: Store, V: View> Context<S, V> {
    /// Names the file and looks at it with the view's eyes; answers with its checksum and path.
    async fn describe_whole<'a>(
        &self,
        form: &'a Form,
        append: &mut Append<S>,
    ) -> Result<(Expected<'a>, String), Error> {
        append.set_filename(filename(form)?);
        let expected = self.expected_checksum(form, append.upload().algorithm())?;
        self.view.validate(self.visit(), append.upload(), &form.fields).await?;
        Ok((expected, self.complete_path(append.upload())))
    }

    /// Has the view look at an upload that may be completed: what the service itself refuses isn't its business.
    async fn validate_open(&self, upload: &Upload, form: &Form) -> Result<(), Error> {
        if upload.is_complete() {
            return Err(uploads::Error::AlreadyComplete.into());
        }
        Ok(self.view.validate(self.visit(), upload, &form.fields).await?)
    }

    /// What the form says of the file's checksum, in the field of the upload's algorithm.
    fn expected_checksum<'a>(&self, form: &'a Form, algorithm: Algorithm) -> Result<Expected<'a>, Error> {
        let check = self.view.checksum_check(self.visit());
        match form.field(algorithm.name()) {
            _ if check == ChecksumCheck::Never => Ok(Expected::Any),
            Some(checksum) => Ok(Expected::Checksum(checksum)),
            None if check == ChecksumCheck::Required => Err(Error::NoChecksum(algorithm.name())),
            None => Ok(Expected::Any),
        }
    }
}
