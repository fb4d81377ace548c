//! The requests that components send: to servers that the manifest allows, and to one another (Spin's local chaining).

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use futures::future::BoxFuture;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, default_send_request};

/// The domain of the components' host names.
const CHAINING_DOMAIN: &str = ".spin.internal";

/// The work that is left after the response has arrived.
pub type IoResult = Box<dyn Future<Output = Result<(), Error>> + Send>;
/// A response with the work that is left, or the reason why there is none.
pub type Sent = Result<(Response<WasiBody>, IoResult), Error>;

/// Sends a request to the component with this name; `None` if there is no such component.
pub type CallComponent = Arc<
    dyn Fn(&str, Request<WasiBody>) -> Option<BoxFuture<'static, wasmtime::Result<Response<WasiBody>>>> + Send + Sync,
>;

/// Sends a component's requests to other servers and components.
pub struct Outbound {
    allowed: Vec<AllowedHost>,
    call_component: CallComponent,
}

impl Outbound {
    /// Allows requests to these `allowed_outbound_hosts`. Empty entries are left out, because an empty variable makes
    /// one. Spin does the same.
    ///
    /// # Errors
    /// If an entry can't be read.
    pub fn new(allowed: &[String], call_component: CallComponent) -> Result<Self> {
        let allowed = allowed.iter().filter(|host| !host.trim().is_empty()).map(|host| AllowedHost::parse(host));
        Ok(Self { allowed: allowed.collect::<Result<_>>()?, call_component })
    }

    /// Sends a request.
    pub async fn send(&self, request: Request<WasiBody>, options: Option<RequestOptions>) -> Sent {
        let uri = request.uri();
        if !self.allowed.iter().any(|allowed| allowed.allows(uri)) {
            eprintln!("a component may not send requests to {uri}: see allowed_outbound_hosts in the manifest");
            return Err(Error::HttpRequestDenied);
        }
        match chained(uri) {
            Some(name) => self.send_to_component(name, request).await,
            None => {
                let (response, io) = default_send_request(request, options).await?;
                Ok((response.map(BodyExt::boxed_unsync), Box::new(io)))
            }
        }
    }

    async fn send_to_component(&self, name: String, request: Request<WasiBody>) -> Sent {
        let answer = (self.call_component)(&name, request).ok_or(Error::DestinationNotFound)?;
        let response = answer.await.map_err(|error| {
            eprintln!("the component {name} failed to answer: {error:?}");
            Error::InternalError(Some(format!("the component {name} failed to answer")))
        })?;
        Ok((response, Box::new(std::future::ready(Ok(())))))
    }
}

fn chained(uri: &Uri) -> Option<String> {
    uri.host()?.strip_suffix(CHAINING_DOMAIN).map(str::to_owned)
}

/// An entry of `allowed_outbound_hosts`: `SCHEME://HOST[:PORT]`. Each part may be `*`, and the host may be `*.DOMAIN`.
#[derive(Debug, PartialEq)]
struct AllowedHost {
    scheme: String,
    host: String,
    port: Option<String>,
}

impl AllowedHost {
    fn parse(text: &str) -> Result<Self> {
        let read = || {
            let (scheme, rest) = text.trim().split_once("://").context("it has no scheme")?;
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            ensure!(!rest.contains('/'), "it must not have a path");
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, Some(port.to_owned())),
                _ => (rest, None),
            };
            if host.is_empty() {
                bail!("it has no host");
            }
            Ok(Self { scheme: scheme.to_owned(), host: host.to_ascii_lowercase(), port })
        };
        read().with_context(|| format!("cannot read {text:?} of allowed_outbound_hosts"))
    }

    fn allows(&self, uri: &Uri) -> bool {
        let scheme = uri.scheme().unwrap_or(&Scheme::HTTPS).as_str();
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let default_port = if scheme == "http" { 80 } else { 443 };
        let port = uri.authority().and_then(Authority::port_u16).unwrap_or(default_port);
        (self.scheme == "*" || self.scheme == scheme) && self.allows_host(&host) && self.allows_port(port, default_port)
    }

    fn allows_host(&self, host: &str) -> bool {
        match self.host.strip_prefix('*') {
            Some(domain) => domain.is_empty() || host.ends_with(domain),
            None => self.host == host,
        }
    }

    fn allows_port(&self, port: u16, default: u16) -> bool {
        match self.port.as_deref() {
            Some("*") => true,
            Some(allowed) => allowed == port.to_string(),
            None => port == default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_as_spin_allows_them() {
        let allows = |allowed: &str, uri: &str| AllowedHost::parse(allowed).unwrap().allows(&uri.parse().unwrap());
        assert!(allows("https://a.example", "https://a.example/x"));
        assert!(!allows("https://a.example", "http://a.example/"));
        assert!(!allows("https://a.example", "https://b.a.example/"));
        assert!(!allows("https://a.example", "https://a.example:444/"));
        assert!(allows("http://127.0.0.1:8000", "http://127.0.0.1:8000/"));
        assert!(allows("http://*.spin.internal", "http://hook.spin.internal/"));
        assert!(!allows("http://*.spin.internal", "http://spin.internal.example/"));
        assert!(allows("*://*:*", "http://a.example:1/"));
        for text in ["a.example", "https://a.example/path", "https://"] {
            assert!(AllowedHost::parse(text).is_err(), "{text}");
        }
    }
}
