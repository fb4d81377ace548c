//! A chunk: `PUT` of the list of uploads creates an upload with it, `PUT` of an upload appends it.
//!
//! The peer checks the chunk before it looks at the upload. This service stores the bytes while they come, so it has
//! looked at both when the chunk is whole. The answer follows the peer's order all the same.

use uuid::Uuid;

use super::content_range::ContentRange;
use super::error::Error;
use super::form::{FileSink, Form, Ignored};
use super::{filename, read_form};
use crate::http::RequestBody;
use crate::identity::Identity;
use crate::protocol::Context;
use crate::store::Store;
use crate::uploads::{self, Append, NewUpload, Upload};
use crate::view::View;

/// Creates an upload with its first chunk.
pub(super) async fn create_upload<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
) -> Result<Upload, Error> {
    let range = match read_range(context) {
        Ok(range) => range,
        Err(error) => return Err(refuse_chunk(context, body, error).await),
    };
    let append = match range.start {
        0 => new_upload(context, range.total),
        provided => Err(uploads::Error::OffsetMismatch { expected: 0, provided }.into()),
    };
    let (form, mut append) = receive(context, body, range, append).await?;
    match filename(&form) {
        Ok(name) => append.set_filename(name),
        Err(error) => {
            append.discard().await;
            return Err(error);
        }
    }
    commit(context, &form, append).await
}

/// Appends a chunk to an upload.
pub(super) async fn append_chunk<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    body: RequestBody,
) -> Result<Upload, Error> {
    let range = match read_range(context) {
        Ok(range) => range,
        Err(error) => return Err(refuse_chunk(context, body, error).await),
    };
    let append = open_append(context, id, &range).await;
    let (form, append) = receive(context, body, range, append).await?;
    commit(context, &form, append).await
}

/// Reads a chunk whose range has a fault, and stores nothing. In the peer's order, a missing chunk is the first fault.
async fn refuse_chunk<S: Store, V: View>(context: &Context<S, V>, body: RequestBody, fault: Error) -> Error {
    match read_form(context, body, true, &mut Ignored).await {
        Ok(form) if form.file.is_none() => Error::NoFile,
        Ok(_) => fault,
        Err(error) => error,
    }
}

/// Makes the chunk part of its upload, if the view agrees.
async fn commit<S: Store, V: View>(context: &Context<S, V>, form: &Form, append: Append<S>) -> Result<Upload, Error> {
    match context.view.validate(context.for_view(), append.upload(), &form.fields).await {
        Ok(()) => Ok(append.commit().await?),
        Err(refusal) => {
            append.discard().await;
            Err(refusal.into())
        }
    }
}

fn read_range<S: Store, V: View>(context: &Context<S, V>) -> Result<ContentRange, Error> {
    let range = ContentRange::from_headers(&context.request.headers)?;
    range.check(context.view.max_bytes(context.for_view()))?;
    Ok(range)
}

async fn open_append<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    range: &ContentRange,
) -> Result<Append<S>, Error> {
    let upload = context.find(id).await?;
    context.check_not_expired(&upload)?;
    let deadline = upload.expires_at(context.settings.expiration_delta);
    let mut append = context.uploads.append(upload, range.start, range.total)?;
    append.set_deadline(deadline);
    // The total may have been said by an earlier chunk alone.
    match append.upload().total {
        Some(total) if range.end() > i128::from(total) => Err(uploads::Error::PastTotal { total }.into()),
        _ => Ok(append),
    }
}

/// A new upload that has no name yet.
pub(super) fn new_upload<S: Store, V: View>(context: &Context<S, V>, total: Option<u64>) -> Result<Append<S>, Error> {
    let (settings, id) = (&context.settings, Uuid::new_v4());
    let user = match &context.identity {
        Identity::Anyone => None,
        Identity::Nobody => return Err(Error::NoUser),
        Identity::User(user) => Some(user.clone()),
    };
    let new = NewUpload {
        id,
        filename: String::new(),
        path: context.file_path(id, context.uploads.began_at(), &settings.incomplete_ext),
        user,
        total,
        algorithm: settings.checksum,
        segment_size: settings.segment_size,
        listed: context.identity != Identity::Anyone || !settings.user_restricted,
    };
    Ok(context.uploads.create(new)?)
}

/// Reads the chunk's form, and its bytes into `append` where there is one. Returns the append if all is well.
///
/// The first fault in the peer's order wins: a missing file part, a wrong length, and then the upload's own faults.
async fn receive<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
    range: ContentRange,
    append: Result<Append<S>, Error>,
) -> Result<(Form, Append<S>), Error> {
    let limit = u64::try_from(range.len).unwrap_or(0);
    let mut sink = AppendSink::new(append, limit);
    sink.expect(limit);
    let form = read_form(context, body, true, &mut sink).await;
    match form.and_then(|form| check_received(form, &range)) {
        Ok(form) => Ok((form, sink.into_append()?)),
        Err(error) => {
            sink.discard().await;
            Err(error)
        }
    }
}

fn check_received(form: Form, range: &ContentRange) -> Result<Form, Error> {
    let actual = form.file.as_ref().ok_or(Error::NoFile)?.len;
    if i128::from(actual) != range.len {
        return Err(Error::WrongLength { actual, reported: range.len });
    }
    Ok(form)
}

/// Takes a chunk's bytes into the upload, up to the length that is wanted, or remembers why the upload can't take them.
pub(super) struct AppendSink<S> {
    append: Result<Append<S>, Error>,
    /// How many bytes are wanted. The form counts the bytes beyond that, and the request is refused in the end.
    limit: u64,
}

impl<S: Store> AppendSink<S> {
    /// A sink into `append`, or one that remembers why there is none.
    pub(super) fn new(append: Result<Append<S>, Error>, limit: u64) -> Self {
        Self { append, limit }
    }

    /// Says how many bytes are to come.
    fn expect(&mut self, bytes: u64) {
        if let Ok(append) = &mut self.append {
            append.expect(bytes);
        }
    }

    pub(super) fn into_append(self) -> Result<Append<S>, Error> {
        self.append
    }

    pub(super) async fn discard(self) {
        if let Ok(append) = self.append {
            append.discard().await;
        }
    }
}

impl<S: Store> FileSink for AppendSink<S> {
    async fn write(&mut self, bytes: &[u8]) {
        let Ok(append) = &mut self.append else {
            return;
        };
        if append.received() + bytes.len() as u64 > self.limit {
            return;
        }
        if let Err(error) = append.write(bytes).await
            && let Ok(append) = std::mem::replace(&mut self.append, Err(error.into()))
        {
            append.discard().await;
        }
    }
}
