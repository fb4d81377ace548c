//! Chunked, resumable, verified file uploads on a key-value store.
//!
//! The crate is a Spin component, and the library that the component is a few lines over. Data flows one way:
//!
//! - [`protocol`] reads HTTP requests and writes answers: drf-chunked-upload's protocol and the download;
//! - [`uploads`] knows what an upload is: its record, its rules, its contents;
//! - [`view`] is what an application may change about that without changing the service;
//! - [`identity`] tells who is asking, and [`settings`] what is configured;
//! - [`store`] is the key-value port that both of a platform's stores stand behind, and [`outbound`] the port for
//!   requests to other servers;
//! - `spin` (on wasm only) puts Spin's HTTP, variables and stores behind these.

#![warn(missing_docs, unreachable_pub)]

mod completion_hook;
pub mod identity;
pub mod outbound;
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
