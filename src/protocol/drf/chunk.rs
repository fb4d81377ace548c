//! Chunks: `PUT` of the list of uploads creates an upload with its first chunk. `PUT` of an upload appends a chunk.
//!
//! The service checks the request's head before it reads a long body, so a refused chunk costs the client little. The
//! peer reads the chunk first. So the service reads a short body before it refuses the request. If such a request has
//! two faults, the service reports the one that comes first in the peer's order.

use uuid::Uuid;

use super::content_range::ContentRange;
use super::error::Error;
use super::form::{FileSink, Form, Ignored, Raw};
use super::{filename, is_short, read_form};
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
        Err(fault) => return Err(refuse(context, body, None, fault).await),
    };
    let append = match range.start {
        0 => new_upload(context, range.total).map(|append| with_deadline(context, append)),
        provided => Err(uploads::Error::OffsetMismatch { expected: 0, provided }.into()),
    };
    let append = match append {
        Ok(append) => append,
        Err(fault) => return Err(refuse(context, body, Some(&range), fault).await),
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
        Err(fault) => return Err(refuse(context, body, None, fault).await),
    };
    let append = match open_append(context, id, &range).await {
        Ok(append) => append,
        Err(fault) => return Err(refuse(context, body, Some(&range), fault).await),
    };
    let (form, append) = receive(context, body, range, append).await?;
    commit(context, &form, append).await
}

/// The fault to report for a chunk that is refused because of `fault`. If a short body has a fault that comes first in
/// the peer's order, this function returns that one.
async fn refuse<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
    range: Option<&ContentRange>,
    fault: Error,
) -> Error {
    if !is_short(&context.request.headers) {
        return fault;
    }
    let raw = Raw::Chunk { len: range.map(|range| range.len) };
    match read_form(context, body, raw, &mut Ignored).await {
        Ok(form) if form.file.is_none() => Error::NoFile,
        Ok(form) => range.and_then(|range| check_received(form, range).err()).unwrap_or(fault),
        Err(error) => error,
    }
}

/// Commits the chunk to its upload, if the view agrees.
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
    let range = ContentRange::from_headers(&context.request.headers, context.settings.content_range_end)?;
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
    let append = with_deadline(context, context.uploads.append(upload, range.start, range.total)?);
    // This chunk's range may have no total while an earlier chunk has declared one.
    match append.upload().total {
        Some(total) if range.end() > i128::from(total) => Err(uploads::Error::PastTotal { total }.into()),
        _ => Ok(append),
    }
}

/// The append of a chunk. The chunk doesn't count if the upload expires before the chunk is stored, even if it is the
/// first one.
fn with_deadline<S: Store, V: View>(context: &Context<S, V>, mut append: Append<S>) -> Append<S> {
    let deadline = append.upload().expires_at(context.settings.expiration_delta);
    append.set_deadline(deadline);
    append
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
        listed: context.identity != Identity::Anyone,
    };
    Ok(context.uploads.create(new)?)
}

/// Reads the chunk's form, and writes its bytes into `append`. Returns both if all is well.
async fn receive<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
    range: ContentRange,
    append: Append<S>,
) -> Result<(Form, Append<S>), Error> {
    let limit = u64::try_from(range.len).unwrap_or(0);
    let mut sink = AppendSink::new(append, limit);
    sink.expect(limit);
    let form = read_form(context, body, Raw::Chunk { len: Some(range.len) }, &mut sink).await;
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

/// Writes the bytes of a form's file into an append, up to a limit. If the append fails, the sink remembers the error.
pub(super) struct AppendSink<S> {
    append: Result<Append<S>, Error>,
    /// The most bytes that the append gets. The form counts the bytes beyond the limit, too, and the request is refused
    /// in the end.
    limit: u64,
}

impl<S: Store> AppendSink<S> {
    /// A sink into `append`.
    pub(super) fn new(append: Append<S>, limit: u64) -> Self {
        Self { append: Ok(append), limit }
    }

    /// Declares about how many bytes are to come.
    pub(super) fn expect(&mut self, bytes: u64) {
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
