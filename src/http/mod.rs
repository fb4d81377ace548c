//! What every protocol needs of HTTP: bodies, digests, URLs, caching, CORS, and failures that belong to no protocol.
//!
//! Nothing here knows a protocol. The public items are the interface between the service and a server: the bodies of
//! requests and responses, and the port for the service's own requests.

mod body;
pub(crate) mod caching;
pub(crate) mod checked_body;
pub(crate) mod conditions;
pub(crate) mod cors;
pub(crate) mod cross_site;
pub(crate) mod digest;
pub(crate) mod failure;
mod forwarded;
pub(crate) mod lines;
// Only a component runs behind a server.
#[cfg(target_family = "wasm")]
pub(crate) mod linger;
mod outbound;
pub(crate) mod path;
pub(crate) mod response;
pub(crate) mod target;
pub(crate) mod urls;

pub(crate) use body::content_length;
pub use body::{BodyError, RequestBody, ResponseBody};
pub use outbound::{Limits, Outbound, OutboundError};
