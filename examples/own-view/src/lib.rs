//! A view of your own: an upload service for images.
//!
//! The form's file part is `image`. Users have a larger limit than clients without a user. A name without an image's
//! extension is refused. The view checks the first bytes of the file before an upload is complete, and its responses
//! have their own fields.

use bytes::Bytes;
use futures::TryStreamExt;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use spin_chunked_upload::identity::Identity;
use spin_chunked_upload::spin::{Body, serve};
use spin_chunked_upload::uploads::Upload;
use spin_chunked_upload::view::{Completion, Fields, Refusal, RequestContext, View};
use spin_sdk::http::Request;
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> Response<Body> {
    serve(Images, request).await
}

struct Images;

impl View for Images {
    fn field_name<'a>(&'a self, _: RequestContext<'a>) -> &'a str {
        "image"
    }

    fn max_bytes(&self, context: RequestContext<'_>) -> Option<u64> {
        match context.identity {
            Identity::User(_) => Some(50_000_000),
            Identity::Anyone | Identity::Nobody => Some(1_000_000),
        }
    }

    async fn validate(&self, _: RequestContext<'_>, upload: &Upload, _: &Fields) -> Result<(), Refusal> {
        match kind(&upload.filename) {
            Some(_) => Ok(()),
            None => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Send a .png or a .jpg")),
        }
    }

    fn describe(&self, _: RequestContext<'_>, upload: &Upload, answer: &mut Map<String, Value>) {
        answer.insert("kind".into(), kind(&upload.filename).into());
        answer.remove("user");
    }

    async fn on_completion(
        &self,
        _: RequestContext<'_>,
        completion: &Completion<'_>,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let pieces: Vec<Bytes> =
            completion.read(0..8).try_collect().await.map_err(|error| Refusal::Failed(error.to_string()))?;
        let start = pieces.concat();
        if !start.starts_with(b"\x89PNG\r\n\x1a\n") && !start.starts_with(b"\xff\xd8\xff") {
            return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "The file is not an image"));
        }
        let answer = json!({"image": completion.answer()["file"], "bytes": completion.upload().offset()});
        let response = Response::builder().status(StatusCode::CREATED).header("content-type", "application/json");
        response.body(answer.to_string().into()).map(Some).map_err(|error| Refusal::Failed(error.to_string()))
    }
}

fn kind(filename: &str) -> Option<&'static str> {
    match filename.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => Some("png"),
        "jpg" | "jpeg" => Some("jpeg"),
        _ => None,
    }
}
