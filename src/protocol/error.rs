//! What goes wrong, and the answer. The words are drf-chunked-upload's wherever it has an answer.

use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use thiserror::Error as ThisError;

use super::body::{self, BodyError, ResponseBody};
use crate::identity::IdentityError;
use crate::settings::SettingError;
use crate::store::StoreError;
use crate::uploads;
use crate::view::Refusal;

/// Why no request can be handled at all.
#[derive(Debug, ThisError)]
pub enum SetupError {
    /// A variable can't be read.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A store, or what holds the variables, is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The answer to a request that can't be handled: it names the variable to mend, where that is the reason.
pub fn refuse(error: SetupError) -> Response<ResponseBody> {
    let error = match error {
        SetupError::Setting(error) => Error::Setting(error),
        SetupError::Store(error) => Error::Upload(error.into()),
    };
    error.into_response("setting up")
}

/// Why a request was not done. The text is the answer's `detail`, where [`Error::detail`] has no other.
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
    #[error("The token is missing or wrong")]
    ManageToken,
    #[error("The query's {0} can't be read")]
    Query(&'static str),
    #[error("Multipart form parse error - {0}")]
    Multipart(String),
    #[error("JSON parse error - {0}")]
    Json(String),
    #[error("The form's fields are too long: {0} bytes are the limit for all but the file")]
    LongFields(usize),
    #[error("{0} does not match the request's content")]
    Digest(&'static str),
    #[error("{0} can't be read")]
    UnreadableDigest(&'static str),
    #[error("Unsupported media type \"{0}\" in request.")]
    MediaType(String),
    #[error("Unsupported content encoding \"{0}\": send the bytes as they are")]
    ContentEncoding(String),
    #[error("Method \"{method}\" not allowed.")]
    Method { method: Method, allow: &'static str },
    #[error("Not found.")]
    NothingHere,
    #[error("The range is not satisfiable: the file has {0} bytes")]
    Range(u64),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Setting(SettingError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Upload(#[from] uploads::Error),
}

/// How long a client should wait before it tries again what the store couldn't do, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

impl Error {
    /// The answer; a failure of the server's goes to the log, with `place` to say where it happened.
    pub(super) fn into_response(self, place: &str) -> Response<ResponseBody> {
        let status = self.status();
        if status.is_server_error() {
            eprintln!("error: {place}: {self}");
        }
        let mut response = body::json(status, &self.to_json());
        let headers = response.headers_mut();
        match &self {
            Self::Method { allow, .. } => drop(headers.insert(ALLOW, HeaderValue::from_static(allow))),
            Self::Identity(error) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(error.challenge()));
            }
            // RFC 9110, 15.5.16: what would have been taken.
            Self::ContentEncoding(_) => drop(headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            Self::ManageToken => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Range(length) => {
                if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                    headers.insert(CONTENT_RANGE, value);
                }
            }
            Self::Upload(uploads::Error::Store(_)) | Self::Refused(Refusal::Failed(_)) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            _ => {}
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Upload(uploads::Error::Expired) => StatusCode::GONE,
            Self::Upload(uploads::Error::TooLate) => StatusCode::REQUEST_TIMEOUT,
            Self::Identity(_) | Self::ManageToken => StatusCode::UNAUTHORIZED,
            Self::LongFields(_) | Self::Body(BodyError::TooLong(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) | Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NothingHere | Self::Upload(uploads::Error::NotFound) => StatusCode::NOT_FOUND,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Refused(Refusal::Request { status, .. }) if status.is_client_error() => *status,
            Self::Refused(Refusal::Failed(_)) => StatusCode::BAD_GATEWAY,
            Self::Refused(_) | Self::Setting(_) | Self::Upload(uploads::Error::Damaged(_)) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Upload(uploads::Error::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::NoFilename | Self::LongFilename(_) => json!({"detail": {"filename": [self.to_string()]}}),
            Self::Refused(Refusal::Request { status, body }) if status.is_client_error() => body.clone(),
            Self::Refused(_) => json!({"detail": "What decides on the completion failed; try again later"}),
            Self::Upload(error) => upload_error_to_json(error),
            _ => json!({"detail": self.to_string()}),
        }
    }
}

fn upload_error_to_json(error: &uploads::Error) -> Value {
    use uploads::Error as E;
    match error {
        E::NotFound => json!({"detail": "No ChunkedUpload matches the given query."}),
        E::AlreadyComplete => json!({"detail": "Upload has already been marked as \"complete\""}),
        E::Expired => json!({"detail": "Upload has expired"}),
        E::TooLate => json!({"detail": "The request took too long; continue with smaller chunks"}),
        E::OffsetMismatch { expected, provided } => {
            json!({"detail": "Offsets do not match", "expected_offset": expected, "provided_offset": provided})
        }
        E::TotalMismatch { expected, provided } => json!({
            "detail": format!(
                "Total size does not match: the upload began with a total of {expected} bytes, not {provided}"
            ),
        }),
        E::Incomplete { offset, total } => json!({
            "detail": format!("Upload is not complete: {offset} of {total} bytes have arrived"),
            "expected_offset": offset,
        }),
        E::ChecksumMismatch => json!({"detail": "checksum does not match"}),
        E::Damaged(_) => json!({"detail": "The server failed to handle the upload; its log says why"}),
        E::Store(_) => json!({"detail": "The server's store is not available; try again later"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn the_servers_failures_say_nothing_of_their_cause() {
        for error in [uploads::Error::Damaged("secret".into()), StoreError::unavailable("secret").into()] {
            let error = Error::from(error);
            assert!(error.status().is_server_error());
            assert!(!error.to_json().to_string().contains("secret"));
        }
        let response = Error::from(uploads::Error::from(StoreError::unavailable(""))).into_response("test");
        assert_eq!(response.headers()[RETRY_AFTER], "5");
    }
}
