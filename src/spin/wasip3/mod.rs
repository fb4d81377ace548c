//! Hosts that take WASI 0.3 components, with `spin-sdk` 7.

mod body;
#[cfg(feature = "component")]
mod component;
mod gate;
mod memory;
mod outbound;
mod store;

pub use body::Body;
pub(super) use memory::room;
pub(super) use outbound::SpinOutbound;
pub use store::SpinStore;

use futures::future::select;
use http::Response;
use spin_sdk::http::Request;
use spin_sdk::time::sleep;
use spin_sdk::variables;

use crate::http::linger::LINGER_TIME;
use crate::view::View;

/// Handles a request with this view. A component calls this in its `#[http_service]` function.
pub async fn serve<V: View>(view: V, request: Request) -> Response<Body> {
    let (response, rest) = super::handle(view, request.map(body::from_incoming)).await;
    if let Some(rest) = rest {
        wit_bindgen::spawn(async move {
            select(Box::pin(rest.read_past()), Box::pin(sleep(LINGER_TIME))).await;
        });
    }
    response.map(Body::from)
}

/// A variable's value; `None` where the manifest leaves it out.
pub(super) async fn read_variable(name: &str) -> Result<Option<String>, variables::Error> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
