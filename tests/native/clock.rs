//! A clock that the tests set.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use spin_chunked_upload::uploads::Clock;
use uuid::{NoContext, Uuid};

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

/// Lets this much time pass in this test.
pub fn pass(duration: SignedDuration) {
    NOW.set(NOW.get() + duration);
}

/// What the clock says now.
pub fn now() -> Timestamp {
    NOW.get()
}

/// The clock.
pub struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        NOW.get()
    }

    fn tag(&self) -> Uuid {
        let now = NOW.get();
        let seconds = u64::try_from(now.as_second()).unwrap();
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, now.subsec_nanosecond().unsigned_abs()))
    }
}
