//! An HTTP client with the requests and the checks that tests need.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use ureq::Agent;

use super::data;

/// Long enough for the slowest machine. A request that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    address: String,
    /// What each request has besides its own headers.
    headers: Vec<(String, String)>,
}

/// A server's response.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// A header's text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The text under `key` of the JSON body.
    pub fn text(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap_or_else(|| panic!("no text {key}: {self:?}")).to_owned()
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    /// Fails unless the status and the JSON body are these. The body may leave out the code of a fault, because
    /// `each_fault_has_a_code` in tests/errors.rs checks the codes.
    #[track_caller]
    pub fn expect_json(self, status: u16, body: Value) {
        let reply = self.expect(status);
        assert_eq!(reply.header("content-type"), "application/json");
        let mut json = reply.json();
        if let (Some(fields), true) = (json.as_object_mut(), status >= 400 && body.get("code").is_none()) {
            fields.remove("code");
        }
        assert_eq!(json, body);
    }

    /// The code of a fault. It must be the last field.
    #[track_caller]
    pub fn code(&self) -> String {
        let (name, code) =
            self.json().as_object().and_then(|fields| fields.clone().into_iter().next_back()).expect("fields");
        assert_eq!(name, "code");
        code.as_str().expect("a text").to_owned()
    }
}

/// The path of an absolute URL.
pub fn path_of(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).expect("an absolute URL"))
}

/// A multipart form that a test builds.
#[derive(Default)]
pub struct Form {
    body: Vec<u8>,
}

const BOUNDARY: &str = "----tests-7MA4YWxkTrZu0gW";

impl Form {
    /// A form without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    /// Adds a file.
    pub fn file(self, name: &str, filename: &str, bytes: &[u8]) -> Self {
        self.part(&format!("name=\"{name}\"; filename=\"{filename}\""), bytes)
    }

    fn part(mut self, disposition: &str, bytes: &[u8]) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// The `Content-Type` header of a form.
    pub fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// The whole body.
    pub fn into_body(mut self) -> Vec<u8> {
        self.body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.body
    }
}

impl Client {
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .allow_non_standard_methods(true)
            .build();
        Self { agent: config.into(), address: address.to_owned(), headers: Vec::new() }
    }

    /// The same client, each of whose requests has these headers, too.
    pub fn with_headers(mut self, headers: &[(&str, &str)]) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// Host and port of the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The absolute URL of a path. An absolute URL stays unchanged.
    pub fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.address) }
    }

    /// Sends a request.
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_send(method, path, headers, body).expect("an answer")
    }

    /// Sends a request to a server that may be gone. Returns the whole response or an error.
    pub fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, ureq::Error> {
        let mut request = http::Request::builder().method(method).uri(self.url(path));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            request = request.header(name, value);
        }
        let (head, mut body) = self.agent.run(request.body(body)?)?.into_parts();
        let body = body.with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, headers, &[])
    }

    pub fn head(&self, path: &str) -> Reply {
        self.send(Method::HEAD, path, &[], &[])
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], &[])
    }

    /// Sends a multipart form.
    pub fn send_form(&self, method: Method, path: &str, headers: &[(&str, &str)], form: Form) -> Reply {
        let content_type = Form::content_type();
        let headers: Vec<_> = headers.iter().copied().chain([("Content-Type", content_type.as_str())]).collect();
        self.send(method, path, &headers, &form.into_body())
    }

    /// Sends a form with a `Content-Range`.
    pub fn put_form(&self, path: &str, range: &str, form: Form) -> Reply {
        self.send_form(Method::PUT, path, &[("Content-Range", range)], form)
    }

    /// Sends the bytes `from..to` of the file as a chunk, as drf-chunked-upload's clients do.
    pub fn put_chunk(&self, path: &str, file: &[u8], from: usize, to: usize) -> Reply {
        let range = format!("bytes {from}-{}/{}", to - 1, file.len());
        self.put_form(path, &range, Form::new().field("filename", "f.bin").file("file", "blob", &file[from..to]))
    }

    /// Begins an upload with the first `to` bytes of the file, and returns its URL.
    pub fn begin(&self, file: &[u8], to: usize) -> String {
        self.put_chunk("/uploads/", file, 0, to).expect(200).text("url")
    }

    /// Completes an upload with this md5.
    pub fn complete(&self, url: &str, md5: &str) -> Reply {
        let body = format!("md5={md5}");
        self.send(Method::POST, url, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    /// Uploads a whole file at once, under this name.
    pub fn upload_whole(&self, filename: &str, file: &[u8]) -> Reply {
        let form = Form::new().field("filename", filename).field("md5", &data::md5(file)).file("file", "blob", file);
        self.send_form(Method::POST, "/uploads/", &[], form)
    }

    /// Sends these bytes on a new connection, which stays open.
    pub fn send_raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.write_all(bytes).expect("the bytes go out");
        stream
    }

    /// Sends these bytes as a whole request, and reads the response until the server closes the connection.
    pub fn exchange_raw(&self, bytes: &[u8]) -> String {
        let mut answer = Vec::new();
        self.send_raw(bytes).read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }
}
