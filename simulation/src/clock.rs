//! The simulated time, which all requests see.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};

/// When each history begins: 2026-11-23T00:00:00Z.
const START: i64 = 1_795_392_000_000_000;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(START) };
}

/// Begins a history.
pub fn reset() {
    NOW.set(START);
}

/// The time now.
pub fn now() -> Timestamp {
    Timestamp::from_microsecond(NOW.get()).unwrap_or_default()
}

/// The time of requests whose clock is a day and some hours ahead: a sweep that has no patience.
pub fn hasty_now() -> Timestamp {
    now() + SignedDuration::from_hours(30)
}

/// Lets time go by.
pub fn advance(by: SignedDuration) {
    NOW.set(NOW.get() + i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
}
