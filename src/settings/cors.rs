//! The variable `cors_origins`.

use http::HeaderValue;

use super::reader::{Reader, SettingError};
use super::variable;

/// The other origins whose pages may use the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None.
    None,
    /// All, but without credentials such as cookies.
    Any,
    /// These, as browsers write them: `https://example.com`.
    Listed(Vec<HeaderValue>),
}

impl CorsOrigins {
    /// The origins that the variables say, whatever else is wrong with them; none where these can't be read.
    pub fn read(value_of: impl Fn(&str) -> Option<String>) -> Self {
        read(&Reader::new(&value_of)).unwrap_or(Self::None)
    }
}

pub(super) fn read(reader: &Reader<'_>) -> Result<CorsOrigins, SettingError> {
    Ok(reader.parse_optional(&variable::CORS_ORIGINS, parse)?.unwrap_or(CorsOrigins::None))
}

fn parse(text: &str) -> Option<CorsOrigins> {
    if text == "*" {
        return Some(CorsOrigins::Any);
    }
    text.split(',').map(|origin| parse_origin(origin.trim())).collect::<Option<_>>().map(CorsOrigins::Listed)
}

/// An origin (RFC 6454, 6.2), in lower case as browsers send it.
fn parse_origin(text: &str) -> Option<HeaderValue> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let uri = super::parse_absolute(&text)?;
    let bare = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    (bare == text).then(|| HeaderValue::try_from(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_no_path() {
        let listed = ["https://a.example", "http://localhost:8080"].map(HeaderValue::from_static).to_vec();
        assert_eq!(parse("https://A.example/, http://localhost:8080"), Some(CorsOrigins::Listed(listed)));
        assert_eq!(parse("*"), Some(CorsOrigins::Any));
        for text in ["https://a.example/path", "a.example", "https://a.example,", "null", "ftp://a.example"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
