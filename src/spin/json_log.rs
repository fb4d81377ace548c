//! The component's log: one line of JSON on standard error for each event.

use std::io::{self, Write};
use std::sync::Once;

use jiff::Timestamp;
use log::kv::{self, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, Value};

/// Installs the logger for this crate's events. An application that has set a logger before keeps its own.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if log::set_logger(&JsonLog).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
    });
}

struct JsonLog;

impl Log for JsonLog {
    /// An operator does not need the events of other crates.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = record.level().as_str().to_ascii_lowercase();
        let mut fields = Fields(Map::new());
        fields.add("time", Timestamp::now().to_string());
        fields.add("level", level);
        fields.add("event", record.args().to_string());
        // This visitor never fails.
        let _ = record.key_values().visit(&mut fields);
        // The line goes out in one write, because each write is a call of the host: standard error has no buffer here.
        let line = format!("{}\n", Value::Object(fields.0));
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = ToJson(Value::Null);
        value.visit(&mut json)?;
        self.add(key.as_str(), json.0);
        Ok(())
    }
}

struct ToJson(Value);

impl<'v> VisitValue<'v> for ToJson {
    fn visit_any(&mut self, value: kv::Value<'_>) -> Result<(), kv::Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }
}
