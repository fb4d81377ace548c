//! A request's form: its fields, and its file's bytes streamed to where they are to go.
//!
//! Multipart bodies are parsed by multer, piece by piece; nothing holds a file in memory.

use std::collections::HashMap;

use futures::stream::StreamExt;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::Multipart;
use serde_json::Value;

use super::body::{BodyError, Paced, RequestBody};
use super::error::Error;

/// The most bytes that all fields together may have, names included: they are held in memory.
const FIELDS_LIMIT: usize = 64 * 1024;
/// What a field counts beyond its bytes, so that many empty ones come to the limit too.
const FIELD_OVERHEAD: usize = 32;

/// Takes the bytes of a form's file.
pub(super) trait FileSink {
    /// Takes the next bytes. What goes wrong is for the sink to remember: the form is read to its end all the same,
    /// since a fault further on may be the one to report.
    async fn write(&mut self, bytes: &[u8]);
}

/// A form without its file's bytes.
#[derive(Debug, Default)]
pub(super) struct Form {
    fields: HashMap<String, String>,
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

impl Form {
    /// Reads a body of the kind that its `Content-Type` says: multipart, urlencoded or JSON. The part `file_field`, if
    /// it is a file, goes to `sink`.
    pub(super) async fn read(
        headers: &HeaderMap,
        body: RequestBody,
        file_field: &str,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "multipart/form-data" => Self::read_multipart(content_type, body, file_field, sink).await,
            "application/x-www-form-urlencoded" => Self::from_urlencoded(&read_short(body).await?),
            "application/json" => Self::from_json(&read_short(body).await?),
            "" if read_short(body).await?.is_empty() => Ok(Self::default()),
            _ => Err(Error::MediaType(content_type.to_owned())),
        }
    }

    /// The field's text; an empty one counts as none.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    async fn read_multipart(
        content_type: &str,
        body: RequestBody,
        file_field: &str,
        sink: &mut impl FileSink,
    ) -> Result<Self, Error> {
        let boundary = multer::parse_boundary(content_type).map_err(multipart_error)?;
        let mut parts = Multipart::new(Paced::new(body), boundary);
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(multipart_error)? {
            match part.file_name() {
                None => form.read_field(part).await?,
                Some(_) if part.name() == Some(file_field) => form.read_file(part, sink).await?,
                Some(_) => skip(part).await?,
            }
        }
        Ok(form)
    }

    async fn read_file(&mut self, mut part: multer::Field<'_>, sink: &mut impl FileSink) -> Result<(), Error> {
        if self.file.is_some() {
            return Err(Error::SecondFile);
        }
        let name = part.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
        let mut len = 0;
        while let Some(bytes) = part.chunk().await.map_err(multipart_error)? {
            len += bytes.len() as u64;
            sink.write(&bytes).await;
        }
        self.file = Some(FilePart { name, len });
        Ok(())
    }

    async fn read_field(&mut self, mut part: multer::Field<'_>) -> Result<(), Error> {
        let name = part.name().unwrap_or_default().to_owned();
        let mut text = Vec::new();
        while let Some(bytes) = part.chunk().await.map_err(multipart_error)? {
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
async fn read_short(mut body: RequestBody) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        check_length(whole.len() + bytes.len())?;
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

async fn skip(mut part: multer::Field<'_>) -> Result<(), Error> {
    while part.chunk().await.map_err(multipart_error)?.is_some() {}
    Ok(())
}

fn multipart_error(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(cause) => {
            let lost = cause.downcast::<BodyError>();
            Error::Body(lost.map_or_else(|other| BodyError(other.to_string()), |lost| *lost))
        }
        other => Error::Multipart(other.to_string()),
    }
}
