//! A client of any of the protocols. It keeps one connection alive, and sends bytes from memory.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http::{HeaderMap, Method, Request, Response};
use ureq::{Agent, Body, SendBody};

use crate::contender::{Contender, Protocol};
use crate::content::Content;
use crate::server::Server;

const BOUNDARY: &str = "of-the-benchmark";
/// The token of a user in tests/peer/peer.py. This project's default settings need no token.
const TOKEN: &str = "Token token1";

/// A client of one server.
pub struct Client {
    agent: Agent,
    base: String,
    contender: Contender,
    /// Where the server keeps its data.
    folder: PathBuf,
}

/// An upload, in progress or complete.
pub struct Upload {
    /// The URL of the upload; empty before the upload is begun.
    url: String,
    /// The URL of the file; empty before the upload is complete.
    file: String,
}

/// A request's body from memory.
struct Payload<'a> {
    head: Vec<u8>,
    content: &'a Content,
    range: Range<u64>,
    tail: Vec<u8>,
}

impl Client {
    /// A client of this server.
    pub fn new(contender: Contender, server: &Server) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        let folder = server.folder.path().to_path_buf();
        Self { agent, base: format!("http://{}", server.address), contender, folder }
    }

    /// An upload that isn't begun.
    pub fn upload(&self) -> Upload {
        Upload { url: String::new(), file: String::new() }
    }

    /// Sends the next bytes; the first ones begin the upload.
    pub fn send(&self, upload: &mut Upload, content: &Content, range: Range<u64>) -> Result<()> {
        match self.contender.protocol() {
            Protocol::Chunked => self.send_chunk(upload, content, range),
            Protocol::Tus => self.send_patch(upload, content, range),
            Protocol::Bare(path) => {
                let len = range.end - range.start;
                let answer = self.request(Method::PUT, path, &[], &Payload::bare(content, range))?;
                ensure!(text(answer)?.parse() == Ok(len), "not all of the bytes arrived");
                Ok(())
            }
        }
    }

    /// Completes the upload, if the protocol has a request for this.
    pub fn complete(&self, upload: &mut Upload, content: &Content) -> Result<()> {
        if self.contender.protocol() != Protocol::Chunked {
            upload.file.clone_from(&upload.url);
            return Ok(());
        }
        let form = format!("md5={}", content.md5);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.request(Method::POST, &upload.url, &headers, &Payload::text(form, content))?;
        upload.file = json(answer)?["file"].as_str().context("no file")?.to_owned();
        Ok(())
    }

    /// Uploads a whole file by one request.
    pub fn send_whole(&self, content: &Content) -> Result<Upload> {
        let mut upload = self.upload();
        match self.contender.protocol() {
            Protocol::Chunked => {
                let payload =
                    Payload::multipart(&[("filename", "file.bin"), ("md5", &content.md5)], content, 0..content.len);
                let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
                let answer = self.request(Method::POST, "/uploads/", &[("content-type", &content_type)], &payload)?;
                upload.file = json(answer)?["file"].as_str().context("no file")?.to_owned();
            }
            Protocol::Tus => {
                upload.url = self.create(content, true)?;
                upload.file.clone_from(&upload.url);
            }
            Protocol::Bare(_) => self.send(&mut upload, content, 0..content.len)?,
        }
        Ok(upload)
    }

    /// Compares the stored file with the content that was sent. The two limits serve no file to compare.
    pub fn verify(&self, upload: &Upload, content: &Content) -> Result<()> {
        let name = upload.file.rsplit('/').next().unwrap_or_default();
        match self.contender {
            Contender::Store | Contender::Drop => Ok(()),
            // drf-chunked-upload does not serve its files, so the file is read from the disk.
            Contender::Drf => {
                let path = upload.file.strip_prefix(&self.base).unwrap_or(&upload.file).trim_start_matches('/');
                compare_file(&self.folder.join("media").join(path), content)
            }
            // On Node 20, @tus/server crashes when it serves many small files, so the file is read from the disk.
            Contender::TusServer => compare_file(&self.folder.join(name), content),
            _ => self.download(upload, content).map(drop),
        }
    }

    /// Downloads the file and compares it; `None` if the contender does not serve files.
    pub fn download(&self, upload: &Upload, content: &Content) -> Result<Option<Duration>> {
        if matches!(self.contender, Contender::Store | Contender::Drop | Contender::Drf) {
            return Ok(None);
        }
        let began = Instant::now();
        let get = || self.request(Method::GET, &upload.file, &[], &Payload::text(String::new(), content));
        // The server may have closed the idle connection, so a failed request is sent once more.
        let answer = get().or_else(|_| get())?;
        compare(answer.into_body().into_with_config().limit(u64::MAX).reader(), content)?;
        Ok(Some(began.elapsed()))
    }

    fn send_chunk(&self, upload: &mut Upload, content: &Content, range: Range<u64>) -> Result<()> {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, content.len);
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let payload = Payload::multipart(&[("filename", "file.bin")], content, range);
        let path = if upload.url.is_empty() { "/uploads/" } else { &upload.url };
        let headers = [("content-type", content_type.as_str()), ("content-range", &content_range)];
        let answer = json(self.request(Method::PUT, path, &headers, &payload)?)?;
        upload.url = answer["url"].as_str().context("no url")?.to_owned();
        Ok(())
    }

    fn send_patch(&self, upload: &mut Upload, content: &Content, range: Range<u64>) -> Result<()> {
        if upload.url.is_empty() {
            upload.url = self.create(content, false)?;
        }
        let (offset, end) = (range.start.to_string(), range.end);
        let headers = [
            ("tus-resumable", "1.0.0"),
            ("upload-offset", offset.as_str()),
            ("content-type", "application/offset+octet-stream"),
        ];
        let answer = self.request(Method::PATCH, &upload.url, &headers, &Payload::bare(content, range))?;
        ensure!(header(answer.headers(), "upload-offset")? == end.to_string(), "the offset is another one");
        Ok(())
    }

    /// Creates a tus upload, with all of its bytes or none.
    fn create(&self, content: &Content, with_upload: bool) -> Result<String> {
        let len = content.len.to_string();
        let mut headers = vec![("tus-resumable", "1.0.0"), ("upload-length", len.as_str())];
        if with_upload {
            headers.push(("content-type", "application/offset+octet-stream"));
        }
        let range = if with_upload { 0..content.len } else { 0..0 };
        let answer = self.request(Method::POST, "/files/", &headers, &Payload::bare(content, range))?;
        ensure!(answer.status() == 201, "not created: {}", answer.status());
        header(answer.headers(), "location")
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        payload: &Payload<'_>,
    ) -> Result<Response<Body>> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let has_body = method != Method::GET;
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if self.contender == Contender::Drf {
            request = request.header("authorization", TOKEN);
        }
        let answer = if has_body {
            let mut reader = payload.reader();
            self.agent.run(request.header("content-length", payload.len()).body(SendBody::from_reader(&mut reader))?)?
        } else {
            self.agent.run(request.body(())?)?
        };
        if !answer.status().is_success() {
            bail!("{url} answered {}: {}", answer.status(), text(answer)?);
        }
        Ok(answer)
    }
}

fn text(mut answer: Response<Body>) -> Result<String> {
    Ok(answer.body_mut().read_to_string()?)
}

fn json(answer: Response<Body>) -> Result<serde_json::Value> {
    Ok(serde_json::from_str(&text(answer)?)?)
}

fn header(headers: &HeaderMap, name: &str) -> Result<String> {
    Ok(headers.get(name).with_context(|| format!("no {name}"))?.to_str()?.to_owned())
}

fn compare_file(path: &Path, content: &Content) -> Result<()> {
    compare(std::fs::File::open(path).with_context(|| format!("no file {}", path.display()))?, content)
}

/// Fails if the bytes differ from the content.
fn compare(mut found: impl Read, content: &Content) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut at = 0;
    loop {
        let len = found.read(&mut buffer)?;
        let mut rest = &buffer[..len];
        for piece in content.pieces(at..at + len as u64) {
            ensure!(rest.starts_with(piece), "the file differs after byte {at}");
            rest = &rest[piece.len()..];
        }
        ensure!(rest.is_empty(), "the file is too long");
        at += len as u64;
        if len == 0 {
            ensure!(at == content.len, "the file has {at} bytes, not {}", content.len);
            return Ok(());
        }
    }
}

impl<'a> Payload<'a> {
    fn bare(content: &'a Content, range: Range<u64>) -> Self {
        Self { head: Vec::new(), content, range, tail: Vec::new() }
    }

    fn text(text: String, content: &'a Content) -> Self {
        Self { head: text.into(), content, range: 0..0, tail: Vec::new() }
    }

    fn multipart(fields: &[(&str, &str)], content: &'a Content, range: Range<u64>) -> Self {
        let mut head = String::new();
        for (name, value) in fields {
            head += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        head += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file.bin\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        Self { head: head.into(), content, range, tail: format!("\r\n--{BOUNDARY}--\r\n").into() }
    }

    fn len(&self) -> u64 {
        self.head.len() as u64 + self.range.end - self.range.start + self.tail.len() as u64
    }

    fn reader(&self) -> impl Read {
        let nothing: Box<dyn Read> = Box::new(std::io::empty());
        let pieces = self.content.pieces(self.range.clone());
        let bytes = pieces.fold(nothing, |before, piece| Box::new(before.chain(Cursor::new(piece))));
        Cursor::new(self.head.as_slice()).chain(bytes).chain(Cursor::new(self.tail.as_slice()))
    }
}
