//! The service's settings, read from Spin variables. README.md, "Settings", describes each.

mod auth;
mod cors;
mod hook;
mod reader;

use std::time::Duration;

use http::Uri;
use jiff::{SignedDuration, Timestamp, fmt::strtime};

use crate::identity::Auth;
use crate::uploads::Algorithm;
pub use cors::CorsOrigins;
pub use hook::HookSettings;
use reader::Reader;
pub use reader::SettingError;

/// The settings; one for each of drf-chunked-upload's, and some of this service's own.
pub struct Settings {
    /// How users are told apart.
    pub auth: Auth,
    /// The algorithm of the whole file's checksum, and the name of the field that completes an upload.
    pub checksum: Algorithm,
    /// Whether an upload can be completed only with its checksum.
    pub checksum_required: bool,
    /// What the path of a complete file ends with.
    pub complete_ext: String,
    /// The other origins whose pages may use the service.
    pub cors_origins: CorsOrigins,
    /// What the path of an incomplete file ends with.
    pub incomplete_ext: String,
    /// How long after its creation an incomplete upload expires.
    pub expiration_delta: SignedDuration,
    /// The name of the form's file part.
    pub field_name: String,
    /// The secret that the management requests need; `None` where there are none.
    pub manage_token: Option<String>,
    /// The most bytes that a file may have; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// The most bytes that a request's body may have; `None` for no limit.
    pub max_chunk_bytes: Option<u64>,
    /// What is asked before an upload is complete; `None` for nobody.
    pub on_completion: Option<HookSettings>,
    /// Scheme, host and path that the service's URLs begin with, without a slash at the end; `None` to take the
    /// request's own.
    pub public_url: Option<String>,
    /// The most bytes that one value in the store has.
    pub segment_size: u32,
    /// The label of the store of the uploads' records.
    pub store: String,
    /// The label of the store of the files' bytes.
    pub blob_store: String,
    /// The folder of the files' paths: a strftime pattern for the time of creation (UTC).
    pub upload_path: String,
    /// Whether only its creator may see and continue an upload.
    pub user_restricted: bool,
}

/// The largest `segment_size`: some values are in memory at once, of an instance that may have 128 MiB.
const MAX_SEGMENT_SIZE: u32 = 10_000_000;

impl Settings {
    /// The names of all variables.
    pub const NAMES: [&'static str; 25] = [
        "auth",
        "auth_header",
        "auth_header_secret",
        "auth_jwt_audience",
        "auth_jwt_issuer",
        "auth_jwt_public_key",
        "auth_jwt_secret",
        "blob_store",
        "checksum",
        "checksum_required",
        "complete_ext",
        "cors_origins",
        "expiration_delta",
        "field_name",
        "incomplete_ext",
        "manage_token",
        "max_bytes",
        "max_chunk_bytes",
        "on_completion_timeout",
        "on_completion_url",
        "public_url",
        "segment_size",
        "store",
        "upload_path",
        "user_restricted",
    ];

    /// Reads the settings; `value_of` gives the value of a variable, `None` where it isn't set. A variable that is
    /// not set has its default, and so has an empty one, but for extensions and the path, which may be empty.
    ///
    /// # Errors
    /// The first variable whose value can't be read.
    pub fn read(value_of: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let reader = Reader::new(&value_of);
        let store = reader.text("store", "default");
        let blob_store = reader.text("blob_store", &store);
        Ok(Self {
            auth: auth::read(&reader)?,
            checksum: reader.read("checksum", Algorithm::Md5, parse_algorithm, "md5, sha1, sha256 or sha512")?,
            checksum_required: reader.flag("checksum_required", true)?,
            complete_ext: reader.extension("complete_ext", ".done")?,
            cors_origins: cors::read(&reader)?,
            incomplete_ext: reader.extension("incomplete_ext", ".part")?,
            expiration_delta: reader.read(
                "expiration_delta",
                SignedDuration::from_hours(24),
                parse_duration,
                "a duration such as 1d, 12h or 90s",
            )?,
            field_name: reader.text("field_name", "file"),
            manage_token: reader.value("manage_token"),
            max_bytes: reader.bytes("max_bytes")?,
            max_chunk_bytes: reader.bytes("max_chunk_bytes")?,
            on_completion: hook::read(&reader)?,
            public_url: reader.read(
                "public_url",
                None,
                |text| parse_public_url(text).map(Some),
                "an absolute URL such as https://example.com/files",
            )?,
            segment_size: reader.read(
                "segment_size",
                1_000_000,
                parse_segment_size,
                "a number of bytes from 1 to 10000000",
            )?,
            store,
            blob_store,
            upload_path: reader.read_text(
                "upload_path",
                "chunked_uploads/%Y/%m/%d",
                |pattern| format_path(pattern, Timestamp::UNIX_EPOCH).is_some(),
                "a path, in which strftime's patterns such as %Y/%m/%d may stand",
            )?,
            user_restricted: reader.flag("user_restricted", true)?,
        })
    }

    /// The folder of a file whose upload was created at this time, without slashes at its ends.
    pub fn folder(&self, created_at: Timestamp) -> String {
        // The pattern was tried when it was read.
        format_path(&self.upload_path, created_at).unwrap_or_default()
    }
}

fn parse_algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
}

fn parse_duration(text: &str) -> Option<SignedDuration> {
    let duration: Duration = humantime::parse_duration(text).ok()?;
    SignedDuration::try_from(duration).ok()
}

fn parse_segment_size(text: &str) -> Option<u32> {
    text.parse().ok().filter(|size| (1..=MAX_SEGMENT_SIZE).contains(size))
}

fn parse_public_url(text: &str) -> Option<String> {
    let uri = parse_absolute(text)?;
    uri.query().is_none().then(|| text.trim_end_matches('/').to_owned())
}

/// A URL with scheme and host, in HTTP.
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
        let settings = Settings::read(|_| None).unwrap();
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
            ("cors_origins", "example.com"),
            ("expiration_delta", "soon"),
            ("max_bytes", "-1"),
            ("on_completion_timeout", "31s"),
            ("on_completion_url", "/uploaded"),
            ("public_url", "example.com"),
            ("segment_size", "0"),
            ("segment_size", "10000001"),
            ("upload_path", "%"),
        ];
        for (name, value) in bad {
            let error = read(name, value).err().expect(value);
            assert!(error.to_string().contains(&format!("\"{name}\"")), "{error}");
        }
    }
}
