//! Why a request was not done, independent of any protocol: a status, a stable code, headers, and a sentence. A
//! protocol may replace the sentence with its own words.

use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::body::{BodyError, ResponseBody};
use super::path::normalize;
use super::response;
use crate::error_chain::error_chain;
use crate::identity::IdentityError;
use crate::settings::SettingError;
use crate::uploads;

/// Why a request was not done. The text is for clients, except for the text of the server's own failures.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A page of another site sends it, and a login comes along by itself.
    #[error("The request comes from a page of another site; cors_origins lists the sites that may send it")]
    CrossSite,
    /// The management requests' token.
    #[error("The token is missing or wrong")]
    ManageToken,
    /// The header that says where the request was sent.
    #[error("{0} can't be read: a request must say once, and plainly, where it is sent")]
    Target(&'static str),
    #[error("Transfer codings other than \"chunked\" are not undone here: send the bytes as they are")]
    TransferCoding,
    /// A field that may stand once only.
    #[error("{0} stands on more than one line: send it once")]
    RepeatedHeader(&'static str),
    #[error("The query's {0} can't be read")]
    Query(&'static str),
    /// A header's digest of the content.
    #[error("{0} does not match the request's content")]
    DigestMismatch(&'static str),
    #[error("{0} can't be read")]
    UnreadableDigest(&'static str),
    #[error("Unsupported content encoding \"{0}\": send the bytes as they are")]
    ContentEncoding(String),
    #[error("Method \"{method}\" not allowed.")]
    Method { method: Method, allow: &'static str },
    #[error("Not found.")]
    NotFound,
    #[error("The file is not the version that If-Match or If-Unmodified-Since asks for")]
    Precondition,
    /// The file's length in bytes.
    #[error("The range is not satisfiable: the file has {0} bytes")]
    Range(u64),
    /// The view's own answer: a status from 400 to 499.
    #[error("refused with {status}: {body}")]
    Refused { status: StatusCode, body: Value },
    /// The view or the hook has failed. It may work again later.
    #[error("{0}")]
    ViewFailed(String),
    /// The view refused with a status outside 400 to 499.
    #[error("the view refused with the status {0}, which is no refusal")]
    ViewStatus(StatusCode),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Upload(#[from] uploads::Error),
}

/// How many seconds a client should wait before it tries again, after the store or the view has failed.
const RETRY_AFTER_SECONDS: u32 = 5;

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Identity(_) | Self::ManageToken => StatusCode::UNAUTHORIZED,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Refused { status, .. } => *status,
            Self::ViewFailed(_) => StatusCode::BAD_GATEWAY,
            Self::Setting(_) | Self::ViewStatus(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Body(BodyError::TooLong(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Stalled) => StatusCode::REQUEST_TIMEOUT,
            Self::Upload(error) => upload_status(error),
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The failure's name for programs. It stays the same in all versions.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site_request",
            Self::ManageToken => "manage_token_required",
            Self::Target(_) => "invalid_target",
            Self::TransferCoding => "unsupported_transfer_coding",
            Self::RepeatedHeader(_) => "repeated_header",
            Self::Query(_) => "invalid_query",
            Self::DigestMismatch(_) => "digest_mismatch",
            Self::UnreadableDigest(_) => "invalid_digest",
            Self::ContentEncoding(_) => "unsupported_content_encoding",
            Self::Method { .. } => "method_not_allowed",
            Self::NotFound => "not_found",
            Self::Precondition => "precondition_failed",
            Self::Range(_) => "range_not_satisfiable",
            Self::Refused { .. } => "refused",
            Self::ViewFailed(_) | Self::ViewStatus(_) => "decision_failed",
            Self::Identity(error) => error.code(),
            Self::Setting(_) => "invalid_setting",
            Self::Body(error) => error.code(),
            Self::Upload(error) => error.code(),
        }
    }

    /// The failure's own headers of the answer.
    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let text = |text: &'static str| HeaderValue::from_static(text);
        match self {
            Self::Method { allow, .. } => vec![(ALLOW, text(allow))],
            Self::Identity(error) => vec![(WWW_AUTHENTICATE, text(error.challenge()))],
            Self::ManageToken => vec![(WWW_AUTHENTICATE, text("Bearer"))],
            // The answer tells which encoding the service takes (RFC 9110, 15.5.16).
            Self::ContentEncoding(_) => vec![(ACCEPT_ENCODING, text("identity"))],
            Self::Range(length) => HeaderValue::try_from(format!("bytes */{length}"))
                .map(|range| (CONTENT_RANGE, range))
                .into_iter()
                .collect(),
            Self::Upload(uploads::Error::Store(_)) | Self::ViewFailed(_) => {
                vec![(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))]
            }
            _ => Vec::new(),
        }
    }

    /// The answer's JSON, without the code. A failure of the server does not tell its cause to the client.
    fn fields(&self) -> Value {
        use uploads::Error as E;
        match self {
            Self::Refused { body, .. } => body.clone(),
            Self::ViewFailed(_) | Self::ViewStatus(_) => {
                json!({"detail": "What decides on the completion failed; try again later"})
            }
            Self::Setting(_) => {
                json!({"detail": "The service is not set up right; its log says which variable to mend"})
            }
            Self::Upload(E::Damaged(_)) => {
                json!({"detail": "The server failed to handle the upload; its log says why"})
            }
            Self::Upload(E::SharedStores { .. }) => json!({
                "detail": "Another deployment uses these stores, too, so nothing was removed; the log says which mark it has"
            }),
            Self::Upload(E::Store(_)) => json!({"detail": "The server's store is not available; try again later"}),
            _ => json!({"detail": self.to_string()}),
        }
    }

    /// The answer in the service's own words. The log gets the cause, and `request` tells where it happened.
    pub(crate) fn into_response(self, request: &RequestLine) -> Response<ResponseBody> {
        let fields = self.fields();
        self.into_response_with(fields, request)
    }

    /// The answer in a protocol's words. `fields` is the answer's JSON without the code.
    pub(crate) fn into_response_with(self, fields: Value, request: &RequestLine) -> Response<ResponseBody> {
        let (status, code) = (self.status(), self.code());
        // What isn't implemented is the client's wish, and no failure of the server's.
        if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
            let RequestLine { method, route } = request;
            let error = error_chain(&self);
            log::error!(method:% = method, route:% = route, status = status.as_u16(), code, error = error.as_str(); "request_failed");
        } else {
            request.log_refusal(status, code);
        }
        // The client gets a view's refusal word for word, without a code.
        let is_views_own = matches!(self, Self::Refused { .. });
        let body = if is_views_own { fields } else { with_code(fields, code) };
        let mut response = response::json(status, &body);
        response.headers_mut().extend(self.headers());
        response
    }
}

fn upload_status(error: &uploads::Error) -> StatusCode {
    use uploads::Error as E;
    match error {
        E::Expired => StatusCode::GONE,
        E::TooLate => StatusCode::REQUEST_TIMEOUT,
        E::NotFound => StatusCode::NOT_FOUND,
        E::Damaged(_) | E::SharedStores { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        E::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The fields, and the code after them.
pub(crate) fn with_code(fields: Value, code: &'static str) -> Value {
    let mut fields = match fields {
        Value::Object(fields) => fields,
        other => Map::from_iter([("detail".to_owned(), other)]),
    };
    fields.insert("code".to_owned(), code.into());
    Value::Object(fields)
}

/// How the log names a request: by its method, and by its path with each id cut short.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    method: Method,
    route: String,
}

impl RequestLine {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        // An id may be escaped.
        Self { method, route: uploads::short_ids(&normalize(path)) }
    }

    /// Logs that the request was refused, and why.
    pub(crate) fn log_refusal(&self, status: StatusCode, code: &'static str) {
        let Self { method, route } = self;
        log::info!(method:% = method, route:% = route, status = status.as_u16(), code; "request_refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn the_servers_failures_say_nothing_of_their_cause() {
        let failures = [
            Failure::Upload(StoreError::unavailable("secret").into()),
            Failure::ViewFailed("secret".to_owned()),
            Failure::ViewStatus(StatusCode::OK),
        ];
        for failure in failures {
            assert!(failure.status().is_server_error());
            let fields = failure.fields().to_string();
            assert!(!fields.contains("secret") && !fields.contains("status"), "{fields}");
        }
        let request = RequestLine::new(Method::GET, "/");
        let response = Failure::Upload(StoreError::unavailable("").into()).into_response(&request);
        assert_eq!(response.headers()[RETRY_AFTER], "5");
    }
}
