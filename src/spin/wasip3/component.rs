//! The ready-made component.

use http::Response;
use spin_sdk::http::Request;

use super::{Body, serve};
use crate::view::DefaultView;

#[spin_sdk::http_service]
async fn handle(request: Request) -> Response<Body> {
    serve(DefaultView, request).await
}
