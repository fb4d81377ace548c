//! The uploads of shippy, which sends Android builds to a server named shipper.
//!
//! shippy speaks drf-chunked-upload's protocol, and three things more:
//!
//! - Its URLs are its own. It puts an upload's id behind the URL of the list.
//! - It reads the reason of a refusal in `message`.
//! - It resumes the last upload on the list that has its file's name. So its list has open uploads only.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use spin_chunked_upload::http::ResponseBody;
use spin_chunked_upload::spin::{Body, serve};
use spin_chunked_upload::uploads::Upload;
use spin_chunked_upload::view::{Completion, Fields, Refusal, RequestContext, View};
use spin_sdk::http::Request;
use spin_sdk::http_service;

/// shippy's URL of the list. The component's route in spin.toml is the same.
const LIST: &str = "/api/v1/maintainers/chunked_upload/";
/// The length of an upload's id.
const ID_LEN: usize = 36;

#[http_service]
async fn handle(mut request: Request) -> Response<Body> {
    if let Some(uri) = to_uploads(request.method(), request.uri()) {
        *request.uri_mut() = uri;
    }
    let response = serve(Builds, request).await;
    if response.status().is_client_error() { with_message(response).await } else { response }
}

/// The service's own URL for one of shippy's; `None` for all others, such as the `url` of a response.
fn to_uploads(method: &Method, uri: &Uri) -> Option<Uri> {
    let path = match uri.path().strip_prefix(LIST)?.trim_end_matches('/') {
        "" if *method == Method::GET => format!("{LIST}uploads/?status=1"),
        "" => format!("{LIST}uploads/"),
        id if id.len() == ID_LEN => format!("{LIST}uploads/{id}"),
        _ => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Adds `message` to a refusal, unless it has one.
async fn with_message(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let mut body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Ok(Value::Object(mut fields)) = serde_json::from_slice(&body) {
        let detail = fields.get("detail").map(|detail| detail.as_str().map_or(detail.to_string(), str::to_owned));
        fields.entry("message").or_insert(detail.into());
        body = Value::Object(fields).to_string().into();
        head.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    Response::from_parts(head, ResponseBody::Full(body).into())
}

struct Builds;

impl View for Builds {
    /// Refuses a file that is no build when its first chunk comes.
    async fn validate(&self, _: RequestContext<'_>, upload: &Upload, _: &Fields) -> Result<(), Refusal> {
        if upload.filename.ends_with(".zip") {
            return Ok(());
        }
        let body = json!({"error": "invalid_file_name", "message": "The file name was malformed!"});
        Err(Refusal::Request { status: StatusCode::BAD_REQUEST, body })
    }

    async fn on_completion(
        &self,
        _: RequestContext<'_>,
        completion: &Completion<'_>,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let upload = completion.upload();
        let answer = json!({"message": "The build has been uploaded!", "build_id": upload.id.to_string()});
        let response = Response::builder().header("content-type", "application/json");
        response.body(answer.to_string().into()).map(Some).map_err(|error| Refusal::Failed(error.to_string()))
    }
}
