//! Chunked, resumable, verified file uploads on a key-value store.
//!
//! The crate is a library, and a Spin component that consists of a few lines over the library. Data flows one way:
//!
//! - [`protocol`] reads HTTP requests and writes answers: drf-chunked-upload's protocol and the download;
//! - [`http`] has what every protocol needs of HTTP;
//! - [`view`] is what an application may change without changing the service;
//! - [`identity`] tells who is asking, and [`settings`] what is configured;
//! - [`uploads`] knows what an upload is: its record, its rules, its contents;
//! - [`store`] is the key-value port that a platform's stores stand behind, and the contract that they keep;
//! - `spin` (on wasm only) puts Spin's HTTP, variables and stores behind these. A component calls `spin::serve`.
//!
//! What an operator wants to know goes to the [`log`] facade, one record for each event; docs/operations.md lists them.

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

// The SDK's macros name it `spin_sdk`, which is the other one's name in Cargo.toml.
#[cfg(all(feature = "wasip2", not(feature = "wasip3"), target_family = "wasm"))]
extern crate spin_sdk_5 as spin_sdk;
