//! The service's URLs.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use super::failure::Failure;
use super::target::Target;
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

/// Makes absolute URLs for the answers to a request.
pub(crate) struct Urls {
    base: String,
    /// The base without what the client alone says.
    backend_base: String,
}

impl Urls {
    /// URLs under `public_url`, or under what the request was sent to.
    ///
    /// # Errors
    /// [`Failure::Target`] if neither says which host this is.
    pub(crate) fn new(public_url: Option<&str>, target: &Target) -> Result<Self, Failure> {
        let public_url = public_url.map(str::to_owned);
        let backend_base = public_url.clone().unwrap_or_else(|| target.mount().to_owned());
        let base = public_url.or_else(|| target.base()).ok_or(Failure::Target("Host"))?;
        Ok(Self { base, backend_base })
    }

    /// URLs for servers behind this one: under `public_url`, or paths without a host. A client chooses the host that
    /// its request names. So another server must not take that host for this service's.
    pub(crate) fn for_backends(&self) -> Self {
        Self { base: self.backend_base.clone(), backend_base: self.backend_base.clone() }
    }

    /// The origin of all URLs, as a browser writes it: in lower case, and without the scheme's own port.
    pub(crate) fn origin(&self) -> String {
        let origin = self.base[..self.base.len() - self.path().len()].to_ascii_lowercase();
        let port = if origin.starts_with("https:") { ":443" } else { ":80" };
        origin.strip_suffix(port).map_or_else(|| origin.clone(), str::to_owned)
    }

    /// What the paths of all URLs begin with, without a slash at the end.
    pub(crate) fn path(&self) -> &str {
        let authority = self.base.find("://").map_or(0, |scheme| scheme + 3);
        self.base[authority..].find('/').map_or("", |path| &self.base[authority + path..])
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

/// The id in a path: a UUID with hyphens.
pub(crate) fn parse_id(text: &str) -> Option<Uuid> {
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok())?
}

/// The decoded path of a file, and the id that the path's last part begins with. An escaped slash is no slash, and no
/// file's path has one.
pub(crate) fn parse_file_path(path: &str) -> Option<(String, Uuid)> {
    let decode = |segment| {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        (!segment.contains('/')).then_some(segment)
    };
    let segments = path.split('/').map(decode).collect::<Option<Vec<_>>>()?;
    let id = parse_id(segments.last()?.get(..uuid::fmt::Hyphenated::LENGTH)?)?;
    Some((segments.join("/"), id))
}
