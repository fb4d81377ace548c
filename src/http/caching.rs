//! What caches may keep of an answer (`Cache-Control`, RFC 9111, 5.2.2).
//!
//! An answer that says nothing may be kept as long as a cache sees fit. An offset from a cache is a wrong one, and a list
//! or a private file from a shared cache is somebody else's.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response};

/// Forbids caches to keep the answer, unless it says itself what they may do.
pub(crate) fn forbid<B>(mut response: Response<B>) -> Response<B> {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets caches keep a file, and has them ask each time whether it is still there: it never changes, but may be deleted.
///
/// With users, only a user's own cache may keep it. Without users, everybody with the URL may read the file, so a shared
/// cache may keep it, too.
pub(crate) fn check_each_time<B>(mut response: Response<B>, is_private: bool) -> Response<B> {
    let value = if is_private { "private, no-cache" } else { "no-cache" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(value));
    response
}
