//! The service over HTTP: which protocol answers a request, and what the protocols share.

mod body;
mod checked_body;
mod content_range;
mod cors;
mod download;
mod drf;
mod error;
mod form;
mod manage;
mod multipart;
mod openapi;
mod paced_body;
mod urls;
mod welcome;

pub use body::{BodyError, RequestBody, ResponseBody};
pub use error::{SetupError, refuse};

use http::request::Parts;
use http::{Method, Request, Response};
use uuid::Uuid;

use crate::completion_hook::CompletionHook;
use crate::identity::Asking;
use crate::outbound::Outbound;
use crate::settings::Settings;
use crate::store::Store;
use crate::uploads::{self, Algorithm, Attempt, Upload, Uploads};
use crate::view::{ReadyMade, View, Visit};
use checked_body::CheckedBody;
use error::Error;
use form::{FileSink, Form, FormKind};
use urls::Urls;

/// What one request is handled with.
pub struct Service<S, V = ReadyMade> {
    settings: Settings,
    uploads: Uploads<S>,
    view: V,
    outbound: Option<Box<dyn Outbound>>,
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
struct Context<S, V> {
    settings: Settings,
    uploads: Uploads<S>,
    view: V,
    outbound: Option<Box<dyn Outbound>>,
    urls: Urls,
    asking: Asking,
    /// The request without its body.
    request: Parts,
}

/// A request's place in the service.
enum Route {
    Welcome,
    OpenApi,
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
        Self { settings, uploads: Uploads::new(records, blobs, attempt), view: ReadyMade, outbound: None }
    }
}

impl<S: Store, V: View> Service<S, V> {
    /// The service with a view of one's own.
    pub fn with_view<W: View>(self, view: W) -> Service<S, W> {
        Service { settings: self.settings, uploads: self.uploads, view, outbound: self.outbound }
    }

    /// The service with a way to other servers, which the completion hook needs.
    pub fn with_outbound(self, outbound: impl Outbound + 'static) -> Self {
        Self { outbound: Some(Box::new(outbound)), ..self }
    }

    /// Answers a request, whose URI is absolute (or has at least a `Host` header).
    pub async fn handle(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let origins = self.settings.cors_origins.clone();
        cors::answer(&origins, request, |request| self.answer_all(request)).await
    }

    async fn answer_all(self, request: Request<RequestBody>) -> Response<ResponseBody> {
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
        let asking = match route {
            // These are for everybody, and least of all for who has yet to learn how to log in.
            Route::Welcome | Route::OpenApi => Asking::Nobody,
            _ => self.settings.auth.identify(request.headers())?,
        };
        let (request, body) = request.into_parts();
        let Self { settings, uploads, view, outbound } = self;
        let context = Context { settings, uploads, view, outbound, urls, asking, request };
        context.answer(route, body).await
    }
}

impl<S: Store, V: View> Context<S, V> {
    async fn answer(&self, route: Route, body: RequestBody) -> Result<Response<ResponseBody>, Error> {
        let reads = matches!(self.request.method, Method::GET | Method::HEAD);
        match route {
            Route::Uploads => drf::answer_uploads(self, body).await,
            Route::Upload(id) => drf::answer_upload(self, id, body).await,
            Route::Nothing | Route::DeleteExpired => Err(Error::NothingHere),
            _ if !reads => Err(self.method_error("GET, HEAD")),
            Route::Welcome => Ok(welcome::answer(&self.urls)),
            Route::OpenApi => Ok(openapi::answer(self)),
            Route::File(path, id) => download::answer(self, &path, id).await,
        }
    }

    fn method_error(&self, allow: &'static str) -> Error {
        Error::Method { method: self.request.method.clone(), allow }
    }

    /// The request as a view sees it.
    fn visit(&self) -> Visit<'_> {
        Visit { request: &self.request, asking: &self.asking, settings: &self.settings }
    }

    /// The completion hook, where one is set.
    fn hook(&self) -> Option<CompletionHook<'_>> {
        let settings = self.settings.on_completion.as_ref()?;
        Some(CompletionHook { settings, outbound: self.outbound.as_deref() })
    }

    /// The upload with this id, if who is asking may know of it.
    async fn find(&self, id: Uuid) -> Result<Upload, uploads::Error> {
        let upload = self.uploads.find(id).await?;
        if self.may_see(&upload) { Ok(upload) } else { Err(uploads::Error::NotFound) }
    }

    /// Reads the request's form, its file into `sink`.
    async fn read_form(&self, body: RequestBody, may_be_raw: bool, sink: &mut impl FileSink) -> Result<Form, Error> {
        let body = CheckedBody::new(&self.request.headers, body, self.settings.max_chunk_bytes)?;
        if let Some(encoding) = body::content_encoding(&self.request.headers) {
            // Read to its end: who is still sending may not listen.
            body.finish().await?;
            return Err(Error::ContentEncoding(encoding));
        }
        let kind = FormKind { file_field: self.view.field_name(self.visit()), may_be_raw };
        Form::read(&self.request, body, kind, sink).await
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
        if path == openapi::PATH {
            return Self::OpenApi;
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
