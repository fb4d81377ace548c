//! The service over HTTP. This module decides which protocol handles a request.
//!
//! Each protocol has a folder. Downloads, management and the description have a file each. [`crate::http`] has what
//! they share of HTTP.

mod context;
mod download;
mod drf;
mod manage;
mod openapi;
mod route;
mod setup;
mod welcome;

pub use setup::{SetupError, refuse};

use std::rc::Rc;

use http::{Method, Request, Response};

use crate::http::failure::{Failure, RequestLine};
use crate::http::target::Target;
use crate::http::urls::Urls;
use crate::http::{Outbound, RequestBody, ResponseBody, caching, cors, cross_site, lines, response};
use crate::identity::Identity;
use crate::settings::Settings;
use crate::store::Store;
use crate::uploads::{Clock, Room, Uploads};
use crate::view::{DefaultView, View};
use context::Context;
use route::Route;

/// The service, for one request.
///
/// ```
/// use bytes::Bytes;
/// use futures::stream::{self, StreamExt};
/// use http::{Request, StatusCode};
/// use spin_chunked_upload::protocol::Service;
/// use spin_chunked_upload::settings::Settings;
/// use spin_chunked_upload::store::MemoryStore;
/// use spin_chunked_upload::uploads::SystemClock;
///
/// let mut settings = Settings::default();
/// settings.max_bytes = Some(1_000_000);
/// let service = Service::new(settings, MemoryStore::default(), None, SystemClock);
///
/// let chunk = stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed_local();
/// let request = Request::put("http://localhost/uploads/?filename=greeting.txt")
///     .header("content-type", "text/plain")
///     .header("content-range", "bytes 0-4/10")
///     .body(chunk)
///     .unwrap();
/// let response = pollster::block_on(service.handle(request));
/// assert_eq!(response.status(), StatusCode::OK);
/// ```
pub struct Service<S, V = DefaultView> {
    settings: Settings,
    uploads: Uploads<S>,
    view: V,
    outbound: Option<Box<dyn Outbound>>,
}

impl<S: Store> Service<S> {
    /// The service with these settings. `records` is the store of the uploads' records. `blobs` is the store of their
    /// contents, if that is another store.
    pub fn new(settings: Settings, records: S, blobs: Option<S>, clock: impl Clock + 'static) -> Self {
        Self { settings, uploads: Uploads::new(records, blobs, clock), view: DefaultView, outbound: None }
    }
}

impl<S: Store, V: View> Service<S, V> {
    /// The service with another view.
    pub fn with_view<W: View>(self, view: W) -> Service<S, W> {
        Service { settings: self.settings, uploads: self.uploads, view, outbound: self.outbound }
    }

    /// The service in memory that other requests use, too.
    pub fn with_room(self, room: Room) -> Self {
        Self { uploads: self.uploads.with_room(room), ..self }
    }

    /// The service with a way to call other servers. The completion hook needs it.
    pub fn with_outbound(self, outbound: impl Outbound + 'static) -> Self {
        Self { outbound: Some(Box::new(outbound)), ..self }
    }

    /// Handles a request. Its URI is absolute, or it has a `Host` header.
    pub async fn handle(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let origins = self.settings.cors_origins.clone();
        cors::apply(&origins, request, |request| self.handle_allowed(request)).await
    }

    async fn handle_allowed(self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let method = request.method().clone();
        let line = RequestLine::new(method.clone(), request.uri().path());
        let handled = self.dispatch(request, &line).await;
        response::finish(handled.unwrap_or_else(|failure| failure.into_response(&line)), &method)
    }

    /// Who sends the request, if it is theirs: a page of another site may have made their browser send it.
    async fn identify(&self, request: &Request<RequestBody>, urls: &Urls) -> Result<Identity, Failure> {
        if self.settings.auth.is_ambient() {
            cross_site::check(request, &self.settings.cors_origins, &urls.origin()).await?;
        }
        Ok(self.settings.auth.identify(request.headers())?)
    }

    async fn dispatch(
        self,
        request: Request<RequestBody>,
        line: &RequestLine,
    ) -> Result<Response<ResponseBody>, Failure> {
        lines::check_single(request.headers())?;
        let target = Target::of(&request, self.settings.trust_forwarded)?;
        let urls = Urls::new(self.settings.public_url.as_deref(), &target)?;
        // A proxy may pass the path of `public_url` on. Spin's route is cut off once, and is not to be had twice.
        let prefix = if target.mount().is_empty() { urls.path() } else { "" };
        let route = Route::below(prefix, target.path());
        if matches!(route, Route::DeleteExpired) {
            return manage::delete_expired(&self.settings, &self.uploads, &request).await;
        }
        let identity = match route {
            // Everybody may read these, also a client that does not know yet how to log in.
            Route::Welcome | Route::OpenApi => Identity::Nobody,
            _ => self.identify(&request, &urls).await?,
        };
        let (request, body) = request.into_parts();
        let Self { settings, uploads, view, outbound } = self;
        let context = Rc::new(Context { settings, uploads, view, outbound, urls, identity, request });
        let reads = matches!(context.request.method, Method::GET | Method::HEAD);
        match route {
            Route::Uploads => Ok(drf::handle_uploads(&context, body, line).await),
            Route::Upload(id) => Ok(drf::handle_upload(&context, id, body, line).await),
            Route::Nothing | Route::DeleteExpired => Err(Failure::NotFound),
            _ if !reads => Err(context.method_error("GET, HEAD")),
            Route::Welcome => Ok(welcome::respond(&context.urls)),
            Route::OpenApi => Ok(openapi::respond(&context)),
            Route::File(paths, id) => {
                let file = download::download(&context, &paths, id).await?;
                Ok(caching::check_each_time(file, context.settings.auth.has_users()))
            }
        }
    }
}
