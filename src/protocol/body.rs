//! Bodies of requests and responses, whatever server they come from and go to.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use thiserror::Error;

use crate::uploads::Reading;

/// A request's body, in pieces as they come.
pub type RequestBody = BoxStream<'static, Result<Bytes, BodyError>>;

/// Why a request's body can't be read to its end.
#[derive(Clone, Debug, Error)]
pub enum BodyError {
    /// It ended before its end: the client is gone, or broke the rules of HTTP.
    #[error("The request's body was cut off: {0}")]
    CutOff(String),
    /// It is longer than the limit, in bytes.
    #[error("The request's body exceeds the limit ({0} bytes)")]
    TooLong(u64),
    /// What stands between the parts of a form goes on and on: the limit, in bytes.
    #[error("The headers of a part of the form exceed the limit ({0} bytes)")]
    LongPartHead(usize),
}

/// A response's body.
pub enum ResponseBody {
    /// All of it.
    Full(Bytes),
    /// A file's bytes, as they are read.
    Reading(Reading),
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::Full(Bytes::new())
    }
}

/// The encoding of a request's content, if it has one: nothing here decodes any, since a short body may decode to a long
/// one, and it is the client's own bytes that count.
pub(super) fn content_encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("?").trim().to_owned();
    (!encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity")).then_some(encoding)
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<ResponseBody> {
    // What is answered in JSON here always serialises: strings, numbers, and maps of them.
    let body = serde_json::to_vec(value).unwrap_or_default();
    full(status, "application/json", body)
}

/// A response with a body that is at hand.
pub(super) fn full(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<ResponseBody> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(ResponseBody::Full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// The response as it goes out: without its body where the request was a `HEAD` (RFC 9110, 9.3.2).
pub(super) fn fit_to_method(response: Response<ResponseBody>, method: &Method) -> Response<ResponseBody> {
    if method == Method::HEAD { response.map(|_| ResponseBody::Full(Bytes::new())) } else { response }
}
