//! The completion hook: a URL that the service calls before an upload is complete for good.
//!
//! The hook gets the upload's JSON, as the completion would answer it. Only the URLs in the JSON may differ from the
//! answer's: they never have a host that a client chose. The hook's answer decides:
//!
//! - 2xx completes the upload. If this answer has a body, in JSON, it is the completion's answer.
//! - 4xx refuses the completion.
//! - Any other answer is a failure. The client may try again.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use serde_json::{Map, Value};

use super::Refusal;
use crate::error_chain::error_chain;
use crate::http::{Limits, Outbound};
use crate::settings::HookSettings;
use crate::uploads::Upload;

/// The most bytes of the URL's answer.
const ANSWER_BYTES: usize = 1 << 20;
/// The header that has the same value in all calls for one completion (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a call of the hook needs.
#[derive(Clone, Copy)]
pub(crate) struct CompletionHook<'a> {
    pub(crate) settings: &'a HookSettings,
    /// `None` if the service can't call other servers.
    pub(crate) outbound: Option<&'a dyn Outbound>,
}

impl CompletionHook<'_> {
    /// Calls the URL. Returns `None` if the URL agrees with an answer without a body.
    pub(crate) async fn call(
        &self,
        upload: &Upload,
        answer: &Map<String, Value>,
        idempotency_key: &str,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let request = request(&self.settings.url, upload, answer, idempotency_key)?;
        let limits = Limits { timeout: self.settings.timeout, answer_bytes: ANSWER_BYTES };
        let outbound = self.outbound.ok_or_else(|| failed("there is no way to other servers"))?;
        let response = outbound.send(request, limits).await.map_err(|error| failed(&error_chain(&error)))?;
        read_answer(response)
    }
}

fn request(
    url: &Uri,
    upload: &Upload,
    answer: &Map<String, Value>,
    idempotency_key: &str,
) -> Result<Request<Bytes>, Refusal> {
    let mut body = answer.clone();
    // A view may have left the checksum out.
    if let Some(checksum) = upload.checksum() {
        body.insert(checksum.algorithm.name().to_owned(), Value::String(checksum.hex.clone()));
    }
    Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        // The value is a string of RFC 8941. Ids and hex need no escapes.
        .header(IDEMPOTENCY_KEY, format!("\"{idempotency_key}\""))
        .body(Value::Object(body).to_string().into())
        .map_err(|error| failed(&error.to_string()))
}

fn read_answer(response: Response<Bytes>) -> Result<Option<Response<Bytes>>, Refusal> {
    let (status, body) = (response.status(), response.into_body());
    if status.is_client_error() {
        let refused = || Refusal::new(status, "The completion was refused");
        return Err(serde_json::from_slice(&body).map_or_else(|_| refused(), |body| Refusal::Request { status, body }));
    }
    if !status.is_success() {
        return Err(failed(&format!("it answered {status}")));
    }
    if body.is_empty() {
        return Ok(None);
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
        return Err(failed(&format!("it answered {status} with a body that is not JSON")));
    }
    Ok(Some(json_response(status, body)))
}

/// A response with the status and the body of the URL's answer. The answer's headers are for this service alone.
fn json_response(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn failed(reason: &str) -> Refusal {
    Refusal::Failed(format!("the call of on_completion_url failed: {reason}"))
}
