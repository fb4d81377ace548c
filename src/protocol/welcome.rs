//! The answer to `GET /`: what the service is, and how to use it.

use http::{Response, StatusCode};

use crate::http::urls::Urls;
use crate::http::{ResponseBody, response};

pub(super) fn respond(urls: &Urls) -> Response<ResponseBody> {
    let text = format!(
        "Chunked, resumable file uploads, wire-compatible with drf-chunked-upload.\n\
         \n\
         A file at once:   curl -F file=@FILE -F md5=$(md5sum FILE | cut -c-32) {uploads}\n\
         In chunks:        PUT {uploads} with Content-Range: bytes 0-9999/30000, the next ones to the answer's url,\n\
         \x20                 then POST md5=… to that url.\n\
         Resume:           GET the url; the upload goes on at the answer's offset.\n\
         \n\
         GET openapi.json describes all of it for machines.\n",
        uploads = urls.uploads(),
    );
    response::full(StatusCode::OK, "text/plain; charset=utf-8", text.into_bytes())
}
