//! Spin behind the service: the only place that names the SDK.
//!
//! Two kinds of hosts, and one module for each: `wasip3` for those that take WASI 0.3 components (Spin 4.1; the default),
//! `wasip2` for older ones, under the feature of that name. Each has the same few things: reading a variable, opening
//! a store, sending a request, and `serve`, which a component calls with its [`View`].

#[cfg(all(feature = "wasip2", feature = "wasip3"))]
compile_error!("choose one of the features wasip2 and wasip3: a component is for one kind of hosts");
#[cfg(not(any(feature = "wasip2", feature = "wasip3")))]
compile_error!("choose one of the features wasip2 and wasip3");

#[cfg(feature = "wasip2")]
mod wasip2;
#[cfg(feature = "wasip3")]
mod wasip3;

#[cfg(feature = "wasip2")]
pub use wasip2::serve;
#[cfg(feature = "wasip3")]
pub use wasip3::{Body, serve};

#[cfg(feature = "wasip2")]
use wasip2::{SpinOutbound, SpinStore, read_variable};
#[cfg(feature = "wasip3")]
use wasip3::{SpinOutbound, SpinStore, read_variable};

use std::collections::HashMap;

use futures::future::join_all;
use http::{Request, Response};

use crate::protocol::{RequestBody, ResponseBody, Service, SetupError, refuse};
use crate::settings::{SettingError, Settings};
use crate::store::StoreError;
use crate::uploads::Attempt;
use crate::view::View;

/// Answers a request with the application's variables and stores.
async fn answer<V: View>(view: V, request: Request<RequestBody>) -> Response<ResponseBody> {
    match service().await {
        Ok(service) => service.with_view(view).handle(request).await,
        Err(error) => refuse(error),
    }
}

async fn service() -> Result<Service<SpinStore>, SetupError> {
    let settings = read_settings().await?;
    let records = open("store", &settings.store).await?;
    let blobs = if settings.blob_store == settings.store {
        None
    } else {
        Some(open("blob_store", &settings.blob_store).await?)
    };
    Ok(Service::new(settings, records, blobs, Attempt::now()).with_outbound(SpinOutbound))
}

/// Reads all variables at once, since each may come from a server of its own.
async fn read_settings() -> Result<Settings, SetupError> {
    let read = async |name| match read_variable(name).await {
        Ok(value) => Ok((name, value)),
        // The provider's failure may pass, like a store's.
        Err(error) => Err(StoreError::unavailable(format!("cannot read the variable {name:?}: {error}"))),
    };
    let values = join_all(Settings::NAMES.map(read)).await;
    let values = values.into_iter().collect::<Result<HashMap<_, _>, _>>()?;
    Ok(Settings::read(|name| values.get(name).cloned().flatten())?)
}

/// Opens the store that the variable `variable` names.
async fn open(variable: &'static str, label: &str) -> Result<SpinStore, SetupError> {
    match SpinStore::open(label).await? {
        Some(store) => Ok(store),
        None => Err(SettingError::new(variable, "one of the component's key_value_stores in spin.toml").into()),
    }
}
