//! The paths of URLs (RFC 3986).

use std::borrow::Cow;

/// The path in its normal form (RFC 3986, 6.2.2): without escapes of unreserved characters, and with all other escapes in
/// upper case. Escapes of reserved characters stay: `%2F` is no slash. The segments `.` and `..` stay, too.
pub(crate) fn normalize(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('%');
    let mut normal = parts.next().unwrap_or_default().to_owned();
    if normal.len() == path.len() {
        return path.into();
    }
    for part in parts {
        match escaped(part) {
            Some((byte, rest)) if is_unreserved(byte) => {
                normal.push(byte.into());
                normal += rest;
            }
            Some((byte, rest)) => normal += &format!("%{byte:02X}{rest}"),
            // A percent sign that escapes nothing stands for itself.
            None => normal += &format!("%25{part}"),
        }
    }
    normal.into()
}

/// The byte that two hexadecimal digits stand for, and the text after them.
fn escaped(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    Some((*hex::decode(digits).ok()?.first()?, rest))
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a segment of a path in normal form is `.` or `..`. Clients remove these before they send a request (RFC 3986,
/// 5.2.4).
pub(super) fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Whether clients and proxies leave a path in normal form as it is. They remove dots and empty segments. The path is
/// empty, or it begins with a slash and ends without one.
pub(crate) fn is_plain(path: &str) -> bool {
    path.split('/').skip(1).all(|segment| !segment.is_empty() && !is_dots(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_are_decoded() {
        let rows = [
            ("/uploads/", "/uploads/"),
            ("/upl%6fads/", "/uploads/"),
            ("/upl%6Fads%2f%7E%2d%5f", "/uploads%2F~-_"),
            ("/%2e%2E/a", "/../a"),
            ("%c3%a9%20", "%C3%A9%20"),
            // What a decoding brings about is no escape.
            ("%2561", "%2561"),
            ("%%361", "%2561"),
            ("%", "%25"),
            ("a%4", "a%254"),
            ("%+1%zz%\u{e9}", "%25+1%25zz%25\u{e9}"),
        ];
        for (path, expected) in rows {
            assert_eq!(normalize(path), expected, "{path}");
            assert_eq!(normalize(expected), expected);
        }
    }
}
