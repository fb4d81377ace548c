//! What the black-box tests share: a server of one's own, and a client.
//!
//! Each test has its own server, port and data folder. The server is this repository's host, or Spin where
//! `UPLOAD_TEST_RUNTIME=spin` says so.

// Each test file is a program of its own and uses only some of this.
#![allow(dead_code, unused_imports)]

pub mod client;
pub mod data;
pub mod python;
pub mod redis;
pub mod server;

pub use client::{Client, Form, Reply};
pub use redis::RedisServer;
pub use server::Server;
