//! What every protocol needs of HTTP: bodies, digests, URLs, CORS, and failures in no protocol's words.
//!
//! Nothing here knows a protocol. What is public stands between the service and a server: the bodies of requests and
//! responses, and the port for requests of the service's own.

mod body;
pub(crate) mod checked_body;
pub(crate) mod cors;
pub(crate) mod digest;
pub(crate) mod failure;
// Only components have a server behind them.
#[cfg(target_family = "wasm")]
pub(crate) mod linger;
mod outbound;
pub(crate) mod response;
pub(crate) mod urls;

pub(crate) use body::content_encoding;
pub use body::{BodyError, RequestBody, ResponseBody};
pub use outbound::{Limits, Outbound, OutboundError};
