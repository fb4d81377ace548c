//! Deliberate bugs. Each one breaks one thing that the storage contract depends on.

use bytes::Bytes;
use clap::ValueEnum;
use uuid::Uuid;

use crate::neighbour;
use crate::store::Operation;

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// A segment is acknowledged before it is stored, and lost with its process. So a record may be committed before its
    /// segments are stored.
    EarlyCommit,
    /// All other writes are acknowledged before they are stored, and lost with their process.
    WriteBehind,
    /// A segment's key has no tag, so one request overwrites the segments of another.
    NoTag,
    /// A completion overwrites the open upload's record and does not write a key of its own.
    NoFinalRecord,
    /// A sweep treats young keys as orphans.
    NoGrace,
    /// Clocks are up to ten minutes apart, which is more than the contract allows.
    FarClocks,
    /// An open record forgets the total that a client has declared.
    NoTotal,
    /// Some requests have the contents in the store of the records, although the contents have a store of their own.
    OneStore,
    /// A deployment leaves no mark in its store of contents.
    NoMark,
    /// Marks tell that they were drawn in 1970, so sweeps judge contents that are older than the marks.
    OldMarks,
    /// A sweep takes another program's keys for segments, if they look like segments but for their beginning.
    AnyPrefix,
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
            Some(Self::OldMarks) if key.starts_with("mark/") => without_time(key),
            Some(Self::AnyPrefix) if key == neighbour::as_segment() => neighbour::LIKE_A_SEGMENT.to_owned(),
            _ => key.to_owned(),
        }
    }

    /// The key that a listing shows in place of `key`.
    pub fn listed(bug: Option<Self>, key: &str) -> String {
        match bug {
            Some(Self::AnyPrefix) if key == neighbour::LIKE_A_SEGMENT => neighbour::as_segment(),
            _ => key.to_owned(),
        }
    }

    /// The value that a read returns in place of `value`.
    pub fn value(bug: Option<Self>, key: &str, value: Bytes) -> Bytes {
        if bug == Some(Self::OldMarks) && key.starts_with("mark/") {
            return Uuid::try_parse_ascii(&value).map_or(value, |mark| untimed(mark).to_string().into());
        }
        if bug != Some(Self::NoTotal) || !key.starts_with("upload/") || key.matches('/').count() != 1 {
            return value;
        }
        let record = String::from_utf8_lossy(&value);
        let Some((before, total)) = record.split_once("\"total\":") else {
            return value.clone();
        };
        let after = total.trim_start_matches(|digit: char| digit.is_ascii_digit());
        if after.len() == total.len() { value.clone() } else { format!("{before}\"total\":null{after}").into() }
    }

    /// Whether the store ignores a write of this key.
    pub fn drops(bug: Option<Self>, key: &str) -> bool {
        bug == Some(Self::NoMark) && key.starts_with("mark/blobs/")
    }

    /// Whether this write is acknowledged before the store has it, and lost with its process.
    pub fn answers_early(bug: Option<Self>, write: &Operation) -> bool {
        let is_segment = write.key().is_some_and(|key| key.starts_with("data/"));
        match bug {
            Some(Self::EarlyCommit) => is_segment,
            Some(Self::WriteBehind) => !is_segment,
            _ => false,
        }
    }
}

/// The key with the time 0 in its mark, if it has one.
fn without_time(key: &str) -> String {
    let Some((start, mark)) = key.rsplit_once('/').and_then(|(start, mark)| Some((start, Uuid::try_parse(mark).ok()?)))
    else {
        return key.to_owned();
    };
    format!("{start}/{}", untimed(mark))
}

/// The mark with the time 0.
fn untimed(mark: Uuid) -> Uuid {
    let (time, random) = mark.as_u64_pair();
    Uuid::from_u64_pair(time & 0xffff, random)
}
