//! The answer to a request when the service can't be set up.

use http::{Method, Response};
use thiserror::Error;

use crate::http::ResponseBody;
use crate::http::failure::{Failure, RequestLine};
use crate::settings::SettingError;
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

/// The answer to a request that can't be handled. If a variable is the reason, the answer names the variable.
pub fn refuse(method: Method, path: &str, error: SetupError) -> Response<ResponseBody> {
    let failure = match error {
        SetupError::Setting(error) => Failure::Setting(error),
        SetupError::Store(error) => Failure::Upload(error.into()),
    };
    failure.into_response(&RequestLine::new(method, path))
}
