//! drf-chunked-upload's protocol: which request does what, and how an upload is answered.

mod chunk;
mod complete;
mod list;

use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Context;
use super::body::{self, RequestBody, ResponseBody};
use super::error::Error;
use super::form::{FileSink, Form};
use crate::store::Store;
use crate::uploads::{self, Upload};

/// The longest filename, as the peer's model has it.
const MAX_FILENAME_CHARACTERS: usize = 255;

const UPLOADS_ALLOW: &str = "GET, HEAD, POST, PUT";
const UPLOAD_ALLOW: &str = "DELETE, GET, HEAD, POST, PUT";

/// Answers a request for the list of uploads.
pub(super) async fn answer_uploads<S: Store>(
    context: &Context<S>,
    method: Method,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, Error> {
    let upload = match method {
        Method::PUT => chunk::begin(context, request).await?,
        Method::POST => complete::whole(context, request).await?,
        Method::GET | Method::HEAD => return list::answer(context, request.uri()).await,
        method => return Err(Error::Method { method, allow: UPLOADS_ALLOW }),
    };
    Ok(context.upload_answer(&upload))
}

/// Answers a request for one upload.
pub(super) async fn answer_upload<S: Store>(
    context: &Context<S>,
    method: Method,
    id: Uuid,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, Error> {
    let upload = match method {
        Method::PUT => chunk::go_on(context, id, request).await?,
        Method::POST => complete::complete(context, id, request).await?,
        Method::GET | Method::HEAD => context.find(id).await?,
        Method::DELETE => return cancel(context, id).await,
        method => return Err(Error::Method { method, allow: UPLOAD_ALLOW }),
    };
    Ok(context.upload_answer(&upload))
}

async fn cancel<S: Store>(context: &Context<S>, id: Uuid) -> Result<Response<ResponseBody>, Error> {
    let upload = context.find(id).await?;
    context.uploads.delete(&upload).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// An upload as the peer's serializer has it, and `expires`, which older versions of it have.
#[derive(Serialize)]
struct Answer<'a> {
    id: Uuid,
    url: String,
    file: Option<String>,
    filename: &'a str,
    offset: u64,
    created_at: String,
    status: u8,
    completed_at: Option<String>,
    user: Option<&'a str>,
    expires: String,
}

const INCOMPLETE: u8 = 1;
const COMPLETE: u8 = 2;

impl<S: Store> Context<S> {
    fn upload_answer(&self, upload: &Upload) -> Response<ResponseBody> {
        body::json(StatusCode::OK, &self.describe(upload))
    }

    fn describe<'a>(&self, upload: &'a Upload) -> Answer<'a> {
        Answer {
            id: upload.id,
            url: self.urls.upload(upload.id),
            file: (!upload.is_emptied()).then(|| self.urls.file(&upload.path)),
            filename: &upload.filename,
            offset: upload.offset(),
            created_at: format_time(upload.created_at),
            status: if upload.is_complete() { COMPLETE } else { INCOMPLETE },
            completed_at: upload.completed_at.map(format_time),
            user: upload.user.as_deref(),
            expires: format_time(upload.expires_at(self.settings.expiration_delta)),
        }
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
