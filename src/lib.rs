//! Chunked, resumable, verified file uploads on a key-value store.
//!
//! The crate is a Spin component, and the library that the component is a few lines over. Data flows one way:
//!
//! - [`protocol`] reads HTTP requests and writes answers: drf-chunked-upload's protocol and the download;
//! - [`uploads`] knows what an upload is: its record, its rules, its contents;
//! - [`identity`] tells who is asking, and [`settings`] what is configured;
//! - [`store`] is the key-value port that both of a platform's stores stand behind;
//! - `spin` (on wasm only) puts Spin's HTTP, variables and stores behind these.

#![warn(missing_docs, unreachable_pub)]

pub mod identity;
pub mod protocol;
pub mod settings;
#[cfg(target_family = "wasm")]
pub mod spin;
pub mod store;
pub mod uploads;

/// The ready-made component.
#[cfg(all(feature = "component", target_family = "wasm"))]
#[spin_sdk::http_service]
async fn handle(request: spin_sdk::http::Request) -> http::Response<spin::Body> {
    spin::serve(request).await
}
