//! Spin behind the service: the only place that names the SDK (WASI 0.3, `spin-sdk` 7).

mod body;
mod gate;
mod store;
mod variables;

pub use body::Body;

use http::Response;

use crate::protocol::{Service, SetupError, refuse};
use crate::uploads::Attempt;
use store::SpinStore;

/// Handles a request with the application's variables and stores.
pub async fn serve(request: spin_sdk::http::Request) -> Response<Body> {
    let response = match service().await {
        Ok(service) => service.handle(request.map(body::from_incoming)).await,
        Err(error) => refuse(error),
    };
    response.map(Body::from)
}

async fn service() -> Result<Service<SpinStore>, SetupError> {
    let settings = variables::read_settings().await?;
    let records = SpinStore::open("store", &settings.store).await?;
    let blobs = if settings.blob_store == settings.store {
        None
    } else {
        Some(SpinStore::open("blob_store", &settings.blob_store).await?)
    };
    Ok(Service::new(settings, records, blobs, Attempt::now()))
}
