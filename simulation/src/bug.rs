//! Deliberate bugs: each takes away one thing that the storage contract rests on.

use clap::ValueEnum;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// A segment is acknowledged before it is stored, so a record is committed before its segments are.
    EarlyCommit,
    /// A segment's key has no tag, so requests overwrite one another's segments.
    NoTag,
    /// A completion writes over the open upload's record instead of a key of its own.
    NoFinalRecord,
    /// A sweep takes what is young for an orphan.
    NoGrace,
    /// Clocks are ten minutes apart, which is more than the contract allows.
    FarClocks,
}

impl Bug {
    /// Its name on the command line.
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
