//! A request's form: its fields, and its file's bytes. The bytes go to a sink as they arrive.
//!
//! This module reads a body frame by frame, and holds no file in memory.

use std::collections::HashMap;

use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use serde_json::Value;

use super::error::Error;
use super::multipart::FormParts;
use super::parameters::Parameters;
use crate::http::checked_body::CheckedBody;
use crate::http::content_length;
use crate::view::Fields;

/// The most bytes that all fields together may have, with their names. The fields are held in memory.
const FIELDS_LIMIT: usize = 64 * 1024;
/// How many bytes a field counts beyond its own, so that many empty fields reach the limit, too.
const FIELD_OVERHEAD: usize = 32;

/// Takes the bytes of a form's file.
pub(super) trait FileSink {
    /// Takes the next bytes. If the sink fails, it remembers the failure. The form is still read to its end, because a
    /// later fault may be the one to report.
    async fn write(&mut self, bytes: &[u8]);
}

/// A sink for a file that isn't wanted. It drops the bytes.
pub(super) struct Ignored;

impl FileSink for Ignored {
    async fn write(&mut self, _: &[u8]) {}
}

/// A form without its file's bytes.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) fields: Fields,
    fields_len: usize,
    /// The file part with the expected name.
    pub(super) file: Option<FilePart>,
}

/// A form's file.
#[derive(Debug)]
pub(super) struct FilePart {
    /// The part's own filename, unless it is empty.
    pub(super) name: Option<String>,
    /// How many bytes it has.
    pub(super) len: u64,
}

/// How to read a body as a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct FormKind<'a> {
    /// The name of the file part.
    pub(super) file_field: &'a str,
    /// Which bodies are the file itself.
    pub(super) raw: Raw,
}

/// Which bodies are the file itself. A multipart form never is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw {
    /// No body.
    Never,
    /// A body of a media type that is no form. A body of a form's type, too, if it is the chunk of this length that
    /// `Content-Range` announces.
    Chunk { len: Option<i128> },
}

impl Raw {
    /// Whether a body of a form's type is the file itself, by the request's headers. Such a form has no file, so it can't
    /// be a valid chunk. curl sends files as urlencoded, and a client may send a `.json` file as JSON. A long body is no
    /// form, whatever its length should be.
    fn takes_form_type(self, headers: &HeaderMap) -> bool {
        let Self::Chunk { len: Some(expected) } = self else {
            return false;
        };
        content_length(headers).is_none_or(|length| i128::from(length) == expected || length > FIELDS_LIMIT as u64)
    }
}

impl Form {
    /// Reads a body of the kind that its `Content-Type` names: a multipart, urlencoded or JSON form, or the file itself
    /// where that is allowed. The file goes to `sink`.
    pub(super) async fn read(
        head: &Parts,
        mut body: CheckedBody,
        kind: FormKind<'_>,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_form = !kind.raw.takes_form_type(&head.headers);
        let form = match media_type.as_str() {
            "multipart/form-data" => Self::read_multipart(content_type, &mut body, kind.file_field, sink).await?,
            "application/x-www-form-urlencoded" if is_form => Self::from_urlencoded(&read_short(&mut body).await?)?,
            "application/json" if is_form => Self::from_json(&read_short(&mut body).await?)?,
            _ if matches!(kind.raw, Raw::Chunk { .. }) => {
                Self::read_raw(head, media_type.is_empty(), &mut body, sink).await?
            }
            "" if read_short(&mut body).await?.is_empty() => Self::default(),
            _ => return Err(Error::MediaType(content_type.to_owned())),
        };
        body.finish().await?;
        Ok(form)
    }

    /// Reads a body that is the file itself. Its name is in `Content-Disposition` or the query.
    async fn read_raw(
        head: &Parts,
        may_be_nothing: bool,
        body: &mut CheckedBody,
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
            form.file = Some(FilePart { name: raw_filename(&head.headers), len });
        }
        Ok(form)
    }

    /// The field's text. An empty text counts as none.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    async fn read_multipart(
        content_type: &str,
        body: &mut CheckedBody,
        file_field: &str,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let mut parts = FormParts::new(content_type, body)?;
        let mut form = Self::default();
        while let Some(head) = parts.next().await? {
            match head.filename {
                None => form.read_field(head.name.unwrap_or_default(), &mut parts).await?,
                Some(filename) if head.name.as_deref() == Some(file_field) => {
                    form.read_file(filename, &mut parts, sink).await?;
                }
                // The call of `next` skips this part's contents.
                Some(_) => {}
            }
        }
        Ok(form)
    }

    async fn read_file(
        &mut self,
        filename: String,
        parts: &mut FormParts<'_>,
        sink: &mut impl FileSink,
    ) -> Result<(), Error> {
        if self.file.is_some() {
            return Err(Error::SecondFile);
        }
        let mut len = 0;
        while let Some(bytes) = parts.chunk().await? {
            len += bytes.len() as u64;
            sink.write(&bytes).await;
        }
        let name = Some(filename).filter(|name| !name.is_empty());
        // A browser sends a part without a name and without bytes for a file input that was left empty.
        if name.is_some() || len > 0 {
            self.file = Some(FilePart { name, len });
        }
        Ok(())
    }

    async fn read_field(&mut self, name: String, parts: &mut FormParts<'_>) -> Result<(), Error> {
        let mut text = Vec::new();
        while let Some(bytes) = parts.chunk().await? {
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
        let fields: HashMap<String, Value> = serde_json::from_slice(body).map_err(Error::Json)?;
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

/// Reads the whole of a body that has no file in it.
async fn read_short(body: &mut CheckedBody) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        check_length(whole.len() + bytes.len())?;
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

/// The name that a raw chunk's `Content-Disposition` gives it.
fn raw_filename(headers: &HeaderMap) -> Option<String> {
    let disposition = headers.get(CONTENT_DISPOSITION)?;
    Parameters::parse(disposition.as_bytes()).filename().filter(|name| !name.is_empty())
}
