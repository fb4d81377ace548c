//! What an instance takes: `--stats` prints it when the instance ends.

use std::time::Duration;

use serde_json::json;
use wasmtime::ResourceLimiter;

/// What an instance has taken so far.
#[derive(Debug, Default)]
pub struct InstanceStats {
    /// How long it took to make, in microseconds.
    instantiation_us: u64,
    /// The most memory it has had, in bytes: linear memory never shrinks.
    memory_bytes: usize,
}

impl InstanceStats {
    /// Notes how long the instance took to make.
    pub fn made_in(&mut self, time: Duration) {
        self.instantiation_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    }

    /// Prints all of it, and the most requests that the instance has handled at once, as a line of JSON.
    pub fn print(&self, requests_at_once: usize) {
        let Self { instantiation_us, memory_bytes } = self;
        println!(
            "{}",
            json!({
                "instantiation_us": instantiation_us,
                "memory_bytes": memory_bytes,
                "requests_at_once": requests_at_once,
            })
        );
    }
}

impl ResourceLimiter for InstanceStats {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // What lies beyond the maximum fails by itself.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.memory_bytes = self.memory_bytes.max(desired);
        }
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}
