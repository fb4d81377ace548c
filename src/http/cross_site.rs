//! Requests that a page of another site makes a browser send (cross-site request forgery).
//!
//! A login that the browser adds by itself, such as a proxy's cookie, is there in such a request, too. A token in
//! `Authorization` is not: no page can have a browser add that.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::failure::Failure;
use crate::settings::CorsOrigins;

/// Refuses a request that may change something and comes from a page of another origin, as `Sec-Fetch-Site` and `Origin`
/// tell, unless that is one of `origins` or the service's own.
///
/// # Errors
/// [`Failure::CrossSite`].
pub(crate) async fn check<B>(request: &Request<B>, origins: &CorsOrigins, own: &str) -> Result<(), Failure> {
    let listed = match origins {
        CorsOrigins::Listed(origins) => origins.as_slice(),
        // Any page may use the service, but not as the user who looks at it.
        CorsOrigins::Any | CorsOrigins::None => &[],
    };
    let listed = listed.iter().filter_map(|origin| origin.to_str().ok());
    let layer = listed.chain([own]).fold(CsrfLayer::new(), |layer, origin| {
        // Each was read as an origin before.
        layer.clone().add_trusted_origin(origin).unwrap_or(layer)
    });
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    let passed = layer.layer(service_fn(async |_| Ok::<_, Infallible>(Response::new(()))));
    match passed.oneshot(head).await {
        Ok(response) if response.extensions().get::<ProtectionError>().is_none() => Ok(()),
        Ok(_) => Err(Failure::CrossSite),
        Err(never) => match never {},
    }
}
