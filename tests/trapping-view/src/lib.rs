//! A view with a fault: it traps on a file with the name `trap`.

use http::Response;
use spin_chunked_upload::spin::{Body, serve};
use spin_chunked_upload::uploads::Upload;
use spin_chunked_upload::view::{Fields, Refusal, RequestContext, View};
use spin_sdk::http::Request;
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> Response<Body> {
    serve(Trapping, request).await
}

struct Trapping;

impl View for Trapping {
    async fn validate(&self, _: RequestContext<'_>, upload: &Upload, _: &Fields) -> Result<(), Refusal> {
        assert_ne!(upload.filename, "trap", "as it was told");
        Ok(())
    }
}
