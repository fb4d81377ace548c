//! The parameters of a `Content-Disposition`: of a form's part (RFC 7578, 4.2), or of a raw chunk (RFC 6266). Those of a
//! `Content-Type`, too.
//!
//! This module reads the headers itself, in the peer's way. A name's bytes are UTF-8 without any encoding, as browsers
//! send them. A backslash may escape a quote. A value without quotes may have characters that should be quoted, as
//! boundaries of common clients do. Each crate that reads these headers refuses one of the three.

use percent_encoding::percent_decode_str;

/// A header's parameters in their order. Their names are in lower case.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a header's value. It leaves out what it can't read.
    pub(super) fn parse(header: &[u8]) -> Self {
        let text = String::from_utf8_lossy(header);
        let (_type, mut rest) = text.split_once(';').unwrap_or((&text, ""));
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = read_value(after.trim_start());
            parameters.push((name.trim_matches([' ', '\t', ';']).to_ascii_lowercase(), value));
            rest = after;
        }
        Self(parameters)
    }

    /// The parameter `name`.
    pub(super) fn name(&self) -> Option<&str> {
        self.parameter("name")
    }

    /// The parameter `boundary`.
    pub(super) fn boundary(&self) -> Option<&str> {
        self.parameter("boundary")
    }

    /// The file's name: the exact one (`filename*`, RFC 8187), or else the plain one. `None` if there is neither.
    pub(super) fn filename(&self) -> Option<String> {
        let exact = self.parameter("filename*").and_then(decode_exact);
        exact.or_else(|| self.parameter("filename").map(str::to_owned))
    }

    fn parameter(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// A parameter's value, quoted or not, and the text after its semicolon.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let (mut value, mut characters) = (String::new(), quoted.char_indices());
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return (value, quoted[place + 1..].split_once(';').map_or("", |(_, rest)| rest)),
            // Only a quote and a backslash are unescaped: old browsers send a path's backslashes as they are.
            '\\' if quoted[place + 1..].starts_with(['"', '\\']) => {
                value.extend(characters.next().map(|(_, escaped)| escaped))
            }
            character => value.push(character),
        }
    }
    (value, "")
}

/// Decodes a value such as `UTF-8''na%C3%AFve`, as the peer does: a value of another form is the name itself, and a
/// replacement character stands for what can't be decoded. Returns `None` for a character set other than UTF-8 and
/// ISO 8859-1, which are all that RFC 5987 had.
fn decode_exact(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (Some(charset), Some(_language), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Some(value.to_owned());
    };
    let bytes = percent_decode_str(encoded);
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Some(bytes.decode_utf8_lossy().into_owned()),
        "iso-8859-1" | "latin-1" | "latin1" => Some(bytes.map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filename(header: &str) -> Option<String> {
        Parameters::parse(header.as_bytes()).filename()
    }

    #[test]
    fn names_of_files() {
        let rows = [
            ("attachment; filename=a.txt", Some("a.txt")),
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            ("attachment; filename=\"a;b=c.txt\"; x=y", Some("a;b=c.txt")),
            ("attachment; filename = \"a.txt\" ; x=y", Some("a.txt")),
            ("attachment; filename=\"a\\\"b\\\\c.txt\"", Some("a\"b\\c.txt")),
            ("attachment; filename=\"C:\\dir\\a.txt\"", Some("C:\\dir\\a.txt")),
            ("attachment; filename=\"na\u{ef}ve.txt\"", Some("na\u{ef}ve.txt")),
            ("attachment; filename=a; filename*=UTF-8''na%C3%AFve", Some("na\u{ef}ve")),
            ("attachment; filename=a; filename*=KOI8-R''x", Some("a")),
            ("form-data; filename*=iso-8859-1'de'n%E4.txt", Some("n\u{e4}.txt")),
            ("form-data; filename=a; filename*=utf-8''n%ff.txt", Some("n\u{fffd}.txt")),
            ("form-data; filename=a; filename*=x", Some("x")),
            ("attachment; FileName=a", Some("a")),
            ("attachment; filename=\"", Some("")),
            ("attachment; filename=\"\"", Some("")),
            ("attachment", None),
            ("", None),
            ("attachment; filename", None),
        ];
        for (header, expected) in rows {
            assert_eq!(filename(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn names_of_parts() {
        let name = |header: &str| Parameters::parse(header.as_bytes()).name().map(str::to_owned);
        assert_eq!(name("form-data; name=\"file\"; filename=\"name=x\"").as_deref(), Some("file"));
        assert_eq!(name("form-data; filename=\"; name=x\"; name=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(name("form-data"), None);
    }

    #[test]
    fn boundaries() {
        let rows = [
            ("multipart/form-data; boundary=x", "x"),
            ("multipart/form-data; charset=utf-8; boundary=\"a b\"", "a b"),
            ("multipart/form-data;boundary====1700000000000===", "===1700000000000==="),
            ("multipart/form-data; boundary=(a)/[b]:c?d,e@f", "(a)/[b]:c?d,e@f"),
            ("multipart/form-data;;\tBoundary = x ;", "x"),
        ];
        for (header, expected) in rows {
            assert_eq!(Parameters::parse(header.as_bytes()).boundary(), Some(expected), "{header}");
        }
    }
}
