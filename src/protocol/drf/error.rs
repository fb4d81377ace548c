//! The protocol's errors and their answers. Where drf-chunked-upload has an answer, the words are the same.

use http::{Response, StatusCode};
use serde_json::{Value, json};
use thiserror::Error as ThisError;

use crate::http::failure::{Failure, RequestLine, with_code};
use crate::http::{BodyError, ResponseBody, response};
use crate::identity::IdentityError;
use crate::uploads;
use crate::view::Refusal;

/// Why a request was not done. The text is the answer's `detail`, unless [`Error::fields`] has another one.
#[derive(Debug, ThisError)]
pub(super) enum Error {
    #[error("No chunk file was submitted")]
    NoFile,
    #[error("More than one chunk file was submitted")]
    SecondFile,
    #[error("Error in request headers")]
    ContentRange,
    #[error("End of chunk exceeds reported total ({0} bytes)")]
    EndPastTotal(u64),
    #[error("Size of file exceeds the limit ({0} bytes)")]
    OverLimit(u64),
    #[error("File size doesn't match headers: file size is {actual} but {reported} reported")]
    WrongLength { actual: u64, reported: i128 },
    #[error("This field is required.")]
    NoFilename,
    #[error("Ensure this field has no more than {0} characters.")]
    LongFilename(usize),
    #[error("Checksum of type '{0}' is required")]
    NoChecksum(&'static str),
    #[error("Upload requires user authentication but user cannot be determined")]
    NoUser,
    #[error("Multipart form parse error - {0}")]
    Multipart(&'static str),
    #[error("JSON parse error - {0}")]
    Json(serde_json::Error),
    #[error(
        "The form's fields are too long: {0} bytes are the limit for all but the file, which is a part of a multipart form"
    )]
    LongFields(usize),
    #[error("The headers of a part of the form exceed the limit ({0} bytes)")]
    LongPartHead(usize),
    #[error("Unsupported media type \"{0}\" in request.")]
    MediaType(String),
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<uploads::Error> for Error {
    fn from(error: uploads::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<IdentityError> for Error {
    fn from(error: IdentityError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Failure(refusal.into())
    }
}

impl Error {
    /// The answer.
    pub(super) fn into_response(self, request: &RequestLine) -> Response<ResponseBody> {
        let (status, code, fields) = (self.status(), self.code(), self.fields());
        match self {
            Self::Failure(failure) => match fields {
                Some(fields) => failure.into_response_with(fields, request),
                None => failure.into_response(request),
            },
            error => {
                request.log_refusal(status, code);
                let fields = fields.unwrap_or_else(|| json!({"detail": error.to_string()}));
                response::json(status, &with_code(fields, code))
            }
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::LongFields(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Failure(failure) => failure.status(),
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoFile => "file_required",
            Self::SecondFile => "more_than_one_file",
            Self::ContentRange => "invalid_content_range",
            Self::EndPastTotal(_) => "end_past_total",
            Self::OverLimit(_) => "file_too_large",
            Self::WrongLength { .. } => "chunk_length_mismatch",
            Self::NoFilename => "filename_required",
            Self::LongFilename(_) => "filename_too_long",
            Self::NoChecksum(_) => "checksum_required",
            Self::NoUser => "user_required",
            Self::Multipart(_) => "invalid_multipart",
            Self::Json(_) => "invalid_json",
            Self::LongFields(_) => "fields_too_long",
            Self::LongPartHead(_) => "part_head_too_long",
            Self::MediaType(_) => "unsupported_media_type",
            Self::Failure(failure) => failure.code(),
        }
    }

    /// The answer's JSON without the code, if the peer has its own words or its own shape for it. `None` if the error's
    /// text is the `detail`.
    fn fields(&self) -> Option<Value> {
        match self {
            Self::NoFilename | Self::LongFilename(_) => Some(json!({"detail": {"filename": [self.to_string()]}})),
            Self::Failure(Failure::Upload(error)) => upload_fields(error),
            _ => None,
        }
    }
}

fn upload_fields(error: &uploads::Error) -> Option<Value> {
    use uploads::Error as E;
    Some(match error {
        E::NotFound => json!({"detail": "No ChunkedUpload matches the given query."}),
        E::AlreadyComplete => json!({"detail": "Upload has already been marked as \"complete\""}),
        E::Expired => json!({"detail": "Upload has expired"}),
        E::TooLate => json!({"detail": "The request took too long; continue with smaller chunks"}),
        // Up to its version 0.5.1, the peer had `offset` alone.
        E::OffsetMismatch { expected, provided } => json!({
            "detail": "Offsets do not match",
            "expected_offset": expected,
            "provided_offset": provided,
            "offset": expected,
        }),
        E::TotalMismatch { expected, provided } => json!({
            "detail": format!(
                "Total size does not match: the upload began with a total of {expected} bytes, not {provided}"
            ),
        }),
        E::PastTotal { total } => json!({"detail": Error::EndPastTotal(*total).to_string()}),
        E::Incomplete { offset, total } => json!({
            "detail": format!("Upload is not complete: {offset} of {total} bytes have arrived"),
            "expected_offset": offset,
            "offset": offset,
        }),
        E::ChecksumMismatch => json!({"detail": "checksum does not match"}),
        _ => return None,
    })
}
