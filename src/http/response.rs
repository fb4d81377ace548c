//! Makes the protocols' responses.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;

use super::{ResponseBody, caching};
use crate::uploads::ByteStream;

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<ResponseBody> {
    // The values here always serialise: they consist of strings, numbers, and maps of them.
    let body = serde_json::to_vec(value).unwrap_or_default();
    full(status, "application/json", body)
}

/// A response with a body that is in memory.
pub(crate) fn full(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<ResponseBody> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(ResponseBody::Full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// A response whose body is made while it is sent.
pub(crate) fn streamed(status: StatusCode, content_type: &'static str, body: ByteStream) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Stream(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

/// The response as it is sent. No cache keeps it, unless it says otherwise. A response to `HEAD` has no body (RFC 9110,
/// 9.3.2).
pub(crate) fn finish(response: Response<ResponseBody>, method: &Method) -> Response<ResponseBody> {
    let response = caching::forbid(response);
    if method == Method::HEAD { response.map(|_| ResponseBody::Full(Bytes::new())) } else { response }
}
