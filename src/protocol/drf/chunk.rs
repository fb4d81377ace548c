//! A chunk: `PUT` of the list of uploads begins one, `PUT` of an upload goes on with it.
//!
//! The peer checks the chunk before it looks at the upload. Here the bytes are on their way into the store while they
//! come, so both have been looked at by the time the chunk is whole; the answer follows the peer's order all the same.

use uuid::Uuid;

use super::super::content_range::ContentRange;
use super::super::error::Error;
use super::super::form::{FileSink, Form};
use super::super::{Context, RequestBody};
use super::filename;
use crate::identity::Asking;
use crate::store::Store;
use crate::uploads::{Append, NewUpload, Upload};
use crate::view::View;

/// Takes the first chunk of a new upload.
pub(super) async fn begin<S: Store, V: View>(context: &Context<S, V>, body: RequestBody) -> Result<Upload, Error> {
    let range = checked_range(context);
    let append = range.as_ref().ok().map(|range| match range.start {
        0 => context.new_upload(range.total),
        provided => Err(crate::uploads::Error::OffsetMismatch { expected: 0, provided }.into()),
    });
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

/// Takes the next chunk of an upload.
pub(super) async fn go_on<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    body: RequestBody,
) -> Result<Upload, Error> {
    let range = checked_range(context);
    let append = match &range {
        Ok(range) => Some(context.open_append(id, range).await),
        Err(_) => None,
    };
    let (form, append) = receive(context, body, range, append).await?;
    commit(context, &form, append).await
}

/// Makes the chunk part of its upload, if the view agrees.
async fn commit<S: Store, V: View>(context: &Context<S, V>, form: &Form, append: Append<S>) -> Result<Upload, Error> {
    match context.view.validate(context.visit(), append.upload(), &form.fields).await {
        Ok(()) => Ok(append.commit().await?),
        Err(refusal) => {
            append.discard().await;
            Err(refusal.into())
        }
    }
}

fn checked_range<S: Store, V: View>(context: &Context<S, V>) -> Result<ContentRange, Error> {
    let range = ContentRange::from_headers(&context.request.headers)?;
    range.check(context.view.max_bytes(context.visit()))?;
    Ok(range)
}

impl<S: Store, V: View> Context<S, V> {
    async fn open_append(&self, id: Uuid, range: &ContentRange) -> Result<Append<S>, Error> {
        let upload = self.find(id).await?;
        self.check_not_expired(&upload)?;
        let deadline = upload.expires_at(self.settings.expiration_delta);
        let mut append = self.uploads.append(upload, range.start, range.total)?;
        append.set_deadline(deadline);
        Ok(append)
    }

    /// Whose a new upload is.
    fn user(&self) -> Result<Option<String>, Error> {
        match &self.asking {
            Asking::Anyone => Ok(None),
            Asking::Nobody => Err(Error::NoUser),
            Asking::User(user) => Ok(Some(user.clone())),
        }
    }

    /// A new upload that has no name yet.
    pub(super) fn new_upload(&self, total: Option<u64>) -> Result<Append<S>, Error> {
        let id = Uuid::new_v4();
        let path = self.path(id, self.uploads.began_at(), &self.settings.incomplete_ext);
        let new = NewUpload {
            id,
            filename: String::new(),
            path,
            user: self.user()?,
            total,
            algorithm: self.settings.checksum,
            segment_size: self.settings.segment_size,
            listed: self.asking != Asking::Anyone || !self.settings.user_restricted,
        };
        Ok(self.uploads.create(new)?)
    }
}

/// Reads the chunk's form, the bytes into `append` where there is one, and answers with the append if all is well.
/// The first fault in the peer's order wins: no file part, the range, the length, and only then the upload's own.
async fn receive<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
    range: Result<ContentRange, Error>,
    mut append: Option<Result<Append<S>, Error>>,
) -> Result<(Form, Append<S>), Error> {
    let limit = range.as_ref().map_or(0, |range| u64::try_from(range.len).unwrap_or(0));
    if let Some(Ok(append)) = &mut append {
        append.expect(limit);
    }
    let mut sink = ChunkSink { append, limit };
    let form = context.read_form(body, true, &mut sink).await;
    match form.and_then(|form| check_received(form, range)) {
        Ok(form) => Ok((form, sink.into_append()?)),
        Err(error) => {
            sink.discard().await;
            Err(error)
        }
    }
}

fn check_received(form: Form, range: Result<ContentRange, Error>) -> Result<Form, Error> {
    let actual = form.file.as_ref().ok_or(Error::NoFile)?.len;
    let reported = range?.len;
    if i128::from(actual) != reported {
        return Err(Error::WrongLength { actual, reported });
    }
    Ok(form)
}

/// Where a chunk's bytes go: into the upload, unless there is a reason against it, up to the length that the range
/// says.
pub(super) struct ChunkSink<S> {
    /// The append, or why there is none; `None` where the range has a fault.
    pub(super) append: Option<Result<Append<S>, Error>>,
    /// How many bytes are wanted; what comes beyond is counted by the form, and refused in the end.
    pub(super) limit: u64,
}

impl<S: Store> ChunkSink<S> {
    pub(super) fn into_append(self) -> Result<Append<S>, Error> {
        self.append.unwrap_or(Err(Error::ContentRange))
    }

    pub(super) async fn discard(self) {
        if let Some(Ok(append)) = self.append {
            append.discard().await;
        }
    }
}

impl<S: Store> FileSink for ChunkSink<S> {
    fn expected(&self) -> u64 {
        self.limit
    }

    async fn write(&mut self, bytes: &[u8]) {
        let Some(Ok(append)) = &mut self.append else {
            return;
        };
        if append.received() + bytes.len() as u64 > self.limit {
            return;
        }
        if let Err(error) = append.write(bytes).await
            && let Some(Ok(append)) = self.append.replace(Err(error.into()))
        {
            append.discard().await;
        }
    }
}
