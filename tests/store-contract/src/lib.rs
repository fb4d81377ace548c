//! A component that checks whether its host's key-value store `default` keeps the contract. The response to any request
//! is `kept`, or the clause that the store does not keep.

// The SDK's macro generates unsafe code that exports the function.
#![cfg_attr(feature = "wasip2", allow(unsafe_code))]

use spin_chunked_upload::spin::SpinStore;
use spin_chunked_upload::store::contract;

// The SDK's macros need the name `spin_sdk`. In Cargo.toml, the other SDK has that name.
#[cfg(feature = "wasip2")]
extern crate spin_sdk_5 as spin_sdk;

async fn check() -> String {
    match SpinStore::open("default").await {
        Ok(Some(store)) => match contract::check(&store).await {
            Ok(()) => "kept".to_owned(),
            Err(violation) => violation.to_string(),
        },
        Ok(None) => "the component may not open the store".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[cfg(feature = "wasip3")]
#[spin_sdk::http_service]
async fn handle(_: spin_sdk::http::Request) -> http::Response<String> {
    http::Response::new(check().await)
}

#[cfg(feature = "wasip2")]
#[spin_sdk::http_component]
async fn handle(_: spin_sdk::http::Request) -> spin_sdk::http::Response {
    spin_sdk::http::Response::new(200, check().await)
}
