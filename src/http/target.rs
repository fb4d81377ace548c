//! Where a request was sent: the host, and what of the path is the service's own.
//!
//! A component may stand under a route of its application, such as `/files/...`. Spin says which by headers of its own.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Request};

use super::failure::Failure;
use super::forwarded::Forwarded;
use super::path::{is_dots, normalize};

/// What Spin says of the route: the application's base, and the component's route without its wildcard.
const SPIN_ROUTE: [HeaderName; 2] =
    [HeaderName::from_static("spin-base-path"), HeaderName::from_static("spin-component-route")];

/// Where a request was sent.
#[derive(Debug)]
pub(crate) struct Target {
    /// Scheme and authority, as the client wrote them; `None` where nobody says.
    origin: Option<String>,
    /// What the client put in front of the path: a proxy has cut it off, or has not.
    prefix: String,
    /// The path that the service is mounted under, without a slash at the end.
    mount: String,
    /// The path below that, in normal form.
    path: String,
}

impl Target {
    /// Where this request was sent, as itself or, if they are trusted, the proxies in front say.
    ///
    /// # Errors
    /// [`Failure::Target`] where what says so can't be read, or says more than one thing; [`Failure::TransferCoding`].
    pub(crate) fn of<B>(request: &Request<B>, trust_forwarded: bool) -> Result<Self, Failure> {
        let (uri, headers) = (request.uri(), request.headers());
        check_transfer_coding(headers)?;
        let forwarded = if trust_forwarded { Forwarded::read(headers)? } else { Forwarded::default() };
        let own = authority(request)?;
        let scheme = forwarded.proto.as_deref().or(uri.scheme_str()).unwrap_or("http");
        let origin = forwarded.host.or(own).map(|authority| format!("{scheme}://{authority}"));
        let path = normalize(uri.path());
        let (mount, path) = split_mount(&path, headers);
        let prefix = forwarded.prefix.unwrap_or_default();
        Ok(Self { origin, prefix, mount: mount.to_owned(), path: path.to_owned() })
    }

    /// What the service's URLs begin with, as the client sees them; `None` where nobody says which host it is.
    pub(crate) fn base(&self) -> Option<String> {
        let Self { origin, prefix, mount, .. } = self;
        origin.as_ref().map(|origin| format!("{origin}{prefix}{mount}"))
    }

    /// The path that the service is mounted under, without a slash at the end.
    pub(crate) fn mount(&self) -> &str {
        &self.mount
    }

    /// The path below the mount, in normal form.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// The authority that the request names.
fn authority<B>(request: &Request<B>) -> Result<Option<Authority>, Failure> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let authority = match (request.uri().authority(), host) {
        _ if more.is_some() => None,
        (Some(authority), _) => check_authority(authority.clone()),
        (None, Some(host)) => parse_authority(host.as_bytes()),
        (None, None) => return Ok(None),
    };
    authority.map(Some).ok_or(Failure::Target("Host"))
}

/// A host, and perhaps a port.
pub(super) fn parse_authority(text: &[u8]) -> Option<Authority> {
    check_authority(Authority::try_from(text).ok()?)
}

/// What stands before an `@` would be read as the host by people, and as a name and a password by browsers. A comma is
/// between two hosts.
fn check_authority(authority: Authority) -> Option<Authority> {
    let has_port = authority.port_u16().is_some();
    let is_readable = !authority.as_str().contains(['@', ',']) && (has_port || authority.as_str() == authority.host());
    (!authority.host().is_empty() && is_readable).then_some(authority)
}

/// Divides a path where the component's route ends; where Spin says nothing that fits, there is no mount.
fn split_mount<'a>(path: &'a str, headers: &HeaderMap) -> (&'a str, &'a str) {
    let mut end = 0;
    for name in SPIN_ROUTE {
        // Spin's own value is the last one: it may stand behind a client's.
        let route = headers.get_all(name).iter().next_back().and_then(|route| route.to_str().ok()).unwrap_or_default();
        for part in route.split('/').filter(|part| !part.is_empty()) {
            let Some(rest) = path[end..].strip_prefix('/') else { return ("", path) };
            let segment = rest.split('/').next().unwrap_or_default();
            // A part such as `:user` stands for any segment, but clients remove dots.
            let fits = if part.starts_with(':') { !is_dots(segment) } else { normalize(part) == segment };
            if segment.is_empty() || !fits {
                return ("", path);
            }
            end += 1 + segment.len();
        }
    }
    path.split_at(end)
}

/// Refuses codings other than `chunked` (RFC 9112, 6.1): servers undo that one alone, so what would be stored are not the
/// client's bytes.
fn check_transfer_coding(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &http::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if is_chunked(coding) => Ok(()),
        _ => Err(Failure::TransferCoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str, headers: &[(&str, &str)]) -> Result<Target, Failure> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Target::of(&request.body(()).unwrap(), true)
    }

    #[test]
    fn a_route_is_no_part_of_the_services_own_path() {
        let rows = [
            ("", "/uploads/", "", "/uploads/"),
            ("/files", "/files/uploads/", "/files", "/uploads/"),
            ("/files", "/files", "/files", ""),
            ("/files", "/files/", "/files", "/"),
            ("/a/b", "/a/b/c", "/a/b", "/c"),
            ("/a/:user", "/a/ann/uploads/", "/a/ann", "/uploads/"),
            ("/files", "/fil%65s/upl%6fads/", "/files", "/uploads/"),
            ("/fil%65s/%c3%a9", "/files/%C3%A9/uploads/", "/files/%C3%A9", "/uploads/"),
            // These don't fit.
            ("/files", "/filesystem/uploads/", "", "/filesystem/uploads/"),
            ("/files", "//files/uploads/", "", "//files/uploads/"),
            ("/a/:user", "/a//uploads/", "", "/a//uploads/"),
            ("/a/b", "/a", "", "/a"),
            ("/files", "/files%2Fuploads/", "", "/files%2Fuploads/"),
            ("/a/:user", "/a/%2e%2E/uploads/", "", "/a/../uploads/"),
        ];
        for (route, path, mount, rest) in rows {
            let headers = [("spin-component-route", "/forged"), ("spin-component-route", route), ("host", "h")];
            let target = target(path, &headers).unwrap();
            assert_eq!((target.mount.as_str(), target.path()), (mount, rest), "{route} {path}");
        }
        let based = [("spin-base-path", "/base"), ("spin-component-route", "/files"), ("host", "h")];
        assert_eq!(target("/base/files/uploads/", &based).unwrap().base().unwrap(), "http://h/base/files");
    }

    #[test]
    fn a_host_is_one_host() {
        for host in ["a.example", "a.example:8080", "127.0.0.1", "[::1]:3000"] {
            assert_eq!(target("/", &[("host", host)]).unwrap().base().unwrap(), format!("http://{host}"));
        }
        for hosts in [
            &["a", "b"][..],
            &["a", "a"],
            &["a@b"],
            &[":@b"],
            &[""],
            &["a b"],
            &["a/b"],
            &[":80"],
            &["a:x"],
            &["a:99999"],
            &["a,b"],
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert!(matches!(target("/", &headers), Err(Failure::Target("Host"))), "{hosts:?}");
        }
        assert!(matches!(target("http://a@b/", &[]), Err(Failure::Target("Host"))));
        assert_eq!(target("http://a/", &[]).unwrap().base().unwrap(), "http://a");
        assert_eq!(target("/", &[]).unwrap().base(), None);
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        let with = |codings: &[&str]| {
            let headers: Vec<_> = codings.iter().map(|coding| ("transfer-encoding", *coding)).collect();
            target("http://a/", &headers)
        };
        assert!(with(&["chunked"]).is_ok() && with(&["Chunked "]).is_ok());
        for codings in [&["gzip, chunked"][..], &["gzip", "chunked"], &["gzip"], &["chunked, chunked"], &[""]] {
            assert!(matches!(with(codings), Err(Failure::TransferCoding)), "{codings:?}");
        }
    }
}
