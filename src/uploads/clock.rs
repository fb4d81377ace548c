//! The time, and the tags of appends.

use jiff::Timestamp;
use uuid::Uuid;

/// What an upload needs to know of time.
///
/// A tag tells when it was drawn, because its first bits are this clock's time. So one clock gives both.
pub trait Clock {
    /// The time now, in whole microseconds.
    fn now(&self) -> Timestamp;

    /// A new tag, which no other append has: a UUID of version 7 (RFC 9562, 5.7) with this clock's time.
    fn tag(&self) -> Uuid;
}

/// When a tag was drawn; `None` if it has no time.
pub(super) fn drawn_at(tag: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = tag.get_timestamp()?.to_unix();
    Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// The time in whole microseconds, as the answers show it.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    fn tag(&self) -> Uuid {
        Uuid::now_v7()
    }
}
