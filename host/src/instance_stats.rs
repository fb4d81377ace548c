//! The resources that an instance uses. `--stats` prints them when the instance ends.

use std::time::Duration;

use serde_json::json;
use wasmtime::ResourceLimiter;

/// The resources that an instance has used so far.
#[derive(Debug, Default)]
pub struct InstanceStats {
    /// The time of its instantiation, in microseconds.
    instantiation_us: u64,
    /// The largest size of its linear memory, in bytes. Linear memory never shrinks.
    memory_bytes: usize,
}

impl InstanceStats {
    /// Records how long the instantiation took.
    pub fn made_in(&mut self, time: Duration) {
        self.instantiation_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    }

    /// Prints one line of JSON: these figures, and the largest number of requests that the instance handled at once.
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
        // A growth beyond the maximum fails anyway, so it does not count.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.memory_bytes = self.memory_bytes.max(desired);
        }
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}
