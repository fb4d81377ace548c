//! A complete upload's file: `GET` or `HEAD` of its `file` URL, whole or a single range (RFC 9110).

use std::ops::Range;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use headers::{AcceptRanges, ContentLength, ContentRange, HeaderMapExt};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::Context;
use crate::http::conditions::Validators;
use crate::http::failure::Failure;
use crate::http::{ResponseBody, digest, response};
use crate::store::Store;
use crate::uploads::{self, Damage, Upload};
use crate::view::View;

/// The characters that are escaped in an `ext-value`: all but the `attr-char` of RFC 8187, 3.2.1 that are likely in a
/// filename.
const EXT_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Responds with the file at one of these paths.
pub(super) async fn download<S: Store, V: View>(
    context: &Context<S, V>,
    paths: &[String],
    id: Uuid,
) -> Result<Response<ResponseBody>, Failure> {
    let request = &context.request;
    let upload = find(context, paths, id).await?;
    let file = File::of(&upload)?;
    if file.validators.are_known(&request.headers)? {
        let mut response = response::empty(StatusCode::NOT_MODIFIED);
        response.headers_mut().typed_insert(file.validators.etag);
        return Ok(response);
    }
    let range = file.requested_range(request)?;
    let bytes = context.uploads.read(&upload, range.clone().unwrap_or(0..file.length));
    Ok(file.into_response(ResponseBody::Stream(bytes), range))
}

/// The complete upload whose file is at one of these paths.
async fn find<S: Store, V: View>(context: &Context<S, V>, paths: &[String], id: Uuid) -> Result<Upload, Failure> {
    let upload = match context.find(id).await {
        Err(uploads::Error::NotFound) => return Err(Failure::NotFound),
        found => found?,
    };
    if upload.is_complete() && paths.contains(&upload.path) { Ok(upload) } else { Err(Failure::NotFound) }
}

/// What the answer's headers say about a file, whatever part of it is sent.
struct File {
    length: u64,
    /// The tag is the checksum of the file's bytes.
    validators: Validators,
    content_type: String,
    disposition: String,
    digest: String,
}

impl File {
    fn of(upload: &Upload) -> Result<Self, Failure> {
        let checksum = upload.checksum().ok_or(Failure::NotFound)?;
        let unreadable = || uploads::Error::from(Damage::of_checksum(upload.id));
        let digest = hex::decode(&checksum.hex).map_err(|_| unreadable())?;
        let completed_at = upload.completed_at.unwrap_or(upload.created_at);
        Ok(Self {
            length: upload.offset(),
            validators: Validators {
                etag: format!("\"{}\"", checksum.hex).parse().map_err(|_| unreadable())?,
                last_modified: system_time(completed_at).into(),
            },
            content_type: mime_guess::from_path(&upload.filename).first_or_octet_stream().to_string(),
            disposition: content_disposition(last_segment(&upload.filename)),
            digest: format!("{}=:{}:", digest::name(checksum.algorithm), BASE64.encode(digest)),
        })
    }

    /// The bytes that the request asks for; `None` for all. A request for several ranges gets all bytes, as RFC 9110,
    /// 14.2 allows. A request whose range can't be read gets all bytes, too. Only a `GET` can ask for a range.
    fn requested_range(&self, request: &Parts) -> Result<Option<Range<u64>>, Failure> {
        let range = request.headers.get(RANGE).and_then(|value| value.to_str().ok());
        let Some(range) = range.filter(|_| request.method == Method::GET) else {
            return Ok(None);
        };
        if !self.validators.allow_range(&request.headers) {
            return Ok(None);
        }
        // The unit may be in any case (RFC 9110, 14.1), but the parser takes lower case only.
        let Ok(ranges) = parse_range_header(&range.to_ascii_lowercase()) else {
            return Ok(None);
        };
        match ranges.validate(self.length).as_deref() {
            Ok([single]) => Ok(Some(*single.start()..*single.end() + 1)),
            Err(RangeUnsatisfiableError::Unsatisfiable) => Err(Failure::Range(self.length)),
            _ => Ok(None),
        }
    }

    fn into_response(self, bytes: ResponseBody, range: Option<Range<u64>>) -> Response<ResponseBody> {
        let mut response = Response::new(bytes);
        let headers = response.headers_mut();
        insert(headers, CONTENT_TYPE, &self.content_type);
        insert(headers, CONTENT_DISPOSITION, &self.disposition);
        insert(headers, HeaderName::from_static("repr-digest"), &self.digest);
        // A browser must not run an uploaded file as a page of this origin, whatever the file's type.
        insert(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
        insert(headers, CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
        headers.typed_insert(AcceptRanges::bytes());
        headers.typed_insert(self.validators.etag);
        headers.typed_insert(self.validators.last_modified);
        let sent = range.clone().unwrap_or(0..self.length);
        headers.typed_insert(ContentLength(sent.end - sent.start));
        if let Some(content_range) = range.and_then(|range| ContentRange::bytes(range, self.length).ok()) {
            headers.typed_insert(content_range);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }
}

/// The time of a record. No record is from before 1970 (record.rs), so this function takes an earlier time for the
/// epoch.
fn system_time(time: Timestamp) -> SystemTime {
    let since_epoch = Duration::try_from(time.as_duration()).unwrap_or_default();
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Sets a header. The code above makes only ASCII values.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The last segment of a name that may be a path. A client must not save a file in a folder that the name chooses (RFC
/// 6266, 4.3).
fn last_segment(filename: &str) -> &str {
    let is_name = |segment: &&str| !matches!(*segment, "" | "." | "..");
    filename.rsplit(['/', '\\']).next().filter(is_name).unwrap_or("file")
}

/// Tells browsers to save the file under its name (RFC 6266). The oldest browsers get the name in ASCII, and others get
/// the exact name (RFC 8187).
fn content_disposition(filename: &str) -> String {
    let is_plain = |character: char| character == ' ' || (character.is_ascii_graphic() && !"\"\\%".contains(character));
    let ascii: String = filename.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    if ascii == filename {
        format!("attachment; filename=\"{ascii}\"")
    } else {
        format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(filename, EXT_VALUE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_segment_of_a_path_is_a_name() {
        let rows = [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a.txt", "a.txt"),
            ("/", "file"),
            ("a/..", "file"),
            (".", "file"),
            (".profile", ".profile"),
        ];
        for (filename, expected) in rows {
            assert_eq!(last_segment(filename), expected, "{filename}");
        }
    }

    #[test]
    fn filenames_stay_what_they_are() {
        assert_eq!(content_disposition("a b.txt"), "attachment; filename=\"a b.txt\"");
        assert_eq!(
            content_disposition("na\u{ef}ve \"1\".txt"),
            "attachment; filename=\"na_ve _1_.txt\"; filename*=UTF-8''na%C3%AFve%20%221%22.txt"
        );
        assert_eq!(
            content_disposition("a\r\nSet-Cookie: b"),
            "attachment; filename=\"a__Set-Cookie: b\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"
        );
    }
}
