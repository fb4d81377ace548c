//! The service's settings, read from Spin variables. [`VARIABLES`] declares the variables; docs/settings.md describes
//! them.

mod auth;
mod cors;
mod hook;
mod paths;
mod reader;
pub(crate) mod variable;

use std::time::Duration;

use http::Uri;
use jiff::{SignedDuration, Timestamp, fmt::strtime};

use crate::identity::Auth;
use crate::uploads::Algorithm;
pub use cors::CorsOrigins;
pub use hook::HookSettings;
use paths::Paths;
use reader::Reader;
pub use reader::SettingError;
pub use variable::{VARIABLES, Variable};

/// The settings: one for each of drf-chunked-upload's, and some of this service's own.
///
/// ```
/// use spin_chunked_upload::settings::Settings;
///
/// // As Spin reads them, from texts by name:
/// let settings = Settings::read(|name| (name == "max_bytes").then(|| "5000000".to_owned()))?;
/// assert_eq!(settings.max_bytes, Some(5_000_000));
///
/// // Or by hand:
/// let mut settings = Settings::default();
/// settings.checksum_required = false;
/// # Ok::<_, spin_chunked_upload::settings::SettingError>(())
/// ```
#[non_exhaustive]
pub struct Settings {
    /// How users are told apart.
    pub auth: Auth,
    /// The algorithm of the whole file's checksum, and the name of the field that completes an upload.
    pub checksum: Algorithm,
    /// Whether an upload can be completed only with its checksum.
    pub checksum_required: bool,
    /// What the path of a complete file ends with.
    pub complete_ext: String,
    /// What the end of a chunk's `Content-Range` is.
    pub content_range_end: ContentRangeEnd,
    /// The other origins whose pages may use the service.
    pub cors_origins: CorsOrigins,
    /// What the path of an incomplete file ends with.
    pub incomplete_ext: String,
    /// How long after its creation an incomplete upload expires.
    pub expiration_delta: SignedDuration,
    /// The name of the form's file part.
    pub field_name: String,
    /// The secret that the management requests need; `None` if there are no such requests.
    pub manage_token: Option<String>,
    /// The most bytes that a file may have; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// The most bytes that a request's body may have; `None` for no limit.
    pub max_chunk_bytes: Option<u64>,
    /// The hook that is called before an upload is complete; `None` for no hook.
    pub on_completion: Option<HookSettings>,
    /// The scheme, host and path that the service's URLs begin with, without a slash at the end; `None` for the scheme
    /// and host of the request.
    pub public_url: Option<String>,
    /// The most bytes of a segment, which is a value in the store.
    pub segment_size: u32,
    /// The label of the store of the uploads' records.
    pub store: String,
    /// The label of the store of the files' bytes.
    pub blob_store: String,
    /// How long one step of a sweep may take, beside listing the keys once.
    pub sweep_budget: SignedDuration,
    /// Whether to believe proxies in front, which say where the client sent its request: `X-Forwarded-…` and `Forwarded`.
    pub trust_forwarded: bool,
    /// The folder of the files' paths: a strftime pattern for the time of creation (UTC).
    pub upload_path: String,
    /// Whether only the user that created an upload may see and continue it. Without users, it makes no difference.
    pub user_restricted: bool,
}

/// What the end of a chunk's `Content-Range` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRangeEnd {
    /// The offset of the last byte, as in RFC 9110, 14.4.
    Inclusive,
    /// The offset after the last byte, as in drf-chunked-upload 0.1.7 to 0.3.0.
    Exclusive,
}

/// The largest `segment_size`. An instance holds several segments in memory at once, and it may have only 128 MiB.
const MAX_SEGMENT_SIZE: u32 = 10_000_000;

impl Default for Settings {
    /// The settings when no variable is set.
    fn default() -> Self {
        Self::read(|_| None).expect("each default can be read, which a test sees to")
    }
}

impl Settings {
    /// Reads the settings. `value_of` returns the value of a variable, or `None` if the variable isn't set. A variable
    /// that isn't set has its default. An empty variable has its default, too, except for the extensions and the path,
    /// which may be empty.
    ///
    /// # Errors
    /// The first variable whose value can't be read.
    pub fn read(value_of: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let reader = Reader::new(&value_of);
        let store = reader.text(&variable::STORE);
        let Paths { complete_ext, incomplete_ext, public_url, upload_path } = paths::read(&reader)?;
        let (auth, user_restricted) = auth::read(&reader)?;
        Ok(Self {
            auth,
            blob_store: reader.optional(&variable::BLOB_STORE).unwrap_or_else(|| store.clone()),
            checksum: reader.parse(&variable::CHECKSUM, parse_algorithm)?,
            checksum_required: reader.parse(&variable::CHECKSUM_REQUIRED, parse_text)?,
            complete_ext,
            content_range_end: reader.parse(&variable::CONTENT_RANGE_END, parse_range_end)?,
            cors_origins: cors::read(&reader)?,
            expiration_delta: reader.parse(&variable::EXPIRATION_DELTA, parse_duration)?,
            field_name: reader.text(&variable::FIELD_NAME),
            incomplete_ext,
            manage_token: reader.optional(&variable::MANAGE_TOKEN),
            max_bytes: reader.parse_optional(&variable::MAX_BYTES, parse_text)?,
            max_chunk_bytes: reader.parse_optional(&variable::MAX_CHUNK_BYTES, parse_text)?,
            on_completion: hook::read(&reader)?,
            public_url,
            segment_size: reader.parse(&variable::SEGMENT_SIZE, parse_segment_size)?,
            store,
            sweep_budget: reader.parse(&variable::SWEEP_BUDGET, parse_duration)?,
            trust_forwarded: reader.parse(&variable::TRUST_FORWARDED, parse_text)?,
            upload_path,
            user_restricted,
        })
    }

    /// The folder of a file whose upload was created at this time, without slashes at the beginning or the end.
    pub fn folder(&self, created_at: Timestamp) -> String {
        // The pattern was checked when it was read.
        format_path(&self.upload_path, created_at).unwrap_or_default()
    }
}

/// A number, `true` or `false`: what a type's own `FromStr` takes.
fn parse_text<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn parse_algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
}

fn parse_range_end(name: &str) -> Option<ContentRangeEnd> {
    match name {
        "inclusive" => Some(ContentRangeEnd::Inclusive),
        "exclusive" => Some(ContentRangeEnd::Exclusive),
        _ => None,
    }
}

fn parse_duration(text: &str) -> Option<SignedDuration> {
    let duration: Duration = humantime::parse_duration(text).ok()?;
    SignedDuration::try_from(duration).ok()
}

fn parse_segment_size(text: &str) -> Option<u32> {
    text.parse().ok().filter(|size| (1..=MAX_SEGMENT_SIZE).contains(size))
}

/// An absolute URL of `http` or `https`.
fn parse_absolute(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    (uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))).then_some(uri)
}

fn format_path(pattern: &str, time: Timestamp) -> Option<String> {
    let path = strtime::format(pattern, &time.to_zoned_datetime(jiff::tz::TimeZone::UTC)).ok()?;
    Some(path.trim_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Settings, SettingError> {
        Settings::read(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn defaults_are_the_peers() {
        let settings = Settings::default();
        assert_eq!(settings.checksum, Algorithm::Md5);
        assert_eq!(settings.expiration_delta, SignedDuration::from_hours(24));
        assert_eq!(settings.max_bytes, None);
        assert!(settings.user_restricted && settings.checksum_required);
        assert_eq!((settings.store.as_str(), settings.blob_store.as_str()), ("default", "default"));
        let time = "2026-11-22T23:59:59Z".parse().unwrap();
        assert_eq!(settings.folder(time), "chunked_uploads/2026/11/22");
    }

    #[test]
    fn values_are_read() {
        assert_eq!(read("checksum", "SHA256").unwrap().checksum, Algorithm::Sha256);
        assert_eq!(read("expiration_delta", "90s").unwrap().expiration_delta, SignedDuration::from_secs(90));
        assert_eq!(read("max_bytes", "1000000").unwrap().max_bytes, Some(1_000_000));
        assert_eq!(read("max_bytes", "").unwrap().max_bytes, None);
        assert_eq!(read("store", "records").unwrap().blob_store, "records");
        assert_eq!(read("public_url", "https://a.example/x/").unwrap().public_url.unwrap(), "https://a.example/x");
    }

    #[test]
    fn what_can_not_be_read_names_its_variable() {
        let bad = [
            ("checksum", "crc32"),
            ("checksum_required", "maybe"),
            ("complete_ext", "/done"),
            ("content_range_end", "last"),
            ("cors_origins", "example.com"),
            ("expiration_delta", "soon"),
            ("max_bytes", "-1"),
            ("on_completion_timeout", "31s"),
            ("on_completion_url", "/uploaded"),
            ("public_url", "example.com"),
            ("segment_size", "0"),
            ("segment_size", "10000001"),
            ("sweep_budget", "long"),
            ("upload_path", "%"),
            ("user_restricted", "false"),
        ];
        for (name, value) in bad {
            let error = read(name, value).err().expect(value);
            assert!(error.to_string().contains(&format!("\"{name}\"")), "{error}");
        }
    }
}
