//! Completion: `POST` of an upload with the whole file's checksum, or of the list of uploads with the file itself.

use http::Response;
use uuid::Uuid;

use super::chunk::{AppendSink, new_upload};
use super::error::Error;
use super::form::{Form, Ignored, Raw};
use super::{describe, describe_under, filename, is_short, read_form, upload_response};
use crate::http::{RequestBody, ResponseBody, content_length};
use crate::protocol::Context;
use crate::store::Store;
use crate::uploads::{self, Algorithm, Append, Expected, Upload, Verified};
use crate::view::{ChecksumCheck, Completion, View};

/// Completes an upload.
pub(super) async fn complete_upload<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Error> {
    let upload = match context.find(id).await {
        Err(error @ uploads::Error::NotFound) if !is_short(&context.request.headers) => return Err(error.into()),
        found => found,
    };
    let form = read_form(context, body, Raw::Never, &mut Ignored).await?;
    let algorithm = upload.as_ref().map_or(context.settings.checksum, Upload::algorithm);
    let expected = expected_checksum(context, &form, algorithm)?;
    let upload = upload?;
    context.check_not_expired(&upload)?;
    let deadline = upload.expires_at(context.settings.expiration_delta);
    let path = context.complete_file_path(&upload);
    validate_open(context, &upload, &form).await?;
    let mut verified = context.uploads.verify(upload, expected, path)?;
    verified.set_deadline(deadline);
    finish(context, verified).await
}

/// Takes a whole file at once.
pub(super) async fn upload_whole_file<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Error> {
    let limit = context.view.max_bytes(context.for_view());
    let append = match new_upload(context, None) {
        Ok(append) => append,
        Err(fault) => return Err(refuse_whole_file(context, body, limit, fault).await),
    };
    let mut sink = AppendSink::new(append, limit.unwrap_or(u64::MAX));
    if let Some(length) = content_length(&context.request.headers) {
        sink.expect(length);
    }
    let form = read_form(context, body, Raw::Never, &mut sink).await;
    let form = match form.and_then(|form| check_whole_file(form, limit)) {
        Ok(form) => form,
        Err(error) => {
            sink.discard().await;
            return Err(error);
        }
    };
    let mut append = sink.into_append()?;
    match name_and_validate(context, &form, &mut append).await {
        Ok((expected, path)) => finish(context, append.verify(expected, path).await?).await,
        Err(error) => {
            append.discard().await;
            Err(error)
        }
    }
}

/// The fault to report for a refused file. The rule is the same as for a refused chunk.
async fn refuse_whole_file<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
    limit: Option<u64>,
    fault: Error,
) -> Error {
    if !is_short(&context.request.headers) {
        return fault;
    }
    let form = read_form(context, body, Raw::Never, &mut Ignored).await;
    form.and_then(|form| check_whole_file(form, limit)).err().unwrap_or(fault)
}

/// Completes a verified upload, if the view agrees. The answer is the view's, or the upload's description.
async fn finish<S: Store, V: View>(
    context: &Context<S, V>,
    verified: Verified<S>,
) -> Result<Response<ResponseBody>, Error> {
    let completion = Completion {
        upload: verified.upload(),
        answer: &describe(context, verified.upload()),
        read: &|range| verified.read(range),
        hook: context.hook().map(|hook| {
            let told = describe_under(context, &context.urls.for_backends(), verified.upload());
            (hook, told)
        }),
    };
    match context.view.on_completion(context.for_view(), &completion).await {
        Ok(answer) => {
            let upload = verified.commit().await?;
            Ok(answer.map_or_else(|| upload_response(context, &upload), |answer| answer.map(ResponseBody::Full)))
        }
        Err(refusal) => {
            verified.discard().await;
            Err(refusal.into())
        }
    }
}

/// Makes the checks that the peer makes before it looks at the user.
fn check_whole_file(form: Form, limit: Option<u64>) -> Result<Form, Error> {
    let len = form.file.as_ref().ok_or(Error::NoFile)?.len;
    match limit {
        Some(limit) if len > limit => Err(Error::OverLimit(limit)),
        _ => Ok(form),
    }
}

/// Names the file and asks the view. Returns the file's expected checksum and its path.
async fn name_and_validate<'a, S: Store, V: View>(
    context: &Context<S, V>,
    form: &'a Form,
    append: &mut Append<S>,
) -> Result<(Expected<'a>, String), Error> {
    append.set_filename(filename(form)?);
    let expected = expected_checksum(context, form, append.upload().algorithm())?;
    context.view.validate(context.for_view(), append.upload(), &form.fields).await?;
    Ok((expected, context.complete_file_path(append.upload())))
}

/// Asks the view whether an upload may be completed. The view does not see an upload that the service itself refuses.
async fn validate_open<S: Store, V: View>(context: &Context<S, V>, upload: &Upload, form: &Form) -> Result<(), Error> {
    if upload.is_complete() {
        return Err(uploads::Error::AlreadyComplete.into());
    }
    Ok(context.view.validate(context.for_view(), upload, &form.fields).await?)
}

/// What the file's checksum must be, by the form's field for the upload's algorithm.
fn expected_checksum<'a, S: Store, V: View>(
    context: &Context<S, V>,
    form: &'a Form,
    algorithm: Algorithm,
) -> Result<Expected<'a>, Error> {
    let check = context.view.checksum_check(context.for_view());
    match form.field(algorithm.name()) {
        _ if check == ChecksumCheck::Never => Ok(Expected::Any),
        Some(checksum) => Ok(Expected::Checksum(checksum)),
        None if check == ChecksumCheck::Required => Err(Error::NoChecksum(algorithm.name())),
        None => Ok(Expected::Any),
    }
}
