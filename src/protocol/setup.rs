//! The answer to a request when the service can't be set up.

use http::{Request, Response};
use thiserror::Error;

use crate::http::failure::{Failure, RequestLine};
use crate::http::{RequestBody, ResponseBody, cors, response};
use crate::settings::{CorsOrigins, SettingError};
use crate::store::StoreError;

/// Why no request can be handled at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A variable can't be read.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A store, or the provider of the variables, is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The answer to a request that can't be handled. The log names the variable to correct. The answer does not, because
/// strangers see it. Scripts of these origins can read it.
pub async fn refuse(request: Request<RequestBody>, origins: &CorsOrigins, error: SetupError) -> Response<ResponseBody> {
    let failure = match error {
        SetupError::Setting(error) => Failure::Setting(error),
        SetupError::Store(error) => Failure::Upload(error.into()),
    };
    cors::apply(origins, request, |request| async move {
        let line = RequestLine::new(request.method().clone(), request.uri().path());
        response::finish(failure.into_response(&line), request.method())
    })
    .await
}
