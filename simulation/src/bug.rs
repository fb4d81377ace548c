//! Deliberate bugs. Each one breaks one thing that the storage contract depends on.

use clap::ValueEnum;

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// A segment is acknowledged before it is stored, so a record may be committed before its segments are stored.
    EarlyCommit,
    /// A segment's key has no tag, so one request overwrites the segments of another.
    NoTag,
    /// A completion overwrites the open upload's record and does not write a key of its own.
    NoFinalRecord,
    /// A sweep treats young keys as orphans.
    NoGrace,
    /// Clocks are up to ten minutes apart, which is more than the contract allows.
    FarClocks,
}

impl Bug {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The key that the store uses in place of `key`.
    pub fn key(bug: Option<Self>, key: &str) -> String {
        match bug {
            Some(Self::NoTag) if key.starts_with("data/") => {
                key.rsplit_once('/').map_or(key.to_owned(), |(start, end)| {
                    format!("{start}/{}", end.split('-').next().unwrap_or_default())
                })
            }
            Some(Self::NoFinalRecord) => key.strip_suffix("/complete").unwrap_or(key).to_owned(),
            _ => key.to_owned(),
        }
    }
}
