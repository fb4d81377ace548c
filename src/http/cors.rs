//! Requests from pages of other origins (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! This module decides which requests are allowed, and which headers of the answers a page's scripts may read.

use std::convert::Infallible;
use std::time::Duration;

use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG,
    LINK, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, Method, Request, Response};
use tower::Layer;
use tower::{ServiceExt, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::body::{RequestBody, ResponseBody};
use crate::settings::CorsOrigins;

/// The methods that any route takes.
const METHODS: [Method; 5] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
/// The headers of answers that a client needs, beyond those that every script may read.
const EXPOSED: [HeaderName; 11] = [
    ACCEPT_RANGES,
    ALLOW,
    CONTENT_DISPOSITION,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    LINK,
    RANGE,
    HeaderName::from_static("repr-digest"),
    RETRY_AFTER,
    WWW_AUTHENTICATE,
];
/// How long a browser may cache a preflight's answer. The strictest browser caches no answer for longer.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// Handles a request with `handle`, and adds the CORS headers to its answer. A preflight gets its answer here, without
/// `handle`.
pub(crate) async fn apply<F: Future<Output = Response<ResponseBody>>>(
    origins: &CorsOrigins,
    request: Request<RequestBody>,
    handle: impl FnOnce(Request<RequestBody>) -> F,
) -> Response<ResponseBody> {
    // An `OPTIONS` request that isn't a preflight is handled like other requests.
    let is_foreign =
        request.method() != Method::OPTIONS || request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let Some(layer) = layer(origins).filter(|_| is_foreign) else {
        return handle(request).await;
    };
    let mut handle = Some(handle);
    let service = service_fn(|request| {
        // The layer calls the service at most once.
        let handled = handle.take().map(|handle| handle(request));
        async move {
            match handled {
                Some(handled) => Ok::<_, Infallible>(handled.await),
                None => Ok(Response::default()),
            }
        }
    });
    match layer.layer(service).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn layer(origins: &CorsOrigins) -> Option<CorsLayer> {
    let layer = CorsLayer::new()
        .allow_methods(METHODS)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE);
    match origins {
        CorsOrigins::None => None,
        CorsOrigins::Any => Some(layer.allow_origin(AllowOrigin::any())),
        // A proxy may keep a user's login in a cookie. Pages of the listed origins may send cookies.
        CorsOrigins::Listed(origins) => {
            Some(layer.allow_origin(AllowOrigin::list(origins.iter().cloned())).allow_credentials(true))
        }
    }
}
