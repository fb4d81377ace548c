//! The service's URLs.

use http::header::HOST;
use http::{Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use crate::uploads::ListCursor;

/// The path of the list of uploads.
pub(crate) const UPLOADS: &str = "uploads";

/// The characters that a path must escape (RFC 3986, 3.3): all but `pchar` and the slash. A path must also escape the
/// percent sign.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Makes the service's URLs for one request. They are absolute, except for those that [`Urls::for_backends`] makes
/// without a `public_url`.
pub(crate) struct Urls {
    base: String,
    /// Whether the base is the operator's `public_url`, and not what the request says.
    is_public: bool,
}

impl Urls {
    /// URLs under `public_url`, or under the scheme and host that the request was sent to.
    pub(crate) fn new<B>(public_url: Option<&str>, request: &Request<B>) -> Self {
        let of_request = || {
            let scheme = request.uri().scheme_str().unwrap_or("http");
            format!("{scheme}://{}", authority(request.uri(), request).unwrap_or_default())
        };
        let base = public_url.map_or_else(of_request, str::to_owned);
        Self { base, is_public: public_url.is_some() }
    }

    /// URLs for servers behind this one: under `public_url`, or paths without a host. A client chooses the host that
    /// its request names. So another server must not take that host for this service's.
    pub(crate) fn for_backends(&self) -> Self {
        let base = if self.is_public { self.base.clone() } else { String::new() };
        Self { base, is_public: self.is_public }
    }

    /// What all URLs begin with, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The URL of the list of uploads.
    pub(crate) fn uploads(&self) -> String {
        format!("{}/{UPLOADS}/", self.base)
    }

    /// The URL of the list's next page: this page's query, with the cursor after which the next page begins.
    pub(crate) fn next_page(&self, query: &str, after: ListCursor) -> String {
        let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair("cursor", &after.to_string())
            .finish();
        format!("{}?{query}", self.uploads())
    }

    /// The URL of an upload.
    pub(crate) fn upload(&self, id: Uuid) -> String {
        format!("{}/{UPLOADS}/{id}", self.base)
    }

    /// The URL of the file that is served under this path.
    pub(crate) fn file(&self, path: &str) -> String {
        format!("{}/{}", self.base, utf8_percent_encode(path, PATH))
    }
}

fn authority<'a, B>(uri: &'a Uri, request: &'a Request<B>) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST)?.to_str().ok(),
    }
}

/// The id in a path: a UUID with hyphens.
pub(crate) fn parse_id(text: &str) -> Option<Uuid> {
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok())?
}

/// The decoded path of a file, and the id that the path's last part begins with.
pub(crate) fn parse_file_path(path: &str) -> Option<(String, Uuid)> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let name = path.rsplit('/').next()?;
    let id = parse_id(name.get(..uuid::fmt::Hyphenated::LENGTH)?)?;
    Some((path.into_owned(), id))
}
