//! Hosts that take only WASI 0.2 components, with `spin-sdk` 5.2. A fresh instance handles each request. Calls of
//! variables, stores and other servers block until they are done.

mod body;
#[cfg(feature = "component")]
mod component;
mod outbound;
mod store;
mod timer;

pub(super) use outbound::SpinOutbound;
pub use store::SpinStore;
use timer::sleep;

use futures::future::select;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};
use spin_sdk::variables;

use crate::http::linger::LINGER_TIME;
use crate::uploads::Room;
use crate::view::View;

/// Handles a request with this view. A component calls this in its `#[http_component]` function.
pub async fn serve<V: View>(view: V, request: IncomingRequest, response: ResponseOutparam) {
    match body::from_incoming(request) {
        Ok(request) => {
            let (answer, rest) = super::handle(view, request).await;
            body::send(answer, response).await;
            if let Some(rest) = rest {
                select(Box::pin(rest.read_past()), Box::pin(sleep(LINGER_TIME))).await;
            }
        }
        Err(error) => {
            log::error!(error:% = error; "request_unreadable");
            body::send(body::bad_request(), response).await;
        }
    }
}

/// Each request has an instance, and its memory, for itself.
pub(super) fn room() -> Room {
    Room::default()
}

/// A variable's value; `None` where the manifest leaves it out.
pub(super) async fn read_variable(name: &str) -> Result<Option<String>, variables::Error> {
    match variables::get(name) {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
