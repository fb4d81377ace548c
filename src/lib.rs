//! Chunked, resumable, verified file uploads on a key-value store.
//!
//! The crate is a library, and a Spin component of a few lines that calls the library. Data flows one way:
//!
//! - [`protocol`] reads HTTP requests and writes answers: drf-chunked-upload's protocol and the download;
//! - [`http`] has what every protocol needs of HTTP;
//! - [`view`] is what an application may change without changing the service;
//! - [`identity`] tells who sends a request, and [`settings`] holds the configuration;
//! - [`uploads`] knows what an upload is: its record, its rules, its contents;
//! - [`store`] is the key-value port, which a platform's stores implement, and the contract that they keep;
//! - `spin` (on wasm only) connects these to Spin's HTTP, variables and stores. A component calls `spin::serve`.
//!
//! The crate writes what an operator wants to know to the [`log`] facade: one record for each event. docs/operations.md
//! lists the events.

#![warn(missing_docs, unreachable_pub)]

mod error_chain;
pub mod http;
pub mod identity;
pub mod protocol;
pub mod settings;
#[cfg(target_family = "wasm")]
pub mod spin;
pub mod store;
pub mod uploads;
pub mod view;

// The SDK's macros refer to the crate as `spin_sdk`. In Cargo.toml, the SDK of `wasip3` has that name.
#[cfg(all(feature = "wasip2", not(feature = "wasip3"), target_family = "wasm"))]
extern crate spin_sdk_5 as spin_sdk;
