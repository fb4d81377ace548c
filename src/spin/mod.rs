//! The service on Spin: the only module that uses the SDK.
//!
//! Each kind of hosts has a module. `wasip3` is for hosts that take WASI 0.3 components (Spin 4.1; the default).
//! `wasip2` is for older hosts, under the feature of that name. Each module reads a variable, opens a store and sends a
//! request, and has `serve`, which a component calls with its [`View`].

#[cfg(all(feature = "wasip2", feature = "wasip3"))]
compile_error!("choose one of the features wasip2 and wasip3: a component is for one kind of hosts");
#[cfg(not(any(feature = "wasip2", feature = "wasip3")))]
compile_error!("choose one of the features wasip2 and wasip3");

mod json_log;
#[cfg(feature = "wasip2")]
mod wasip2;
#[cfg(feature = "wasip3")]
mod wasip3;

#[cfg(feature = "wasip2")]
pub use wasip2::{SpinStore, serve};
#[cfg(feature = "wasip3")]
pub use wasip3::{Body, SpinStore, serve};

#[cfg(feature = "wasip2")]
use wasip2::{SpinOutbound, read_variable, room};
#[cfg(feature = "wasip3")]
use wasip3::{SpinOutbound, read_variable, room};

use std::collections::HashMap;

use futures::future::join_all;
use http::header::EXPECT;
use http::{Request, Response};

use crate::http::linger::{Rest, keep_rest};
use crate::http::{RequestBody, ResponseBody};
use crate::protocol::{Service, SetupError, refuse};
use crate::settings::{CorsOrigins, SettingError, Settings, VARIABLES, Variable, variable};
use crate::store::{StoreError, StoreErrorKind};
use crate::uploads::SystemClock;
use crate::view::View;

/// Handles a request with the application's variables and stores. Also returns what is left of its body, if the client may
/// still send it: the body is then to be read past after the response.
async fn handle<V: View>(view: V, request: Request<RequestBody>) -> (Response<ResponseBody>, Option<Rest>) {
    let (head, body) = request.into_parts();
    let (body, rest) = keep_rest(body);
    // A client that waits for `100 (Continue)` sends no body after a refusal. A read of that body would ask the client to
    // send it (RFC 9110, 10.1.1).
    let waits = head.headers.contains_key(EXPECT);
    let response = answer(view, Request::from_parts(head, body)).await;
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    (response, (is_refusal && !waits).then_some(rest))
}

async fn answer<V: View>(view: V, request: Request<RequestBody>) -> Response<ResponseBody> {
    json_log::install();
    let variables = match read_variables().await {
        Ok(variables) => variables,
        Err(error) => return refuse(request, &CorsOrigins::None, error.into()).await,
    };
    let value_of = |name: &str| variables.get(name).cloned().flatten();
    match service(value_of).await {
        Ok(service) => service.with_view(view).handle(request).await,
        Err(error) => refuse(request, &CorsOrigins::read(value_of), error).await,
    }
}

async fn service(value_of: impl Fn(&str) -> Option<String>) -> Result<Service<SpinStore>, SetupError> {
    let settings = Settings::read(value_of)?;
    let records = open(&variable::STORE, &settings.store).await?;
    let blobs = if settings.blob_store == settings.store {
        None
    } else {
        Some(open(&variable::BLOB_STORE, &settings.blob_store).await?)
    };
    Ok(Service::new(settings, records, blobs, SystemClock).with_outbound(SpinOutbound).with_room(room()))
}

/// Reads all variables at once, because each may come from a server of its own.
async fn read_variables() -> Result<HashMap<&'static str, Option<String>>, StoreError> {
    let read = async |variable: &'static Variable| match read_variable(variable.name).await {
        Ok(value) => Ok((variable.name, value)),
        // A failure of the variables' provider may pass, like a store's.
        Err(error) => {
            let cause = anyhow::Error::new(error).context(format!("cannot read the variable {:?}", variable.name));
            Err(StoreError::new(StoreErrorKind::Unavailable, cause))
        }
    };
    join_all(VARIABLES.iter().map(read)).await.into_iter().collect()
}

/// Opens the store that this variable names.
async fn open(variable: &Variable, label: &str) -> Result<SpinStore, SetupError> {
    match SpinStore::open(label).await? {
        Some(store) => Ok(store),
        None => Err(SettingError::new(variable).into()),
    }
}
