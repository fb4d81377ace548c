//! Code that the black-box tests share: a server for each test, and a client.
//!
//! Each test has its own server, port and data folder. The server is this repository's host. With
//! `UPLOAD_TEST_RUNTIME=spin`, it is Spin.

// Each test file is a separate program and uses only a part of this.
#![allow(dead_code, unused_imports)]

pub mod client;
pub mod copies;
pub mod data;
pub mod nginx;
pub mod python;
pub mod redis;
pub mod server;

pub use client::{Client, Form, Reply, path_of};
pub use nginx::Nginx;
pub use redis::RedisServer;
pub use server::Server;
