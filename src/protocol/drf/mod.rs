//! drf-chunked-upload's protocol: which request does what, and how an answer describes an upload.

mod chunk;
mod complete;
mod content_range;
mod error;
mod form;
mod list;
mod multipart;
mod parameters;

use std::rc::Rc;

use headers::{HeaderMapExt, Range};
use http::header::EXPECT;
use http::{HeaderMap, Method, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Context;
use crate::http::checked_body::CheckedBody;
use crate::http::failure::{Failure, RequestLine};
use crate::http::urls::Urls;
use crate::http::{RequestBody, ResponseBody, content_length, lines, response};
use crate::store::Store;
use crate::uploads::Upload;
use crate::view::View;
use error::Error;
use form::{FileSink, Form, FormKind, Raw};

/// The longest filename, as in the peer's model.
const MAX_FILENAME_CHARACTERS: usize = 255;

/// The most bytes of a short body.
const SHORT_BODY: u64 = 64 * 1024;

const UPLOADS_ALLOW: &str = "GET, HEAD, POST, PUT";
const UPLOAD_ALLOW: &str = "DELETE, GET, HEAD, POST, PUT";

/// The peer's `status` of an upload.
const INCOMPLETE: u8 = 1;
const COMPLETE: u8 = 2;

/// Handles a request for the list of uploads.
pub(super) async fn handle_uploads<S: Store, V: View>(
    context: &Rc<Context<S, V>>,
    body: RequestBody,
    request: &RequestLine,
) -> Response<ResponseBody> {
    let handled = match context.request.method {
        Method::PUT => chunk::create_upload(context, body).await.map(|upload| chunk_response(context, &upload)),
        Method::POST => complete::upload_whole_file(context, body).await,
        Method::GET | Method::HEAD => list::list_uploads(context).await,
        _ => Err(context.method_error(UPLOADS_ALLOW).into()),
    };
    handled.unwrap_or_else(|error| error.into_response(request))
}

/// Handles a request for one upload.
pub(super) async fn handle_upload<S: Store, V: View>(
    context: &Context<S, V>,
    id: Uuid,
    body: RequestBody,
    request: &RequestLine,
) -> Response<ResponseBody> {
    let handled = match context.request.method {
        Method::PUT => chunk::append_chunk(context, id, body).await.map(|upload| chunk_response(context, &upload)),
        Method::POST => complete::complete_upload(context, id, body).await,
        Method::GET | Method::HEAD => show_upload(context, id).await,
        Method::DELETE => delete_upload(context, id).await,
        _ => Err(context.method_error(UPLOAD_ALLOW).into()),
    };
    handled.unwrap_or_else(|error| error.into_response(request))
}

async fn show_upload<S: Store, V: View>(context: &Context<S, V>, id: Uuid) -> Result<Response<ResponseBody>, Error> {
    Ok(upload_response(context, &context.find(id).await?))
}

async fn delete_upload<S: Store, V: View>(context: &Context<S, V>, id: Uuid) -> Result<Response<ResponseBody>, Error> {
    let upload = context.find(id).await?;
    context.uploads.delete(&upload).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn upload_response<S: Store, V: View>(context: &Context<S, V>, upload: &Upload) -> Response<ResponseBody> {
    response::json(StatusCode::OK, &describe(context, upload))
}

/// The response to a chunk. Its `Range` says which bytes have arrived. RFC 9110 has this header for requests only, but
/// jQuery File Upload and clients of Google Cloud Storage's protocol read it in responses, to find the next byte.
fn chunk_response<S: Store, V: View>(context: &Context<S, V>, upload: &Upload) -> Response<ResponseBody> {
    let mut response = upload_response(context, upload);
    if let Some(last) = upload.offset().checked_sub(1)
        && let Ok(range) = Range::bytes(0..=last)
    {
        response.headers_mut().typed_insert(range);
    }
    response
}

/// An upload as the answers describe it.
fn describe<S: Store, V: View>(context: &Context<S, V>, upload: &Upload) -> Map<String, Value> {
    describe_under(context, &context.urls, upload)
}

/// An upload as the peer's serializer describes it, with these URLs. `expires` is a field of older versions of the
/// peer. The last field is the file's checksum, which the peer lacks. Its name is that of the field that completes the
/// upload.
fn describe_under<S: Store, V: View>(context: &Context<S, V>, urls: &Urls, upload: &Upload) -> Map<String, Value> {
    let file = (!upload.is_purged()).then(|| urls.file(&upload.path));
    let fields = [
        ("id", Value::from(upload.id.to_string())),
        ("url", urls.upload(upload.id).into()),
        ("file", file.into()),
        ("filename", upload.filename.as_str().into()),
        ("offset", upload.offset().into()),
        ("created_at", format_time(upload.created_at).into()),
        ("status", if upload.is_complete() { COMPLETE } else { INCOMPLETE }.into()),
        ("completed_at", upload.completed_at.map(format_time).into()),
        ("user", upload.user.as_deref().into()),
        ("expires", format_time(upload.expires_at(context.settings.expiration_delta)).into()),
        (upload.algorithm().name(), upload.checksum().map(|checksum| checksum.hex.as_str()).into()),
    ];
    let mut answer = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    context.view.describe(context.for_view(), upload, &mut answer);
    answer
}

/// Whether the request's body is short. The service reads a short body before it refuses the request, to look for
/// faults that come first in the peer's order.
///
/// A client that waits for `100 (Continue)` gets its refusal at once (RFC 9110, 10.1.1).
fn is_short(headers: &HeaderMap) -> bool {
    !headers.contains_key(EXPECT) && content_length(headers).is_some_and(|length| length <= SHORT_BODY)
}

/// Reads the request's form, or the file that `raw` takes the body for. The file goes to `sink`.
async fn read_form<S: Store, V: View>(
    context: &Context<S, V>,
    body: RequestBody,
    raw: Raw,
    sink: &mut impl FileSink,
) -> Result<Form, Error> {
    let headers = &context.request.headers;
    if let Some(encoding) = lines::content_encoding(headers) {
        return Err(Failure::ContentEncoding(encoding).into());
    }
    let body = CheckedBody::new(headers, body, context.settings.max_chunk_bytes, context.uploads.room().clone())?;
    let kind = FormKind { file_field: context.view.field_name(context.for_view()), raw };
    Form::read(&context.request, body, kind, sink).await
}

/// A time as Django REST framework writes it: in microseconds, or in seconds if the time is whole seconds.
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
