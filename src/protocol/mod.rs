//! The service over HTTP: which protocol answers a request, and what the protocols share.

mod body;
mod content_range;
mod download;
mod drf;
mod error;
mod form;
mod urls;
mod welcome;

pub use body::{BodyError, RequestBody, ResponseBody};
pub use error::{SetupError, refuse};

use http::{Method, Request, Response};
use uuid::Uuid;

use crate::settings::Settings;
use crate::store::Store;
use crate::uploads::{Attempt, Uploads};
use error::Error;
use urls::Urls;

/// What one request is handled with.
pub struct Service<S> {
    settings: Settings,
    uploads: Uploads<S>,
}

/// A request's place in the service.
enum Route {
    Welcome,
    Uploads,
    Upload(Uuid),
    /// A stored file, by the path it is served under.
    File(String),
}

impl<S: Store> Service<S> {
    /// The service with these settings, on a store for the uploads' records and one for their contents.
    pub fn new(settings: Settings, records: S, blobs: S, attempt: Attempt) -> Self {
        Self { settings, uploads: Uploads::new(records, blobs, attempt) }
    }

    /// Answers a request, whose URI is absolute (or has at least a `Host` header).
    pub async fn handle(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let method = request.method().clone();
        let response = match self.answer(request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
        body::fit_to_method(response, &method)
    }

    async fn answer(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        let urls = Urls::new(&self.settings, &request);
        let method = request.method().clone();
        match (Route::of(request.uri().path()), method) {
            (Route::Welcome, Method::GET | Method::HEAD) => Ok(welcome::answer(&urls)),
            (Route::Welcome, method) => Err(Error::Method { method, allow: "GET, HEAD" }),
            (Route::Uploads, method) => drf::answer_uploads(self, &urls, method, request).await,
            (Route::Upload(id), method) => drf::answer_upload(self, &urls, method, id, request).await,
            (Route::File(path), Method::GET | Method::HEAD) => download::answer(self, &path, request.headers()).await,
            (Route::File(_), method) => Err(Error::Method { method, allow: "GET, HEAD" }),
        }
    }
}

impl Route {
    fn of(path: &str) -> Self {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Self::Welcome;
        }
        if path == urls::UPLOADS {
            return Self::Uploads;
        }
        let id = path.strip_prefix(urls::UPLOADS).and_then(|rest| rest.strip_prefix('/')).and_then(urls::parse_id);
        id.map_or_else(|| Self::File(path.to_owned()), Self::Upload)
    }
}
