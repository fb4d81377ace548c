//! A completion hook. It refuses programs, and gives all other files a response with its own fields.

use serde_json::{Value, json};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Json, Request, StatusCode};
use spin_sdk::http_service;

#[http_service]
async fn on_completion(request: Request) -> impl IntoResponse {
    let body = request.into_body().bytes().await.unwrap_or_default();
    let upload: Value = serde_json::from_slice(&body).unwrap_or_default();
    match upload["filename"].as_str() {
        None => (StatusCode::BAD_REQUEST, Json(json!({"detail": "This is for uploads"}))),
        Some(name) if name.ends_with(".exe") => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"detail": "No programs, please"})))
        }
        Some(name) => (StatusCode::CREATED, Json(json!({"stored": name, "md5": upload["md5"]}))),
    }
}
