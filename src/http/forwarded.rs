//! What proxies in front say of the request that came to them: `X-Forwarded-Proto`, `-Host` and `-Prefix`, or `Forwarded`
//! (RFC 7239).

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::failure::Failure;
use super::path::{is_plain, normalize};
use super::target::parse_authority;

const FORWARDED: &str = "forwarded";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";
const PREFIX: &str = "x-forwarded-prefix";

/// What the first proxy, which the client has talked to, says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Forwarded {
    pub(super) proto: Option<String>,
    pub(super) host: Option<Authority>,
    /// The path that the client's URL had in front, without a slash at the end.
    pub(super) prefix: Option<String>,
}

impl Forwarded {
    /// Reads the headers. Where there is any of `X-Forwarded-…`, `Forwarded` doesn't count: a proxy sets either, and may
    /// pass on a client's own of the other.
    ///
    /// # Errors
    /// [`Failure::Target`] where one can't be read.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Failure> {
        if [PROTO, HOST, PREFIX].iter().all(|name| !headers.contains_key(*name)) {
            return headers.get(FORWARDED).map_or(Ok(Self::default()), |value| {
                let text = value.to_str().ok().and_then(parse_forwarded);
                text.ok_or(Failure::Target("Forwarded"))
            });
        }
        Ok(Self {
            proto: read(headers, PROTO, parse_proto, "X-Forwarded-Proto")?,
            host: read(headers, HOST, |text| parse_authority(text.as_bytes()), "X-Forwarded-Host")?,
            prefix: read(headers, PREFIX, parse_prefix, "X-Forwarded-Prefix")?,
        })
    }
}

/// The first value of a header that each proxy adds its own to.
fn read<T>(
    headers: &HeaderMap,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    shown: &'static str,
) -> Result<Option<T>, Failure> {
    let first = |value: &HeaderValue| parse(value.to_str().ok()?.split(',').next()?.trim());
    headers.get(HeaderName::from_static(name)).map(|value| first(value).ok_or(Failure::Target(shown))).transpose()
}

fn parse_proto(text: &str) -> Option<String> {
    ["http", "https"].into_iter().find(|proto| text.eq_ignore_ascii_case(proto)).map(str::to_owned)
}

fn parse_prefix(text: &str) -> Option<String> {
    let path: PathAndQuery = (text.starts_with('/') && !text.contains(['#', '\\'])).then(|| text.parse().ok())??;
    let prefix = text.trim_end_matches('/');
    (path.query().is_none() && is_plain(&normalize(prefix))).then(|| prefix.to_owned())
}

/// The first element of `Forwarded`: pairs such as `proto=https;host="a.example:8443"`.
fn parse_forwarded(text: &str) -> Option<Forwarded> {
    let mut forwarded = Forwarded::default();
    for pair in split_unquoted(split_unquoted(text, ',').next()?, ';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = unquote(value)?;
        match name.to_ascii_lowercase().as_str() {
            "proto" => forwarded.proto = Some(parse_proto(&value)?),
            "host" => forwarded.host = Some(parse_authority(value.as_bytes())?),
            _ => {}
        }
    }
    Some(forwarded)
}

/// Splits where no quoted string (RFC 9110, 5.6.4) is open.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        character == separator && !is_quoted
    })
}

/// A token as it is, or the text of a quoted string.
fn unquote(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let (mut unquoted, mut characters) = (String::new(), quoted.strip_suffix('"')?.chars());
    while let Some(character) = characters.next() {
        unquoted.push(if character == '\\' { characters.next()? } else { character });
    }
    Some(unquoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &str)]) -> Option<(String, String, String)> {
        let lines =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let Forwarded { proto, host, prefix } = Forwarded::read(&lines.collect()).ok()?;
        let host = host.map(|host| host.to_string());
        Some((proto.unwrap_or_default(), host.unwrap_or_default(), prefix.unwrap_or_default()))
    }

    fn found(proto: &str, host: &str, prefix: &str) -> Option<(String, String, String)> {
        Some((proto.to_owned(), host.to_owned(), prefix.to_owned()))
    }

    #[test]
    fn proxies_say_where_a_request_was_sent() {
        assert_eq!(read(&[]), found("", "", ""));
        assert_eq!(read(&[(PROTO, "HTTPS")]), found("https", "", ""));
        assert_eq!(
            read(&[(HOST, "a.example:8443, inner"), (PREFIX, "/files/")]),
            found("", "a.example:8443", "/files")
        );
        assert_eq!(read(&[(PREFIX, "/")]), found("", "", ""));
        let rows = [
            ("for=192.0.2.1;proto=https;host=a.example", found("https", "a.example", "")),
            ("Proto=https ; Host=\"[2001:db8::1]:8443\";by=\"_a,b;c\"", found("https", "[2001:db8::1]:8443", "")),
            ("proto=https;host=a.example, proto=http;host=inner", found("https", "a.example", "")),
            ("for=\"a\\\",b\";host=\"a.ex\\ample\"", found("", "a.example", "")),
            ("for=192.0.2.1", found("", "", "")),
        ];
        for (text, expected) in rows {
            assert_eq!(read(&[(FORWARDED, text)]), expected, "{text}");
        }
        // A client's own may come with those that the proxy sets.
        assert_eq!(read(&[(PROTO, "https"), (FORWARDED, "host=evil.example")]), found("https", "", ""));
    }

    #[test]
    fn what_can_not_be_read_is_not_guessed() {
        let rows = [
            (PROTO, "ftp"),
            (PROTO, ""),
            (HOST, "a@b"),
            (HOST, "a b"),
            (PREFIX, "files"),
            (PREFIX, "/a?b"),
            (PREFIX, "/a b"),
            (PREFIX, "/a/../b"),
            (PREFIX, "/%2e%2E/b"),
            (PREFIX, "//b"),
            (FORWARDED, "host"),
            (FORWARDED, "host=\"a"),
            (FORWARDED, "proto=gopher"),
        ];
        for row in rows {
            assert_eq!(read(&[row]), None, "{row:?}");
        }
    }
}
