//! What Spin tells a component about its request: an absolute URI and Spin's own headers.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http::header::{CONNECTION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

/// Makes the request's URI absolute and adds Spin's headers for a component at the route `/...`.
///
/// # Errors
/// If the request names no host, or a host that can't be read.
pub fn prepare<B>(request: &mut Request<B>, client: SocketAddr) -> Result<()> {
    let uri = absolute_uri(request)?;
    let headers = request.headers_mut();
    // This header is about the connection to this server, and not about the request.
    headers.remove(CONNECTION);
    set(headers, "spin-path-info", uri.path())?;
    set(headers, "spin-full-url", &uri.to_string())?;
    set(headers, "spin-matched-route", "/...")?;
    set(headers, "spin-base-path", "/")?;
    set(headers, "spin-raw-component-route", "/...")?;
    set(headers, "spin-component-route", "")?;
    set(headers, "spin-client-addr", &client.to_string())?;
    *request.uri_mut() = uri;
    Ok(())
}

fn absolute_uri<B>(request: &Request<B>) -> Result<Uri> {
    let mut parts = request.uri().clone().into_parts();
    if parts.authority.is_none() {
        let host = request.headers().get(HOST).context("the request has no Host header")?;
        parts.authority = Some(Authority::try_from(host.as_bytes()).context("the Host header can't be read")?);
    }
    parts.scheme = Some(Scheme::HTTP);
    Uri::from_parts(parts).context("the request's URI can't be read")
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    Ok(())
}
