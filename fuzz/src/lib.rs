//! Code that the fuzz targets share: the service on a store in memory, and requests to it.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use spin_chunked_upload::http::ResponseBody;
use spin_chunked_upload::protocol::Service;
use spin_chunked_upload::settings::Settings;
use spin_chunked_upload::store::{MemoryStore, Store};
use spin_chunked_upload::uploads::SystemClock;

/// The secret of the management requests.
pub const MANAGE_TOKEN: &str = "of-the-fuzzer";

/// The secret of the proxy that names the only user.
const PROXY_SECRET: &str = "of-the-proxy";

/// Small, so that a chunk of a few bytes has several segments.
const SEGMENT_SIZE: &str = "7";

/// A service on its own store.
#[derive(Clone, Default)]
pub struct World {
    /// The store. Nothing else outlives a request.
    pub store: MemoryStore,
}

/// A whole response.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `None` if it broke off.
    pub body: Option<Vec<u8>>,
}

impl World {
    /// A service whose store has these keys and values.
    pub fn with(values: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let world = Self::default();
        for (key, value) in values {
            world.put(&key, value);
        }
        world
    }

    /// Puts a value into the store.
    pub fn put(&self, key: &str, value: Bytes) {
        pollster::block_on(self.store.set(key, value)).expect("memory takes all");
    }

    /// Sends a request with a body in these frames.
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &[u8])], body: Vec<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://localhost{path}"));
        request = request.header("x-remote-user", "fuzzer").header("x-auth-secret", PROXY_SECRET);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = stream::iter(body.into_iter().map(Ok)).boxed_local();
        let request = request.body(body).expect("the targets send only what HTTP can");
        pollster::block_on(async {
            let service = Service::new(settings(), self.store.clone(), None, SystemClock);
            let (head, body) = service.handle(request).await.into_parts();
            Answer { status: head.status, headers: head.headers, body: read(body).await }
        })
    }

    /// Sends a request without a body.
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new())
    }

    /// Sends these bytes as a chunk. They are the whole body of the request.
    pub fn put_chunk(&self, path: &str, content_range: &[u8], bytes: &[u8]) -> Answer {
        let headers = [("content-type", &b"application/octet-stream"[..]), ("content-range", content_range)];
        self.send(Method::PUT, path, &headers, vec![Bytes::copy_from_slice(bytes)])
    }

    /// Completes an upload with this md5.
    pub fn complete(&self, path: &str, md5: &str) -> Answer {
        let headers = [("content-type", &b"application/x-www-form-urlencoded"[..])];
        self.send(Method::POST, path, &headers, vec![Bytes::from(format!("md5={md5}"))])
    }
}

impl Answer {
    /// Fails unless the response has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails unless the status is a success or an error of the client (4xx).
    #[track_caller]
    pub fn expect_no_failure(self) -> Self {
        assert!(self.status.is_success() || self.status.is_client_error(), "{} {}", self.status, self.text());
        self
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_deref().unwrap_or_default()).expect("JSON")
    }

    /// The path of a URL in the body.
    pub fn path(&self, field: &str) -> String {
        let url = self.json()[field].as_str().expect("a URL").to_owned();
        url.strip_prefix("http://localhost").expect("this service's").to_owned()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.body.as_deref().unwrap_or_default()).into_owned()
    }
}

fn settings() -> Settings {
    let value = |name: &str| match name {
        "segment_size" => Some(SEGMENT_SIZE.to_owned()),
        "manage_token" => Some(MANAGE_TOKEN.to_owned()),
        // The user sees any upload, whoever its record says has begun it.
        "user_restricted" => Some("false".to_owned()),
        "auth" => Some("header".to_owned()),
        "auth_header_secret" => Some(PROXY_SECRET.to_owned()),
        _ => None,
    };
    Settings::read(value).unwrap_or_else(|error| panic!("{error}"))
}

async fn read(body: ResponseBody) -> Option<Vec<u8>> {
    match body {
        ResponseBody::Full(bytes) => Some(bytes.to_vec()),
        ResponseBody::Stream(mut bytes) => {
            let mut whole = Vec::new();
            while let Some(item) = bytes.next().await {
                whole.extend_from_slice(&item.ok()?);
            }
            Some(whole)
        }
    }
}

/// Splits the bytes into frames of these lengths. The last frame is the rest.
pub fn pieces(bytes: &[u8], lengths: &[u8]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut pieces: Vec<Bytes> =
        lengths.iter().map(|length| rest.split_to(rest.len().min(usize::from(*length)))).collect();
    pieces.push(rest);
    pieces
}
