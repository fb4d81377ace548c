//! What this host answers itself, in JSON as the component answers its errors: a `detail` for people, a `code` for programs.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use wasmtime_wasi_http::WasiBody;

/// Why the component doesn't get a request, or has no answer to it.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// It is not told, or not plainly, which host the request is for.
    Target(&'static str),
    /// The body is coded in other ways than in chunks.
    TransferCoding,
    /// The path is not under the component's route.
    Route,
    /// The component ended without an answer.
    Failed,
}

impl Refusal {
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Target(detail) => (StatusCode::BAD_REQUEST, "invalid_target", detail),
            Self::TransferCoding => (
                StatusCode::NOT_IMPLEMENTED,
                "unsupported_transfer_coding",
                "Transfer codings other than \"chunked\" are not undone here: send the bytes as they are",
            ),
            Self::Route => (StatusCode::NOT_FOUND, "not_found", "Not found."),
            Self::Failed => {
                (StatusCode::INTERNAL_SERVER_ERROR, "component_failed", "The server failed to answer; its log says why")
            }
        }
    }
}

impl From<Refusal> for Response<WasiBody> {
    fn from(refusal: Refusal) -> Self {
        let (status, code, detail) = refusal.parts();
        let body = Full::from(json!({"detail": detail, "code": code}).to_string());
        let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
