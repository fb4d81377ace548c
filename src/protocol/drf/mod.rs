//! drf-chunked-upload's protocol: which request does what, and how an upload is answered.

mod chunk;
mod complete;
mod list;

use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Context;
use super::body::{self, RequestBody, ResponseBody};
use super::error::Error;
use super::form::{FileSink, Form};
use crate::store::Store;
use crate::uploads::{self, Upload};
use crate::view::View;

/// The longest filename, as the peer's model has it.
const MAX_FILENAME_CHARACTERS: usize = 255;

const UPLOADS_ALLOW: &str = "GET, HEAD, POST, PUT";
const UPLOAD_ALLOW: &str = "DELETE, GET, HEAD, POST, PUT";

/// Answers a request for the list of uploads.
pub(super) async fn answer_uploads<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Error> {
    match context.request.method {
        Method::PUT => Ok(context.upload_answer(&chunk::begin(context, body).await?)),
        Method::POST => complete::whole(context, body).await,
        Method::GET | Method::HEAD => list::answer(context).await,
        _ => Err(context.method_error(UPLOADS_ALLOW)),
    }
}

/// Answers a request for one upload.
pub(super) async fn answer_upload<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    body: RequestBody,
) -> Result<Response<ResponseBody>, Error> {
    match context.request.method {
        Method::PUT => Ok(context.upload_answer(&chunk::go_on(context, id, body).await?)),
        Method::POST => complete::complete(context, id, body).await,
        Method::GET | Method::HEAD => Ok(context.upload_answer(&context.find(id).await?)),
        Method::DELETE => cancel(context, id).await,
        _ => Err(context.method_error(UPLOAD_ALLOW)),
    }
}

async fn cancel<S: Store, V: View>(context: &Context<S, V>, id: Uuid) -> Result<Response<ResponseBody>, Error> {
    let upload = context.find(id).await?;
    context.uploads.delete(&upload).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

const INCOMPLETE: u8 = 1;
const COMPLETE: u8 = 2;

impl<S: Store, V: View> Context<S, V> {
    fn upload_answer(&self, upload: &Upload) -> Response<ResponseBody> {
        body::json(StatusCode::OK, &self.describe(upload))
    }

    /// An upload as the peer's serializer has it, and `expires`, which older versions of it have.
    fn describe(&self, upload: &Upload) -> Map<String, Value> {
        let file = (!upload.is_emptied()).then(|| self.urls.file(&upload.path));
        let fields = [
            ("id", Value::from(upload.id.to_string())),
            ("url", self.urls.upload(upload.id).into()),
            ("file", file.into()),
            ("filename", upload.filename.as_str().into()),
            ("offset", upload.offset().into()),
            ("created_at", format_time(upload.created_at).into()),
            ("status", if upload.is_complete() { COMPLETE } else { INCOMPLETE }.into()),
            ("completed_at", upload.completed_at.map(format_time).into()),
            ("user", upload.user.as_deref().into()),
            ("expires", format_time(upload.expires_at(self.settings.expiration_delta)).into()),
        ];
        let mut answer = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.view.describe(self.visit(), upload, &mut answer);
        answer
    }

    /// The path of an upload's file, ending with this extension.
    fn path(&self, id: Uuid, created_at: Timestamp, extension: &str) -> String {
        let folder = self.settings.folder(created_at);
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{slash}{id}{extension}")
    }

    /// The path that a complete upload's file gets: the one it has, with the extension of complete files.
    fn complete_path(&self, upload: &Upload) -> String {
        let settings = &self.settings;
        let stem = upload.path.strip_suffix(&settings.incomplete_ext);
        match stem {
            Some(stem) => format!("{stem}{}", settings.complete_ext),
            // The setting has changed since the upload began.
            None => self.path(upload.id, upload.created_at, &settings.complete_ext),
        }
    }

    /// Checks that the upload can be continued or completed, as far as its age goes.
    fn check_not_expired(&self, upload: &Upload) -> Result<(), Error> {
        let expired = upload.is_expired(self.uploads.time(), self.settings.expiration_delta);
        if expired { Err(uploads::Error::Expired.into()) } else { Ok(()) }
    }
}

/// A time as Django REST framework writes it: in microseconds, or in seconds where these are whole.
fn format_time(time: Timestamp) -> String {
    let pattern = if time.subsec_microsecond() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
    time.strftime(pattern).to_string()
}

/// The name of a new upload's file: the field `filename`, or the file part's own name.
fn filename(form: &Form) -> Result<String, Error> {
    let of_part = || form.file.as_ref().and_then(|file| file.name.as_deref());
    let name = form.field("filename").or_else(of_part).ok_or(Error::NoFilename)?;
    if name.chars().count() > MAX_FILENAME_CHARACTERS {
        return Err(Error::LongFilename(MAX_FILENAME_CHARACTERS));
    }
    Ok(name.to_owned())
}

/// Reads past a file that isn't wanted.
struct Ignored;

impl FileSink for Ignored {
    async fn write(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_peer_writes_them() {
        for text in ["2026-11-22T17:33:09Z", "2026-11-22T17:33:09.000001Z", "2026-11-22T17:33:09.500000Z"] {
            assert_eq!(format_time(text.parse().unwrap()), text);
        }
    }
}
