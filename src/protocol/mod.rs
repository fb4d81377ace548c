//! The service over HTTP: which protocol answers a request, and what the protocols share.

mod body;
mod checked_body;
mod content_range;
mod download;
mod drf;
mod error;
mod form;
mod manage;
mod paced_body;
mod urls;
mod welcome;

pub use body::{BodyError, RequestBody, ResponseBody};
pub use error::{SetupError, refuse};

use http::{Method, Request, Response};
use uuid::Uuid;

use crate::identity::Asking;
use crate::settings::Settings;
use crate::store::Store;
use crate::uploads::{self, Algorithm, Attempt, Upload, Uploads};
use checked_body::CheckedBody;
use error::Error;
use form::{FileSink, Form, FormKind};
use urls::Urls;

/// What one request is handled with.
pub struct Service<S> {
    settings: Settings,
    uploads: Uploads<S>,
}

/// An algorithm's name in the registry of RFC 9530, which `Content-Digest` and `Repr-Digest` use.
fn digest_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "md5",
        Algorithm::Sha1 => "sha",
        Algorithm::Sha256 => "sha-256",
        Algorithm::Sha512 => "sha-512",
    }
}

/// What the protocols answer one request with.
struct Context<S> {
    settings: Settings,
    uploads: Uploads<S>,
    urls: Urls,
    asking: Asking,
}

/// A request's place in the service.
enum Route {
    Welcome,
    DeleteExpired,
    Uploads,
    Upload(Uuid),
    /// A stored file: the path it is served under, and the id in that.
    File(String, Uuid),
    Nothing,
}

impl<S: Store> Service<S> {
    /// The service with these settings, on a store for the uploads' records and one for their contents, if that is
    /// another one.
    pub fn new(settings: Settings, records: S, blobs: Option<S>, attempt: Attempt) -> Self {
        Self { settings, uploads: Uploads::new(records, blobs, attempt) }
    }

    /// Answers a request, whose URI is absolute (or has at least a `Host` header).
    pub async fn handle(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = match self.answer(request).await {
            Ok(response) => response,
            Err(error) => error.into_response(&format!("{method} {path}")),
        };
        body::fit_to_method(response, &method)
    }

    async fn answer(self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Error> {
        let urls = Urls::new(&self.settings, &request);
        let route = Route::of(request.uri().path());
        if matches!(route, Route::DeleteExpired) {
            return manage::delete_expired(&self.settings, &self.uploads, &request).await;
        }
        let asking = self.settings.auth.identify(request.headers())?;
        let context = Context { settings: self.settings, uploads: self.uploads, urls, asking };
        let method = request.method().clone();
        match (route, method) {
            (Route::Welcome, Method::GET | Method::HEAD) => Ok(welcome::answer(&context.urls)),
            (Route::Welcome, method) => Err(Error::Method { method, allow: "GET, HEAD" }),
            (Route::Uploads, method) => drf::answer_uploads(&context, method, request).await,
            (Route::Upload(id), method) => drf::answer_upload(&context, method, id, request).await,
            (Route::File(path, id), Method::GET | Method::HEAD) => {
                download::answer(&context, &path, id, request.headers()).await
            }
            (Route::File(..), method) => Err(Error::Method { method, allow: "GET, HEAD" }),
            (Route::Nothing | Route::DeleteExpired, _) => Err(Error::NothingHere),
        }
    }
}

impl<S: Store> Context<S> {
    /// The upload with this id, if who is asking may know of it.
    async fn find(&self, id: Uuid) -> Result<Upload, uploads::Error> {
        let upload = self.uploads.find(id).await?;
        if self.may_see(&upload) { Ok(upload) } else { Err(uploads::Error::NotFound) }
    }

    /// Reads a request's form, its file into `sink`.
    async fn read_form(
        &self,
        request: Request<RequestBody>,
        may_be_raw: bool,
        sink: &mut impl FileSink,
    ) -> Result<Form, Error> {
        let (head, body) = request.into_parts();
        let body = CheckedBody::new(&head.headers, body, self.settings.max_chunk_bytes)?;
        let kind = FormKind { file_field: &self.settings.field_name, may_be_raw };
        Form::read(&head, body, kind, sink).await
    }

    fn may_see(&self, upload: &Upload) -> bool {
        match &self.asking {
            Asking::Anyone => true,
            Asking::Nobody => false,
            Asking::User(user) => !self.settings.user_restricted || upload.user.as_ref() == Some(user),
        }
    }
}

impl Route {
    fn of(path: &str) -> Self {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Self::Welcome;
        }
        if path == manage::DELETE_EXPIRED {
            return Self::DeleteExpired;
        }
        if path == urls::UPLOADS {
            return Self::Uploads;
        }
        if let Some(id) = path.strip_prefix(urls::UPLOADS).and_then(|rest| urls::parse_id(rest.strip_prefix('/')?)) {
            return Self::Upload(id);
        }
        match urls::parse_file_path(path) {
            Some((path, id)) => Self::File(path, id),
            None => Self::Nothing,
        }
    }
}
