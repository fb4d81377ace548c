//! A request's form: its fields, and its file's bytes streamed to where they are to go.
//!
//! Bodies are read piece by piece; nothing holds a file in memory.

use std::borrow::Cow;
use std::collections::HashMap;

use futures::stream::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use mime::Mime;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::checked_body::CheckedBody;
use super::error::Error;
use super::multipart::{FormParts, Part};
use crate::view::Fields;

/// The most bytes that all fields together may have, names included: they are held in memory.
const FIELDS_LIMIT: usize = 64 * 1024;
/// What a field counts beyond its bytes, so that many empty ones come to the limit too.
const FIELD_OVERHEAD: usize = 32;

/// Takes the bytes of a form's file.
pub(super) trait FileSink {
    /// Takes the next bytes. What goes wrong is for the sink to remember: the form is read to its end all the same,
    /// since a fault further on may be the one to report.
    async fn write(&mut self, bytes: &[u8]);

    /// How many bytes are to come in all, as the request says it elsewhere; 0 where it doesn't.
    fn expected(&self) -> u64 {
        0
    }
}

/// A form without its file's bytes.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) fields: Fields,
    fields_len: usize,
    /// The file part under the name that was asked for.
    pub(super) file: Option<FilePart>,
}

/// A form's file.
#[derive(Debug)]
pub(super) struct FilePart {
    /// The name that the part itself carries, unless it is empty.
    pub(super) name: Option<String>,
    /// How many bytes it has.
    pub(super) len: u64,
}

/// What a form is taken for.
#[derive(Clone, Copy, Debug)]
pub(super) struct FormKind<'a> {
    /// The name of the file part.
    pub(super) file_field: &'a str,
    /// Whether a body of any other media type is the file itself.
    pub(super) may_be_raw: bool,
}

impl Form {
    /// Reads a body of the kind that its `Content-Type` says: multipart, urlencoded or JSON, or the file itself where
    /// that may be. The file goes to `sink`.
    pub(super) async fn read(
        head: &Parts,
        body: CheckedBody,
        kind: FormKind<'_>,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let whole = body.clone();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let form = match media_type.as_str() {
            "multipart/form-data" => Self::read_multipart(content_type, body, kind.file_field, sink).await?,
            "application/x-www-form-urlencoded" => Self::from_urlencoded(&read_short(body).await?)?,
            "application/json" => Self::from_json(&read_short(body).await?)?,
            _ if kind.may_be_raw => Self::read_raw(head, media_type.is_empty(), body, sink).await?,
            "" if read_short(body).await?.is_empty() => Self::default(),
            _ => return Err(Error::MediaType(content_type.to_owned())),
        };
        whole.finish().await?;
        Ok(form)
    }

    /// Reads a body that is the file itself. Its name is in `Content-Disposition` or the query.
    async fn read_raw(
        head: &Parts,
        may_be_nothing: bool,
        mut body: CheckedBody,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let mut form = Self::default();
        for (name, text) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            form.add(name.into_owned(), text.into_owned())?;
        }
        let mut len = 0;
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            len += bytes.len() as u64;
            sink.write(&bytes).await;
        }
        if len > 0 || !may_be_nothing {
            form.file = Some(FilePart { name: filename_of_disposition(&head.headers), len });
        }
        Ok(form)
    }

    /// The field's text; an empty one counts as none.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    async fn read_multipart(
        content_type: &str,
        body: CheckedBody,
        file_field: &str,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let mut parts = FormParts::new(content_type, body)?;
        let mut form = Self::default();
        while let Some(part) = parts.next().await? {
            match part.file_name() {
                None => form.read_field(part).await?,
                Some(_) if part.name() == Some(file_field) => form.read_file(part, sink).await?,
                Some(_) => part.skip().await?,
            }
        }
        Ok(form)
    }

    async fn read_file(&mut self, mut part: Part<'_>, sink: &mut impl FileSink) -> Result<(), Error> {
        if self.file.is_some() {
            return Err(Error::SecondFile);
        }
        let name = part.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
        let mut len = 0;
        while let Some(bytes) = part.chunk_of(sink.expected().saturating_sub(len)).await? {
            len += bytes.len() as u64;
            sink.write(&bytes).await;
        }
        self.file = Some(FilePart { name, len });
        Ok(())
    }

    async fn read_field(&mut self, mut part: Part<'_>) -> Result<(), Error> {
        let name = part.name().unwrap_or_default().to_owned();
        let mut text = Vec::new();
        while let Some(bytes) = part.chunk().await? {
            check_length(self.fields_len + text.len() + bytes.len())?;
            text.extend_from_slice(&bytes);
        }
        self.add(name, String::from_utf8_lossy(&text).into_owned())
    }

    fn from_urlencoded(body: &[u8]) -> Result<Self, Error> {
        let mut form = Self::default();
        for (name, text) in form_urlencoded::parse(body) {
            form.add(name.into_owned(), text.into_owned())?;
        }
        Ok(form)
    }

    fn from_json(body: &[u8]) -> Result<Self, Error> {
        let mut form = Self::default();
        if body.is_empty() {
            return Ok(form);
        }
        let fields: HashMap<String, Value> =
            serde_json::from_slice(body).map_err(|error| Error::Json(error.to_string()))?;
        for (name, value) in fields {
            match value {
                Value::Null => {}
                Value::String(text) => form.add(name, text)?,
                other => form.add(name, other.to_string())?,
            }
        }
        Ok(form)
    }

    fn add(&mut self, name: String, text: String) -> Result<(), Error> {
        self.fields_len += name.len() + text.len() + FIELD_OVERHEAD;
        check_length(self.fields_len)?;
        self.fields.insert(name, text);
        Ok(())
    }
}

fn check_length(length: usize) -> Result<(), Error> {
    if length > FIELDS_LIMIT { Err(Error::LongFields(FIELDS_LIMIT)) } else { Ok(()) }
}

/// A body that has no file in it, whole.
async fn read_short(mut body: CheckedBody) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        check_length(whole.len() + bytes.len())?;
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

/// The file name of a `Content-Disposition` (RFC 6266), the exact one (RFC 8187) before the plain one.
fn filename_of_disposition(headers: &HeaderMap) -> Option<String> {
    let disposition = std::str::from_utf8(headers.get(CONTENT_DISPOSITION)?.as_bytes()).ok()?;
    // A media type's parameters have the same syntax, and a crate that reads it.
    let parameters: Mime = format!("disposition/{disposition}").parse().ok()?;
    let exact = parameters.get_param("filename*").and_then(|value| {
        let (charset, value) = value.as_str().split_once('\'')?;
        let (_language, encoded) = value.split_once('\'')?;
        let is_utf8 = charset.eq_ignore_ascii_case("utf-8");
        is_utf8.then(|| percent_decode_str(encoded).decode_utf8().ok().map(Cow::into_owned))?
    });
    let name = exact.or_else(|| parameters.get_param("filename").map(|value| value.as_str().to_owned()))?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use bytes::Bytes;
    use futures::stream;

    use super::*;

    struct Nowhere;

    impl FileSink for Nowhere {
        async fn write(&mut self, _: &[u8]) {}
    }

    /// multer polls twice in a row at the start: the body may come, and end, in between.
    #[test]
    fn a_body_may_come_as_late_as_it_likes() {
        let form = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n";
        let mut polls = 0;
        let body = stream::poll_fn(move |context| {
            polls += 1;
            match polls {
                1 => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                2 => Poll::Ready(Some(Ok(Bytes::from(form)))),
                _ => Poll::Ready(None),
            }
        });
        let (head, ()) = http::Request::builder()
            .header(CONTENT_TYPE, "multipart/form-data; boundary=x")
            .body(())
            .unwrap()
            .into_parts();
        let body = CheckedBody::new(&head.headers, body.boxed(), None).unwrap();
        let kind = FormKind { file_field: "file", may_be_raw: false };
        let form = pollster::block_on(Form::read(&head, body, kind, &mut Nowhere)).unwrap();
        assert_eq!(form.field("a"), Some("b"));
    }

    #[test]
    fn the_name_of_a_disposition() {
        let name = |disposition: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_DISPOSITION, disposition.parse().unwrap());
            filename_of_disposition(&headers)
        };
        assert_eq!(name("attachment; filename=a.txt").as_deref(), Some("a.txt"));
        assert_eq!(name("attachment; filename=\"a b.txt\"").as_deref(), Some("a b.txt"));
        assert_eq!(name("attachment; filename=a; filename*=UTF-8''na%C3%AFve").as_deref(), Some("na\u{ef}ve"));
        assert_eq!(name("attachment; filename=a; filename*=KOI8-R''x").as_deref(), Some("a"));
        assert_eq!(name("attachment"), None);
        assert_eq!(name("attachment; filename=\"\""), None);
    }
}
