//! Header fields that stand on several lines (RFC 9110, 5.3).
//!
//! The lines of a list are one list. A field that is no list may stand once only. If it stands twice, a proxy may decide
//! by the first line and a server by the last. So the service refuses it.

use http::header::{AsHeaderName, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

use super::failure::Failure;

/// The fields that the service decides by and that may stand once only. `Host`, `Authorization`, the header that names
/// the user, and the fields of conditional requests have checks of their own.
const SINGLE: [&str; 9] = [
    "Content-Disposition",
    "Content-Length",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Origin",
    "Range",
    "Sec-Fetch-Site",
    "X-Auth-Secret",
];

/// Checks that no field stands twice that may stand once only.
///
/// # Errors
/// [`Failure::RepeatedHeader`].
pub(crate) fn check_single(headers: &HeaderMap) -> Result<(), Failure> {
    match SINGLE.into_iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(Failure::RepeatedHeader(name)),
        None => Ok(()),
    }
}

/// The value of a list: all of its lines, with commas between them. A line that isn't text is an unreadable element.
pub(crate) fn list(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    let text = |line: &HeaderValue| line.to_str().unwrap_or("\u{0}").to_owned();
    let lines: Vec<_> = headers.get_all(name).iter().map(text).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// The encodings of a request's content, if it has any.
///
/// The service decodes no content. A short body may decode to a long one, and the file consists of the bytes that the
/// client sends.
pub(crate) fn content_encoding(headers: &HeaderMap) -> Option<String> {
    let list = list(headers, CONTENT_ENCODING)?.replace('\u{0}', "?");
    let is_encoding = |coding: &&str| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity");
    let encodings: Vec<_> = list.split(',').map(str::trim).filter(is_encoding).collect();
    (!encodings.is_empty()).then(|| encodings.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn each_line_of_a_list_counts() {
        let encoding = |lines: &[&'static str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("content-encoding", *line)).collect();
            content_encoding(&headers(&lines))
        };
        for lines in [&[][..], &[""], &["identity"], &["Identity", ", identity"]] {
            assert_eq!(encoding(lines), None, "{lines:?}");
        }
        for lines in [&["identity", "gzip"][..], &["gzip", ""], &["identity, gzip"], &["gzip"]] {
            assert_eq!(encoding(lines).as_deref(), Some("gzip"), "{lines:?}");
        }
        assert_eq!(encoding(&["gzip", "br, identity"]).as_deref(), Some("gzip, br"));
    }

    #[test]
    fn a_single_field_is_found_in_any_case() {
        assert!(check_single(&headers(&[("range", "a"), ("content-type", "a")])).is_ok());
        for name in SINGLE {
            let refused = check_single(&headers(&[(name, "a"), ("other", "a"), (name, "a")]));
            assert!(matches!(refused, Err(Failure::RepeatedHeader(found)) if found == name), "{name}");
        }
    }
}
