//! What Spin tells a component about its request: an absolute URI and Spin's own headers.

use std::net::SocketAddr;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use crate::refusal::Refusal;
use crate::route::Route;

/// Makes the request's URI absolute and adds Spin's headers for a component at this route.
///
/// # Errors
/// If the request is not for the component, or names no host, or a host that can't be read, or if its body has a
/// transfer coding that this server does not know.
pub fn prepare<B>(request: &mut Request<B>, client: SocketAddr, route: &Route) -> Result<(), Refusal> {
    check_transfer_coding(request.headers())?;
    let uri = absolute_uri(request)?;
    let path_info = route.wildcard(uri.path()).ok_or(Refusal::Route)?;
    let headers = request.headers_mut();
    // This header is about the connection to this server, and not about the request.
    headers.remove(CONNECTION);
    set(headers, "spin-path-info", path_info)?;
    set(headers, "spin-full-url", &uri.to_string())?;
    set(headers, "spin-matched-route", &route.pattern())?;
    set(headers, "spin-base-path", "/")?;
    set(headers, "spin-raw-component-route", &route.pattern())?;
    set(headers, "spin-component-route", route.prefix())?;
    set(headers, "spin-client-addr", &client.to_string())?;
    *request.uri_mut() = uri;
    Ok(())
}

/// The HTTP server undoes chunks alone: what else was done to the body would be taken for its bytes (RFC 9112, 6.1).
fn check_transfer_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    let is_chunked = first.is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    if is_chunked && codings.next().is_none() { Ok(()) } else { Err(Refusal::TransferCoding) }
}

fn absolute_uri<B>(request: &Request<B>) -> Result<Uri, Refusal> {
    let mut parts = request.uri().clone().into_parts();
    let authority = match (host(request.headers())?, parts.authority) {
        (Some(host), Some(authority)) if host != authority => {
            return Err(Refusal::Target("Host is another one than the request's target"));
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(Refusal::Target("Host is missing")),
    };
    if authority.as_str().contains('@') {
        return Err(Refusal::Target("Host can't be read: it must not have a user's name in it"));
    }
    parts.authority = Some(authority);
    parts.scheme = Some(Scheme::HTTP);
    // A target such as "*" has no path to be under a host.
    Uri::from_parts(parts).map_err(|_| Refusal::Target("The request's target can't be read"))
}

/// The request's only `Host` (RFC 9112, 3.2).
fn host(headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else { return Ok(None) };
    if hosts.next().is_some() {
        return Err(Refusal::Target("Host is there more than once"));
    }
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| Refusal::Target("Host can't be read"))?;
    Ok(Some(authority))
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Refusal> {
    let value = HeaderValue::from_str(value).map_err(|_| Refusal::Target("The request's target can't be read"))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
